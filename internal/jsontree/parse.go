package jsontree

import (
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"unicode/utf16"
	"unicode/utf8"
)

// Parse reads one JSON value. Of members with the same name the last value counts, at the place of the first. Bytes
// that are not UTF-8 become U+FFFD.
func Parse(text string) (any, error) {
	if !utf8.ValidString(text) {
		text = strings.ToValidUTF8(text, "\uFFFD")
	}
	if !json.Valid([]byte(text)) {
		return nil, errors.New("not valid JSON")
	}
	p := &parser{s: text}
	v, err := p.value()
	if err != nil {
		return nil, err
	}
	return v, nil
}

// templateToken matches a token of a chat template that a model's server failed to take out of the text.
var templateToken = regexp.MustCompile(`<\|[^|<>]{0,64}\|>`)

// quoteToken is the template token that some models use as a quotation mark.
const quoteToken = `<|"|>`

// Repair reads what was meant to be one JSON value. Besides JSON it takes: missing braces and brackets, missing and
// extra commas, single quotes, names and words without quotes, True, False and None, raw line breaks in strings, a
// Markdown fence around it all, and leaked chat-template tokens, which it takes out. Text that breaks off inside a
// string is an error, since its end is unknown, as is anything that does not look like a value.
func Repair(text string) (any, error) {
	text = strings.ToValidUTF8(text, "\uFFFD")
	text = strings.ReplaceAll(text, quoteToken, `"`)
	text = strings.TrimSpace(templateToken.ReplaceAllString(text, ""))
	if inner, ok := strings.CutPrefix(text, "```"); ok {
		if _, rest, ok := strings.Cut(inner, "\n"); ok {
			inner = rest
		}
		text = strings.TrimSpace(strings.TrimSuffix(strings.TrimSpace(inner), "```"))
	}
	if text == "" {
		return nil, nil
	}
	p := &parser{s: text, lenient: true}
	v, err := p.document()
	if err != nil {
		return nil, err
	}
	if rest := strings.Trim(p.s[p.i:], " \t\r\n}],;"); rest != "" {
		return nil, p.errorf("unexpected text after the value")
	}
	return v, nil
}

type parser struct {
	s       string
	i       int
	depth   int
	lenient bool
}

func (p *parser) errorf(format string, args ...any) error {
	return fmt.Errorf("%s at offset %d", fmt.Sprintf(format, args...), p.i)
}

// document parses a whole repaired text, whose opening brace may be missing.
func (p *parser) document() (any, error) {
	switch p.s[0] {
	case '{', '[':
		return p.value()
	case '"', '\'':
		s, err := p.str()
		if err != nil {
			return nil, err
		}
		p.space()
		if p.i == len(p.s) {
			return s, nil
		}
		p.i = 0
		return p.object()
	}
	if strings.HasSuffix(p.s, "}") {
		return p.object()
	}
	return nil, p.errorf("no JSON")
}

func (p *parser) space() {
	for p.i < len(p.s) {
		switch p.s[p.i] {
		case ' ', '\t', '\n', '\r':
			p.i++
		default:
			return
		}
	}
}

// value parses a value.
func (p *parser) value() (any, error) {
	p.space()
	if p.i == len(p.s) {
		return nil, p.errorf("the text breaks off")
	}
	switch c := p.s[p.i]; {
	case c == '{' || c == '[':
		if p.depth++; p.depth > MaxDepth {
			return nil, p.errorf("nested too deeply")
		}
		defer func() { p.depth-- }()
		p.i++
		if c == '{' {
			return p.object()
		}
		return p.array()
	case c == '"' || c == '\'' && p.lenient:
		return p.str()
	}
	return p.word()
}

// object parses the members of an object and its closing brace.
func (p *parser) object() (any, error) {
	o := &Object{}
	for {
		p.separator()
		if p.i == len(p.s) || p.s[p.i] == ']' { // a brace is missing
			return o, nil
		}
		if p.s[p.i] == '}' {
			p.i++
			return o, nil
		}
		name, err := p.name()
		if err != nil {
			return nil, err
		}
		p.space()
		if p.i == len(p.s) || p.s[p.i] != ':' {
			return nil, p.errorf("no colon after the name %q", clip(name))
		}
		p.i++
		v, err := p.value()
		if err != nil {
			return nil, err
		}
		o.Set(name, v)
	}
}

// array parses the elements of an array and its closing bracket.
func (p *parser) array() (any, error) {
	a := []any{}
	for {
		p.separator()
		if p.i == len(p.s) || p.s[p.i] == '}' { // a bracket is missing
			return a, nil
		}
		if p.s[p.i] == ']' {
			p.i++
			return a, nil
		}
		v, err := p.value()
		if err != nil {
			return nil, err
		}
		a = append(a, v)
	}
}

// separator skips space and any number of commas; Parse has made sure that there is one where it belongs.
func (p *parser) separator() {
	for {
		p.space()
		if p.i == len(p.s) || p.s[p.i] != ',' {
			return
		}
		p.i++
	}
}

// name parses the name of a member.
func (p *parser) name() (string, error) {
	if c := p.s[p.i]; c == '"' || c == '\'' {
		return p.str()
	}
	start := p.i
	for p.i < len(p.s) && isNameByte(p.s[p.i]) {
		p.i++
	}
	if p.i == start {
		return "", p.errorf("no name")
	}
	return p.s[start:p.i], nil
}

func isNameByte(c byte) bool {
	return c == '_' || c == '-' || c == '.' || c == '$' || c >= '0' && c <= '9' || c >= 'A' && c <= 'Z' ||
		c >= 'a' && c <= 'z' || c >= utf8.RuneSelf
}

// word parses a literal or a number and, in a repaired text, words without quotes.
func (p *parser) word() (any, error) {
	start := p.i
	stop := ",}] \t\r\n"
	if p.lenient {
		stop = ",}]{[\"\n"
	}
	if n := strings.IndexAny(p.s[p.i:], stop); n >= 0 {
		p.i += n
	} else {
		p.i = len(p.s)
	}
	word := strings.TrimSpace(p.s[start:p.i])
	switch word {
	case "true", "True":
		return true, nil
	case "false", "False":
		return false, nil
	case "null", "None":
		return nil, nil
	case "":
		return nil, p.errorf("no value")
	}
	if c := word[0]; (c == '-' || c >= '0' && c <= '9') && (!p.lenient || json.Valid([]byte(word))) {
		return json.Number(word), nil
	}
	return word, nil
}

// str parses a string in single or double quotes.
func (p *parser) str() (string, error) {
	quote := p.s[p.i]
	p.i++
	var b []byte // the string so far, once it differs from the text
	start := p.i
	for p.i < len(p.s) {
		switch c := p.s[p.i]; {
		case c == quote && (quote == '"' || p.endsString()):
			s := p.s[start:p.i]
			p.i++
			if b == nil {
				return s, nil
			}
			return string(append(b, s...)), nil
		case c == '\\':
			b = append(b, p.s[start:p.i]...)
			b = p.escape(b)
			start = p.i
		default:
			p.i++
		}
	}
	return "", p.errorf("the text breaks off inside a string")
}

// endsString reports whether the single quote at p.i ends a string and is not an apostrophe: something that can follow
// a string follows it.
func (p *parser) endsString() bool {
	rest := strings.TrimLeft(p.s[p.i+1:], " \t\r\n")
	return rest == "" || strings.IndexByte(",:}]", rest[0]) >= 0
}

// escape appends what the escape sequence at p.i stands for. One that JSON does not know stands for itself.
func (p *parser) escape(b []byte) []byte {
	p.i++
	if p.i == len(p.s) {
		return b
	}
	c := p.s[p.i]
	p.i++
	switch c {
	case '"', '\\', '/', '\'':
		return append(b, c)
	case 'b':
		return append(b, '\b')
	case 'f':
		return append(b, '\f')
	case 'n':
		return append(b, '\n')
	case 'r':
		return append(b, '\r')
	case 't':
		return append(b, '\t')
	case 'u':
		r, ok := p.hex4(p.i)
		if !ok {
			return append(b, '\\', 'u')
		}
		p.i += 4
		if utf16.IsSurrogate(r) {
			low, ok := rune(0), false
			if strings.HasPrefix(p.s[p.i:], `\u`) {
				low, ok = p.hex4(p.i + 2)
			}
			if r = utf16.DecodeRune(r, low); ok && r != utf8.RuneError {
				p.i += 6
			}
		}
		return utf8.AppendRune(b, r)
	}
	p.i-- // c may be the first byte of a rune
	return append(b, '\\')
}

func (p *parser) hex4(i int) (rune, bool) {
	if i+4 > len(p.s) {
		return 0, false
	}
	n, err := strconv.ParseUint(p.s[i:i+4], 16, 16)
	return rune(n), err == nil
}

func clip(s string) string {
	if len(s) > 40 {
		return strings.ToValidUTF8(s[:40], "") + "…"
	}
	return s
}
