package agents

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
)

// A TaskGroup runs tasks one after another as one conversation: each knows what was said in the ones before, and the
// user may go back to one that was already visited, to correct it. The zero value is an empty group; add tasks with
// [AddTask], in the order in which they are to run.
//
// A group is an [Activity]: run it like a task, or start a session with it. It can be used once.
type TaskGroup struct {
	// ID names the group in handoffs and events: "task_group" by default.
	ID string
	// Instructions are for what is said between tasks, which is nothing unless a hook says it.
	Instructions string
	// ChatContext is what the first task knows of the conversation.
	ChatContext *ChatContext
	// Summary says whether, in the end, what was said is summed up in one message for the agent that ran the group,
	// with the session's LLM. Default: On. With Off it gets every message.
	Summary Toggle
	// ReturnErrors keeps going when a task fails: its error takes the place of its result. Otherwise the group fails.
	ReturnErrors bool
	// OnTaskCompleted, if set, runs after each task that succeeded and before the next. An error ends the group.
	OnTaskCompleted func(ctx context.Context, e TaskCompleted) error

	members []*member
	once    sync.Once
	task    *AgentTask[*GroupResult]
}

// TaskCompleted says which task of a group has come to which result.
type TaskCompleted struct {
	ID     string
	Task   Activity
	Result any
}

// A GroupResult holds the results of a group's tasks. Read them with [TaskRef.In].
type GroupResult struct {
	// Results are the tasks' results by id, or errors with TaskGroup.ReturnErrors.
	Results map[string]any
	// Summary is what was said, summed up, if TaskGroup.Summary is not Off and anything was said.
	Summary string
}

// A TaskRef finds the result of one task of a group.
type TaskRef[R any] struct{ id string }

// ID returns the id of the task.
func (r TaskRef[R]) ID() string { return r.id }

// In returns the task's result, or the zero R if it has none.
func (r TaskRef[R]) In(res *GroupResult) R {
	v, _ := r.Lookup(res)
	return v
}

// Lookup returns the task's result. The error is the task's own, or says that there is no result.
func (r TaskRef[R]) Lookup(res *GroupResult) (R, error) {
	var zero R
	if res == nil {
		return zero, fmt.Errorf("agents: task %q has no result", r.id)
	}
	switch v := res.Results[r.id].(type) {
	case R:
		return v, nil
	case taskFailure:
		return zero, v.err
	}
	return zero, fmt.Errorf("agents: task %q has no result", r.id)
}

// A taskFailure takes the place of the result of a task that failed. It is an error itself, for those who read
// GroupResult.Results, and told apart from tasks whose result is an error.
type taskFailure struct{ err error }

func (f taskFailure) Error() string { return f.err.Error() }
func (f taskFailure) Unwrap() error { return f.err }

// A member is a task of a group, which may run several times.
type member struct {
	id, description string
	enter           func() memberTask
}

// A memberTask is one visit of a task, whatever its result.
type memberTask interface {
	Activity
	anyTask
	activity() Activity
	prepare(chat *ChatContext, extra ...Tool)
	run(ctx context.Context) (any, error)
	regress(err error)
}

// AddTask adds a task to the group and returns where its result will be found. enter makes the task, anew for each
// visit. The description tells the model what the task is for, in case the user wants to come back to it. A task with
// the id of an earlier one takes its place.
func AddTask[R any](g *TaskGroup, id, description string, enter func() *AgentTask[R]) TaskRef[R] {
	if id == "" || enter == nil {
		panic("agents: AddTask needs an id and a function that makes the task")
	}
	m := &member{id: id, description: description, enter: func() memberTask { return visit[R]{enter()} }}
	if i := slices.IndexFunc(g.members, func(x *member) bool { return x.id == id }); i >= 0 {
		g.members[i] = m
	} else {
		g.members = append(g.members, m)
	}
	return TaskRef[R]{id}
}

type visit[R any] struct{ *AgentTask[R] }

func (v visit[R]) activity() Activity { return v.AgentTask }

func (v visit[R]) prepare(chat *ChatContext, extra ...Tool) {
	v.ChatContext = chat
	v.Tools = append(slices.Clone(v.Tools), extra...)
	v.KeepToolCalls = true
}

func (v visit[R]) run(ctx context.Context) (any, error) {
	r, err := v.Run(ctx)
	return r, err
}

func (v visit[R]) regress(err error) { v.Fail(err) }

// Run takes the floor for the tasks, one after another, and returns their results. Where it may be called, and its
// errors, are those of [AgentTask.Run].
func (g *TaskGroup) Run(ctx context.Context) (*GroupResult, error) {
	g.prepare()
	if err := runTask(ctx, g, &g.task.core, false); err != nil {
		return nil, err
	}
	return g.task.result, nil
}

// Done reports whether the group has ended.
func (g *TaskGroup) Done() bool {
	g.prepare()
	return g.task.Done()
}

// Cancel ends the group, and the task of it that is running, with [ErrTaskCancelled].
func (g *TaskGroup) Cancel() {
	g.prepare()
	g.task.Cancel()
}

func (g *TaskGroup) persona() *Agent {
	if g == nil {
		return nil
	}
	g.prepare()
	return &g.task.Agent
}

func (g *TaskGroup) taskCore() *taskCore {
	g.prepare()
	return &g.task.core
}

func (g *TaskGroup) prepare() {
	g.once.Do(func() {
		g.task = NewTask[*GroupResult](g.Instructions)
		g.task.ID = g.ID
		if g.task.ID == "" {
			g.task.ID = "task_group"
		}
		g.task.ChatContext = g.ChatContext
		g.task.OnEnter = g.visitAll
	})
}

// errRegress ends a task because the user wants to go back to others first.
type errRegress struct{ to []string }

func (e *errRegress) Error() string { return "agents: going back to " + strings.Join(e.to, ", ") }

// visitAll is the group's OnEnter: it runs the tasks, and ends the group.
func (g *TaskGroup) visitAll(ctx context.Context, s *AgentSession) error {
	result, err := g.visits(ctx, s)
	if err != nil {
		g.task.Fail(err) // unless the group was ended from outside, and then that stands
		return nil
	}
	g.task.Complete(result)
	return nil
}

func (g *TaskGroup) visits(ctx context.Context, s *AgentSession) (*GroupResult, error) {
	result := &GroupResult{Results: map[string]any{}}
	var todo, visited []string
	for _, m := range g.members {
		todo = append(todo, m.id)
	}
	for len(todo) > 0 {
		id := todo[0]
		todo = todo[1:]
		m := g.member(id)
		task := m.enter()
		if isNilActivity(task) {
			return nil, fmt.Errorf("agents: task %q of %s was not made", id, g.task.ID)
		}
		if task.persona().ID == "" {
			task.persona().ID = id
		}
		back, err := g.goBackTool(task, id, visited)
		if err != nil {
			return nil, err
		}
		task.prepare(g.task.Context(), back...)
		if !slices.Contains(visited, id) {
			visited = append(visited, id)
		}
		r, err := task.run(ctx)
		var again *errRegress
		switch {
		case errors.As(err, &again):
			todo = slices.DeleteFunc(todo, func(x string) bool { return x == id || slices.Contains(again.to, x) })
			todo = slices.Concat(again.to, []string{id}, todo)
			continue
		case err != nil && (g.task.Done() || ctx.Err() != nil || errors.Is(err, ErrHandedOff) || errors.Is(err, ErrSessionClosed)):
			return nil, err
		case err != nil && g.ReturnErrors:
			result.Results[id] = taskFailure{err}
			continue
		case err != nil:
			return nil, err
		}
		result.Results[id] = r
		if g.OnTaskCompleted != nil {
			if err := g.OnTaskCompleted(ctx, TaskCompleted{ID: id, Task: task.activity(), Result: r}); err != nil {
				return nil, err
			}
		}
	}
	if g.Summary.or(true) {
		var err error
		if result.Summary, err = g.summarize(ctx, s); err != nil {
			return nil, err
		}
	}
	return result, nil
}

func (g *TaskGroup) member(id string) *member {
	for _, m := range g.members {
		if m.id == id {
			return m
		}
	}
	return nil
}

// goBackTool is the tool with which the user goes back to tasks that were visited. On the first task there is none.
func (g *TaskGroup) goBackTool(task memberTask, active string, visited []string) ([]Tool, error) {
	offered := slices.DeleteFunc(slices.Clone(visited), func(id string) bool { return id == active })
	if len(offered) == 0 {
		return nil, nil
	}
	var list strings.Builder
	for _, id := range offered {
		fmt.Fprintf(&list, "\n- %s: %s", id, g.member(id).description)
	}
	schema, err := json.Marshal(map[string]any{
		"type": "object", "additionalProperties": false, "required": []string{"task_ids"},
		"properties": map[string]any{"task_ids": map[string]any{
			"type": "array", "minItems": 1, "items": map[string]any{"type": "string", "enum": offered},
			"description": "the tasks to go back to, in the order in which to do them",
		}},
	})
	if err != nil {
		return nil, err
	}
	t, err := NewRawTool("out_of_scope",
		"Call this when the user wants to change or redo something that an earlier task was about. Earlier tasks:"+list.String(),
		schema, func(_ context.Context, _ *RunContext[any], args json.RawMessage) (any, error) {
			var in struct {
				TaskIDs []string `json:"task_ids"`
			}
			if err := json.Unmarshal(args, &in); err != nil {
				return nil, Errorf("unable to go back: %v", err)
			}
			var to []string
			for _, id := range in.TaskIDs {
				if !slices.Contains(offered, id) {
					return nil, Errorf("unable to go back to %q: it is not one of %s", id, strings.Join(offered, ", "))
				}
				if !slices.Contains(to, id) {
					to = append(to, id)
				}
			}
			task.regress(&errRegress{to})
			return nil, nil
		}, ToolOptions{IgnoreOnEnter: true})
	if err != nil {
		return nil, err
	}
	return []Tool{t}, nil
}

// summarize replaces what was said in the group by a summary, and returns it.
func (g *TaskGroup) summarize(ctx context.Context, s *AgentSession) (string, error) {
	llm := s.c.opts.LLM
	if llm == nil || llm == NoLLM {
		return "", fmt.Errorf("agents: %s is to be summed up: %w (set Summary to Off to keep every message)", g.task.ID, ErrNoLLM)
	}
	chat := g.task.Context()
	if err := chat.Summarize(ctx, llm, 0); err != nil {
		return "", fmt.Errorf("agents: summing up %s: %w", g.task.ID, err)
	}
	summary := ""
	for m := range chat.Messages() {
		if m.isSummary() {
			summary = m.Text()
		}
	}
	return summary, g.task.UpdateChatContext(ctx, chat)
}
