package agents_test

import (
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/parley-voice/agents"
	"github.com/parley-voice/agents/agenttest"
)

// An oddRealtime is a model that breaks the rules: what is set takes the place of what the model would do.
type oddRealtime struct {
	*agenttest.Realtime
	session  func(context.Context) (agents.RealtimeSession, error)
	recv     func() (agents.RealtimeEvent, error)
	generate func() error
	send     func() error
}

func (o *oddRealtime) Session(ctx context.Context, opts agents.RealtimeOptions) (agents.RealtimeSession, error) {
	if o.session != nil {
		return o.session(ctx)
	}
	s, err := o.Realtime.Session(ctx, opts)
	return &oddSession{s, o}, err
}

type oddSession struct {
	agents.RealtimeSession
	o *oddRealtime
}

func (s *oddSession) Recv() (agents.RealtimeEvent, error) {
	if s.o.recv != nil {
		return s.o.recv()
	}
	return s.RealtimeSession.Recv()
}

func (s *oddSession) Generate(r agents.RealtimeRequest) error {
	if s.o.generate != nil {
		return s.o.generate()
	}
	return s.RealtimeSession.Generate(r)
}

func (s *oddSession) SendAudio(f agents.AudioFrame) error {
	if s.o.send != nil {
		return s.o.send()
	}
	return s.RealtimeSession.SendAudio(f)
}

// A member may hang, panic or fail wherever it is called: the next one takes over.
func TestFallbackRealtimeOddMembers(t *testing.T) {
	for _, test := range []struct {
		name string
		odd  func(o *oddRealtime, end <-chan struct{})
		want []string // before the response of b; nil if the session began with b
		at   int
	}{
		{"hangs in Session", func(o *oddRealtime, end <-chan struct{}) {
			o.session = func(context.Context) (agents.RealtimeSession, error) { <-end; return nil, errGone }
		}, nil, 0},
		{"panics in Session", func(o *oddRealtime, _ <-chan struct{}) {
			o.session = func(context.Context) (agents.RealtimeSession, error) { panic("odd") }
		}, nil, 0},
		{"panics in Recv", func(o *oddRealtime, _ <-chan struct{}) {
			o.recv = func() (agents.RealtimeEvent, error) { panic("odd") }
		},
			[]string{`0 problem of "": agents: panic in realtime model: odd`, "0 swapped true, regenerate true"}, 0},
		{"ends early", func(o *oddRealtime, _ <-chan struct{}) {
			o.recv = func() (agents.RealtimeEvent, error) { return nil, io.EOF }
		},
			[]string{`0 problem of "": realtime: converse: session ended early: connection failed`, "0 swapped true, regenerate true"}, 0},
		{"hangs in Recv", func(o *oddRealtime, end <-chan struct{}) {
			o.recv = func() (agents.RealtimeEvent, error) { <-end; return nil, errGone }
		}, []string{`5000 problem of "": agenttest: converse: nothing useful for 5s: timed out`, "5000 swapped true, regenerate false"}, 5000},
		{"panics in Generate", func(o *oddRealtime, _ <-chan struct{}) { o.generate = func() error { panic("odd") } },
			[]string{`100 problem of "": agents: panic in realtime model: odd`, "100 swapped true, regenerate false"}, 100},
		{"fails in Generate", func(o *oddRealtime, _ <-chan struct{}) { o.generate = func() error { return errGone } },
			[]string{`100 problem of "": gone`, "100 swapped true, regenerate false"}, 100},
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				end := make(chan struct{})
				t.Cleanup(func() { close(end) })
				o := &oddRealtime{Realtime: realtimeNamed(t, "a", agenttest.Any().Turn().Ignore().Always())}
				test.odd(o, end)
				b := realtimeNamed(t, "b", hello)
				begin := time.Now()
				s := tapeRealtime(t, fallbackOf(t, agents.RealtimeFallbackOptions{}, o, b), agents.RealtimeOptions{})
				if test.name == "hangs in Session" {
					require.Equal(t, 5*second, time.Since(begin))
				}
				if test.at == 0 {
					synctest.Wait() // for the swap, if there is one
				}
				s.ask(t, "x")
				time.Sleep(20 * second)
				s.want(t, append(test.want, helloOf(test.at, "b1", "x")...)...)
			})
		})
	}
}

// What leaves a session as it was is for its caller to know.
func TestFallbackRealtimeBacklog(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := &oddRealtime{Realtime: realtimeNamed(t, "a", agenttest.Any().Turn().Ignore().Always())}
		s := tapeRealtime(t, fallbackOf(t, agents.RealtimeFallbackOptions{}, o), agents.RealtimeOptions{})
		o.send = func() error { return agents.ErrBacklog }
		o.generate = o.send
		require.ErrorIs(t, s.SendAudio(agents.Silence(second, 16000, 1)), agents.ErrBacklog)
		require.ErrorIs(t, s.Generate(agents.RealtimeRequest{ID: "x"}), agents.ErrBacklog)
		o.generate = nil
		for i := range 64 {
			s.ask(t, fmt.Sprint(i))
		}
		require.ErrorIs(t, s.Generate(agents.RealtimeRequest{ID: "y"}), agents.ErrBacklog)
		s.want(t)
	})
}

// While the receiver is slow, nothing more is taken from the member, and that is not the member's failure.
func TestFallbackRealtimeSlowReceiver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := realtimeNamed(t, "a", agenttest.Any().Turn().Speak("Hello.", 20*second).Speed(1000))
		s, err := fallbackOf(t, agents.RealtimeFallbackOptions{}, a, realtimeNamed(t, "b")).Session(t.Context(), agents.RealtimeOptions{})
		require.NoError(t, err)
		require.NoError(t, s.Generate(agents.RealtimeRequest{ID: "x"}))
		time.Sleep(time.Hour)
		audio := time.Duration(0)
		for {
			ev, err := s.Recv()
			require.NoError(t, err)
			if a, ok := ev.(*agents.RealtimeMessageAudio); ok {
				audio += a.Frame.Duration()
			}
			if d, ok := ev.(*agents.RealtimeResponseDone); ok {
				require.Equal(t, agents.RealtimeResponseDone{ResponseID: "a1_resp1"}, *d)
				break
			}
		}
		require.Equal(t, 20*second, audio)
		require.NoError(t, s.Close())
		synctest.Wait()
	})
}

// Closed or cancelled during a swap, a session ends at once, and so does that of the member which is being opened.
func TestFallbackRealtimeEndsDuringASwap(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, b := swapping(t, agenttest.RealtimeOptions{})
		time.AfterFunc(500*time.Millisecond, func() { _ = s.Close() })
		kind := "Be kind."
		require.ErrorIs(t, s.Update(t.Context(), agents.RealtimeUpdate{Instructions: &kind}), agents.ErrStreamClosed)
		s.want(t, swapProblem, "500 agents: stream closed")
		time.Sleep(2 * second)
		require.Equal(t, []string{"open"}, b.Asked())
	})
}

// From any number of goroutines, through any number of swaps: every request gets one answer, and every response one end.
func TestFallbackRealtimeConcurrently(t *testing.T) {
	survived := 0
	for seed := range uint64(12) {
		synctest.Test(t, func(t *testing.T) {
			var models []agents.RealtimeModel
			for i, name := range []string{"a", "b", "c"} {
				asked := i
				fourth := agenttest.When(func(agents.ChatRequest) bool { asked++; return asked%4 == 0 }).Turn()
				sixth := agenttest.When(func(agents.ChatRequest) bool { return asked%6 == 0 }).Turn()
				models = append(models, agenttest.NewRealtime(t,
					agenttest.RealtimeOptions{Name: name, ConnectTime: time.Duration(i) * 70 * time.Millisecond, UpdateTime: 30 * time.Millisecond},
					fourth.Speak("Hello there my friend.", second).CutAt(500*time.Millisecond).Always(),
					sixth.CutAt(0).Always(), done))
			}
			f := fallbackOf(t, agents.RealtimeFallbackOptions{Cooldown: agents.Delay(second)}, models...)
			s, err := f.Session(t.Context(), agents.RealtimeOptions{})
			require.NoError(t, err)

			var mu sync.Mutex
			answers, open := map[string]int{}, map[string]int{}
			ended := make(chan error, 1)
			go func() {
				for {
					ev, err := s.Recv()
					if err != nil {
						ended <- err
						return
					}
					mu.Lock()
					switch ev := ev.(type) {
					case *agents.RealtimeResponseStarted:
						answers[ev.RequestID]++
						open[ev.ResponseID]++
					case *agents.RealtimeProblem:
						if ev.RequestID != "" {
							answers[ev.RequestID]++
						}
					case *agents.RealtimeResponseDone:
						open[ev.ResponseID]--
					}
					mu.Unlock()
				}
			}()
			var running sync.WaitGroup
			var ids []string
			for g := range 3 {
				random := rand.New(rand.NewPCG(seed, uint64(g)))
				for n := range 8 {
					ids = append(ids, fmt.Sprintf("%d-%d", g, n))
				}
				running.Go(func() {
					for n := range 8 {
						time.Sleep(time.Duration(random.IntN(900)) * time.Millisecond)
						if s.Generate(agents.RealtimeRequest{ID: fmt.Sprintf("%d-%d", g, n)}) != nil {
							return // the session failed
						}
						if random.IntN(3) == 0 {
							time.Sleep(time.Duration(random.IntN(400)) * time.Millisecond)
							_ = s.Interrupt()
						}
						text := fmt.Sprint("version ", n)
						_ = s.Update(t.Context(), agents.RealtimeUpdate{Instructions: &text})
						_ = s.SendAudio(agents.Silence(20*time.Millisecond, 16000, 1))
					}
				})
			}
			running.Wait()
			time.Sleep(time.Minute)
			mu.Lock()
			if len(ended) == 0 {
				survived++
				for _, id := range ids {
					require.Equal(t, 1, answers[id], "seed %d: answers to %s", seed, id)
				}
			}
			for id, n := range open {
				require.Zero(t, n, "seed %d: ends of %s", seed, id)
			}
			mu.Unlock()
			require.NoError(t, s.Close())
			synctest.Wait()
		})
	}
	require.Greater(t, survived, 8)
}
