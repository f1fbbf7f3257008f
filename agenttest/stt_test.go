package agenttest

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/parley-voice/agents"
)

// hear sends what a mic plays for so long, and lists what comes, with the milliseconds since the beginning.
func hear(t *testing.T, stream agents.STTStream, mic *Mic, d time.Duration) []string {
	t.Helper()
	begin := time.Now()
	done := make(chan []string)
	go func() { done <- transcripts(stream, begin) }()
	for time.Since(begin) < d {
		f, err := mic.ReadFrame(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if err := stream.Send(f); err != nil {
			break
		}
		clear(f.Samples)
	}
	_ = stream.CloseSend()
	time.AfterFunc(time.Minute, func() { _ = stream.Close() })
	return <-done
}

// transcripts lists what a stream returns, to its end.
func transcripts(stream agents.STTStream, begin time.Time) (out []string) {
	for {
		ev, err := stream.Recv()
		at := time.Since(begin).Milliseconds()
		switch {
		case err != nil:
			return append(out, fmt.Sprintf("%d %v", at, err))
		case ev.Usage != nil:
			out = append(out, fmt.Sprintf("%d usage %v", at, ev.Usage.Audio))
		default:
			tr := ev.Transcript
			out = append(out, fmt.Sprintf("%d %s %q %d-%d", at, strings.TrimSuffix(string(ev.Type), "_transcript"), tr.Text, tr.Start.Milliseconds(), tr.End.Milliseconds()))
		}
	}
}

func TestSTTTimes(t *testing.T) {
	script := Voice(Speech(500*ms, 1300*ms, "I need some help."), Speech(2*time.Second, 2200*ms, ""),
		Speech(3*time.Second, 3100*ms, "No final").NoFinal(), Speech(4*time.Second, 4100*ms, "Slow").Delay(600*ms))
	cut := "agenttest: recognise: connection failed"
	tests := []struct {
		name  string
		fault VoiceFault
		d     time.Duration
		want  []string
	}{
		{"plain", VoiceFault{}, 5 * time.Second, []string{
			`1400 interim "I need" 500-829`, `1500 final "I need some help." 500-1300`,
			`3200 interim "No final" 3000-3100`,
			`4400 interim "Slow" 4000-4100`, `4700 final "Slow" 4000-4100`, "5000 usage 5s", "5000 EOF"}},
		{"ends early", VoiceFault{}, 1400 * ms, []string{
			`1400 interim "I need" 500-829`, `1400 final "I need some help." 500-1300`, "1400 usage 1.4s", "1400 EOF"}},
		{"ends amid a speech", VoiceFault{}, 900 * ms, []string{`900 final "I need" 500-829`, "900 usage 900ms", "900 EOF"}},
		{"late", Late(300 * ms), 2 * time.Second, []string{
			`1700 interim "I need" 500-829`, `1800 final "I need some help." 500-1300`, "2000 usage 2s", "2000 EOF"}},
		{"cut", CutAt(1450 * ms), 2 * time.Second, []string{`1400 interim "I need" 500-829`, "1460 " + cut}},
		{"cut at once", CutAt(0), 2 * time.Second, []string{"20 " + cut}},
		{"stalls", StallAt(1450 * ms), 2 * time.Second, []string{`1400 interim "I need" 500-829`, "62000 agents: stream closed"}},
		{"garbage", GarbageAt(1450 * ms), 1500 * ms, []string{`1400 interim "I need" 500-829`, `1460 garbage "\x00\xff" 3600000--3600000`,
			`1500 final "I need some help." 500-1300`, "1500 usage 1.5s", "1500 EOF"}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				stt := NewSTT(t, script, test.fault)
				stream, err := stt.Stream(t.Context(), agents.STTOptions{})
				if err != nil {
					t.Fatal(err)
				}
				got := hear(t, stream, NewMic(script), test.d)
				if !slices.Equal(got, test.want) {
					t.Errorf("came:\n%s\nwant:\n%s", strings.Join(got, "\n"), strings.Join(test.want, "\n"))
				}
				_ = stream.Close()
			})
		})
	}
}

func TestSTTFlush(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		script := ParseVoice(t, `v1000"one two three" s1000`)
		stream, _ := NewSTT(t, script).Stream(t.Context(), agents.STTOptions{})
		defer stream.Close()
		audio := script.Audio()
		var got []string
		for at := time.Duration(0); at < 2*time.Second; at += 500 * ms {
			_ = stream.Send(audio.Slice(at, at+500*ms))
			_ = stream.Flush()
			_ = stream.Flush()
		}
		_ = stream.CloseSend()
		got = transcripts(stream, time.Now())
		want := []string{`0 final "one" 0-307`, `0 final "two three" 307-1000`, "0 usage 2s", "0 EOF"}
		if !slices.Equal(got, want) {
			t.Errorf("came %q, want %q", got, want)
		}
	})
}

// After a failure the next stream gets the audio that was not recognised, and says the rest.
func TestSTTReconnects(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		script := ParseVoice(t, `s500 v1000"one two" s1000 v400"three four" s500`)
		stt := NewSTT(t, script, Refuse(StatusError(503)), CutAt(time.Second))
		stt.Faults(VoiceFault{})
		audio := script.Audio()
		var refused *agents.ProviderError
		if _, err := stt.Stream(t.Context(), agents.STTOptions{}); !errors.As(err, &refused) || refused.Status != 503 {
			t.Errorf("refused with %v", err)
		}
		first, _ := stt.Stream(t.Context(), agents.STTOptions{})
		defer first.Close()
		if err := first.Send(audio.Slice(0, 1100*ms)); err != nil {
			t.Error(err)
		}
		cut := first.Send(audio.Slice(1100*ms, 1200*ms))
		if _, err := first.Recv(); !errors.Is(err, agents.ErrConnection) || err != cut || first.Flush() != cut || first.CloseSend() != cut {
			t.Errorf("cut with %v and %v", err, cut)
		}
		second, _ := stt.Stream(t.Context(), agents.STTOptions{})
		defer second.Close()
		_ = second.Send(audio.Slice(400*ms, 4*time.Second))
		_ = second.CloseSend()
		got := transcripts(second, time.Now())
		want := []string{`0 interim "one two" 100-1100`, `0 final "one two" 100-1100`, `0 interim "three four" 2100-2500`,
			`0 final "three four" 2100-2500`, "0 usage 3s", "0 EOF"}
		if !slices.Equal(got, want) {
			t.Errorf("came %q, want %q", got, want)
		}
		if stt.Streams() != 3 {
			t.Errorf("%d streams", stt.Streams())
		}
	})
}

func TestSTTEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		gone := errors.New("gone")
		ctx, cancel := context.WithCancelCause(t.Context())
		stt := NewSTT(t, Voice(), VoiceFault{}, VoiceFault{}, StallAt(0))
		begin := time.Now()
		frame := agents.Silence(20*ms, 16000, 1)

		stream, _ := stt.Stream(ctx, agents.STTOptions{})
		time.AfterFunc(5*ms, func() { cancel(gone) })
		if _, err := stream.Recv(); err != gone || time.Since(begin) != 5*ms {
			t.Errorf("cancelled: %v at %v", err, time.Since(begin))
		}
		if stream.Send(frame) != gone || stream.Close() != nil {
			t.Error("cancelled, it can be sent to")
		}
		if _, err := stt.Stream(ctx, agents.STTOptions{}); err != gone {
			t.Errorf("cancelled before: %v", err)
		}

		stream, _ = stt.Stream(t.Context(), agents.STTOptions{})
		if err := stream.Send(agents.Silence(20*ms, 16000, 2)); err != nil {
			t.Error(err)
		}
		if err := stream.Send(frame); !errors.Is(err, agents.ErrAudioFormat) {
			t.Errorf("another format: %v", err)
		}
		_ = stream.CloseSend()
		if err := stream.Send(frame); err != agents.ErrStreamClosed {
			t.Errorf("after CloseSend: %v", err)
		}
		time.AfterFunc(5*ms, func() { stream.Close() })
		_ = transcripts(stream, begin)
		if _, err := stream.Recv(); err != io.EOF {
			t.Errorf("after the end: %v", err)
		}
		time.Sleep(6 * ms)
		if _, err := stream.Recv(); err != agents.ErrStreamClosed || stream.Close() != nil {
			t.Errorf("after Close: %v", err)
		}

		stream, _ = stt.Stream(t.Context(), agents.STTOptions{})
		defer stream.Close()
		n := 0
		for ; stream.Send(frame) == nil; n++ {
		}
		if err := stream.Send(frame); err != agents.ErrBacklog || n != 500 {
			t.Errorf("%d frames wait, then %v", n, err)
		}
	})
}

func TestSTTIsClosedAndUsed(t *testing.T) {
	got := failureOf(t, func(f tb) {
		stt := newSTT(f, Voice(), VoiceFault{}, Refuse(io.EOF), Late(1))
		if _, err := stt.Stream(t.Context(), agents.STTOptions{}); err != nil {
			t.Error(err)
		}
		stt.log.check()
	})
	want := "agenttest: 2 of 3 faults of the STT left over after 1 streams\nagenttest: 1 of 1 streams of the STT were not closed"
	if got != want {
		t.Errorf("the failure is\n%s", got)
	}
}
