package recordtrack

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

const ms = time.Millisecond

// A tape is a track and what it has written.
type tape struct {
	*Track
	left, right []int16
}

func newTape() *tape { return &tape{Track: &Track{}} }

// write takes what can be written.
func (p *tape) write() {
	for block := p.Next(); block != nil; block = p.Next() {
		for i := 0; i < len(block); i += 2 {
			p.left, p.right = append(p.left, block[i]), append(p.right, block[i+1])
		}
	}
}

// hear has the user heard in frames of 20 ms between two times, as a sample of a value.
func (p *tape) hear(from, to time.Duration, value int16) {
	for at := from; at < to; {
		length := min(20*ms, to-at)
		at += length
		p.Input(at, length, tone(length, value))
		p.write()
	}
}

func (p *tape) tick(at time.Duration) { p.Tick(at); p.write() }

// finish is what a recorder does when a segment ends.
func (p *tape) finish(number uint64, at, played time.Duration) {
	p.Finished(number, at, played)
	p.tick(at)
}

func (p *tape) close(at time.Duration) { p.Close(at); p.write() }

func tone(length time.Duration, value int16) []int16 {
	s := make([]int16, Samples(length))
	for i := range s {
		s[i] = value
	}
	return s
}

// runs writes a channel down as what is not silent: value, where it begins and how long it is, in ms.
func runs(samples []int16) string {
	var b strings.Builder
	for i := 0; i < len(samples); {
		n := i
		for n < len(samples) && samples[n] == samples[i] {
			n++
		}
		if samples[i] != 0 {
			fmt.Fprintf(&b, "%d:%v+%v ", samples[i], inMS(i), inMS(n-i))
		}
		i = n
	}
	return strings.TrimSpace(b.String())
}

func inMS(n int) string {
	if n%48 == 0 {
		return fmt.Sprint(n / 48)
	}
	return fmt.Sprintf("%d/48", n)
}

// T121: what is written of a segment is exactly as long as it took, pauses included.
func TestPausesBecomeSilence(t *testing.T) {
	tests := []struct {
		name       string
		play       func(p *tape)
		end        time.Duration
		samples    int64 // from the start of the segment
		start      time.Duration
		wantRights string
	}{
		{"a pause before the segment", func(p *tape) {
			p.Capture(1, 0, tone(20*ms, 1))
			p.Pause(9000 * ms)
			p.Resume(9500 * ms)
			p.Started(1, 10000*ms)
			p.finish(1, 10020*ms, 20*ms)
		}, 10020 * ms, 960, 10000 * ms, "1:10000+20"},
		{"a pause that ends within the segment", func(p *tape) {
			p.Capture(1, 0, tone(20*ms, 1))
			p.Pause(10000 * ms)
			p.Started(1, 10500*ms)
			p.Resume(10700 * ms)
			p.finish(1, 10720*ms, 20*ms)
		}, 10720 * ms, 10_560, 10500 * ms, "1:10700+20"},
		{"interrupted while paused", func(p *tape) {
			p.Capture(1, 0, tone(100*ms, 1))
			p.Started(1, 10000*ms)
			p.Pause(10050 * ms)
			p.finish(1, 10200*ms, 50*ms)
		}, 10200 * ms, 9_600, 10000 * ms, "1:10000+50"},
		{"a pause in the middle", func(p *tape) {
			p.Capture(1, 0, tone(100*ms, 1))
			p.Started(1, 10000*ms)
			p.Pause(10050 * ms)
			p.Resume(10080 * ms)
			p.finish(1, 10130*ms, 100*ms)
		}, 10130 * ms, 6_240, 10000 * ms, "1:10000+50 1:10080+50"},
		{"two pauses, and interrupted in the second", func(p *tape) {
			p.Capture(1, 0, tone(100*ms, 1))
			p.Started(1, 10000*ms)
			p.Pause(10010 * ms)
			p.Resume(10020 * ms)
			p.Pause(10040 * ms)
			p.finish(1, 10100*ms, 30*ms)
		}, 10100 * ms, 4_800, 10000 * ms, "1:10000+10 1:10020+20"},
		{"more reported than was played when the pause began", func(p *tape) {
			p.Capture(1, 0, tone(100*ms, 1))
			p.Started(1, 10000*ms)
			p.Pause(10030 * ms)
			p.finish(1, 10100*ms, 40*ms)
		}, 10100 * ms, 4_800, 10000 * ms, "1:10000+30"},
		{"a frame played to its end after the pause began", func(p *tape) {
			p.Capture(1, 0, tone(100*ms, 1))
			p.Started(1, 10000*ms)
			p.Pause(10030 * ms)
			p.Resume(10080 * ms)
			p.finish(1, 10140*ms, 100*ms) // the output paused for 40 ms of 50
		}, 10140 * ms, 6_720, 10000 * ms, "1:10000+30 1:10070+70"},
		{"paused twice and resumed twice over", func(p *tape) {
			p.Capture(1, 0, tone(40*ms, 1))
			p.Started(1, 10000*ms)
			p.Pause(10020 * ms)
			p.Pause(10030 * ms)
			p.Resume(10040 * ms)
			p.Resume(10050 * ms)
			p.finish(1, 10060*ms, 40*ms)
		}, 10060 * ms, 2_880, 10000 * ms, "1:10000+20 1:10040+20"},
		{"a pause across two segments", func(p *tape) {
			p.Capture(1, 0, tone(20*ms, 1))
			p.Started(1, 9980*ms)
			p.Capture(2, 0, tone(20*ms, 2))
			p.finish(1, 10000*ms, 20*ms)
			p.Pause(10000 * ms)
			p.Resume(10100 * ms)
			p.Started(2, 10100*ms)
			p.finish(2, 10120*ms, 20*ms)
		}, 10120 * ms, 6_720, 9980 * ms, "1:9980+20 2:10100+20"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			p := newTape()
			p.EndInput(0)
			tt.play(p)
			p.close(tt.end)
			require.Equal(t, tt.wantRights, runs(p.right))
			require.EqualValues(t, tt.samples, int64(len(p.right))-Samples(tt.start))
			require.Len(t, p.left, len(p.right))
		})
	}
}

func TestRightChannel(t *testing.T) {
	tests := []struct {
		name string
		play func(p *tape)
		want string
	}{
		{"a segment where it was played", func(p *tape) {
			p.Capture(1, 0, tone(100*ms, 1))
			p.Started(1, 300*ms)
			p.finish(1, 400*ms, 100*ms)
		}, "1:300+100"},
		{"cut to what was played", func(p *tape) {
			p.Capture(1, 0, tone(100*ms, 1))
			p.Started(1, 300*ms)
			p.finish(1, 370*ms, 70*ms)
		}, "1:300+70"},
		{"not more than the time it took", func(p *tape) {
			p.Capture(1, 0, tone(100*ms, 1))
			p.Started(1, 300*ms)
			p.finish(1, 350*ms, 100*ms)
		}, "1:300+50"},
		{"nothing at all", func(p *tape) {
			p.Capture(1, 0, tone(100*ms, 1))
			p.finish(1, 350*ms, 0)
		}, ""},
		{"nothing, though a position below zero was reported", func(p *tape) {
			p.Capture(1, 0, tone(100*ms, 1))
			p.Started(1, 300*ms)
			p.finish(1, 350*ms, -20*ms)
		}, ""},
		{"an end without a start", func(p *tape) {
			p.Capture(1, 0, tone(100*ms, 1))
			p.finish(1, 400*ms, 100*ms)
		}, "1:300+100"},
		{"an end that comes late", func(p *tape) {
			p.Capture(1, 0, tone(100*ms, 1))
			p.Started(1, 300*ms)
			p.finish(1, 450*ms, 100*ms)
		}, "1:300+100"},
		{"audio that came too slowly", func(p *tape) {
			p.Capture(1, 0, tone(100*ms, 1))
			p.Started(1, 300*ms)
			p.Capture(1, 440*ms, tone(100*ms, 2)) // not late enough
			p.Capture(1, 700*ms, tone(100*ms, 3))
			p.Capture(1, 700*ms, tone(100*ms, 4))
			p.finish(1, 900*ms, 400*ms)
		}, "1:300+100 2:400+100 3:700+100 4:800+100"},
		{"audio that came too slowly, before, in and after pauses", func(p *tape) {
			p.Capture(1, 0, tone(50*ms, 1))
			p.Started(1, 100*ms)
			p.Pause(120 * ms)
			p.Resume(140 * ms)
			p.Capture(1, 240*ms, tone(50*ms, 2)) // 70 ms late
			p.Pause(260 * ms)
			p.Capture(1, 400*ms, tone(50*ms, 3)) // in time
			p.Resume(420 * ms)
			p.Pause(600 * ms)
			p.Resume(620 * ms)
			p.Pause(690 * ms)
			p.Capture(1, 700*ms, tone(50*ms, 4))
			p.Resume(720 * ms)
			p.Capture(1, 740*ms, tone(50*ms, 5))
			p.finish(1, 820*ms, 250*ms)
		}, "1:100+20 1:140+30 2:240+20 2:420+30 3:450+50 4:720+50 5:770+50"},
		{"a pause after audio that came too slowly, of which is heard later", func(p *tape) {
			p.Capture(1, 0, tone(50*ms, 1))
			p.Started(1, 100*ms)
			p.Pause(300 * ms)
			p.Resume(350 * ms)
			p.Pause(420 * ms)
			p.Resume(460 * ms)
			p.Capture(1, 400*ms, tone(50*ms, 2))
			p.finish(1, 490*ms, 100*ms)
		}, "1:100+50 2:400+20 2:460+30"},
		{"a segment cleared long after its audio ran out", func(p *tape) {
			p.Capture(1, 0, tone(100*ms, 1))
			p.Started(1, 300*ms)
			p.finish(1, 900*ms, 100*ms)
		}, "1:300+100"},
		{"segments without a gap", func(p *tape) {
			p.Capture(1, 0, tone(100*ms, 1))
			p.Started(1, 300*ms)
			p.Capture(2, 0, tone(50*ms, 2))
			p.finish(1, 400*ms, 100*ms)
			p.Started(2, 400*ms)
			p.finish(2, 450*ms, 50*ms)
		}, "1:300+100 2:400+50"},
		{"two cleared at once", func(p *tape) {
			p.Capture(1, 0, tone(100*ms, 1))
			p.Started(1, 300*ms)
			p.Capture(2, 0, tone(50*ms, 2))
			p.finish(1, 340*ms, 40*ms)
			p.finish(2, 340*ms, 0)
		}, "1:300+40"},
		{"a segment finishes once", func(p *tape) {
			p.Capture(1, 0, tone(100*ms, 1))
			p.Started(1, 300*ms)
			p.finish(1, 340*ms, 40*ms)
			p.finish(1, 400*ms, 100*ms)
		}, "1:300+40"},
		{"what comes after the end was not played", func(p *tape) {
			p.Capture(1, 0, tone(40*ms, 1))
			p.Started(1, 300*ms)
			p.finish(1, 340*ms, 40*ms)
			p.Capture(1, 0, tone(40*ms, 3))
			p.Capture(2, 0, tone(40*ms, 2))
			p.Started(2, 500*ms)
			p.finish(2, 540*ms, 40*ms)
		}, "1:300+40 2:500+40"},
		{"a new use of the output", func(p *tape) {
			p.Capture(1, 0, tone(100*ms, 1))
			p.Reset(300 * ms)
			p.Capture(1, 0, tone(40*ms, 2))
			p.Started(1, 500*ms)
			p.finish(1, 540*ms, 40*ms)
		}, "2:500+40"},
		{"a segment that began before the last one ended", func(p *tape) {
			p.Capture(1, 0, tone(100*ms, 1))
			p.Started(1, 300*ms)
			p.finish(1, 400*ms, 100*ms)
			p.Capture(2, 0, tone(100*ms, 2))
			p.Started(2, 350*ms)
			p.finish(2, 450*ms, 100*ms)
		}, "1:300+100 2:400+50"},
		{"a segment that goes on at the close", func(p *tape) {
			p.Capture(1, 0, tone(1000*ms, 1))
			p.Started(1, 300*ms)
			p.Pause(500 * ms)
			p.Resume(600 * ms)
		}, "1:300+200 1:600+400"},
		{"a segment that waits at the close", func(p *tape) {
			p.Capture(1, 0, tone(1000*ms, 1))
		}, ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			p := newTape()
			tt.play(p)
			p.close(1000 * ms)
			require.Equal(t, tt.want, runs(p.right))
			require.EqualValues(t, Samples(1000*ms), len(p.right))
		})
	}
}

func TestLeftChannel(t *testing.T) {
	tests := []struct {
		name   string
		play   func(p *tape)
		want   string
		padded time.Duration
	}{
		{"the user from the beginning", func(p *tape) {
			p.hear(0, 5000*ms, 1)
		}, "1:0+5000", 0},
		{"the user who comes later", func(p *tape) {
			p.hear(1210*ms, 5000*ms, 1)
		}, "1:1210+3790", 0},
		{"the user who comes after the agent has spoken", func(p *tape) {
			p.Capture(1, 0, tone(500*ms, 7))
			p.Started(1, 100*ms)
			p.finish(1, 600*ms, 500*ms)
			p.hear(1000*ms, 5000*ms, 1)
		}, "1:1000+4000", 0},
		{"the user who left and came back", func(p *tape) {
			p.hear(0, 500*ms, 1)
			p.EndInput(510 * ms)
			p.tick(2500 * ms)
			p.hear(3000*ms, 5000*ms, 2)
		}, "1:0+500 2:3000+2000", 0},
		{"a gap, noticed later, is put where it was", func(p *tape) {
			p.hear(0, 500*ms, 1)
			p.hear(900*ms, 5000*ms, 2)
		}, "1:0+500 2:900+4100", 400 * ms},
		{"a long gap", func(p *tape) {
			p.hear(0, 500*ms, 1)
			p.tick(2500 * ms)
			p.hear(4400*ms, 5000*ms, 2)
		}, "1:0+500 2:4400+600", 3900 * ms},
		{"audio that comes late at once", func(p *tape) {
			p.hear(0, 2000*ms, 1)
			p.tick(2500 * ms)
			for i := range 50 {
				p.Input(3000*ms, 20*ms, tone(20*ms, int16(2+i%2)))
			}
			p.tick(3000 * ms)
			p.hear(3000*ms, 5000*ms, 1)
		}, late(2000), 0},
		{"jitter", func(p *tape) {
			for i := range time.Duration(246) {
				at := (i+1)*20*ms + i%5*20*ms
				p.Input(at, 20*ms, tone(20*ms, 1))
				p.tick(at)
			}
			p.hear(4920*ms, 5000*ms, 1)
		}, "1:0+5000", 0},
		{"long frames", func(p *tape) {
			p.hear(0, 20*ms, 1)
			for at := 20 * ms; at < 5000*ms; at += 830 * ms {
				p.tick(at + 820*ms)
				p.Input(at+830*ms, 830*ms, tone(830*ms, 1))
				p.write()
			}
		}, "1:0+5000", 0},
		{"a slow clock", func(p *tape) {
			for i := range time.Duration(100) {
				p.Input((i+1)*50*ms, 45*ms, tone(45*ms, 1))
			}
			p.tick(5000 * ms)
		}, "1:500+4500", 495 * ms},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			p := newTape()
			tt.play(p)
			p.close(5000 * ms)
			require.Equal(t, tt.want, runs(p.left))
			require.EqualValues(t, Samples(5000*ms), len(p.left))
			require.Equal(t, tt.padded, p.Padded())
		})
	}
}

// late is what comes after a stall: alternating frames for a second, and what was heard before and after.
func late(at int) string {
	parts := []string{fmt.Sprintf("1:0+%d", at)}
	for i := range 50 {
		parts = append(parts, fmt.Sprintf("%d:%d+20", 2+i%2, at+20*i))
	}
	return strings.Join(append(parts, fmt.Sprintf("1:%d+%d", at+1000, 5000-at-1000)), " ")
}

// Input that comes faster than time makes the recording longer, and what the agent says stays beside what was heard.
func TestInputFasterThanTime(t *testing.T) {
	p := newTape()
	for range 499 {
		p.Input(20*ms, 20*ms, tone(20*ms, 1))
	}
	p.tick(20 * ms)
	require.Equal(t, "1:0+9980", runs(p.left))
	p.Capture(1, 0, tone(100*ms, 2))
	p.Started(1, 120*ms)
	p.hear(20*ms, 320*ms, 3)
	p.finish(1, 220*ms, 100*ms)
	p.close(320 * ms)
	require.Equal(t, "1:0+9980 3:9980+300", runs(p.left))
	require.Equal(t, "2:10080+100", runs(p.right))
}

// While a segment plays nothing is written; in between, everything up to now; and a second after the last input, what
// waits for it.
func TestWhenItIsWritten(t *testing.T) {
	p := newTape()
	written := func(want time.Duration) {
		t.Helper()
		require.Equal(t, want, p.Written())
		require.EqualValues(t, Samples(want), len(p.left))
	}
	p.hear(0, 2500*ms, 1)
	written(0)
	p.tick(2510 * ms)
	written(2500 * ms)
	p.Capture(1, 0, tone(4000*ms, 2))
	p.Started(1, 2600*ms)
	p.hear(2500*ms, 5000*ms, 1)
	p.tick(5000 * ms)
	written(2510 * ms)
	p.hear(5000*ms, 6600*ms, 1)
	p.finish(1, 6610*ms, 4000*ms)
	written(6600 * ms) // the last 10 ms when the user's are there
	p.hear(6600*ms, 6700*ms, 1)
	p.tick(7500 * ms)
	written(6700 * ms)
	p.tick(10000 * ms)
	written(8980 * ms) // a second, and the frame that may be under way
	p.close(11000 * ms)
	written(11000 * ms)
	require.Equal(t, "2:2600+4000", runs(p.right))
	require.Equal(t, 3280*ms, p.Padded())
}

// A segment that does not end is written as it is played, and what is kept of a call has a bound.
func TestLongSegment(t *testing.T) {
	p := newTape()
	const length = 100 * time.Second
	p.Capture(1, 0, nil)
	for at := time.Duration(0); at < length; at += 20 * ms {
		p.Capture(1, at, tone(20*ms, int16(2+at/time.Second%2)))
		if at == 0 {
			p.Started(1, 0)
		}
		switch at {
		case 10500 * ms:
			p.Pause(at)
		case 11500 * ms:
			p.Resume(at)
		}
		p.Input(at+20*ms, 20*ms, tone(20*ms, 1))
		if at%Interval == 0 {
			p.tick(at)
		}
		require.LessOrEqual(t, int64(len(p.in)), Samples(Hold+Interval+time.Second))
		require.LessOrEqual(t, p.captured, Samples(Hold+Interval+2*time.Second))
	}
	p.Capture(1, 0, tone(5*time.Second, 9)) // held by the output and not heard
	p.finish(1, length, length-time.Second)
	p.close(length)
	var want []string
	for second := range 99 {
		value, at := 2+second%2, second*1000
		switch {
		case second == 10:
			want = append(want, fmt.Sprintf("%d:10000+500", value), fmt.Sprintf("%d:11500+500", value))
			continue
		case second > 10:
			at += 1000
		}
		want = append(want, fmt.Sprintf("%d:%d+1000", value, at))
	}
	require.Equal(t, strings.Join(want, " "), runs(p.right))
	require.Equal(t, "1:0+100000", runs(p.left))
	require.Zero(t, p.captured)
	require.Zero(t, p.Lost())
}

// An output that takes everything at once is recorded up to a bound, and then as silence of the right length.
func TestTooMuchCaptured(t *testing.T) {
	p := newTape()
	for range 130 {
		p.Capture(1, 0, tone(time.Second, 1))
	}
	require.Equal(t, 10*time.Second, p.Lost())
	p.Started(1, 0)
	p.finish(1, 130*time.Second, 130*time.Second)
	require.Equal(t, "1:0+120000", runs(p.right))
	p.Capture(2, 0, tone(time.Second, 2))
	p.Started(2, 130*time.Second)
	p.finish(2, 131*time.Second, time.Second)
	require.Equal(t, "1:0+120000 2:130000+1000", runs(p.right))
}

// Many pauses are joined, and their sum stays.
func TestManyPauses(t *testing.T) {
	p := newTape()
	p.Capture(1, 0, tone(2000*ms, 1))
	p.Started(1, 0)
	for i := range time.Duration(400) {
		p.Pause(i*2*ms + ms)
		p.Resume(i*2*ms + 2*ms)
		require.LessOrEqual(t, len(p.pauses), maxPauses)
	}
	p.finish(1, 2400*ms, 2000*ms)
	heard := 0
	for _, s := range p.right {
		heard += int(s)
	}
	require.EqualValues(t, Samples(2000*ms), heard)
	require.EqualValues(t, Samples(2400*ms), len(p.right))
}

func TestSamplesAndDuration(t *testing.T) {
	for n := range int64(100_000) {
		if Samples(Duration(n)) != n || Samples(-Duration(n)) != -n {
			t.Fatalf("%d samples play in %v", n, Duration(n))
		}
	}
	require.EqualValues(t, 1, Samples(11*time.Microsecond))
	require.EqualValues(t, 0, Samples(10*time.Microsecond))
	require.EqualValues(t, 48_000*3600*1000, Samples(1000*time.Hour))
}

func TestFramesDoNotAllocate(t *testing.T) {
	p := &Track{}
	frame, at, number := tone(20*ms, 1), time.Duration(0), uint64(0)
	second := func() {
		number++
		p.Started(number, at)
		for range 50 {
			at += 20 * ms
			p.Input(at, 20*ms, frame)
			p.Capture(number, at, frame)
		}
		p.Finished(number, at, time.Second)
		p.Tick(at)
		for p.Next() != nil {
		}
	}
	for range 5 {
		second()
	}
	// A segment is one, and its 100 frames are none.
	require.LessOrEqual(t, testing.AllocsPerRun(50, second), 2.0)
}
