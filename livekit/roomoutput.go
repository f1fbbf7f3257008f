package livekit

import (
	"context"
	"fmt"
	"sync"
	"time"

	lksdk "github.com/livekit/server-sdk-go/v2"

	agents "github.com/parley-voice/agents"
	"github.com/parley-voice/agents/internal/pacer"
)

// A roomOutput is the agent's voice in the room: a pacer, which gives a frame to the track when it is due. Positions are
// what the track got.
//
// The track is published when a session first attaches. Until somebody has subscribed to it nothing is played, so that
// the first syllable is heard; that wait is bounded.
type roomOutput struct {
	io     *RoomIO
	rate   int
	sender *trackSender
	pace   *pacer.Output
	giveUp func() // the pacer

	mu         sync.Mutex
	begun      bool // to publish
	publishing bool
	pub        *lksdk.LocalTrackPublication
	subscribed string // the publication that somebody has subscribed to
	cut        bool   // the connection is gone
	patience   *time.Timer
}

var _ agents.AudioOutput = (*roomOutput)(nil)

func newRoomOutput(io *RoomIO) (*roomOutput, error) {
	o := &roomOutput{io: io, rate: io.o.OutputRate}
	var err error
	if o.sender, err = newTrackSender(o.rate, io.o.Bitrate, io.encryptor()); err != nil {
		return nil, fmt.Errorf("livekit: %w", err)
	}
	p, done := usePacer(io.o.Pacer)
	o.pace, err = p.NewOutput(pacer.OutputOptions{SampleRate: o.rate, Play: o.sender.play, NotReady: true})
	if err != nil {
		done()
		return nil, fmt.Errorf("livekit: %w", err)
	}
	o.giveUp = done
	return o, nil
}

// Capabilities implements [agents.AudioOutput].
func (o *roomOutput) Capabilities() agents.AudioOutputCapabilities {
	return agents.AudioOutputCapabilities{SampleRate: o.rate, Channels: 1, CanPause: true}
}

// Attach implements [agents.AudioOutput].
func (o *roomOutput) Attach(notify func(agents.PlaybackEvent)) {
	o.publish()
	o.pace.Attach(func(e pacer.Event) {
		event := agents.PlaybackEvent{Type: agents.PlaybackStarted, Segment: e.Segment, At: e.At}
		if e.Type == pacer.Finished {
			o.sender.tail()
			event.Type = agents.PlaybackFinished
			event.Position = agents.SampleDuration(e.Position, o.rate)
			event.Interrupted = e.Interrupted
		}
		notify(event)
	})
}

// Detach implements [agents.AudioOutput].
func (o *roomOutput) Detach() {
	o.pace.Detach()
	o.sender.rest()
}

// CaptureFrame implements [agents.AudioOutput].
func (o *roomOutput) CaptureFrame(ctx context.Context, f agents.AudioFrame) error {
	if err := f.Check(); err != nil {
		return err
	}
	if f.SampleRate != o.rate || f.Channels != 1 {
		return fmt.Errorf("%w: %d Hz in %d channels for a track of %d Hz in one", agents.ErrAudioFormat, f.SampleRate, f.Channels, o.rate)
	}
	return o.pace.CaptureFrame(ctx, f.Samples)
}

// Flush implements [agents.AudioOutput].
func (o *roomOutput) Flush() { o.pace.Flush() }

// Clear implements [agents.AudioOutput].
func (o *roomOutput) Clear() { o.pace.Clear() }

// Pause implements [agents.AudioOutput].
func (o *roomOutput) Pause() {
	o.pace.Pause()
	o.sender.tail()
}

// Resume implements [agents.AudioOutput].
func (o *roomOutput) Resume() { o.pace.Resume() }

// publish publishes the track, once, as soon as the room was joined.
func (o *roomOutput) publish() {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.begun {
		return
	}
	o.begun = true
	o.io.spawn(func(ctx context.Context) {
		select {
		case <-o.io.room.joined:
		case <-ctx.Done():
			return
		}
		o.publishNow(ctx)
	})
}

// publishNow publishes the track, and tries again while that fails.
func (o *roomOutput) publishNow(ctx context.Context) {
	o.mu.Lock()
	busy := o.publishing
	o.publishing = true
	o.mu.Unlock()
	if busy {
		return
	}
	defer func() {
		o.mu.Lock()
		o.publishing = false
		o.mu.Unlock()
	}()
	options := lksdk.TrackPublicationOptions{Name: o.io.o.TrackName, Source: microphoneSource}
	if o.io.o.Encryption != nil {
		options.Encryption = gcm
	}
	for wait := 100 * time.Millisecond; ctx.Err() == nil; wait = min(2*wait, 5*time.Second) {
		_, err := o.io.room.LocalParticipant.PublishTrack(o.sender.track, &options)
		if err == nil {
			return // and published was called
		}
		o.io.log.Warn("the agent's track could not be published", "err", tokensOnly.err(err))
		sleep(ctx, wait)
	}
}

// wasPublished notes that the track was published, by us or by the SDK after it has joined the room anew.
func (o *roomOutput) wasPublished(pub *lksdk.LocalTrackPublication) {
	if o == nil || pub.TrackLocal() != o.sender.track {
		return
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	o.pub = pub
	if o.subscribed == pub.SID() {
		o.settle()
		return
	}
	d := delay(o.io.o.SubscribeTimeout, 10*time.Second)
	if d < 0 {
		return
	}
	o.stopPatience()
	o.patience = time.AfterFunc(d, func() {
		o.mu.Lock()
		defer o.mu.Unlock()
		if o.pub == pub && o.subscribed != pub.SID() {
			o.io.log.Warn("nobody has subscribed to the agent's track", "after", d)
			o.subscribed = pub.SID()
			o.settle()
		}
	})
}

// wasUnpublished notes that the track is gone, as before it is published anew.
func (o *roomOutput) wasUnpublished(pub *lksdk.LocalTrackPublication) {
	if o == nil || pub.TrackLocal() != o.sender.track {
		return
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	o.pub = nil
	o.settle()
}

// wasSubscribed notes that somebody has subscribed to one of the agent's tracks.
func (o *roomOutput) wasSubscribed(pub *lksdk.LocalTrackPublication) {
	if o == nil || pub.TrackLocal() != o.sender.track {
		return
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	o.subscribed = pub.SID()
	o.settle()
}

// setCut says whether the connection is gone. What is said meanwhile waits.
func (o *roomOutput) setCut(cut bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.cut != cut {
		o.cut = cut
		o.settle()
	}
}

// settle lets the output play when it can be heard.
func (o *roomOutput) settle() {
	ready := !o.cut && o.pub != nil && o.subscribed == o.pub.SID()
	if ready {
		o.stopPatience()
	}
	o.pace.SetReady(ready)
}

func (o *roomOutput) stopPatience() {
	if o.patience != nil {
		o.patience.Stop()
	}
}

// trackID is the id of the agent's track, or empty.
func (o *roomOutput) trackID() string {
	if o == nil {
		return ""
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.pub == nil {
		return ""
	}
	return o.pub.SID()
}

// close ends the output: what it plays is cut off, and the track is taken back.
func (o *roomOutput) close() {
	o.pace.Close()
	o.sender.close()
	o.giveUp()
	o.mu.Lock()
	pub := o.pub
	o.pub = nil
	o.stopPatience()
	o.mu.Unlock()
	if pub != nil && !isClosed(o.io.room.left) {
		_ = o.io.room.LocalParticipant.UnpublishTrack(pub.SID())
	}
}

func sleep(ctx context.Context, d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
	case <-t.C:
	}
}
