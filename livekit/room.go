// Package livekit has sessions take part in LiveKit rooms.
//
// A [RoomIO] is a session's input and output in a room, and [Join] the shortest way to one. It needs no cgo.
package livekit

import (
	"context"
	"errors"
	"slices"
	"sync"

	pb "github.com/livekit/protocol/livekit"
	lksdk "github.com/livekit/server-sdk-go/v2"
)

// A Room is a room of the LiveKit SDK whose events any number of [RoomIO]s hear, each for a session of its own. The SDK
// takes the callbacks of a room when it is made and not later, so this is how to make one:
//
//	room := livekit.NewRoom(&lksdk.RoomCallback{…})
//	io, err := livekit.NewRoomIO(room, livekit.RoomOptions{})
//	err = room.JoinWithToken(url, token)
//
// For one session in a room of its own, [Join] does all of this.
type Room struct {
	*lksdk.Room

	joined chan struct{} // closed once the room was joined
	left   chan struct{} // closed once it is not coming back

	mu      sync.Mutex
	members []*RoomIO
	topics  bool // the handlers of streams are registered
}

// NewRoom returns a room that has not been joined. callback may be nil; its functions are called before the sessions
// hear of an event.
func NewRoom(callback *lksdk.RoomCallback) *Room {
	r := &Room{joined: make(chan struct{}), left: make(chan struct{})}
	r.Room = lksdk.NewRoom(r.callback(callback))
	r.SetLogger(sdkLogger(nil))
	return r
}

// Join implements the SDK's method of that name.
func (r *Room) Join(url string, info lksdk.ConnectInfo, opts ...lksdk.ConnectOption) error {
	return r.JoinWithContext(context.Background(), url, info, opts...)
}

// JoinWithContext implements the SDK's method of that name.
func (r *Room) JoinWithContext(ctx context.Context, url string, info lksdk.ConnectInfo, opts ...lksdk.ConnectOption) error {
	return r.wasJoined(r.Room.JoinWithContext(ctx, url, info, opts...))
}

// JoinWithToken implements the SDK's method of that name.
func (r *Room) JoinWithToken(url, token string, opts ...lksdk.ConnectOption) error {
	return r.JoinWithContextAndToken(context.Background(), url, token, opts...)
}

// JoinWithContextAndToken implements the SDK's method of that name.
func (r *Room) JoinWithContextAndToken(ctx context.Context, url, token string, opts ...lksdk.ConnectOption) error {
	return r.wasJoined(r.Room.JoinWithContextAndToken(ctx, url, token, opts...))
}

// Disconnect leaves the room. The SDK does not report that, so the sessions hear of it here.
func (r *Room) Disconnect() { r.DisconnectWithReason(pb.DisconnectReason_CLIENT_INITIATED) }

// DisconnectWithReason leaves the room and says why.
func (r *Room) DisconnectWithReason(reason pb.DisconnectReason) {
	r.Room.DisconnectWithReason(reason)
	r.wasLeft()
}

func (r *Room) wasJoined(err error) error {
	if err != nil {
		return tokensOnly.err(err)
	}
	r.mu.Lock()
	select {
	case <-r.joined:
	default:
		close(r.joined)
	}
	r.mu.Unlock()
	r.each((*RoomIO).look)
	return nil
}

func (r *Room) wasLeft() {
	r.mu.Lock()
	select {
	case <-r.left:
	default:
		close(r.left)
	}
	r.mu.Unlock()
	r.each((*RoomIO).look)
}

var errRoomLeft = errors.New("livekit: the agent is not in the room any more")

func isClosed(c <-chan struct{}) bool {
	select {
	case <-c:
		return true
	default:
		return false
	}
}

// add makes a RoomIO hear of events.
func (r *Room) add(m *RoomIO) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if !r.topics {
		r.topics = true
		if err := r.registerTopics(); err != nil {
			return err
		}
	}
	r.members = append(r.members, m)
	return nil
}

func (r *Room) remove(m *RoomIO) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.members = slices.DeleteFunc(r.members, func(x *RoomIO) bool { return x == m })
}

// each calls f for every RoomIO.
func (r *Room) each(f func(*RoomIO)) {
	r.mu.Lock()
	members := slices.Clone(r.members)
	r.mu.Unlock()
	for _, m := range members {
		f(m)
	}
}

// callback returns the user's functions, each followed by telling the sessions. The SDK calls many of them on goroutines
// of their own, in no order, so that most of what they tell is only that there is something to look at.
func (r *Room) callback(user *lksdk.RoomCallback) *lksdk.RoomCallback {
	cb := lksdk.NewRoomCallback()
	cb.Merge(user)
	own := *cb
	look := func() { r.each((*RoomIO).look) }
	cb.OnDisconnectedWithReason = func(reason lksdk.DisconnectionReason) {
		own.OnDisconnectedWithReason(reason)
		r.wasLeft()
	}
	cb.OnParticipantConnected = func(p *lksdk.RemoteParticipant) {
		own.OnParticipantConnected(p)
		look()
	}
	cb.OnParticipantDisconnected = func(p *lksdk.RemoteParticipant) {
		own.OnParticipantDisconnected(p)
		r.each(func(m *RoomIO) { m.participantLeft(p) })
	}
	cb.OnAttributesChanged = func(changed map[string]string, p lksdk.Participant) {
		own.OnAttributesChanged(changed, p)
		look()
	}
	cb.OnTrackPublished = func(pub *lksdk.RemoteTrackPublication, p *lksdk.RemoteParticipant) {
		own.OnTrackPublished(pub, p)
		look()
	}
	cb.OnTrackUnpublished = func(pub *lksdk.RemoteTrackPublication, p *lksdk.RemoteParticipant) {
		own.OnTrackUnpublished(pub, p)
		look()
	}
	subscribed, unsubscribed := own.OnTrackSubscribed, own.OnTrackUnsubscribed
	cb.OnTrackSubscribed = func(t remoteTrack, pub *lksdk.RemoteTrackPublication, p *lksdk.RemoteParticipant) {
		subscribed(t, pub, p)
		look()
	}
	cb.OnTrackUnsubscribed = func(t remoteTrack, pub *lksdk.RemoteTrackPublication, p *lksdk.RemoteParticipant) {
		unsubscribed(t, pub, p)
		look()
	}
	cb.OnTrackMuted = func(pub lksdk.TrackPublication, p lksdk.Participant) {
		own.OnTrackMuted(pub, p)
		look()
	}
	cb.OnTrackUnmuted = func(pub lksdk.TrackPublication, p lksdk.Participant) {
		own.OnTrackUnmuted(pub, p)
		look()
	}
	cb.OnLocalTrackSubscribed = func(pub *lksdk.LocalTrackPublication, p *lksdk.LocalParticipant) {
		own.OnLocalTrackSubscribed(pub, p)
		r.each(func(m *RoomIO) { m.out.wasSubscribed(pub) })
	}
	cb.OnLocalTrackPublished = func(pub *lksdk.LocalTrackPublication, p *lksdk.LocalParticipant) {
		own.OnLocalTrackPublished(pub, p)
		r.each(func(m *RoomIO) { m.out.wasPublished(pub) })
	}
	cb.OnLocalTrackUnpublished = func(pub *lksdk.LocalTrackPublication, p *lksdk.LocalParticipant) {
		own.OnLocalTrackUnpublished(pub, p)
		r.each(func(m *RoomIO) { m.out.wasUnpublished(pub) })
	}
	cb.OnReconnecting = func() {
		own.OnReconnecting()
		r.each((*RoomIO).reconnecting)
	}
	cb.OnReconnected = func() {
		own.OnReconnected()
		r.each((*RoomIO).reconnected)
	}
	cb.OnDataPacket = func(packet lksdk.DataPacket, params lksdk.DataReceiveParams) {
		own.OnDataPacket(packet, params)
		if key, ok := packet.(*pb.SipDTMF); ok {
			r.each(func(m *RoomIO) { m.keyPressed(key, params.SenderIdentity) })
		}
	}
	return cb
}
