package counter

import (
	"encoding/json"
	"strings"
)

// A property is an argument of a tool whose values are known only when the menu is.
type property struct {
	name        string
	description string
	values      []string
	nullable    bool // null is a value, too; the model has to say so
	list        bool // several of the values, or any text if there are none
}

// object returns the schema of a tool's arguments. All are required; the order is kept, as models write them in it.
func object(properties ...property) json.RawMessage {
	fields, names := []string{}, []string{}
	for _, p := range properties {
		fields = append(fields, quoted(p.name)+":"+p.schema())
		names = append(names, p.name)
	}
	return json.RawMessage(`{"type":"object","properties":{` + strings.Join(fields, ",") + `},"required":` + quoted(names) +
		`,"additionalProperties":false}`)
}

func (p property) schema() string {
	switch {
	case p.list:
		return `{"type":"array","items":{"type":"string"},"minItems":1,"description":` + quoted(p.description) + `}`
	case p.nullable:
		values := make([]any, 0, len(p.values)+1)
		for _, v := range p.values {
			values = append(values, v)
		}
		return `{"type":["string","null"],"enum":` + quoted(append(values, nil)) + `,"description":` + quoted(p.description) + `}`
	default:
		return `{"type":"string","enum":` + quoted(p.values) + `,"description":` + quoted(p.description) + `}`
	}
}

func quoted(v any) string {
	b, err := json.Marshal(v)
	if err != nil {
		panic(err) // strings, and lists of them, always have a form
	}
	return string(b)
}
