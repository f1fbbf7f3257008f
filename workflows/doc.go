// Package workflows has ready-made tasks that get one thing from the user and return it as a typed value: an email
// address, a phone number, a postal address, a name, a date of birth, a credit card, or digits that are pressed on a
// telephone.
//
// Each New function returns an [agents.AgentTask]. Run it from a tool or from an agent's OnEnter, add it to an
// [agents.TaskGroup], or start a session with it:
//
//	email, err := workflows.NewEmail(workflows.EmailOptions{}).Run(ctx)
//
// On entering, the task asks the user, unless the answer is already known from its ChatContext. What the user says is
// checked. If it was spoken, the task reads it back and completes when the user has said that it is right; if it was
// typed, it completes at once. Options.RequireConfirmation changes that.
//
// [NewDTMF] is different: what is pressed on a telephone needs no tool of a model, and is confirmed only if that is asked
// for.
//
// When the user refuses to answer, the error of Run is a *[agents.ToolError] with the reason. A tool that runs a task
// can return it as it is, so that its model knows what happened. Other errors are those of [agents.AgentTask.Run].
//
// A task can be changed before it runs, like any agent; its ID, hooks and models are fields of it. While it runs it
// changes its own tools, so UpdateTools must not be called on it from outside.
package workflows
