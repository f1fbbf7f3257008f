package agents

import (
	"context"
	"encoding/json"
	"math/big"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

type color int

func (*color) UnmarshalText([]byte) error { return nil }

type shape struct{ Kind string }

func (*shape) UnmarshalJSON([]byte) error { return nil }

type Page struct {
	Size int `json:"size,omitempty" default:"10"`
}

func schemasOf[In any](opts ...ToolOptions) (schema, strict string) {
	t := ToolFunc("x", "", func(context.Context, In) (any, error) { return nil, nil }, opts...)
	return string(t.Schema()), string(t.StrictSchema())
}

func TestSchemaOfInput(t *testing.T) {
	schema, strict := schemasOf[bookArgs]()
	require.Equal(t, `{"type":"object","properties":{`+
		`"name":{"type":"string","description":"the guest's name"},`+
		`"room":{"type":"string","enum":["single","double"]},`+
		`"nights":{"type":"integer","default":1},`+
		`"note":{"type":"string"}},"required":["name","room"],"additionalProperties":false}`, schema)
	require.Equal(t, `{"type":"object","properties":{`+
		`"name":{"type":"string","description":"the guest's name"},`+
		`"room":{"type":"string","enum":["single","double"]},`+
		`"nights":{"type":["integer","null"]},`+
		`"note":{"type":["string","null"]}},"additionalProperties":false,"required":["name","room","nights","note"]}`, strict)
	for range 20 {
		again, strictAgain := schemasOf[*bookArgs]()
		require.Equal(t, schema, again)
		require.Equal(t, strict, strictAgain)
	}
}

func TestSchemaWithoutArguments(t *testing.T) {
	schema, strict := schemasOf[struct{}]()
	require.JSONEq(t, `{"type":"object","properties":{},"additionalProperties":false}`, schema)
	require.JSONEq(t, `{"type":"object","properties":{},"additionalProperties":false}`, strict)
}

func TestSchemaWithConfirmation(t *testing.T) {
	schema, strict := schemasOf[struct{}](ToolOptions{OnDuplicate: ConfirmDuplicate})
	const description = `"description":"Set this to true only to run the call although the same tool is running already."`
	require.JSONEq(t, `{"type":"object","properties":{"lk_agents_confirm_duplicate":{"type":"boolean",`+description+`}},"additionalProperties":false}`, schema)
	require.JSONEq(t, `{"type":"object","properties":{"lk_agents_confirm_duplicate":{"type":["boolean","null"],`+description+`}},"additionalProperties":false,"required":["lk_agents_confirm_duplicate"]}`, strict)
}

func TestSchemaOfTypes(t *testing.T) {
	type nested struct {
		Page               // promoted
		When     time.Time `json:"when"`
		Big      big.Int   `json:"big"`
		Number   json.Number
		Data     []byte         `json:"data"`
		Color    color          `json:"color" enum:"red,blue"`
		Counts   map[string]int `json:"counts"`
		Ratios   [2]float64     `json:"ratios" enum:"0.5,1"`
		Tags     []string       `json:"tags" enum:"a, b"`
		Inner    *Page          `json:"inner"`
		Maybe    []*Page        `json:"maybe"`
		Level    int8           `json:"level,omitzero" enum:"1,2"`
		Skipped  func()         `json:"-"`
		private  int
		Defaults map[string][]int `json:"defaults" default:"{\"a\":[1]}"`
	}
	schema, _ := schemasOf[nested]()
	page := `{"type":"object","properties":{"size":{"type":"integer","default":10}},"additionalProperties":false}`
	require.JSONEq(t, `{"type":"object","properties":{
		"size":{"type":"integer","default":10},
		"when":{"type":"string","format":"date-time"},
		"big":{"type":"integer"},
		"Number":{"type":"number"},
		"data":{"type":"string","contentEncoding":"base64"},
		"color":{"type":"string","enum":["red","blue"]},
		"counts":{"type":"object","additionalProperties":{"type":"integer"}},
		"ratios":{"type":"array","items":{"type":"number","enum":[0.5,1]},"minItems":2,"maxItems":2},
		"tags":{"type":"array","items":{"type":"string","enum":["a","b"]}},
		"inner":`+page+`,
		"maybe":{"type":"array","items":{"type":["null","object"],"properties":{"size":{"type":"integer","default":10}},"additionalProperties":false}},
		"level":{"type":"integer","minimum":-128,"maximum":127,"enum":[1,2]},
		"defaults":{"type":"object","additionalProperties":{"type":"array","items":{"type":"integer"}},"default":{"a":[1]}}
	},"required":["when","big","Number","data","color","counts","ratios","tags","maybe"],"additionalProperties":false}`, schema)
	_ = nested{}.private
}

func TestSchemaWithoutStrictForm(t *testing.T) {
	for name, strict := range map[string]func() (string, string){
		"map":         func() (string, string) { return schemasOf[map[string]string]() },
		"any":         func() (string, string) { return schemasOf[struct{ A any }]() },
		"raw message": func() (string, string) { return schemasOf[struct{ A json.RawMessage }]() },
		"open object": func() (string, string) { return schemasOf[struct{ A map[string]int }]() },
		"own JSON":    func() (string, string) { return schemasOf[struct{ A *shape }]() },
	} {
		schema, strict := strict()
		require.NotEmpty(t, schema, name)
		require.Empty(t, strict, name)
	}
}
