package console

import (
	"bytes"
	"encoding/json"
	"strings"
)

// arguments returns the arguments of a call for people: " order_id: 7, gift: true".
func arguments(args string) string {
	dec := json.NewDecoder(strings.NewReader(args))
	if t, err := dec.Token(); err != nil || t != json.Delim('{') {
		return " " + args
	}
	var parts []string
	for dec.More() {
		name, err := dec.Token()
		if err != nil {
			return " " + args
		}
		var value json.RawMessage
		if err := dec.Decode(&value); err != nil {
			return " " + args
		}
		parts = append(parts, name.(string)+": "+compact(value))
	}
	if len(parts) == 0 {
		return ""
	}
	return " " + strings.Join(parts, ", ")
}

func compact(v json.RawMessage) string {
	var b bytes.Buffer
	if json.Compact(&b, v) != nil {
		return string(v)
	}
	return b.String()
}
