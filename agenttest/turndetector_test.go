package agenttest

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/parley-voice/agents"
)

// said returns a conversation that ends with what the user said.
func said(text string) *agents.ChatContext {
	chat := &agents.ChatContext{}
	chat.AddMessage(agents.RoleAssistant, "Hello.")
	chat.AddMessage(agents.RoleUser, text)
	return chat
}

func TestTextTurnDetectorPredicts(t *testing.T) {
	Run(t, func(t *testing.T) {
		broken := errors.New("broken")
		d := NewTextTurnDetector(t, Likely("So", 0.1), Likely("So", 0.3).After(20*ms), Likely(" what ", 0.9).Backchannel(0.7, 0.6),
			Likely("no", 0).Fail(broken), Likely("never", 0).Stall(), LikelyAny(0.5).After(time.Second).Stubborn())
		ask := func(text string, patience time.Duration) (agents.TurnPrediction, error) {
			ctx, cancel := context.WithTimeout(t.Context(), patience)
			defer cancel()
			return d.PredictEndOfTurn(ctx, said(text), "en")
		}
		for i, want := range []float64{0.1, 0.3, 0.3} {
			if p, err := ask("So", time.Second); err != nil || p.Probability != want {
				t.Errorf("So, %d: %v, %v", i, p, err)
			}
		}
		if p, err := ask("what", time.Second); err != nil || p.Probability != 0.9 || p.Backchannel != 0.7 || p.BackchannelThreshold != 0.6 {
			t.Errorf("what: %+v, %v", p, err)
		}
		if _, err := ask("no", time.Second); !errors.Is(err, broken) {
			t.Errorf("no: %v", err)
		}
		if _, err := ask("never", 50*ms); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("never: %v", err)
		}
		if p, err := ask("else", 10*ms); err != nil || p.Probability != 0.5 {
			t.Errorf("stubborn: %v, %v", p, err)
		}
		want := []string{"predict 0s", "predict 0s", "predict 20ms", "predict 40ms", "predict 40ms", "predict 40ms", "cancel 90ms", "predict 90ms"}
		if got := d.Calls(); !slices.Equal(got, want) {
			t.Errorf("calls %q, want %q", got, want)
		}
		d.Languages = []string{"en"}
		if limit, ok := d.Threshold("en"); limit != 0.5 || !ok {
			t.Errorf("en: %v, %v", limit, ok)
		}
		if _, ok := d.Threshold("fr"); ok {
			t.Error("knows French")
		}
	})
}

func TestTurnDetectorNeedsAPrediction(t *testing.T) {
	got := failureOf(t, func(t tb) {
		p := newPredictions(t, "turn detector", []EndOfTurn{Likely("So", 0.1)})
		p.find("What?")
	})
	if want := `the turn detector has no prediction for "What?"`; !strings.Contains(got, want) {
		t.Errorf("%q does not contain %q", got, want)
	}
}

// listening returns a stream of a detector that has heard a voice up to a time.
func listening(t *testing.T, d *AudioTurnDetector, from, to time.Duration) agents.TurnDetectorStream {
	t.Helper()
	s, err := d.Stream(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	audio := d.voice.Audio()
	for at := from; at < to; at += 20 * ms {
		if err := s.Send(audio.Slice(at, at+20*ms)); err != nil {
			t.Fatal(err)
		}
	}
	return s
}

func TestAudioTurnDetectorPredicts(t *testing.T) {
	Run(t, func(t *testing.T) {
		voice := Voice(Speech(200*ms, 600*ms, "So"), Speech(900*ms, 1200*ms, "what"), Silence(1200*ms, 2*time.Second))
		d := NewAudioTurnDetector(t, voice, Likely("So", 0.1).After(30*ms), Likely("what", 0.9))
		s := listening(t, d, 0, 800*ms)
		defer s.Close()
		predict := func(id uint64) {
			t.Helper()
			if err := s.Predict(id, "en"); err != nil {
				t.Fatal(err)
			}
		}
		recv := func(id uint64, probability float64) {
			t.Helper()
			if p, err := s.Recv(); err != nil || p.ID != id || p.Probability != probability {
				t.Errorf("%+v, %v", p, err)
			}
		}
		predict(1)
		predict(2) // which takes the place of the first
		recv(2, 0.1)
		predict(3)
		s.Cancel(true)
		s.Cancel(false) // without a request
		if err := s.Flush(); err != nil {
			t.Fatal(err)
		}
		for at := 800 * ms; at < 1400*ms; at += 20 * ms {
			if err := s.Send(voice.Audio().Slice(at, at+20*ms)); err != nil {
				t.Fatal(err)
			}
		}
		predict(4)
		recv(4, 0.9)
		want := []string{"predict 0s", "predict 0s", "predict 30ms", "time out 30ms", "flush 30ms", "predict 30ms"}
		if got := d.Calls(); !slices.Equal(got, want) {
			t.Errorf("calls %q, want %q", got, want)
		}
		s.Close()
		if _, err := s.Recv(); !errors.Is(err, agents.ErrStreamClosed) {
			t.Errorf("Recv after Close: %v", err)
		}
	})
}

func TestAudioTurnDetectorFaults(t *testing.T) {
	Run(t, func(t *testing.T) {
		voice := Voice(Speech(200*ms, 600*ms, "So"), Silence(600*ms, 2*time.Second))
		refused := errors.New("refused")
		d := NewAudioTurnDetector(t, voice, LikelyAny(0.9))
		d.Faults(Refuse(refused), CutAt(500*ms), StallAt(500*ms), GarbageAt(500*ms), Late(40*ms))
		if _, err := d.Stream(t.Context()); !errors.Is(err, refused) {
			t.Errorf("refused: %v", err)
		}
		cut := listening(t, d, 100*ms, 500*ms) // begins in the middle of the script
		if _, err := cut.Recv(); !errors.Is(err, agents.ErrConnection) {
			t.Errorf("cut: %v", err)
		}
		if err := cut.Predict(1, ""); !errors.Is(err, agents.ErrConnection) {
			t.Errorf("cut: %v", err)
		}
		cut.Close()
		for i, want := range []struct {
			id   uint64
			took time.Duration
		}{{0, 0}, {^uint64(0), 0}, {1, 40 * ms}} {
			s := listening(t, d, 0, 600*ms)
			if err := s.Predict(1, ""); err != nil {
				t.Fatal(err)
			}
			begun := time.Now()
			if want.id == 0 { // it never comes
				done := time.AfterFunc(time.Minute, func() { s.Close() })
				if _, err := s.Recv(); !errors.Is(err, agents.ErrStreamClosed) || time.Since(begun) != time.Minute {
					t.Errorf("stalled: %v after %v", err, time.Since(begun))
				}
				done.Stop()
				continue
			}
			if p, err := s.Recv(); err != nil || p.ID != want.id || time.Since(begun) != want.took {
				t.Errorf("%d: %+v, %v after %v", i, p, err, time.Since(begun))
			}
			s.Close()
		}
		if d.Streams() != 5 {
			t.Errorf("%d streams", d.Streams())
		}
	})
}
