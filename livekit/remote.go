package livekit

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"google.golang.org/protobuf/proto"

	pb "github.com/livekit/protocol/livekit"
	agentpb "github.com/livekit/protocol/livekit/agent"
	"github.com/livekit/protocol/utils/guid"
	lksdk "github.com/livekit/server-sdk-go/v2"
)

// The protocol by which a session is watched and led from elsewhere in the room: each message is a stream of bytes of its
// own. A host answers for its session, a [RemoteSession] asks.
const (
	topicSession = "lk.agent.session"
	// attributeOrder numbers the messages of a sender, as the SDK hands streams over in no order.
	attributeOrder = "parley.order"
	// remoteBytes bounds a message.
	remoteBytes = 1 << 20
)

// ErrRemoteNotConnected is returned where a message of the session protocol cannot be sent, as the room was not joined or
// has been left.
var ErrRemoteNotConnected = errors.New("livekit: not connected to the room")

// A remoteLink sends messages, one after another, to a participant or, without an identity, to all.
type remoteLink interface {
	send(ctx context.Context, to string, m *agentpb.AgentSessionMessage) error
}

// A roomLink sends messages in a room.
type roomLink struct {
	room    *Room
	publish func(p *pb.DataPacket, to string) error
	n       atomic.Uint64

	sending chan struct{} // holds one while somebody sends
}

func newRoomLink(room *Room) *roomLink {
	return &roomLink{room: room, sending: make(chan struct{}, 1), publish: func(p *pb.DataPacket, to string) error {
		options := []lksdk.DataPublishOption{lksdk.WithDataPublishReliable(true)}
		if to != "" {
			options = append(options, lksdk.WithDataPublishDestination([]string{to}))
		}
		return room.LocalParticipant.PublishDataPacket(dataPacket{packet: p}, options...)
	}}
}

func (l *roomLink) send(ctx context.Context, to string, m *agentpb.AgentSessionMessage) error {
	data, err := proto.Marshal(m)
	if err != nil {
		return fmt.Errorf("livekit: %w", err)
	}
	if len(data) > remoteBytes {
		return errTooLong
	}
	select {
	case l.sending <- struct{}{}:
		defer func() { <-l.sending }()
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	if !isClosed(l.room.joined) || isClosed(l.room.left) {
		return ErrRemoteNotConnected
	}
	for _, p := range remotePackets(data, l.n.Add(1)) {
		if err := l.publish(p, to); err != nil {
			return fmt.Errorf("livekit: %w", tokensOnly.err(err))
		}
	}
	return nil
}

// remotePackets makes the stream of a message.
func remotePackets(data []byte, n uint64) []*pb.DataPacket {
	id, size := guid.New("AS_"), uint64(len(data))
	packets := []*pb.DataPacket{{Value: &pb.DataPacket_StreamHeader{StreamHeader: &pb.DataStream_Header{
		StreamId: id, Timestamp: time.Now().UnixMilli(), Topic: topicSession, MimeType: "application/octet-stream", TotalLength: &size,
		Attributes:    map[string]string{attributeOrder: strconv.FormatUint(n, 10)},
		ContentHeader: &pb.DataStream_Header_ByteHeader{ByteHeader: &pb.DataStream_ByteHeader{Name: id}},
	}}}}
	for i := uint64(0); len(data) > 0; i++ {
		chunk := data[:min(chunkSize, len(data))]
		data = data[len(chunk):]
		packets = append(packets, &pb.DataPacket{Value: &pb.DataPacket_StreamChunk{StreamChunk: &pb.DataStream_Chunk{
			StreamId: id, ChunkIndex: i, Content: chunk,
		}}})
	}
	return append(packets, &pb.DataPacket{Value: &pb.DataPacket_StreamTrailer{StreamTrailer: &pb.DataStream_Trailer{StreamId: id}}})
}

// roomRemotes are those in a room who take part in the protocol.
type roomRemotes struct {
	mu      sync.Mutex // also held while messages are handed on, which does not wait
	senders map[string]*remoteOrder
	peers   []remotePeer
}

// A remotePeer takes messages, in order and without waiting.
type remotePeer interface {
	receive(from string, m *agentpb.AgentSessionMessage)
}

func (r *roomRemotes) add(p remotePeer) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.peers = append(r.peers, p)
}

func (r *roomRemotes) remove(p remotePeer) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for i, q := range r.peers {
		if q == p {
			r.peers = append(r.peers[:i:i], r.peers[i+1:]...)
			return
		}
	}
}

// remoteStream takes a message.
func (r *Room) remoteStream(stream *lksdk.ByteStreamReader, sender string) {
	n, _ := strconv.ParseUint(stream.Info.Attributes[attributeOrder], 10, 64)
	data, err := readBounded(stream, remoteBytes)
	m := &agentpb.AgentSessionMessage{}
	if err != nil || proto.Unmarshal(data, m) != nil {
		m = nil // its place in the order is taken all the same
	}
	r.remotes.take(sender, n, m, time.Now())
}

// maxSenders is of how many participants the order of messages is kept.
const maxSenders = 256

func (r *roomRemotes) take(from string, n uint64, m *agentpb.AgentSessionMessage, now time.Time) {
	r.mu.Lock()
	defer r.mu.Unlock()
	o := r.senders[from]
	if o == nil {
		if r.senders == nil || len(r.senders) >= maxSenders {
			r.senders = map[string]*remoteOrder{}
		}
		o = &remoteOrder{}
		r.senders[from] = o
	}
	r.give(from, o.push(n, m, now))
	r.arm(from, o, now)
}

func (r *roomRemotes) give(from string, messages []*agentpb.AgentSessionMessage) {
	for _, m := range messages {
		for _, p := range r.peers {
			p.receive(from, m)
		}
	}
}

// arm has what is held be given when nothing else comes.
func (r *roomRemotes) arm(from string, o *remoteOrder, now time.Time) {
	if o.armed || len(o.held) == 0 {
		return
	}
	o.armed = true
	time.AfterFunc(o.due().Sub(now), func() {
		r.mu.Lock()
		defer r.mu.Unlock()
		o.armed = false
		now := time.Now()
		r.give(from, o.release(now))
		r.arm(from, o, now)
	})
}

// A remoteOrder puts the messages of a sender in order.
type remoteOrder struct {
	next  uint64 // 0 before the first
	held  map[uint64]*agentpb.AgentSessionMessage
	since time.Time // when the first of the held came
	armed bool
}

// What is missing is waited for until this many messages came after it, or for this long. Whether anything is missing
// before the first message of a sender who was there before us is not known, and waited for a little.
const (
	maxRemoteHeld  = 64
	remotePatience = time.Second
	remoteFirst    = 100 * time.Millisecond
)

// push takes a message, and returns those whose turn it is. One without a number is next at once.
func (o *remoteOrder) push(n uint64, m *agentpb.AgentSessionMessage, now time.Time) []*agentpb.AgentSessionMessage {
	if o.next > 0 && n < o.next && o.next-n > maxRemoteHeld { // the sender has begun anew
		o.next, o.held = 0, nil
	}
	if n == 0 || n < o.next {
		if m == nil {
			return nil
		}
		return []*agentpb.AgentSessionMessage{m}
	}
	if n == 1 {
		o.next = 1
	}
	if len(o.held) == 0 {
		o.since, o.held = now, map[uint64]*agentpb.AgentSessionMessage{}
	}
	o.held[n] = m
	return o.release(now)
}

// due is when to release what is held although something may be missing.
func (o *remoteOrder) due() time.Time {
	if o.next == 0 {
		return o.since.Add(remoteFirst)
	}
	return o.since.Add(remotePatience)
}

func (o *remoteOrder) release(now time.Time) (all []*agentpb.AgentSessionMessage) {
	for len(o.held) > 0 {
		m, ok := o.held[o.next]
		switch {
		case ok:
			delete(o.held, o.next)
			o.next++
			o.since = now
			if m != nil {
				all = append(all, m)
			}
		case len(o.held) > maxRemoteHeld || !now.Before(o.due()):
			o.next = o.first()
		default:
			return all
		}
	}
	return all
}

// first is the lowest number that is held.
func (o *remoteOrder) first() uint64 {
	low := uint64(0)
	for n := range o.held {
		if low == 0 || n < low {
			low = n
		}
	}
	return low
}
