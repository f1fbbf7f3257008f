package agents_test

import (
	"context"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/parley-voice/agents"
	"github.com/parley-voice/agents/agenttest"
)

// What a realtime model says twice, or does not say, looked at closely; and models that go silent.

// oddLine is a session with a model on whose line the test sits, as set says.
func oddLine(t *testing.T, set func(*wiredRealtime), turns ...agenttest.RealtimeTurn) (*wiredRealtime, *agenttest.VoiceSession) {
	model := &wiredRealtime{Realtime: agenttest.NewRealtime(t, agenttest.RealtimeOptions{}, turns...)}
	if set != nil {
		set(model)
	}
	a := &agents.Agent{Tools: []agents.Tool{gives("look", time.Second, "found", nil)}}
	return model, byRealtime(t, model, a)
}

// Each event that comes twice counts once: one speech, one message, one call with one output.
func TestRealtimeEventsThatComeTwice(t *testing.T) {
	agenttest.Run(t, func(t *testing.T) {
		twice := func(_ *wiredSession, e agents.RealtimeEvent) []agents.RealtimeEvent {
			switch e := e.(type) {
			case *agents.RealtimeResponseStarted:
				return []agents.RealtimeEvent{e, &agents.RealtimeResponseStarted{ResponseID: e.ResponseID}}
			case *agents.RealtimeMessageStarted, *agents.RealtimeMessageDone, *agents.RealtimeCall, *agents.RealtimeResponseDone:
				return []agents.RealtimeEvent{e, e}
			}
			return []agents.RealtimeEvent{e}
		}
		_, v := oddLine(t, func(m *wiredRealtime) { m.instead = twice },
			agenttest.OnUser("Hello?").Turn().Speak("One moment.", time.Second).Call("look", `{}`),
			agenttest.OnOutput("look").Turn().Speak("Here.", time.Second))
		require.NoError(t, ends(t, v, v.GenerateReply(ask("Hello?"))))
		v.Until(sec(30))
		require.Equal(t, "user: Hello?\nassistant: One moment.\ncall look\noutput found\nassistant: Here.\n", transcript(v.History()), v.Log())
		require.Equal(t, []string{"1s", "1s"}, v.Playouts())
		require.Equal(t, []string{"listening 0s", "thinking 0s", "speaking 200ms", "thinking 1.2s", "speaking 1.65s", "listening 2.65s"}, v.AgentStates())
		require.Equal(t, 1, eventCount[*agents.SpeechCreated](v))
		require.Equal(t, 1, eventCount[*agents.ToolStarted](v))
		require.Zero(t, eventCount[*agents.ErrorOccurred](v))
	})
}

// A response whose end is never told, because it was lost, holds up the request that follows, and no other.
func TestRealtimeResponseThatNeverEnds(t *testing.T) {
	for _, refused := range []bool{false, true} {
		agenttest.Run(t, func(t *testing.T) {
			lost := func(_ *wiredSession, e agents.RealtimeEvent) []agents.RealtimeEvent {
				if done, ok := e.(*agents.RealtimeResponseDone); ok && done.Cancelled {
					return nil
				}
				return []agents.RealtimeEvent{e}
			}
			model, v := oddLine(t, func(m *wiredRealtime) { m.instead = lost },
				agenttest.OnUser("Hello?").Turn().Speak("A long story indeed.", 8*time.Second),
				agenttest.Any().Turn().Speak("Yes?", time.Second).Always())
			if refused { // it belongs to no request
				v.Until(sec(1))
				model.last().put(&agents.RealtimeResponseStarted{ResponseID: "nobody's", RequestID: "nobody's"})
				require.NoError(t, ends(t, v, v.GenerateReply(ask("Are you there?"))))
			}
			h := v.GenerateReply(ask("Hello?"))
			v.Until(v.Since(time.Now()) + time.Second)
			require.NoError(t, h.Interrupt())
			require.NoError(t, ends(t, v, h))
			for _, late := range []time.Duration{2 * time.Second, 0} {
				begin := time.Now()
				require.NoError(t, ends(t, v, v.GenerateReply(ask("And now?"))))
				require.Equal(t, late+1200*ms, time.Since(begin), v.Log())
			}
		})
	}
}

// A nil item, of a plugin that is not careful, is nothing.
func TestRealtimeItemThatIsNil(t *testing.T) {
	agenttest.Run(t, func(t *testing.T) {
		model, v := oddLine(t, nil, agenttest.OnUser("Hello?").Turn().Speak("Hi.", time.Second))
		v.Until(sec(1))
		model.last().put(&agents.RealtimeItemAdded{}, &agents.RealtimeItemAdded{Item: (*agents.ChatMessage)(nil)})
		require.NoError(t, ends(t, v, v.GenerateReply(ask("Hello?"))))
		require.Equal(t, "user: Hello?\nassistant: Hi.\n", transcript(v.History()))
	})
}

// Row 37 of the pitfalls, LKA#5879: the connection is dead and nobody says so. The reply that finds out fails in time, and
// 2 s later, in which a model that lives would have ended the reply, the conversation goes on in a new session, which
// knows what was said. In mid-answer what was heard stays.
func TestRealtimeSessionDiesSilently(t *testing.T) {
	for _, c := range []struct {
		name   string
		amid   bool
		update bool // the model takes the context in without its provider
		took   time.Duration
		want   string
	}{
		{"before an answer", false, false, 20 * time.Second, ""},
		{"before an answer, and only to requests", false, true, 10 * time.Second, ""},
		{"amid an answer", true, true, 10690 * ms, "assistant: One two three \n"},
	} {
		t.Run(c.name, func(t *testing.T) {
			agenttest.Run(t, func(t *testing.T) {
				var dead atomic.Pointer[wiredSession]
				var count atomic.Int32
				instead := func(s *wiredSession, e agents.RealtimeEvent) []agents.RealtimeEvent {
					if _, ok := e.(*agents.RealtimeMessageAudio); ok && c.amid && count.Add(1) == 100 {
						dead.Store(s)
					}
					if s == dead.Load() {
						return nil
					}
					return []agents.RealtimeEvent{e}
				}
				asked := func(ctx context.Context, m *wiredRealtime, method string) error {
					if method == "Update" && !c.update && len(m.all()) == 1 {
						<-ctx.Done()
						return context.Cause(ctx)
					}
					if method == "Generate" && !c.amid && len(m.all()) == 1 {
						return errLost
					}
					return nil
				}
				model, v := oddLine(t, func(m *wiredRealtime) {
					m.instead = instead
					m.asked = func(ctx context.Context, method string) error { return asked(ctx, m, method) }
				},
					agenttest.OnUser("Hello?").Turn().Timed().Speak("One two three four.", 4*time.Second).Always(),
					agenttest.OnUser("And now?").Turn().Speak("Here again.", time.Second))
				v.Until(0)
				if !c.amid {
					dead.Store(model.last())
				}
				begin := time.Now()
				h := v.GenerateReply(ask("Hello?"))
				require.ErrorIs(t, ends(t, v, h), agents.ErrTimeout)
				require.Equal(t, c.took, time.Since(begin), v.Log())
				v.Until(v.Since(time.Now()) + 2*time.Second)
				require.Len(t, model.Sessions(), 2, v.Log())
				require.Equal(t, 1, eventCount[*agents.RealtimeRestored](v))
				require.Equal(t, "user: Hello?\n"+c.want, transcript(model.Sessions()[1].Context))
				require.NoError(t, ends(t, v, v.GenerateReply(ask("And now?"))))
				require.Equal(t, "user: Hello?\n"+c.want+"user: And now?\nassistant: Here again.\n", transcript(v.History()), v.Log())
				require.Equal(t, 1, strings.Count(strings.Join(model.Asked(), "\n"), "close"), "the dead one was closed")
			})
		})
	}
}

// A model that has gone silent, and is asked again and again in less than the 2 s that it has to end what it was told to
// stop: the second reply that it does not give is enough.
func TestRealtimeSessionDiesAmidRequests(t *testing.T) {
	agenttest.Run(t, func(t *testing.T) {
		var dead atomic.Pointer[wiredSession]
		instead := func(s *wiredSession, e agents.RealtimeEvent) []agents.RealtimeEvent {
			if s == dead.Load() {
				return nil
			}
			return []agents.RealtimeEvent{e}
		}
		model, v := oddLine(t, func(m *wiredRealtime) { m.instead = instead }, agenttest.Any().Turn().Speak("Here again.", time.Second).Always())
		v.Until(0)
		dead.Store(model.last())
		for range 2 {
			require.ErrorIs(t, ends(t, v, v.GenerateReply(ask("Hello?"))), agents.ErrTimeout)
		}
		require.NoError(t, ends(t, v, v.GenerateReply(ask("Hello?"))))
		require.Len(t, model.Sessions(), 2)
		require.Equal(t, 21200*ms, v.Since(time.Now()))
	})
}

// Row 37 of the pitfalls: with a fallback the next model answers in place of one that has gone silent, in mid-call,
// without notice but for the wait, also when that is longer than the session waits for one model.
func TestRealtimeFallbackOfASilentModel(t *testing.T) {
	silent, stuck := agenttest.Any().Turn().Ignore(), agenttest.Any().Turn().Speak("x", time.Second).StallAt(0)
	for _, c := range []struct {
		name   string
		silent []agenttest.RealtimeTurn
		heard  time.Duration
	}{
		{"no response", []agenttest.RealtimeTurn{silent}, 5200 * ms},
		{"a response and no more", []agenttest.RealtimeTurn{stuck}, 5200 * ms},
		{"one after the other", []agenttest.RealtimeTurn{silent, stuck, silent}, 15200 * ms},
	} {
		t.Run(c.name, func(t *testing.T) {
			agenttest.Run(t, func(t *testing.T) {
				var models []agents.RealtimeModel
				for i, turn := range c.silent {
					models = append(models, realtimeNamed(t, string(rune('a'+i)), turn))
				}
				last := realtimeNamed(t, "last", agenttest.OnUser("Hello?").Turn().Speak("Here.", time.Second))
				v := byRealtime(t, fallbackOf(t, agents.RealtimeFallbackOptions{}, append(models, last)...), &agents.Agent{})
				require.NoError(t, ends(t, v, v.GenerateReply(ask("Hello?"))), v.Log())
				require.Equal(t, c.heard, v.Since(v.Speaker.Played()[0].Started))
				require.Equal(t, "user: Hello?\nassistant: Here.\n", transcript(v.History()))
				require.Equal(t, []string{"1s"}, v.Playouts())
			})
		})
	}
}

// A fallback whose first member cannot be reached: the session waits for the second.
func TestRealtimeFallbackWhoseFirstHangs(t *testing.T) {
	agenttest.Run(t, func(t *testing.T) {
		first := agenttest.NewRealtime(t, agenttest.RealtimeOptions{Name: "a", ConnectTime: time.Hour})
		second := realtimeNamed(t, "b", agenttest.OnUser("Hello?").Turn().Speak("Here.", time.Second))
		v := byRealtime(t, fallbackOf(t, agents.RealtimeFallbackOptions{}, first, second), &agents.Agent{})
		require.NoError(t, ends(t, v, v.GenerateReply(ask("Hello?"))), v.Log())
		require.Equal(t, 5200*ms, v.Since(v.Speaker.Played()[0].Started))
		require.Len(t, second.Sessions(), 1)
	})
}
