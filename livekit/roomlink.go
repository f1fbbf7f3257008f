package livekit

import (
	"slices"

	pb "github.com/livekit/protocol/livekit"
	lksdk "github.com/livekit/server-sdk-go/v2"
	"github.com/pion/webrtc/v4"
)

type remoteTrack = *webrtc.TrackRemote

// Attributes and topics of the protocol between agents and clients.
const (
	attributeState    = "lk.agent.state"
	attributeOnBehalf = "lk.publish_on_behalf"

	attributeSegment = "lk.segment_id"
	attributeTrack   = "lk.transcribed_track_id"
	attributeFinal   = "lk.transcription_final"

	attributeCall = "sip.callStatus"

	topicTranscription = "lk.transcription"
	topicChat          = "lk.chat"
	topicPreConnect    = "lk.agent.pre-connect-audio-buffer"
)

// A candidate is a participant as far as linking goes.
type candidate struct {
	identity string
	kind     lksdk.ParticipantKind
	onBehalf string // whom it publishes for
}

// acceptable reports whether a session can be with a participant: one that is meant by its identity, or else any of the
// right kind that is not a helper of the agent's own, such as an avatar.
func (o *RoomOptions) acceptable(c candidate, wanted, self string) bool {
	if !slices.Contains(o.Kinds, c.kind) {
		return false
	}
	if wanted != "" {
		return c.identity == wanted
	}
	return c.onBehalf == "" || c.onBehalf != self
}

// pickedUp reports whether a participant is not called by telephone, or has answered.
func pickedUp(kind lksdk.ParticipantKind, attributes map[string]string) bool {
	return kind != lksdk.ParticipantSIP || attributes[attributeCall] == "active"
}

// choose returns which of the participants the session is with: the one it was with, or the first who is acceptable.
func (o *RoomOptions) choose(all []*lksdk.RemoteParticipant, current *lksdk.RemoteParticipant, wanted, self string) *lksdk.RemoteParticipant {
	var first *lksdk.RemoteParticipant
	for _, p := range all {
		if !o.acceptable(candidate{p.Identity(), p.Kind(), p.Attributes()[attributeOnBehalf]}, wanted, self) {
			continue
		}
		if p == current {
			return p
		}
		if first == nil || joinedBefore(p, first) {
			first = p
		}
	}
	return first
}

// joinedBefore orders participants, of whom the SDK does not tell when they came, so that sessions agree on one.
func joinedBefore(p, q *lksdk.RemoteParticipant) bool { return p.Identity() < q.Identity() }

// microphone returns the publication of the participant's microphone: the one that was used, if it is still there, or
// else one that is not muted.
func microphone(p *lksdk.RemoteParticipant, current string) *lksdk.RemoteTrackPublication {
	var best *lksdk.RemoteTrackPublication
	for _, t := range p.TrackPublications() {
		pub, ok := t.(*lksdk.RemoteTrackPublication)
		if !ok || pub.Kind() != lksdk.TrackKindAudio || pub.Source() != pb.TrackSource_MICROPHONE {
			continue
		}
		switch {
		case pub.SID() == current && !pub.IsMuted():
			return pub
		case best == nil, best.IsMuted() && !pub.IsMuted(), best.IsMuted() == pub.IsMuted() && pub.SID() == current:
			best = pub
		}
	}
	return best
}
