package filler

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

const ms = time.Millisecond

// A world carries out the effects of a machine, with a clock of its own. What is said takes no time unless speech says
// how long.
type world struct {
	t      *testing.T
	m      *Machine
	now    time.Time
	timer  time.Time // zero for none
	speech time.Duration
	quiet  time.Time // when the agent falls silent; zero if it is
	source func(step int) bool
	said   []string // "50ms:0"
	done   bool
}

var start = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

func newWorld(t *testing.T, o Options) *world {
	return &world{t: t, m: New(o), now: start, source: func(int) bool { return true }}
}

func (w *world) step(e Event) {
	fx := w.m.Step(e, w.now)
	switch fx.Timer {
	case Set:
		w.timer = w.now.Add(fx.After)
	case Stop:
		w.timer = time.Time{}
	}
	w.done = fx.Done
	if !fx.Fire {
		return
	}
	if !w.source(fx.Step) {
		w.step(Skipped)
		return
	}
	w.said = append(w.said, fmt.Sprint(w.now.Sub(start), ":", fx.Step))
	w.step(Produced)
	if w.speech > 0 {
		w.quiet = w.now.Add(w.speech)
		w.step(AgentBusy)
	}
}

// run lets the clock go on to a moment. What happens at that moment has happened.
func (w *world) run(to time.Duration) {
	end := start.Add(to)
	for {
		next, e := w.timer, Fired
		if !w.quiet.IsZero() && (next.IsZero() || w.quiet.Before(next)) {
			next, e = w.quiet, AgentIdle
		}
		if next.IsZero() || next.After(end) {
			w.now = end
			return
		}
		w.now = next
		if e == Fired {
			w.timer = time.Time{}
		} else {
			w.quiet = time.Time{}
		}
		w.step(e)
	}
}

// T95 and T96.
func TestTable(t *testing.T) {
	for _, tt := range []struct {
		name   string
		o      Options
		speech time.Duration
		at     []string // "50ms event event", in order
		until  time.Duration
		want   string // "100ms:0 200ms:1"
		done   bool
	}{
		{name: "T95 one thing", o: Options{Delay: 50 * ms}, at: []string{"0s begin"}, until: time.Second, want: "50ms:0", done: true},
		{name: "T95 ended before", o: Options{Delay: 50 * ms}, at: []string{"0s begin", "49ms ended"}, until: time.Second, done: true},
		{name: "T95 at intervals", o: Options{Delay: 50 * ms, Interval: 50 * ms}, at: []string{"0s begin"}, until: 350 * ms,
			want: "50ms:0 150ms:1 250ms:2 350ms:3"},
		{name: "T95 at intervals, until the end", o: Options{Delay: 50 * ms, Interval: 50 * ms}, at: []string{"0s begin", "200ms ended"},
			until: time.Second, want: "50ms:0 150ms:1", done: true},
		{name: "T96 the agent speaks", o: Options{Delay: 100 * ms}, at: []string{"0s begin", "50ms agentbusy agentidle"}, until: 180 * ms,
			want: "150ms:0", done: true},
		{name: "T96 the agent speaks for a while", o: Options{Delay: 100 * ms}, at: []string{"0s begin", "50ms agentbusy", "70ms agentidle"},
			until: 180 * ms, want: "170ms:0", done: true},
		{name: "T96 the user speaks", o: Options{Delay: 100 * ms}, at: []string{"0s begin", "50ms userspeaks", "60ms usersilent"},
			until: 180 * ms, want: "160ms:0", done: true},
		{name: "T96 progress", o: Options{Delay: 100 * ms}, at: []string{"0s begin", "50ms progress"}, until: 180 * ms, want: "150ms:0", done: true},
		{name: "T96 nothing before that", o: Options{Delay: 100 * ms}, at: []string{"0s begin", "50ms progress"}, until: 130 * ms},
		{name: "both must be silent", o: Options{Delay: 100 * ms},
			at:    []string{"0s begin", "10ms agentbusy userspeaks", "20ms agentidle", "30ms progress", "40ms usersilent"},
			until: time.Second, want: "140ms:0", done: true},
		{name: "busy at first", o: Options{Delay: 100 * ms}, at: []string{"0s agentbusy begin", "300ms agentidle"}, until: time.Second,
			want: "400ms:0", done: true},
		{name: "not before it begins", o: Options{Delay: 100 * ms}, at: []string{"0s agentidle progress", "300ms begin"}, until: time.Second,
			want: "400ms:0", done: true},
		{name: "without delay", o: Options{}, at: []string{"5ms begin"}, until: time.Second, want: "5ms:0", done: true},
		{name: "without delay, as soon as it is silent", o: Options{}, at: []string{"5ms userspeaks begin", "30ms usersilent"},
			until: time.Second, want: "30ms:0", done: true},
		{name: "at most so many", o: Options{Delay: 10 * ms, Interval: 10 * ms, MaxSteps: 2}, at: []string{"0s begin"}, until: time.Second,
			want: "10ms:0 30ms:1", done: true},
		{name: "its own speech is no silence", o: Options{Delay: 10 * ms, Interval: 10 * ms, MaxSteps: 3}, speech: 100 * ms,
			at: []string{"0s begin"}, until: time.Second, want: "10ms:0 120ms:1 230ms:2", done: true},
		{name: "progress while it rests", o: Options{Delay: 10 * ms, Interval: 50 * ms}, at: []string{"0s begin", "55ms progress"}, until: 70 * ms,
			want: "10ms:0 70ms:1"},
		{name: "ended while it rests", o: Options{Delay: 10 * ms, Interval: 50 * ms}, at: []string{"0s begin", "55ms ended", "56ms begin progress"},
			until: time.Second, want: "10ms:0", done: true},
		{name: "negative options", o: Options{Delay: -1, Interval: -1, MaxSteps: -1}, at: []string{"0s begin"}, until: time.Second,
			want: "0s:0", done: true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w := newWorld(t, tt.o)
			w.speech = tt.speech
			for _, line := range tt.at {
				f := strings.Fields(line)
				at, err := time.ParseDuration(f[0])
				require.NoError(t, err)
				w.run(at)
				for _, name := range f[1:] {
					w.step(events[name])
				}
			}
			w.run(tt.until)
			require.Equal(t, tt.want, strings.Join(w.said, " "))
			require.Equal(t, tt.done, w.done)
			if w.done {
				require.True(t, w.timer.IsZero(), "a timer is left")
			}
		})
	}
}

var events = map[string]Event{
	"agentbusy": AgentBusy, "agentidle": AgentIdle, "userspeaks": UserSpeaks, "usersilent": UserSilent, "progress": Progress,
	"begin": Begin, "ended": Ended,
}

// T97: the source is asked when its time has come, with the number of what was said so far, and after an interruption no
// more.
func TestSource(t *testing.T) {
	w := newWorld(t, Options{Delay: 10 * ms, Interval: 10 * ms})
	var asked []string
	w.source = func(step int) bool {
		asked = append(asked, fmt.Sprint(w.now.Sub(start), ":", step))
		return len(asked) != 2 // it has nothing to say the second time
	}
	w.step(Begin)
	w.run(9 * ms)
	require.Empty(t, asked)
	w.run(69 * ms)
	require.Equal(t, []string{"10ms:0", "30ms:1", "50ms:1"}, asked)
	require.Equal(t, []string{"10ms:0", "50ms:1"}, w.said)
	w.step(Ended)
	w.run(time.Second)
	require.Len(t, asked, 3)
}

// What there is to say may take a while to be found. Meanwhile nothing else is asked for.
func TestSlowSource(t *testing.T) {
	m := New(Options{Delay: 10 * ms, Interval: 10 * ms})
	at := func(d time.Duration) time.Time { return start.Add(d) }
	require.Equal(t, Effects{Timer: Set, After: 10 * ms}, m.Step(Begin, at(0)))
	require.Equal(t, Effects{}, m.Step(Fired, at(10*ms-1)), "a timer that was set anew")
	require.Equal(t, Effects{Fire: true}, m.Step(Fired, at(10*ms)))
	for _, e := range []Event{Fired, Begin, Progress, AgentBusy, UserSpeaks, UserSilent, AgentIdle} {
		require.Equal(t, Effects{}, m.Step(e, at(15*ms)))
	}
	require.Equal(t, Effects{Timer: Set, After: 10 * ms}, m.Step(Produced, at(20*ms)))
	require.Equal(t, Effects{}, m.Step(Produced, at(21*ms)), "once is enough")
	require.Equal(t, Effects{Timer: Set, After: 10 * ms}, m.Step(Fired, at(30*ms)), "it dwells")
	require.Equal(t, Effects{Fire: true, Step: 1}, m.Step(Fired, at(40*ms)))
	require.Equal(t, Effects{Done: true}, m.Step(Ended, at(41*ms)))
	require.Equal(t, Effects{Done: true}, m.Step(Skipped, at(42*ms)))
}

// Whatever happens, something is said only after a silence of the whole delay and a rest of the whole interval, in
// steps that count up, and never after the end.
func FuzzMachine(f *testing.F) {
	for _, seed := range []uint64{1, 2, 3} {
		f.Add(seed, uint16(100), uint16(50), uint8(3), uint16(20))
	}
	f.Add(uint64(4), uint16(0), uint16(0), uint8(0), uint16(0))
	f.Fuzz(func(t *testing.T, seed uint64, delay, interval uint16, most uint8, speech uint16) {
		r := rand.New(rand.NewPCG(seed, seed))
		o := Options{Delay: time.Duration(delay) * ms, Interval: time.Duration(interval) * ms, MaxSteps: int(most)}
		w := newWorld(t, o)
		w.speech = time.Duration(speech) * ms
		var since, rested time.Time // of the last noise, and of the last thing that was said
		steps := 0
		busy, talk, ended := false, false, false
		w.source = func(step int) bool {
			require.False(t, ended)
			require.Equal(t, steps, step)
			require.False(t, talk)
			require.True(t, !busy && w.quiet.IsZero())
			require.False(t, w.now.Before(since.Add(o.Delay)), "too little silence")
			require.True(t, rested.IsZero() || !w.now.Before(rested.Add(o.Interval+o.Delay)), "too little rest")
			require.True(t, rested.IsZero() || o.Interval > 0)
			require.True(t, o.MaxSteps == 0 || step < o.MaxSteps)
			rested = w.now
			if r.IntN(4) == 0 {
				return false
			}
			steps++
			return true
		}
		at := time.Duration(0)
		w.step(Begin)
		since = w.now
		for range 100 {
			at += time.Duration(r.IntN(int(delay)+int(interval)+10)) * ms
			w.run(at)
			e := []Event{AgentBusy, AgentIdle, UserSpeaks, UserSilent, Progress, Fired, Begin, Ended}[r.IntN(8)]
			if e == Ended && r.IntN(20) > 0 || e <= AgentIdle && !w.quiet.IsZero() {
				continue // the agent is busy with the filler
			}
			if e == AgentBusy || e == UserSpeaks || e == Progress || e == AgentIdle && busy || e == UserSilent && talk {
				since = w.now
			}
			switch e {
			case AgentBusy, AgentIdle:
				busy = e == AgentBusy
			case UserSpeaks, UserSilent:
				talk = e == UserSpeaks
			case Ended:
				ended = true
			}
			w.step(e)
			require.Equal(t, w.m.state == done, w.done)
			require.False(t, w.done && !w.timer.IsZero(), "a timer is left")
		}
	})
}
