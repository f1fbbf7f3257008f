package amd

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// T122: whatever happens, in whatever order, a call that was answered is judged once; what the model decided is replaced by
// nothing but what it says of more words; something is armed until then; and a machine comes out by both gates only, unless
// time is up or the other side is gone.
func FuzzMachine(f *testing.F) {
	f.Add([]byte{0, 1, 3, 4, 5, 6, 7, 8, 9, 10, 3, 5, 7, 4})
	f.Add([]byte{5, 0x51, 0x13, 0x15, 0x17, 0x24, 0xf6, 0x33, 0x35, 0x44, 0x59, 0x65, 0x78, 0x6a})
	f.Fuzz(func(t *testing.T, in []byte) {
		if len(in) == 0 || len(in) > 400 {
			return
		}
		o := defaults()
		o.WaitUntilFinished = in[0]&1 == 0
		if in[0]&2 != 0 {
			o.EndOfTurn = time.Second
		}
		var (
			m                = New(o)
			now              = clock(0)
			set              [timers]time.Time
			settled          *Settled
			answered, closed bool
			missing, late    bool
			asked            uint64
			judged           Category // by the model, and not taken back
			sound, soundEnd  = false, time.Time{}
			turnEnd          bool
		)
		tell := func(e Event) {
			out := m.Step(now, e)
			if settled != nil || closed {
				require.Empty(t, out, "nothing follows")
			}
			_, is := e.(Close)
			closed = closed || is
			for _, x := range out {
				switch x := x.(type) {
				case SetTimer:
					set[x.Timer] = x.At
				case StopTimer:
					require.NotZero(t, set[x.Timer], "what is stopped was set")
					set[x.Timer] = time.Time{}
				case Classify:
					require.Greater(t, x.ID, asked)
					asked = x.ID
				case Settled:
					require.Nil(t, settled, "once")
					settled = &x
					require.GreaterOrEqual(t, x.Delay, time.Duration(0))
					require.GreaterOrEqual(t, x.Speech, time.Duration(0))
					require.True(t, x.Reason == ByModel || x.Category == Uncertain || x.Reason == ShortGreeting && x.Category == Human)
					if judged != "" {
						require.Equal(t, judged, x.Category, "what was decided is not replaced")
						require.Equal(t, ByModel, x.Reason)
					}
					if x.Reason == ByModel && !late && !missing {
						require.False(t, sound)
						require.GreaterOrEqual(t, now.Sub(soundEnd), o.MachineSilence)
						require.True(t, x.Category == Human || turnEnd)
					}
				}
			}
			armed := !set[DetectionTimer].IsZero() || !set[MissingTimer].IsZero()
			require.Equal(t, answered && settled == nil && !closed, armed, "armed until it is settled")
		}
		fire := func(until time.Time) bool {
			next := -1
			for i, at := range set {
				if !at.IsZero() && !at.After(until) && (next < 0 || at.Before(set[next])) {
					next = i
				}
			}
			if next < 0 {
				return false
			}
			now = later(set[next], now)
			set[next] = time.Time{}
			late = late || Timer(next) == DetectionTimer
			missing = missing || Timer(next) == MissingTimer
			turnEnd = turnEnd || Timer(next) == EndOfTurnTimer && !sound
			// The machine is told what it set, so that a timer that it set anew meanwhile would not be.
			tell(Fired{Timer: Timer(next)})
			return true
		}
		listening := func() bool { return !m.listening.IsZero() && !m.done }
		for _, b := range in[1:] {
			until := now.Add(time.Duration(b>>4) * 250 * time.Millisecond)
			for fire(until) {
			}
			now = until
			switch b & 15 {
			case 0, 11:
				answered = true
				tell(Answered{})
			case 1, 12:
				tell(Audio{})
			case 2:
				if b>>4 == 7 {
					missing = true
					tell(Gone{})
				}
			case 3, 13:
				if !sound {
					turnEnd = false
				}
				sound = true
				tell(SpeechStart{At: now.Add(-time.Duration(b>>6) * 100 * time.Millisecond)})
			case 4, 14:
				if sound {
					soundEnd = now.Add(-time.Duration(b>>6) * 100 * time.Millisecond)
				}
				sound = false
				tell(SpeechEnd{At: now.Add(-time.Duration(b>>6) * 100 * time.Millisecond)})
			case 5, 15:
				if listening() && !m.voiced {
					turnEnd, soundEnd = false, now
				}
				tell(Transcript{Text: "word"})
			case 6:
				turnEnd = turnEnd || listening()
				tell(EndOfTurn{})
			case 7, 8:
				category := []Category{Human, IVR, Voicemail, Unavailable, Uncertain}[int(b>>4)%5]
				if listening() && m.asked == asked && asked != 0 {
					judged = category
				}
				tell(Judged{ID: asked, Category: category})
			case 9:
				if listening() && m.asked == asked && asked != 0 && !late {
					judged = ""
				}
				tell(Postponed{ID: asked, For: time.Duration(b>>4) * 2 * time.Second})
			case 10:
				switch b >> 4 {
				case 7:
					tell(Close{})
				case 6:
					tell(Fired{Timer: Timer(b >> 4)})
				default:
					tell(Failed{ID: asked})
				}
			}
		}
		begun := now
		for fire(now.Add(time.Hour)) {
		}
		if answered && !closed {
			require.NotNil(t, settled, "a call that was answered is judged")
		}
		// The last sound may be followed by the timeout, three postponements and the end of what is being said.
		require.Less(t, now.Sub(begun), o.Timeout+MaxPostponements*MaxPostponement+MaxFinish+o.Missing+1)
	})
}
