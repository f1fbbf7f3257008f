package agenttest

import (
	"context"
	"errors"
	"io"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/parley-voice/agents"
)

// A memTTS is a plugin and its provider in one: a scripted TTS for each stream, of which fault breaks a rule.
type memTTS struct {
	*TTS
	streams []Synthesis
	fault   string
	n       int
}

func newMemTTS(t tb, fault string, streams []Synthesis) *memTTS {
	m := &memTTS{TTS: newTTS(t), streams: streams, fault: fault}
	m.Words = true
	for _, s := range streams {
		fault := VoiceFault{}
		switch {
		case s.Status != 0:
			fault = Refuse(StatusError(s.Status))
		case s.End == Hang:
			fault = StallAt(s.Audio)
		case s.End == Cut:
			fault = CutAt(s.Audio)
		}
		m.Faults(fault)
	}
	return m
}

func (m *memTTS) Stream(ctx context.Context, opts agents.TTSOptions) (agents.TTSStream, error) {
	if m.fault == "deaf" {
		ctx = context.WithoutCancel(ctx)
	}
	if m.streams[m.n].End == Complete {
		m.utterances = []Utterance{Spoken(conformanceText, m.streams[m.n].Audio).TTFB(0)}
	} else {
		m.utterances = []Utterance{SpokenAny(ttsPace).TTFB(0)}
	}
	m.n++
	s, err := m.TTS.Stream(ctx, opts)
	if err != nil {
		if m.fault == "plain errors" {
			err = errors.New("refused")
		}
		return nil, err
	}
	return &memTTSStream{TTSStream: s, fault: m.fault}, nil
}

type memTTSStream struct {
	agents.TTSStream
	fault  string
	chunks int
}

func (s *memTTSStream) Recv() (agents.TTSChunk, error) {
	c, err := s.TTSStream.Recv()
	s.chunks++
	switch {
	case s.fault == "loses audio" && s.chunks == 3:
		return s.Recv()
	case s.fault == "bad format" && c.Frame.SampleRate != 0:
		c.Frame.SampleRate = 8000
	case s.fault == "untimed":
		c.Words = nil
	case s.fault == "hides cuts" && errors.Is(err, agents.ErrConnection):
		err = io.EOF
	}
	return c, err
}

func (s *memTTSStream) Close() error {
	if s.fault == "closes late" {
		time.AfterFunc(time.Second, func() { _ = s.TTSStream.Close() })
		return nil
	}
	return s.TTSStream.Close()
}

func TestTTSConformance(t *testing.T) {
	TestTTS(t, TTSUnderTest{New: func(t *testing.T, streams ...Synthesis) (agents.TTS, TTSFake) {
		m := newMemTTS(t, "", streams)
		t.Cleanup(m.log.check)
		return m, m
	}})
}

func TestTTSConformanceFindsFaults(t *testing.T) {
	for _, test := range []struct {
		fault string
		found []string
	}{
		{"deaf", []string{"cancelled"}},
		{"plain errors", []string{"refused"}},
		{"loses audio", []string{"closed", "speaks"}},
		{"bad format", []string{"closed", "cut", "speaks"}},
		{"untimed", []string{"speaks"}},
		{"hides cuts", []string{"cut"}},
		{"closes late", []string{"closed"}},
	} {
		t.Run(test.fault, func(t *testing.T) {
			t.Parallel()
			var found, texts []string
			for _, check := range ttsChecks {
				failure := failureOf(t, func(fake tb) {
					check.run(&ttsCheck{tb: fake, patience: time.Second, start: func(s ...Synthesis) (agents.TTS, TTSFake) {
						m := newMemTTS(fake, test.fault, s)
						return m, m
					}})
				})
				if failure != "" {
					found = append(found, check.name)
					texts = append(texts, check.name+": "+failure)
				}
			}
			slices.Sort(found)
			if !slices.Equal(found, test.found) {
				t.Errorf("found by %q, want %q:\n%s", found, test.found, strings.Join(texts, "\n"))
			}
		})
	}
}
