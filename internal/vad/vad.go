package vad

// SampleRate is that of the audio that is judged, and Window how many samples are judged at once: 32 ms.
const (
	SampleRate = 16000
	Window     = 512
)
