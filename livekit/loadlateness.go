package livekit

import (
	"sync"

	"github.com/parley-voice/agents/internal/pacer"
)

// fullyLate is how late the audio of a worker is that is fully loaded: a frame of it is due when the one before is played.
// At the default threshold, 0.7, a worker takes no more jobs when one in a hundred of its frames is 14 ms late.
const fullyLate = pacer.FrameTime

// A lateMeter measures how late what agents say is, which is what overload is first heard by.
type lateMeter struct {
	mu     sync.Mutex
	pacer  *pacer.Pacer // whose frames were counted
	counts [loadWindow + 1]pacer.Histogram
	n      int // of counts
}

// sample takes up the lateness since the last sample.
func (m *lateMeter) sample() {
	shared.Lock()
	var now *pacer.Pacer
	if shared.pacer != nil && shared.users > 0 {
		now = shared.pacer.p
	}
	shared.Unlock()
	m.add(now)
}

func (m *lateMeter) add(p *pacer.Pacer) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if p != m.pacer {
		m.pacer, m.n = p, 0
	}
	if p == nil {
		return
	}
	if m.n == len(m.counts) {
		copy(m.counts[:], m.counts[1:])
		m.n--
	}
	m.counts[m.n] = p.Stats().Lateness
	m.n++
}

// load is the 99th percentile over the last windows, as a share of fullyLate. It is 0 while nobody speaks.
func (m *lateMeter) load() float64 {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.n < 2 {
		return 0
	}
	late := m.counts[m.n-1].Sub(m.counts[0]).Quantile(0.99)
	return min(1, float64(late)/float64(fullyLate))
}
