package practice

import (
	"fmt"
	"strings"
	"sync"

	"github.com/parley-voice/agents"
)

// An office is the practice on the phone: the user data of a session. It has the agents, each of which is made once and
// keeps its memory while others talk, and what is known of the caller. Tools run in parallel, so that it has a lock.
type office struct {
	personas map[string]*agents.Agent // by id; does not change

	mu       sync.Mutex
	previous *agents.Agent // who hands over, until the next one has taken over
	patient  patient
	route    []string // who had the caller, in order
}

// A patient is what is known of the caller.
type patient struct {
	Name    string
	Concern string
	Message string // to the doctor
	Months  int    // of a payment plan
}

func newOffice() *office {
	o := &office{personas: map[string]*agents.Agent{}}
	for _, a := range []*agents.Agent{newTriage(), newSupport(), newBilling()} {
		a.OnEnter = takeOver(a)
		o.personas[a.ID] = a
	}
	return o
}

// persona returns the agent with an id. There is but one of each.
func (o *office) persona(id string) *agents.Agent { return o.personas[id] }

// leaves notes who hands over.
func (o *office) leaves(a *agents.Agent) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.previous = a
}

// enters notes who has taken over, and returns who handed over: nil at the beginning.
func (o *office) enters(a *agents.Agent) (previous *agents.Agent) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.route = append(o.route, a.ID)
	previous, o.previous = o.previous, nil
	return previous
}

// note changes what is known of the patient.
func (o *office) note(change func(p *patient)) {
	o.mu.Lock()
	defer o.mu.Unlock()
	change(&o.patient)
}

// known returns what is known of the patient.
func (o *office) known() patient {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.patient
}

// String returns what is known, a line for each thing. The agents read it, and it is the report of the call.
func (o *office) String() string {
	p := o.known()
	o.mu.Lock()
	route := strings.Join(o.route, ", ")
	o.mu.Unlock()
	var b strings.Builder
	line := func(name, value string) {
		if value != "" {
			fmt.Fprintf(&b, "%s: %s\n", name, value)
		}
	}
	line("patient", p.Name)
	line("concern", p.Concern)
	line("message to the doctor", p.Message)
	if p.Months > 0 {
		line("payment plan", fmt.Sprintf("%d months", p.Months))
	}
	line("talked to", route)
	return b.String()
}
