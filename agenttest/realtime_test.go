package agenttest

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/parley-voice/agents"
)

// A realtimeLog is what a session reports, as text, with the milliseconds since the log was begun. The audio that comes
// between two other events is one line, at the time of its first frame.
type realtimeLog struct {
	mu    sync.Mutex
	begin time.Time
	lines []string
	at    int64
	audio time.Duration
	of    string
	ended chan struct{}
}

func logRealtime(s agents.RealtimeSession) *realtimeLog {
	l := &realtimeLog{begin: time.Now(), ended: make(chan struct{})}
	go func() {
		defer close(l.ended)
		for {
			ev, err := s.Recv()
			l.add(ev, err)
			if err != nil {
				return
			}
		}
	}()
	return l
}

func (l *realtimeLog) add(ev agents.RealtimeEvent, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	now := time.Since(l.begin).Milliseconds()
	if audio, ok := ev.(*agents.RealtimeMessageAudio); ok && audio.Frame.Check() == nil {
		if audio.MessageID != l.of {
			l.flush()
		}
		if l.audio == 0 {
			l.at, l.of = now, audio.MessageID
		}
		l.audio += audio.Frame.Duration()
		return
	}
	l.flush()
	if err != nil {
		l.lines = append(l.lines, fmt.Sprintf("%d %v", now, err))
		return
	}
	l.lines = append(l.lines, fmt.Sprintf("%d %s", now, eventText(ev)))
}

func (l *realtimeLog) flush() {
	if l.audio > 0 {
		l.lines = append(l.lines, fmt.Sprintf("%d %s audio %v", l.at, l.of, l.audio))
	}
	l.audio = 0
}

// text returns the log so far.
func (l *realtimeLog) text() []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.flush()
	return slices.Clone(l.lines)
}

func (l *realtimeLog) want(t *testing.T, want ...string) {
	t.Helper()
	if got := l.text(); !slices.Equal(got, want) {
		t.Errorf("came:\n%s\nwant:\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

func eventText(ev agents.RealtimeEvent) string {
	switch ev := ev.(type) {
	case *agents.RealtimeSpeechStarted:
		return fmt.Sprintf("speech from %v", ev.At)
	case *agents.RealtimeSpeechStopped:
		return fmt.Sprintf("speech to %v, transcription %v", ev.At, ev.Transcription)
	case *agents.RealtimeTranscript:
		return fmt.Sprintf("%s heard %q final %v from %v", ev.ItemID, ev.Text, ev.Final, ev.Start)
	case *agents.RealtimeItemAdded:
		text := ""
		switch item := ev.Item.(type) {
		case *agents.ChatMessage:
			text = fmt.Sprintf(" %s %q", item.Role, item.Text())
		case *agents.FunctionCall:
			text = " call " + item.Name
		case *agents.FunctionCallOutput:
			text = " output " + item.Output
		}
		return fmt.Sprintf("item %s after %q%s", ev.Item.ItemID(), ev.PreviousID, text)
	case *agents.RealtimeReconnected:
		return "reconnected"
	case *agents.RealtimeUsageReported:
		return fmt.Sprintf("%s used %d", ev.ResponseID, ev.Usage.TotalTokens)
	case *agents.RealtimeProblem:
		return fmt.Sprintf("problem %q of %q: %v", ev.Code, ev.RequestID, ev.Err)
	case *agents.RealtimeResponseStarted:
		return fmt.Sprintf("%s for %q", ev.ResponseID, ev.RequestID)
	case *agents.RealtimeMessageStarted:
		return fmt.Sprintf("%s of %s, audio %v", ev.MessageID, ev.ResponseID, ev.Audio)
	case *agents.RealtimeMessageText:
		text := fmt.Sprintf("%s %q", ev.MessageID, ev.Text)
		if ev.Timed {
			text += fmt.Sprintf(" at %v", ev.Start)
		}
		return text
	case *agents.RealtimeMessageAudio:
		return ev.MessageID + " bad frame"
	case *agents.RealtimeMessageDone:
		return ev.MessageID + " done"
	case *agents.RealtimeCall:
		return fmt.Sprintf("%s of %s calls %s %s", ev.Call.ID, ev.ResponseID, ev.Call.Name, ev.Call.Arguments)
	case *agents.RealtimeResponseDone:
		return fmt.Sprintf("%s done, cancelled %v, error %v", ev.ResponseID, ev.Cancelled, ev.Err)
	}
	return fmt.Sprintf("%T", ev)
}

// openRealtime opens a session that ends with the test.
func openRealtime(t *testing.T, m agents.RealtimeModel, opts agents.RealtimeOptions) agents.RealtimeSession {
	t.Helper()
	s, err := m.Session(t.Context(), opts)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return s
}

// talk sends what a mic plays for so long.
func talk(t *testing.T, s agents.RealtimeSession, mic *Mic, d time.Duration) {
	t.Helper()
	for begin := time.Now(); time.Since(begin) < d; {
		f, err := mic.ReadFrame(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if err := s.SendAudio(f); err != nil {
			t.Fatal(err)
		}
		clear(f.Samples)
	}
}

func ask(t *testing.T, s agents.RealtimeSession, reqs ...agents.RealtimeRequest) {
	t.Helper()
	for _, r := range reqs {
		if err := s.Generate(r); err != nil {
			t.Fatal(err)
		}
	}
}

var errRealtime = errors.New("it broke")

func TestRealtimeResponses(t *testing.T) {
	usage := agents.RealtimeUsage{LLMUsage: agents.LLMUsage{TotalTokens: 7}}
	began := []string{`0 rt1_resp1 for "a"`}
	spoke := []string{"200 rt1_msg1 of rt1_resp1, audio true", `200 item rt1_msg1 after "" assistant ""`, `200 rt1_msg1 "Hello "`}
	whole := slices.Concat(spoke, []string{"200 rt1_msg1 audio 500ms", `325 rt1_msg1 "there."`, "325 rt1_msg1 audio 500ms", "450 rt1_msg1 done"})
	tests := []struct {
		name string
		turn RealtimeTurn
		do   func(agents.RealtimeSession)
		want []string
	}{
		{"speech", Any().Turn().Speak("Hello there.", time.Second).Usage(usage), nil,
			slices.Concat(began, whole, []string{"450 rt1_resp1 used 7", "450 rt1_resp1 done, cancelled false, error <nil>"})},
		{"timed, slow and late", Any().Turn().Speak("Hello there.", time.Second).Timed().Speed(1).FirstOutput(50 * ms), nil,
			slices.Concat(began, []string{"50 rt1_msg1 of rt1_resp1, audio true", `50 item rt1_msg1 after "" assistant ""`, `50 rt1_msg1 "Hello " at 0s`, "50 rt1_msg1 audio 500ms",
				`550 rt1_msg1 "there." at 500ms`, "550 rt1_msg1 audio 500ms", "1050 rt1_msg1 done", "1050 rt1_resp1 done, cancelled false, error <nil>"})},
		{"text only", Any().Turn().Write("Hello there."), nil,
			slices.Concat(began, []string{"200 rt1_msg1 of rt1_resp1, audio false", `200 item rt1_msg1 after "" assistant ""`, `200 rt1_msg1 "Hello "`, `200 rt1_msg1 "there."`,
				"200 rt1_msg1 done", "200 rt1_resp1 done, cancelled false, error <nil>"})},
		{"several messages and calls", Any().Turn().Write("One.").Speak("Two.", 400*ms).Call("x", "{}").Call("y", `{"a":1}`), nil,
			slices.Concat(began, []string{"200 rt1_msg1 of rt1_resp1, audio false", `200 item rt1_msg1 after "" assistant ""`, `200 rt1_msg1 "One."`, "200 rt1_msg1 done",
				"200 rt1_msg2 of rt1_resp1, audio true", `200 item rt1_msg2 after "rt1_msg1" assistant ""`, `200 rt1_msg2 "Two."`, "200 rt1_msg2 audio 400ms", "300 rt1_msg2 done",
				"300 rt1_call1 of rt1_resp1 calls x {}", `300 item rt1_call1_item after "rt1_msg2" call x`, `300 rt1_call2 of rt1_resp1 calls y {"a":1}`, `300 item rt1_call2_item after "rt1_call1_item" call y`,
				"300 rt1_resp1 done, cancelled false, error <nil>"})},
		{"empty", Any().Turn().Empty(), nil, slices.Concat(began, []string{"200 rt1_resp1 done, cancelled false, error <nil>"})},
		{"refused", Any().Turn().Refuse(errRealtime, "busy"), nil, []string{`0 problem "busy" of "a": it broke`}},
		{"ignored", Any().Turn().Ignore(), nil, nil},
		{"fails in the middle", Any().Turn().Speak("Hello there.", time.Second).FailAt(300*ms, errRealtime), nil,
			slices.Concat(began, spoke, []string{"200 rt1_msg1 audio 300ms", "275 rt1_msg1 done", "275 rt1_resp1 done, cancelled false, error it broke"})},
		{"fails before", Any().Turn().Speak("Hello there.", time.Second).FailAt(0, errRealtime), nil,
			slices.Concat(began, []string{"200 rt1_resp1 done, cancelled false, error it broke"})},
		{"stalls", Any().Turn().Speak("Hello there.", time.Second).StallAt(300 * ms), nil,
			slices.Concat(began, spoke, []string{"200 rt1_msg1 audio 300ms"})},
		{"stalls and is interrupted", Any().Turn().Speak("Hello there.", time.Second).StallAt(300 * ms), interruptAt(t, 5*time.Second),
			slices.Concat(began, spoke, []string{"200 rt1_msg1 audio 300ms", "5000 rt1_msg1 done", "5000 rt1_resp1 done, cancelled true, error <nil>"})},
		{"interrupted", Any().Turn().Speak("Hello there.", time.Second).Call("x", "{}"), interruptAt(t, 301*ms),
			slices.Concat(began, spoke, []string{"200 rt1_msg1 audio 420ms", "301 rt1_msg1 done", "301 rt1_resp1 done, cancelled true, error <nil>"})},
		{"interrupted before", Any().Turn().Speak("Hello there.", time.Second), interruptAt(t, 100*ms),
			slices.Concat(began, []string{"100 rt1_resp1 done, cancelled true, error <nil>"})},
		{"interrupted after", Any().Turn().Speak("Hello there.", time.Second), interruptAt(t, time.Second),
			slices.Concat(began, whole, []string{"450 rt1_resp1 done, cancelled false, error <nil>"})},
		{"interrupted, and late to hear of it", Any().Turn().Speak("Hello there.", time.Second).Lag(99 * ms), interruptAt(t, 301*ms),
			slices.Concat(began, whole[:len(whole)-2], []string{"325 rt1_msg1 audio 320ms", "400 rt1_msg1 done", "400 rt1_resp1 done, cancelled true, error <nil>"})},
		{"interrupted, with something stray", Any().Turn().Speak("Hello there.", time.Second).Stray(), interruptAt(t, 301*ms),
			slices.Concat(began, spoke, []string{"200 rt1_msg1 audio 420ms", "301 rt1_msg1 done", "301 rt1_resp1 done, cancelled true, error <nil>", `301 rt1_msg1 "stray"`, "301 rt1_msg1 audio 20ms"})},
		{"cut", Any().Turn().Speak("Hello there.", time.Second).CutAt(300 * ms), nil,
			slices.Concat(began, spoke, []string{"200 rt1_msg1 audio 300ms", "275 agenttest: converse: connection failed"})},
		{"reconnects", Any().Turn().Speak("Hello there.", time.Second).ReconnectAt(300 * ms), nil,
			slices.Concat(began, spoke, []string{"200 rt1_msg1 audio 300ms", "275 rt1_msg1 done", "275 rt1_resp1 done, cancelled true, error <nil>", "575 reconnected"})},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := openRealtime(t, NewRealtime(t, RealtimeOptions{}, test.turn), agents.RealtimeOptions{})
				log := logRealtime(s)
				ask(t, s, agents.RealtimeRequest{ID: "a"})
				if test.do != nil {
					test.do(s)
				}
				time.Sleep(10 * time.Second)
				log.want(t, test.want...)
			})
		})
	}
}

func interruptAt(t *testing.T, d time.Duration) func(agents.RealtimeSession) {
	return func(s agents.RealtimeSession) {
		time.Sleep(d)
		if err := s.Interrupt(); err != nil {
			t.Error(err)
		}
	}
}

func TestRealtimeTakesTurns(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		voice := ParseVoice(t, `s500 v1000"Where is my order?" s1500 v300 s700 v500"Seven." s200 v500"Thanks."`)
		m := NewRealtime(t, RealtimeOptions{Voice: voice},
			OnUser("Where is my order?").Turn().Speak("Let me look.", 4*time.Second).Speed(1),
			OnUser("Seven. Thanks.").Turn().Empty())
		s := openRealtime(t, m, agents.RealtimeOptions{})
		log := logRealtime(s)
		talk(t, s, NewMic(voice), 6*time.Second)
		log.want(t,
			"560 speech from 500ms",
			`1600 rt1_user1 heard "Where is" final false from 500ms`,
			"2000 speech to 1.5s, transcription true",
			`2000 item rt1_user1 after "" user "Where is my order?"`,
			`2000 rt1_user1 heard "Where is my order?" final true from 500ms`,
			`2000 rt1_resp1 for ""`,
			"2200 rt1_msg1 of rt1_resp1, audio true", `2200 item rt1_msg1 after "rt1_user1" assistant ""`, `2200 rt1_msg1 "Let "`, "2200 rt1_msg1 audio 880ms",
			"3060 speech from 3s", "3060 rt1_msg1 done", "3060 rt1_resp1 done, cancelled true, error <nil>",
			"3800 speech to 3.3s, transcription false",
			"4060 speech from 4s",
			`4600 rt1_user3 heard "Seven." final false from 4s`,
			`5300 rt1_user3 heard "Seven. Thanks." final false from 4s`,
			"5700 speech to 5.2s, transcription true",
			`5700 item rt1_user3 after "rt1_msg1" user "Seven. Thanks."`,
			`5700 rt1_user3 heard "Seven. Thanks." final true from 4s`,
			`5700 rt1_resp2 for ""`, "5900 rt1_resp2 done, cancelled false, error <nil>",
		)
		if m.Audio() != 6*time.Second {
			t.Errorf("heard %v", m.Audio())
		}
	})
}

func TestRealtimeIsToldTheTurns(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		voice := Voice(Speech(100*ms, 500*ms, "Forget it."), Speech(time.Second, 2*time.Second, "I am here").Delay(800*ms), Silence(2*time.Second, 10*time.Second))
		m := NewRealtime(t, RealtimeOptions{Voice: voice}, OnUser("I am here").Turn().Empty())
		s := openRealtime(t, m, agents.RealtimeOptions{TurnDetection: agents.Off})
		log := logRealtime(s)
		mic := NewMic(voice)
		check := func(err error) {
			if err != nil {
				t.Error(err)
			}
		}
		check(s.CommitAudio())
		talk(t, s, mic, 500*ms)
		check(s.ClearAudio())
		check(s.UserActivity())
		talk(t, s, mic, 1600*ms)
		check(s.CommitAudio())
		ask(t, s, agents.RealtimeRequest{ID: "a"})
		talk(t, s, mic, 2*time.Second)
		log.want(t, `0 problem "empty_audio" of "": agenttest: converse: there is no audio to commit`,
			`2100 item rt1_user1 after "" user ""`, `2100 rt1_resp1 for "a"`, "2300 rt1_resp1 done, cancelled false, error <nil>",
			`2900 rt1_user1 heard "I am here" final true from 1s`)
		if got := strings.Join(m.Asked(), "; "); got != "open; commit; clear; activity; commit; generate a" {
			t.Errorf("was asked: %s", got)
		}
	})
}

// A session that begins in the middle of what the caller says, as after another model has failed, hears the rest.
func TestRealtimeHearsTheRest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		voice := ParseVoice(t, `s500 v1000"one two three four" s2000`)
		s := openRealtime(t, NewRealtime(t, RealtimeOptions{Voice: voice}, OnUser("three four").Turn().Empty()), agents.RealtimeOptions{})
		log := logRealtime(s)
		if err := s.SendAudio(voice.Audio().Slice(900*ms, 3*time.Second)); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Second)
		log.want(t, "0 speech from 0s", `0 rt1_user1 heard "three four" final false from 0s`, "0 speech to 600ms, transcription true",
			`0 item rt1_user1 after "" user "three four"`, `0 rt1_user1 heard "three four" final true from 0s`, `0 rt1_resp1 for ""`,
			"200 rt1_resp1 done, cancelled false, error <nil>")
	})
}

func TestRealtimeRemembers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := NewRealtime(t, RealtimeOptions{UpdateTime: 50 * ms, Capabilities: func(c *agents.RealtimeCapabilities) { c.AutoToolReply = true }},
			OnInstructions("Greet").Turn().Speak("Good day.", time.Second),
			When(func(req agents.ChatRequest) bool {
				return len(ToolNames(req)) == 1 && req.ToolChoice == agents.Required && conversation(req)[0].(*agents.ChatMessage).Text() == "Good"
			}).Turn().Call("look", "{}"),
			OnOutput("look").Turn().Write("Found."))
		first := agents.NewChatContext()
		s := openRealtime(t, m, agents.RealtimeOptions{Instructions: "Be brief.", Context: first})
		log := logRealtime(s)
		check := func(err error) {
			t.Helper()
			if err != nil {
				t.Error(err)
			}
		}
		ask(t, s, agents.RealtimeRequest{ID: "a", Instructions: "Greet."}, agents.RealtimeRequest{ID: "early"})
		time.Sleep(time.Second)
		check(s.Truncate(agents.RealtimeTruncation{MessageID: "rt1_msg1", AudioEnd: 500 * ms, Text: "Good"}))
		check(s.Truncate(agents.RealtimeTruncation{MessageID: "rt1_msg1", AudioEnd: 2 * time.Second}))
		check(s.Truncate(agents.RealtimeTruncation{MessageID: "other"}))
		tool := agents.ToolFunc("look", "Look.", func(context.Context, struct{}) (string, error) { return "", nil })
		ask(t, s, agents.RealtimeRequest{ID: "b", Tools: []agents.Tool{tool}, ToolChoice: agents.Required})
		time.Sleep(time.Second)
		instructions := "Be kind."
		check(s.Update(t.Context(), agents.RealtimeUpdate{Instructions: &instructions, ToolChoice: agents.NoTools}))
		call := &agents.FunctionCall{ItemMeta: agents.ItemMeta{ID: "rt1_call1_item"}, CallID: "rt1_call1", Name: "look", Arguments: "{}"}
		out := &agents.FunctionCallOutput{ItemMeta: agents.ItemMeta{ID: "out"}, CallID: "rt1_call1", Name: "look", Output: "a key", ReplyRequired: true}
		check(s.Update(t.Context(), agents.RealtimeUpdate{Context: agents.NewChatContext(call, out)}))
		time.Sleep(time.Second)
		log.want(t, `0 rt1_resp1 for "a"`, `0 problem "response_active" of "early": agenttest: converse: there is a response in the making`,
			"200 rt1_msg1 of rt1_resp1, audio true", `200 item rt1_msg1 after "" assistant ""`, `200 rt1_msg1 "Good "`, "200 rt1_msg1 audio 560ms",
			`338 rt1_msg1 "day."`, "340 rt1_msg1 audio 440ms", "450 rt1_msg1 done", "450 rt1_resp1 done, cancelled false, error <nil>",
			`1000 problem "too_short" of "": agenttest: converse: the message has less audio than that`,
			`1000 problem "no_message" of "": agenttest: converse: there is no such message to truncate`,
			`1000 rt1_resp2 for "b"`, "1200 rt1_call1 of rt1_resp2 calls look {}", `1200 item rt1_call1_item after "rt1_msg1" call look`, "1200 rt1_resp2 done, cancelled false, error <nil>",
			`2100 item out after "rt1_call1_item" output a key`, `2100 rt1_resp3 for ""`,
			"2300 rt1_msg2 of rt1_resp3, audio false", `2300 item rt1_msg2 after "out" assistant ""`, `2300 rt1_msg2 "Found."`, "2300 rt1_msg2 done", "2300 rt1_resp3 done, cancelled false, error <nil>")
		if got := m.Sessions(); len(got) != 1 || got[0].Instructions != "Be brief." {
			t.Errorf("sessions: %+v", got)
		}
		if got := m.Updates(); len(got) != 2 || *got[0].Instructions != "Be kind." || got[1].Context.Len() != 2 {
			t.Errorf("updates: %+v", got)
		}
		if got := m.Truncations(); len(got) != 3 || got[0].Text != "Good" {
			t.Errorf("truncations: %+v", got)
		}
		if got := m.Requests(); len(got) != 3 || got[0].Instructions != "Greet." {
			t.Errorf("requests: %+v", got)
		}
	})
}

func TestRealtimeSays(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := NewRealtime(t, RealtimeOptions{}, OnSay("No.").Refuse(errRealtime, ""), Any().Turn().Speak("unused", time.Second).Always())
		s := openRealtime(t, m, agents.RealtimeOptions{TextOnly: true})
		log := logRealtime(s)
		ask(t, s, agents.RealtimeRequest{ID: "a", Say: "No."}, agents.RealtimeRequest{ID: "b", Say: "Yes."})
		time.Sleep(time.Second)
		log.want(t, `0 problem "" of "a": it broke`, `0 rt1_resp1 for "b"`, "200 rt1_msg1 of rt1_resp1, audio false",
			`200 item rt1_msg1 after "" assistant ""`, `200 rt1_msg1 "Yes."`, "200 rt1_msg1 done", "200 rt1_resp1 done, cancelled false, error <nil>")
	})
}
