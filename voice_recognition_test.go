package agents_test

import (
	"bytes"
	"context"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/parley-voice/agents"
	"github.com/parley-voice/agents/agenttest"
)

// The end of a turn as turn detectors see it: a detector that reads is asked when the transcript is there, and one that
// listens when the user has been silent for 0.2 s. A turn that is not likely to be over waits for 2.5 s, any other for
// 0.3 s.

// asks starts a session in which the detector says when a turn is over, and every turn is answered in a second.
func asks(t *testing.T, detector agents.TurnDetector, script agenttest.VoiceScript, change func(*agents.Options)) *agenttest.VoiceSession {
	t.Helper()
	llm := agenttest.NewLLM(t, agenttest.Any().TTFT(100*ms).For(300*ms).Say("I see.").Always())
	opts := voiceOptions(llm, agenttest.NewTTS(t, agenttest.Spoken("I see.", time.Second)))
	opts.TurnDetector = detector
	opts.Turn.Endpointing = agents.Endpointing{MinDelay: 300 * ms, MaxDelay: 2500 * ms}
	vad := agenttest.NewVAD(script)
	vad.MinSilence = 250 * ms
	opts.VAD = vad
	change(&opts)
	return agenttest.StartVoice(t, opts, &agents.Agent{}, script)
}

// turnEnds returns when the user's turns were added to the history, and what was said in them.
func turnEnds(v *agenttest.VoiceSession) (out []string) {
	for _, e := range v.Recorded() {
		if e, ok := e.(*agents.ItemAdded); ok {
			if m, ok := e.Item.(*agents.ChatMessage); ok && m.Role == agents.RoleUser {
				out = append(out, v.Since(e.At).String()+" "+m.Text())
			}
		}
	}
	return out
}

// predicted returns when the detector's answers counted.
func predicted(v *agenttest.VoiceSession) (out []time.Duration) {
	for _, e := range v.Recorded() {
		if e, ok := e.(*agents.TurnPredicted); ok {
			out = append(out, v.Since(e.At))
		}
	}
	return out
}

// A turn that a detector has a say in.
type detectedTurn struct {
	name      string
	voice     []agenttest.VoicePart
	script    []agenttest.EndOfTurn
	faults    []agenttest.VoiceFault
	silence   time.Duration // of the VAD, if it is not 250 ms
	ends      []string
	calls     []string
	predicted []time.Duration
	errors    int
}

func (c detectedTurn) options(script agenttest.VoiceScript) func(*agents.Options) {
	return func(o *agents.Options) {
		if c.silence > 0 {
			vad := agenttest.NewVAD(script)
			vad.MinSilence = c.silence
			o.VAD = vad
		}
	}
}

func (c detectedTurn) check(t *testing.T, v *agenttest.VoiceSession, calls []string) {
	t.Helper()
	v.Until(sec(12))
	require.Equal(t, c.ends, turnEnds(v), v.Log())
	require.Equal(t, c.calls, calls, v.Log())
	require.Equal(t, c.predicted, predicted(v), v.Log())
	errs := 0
	for _, e := range v.Recorded() {
		if e, ok := e.(*agents.ErrorOccurred); ok && e.Source == "turn detector" {
			errs++
		}
	}
	require.Equal(t, c.errors, errs, v.Log())
}

func at(seconds ...float64) (out []time.Duration) {
	for _, s := range seconds {
		out = append(out, sec(s))
	}
	return out
}

// T53, T55, T57–T61, and T64: a detector that listens is asked in each pause, once, and an answer that comes when nobody
// waits for it any more counts for nothing.
func TestTurnDetectorThatListens(t *testing.T) {
	hello := []agenttest.VoicePart{speaks(0.5, 2, "Hello there")}
	// Of one speech, recognised in two parts.
	twoFinals := func(second time.Duration) []agenttest.VoicePart {
		return []agenttest.VoicePart{speaks(0.5, 1.5, "Hello").Delay(700 * ms), speaks(1.5, 2, "there").Delay(second)}
	}
	pause := []agenttest.VoicePart{speaks(0.5, 1, "Hello"), speaks(1.35, 2, "there")}
	for _, c := range []detectedTurn{
		{ // T58: the answer is there when voice activity says that speech ended, which asks no more. T61: forgotten then.
			name: "likely", voice: hello, script: []agenttest.EndOfTurn{agenttest.LikelyAny(0.9)},
			ends: []string{"2.3s Hello there"}, calls: []string{"predict 2.25s", "flush 2.3s"}, predicted: at(2.25),
		},
		{
			name: "unlikely", voice: hello, script: []agenttest.EndOfTurn{agenttest.LikelyAny(0.2)},
			ends: []string{"4.5s Hello there"}, calls: []string{"predict 2.25s", "flush 4.5s"}, predicted: at(2.25),
		},
		{
			name: "answers late", voice: hello, script: []agenttest.EndOfTurn{agenttest.LikelyAny(0.9).After(400 * ms)},
			ends: []string{"2.65s Hello there"}, calls: []string{"predict 2.25s", "flush 2.65s"}, predicted: at(2.65),
		},
		{ // T53
			name: "unlikely, and the user goes on", voice: append(hello[:1:1], speaks(2.6, 3, "again")),
			script: []agenttest.EndOfTurn{agenttest.Likely("Hello there", 0.2), agenttest.Likely("again", 0.9)},
			ends:   []string{"3.3s Hello there again"}, calls: []string{"predict 2.25s", "predict 3.25s", "flush 3.3s"}, predicted: at(2.25, 3.25),
		},
		{ // T55
			name: "one answer for two transcripts", voice: twoFinals(280 * ms), script: []agenttest.EndOfTurn{agenttest.LikelyAny(0.9)},
			ends: []string{"2.3s Hello there"}, calls: []string{"predict 2.25s", "flush 2.3s"}, predicted: at(2.25),
		},
		{ // T59
			name: "a transcript after the turn", voice: twoFinals(600 * ms), script: []agenttest.EndOfTurn{agenttest.LikelyAny(0.9)},
			ends: []string{"2.3s Hello", "2.6s there"}, calls: []string{"predict 2.25s", "flush 2.3s", "flush 2.6s"}, predicted: at(2.25),
		},
		{ // T57: asked once in a pause, and again in the next one.
			name: "a pause", voice: pause, silence: 400 * ms, script: []agenttest.EndOfTurn{agenttest.LikelyAny(0.9)},
			ends: []string{"2.4s Hello there"}, calls: []string{"predict 1.25s", "predict 2.25s", "flush 2.4s"}, predicted: at(2.4),
		},
		{ // T57
			name: "a pause too short for an answer", voice: pause, silence: 400 * ms,
			script: []agenttest.EndOfTurn{agenttest.Likely("Hello", 0.1).After(time.Second), agenttest.Likely("there", 0.9)},
			ends:   []string{"2.4s Hello there"}, calls: []string{"predict 1.25s", "cancel 1.45s", "predict 2.25s", "flush 2.4s"}, predicted: at(2.4),
		},
		{ // T64: the answer to the first request comes at 2.35 s, after the second one was made.
			name: "an answer nobody waits for", voice: pause, silence: 400 * ms,
			script: []agenttest.EndOfTurn{agenttest.Likely("Hello", 0.1).After(1100 * ms).Stubborn(), agenttest.Likely("there", 0.9).After(120 * ms)},
			ends:   []string{"2.4s Hello there"}, calls: []string{"predict 1.25s", "cancel 1.45s", "predict 2.25s", "flush 2.4s"}, predicted: at(2.4),
		},
		{ // T60
			name: "no answer", voice: hello, script: []agenttest.EndOfTurn{agenttest.LikelyAny(0.2).Stall()},
			ends: []string{"3.25s Hello there"}, calls: []string{"predict 2.25s", "time out 3.25s", "flush 3.25s"},
		},
		{
			name: "refuses", voice: hello, faults: []agenttest.VoiceFault{agenttest.Refuse(agenttest.StatusError(401))},
			ends: []string{"2.3s Hello there"}, errors: 1,
		},
		{
			name: "is cut while the user speaks", voice: hello, faults: []agenttest.VoiceFault{agenttest.CutAt(time.Second)},
			ends: []string{"2.3s Hello there"}, errors: 1,
		},
		{
			name: "is cut while it is waited for", voice: hello, faults: []agenttest.VoiceFault{agenttest.CutAt(2500 * ms)},
			script: []agenttest.EndOfTurn{agenttest.LikelyAny(0.2).Stall()},
			ends:   []string{"2.5s Hello there"}, calls: []string{"predict 2.25s"}, errors: 1,
		},
		{
			name: "answers nonsense first", voice: hello, faults: []agenttest.VoiceFault{agenttest.GarbageAt(time.Second)},
			script: []agenttest.EndOfTurn{agenttest.LikelyAny(0.9)},
			ends:   []string{"2.3s Hello there"}, calls: []string{"predict 2.25s", "flush 2.3s"}, predicted: at(2.25),
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			agenttest.Run(t, func(t *testing.T) {
				script := agenttest.Voice(c.voice...)
				d := agenttest.NewAudioTurnDetector(t, script, c.script...)
				d.Faults(c.faults...)
				v := asks(t, d, script, c.options(script))
				v.Until(sec(12))
				c.check(t, v, d.Calls())
			})
		})
	}
}

// T53, T55, T60: a detector that reads is asked for each transcript.
func TestTurnDetectorThatReads(t *testing.T) {
	hello := []agenttest.VoicePart{speaks(0.5, 2, "Hello there")}
	twoFinals := []agenttest.VoicePart{speaks(0.5, 1.5, "Hello").Delay(700 * ms), speaks(1.5, 2, "there").Delay(280 * ms)}
	broken := agenttest.StatusError(503)
	for _, c := range []detectedTurn{
		{
			name: "likely", voice: hello, script: []agenttest.EndOfTurn{agenttest.Likely("Hello there", 0.9)},
			ends: []string{"2.3s Hello there"}, calls: []string{"predict 2.25s"}, predicted: at(2.25),
		},
		{
			name: "unlikely", voice: hello, script: []agenttest.EndOfTurn{agenttest.Likely("Hello there", 0.2)},
			ends: []string{"4.5s Hello there"}, calls: []string{"predict 2.25s"}, predicted: at(2.25),
		},
		{
			name: "answers late", voice: hello, script: []agenttest.EndOfTurn{agenttest.LikelyAny(0.9).After(400 * ms)},
			ends: []string{"2.65s Hello there"}, calls: []string{"predict 2.25s"}, predicted: at(2.65),
		},
		{ // T53
			name: "unlikely, and the user goes on", voice: append(hello[:1:1], speaks(2.6, 3, "again")),
			script: []agenttest.EndOfTurn{agenttest.Likely("Hello there", 0.2), agenttest.Likely("Hello there again", 0.9)},
			ends:   []string{"3.3s Hello there again"}, calls: []string{"predict 2.25s", "predict 3.25s"}, predicted: at(2.25, 3.25),
		},
		{ // T53
			name: "the user goes on before the answer", voice: append(hello[:1:1], speaks(2.6, 3, "again")),
			script: []agenttest.EndOfTurn{agenttest.Likely("Hello there", 0.2).After(time.Second), agenttest.Likely("Hello there again", 0.9)},
			ends:   []string{"3.3s Hello there again"}, calls: []string{"predict 2.25s", "cancel 2.65s", "predict 3.25s"}, predicted: at(3.25),
		},
		{ // T55: it is asked for each.
			name: "two transcripts", voice: twoFinals,
			script: []agenttest.EndOfTurn{agenttest.Likely("Hello", 0.2), agenttest.Likely("Hello there", 0.9)},
			ends:   []string{"2.3s Hello there"}, calls: []string{"predict 2.25s", "predict 2.28s"}, predicted: at(2.25, 2.28),
		},
		{ // T60: three seconds, for one that reads.
			name: "no answer", voice: hello, script: []agenttest.EndOfTurn{agenttest.LikelyAny(0.2).Stall()},
			ends: []string{"5.25s Hello there"}, calls: []string{"predict 2.25s", "cancel 5.25s"},
		},
		{
			name: "fails", voice: hello, script: []agenttest.EndOfTurn{agenttest.LikelyAny(0.2).After(200 * ms).Fail(broken)},
			ends: []string{"2.45s Hello there"}, calls: []string{"predict 2.25s"}, errors: 1,
		},
		{
			name: "answers nobody any more", voice: append(hello[:1:1], speaks(2.6, 3, "again")),
			script: []agenttest.EndOfTurn{agenttest.Likely("Hello there", 0.1).After(time.Second).Stubborn(), agenttest.Likely("Hello there again", 0.9)},
			ends:   []string{"3.3s Hello there again"}, calls: []string{"predict 2.25s", "predict 3.25s"}, predicted: at(3.25),
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			agenttest.Run(t, func(t *testing.T) {
				script := agenttest.Voice(c.voice...)
				d := agenttest.NewTextTurnDetector(t, c.script...)
				v := asks(t, d, script, c.options(script))
				v.Until(sec(12))
				c.check(t, v, d.Calls())
			})
		})
	}
}

// T56: the detector may say that a sign of listening would fit, whatever it makes of the end of the turn.
func TestBackchannelFits(t *testing.T) {
	for _, c := range []struct {
		name  string
		turn  agenttest.EndOfTurn
		reads bool
		want  []agents.BackchannelFits
	}{
		{"in mid-turn", agenttest.LikelyAny(0.2).Backchannel(0.8, 0.5), false, []agents.BackchannelFits{{Probability: 0.8, Threshold: 0.5, EndOfTurn: 0.2}}},
		{"at the end", agenttest.LikelyAny(0.9).Backchannel(0.8, 0.5), false, []agents.BackchannelFits{{Probability: 0.8, Threshold: 0.5, EndOfTurn: 0.9}}},
		{"not likely enough", agenttest.LikelyAny(0.2).Backchannel(0.4, 0.7), false, nil},
		{"the detector does not say", agenttest.LikelyAny(0.2).Backchannel(0.8, 0), false, nil},
		{"the detector reads", agenttest.LikelyAny(0.2), true, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			agenttest.Run(t, func(t *testing.T) {
				script := agenttest.Voice(speaks(0.5, 2, "Hello there"))
				var d agents.TurnDetector = agenttest.NewAudioTurnDetector(t, script, c.turn)
				if c.reads {
					d = agenttest.NewTextTurnDetector(t, c.turn)
				}
				v := asks(t, d, script, asIs)
				v.Until(sec(8))
				var got []agents.BackchannelFits
				for _, e := range v.Recorded() {
					if e, ok := e.(*agents.BackchannelFits); ok {
						require.Equal(t, sec(2.25), v.Since(e.At))
						got = append(got, agents.BackchannelFits{Probability: e.Probability, Threshold: e.Threshold, EndOfTurn: e.EndOfTurn})
					}
				}
				require.Equal(t, c.want, got, v.Log())
			})
		})
	}
}

// A spikingVAD says once that there is a sound, of which nothing comes.
type spikingVAD struct {
	*agenttest.VAD
	at time.Duration
}

func (v spikingVAD) Stream() agents.VADStream {
	return &spikingStream{VADStream: v.VAD.Stream(), left: v.at}
}

type spikingStream struct {
	agents.VADStream
	left time.Duration
}

func (s *spikingStream) Push(frame agents.AudioFrame) ([]agents.VADEvent, error) {
	events, err := s.VADStream.Push(frame)
	before := s.left
	if s.left -= frame.Duration(); before > 0 && s.left <= 0 {
		events = append(slices.Clone(events), agents.VADEvent{Type: agents.VADInference, RawSpeech: 100 * ms})
	}
	return events, err
}

// T57: a detector that listens is asked in a pause of the user whether the agent speaks or not.
func TestTurnDetectorIsAskedWhileTheAgentSpeaks(t *testing.T) {
	agenttest.Run(t, func(t *testing.T) {
		script := agenttest.Voice(speaks(0.5, 2, "Hello there"))
		d := agenttest.NewAudioTurnDetector(t, script, agenttest.LikelyAny(0.9))
		v := asks(t, d, script, func(o *agents.Options) {
			o.TTS = agenttest.NewTTS(t, agenttest.Spoken("Please listen.", 3*time.Second), agenttest.Spoken("I see.", time.Second))
			o.Turn.Interruption.DiscardAudio = agents.Off
		})
		v.Until(sec(0.1))
		v.Say("Please listen.", agents.SayOptions{AllowInterruptions: agents.Off}) // until 3.3
		v.Until(sec(8))
		require.Equal(t, []string{"predict 2.25s", "flush 2.3s"}, d.Calls())
		require.Equal(t, []string{"3s", "1s"}, v.Playouts(), v.Log())
		require.Equal(t, "assistant: Please listen.\nuser: Hello there\nassistant: I see.\n", transcript(v.History()))
	})
}

// T54: a sound too short for speech does not keep a turn from ending.
func TestSpikeDoesNotHoldTheTurn(t *testing.T) {
	agenttest.Run(t, func(t *testing.T) {
		script := agenttest.Voice(speaks(0.5, 2, "Hello there"))
		d := agenttest.NewAudioTurnDetector(t, script, agenttest.LikelyAny(0.2))
		v := asks(t, d, script, func(o *agents.Options) { o.VAD = spikingVAD{o.VAD.(*agenttest.VAD), sec(3)} })
		v.Until(sec(8))
		require.Equal(t, []string{"4.5s Hello there"}, turnEnds(v), v.Log())
	})
}

// T55, T61: a turn that is cleared makes the detector forget what it heard, and lets it be asked again.
func TestClearedTurnIsPredictedAnew(t *testing.T) {
	agenttest.Run(t, func(t *testing.T) {
		script := agenttest.Voice(speaks(0.5, 2, "Hello there"), speaks(4, 5, "Good morning"))
		d := agenttest.NewAudioTurnDetector(t, script, agenttest.Likely("Hello there", 0.2), agenttest.Likely("Good morning", 0.9))
		v := asks(t, d, script, asIs)
		v.Until(sec(3))
		require.NoError(t, v.ClearUserTurn())
		v.Until(sec(8))
		require.Equal(t, []string{"5.3s Good morning"}, turnEnds(v), v.Log())
		require.Equal(t, []string{"predict 2.25s", "flush 3s", "predict 5.25s", "flush 5.3s"}, d.Calls())
		require.Equal(t, at(2.25, 5.25), predicted(v))
		require.Equal(t, "user: Good morning\nassistant: I see.\n", transcript(v.History()), v.Log())
	})
}

// T59: a transcript that comes too late to ask the detector is warned of once.
func TestLateTranscriptsWarnOnce(t *testing.T) {
	agenttest.Run(t, func(t *testing.T) {
		script := agenttest.Voice(
			speaks(0.5, 1.5, "Hello").Delay(700*ms), speaks(1.5, 2, "there").Delay(600*ms),
			speaks(10.5, 11.5, "Good").Delay(700*ms), speaks(11.5, 12, "morning").Delay(600*ms))
		d := agenttest.NewAudioTurnDetector(t, script, agenttest.LikelyAny(0.9))
		var log bytes.Buffer
		v := asks(t, d, script, func(o *agents.Options) { o.Logger = slog.New(slog.NewTextHandler(&log, nil)) })
		v.Until(sec(18))
		require.Equal(t, []string{"2.3s Hello", "2.6s there", "12.3s Good", "12.6s morning"}, turnEnds(v), v.Log())
		require.NoError(t, v.Close())
		require.Equal(t, 1, strings.Count(log.String(), "a transcript came late"), log.String())
	})
}

// T62: a VAD that waits for less than the detector needs cannot go with it, and nothing is started.
func TestTurnDetectorNeedsSilence(t *testing.T) {
	for _, c := range []struct {
		name    string
		silence time.Duration
		reads   bool
		vad     agents.VAD
		ok      bool
	}{
		{"too little", 100 * ms, false, nil, false},
		{"enough", 500 * ms, false, nil, true},
		{"too little, for one that listens", 100 * ms, true, nil, true},
		{"no VAD", 0, false, agents.NoVAD, true},
		{"a VAD that does not say", 0, false, nil, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			agenttest.Run(t, func(t *testing.T) {
				script := agenttest.Voice(speaks(0.5, 2, "Hello there"))
				listens := agenttest.NewAudioTurnDetector(t, script)
				opts := agents.Options{TurnDetector: listens, STT: agenttest.NewSTT(t, script)}
				if c.reads {
					opts.TurnDetector = agenttest.NewTextTurnDetector(t)
				}
				vad := agenttest.NewVAD(script)
				vad.MinSilence = c.silence
				if opts.VAD = c.vad; c.vad == nil {
					opts.VAD = vad
				}
				s := agents.NewSession(opts)
				err := s.Start(t.Context(), &agents.Agent{}, agents.IO{AudioInput: agenttest.NewMic(script)})
				if !c.ok {
					require.ErrorContains(t, err, "100ms")
					require.Zero(t, listens.Streams())
					return
				}
				require.NoError(t, err)
				require.NoError(t, s.Close())
				require.NoError(t, s.Wait())
			})
		})
	}
}

// An accentedSTT says in which language each final transcript is.
type accentedSTT struct {
	*agenttest.STT
	languages []string
}

func (s *accentedSTT) Stream(ctx context.Context, o agents.STTOptions) (agents.STTStream, error) {
	stream, err := s.STT.Stream(ctx, o)
	return &accentedStream{stream, s.languages}, err
}

type accentedStream struct {
	agents.STTStream
	languages []string
}

func (s *accentedStream) Recv() (agents.STTEvent, error) {
	ev, err := s.STTStream.Recv()
	if ev.Type == agents.STTFinal && len(s.languages) > 0 {
		ev.Transcript.Language, s.languages = s.languages[0], s.languages[1:]
	}
	return ev, err
}

// T63: the detector is asked in the language of the user, which a word or two do not change, and is not asked at all in
// one that it does not know.
func TestTurnDetectorKnowsItsLanguages(t *testing.T) {
	for _, c := range []struct {
		name      string
		languages []string
		second    string
		asked     int
	}{
		{"known, and then no particular one", []string{"en", "multi"}, "Good morning", 2},
		{"no particular one", []string{"multi", "multi"}, "Good morning", 0},
		{"known, and a long text in another", []string{"en", "fr"}, "Bonjour", 1},
		{"known, and a short text in another", []string{"en", "fr"}, "Salut", 2},
		{"not known", []string{"de", "de"}, "Guten Tag", 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			agenttest.Run(t, func(t *testing.T) {
				script := agenttest.Voice(speaks(0.5, 2, "Hello there"), speaks(8, 9, c.second))
				d := agenttest.NewTextTurnDetector(t, agenttest.LikelyAny(0.9))
				d.Languages = []string{"en"}
				v := asks(t, d, script, func(o *agents.Options) {
					o.STT = &accentedSTT{agenttest.NewSTT(t, script), c.languages}
				})
				v.Until(sec(14))
				require.Equal(t, []string{"2.3s Hello there", "9.3s " + c.second}, turnEnds(v), v.Log())
				require.Len(t, d.Calls(), c.asked, v.Log())
			})
		})
	}
}
