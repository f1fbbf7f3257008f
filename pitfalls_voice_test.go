package agents_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/parley-voice/agents"
	"github.com/parley-voice/agents/agenttest"
)

// Where other systems broke for their users when it comes to taking turns and hearing, by the rows of the list of
// pitfalls. LKA is livekit/agents, LKJS livekit/agents-js, LKS livekit/livekit, PC pipecat; the number is the thread.

// Row 20, LKA#4039, LKA#1229: a "mm-hmm" or a noise stopped the agent, and it did not go on, or not from where it was.
// Whatever sound comes, at whatever moment of the agent's speech: all of it is played, once and in order, and is in the
// history. Words stop it.
func TestSignOfListeningDoesNotStopTheAgent(t *testing.T) {
	words := func(n int) func(*agents.Options) {
		return func(o *agents.Options) { o.Turn.Interruption.MinWords = n }
	}
	for _, c := range []struct {
		name    string
		length  time.Duration
		text    string
		change  func(*agents.Options)
		stopped bool
	}{
		{"a cough", 200 * ms, "", asIs, false},
		{"a noise", 900 * ms, "", asIs, false},
		{"a word, of two that are needed", 400 * ms, "Mm-hmm", words(2), false},
		{"a long word, of two that are needed", 900 * ms, "Mm-hmm", words(2), false},
		{"a sign of listening to a detector", 900 * ms, "Mm-hmm", func(o *agents.Options) { o.InterruptionDetector = &hostileJudge{verdict: listens} }, false},
		{"words", 900 * ms, "No, stop.", words(2), true},
	} {
		// The story is played from 3.2 s to 13.2 s. Of its first and its last second a detector has no say.
		for from := 4300 * ms; from < 11300*ms; from += 550 * ms {
			t.Run(fmt.Sprint(c.name, " at ", from), func(t *testing.T) {
				agenttest.Run(t, func(t *testing.T) {
					script := agenttest.Voice(speaks(0.5, 2.5, "Tell me a story."), agenttest.Speech(from, from+c.length, c.text))
					change := func(o *agents.Options) { o.UserAwayTimeout = agents.Never; c.change(o) }
					v := tellsStory(t, change, script, agenttest.OnUser("No, stop.").Say("All right.").Always())
					v.Until(sec(25))
					require.Equal(t, agents.AgentListening, v.AgentState())
					require.Equal(t, agents.UserListening, v.UserState())
					if c.stopped {
						require.Contains(t, v.Playouts()[0], "interrupted")
						require.Contains(t, transcript(v.History()), "(interrupted)\nuser: No, stop.\nassistant: All right.\n", v.Log())
						return
					}
					require.Equal(t, []string{"10s"}, v.Playouts(), v.Log())
					require.Equal(t, "user: Tell me a story.\nassistant: "+kingStory+"\n", transcript(v.History()), v.Log())
					paused := strings.Count(strings.Join(v.AgentStates(), " "), "speaking") - 1
					require.Len(t, resumes(v), paused, "each pause is told of as a false interruption")
				})
			})
		}
	}
}

// listens is the verdict that it was a sign of listening.
func listens(s *hostileVerdicts, since time.Time) {
	time.AfterFunc(100*ms, func() { s.out <- agents.InterruptionVerdict{Since: since} })
}

// Row 21, LKA#3418, LKA#4413, PC#1919: after an interruption the agent was "speaking" in silence, or never spoke again.
// The user speaks, or the application interrupts, at every moment of a reply: while the model thinks, before the first
// frame, in a segment, between two, and while a tool runs. While the agent speaks there is sound, but for a moment; it comes
// to rest; and the next turn is answered.
func TestNeverSpeakingInSilence(t *testing.T) {
	for _, how := range []string{"by voice", "by the application", "by a noise"} {
		for at := 2550 * ms; at < 8*time.Second; at += everyStep {
			t.Run(fmt.Sprint(how, " at ", at), func(t *testing.T) {
				agenttest.Run(t, func(t *testing.T) { interruptedTurn(t, how, at) })
			})
		}
	}
}

func interruptedTurn(t *testing.T, how string, at time.Duration) {
	parts := []agenttest.VoicePart{speaks(0.5, 2, "Look it up."), speaks(20, 21, "Are you there?")}
	switch how {
	case "by voice":
		parts = append(parts, agenttest.Speech(at, at+700*ms, "Stop that."))
	case "by a noise":
		parts = append(parts, agenttest.Speech(at, at+700*ms, ""))
	}
	llm := agenttest.NewLLM(t,
		agenttest.OnUser("Stop that.").TTFT(100*ms).For(300*ms).Say("Stopped.").Always(),
		agenttest.OnUser("Are you there?").TTFT(100*ms).For(300*ms).Say("I am.").Always(),
		agenttest.OnUser("Look it up.").TTFT(300*ms).For(600*ms).Say("Let me see.").Call("slow", `{}`).Always(),
		agenttest.OnOutput("slow").TTFT(200*ms).For(400*ms).Say("There it is.").Always())
	opts := voiceOptions(llm, agenttest.NewTTS(t, agenttest.SpokenAny(100*ms)))
	opts.UserAwayTimeout = agents.Never
	opts.Turn.Interruption.FalseTimeout = agents.Delay(500 * ms)
	a := &agents.Agent{Tools: []agents.Tool{gives("slow", 1200*ms, "found", nil)}}
	v := agenttest.StartVoice(t, opts, a, agenttest.Voice(parts...))
	v.Until(at)
	if how == "by the application" {
		require.NoError(t, v.Interrupt(t.Context()))
	}
	v.Until(sec(19))
	require.Equal(t, agents.AgentListening, v.AgentState(), v.Log())
	v.Until(sec(24))
	wantSound(t, v, 400*ms)
	require.Equal(t, agents.AgentListening, v.AgentState(), v.Log())
	require.True(t, strings.HasSuffix(transcript(v.History()), "user: Are you there?\nassistant: I am.\n"), v.Log())
	require.Equal(t, how == "by voice", strings.Contains(transcript(v.History()), "user: Stop that.\nassistant: Stopped.\n"), v.Log())
	played := v.Speaker.Played()
	require.Equal(t, 500*ms, played[len(played)-1].Audio.Duration())
	oneOutputPerCall(t, v.History())
}

// wantSound checks that there is never silence for longer while the agent is said to speak.
func wantSound(t *testing.T, v *agenttest.VoiceSession, most time.Duration) {
	t.Helper()
	played := v.Speaker.Played()
	var since time.Time
	for _, e := range eventsOf[*agents.AgentStateChanged](v.Session) {
		if e.Old == agents.AgentSpeaking {
			last := since // until when there was sound
			for _, p := range played {
				if p.Started.IsZero() || p.Started.After(e.At) || p.Finished.Before(last) {
					continue
				}
				require.LessOrEqual(t, p.Started.Sub(last), most, "silence since %v\n%s", v.Since(last), v.Log())
				last = p.Finished
			}
			require.LessOrEqual(t, e.At.Sub(last), most, "silence since %v\n%s", v.Since(last), v.Log())
		}
		since = e.At
	}
}

// Row 22, LKA#4219, LKJS#2059, LKJS#1791: a reply that was begun early was said twice, cost twice without a word about it,
// or was never said. It is used or thrown away. Whatever happens to the turn, at whatever moment: the user is answered
// once, what was thrown away is not heard, and each request to a model and each voice is accounted for.
func TestEarlyReplyIsUsedOrThrownAway(t *testing.T) {
	const said, more = "What is the time?", "In Rome."
	type hook = func(context.Context, *agents.AgentSession, *agents.ChatContext, *agents.ChatMessage) error
	changed := func(_ context.Context, _ *agents.AgentSession, _ *agents.ChatContext, m *agents.ChatMessage) error {
		m.Content = []agents.Content{agents.Text("Time?")}
		return nil
	}
	refused := func(context.Context, *agents.AgentSession, *agents.ChatContext, *agents.ChatMessage) error {
		return agents.ErrStopResponse
	}
	for _, c := range []struct {
		name  string
		hook  hook
		parts func(at time.Duration) []agenttest.VoicePart
		do    func(t *testing.T, v *agenttest.VoiceSession)
		users func(string) bool // what of the user is in the history
		heard int               // replies to their end, or -1
	}{
		{"nothing happens", nil, nil, nil, func(s string) bool { return s == said }, 1},
		{"the hook changes the words", changed, nil, nil, func(s string) bool { return s == "Time?" }, 1},
		{"the hook refuses", refused, nil, nil, func(s string) bool { return s == "" }, 0},
		{"the user goes on", nil, func(at time.Duration) []agenttest.VoicePart {
			return []agenttest.VoicePart{agenttest.Speech(at, at+400*ms, more)}
		}, nil, func(s string) bool { return s == said+" "+more || s == said+"|"+more }, -1},
		{"a noise comes", nil, func(at time.Duration) []agenttest.VoicePart {
			return []agenttest.VoicePart{agenttest.Speech(at, at+400*ms, "")}
		}, nil, func(s string) bool { return s == said }, 1},
		{"the agent changes", nil, nil, func(t *testing.T, v *agenttest.VoiceSession) {
			require.NoError(t, v.UpdateAgent(&agents.Agent{ID: "other"}))
		}, func(s string) bool { return s == said }, -1},
		{"the tools change", nil, nil, func(t *testing.T, v *agenttest.VoiceSession) {
			require.NoError(t, v.CurrentActivity().(*agents.Agent).UpdateTools(t.Context(), gives("look_up", 0, "found", nil)))
		}, func(s string) bool { return s == said }, 1},
		{"the turn is committed", nil, nil, func(t *testing.T, v *agenttest.VoiceSession) {
			_, err := v.CommitUserTurn(t.Context(), agents.CommitOptions{})
			require.NoError(t, err)
		}, func(s string) bool { return s == said }, 1},
		{"the turn is cleared", nil, nil, func(t *testing.T, v *agenttest.VoiceSession) {
			require.NoError(t, v.ClearUserTurn())
		}, func(s string) bool { return s == "" || s == said }, -1},
		{"the session closes", nil, nil, func(t *testing.T, v *agenttest.VoiceSession) { require.NoError(t, v.Close()) },
			func(s string) bool { return s == said }, -1},
	} {
		for at := 2050 * ms; at < 3500*ms; at += everyStep {
			t.Run(fmt.Sprint(c.name, " at ", at), func(t *testing.T) {
				agenttest.Run(t, func(t *testing.T) {
					parts := []agenttest.VoicePart{speaks(0.5, 2, said)}
					if c.parts != nil {
						parts = append(parts, c.parts(at)...)
					}
					replies := map[string]string{said: "It is nine.", "Time?": "Nine.", more: "It is ten.", said + " " + more: "Ten there."}
					llm := agenttest.NewLLM(t)
					for user, reply := range replies {
						llm.Add(answers(user, reply).Always())
					}
					tts := agenttest.NewTTS(t, agenttest.SpokenAny(100*ms))
					tts.Words = true
					opts := voiceOptions(llm, tts)
					opts.Turn.Preemptive = agents.Preemptive{Enabled: agents.On, TTS: agents.On}
					v := agenttest.StartVoice(t, opts, &agents.Agent{OnUserTurnCompleted: c.hook}, agenttest.Voice(parts...))
					v.Until(at)
					if c.do != nil {
						c.do(t, v)
					}
					v.Until(sec(15))

					var users []string
					replied, whole := 0, 0
					for m := range v.History().Messages() {
						if m.Role == agents.RoleUser {
							users = append(users, m.Text())
						} else if m.Role == agents.RoleAssistant {
							replied++
							require.True(t, strings.HasPrefix(replies[users[len(users)-1]], m.Text()), "%q is no answer to %q", m.Text(), users)
						}
					}
					require.True(t, c.users(strings.Join(users, "|")), "%q\n%s", users, v.Log())
					sounds := 0
					for _, p := range v.Speaker.Played() {
						if p.Audio.Duration() >= 300*ms { // a word
							sounds++
						}
						if !p.Interrupted {
							whole++
						}
					}
					if c.heard >= 0 {
						require.Equal(t, c.heard, whole, v.Log())
					}
					if c.parts != nil {
						require.True(t, strings.HasSuffix(transcript(v.History()), "assistant: "+replies[users[len(users)-1]]+"\n"), "the last words are answered\n%s", v.Log())
					}
					require.LessOrEqual(t, whole, len(users), v.Log())
					require.Equal(t, sounds, replied, "what is heard is in the history, and nothing else\n%s", v.Log())
					require.Equal(t, len(llm.Requests()), eventCount[*agents.LLMMetrics](v), "each request is told of\n%s", v.Log())
					require.Equal(t, tts.Streams(), eventCount[*agents.TTSMetrics](v), "each voice is told of\n%s", v.Log())
				})
			})
		}
	}
}

// Row 23, LKA#6415, LKA#6177: for the same word the caller waited 0.3 s or 2.5 s, and nobody could say why. The same words
// after the same silence wait as long, wherever in the call they are said and in whatever order things happen at once; and
// what decided is told for each turn.
func TestSameWordsWaitAsLong(t *testing.T) {
	for _, c := range []struct {
		name     string
		detector func(*testing.T) agents.TurnDetector
		late     time.Duration // of the transcript
		want     agents.EOUMetrics
	}{
		{"voice activity", func(*testing.T) agents.TurnDetector { return agents.NoTurnDetector }, 100 * ms,
			agents.EOUMetrics{EndOfTurnDelay: 500 * ms, TranscriptionDelay: 100 * ms, Source: "vad", Delay: 500 * ms}},
		{"a late transcript", func(*testing.T) agents.TurnDetector { return agents.NoTurnDetector }, 900 * ms,
			agents.EOUMetrics{EndOfTurnDelay: 900 * ms, TranscriptionDelay: 900 * ms, Source: "stt", Delay: 500 * ms}},
		{"a detector that thinks it is over", func(*testing.T) agents.TurnDetector { return reader{0.9} }, 100 * ms,
			agents.EOUMetrics{EndOfTurnDelay: 500 * ms, TranscriptionDelay: 100 * ms, Source: "vad", Delay: 500 * ms, Asked: true, Probability: 0.9, Threshold: 0.5}},
		{"a detector that does not", func(*testing.T) agents.TurnDetector { return reader{0.1} }, 100 * ms,
			agents.EOUMetrics{EndOfTurnDelay: 2500 * ms, TranscriptionDelay: 100 * ms, Source: "vad", Delay: 2500 * ms, Asked: true, Probability: 0.1, Threshold: 0.5}},
		{"a detector that listens", func(t *testing.T) agents.TurnDetector {
			return &hostileDetector{p: agents.TurnPrediction{Probability: 0.1}}
		}, 100 * ms,
			agents.EOUMetrics{EndOfTurnDelay: 2500 * ms, TranscriptionDelay: 100 * ms, Source: "vad", Delay: 2500 * ms, Asked: true, Probability: 0.1, Threshold: 0.5}},
	} {
		t.Run(c.name, func(t *testing.T) {
			agenttest.Explore(t, map[bool]int{false: 15, true: 2}[raceDetector], func(t *testing.T) {
				// After silence, long silence, an answer, and into an answer; each said as long, and on no round moment.
				var parts []agenttest.VoicePart
				for _, from := range []time.Duration{510 * ms, 9030 * ms, 33470 * ms, 40010 * ms, 44120 * ms} {
					parts = append(parts, agenttest.Speech(from, from+600*ms, "Yes.").Delay(c.late))
				}
				llm := agenttest.NewLLM(t, agenttest.OnUser("Yes.").TTFT(100*ms).For(300*ms).Say("And then, what happened?").Always())
				opts := voiceOptions(llm, agenttest.NewTTS(t, agenttest.SpokenAny(100*ms)))
				opts.TurnDetector = c.detector(t)
				opts.Turn.Endpointing.MaxDelay = 2500 * ms
				v := agenttest.StartVoice(t, opts, &agents.Agent{}, agenttest.Voice(parts...))
				v.Until(sec(55))
				told := eventsOf[*agents.EOUMetrics](v.Session)
				require.Len(t, told, len(parts), v.Log())
				for i, e := range told {
					got := *e
					got.EventMeta, got.SpeechID, got.Provider, got.Model = agents.EventMeta{}, "", "", ""
					require.Equal(t, c.want, got, "turn %d\n%s", i, v.Log())
				}
			})
		})
	}
}

// A muteSTT opens streams that take all audio and say nothing, until it has opened some; then it recognises.
type muteSTT struct {
	*agenttest.STT
	mute int32
	dies bool // by an end without a reason, after some time, instead of silence
	n    *atomic.Int32
}

func (s muteSTT) Stream(ctx context.Context, o agents.STTOptions) (agents.STTStream, error) {
	stream, err := s.STT.Stream(ctx, o)
	if err != nil || s.n.Add(1) > s.mute {
		return stream, err
	}
	return &muteStream{STTStream: stream, ctx: ctx, dies: s.dies}, nil
}

type muteStream struct {
	agents.STTStream
	ctx  context.Context
	dies bool
}

func (s *muteStream) Recv() (agents.STTEvent, error) {
	if s.dies && sleep(s.ctx, 1200*ms) {
		return agents.STTEvent{}, agents.ErrStreamClosed
	}
	<-s.ctx.Done()
	return agents.STTEvent{}, context.Cause(s.ctx)
}

// Row 28, LKA#4609, LKA#1095, LKA#2774, LKS#4777, LKA PR#6182: the agent went deaf in mid-call, and nobody noticed: frames
// came, and the recogniser said nothing more, or the detector of voice activity did not. A stream that takes audio and says
// nothing is followed by another, which gets that audio, and each word comes once. So it is when the caller says short
// words only, which are no proof one by one. Without the VAD the recogniser goes on.
func TestAgentDoesNotGoDeaf(t *testing.T) {
	long := []agenttest.VoicePart{speaks(0.5, 2, "One two three"), speaks(30.5, 32, "Four five six")}
	for _, c := range []struct {
		name    string
		parts   []agenttest.VoicePart
		mute    int32
		dies    bool
		silent  time.Duration // when the VAD falls silent, if it does
		users   []string
		streams int
		errors  int
	}{
		{"a stream that says nothing", long, 1, false, 0, []string{"One two three", "Four five six"}, 2, 1},
		{"one that dies quietly", long, 1, true, 0, []string{"One two three", "Four five six"}, 2, 1},
		{"two that die quietly, one after the other", long, 2, true, 0, []string{"One two three", "Four five six"}, 3, 2},
		{"two that say nothing, one after the other", []agenttest.VoicePart{speaks(0.5, 2, "One two three"), speaks(40.5, 42, "Four five six")}, 2, false, 0,
			[]string{"Four five six"}, 3, 2}, // which is told of twice
		{"short words only", []agenttest.VoicePart{speaks(0.5, 1.2, "Hello?"), speaks(15, 15.7, "Hello?"), speaks(30, 30.7, "Goodbye.")}, 1, false, 0,
			[]string{"Hello?", "Goodbye."}, 2, 1},
		{"a VAD that falls silent before speech", long, 0, false, 100 * ms, []string{"One two three", "Four five six"}, 1, 0},
		{"a VAD that falls silent amid speech", long, 0, false, 1100 * ms, []string{"One two three", "Four five six"}, 1, 0},
		{"both fall silent amid speech", long, 1, false, 1100 * ms, []string{"Four five six"}, 2, 1},
	} {
		t.Run(c.name, func(t *testing.T) {
			agenttest.Run(t, func(t *testing.T) {
				script := agenttest.Voice(c.parts...)
				opts := voiceOptions(agenttest.NewLLM(t, agenttest.Any().Say("I see.").Always()), agenttest.NewTTS(t, agenttest.SpokenAny(100*ms)))
				opts.UserAwayTimeout = agents.Never
				stt := muteSTT{STT: agenttest.NewSTT(t, script), mute: c.mute, dies: c.dies, n: new(atomic.Int32)}
				opts.STT = stt
				if c.silent > 0 {
					opts.VAD = newHostileVAD(script, "", func(n int, events []agents.VADEvent) ([]agents.VADEvent, error) {
						if time.Duration(n)*10*ms >= c.silent && n < 2500 {
							return nil, nil
						}
						return events, nil
					})
				}
				v := agenttest.StartVoice(t, opts, &agents.Agent{}, script)
				v.Until(sec(60))
				var users []string
				for m := range v.History().Messages() {
					if m.Role == agents.RoleUser {
						users = append(users, m.Text())
					}
				}
				require.Equal(t, c.users, users, v.Log())
				require.Len(t, slices.Collect(v.History().Messages()), 2*len(users), "each is answered once\n%s", v.Log())
				require.Equal(t, c.streams, stt.Streams(), v.Log())
				require.Len(t, hostileErrors(v, "stt"), c.errors, v.Log())
				if c.silent >= time.Second {
					require.NotEmpty(t, hostileErrors(v, "vad"), v.Log())
				}
				require.Equal(t, agents.UserListening, v.UserState())
				require.Equal(t, agents.AgentListening, v.AgentState())
			})
		})
	}
}
