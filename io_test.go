package agents

import (
	"errors"
	"testing"
)

// An agent's model that is none must differ from nil, which means the session's, and fail without harm when used.
func TestSentinels(t *testing.T) {
	if _, err := NoSTT.Stream(t.Context(), STTOptions{}); !errors.Is(err, ErrNoSTT) {
		t.Errorf("NoSTT: %v", err)
	}
	if _, err := NoTTS.Stream(t.Context(), TTSOptions{}); !errors.Is(err, ErrNoTTS) {
		t.Errorf("NoTTS: %v", err)
	}
	detector := NoVAD.Stream()
	detector.Reset()
	if events, err := detector.Push(AudioFrame{}); len(events) != 0 || !errors.Is(err, ErrNoVAD) {
		t.Errorf("NoVAD: %v, %v", events, err)
	}
	if err := errors.Join(detector.Close(), detector.Close()); err != nil {
		t.Errorf("NoVAD: Close: %v", err)
	}
	if _, ok := NoTurnDetector.Threshold("en"); ok {
		t.Error("NoTurnDetector knows a language")
	}
	if NoSTT.Capabilities() != (STTCapabilities{}) || NoTTS.Capabilities() != (TTSCapabilities{}) ||
		NoVAD.Capabilities() != (VADCapabilities{}) {
		t.Error("a model that is none can do something")
	}
	if NoSTT != STT(noSTT{}) || NoTTS != TTS(noTTS{}) || NoVAD != VAD(noVAD{}) || NoTurnDetector != TurnDetector(noTurnDetector{}) {
		t.Error("a sentinel cannot be compared")
	}
	for _, none := range []any{NoSTT, NoTTS, NoVAD, NoTurnDetector} {
		switch none.(type) {
		case Recognizer, Synthesizer, TextTurnDetector, AudioTurnDetector:
			t.Errorf("%T can do something", none)
		}
	}
}
