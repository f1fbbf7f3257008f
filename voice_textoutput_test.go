package agents_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/parley-voice/agents"
	"github.com/parley-voice/agents/agenttest"
)

// A shownText is a TextOutput that notes what it is given, with its time, and fails from a text on.
type shownText struct {
	begin time.Time
	shown []string
	fails string
}

func (s *shownText) Capture(_ context.Context, text string) error {
	if s.begin.IsZero() {
		s.begin = time.Now()
	}
	if text == s.fails {
		return errors.New("the screen is off")
	}
	s.shown = append(s.shown, time.Since(s.begin).String()+" "+text)
	return nil
}

func (s *shownText) Flush() { s.shown = append(s.shown, time.Since(s.begin).String()+" end") }

func shows(t *testing.T, out *shownText) *agenttest.VoiceSession {
	llm := agenttest.NewLLM(t, answers("Hello.", "One two three four."))
	opts := voiceOptions(llm, agenttest.NewTTS(t))
	v := agenttest.StartVoice(t, opts, &agents.Agent{}, agenttest.Voice(speaks(0.5, 1.5, "Hello.")), agenttest.Setup{IO: agents.IO{TextOutput: out}})
	v.Until(6 * time.Second)
	return v
}

// Text is shown at the pace of the audio, and the segment ends with it.
func TestTextOutputFollowsTheAudio(t *testing.T) {
	agenttest.Run(t, func(t *testing.T) {
		out := &shownText{}
		shows(t, out)
		require.Equal(t, []string{"0s One", "296.958333ms  two", "581.958333ms  three", "866.958333ms  four.", "1.009458333s end"}, out.shown)
	})
}

// A text output that fails is reported, and the words are said all the same.
func TestTextOutputThatFails(t *testing.T) {
	agenttest.Run(t, func(t *testing.T) {
		v := shows(t, &shownText{fails: "One"})
		require.Equal(t, 1, eventCount[*agents.ErrorOccurred](v), v.Log())
		require.Equal(t, "user: Hello.\nassistant: One two three four.\n", transcript(v.History()))
	})
}

type speakerAndScreen struct {
	*agenttest.Speaker
	*shownText
}

func (s speakerAndScreen) Flush() {}

// The Flush of an audio output is not that of a text output, so that nothing can be both.
func TestOneValueForAudioAndText(t *testing.T) {
	both := &speakerAndScreen{agenttest.NewSpeaker(), &shownText{}}
	session := agents.NewSession(agents.Options{LLM: agenttest.NewLLM(t)})
	err := session.Start(t.Context(), &agents.Agent{}, agents.IO{AudioOutput: both, TextOutput: both})
	require.ErrorContains(t, err, "AudioOutput and TextOutput")
}
