package agenttest

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/parley-voice/agents"
)

// synthesised lists what a stream returns to its end, in milliseconds since the beginning, with the audio that comes
// at one time as one length.
func synthesised(stream agents.TTSStream, begin time.Time) (out []string) {
	var at int64
	var audio time.Duration
	flush := func() {
		if audio > 0 {
			out = append(out, fmt.Sprintf("%d audio %v", at, audio))
		}
		audio = 0
	}
	for {
		c, err := stream.Recv()
		now := time.Since(begin).Milliseconds()
		if now != at || c.Frame.Duration() == 0 {
			flush()
		}
		at = now
		var timed []string
		for _, w := range c.Words {
			timed = append(timed, fmt.Sprintf("%q %d-%d", w.Text, w.Start.Milliseconds(), w.End.Milliseconds()))
		}
		if timed != nil {
			out = append(out, strings.Join(timed, " "))
		}
		switch {
		case err != nil:
			return append(out, fmt.Sprintf("%d %v", at, err))
		case c.Usage != nil:
			out = append(out, fmt.Sprintf("%d usage %d", at, c.Usage.Characters))
		case c.Frame.Check() != nil:
			out = append(out, fmt.Sprintf("%d bad frame", at))
		}
		audio += c.Frame.Duration()
	}
}

func TestTTSTimes(t *testing.T) {
	tests := []struct {
		name  string
		fault VoiceFault
		want  []string
	}{
		{"plain", VoiceFault{}, []string{`"Hello " 0-500 "there." 500-1000`, "200 audio 1s", `" " 1000-1200 "How " 1200-2000 "are " 2000-2800 "you?" 2800-3600`, "250 audio 2.6s", "250 usage 25", "250 EOF"}},
		{"late", Late(time.Second), []string{`"Hello " 0-500 "there." 500-1000`, "1200 audio 1s", `" " 1000-1200 "How " 1200-2000 "are " 2000-2800 "you?" 2800-3600`, "1250 audio 2.6s", "1250 usage 25", "1250 EOF"}},
		{"cut", CutAt(505 * ms), []string{`"Hello " 0-500 "there." 500-1000`, "200 audio 505ms", "200 agenttest: speak: connection failed"}},
		{"stall", StallAt(505 * ms), []string{`"Hello " 0-500 "there." 500-1000`, "200 audio 505ms", "60000 agents: stream closed"}},
		{"garbage", GarbageAt(505 * ms), []string{`"Hello " 0-500 "there." 500-1000`, "200 audio 505ms", "200 bad frame", "200 audio 495ms", `" " 1000-1200 "How " 1200-2000 "are " 2000-2800 "you?" 2800-3600`, "250 audio 2.6s", "250 usage 25", "250 EOF"}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				tts := NewTTS(t, Spoken("Hello there.", time.Second), SpokenAny(200*ms).TTFB(250*ms))
				tts.Words = true
				tts.Faults(test.fault)
				begin := time.Now()
				stream, err := tts.Stream(t.Context(), agents.TTSOptions{Timing: true})
				if err != nil {
					t.Fatal(err)
				}
				for _, text := range []string{"Hel", "lo ", "there."} {
					if err := stream.Send(text); err != nil {
						t.Error(err)
					}
				}
				_ = stream.Flush()
				_ = stream.Send(" How are you?")
				_ = stream.CloseSend()
				time.AfterFunc(time.Minute, func() { _ = stream.Close() })
				got := synthesised(stream, begin)
				if !slices.Equal(got, test.want) {
					t.Errorf("came:\n%s\nwant:\n%s", strings.Join(got, "\n"), strings.Join(test.want, "\n"))
				}
				_ = stream.Close()
			})
		})
	}
}

func TestTTSEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		gone := errors.New("gone")
		ctx, cancel := context.WithCancelCause(t.Context())
		tts := NewTTS(t)
		begin := time.Now()
		stream, _ := tts.Stream(ctx, agents.TTSOptions{})
		_ = stream.Send("Hello")
		time.AfterFunc(5*ms, func() { cancel(gone) })
		if _, err := stream.Recv(); err != gone || time.Since(begin) != 5*ms {
			t.Errorf("cancelled: %v at %v", err, time.Since(begin))
		}
		if stream.Send("x") != gone || stream.Close() != nil || stream.Send("x") != agents.ErrStreamClosed {
			t.Error("the end is not kept to")
		}
		stream, _ = tts.Stream(t.Context(), agents.TTSOptions{})
		_ = stream.Send(" \n")
		_ = stream.CloseSend()
		if got := synthesised(stream, time.Now()); !slices.Equal(got, []string{"0 EOF"}) || len(tts.Texts()) != 0 {
			t.Errorf("blank text: %q, %q", got, tts.Texts())
		}
		if err := stream.Flush(); err != agents.ErrStreamClosed {
			t.Errorf("after CloseSend: %v", err)
		}
		_ = stream.Close()
		_ = stream.Close()
	})
}

func TestTTSFailsTheTest(t *testing.T) {
	got := failureOf(t, func(f tb) {
		tts := newTTS(f, Spoken("Hello", time.Second))
		stream, _ := tts.Stream(t.Context(), agents.TTSOptions{})
		_ = stream.Send("Bye")
		_ = stream.CloseSend()
		if _, err := stream.Recv(); err == nil {
			t.Error("audio without an utterance")
		}
		tts.log.check()
	})
	want := "agenttest: no utterance of the TTS has the text \"Bye\"\nagenttest: 1 of 1 streams of the TTS were not closed"
	if got != want {
		t.Errorf("the failure is\n%s", got)
	}
}
