// Package recordtrack lays out the recording of a call: what the user said on the left channel, and what was heard of
// the agent on the right one, each where it was on the clock. It says what to write, and does neither write nor wait.
//
// The input arrives as it is spoken, so it is placed by its own length, and by the clock only where it begins, after it
// has been absent, and when it comes faster than time. What the agent says is captured before it is heard, and may never
// be; so a segment is kept until it has finished, and then placed where it started, cut to what was played, with silence
// where it was paused or its audio came too slowly. Until then the input waits for it too, [Hold] at the most.
package recordtrack

import (
	"slices"
	"time"
)

// Rate is the sample rate of both channels, in Hz.
const Rate = 48_000

const (
	// Interval is how often [Track.Tick] is to be called.
	Interval = 2500 * time.Millisecond
	// Hold is how long what is heard waits for the end of a segment. Then it is written as if it was played so far.
	Hold = 30 * time.Second
	// MaxCaptured is how much of the agent's audio is kept. An output holds about a second beyond what it plays, so
	// that it is more than Hold only if an output takes all there is; what is beyond becomes silence.
	MaxCaptured = 2 * time.Minute
)

const (
	// jitter is how late or early the input may come and still be taken to follow what came before.
	jitter = 100 * time.Millisecond
	// backlog is how much input a source may keep for a reader that is late. While nothing comes it is not known
	// whether there is any.
	backlog = time.Second
	// starvation is how late the agent's audio may come and still be taken to have been played without a gap.
	starvation = 50 * time.Millisecond
	// blockSamples is how much of each channel Next returns at most.
	blockSamples = 4800
	// keptSamples is how large a buffer may be that is kept for use again: 10 s.
	keptSamples = 10 * Rate
)

// A Track is one recording in the making. Times count from its beginning. They do not go back, except that what the
// output reports may be late. Positions are samples of each channel. After each call but those of Pause and Resume, Next
// returns what can be written. It is not safe for concurrent use.
type Track struct {
	written int64 // position up to which Next returned everything
	limit   int64 // position up to which it may
	ahead   int64 // how much more there is than there was time, as the input came faster
	block   []int16

	// The left channel.
	in      []int16 // from written on, after the first read
	read    int     // what Next has returned of it
	hearing bool    // input comes
	heard   time.Duration
	length  time.Duration // of the last frame
	given   time.Duration // of all frames since there was no input
	got     int64         // their samples
	gap     int64         // where input was missing last
	padded  int64

	// The right channel.
	segments []*segment // that have not finished, in order
	done     uint64     // segments up to this one have
	ended    time.Duration
	pauses   []pause
	paused   bool
	pausedAt time.Duration
	breaks   []silence // of the segment being placed
	spans    []span    // that were placed and are not written
	placed   int64     // position up to which nothing more is placed
	captured int64     // samples of segments
	lost     int64
	free     []int16 // a buffer to use again
}

// Input adds audio of the user that was heard from at-length to at. What a resampler holds back of it, or gave up of what
// was before, makes it fewer or more samples than that.
func (t *Track) Input(at, length time.Duration, samples []int16) {
	switch from := at - length; {
	case !t.hearing:
		t.fill(from)
		t.hearing = true
		t.given, t.got = 0, 0
	case from-t.heard > jitter:
		t.gap = t.inputEnd()
	}
	t.heard, t.length = at, length
	t.given += length
	t.got += int64(len(samples))
	t.in = append(t.in, samples...)
	if early := -t.missing(at); early > Samples(jitter) {
		t.ahead += early
	}
	if int64(len(t.in)-t.read) > Samples(Hold+Interval) {
		t.Tick(at)
	}
}

// EndInput says that no input follows for now. Until there is some again the left channel is silent.
func (t *Track) EndInput(at time.Duration) {
	t.fill(at)
	t.hearing = false
	t.fill(at)
}

// Tick lets what was heard up to now be written, unless it waits for a segment.
func (t *Track) Tick(at time.Duration) {
	t.fill(at)
	if len(t.segments) > 0 {
		t.hold(at)
	} else {
		t.placed = max(t.placed, t.position(at))
	}
	end := t.placed
	if t.hearing {
		end = min(end, t.inputEnd()) // the rest is still to come
	}
	t.limit = max(t.limit, end)
}

// Close ends the recording: a segment that has not finished is written as far as it was played.
func (t *Track) Close(at time.Duration) {
	if len(t.segments) > 0 {
		s := t.segments[0]
		t.Finished(s.number, at, Duration(s.cut+t.played(s, at)))
	}
	t.EndInput(at)
	t.Reset(at)
	t.limit = max(t.limit, t.inputEnd())
}

// Next returns the next piece to be written, left and right interleaved, or nil if there is none for now. It is lent
// until the next call.
func (t *Track) Next() []int16 {
	n := int(min(t.limit-t.written, blockSamples))
	if n <= 0 {
		t.compact()
		return nil
	}
	if t.block == nil {
		t.block = make([]int16, 2*blockSamples)
	}
	block := t.block[:2*n]
	clear(block)
	left := t.in[t.read:min(t.read+n, len(t.in))]
	for i, s := range left {
		block[2*i] = s
	}
	t.read += len(left)
	used := 0
	for _, sp := range t.spans {
		if sp.at >= t.written+int64(n) {
			break
		}
		from := int(max(t.written-sp.at, 0))
		to := int(min(t.written+int64(n)-sp.at, int64(len(sp.audio))))
		at := int(sp.at - t.written)
		for i := from; i < to; i++ {
			block[2*(at+i)+1] = sp.audio[i]
		}
		if to < len(sp.audio) {
			break
		}
		used++
		t.reuse(sp.buffer)
	}
	if used > 0 {
		k := copy(t.spans, t.spans[used:])
		clear(t.spans[k:])
		t.spans = t.spans[:k]
	}
	t.written += int64(n)
	return block
}

// Written returns how long the recording is so far.
func (t *Track) Written() time.Duration { return Duration(t.written) }

// Padded returns how much silence was put in for input that did not come while there should have been some.
func (t *Track) Padded() time.Duration { return Duration(t.padded) }

// Lost returns how much of the agent's audio was beyond MaxCaptured.
func (t *Track) Lost() time.Duration { return Duration(t.lost) }

// position returns where in the recording a time is.
func (t *Track) position(at time.Duration) int64 { return Samples(at) + t.ahead }

// inputEnd returns the position after the last input.
func (t *Track) inputEnd() int64 { return t.written + int64(len(t.in)-t.read) }

// missing returns how many samples of the input there should be more at a time.
func (t *Track) missing(at time.Duration) int64 {
	missing := t.position(at) - t.inputEnd()
	if t.hearing {
		missing -= Samples(t.given) - t.got // held back
	}
	return missing
}

// fill puts in silence for input that is missing up to a time.
func (t *Track) fill(at time.Duration) {
	missing, where := t.missing(at), t.inputEnd()
	if t.hearing {
		switch {
		case at-t.heard > jitter: // it may be late and come at once
			missing -= Samples(backlog + t.length)
		case missing <= Samples(jitter):
			return
		default:
			missing, where = t.missing(t.heard), t.gap
		}
		t.padded += max(missing, 0)
	}
	if missing <= 0 {
		return
	}
	// Where the gap was has been written, or is at the front of what has not.
	i := t.read + int(max(where-t.written, 0))
	n := len(t.in)
	t.in = slices.Grow(t.in, int(missing))[:n+int(missing)]
	copy(t.in[i+int(missing):], t.in[i:n])
	clear(t.in[i : i+int(missing)])
}

// compact moves what Next has not returned to the front, and lets go of a buffer that has become too large.
func (t *Track) compact() {
	if t.read == 0 {
		return
	}
	rest := t.in[t.read:]
	t.read = 0
	if cap(t.in) > keptSamples && len(rest) < keptSamples/2 {
		t.in = append([]int16(nil), rest...)
		return
	}
	t.in = t.in[:copy(t.in, rest)]
}

// Samples returns how many samples of one channel play in d, rounded to the nearest.
func Samples(d time.Duration) int64 {
	s, ns := int64(d/time.Second), int64(d%time.Second)
	half := int64(time.Second / 2)
	if ns < 0 {
		half = -half
	}
	return s*Rate + (ns*Rate+half)/int64(time.Second)
}

// Duration returns how long n samples of one channel play.
func Duration(n int64) time.Duration {
	return time.Duration(n/Rate)*time.Second + time.Duration(n%Rate)*time.Second/Rate
}
