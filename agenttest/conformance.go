package agenttest

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/parley-voice/agents"
)

// An LLMUnderTest says how [TestLLM] gets at the LLM it is to test.
type LLMUnderTest struct {
	// New returns the LLM and the fake of its provider that it talks to: a server on the loopback interface, or a
	// transport in memory, in the provider's own wire format. It is called once or more a test; what it starts must end
	// in t.Cleanup. (An httptest.Server waits for clients that do not leave: call its CloseClientConnections first.)
	New func(t *testing.T, answers ...Answer) (agents.LLM, LLMFake)

	// Secret is the key that the LLM was given. No error may contain it, so that the fake may repeat it in the body of
	// an error, as providers do.
	Secret string

	// What the provider cannot do is not tested.
	NoParallelCalls    bool
	NoImages           bool
	NoStructuredOutput bool
	NoUsage            bool
	// NoBrokenStream says that a stream has no way to report an error once it has begun; see [Broken].
	NoBrokenStream bool
}

// An LLMFake is a fake provider that answers the first request with the first [Answer], and so on.
type LLMFake interface {
	// Received returns the requests so far, in the order they came.
	Received() []ReceivedRequest
}

// An OpenCounter is an [LLMFake] that can tell whether the client leaves a stream that it does not read any more. Without
// it, [TestLLM] sees only that no goroutine is left once the fake has been closed.
type OpenCounter interface {
	// Open returns how many answers have not come to their end, nor been given up because the client left.
	Open() int
}

// An Answer is what a fake provider answers to one request. The zero value is an answer without any text.
type Answer struct {
	// Status, if not 0, is the HTTP status to fail with, in place of everything else, with a body like the provider's.
	Status int
	// RetryAfter, if not 0, is what a failing answer asks for, in whole seconds.
	RetryAfter time.Duration

	// Parts are streamed one after the other.
	Parts []AnswerPart
	// Usage is what the answer reports at its end: prompt, completion and total tokens. Nil reports none.
	Usage *agents.LLMUsage
	// End is how the answer ends.
	End AnswerEnd
	// Dribble sends each byte of the body in a write of its own, flushed, so that no read sees a whole line.
	Dribble bool
}

// An AnswerPart is a piece of text or, if Call is set, a tool call.
type AnswerPart struct {
	Text string
	Call *AnswerCall
}

// An AnswerCall is a tool call whose arguments come in fragments. Joined they are JSON text, or nothing at all. Where the
// provider has no fragments, they are joined by the fake.
type AnswerCall struct {
	ID        string
	Name      string
	Arguments []string
}

// An AnswerEnd is how an answer ends.
type AnswerEnd uint8

// The ends of an answer.
const (
	Complete AnswerEnd = iota // as the provider ends an answer
	Hang                      // nothing more comes, and the connection stays open until the client leaves
	Cut                       // the connection breaks
	Broken                    // the provider reports an error in the stream
)

// A ReceivedRequest is what a fake provider understood of a request, in terms that all providers have in common.
type ReceivedRequest struct {
	// Texts are all texts of the messages, whoever they are from, and the outputs of tools, in order.
	Texts []string
	// Images are the images of the messages, in order: a URL as it was sent, or the bytes and their type.
	Images []agents.Image
	// Tools are the names of the tools on offer.
	Tools []string
	// ToolChoice is "auto", "required", "none", "function NAME", or "" if the request did not say.
	ToolChoice string
	// Schema is the schema that the answer must have, or nil.
	Schema json.RawMessage
	// Temperature is nil if the request did not say.
	Temperature *float64
}

// TestLLM tests that an LLM does what the session relies on: text and calls come whole and in order, usage once and
// last, requests say what they should, failures are told apart, cancelling ends a stream at once, and no goroutine is
// left behind. It runs in real time, in subtests, and takes a second or so.
//
// Each plugin's own test provides the fake; see [Answer] for what it must be able to do.
func TestLLM(t *testing.T, under LLMUnderTest) {
	for _, check := range llmChecks(under) {
		t.Run(check.name, func(t *testing.T) {
			VerifyNoLeaks(t)
			check.run(&llmCheck{tb: t, secret: under.Secret, patience: leakLimit, start: func(answers ...Answer) (agents.LLM, LLMFake) {
				t.Helper()
				return under.New(t, answers...)
			}})
		})
	}
}
