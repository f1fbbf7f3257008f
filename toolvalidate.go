package agents

import (
	"encoding/json"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/google/jsonschema-go/jsonschema"

	"github.com/parley-voice/agents/internal/jsontree"
)

// normalise brings arguments into the form they are validated in: a null in place of an optional property that cannot
// be null is left out, or is the default if the property is required and has one, as in strict schemas; whole numbers
// written like 2.0 or 1e3 become integers where an integer is wanted; and, with defaults, missing properties that have
// one get it.
func (n *schemaNode) normalise(v any, defaults bool) any {
	switch v := v.(type) {
	case *jsontree.Object:
		n.normaliseObject(v, defaults)
	case []any:
		for s := range n.applying {
			if s.items == nil {
				continue
			}
			for i, e := range v {
				v[i] = s.items.normalise(e, defaults)
			}
		}
	case json.Number:
		if n.wantsInteger() {
			return wholeNumber(v)
		}
	}
	return v
}

func (n *schemaNode) normaliseObject(o *jsontree.Object, defaults bool) {
	for s := range n.applying {
		for _, p := range s.properties {
			v, ok := o.Get(p.name)
			required := slices.Contains(s.required, p.name)
			unset := ok && v == nil && (!required || p.hasDefault) && !p.admitsNull()
			switch {
			case p.hasDefault && (unset && required || defaults && (unset || !ok)):
				o.Set(p.name, jsontree.Copy(p.fallback))
			case unset:
				o.Delete(p.name)
			case ok:
				o.Set(p.name, p.normalise(v, defaults))
			}
		}
		if s.additional == nil {
			continue
		}
		for _, m := range o.Members() {
			if !s.lists(m.Name) {
				o.Set(m.Name, s.additional.normalise(m.Value, defaults))
			}
		}
	}
}

// applying yields the schemas that certainly apply to a value of n: itself, what it refers to, the members of allOf,
// and the one member of a union that is not just null.
func (n *schemaNode) applying(yield func(*schemaNode) bool) { n.eachApplying(yield) }

func (n *schemaNode) eachApplying(yield func(*schemaNode) bool) bool {
	if !yield(n) || n.ref != nil && !n.ref.eachApplying(yield) {
		return false
	}
	for _, m := range n.allOf {
		if !m.eachApplying(yield) {
			return false
		}
	}
	var only *schemaNode
	for _, m := range n.anyOf {
		if slices.Equal(m.types, []string{"null"}) {
			continue
		}
		if only != nil {
			return true
		}
		only = m
	}
	return only == nil || only.eachApplying(yield)
}

// lists reports whether the object schema has a property called name.
func (n *schemaNode) lists(name string) bool {
	return slices.ContainsFunc(n.properties, func(p propertyNode) bool { return p.name == name })
}

// admitsNull reports whether null may be a value of the schema.
func (n *schemaNode) admitsNull() bool {
	if n.types != nil && !slices.Contains(n.types, "null") || n.enum != nil && !slices.Contains(n.enum, nil) {
		return false
	}
	if n.ref != nil && !n.ref.admitsNull() {
		return false
	}
	if slices.ContainsFunc(n.allOf, func(m *schemaNode) bool { return !m.admitsNull() }) {
		return false
	}
	return n.anyOf == nil || slices.ContainsFunc(n.anyOf, (*schemaNode).admitsNull)
}

func (n *schemaNode) wantsInteger() bool {
	for s := range n.applying {
		if slices.Contains(s.types, "integer") && !slices.Contains(s.types, "number") {
			return true
		}
	}
	return false
}

// wholeNumber writes a whole number without fraction or exponent, if it can do so exactly.
func wholeNumber(v json.Number) json.Number {
	text := string(v)
	if !strings.ContainsAny(text, ".eE") {
		return v
	}
	if whole, frac, ok := strings.Cut(text, "."); ok && strings.Trim(frac, "0") == "" {
		if whole == "-0" {
			whole = "0"
		}
		return json.Number(whole)
	}
	if f, err := strconv.ParseFloat(text, 64); err == nil && f == math.Trunc(f) && math.Abs(f) <= 1<<53 {
		return json.Number(strconv.FormatInt(int64(f), 10))
	}
	return v
}

// validate returns what is wrong with the arguments, in a fixed order, or nothing. The library decides; what we say of
// it is our own, because its messages are made for the authors of schemas.
func (s *toolSchema) validate(args *jsontree.Object) []string {
	if problems := outOfRange(nil, args, ""); len(problems) > 0 {
		return problems
	}
	err := s.resolved.Validate(jsontree.Plain(args))
	if err == nil {
		return nil
	}
	if problems := s.root.explain(nil, args, ""); len(problems) > 0 {
		return problems
	}
	text := strings.TrimPrefix(err.Error(), "validating root: ")
	return []string{"the arguments do not match the schema: " + clipText(text, 300)}
}

// outOfRange finds numbers that no float64 can hold.
func outOfRange(problems []string, v any, path string) []string {
	switch v := v.(type) {
	case json.Number:
		if _, err := strconv.ParseFloat(string(v), 64); err != nil {
			problems = append(problems, fmt.Sprintf("%s: the number is out of range", describeArgument(path)))
		}
	case []any:
		for i, e := range v {
			problems = outOfRange(problems, e, path+"["+strconv.Itoa(i)+"]")
		}
	case *jsontree.Object:
		for _, m := range v.Members() {
			problems = outOfRange(problems, m.Value, join(path, m.Name))
		}
	}
	return problems
}

// explain adds what is wrong with v, the argument at path.
func (n *schemaNode) explain(problems []string, v any, path string) []string {
	if n.ref != nil {
		problems = n.ref.explain(problems, v, path)
	}
	for _, m := range n.allOf {
		problems = m.explain(problems, v, path)
	}
	if n.types != nil && !slices.ContainsFunc(n.types, func(t string) bool { return hasType(v, t) }) {
		return append(problems, fmt.Sprintf("%s: must be %s, not %s", describeArgument(path), describeTypes(n.types), describeKind(v)))
	}
	if n.enum != nil && !slices.ContainsFunc(n.enum, func(e any) bool { return sameValue(e, v) }) {
		return append(problems, fmt.Sprintf("%s: must be %s, not %s", describeArgument(path), describeEnum(n.enum), quoteValue(v)))
	}
	problems = n.explainLimits(problems, v, path)
	if len(n.anyOf) > 0 {
		problems = n.explainUnion(problems, v, path)
	}
	switch v := v.(type) {
	case []any:
		if n.items != nil {
			for i, e := range v {
				problems = n.items.explain(problems, e, path+"["+strconv.Itoa(i)+"]")
			}
		}
	case *jsontree.Object:
		problems = n.explainObject(problems, v, path)
	}
	return problems
}

// explainLimits adds the limits that v breaks.
func (n *schemaNode) explainLimits(problems []string, v any, path string) []string {
	var number, length, count float64 = math.NaN(), math.NaN(), math.NaN() // a NaN breaks no limit
	switch v := v.(type) {
	case json.Number:
		number, _ = v.Float64()
	case string:
		length = float64(utf8.RuneCountInString(v))
		if n.pattern != nil && !n.pattern.MatchString(v) {
			problems = append(problems, fmt.Sprintf("%s: must match %s", describeArgument(path), n.pattern))
		}
	case []any:
		count = float64(len(v))
	}
	for _, l := range n.limits {
		broken, text := false, ""
		switch l.keyword {
		case "minimum":
			broken, text = number < l.n, "be at least %v"
		case "maximum":
			broken, text = number > l.n, "be at most %v"
		case "exclusiveMinimum":
			broken, text = number <= l.n, "be more than %v"
		case "exclusiveMaximum":
			broken, text = number >= l.n, "be less than %v"
		case "minLength":
			broken, text = length < l.n, "have at least %v characters"
		case "maxLength":
			broken, text = length > l.n, "have at most %v characters"
		case "minItems":
			broken, text = count < l.n, "have at least %v elements"
		case "maxItems":
			broken, text = count > l.n, "have at most %v elements"
		}
		if broken {
			problems = append(problems, fmt.Sprintf("%s: must "+text, describeArgument(path), l.n))
		}
	}
	return problems
}

func (n *schemaNode) explainObject(problems []string, o *jsontree.Object, path string) []string {
	for _, name := range n.required {
		if _, ok := o.Get(name); !ok {
			problems = append(problems, fmt.Sprintf("field %s: is missing", join(path, name)))
		}
	}
	for _, p := range n.properties {
		if v, ok := o.Get(p.name); ok {
			problems = p.explain(problems, v, join(path, p.name))
		}
	}
	if n.patterns {
		return problems
	}
	for _, m := range o.Members() {
		switch {
		case n.lists(m.Name):
		case n.closed:
			problems = append(problems, fmt.Sprintf("field %s: is unknown; %s", clipText(join(path, m.Name), 80), describeProperties(n.properties)))
		case n.additional != nil:
			problems = n.additional.explain(problems, m.Value, join(path, m.Name))
		}
	}
	return problems
}

// explainUnion explains v by the member of the union that v comes closest to, if it fits none.
func (n *schemaNode) explainUnion(problems []string, v any, path string) []string {
	var closest []string
	for i, m := range n.anyOf {
		p := m.explain(nil, v, path)
		if len(p) == 0 {
			return problems
		}
		if i == 0 || len(p) < len(closest) {
			closest = p
		}
	}
	return append(problems, closest...)
}

func hasType(v any, name string) bool {
	switch v := v.(type) {
	case nil:
		return name == "null"
	case bool:
		return name == "boolean"
	case string:
		return name == "string"
	case []any:
		return name == "array"
	case *jsontree.Object:
		return name == "object"
	case json.Number:
		if name != "integer" {
			return name == "number"
		}
		f, err := strconv.ParseFloat(string(v), 64)
		return err == nil && f == math.Trunc(f)
	}
	return false
}

func sameValue(a, b any) bool { return jsonschema.Equal(jsontree.Plain(a), jsontree.Plain(b)) }

// describeArgument names the argument at path.
func describeArgument(path string) string {
	if path == "" {
		return "the arguments"
	}
	return "field " + clipText(path, 80)
}

func describeKind(v any) string {
	switch v := v.(type) {
	case nil:
		return "null"
	case bool:
		return "a boolean"
	case string:
		return "a string"
	case []any:
		return "an array"
	case json.Number:
		if strings.ContainsAny(string(v), ".eE") {
			return "the number " + clipText(string(v), 40)
		}
		return "a number"
	}
	return "an object"
}

func describeTypes(types []string) string {
	words := make([]string, len(types))
	for i, t := range types {
		switch t {
		case "null":
			words[i] = "null"
		case "integer", "array", "object":
			words[i] = "an " + t
		default:
			words[i] = "a " + t
		}
	}
	return strings.Join(words, " or ")
}

func describeEnum(values []any) string {
	var words []string
	for _, v := range values {
		words = append(words, quoteValue(v))
	}
	if len(words) == 1 {
		return words[0]
	}
	return "one of " + strings.Join(words, ", ")
}

func describeProperties(properties []propertyNode) string {
	if len(properties) == 0 {
		return "there are no fields"
	}
	var names []string
	for _, p := range properties {
		names = append(names, p.name)
	}
	return "the fields are " + strings.Join(names, ", ")
}

// quoteValue returns the JSON of a value, shortened.
func quoteValue(v any) string { return clipText(string(jsontree.Append(nil, v)), 60) }

// clipText shortens text to about n bytes.
func clipText(text string, n int) string {
	if len(text) <= n {
		return text
	}
	return strings.ToValidUTF8(text[:n], "") + "…"
}
