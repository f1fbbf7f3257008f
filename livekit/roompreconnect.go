package livekit

import (
	"encoding/binary"
	"errors"
	"io"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	pb "github.com/livekit/protocol/livekit"
	lksdk "github.com/livekit/server-sdk-go/v2"

	agents "github.com/parley-voice/agents"
	"github.com/parley-voice/agents/internal/opus"
	"github.com/parley-voice/agents/internal/resample"
)

// What a user says while the agent is on its way is recorded by their client and sent when the agent is there, as a
// stream of bytes. It is heard before what comes live, which waits meanwhile.
const (
	// preConnectWait is how long a track that announces a recording waits for it.
	preConnectWait = 3 * time.Second
	// preConnectStale is how old a recording may be when its track is first heard.
	preConnectStale = time.Second
	// preConnectBytes bounds a recording: 20 s of 48 kHz in two channels.
	preConnectBytes = 20 * 48_000 * 2 * 2
	// preConnectMany is how many recordings are kept until their tracks are heard.
	preConnectMany = 4
)

// An earlyAudio is a recording of what was said on a track before it was heard.
type earlyAudio struct {
	track   string
	samples []int16 // at the rate of the input
	at      time.Time
}

// roomRecordings are the recordings that came and were not heard yet.
type roomRecordings struct {
	mu    sync.Mutex
	kept  []earlyAudio
	taken []string      // tracks whose recording is not wanted any more
	came  chan struct{} // closed when one comes
}

func newRoomRecordings() *roomRecordings { return &roomRecordings{came: make(chan struct{})} }

func (r *roomRecordings) add(rec earlyAudio) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if slices.Contains(r.taken, rec.track) {
		return
	}
	r.kept = append(r.kept, rec)
	if len(r.kept) > preConnectMany {
		r.kept = slices.Delete(r.kept, 0, 1)
	}
	close(r.came)
	r.came = make(chan struct{})
}

// take waits for the recording of a track, once: nil if none comes in time, quit is closed first, or it is stale.
func (r *roomRecordings) take(track string, d time.Duration, quit <-chan struct{}) []int16 {
	limit := time.NewTimer(d)
	defer limit.Stop()
	for {
		r.mu.Lock()
		came := r.came
		i := slices.IndexFunc(r.kept, func(rec earlyAudio) bool { return rec.track == track })
		if i >= 0 {
			rec := r.kept[i]
			r.kept = slices.Delete(r.kept, i, i+1)
			r.done(track)
			r.mu.Unlock()
			if time.Since(rec.at) > preConnectStale {
				return nil
			}
			return rec.samples
		}
		r.mu.Unlock()
		select {
		case <-came:
			continue
		case <-limit.C:
		case <-quit:
		}
		r.mu.Lock()
		r.done(track)
		r.mu.Unlock()
		return nil
	}
}

// wanted reports whether a recording of the track is still to be heard.
func (r *roomRecordings) wanted(track string) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return !slices.Contains(r.taken, track)
}

func (r *roomRecordings) done(track string) {
	if r.taken = append(r.taken, track); len(r.taken) > 16 {
		r.taken = slices.Delete(r.taken, 0, 1)
	}
}

// recorded returns how to get what was said on a track before, or nil if there is nothing.
func (r *RoomIO) recorded(pub *lksdk.RemoteTrackPublication) func(quit <-chan struct{}) []int16 {
	wait := delay(r.o.PreConnect, preConnectWait)
	sid := pub.SID()
	if wait < 0 || !slices.Contains(pub.TrackInfo().GetAudioFeatures(), pb.AudioTrackFeature_TF_PRECONNECT_BUFFER) || !r.early.wanted(sid) {
		return nil
	}
	return func(quit <-chan struct{}) []int16 {
		samples := r.early.take(sid, wait, quit)
		if samples == nil {
			r.log.Warn("what the user said before the agent was there did not come", "track", sid, "after", wait)
		}
		return samples
	}
}

// preConnect takes a recording that somebody in the room sends.
func (r *Room) preConnect(stream *lksdk.ByteStreamReader, sender string) {
	info := stream.Info
	track := info.Attributes["trackId"]
	rate, _ := strconv.Atoi(info.Attributes["sampleRate"])
	channels, _ := strconv.Atoi(info.Attributes["channels"])
	mime := info.MimeType
	data, err := readBounded(stream, preConnectBytes)
	r.mu.Lock()
	members := slices.Clone(r.members)
	r.mu.Unlock()
	for _, m := range members {
		if m.in == nil || delay(m.o.PreConnect, preConnectWait) < 0 {
			continue
		}
		if p := m.Participant(); p != nil && p.Identity() != sender {
			continue
		}
		var samples []int16
		if err == nil {
			samples, err = decodeRecording(data, mime, rate, channels, m.in.rate)
		}
		if err != nil {
			m.log.Warn("what the user said before the agent was there cannot be heard", "participant", sender, "type", mime, "err", err)
			continue
		}
		m.early.add(earlyAudio{track, samples, time.Now()})
	}
}

var errTooLong = errors.New("livekit: stream too long")

// readBounded reads a stream to its end, and fails if it is longer than a bound.
func readBounded(r io.Reader, bound int) ([]byte, error) {
	var data []byte
	buf := make([]byte, 16<<10)
	long := false
	for {
		n, err := r.Read(buf)
		if !long {
			data = append(data, buf[:n]...)
			long = len(data) > bound
		}
		switch {
		case errors.Is(err, io.EOF) && long:
			return nil, errTooLong
		case errors.Is(err, io.EOF):
			return data, nil
		case err != nil:
			return nil, err
		}
		if long {
			data = nil
		}
	}
}

// decodeRecording makes a recording one channel of a rate. Opus comes in an Ogg or Matroska file, and anything else is
// taken for samples of 16 bits.
func decodeRecording(data []byte, mime string, rate, channels, want int) ([]int16, error) {
	if mime == "audio/opus" || strings.Contains(mime, "codecs=opus") {
		return decodeOpusFile(data, want)
	}
	if rate == 0 {
		rate = 48_000
	}
	if channels == 0 {
		channels = 1
	}
	if channels < 0 || channels > 2 {
		return nil, errRecordingFormat
	}
	samples := make([]int16, 0, len(data)/2/channels)
	for i := 0; i+2*channels <= len(data); i += 2 * channels {
		sum := 0
		for c := range channels {
			sum += int(int16(binary.LittleEndian.Uint16(data[i+2*c:])))
		}
		samples = append(samples, int16(sum/channels))
	}
	if rate == want {
		return samples, nil
	}
	s, err := resample.New(rate, want)
	if err != nil {
		return nil, err
	}
	return s.Flush(s.Push(nil, samples)), nil
}

func decodeOpusFile(data []byte, rate int) ([]int16, error) {
	packets, err := opusPackets(data)
	if err != nil {
		return nil, err
	}
	d, err := opus.NewDecoder(rate, 1)
	if err != nil {
		return nil, err
	}
	defer d.Close()
	var samples []int16
	for _, p := range packets {
		if samples, err = d.Decode(samples, p); err != nil {
			return nil, err
		}
	}
	return samples, nil
}

// hearRecording gives the input what was said before, in frames, as fast as it is taken. What was held meanwhile comes
// after it, and the time of both counts as past.
func (in *roomInput) hearRecording(samples []int16, held time.Duration, process func([]int16, int), quit <-chan struct{}) {
	n := int(agents.SamplesIn(frameTime, in.rate))
	past := agents.SampleDuration(int64(len(samples)), in.rate) + held
	for first := true; len(samples) > 0; first = false {
		f := in.frame()
		f.samples = append(f.samples, samples[:min(n, len(samples))]...)
		samples = samples[len(f.samples):]
		process(f.samples, in.rate)
		if first {
			f.past = past
		}
		if !in.pushWaiting(f, quit) {
			return
		}
	}
}

// pushWaiting adds a frame as soon as there is room for it, and reports whether it did before quit was closed.
func (in *roomInput) pushWaiting(f *inputFrame, quit <-chan struct{}) bool {
	for {
		in.mu.Lock()
		full := in.queued+len(f.samples) > in.limit && in.err == nil
		in.mu.Unlock()
		if !full {
			in.push(f)
			return true
		}
		select {
		case <-quit:
			return false
		case <-time.After(frameTime / 4):
		}
	}
}
