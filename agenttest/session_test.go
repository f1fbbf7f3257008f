package agenttest_test

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"os"
	"path/filepath"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"github.com/parley-voice/agents"
	"github.com/parley-voice/agents/agenttest"
)

var update = flag.Bool("update", false, "rewrite the files that logs are compared with")

// golden compares a log with a file.
func golden(t *testing.T, name, got string) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if *update {
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Fatalf("the log is\n%s\nwant, as in %s,\n%s", got, path, want)
	}
}

// busyConversation has two tools run for the same time, one of which hands over.
func busyConversation(t *testing.T) *agenttest.Session {
	llm := agenttest.NewLLM(t,
		agenttest.OnUser("hello").TTFT(300*time.Millisecond).Say("Hi, who is it?").For(time.Second).Usage(agents.LLMUsage{TotalTokens: 5}),
		agenttest.OnUser("John, about my bill and order 7").TTFT(200*time.Millisecond).Say("One moment.").
			Call("order_status", `{"order_id":"7"}`).
			Call("transfer_to_specialist", `{"name":"John","category":"billing"}`),
		agenttest.OnOutput("order_status").Say("Your order is lost."),
		agenttest.OnInstructions("billing problem").TTFT(time.Second).Say("Let's look at that bill, John."))
	s := agenttest.Start(t, agents.Options{LLM: llm, UserData: &Caller{}}, NewIntake(), agenttest.Setup{
		Mocks: map[string]agenttest.Mocks{"intake": {
			"order_status": agenttest.After(2*time.Second, agenttest.Returns(map[string]string{"status": "lost"})),
		}},
	})
	if id := s.Agent(); id != "intake" {
		t.Errorf("the floor has %q", id)
	}
	s.User("hello").Next().IsMessage("assistant").HasText("Hi, who is it?")
	r := s.User("John, about my bill and order 7")
	r.ContainsOutput(`{"status":"lost"}`)
	r.ContainsHandoff("specialist")
	r.At(-1).IsMessage("assistant").Contains("John")
	if id := s.Agent(); id != "specialist" {
		t.Errorf("the floor has %q", id)
	}
	return s
}

func TestLogIsTheSameInEveryRun(t *testing.T) {
	for range 100 {
		agenttest.Run(t, func(t *testing.T) {
			golden(t, "busy.log", busyConversation(t).Log())
		})
	}
}

func TestConversationUnderManyOrders(t *testing.T) {
	agenttest.Explore(t, 50, func(t *testing.T) { busyConversation(t) })
}

func TestOneSeedGivesOneLog(t *testing.T) {
	t.Setenv("PARLEY_SEED", "7")
	var first string
	for range 10 {
		agenttest.Explore(t, 1, func(t *testing.T) {
			log := busyConversation(t).Log()
			if first == "" {
				first = log
			}
			if log != first {
				t.Fatalf("the log is\n%s\nand before\n%s", log, first)
			}
		})
	}
}

func TestSessionsOfOneBubble(t *testing.T) {
	agenttest.Run(t, func(t *testing.T) {
		llm := agenttest.NewLLM(t, agenttest.Any().TTFT(time.Second).Say("yes").Times(20))
		begin := time.Now()
		done := make(chan struct{})
		for range 20 {
			s := agenttest.Start(t, agents.Options{LLM: llm}, &agents.Agent{})
			go func() {
				if r, err := s.TryUser("well?"); err != nil || r.Len() != 1 {
					t.Errorf("came %d items, %v", r.Len(), err)
				}
				done <- struct{}{}
			}()
		}
		for range 20 {
			<-done
		}
		if d := time.Since(begin); d != time.Second {
			t.Errorf("20 sessions at once took %v", d)
		}
	})
}

func TestStartRun(t *testing.T) {
	agenttest.Run(t, func(t *testing.T) {
		llm := agenttest.NewLLM(t, agenttest.OnInstructions("Help the caller").Say("How can I help?"))
		s, r := agenttest.StartRun(t, agents.Options{LLM: llm}, NewSpecialist("billing", nil))
		r.Next().IsHandoff("", "specialist")
		r.Next().IsMessage("assistant")
		r.None()
		var handoff bool
		for _, e := range s.Recorded() {
			if e, ok := e.(*agents.ItemAdded); ok {
				_, is := e.Item.(*agents.AgentHandoff)
				handoff = handoff || is
			}
		}
		if !handoff {
			t.Errorf("no handoff was recorded in\n%s", s.Log())
		}
	})
}

func TestEventsReachTheTestsOwnReceiver(t *testing.T) {
	agenttest.Run(t, func(t *testing.T) {
		var got []uint64
		s := agenttest.Start(t, agents.Options{OnEvent: func(e agents.Event) { got = append(got, e.Number()) }}, &agents.Agent{})
		s.Say("Hello.").Wait(t.Context())
		var want []uint64
		for _, e := range s.Recorded() {
			want = append(want, e.Number())
		}
		if len(want) == 0 || !slices.Equal(got, want) {
			t.Errorf("got events %v, recorded %v", got, want)
		}
	})
}

func TestTryUserReturnsTheError(t *testing.T) {
	agenttest.Run(t, func(t *testing.T) {
		llm := agenttest.NewLLM(t, agenttest.Any().Fail(agenttest.StatusError(401)))
		s := agenttest.Start(t, agents.Options{LLM: llm}, &agents.Agent{})
		r, err := s.TryUser("hello")
		var failure *agents.ProviderError
		if !errors.As(err, &failure) || failure.Status != 401 {
			t.Errorf("the error is %v", err)
		}
		r.None()
		s.Close()
		if r, err = s.TryUser("hello?"); !errors.Is(err, agents.ErrSessionClosed) {
			t.Errorf("after Close the error is %v", err)
		}
		r.None()
	})
}

func TestUserGivesUpOnAHangingTool(t *testing.T) {
	agenttest.Run(t, func(t *testing.T) {
		llm := agenttest.NewLLM(t, agenttest.OnUser("go").Call("order_status", `{"order_id":"7"}`), agenttest.Any().Empty().Always())
		s := agenttest.Start(t, agents.Options{LLM: llm, UserData: &Caller{}}, NewIntake())
		s.MockTools("intake", agenttest.Mocks{"order_status": agenttest.After(100*time.Hour, agenttest.Returns(1))})
		begin := time.Now()
		if _, err := s.TryUser("go"); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("the error is %v", err)
		}
		if d := time.Since(begin); d != time.Hour {
			t.Errorf("gave up after %v", d)
		}
	})
}

func TestMockTools(t *testing.T) {
	agenttest.Run(t, func(t *testing.T) {
		call := func(text, args string) agenttest.Step {
			return agenttest.OnUser(text).Call("order_status", args)
		}
		llm := agenttest.NewLLM(t,
			call("1", `{"order_id":"7"}`), call("2", `{"order_id":"7"}`), call("3", `{"order_id":"7"}`), call("4", `{"order_id":7}`), call("5", `{"order_id":"7"}`),
			agenttest.OnOutput("order_status").Empty().Always())
		s := agenttest.Start(t, agents.Options{LLM: llm, UserData: &Caller{}}, NewIntake())
		s.User("1").NextOutput().IsOutput("shipped")

		restore := s.MockTools("intake", agenttest.Mocks{"order_status": agenttest.Fails(agents.Errorf("no such order"))})
		s.User("2").NextOutput().IsErrorOutput("no such order")

		var got string
		inner := s.MockTools("intake", agenttest.Mocks{"order_status": func(_ context.Context, args json.RawMessage) (any, error) {
			got = string(args)
			return agents.Handoff{To: NewSpecialist("general", nil), Result: "off you go"}, agents.ErrStopResponse
		}})
		s.User("3").NextOutput()
		if got != `{"order_id":"7"}` {
			t.Errorf("the mock got %s", got)
		}
		got = ""
		s.User("4").NextOutput().IsErrorOutput()
		if got != "" {
			t.Errorf("the mock got arguments that are not valid: %s", got)
		}
		inner()
		restore()
		s.MockTools("specialist", agenttest.Mocks{"order_status": agenttest.Returns("not asked for")})
		s.User("5").NextOutput().IsOutput("shipped")
	})
}

// This one runs in real time.
func TestSessionInRealTime(t *testing.T) {
	t.Parallel()
	llm := agenttest.NewLLM(t, agenttest.OnUser("hello").Say("Hi."))
	var events atomic.Int64
	s := agenttest.Start(t, agents.Options{LLM: llm, OnEvent: func(agents.Event) { events.Add(1) }}, &agents.Agent{})
	s.User("hello").Next().IsMessage("assistant").HasText("Hi.")
	s.Close()
	if events.Load() == 0 || s.Log() == "" {
		t.Error("there were no events")
	}
}

func TestSessionStartedByHand(t *testing.T) {
	agenttest.Run(t, func(t *testing.T) {
		llm := agenttest.NewLLM(t, agenttest.Any().Say("Hi."))
		s := agents.NewSession(agents.Options{LLM: llm})
		if err := s.Start(agenttest.Context(t), &agents.Agent{}, agents.IO{}); err != nil {
			t.Fatal(err)
		}
		run, err := s.Run(t.Context(), "hello")
		if err != nil {
			t.Fatal(err)
		}
		agenttest.Expect(t, run).Next().IsMessage("assistant")
		agenttest.ExpectItems(t, s.History().Items()...).NextMessage().IsMessage("user").HasText("hello")
		// Its context ends with the test, and that closes it.
	})
}
