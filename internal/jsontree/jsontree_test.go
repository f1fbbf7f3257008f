package jsontree

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math"
	"reflect"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestParse(t *testing.T) {
	tests := []struct{ name, in, want string }{
		{"order is kept", `{ "b" : 1, "a" : [ true , null ] }`, `{"b":1,"a":[true,null]}`},
		{"number text is kept", `[12345678901234567890123, 1.50, -0, 1E+2]`, `[12345678901234567890123,1.50,-0,1E+2]`},
		{"last of a name counts, in the first place", `{"a":1,"b":2,"a":3}`, `{"a":3,"b":2}`},
		{"escapes", `"\u0041\n\t\"\\\/\u00e9\ud83d\ude00"`, `"A\n\t\"\\/é😀"`},
		{"lone surrogate", `"\ud83d x"`, "\"\uFFFD x\""},
		{"two high surrogates", `"\ud83d\ud83d\ude00"`, "\"\uFFFD😀\""},
		{"invalid UTF-8", "\"a\xffb\"", "\"a\uFFFDb\""},
		{"control and separator", `"\u0001\u2028<>&"`, `"\u0001\u2028<>&"`},
		{"what looks like a template token", `{"a":"<|im_end|>"}`, `{"a":"<|im_end|>"}`},
		{"empty", ` {} `, `{}`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			v, err := Parse(tt.in)
			require.NoError(t, err)
			require.Equal(t, tt.want, string(Append(nil, v)))
		})
	}
	for _, in := range []string{``, `{`, `{a:1}`, `{'a':1}`, `[1,]`, `{"a":1}}`, `hello`, "\"a\nb\"",
		strings.Repeat("[", MaxDepth+1) + strings.Repeat("]", MaxDepth+1), strings.Repeat("[", 100_000)} {
		_, err := Parse(in)
		require.Error(t, err, "%.20s", in)
	}
}

func TestRepair(t *testing.T) {
	tests := []struct{ name, in, want string }{
		{"missing brace", `{"location": "Paris"`, `{"location":"Paris"}`},
		{"missing braces", `{"a": {"b": [1, 2`, `{"a":{"b":[1,2]}}`},
		{"missing bracket", `{"a": [1, 2}`, `{"a":[1,2]}`},
		{"missing opening brace", `"location": "Paris"}`, `{"location":"Paris"}`},
		{"no braces", `"location": "Paris", "days": 2`, `{"location":"Paris","days":2}`},
		{"no opening brace, bare name", `location: 3}`, `{"location":3}`},
		{"one brace too many", `{"a":1}}`, `{"a":1}`},
		{"bare names", `{location: "Paris", days: 2}`, `{"location":"Paris","days":2}`},
		{"bare words", `{unit: celsius, city: New York, at: 10:30}`, `{"unit":"celsius","city":"New York","at":"10:30"}`},
		{"Python", `{'a': True, 'b': False, 'c': None}`, `{"a":true,"b":false,"c":null}`},
		{"apostrophes", `{'name': 'O'Brien', 'b': 'it\'s'}`, `{"name":"O'Brien","b":"it's"}`},
		{"trailing commas", `{"a": [1, 2,], }`, `{"a":[1,2]}`},
		{"missing comma", `{"a": 1 "b": 2}`, `{"a":1,"b":2}`},
		{"template token at the end", `{"a": "b"}<|im_end|>`, `{"a":"b"}`},
		{"template token inside", `{"a": "b"<|tool_call_end|>}`, `{"a":"b"}`},
		{"template token as quote", `{city:<|"|>Paris, France<|"|>}`, `{"city":"Paris, France"}`},
		{"only a template token", `<|im_end|>`, `null`},
		{"fence", "```json\n{\"a\": 1}\n```", `{"a":1}`},
		{"raw line break", "{\"a\": \"x\ny\"}", `{"a":"x\ny"}`},
		{"unknown escape", `{"a": "\d\u12"`, `{"a":"\\d\\u12"}`},
		{"not quite a number", `{a: 1.2.3, b: 01, c: -}`, `{"a":"1.2.3","b":"01","c":"-"}`},
		{"single-quoted text", `'{"a": 1}'`, `"{\"a\": 1}"`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			v, err := Repair(tt.in)
			require.NoError(t, err)
			require.Equal(t, tt.want, string(Append(nil, v)))
		})
	}
	for _, in := range []string{
		`I will look that up for you.`, `Note: the order is late`, `{"a": "Par`, `{"a":`, `{"a" 1}`, `{"a":1} and more`,
		`{"a":1}{"a":2}`, `{:1}`, `{"a":1, ! }`, strings.Repeat("{a:", 10_000), strings.Repeat("[", 10_000),
	} {
		_, err := Repair(in)
		require.Error(t, err, "%.20s", in)
	}
}

func TestObject(t *testing.T) {
	o := &Object{}
	for i := range 40 { // past the size at which it is indexed
		o.Set(fmt.Sprint(i), i)
	}
	c := o.Clone()
	for i := range 40 {
		if i%3 == 0 {
			o.Delete(fmt.Sprint(i))
		}
		o.Set("39", "last")
		o.Delete("nothing")
	}
	for i := range 40 {
		v, ok := c.Get(fmt.Sprint(i))
		require.True(t, ok)
		require.Equal(t, i, v, "a change of the object reached its clone")
		_, ok = o.Get(fmt.Sprint(i))
		require.Equal(t, i%3 != 0 || i == 39, ok)
	}
	require.Equal(t, 40, c.Len())
}

func TestAppendSorted(t *testing.T) {
	v, err := Parse(`{"b":{"d":1,"c":[{"z":1,"y":2}]},"a":""}`)
	require.NoError(t, err)
	require.Equal(t, `{"a":"","b":{"c":[{"y":2,"z":1}],"d":1}}`, string(AppendSorted(nil, v)))
	require.Equal(t, `{"b":{"d":1,"c":[{"z":1,"y":2}]},"a":""}`, string(Append(nil, Copy(v))))
}

func TestPlain(t *testing.T) {
	v, err := Parse(`{"a":[1,18446744073709551615,1.5,1e999,12345678901234567890123],"b":null}`)
	require.NoError(t, err)
	require.Equal(t, map[string]any{
		"a": []any{int64(1), uint64(math.MaxUint64), 1.5, math.Inf(1), 12345678901234567890123.0},
		"b": nil,
	}, Plain(v))
}

// FuzzParse compares with package encoding/json.
func FuzzParse(f *testing.F) {
	for _, s := range []string{`{"a":[1,2.5e3,"x\u00e9\ud83d"],"b":{"c":null},"a":true}`, `"\ud83d\ude00"`, `[]`, ` 1 `} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		s = strings.ToValidUTF8(s, "?")
		v, err := Parse(s)
		dec := json.NewDecoder(strings.NewReader(s))
		dec.UseNumber()
		var want any
		if !json.Valid([]byte(s)) {
			require.Error(t, err)
			return
		}
		require.NoError(t, dec.Decode(&want))
		if err != nil {
			require.Contains(t, err.Error(), "nested too deeply")
			return
		}
		text := Append(nil, v)
		got := any(nil)
		dec = json.NewDecoder(bytes.NewReader(text))
		dec.UseNumber()
		require.NoError(t, dec.Decode(&got))
		if !reflect.DeepEqual(want, got) {
			t.Fatalf("Parse(%q) printed %s", s, text)
		}
		again, err := Parse(string(text))
		require.NoError(t, err)
		require.Equal(t, string(text), string(Append(nil, again)))
	})
}

func FuzzRepair(f *testing.F) {
	for _, s := range []string{`{'a': 'b', c: [1,2`, `"a": {b: True,},}}`, "```json\n{}\n```", `{a:<|"|>x<|"|>}<|end|>`, `{"a":"\u12`} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		v, err := Repair(s)
		if err != nil {
			return
		}
		text := string(Append(nil, v))
		again, err := Parse(text)
		require.NoError(t, err, "%q", text)
		require.Equal(t, text, string(Append(nil, again)))
	})
}
