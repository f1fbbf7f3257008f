package backgroundaudio

import (
	"context"
	"errors"
	"math"
	"math/rand/v2"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/parley-voice/agents"
	"github.com/parley-voice/agents/agenttest"
)

// numbers is a random source that gives the numbers in turn, each in [0, 1).
type numbers []float64

func (n *numbers) Uint64() uint64 {
	x := (*n)[0]
	*n = append((*n)[1:], x)
	return uint64(math.Round(x * (1 << 53)))
}

var _ rand.Source = (*numbers)(nil)

// clip returns a clip of n samples of a value at 1000 Hz.
func clip(t testing.TB, n int, value int16) *Clip {
	c, err := NewClip(frame(n, value))
	require.NoError(t, err)
	return c
}

// started returns a player on a speaker at 1000 Hz. What is played at a time that is a multiple of 20 ms and a bit is
// heard a second later, from the next multiple of 20 ms on: the speaker holds a second, and a frame waits for it.
func started(t *testing.T, opts Options) (*Player, *sink) {
	t.Helper()
	p, err := New(opts)
	require.NoError(t, err)
	s := newSink()
	require.NoError(t, p.Start(t.Context(), nil, s))
	t.Cleanup(func() { require.NoError(t, p.Close()) })
	return p, s
}

func TestAmbienceLoopsFromTheBeginning(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, err := NewClip(agents.AudioFrame{Samples: append(frame(300, 5).Samples, frame(133, 7).Samples...), SampleRate: 1000, Channels: 1})
		require.NoError(t, err)
		p, s := started(t, Options{Ambient: []Sound{{Source: c, Volume: 2}}})
		time.Sleep(1003 * ms)
		wantPieces(t, s.heard(t), "0-300:10 300-433:14 433-733:10 733-866:14 866-1003:10")
		require.NoError(t, p.Close())
		require.NoError(t, p.Close())
		played := s.Played()
		require.Len(t, played, 1, "it is one segment")
		require.True(t, played[0].Interrupted)
		<-p.Done()
	})
}

func TestAmbienceThatDoesNotLoop(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, s := started(t, Options{Ambient: []Sound{{Source: clip(t, 105, 5), Loop: agents.Off}}})
		time.Sleep(203 * ms)
		wantPieces(t, s.heard(t), "0-105:5 105-203:0")
	})
}

// Nothing drifts in an hour at a rate that is no whole number of samples a millisecond, nor is there a gap.
func TestAmbienceDoesNotDrift(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, err := New(Options{Ambient: []Sound{{Source: clip(t, 10, 5)}}})
		require.NoError(t, err)
		s := newSink()
		s.rate, s.clock = 1000, 1001
		require.NoError(t, p.Start(t.Context(), nil, s))
		begin := time.Now()
		time.Sleep(time.Hour + 3*ms)
		played := s.Played()
		require.Len(t, played, 1)
		require.Equal(t, begin, played[0].Started)
		require.EqualValues(t, 3600*1001+3, played[0].Audio.Len())
		require.NoError(t, p.Close())
	})
}

func TestPlay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, s := started(t, Options{Ambient: []Sound{{Source: clip(t, 20, 1)}}})
		time.Sleep(505 * ms)
		once, err := p.Play(Sound{Source: clip(t, 50, 100)})
		require.NoError(t, err)
		loop, err := p.Play(Sound{Source: clip(t, 30, 1000), Loop: agents.On})
		require.NoError(t, err)
		time.Sleep(50 * ms) // 555: 40 samples of it have been mixed
		require.False(t, once.over())
		require.NoError(t, once.Wait(t.Context()))
		require.Equal(t, 560*ms, sinceStart(s))
		once.Stop()
		time.Sleep(65 * ms) // 625
		loop.Stop()
		loop.Stop()
		<-loop.Done()
		require.Equal(t, 625*ms, sinceStart(s))
		time.Sleep(1500 * ms)
		wantPieces(t, s.heard(t), "0-1520:1 1520-1570:1101 1570-1640:1001 1640-2125:1")

		gone, cancel := context.WithCancel(t.Context())
		cancel()
		loop, err = p.Play(Sound{Source: clip(t, 30, 1000), Loop: agents.On})
		require.NoError(t, err)
		require.ErrorIs(t, loop.Wait(gone), context.Canceled)
		require.NoError(t, p.Close())
		require.NoError(t, loop.Wait(t.Context()))
	})
}

func sinceStart(s *sink) time.Duration { return time.Since(s.Played()[0].Started) }

func TestFades(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, s := started(t, Options{})
		h, err := p.Play(Sound{Source: clip(t, 20, 10000), Loop: agents.On, Volume: 0.5, FadeIn: 100 * ms, FadeOut: 60 * ms})
		require.NoError(t, err)
		time.Sleep(205 * ms)
		h.Stop() // 205: it fades from sample 1220 on, which is mixed at 220
		h.Stop() // and does not begin again
		time.Sleep(54 * ms)
		require.False(t, h.over(), "it is over when it has faded")
		<-h.Done()
		require.Equal(t, 260*ms, sinceStart(s))
		time.Sleep(2 * time.Second)
		got := s.heard(t)
		first := 0
		for got[first+1] == 0 {
			first++
		}
		// A quarter of a sine, and a quarter of a cosine.
		require.Equal(t, 0, int(got[first]))
		for i := range 100 {
			require.InDelta(t, 5000*math.Sin(math.Pi/2*float64(i)/100), got[first+i], 3, "%d", i)
		}
		require.EqualValues(t, 5000, got[first+100])
		require.EqualValues(t, 5000, got[1219])
		for i := range 60 {
			require.InDelta(t, 5000*math.Cos(math.Pi/2*float64(i)/60), got[1220+i], 3, "%d", i)
		}
		require.EqualValues(t, 0, got[1280])
	})
}

// What is too loud is cut off once, whatever the number of sounds.
func TestGainsAreCutOffAtFullScale(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, s := started(t, Options{Ambient: []Sound{{Source: clip(t, 20, 20000), Volume: 3}}})
		for _, v := range []int16{-30000, -2767} {
			_, err := p.Play(Sound{Source: clip(t, 20, v), Loop: agents.On})
			require.NoError(t, err)
		}
		_, err := p.Play(Sound{Source: clip(t, 20, 30000), Loop: agents.On, Volume: agents.None})
		require.NoError(t, err)
		time.Sleep(2 * time.Second)
		require.EqualValues(t, 0, s.heard(t)[1999])
	})
}

func TestSelection(t *testing.T) {
	sounds := func(p ...float64) (list []Sound) {
		for i, p := range p {
			list = append(list, Sound{Source: Frames(nil), Probability: p, Volume: float64(i + 1)})
		}
		return list
	}
	for _, c := range []struct {
		name   string
		random float64
		sounds []Sound
		want   float64 // 0 for none
	}{
		{"an empty list", 0, nil, 0},
		{"none of them ever", 0, sounds(agents.None, agents.None), 0},
		{"a single one", 0.999, sounds(0), 1},
		{"a single one that is rare", 0.1, sounds(0.1), 0},
		{"a single one that is rare, chosen", 0.099, sounds(0.1), 1},
		{"first of less than 1", 0.2, sounds(0.25, 0.5), 1},
		{"second of less than 1", 0.7, sounds(0.25, 0.5), 2},
		{"the rest of less than 1", 0.75, sounds(0.25, 0.5), 0},
		{"by default they are equal", 0.49, sounds(0, 0), 1},
		{"by default they are equal, second", 0.51, sounds(0, 0), 2},
		{"weights", 0.61, sounds(0.9, 0.6), 2},
		{"never is never", 0, sounds(agents.None, 1), 2},
	} {
		s, ok := choose(c.random, c.sounds)
		require.Equal(t, c.want > 0, ok, c.name)
		require.Equal(t, c.want, s.Volume, c.name)
	}
}

func TestSelectionBySeed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		list := []Sound{{Source: clip(t, 20, 1), Probability: 0.25}, {Source: clip(t, 20, 10), Probability: 0.25}}
		p, s := started(t, Options{Ambient: list, Random: &numbers{0.3, 0.9, 0.1}})
		none, err := p.Play(list...)
		require.NoError(t, err)
		<-none.Done()
		none.Stop()
		require.NoError(t, none.Wait(t.Context()))
		time.Sleep(105 * ms)
		_, err = p.Play(list...)
		require.NoError(t, err)
		time.Sleep(1100 * ms)
		wantPieces(t, s.heard(t), "0-1120:10 1120-1140:11 1140-1205:10")
	})
}

func TestThinkingSound(t *testing.T) {
	for _, c := range []struct {
		name     string
		thinking Sound
		want     string
	}{
		{"by default in a loop", Sound{Source: nil}, "0-2020:1 2020-5020:101 5020-8020:1 8020-9020:101 9020-9510:1"},
		{"once", Sound{Loop: agents.Off}, "0-2020:1 2020-2070:101 2070-8020:1 8020-8070:101 8070-9510:1"},
		{"louder", Sound{Volume: 2}, "0-2020:1 2020-5020:201 5020-8020:1 8020-9020:201 9020-9510:1"},
	} {
		t.Run(c.name, func(t *testing.T) {
			agenttest.Run(t, func(t *testing.T) {
				c.thinking.Source = clip(t, 50, 100)
				p, err := New(Options{Ambient: []Sound{{Source: clip(t, 20, 1)}}, Thinking: []Sound{c.thinking}})
				require.NoError(t, err)
				llm := agenttest.NewLLM(t,
					agenttest.Any().TTFT(3*time.Second).Say("One."),
					agenttest.Any().TTFT(time.Second).Say("Two."))
				session := agenttest.Start(t, agents.Options{LLM: llm, UserAwayTimeout: agents.Never}, &agents.Agent{ID: "a"})
				s := newSink()
				require.NoError(t, p.Start(t.Context(), session.AgentSession, s))
				time.Sleep(1005 * ms)
				session.User("one") // it thinks from 1005 to 4005
				time.Sleep(3 * time.Second)
				session.User("two") // and from 7005 to 8005
				time.Sleep(1505 * ms)
				wantPieces(t, s.heard(t), c.want)
				require.NoError(t, p.Close())
			})
		})
	}
}

// While one fades out the next may begin.
func TestThinkingSoundsMayOverlap(t *testing.T) {
	agenttest.Run(t, func(t *testing.T) {
		p, err := New(Options{
			Thinking: []Sound{{Source: clip(t, 50, 1000), FadeOut: time.Second}, {Source: clip(t, 50, 1)}},
			Random:   &numbers{0.1, 0.9},
		})
		require.NoError(t, err)
		llm := agenttest.NewLLM(t,
			agenttest.Any().TTFT(100*ms).Say("One."), agenttest.Any().TTFT(100*ms).Say("Two."))
		session := agenttest.Start(t, agents.Options{LLM: llm, UserAwayTimeout: agents.Never}, &agents.Agent{ID: "a"})
		s := newSink()
		require.NoError(t, p.Start(t.Context(), session.AgentSession, s))
		time.Sleep(5 * ms)
		session.User("one") // thinks from 5 to 105
		time.Sleep(100 * ms)
		session.User("two") // and from 205 to 305
		time.Sleep(2 * time.Second)
		got := s.heard(t)
		require.EqualValues(t, 1000, got[1119])
		require.InDelta(t, 1000*math.Cos(math.Pi/2*0.1), got[1219], 1)
		require.InDelta(t, 1000*math.Cos(math.Pi/2*0.1)+1, got[1220], 2)
		require.InDelta(t, 1000*math.Cos(math.Pi/2*0.2), got[1320], 1)
		require.EqualValues(t, 0, got[2130])
		require.NoError(t, p.Close())
	})
}

// The thinking sound ends with the session; the ambience does not.
func TestSessionThatClosesWhileItThinks(t *testing.T) {
	agenttest.Run(t, func(t *testing.T) {
		p, err := New(Options{
			Ambient:  []Sound{{Source: clip(t, 20, 1)}},
			Thinking: []Sound{{Source: clip(t, 20, 100)}},
		})
		require.NoError(t, err)
		llm := agenttest.NewLLM(t, agenttest.Any().TTFT(time.Hour).Say("One."))
		session := agenttest.Start(t, agents.Options{LLM: llm, UserAwayTimeout: agents.Never}, &agents.Agent{ID: "a"})
		session.GenerateReply(agents.Reply{UserInput: "one"})
		agenttest.Settle(t)
		s := newSink()
		require.NoError(t, p.Start(t.Context(), session.AgentSession, s)) // it thinks already
		time.Sleep(105 * ms)
		require.NoError(t, session.Close())
		time.Sleep(1200 * ms)
		got := pieces(s.heard(t))
		require.Contains(t, got, ":101 1120-1305:1")
		require.NoError(t, p.Close())
	})
}

func TestPlayerOnAMixedOutput(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSink()
		voice, background := Mix(s)
		p, err := New(Options{Ambient: []Sound{{Source: clip(t, 20, 1)}}})
		require.NoError(t, err)
		require.NoError(t, p.Start(t.Context(), nil, background))
		l := listen(voice)
		time.Sleep(1005 * ms)
		say(t, voice, 100, 500)
		voice.Flush()
		_, err = p.Play(Sound{Source: clip(t, 20, 10)}) // heard after what is mixed, and held: 160 ms
		require.NoError(t, err)
		time.Sleep(300 * ms)
		l.want(t, "1.06s 1 started", "1.16s 1 finished 100ms")
		wantPieces(t, s.heard(t), "0-1060:1 1060-1160:501 1160-1180:1 1180-1200:11 1200-1305:1")
		require.NoError(t, p.Close())
		voice.Detach()
	})
}

func TestOutputThatIsCleared(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, s := started(t, Options{Ambient: []Sound{{Source: clip(t, 20, 1)}}})
		time.Sleep(105 * ms)
		s.Clear()
		time.Sleep(100 * ms)
		require.Len(t, s.Played(), 2)
		require.Equal(t, 105*ms, s.Played()[0].Audio.Duration())
		require.Equal(t, 100*ms, s.Played()[1].Audio.Duration())
		s.Attach(func(agents.PlaybackEvent) {}) // somebody else takes it, and gives it back
		s.Detach()
		time.Sleep(time.Minute) // frames are dropped, at no more than twice the pace of time
		require.NoError(t, p.Close())
	})
}

func TestOutputThatFails(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, err := New(Options{})
		require.NoError(t, err)
		s := newSink()
		require.NoError(t, p.Start(t.Context(), nil, s))
		h, err := p.Play(Sound{Source: clip(t, 20, 1), Loop: agents.On})
		require.NoError(t, err)
		time.Sleep(105 * ms)
		broken := errors.New("broken")
		s.err.Store(&broken)
		<-p.Done()
		require.NoError(t, h.Wait(t.Context()))
		require.ErrorIs(t, p.Close(), broken)
		_, err = p.Play(Sound{Source: clip(t, 20, 1)})
		require.ErrorIs(t, err, ErrClosed)
	})
}

// hung is an output that does not look at contexts.
type hung struct {
	*agenttest.Speaker
	until chan struct{}
}

func (h *hung) CaptureFrame(context.Context, agents.AudioFrame) error { <-h.until; return nil }

func TestCloseIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, err := New(Options{})
		require.NoError(t, err)
		out := &hung{agenttest.NewSpeaker(), make(chan struct{})}
		require.NoError(t, p.Start(t.Context(), nil, out))
		synctest.Wait()
		begin := time.Now()
		require.ErrorIs(t, p.Close(), ErrAbandoned)
		require.Equal(t, time.Second, time.Since(begin))
		close(out.until)
		<-p.Done()
		require.NoError(t, p.Close())
	})
}

func TestPlayerEndsWithItsContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, err := New(Options{Ambient: []Sound{{Source: clip(t, 20, 1)}}})
		require.NoError(t, err)
		ctx, cancel := context.WithCancel(t.Context())
		s := newSink()
		require.NoError(t, p.Start(ctx, nil, s))
		time.Sleep(55 * ms)
		cancel()
		<-p.Done()
		require.NoError(t, p.Close())
		wantPieces(t, s.heard(t), "0-55:1")
	})
}

func TestWrongUse(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		good := Sound{Source: clip(t, 20, 1)}
		frames := Frames(func(func(agents.AudioFrame) bool) {})
		for name, s := range map[string]Sound{
			"no source":                     {},
			"no clip":                       {Source: (*Clip)(nil)},
			"no frames":                     {Source: Frames(nil)},
			"no built-in sound":             {Source: Builtin("beach")},
			"looping frames":                {Source: frames, Loop: agents.On},
			"a negative volume":             {Source: good.Source, Volume: -0.5},
			"a volume that is no number":    {Source: good.Source, Volume: math.NaN()},
			"an infinite volume":            {Source: good.Source, Volume: math.Inf(1)},
			"a probability above 1":         {Source: good.Source, Probability: 1.1},
			"a negative probability":        {Source: good.Source, Probability: -0.1},
			"a probability without a value": {Source: good.Source, Probability: math.NaN()},
			"a negative fade in":            {Source: good.Source, FadeIn: -1},
			"a negative fade out":           {Source: good.Source, FadeOut: -1},
		} {
			_, err := New(Options{Ambient: []Sound{good, s}})
			require.Error(t, err, name)
			_, err = New(Options{Thinking: []Sound{s}})
			require.Error(t, err, name)
		}

		p, err := New(Options{})
		require.NoError(t, err)
		_, err = p.Play(good)
		require.ErrorIs(t, err, ErrNotStarted)
		require.Error(t, p.Start(t.Context(), nil, nil))
		odd, err := NewClip(agents.AudioFrame{Samples: []int16{1}, SampleRate: 12345, Channels: 1})
		require.NoError(t, err)
		for _, list := range []Options{{Ambient: []Sound{{Source: odd}}}, {Thinking: []Sound{good}}} {
			p, err := New(list)
			require.NoError(t, err)
			require.Error(t, p.Start(t.Context(), nil, newSink()))
			require.NoError(t, p.Close())
			require.NoError(t, p.Close())
		}

		s := newSink()
		require.NoError(t, p.Start(t.Context(), nil, s))
		require.ErrorIs(t, p.Start(t.Context(), nil, s), ErrAlreadyStarted)
		_, err = p.Play(Sound{})
		require.Error(t, err)
		_, err = p.Play(Sound{Source: odd})
		require.ErrorIs(t, err, agents.ErrAudioFormat)
		good.Loop = agents.On
		for range maxSounds {
			_, err := p.Play(good)
			require.NoError(t, err)
		}
		_, err = p.Play(good)
		require.ErrorIs(t, err, ErrTooManySounds)
		require.NoError(t, p.Close())
		_, err = p.Play(good)
		require.ErrorIs(t, err, ErrClosed)
		require.ErrorIs(t, p.Start(t.Context(), nil, s), ErrClosed)
	})
}
