package agents

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/parley-voice/agents/internal/amd"
)

// ErrDetecting is returned by DetectAnsweringMachine while another detection of the session runs.
var ErrDetecting = errors.New("agents: answering machine detection is already running")

// An AMDCategory says who has picked up a call.
type AMDCategory string

// The categories.
const (
	AMDHuman       AMDCategory = "human"
	AMDIVR         AMDCategory = "machine-ivr"         // a menu, or another system that wants an answer
	AMDVoicemail   AMDCategory = "machine-vm"          // it takes a message
	AMDUnavailable AMDCategory = "machine-unavailable" // a recording, and no message can be left
	AMDUncertain   AMDCategory = "uncertain"
)

// Machine reports whether it is a machine of any kind.
func (c AMDCategory) Machine() bool { return amd.Category(c).Machine() }

// An AMDReason is what decided a detection.
type AMDReason string

// The reasons.
const (
	AMDShortGreeting      AMDReason = "short_greeting"      // a short sound, and silence: a human
	AMDByLLM              AMDReason = "llm"                 // the model, by what was said
	AMDNoSpeech           AMDReason = "no_speech_timeout"   // nothing was heard: uncertain
	AMDTimeout            AMDReason = "detection_timeout"   // nothing was decided in time: uncertain
	AMDParticipantMissing AMDReason = "participant_missing" // no audio came, or it ended: uncertain
)

// AMDOptions are the options of DetectAnsweringMachine. Zero is the default; a negative duration is an error.
type AMDOptions struct {
	// LLM judges what was said: by default that of the agent on the floor. It must be able to call tools.
	LLM LLM
	// Answered is closed when the call has been answered, before which nothing that is heard counts and no time runs. Nil
	// means that it has been.
	Answered <-chan struct{}

	// HumanSpeech is how long sound lasts at most that is taken for a person's greeting, 2.5 s, and HumanSilence how long
	// it is silent after it, 0.5 s, if none of it was understood meanwhile.
	HumanSpeech, HumanSilence time.Duration
	// MachineSilence is the silence after which anything else is decided, 1.5 s.
	MachineSilence time.Duration
	// NoSpeech is how long nothing at all is heard: 10 s.
	NoSpeech time.Duration
	// Timeout is how long it may take in all: 20 s from the answer, and up to three times 10 s more if the model asks.
	Timeout time.Duration
	// MaxEndpointingDelay is how long it is silent, or nothing more is understood, before what picked up has finished,
	// although its turn was not ended: by default the agent's Turn.Endpointing.MaxDelay.
	MaxEndpointingDelay time.Duration

	// WaitUntilFinished has a detection that takes too long wait until what picked up has finished, for at most 30 s more.
	// Default: On.
	WaitUntilFinished Toggle
	// InterruptOnMachine drops what the agent was going to say, also what may not be interrupted, when it is a machine.
	// Default: On.
	InterruptOnMachine Toggle
	// IVRDetection begins what Options.IVRDetection is, with what was understood, when it is a menu. Default: On.
	IVRDetection Toggle
}

// An AMDResult says who has picked up a call.
type AMDResult struct {
	Category       AMDCategory
	Reason         AMDReason
	Transcript     string        // what was understood
	SpeechDuration time.Duration // how long there was sound
	Delay          time.Duration // since it ended; if there was none, since the call was answered
}

// The defaults of AMDOptions.
const (
	defaultAMDHumanSpeech    = 2500 * time.Millisecond
	defaultAMDHumanSilence   = 500 * time.Millisecond
	defaultAMDMachineSilence = 1500 * time.Millisecond
	defaultAMDNoSpeech       = 10 * time.Second
	defaultAMDTimeout        = 20 * time.Second
	defaultAMDEndpointing    = 3 * time.Second
	amdMissingAudio          = 5 * time.Second
)

// settings are the options with their defaults filled in. maxDelay is the agent's.
func (o *AMDOptions) settings(maxDelay time.Duration) amd.Options {
	or := func(d, def time.Duration) time.Duration {
		if d == 0 {
			return def
		}
		return d
	}
	return amd.Options{
		HumanSpeech:       or(o.HumanSpeech, defaultAMDHumanSpeech),
		HumanSilence:      or(o.HumanSilence, defaultAMDHumanSilence),
		MachineSilence:    or(o.MachineSilence, defaultAMDMachineSilence),
		NoSpeech:          or(o.NoSpeech, defaultAMDNoSpeech),
		Timeout:           or(o.Timeout, defaultAMDTimeout),
		EndOfTurn:         or(o.MaxEndpointingDelay, or(maxDelay, defaultAMDEndpointing)),
		Missing:           amdMissingAudio,
		WaitUntilFinished: o.WaitUntilFinished.or(true),
	}
}

func (o *AMDOptions) validate() error {
	var errs []error
	for _, f := range []struct {
		name string
		d    time.Duration
	}{
		{"HumanSpeech", o.HumanSpeech}, {"HumanSilence", o.HumanSilence}, {"MachineSilence", o.MachineSilence},
		{"NoSpeech", o.NoSpeech}, {"Timeout", o.Timeout}, {"MaxEndpointingDelay", o.MaxEndpointingDelay},
	} {
		if f.d < 0 {
			errs = append(errs, fmt.Errorf("agents: AMDOptions.%s is %v", f.name, f.d))
		}
	}
	return errors.Join(errs...)
}

// DetectAnsweringMachine finds out who has picked up an outbound call, and returns when it knows. Its place is the OnEnter
// of the first agent, before that says anything: until it returns nothing that the agent says is heard, neither what was
// said before nor answers to what the user says meanwhile, which are made nevertheless, and wait.
//
// With a human, and when it is uncertain, they are heard then. With a machine they are dropped, and the history keeps what
// the machine has said; see the options for what else follows. A session can do this as often as it likes, once at a time.
//
// A failing model is reported as an [ErrorOccurred] that is recoverable, and leaves the decision to the timeouts. It is an
// error if there is no model to ask, with [ErrNoLLM], or no audio input; if ctx is done, with its cause; and if the session
// closes, with [ErrSessionClosed].
func (s *AgentSession) DetectAnsweringMachine(ctx context.Context, o AMDOptions) (AMDResult, error) {
	return s.c.detectAnsweringMachine(ctx, s.by, o)
}
