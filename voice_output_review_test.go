package agents_test

import (
	"context"
	"fmt"
	"iter"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/parley-voice/agents"
	"github.com/parley-voice/agents/agenttest"
)

// An oddSpeaker is a speaker of which a test takes over some of the methods.
type oddSpeaker struct {
	*agenttest.Speaker
	on     func(method string)                        // before each method
	notify func(agents.PlaybackEvent) bool            // sees each event, and reports whether the session does
	caps   *agents.AudioOutputCapabilities            // instead of the speaker's
	report atomic.Pointer[func(agents.PlaybackEvent)] // the session's
}

func (s *oddSpeaker) call(method string) {
	if s.on != nil {
		s.on(method)
	}
}

func (s *oddSpeaker) Capabilities() agents.AudioOutputCapabilities {
	s.call("Capabilities")
	if s.caps != nil {
		return *s.caps
	}
	return s.Speaker.Capabilities()
}

func (s *oddSpeaker) Attach(notify func(agents.PlaybackEvent)) {
	s.call("Attach")
	s.report.Store(&notify)
	s.Speaker.Attach(func(e agents.PlaybackEvent) {
		if s.notify == nil || s.notify(e) {
			notify(e)
		}
	})
}

func (s *oddSpeaker) Detach() { s.call("Detach"); s.Speaker.Detach() }
func (s *oddSpeaker) Flush()  { s.call("Flush"); s.Speaker.Flush() }
func (s *oddSpeaker) Clear()  { s.call("Clear"); s.Speaker.Clear() }
func (s *oddSpeaker) Pause()  { s.call("Pause"); s.Speaker.Pause() }
func (s *oddSpeaker) Resume() { s.call("Resume"); s.Speaker.Resume() }
func (s *oddSpeaker) CaptureFrame(ctx context.Context, f agents.AudioFrame) error {
	s.call("CaptureFrame")
	return s.Speaker.CaptureFrame(ctx, f)
}

// odd is the setup of a session that speaks to it.
func odd(s *oddSpeaker) agenttest.Setup {
	if s.Speaker == nil {
		s.Speaker = agenttest.NewSpeaker()
	}
	return agenttest.Setup{IO: agents.IO{AudioOutput: s}}
}

// quiet is a session whose user says nothing, and whose voice takes 100 ms a character and times its words.
func quiet(t *testing.T, llm agents.LLM, a *agents.Agent, setup ...agenttest.Setup) *agenttest.VoiceSession {
	tts := agenttest.NewTTS(t, agenttest.SpokenAny(100*ms))
	tts.Words = true
	opts := voiceOptions(llm, tts)
	opts.UserAwayTimeout = agents.Never
	return agenttest.StartVoice(t, opts, a, agenttest.Voice(), setup...)
}

// A method of the output that panics is an error of the session, which goes on in text.
func TestOutputThatPanics(t *testing.T) {
	for _, method := range []string{"Capabilities", "Attach", "CaptureFrame", "Flush", "Clear", "Pause", "Resume", "Detach"} {
		t.Run(method, func(t *testing.T) {
			agenttest.Run(t, func(t *testing.T) {
				script := agenttest.Voice(speaks(1, 1.7, "Well."), speaks(30, 31, "Go on."))
				tts := agenttest.NewTTS(t, agenttest.SpokenAny(100*ms))
				opts := voiceOptions(agenttest.NewLLM(t, agenttest.Any().Say("Yes?").Always()), tts)
				s := &oddSpeaker{on: func(m string) {
					if m == method {
						panic(m)
					}
				}}
				v := agenttest.StartVoice(t, opts, &agents.Agent{}, script, odd(s))
				v.Say("One two three four five six seven eight.")
				v.Until(sec(45))
				require.Equal(t, agents.AgentListening, v.AgentState(), v.Log())
				require.Contains(t, transcript(v.History()), "user: Go on.\nassistant: Yes?\n")
			})
		})
	}
}

// A method of the output that does not return holds up neither the conversation nor the close.
func TestOutputThatBlocks(t *testing.T) {
	for _, method := range []string{"CaptureFrame", "Flush", "Clear", "Pause", "Resume", "Detach"} {
		t.Run(method, func(t *testing.T) {
			agenttest.Run(t, func(t *testing.T) {
				release := make(chan struct{})
				defer close(release)
				script := agenttest.Voice(speaks(1, 1.7, "Well."), speaks(30, 31, "Go on."))
				tts := agenttest.NewTTS(t, agenttest.SpokenAny(100*ms))
				opts := voiceOptions(agenttest.NewLLM(t, agenttest.Any().Say("Yes?").Always()), tts)
				s := &oddSpeaker{on: func(m string) {
					if m == method {
						<-release
					}
				}}
				v := agenttest.StartVoice(t, opts, &agents.Agent{}, script, odd(s))
				v.Say("One two three four five six seven eight.")
				time.Sleep(45 * time.Second)
				begin := time.Now()
				require.NoError(t, v.Close())
				require.LessOrEqual(t, time.Since(begin), 11*time.Second)
				require.Contains(t, transcript(v.History()), "user: Go on.\nassistant: Yes?\n")
			})
		})
	}
}

// The end of a segment that was given up is reported when another one plays.
func TestLateReportOfAnotherSegment(t *testing.T) {
	for _, after := range []time.Duration{500 * ms, 3 * time.Second, 7 * time.Second, 20 * time.Second} {
		t.Run(fmt.Sprint(after), func(t *testing.T) {
			agenttest.Run(t, func(t *testing.T) {
				s := &oddSpeaker{}
				s.notify = func(e agents.PlaybackEvent) bool {
					if e.Type != agents.PlaybackFinished || e.Segment != 1 {
						return true
					}
					time.AfterFunc(after, func() { (*s.report.Load())(e) })
					return false
				}
				v := quiet(t, nil, &agents.Agent{}, odd(s))
				v.Speaker = s.Speaker
				first := v.Say("One two three four five six seven eight.")
				v.Until(sec(2.2))
				require.NoError(t, first.Interrupt())
				second := v.Say("And this is another sentence that is quite a bit longer than that.")
				require.NoError(t, second.Wait(t.Context()))
				require.False(t, second.Interrupted())
				require.NoError(t, first.Wait(t.Context()))
				v.Until(sec(40))
				require.Equal(t, "assistant: One two three four (interrupted)\n"+
					"assistant: And this is another sentence that is quite a bit longer than that.\n", transcript(v.History()), v.Log())
				require.Equal(t, []string{"2s interrupted", "6.6s"}, v.Playouts())
				require.Equal(t, agents.AgentListening, v.AgentState())
			})
		})
	}
}

// The report of the start comes after the interruption.
func TestStartReportedAfterTheInterruption(t *testing.T) {
	agenttest.Run(t, func(t *testing.T) {
		s := &oddSpeaker{}
		var held []agents.PlaybackEvent
		s.notify = func(e agents.PlaybackEvent) bool {
			if e.Segment == 1 && e.Type == agents.PlaybackStarted {
				held = append(held, e)
				return false
			}
			if e.Segment == 1 {
				(*s.report.Load())(held[0])
			}
			return true
		}
		v := quiet(t, nil, &agents.Agent{}, odd(s))
		h := v.Say("One two three four five.")
		v.Until(sec(1))
		require.NoError(t, h.Interrupt())
		require.NoError(t, h.Wait(t.Context()))
		require.Equal(t, []string{"listening 0s"}, v.AgentStates(), v.Log())
		require.Equal(t, "assistant: One two (interrupted)\n", transcript(v.History()))
	})
}

// A TranscriptionNode that gives text late, none, more of it, or never ends.
func TestTranscriptionNodeWithVoice(t *testing.T) {
	for _, c := range []struct {
		name string
		node func(ctx context.Context, text iter.Seq[string], yield func(string) bool)
		want string
		ends time.Duration
	}{
		{"as it is", func(_ context.Context, text iter.Seq[string], yield func(string) bool) { text(yield) }, "assistant: Hello there.\n", 1400 * ms},
		{"none", func(_ context.Context, text iter.Seq[string], yield func(string) bool) {}, "", 1400 * ms},
		{"more", func(_ context.Context, text iter.Seq[string], yield func(string) bool) {
			_ = yield("Well, ") && yield("hello ") && yield("there, ") && yield("you.")
		}, "assistant: Well, hello there, you.\n", 1400 * ms},
		{"late", func(ctx context.Context, text iter.Seq[string], yield func(string) bool) {
			sleep(ctx, 3*time.Second)
			text(yield)
		}, "assistant: Hello there.\n", 3 * time.Second},
		{"hanging", func(ctx context.Context, text iter.Seq[string], yield func(string) bool) {
			_ = yield("Hello ")
			sleep(ctx, time.Hour)
		}, "assistant: Hello \n", 6400 * ms},
		{"hanging without regard for its context", func(ctx context.Context, text iter.Seq[string], yield func(string) bool) {
			_ = yield("Hello ")
			time.Sleep(10 * time.Second)
			_ = yield("there.")
		}, "assistant: Hello \n", 6400 * ms},
		{"that panics", func(ctx context.Context, text iter.Seq[string], yield func(string) bool) {
			_ = yield("Hello ")
			panic("oh")
		}, "assistant: Hello \n", 1400 * ms},
	} {
		t.Run(c.name, func(t *testing.T) {
			agenttest.Run(t, func(t *testing.T) {
				a := &agents.Agent{TranscriptionNode: func(ctx context.Context, text iter.Seq[string]) iter.Seq[string] {
					return func(yield func(string) bool) { c.node(ctx, text, yield) }
				}}
				v := quiet(t, nil, a)
				h := v.Say("Hello there.")
				ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
				defer cancel()
				require.NoError(t, h.Wait(ctx), v.Log())
				require.Equal(t, c.ends, v.Since(time.Now()))
				require.Equal(t, c.want, transcript(v.History()))
				require.Equal(t, []string{"1.2s"}, v.Playouts())
				v.Until(sec(20))
				require.Equal(t, c.want, transcript(v.History()), "what comes later is not heard")
			})
		})
	}
}

// The output is switched off before a reply is heard: it is read instead.
func TestOutputSwitchedOffWhileThinking(t *testing.T) {
	for _, at := range []float64{1.05, 1.5, 2.5, 3.05} {
		t.Run(fmt.Sprint(at), func(t *testing.T) {
			agenttest.Run(t, func(t *testing.T) {
				llm := agenttest.NewLLM(t, agenttest.OnUser("Hi.").TTFT(time.Second).For(2*time.Second).Say("Hello there. How are you?"))
				v := quiet(t, llm, &agents.Agent{})
				v.Until(sec(1))
				h := v.GenerateReply(agents.Reply{UserInput: "Hi."})
				queued := v.Say("And this.")
				v.Until(sec(at))
				require.NoError(t, v.SetAudioOutput(false))
				require.NoError(t, h.Wait(t.Context()))
				require.NoError(t, queued.Wait(t.Context()))
				require.Empty(t, v.Playouts())
				require.Equal(t, "user: Hi.\nassistant: Hello there. How are you?\nassistant: And this.\n", transcript(v.History()), v.Log())
				require.NoError(t, v.SetAudioOutput(true))
				require.NoError(t, v.Say("Back.").Wait(t.Context()))
				require.Equal(t, []string{"500ms"}, v.Playouts())
			})
		})
	}
}

// Switched off in mid-speech, it cuts off what is said, and what is queued is read.
func TestOutputSwitchedOffWhileSpeaking(t *testing.T) {
	agenttest.Run(t, func(t *testing.T) {
		v := quiet(t, nil, &agents.Agent{})
		first, second := v.Say("One two three four."), v.Say("Five six.")
		v.Until(sec(1))
		require.NoError(t, v.SetAudioOutput(false))
		require.NoError(t, first.Wait(t.Context()))
		require.True(t, first.Interrupted())
		require.NoError(t, second.Wait(t.Context()))
		require.NoError(t, v.SetAudioOutput(true))
		v.Until(sec(3))
		require.Equal(t, "assistant: One two (interrupted)\nassistant: Five six.\n", transcript(v.History()), v.Log())
		require.Equal(t, []string{"800ms interrupted"}, v.Playouts())
	})
}

// Audio of the application's that goes on although nobody wants it is not taken for anybody else's, nor does its end
// end the segment of another.
func TestSayWithAudioThatDoesNotEnd(t *testing.T) {
	agenttest.Run(t, func(t *testing.T) {
		v := quiet(t, nil, &agents.Agent{})
		frame := agents.AudioFrame{Samples: make([]int16, 2400), SampleRate: 24000, Channels: 1}
		h := v.Say("Music.", agents.SayOptions{Audio: func(yield func(agents.AudioFrame) bool) {
			for range 10 {
				if !yield(frame) {
					return
				}
			}
			time.Sleep(8 * time.Second)
			yield(frame)
		}})
		v.Until(sec(2))
		require.NoError(t, h.Interrupt())
		next := v.Say("This takes a while to say.")
		require.NoError(t, next.Wait(t.Context()))
		v.Until(sec(20))
		require.Equal(t, []string{"1s interrupted", "2.6s"}, v.Playouts(), v.Log())
		require.Contains(t, transcript(v.History()), "assistant: This takes a while to say.\n")
		require.Equal(t, agents.AgentListening, v.AgentState())
	})
}

// Without text, audio counts as speech all the same.
func TestDelayAfterAudioWithoutText(t *testing.T) {
	agenttest.Run(t, func(t *testing.T) {
		opts := voiceOptions(nil, agenttest.NewTTS(t, agenttest.SpokenAny(100*ms)))
		opts.MinConsecutiveSpeechDelay = agents.Delay(2 * time.Second)
		v := agenttest.StartVoice(t, opts, &agents.Agent{}, agenttest.Voice())
		frame := agents.AudioFrame{Samples: make([]int16, 24000), SampleRate: 24000, Channels: 1}
		v.Say("", agents.SayOptions{Audio: func(yield func(agents.AudioFrame) bool) { yield(frame) }})
		v.Say("Next.")
		v.Until(sec(10))
		require.Equal(t, []string{"listening 0s", "speaking 0s", "listening 1s", "speaking 3s", "listening 3.5s"}, v.AgentStates(), v.Log())
	})
}

// An interruption while the output is paused does not leave it so.
func TestInterruptedWhilePaused(t *testing.T) {
	agenttest.Run(t, func(t *testing.T) {
		script := agenttest.Voice(speaks(3, 6, "Hm."))
		opts := voiceOptions(agenttest.NewLLM(t, agenttest.Any().Say("Yes?").Always()), agenttest.NewTTS(t, agenttest.SpokenAny(100*ms)))
		v := agenttest.StartVoice(t, opts, &agents.Agent{}, script)
		h := v.Say("One two three four five six seven eight nine ten.")
		v.Until(sec(4))
		require.NoError(t, h.Interrupt())
		require.NoError(t, h.Wait(t.Context()))
		next := v.Say("Something.", agents.SayOptions{AllowInterruptions: agents.Off})
		require.NoError(t, next.Wait(t.Context()))
		v.Until(sec(20))
		require.Contains(t, transcript(v.History()), "assistant: Something.\n", v.Log())
		require.Equal(t, "1s", v.Playouts()[1])
	})
}

// Word timings that make no sense do no harm.
type oddTTS struct {
	*agenttest.TTS
	caps  func() agents.TTSCapabilities
	words func(int, []agents.TimedText) []agents.TimedText
}

func (o *oddTTS) Capabilities() agents.TTSCapabilities {
	if o.caps != nil {
		return o.caps()
	}
	return o.TTS.Capabilities()
}

func (o *oddTTS) Stream(ctx context.Context, opts agents.TTSOptions) (agents.TTSStream, error) {
	s, err := o.TTS.Stream(ctx, opts)
	return &oddTTSStream{TTSStream: s, o: o}, err
}

type oddTTSStream struct {
	agents.TTSStream
	o *oddTTS
	n int
}

func (s *oddTTSStream) Recv() (agents.TTSChunk, error) {
	c, err := s.TTSStream.Recv()
	if len(c.Words) > 0 && s.o.words != nil {
		c.Words = s.o.words(s.n, c.Words)
		s.n++
	}
	return c, err
}

func TestVoiceWhoseCapabilitiesPanic(t *testing.T) {
	agenttest.Run(t, func(t *testing.T) {
		tts := &oddTTS{TTS: agenttest.NewTTS(t), caps: func() agents.TTSCapabilities { panic("no idea") }}
		opts := voiceOptions(nil, tts)
		opts.TTSTranscript = agents.On
		v := agenttest.StartVoice(t, opts, &agents.Agent{}, agenttest.Voice())
		h := v.Say("Hello.")
		require.Error(t, h.Wait(t.Context()))
		require.Equal(t, agents.AgentListening, v.AgentState())
	})
}

func TestWordTimingsThatAreWrong(t *testing.T) {
	for _, transcriptOn := range []agents.Toggle{agents.Off, agents.On} {
		for name, words := range map[string]func(int, []agents.TimedText) []agents.TimedText{
			"none": func(int, []agents.TimedText) []agents.TimedText { return nil },
			"negative": func(_ int, w []agents.TimedText) []agents.TimedText {
				return each(w, func(w *agents.TimedText) { w.Start, w.End = -w.End, -w.Start })
			},
			"too late": func(_ int, w []agents.TimedText) []agents.TimedText {
				return each(w, func(w *agents.TimedText) { w.Start += time.Hour; w.End += time.Hour })
			},
			"no end": func(_ int, w []agents.TimedText) []agents.TimedText {
				return each(w, func(w *agents.TimedText) { w.End = 0 })
			},
			"backwards": func(_ int, w []agents.TimedText) []agents.TimedText {
				return each(w, func(w *agents.TimedText) { w.Start, w.End = w.End, w.Start })
			},
			"zero": func(_ int, w []agents.TimedText) []agents.TimedText {
				return each(w, func(w *agents.TimedText) { w.Start, w.End = 0, 0 })
			},
		} {
			t.Run(fmt.Sprint(transcriptOn, name), func(t *testing.T) {
				agenttest.Run(t, func(t *testing.T) {
					plain := agenttest.NewTTS(t, agenttest.SpokenAny(100*ms))
					plain.Words = true
					opts := voiceOptions(nil, &oddTTS{TTS: plain, words: words})
					opts.TTSTranscript = transcriptOn
					v := agenttest.StartVoice(t, opts, &agents.Agent{}, agenttest.Voice())
					require.NoError(t, v.Say("One two three four.").Wait(t.Context()))
					require.Equal(t, "assistant: One two three four.\n", transcript(v.History()), v.Log())
					var shown string
					for _, e := range v.Recorded() {
						if o, ok := e.(*agents.AgentOutput); ok {
							shown += o.Text
						}
					}
					require.Equal(t, "One two three four.", shown)
					require.Equal(t, []string{"1.9s"}, v.Playouts())
				})
			})
		}
	}
}

func each(words []agents.TimedText, change func(*agents.TimedText)) []agents.TimedText {
	out := append([]agents.TimedText(nil), words...)
	for i := range out {
		change(&out[i])
	}
	return out
}

// Cut off at any moment of a reply with two segments, a tool and its answer: one output a call, what was heard and no more
// in the history, nothing is left speaking, and the next reply is heard to its end. In any order of what happens at once.
func TestInterruptedAtAnyMoment(t *testing.T) {
	for _, how := range []string{"by handle", "paused first", "by handoff", "by close", "by switching the output off"} {
		t.Run(how, func(t *testing.T) {
			for at := time.Duration(0); at < 5*time.Second; at += 340 * ms {
				agenttest.Explore(t, map[bool]int{false: 5, true: 1}[raceDetector], func(t *testing.T) { interruptedAt(t, how, at) })
			}
		})
	}
}

func interruptedAt(t *testing.T, how string, at time.Duration) {
	llm := agenttest.NewLLM(t,
		agenttest.OnOutput("slow").TTFT(100*ms).For(300*ms).Say("It is there.").Always(),
		agenttest.OnUser("Next.").Say("Next it is.").Always())
	a := &agents.Agent{ID: "a", Tools: []agents.Tool{gives("slow", 700*ms, "s", nil), gives("quick", 0, "q", nil)}}
	calls := 0
	a.LLMNode = func(ctx context.Context, req *agents.ChatRequest, next agents.LLMNodeFunc) iter.Seq2[agents.ChatChunk, error] {
		if calls++; calls > 1 {
			return next(ctx, req)
		}
		return func(yield func(agents.ChatChunk, error) bool) {
			sleep(ctx, 200*ms)
			_ = yield(agents.ChatChunk{Text: "Look here. "}, nil) && yield(agents.ChatChunk{Flush: true}, nil) && sleep(ctx, 300*ms) &&
				yield(agents.ChatChunk{Text: "And there."}, nil) &&
				yield(agents.ChatChunk{Calls: []agents.ToolCall{{Name: "slow", Arguments: "{}"}, {Name: "quick", Arguments: "{}"}}}, nil)
		}
	}
	v := quiet(t, llm, a)
	v.Until(10 * ms)
	begin := time.Now()
	h := v.GenerateReply(ask("Look."))
	v.Until(10*ms + at)
	next := &agents.Agent{ID: "b"}
	switch how {
	case "by handle":
		require.NoError(t, h.Interrupt())
	case "paused first":
		h.SetAllowInterruptions(false)
		h.SetAllowInterruptions(true)
		require.NoError(t, v.Interrupt(t.Context()))
	case "by handoff":
		require.NoError(t, v.UpdateAgent(next))
	case "by close":
		require.NoError(t, v.Close())
		oneOutputPerCall(t, v.History())
		require.NoError(t, h.Wait(t.Context()))
		heardIsKept(t, v)
		require.LessOrEqual(t, time.Since(begin)-at, 5*time.Second)
		return
	case "by switching the output off":
		require.NoError(t, v.SetAudioOutput(false))
		require.NoError(t, h.Wait(t.Context()))
		require.NoError(t, v.SetAudioOutput(true))
	}
	n := v.GenerateReply(ask("Next."))
	require.NoError(t, n.Wait(t.Context()), v.Log())
	require.NoError(t, h.Wait(t.Context()))
	v.Until(20 * time.Second)
	oneOutputPerCall(t, v.History())
	require.Equal(t, agents.AgentListening, v.AgentState(), v.Log())
	require.Contains(t, transcript(v.History()), "assistant: Next it is.\n", v.Log())
	if how != "by switching the output off" { // where some of it was read
		heardIsKept(t, v)
	}
}

// heardIsKept checks that the history has as many characters as were played, each of 100 ms, but for a word that was cut off.
func heardIsKept(t *testing.T, v *agenttest.VoiceSession) {
	t.Helper()
	played, said, cut := 0, 0, 0
	for _, p := range v.Speaker.Played() {
		played += int(p.Audio.Duration() / (100 * ms))
		if p.Interrupted {
			cut += len("there.")
		}
	}
	for m := range v.History().Messages() {
		if m.Role == agents.RoleAssistant {
			said += len(m.Text())
		}
	}
	require.LessOrEqual(t, said, played, v.Log())
	require.LessOrEqual(t, played, said+cut+2, v.Log())
}

// Capabilities that make no sense are the end of the output, and not of the conversation.
func TestOutputOfAnImpossibleFormat(t *testing.T) {
	for _, caps := range []agents.AudioOutputCapabilities{{SampleRate: -1}, {SampleRate: 12347, Channels: 1}, {Channels: -3}, {SampleRate: 1, Channels: 1 << 20}} {
		t.Run(fmt.Sprint(caps), func(t *testing.T) {
			agenttest.Run(t, func(t *testing.T) {
				v := quiet(t, nil, &agents.Agent{}, odd(&oddSpeaker{caps: &caps}))
				for range 6 {
					_ = v.Say("Hello.").Wait(t.Context())
				}
				v.Until(sec(20))
				require.Zero(t, eventCount[*agents.Closed](v), v.Log())
				require.Contains(t, transcript(v.History()), "assistant: Hello.\n")
			})
		})
	}
}

// Reports that make no sense end no segment of another, and hold nothing up for ever.
func TestReportsThatMakeNoSense(t *testing.T) {
	for name, change := range map[string]func(e agents.PlaybackEvent) []agents.PlaybackEvent{
		"twice":           func(e agents.PlaybackEvent) []agents.PlaybackEvent { return []agents.PlaybackEvent{e, e} },
		"without a start": func(e agents.PlaybackEvent) []agents.PlaybackEvent { return drop(e, agents.PlaybackStarted) },
		"negative": func(e agents.PlaybackEvent) []agents.PlaybackEvent {
			e.Position = -e.Position
			return []agents.PlaybackEvent{e}
		},
		"too far": func(e agents.PlaybackEvent) []agents.PlaybackEvent {
			e.Position += time.Hour
			return []agents.PlaybackEvent{e}
		},
		"at no time": func(e agents.PlaybackEvent) []agents.PlaybackEvent {
			e.At = time.Time{}
			return []agents.PlaybackEvent{e}
		},
		"an unknown one before": func(e agents.PlaybackEvent) []agents.PlaybackEvent {
			return []agents.PlaybackEvent{{Type: "strange", Segment: e.Segment}, {Type: agents.PlaybackFinished}, e}
		},
		"without an end": func(e agents.PlaybackEvent) []agents.PlaybackEvent { return drop(e, agents.PlaybackFinished) },
	} {
		t.Run(name, func(t *testing.T) {
			agenttest.Run(t, func(t *testing.T) {
				s := &oddSpeaker{}
				s.notify = func(e agents.PlaybackEvent) bool {
					for _, e := range change(e) {
						(*s.report.Load())(e)
					}
					return false
				}
				v := quiet(t, nil, &agents.Agent{}, odd(s))
				v.Speaker = s.Speaker
				first, second := v.Say("One two."), v.Say("Three four.")
				require.NoError(t, first.Wait(t.Context()), v.Log())
				require.NoError(t, second.Wait(t.Context()), v.Log())
				require.Equal(t, []string{"800ms", "1.1s"}, v.Playouts(), v.Log())
				if name != "negative" {
					require.Equal(t, "One two.Three four.", shown(v))
				}
				require.Equal(t, agents.AgentListening, v.AgentState())
			})
		})
	}
}

func drop(e agents.PlaybackEvent, kind agents.PlaybackEventType) []agents.PlaybackEvent {
	if e.Type == kind {
		return nil
	}
	return []agents.PlaybackEvent{e}
}

// Speech plays by priority, and within one in the order it came, each heard to its end and at once after the last.
func TestAudioPlaysByPriority(t *testing.T) {
	agenttest.Explore(t, 20, func(t *testing.T) {
		v := quiet(t, nil, &agents.Agent{})
		v.Say("Now.")
		v.Until(50 * ms)
		v.Say("Low.", agents.SayOptions{Priority: agents.PriorityLow})
		v.Say("Normal one.")
		v.Say("High.", agents.SayOptions{Priority: agents.PriorityHigh})
		dropped := v.Say("Dropped.", agents.SayOptions{Priority: agents.PriorityHigh})
		last := v.Say("Normal two.")
		require.NoError(t, dropped.Interrupt())
		require.NoError(t, last.Wait(t.Context()))
		v.Until(sec(10))
		require.Equal(t, "assistant: Now.\nassistant: High.\nassistant: Normal one.\nassistant: Normal two.\nassistant: Low.\n", transcript(v.History()), v.Log())
		require.Equal(t, []string{"400ms", "500ms", "1.1s", "1.1s", "400ms"}, v.Playouts())
		require.Equal(t, []string{"listening 0s", "speaking 200ms", "listening 3.7s"}, v.AgentStates())
	})
}

// A TTSNode that stops early, gives nothing, hangs or fails ends its segment, and the text that goes on holds nothing up.
func TestTTSNodeThatMisbehaves(t *testing.T) {
	for name, c := range map[string]struct {
		node func(ctx context.Context, text iter.Seq[string], next agents.TTSNodeFunc, yield func(agents.TTSChunk, error) bool)
		err  bool
	}{
		"nothing": {func(context.Context, iter.Seq[string], agents.TTSNodeFunc, func(agents.TTSChunk, error) bool) {}, false},
		"part of it": {func(ctx context.Context, text iter.Seq[string], next agents.TTSNodeFunc, yield func(agents.TTSChunk, error) bool) {
			n := 0
			for chunk, err := range next(ctx, text) {
				if n++; n > 20 || !yield(chunk, err) {
					return
				}
			}
		}, false},
		"a panic": {func(ctx context.Context, text iter.Seq[string], next agents.TTSNodeFunc, yield func(agents.TTSChunk, error) bool) {
			panic("oh")
		}, true},
		"an impossible frame": {func(ctx context.Context, text iter.Seq[string], next agents.TTSNodeFunc, yield func(agents.TTSChunk, error) bool) {
			yield(agents.TTSChunk{Frame: agents.AudioFrame{Samples: make([]int16, 7), SampleRate: 8000, Channels: 2}}, nil)
		}, true},
	} {
		t.Run(name, func(t *testing.T) {
			agenttest.Run(t, func(t *testing.T) {
				llm := agenttest.NewLLM(t, agenttest.OnUser("Hi.").For(3*time.Second).Say("One two three four five."))
				a := &agents.Agent{TTSNode: func(ctx context.Context, text iter.Seq[string], next agents.TTSNodeFunc) iter.Seq2[agents.TTSChunk, error] {
					return func(yield func(agents.TTSChunk, error) bool) { c.node(ctx, text, next, yield) }
				}}
				v := quiet(t, llm, a)
				h := v.GenerateReply(ask("Hi."))
				ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
				defer cancel()
				err := h.Wait(ctx)
				require.Equal(t, c.err, err != nil, "%v\n%s", err, v.Log())
				require.NotErrorIs(t, err, context.DeadlineExceeded)
				require.Equal(t, agents.AgentListening, v.AgentState())
			})
		})
	}
}

// The words of the TTS as the transcript go through the agent's TranscriptionNode as the model's text does.
func TestTTSTranscriptThroughTheNode(t *testing.T) {
	agenttest.Run(t, func(t *testing.T) {
		tts := agenttest.NewTTS(t, agenttest.SpokenAny(100*ms))
		tts.Words = true
		opts := voiceOptions(nil, tts)
		opts.TTSTranscript = agents.On
		a := &agents.Agent{TranscriptionNode: func(_ context.Context, text iter.Seq[string]) iter.Seq[string] {
			return func(yield func(string) bool) {
				for piece := range text {
					if !yield(strings.ToUpper(piece)) {
						return
					}
				}
			}
		}}
		v := agenttest.StartVoice(t, opts, a, agenttest.Voice())
		require.NoError(t, v.Say("One two three.").Wait(t.Context()))
		require.Equal(t, "ONE TWO THREE.", shown(v), v.Log())
		require.Equal(t, "assistant: ONE TWO THREE.\n", transcript(v.History()))
	})
}

// Speech asked for while the floor changes hands is that of the next agent, in its voice, or read if it has none.
func TestParkedSpeechIsOfTheNextAgent(t *testing.T) {
	for _, tts := range []agents.TTS{nil, agents.NoTTS} {
		agenttest.Explore(t, 10, func(t *testing.T) {
			leave := make(chan struct{})
			front := &agents.Agent{ID: "front", OnExit: func(context.Context, *agents.AgentSession) error { <-leave; return nil }}
			llm := agenttest.NewLLM(t, agenttest.Any().Say("Back here."))
			v := quiet(t, llm, front)
			require.NoError(t, v.UpdateAgent(&agents.Agent{ID: "back", TTS: tts}))
			h := v.GenerateReply(ask("Who is there?"))
			dropped := v.GenerateReply(ask("Never mind."))
			v.Until(sec(1))
			require.NoError(t, dropped.Interrupt())
			close(leave)
			require.NoError(t, h.Wait(t.Context()))
			require.Equal(t, "handoff front to back\nassistant: Back here.\n", strings.NewReplacer("user: Who is there?\n", "", "user: Never mind.\n", "").Replace(transcript(v.History())), v.Log())
			require.Len(t, slices.Collect(v.History().Messages()), 3, "what the user said is kept, answered or not")
			require.Equal(t, tts == nil, len(v.Playouts()) == 1)
		})
	}
}
