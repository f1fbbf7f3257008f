package tokenize

import (
	"bytes"
	"unicode"
	"unicode/utf8"
)

// Defaults of [Sentences].
const (
	DefaultMinLength     = 20
	DefaultStreamContext = 10
)

// None turns a length of [Sentences] off.
const None = -1

// Rules say what ends a sentence.
type Rules uint8

const (
	// Basic ends a sentence at every full stop that is not part of an abbreviation, a number, an ellipsis or a name.
	Basic Rules = iota
	// Prose also looks at what follows: a full stop before a small letter ends nothing, nor does an acronym before a
	// title. Sentences that are put together keep the white space that they had between them.
	Prose
)

// Sentences splits into sentences, and puts short ones together with the next. Lengths are in characters.
//
// A sentence ends after ‘.’, ‘!’, ‘?’ or one of their kind in other scripts, with the closing quotes, brackets, emphasis
// marks and emojis that follow. Where a script has spaces, one must follow too, so that numbers, addresses and file
// names stay whole. A blank line ends a sentence as well, and with Basic and RetainFormat so does a line break, which
// then belongs to the sentence before it. All other white space between sentences leads the later one.
type Sentences struct {
	Rules Rules
	// MinLength is what a sentence must have to be a token of its own; a shorter one is put before the next. Zero is
	// DefaultMinLength. With Basic rules the token must be longer, with the space before it counted.
	MinLength int
	// RetainFormat keeps the white space.
	RetainFormat bool
	// StreamContext is how much must have arrived before a stream looks for an end. Zero is DefaultStreamContext.
	StreamContext int
	// BatchLength, if more than MinLength, puts sentences together until they are so long.
	BatchLength int
	// MaxLength, if positive, keeps BatchLength and the rest of a flush from making longer tokens. A single sentence that
	// is longer stays whole.
	MaxLength int
	// TagAware keeps markup such as <emphasis>…</emphasis> in one token: nothing ends while a tag is open, and tags do
	// not count for lengths. A ‘<’ begins a tag only before a letter or ‘/’.
	TagAware bool
}

// Split returns the sentences of text.
func (o Sentences) Split(text string) []string { return split(o.Stream(), text) }

// Stream returns a stream of sentences.
func (o Sentences) Stream() *Stream {
	o.MinLength = length(o.MinLength, DefaultMinLength)
	o.StreamContext = length(o.StreamContext, DefaultStreamContext)
	return &Stream{scanner: newSentenceScanner(o)}
}

func length(n, byDefault int) int {
	if n == 0 {
		return byDefault
	}
	return max(n, 0)
}

// A sentenceScanner walks over the text once. A piece is what lies between two places where a sentence ends; a token is
// one or more pieces.
type sentenceScanner struct {
	opts Sentences

	pos        int  // next character to look at
	start      int  // of the token
	pieceStart int  // of the piece
	visibleEnd int  // after the last visible character of the piece; pieceStart if there is none
	wordStart  int  // of the word that pos is in
	inWord     bool // pos is in a word
	newline    bool // a line break since the last visible character
	lineHead   bool // the word is the first of its line
	depth      int  // of open tags
	tagStart   int  // of an unfinished tag
	tagSeen    int  // how far it was searched for its end
	noTags     bool // the text is final and no tag ends in what is left of it

	clean   []byte // without RetainFormat: the text of the token
	length  int    // of the token
	visible bool   // the token has something that is not a tag or white space
	batch   batch
}

func newSentenceScanner(o Sentences) *sentenceScanner {
	return &sentenceScanner{opts: o, tagStart: -1, newline: true}
}

func (s *sentenceScanner) keep() int { return s.start }

func (s *sentenceScanner) scan(text *buffer, final bool, tokens []Token) []Token {
	if !final && s.lacksContext(text) {
		return tokens
	}
	for {
		r, w, ok := text.rune(s.pos, final)
		if !ok {
			return tokens
		}
		if w == 0 {
			break
		}
		if unicode.IsSpace(r) {
			tokens = s.space(text, r, w, tokens)
			continue
		}
		if r == '<' && s.opts.TagAware {
			t, ok := s.tag(text, final)
			if !ok {
				return tokens
			}
			if t.kind != noTag {
				s.depth = max(0, s.depth+t.depth())
				s.pos, s.visibleEnd, s.inWord = t.end, t.end, false
				continue
			}
		}
		if !s.inWord {
			s.inWord, s.wordStart, s.lineHead = true, s.pos, s.newline
		}
		if !isTerminator(r) {
			s.pos += w
			s.visibleEnd, s.newline, s.visible = s.pos, false, true
			continue
		}
		stop, depth, v := s.judge(text, final)
		if v == undecided {
			return tokens
		}
		s.pos, s.visibleEnd, s.newline, s.visible, s.depth = stop, stop, false, true, depth
		if v == ends {
			s.inWord = false
			tokens = s.cut(text, stop, tokens)
		}
	}
	tokens = s.rest(text, tokens)
	*s = sentenceScanner{opts: s.opts, tagStart: -1, newline: true, clean: s.clean[:0]}
	return tokens
}

func (s *sentenceScanner) lacksContext(text *buffer) bool {
	n := text.end() - s.start
	return n < s.opts.StreamContext*utf8.UTFMax && utf8.RuneCount(text.slice(s.start, text.end())) < s.opts.StreamContext
}

func (s *sentenceScanner) space(text *buffer, r rune, w int, tokens []Token) []Token {
	if r == '\n' && s.depth == 0 {
		if s.newline && s.visibleEnd > s.pieceStart {
			tokens = s.cut(text, s.visibleEnd, tokens)
		}
		if s.opts.RetainFormat && s.opts.Rules == Basic {
			tokens = s.cut(text, s.pos+w, tokens)
		}
	}
	s.newline = s.newline || r == '\n'
	s.inWord = false
	s.pos += w
	return tokens
}

// cut ends a piece, and with it the token if that is long enough.
func (s *sentenceScanner) cut(text *buffer, end int, tokens []Token) []Token {
	piece := text.slice(s.pieceStart, end)
	s.pieceStart, s.visibleEnd = end, end
	counted := piece
	if !s.opts.RetainFormat || s.opts.Rules == Prose {
		counted = s.appendPiece(piece)
	}
	n := utf8.RuneCount(counted)
	if s.opts.TagAware {
		n -= tagRunes(counted)
	}
	s.length += n
	enough := s.length > s.opts.MinLength
	if s.opts.Rules == Prose {
		enough = s.length >= s.opts.MinLength
	} else if !s.opts.RetainFormat {
		enough = s.length+1 > s.opts.MinLength
	}
	if !enough || !s.opts.RetainFormat && len(s.clean) == 0 || s.opts.TagAware && !s.visible {
		return tokens
	}
	return s.token(text, end, tokens)
}

// appendPiece adds the text of a piece without its formatting to the token, and returns what it added.
func (s *sentenceScanner) appendPiece(piece []byte) []byte {
	before := len(s.clean)
	if s.opts.Rules == Basic {
		piece = bytes.TrimSpace(piece)
		if before > 0 && len(piece) > 0 {
			s.clean = append(s.clean, ' ')
		}
	} else if before == 0 {
		piece = bytes.TrimLeftFunc(piece, unicode.IsSpace)
	}
	s.clean = appendClean(s.clean, piece)
	return s.clean[before:]
}

func (s *sentenceScanner) token(text *buffer, end int, tokens []Token) []Token {
	t := Token{Start: s.start, End: end}
	if s.opts.RetainFormat {
		t.Text = string(text.slice(s.start, end))
	} else {
		t.Text = string(bytes.TrimRightFunc(s.clean, unicode.IsSpace))
		t.Start += leadingSpace(text.slice(s.start, end))
	}
	n := s.length
	s.start, s.clean, s.length, s.visible = end, s.clean[:0], 0, false
	return s.batch.add(t, n, &s.opts, tokens)
}

// rest ends the segment.
func (s *sentenceScanner) rest(text *buffer, tokens []Token) []Token {
	end := s.pos
	if !s.opts.RetainFormat {
		end = s.visibleEnd
	}
	if s.pieceStart < end {
		tokens = s.cut(text, end, tokens)
	}
	if s.start < s.pieceStart && (s.opts.RetainFormat || len(s.clean) > 0) {
		tokens = s.token(text, s.pieceStart, tokens)
	}
	return s.batch.flush(tokens)
}

func leadingSpace(text []byte) int {
	return len(text) - len(bytes.TrimLeftFunc(text, unicode.IsSpace))
}

// A batch puts tokens together until they are BatchLength long.
type batch struct {
	token  Token
	text   []byte
	length int
}

func (b *batch) add(t Token, n int, o *Sentences, tokens []Token) []Token {
	if len(b.text) == 0 && n >= o.BatchLength {
		return append(tokens, t)
	}
	if o.MaxLength > 0 && b.length > 0 && b.length+1+n > o.MaxLength {
		tokens = b.flush(tokens)
	}
	if len(b.text) == 0 {
		b.token.Start = t.Start
	} else if !o.RetainFormat {
		b.text = append(b.text, ' ')
		b.length++
	}
	b.text = append(b.text, t.Text...)
	b.length += n
	b.token.End = t.End
	if b.length >= o.BatchLength {
		return b.flush(tokens)
	}
	return tokens
}

func (b *batch) flush(tokens []Token) []Token {
	if len(b.text) == 0 {
		return tokens
	}
	b.token.Text = string(b.text)
	tokens = append(tokens, b.token)
	*b = batch{text: b.text[:0]}
	return tokens
}
