package agents

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/parley-voice/agents/internal/amd"
	"github.com/parley-voice/agents/internal/turn"
)

// A detection is the loop's side of DetectAnsweringMachine: it tells the machine what happens, and does what the machine
// says. While there is one, no speech begins to play.
type detection struct {
	c       *core
	o       AMDOptions
	llm     LLM
	m       *amd.Machine
	timers  [amd.Timers]*timer
	stop    context.CancelFunc // the model
	done    chan amdEnd        // gets one
	machine bool               // it is one
}

type amdEnd struct {
	result AMDResult
	err    error
}

func (c *core) detectAnsweringMachine(ctx context.Context, by *caller, o AMDOptions) (AMDResult, error) {
	if err := o.validate(); err != nil {
		return AMDResult{}, err
	}
	if ctx.Err() != nil {
		return AMDResult{}, context.Cause(ctx)
	}
	d := &detection{c: c, o: o, done: make(chan amdEnd, 1)}
	var err error
	if e := c.do(by, func() { err = d.begin() }); e != nil || err != nil {
		return AMDResult{}, errors.Join(e, err)
	}
	answered, given := o.Answered, ctx.Done()
	for {
		select {
		case <-answered:
			answered = nil
			_ = c.do(by, func() { d.tell(amd.Answered{}) })
		case <-given:
			given = nil
			cause := context.Cause(ctx)
			_ = c.do(by, func() { d.end(cause) })
		case r := <-d.done: // as also when the session closes
			return r.result, r.err
		}
	}
}

// begin begins to detect.
func (d *detection) begin() error {
	c := d.c
	d.llm = d.o.LLM
	if d.llm == nil {
		d.llm = c.opts.LLM
		if f := c.top(); f != nil {
			d.llm = c.modelsOf(f.agent).llm
		}
	}
	switch {
	case c.closing != nil:
		return ErrSessionClosed
	case c.amd != nil:
		return ErrDetecting
	case c.io.AudioInput == nil:
		return errors.New("agents: answering machine detection needs an audio input")
	case d.llm == nil || d.llm == NoLLM:
		return fmt.Errorf("%w for answering machine detection, neither the agent's nor AMDOptions.LLM", ErrNoLLM)
	}
	c.amd = d
	d.m = amd.New(d.o.settings(c.turns.m.Options().Endpointing.MaxDelay))
	if c.userState == UserSpeaking {
		d.tell(amd.SpeechStart{At: time.Now()})
	}
	if !c.ears.begun.IsZero() {
		d.tell(amd.Audio{})
	}
	if d.o.Answered == nil {
		d.tell(amd.Answered{})
	}
	if c.ears.ended {
		d.tell(amd.Gone{})
	}
	return nil
}

// tell tells the machine what happened, now, and does what it says. A nil detection does nothing.
func (d *detection) tell(e amd.Event) {
	if d == nil || d.c.amd != d {
		return
	}
	for _, effect := range d.m.Step(time.Now(), e) {
		switch e := effect.(type) {
		case amd.SetTimer:
			d.c.unset(d.timers[e.Timer])
			d.timers[e.Timer] = d.c.at(e.At, func() { d.tell(amd.Fired{Timer: e.Timer}) })
		case amd.StopTimer:
			d.c.unset(d.timers[e.Timer])
		case amd.Classify:
			d.ask(e)
		case amd.StopClassifying:
			d.stopAsking()
		case amd.Settled:
			d.settle(AMDResult{
				Category: AMDCategory(e.Category), Reason: AMDReason(e.Reason), Transcript: e.Transcript,
				SpeechDuration: e.Speech, Delay: e.Delay,
			})
		}
	}
}

// userChanged follows the user's state.
func (d *detection) userChanged(before, now UserState, at time.Time) {
	switch {
	case now == UserSpeaking:
		d.tell(amd.SpeechStart{At: at})
	case before == UserSpeaking:
		d.tell(amd.SpeechEnd{At: at})
	}
}

// turnEnds tells of the end of the user's turn, and reports whether nobody is to answer it.
func (d *detection) turnEnds() bool {
	if d == nil {
		return false
	}
	d.tell(amd.EndOfTurn{})
	return d.machine
}

// settle acts on who has picked up.
func (d *detection) settle(r AMDResult) {
	c := d.c
	c.amd = nil
	if d.machine = r.Category.Machine(); d.machine {
		d.dropReplies()
	}
	if r.Category == AMDIVR && d.o.IVRDetection.or(true) {
		c.ivr.begin(c, r.Transcript)
	}
	c.emit(&AnsweringMachineDetected{AMDResult: r})
	d.done <- amdEnd{result: r}
	c.touch()
}

// dropReplies keeps the agent from talking to a machine.
func (d *detection) dropReplies() {
	c := d.c
	c.ignoreTurn(c.turns.m.Transcript() != "")
	if !d.o.InterruptOnMachine.or(true) {
		return
	}
	c.dropPrepared()
	for _, t := range c.turns.ended {
		t.SkipReply = true
	}
	for _, sp := range slices.Clone(c.parked) {
		sp.interrupt()
	}
	_, _ = c.interruptAll(nil, true) // which is not refused
}

// ignoreTurn says whether nobody is to answer the user's turn that goes on.
func (c *core) ignoreTurn(on bool) {
	if c.turns.ignored != on {
		c.turns.ignored = on
		c.tell(turn.AnsweringMachine{Answered: on})
	}
}

// end gives the detection up.
func (d *detection) end(err error) {
	if d == nil || d.c.amd != d {
		return
	}
	d.tell(amd.Close{})
	d.c.amd = nil
	d.done <- amdEnd{err: err}
	d.c.touch()
}
