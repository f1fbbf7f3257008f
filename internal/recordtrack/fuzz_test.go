package recordtrack

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// Whatever comes, in whatever order: what is written is never taken back and both channels go on together; the recording
// is as long as it took, and longer only by input that came faster than time; nothing is heard twice or out of order; and
// nothing is kept for longer than there is need.
func FuzzTrack(f *testing.F) {
	f.Add([]byte{0, 20, 1, 20, 3, 0, 0, 20, 4, 0, 0, 20, 5, 20, 9, 250})
	f.Add([]byte{1, 100, 2, 0, 1, 100, 3, 0, 6, 10, 0, 50, 7, 10, 4, 3, 2, 0, 9, 1, 8, 0})
	f.Add([]byte{3, 0, 6, 255, 1, 255, 9, 255, 9, 255, 9, 255, 7, 0, 4, 255})
	f.Fuzz(func(t *testing.T, steps []byte) {
		p := newTape()
		var now, fast time.Duration
		var number uint64 = 1 // of the segment that is open
		var agent int16       // the last value captured; each frame is louder than the one before
		for i := 0; i+1 < len(steps) && i < 120; i += 2 {
			d := time.Duration(steps[i+1]) * ms
			if steps[i]%10 == 9 {
				d *= 20
			}
			if now += d; steps[i]/10%3 == 1 {
				now -= d // at the same instant
			}
			switch at := now - time.Duration(steps[i]/30)*20*ms; steps[i] % 10 { // what the output reports may be late
			case 0:
				p.Input(now, d, tone(d, 1))
				fast += d
			case 1:
				agent++
				p.Capture(number, now, tone(d, agent))
			case 2:
				number++
			case 3:
				p.Started(max(number, 2)-1, at)
			case 4:
				p.Finished(max(number, 2)-1, at, d)
			case 5:
				p.Finished(number, at, d)
				number++
			case 6:
				p.Pause(at)
			case 7:
				p.Resume(at)
			case 8:
				p.Reset(at)
				number = 1
			case 9:
				p.Tick(now)
			}
			p.write()
		}
		p.close(now)
		require.Len(t, p.right, len(p.left))
		require.GreaterOrEqual(t, int64(len(p.left)), Samples(now))
		require.LessOrEqual(t, int64(len(p.left)), Samples(now+fast)+int64(len(steps)))
		last := int16(0)
		for _, s := range p.right {
			if s != 0 {
				if s < last {
					t.Fatalf("%d is heard after %d", s, last)
				}
				last = s
			}
		}
		heard := 0
		for _, s := range p.left {
			heard += int(s)
		}
		require.EqualValues(t, Samples(fast), heard, "input that was lost")
		require.Zero(t, p.captured)
		require.Empty(t, p.segments)
		require.Empty(t, p.spans)
	})
}
