package agents_test

import (
	"context"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/parley-voice/agents"
	"github.com/parley-voice/agents/agenttest"
)

// Who hears the user's audio: the VAD, the recogniser, and the detectors of the end of turns and of interruptions.

// A tape is the audio that one of them got.
type tape struct {
	mu      sync.Mutex
	samples []int16
	resets  int
}

func (t *tape) add(f agents.AudioFrame) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.samples = append(t.samples, f.Samples...)
}

// upTo returns what there was up to a time, of audio at 16 kHz.
func (t *tape) upTo(d time.Duration) []int16 {
	t.mu.Lock()
	defer t.mu.Unlock()
	return slices.Clone(t.samples[:min(agents.SamplesIn(d, 16000), int64(len(t.samples)))])
}

func (t *tape) length() time.Duration {
	t.mu.Lock()
	defer t.mu.Unlock()
	return agents.SampleDuration(int64(len(t.samples)), 16000)
}

type tapedVAD struct {
	agents.VAD
	tape    *tape
	streams *int
}

type tapedVADStream struct {
	agents.VADStream
	tape *tape
}

func (v tapedVAD) Stream() agents.VADStream {
	*v.streams++
	return tapedVADStream{v.VAD.Stream(), v.tape}
}

func (s tapedVADStream) Push(f agents.AudioFrame) ([]agents.VADEvent, error) {
	s.tape.add(f)
	return s.VADStream.Push(f)
}

func (s tapedVADStream) Reset() {
	s.tape.resets++
	s.VADStream.Reset()
}

type tapedSTT struct {
	*agenttest.STT
	tape *tape
}

type tapedSTTStream struct {
	agents.STTStream
	tape *tape
}

func (s tapedSTT) Stream(ctx context.Context, o agents.STTOptions) (agents.STTStream, error) {
	stream, err := s.STT.Stream(ctx, o)
	return tapedSTTStream{stream, s.tape}, err
}

func (s tapedSTTStream) Send(f agents.AudioFrame) error {
	s.tape.add(f)
	return s.STTStream.Send(f)
}

// A tapedDetector is a detector of the end of turns that, while it is out of order, does not answer, as a model at the
// other end of a lost connection does. When it is told that nobody waits any more, or at once, it goes on with a simpler
// model, and stays with that.
type tapedDetector struct {
	*agenttest.AudioTurnDetector
	tape   *tape
	asked  *[]askedFor
	broken *atomic.Bool // does not answer
	notes  bool         // that it does not, by itself
}

// askedFor is a request and the audio that there was before it.
type askedFor struct {
	id    uint64
	after time.Duration
}

func (d tapedDetector) Provider() string { return "cloud" }
func (d tapedDetector) Model() string {
	if d.broken != nil && !d.broken.Load() {
		return "mini"
	}
	return "full"
}

type tapedDetectorStream struct {
	agents.TurnDetectorStream
	d tapedDetector
}

func (d tapedDetector) Stream(ctx context.Context) (agents.TurnDetectorStream, error) {
	stream, err := d.AudioTurnDetector.Stream(ctx)
	return tapedDetectorStream{stream, d}, err
}

func (s tapedDetectorStream) Send(f agents.AudioFrame) error {
	s.d.tape.add(f)
	return s.TurnDetectorStream.Send(f)
}

func (s tapedDetectorStream) Predict(id uint64, language string) error {
	if s.d.asked != nil {
		*s.d.asked = append(*s.d.asked, askedFor{id, s.d.tape.length()})
	}
	if s.d.broken != nil && s.d.broken.Load() {
		if !s.d.notes {
			return nil
		}
		s.d.broken.Store(false)
	}
	return s.TurnDetectorStream.Predict(id, language)
}

func (s tapedDetectorStream) Cancel(timedOut bool) {
	if timedOut && s.d.broken != nil {
		s.d.broken.Store(false)
	}
	s.TurnDetectorStream.Cancel(timedOut)
}

type tapedJudge struct {
	*agenttest.InterruptionDetector
	tape *tape
}

type tapedJudgeStream struct {
	agents.InterruptionStream
	tape *tape
}

func (d tapedJudge) Stream(ctx context.Context) (agents.InterruptionStream, error) {
	stream, err := d.InterruptionDetector.Stream(ctx)
	return tapedJudgeStream{stream, d.tape}, err
}

func (s tapedJudgeStream) Send(f agents.AudioFrame) error {
	s.tape.add(f)
	return s.InterruptionStream.Send(f)
}

// T68: everybody who listens hears the same, whoever else does. While the agent says what may not be interrupted the
// recogniser alone hears silence instead, as much of it as there is audio.
func TestEverybodyHearsTheSame(t *testing.T) {
	for _, c := range []struct {
		name            string
		vad, stt, turns bool
		protected       bool
	}{
		{"all", true, true, true, false},
		{"all, while nobody else is understood", true, true, true, true},
		{"without a VAD", false, true, false, false},
		{"without a recogniser", true, false, true, false},
		{"only a VAD", true, false, false, false},
		{"nobody", false, false, false, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			agenttest.Run(t, func(t *testing.T) {
				script := agenttest.Voice(speaks(0.5, 1.5, "Hello"), speaks(2, 2.8, ""))
				var vad, stt, turns, judge tape
				var streams int
				opts := voiceOptions(agenttest.NewLLM(t, agenttest.Any().Empty().Always()), agenttest.NewTTS(t, agenttest.Spoken("A second.", time.Second)))
				opts.VAD, opts.STT = agents.NoVAD, agents.NoSTT
				var want []*tape
				if c.vad {
					opts.VAD = tapedVAD{agenttest.NewVAD(script), &vad, &streams}
					want = append(want, &vad)
				}
				if c.turns {
					opts.TurnDetector = tapedDetector{AudioTurnDetector: agenttest.NewAudioTurnDetector(t, script, agenttest.LikelyAny(0.9)), tape: &turns}
					want = append(want, &turns)
				}
				if c.stt {
					opts.STT = tapedSTT{agenttest.NewSTT(t, script), &stt}
					want = append(want, &stt)
				}
				if c.vad && c.stt {
					opts.InterruptionDetector = tapedJudge{agenttest.NewInterruptionDetector(t), &judge}
					want = append(want, &judge)
				}
				v := agenttest.StartVoice(t, opts, &agents.Agent{}, script)
				v.Until(sec(1))
				if c.protected {
					v.Say("A second.", agents.SayOptions{AllowInterruptions: agents.Off})
				}
				v.Until(sec(4))
				mic := agenttest.NewMic(script)
				mic.Frame = 4 * time.Second
				frame, err := mic.ReadFrame(t.Context())
				require.NoError(t, err)
				for _, tape := range want {
					audio := slices.Clone(frame.Samples)
					if c.protected && tape == &stt { // the speech has its turn from 1.0, and is heard to 2.2
						clear(audio[agents.SamplesIn(sec(1), 16000):agents.SamplesIn(sec(2.2), 16000)])
					}
					require.True(t, slices.Equal(audio, tape.upTo(sec(4))), "%v of audio", tape.length())
				}
			})
		})
	}
}

// T68: positions in the audio count from its first sample, for as long as the session lasts, also where hearing was
// switched off in between.
func TestAudioHasOneBeginning(t *testing.T) {
	agenttest.Run(t, func(t *testing.T) {
		script := agenttest.Voice(speaks(0.5, 2, "Hello there"), speaks(12, 13, "Good morning"))
		v := asks(t, agents.NoTurnDetector, script, func(o *agents.Options) {
			o.Turn = agents.TurnOptions{Detection: agents.TurnBySTT, Endpointing: agents.Endpointing{MinDelay: 500 * ms}}
			o.STT, o.VAD = endingSTT{agenttest.NewSTT(t, script)}, agents.NoVAD
		})
		v.Until(sec(6))
		require.NoError(t, v.SetAudioInput(false))
		v.Until(sec(9))
		require.NoError(t, v.SetAudioInput(true))
		v.Until(sec(18))
		for i, from := range at(0.5, 12) {
			require.Equal(t, from, v.Since(messageOf(t, v, agents.RoleUser, i).Metrics.StartedSpeakingAt), v.Log())
		}
	})
}

// T67: when the recogniser says that speech ended amid a sound, voice activity begins anew, in the same stream.
func TestVoiceActivityBeginsAnew(t *testing.T) {
	agenttest.Run(t, func(t *testing.T) {
		script := agenttest.Voice(speaks(0.5, 2, "Hello there").Delay(100*ms), speaks(2, 4, ""))
		var vad tape
		var streams int
		v := asks(t, agents.NoTurnDetector, script, func(o *agents.Options) {
			o.Turn = agents.TurnOptions{Detection: agents.TurnBySTT, Endpointing: agents.Endpointing{MinDelay: 500 * ms}}
			o.STT, o.VAD = endingSTT{agenttest.NewSTT(t, script)}, tapedVAD{agenttest.NewVAD(script), &vad, &streams}
		})
		v.Until(sec(8))
		require.Equal(t, []string{"4.5s Hello there"}, turnEnds(v), v.Log())
		require.Equal(t, 1, vad.resets)
		require.Equal(t, 1, streams)
	})
}

// T65: a detector that listens has the audio up to the moment it is asked about, and no more of it; and the requests in
// their order.
func TestDetectorIsAskedInOrder(t *testing.T) {
	agenttest.Run(t, func(t *testing.T) {
		script := agenttest.Voice(speaks(0.5, 1, "Hello"), speaks(1.35, 2, "there"))
		var turns tape
		var asked []askedFor
		d := tapedDetector{AudioTurnDetector: agenttest.NewAudioTurnDetector(t, script, agenttest.LikelyAny(0.9)), tape: &turns, asked: &asked}
		v := asks(t, d, script, func(o *agents.Options) {
			vad := agenttest.NewVAD(script)
			vad.MinSilence = 400 * ms
			o.VAD = vad
		})
		v.Until(sec(8))
		require.Len(t, asked, 2)
		require.Equal(t, at(1.25, 2.25), []time.Duration{asked[0].after, asked[1].after})
		require.Less(t, asked[0].id, asked[1].id)
		require.Equal(t, []string{"2.4s Hello there"}, turnEnds(v), v.Log())
	})
}

// T66: a detector that has lost its model goes on with a simpler one, when it is told that nobody waits for an answer any
// more, or by itself, and stays with that. The session takes what it says, and is told of no failure.
func TestDetectorGoesOnWithASimplerModel(t *testing.T) {
	for _, c := range []struct {
		name   string
		notes  bool
		ends   []string
		models []string
	}{
		// The first turn ends a second after the request at 2.25, without an answer.
		{"when nobody waits any more", false, []string{"3.25s Hello there", "8.3s Good morning", "12.3s Goodbye"}, []string{"", "mini", "mini"}},
		{"by itself", true, []string{"2.3s Hello there", "8.3s Good morning", "12.3s Goodbye"}, []string{"mini", "mini", "mini"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			agenttest.Run(t, func(t *testing.T) {
				script := agenttest.Voice(speaks(0.5, 2, "Hello there"), speaks(7, 8, "Good morning"), speaks(11, 12, "Goodbye"))
				var turns tape
				var broken atomic.Bool
				broken.Store(true)
				listens := agenttest.NewAudioTurnDetector(t, script, agenttest.LikelyAny(0.9))
				v := asks(t, tapedDetector{AudioTurnDetector: listens, tape: &turns, broken: &broken, notes: c.notes}, script, asIs)
				v.Until(sec(15))
				require.Equal(t, c.ends, turnEnds(v), v.Log())
				require.Empty(t, eventsOf[*agents.ErrorOccurred](v.Session))
				require.Equal(t, 1, listens.Streams())
				var models []string
				for _, e := range eventsOf[*agents.EOUMetrics](v.Session) {
					models = append(models, e.Model)
				}
				require.Equal(t, c.models, models)
			})
		})
	}
}
