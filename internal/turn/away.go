package turn

// away tells when the user has left: after a time in which both sides listened and no tool ran.
//
//	both listen, no tool runs, there is a user   the timer is set
//	otherwise                                    it is stopped
//	the timer                                    the user is away
//	a final transcript or text from the user     the user listens, if they were away; the time begins anew
type away struct {
	armed bool
}

func (m *Machine) stepAway() {
	quiet := m.linked && m.user.state == UserListening && m.agent.State == AgentListening && m.tools == 0 && m.o.AwayTimeout > 0
	switch {
	case quiet && !m.away.armed:
		m.away.armed = true
		m.after(AwayTimer, m.o.AwayTimeout)
	case !quiet && m.away.armed:
		m.away.armed = false
		m.stop(AwayTimer)
	}
}

// userReturns notes that the user said or wrote something.
func (m *Machine) userReturns() {
	if m.user.state == UserAway {
		m.setUser(UserListening, m.now)
	}
	if m.away.armed {
		m.after(AwayTimer, m.o.AwayTimeout)
	}
}
