package agenttest

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/parley-voice/agents"
)

func TestInterruptionDetectorJudges(t *testing.T) {
	Run(t, func(t *testing.T) {
		d := NewInterruptionDetector(t, Interrupts(), Listens().After(20*ms), Unsure(), Interrupts())
		s, err := d.Stream(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		defer s.Close()
		recv := func(want agents.InterruptionVerdict, at time.Duration) {
			t.Helper()
			v, err := s.Recv()
			if err != nil || v != want || time.Since(d.calls.begin) != at {
				t.Errorf("%+v, %v at %v, want %+v at %v", v, err, time.Since(d.calls.begin), want, at)
			}
		}
		begin := time.Now()
		s.AgentSpeech(true)
		s.OverlapBegins(begin, 50*ms)
		recv(agents.InterruptionVerdict{Interruption: true, Probability: 1, Since: begin}, 100*ms)
		s.OverlapEnds(time.Now(), false) // it was judged
		s.OverlapBegins(begin, 0)
		recv(agents.InterruptionVerdict{Since: begin}, 120*ms)
		s.OverlapBegins(begin, 0)
		s.OverlapEnds(time.Now(), false)
		recv(agents.InterruptionVerdict{Since: begin}, 120*ms)
		s.OverlapBegins(begin, 0) // ends before the verdict
		s.OverlapEnds(time.Now(), true)
		recv(agents.InterruptionVerdict{Since: begin, AgentEnded: true}, 120*ms)
		s.AgentSpeech(false)
		want := []string{
			"agent on 0s", "overlap of 50ms 0s", "overlap ends 100ms", "overlap of 0s 100ms", "overlap of 0s 120ms", "overlap ends 120ms",
			"overlap of 0s 120ms", "overlap ends with the agent 120ms", "agent off 120ms",
		}
		if got := d.Calls(); !slices.Equal(got, want) {
			t.Errorf("calls %q, want %q", got, want)
		}
	})
}

func TestInterruptionDetectorFaults(t *testing.T) {
	Run(t, func(t *testing.T) {
		refused := errors.New("refused")
		d := NewInterruptionDetector(t, Interrupts(), Interrupts())
		d.Faults(Refuse(refused), CutAt(500*ms), Late(40*ms), StallAt(0))
		if _, err := d.Stream(t.Context()); !errors.Is(err, refused) {
			t.Errorf("refused: %v", err)
		}
		stream := func() agents.InterruptionStream {
			s, err := d.Stream(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			return s
		}
		cut := stream()
		if err := cut.Send(agents.Silence(500*ms, voiceRate, 1)); err != nil {
			t.Fatal(err)
		}
		if _, err := cut.Recv(); !errors.Is(err, agents.ErrConnection) {
			t.Errorf("cut: %v", err)
		}
		cut.Close()
		late := stream()
		begun := time.Now()
		late.OverlapBegins(begun, 0)
		if v, err := late.Recv(); err != nil || !v.Interruption || time.Since(begun) != 140*ms {
			t.Errorf("late: %+v, %v after %v", v, err, time.Since(begun))
		}
		late.Close()
		stalled := stream()
		stalled.OverlapBegins(begun, 0)
		defer time.AfterFunc(time.Minute, func() { stalled.Close() }).Stop()
		if v, err := stalled.Recv(); !errors.Is(err, agents.ErrStreamClosed) {
			t.Errorf("stalled: %+v, %v", v, err)
		}
		if d.Streams() != 4 {
			t.Errorf("%d streams", d.Streams())
		}
	})
}

func TestInterruptionDetectorIsUsed(t *testing.T) {
	got := failureOf(t, func(t tb) {
		d := &InterruptionDetector{script: []OverlapVerdict{Interrupts()}, log: streamLog{t: t, what: "interruption detector"}}
		d.check()
	})
	if want := "1 verdicts of the interruption detector left over"; !strings.Contains(got, want) {
		t.Errorf("%q does not contain %q", got, want)
	}
}
