package endofturn

import (
	"strings"
	"sync"
)

// A vocabulary is what is particular to a language. Phrases of up to four words are separated by commas, in lower case.
// A longer phrase wins over a shorter one at the end of it: "hold on" over "on".
type vocabulary struct {
	hanging      string // never come last
	open         string // seldom come last
	verbs        string // as open, unless a word of clauses came before: "my name is", but "I know where it is"
	prepositions string // as open, unless they end a question of a language that does so, or go with a verb
	fillers      string
	pauses       string // announce that more comes
	closed       string // come last
	whole        string // are complete by themselves, or after something closed: "I do"
	asks         string // begin questions
	clauses      string // begin clauses in which the verb may be last
	leads        string // begin clauses that another must follow
	connects     string // come before the sentence proper: "and"

	strands   bool   // a preposition may end a question: "where are you from"
	particles string // after some verbs a preposition is no preposition, "particle: stem stem, …"; a "=" ends a whole word

	units       string // the digits from 0 on, variants joined by "/"
	ambiguous   string // words that may be digits, or not
	tens        string // twenty, thirty, …; a unit may follow within the same two digits
	teens       string
	hundreds    string
	compounds   string // parts of numbers of two digits in one word: "prefix-" of a unit, "-middle-" before tens
	scores      bool   // four twenties are eighty
	double      string // the next digit comes twice
	triple      string
	joints      string // may stand between two numbers, "y"
	digits      string // "digits"
	digitSuffix string // "stellig", as in "vierstellig"
	phone       string
	phoneDigits uint8
	card        string
	number      string // of unknown length: "account number"
	postcode    string
	postDigits  uint8
	code3       string // of three digits
	code4       string
	ending      string // "ends in": two digits or more
	email       string
	symbols     string // spoken signs of addresses: "dot"
	letterFor   string // between a letter and the word that stands for it: "as in"
}

// A class is what it means for a word or a phrase to come last.
type class uint8

const (
	plain class = iota
	hanging
	open
	verb
	preposition
	filler
	pause
	closed
	symbol
)

// A role is what a word does elsewhere. Words have several.
type role uint16

const (
	asks role = 1 << iota
	clause
	leads
	joint
	digitNoun
	email
	letterFor
	alone
	connects
)

// A numeral is how a word counts where digits are read out.
type numeral uint8

const (
	noNumeral numeral = iota
	unit
	ambiguousUnit
	ten
	teen
	hundred
	double
	triple
)

// unknownLength is the number of digits that a question asks for without saying so.
const unknownLength = 255

type entry struct {
	class   class
	roles   role
	numeral numeral
	value   uint8 // of a unit
	expects uint8 // digits
}

// A Judge knows one language. It is safe for concurrent use.
type Judge struct {
	entries   map[string]entry
	strands   bool
	scores    bool
	particles map[string][]string
	prefixes  []string // of compounds
	middles   []string
	suffixes  []string // the tens
	units     []string
	stellig   string
}

// For returns the judge of a language, such as "en", "pt-BR" or "de_AT", and whether there is one.
func For(language string) (*Judge, bool) {
	base := language
	if i := strings.IndexAny(language, "-_"); i >= 0 {
		base = language[:i]
	}
	switch len(base) {
	case 2, 3:
	default:
		return nil, false
	}
	all := judges()
	if j, ok := all[base]; ok {
		return j, true
	}
	j, ok := all[strings.ToLower(base)]
	return j, ok
}

// judges are by code of two letters and, as some recognisers have it, of three.
var judges = sync.OnceValue(func() map[string]*Judge {
	all := map[string]*Judge{}
	for codes, v := range map[string]*vocabulary{
		"en eng":     &english,
		"de deu ger": &german,
		"nl nld dut": &dutch,
		"es spa":     &spanish,
		"fr fra fre": &french,
		"it ita":     &italian,
		"pt por":     &portuguese,
	} {
		j := newJudge(v)
		for code := range strings.FieldsSeq(codes) {
			all[code] = j
		}
	}
	return all
})

func newJudge(v *vocabulary) *Judge {
	j := &Judge{entries: map[string]entry{}, particles: map[string][]string{}, strands: v.strands, scores: v.scores, stellig: v.digitSuffix}
	for _, c := range []struct {
		phrases string
		class   class
	}{ // a later one wins
		{v.symbols, symbol}, {v.prepositions, preposition}, {v.open, open}, {v.verbs, verb}, {v.hanging, hanging},
		{v.fillers, filler}, {v.pauses, pause}, {v.closed, closed},
	} {
		j.each(c.phrases, func(e *entry) { e.class = c.class })
	}
	for _, r := range []struct {
		phrases string
		role    role
	}{
		{v.asks, asks}, {v.clauses, clause}, {v.leads, leads}, {v.joints, joint}, {v.digits, digitNoun},
		{v.email, email}, {v.letterFor, letterFor}, {v.whole, alone},
		{v.connects, connects},
	} {
		j.each(r.phrases, func(e *entry) { e.roles |= r.role })
	}
	for _, e := range []struct {
		phrases string
		digits  uint8
	}{
		{v.number, unknownLength}, {v.phone, v.phoneDigits}, {v.card, 16}, {v.postcode, v.postDigits}, {v.code3, 3},
		{v.code4, 4}, {v.ending, 2},
	} {
		j.each(e.phrases, func(x *entry) { x.expects = e.digits })
	}
	for _, n := range []struct {
		phrases string
		numeral numeral
	}{{v.tens, ten}, {v.teens, teen}, {v.hundreds, hundred}, {v.double, double}, {v.triple, triple}} {
		j.each(n.phrases, func(e *entry) { e.numeral = n.numeral })
	}
	value := uint8(0)
	for variants := range strings.FieldsSeq(v.units) {
		for word := range strings.SplitSeq(variants, "/") {
			j.each(word, func(e *entry) { e.numeral, e.value = unit, value })
			j.units = append(j.units, word)
		}
		value++
	}
	j.each(v.ambiguous, func(e *entry) { e.numeral, e.value = ambiguousUnit, 1 })
	for part := range strings.SplitSeq(v.compounds, ",") {
		part = strings.TrimSpace(part)
		if middle, ok := strings.CutPrefix(part, "-"); ok {
			j.middles = append(j.middles, strings.TrimSuffix(middle, "-"))
			j.suffixes = phrases(v.tens)
		} else if prefix, ok := strings.CutSuffix(part, "-"); ok {
			j.prefixes = append(j.prefixes, prefix)
		}
	}
	for p := range strings.SplitSeq(v.particles, ",") {
		if particle, stems, ok := strings.Cut(strings.TrimSpace(p), ":"); ok {
			j.particles[particle] = strings.Fields(stems)
		}
	}
	return j
}

// each changes the entries of phrases, which it makes where there is none.
func (j *Judge) each(list string, change func(*entry)) {
	for _, p := range phrases(list) {
		e := j.entries[p]
		change(&e)
		j.entries[p] = e
	}
}

// phrases splits a list, with each phrase as a [text] has it.
func phrases(list string) []string {
	var all []string
	for p := range strings.SplitSeq(list, ",") {
		var t text
		if t.read(p); t.n > 0 {
			all = append(all, string(t.buf[:t.size]))
		}
	}
	return all
}
