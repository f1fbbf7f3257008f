package recording

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/thesyncim/gopus/container/ogg"

	"github.com/parley-voice/agents"
	"github.com/parley-voice/agents/agenttest"
	"github.com/parley-voice/agents/internal/opus"
)

const ms = time.Millisecond

// window is how finely sounds are told apart and placed.
const window = 10 * ms

// sine is a tone of a multiple of 100 Hz, which fills windows with whole periods.
func sine(hz int, d time.Duration, rate, channels int) agents.AudioFrame {
	f := agents.AudioFrame{SampleRate: rate, Channels: channels}
	for i := range agents.SamplesIn(d, rate) {
		s := int16(0)
		if hz > 0 {
			s = int16(8000 * math.Sin(2*math.Pi*float64(hz)*float64(i)/float64(rate)))
		}
		for range channels {
			f.Samples = append(f.Samples, s)
		}
	}
	return f
}

// decode plays a file as a player does and returns its channels.
func decode(t *testing.T, file []byte) (left, right []int16) {
	t.Helper()
	r, err := ogg.NewReader(bytes.NewReader(file))
	require.NoError(t, err)
	require.EqualValues(t, 2, r.Channels())
	d, err := opus.NewDecoder(48_000, 2)
	require.NoError(t, err)
	defer d.Close()
	var pcm []int16
	end := int64(0)
	for {
		packet, granule, err := r.ReadPacket()
		if errors.Is(err, io.EOF) {
			break
		}
		require.NoError(t, err)
		end = int64(granule)
		pcm, err = d.Decode(pcm, packet)
		require.NoError(t, err)
	}
	pcm = pcm[min(int(r.PreSkip())*2, len(pcm)):min(int(end)*2, len(pcm))]
	for i := 0; i < len(pcm); i += 2 {
		left, right = append(left, pcm[i]), append(right, pcm[i+1])
	}
	return left, right
}

// tones are those that are looked for, in Hz.
var tones = []int{500, 1000, 1500, 2000}

// heardIn returns the tone that makes up at least half of a window, or 0.
func heardIn(samples []int16) int {
	for _, hz := range tones {
		var re, im float64
		for i, s := range samples {
			sin, cos := math.Sincos(2 * math.Pi * float64(hz) * float64(i) / 48_000)
			re, im = re+float64(s)*cos, im+float64(s)*sin
		}
		if amplitude := 2 * math.Hypot(re, im) / float64(len(samples)); amplitude > 4000 {
			return hz
		}
	}
	return 0
}

// sounds writes a channel down as its tones, and when and for how long they are heard, in ms.
func sounds(samples []int16) string {
	n := int(agents.SamplesIn(window, 48_000))
	var b strings.Builder
	tone, since := 0, 0
	for i := 0; i <= len(samples); i += n {
		now := 0
		if i+n <= len(samples) {
			now = heardIn(samples[i : i+n])
		}
		if now == tone {
			continue
		}
		if tone != 0 {
			fmt.Fprintf(&b, "%d:%d+%d ", tone, since/48, (i-since)/48)
		}
		tone, since = now, i
	}
	return strings.TrimSpace(b.String())
}

// A part is a tone that the caller makes, or silence.
type part struct {
	hz int
	d  time.Duration
}

// A caller makes tones in real time and then hangs up. Frames are of 20 ms at 16 kHz, and come
// when they have been heard.
type caller struct {
	frames []agents.AudioFrame
	next   int
	late   time.Duration // when it begins
	begun  time.Time
}

func newCaller(parts ...part) *caller {
	c := &caller{}
	for _, p := range parts {
		all := sine(p.hz, p.d, 16_000, 1)
		for at := time.Duration(0); at < p.d; at += 20 * ms {
			c.frames = append(c.frames, all.Slice(at, at+20*ms))
		}
	}
	return c
}

func (c *caller) ReadFrame(ctx context.Context) (agents.AudioFrame, error) {
	if c.begun.IsZero() {
		c.begun = time.Now().Add(c.late)
	}
	if c.next == len(c.frames) {
		return agents.AudioFrame{}, io.EOF
	}
	select {
	case <-time.After(time.Until(c.begun.Add(time.Duration(c.next+1) * 20 * ms))):
	case <-ctx.Done():
		return agents.AudioFrame{}, context.Cause(ctx)
	}
	c.next++
	return c.frames[c.next-1], nil
}

// A call is a session's side of a recorded conversation, in a bubble.
type call struct {
	t     *testing.T
	rec   *Recorder
	file  *shelf
	io    agents.IO
	start time.Time
	ended sync.WaitGroup
	hang  context.CancelFunc

	mu     sync.Mutex
	events []agents.PlaybackEvent
}

// A shelf keeps what is written, and can be looked at meanwhile.
type shelf struct {
	mu   sync.Mutex
	data []byte
}

func (s *shelf) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.data = append(s.data, p...)
	return len(p), nil
}

func (s *shelf) bytes() []byte {
	s.mu.Lock()
	defer s.mu.Unlock()
	return bytes.Clone(s.data)
}

// newCall attaches the session to a recorded speaker and has it listen to a caller, who may be nil.
func newCall(t *testing.T, from agents.AudioInput, to agents.AudioOutput, w io.Writer, opts Options) *call {
	c := &call{t: t, start: time.Now()}
	if w == nil {
		c.file = &shelf{}
		w = c.file
	}
	var err error
	c.rec, err = New(w, opts)
	require.NoError(t, err)
	t.Cleanup(func() { c.rec.Close() })
	c.io = c.rec.Wrap(agents.IO{AudioInput: from, AudioOutput: to})
	if to != nil {
		c.io.AudioOutput.Attach(func(e agents.PlaybackEvent) {
			c.mu.Lock()
			defer c.mu.Unlock()
			c.events = append(c.events, e)
		})
	}
	ctx, hang := context.WithCancel(context.Background())
	c.hang = hang
	if from != nil {
		c.ended.Go(func() {
			for {
				if _, err := c.io.AudioInput.ReadFrame(ctx); err != nil {
					return
				}
			}
		})
	}
	t.Cleanup(c.end)
	return c
}

// end stops to listen and detaches the session.
func (c *call) end() {
	c.hang()
	c.ended.Wait()
	if c.io.AudioOutput != nil {
		c.io.AudioOutput.Detach()
	}
}

// say captures a tone, in frames of 20 ms at 24 kHz.
func (c *call) say(hz int, d time.Duration) { c.sayFrames(sine(hz, d, 24_000, 1), 20*ms) }

func (c *call) sayFrames(f agents.AudioFrame, each time.Duration) {
	c.t.Helper()
	for at := time.Duration(0); at < f.Duration(); at += each {
		require.NoError(c.t, c.io.AudioOutput.CaptureFrame(context.Background(), f.Slice(at, at+each)))
	}
}

// close ends the call and the recording.
func (c *call) close() error {
	c.end()
	return c.rec.Close()
}

// hear decodes what was written.
func (c *call) hear() (left, right string, length time.Duration) {
	c.t.Helper()
	l, r := decode(c.t, c.file.bytes())
	return sounds(l), sounds(r), agents.SampleDuration(int64(len(l)), 48_000)
}

func speaker() agents.AudioOutput { return agenttest.NewSpeaker() }
