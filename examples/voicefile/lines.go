package main

import (
	"context"
	"fmt"
	"io"
	"strings"
	"sync"
	"time"

	"github.com/parley-voice/agents"
)

// A line is what the caller says, and when they have said it.
type line struct {
	end  time.Duration // in the recording
	text string
}

// parseLines reads lines such as "11.7 Where is my order?".
func parseLines(text string) ([]line, error) {
	var lines []line
	for l := range strings.Lines(text) {
		l = strings.TrimSpace(l)
		if l == "" {
			continue
		}
		at, said, ok := strings.Cut(l, " ")
		end, err := time.ParseDuration(at + "s")
		if !ok || err != nil {
			return nil, fmt.Errorf("%q is not a number of seconds and what was said by then", l)
		}
		lines = append(lines, line{end, strings.TrimSpace(said)})
	}
	return lines, nil
}

// A script is a recogniser that knows the recording: it says what the caller says when they have said it.
type script struct{ lines []line }

// understanding is how long a recogniser takes to be sure.
const understanding = 200 * time.Millisecond

func (*script) Model() string    { return "script" }
func (*script) Provider() string { return "local" }

func (*script) Capabilities() agents.STTCapabilities {
	return agents.STTCapabilities{Streaming: true, Timing: agents.ChunkTiming}
}

func (s *script) Stream(ctx context.Context, _ agents.STTOptions) (agents.STTStream, error) {
	r := &reading{lines: s.lines, said: make(chan agents.STTEvent, len(s.lines))}
	r.ctx, r.stop = context.WithCancelCause(ctx)
	return r, nil
}

// A reading is a recognition stream. It counts samples.
type reading struct {
	ctx  context.Context
	stop context.CancelCauseFunc
	said chan agents.STTEvent

	mu    sync.Mutex
	lines []line
	heard time.Duration
	ended bool
}

func (r *reading) Send(frame agents.AudioFrame) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.ended || r.ctx.Err() != nil {
		return agents.ErrStreamClosed
	}
	r.heard += frame.Duration()
	for len(r.lines) > 0 && r.heard >= r.lines[0].end+understanding {
		r.say()
	}
	return nil
}

func (r *reading) say() {
	l := r.lines[0]
	r.lines = r.lines[1:]
	r.said <- agents.STTEvent{Type: agents.STTFinal, Transcript: agents.Transcript{Text: l.text, Language: "en", End: l.end, Confidence: 1}}
}

// Flush says what has been said, without waiting to be sure.
func (r *reading) Flush() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	for len(r.lines) > 0 && r.heard >= r.lines[0].end {
		r.say()
	}
	return nil
}

func (r *reading) CloseSend() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if !r.ended {
		r.ended = true
		close(r.said)
	}
	return nil
}

func (r *reading) Recv() (agents.STTEvent, error) {
	select {
	case ev, ok := <-r.said:
		if !ok {
			return ev, io.EOF
		}
		return ev, nil
	case <-r.ctx.Done():
		return agents.STTEvent{}, context.Cause(r.ctx)
	}
}

func (r *reading) Close() error {
	r.stop(agents.ErrStreamClosed)
	return nil
}
