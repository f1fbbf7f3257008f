package agents_test

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/parley-voice/agents"
	"github.com/parley-voice/agents/agenttest"
)

// A warmLLM and a warmTTS note when they are to prepare their connections.
type warmLLM struct {
	*agenttest.LLM
	name string
	note func(string)
}

func (m *warmLLM) Prewarm(context.Context) { m.note(m.name) }

type warmTTS struct {
	*agenttest.TTS
	name string
	note func(string)
}

func (m *warmTTS) Prewarm(ctx context.Context) {
	m.note(m.name)
	<-ctx.Done() // whatever it waits for holds nobody up, and is given up
	m.note(m.name + " gives up")
}

// Models prepare their connections before they are needed: when the session starts, when an agent with models of its own
// is about to get the floor, and when one is exchanged. Each does so once.
func TestModelsArePrewarmed(t *testing.T) {
	agenttest.Run(t, func(t *testing.T) {
		var mu sync.Mutex
		var notes []string
		begin := time.Now()
		note := func(s string) {
			mu.Lock()
			defer mu.Unlock()
			notes = append(notes, fmt.Sprint(time.Since(begin), " ", s))
		}
		noted := func() []string {
			mu.Lock()
			defer mu.Unlock()
			return slices.Sorted(slices.Values(notes))
		}
		llm := agenttest.NewLLM(t, agenttest.Any().Say("Hello.").Always())
		voice := func(name string) *warmTTS { return &warmTTS{agenttest.NewTTS(t), name, note} }
		first, second, third := voice("voice 1"), voice("voice 2"), voice("voice 3")
		opts := voiceOptions(&warmLLM{llm, "model", note}, first)
		v := agenttest.StartVoice(t, opts, &agents.Agent{ID: "a"}, agenttest.Voice())
		v.Until(time.Second)
		require.Equal(t, []string{"0s model", "0s voice 1"}, noted())

		b := &agents.Agent{ID: "b", TTS: second}
		require.NoError(t, v.UpdateAgent(b))
		v.Until(2 * time.Second)
		require.NoError(t, v.UpdateAgent(&agents.Agent{ID: "c"}))
		v.Until(3 * time.Second)
		require.NoError(t, v.UpdateAgent(b))
		v.Until(4 * time.Second)
		require.NoError(t, b.UpdateOptions(t.Context(), agents.AgentOptions{TTS: third}))
		v.Until(30 * time.Second)
		require.Equal(t, []string{"0s model", "0s voice 1", "10s voice 1 gives up", "11s voice 2 gives up", "14s voice 3 gives up", "1s voice 2", "4s voice 3"}, noted())
	})
}
