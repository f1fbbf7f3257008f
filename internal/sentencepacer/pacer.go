// Package sentencepacer decides when sentences go to a speech synthesiser, so that little is synthesised for nothing
// when the listener interrupts, and the synthesiser sees much text at once.
//
// The first sentence goes at once. What follows goes when the synthesiser has come to rest and little of its audio is
// left to play, as many sentences at a time as make up a given length.
//
// A [Pacer] is a state machine: it starts no goroutine and reads no clock. Its owner hands it what happens, with the
// time and how much audio there has been so far, and carries out what it returns.
package sentencepacer

import (
	"strings"
	"time"
	"unicode/utf8"
)

// Constants of the pacer.
const (
	DefaultMinRemaining  = 5 * time.Second
	DefaultMaxTextLength = 300

	// CheckInterval is how far apart two looks at the audio are that can tell that it no longer grows.
	CheckInterval = 100 * time.Millisecond
	// BusyWake and IdleWake are how soon the pacer wants to look again while audio is being made, and at least how soon
	// otherwise.
	BusyWake = 200 * time.Millisecond
	IdleWake = 500 * time.Millisecond
	// StallAfter is how long the pacer waits for audio of text that it sent before it sends more regardless.
	StallAfter = 5 * time.Second
)

// Options of a pacer. The zero value holds the defaults.
type Options struct {
	// MinRemaining is how much audio may be left to play when more text goes out. Zero is DefaultMinRemaining.
	MinRemaining time.Duration
	// MaxTextLength is how many characters of text make a batch full; the sentence that fills it is part of it. Zero is
	// DefaultMaxTextLength.
	MaxTextLength int
	// RetainFormat says that the sentences bring the white space between them along. Otherwise a space joins them.
	RetainFormat bool
}

// An Event is what happened.
type Event struct {
	Kind Kind
	// Text is the sentence of a Sentence event.
	Text string
	// Audio is how much audio the synthesiser has delivered in all.
	Audio time.Duration
}

// A Kind of event.
type Kind uint8

// The kinds of events.
const (
	// Sentence brings a sentence to be spoken.
	Sentence Kind = iota
	// Wake is the wake-up asked for, or any other occasion to look.
	Wake
	// Rested says that the synthesiser has finished all text that was sent to it.
	Rested
	// InputEnded says that no sentence will follow.
	InputEnded
	// Closed discards the sentences that wait.
	Closed
)

// Effects is what is to be done.
type Effects struct {
	// Send is text for the synthesiser, if not empty.
	Send string
	// Wake is how long after now the next Wake event is due. It replaces what was asked for before; zero is never.
	Wake time.Duration
	// Done says that nothing will ever be sent again.
	Done bool
}

// A Pacer holds the sentences that wait. It belongs to one goroutine.
type Pacer struct {
	opts    Options
	waiting []string
	ended   bool
	closed  bool
	sent    bool // the first sentence has gone

	firstAudio time.Time // zero before
	lastSend   time.Time
	checked    time.Time
	audio      time.Duration // when it was checked
	started    bool          // audio has grown since text was sent
	stopped    bool          // and no longer does
}

// New returns a pacer.
func New(o Options) *Pacer {
	if o.MinRemaining == 0 {
		o.MinRemaining = DefaultMinRemaining
	}
	if o.MaxTextLength == 0 {
		o.MaxTextLength = DefaultMaxTextLength
	}
	return &Pacer{opts: o}
}

// Step takes an event at a time and returns what is to be done. Time must not go back.
func (p *Pacer) Step(e Event, now time.Time) Effects {
	switch e.Kind {
	case Sentence:
		if !p.ended && !p.closed && e.Text != "" {
			p.waiting = append(p.waiting, e.Text)
		}
	case InputEnded:
		p.ended = true
	case Closed:
		p.closed, p.waiting = true, nil
	}
	if p.done() {
		return Effects{Done: true}
	}
	p.look(e.Audio, now)
	if e.Kind == Rested && p.sent {
		p.stopped, p.checked, p.audio = true, now, e.Audio
	}
	remaining := p.remaining(e.Audio, now)
	var fx Effects
	if len(p.waiting) > 0 && (!p.sent || p.stopped && remaining <= p.opts.MinRemaining) {
		fx.Send = p.batch()
		p.sent, p.started, p.stopped, p.lastSend = true, false, false, now
	}
	if fx.Done = p.done(); !fx.Done && p.sent {
		fx.Wake = p.wake(remaining)
	}
	return fx
}

func (p *Pacer) done() bool { return p.closed || p.ended && len(p.waiting) == 0 }

// look notices whether the audio grows.
func (p *Pacer) look(audio time.Duration, now time.Time) {
	if p.firstAudio.IsZero() && audio > 0 {
		p.firstAudio = now
	}
	if p.checked.IsZero() || now.Sub(p.checked) >= CheckInterval {
		if audio > p.audio {
			p.started, p.stopped = true, false
		} else if p.started {
			p.stopped = true
		}
		p.checked, p.audio = now, audio
	}
	if p.sent && !p.started && now.Sub(p.lastSend) >= StallAfter {
		p.stopped = true
	}
}

// remaining is how much audio is left to play.
func (p *Pacer) remaining(audio time.Duration, now time.Time) time.Duration {
	if p.firstAudio.IsZero() {
		return 0
	}
	return audio - now.Sub(p.firstAudio)
}

func (p *Pacer) batch() string {
	n, length := 0, 0
	for n < len(p.waiting) && (n == 0 || p.sent && length < p.opts.MaxTextLength) {
		length += utf8.RuneCountInString(p.waiting[n])
		n++
	}
	joint := " "
	if p.opts.RetainFormat {
		joint = ""
	}
	text := strings.Join(p.waiting[:n], joint)
	p.waiting = p.waiting[n:]
	return text
}

func (p *Pacer) wake(remaining time.Duration) time.Duration {
	if p.started && !p.stopped {
		return BusyWake
	}
	return max(IdleWake, remaining-p.opts.MinRemaining)
}
