package agents

// MutateCompletionOrder breaks the loop until restore is called.
func MutateCompletionOrder() (restore func()) {
	mutant = mutantCompletionOrder
	return func() { mutant = "" }
}
