package agents_test

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/parley-voice/agents"
)

// A wideChaos is a random conversation of agents, tasks, groups and toolsets that do what they can to go wrong.
type wideChaos struct {
	*chaosLLM
	t *testing.T

	lock    sync.Mutex
	handles []*agents.SpeechHandle
	people  []*agents.Agent // plain agents
	sets    []*chaosSet
	late    []func() // what hooks left behind, to be used when they have ended
	count   int
}

func (w *wideChaos) keep(h *agents.SpeechHandle) *agents.SpeechHandle {
	w.lock.Lock()
	defer w.lock.Unlock()
	w.handles = append(w.handles, h)
	return h
}

func (w *wideChaos) number() int { w.lock.Lock(); defer w.lock.Unlock(); w.count++; return w.count }

func (w *wideChaos) secs(n int) time.Duration { return time.Duration(w.n(n)) * time.Second }

// A chaosSet is a toolset that knows how often it was set up and closed.
type chaosSet struct {
	agents.Toolset
	mu         sync.Mutex
	ups, downs int
	wrong      string
}

// misbehave is slow, fails, or hangs until ctx ends or even longer.
func (w *wideChaos) misbehave(ctx context.Context) error {
	switch w.n(8) {
	case 0, 1:
		nap(ctx, w.secs(4))
	case 2:
		return errors.New("down")
	case 3:
		<-ctx.Done()
		return context.Cause(ctx)
	case 4:
		if w.n(3) == 0 {
			<-ctx.Done()
			time.Sleep(w.secs(20))
		}
	}
	return nil
}

// someSet is a new toolset, or one that others have too.
func (w *wideChaos) someSet() *agents.Toolset {
	w.lock.Lock()
	n := len(w.sets)
	w.lock.Unlock()
	if i := w.n(3 * (n + 1)); i < n {
		w.lock.Lock()
		defer w.lock.Unlock()
		return &w.sets[i].Toolset
	}
	return w.set()
}

func (w *wideChaos) set() *agents.Toolset {
	id := fmt.Sprint("set", w.number())
	cs := &chaosSet{}
	cs.ID = id
	tool := agents.ToolFunc(id+"_tool", "T.", func(ctx context.Context, _ struct{}) (string, error) {
		nap(ctx, w.secs(3))
		return id, nil
	})
	back := agents.NewTool(id+"_back", "B.", func(ctx context.Context, run *agents.RunContext[any], _ struct{}) (string, error) {
		if err := run.Update(ctx, "still"); err != nil {
			return "", err
		}
		nap(ctx, w.secs(30))
		return id, nil
	})
	cs.Setup = func(ctx context.Context, ts *agents.Toolset) error {
		cs.mu.Lock()
		if cs.ups != cs.downs {
			cs.wrong += fmt.Sprintf("set up while in use (%d, %d) ", cs.ups, cs.downs)
		}
		cs.ups++
		cs.mu.Unlock()
		ts.Tools = []agents.Tool{tool, back}
		return w.misbehave(ctx)
	}
	cs.Close = func(ctx context.Context) error {
		cs.mu.Lock()
		if cs.downs++; cs.downs != cs.ups {
			cs.wrong += fmt.Sprintf("closed while not in use (%d, %d) ", cs.ups, cs.downs)
		}
		cs.mu.Unlock()
		return w.misbehave(ctx)
	}
	w.lock.Lock()
	w.sets = append(w.sets, cs)
	w.lock.Unlock()
	return &cs.Toolset
}

func (w *wideChaos) priority() agents.Priority {
	return []agents.Priority{agents.PriorityLow, agents.PriorityNormal, agents.PriorityNormal, agents.PriorityHigh}[w.n(4)]
}

func (w *wideChaos) say(s *agents.AgentSession, text string) *agents.SpeechHandle {
	return w.keep(s.Say(text, agents.SayOptions{Priority: w.priority()}))
}

func (w *wideChaos) speak(ctx context.Context, s *agents.AgentSession, text string) error {
	h := w.say(s, text)
	if w.n(3) == 0 {
		return nil
	}
	return h.Wait(ctx)
}

// use does something with the context and session of a hook or tool, which may have ended.
func (w *wideChaos) use(ctx context.Context, s *agents.AgentSession) {
	switch w.n(6) {
	case 0:
		w.say(s, "late")
	case 1:
		w.task(1).Run(ctx)
	case 2:
		s.Interrupt(ctx)
	case 3:
		ctx, cancel := context.WithTimeout(ctx, 3*time.Second)
		defer cancel()
		s.WaitForIdle(ctx)
	case 4:
		w.keep(s.GenerateReply(agents.Reply{Priority: w.priority()}))
	case 5:
		w.handOver(s)
	}
}

func (w *wideChaos) remember(ctx context.Context, s *agents.AgentSession) {
	w.lock.Lock()
	defer w.lock.Unlock()
	w.late = append(w.late, func() { w.use(ctx, s) })
}

func (w *wideChaos) handOver(s *agents.AgentSession) {
	s.UpdateAgent(w.activity()) // which may be running, or over
}

// someone is an agent that was there before, or a new one.
func (w *wideChaos) someone() *agents.Agent {
	w.lock.Lock()
	n := len(w.people)
	w.lock.Unlock()
	if i := w.n(n + 2); i < n {
		w.lock.Lock()
		defer w.lock.Unlock()
		return w.people[i]
	}
	return w.agent()
}

func (w *wideChaos) activity() agents.Activity {
	switch w.n(6) {
	case 0:
		return w.task(0)
	case 1:
		return w.group(0)
	}
	return w.someone()
}

func (w *wideChaos) group(level int) *agents.TaskGroup {
	g := &agents.TaskGroup{ID: fmt.Sprint("group", w.number()), ReturnErrors: w.n(2) == 0}
	if w.n(2) == 0 {
		g.Summary = agents.Off
	}
	for i := range 1 + w.n(2) {
		agents.AddTask(g, fmt.Sprint("member", i), "M.", func() *agents.AgentTask[string] { return w.task(level + 1) })
	}
	return g
}

func (w *wideChaos) task(level int) *agents.AgentTask[string] {
	tk := agents.NewTask[string]("Task.")
	tk.ID = fmt.Sprint("task", w.number())
	tk.KeepToolCalls = w.n(2) == 0
	w.fill(&tk.Agent, level+1)
	tk.Tools = append(tk.Tools, agents.ToolFunc("finish", "F.", func(context.Context, struct{}) (any, error) {
		switch w.n(4) {
		case 0:
			return nil, tk.Fail(errors.New("failed"))
		case 1:
			tk.Cancel()
			return nil, nil
		}
		return nil, tk.Complete("ok")
	}))
	return tk
}

func (w *wideChaos) agent() *agents.Agent {
	a := &agents.Agent{ID: fmt.Sprint("agent", w.number())}
	w.fill(a, 0)
	w.lock.Lock()
	defer w.lock.Unlock()
	w.people = append(w.people, a)
	return a
}

func (w *wideChaos) own(level int) []agents.Tool {
	ts := w.tools(level)
	if w.n(3) == 0 {
		ts = append(ts, w.someSet())
	}
	return ts
}

// runs has a task or group run.
func (w *wideChaos) runs(ctx context.Context, level int) error {
	if level < 2 && w.n(4) == 0 {
		_, err := w.group(level).Run(ctx)
		return err
	}
	_, err := w.task(level).Run(ctx)
	return err
}

// fill gives an agent instructions, tools, hooks and nodes.
func (w *wideChaos) fill(a *agents.Agent, level int) {
	a.Instructions = "Talk."
	a.Tools = w.own(level)
	switch w.n(5) {
	case 0:
		if level < 2 {
			a.OnEnter = func(ctx context.Context, s *agents.AgentSession) error { return w.runs(ctx, level) }
		}
	case 1, 2:
		a.OnEnter = func(ctx context.Context, s *agents.AgentSession) error {
			w.remember(ctx, s)
			return w.keep(s.GenerateReply(agents.Reply{Priority: w.priority()})).Wait(ctx)
		}
	}
	switch w.n(6) {
	case 0:
		a.OnExit = func(ctx context.Context, s *agents.AgentSession) error {
			w.remember(ctx, s)
			return w.speak(ctx, s, "bye")
		}
	case 1:
		if level < 2 {
			a.OnExit = func(ctx context.Context, s *agents.AgentSession) error { return w.runs(ctx, level+1) }
		}
	}
	if w.n(3) == 0 {
		a.OnToolsExecuted = func(ctx context.Context, s *agents.AgentSession, e *agents.ToolsExecuted) error {
			switch w.n(5) {
			case 0:
				e.CancelReply()
			case 1:
				e.CancelHandoff()
			case 2:
				return w.speak(ctx, s, "executed")
			}
			nap(ctx, w.secs(3))
			return nil
		}
	}
	if w.n(5) == 0 {
		a.LLMNode = func(ctx context.Context, req *agents.ChatRequest, next agents.LLMNodeFunc) iter.Seq2[agents.ChatChunk, error] {
			switch w.n(4) {
			case 0:
				return nil
			case 1:
				req.Tools = nil
			case 2:
				panic("node")
			}
			return next(ctx, req)
		}
	}
	if w.n(5) == 0 {
		a.TranscriptionNode = func(ctx context.Context, text iter.Seq[string]) iter.Seq[string] {
			return func(yield func(string) bool) {
				for t := range text {
					nap(ctx, w.secs(2))
					if !yield(strings.ToUpper(t)) || w.n(6) == 0 {
						return
					}
				}
			}
		}
	}
}

func (w *wideChaos) tools(level int) []agents.Tool {
	ts := []agents.Tool{
		agents.ToolFunc("slow", "S.", func(ctx context.Context, _ struct{}) (string, error) {
			nap(ctx, w.secs(5))
			return "slow", nil
		}, agents.ToolOptions{Cancellable: w.n(2) == 0}),
		agents.NewTool("back", "B.", func(ctx context.Context, run *agents.RunContext[any], _ struct{}) (string, error) {
			for range 1 + w.n(2) {
				if err := run.Update(ctx, "still"); err != nil {
					return "", err
				}
				nap(ctx, w.secs(5))
			}
			w.remember(ctx, run.Session())
			if w.n(2) == 0 {
				return "back", w.foreground(ctx, run, level)
			}
			return "back", nil
		}),
		agents.NewTool("talk", "T.", func(ctx context.Context, run *agents.RunContext[any], _ struct{}) (string, error) {
			return "talked", w.speak(ctx, run.Session(), "talking")
		}),
		agents.NewTool("change", "C.", func(ctx context.Context, run *agents.RunContext[any], _ struct{}) (string, error) {
			return "changed", w.change(ctx, run.Agent(), level)
		}),
		agents.NewTool("move", "M.", func(ctx context.Context, run *agents.RunContext[any], _ struct{}) (agents.Handoff, error) {
			return agents.Handoff{To: w.activity(), Result: "moved", Reply: w.n(2) == 0}, nil
		}),
	}
	if level < 2 {
		ts = append(ts, agents.ToolFunc("dialog", "D.", func(ctx context.Context, _ struct{}) (string, error) {
			return "dialog", w.runs(ctx, level)
		}))
	}
	return ts
}

func (w *wideChaos) foreground(ctx context.Context, run *agents.RunContext[any], level int) error {
	return run.Foreground(ctx, func(ctx context.Context) error {
		switch {
		case level < 2 && w.n(2) == 0:
			return w.runs(ctx, level)
		case w.n(3) == 0:
			return run.Foreground(ctx, func(ctx context.Context) error { return w.speak(ctx, run.Session(), "inner") })
		}
		return w.speak(ctx, run.Session(), "front")
	})
}

// change changes an agent that is running.
func (w *wideChaos) change(ctx context.Context, a *agents.Agent, level int) error {
	switch w.n(5) {
	case 0:
		return a.UpdateOptions(ctx, agents.AgentOptions{LLM: agents.NoLLM})
	case 1:
		return a.UpdateInstructions(ctx, &agents.Instructions{Common: "Talk more."})
	case 2:
		return a.UpdateOptions(ctx, agents.AgentOptions{LLM: w})
	}
	tools := w.tools(level)
	for range w.n(3) {
		tools = append(tools, w.someSet())
	}
	return a.UpdateTools(ctx, tools...)
}

func (w *wideChaos) options() agents.Options {
	opts := agents.Options{LLM: w, MaxUnrecoverableErrors: 1000, UserAwayTimeout: agents.Never, MaxParallelTools: w.n(3)}
	if w.n(3) == 0 {
		opts.MinConsecutiveSpeechDelay = agents.Delay(time.Second)
	}
	if w.n(3) == 0 {
		opts.Turn.AllowInterruptions = agents.Off
	}
	if w.n(3) == 0 {
		set := w.set()
		set.Background = true
		opts.Tools = []agents.Tool{set}
	}
	return opts
}
