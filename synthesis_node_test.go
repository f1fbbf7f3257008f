package agents_test

import (
	"context"
	"errors"
	"iter"
	"runtime"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/parley-voice/agents"
	"github.com/parley-voice/agents/agenttest"
)

type (
	texts      = iter.Seq[string]
	speech     = iter.Seq2[agents.TTSChunk, error]
	speechNode = func(ctx context.Context, text texts, next agents.TTSNodeFunc) speech
)

// once gives one text.
func once(text string) texts {
	return func(yield func(string) bool) { yield(text) }
}

// audio is a chunk of silence.
func audio(d time.Duration, rate int) agents.TTSChunk {
	return agents.TTSChunk{Frame: agents.Silence(d, rate, 1)}
}

var errNode = errors.New("node")

// The node stands between the transformed text and the TTS, and what it gives is what is heard.
func TestSynthesisThroughANode(t *testing.T) {
	for _, c := range []struct {
		name  string
		node  speechNode
		texts []string // of the TTS
		audio time.Duration
		first time.Duration
		err   error
	}{
		{
			name:  "passes everything on",
			node:  func(ctx context.Context, text texts, next agents.TTSNodeFunc) speech { return next(ctx, text) },
			texts: []string{"Hello there."}, audio: 720 * ms, first: 400 * ms,
		},
		{
			name: "changes the text",
			node: func(ctx context.Context, text texts, next agents.TTSNodeFunc) speech {
				return next(ctx, func(yield func(string) bool) {
					for piece := range text {
						if !yield(strings.ToUpper(piece)) {
							return
						}
					}
				})
			},
			texts: []string{"HELLO THERE."}, audio: 720 * ms, first: 400 * ms,
		},
		{
			name: "begins before the text is complete",
			node: func(ctx context.Context, text texts, next agents.TTSNodeFunc) speech {
				return func(yield func(agents.TTSChunk, error) bool) {
					for piece := range text {
						for chunk, err := range next(ctx, once(piece)) {
							if !yield(chunk, err) {
								return
							}
						}
					}
				}
			},
			texts: []string{"Hello ", "there."}, audio: 720 * ms, first: 300 * ms,
		},
		{
			name: "reads the text in two goes",
			node: func(ctx context.Context, text texts, next agents.TTSNodeFunc) speech {
				for piece := range text {
					text := func(yield func(string) bool) {
						if yield(piece) {
							text(yield)
						}
					}
					return next(ctx, text)
				}
				return nil
			},
			texts: []string{"Hello there."}, audio: 720 * ms, first: 400 * ms,
		},
		{
			name: "needs no TTS",
			node: func(context.Context, texts, agents.TTSNodeFunc) speech {
				return func(yield func(agents.TTSChunk, error) bool) { yield(audio(300*ms, 16000), nil) }
			},
			audio: 300 * ms,
		},
		{
			name: "says nothing",
			node: func(context.Context, texts, agents.TTSNodeFunc) speech { return nil },
		},
		{
			name:  "passes no text on",
			node:  func(ctx context.Context, _ texts, next agents.TTSNodeFunc) speech { return next(ctx, nil) },
			audio: 0,
		},
		{
			name: "passes a context of its own",
			node: func(_ context.Context, text texts, next agents.TTSNodeFunc) speech {
				return next(context.Background(), text)
			},
			texts: []string{"Hello there."}, audio: 720 * ms, first: 400 * ms,
		},
		{
			name: "has enough of it",
			node: func(ctx context.Context, text texts, next agents.TTSNodeFunc) speech {
				return func(yield func(agents.TTSChunk, error) bool) {
					for chunk := range next(ctx, text) {
						yield(chunk, nil)
						return
					}
				}
			},
			texts: []string{"Hello there."}, audio: 10 * ms, first: 400 * ms,
		},
		{
			name: "fails",
			node: func(context.Context, texts, agents.TTSNodeFunc) speech {
				return func(yield func(agents.TTSChunk, error) bool) {
					_ = yield(audio(300*ms, 16000), nil) && yield(agents.TTSChunk{}, errNode)
				}
			},
			audio: 300 * ms, err: errNode,
		},
		{
			name: "gives what is no audio",
			node: func(context.Context, texts, agents.TTSNodeFunc) speech {
				return func(yield func(agents.TTSChunk, error) bool) {
					yield(agents.TTSChunk{Frame: agents.AudioFrame{Samples: []int16{1}}}, nil)
				}
			},
			err: agents.ErrAudioFormat,
		},
		{
			name: "changes the format",
			node: func(context.Context, texts, agents.TTSNodeFunc) speech {
				return func(yield func(agents.TTSChunk, error) bool) {
					_ = yield(audio(300*ms, 16000), nil) && yield(audio(300*ms, 48000), nil)
				}
			},
			audio: 300 * ms, err: agents.ErrAudioFormat,
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				tts := agenttest.NewTTS(t)
				o := agents.SynthesisOptions{TTS: tts, Node: c.node, Transforms: agents.DefaultTextFilters()}
				h, seq := newSynthesis(t.Context(), o, 100*ms, "Hello ", "**there**.")
				h.hear(seq, nil)
				if c.err != nil {
					require.ErrorIs(t, h.err, c.err)
				} else {
					require.NoError(t, h.err)
				}
				require.Equal(t, c.texts, tts.Texts())
				require.Equal(t, c.audio, h.audio)
				require.Equal(t, c.first, h.first)
				require.Len(t, h.reports, len(c.texts))
				require.True(t, h.textDone)
			})
		})
	}
}

// A node hears of a failure after the retries, and may say something else.
func TestSynthesisNodeHandlesAFailure(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tts := agenttest.NewTTS(t)
		tts.Faults(agenttest.Refuse(agenttest.StatusError(503)), agenttest.Refuse(agenttest.StatusError(503)))
		h := synthesise(t.Context(), agents.SynthesisOptions{
			TTS:  tts,
			Conn: agents.ConnectOptions{MaxRetries: 1},
			Node: func(ctx context.Context, text texts, next agents.TTSNodeFunc) speech {
				return func(yield func(agents.TTSChunk, error) bool) {
					for chunk, err := range next(ctx, text) {
						if err != nil {
							chunk, err = audio(time.Second, 24000), nil
						}
						if !yield(chunk, err) {
							return
						}
					}
				}
			},
		}, 0, "Hello.")
		require.NoError(t, h.err)
		require.Equal(t, time.Second, h.audio)
		require.Equal(t, 100*ms, h.first)
		require.Equal(t, []int{1}, h.retries)
	})
}

// What ctx ends, ends within a node too; and a node, or a TTS, that goes on regardless is left to itself.
func TestSynthesisWithANodeIsInterrupted(t *testing.T) {
	interrupted := errors.New("interrupted")
	release := func(ctx context.Context) { sleep(context.WithoutCancel(ctx), time.Minute) }
	for _, c := range []struct {
		name string
		tts  agents.TTS
		node speechNode
		pace time.Duration
		over time.Duration
	}{
		{
			name: "passes another context",
			node: func(_ context.Context, text texts, next agents.TTSNodeFunc) speech {
				return next(context.Background(), text)
			},
			over: time.Second,
		},
		{
			name: "reads text",
			node: func(_ context.Context, text texts, _ agents.TTSNodeFunc) speech {
				return func(yield func(agents.TTSChunk, error) bool) {
					for range text {
						yield(agents.TTSChunk{}, nil)
					}
					for range text {
						panic("text after the end")
					}
				}
			},
			pace: 600 * ms, over: time.Second,
		},
		{
			name: "a node that goes on",
			node: func(ctx context.Context, text texts, next agents.TTSNodeFunc) speech {
				return func(yield func(agents.TTSChunk, error) bool) {
					for chunk, err := range next(ctx, text) {
						release(ctx)
						if yield(chunk, err) {
							panic("a late chunk was taken")
						}
						return
					}
				}
			},
			over: time.Second + agents.SynthesisGrace,
		},
		{
			name: "a TTS that goes on",
			tts: &streamVoice{run: func(s *voiceStream) error {
				if _, err := s.text(); err != nil {
					return err
				}
				release(s.ctx)
				return s.speak(time.Second)
			}},
			over: time.Second + agents.SynthesisGrace,
		},
		{
			name: "a TTS that does not take text",
			tts: &streamVoice{
				send: func(s *voiceStream, _ string) error { release(s.ctx); return nil },
				run:  (*voiceStream).hang,
			},
			over: time.Second + agents.SynthesisGrace,
		},
		{
			name: "a TTS that does not open a stream",
			tts: &streamVoice{
				open: func(ctx context.Context) error { release(ctx); return nil },
				run:  (*voiceStream).hang,
			},
			over: time.Second + agents.SynthesisGrace,
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ctx, cancel := context.WithCancelCause(t.Context())
				time.AfterFunc(time.Second, func() { cancel(interrupted) })
				if c.tts == nil {
					c.tts = agenttest.NewTTS(t)
				}
				h, seq := newSynthesis(ctx, agents.SynthesisOptions{TTS: c.tts, Node: c.node}, c.pace, "Hello ", "there.")
				h.hear(seq, func(agents.TTSChunk) bool { return sleep(ctx, 200*ms) || true })
				require.ErrorIs(t, h.err, interrupted)
				require.Equal(t, time.Second, h.end)
				require.Equal(t, c.over, h.over)
				for _, r := range h.reports {
					require.True(t, r.Cancelled, r)
				}
				reports := len(h.reports)
				sleep(t.Context(), 2*time.Minute)
				require.Len(t, h.reports, reports, "reported after the end")
			})
		})
	}
}

// A panic anywhere is an error, the last thing that is heard of the segment, and is not retried. So is the end of a
// goroutine by other means.
func TestSynthesisSurvivesPanics(t *testing.T) {
	speaks := func(s *voiceStream) error {
		if _, err := s.allText(); err != nil {
			return err
		}
		return s.speak(time.Second)
	}
	node := func(f func(yield func(agents.TTSChunk, error) bool)) speechNode {
		return func(context.Context, texts, agents.TTSNodeFunc) speech { return f }
	}
	ends := func(func(agents.TTSChunk, error) bool) { runtime.Goexit() }
	for _, c := range []struct {
		name  string
		where string // of the panic, or the error if it is none
		o     agents.SynthesisOptions
		text  texts
		audio time.Duration
	}{
		{name: "Capabilities", where: "TTS", o: agents.SynthesisOptions{TTS: panickyVoice{}}},
		{name: "Stream", where: "TTS", o: agents.SynthesisOptions{TTS: &streamVoice{
			open: func(context.Context) error { panic("oops") }}}},
		{name: "Send", where: "TTS", o: agents.SynthesisOptions{TTS: &streamVoice{
			run: (*voiceStream).hang, send: func(*voiceStream, string) error { panic("oops") }}}},
		{name: "CloseSend", where: "TTS", o: agents.SynthesisOptions{TTS: &streamVoice{
			run: (*voiceStream).hang, end: func(*voiceStream) { panic("oops") }}}},
		{name: "Recv", where: "TTS", o: agents.SynthesisOptions{TTS: panickyStream{&streamVoice{run: speaks}, "Recv"}}},
		{name: "Close", where: "TTS", audio: time.Second, o: agents.SynthesisOptions{TTS: panickyStream{&streamVoice{run: speaks}, "Close"}}},
		{name: "an error", where: "TTS", o: agents.SynthesisOptions{TTS: &streamVoice{
			run: func(*voiceStream) error { return panickyError{} }}}},
		{name: "text", where: "speech text", o: agents.SynthesisOptions{TTS: &streamVoice{run: speaks}},
			text: func(yield func(string) bool) { yield("Hello "); panic("oops") }},
		{name: "text for a node", where: "speech text", text: func(func(string) bool) { panic("oops") },
			o: agents.SynthesisOptions{TTS: &streamVoice{run: speaks}, Node: func(ctx context.Context, text texts, next agents.TTSNodeFunc) speech {
				return next(ctx, text)
			}}},
		{name: "text of a node", where: "speech text",
			o: agents.SynthesisOptions{TTS: &streamVoice{run: speaks}, Node: func(ctx context.Context, _ texts, next agents.TTSNodeFunc) speech {
				return next(ctx, func(func(string) bool) { panic("oops") })
			}}},
		{name: "filter", where: "speech text", o: agents.SynthesisOptions{TTS: &streamVoice{run: speaks},
			Transforms: []agents.TextFilter{func() agents.TextTransform { panic("oops") }}}},
		{name: "node", where: "TTSNode", o: agents.SynthesisOptions{Node: func(context.Context, texts, agents.TTSNodeFunc) speech { panic("oops") }}},
		{name: "node's chunks", where: "TTSNode", audio: 300 * ms, o: agents.SynthesisOptions{Node: node(func(yield func(agents.TTSChunk, error) bool) {
			yield(audio(300*ms, 24000), nil)
			panic("oops")
		})}},
		{name: "node that does not stop", where: "TTSNode", audio: 300 * ms, o: agents.SynthesisOptions{Node: node(func(yield func(agents.TTSChunk, error) bool) {
			yield(audio(300*ms, 24000), nil)
			yield(agents.TTSChunk{}, errNode)
			yield(audio(300*ms, 24000), nil)
		})}},
		{name: "node with a stream", where: "TTSNode", o: agents.SynthesisOptions{TTS: &streamVoice{run: speaks},
			Node: func(ctx context.Context, text texts, next agents.TTSNodeFunc) speech {
				return func(func(agents.TTSChunk, error) bool) {
					for range next(ctx, text) {
						panic("oops")
					}
				}
			}}},
		{name: "text that ends its goroutine", where: "agents: speech text called runtime.Goexit",
			o:    agents.SynthesisOptions{TTS: &streamVoice{run: speaks}},
			text: func(func(string) bool) { runtime.Goexit() }},
		{name: "node that ends its goroutine", where: "agents: TTSNode called runtime.Goexit", o: agents.SynthesisOptions{Node: node(ends)}},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				h, seq := newSynthesis(t.Context(), c.o, 0, "Hello.")
				if c.text != nil {
					seq = agents.Synthesize(t.Context(), c.text, c.o)
				}
				h.hear(seq, nil)
				require.Error(t, h.err)
				if p, ok := errors.AsType[*agents.PanicError](h.err); ok {
					require.Equal(t, c.where, p.Where)
					require.NotEmpty(t, p.Stack)
				} else {
					require.EqualError(t, h.err, c.where)
				}
				require.Equal(t, c.audio, h.audio)
				require.Empty(t, h.retries)
				require.Zero(t, h.over)
			})
		})
	}
}

// A panic of the consumer is the consumer's, and leaves nothing behind.
func TestSynthesisLetsItsConsumerPanic(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h, seq := newSynthesis(t.Context(), agents.SynthesisOptions{TTS: agenttest.NewTTS(t)}, 0, "Hello.")
		require.PanicsWithValue(t, "mine", func() {
			for range seq {
				panic("mine")
			}
		})
		require.True(t, h.reports[0].Cancelled)
	})
}

type panickyVoice struct{ agents.TTS }

func (panickyVoice) Capabilities() agents.TTSCapabilities { panic("oops") }

type panickyStream struct {
	*streamVoice
	in string
}

func (v panickyStream) Stream(ctx context.Context, opts agents.TTSOptions) (agents.TTSStream, error) {
	s, err := v.streamVoice.Stream(ctx, opts)
	return panickyTTSStream{s, v.in}, err
}

type panickyTTSStream struct {
	agents.TTSStream
	in string
}

func (s panickyTTSStream) Recv() (agents.TTSChunk, error) {
	if s.in == "Recv" {
		panic("oops")
	}
	return s.TTSStream.Recv()
}

func (s panickyTTSStream) Close() error {
	_ = s.TTSStream.Close()
	if s.in == "Close" {
		panic("oops")
	}
	return nil
}

type panickyError struct{}

func (panickyError) Error() string  { return "panicky" }
func (panickyError) Is(error) bool  { panic("oops") }
func (panickyError) As(any) bool    { panic("oops") }
func (panickyError) Unwrap() error  { panic("oops") }
func (panickyError) String() string { return "panicky" }
