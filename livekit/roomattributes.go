package livekit

import (
	"context"
	"maps"
	"sync"

	agents "github.com/parley-voice/agents"
)

// roomAttributes sets the agent's attributes in the room. Only the latest value of each counts: what changes while an
// update is on its way waits, and takes the place of what waited. The last value is always sent.
type roomAttributes struct {
	io *RoomIO

	mu      sync.Mutex
	pending map[string]string
	sent    map[string]string
	sending bool
	idle    *sync.Cond
	closed  bool
}

func newRoomAttributes(io *RoomIO) *roomAttributes {
	a := &roomAttributes{io: io, pending: map[string]string{}, sent: map[string]string{}}
	a.idle = sync.NewCond(&a.mu)
	io.spawn(func(ctx context.Context) { // what came before the room was joined
		select {
		case <-io.room.joined:
			a.set(nil)
		case <-ctx.Done():
		}
	})
	return a
}

func (a *roomAttributes) setState(s agents.AgentState) {
	a.set(map[string]string{attributeState: string(s)})
}

func (a *roomAttributes) set(attributes map[string]string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	maps.Copy(a.pending, attributes)
	a.start()
}

// resend sends all again, to a server that may have forgotten.
func (a *roomAttributes) resend() {
	a.mu.Lock()
	defer a.mu.Unlock()
	for k, v := range a.sent {
		if _, newer := a.pending[k]; !newer {
			a.pending[k] = v
		}
	}
	a.start()
}

func (a *roomAttributes) start() {
	if a.sending || a.closed || len(a.pending) == 0 || !isClosed(a.io.room.joined) {
		return
	}
	a.sending = true
	go a.send()
}

func (a *roomAttributes) send() {
	a.mu.Lock()
	defer a.mu.Unlock()
	for len(a.pending) > 0 && !isClosed(a.io.room.left) {
		attributes := a.pending
		a.pending = map[string]string{}
		maps.Copy(a.sent, attributes)
		a.mu.Unlock()
		a.io.room.LocalParticipant.SetAttributes(attributes)
		a.mu.Lock()
	}
	a.sending = false
	a.idle.Broadcast()
}

// flush waits until everything was sent.
func (a *roomAttributes) flush() {
	a.mu.Lock()
	defer a.mu.Unlock()
	for a.sending {
		a.idle.Wait()
	}
}

func (a *roomAttributes) close() {
	a.flush()
	a.mu.Lock()
	a.closed = true
	a.mu.Unlock()
}

// SetAttributes sets attributes of the agent in the room, together with its state. An empty value removes one.
func (r *RoomIO) SetAttributes(attributes map[string]string) { r.attr.set(attributes) }
