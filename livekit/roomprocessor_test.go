package livekit

import (
	"bytes"
	"errors"
	"log/slog"
	"net"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/require"

	lksdk "github.com/livekit/server-sdk-go/v2"
)

// A halver is a processor that makes everything silent, and counts.
type halver struct {
	frames, closed int
	panics         bool
}

func (h *halver) Process(samples []int16, _ int) {
	if h.panics {
		panic("too loud")
	}
	h.frames++
	clear(samples)
}

func (h *halver) Close() error { h.closed++; return errors.New("stuck") }

// hearTrack has the input hear ten frames of a hum on a track of its own.
func hearTrack(t *testing.T, r *RoomIO) [][]int16 {
	ours, theirs := net.Pipe()
	defer theirs.Close()
	return hearPipe(t, r, ours, theirs)
}

func hearPipe(t *testing.T, r *RoomIO, ours, theirs net.Conn) [][]int16 {
	reader, err := startTrack(pipeTrack{ours}, trackOptions{sid: "TR", input: r.in, processor: r.processor(nil, nil), log: r.log})
	require.NoError(t, err)
	go sendOn(theirs, humFrames(t, 10))
	frames := readFrames(t, r.in, 100*ms)
	reader.stop()
	<-reader.done
	return frames
}

// The agent turns to somebody else, and back: the same track is heard again.
func TestATrackIsReadAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, err := NewRoomIO(NewRoom(nil), RoomOptions{})
		require.NoError(t, err)
		ours, theirs := net.Pipe()
		defer theirs.Close()
		for range 2 {
			require.NotEmpty(t, hearPipe(t, r, ours, theirs))
		}
		require.NoError(t, r.Close(t.Context()))
	})
}

// T116. The processor of the options goes on from track to track and is closed once, at the end; one that a selector
// returns is closed with its track; and where it returns none the audio is heard as it is.
func TestProcessorsAreClosedOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		direct := &halver{}
		r, err := NewRoomIO(NewRoom(nil), RoomOptions{Processor: direct})
		require.NoError(t, err)
		for range 2 {
			require.Equal(t, int16(0), stretches(hearTrack(t, r))[0].value)
			require.Zero(t, direct.closed)
		}
		require.Equal(t, 20, direct.frames)
		require.NoError(t, r.Close(t.Context()))
		require.NoError(t, r.Close(t.Context()))
		require.Equal(t, 1, direct.closed)

		var made []*halver
		choose := func(*lksdk.RemoteParticipant, *lksdk.RemoteTrackPublication) FrameProcessor {
			if len(made) == 2 {
				return nil
			}
			made = append(made, &halver{})
			return made[len(made)-1]
		}
		r, err = NewRoomIO(NewRoom(nil), RoomOptions{SelectProcessor: choose})
		require.NoError(t, err)
		for i := range 2 {
			hearTrack(t, r)
			require.Equal(t, 1, made[i].closed)
			require.Equal(t, 10, made[i].frames)
		}
		require.Equal(t, int16(1), stretches(hearTrack(t, r))[0].value, "nothing is taken out")
		require.NoError(t, r.Close(t.Context()))
		require.Equal(t, []int{1, 1}, []int{made[0].closed, made[1].closed})

		_, err = NewRoomIO(NewRoom(nil), RoomOptions{Processor: direct, SelectProcessor: choose})
		require.Error(t, err)
	})
}

// T116. A processor, or a selector, that panics is used no more, and the audio is heard as it is.
func TestAProcessorThatPanicsDoesNoHarm(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for _, o := range []RoomOptions{
			{Processor: &halver{panics: true}},
			{SelectProcessor: func(*lksdk.RemoteParticipant, *lksdk.RemoteTrackPublication) FrameProcessor { panic("no") }},
		} {
			var out bytes.Buffer
			o.Logger = slog.New(slog.NewTextHandler(&out, nil))
			r, err := NewRoomIO(NewRoom(nil), o)
			require.NoError(t, err)
			require.Equal(t, int16(1), stretches(hearTrack(t, r))[0].value)
			require.NoError(t, r.Close(t.Context()))
			require.Contains(t, out.String(), "panicked")
		}
	})
}
