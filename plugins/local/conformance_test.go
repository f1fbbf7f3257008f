package local_test

import (
	"context"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/parley-voice/agents"
	"github.com/parley-voice/agents/agenttest"
	"github.com/parley-voice/agents/plugins/local"
)

// With the adapters of package agents, the voice and the recogniser are streaming ones and keep their rules. A program
// has no HTTP status to refuse with, so another value stands in for it where the suites want one.

// A streamedTTS tells the fake program which stream it speaks for: one that is closed at once may come to no process.
type streamedTTS struct {
	*agents.TTSAdapter
	fake   *fake
	status int
	opened int
}

func (s *streamedTTS) Stream(ctx context.Context, opts agents.TTSOptions) (agents.TTSStream, error) {
	if s.status != 0 {
		return nil, agenttest.StatusError(s.status)
	}
	s.opened++
	s.fake.follow(s.opened)
	return s.TTSAdapter.Stream(ctx, opts)
}

// spoken is what the programs were to speak.
type spoken struct{ *fake }

func (s spoken) Texts() []string { return s.runs("input")[1:] } // the first is of NewTTS

func TestTTSConformance(t *testing.T) {
	for _, program := range []string{"espeak-ng", "flite"} {
		t.Run(program, func(t *testing.T) {
			agenttest.TestTTS(t, agenttest.TTSUnderTest{New: func(t *testing.T, streams ...agenttest.Synthesis) (agents.TTS, agenttest.TTSFake) {
				var acts []act
				status := 0
				for _, s := range streams {
					status = s.Status
					acts = append(acts, act{Audio: s.Audio, Hang: s.End == agenttest.Hang, Crash: s.End == agenttest.Cut})
				}
				tts, f := fakeTTS(t, local.TTSOptions{Program: program}, acts...)
				adapter, err := agents.NewTTSAdapter(tts, agents.TTSAdapterOptions{Conn: agents.ConnectOptions{MaxRetries: agents.None}})
				require.NoError(t, err)
				t.Cleanup(func() { noChildren(t) })
				return &streamedTTS{TTSAdapter: adapter, fake: f, status: status}, spoken{f}
			}})
		})
	}
}

// A wholeSTT counts what its streams are sent, of which the adapter passes on the speech only, and keeps the adapter's
// reports of that to itself.
type wholeSTT struct {
	*agents.STTAdapter
	status int
	audio  atomic.Int64
}

func (w *wholeSTT) Audio() time.Duration { return time.Duration(w.audio.Load()) }

func (w *wholeSTT) Stream(ctx context.Context, opts agents.STTOptions) (agents.STTStream, error) {
	if w.status != 0 {
		return nil, agenttest.StatusError(w.status)
	}
	s, err := w.STTAdapter.Stream(ctx, opts)
	return &wholeStream{s, w}, err
}

type wholeStream struct {
	agents.STTStream
	w *wholeSTT
}

func (s *wholeStream) Send(f agents.AudioFrame) error {
	err := s.STTStream.Send(f)
	if err == nil {
		s.w.audio.Add(int64(f.Duration()))
	}
	return err
}

func (s *wholeStream) Recv() (agents.STTEvent, error) {
	for {
		ev, err := s.STTStream.Recv()
		if err != nil || ev.Type != agents.STTUsageReport {
			return ev, err
		}
	}
}

func TestSTTConformance(t *testing.T) {
	agenttest.TestSTT(t, agenttest.STTUnderTest{New: func(t *testing.T, streams ...agenttest.Recognition) (agents.STT, agenttest.STTFake) {
		r := streams[0]
		acts := []act{{Text: "hello there my friend\n"}, {Text: "good bye\n", Crash: r.End == agenttest.Cut}}
		stt, _ := fakeSTT(t, local.STTOptions{}, acts...)
		adapter, err := agents.NewSTTAdapter(stt, agenttest.NewVAD(r.Script), agents.ConnectOptions{MaxRetries: agents.None})
		require.NoError(t, err)
		t.Cleanup(func() { noChildren(t) })
		w := &wholeSTT{STTAdapter: adapter, status: r.Status}
		return w, w
	}})
}

// The suites set how long the audio is and what is heard, which real programs decide themselves. This is what the
// suites ask, of the installed ones.
func TestRealStreams(t *testing.T) {
	for _, program := range []string{"espeak-ng", "flite"} {
		t.Run(program, func(t *testing.T) {
			agenttest.VerifyNoLeaks(t)
			adapter, err := agents.NewTTSAdapter(realTTS(t, local.TTSOptions{Program: program}), agents.TTSAdapterOptions{})
			require.NoError(t, err)
			const text = "The first sentence is long enough. The second one is no shorter."
			stream, err := adapter.Stream(agenttest.Context(t), agents.TTSOptions{})
			require.NoError(t, err)
			for _, r := range text {
				require.NoError(t, stream.Send(string(r)))
			}
			require.NoError(t, stream.CloseSend())
			audio, words := time.Duration(0), []string{}
			for {
				chunk, err := stream.Recv()
				if err != nil {
					require.EqualError(t, err, "EOF")
					break
				}
				audio += chunk.Frame.Duration()
				for _, w := range chunk.Words {
					words = append(words, w.Text)
				}
				if chunk.Usage != nil {
					require.Equal(t, len(text), chunk.Usage.Characters)
				}
			}
			require.NoError(t, stream.Close())
			require.Greater(t, audio, 3*time.Second)
			require.Equal(t, text, strings.Join(words, ""))
			require.Len(t, words, 2)

			stream, err = adapter.Stream(agenttest.Context(t), agents.TTSOptions{})
			require.NoError(t, err)
			require.NoError(t, stream.Send(strings.Repeat("This takes a while, and there is much more of it, ", 500)))
			require.NoError(t, stream.Flush())
			_, err = stream.Recv()
			require.NoError(t, err)
			require.NoError(t, stream.Close())
			_, err = stream.Recv()
			require.ErrorIs(t, err, agents.ErrStreamClosed)
			noChildren(t)
		})
	}
	t.Run("pocketsphinx", func(t *testing.T) {
		agenttest.VerifyNoLeaks(t)
		tts, stt := realTTS(t, local.TTSOptions{Program: "flite"}), realSTT(t)
		said := speak(t, tts, "hello world", agents.TTSOptions{})
		quiet := agents.Silence(time.Second, 16000, 1)
		said.Samples = slices.Concat(quiet.Samples, said.Samples, quiet.Samples)
		end := said.Duration() - time.Second
		adapter, err := agents.NewSTTAdapter(stt, agenttest.NewVAD(agenttest.Voice(agenttest.Speech(time.Second, end, "hello world"))), agents.ConnectOptions{Timeout: agents.Never})
		require.NoError(t, err)
		stream, err := adapter.Stream(agenttest.Context(t), agents.STTOptions{})
		require.NoError(t, err)
		defer stream.Close()
		require.NoError(t, stream.Send(said))
		require.NoError(t, stream.CloseSend())
		var finals []string
		for {
			ev, err := stream.Recv()
			if err != nil {
				require.EqualError(t, err, "EOF")
				break
			}
			if ev.Type == agents.STTFinal {
				finals = append(finals, ev.Transcript.Text)
				require.Greater(t, ev.Transcript.Start, 900*ms)
				require.Less(t, ev.Transcript.End, end)
			}
		}
		require.Equal(t, []string{"hello world"}, finals)
		noChildren(t)
	})
}
