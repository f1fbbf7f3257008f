package console

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/parley-voice/agents"
	"github.com/parley-voice/agents/agenttest"
)

var sale = []Step{
	OnInstructions("Greet.").Say("Hello."),
	Caller("What does a pen cost?").Call("price", `{"item":"pen"}`),
	OnOutput("price").Say("The pen is 2.50."),
	Caller("And the moon, please?").Call("price", `{"item":"moon"}`),
	OnOutput("price").Say("The moon is not for sale."),
	Caller("I take the pen.").Call("sell", `{}`),
	Caller("Bob is my name.").Call("record_name", `{"name":"Bob"}`),
	OnOutput("sell").Say("Thanks, Bob."),
	Caller("Let me talk to the boss!").Say("One moment.").Call("fetch_boss", `{}`),
	OnInstructions("Say that you are the boss.").Say("I am the boss."),
}

// improvise begins a conversation in the shop; say answers a line with what the agent said last.
func improvise(t *testing.T) (say func(line string) string) {
	p := shop(sale...)
	c := p.New()
	opts := c.Options
	opts.LLM = p.Demo.Improvise()
	s := agents.NewSession(opts)
	t.Cleanup(func() { s.Close() })
	ctx := agenttest.Context(t)
	_, err := s.StartRun(ctx, c.First, agents.IO{})
	require.NoError(t, err)
	return func(line string) (last string) {
		_, err := s.Run(ctx, line)
		require.NoError(t, err)
		for m := range s.History().Messages() {
			if m.Role == agents.RoleAssistant {
				last = m.Text()
			}
		}
		return last
	}
}

func TestLinesMayBeSaidInAnyOrderAndAgain(t *testing.T) {
	agenttest.Run(t, func(t *testing.T) {
		say := improvise(t)
		require.Equal(t, "The moon is not for sale.", say("and the moon please"))
		require.Equal(t, "The pen is 2.50.", say("what does the pen costs"))
		require.Equal(t, "The pen is 2.50.", say("What does a pen cost?"))
		require.Equal(t, "The moon is not for sale.", say("And the moon, please?"))
		require.Equal(t, "To whom?", say("I'll take that pen"))
		require.Equal(t, "Thanks, Bob.", say("Bob's my name"))
		require.Equal(t, "I am the boss.", say("let me talk to your boss"))
	})
}

func TestWhatIsNotInTheScriptIsAnsweredWithWhatIs(t *testing.T) {
	agenttest.Run(t, func(t *testing.T) {
		say := improvise(t)
		require.Equal(t, "I have no key, so I know a script only. You can say: “What does a pen cost?” Or: “And the moon, please?”",
			say("How is the weather in Lisbon today?"))
		require.Equal(t, "My script has that elsewhere. You can say: “What does a pen cost?” Or: “And the moon, please?”", say("Bob is my name"))
		require.Equal(t, "To whom?", say("I take the pen"))
		require.Equal(t, "My script has that elsewhere. You can say: “Bob is my name.”", say("I take the pen"))
		require.Equal(t, "My script has that elsewhere. You can say: “Bob is my name.”", say("Let me talk to the boss!"))
		require.Equal(t, "Thanks, Bob.", say("Bob is my name."))
	})
}

// What a recogniser makes of spoken lines, and what has nothing to do with them.
func TestAlike(t *testing.T) {
	for _, tt := range []struct {
		said, line string
		want       bool
	}{
		{"sure go ahead", "Sure, go ahead.", true},
		{"sure go a head", "Sure, go ahead.", true},
		{"plus one four one five", "Plus one, 415.", true},
		{"five five five oh one four two any weekday morning", "555 0142, any weekday morning.", true},
		{"it's fair thank you route", "That's fair. Thank you, Ruth.", true},
		{"share go ahead", "Sure, go ahead.", true},
		{"i insane are days where is my order you one thousand nine", "Hi, it's Dana Ortiz. Where is my order A-1009?", true},
		{"yes please head and tommy", "Yes, please have them call me.", true},
		{"where is my order number a-1009 it's dana", "Hi, it's Dana Ortiz. Where is my order A-1009?", true},
		{"yes", "No.", false},
		{"", "No.", false},
		{"how is the weather", "Sure, go ahead.", false},
		{"tell me a joke about penguins", "Yes, please have them call me.", false},
		{"what is the meaning of life", "Honestly, I waited two weeks. I want to speak to your boss.", false},
	} {
		require.Equal(t, tt.want, alike(tt.said, tt.line) >= enough, "%q and %q: %.2f", tt.said, tt.line, alike(tt.said, tt.line))
	}
}

// A step that calls what is not on offer is no answer, even if it is the next.
func TestAnAnswerCallsOnlyWhatIsOnOffer(t *testing.T) {
	chat := new(agents.ChatContext)
	chat.AddMessage(agents.RoleSystem, "Greet.")
	llm := Script{
		OnInstructions("Greet.").Call("wave", `{}`),
		OnInstructions("Greet.").Say("Hello."),
	}.Improvise()
	agenttest.Run(t, func(t *testing.T) {
		var said string
		for chunk, err := range llm.Chat(t.Context(), agents.ChatRequest{Context: chat}) {
			require.NoError(t, err)
			said += chunk.Text
			require.Empty(t, chunk.Calls)
		}
		require.Equal(t, "Hello.", said)
	})
}
