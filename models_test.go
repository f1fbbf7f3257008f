package agents

import (
	"context"
	"io"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/parley-voice/agents/internal/turn"
)

type noInput struct{}

func (noInput) ReadFrame(context.Context) (AudioFrame, error) { return AudioFrame{}, io.EOF }

// Core 31: a session with audio that is not given a VAD has the built-in one, which is known for that; one that is told
// to have none has none, as has one without audio. A session that is not given a turn detector has none, and one that is
// passes it on. An agent's own go before the session's.
func TestDefaultModels(t *testing.T) {
	vad, reads := loudVAD{}, NewTextTurnDetector(TextTurnDetectorOptions{})
	for _, c := range []struct {
		name      string
		o         Options
		a         *Agent
		text      bool
		vad       VAD
		kind      turn.VADKind
		detector  TurnDetector
		detection turn.Detection
	}{
		{"nothing given", Options{}, &Agent{}, false, builtinDetector, turn.DefaultVAD, nil, turn.Automatic},
		{"nothing given, without audio", Options{}, &Agent{}, true, nil, turn.NoVAD, nil, turn.Automatic},
		{"none", Options{VAD: NoVAD, TurnDetector: NoTurnDetector}, &Agent{}, false, nil, turn.NoVAD, NoTurnDetector, turn.Automatic},
		{"given", Options{VAD: vad, TurnDetector: reads}, &Agent{}, false, vad, turn.GivenVAD, reads, turn.TextDetector},
		{"given, and none by the agent", Options{VAD: vad, TurnDetector: reads}, &Agent{VAD: NoVAD, TurnDetector: NoTurnDetector}, false, nil, turn.NoVAD, NoTurnDetector, turn.Automatic},
		{"none, and given by the agent", Options{VAD: NoVAD, TurnDetector: NoTurnDetector}, &Agent{VAD: vad, TurnDetector: reads}, false, vad, turn.GivenVAD, reads, turn.TextDetector},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := &core{opts: c.o}
			s.opts.STT = stt("a", nil)
			if !c.text {
				s.io.AudioInput = noInput{}
			}
			m := s.modelsOf(c.a)
			require.Equal(t, c.vad, m.vad)
			require.Equal(t, c.kind, m.vadKind)
			o, detector, warnings, err := s.turnOptions(c.a, m)
			require.NoError(t, err)
			require.Empty(t, warnings)
			require.Equal(t, c.kind, o.VAD)
			require.Equal(t, c.detector, detector)
			require.Equal(t, c.detection, o.Detection)
		})
	}
}
