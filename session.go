package agents

import (
	"context"
	"iter"
	"maps"
	"slices"
)

// An AgentSession is one conversation. It gives the floor to one activity at a time, hands the user's turns to it and
// carries what it says to the session's IO.
//
// All methods are safe for concurrent use and may be called from hooks, tools and event receivers. One goroutine owns
// all state; it never runs user code, so that no hook or tool can hold up a conversation.
//
// The session given to a hook, or returned by RunContext.Session, is the same session as seen by that hook or tool:
// what it asks for counts as asked by that hook or tool. See [AgentSession.GenerateReply].
type AgentSession struct {
	c  *core
	by *caller // nil outside hooks and tools
}

// NewSession returns a session that has not started. Options are checked by Start.
func NewSession(opts Options) *AgentSession {
	return &AgentSession{c: newCore(opts)}
}

// Start gives the floor to the activity and returns once it has it; its OnEnter may still run. ctx owns the session's
// lifetime: when it is done, the session closes as by Close. An error says what is wrong with the options, or with the
// activity, and nothing was started.
func (s *AgentSession) Start(ctx context.Context, first Activity, io IO) error {
	_, err := s.c.start(ctx, first, io, false)
	return err
}

// StartRun is Start followed by waiting for the first activity to finish what it does of its own accord in OnEnter,
// as Run does for a user's turn.
func (s *AgentSession) StartRun(ctx context.Context, first Activity, io IO) (*RunResult, error) {
	run, err := s.c.start(ctx, first, io, true)
	if err != nil {
		return nil, err
	}
	return run.wait(ctx)
}

// Wait returns when the session has closed and all its goroutines have ended, or were abandoned after the grace
// period. The error is nil after a Close, a Shutdown or an ended context; otherwise it is why the session closed.
func (s *AgentSession) Wait() error { return s.c.wait() }

// Run has the active agent answer a user's text turn, and waits until everything that follows from it is done:
// replies, tool calls, handoffs and the OnEnter of whoever takes the floor. If a task is waiting for the user, that is
// also the end of the run. Only one run can be active at a time; another gets [ErrRunActive].
//
// The result holds what was said and done, also when the run fails: with the error of the speech that ended last, or
// with [ErrSessionClosed] if the session closed, unless by a Shutdown that let the run finish. If ctx ends first, the
// run is given up, but what it began goes on.
func (s *AgentSession) Run(ctx context.Context, userText string) (*RunResult, error) {
	return s.RunWith(ctx, RunOptions{Text: userText})
}

// RunWith is Run with options.
func (s *AgentSession) RunWith(ctx context.Context, opts RunOptions) (*RunResult, error) {
	run, err := s.c.startRun(s.by, opts)
	if err != nil {
		return nil, err
	}
	return run.wait(ctx)
}

// Say has the agent say a text. It waits for its turn behind speech that is already scheduled. Problems are reported
// by the handle's Err.
func (s *AgentSession) Say(text string, opts ...SayOptions) *SpeechHandle {
	var o SayOptions
	if len(opts) > 0 {
		o = opts[0]
	}
	return s.c.say(s.by, text, o)
}

// GenerateReply has the model make a reply. The request to the model is made at once; what it says waits behind speech
// that is already scheduled. Problems are reported by the handle's Err.
//
// Asked for by a tool, the reply uses no tools unless ToolChoice says otherwise. Asked for by OnEnter, it does not
// offer tools with IgnoreOnEnter.
func (s *AgentSession) GenerateReply(r Reply) *SpeechHandle {
	return s.c.generateReply(s.by, r.clone())
}

// Interrupt stops the current speech and drops the scheduled ones, in order, up to the first that does not allow it;
// what comes behind that one still plays. If the current speech itself does not allow it, nothing is stopped and the
// error is [ErrUninterruptible]. It returns when the interrupted speeches are done and the history is up to date.
func (s *AgentSession) Interrupt(ctx context.Context) error { return s.c.interrupt(ctx, s.by, false) }

// ForceInterrupt is Interrupt that also stops speech that does not allow it.
func (s *AgentSession) ForceInterrupt(ctx context.Context) error {
	return s.c.interrupt(ctx, s.by, true)
}

// UpdateAgent hands the floor to another activity. It returns at once, with an error if the handoff cannot be; the
// handoff itself happens when the active agent has finished speaking. Handoffs happen in the order they were asked
// for. Handing over to the agent that has the floor restarts it.
func (s *AgentSession) UpdateAgent(to Activity) error { return s.c.updateAgent(s.by, to) }

// CommitUserTurn ends the user's spoken turn now and returns its transcript, which it waits for if it is on its way.
// Without an STT there is none. [ErrTurnCleared] says that the turn was cleared meanwhile, or committed again.
func (s *AgentSession) CommitUserTurn(ctx context.Context, opts ...CommitOptions) (string, error) {
	var o CommitOptions
	if len(opts) > 0 {
		o = opts[0]
	}
	return s.c.commitUserTurn(ctx, o)
}

// UpdateTurnOptions replaces Options.Turn, at once for the agent on the floor and for every later one. What cannot be is
// an error and changes nothing.
func (s *AgentSession) UpdateTurnOptions(o TurnOptions) error { return s.c.updateTurnOptions(s.by, o) }

// SetAudioInput switches hearing on or off. What comes in meanwhile is thrown away. It is on at first.
func (s *AgentSession) SetAudioInput(on bool) error {
	return s.c.do(s.by, func() { s.c.ears.setOn(on) })
}

// SetAudioOutput switches speaking aloud on or off. What is being said is cut off; while it is off, the agent answers in
// text. It is on at first.
func (s *AgentSession) SetAudioOutput(on bool) error {
	return s.c.do(s.by, func() { s.c.setAudioOutput(on) })
}

// SendDTMF presses keys of the telephone, such as "12#", with 0.3 s between them, and returns when the last is on its way.
// Calls are carried out one after another. A text that has anything else in it is an error, and nothing of it is sent; the
// error is [ErrNoDTMFOutput] when the session was started without a DTMFOutput. When ctx is done, or the session closes,
// the rest is not sent.
func (s *AgentSession) SendDTMF(ctx context.Context, keys string) error {
	return s.c.sendDTMF(ctx, s.by, keys)
}

// ClearUserTurn forgets what the user has said in the turn that has not been committed yet.
func (s *AgentSession) ClearUserTurn() error { return s.c.clearUserTurn() }

// WaitForIdle returns when nobody speaks and nothing is scheduled. A tool that runs after its speech was played does
// not count.
func (s *AgentSession) WaitForIdle(ctx context.Context) error { return s.c.waitForIdle(ctx, s.by) }

// History returns the whole conversation: messages, calls, handoffs and configuration updates of all agents.
func (s *AgentSession) History() *ChatContext { return s.c.historyCopy() }

// CurrentActivity returns what has the floor, or nil before the start and after the end.
func (s *AgentSession) CurrentActivity() Activity { return s.c.currentActivity() }

// UserState returns what the user is doing.
func (s *AgentSession) UserState() UserState { return s.c.userStateNow() }

// AgentState returns what the agent is doing.
func (s *AgentSession) AgentState() AgentState { return s.c.agentStateNow() }

// Usage returns what was used of each model so far.
func (s *AgentSession) Usage() []ModelUsage { return s.c.usageCopy() }

// Events returns the session's events from now on, until ctx is done or the session has closed. A receiver that is
// too slow loses metrics, which a [Gap] counts, and nothing else; one that is 65,536 events behind is cut off.
func (s *AgentSession) Events(ctx context.Context) iter.Seq[Event] { return s.c.events.subscribe(ctx) }

// Shutdown lets the active agent finish what it is saying and doing, runs its OnExit and closes the session. If ctx is
// done first, the session closes as by Close, and the error is the cause of ctx.
func (s *AgentSession) Shutdown(ctx context.Context) error { return s.c.shutdown(ctx, s.by) }

// Close interrupts everything and closes the session. Tasks end with [ErrSessionClosed], innermost first; OnExit of
// each activity runs; hooks and tools that have not returned after Options.CloseGrace are abandoned and reported. Close
// returns when the session has closed, except when called by a hook or tool, which would wait for itself.
func (s *AgentSession) Close() error { return s.c.close(s.by, CloseUserInitiated) }

// CloseFor is Close for a reason, which the [Closed] event tells.
func (s *AgentSession) CloseFor(reason CloseReason) error { return s.c.close(s.by, reason) }

// A Reply is a request for the model to say something. The zero value answers the conversation as it stands.
type Reply struct {
	// UserInput, or UserMessage, is added to the conversation as the user's message.
	UserInput   string
	UserMessage *ChatMessage
	// Instructions are added for this turn only, at the end. InstructionsFor, if set, is used instead.
	Instructions    string
	InstructionsFor *Instructions
	// ToolChoice is Auto by default, and NoTools for a reply made by a tool.
	ToolChoice *ToolChoice
	// Tools limits the reply to the tools, and the members of toolsets, with these names.
	Tools []string
	// ChatContext is used in place of the agent's own context.
	ChatContext *ChatContext
	// AllowInterruptions overrides the agent's and the session's setting.
	AllowInterruptions Toggle
	// Modality is how the user's turn came in. By default a reply made by a hook or tool follows the conversation, and
	// any other is ModalityText.
	Modality Modality
	// Priority says which scheduled speech comes first.
	Priority Priority
}

// clone copies what the caller may go on to change.
func (r Reply) clone() Reply {
	if r.ChatContext != nil {
		r.ChatContext = r.ChatContext.Copy()
	}
	r.Tools = slices.Clone(r.Tools)
	if r.UserMessage != nil {
		m := *r.UserMessage
		m.Content, m.Extra = slices.Clone(m.Content), maps.Clone(m.Extra)
		r.UserMessage = &m
	}
	return r
}

// SayOptions are the options of Say.
type SayOptions struct {
	// Text, if set, is said in place of the text given to Say, as it comes.
	Text iter.Seq[string]
	// Audio, if set, is played in place of what a TTS would make of the text.
	Audio iter.Seq[AudioFrame]
	// AllowInterruptions overrides the agent's and the session's setting.
	AllowInterruptions Toggle
	// SkipHistory keeps the text out of the history and the agent's context.
	SkipHistory bool
	// Priority says which scheduled speech comes first.
	Priority Priority
}

// RunOptions are the options of a run.
type RunOptions struct {
	Text     string
	Modality Modality // ModalityText by default
	// Output, if set, is the type that the run's final output must have; see [OutputOf].
	Output *RunOutput
}

// A RunOutput says what a run must come to.
type RunOutput struct {
	// MaxRetries is how often the model is asked again when the run ended without an output: 2 by default, or None.
	MaxRetries int
	// RetryInstructions is what it is told then. The default asks it to finish with a tool.
	RetryInstructions string

	matches func(any) bool
	name    string
}

// OutputOf asks for a final output of type T.
func OutputOf[T any]() *RunOutput {
	return &RunOutput{
		matches: func(v any) bool { _, ok := v.(T); return ok || v == nil && isInterface[T]() },
		name:    typeName[T](),
	}
}
