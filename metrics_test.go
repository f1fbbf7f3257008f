package agents_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/parley-voice/agents"
	"github.com/parley-voice/agents/agenttest"
)

// T12: how fast a model answers is counted from its first piece of text, and not from the request.
func TestTokensPerSecond(t *testing.T) {
	answer := agenttest.OnUser("Hello").TTFT(200 * ms).Pace(50 * ms)
	tokens := agents.LLMUsage{CompletionTokens: 10, TotalTokens: 30}
	for _, c := range []struct {
		name string
		step agenttest.Step
		want float64
		took time.Duration
	}{
		{"two pieces", answer.Say("Hello yourself.").Usage(tokens), 200, 250 * ms},
		{"no tokens", answer.Say("Hello yourself.").Usage(agents.LLMUsage{}), 0, 250 * ms},
		{"no count of them", answer.Say("Hello yourself."), 0, 250 * ms},
		{"one piece", answer.Say("Hello.").Usage(tokens), 0, 200 * ms},
		{"nothing", answer.Empty().Usage(tokens), 0, 200 * ms},
	} {
		t.Run(c.name, func(t *testing.T) {
			agenttest.Run(t, func(t *testing.T) {
				s := agenttest.Start(t, agents.Options{LLM: agenttest.NewLLM(t, c.step)}, &agents.Agent{})
				s.User("Hello")
				m := eventsOf[*agents.LLMMetrics](s)
				require.Len(t, m, 1)
				require.InDelta(t, c.want, m[0].TokensPerSecond, 1e-9)
				require.Equal(t, c.took, m[0].Duration)
			})
		})
	}
}
