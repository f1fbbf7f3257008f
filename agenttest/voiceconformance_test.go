package agenttest

import (
	"context"
	"errors"
	"io"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/parley-voice/agents"
)

// A memSTT is a plugin and its provider in one: the scripted STT, of which fault breaks a rule.
type memSTT struct {
	*STT
	fault string
	audio atomic.Int64
}

func newMemSTT(t tb, fault string, streams []Recognition) *memSTT {
	script := Voice()
	var faults []VoiceFault
	for _, r := range streams {
		script = r.Script
		switch {
		case r.Status != 0:
			faults = append(faults, Refuse(StatusError(r.Status)))
		case r.End == Hang:
			faults = append(faults, StallAt(r.EndAt))
		case r.End == Cut:
			faults = append(faults, CutAt(r.EndAt))
		}
	}
	return &memSTT{STT: newSTT(t, script, faults...), fault: fault}
}

func (m *memSTT) Audio() time.Duration { return time.Duration(m.audio.Load()) }

func (m *memSTT) Stream(ctx context.Context, opts agents.STTOptions) (agents.STTStream, error) {
	if m.fault == "deaf" {
		ctx = context.WithoutCancel(ctx)
	}
	s, err := m.STT.Stream(ctx, opts)
	if err != nil {
		if m.fault == "plain errors" {
			err = errors.New("refused")
		}
		return nil, err
	}
	return &memSTTStream{STTStream: s, m: m}, nil
}

type memSTTStream struct {
	agents.STTStream
	m      *memSTT
	frames int
}

func (s *memSTTStream) Send(f agents.AudioFrame) error {
	s.frames++
	if s.m.fault == "any format" && f.SampleRate != voiceRate {
		return nil
	}
	if s.m.fault == "loses audio" && s.frames == 5 {
		return nil
	}
	err := s.STTStream.Send(f)
	if err == nil {
		s.m.audio.Add(int64(f.Duration()))
	}
	return err
}

func (s *memSTTStream) Flush() error {
	if s.m.fault == "ignores flush" {
		return nil
	}
	return s.STTStream.Flush()
}

func (s *memSTTStream) Recv() (agents.STTEvent, error) {
	ev, err := s.STTStream.Recv()
	if ev.Type == agents.STTFinal && s.m.fault == "no finals" {
		return s.Recv()
	}
	if ev.Usage != nil && s.m.fault == "bad usage" {
		ev.Usage.Audio += time.Second
	}
	if ev.Type == agents.STTInterim && s.m.fault == "garbage" {
		ev.Type = "garbage"
	}
	if errors.Is(err, agents.ErrConnection) && s.m.fault == "hides cuts" {
		return ev, io.EOF
	}
	return ev, err
}

func (s *memSTTStream) Close() error {
	if s.m.fault == "closes late" {
		time.AfterFunc(time.Second, func() { _ = s.STTStream.Close() })
		return nil
	}
	return s.STTStream.Close()
}

func TestSTTConformance(t *testing.T) {
	TestSTT(t, STTUnderTest{New: func(t *testing.T, streams ...Recognition) (agents.STT, STTFake) {
		m := newMemSTT(t, "", streams)
		t.Cleanup(m.log.check)
		return m, m
	}})
}

func TestSTTConformanceFindsFaults(t *testing.T) {
	for _, test := range []struct {
		fault string
		found []string
	}{
		{"deaf", []string{"cancelled"}},
		{"plain errors", []string{"refused"}},
		{"any format", []string{"audio is copied and checked"}},
		{"loses audio", []string{"audio ends amid speech", "no speech", "transcripts"}},
		{"ignores flush", []string{"flush"}},
		{"no finals", []string{"audio ends amid speech", "cut", "flush", "transcripts"}},
		{"bad usage", []string{"audio ends amid speech", "no speech", "transcripts"}},
		{"garbage", []string{"cut", "transcripts"}},
		{"hides cuts", []string{"cut"}},
		{"closes late", []string{"closed"}},
	} {
		t.Run(test.fault, func(t *testing.T) {
			t.Parallel()
			var found, texts []string
			for _, check := range sttChecks(STTUnderTest{}) {
				failure := failureOf(t, func(fake tb) {
					check.run(&sttCheck{tb: fake, patience: time.Second, start: func(r ...Recognition) (agents.STT, STTFake) {
						m := newMemSTT(fake, test.fault, r)
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

// A memVAD is the scripted VAD, of which fault breaks a rule.
type memVAD struct {
	*VAD
	fault string
}

func (m memVAD) Stream() agents.VADStream { return &memVADStream{m.VAD.Stream().(*vadStream), m.fault} }

type memVADStream struct {
	*vadStream
	fault string
}

func (s *memVADStream) Push(f agents.AudioFrame) ([]agents.VADEvent, error) {
	if s.fault == "any format" {
		s.format = agents.AudioFrame{}
	}
	if s.fault == "open" {
		s.closed = false
	}
	events, err := s.vadStream.Push(f)
	for i := range events {
		switch s.fault {
		case "late":
			events[i].Position += 1600
		case "by frame":
			events[i].Position = s.pushed
		case "silent":
			events[i].Type = agents.VADInference
		}
	}
	return events, err
}

func (s *memVADStream) Reset() {
	if s.fault != "no reset" {
		s.vadStream.Reset()
	}
}

func TestVADConformance(t *testing.T) {
	script := ParseVoice(t, "s500 v800 s1000 n300 v900 s1500")
	under := func(fault string) VADUnderTest {
		return VADUnderTest{
			VAD:       memVAD{NewVAD(script), fault},
			Audio:     script.Audio(),
			Speech:    [][2]time.Duration{{500 * ms, 1300 * ms}, {2600 * ms, 3500 * ms}},
			Tolerance: 50 * ms,
		}
	}
	TestVAD(t, under(""))
	for _, test := range []struct {
		fault string
		found []string
	}{
		{"any format", []string{"formats"}},
		{"open", []string{"closed"}},
		{"late", []string{"speech"}},
		{"by frame", []string{"frames of any length", "speech"}},
		{"silent", []string{"order", "speech"}},
		{"no reset", []string{"reset"}},
	} {
		var found, texts []string
		for _, check := range vadChecks {
			if failure := failureOf(t, func(fake tb) { check.run(&vadCheck{fake, under(test.fault)}) }); failure != "" {
				found = append(found, check.name)
				texts = append(texts, check.name+": "+failure)
			}
		}
		slices.Sort(found)
		if !slices.Equal(found, test.found) {
			t.Errorf("%s: found by %q, want %q:\n%.600s", test.fault, found, test.found, strings.Join(texts, "\n"))
		}
	}
}
