package opus

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/thesyncim/gopus/container/ogg"
)

// pages takes a file apart with another implementation, which checks each page's checksum.
func pages(t *testing.T, file []byte) []*ogg.Page {
	var all []*ogg.Page
	for len(file) > 0 {
		page, n, err := ogg.ParsePage(file)
		require.NoError(t, err)
		require.EqualValues(t, len(all), page.PageSequence)
		all = append(all, page)
		file = file[n:]
	}
	return all
}

// play decodes a file as a player does: without the pre-skip, and ending where the last page says.
func play(t *testing.T, file []byte, channels int) []int16 {
	r, err := ogg.NewReader(bytes.NewReader(file))
	require.NoError(t, err)
	require.EqualValues(t, channels, r.Channels())
	d := newDecoder(t, 48_000, channels)
	defer d.Close()
	var pcm []int16
	for {
		packet, _, err := r.ReadPacket()
		if errors.Is(err, io.EOF) {
			break
		}
		require.NoError(t, err)
		pcm, err = d.Decode(pcm, packet)
		require.NoError(t, err)
	}
	last := pages(t, file)
	end := int(last[len(last)-1].GranulePos)
	require.LessOrEqual(t, end*channels, len(pcm))
	return pcm[int(r.PreSkip())*channels : end*channels]
}

// A recording plays what was written, each channel its own, at its own time, for exactly as long.
func TestRecording(t *testing.T) {
	for _, rate := range []int{16_000, 24_000, 48_000} {
		n := rate*23/10 + 137 // not a whole number of frames
		user, agent := speech(rate, 1, 3*time.Second)[:n], speech(rate, 1, 4*time.Second)[rate/2:][:n]
		var stereo []int16
		for i := range n {
			stereo = append(stereo, user[i], agent[i]/2)
		}
		var file bytes.Buffer
		r, err := NewRecording(&file, EncoderOptions{SampleRate: rate, Channels: 2, Application: Audio, Bitrate: 96_000}, "TITLE=A call")
		require.NoError(t, err)
		for i, step := 0, 1; i < len(stereo); step = step*3%2048 + 1 {
			end := min(i+2*step, len(stereo))
			require.NoError(t, r.Write(stereo[i:end]))
			i = end
		}
		require.NoError(t, r.Close())
		require.NoError(t, r.Close())
		require.ErrorIs(t, r.Write(stereo), ErrClosed)

		out := play(t, file.Bytes(), 2)
		require.Len(t, out, n*48_000/rate*2)
		left, right := make([]int16, 0, n), make([]int16, 0, n)
		for i := range n {
			at := i * 48_000 / rate * 2
			left, right = append(left, out[at]), append(right, 2*out[at+1])
		}
		l, r2 := snr(user, left, 0), snr(agent, right, 0)
		t.Logf("%d Hz: %.1f dB left, %.1f dB right", rate, l, r2)
		require.Greater(t, min(l, r2), 12.0)

		for _, page := range pages(t, file.Bytes()) {
			require.LessOrEqual(t, len(page.Payload), 20_000)
		}
	}
}

func TestOggPages(t *testing.T) {
	packet, err := newEncoder(t, EncoderOptions{SampleRate: 48_000, Channels: 2}).Encode(nil, speech(48_000, 2, 20*time.Millisecond))
	require.NoError(t, err)
	var file bytes.Buffer
	o, err := NewOggWriter(&file, 16_000, 2, "TITLE=A call", "DATE=2026")
	require.NoError(t, err)
	for range 120 {
		require.NoError(t, o.WritePacket(packet))
	}
	require.NoError(t, o.Close(-1))
	require.NoError(t, o.Close(-1))
	require.ErrorIs(t, o.WritePacket(packet), ErrClosed)

	all := pages(t, file.Bytes())
	require.Len(t, all, 5)
	require.True(t, all[0].IsBOS())
	head, err := ogg.ParseOpusHead(all[0].Payload)
	require.NoError(t, err)
	require.EqualValues(t, 16_000, head.SampleRate)
	require.EqualValues(t, 312, head.PreSkip)
	tags, err := ogg.ParseOpusTags(all[1].Payload)
	require.NoError(t, err)
	require.Equal(t, map[string]string{"TITLE": "A call", "DATE": "2026"}, tags.Comments)
	for i, want := range []struct {
		packets int
		granule uint64
	}{{1, 0}, {1, 0}, {50, 48_000}, {50, 96_000}, {20, 115_200}} {
		require.Len(t, all[i].Packets(), want.packets)
		require.Equal(t, want.granule, all[i].GranulePos)
		require.Equal(t, i == 0, all[i].IsBOS())
		require.Equal(t, i == 4, all[i].IsEOS())
		require.False(t, all[i].IsContinuation())
	}
}

// Long packets fill the table of a page before a second has passed.
func TestOggLongPackets(t *testing.T) {
	packet := append([]byte{31 << 3}, make([]byte, 1275)...)
	var file bytes.Buffer
	o, err := NewOggWriter(&file, 48_000, 1)
	require.NoError(t, err)
	for range 100 {
		require.NoError(t, o.WritePacket(packet))
	}
	require.NoError(t, o.Close(-1))
	n := 0
	for _, page := range pages(t, file.Bytes())[2:] {
		for _, p := range page.Packets() {
			require.Equal(t, packet, p)
			n++
		}
	}
	require.Equal(t, 100, n)
}

func TestOggEmptyRecording(t *testing.T) {
	var file bytes.Buffer
	r, err := NewRecording(&file, EncoderOptions{SampleRate: 48_000, Channels: 2})
	require.NoError(t, err)
	require.NoError(t, r.Close())
	require.Empty(t, play(t, file.Bytes(), 2))
}

func TestOggBadInput(t *testing.T) {
	_, err := NewOggWriter(io.Discard, 44_100, 2)
	require.Error(t, err)
	_, err = NewOggWriter(io.Discard, 48_000, 2, string(make([]byte, 70_000)))
	require.Error(t, err)
	_, err = NewRecording(io.Discard, EncoderOptions{})
	require.Error(t, err)
	o, err := NewOggWriter(io.Discard, 48_000, 2)
	require.NoError(t, err)
	require.ErrorIs(t, o.WritePacket(nil), ErrPacket)
	require.ErrorIs(t, o.WritePacket(make([]byte, maxPacket+1)), ErrPacket)
}

// failAfter is a disk that is full after so many writes.
type failAfter struct{ writes int }

var errFull = errors.New("disk full")

func (f *failAfter) Write(p []byte) (int, error) {
	if f.writes--; f.writes < 0 {
		return 0, errFull
	}
	return len(p), nil
}

func TestOggFullDisk(t *testing.T) {
	for writes := range 5 {
		r, err := NewRecording(&failAfter{writes}, EncoderOptions{SampleRate: 16_000})
		if writes < 2 {
			require.ErrorIs(t, err, errFull)
			continue
		}
		require.NoError(t, err)
		for range 3 {
			err = errors.Join(err, r.Write(make([]int16, 16_000)))
		}
		require.ErrorIs(t, errors.Join(err, r.Close()), errFull)
	}
}

// The example of a checksum that every Ogg reader computes alike: a page without content, from its definition.
func TestOggChecksum(t *testing.T) {
	require.EqualValues(t, 0x04c11db7, oggChecksum([]byte{1}))
	require.EqualValues(t, 0, oggChecksum(make([]byte, 27)))
	var b [4]byte
	binary.BigEndian.PutUint32(b[:], oggChecksum([]byte("OggS")))
	require.Zero(t, oggChecksum(append([]byte("OggS"), b[:]...)), "a message followed by its remainder")
}

func TestRecordingDoesNotAllocatePerFrame(t *testing.T) {
	r, err := NewRecording(io.Discard, EncoderOptions{SampleRate: 48_000, Channels: 2, Application: Audio})
	require.NoError(t, err)
	frame := speech(48_000, 2, 20*time.Millisecond)
	for range 110 {
		require.NoError(t, r.Write(frame))
	}
	require.Zero(t, testing.AllocsPerRun(120, func() {
		if err := r.Write(frame); err != nil {
			t.Error(err)
		}
	}))
}
