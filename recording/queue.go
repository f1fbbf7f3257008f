package recording

import (
	"time"

	"github.com/parley-voice/agents"
)

const (
	// maxQueued is how much audio may wait for the file, of both channels together.
	maxQueued = 10 * time.Second
	// maxMessages is how many messages may, as silence and pauses take no audio.
	maxMessages = 8192
	// wakeQueued is how much audio is worth encoding at a time.
	wakeQueued = 500 * time.Millisecond
	// maxFree and maxFreeSamples bound what is kept to be used again.
	maxFree        = 128
	maxFreeSamples = 4800
)

// A messageKind says what a [message] is about.
type messageKind uint8

const (
	heard      messageKind = iota + 1 // a frame of the user, which ended at
	inputEnded                        // no more of them for now
	captured                          // a frame of a segment
	uncaptured                        // but the last one was not taken
	flushed                           // a segment is complete
	started
	finished
	paused
	resumed
	detached // segments count from 1 again
)

// A message is what happened, as the goroutine of the recorder is told. Times count from the beginning of the recording.
type message struct {
	kind    messageKind
	at      time.Duration
	segment uint64
	played  time.Duration // of finished
	samples []int16       // one channel; nil if they are silent
	n       int           // of samples
	rate    int
}

// length returns how long the audio of the message plays.
func (m *message) length() time.Duration { return agents.SampleDuration(int64(m.n), m.rate) }

// A queue holds messages, and the memory for their audio.
type queue struct {
	messages []message
	spare    []message
	free     [][]int16
	audio    time.Duration // queued
}

// add queues a message with a copy of the audio, mixed to one channel, or with silence if that is too much. It reports
// whether that was so.
func (q *queue) add(m message, frame agents.AudioFrame) (silenced bool) {
	m.n, m.rate = frame.Len(), frame.SampleRate
	length := m.length()
	if q.audio > 0 && q.audio+length > maxQueued {
		silenced = true
	} else {
		q.audio += length
		m.samples = appendMono(q.get(m.n), frame)
	}
	q.messages = append(q.messages, m)
	return silenced
}

// appendMono appends the mean of the channels.
func appendMono(dst []int16, frame agents.AudioFrame) []int16 {
	if frame.Channels == 1 {
		return append(dst, frame.Samples...)
	}
	for i := 0; i < len(frame.Samples); i += frame.Channels {
		sum := 0
		for _, s := range frame.Samples[i : i+frame.Channels] {
			sum += int(s)
		}
		dst = append(dst, int16(sum/frame.Channels))
	}
	return dst
}

// get returns an empty buffer for n samples.
func (q *queue) get(n int) []int16 {
	if last := len(q.free) - 1; last >= 0 {
		b := q.free[last]
		q.free = q.free[:last]
		if cap(b) >= n {
			return b[:0]
		}
	}
	return make([]int16, 0, max(n, 960))
}

func (q *queue) put(b []int16) {
	if len(q.free) < maxFree && cap(b) <= maxFreeSamples {
		q.free = append(q.free, b)
	}
}

// take returns all messages, which are lent until giveBack.
func (q *queue) take() []message {
	batch := q.messages
	q.messages, q.spare, q.audio = q.spare[:0], nil, 0
	return batch
}

// giveBack takes back messages and the audio that is left in them.
func (q *queue) giveBack(batch []message) {
	for i := range batch {
		if batch[i].samples != nil {
			q.put(batch[i].samples)
		}
	}
	clear(batch)
	q.spare = batch[:0]
}
