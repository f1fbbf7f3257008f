package agents

import (
	"context"
	"fmt"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

// What a stream refuses is offered again, in order, even if no more audio comes.
func TestSTTPumpOffersAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var room atomic.Bool
		var calls atomic.Int32
		stt := newPuppet(func(_ context.Context, _ int, s *puppetStream) error {
			refuses := func() error {
				if calls.Add(1); !room.Load() {
					return fmt.Errorf("not now: %w", ErrBacklog)
				}
				return nil
			}
			s.onSend = func(AudioFrame) error { return refuses() }
			s.onFlush, s.onTerms, s.onItem = refuses, func([]string) error { return refuses() }, func(ChatItem) error { return refuses() }
			return nil
		})
		p := startPump(t, sttPumpOptions{stt: stt})
		for v := range int16(5) {
			p.say(v+1, time.Second)
		}
		p.flush()
		p.setKeyterms([]string{"a"})
		p.pushItem(message("b"))
		time.Sleep(2 * time.Second)
		require.LessOrEqual(t, calls.Load(), int32(7*20+3), "every 50 ms and not for every frame")
		room.Store(true)
		time.Sleep(50 * time.Millisecond)
		got, audio := stt.stream(t, 1).got()
		require.Equal(t, "1×1000 2×1000 3×1000 4×1000 5×1000", audio)
		require.Equal(t, []string{"terms a at 20", "item b at 20", "flush at 5000"}, got, "after what was offered before")
		require.Empty(t, p.log())
	})
}

// A stream that takes nothing for too long has failed.
func TestSTTPumpStuckStream(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		stt := newPuppet(func(_ context.Context, n int, s *puppetStream) error {
			if n == 1 {
				s.onSend = func(AudioFrame) error {
					if len(s.audio) >= 1000 {
						return ErrBacklog
					}
					return nil
				}
			}
			return nil
		})
		p := startPump(t, sttPumpOptions{stt: stt})
		p.say(1, 15*time.Second)
		require.Equal(t, []string{"11s failed: puppet: recognize: no audio taken for 10s: timed out"}, p.log())
		_, audio := stt.stream(t, 2).got()
		require.Equal(t, "1×15000", audio)
	})
}

// Without a stream the latest minute is held, and positions stay right.
func TestSTTPumpHoldsAMinute(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		open := make(chan struct{})
		stt := newPuppet(func(context.Context, int, *puppetStream) error { <-open; return nil })
		p := startPump(t, sttPumpOptions{stt: stt, conn: ConnectOptions{Timeout: Never}})
		p.say(1, 10*time.Second)
		p.say(2, time.Minute)
		require.Equal(t, 10*time.Second, p.dropped())
		require.Equal(t, time.Minute, p.heldNow())
		close(open)
		_, audio := stt.stream(t, 1).got()
		require.Equal(t, "2×60000", audio)
		stt.stream(t, 1).says(final("two", time.Second, 2*time.Second))
		require.Equal(t, []string{"1m10s final two [11s 12s]"}, p.log())
	})
}

// Audio that a stream had is not lost when it is too old to be given to another.
func TestSTTPumpForgetsWhatWasSentAMinuteAgo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		stt := newPuppet(nil)
		p := startPump(t, sttPumpOptions{stt: stt})
		p.say(1, 10*time.Second)
		p.say(2, time.Minute)
		require.Zero(t, p.dropped())
		stt.stream(t, 1).fails(sttRefusal(503))
		time.Sleep(100 * time.Millisecond)
		_, audio := stt.stream(t, 2).got()
		require.Equal(t, "2×60000", audio)
		require.Zero(t, p.dropped())
	})
}

// A stream that takes less than comes misses what is in between, and what it says later is put where it belongs.
func TestSTTPumpStreamFallsBehind(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var fast atomic.Bool
		stt := newPuppet(func(_ context.Context, _ int, s *puppetStream) error {
			s.onSend = func(AudioFrame) error {
				if !fast.Load() && len(s.audio) >= 100 {
					return ErrBacklog
				}
				return nil
			}
			return nil
		})
		p := startPump(t, sttPumpOptions{stt: stt, conn: ConnectOptions{Timeout: Never}})
		p.send(tone(1, 100*time.Millisecond))
		synctest.Wait()
		p.send(tone(2, 100*time.Millisecond)) // is offered, and not taken yet
		synctest.Wait()
		p.send(tone(3, 10*time.Second))
		p.send(tone(4, time.Minute))
		require.Equal(t, 10*time.Second, p.dropped())
		fast.Store(true)
		time.Sleep(50 * time.Millisecond)
		_, audio := stt.stream(t, 1).got()
		require.Equal(t, "1×100 2×100 4×60000", audio)
		stt.stream(t, 1).says(final("four", 200*time.Millisecond, time.Minute))
		require.Equal(t, []string{"50ms final four [10.2s 1m10s]"}, p.log())
	})
}

// While nobody speaks little is held, which is where a word can have begun that the VAD has not noticed.
func TestSTTPumpHoldsLittleInSilence(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		stt := newPuppet(nil)
		p := startPump(t, sttPumpOptions{stt: stt, vad: longVAD{}})
		p.say(0, 5*time.Minute)
		require.Equal(t, 600*time.Millisecond, p.heldNow())
		p.say(1, 20*time.Second)
		require.Equal(t, 20600*time.Millisecond, p.heldNow(), "speech is held from before it")
		stt.stream(t, 1).says(final("one", 5*time.Minute, 5*time.Minute+10*time.Second))
		require.Equal(t, 10*time.Second, p.heldNow())
		p.say(0, 300*time.Millisecond)
		require.Equal(t, 10300*time.Millisecond, p.heldNow())
		stt.stream(t, 1).says(final("one", 5*time.Minute+10*time.Second, 5*time.Minute+19900*time.Millisecond))
		p.say(0, 20*time.Millisecond)
		require.Equal(t, 420*time.Millisecond, p.heldNow(), "from the end of the transcript")
		p.say(0, 5*time.Second)
		require.Equal(t, 600*time.Millisecond, p.heldNow())
		require.Zero(t, p.dropped())
	})
}
