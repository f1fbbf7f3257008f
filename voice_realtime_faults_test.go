package agents_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/parley-voice/agents"
	"github.com/parley-voice/agents/agenttest"
)

// A realtime model that goes wrong, in every way, at every stage of a conversation: two turns, a tool, a handoff, a
// greeting that the caller interrupts, and the end.

// A faultStage is a moment of the conversation.
type faultStage string

const (
	atConnect   faultStage = "connect"
	atPush      faultStage = "context push"
	atSpeech    faultStage = "user speaking"
	atRequest   faultStage = "reply requested"
	atResponse  faultStage = "response begun"
	atAudio     faultStage = "first audio"
	amidAudio   faultStage = "mid audio"
	atCall      faultStage = "tool call"
	atOutput    faultStage = "tool output pushed"
	atHandoff   faultStage = "handoff"
	atGreeting  faultStage = "after the handoff"
	atBargeIn   faultStage = "interruption"
	atClose     faultStage = "close"
	neverReally faultStage = "never"
)

var faultStages = []faultStage{atConnect, atPush, atSpeech, atRequest, atResponse, atAudio, amidAudio, atCall, atOutput, atHandoff, atGreeting, atBargeIn, atClose, neverReally}

// A faultyLine is a conversation and what goes wrong with it.
type faultyLine struct {
	model *wiredRealtime
	v     *agenttest.VoiceSession // once begun is closed
	begun chan struct{}
	stage faultStage
	fault func(*faultyLine) // when the stage is reached

	mu       sync.Mutex
	struck   bool
	dead     bool // nothing comes any more from the sessions that there are
	deadOnes map[*wiredSession]bool
	late     bool // after the end of a response more of it comes
	refusing map[string]bool
	counts   map[string]int
	response string // the last one that began
	message  string // and its last message
}

// reached has the fault happen if this is its stage.
func (l *faultyLine) reached(stage faultStage) {
	l.mu.Lock()
	now := stage == l.stage && !l.struck
	if now {
		l.struck = true
	}
	l.mu.Unlock()
	if now {
		l.fault(l)
	}
}

// count counts what happens by name, and returns how often it has.
func (l *faultyLine) count(what string) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.counts[what]++
	return l.counts[what]
}

// hear looks at what the model says, and says what comes of it.
func (l *faultyLine) hear(s *wiredSession, e agents.RealtimeEvent) []agents.RealtimeEvent {
	events := []agents.RealtimeEvent{e}
	switch e := e.(type) {
	case *agents.RealtimeSpeechStarted:
		switch l.count("speech") {
		case 1:
			l.reached(atSpeech)
		case 3:
			l.reached(atBargeIn)
		}
	case *agents.RealtimeResponseStarted:
		l.mu.Lock()
		l.response = e.ResponseID
		l.mu.Unlock()
		l.reached(atResponse)
	case *agents.RealtimeMessageStarted:
		l.mu.Lock()
		l.message = e.MessageID
		l.mu.Unlock()
	case *agents.RealtimeMessageAudio:
		switch l.count("audio") {
		case 1:
			l.reached(atAudio)
		case 20:
			l.reached(amidAudio)
		}
	case *agents.RealtimeCall:
		if e.Call.Name == "hand_over" {
			l.reached(atHandoff)
		} else {
			l.reached(atCall)
		}
	case *agents.RealtimeItemAdded:
		if _, ok := e.Item.(*agents.FunctionCallOutput); ok {
			l.reached(atOutput)
		}
	case *agents.RealtimeResponseDone:
		events = append(events, l.lateOf(e.ResponseID)...)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.deadOnes[s] {
		return nil
	}
	return events
}

// lateOf is what comes of a response that has ended, if anything does.
func (l *faultyLine) lateOf(response string) []agents.RealtimeEvent {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.late {
		return nil
	}
	return []agents.RealtimeEvent{
		&agents.RealtimeMessageText{MessageID: l.message, Text: "late"},
		&agents.RealtimeMessageAudio{MessageID: l.message, Frame: agents.Silence(time.Second, 24000, 1)},
		&agents.RealtimeMessageDone{MessageID: l.message},
		&agents.RealtimeMessageStarted{ResponseID: response, MessageID: "late", Audio: true},
		&agents.RealtimeMessageText{MessageID: "late", Text: "late"},
		&agents.RealtimeMessageAudio{MessageID: "late", Frame: agents.Silence(time.Second, 24000, 1)},
		&agents.RealtimeCall{ResponseID: response, Call: agents.ToolCall{ID: "late", Name: "look_up", Arguments: `{"what":"late"}`}},
		&agents.RealtimeResponseDone{ResponseID: response},
	}
}

var errRefused = agenttest.StatusError(429)

// ask is asked before the methods of a session.
func (l *faultyLine) ask(ctx context.Context, method string) error {
	switch method {
	case "Session":
		l.reached(atConnect)
	case "Update":
		l.reached(atPush)
	case "Generate":
		l.reached(atRequest)
		if l.count("generate") == 2 {
			l.reached(atGreeting)
		}
	}
	l.mu.Lock()
	refuse := l.refusing[method]
	delete(l.refusing, method)
	hang := l.dead && (method == "Update" || method == "Session")
	if method == "Session" {
		l.dead = false // once is enough
	}
	l.mu.Unlock()
	if refuse {
		return errRefused
	}
	if hang {
		<-ctx.Done()
		return context.Cause(ctx)
	}
	return nil
}

// put makes events come in the session that there is, or in the next.
func (l *faultyLine) put(events ...agents.RealtimeEvent) { l.model.put(events...) }

// The faults.
var lineFaults = []struct {
	name  string
	ends  bool // the session may end, with a reason
	calls int  // calls that the model makes besides
	do    func(*faultyLine)
}{
	{name: "refuses once", do: func(l *faultyLine) {
		l.mu.Lock()
		defer l.mu.Unlock()
		for _, m := range []string{"Session", "SendAudio", "CommitAudio", "ClearAudio", "Generate", "Interrupt", "Truncate", "Update"} {
			l.refusing[m] = true
		}
	}},
	{name: "goes silent", do: func(l *faultyLine) {
		l.mu.Lock()
		defer l.mu.Unlock()
		l.dead = true
		for _, s := range l.model.all() {
			l.deadOnes[s] = true
		}
	}},
	{name: "breaks", ends: true, do: func(l *faultyLine) {
		l.model.fail(&agents.ProviderError{Provider: "wired", Op: "converse", Retryable: true, Err: agents.ErrConnection})
	}},
	{name: "floods", do: func(l *faultyLine) {
		l.mu.Lock()
		message := l.message
		l.mu.Unlock()
		var events []agents.RealtimeEvent
		for i := range 1000 {
			events = append(events,
				&agents.RealtimeMessageText{MessageID: fmt.Sprint("nobody's", i), Text: "flood"},
				&agents.RealtimeMessageAudio{MessageID: "nobody's", Frame: agents.Silence(20*ms, 24000, 1)},
				&agents.RealtimeTranscript{ItemID: "flood", Text: "flood"},
				&agents.RealtimeProblem{RequestID: fmt.Sprint("nobody's", i), Code: "flood"})
			if i < 100 {
				events = append(events, &agents.RealtimeMessageAudio{MessageID: message, Frame: agents.Silence(20*ms, 24000, 1)})
			}
		}
		l.put(events...)
	}},
	{name: "names what nobody knows", do: func(l *faultyLine) {
		l.put(&agents.RealtimeMessageText{MessageID: "nobody's", Text: "\x00\xff", Timed: true, Start: -time.Hour},
			&agents.RealtimeMessageAudio{MessageID: "nobody's", Frame: agents.AudioFrame{Samples: []int16{1, 2, 3}, Channels: 2}},
			&agents.RealtimeMessageStarted{ResponseID: "nobody's", MessageID: "nobody's", Audio: true},
			&agents.RealtimeMessageDone{MessageID: "nobody's"},
			&agents.RealtimeResponseDone{ResponseID: "nobody's"},
			&agents.RealtimeCall{ResponseID: "nobody's", Call: agents.ToolCall{ID: "x", Name: "look_up", Arguments: `{}`}},
			&agents.RealtimeResponseStarted{ResponseID: "nobody's", RequestID: "nobody's"},
			&agents.RealtimeTranscript{}, &agents.RealtimeTranscript{ItemID: "nobody's", Final: true},
			&agents.RealtimeItemAdded{PreviousID: "nobody's"},
			&agents.RealtimeItemAdded{PreviousID: "nobody's", Item: (*agents.ChatMessage)(nil)},
			&agents.RealtimeProblem{}, &agents.RealtimeProblem{RequestID: "nobody's"},
			&agents.RealtimeUsageReported{Usage: agents.RealtimeUsage{Session: -1}},
			strangeRealtimeEvent{}, nil)
	}},
	{name: "says things twice and in the wrong order", do: func(l *faultyLine) {
		l.mu.Lock()
		response, message := l.response, l.message
		l.mu.Unlock()
		l.put(&agents.RealtimeResponseStarted{ResponseID: response},
			&agents.RealtimeMessageStarted{ResponseID: response, MessageID: message, Audio: true},
			&agents.RealtimeMessageText{MessageID: message, Timed: true, Start: -time.Hour},
			&agents.RealtimeMessageDone{MessageID: message}, &agents.RealtimeMessageDone{MessageID: message},
			&agents.RealtimeMessageAudio{MessageID: message, Frame: agents.Silence(20*ms, 24000, 1)},
			&agents.RealtimeSpeechStopped{}, &agents.RealtimeReconnected{})
	}},
	{name: "sends audio that is none", do: func(l *faultyLine) {
		l.mu.Lock()
		message := l.message
		l.mu.Unlock()
		for _, f := range []agents.AudioFrame{
			{}, {SampleRate: 24000, Channels: 1}, {Samples: make([]int16, 3), SampleRate: 24000, Channels: 2},
			{Samples: make([]int16, 480), SampleRate: -1, Channels: 1}, {Samples: make([]int16, 480), SampleRate: 24000},
			{Samples: make([]int16, 480), SampleRate: 1 << 30, Channels: 1}, agents.Silence(20*ms, 8000, 2),
		} {
			l.put(&agents.RealtimeMessageAudio{MessageID: message, Frame: f})
		}
	}},
	{name: "makes calls that are none", do: func(l *faultyLine) {
		l.mu.Lock()
		response := l.response
		l.mu.Unlock()
		for _, call := range []agents.ToolCall{
			{ID: "broken", Name: "look_up", Arguments: `{"what":`}, {ID: "unknown", Name: "nothing", Arguments: `{}`},
			{ID: "twice", Name: "look_up", Arguments: `{"what":"x"}`}, {ID: "twice", Name: "look_up", Arguments: `{"what":"x"}`}, {},
		} {
			l.put(&agents.RealtimeCall{ResponseID: response, Call: call})
		}
	}},
	{name: "goes on after the end", do: func(l *faultyLine) {
		l.mu.Lock()
		l.late = true
		l.mu.Unlock()
		go func() {
			<-l.begun
			l.v.Interrupt(context.Background())
		}()
	}},
}

type strangeRealtimeEvent struct{ agents.RealtimeEvent }

// A fault costs what it has to and no more: in the end the agent answers, or the session has said why it ended; what was
// heard and said is in the history once; the states are those of rest; and closing takes no longer than it may.
func TestRealtimeFaultsAtEveryStage(t *testing.T) {
	for i, fault := range lineFaults {
		for j, stage := range faultStages {
			if raceDetector && (i+j)%4 != 0 {
				continue // each fault and each stage, but not each with each
			}
			t.Run(fault.name+"/"+string(stage), func(t *testing.T) {
				agenttest.Run(t, func(t *testing.T) {
					l := newFaultyLine(t, stage, fault.do)
					v := l.v
					v.Until(sec(40))
					closed := find[*agents.Closed](v)
					if closed == nil {
						for range 2 { // a model that has gone silent, or that could not be told, is noticed by a request
							if err := ends(t, v, v.GenerateReply(ask("Are you there?"))); err != nil {
								var pe *agents.ProviderError
								require.ErrorAs(t, err, &pe, v.Log())
							}
							v.Until(v.Since(time.Now()) + 5*time.Second)
						}
						require.Contains(t, transcript(v.History()), "user: Are you there?\nassistant: I am.\n", v.Log())
						v.Until(v.Since(time.Now()) + time.Second)
						require.Equal(t, agents.AgentListening, v.AgentState(), v.Log())
						require.NotEqual(t, agents.UserSpeaking, v.UserState(), v.Log())
					} else {
						require.True(t, fault.ends, v.Log())
						require.Equal(t, agents.CloseError, closed.Reason)
						var pe *agents.ProviderError
						require.ErrorAs(t, closed.Err, &pe)
					}
					l.reached(atClose)
					begin := time.Now()
					_ = v.Close()
					require.LessOrEqual(t, time.Since(begin), 5*time.Second)
					l.checkHistory(t)
				})
			})
		}
	}
}

// newFaultyLine begins the conversation.
func newFaultyLine(t *testing.T, stage faultStage, fault func(*faultyLine)) *faultyLine {
	script := agenttest.Voice(speaks(0.5, 2, "Look it up."), speaks(8, 9, "Sales, please."), speaks(11, 11.6, "Stop."), agenttest.Silence(sec(12), sec(200)))
	model := agenttest.NewRealtime(t, agenttest.RealtimeOptions{Voice: script},
		agenttest.OnUser("Look it up.").Turn().Timed().Speak("Let me look.", time.Second).Call("look_up", `{"what":"order"}`).Always(),
		agenttest.OnOutput("look_up").Turn().Timed().Speak("Found it.", time.Second).Always(),
		agenttest.OnInstructions("Greet the caller.").Turn().Timed().Speak("Hello, this is sales, what can I do?", 3*time.Second).Always(),
		agenttest.OnUser("Sales, please.").Turn().Call("hand_over", `{}`).Always(),
		agenttest.OnUser("Stop.").Turn().Speak("Stopped.", time.Second).Always(),
		agenttest.OnUser("Are you there?").Turn().Speak("I am.", time.Second).Always(),
		agenttest.Any().Turn().Speak("Hm.", 500*ms).Always())
	l := &faultyLine{begun: make(chan struct{}), stage: stage, fault: fault, refusing: map[string]bool{}, counts: map[string]int{}, deadOnes: map[*wiredSession]bool{}}
	l.model = &wiredRealtime{Realtime: model, instead: l.hear, asked: l.ask}
	lookUp := agents.ToolFunc("look_up", "Looks something up.", func(ctx context.Context, in lookUpArgs) (string, error) {
		sleep(ctx, time.Second)
		return "shipped", nil
	})
	sales := &agents.Agent{ID: "sales", Tools: []agents.Tool{lookUp}, OnEnter: func(ctx context.Context, s *agents.AgentSession) error {
		return s.GenerateReply(agents.Reply{Instructions: "Greet the caller."}).Wait(ctx)
	}}
	front := &agents.Agent{ID: "front", Tools: []agents.Tool{lookUp,
		agents.ToolFunc("hand_over", "Hands over.", func(context.Context, struct{}) (agents.Handoff, error) {
			return agents.Handoff{To: sales, Result: "Connecting."}, nil
		})}}
	opts := realtimeOptions(l.model)
	opts.UserAwayTimeout = agents.Never
	l.v = agenttest.StartVoice(t, opts, front, script)
	close(l.begun)
	return l
}

// checkHistory checks that what was said and heard is in the history, once.
func (l *faultyLine) checkHistory(t *testing.T) {
	v := l.v
	oneOutputPerCall(t, v.History())
	ids := map[string]bool{}
	var said []string
	for _, item := range v.History().Items() {
		require.False(t, ids[item.ItemID()], "%s is in the history twice\n%s", item.ItemID(), v.Log())
		ids[item.ItemID()] = true
		if m, ok := item.(*agents.ChatMessage); ok && m.Role == agents.RoleAssistant {
			said = append(said, m.Text())
			require.NotContains(t, m.Text(), "late", v.Log())
			require.NotContains(t, m.Text(), "flood", v.Log())
		}
	}
	heard := ""
	for _, e := range v.Recorded() {
		switch e := e.(type) {
		case *agents.AgentOutput:
			heard += e.Text
			if !e.Final {
				break
			}
			words, left := strings.Fields(heard), 1 // a word is shown in its middle, and was heard at its end
			heard = ""
			if len(said) > 0 {
				if kept := strings.Fields(said[0]); len(kept) <= len(words) && slices.Equal(kept, words[:len(kept)]) {
					said, left = said[1:], len(kept)+1
				}
			}
			require.LessOrEqual(t, len(words), left, "%q is not in the history\n%s", words, v.Log())
		case *agents.UserInputTranscribed:
			if e.Final && e.Transcript != "" {
				m, ok := v.History().Get(e.ItemID).(*agents.ChatMessage)
				require.True(t, ok, "%q of the user's is not in the history\n%s", e.Transcript, v.Log())
				require.Equal(t, e.Transcript, m.Text())
			}
		}
	}
	require.Empty(t, said, "in the history, and nobody heard it\n%s", v.Log())
}
