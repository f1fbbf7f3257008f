package agents

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"

	"github.com/parley-voice/agents/internal/jsontree"
)

// StrictSchema turns the JSON schema of an object into the form that providers want in order to guarantee that a model
// keeps to it: no object takes properties it does not list, all of its properties are required, and those that were
// optional may be null, which stands for leaving them out. oneOf becomes anyOf, unions and allOf of one member are
// replaced by it, a union with null becomes a nullable type, a $ref beside other keywords is replaced by what it
// refers to, and titles, defaults, discriminators and what no provider checks are left out.
//
// The order of properties is kept, as models write them in that order. Some schemas have no such form, among them
// those with open objects, values of any kind, or conditions; for them StrictSchema returns an error that says why.
func StrictSchema(raw json.RawMessage) (json.RawMessage, error) {
	v, err := jsontree.Parse(string(raw))
	if err != nil {
		return nil, fmt.Errorf("agents: strict schema: %w", err)
	}
	tree, ok := v.(*jsontree.Object)
	if !ok {
		return nil, errors.New("agents: strict schema: not a JSON object")
	}
	strict, err := strictSchema(tree)
	if err != nil {
		return nil, fmt.Errorf("agents: strict schema: %w", err)
	}
	return jsontree.Append(nil, strict), nil
}

func strictSchema(tree *jsontree.Object) (*jsontree.Object, error) {
	c := strictener{root: tree}
	out, err := c.schema(tree, "#", 0)
	if err != nil {
		return nil, err
	}
	if ref, ok := out.Get("$ref"); ok && out.Len() <= 3 { // at the root, providers want the object itself
		target, err := resolveRef(tree, ref)
		if err != nil {
			return nil, err
		}
		inlined, err := c.schema(target, "#", 1)
		if err != nil {
			return nil, err
		}
		for _, m := range out.Members() {
			if m.Name != "$ref" {
				inlined.Set(m.Name, m.Value)
			}
		}
		out = inlined
	}
	if typ, _ := out.Get("type"); typ != "object" {
		return nil, errors.New("the schema is not that of an object")
	}
	return out, nil
}

// A strictener makes strict forms of the parts of one schema. It never changes the schema it is given.
type strictener struct {
	root *jsontree.Object
	size int // of the form so far, in schemas
}

// maxStrictSize limits how large a schema may grow by replacing references.
const maxStrictSize = 5000

// strictDrop are the keywords that strict forms go without. Arguments are checked against the whole schema later.
var strictDrop = map[string]bool{
	"$anchor": true, "$comment": true, "$dynamicAnchor": true, "$id": true, "$schema": true, "contains": true,
	"contentEncoding": true, "contentMediaType": true, "contentSchema": true, "default": true, "deprecated": true,
	"discriminator": true, "examples": true, "maxContains": true, "maxProperties": true, "minContains": true,
	"minProperties": true, "propertyNames": true, "readOnly": true, "required": true, "title": true,
	"unevaluatedItems": true, "unevaluatedProperties": true, "uniqueItems": true, "writeOnly": true,
}

// strictRefuse are the keywords without which a schema would mean something else.
var strictRefuse = []string{
	"additionalItems", "dependencies", "dependentRequired", "dependentSchemas", "else", "if", "not",
	"patternProperties", "prefixItems", "then", "$dynamicRef", "$recursiveRef",
}

// schema returns the strict form of the schema at path. depth counts the references that were followed.
func (c *strictener) schema(schema any, path string, depth int) (*jsontree.Object, error) {
	o, ok := schema.(*jsontree.Object)
	if !ok {
		return nil, fmt.Errorf("%s takes any value, or none", path)
	}
	if c.size++; depth > jsontree.MaxDepth || c.size > maxStrictSize {
		return nil, fmt.Errorf("%s: the schema does not end", path)
	}
	o, err := c.flatten(o, path, depth)
	if err != nil {
		return nil, err
	}
	for _, keyword := range strictRefuse {
		if _, ok := o.Get(keyword); ok {
			return nil, fmt.Errorf("%s uses %s", path, keyword)
		}
	}
	out := &jsontree.Object{}
	for _, m := range o.Members() {
		if strictDrop[m.Name] {
			continue
		}
		v := m.Value
		switch m.Name {
		case "properties":
			v, err = c.properties(o, path, depth)
		case "$defs", "definitions":
			v, err = c.group(v, path+"/"+m.Name, depth)
		case "items":
			v, err = c.schema(v, path+"/items", depth+1)
		case "anyOf":
			v, err = c.variants(v, path+"/anyOf", depth)
		case "additionalProperties":
			if v != false {
				err = fmt.Errorf("%s takes properties that it does not list", path)
			}
		}
		if err != nil {
			return nil, err
		}
		out.Set(m.Name, v)
	}
	if isObjectSchema(o) {
		if err := closeObject(out, path); err != nil {
			return nil, err
		}
	}
	return simplify(out, path)
}

// flatten merges into a schema what stands in for it: a $ref beside other keywords, an allOf of one, and turns oneOf
// into anyOf.
func (c *strictener) flatten(o *jsontree.Object, path string, depth int) (*jsontree.Object, error) {
	for ; depth <= jsontree.MaxDepth; depth++ {
		var inner any
		ref, hasRef := o.Get("$ref")
		all, hasAll := o.Get("allOf")
		switch {
		case hasAll:
			list, _ := all.([]any)
			if len(list) != 1 {
				return nil, fmt.Errorf("%s uses allOf with %d members", path, len(list))
			}
			inner = list[0]
			o = o.Clone()
			o.Delete("allOf")
		case hasRef && len(siblings(o)) > 0:
			var err error
			if inner, err = resolveRef(c.root, ref); err != nil {
				return nil, err
			}
			o = o.Clone()
			o.Delete("$ref")
		default:
			if _, ok := o.Get("oneOf"); ok {
				if _, ok := o.Get("anyOf"); ok {
					return nil, fmt.Errorf("%s uses both anyOf and oneOf", path)
				}
				renamed := &jsontree.Object{}
				for _, m := range o.Members() {
					if m.Name == "oneOf" {
						m.Name = "anyOf"
					}
					renamed.Set(m.Name, m.Value)
				}
				return renamed, nil
			}
			return o, nil
		}
		target, ok := inner.(*jsontree.Object)
		if !ok {
			return nil, fmt.Errorf("%s takes any value, or none", path)
		}
		merged := target.Clone()
		for _, m := range o.Members() {
			if _, both := target.Get(m.Name); both && !strictDrop[m.Name] && m.Name != "description" && m.Name != "type" {
				return nil, fmt.Errorf("%s combines two schemas that both have %s", path, m.Name)
			}
			merged.Set(m.Name, m.Value)
		}
		o = merged
	}
	return nil, fmt.Errorf("%s: the schema does not end", path)
}

// siblings returns the keywords beside a $ref, but for definitions.
func siblings(o *jsontree.Object) []string {
	var names []string
	for _, m := range o.Members() {
		if m.Name != "$ref" && m.Name != "$defs" && m.Name != "definitions" && !strictDrop[m.Name] {
			names = append(names, m.Name)
		}
	}
	return names
}

// isObjectSchema reports whether a schema is that of an object, nullable or not.
func isObjectSchema(o *jsontree.Object) bool {
	typ, _ := o.Get("type")
	if list, ok := typ.([]any); ok {
		return slices.Contains(list, any("object"))
	}
	_, props := o.Get("properties")
	return typ == "object" || typ == nil && props
}

// closeObject makes an object take its own properties, all of them, and no others.
func closeObject(out *jsontree.Object, path string) error {
	v, ok := out.Get("properties")
	if !ok {
		if v, ok := out.Get("additionalProperties"); !ok || v != false {
			return fmt.Errorf("%s takes properties that it does not list", path)
		}
		v = &jsontree.Object{}
		out.Set("properties", v)
	}
	var names []any
	for _, m := range v.(*jsontree.Object).Members() {
		names = append(names, m.Name)
	}
	if names != nil {
		out.Set("required", names)
	}
	out.Set("additionalProperties", false)
	return nil
}

// properties returns the strict forms of an object's properties, with the optional ones nullable.
func (c *strictener) properties(o *jsontree.Object, path string, depth int) (any, error) {
	v, _ := o.Get("properties")
	props, ok := v.(*jsontree.Object)
	if !ok {
		return nil, fmt.Errorf("%s: malformed properties", path)
	}
	required := []string{}
	if v, ok := o.Get("required"); ok {
		if required, ok = stringList(v); !ok {
			return nil, fmt.Errorf("%s: malformed required", path)
		}
	}
	out := &jsontree.Object{}
	for _, m := range props.Members() {
		at := path + "/properties/" + m.Name
		s, err := c.schema(m.Value, at, depth+1)
		if err != nil {
			return nil, err
		}
		hasDefault := false
		if p, ok := m.Value.(*jsontree.Object); ok {
			_, hasDefault = p.Get("default")
		}
		if hasDefault || !slices.Contains(required, m.Name) {
			s = nullable(s)
		}
		out.Set(m.Name, s)
	}
	return out, nil
}

// group returns the strict forms of an object of schemas.
func (c *strictener) group(v any, path string, depth int) (any, error) {
	schemas, ok := v.(*jsontree.Object)
	if !ok {
		return nil, fmt.Errorf("%s: not an object", path)
	}
	out := &jsontree.Object{}
	for _, m := range schemas.Members() {
		s, err := c.schema(m.Value, path+"/"+m.Name, depth+1)
		if err != nil {
			return nil, err
		}
		out.Set(m.Name, s)
	}
	return out, nil
}

// variants returns the strict forms of the members of a union, without those that are empty.
func (c *strictener) variants(v any, path string, depth int) (any, error) {
	list, ok := v.([]any)
	if !ok {
		return nil, fmt.Errorf("%s: not a list", path)
	}
	out := []any{}
	for _, e := range list {
		if o, ok := e.(*jsontree.Object); ok && o.Len() == 0 {
			continue
		}
		s, err := c.schema(e, path, depth+1)
		if err != nil {
			return nil, err
		}
		out = append(out, s)
	}
	if len(out) == 0 {
		return nil, fmt.Errorf("%s has no members", path)
	}
	return out, nil
}

// simplify replaces a union of one by its member, and a union of a type and null by a nullable type.
func simplify(o *jsontree.Object, path string) (*jsontree.Object, error) {
	v, ok := o.Get("anyOf")
	if !ok {
		for _, keyword := range []string{"type", "enum", "const", "$ref"} {
			if _, ok := o.Get(keyword); ok {
				return o, nil
			}
		}
		return nil, fmt.Errorf("%s takes any value", path)
	}
	list := v.([]any)
	var rest []*jsontree.Object
	for _, e := range list {
		if variant := e.(*jsontree.Object); !isNullSchema(variant) {
			rest = append(rest, variant)
		}
	}
	if len(rest) != 1 {
		return o, nil
	}
	only := rest[0]
	if len(list) > 1 {
		typ, _ := only.Get("type")
		if _, simple := typ.(string); !simple {
			return o, nil
		}
		only = nullable(only)
	}
	merged := only.Clone()
	for _, m := range o.Members() {
		if m.Name != "anyOf" {
			merged.Set(m.Name, m.Value)
		}
	}
	return merged, nil
}

func isNullSchema(o *jsontree.Object) bool {
	typ, _ := o.Get("type")
	return typ == "null"
}

// nullable returns a strict schema that also takes null, unless it is a constant.
func nullable(o *jsontree.Object) *jsontree.Object {
	if _, ok := o.Get("const"); ok {
		return o
	}
	out := o.Clone()
	if list, ok := o.Get("anyOf"); ok {
		for _, e := range list.([]any) {
			if isNullSchema(e.(*jsontree.Object)) {
				return o
			}
		}
		out.Set("anyOf", append(slices.Clone(list.([]any)), nullSchema()))
		return out
	}
	if _, ok := o.Get("$ref"); ok {
		union := &jsontree.Object{}
		union.Set("anyOf", []any{o, nullSchema()})
		return union
	}
	switch typ, _ := o.Get("type"); typ := typ.(type) {
	case string:
		if typ != "null" {
			out.Set("type", []any{typ, "null"})
		}
	case []any:
		if !slices.Contains(typ, any("null")) {
			out.Set("type", append(slices.Clone(typ), "null"))
		}
	}
	if enum, ok := o.Get("enum"); ok {
		if list, ok := enum.([]any); ok && !slices.ContainsFunc(list, func(v any) bool { return v == nil }) {
			out.Set("enum", append(slices.Clone(list), nil))
		}
	}
	return out
}

func nullSchema() *jsontree.Object {
	o := &jsontree.Object{}
	o.Set("type", "null")
	return o
}
