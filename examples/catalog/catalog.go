// Package catalog has the examples that hold a conversation, for programs elsewhere that run them: each as its options, its
// first agent and the script that stands in for a model where there is no key.
package catalog

import (
	"github.com/parley-voice/agents/examples/drivethru/counter"
	"github.com/parley-voice/agents/examples/frontdesk/optician"
	"github.com/parley-voice/agents/examples/internal/console"
	"github.com/parley-voice/agents/examples/internal/voices"
	"github.com/parley-voice/agents/examples/restaurant/luigis"
	"github.com/parley-voice/agents/examples/support/helpline"
	"github.com/parley-voice/agents/examples/survey/screening"
	"github.com/parley-voice/agents/examples/triage/practice"
)

// A Program is an example.
type Program = console.Program

// A Conversation is what an example has to say about one session.
type Conversation = console.Conversation

// Tones is a voice that needs nothing installed: it hums each word for as long as it would take to say.
type Tones = voices.Tones

// Programs returns the examples, the one to begin with first.
func Programs() ([]Program, error) {
	drivethru, err := counter.Program()
	if err != nil {
		return nil, err
	}
	return []Program{
		helpline.Program, luigis.Program, optician.Program, practice.Program, drivethru, screening.Program(new(string)),
	}, nil
}
