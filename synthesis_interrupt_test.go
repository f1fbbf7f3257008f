package agents_test

import (
	"context"
	"errors"
	"iter"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/parley-voice/agents"
	"github.com/parley-voice/agents/agenttest"
)

// An interruption does not wait for the next attempt.
func TestSynthesisIsInterruptedBetweenAttempts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		tts := agenttest.NewTTS(t)
		down := agenttest.Refuse(agenttest.StatusError(503))
		tts.Faults(down, down)
		h := synthesise(ctx, agents.SynthesisOptions{TTS: tts}, 0, "Hello.")
		require.ErrorIs(t, h.err, context.DeadlineExceeded)
		require.Equal(t, time.Second, h.over)
		require.Equal(t, []int{1, 2}, h.retries)
	})
}

// Once ctx is done nothing more is given but its cause, whatever the TTS still sends.
func TestSynthesisIsInterrupted(t *testing.T) {
	interrupted := errors.New("interrupted")
	for _, c := range []struct {
		name    string
		at      time.Duration
		audio   time.Duration
		pulled  int
		reports int
	}{
		{name: "before the text", at: 50 * ms},
		{name: "within the text", at: 150 * ms, pulled: 1, reports: 1},
		{name: "before the audio", at: 350 * ms, pulled: 2, reports: 1},
		{name: "within the audio", at: 505 * ms, pulled: 2, audio: 110 * ms, reports: 1},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ctx, cancel := context.WithCancelCause(t.Context())
				time.AfterFunc(c.at, func() { cancel(interrupted) })
				tts := agenttest.NewTTS(t, agenttest.Spoken("Hello there.", time.Second))
				h, seq := newSynthesis(ctx, agents.SynthesisOptions{TTS: tts}, 100*ms, "Hello ", "there.")
				h.hear(seq, func(c agents.TTSChunk) bool {
					sleep(t.Context(), c.Frame.Duration()) // as it is played
					return true
				})
				require.ErrorIs(t, h.err, interrupted)
				require.Equal(t, c.audio, h.audio)
				require.Equal(t, max(c.at, 400*ms+c.audio), max(h.over, 400*ms+c.audio))
				require.Len(t, h.pulled, c.pulled)
				require.True(t, h.textDone)
				require.Len(t, h.reports, c.reports)
				for _, r := range h.reports {
					require.True(t, r.Cancelled)
					require.False(t, r.Failed)
				}
			})
		})
	}
}

func TestSynthesisWithAnEndedContextDoesNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		tts := agenttest.NewTTS(t)
		h := synthesise(ctx, agents.SynthesisOptions{TTS: tts}, 0, "Hello.")
		require.ErrorIs(t, h.err, context.Canceled)
		require.Empty(t, h.pulled)
		require.Zero(t, tts.Streams())
	})
}

// A consumer that stops ends the stream, and waits for the text as long as it likes.
func TestSynthesisStopsWithItsConsumer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		v := &streamVoice{run: func(s *voiceStream) error { // speaks while it is given text
			_, err := s.text()
			for err == nil {
				if err = s.speak(time.Second); err == nil {
					_, err = s.text()
				}
			}
			return err
		}}
		h, seq := newSynthesis(t.Context(), agents.SynthesisOptions{TTS: v}, 300*ms, "One. ", "Two. ", "Three.")
		h.hear(seq, func(agents.TTSChunk) bool { return false })
		require.Equal(t, 300*ms, h.end)
		require.Equal(t, 600*ms, h.over)
		require.Equal(t, []string{"One. ", "Two. "}, h.pulled)
		require.True(t, h.reports[0].Cancelled)
		require.Equal(t, 1, v.closed())
	})
}

// Text that goes on regardless of ctx is left to itself.
func TestSynthesisIsNotHeldUpByItsText(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		time.AfterFunc(time.Second, cancel)
		release := make(chan struct{})
		var seq iter.Seq[string] = func(yield func(string) bool) {
			<-release
			if yield("late") {
				panic("late text was taken")
			}
		}
		h := &synthesised{}
		h.hear(agents.Synthesize(ctx, seq, agents.SynthesisOptions{TTS: agenttest.NewTTS(t)}), nil)
		require.ErrorIs(t, h.err, context.Canceled)
		require.Equal(t, time.Second, h.end)
		require.Equal(t, time.Second+agents.SynthesisGrace, h.over)
		close(release)
		synctest.Wait()
	})
}

// Whenever ctx ends, whatever is wrong, that is the end, at once and with nothing left behind.
func TestSynthesisEndsAtAnyMoment(t *testing.T) {
	interrupted := errors.New("interrupted")
	for name, fault := range map[string]agenttest.VoiceFault{
		"no fault": {},
		"refused":  agenttest.Refuse(agenttest.StatusError(503)),
		"stalled":  agenttest.StallAt(300 * ms),
		"cut off":  agenttest.CutAt(0),
		"garbage":  agenttest.GarbageAt(0),
		"late":     agenttest.Late(200 * ms),
	} {
		t.Run(name, func(t *testing.T) {
			for at := time.Duration(1); at < 1200*ms; at += 25 * ms {
				synctest.Test(t, func(t *testing.T) {
					ctx, cancel := context.WithCancelCause(t.Context())
					time.AfterFunc(at, func() { cancel(interrupted) })
					tts := agenttest.NewTTS(t)
					o := agents.SynthesisOptions{TTS: tts, Conn: agents.ConnectOptions{Timeout: agents.Delay(500 * ms)}}
					h, seq := newSynthesis(ctx, o, 50*ms, "Hello ", "there.", "\n")
					if at > 50*ms { // there will be a stream
						tts.Faults(fault)
					}
					h.hear(seq, func(c agents.TTSChunk) bool { return sleep(ctx, c.Frame.Duration()) || true })
					if h.over < at {
						require.NotErrorIs(t, h.err, interrupted)
					} else {
						require.ErrorIs(t, h.err, interrupted)
						require.Equal(t, at, h.over)
					}
					require.True(t, h.textDone)
				})
			}
		})
	}
}
