package livekit

import (
	"math"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/pion/rtp"
	"github.com/pion/webrtc/v4"

	lksdk "github.com/livekit/server-sdk-go/v2"
	e2ee "github.com/livekit/server-sdk-go/v2/e2ee/types"

	"github.com/parley-voice/agents/internal/opus"
)

const (
	clockRate = 48_000 // of Opus in RTP
	// tailFrames of silence follow the last audio, at once, so that the listener's decoder comes to rest and does not
	// draw the last sound out.
	tailFrames = 2
)

// A trackSender encodes audio and sends it on a track: nothing while there is nothing to say, with time stamps that say
// how long that was.
type trackSender struct {
	track   *lksdk.LocalTrack
	write   func(*rtp.Packet, *lksdk.SampleWriteOptions) error // to the track
	encrypt e2ee.FrameEncryptor                                // nil unless the track is encrypted
	rate    int

	mu      sync.Mutex
	encoder opus.Encoder
	frame   []int16 // 20 ms
	out     []byte
	packet  rtp.Packet
	level   uint8                    // of the packet
	options lksdk.SampleWriteOptions // which points to it
	stamp   uint32                   // of the next packet
	due     time.Time                // when it is, if it follows the last
	talking bool                     // audio was sent since the last tail
	closed  bool
}

func newTrackSender(rate, bitrate int, dtx bool, encrypt e2ee.FrameEncryptor, opts ...lksdk.LocalTrackOptions) (*trackSender, error) {
	if bitrate == 0 {
		bitrate = defaultBitrate
	}
	// For a voice, at this rate, Audio at this complexity sounds as good as Voice and costs a third: encoding is the
	// greatest part of what a session in a room costs.
	encoder, err := opus.NewEncoder(opus.EncoderOptions{
		SampleRate: rate, Bitrate: bitrate, Application: opus.Audio, Complexity: 3, DTX: dtx,
	})
	if err != nil {
		return nil, err
	}
	fmtp := "minptime=10;useinbandfec=1"
	if dtx {
		fmtp += ";usedtx=1"
	}
	track, err := lksdk.NewLocalTrack(webrtc.RTPCodecCapability{
		MimeType: webrtc.MimeTypeOpus, ClockRate: clockRate, Channels: 2, SDPFmtpLine: fmtp,
	}, opts...)
	if err != nil {
		return nil, err
	}
	s := &trackSender{
		track: track, write: track.WriteRTP, encrypt: encrypt, rate: rate, encoder: encoder,
		frame:  make([]int16, rate/50),
		out:    make([]byte, 0, 1500),
		packet: rtp.Packet{Header: rtp.Header{Version: 2, SequenceNumber: uint16(rand.Uint32())}},
		stamp:  rand.Uint32(),
	}
	s.options.AudioLevel = &s.level
	return s, nil
}

// play sends 20 ms of samples or less.
func (s *trackSender) play(samples []int16) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.talking = true
	s.send(samples, time.Now())
}

// tail ends what was said.
func (s *trackSender) tail() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.talking {
		return
	}
	s.talking = false
	for range tailFrames {
		s.send(nil, time.Now())
	}
}

// greet sends a packet of silence, as many a client takes a track for there only when the first packet has come, and would
// miss the beginning of what is said.
func (s *trackSender) greet() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.talking {
		s.encoder.Reset() // or silence that goes on is not sent
		s.send(nil, time.Now())
	}
}

// send encodes a frame and sends it. The SDK copies the packet.
func (s *trackSender) send(samples []int16, now time.Time) {
	if s.closed {
		return
	}
	n := copy(s.frame, samples)
	clear(s.frame[n:])
	// Audio that follows the last without a gap counts samples; a gap takes as long as it takes.
	s.packet.Marker = false
	if gap := now.Sub(s.due); s.due.IsZero() || gap > frameTime {
		if !s.due.IsZero() {
			s.stamp += uint32(gap/frameTime) * (clockRate / 50)
		}
		s.due = now
		s.packet.Marker = true
	}
	s.packet.Timestamp = s.stamp
	s.stamp += clockRate / 50
	s.due = s.due.Add(frameTime)

	var err error
	if s.out, err = s.encoder.Encode(s.out[:0], s.frame); err != nil {
		s.encoder.Reset()
		return
	}
	if len(s.out) <= 2 {
		return // silence goes on
	}
	payload := s.out
	if s.encrypt != nil {
		if payload, err = s.encrypt.EncryptFrame(payload); err != nil {
			return
		}
	}
	s.packet.SequenceNumber++
	s.packet.Payload = payload
	s.level = audioLevel(s.frame)
	_ = s.write(&s.packet, &s.options)
}

// rest lets go of the encoder's memory when nothing is said for a while.
func (s *trackSender) rest() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.encoder.Reset()
}

func (s *trackSender) close() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closed = true
	s.encoder.Close()
}

// audioLevel is how loud a frame is, in dB below the loudest, as RFC 6464 has it.
func audioLevel(samples []int16) uint8 {
	var sum float64
	for _, v := range samples {
		sum += float64(v) * float64(v)
	}
	if sum == 0 {
		return 127
	}
	rms := math.Sqrt(sum/float64(len(samples))) / math.MaxInt16
	return uint8(min(127, max(0, -20*math.Log10(rms))))
}
