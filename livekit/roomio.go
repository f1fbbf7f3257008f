package livekit

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	pb "github.com/livekit/protocol/livekit"
	lksdk "github.com/livekit/server-sdk-go/v2"
	e2ee "github.com/livekit/server-sdk-go/v2/e2ee/types"

	agents "github.com/parley-voice/agents"
)

const (
	microphoneSource = pb.TrackSource_MICROPHONE
	gcm              = pb.Encryption_GCM
)

// A RoomIO is a session's place in a LiveKit room: it hears the microphone of one participant, speaks on a track of its
// own, and carries text, keys and states.
//
//	io, err := livekit.Join(ctx, url, token, livekit.RoomOptions{})
//	defer io.Close(ctx)
//	session := agents.NewSession(…)
//	io.Attach(session)
//	err = session.Start(ctx, agent, io.IO())
//
// It is linked to a participant as soon as there is one who is acceptable, also while the session runs, and to the next
// one when they have left. It may be made before the room is joined or after, and any number of them share a room, each
// with a session and a participant of its own. All methods are safe for concurrent use.
type RoomIO struct {
	o    RoomOptions
	room *Room
	owns bool // the room
	log  *slog.Logger

	in    *roomInput  // nil if it is off
	out   *roomOutput // nil if it is off
	early *roomRecordings
	keys  *roomKeys
	text  *roomText
	attr  *roomAttributes

	ctx     context.Context
	cancel  context.CancelFunc
	wake    chan struct{}
	running sync.WaitGroup

	mu       sync.Mutex
	wanted   string // identity
	none     bool   // nobody is to be linked
	gone     []*lksdk.RemoteParticipant
	again    bool // the room was reconnected
	offline  bool // the SDK reconnects
	watched  bool // and whether that is so is watched
	linked   *lksdk.RemoteParticipant
	changed  chan struct{} // closed when linked changes
	session  *agents.AgentSession
	closed   bool
	finished chan struct{}
	answered chan struct{} // closed when the call of who is linked was
	host     *remoteHost   // nil if it is off

	deleting sync.Once     // the room
	started  atomic.Bool   // the session
	heardAll chan struct{} // closed after its last event

	// Of the loop:
	link   *lksdk.RemoteParticipant // who is linked
	before *lksdk.RemoteParticipant // and who was
	track  *trackReader
	asked  string // the publication that was subscribed to
	pulse  pulse
}

// Join joins a room of which a single session makes use. Close leaves it. ctx is about joining only.
func Join(ctx context.Context, url, token string, o RoomOptions) (*RoomIO, error) {
	room := NewRoom(nil)
	if o.Logger != nil {
		room.SetLogger(sdkLogger(o.Logger))
	}
	r, err := NewRoomIO(room, o)
	if err != nil {
		return nil, err
	}
	r.owns = true
	opts := slices.Clone(o.Connect)
	if o.Encryption != nil {
		opts = append(opts, lksdk.WithDataEncryption(&lksdk.EncryptionOptions{KeyProvider: o.Encryption}))
	}
	if err := room.JoinWithContextAndToken(ctx, url, token, opts...); err != nil {
		_ = r.Close(context.WithoutCancel(ctx))
		return nil, fmt.Errorf("livekit: joining the room: %w", err)
	}
	return r, nil
}

// NewRoomIO makes a place for a session in a room that has been joined or will be. The error is about the options.
func NewRoomIO(room *Room, o RoomOptions) (*RoomIO, error) {
	o, err := o.withDefaults()
	if err != nil {
		return nil, err
	}
	r := &RoomIO{
		o: o, room: room, log: o.Logger, wanted: o.Participant,
		wake: make(chan struct{}, 1), changed: make(chan struct{}), finished: make(chan struct{}),
		heardAll: make(chan struct{}), answered: make(chan struct{}),
	}
	r.ctx, r.cancel = context.WithCancel(context.Background())
	if on(o.AudioInput) {
		r.in = newRoomInput(o.InputRate, o.InputQueue)
	}
	if on(o.AudioOutput) {
		if r.out, err = newRoomOutput(r); err != nil {
			r.cancel()
			return nil, err
		}
	}
	r.early = newRoomRecordings()
	r.keys = newRoomKeys(r)
	r.text = newRoomText(r)
	r.attr = newRoomAttributes(r)
	if err := room.add(r); err != nil {
		r.cancel()
		return nil, err
	}
	r.running.Go(r.run)
	r.look()
	return r, nil
}

// Room returns the room.
func (r *RoomIO) Room() *Room { return r.room }

// IO returns what the session is started with.
func (r *RoomIO) IO() agents.IO {
	parts := agents.IO{DTMFInput: r.keys, DTMFOutput: r.keys}
	if r.in != nil {
		parts.AudioInput = r.in
	}
	if r.out != nil {
		parts.AudioOutput = r.out
	}
	if on(r.o.TextOutput) {
		parts.TextOutput = r.text
	}
	return parts
}

// Participant returns whom the session is with, or nil.
func (r *RoomIO) Participant() *lksdk.RemoteParticipant {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.linked
}

// WaitForParticipant returns whom the session is with, once there is somebody.
func (r *RoomIO) WaitForParticipant(ctx context.Context) (*lksdk.RemoteParticipant, error) {
	for {
		r.mu.Lock()
		linked, changed := r.linked, r.changed
		r.mu.Unlock()
		if linked != nil {
			return linked, nil
		}
		select {
		case <-changed:
		case <-r.ctx.Done():
			return nil, errRoomLeft
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		}
	}
}

// Answered is closed when the call has been answered for the first time: when the session is with a participant who is not
// called by telephone, or whose attribute sip.callStatus says that they have picked up. It is for
// [agents.AMDOptions.Answered], and for an agent that waits to speak.
func (r *RoomIO) Answered() <-chan struct{} { return r.answered }

// SetParticipant has the session be with another participant, now or when they come.
func (r *RoomIO) SetParticipant(identity string) {
	r.mu.Lock()
	r.wanted, r.none = identity, false
	r.mu.Unlock()
	r.look()
}

// Unlink has the session be with nobody until SetParticipant.
func (r *RoomIO) Unlink() {
	r.mu.Lock()
	r.none = true
	r.mu.Unlock()
	r.look()
}

// look has the loop look at the room.
func (r *RoomIO) look() {
	select {
	case r.wake <- struct{}{}:
	default:
	}
}

// participantLeft notes that somebody has left, which the loop is told so that the reason is known.
func (r *RoomIO) participantLeft(p *lksdk.RemoteParticipant) {
	r.mu.Lock()
	r.gone = append(r.gone, p)
	r.mu.Unlock()
	r.look()
}

// spawn runs f until Close, which waits for it.
func (r *RoomIO) spawn(f func(ctx context.Context)) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if !r.closed {
		r.running.Go(func() { f(r.ctx) })
	}
}

// run is the loop, which alone decides who is linked and which track is heard. What the SDK calls back only wakes it, as
// that comes in no order: what counts is what is in the room.
func (r *RoomIO) run() {
	defer r.stopTrack()
	defer r.pulse.stop()
	for {
		select {
		case <-r.ctx.Done():
			return
		case <-r.wake:
		case <-r.pulse.next():
			r.feel()
			continue
		}
		if !isClosed(r.room.joined) {
			continue
		}
		if isClosed(r.room.left) {
			r.roomLeft()
			return
		}
		r.reconcile()
	}
}

// roomLeft ends what needs the room.
func (r *RoomIO) roomLeft() {
	r.setLink(nil)
	r.stopTrack()
	if r.in != nil {
		r.in.close(errRoomLeft)
	}
	r.closeSession(agents.CloseParticipantDisconnected)
}

func (r *RoomIO) reconcile() {
	r.mu.Lock()
	wanted, none, gone, again := r.wanted, r.none, r.gone, r.again
	r.gone, r.again = nil, false
	r.mu.Unlock()
	if again {
		r.pulse.start(time.Now())
	}

	var next *lksdk.RemoteParticipant
	if !none {
		next = r.o.choose(r.room.GetRemoteParticipants(), r.link, wanted, r.room.LocalParticipant.Identity())
	}
	if next != r.link {
		r.setLink(next)
	}
	if r.link != nil && pickedUp(r.link.Kind(), r.link.Attributes()) && !isClosed(r.answered) {
		close(r.answered)
	}
	for _, p := range gone {
		r.goodbye(p)
	}
	r.follow()
}

// setLink links a participant, or nobody.
func (r *RoomIO) setLink(p *lksdk.RemoteParticipant) {
	if p == r.link {
		return
	}
	if r.link != nil {
		r.before = r.link
	}
	r.link = p
	identity := ""
	if p != nil {
		identity = p.Identity()
	}
	r.log.Debug("participant linked", "participant", identity)
	r.mu.Lock()
	r.linked = p
	close(r.changed)
	r.changed = make(chan struct{})
	r.mu.Unlock()
}

// goodbye closes the session if the one that it was with has left for good.
func (r *RoomIO) goodbye(p *lksdk.RemoteParticipant) {
	if p != r.before || r.link != nil && r.link.Identity() == p.Identity() {
		return
	}
	r.before = nil
	if on(r.o.CloseOnDisconnect) && slices.Contains(r.o.CloseReasons, p.DisconnectReason()) {
		r.log.Info("the participant has left", "participant", p.Identity(), "reason", p.DisconnectReason().String())
		r.closeSession(agents.CloseParticipantDisconnected)
	}
}

// follow hears the microphone of the linked participant.
func (r *RoomIO) follow() {
	if r.in == nil {
		return
	}
	var pub *lksdk.RemoteTrackPublication
	if r.link != nil {
		current := ""
		if r.track != nil {
			current = r.track.sid
		}
		pub = microphone(r.link, current)
	}
	if pub == nil {
		r.stopTrack()
		return
	}
	track := pub.TrackRemote()
	if track == nil {
		r.stopTrack()
		if sid := pub.SID(); r.asked != sid {
			r.asked = sid
			_ = pub.SetSubscribed(true)
		}
		return
	}
	if r.track != nil && r.track.track == track {
		return
	}
	r.stopTrack()
	o := trackOptions{
		sid: pub.SID(), input: r.in, decrypt: r.decryptor(pub), processor: r.processor(r.link, pub),
		early: r.recorded(pub), log: r.log,
	}
	t, err := startTrack(track, o)
	if err != nil {
		o.processor.end()
		r.log.Error("a microphone cannot be heard", "err", err)
		return
	}
	r.track = t
}

func (r *RoomIO) stopTrack() {
	if r.track == nil {
		return
	}
	r.track.stop()
	<-r.track.done
	r.track = nil
}

// encryptor returns what encrypts the agent's track, or nil.
func (r *RoomIO) encryptor() e2ee.FrameEncryptor {
	if r.o.Encryption == nil {
		return nil
	}
	enc, err := lksdk.NewFrameEncryptor(r.o.Encryption, lksdk.CodecOpus)
	if err != nil {
		return refuseFrames{err}
	}
	return enc
}

// refuseFrames sends nothing rather than in the clear.
type refuseFrames struct{ err error }

func (f refuseFrames) EncryptFrame([]byte) ([]byte, error) { return nil, f.err }

// decryptor returns what decrypts a track, or nil if it is not encrypted.
func (r *RoomIO) decryptor(pub *lksdk.RemoteTrackPublication) e2ee.FrameDecryptor {
	if r.o.Encryption == nil || pub.TrackInfo().GetEncryption() == pb.Encryption_NONE {
		return nil
	}
	dec, err := lksdk.NewFrameDecryptor(r.o.Encryption, lksdk.CodecOpus, r.room.SifTrailer())
	if err != nil {
		r.log.Warn("a microphone cannot be decrypted", "err", err)
		return nil
	}
	return dec
}

// Attach ties the session to the room: its state becomes an attribute of the agent, what the user says and writes goes
// to and fro, and it closes when the participant leaves. It is called once, before the session starts.
func (r *RoomIO) Attach(session *agents.AgentSession) {
	r.mu.Lock()
	first := r.session == nil && !r.closed
	if first {
		r.session = session
	}
	r.mu.Unlock()
	if !first {
		return
	}
	r.attr.setState(agents.AgentInitializing)
	if on(r.o.RemoteSession) {
		host := newRemoteHost(newRoomLink(r.room), r.room.joined, session, r.log)
		host.stats = r.remoteStats
		r.mu.Lock()
		r.host = host
		r.mu.Unlock()
		r.room.remotes.add(host)
	}
	events := session.Events(r.ctx)
	r.spawn(func(ctx context.Context) {
		defer close(r.heardAll)
		for e := range events {
			r.started.Store(true)
			switch e := e.(type) {
			case *agents.AgentStateChanged:
				r.attr.setState(e.New)
			case *agents.UserInputTranscribed:
				if on(r.o.TextOutput) {
					r.text.user(ctx, e)
				}
			case *agents.Closed:
				r.attr.flush()
				r.text.flush()
				r.deleteRoom()
			}
		}
	})
}

// closeSession closes the session for a reason, without waiting.
func (r *RoomIO) closeSession(reason agents.CloseReason) {
	r.mu.Lock()
	session := r.session
	r.mu.Unlock()
	if session != nil {
		r.spawn(func(context.Context) { _ = session.CloseFor(reason) })
	}
}

// deleteRoom deletes the room, once.
func (r *RoomIO) deleteRoom() {
	if r.o.DeleteRoom == nil {
		return
	}
	r.deleting.Do(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		if err := r.o.DeleteRoom(ctx, r.room.Name()); err != nil {
			r.log.Warn("the room could not be deleted", "err", tokensOnly.err(err))
		}
	})
}

// lastEvents waits a little for what the closed session has to tell.
func (r *RoomIO) lastEvents() {
	r.mu.Lock()
	session := r.session
	r.mu.Unlock()
	if session == nil || !r.started.Load() || session.CurrentActivity() != nil {
		return
	}
	select {
	case <-r.heardAll:
	case <-time.After(time.Second):
	}
}

// Close takes the session's place from the room: the track is unpublished and nothing is heard any more; the room is
// left if [Join] joined it. It is called after the session has closed; what the session still has to say in text is
// sent before. When ctx is done, Close returns its cause and goes on in the background. Later calls wait for the first.
func (r *RoomIO) Close(ctx context.Context) error {
	r.mu.Lock()
	first := !r.closed
	r.closed = true
	r.mu.Unlock()
	if first {
		go r.close()
	}
	select {
	case <-r.finished:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

func (r *RoomIO) close() {
	defer close(r.finished)
	r.room.remove(r)
	r.lastEvents()
	r.mu.Lock()
	host := r.host
	r.mu.Unlock()
	if host != nil {
		host.close()
		r.room.remotes.remove(host)
	}
	r.attr.close()
	r.text.close()
	if r.in != nil {
		r.in.close(io.EOF)
	}
	r.keys.close()
	r.cancel()
	if r.out != nil {
		r.out.close()
	}
	r.running.Wait()
	if r.o.Processor != nil {
		(&trackProcessor{p: r.o.Processor, log: r.log}).close()
	}
	if r.session != nil {
		r.deleteRoom()
	}
	if r.owns {
		r.room.Disconnect()
	}
}
