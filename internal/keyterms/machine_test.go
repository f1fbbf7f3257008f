package keyterms

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// A script is a sequence of steps, one a row: "user TEXT", "pass +PENDING !CONFIRM -REMOVE …", "fail", "static TERMS". Each is
// followed by what it leads to: "begin" for a pass that begins, and what is applied when that changes.
type step struct{ do, want string }

type player struct {
	m    *Machine
	pass uint64
}

func (p *player) play(do string) string {
	what, rest, _ := strings.Cut(do, " ")
	push := func(changed bool) string {
		if changed {
			return strings.Join(p.m.Applied(), ", ")
		}
		return ""
	}
	switch what {
	case "user":
		if pass, begin := p.m.UserMessage(rest); begin {
			p.pass = pass
			return "begin"
		}
	case "fail":
		p.m.Failed(p.pass)
	case "static":
		return push(p.m.SetStatic(strings.Split(rest, ",")))
	case "pass":
		var a Answer
		for _, term := range strings.Fields(rest) {
			name := strings.ReplaceAll(term[1:], "_", " ")
			switch term[0] {
			case '+':
				a.Pending = append(a.Pending, name)
			case '!':
				a.Confirm = append(a.Confirm, name)
			case '-':
				a.Remove = append(a.Remove, name)
			}
		}
		return push(p.m.Passed(p.pass, a))
	}
	return ""
}

func TestTable(t *testing.T) {
	for _, tt := range []struct {
		name  string
		o     Options
		steps []step
		known Known
	}{
		{"a pass every message", Options{}, []step{{"user hi", "begin"}, {"pass", ""}, {"user hi", "begin"}}, Known{}},
		{"a pass every three messages", Options{Interval: 3}, []step{
			{"user a", ""}, {"user b", ""}, {"user c", "begin"}, {"pass", ""}, {"user d", ""}, {"user e", ""}, {"user f", "begin"}}, Known{}},
		{"empty messages do not count", Options{Interval: 2}, []step{{"user a", ""}, {"user  ", ""}, {"user ", ""}, {"user b", "begin"}}, Known{}},
		{"one pass at a time, and none is made up for", Options{Interval: 2}, []step{
			{"user a", ""}, {"user b", "begin"}, {"user c", ""}, {"user d", ""}, {"pass !x", "x"}, {"user e", ""}, {"user f", "begin"}},
			Known{Confirmed: []string{"x"}}},
		{"a failed pass changes nothing", Options{}, []step{
			{"user a", "begin"}, {"pass +p !c", "c"}, {"user b", "begin"}, {"fail", ""}, {"user b", "begin"}, {"fail", ""},
			{"user b", "begin"}, {"fail", ""}, {"user c", "begin"}, {"pass !p", "c, p"}}, Known{Confirmed: []string{"c", "p"}}},
		{"only confirmed terms are applied", Options{}, []step{{"user a", "begin"}, {"pass +p", ""}}, Known{Pending: []string{"p"}}},
		{"a confirmed term stays confirmed", Options{}, []step{
			{"user a", "begin"}, {"pass !c", "c"}, {"user b", "begin"}, {"pass +c", ""}}, Known{Confirmed: []string{"c"}}},
		{"pending and confirmed at once", Options{}, []step{{"user a", "begin"}, {"pass +c !c", "c"}}, Known{Confirmed: []string{"c"}}},
		{"confirmed in the third pass after", Options{}, []step{
			{"user a", "begin"}, {"pass +p", ""}, {"user b", "begin"}, {"pass", ""}, {"user c", "begin"}, {"pass +p", ""},
			{"user d", "begin"}, {"pass !p", "p"}}, Known{Confirmed: []string{"p"}}},
		{"not confirmed by then", Options{}, []step{
			{"user a", "begin"}, {"pass +p", ""}, {"user b", "begin"}, {"pass", ""}, {"user c", "begin"}, {"pass", ""},
			{"user d", "begin"}, {"pass +p", ""}}, Known{}},
		{"noted anew after that", Options{}, []step{
			{"user a", "begin"}, {"pass +p", ""}, {"user b", "begin"}, {"pass", ""}, {"user c", "begin"}, {"pass", ""},
			{"user d", "begin"}, {"pass", ""}, {"user e", "begin"}, {"pass +p", ""}}, Known{Pending: []string{"p"}}},
		{"removed while pending", Options{}, []step{{"user a", "begin"}, {"pass +p", ""}, {"user b", "begin"}, {"pass -p", ""}}, Known{}},
		{"removed while confirmed", Options{}, []step{{"user a", "begin"}, {"pass !c !d", "c, d"}, {"user b", "begin"}, {"pass -c", "d"}},
			Known{Confirmed: []string{"d"}}},
		{"what was removed is not noted again", Options{}, []step{
			{"user a", "begin"}, {"pass -p", ""}, {"user b", "begin"}, {"pass +p", ""}}, Known{}},
		{"but may be confirmed", Options{}, []step{
			{"user a", "begin"}, {"pass -p", ""}, {"user b", "begin"}, {"pass !p", "p"}}, Known{Confirmed: []string{"p"}}},
		{"removed and confirmed at once", Options{}, []step{{"user a", "begin"}, {"pass !c -c", ""}}, Known{}},
		{"the cap evicts the oldest", Options{Max: 2}, []step{
			{"user a", "begin"}, {"pass !c !d", "c, d"}, {"user b", "begin"}, {"pass !c !e", "d, e"}}, Known{Confirmed: []string{"d", "e"}}},
		{"static terms are not capped", Options{Max: 1, Static: []string{"s", "t"}}, []step{
			{"user a", "begin"}, {"pass !c !d", "s, t, d"}}, Known{Static: []string{"s", "t"}, Confirmed: []string{"d"}}},
		{"static terms stay as they are", Options{Static: []string{"Parley"}}, []step{
			{"user a", "begin"}, {"pass +parley", ""}, {"user b", "begin"}, {"pass !PARLEY -parley", ""}}, Known{Static: []string{"Parley"}}},
		{"static terms that were confirmed before", Options{}, []step{
			{"user a", "begin"}, {"pass !c !d", "c, d"}, {"static D,d, e ", "D, e, c"}, {"static D,e", ""}},
			Known{Static: []string{"D", "e"}, Confirmed: []string{"c", "d"}}},
		{"the same but for case and white space", Options{}, []step{
			{"user a", "begin"}, {"pass !Big_Apple", "Big Apple"}, {"user b", "begin"}, {"pass !big__APPLE", ""}},
			Known{Confirmed: []string{"Big Apple"}}},
		{"no terms", Options{}, []step{{"user a", "begin"}, {"pass +_ !" + strings.Repeat("x", 81) + " !\x00 !\xff", ""}}, Known{}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			p := &player{m: New(tt.o)}
			for i, s := range tt.steps {
				require.Equal(t, s.want, p.play(s.do), "step %d: %s", i+1, s.do)
			}
			require.Equal(t, tt.known, p.m.Known())
		})
	}
}

// An answer that comes when nobody waits for it any more, or twice, has no effect.
func TestLateAnswers(t *testing.T) {
	m := New(Options{})
	require.False(t, m.Passed(0, Answer{Confirm: []string{"x"}}), "none began")
	first, _ := m.UserMessage("a")
	m.Failed(first)
	require.False(t, m.Passed(first, Answer{Confirm: []string{"x"}}))
	second, begin := m.UserMessage("b")
	require.True(t, begin)
	m.Failed(first)
	_, begin = m.UserMessage("c")
	require.False(t, begin, "the second still runs")
	require.True(t, m.Passed(second, Answer{Confirm: []string{"x"}}))
	require.False(t, m.Passed(second, Answer{Confirm: []string{"y"}}))
	require.Equal(t, []string{"x"}, m.Applied())
}

func TestWhatIsHeldIsBounded(t *testing.T) {
	m := New(Options{})
	for i := range 15 {
		var a Answer
		for n := range 200 {
			a.Pending = append(a.Pending, fmt.Sprint("p", i, " ", n))
			a.Confirm = append(a.Confirm, fmt.Sprint("c", i, " ", n))
			a.Remove = append(a.Remove, fmt.Sprint("r", i, " ", n))
		}
		pass, begin := m.UserMessage("more")
		require.True(t, begin)
		m.Passed(pass, a)
	}
	require.Len(t, m.confirmed, MaxConfirmed)
	require.Len(t, m.pending, MaxPending)
	require.Len(t, m.removed, MaxRemoved)
	require.Equal(t, "c14 99", m.confirmed[MaxConfirmed-1])
}

// Whatever is said, no term is in two places, static terms come first, and changes are told exactly when there are some.
func FuzzMachine(f *testing.F) {
	f.Add(2, 3, "s,T", "u+a;u!a-b;u;f;u+b+c;su,v;u-a!S")
	f.Add(1, 1, "", "u+a;u;u;u;u!a;u!b;u!c")
	f.Fuzz(func(t *testing.T, interval, most int, static, script string) {
		if len(script) > 2000 {
			return
		}
		m := New(Options{Static: strings.Split(static, ","), Interval: interval, Max: most})
		applied := m.Applied()
		var pass uint64
		begun := false
		for line := range strings.SplitSeq(script, ";") {
			if line == "" {
				continue
			}
			changed := false
			switch line[0] {
			case 'u':
				if !begun {
					pass, begun = m.UserMessage("x")
				}
				if begun && len(line) > 1 {
					var a Answer
					for part := range strings.SplitSeq(line[1:], "+") {
						p, rest, _ := strings.Cut(part, "!")
						c, r, _ := strings.Cut(rest, "-")
						a.Pending, a.Confirm, a.Remove = append(a.Pending, p), append(a.Confirm, c), append(a.Remove, r)
					}
					changed = m.Passed(pass, a)
					begun = false
				}
			case 'f':
				m.Failed(pass)
				begun = false
			case 's':
				changed = m.SetStatic(strings.Split(line[1:], ","))
			}
			now := m.Applied()
			require.Equal(t, changed, !slices.Equal(now, applied))
			applied = now
			k := m.Known()
			require.True(t, slices.Equal(k.Static, applied[:len(k.Static)]))
			require.LessOrEqual(t, len(k.Confirmed), m.opts.Max)
			held := slices.Concat(k.Confirmed, k.Pending, m.removed)
			for i, term := range held {
				require.Equal(t, clean(term), term)
				require.False(t, has(held[:i], term), term)
			}
			for i, term := range applied {
				require.False(t, has(applied[:i], term), term)
			}
		}
	})
}
