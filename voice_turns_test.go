package agents_test

import (
	"bytes"
	"context"
	"fmt"
	"iter"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/parley-voice/agents"
	"github.com/parley-voice/agents/agenttest"
)

// The scenarios of whole turns by voice. Where a reply is prepared before the turn has ended, its words are there
// 0.3 s earlier than the reference's nominal times say, which count from the end of the turn.

// conversation starts a session by voice that hears the parts, and lets time pass.
func conversation(t *testing.T, opts agents.Options, a *agents.Agent, until float64, parts ...agenttest.VoicePart) *agenttest.VoiceSession {
	t.Helper()
	return conversationTo(t, agenttest.NewSpeaker(), opts, a, until, parts...)
}

// conversationTo is conversation with a speaker of the test's.
func conversationTo(t *testing.T, speaker *agenttest.Speaker, opts agents.Options, a *agents.Agent, until float64, parts ...agenttest.VoicePart) *agenttest.VoiceSession {
	t.Helper()
	return conversationBy(t, agents.IO{AudioOutput: speaker}, opts, a, until, parts...)
}

func conversationBy(t *testing.T, io agents.IO, opts agents.Options, a *agents.Agent, until float64, parts ...agenttest.VoicePart) *agenttest.VoiceSession {
	t.Helper()
	v := agenttest.StartVoice(t, opts, a, agenttest.Voice(parts...), agenttest.Setup{IO: io})
	v.Until(sec(until))
	return v
}

// wantStates compares the agent's states, and when they began, with a list.
func wantStates(t *testing.T, v *agenttest.VoiceSession, want string) {
	t.Helper()
	require.Equal(t, want, strings.Join(v.AgentStates(), ", "), v.Log())
}

// wantPlayed compares how long each segment was played with a list.
func wantPlayed(t *testing.T, v *agenttest.VoiceSession, want string) {
	t.Helper()
	require.Equal(t, want, strings.Join(v.Playouts(), ", "), v.Log())
}

// happened returns the events of a kind as text, each with its time.
func happened[E agents.Event](v *agenttest.VoiceSession, text func(E) string) string {
	var out []string
	for _, e := range eventsOf[E](v.Session) {
		out = append(out, strings.TrimSpace(text(e)+" "+v.Since(e.Time()).String()))
	}
	return strings.Join(out, ", ")
}

// finals returns the final transcripts.
func finals(v *agenttest.VoiceSession) string {
	return happened(v, func(e *agents.UserInputTranscribed) string {
		if e.Final {
			return e.Transcript
		}
		return "(" + e.Transcript + ")"
	})
}

// added returns the messages and handoffs, when they entered the history.
func added(v *agenttest.VoiceSession) string {
	return happened(v, func(e *agents.ItemAdded) string {
		if m, ok := e.Item.(*agents.ChatMessage); ok {
			return string(m.Role)
		}
		return "handoff"
	})
}

// spoken are the metrics of turns that were spoken.
func spoken(v *agenttest.VoiceSession) []string {
	var out []string
	for _, e := range v.Recorded() {
		switch e := e.(type) {
		case *agents.EOUMetrics:
			out = append(out, fmt.Sprintf("eou %v %v", e.EndOfTurnDelay, e.TranscriptionDelay))
		case *agents.LLMMetrics:
			out = append(out, fmt.Sprintf("llm %v %v", e.TTFT, e.Duration))
		case *agents.TTSMetrics:
			out = append(out, fmt.Sprintf("tts %v %v", e.TTFB, e.Audio))
		}
	}
	return out
}

const (
	howAreYou = "Hello, how are you?"
	doingWell = "I'm doing well, thank you!"
)

// T1, core 1: without preparing, each moment is the reference's nominal one.
func TestVoiceTurnWithoutPreparing(t *testing.T) {
	agenttest.Run(t, func(t *testing.T) {
		llm := agenttest.NewLLM(t, answers(howAreYou, doingWell))
		opts := voiceOptions(llm, agenttest.NewTTS(t, agenttest.Spoken(doingWell, 2*time.Second)))
		opts.Turn.Preemptive.Enabled = agents.Off
		v := conversation(t, opts, &agents.Agent{}, 8, speaks(0.5, 2.5, howAreYou))
		wantStates(t, v, "listening 0s, thinking 3s, speaking 3.5s, listening 5.5s")
		require.Equal(t, []string{"speaking 500ms", "listening 2.5s"}, v.UserStates())
		require.Equal(t, "(Hello, how) 2.6s, "+howAreYou+" 2.7s", finals(v))
		require.Equal(t, "handoff 0s, user 3s, assistant 5.5s", added(v))
		require.Equal(t, []string{"eou 500ms 200ms", "llm 100ms 300ms", "tts 200ms 2s"}, spoken(v))
	})
}

// T1, B1: when the reply is prepared, the LLM is done as the turn ends. T14: what ended the turn is told.
func TestVoiceTurnIsToldAsItHappens(t *testing.T) {
	agenttest.Run(t, func(t *testing.T) {
		llm := agenttest.NewLLM(t, answers(howAreYou, doingWell))
		opts := voiceOptions(llm, agenttest.NewTTS(t, agenttest.Spoken(doingWell, 2*time.Second)))
		v := conversation(t, opts, &agents.Agent{}, 8, speaks(0.5, 2.5, howAreYou))
		require.Equal(t, "(Hello, how) 2.6s, "+howAreYou+" 2.7s", finals(v))
		require.Equal(t, "handoff 0s, user 3s, assistant 5.2s", added(v))
		require.Equal(t, []string{"eou 500ms 200ms", "llm 100ms 300ms", "tts 200ms 2s"}, spoken(v))
		require.Equal(t, []time.Duration{sec(2.7)}, requestsAt(v))

		eou := eventsOf[*agents.EOUMetrics](v.Session)[0]
		require.Equal(t, "vad", eou.Source)
		require.Equal(t, 500*ms, eou.Delay)
		require.False(t, eou.Asked, "there is no detector")
		user := messageOf(t, v, agents.RoleUser, 0)
		require.Equal(t, sec(0.5), v.Since(user.Metrics.StartedSpeakingAt))
		require.Equal(t, sec(2.5), v.Since(user.Metrics.StoppedSpeakingAt))
		require.Equal(t, 200*ms, user.Metrics.TranscriptionDelay)
		require.Equal(t, 500*ms, user.Metrics.EndOfTurnDelay)
		reply := messageOf(t, v, agents.RoleAssistant, 0)
		require.Equal(t, sec(3.2), v.Since(reply.Metrics.StartedSpeakingAt))
		require.Equal(t, sec(5.2), v.Since(reply.Metrics.StoppedSpeakingAt))
		require.Equal(t, 700*ms, reply.Metrics.E2ELatency)
	})
}

// requestsAt returns when the LLM was asked, by when its answers ended and how long they took.
func requestsAt(v *agenttest.VoiceSession) (at []time.Duration) {
	for _, e := range eventsOf[*agents.LLMMetrics](v.Session) {
		at = append(at, v.Since(e.At.Add(-e.Duration)))
	}
	return at
}

// messageOf returns the n-th message of a role.
func messageOf(t *testing.T, v *agenttest.VoiceSession, role agents.Role, n int) *agents.ChatMessage {
	t.Helper()
	for _, item := range v.History().Items() {
		if m, ok := item.(*agents.ChatMessage); ok && m.Role == role {
			if n--; n < 0 {
				return m
			}
		}
	}
	t.Fatalf("not so many messages of the %s", role)
	return nil
}

// T2, T3, core 2: a slow model is not taken for a slow voice.
func TestLatencyOfASlowModel(t *testing.T) {
	for _, c := range []struct {
		name       string
		preemptive agents.Toggle
		want       agents.TurnLatency
	}{
		// Nominal: the request goes out with the turn's end at 3.0, and the words are complete 2 s later.
		{"not prepared", agents.Off, agents.TurnLatency{Total: 2700 * ms, Transcription: 200 * ms, Endpointing: 300 * ms,
			LLM: 100 * ms, Text: 1900 * ms, TTS: 200 * ms}},
		// It goes out with the transcript at 2.7: the first token comes while the turn still lasts, at 2.8.
		{"prepared", agents.On, agents.TurnLatency{Total: 2400 * ms, Transcription: 200 * ms, Endpointing: 300 * ms,
			Text: 1700 * ms, TTS: 200 * ms}},
	} {
		t.Run(c.name, func(t *testing.T) {
			agenttest.Run(t, func(t *testing.T) {
				llm := agenttest.NewLLM(t, agenttest.OnUser(howAreYou).TTFT(100*ms).For(2*time.Second).Say(doingWell))
				opts := voiceOptions(llm, agenttest.NewTTS(t, agenttest.Spoken(doingWell, time.Second)))
				opts.Turn.Preemptive.Enabled = c.preemptive
				v := conversation(t, opts, &agents.Agent{}, 8, speaks(0.5, 2.5, howAreYou))
				reply := messageOf(t, v, agents.RoleAssistant, 0)
				require.Equal(t, 100*ms, reply.Metrics.LLMTTFT)
				require.Equal(t, 200*ms, reply.Metrics.TTSTTFB)
				require.Equal(t, c.want.Total, reply.Metrics.E2ELatency)
				got := *eventsOf[*agents.TurnLatency](v.Session)[0]
				require.Equal(t, sec(2.5)+c.want.Total, v.Since(got.At))
				got.EventMeta, got.SpeechID = agents.EventMeta{}, ""
				require.Equal(t, c.want, got)
			})
		})
	}
}

const (
	weather = "How is the weather in Tokyo?"
	letMe   = "Let me check the weather for you."
	sunny   = "The weather in Tokyo is sunny today."
)

// T4, core 3: a preamble, a tool, and the answer. Nominal: 3.5 to 5.5, as what is prepared is 0.3 s early.
func TestToolAmidSpeech(t *testing.T) {
	agenttest.Run(t, func(t *testing.T) {
		llm := agenttest.NewLLM(t,
			answers(weather, letMe).Call("get_weather", `{}`),
			agenttest.OnOutput("get_weather").TTFT(100*ms).For(300*ms).Say(sunny))
		tts := agenttest.NewTTS(t, agenttest.Spoken(letMe, 2*time.Second), agenttest.Spoken(sunny, 3*time.Second))
		a := &agents.Agent{ID: "a", Instructions: "Be brief.", Tools: []agents.Tool{gives("get_weather", 0, "sunny", nil)}}
		v := conversation(t, voiceOptions(llm, tts), a, 12, speaks(0.5, 2.5, weather))
		wantStates(t, v, "listening 0s, thinking 3s, speaking 3.2s, thinking 5.2s, speaking 5.7s, listening 8.7s")
		wantPlayed(t, v, "2s, 3s")
		require.Len(t, eventsOf[*agents.ToolsExecuted](v.Session), 1)
		require.Equal(t, "user: "+weather+"\nassistant: "+letMe+"\ncall get_weather\noutput sunny\nassistant: "+sunny+"\n", transcript(v.History()))
		require.Equal(t, []string{"message system", "config", "message user", "message assistant", "call", "output", "message assistant"}, kinds(a.Context()))
		require.Equal(t, sec(3), v.Since(eventsOf[*agents.ToolStarted](v.Session)[0].At), "the tool runs while the agent speaks")
	})
}

// kinds returns what each item of a context is.
func kinds(chat *agents.ChatContext) (list []string) {
	for _, item := range chat.Items() {
		switch it := item.(type) {
		case *agents.ChatMessage:
			list = append(list, "message "+string(it.Role))
		case *agents.FunctionCall:
			list = append(list, "call")
		case *agents.FunctionCallOutput:
			list = append(list, "output")
		case *agents.AgentConfigUpdate:
			list = append(list, "config")
		case *agents.AgentHandoff:
			list = append(list, "handoff")
		}
	}
	return list
}

// T5, T6, core 4 and 5: a tool takes 8 s, of which the agent fills some. The user is not away while it runs.
func TestSlowTool(t *testing.T) {
	const moment = "Just a moment."
	for _, c := range []struct {
		name   string
		result any
		steps  []agenttest.Step
		states string
		played string
	}{
		{"with a result", "sunny", []agenttest.Step{agenttest.OnOutput("get_weather").TTFT(100 * ms).For(300 * ms).Say(sunny)},
			"listening 0s, thinking 3s, speaking 3.2s, thinking 5.2s, speaking 5.9s, thinking 6.9s, speaking 11.5s, listening 12.5s", "2s, 1s, 1s"},
		{"without", nil, nil,
			"listening 0s, thinking 3s, speaking 3.2s, thinking 5.2s, speaking 5.9s, thinking 6.9s, listening 11s", "2s, 1s"},
	} {
		t.Run(c.name, func(t *testing.T) {
			agenttest.Run(t, func(t *testing.T) {
				llm := agenttest.NewLLM(t, append(c.steps, answers(weather, letMe).Call("get_weather", `{}`))...)
				tts := agenttest.NewTTS(t, agenttest.Spoken(letMe, 2*time.Second), agenttest.Spoken(moment, time.Second), agenttest.Spoken(sunny, time.Second))
				opts := voiceOptions(llm, tts)
				opts.UserAwayTimeout = agents.Delay(3 * time.Second)
				a := &agents.Agent{ID: "a", Tools: []agents.Tool{act("get_weather", func(ctx context.Context, run *agents.RunContext[any]) (any, error) {
					stop, err := run.WithFiller(agents.Filler{Text: moment, Delay: 500 * ms})
					if err != nil {
						return nil, err
					}
					defer stop()
					sleep(ctx, 8*time.Second)
					return c.result, nil
				})}}
				v := conversation(t, opts, a, 13.5, speaks(0.5, 2.5, weather))
				wantStates(t, v, c.states)
				wantPlayed(t, v, c.played)
				require.Equal(t, []string{"speaking 500ms", "listening 2.5s"}, v.UserStates())
			})
		})
	}
}

// T7, core 6 and 7: a tool reports at once and goes on in the background for 20 s. Only 3 s after that is the user away.
func TestAwayAfterABackgroundTool(t *testing.T) {
	const onIt, done = "I am on it.", "It is done."
	for _, c := range []struct {
		name   string
		result any
		steps  []agenttest.Step
		away   string
	}{
		// The reply to the result is heard from 23.0 + 0.3 + 0.2 on, for 1 s; then the 3 s begin.
		{"with a result", "all done", []agenttest.Step{agenttest.OnInstructions("REPLY").TTFT(100 * ms).For(300 * ms).Say(done)}, "away 27.5s"},
		{"without", nil, nil, "away 26s"},
	} {
		t.Run(c.name, func(t *testing.T) {
			agenttest.Run(t, func(t *testing.T) {
				llm := agenttest.NewLLM(t, append(c.steps,
					agenttest.OnUser(weather).TTFT(100*ms).For(300*ms).Call("get_weather", `{}`),
					agenttest.OnOutput("get_weather").TTFT(100*ms).For(300*ms).Say(onIt))...)
				tts := agenttest.NewTTS(t, agenttest.Spoken(onIt, time.Second), agenttest.Spoken(done, time.Second))
				opts := voiceOptions(llm, tts)
				opts.UserAwayTimeout = agents.Delay(3 * time.Second)
				opts.ToolTemplates = plain
				a := &agents.Agent{ID: "a", Tools: []agents.Tool{act("get_weather", func(ctx context.Context, run *agents.RunContext[any]) (any, error) {
					if err := updates(ctx, run, "asking"); err != nil {
						return nil, err
					}
					sleep(ctx, 20*time.Second)
					return c.result, nil
				})}}
				v := conversation(t, opts, a, 40, speaks(0.5, 2.5, weather))
				require.Equal(t, []string{"speaking 500ms", "listening 2.5s", c.away}, v.UserStates(), v.Log())
			})
		})
	}
}

// T8, core 15: a greeting, something said when the turn ends, and a tool that has the agent speak and waits for it.
func TestSpeechFromHooksAndTools(t *testing.T) {
	const welcome, thanks, farewell = "Welcome!", "Thank you.", "Goodbye, and take care."
	agenttest.Run(t, func(t *testing.T) {
		a := &agents.Agent{ID: "a", Instructions: "Be brief.",
			OnEnter: func(_ context.Context, s *agents.AgentSession) error {
				s.GenerateReply(agents.Reply{Instructions: "Greet."})
				return nil
			},
			OnUserTurnCompleted: func(_ context.Context, s *agents.AgentSession, _ *agents.ChatContext, _ *agents.ChatMessage) error {
				s.Say(thanks, agents.SayOptions{})
				return nil
			},
			Tools: []agents.Tool{act("goodbye", func(ctx context.Context, run *agents.RunContext[any]) (any, error) {
				return "said", run.Session().GenerateReply(agents.Reply{Instructions: "Say goodbye."}).Wait(ctx)
			})},
		}
		llm := agenttest.NewLLM(t,
			agenttest.OnInstructions("Greet.").TTFT(100*ms).For(300*ms).Say(welcome),
			agenttest.OnInstructions("Say goodbye.").TTFT(100*ms).For(300*ms).Say(farewell),
			agenttest.OnUser("bye").TTFT(100*ms).For(300*ms).Call("goodbye", `{}`),
			agenttest.OnOutput("goodbye").TTFT(100*ms).For(300*ms).Empty())
		tts := agenttest.NewTTS(t, agenttest.Spoken(welcome, 2*time.Second), agenttest.Spoken(thanks, time.Second), agenttest.Spoken(farewell, 3*time.Second))
		v := conversation(t, voiceOptions(llm, tts), a, 12, speaks(3, 4, "bye"))
		wantPlayed(t, v, "2s, 1s, 3s")
		require.Equal(t, "handoff 0s, assistant 2.5s, user 4.5s, assistant 5.7s, assistant 9.2s", added(v))
		require.Equal(t, "assistant: "+welcome+"\nuser: bye\nassistant: "+thanks+"\ncall goodbye\nassistant: "+farewell+"\noutput said\n", transcript(a.Context()))
		require.Equal(t, []string{"message system", "config", "message assistant", "message user", "message assistant", "call", "message assistant", "output"}, kinds(a.Context()))
	})
}

// Core 16 and 17: tools that are not for a greeting, alone or in a toolset, are offered from the first turn on; and not
// to the reply to a tool of the greeting, which belongs to it.
func TestToolsThatAreNotForAGreeting(t *testing.T) {
	notYet := agents.ToolOptions{IgnoreOnEnter: true}
	nothing := func(context.Context, *agents.RunContext[any]) (any, error) { return "kept", nil }
	for _, c := range []struct {
		name  string
		calls bool
		want  []string
	}{
		{"greeting", false, []string{"keep", "keep end_call bare"}},
		{"greeting with a tool", true, []string{"keep", "keep", "keep end_call bare"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			agenttest.Run(t, func(t *testing.T) {
				a := &agents.Agent{ID: "a",
					OnEnter: func(_ context.Context, s *agents.AgentSession) error {
						s.GenerateReply(agents.Reply{Instructions: "Greet."})
						return nil
					},
					Tools: []agents.Tool{act("keep", nothing), &agents.Toolset{Tools: []agents.Tool{act("end_call", nothing, notYet)}}, act("bare", nothing, notYet)},
				}
				greeting := agenttest.OnInstructions("Greet.").Say("Hi.")
				llm := agenttest.NewLLM(t)
				if c.calls {
					greeting = agenttest.OnInstructions("Greet.").Call("keep", `{}`)
					llm.Add(agenttest.OnOutput("keep").Say("Hi."))
				}
				llm.Add(greeting, answers(howAreYou, doingWell))
				v := conversation(t, voiceOptions(llm, agenttest.NewTTS(t)), a, 10, speaks(3.5, 4.5, howAreYou))
				var offered []string
				for _, req := range llm.Requests() {
					var names []string
					for _, tool := range req.Tools {
						names = append(names, tool.(*agents.FunctionTool).Name())
					}
					offered = append(offered, strings.Join(names, " "))
				}
				require.Equal(t, c.want, offered, v.Log())
			})
		})
	}
}

// T9, T10, core 32: a node divides what the agent says in two segments, which are one message.
func TestSegments(t *testing.T) {
	const first, second = "Hello there, it is good to hear from you again. ", "How are you?"
	for _, c := range []struct {
		name        string
		length      time.Duration
		interruptAt float64
		states      string
		played      string
		said        string
	}{
		{"played", time.Second, 0, "listening 0s, thinking 3s, speaking 3.2s, listening 5.2s", "1s, 1s", "assistant: " + first + second + "\n"},
		{"interrupted", 15 * time.Second, 5, "listening 0s, thinking 3s, speaking 3.2s, listening 5s", "1.8s interrupted", "assistant: Hello there, it is good (interrupted)\n"},
	} {
		t.Run(c.name, func(t *testing.T) {
			agenttest.Run(t, func(t *testing.T) {
				a := &agents.Agent{ID: "a", LLMNode: func(context.Context, *agents.ChatRequest, agents.LLMNodeFunc) iter.Seq2[agents.ChatChunk, error] {
					return func(yield func(agents.ChatChunk, error) bool) {
						_ = yield(agents.ChatChunk{Text: first}, nil) && yield(agents.ChatChunk{Flush: true}, nil) && yield(agents.ChatChunk{Text: second}, nil)
					}
				}}
				tts := agenttest.NewTTS(t, agenttest.Spoken(first, c.length), agenttest.Spoken(second, time.Second))
				v := conversation(t, voiceOptions(agenttest.NewLLM(t), tts), a, max(c.interruptAt, 3), speaks(0.5, 2.5, howAreYou))
				if c.interruptAt != 0 {
					require.NoError(t, v.Interrupt(t.Context()))
				}
				v.Until(sec(8))
				wantStates(t, v, c.states)
				wantPlayed(t, v, c.played)
				require.Equal(t, "user: "+howAreYou+"\n"+c.said, transcript(v.History()))
			})
		})
	}
}

// T13: the words that the TTS times are the transcript, where that is asked for; a TTS that times none does not make
// the agent silent.
func TestTranscriptOfTheTTS(t *testing.T) {
	for _, c := range []struct {
		name  string
		timed bool
		want  string
		warns int
	}{
		{"timed", true, "assistant: Only this.\n", 0},
		{"claims to, and does not", false, "assistant: " + doingWell + "\n", 1},
	} {
		t.Run(c.name, func(t *testing.T) {
			agenttest.Run(t, func(t *testing.T) {
				tts := agenttest.NewTTS(t, agenttest.Spoken(doingWell, 2*time.Second))
				tts.Words = true
				a := &agents.Agent{ID: "a", TTSNode: func(ctx context.Context, text iter.Seq[string], next agents.TTSNodeFunc) iter.Seq2[agents.TTSChunk, error] {
					return func(yield func(agents.TTSChunk, error) bool) {
						first := c.timed
						for chunk, err := range next(ctx, text) {
							chunk.Words = nil
							if first {
								chunk.Words = []agents.TimedText{{Text: "Only this.", End: time.Second}}
								first = false
							}
							if !yield(chunk, err) {
								return
							}
						}
					}
				}}
				opts := voiceOptions(agenttest.NewLLM(t, answers(howAreYou, doingWell)), tts)
				opts.TTSTranscript = agents.On
				var log bytes.Buffer
				opts.Logger = slog.New(slog.NewTextHandler(&log, nil))
				v := conversation(t, opts, a, 8, speaks(0.5, 2.5, howAreYou))
				wantStates(t, v, "listening 0s, thinking 3s, speaking 3.2s, listening 5.2s")
				require.Equal(t, c.warns, strings.Count(log.String(), "level=WARN"), log.String())
				require.Equal(t, "user: "+howAreYou+"\n"+c.want, transcript(v.History()))
			})
		})
	}
}

// A reader is a turn detector that reads, and always thinks the same.
type reader struct{ probability float64 }

func (reader) Threshold(string) (float64, bool) { return 0.5, true }
func (r reader) PredictEndOfTurn(context.Context, *agents.ChatContext, string) (agents.TurnPrediction, error) {
	return agents.TurnPrediction{Probability: r.probability, Inference: 20 * ms}, nil
}

// A namedReader says who it is.
type namedReader struct{ reader }

func (namedReader) Provider() string { return "library" }
func (namedReader) Model() string    { return "reader-1" }

// T14: what ended a turn, and how long that took, is told with it. A turn of which the detector thinks that it goes on
// waits for the longest delay.
func TestWhyATurnEnded(t *testing.T) {
	for _, c := range []struct {
		name string
		set  func(*agents.Options)
		ends float64
		want agents.EOUMetrics
	}{
		{"voice activity", func(*agents.Options) {}, 3, agents.EOUMetrics{Source: "vad", Delay: 500 * ms}},
		{"a late transcript", func(o *agents.Options) {
			vad := *o.VAD.(*agenttest.VAD)
			vad.MinSilence = 100 * ms
			o.VAD, o.Turn.Endpointing.MinDelay = &vad, 150*ms
		}, 2.7, agents.EOUMetrics{Source: "stt", Delay: 150 * ms}},
		{"a detector that agrees", func(o *agents.Options) { o.TurnDetector = reader{0.9} }, 3,
			agents.EOUMetrics{Source: "vad", Delay: 500 * ms, Asked: true, Probability: 0.9, Threshold: 0.5, Provider: "unknown", Model: "unknown"}},
		{"a detector that does not", func(o *agents.Options) { o.TurnDetector = reader{0.1} }, 8.5,
			agents.EOUMetrics{Source: "vad", Delay: 6 * time.Second, Asked: true, Probability: 0.1, Threshold: 0.5, Provider: "unknown", Model: "unknown"}},
		{"a detector with a name", func(o *agents.Options) { o.TurnDetector = namedReader{reader{0.9}} }, 3,
			agents.EOUMetrics{Source: "vad", Delay: 500 * ms, Asked: true, Probability: 0.9, Threshold: 0.5, Provider: "library", Model: "reader-1"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			agenttest.Run(t, func(t *testing.T) {
				part := speaks(0.5, 2.5, howAreYou)
				opts := voiceOptions(agenttest.NewLLM(t, answers(howAreYou, doingWell)), agenttest.NewTTS(t))
				opts.VAD = agenttest.NewVAD(agenttest.Voice(part))
				c.set(&opts)
				v := conversation(t, opts, &agents.Agent{}, 12, part)
				eou := eventsOf[*agents.EOUMetrics](v.Session)
				require.Len(t, eou, 1)
				got := *eou[0]
				require.Equal(t, sec(c.ends), v.Since(got.At), v.Log())
				c.want.EndOfTurnDelay, c.want.TranscriptionDelay = sec(c.ends)-sec(2.5), 200*ms
				got.EventMeta, got.SpeechID = agents.EventMeta{}, ""
				require.Equal(t, c.want, got)
				if c.want.Asked {
					p := eventsOf[*agents.TurnPredicted](v.Session)
					require.Len(t, p, 1)
					require.Equal(t, c.want.Probability, p[0].Probability)
				}
			})
		})
	}
}

// Core 20: recognition that fails for good begins anew after 0.5 s, but not twice in a row where that is once too often.
// Words in between count as a success, and silence does not.
func TestRecogniserThatFailsForGood(t *testing.T) {
	refused := agenttest.Refuse(agenttest.StatusError(401))
	empty := func(ctx context.Context, audio iter.Seq[agents.AudioFrame], next agents.STTNodeFunc) iter.Seq2[agents.STTEvent, error] {
		return func(yield func(agents.STTEvent, error) bool) {
			for ev, err := range next(ctx, audio) {
				ev.Transcript.Text = ""
				if !yield(ev, err) {
					return
				}
			}
		}
	}
	for _, c := range []struct {
		name   string
		faults []agenttest.VoiceFault
		node   func(context.Context, iter.Seq[agents.AudioFrame], agents.STTNodeFunc) iter.Seq2[agents.STTEvent, error]
		closed string
	}{
		{"once", []agenttest.VoiceFault{refused}, nil, ""},
		{"twice", []agenttest.VoiceFault{refused, refused}, nil, "500ms"},
		{"with words in between", []agenttest.VoiceFault{refused, agenttest.CutAt(sec(4)), refused}, nil, ""},
		{"with an empty transcript in between", []agenttest.VoiceFault{refused, agenttest.CutAt(sec(4)), refused}, empty, "4.1s"},
	} {
		t.Run(c.name, func(t *testing.T) {
			agenttest.Run(t, func(t *testing.T) {
				part := speaks(1, 2, howAreYou)
				opts := voiceOptions(agenttest.NewLLM(t, answers(howAreYou, doingWell).Always()), agenttest.NewTTS(t))
				opts.STT = agenttest.NewSTT(t, agenttest.Voice(part), c.faults...)
				opts.MaxUnrecoverableErrors = 1
				v := conversation(t, opts, &agents.Agent{STTNode: c.node}, 8, part)
				require.Equal(t, c.closed, happened(v, func(e *agents.Closed) string {
					require.Equal(t, agents.CloseError, e.Reason)
					return ""
				}), v.Log())
			})
		})
	}
}
