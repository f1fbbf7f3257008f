package main

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"sync"
	"time"

	"github.com/livekit/protocol/auth"
	pb "github.com/livekit/protocol/livekit"
	lksdk "github.com/livekit/server-sdk-go/v2"
	"github.com/pion/webrtc/v4"
	"github.com/pion/webrtc/v4/pkg/media"

	"github.com/parley-voice/agents/internal/opus"
)

const (
	agentName  = "bench"
	frame      = 20 * time.Millisecond
	callerRate = 16_000
	utterance  = 40 // frames
)

// speech and silence are what callers send: Opus frames that were encoded once, so that callers are cheap.
type speech struct{ loud, quiet [][]byte }

// newSpeech makes something like a vowel that swells and fades, which a voice detector takes for speech.
func newSpeech() (speech, error) {
	var s speech
	enc, err := opus.NewEncoder(opus.EncoderOptions{SampleRate: callerRate})
	if err != nil {
		return s, err
	}
	defer enc.Close()
	const n = callerRate / 50
	pcm := make([]int16, n)
	for k := range utterance + 10 {
		for i := range pcm {
			t := float64(k*n+i) / callerRate
			var v float64
			for h := 1.0; h <= 20; h++ { // harmonics of 120 Hz, strongest about 600 Hz
				v += math.Sin(2*math.Pi*120*h*t) / (1 + math.Pow((120*h-600)/300, 2))
			}
			pcm[i] = int16(3000 * v * (1 + 0.4*math.Sin(2*math.Pi*4*t)))
			if k >= utterance || k == utterance-1 && i >= n/2 { // Opus is 6.5 ms late: nothing spills into the next packet
				pcm[i] = 0
			}
		}
		packet, err := enc.Encode(nil, pcm)
		if err != nil {
			return s, err
		}
		if k < utterance {
			s.loud = append(s.loud, packet)
		} else {
			s.quiet = append(s.quiet, packet)
		}
	}
	return s, nil
}

// A caller is a participant who talks and listens.
type caller struct {
	server *server
	room   *lksdk.Room
	name   string
	mic    *lksdk.LocalTrack
	speech speech
	stop   chan struct{}
	pump   sync.WaitGroup

	track    chan time.Time // the agent's track was subscribed
	answered chan time.Time // the first loud packet after silence
	finished chan time.Time // the last loud packet was sent

	mu     sync.Mutex
	left   int  // loud frames to send; -1 without end
	gaps   bool // between the agent's packets are noted
	first  time.Time
	stamp  uint32          // of the first packet
	delays []time.Duration // of packets, each from where its time stamp says that it is due
	next   uint16          // sequence number
	lost   int
}

// A server is where the callers and the worker meet.
type server struct{ url, key, secret string }

func (s *server) token(room, identity string) (string, error) {
	return auth.NewAccessToken(s.key, s.secret).SetIdentity(identity).
		SetVideoGrant(&auth.VideoGrant{RoomJoin: true, Room: room}).ToJWT()
}

// call has a caller join a room of its own, with an open microphone.
func (s *server) call(ctx context.Context, room string, sp speech) (*caller, error) {
	c := &caller{
		server: s, name: room, speech: sp, stop: make(chan struct{}),
		track: make(chan time.Time, 1), answered: make(chan time.Time, 16), finished: make(chan time.Time, 1),
	}
	cb := lksdk.NewRoomCallback()
	cb.OnTrackSubscribed = func(t *webrtc.TrackRemote, _ *lksdk.RemoteTrackPublication, _ *lksdk.RemoteParticipant) {
		select {
		case c.track <- time.Now():
		default:
		}
		c.pump.Go(func() { c.listen(t) })
	}
	c.room = lksdk.NewRoom(cb)
	c.room.SetLogger(silent)
	token, err := s.token(room, "caller")
	if err != nil {
		return nil, err
	}
	if err := c.room.JoinWithContextAndToken(ctx, s.url, token, lksdk.WithLogger(silent)); err != nil {
		return nil, err
	}
	if c.mic, err = lksdk.NewLocalTrack(webrtc.RTPCodecCapability{MimeType: webrtc.MimeTypeOpus, ClockRate: 48_000, Channels: 2}); err != nil {
		return nil, err
	}
	if _, err := c.room.LocalParticipant.PublishTrack(c.mic, &lksdk.TrackPublicationOptions{Name: "mic", Source: pb.TrackSource_MICROPHONE}); err != nil {
		return nil, err
	}
	c.pump.Go(c.talk)
	return c, nil
}

func (c *caller) leave() {
	close(c.stop)
	c.room.Disconnect()
	c.pump.Wait()
}

// dispatch asks for the agent and returns how long it took until its track was there, or, for an agent that has none,
// until it was.
func (c *caller) dispatch(ctx context.Context, hasTrack bool) (time.Duration, error) {
	client := lksdk.NewAgentDispatchServiceClient(c.server.url, c.server.key, c.server.secret)
	begin := time.Now()
	if _, err := client.CreateDispatch(ctx, &pb.CreateAgentDispatchRequest{AgentName: agentName, Room: c.name}); err != nil {
		return 0, err
	}
	if hasTrack {
		select {
		case at := <-c.track:
			return at.Sub(begin), nil
		case <-ctx.Done():
			return 0, errors.New("the agent's track did not come")
		}
	}
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for len(c.room.GetRemoteParticipants()) == 0 {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return 0, errors.New("the agent did not come")
		}
	}
	return time.Since(begin), nil
}

// talk sends the microphone's packets.
func (c *caller) talk() {
	tick := time.NewTicker(frame)
	defer tick.Stop()
	loud, quiet := 0, 0
	for {
		select {
		case <-c.stop:
			return
		case <-tick.C:
		}
		c.mu.Lock()
		var packet []byte
		done := false
		if c.left != 0 {
			packet = c.speech.loud[loud%len(c.speech.loud)]
			loud++
			quiet = 0
			if c.left > 0 {
				c.left--
				done = c.left == 0
			}
		} else {
			packet = c.speech.quiet[min(quiet, len(c.speech.quiet)-1)]
			quiet++
			loud = 0
		}
		c.mu.Unlock()
		_ = c.mic.WriteSample(media.Sample{Data: packet, Duration: frame}, nil)
		if done {
			select {
			case c.finished <- time.Now():
			default:
			}
		}
	}
}

func (c *caller) say(frames int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.left = frames
}

// listen notes when the agent is heard.
func (c *caller) listen(track *webrtc.TrackRemote) {
	dec, err := opus.NewDecoder(callerRate, 1)
	if err != nil {
		return
	}
	defer dec.Close()
	var lastLoud time.Time
	var pcm []int16
	for {
		packet, _, err := track.ReadRTP()
		if err != nil {
			return
		}
		now := time.Now()
		c.mu.Lock()
		if c.gaps {
			if c.first.IsZero() {
				c.first, c.stamp = now, packet.Timestamp
			} else {
				c.lost += int(packet.SequenceNumber - c.next)
			}
			due := time.Duration(packet.Timestamp-c.stamp) * time.Second / 48_000
			c.delays = append(c.delays, now.Sub(c.first)-due)
			c.next = packet.SequenceNumber + 1
		}
		measuring := c.gaps
		c.mu.Unlock()
		if measuring || len(packet.Payload) == 0 {
			continue // what it sounds like is not asked, and decoding is dear
		}
		if pcm, err = dec.Decode(pcm[:0], packet.Payload); err != nil || power(pcm) < loudness {
			continue
		}
		if now.Sub(lastLoud) > 200*time.Millisecond {
			select {
			case c.answered <- now:
			default:
			}
		}
		lastLoud = now
	}
}

// watch notes from now on when the agent's packets come.
func (c *caller) watch() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.gaps, c.first, c.delays, c.lost = true, time.Time{}, nil, 0
}

// seen returns how late the agent's packets were since watch, against the one that was the least so, and how many were
// lost.
func (c *caller) seen() (late []time.Duration, lost int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.gaps = false
	if len(c.delays) == 0 {
		return nil, c.lost
	}
	least := slices.Min(c.delays)
	for _, d := range c.delays {
		late = append(late, d-least)
	}
	return late, c.lost
}

// turn says something and returns how long after its last packet the first of the answer came.
func (c *caller) turn(ctx context.Context) (time.Duration, error) {
	drain(c.answered)
	drain(c.finished)
	c.say(utterance)
	var end time.Time
	select {
	case end = <-c.finished:
	case <-ctx.Done():
		return 0, context.Cause(ctx)
	}
	select {
	case at := <-c.answered:
		return at.Sub(end), nil
	case <-ctx.Done():
		return 0, errors.New("no answer")
	}
}

// write sends a text as a stream of three packets. The SDK's own writer waits for each to be acknowledged.
func (c *caller) write(text string) error {
	id := fmt.Sprintf("%s-%d", c.name, time.Now().UnixNano())
	length := uint64(len(text))
	for _, p := range []*pb.DataPacket{
		{Value: &pb.DataPacket_StreamHeader{StreamHeader: &pb.DataStream_Header{
			StreamId: id, Timestamp: time.Now().UnixMilli(), Topic: "lk.chat", MimeType: "text/plain", TotalLength: &length,
			ContentHeader: &pb.DataStream_Header_TextHeader{TextHeader: &pb.DataStream_TextHeader{}},
		}}},
		{Value: &pb.DataPacket_StreamChunk{StreamChunk: &pb.DataStream_Chunk{StreamId: id, Content: []byte(text)}}},
		{Value: &pb.DataPacket_StreamTrailer{StreamTrailer: &pb.DataStream_Trailer{StreamId: id}}},
	} {
		if err := c.room.LocalParticipant.PublishDataPacket(packetOf{p}, lksdk.WithDataPublishReliable(true)); err != nil {
			return err
		}
	}
	return nil
}

type packetOf struct{ p *pb.DataPacket }

func (p packetOf) ToProto() *pb.DataPacket { return p.p }

func drain(c chan time.Time) {
	for {
		select {
		case <-c:
		default:
			return
		}
	}
}

// quantile returns the value that a share of the values do not exceed; it sorts them.
func quantile(values []time.Duration, share float64) time.Duration {
	if len(values) == 0 {
		return 0
	}
	slices.Sort(values)
	return values[int(share*float64(len(values)-1)+0.5)]
}
