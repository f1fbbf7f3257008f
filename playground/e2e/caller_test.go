package e2e

import (
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	pb "github.com/livekit/protocol/livekit"
	lksdk "github.com/livekit/server-sdk-go/v2"
	e2ee "github.com/livekit/server-sdk-go/v2/e2ee/types"
	"github.com/pion/rtp"
	"github.com/pion/webrtc/v4"
	"github.com/stretchr/testify/require"

	"github.com/parley-voice/agents/internal/opus"
	"github.com/parley-voice/agents/playground/internal/liveserver"
)

const hearRate = 16_000

// A caller is a participant with a microphone and ears, as a client of the room would be.
type caller struct {
	t    *testing.T
	room *lksdk.Room
	name string

	mu    sync.Mutex
	heard map[string][]heardFrame // by the track's name
	texts []transcript
	old   []*lksdk.TranscriptionSegment
	attrs []map[string]string // of others, as they changed
	data  []lksdk.DataPacket
	mic   *microphone

	packets int // of audio
}

type heardFrame struct {
	at      time.Time
	samples []int16
}

// A transcript is a stream of text that came to its end.
type transcript struct {
	from, text string
	attributes map[string]string
}

type callerOptions struct {
	kind       pb.ParticipantInfo_Kind
	attributes map[string]string
	connect    []lksdk.ConnectOption
	callback   *lksdk.RoomCallback
}

func call(t *testing.T, server *liveserver.Server, room, name string, with ...callerOptions) *caller {
	t.Helper()
	var o callerOptions
	if len(with) > 0 {
		o = with[0]
	}
	c := &caller{t: t, name: name, heard: map[string][]heardFrame{}}
	cb := lksdk.NewRoomCallback()
	cb.OnTrackSubscribed = func(track *webrtc.TrackRemote, pub *lksdk.RemoteTrackPublication, _ *lksdk.RemoteParticipant) {
		go c.listen(track, pub.Name())
	}
	cb.OnTranscriptionReceived = func(segments []*lksdk.TranscriptionSegment, _ lksdk.Participant, _ lksdk.TrackPublication) {
		c.mu.Lock()
		defer c.mu.Unlock()
		c.old = append(c.old, segments...)
	}
	cb.OnAttributesChanged = func(changed map[string]string, p lksdk.Participant) {
		c.mu.Lock()
		defer c.mu.Unlock()
		c.attrs = append(c.attrs, changed)
	}
	cb.OnDataPacket = func(p lksdk.DataPacket, _ lksdk.DataReceiveParams) {
		c.mu.Lock()
		defer c.mu.Unlock()
		c.data = append(c.data, p)
	}
	cb.Merge(o.callback)
	c.room = lksdk.NewRoom(cb)
	require.NoError(t, c.room.RegisterTextStreamHandler("lk.transcription", func(r *lksdk.TextStreamReader, from string) {
		text := r.ReadAll()
		c.mu.Lock()
		defer c.mu.Unlock()
		c.texts = append(c.texts, transcript{from, text, r.Info.Attributes})
	}))
	token := liveserver.Token(liveserver.Participant{Room: room, Identity: name, Kind: o.kind, Attributes: o.attributes})
	require.NoError(t, c.room.JoinWithToken(server.URL, token, append(o.connect, lksdk.WithLogger(quiet))...))
	t.Cleanup(c.room.Disconnect)
	return c
}

// listen keeps what a track plays.
func (c *caller) listen(track *webrtc.TrackRemote, name string) {
	decoder, err := opus.NewDecoder(hearRate, 1)
	if err != nil {
		return
	}
	defer decoder.Close()
	for {
		packet, _, err := track.ReadRTP()
		if err != nil {
			return
		}
		c.mu.Lock()
		c.packets++
		c.mu.Unlock()
		samples, err := decoder.Decode(nil, packet.Payload)
		if err != nil {
			continue
		}
		c.mu.Lock()
		c.heard[name] = append(c.heard[name], heardFrame{time.Now(), samples})
		c.mu.Unlock()
	}
}

// loudness is how long a tone was heard on a track.
func (c *caller) loudness(track string, freq float64) time.Duration {
	c.mu.Lock()
	defer c.mu.Unlock()
	var d time.Duration
	for _, f := range c.heard[track] {
		if strength(f.samples, freq, hearRate) > loud/3 {
			d += time.Duration(len(f.samples)) * time.Second / hearRate
		}
	}
	return d
}

func (c *caller) transcripts() []transcript {
	c.mu.Lock()
	defer c.mu.Unlock()
	return append([]transcript(nil), c.texts...)
}

// A microphone sends a tone while it is pressed, and silence otherwise.
type microphone struct {
	track *lksdk.LocalTrack
	pub   *lksdk.LocalTrackPublication
	stop  chan struct{}
	done  chan struct{}

	mu      sync.Mutex
	until   time.Time
	freq    float64
	still   bool // sends nothing at all
	lose    int  // one packet of so many
	encrypt e2ee.FrameEncryptor
}

// publish gives the caller a microphone.
func (c *caller) publish(encryption ...pb.Encryption_Type) *microphone {
	c.t.Helper()
	options := lksdk.TrackPublicationOptions{Name: "mic", Source: pb.TrackSource_MICROPHONE}
	if len(encryption) > 0 {
		options.Encryption = encryption[0]
	}
	track, err := lksdk.NewLocalTrack(webrtc.RTPCodecCapability{MimeType: webrtc.MimeTypeOpus, ClockRate: 48_000, Channels: 2})
	require.NoError(c.t, err)
	m := &microphone{track: track, freq: callerTone, stop: make(chan struct{}), done: make(chan struct{})}
	m.pub, err = c.room.LocalParticipant.PublishTrack(track, &options)
	require.NoError(c.t, err)
	go m.run()
	c.t.Cleanup(func() { m.end() })
	c.mic = m
	return m
}

// publishWith gives the caller a microphone whose packets are encrypted.
func (c *caller) publishWith(enc e2ee.FrameEncryptor) *microphone {
	c.t.Helper()
	m := c.publish(pb.Encryption_GCM)
	m.set(func(m *microphone) { m.encrypt = enc })
	return m
}

func (m *microphone) end() {
	select {
	case <-m.stop:
	default:
		close(m.stop)
	}
	<-m.done
}

// speak sends the tone for a while. It does not wait.
func (m *microphone) speak(d time.Duration) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.until = time.Now().Add(d)
}

func (m *microphone) set(f func(*microphone)) {
	m.mu.Lock()
	defer m.mu.Unlock()
	f(m)
}

func (m *microphone) run() {
	defer close(m.done)
	encoder, _ := opus.NewEncoder(opus.EncoderOptions{SampleRate: hearRate, FEC: true})
	defer encoder.Close()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	const n = hearRate / 50
	packet := rtp.Packet{Header: rtp.Header{Version: 2, SequenceNumber: uint16(rand.Uint32())}}
	for i := 0; ; i++ {
		select {
		case <-m.stop:
			return
		case <-tick.C:
		}
		m.mu.Lock()
		talking, still, lose, freq, encrypt := time.Now().Before(m.until), m.still, m.lose, m.freq, m.encrypt
		m.mu.Unlock()
		packet.Timestamp += 960
		if still {
			continue
		}
		samples := make([]int16, n)
		if talking {
			samples = tone(freq, hearRate, n, i*n)
		}
		payload, err := encoder.Encode(nil, samples)
		if err != nil {
			continue
		}
		if encrypt != nil {
			payload, _ = encrypt.EncryptFrame(payload)
		}
		packet.SequenceNumber++
		packet.Payload = payload
		if lose > 0 && i%lose == 0 {
			continue
		}
		_ = m.track.WriteRTP(&packet, nil)
	}
}

// eventually waits until something is so.
func eventually(t *testing.T, what string, within time.Duration, so func() bool) {
	t.Helper()
	deadline := time.NewTimer(within)
	defer deadline.Stop()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for !so() {
		select {
		case <-deadline.C:
			t.Fatalf("not within %v: %s", within, what)
		case <-tick.C:
		}
	}
}
