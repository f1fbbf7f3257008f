package agents_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/parley-voice/agents"
	"github.com/parley-voice/agents/agenttest"
)

// ivrOptions are those of an agent that is on the telephone with an automated system.
func ivrOptions(llm agents.LLM, tts agents.TTS) agents.Options {
	opts := voiceOptions(llm, tts)
	opts.IVRDetection = true
	return opts
}

// What the model is told, by a part of it.
const (
	ivrSilence = "Nobody has said anything"
	ivrLoop    = "repeats itself"
)

// ivrReplies returns when replies were asked for, other than those to a turn of the user.
func ivrReplies(v *agenttest.VoiceSession) []string {
	turns := map[string]bool{}
	for _, e := range v.Recorded() {
		if e, ok := e.(*agents.EOUMetrics); ok {
			turns[e.SpeechID] = true
		}
	}
	var out []string
	for _, e := range v.Recorded() {
		if e, ok := e.(*agents.SpeechCreated); ok && !turns[e.Speech.ID()] {
			text := v.Since(e.At).String()
			if !e.Speech.AllowInterruptions() {
				text += " uninterruptible"
			}
			out = append(out, text)
		}
	}
	return out
}

// voice.md 3.18 (b): when both sides have been silent for 5 s the agent is asked to go on; and again, when it has spoken,
// after 5 s more.
func TestSilenceOnBothSidesAsksTheAgent(t *testing.T) {
	agenttest.Run(t, func(t *testing.T) {
		llm := agenttest.NewLLM(t, agenttest.OnInstructions(ivrSilence).TTFT(100*ms).For(300*ms).Say("Hello?").Times(2))
		a := &agents.Agent{InstructionsFor: &agents.Instructions{Audio: "You are on the telephone."}}
		v := agenttest.StartVoice(t, ivrOptions(llm, agenttest.NewTTS(t, agenttest.Spoken("Hello?", time.Second))), a, agenttest.Voice())
		v.Until(sec(15))
		require.Contains(t, llm.Requests()[0].Context.Items()[0].(*agents.ChatMessage).Text(), "on the telephone")
		require.Equal(t, []string{"5s", "11.5s"}, ivrReplies(v))
		require.Equal(t, []string{"listening 0s", "thinking 5s", "speaking 5.5s", "listening 6.5s", "thinking 11.5s", "speaking 12s", "listening 13s"}, v.AgentStates())
		require.Equal(t, "assistant: Hello?\nassistant: Hello?\n", transcript(v.History()))
	})
}

// The 5 s begin anew with whatever is said: an answered turn, one without an answer, a sound without words. A user who is
// away is silent like any other.
func TestWhatIsSaidEndsTheSilence(t *testing.T) {
	for _, c := range []struct {
		name   string
		script agenttest.VoiceScript
		away   time.Duration
		want   []string
	}{
		// The turn ends at 4.5 and is answered from 4.7 to 5.7.
		{"a turn that is answered", agenttest.Voice(speaks(3, 4, "Hello.")), 0, []string{"10.7s"}},
		{"a turn without an answer", agenttest.Voice(speaks(3, 4, "Hm.")), 0, []string{"9.5s"}},
		{"a sound", agenttest.Voice(speaks(3, 4, "")), 0, []string{"9.5s"}},
		{"just before", agenttest.Voice(speaks(4.9, 5.1, "")), 0, []string{"10.6s"}},
		{"nothing, of a user who is away", agenttest.Voice(), 2 * time.Second, []string{"5s", "10s"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			agenttest.Run(t, func(t *testing.T) {
				llm := agenttest.NewLLM(t, answers("Hello.", "Hello yourself.").Always(), agenttest.Any().Empty().Always())
				opts := ivrOptions(llm, agenttest.NewTTS(t, agenttest.Spoken("Hello yourself.", time.Second)))
				opts.UserAwayTimeout = agents.Delay(c.away)
				v := agenttest.StartVoice(t, opts, &agents.Agent{}, c.script)
				v.Until(sec(12))
				require.Equal(t, c.want, ivrReplies(v), v.Log())
			})
		})
	}
}

// plugins.md 4.9: an agent that listens to menus gives the other side 5 s and more to go on. While the end of their turn is
// being decided nobody asks it to speak, as it is about to.
func TestATurnThatIsBeingDecidedIsNoSilence(t *testing.T) {
	agenttest.Run(t, func(t *testing.T) {
		llm := agenttest.NewLLM(t, answers("Please hold.", "Yes."))
		opts := ivrOptions(llm, agenttest.NewTTS(t, agenttest.Spoken("Yes.", time.Second)))
		opts.Turn.Endpointing = agents.Endpointing{MinDelay: 7 * time.Second, MaxDelay: 7 * time.Second}
		v := agenttest.StartVoice(t, opts, &agents.Agent{}, agenttest.Voice(speaks(1, 2, "Please hold.")))
		v.Until(sec(14))
		require.Equal(t, []string{"listening 0s", "thinking 9s", "speaking 9.2s", "listening 10.2s"}, v.AgentStates())
		require.Empty(t, ivrReplies(v))
	})
}

// A tool that runs is no silence either.
func TestAToolThatRunsIsNoSilence(t *testing.T) {
	agenttest.Run(t, func(t *testing.T) {
		wait := agents.ToolFunc("wait", "Waits.", func(context.Context, struct{}) (string, error) {
			time.Sleep(8 * time.Second)
			return "done", nil
		})
		llm := agenttest.NewLLM(t, agenttest.OnUser("Hello.").Call("wait", `{}`), agenttest.OnOutput("wait").Say("Yes."))
		v := agenttest.StartVoice(t, ivrOptions(llm, agenttest.NewTTS(t, agenttest.Spoken("Yes.", time.Second))),
			&agents.Agent{Tools: []agents.Tool{wait}}, agenttest.Voice(speaks(1, 2, "Hello.")))
		v.Until(sec(15))
		require.Empty(t, ivrReplies(v), v.Log())
	})
}

// ivrMenu is an automated system that says one line n times, a second each with a second after it, from the first second on.
func ivrMenu(n int, line string) agenttest.VoiceScript {
	var parts []agenttest.VoicePart
	for i := range n {
		parts = append(parts, speaks(float64(1+2*i), float64(2+2*i), line))
	}
	return agenttest.Voice(parts...)
}

// voice.md 3.18 (a): the third line in a row that was there before has the agent told so, by a reply that cannot be
// interrupted. It is asked for when the transcript is there, at 8.2, and is said from 8.7 on, also while the system goes on
// at 9. The model acts on it: the key goes to the line of this session.
func TestALoopHasTheAgentTrySomethingElse(t *testing.T) {
	agenttest.Run(t, func(t *testing.T) {
		const line = "For sales, press 1. For support, press 2."
		llm := agenttest.NewLLM(t,
			agenttest.OnInstructions(ivrLoop).TTFT(100*ms).For(300*ms).Say("I need a person.").Call("send_dtmf_events", `{"events":["0","#"]}`),
			agenttest.Any().Empty().Always())
		v := agenttest.StartVoice(t, ivrOptions(llm, agenttest.NewTTS(t, agenttest.Spoken("I need a person.", 2*time.Second))),
			&agents.Agent{}, ivrMenu(5, line))
		v.Until(sec(11))
		require.Equal(t, []string{"8.2s uninterruptible"}, ivrReplies(v), v.Log())
		require.Equal(t, []string{"2s"}, v.Playouts(), "to its end")
		require.Equal(t, []string{"0 8.5s", "# 8.8s"}, v.Keys())
		require.Contains(t, v.AgentStates(), "speaking 8.7s")
		require.Contains(t, transcript(v.History()), "assistant: I need a person.\n")
		require.Contains(t, transcript(v.History()), "output Pressed: 0 #\n")
	})
}

// After a loop everything begins anew, so that the agent is told again only if what it did then led nowhere: lines 4, 8, 12.
func TestLoopsAreCountedAnew(t *testing.T) {
	agenttest.Run(t, func(t *testing.T) {
		llm := agenttest.NewLLM(t, agenttest.Any().Empty().Always())
		v := agenttest.StartVoice(t, ivrOptions(llm, agenttest.NewTTS(t)), &agents.Agent{}, ivrMenu(13, "Please hold the line."))
		v.Until(sec(28))
		require.Equal(t, []string{"8.2s uninterruptible", "16.2s uninterruptible", "24.2s uninterruptible"}, ivrReplies(v))
	})
}

// Nothing of it happens unless it is asked for.
func TestNoIVRDetectionByDefault(t *testing.T) {
	agenttest.Run(t, func(t *testing.T) {
		llm := agenttest.NewLLM(t, agenttest.Any().Empty().Always())
		v := agenttest.StartVoice(t, voiceOptions(llm, agenttest.NewTTS(t)), &agents.Agent{}, ivrMenu(5, "Please hold the line."))
		v.Until(sec(30))
		require.Empty(t, ivrReplies(v))
		require.NotContains(t, agenttest.ToolNames(llm.Requests()[0]), "send_dtmf_events")
	})
}

// The tool is there once, whoever else brings it; and by text nobody waits for anybody.
func TestTheToolsOfIVRDetection(t *testing.T) {
	own := agents.ToolFunc("send_dtmf_events", "Mine.", func(context.Context, struct{}) (string, error) { return "mine", nil })
	other := agents.ToolFunc("other", "Other.", func(context.Context, struct{}) (string, error) { return "", nil })
	for _, c := range []struct {
		name           string
		session, agent []agents.Tool
		want           string
	}{
		{"alone", nil, nil, "[send_dtmf_events]"},
		{"beside another", []agents.Tool{other}, nil, "[other send_dtmf_events]"},
		{"brought by the agent", nil, []agents.Tool{agents.SendDTMFTool()}, "[send_dtmf_events]"},
		{"the application's own", []agents.Tool{own}, nil, "[send_dtmf_events]"},
		{"the application's own in a toolset", []agents.Tool{&agents.Toolset{Tools: []agents.Tool{own}}}, nil, "[send_dtmf_events]"},
	} {
		t.Run(c.name, func(t *testing.T) {
			agenttest.Run(t, func(t *testing.T) {
				llm := agenttest.NewLLM(t, agenttest.OnUser("Go.").Say("Yes."))
				s := agenttest.Start(t, agents.Options{LLM: llm, IVRDetection: true, Tools: c.session}, &agents.Agent{Tools: c.agent})
				s.User("Go.")
				require.Equal(t, c.want, fmt.Sprint(agenttest.ToolNames(llm.Requests()[0])))
				time.Sleep(time.Minute)
				agenttest.Settle(t)
				require.Len(t, llm.Requests(), 1)
			})
		})
	}
}

// Without a model there is nobody to ask, which is said once for each silence, and not for ever.
func TestIVRDetectionWithoutAModel(t *testing.T) {
	agenttest.Run(t, func(t *testing.T) {
		v := agenttest.StartVoice(t, ivrOptions(nil, agenttest.NewTTS(t)), &agents.Agent{}, agenttest.Voice(speaks(8, 9, "Hello.")))
		v.Until(sec(30))
		require.Equal(t, []string{"IVR detection: agents: no LLM", "IVR detection: agents: no LLM"}, dtmfErrors(v))
	})
}
