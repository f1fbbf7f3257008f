package agents

import (
	"context"
	"iter"
	"runtime"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

type sttNode = func(ctx context.Context, audio iter.Seq[AudioFrame], next STTNodeFunc) iter.Seq2[STTEvent, error]

// passing is a node that changes nothing.
func passing(ctx context.Context, audio iter.Seq[AudioFrame], next STTNodeFunc) iter.Seq2[STTEvent, error] {
	return next(ctx, audio)
}

// deafNode does not read.
func deafNode(ctx context.Context, _ iter.Seq[AudioFrame], _ STTNodeFunc) iter.Seq2[STTEvent, error] {
	return func(func(STTEvent, error) bool) { <-ctx.Done() }
}

// What a node passes on is recognised as without it, failures included.
func TestSTTNodePassesOn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := stt("a", nil, breaksAfter(1500*time.Millisecond, sttDown(), hearsDigits), hearsDigits)
		a.timed = true
		p := startPump(t, sttPumpOptions{stt: a, node: passing, offset: 30 * time.Second, vad: longVAD{}})
		p.say(1, time.Second)
		p.say(0, 400*time.Millisecond)
		p.say(2, time.Second)
		p.say(0, time.Second)
		require.Equal(t, []string{"1", "2"}, p.texts())
		require.Len(t, p.failures(), 2)
		require.Equal(t, 32600*time.Millisecond, p.events()[len(p.events())-1].Transcript.End)
		p.finish()
		synctest.Wait()
		require.NoError(t, p.wait(t.Context()))
		require.Equal(t, "3.4s ended: <nil>", p.log()[len(p.log())-1])
	})
}

// T74: a node that fails as a provider does is run again, with the audio it had not taken.
func TestSTTNodeFails(t *testing.T) {
	for _, c := range []struct {
		name  string
		err   error
		runs  int
		close time.Duration
		want  []string
	}{
		{"as a provider", sttRefusal(503), 2, time.Minute, []string{
			"1s failed for good: " + sttRefusal(503).Error(), "3.18s final 1 [31.001s 32.2s]", "1m0s ended: <nil>"}},
		{"otherwise", errOdd, 1, time.Minute, []string{"1s ended: odd"}},
		{"and is closed", sttRefusal(503), 1, 1200 * time.Millisecond, []string{
			"1s failed for good: " + sttRefusal(503).Error(), "1.2s ended: <nil>"}},
		{"by a cancelling", sttRefusal(StatusClientClosed), 2, time.Minute, []string{"3.18s final 1 [31.001s 32.2s]", "1m0s ended: <nil>"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				a, runs := stt("a", hearsDigits), 0
				node := func(ctx context.Context, audio iter.Seq[AudioFrame], next STTNodeFunc) iter.Seq2[STTEvent, error] {
					if runs++; runs > 1 {
						return finalsOnly(next(ctx, audio))
					}
					return func(yield func(STTEvent, error) bool) {
						time.Sleep(time.Second)
						for range audio {
							yield(STTEvent{}, c.err)
							return
						}
					}
				}
				p := startPump(t, sttPumpOptions{stt: a, node: node, offset: 30 * time.Second})
				a.timed = true
				time.AfterFunc(c.close, p.close)
				p.say(0, time.Second)
				p.say(1, time.Second)
				time.Sleep(time.Second)
				p.say(0, time.Minute)
				require.Equal(t, c.runs, runs)
				require.Equal(t, c.want, p.log())
			})
		})
	}
}

func finalsOnly(events iter.Seq2[STTEvent, error]) iter.Seq2[STTEvent, error] {
	return func(yield func(STTEvent, error) bool) {
		for ev, err := range events {
			if (err != nil || ev.Type == STTFinal) && !yield(ev, err) {
				return
			}
		}
	}
}

// A node need not use the audio, nor the next stage.
func TestSTTNodeEnds(t *testing.T) {
	for _, c := range []struct {
		name string
		node sttNode
		want []string
	}{
		{"with nothing", func(context.Context, iter.Seq[AudioFrame], STTNodeFunc) iter.Seq2[STTEvent, error] { return nil },
			[]string{"0s ended: <nil>"}},
		{"with events of its own", func(context.Context, iter.Seq[AudioFrame], STTNodeFunc) iter.Seq2[STTEvent, error] {
			return func(yield func(STTEvent, error) bool) { yield(final("own", time.Second, 2*time.Second), nil) }
		}, []string{"0s final own [1s 2s]", "0s ended: <nil>"}},
		{"without an STT", passing, []string{"0s ended: " + ErrNoSTT.Error()}},
		{"with a panic", func(context.Context, iter.Seq[AudioFrame], STTNodeFunc) iter.Seq2[STTEvent, error] { panic("odd") },
			[]string{"0s ended: agents: panic in STTNode: odd"}},
		{"with a panic later", func(context.Context, iter.Seq[AudioFrame], STTNodeFunc) iter.Seq2[STTEvent, error] {
			return func(yield func(STTEvent, error) bool) {
				yield(final("own", 0, 0), nil)
				panic("odd")
			}
		}, []string{"0s final own [0s 0s]", "0s ended: agents: panic in STTNode: odd"}},
		{"with its goroutine", func(context.Context, iter.Seq[AudioFrame], STTNodeFunc) iter.Seq2[STTEvent, error] {
			return func(func(STTEvent, error) bool) { runtime.Goexit() }
		}, []string{"0s ended: agents: STTNode called runtime.Goexit"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				p := startPump(t, sttPumpOptions{node: c.node})
				require.Equal(t, c.want, p.log())
				p.say(1, time.Second)
				require.NoError(t, p.wait(t.Context()))
			})
		})
	}
}

// What ends the next stage reaches the node, and a panic of its audio too.
func TestSTTNodeGetsErrors(t *testing.T) {
	for _, c := range []struct {
		name  string
		open  func(ctx context.Context, n int, s *puppetStream) error
		audio iter.Seq[AudioFrame]
		want  string
	}{
		{"of the STT", func(context.Context, int, *puppetStream) error { return errOdd }, nil, "odd"},
		{"of its audio", nil, func(func(AudioFrame) bool) { panic("odd") }, "agents: panic in STTNode: odd"},
		{"of a panicking STT", func(context.Context, int, *puppetStream) error { panic("odd") }, nil, "agents: panic in STT: odd"},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var got error
				p := startPump(t, sttPumpOptions{stt: newPuppet(c.open), node: func(ctx context.Context, audio iter.Seq[AudioFrame], next STTNodeFunc) iter.Seq2[STTEvent, error] {
					return func(yield func(STTEvent, error) bool) {
						if c.audio != nil {
							audio = c.audio
						}
						for _, err := range next(ctx, audio) {
							got = err
						}
						yield(final("instead", 0, 0), nil)
					}
				}})
				require.Equal(t, []string{"0s final instead [0s 0s]", "0s ended: <nil>"}, p.log())
				require.EqualError(t, got, c.want)
			})
		})
	}
}

// The next stage may be used again, and gives up a stream when its events are not wanted any more.
func TestSTTNodeUsesNextAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := stt("a", hearsDigits)
		a.timed = true
		p := startPump(t, sttPumpOptions{stt: a, node: func(ctx context.Context, audio iter.Seq[AudioFrame], next STTNodeFunc) iter.Seq2[STTEvent, error] {
			return func(yield func(STTEvent, error) bool) {
				for {
					for ev := range next(ctx, audio) {
						if ctx.Err() != nil {
							return
						}
						if ev.Type == STTFinal {
							yield(ev, nil)
							break
						}
					}
					if ctx.Err() != nil {
						return
					}
				}
			}
		}})
		for v := range int16(3) {
			p.say(v+1, time.Second)
			p.say(0, time.Second)
		}
		require.Equal(t, []string{"1.18s final 1 [1ms 1.2s]", "3.18s final 2 [2.001s 3.2s]", "5.18s final 3 [4.001s 5.2s]"}, p.log())
		require.Len(t, a.opened(), 4)
		for _, s := range a.opened()[:3] {
			require.Error(t, s.ctx.Err(), "was closed")
		}
	})
}

// Two stages may run at once.
func TestSTTNodeUsesNextTwice(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		stt := newPuppet(nil)
		p := startPump(t, sttPumpOptions{stt: stt, node: func(ctx context.Context, audio iter.Seq[AudioFrame], next STTNodeFunc) iter.Seq2[STTEvent, error] {
			return func(yield func(STTEvent, error) bool) {
				other := make(chan struct{})
				go func() {
					defer close(other)
					for range next(ctx, func(yield func(AudioFrame) bool) {
						yield(tone(9, time.Second))
						<-ctx.Done()
					}) {
					}
				}()
				for ev, err := range next(ctx, audio) {
					if !yield(ev, err) {
						break
					}
				}
				<-other
			}
		}})
		p.say(1, time.Second)
		p.setKeyterms([]string{"a"})
		p.pushItem(message("b"))
		p.flush()
		got := map[string]bool{}
		for n := 1; n <= 2; n++ {
			calls, audio := stt.stream(t, n).got()
			got[audio] = true
			require.Len(t, calls, 3, "both are told")
		}
		require.Equal(t, map[string]bool{"1×1000": true, "9×1000": true}, got)
	})
}

// A node that is slow misses the oldest audio; what follows is where it belongs.
func TestSTTNodeIsSlow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := stt("a", hearsDigits)
		a.timed = true
		p := startPump(t, sttPumpOptions{stt: a, node: func(ctx context.Context, audio iter.Seq[AudioFrame], next STTNodeFunc) iter.Seq2[STTEvent, error] {
			return next(ctx, func(yield func(AudioFrame) bool) {
				n := 0
				for f := range audio {
					if !yield(f) {
						return
					}
					if n++; n == 50 {
						time.Sleep(20*time.Second + 10*time.Millisecond) // not at the moment of a frame
					}
				}
			})
		}})
		p.say(0, 30*time.Second)
		require.Equal(t, 10*time.Second, p.dropped(), "of the 20 s, 10 s are held")
		p.say(1, time.Second)
		p.say(0, time.Second)
		require.Equal(t, []string{"1"}, p.texts())
		require.Equal(t, 30*time.Second+time.Millisecond, p.events()[len(p.events())-1].Transcript.Start)
	})
}

// A consumer of events that is slow does not lose any.
func TestSTTNodeTakesEventsSlowly(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		stt := newPuppet(nil)
		p := startPump(t, sttPumpOptions{stt: stt, node: func(ctx context.Context, audio iter.Seq[AudioFrame], next STTNodeFunc) iter.Seq2[STTEvent, error] {
			return func(yield func(STTEvent, error) bool) {
				for ev, err := range next(ctx, audio) {
					time.Sleep(100 * time.Millisecond)
					if !yield(ev, err) {
						return
					}
				}
			}
		}})
		p.say(1, time.Second)
		for range 500 {
			stt.stream(t, 1).says(STTEvent{Type: STTInterim, Transcript: Transcript{Text: "one"}})
		}
		p.say(2, 70*time.Second)
		p.log()
		require.Len(t, p.events(), 500)
		_, audio := stt.stream(t, 1).got()
		require.Equal(t, "1×1000 2×70000", audio)
		require.Zero(t, p.dropped())
	})
}

// A flush follows the audio that was sent before it through the node.
func TestSTTNodeFlushes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		stt, gate := newPuppet(nil), make(chan struct{})
		p := startPump(t, sttPumpOptions{stt: stt, node: func(ctx context.Context, audio iter.Seq[AudioFrame], next STTNodeFunc) iter.Seq2[STTEvent, error] {
			return next(ctx, func(yield func(AudioFrame) bool) {
				<-gate
				for f := range audio {
					if !yield(f) {
						return
					}
				}
			})
		}})
		p.send(tone(1, 100*time.Millisecond))
		p.send(tone(2, 100*time.Millisecond))
		p.flush()
		p.send(tone(3, 100*time.Millisecond))
		calls, _ := stt.stream(t, 1).got()
		require.Empty(t, calls)
		close(gate)
		calls, audio := stt.stream(t, 1).got()
		require.Equal(t, []string{"flush at 200"}, calls)
		require.Equal(t, "1×100 2×100 3×100", audio)
		p.flush()
		calls, _ = stt.stream(t, 1).got()
		require.Equal(t, []string{"flush at 200", "flush at 300"}, calls)
	})
}

// Closing ends the node's audio, and a node that goes on regardless is waited for, but not listened to.
func TestSTTNodeCloses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		stt, release := newPuppet(nil), make(chan struct{})
		frames, ended := 0, false
		p := startPump(t, sttPumpOptions{stt: stt, node: func(ctx context.Context, audio iter.Seq[AudioFrame], next STTNodeFunc) iter.Seq2[STTEvent, error] {
			return func(yield func(STTEvent, error) bool) {
				for range audio {
					frames++
				}
				ended = true
				<-release
				yield(final("late", 0, 0), nil)
				for ev, err := range next(context.Background(), audio) {
					yield(ev, err)
				}
			}
		}})
		p.say(1, time.Second)
		p.close()
		synctest.Wait()
		require.Equal(t, 50, frames)
		require.True(t, ended)
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		require.ErrorIs(t, p.wait(ctx), context.DeadlineExceeded)
		require.Empty(t, p.log())
		close(release)
		require.NoError(t, p.wait(t.Context()))
		require.Equal(t, []string{"2s ended: <nil>"}, p.log())
		require.Zero(t, stt.opened())
	})
}

// A failure of the next stage is not reported when the node has ended.
func TestSTTNodeEndsBeforeItsStage(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		stt := newPuppet(func(context.Context, int, *puppetStream) error { return sttRefusal(401) })
		stage := make(chan struct{})
		p := startPump(t, sttPumpOptions{stt: stt, node: func(_ context.Context, audio iter.Seq[AudioFrame], next STTNodeFunc) iter.Seq2[STTEvent, error] {
			return func(func(STTEvent, error) bool) {
				go func() {
					defer close(stage)
					for range next(context.Background(), audio) {
					}
				}()
				time.Sleep(700 * time.Millisecond)
			}
		}})
		p.say(1, 3*time.Second)
		<-stage
		refusal := "failed for good: " + sttRefusal(401).Error()
		require.Equal(t, []string{"0s " + refusal, "500ms " + refusal, "700ms ended: <nil>"}, p.log())
	})
}

// Sequences of the next stage that are used when everything is over yield nothing but that.
func TestSTTNodeLeavesNextBehind(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var left iter.Seq2[STTEvent, error]
		stt := newPuppet(nil)
		p := startPump(t, sttPumpOptions{stt: stt, node: func(_ context.Context, audio iter.Seq[AudioFrame], next STTNodeFunc) iter.Seq2[STTEvent, error] {
			left = next(context.Background(), audio)
			return nil
		}})
		require.NoError(t, p.wait(t.Context()))
		for ev, err := range left {
			t.Errorf("got %v, %v", ev, err)
		}
		require.Zero(t, stt.opened())
	})
}

// Only the context that the node gives ends a stage: the node hears why.
func TestSTTNodeCancelsAStage(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		stt := newPuppet(nil)
		var got error
		p := startPump(t, sttPumpOptions{stt: stt, node: func(ctx context.Context, audio iter.Seq[AudioFrame], next STTNodeFunc) iter.Seq2[STTEvent, error] {
			return func(yield func(STTEvent, error) bool) {
				short, cancel := context.WithTimeout(ctx, 1010*time.Millisecond)
				defer cancel()
				for _, err := range next(short, audio) {
					got = err
				}
				for ev, err := range next(ctx, audio) {
					if !yield(ev, err) {
						return
					}
				}
			}
		}})
		p.say(1, 2*time.Second)
		synctest.Wait()
		require.ErrorIs(t, got, context.DeadlineExceeded)
		_, audio := stt.stream(t, 2).got()
		require.Contains(t, []string{"1×980", "1×960"}, audio, "the first may still take one frame")
		require.Empty(t, p.log())
	})
}
