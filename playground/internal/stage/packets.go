package stage

import (
	"time"

	pb "github.com/livekit/protocol/livekit"
	"github.com/livekit/protocol/utils/guid"
	lksdk "github.com/livekit/server-sdk-go/v2"
)

// Topic is that of the text streams with what happens, each a JSON object.
const Topic = "parley.events"

// chunkSize is how much text goes into one packet.
const chunkSize = 15_000

// sender returns a function that sends messages as text streams, one after the other. It makes their packets itself: the
// SDK waits before each for the one before it to be acknowledged, which takes 200 ms. A message that cannot be sent is
// lost with its room: once over is closed none is tried, as the SDK would wait for the room to come back.
func sender(p *lksdk.LocalParticipant, over <-chan struct{}) func(message) {
	return func(m message) {
		select {
		case <-over:
			return
		default:
		}
		for _, packet := range packets(m.json(), guid.New("ST_"), time.Now()) {
			packet.ParticipantIdentity = p.Identity()
			if p.PublishDataPacket(raw{packet}, lksdk.WithDataPublishReliable(true)) != nil {
				return
			}
		}
	}
}

type raw struct{ packet *pb.DataPacket }

// ToProto implements lksdk.DataPacket.
func (r raw) ToProto() *pb.DataPacket { return r.packet }

// packets are those of a text stream.
func packets(text []byte, id string, now time.Time) []*pb.DataPacket {
	size := uint64(len(text))
	all := []*pb.DataPacket{{Value: &pb.DataPacket_StreamHeader{StreamHeader: &pb.DataStream_Header{
		StreamId: id, Timestamp: now.UnixMilli(), Topic: Topic, MimeType: "text/plain", TotalLength: &size,
		ContentHeader: &pb.DataStream_Header_TextHeader{TextHeader: &pb.DataStream_TextHeader{OperationType: pb.DataStream_CREATE}},
	}}}}
	for i := uint64(0); len(text) > 0; i++ {
		n := min(len(text), chunkSize)
		for n < len(text) && text[n]&0xc0 == 0x80 { // not within a character
			n--
		}
		all = append(all, &pb.DataPacket{Value: &pb.DataPacket_StreamChunk{StreamChunk: &pb.DataStream_Chunk{
			StreamId: id, ChunkIndex: i, Content: text[:n],
		}}})
		text = text[n:]
	}
	return append(all, &pb.DataPacket{Value: &pb.DataPacket_StreamTrailer{StreamTrailer: &pb.DataStream_Trailer{StreamId: id}}})
}
