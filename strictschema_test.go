package agents

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestStrictSchema(t *testing.T) {
	tests := []struct{ name, in, want string }{
		{
			"all required, optional nullable, order kept",
			`{"type":"object","properties":{"z":{"type":"string"},"a":{"type":"integer"}},"required":["z"]}`,
			`{"type":"object","properties":{"z":{"type":"string"},"a":{"type":["integer","null"]}},"required":["z","a"],"additionalProperties":false}`,
		},
		{"no properties", `{"type":"object","properties":{},"required":[]}`, `{"type":"object","properties":{},"additionalProperties":false}`},
		{
			"title, default and discriminator go",
			`{"title":"T","type":"object","properties":{"a":{"title":"A","type":"string","default":"x","minLength":1}},"required":["a"],"discriminator":{}}`,
			`{"type":"object","properties":{"a":{"type":["string","null"],"minLength":1}},"required":["a"],"additionalProperties":false}`,
		},
		{
			"a property called title stays",
			`{"type":"object","properties":{"title":{"type":"string"},"default":{"type":"string"}},"required":["title","default"]}`,
			`{"type":"object","properties":{"title":{"type":"string"},"default":{"type":"string"}},"required":["title","default"],"additionalProperties":false}`,
		},
		{
			"null joins an enum but not a constant",
			`{"type":"object","properties":{"a":{"type":"string","enum":["x"]},"b":{"type":"string","const":"y"}}}`,
			`{"type":"object","properties":{"a":{"type":["string","null"],"enum":["x",null]},"b":{"type":"string","const":"y"}},"required":["a","b"],"additionalProperties":false}`,
		},
		{
			"unions",
			`{"type":"object","properties":{
				"one":{"oneOf":[{"type":"string"},{"type":"integer"}]},
				"null":{"anyOf":[{"type":"string","enum":["x"]},{"type":"null"}]},
				"empty":{"anyOf":[{},{"type":"string"}],"description":"d"},
				"ref":{"anyOf":[{"$ref":"#/$defs/r"},{"type":"null"}]},
				"free":{"anyOf":[{"type":"string"},{"type":"integer"}]}
			},"required":["one","null","empty","ref"],"$defs":{"r":{"type":"string"}}}`,
			`{"type":"object","properties":{
				"one":{"anyOf":[{"type":"string"},{"type":"integer"}]},
				"null":{"type":["string","null"],"enum":["x",null]},
				"empty":{"type":"string","description":"d"},
				"ref":{"anyOf":[{"$ref":"#/$defs/r"},{"type":"null"}]},
				"free":{"anyOf":[{"type":"string"},{"type":"integer"},{"type":"null"}]}
			},"required":["one","null","empty","ref","free"],"$defs":{"r":{"type":"string"}},"additionalProperties":false}`,
		},
		{
			"references",
			`{"type":"object","properties":{"bare":{"$ref":"#/$defs/r"},"described":{"$ref":"#/$defs/r","description":"d"},"optional":{"$ref":"#/$defs/r"}},
				"required":["bare","described"],"$defs":{"r":{"type":"object","properties":{"v":{"type":"string"}}}}}`,
			`{"type":"object","properties":{
				"bare":{"$ref":"#/$defs/r"},
				"described":{"type":"object","properties":{"v":{"type":["string","null"]}},"required":["v"],"additionalProperties":false,"description":"d"},
				"optional":{"anyOf":[{"$ref":"#/$defs/r"},{"type":"null"}]}
			},"required":["bare","described","optional"],"$defs":{"r":{"type":"object","properties":{"v":{"type":["string","null"]}},"required":["v"],"additionalProperties":false}},"additionalProperties":false}`,
		},
		{
			"the root is never a reference",
			`{"$ref":"#/$defs/r","$defs":{"r":{"type":"object","properties":{"next":{"$ref":"#/$defs/r"}}}}}`,
			`{"type":"object","properties":{"next":{"anyOf":[{"$ref":"#/$defs/r"},{"type":"null"}]}},"required":["next"],"additionalProperties":false,
				"$defs":{"r":{"type":"object","properties":{"next":{"anyOf":[{"$ref":"#/$defs/r"},{"type":"null"}]}},"required":["next"],"additionalProperties":false}}}`,
		},
		{
			"allOf of one",
			`{"type":"object","properties":{"a":{"allOf":[{"type":"string"}],"description":"d"}},"required":["a"]}`,
			`{"type":"object","properties":{"a":{"type":"string","description":"d"}},"required":["a"],"additionalProperties":false}`,
		},
		{
			"objects within arrays",
			`{"type":"object","properties":{"a":{"type":"array","uniqueItems":true,"items":{"type":"object","properties":{"v":{"type":["string","null"]}}}}},"required":["a"]}`,
			`{"type":"object","properties":{"a":{"type":"array","items":{"type":"object","properties":{"v":{"type":["string","null"]}},"required":["v"],"additionalProperties":false}}},"required":["a"],"additionalProperties":false}`,
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, err := StrictSchema(json.RawMessage(tt.in))
			require.NoError(t, err)
			require.JSONEq(t, tt.want, string(got))
			again, err := StrictSchema(json.RawMessage(tt.in))
			require.NoError(t, err)
			require.Equal(t, string(got), string(again))
		})
	}
}

func TestStrictSchemaKeepsOrder(t *testing.T) {
	got, err := StrictSchema(json.RawMessage(`{"type":"object","properties":{"z":{"type":"string"},"a":{"type":"string"},"m":{"type":"string"}},"required":["a","m","z"]}`))
	require.NoError(t, err)
	require.Equal(t, `{"type":"object","properties":{"z":{"type":"string"},"a":{"type":"string"},"m":{"type":"string"}},"required":["z","a","m"],"additionalProperties":false}`, string(got))
}

func TestStrictSchemaImpossible(t *testing.T) {
	var blowup strings.Builder // each definition refers to the next one twice
	blowup.WriteString(`{"type":"object","properties":{"a":{"$ref":"#/$defs/d0","description":"x"}},"$defs":{"d40":{"type":"string"}`)
	for i := range 40 {
		ref := fmt.Sprintf(`{"$ref":"#/$defs/d%d","description":"x"}`, i+1)
		fmt.Fprintf(&blowup, `,"d%d":{"type":"object","properties":{"l":%s,"r":%s}}`, i, ref, ref)
	}
	blowup.WriteString(`}}`)
	tests := map[string]string{
		`nonsense`:          "not valid JSON",
		`[]`:                "not a JSON object",
		`{"type":"string"}`: "not that of an object",
		`{"type":"object"}`: "# takes properties that it does not list",
		`{"type":"object","properties":{},"additionalProperties":{"type":"string"}}`:                                                       "# takes properties that it does not list",
		`{"type":"object","properties":{"a":{}}}`:                                                                                          "#/properties/a takes any value",
		`{"type":"object","properties":{"a":true}}`:                                                                                        "#/properties/a takes any value",
		`{"type":"object","properties":{"a":{"allOf":[{"type":"string"},{"type":"string"}]}}}`:                                             "uses allOf with 2 members",
		`{"type":"object","properties":{"a":{"not":{"type":"string"}}}}`:                                                                   "#/properties/a uses not",
		`{"type":"object","properties":{"a":{"anyOf":[{}]}}}`:                                                                              "has no members",
		`{"type":"object","properties":{"a":{"type":"string","anyOf":[],"oneOf":[]}}}`:                                                     "uses both anyOf and oneOf",
		`{"type":"object","properties":{"a":{"$ref":"#/$defs/b","description":"d"}},"$defs":{"b":{"$ref":"#/$defs/b","description":"d"}}}`: "does not end",
		`{"type":"object","properties":{"a":{"$ref":"http://x.test/a","description":"d"}}}`:                                                "is not supported",
		`{"$ref":"#"}`:     "not that of an object",
		`{"anyOf":[]}`:     "has no members",
		`{"properties":1}`: "malformed properties",
		`{"type":"object","properties":{},"required":1}`:              "malformed required",
		`{"type":"object","properties":{"a":{"allOf":[{"not":{}}]}}}`: "#/properties/a uses not",
		`{"type":"object","properties":{"a":{"$ref":"#/$defs/b","properties":{}}},"$defs":{"b":{"type":"object","properties":{"c":{"type":"string"}}}}}`: "#/properties/a combines two schemas that both have properties",
		blowup.String(): "does not end",
	}
	for in, want := range tests {
		_, err := StrictSchema(json.RawMessage(in))
		require.ErrorContains(t, err, want, "%.80s", in)
		require.ErrorContains(t, err, "agents: strict schema: ")
	}
}

func FuzzStrictSchema(f *testing.F) {
	f.Add(`{"type":"object","properties":{"a":{"oneOf":[{"type":"string"},{"type":"null"}]},"b":{"$ref":"#/$defs/c","title":"x"}},"$defs":{"c":{"enum":[1]}}}`)
	f.Add(`{"allOf":[{"$ref":"#"}]}`)
	f.Fuzz(func(t *testing.T, s string) {
		got, err := StrictSchema(json.RawMessage(s))
		if err != nil {
			return
		}
		require.True(t, json.Valid(got))
		again, err := StrictSchema(got)
		require.NoError(t, err, "the strict form of %s has none", got)
		require.JSONEq(t, string(got), string(again))
	})
}
