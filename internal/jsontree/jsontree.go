// Package jsontree reads JSON into trees that keep the order of members and the text of numbers, writes such trees, and
// repairs the almost-JSON that language models sometimes write.
//
// A tree is made of nil, bool, string, [json.Number], []any and *[Object]. Strings are valid UTF-8.
package jsontree

import (
	"encoding/json"
	"slices"
	"strconv"
	"unicode/utf8"
)

// MaxDepth is how deeply objects and arrays may be nested.
const MaxDepth = 128

// An Object is a JSON object that remembers the order of its members. Its names are unique. The zero value is empty.
type Object struct {
	members []Member
	index   map[string]int // nil while the object is small
}

// A Member is a name and a value.
type Member struct {
	Name  string
	Value any
}

// indexed is the size from which an object is looked up through a map.
const indexed = 16

// Len returns the number of members.
func (o *Object) Len() int { return len(o.members) }

// Members returns the members in order. The slice must not be changed.
func (o *Object) Members() []Member { return o.members }

func (o *Object) find(name string) int {
	if o.index != nil {
		if i, ok := o.index[name]; ok {
			return i
		}
		return -1
	}
	for i := range o.members {
		if o.members[i].Name == name {
			return i
		}
	}
	return -1
}

// Get returns the member called name.
func (o *Object) Get(name string) (any, bool) {
	if i := o.find(name); i >= 0 {
		return o.members[i].Value, true
	}
	return nil, false
}

// Set changes the member called name, or appends it.
func (o *Object) Set(name string, v any) {
	if i := o.find(name); i >= 0 {
		o.members[i].Value = v
		return
	}
	o.members = append(o.members, Member{name, v})
	switch {
	case o.index != nil:
		o.index[name] = len(o.members) - 1
	case len(o.members) >= indexed:
		o.reindex()
	}
}

// Delete removes the member called name, if there is one.
func (o *Object) Delete(name string) {
	i := o.find(name)
	if i < 0 {
		return
	}
	o.members = slices.Delete(o.members, i, i+1)
	if o.index != nil {
		o.reindex()
	}
}

func (o *Object) reindex() {
	o.index = make(map[string]int, 2*len(o.members))
	for i, m := range o.members {
		o.index[m.Name] = i
	}
}

// Clone returns a copy of the object that shares the values.
func (o *Object) Clone() *Object {
	c := &Object{members: slices.Clone(o.members)}
	if o.index != nil {
		c.reindex()
	}
	return c
}

// Append appends the compact text of a tree to dst.
func Append(dst []byte, v any) []byte { return appendValue(dst, v, false) }

// AppendSorted is like [Append], with the members of every object sorted by name.
func AppendSorted(dst []byte, v any) []byte { return appendValue(dst, v, true) }

func appendValue(dst []byte, v any, sorted bool) []byte {
	switch v := v.(type) {
	case nil:
		return append(dst, "null"...)
	case bool:
		return strconv.AppendBool(dst, v)
	case string:
		return AppendString(dst, v)
	case json.Number:
		return append(dst, v...)
	case []any:
		dst = append(dst, '[')
		for i, e := range v {
			if i > 0 {
				dst = append(dst, ',')
			}
			dst = appendValue(dst, e, sorted)
		}
		return append(dst, ']')
	case *Object:
		members := v.members
		if sorted {
			members = slices.SortedFunc(slices.Values(members), func(a, b Member) int {
				if a.Name < b.Name {
					return -1
				}
				return 1
			})
		}
		dst = append(dst, '{')
		for i, m := range members {
			if i > 0 {
				dst = append(dst, ',')
			}
			dst = append(AppendString(dst, m.Name), ':')
			dst = appendValue(dst, m.Value, sorted)
		}
		return append(dst, '}')
	}
	panic("jsontree: not a tree")
}

// AppendString appends s as a JSON string. It escapes no more than JSON, and JavaScript's line separators, ask for.
func AppendString(dst []byte, s string) []byte {
	const hex = "0123456789abcdef"
	dst = append(dst, '"')
	start := 0
	for i := 0; i < len(s); {
		b := s[i]
		if b >= utf8.RuneSelf {
			r, n := utf8.DecodeRuneInString(s[i:])
			switch {
			case r == utf8.RuneError && n == 1:
				dst = append(dst, s[start:i]...)
				dst = append(dst, `\ufffd`...)
				start = i + n
			case r == '\u2028' || r == '\u2029':
				dst = append(dst, s[start:i]...)
				dst = append(dst, `\u202`...)
				dst = append(dst, hex[r&15])
				start = i + n
			}
			i += n
			continue
		}
		if b >= ' ' && b != '"' && b != '\\' {
			i++
			continue
		}
		dst = append(dst, s[start:i]...)
		switch b {
		case '"', '\\':
			dst = append(dst, '\\', b)
		case '\n':
			dst = append(dst, '\\', 'n')
		case '\r':
			dst = append(dst, '\\', 'r')
		case '\t':
			dst = append(dst, '\\', 't')
		default:
			dst = append(dst, '\\', 'u', '0', '0', hex[b>>4], hex[b&15])
		}
		i++
		start = i
	}
	dst = append(dst, s[start:]...)
	return append(dst, '"')
}

// Plain returns the tree as the types of package encoding/json, with integers that fit as int64 or uint64 and every
// other number as float64. A number too large for a float64 becomes an infinity.
func Plain(v any) any {
	switch v := v.(type) {
	case json.Number:
		if i, err := strconv.ParseInt(string(v), 10, 64); err == nil {
			return i
		}
		if u, err := strconv.ParseUint(string(v), 10, 64); err == nil {
			return u
		}
		f, _ := strconv.ParseFloat(string(v), 64)
		return f
	case []any:
		out := make([]any, len(v))
		for i, e := range v {
			out[i] = Plain(e)
		}
		return out
	case *Object:
		out := make(map[string]any, len(v.members))
		for _, m := range v.members {
			out[m.Name] = Plain(m.Value)
		}
		return out
	}
	return v
}

// Copy returns a copy of the tree that shares nothing that can change.
func Copy(v any) any {
	switch v := v.(type) {
	case []any:
		out := make([]any, len(v))
		for i, e := range v {
			out[i] = Copy(e)
		}
		return out
	case *Object:
		out := v.Clone()
		for i := range out.members {
			out.members[i].Value = Copy(out.members[i].Value)
		}
		return out
	}
	return v
}
