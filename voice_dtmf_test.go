package agents_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/parley-voice/agents"
	"github.com/parley-voice/agents/agenttest"
)

// dtmfKeys returns the keys that the session was told of, as "5 1.2s".
func dtmfKeys(v *agenttest.VoiceSession) []string {
	var out []string
	for _, e := range v.Recorded() {
		if e, ok := e.(*agents.DTMFReceived); ok {
			out = append(out, e.Key.String()+" "+v.Since(e.At).String())
		}
	}
	return out
}

// dtmfErrors returns the errors that were reported, with their sources.
func dtmfErrors(v *agenttest.VoiceSession) []string {
	var out []string
	for _, e := range v.Recorded() {
		if e, ok := e.(*agents.ErrorOccurred); ok {
			out = append(out, e.String())
		}
	}
	return out
}

// A dtmfLog notes what OnDTMF is told, and when.
type dtmfLog struct {
	begin time.Time
	lines []string // of one hook at a time
}

func newDTMFLog() *dtmfLog { return &dtmfLog{begin: time.Now()} }

func (l *dtmfLog) note(who string, key agents.DTMF) {
	l.lines = append(l.lines, fmt.Sprint(who, " ", key, " ", time.Since(l.begin)))
}

// dtmfOptions are the options of a session in which nobody says anything.
func dtmfOptions(t *testing.T) agents.Options {
	return voiceOptions(agenttest.NewLLM(t), agenttest.NewTTS(t))
}

// plugins.md 4.9: the codes of the keys.
func TestKeysOfATelephone(t *testing.T) {
	keys, err := agents.ParseDTMF("0123456789*#ABCDabcd")
	require.NoError(t, err)
	var codes []int
	var text strings.Builder
	for _, k := range keys {
		require.True(t, k.Valid())
		codes = append(codes, k.Code())
		text.WriteString(k.String())
	}
	require.Equal(t, []int{0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 12, 13, 14, 15}, codes)
	require.Equal(t, "0123456789*#ABCDABCD", text.String())
	for text, want := range map[string]string{
		"":    "no keys",
		"12w": `'w' is not a key of a telephone: 0 to 9, *, # and A to D are`,
		"1 2": `' ' is not`,
		"٣":   `'٣' is not`,
	} {
		_, err := agents.ParseDTMF(text)
		require.ErrorContains(t, err, want)
	}
	for _, k := range []agents.DTMF{0, 'a', 'E', 0xff} {
		require.False(t, k.Valid())
		require.Equal(t, -1, k.Code())
		require.Contains(t, k.String(), "DTMF(")
	}
}

// Each key is an event and reaches the agent on the floor, at the moment when it is pressed and in order.
func TestPressedKeysReachTheAgentOnTheFloor(t *testing.T) {
	agenttest.Run(t, func(t *testing.T) {
		log := newDTMFLog()
		back := &agents.Agent{ID: "back", OnDTMF: func(_ context.Context, _ *agents.AgentSession, key agents.DTMF) error {
			log.note("back", key)
			return nil
		}}
		front := &agents.Agent{ID: "front", OnDTMF: func(_ context.Context, s *agents.AgentSession, key agents.DTMF) error {
			log.note("front", key)
			if key == '#' {
				return s.UpdateAgent(back)
			}
			return nil
		}}
		v := agenttest.StartVoice(t, dtmfOptions(t), front, agenttest.ParseVoice(t, "s500 d1# s700 dA*"))
		v.Until(sec(3))
		require.Equal(t, []string{"1 500ms", "# 700ms", "A 1.6s", "* 1.8s"}, dtmfKeys(v), v.Log())
		require.Equal(t, []string{"front 1 500ms", "front # 700ms", "back A 1.6s", "back * 1.8s"}, log.lines)
		require.Empty(t, dtmfErrors(v))
	})
}

// A key's hook ends before the next key's begins; and keys that are pressed while the hook hands over are for the next
// agent, as one who knows the menus dials ahead.
func TestKeysWaitForTheHookOfTheOneBefore(t *testing.T) {
	agenttest.Run(t, func(t *testing.T) {
		log := newDTMFLog()
		back := &agents.Agent{ID: "back", OnDTMF: func(_ context.Context, _ *agents.AgentSession, key agents.DTMF) error {
			log.note("back", key)
			return nil
		}}
		front := &agents.Agent{ID: "front", OnDTMF: func(ctx context.Context, s *agents.AgentSession, key agents.DTMF) error {
			time.Sleep(time.Second)
			log.note("front", key)
			if key == '2' {
				return s.UpdateAgent(back)
			}
			return nil
		}}
		v := agenttest.StartVoice(t, dtmfOptions(t), front, agenttest.ParseVoice(t, "s100 d123"))
		v.Until(sec(4))
		require.Equal(t, []string{"1 100ms", "2 300ms", "3 500ms"}, dtmfKeys(v), v.Log())
		require.Equal(t, []string{"front 1 1.1s", "front 2 2.1s", "back 3 2.1s"}, log.lines)
	})
}

// A task has the keys while it has the floor. The key that completes it is the last of them: those behind it are for
// whoever gets the floor back.
func TestKeysOfATask(t *testing.T) {
	agenttest.Explore(t, 20, func(t *testing.T) {
		log := newDTMFLog()
		a := &agents.Agent{
			ID: "desk",
			OnDTMF: func(_ context.Context, _ *agents.AgentSession, key agents.DTMF) error {
				log.note("desk", key)
				return nil
			},
			OnEnter: func(ctx context.Context, _ *agents.AgentSession) error {
				task := agents.NewTask[agents.DTMF]("Get one key.")
				task.OnDTMF = func(_ context.Context, _ *agents.AgentSession, key agents.DTMF) error {
					log.note("task", key)
					if key == '#' {
						return task.Complete(key)
					}
					return nil
				}
				_, err := task.Run(ctx)
				return err
			},
		}
		v := agenttest.StartVoice(t, dtmfOptions(t), a, agenttest.Voice(agenttest.DTMF(100*ms, "1#2")))
		v.Until(sec(1))
		require.Equal(t, []string{"task 1 100ms", "task # 300ms", "desk 2 500ms"}, log.lines, v.Log())
		require.Empty(t, dtmfErrors(v))
	})
}

// Errors and panics of the hook are reported, and the next key comes all the same.
func TestAFailingKeyHookIsReported(t *testing.T) {
	agenttest.Run(t, func(t *testing.T) {
		log := newDTMFLog()
		a := &agents.Agent{OnDTMF: func(_ context.Context, _ *agents.AgentSession, key agents.DTMF) error {
			log.note("agent", key)
			switch key {
			case '1':
				return errors.New("no such choice")
			case '2':
				panic("oh")
			}
			return nil
		}}
		v := agenttest.StartVoice(t, dtmfOptions(t), a, agenttest.ParseVoice(t, "s100 d123"))
		v.Until(sec(1))
		require.Equal(t, []string{"agent 1 100ms", "agent 2 300ms", "agent 3 500ms"}, log.lines)
		require.Equal(t, []string{"OnDTMF of agent: no such choice", "OnDTMF of agent: agents: panic in OnDTMF of agent: oh"}, dtmfErrors(v))
	})
}

// Of the keys that wait for a hook that hangs, 64 are kept.
func TestKeysThatWaitAreBounded(t *testing.T) {
	agenttest.Run(t, func(t *testing.T) {
		n := 0
		a := &agents.Agent{OnDTMF: func(ctx context.Context, _ *agents.AgentSession, _ agents.DTMF) error {
			if n++; n == 1 {
				time.Sleep(20 * time.Second)
			}
			return nil
		}}
		v := agenttest.StartVoice(t, dtmfOptions(t), a, agenttest.Voice(agenttest.DTMF(0, strings.Repeat("1", 66)+"9")))
		v.Until(sec(21))
		require.Equal(t, 65, n)
		const dropped = "DTMF input: agents: 64 keys wait for OnDTMF, so one more is dropped" // and not which, as it is logged
		require.Equal(t, []string{dropped, dropped}, dtmfErrors(v))
	})
}

// A caller who presses a key is there.
func TestAKeyBringsTheUserBack(t *testing.T) {
	agenttest.Run(t, func(t *testing.T) {
		opts := dtmfOptions(t)
		opts.UserAwayTimeout = agents.Delay(2 * time.Second)
		v := agenttest.StartVoice(t, opts, &agents.Agent{}, agenttest.ParseVoice(t, "s1500 d1 s2800 d2"))
		v.Until(sec(5))
		require.Equal(t, []string{"away 3.5s", "listening 4.5s"}, v.UserStates(), "two seconds after the first key, until the second")
	})
}

// A dtmfSource is an input that returns what it is told to.
type dtmfSource struct {
	keys []agents.DTMF
	err  error
	read int
}

func (s *dtmfSource) ReadDTMF(ctx context.Context) (agents.DTMF, error) {
	if s.read < len(s.keys) {
		s.read++
		return s.keys[s.read-1], nil
	}
	if s.err != nil {
		s.read++
		return 0, s.err
	}
	<-ctx.Done()
	return 0, context.Cause(ctx)
}

// What an input does wrong is reported; its end is not wrong.
func TestFaultsOfTheKeyInput(t *testing.T) {
	for _, c := range []struct {
		name   string
		source *dtmfSource
		want   []string
	}{
		{"no such key", &dtmfSource{keys: []agents.DTMF{'x', '1'}}, []string{"DTMF input: agents: DTMF(120) is not a key of a telephone"}},
		{"broken", &dtmfSource{keys: []agents.DTMF{'1'}, err: errors.New("line dead")}, []string{"DTMF input: line dead"}},
		{"ended", &dtmfSource{keys: []agents.DTMF{'1'}, err: io.EOF}, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			agenttest.Run(t, func(t *testing.T) {
				v := agenttest.StartVoice(t, dtmfOptions(t), &agents.Agent{}, agenttest.Voice(),
					agenttest.Setup{IO: agents.IO{DTMFInput: c.source}})
				v.Until(sec(1))
				require.Equal(t, c.want, dtmfErrors(v))
				require.Equal(t, []string{"1 0s"}, dtmfKeys(v))
			})
		})
	}
}

// Keys are sent with 0.3 s between them, also from one call to the next, and calls do not mix.
func TestSentKeysAreSpacedAndInOrder(t *testing.T) {
	agenttest.Run(t, func(t *testing.T) {
		v := agenttest.StartVoice(t, dtmfOptions(t), &agents.Agent{}, agenttest.Voice())
		v.Until(sec(1))
		ended := make(chan string, 2)
		send := func(keys string) {
			err := v.SendDTMF(t.Context(), keys)
			ended <- fmt.Sprint(keys, " ", v.Since(time.Now()), " ", err)
		}
		go send("12#")
		v.Until(sec(1.1))
		go send("ab")
		v.Until(sec(5))
		require.Equal(t, []string{"1 1s", "2 1.3s", "# 1.6s", "A 1.9s", "B 2.2s"}, v.Keys())
		require.Equal(t, "12# 1.6s <nil>", <-ended)
		require.Equal(t, "ab 2.2s <nil>", <-ended)
		v.Until(sec(6))
		require.NoError(t, v.SendDTMF(t.Context(), "0"))
		require.Equal(t, "0 6s", v.Keys()[5], "nothing to wait for")
	})
}

// A bad text sends nothing; without an output there is an error to test for.
func TestKeysThatCannotBeSent(t *testing.T) {
	agenttest.Run(t, func(t *testing.T) {
		v := agenttest.StartVoice(t, dtmfOptions(t), &agents.Agent{}, agenttest.Voice())
		require.ErrorContains(t, v.SendDTMF(t.Context(), "12x"), `'x' is not a key`)
		require.ErrorContains(t, v.SendDTMF(t.Context(), ""), "no keys")
		gone, cancel := context.WithCancel(t.Context())
		cancel()
		require.ErrorIs(t, v.SendDTMF(gone, "1"), context.Canceled)
		require.Empty(t, v.Keys())

		s := agenttest.Start(t, agents.Options{LLM: agenttest.NewLLM(t)}, &agents.Agent{})
		require.ErrorIs(t, s.SendDTMF(t.Context(), "1"), agents.ErrNoDTMFOutput)
		require.NoError(t, s.Close())
		require.ErrorIs(t, s.SendDTMF(t.Context(), "1"), agents.ErrSessionClosed)
		require.ErrorIs(t, agents.NewSession(agents.Options{}).SendDTMF(t.Context(), "1"), agents.ErrNotStarted)
	})
}

// A call that is given up while it waits for another sends nothing, and one that is being carried out sends no more.
func TestGivingUpToSendKeys(t *testing.T) {
	agenttest.Run(t, func(t *testing.T) {
		v := agenttest.StartVoice(t, dtmfOptions(t), &agents.Agent{}, agenttest.Voice())
		first, giveUpFirst := context.WithCancelCause(t.Context())
		second, giveUpSecond := context.WithCancelCause(t.Context())
		errs := make(chan error, 2)
		go func() { errs <- v.SendDTMF(first, "1111") }()
		v.Until(sec(0.1))
		go func() { errs <- v.SendDTMF(second, "2222") }()
		v.Until(sec(0.2))
		giveUpSecond(errors.New("never mind"))
		require.EqualError(t, <-errs, "never mind")
		require.Equal(t, sec(0.2), v.Since(time.Now()), "at once")
		v.Until(sec(0.4))
		giveUpFirst(errors.New("enough"))
		require.EqualError(t, <-errs, "agents: 2 of 4 keys were sent: enough")
		v.Until(sec(3))
		require.Equal(t, []string{"1 0s", "1 300ms"}, v.Keys())
		require.NoError(t, v.SendDTMF(t.Context(), "3"))
	})
}

// A session that closes sends no more keys, and does not wait for those that are left.
func TestClosingEndsTheKeys(t *testing.T) {
	agenttest.Run(t, func(t *testing.T) {
		asked := 0
		a := &agents.Agent{OnDTMF: func(context.Context, *agents.AgentSession, agents.DTMF) error { asked++; return nil }}
		v := agenttest.StartVoice(t, dtmfOptions(t), a, agenttest.ParseVoice(t, "s400 d1111"))
		errs := make(chan error, 1)
		go func() { errs <- v.SendDTMF(t.Context(), "123456789") }()
		v.Until(sec(0.5))
		require.NoError(t, v.Close())
		require.Equal(t, sec(0.5), v.Since(time.Now()))
		require.ErrorIs(t, <-errs, agents.ErrSessionClosed)
		v.Until(sec(3))
		require.Equal(t, []string{"1 0s", "2 300ms"}, v.Keys())
		require.Equal(t, 1, asked)
		require.Empty(t, dtmfErrors(v), v.Log())
	})
}

// A dtmfSink is an output that does what it is told to.
type dtmfSink func(ctx context.Context, key agents.DTMF) error

func (s dtmfSink) SendDTMF(ctx context.Context, key agents.DTMF) error { return s(ctx, key) }

// An output that hangs does not keep the session from closing, and is not called by anybody else meanwhile.
func TestAKeyOutputThatHangsIsAbandoned(t *testing.T) {
	agenttest.Run(t, func(t *testing.T) {
		release := make(chan struct{})
		defer close(release)
		var called atomic.Int32
		v := agenttest.StartVoice(t, dtmfOptions(t), &agents.Agent{}, agenttest.Voice(), agenttest.Setup{IO: agents.IO{
			DTMFOutput: dtmfSink(func(context.Context, agents.DTMF) error { called.Add(1); <-release; return nil })}})
		errs := make(chan error, 2)
		go func() { errs <- v.SendDTMF(t.Context(), "1") }()
		go func() { errs <- v.SendDTMF(t.Context(), "2") }()
		v.Until(sec(1))
		require.NoError(t, v.Close())
		require.Equal(t, sec(6), v.Since(time.Now()), "the grace period")
		require.ErrorContains(t, <-errs, "did not return in time")
		require.ErrorContains(t, <-errs, "did not return in time")
		require.EqualValues(t, 1, called.Load())
	})
}

// PITFALLS 41, core.md 4.12: the tool presses the keys of its own session, and tells the model how it went.
func TestTheToolThatPressesKeys(t *testing.T) {
	for _, c := range []struct {
		name string
		sink dtmfSink
		want string
	}{
		{"pressed", func(context.Context, agents.DTMF) error { return nil }, "output Pressed: 1 2 #\n"},
		{"line dead", func(_ context.Context, key agents.DTMF) error {
			if key == '2' {
				return errors.New("secret 4711")
			}
			return nil
		}, "output Pressing the keys failed: 1 of 3 were pressed.\n"},
		{"a panic", func(context.Context, agents.DTMF) error { panic("oh") }, "output An internal error occurred\n"},
	} {
		t.Run(c.name, func(t *testing.T) {
			agenttest.Run(t, func(t *testing.T) {
				llm := func() *agenttest.LLM {
					return agenttest.NewLLM(t, agenttest.OnUser("Go.").Call("send_dtmf_events", `{"events":["1","2","#"]}`),
						agenttest.OnOutput("send_dtmf_events").Say("Done."))
				}
				opts := agents.Options{Tools: []agents.Tool{agents.SendDTMFTool()}}
				opts.LLM = llm()
				mine := agenttest.Start(t, opts, &agents.Agent{Tools: []agents.Tool{agents.SendDTMFTool()}},
					agenttest.Setup{IO: agents.IO{DTMFOutput: c.sink}})
				other := agenttest.NewKeypad(agenttest.Voice())
				opts.LLM = agenttest.NewLLM(t)
				agenttest.Start(t, opts, &agents.Agent{}, agenttest.Setup{IO: agents.IO{DTMFOutput: other}})
				mine.User("Go.")
				require.Contains(t, transcript(mine.History()), c.want)
				require.Empty(t, other.Sent())
			})
		})
	}
	agenttest.Run(t, func(t *testing.T) {
		llm := agenttest.NewLLM(t, agenttest.OnUser("Go.").Call("send_dtmf_events", `{"events":["1"]}`),
			agenttest.OnOutput("send_dtmf_events").Call("send_dtmf_events", `{"events":["12"]}`),
			agenttest.OnOutput("send_dtmf_events").Call("send_dtmf_events", `{"events":[]}`),
			agenttest.OnOutput("send_dtmf_events").Say("I cannot."))
		s := agenttest.Start(t, agents.Options{LLM: llm, Tools: []agents.Tool{agents.SendDTMFTool()}}, &agents.Agent{})
		r := s.User("Go.")
		r.NextOutput().Contains("not on a telephone line")
		r.NextOutput().Contains("events")
		r.NextOutput().Contains("No keys were given")
	})
}
