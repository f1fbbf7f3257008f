package agents_test

import (
	"context"
	"fmt"
	"iter"
	"runtime"
	"sync"
	"testing"

	"github.com/parley-voice/agents"
)

// instantLLM answers at once: with a call when the user says "go", with text otherwise.
type instantLLM struct{}

func (instantLLM) Chat(_ context.Context, req agents.ChatRequest) iter.Seq2[agents.ChatChunk, error] {
	return func(yield func(agents.ChatChunk, error) bool) {
		if m, ok := req.Context.At(-1).(*agents.ChatMessage); ok && m.Text() == "go" {
			yield(agents.ChatChunk{Calls: []agents.ToolCall{{Name: "go", Arguments: "{}"}}}, nil)
			return
		}
		yield(agents.ChatChunk{Text: "Certainly."}, nil)
	}
}

// BenchmarkTurns is the budget of 20,000 text turns a second on two cores, over many sessions with a model that answers
// at once: 50 µs a turn. Each session is closed after 20 turns, as a conversation would be, and its start and stop
// count.
func BenchmarkTurns(b *testing.B) {
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		ctx := b.Context()
		for more := true; more; {
			s := agents.NewSession(agents.Options{LLM: instantLLM{}})
			if err := s.Start(ctx, &agents.Agent{Instructions: "Be brief."}, agents.IO{}); err != nil {
				b.Error(err)
				return
			}
			for range 20 {
				if more = pb.Next(); !more {
					break
				}
				if _, err := s.Run(ctx, "hi"); err != nil {
					b.Error(err)
				}
			}
			s.Close()
		}
	})
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "turns/s")
}

// BenchmarkTurnWithHistory shows that a turn costs what the context it sends costs.
func BenchmarkTurnWithHistory(b *testing.B) {
	for _, n := range []int{10, 100, 1_000, 10_000} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			chat := &agents.ChatContext{}
			for i := range n {
				chat.AddMessage([]agents.Role{agents.RoleUser, agents.RoleAssistant}[i%2], "something that was said")
			}
			ctx := b.Context()
			s := agents.NewSession(agents.Options{LLM: instantLLM{}})
			if err := s.Start(ctx, &agents.Agent{Instructions: "Be brief."}, agents.IO{}); err != nil {
				b.Fatal(err)
			}
			defer s.Close()
			b.ReportAllocs()
			for b.Loop() {
				// The context is given with the reply, so that it does not grow with b.N.
				if err := s.GenerateReply(agents.Reply{ChatContext: chat}).Wait(ctx); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// BenchmarkHandoff is a turn whose only call hands over to a new agent, and back.
func BenchmarkHandoff(b *testing.B) {
	benchmarkTurns(b, func() *agents.Agent {
		var there, back agents.Agent
		to := func(next *agents.Agent) []agents.Tool {
			return []agents.Tool{agents.ToolFunc("go", "Go on.", func(context.Context, struct{}) (agents.Handoff, error) {
				return agents.Handoff{To: next}, nil
			})}
		}
		there.Instructions, back.Instructions = "Be brief.", "Be briefer."
		there.Tools, back.Tools = to(&back), to(&there)
		return &there
	})
}

// BenchmarkTask is a turn whose tool runs a task that ends at once.
func BenchmarkTask(b *testing.B) {
	benchmarkTurns(b, func() *agents.Agent {
		return &agents.Agent{Tools: []agents.Tool{
			agents.ToolFunc("go", "Run a task.", func(ctx context.Context, _ struct{}) (int, error) {
				t := agents.NewTask[int]("Count.")
				t.OnEnter = func(context.Context, *agents.AgentSession) error { return t.Complete(1) }
				return t.Run(ctx)
			})}}
	})
}

// benchmarkTurns runs turns in which the model calls the tool, in conversations of 20 turns.
func benchmarkTurns(b *testing.B, agent func() *agents.Agent) {
	ctx := b.Context()
	var s *agents.AgentSession
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		if i%20 == 0 {
			b.StopTimer()
			if s != nil {
				s.Close()
			}
			s = agents.NewSession(agents.Options{LLM: instantLLM{}})
			if err := s.Start(ctx, agent(), agents.IO{}); err != nil {
				b.Fatal(err)
			}
			b.StartTimer()
		}
		if _, err := s.Run(ctx, "go"); err != nil {
			b.Fatal(err)
		}
	}
	s.Close()
}

// BenchmarkStartStop opens and closes a session.
func BenchmarkStartStop(b *testing.B) {
	agent := func() *agents.Agent { return &agents.Agent{Instructions: "Be brief."} }
	ctx := b.Context()
	b.ReportAllocs()
	for b.Loop() {
		s := agents.NewSession(agents.Options{LLM: instantLLM{}})
		if err := s.Start(ctx, agent(), agents.IO{}); err != nil {
			b.Fatal(err)
		}
		s.Close()
	}
}

// BenchmarkIdleSessions holds 1,000 sessions after one turn each, and reports what one costs.
func BenchmarkIdleSessions(b *testing.B) {
	for b.Loop() {
		before, goroutines := heap(), runtime.NumGoroutine()
		sessions := openSessions(b, 1000)
		b.ReportMetric(float64(heap()-before)/1000/1024, "KiB/session")
		b.ReportMetric(float64(runtime.NumGoroutine()-goroutines)/1000, "goroutines/session")
		closeSessions(sessions)
	}
}

func openSessions(tb testing.TB, n int) []*agents.AgentSession {
	sessions := make([]*agents.AgentSession, n)
	var wg sync.WaitGroup
	for i := range sessions {
		wg.Go(func() {
			s := agents.NewSession(agents.Options{LLM: instantLLM{}})
			if err := s.Start(context.Background(), &agents.Agent{Instructions: "Be brief."}, agents.IO{}); err != nil {
				tb.Error(err)
			}
			if _, err := s.Run(context.Background(), "hi"); err != nil {
				tb.Error(err)
			}
			sessions[i] = s
		})
	}
	wg.Wait()
	return sessions
}

func closeSessions(sessions []*agents.AgentSession) {
	for _, s := range sessions {
		s.Close()
	}
}

func heap() int64 {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}

// A session that was closed leaves nothing behind (LKA#1186, LKA#5590).
func TestTenThousandSessionsLeaveNothingBehind(t *testing.T) {
	closeSessions(openSessions(t, 100)) // what is made once is made
	before, goroutines := heap(), runtime.NumGoroutine()
	for range 10 {
		closeSessions(openSessions(t, 1000))
	}
	// The runtime has its own noise, which does not depend on how many sessions there were.
	grown := heap() - before
	for tries := 0; grown > 1<<20 && tries < 10; tries++ {
		grown = heap() - before
	}
	if grown > 1<<20 {
		t.Errorf("the heap grew by %d KiB over 10,000 sessions", grown>>10)
	}
	if now := runtime.NumGoroutine(); now > goroutines+2 {
		t.Errorf("%d goroutines before 10,000 sessions, %d after", goroutines, now)
	}
}
