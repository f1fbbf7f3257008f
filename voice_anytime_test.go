package agents_test

import (
	"context"
	"fmt"
	"iter"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/parley-voice/agents"
	"github.com/parley-voice/agents/agenttest"
)

// What voice_faults_test.go shows at chosen moments is shown here at every moment of a turn.

// everyStep is how far apart the moments are.
var everyStep = map[bool]time.Duration{false: 50 * ms, true: 350 * ms}[raceDetector]

// wellAfter checks what must hold after anything: every turn of the user is in the history once, and the answers to
// those that nothing went wrong with. Of the first answer, which may be cut short, the history has what was played.
func wellAfter(t *testing.T, v *agenttest.VoiceSession) {
	t.Helper()
	held := transcript(v.History())
	const first, rest = "user: First question.\n", "user: Second question.\nassistant: The second answer.\n" +
		"user: Third question.\nassistant: The third answer.\n"
	require.True(t, strings.HasPrefix(held, first), "%s\n%s", held, v.Log())
	require.True(t, strings.HasSuffix(held, rest), "%s\n%s", held, v.Log())
	answer := strings.TrimSuffix(strings.TrimPrefix(held, first), rest)
	if answer != "" {
		said := strings.TrimSpace(strings.TrimPrefix(answer, "assistant: "))
		require.True(t, strings.HasPrefix("The first answer.", said), "%q\n%s", said, v.Log())
	}
	require.Equal(t, agents.AgentListening, v.AgentState(), v.Log())
	require.Zero(t, eventCount[*agents.Closed](v))
}

func TestRecogniserFaultsAtAnyMoment(t *testing.T) {
	for name, fault := range map[string]func(time.Duration) agenttest.VoiceFault{
		"stall": agenttest.StallAt, "cut": agenttest.CutAt, "garbage": agenttest.GarbageAt,
	} {
		t.Run(name, func(t *testing.T) {
			for at := time.Duration(0); at < 3*time.Second; at += everyStep {
				agenttest.Run(t, func(t *testing.T) {
					v := threeTurns(t, func(stt *agenttest.STT, _ *agenttest.TTS, _ *agents.Options) { stt.Faults(fault(at)) })
					wellAfter(t, v)
					require.Contains(t, transcript(v.History()), "assistant: The first answer.\n", "%v\n%s", at, v.Log())
				})
			}
		})
	}
}

func TestVoiceFaultsAtAnyMoment(t *testing.T) {
	for name, fault := range map[string]func(time.Duration) agenttest.VoiceFault{
		"stall": agenttest.StallAt, "cut": agenttest.CutAt, "garbage": agenttest.GarbageAt,
	} {
		t.Run(name, func(t *testing.T) {
			for at := time.Duration(0); at < 2*time.Second; at += everyStep {
				agenttest.Run(t, func(t *testing.T) {
					v := threeTurns(t, func(_ *agenttest.STT, tts *agenttest.TTS, _ *agents.Options) { tts.Faults(fault(at)) })
					wellAfter(t, v)
					saidWhatWasPlayed(t, v, "The first answer.")
				})
			}
		})
	}
}

// saidWhatWasPlayed checks that the history has those words of the first answer that were played to their ends. A
// character takes 100 ms, the space after a word too.
func saidWhatWasPlayed(t *testing.T, v *agenttest.VoiceSession, text string) {
	t.Helper()
	first := v.Speaker.Played()[0].Audio.Duration()
	if first > time.Duration(len(text))*100*ms || len(v.Speaker.Played()) == 2 {
		first = 0 // nothing was played of it, and this is the second answer
	}
	heard, end := 0, time.Duration(0)
	for word := range strings.SplitAfterSeq(text, " ") {
		if end += time.Duration(len(word)) * 100 * ms; end <= first {
			heard++
		}
	}
	said := 0
	for _, item := range v.History().Items() {
		if m, ok := item.(*agents.ChatMessage); ok && m.Role == agents.RoleAssistant {
			if strings.HasPrefix(text, strings.TrimSpace(m.Text())) {
				said = len(strings.Fields(m.Text()))
			}
			break
		}
	}
	require.Equal(t, heard, said, "%v of audio\n%s", first, v.Log())
}

func TestModelFaultsAtAnyMoment(t *testing.T) {
	const text = "The first answer."
	for name, fault := range map[string]func(agenttest.Step, int) agenttest.Step{
		"cut":   func(s agenttest.Step, n int) agenttest.Step { return s.FailAfter(n, agenttest.StatusError(503)) },
		"broke": func(s agenttest.Step, n int) agenttest.Step { return s.FailAfter(n, agenttest.StatusError(400)) },
	} {
		for n := range 7 {
			t.Run(fmt.Sprint(name, " after ", n), func(t *testing.T) {
				agenttest.Run(t, func(t *testing.T) {
					step := fault(agenttest.OnUser("First question.").TTFT(100*ms).For(300*ms).Say(text).ChunkRunes(3), n).Always()
					v := threeTurns(t, func(_ *agenttest.STT, _ *agenttest.TTS, o *agents.Options) {
						o.LLM = agenttest.NewLLM(t, step, answers("Second question.", "The second answer."), answers("Third question.", "The third answer."))
					})
					wellAfter(t, v)
				})
			})
		}
	}
}

// What models send after they were told to stop is not in the conversation, whenever they were.
func TestModelsThatGoOnAfterTheyWereStopped(t *testing.T) {
	for at := 600 * ms; at < 4500*ms; at += 2 * everyStep {
		t.Run(at.String(), func(t *testing.T) {
			agenttest.Run(t, func(t *testing.T) { stoppedAt(t, at) })
		})
	}
}

// stoppedAt holds a conversation with models that go on, and stops the first answer at a time.
func stoppedAt(t *testing.T, at time.Duration) {
	script := agenttest.Voice(speaks(0.5, 2, "First question."), speaks(20.5, 22, "Second question."))
	llm := agenttest.NewLLM(t, answers("First question.", "The first answer.").Always(), answers("Second question.", "The second answer.").Always())
	tts := agenttest.NewTTS(t, agenttest.SpokenAny(100*ms))
	tts.Words = true
	opts := voiceOptions(goesOnLLM{llm}, goesOnTTS{tts})
	opts.STT = goesOnSTT{agenttest.NewSTT(t, script)}
	other := goesOnSTT{agenttest.NewSTT(t, script)}
	opts.UserAwayTimeout = agents.Never
	v := agenttest.StartVoice(t, opts, &agents.Agent{ID: "first"}, script)
	v.Until(at)
	require.NoError(t, v.UpdateAgent(&agents.Agent{ID: "second", STT: other}))
	require.NoError(t, v.Interrupt(t.Context()))
	v.Until(at + 100*ms)
	quietFrom := played(v)
	v.Until(20 * time.Second)
	if at > 3*time.Second {
		require.Equal(t, quietFrom, played(v), v.Log())
	}
	v.Until(30 * time.Second)
	held := transcript(v.History())
	require.NotContains(t, held, "ghost", v.Log())
	require.Equal(t, 1, strings.Count(held, "user: First question.\n"), "%s\n%s", held, v.Log())
	require.True(t, strings.HasSuffix(held, "user: Second question.\nassistant: The second answer.\n"), "%s\n%s", held, v.Log())
}

func played(v *agenttest.VoiceSession) (d time.Duration) {
	for _, p := range v.Speaker.Played() {
		d += p.Audio.Duration()
	}
	return d
}

// A goesOnSTT's streams find words after they were closed.
type goesOnSTT struct{ *agenttest.STT }

func (s goesOnSTT) Stream(ctx context.Context, o agents.STTOptions) (agents.STTStream, error) {
	stream, err := s.STT.Stream(context.WithoutCancel(ctx), o)
	return &goesOnSTTStream{STTStream: stream, ctx: ctx}, err
}

type goesOnSTTStream struct {
	agents.STTStream
	ctx  context.Context
	late int
}

func (s *goesOnSTTStream) Recv() (agents.STTEvent, error) {
	ev, err := s.STTStream.Recv()
	if err != nil || s.ctx.Err() != nil {
		if s.late++; s.late <= 3 {
			return agents.STTEvent{Type: agents.STTFinal, Transcript: agents.Transcript{Text: "A ghost speaks."}}, nil
		}
	}
	return ev, err
}

// A goesOnTTS's streams have audio and words after their context has ended.
type goesOnTTS struct{ *agenttest.TTS }

func (s goesOnTTS) Stream(ctx context.Context, o agents.TTSOptions) (agents.TTSStream, error) {
	stream, err := s.TTS.Stream(context.WithoutCancel(ctx), o)
	return &goesOnTTSStream{TTSStream: stream, ctx: ctx}, err
}

type goesOnTTSStream struct {
	agents.TTSStream
	ctx  context.Context
	late int
}

func (s *goesOnTTSStream) Recv() (agents.TTSChunk, error) {
	c, err := s.TTSStream.Recv()
	if s.ctx.Err() != nil {
		if s.late++; s.late <= 3 {
			return agents.TTSChunk{Frame: agents.Silence(time.Second, 24000, 1), Words: []agents.TimedText{{Text: "ghost", End: time.Second}}}, nil
		}
	}
	return c, err
}

// A goesOnLLM says more when nobody listens any more.
type goesOnLLM struct{ agents.LLM }

func (l goesOnLLM) Chat(ctx context.Context, req agents.ChatRequest) iter.Seq2[agents.ChatChunk, error] {
	return func(yield func(agents.ChatChunk, error) bool) {
		for c, err := range l.LLM.Chat(context.WithoutCancel(ctx), req) {
			if !yield(c, err) || ctx.Err() != nil {
				yield(agents.ChatChunk{Text: " A ghost."}, nil)
				return
			}
		}
	}
}

// Words that are being said when the recogniser is exchanged for another are recognised by that one, at their times.
func TestRecogniserChangesInMidSpeech(t *testing.T) {
	for at := 500 * ms; at < 2400*ms; at += everyStep {
		agenttest.Run(t, func(t *testing.T) {
			script := agenttest.Voice(speaks(0.5, 2, "One two three four five."))
			opts := voiceOptions(agenttest.NewLLM(t, answers("One two three four five.", "Six.").Always()), agenttest.NewTTS(t))
			opts.STT = agenttest.NewSTT(t, script)
			other := agenttest.NewSTT(t, script)
			v := agenttest.StartVoice(t, opts, &agents.Agent{ID: "first"}, script)
			v.Until(at)
			require.NoError(t, v.UpdateAgent(&agents.Agent{ID: "second", STT: other}))
			v.Until(6 * time.Second)
			require.Equal(t, []string{"2.5s One two three four five."}, turnEnds(v), "%v\n%s", at, v.Log())
			require.Equal(t, "handoff first to second\nuser: One two three four five.\nassistant: Six.\n", transcript(v.History()))
			require.Equal(t, 1, other.Streams())
		})
	}
}
