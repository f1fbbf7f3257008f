package backgroundaudio

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/parley-voice/agents"
	"github.com/parley-voice/agents/internal/playout"
)

const (
	// defaultRate is the sample rate where the output has none of its own.
	defaultRate = 48000
	// frameTime is how much is mixed at a time.
	frameTime = 20 * time.Millisecond
	// maxSounds is how many sounds can be played at once.
	maxSounds = 32
	// closeGrace is how long Close waits for an output and for Frames.
	closeGrace = 500 * time.Millisecond
)

// Errors of a [Player]. Test for them with [errors.Is].
var (
	// ErrNotStarted is returned by Play before Start.
	ErrNotStarted = errors.New("backgroundaudio: not started")
	// ErrAlreadyStarted is returned by a second Start; a player runs once.
	ErrAlreadyStarted = errors.New("backgroundaudio: already started")
	// ErrClosed is returned by Play and Start once the player has ended.
	ErrClosed = errors.New("backgroundaudio: closed")
	// ErrTooManySounds is returned by Play while 32 sounds are being played.
	ErrTooManySounds = errors.New("backgroundaudio: too many sounds")
	// ErrAbandoned is what the error of Close wraps when an output, or Frames, did not return in time.
	ErrAbandoned = errors.New("backgroundaudio: abandoned")
)

// Options are the options of a [Player]. The zero value plays only what Play is given.
type Options struct {
	// Ambient is what is heard all the time: one of these sounds, chosen at Start by their probabilities.
	Ambient []Sound
	// Thinking is what is heard while the agent thinks: one of these, chosen each time. It begins when the state of the
	// agent becomes agents.AgentThinking, and is stopped by any other state.
	Thinking []Sound
	// Random decides between the sounds of a list. The player is the only one to use it. The default is seeded at
	// random.
	Random rand.Source
}

// A Player plays background sounds on an output. Its methods are safe for concurrent use.
type Player struct {
	opts   Options
	random *rand.Rand // under mu
	ended  chan struct{}

	// Set by Start:
	cancel context.CancelFunc
	out    agents.AudioOutput
	format form
	reopen atomic.Bool // somebody else cleared the output

	fed chan struct{} // what a stream has may be enough now

	mu       sync.Mutex
	started  bool
	closed   bool
	err      error
	playing  []*playing
	tracks   []*playout.Track // of playing
	streams  []*stream        // whose goroutine may still run
	frame    agents.AudioFrame
	deadline *time.Timer // of streams; owned by run
}

// A playing is a sound being played.
type playing struct {
	handle   *Handle
	track    *playout.Track
	stream   *stream // nil for a clip
	fadeOut  int     // samples of a channel
	stopping bool
}

// New returns a player that has not started. The error is about the options.
func New(opts Options) (*Player, error) {
	if err := check("ambient sounds", opts.Ambient); err != nil {
		return nil, err
	}
	if err := check("thinking sounds", opts.Thinking); err != nil {
		return nil, err
	}
	opts.Ambient, opts.Thinking = slices.Clone(opts.Ambient), slices.Clone(opts.Thinking)
	if opts.Random == nil {
		opts.Random = rand.NewPCG(rand.Uint64(), rand.Uint64())
	}
	return &Player{
		opts: opts, random: rand.New(opts.Random),
		ended: make(chan struct{}), fed: make(chan struct{}, 1),
	}, nil
}

// Start begins to play on an output, which the player attaches itself to, and which is its own until it has ended. ctx
// owns the player's lifetime. The session, which may be nil if there are no thinking sounds, need not have started;
// when it has closed the thinking sound ends, and the player goes on.
//
// All sounds, and silence between them, are one segment, which the output plays at its own pace: the player is ahead of
// it by as much as it holds, and what is played or stopped is heard that much later. An output without a sample rate of
// its own gets 48 kHz, and one without a number of channels, mono.
//
// The error is about an output or a sound that cannot be used, and nothing was started then.
func (p *Player) Start(ctx context.Context, session *agents.AgentSession, out agents.AudioOutput) error {
	if out == nil {
		return errors.New("backgroundaudio: no output")
	}
	if session == nil && len(p.opts.Thinking) > 0 {
		return errors.New("backgroundaudio: thinking sounds without a session")
	}
	caps := out.Capabilities()
	format := form{rate: caps.SampleRate, channels: max(caps.Channels, 1)}
	if format.rate <= 0 {
		format.rate = defaultRate
	}
	for _, s := range append(slices.Clone(p.opts.Ambient), p.opts.Thinking...) {
		if err := prepare(s, format); err != nil { // now, so that it begins at once later
			return err
		}
	}

	p.mu.Lock()
	switch {
	case p.closed:
		p.mu.Unlock()
		return ErrClosed
	case p.started:
		p.mu.Unlock()
		return ErrAlreadyStarted
	}
	p.started = true
	ctx, p.cancel = context.WithCancel(ctx)
	p.out, p.format = out, format
	p.frame = agents.AudioFrame{
		Samples: make([]int16, samplesOf(frameTime, format)), SampleRate: format.rate, Channels: format.channels,
	}
	p.mu.Unlock()

	_, err := p.play(true, p.opts.Ambient)
	if err != nil { // closed meanwhile
		close(p.ended)
		return err
	}
	thinking := make(chan struct{})
	if len(p.opts.Thinking) > 0 {
		events := session.Events(ctx)
		go func() {
			defer close(thinking)
			p.think(events, session.AgentState)
		}()
	} else {
		close(thinking)
	}
	out.Attach(p.notify)
	go p.run(ctx, thinking)
	return nil
}

// prepare converts a clip that will be played in a loop by default.
func prepare(s Sound, f form) error {
	clip, ok := s.Source.(*Clip)
	if b, builtin := s.Source.(Builtin); builtin {
		make, err := b.clip()
		if err != nil {
			return err
		}
		clip, ok = make(), true
	}
	if !ok {
		return nil
	}
	f.loop = s.Loop != agents.Off
	_, err := clip.in(f)
	return err
}

// Play plays one of the sounds, chosen by their probabilities; a single one is played unless its probability says
// otherwise. If none is chosen the handle is over from the beginning. A clip that no output of this sample rate played
// before is converted first, which takes some time.
func (p *Player) Play(sounds ...Sound) (*Handle, error) {
	if err := check("play", sounds); err != nil {
		return nil, err
	}
	return p.play(false, sounds)
}

// play plays one of the sounds, clips in a loop by default or not.
func (p *Player) play(loop bool, sounds []Sound) (*Handle, error) {
	p.mu.Lock()
	started, closed, format := p.started, p.closed, p.format
	var sound Sound
	chosen := false
	if started && !closed && len(sounds) > 0 {
		sound, chosen = choose(p.random.Float64(), sounds)
	}
	p.mu.Unlock()
	h := &Handle{stop: func() {}, done: make(chan struct{})}
	switch {
	case closed:
		return nil, ErrClosed
	case !started:
		return nil, ErrNotStarted
	case !chosen:
		h.finish(nil)
		return h, nil
	}

	gain := playout.NewGain(orDefault(sound.Volume))
	if sound.FadeIn > 0 {
		gain = playout.NewGain(0)
		gain.Set(orDefault(sound.Volume), int(agents.SamplesIn(sound.FadeIn, format.rate)))
	}
	s := &playing{handle: h, fadeOut: int(agents.SamplesIn(sound.FadeOut, format.rate))}
	h.stop = func() { p.stop(s) }
	switch src := sound.Source.(type) {
	case Frames:
		s.stream = newStream(format, p.fed)
		s.track = playout.NewFed(format.channels, gain)
	case Builtin:
		clip, err := src.Clip()
		if err != nil {
			return nil, err
		}
		if s.track, err = clip.track(format, sound.Loop, loop, gain); err != nil {
			return nil, err
		}
	case *Clip:
		var err error
		if s.track, err = src.track(format, sound.Loop, loop, gain); err != nil {
			return nil, err
		}
	}
	if err := p.begin(s, sound); err != nil {
		return nil, err
	}
	return h, nil
}

// track returns a track of the clip.
func (c *Clip) track(f form, setting agents.Toggle, byDefault bool, gain playout.Gain) (*playout.Track, error) {
	f.loop = setting == agents.On || setting == agents.Default && byDefault
	samples, err := c.in(f)
	if err != nil {
		return nil, err
	}
	return playout.NewTrack(samples, f.channels, f.loop, gain), nil
}

// begin adds a sound to those that are mixed.
func (p *Player) begin(s *playing, sound Sound) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	switch {
	case p.closed:
		return ErrClosed
	case len(p.playing) >= maxSounds:
		return ErrTooManySounds
	}
	p.playing = append(p.playing, s)
	p.tracks = append(p.tracks, s.track)
	if s.stream != nil {
		p.streams = slices.DeleteFunc(p.streams, func(s *stream) bool { return s.returned() })
		p.streams = append(p.streams, s.stream)
		go s.stream.pull(sound.Source.(Frames))
	}
	return nil
}

// stop ends a sound, or begins its end.
func (p *Player) stop(s *playing) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if s.stopping || s.handle.over() {
		return
	}
	s.stopping = true
	fade := s.fadeOut
	if s.stream != nil && !s.stream.heard() {
		fade = 0
	}
	s.track.Stop(fade)
	p.sweep()
	signal(p.fed)
}

// sweep ends the sounds that are over.
func (p *Player) sweep() {
	n := 0
	for _, s := range p.playing {
		if !s.track.Over() {
			p.playing[n], p.tracks[n] = s, s.track
			n++
			continue
		}
		p.finish(s)
	}
	clear(p.playing[n:])
	clear(p.tracks[n:])
	p.playing, p.tracks = p.playing[:n], p.tracks[:n]
}

func (p *Player) finish(s *playing) {
	var err error
	if s.stream != nil {
		s.stream.cancel()
		err = s.stream.failure()
	}
	s.handle.finish(err)
}

// Done returns a channel that is closed when the player has ended: by Close, with the ctx of Start, or because the
// output failed.
func (p *Player) Done() <-chan struct{} { return p.ended }

// Close ends all sounds, at once, and the use of the output, and waits until the player has ended, though not for longer
// than a second. The error is why the output failed, if that is what ended the player, or wraps [ErrAbandoned] if the
// output or Frames have not returned. Later calls return the same.
func (p *Player) Close() error {
	p.mu.Lock()
	started, closed := p.started, p.closed
	p.closed = true
	cancel := p.cancel
	if !started && !closed {
		close(p.ended)
	}
	p.mu.Unlock()
	if cancel != nil {
		cancel()
	}
	timer := time.NewTimer(2 * closeGrace)
	defer timer.Stop()
	select {
	case <-p.ended:
	case <-timer.C:
		return fmt.Errorf("%w: the output has not returned", ErrAbandoned)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.err
}
