package cli

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/parley-voice/agents"
	"github.com/parley-voice/agents/livekit"
)

const (
	// greetingTime is how long a pipe waits for the agent to begin to say something of its own accord.
	greetingTime = 200 * time.Millisecond
	// goodbyeTime is what the agent has to finish when a pipe has ended.
	goodbyeTime = 10 * time.Second
)

// console is the command.
func (p *process) console(ctx context.Context, name string, args []string) error {
	s := &settings{dev: true}
	fs := p.flags(name)
	s.logFlags(fs, "warn", "colored")
	text := fs.Bool("text", false, "without microphone and speaker")
	record := fs.Bool("record", false, "write what is heard and a report to "+recordings)
	var want devices
	fs.StringVar(&want.input, "input-device", "", "the microphone: a `number` of -list-devices, or a part of its name")
	fs.StringVar(&want.output, "output-device", "", "the speaker, likewise")
	list := fs.Bool("list-devices", false, "list microphones and speakers, and leave")
	if err := p.parse(fs, args); err != nil {
		return err
	}
	if *list {
		return p.listDevices(ctx)
	}
	devMode()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	if _, err := p.logger(s, "warn", p.stdout); err != nil {
		return err
	}
	d, err := p.openDesk(cancel)
	if err != nil {
		return err
	}
	defer d.close()
	log, err := p.logger(s, "warn", d)
	if err != nil {
		return err
	}
	t := &talk{desk: d, show: newTranscript(d, d.color), stop: cancel, ended: make(chan struct{})}
	t.show.echoed = d.terminal

	o := p.worker(s)
	// There is no server; a client made in a job finds nobody at this address.
	o.URL, o.APIKey, o.APISecret = cmp.Or(o.URL, "ws://console.invalid"), cmp.Or(o.APIKey, "none"), cmp.Or(o.APISecret, "none")
	if o.Logger == nil {
		o.Logger = log
		p.useLogger(log)
	}
	w, err := livekit.NewWorker(o)
	if err != nil {
		return err
	}
	sound, err := p.openSound(ctx, t.show, want, *text, d.terminal)
	if err != nil {
		return err
	}
	defer sound.close()
	io := sound.io
	if *record {
		if t.recording, err = newRecording(&io, o.Logger); err != nil {
			return err
		}
	}
	if d.terminal {
		how := "Type"
		if io.AudioInput != nil {
			how = "Speak, or type"
		}
		t.show.note(how + " what you want to say; Ctrl-C leaves.")
	}
	return t.run(ctx, w, io)
}

// A talk is a conversation at a desk.
type talk struct {
	desk      *desk
	show      *transcript
	stop      func()
	recording *tape
	ended     chan struct{} // closed when the job has
	unwatch   func()        // ends the session's events, for one that never began

	mu      sync.Mutex
	session *agents.AgentSession
	group   sync.WaitGroup // what begin has started
}

// run runs the job until it ends or the user leaves.
func (t *talk) run(ctx context.Context, w *livekit.Worker, io agents.IO) error {
	err := w.RunJob(ctx, livekit.LocalJob{IO: io, OnSession: func(job *livekit.Job, s *agents.AgentSession) {
		t.begin(ctx, job, s)
	}})
	t.mu.Lock()
	s, unwatch := t.session, t.unwatch
	t.mu.Unlock()
	if ctx.Err() != nil {
		err = nil // the user wanted it so
	}
	if s != nil {
		switch failed := s.Wait(); { // the job has closed it
		case errors.Is(failed, agents.ErrNotStarted):
			unwatch()
		case err == nil:
			err = failed
		}
	}
	close(t.ended)
	t.group.Wait()
	if t.recording != nil {
		dir, failed := t.recording.finish(s)
		if failed != nil && err == nil {
			err = failed
		}
		t.show.note("recorded in " + dir)
	}
	return err
}

// begin shows the session, which is about to start, and takes the user's lines to it.
func (t *talk) begin(ctx context.Context, job *livekit.Job, s *agents.AgentSession) {
	watching, cancel := context.WithCancel(context.WithoutCancel(ctx)) // the last event is that it has closed
	t.mu.Lock()
	t.session, t.unwatch = s, cancel
	t.mu.Unlock()
	if t.recording != nil {
		t.recording.begin(job, s)
	}
	events := s.Events(watching)
	t.group.Go(func() {
		defer cancel()
		for e := range events {
			if t.recording != nil {
				t.recording.report.Add(e)
			}
			t.show.event(e)
		}
	})
	t.group.Go(func() {
		ctx, cancel := context.WithCancel(ctx)
		defer cancel()
		t.group.Go(func() {
			select {
			case <-t.ended:
				cancel()
			case <-ctx.Done():
			}
		})
		t.converse(ctx, s)
	})
}

// converse takes the user's lines to the session. A line that is typed while another is being answered interrupts; a pipe
// waits.
func (t *talk) converse(ctx context.Context, s *agents.AgentSession) {
	select {
	case <-t.show.started:
	case <-ctx.Done():
		return
	}
	if !t.desk.terminal {
		t.letGreet(ctx, s)
	}
	var running chan struct{}
	defer func() {
		if running != nil {
			<-running
		}
	}()
	for {
		var line string
		var ok bool
		select {
		case line, ok = <-t.desk.lines:
		case <-ctx.Done():
			return
		}
		switch line = strings.TrimSpace(line); {
		case !ok && t.desk.terminal:
			t.stop()
			return
		case !ok:
			t.goodbye(ctx, s)
			return
		case line == "":
			t.desk.bell()
			continue
		}
		if running != nil {
			_ = s.Interrupt(ctx) // what cannot be interrupted is waited for
			<-running
		}
		running = make(chan struct{})
		go func(done chan struct{}) {
			defer close(done)
			t.turn(ctx, s, line)
		}(running)
		if !t.desk.terminal {
			<-running
		}
	}
}

// turn has the agent answer a line, and returns when what came of that has been shown.
func (t *talk) turn(ctx context.Context, s *agents.AgentSession, line string) {
	t.show.willSay(line)
	defer t.show.didNotSay(line)
	select { // of a run that was not ours
	case <-t.show.runs:
	default:
	}
	run, err := s.Run(ctx, line)
	if run != nil {
		select { // events come later than the end of a run
		case <-t.show.runs:
		case <-ctx.Done():
		}
	}
	var known *agents.ProviderError
	if err != nil && !errors.As(err, &known) && !errors.Is(err, agents.ErrSessionClosed) && ctx.Err() == nil {
		t.show.warn(fmt.Sprint(err))
	}
}

// letGreet waits for what the agent says of its own accord, so that a pipe does not talk at the same time.
func (t *talk) letGreet(ctx context.Context, s *agents.AgentSession) {
	_ = s.WaitForIdle(ctx)
	select {
	case <-time.After(greetingTime):
	case <-ctx.Done():
	}
	_ = s.WaitForIdle(ctx)
}

// goodbye ends the session when a pipe has.
func (t *talk) goodbye(ctx context.Context, s *agents.AgentSession) {
	ctx, cancel := context.WithTimeout(ctx, goodbyeTime)
	defer cancel()
	_ = s.WaitForIdle(ctx)
	_ = s.Shutdown(ctx)
}
