package livekit

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	pb "github.com/livekit/protocol/livekit"
	lksdk "github.com/livekit/server-sdk-go/v2"
)

// A Subscription says which tracks of others the agent gets without asking.
type Subscription int

const (
	// SubscribeAll is all tracks, the default.
	SubscribeAll Subscription = iota
	// SubscribeNone is none.
	SubscribeNone
	// SubscribeAudio is those of sound.
	SubscribeAudio
	// SubscribeVideo is those of pictures.
	SubscribeVideo
)

// ConnectOptions say how a job joins its room.
type ConnectOptions struct {
	// Subscribe is which tracks are subscribed to: all.
	Subscribe Subscription
	// Callback gets the room's events. A panic in one of its functions ends the job as crashed.
	Callback *lksdk.RoomCallback
	// Timeout limits joining: 10 s. A job that cannot join should fail fast; return the error from the entrypoint.
	Timeout time.Duration
	// Encryption is the end-to-end encryption of data; that of tracks is theirs.
	Encryption *lksdk.EncryptionOptions
	// SinglePeerConnection carries both directions over one connection.
	SinglePeerConnection bool
	// SDK are further options of the LiveKit SDK.
	SDK []lksdk.ConnectOption
}

// A joinFunc joins a room and returns how to leave it.
type joinFunc func(ctx context.Context, url, token string, callback *lksdk.RoomCallback, opts ...lksdk.ConnectOption) (*Room, func(), error)

func joinRoom(ctx context.Context, url, token string, callback *lksdk.RoomCallback, opts ...lksdk.ConnectOption) (*Room, func(), error) {
	room := NewRoom(callback)
	if err := room.JoinWithContextAndToken(ctx, url, token, opts...); err != nil {
		return nil, nil, err
	}
	return room, room.Disconnect, nil
}

// A jobJoin is the joining of the room, which is done once.
type jobJoin struct {
	done chan struct{}
	err  error
}

// Connect joins the room. It may be called again, also at the same time: the room is joined once, with the first call's
// options, unless that failed.
func (j *Job) Connect(ctx context.Context, o ConnectOptions) error {
	j.mu.Lock()
	if j.reason != EndNone {
		j.mu.Unlock()
		return ErrJobEnded
	}
	if j.local != nil {
		j.local.joined = true
		j.mu.Unlock()
		j.greetAll()
		return nil
	}
	join := j.join
	if join == nil {
		join = &jobJoin{done: make(chan struct{})}
		j.join = join
		j.times.Connecting = time.Now()
		go j.connect(ctx, join, o)
	}
	j.mu.Unlock()
	select {
	case <-join.done:
		return join.err
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-j.ended:
		return ErrJobEnded
	}
}

// connect joins the room within the time that there is. The SDK is not trusted to heed its context: a room that comes
// too late is left at once.
func (j *Job) connect(ctx context.Context, join *jobJoin, o ConnectOptions) {
	if o.Timeout == 0 {
		o.Timeout = 10 * time.Second
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), o.Timeout)
	defer cancel()
	type joined struct {
		room  *Room
		leave func()
		err   error
	}
	result := make(chan joined, 1)
	go func() {
		var r joined
		if err := j.w.guard("joining the room", func() error {
			r.room, r.leave, r.err = j.w.join(ctx, j.url, j.token, j.callback(o), j.sdkOptions(o)...)
			return r.err
		}); err != nil {
			r.err = err
		}
		result <- r
	}()
	late := func() {
		if r := <-result; r.err == nil {
			r.leave()
		}
	}

	var r joined
	select {
	case r = <-result:
	case <-ctx.Done():
		r.err = context.Cause(ctx)
		go late()
	case <-j.ended:
		r.err = ErrJobEnded
		cancel()
		go late()
	}

	j.mu.Lock()
	defer j.mu.Unlock()
	defer close(join.done)
	switch {
	case r.err != nil:
		join.err = fmt.Errorf("livekit: joining room %q: %w", j.RoomName(), j.w.secrets.err(r.err))
		if !errors.Is(r.err, ErrJobEnded) {
			j.w.metrics.joinFailures.Add(1)
		}
		j.join = nil
	case j.reason != EndNone:
		join.err = ErrJobEnded
		go r.leave()
	default:
		j.room, j.leave = r.room, r.leave
		j.times.Connected = time.Now()
		j.w.metrics.join.observe(j.times.Connected.Sub(j.times.Connecting))
		go j.subscribe(o.Subscribe)
		j.lookAround()
	}
}

func (j *Job) sdkOptions(o ConnectOptions) []lksdk.ConnectOption {
	opts := []lksdk.ConnectOption{
		lksdk.WithAutoSubscribe(o.Subscribe == SubscribeAll), lksdk.WithLogger(sdkLogger(j.Logger())),
		lksdk.WithConnectTimeout(o.Timeout),
	}
	if o.Encryption != nil {
		opts = append(opts, lksdk.WithDataEncryption(o.Encryption))
	}
	if o.SinglePeerConnection {
		opts = append(opts, lksdk.WithSinglePeerConnection())
	}
	return append(opts, o.SDK...)
}

// callback puts the job's own interest before the user's.
func (j *Job) callback(o ConnectOptions) *lksdk.RoomCallback {
	cb := lksdk.NewRoomCallback()
	if o.Callback != nil {
		cb = guardedCallback(o.Callback, func(what string, f func()) {
			if err := j.w.guard(what, func() error { f(); return nil }); err != nil {
				j.crash(err)
			}
		})
	}
	own := *cb
	cb.OnDisconnectedWithReason = func(reason lksdk.DisconnectionReason) {
		j.disconnected(reason)
		own.OnDisconnectedWithReason(reason)
	}
	cb.OnParticipantConnected = func(p *lksdk.RemoteParticipant) {
		j.greet(p)
		j.lookAround()
		own.OnParticipantConnected(p)
	}
	cb.OnTrackPublished = func(pub *lksdk.RemoteTrackPublication, p *lksdk.RemoteParticipant) {
		if o.Subscribe.wants(pub) {
			_ = pub.SetSubscribed(true)
		}
		own.OnTrackPublished(pub, p)
		j.lookAround()
	}
	cb.OnTrackSubscribed = func(track remoteTrack, pub *lksdk.RemoteTrackPublication, p *lksdk.RemoteParticipant) {
		own.OnTrackSubscribed(track, pub, p)
		j.lookAround()
	}
	cb.OnParticipantDisconnected = func(p *lksdk.RemoteParticipant) {
		own.OnParticipantDisconnected(p)
		j.lookAround()
	}
	// The SDK keeps silent about a participant who is back before it has let go of the one before, so whatever else it
	// tells of participants is an occasion to look. The quality of their connections it tells every few seconds.
	cb.OnConnectionQualityChanged = func(update *pb.ConnectionQualityInfo, p lksdk.Participant) {
		own.OnConnectionQualityChanged(update, p)
		j.lookAround()
	}
	cb.OnAttributesChanged = func(changed map[string]string, p lksdk.Participant) {
		own.OnAttributesChanged(changed, p)
		j.lookAround()
	}
	return cb
}

func (s Subscription) wants(pub lksdk.TrackPublication) bool {
	return s == SubscribeAudio && pub.Kind() == lksdk.TrackKindAudio || s == SubscribeVideo && pub.Kind() == lksdk.TrackKindVideo
}

// subscribe takes the tracks that were there before.
func (j *Job) subscribe(s Subscription) {
	if s != SubscribeAudio && s != SubscribeVideo {
		return
	}
	for _, p := range j.Room().GetRemoteParticipants() {
		for _, pub := range p.TrackPublications() {
			if remote, ok := pub.(*lksdk.RemoteTrackPublication); ok && s.wants(pub) {
				_ = remote.SetSubscribed(true)
			}
		}
	}
}

// disconnected ends the job with its room.
func (j *Job) disconnected(reason lksdk.DisconnectionReason) {
	if reason == lksdk.Failed {
		j.end(EndRoomLost, "room connection lost", fmt.Errorf("livekit: %s", reason))
	} else {
		text := string(reason)
		if room := j.Room(); room != nil && reason == lksdk.OtherReason {
			text = room.DisconnectReason().String() // many have no name of their own in the SDK
		}
		j.end(EndRoomDisconnected, "room disconnected: "+text, nil)
	}
}

// Room is the room, or nil before Connect has joined it, and in a job without one.
func (j *Job) Room() *Room {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.room
}

// leaveRoom leaves the room, if it was joined.
func (j *Job) leaveRoom() {
	j.mu.Lock()
	leave := j.leave
	j.leave = nil
	j.mu.Unlock()
	if leave != nil {
		j.step("leaving the room", j.w.o.LeaveTimeout, func(context.Context) error { leave(); return nil })
	}
}

// A greeter is what runs for each participant.
type greeter struct {
	name    string
	options WaitOptions
	f       func(context.Context, *Job, *lksdk.RemoteParticipant) error
	greeted map[string]bool // by the participant's session id
	running map[string]int  // by identity
}

// AddParticipantEntrypoint runs f for every participant of these kinds, by default those of WaitOptions, who is or comes
// into the room; each on a goroutine of its own. It is named so that adding it twice is an error. Errors are logged; a
// panic ends the job as crashed.
func (j *Job) AddParticipantEntrypoint(name string, f func(ctx context.Context, job *Job, p *lksdk.RemoteParticipant) error, kinds ...lksdk.ParticipantKind) error {
	j.mu.Lock()
	if slices.ContainsFunc(j.greeters, func(g *greeter) bool { return g.name == name }) {
		j.mu.Unlock()
		return fmt.Errorf("livekit: participant entrypoint %q was added before", name)
	}
	j.greeters = append(j.greeters, &greeter{name, WaitOptions{Kinds: kinds}, f, map[string]bool{}, map[string]int{}})
	j.mu.Unlock()
	j.greetAll()
	return nil
}

// greetAll takes those who were there before.
func (j *Job) greetAll() {
	for _, p := range j.others() {
		j.greet(p)
	}
}

// others are the participants of the room beside the agent, as far as it was joined.
func (j *Job) others() []*lksdk.RemoteParticipant {
	j.mu.Lock()
	room := j.room
	if j.local.isJoined() {
		room = j.local.stage
	}
	j.mu.Unlock()
	if room == nil {
		return nil
	}
	return room.GetRemoteParticipants()
}

func (j *Job) greet(p *lksdk.RemoteParticipant) {
	identity, sid := p.Identity(), p.SID()
	j.mu.Lock()
	greeters := slices.Clone(j.greeters)
	j.mu.Unlock()
	// What the SDK is asked may wait for its callbacks, and those for the job.
	greeters = slices.DeleteFunc(greeters, func(g *greeter) bool { return !g.options.match(p) })
	j.mu.Lock()
	var run []*greeter
	for _, g := range greeters {
		if !g.greeted[sid] {
			g.greeted[sid] = true
			if g.running[identity]++; g.running[identity] > 1 {
				j.log.Warn("the participant is back, and what ran for it before still runs", "participant", identity, "name", g.name)
			}
			run = append(run, g)
		}
	}
	j.mu.Unlock()
	for _, g := range run {
		j.spawn("participant entrypoint "+g.name, func() error {
			defer func() {
				j.mu.Lock()
				g.running[identity]--
				j.mu.Unlock()
			}()
			return g.f(j.user, j, p)
		}, func(err error) {
			if err != nil {
				j.Logger().Error("participant entrypoint failed", "participant", identity, "name", g.name, "error", err)
			}
		})
	}
}
