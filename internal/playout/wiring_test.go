package playout_test

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/parley-voice/agents/internal/pacer"
	"github.com/parley-voice/agents/internal/playout"
)

// A reply as a session plays it: the loop owns ledger and synchroniser, feeds them what it sends to the output, and
// handles what the output reports. The user interrupts while a word is being said.
func TestReplyIsPlayedAndInterrupted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const rate = 24000
		start := time.Now()
		var log []string
		loop := make(chan func(), 16)

		p := pacer.New(pacer.Options{Shards: 1})
		defer p.Close()
		out, err := p.NewOutput(pacer.OutputOptions{SampleRate: rate, Play: func([]int16) {}})
		require.NoError(t, err)

		var ledger playout.Ledger
		sync := playout.NewSynchro(ledger.Begin(playout.Config{SampleRate: rate}))
		timer := time.NewTimer(0)
		timer.Stop()
		done := false
		handle := func(e playout.Event) {
			fx := sync.Handle(e, time.Now())
			if fx.Show != "" {
				log = append(log, fmt.Sprintf("%v %q", time.Since(start), fx.Show))
			}
			timer.Stop()
			if !fx.Timer.IsZero() {
				timer.Reset(time.Until(fx.Timer))
			}
			done = fx.Ended
		}
		out.Attach(func(e pacer.Event) {
			loop <- func() {
				if e.Type == pacer.Started {
					handle(playout.Event{Kind: playout.PlaybackStarted, At: e.At})
					return
				}
				handle(playout.Event{Kind: playout.PlaybackFinished, Playback: playout.Playback{Position: e.Position, Interrupted: e.Interrupted}})
			}
		})

		// The voice gives words and 2 s of audio, faster than it is played.
		ms := func(n int64) int64 { return n * rate / 1000 }
		handle(playout.Event{Kind: playout.TimedTextAdded, Words: []playout.Word{
			{Text: "Your order", Start: ms(100), End: ms(500)}, {Text: " arrives", Start: ms(500), End: ms(900)},
			{Text: " on Thursday.", Start: ms(1000), End: ms(1800)}}})
		handle(playout.Event{Kind: playout.TextEnded})
		go func() {
			frame := make([]int16, ms(200))
			for range 10 {
				if out.CaptureFrame(t.Context(), frame) != nil {
					break
				}
				loop <- func() { handle(playout.Event{Kind: playout.AudioAdded, Samples: frame, Channels: 1}) }
			}
			out.Flush()
			loop <- func() { handle(playout.Event{Kind: playout.AudioEnded}) }
		}()
		time.AfterFunc(1410*time.Millisecond, out.Clear)

		for !done {
			select {
			case f := <-loop:
				f()
			case <-timer.C:
				handle(playout.Event{Kind: playout.TimerFired})
			}
		}
		require.Equal(t, []string{`166.666667ms "Your"`, `366.666667ms " order"`, `700ms " arrives"`, `1.133333334s " on"`}, log)
		r := ledger.Segment(0).Result()
		require.Equal(t, playout.Result{Outcome: playout.Partial, Text: "Your order arrives on", Position: ms(1420), Interrupted: true}, r)
		require.Equal(t, r.Text, ledger.Text())
		synctest.Wait()
	})
}
