package console

import (
	"context"

	"github.com/parley-voice/agents"
)

// A Program is an example.
type Program struct {
	// Name is the name of the example's folder.
	Name string
	// About says in a sentence or two what the example shows.
	About string
	// New makes a conversation that has not begun.
	New func() Conversation
	// Demo is what is played when there is no model.
	Demo Script
}

// A Conversation is what an example has to say about one session.
type Conversation struct {
	// Options are those of the session. The console sets the LLM, and hears the events before OnEvent does.
	Options agents.Options
	// First takes the floor first.
	First agents.Activity
	// Beside, if set, runs on a goroutine of its own as long as the conversation does. It must return when ctx is done.
	Beside func(ctx context.Context, s *agents.AgentSession)
	// Notes, if set, are shown as they come: what the program does on its own, such as what a screen would show.
	Notes <-chan string
	// Summary, if set, says at the end what came of the conversation: a line or more of text.
	Summary func() string
}
