package turn

import "time"

// Off, as a duration or a count of [Settings], switches off what it is about.
const Off = -1

// A Toggle is a switch of which the zero value means the default, or the setting of the next wider scope.
type Toggle uint8

// The settings of a [Toggle].
const (
	ToggleDefault Toggle = iota
	ToggleOn
	ToggleOff
)

// A Detection says what ends the user's turn.
type Detection string

// The detections.
const (
	NotGiven      Detection = ""             // take that of the next wider scope
	Automatic     Detection = "automatic"    // voice activity if there is a VAD, else what the recogniser says
	ByVAD         Detection = "vad"          // voice activity
	BySTT         Detection = "stt"          // the recogniser's end of speech
	Manual        Detection = "manual"       // only Commit
	Realtime      Detection = "realtime_llm" // the realtime model's server
	TextDetector  Detection = "text"         // a detector that reads
	AudioDetector Detection = "audio"        // a detector that listens
)

// detector reports whether a detector is asked.
func (d Detection) detector() bool { return d == TextDetector || d == AudioDetector }

// vadBased reports whether the end of voice activity may end a turn.
func (d Detection) vadBased() bool { return d == Automatic || d == ByVAD || d.detector() }

// Settings are what a session or an agent asks for. A zero field is not given: an agent's then is that of the session,
// and a session's is the default. See the table of the package comment.
type Settings struct {
	Detection   Detection
	Endpointing struct {
		Mode     EndpointingMode
		MinDelay time.Duration
		MaxDelay time.Duration
		Alpha    float64
	}
	Interruption struct {
		Enabled      Toggle
		Mode         InterruptionMode
		DiscardAudio Toggle
		MinDuration  time.Duration
		MinWords     int
		Resume       Toggle
		FalseTimeout time.Duration
		// Boundary is how long after the agent's speech begins, and before it ends, the user's speech is taken for
		// what it seems to be instead of for a sign of listening.
		Boundary [2]time.Duration
	}
	Preemptive struct {
		Enabled    Toggle
		TTS        Toggle
		MaxSpeech  time.Duration
		MaxRetries int
	}
	MaxTurnWords         int
	MaxTurnDuration      time.Duration
	TranscriptionTimeout time.Duration
	PredictionTimeout    time.Duration
	AECWarmup            time.Duration
	AwayTimeout          time.Duration
}

// An EndpointingMode says how the shortest delay of a turn's end comes about.
type EndpointingMode string

// The endpointing modes.
const (
	Fixed   EndpointingMode = "fixed"
	Dynamic EndpointingMode = "dynamic" // learned from the user's pauses
)

// An InterruptionMode says how the user's speech is told from a sign of listening.
type InterruptionMode string

// The interruption modes.
const (
	InterruptByVAD      InterruptionMode = "vad"      // it is not
	InterruptAdaptively InterruptionMode = "adaptive" // by a detector
)

// VADKind says where the VAD comes from.
type VADKind uint8

// The kinds of VAD.
const (
	NoVAD VADKind = iota
	DefaultVAD
	GivenVAD
)

// Models are what an activity has, as far as it matters for taking turns.
type Models struct {
	VAD            VADKind
	VADMinSilence  time.Duration // zero if it does not say
	STT            bool
	STTAligned     bool // it streams, with timing
	Realtime       bool // a realtime model takes the place of a plain LLM
	RealtimeTurns  bool // whose server detects turns
	RealtimeYields bool // unless told not to
	LLM            bool // there is a plain LLM
	// DefaultDetector is the detection that applies when nobody asks for one; Automatic if NotGiven.
	DefaultDetector Detection
	// AdaptiveReady says that the adaptive detector can be reached, and Hosted that it is used without being asked for.
	AdaptiveReady, Hosted bool
	// Threshold is that of the turn detector: see its interface. Nil means that it knows every language and no
	// threshold.
	Threshold func(language string) (threshold float64, ok bool)
}

// Options are the settings of one activity, resolved. Durations are zero where something is off.
type Options struct {
	Detection     Detection
	RealtimeTurns bool // the realtime model's server detects turns
	VAD           VADKind
	STT           bool
	Realtime      bool
	LLM           bool
	Threshold     func(language string) (threshold float64, ok bool)

	Endpointing EndpointingOptions

	Interruptions bool // whether speech may be interrupted, unless it says so itself
	Adaptive      bool // a detector tells speech from signs of listening
	DiscardAudio  bool
	MinDuration   time.Duration
	MinWords      int
	Resume        bool
	FalseTimeout  time.Duration
	Boundary      [2]time.Duration

	Preemptive        bool
	PreemptiveTTS     bool
	PreemptiveSpeech  time.Duration
	PreemptiveRetries int

	MaxTurnWords         int
	MaxTurnDuration      time.Duration
	TranscriptionTimeout time.Duration
	PredictionTimeout    time.Duration
	AECWarmup            time.Duration
	AECExplicit          bool // it was asked for, and so holds for telephone calls too
	AwayTimeout          time.Duration
}

// byAudio reports whether the sound of the user may interrupt.
func (o *Options) byAudio() bool { return o.Detection != Manual && o.Detection != Realtime }
