package agents

import (
	"encoding"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"math/big"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/google/jsonschema-go/jsonschema"

	"github.com/parley-voice/agents/internal/jsontree"
)

// schemaOf returns the JSON schema of a tool's input type: a struct, a pointer to one, or a map with string keys.
//
// Properties come in field order, with the names that package encoding/json gives them. A field's jsonschema tag is its
// description, its enum tag lists the values it may have (for a slice, its elements), and its default tag is the value
// it has when the model leaves it out: text for a string, JSON for anything else. A field is optional if it is a
// pointer, has a default, or is marked omitempty or omitzero. Properties that are not fields are rejected.
func schemaOf(in reflect.Type) (*jsontree.Object, error) {
	t := in
	if t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	switch {
	case t.Kind() == reflect.Struct:
	case t.Kind() == reflect.Map && t.Key().Kind() == reflect.String:
	default:
		return nil, fmt.Errorf("its input is %s, and must be a struct, a pointer to a struct or a map[string]X", in)
	}
	r := reflector{overrides: map[reflect.Type]*jsonschema.Schema{}}
	if err := r.check(t, nil, ""); err != nil {
		return nil, err
	}
	s, err := jsonschema.ForType(t, &jsonschema.ForOptions{TypeSchemas: r.overrides})
	if err != nil {
		return nil, err
	}
	if s.Type != "object" {
		return nil, fmt.Errorf("its input %s decodes itself, so its schema is not known; use NewRawTool", t)
	}
	if err := r.annotate(s, t, ""); err != nil {
		return nil, err
	}
	text, err := json.Marshal(s)
	if err != nil {
		return nil, err
	}
	v, err := jsontree.Parse(string(text))
	if err != nil {
		return nil, err
	}
	tree := v.(*jsontree.Object)
	if _, ok := tree.Get("properties"); !ok {
		tree.Set("properties", &jsontree.Object{})
	}
	return tree, nil
}

// A reflector holds what is known of the types of one schema.
type reflector struct {
	// overrides are the schemas of types whose JSON does not follow from their structure.
	overrides map[reflect.Type]*jsonschema.Schema
}

// badDescription matches the jsonschema tags that the library rejects.
var badDescription = regexp.MustCompile("^$|^[^ \t\n]*=")

var (
	jsonUnmarshaler = reflect.TypeFor[json.Unmarshaler]()
	textUnmarshaler = reflect.TypeFor[encoding.TextUnmarshaler]()
)

// override notes the schema of a type whose JSON does not follow from its structure, and reports whether it is one.
func (r *reflector) override(t reflect.Type) bool {
	if r.overrides[t] != nil {
		return true
	}
	var s *jsonschema.Schema
	switch t {
	case reflect.TypeFor[json.RawMessage]():
		s = &jsonschema.Schema{}
	case reflect.TypeFor[json.Number]():
		s = &jsonschema.Schema{Type: "number"}
	case reflect.TypeFor[big.Int]():
		s = &jsonschema.Schema{Type: "integer"}
	case reflect.TypeFor[time.Time]():
		s = &jsonschema.Schema{Type: "string", Format: "date-time"}
	case reflect.TypeFor[big.Rat](), reflect.TypeFor[big.Float](), reflect.TypeFor[slog.Level]():
		s = &jsonschema.Schema{Type: "string"}
	default:
		switch p := reflect.PointerTo(t); {
		case t.Kind() == reflect.Interface:
			return false
		case p.Implements(jsonUnmarshaler):
			s = &jsonschema.Schema{}
		case p.Implements(textUnmarshaler):
			s = &jsonschema.Schema{Type: "string"}
		case t.Kind() == reflect.Slice && t.Elem().Kind() == reflect.Uint8:
			s = &jsonschema.Schema{Type: "string", ContentEncoding: "base64"}
		default:
			return false
		}
	}
	r.overrides[t] = s
	return true
}

// check finds overrides, and whatever cannot be given a schema that package encoding/json agrees with. within are the
// types around t, and path is the field it is the type of.
func (r *reflector) check(t reflect.Type, within []reflect.Type, path string) error {
	if r.override(t) {
		return nil
	}
	if t.Name() != "" {
		if slices.Contains(within, t) {
			return fmt.Errorf("field %s: %s contains itself; use NewRawTool", path, t)
		}
		within = append(within, t)
	}
	switch t.Kind() {
	case reflect.Pointer, reflect.Slice, reflect.Array:
		return r.check(t.Elem(), within, path)
	case reflect.Map:
		if t.Key().Kind() != reflect.String {
			return fmt.Errorf("%s: the keys of %s are not strings", describeField(path), t)
		}
		return r.check(t.Elem(), within, path)
	case reflect.Struct:
		return r.checkFields(t, within, path)
	case reflect.Interface:
		if t.NumMethod() > 0 {
			return fmt.Errorf("%s: nothing can be decoded into the interface %s", describeField(path), t)
		}
	case reflect.Func, reflect.Chan, reflect.Complex64, reflect.Complex128, reflect.UnsafePointer:
		return fmt.Errorf("%s: %s is not supported", describeField(path), t)
	}
	return nil
}

func (r *reflector) checkFields(t reflect.Type, within []reflect.Type, path string) error {
	names := map[string]bool{}
	for _, f := range reflect.VisibleFields(t) {
		if f.Anonymous {
			elem := f.Type
			if elem.Kind() == reflect.Pointer {
				elem = elem.Elem()
			}
			name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
			switch {
			case elem.Kind() != reflect.Struct || name != "":
				return fmt.Errorf("field %s: give the embedded field a name", join(path, f.Name))
			case f.Type.Kind() == reflect.Pointer && !f.IsExported():
				return fmt.Errorf("field %s: an embedded pointer must be of an exported type", join(path, f.Name))
			case slices.Contains(within, elem):
				return fmt.Errorf("field %s: %s contains itself; use NewRawTool", join(path, f.Name), elem)
			}
			continue
		}
		p, ok := propertyOf(f)
		if !ok {
			continue
		}
		field := join(path, p.name)
		if names[p.name] {
			return fmt.Errorf("field %s: there are two of that name", field)
		}
		names[p.name] = true
		if p.quoted {
			return fmt.Errorf("field %s: the json option string is not supported", field)
		}
		if tag, ok := f.Tag.Lookup("jsonschema"); ok && badDescription.MatchString(tag) {
			return fmt.Errorf("field %s: its jsonschema tag %q must be a description that does not begin with WORD=", field, tag)
		}
		if err := r.check(f.Type, within, field); err != nil {
			return err
		}
	}
	return nil
}

// annotate adds to the schema of t what the library leaves out, and makes null the same as absent: the library takes
// null for every pointer and slice, which tells a model nothing.
func (r *reflector) annotate(s *jsonschema.Schema, t reflect.Type, path string) error {
	for t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	if r.overrides[t] != nil {
		return nil
	}
	switch t.Kind() {
	case reflect.Slice, reflect.Array:
		dropNull(s)
		return r.annotate(s.Items, t.Elem(), path)
	case reflect.Map:
		return r.annotate(s.AdditionalProperties, t.Elem(), path)
	case reflect.Struct:
	default:
		return nil
	}
	for _, f := range reflect.VisibleFields(t) {
		p, ok := propertyOf(f)
		if !ok || f.Anonymous {
			continue
		}
		field := join(path, p.name)
		ps := s.Properties[p.name]
		if f.Type.Kind() == reflect.Pointer {
			dropNull(ps)
		}
		if err := r.annotate(ps, f.Type, field); err != nil {
			return err
		}
		if tag, ok := f.Tag.Lookup("enum"); ok {
			if err := setEnum(ps, tag); err != nil {
				return fmt.Errorf("field %s: enum %q: %w", field, tag, err)
			}
		}
		if tag, ok := f.Tag.Lookup("default"); ok {
			if err := setDefault(ps, tag); err != nil {
				return fmt.Errorf("field %s: default %q: %w", field, tag, err)
			}
			p.optional = true
		}
		if p.optional {
			s.Required = slices.DeleteFunc(s.Required, func(name string) bool { return name == p.name })
		}
	}
	return nil
}

// A property is what package encoding/json makes of a field.
type property struct {
	name     string
	optional bool
	quoted   bool // decoded from a string
}

// propertyOf returns the property of a field, if it has one.
func propertyOf(f reflect.StructField) (property, bool) {
	tag := f.Tag.Get("json")
	if !f.IsExported() || tag == "-" {
		return property{}, false
	}
	name, rest, _ := strings.Cut(tag, ",")
	options := strings.Split(rest, ",")
	p := property{
		name:     name,
		optional: f.Type.Kind() == reflect.Pointer || slices.Contains(options, "omitempty") || slices.Contains(options, "omitzero"),
		quoted:   slices.Contains(options, "string"),
	}
	if name == "" {
		p.name = f.Name
	}
	return p, true
}

// dropNull takes the type null out of a schema.
func dropNull(s *jsonschema.Schema) {
	s.Types = slices.DeleteFunc(s.Types, func(t string) bool { return t == "null" })
	switch len(s.Types) {
	case 0:
		s.Types = nil
	case 1:
		s.Type, s.Types = s.Types[0], nil
	}
}

// setEnum limits a schema, or for an array its elements, to the values of an enum tag.
func setEnum(s *jsonschema.Schema, tag string) error {
	if s.Type == "array" {
		s = s.Items
	}
	for text := range strings.SplitSeq(tag, ",") {
		text = strings.TrimSpace(text)
		var v any
		var err error
		switch s.Type {
		case "string":
			v = text
			if text == "" {
				err = errors.New("a value is empty")
			}
		case "integer":
			v, err = strconv.ParseInt(text, 10, 64)
		case "number":
			v, err = strconv.ParseFloat(text, 64)
		default:
			err = errors.New("only strings and numbers, and slices of them, can have one")
		}
		if err != nil {
			return err
		}
		if slices.Contains(s.Enum, v) {
			return fmt.Errorf("%v is there twice", v)
		}
		s.Enum = append(s.Enum, v)
	}
	return nil
}

// setDefault sets a schema's default from a default tag.
func setDefault(s *jsonschema.Schema, tag string) error {
	if s.Type == "string" {
		s.Default = jsontree.AppendString(nil, tag)
		return nil
	}
	if !json.Valid([]byte(tag)) {
		return errors.New("not valid JSON")
	}
	s.Default = json.RawMessage(tag)
	return nil
}

// join returns the path of a field within the one at path.
func join(path, name string) string {
	if path == "" {
		return name
	}
	return path + "." + name
}

func describeField(path string) string {
	if path == "" {
		return "its input"
	}
	return "field " + path
}
