package agents_test

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/parley-voice/agents"
	"github.com/parley-voice/agents/agenttest"
)

// The flagship: a conversation of 10 minutes with 60 turns of the user, 12 of them barge-ins, 6 false interruptions, 8
// tool calls beside those that hand over or run a task, 3 handoffs and 2 tasks. It is what the promises about order are
// measured with: the same log in every run, and nothing lost under any order of what happens at once.

const (
	flagshipSlots  = 48
	flagshipSlot   = 12500 * time.Millisecond
	flagshipLength = flagshipSlots * flagshipSlot
)

type flagship struct {
	script agenttest.VoiceScript
	steps  []agenttest.Step
	agents map[string]*agents.Agent
	said   []string // what the user says, in order
	calls  int
}

// newFlagship writes the conversation. Each slot begins with a turn of the user, to which the agent has a few seconds
// to say.
func newFlagship() *flagship {
	f := &flagship{agents: map[string]*agents.Agent{}}
	var parts []agenttest.VoicePart
	for i := range flagshipSlots {
		at := time.Duration(i) * flagshipSlot
		text := fmt.Sprintf("This is request number %d.", i)
		parts = append(parts, agenttest.Speech(at+500*ms, at+2000*ms, text))
		f.said = append(f.said, text)
		reply := fmt.Sprintf("Here is what I have to say about number %d, at some length.", i)
		step := agenttest.OnUser(text).TTFT(100 * ms).For(300 * ms)
		switch {
		case i%6 == 2: // 8 calls of a tool, which take a second
			f.calls++
			f.steps = append(f.steps, step.Say("Let me look. ").Call("look_up", fmt.Sprintf(`{"what":"number %d"}`, i)),
				agenttest.OnOutput("look_up").TTFT(100*ms).For(200*ms).Say(reply))
			continue
		case i == 9 || i == 21 || i == 33: // 3 handoffs
			f.calls++
			f.steps = append(f.steps, step.Call("hand_over", `{}`))
			continue
		case i == 15 || i == 39: // 2 tasks, done with what the user says next
			f.calls++
			f.steps = append(f.steps, step.Call("collect", `{}`))
			continue
		case i == 16 || i == 40:
			f.calls++
			f.steps = append(f.steps, step.Call("collected", fmt.Sprintf(`{"what":"number %d"}`, i)),
				agenttest.OnOutput("collect").TTFT(100*ms).For(200*ms).Say(reply))
			continue
		}
		f.steps = append(f.steps, step.Say(reply))
		switch {
		case i%4 == 3, i == 5, i == 29: // a barge-in, amid the reply
			again := fmt.Sprintf("Stop, I meant %d.", 1000+i)
			parts = append(parts, agenttest.Speech(at+4000*ms, at+5200*ms, again))
			f.said = append(f.said, again)
			f.steps = append(f.steps, agenttest.OnUser(again).TTFT(100*ms).For(300*ms).Say("All right, that one then."))
		case i%8 == 4, i == 10, i == 22: // a cough, amid the reply
			parts = append(parts, agenttest.Speech(at+4000*ms, at+4700*ms, ""))
		}
	}
	f.script = agenttest.Voice(parts...)
	return f
}

type lookUpArgs struct {
	What string `json:"what"`
}

// agent returns the agent of a name, which hands over to the next.
func (f *flagship) agent(name, next string) *agents.Agent {
	a := &agents.Agent{ID: name, Instructions: "You are the " + name + " desk."}
	if next != "" {
		a.OnEnter = func(ctx context.Context, s *agents.AgentSession) error { return nil }
	}
	a.Tools = []agents.Tool{
		agents.ToolFunc("look_up", "Looks something up.", func(ctx context.Context, in lookUpArgs) (string, error) {
			timer := time.NewTimer(time.Second)
			defer timer.Stop()
			select {
			case <-timer.C:
			case <-ctx.Done():
			}
			return "found " + in.What, nil
		}),
		agents.ToolFunc("hand_over", "Hands over.", func(context.Context, struct{}) (agents.Handoff, error) {
			to := f.agents[next]
			return agents.Handoff{To: to, Result: "Handed over to " + next + "."}, nil
		}),
		agents.ToolFunc("collect", "Collects something.", func(ctx context.Context, _ struct{}) (string, error) {
			return collectTask().Run(ctx)
		}),
	}
	f.agents[name] = a
	return a
}

func collectTask() *agents.AgentTask[string] {
	t := agents.NewTask[string]("Collect something.")
	t.ID = "collect"
	t.OnEnter = func(ctx context.Context, s *agents.AgentSession) error {
		return s.Say("What is it about?").Wait(ctx)
	}
	t.Tools = []agents.Tool{agents.ToolFunc("collected", "It is known.", func(_ context.Context, in lookUpArgs) (any, error) {
		return nil, t.Complete(in.What)
	})}
	return t
}

// run holds the conversation and checks that nothing is lost.
func (f *flagship) run(t *testing.T) (log string) {
	llm := agenttest.NewLLM(t, f.steps...)
	tts := agenttest.NewTTS(t, agenttest.SpokenAny(60*ms))
	tts.Words, tts.Frame = true, 100*ms
	opts := voiceOptions(llm, tts)
	first := f.agent("front", "sales")
	f.agent("sales", "support")
	f.agent("support", "front")
	opts.UserAwayTimeout = agents.Never
	setup := agenttest.Setup{IO: agents.IO{AudioInput: agenttest.NewMic(f.script)}} // 20 ms a frame, as from a telephone
	v := agenttest.StartVoice(t, opts, first, f.script, setup)
	v.Until(flagshipLength)
	log = v.Log() + transcript(v.History())
	f.check(t, v)
	return log
}

// check checks what must hold in any order: what the user said is in the history, once and in order; every call has one
// output; what the agent is said to have said was heard; nobody speaks without end.
func (f *flagship) check(t *testing.T, v *agenttest.VoiceSession) {
	t.Helper()
	var said []string
	calls, outputs := map[string]int{}, map[string]int{}
	for _, item := range v.History().Items() {
		switch it := item.(type) {
		case *agents.ChatMessage:
			if it.Role == agents.RoleUser {
				said = append(said, it.Text())
			}
		case *agents.FunctionCall:
			calls[it.CallID]++
		case *agents.FunctionCallOutput:
			outputs[it.CallID]++
		}
	}
	if !slices.Equal(f.said, said) {
		t.Fatalf("the user's turns are not what was said: %s\n%s", firstDifference(f.said, said), v.Log())
	}
	require.Len(t, calls, f.calls)
	require.Equal(t, calls, outputs)
	state, since := agents.AgentInitializing, time.Duration(0)
	for _, e := range v.Recorded() {
		if e, ok := e.(*agents.AgentStateChanged); ok {
			at := v.Since(e.At)
			if (state == agents.AgentSpeaking || state == agents.AgentThinking) && at-since > 12*time.Second {
				t.Fatalf("the agent was %s from %v to %v", state, since, at)
			}
			state, since = e.New, at
		}
	}
	require.Equal(t, agents.AgentListening, state)
}

func firstDifference(want, got []string) string {
	for i := range max(len(want), len(got)) {
		var a, b string
		if i < len(want) {
			a = want[i]
		}
		if i < len(got) {
			b = got[i]
		}
		if a != b {
			return fmt.Sprintf("number %d is %q, not %q", i, b, a)
		}
	}
	return "none"
}

func hashOf(log string) string {
	sum := sha256.Sum256([]byte(log))
	return hex.EncodeToString(sum[:8])
}

func TestFlagship(t *testing.T) {
	f := newFlagship()
	require.Len(t, f.said, 60)
	for range flagshipRuns(t) {
		var log string
		begin := time.Now()
		agenttest.Run(t, func(t *testing.T) { log = f.run(t) })
		if flagshipLog == "" {
			t.Logf("%v, %d lines, %s", time.Since(begin), strings.Count(log, "\n"), hashOf(log))
			flagshipLog = log
			for _, part := range []string{"handoff front to sales", "FalseInterruption Resumed", "(interrupted)"} {
				require.Contains(t, log, part)
			}
		}
		require.Equal(t, hashOf(flagshipLog), hashOf(log))
	}
}

// flagshipLog is that of the first run, also of those with another GOMAXPROCS (-cpu).
var flagshipLog string

// Under any order of what happens at the same instant nothing is lost, everybody is answered and nobody speaks for ever.
func TestExploreFlagship(t *testing.T) {
	f := newFlagship()
	agenttest.Explore(t, flagshipOrderings(t), func(t *testing.T) { f.run(t) })
}

// flagshipRuns is how often the log is compared: PARLEY_FLAGSHIP_RUNS, or a few times.
func flagshipRuns(t *testing.T) int { return numbers(t, "PARLEY_FLAGSHIP_RUNS", "3")[0] }

// flagshipOrderings is how many orderings are tried: PARLEY_FLAGSHIP, or a few.
func flagshipOrderings(t *testing.T) int {
	few := map[bool]string{false: "20", true: "3"}[raceDetector]
	return numbers(t, "PARLEY_FLAGSHIP", few)[0]
}
