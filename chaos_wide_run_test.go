package agents_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/parley-voice/agents"
	"github.com/parley-voice/agents/agenttest"
)

// converse takes twelve random steps, and returns the user's turns that were accepted.
func (w *wideChaos) converse(s *agenttest.Session) (turns []string) {
	for i := range 12 {
		switch w.n(9) {
		case 0, 1:
			turn := fmt.Sprint("turn ", i)
			if w.keep(s.GenerateReply(agents.Reply{UserInput: turn, Priority: w.priority()})).Err() == nil {
				turns = append(turns, turn)
			}
		case 2:
			s.ForceInterrupt(context.Background())
		case 3:
			w.handOver(s.AgentSession)
		case 4, 5:
			ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
			turn := fmt.Sprint("run ", i)
			if _, err := s.Run(ctx, turn); err == nil {
				turns = append(turns, turn)
			}
			cancel()
		case 6:
			if a, ok := s.CurrentActivity().(*agents.Agent); ok {
				ctx, cancel := context.WithTimeout(context.Background(), w.secs(30)+time.Second)
				w.change(ctx, a, 0)
				cancel()
			}
		case 7:
			w.lock.Lock()
			late := w.late
			w.late = nil
			w.lock.Unlock()
			for _, use := range late {
				go use()
			}
		case 8:
			w.say(s.AgentSession, "said")
		}
		nap(context.Background(), w.secs(4))
	}
	return turns
}

// ends closes the session after a while, in one of the ways there are.
func (w *wideChaos) ends(s *agenttest.Session, cancel context.CancelFunc) {
	after, how := time.Duration(w.n(40))*500*time.Millisecond, w.n(5)
	var over atomic.Bool
	w.t.Cleanup(func() {
		if !over.Load() {
			w.t.Error("the close did not end")
		}
	})
	go func() {
		time.Sleep(after)
		begin, bound := time.Now(), 5*time.Second
		switch how {
		case 0:
			s.Close()
		case 1:
			ctx, stop := context.WithTimeout(context.Background(), 2*time.Second)
			s.Shutdown(ctx)
			stop()
			bound = 7 * time.Second
		case 2:
			s.Shutdown(context.Background())
			bound = 15 * time.Minute // a minute and the grace period for each frame
		case 3:
			go s.Shutdown(context.Background())
			time.Sleep(w.secs(5))
			begin = time.Now()
			s.Close()
		case 4:
			cancel()
			s.Wait()
		}
		if d := time.Since(begin); d > bound {
			w.t.Errorf("close %d took %v", how, d)
		}
		over.Store(true)
	}()
}

// check checks what must hold when the conversation has come to rest.
func (w *wideChaos) check(s *agenttest.Session, turns []string) {
	t := w.t
	w.lock.Lock()
	for _, h := range w.handles {
		select {
		case <-h.Done():
		default:
			t.Fatalf("speech %s is not over\n%s", h.ID(), s.Log())
		}
	}
	w.lock.Unlock()
	checkInvariants(t, s, turns...)
	h := s.History()
	for i := 1; i < h.Len(); i++ {
		require.False(t, h.At(i).Created().Before(h.At(i-1).Created()))
	}
	time.Sleep(10 * time.Minute) // whatever was given up has returned
	for _, set := range w.sets {
		set.mu.Lock()
		if (strictSets && set.wrong != "") || set.ups != set.downs {
			t.Fatalf("toolset %s was set up %d times and closed %d times: %s\n%s", set.ID, set.ups, set.downs, set.wrong, s.Log())
		}
		set.mu.Unlock()
	}
	for _, a := range w.people { // they are free for another session
		a.OnEnter, a.OnExit, a.Tools = nil, nil, nil
		next := agents.NewSession(agents.Options{})
		if err := next.Start(agenttest.Context(t), a, agents.IO{}); err != nil {
			t.Fatalf("%s in another session: %v\n%s", a.ID, err, s.Log())
		}
		require.NoError(t, next.Close())
	}
}

func wide(t *testing.T, seed uint64) {
	w := &wideChaos{t: t, chaosLLM: &chaosLLM{r: rand.New(rand.NewPCG(seed, 2))}}
	ctx, cancel := context.WithCancel(agenttest.Context(t))
	defer cancel()
	s := agenttest.Start(t, w.options(), w.activity(), agenttest.Setup{Context: ctx})
	if w.n(2) == 0 {
		w.ends(s, cancel)
		turns := w.converse(s)
		time.Sleep(20 * time.Minute)
		w.check(s, turns)
		return
	}
	turns := w.converse(s)
	for i := 0; i < 10 && s.Agent() != "last"; i++ { // a tool's own handoff may come after it
		err := s.UpdateAgent(&agents.Agent{ID: "last"})
		if errors.Is(err, agents.ErrSessionClosed) {
			break
		}
		require.NoError(t, err)
		time.Sleep(20 * time.Minute)
		agenttest.Settle(t)
	}
	if s.Agent() != "last" {
		t.Fatalf("the floor is with %q\n%s", s.Agent(), s.Log())
	}
	if st := s.AgentState(); st != agents.AgentListening {
		t.Fatalf("state %s\n%s", st, s.Log())
	}
	idle, stop := context.WithTimeout(context.Background(), time.Hour)
	defer stop()
	if err := s.WaitForIdle(idle); err != nil {
		t.Fatalf("idle: %v\n%s", err, s.Log())
	}
	w.check(s, turns)
}

func TestChaosWide(t *testing.T) {
	for seed := range uint64(chaosRuns()) {
		if !t.Run(fmt.Sprint(seed), func(t *testing.T) { agenttest.Explore(t, 3, func(t *testing.T) { wide(t, seed) }) }) {
			if os.Getenv("GOON") == "" {
				return
			}
		}
	}
}

var strictSets = os.Getenv("STRICT") != ""
