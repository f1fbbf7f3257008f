package agenttest

import (
	"context"
	"io"
	"sync"
	"time"

	"github.com/parley-voice/agents"
)

// A Keypad is the keys of a caller's telephone, in both directions. As an [agents.DTMFInput] it presses those of the
// [DTMF] parts of a [VoiceScript] in real or virtual time, each when its tone begins; the script begins with the first
// call of ReadDTMF. As an [agents.DTMFOutput] it takes every key at once and notes it.
//
// ReadDTMF is called by one goroutine at a time, and the other methods may be called at any time. A keypad has no
// goroutine and needs no closing.
type Keypad struct {
	hungUp chan struct{}
	once   sync.Once

	// Of the reader.
	keys  []pressedKey // that are still to be pressed
	begin time.Time

	mu   sync.Mutex
	sent []SentKey
}

type pressedKey struct {
	at  time.Duration
	key agents.DTMF
}

// A SentKey is a key that the agent pressed.
type SentKey struct {
	Key agents.DTMF
	At  time.Time
}

// NewKeypad returns a keypad that presses the keys of the script.
func NewKeypad(script VoiceScript) *Keypad {
	k := &Keypad{hungUp: make(chan struct{})}
	for _, p := range script.parts {
		if p.kind != dtmfKind {
			continue
		}
		for i := range len(p.text) {
			k.keys = append(k.keys, pressedKey{p.from + time.Duration(i)*(keyTone+keyPause), agents.DTMF(p.text[i])})
		}
	}
	return k
}

// ReadDTMF implements [agents.DTMFInput]. After the last key of the script none comes, until Hangup.
func (k *Keypad) ReadDTMF(ctx context.Context) (agents.DTMF, error) {
	if ctx.Err() != nil {
		return 0, context.Cause(ctx)
	}
	if k.begin.IsZero() {
		k.begin = time.Now()
	}
	var due <-chan time.Time // never, after the last key
	if len(k.keys) > 0 {
		timer := time.NewTimer(time.Until(k.begin.Add(k.keys[0].at)))
		defer timer.Stop()
		due = timer.C
	}
	select {
	case <-due:
		key := k.keys[0].key
		k.keys = k.keys[1:]
		return key, nil
	case <-k.hungUp:
		return 0, io.EOF
	case <-ctx.Done():
		return 0, context.Cause(ctx)
	}
}

// Hangup ends the keys: ReadDTMF returns io.EOF from now on. Calls after the first do nothing.
func (k *Keypad) Hangup() { k.once.Do(func() { close(k.hungUp) }) }

// SendDTMF implements [agents.DTMFOutput].
func (k *Keypad) SendDTMF(ctx context.Context, key agents.DTMF) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	k.sent = append(k.sent, SentKey{key, time.Now()})
	return nil
}

// Sent returns the keys that the agent pressed, in order.
func (k *Keypad) Sent() []SentKey {
	k.mu.Lock()
	defer k.mu.Unlock()
	return append([]SentKey(nil), k.sent...)
}
