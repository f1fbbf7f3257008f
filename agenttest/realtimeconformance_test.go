package agenttest

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/parley-voice/agents"
)

// A memRealtime is a plugin and its provider in one: the scripted Realtime, of which fault breaks a rule.
type memRealtime struct {
	*Realtime
	fault string

	mu   sync.Mutex
	lost time.Duration
}

func newMemRealtime(t tb, fault string, can func(*agents.RealtimeCapabilities), sessions []Conversation) *memRealtime {
	opts := RealtimeOptions{Capabilities: can}
	if len(sessions) > 0 {
		opts.Voice = sessions[0].Script
	}
	var faults []VoiceFault
	var turns []RealtimeTurn
	for i, s := range sessions {
		if s.Status != 0 {
			if i == 0 {
				faults = append(faults, Refuse(StatusError(s.Status)))
			}
			continue
		}
		for _, r := range s.Replies {
			turns = append(turns, memTurn(r, i+1 < len(sessions) && sessions[i+1].Status == 0))
		}
	}
	m := &memRealtime{Realtime: newRealtime(t, opts, turns...), fault: fault}
	m.Faults(faults...)
	return m
}

func memTurn(r RealtimeReply, reconnects bool) RealtimeTurn {
	turn := Any().Turn().FirstOutput(time.Millisecond).Speed(100).Empty()
	if r.Text != "" {
		turn = turn.Speak(r.Text, r.Audio).Timed()
	}
	if r.Call != nil {
		turn = turn.Call(r.Call.Name, strings.Join(r.Call.Arguments, ""))
	}
	if r.Usage != nil {
		turn = turn.Usage(agents.RealtimeUsage{LLMUsage: *r.Usage})
	}
	switch {
	case r.Refused:
		return turn.Refuse(StatusError(429), "rate_limit")
	case r.End == Hang:
		return turn.StallAt(r.Audio)
	case r.End == Broken:
		return turn.FailAt(r.Audio, StatusError(500))
	case r.End == Cut && reconnects:
		return turn.ReconnectAt(r.Audio)
	case r.End == Cut:
		return turn.CutAt(r.Audio)
	}
	return turn
}

func (m *memRealtime) Audio() time.Duration {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.Realtime.Audio() - m.lost
}

func (m *memRealtime) Texts() (texts []string) {
	conversation := func(c *agents.ChatContext, known *agents.ChatContext) {
		for _, change := range known.Diff(c).Create {
			switch item := change.Item.(type) {
			case *agents.ChatMessage:
				texts = append(texts, item.Text())
			case *agents.FunctionCallOutput:
				texts = append(texts, item.Output)
			}
		}
	}
	known := &agents.ChatContext{}
	for _, s := range m.Sessions() {
		texts = append(texts, s.Instructions)
		conversation(s.Context, known)
	}
	for _, u := range m.Updates() {
		if u.Instructions != nil {
			texts = append(texts, *u.Instructions)
		}
		if u.Context != nil {
			conversation(u.Context, known)
			if m.fault != "sends all again" {
				known = u.Context
			}
		}
	}
	for _, r := range m.Requests() {
		texts = append(texts, r.Instructions, r.Say)
	}
	return texts
}

func (m *memRealtime) Session(ctx context.Context, opts agents.RealtimeOptions) (agents.RealtimeSession, error) {
	switch m.fault {
	case "deaf":
		ctx = context.WithoutCancel(ctx)
	case "forgets":
		opts.Instructions = ""
	case "never text only":
		opts.TextOnly = false
	case "answers at once":
		opts.TurnDetection = agents.On
	}
	s, err := m.Realtime.Session(ctx, opts)
	if err != nil {
		if m.fault == "plain errors" {
			err = errors.New("refused")
		}
		return nil, err
	}
	return &memRealtimeSession{RealtimeSession: s, m: m}, nil
}

type memRealtimeSession struct {
	agents.RealtimeSession
	m      *memRealtime
	frames int
	again  []agents.RealtimeEvent
}

func (s *memRealtimeSession) SendAudio(f agents.AudioFrame) error {
	s.frames++
	if s.m.fault == "any format" && f.SampleRate != voiceRate {
		return nil
	}
	if s.m.fault == "loses audio" && s.frames == 5 {
		s.m.mu.Lock()
		defer s.m.mu.Unlock()
		s.m.lost += f.Duration()
	}
	return s.RealtimeSession.SendAudio(f)
}

func (s *memRealtimeSession) Interrupt() error {
	if s.m.fault == "cannot be interrupted" {
		return nil
	}
	return s.RealtimeSession.Interrupt()
}

func (s *memRealtimeSession) Truncate(t agents.RealtimeTruncation) error {
	switch s.m.fault {
	case "truncates another":
		t.MessageID += "x"
	case "does it all the same":
		return nil
	}
	return s.RealtimeSession.Truncate(t)
}

func (s *memRealtimeSession) Generate(r agents.RealtimeRequest) error {
	switch s.m.fault {
	case "says something else":
		r.Say = strings.Replace(r.Say, "Good", "Bad", 1)
	case "asks twice":
		if err := s.RealtimeSession.Generate(r); err != nil {
			return err
		}
		r.ID += "_again"
	}
	return s.RealtimeSession.Generate(r)
}

func (s *memRealtimeSession) Update(ctx context.Context, u agents.RealtimeUpdate) error {
	if s.m.fault == "ignores updates" && (u.Instructions != nil || u.Context != nil) {
		return nil
	}
	return s.RealtimeSession.Update(ctx, u)
}

func (s *memRealtimeSession) Recv() (agents.RealtimeEvent, error) {
	if len(s.again) > 0 {
		ev := s.again[0]
		s.again = s.again[1:]
		return ev, nil
	}
	ev, err := s.RealtimeSession.Recv()
	skip := false
	switch e := ev.(type) {
	case *agents.RealtimeResponseStarted:
		if s.m.fault == "anonymous" && e.RequestID != "" {
			e.RequestID = ""
		}
	case *agents.RealtimeMessageText:
		skip = s.m.fault == "loses text"
		if s.m.fault == "times backwards" {
			e.Start = -e.Start
		}
	case *agents.RealtimeMessageAudio:
		if s.m.fault == "changes the format" && e.Frame.Len() == 100 {
			e.Frame.Channels = 2
		}
		if s.m.fault == "repeats audio" {
			s.again = append(s.again, e)
		}
	case *agents.RealtimeMessageDone:
		skip = s.m.fault == "leaves messages open"
	case *agents.RealtimeCall:
		if s.m.fault == "fragments of calls" {
			e.Call.Arguments = e.Call.Arguments[:5]
		}
	case *agents.RealtimeResponseDone:
		switch s.m.fault {
		case "ends twice":
			s.again = append(s.again, e)
		case "hides failures":
			e.Err = nil
		case "hides cancelling":
			e.Cancelled = false
		}
	case *agents.RealtimeUsageReported:
		if s.m.fault == "counts twice" {
			s.again = append(s.again, e)
		}
	case *agents.RealtimeTranscript:
		if s.m.fault == "transcribes twice" && e.Final {
			s.again = append(s.again, e)
		}
	case *agents.RealtimeSpeechStopped:
		skip = s.m.fault == "never stops"
	case *agents.RealtimeProblem:
		skip = s.m.fault == "hides problems"
	case *agents.RealtimeItemAdded:
		skip = s.m.fault == "hides items"
	case *agents.RealtimeReconnected:
		skip = s.m.fault == "hides reconnections"
		if s.m.fault == "garbage" {
			return strangeEvent{}, nil
		}
	}
	if skip {
		return s.Recv()
	}
	if errors.Is(err, agents.ErrConnection) && s.m.fault == "hides the cause" {
		err = errors.New("cut")
	}
	return ev, err
}

func (s *memRealtimeSession) Close() error {
	if s.m.fault == "closes late" {
		time.AfterFunc(time.Second, func() { _ = s.RealtimeSession.Close() })
		return nil
	}
	return s.RealtimeSession.Close()
}

func onlyText(c *agents.RealtimeCapabilities) { *c = agents.RealtimeCapabilities{} }

func TestRealtimeConformance(t *testing.T) {
	for name, can := range map[string]func(*agents.RealtimeCapabilities){
		"can do everything": nil,
		"can do little":     onlyText,
		"answers outputs":   func(c *agents.RealtimeCapabilities) { c.AutoToolReply, c.DisableTurnDetection = true, false },
	} {
		t.Run(name, func(t *testing.T) {
			TestRealtime(t, RealtimeUnderTest{New: func(t *testing.T, sessions ...Conversation) (agents.RealtimeModel, RealtimeFake) {
				m := newMemRealtime(t, "", can, sessions)
				t.Cleanup(m.log.check)
				return m, m
			}})
		})
	}
}

// A fallback is as good as the member that serves. Only what it says of all that failed is its own.
func TestRealtimeConformanceOfAFallback(t *testing.T) {
	for _, check := range realtimeChecks(RealtimeUnderTest{}) {
		if check.name == "refused" {
			continue
		}
		t.Run(check.name, func(t *testing.T) {
			VerifyNoLeaks(t)
			can := func(c *agents.RealtimeCapabilities) { c.SampleRate = 24000 }
			if check.name == "refuses what it cannot do" {
				can = onlyText
			}
			check.run(&realtimeCheck{tb: t, patience: leakLimit, start: func(sessions ...Conversation) (agents.RealtimeModel, RealtimeFake) {
				absent := newRealtime(t, RealtimeOptions{Name: "absent", Capabilities: can})
				absent.Faults(Refuse(StatusError(503)), Refuse(StatusError(503)))
				m := newMemRealtime(t, "", can, sessions)
				f, err := agents.NewFallbackRealtime(agents.RealtimeFallbackOptions{}, absent, m)
				if err != nil {
					t.Fatal(err)
				}
				return f, m
			}})
		})
	}
}

func TestRealtimeConformanceFindsFaults(t *testing.T) {
	var faults sync.WaitGroup
	atOnce := make(chan struct{}, 4) // most of a check is waiting for what does not come
	for _, test := range []struct {
		fault string
		can   func(*agents.RealtimeCapabilities)
		found []string // nil for most checks, of which only "responds" is run
	}{
		{"deaf", nil, []string{"cancelled"}},
		{"closes late", nil, []string{"closed"}},
		{"plain errors", nil, []string{"refused"}},
		{"hides the cause", nil, []string{"fails"}},
		{"forgets", nil, []string{"is told what it begins with", "reconnects"}},
		{"never text only", nil, []string{"text only"}},
		{"answers at once", nil, []string{"is told the turns"}},
		{"any format", nil, []string{"audio is copied and checked"}},
		{"loses audio", nil, []string{"audio is copied and checked", "is told the turns", "takes turns"}},
		{"cannot be interrupted", nil, []string{"cancelled", "closed", "interrupted"}},
		{"truncates another", nil, []string{"truncates"}},
		{"does it all the same", onlyText, []string{"refuses what it cannot do"}},
		{"says something else", nil, []string{"says"}},
		{"ignores updates", nil, []string{"calls", "updates instructions", "updates the conversation"}},
		{"sends all again", nil, []string{"updates the conversation"}},
		{"anonymous", nil, nil},
		{"loses text", nil, nil},
		{"times backwards", nil, nil},
		{"repeats audio", nil, nil},
		{"leaves messages open", nil, nil},
		{"fragments of calls", nil, []string{"calls"}},
		{"ends twice", nil, nil},
		{"asks twice", nil, nil},
		{"hides failures", nil, []string{"a response fails"}},
		{"hides cancelling", nil, []string{"interrupted", "reconnects"}},
		{"counts twice", nil, []string{"usage"}},
		{"transcribes twice", nil, []string{"is told the turns", "takes turns"}},
		{"never stops", nil, []string{"takes turns"}},
		{"hides problems", nil, []string{"a request is refused"}},
		{"hides items", nil, []string{"updates the conversation"}},
		{"hides reconnections", nil, []string{"reconnects"}},
		{"garbage", nil, []string{"reconnects"}},
	} {
		atOnce <- struct{}{}
		faults.Go(func() {
			defer func() { <-atOnce }()
			want := test.found
			if want == nil {
				want = []string{"responds"}
			}
			found, texts := memRealtimeFailures(t, test.fault, test.can, test.found == nil)
			if !slices.Equal(found, want) {
				t.Errorf("%s: found by %q, want %q:\n%s", test.fault, found, want, strings.Join(texts, "\n"))
			}
		})
	}
	faults.Wait()
}

// memRealtimeFailures returns the checks that fail, all at once or "responds" alone, and how.
func memRealtimeFailures(t *testing.T, fault string, can func(*agents.RealtimeCapabilities), one bool) (found, texts []string) {
	var mu sync.Mutex
	var running sync.WaitGroup
	for _, check := range realtimeChecks(RealtimeUnderTest{}) {
		if one && check.name != "responds" || check.unless != nil && check.unless(newMemRealtime(t, "", can, nil).Capabilities()) != "" {
			continue
		}
		running.Go(func() {
			failure := failureOf(t, func(fake tb) {
				check.run(&realtimeCheck{tb: fake, patience: 2 * time.Second, start: func(s ...Conversation) (agents.RealtimeModel, RealtimeFake) {
					m := newMemRealtime(fake, fault, can, s)
					return m, m
				}})
			})
			mu.Lock()
			defer mu.Unlock()
			if failure != "" {
				found = append(found, check.name)
				texts = append(texts, check.name+": "+failure)
			}
		})
	}
	running.Wait()
	slices.Sort(found)
	return found, texts
}
