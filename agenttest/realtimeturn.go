package agenttest

import (
	"fmt"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/parley-voice/agents"
)

// How a scripted Realtime answers, unless the turn says otherwise.
const (
	realtimeDelay = 200 * time.Millisecond // to the first output
	realtimeSpeed = 4
	realtimeFrame = 20 * time.Millisecond
)

// A RealtimeTurn is one response of a scripted [Realtime] and what it answers. Make one with [Step.Turn] or [OnSay] and
// say what it does with its methods, each of which returns a changed copy:
//
//	agenttest.OnUser("Where is my order?").Turn().Speak("Let me look.", time.Second).Call("order_status", `{"order_id":"7"}`)
//
// The response begins at once. Its output follows after the delay to the first output: the messages in the order they
// were given, each while it is spoken, the calls, the usage and the end. Positions are in the audio of the whole
// response.
type RealtimeTurn struct {
	on    string // what it answers, for failures
	match func(agents.ChatRequest) bool
	say   *string // the text of RealtimeRequest.Say that it answers

	says     bool // anything was said about what it does
	messages []scriptedMessage
	calls    []agents.ToolCall
	usage    *agents.RealtimeUsage
	delay    time.Duration
	speed    int
	timed    bool
	end      turnEnd
	at       time.Duration // where it ends, if it does not end as usual
	err      error
	code     string
	lag      time.Duration
	stray    bool
	times    int // as in a Step
}

type scriptedMessage struct {
	text   string
	audio  bool
	length time.Duration
}

// A turnEnd is how a response ends.
type turnEnd uint8

const (
	completes turnEnd = iota
	refused           // there is no response
	ignored           // nor anything else
	fails
	stalls
	breaks     // and the session with it
	reconnects // and the session goes on
)

// Turn returns a turn of a [Realtime] that answers what the step answers. To the step's condition the model shows a
// request whose context is the conversation, with the session's instructions first and those of the response last, and
// the tools and the tool choice that hold for the response. A turn of the caller that the model heard is a user's message,
// also where the model does not transcribe.
func (s Step) Turn() RealtimeTurn {
	t := RealtimeTurn{on: s.on, match: s.match, delay: realtimeDelay, speed: realtimeSpeed, times: s.times}
	if s.says {
		t.match = nil // what a step says is for an LLM
	}
	return t
}

// OnSay returns a turn that answers a request to say exactly this text. Without one, a [Realtime] says what it is asked
// to at 60 ms a character.
func OnSay(text string) RealtimeTurn {
	return RealtimeTurn{on: fmt.Sprintf("OnSay(%q)", text), say: &text, delay: realtimeDelay, speed: realtimeSpeed}
}

// saying is the turn for a text that there is no turn for.
func saying(text string) RealtimeTurn {
	return OnSay(text).Speak(text, time.Duration(utf8.RuneCountInString(text))*ttsPace)
}

// Speak adds a message that is spoken in so much time. A model without audio output writes it.
func (t RealtimeTurn) Speak(text string, length time.Duration) RealtimeTurn {
	return t.message(scriptedMessage{text: text, audio: true, length: length})
}

// Write adds a message of text only.
func (t RealtimeTurn) Write(text string) RealtimeTurn { return t.message(scriptedMessage{text: text}) }

func (t RealtimeTurn) message(m scriptedMessage) RealtimeTurn {
	t.messages = append(t.messages[:len(t.messages):len(t.messages)], m)
	t.says = true
	return t
}

// Call adds a call of a tool, after the messages. The arguments are JSON text and are passed on as they are.
func (t RealtimeTurn) Call(tool, argsJSON string) RealtimeTurn {
	t.calls = append(t.calls[:len(t.calls):len(t.calls)], agents.ToolCall{Name: tool, Arguments: argsJSON})
	t.says = true
	return t
}

// Empty makes the response end without any output, which is not a failure.
func (t RealtimeTurn) Empty() RealtimeTurn { t.says = true; return t }

// Usage makes the response report this at its end. Without it there is no report.
func (t RealtimeTurn) Usage(u agents.RealtimeUsage) RealtimeTurn { t.usage = &u; return t }

// FirstOutput sets the time from the beginning of the response to its first output, which is 200 ms by default.
func (t RealtimeTurn) FirstOutput(d time.Duration) RealtimeTurn { t.delay = d; return t }

// Speed sets how many times faster than it is played audio is made: 4 times by default.
func (t RealtimeTurn) Speed(times int) RealtimeTurn { t.speed = times; return t }

// Timed makes the words say where in the audio they are spoken.
func (t RealtimeTurn) Timed() RealtimeTurn { t.timed = true; return t }

// Refuse makes the model report a problem instead of a response.
func (t RealtimeTurn) Refuse(err error, code string) RealtimeTurn {
	t.err, t.code = err, code
	return t.ends(refused, 0)
}

// Ignore makes nothing come of the request at all: no response and no problem.
func (t RealtimeTurn) Ignore() RealtimeTurn { return t.ends(ignored, 0) }

// FailAt makes the response end with err at a position.
func (t RealtimeTurn) FailAt(at time.Duration, err error) RealtimeTurn {
	t.err = err
	return t.ends(fails, at)
}

// StallAt makes nothing more come of the response from a position on, until it is interrupted.
func (t RealtimeTurn) StallAt(at time.Duration) RealtimeTurn { return t.ends(stalls, at) }

// CutAt makes the session fail at a position.
func (t RealtimeTurn) CutAt(at time.Duration) RealtimeTurn { return t.ends(breaks, at) }

// ReconnectAt makes the connection break at a position, and be there again 300 ms later.
func (t RealtimeTurn) ReconnectAt(at time.Duration) RealtimeTurn { return t.ends(reconnects, at) }

func (t RealtimeTurn) ends(end turnEnd, at time.Duration) RealtimeTurn {
	t.end, t.at, t.says = end, at, true
	return t
}

// Lag makes the model hear of an interruption so much later: its output goes on until then.
func (t RealtimeTurn) Lag(d time.Duration) RealtimeTurn { t.lag = d; return t }

// Stray makes text and audio come of the last message once more, after the end of a response that was interrupted.
func (t RealtimeTurn) Stray() RealtimeTurn { t.stray = true; return t }

// Times makes the turn answer n times instead of once.
func (t RealtimeTurn) Times(n int) RealtimeTurn { t.times = n; return t }

// Always makes the turn answer any number of times, also none. As the first turn that matches is taken, it goes last.
func (t RealtimeTurn) Always() RealtimeTurn { t.times = always; return t }

// answers reports whether a turn is for a request.
func (t RealtimeTurn) answers(req agents.ChatRequest, say string) bool {
	if t.say != nil || say != "" {
		return t.say != nil && *t.say == say
	}
	return t.match(req)
}

// String says what the turn answers and how, for failures.
func (t RealtimeTurn) String() string {
	b := &strings.Builder{}
	b.WriteString(t.on)
	for _, m := range t.messages {
		if m.audio {
			fmt.Fprintf(b, ".Speak(%q, %v)", m.text, m.length)
		} else {
			fmt.Fprintf(b, ".Write(%q)", m.text)
		}
	}
	for _, c := range t.calls {
		fmt.Fprintf(b, ".Call(%q, `%s`)", c.Name, c.Arguments)
	}
	switch t.end {
	case refused:
		fmt.Fprintf(b, ".Refuse(%q, %q)", t.err.Error(), t.code)
	case ignored:
		b.WriteString(".Ignore()")
	case fails:
		fmt.Fprintf(b, ".FailAt(%v, %q)", t.at, t.err.Error())
	case stalls:
		fmt.Fprintf(b, ".StallAt(%v)", t.at)
	case breaks:
		fmt.Fprintf(b, ".CutAt(%v)", t.at)
	case reconnects:
		fmt.Fprintf(b, ".ReconnectAt(%v)", t.at)
	}
	if t.times > 1 {
		fmt.Fprintf(b, ".Times(%d)", t.times)
	}
	if t.times == always {
		b.WriteString(".Always()")
	}
	return b.String()
}
