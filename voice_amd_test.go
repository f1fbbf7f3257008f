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

// amdAsked is what the model that judges is told, by a part of it.
const amdAsked = "who or what is on the line"

// amdJudges returns a step in which the model judges, with the times of the harness.
func amdJudges(category string) agenttest.Step {
	return agenttest.OnInstructions(amdAsked).TTFT(100*ms).For(300*ms).Call("save_prediction", `{"category":"`+category+`"}`)
}

// An amdCall is an agent that calls somebody, and what DetectAnsweringMachine told it in its OnEnter.
type amdCall struct {
	agents.Agent
	result agents.AMDResult
	err    error
	took   time.Duration
}

// amdCaller returns one that says something when it knows.
func amdCaller(o agents.AMDOptions, say map[agents.AMDCategory]string) *amdCall {
	a := &amdCall{}
	a.OnEnter = func(ctx context.Context, s *agents.AgentSession) error {
		begin := time.Now()
		a.result, a.err = s.DetectAnsweringMachine(ctx, o)
		a.took = time.Since(begin)
		if text := say[a.result.Category]; text != "" && a.err == nil {
			s.Say(text)
		}
		return nil
	}
	return a
}

// String is the result, and when it came.
func (a *amdCall) String() string {
	if a.err != nil {
		return fmt.Sprint(a.err, " ", a.took)
	}
	r := a.result
	return fmt.Sprintf("%s %s %q %s of speech, after %s: %s", r.Category, r.Reason, r.Transcript, r.SpeechDuration, r.Delay, a.took)
}

// amdOptions are the options of a session that calls by telephone.
func amdOptions(llm agents.LLM, tts agents.TTS) agents.Options { return voiceOptions(llm, tts) }

// amdOffered returns the tools of each request in which the model had to call one.
func amdOffered(llm *agenttest.LLM) (out []string) {
	for _, req := range llm.Requests() {
		if req.ToolChoice == agents.Required {
			out = append(out, strings.Join(agenttest.ToolNames(req), " "))
		}
	}
	return out
}

func amdStart(t *testing.T, opts agents.Options, a *amdCall, parts ...agenttest.VoicePart) *agenttest.VoiceSession {
	return agenttest.StartVoice(t, opts, &a.Agent, agenttest.Voice(parts...), agenttest.Setup{IO: agents.IO{OutboundCall: true}})
}

// T122, voice.md 3.17: a person who greets with words. The answer is ready at 2.7 and is heard when it is known who that
// is: 1.5 s after the last sound.
func TestAHumanAnswers(t *testing.T) {
	agenttest.Run(t, func(t *testing.T) {
		llm := agenttest.NewLLM(t, amdJudges("human"), answers("Hello?", "Hello, this is Ann."))
		a := amdCaller(agents.AMDOptions{}, nil)
		v := amdStart(t, amdOptions(llm, agenttest.NewTTS(t, agenttest.Spoken("Hello, this is Ann.", time.Second))), a, speaks(1, 2, "Hello?"))
		v.Until(sec(6))
		require.Equal(t, `human llm "Hello?" 1s of speech, after 1.5s: 3.5s`, a.String(), v.Log())
		require.Equal(t, []string{"listening 0s", "thinking 2.5s", "speaking 3.5s", "listening 4.5s"}, v.AgentStates())
		require.Equal(t, "user: Hello?\nassistant: Hello, this is Ann.\n", transcript(v.History()))
		require.Equal(t, "human 3.5s", happened(v, func(e *agents.AnsweringMachineDetected) string { return string(e.Category) }))
		require.Equal(t, []string{"save_prediction postpone_termination"}, amdOffered(llm))
	})
}

// T122: a short greeting of which no word is understood is a person's, at 0.5 s of silence, and no model is asked. What the
// agent wanted to say meanwhile is heard then.
func TestAHumanAnswersWithoutWords(t *testing.T) {
	agenttest.Run(t, func(t *testing.T) {
		a := amdCaller(agents.AMDOptions{}, nil)
		v := amdStart(t, amdOptions(agenttest.NewLLM(t), agenttest.NewTTS(t, agenttest.Spoken("Good morning.", time.Second))), a, speaks(1, 2, ""))
		v.Until(sec(1))
		v.Say("Good morning.", agents.SayOptions{AllowInterruptions: agents.Off})
		v.Until(sec(2.4))
		require.Empty(t, v.Playouts(), "nothing is heard before")
		v.Until(sec(5))
		require.Equal(t, `human short_greeting "" 1s of speech, after 500ms: 2.5s`, a.String(), v.Log())
		require.Equal(t, []string{"listening 0s", "speaking 2.5s", "listening 3.5s"}, v.AgentStates())
	})
}

// T122, voice.md 4.5: voicemail. It has finished at 6.5, when its turn ends, and is silent for long enough at 7.5; by then
// it was answered, which nobody hears. What it said is in the history. Then the agent leaves its message.
func TestVoicemailAnswers(t *testing.T) {
	agenttest.Run(t, func(t *testing.T) {
		const greeting = "You have reached Bob. Leave a message after the tone."
		llm := agenttest.NewLLM(t, amdJudges("machine-vm"), answers(greeting, "Hello, Bob."))
		a := amdCaller(agents.AMDOptions{}, map[agents.AMDCategory]string{agents.AMDVoicemail: "Please call us back."})
		v := amdStart(t, amdOptions(llm, agenttest.NewTTS(t, agenttest.Spoken("Hello, Bob.", time.Second), agenttest.Spoken("Please call us back.", 2*time.Second))),
			a, speaks(1, 6, greeting))
		v.Until(sec(12))
		require.Equal(t, fmt.Sprintf(`machine-vm llm %q 5s of speech, after 1.5s: 7.5s`, greeting), a.String(), v.Log())
		require.Equal(t, "user: "+greeting+"\nassistant: Please call us back.\n", transcript(v.History()))
		require.Equal(t, []string{"2s"}, v.Playouts())
		require.Equal(t, []string{"listening 0s", "thinking 6.5s", "listening 7.5s", "speaking 7.7s", "listening 9.7s"}, v.AgentStates())
	})
}

// T122, voice.md 4.5 and 5: when the end of the turn is what was waited for, that very turn is not answered, and the reply
// that was begun for it is dropped.
func TestTheTurnThatDecidesIsNotAnswered(t *testing.T) {
	for _, c := range []struct {
		name string
		o    agents.AMDOptions
		want string
	}{
		{"the end of the turn decides", agents.AMDOptions{}, "9s"},
		{"the turn ends after the decision", agents.AMDOptions{MaxEndpointingDelay: 2 * time.Second}, "8s"},
		{"and is not answered either by an agent that goes on", agents.AMDOptions{MaxEndpointingDelay: 2 * time.Second, InterruptOnMachine: agents.Off}, "8s"},
	} {
		t.Run(c.name, func(t *testing.T) {
			agenttest.Run(t, func(t *testing.T) {
				llm := agenttest.NewLLM(t, amdJudges("machine-vm"), answers("Leave a message.", "Hello."))
				a := amdCaller(c.o, nil)
				opts := amdOptions(llm, agenttest.NewTTS(t))
				opts.Turn.Endpointing = agents.Endpointing{MinDelay: 3 * time.Second, MaxDelay: 6 * time.Second}
				v := amdStart(t, opts, a, speaks(1, 6, "Leave a message."))
				v.Until(sec(14))
				require.Equal(t, c.want, a.took.String(), a.String())
				require.Equal(t, "user: Leave a message.\n", transcript(v.History()))
				require.Equal(t, []string{"listening 0s"}, v.AgentStates())
			})
		})
	}
}

// The next turn is answered again.
func TestTurnsAfterAMachineAreAnswered(t *testing.T) {
	agenttest.Run(t, func(t *testing.T) {
		llm := agenttest.NewLLM(t, amdJudges("machine-vm"), answers("Leave a message.", "Hm."), answers("Hello, I am here.", "Hello."))
		a := amdCaller(agents.AMDOptions{MaxEndpointingDelay: time.Second}, nil)
		opts := amdOptions(llm, agenttest.NewTTS(t, agenttest.Spoken("Hello.", time.Second)))
		opts.Turn.Endpointing = agents.Endpointing{MinDelay: 3 * time.Second, MaxDelay: 6 * time.Second}
		v := amdStart(t, opts, a, speaks(1, 3, "Leave a message."), speaks(8, 9, "Hello, I am here."))
		v.Until(sec(15))
		require.Equal(t, "user: Leave a message.\nuser: Hello, I am here.\nassistant: Hello.\n", transcript(v.History()))
	})
}

// T122: with InterruptOnMachine off, what the agent was going to say is heard.
func TestAnAgentThatTalksToMachines(t *testing.T) {
	agenttest.Run(t, func(t *testing.T) {
		llm := agenttest.NewLLM(t, amdJudges("machine-unavailable"), answers("Not in service.", "Oh."))
		a := amdCaller(agents.AMDOptions{InterruptOnMachine: agents.Off}, nil)
		v := amdStart(t, amdOptions(llm, agenttest.NewTTS(t, agenttest.Spoken("Oh.", time.Second))), a, speaks(1, 2, "Not in service."))
		v.Until(sec(6))
		require.Equal(t, `machine-unavailable llm "Not in service." 1s of speech, after 1.5s: 3.5s`, a.String())
		require.Equal(t, []string{"1s"}, v.Playouts())
	})
}

// T122, voice.md 3.17 and 3.18: a menu. What it said counts for the loop, and 5 s later the agent is asked to go on and
// presses a key, with a tool that it did not have before.
func TestAMenuAnswers(t *testing.T) {
	agenttest.Run(t, func(t *testing.T) {
		const menu = "For sales, press 1."
		llm := agenttest.NewLLM(t, amdJudges("machine-ivr"), answers(menu, "Sales, please."),
			agenttest.OnInstructions(ivrSilence).TTFT(100*ms).For(300*ms).Call("send_dtmf_events", `{"events":["1"]}`),
			agenttest.OnOutput("send_dtmf_events").Empty(), agenttest.Any().Empty().Always())
		a := amdCaller(agents.AMDOptions{}, nil)
		v := amdStart(t, amdOptions(llm, agenttest.NewTTS(t)), a, speaks(1, 3, menu))
		v.Until(sec(12))
		require.Equal(t, `machine-ivr llm "For sales, press 1." 2s of speech, after 1.5s: 4.5s`, a.String())
		require.Equal(t, []string{"1 9.8s"}, v.Keys(), v.Log())
		require.Equal(t, "user: For sales, press 1.\ncall send_dtmf_events\noutput Pressed: 1\n", transcript(v.History()))
	})
}

// voice.md 3.18 (a): the line that the detection has heard is the first of a loop, so that the fourth is the third that was
// there before. With IVRDetection off nothing of it happens.
func TestAMenuThatRepeatsItselfFromTheStart(t *testing.T) {
	for _, c := range []struct {
		toggle agents.Toggle
		want   []string
	}{{agents.Default, []string{"10.2s uninterruptible"}}, {agents.Off, nil}} {
		t.Run(fmt.Sprint(c.toggle), func(t *testing.T) {
			agenttest.Run(t, func(t *testing.T) {
				llm := agenttest.NewLLM(t, amdJudges("machine-ivr"), agenttest.Any().Empty().Always())
				a := amdCaller(agents.AMDOptions{IVRDetection: c.toggle}, nil)
				line := "Please hold the line."
				v := amdStart(t, amdOptions(llm, agenttest.NewTTS(t)), a, speaks(1, 2, line), speaks(5, 6, line), speaks(7, 8, line), speaks(9, 10, line))
				v.Until(sec(14))
				require.Equal(t, "3.5s", a.took.String())
				require.Equal(t, c.want, ivrReplies(v), v.Log())
				last := llm.Requests()[len(llm.Requests())-1]
				if c.want == nil {
					require.Empty(t, agenttest.ToolNames(last))
				} else {
					require.Equal(t, []string{"send_dtmf_events"}, agenttest.ToolNames(last))
				}
			})
		})
	}
}

// T122: nobody says anything.
func TestNobodySpeaks(t *testing.T) {
	agenttest.Run(t, func(t *testing.T) {
		a := amdCaller(agents.AMDOptions{}, map[agents.AMDCategory]string{agents.AMDUncertain: "Hello?"})
		v := amdStart(t, amdOptions(agenttest.NewLLM(t), agenttest.NewTTS(t, agenttest.Spoken("Hello?", time.Second))), a)
		v.Until(sec(13))
		require.Equal(t, `uncertain no_speech_timeout "" 0s of speech, after 10s: 10.01s`, a.String(), "listening began with the first frame")
		require.Equal(t, []string{"1s"}, v.Playouts())
	})
}

// T122: the model asks for time three times, and then has to say; after the timeout it is uncertain, whatever it says, and
// an uncertain call is answered.
func TestTheModelPostpones(t *testing.T) {
	agenttest.Run(t, func(t *testing.T) {
		llm := agenttest.NewLLM(t,
			agenttest.OnInstructions(amdAsked).Call("postpone_termination", `{"seconds":5}`).Times(3),
			amdJudges("machine-vm"), agenttest.Any().Empty().Always())
		a := amdCaller(agents.AMDOptions{}, nil)
		v := amdStart(t, amdOptions(llm, agenttest.NewTTS(t)), a,
			speaks(1, 2, "One."), speaks(3, 4, "Two."), speaks(5, 6, "Three."), speaks(7, 8, "Four."))
		v.Until(sec(25))
		require.Equal(t, `machine-vm llm "One. Two. Three. Four." 4s of speech, after 1.5s: 9.5s`, a.String())
		both := "save_prediction postpone_termination"
		require.Equal(t, []string{both, both, both, "save_prediction"}, amdOffered(llm))
	})
}

// T122: a model that fails, hangs, or answers with what is no answer leaves the decision to the timeouts, at 20 s or when
// the other side has finished then. The failure is told, and is no reason to close. The user is answered then.
func TestAModelThatDoesNotJudge(t *testing.T) {
	broken := errors.New("broken")
	judge := func() agenttest.Step { return agenttest.OnInstructions(amdAsked) }
	for _, c := range []struct {
		name string
		step agenttest.Step
		errs []string
	}{
		{"it fails", judge().Fail(broken).Always(), []string{"answering machine detection: broken", "answering machine detection: broken"}},
		{"it hangs", judge().Stall().Always(), nil},
		{"it talks", judge().Say("A human.").Always(), []string{"answering machine detection: agents: the model called none of its tools", "answering machine detection: agents: the model called none of its tools"}},
		{"it makes up a category", judge().Call("save_prediction", `{"category":"dog"}`).Always(), []string{
			"answering machine detection: agents: the model called save_prediction with bad arguments",
			"answering machine detection: agents: the model called save_prediction with bad arguments"}},
		{"it makes up a tool", judge().Call("hang_up", `{}`).Always(), []string{"answering machine detection: agents: the model called none of its tools", "answering machine detection: agents: the model called none of its tools"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			agenttest.Run(t, func(t *testing.T) {
				llm := agenttest.NewLLM(t, c.step)
				opts := amdOptions(agenttest.NewLLM(t, answers("Hello?", "Hello.")), agenttest.NewTTS(t, agenttest.Spoken("Hello.", time.Second)))
				opts.LLMConn.Timeout = agents.Never
				a := amdCaller(agents.AMDOptions{LLM: llm}, nil)
				v := amdStart(t, opts, a, speaks(1, 2, "Hello?"))
				v.Until(sec(24))
				require.Equal(t, `uncertain detection_timeout "Hello?" 1s of speech, after 18.01s: 20.01s`, a.String(), v.Log())
				require.Equal(t, c.errs, dtmfErrors(v))
				require.Contains(t, v.AgentStates(), "speaking 20.01s")
				require.Contains(t, transcript(v.History()), "assistant: Hello.")
			})
		})
	}
}

// T122: a model that is slow is waited for, and one that is asked anew answers for all that was said.
func TestASlowModel(t *testing.T) {
	agenttest.Run(t, func(t *testing.T) {
		slow := agenttest.NewLLM(t,
			agenttest.OnUser("<heard>\nHello.\n</heard>").For(8*time.Second).Call("save_prediction", `{"category":"human"}`),
			agenttest.OnUser("<heard>\nHello. Leave a message.\n</heard>").For(4*time.Second).Call("save_prediction", `{"category":"machine-vm"}`))
		a := amdCaller(agents.AMDOptions{LLM: slow}, nil)
		v := amdStart(t, amdOptions(agenttest.NewLLM(t, agenttest.Any().Empty().Always()), agenttest.NewTTS(t)), a,
			speaks(1, 2, "Hello."), speaks(3, 5, "Leave a message."))
		v.Until(sec(15))
		require.Equal(t, `machine-vm llm "Hello. Leave a message." 3s of speech, after 4.2s: 9.2s`, a.String())
		require.Empty(t, dtmfErrors(v), "the first question was taken back")
	})
}

// T122: somebody who goes on at the timeout is waited for, unless WaitUntilFinished is off.
func TestSomebodyWhoGoesOn(t *testing.T) {
	for toggle, want := range map[agents.Toggle]string{
		agents.On:  `uncertain detection_timeout "" 6s of speech, after 1s: 8s`,
		agents.Off: `uncertain detection_timeout "" 4.01s of speech, after 0s: 5.01s`,
	} {
		t.Run(fmt.Sprint(toggle), func(t *testing.T) {
			agenttest.Run(t, func(t *testing.T) {
				a := amdCaller(agents.AMDOptions{Timeout: 5 * time.Second, MaxEndpointingDelay: time.Second, WaitUntilFinished: toggle}, nil)
				v := amdStart(t, amdOptions(agenttest.NewLLM(t), agenttest.NewTTS(t)), a, speaks(1, 7, ""))
				v.Until(sec(12))
				require.Equal(t, want, a.String(), v.Log())
			})
		})
	}
}

// T122: who speaks again before it is known who they are is answered once, to all of it, and may interrupt the answer as
// ever.
func TestBargeInDuringDetection(t *testing.T) {
	agenttest.Run(t, func(t *testing.T) {
		llm := agenttest.NewLLM(t, amdJudges("human").Times(2), answers("Hello?", "Hi."), answers("Who is this?", "This is Ann, calling about your order."), answers("Stop.", "Sorry."))
		a := amdCaller(agents.AMDOptions{}, nil)
		v := amdStart(t, amdOptions(llm, agenttest.NewTTS(t, agenttest.Spoken("Hi.", time.Second), agenttest.Spoken("This is Ann, calling about your order.", 5*time.Second), agenttest.Spoken("Sorry.", time.Second))),
			a, speaks(1, 2, "Hello?"), speaks(3, 4, "Who is this?"), speaks(7, 8, "Stop."))
		v.Until(sec(12))
		require.Equal(t, `human llm "Hello? Who is this?" 2s of speech, after 1.5s: 5.5s`, a.String(), v.Log())
		require.Equal(t, []string{"2s interrupted", "1s"}, v.Playouts(), v.Log())
		require.Equal(t, "user: Hello?\nuser: Who is this?\nassistant: This is Ann, calling about your (interrupted)\nuser: Stop.\nassistant: Sorry.\n", transcript(v.History()))
	})
}

// Pitfall 42, voice.md 3.17: nothing counts while the telephone rings, and no time runs.
func TestATelephoneThatRings(t *testing.T) {
	agenttest.Run(t, func(t *testing.T) {
		answered := make(chan struct{})
		a := amdCaller(agents.AMDOptions{Answered: answered}, nil)
		v := amdStart(t, amdOptions(agenttest.NewLLM(t, agenttest.Any().Empty().Always()), agenttest.NewTTS(t)), a,
			speaks(1, 2, "Ring."), speaks(31, 32, ""))
		v.Until(sec(30))
		require.Zero(t, a.took)
		close(answered)
		v.Until(sec(33))
		require.Equal(t, `human short_greeting "" 1s of speech, after 500ms: 32.5s`, a.String())
	})
}

// voice.md 3.17: no audio within 5 s, or none any more.
func TestNobodyIsThere(t *testing.T) {
	t.Run("no audio comes", func(t *testing.T) {
		agenttest.Run(t, func(t *testing.T) {
			a := amdCaller(agents.AMDOptions{}, nil)
			agenttest.StartVoice(t, amdOptions(agenttest.NewLLM(t), agenttest.NewTTS(t)), &a.Agent, agenttest.Voice(),
				agenttest.Setup{IO: agents.IO{AudioInput: amdMute{}}})
			time.Sleep(6 * time.Second)
			agenttest.Settle(t)
			require.Equal(t, `uncertain participant_missing "" 0s of speech, after 0s: 5s`, a.String())
		})
	})
	t.Run("it ends", func(t *testing.T) {
		agenttest.Run(t, func(t *testing.T) {
			a := amdCaller(agents.AMDOptions{}, nil)
			v := amdStart(t, amdOptions(agenttest.NewLLM(t), agenttest.NewTTS(t)), a)
			v.Until(sec(2))
			v.Mic.Hangup()
			v.Until(sec(3))
			require.Equal(t, `uncertain participant_missing "" 0s of speech, after 1.99s: 2s`, a.String())
		})
	})
}

// amdMute is an audio input of which nothing comes.
type amdMute struct{}

func (amdMute) ReadFrame(ctx context.Context) (agents.AudioFrame, error) {
	<-ctx.Done()
	return agents.AudioFrame{}, context.Cause(ctx)
}

// core.md, close: a session that closes, or drains, gives the detection up, and what waited is not held any longer.
func TestCloseDuringDetection(t *testing.T) {
	for name, end := range map[string]func(v *agenttest.VoiceSession) error{
		"close": func(v *agenttest.VoiceSession) error { return v.Close() },
		"drain": func(v *agenttest.VoiceSession) error { return v.Shutdown(context.Background()) },
	} {
		t.Run(name, func(t *testing.T) {
			agenttest.Run(t, func(t *testing.T) {
				llm := agenttest.NewLLM(t, agenttest.OnInstructions(amdAsked).Stall())
				opts := amdOptions(agenttest.NewLLM(t, answers("Hello?", "Hello.")), agenttest.NewTTS(t, agenttest.Spoken("Hello.", time.Second)))
				a := amdCaller(agents.AMDOptions{LLM: llm}, nil)
				v := amdStart(t, opts, a, speaks(1, 2, "Hello?"))
				v.Until(sec(4))
				require.NoError(t, end(v))
				require.ErrorIs(t, a.err, agents.ErrSessionClosed)
				require.Equal(t, 4*time.Second, a.took)
				require.Empty(t, dtmfErrors(v))
				if name == "drain" {
					require.Equal(t, []string{"1s"}, v.Playouts())
				}
			})
		})
	}
}

// A detection that is given up holds nothing.
func TestADetectionThatIsGivenUp(t *testing.T) {
	agenttest.Run(t, func(t *testing.T) {
		llm := agenttest.NewLLM(t, agenttest.OnInstructions(amdAsked).Stall(), answers("Hello?", "Hello."))
		a := &agents.Agent{}
		var err error
		a.OnEnter = func(ctx context.Context, s *agents.AgentSession) error {
			ctx, cancel := context.WithTimeoutCause(ctx, 3*time.Second, errors.New("enough"))
			defer cancel()
			_, err = s.DetectAnsweringMachine(ctx, agents.AMDOptions{})
			return nil
		}
		v := agenttest.StartVoice(t, amdOptions(llm, agenttest.NewTTS(t, agenttest.Spoken("Hello.", time.Second))), a, agenttest.Voice(speaks(1, 2, "Hello?")))
		v.Until(sec(5))
		require.EqualError(t, err, "enough")
		require.Contains(t, v.AgentStates(), "speaking 3s")
	})
}

// A detection that begins while somebody speaks counts the rest of it, and books what the model used.
func TestADetectionThatBeginsAmidSpeech(t *testing.T) {
	agenttest.Run(t, func(t *testing.T) {
		judge := amdJudges("human").Usage(agents.LLMUsage{PromptTokens: 70, CompletionTokens: 7, TotalTokens: 77})
		v := agenttest.StartVoice(t, amdOptions(agenttest.NewLLM(t, judge, agenttest.Any().Empty()), agenttest.NewTTS(t)), &agents.Agent{}, agenttest.Voice(speaks(1, 5, "Hello?")))
		v.Until(sec(3))
		r, err := v.DetectAnsweringMachine(context.Background(), agents.AMDOptions{})
		require.NoError(t, err)
		require.Equal(t, agents.AMDResult{Category: agents.AMDHuman, Reason: agents.AMDByLLM, Transcript: "Hello?", SpeechDuration: 2 * time.Second, Delay: 1500 * ms}, r)
		require.Equal(t, 77, v.Usage()[0].LLM.TotalTokens, v.Usage())
	})
}

// voice.md 4.5: a turn that ended before, and that the application still looks at, is not answered when a machine is on the
// line.
func TestATurnThatIsLookedAtIsNotAnswered(t *testing.T) {
	agenttest.Run(t, func(t *testing.T) {
		llm := agenttest.NewLLM(t, amdJudges("machine-vm"), answers("Leave a message.", "Hello."))
		a := amdCaller(agents.AMDOptions{}, nil)
		a.OnUserTurnCompleted = func(ctx context.Context, _ *agents.AgentSession, _ *agents.ChatContext, _ *agents.ChatMessage) error {
			time.Sleep(4 * time.Second)
			return nil
		}
		v := amdStart(t, amdOptions(llm, agenttest.NewTTS(t)), a, speaks(1, 3, "Leave a message."))
		v.Until(sec(10))
		require.Equal(t, "4.5s", a.took.String())
		require.Equal(t, "user: Leave a message.\n", transcript(v.History()))
		require.Equal(t, []string{"listening 0s"}, v.AgentStates())
	})
}

// A turn of a machine that the application clears is not confused with the next one.
func TestAMachinesTurnThatIsCleared(t *testing.T) {
	agenttest.Run(t, func(t *testing.T) {
		llm := agenttest.NewLLM(t, amdJudges("machine-vm"), answers("Leave a message.", "Hm."), answers("I am here.", "Hello."))
		a := amdCaller(agents.AMDOptions{MaxEndpointingDelay: time.Second}, nil)
		opts := amdOptions(llm, agenttest.NewTTS(t, agenttest.Spoken("Hello.", time.Second)))
		opts.Turn.Endpointing = agents.Endpointing{MinDelay: 3 * time.Second, MaxDelay: 6 * time.Second}
		v := amdStart(t, opts, a, speaks(1, 3, "Leave a message."), speaks(8, 9, "I am here."))
		v.Until(sec(5))
		require.Equal(t, "4.5s", a.took.String())
		require.NoError(t, v.ClearUserTurn())
		v.Until(sec(15))
		require.Equal(t, "user: I am here.\nassistant: Hello.\n", transcript(v.History()))
	})
}

// Whatever comes first at an instant, a call is judged in the same way.
func TestDetectionInAnyOrder(t *testing.T) {
	agenttest.Explore(t, 20, func(t *testing.T) {
		llm := agenttest.NewLLM(t, amdJudges("machine-vm"), answers("Leave a message.", "Hello."))
		a := amdCaller(agents.AMDOptions{}, nil)
		opts := amdOptions(llm, agenttest.NewTTS(t))
		opts.Turn.Endpointing = agents.Endpointing{MinDelay: 1500 * ms, MaxDelay: 6 * time.Second} // the turn and the silence end at once
		v := amdStart(t, opts, a, speaks(1, 3, "Leave a message."))
		v.Until(sec(8))
		require.Equal(t, `machine-vm llm "Leave a message." 2s of speech, after 1.5s: 4.5s`, a.String())
		require.Equal(t, "user: Leave a message.\n", transcript(v.History()))
		require.Empty(t, v.Playouts())
	})
}

// What cannot work is an error, at once.
func TestDetectionsThatCannotBe(t *testing.T) {
	agenttest.Run(t, func(t *testing.T) {
		v := agenttest.StartVoice(t, amdOptions(nil, agenttest.NewTTS(t)), &agents.Agent{}, agenttest.Voice())
		detect := func(o agents.AMDOptions) error {
			_, err := v.DetectAnsweringMachine(context.Background(), o)
			return err
		}
		require.EqualError(t, detect(agents.AMDOptions{}), "agents: no LLM for answering machine detection, neither the agent's nor AMDOptions.LLM")
		require.ErrorIs(t, detect(agents.AMDOptions{}), agents.ErrNoLLM)
		require.EqualError(t, detect(agents.AMDOptions{Timeout: -1, HumanSilence: -time.Second}), "agents: AMDOptions.HumanSilence is -1s\nagents: AMDOptions.Timeout is -1ns")
		go detect(agents.AMDOptions{LLM: agenttest.NewLLM(t)})
		agenttest.Settle(t)
		require.ErrorIs(t, detect(agents.AMDOptions{LLM: agenttest.NewLLM(t)}), agents.ErrDetecting)
		require.NoError(t, v.Close())
		require.ErrorIs(t, detect(agents.AMDOptions{LLM: agenttest.NewLLM(t)}), agents.ErrSessionClosed)
		_, err := agents.NewSession(agents.Options{}).DetectAnsweringMachine(context.Background(), agents.AMDOptions{})
		require.ErrorIs(t, err, agents.ErrNotStarted)
	})
	agenttest.Run(t, func(t *testing.T) {
		s := agenttest.Start(t, agents.Options{LLM: agenttest.NewLLM(t)}, &agents.Agent{})
		_, err := s.DetectAnsweringMachine(context.Background(), agents.AMDOptions{})
		require.EqualError(t, err, "agents: answering machine detection needs an audio input")
	})
}
