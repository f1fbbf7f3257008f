package agents

import (
	"context"
	"errors"
	"fmt"
	"reflect"
)

// A RunResult is what happened in a run: assistant messages, calls, outputs and handoffs, in order.
type RunResult struct {
	items  []ChatItem
	output any
	has    bool
}

// Items returns what happened: *ChatMessage, *FunctionCall, *FunctionCallOutput and *AgentHandoff. The user's own
// message is not among them.
func (r *RunResult) Items() []ChatItem { return r.items }

// Output returns the run's final output, the result of a task that was completed in the run, and whether there is one.
// Nil, zero and false are outputs like any other.
func (r *RunResult) Output() (any, bool) { return r.output, r.has }

// ErrNoOutput is returned by [FinalOutput] for a run in which no task was completed.
var ErrNoOutput = errors.New("agents: the run has no final output")

// FinalOutput returns the run's final output as a T.
func FinalOutput[T any](r *RunResult) (T, error) {
	var zero T
	if !r.has {
		return zero, ErrNoOutput
	}
	v, ok := r.output.(T)
	if !ok {
		return zero, fmt.Errorf("agents: the run's final output is %T, not %s", r.output, typeName[T]())
	}
	return v, nil
}

func typeName[T any]() string { return reflect.TypeFor[T]().String() }

type activeRun struct{}

func (r *activeRun) wait(ctx context.Context) (*RunResult, error) { return nil, nil }
