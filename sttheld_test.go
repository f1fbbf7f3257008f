package agents

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// A heldTest is an sttHeld at 1 kHz whose stream takes everything at once.
type heldTest struct {
	t *testing.T
	sttHeld
}

func newHeldTest(t *testing.T, voiced bool) *heldTest {
	h := &heldTest{t: t, sttHeld: sttHeld{voiced: voiced, padding: 500 * time.Millisecond, silence: 500 * time.Millisecond}}
	h.openStream()
	return h
}

// hears pushes audio, which the stream takes.
func (h *heldTest) hears(d time.Duration) {
	for ; d > 0; d -= 20 * time.Millisecond {
		h.push(tone(1, min(d, 20*time.Millisecond)))
		h.offer(make([]int16, 0, 100), h.end())
		h.taken()
	}
}

// speaks is as a VAD tells of speech: 100 ms late, and of its end after 500 ms of silence.
func (h *heldTest) speaks(d time.Duration) {
	h.hears(100 * time.Millisecond)
	h.voice(true, 100*time.Millisecond)
	h.hears(d - 100*time.Millisecond)
}

func (h *heldTest) pauses() {
	h.hears(500 * time.Millisecond)
	h.voice(false, time.Second)
}

// What another stream gets depends on what the last final transcript was about.
func TestHeldAudioStartsAfterWhatWasRecognised(t *testing.T) {
	s, ms := time.Second, time.Millisecond
	for _, c := range []struct {
		name   string
		voiced bool
		do     func(h *heldTest)
		from   time.Duration // where the next stream begins
	}{
		{"nothing recognised", false, func(h *heldTest) { h.hears(10 * s) }, 0},
		{"nothing recognised, nothing spoken", true, func(h *heldTest) { h.hears(10 * s) }, 9 * s},
		{"nothing recognised in speech", true, func(h *heldTest) { h.hears(10 * s); h.speaks(2 * s); h.pauses(); h.hears(2 * s) }, 9100 * ms},
		{"speech at the very beginning", true, func(h *heldTest) { h.speaks(2 * s) }, 0},

		{"timed", false, func(h *heldTest) { h.hears(10 * s); h.found(final("a", s, 4*s)) }, 4 * s},
		{"timed, late", false, func(h *heldTest) { h.hears(10 * s); h.found(final("a", s, 11*s)) }, 10 * s},
		{"timed, out of order", false, func(h *heldTest) { h.hears(10 * s); h.found(final("a", s, 4*s)); h.found(final("b", s, 3*s)) }, 4 * s},
		{"timed, all", true, func(h *heldTest) {
			h.hears(s)
			h.speaks(2 * s)
			h.pauses()
			h.found(final("a", s, 3*s))
			h.hears(5 * s)
		}, 7500 * ms},
		{"timed, half of a speech that goes on", true, func(h *heldTest) {
			h.hears(s)
			h.speaks(5 * s)
			h.found(final("a", s, 3*s))
			h.hears(5 * s)
		}, 3 * s},
		{"timed, half of a speech that has ended", true, func(h *heldTest) {
			h.hears(s)
			h.speaks(5 * s)
			h.pauses()
			h.found(final("a", s, 3*s))
			h.hears(5 * s)
		}, 3 * s},
		{"timed, the first of two speeches", true, func(h *heldTest) {
			h.speaks(2 * s)
			h.pauses()
			h.speaks(2 * s)
			h.pauses()
			h.found(final("a", 100*ms, 2*s))
			h.hears(5 * s)
		}, 2 * s},

		{"untimed", false, func(h *heldTest) { h.hears(10 * s); h.found(final("a", 0, 0)) }, 8 * s},
		{"untimed, soon", false, func(h *heldTest) { h.hears(s); h.found(final("a", 0, 0)) }, 0},
		{"untimed, and nothing followed", false, func(h *heldTest) {
			h.interim = true
			h.hears(10 * s)
			h.found(final("a", 0, 0))
			h.hears(2 * s)
		}, 10 * s},
		{"untimed, and something followed", false, func(h *heldTest) {
			h.interim = true
			h.hears(10 * s)
			h.found(final("a", 0, 0))
			h.hears(s)
			h.found(STTEvent{Type: STTInterim, Transcript: Transcript{Text: "b"}})
			h.hears(2 * s)
		}, 8 * s},
		{"untimed, and something may have followed", false, func(h *heldTest) {
			h.hears(10 * s)
			h.found(final("a", 0, 0))
			h.hears(2 * s)
		}, 8 * s},
		{"untimed, all", true, func(h *heldTest) { h.speaks(2 * s); h.pauses(); h.found(final("a", 0, 0)) }, 2500 * ms},
		{"untimed, while the user speaks on", true, func(h *heldTest) { h.speaks(5 * s); h.found(final("a", 0, 0)) }, 3 * s},
		{"untimed, as the next speech has begun", true, func(h *heldTest) {
			h.hears(s)
			h.speaks(2 * s)
			h.pauses()
			h.speaks(500 * ms)
			h.found(final("a", 0, 0))
		}, 3 * s},
		{"untimed, as the next speech was short", true, func(h *heldTest) {
			h.hears(s)
			h.speaks(2 * s)
			h.pauses()
			h.speaks(500 * ms)
			h.pauses()
			h.found(final("a", 0, 0))
		}, 3 * s},
		{"untimed, when the next speech is long over", true, func(h *heldTest) {
			h.hears(s)
			h.speaks(2 * s)
			h.pauses()
			h.speaks(500 * ms)
			h.pauses()
			h.hears(2 * s)
			h.found(final("a", 0, 0))
		}, 6500 * ms},
	} {
		t.Run(c.name, func(t *testing.T) {
			h := newHeldTest(t, c.voiced)
			c.do(h)
			h.closeStream()
			h.openStream()
			require.Equal(t, c.from, h.duration(h.begin))
			require.Zero(t, h.lost)
		})
	}
}

// Speech that nobody makes anything of is asked about once more, if it is long enough, and then forgotten.
func TestHeldSpeechThatIsNotRecognised(t *testing.T) {
	h := newHeldTest(t, true)
	h.speaks(2 * time.Second)
	require.False(t, h.waits(), "while it goes on")
	h.pauses()
	require.True(t, h.waits())
	require.True(t, h.giveUp())
	require.False(t, h.giveUp())
	require.False(t, h.waits())

	h.speaks(2 * time.Second)
	h.pauses()
	h.found(STTEvent{Type: STTFinal, Transcript: Transcript{Text: "a"}})
	h.found(STTEvent{Type: STTInterim, Transcript: Transcript{Text: "b"}})
	require.True(t, h.giveUp(), "something came that never became final")
	h.found(STTEvent{Type: STTEndOfSpeech})
	require.False(t, h.giveUp(), "it says that this was all")

	h.speaks(2 * time.Second)
	h.voice(true, 0) // said twice
	h.voice(false, 100*time.Millisecond)
	h.voice(false, time.Minute)
	require.False(t, h.giveUp(), "too short")
}

// Whatever happens, in whatever order: a stream gets the audio that belongs where it is; what no stream had is held for
// a minute and counted after that; and no more than a minute is held.
func FuzzHeldAudio(f *testing.F) {
	f.Add(true, []byte{0, 50, 5, 2, 200, 3, 1, 9, 4, 255, 7})
	f.Add(false, []byte{0, 255, 0, 255, 0, 255, 5, 3, 4, 6, 0, 255, 2, 8, 7, 5, 3, 4})
	f.Add(true, []byte{5, 0, 255, 3, 0, 255, 1, 0, 255, 0, 255, 0, 255, 0, 255, 3, 4, 3, 7, 5, 3})
	f.Fuzz(func(t *testing.T, voiced bool, ops []byte) {
		if len(ops) > 200 {
			return
		}
		h := &sttHeld{voiced: voiced, interim: len(ops)%2 == 0, padding: 300 * time.Millisecond}
		at := func(position int64) int16 { return int16(position % 30011) }
		var had []bool // by position
		var piece []int16
		offered, refused := int64(0), int64(0)
		for len(ops) > 0 {
			op, n := ops[0], int64(0)
			if ops = ops[1:]; len(ops) > 0 && op%10 < 3 {
				n = int64(ops[0]) * 97
				ops = ops[1:]
			}
			settled := h.settled
			switch op % 10 {
			case 0: // audio
				frame := AudioFrame{SampleRate: 1000, Channels: 1}
				for range n {
					frame.Samples = append(frame.Samples, at(int64(len(had))))
					had = append(had, false)
				}
				h.push(frame)
			case 1: // a final transcript
				h.found(final("a", 0, SampleDuration(n, 1000)))
			case 2: // a longer one
				h.found(final("a", 0, 4*SampleDuration(n, 1000)))
			case 3: // more to the stream, unless it has not taken the last
				if h.open && len(piece) == 0 && h.next < h.end() {
					offered = h.next
					piece = h.offer(make([]int16, 0, 2000), h.end())
					for i, v := range piece {
						require.Equal(t, at(offered+int64(i)), v, "at %d", offered+int64(i))
					}
				}
			case 4: // which it takes
				if len(piece) > 0 {
					for i := range piece {
						had[offered+int64(i)] = true
					}
					piece = nil
					h.taken()
				}
			case 5:
				if !h.open {
					h.openStream()
				}
			case 6:
				if h.open {
					h.closeStream()
					refused += int64(len(piece))
					piece = nil
				}
			case 7:
				h.voice(true, 50*time.Millisecond)
			case 8:
				h.voice(false, time.Second)
			case 9:
				h.found(final("a", 0, 0))
			}

			require.Equal(t, int64(len(had)), h.end())
			require.LessOrEqual(t, h.end()-h.start(), max(h.samples(maxHeldSpeech), 1))
			require.GreaterOrEqual(t, h.settled, settled)
			require.True(t, h.start() <= h.next && h.next <= h.end() && h.had <= h.end(), "from %d: next %d, had %d", h.start(), h.next, h.had)
			if !voiced {
				require.LessOrEqual(t, h.start(), max(h.settled, h.end()-h.samples(maxHeldSpeech)))
			}
			never := int64(0)
			for i := range h.start() {
				if !had[i] && (len(piece) == 0 || i < offered || i >= offered+int64(len(piece))) {
					never++
				}
			}
			require.LessOrEqual(t, never, h.lost+refused, "what a stream failed with may be missing in the count")
			require.LessOrEqual(t, h.lost, int64(len(had)))
		}
	})
}
