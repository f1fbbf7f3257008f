package agents_test

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/parley-voice/agents"
	"github.com/parley-voice/agents/agenttest"
)

// work is a tool that takes a while and has a filler.
func work(takes time.Duration, f agents.Filler) agents.Tool {
	return agents.NewTool("work", "Works.", func(ctx context.Context, run *agents.RunContext[any], _ struct{}) (string, error) {
		stop, err := run.WithFiller(f)
		if err != nil {
			return "", err
		}
		defer stop()
		timer := time.NewTimer(takes)
		defer timer.Stop()
		select {
		case <-timer.C:
			return "done", nil
		case <-ctx.Done():
			return "", ctx.Err()
		}
	})
}

// Core 4, T5: a slow tool with a filler. The reference has the preamble end and "thinking" go on; the filler ends and the
// agent thinks again, because the tool runs; and the user never counts as away.
func TestFillerWhileAToolWorks(t *testing.T) {
	agenttest.Run(t, func(t *testing.T) {
		script := agenttest.Voice(speaks(0.5, 2, "Look it up."))
		llm := agenttest.NewLLM(t,
			answers("Look it up.", "One second.").Call("work", `{}`),
			agenttest.OnOutput("work").TTFT(100*ms).For(300*ms).Say("Here it is."))
		tts := agenttest.NewTTS(t, agenttest.Spoken("One second.", 2*time.Second), agenttest.Spoken("Just a moment.", time.Second), agenttest.Spoken("Here it is.", time.Second))
		opts := voiceOptions(llm, tts)
		opts.UserAwayTimeout = agents.Delay(3 * time.Second)
		a := &agents.Agent{Tools: []agents.Tool{work(8*time.Second, agents.Filler{Text: "Just a moment.", Delay: 500 * ms})}}
		v := agenttest.StartVoice(t, opts, a, script)
		v.Until(sec(14.5))
		require.Equal(t, []string{"listening 0s", "thinking 2.5s", "speaking 2.7s", "thinking 4.7s", "speaking 5.4s", "thinking 6.4s",
			"speaking 11s", "listening 12s"}, v.AgentStates(), v.Log())
		require.Equal(t, []string{"2s", "1s", "1s"}, v.Playouts())
		require.NotContains(t, v.UserStates(), "away 9.4s")
		require.Equal(t, agents.UserListening, v.UserState())
	})
}

// Core 76, T95–T97.
func TestFillerSteps(t *testing.T) {
	for _, c := range []struct {
		name string
		f    func(*[]int) agents.Filler
		want int
	}{
		{"once", func(*[]int) agents.Filler { return agents.Filler{Text: "Still here.", Delay: 50 * ms} }, 1},
		{"not before the tool has ended", func(*[]int) agents.Filler { return agents.Filler{Text: "Still here.", Delay: 5 * time.Second} }, 0},
		{"again and again", func(*[]int) agents.Filler {
			return agents.Filler{Text: "Still here.", Delay: 50 * ms, Interval: 600 * ms}
		}, 4},
		{"not more often than asked", func(*[]int) agents.Filler {
			return agents.Filler{Text: "Still here.", Delay: 50 * ms, Interval: 100 * ms, MaxSteps: 2}
		}, 2},
		{"a function that has nothing to say", func(steps *[]int) agents.Filler {
			return agents.Filler{Say: func(step int) *agents.SpeechHandle { *steps = append(*steps, step); return nil }, Delay: 50 * ms}
		}, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			agenttest.Run(t, func(t *testing.T) {
				var steps []int
				llm := agenttest.NewLLM(t, agenttest.OnUser("Go").Call("work", `{}`), agenttest.OnOutput("work").Say("Done."))
				s := agenttest.Start(t, agents.Options{LLM: llm}, &agents.Agent{Tools: []agents.Tool{work(2*time.Second+500*ms, c.f(&steps))}})
				s.User("Go")
				said := 0
				for m := range s.History().Messages() {
					if m.Text() == "Still here." {
						said++
					}
				}
				require.Equal(t, c.want, said, s.Log())
				if steps != nil {
					require.Equal(t, []int{0}, steps, "the function is asked when it is time, with the first step")
				}
			})
		})
	}
}

func TestFillerOptions(t *testing.T) {
	for _, f := range []agents.Filler{{}, {Text: "x", Delay: -1}, {Text: "x", Interval: -1}, {Text: "x", MaxSteps: -1}} {
		agenttest.Run(t, func(t *testing.T) {
			llm := agenttest.NewLLM(t, agenttest.OnUser("Go").Call("work", `{}`), agenttest.OnOutput("work").Say("Done."))
			s := agenttest.Start(t, agents.Options{LLM: llm}, &agents.Agent{Tools: []agents.Tool{work(time.Second, f)}})
			r := s.User("Go")
			r.NextOutput().IsErrorOutput()
		})
	}
}
