package backgroundaudio

import (
	"errors"
	"fmt"
	"iter"
	"math"
	"time"

	"github.com/parley-voice/agents"
	"github.com/parley-voice/agents/internal/playout"
)

// A Sound is something to be played, and how. Only Source is required.
type Sound struct {
	Source Source
	// Volume multiplies the samples: 1 by default, or agents.None for silence. What gets louder than full scale is cut
	// off there.
	Volume float64
	// Probability is how often the sound is chosen from a list, 0 to 1: 1 by default, or agents.None. If those of a list
	// add up to less than 1, nothing is played in the rest of the cases; if they add up to more, they are weights.
	Probability float64
	// FadeIn and FadeOut are how long the sound takes to begin, and to end once it is stopped, with equal power. The
	// default is at once. A sound that ends by itself does so at its own volume.
	FadeIn, FadeOut time.Duration
	// Loop says whether the sound begins again when it ends, until it is stopped. By default a clip does as ambience
	// and while the agent thinks, and is played once by Play. Frames cannot loop.
	Loop agents.Toggle
}

// A Source is where a sound comes from: a [Builtin], a [*Clip] or [Frames].
type Source interface {
	source()
}

// Frames is a sound that is made as it is played. It is iterated once each time the sound is played, on a goroutine of
// its own and at most 400 ms ahead; a frame may have any length, rate of [SampleRates] and number of channels. Frames
// that come too late leave a gap of silence. The sequence must end when yield returns false.
type Frames iter.Seq[agents.AudioFrame]

func (Frames) source()  {}
func (*Clip) source()   {}
func (Builtin) source() {}

// check tells what is wrong with a sound.
func (s Sound) check() error {
	switch src := s.Source.(type) {
	case nil:
		return errors.New("a sound has no source")
	case Builtin:
		if _, err := src.clip(); err != nil {
			return err
		}
	case *Clip:
		if src == nil {
			return errors.New("a sound has no source")
		}
	case Frames:
		if src == nil {
			return errors.New("a sound has no source")
		}
		if s.Loop == agents.On {
			return errors.New("frames cannot be played in a loop")
		}
	}
	switch {
	case !(s.Volume >= 0 || s.Volume == agents.None) || math.IsInf(s.Volume, 0):
		return fmt.Errorf("a volume of %v", s.Volume)
	case !(s.Probability >= 0 && s.Probability <= 1 || s.Probability == agents.None):
		return fmt.Errorf("a probability of %v", s.Probability)
	case s.FadeIn < 0 || s.FadeOut < 0:
		return fmt.Errorf("a fade of %v", min(s.FadeIn, s.FadeOut))
	}
	return nil
}

func check(what string, sounds []Sound) error {
	for _, s := range sounds {
		if err := s.check(); err != nil {
			return fmt.Errorf("backgroundaudio: %s: %w", what, err)
		}
	}
	return nil
}

// orDefault reads a setting of which zero means 1 and agents.None means 0.
func orDefault(x float64) float64 {
	switch x {
	case 0:
		return 1
	case agents.None:
		return 0
	}
	return x
}

// choose returns one of the sounds, with a random number in [0, 1).
func choose(random float64, sounds []Sound) (Sound, bool) {
	probabilities := make([]float64, len(sounds))
	for i, s := range sounds {
		probabilities[i] = orDefault(s.Probability)
	}
	i := playout.Choose(random, probabilities...)
	if i < 0 {
		return Sound{}, false
	}
	return sounds[i], true
}
