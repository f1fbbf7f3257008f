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

	mu        sync.Mutex
	published bool
	pub       *lksdk.LocalTrackPublication
	ready     bool
	patience  *time.Timer
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
	if o.published {
		return
	}
	o.published = true
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
	options := lksdk.TrackPublicationOptions{Name: o.io.o.TrackName, Source: microphoneSource}
	if o.io.o.Encryption != nil {
		options.Encryption = gcm
	}
	for wait := 100 * time.Millisecond; ctx.Err() == nil; wait = min(2*wait, 5*time.Second) {
		pub, err := o.io.room.LocalParticipant.PublishTrack(o.sender.track, &options)
		if err == nil {
			o.wasPublished(pub)
			return
		}
		o.io.log.Warn("the agent's track could not be published", "err", cleanError(err))
		sleep(ctx, wait)
	}
}

func (o *roomOutput) wasPublished(pub *lksdk.LocalTrackPublication) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.pub = pub
	if d := delay(o.io.o.SubscribeTimeout, 10*time.Second); !o.ready && d > 0 && o.patience == nil {
		o.patience = time.AfterFunc(d, func() {
			o.io.log.Warn("nobody has subscribed to the agent's track", "after", d)
			o.setReady()
		})
	}
}

// subscribed notes that somebody has subscribed to one of the agent's tracks.
func (o *roomOutput) subscribed(pub *lksdk.LocalTrackPublication) {
	if o != nil && pub.TrackLocal() == o.sender.track {
		o.setReady()
	}
}

func (o *roomOutput) setReady() {
	o.mu.Lock()
	o.ready = true
	if o.patience != nil {
		o.patience.Stop()
	}
	o.mu.Unlock()
	o.pace.SetReady(true)
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
	if o.patience != nil {
		o.patience.Stop()
	}
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
