package livekit

import (
	"context"
	"time"

	pion "github.com/pion/webrtc/v4"

	lksdk "github.com/livekit/server-sdk-go/v2"
)

// After a reconnect what counts is that audio flows, not that the SDK says so: it may report success with a track that
// was not published again, or with one that brings nothing.
const (
	// pulseFor is how long after a reconnect the flow is watched, pulseTime how often, and numb how long a microphone
	// that is not muted may bring nothing.
	pulseFor  = 30 * time.Second
	pulseTime = time.Second
	numb      = 4 * time.Second
)

// A pulse says when to look whether audio flows.
type pulse struct {
	ticker *time.Ticker
	since  time.Time // the reconnect, or the last attempt to mend it
	until  time.Time
}

func (p *pulse) start(now time.Time) {
	p.since, p.until = now, now.Add(pulseFor)
	if p.ticker == nil {
		p.ticker = time.NewTicker(pulseTime)
	}
}

func (p *pulse) stop() {
	if p.ticker != nil {
		p.ticker.Stop()
		p.ticker = nil
	}
}

func (p *pulse) next() <-chan time.Time {
	if p.ticker == nil {
		return nil
	}
	return p.ticker.C
}

// reconnecting holds what is said while the connection is gone. That the SDK reconnects does not say so, as it may be for
// the signalling alone and audio goes on; nor is it back when the SDK says that the room was joined again.
func (r *RoomIO) reconnecting() {
	r.mu.Lock()
	r.offline = true
	watched := r.watched || r.out == nil
	r.watched = true
	r.mu.Unlock()
	if watched {
		return
	}
	r.spawn(func(ctx context.Context) {
		for ctx.Err() == nil {
			pc := r.room.LocalParticipant.GetPublisherPeerConnection()
			connected := pc != nil && pc.ConnectionState() == pion.PeerConnectionStateConnected
			r.out.setCut(!connected)
			r.mu.Lock()
			over := connected && !r.offline
			r.watched = !over
			r.mu.Unlock()
			if over {
				return
			}
			sleep(ctx, 50*time.Millisecond)
		}
	})
}

// reconnected notes that the SDK says that the room is connected again.
func (r *RoomIO) reconnected() {
	r.mu.Lock()
	r.offline, r.again = false, true
	r.mu.Unlock()
	r.attr.resend()
	r.out.republish()
	r.look()
}

// republish publishes the track if the SDK has failed to.
func (o *roomOutput) republish() {
	if o == nil {
		return
	}
	o.mu.Lock()
	missing := o.begun && o.pub == nil
	o.mu.Unlock()
	if missing {
		o.io.log.Warn("the agent's track was lost in a reconnect, and is published again")
		o.io.spawn(o.publishNow)
	}
}

// feel subscribes anew to a microphone that should be heard after a reconnect and is not.
func (r *RoomIO) feel() {
	now := time.Now()
	if now.After(r.pulse.until) {
		r.pulse.stop()
		return
	}
	r.follow()
	if r.in == nil || r.link == nil {
		return
	}
	pub := microphone(r.link, "")
	if pub == nil || pub.IsMuted() {
		r.pulse.since = now
		return
	}
	last := r.pulse.since
	if r.track != nil {
		if at := time.Unix(0, r.track.last.Load()); at.After(last) {
			last = at
		}
	}
	if now.Sub(last) < numb {
		return
	}
	r.pulse.since = now
	r.log.Warn("a microphone brings nothing after a reconnect, and is subscribed to again", "track", pub.SID())
	resubscribe(pub)
}

func resubscribe(pub *lksdk.RemoteTrackPublication) {
	_ = pub.SetSubscribed(false)
	_ = pub.SetSubscribed(true)
}
