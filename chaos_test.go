package agents_test

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"math/rand/v2"
	"os"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/parley-voice/agents"
	"github.com/parley-voice/agents/agenttest"
)

type chaosLLM struct {
	mu sync.Mutex
	r  *rand.Rand
}

func (m *chaosLLM) n(n int) int { m.mu.Lock(); defer m.mu.Unlock(); return m.r.IntN(n) }

func (m *chaosLLM) Chat(ctx context.Context, req agents.ChatRequest) iter.Seq2[agents.ChatChunk, error] {
	return func(yield func(agents.ChatChunk, error) bool) {
		nap(ctx, time.Duration(m.n(3))*time.Second)
		for range m.n(3) {
			if !yield(agents.ChatChunk{Text: "word "}, nil) {
				return
			}
			nap(ctx, time.Duration(m.n(2))*time.Second)
		}
		names := agenttest.ToolNames(req)
		if req.ToolChoice != nil && req.ToolChoice.Mode() == "none" || len(names) == 0 {
			return
		}
		for range m.n(4) {
			if !yield(agents.ChatChunk{Calls: []agents.ToolCall{{Name: names[m.n(len(names))], Arguments: "{}"}}}, nil) {
				return
			}
			nap(ctx, time.Duration(m.n(2))*time.Second)
		}
		if m.n(15) == 0 {
			yield(agents.ChatChunk{}, errors.New("model failed"))
		}
	}
}

func nap(ctx context.Context, d time.Duration) {
	if d == 0 {
		return
	}
	select {
	case <-ctx.Done():
	case <-time.After(d):
	}
}

func chaos(t *testing.T, seed uint64) {
	m := &chaosLLM{r: rand.New(rand.NewPCG(seed, 1))}
	var handles []*agents.SpeechHandle
	var mu sync.Mutex
	keep := func(h *agents.SpeechHandle) *agents.SpeechHandle {
		mu.Lock()
		defer mu.Unlock()
		handles = append(handles, h)
		return h
	}
	var depth atomic.Int32
	var make func(id string) *agents.Agent
	var tools func(level int) []agents.Tool
	task := func(level int) *agents.AgentTask[string] {
		tk := agents.NewTask[string]("Task.")
		tk.ID = fmt.Sprint("task", level)
		tk.Tools = append(tools(level+1), agents.ToolFunc("finish", "F.", func(context.Context, struct{}) (any, error) { return nil, tk.Complete("ok") }))
		if m.n(2) == 0 {
			tk.OnEnter = func(ctx context.Context, s *agents.AgentSession) error {
				return keep(s.GenerateReply(agents.Reply{})).Wait(ctx)
			}
		}
		if m.n(4) == 0 {
			tk.OnExit = func(ctx context.Context, s *agents.AgentSession) error { return keep(s.Say("left")).Wait(ctx) }
		}
		return tk
	}
	tools = func(level int) []agents.Tool {
		ts := []agents.Tool{
			agents.ToolFunc("slow", "S.", func(ctx context.Context, _ struct{}) (string, error) {
				nap(ctx, time.Duration(m.n(5))*time.Second)
				return "slow", nil
			},
				agents.ToolOptions{Cancellable: m.n(2) == 0}),
			agents.NewTool("back", "B.", func(ctx context.Context, run *agents.RunContext[any], _ struct{}) (string, error) {
				for range 1 + m.n(2) {
					if err := run.Update(ctx, "still"); err != nil {
						return "", err
					}
					nap(ctx, time.Duration(m.n(5))*time.Second)
				}
				if m.n(2) == 0 {
					if err := run.Foreground(ctx, func(ctx context.Context) error {
						if level < 2 && m.n(2) == 0 {
							_, err := task(level).Run(ctx)
							return err
						}
						return keep(run.Session().Say("front")).Wait(ctx)
					}); err != nil {
						return "", err
					}
				}
				return "back", nil
			}),
			agents.NewTool("talk", "T.", func(ctx context.Context, run *agents.RunContext[any], _ struct{}) (string, error) {
				return "talked", keep(run.Session().Say("talking")).Wait(ctx)
			}),
			agents.NewTool("move", "M.", func(ctx context.Context, run *agents.RunContext[any], _ struct{}) (agents.Handoff, error) {
				depth.Add(1)
				return agents.Handoff{To: make(fmt.Sprint("m", depth.Load())), Result: "moved", Reply: m.n(2) == 0}, nil
			}),
		}
		if level < 2 {
			ts = append(ts, agents.ToolFunc("dialog", "D.", func(ctx context.Context, _ struct{}) (string, error) { return task(level).Run(ctx) }))
		}
		return ts
	}
	make = func(id string) *agents.Agent {
		a := &agents.Agent{ID: id, Instructions: id, Tools: tools(0)}
		switch m.n(4) {
		case 0:
			a.OnEnter = func(ctx context.Context, s *agents.AgentSession) error { _, err := task(0).Run(ctx); return err }
		case 1:
			a.OnEnter = func(ctx context.Context, s *agents.AgentSession) error {
				return keep(s.GenerateReply(agents.Reply{})).Wait(ctx)
			}
		}
		if m.n(3) == 0 {
			a.OnExit = func(ctx context.Context, s *agents.AgentSession) error { return keep(s.Say("bye")).Wait(ctx) }
		}
		if m.n(3) == 0 {
			a.OnToolsExecuted = func(ctx context.Context, s *agents.AgentSession, e *agents.ToolsExecuted) error {
				nap(ctx, time.Duration(m.n(3))*time.Second)
				return nil
			}
		}
		return a
	}
	limit, noBack := 0, false
	if seed%4 == 1 {
		limit, noBack = 1+m.n(2), true
	}
	if noBack {
		inner := tools
		tools = func(level int) []agents.Tool { ts := inner(level); return append(ts[:1:1], ts[2:]...) }
	}
	opts := agents.Options{LLM: m, MaxUnrecoverableErrors: 1000, UserAwayTimeout: agents.Never, MaxParallelTools: limit}
	if m.n(3) == 0 {
		opts.MinConsecutiveSpeechDelay = agents.Delay(time.Second)
	}
	if m.n(3) == 0 {
		opts.Turn.AllowInterruptions = agents.Off
	}
	s := agenttest.Start(t, opts, make("root"))
	closing := m.n(3)
	if closing > 0 {
		after := time.Duration(m.n(40)) * 500 * time.Millisecond
		hurry := m.n(2) == 0
		var ended atomic.Bool
		t.Cleanup(func() {
			if !ended.Load() {
				t.Error("the close did not end")
			}
		})
		go func() {
			time.Sleep(after)
			begin := time.Now()
			bound := 5 * time.Second
			if closing == 1 {
				s.Close()
			} else if hurry {
				ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
				s.Shutdown(ctx)
				cancel()
				bound += 2 * time.Second
			} else {
				s.Shutdown(context.Background())
				bound = 3 * 65 * time.Second
			}
			if d := time.Since(begin); d > bound {
				t.Errorf("close took %v", d)
			}
			ended.Store(true)
		}()
	}
	var turns []string
	for i := range 12 {
		switch m.n(5) {
		case 0, 1:
			turn := fmt.Sprint("turn ", i)
			h := keep(s.GenerateReply(agents.Reply{UserInput: turn}))
			if h.Err() == nil {
				turns = append(turns, turn)
			}
		case 2:
			s.ForceInterrupt(t.Context())
		case 3:
			depth.Add(1)
			s.UpdateAgent(make(fmt.Sprint("u", depth.Load())))
		case 4:
			ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
			turn := fmt.Sprint("run ", i)
			if _, err := s.Run(ctx, turn); err == nil {
				turns = append(turns, turn)
			}
			cancel()
		}
		nap(context.Background(), time.Duration(m.n(4))*time.Second)
	}
	if closing > 0 {
		time.Sleep(10 * time.Minute)
		mu.Lock()
		defer mu.Unlock()
		for _, h := range handles {
			select {
			case <-h.Done():
			default:
				t.Fatalf("speech %s is not over\n%s", h.ID(), s.Log())
			}
		}
		checkInvariants(t, s, turns...)
		return
	}
	// Come to an end: leave all tasks.
	for i := 0; i < 10 && s.Agent() != "last"; i++ { // a tool's own handoff may come after it
		require.NoError(t, s.UpdateAgent(&agents.Agent{ID: "last"}))
		time.Sleep(10 * time.Minute)
		agenttest.Settle(t)
	}
	if s.Agent() != "last" {
		t.Fatalf("the floor is with %q\n%s", s.Agent(), s.Log())
	}
	mu.Lock()
	for _, h := range handles {
		select {
		case <-h.Done():
		default:
			t.Fatalf("speech %s is not over\n%s", h.ID(), s.Log())
		}
	}
	mu.Unlock()
	if st := s.AgentState(); st != agents.AgentListening {
		t.Fatalf("state %s\n%s", st, s.Log())
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Hour)
	defer cancel()
	if err := s.WaitForIdle(ctx); err != nil {
		t.Fatalf("idle: %v\n%s", err, s.Log())
	}
	checkInvariants(t, s, turns...)
	h := s.History()
	for i := 1; i < h.Len(); i++ {
		require.False(t, h.At(i).Created().Before(h.At(i-1).Created()))
	}
}

func TestChaos(t *testing.T) {
	for seed := range uint64(chaosRuns()) {
		if !t.Run(fmt.Sprint(seed), func(t *testing.T) { agenttest.Run(t, func(t *testing.T) { chaos(t, seed) }) }) {
			return
		}
	}
}

func chaosRuns() int {
	if n, err := strconv.Atoi(os.Getenv("PARLEY_CHAOS")); err == nil {
		return n
	}
	return 50
}
