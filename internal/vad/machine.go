package vad

// A Kind says what an [Event] is about.
type Kind uint8

// The kinds of events. For a window that starts or ends speech, Inference comes first.
const (
	Inference Kind = iota
	StartOfSpeech
	EndOfSpeech
)

// An Event is what the [Machine] found in a window. Everything is counted in samples at [SampleRate].
type Event struct {
	Kind     Kind
	Position int64 // where the window ends
	Start    int64 // where the speech begins, padding included; not of Inference
	Speaking bool  // before the window for Inference, after it otherwise
	// Speech and Silence are how long the user has spoken or been silent; RawSpeech and RawSilence, how long the
	// windows have been of one kind without a break, for Inference before this one.
	Speech, Silence       int64
	RawSpeech, RawSilence int64
	Probability           float64 // of Inference
}

// A Config says when a [Machine] sees speech begin and end. Durations are in samples at [SampleRate].
type Config struct {
	Activation   float64 // from here on, a window is speech
	Deactivation float64 // during speech, up to here a window is silence
	MinSpeech    int64   // of speech without a break, before it is one
	MinSilence   int64   // of silence without a break, before the speech is over
	Padding      int64   // put in front of a speech
}

// A Machine makes events of the speech probabilities of windows, each of [Window] samples. It is arithmetic only: the
// zero value with a Config is ready, and copying it copies its state.
type Machine struct {
	Config

	pos                   int64
	start                 int64
	speaking              bool
	speech, silence       int64
	rawSpeech, rawSilence int64
}

// Reset takes the machine back to position zero.
func (m *Machine) Reset() { *m = Machine{Config: m.Config} }

// Step judges the next window and appends what happened to events: always an Inference, and then at most one other.
func (m *Machine) Step(events []Event, p float64) []Event {
	m.pos += Window
	if m.speaking {
		m.speech += Window
	} else {
		m.silence += Window
	}
	inference := m.event(Inference)
	inference.Start, inference.Probability = 0, p
	events = append(events, inference)

	if p >= m.Activation || m.speaking && p > m.Deactivation {
		m.rawSpeech += Window
		m.rawSilence = 0
		if !m.speaking && m.rawSpeech >= m.MinSpeech {
			m.speaking = true
			m.speech, m.silence = m.rawSpeech, 0
			m.start = max(0, m.pos-m.rawSpeech-m.Padding)
			events = append(events, m.event(StartOfSpeech))
		}
		return events
	}
	m.rawSilence += Window
	m.rawSpeech = 0
	if m.speaking && m.rawSilence >= m.MinSilence {
		m.speaking = false
		m.silence = m.rawSilence
		m.speech = max(0, m.speech-m.silence)
		events = append(events, m.event(EndOfSpeech))
		m.speech = 0
	}
	return events
}

func (m *Machine) event(kind Kind) Event {
	return Event{
		Kind: kind, Position: m.pos, Start: m.start, Speaking: m.speaking,
		Speech: m.speech, Silence: m.silence, RawSpeech: m.rawSpeech, RawSilence: m.rawSilence,
	}
}
