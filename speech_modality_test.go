package agents_test

import (
	"context"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/parley-voice/agents"
	"github.com/parley-voice/agents/agenttest"
)

func TestToolKnowsTheModalityOfItsTurn(t *testing.T) {
	agenttest.Run(t, func(t *testing.T) {
		var got []agents.Modality
		root := &agents.Agent{
			Tools: []agents.Tool{agents.NewTool("look", "Look.", func(_ context.Context, run *agents.RunContext[any], _ struct{}) (any, error) {
				got = append(got, run.Speech().Modality())
				return nil, nil
			})},
			OnEnter: func(ctx context.Context, s *agents.AgentSession) error {
				return s.GenerateReply(agents.Reply{Instructions: "Greet."}).Wait(ctx)
			},
		}
		s := agenttest.Start(t, agents.Options{LLM: agenttest.NewLLM(t, agenttest.Any().Call("look", `{}`).Times(4))}, root)
		agenttest.Settle(t)
		for _, m := range []agents.Modality{"", agents.ModalityText, agents.ModalityAudio} {
			_, err := s.RunWith(t.Context(), agents.RunOptions{Text: "Hi.", Modality: m})
			require.NoError(t, err)
		}
		require.Equal(t, []agents.Modality{agents.ModalityText, agents.ModalityText, agents.ModalityText, agents.ModalityAudio}, got)
		require.Empty(t, s.Say("Bye.").Modality())
		require.NoError(t, s.Close())
		require.Empty(t, s.Say("Too late.").Modality())
	})
}
