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

// T96, core 76: a filler waits for its delay of silence, which begins anew when the agent or the user speaks, and with each
// update; and says one thing then.
func TestFillerWaitsForSilence(t *testing.T) {
	for _, c := range []struct {
		name  string
		parts []agenttest.VoicePart
		at    func(ctx context.Context, run *agents.RunContext[any]) error // 50 ms after the tool began, at 2.0
		want  []time.Duration
	}{
		{"nothing happens", nil, nil, at(2.1)},
		{"an update", nil, func(ctx context.Context, run *agents.RunContext[any]) error { return run.Update(ctx, "half done") }, at(2.15)},
		// It is heard from 2.25 to 2.35.
		{"the agent speaks", nil, func(_ context.Context, run *agents.RunContext[any]) error {
			run.Session().Say("Hm.")
			return nil
		}, at(2.45)},
		// Voice activity notices it at 2.06, and its end at 2.12.
		{"the user speaks", []agenttest.VoicePart{speaks(2.01, 2.07, "")}, nil, at(2.22)},
	} {
		t.Run(c.name, func(t *testing.T) {
			agenttest.Run(t, func(t *testing.T) {
				begun := time.Now()
				var said []time.Duration
				tool := act("work", func(ctx context.Context, run *agents.RunContext[any]) (any, error) {
					_, err := run.WithFiller(agents.Filler{Delay: 100 * ms, Say: func(int) *agents.SpeechHandle {
						said = append(said, time.Since(begun))
						return run.Session().Say("Still here.")
					}})
					if err != nil {
						return nil, err
					}
					sleep(ctx, 50*ms)
					if c.at != nil {
						if err := c.at(ctx, run); err != nil {
							return nil, err
						}
					}
					sleep(ctx, 950*ms)
					return nil, nil
				})
				script := agenttest.Voice(append([]agenttest.VoicePart{speaks(0.5, 1.5, "Go")}, c.parts...)...)
				opts := voiceOptions(agenttest.NewLLM(t, agenttest.OnUser("Go").Call("work", `{}`), agenttest.Any().Empty().Always()),
					agenttest.NewTTS(t, agenttest.Spoken("Hm.", 100*ms), agenttest.SpokenAny(ms)))
				opts.VAD = quickVAD(script)
				v := agenttest.StartVoice(t, opts, &agents.Agent{Tools: []agents.Tool{tool}}, script)
				v.Until(sec(4))
				require.Equal(t, c.want, said, v.Log())
			})
		})
	}
}

// T97, core 76: when the turn that called the tool is interrupted, its filler says no more.
func TestFillerEndsWithAnInterruption(t *testing.T) {
	agenttest.Run(t, func(t *testing.T) {
		begun := time.Now()
		var said []time.Duration
		tool := act("work", func(ctx context.Context, run *agents.RunContext[any]) (any, error) {
			_, err := run.WithFiller(agents.Filler{Delay: 50 * ms, Interval: 50 * ms, Say: func(step int) *agents.SpeechHandle {
				require.Equal(t, len(said), step)
				said = append(said, time.Since(begun))
				return run.Session().Say("Still here.")
			}})
			sleep(ctx, time.Second)
			return nil, err
		})
		llm := agenttest.NewLLM(t, agenttest.OnUser("Go").Call("work", `{}`))
		s := agenttest.Start(t, agents.Options{LLM: llm}, &agents.Agent{Tools: []agents.Tool{tool}})
		h := s.GenerateReply(agents.Reply{UserInput: "Go"})
		time.Sleep(170 * ms)
		require.NoError(t, h.Interrupt())
		time.Sleep(5 * time.Second)
		require.Equal(t, []time.Duration{50 * ms, 150 * ms}, said, s.Log())
	})
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
