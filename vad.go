package agents

// A VAD detects voice activity.
type VAD interface{ Stream() VADStream }

// A VADStream is one detector.
type VADStream interface {
	Push(AudioFrame) ([]VADEvent, error)
}

// A VADEvent is what a detector found.
type VADEvent struct{}
