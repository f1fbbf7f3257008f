package endofturn

import "strings"

// A Moment is what there is to judge by.
type Moment struct {
	Text     string // what the user said
	Question string // what the agent said last; may be empty
	// Before is what the user said right before, as a message of its own, if the agent has not spoken since: a number
	// may go on in Text.
	Before string
}

// A Rule is why a judgement came out as it did.
type Rule string

// The rules, in the order of the table of the package.
const (
	Empty    Rule = "empty"
	Question Rule = "question"
	Digits   Rule = "digits"
	Spelling Rule = "spelling"
	Trailing Rule = "trailing"
	Filler   Rule = "filler"
	Pause    Rule = "pause"
	Hanging  Rule = "hanging"
	Open     Rule = "open"
	Closed   Rule = "closed"
	Stop     Rule = "stop"
	Clause   Rule = "clause"
	Asked    Rule = "asked"
	Plain    Rule = "plain"
)

// A Verdict says how likely the turn has ended, from 0 to 1, and by which rule.
type Verdict struct {
	Probability float64
	Rule        Rule
}

// maxClause is how many words a clause may have that leaves no doubt that another must follow.
const maxClause = 8

// maxPhrase is how many words a phrase of a vocabulary has at most.
const maxPhrase = 4

// Judge judges a moment. It allocates nothing.
func (j *Judge) Judge(m Moment) Verdict {
	var t text
	t.read(m.Text)
	if t.n == 0 {
		return Verdict{0.60, Empty}
	}
	if t.mark == '?' || t.mark == '!' {
		return Verdict{0.95, Question}
	}
	if v, ok := j.digits(&t, m); ok {
		return v
	}
	if v, ok := j.spelling(&t, m); ok {
		return v
	}
	if t.mark != 0 && t.mark != '.' {
		return Verdict{0.10, Trailing}
	}
	stop := t.mark == '.'
	switch j.last(&t, m) {
	case filler:
		return Verdict{0.10, Filler}
	case pause:
		return Verdict{0.20, Pause}
	case hanging:
		return Verdict{pick(stop, 0.25, 0.08), Hanging}
	case open:
		return Verdict{pick(stop, 0.85, 0.30), Open}
	case closed:
		return Verdict{0.95, Closed}
	}
	first := j.opening(&t)
	switch {
	case stop:
		return Verdict{0.92, Stop}
	case j.leading(&t, first):
		return Verdict{0.40, Clause}
	case t.n-first >= 2 && j.entries[string(t.word(first))].roles&asks != 0:
		return Verdict{0.80, Asked}
	}
	return Verdict{0.65, Plain}
}

func pick(cond bool, yes, no float64) float64 {
	if cond {
		return yes
	}
	return no
}

// last says what it means that these words came last: filler, pause, hanging, open, closed or plain.
func (j *Judge) last(t *text, m Moment) class {
	for k := min(maxPhrase, t.n); k > 0; k-- {
		e, ok := j.entries[string(t.phrase(t.n-k, t.n))]
		if !ok {
			continue
		}
		if e.roles&alone != 0 && j.aloneAt(t, t.n-k) {
			return closed
		}
		if e.class == plain {
			continue
		}
		if k == 1 && j.goesWith(t) {
			return plain
		}
		switch e.class {
		case verb:
			if j.clauseBefore(t, t.n-k) {
				return plain
			}
			return open
		case preposition:
			if j.strands && j.entries[string(t.word(j.opening(t)))].roles&asks != 0 {
				return plain
			}
			return open
		case symbol:
			if j.mentions(t, m.Question, email) {
				return hanging
			}
			return plain
		}
		return e.class
	}
	return plain
}

// aloneAt reports whether a word begins what was said, but for a yes or no.
func (j *Judge) aloneAt(t *text, i int) bool {
	return i == t.sentence || j.entries[string(t.word(i-1))].class == closed
}

// goesWith reports whether the last word belongs to a verb before it: "on" in "turn it on".
func (j *Judge) goesWith(t *text) bool {
	stems := j.particles[string(t.word(-1))]
	if stems == nil {
		return false
	}
	for i := t.sentence; i < t.n-1; i++ {
		w := t.word(i)
		for _, stem := range stems {
			if verb, ok := strings.CutSuffix(stem, "="); ok && string(w) == verb || !ok && len(w) >= len(stem) && string(w[:len(stem)]) == stem {
				return true
			}
		}
	}
	return false
}

// clauseBefore reports whether a clause begins before the given word of the last sentence, so that its verb may come last.
func (j *Judge) clauseBefore(t *text, end int) bool {
	for i := t.sentence; i < end; i++ {
		if j.entries[string(t.word(i))].roles&clause != 0 {
			return true
		}
	}
	return false
}

// opening returns the first word of the last sentence that carries it: after "well", "and" or "hello".
func (j *Judge) opening(t *text) int {
	i := t.sentence
	for i < t.n-1 && i < t.sentence+3 {
		e := j.entries[string(t.word(i))]
		if e.roles&(asks|leads) != 0 || e.class != closed && e.class != filler && e.roles&connects == 0 {
			break
		}
		i++
	}
	return i
}

// leading reports whether the last sentence is a clause that another must follow, and not a question.
func (j *Judge) leading(t *text, first int) (lead bool) {
	if t.comma || t.n-first > maxClause {
		return false
	}
	for k := 1; k <= 3 && first+k < t.n; k++ {
		e := j.entries[string(t.phrase(first, first+k))]
		next := j.entries[string(t.word(first+k))].class
		switch {
		case k > 1 && e.roles&asks != 0: // "quand est"
			return false
		case e.roles&leads != 0:
			lead = e.roles&asks == 0 || next == hanging || next == open // "when I", but "when do"
		}
	}
	return lead
}

// mentions reports whether the agent's question, or the user before the last word, names something of a role.
func (j *Judge) mentions(t *text, question string, r role) bool {
	for end := t.n - 1; end > 0; end-- {
		if j.names(t, end, r) {
			return true
		}
	}
	if question == "" {
		return false
	}
	var q text
	q.read(question)
	for end := q.n; end > 0; end-- {
		if j.names(&q, end, r) {
			return true
		}
	}
	return false
}

// names reports whether a phrase with the role ends before the given word.
func (j *Judge) names(t *text, end int, r role) bool {
	for k := 1; k <= min(2, end); k++ {
		if j.entries[string(t.phrase(end-k, end))].roles&r != 0 {
			return true
		}
	}
	return false
}
