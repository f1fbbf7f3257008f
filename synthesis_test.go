package agents_test

import (
	"context"
	"errors"
	"io"
	"iter"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/parley-voice/agents"
	"github.com/parley-voice/agents/agenttest"
)

// A synthesised is what a synthesis gave, with times counted from its beginning.
type synthesised struct {
	audio    time.Duration
	first    time.Duration   // when the first audio came
	end      time.Duration   // when the last chunk, or the error, came
	over     time.Duration   // when the iteration had ended
	started  []time.Duration // of chunks that say so
	words    string
	usages   []agents.TTSUsage
	err      error
	retries  []int
	reports  []agents.TTSReport
	pulled   []string
	textDone bool // the text's goroutine has returned
}

// synthesise hears a synthesis to its end. The pieces of text come so far apart.
func synthesise(ctx context.Context, o agents.SynthesisOptions, pace time.Duration, pieces ...string) synthesised {
	h, seq := newSynthesis(ctx, o, pace, pieces...)
	h.hear(seq, nil)
	return *h
}

// newSynthesis begins a synthesis whose text obeys ctx.
func newSynthesis(ctx context.Context, o agents.SynthesisOptions, pace time.Duration, pieces ...string) (*synthesised, iter.Seq2[agents.TTSChunk, error]) {
	h := &synthesised{}
	var mu sync.Mutex
	o.Retry = func(_ error, attempt int) {
		mu.Lock()
		defer mu.Unlock()
		h.retries = append(h.retries, attempt)
	}
	o.Report = func(r agents.TTSReport) {
		mu.Lock()
		defer mu.Unlock()
		h.reports = append(h.reports, r)
	}
	text := func(yield func(string) bool) {
		defer func() { h.textDone = true }()
		for _, piece := range pieces {
			if pace > 0 && !sleep(ctx, pace) {
				return
			}
			h.pulled = append(h.pulled, piece)
			if !yield(piece) {
				return
			}
		}
	}
	return h, agents.Synthesize(ctx, text, o)
}

// hear takes chunks until the end, or until each has had enough.
func (h *synthesised) hear(seq iter.Seq2[agents.TTSChunk, error], each func(agents.TTSChunk) bool) {
	begin := time.Now()
	var samples int64
	for chunk, err := range seq {
		h.end = time.Since(begin)
		if err != nil {
			h.err = err
			continue // nothing may follow
		}
		if h.err != nil {
			panic("a chunk after the error")
		}
		if f := chunk.Frame; len(f.Samples) > 0 {
			if samples == 0 {
				h.first = h.end
			}
			samples += int64(f.Len())
			h.audio = agents.SampleDuration(samples, f.SampleRate)
		}
		if !chunk.Started.IsZero() {
			h.started = append(h.started, chunk.Started.Sub(begin))
		}
		for _, w := range chunk.Words {
			h.words += w.Text
		}
		if chunk.Usage != nil {
			h.usages = append(h.usages, *chunk.Usage)
		}
		if each != nil && !each(chunk) {
			break
		}
	}
	h.over = time.Since(begin)
}

// T1: the audio of text that comes in tokens is there 0.2 s after the text is complete. T2 and T3: the time that the
// model takes does not count as the time of the TTS.
func TestSynthesisTimesTheVoiceAndNotTheModel(t *testing.T) {
	for name, pace := range map[string]time.Duration{"at once": 0, "a quick model": 20 * ms, "a slow model": 500 * ms} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				begin := time.Now()
				tts := agenttest.NewTTS(t, agenttest.Spoken("I am fine.", 2*time.Second))
				h := synthesise(t.Context(), agents.SynthesisOptions{TTS: tts}, pace, "I ", "am ", "fi", "ne.")
				complete := 4 * pace
				require.NoError(t, h.err)
				require.Equal(t, 2*time.Second, h.audio)
				require.Equal(t, complete+200*ms, h.first)
				require.Equal(t, complete+200*ms, h.over)
				require.Equal(t, []time.Duration{complete}, h.started)
				require.Equal(t, []agents.TTSUsage{{Characters: 10}}, h.usages)
				require.Equal(t, []agents.TTSReport{{
					Model: tts.Model(), Provider: tts.Provider(), RequestID: "tts_1", Started: begin.Add(complete),
					TTFB: 200 * ms, Duration: 200 * ms, Audio: 2 * time.Second, Characters: 10, Streamed: true,
					Usage: agents.TTSUsage{Characters: 10},
				}}, h.reports)
				require.True(t, h.textDone)
			})
		})
	}
}

// T9: the caller splits a reply into segments, each of which is spoken on its own.
func TestSynthesisSpeaksOneSegment(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tts := agenttest.NewTTS(t, agenttest.Spoken("Hello there.", time.Second), agenttest.Spoken("How are you?", 1500*ms))
		o := agents.SynthesisOptions{TTS: tts}
		require.Equal(t, time.Second, synthesise(t.Context(), o, 0, "Hello there. ").audio)
		require.Equal(t, 1500*ms, synthesise(t.Context(), o, 0, "How are you?").audio)
		require.Equal(t, 2, tts.Streams())
	})
}

// While the text is being made, the TTS owes nothing.
func TestSynthesisWaitsForASlowModel(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tts := agenttest.NewTTS(t)
		h := synthesise(t.Context(), agents.SynthesisOptions{TTS: tts}, time.Minute, "Let ", "me ", "think.")
		require.NoError(t, h.err)
		require.Equal(t, 3*time.Minute+200*ms, h.first)
		require.Equal(t, 1, tts.Streams())
	})
}

func TestSynthesisOfBlankTextIsSilent(t *testing.T) {
	for name, pieces := range map[string][]string{
		"no text":           {},
		"empty pieces":      {"", ""},
		"white space":       {" ", "\n", "\t "},
		"only a smile":      {"🙂"},
		"only a horizontal": {"---\n"},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				tts := agenttest.NewTTS(t)
				h := synthesise(t.Context(), agents.SynthesisOptions{TTS: tts, Transforms: agents.DefaultTextFilters()}, 10*ms, pieces...)
				require.NoError(t, h.err)
				require.Zero(t, h.audio)
				require.Empty(t, h.reports)
				require.Zero(t, tts.Streams())
			})
		})
	}
}

// White space before and after text is part of it.
func TestSynthesisKeepsWhiteSpace(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tts := agenttest.NewTTS(t)
		require.NoError(t, synthesise(t.Context(), agents.SynthesisOptions{TTS: tts}, 10*ms, " ", "\n", "Yes.", " ").err)
		require.Equal(t, []string{" \nYes. "}, tts.Texts())
	})
}

// T13: whether a TTS that promises words gives any is in the report.
func TestSynthesisReportsWords(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tts := agenttest.NewTTS(t)
		tts.Words = true
		h := synthesise(t.Context(), agents.SynthesisOptions{TTS: tts, Opts: agents.TTSOptions{Timing: true}}, 0, "How are you?")
		require.Equal(t, "How are you?", h.words)
		require.True(t, h.reports[0].Words)
		h = synthesise(t.Context(), agents.SynthesisOptions{TTS: tts}, 0, "How are you?")
		require.Empty(t, h.words)
		require.False(t, h.reports[0].Words)
	})
}

func TestSynthesisNeedsAVoice(t *testing.T) {
	for name, tts := range map[string]agents.TTS{"none": nil, "none on purpose": agents.NoTTS} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				require.ErrorIs(t, synthesise(t.Context(), agents.SynthesisOptions{TTS: tts}, 0, "Hello.").err, agents.ErrNoTTS)
			})
		})
	}
	synctest.Test(t, func(t *testing.T) {
		mute := &streamVoice{caps: &agents.TTSCapabilities{SampleRate: 24000, Channels: 1}}
		require.ErrorContains(t, synthesise(t.Context(), agents.SynthesisOptions{TTS: mute}, 0, "Hello.").err, "not a Synthesizer")
	})
}

// A flood of audio waits for the consumer.
func TestSynthesisTakesAudioAsItIsPlayed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		v := &streamVoice{run: func(s *voiceStream) error {
			_, err := s.text()
			for err == nil {
				err = s.speak(20 * ms)
			}
			return err
		}}
		h, seq := newSynthesis(t.Context(), agents.SynthesisOptions{TTS: v}, 0, "Hello.")
		n := 0
		h.hear(seq, func(c agents.TTSChunk) bool {
			sleep(t.Context(), c.Frame.Duration())
			n++
			synctest.Wait()
			require.LessOrEqual(t, v.given(), n+1)
			return n < 500
		})
		require.Equal(t, 10*time.Second, h.over)
		require.NoError(t, h.err)
	})
}

// The TTS is sent what the transforms make of the text, and each segment has fresh ones.
func TestSynthesisTransformsText(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tts := agenttest.NewTTS(t)
		filters := append(agents.DefaultTextFilters(), agents.ReplaceText(map[string]string{"parley": "PAR-lay"}))
		o := agents.SynthesisOptions{TTS: tts, Transforms: filters}
		require.NoError(t, synthesise(t.Context(), o, 10*ms, "# **Par", "ley** 🙂is *he").err)
		require.NoError(t, synthesise(t.Context(), o, 10*ms, "re", "* now").err)
		require.Equal(t, []string{"PAR-lay is *he", "re* now"}, tts.Texts())
	})
}

// Text that the TTS cannot take yet is offered again, all of it and in order.
func TestSynthesisWaitsForABacklog(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		v := &streamVoice{limit: 10, run: func(s *voiceStream) error {
			for range 3 {
				sleep(s.ctx, 9*time.Second) // slow, but it goes on
				if _, err := s.text(); err != nil {
					return err
				}
			}
			return s.speak(time.Second)
		}}
		h := synthesise(t.Context(), agents.SynthesisOptions{TTS: v}, 0, "One and ", "two and ", "three.")
		require.NoError(t, h.err)
		require.Equal(t, "One and two and three.", v.heard())
		require.Equal(t, 27*time.Second, h.first)
		require.Equal(t, 22, h.reports[0].Characters)
	})
}

// A long text is not pulled far ahead, and a long piece is sent in several.
func TestSynthesisBoundsTheText(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		long := strings.Repeat("Größe ", 100_000)
		v := &streamVoice{limit: 5000, run: func(s *voiceStream) error {
			for {
				switch _, err := s.text(); err {
				case nil:
				case io.EOF:
					return s.speak(time.Second)
				default:
					return err
				}
			}
		}}
		h := synthesise(t.Context(), agents.SynthesisOptions{TTS: v}, 0, long)
		require.ErrorIs(t, h.err, agents.ErrTimeout, "256 KiB and no audio")

		v.run = func(s *voiceStream) error {
			for {
				switch _, err := s.text(); err {
				case nil:
					if err := s.speak(10 * ms); err != nil {
						return err
					}
				default:
					return err
				}
			}
		}
		v.reset()
		h = synthesise(t.Context(), agents.SynthesisOptions{TTS: v}, 0, long, "The end.")
		require.NoError(t, h.err)
		require.Equal(t, long+"The end.", v.heard())
		require.Equal(t, 600_008, h.reports[0].Characters)
	})
}

// White space without end does not stop the text that follows it.
func TestSynthesisBoundsWhiteSpace(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		v := &streamVoice{run: func(s *voiceStream) error {
			_, err := s.allText()
			return errors.Join(err, s.speak(time.Second))
		}}
		h := synthesise(t.Context(), agents.SynthesisOptions{TTS: v}, 0, strings.Repeat(" ", 1<<20), "Hello.")
		require.NoError(t, h.err)
		require.Equal(t, "Hello.", strings.TrimLeft(v.heard(), " "))
		require.Less(t, len(v.heard()), 1<<19)
	})
}
