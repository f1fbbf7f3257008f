// Package keyterms decides which words a recogniser is told to expect: those that the application lists, and those that
// a model finds in the conversation. It is pure. A [Machine] takes what happened and returns what is to be done; it
// starts nothing, waits for nothing and reads no clock.
//
//	a user message with words          counted
//	every Interval of them             a pass begins; nothing while one runs, which is not made up for
//	a pass fails                       as if it had not been
//	a pass answers, term by term
//	  removed                          forgotten, and not noted again unless it is confirmed
//	  confirmed                        applied from now on; if there are more than Max, the oldest one goes
//	  pending, not known yet           noted; forgotten again after Patience more passes without being confirmed
//	  pending, confirmed before        stays confirmed
//	  static, whatever is said of it   stays as it is
//	what is applied changes            it is pushed
//
// What is applied are the static terms and then the confirmed ones, oldest first. Terms are the same if they differ in
// case or white space only.
package keyterms

import (
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Limits of what a model may make the machine hold.
const (
	// Patience is how many passes a pending term waits to be confirmed.
	Patience = 3
	// MaxLength is that of a term, in characters. Longer ones are not terms.
	MaxLength = 80
	// MaxPending and MaxRemoved are how many terms are held that are not applied. The oldest ones are forgotten.
	MaxPending = 100
	MaxRemoved = 200
	// MaxConfirmed is the cap where there is no other.
	MaxConfirmed = 1000
	// maxAnswer is how many terms of a list of a model's answer are read.
	maxAnswer = 100
)

// Options of a [Machine]. The zero value holds the defaults.
type Options struct {
	Static   []string // the application's terms
	Interval int      // of user messages between passes; 1 if less
	Max      int      // how many confirmed terms there may be; MaxConfirmed if less than 1
}

// An Answer is what a pass came to.
type Answer struct {
	Pending, Confirm, Remove []string
}

// Known is what a model is to be told before a pass.
type Known struct {
	Static, Confirmed, Pending []string
}

// A Machine holds the terms of one session. It belongs to one goroutine.
type Machine struct {
	opts      Options
	static    []string
	confirmed []string // the oldest first
	pending   []pendingTerm
	removed   []string
	applied   []string
	messages  int // since a pass was last due
	passes    uint64
	running   bool
}

type pendingTerm struct {
	term string
	left int // passes
}

// New returns a machine that applies the static terms.
func New(o Options) *Machine {
	o.Interval = max(o.Interval, 1)
	if o.Max < 1 {
		o.Max = MaxConfirmed
	}
	m := &Machine{opts: o}
	m.SetStatic(o.Static)
	return m
}

// Applied returns the terms that a recogniser is to expect. The slice is the caller's.
func (m *Machine) Applied() []string { return slices.Clone(m.applied) }

// Known returns what there is. The slices are the caller's.
func (m *Machine) Known() Known {
	k := Known{Static: slices.Clone(m.static), Confirmed: slices.Clone(m.confirmed)}
	for _, p := range m.pending {
		k.Pending = append(k.Pending, p.term)
	}
	return k
}

// SetStatic replaces the application's terms, and reports whether what is applied has changed.
func (m *Machine) SetStatic(terms []string) (changed bool) {
	m.static = nil
	for _, t := range terms {
		if t = clean(t); t != "" && !has(m.static, t) {
			m.static = append(m.static, t)
		}
	}
	return m.apply()
}

// UserMessage says that the user said something, and reports whether a pass is to begin now, and which. It must be
// ended by Passed or Failed.
func (m *Machine) UserMessage(text string) (pass uint64, begin bool) {
	if strings.TrimSpace(text) == "" {
		return 0, false
	}
	if m.messages++; m.messages < m.opts.Interval {
		return 0, false
	}
	m.messages = 0
	if m.running {
		return 0, false
	}
	m.running = true
	m.passes++
	return m.passes, true
}

// Failed says that a pass came to nothing.
func (m *Machine) Failed(pass uint64) {
	if pass == m.passes {
		m.running = false
	}
}

// Passed says what a pass came to, and reports whether what is applied has changed. A pass that is not the one that
// runs is of no effect.
func (m *Machine) Passed(pass uint64, a Answer) (changed bool) {
	if !m.running || pass != m.passes {
		return false
	}
	m.running = false
	remove := terms(a.Remove)
	for _, t := range remove {
		m.confirmed = without(m.confirmed, t)
		m.forget(t)
		m.removed = append(without(m.removed, t), t)
	}
	for _, t := range terms(a.Confirm) {
		if has(remove, t) || has(m.static, t) {
			continue
		}
		m.removed = without(m.removed, t)
		m.forget(t)
		if !has(m.confirmed, t) {
			m.confirmed = append(m.confirmed, t)
		}
	}
	expired := m.age()
	for _, t := range terms(a.Pending) {
		if !has(m.static, t) && !has(m.confirmed, t) && !has(m.removed, t) && !has(expired, t) && !m.waits(t) {
			m.pending = append(m.pending, pendingTerm{t, Patience})
		}
	}
	m.confirmed = last(m.confirmed, m.opts.Max)
	m.pending = last(m.pending, MaxPending)
	m.removed = last(m.removed, MaxRemoved)
	return m.apply()
}

// age takes a pass from each pending term, and returns those that have none left and are forgotten.
func (m *Machine) age() (expired []string) {
	kept := m.pending[:0]
	for _, p := range m.pending {
		if p.left--; p.left > 0 {
			kept = append(kept, p)
		} else {
			expired = append(expired, p.term)
		}
	}
	m.pending = kept
	return expired
}

func (m *Machine) waits(term string) bool {
	return slices.ContainsFunc(m.pending, func(p pendingTerm) bool { return strings.EqualFold(p.term, term) })
}

func (m *Machine) forget(term string) {
	m.pending = slices.DeleteFunc(m.pending, func(p pendingTerm) bool { return strings.EqualFold(p.term, term) })
}

// apply puts together what is applied and reports whether that has changed.
func (m *Machine) apply() bool {
	applied := slices.Clone(m.static)
	for _, t := range m.confirmed {
		if !has(m.static, t) {
			applied = append(applied, t)
		}
	}
	changed := !slices.Equal(applied, m.applied)
	m.applied = applied
	return changed
}

// terms returns what are terms of a model's list, each once.
func terms(list []string) []string {
	var all []string
	for _, t := range list {
		if t = clean(t); t == "" || has(all, t) {
			continue
		}
		if all = append(all, t); len(all) == maxAnswer {
			break
		}
	}
	return all
}

// clean returns a term without white space around it and with single spaces in it, or nothing if it is no term.
func clean(term string) string {
	if len(term) > MaxLength*2*utf8.UTFMax {
		return ""
	}
	term = strings.Join(strings.Fields(term), " ")
	if utf8.RuneCountInString(term) > MaxLength || !utf8.ValidString(term) ||
		strings.ContainsFunc(term, func(r rune) bool { return !unicode.IsPrint(r) }) {
		return ""
	}
	return term
}

func has(list []string, term string) bool {
	return slices.ContainsFunc(list, func(t string) bool { return strings.EqualFold(t, term) })
}

func without(list []string, term string) []string {
	return slices.DeleteFunc(list, func(t string) bool { return strings.EqualFold(t, term) })
}

// last returns the last n of a list.
func last[T any](list []T, n int) []T { return slices.Clone(list[max(0, len(list)-n):]) }
