package livekit

import (
	"fmt"
	"log/slog"

	lksdk "github.com/livekit/server-sdk-go/v2"
)

// A FrameProcessor changes the user's audio before the session hears it, as to take noise out of it.
type FrameProcessor interface {
	// Process changes samples of one channel in place. It is called on one goroutine at a time, in the order of the
	// audio, with what one packet holds, which is mostly 20 ms. What takes longer than that makes the session deaf.
	Process(samples []int16, sampleRate int)
	// Close is called once, after the last Process.
	Close() error
}

// A trackProcessor is the processor of one track. A nil one changes nothing.
type trackProcessor struct {
	p     FrameProcessor
	owned bool // it ends with the track
	log   *slog.Logger
}

// processor returns the processor of a track, or nil. A selector is asked for each track, and what it returns ends with
// that; the one of the options goes on with the next.
func (r *RoomIO) processor(p *lksdk.RemoteParticipant, pub *lksdk.RemoteTrackPublication) *trackProcessor {
	t := &trackProcessor{p: r.o.Processor, log: r.log}
	if r.o.SelectProcessor != nil {
		t.owned = true
		t.guard(func() { t.p = r.o.SelectProcessor(p, pub) })
	}
	if t.p == nil {
		return nil
	}
	return t
}

func (t *trackProcessor) process(samples []int16, rate int) {
	if t == nil || t.p == nil {
		return
	}
	defer t.recover()
	t.p.Process(samples, rate)
}

// end closes the processor if it is the track's own.
func (t *trackProcessor) end() {
	if t != nil && t.owned {
		t.close()
	}
}

func (t *trackProcessor) close() {
	if t.p == nil {
		return
	}
	t.guard(func() {
		if err := t.p.Close(); err != nil {
			t.log.Warn("a frame processor could not be closed", "err", err)
		}
	})
}

func (t *trackProcessor) guard(f func()) {
	defer t.recover()
	f()
}

// recover has the audio go on as it is after a panic, which is not worth a call.
func (t *trackProcessor) recover() {
	if p := recover(); p != nil {
		t.log.Error("a frame processor panicked, and is used no more", "panic", fmt.Sprint(p))
		t.p = nil
	}
}
