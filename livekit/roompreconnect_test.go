package livekit

import (
	"bytes"
	"encoding/binary"
	"math"
	"net"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	pb "github.com/livekit/protocol/livekit"
	"github.com/pion/interceptor"
	"github.com/pion/rtp"
	"github.com/pion/webrtc/v4"
	"github.com/stretchr/testify/require"

	agents "github.com/parley-voice/agents"
	"github.com/parley-voice/agents/internal/opus"
)

// A pipeTrack is a track whose packets come through a pipe.
type pipeTrack struct{ net.Conn }

func (p pipeTrack) Read(b []byte) (int, interceptor.Attributes, error) {
	n, err := p.Conn.Read(b)
	return n, nil, err
}

func (pipeTrack) Codec() webrtc.RTPCodecParameters {
	return webrtc.RTPCodecParameters{RTPCodecCapability: webrtc.RTPCodecCapability{MimeType: "audio/opus"}}
}

// humFrames are frames of Opus that hold a loud hum, 20 ms each.
func humFrames(t testing.TB, n int) [][]byte {
	e, err := opus.NewEncoder(opus.EncoderOptions{SampleRate: testRate})
	require.NoError(t, err)
	defer e.Close()
	var frames [][]byte
	for i := range n {
		frame, err := e.Encode(nil, hum(testRate/50, i*testRate/50))
		require.NoError(t, err)
		frames = append(frames, frame)
	}
	return frames
}

func hum(n, from int) []int16 {
	s := make([]int16, n)
	for i := range s {
		s[i] = int16(9000 * math.Sin(2*math.Pi*300*float64(from+i)/testRate))
	}
	return s
}

// sendOn sends frames on a track until the test is over; each is taken as soon as the reader reads.
func sendOn(c net.Conn, frames [][]byte) {
	packet := rtp.Packet{Header: rtp.Header{Version: 2}}
	for i, f := range frames {
		packet.SequenceNumber, packet.Payload = uint16(i), f
		b, _ := packet.Marshal()
		if _, err := c.Write(b); err != nil {
			return
		}
	}
}

// stretches joins frames of which all are loud, whose value is 1, or quiet.
func stretches(frames [][]int16) (all []heard) {
	for _, f := range frames {
		v := int16(1)
		if isQuiet(f) {
			v = 0
		}
		d := time.Duration(len(f)) * time.Second / testRate
		if n := len(all); n > 0 && all[n-1].value == v {
			all[n-1].length += d
			continue
		}
		all = append(all, heard{value: v, length: d})
	}
	return all
}

// readFrames reads the input for a while of virtual time.
func readFrames(t *testing.T, in *roomInput, d time.Duration) (frames [][]int16) {
	end := time.Now().Add(d)
	for time.Now().Before(end) {
		f, err := in.ReadFrame(t.Context())
		require.NoError(t, err)
		frames = append(frames, slices.Clone(f.Samples))
	}
	return frames
}

// What was said before the track was heard comes first, with its pauses and without any of it dropped, though it is
// longer than the queue; then what came live meanwhile.
func TestARecordingIsHeardBeforeWhatIsLive(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		in := newRoomInput(testRate, time.Second)
		ours, theirs := net.Pipe()
		defer theirs.Close()
		recs := newRoomRecordings()
		reader, err := startTrack(pipeTrack{ours}, trackOptions{
			sid: "TR", input: in, early: func(quit <-chan struct{}) []int16 { return recs.take("TR", 3*time.Second, quit) },
		})
		require.NoError(t, err)
		go sendOn(theirs, humFrames(t, 25)) // half a second, held in the pipe
		time.Sleep(500 * ms)
		rec := slices.Concat(hum(testRate, 0), make([]int16, testRate), hum(testRate, 0)) // a second each
		recs.add(earlyAudio{"TR", rec, time.Now()})
		begun := time.Now()
		all := stretches(readFrames(t, in, 100*ms))
		reader.stop()
		<-reader.done
		require.GreaterOrEqual(t, len(all), 3)
		require.Equal(t, []heard{{1, time.Second, 0}, {0, time.Second, 0}}, all[:2])
		rest := time.Duration(0)
		for _, h := range all[2:] {
			rest += time.Duration(h.value) * h.length
		}
		require.GreaterOrEqual(t, rest, 1460*ms, "the encoder begins softly")
		require.WithinDuration(t, begun, time.Now(), 300*ms, "what is past takes no time")
		require.Zero(t, in.Dropped())
	})
}

// A recording comes to the sessions in the room as a stream of bytes, and to none that has no use for it.
func TestARecordingComesAsAStream(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		room := NewRoom(nil)
		var ios []*RoomIO
		for _, o := range []RoomOptions{{}, {PreConnect: agents.Never}, {AudioInput: agents.Off}} {
			r, err := NewRoomIO(room, o)
			require.NoError(t, err)
			ios = append(ios, r)
		}
		send := func(id, mime string, data ...byte) {
			room.OnStreamHeader(&pb.DataStream_Header{
				StreamId: id, Topic: topicPreConnect, MimeType: mime,
				Attributes:    map[string]string{"trackId": "TR_" + id, "sampleRate": "16000", "channels": "1"},
				ContentHeader: &pb.DataStream_Header_ByteHeader{ByteHeader: &pb.DataStream_ByteHeader{}},
			}, "caller")
			for i, b := range data {
				room.OnStreamChunk(&pb.DataStream_Chunk{StreamId: id, ChunkIndex: uint64(i), Content: []byte{b, 0}})
			}
			room.OnStreamTrailer(&pb.DataStream_Trailer{StreamId: id})
			synctest.Wait()
		}
		send("1", "audio/pcm", 7, 8, 9)
		send("2", "audio/opus", 7)
		require.Len(t, ios[0].early.kept, 1, "the second cannot be decoded")
		require.Equal(t, []int16{7, 8, 9}, ios[0].early.take("TR_1", time.Second, nil))
		require.Empty(t, ios[1].early.kept)
		require.Empty(t, ios[2].early.kept)
		for _, r := range ios {
			require.NoError(t, r.Close(t.Context()))
		}
	})
}

// A recording that does not come is waited for as long as the options say; one that was finished long before is not heard.
func TestARecordingIsWaitedForAndMayBeStale(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		recs, quit := newRoomRecordings(), make(chan struct{})
		begun := time.Now()
		require.Nil(t, recs.take("TR", 3*time.Second, quit))
		require.Equal(t, 3*time.Second, time.Since(begun))
		recs.add(earlyAudio{"TR", []int16{1}, time.Now()})
		require.Nil(t, recs.take("TR", 0, quit), "too late")
		require.False(t, recs.wanted("TR"))

		recs.add(earlyAudio{"old", []int16{1}, time.Now()})
		recs.add(earlyAudio{"new", []int16{2}, time.Now().Add(time.Second)})
		time.Sleep(1001 * ms)
		require.Nil(t, recs.take("old", time.Second, quit))
		require.Equal(t, []int16{2}, recs.take("new", time.Second, quit))

		close(quit)
		begun = time.Now()
		require.Nil(t, recs.take("other", time.Second, quit))
		require.Zero(t, time.Since(begun), "the track has ended")
		for i := range 10 {
			recs.add(earlyAudio{string(rune('a' + i)), nil, time.Now()})
		}
		require.Len(t, recs.kept, preConnectMany)
	})
}

// element is one of Matroska; a negative size is unknown.
func element(id uint32, size int, body []byte) []byte {
	b := bytes.TrimLeft(binary.BigEndian.AppendUint32(nil, id), "\x00")
	if size < 0 {
		return append(append(b, 0x01, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff), body...)
	}
	return append(append(b, 0x10|byte(size>>24), byte(size>>16), byte(size>>8), byte(size)), body...)
}

func matroskaFile(frames [][]byte, size func([]byte) int) []byte {
	var clusters []byte
	for i, f := range frames {
		block := append([]byte{0x81, 0, byte(i), 0x80}, f...)
		var e []byte
		if i%2 == 0 {
			e = element(mkvSimpleBlock, len(block), block)
		} else {
			e = element(mkvBlock, len(block), block)
			e = element(mkvBlockGroup, len(e), e)
		}
		time := element(0xe7, 1, []byte{byte(i)})
		c := append(time, e...)
		clusters = append(clusters, element(mkvCluster, size(c), c)...)
	}
	head := []byte{0x42, 0x82, 0x84, 'w', 'e', 'b', 'm'}
	return append(element(0x1a45dfa3, len(head), head), element(mkvSegment, size(clusters), clusters)...)
}

// Recordings come as samples, and as Opus in Ogg and in Matroska, whose sizes may be unknown.
func TestRecordingsOfAllFormatsAreRead(t *testing.T) {
	frames := humFrames(t, 50)
	known := func(b []byte) int { return len(b) }
	unknown := func([]byte) int { return -1 }
	var ogg bytes.Buffer
	rec, err := opus.NewRecording(&ogg, opus.EncoderOptions{SampleRate: testRate})
	require.NoError(t, err)
	require.NoError(t, rec.Write(hum(testRate, 0)))
	require.NoError(t, rec.Close())
	var stereo []byte
	for i := range 48_000 {
		v := uint16(int16(9000 * math.Sin(2*math.Pi*300*float64(i)/48_000)))
		stereo = binary.LittleEndian.AppendUint16(binary.LittleEndian.AppendUint16(stereo, v), v)
	}
	var mono []byte
	for _, v := range hum(testRate, 0) {
		mono = binary.LittleEndian.AppendUint16(mono, uint16(v))
	}
	for name, c := range map[string]struct {
		data           []byte
		mime           string
		rate, channels int
	}{
		"samples":                  {mono, "audio/pcm", testRate, 1},
		"samples of a browser":     {stereo, "application/octet-stream", 48_000, 2},
		"Ogg":                      {ogg.Bytes(), "audio/opus", 48_000, 1},
		"Matroska":                 {matroskaFile(frames, known), "audio/webm;codecs=opus", 48_000, 1},
		"Matroska, sizes unknown":  {matroskaFile(frames, unknown), "audio/webm;codecs=opus", 48_000, 1},
		"Matroska with a cut end":  {append(matroskaFile(frames, unknown), 0xa3, 0x90, 1, 2), "audio/webm;codecs=opus", 48_000, 1},
		"samples and half a frame": {append(slices.Clone(mono), 1), "", testRate, 0},
	} {
		t.Run(name, func(t *testing.T) {
			samples, err := decodeRecording(c.data, c.mime, c.rate, c.channels, testRate)
			require.NoError(t, err)
			require.InDelta(t, testRate, len(samples), testRate/20)
			loud := 0
			for f := range slices.Chunk(samples, testRate/50) {
				if !isQuiet(f) {
					loud++
				}
			}
			require.GreaterOrEqual(t, loud, 48)
		})
	}
	for name, mime := range map[string]string{"nothing": "audio/opus", "noise": "audio/webm;codecs=opus"} {
		_, err := decodeRecording([]byte(name), mime, 0, 0, testRate)
		require.ErrorIs(t, err, errRecordingFormat)
	}
	_, err = decodeRecording(mono, "", testRate, 7, testRate)
	require.Error(t, err)
	_, err = decodeRecording(mono, "", 12_345, 1, testRate)
	require.Error(t, err)
}

// A file that is cut off anywhere, or is none, does no harm.
func FuzzRecordings(f *testing.F) {
	file := matroskaFile(humFrames(f, 3), func(b []byte) int { return len(b) })
	for i := range len(file) {
		f.Add(file[:i])
	}
	f.Add([]byte("OggS" + strings.Repeat("\xff", 300)))
	f.Fuzz(func(t *testing.T, data []byte) {
		packets, _ := opusPackets(data)
		n := 0
		for _, p := range packets {
			n += len(p)
		}
		require.LessOrEqual(t, n, len(data))
	})
}

// What is longer than may be is read to its end, and an error.
func TestAStreamIsReadUpToABound(t *testing.T) {
	data, err := readBounded(strings.NewReader("hello"), 5)
	require.NoError(t, err)
	require.Equal(t, "hello", string(data))
	_, err = readBounded(strings.NewReader("hello!"), 5)
	require.ErrorIs(t, err, errTooLong)
}
