package agents_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/parley-voice/agents"
	"github.com/parley-voice/agents/agenttest"
)

// Where other systems broke for their users when it comes to speech, by the rows of the list of pitfalls. LKA is
// livekit/agents, LKJS livekit/agents-js; the number is the thread.

// Row 25, LKA#2607, LKA#2201, LKA#5038: the history held a word or two more than the caller heard, or nothing of a reply
// that was heard. Whenever the agent is cut off, the history has the words whose last sample was played.
func TestHistoryIsWhatWasHeard(t *testing.T) {
	const text = "One two three four five six seven eight."
	// At 100 ms a character from 0.2 s on. The space after a word is part of the word's time.
	heard := func(at time.Duration) string {
		n := int((at - 200*ms) / (100 * ms))
		return text[:max(strings.LastIndex(text[:n], " "), 0)]
	}
	for at := 250 * ms; at < 4200*ms; at += 290 * ms {
		t.Run(fmt.Sprint(at), func(t *testing.T) {
			agenttest.Run(t, func(t *testing.T) {
				v := quiet(t, nil, &agents.Agent{})
				h := v.Say(text)
				v.Until(at)
				require.NoError(t, h.Interrupt())
				require.NoError(t, h.Wait(t.Context()))
				want := ""
				if said := heard(at); said != "" {
					want = "assistant: " + said + " (interrupted)\n"
				}
				require.Equal(t, want, transcript(v.History()), v.Log())
				require.Equal(t, []string{(at - 200*ms).String() + " interrupted"}, v.Playouts())
			})
		})
	}
}

// Row 26, LKA#5158, LKA#3721, LKA#1988: the first syllable was lost, the tail was cut, or one word was followed by
// silence. All samples of the voice reach the output, once and in order, with the words that come with them, however the
// audio comes and whatever format the output wants.
func TestNoSampleIsLost(t *testing.T) {
	for _, frame := range []time.Duration{time.Millisecond, 7 * ms, 100 * ms, 3 * time.Second} {
		for _, caps := range []agents.AudioOutputCapabilities{{}, {SampleRate: 48000, Channels: 2}, {SampleRate: 8000, Channels: 1}} {
			t.Run(fmt.Sprint(frame, caps.SampleRate), func(t *testing.T) {
				agenttest.Run(t, func(t *testing.T) {
					s := &oddSpeaker{}
					if caps.SampleRate != 0 {
						s.caps = &caps
					}
					tts := agenttest.NewTTS(t, agenttest.SpokenAny(100*ms))
					tts.Frame = frame
					v := agenttest.StartVoice(t, voiceOptions(nil, tts), &agents.Agent{}, agenttest.Voice(), odd(s))
					v.Speaker = s.Speaker
					require.NoError(t, v.Say("Every single word.").Wait(t.Context()))
					require.Equal(t, []string{"1.8s"}, v.Playouts(), v.Log())
					require.Equal(t, "assistant: Every single word.\n", transcript(v.History()))
					audio := v.Speaker.Played()[0].Audio
					require.NotZero(t, loudest(audio, 0, 20*ms), "the first syllable")
					require.NotZero(t, loudest(audio, 1780*ms, 1800*ms), "the last")
				})
			})
		}
	}
}

// loudest returns the loudest sample between two positions.
func loudest(f agents.AudioFrame, from, to time.Duration) (most int16) {
	a, b := agents.SamplesIn(from, f.SampleRate)*int64(f.Channels), agents.SamplesIn(to, f.SampleRate)*int64(f.Channels)
	for _, s := range f.Samples[a:min(b, int64(len(f.Samples)))] {
		most = max(most, s, -s)
	}
	return most
}

// Row 27, LKA#3604, LKA#1454: speech was choppy with a voice whose audio comes in bursts. A segment whose voice falls
// behind goes on where it stopped: nothing is skipped or said twice, it stays one segment, and an interruption in the gap
// counts what was played and not what the clock says.
func TestVoiceThatComesInBursts(t *testing.T) {
	burst := func(yield func(agents.AudioFrame) bool) {
		for range 3 {
			for range 50 {
				if !yield(agents.AudioFrame{Samples: make([]int16, 240), SampleRate: 24000, Channels: 1}) {
					return
				}
			}
			time.Sleep(2 * time.Second)
		}
	}
	for _, c := range []struct {
		name string
		at   time.Duration
		want []string
	}{{"to its end", 0, []string{"1.5s"}}, {"cut off in a gap", 3500 * ms, []string{"1s interrupted"}}} {
		t.Run(c.name, func(t *testing.T) {
			agenttest.Run(t, func(t *testing.T) {
				v := quiet(t, nil, &agents.Agent{})
				h := v.Say("One two three.", agents.SayOptions{Audio: burst})
				if c.at > 0 {
					v.Until(c.at)
					require.NoError(t, h.Interrupt())
				}
				require.NoError(t, h.Wait(t.Context()))
				v.Until(sec(10))
				require.Equal(t, c.want, v.Playouts(), v.Log())
				require.Equal(t, c.at > 0, h.Interrupted())
				require.Equal(t, agents.AgentListening, v.AgentState())
			})
		})
	}
}

// Row 29, LKA#2493, LKA#3745: the first answer was slow, and nobody could say where the time went. Each part of the wait
// is told, and they add up to what the caller waited, whatever takes its time.
func TestEveryPartOfTheWaitIsTold(t *testing.T) {
	for _, c := range []struct {
		name                                             string
		ttft, ttfb, hook, tool                           time.Duration
		llm, tts, completed, tools, transcription, ended time.Duration
	}{
		{name: "quick", transcription: 200 * ms, ended: 300 * ms, ttfb: 200 * ms, tts: 200 * ms},
		{name: "a slow model", ttft: 2 * time.Second, llm: 1700 * ms, ttfb: 200 * ms, tts: 200 * ms, transcription: 200 * ms, ended: 300 * ms},
		{name: "a slow voice", ttfb: 3 * time.Second, tts: 3 * time.Second, transcription: 200 * ms, ended: 300 * ms},
		{name: "a slow hook", hook: time.Second, completed: time.Second, ttfb: 200 * ms, tts: 200 * ms, transcription: 200 * ms, ended: 300 * ms},
		{name: "a slow tool", tool: 4 * time.Second, tools: 4 * time.Second, ttfb: 200 * ms, tts: 200 * ms, transcription: 200 * ms, ended: 300 * ms},
	} {
		t.Run(c.name, func(t *testing.T) {
			agenttest.Run(t, func(t *testing.T) {
				first := agenttest.OnUser("Hello.").TTFT(c.ttft)
				var steps []agenttest.Step
				if c.tool > 0 {
					steps = append(steps, first.Call("slow", `{}`), agenttest.OnOutput("slow").Say("Hi."))
				} else {
					steps = append(steps, first.Say("Hi."))
				}
				a := &agents.Agent{Tools: []agents.Tool{gives("slow", c.tool, "done", nil)}}
				if c.hook > 0 {
					a.OnUserTurnCompleted = func(ctx context.Context, _ *agents.AgentSession, _ *agents.ChatContext, _ *agents.ChatMessage) error {
						sleep(ctx, c.hook)
						return nil
					}
				}
				tts := agenttest.NewTTS(t, agenttest.Spoken("Hi.", time.Second).TTFB(c.ttfb))
				v := agenttest.StartVoice(t, voiceOptions(agenttest.NewLLM(t, steps...), tts), a, agenttest.Voice(speaks(0.5, 2, "Hello.")))
				v.Until(sec(15))
				e := find[*agents.TurnLatency](v)
				require.NotNil(t, e, v.Log())
				parts := e.Transcription + e.Endpointing + e.TurnCompleted + e.Waiting + e.Tools + e.LLM + e.Text + e.TTS + e.Playout
				require.Equal(t, e.Total, parts, "%+v", e)
				require.Equal(t, []time.Duration{c.transcription, c.ended, c.completed, c.tools, c.llm, c.tts},
					[]time.Duration{e.Transcription, e.Endpointing, e.TurnCompleted, e.Tools, e.LLM, e.TTS}, "%+v", e)
				require.Equal(t, v.Speaker.Played()[0].Started.Sub(v.Mic.Began().Add(2*time.Second)), e.Total)
			})
		})
	}
}

// Row 30, LKA#1033, LKA#1144, LKA#5096: the goodbye was cut off, or the call never ended. A tool says goodbye and shuts the
// session down: the goodbye is heard to its end, and the session has closed at that moment.
func TestGoodbyeIsHeardAndTheCallEnds(t *testing.T) {
	agenttest.Explore(t, 50, func(t *testing.T) {
		llm := agenttest.NewLLM(t, answers("That is all.", "One moment.").Call("hang_up", `{}`), agenttest.OnUser("Bye.").Empty().Always())
		a := &agents.Agent{Tools: []agents.Tool{act("hang_up", func(ctx context.Context, run *agents.RunContext[any]) (any, error) {
			s := run.Session()
			if err := s.Say("Goodbye.", agents.SayOptions{AllowInterruptions: agents.Off}).Wait(ctx); err != nil {
				return nil, err
			}
			return nil, errors.Join(s.Shutdown(ctx), agents.ErrStopResponse)
		})}}
		tts := agenttest.NewTTS(t, agenttest.Spoken("One moment.", time.Second), agenttest.Spoken("Goodbye.", 2*time.Second))
		v := agenttest.StartVoice(t, voiceOptions(llm, tts), a, agenttest.Voice(speaks(0.5, 2, "That is all."), speaks(4, 4.6, "Bye.")))
		require.NoError(t, v.Wait())
		require.Equal(t, []string{"1s", "2s"}, v.Playouts(), v.Log())
		require.Contains(t, transcript(v.History()), "assistant: Goodbye.\n")
		require.Equal(t, agents.CloseUserInitiated, find[*agents.Closed](v).Reason)
		require.LessOrEqual(t, v.Since(time.Now()), 8*time.Second)
	})
}

// Row 35, LKA#1976, LKA#5092, LKJS#242: after an interruption the history held a call without its output, and the provider
// refused every request from then on. Cut off at any moment by the caller, with voice and tools at work, no request holds
// such a call, and the next turn is answered.
func TestNoOrphanCallAfterABargeIn(t *testing.T) {
	for at := 2600 * ms; at < 7*time.Second; at += 310 * ms {
		t.Run(fmt.Sprint(at), func(t *testing.T) {
			agenttest.Run(t, func(t *testing.T) {
				paired := func(req agents.ChatRequest) bool { oneOutputPerCall(t, req.Context); return true }
				llm := agenttest.NewLLM(t,
					agenttest.OnUser("Stop that.").Say("Stopped.").Always(),
					agenttest.OnUser("Look it up.").TTFT(100*ms).For(300*ms).Say("Let me look.").Call("slow", `{}`).Call("quick", `{}`).Always(),
					agenttest.When(paired).Say("There it is.").Always())
				a := &agents.Agent{Tools: []agents.Tool{gives("slow", 1500*ms, "s", nil), gives("quick", 0, "q", nil)}}
				tts := agenttest.NewTTS(t, agenttest.SpokenAny(100*ms))
				script := agenttest.Voice(speaks(0.5, 2, "Look it up."), agenttest.Speech(at, at+700*ms, "Stop that."))
				v := agenttest.StartVoice(t, voiceOptions(llm, tts), a, script)
				v.Until(at + 8*time.Second)
				oneOutputPerCall(t, v.History())
				require.Contains(t, transcript(v.History()), "user: Stop that.\n", v.Log())
				require.Equal(t, 1, strings.Count(transcript(v.History()), "assistant: Stopped.\n"), v.Log())
				require.Equal(t, agents.AgentListening, v.AgentState())
			})
		})
	}
}

// Row 36, LKJS#1137, LKA#4554, LKA#2884: with a realtime model parallel calls were ignored and answers came twice. That a
// reply to calls is one, whether the model gives it by itself or is asked for it, is in TestRealtimeParallelCalls; here the
// caller speaks while the calls run, which with such a model has an answer of its own.
func TestRealtimeAnswersOnce(t *testing.T) {
	for _, auto := range []bool{false, true} {
		agenttest.Explore(t, 30, func(t *testing.T) {
			script := agenttest.Voice(speaks(0.5, 2, "Look it up."), speaks(5, 6, "And hurry."))
			model := agenttest.NewRealtime(t, agenttest.RealtimeOptions{Voice: script, Capabilities: func(c *agents.RealtimeCapabilities) { c.AutoToolReply = auto }},
				agenttest.OnUser("Look it up.").Turn().Speak("Looking.", time.Second).Call("slow", `{}`).Call("quick", `{}`),
				agenttest.OnUser("And hurry.").Turn().Speak("I do.", time.Second),
				agenttest.OnOutput("slow").Turn().Speak("There it is.", time.Second))
			a := &agents.Agent{Tools: []agents.Tool{gives("slow", 6*time.Second, "s", nil), gives("quick", 0, "q", nil)}}
			v := agenttest.StartVoice(t, realtimeOptions(model), a, script)
			v.Until(sec(20))
			require.Equal(t, "user: Look it up.\nassistant: Looking.\ncall slow\noutput s\ncall quick\noutput q\nuser: And hurry.\nassistant: I do.\nassistant: There it is.\n",
				inCallOrder(v.History()), v.Log())
			require.Equal(t, []string{"1s", "1s", "1s"}, v.Playouts())
			oneOutputPerCall(t, model.Updates()[len(model.Updates())-1].Context) // as the model knows it
			requests := 1
			if auto {
				requests = 0
			}
			require.Len(t, model.Requests(), requests)
			require.Equal(t, agents.AgentListening, v.AgentState())
		})
	}
}

// Row 37, LKA#2341, LKA#5879, LKA#3560: a realtime session expired in mid-call and the call died in silence. One that is
// connected again goes on, whatever was going on, with what was heard until then; and one that is lost for good closes the
// session with the reason, at once. One that dies without a word is in TestRealtimeSessionDiesSilently.
func TestRealtimeSessionExpires(t *testing.T) {
	const hello, again = "assistant: Hello to you.\n", "user: Still there?\nassistant: I am.\n"
	for _, c := range []struct {
		name  string
		fault agenttest.VoiceFault
		tool  bool
		lost  time.Duration // when the session ends
		want  string
	}{
		{"in silence", agenttest.ReconnectAt(6 * time.Second), false, 0, hello + again},
		{"while the caller speaks", agenttest.ReconnectAt(8500 * ms), false, 0, hello + again},
		{"before the answer", agenttest.ReconnectAt(2600 * ms), false, 0, again},
		{"amid the answer", agenttest.ReconnectAt(2900 * ms), false, 0, "assistant: Hello \n" + again},
		{"while a tool runs", agenttest.ReconnectAt(4 * time.Second), true, 0, hello + "call slow\noutput s\nassistant: Found.\n" + again},
		{"for good, in silence", agenttest.CutAt(6 * time.Second), false, 6 * time.Second, hello},
		{"for good, in mid-speech", agenttest.CutAt(4 * time.Second), false, 4 * time.Second, "assistant: Hello (interrupted)\n"},
	} {
		t.Run(c.name, func(t *testing.T) {
			agenttest.Run(t, func(t *testing.T) {
				script := agenttest.Voice(speaks(0.5, 2, "Hello."), speaks(8, 9, "Still there?"))
				turn := agenttest.OnUser("Hello.").Turn().Timed().Speak("Hello to you.", 2*time.Second)
				if c.tool {
					turn = turn.Call("slow", `{}`)
				}
				model := agenttest.NewRealtime(t, agenttest.RealtimeOptions{Voice: script}, turn)
				if c.tool {
					model.Add(agenttest.OnOutput("slow").Turn().Speak("Found.", time.Second))
				}
				if c.lost == 0 {
					model.Add(agenttest.OnUser("Still there?").Turn().Speak("I am.", time.Second))
				}
				model.Faults(c.fault)
				v := agenttest.StartVoice(t, realtimeOptions(model), &agents.Agent{Tools: []agents.Tool{gives("slow", 2*time.Second, "s", nil)}}, script)
				if c.lost > 0 {
					require.ErrorIs(t, v.Wait(), agents.ErrConnection)
					require.Equal(t, c.lost, v.Since(time.Now()))
					closed := find[*agents.Closed](v)
					require.Equal(t, agents.CloseError, closed.Reason)
					require.ErrorIs(t, closed.Err, agents.ErrConnection)
				} else {
					v.Until(sec(14))
					require.Equal(t, 1, eventCount[*agents.RealtimeRestored](v))
					require.Equal(t, agents.AgentListening, v.AgentState())
				}
				require.Equal(t, "user: Hello.\n"+c.want, transcript(v.History()), v.Log())
			})
		})
	}
}

// Row 43, LKA#5660, LKA#6678: a fallback saw only errors of the connection, so that a voice that was open and gave nothing
// was silence for ever; and it never went back. The next voice speaks in time, and the first is used again once it works.
func TestFallbackOfAVoiceThatGivesNothing(t *testing.T) {
	agenttest.Run(t, func(t *testing.T) {
		first, second := agenttest.NewTTS(t, agenttest.SpokenAny(100*ms)), agenttest.NewTTS(t, agenttest.SpokenAny(100*ms))
		first.Faults(agenttest.StallAt(0))
		both, err := agents.NewFallbackTTS(agents.FallbackTTSOptions{TTSs: []agents.TTS{first, second}})
		require.NoError(t, err)
		defer both.Close()
		v := agenttest.StartVoice(t, voiceOptions(nil, both), &agents.Agent{}, agenttest.Voice())
		require.NoError(t, v.Say("One two three.").Wait(t.Context()))
		require.Equal(t, []string{"1.4s"}, v.Playouts(), v.Log())
		require.LessOrEqual(t, v.Since(time.Now()), 15*time.Second)
		v.Until(time.Minute)
		require.NoError(t, v.Say("Four five.").Wait(t.Context()))
		v.Until(2 * time.Minute)
		require.NoError(t, v.Say("Six seven.").Wait(t.Context()))
		require.Equal(t, "assistant: One two three.\nassistant: Four five.\nassistant: Six seven.\n", transcript(v.History()))
		require.NotContains(t, second.Texts(), "Six seven.", "the first was tried in the background, and speaks again")
	})
}
