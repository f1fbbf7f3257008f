package livekit

import (
	"errors"
	"log/slog"
	"net"
	"strings"
	"sync/atomic"
	"time"

	"github.com/pion/rtp"

	e2ee "github.com/livekit/server-sdk-go/v2/e2ee/types"

	"github.com/parley-voice/agents/internal/opus"
)

// A trackReader decodes one track into the input, on a goroutine of its own, until the track ends or it is stopped.
type trackReader struct {
	sid     string
	track   remoteTrack
	input   *roomInput
	decrypt e2ee.FrameDecryptor // nil unless the track is encrypted
	log     *slog.Logger

	decoder opus.Decoder
	samples int // in the last packet
	stopped atomic.Bool
	last    atomic.Int64 // when a packet last came, in ns
	done    chan struct{}
	warned  bool
}

func startTrack(sid string, track remoteTrack, input *roomInput, decrypt e2ee.FrameDecryptor, log *slog.Logger) (*trackReader, error) {
	decoder, err := opus.NewDecoder(input.rate, 1)
	if err != nil {
		return nil, err
	}
	t := &trackReader{sid: sid, track: track, input: input, decrypt: decrypt, log: log, decoder: decoder, done: make(chan struct{})}
	go t.run()
	return t, nil
}

// stop ends the reading. It does not wait.
func (t *trackReader) stop() {
	t.stopped.Store(true)
	_ = t.track.SetReadDeadline(time.Now())
}

func (t *trackReader) run() {
	defer close(t.done)
	defer t.decoder.Close()
	if mime := t.track.Codec().MimeType; !strings.EqualFold(mime, "audio/opus") {
		t.log.Warn("a microphone cannot be heard: its codec is unknown", "track", t.sid, "codec", mime)
		return
	}
	var (
		order  jitter
		packet rtp.Packet
		buf    = make([]byte, 1500)
		held   bool // a deadline is set
	)
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
			t.input.push(f)
		}
	}
	f := t.input.frame()
	var err error
	if f.samples, err = t.decoder.Decode(f.samples, payload); err != nil {
		t.warn("audio that cannot be decoded", err)
		return
	}
	t.samples = len(f.samples)
	t.input.push(f)
}

// warn logs the first fault of a track.
func (t *trackReader) warn(what string, err error) {
	if !t.warned && err != nil {
		t.warned = true
		t.log.Warn(what, "track", t.sid, "err", err)
	}
}
