package tokenize

import (
	"strings"
	"unicode"
)

// maxLook is how far, in bytes, the scanner looks past a terminator. What lies beyond changes nothing, so that a token
// depends neither on how much of the text has arrived nor costs more than its length.
const maxLook = 128

type verdict uint8

const (
	undecided verdict = iota // more text is needed
	goesOn
	ends
)

// judge decides whether a sentence ends at the terminator at pos. It returns where to go on, and how many tags are open
// there.
func (s *sentenceScanner) judge(text *buffer, final bool) (stop, depth int, v verdict) {
	l := look{text: text, at: s.pos, limit: s.pos + maxLook, final: final}
	var dots, strong, wide bool
	var last rune
	n := 0
	for l.next() && isTerminator(l.r) {
		wide = isWide(l.r)
		strong = strong || l.r != '.' && l.r != '…'
		dots = n > 0 || l.r == '…'
		last = l.r
		n++
		l.skip()
	}
	goOn := l.at
	if l.short {
		return 0, 0, undecided
	}
	depth = s.depth
	closers, emoji := s.closers(&l, &depth)
	if l.short {
		return 0, 0, undecided
	}
	if l.atEnd() && l.at < l.limit {
		return l.at, depth, ends // of the text
	}
	if depth > 0 || l.atEnd() {
		return goOn, s.depth, goesOn
	}
	stop = l.at
	spaced := unicode.IsSpace(l.r)
	if s.opts.TagAware && l.r == '<' {
		kind, ok := tagStart(text, l.at, final)
		if !ok {
			return 0, 0, undecided
		}
		spaced = kind == openTag
	}
	digit := l.r >= '０' && l.r <= '９' || l.r >= '0' && l.r <= '9'
	switch {
	case spaced || emoji:
	case wide && !(digit && last == '．'): // which also writes decimals
		return stop, depth, ends
	case strong && isCharacterScript(l.r) || !dots && n == 1 && isHanOrKana(l.r):
		return stop, depth, ends
	default:
		return goOn, s.depth, goesOn
	}
	if v = s.judgeWord(&l, dots && !strong, strong, closers); v == ends {
		return stop, depth, v
	}
	return goOn, s.depth, v
}

// closers skips what belongs to a sentence after its terminator.
func (s *sentenceScanner) closers(l *look, depth *int) (any, emoji bool) {
	for l.next() {
		if s.opts.TagAware && l.r == '<' {
			kind, ok := tagStart(l.text, l.at, l.final)
			if !ok {
				l.short = true
				return any, emoji
			}
			if kind != closeTag {
				return any, emoji
			}
			end, ok := l.find('>')
			if !ok {
				return any, emoji
			}
			l.at = end + 1
			*depth = max(0, *depth-1)
			continue
		}
		switch {
		case isCloser(l.r):
			any = true
		case isEmoji(l.r):
			emoji = true
		default:
			return any, emoji
		}
		l.skip()
	}
	return any, emoji
}

// judgeWord decides by the word before the terminator, and where that is not enough by the word after it. The look is
// at the white space between them.
func (s *sentenceScanner) judgeWord(l *look, ellipsis, strong, closers bool) verdict {
	kind := plainWord
	if !strong && !ellipsis {
		kind = s.classify(l.text)
	}
	switch {
	case kind == fixedWord:
		return goesOn
	case kind == plainWord && !ellipsis && s.opts.Rules == Basic,
		strong && !closers:
		return ends
	}
	first, word := l.word(kind != plainWord || ellipsis)
	if l.short {
		return undecided
	}
	switch {
	case first == 0: // nothing in reach
		return verdictOf(kind == plainWord && !ellipsis)
	case kind == openWord:
		return verdictOf(isStarter(word) && !(s.opts.Rules == Prose && isTitle(word)))
	case ellipsis:
		return verdictOf(!unicode.IsLower(first) && !isPronoun(word))
	}
	return verdictOf(!unicode.IsLower(first))
}

func verdictOf(end bool) verdict {
	if end {
		return ends
	}
	return goesOn
}

// A wordKind is what a full stop after a word means.
type wordKind uint8

const (
	plainWord wordKind = iota // the end of a sentence
	openWord                  // an abbreviation, and perhaps the end
	fixedWord                 // no end
)

// classify looks at the word before the full stop at pos.
func (s *sentenceScanner) classify(text *buffer) wordKind {
	const longest = 24
	if s.pos-s.wordStart > longest {
		return plainWord
	}
	word := strings.TrimLeft(string(text.slice(s.wordStart, s.pos)), "\"'“‘([{*_«")
	switch {
	case word == "":
		return plainWord
	case s.lineHead && len(word) <= 3 && strings.Trim(word, "0123456789") == "":
		return fixedWord // the number of a list item
	case isTitle(word) || fixedAbbreviations[word]:
		return fixedWord
	case len(word) == 1 && word[0] >= 'a' && word[0] <= 'z':
		return fixedWord
	case len(word) == 1 && word[0] >= 'A' && word[0] <= 'Z',
		openAbbreviations[strings.ToLower(word)], isAcronym(word):
		return openWord
	}
	return plainWord
}

// isAcronym reports whether word is letters with dots between them, the last of which is the full stop after it.
func isAcronym(word string) bool {
	if len(word) < 3 || len(word)%2 == 0 {
		return false
	}
	for i := range len(word) {
		letter := word[i]|0x20 >= 'a' && word[i]|0x20 <= 'z'
		if i%2 == 0 && !letter || i%2 == 1 && word[i] != '.' {
			return false
		}
	}
	return true
}

func isTitle(word string) bool   { return titles[word] }
func isStarter(word string) bool { return starters[word] || titles[word] }
func isPronoun(word string) bool { return word == "I" }
func isHanOrKana(r rune) bool    { return unicode.In(r, unicode.Han, unicode.Hiragana, unicode.Katakana) }
func isTerminator(r rune) bool {
	return r == '.' || r == '!' || r == '?' || r >= 0x80 && strings.ContainsRune("…。！？｡．‼⁇⁈⁉؟۔।॥።։။។", r)
}
func isWide(r rune) bool { return strings.ContainsRune("。！？｡．", r) }
func isCloser(r rune) bool {
	return strings.ContainsRune("\"')]}*_`~”’»›」』）】》〉｣］", r)
}
func setOf(words string) map[string]bool {
	set := map[string]bool{}
	for word := range strings.FieldsSeq(words) {
		set[word] = true
	}
	return set
}

var (
	titles             = setOf("Mr Mrs Ms Mx Dr Prof Capt Cpt Lt Sgt Gen Col Maj Sen Rep Gov Rev Hon")
	fixedAbbreviations = setOf("St Mt vs Vs cf Cf i.e e.g I.e E.g viz approx Approx Fig")
	openAbbreviations  = setOf("inc ltd jr sr co corp bros etc al ph.d dept est ave blvd")
	starters           = setOf(`A An The This That These Those There Here I You He She It We They My Your His Her Its Our
		Their But And Or So If In On At For As However Then Now When What Where Who Why How Which While Wherever Please
		Yes Let Can Could Do Does Did Is Are Was Were Will Would Should Have Has To With After Before Also Another`)
)

// isEmoji reports whether r is, or belongs to, an emoji.
func isEmoji(r rune) bool {
	return r >= 0x200D && (r == 0x200D || r == 0x20E3 || r >= 0x2600 && r <= 0x27BF || r >= 0x2B00 && r <= 0x2BFF ||
		r >= 0xFE00 && r <= 0xFE0F || r >= 0x1F000 && r <= 0x1FBFF || r >= 0xE0020 && r <= 0xE007F)
}

// A look reads ahead, no further than a limit.
type look struct {
	text      *buffer
	at, limit int
	final     bool
	r         rune // what next read
	width     int
	short     bool // next needed text that has not arrived
}

// next reads the character at the look, and reports whether there is one in reach.
func (l *look) next() bool {
	l.r, l.width = 0, 0
	if l.at >= l.limit {
		return false
	}
	var ok bool
	if l.r, l.width, ok = l.text.rune(l.at, l.final); !ok {
		l.short = true
	}
	return l.width > 0
}

func (l *look) skip()       { l.at += l.width }
func (l *look) atEnd() bool { return l.width == 0 }

// find looks for an ASCII character.
func (l *look) find(c byte) (at int, ok bool) {
	for at = l.at; at < l.limit; at++ {
		if at >= l.text.end() {
			l.short = !l.final
			return 0, false
		}
		if l.text.data[at-l.text.base] == c {
			return at, true
		}
	}
	return 0, false
}

// word skips white space and opening marks, and reads what follows: the first character, or 0 if none is in reach, and
// with whole the letters of the word that begins with it.
func (l *look) word(whole bool) (first rune, word string) {
	for l.next() && (unicode.IsSpace(l.r) || strings.ContainsRune("\"'“‘([{*_«¿¡", l.r)) {
		l.skip()
	}
	if l.atEnd() || l.short {
		return 0, ""
	}
	first = l.r
	if !whole {
		return first, ""
	}
	start := l.at
	const longest = 16
	for l.at-start < longest && l.next() && unicode.IsLetter(l.r) {
		l.skip()
	}
	return first, string(l.text.slice(start, l.at))
}
