package console

import (
	"context"
	"errors"
	"sync"

	"github.com/parley-voice/agents"
)

// A show writes down a session as it happens, from its events.
type show struct {
	explain func(error) string

	mu      sync.Mutex
	page    *page
	echo    bool   // show the caller's lines, which are not on the screen yet
	silence bool   // show that the caller is silent
	floor   string // who has it
	parents []string
	styles  map[string]style
	speech  string // the one whose text is being written
	handoff *agents.AgentHandoff
	ended   *agents.TaskEnded
	told    map[string]bool       // what was said to be wrong in this turn
	failure *agents.ProviderError // the one that was told last: its event may come after the end of the run
	closed  bool

	finished chan struct{} // the end of a run was reached
}

func newShow(p *page, explain func(error) string) *show {
	return &show{page: p, explain: explain, styles: map[string]style{}, told: map[string]bool{},
		finished: make(chan struct{}, 1)}
}

// event shows an event.
func (s *show) event(e agents.Event) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return
	}
	if _, ok := e.(*agents.RunFinished); ok {
		select { // there is one run at a time, whose caller waits for this, unless it is about to leave
		case s.finished <- struct{}{}:
		default:
		}
		return
	}
	s.settleFloor(e)
	switch e := e.(type) {
	case *agents.ItemAdded:
		s.item(e.Item)
	case *agents.AgentOutput:
		s.output(e)
	case *agents.ToolStarted:
		s.tool("→", e.Call.Name+arguments(e.Call.Arguments), dim)
	case *agents.ToolUpdated:
		s.tool("…", e.Message, dim)
	case *agents.ToolEnded:
		s.toolEnded(e)
	case *agents.UserStateChanged:
		if e.New == agents.UserAway && s.silence {
			s.note("(the session counts the caller as away)")
		}
	case *agents.ErrorOccurred:
		s.problem(e)
	case *agents.Closed:
		s.page.end()
	}
}

func (s *show) item(it agents.ChatItem) {
	switch it := it.(type) {
	case *agents.ChatMessage:
		if it.Role == agents.RoleUser && s.echo {
			s.page.line("caller", bold, it.Text(), plain)
		}
		if it.Interrupted {
			s.note("(interrupted)")
		}
	case *agents.AgentHandoff:
		s.handoff = it // whether a task begins is told by the event that follows
	}
}

// output shows text as it is said. Tools may be called in the middle of it.
func (s *show) output(e *agents.AgentOutput) {
	if e.Final {
		s.page.end()
		s.speech = ""
		return
	}
	if !s.page.open || s.speech != e.SpeechID {
		s.page.begin(s.floor, s.voice(s.floor), plain)
		s.speech = e.SpeechID
	}
	s.page.write(e.Text)
}

func (s *show) voice(id string) style {
	if _, ok := s.styles[id]; !ok {
		s.styles[id] = voices[len(s.styles)%len(voices)]
	}
	return s.styles[id]
}

func (s *show) tool(sign, text string, st style) {
	s.page.end()
	s.page.line("          "+sign, dim, text, st)
}

func (s *show) toolEnded(e *agents.ToolEnded) {
	switch {
	case e.Status == agents.ToolCancelled:
		s.tool("×", e.Name+" was cancelled", dim)
	case e.Status == agents.ToolFailed:
		s.tool("×", e.Name+": "+e.Message, red)
	case e.Message != "":
		s.tool("←", e.Name+": "+e.Message, dim)
	}
}

// settleFloor shows a handoff once it is known what it was: the event that follows it says whether a task began.
func (s *show) settleFloor(e agents.Event) {
	if end, ok := e.(*agents.TaskEnded); ok {
		s.settleHandoff(nil)
		s.ended = end
		return
	}
	start, _ := e.(*agents.TaskStarted)
	s.settleHandoff(start)
}

func (s *show) settleHandoff(start *agents.TaskStarted) {
	h := s.handoff
	if h == nil {
		return
	}
	s.handoff = nil
	s.floor = h.NewAgentID
	n := len(s.parents)
	switch {
	case start != nil:
		s.parents = append(s.parents, h.OldAgentID)
		s.page.rule("task " + start.TaskID)
	case s.ended != nil && n > 0 && s.parents[n-1] == h.NewAgentID:
		s.parents = s.parents[:n-1]
		s.page.rule("task " + s.ended.TaskID + outcome(s.ended.Err) + "; back to " + h.NewAgentID)
	case h.OldAgentID == "":
		s.page.rule(h.NewAgentID + " takes the call")
	default:
		s.parents = nil
		s.page.rule("handoff: " + h.OldAgentID + " → " + h.NewAgentID)
	}
	s.ended = nil
}

func outcome(err error) string {
	if err == nil {
		return " done"
	}
	return " ended without a result"
}

// problem shows what went wrong, once a turn.
func (s *show) problem(e *agents.ErrorOccurred) {
	if errors.Is(e.Err, context.Canceled) || errors.Is(e.Err, agents.ErrSessionClosed) || errors.Is(e.Err, agents.ErrHandedOff) {
		return
	}
	text := s.explain(e.Err)
	if pe, ok := errors.AsType[*agents.ProviderError](e.Err); !ok {
		text = e.Source + ": " + text
	} else if pe == s.failure {
		return
	}
	if e.Recoverable {
		s.tell("", "(trying again: "+text+")", yellow)
		return
	}
	s.tell("problem", text, red)
}

func (s *show) tell(label, text string, st style) {
	if !s.told[text] {
		s.told[text] = true
		s.page.line(label, st, text, st)
	}
}

func (s *show) note(text string) { s.page.line("", plain, text, dim) }

// notes shows what comes from a channel, until it is closed or ctx is done.
func (s *show) notes(ctx context.Context, notes <-chan string) {
	for {
		select {
		case text, ok := <-notes:
			if !ok {
				return
			}
			s.with(func(*page) { s.note(text) })
		case <-ctx.Done():
			return
		}
	}
}

// with runs f, which may write to the page, between events.
func (s *show) with(f func(p *page)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	f(s.page)
}

// newTurn forgets what was said to be wrong.
func (s *show) newTurn() { s.with(func(*page) { clear(s.told) }) }

// failed shows the error of a run, unless it was shown as an event.
func (s *show) failed(err error) {
	if errors.Is(err, context.Canceled) || errors.Is(err, agents.ErrSessionClosed) {
		return
	}
	s.with(func(*page) {
		s.failure, _ = errors.AsType[*agents.ProviderError](err)
		s.tell("problem", s.explain(err), red)
	})
}

// caughtUp waits until what happened in a run has been shown: events come later than the end of a run.
func (s *show) caughtUp(ctx context.Context, run *agents.RunResult) {
	if run == nil {
		return
	}
	select {
	case <-s.finished:
	case <-ctx.Done():
	}
	s.with(func(p *page) {
		s.settleHandoff(nil)
		p.end()
	})
}

// stop ends the show: what still happens is not shown.
func (s *show) stop() {
	s.with(func(p *page) {
		p.end()
		s.closed = true
	})
}
