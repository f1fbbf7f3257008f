package agents_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/parley-voice/agents"
	"github.com/parley-voice/agents/agenttest"
)

// A realtimeTape is what a session reports, as text, with the milliseconds since it was begun. Audio and items are left
// out.
type realtimeTape struct {
	agents.RealtimeSession
	begin time.Time
	ended chan struct{}

	mu    sync.Mutex
	lines []string
	audio time.Duration
	items []agents.ChatItem
}

func tapeRealtime(t *testing.T, m agents.RealtimeModel, opts agents.RealtimeOptions) *realtimeTape {
	t.Helper()
	s, err := m.Session(t.Context(), opts)
	require.NoError(t, err)
	tape := &realtimeTape{RealtimeSession: s, begin: time.Now(), ended: make(chan struct{})}
	go func() {
		defer close(tape.ended)
		for {
			ev, err := s.Recv()
			tape.add(ev, err)
			if err != nil {
				return
			}
		}
	}()
	t.Cleanup(func() {
		require.NoError(t, s.Close())
		<-tape.ended
		synctest.Wait()
	})
	return tape
}

func (p *realtimeTape) add(ev agents.RealtimeEvent, err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	text := ""
	switch ev := ev.(type) {
	case *agents.RealtimeMessageAudio:
		p.audio += ev.Frame.Duration()
		return
	case *agents.RealtimeItemAdded:
		p.items = append(p.items, ev.Item)
		return
	case *agents.RealtimeSpeechStarted:
		text = fmt.Sprintf("speech from %v", ev.At)
	case *agents.RealtimeSpeechStopped:
		text = fmt.Sprintf("speech to %v, transcription %v", ev.At, ev.Transcription)
	case *agents.RealtimeTranscript:
		text = fmt.Sprintf("%s heard %q from %v", ev.ItemID, ev.Text, ev.Start)
		if !ev.Final {
			return
		}
	case *agents.RealtimeReconnected:
		text = fmt.Sprintf("swapped %v, regenerate %v", ev.Swapped, ev.Regenerate)
	case *agents.RealtimeUsageReported:
		text = fmt.Sprintf("%s used %d", ev.ResponseID, ev.Usage.TotalTokens)
	case *agents.RealtimeProblem:
		text = fmt.Sprintf("problem of %q: %v", ev.RequestID, ev.Err)
	case *agents.RealtimeResponseStarted:
		text = fmt.Sprintf("%s for %q", ev.ResponseID, ev.RequestID)
	case *agents.RealtimeMessageStarted:
		text = fmt.Sprintf("%s of %s", ev.MessageID, ev.ResponseID)
	case *agents.RealtimeMessageText:
		text = fmt.Sprintf("%s %q", ev.MessageID, ev.Text)
	case *agents.RealtimeMessageDone:
		text = ev.MessageID + " done"
	case *agents.RealtimeCall:
		text = ev.Call.ID + " calls " + ev.Call.Name
	case *agents.RealtimeResponseDone:
		text = fmt.Sprintf("%s done", ev.ResponseID)
		if ev.Cancelled {
			text += ", cancelled"
		}
		if ev.Err != nil {
			text += ": " + ev.Err.Error()
		}
	case nil:
		text = err.Error()
	default:
		text = fmt.Sprintf("%T", ev)
	}
	p.lines = append(p.lines, fmt.Sprintf("%d %s", time.Since(p.begin).Milliseconds(), text))
}

func (p *realtimeTape) want(t *testing.T, want ...string) {
	t.Helper()
	synctest.Wait()
	p.mu.Lock()
	defer p.mu.Unlock()
	require.Equal(t, strings.Join(want, "\n"), strings.Join(p.lines, "\n"))
}

func (p *realtimeTape) ask(t *testing.T, ids ...string) {
	t.Helper()
	for _, id := range ids {
		require.NoError(t, p.Generate(agents.RealtimeRequest{ID: id}))
	}
}

// A realtimeAvailability records the calls of OnAvailability.
type realtimeAvailability struct {
	mu  sync.Mutex
	log []string
}

func (a *realtimeAvailability) hear(i int, _ agents.RealtimeModel, available bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.log = append(a.log, fmt.Sprint(i, " ", available))
}

func (a *realtimeAvailability) all() []string {
	a.mu.Lock()
	defer a.mu.Unlock()
	return slices.Clone(a.log)
}

func fallbackOf(t *testing.T, o agents.RealtimeFallbackOptions, models ...agents.RealtimeModel) *agents.FallbackRealtime {
	t.Helper()
	f, err := agents.NewFallbackRealtime(o, models...)
	require.NoError(t, err)
	return f
}

func realtimeNamed(t *testing.T, name string, turns ...agenttest.RealtimeTurn) *agenttest.Realtime {
	return agenttest.NewRealtime(t, agenttest.RealtimeOptions{Name: name}, turns...)
}

var (
	hello = agenttest.Any().Turn().Speak("Hello there.", time.Second)
	done  = hello.Always()
)

// helloOf is what is reported of a response that says hello, from a time on.
func helloOf(at int, id, request string) []string {
	return []string{
		fmt.Sprintf("%d %s_resp1 for %q", at+200, id, request), fmt.Sprintf("%d %s_msg1 of %s_resp1", at+200, id, id),
		fmt.Sprintf("%d %s_msg1 \"Hello \"", at+200, id), fmt.Sprintf("%d %s_msg1 \"there.\"", at+325, id),
		fmt.Sprintf("%d %s_msg1 done", at+450, id), fmt.Sprintf("%d %s_resp1 done", at+450, id),
	}
}

func TestFallbackRealtimeOptions(t *testing.T) {
	with := func(change func(*agents.RealtimeCapabilities)) agents.RealtimeModel {
		return agenttest.NewRealtime(t, agenttest.RealtimeOptions{Capabilities: change})
	}
	good := with(nil)
	for name, test := range map[string]struct {
		o      agents.RealtimeFallbackOptions
		models []agents.RealtimeModel
	}{
		"no members":             {},
		"nil member":             {models: []agents.RealtimeModel{good, nil}},
		"negative timeout":       {o: agents.RealtimeFallbackOptions{AttemptTimeout: -1}, models: []agents.RealtimeModel{good}},
		"negative cooldown":      {o: agents.RealtimeFallbackOptions{Cooldown: -2}, models: []agents.RealtimeModel{good}},
		"audio output differs":   {models: []agents.RealtimeModel{good, with(func(c *agents.RealtimeCapabilities) { c.AudioOutput = false })}},
		"turn detection differs": {models: []agents.RealtimeModel{good, with(func(c *agents.RealtimeCapabilities) { c.TurnDetection = false })}},
		"rate not possible":      {models: []agents.RealtimeModel{good, with(func(c *agents.RealtimeCapabilities) { c.SampleRate = 12345 })}},
	} {
		_, err := agents.NewFallbackRealtime(test.o, test.models...)
		require.Error(t, err, name)
	}
}

func TestFallbackRealtimeCapabilities(t *testing.T) {
	auto := agenttest.NewRealtime(t, agenttest.RealtimeOptions{Capabilities: func(c *agents.RealtimeCapabilities) {
		*c = agents.RealtimeCapabilities{AudioOutput: true, TurnDetection: true, AutoToolReply: true, Say: true, SampleRate: 24000}
	}})
	f := fallbackOf(t, agents.RealtimeFallbackOptions{}, agenttest.NewRealtime(t, agenttest.RealtimeOptions{}), auto)
	require.Equal(t, agents.RealtimeCapabilities{AudioOutput: true, TurnDetection: true, AutoToolReply: true, Say: true, SampleRate: 24000}, f.Capabilities())
	require.Equal(t, "scripted", f.Model())
	require.Equal(t, "agenttest", f.Provider())
}

// T108: a failure of the first is a problem, and the second goes on.
func TestFallbackRealtimeSwaps(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := realtimeNamed(t, "a", hello.CutAt(400*time.Millisecond))
		b := agenttest.NewRealtime(t, agenttest.RealtimeOptions{Name: "b", ConnectTime: 100 * time.Millisecond}, hello)
		heard := &realtimeAvailability{}
		s := tapeRealtime(t, fallbackOf(t, agents.RealtimeFallbackOptions{OnAvailability: heard.hear}, a, b), agents.RealtimeOptions{})
		s.ask(t, "x")
		time.Sleep(time.Second)
		require.Equal(t, []string{"0 false"}, heard.all())
		s.ask(t, "y")
		time.Sleep(time.Second)
		s.want(t, slices.Concat([]string{`200 a1_resp1 for "x"`, "200 a1_msg1 of a1_resp1", `200 a1_msg1 "Hello "`,
			`300 problem of "": agenttest: converse: connection failed`, "300 a1_msg1 done", "300 a1_resp1 done, cancelled", "400 swapped true, regenerate true"},
			helloOf(1000, "b1", "y"))...)
	})
}

// T108: what is not the end of a session is passed on, and nothing is swapped.
func TestFallbackRealtimeForwardsProblems(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		broke := errors.New("it broke")
		a := realtimeNamed(t, "a", agenttest.Any().Turn().Refuse(broke, "busy"), hello.FailAt(0, broke), agenttest.Any().Turn().Speak("One", time.Second).ReconnectAt(500*time.Millisecond))
		s := tapeRealtime(t, fallbackOf(t, agents.RealtimeFallbackOptions{}, a, realtimeNamed(t, "b")), agents.RealtimeOptions{})
		s.ask(t, "x")
		time.Sleep(time.Second)
		s.ask(t, "y")
		time.Sleep(time.Second)
		s.ask(t, "z")
		time.Sleep(time.Second)
		s.want(t, `0 problem of "x": it broke`, `1200 a1_resp1 for "y"`, "1200 a1_resp1 done: it broke",
			`2200 a1_resp2 for "z"`, "2200 a1_msg1 of a1_resp2", `2200 a1_msg1 "One"`, "2325 a1_msg1 done", "2325 a1_resp2 done, cancelled", "2625 swapped false, regenerate false")
	})
}

// T108: the failure of the last is the session's, and so is that of all in turn.
func TestFallbackRealtimeFails(t *testing.T) {
	t.Run("only one", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			s := tapeRealtime(t, fallbackOf(t, agents.RealtimeFallbackOptions{}, realtimeNamed(t, "a", hello.CutAt(0))), agents.RealtimeOptions{})
			s.ask(t, "x")
			time.Sleep(time.Second)
			s.want(t, "200 fallback: converse: all 1 models failed: connection failed: agenttest: converse: connection failed")
			require.ErrorIs(t, s.Generate(agents.RealtimeRequest{ID: "y"}), agents.ErrConnection)
			require.ErrorIs(t, s.Update(t.Context(), agents.RealtimeUpdate{}), agents.ErrConnection)
			require.ErrorIs(t, s.SendAudio(agents.Silence(time.Millisecond, 16000, 1)), agents.ErrConnection)
		})
	})
	t.Run("each", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			a, b, c := realtimeNamed(t, "a", hello.CutAt(0)), realtimeNamed(t, "b"), realtimeNamed(t, "c", hello.CutAt(0))
			b.Faults(agenttest.Refuse(agenttest.StatusError(503)))
			heard := &realtimeAvailability{}
			s := tapeRealtime(t, fallbackOf(t, agents.RealtimeFallbackOptions{OnAvailability: heard.hear}, a, b, c), agents.RealtimeOptions{})
			s.ask(t, "x")
			time.Sleep(time.Second)
			s.want(t, `200 problem of "": agenttest: converse: connection failed`, `200 problem of "": agenttest: chat: Service Unavailable (503)`,
				"200 swapped true, regenerate false", "400 fallback: converse: all 3 models failed: connection failed: agenttest: converse: connection failed; "+
					"agenttest: chat: Service Unavailable (503); agenttest: converse: connection failed")
			require.Equal(t, []string{"0 false", "1 false", "2 false"}, heard.all())
		})
	})
	t.Run("none can be opened", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			a, b := realtimeNamed(t, "a"), realtimeNamed(t, "b")
			a.Faults(agenttest.Refuse(agenttest.StatusError(400)))
			b.Faults(agenttest.Refuse(agenttest.StatusError(401)))
			heard := &realtimeAvailability{}
			_, err := fallbackOf(t, agents.RealtimeFallbackOptions{OnAvailability: heard.hear}, a, b).Session(t.Context(), agents.RealtimeOptions{})
			var pe *agents.ProviderError
			require.ErrorAs(t, err, &pe)
			require.Equal(t, "fallback", pe.Provider)
			require.False(t, pe.Retryable)
			require.Equal(t, []string{"1 false"}, heard.all(), "a member that refuses the request stays available")
		})
	})
}

// T108: after the cooldown the first is preferred again, and before it is not.
func TestFallbackRealtimeCooldown(t *testing.T) {
	for _, test := range []struct {
		name     string
		cooldown agents.Delay
		after    time.Duration
		want     string
		sessions [3]int
	}{
		{"over", agents.Delay(5 * time.Second), 6 * time.Second, "a2", [3]int{2, 1, 0}},
		{"not over", agents.Delay(5 * time.Second), 4 * time.Second, "c1", [3]int{1, 1, 1}},
		{"10 s by default", 0, 9 * time.Second, "c1", [3]int{1, 1, 1}},
		{"10 s by default, over", 0, 11 * time.Second, "a2", [3]int{2, 1, 0}},
		{"none", agents.Never, time.Second, "a2", [3]int{2, 1, 0}},
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				a := realtimeNamed(t, "a", hello.CutAt(0), done)
				b := realtimeNamed(t, "b", hello, hello.CutAt(0))
				c := realtimeNamed(t, "c", done)
				s := tapeRealtime(t, fallbackOf(t, agents.RealtimeFallbackOptions{Cooldown: test.cooldown}, a, b, c), agents.RealtimeOptions{})
				s.ask(t, "x")
				time.Sleep(test.after - 200*time.Millisecond)
				s.ask(t, "y")
				time.Sleep(time.Second)
				lost := int(test.after / time.Millisecond)
				s.want(t, slices.Concat([]string{`200 problem of "": agenttest: converse: connection failed`, "200 swapped true, regenerate false"}, helloOf(200, "b1", "x"),
					[]string{fmt.Sprintf(`%d problem of "": agenttest: converse: connection failed`, lost), fmt.Sprintf("%d swapped true, regenerate false", lost)},
					helloOf(lost, test.want, "y"))...)
				require.Equal(t, test.sessions, [3]int{len(a.Sessions()), len(b.Sessions()), len(c.Sessions())})
			})
		})
	}
}

// A new session begins with the first member that is available, and one that works is available again.
func TestFallbackRealtimeSharesAvailability(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b := realtimeNamed(t, "a", done), realtimeNamed(t, "b", done)
		a.Faults(agenttest.Refuse(agenttest.StatusError(503)))
		heard := &realtimeAvailability{}
		f := fallbackOf(t, agents.RealtimeFallbackOptions{OnAvailability: heard.hear}, a, b)
		for _, want := range []string{"b1", "b2"} {
			s := tapeRealtime(t, f, agents.RealtimeOptions{})
			s.ask(t, "x")
			time.Sleep(time.Second)
			s.want(t, helloOf(0, want, "x")...)
		}
		time.Sleep(10 * time.Second)
		require.Equal(t, []string{"0 false"}, heard.all())
		s := tapeRealtime(t, f, agents.RealtimeOptions{})
		s.ask(t, "x")
		time.Sleep(time.Second)
		s.want(t, helloOf(0, "a2", "x")...)
		require.Equal(t, []string{"0 false", "0 true"}, heard.all())
	})
}

// T108: what the receiver is to do after a swap. Whether it was speaking or thinking is for it to know.
func TestFallbackRealtimeRegenerates(t *testing.T) {
	listening := func(*testing.T, *realtimeTape) {}
	asked := func(t *testing.T, s *realtimeTape) { s.ask(t, "x") }
	interrupted := func(t *testing.T, s *realtimeTape) {
		s.ask(t, "x")
		require.NoError(t, s.Interrupt())
	}
	broken := `problem of "": agenttest: converse: connection failed`
	begun := []string{`200 a1_resp1 for "x"`, "200 a1_msg1 of a1_resp1", `200 a1_msg1 "Hello "`}
	ended := []string{"1000 a1_msg1 done", "1000 a1_resp1 done, cancelled"}
	for _, test := range []struct {
		name       string
		regenerate agents.Toggle
		turns      []agenttest.RealtimeTurn
		do         func(*testing.T, *realtimeTape)
		want       []string
	}{
		{"listening", 0, nil, listening, []string{"1000 " + broken, "1000 swapped true, regenerate true"}},
		{"option off", agents.Off, nil, listening, []string{"1000 " + broken, "1000 swapped true, regenerate false"}},
		{"speaking", 0, []agenttest.RealtimeTurn{hello.StallAt(500 * time.Millisecond)}, asked,
			slices.Concat(begun, []string{"1000 " + broken}, ended, []string{"1000 swapped true, regenerate true"})},
		{"speaking, option off", agents.Off, []agenttest.RealtimeTurn{hello.StallAt(500 * time.Millisecond)}, asked,
			slices.Concat(begun, []string{"1000 " + broken}, ended, []string{"1000 swapped true, regenerate false"})},
		{"asked, and nothing came", 0, []agenttest.RealtimeTurn{hello.StallAt(0)}, asked,
			slices.Concat([]string{"1000 " + broken, "1000 swapped true, regenerate false"}, helloOf(1000, "b1", "x"))},
		{"asked, and nothing came, option off", agents.Off, []agenttest.RealtimeTurn{agenttest.Any().Turn().Ignore()}, asked,
			slices.Concat([]string{"1000 " + broken, "1000 swapped true, regenerate false"}, helloOf(1000, "b1", "x"))},
		{"asked, interrupted and nothing came", 0, []agenttest.RealtimeTurn{agenttest.Any().Turn().Ignore()}, interrupted,
			[]string{"1000 " + broken, `1000 fallback_1 for "x"`, "1000 fallback_1 done, cancelled", "1000 swapped true, regenerate true"}},
		{"interrupted, and the end did not come", 0, []agenttest.RealtimeTurn{hello.StallAt(0).Lag(time.Minute)}, interrupted,
			[]string{"1000 " + broken, `1000 a1_resp1 for "x"`, "1000 a1_resp1 done, cancelled", "1000 swapped true, regenerate true"}},
		{"a tool runs", 0, []agenttest.RealtimeTurn{agenttest.Any().Turn().Call("look", "{}")}, asked,
			[]string{`200 a1_resp1 for "x"`, "200 a1_call1 calls look", "200 a1_resp1 done", "1000 " + broken, "1000 swapped true, regenerate false"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				a, b := realtimeNamed(t, "a", test.turns...), realtimeNamed(t, "b", done)
				a.Faults(agenttest.CutAt(time.Second))
				s := tapeRealtime(t, fallbackOf(t, agents.RealtimeFallbackOptions{RegenerateOnSwap: test.regenerate}, a, b), agents.RealtimeOptions{})
				test.do(t, s)
				time.Sleep(time.Second)
				require.NoError(t, s.SendAudio(agents.Silence(time.Second, 16000, 1)))
				time.Sleep(time.Second)
				s.want(t, test.want...)
			})
		})
	}
}

// A member that opens and then says nothing has failed.
func TestFallbackRealtimeDeadline(t *testing.T) {
	timeout := `problem of "": agenttest: converse: nothing useful for 3s: timed out`
	for _, test := range []struct {
		name  string
		turn  agenttest.RealtimeTurn
		stall bool
		want  []string
	}{
		{"nothing at all", agenttest.Any().Turn().Ignore(), false, slices.Concat([]string{"3000 " + timeout, "3000 swapped true, regenerate false"}, helloOf(3000, "b1", "x"))},
		{"only a beginning", hello.StallAt(0), false, slices.Concat([]string{"3000 " + timeout, "3000 swapped true, regenerate false"}, helloOf(3000, "b1", "x"))},
		{"in the middle", hello.StallAt(400 * time.Millisecond), false, []string{`200 a1_resp1 for "x"`, "200 a1_msg1 of a1_resp1", `200 a1_msg1 "Hello "`,
			"3295 " + timeout, "3295 a1_msg1 done", "3295 a1_resp1 done, cancelled", "3295 swapped true, regenerate true"}},
		{"slow but sure", hello.FirstOutput(2999 * time.Millisecond), false, helloOf(2799, "a1", "x")},
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				a, b := realtimeNamed(t, "a", test.turn), realtimeNamed(t, "b", done)
				s := tapeRealtime(t, fallbackOf(t, agents.RealtimeFallbackOptions{AttemptTimeout: 3 * time.Second}, a, b), agents.RealtimeOptions{})
				time.Sleep(time.Minute) // in which nothing was asked
				s.begin = time.Now()
				s.ask(t, "x")
				time.Sleep(10 * time.Second)
				s.want(t, test.want...)
			})
		})
	}
}

// A model that takes turns may wait for the user, and a call of a response may take long.
func TestFallbackRealtimeDeadlineWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		voice := agenttest.Voice(agenttest.Speech(100*time.Millisecond, 20*time.Second, "I am talking"), agenttest.Silence(20*time.Second, 22*time.Second))
		a := agenttest.NewRealtime(t, agenttest.RealtimeOptions{Name: "a", Voice: voice},
			agenttest.OnUser("I am talking").Turn().Speak("Hello there.", time.Second), agenttest.Any().Turn().Ignore())
		s := tapeRealtime(t, fallbackOf(t, agents.RealtimeFallbackOptions{AttemptTimeout: 3 * time.Second}, a, realtimeNamed(t, "b")), agents.RealtimeOptions{})
		mic := agenttest.NewMic(voice)
		for at := time.Duration(0); at < 21*time.Second; at += 20 * time.Millisecond {
			f, err := mic.ReadFrame(t.Context())
			require.NoError(t, err)
			require.NoError(t, s.SendAudio(f))
			if at == time.Second {
				s.ask(t, "ignored while the user speaks")
			}
		}
		time.Sleep(500 * time.Millisecond)
		s.want(t, slices.Concat([]string{"160 speech from 100ms", "20500 speech to 20s, transcription true", `20500 a1_user1 heard "I am talking" from 100ms`}, helloOf(20500, "a1", ""))...)
	})
}

var errGone = errors.New("gone")

func TestFallbackRealtimeEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := realtimeNamed(t, "a", done)
		f := fallbackOf(t, agents.RealtimeFallbackOptions{}, a, realtimeNamed(t, "b"))
		s := tapeRealtime(t, f, agents.RealtimeOptions{})
		s.ask(t, "x")
		time.AfterFunc(300*time.Millisecond, func() { _ = s.Close() })
		<-s.ended
		s.want(t, `200 a1_resp1 for "x"`, "200 a1_msg1 of a1_resp1", `200 a1_msg1 "Hello "`, "300 agents: stream closed")
		require.ErrorIs(t, s.Interrupt(), agents.ErrStreamClosed)

		ctx, cancel := context.WithCancelCause(t.Context())
		child, err := f.Session(ctx, agents.RealtimeOptions{})
		require.NoError(t, err)
		time.AfterFunc(time.Second, func() { cancel(errGone) })
		_, err = child.Recv()
		require.Equal(t, errGone, err)
		require.Equal(t, errGone, child.Generate(agents.RealtimeRequest{ID: "x"}))
		require.NoError(t, child.Close())
		synctest.Wait()
		_, err = f.Session(ctx, agents.RealtimeOptions{})
		require.Equal(t, errGone, err)
	})
}
