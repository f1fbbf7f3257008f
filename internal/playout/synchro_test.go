package playout

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

var epoch = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

// at is an event and when it happens, in milliseconds.
type at struct {
	ms int
	e  Event
}

func addText(s string) Event   { return Event{Kind: TextAdded, Text: s} }
func addWords(w ...Word) Event { return Event{Kind: TimedTextAdded, Words: w} }
func addAudio(n int64) Event   { return Event{Kind: AudioAdded, Position: n} }
func kind(k EventKind) Event   { return Event{Kind: k} }
func finished(pos int64) Event {
	return Event{Kind: PlaybackFinished, Playback: Playback{Position: pos}}
}
func interrupted(pos int64) Event {
	return Event{Kind: PlaybackFinished, Playback: Playback{Position: pos, Interrupted: true}}
}

// play sends the events, and the timers that the machine asks for before them, and returns what was shown when.
func play(t *testing.T, s *Synchro, events ...at) (log []string) {
	t.Helper()
	var timer time.Time
	shown := ""
	handle := func(e Event, now time.Time) {
		fx := s.Handle(e, now)
		timer = fx.Timer
		if !timer.IsZero() {
			require.True(t, timer.After(now), "timer at %v for %v", now.Sub(epoch), timer.Sub(epoch))
		}
		shown += fx.Show
		if fx.Show != "" {
			log = append(log, fmt.Sprintf("%d %s", now.Sub(epoch).Milliseconds(), fx.Show))
		}
		if fx.Ended {
			log = append(log, fmt.Sprintf("%d end %s %q", now.Sub(epoch).Milliseconds(), s.Segment().Result().Outcome, s.Segment().Result().Text))
		}
	}
	advance := func(until time.Time) {
		for n := 0; !timer.IsZero() && !timer.After(until); n++ {
			require.Less(t, n, 1000, "timers without end")
			handle(kind(TimerFired), timer)
		}
	}
	for _, e := range events {
		now := epoch.Add(time.Duration(e.ms) * time.Millisecond)
		advance(now)
		handle(e.e, now)
	}
	advance(epoch.Add(time.Hour))
	require.Equal(t, shown, s.Shown())
	return log
}

func TestSynchro(t *testing.T) {
	timed := addWords(Word{"I", 0, 200}, Word{" will", 200, 500}, Word{" transfer", 500, 1000}, Word{" you.", 1200, 1400})
	all := func(text Event, samples int64) []at { // everything is there before playout
		return []at{{0, text}, {0, kind(TextEnded)}, {0, addAudio(samples)}, {0, kind(AudioEnded)}}
	}
	for _, c := range []struct {
		name   string
		events []at
		want   []string
	}{
		{"timed words are shown half-way", append(all(timed, 1500), at{1000, kind(PlaybackStarted)}, at{2500, finished(1500)}),
			[]string{"1100 I", "1350  will", "1750  transfer", "2300  you.", `2500 end full "I will transfer you."`}},
		{"without timings, at the measured speed", append(all(addText("one two three four"), 2000), at{1000, kind(PlaybackStarted)}, at{3000, finished(2000)}),
			[]string{"1250 one", "1750  two", "2250  three", "2750  four", `3000 end full "one two three four"`}},
		{"at the expected speed until both ends are known, then slower", []at{
			{0, addText("one two three four five ")}, {0, addAudio(600)}, {0, kind(PlaybackStarted)}, {0, addAudio(2000)},
			{400, addAudio(2400)}, {450, kind(AudioEnded)}, {450, kind(TextEnded)}, {5000, finished(5000)}},
			// 250 a word: 125, 375; then 1000 a word, of which the third is shown at 2500.
			[]string{"125 one", "375  two", "2500  three", "3500  four", "4500  five ", `5000 end full "one two three four five "`}},
		{"then faster", []at{
			{0, addText("one two three four five")}, {0, addAudio(600)}, {0, kind(PlaybackStarted)},
			{450, kind(AudioEnded)}, {450, kind(TextEnded)}, {600, finished(600)}},
			[]string{"125 one", "375  two", "450  three four", "540  five", `600 end full "one two three four five"`}},
		{"a word that may go on is not shown", []at{
			{0, addText("one tw")}, {0, addAudio(5000)}, {0, kind(PlaybackStarted)}, {1000, addText("o ")}, {1100, kind(TextEnded)}, {1100, kind(AudioEnded)}, {5000, finished(5000)}},
			[]string{"125 one", "1000  two", "1100  ", `5000 end full "one two "`}},
		{"a pause", append(all(timed, 1500), at{0, kind(PlaybackStarted)}, at{300, kind(PlaybackPaused)}, at{310, kind(PlaybackPaused)},
			at{2300, kind(PlaybackResumed)}, at{2300, kind(PlaybackResumed)}, at{3500, finished(1500)}),
			[]string{"100 I", "2350  will", "2750  transfer", "3300  you.", `3500 end full "I will transfer you."`}},
		{"a pause before the first frame counts from the start", append(append([]at{{0, kind(PlaybackPaused)}}, all(timed, 1500)...),
			at{700, kind(PlaybackStarted)}, at{1000, kind(PlaybackResumed)}, at{2500, finished(1500)}),
			[]string{"1100 I", "1350  will", "1750  transfer", "2300  you.", `2500 end full "I will transfer you."`}},
		{"a pause that is over before the first frame", append(append([]at{{0, kind(PlaybackPaused)}}, all(timed, 1500)...),
			at{700, kind(PlaybackResumed)}, at{1000, kind(PlaybackStarted)}, at{2500, finished(1500)}),
			[]string{"1100 I", "1350  will", "1750  transfer", "2300  you.", `2500 end full "I will transfer you."`}},
		{"an interruption", append(all(timed, 1500), at{0, kind(PlaybackStarted)}, at{600, interrupted(600)}, at{700, addText("late")}),
			[]string{"100 I", "350  will", `600 end partial "I will"`}},
		{"an interruption within a word that was shown", append(all(timed, 1500), at{0, kind(PlaybackStarted)}, at{800, interrupted(800)}),
			[]string{"100 I", "350  will", "750  transfer", `800 end partial "I will"`}},
		{"an interruption while paused", append(all(timed, 1500), at{0, kind(PlaybackStarted)}, at{300, kind(PlaybackPaused)}, at{900, interrupted(300)}),
			[]string{"100 I", `900 end partial "I"`}},
		{"an interruption before the first frame", append(all(timed, 1500), at{300, interrupted(0)}),
			[]string{`300 end skipped ""`}},
		{"the end of playout shows the rest at once", append(all(timed, 1500), at{0, kind(PlaybackStarted)}, at{600, finished(600)}),
			[]string{"100 I", "350  will", "600  transfer you.", `600 end full "I will transfer you."`}},
		{"text after the end of playout is shown at once", []at{{0, addText("one")}, {0, addAudio(500)}, {0, kind(AudioEnded)}, {0, kind(PlaybackStarted)},
			{500, finished(500)}, {800, addText(" tw")}, {900, addText("o.")}, {1000, kind(TextEnded)}},
			[]string{"500 one", "800  tw", "900 o.", `1000 end full "one two."`}},
		{"a second start is ignored", append(all(timed, 1500), at{0, kind(PlaybackStarted)}, at{90, kind(PlaybackStarted)}, at{200, interrupted(200)}, at{300, interrupted(900)}),
			[]string{"100 I", `200 end partial "I"`}},
		{"a start in the past", append(all(timed, 1500), at{500, Event{Kind: PlaybackStarted, At: epoch.Add(100 * time.Millisecond)}}, at{550, interrupted(450)}),
			[]string{"500 I will", `550 end partial "I"`}},
		{"an under-run stops the clock", []at{{0, timed}, {0, addAudio(220)}, {0, kind(PlaybackStarted)}, {2220, addAudio(1280)}, {2220, kind(TextEnded)}, {2220, kind(AudioEnded)}, {3500, finished(1500)}},
			[]string{"100 I", "2350  will", "2750  transfer", "3300  you.", `3500 end full "I will transfer you."`}},
		{"the output corrects the clock", append(all(timed, 1500), at{0, kind(PlaybackStarted)}, at{300, Event{Kind: PlaybackAt, Position: 200}}, at{1600, finished(1500)}),
			[]string{"100 I", "450  will", "850  transfer", "1400  you.", `1600 end full "I will transfer you."`}},
		{"nothing is held back without audio to wait for", []at{{0, addText("one tw")}, {100, kind(Bypassed)}, {200, addText("o")}, {300, kind(Closed)}},
			[]string{"100 one tw", "200 o", `300 end skipped ""`}},
		{"text without audio is not shown", []at{{0, addText("one two")}, {100, kind(Closed)}}, []string{`100 end skipped ""`}},
		{"a close waits for the end", append(all(timed, 1500), at{0, kind(PlaybackStarted)}, at{150, kind(Closed)}, at{1500, finished(1500)}),
			[]string{"100 I", "350  will", "750  transfer", "1300  you.", `1500 end full "I will transfer you."`}},
		{"a close does not wait for ever", append(all(addWords(Word{"I", 0, 200}, Word{" will", 9000, 9500}), 9500), at{0, kind(PlaybackStarted)}, at{150, kind(Closed)}),
			[]string{"100 I", `5150 end partial "I"`}},
		{"a close while paused does not wait for ever", append(all(timed, 1500), at{0, kind(PlaybackStarted)}, at{210, kind(PlaybackPaused)}, at{1000, kind(Closed)}),
			[]string{"100 I", `6000 end partial "I"`}},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := NewSynchro(NewSegment(Config{SampleRate: rate, Speed: 4, Units: one}))
			require.Equal(t, c.want, play(t, s, c.events...))
		})
	}
}

// T120: about 10 units and much markup over a short audio.
func TestMarkupDoesNotSlowTheText(t *testing.T) {
	var text strings.Builder
	for i := range 10 {
		fmt.Fprintf(&text, `<expr mood="a rather long description of a mood, number %d"/> word `, i)
	}
	s := NewSynchro(NewSegment(Config{SampleRate: rate}))
	log := play(t, s, at{0, addText(text.String())}, at{0, kind(TextEnded)}, at{0, addAudio(1000)}, at{0, kind(AudioEnded)},
		at{0, kind(PlaybackStarted)}, at{1000, finished(1000)})
	require.Equal(t, text.String(), s.Shown())
	require.Len(t, log, 21) // tags come as soon as the word before them has ended
	require.Equal(t, "950  word ", log[19])
	speed, ok := s.Segment().Speed()
	require.True(t, ok)
	require.Equal(t, 10.0, speed)
}

func TestMarkupAlone(t *testing.T) {
	s := NewSynchro(NewSegment(Config{SampleRate: rate}))
	require.Equal(t, []string{"0 <expr/> <expr/>", `1000 end full "<expr/> <expr/>"`},
		play(t, s, at{0, addText("<expr/> <expr/>")}, at{0, kind(TextEnded)}, at{0, addAudio(1000)}, at{0, kind(AudioEnded)},
			at{0, kind(PlaybackStarted)}, at{1000, finished(1000)}))
}

func TestNextSegmentKeepsPause(t *testing.T) {
	cfg := Config{SampleRate: rate, Units: one}
	s := NewSynchro(NewSegment(cfg))
	s.Handle(kind(PlaybackPaused), epoch)
	next := s.Next(NewSegment(cfg))
	require.Equal(t, []string{"2100 a", `2200 end full "a"`},
		play(t, next, at{0, addWords(Word{"a", 0, 200})}, at{0, addAudio(200)}, at{0, kind(PlaybackStarted)}, at{1000, kind(TextEnded)}, at{1000, kind(AudioEnded)},
			at{2000, kind(PlaybackResumed)}, at{2200, finished(200)}))
}

// At rates where a sample is no whole number of nanoseconds the timer still fires at the sample, not before.
func TestTimersReachTheirSample(t *testing.T) {
	for _, r := range []int{8000, 11025, 22050, 24000, 44100, 48000} {
		s := NewSynchro(NewSegment(Config{SampleRate: r}))
		play(t, s, at{0, addText(strings.Repeat("word ", 500))}, at{0, kind(TextEnded)}, at{0, addAudio(int64(r) * 97)}, at{0, kind(AudioEnded)},
			at{0, kind(PlaybackStarted)}, at{97001, finished(int64(r) * 97)})
		require.Equal(t, s.Segment().Text(), s.Shown())
	}
}

func TestSynchroDoesNotAllocateForAudio(t *testing.T) {
	s := NewSynchro(NewSegment(Config{SampleRate: 24000}))
	s.Handle(addText(strings.Repeat("some words ", 100)), epoch)
	s.Handle(kind(PlaybackStarted), epoch)
	pcm := tone(480, 1)
	now := epoch
	require.Zero(t, testing.AllocsPerRun(1000, func() {
		now = now.Add(20 * time.Millisecond)
		s.Handle(Event{Kind: AudioAdded, Samples: pcm, Channels: 1}, now)
	}))
}

// FuzzSynchro sends anything in any order: shown text only grows and is a prefix of the text, what was heard is too,
// timers are in the future, and a segment that is closed ends.
func FuzzSynchro(f *testing.F) {
	f.Add("one two three", []byte{0, 5, 4, 200, 6, 1, 11, 50, 3, 0, 5, 1, 10, 0})
	f.Add("<a/> 你好", []byte{12, 9, 0, 9, 6, 9, 7, 9, 13, 200})
	f.Fuzz(func(t *testing.T, text string, script []byte) {
		if len(text) > 500 || len(script) > 200 {
			return
		}
		s := NewSynchro(NewSegment(Config{SampleRate: rate}))
		now, shown, last := epoch, "", Effects{}
		send := func(e Event) {
			wasEnded := s.ended
			fx := s.Handle(e, now)
			require.True(t, fx.Timer.IsZero() || fx.Timer.After(now))
			if wasEnded {
				require.Equal(t, Effects{}, fx)
			}
			shown += fx.Show
			last = fx
			require.Equal(t, shown, s.Shown())
			require.True(t, strings.HasPrefix(s.Segment().Text(), shown))
			if r := s.Segment().Result(); !r.Interrupted {
				require.True(t, strings.HasPrefix(s.Segment().Text(), r.Text))
			}
			require.GreaterOrEqual(t, s.Position(now), int64(0))
		}
		for i := 0; i+1 < len(script); i += 2 {
			n := int(script[i+1])
			if k := EventKind(script[i] % 14); k != TimerFired {
				e := Event{Kind: k, Position: int64(n) * 8, Playback: Playback{Position: int64(n) * 8, Interrupted: n%2 == 0}}
				if len(text) > 0 {
					e.Text = text[n%len(text) : min(n%len(text)+n%9, len(text))]
					e.Words = []Word{{e.Text, int64(n) * 3, int64(n) * 4}}
				}
				send(e)
			}
			now = now.Add(time.Duration(n) * time.Millisecond)
			for !last.Timer.IsZero() && !last.Timer.After(now) {
				was := now
				now = last.Timer
				send(Event{Kind: TimerFired})
				now = was
			}
		}
		send(Event{Kind: Closed})
		now = now.Add(CloseTimeout)
		send(Event{Kind: TimerFired})
		require.True(t, s.ended)
		send(Event{Kind: TextAdded, Text: "late"})
	})
}
