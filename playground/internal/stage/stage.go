// Package stage runs the examples in rooms: a job names one, and a session of it begins there, with models that are at
// hand and with what happens beside the talk sent to the page.
package stage

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"time"

	agents "github.com/parley-voice/agents"
	"github.com/parley-voice/agents/examples/catalog"
	"github.com/parley-voice/agents/livekit"
)

// A Stage has the examples and their models. It is safe for concurrent use.
type Stage struct {
	programs []catalog.Program
	models   Models
}

// New returns a stage with these models.
func New(m Models) (*Stage, error) {
	programs, err := catalog.Programs()
	if err != nil {
		return nil, err
	}
	return &Stage{programs, m}, nil
}

// An Example is what the page shows of one.
type Example struct {
	ID    string   `json:"id"`
	Title string   `json:"title"`
	About string   `json:"about"`
	Say   []string `json:"say"` // what it understands, or what there is to begin with
}

var titles = map[string]string{
	"support": "Help line", "restaurant": "Restaurant", "frontdesk": "Front desk", "triage": "Doctor's practice",
	"drivethru": "Drive-thru", "survey": "Job screening",
}

// Examples returns what there is to choose from.
func (s *Stage) Examples() []Example {
	var all []Example
	for _, p := range s.programs {
		title := titles[p.Name]
		if title == "" {
			title = p.Name
		}
		all = append(all, Example{p.Name, title, p.About, p.Demo.Lines()})
	}
	return all
}

// Has reports whether there is an example.
func (s *Stage) Has(id string) bool { return s.find(id) != nil }

// Hears reports whether speech is understood, and not only what is typed.
func (s *Stage) Hears() bool { return s.models.STT != nil }

func (s *Stage) find(id string) *catalog.Program {
	i := slices.IndexFunc(s.programs, func(p catalog.Program) bool { return p.Name == id })
	if i < 0 {
		return nil
	}
	return &s.programs[i]
}

// An assignment is the metadata of a job.
type assignment struct {
	Example string `json:"example"`
}

// Assignment returns the metadata of a job that runs an example.
func Assignment(example string) string {
	text, err := json.Marshal(assignment{example})
	if err != nil {
		panic(err) // a string has a JSON form
	}
	return string(text)
}

const (
	// finishing is how long the last events of a call may take to be sent.
	finishing = 2 * time.Second
	// goodbye is how long they then have to arrive, before the room is deleted under them. The page hangs up when it has
	// the last.
	goodbye = 2 * time.Second
)

// Run is the entrypoint of the worker's jobs: it runs the example that the job names until its session ends, and deletes
// the room then.
func (s *Stage) Run(ctx context.Context, job *livekit.Job) error {
	var a assignment
	if err := json.Unmarshal([]byte(job.Metadata()), &a); err != nil {
		return fmt.Errorf("the job's metadata: %w", err)
	}
	program := s.find(a.Example)
	if program == nil {
		return fmt.Errorf("there is no example %q", a.Example)
	}
	if err := job.Connect(ctx, livekit.ConnectOptions{}); err != nil {
		return err
	}

	c := program.New()
	session := agents.NewSession(s.options(c.Options, program))
	report := newReport(c.Notes, c.Summary, sender(job.Room().LocalParticipant, job.Done()))
	events := session.Events(context.WithoutCancel(ctx)) // they end with the session
	reported := make(chan struct{})
	job.Go(func(context.Context) error {
		defer close(reported)
		report.run(events)
		return nil
	})
	job.Go(func(context.Context) error { // which a job waits for before it closes its sessions, and the report for the session
		select {
		case <-job.Done():
			return session.CloseFor(agents.CloseJobShutdown)
		case <-reported:
			return nil
		}
	})
	room := livekit.RoomOptions{DeleteRoom: func(ctx context.Context, _ string) error {
		select {
		case <-reported:
		case <-time.After(finishing):
		}
		select {
		case <-job.Done(): // it is the room, or the worker, that ends
		case <-time.After(goodbye):
		}
		return job.DeleteRoom(ctx)
	}}
	if !s.Hears() {
		room.AudioInput = agents.Off
	}
	if err := job.StartSession(ctx, session, c.First, room); err != nil {
		_ = session.Close()
		return err
	}
	if c.Beside != nil {
		beside, cancel := context.WithCancel(ctx)
		job.Go(func(context.Context) error {
			defer cancel()
			return session.Wait()
		})
		job.Go(func(context.Context) error {
			c.Beside(beside, session)
			return nil
		})
	}
	return nil
}

// options are those of an example's session with the models of the stage.
func (s *Stage) options(o agents.Options, p *catalog.Program) agents.Options {
	o.VAD, o.STT, o.TTS, o.LLM = s.models.VAD, s.models.STT, s.models.TTS, s.models.LLM
	if o.LLM == nil {
		o.LLM = p.Demo.Improvise()
		o.Turn.Preemptive.Enabled = agents.Off // the script remembers how far it is
	}
	return o
}
