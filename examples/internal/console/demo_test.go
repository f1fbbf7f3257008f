package console_test

import (
	"bytes"
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/parley-voice/agents/agenttest"
	"github.com/parley-voice/agents/examples/internal/console"
	"github.com/parley-voice/agents/examples/internal/console/consoletest"
)

var everything = []console.Step{
	console.OnInstructions("Greet.").Say("Hello, this is a shop that sells a great many things, of which you can have any, if you can pay for it."),
	console.Caller("What are the moon and a pen?").
		Say("Let me see.").Call("price", `{"item":"moon"}`).Call("price", `{"item":"pen"}`),
	console.OnOutput("price").Say("The pen is 2.50."),
	console.Silence(11 * time.Second),
	console.Caller("I take it.").Call("sell", `{}`),
	console.Caller("Bob.").Call("record_name", `{"name":"Bob"}`),
	console.OnOutput("sell").Say("Thanks, Bob."),
	console.Caller("And another.").Call("sell", `{}`),
	console.Caller("Nobody.").Call("no_name", `{}`),
	console.OnOutput("sell").Call("burn", `{}`),
	console.OnOutput("burn").Say("Something is wrong here."),
	console.Caller("The boss!").Say("One moment.").Call("fetch_boss", `{}`),
	console.OnInstructions("Say that you are the boss.").Say("I am the boss."),
}

func TestDemo(t *testing.T) { consoletest.Demo(t, console.Shop(everything...)) }

func TestDemoInColor(t *testing.T) {
	agenttest.Run(t, func(t *testing.T) {
		var got bytes.Buffer
		look := console.Look{Width: 60, Color: true}
		require.NoError(t, console.Play(agenttest.Context(t), console.Shop(everything...), &got, console.Pace{}, look))
		consoletest.Golden(t, "color.txt", got.Bytes())
	})
}

func TestPaceDoesNotChangeWhatIsShown(t *testing.T) {
	play := func(t *testing.T, pace console.Pace) string {
		var got bytes.Buffer
		agenttest.Run(t, func(t *testing.T) {
			require.NoError(t, console.Play(agenttest.Context(t), console.Shop(everything...), &got, pace, console.Look{}))
		})
		return got.String()
	}
	require.Equal(t, play(t, console.HumanPace), play(t, console.Pace{}))
}

func TestScriptsThatDoNotFit(t *testing.T) {
	greet := console.OnInstructions("Greet.").Say("Hello.")
	for _, tt := range []struct {
		name   string
		script []console.Step
		want   string
	}{
		{"no answer", []console.Step{greet, console.Caller("Hi.")}, "The script has no answer to what the user said: “Hi.”."},
		{"no answer at the start", []console.Step{console.Caller("Hi.")}, "The script has no answer to a conversation that has not begun."},
		{"no answer to an output", []console.Step{greet, console.Caller("Hi.").Call("price", `{"item":"pen"}`)},
			"The script has no answer to the output of price: “2.5”."},
		{"unused", []console.Step{greet, console.OnOutput("price").Say("2.50"), console.OnInstructions("sing").Say("La.")},
			"the script was not played to its end: the model was never asked for its answer to the output of price, nor to instructions with “sing”"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			agenttest.Run(t, func(t *testing.T) {
				var out bytes.Buffer
				err := console.Play(agenttest.Context(t), console.Shop(tt.script...), &out, console.HumanPace, console.Look{})
				require.EqualError(t, err, tt.want)
			})
		})
	}
}

func TestDemoCanBeLeft(t *testing.T) {
	agenttest.Run(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(agenttest.Context(t), 5*time.Second)
		defer cancel()
		var out bytes.Buffer
		err := console.Play(ctx, console.Shop(everything...), &out, console.HumanPace, console.Look{})
		require.ErrorIs(t, err, context.DeadlineExceeded)
		require.NotContains(t, out.String(), "Bob")
	})
}
