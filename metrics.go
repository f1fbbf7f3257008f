package agents

import "time"

// MessageMetrics says how the turn that made a message went. Fields that do not apply are zero.
type MessageMetrics struct {
	// Of a user message.
	StartedSpeakingAt  time.Time     `json:"started_speaking_at,omitzero"`
	StoppedSpeakingAt  time.Time     `json:"stopped_speaking_at,omitzero"`
	TranscriptionDelay time.Duration `json:"transcription_delay,omitzero"`  // end of speech to final transcript
	EndOfTurnDelay     time.Duration `json:"end_of_turn_delay,omitzero"`    // end of speech to commit
	TurnCompletedDelay time.Duration `json:"turn_completed_delay,omitzero"` // spent in OnUserTurnCompleted
	// Of an assistant message.
	LLMTTFT         time.Duration `json:"llm_ttft,omitzero"`         // request to first token
	TTSTTFB         time.Duration `json:"tts_ttfb,omitzero"`         // text at the TTS to first audio
	PlaybackLatency time.Duration `json:"playback_latency,omitzero"` // first frame captured to first frame played
	E2ELatency      time.Duration `json:"e2e_latency,omitzero"`      // user stopped speaking to first frame played
}
