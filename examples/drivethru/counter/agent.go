package counter

import (
	"context"
	"strings"
	"sync"
	"time"

	"github.com/parley-voice/agents"
)

// awayAfter is how long nothing is said before the customer is asked, and between asking again.
const awayAfter = 10 * time.Second

// maxNudges is how often a customer is asked. Whoever has not answered by then has driven on.
const maxNudges = 3

// options are those of a session of the drive-thru.
func options(o *order) agents.Options {
	return agents.Options{
		UserData:         o,
		MaxToolSteps:     10,
		MaxParallelTools: 1, // so that the order is in the order in which it was given
		UserAwayTimeout:  agents.Delay(awayAfter),
	}
}

// newAgent is the voice at the order point.
func newAgent(m menu, tools []agents.Tool) *agents.Agent {
	parts := []string{
		"You take orders at a drive-thru. Speak in short sentences, as the customer hears them through a speaker. Order each thing " +
			"as soon as it is clear, with its tool, and say what you have ordered. Never guess a drink or a size: ask. Order only " +
			"what is on the menu; for anything else say that you do not have it. What is marked SOLD OUT cannot be ordered. " +
			"A combo meal comes with fries and a drink, a happy meal with a drink. Before you take something off the order, list it " +
			"to learn its order id. When the customer is done, repeat the order and ask them to drive to the next window.",
	}
	for _, c := range []category{drinks, combos, happy, regular, sauces} {
		parts = append(parts, m.text(c))
	}
	return &agents.Agent{
		ID:           "drivethru",
		Instructions: strings.Join(parts, "\n\n"),
		Tools:        tools,
		OnEnter: func(ctx context.Context, s *agents.AgentSession) error {
			return s.GenerateReply(agents.Reply{Instructions: "Welcome the customer and ask for the order.", ToolChoice: agents.NoTools}).Wait(ctx)
		},
	}
}

// nudge asks a customer who says nothing whether they are still there, until they are, or ctx is done.
func nudge(ctx context.Context, s *agents.AgentSession) {
	var asking sync.WaitGroup
	stop := func() {}
	for e := range s.Events(ctx) {
		change, ok := e.(*agents.UserStateChanged)
		if !ok {
			continue
		}
		stop()
		if change.New == agents.UserAway {
			away, cancel := context.WithCancel(ctx)
			stop = cancel
			asking.Go(func() { askRepeatedly(away, s) })
		}
	}
	stop()
	asking.Wait()
}

func askRepeatedly(ctx context.Context, s *agents.AgentSession) {
	next := time.NewTicker(awayAfter)
	defer next.Stop()
	for range maxNudges {
		s.GenerateReply(agents.Reply{
			Instructions: "The customer has been silent. Ask briefly whether they are still there.",
			ToolChoice:   agents.NoTools,
		}).Wait(ctx)
		select {
		case <-next.C:
		case <-ctx.Done():
			return
		}
	}
}

// screenDelay is how long the screen waits for more changes before it shows them.
const screenDelay = 20 * time.Millisecond

// screen sends what the order looks like when it has changed, for a screen at the window. Changes in quick succession
// are shown at once.
func screen(ctx context.Context, o *order, show chan<- string) {
	for {
		select {
		case <-o.changed:
		case <-ctx.Done():
			return
		}
		select {
		case <-time.After(screenDelay):
		case <-ctx.Done():
			return
		}
		select {
		case <-o.changed: // the cart has that change, too
		default:
		}
		select {
		case show <- o.cart():
		case <-ctx.Done():
			return
		}
	}
}
