package backgroundaudio

import (
	"fmt"
	"sync"

	"github.com/parley-voice/agents"
	"github.com/parley-voice/agents/internal/ambience"
)

// A Builtin is a sound that comes with this package. It is made when it is first used, which takes up to some tenths of
// a second, and kept. All of them play in a loop without a seam.
type Builtin string

// The built-in sounds.
const (
	CityAmbience    Builtin = "city-ambience"    // traffic, cars that pass, a horn now and then
	ForestAmbience  Builtin = "forest-ambience"  // wind and birds
	OfficeAmbience  Builtin = "office-ambience"  // ventilation, distant talk, somebody who types
	CrowdedRoom     Builtin = "crowded-room"     // many people who talk at once
	KeyboardTyping  Builtin = "keyboard-typing"  // at ease, on a soft keyboard
	KeyboardTyping2 Builtin = "keyboard-typing2" // fast, on a hard keyboard
	HoldMusic       Builtin = "hold_music"       // soft chords and a tune
)

var builtins = map[Builtin]func() *Clip{
	CityAmbience:    builtin(ambience.City),
	ForestAmbience:  builtin(ambience.Forest),
	OfficeAmbience:  builtin(ambience.Office),
	CrowdedRoom:     builtin(ambience.CrowdedRoom),
	KeyboardTyping:  builtin(ambience.KeyboardTyping),
	KeyboardTyping2: builtin(ambience.KeyboardTyping2),
	HoldMusic:       builtin(ambience.HoldMusic),
}

func builtin(generate func() []int16) func() *Clip {
	return sync.OnceValue(func() *Clip {
		return newClip(agents.AudioFrame{Samples: generate(), SampleRate: ambience.Rate, Channels: 1})
	})
}

// Clip returns the sound as a clip, to be heard elsewhere. The error is about one that does not exist.
func (b Builtin) Clip() (*Clip, error) {
	clip, err := b.clip()
	if err != nil {
		return nil, fmt.Errorf("backgroundaudio: %w", err)
	}
	return clip(), nil
}

// clip returns what makes the clip.
func (b Builtin) clip() (func() *Clip, error) {
	clip, ok := builtins[b]
	if !ok {
		return nil, fmt.Errorf("no built-in sound %q", string(b))
	}
	return clip, nil
}
