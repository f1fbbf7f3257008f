package agents

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/parley-voice/agents/internal/order"
)

// A DTMF is a key of a telephone, as the character that is on it: 0 to 9, *, # or A to D.
type DTMF byte

const dtmfKeys = "0123456789*#ABCD" // in the order of their codes

// ParseDTMF returns the keys of a text such as "12#". Letters may be small. Anything else in it, and an empty text, is an
// error.
func ParseDTMF(text string) ([]DTMF, error) {
	if text == "" {
		return nil, errors.New("agents: no keys")
	}
	keys := make([]DTMF, 0, len(text))
	for _, r := range text {
		i := strings.IndexRune(dtmfKeys, r)
		if 'a' <= r && r <= 'd' {
			i = strings.IndexRune(dtmfKeys, r-'a'+'A')
		}
		if i < 0 {
			return nil, fmt.Errorf("agents: %q is not a key of a telephone: 0 to 9, *, # and A to D are", r)
		}
		keys = append(keys, DTMF(dtmfKeys[i]))
	}
	return keys, nil
}

// Valid reports whether there is such a key.
func (k DTMF) Valid() bool { return strings.IndexByte(dtmfKeys, byte(k)) >= 0 }

// Code returns the key's event code in RFC 4733: 0 to 9 for the digits, 10 for *, 11 for # and 12 to 15 for A to D. It is
// -1 if there is no such key.
func (k DTMF) Code() int { return strings.IndexByte(dtmfKeys, byte(k)) }

// String returns the character on the key.
func (k DTMF) String() string {
	if !k.Valid() {
		return "DTMF(" + strconv.Itoa(int(k)) + ")"
	}
	return string(rune(k))
}

const (
	// dtmfDelay is the pause between two keys that are sent.
	dtmfDelay = 300 * time.Millisecond
	// maxKeysAhead is how many keys may wait for OnDTMF.
	maxKeysAhead = 64
)

// keypad is the telephone's keys: those that the user presses, which one goroutine reads and OnDTMF is told of one after
// another, and those that are sent. The loop owns it.
type keypad struct {
	c       *core
	in      DTMFInput  // nil without
	out     DTMFOutput // nil without
	reading bool
	stop    context.CancelFunc
	closed  bool
	pressed []DTMF // and OnDTMF was not asked yet

	calls   []*keyCall // of SendDTMF, in order; the first is being carried out
	lastKey time.Time  // when the last key was sent
}

// listen begins to read, once there is somebody to tell.
func (k *keypad) listen() {
	if k.in == nil || k.reading || k.closed {
		return
	}
	k.reading = true
	c, in, src := k.c, k.in, k.c.newSource(order.Input)
	ctx, cancel := context.WithCancel(c.ctx)
	k.stop = cancel
	j := &job{what: "DTMF input", src: src, end: func(e ending) {
		if e.err != nil && !errors.Is(e.err, io.EOF) && !e.cancelled && c.closing == nil {
			c.reportError("DTMF input", e.err, false)
		}
	}}
	c.spawn(j, func() error {
		for {
			key, err := in.ReadDTMF(ctx)
			if err != nil {
				return err
			}
			taken := make(chan struct{}) // one key at a time, so that no input can flood the loop
			c.queue.Post(src, func() {
				k.take(key)
				close(taken)
			})
			select {
			case <-taken:
			case <-ctx.Done():
				return context.Cause(ctx)
			}
		}
	})
}

// take takes a key that was pressed.
func (k *keypad) take(key DTMF) {
	c := k.c
	switch {
	case k.closed:
		return
	case !key.Valid():
		c.reportError("DTMF input", fmt.Errorf("agents: %v is not a key of a telephone", key), true)
		return
	}
	c.emit(&DTMFReceived{Key: key})
	c.userReturned()
	if len(k.pressed) >= maxKeysAhead {
		c.reportError("DTMF input", fmt.Errorf("agents: %d keys wait for OnDTMF, so one more is dropped", maxKeysAhead), false)
		return
	}
	k.pressed = append(k.pressed, key)
	c.touch()
}

// step tells the agent on the floor of the next key, once it has dealt with the one before. While the floor changes hands
// keys wait for whoever gets it: who knows a menu does not wait for its words.
func (k *keypad) step() {
	c := k.c
	for len(k.pressed) > 0 && !k.closed && c.closing == nil && !c.floorMoves() {
		f := c.top()
		hook := f.agent.OnDTMF
		if hook != nil && f.hookRunning("OnDTMF") {
			return
		}
		key := k.pressed[0]
		k.pressed = slices.Delete(k.pressed, 0, 1)
		if hook != nil {
			f.startHook("OnDTMF", f.ctx, func(ctx context.Context, s *AgentSession) error { return hook(ctx, s, key) })
		}
	}
}

// close ends the reading. Keys that wait are of no use any more.
func (k *keypad) close() {
	k.closed, k.pressed = true, nil
	if k.stop != nil {
		k.stop()
	}
}

// A keyCall is one call of SendDTMF.
type keyCall struct {
	ctx  context.Context
	keys []DTMF
	done chan error
}

// sendDTMF sends keys and waits until they are sent.
func (c *core) sendDTMF(ctx context.Context, by *caller, text string) error {
	keys, err := ParseDTMF(text)
	if err != nil {
		return err
	}
	if err := context.Cause(ctx); err != nil {
		return err
	}
	k := &c.keypad
	call := &keyCall{ctx: ctx, keys: keys, done: make(chan error, 1)}
	if err := c.do(by, func() {
		switch {
		case c.closing != nil && !c.closing.admits(by):
			call.done <- ErrSessionClosed
		case k.out == nil:
			call.done <- ErrNoDTMFOutput
		default:
			k.calls = append(k.calls, call)
			if len(k.calls) == 1 {
				k.dial()
			}
		}
	}); err != nil {
		return err
	}
	select {
	case err := <-call.done:
		return err
	case <-ctx.Done():
		_ = c.do(by, func() { k.giveUp(call) })
	case <-c.ended:
	}
	select {
	case err := <-call.done: // the call that is being carried out ends as the output says
		return err
	case <-c.ended:
		return ErrSessionClosed
	}
}

// giveUp takes a call off the list that has to wait for others.
func (k *keypad) giveUp(call *keyCall) {
	if i := slices.Index(k.calls, call); i > 0 {
		k.calls = slices.Delete(k.calls, i, i+1)
		call.done <- context.Cause(call.ctx)
	}
}

// dial carries out the first call.
func (k *keypad) dial() {
	c, call, out := k.c, k.calls[0], k.out
	ctx, cancel := context.WithCancelCause(call.ctx)
	stop := context.AfterFunc(c.ctx, func() { cancel(context.Cause(c.ctx)) })
	last := k.lastKey
	j := &job{what: "DTMF output", src: c.newSource(order.Tool)}
	j.end = func(e ending) {
		stop()
		cancel(nil)
		if e.abandoned { // the output is still in use, so nobody else gets it
			for _, call := range k.calls {
				call.done <- e.err
			}
			k.calls = nil
			return
		}
		k.lastKey = last
		call.done <- e.err
		k.calls = slices.Delete(k.calls, 0, 1)
		if len(k.calls) > 0 {
			k.dial()
		}
	}
	c.spawn(j, func() error {
		for i, key := range call.keys {
			err := waitUntil(ctx, last.Add(dtmfDelay))
			if err == nil {
				err = out.SendDTMF(ctx, key)
			}
			if err != nil {
				return &keysNotSentError{i, len(call.keys), err}
			}
			last = time.Now()
		}
		return nil
	})
}

// waitUntil returns at a time, at once if that is past, or with the cause of ctx when that is done.
func waitUntil(ctx context.Context, at time.Time) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	wait := time.Until(at)
	if wait <= 0 {
		return nil
	}
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// A keysNotSentError says how far SendDTMF got.
type keysNotSentError struct {
	sent, of int
	err      error
}

func (e *keysNotSentError) Error() string {
	return fmt.Sprintf("agents: %d of %d keys were sent: %v", e.sent, e.of, e.err)
}
func (e *keysNotSentError) Unwrap() error { return e.err }

type sendDTMFArgs struct {
	Events []string `json:"events" jsonschema:"the keys, in the order in which they are pressed" enum:"0,1,2,3,4,5,6,7,8,9,*,#,A,B,C,D"`
}

var sendDTMFTool = NewTool("send_dtmf_events",
	"Press keys of the telephone, such as to choose from the menu of an automated system or to enter a number there.",
	func(ctx context.Context, run *RunContext[any], in sendDTMFArgs) (string, error) {
		if len(in.Events) == 0 {
			return "", Errorf("No keys were given, so none was pressed.")
		}
		err := run.Session().SendDTMF(ctx, strings.Join(in.Events, ""))
		var part *keysNotSentError
		switch {
		case err == nil:
			return "Pressed: " + strings.Join(in.Events, " "), nil
		case errors.Is(err, ErrNoDTMFOutput):
			return "", Errorf("No key was pressed: this conversation is not on a telephone line that takes keys.")
		case errors.As(err, &part):
			return "", fmt.Errorf("%w (%w)", Errorf("Pressing the keys failed: %d of %d were pressed.", part.sent, part.of), err)
		}
		return "", err
	})

// SendDTMFTool returns the tool send_dtmf_events, with which the model presses keys of the telephone: those of the session
// that the call belongs to, whichever that is. It is told whether that worked. It is always the same tool, so that it
// may be given to a session and to its agents.
func SendDTMFTool() *FunctionTool { return sendDTMFTool }
