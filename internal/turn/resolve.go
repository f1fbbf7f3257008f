package turn

import (
	"errors"
	"fmt"
	"time"
)

// Delays of endpointing that apply where nobody gives one.
const (
	minDelay         = 500 * time.Millisecond
	maxDelay         = 3 * time.Second
	minDelayListened = 300 * time.Millisecond // with a detector that listens
	maxDelayListened = 2500 * time.Millisecond
	detectorSilence  = 200 * time.Millisecond // before a detector that listens is asked
	vadSilence       = 250 * time.Millisecond // the least a VAD must wait beside it
)

// Resolve finds the options of an activity from the settings of the session and of its agent. What cannot be is left
// out with a warning; an error is something that the application must mend.
//
// Who detects turns, with a realtime model whose server can:
//
//	the model's server cannot be told to leave it        what the model does
//	asked for realtime_llm                               the server
//	asked for manual                                     the client
//	a VAD, and asked for audio, vad or an interruption   the client
//	  mode
//	otherwise                                            the server
//
// What ends a turn, given what was asked for; where several rows fit, the first:
//
//	audio, no VAD                                        automatic, warning
//	audio, the server detects                            automatic, warning if asked for
//	vad without VAD, stt without STT                     automatic, warning
//	realtime model, realtime_llm, the server does not    automatic, warning
//	realtime model, stt                                  automatic, warning
//	realtime model, any other mode, the server detects   automatic, warning
//	realtime model, automatic, the client, a given VAD   vad
//	plain model, realtime_llm                            automatic, warning
//	otherwise                                            as asked
//
// Endpointing and preemptive generation are merged field by field, interruption takes only Enabled and Mode from the
// agent, and all else is the session's.
func Resolve(session, agent Settings, m Models) (Options, []string, error) {
	var warnings []string
	warn := func(format string, args ...any) { warnings = append(warnings, fmt.Sprintf(format, args...)) }

	asked := either(agent.Detection, session.Detection)
	explicit := asked != NotGiven
	if !explicit {
		asked = either(m.DefaultDetector, Automatic)
	}
	mode := either(agent.Interruption.Mode, session.Interruption.Mode)
	o := Options{
		RealtimeTurns: serverDetects(m, asked, explicit, mode != ""),
		VAD:           m.VAD, STT: m.STT, Realtime: m.Realtime, LLM: m.LLM, Threshold: m.Threshold,
		Interruptions: either(agent.Interruption.Enabled, session.Interruption.Enabled) != ToggleOff,
	}
	o.Detection = detection(&o, m, asked, explicit, warn)
	if o.RealtimeTurns && o.VAD == DefaultVAD {
		o.VAD = NoVAD
	}
	if o.Detection == AudioDetector && m.VADMinSilence > 0 && m.VADMinSilence < vadSilence {
		return o, warnings, fmt.Errorf("turn: a VAD that waits %v for the end of speech does not go with a turn detector that listens, which needs %v", m.VADMinSilence, vadSilence)
	}
	if o.RealtimeTurns && !o.Interruptions {
		return o, warnings, errors.New("turn: interruptions cannot be off while the realtime model detects turns")
	}

	e := &o.Endpointing
	e.Mode = either(agent.Endpointing.Mode, session.Endpointing.Mode, Fixed)
	lo, hi := minDelay, maxDelay
	if o.Detection == AudioDetector {
		lo, hi = minDelayListened, maxDelayListened
	}
	e.MinDelay = given(agent.Endpointing.MinDelay, session.Endpointing.MinDelay, lo)
	e.MaxDelay = given(agent.Endpointing.MaxDelay, session.Endpointing.MaxDelay, hi)
	e.Alpha = either(agent.Endpointing.Alpha, session.Endpointing.Alpha, 0.9)
	if e.Alpha < 0 || e.Alpha > 1 {
		return o, warnings, fmt.Errorf("turn: endpointing alpha is %v, not above 0 and at most 1", e.Alpha)
	}

	in := session.Interruption
	o.DiscardAudio = in.DiscardAudio != ToggleOff
	o.MinDuration = given(in.MinDuration, 500*time.Millisecond)
	o.MinWords = given(in.MinWords, 0)
	o.Resume = in.Resume != ToggleOff
	o.FalseTimeout = given(in.FalseTimeout, 2*time.Second)
	for i := range o.Boundary {
		o.Boundary[i] = given(in.Boundary[i], time.Second)
	}
	o.Adaptive = adaptive(&o, m, mode, warn)

	p, sp := agent.Preemptive, session.Preemptive
	o.Preemptive = either(p.Enabled, sp.Enabled) != ToggleOff && m.LLM && !m.Realtime
	o.PreemptiveTTS = either(p.TTS, sp.TTS) == ToggleOn
	o.PreemptiveSpeech = given(p.MaxSpeech, sp.MaxSpeech, 10*time.Second)
	o.PreemptiveRetries = given(p.MaxRetries, sp.MaxRetries, 3)

	o.MaxTurnWords = given(session.MaxTurnWords, 0)
	o.MaxTurnDuration = given(session.MaxTurnDuration, 0)
	o.TranscriptionTimeout = given(session.TranscriptionTimeout, 0)
	timeout := time.Second
	if o.Detection == TextDetector {
		timeout = 3 * time.Second
	}
	// A turn never waits without end for a detector, so this cannot be off.
	o.PredictionTimeout = given(max(session.PredictionTimeout, 0), timeout)
	o.AECWarmup = given(session.AECWarmup, 3*time.Second)
	o.AECExplicit = session.AECWarmup != 0
	o.AwayTimeout = given(session.AwayTimeout, 15*time.Second)
	return o, warnings, nil
}

func serverDetects(m Models, asked Detection, explicit, mode bool) bool {
	switch {
	case !m.Realtime:
		return false
	case !m.RealtimeTurns || !m.RealtimeYields:
		return m.RealtimeTurns
	case explicit && asked == Realtime:
		return true
	case explicit && asked == Manual:
		return false
	}
	return m.VAD == NoVAD || !(explicit && (asked == AudioDetector || asked == ByVAD) || mode)
}

func detection(o *Options, m Models, asked Detection, explicit bool, warn func(string, ...any)) Detection {
	refuse := func(why string) Detection {
		warn("turn detection %q is not used: %s", asked, why)
		return Automatic
	}
	mode := asked != Automatic && !asked.detector()
	switch {
	case asked == AudioDetector && m.VAD == NoVAD:
		return refuse("there is no VAD")
	case asked == AudioDetector && o.RealtimeTurns:
		if !explicit {
			return Automatic
		}
		return refuse("the realtime model detects turns")
	case asked == ByVAD && m.VAD == NoVAD:
		return refuse("there is no VAD")
	case asked == BySTT && !m.STT:
		return refuse("there is no STT")
	case m.Realtime && asked == Realtime && !o.RealtimeTurns:
		return refuse("the realtime model does not detect turns")
	case m.Realtime && asked == BySTT:
		return refuse("there is a realtime model")
	case m.Realtime && o.RealtimeTurns && mode && asked != Realtime:
		return refuse("the realtime model detects turns")
	case m.Realtime && !o.RealtimeTurns && asked == Automatic && m.VAD == GivenVAD:
		return ByVAD
	case !m.Realtime && asked == Realtime:
		return refuse("there is no realtime model")
	}
	return asked
}

// adaptive reports whether a detector judges interruptions.
func adaptive(o *Options, m Models, mode InterruptionMode, warn func(string, ...any)) bool {
	if mode == InterruptByVAD || mode == "" && !m.Hosted {
		return false
	}
	possible := o.VAD != NoVAD && o.byAudio() && o.Interruptions &&
		(m.Realtime && !o.RealtimeTurns || !m.Realtime && m.STT && m.STTAligned)
	switch {
	case possible && m.AdaptiveReady:
		return true
	case possible && mode == InterruptAdaptively:
		warn("adaptive interruption is not used: its detector cannot be reached")
	case mode == InterruptAdaptively:
		warn("adaptive interruption is not used: it needs a VAD, and a streaming STT with timing or a realtime model that leaves turns to the client")
	}
	return false
}

// either returns the first value that is not zero.
func either[T comparable](values ...T) T {
	var zero T
	for _, v := range values {
		if v != zero {
			return v
		}
	}
	return zero
}

// given returns the first value that is not zero, and zero for Off.
func given[T ~int | ~int64](values ...T) T { return max(either(values...), 0) }
