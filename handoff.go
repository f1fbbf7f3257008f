package agents

// A Handoff, returned by a tool, gives the floor to another activity. A tool may return a Handoff, a *Handoff (nil for
// none) or, when its output is typed as any, either a plain value or a Handoff.
//
// The tool's agent first finishes what it is saying; its OnExit runs; then To takes the floor and its OnEnter runs. Of
// several handoffs in one batch of calls the first in call order wins, and the output of each other call says so.
type Handoff struct {
	// To takes the floor. It must not be running already.
	To Activity
	// Result is the output of the call, as if the tool had returned it. It is recorded; the agent that leaves does
	// not answer it, unless Reply is set.
	Result any
	// Reply lets the agent that leaves speak once more, about Result, before it hands over.
	Reply bool
}
