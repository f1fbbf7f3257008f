package agents

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"regexp"
	"strconv"
	"strings"

	"github.com/google/jsonschema-go/jsonschema"

	"github.com/parley-voice/agents/internal/jsontree"
)

// A toolSchema is a schema ready for use: to validate arguments, to fill in defaults and to explain what is wrong.
type toolSchema struct {
	tree     *jsontree.Object
	root     *schemaNode
	resolved *jsonschema.Resolved // decides whether arguments are valid
}

// A schemaNode is the part of a schema that we look at ourselves. What it leaves out is the library's to judge.
type schemaNode struct {
	types      []string
	enum       []any // nil if there is none; a const is an enum of one
	properties []propertyNode
	required   []string
	additional *schemaNode // of properties that are not listed; nil if there is none or it is a boolean
	closed     bool        // properties that are not listed are rejected
	patterns   bool        // patternProperties says more on them
	items      *schemaNode
	anyOf      []*schemaNode // or oneOf
	allOf      []*schemaNode
	ref        *schemaNode
	inPlace    []*schemaNode // all that apply to the same value: anyOf, not, $ref and the like
	limits     []limit
	pattern    *regexp.Regexp // nil if there is none, or none that Go can match
	fallback   any            // the default
	hasDefault bool
}

// A limit is a keyword that compares a number, a length or a count, such as minLength.
type limit struct {
	keyword string
	n       float64
}

type propertyNode struct {
	name string
	*schemaNode
}

// compileSchema checks a schema and makes it ready for use. ours says that it was made from a Go type, so that its
// defaults count and must be valid.
func compileSchema(tree *jsontree.Object, ours bool) (*toolSchema, error) {
	c := schemaCompiler{root: tree, nodes: map[*jsontree.Object]*schemaNode{}}
	root, err := c.node(tree, "")
	if err != nil {
		return nil, err
	}
	done := map[*schemaNode]bool{}
	for _, n := range c.nodes {
		if err := n.checkLoops(done); err != nil {
			return nil, err
		}
	}
	var s jsonschema.Schema
	if err := json.Unmarshal(jsontree.Append(nil, checkable(tree)), &s); err != nil {
		return nil, err
	}
	resolved, err := s.Resolve(&jsonschema.ResolveOptions{ValidateDefaults: ours})
	if err != nil {
		return nil, err
	}
	return &toolSchema{tree: tree, root: root, resolved: resolved}, nil
}

// schemaCompiler makes nodes. Each schema of the tree becomes one node, also when it is referred to again and again.
type schemaCompiler struct {
	root  *jsontree.Object
	nodes map[*jsontree.Object]*schemaNode
}

func (c *schemaCompiler) node(schema any, path string) (*schemaNode, error) {
	if _, ok := schema.(bool); ok {
		return &schemaNode{}, nil // left to the library
	}
	o, ok := schema.(*jsontree.Object)
	if !ok {
		return nil, fmt.Errorf("schema%s: not an object", path)
	}
	if n := c.nodes[o]; n != nil {
		return n, nil
	}
	n := &schemaNode{}
	c.nodes[o] = n
	var err error
	fail := func(err error) error { return fmt.Errorf("schema%s: %w", path, err) }
	for _, m := range o.Members() {
		ok := true
		switch m.Name {
		case "type":
			n.types, ok = typeNames(m.Value)
		case "enum":
			n.enum, ok = m.Value.([]any)
		case "const":
			n.enum = []any{m.Value}
		case "default":
			n.fallback, n.hasDefault = m.Value, true
		case "required":
			n.required, ok = stringList(m.Value)
		case "properties":
			var props *jsontree.Object
			if props, ok = m.Value.(*jsontree.Object); ok {
				for _, p := range props.Members() {
					pn, err := c.node(p.Value, path+"/properties/"+p.Name)
					if err != nil {
						return nil, err
					}
					n.properties = append(n.properties, propertyNode{p.Name, pn})
				}
			}
		case "additionalProperties":
			if open, isBool := m.Value.(bool); isBool {
				n.closed = !open
			} else {
				n.additional, err = c.node(m.Value, path+"/additionalProperties")
			}
		case "items":
			if _, isList := m.Value.([]any); !isList {
				n.items, err = c.node(m.Value, path+"/items")
			}
		case "anyOf", "oneOf":
			n.anyOf, err = c.list(m.Value, path+"/"+m.Name)
			n.inPlace = append(n.inPlace, n.anyOf...)
		case "allOf":
			n.allOf, err = c.list(m.Value, path+"/allOf")
			n.inPlace = append(n.inPlace, n.allOf...)
		case "$ref":
			if n.ref, err = c.ref(m.Value); err == nil {
				n.inPlace = append(n.inPlace, n.ref)
			}
		case "minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "minLength", "maxLength", "minItems", "maxItems":
			var number json.Number
			if number, ok = m.Value.(json.Number); ok {
				l := limit{keyword: m.Name}
				l.n, _ = number.Float64()
				n.limits = append(n.limits, l)
			}
		case "pattern":
			var text string
			if text, ok = m.Value.(string); ok {
				n.pattern, _ = regexp.Compile(text)
			}
		case "$dynamicRef", "$recursiveRef":
			err = fail(errors.New(m.Name + " is not supported"))
		default:
			n.patterns = n.patterns || m.Name == "patternProperties"
			err = c.others(n, m, path+"/"+m.Name)
		}
		if !ok {
			err = fail(fmt.Errorf("malformed %s", m.Name))
		}
		if err != nil {
			return nil, err
		}
	}
	return n, nil
}

// others visits the schemas under a keyword that we leave to the library.
func (c *schemaCompiler) others(n *schemaNode, m jsontree.Member, path string) error {
	var schemas []any
	switch schemaChildren[m.Name] {
	case 's':
		schemas = []any{m.Value}
	case 'l':
		schemas, _ = m.Value.([]any)
	case 'o':
		if group, ok := m.Value.(*jsontree.Object); ok {
			for _, e := range group.Members() {
				schemas = append(schemas, e.Value)
			}
		}
	}
	for _, s := range schemas {
		if _, ok := s.(*jsontree.Object); !ok {
			continue
		}
		child, err := c.node(s, path)
		if err != nil {
			return err
		}
		switch m.Name {
		case "not", "if", "then", "else", "dependentSchemas", "dependencies":
			n.inPlace = append(n.inPlace, child)
		}
	}
	return nil
}

func (c *schemaCompiler) list(v any, path string) ([]*schemaNode, error) {
	list, ok := v.([]any)
	if !ok {
		return nil, fmt.Errorf("schema%s: not a list", path)
	}
	var nodes []*schemaNode
	for i, e := range list {
		n, err := c.node(e, path+"/"+strconv.Itoa(i))
		if err != nil {
			return nil, err
		}
		nodes = append(nodes, n)
	}
	return nodes, nil
}

func (c *schemaCompiler) ref(v any) (*schemaNode, error) {
	target, err := resolveRef(c.root, v)
	if err != nil {
		return nil, err
	}
	return c.node(target, " "+v.(string))
}

// resolveRef returns what a $ref within a schema refers to. Only references into the schema itself are followed.
func resolveRef(root *jsontree.Object, ref any) (any, error) {
	text, _ := ref.(string)
	path, ok := strings.CutPrefix(text, "#")
	if !ok || path != "" && path[0] != '/' {
		return nil, fmt.Errorf("schema: $ref %q is not supported; only references such as #/$defs/name are", text)
	}
	path, err := url.PathUnescape(path)
	if err != nil {
		return nil, fmt.Errorf("schema: $ref %q: %w", text, err)
	}
	var v any = root
	for part := range strings.SplitSeq(strings.TrimPrefix(path, "/"), "/") {
		if path == "" {
			break
		}
		part = strings.NewReplacer("~1", "/", "~0", "~").Replace(part)
		ok := false
		switch w := v.(type) {
		case *jsontree.Object:
			v, ok = w.Get(part)
		case []any:
			var i int
			if i, err = strconv.Atoi(part); err == nil && i >= 0 && i < len(w) {
				v, ok = w[i], true
			}
		}
		if !ok {
			return nil, fmt.Errorf("schema: $ref %q refers to nothing", text)
		}
	}
	return v, nil
}

// checkLoops finds schemas that apply themselves to the same value, on which validation would not end. done says of a
// schema whether it has been looked at, which is false while it is.
func (n *schemaNode) checkLoops(done map[*schemaNode]bool) error {
	if ok, seen := done[n]; ok {
		return nil
	} else if seen {
		return errors.New("schema: a $ref leads back to itself")
	}
	done[n] = false
	for _, m := range n.inPlace {
		if err := m.checkLoops(done); err != nil {
			return err
		}
	}
	done[n] = true
	return nil
}

// schemaChildren lists the keywords whose values are schemas, lists of schemas, or objects of schemas.
var schemaChildren = map[string]byte{
	"additionalItems": 's', "additionalProperties": 's', "contains": 's', "contentSchema": 's', "else": 's', "if": 's',
	"not": 's', "propertyNames": 's', "then": 's', "unevaluatedItems": 's', "unevaluatedProperties": 's',
	"items": 'i', // a schema or a list of them
	"allOf": 'l', "anyOf": 'l', "oneOf": 'l', "prefixItems": 'l',
	"$defs": 'o', "definitions": 'o', "dependencies": 'o', "dependentSchemas": 'o', "patternProperties": 'o', "properties": 'o',
}

// checkable returns the schema without what the library cannot check: drafts and regular expressions it does not know.
// A pattern that Go cannot match is a hint for the model and no more.
func checkable(schema any) any {
	o, ok := schema.(*jsontree.Object)
	if !ok {
		return schema
	}
	out := &jsontree.Object{}
	for _, m := range o.Members() {
		v := m.Value
		switch m.Name {
		case "$schema":
			if s, _ := v.(string); !strings.Contains(s, "draft-07") {
				continue
			}
			v = "http://json-schema.org/draft-07/schema#"
		case "$id", "$anchor", "$dynamicAnchor": // nothing can refer to them
			continue
		case "pattern":
			s, _ := v.(string)
			if _, err := regexp.Compile(s); err != nil {
				continue
			}
		}
		switch kind := schemaChildren[m.Name]; kind {
		case 's', 'i', 'l':
			if list, ok := v.([]any); ok && kind != 's' {
				copied := make([]any, len(list))
				for i, e := range list {
					copied[i] = checkable(e)
				}
				v = copied
			} else {
				v = checkable(v)
			}
		case 'o':
			if group, ok := v.(*jsontree.Object); ok {
				copied := &jsontree.Object{}
				for _, e := range group.Members() {
					if m.Name == "patternProperties" {
						if _, err := regexp.Compile(e.Name); err != nil {
							continue
						}
					}
					copied.Set(e.Name, checkable(e.Value))
				}
				v = copied
			}
		}
		out.Set(m.Name, v)
	}
	return out
}

// typeNames returns the value of a type keyword as a list.
func typeNames(v any) ([]string, bool) {
	if s, ok := v.(string); ok {
		return []string{s}, true
	}
	return stringList(v)
}

func stringList(v any) ([]string, bool) {
	list, ok := v.([]any)
	if !ok {
		return nil, false
	}
	out := make([]string, 0, len(list))
	for _, e := range list {
		s, ok := e.(string)
		if !ok {
			return nil, false
		}
		out = append(out, s)
	}
	return out, true
}
