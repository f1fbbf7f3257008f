package livekit

import "time"

// A linkState is where the connection to the server stands.
type linkState int

const (
	linkIdle linkState = iota
	linkConnecting
	linkRegistering
	linkConnected
	linkWaiting
	linkFailed
	linkClosed
)

func (s linkState) String() string {
	return [...]string{"idle", "connecting", "registering", "connected", "waiting", "failed", "closed"}[s]
}

const (
	linkDelayStep = 2 * time.Second
	linkDelayMax  = 10 * time.Second
	// linkStable is how long a registered connection must have lasted for its loss not to slow the next attempt.
	linkStable = 10 * time.Second
	// linkSpread is over what the first attempts of all workers are spread that lost one server.
	linkSpread = time.Second
)

// A link is the state machine of the connection: what has happened decides how long to wait and when to give up. It
// does no I/O and reads no clock.
type link struct {
	state    linkState
	maxRetry int
	// failures counts attempts in a row that did not register, and decides when to give up. A socket that opens is not
	// yet a success: a server that accepts sockets and refuses to register is not retried in a tight loop.
	failures int
	// streak counts attempts since a connection last held for a while; each makes the next wait longer.
	streak     int
	registered time.Time
}

// dial is the start of an attempt, opened the end of the handshake, and registered that of the registration.
func (l *link) dial()   { l.state = linkConnecting }
func (l *link) opened() { l.state = linkRegistering }
func (l *link) connected(now time.Time) {
	l.state, l.failures, l.registered = linkConnected, 0, now
}

// lost is the end of an attempt or of a connection. It returns how long to wait before the next attempt, or that there
// is none. random is from 0 to 1, and takes up to a quarter off the delay, or spreads what has none.
func (l *link) lost(now time.Time, random float64) (delay time.Duration, failed bool) {
	if l.state == linkConnected {
		if now.Sub(l.registered) >= linkStable {
			l.streak = 0
		}
	} else {
		if l.failures >= l.maxRetry {
			l.state = linkFailed
			return 0, true
		}
		l.failures++
	}
	l.state = linkWaiting
	delay = min(time.Duration(l.streak)*linkDelayStep, linkDelayMax)
	l.streak++
	if delay == 0 {
		return time.Duration(random * float64(linkSpread)), false
	}
	return delay - time.Duration(random*float64(delay)/4), false
}
