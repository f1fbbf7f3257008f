package amd

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// voice.md 3.17: the table of constants, as options.
func defaults() Options {
	return Options{
		HumanSpeech: 2500 * time.Millisecond, HumanSilence: 500 * time.Millisecond, MachineSilence: 1500 * time.Millisecond,
		NoSpeech: 10 * time.Second, Timeout: 20 * time.Second, EndOfTurn: 3 * time.Second, Missing: 5 * time.Second,
		WaitUntilFinished: true,
	}
}

// A moment is an event at a millisecond.
type moment struct {
	at int
	e  Event
}

func at(ms int, e Event) moment { return moment{ms, e} }

var epoch = time.Unix(0, 0)

func clock(ms int) time.Time { return epoch.Add(time.Duration(ms) * time.Millisecond) }

// A call has its events told, and its timers fired when they are due; those of an instant before its events.
type call struct {
	m      *Machine
	now    time.Time
	timers [timers]time.Time
	asked  uint64
	lines  []string
}

func (c *call) tell(now time.Time, e Event) {
	c.now = later(now, c.now)
	at := c.now.Sub(epoch).Milliseconds()
	for _, f := range c.m.Step(c.now, e) {
		switch f := f.(type) {
		case SetTimer:
			c.timers[f.Timer] = f.At
		case StopTimer:
			c.timers[f.Timer] = time.Time{}
		case Classify:
			c.asked = f.ID
			line := fmt.Sprintf("%d ask %q", at, f.Transcript)
			if !f.May {
				line += " now"
			}
			c.lines = append(c.lines, line)
		case StopClassifying:
			c.asked = 0
			c.lines = append(c.lines, fmt.Sprintf("%d stop asking", at))
		case Settled:
			c.lines = append(c.lines, fmt.Sprintf("%d %s %s %q %s after %s", at, f.Category, f.Reason, f.Transcript, f.Speech, f.Delay))
		}
	}
}

// due fires the timers up to a moment.
func (c *call) due(until time.Time) {
	for {
		next := -1
		for t, at := range c.timers {
			if !at.IsZero() && !at.After(until) && (next < 0 || at.Before(c.timers[next])) {
				next = t
			}
		}
		if next < 0 {
			return
		}
		when := c.timers[next]
		c.timers[next] = time.Time{}
		c.tell(when, Fired{Timer: Timer(next)})
	}
}

// judge plays a call that is answered, with audio, at 0, and returns what was done. An ID of zero is the last question's.
func judge(o Options, moments ...moment) string {
	c := &call{m: New(o)}
	for _, x := range append([]moment{at(0, Audio{}), at(0, Answered{})}, moments...) {
		c.play(x)
	}
	c.due(clock(1_000_000))
	return strings.Join(c.lines, "\n")
}

func (c *call) play(x moment) {
	now := clock(x.at)
	c.due(now)
	switch e := x.e.(type) {
	case SpeechStart:
		if e.At.IsZero() {
			e.At = now
		}
		x.e = e
	case SpeechEnd:
		if e.At.IsZero() {
			e.At = now
		}
		x.e = e
	case Judged:
		if e.ID == 0 {
			e.ID = c.asked
		}
		x.e = e
	case Postponed:
		if e.ID == 0 {
			e.ID = c.asked
		}
		x.e = e
	case Failed:
		if e.ID == 0 {
			e.ID = c.asked
		}
		x.e = e
	}
	c.tell(now, x.e)
}

// sounds is sound from one moment to another, the end of which is noticed 250 ms later.
func sounds(from, to int) []moment {
	return []moment{at(from, SpeechStart{}), at(to+250, SpeechEnd{At: clock(to)})}
}

func script(parts ...any) []moment {
	var out []moment
	for _, p := range parts {
		switch p := p.(type) {
		case moment:
			out = append(out, p)
		case []moment:
			out = append(out, p...)
		}
	}
	slices.SortStableFunc(out, func(a, b moment) int { return a.at - b.at })
	return out
}

func said(ms int, text string) moment     { return at(ms, Transcript{text}) }
func judged(ms int, c Category) moment    { return at(ms, Judged{Category: c}) }
func more(ms int, d time.Duration) moment { return at(ms, Postponed{For: d}) }
func with(change func(*Options)) Options  { o := defaults(); change(&o); return o }
func lines(l ...string) string            { return strings.Join(l, "\n") }
func impatient(o *Options)                { o.WaitUntilFinished = false }
func second(n int) func(*Options) {
	return func(o *Options) { o.EndOfTurn = time.Duration(n) * time.Second }
}

// T122, voice.md 3.17: every clause, to the millisecond.
func TestMachine(t *testing.T) {
	for _, c := range []struct {
		name string
		o    Options
		in   []moment
		want string
	}{
		// Speech ends.
		{"a short greeting is a person's, half a second after it", defaults(), script(sounds(1000, 2000)),
			`2500 human short_greeting "" 1s after 500ms`},
		{"one of exactly the longest length", defaults(), script(sounds(1000, 3500)),
			`4000 human short_greeting "" 2.5s after 500ms`},
		{"one that is longer is not", defaults(), script(sounds(1000, 3501)),
			`20000 uncertain detection_timeout "" 2.501s after 16.499s`},
		{"bursts add up", defaults(), script(sounds(1000, 2500), sounds(2800, 4000)),
			`20000 uncertain detection_timeout "" 2.7s after 16s`},
		{"a silence that is noticed after it is over decides at once", defaults(), script(at(1000, SpeechStart{}), at(2900, SpeechEnd{At: clock(2000)})),
			`2900 human short_greeting "" 1s after 900ms`},
		{"sound in the silence takes it back", defaults(), script(sounds(1000, 2000), sounds(2400, 3000)),
			`3500 human short_greeting "" 1.6s after 500ms`},

		// Transcripts.
		{"a transcript makes a short greeting the model's business", defaults(), script(sounds(1000, 2000), said(2300, "Hello?"), judged(2600, Human)),
			lines(`2300 ask "Hello?"`, `3500 human llm "Hello?" 1s after 1.5s`)},
		{"one that comes before the end of speech", defaults(), script(sounds(1000, 2000), said(1900, "Hello?"), judged(2100, Human)),
			lines(`1900 ask "Hello?"`, `3500 human llm "Hello?" 1s after 1.5s`)},
		{"one without words is none", defaults(), script(sounds(1000, 2000), said(2300, " ")),
			`2500 human short_greeting "" 1s after 500ms`},
		{"the model is asked anew, of everything", defaults(), script(sounds(1000, 4000), said(2000, "You have reached"), said(4200, " Bob. "), judged(4400, Voicemail)),
			lines(`2000 ask "You have reached"`, `4200 ask "You have reached Bob."`, `7000 machine-vm llm "You have reached Bob." 3s after 3s`)},
		{"an answer to an earlier question is none", defaults(), script(sounds(1000, 4000), said(2000, "Hello"), said(4200, "Bob."), at(4300, Judged{ID: 1, Category: Human}), at(4400, Judged{ID: 2, Category: Voicemail})),
			lines(`2000 ask "Hello"`, `4200 ask "Hello Bob."`, `7000 machine-vm llm "Hello Bob." 3s after 3s`)},
		{"what is said later counts more than what was decided", defaults(), script(sounds(1000, 2000), said(2100, "Hello."), judged(2300, Human), sounds(3000, 5000), said(5100, "This is a recording."), judged(5300, Voicemail)),
			lines(`2100 ask "Hello."`, `5100 ask "Hello. This is a recording."`, `8000 machine-vm llm "Hello. This is a recording." 3s after 3s`)},
		{"what was decided waits for the model that knows more", defaults(), script(sounds(1000, 2000), said(2100, "Hello."), judged(2300, Human), said(3400, "Bye."), judged(9000, Voicemail)),
			lines(`2100 ask "Hello."`, `3400 ask "Hello. Bye."`, `9000 machine-vm llm "Hello. Bye." 1s after 7s`)},
		{"and holds when that fails", defaults(), script(sounds(1000, 2000), said(2100, "Hello."), judged(2300, Human), said(3400, "Bye."), at(9000, Failed{})),
			lines(`2100 ask "Hello."`, `3400 ask "Hello. Bye."`, `9000 human llm "Hello. Bye." 1s after 7s`)},
		{"without voice activity a transcript ends the speech", defaults(), script(said(2000, "Hello."), judged(2200, Human)),
			lines(`2000 ask "Hello."`, `3500 human llm "Hello." 0s after 1.5s`)},
		{"and the next one begins the silence anew", defaults(), script(said(2000, "Hello."), judged(2200, Human), said(3000, "Bob here."), judged(3200, Human)),
			lines(`2000 ask "Hello."`, `3000 ask "Hello. Bob here."`, `4500 human llm "Hello. Bob here." 0s after 1.5s`)},

		// Gates.
		{"a person needs silence only", defaults(), script(sounds(1000, 4000), said(4100, "Hello."), judged(4300, Human)),
			lines(`4100 ask "Hello."`, `5500 human llm "Hello." 3s after 1.5s`)},
		{"a person needs silence, whatever the turn", defaults(), script(sounds(1000, 4000), said(4100, "Hello."), judged(4300, Human), at(4400, EndOfTurn{})),
			lines(`4100 ask "Hello."`, `5500 human llm "Hello." 3s after 1.5s`)},
		{"a machine: silence, then the end of turn", defaults(), script(sounds(1000, 4000), said(4100, "Hello."), judged(4300, IVR), at(6000, EndOfTurn{})),
			lines(`4100 ask "Hello."`, `6000 machine-ivr llm "Hello." 3s after 2s`)},
		{"a machine: the end of turn, then silence", defaults(), script(sounds(1000, 4000), said(4100, "Hello."), judged(4300, Unavailable), at(4500, EndOfTurn{})),
			lines(`4100 ask "Hello."`, `5500 machine-unavailable llm "Hello." 3s after 1.5s`)},
		{"a machine: both, then the model", defaults(), script(sounds(1000, 4000), said(4100, "Hello."), at(4500, EndOfTurn{}), judged(6100, Voicemail)),
			lines(`4100 ask "Hello."`, `6100 machine-vm llm "Hello." 3s after 2.1s`)},
		{"the model's uncertainty needs both too", defaults(), script(sounds(1000, 4000), said(4100, "Hello."), judged(4300, Uncertain), at(6000, EndOfTurn{})),
			lines(`4100 ask "Hello."`, `6000 uncertain llm "Hello." 3s after 2s`)},
		{"sound closes both", defaults(), script(sounds(1000, 4000), said(4100, "Hello."), at(4500, EndOfTurn{}), at(5499, SpeechStart{}), judged(5500, Voicemail), at(7000, SpeechEnd{At: clock(6500)}), at(7100, EndOfTurn{})),
			lines(`4100 ask "Hello."`, `8000 machine-vm llm "Hello." 4.001s after 1.5s`)},

		// The end-of-turn timer.
		{"the end of turn comes by itself after the last sound", defaults(), script(sounds(1000, 4000), said(3000, "Hello."), judged(3300, Voicemail)),
			lines(`3000 ask "Hello."`, `7000 machine-vm llm "Hello." 3s after 3s`)},
		{"it is not shorter than the silence", with(second(1)), script(sounds(1000, 4000), said(3000, "Hello."), judged(3300, Voicemail)),
			lines(`3000 ask "Hello."`, `5500 machine-vm llm "Hello." 3s after 1.5s`)},
		{"a transcript puts it off", defaults(), script(sounds(1000, 4000), said(5000, "Hello."), judged(5300, Voicemail)),
			lines(`5000 ask "Hello."`, `8000 machine-vm llm "Hello." 3s after 4s`)},
		{"sound stops it", defaults(), script(sounds(1000, 4000), said(4100, "Hello."), judged(4300, Voicemail), sounds(6900, 8000)),
			lines(`4100 ask "Hello."`, `11000 machine-vm llm "Hello." 4.1s after 3s`)},

		// Fallbacks.
		{"nothing is heard", defaults(), nil, `10000 uncertain no_speech_timeout "" 0s after 10s`},
		{"nothing is heard, and nobody waits", with(impatient), nil, `10000 uncertain no_speech_timeout "" 0s after 10s`},
		{"sound stops that", defaults(), script(at(9999, SpeechStart{}), at(13500, SpeechEnd{})),
			`20000 uncertain detection_timeout "" 3.501s after 6.5s`},
		{"a transcript does", defaults(), script(said(9999, "Hello."), judged(10100, Human)),
			lines(`9999 ask "Hello."`, `11499 human llm "Hello." 0s after 1.5s`)},
		{"the model never answers", defaults(), script(sounds(1000, 4000), said(4100, "Hello."), at(4500, EndOfTurn{})),
			lines(`4100 ask "Hello."`, `20000 stop asking`, `20000 uncertain detection_timeout "Hello." 3s after 16s`)},
		{"the model fails", defaults(), script(sounds(1000, 4000), said(4100, "Hello."), at(4500, EndOfTurn{}), at(4700, Failed{})),
			lines(`4100 ask "Hello."`, `20000 uncertain detection_timeout "Hello." 3s after 16s`)},
		{"one that failed is asked again at the end of speech", defaults(), script(sounds(1000, 4000), said(2000, "Hello."), at(2300, Failed{}), judged(4700, Voicemail)),
			lines(`2000 ask "Hello."`, `4250 ask "Hello."`, `7000 machine-vm llm "Hello." 3s after 3s`)},
		{"the other side goes on: uncertain when it has finished", defaults(), script(sounds(1000, 22000), at(22500, EndOfTurn{})),
			`22500 uncertain detection_timeout "" 21s after 500ms`},
		{"or is silent for as long as a turn takes to end", defaults(), script(sounds(1000, 22000)),
			`25000 uncertain detection_timeout "" 21s after 3s`},
		{"or when nobody waits, at once", with(impatient), script(sounds(1000, 22000)),
			`20000 uncertain detection_timeout "" 19s after 0s`},
		{"or when it never does, half a minute later", defaults(), script(at(1000, SpeechStart{})),
			`50000 uncertain detection_timeout "" 49s after 0s`},
		{"the model may answer meanwhile", defaults(), script(sounds(1000, 22000), said(21900, "Hello."), judged(22300, Voicemail), at(22500, EndOfTurn{})),
			lines(`21900 ask "Hello." now`, `22500 machine-vm llm "Hello." 21s after 500ms`)},
		{"and a person needs silence only", defaults(), script(sounds(1000, 22000), said(21900, "Hello."), judged(22300, Human)),
			lines(`21900 ask "Hello." now`, `23500 human llm "Hello." 21s after 1.5s`)},
		{"what was decided is not replaced", defaults(), script(sounds(1000, 22000), said(15000, "Hello."), judged(15300, Voicemail), at(22500, EndOfTurn{})),
			lines(`15000 ask "Hello."`, `22500 machine-vm llm "Hello." 21s after 500ms`)},
		{"nor when nobody waits", with(impatient), script(sounds(1000, 22000), said(19000, "Hello."), judged(19300, Voicemail)),
			lines(`19000 ask "Hello."`, `20000 machine-vm llm "Hello." 19s after 0s`)},
		{"nor while the model is asked for more", with(impatient), script(sounds(1000, 22000), said(19000, "Hello."), judged(19300, Human), said(19900, "Bob.")),
			lines(`19000 ask "Hello."`, `19900 ask "Hello. Bob."`, `20000 stop asking`, `20000 human llm "Hello. Bob." 19s after 0s`)},
		{"everything has been said when time is up", defaults(), script(sounds(1000, 4000), said(4100, "Hello."), more(4300, 0), at(4500, EndOfTurn{})),
			lines(`4100 ask "Hello."`, `20000 uncertain detection_timeout "Hello." 3s after 16s`)},

		// Postponing.
		{"the model asks for time", defaults(), script(sounds(1000, 2000), said(2100, "One."), more(12100, 10*time.Second)),
			lines(`2100 ask "One."`, `22100 uncertain detection_timeout "One." 1s after 20.1s`)},
		{"at most ten seconds at once", defaults(), script(sounds(1000, 2000), said(2100, "One."), more(19000, time.Minute)),
			lines(`2100 ask "One."`, `29000 uncertain detection_timeout "One." 1s after 27s`)},
		{"it does not make it shorter", defaults(), script(sounds(1000, 2000), said(2100, "One."), more(2300, time.Second)),
			lines(`2100 ask "One."`, `20000 uncertain detection_timeout "One." 1s after 18s`)},
		{"three times", defaults(), script(sounds(1000, 2000), said(2100, "One."), more(2300, 0), said(3000, "Two."), more(3300, 0), said(4000, "Three."), more(4300, 0), said(5000, "Four."), more(15000, 10*time.Second)),
			lines(`2100 ask "One."`, `3000 ask "One. Two."`, `4000 ask "One. Two. Three."`, `5000 ask "One. Two. Three. Four." now`, `20000 uncertain detection_timeout "One. Two. Three. Four." 1s after 18s`)},
		{"it takes back what was decided", defaults(), script(sounds(1000, 2000), said(2100, "Hello."), judged(2300, Human), said(3000, "Please hold."), more(3200, 0)),
			lines(`2100 ask "Hello."`, `3000 ask "Hello. Please hold."`, `20000 uncertain detection_timeout "Hello. Please hold." 1s after 18s`)},
		{"but not when time is up", defaults(), script(sounds(1000, 22000), said(19000, "Hello."), judged(19300, Voicemail), said(21900, "Hold."), more(22300, 10*time.Second), at(22500, EndOfTurn{})),
			lines(`19000 ask "Hello."`, `21900 ask "Hello. Hold." now`, `22500 machine-vm llm "Hello. Hold." 21s after 500ms`)},

		// The other side is gone.
		{"it leaves", defaults(), script(at(3000, Gone{})), `3000 uncertain participant_missing "" 0s after 3s`},
		{"it leaves, and is decided", defaults(), script(sounds(1000, 2000), said(2100, "Hello."), judged(2300, Voicemail), at(2400, Gone{})),
			lines(`2100 ask "Hello."`, `2400 machine-vm llm "Hello." 1s after 400ms`)},

		// Nothing follows.
		{"after the decision", defaults(), script(sounds(1000, 2000), sounds(3000, 4000), said(4100, "Hello."), at(4200, EndOfTurn{}), at(4300, Gone{}), at(4400, Answered{})),
			`2500 human short_greeting "" 1s after 500ms`},
		{"after it was given up", defaults(), script(sounds(1000, 2000), said(2100, "Hello."), at(2200, Close{}), judged(2300, Human), at(2400, Gone{})),
			lines(`2100 ask "Hello."`, `2200 stop asking`)},
	} {
		t.Run(c.name, func(t *testing.T) { require.Equal(t, c.want, judge(c.o, c.in...)) })
	}
}

// T122, voice.md 3.17: nothing counts before the call is answered and there is audio, and no timer runs before but the one
// for audio. Pitfall 42: a telephone that rings is not detected.
func TestListening(t *testing.T) {
	for _, c := range []struct {
		name string
		in   []moment
		want string
	}{
		{"it rings for a minute", script(at(0, Audio{}), at(60_000, Answered{})), `70000 uncertain no_speech_timeout "" 0s after 10s`},
		{"what is heard while it rings does not count", script(at(0, Audio{}), sounds(1000, 2000), said(2100, "Ring."), at(2400, EndOfTurn{}), at(3000, Answered{})),
			`13000 uncertain no_speech_timeout "" 0s after 10s`},
		{"a sound that goes on does, from then on", script(at(0, Audio{}), sounds(1000, 4000), at(3000, Answered{})),
			`4500 human short_greeting "" 1s after 500ms`},
		{"one that ended before does not", script(at(0, Audio{}), at(1000, SpeechStart{}), at(3000, Answered{}), at(3100, SpeechEnd{At: clock(2900)})),
			`3500 human short_greeting "" 0s after 500ms`},
		{"no audio", script(at(1000, Answered{})), `6000 uncertain participant_missing "" 0s after 0s`},
		{"audio comes late", script(at(1000, Answered{}), at(5999, Audio{})), `15999 uncertain no_speech_timeout "" 0s after 10s`},
		{"and is waited for once", script(at(1000, Answered{}), at(3000, Answered{})), `6000 uncertain participant_missing "" 0s after 0s`},
		{"the other side leaves before", script(at(1000, Gone{}), at(2000, Answered{})), `1000 uncertain participant_missing "" 0s after 0s`},
		{"it is given up", script(at(1000, Answered{}), at(2000, Close{})), ``},
	} {
		t.Run(c.name, func(t *testing.T) {
			k := &call{m: New(defaults())}
			for _, x := range c.in {
				k.play(x)
			}
			k.due(clock(1_000_000))
			require.Equal(t, c.want, strings.Join(k.lines, "\n"))
		})
	}
}

// A recogniser that floods does not fill the memory.
func TestLongTranscript(t *testing.T) {
	c := &call{m: New(defaults())}
	c.play(at(0, Audio{}))
	c.play(at(0, Answered{}))
	for range 100 {
		c.play(said(1000, strings.Repeat("a", 1000)))
	}
	require.Less(t, len(c.m.transcript), maxTranscript)
}
