package livekit

import (
	"sync"

	"github.com/parley-voice/agents/internal/pacer"
)

// A Pacer plays the audio of many sessions in time with a few goroutines. There is one for the process while any session
// is in a room; one made by [NewPacer] serves those that are given it.
type Pacer struct{ p *pacer.Pacer }

// NewPacer starts a pacer. Whoever calls it calls Close.
func NewPacer() *Pacer { return &Pacer{pacer.New(pacer.Options{})} }

// Close ends the pacer. What it plays is cut off.
func (p *Pacer) Close() { p.p.Close() }

// shared is the pacer of the process, which runs while it is used.
var shared struct {
	sync.Mutex
	pacer *Pacer
	users int
}

// usePacer returns the pacer to use, and how to give it back.
func usePacer(own *Pacer) (*pacer.Pacer, func()) {
	if own != nil {
		return own.p, func() {}
	}
	shared.Lock()
	defer shared.Unlock()
	if shared.users == 0 {
		shared.pacer = NewPacer()
	}
	shared.users++
	return shared.pacer.p, sync.OnceFunc(func() {
		shared.Lock()
		shared.users--
		last := shared.pacer
		if shared.users > 0 {
			last = nil
		}
		shared.Unlock()
		if last != nil {
			last.Close()
		}
	})
}
