package livekit

import (
	"context"
	"errors"
	"slices"

	lksdk "github.com/livekit/server-sdk-go/v2"
)

// ErrRoomDisconnected is what waiting in a room ends with when the agent is not in it any more.
var ErrRoomDisconnected = errors.New("livekit: room disconnected")

// ErrParticipantLeft is what waiting for the track of a participant ends with when they leave.
var ErrParticipantLeft = errors.New("livekit: the participant has left")

// WaitOptions say for whom to wait.
type WaitOptions struct {
	// Identity is the participant's; the default is anybody.
	Identity string
	// Kinds are the kinds of participant that count: standard, SIP and connector, or agents if Agent is set.
	Kinds []lksdk.ParticipantKind
	// Agent is an agent's name, as workers have it.
	Agent string
	// Attributes are those that the participant has, with these values.
	Attributes map[string]string
}

var callerKinds = []lksdk.ParticipantKind{lksdk.ParticipantStandard, lksdk.ParticipantSIP, lksdk.ParticipantConnector}

func (o WaitOptions) match(p *lksdk.RemoteParticipant) bool {
	kinds := o.Kinds
	switch {
	case len(kinds) > 0:
	case o.Agent != "":
		kinds = []lksdk.ParticipantKind{lksdk.ParticipantAgent}
	default:
		kinds = callerKinds
	}
	if o.Identity != "" && p.Identity() != o.Identity || !slices.Contains(kinds, p.Kind()) {
		return false
	}
	if o.Agent == "" && len(o.Attributes) == 0 {
		return true
	}
	has := p.Attributes()
	for name, value := range o.Attributes {
		if v, ok := has[name]; !ok || v != value {
			return false
		}
	}
	return o.Agent == "" || has[agentNameAttribute] == o.Agent
}

// WaitForParticipant joins the room, if need be, and waits for a participant, who may be there already. A participant
// counts once the server has announced it: the SDK does not tell when it became active.
func (j *Job) WaitForParticipant(ctx context.Context, o WaitOptions) (*lksdk.RemoteParticipant, error) {
	var found *lksdk.RemoteParticipant
	err := j.waitInRoom(ctx, func() (bool, error) {
		for _, p := range j.others() {
			if o.match(p) {
				found = p
				return true, nil
			}
		}
		return false, nil
	})
	return found, err
}

// TrackWaitOptions say for which track to wait.
type TrackWaitOptions struct {
	// Identity is the participant's whose track it is; the default is anybody's.
	Identity string
	// Kind is audio or video; the default is either.
	Kind lksdk.TrackKind
	// Subscribed has the wait last until what the track brings can be read.
	Subscribed bool
}

// WaitForTrack joins the room, if need be, and waits for a track that somebody publishes, or has published. If the
// participant is named, was there and leaves, the error is [ErrParticipantLeft].
func (j *Job) WaitForTrack(ctx context.Context, o TrackWaitOptions) (*lksdk.RemoteTrackPublication, error) {
	var found *lksdk.RemoteTrackPublication
	wasThere := false
	err := j.waitInRoom(ctx, func() (bool, error) {
		isThere := false
		for _, p := range j.others() {
			if o.Identity != "" && p.Identity() != o.Identity {
				continue
			}
			isThere = true
			for _, t := range p.TrackPublications() {
				pub, ok := t.(*lksdk.RemoteTrackPublication)
				if ok && (o.Kind == "" || pub.Kind() == o.Kind) && (!o.Subscribed || pub.TrackRemote() != nil) {
					found = pub
					return true, nil
				}
			}
		}
		if o.Identity != "" && wasThere && !isThere {
			return false, ErrParticipantLeft
		}
		wasThere = isThere
		return false, nil
	})
	return found, err
}

// waitInRoom joins the room and waits until something is so, or fails, there.
func (j *Job) waitInRoom(ctx context.Context, so func() (bool, error)) error {
	if err := j.Connect(ctx, ConnectOptions{}); err != nil {
		return err
	}
	for {
		j.mu.Lock()
		changed := j.changed // before looking, or what happens meanwhile would be missed
		j.mu.Unlock()
		if ok, err := so(); ok || err != nil {
			return err
		}
		select {
		case <-changed:
		case <-j.ended:
			if reason, _ := j.EndReason(); reason == EndRoomDisconnected || reason == EndRoomLost {
				return ErrRoomDisconnected
			}
			return ErrJobEnded
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

// lookAround has keepLooking look who is in the room. It does not look itself, nor lock anything: the SDK may call with its
// locks held.
func (j *Job) lookAround() {
	select {
	case j.look <- struct{}{}:
	default:
	}
}

// keepLooking greets who was not, and wakes those who wait, whenever something in the room may have changed, until the end
// of the job begins.
func (j *Job) keepLooking() (done <-chan struct{}) {
	over := make(chan struct{})
	go func() {
		defer close(over)
		for {
			select {
			case <-j.ended:
				return
			case <-j.look:
			}
			j.greetAll()
			j.mu.Lock()
			close(j.changed)
			j.changed = make(chan struct{})
			j.mu.Unlock()
		}
	}()
	return over
}
