package otel_test

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/parley-voice/agents"
	"github.com/parley-voice/agents/agenttest"
	"github.com/parley-voice/agents/plugins/otel"
)

// A call by voice: an answer that is interrupted, a tool that hands over, and the agent that leaves says so.
func TestVoice(t *testing.T) {
	agenttest.Run(t, func(t *testing.T) {
		tel := newTelemetry(t, otel.Options{Content: true})
		script := agenttest.Voice(
			agenttest.Speech(500*ms, 2500*ms, "Tell me a story."),
			agenttest.Speech(5000*ms, 6000*ms, "Stop, please."))
		llm := agenttest.NewLLM(t,
			agenttest.OnUser("Tell me a story.").TTFT(100*ms).For(300*ms).Say("Once upon a time there was a king who had three daughters.").
				Usage(agents.LLMUsage{PromptTokens: 40, CompletionTokens: 12, CachedTokens: 30, TotalTokens: 52}),
			agenttest.OnUser("Stop, please.").TTFT(150*ms).Call("transfer", `{}`),
			agenttest.OnOutput("transfer").TTFT(200*ms).Say("All right."))
		transfer := agents.ToolFunc("transfer", "Hands over.", func(ctx context.Context, _ struct{}) (agents.Handoff, error) {
			time.Sleep(300 * ms)
			return agents.Handoff{To: &agents.Agent{ID: "desk"}, Result: "Connecting.", Reply: true}, nil
		})
		opts := tel.observed(agents.Options{LLM: llm, TTS: agenttest.NewTTS(t), AECWarmup: agents.Never})
		v := agenttest.StartVoice(t, opts, &agents.Agent{ID: "teller", Tools: []agents.Tool{transfer}}, script)
		v.Until(12 * time.Second)
		v.Close()

		turns := tel.named("agent_turn")
		require.Len(t, turns, 2, v.Log())
		require.Equal(t, "3s to 6.2s", tel.at(turns[0]), "it was cut off when it was known that the user meant it")
		require.Equal(t, true, attr(turns[0], "lk.interrupted"))
		require.Equal(t, 0.7, attr(turns[0], "lk.e2e_latency"))
		require.Equal(t, "Once upon a time there was a king", attr(turns[0], "lk.pii.response.text"))
		require.Equal(t, false, attr(turns[1], "lk.interrupted"))

		requests := tel.named("llm_node")
		require.Len(t, requests, 3)
		require.Equal(t, "2.7s to 3s", tel.at(requests[0]), "it was made when the transcript was final")
		require.Equal(t, 0.1, attr(requests[0], "lk.response.ttft"))
		require.Equal(t, attr(requests[1], "lk.generation_id"), attr(requests[2], "lk.parent_generation_id"))

		users := tel.named("user_turn")
		require.Len(t, users, 2)
		require.Equal(t, "500ms to 3s", tel.at(users[0]))
		require.Equal(t, "5s to 6.5s", tel.at(users[1]))
		require.Equal(t, attr(turns[1], "lk.speech_id"), attr(users[1], "lk.speech_id"))

		tools := tel.named("function_tool")
		require.Len(t, tools, 1)
		require.Equal(t, "6.5s to 6.8s", tel.at(tools[0]))
		require.Equal(t, turns[1].SpanContext().SpanID(), tools[0].Parent().SpanID())
		tel.golden("testdata/voice.txt")
	})
}

type noArgs struct{}

// A conversation by text: a task inside a tool, a call that is refused, a call that goes on in the background, and a
// model that fails.
func TestText(t *testing.T) {
	agenttest.Run(t, func(t *testing.T) {
		tel := newTelemetry(t, otel.Options{Content: true})
		consent := func() *agents.AgentTask[bool] {
			task := agents.NewTask[bool]("Ask for consent.")
			task.ID = "consent"
			task.OnEnter = func(ctx context.Context, s *agents.AgentSession) error {
				return s.GenerateReply(agents.Reply{Instructions: "Ask now."}).Wait(ctx)
			}
			task.Tools = []agents.Tool{agents.ToolFunc("agree", "They agree.", func(context.Context, noArgs) (any, error) {
				return nil, task.Complete(true)
			})}
			return task
		}
		agent := &agents.Agent{ID: "clerk", Tools: []agents.Tool{
			agents.ToolFunc("sign", "Signs.", func(ctx context.Context, _ noArgs) (string, error) {
				if ok, err := consent().Run(ctx); err != nil || !ok {
					return "", agents.Errorf("no consent")
				}
				return "signed", nil
			}),
			agents.NewTool("search", "Searches.", func(ctx context.Context, run *agents.RunContext[any], _ noArgs) (string, error) {
				time.Sleep(time.Second)
				if err := run.Update(ctx, "half way"); err != nil {
					return "", err
				}
				time.Sleep(3 * time.Second)
				return "", agents.Errorf("nothing found")
			}),
		}}
		llm := agenttest.NewLLM(t,
			agenttest.OnUser("I want to sign.").TTFT(200*ms).Say("A moment. ").Call("sign", `{}`).Call("no_such_tool", `{"secret":1}`),
			agenttest.OnInstructions("Ask now.").Say("Do you agree?"),
			agenttest.OnUser("Yes.").Call("agree", `{}`),
			agenttest.OnOutput("sign").Say("Signed."),
			agenttest.OnUser("Find it.").Call("search", `{}`),
			agenttest.OnOutput("search").Say("It takes a while.").Times(2),
			agenttest.OnUser("Hello?").Fail(agenttest.StatusError(400)))
		s := agenttest.Start(t, tel.observed(agents.Options{LLM: llm}), agent)
		s.User("I want to sign.")
		time.Sleep(5 * time.Second)
		s.User("Yes.")
		s.User("Find it.")
		time.Sleep(5 * time.Second)
		_, err := s.TryUser("Hello?")
		require.Error(t, err)
		s.Close()
		tel.golden("testdata/text.txt")
	})
}

// A realtime model speaks, is interrupted and calls a tool.
func TestRealtime(t *testing.T) {
	agenttest.Run(t, func(t *testing.T) {
		tel := newTelemetry(t, otel.Options{Content: true})
		script := agenttest.Voice(
			agenttest.Speech(500*ms, 2500*ms, "Tell me a story."),
			agenttest.Speech(5000*ms, 6000*ms, "Where is my order?"))
		model := agenttest.NewRealtime(t, agenttest.RealtimeOptions{Voice: script},
			agenttest.OnUser("Tell me a story.").Turn().Speak("Once upon a time there was a king.", 8*time.Second),
			agenttest.OnUser("Where is my order?").Turn().Call("look_up", `{}`),
			agenttest.OnOutput("look_up").Turn().Speak("On its way.", time.Second).
				Usage(agents.RealtimeUsage{LLMUsage: agents.LLMUsage{PromptTokens: 30, CompletionTokens: 20, TotalTokens: 50},
					InputAudioTokens: 25, InputTextTokens: 5, OutputAudioTokens: 16, OutputTextTokens: 4, Session: 2 * time.Second}))
		agent := &agents.Agent{ID: "a", Tools: []agents.Tool{agents.ToolFunc("look_up", "Looks up.", func(context.Context, noArgs) (string, error) {
			return "shipped", nil
		})}}
		opts := tel.observed(agents.Options{Realtime: model, STT: agents.NoSTT, VAD: agents.NoVAD, AECWarmup: agents.Never})
		v := agenttest.StartVoice(t, opts, agent, script)
		v.Until(12 * time.Second)
		v.Close()
		tel.golden("testdata/realtime.txt")
	})
}
