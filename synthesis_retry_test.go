package agents_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/parley-voice/agents"
	"github.com/parley-voice/agents/agenttest"
)

// A stream is replaced by another with the same text as long as it gave no audio; afterwards the segment ends with what
// it has. The first retry comes after 0.1 s, the others after 2 s.
func TestSynthesisRetries(t *testing.T) {
	unavailable := agenttest.Refuse(agenttest.StatusError(503))
	for _, c := range []struct {
		name    string
		conn    agents.ConnectOptions
		faults  []agenttest.VoiceFault
		audio   time.Duration
		over    time.Duration
		retries []int
		reports int
		err     any // an error for errors.Is, or a part of its text
	}{
		{name: "nothing wrong", audio: time.Second, over: 200 * ms, reports: 1},
		{name: "refused once", faults: []agenttest.VoiceFault{unavailable}, audio: time.Second, over: 300 * ms, retries: []int{1}, reports: 1},
		{name: "refused three times", faults: []agenttest.VoiceFault{unavailable, unavailable, unavailable},
			audio: time.Second, over: 4300 * ms, retries: []int{1, 2, 3}, reports: 1},
		{name: "refused too often", faults: []agenttest.VoiceFault{unavailable, unavailable, unavailable, unavailable},
			over: 4100 * ms, retries: []int{1, 2, 3}, err: "failed after 4 attempts"},
		{name: "no retries", conn: agents.ConnectOptions{MaxRetries: agents.None}, faults: []agenttest.VoiceFault{unavailable},
			err: "Service Unavailable"},
		{name: "other interval", conn: agents.ConnectOptions{RetryInterval: 500 * ms}, faults: []agenttest.VoiceFault{unavailable, unavailable},
			audio: time.Second, over: 800 * ms, retries: []int{1, 2}, reports: 1},
		{name: "not allowed", faults: []agenttest.VoiceFault{agenttest.Refuse(agenttest.StatusError(401))}, err: "Unauthorized"},
		{name: "client closed", faults: []agenttest.VoiceFault{agenttest.Refuse(agenttest.StatusError(agents.StatusClientClosed))}},
		{name: "stalled from the start", faults: []agenttest.VoiceFault{agenttest.StallAt(0)},
			audio: time.Second, over: 10300 * ms, retries: []int{1}, reports: 2},
		{name: "stalled in the middle", faults: []agenttest.VoiceFault{agenttest.StallAt(400 * ms)},
			audio: 400 * ms, over: 10200 * ms, reports: 1, err: "no more audio for 10s after 400ms of it"},
		{name: "stalled, as a timeout", conn: agents.ConnectOptions{Timeout: agents.Delay(time.Second)}, faults: []agenttest.VoiceFault{agenttest.StallAt(400 * ms)},
			audio: 400 * ms, over: 1200 * ms, reports: 1, err: agents.ErrTimeout},
		{name: "cut off at the start", faults: []agenttest.VoiceFault{agenttest.CutAt(0)},
			audio: time.Second, over: 500 * ms, retries: []int{1}, reports: 2},
		{name: "cut off in the middle", faults: []agenttest.VoiceFault{agenttest.CutAt(400 * ms)},
			audio: 400 * ms, over: 200 * ms, reports: 1, err: agents.ErrConnection},
		{name: "garbage at the start", faults: []agenttest.VoiceFault{agenttest.GarbageAt(0)},
			audio: time.Second, over: 500 * ms, retries: []int{1}, reports: 2},
		{name: "garbage in the middle", faults: []agenttest.VoiceFault{agenttest.GarbageAt(400 * ms)},
			audio: 400 * ms, over: 200 * ms, reports: 1, err: agents.ErrAudioFormat},
		{name: "late", faults: []agenttest.VoiceFault{agenttest.Late(9 * time.Second)}, audio: time.Second, over: 9200 * ms, reports: 1},
		{name: "too late", faults: []agenttest.VoiceFault{agenttest.Late(11 * time.Second)},
			audio: time.Second, over: 10300 * ms, retries: []int{1}, reports: 2},
		{name: "late without a limit", conn: agents.ConnectOptions{Timeout: agents.Never}, faults: []agenttest.VoiceFault{agenttest.Late(time.Hour)},
			audio: time.Second, over: time.Hour + 200*ms, reports: 1},
		{name: "always too late", conn: agents.ConnectOptions{Timeout: agents.Delay(100 * ms), MaxRetries: 1}, // T104
			over: 300 * ms, retries: []int{1}, reports: 2, err: agents.ErrTimeout},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				tts := agenttest.NewTTS(t, agenttest.Spoken("Hello there.", time.Second))
				tts.Faults(c.faults...)
				h := synthesise(t.Context(), agents.SynthesisOptions{TTS: tts, Conn: c.conn}, 0, "Hello ", "there.")
				switch want := c.err.(type) {
				case nil:
					require.NoError(t, h.err)
				case error:
					require.ErrorIs(t, h.err, want)
				case string:
					require.ErrorContains(t, h.err, want)
				}
				require.Equal(t, c.audio, h.audio)
				require.Equal(t, c.over, h.over)
				require.Equal(t, c.retries, h.retries)
				require.Len(t, h.reports, c.reports)
				for i, r := range h.reports {
					failed := i < len(h.reports)-1 || c.err != nil
					require.Equal(t, failed, r.Failed, i)
					require.False(t, r.Cancelled)
					require.Equal(t, 12, r.Characters)
					if i < len(h.reports)-1 || c.audio == 0 {
						require.Equal(t, time.Duration(-1), r.TTFB)
					}
				}
				for _, text := range tts.Texts() {
					require.Equal(t, "Hello there.", text)
				}
			})
		})
	}
}

// T103: the time that a failed attempt takes is part of the time to the first audio.
func TestSynthesisCountsRetriesAsDelay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		begin := time.Now()
		tts := agenttest.NewTTS(t)
		tts.Faults(agenttest.StallAt(0))
		h := synthesise(t.Context(), agents.SynthesisOptions{TTS: tts, Conn: agents.ConnectOptions{Timeout: agents.Delay(time.Second)}}, 500*ms, "Hello.")
		require.NoError(t, h.err)
		require.Equal(t, []time.Duration{500 * ms}, h.started)
		require.Equal(t, 1800*ms, h.first)
		require.Len(t, h.reports, 2)
		require.Equal(t, begin.Add(500*ms), h.reports[0].Started)
		require.Equal(t, time.Second, h.reports[0].Duration)
		require.Equal(t, begin.Add(1600*ms), h.reports[1].Started)
		require.Equal(t, 200*ms, h.reports[1].TTFB)
	})
}

// What an attempt gave before its audio is not given if it failed, and comes with the first audio otherwise.
func TestSynthesisKeepsWordsForTheirAudio(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		v := &streamVoice{run: func(s *voiceStream) error {
			text, err := s.allText()
			words := []agents.TimedText{{Text: text}}
			err = errors.Join(err, s.give(agents.TTSChunk{RequestID: "id"}), s.give(agents.TTSChunk{Words: words, Usage: &agents.TTSUsage{Characters: s.n}}))
			if s.n == 1 {
				return &agents.ProviderError{Provider: "fake", Op: "speak", Retryable: true}
			}
			chunk := audio(time.Second, 24000)
			chunk.Words = []agents.TimedText{{Text: " Bye."}}
			return errors.Join(err, s.give(chunk), s.give(agents.TTSChunk{Words: []agents.TimedText{{Text: " Now."}}}))
		}}
		h, seq := newSynthesis(t.Context(), agents.SynthesisOptions{TTS: v}, 0, "Hello.")
		var chunks []string
		h.hear(seq, func(c agents.TTSChunk) bool {
			text := ""
			for _, w := range c.Words {
				text += w.Text
			}
			chunks = append(chunks, text)
			return true
		})
		require.NoError(t, h.err)
		require.Equal(t, []string{"Hello. Bye.", " Now."}, chunks)
		require.Equal(t, []agents.TTSUsage{{Characters: 2}}, h.usages)
		require.Len(t, h.reports, 2)
		require.Equal(t, 1, h.reports[0].Usage.Characters, "what a failed attempt used is in its report")
		require.Equal(t, "id", h.reports[1].RequestID)
	})
}

// A stream has done its work when it ends after the text, with audio.
func TestSynthesisJudgesTheEndOfAStream(t *testing.T) {
	for _, c := range []struct {
		name  string
		run   func(s *voiceStream) error
		audio time.Duration
		err   string // "" for none
		tries int
	}{
		{name: "before the text is complete", err: "failed after 2 attempts", tries: 2, run: func(s *voiceStream) error {
			_, err := s.text()
			return err
		}},
		{name: "before the text is complete, after audio", audio: time.Second, err: "ended before the text did", tries: 1, run: func(s *voiceStream) error {
			_, err := s.text()
			return errors.Join(err, s.speak(time.Second))
		}},
		{name: "without audio", err: "no audio for the text", tries: 2, run: func(s *voiceStream) error {
			_, err := s.allText()
			return err
		}},
		{name: "in another format", audio: time.Second, err: "48000 Hz in 1 channels instead of 24000 Hz", tries: 1, run: func(s *voiceStream) error {
			_, err := s.allText()
			return errors.Join(err, s.speak(time.Second), s.give(audio(time.Second, 48000)))
		}},
		{name: "by its own", audio: time.Second, tries: 1, run: func(s *voiceStream) error {
			_, err := s.allText()
			return errors.Join(err, s.speak(time.Second))
		}},
		{name: "because we closed it, says the provider", audio: time.Second, tries: 1, run: func(s *voiceStream) error {
			_, err := s.allText()
			return errors.Join(err, s.speak(time.Second), agenttest.StatusError(agents.StatusClientClosed))
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				v := &streamVoice{run: c.run}
				h := synthesise(t.Context(), agents.SynthesisOptions{TTS: v, Conn: agents.ConnectOptions{MaxRetries: 1}}, 100*ms, "Hello ", "there.")
				if c.err == "" {
					require.NoError(t, h.err)
				} else {
					require.ErrorContains(t, h.err, c.err)
				}
				require.Equal(t, c.audio, h.audio)
				require.Len(t, h.reports, c.tries)
				require.Equal(t, c.tries, v.closed())
			})
		})
	}
}

// A TTS that refuses text has failed. What it gave before is heard, and then the failure; if it does not come, the
// refusal counts after the timeout.
func TestSynthesisOfRefusedText(t *testing.T) {
	refused := errors.New("refused")
	refuse := func(_ *voiceStream, text string) error {
		if text == "Two." {
			return refused
		}
		return nil
	}
	for _, c := range []struct {
		name  string
		after func(s *voiceStream) error
		over  time.Duration
	}{
		{name: "with the failure", after: func(*voiceStream) error { return refused }, over: 600 * ms},
		{name: "without a failure", after: (*voiceStream).hang, over: 10600 * ms},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				v := &streamVoice{send: refuse, run: func(s *voiceStream) error {
					_, err := s.text()
					sleep(s.ctx, 500*ms)
					return errors.Join(err, s.speak(time.Second), c.after(s))
				}}
				h := synthesise(t.Context(), agents.SynthesisOptions{TTS: v}, 100*ms, "One. ", "Two.")
				require.ErrorIs(t, h.err, refused)
				require.Equal(t, time.Second, h.audio)
				require.Equal(t, c.over, h.over)
				require.Equal(t, 5, h.reports[0].Characters)
			})
		})
	}
}

// A connection that takes too long is an attempt that failed.
func TestSynthesisTimesTheOpeningOfAStream(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		v := &streamVoice{
			open: func(ctx context.Context) error { <-ctx.Done(); return ctx.Err() },
			run:  (*voiceStream).hang,
		}
		h := synthesise(t.Context(), agents.SynthesisOptions{TTS: v, Conn: agents.ConnectOptions{MaxRetries: 1}}, time.Minute, "Hello ", "there.")
		require.ErrorIs(t, h.err, agents.ErrTimeout)
		require.Equal(t, time.Minute+20100*ms, h.end)
		require.Equal(t, []int{1}, h.retries)
		require.Empty(t, h.reports)
	})
}

// A TTS that does not stream makes its own attempts, and the session none of its own.
func TestSynthesisAdaptsAVoiceOfWholeTexts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		v := &wholeVoice{fail: 2}
		h := synthesise(t.Context(), agents.SynthesisOptions{TTS: v}, 0, "This is the first sentence. ", "And this is another one.")
		require.NoError(t, h.err)
		require.Equal(t, 2*time.Second, h.audio)
		require.Equal(t, 2100*ms, h.first)
		require.Equal(t, "This is the first sentence. And this is another one.", h.words)
		require.Empty(t, h.retries)
		require.Len(t, h.reports, 1)
		require.False(t, h.reports[0].Streamed)
		require.Equal(t, "whole", h.reports[0].Provider)

		v = &wholeVoice{fail: 100}
		for _, tts := range []agents.TTS{v, adapter(t, v)} {
			v.requests = 0
			h = synthesise(t.Context(), agents.SynthesisOptions{TTS: tts}, 0, "Hello.")
			require.ErrorContains(t, h.err, "failed after 4 attempts")
			require.Equal(t, 4, v.requests)
			require.True(t, h.reports[0].Failed)
		}
	})
}

func adapter(t *testing.T, v agents.TTS) agents.TTS {
	a, err := agents.NewTTSAdapter(v, agents.TTSAdapterOptions{})
	require.NoError(t, err)
	return a
}

// T102: a fallback tries its members, as long as that takes.
func TestSynthesisLeavesAFallbackItsTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		bad, good := agenttest.NewTTS(t), agenttest.NewTTS(t, agenttest.Spoken("Hello.", 5*time.Second))
		bad.Faults(agenttest.StallAt(0))
		f, err := agents.NewFallbackTTS(agents.FallbackTTSOptions{TTSs: []agents.TTS{bad, good}, AttemptTimeout: 15 * time.Second})
		require.NoError(t, err)
		h := synthesise(t.Context(), agents.SynthesisOptions{TTS: f}, 0, "Hello.")
		require.NoError(t, f.Close())
		require.NoError(t, h.err)
		require.Equal(t, 15200*ms, h.first)
		require.Equal(t, 5*time.Second, h.audio)
		require.Empty(t, h.retries)
		require.Equal(t, []time.Duration{0}, h.started)

		refused := agenttest.NewTTS(t)
		refused.Faults(agenttest.Refuse(agenttest.StatusError(500)))
		f, err = agents.NewFallbackTTS(agents.FallbackTTSOptions{TTSs: []agents.TTS{refused}, MaxRetriesPerTTS: agents.None})
		require.NoError(t, err)
		h = synthesise(t.Context(), agents.SynthesisOptions{TTS: f}, 0, "Hello.")
		require.NoError(t, f.Close())
		require.ErrorIs(t, h.err, agents.ErrConnection)
		require.Empty(t, h.retries)
	})
}

// A TTS that takes no text is given up like one that gives no audio.
func TestSynthesisGivesUpABacklog(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		v := &streamVoice{limit: -1, run: (*voiceStream).hang}
		h := synthesise(t.Context(), agents.SynthesisOptions{TTS: v, Conn: agents.ConnectOptions{MaxRetries: 1}}, time.Minute, "One.", "Two.")
		require.ErrorIs(t, h.err, agents.ErrTimeout)
		require.Equal(t, time.Minute+20100*ms, h.end)
		require.Equal(t, []int{1}, h.retries)
		require.Empty(t, h.reports)
		require.Equal(t, 2, v.closed())
	})
}
