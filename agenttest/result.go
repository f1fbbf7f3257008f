package agenttest

import (
	"testing"

	"github.com/parley-voice/agents"
)

// A Result is what happened in a run, with assertions about it that read like the transcript. It has a cursor that
// Next and the other methods that speak of the next item move; the others look anywhere and leave it where it is. An
// assertion that does not hold ends the test and shows all items.
//
// A Result belongs to the test's goroutine.
type Result struct {
	*agents.RunResult
	t     tb
	items []agents.ChatItem
	next  int
}

// Expect returns assertions about a run. A nil run counts as one in which nothing happened.
func Expect(t testing.TB, run *agents.RunResult) *Result {
	if run == nil {
		run = &agents.RunResult{}
	}
	return &Result{RunResult: run, t: t, items: run.Items()}
}

// ExpectItems returns assertions about items, such as those of a history. Other than a run, they may hold the user's
// messages.
func ExpectItems(t testing.TB, items ...agents.ChatItem) *Result {
	return &Result{RunResult: &agents.RunResult{}, t: t, items: items}
}

// Items returns the items that the assertions are about.
func (r *Result) Items() []agents.ChatItem { return r.items }

// Next moves to the next item and returns it. The test fails if there is none.
func (r *Result) Next() *Item {
	r.t.Helper()
	if r.next >= len(r.items) {
		r.fail(len(r.items), "expected another item, but there is none left")
	}
	r.next++
	return &Item{r, r.next - 1}
}

// NextMessage moves to the next message, past everything else.
func (r *Result) NextMessage() *Item { r.t.Helper(); return r.nextOf("message") }

// NextCall moves to the next tool call, past everything else.
func (r *Result) NextCall() *Item { r.t.Helper(); return r.nextOf("function_call") }

// NextOutput moves to the next output of a tool call, past everything else.
func (r *Result) NextOutput() *Item { r.t.Helper(); return r.nextOf("function_call_output") }

// NextHandoff moves to the next handoff, past everything else.
func (r *Result) NextHandoff() *Item { r.t.Helper(); return r.nextOf("agent_handoff") }

func (r *Result) nextOf(kind string) *Item {
	r.t.Helper()
	for i := r.next; i < len(r.items); i++ {
		if kindOf(r.items[i]) == kind {
			r.next = i + 1
			return &Item{r, i}
		}
	}
	r.fail(len(r.items), "expected another %s, but there is none left", kind)
	return nil
}

// Skip moves past n items. The test fails if there are fewer.
func (r *Result) Skip(n int) {
	r.t.Helper()
	if left := len(r.items) - r.next; n > left {
		r.fail(r.next, "tried to skip %d items, but only %d are left", n, left)
	}
	r.next += n
}

// SkipIfMessage moves past the next item if it is a message of this role, and reports whether it did.
func (r *Result) SkipIfMessage(role agents.Role) bool { return r.skipIf(isMessage(role)) }

// SkipIfCall moves past the next item if it is a call of this tool with these arguments, and reports whether it did.
func (r *Result) SkipIfCall(tool string, args ...Args) bool { return r.skipIf(isCall(tool, args)) }

// SkipIfOutput moves past the next item if it is the output of a call that did not fail, and, if a text is given, is
// that text. It reports whether it did.
func (r *Result) SkipIfOutput(text ...string) bool { return r.skipIf(isOutput(false, text)) }

// SkipIfErrorOutput is [Result.SkipIfOutput] for a call that failed.
func (r *Result) SkipIfErrorOutput(text ...string) bool { return r.skipIf(isOutput(true, text)) }

// SkipIfHandoff moves past the next item if it is a handoff to this agent, and reports whether it did.
func (r *Result) SkipIfHandoff(to string) bool { return r.skipIf(isHandoffTo(to)) }

func (r *Result) skipIf(m matcher) bool {
	if r.next >= len(r.items) || m(r.items[r.next]) != "" {
		return false
	}
	r.next++
	return true
}

// None asserts that there are no more items.
func (r *Result) None() {
	r.t.Helper()
	if r.next < len(r.items) {
		r.fail(r.next, "expected no more items, but found %s", withArticle(kindOf(r.items[r.next])))
	}
}

// Len returns the number of items, wherever the cursor is.
func (r *Result) Len() int { return len(r.items) }

// At returns the item of index i, counted from the end when negative. The test fails if there is none.
func (r *Result) At(i int) *Item {
	r.t.Helper()
	j := i
	if j < 0 {
		j += len(r.items)
	}
	if j < 0 || j >= len(r.items) {
		r.fail(-1, "index %d is out of range: there are %d items", i, len(r.items))
	}
	return &Item{r, j}
}

// Range returns the items from index from to before index to, to look for something among them. Negative indexes count
// from the end. The test fails if there are no such items.
func (r *Result) Range(from, to int) *Range {
	r.t.Helper()
	a, b := from, to
	if a < 0 {
		a += len(r.items)
	}
	if b < 0 {
		b += len(r.items)
	}
	if a < 0 || b > len(r.items) || a > b {
		r.fail(-1, "range %d to %d is out of range: there are %d items", from, to, len(r.items))
	}
	return &Range{r, a, b}
}

func (r *Result) whole() *Range { return &Range{r, 0, len(r.items)} }

// ContainsMessage returns the first message of this role. The test fails if there is none.
func (r *Result) ContainsMessage(role agents.Role) *Item {
	r.t.Helper()
	return r.whole().ContainsMessage(role)
}

// ContainsCall returns the first call of this tool with these arguments. The test fails if there is none.
func (r *Result) ContainsCall(tool string, args ...Args) *Item {
	r.t.Helper()
	return r.whole().ContainsCall(tool, args...)
}

// ContainsOutput returns the first output of a call that did not fail, and that, if a text is given, is that text. The
// test fails if there is none.
func (r *Result) ContainsOutput(text ...string) *Item {
	r.t.Helper()
	return r.whole().ContainsOutput(text...)
}

// ContainsErrorOutput is [Result.ContainsOutput] for a call that failed.
func (r *Result) ContainsErrorOutput(text ...string) *Item {
	r.t.Helper()
	return r.whole().ContainsErrorOutput(text...)
}

// ContainsHandoff returns the first handoff to this agent. The test fails if there is none.
func (r *Result) ContainsHandoff(to string) *Item {
	r.t.Helper()
	return r.whole().ContainsHandoff(to)
}

// A Range is a part of the items of a [Result].
type Range struct {
	r        *Result
	from, to int
}

// ContainsMessage is [Result.ContainsMessage] for the range.
func (g *Range) ContainsMessage(role agents.Role) *Item {
	g.r.t.Helper()
	return g.contains(isMessage(role))
}

// ContainsCall is [Result.ContainsCall] for the range.
func (g *Range) ContainsCall(tool string, args ...Args) *Item {
	g.r.t.Helper()
	return g.contains(isCall(tool, args))
}

// ContainsOutput is [Result.ContainsOutput] for the range.
func (g *Range) ContainsOutput(text ...string) *Item {
	g.r.t.Helper()
	return g.contains(isOutput(false, text))
}

// ContainsErrorOutput is [Result.ContainsErrorOutput] for the range.
func (g *Range) ContainsErrorOutput(text ...string) *Item {
	g.r.t.Helper()
	return g.contains(isOutput(true, text))
}

// ContainsHandoff is [Result.ContainsHandoff] for the range.
func (g *Range) ContainsHandoff(to string) *Item {
	g.r.t.Helper()
	return g.contains(isHandoffTo(to))
}

func (g *Range) contains(m matcher) *Item {
	g.r.t.Helper()
	last := "there are no items"
	for i := g.from; i < g.to; i++ {
		why := m(g.r.items[i])
		if why == "" {
			return &Item{g.r, i}
		}
		last = why
	}
	if g.to-g.from == 1 {
		g.r.fail(g.from, "the only item in the range is not the one: %s", last)
	}
	g.r.fail(-1, "no item from %d to before %d is the one; the last: %s", g.from, g.to, last)
	return nil
}

// fail ends the test with a reason and the items, of which the one at index i is marked.
func (r *Result) fail(i int, format string, args ...any) {
	r.t.Helper()
	list := "    nothing happened"
	if len(r.items) > 0 {
		list = listItems(r.items, 0, i)
	}
	if i == len(r.items) {
		list += "\n>>> the end"
	}
	r.t.Fatalf("agenttest: "+format+"\nitems:\n%s", append(args, list)...)
}
