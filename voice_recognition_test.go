package agents_test

import (
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
