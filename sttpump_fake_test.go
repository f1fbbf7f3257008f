package agents

import (
	"context"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

// A puppetSTT is an STT whose streams do as they are told.
type puppetSTT struct {
	caps STTCapabilities
	// open is what opening stream n, from 1, does, if not nil. A stream can be prepared in it.
	open func(ctx context.Context, n int, s *puppetStream) error

	mu      sync.Mutex
	streams []*puppetStream
	times   []time.Time
}

func newPuppet(open func(ctx context.Context, n int, s *puppetStream) error) *puppetSTT {
	return &puppetSTT{caps: STTCapabilities{Streaming: true, Keyterms: true, ChatContext: true}, open: open}
}

func (p *puppetSTT) Provider() string              { return "puppet" }
func (p *puppetSTT) Model() string                 { return "puppet-1" }
func (p *puppetSTT) Capabilities() STTCapabilities { return p.caps }

func (p *puppetSTT) Stream(ctx context.Context, opts STTOptions) (STTStream, error) {
	p.mu.Lock()
	s := &puppetStream{ctx: ctx, opts: opts, wake: make(chan struct{}, 1)}
	p.streams = append(p.streams, s)
	p.times = append(p.times, time.Now())
	n := len(p.streams)
	p.mu.Unlock()
	if p.open != nil {
		if err := p.open(ctx, n, s); err != nil {
			return nil, err
		}
	}
	return s, nil
}

// stream returns stream n, from 1, once everything is quiet.
func (p *puppetSTT) stream(t *testing.T, n int) *puppetStream {
	t.Helper()
	synctest.Wait()
	p.mu.Lock()
	defer p.mu.Unlock()
	require.GreaterOrEqual(t, len(p.streams), n, "streams opened")
	return p.streams[n-1]
}

func (p *puppetSTT) opened() int {
	synctest.Wait()
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.streams)
}

type puppetStream struct {
	ctx  context.Context
	opts STTOptions
	wake chan struct{}
	// These are what the methods do besides being counted, if not nil.
	onSend  func(AudioFrame) error
	onFlush func() error
	onTerms func([]string) error
	onItem  func(ChatItem) error
	onEnd   func() error
	onRecv  func()
	onClose func()

	mu     sync.Mutex
	calls  []string // other than Send
	audio  []int16
	format AudioFrame
	out    []STTEvent
	err    error
	closed bool
}

// says has events received, and fails breaks the stream after them.
func (s *puppetStream) says(events ...STTEvent) {
	s.mu.Lock()
	s.out = append(s.out, events...)
	s.mu.Unlock()
	s.notify()
}

func (s *puppetStream) fails(err error) {
	s.mu.Lock()
	s.err = err
	s.mu.Unlock()
	s.notify()
}

func (s *puppetStream) notify() {
	select {
	case s.wake <- struct{}{}:
	default:
	}
}

func (s *puppetStream) call(what string, on func() error) error {
	if on != nil {
		if err := on(); err != nil {
			return err
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return ErrStreamClosed
	}
	s.calls = append(s.calls, fmt.Sprintf("%s at %d", what, len(s.audio)))
	return nil
}

func (s *puppetStream) Send(f AudioFrame) error {
	if s.onSend != nil {
		if err := s.onSend(f); err != nil {
			return err
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.format = AudioFrame{SampleRate: f.SampleRate, Channels: f.Channels}
	s.audio = append(s.audio, f.Samples...)
	return nil
}

func (s *puppetStream) Flush() error { return s.call("flush", s.onFlush) }

func (s *puppetStream) CloseSend() error {
	if err := s.call("end", s.onEnd); err != nil {
		return err
	}
	if s.onEnd == nil {
		s.fails(io.EOF)
	}
	return nil
}

func (s *puppetStream) SetKeyterms(terms []string) error {
	return s.call("terms "+strings.Join(terms, ","), func() error {
		if s.onTerms == nil {
			return nil
		}
		return s.onTerms(terms)
	})
}

func (s *puppetStream) PushItem(item ChatItem) error {
	return s.call("item "+item.(*ChatMessage).ID, func() error {
		if s.onItem == nil {
			return nil
		}
		return s.onItem(item)
	})
}

func (s *puppetStream) Recv() (STTEvent, error) {
	for {
		if s.onRecv != nil {
			s.onRecv()
		}
		s.mu.Lock()
		if len(s.out) > 0 {
			ev := s.out[0]
			s.out = s.out[1:]
			s.mu.Unlock()
			return ev, nil
		}
		err := s.err
		s.mu.Unlock()
		if err != nil {
			return STTEvent{}, err
		}
		select {
		case <-s.wake:
		case <-s.ctx.Done():
			return STTEvent{}, context.Cause(s.ctx)
		}
	}
}

func (s *puppetStream) Close() error {
	s.mu.Lock()
	s.closed = true
	s.mu.Unlock()
	if s.onClose != nil {
		s.onClose()
	}
	return nil
}

// got returns what the stream has been given, once everything is quiet: its calls, and its audio as runs such as
// "1×1000 0×200".
func (s *puppetStream) got() (calls []string, audio string) {
	synctest.Wait()
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.calls), runs(s.audio)
}

func runs(samples []int16) string {
	var b []string
	for i := 0; i < len(samples); {
		j := i
		for j < len(samples) && samples[j] == samples[i] {
			j++
		}
		b = append(b, fmt.Sprintf("%d×%d", samples[i], j-i))
		i = j
	}
	return strings.Join(b, " ")
}

// A pumped is a pump whose callbacks are recorded. Its log has lines such as "1.5s final one [0s 1s]".
type pumped struct {
	*sttPump
	t       *testing.T
	begun   time.Time
	vad     VADStream // tells the pump of speech, if there is a VAD
	mu      sync.Mutex
	lines   []string
	heard   []STTEvent
	errs    []error
	over    int
	overErr error
}

// startPump starts a pump. At the end of the test it must have ended, once and last, and left no goroutine.
func startPump(t *testing.T, o sttPumpOptions) *pumped {
	t.Helper()
	p := &pumped{t: t, begun: time.Now()}
	o.event = func(ev STTEvent) {
		p.record(describe(ev), func() { p.heard = append(p.heard, ev) })
	}
	o.failed = func(err error, recoverable bool) {
		what := "failed for good: "
		if recoverable {
			what = "failed: "
		}
		p.record(what+err.Error(), func() { p.errs = append(p.errs, err) })
	}
	o.ended = func(err error) {
		p.record(fmt.Sprintf("ended: %v", err), func() { p.over++; p.overErr = err })
	}
	if o.vad != nil && !o.unvoiced {
		p.vad = o.vad.Stream()
	}
	pump, err := newSTTPump(t.Context(), o)
	require.NoError(t, err)
	p.sttPump = pump
	t.Cleanup(func() {
		p.close()
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		require.NoError(t, p.wait(ctx))
		require.Equal(t, 1, p.over, "ended")
		require.Contains(t, p.lines[len(p.lines)-1], "ended", "last")
	})
	return p
}

func describe(ev STTEvent) string {
	switch ev.Type {
	case STTInterim, STTPreflight, STTFinal:
		what, _, _ := strings.Cut(string(ev.Type), "_")
		return fmt.Sprintf("%s %s [%v %v]", what, ev.Transcript.Text, ev.Transcript.Start, ev.Transcript.End)
	case STTUsageReport:
		return fmt.Sprintf("usage %v", ev.Usage.Audio)
	}
	return fmt.Sprintf("%s [%v]", ev.Type, ev.At)
}

func (p *pumped) record(line string, also func()) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.lines = append(p.lines, fmt.Sprintf("%v %s", time.Since(p.begun), line))
	also()
}

// log returns what was recorded, once everything is quiet.
func (p *pumped) log() []string {
	synctest.Wait()
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.Clone(p.lines)
}

// events returns what was found, failures what failed, and endError how it ended, once everything is quiet.
func (p *pumped) events() []STTEvent {
	p.log()
	return p.heard
}

func (p *pumped) failures() []error {
	p.log()
	return p.errs
}

func (p *pumped) endError() error {
	p.log()
	return p.overErr
}

// texts returns the final transcripts.
func (p *pumped) texts() (texts []string) {
	for _, ev := range p.events() {
		if ev.Type == STTFinal {
			texts = append(texts, ev.Transcript.Text)
		}
	}
	return texts
}

// give sends a frame, and has the VAD tell of it.
func (p *pumped) give(f AudioFrame) {
	if p.vad != nil {
		events, err := p.vad.Push(f)
		require.NoError(p.t, err)
		for _, ev := range events {
			p.voice(ev.Type == VADStartOfSpeech, ev.SpeechDuration)
		}
	}
	p.send(f)
}

func final(text string, from, to time.Duration) STTEvent {
	return STTEvent{Type: STTFinal, Transcript: Transcript{Text: text, Start: from, End: to}}
}

// heldNow returns how much audio the pump holds.
func (p *pumped) heldNow() time.Duration {
	synctest.Wait()
	p.sttPump.mu.Lock()
	defer p.sttPump.mu.Unlock()
	h := &p.held
	return h.duration(h.end() - h.start())
}
