package agents

import (
	"errors"
	"fmt"
	"net/http"
	"time"
)

// Errors of the session's life. Test for them with [errors.Is].
var (
	// ErrNotStarted is returned by methods that need a running session before Start.
	ErrNotStarted = errors.New("agents: session not started")
	// ErrAlreadyStarted is returned by a second Start; a session runs once.
	ErrAlreadyStarted = errors.New("agents: session already started")
	// ErrSessionClosed is returned by every method once the session is closing or closed, and by AgentTask.Run when
	// the session closes before the task is done.
	ErrSessionClosed = errors.New("agents: session closed")
	// ErrRunActive is returned by Run while another run of the session has not finished.
	ErrRunActive = errors.New("agents: another run is active")
	// ErrNoLLM is returned when a reply is asked for and neither the agent nor the session has an LLM.
	ErrNoLLM = errors.New("agents: no LLM")
	// ErrNoDTMFOutput is returned by SendDTMF when the session was started without a DTMFOutput.
	ErrNoDTMFOutput = errors.New("agents: no DTMF output")
	// ErrNoUserData is returned when user data is read and Options.UserData was not set.
	ErrNoUserData = errors.New("agents: no user data")
)

// Errors of agents, tasks and handoffs.
var (
	// ErrNotActive is returned when something is asked of an agent or task that does not have the floor, or when a
	// task is run outside OnEnter, OnExit, a tool or another task.
	ErrNotActive = errors.New("agents: not active")
	// ErrAgentRunning is returned by a handoff to an agent that already has, or waits to get back, the floor.
	ErrAgentRunning = errors.New("agents: agent is already running")
	// ErrHandedOff is returned by AgentTask.Run when a handoff replaced the task, or its caller's agent is leaving.
	ErrHandedOff = errors.New("agents: handed off to another agent")
	// ErrTaskUsed is returned when a task is run, or completed, a second time.
	ErrTaskUsed = errors.New("agents: task already used")
	// ErrTaskCancelled is returned by AgentTask.Run after Cancel.
	ErrTaskCancelled = errors.New("agents: task cancelled")
)

// Errors of speeches.
var (
	// ErrInterrupted is returned when something needs a speech that was already interrupted.
	ErrInterrupted = errors.New("agents: speech was interrupted")
	// ErrUninterruptible is returned by Interrupt when the current speech does not allow interruptions.
	ErrUninterruptible = errors.New("agents: speech does not allow interruptions")
	// ErrSelfWait is returned when a tool waits for the very speech that waits for the tool; use RunContext.WaitForPlayout.
	ErrSelfWait = errors.New("agents: a tool cannot wait for the speech that called it; use RunContext.WaitForPlayout")
)

// ErrStopResponse ends the turn without a reply: returned by a tool, its output is empty and asks for no reply;
// returned by OnUserTurnCompleted, the user's turn is ignored.
var ErrStopResponse = errors.New("agents: stop response")

// A ToolError is an error whose text the model may read, so that it can correct itself or tell the user. The text of
// any other error stays in the log, and the model reads only that an internal error occurred.
type ToolError struct {
	Message string
}

func (e *ToolError) Error() string { return e.Message }

// Errorf returns a [ToolError] with a formatted message.
func Errorf(format string, args ...any) error {
	return &ToolError{Message: fmt.Sprintf(format, args...)}
}

// A PanicError is what a panic in a hook, tool or node becomes.
type PanicError struct {
	Where string // the hook, tool or node, such as "tool order_status"
	Value any
	Stack []byte
}

func (e *PanicError) Error() string { return fmt.Sprintf("agents: panic in %s: %v", e.Where, e.Value) }

// Kinds of provider failure, for [errors.Is] on a [ProviderError].
var (
	// ErrTimeout: nothing useful came within the deadline.
	ErrTimeout = errors.New("timed out")
	// ErrConnection: the connection could not be made or broke.
	ErrConnection = errors.New("connection failed")
)

// StatusClientClosed is the status a provider reports when the request was cancelled from this side. A stream that
// fails with it ends silently: no retry and no error event.
const StatusClientClosed = 499

// A ProviderError is a failure of a model provider. Plugins return it, adapters and the session decide by it: a
// retryable error is retried while nothing useful was produced, any error counts towards
// [Options.MaxUnrecoverableErrors] once retries are exhausted.
type ProviderError struct {
	Provider   string        // such as "openai"
	Op         string        // such as "chat"
	Status     int           // HTTP status, 0 if there was none
	RequestID  string        // the provider's id of the request, if known
	Message    string        // the provider's text; never a key, a URL with credentials or user text
	Retryable  bool          // whether the same request may succeed later
	RetryAfter time.Duration // what the provider asked for, 0 if nothing
	Err        error         // the cause, often ErrTimeout or ErrConnection
}

func (e *ProviderError) Error() string {
	s := e.Provider + ": " + e.Op + ": "
	switch {
	case e.Status != 0 && e.Message != "":
		s += fmt.Sprintf("%s (%d %s)", e.Message, e.Status, http.StatusText(e.Status))
	case e.Status != 0:
		s += fmt.Sprintf("%s (%d)", http.StatusText(e.Status), e.Status)
	case e.Message != "":
		s += e.Message
	case e.Err != nil:
		return s + e.Err.Error()
	default:
		return s + "failed"
	}
	if e.Err != nil {
		s += ": " + e.Err.Error()
	}
	return s
}

func (e *ProviderError) Unwrap() error { return e.Err }

// RetryableStatus reports whether a request that failed with this HTTP status may be retried: every status but the
// 4xx, and of those 408, 429 and 499.
func RetryableStatus(status int) bool {
	switch status {
	case http.StatusRequestTimeout, http.StatusTooManyRequests, StatusClientClosed:
		return true
	}
	return status < 400 || status > 499
}
