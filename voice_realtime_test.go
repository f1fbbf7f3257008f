package agents_test

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/parley-voice/agents"
	"github.com/parley-voice/agents/agenttest"
)

// realtimeOptions are the options of a scenario with a realtime model that takes turns by itself.
func realtimeOptions(model agents.RealtimeModel) agents.Options {
	return agents.Options{Realtime: model, STT: agents.NoSTT, VAD: agents.NoVAD, AECWarmup: agents.Never}
}

func TestRealtimeTurn(t *testing.T) {
	agenttest.Run(t, func(t *testing.T) {
		script := agenttest.Voice(speaks(0.5, 2.5, "Hello, how are you?"))
		model := agenttest.NewRealtime(t, agenttest.RealtimeOptions{Voice: script},
			agenttest.OnUser("Hello, how are you?").Turn().Speak("I am well, thank you.", 2*time.Second))
		v := agenttest.StartVoice(t, realtimeOptions(model), &agents.Agent{Instructions: "Be brief."}, script)
		v.Until(sec(8))
		require.Equal(t, []string{"listening 0s", "thinking 3s", "speaking 3.2s", "listening 5.2s"}, v.AgentStates(), v.Log())
		require.Equal(t, []string{"speaking 550ms", "listening 3s"}, v.UserStates())
		require.Equal(t, []string{"2s"}, v.Playouts())
		require.Equal(t, "user: Hello, how are you?\nassistant: I am well, thank you.\n", transcript(v.History()), v.Log())
	})
}

// The user speaks over the agent: the model stops, what was not heard is cut off there and here.
func TestRealtimeBargeIn(t *testing.T) {
	agenttest.Run(t, func(t *testing.T) {
		script := agenttest.Voice(speaks(0.5, 2.5, "Tell me a story."), speaks(5, 6, "Stop, please."))
		model := agenttest.NewRealtime(t, agenttest.RealtimeOptions{Voice: script},
			agenttest.OnUser("Tell me a story.").Turn().Timed().Speak("Once upon a time there was a king.", 8*time.Second),
			agenttest.OnUser("Stop, please.").Turn().Speak("All right.", time.Second))
		v := agenttest.StartVoice(t, realtimeOptions(model), &agents.Agent{}, script)
		v.Until(sec(12))
		require.Equal(t, []string{"listening 0s", "thinking 3s", "speaking 3.2s", "listening 5.05s", "thinking 6.5s", "speaking 6.7s", "listening 7.7s"}, v.AgentStates(), v.Log())
		require.Equal(t, []string{"1.85s interrupted", "1s"}, v.Playouts())
		require.Equal(t, "user: Tell me a story.\nassistant: Once (interrupted)\nuser: Stop, please.\nassistant: All right.\n", transcript(v.History()), v.Log())
		require.Len(t, model.Truncations(), 1)
		require.Equal(t, 1850*ms, model.Truncations()[0].AudioEnd)
		require.Equal(t, "Once", model.Truncations()[0].Text)
	})
}

func TestRealtimeToolsAndHandoff(t *testing.T) {
	agenttest.Run(t, func(t *testing.T) {
		script := agenttest.Voice(speaks(0.5, 2, "Where is my order?"), speaks(8, 9, "Who else is there?"))
		model := agenttest.NewRealtime(t, agenttest.RealtimeOptions{Voice: script},
			agenttest.OnUser("Where is my order?").Turn().Speak("Let me look.", time.Second).Call("look_up", `{"what":"order"}`),
			agenttest.OnOutput("look_up").Turn().Speak("It is on its way.", time.Second),
			agenttest.OnUser("Who else is there?").Turn().Call("hand_over", `{}`),
			agenttest.OnInstructions("Greet the caller.").Turn().Speak("Hello, sales here.", time.Second))
		sales := &agents.Agent{ID: "sales", Instructions: "You sell.", OnEnter: func(ctx context.Context, s *agents.AgentSession) error {
			return s.GenerateReply(agents.Reply{Instructions: "Greet the caller."}).Wait(ctx)
		}}
		front := &agents.Agent{ID: "front", Instructions: "You are the front desk.", Tools: []agents.Tool{
			agents.ToolFunc("look_up", "Looks something up.", func(_ context.Context, in lookUpArgs) (string, error) { return "shipped", nil }),
			agents.ToolFunc("hand_over", "Hands over.", func(context.Context, struct{}) (agents.Handoff, error) {
				return agents.Handoff{To: sales, Result: "Connecting."}, nil
			}),
		}}
		v := agenttest.StartVoice(t, realtimeOptions(model), front, script)
		v.Until(sec(16))
		require.Equal(t, "user: Where is my order?\nassistant: Let me look.\ncall look_up\noutput shipped\nassistant: It is on its way.\n"+
			"user: Who else is there?\ncall hand_over\noutput Connecting.\nhandoff front to sales\nassistant: Hello, sales here.\n", transcript(v.History()), v.Log())
		require.Len(t, model.Sessions(), 1, "the conversation with the model goes on with the next agent")
		require.Equal(t, []string{"1s", "1s", "1s"}, v.Playouts())
	})
}

// With turn detection left to the session, its VAD ends the turn, commits the audio and asks for the reply.
func TestRealtimeWithTheSessionsTurns(t *testing.T) {
	agenttest.Run(t, func(t *testing.T) {
		script := agenttest.Voice(speaks(0.5, 2.5, "Hello, how are you?"))
		model := agenttest.NewRealtime(t, agenttest.RealtimeOptions{Voice: script},
			agenttest.OnUser("Hello, how are you?").Turn().Speak("I am well, thank you.", 2*time.Second))
		opts := realtimeOptions(model)
		opts.VAD = agenttest.NewVAD(script)
		opts.Turn.Detection = agents.TurnByVAD
		v := agenttest.StartVoice(t, opts, &agents.Agent{}, script)
		v.Until(sec(8))
		require.Equal(t, agents.Off, model.Sessions()[0].TurnDetection)
		require.Equal(t, []string{"listening 0s", "thinking 3s", "speaking 3.2s", "listening 5.2s"}, v.AgentStates(), v.Log())
		require.Equal(t, []string{"speaking 500ms", "listening 2.5s"}, v.UserStates())
		require.Equal(t, "user: Hello, how are you?\nassistant: I am well, thank you.\n", transcript(v.History()), v.Log())
	})
}

func TestRealtimeByText(t *testing.T) {
	agenttest.Run(t, func(t *testing.T) {
		model := agenttest.NewRealtime(t, agenttest.RealtimeOptions{},
			agenttest.OnUser("Hello").Turn().Write("Hello yourself."),
			agenttest.OnUser("Look it up").Turn().Call("look_up", `{"what":"it"}`),
			agenttest.OnOutput("look_up").Turn().Write("Found it."))
		a := &agents.Agent{Tools: []agents.Tool{
			agents.ToolFunc("look_up", "Looks something up.", func(_ context.Context, in lookUpArgs) (string, error) { return "here", nil }),
		}}
		s := agenttest.Start(t, agents.Options{Realtime: model}, a)
		r := s.User("Hello")
		r.Next().IsMessage("assistant").HasText("Hello yourself.")
		r.None()
		r = s.User("Look it up")
		r.Next().IsCall("look_up")
		r.Next().IsOutput("here")
		r.Next().IsMessage("assistant").HasText("Found it.")
		r.None()
	})
}
