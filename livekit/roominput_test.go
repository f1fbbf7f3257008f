package livekit

import (
	"context"
	"errors"
	"io"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	agents "github.com/parley-voice/agents"
)

const testRate = 16_000

// loudFrame gives the input a frame of 20 ms of speech.
func loudFrame(in *roomInput, value int16) { giveFrame(in, value, false) }

func giveFrame(in *roomInput, value int16, madeUp bool) {
	f := in.frame()
	for range testRate / 50 {
		f.samples = append(f.samples, value)
	}
	f.madeUp = madeUp
	in.push(f)
}

// A heard is a stretch of equal samples, and when it was delivered to its end.
type heard struct {
	value  int16
	length time.Duration
	at     time.Duration
}

// hearAll reads the input until the end of the bubble's test, and joins what is alike.
func hearAll(t *testing.T, in *roomInput) func() []heard {
	var all []heard
	begun := time.Now()
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			f, err := in.ReadFrame(ctx)
			if err != nil {
				return
			}
			at := time.Since(begun)
			if n := len(all); n > 0 && all[n-1].value == f.Samples[0] {
				all[n-1].length += f.Duration()
				all[n-1].at = at
				continue
			}
			all = append(all, heard{f.Samples[0], f.Duration(), at})
		}
	}()
	return func() []heard {
		cancel()
		<-done
		return all
	}
}

const ms = time.Millisecond

// Before the first frame there is nothing: the user's audio begins with it.
func TestNothingIsHeardBeforeTheFirstFrame(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		in := newRoomInput(testRate, time.Second)
		end := hearAll(t, in)
		time.Sleep(5 * time.Second)
		loudFrame(in, 1000)
		synctest.Wait()
		require.Equal(t, []heard{{1000, 20 * ms, 5 * time.Second}}, end())
	})
}

// A client that sends nothing while its user is silent is heard to be silent after 100 ms, and its position keeps step
// with time: 20 ms of audio came at 0, so that 420 ms have been heard 400 ms later.
func TestSilenceIsHeardWhereNothingComes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		in := newRoomInput(testRate, time.Second)
		end := hearAll(t, in)
		loudFrame(in, 1000)
		time.Sleep(99 * ms)
		synctest.Wait()
		time.Sleep(301 * ms)
		synctest.Wait()
		require.Equal(t, []heard{{1000, 20 * ms, 0}, {0, 400 * ms, 400 * ms}}, end())
	})
}

// A frame that is late by less than 100 ms is waited for.
func TestAFrameThatIsALittleLateIsWaitedFor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		in := newRoomInput(testRate, time.Second)
		end := hearAll(t, in)
		loudFrame(in, 1000)
		time.Sleep(99 * ms)
		loudFrame(in, 2000)
		synctest.Wait()
		require.Equal(t, []heard{{1000, 20 * ms, 0}, {2000, 20 * ms, 99 * ms}}, end())
	})
}

// What comes in a burst when the network has recovered is heard in full, although silence was heard in its place; the
// next pause is shorter by as much, and what follows is in step again.
func TestABurstAfterAGapIsHeardAndMadeUpForInTheNextPause(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		in := newRoomInput(testRate, time.Second)
		end := hearAll(t, in)
		loudFrame(in, 1000)
		time.Sleep(201 * ms)
		for range 10 {
			loudFrame(in, 2000)
		}
		for range 20 { // a pause of 400 ms
			time.Sleep(20 * ms)
			loudFrame(in, 1)
		}
		time.Sleep(20 * ms)
		loudFrame(in, 3000)
		synctest.Wait()
		all := end()
		require.Len(t, all, 5)
		require.Equal(t, heard{0, 200 * ms, 200 * ms}, all[1])
		require.Equal(t, heard{2000, 200 * ms, 201 * ms}, all[2])
		require.Equal(t, 400*ms-160*ms, all[3].length, "up to 40 ms of being early are let be")
		require.Equal(t, heard{3000, 20 * ms, 621 * ms}, all[4])
	})
}

// What the decoder made up for lost packets is left out where silence was heard already.
func TestWhatWasMadeUpIsLeftOutAfterSilence(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		in := newRoomInput(testRate, time.Second)
		end := hearAll(t, in)
		loudFrame(in, 1000)
		time.Sleep(121 * ms)
		for range 5 {
			giveFrame(in, 2000, true)
		}
		loudFrame(in, 3000)
		synctest.Wait()
		require.Equal(t, []heard{{1000, 20 * ms, 0}, {0, 120 * ms, 120 * ms}, {3000, 20 * ms, 121 * ms}}, end())
	})
}

// A session that is too slow loses the oldest audio, which is counted.
func TestTheOldestIsDroppedAndCounted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		in := newRoomInput(testRate, 100*ms)
		for i := range 8 {
			loudFrame(in, int16(1000+i))
		}
		require.Equal(t, 60*ms, in.Dropped())
		f, err := in.ReadFrame(t.Context())
		require.NoError(t, err)
		require.Equal(t, int16(1003), f.Samples[0])
	})
}

// ReadFrame returns when its context is done, with the cause, and when the input is closed.
func TestReadFrameEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		in := newRoomInput(testRate, time.Second)
		why := errors.New("why")
		ctx, cancel := context.WithCancelCause(t.Context())
		time.AfterFunc(time.Second, func() { cancel(why) })
		_, err := in.ReadFrame(ctx)
		require.Equal(t, why, err)
		loudFrame(in, 1)
		_, err = in.ReadFrame(ctx)
		require.Equal(t, why, err, "also if there is a frame")
		time.AfterFunc(time.Second, func() { in.close(io.EOF) })
		_, err = in.ReadFrame(t.Context())
		require.NoError(t, err)
		for err == nil {
			_, err = in.ReadFrame(t.Context())
		}
		require.Equal(t, io.EOF, err)
	})
}

// Audio on its way costs no memory.
func TestHearingAllocatesNothing(t *testing.T) {
	in := newRoomInput(testRate, time.Second)
	ctx := context.Background()
	samples := make([]int16, agents.SamplesIn(20*ms, testRate))
	for i := range samples {
		samples[i] = 20_000
	}
	require.Zero(t, testing.AllocsPerRun(100, func() {
		f := in.frame()
		f.samples = append(f.samples, samples...)
		in.push(f)
		_, _ = in.ReadFrame(ctx)
	}))
}
