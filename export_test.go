package agents

// MutateCompletionOrder breaks a session's loop: the call that finishes last decides about the handoff, so that the
// handoff of one that finished earlier is lost. Only some orderings show it (LKA#7320).
func MutateCompletionOrder(s *AgentSession) {
	s.c.do(nil, func() {
		s.c.mutant = func(calls []*toolCall) *toolCall {
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
	})
}
