package agents_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/parley-voice/agents"
	"github.com/parley-voice/agents/agenttest"
)

// The application ends the user's turn, or takes it back: with turns that nothing else ends, and with others.

// A committed is what CommitUserTurn returned, and when.
type committed struct {
	text string
	err  error
	at   time.Duration
}

// commits ends the user's turn from another goroutine, and returns a function that waits for the result.
func commits(ctx context.Context, v *agenttest.VoiceSession, opts ...agents.CommitOptions) func() committed {
	done := make(chan committed, 1)
	go func() {
		text, err := v.CommitUserTurn(ctx, opts...)
		done <- committed{text, err, v.Since(time.Now())}
	}()
	return func() committed { return <-done }
}

func manual(o *agents.Options) {
	o.Turn = agents.TurnOptions{Detection: agents.TurnManual, Endpointing: agents.Endpointing{MinDelay: 500 * ms}}
}

func TestCommitUserTurn(t *testing.T) {
	hello := speaks(0.5, 2, "Hello there") // the final transcript comes at 2.2 s
	unheard := hello.NoFinal()             // no more than the interim one, at 2.1 s
	for _, c := range []struct {
		name    string
		voice   agenttest.VoicePart
		change  func(*agents.Options)
		at      float64
		options agents.CommitOptions
		want    committed
		ends    []string
		dropped []string
	}{
		{
			name: "a transcript is there", voice: hello, change: manual, at: 2.3,
			want: committed{text: "Hello there", at: sec(2.3)}, ends: []string{"2.5s Hello there"},
		},
		{ // The STT is asked for it. For all that voice activity has said until then, the user spoke until 2.05 s.
			name: "a transcript is on its way", voice: hello, change: manual, at: 2.1,
			want: committed{text: "Hello there", at: sec(2.1)}, ends: []string{"2.55s Hello there"},
		},
		{ // For all that is known there may be more to come, which is waited for, though none does.
			name: "a transcript has been there for long", voice: hello, change: manual, at: 3,
			want: committed{text: "Hello there", at: sec(5)}, ends: []string{"5s Hello there"},
		},
		{
			name: "and nothing is waited for", voice: hello, change: manual, at: 3, options: agents.CommitOptions{Timeout: agents.Never},
			want: committed{text: "Hello there", at: sec(3)}, ends: []string{"3s Hello there"},
		},
		{
			name: "only an interim one is there", voice: unheard, change: manual, at: 2.15,
			want: committed{text: "Hello there", at: sec(4.15)}, ends: []string{"4.15s Hello there"},
		},
		{
			name: "only an interim one is there, for a second", voice: unheard, change: manual, at: 2.15, options: agents.CommitOptions{Timeout: agents.Delay(time.Second)},
			want: committed{text: "Hello there", at: sec(3.15)}, ends: []string{"3.15s Hello there"},
		},
		{
			name: "only an interim one is there, and nothing is waited for", voice: unheard, change: manual, at: 2.15, options: agents.CommitOptions{Timeout: agents.Never},
			want: committed{text: "Hello there", at: sec(2.15)}, ends: []string{"2.55s Hello there"},
		},
		{ // What is said after that is nobody's. The turn ends half a second after the user was last heard.
			name: "amid speech", voice: hello, change: manual, at: 1.52,
			want: committed{text: "Hello", at: sec(1.52)}, ends: []string{"2s Hello"}, dropped: []string{"2.2s there"},
		},
		{
			name: "before speech", voice: hello, change: manual, at: 0.25,
			want: committed{text: "Hello there", at: sec(2.2)}, ends: []string{"2.55s Hello there"},
		},
		{
			name: "nothing is said", voice: speaks(0.5, 2, ""), change: manual, at: 2.3,
			want: committed{at: sec(4.3)},
		},
		{
			name: "no STT", voice: hello, change: func(o *agents.Options) { manual(o); o.STT = agents.NoSTT }, at: 2.3,
			want: committed{at: sec(2.3)},
		},
		{ // The rest of the speech comes before the turn ends, and belongs to it.
			name: "amid speech that voice activity ends", voice: hello, change: func(o *agents.Options) {
				o.Turn.Endpointing.MinDelay = 500 * ms
			}, at: 1.82,
			want: committed{text: "Hello", at: sec(1.82)}, ends: []string{"2.5s Hello there"},
		},
		{
			name: "after speech, before voice activity ends it", voice: hello, change: func(o *agents.Options) {
				o.Turn.Endpointing.MinDelay = time.Second
			}, at: 2.3,
			want: committed{text: "Hello there", at: sec(2.3)}, ends: []string{"3s Hello there"},
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			agenttest.Run(t, func(t *testing.T) {
				script := agenttest.Voice(c.voice)
				v := asks(t, agents.NoTurnDetector, script, c.change)
				v.Until(sec(c.at))
				wait := commits(t.Context(), v, c.options)
				v.Until(sec(8))
				require.Equal(t, c.want, wait(), v.Log())
				require.Equal(t, c.ends, turnEnds(v), v.Log())
				require.Equal(t, c.dropped, dropped(v), v.Log())
				want := ""
				for _, end := range c.ends {
					_, text, _ := strings.Cut(end, " ")
					want += "user: " + text + "\nassistant: I see.\n"
				}
				require.Equal(t, want, transcript(v.History()), v.Log())
			})
		})
	}
}

// T61: with a detector, a turn that is committed is not predicted if nothing else ends turns.
func TestCommitAsksNoDetector(t *testing.T) {
	agenttest.Run(t, func(t *testing.T) {
		script := agenttest.Voice(speaks(0.5, 2, "Hello there"))
		d := agenttest.NewAudioTurnDetector(t, script)
		v := asks(t, d, script, manual)
		v.Until(sec(2.3))
		text, err := v.CommitUserTurn(t.Context())
		require.NoError(t, err)
		require.Equal(t, "Hello there", text)
		v.Until(sec(5))
		require.Equal(t, []string{"2.5s Hello there"}, turnEnds(v), v.Log())
		require.Empty(t, d.Calls())
	})
}

// A turn without a reply is only recorded. The next one is answered.
func TestCommitWithoutReply(t *testing.T) {
	agenttest.Run(t, func(t *testing.T) {
		v := asks(t, agents.NoTurnDetector, agenttest.Voice(speaks(0.5, 2, "Hello there"), speaks(4, 5, "Good morning")), manual)
		v.Until(sec(2.3))
		_, err := v.CommitUserTurn(t.Context(), agents.CommitOptions{SkipReply: true})
		require.NoError(t, err)
		v.Until(sec(5.3))
		_, err = v.CommitUserTurn(t.Context())
		require.NoError(t, err)
		v.Until(sec(8))
		require.Equal(t, "user: Hello there\nuser: Good morning\nassistant: I see.\n", transcript(v.History()), v.Log())
	})
}

// A commit that waits is over when another one takes its place, when the turn is cleared, when the session closes
// (T76), and when its own context ends, which does not keep the turn from ending.
func TestCommitIsGivenUp(t *testing.T) {
	cause := errors.New("enough")
	for _, c := range []struct {
		name string
		do   func(t *testing.T, v *agenttest.VoiceSession, cancel context.CancelCauseFunc)
		err  error
		ends []string
	}{
		{"for another commit", func(t *testing.T, v *agenttest.VoiceSession, _ context.CancelCauseFunc) {
			_, err := v.CommitUserTurn(t.Context(), agents.CommitOptions{Timeout: agents.Never})
			require.NoError(t, err)
		}, agents.ErrTurnCleared, []string{"3s Hello there"}},
		{"as the turn is cleared", func(t *testing.T, v *agenttest.VoiceSession, _ context.CancelCauseFunc) {
			require.NoError(t, v.ClearUserTurn())
		}, agents.ErrTurnCleared, nil},
		{"as its context ends", func(_ *testing.T, _ *agenttest.VoiceSession, cancel context.CancelCauseFunc) {
			cancel(cause)
		}, cause, []string{"4.3s Hello there"}},
		{"as the session closes", func(t *testing.T, v *agenttest.VoiceSession, _ context.CancelCauseFunc) {
			begun := time.Now()
			require.NoError(t, v.Close())
			require.Equal(t, 2*time.Second, time.Since(begun), "for the transcript of what was said")
		}, agents.ErrTurnCleared, []string{"5s Hello there"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			agenttest.Run(t, func(t *testing.T) {
				v := asks(t, agents.NoTurnDetector, agenttest.Voice(speaks(0.5, 2, "Hello there").NoFinal()), manual)
				ctx, cancel := context.WithCancelCause(t.Context())
				defer cancel(nil)
				v.Until(sec(2.3))
				wait := commits(ctx, v)
				v.Until(sec(3))
				c.do(t, v, cancel)
				r := wait()
				require.ErrorIs(t, r.err, c.err)
				require.Equal(t, sec(3), r.at)
				v.Until(sec(8))
				require.Equal(t, c.ends, turnEnds(v), v.Log())
			})
		})
	}
}

// A quietSTT counts the silence that it is given.
type quietSTT struct {
	*agenttest.STT
	silence *atomic.Int64
}

func (s quietSTT) Stream(ctx context.Context, o agents.STTOptions) (agents.STTStream, error) {
	stream, err := s.STT.Stream(ctx, o)
	if err != nil {
		return nil, err
	}
	return quietStream{stream, s.silence}, nil
}

type quietStream struct {
	agents.STTStream
	silence *atomic.Int64
}

func (s quietStream) Send(f agents.AudioFrame) error {
	if !slices.ContainsFunc(f.Samples, func(x int16) bool { return x != 0 }) {
		s.silence.Add(int64(f.Duration()))
	}
	return s.STTStream.Send(f)
}

// Without audio input the STT is given silence to finish with, in pieces of 200 ms.
func TestCommitWithoutInput(t *testing.T) {
	for _, c := range []struct {
		name    string
		on      bool
		silence agents.Delay
		want    time.Duration
	}{
		{"by default", false, 0, 2 * time.Second},
		{"as long as asked for", false, agents.Delay(300 * ms), 400 * ms},
		{"none", false, agents.Never, 0},
		{"none while there is input", true, 0, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			agenttest.Run(t, func(t *testing.T) {
				script := agenttest.Voice(speaks(0.5, 2, "Hello there").NoFinal())
				var silence atomic.Int64
				v := asks(t, agents.NoTurnDetector, script, func(o *agents.Options) {
					manual(o)
					o.STT = quietSTT{agenttest.NewSTT(t, script), &silence}
				})
				v.Until(sec(2.15))
				require.NoError(t, v.SetAudioInput(c.on))
				v.Until(sec(3))
				text, err := v.CommitUserTurn(t.Context(), agents.CommitOptions{Timeout: agents.Delay(100 * ms), Silence: c.silence})
				require.NoError(t, err)
				require.Equal(t, "Hello there", text)
				require.Equal(t, c.want, time.Duration(silence.Load()))
			})
		})
	}
}

// Without a session there is no turn.
func TestCommitWithoutSession(t *testing.T) {
	s := agents.NewSession(agents.Options{})
	_, err := s.CommitUserTurn(t.Context())
	require.ErrorIs(t, err, agents.ErrNotStarted)
	require.ErrorIs(t, s.ClearUserTurn(), agents.ErrNotStarted)
	agenttest.Run(t, func(t *testing.T) {
		v := asks(t, agents.NoTurnDetector, agenttest.Voice(speaks(0.5, 2, "Hello there")), manual)
		require.NoError(t, v.Close())
		_, err = v.CommitUserTurn(t.Context())
		require.ErrorIs(t, err, agents.ErrSessionClosed)
		require.ErrorIs(t, v.ClearUserTurn(), agents.ErrSessionClosed)
	})
}

// The user's turn ends by the application while the agent speaks: the agent is interrupted, unless it may not be, and
// the turn is answered afterwards.
func TestCommitWhileTheAgentSpeaks(t *testing.T) {
	for _, c := range []struct {
		name  string
		allow agents.Toggle
		want  string
	}{
		{"and may be interrupted", agents.Default, "assistant: Please (interrupted)\nuser: Hello there\nassistant: I see.\n"},
		{"and may not", agents.Off, "assistant: Please listen.\nuser: Hello there\nassistant: I see.\n"},
	} {
		t.Run(c.name, func(t *testing.T) {
			agenttest.Run(t, func(t *testing.T) {
				script := agenttest.Voice(speaks(0.5, 2, "Hello there"))
				v := asks(t, agents.NoTurnDetector, script, func(o *agents.Options) {
					manual(o)
					o.Turn.Interruption.DiscardAudio = agents.Off
					tts := agenttest.NewTTS(t, agenttest.Spoken("Please listen.", 3*time.Second), agenttest.Spoken("I see.", time.Second))
					tts.Words = true
					o.TTS = tts
				})
				v.Until(sec(0.1))
				v.Say("Please listen.", agents.SayOptions{AllowInterruptions: c.allow})
				v.Until(sec(2.3))
				_, err := v.CommitUserTurn(t.Context())
				require.NoError(t, err)
				v.Until(sec(10))
				require.Equal(t, c.want, transcript(v.History()), v.Log())
				require.Equal(t, agents.AgentListening, v.AgentState())
			})
		})
	}
}
