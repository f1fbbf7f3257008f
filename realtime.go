package agents

// A RealtimeModel is a speech-to-speech model.
type RealtimeModel interface{}
