package agents

import (
	"context"
	"io"
	"iter"
	"time"
)

// TextTransform tmp
type TextTransform interface {
	Push(text string) string
	Flush() string
}

// TextFilter tmp
type TextFilter func() TextTransform

// DefaultTTSFilters tmp
func DefaultTTSFilters() []TextFilter { return nil }

type sttPump struct {
	s    STTStream
	done chan struct{}
}
type sttPumpOptions struct {
	stt    STT
	vad    VAD
	conn   ConnectOptions
	opts   STTOptions
	node   func(ctx context.Context, audio iter.Seq[AudioFrame], next STTNodeFunc) iter.Seq2[STTEvent, error]
	offset time.Duration
	event  func(STTEvent)
	failed func(err error, recoverable bool)
	ended  func(err error)
}

func newSTTPump(ctx context.Context, o sttPumpOptions) (*sttPump, error) {
	s, err := o.stt.Stream(ctx, o.opts)
	if err != nil {
		return nil, err
	}
	p := &sttPump{s, make(chan struct{})}
	go func() {
		defer close(p.done)
		for {
			ev, err := s.Recv()
			if err != nil {
				o.ended(nil)
				return
			}
			o.event(shiftSTTEvent(ev, o.offset))
		}
	}()
	return p, nil
}
func (p *sttPump) send(frame AudioFrame) { p.s.Send(frame) }
func (p *sttPump) sendSilence(d time.Duration, rate, channels int) {
	p.s.Send(Silence(d, rate, channels))
}
func (p *sttPump) flush()                   { p.s.Flush() }
func (p *sttPump) close()                   { p.s.Close() }
func (p *sttPump) wait(ctx context.Context) { <-p.done }

// TTSReport tmp
type TTSReport struct {
	Model, Provider, RequestID string
	TTFB, Duration, Audio      time.Duration
	Characters                 int
	Usage                      TTSUsage
}
type synthesisOptions struct {
	tts        TTS
	opts       TTSOptions
	conn       ConnectOptions
	transforms []TextFilter
	node       func(ctx context.Context, text iter.Seq[string], next TTSNodeFunc) iter.Seq2[TTSChunk, error]
	retry      func(err error, attempt int)
	report     func(TTSReport)
}

func synthesize(ctx context.Context, text iter.Seq[string], o synthesisOptions) iter.Seq2[TTSChunk, error] {
	return func(yield func(TTSChunk, error) bool) {
		s, err := o.tts.Stream(ctx, o.opts)
		if err != nil {
			yield(TTSChunk{}, err)
			return
		}
		defer s.Close()
		go func() {
			for t := range text {
				s.Send(t)
			}
			s.CloseSend()
		}()
		begun := time.Now()
		var first time.Duration
		var total time.Duration
		for {
			c, err := s.Recv()
			if err == io.EOF {
				o.report(TTSReport{TTFB: first, Audio: total})
				return
			}
			if err != nil {
				yield(c, err)
				return
			}
			if first == 0 {
				first = time.Since(begun)
			}
			total += c.Frame.Duration()
			if !yield(c, nil) {
				return
			}
		}
	}
}
