package agents

import (
	"context"
	"encoding/json"
	"math/big"
	"strings"
	"sync"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/parley-voice/agents/internal/jsontree"
)

func TestPrepareParses(t *testing.T) {
	type args struct {
		City string `json:"city"`
		Days int    `json:"days,omitempty"`
	}
	tool := ToolFunc("weather", "", func(context.Context, args) (any, error) { return nil, nil })
	tests := []struct {
		name, raw, canonical string
		want                 args
	}{
		{"plain", `{ "days": 2, "city": "Paris" }`, `{"days":2,"city":"Paris"}`, args{"Paris", 2}},
		{"missing brace", `{"city": "Paris"`, `{"city":"Paris"}`, args{City: "Paris"}},
		{"bare keys", `{city: "Paris", days: 3}`, `{"city":"Paris","days":3}`, args{"Paris", 3}},
		{"single quotes, trailing comma", `{'city': 'Paris',}`, `{"city":"Paris"}`, args{City: "Paris"}},
		{"template tokens", `{"city": "Paris"<|tool_call_end|>}<|im_end|>`, `{"city":"Paris"}`, args{City: "Paris"}},
		{"a value that looks like a template token", `{"city":"<|im_end|>"}`, `{"city":"<|im_end|>"}`, args{City: "<|im_end|>"}},
		{"JSON in a string", `"{\"city\": \"Paris\"}"`, `{"city":"Paris"}`, args{City: "Paris"}},
		{"JSON in a string in a string", `"\"{\\\"city\\\": \\\"Paris\\\"}\""`, `{"city":"Paris"}`, args{City: "Paris"}},
		{"broken JSON in a string", `"{city: 'Paris'"`, `{"city":"Paris"}`, args{City: "Paris"}},
		{"last of a name counts", `{"city":"Rome","days":1,"city":"Paris"}`, `{"city":"Paris","days":1}`, args{"Paris", 1}},
		{"null for an optional field", `{"city":"Paris","days":null}`, `{"city":"Paris","days":null}`, args{City: "Paris"}},
		{"whole number with a fraction", `{"city":"Paris","days":2.00}`, `{"city":"Paris","days":2.00}`, args{"Paris", 2}},
		{"whole number with an exponent", `{"city":"Paris","days":2e1}`, `{"city":"Paris","days":2e1}`, args{"Paris", 20}},
		{"invalid UTF-8", "{\"city\":\"Par\xffis\"}", "{\"city\":\"Par\uFFFDis\"}", args{City: "Par\uFFFDis"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			p, err := tool.prepare(tt.raw)
			require.NoError(t, err)
			require.Equal(t, tt.canonical, p.canonical)
			require.Equal(t, tt.want, p.in)
		})
	}
}

func TestPrepareWithoutArguments(t *testing.T) {
	tool := ToolFunc("now", "", func(context.Context, struct{}) (any, error) { return nil, nil })
	for _, raw := range []string{``, " \n", `{}`, `null`, `"null"`, `""`, `"\"\""`, `<|im_end|>`} {
		p, err := tool.prepare(raw)
		require.NoError(t, err, "%q", raw)
		require.Equal(t, prepared{canonical: "{}", in: struct{}{}, key: "{}"}, p)
	}
}

func TestPrepareRejects(t *testing.T) {
	type line struct {
		Item  string `json:"item"`
		Count int8   `json:"count"`
	}
	type order struct {
		ID    string   `json:"order_id"`
		Kind  string   `json:"kind" enum:"new,old"`
		Score *float64 `json:"score"`
		Lines []line   `json:"lines,omitempty"`
		Big   int64    `json:"big,omitempty"`
	}
	tool := ToolFunc("order", "", func(context.Context, order) (any, error) { return nil, nil })
	const ok = `"order_id":"a","kind":"new"`
	tests := []struct{ name, raw, canonical, want string }{
		{"prose", `I will look it up.`, `{}`, "the arguments could not be parsed as JSON: no JSON at offset 0"},
		{"prose in a string", `"hello"`, `{}`, "the arguments could not be parsed as JSON: no JSON at offset 0"},
		{"breaks off", `{"order_id": "a`, `{}`, "the arguments could not be parsed as JSON: the text breaks off inside a string at offset 15"},
		{"array", `[1]`, `{}`, "the arguments must be a JSON object, not an array"},
		{"number", `5`, `{}`, "the arguments must be a JSON object, not a number"},
		{"boolean", `true`, `{}`, "the arguments must be a JSON object, not a boolean"},
		{"too deep", strings.Repeat(`{"a":`, 5000) + "1" + strings.Repeat("}", 5000), `{}`, "the arguments could not be parsed as JSON: nested too deeply at offset 640"},
		{"missing fields", `{"order_id":"a"}`, ``, "field kind: is missing"},
		{"several problems", `{"kind":"older","big":1.5,"x":1}`, ``, `field order_id: is missing; field kind: must be one of "new", "old", not "older"; field big: must be an integer, not the number 1.5; field x: is unknown; the fields are order_id, kind, score, lines, big`},
		{"wrong type, repaired", `{order_id: "a", kind: 'new', big: "7"`, `{"order_id":"a","kind":"new","big":"7"}`, "field big: must be an integer, not a string"},
		{"null for a required field", `{"order_id":null,"kind":"new"}`, ``, "field order_id: must be a string, not null"},
		{"case of names counts", `{"Order_ID":"a","kind":"new"}`, ``, "field order_id: is missing; field Order_ID: is unknown; the fields are order_id, kind, score, lines, big"},
		{"within an array", `{` + ok + `,"lines":[{"item":"x","count":1},{"count":300,"y":1}]}`, ``, "field lines[1].item: is missing; field lines[1].count: must be at most 127; field lines[1].y: is unknown; the fields are item, count"},
		{"does not fit", `{` + ok + `,"big":99999999999999999999}`, ``, "field big: number 99999999999999999999 does not fit"},
		{"fits nothing", `{` + ok + `,"score":1e999}`, ``, "field score: the number is out of range"},
		{"many problems", `{` + ok + `,"1":1,"2":1,"3":1,"4":1,"5":1,"6":1,"7":1,"8":1,"9":1,"10":1}`, ``, "and 2 more problems"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			p, err := tool.prepare(tt.raw)
			var told *ToolError
			require.ErrorAs(t, err, &told)
			require.Contains(t, told.Message, tt.want)
			require.True(t, strings.HasPrefix(told.Message, "Error parsing arguments for `order`: "))
			require.Nil(t, p.in)
			require.Empty(t, p.key)
			if tt.canonical == "" {
				tt.canonical = tt.raw
			}
			require.Equal(t, tt.canonical, p.canonical)
		})
	}
}

func TestPrepareKeepsBigNumbers(t *testing.T) {
	tool := ToolFunc("x", "", func(_ context.Context, in struct {
		I int64           `json:"i"`
		U uint64          `json:"u"`
		B *big.Int        `json:"b"`
		N json.Number     `json:"n"`
		R json.RawMessage `json:"r"`
	}) (string, error) {
		b, err := json.Marshal(in)
		return string(b), err
	})
	const args = `{"i":9007199254740993,"u":18446744073709551615,"b":123456789012345678901234567890,"n":0.1234567890123456789,"r":[123456789012345678901234567890]}`
	p, err := tool.prepare(args)
	require.NoError(t, err)
	require.Equal(t, args, p.canonical)
	out, err := tool.invoke(t.Context(), &toolRun{}, p.in)
	require.NoError(t, err)
	require.Equal(t, args, out)
}

func TestPrepareFillsInDefaults(t *testing.T) {
	type inner struct {
		N int `json:"n" default:"3"`
	}
	type args struct {
		Unit  string   `json:"unit" default:"celsius" enum:"celsius,kelvin"`
		Days  *int     `json:"days" default:"2"`
		Tags  []string `json:"tags" default:"[\"a\"]"`
		Inner *inner   `json:"inner"`
	}
	tool := ToolFunc("x", "", func(context.Context, args) (any, error) { return nil, nil })
	two := 2
	p, err := tool.prepare(`{"inner":{}, "unit":null}`)
	require.NoError(t, err)
	require.Equal(t, args{"celsius", &two, []string{"a"}, &inner{3}}, p.in)
	require.Equal(t, `{"inner":{},"unit":null}`, p.canonical, "the history has what the model wrote")
	p, err = tool.prepare(`{}`)
	require.NoError(t, err)
	require.Equal(t, args{"celsius", &two, []string{"a"}, nil}, p.in)
}

func TestPrepareKey(t *testing.T) {
	tool := ToolFunc("x", "", func(context.Context, struct {
		A int    `json:"a"`
		B string `json:"b" default:"x"`
	}) (any, error) {
		return nil, nil
	}, ToolOptions{OnDuplicate: ConfirmDuplicate, DuplicateByArguments: true})
	keys := func(raw string) string {
		p, err := tool.prepare(raw)
		require.NoError(t, err)
		return p.key
	}
	same := keys(`{"a":1}`)
	for _, raw := range []string{`{"a":1.0}`, `{a:1,`, `{"b":"x","a":1}`, `{"a":1,"b":null}`, `{"a":1,"lk_agents_confirm_duplicate":true}`} {
		require.Equal(t, same, keys(raw), raw)
	}
	require.NotEqual(t, same, keys(`{"a":2}`))
	require.NotEqual(t, same, keys(`{"a":1,"b":"y"}`))
}

func TestPrepareConfirmation(t *testing.T) {
	for _, policy := range []DuplicatePolicy{AllowDuplicate, RejectDuplicate, ReplaceDuplicate} {
		tool := ToolFunc("x", "", func(context.Context, struct{}) (any, error) { return nil, nil }, ToolOptions{OnDuplicate: policy})
		_, err := tool.prepare(`{"lk_agents_confirm_duplicate":true}`)
		require.ErrorContains(t, err, "field lk_agents_confirm_duplicate: is unknown")
	}
	typed := ToolFunc("x", "", func(context.Context, struct{}) (any, error) { return nil, nil }, ToolOptions{OnDuplicate: ConfirmDuplicate})
	raw, err := NewRawTool("y", "", json.RawMessage(`{"type":"object","additionalProperties":false}`),
		func(_ context.Context, _ *RunContext[any], args json.RawMessage) (any, error) { return nil, nil }, ToolOptions{OnDuplicate: ConfirmDuplicate})
	require.NoError(t, err)
	require.Contains(t, string(raw.Schema()), confirmDuplicate)
	for _, tool := range []*FunctionTool{typed, raw} {
		for args, want := range map[string]bool{
			`{"lk_agents_confirm_duplicate":true}`: true, `{"lk_agents_confirm_duplicate":false}`: false,
			`{"lk_agents_confirm_duplicate":null}`: false, `{}`: false,
		} {
			p, err := tool.prepare(args)
			require.NoError(t, err)
			require.Equal(t, want, p.confirmed)
			require.Equal(t, args, p.canonical)
			require.Equal(t, `{}`, p.key)
			if tool == raw {
				require.Equal(t, json.RawMessage(`{}`), p.in)
			}
		}
		_, err := tool.prepare(`{"lk_agents_confirm_duplicate":"yes"}`)
		require.ErrorContains(t, err, "field lk_agents_confirm_duplicate: must be true or false")
	}
}

// TestPrepareStrictNulls: a model that was given the strict schema writes null where it means nothing.
func TestPrepareStrictNulls(t *testing.T) {
	tool, err := NewRawTool("x", "", json.RawMessage(`{"type":"object","required":["d","n"],"properties":{
		"d":{"type":"integer","default":5}, "n":{"type":["string","null"]}, "o":{"type":"string"},
		"u":{"anyOf":[{"type":"object","properties":{"v":{"type":"string"}}},{"type":"null"}]}}}`),
		func(context.Context, *RunContext[any], json.RawMessage) (any, error) { return nil, nil })
	require.NoError(t, err)
	p, err := tool.prepare(`{"d":null,"n":null,"o":null,"u":{"v":null}}`)
	require.NoError(t, err)
	require.Equal(t, json.RawMessage(`{"d":5,"n":null,"u":{}}`), p.in)
}

// TestPrepareExplainsAlike: what a model is told of the same mistakes never differs.
func TestPrepareExplainsAlike(t *testing.T) {
	tool, err := NewRawTool("x", "", json.RawMessage(`{"type":"object","properties":{
		"a":{"type":"string","minLength":2,"maxLength":3}, "b":{"type":"string","pattern":"^x"},
		"c":{"anyOf":[{"type":"object","properties":{"k":{"const":1}},"required":["k"]},{"type":"integer"}]},
		"d":{"type":"number","exclusiveMinimum":0,"exclusiveMaximum":1}, "e":{"type":"array","minItems":1,"maxItems":1},
		"f":{"type":"number","minimum":3}}}`),
		func(context.Context, *RunContext[any], json.RawMessage) (any, error) { return nil, nil })
	require.NoError(t, err)
	for range 50 {
		_, err := tool.prepare(`{"a":"é","b":"y","c":{"k":2},"d":0,"e":[],"f":2}`)
		require.EqualError(t, err, "Error parsing arguments for `x`: field a: must have at least 2 characters; field b: must match ^x; "+
			"field c.k: must be 1, not 2; field d: must be more than 0; field e: must have at least 1 elements; field f: must be at least 3")
		_, err = tool.prepare(`{"a":"long","d":1,"e":[1,2]}`)
		require.EqualError(t, err, "Error parsing arguments for `x`: field a: must have at most 3 characters; field d: must be less than 1; field e: must have at most 1 elements")
	}
	odd, err := NewRawTool("odd", "", json.RawMessage(`{"type":"object","not":{"required":["a"]}}`),
		func(context.Context, *RunContext[any], json.RawMessage) (any, error) { return nil, nil })
	require.NoError(t, err)
	_, err = odd.prepare(`{"a":1}`)
	require.ErrorContains(t, err, "the arguments do not match the schema: not:")
}

type touchy struct{}

func (*touchy) UnmarshalText(text []byte) error {
	if string(text) == "boom" {
		panic("secret")
	}
	return nil
}

func TestPrepareDecodes(t *testing.T) {
	tool := ToolFunc("x", "", func(context.Context, struct {
		At    time.Time `json:"at"`
		Touch touchy    `json:"touch"`
	}) (any, error) {
		return nil, nil
	})
	_, err := tool.prepare(`{"touch":"fine","at":"yesterday"}`)
	require.ErrorContains(t, err, "Error parsing arguments for `x`: field at: parsing time")
	p, err := tool.prepare(`{"touch":"boom","at":"2025-01-02T03:04:05Z"}`)
	require.EqualError(t, err, "Error parsing arguments for `x`: field touch: could not be decoded")
	var panicked *PanicError
	require.ErrorAs(t, p.internal, &panicked)
	require.Equal(t, "secret", panicked.Value)
	require.Contains(t, string(panicked.Stack), "UnmarshalText")
}

func TestPrepareConcurrently(t *testing.T) {
	tool := ToolFunc("book", "", book)
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for range 50 {
				p, err := tool.prepare(`{"name":"a","room":"single"}`)
				assert.NoError(t, err)
				assert.Equal(t, bookArgs{Name: "a", Room: "single", Nights: 1}, p.in)
			}
		})
	}
	wg.Wait()
}

func FuzzPrepare(f *testing.F) {
	for _, s := range []string{
		``, `null`, `{}`, `{"name":"a","room":"single","nights":2,"note":null}`, `{name:'a', room: single`, `"{\"name\":1}"`,
		`{"name":"a","room":"single","nights":1e2,"tags":["x",1],"any":{"a":[1.0]}}<|end|>`, `{"lk_agents_confirm_duplicate":true}`,
	} {
		f.Add(s)
	}
	type args struct {
		bookArgs
		Tags []string       `json:"tags,omitempty"`
		Any  any            `json:"any,omitempty"`
		Map  map[string]int `json:"map,omitempty"`
		Page *Page          `json:"page"`
	}
	typed := ToolFunc("typed", "", func(context.Context, args) (any, error) { return nil, nil }, ToolOptions{OnDuplicate: ConfirmDuplicate})
	raw, err := NewRawTool("raw", "", json.RawMessage(`{"type":"object","properties":{"a":{"type":"integer"},"b":{"$ref":"#"}}}`),
		func(context.Context, *RunContext[any], json.RawMessage) (any, error) { return nil, nil })
	require.NoError(f, err)
	f.Fuzz(func(t *testing.T, s string) {
		for _, tool := range []*FunctionTool{typed, raw} {
			p, err := tool.prepare(s)
			if err != nil {
				require.True(t, strings.HasPrefix(err.Error(), "Error parsing arguments for `"+tool.name+"`: "))
				require.True(t, utf8.ValidString(err.Error()))
			} else {
				require.NotNil(t, p.in)
				require.True(t, json.Valid([]byte(p.key)))
			}
			v, perr := jsontree.Parse(p.canonical)
			require.NoError(t, perr)
			require.IsType(t, &jsontree.Object{}, v)
			again, errAgain := tool.prepare(p.canonical)
			require.Equal(t, p.canonical, again.canonical)
			if err == nil {
				require.NoError(t, errAgain)
				require.Equal(t, p.key, again.key)
			}
		}
	})
}

func BenchmarkPrepare(b *testing.B) {
	tool := ToolFunc("book", "", book)
	for name, raw := range map[string]string{
		"valid":    `{"name":"John","room":"double","nights":2,"note":"late arrival"}`,
		"repaired": `{name:'John', room: "double", nights: 2`,
		"rejected": `{"name":"John","room":"triple"}`,
	} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				_, _ = tool.prepare(raw)
			}
		})
	}
}
