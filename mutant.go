package agents

// mutant breaks the loop on purpose. Only a test sets it, to show that a search for orderings finds such faults.
var mutant string

// mutantCompletionOrder lets the call that finished last decide about the handoff, so that the handoff of one that
// finished earlier is lost: only some orderings show it (LKA#7320).
const mutantCompletionOrder = "completion order"

func lastToFinish(calls []*toolCall) *toolCall {
	last := calls[0]
	for _, t := range calls {
		if t.out.CreatedAt.After(last.out.CreatedAt) {
			last = t
		}
	}
	if last.handoff == nil {
		return nil
	}
	return last
}
