package otel_test

import (
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/parley-voice/agents"
	"github.com/parley-voice/agents/agenttest"
	"github.com/parley-voice/agents/plugins/otel"
)

// What never ends does not pile up: of more than an Observer keeps open the oldest is told as it is, and nothing is lost.
func TestWhatNeverEndsIsBounded(t *testing.T) {
	agenttest.Run(t, func(t *testing.T) {
		const n = 3000
		tel := newTelemetry(t, otel.Options{})
		watch := tel.Observe(t.Context())
		seq := uint64(0)
		meta := func() agents.EventMeta {
			seq++
			time.Sleep(time.Millisecond)
			return agents.EventMeta{Seq: seq, At: time.Now()}
		}
		for i := range n {
			id := fmt.Sprint("call", i)
			watch.OnEvent(&agents.ToolStarted{EventMeta: meta(), Call: &agents.FunctionCall{CallID: id, Name: "f"}})
			watch.OnEvent(&agents.ToolEnded{EventMeta: meta(), CallID: id, Status: agents.ToolDone}) // and no round
			watch.OnEvent(&agents.LLMMetrics{EventMeta: meta(), SpeechID: id, TTFT: -1})             // and no speech
			watch.OnEvent(&agents.TurnPredicted{EventMeta: meta()})                                  // and no turn
			watch.OnEvent(&agents.ToolsExecuted{EventMeta: meta(), Calls: []*agents.FunctionCall{nil}})
		}
		require.Len(t, tel.named("function_tool"), n-1024)
		require.Equal(t, "1ms to 2ms", tel.at(tel.named("function_tool")[0]), "it ends when it ended, not when it was given up")
		require.Len(t, tel.named("llm_node"), n-64)
		require.Len(t, tel.named("eou_detection"), n-32)
		watch.OnEvent(&agents.Closed{EventMeta: meta(), Reason: agents.CloseUserInitiated})
		for _, name := range []string{"function_tool", "llm_node", "llm_request", "eou_detection"} {
			require.Len(t, tel.named(name), n, name)
		}
		require.Len(t, tel.spans.Started(), len(tel.spans.Ended()))
	})
}

// Whatever comes after Closed is not told, and End has nothing left to do.
func TestNothingAfterClosed(t *testing.T) {
	agenttest.Run(t, func(t *testing.T) {
		tel := newTelemetry(t, otel.Options{})
		watch := tel.Observe(t.Context())
		at := agents.EventMeta{Seq: 1, At: time.Now()}
		watch.OnEvent(&agents.Closed{EventMeta: at, Reason: agents.CloseUserInitiated})
		before, metrics := tel.tree(), tel.metrics()
		for _, e := range []agents.Event{
			&agents.ToolStarted{EventMeta: at, Call: &agents.FunctionCall{CallID: "late"}},
			&agents.UserStateChanged{EventMeta: at, New: agents.UserSpeaking},
			&agents.LLMMetrics{EventMeta: at},
			&agents.UsageUpdated{EventMeta: at, Usage: []agents.ModelUsage{{Kind: "llm", LLM: agents.LLMUsage{PromptTokens: 1}}}},
			&agents.ErrorOccurred{EventMeta: at, Err: agents.Errorf("late")},
			&agents.Closed{EventMeta: at, Reason: agents.CloseError},
		} {
			watch.OnEvent(e)
		}
		watch.End()
		require.Equal(t, before, tel.tree())
		require.Equal(t, metrics, tel.metrics())
		require.Len(t, tel.spans.Started(), 1)
	})
}

// A receiver that is too slow is told how much it missed; what it is told last, if it is cut off, ends with End. What was
// used is counted by the totals, so that reports of single requests may be missing.
func TestDroppedEvents(t *testing.T) {
	agenttest.Run(t, func(t *testing.T) {
		tel := newTelemetry(t, otel.Options{})
		watch := tel.Observe(t.Context())
		at := agents.EventMeta{Seq: 1, At: time.Now()}
		used := func(n int) *agents.UsageUpdated {
			return &agents.UsageUpdated{EventMeta: at, Usage: []agents.ModelUsage{{Kind: "llm", Model: "m", LLM: agents.LLMUsage{PromptTokens: n}}}}
		}
		watch.OnEvent(used(10))
		watch.OnEvent(&agents.Gap{EventMeta: at, Dropped: 7})
		watch.OnEvent(used(50))
		watch.OnEvent(used(50))
		watch.End()
		session := tel.named("agent_session")[0]
		require.Equal(t, true, attr(session, "parley.incomplete"))
		require.Equal(t, "events_dropped", session.Events()[0].Name)
		require.Equal(t, int64(7), session.Events()[0].Attributes[0].Value.AsInt64())
		require.Equal(t, "lk.agents.usage.llm_input_tokens model_name=\"m\": 50 {token}\n", tel.metrics())
	})
}

// End may come from anywhere, also while events come.
func TestEndWhileEventsCome(t *testing.T) {
	tel := newTelemetry(t, otel.Options{})
	var all sync.WaitGroup
	for range 50 {
		watch := tel.Observe(t.Context())
		all.Go(func() {
			for i := range 200 {
				at := agents.EventMeta{Seq: uint64(i + 1), At: time.Now()}
				watch.OnEvent(&agents.ToolStarted{EventMeta: at, Call: &agents.FunctionCall{CallID: fmt.Sprint(i)}})
			}
		})
		all.Go(watch.End)
	}
	all.Wait()
	require.Len(t, tel.spans.Started(), len(tel.spans.Ended()), "nothing begins after End")
}
