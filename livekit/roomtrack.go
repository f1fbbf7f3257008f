package livekit

import (
	"errors"
	"log/slog"
	"net"
	"strings"
	"sync/atomic"
	"time"

	"github.com/pion/interceptor"
	"github.com/pion/rtp"
	"github.com/pion/webrtc/v4"

	e2ee "github.com/livekit/server-sdk-go/v2/e2ee/types"

	agents "github.com/parley-voice/agents"
	"github.com/parley-voice/agents/internal/opus"
)

// A trackReader decodes one track into the input, on a goroutine of its own, until the track ends or it is stopped.
type trackReader struct {
	trackOptions
	track incomingTrack

	decoder opus.Decoder
	samples int           // in the last packet
	held    time.Duration // of live audio, which waited and waits for room in the input
	stopped atomic.Bool
	quit    chan struct{} // closed with it
	last    atomic.Int64  // when a packet last came, in ns
	done    chan struct{}
	warned  bool
}

// trackOptions say how a track is read.
type trackOptions struct {
	sid       string
	input     *roomInput
	decrypt   e2ee.FrameDecryptor // nil unless the track is encrypted
	processor *trackProcessor
	early     func(quit <-chan struct{}) []int16 // what was said before, or nil
	log       *slog.Logger
}

// An incomingTrack is what a trackReader uses of [webrtc.TrackRemote].
type incomingTrack interface {
	Read(b []byte) (int, interceptor.Attributes, error)
	SetReadDeadline(time.Time) error
	Codec() webrtc.RTPCodecParameters
}

func startTrack(track incomingTrack, o trackOptions) (*trackReader, error) {
	decoder, err := opus.NewDecoder(o.input.rate, 1)
	if err != nil {
		return nil, err
	}
	t := &trackReader{trackOptions: o, track: track, decoder: decoder, quit: make(chan struct{}), done: make(chan struct{})}
	go t.run()
	return t, nil
}

// stop ends the reading. It does not wait, and is called once.
func (t *trackReader) stop() {
	t.stopped.Store(true)
	close(t.quit)
	_ = t.track.SetReadDeadline(time.Now())
}

func (t *trackReader) run() {
	defer close(t.done)
	defer t.processor.end()
	defer t.decoder.Close()
	if mime := t.track.Codec().MimeType; !strings.EqualFold(mime, "audio/opus") {
		t.log.Warn("a microphone cannot be heard: its codec is unknown", "track", t.sid, "codec", mime)
		return
	}
	var (
		order  jitter
		packet rtp.Packet
		buf    = make([]byte, 1500)
		held   = true // a deadline is set: that of stop, if the track was read before
	)
	t.hearEarly()
	for !t.stopped.Load() {
		if due := order.due(); !due.IsZero() || held {
			held = !due.IsZero()
			_ = t.track.SetReadDeadline(due)
			if t.stopped.Load() {
				return
			}
		}
		n, _, err := t.track.Read(buf)
		var timeout net.Error
		switch {
		case t.stopped.Load():
			return
		case errors.As(err, &timeout) && timeout.Timeout():
			order.expire(time.Now(), t.play)
			continue
		case err != nil:
			order.flush(t.play)
			return
		}
		if packet.Unmarshal(buf[:n]) != nil {
			continue
		}
		t.last.Store(time.Now().UnixNano())
		order.push(packet.SequenceNumber, packet.Payload, time.Now(), t.play)
	}
}

// hearEarly has the input hear what was said before the track was, while what comes live waits in the SDK.
func (t *trackReader) hearEarly() {
	if t.early == nil {
		return
	}
	begun := time.Now()
	samples := t.early(t.quit)
	t.held = time.Since(begun)
	t.input.hearRecording(samples, t.held, t.processor.process, t.quit)
	t.last.Store(time.Now().UnixNano())
}

// play decodes a packet, and makes up for those that are missing before it.
func (t *trackReader) play(lost int, payload []byte) {
	if len(payload) == 0 {
		return // padding
	}
	if t.decrypt != nil {
		var err error
		if payload, err = t.decrypt.DecryptFrame(payload); err != nil || payload == nil {
			t.warn("audio that cannot be decrypted", err)
			return
		}
	}
	if lost > 0 && lost <= concealable && t.samples > 0 {
		f := t.input.frame()
		f.madeUp = true
		var err error
		if f.samples, err = t.decoder.Conceal(f.samples, lost*t.samples, payload); err == nil {
			t.processor.process(f.samples, t.input.rate)
			t.push(f)
		}
	}
	f := t.input.frame()
	var err error
	if f.samples, err = t.decoder.Decode(f.samples, payload); err != nil {
		t.warn("audio that cannot be decoded", err)
		return
	}
	t.samples = len(f.samples)
	t.processor.process(f.samples, t.input.rate)
	t.push(f)
}

func (t *trackReader) push(f *inputFrame) {
	if t.held <= 0 {
		t.input.push(f)
		return
	}
	t.held -= agents.SampleDuration(int64(len(f.samples)), t.input.rate)
	t.input.pushWaiting(f, t.quit)
}

// warn logs the first fault of a track.
func (t *trackReader) warn(what string, err error) {
	if !t.warned && err != nil {
		t.warned = true
		t.log.Warn(what, "track", t.sid, "err", err)
	}
}
