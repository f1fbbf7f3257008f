package agents_test

import (
	"context"
	"fmt"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/parley-voice/agents"
	"github.com/parley-voice/agents/agenttest"
)

// Where other systems broke for the users of turns and interruptions, as in pitfalls_speech_test.go.

// Row 20, LKA#4039, LKA#1229: noise, or a word that is none, stopped the agent for good. Whenever it comes and however
// long it is, the agent is held back and goes on where it was, and has said everything in the end.
func TestNoiseDoesNotStopTheAgent(t *testing.T) {
	for _, length := range []time.Duration{100 * ms, 700 * ms, 2500 * ms} {
		t.Run(length.String(), func(t *testing.T) {
			for at := sec(2.6); at < sec(12); at += 6 * everyStep {
				agenttest.Run(t, func(t *testing.T) {
					script := agenttest.Voice(speaks(0.5, 2.5, "Tell me a story."), agenttest.Speech(at, at+length, ""))
					v := tellsStory(t, asIs, script)
					v.Until(sec(25))
					require.Equal(t, []string{"10s"}, v.Playouts(), "%v\n%s", at, v.Log())
					require.Equal(t, "user: Tell me a story.\nassistant: "+kingStory+"\n", transcript(v.History()))
					require.Equal(t, agents.AgentListening, v.AgentState())
				})
			}
		})
	}
}

// Row 21, LKA#3418, LKA#4413, PC#1919, PC#3949: after an interruption the agent was "speaking" in silence, or never spoke
// again. Whenever the user cuts in, the agent is never speaking for longer than a moment without audio that plays, and
// the next turn is answered in full.
func TestNeverSpeakingInSilence(t *testing.T) {
	for at := sec(2.1); at < sec(9); at += 3 * everyStep {
		t.Run(at.String(), func(t *testing.T) {
			agenttest.Run(t, func(t *testing.T) {
				script := agenttest.Voice(speaks(0.5, 2, "Look it up."), agenttest.Speech(at, at+sec(1), "Stop it please."), speaks(20, 21, "Go on."))
				llm := agenttest.NewLLM(t,
					agenttest.OnUser("Look it up.").TTFT(100*ms).For(300*ms).Say("One moment please.").Call("slow", `{}`).Always(),
					agenttest.OnOutput("slow").TTFT(100*ms).For(300*ms).Say("It is there, on the left. Do you see it?").Always(),
					answers("Stop it please.", "I have stopped.").Always(),
					answers("Go on.", "I am going on.").Always(),
					agenttest.Any().TTFT(100*ms).Say("Yes?").Always())
				opts := voiceOptions(llm, agenttest.NewTTS(t))
				opts.UserAwayTimeout = agents.Never
				v := agenttest.StartVoice(t, opts, &agents.Agent{Tools: []agents.Tool{gives("slow", 700*ms, "s", nil)}}, script)
				speaksAloud(t, v, sec(30))
				require.True(t, strings.HasSuffix(transcript(v.History()), "user: Go on.\nassistant: I am going on.\n"), v.Log())
				require.Equal(t, agents.AgentListening, v.AgentState())
			})
		})
	}
}

// speaksAloud lets time pass and checks that audio is played while the agent is speaking, but for pauses of a second.
func speaksAloud(t *testing.T, v *agenttest.VoiceSession, until time.Duration) {
	t.Helper()
	const look = 250 * ms
	silent, before := time.Duration(0), time.Duration(0)
	for at := look; at <= until; at += look {
		v.Until(at)
		now := played(v)
		if v.AgentState() == agents.AgentSpeaking && now == before {
			silent += look
		} else {
			silent = 0
		}
		require.LessOrEqual(t, silent, time.Second, "speaking in silence at %v\n%s", at, v.Log())
		before = now
	}
}

// Row 22, LKA#4219, LKJS#2059, LKJS#1791: a reply that was begun before the turn was over was said twice, or instead of
// another, or nothing was said at all. However the turn goes on, each turn is answered once, with the words for it, and
// what was thrown away has been counted.
func TestPreparedReplyIsUsedOnceOrNever(t *testing.T) {
	for gap := 50 * ms; gap < sec(3); gap += 3 * everyStep {
		for name, hook := range map[string]func(context.Context, *agents.AgentSession, *agents.ChatContext, *agents.ChatMessage) error{
			"at once": nil,
			"after a while": func(ctx context.Context, _ *agents.AgentSession, _ *agents.ChatContext, _ *agents.ChatMessage) error {
				sleep(ctx, 400*ms)
				return nil
			},
			"not at all": func(context.Context, *agents.AgentSession, *agents.ChatContext, *agents.ChatMessage) error {
				return agents.ErrStopResponse
			},
		} {
			t.Run(fmt.Sprint(gap, " ", name), func(t *testing.T) {
				agenttest.Run(t, func(t *testing.T) {
					script := agenttest.Voice(speaks(0.5, 2, "First this."), agenttest.Speech(sec(2)+gap, sec(3)+gap, "Then that."))
					llm := agenttest.NewLLM(t,
						answers("First this.", "An answer to this.").Always(),
						answers("Then that.", "An answer to that.").Always(),
						answers("First this. Then that.", "An answer to both.").Always())
					tts := agenttest.NewTTS(t)
					opts := voiceOptions(llm, tts)
					opts.Turn.Preemptive = agents.Preemptive{Enabled: agents.On, TTS: agents.On}
					v := agenttest.StartVoice(t, opts, &agents.Agent{OnUserTurnCompleted: hook}, script)
					v.Until(sec(15))
					held := transcript(v.History())
					require.Equal(t, len(llm.Requests()), eventCount[*agents.LLMMetrics](v), "each request has its cost\n%s", v.Log())
					if name == "not at all" { // the hook takes the turns for none
						require.Empty(t, held, v.Log())
						require.Zero(t, played(v))
						return
					}
					last := held[strings.LastIndex(held, "assistant: "):]
					require.Contains(t, []string{"assistant: An answer to that.\n", "assistant: An answer to both.\n"}, last, v.Log())
					for _, said := range []string{"An answer to this.", "An answer to that.", "An answer to both.", "First this.", "Then that."} {
						require.LessOrEqual(t, strings.Count(held, said), 1, held)
					}
					require.Equal(t, "First this. Then that.", words(held, "user: "), v.Log())
				})
			})
		}
	}
}

// words joins the messages of a role.
func words(held, role string) string {
	var out []string
	for line := range strings.Lines(held) {
		if said, ok := strings.CutPrefix(line, role); ok {
			out = append(out, strings.TrimSpace(said))
		}
	}
	return strings.Join(out, " ")
}

// Row 23, LKA#6415: after the same word the agent waited 0.3 s or 2.5 s, and nobody knew why. The same words after the
// same silence end the turn after the same delay, and the log has what decided.
func TestSameWordsSameDelay(t *testing.T) {
	agenttest.Run(t, func(t *testing.T) {
		var parts []agenttest.VoicePart
		var llm []agenttest.Step
		for i := range 8 {
			at := 10*time.Duration(i)*time.Second + 500*ms + time.Duration(i)*37*ms
			parts = append(parts, agenttest.Speech(at, at+sec(1.5), "Yes."))
		}
		llm = append(llm, answers("Yes.", "Good.").Always())
		opts := voiceOptions(agenttest.NewLLM(t, llm...), agenttest.NewTTS(t))
		opts.TurnDetector = nil // the one that reads whether the sentence is finished
		opts.Turn.Endpointing = agents.Endpointing{}
		v := agenttest.StartVoice(t, opts, &agents.Agent{}, agenttest.Voice(parts...))
		v.Until(sec(85))
		ends := eventsOf[*agents.EOUMetrics](v.Session)
		require.Len(t, ends, 8, v.Log())
		for _, e := range ends {
			require.Equal(t, ends[0].EndOfTurnDelay, e.EndOfTurnDelay, v.Log())
			require.Equal(t, ends[0].Source, e.Source)
			require.Equal(t, ends[0].Delay, e.Delay)
			require.NotZero(t, e.Source)
		}
	})
}

// Row 28, LKA#4609, LKA#1095, LKA#2774, LKS#4777: the agent went deaf in mid-call. A recogniser that takes audio and finds
// nothing, one that takes nothing, one that ends without an error, and one that is silent after it has begun, is exchanged
// for another stream, which gets what was said meanwhile: no word is lost, and none comes twice.
func TestNeverDeaf(t *testing.T) {
	for name, deaf := range map[string]func(agents.STTStream) agents.STTStream{
		"finds nothing": func(s agents.STTStream) agents.STTStream { return deafStream{STTStream: s} },
		"takes nothing": func(s agents.STTStream) agents.STTStream {
			return deafStream{STTStream: s, send: func(agents.AudioFrame) error { return agents.ErrBacklog }}
		},
		"ends": func(s agents.STTStream) agents.STTStream {
			return deafStream{STTStream: s, recv: func() (agents.STTEvent, error) { return agents.STTEvent{}, io.EOF }}
		},
	} {
		t.Run(name, func(t *testing.T) {
			agenttest.Run(t, func(t *testing.T) {
				script := agenttest.Voice(speaks(0.5, 2.5, "Is anybody there?"), speaks(30.5, 32, "Thank you."))
				opts := voiceOptions(agenttest.NewLLM(t, answers("Is anybody there?", "I am here."), answers("Thank you.", "Welcome.")), agenttest.NewTTS(t))
				opts.UserAwayTimeout = agents.Never
				opts.STT = &deafOnce{STT: agenttest.NewSTT(t, script), deaf: deaf}
				v := agenttest.StartVoice(t, opts, &agents.Agent{}, script)
				v.Until(sec(40))
				require.Equal(t, "user: Is anybody there?\nassistant: I am here.\nuser: Thank you.\nassistant: Welcome.\n", transcript(v.History()), v.Log())
				require.NotZero(t, eventCount[*agents.ErrorOccurred](v), "and somebody is told")
			})
		})
	}
}

// A deafOnce has a first stream that is deaf.
type deafOnce struct {
	*agenttest.STT
	deaf func(agents.STTStream) agents.STTStream
	n    int
}

func (s *deafOnce) Stream(ctx context.Context, o agents.STTOptions) (agents.STTStream, error) {
	stream, err := s.STT.Stream(ctx, o)
	if s.n++; s.n == 1 && err == nil {
		stream = s.deaf(stream)
	}
	return stream, err
}

// A deafStream takes audio, and finds nothing in it.
type deafStream struct {
	agents.STTStream
	send func(agents.AudioFrame) error
	recv func() (agents.STTEvent, error)
}

func (s deafStream) Send(f agents.AudioFrame) error {
	if s.send != nil {
		return s.send(f)
	}
	return nil
}

func (s deafStream) Recv() (agents.STTEvent, error) {
	if s.recv != nil {
		return s.recv()
	}
	return s.STTStream.Recv() // of what it never gets
}
