package console

import (
	"bytes"
	"io"
	"strings"
	"unicode"
	"unicode/utf8"
)

const (
	margin       = 12 // where text begins, beside who says it
	defaultWidth = 80
	minWidth     = 40
	maxWidth     = 100
)

// A style is how text looks on a terminal, as the parameters of an SGR sequence.
type style string

const (
	plain  style = ""
	bold   style = "1"
	dim    style = "2"
	red    style = "31"
	yellow style = "33"
)

// voices are the styles of those who speak, in order of appearance.
var voices = []style{"1;36", "1;32", "1;35", "1;34", "1;33", "1;31"}

// A page lays out a conversation on a writer: paragraphs with a label in the margin, wrapped as they grow. It is not
// safe for concurrent use.
type page struct {
	out   io.Writer
	width int
	color bool
	whole bool // write whole lines only, as something else is on the last line of the screen

	buf   bytes.Buffer // not written yet
	open  bool         // a paragraph is being written
	style style        // of its text
	col   int
	word  []rune // not laid out yet, as more of it may come
	space bool   // before word
}

func newPage(out io.Writer, width int, color bool) *page {
	if width <= 0 {
		width = defaultWidth
	}
	return &page{out: out, width: min(max(width, minWidth), maxWidth), color: color}
}

// begin starts a paragraph.
func (p *page) begin(label string, ls, text style) {
	p.end()
	p.open, p.style = true, text
	p.put(label, ls)
	p.col = utf8.RuneCountInString(label)
	if p.col < margin {
		p.buf.WriteString(strings.Repeat(" ", margin-p.col))
		p.col = margin
	} else {
		p.space = true
	}
	p.flush()
}

// write adds to the paragraph.
func (p *page) write(text string) {
	for _, r := range text {
		switch {
		case r == '\n':
			p.layWord()
			p.newline()
		case unicode.IsSpace(r):
			p.layWord()
			p.space = true
		case unicode.IsControl(r): // what a model or a tool says does not control the terminal
		default:
			p.word = append(p.word, r)
		}
	}
	p.flush()
}

// settle shows the word that is being written.
func (p *page) settle() {
	p.layWord()
	p.flush()
}

// end finishes the paragraph, if there is one.
func (p *page) end() {
	if !p.open {
		return
	}
	p.layWord()
	p.buf.WriteByte('\n')
	p.open, p.space, p.col = false, false, 0
	p.flush()
}

// line writes a paragraph of its own.
func (p *page) line(label string, ls style, text string, ts style) {
	p.begin(label, ls, ts)
	p.write(text)
	p.end()
}

// rule writes a line that divides the conversation.
func (p *page) rule(text string) {
	p.end()
	fill := max(3, p.width-utf8.RuneCountInString(text)-4)
	p.put("── "+text+" "+strings.Repeat("─", fill), dim)
	p.buf.WriteByte('\n')
	p.flush()
}

// layWord puts the word on this line, or the next.
func (p *page) layWord() {
	for len(p.word) > 0 {
		room := p.width - p.col
		if p.space && p.col > margin {
			room--
		}
		switch {
		case len(p.word) <= room:
			if p.space && p.col > margin {
				p.buf.WriteByte(' ')
				p.col++
			}
			p.put(string(p.word), p.style)
			p.col += len(p.word)
			p.word, p.space = p.word[:0], false
			return
		case p.col > margin:
			p.newline()
		default: // longer than a line, as JSON is
			cut := room
			for i, r := range p.word[:room] {
				if r == ',' {
					cut = i + 1
				}
			}
			p.put(string(p.word[:cut]), p.style)
			p.word = p.word[cut:]
			p.newline()
		}
	}
}

func (p *page) newline() {
	p.buf.WriteByte('\n')
	p.buf.WriteString(strings.Repeat(" ", margin))
	p.col, p.space = margin, false
}

func (p *page) put(text string, s style) {
	if !p.color || s == plain || text == "" {
		p.buf.WriteString(text)
		return
	}
	p.buf.WriteString("\x1b[" + string(s) + "m" + text + "\x1b[0m")
}

// flush writes what is laid out. A conversation goes on when nobody can be shown it.
func (p *page) flush() {
	b := p.buf.Bytes()
	if p.whole {
		b = b[:bytes.LastIndexByte(b, '\n')+1]
	}
	if len(b) > 0 {
		p.out.Write(b)
		p.buf.Next(len(b))
	}
}
