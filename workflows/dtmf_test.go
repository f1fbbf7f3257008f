package workflows_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/parley-voice/agents"
	"github.com/parley-voice/agents/agenttest"
	"github.com/parley-voice/agents/workflows"
)

const ms = time.Millisecond

// dtmfAsks is the step in which the model asks for the digits. It is heard from 0.5 s to 1.5 s.
func dtmfAsks() agenttest.Step {
	return agenttest.OnInstructions("Ask the user to enter").TTFT(100 * ms).For(300 * ms).Say("Your number?")
}

// A dtmfCall is a call by voice in which an agent wants digits as soon as it has the floor.
type dtmfCall struct {
	*agenttest.VoiceSession
	llm    *agenttest.LLM
	result string // and when it was there
}

func startDTMF(t *testing.T, o workflows.DTMFOptions, script agenttest.VoiceScript, steps ...agenttest.Step) *dtmfCall {
	c := &dtmfCall{llm: agenttest.NewLLM(t, append([]agenttest.Step{dtmfAsks()}, steps...)...)}
	begin := time.Now()
	a := &agents.Agent{ID: "desk", OnEnter: func(ctx context.Context, _ *agents.AgentSession) error {
		digits, err := workflows.NewDTMF(o).Run(ctx)
		c.result = fmt.Sprint(digits, " ", time.Since(begin))
		var told *agents.ToolError
		if errors.As(err, &told) {
			c.result = told.Message + " " + time.Since(begin).String()
			err = nil
		}
		return err
	}}
	c.VoiceSession = agenttest.StartVoice(t, agents.Options{
		LLM:          c.llm,
		TTS:          agenttest.NewTTS(t, agenttest.Spoken("Your number?", time.Second), agenttest.Spoken("Hm?", time.Second), agenttest.Spoken("A long answer.", 6*time.Second), agenttest.Spoken("1 2 3, right?", 2*time.Second)),
		TurnDetector: agents.NoTurnDetector, AECWarmup: agents.Never,
		UserAwayTimeout: agents.Delay(2 * time.Second), // a user who is away by then is as silent as before
	}, a, script)
	return c
}

// requireDTMF checks when the digits were there.
func (c *dtmfCall) requireDTMF(t *testing.T, want string) {
	t.Helper()
	require.Equal(t, want, c.result, c.Log())
	for _, e := range c.Recorded() {
		if e, ok := e.(*agents.ErrorOccurred); ok {
			t.Errorf("%v", e)
		}
	}
}

// says returns a part in which the caller speaks.
func says(from, to time.Duration, text string) agenttest.VoicePart {
	return agenttest.Speech(from, to, text)
}

// Core 85, without confirmation, by text and by voice: what is said goes through the tool, however many digits it is.
func TestSaidDigitsAreRecorded(t *testing.T) {
	for _, m := range []agents.Modality{agents.ModalityText, agents.ModalityAudio} {
		t.Run(string(m), func(t *testing.T) {
			agenttest.Run(t, func(t *testing.T) {
				llm := agenttest.NewLLM(t, asks(), agenttest.OnUser("one two star").Call("record_inputs", `{"inputs":["1","2","*"]}`))
				s := agenttest.Start(t, agents.Options{LLM: llm}, workflows.NewDTMF(workflows.DTMFOptions{NumDigits: 4}))
				agenttest.Settle(t)
				r, err := say(t, s, m, "one two star")
				require.NoError(t, err)
				out, _ := r.Output()
				require.Equal(t, workflows.DTMF{UserInput: "1 2 *"}, out)
				require.Equal(t, "1 2 *", fmt.Sprint(out))
				e := agenttest.Expect(t, r)
				e.Next().IsCall("record_inputs")
				e.Next().IsOutput("")
				e.None()
				require.Equal(t, agents.NoTools, llm.Requests()[0].ToolChoice, "asking uses no tools")
				require.Equal(t, []string{"record_inputs"}, agenttest.ToolNames(llm.Requests()[1]))
				require.NotContains(t, instructions(llm.Requests()[1]), "confirm_inputs")
			})
		})
	}
	agenttest.Run(t, func(t *testing.T) {
		c := startDTMF(t, workflows.DTMFOptions{NumDigits: 3}, agenttest.Voice(says(3*time.Second, 4*time.Second, "One two three.")),
			agenttest.OnUser("One two three.").Call("record_inputs", `{"inputs":["1","2","3"]}`))
		c.Until(10 * time.Second)
		c.requireDTMF(t, "1 2 3 4.5s")
	})
}

// Core 85, with confirmation, by text and by voice.
func TestSaidDigitsAreConfirmed(t *testing.T) {
	o := workflows.DTMFOptions{NumDigits: 3, Options: workflows.Options{RequireConfirmation: agents.On, ExtraInstructions: "Be brief."}}
	for _, m := range []agents.Modality{agents.ModalityText, agents.ModalityAudio} {
		t.Run(string(m), func(t *testing.T) {
			agenttest.Run(t, func(t *testing.T) {
				llm := agenttest.NewLLM(t, asks(), agenttest.OnUser("1 2 3").Say("1 2 3, right?"),
					agenttest.OnUser("Yes").Call("confirm_inputs", `{"inputs":["1","2","3"]}`))
				s := agenttest.Start(t, agents.Options{LLM: llm}, workflows.NewDTMF(o))
				agenttest.Settle(t)
				r, err := say(t, s, m, "1 2 3")
				require.NoError(t, err)
				_, done := r.Output()
				require.False(t, done)
				agenttest.Expect(t, r).Next().IsMessage(agents.RoleAssistant).Contains("right?")
				r, err = say(t, s, m, "Yes")
				require.NoError(t, err)
				out, _ := r.Output()
				require.Equal(t, workflows.DTMF{UserInput: "1 2 3"}, out)
				require.Equal(t, []string{"confirm_inputs"}, agenttest.ToolNames(llm.Requests()[1]))
				prompt := instructions(llm.Requests()[1])
				require.Contains(t, prompt, "Call confirm_inputs")
				require.NotContains(t, prompt, "record_inputs")
				require.Contains(t, prompt, "Be brief.")
			})
		})
	}
	agenttest.Run(t, func(t *testing.T) {
		c := startDTMF(t, o, agenttest.Voice(says(3*time.Second, 4*time.Second, "One two three."), says(8*time.Second, 8500*ms, "Yes.")),
			agenttest.OnUser("One two three.").Say("1 2 3, right?"),
			agenttest.OnUser("Yes.").Call("confirm_inputs", `{"inputs":["1","2","3"]}`))
		c.Until(12 * time.Second)
		c.requireDTMF(t, "1 2 3 9s")
	})
}

// §8.3: what ends the entry of pressed keys, and when. The agent asks from 0.5 s to 1.5 s.
func TestPressedDigits(t *testing.T) {
	four := workflows.DTMFOptions{NumDigits: 4}
	with := func(change func(*workflows.DTMFOptions)) workflows.DTMFOptions {
		o := four
		change(&o)
		return o
	}
	for _, c := range []struct {
		name    string
		options workflows.DTMFOptions
		script  string
		steps   []agenttest.Step
		want    string
	}{
		{"4 s after the last key", four, "s3000 d1234", nil, "1 2 3 4 7.6s"},
		{"each key waits anew", four, "s3000 d12 s3600 d3 s3600 d4", nil, "1 2 3 4 14.8s"},
		{"the stop digit", four, "s3000 d1234#", nil, "1 2 3 4 3.8s"},
		{"letters and stars", four, "s3000 dA*0D#", nil, "A * 0 D 3.8s"},
		{"too few", four, "s3000 d123", nil, "The user was to enter 4 digits on the keypad, and entered 3. 7.4s"},
		{"too many", four, "s3000 d12345#", nil, "The user was to enter 4 digits on the keypad, and entered 5. 4s"},
		{"none", four, "s3000 d#", nil, "The user was to enter 4 digits on the keypad, and entered 0. 3s"},
		{"another timeout", with(func(o *workflows.DTMFOptions) { o.InputTimeout = agents.Delay(time.Second) }), "s3000 d1234", nil, "1 2 3 4 4.6s"},
		{"no timeout", with(func(o *workflows.DTMFOptions) { o.InputTimeout = agents.Never }), "s3000 d1234 s8000 d#", nil, "1 2 3 4 11.8s"},
		{"another stop digit", with(func(o *workflows.DTMFOptions) { o.StopDigit = '*' }), "s3000 d12#3*", nil, "1 2 # 3 3.8s"},
		{"no stop digit", with(func(o *workflows.DTMFOptions) { o.StopDigit = workflows.NoStopDigit }), "s3000 d123#", nil, "1 2 3 # 7.6s"},
		// The user's turn ends 0.5 s after the sound, at which they are silent again.
		{"the user speaks meanwhile", four, `s3000 d1234 s1000 v1000 s100`, nil, "1 2 3 4 10.3s"},
		{"the user speaks for longer than that", four, `s3000 d1234 s1000 v5000 s100`, nil, "1 2 3 4 14.3s"},
		// And the answer to it is heard from 6.5 to 7.5.
		{"and is answered", four, `s3000 d1234 s1000 v1000"Wait." s100`,
			[]agenttest.Step{agenttest.OnUser("Wait.").Say("Hm?")}, "1 2 3 4 11.5s"},
		{"keys after the user has spoken", four, `s3000 d12 s1000 v1000 s2000 d34`, nil, "1 2 3 4 11.6s"},
		{"the stop digit while the user speaks", four, `s3000 d1234 s1000 v1000 d#`, nil, "1 2 3 4 5.8s"},
		// The answer is heard from 6.5 to 12.5, and then the user goes on.
		{"the answer takes longer than that", four, `s3000 d1234 s1000 v1000"Please wait." s6600 d#`,
			[]agenttest.Step{agenttest.OnUser("Please wait.").Say("A long answer.")}, "1 2 3 4 12.4s"},
		{"the stop digit interrupts the asking", four, "s900 d#", nil, "The user was to enter 4 digits on the keypad, and entered 0. 900ms"},
		{"the first key interrupts the asking", four, "s1000 d1234", nil, "1 2 3 4 5.6s"},
		{"dialled before the asking", four, "d1234", nil, "1 2 3 4 4.6s"},
		// It ends at 1.5: only then the 4 s begin.
		{"what must not be interrupted", with(func(o *workflows.DTMFOptions) { o.AllowInterruptions = agents.Off }), "s500 d1234", nil, "1 2 3 4 5.5s"},
		{"and the stop digit within", with(func(o *workflows.DTMFOptions) { o.AllowInterruptions = agents.Off }), "s500 d123#", nil,
			"The user was to enter 4 digits on the keypad, and entered 3. 1.5s"},
	} {
		t.Run(c.name, func(t *testing.T) {
			agenttest.Run(t, func(t *testing.T) {
				v := startDTMF(t, c.options, agenttest.ParseVoice(t, c.script), c.steps...)
				v.Until(15 * time.Second)
				v.requireDTMF(t, c.want)
				require.Equal(t, "desk", v.Agent(), "the floor is back")
			})
		})
	}
}

// The first key cuts off what the agent says, at once.
func TestAKeyInterruptsTheAsking(t *testing.T) {
	agenttest.Run(t, func(t *testing.T) {
		v := startDTMF(t, workflows.DTMFOptions{NumDigits: 2}, agenttest.ParseVoice(t, "s900 d12#"))
		v.Until(5 * time.Second)
		require.Equal(t, []string{"400ms interrupted"}, v.Playouts())
		v.requireDTMF(t, "1 2 1.3s")
	})
}

// §8.3, with confirmation: the digits become a message of the user, and the agent asks whether they are right. Keys that
// are pressed while it does are ignored, and what was entered is forgotten, so that the user can enter them again; then
// they confirm by word.
func TestPressedDigitsAreConfirmed(t *testing.T) {
	agenttest.Run(t, func(t *testing.T) {
		o := workflows.DTMFOptions{NumDigits: 3, Options: workflows.Options{RequireConfirmation: agents.On}}
		pressed := func(digits string) agenttest.Step {
			return agenttest.When(func(r agents.ChatRequest) bool {
				items := r.Context.Items()
				m, ok := items[len(items)-1].(*agents.ChatMessage)
				return ok && m.Role == agents.RoleUser && m.Text() == "These are the digits that I entered on the keypad: "+digits+
					"\nRead them back to me and ask me whether they are right."
			}).TTFT(100 * ms).For(300 * ms).Say("1 2 3, right?")
		}
		// The first question is heard from 4.1 to 6.1, the second from 8.9 to 10.9.
		v := startDTMF(t, o, agenttest.ParseVoice(t, `s3000 d113# s400 d99# s3000 d123# s3000 v500"Yes." s100`),
			pressed("1 1 3"), pressed("1 2 3"), agenttest.OnUser("Yes.").Call("confirm_inputs", `{"inputs":["1","2","3"]}`))
		v.Until(14 * time.Second)
		require.Equal(t, []string{"1s", "2s", "2s"}, v.Playouts(), v.Log())
		require.Contains(t, instructions(v.llm.Requests()[1]), "The digits are spoken", "it is a conversation by voice")
		v.requireDTMF(t, "1 2 3 12.6s")
	})
}

// The user answers the question while it is being asked: keys count again from then on.
func TestKeysAfterTheQuestionWasInterrupted(t *testing.T) {
	agenttest.Run(t, func(t *testing.T) {
		o := workflows.DTMFOptions{NumDigits: 1, Options: workflows.Options{RequireConfirmation: agents.On}}
		v := startDTMF(t, o, agenttest.ParseVoice(t, `s3000 d7# v1000"No, no." s2000 d9#`),
			agenttest.Any().Say("1 2 3, right?"), agenttest.OnUser("No, no.").Say("Hm?"), agenttest.Any().Say("1 2 3, right?"))
		v.Until(14 * time.Second)
		reqs := v.llm.Requests()
		items := reqs[len(reqs)-1].Context.Items()
		require.Contains(t, items[len(items)-1].(*agents.ChatMessage).Text(), "keypad: 9\n", v.Log())
		require.Empty(t, v.result)
	})
}

// Once the digits were said, those that were pressed do not matter, nor does their timer touch what comes after.
func TestSaidAndPressedDigits(t *testing.T) {
	agenttest.Run(t, func(t *testing.T) {
		v := startDTMF(t, workflows.DTMFOptions{NumDigits: 2}, agenttest.ParseVoice(t, `s3000 d1 s800 v500"One two." s5000 d2`),
			agenttest.OnUser("One two.").Call("record_inputs", `{"inputs":["1","2"]}`))
		v.Until(5100 * ms)
		v.requireDTMF(t, "1 2 5s")
		h := v.Say("Hm?")
		require.NoError(t, h.Wait(t.Context()))
		v.Until(15 * time.Second)
		require.False(t, h.Interrupted())
		v.requireDTMF(t, "1 2 5s")
	})
}

// In whatever order things happen that happen at the same moment, the digits are those that were pressed, and the floor
// is back.
func TestExplorePressedDigits(t *testing.T) {
	agenttest.Explore(t, 30, func(t *testing.T) {
		// The first key comes as the asking begins to be heard, the last as the user falls silent, and the stop digit as
		// the answer to them would begin.
		v := startDTMF(t, workflows.DTMFOptions{NumDigits: 4}, agenttest.Voice(
			agenttest.DTMF(500*ms, "12"), says(1500*ms, 2500*ms, "Wait."), agenttest.DTMF(3*time.Second, "34"), agenttest.DTMF(3400*ms, "#")),
			agenttest.OnUser("Wait.").Say("Hm?").Always())
		v.Until(10 * time.Second)
		require.Contains(t, v.result, "1 2 3 4 ", v.Log())
		require.Equal(t, "desk", v.Agent())
	})
}

// A call without digits, or with something that is no key, is for the model to mend.
func TestSaidDigitsThatAreNone(t *testing.T) {
	agenttest.Run(t, func(t *testing.T) {
		refused(t, workflows.NewDTMF(workflows.DTMFOptions{NumDigits: 2}), "record_inputs", `{"inputs":[]}`).Contains("There are no digits")
		refused(t, workflows.NewDTMF(workflows.DTMFOptions{NumDigits: 2}), "record_inputs", `{"inputs":["12"]}`).Contains("inputs")
	})
}

// Bad options are found when the task is made.
func TestBadDTMFOptions(t *testing.T) {
	require.PanicsWithValue(t, "workflows: DTMFOptions.NumDigits is 0", func() { workflows.NewDTMF(workflows.DTMFOptions{}) })
	require.PanicsWithValue(t, "workflows: DTMFOptions.NumDigits is -1", func() { workflows.NewDTMF(workflows.DTMFOptions{NumDigits: -1}) })
	require.PanicsWithValue(t, "workflows: DTMFOptions.StopDigit is DTMF(120)", func() {
		workflows.NewDTMF(workflows.DTMFOptions{NumDigits: 1, StopDigit: 'x'})
	})
}
