package livekit

import (
	"context"
	"strconv"
	"sync"
	"time"

	"github.com/livekit/protocol/utils/guid"

	pb "github.com/livekit/protocol/livekit"
	lksdk "github.com/livekit/server-sdk-go/v2"

	agents "github.com/parley-voice/agents"
)

const (
	segmentPrefix = "SG_"
	// chunkSize is how much text goes into one packet of a stream.
	chunkSize = 15_000
	// textQueue is how many packets wait to be sent. Whoever has more waits.
	textQueue = 256
)

// roomText publishes what is said, as streams of text and in the way that was used before them. Packets are sent one
// after another by a goroutine, as the SDK waits while the room is being reconnected.
type roomText struct {
	io    *RoomIO
	queue chan dataPacket
	stop  chan struct{}
	done  chan struct{}

	mu     sync.Mutex // guards closed against writers to queue
	closed bool

	agent *segmentWriter // of the goroutine that captures

	userMu sync.Mutex
	userID string // of the segment of the user's that is open
}

// A dataPacket is any packet of the protocol, or a mark in the queue.
type dataPacket struct {
	packet *pb.DataPacket
	passed chan struct{} // closed when the queue has come so far
}

// ToProto implements lksdk.DataPacket.
func (p dataPacket) ToProto() *pb.DataPacket { return p.packet }

func newRoomText(io *RoomIO) *roomText {
	t := &roomText{io: io, queue: make(chan dataPacket, textQueue), stop: make(chan struct{}), done: make(chan struct{})}
	go t.run()
	return t
}

func (t *roomText) run() {
	defer close(t.done)
	select {
	case <-t.io.room.joined:
	case <-t.stop:
		return
	}
	warned := false
	for {
		var p dataPacket
		select {
		case p = <-t.queue:
		case <-t.stop:
			select { // what is left
			case p = <-t.queue:
			default:
				return
			}
		}
		if p.passed != nil {
			close(p.passed)
			continue
		}
		if isClosed(t.io.room.left) {
			continue
		}
		err := t.io.room.LocalParticipant.PublishDataPacket(p, lksdk.WithDataPublishReliable(true))
		if err != nil && !warned {
			warned = true
			t.io.log.Warn("a transcript could not be published", "err", tokensOnly.err(err))
		}
	}
}

// put queues a packet. It waits while the queue is full.
func (t *roomText) put(ctx context.Context, packets ...*pb.DataPacket) error {
	for _, p := range packets {
		select {
		case t.queue <- dataPacket{packet: p}:
		case <-t.done:
			return nil
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
	return nil
}

// flush waits until what was queued has been sent, for a while.
func (t *roomText) flush() {
	limit := time.NewTimer(2 * time.Second)
	defer limit.Stop()
	mark := dataPacket{passed: make(chan struct{})}
	select {
	case t.queue <- mark:
	case <-t.done:
		return
	case <-limit.C:
		return
	}
	select {
	case <-mark.passed:
	case <-t.done:
	case <-limit.C:
	}
}

func (t *roomText) close() {
	t.mu.Lock()
	first := !t.closed
	t.closed = true
	t.mu.Unlock()
	if first {
		close(t.stop)
	}
	select {
	case <-t.done:
	case <-time.After(2 * time.Second): // a reconnect that takes its time
	}
}

// Capture implements [agents.TextOutput].
func (t *roomText) Capture(ctx context.Context, text string) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	if t.agent == nil {
		t.agent = t.newSegment(t.io.room.LocalParticipant.Identity(), t.io.out.trackID())
	}
	return t.agent.write(ctx, t.agent.strip.push(text))
}

// Flush implements [agents.TextOutput]. It does not wait: if the queue is full, another goroutine does.
func (t *roomText) Flush() {
	w := t.agent
	t.agent = nil
	if w == nil {
		return
	}
	packets := w.finish()
	for i, p := range packets {
		select {
		case t.queue <- dataPacket{packet: p}:
			continue
		default:
		}
		rest := packets[i:]
		t.io.spawn(func(ctx context.Context) { _ = t.put(ctx, rest...) })
		return
	}
}

// user publishes what the user was heard to say: the whole of it each time, under one id until it is final.
func (t *roomText) user(ctx context.Context, e *agents.UserInputTranscribed) {
	p := t.io.Participant()
	if p == nil || e.Transcript == "" && !e.Final {
		return
	}
	t.userMu.Lock()
	if t.userID == "" {
		t.userID = newSegmentID()
	}
	id := t.userID
	if e.Final {
		t.userID = ""
	}
	t.userMu.Unlock()
	track := ""
	if pub := microphone(p, ""); pub != nil {
		track = pub.SID()
	}
	w := t.newSegment(p.Identity(), track)
	w.id = id
	w.final = e.Final
	packets := append(w.begin(), w.chunks(e.Transcript)...)
	w.text = e.Transcript
	packets = append(packets, w.trailer(nil))
	if l := w.legacy(e.Final); l != nil {
		packets = append(packets, l)
	}
	_ = t.put(ctx, packets...)
}

func newSegmentID() string { return guid.New(segmentPrefix) }

// A segmentWriter makes the packets of one segment.
type segmentWriter struct {
	t        *roomText
	id       string // of the segment
	stream   string
	identity string // of the speaker
	track    string
	final    bool
	open     bool
	index    uint64
	text     string // all of it
	strip    tagStripper
}

func (t *roomText) newSegment(identity, track string) *segmentWriter {
	return &segmentWriter{t: t, id: newSegmentID(), stream: guid.New("ST_"), identity: identity, track: track}
}

// write makes and queues what carries more text.
func (w *segmentWriter) write(ctx context.Context, text string) error {
	if text == "" {
		return nil
	}
	var packets []*pb.DataPacket
	if !w.open {
		packets = w.begin()
	}
	packets = append(packets, w.chunks(text)...)
	w.text += text
	if l := w.legacy(false); l != nil {
		packets = append(packets, l)
	}
	return w.t.put(ctx, packets...)
}

// finish makes what ends the segment, if it was begun.
func (w *segmentWriter) finish() []*pb.DataPacket {
	var packets []*pb.DataPacket
	if rest := w.strip.flush(); rest != "" {
		if !w.open {
			packets = w.begin()
		}
		packets = append(packets, w.chunks(rest)...)
		w.text += rest
	}
	if !w.open {
		return nil
	}
	packets = append(packets, w.trailer(w.attributes(true)))
	if l := w.legacy(true); l != nil {
		packets = append(packets, l)
	}
	return packets
}

func (w *segmentWriter) attributes(final bool) map[string]string {
	a := map[string]string{attributeSegment: w.id, attributeFinal: strconv.FormatBool(final)}
	if w.track != "" {
		a[attributeTrack] = w.track
	}
	return a
}

func (w *segmentWriter) packet(p *pb.DataPacket) *pb.DataPacket {
	p.ParticipantIdentity = w.identity
	return p
}

func (w *segmentWriter) begin() []*pb.DataPacket {
	w.open = true
	return []*pb.DataPacket{w.packet(&pb.DataPacket{Value: &pb.DataPacket_StreamHeader{StreamHeader: &pb.DataStream_Header{
		StreamId: w.stream, Timestamp: time.Now().UnixMilli(), Topic: topicTranscription, MimeType: "text/plain",
		Attributes: w.attributes(w.final),
		ContentHeader: &pb.DataStream_Header_TextHeader{
			TextHeader: &pb.DataStream_TextHeader{OperationType: pb.DataStream_CREATE},
		},
	}}})}
}

func (w *segmentWriter) chunks(text string) (packets []*pb.DataPacket) {
	for len(text) > 0 {
		n := min(len(text), chunkSize)
		for n < len(text) && text[n]&0xc0 == 0x80 { // not within a character
			n--
		}
		packets = append(packets, w.packet(&pb.DataPacket{Value: &pb.DataPacket_StreamChunk{StreamChunk: &pb.DataStream_Chunk{
			StreamId: w.stream, ChunkIndex: w.index, Content: []byte(text[:n]),
		}}}))
		w.index++
		text = text[n:]
	}
	return packets
}

func (w *segmentWriter) trailer(attributes map[string]string) *pb.DataPacket {
	return w.packet(&pb.DataPacket{Value: &pb.DataPacket_StreamTrailer{StreamTrailer: &pb.DataStream_Trailer{
		StreamId: w.stream, Attributes: attributes,
	}}})
}

// legacy makes the packet of the older way, which has all the text so far and needs a track.
func (w *segmentWriter) legacy(final bool) *pb.DataPacket {
	if !on(w.t.io.o.LegacyTranscription) || w.track == "" {
		return nil
	}
	return &pb.DataPacket{Value: &pb.DataPacket_Transcription{Transcription: &pb.Transcription{
		TranscribedParticipantIdentity: w.identity, TrackId: w.track,
		Segments: []*pb.TranscriptionSegment{{Id: w.id, Text: w.text, Final: final}},
	}}}
}
