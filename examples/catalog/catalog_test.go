package catalog

import (
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/parley-voice/agents"
	"github.com/parley-voice/agents/agenttest"
	"github.com/parley-voice/agents/examples/internal/console"
)

// Whoever says the lines of a script in their order has the conversation that the script has.
func TestImprovisingFollowsTheScript(t *testing.T) {
	programs, err := Programs()
	require.NoError(t, err)
	for _, p := range programs {
		t.Run(p.Name, func(t *testing.T) {
			require.NotEmpty(t, p.About)
			require.NotEmpty(t, p.Demo.Lines())
			want := conversation(t, p, console.Scripted(p.Demo))
			require.Equal(t, want, conversation(t, p, p.Demo.Improvise()))
		})
	}
}

func conversation(t *testing.T, p Program, llm agents.LLM) (transcript string) {
	agenttest.Run(t, func(t *testing.T) {
		c := p.New()
		opts := c.Options
		opts.LLM = llm
		opts.UserAwayTimeout = agents.Delay(agents.Never) // silences are not in the lines
		s := agents.NewSession(opts)
		defer s.Close()
		ctx := agenttest.Context(t)
		_, err := s.StartRun(ctx, c.First, agents.IO{})
		require.NoError(t, err)
		for _, line := range p.Demo.Lines() {
			_, err := s.Run(ctx, line)
			require.NoError(t, err, "%s: %s", line, s.History().Transcript())
		}
		transcript = s.History().Transcript()
	})
	return transcript
}

func TestNamesDiffer(t *testing.T) {
	programs, err := Programs()
	require.NoError(t, err)
	var names []string
	for _, p := range programs {
		require.NotContains(t, names, p.Name)
		names = append(names, p.Name)
	}
	require.True(t, slices.Contains(names, "support"))
}
