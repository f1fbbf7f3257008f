package agents

import (
	"fmt"
	"time"

	"github.com/parley-voice/agents/internal/resample"
	"github.com/parley-voice/agents/internal/vad"
)

// VADOptions configure the VAD of [NewVAD]. The zero value of each field is its default.
type VADOptions struct {
	// MinSpeech is how long speech lasts without a break before VADStartOfSpeech, by default 50 ms: two windows. Never
	// means that one window is enough.
	MinSpeech Delay
	// MinSilence is how long silence lasts without a break before VADEndOfSpeech, by default 250 ms. Never means that
	// one window is enough.
	MinSilence Delay
	// PrefixPadding is how far VADEvent.Start lies before what was detected, by default 500 ms. Never means not at all.
	PrefixPadding Delay
	// ActivationThreshold is the probability from which on a window is speech, by default 0.5. A higher one asks for
	// clearer speech.
	ActivationThreshold float64
	// DeactivationThreshold is the probability down to which a window is silence once there is speech. The default is
	// 0.15 below the activation threshold, but at least 0.01.
	DeactivationThreshold float64
}

// Defaults of VADOptions.
const (
	defaultMinSpeech     = 50 * time.Millisecond
	defaultMinSilence    = 250 * time.Millisecond
	defaultPrefixPadding = 500 * time.Millisecond
	defaultActivation    = 0.5
)

// maxVADDelay is where durations in samples could overflow only much later.
const maxVADDelay = time.Hour

// NewVAD returns the built-in VAD. It needs no model file and judges windows of 32 ms in a few microseconds: what rises
// above the noise, how it is spread over the spectrum, how it changes and whether it has a pitch. It finds speech in
// steady noise down to 5 dB below the speech; other voices it takes for speech when they are less than some 15 dB below
// the user's, and music too. A model that was trained on recordings, such as Silero, is better at those.
//
// Where a stream begins amid a word it may take up to two seconds to find it.
//
// It takes audio of 8, 11.025, 16, 22.05, 24, 32, 44.1 or 48 kHz, of whose channels it judges the mean.
func NewVAD(o VADOptions) (VAD, error) {
	v := &builtinVAD{}
	c := &v.config
	for _, d := range []struct {
		name    string
		delay   Delay
		def     time.Duration
		samples *int64
	}{
		{"MinSpeech", o.MinSpeech, defaultMinSpeech, &c.MinSpeech},
		{"MinSilence", o.MinSilence, defaultMinSilence, &c.MinSilence},
		{"PrefixPadding", o.PrefixPadding, defaultPrefixPadding, &c.Padding},
	} {
		if d.delay < 0 && d.delay != Never || time.Duration(d.delay) > maxVADDelay {
			return nil, fmt.Errorf("agents: VADOptions.%s is %v", d.name, time.Duration(d.delay))
		}
		duration, _ := d.delay.or(d.def)
		*d.samples = SamplesIn(duration, vad.SampleRate)
	}
	c.Activation, c.Deactivation = o.ActivationThreshold, o.DeactivationThreshold
	if c.Activation == 0 {
		c.Activation = defaultActivation
	}
	if !(c.Activation > 0 && c.Activation <= 1) {
		return nil, fmt.Errorf("agents: VADOptions.ActivationThreshold is %v, not a probability", c.Activation)
	}
	if c.Deactivation == 0 {
		c.Deactivation = min(max(c.Activation-0.15, 0.01), c.Activation)
	}
	if !(c.Deactivation > 0 && c.Deactivation <= c.Activation) {
		return nil, fmt.Errorf("agents: VADOptions.DeactivationThreshold is %v, not a probability up to the activation threshold %v",
			c.Deactivation, c.Activation)
	}
	return v, nil
}

type builtinVAD struct{ config vad.Config }

func (v *builtinVAD) Model() string    { return "builtin-vad" }
func (v *builtinVAD) Provider() string { return "parley" }

func (v *builtinVAD) Capabilities() VADCapabilities {
	return VADCapabilities{
		UpdateInterval: SampleDuration(vad.Window, vad.SampleRate),
		MinSilence:     SampleDuration(v.config.MinSilence, vad.SampleRate),
		PrefixPadding:  SampleDuration(v.config.Padding, vad.SampleRate),
	}
}

func (v *builtinVAD) Stream() VADStream {
	return &builtinVADStream{detector: vad.NewDetector(v.config)}
}

// A builtinVADStream makes 16 kHz and one channel of what comes, and times and positions of samples at 16 kHz.
type builtinVADStream struct {
	detector *vad.Detector
	closed   bool

	rate, channels int // of the first frame; zero before
	resampler      *resample.Resampler
	mono, samples  []int16
	found          []vad.Event
	events         []VADEvent
}

// vadChunk is how much is converted at a time, in samples of one channel: what is held does not grow with the frames.
const vadChunk = 4096

// Push judges more audio. It allocates only while its memory grows to the size of the frames, which is bounded.
func (s *builtinVADStream) Push(frame AudioFrame) ([]VADEvent, error) {
	if s.closed {
		return nil, ErrStreamClosed
	}
	if err := s.setFormat(frame); err != nil {
		return nil, err
	}
	start := time.Now()
	s.found = s.found[:0]
	for rest := frame.Samples; len(rest) > 0; {
		chunk := rest[:min(len(rest), vadChunk*s.channels)]
		rest = rest[len(chunk):]
		if s.channels > 1 {
			chunk = s.downmix(chunk)
		}
		if s.rate != vad.SampleRate {
			s.samples = s.resampler.Push(s.samples[:0], chunk)
			chunk = s.samples
		}
		s.found = s.detector.Push(s.found, chunk)
	}
	return s.convert(time.Since(start)), nil
}

// setFormat checks the frame, and remembers the format of the first.
func (s *builtinVADStream) setFormat(frame AudioFrame) error {
	if err := frame.Check(); err != nil {
		return err
	}
	if s.rate != 0 {
		if frame.SampleRate != s.rate || frame.Channels != s.channels {
			return fmt.Errorf("%w: %d Hz in %d channels after %d Hz in %d", ErrAudioFormat,
				frame.SampleRate, frame.Channels, s.rate, s.channels)
		}
		return nil
	}
	if frame.SampleRate != vad.SampleRate {
		r, err := resample.New(frame.SampleRate, vad.SampleRate)
		if err != nil {
			return fmt.Errorf("%w: %w", ErrAudioFormat, err)
		}
		s.resampler = r
	}
	s.rate, s.channels = frame.SampleRate, frame.Channels
	return nil
}

func (s *builtinVADStream) downmix(samples []int16) []int16 {
	s.mono = s.mono[:0]
	for i := 0; i < len(samples); i += s.channels {
		sum := 0
		for _, v := range samples[i : i+s.channels] {
			sum += int(v)
		}
		s.mono = append(s.mono, int16(sum/s.channels))
	}
	return s.mono
}

// convert makes events of what was found. The time that took is divided among the windows.
func (s *builtinVADStream) convert(took time.Duration) []VADEvent {
	s.events = s.events[:0]
	windows := 0
	for _, f := range s.found {
		if f.Kind == vad.Inference {
			windows++
		}
	}
	for _, f := range s.found {
		ev := VADEvent{
			Position:        s.position(f.Position),
			Start:           s.position(f.Start),
			Speaking:        f.Speaking,
			SpeechDuration:  SampleDuration(f.Speech, vad.SampleRate),
			SilenceDuration: SampleDuration(f.Silence, vad.SampleRate),
			RawSpeech:       SampleDuration(f.RawSpeech, vad.SampleRate),
			RawSilence:      SampleDuration(f.RawSilence, vad.SampleRate),
		}
		switch f.Kind {
		case vad.StartOfSpeech:
			ev.Type = VADStartOfSpeech
		case vad.EndOfSpeech:
			ev.Type = VADEndOfSpeech
		default:
			ev.Type, ev.Probability, ev.Inference = VADInference, f.Probability, took/time.Duration(windows)
		}
		s.events = append(s.events, ev)
	}
	return s.events
}

// position converts a number of samples at 16 kHz, of which the first plays with the first that was pushed, to the rate
// that is pushed.
func (s *builtinVADStream) position(n int64) int64 {
	rate := int64(s.rate)
	return n/vad.SampleRate*rate + n%vad.SampleRate*rate/vad.SampleRate
}

// Reset makes the detector as new.
func (s *builtinVADStream) Reset() {
	if s.closed {
		return
	}
	s.detector.Reset()
	s.rate, s.channels, s.resampler = 0, 0, nil
}

// Close ends the stream.
func (s *builtinVADStream) Close() error {
	*s = builtinVADStream{closed: true}
	return nil
}
