package texttransform

import (
	"bytes"
	"strings"
	"unicode/utf8"
)

// Markdown takes the marks of Markdown out of a text, and leaves what is to be said.
//
//   - At the beginning of a line: the marks of headings, bulleted lists and quotes, nested too. The numbers of lists stay.
//   - A rule, the fence of a code block and the line below the head of a table become empty lines. What a code block
//     holds stays as it is.
//   - In a row of a table that begins with a bar, the bars become commas.
//   - Links and images become their text, and emphasis and code lose their marks.
//   - What is struck out goes.
//
// A mark that is not part of such a construct stays: 2 * 3, *.py and snake_case. A construct ends in the line in which it
// begins, and within [MaxConstruct]; text is held back only from where one may have begun.
//
// The zero value is ready for use.
type Markdown struct {
	held  []byte
	prev  rune // the character before held in its line, or 0
	begun bool // the marks at the beginning of the line are behind
	table bool // the line is a row of a table
	cells bool // the row has had text
	fence int  // how long the fence of the code block is, or 0
}

// MaxConstruct is how long, in bytes, emphasis, code, a link or the beginning of a line may be to be taken for one.
const MaxConstruct = 512

// Push takes a piece of text, and returns what is certain of the output.
func (m *Markdown) Push(text string) string {
	m.held = append(m.held, text...)
	return m.filter(false)
}

// Flush returns the rest of the output, and makes the filter ready for another text.
func (m *Markdown) Flush() string {
	out := m.filter(true)
	*m = Markdown{held: m.held[:0]}
	return out
}

func (m *Markdown) filter(final bool) string {
	var out strings.Builder
	rest := m.held
	for {
		line, after, complete := bytes.Cut(rest, []byte("\n"))
		if !complete {
			n := len(line)
			if !final {
				n = wholeRunes(line)
			}
			n = m.line(&out, line[:n], final)
			m.held = m.held[:copy(m.held, line[n:])]
			return out.String()
		}
		m.line(&out, line, true)
		out.WriteByte('\n')
		m.prev, m.begun, m.table, m.cells = 0, false, false, false
		rest = after
	}
}

// line filters what there is of a line, and returns how much of it is done with: all of a complete one.
func (m *Markdown) line(out *strings.Builder, line []byte, complete bool) int {
	done := 0
	if !m.begun {
		var v outcome
		switch done, v = m.begin(window(line, complete)); v {
		case unclear:
			return 0
		case match:
			return len(line) // nothing of the line is said
		}
		m.begun = true
	}
	if m.fence > 0 {
		out.Write(line[done:])
		return len(line)
	}
	return done + m.inline(out, line[done:], complete)
}

// An outcome says whether text is what it was looked at for.
type outcome uint8

const (
	unclear outcome = iota // more text is needed
	match
	differs
)

// A view is what is looked at to decide on a construct. Whatever has arrived, the same text gives the same view in the
// end, since a view that lacks text decides nothing for which that text would count.
type view struct {
	text []byte
	more bool // text is lacking
	cut  bool // the text goes on beyond what may count
}

func window(text []byte, complete bool) view {
	if len(text) >= MaxConstruct {
		return view{text: text[:MaxConstruct], cut: true}
	}
	return view{text: text, more: !complete}
}

func (v view) from(at int) view { return view{v.text[at:], v.more, v.cut} }

// lacks is the outcome when the end of the view was reached.
func (v view) lacks() outcome {
	if v.more {
		return unclear
	}
	return differs
}

// run counts how often c stands at a place, and tells whether that is the end of the view.
func (v view) run(at int, c byte) (n int, atEnd bool) {
	for at+n < len(v.text) && v.text[at+n] == c {
		n++
	}
	return n, at+n == len(v.text)
}

// spaces returns the place after the spaces at a place.
func (v view) spaces(at int) int {
	for at < len(v.text) && isSpace(v.text[at]) {
		at++
	}
	return at
}

func isSpace(c byte) bool { return c == ' ' || c == '\t' || c == '\r' }

// begin looks at the beginning of a line, and returns how much of it are marks. It is a match if the whole line is.
func (m *Markdown) begin(v view) (done int, o outcome) {
	if m.fence > 0 {
		return 0, m.endFence(v)
	}
	for {
		if o := rule(v.from(done)); o != differs {
			return done, o
		}
		at := v.spaces(done)
		if at == len(v.text) {
			return done, v.lacks()
		}
		switch c := v.text[at]; c {
		case '-', '+', '*', '>':
			next, o := marker(v, at, 1)
			if o != match {
				return done, o
			}
			done = next
			continue
		case '#':
			n, _ := v.run(at, '#')
			if n > 6 || at-done > 3 {
				return done, differs
			}
			next, o := marker(v, at, n)
			if o != match {
				return done, o
			}
			return next, differs
		case '`', '~':
			return done, m.startFence(v, at, c)
		case '|':
			if o := tableRule(v.from(at)); o != differs {
				return done, o
			}
			m.table = true
			return v.spaces(at + 1), differs
		}
		return done, differs
	}
}

// marker looks for spaces after a mark of n characters, and returns the place after them.
func marker(v view, at, n int) (int, outcome) {
	next := v.spaces(at + n)
	if next == len(v.text) && v.more {
		return at, unclear
	}
	if next == at+n {
		return at, differs
	}
	return next, match
}

// rule looks for a line of three or more of the same mark, with spaces between them and up to three before.
func rule(v view) outcome {
	indent := 0
	for indent < len(v.text) && v.text[indent] == ' ' {
		indent++
	}
	if indent == len(v.text) {
		return differs // the caller waits for what follows
	}
	c := v.text[indent]
	if indent > 3 || c != '-' && c != '*' && c != '_' {
		return differs
	}
	n := 0
	for _, b := range v.text[indent:] {
		if b == c {
			n++
		} else if !isSpace(b) {
			return differs
		}
	}
	return v.whole(n >= 3)
}

// whole is the outcome for a view all of which was looked at, if it is all of the line.
func (v view) whole(matches bool) outcome {
	switch {
	case v.more:
		return unclear
	case matches && !v.cut:
		return match
	}
	return differs
}

// tableRule looks for the line below the head of a table.
func tableRule(v view) outcome {
	dash := false
	for _, b := range v.text {
		if b != '|' && b != '-' && b != ':' && !isSpace(b) {
			return differs
		}
		dash = dash || b == '-'
	}
	return v.whole(dash)
}

// startFence looks for the beginning of a code block: three or more marks, and nothing of the kind after them.
func (m *Markdown) startFence(v view, at int, c byte) outcome {
	n, atEnd := v.run(at, c)
	if atEnd && v.more {
		return unclear
	}
	if n < 3 || bytes.IndexByte(v.text[at+n:], c) >= 0 {
		return differs
	}
	o := v.whole(true)
	if o == match {
		m.fence = n
	}
	return o
}

// endFence looks for the end of the code block, which is any fence as long as that at its beginning.
func (m *Markdown) endFence(v view) outcome {
	at := v.spaces(0)
	if at == len(v.text) {
		return v.lacks()
	}
	c := v.text[at]
	if c != '`' && c != '~' {
		return differs
	}
	n, _ := v.run(at, c)
	if end := v.spaces(at + n); end < len(v.text) || n < m.fence && !v.more {
		return differs
	}
	o := v.whole(n >= m.fence)
	if o == match {
		m.fence = 0
	}
	return o
}

// inline filters text within a line, and returns how much of it is done with.
func (m *Markdown) inline(out *strings.Builder, text []byte, complete bool) int {
	at := 0
	for at < len(text) {
		n := m.plain(text[at:])
		if n == 0 {
			var o outcome
			var s span
			if s, o = m.construct(window(text[at:], complete)); o == unclear {
				break
			}
			n = s.end
			if o == match {
				m.say(out, s, text[at:])
			} else {
				m.cells = true
				out.Write(text[at : at+n])
			}
		} else {
			m.cells = true
			out.Write(text[at : at+n])
		}
		at += n
		m.prev, _ = utf8.DecodeLastRune(text[:at])
	}
	return at
}

// say writes what is to be said of a construct.
func (m *Markdown) say(out *strings.Builder, s span, text []byte) {
	body := text[s.from:s.to]
	switch {
	case s.verbatim:
		out.Write(body)
	case s.comma:
		if m.cells {
			out.WriteString(", ")
		}
	default:
		within := Markdown{begun: true}
		within.inline(out, body, true)
	}
	m.cells = m.cells || s.from < s.to
}

// plain counts the bytes that no construct begins with.
func (m *Markdown) plain(text []byte) int {
	marks := "*_`~[!"
	if m.table {
		marks = "*_`~[!| \t"
	}
	if n := bytes.IndexAny(text, marks); n >= 0 {
		return n
	}
	return len(text)
}
