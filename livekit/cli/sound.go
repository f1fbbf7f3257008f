package cli

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/parley-voice/agents"
	"github.com/parley-voice/agents/internal/pacer"
)

const (
	// frameSamples is 20 ms.
	frameSamples = soundRate / 50
	// soundPatience is how long a microphone may take until it is heard, and speakerPatience how long a speaker must not
	// have failed.
	soundPatience, speakerPatience = 3 * time.Second, 300 * time.Millisecond
	// micQueue and speakerQueue are how many frames may wait: a second each.
	micQueue, speakerQueue = 50, 50
	// hush is how long the speaker may get nothing before it is given as much silence, so that it does not run dry.
	hush = 60 * time.Millisecond
	// maxComplaint is how much of what a program complains of is kept.
	maxComplaint = 2 << 10
)

// A sound is a microphone and a speaker, as far as there are any.
type sound struct {
	io    agents.IO
	parts []func()
	group sync.WaitGroup
}

func (s *sound) close() {
	for _, f := range s.parts {
		f()
	}
	s.group.Wait()
}

// watch tells when a program ends that should not.
func (s *sound) watch(show *transcript, what string, pl *player) {
	s.group.Go(func() {
		<-pl.exited
		if !pl.closing.Load() {
			show.warn(fmt.Sprintf("the %s is gone: %v", what, pl.failure()))
		}
	})
}

// openSound opens microphone and speaker. What was asked for and cannot be had is an error, and what was not asked for is
// told of: the conversation then goes on by text.
func (p *process) openSound(ctx context.Context, show *transcript, want devices, textOnly, terminal bool) (*sound, error) {
	s := &sound{}
	asked := want != devices{}
	switch {
	case textOnly && asked:
		return nil, errors.New("-text excludes -input-device and -output-device")
	case textOnly, !terminal && !asked:
		return s, nil
	}
	system, err := findSound()
	if err != nil {
		if asked {
			return nil, err
		}
		show.note("By text only: " + err.Error() + ".")
		return s, nil
	}
	input, err := system.resolve(ctx, true, want.input)
	if err != nil {
		return nil, err
	}
	output, err := system.resolve(ctx, false, want.output)
	if err != nil {
		return nil, err
	}
	speaker, err := openSpeaker(ctx, p, system, output)
	if err == nil {
		s.io.AudioOutput = speaker
		s.parts = append(s.parts, speaker.close)
		s.watch(show, "speaker", speaker.player)
	}
	if failed := p.soundFailed(show, "no speaker", err, want.output != ""); failed != nil {
		s.close()
		return nil, failed
	}
	mic, err := openMicrophone(ctx, p, system, input)
	if err == nil {
		s.io.AudioInput = mic
		s.parts = append(s.parts, mic.close)
		s.watch(show, "microphone", mic.player)
	}
	if failed := p.soundFailed(show, "no microphone", err, want.input != ""); failed != nil {
		s.close()
		return nil, failed
	}
	if s.io.AudioInput != nil && s.io.AudioOutput != nil {
		show.note("Echo is not cancelled: use headphones.")
	}
	return s, nil
}

func (p *process) soundFailed(show *transcript, what string, err error, asked bool) error {
	if err == nil {
		return nil
	}
	err = fmt.Errorf("%s: %w; -list-devices shows the devices", what, err)
	if asked {
		return err
	}
	show.note(err.Error())
	return nil
}

// soundEnvironment is what a program for sound may know of the environment: none of it is a key.
func soundEnvironment() (env []string) {
	for _, v := range os.Environ() {
		name, _, _ := strings.Cut(v, "=")
		switch {
		case name == "HOME", name == "PATH", name == "LANG", name == "TMPDIR", name == "XDG_RUNTIME_DIR", name == "DBUS_SESSION_BUS_ADDRESS",
			strings.HasPrefix(name, "LC_"), strings.HasPrefix(name, "ALSA_"), strings.HasPrefix(name, "PIPEWIRE_"),
			strings.HasPrefix(name, "PULSE_"), strings.HasPrefix(name, "AUDIO"):
			env = append(env, v)
		}
	}
	return env
}

// A player is a program for sound that runs.
type player struct {
	cmd    *exec.Cmd
	said   tail
	exited chan struct{}
	forget func()

	closing atomic.Bool
}

// launch starts a program; connect connects it first. It ends with close.
func launch(p *process, s soundSystem, program string, args []string, device string, connect func(*exec.Cmd) error) (*player, error) {
	args = append([]string{}, args...)
	if device != "" && s.deviceArg != "" {
		args = append([]string{s.deviceArg, device}, args...)
	}
	pl := &player{cmd: exec.Command(program, args...), exited: make(chan struct{})}
	pl.cmd.Env, pl.cmd.Stderr, pl.cmd.WaitDelay = soundEnvironment(), &pl.said, time.Second
	if device != "" && s.deviceVariable != "" {
		pl.cmd.Env = append(pl.cmd.Env, s.deviceVariable+"="+device)
	}
	ownGroup(pl.cmd)
	if err := connect(pl.cmd); err != nil {
		return nil, err
	}
	if err := pl.cmd.Start(); err != nil {
		return nil, err
	}
	pl.forget = p.onAbort(func() { killGroup(pl.cmd) })
	return pl, nil
}

// wait is called once, when nothing is read from the program any more.
func (pl *player) wait() {
	_ = pl.cmd.Wait() // ProcessState says how it ended
	close(pl.exited)
}

// close ends the program at once and waits for wait.
func (pl *player) close() {
	pl.closing.Store(true)
	select {
	case <-pl.exited:
	default:
		killGroup(pl.cmd)
		<-pl.exited
	}
	pl.forget()
}

// failure says why the program has ended.
func (pl *player) failure() error {
	said := pl.said.last()
	if said == "" {
		said = pl.cmd.ProcessState.String()
	}
	return fmt.Errorf("%s: %s", pl.cmd.Args[0], said)
}

// A tail keeps the beginning of what a program complains of.
type tail struct {
	mu   sync.Mutex
	text []byte
}

func (t *tail) Write(b []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.text = append(t.text, b[:min(len(b), maxComplaint-len(t.text))]...)
	return len(b), nil
}

// last returns the last line.
func (t *tail) last() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	lines := strings.Split(strings.TrimSpace(string(t.text)), "\n")
	return printable(strings.TrimSpace(lines[len(lines)-1]))
}

// A microphone is a program that records. When nobody reads for a second the oldest is dropped.
type microphone struct {
	player *player
	frames chan []int16
	heard  chan struct{} // closed by the first frame
	over   chan struct{}

	mu      sync.Mutex
	dropped time.Duration
}

func openMicrophone(ctx context.Context, p *process, s soundSystem, device string) (*microphone, error) {
	var out io.ReadCloser
	pl, err := launch(p, s, s.record, s.recordArgs, device, func(cmd *exec.Cmd) (err error) {
		out, err = cmd.StdoutPipe()
		return err
	})
	if err != nil {
		return nil, err
	}
	m := &microphone{player: pl, frames: make(chan []int16, micQueue), heard: make(chan struct{}), over: make(chan struct{})}
	go m.listen(out)
	patience := time.NewTimer(soundPatience)
	defer patience.Stop()
	select {
	case <-m.heard:
		return m, nil
	case <-pl.exited:
		err = pl.failure()
	case <-patience.C:
		err = fmt.Errorf("%s records nothing", s.record)
	case <-ctx.Done():
		err = context.Cause(ctx)
	}
	m.close()
	return nil, err
}

// listen reads what is recorded, to its end.
func (m *microphone) listen(out io.Reader) {
	defer m.player.wait()
	defer close(m.over)
	buf := make([]byte, 2*frameSamples)
	for first := true; ; first = false {
		if _, err := io.ReadFull(out, buf); err != nil {
			return
		}
		frame := make([]int16, frameSamples)
		for i := range frame {
			frame[i] = int16(binary.LittleEndian.Uint16(buf[2*i:]))
		}
		if first {
			close(m.heard)
		}
		for put := false; !put; {
			select {
			case m.frames <- frame:
				put = true
			default:
				m.drop()
			}
		}
	}
}

// drop makes room.
func (m *microphone) drop() {
	select {
	case old := <-m.frames:
		m.mu.Lock()
		m.dropped += agents.SampleDuration(int64(len(old)), soundRate)
		m.mu.Unlock()
	default:
	}
}

// Dropped implements [agents.DropCounter].
func (m *microphone) Dropped() time.Duration {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.dropped
}

// ReadFrame implements [agents.AudioInput].
func (m *microphone) ReadFrame(ctx context.Context) (agents.AudioFrame, error) {
	frame := func(samples []int16) (agents.AudioFrame, error) {
		return agents.AudioFrame{Samples: samples, SampleRate: soundRate, Channels: 1}, nil
	}
	select {
	case samples := <-m.frames:
		return frame(samples)
	case <-ctx.Done():
		return agents.AudioFrame{}, context.Cause(ctx)
	case <-m.over:
	}
	select {
	case samples := <-m.frames:
		return frame(samples)
	default:
		return agents.AudioFrame{}, io.EOF
	}
}

func (m *microphone) close() { m.player.close() }

// A speaker is a program that plays. Audio is given to it in time; what is interrupted is still heard as far as the
// program and the machine hold it, about 0.2 s.
type speaker struct {
	player *player
	pacer  *pacer.Pacer
	out    *pacer.Output
	frames chan []int16
	over   chan struct{} // closed to end feed
	fed    chan struct{} // closed when feed has ended
}

var _ agents.AudioOutput = (*speaker)(nil)

func openSpeaker(ctx context.Context, p *process, s soundSystem, device string) (*speaker, error) {
	var in io.WriteCloser
	pl, err := launch(p, s, s.play, s.playArgs, device, func(cmd *exec.Cmd) (err error) {
		in, err = cmd.StdinPipe()
		return err
	})
	if err != nil {
		return nil, err
	}
	k := &speaker{
		player: pl, pacer: pacer.New(pacer.Options{Shards: 1}), frames: make(chan []int16, speakerQueue),
		over: make(chan struct{}), fed: make(chan struct{}),
	}
	go pl.wait()
	go k.feed(in)
	k.out, err = k.pacer.NewOutput(pacer.OutputOptions{SampleRate: soundRate, Play: k.play})
	patience := time.NewTimer(speakerPatience)
	defer patience.Stop()
	if err == nil {
		select {
		case <-patience.C:
			return k, nil
		case <-pl.exited:
			err = pl.failure()
		case <-ctx.Done():
			err = context.Cause(ctx)
		}
	}
	k.close()
	return nil, err
}

// play takes a frame that is due. It does not wait: a program that is a second behind loses it.
func (k *speaker) play(samples []int16) {
	select {
	case k.frames <- append([]int16(nil), samples...):
	default:
	}
}

// feed gives the program its frames, and silence where there are none.
func (k *speaker) feed(in io.WriteCloser) {
	defer close(k.fed)
	defer in.Close()
	silence := make([]byte, 2*soundRate*hush/time.Second)
	var buf []byte
	quiet := time.NewTimer(0)
	defer quiet.Stop()
	for {
		out := silence
		select {
		case samples := <-k.frames:
			buf = buf[:0]
			for _, v := range samples {
				buf = binary.LittleEndian.AppendUint16(buf, uint16(v))
			}
			out = buf
		case <-quiet.C:
		case <-k.over:
			return
		}
		if _, err := in.Write(out); err != nil {
			return
		}
		quiet.Reset(hush)
	}
}

// Capabilities implements [agents.AudioOutput].
func (k *speaker) Capabilities() agents.AudioOutputCapabilities {
	return agents.AudioOutputCapabilities{SampleRate: soundRate, Channels: 1, CanPause: true}
}

// Attach implements [agents.AudioOutput].
func (k *speaker) Attach(notify func(agents.PlaybackEvent)) {
	k.out.Attach(func(e pacer.Event) {
		event := agents.PlaybackEvent{Type: agents.PlaybackStarted, Segment: e.Segment, At: e.At}
		if e.Type == pacer.Finished {
			event.Type = agents.PlaybackFinished
			event.Position = agents.SampleDuration(e.Position, soundRate)
			event.Interrupted = e.Interrupted
		}
		notify(event)
	})
}

// CaptureFrame implements [agents.AudioOutput].
func (k *speaker) CaptureFrame(ctx context.Context, f agents.AudioFrame) error {
	if err := f.Check(); err != nil {
		return err
	}
	if f.SampleRate != soundRate || f.Channels != 1 {
		return fmt.Errorf("%w: %d Hz in %d channels for a speaker of %d Hz in one", agents.ErrAudioFormat, f.SampleRate, f.Channels, soundRate)
	}
	return k.out.CaptureFrame(ctx, f.Samples)
}

// Detach implements [agents.AudioOutput].
func (k *speaker) Detach() { k.out.Detach() }

// Flush implements [agents.AudioOutput].
func (k *speaker) Flush() { k.out.Flush() }

// Clear implements [agents.AudioOutput].
func (k *speaker) Clear() { k.out.Clear() }

// Pause implements [agents.AudioOutput].
func (k *speaker) Pause() { k.out.Pause() }

// Resume implements [agents.AudioOutput].
func (k *speaker) Resume() { k.out.Resume() }

// close ends what is being played.
func (k *speaker) close() {
	k.pacer.Close()
	close(k.over)
	k.player.close()
	<-k.fed
}
