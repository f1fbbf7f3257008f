package agents

// A RunContext is what a tool knows of the call it serves. D is the type of Options.UserData.
type RunContext[D any] struct {
	// UserData is the session's Options.UserData.
	UserData D
	*toolRun
}
