// Package agents runs multi-agent conversations: an assistant that listens, thinks, calls tools, hands over to other
// assistants and takes the user through tasks, in one process for thousands of sessions, and testable without a key.
//
// # The three types to know
//
// An [AgentSession] is one conversation. It is made with [NewSession] from [Options], the models among them, and runs
// from Start until Close.
//
// An [Agent] is who speaks: instructions, tools and, where they differ from the session's, models. One agent at a time
// has the floor; a tool gives it to another by returning a [Handoff]. An [AgentTask] is an agent for one purpose with a
// typed result: run it in OnEnter or in a tool, as if it were a function, and it has the conversation until the result
// is known. A [TaskGroup] runs tasks in order and lets the user go back.
//
// A [FunctionTool] is what an agent's model can call. [NewTool] makes one of a Go function: its parameters' schema comes
// from a struct, the model's arguments are checked against it before the function sees them, and what it returns is the
// model's to read, once and only once.
//
// # What happens in a turn
//
// Run, or a turn that was heard, puts the user's words in the agent's [ChatContext] and asks its [LLM] for a reply. The
// text is said as it comes. Calls run at once, at the same time; when the last has its output, the model is asked again,
// up to Options.MaxToolSteps times. Then handoffs are carried out: the agent finishes speaking, its OnExit runs, the
// next agent takes the floor and its OnEnter runs. The whole turn is one [SpeechHandle].
//
// # Concurrency
//
// A session belongs to one goroutine, which never runs your code. Hooks, tools and nodes run on goroutines of their
// own, with a context that ends when their activity has left the floor and its patience is over; they may call any
// method of the session and may take their time. Methods are safe for concurrent use. What is returned is the caller's:
// contexts are copies, cheap ones, that share their items, and items do not change.
//
// # Lifetime
//
// As in os/exec, Start begins, Wait waits, and one context owns it all. Shutdown lets the agent finish; Close is at
// once. Both are bounded: user code that has not returned after Options.CloseGrace is abandoned and reported.
//
// # Tests
//
// Package agenttest has a scripted model, assertions on what was said and done, and virtual time, in which a
// conversation of minutes takes milliseconds and gives the same events, in the same order, every time.
package agents
