package agenttest

import (
	"testing"
	"time"

	"github.com/parley-voice/agents"
)

// A RealtimeUnderTest says how [TestRealtime] gets at the model it is to test.
type RealtimeUnderTest struct {
	// New returns the model and the fake of its provider that it talks to, in the provider's own wire format. It is
	// called once or more a test; what it starts must end in t.Cleanup.
	New func(t *testing.T, sessions ...Conversation) (agents.RealtimeModel, RealtimeFake)
	// Secret is the key that the model was given. No error may contain it.
	Secret string

	// What the provider cannot do is not tested. What the model's capabilities exclude need not be said.
	NoUsage bool
	// NoTextOnly says that a model with audio output cannot leave it out.
	NoTextOnly bool
	// NoRefusal says that a request is never refused on its own.
	NoRefusal bool
	// NoBrokenResponse says that a response has no way to report an error once it has begun.
	NoBrokenResponse bool
	// NoReconnection says that a connection that breaks is the end of a session.
	NoReconnection bool
}

// A RealtimeFake is a fake provider that serves the first connection by the first [Conversation], and so on.
type RealtimeFake interface {
	// Audio returns how much of the user's audio came so far, on all connections.
	Audio() time.Duration
	// Texts returns what the model was told so far, in order: instructions, items of the conversation, outputs of tools,
	// and what to say.
	Texts() []string
}

// A Conversation is what a fake provider does with a connection.
type Conversation struct {
	// Status, if not 0, is the HTTP status that the connection is refused with.
	Status int
	// Script is what the user says. With turn detection the fake reports, in the order of the audio it has got, the
	// beginning and the end of each speech, which is when half a second of silence has followed, and the transcript, and
	// begins the next reply. Without, it sends the transcript of what was spoken when the audio is committed.
	Script VoiceScript
	// Replies are the responses in order. What it is asked to say the fake says without one, in audio of any length.
	Replies []RealtimeReply
}

// A RealtimeReply is a response of a fake provider: a message, if there is text, and then a call, if there is one.
type RealtimeReply struct {
	// Refused makes the provider report an error in place of the response.
	Refused bool
	Text    string
	Audio   time.Duration // of the text, in any number of pieces; of a model with audio output that was not asked for text only
	Call    *AnswerCall
	// Usage is what the provider reports of the response: prompt, completion and total tokens. Nil reports none.
	Usage *agents.LLMUsage
	// End is how the response ends: Hang sends nothing more, until it is interrupted; Cut breaks the connection; Broken
	// reports an error.
	End AnswerEnd
}

// TestRealtime tests that a speech-to-speech model does what the session relies on: each request has one answer, events
// come in order and complete, interruptions and updates take hold, what cannot be done is refused, failures are told
// apart, connections that break are made again, closing ends a session at once, and no goroutine is left behind. It runs
// in real time, in subtests, and takes some seconds. What the model's capabilities exclude is skipped.
func TestRealtime(t *testing.T, under RealtimeUnderTest) {
	for _, check := range realtimeChecks(under) {
		t.Run(check.name, func(t *testing.T) {
			VerifyNoLeaks(t)
			if check.unless != nil {
				m, _ := under.New(t)
				if why := check.unless(m.Capabilities()); why != "" {
					t.Skip(why)
				}
			}
			check.run(&realtimeCheck{tb: t, secret: under.Secret, patience: leakLimit, start: func(s ...Conversation) (agents.RealtimeModel, RealtimeFake) {
				t.Helper()
				return under.New(t, s...)
			}})
		})
	}
}

// A realtimeCheck is one test of a model.
type realtimeCheck struct {
	tb
	secret   string
	patience time.Duration // with what should come at once
	start    func(...Conversation) (agents.RealtimeModel, RealtimeFake)
}

type namedRealtimeCheck struct {
	name   string
	run    func(*realtimeCheck)
	unless func(agents.RealtimeCapabilities) string // why it does not apply, or empty
}

func realtimeChecks(under RealtimeUnderTest) []namedRealtimeCheck {
	needs := func(has func(agents.RealtimeCapabilities) bool, why string) func(agents.RealtimeCapabilities) string {
		return func(c agents.RealtimeCapabilities) string {
			if has(c) {
				return ""
			}
			return why
		}
	}
	checks := []namedRealtimeCheck{
		{"responds", (*realtimeCheck).responds, nil},
		{"calls", (*realtimeCheck).calls, nil},
		{"is told what it begins with", (*realtimeCheck).begins, nil},
		{"interrupted", (*realtimeCheck).interrupted, nil},
		{"takes turns", (*realtimeCheck).takesTurns,
			needs(func(c agents.RealtimeCapabilities) bool { return c.TurnDetection }, "the model does not find turns")},
		{"is told the turns", (*realtimeCheck).isToldTurns,
			needs(func(c agents.RealtimeCapabilities) bool { return !c.TurnDetection || c.DisableTurnDetection }, "the model always finds turns by itself")},
		{"says", (*realtimeCheck).says, needs(func(c agents.RealtimeCapabilities) bool { return c.Say }, "the model does not say what it is given")},
		{"truncates", (*realtimeCheck).truncates,
			needs(func(c agents.RealtimeCapabilities) bool { return c.MessageTruncation }, "the model does not truncate messages")},
		{"updates instructions", (*realtimeCheck).updatesInstructions,
			needs(func(c agents.RealtimeCapabilities) bool { return c.MutableInstructions }, "the model's instructions cannot change")},
		{"updates the conversation", (*realtimeCheck).updatesContext,
			needs(func(c agents.RealtimeCapabilities) bool { return c.MutableChatContext }, "the model's conversation cannot change")},
		{"refuses what it cannot do", (*realtimeCheck).cannot, needs(func(c agents.RealtimeCapabilities) bool {
			return !c.Say || !c.MessageTruncation || !c.PerResponseToolChoice || !c.MutableChatContext || !c.MutableInstructions || !c.MutableTools
		}, "the model can do everything")},
		{"audio is copied and checked", (*realtimeCheck).audio, nil},
		{"closed", (*realtimeCheck).closed, nil},
		{"cancelled", (*realtimeCheck).cancelled, nil},
		{"refused", (*realtimeCheck).refused, nil},
		{"fails", (*realtimeCheck).fails, nil},
	}
	for _, optional := range []struct {
		missing bool
		check   namedRealtimeCheck
	}{
		{under.NoUsage, namedRealtimeCheck{"usage", (*realtimeCheck).usage, nil}},
		{under.NoTextOnly, namedRealtimeCheck{"text only", (*realtimeCheck).textOnly, nil}},
		{under.NoRefusal, namedRealtimeCheck{"a request is refused", (*realtimeCheck).refusedRequest, nil}},
		{under.NoBrokenResponse, namedRealtimeCheck{"a response fails", (*realtimeCheck).brokenResponse, nil}},
		{under.NoReconnection, namedRealtimeCheck{"reconnects", (*realtimeCheck).reconnects, nil}},
	} {
		if !optional.missing {
			checks = append(checks, optional.check)
		}
	}
	return checks
}
