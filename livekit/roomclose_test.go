package livekit

import (
	"sync"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/require"

	agents "github.com/parley-voice/agents"
)

// T117, worker 24. Close sends what there is to read, in order and while the voice still stands, ends the outputs after
// that, and hears of the room no more. It may be called again.
func TestClosingSendsWhatIsLeftAndForgetsTheRoom(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		room := NewRoom(nil)
		r, err := NewRoomIO(room, RoomOptions{LegacyTranscription: agents.Off})
		require.NoError(t, err)
		var mu sync.Mutex
		var sent []string
		r.text.send = func(p dataPacket) error {
			mu.Lock()
			defer mu.Unlock()
			what := string(p.packet.GetStreamChunk().GetContent())
			if p.packet.GetStreamTrailer() != nil {
				what = "end"
			}
			if r.out.CaptureFrame(t.Context(), agents.Silence(frameTime, 24_000, 1)) != nil {
				what += ", too late"
			}
			sent = append(sent, what)
			return nil
		}
		user := r.text.newSegment("user", "")
		require.NoError(t, r.text.put(t.Context(), append(user.chunks("hello"), user.trailer(nil))...))
		require.NoError(t, r.text.Capture(t.Context(), "hi"))
		r.text.Flush()
		close(room.joined)
		require.NoError(t, r.Close(t.Context()))
		require.Equal(t, []string{"hello", "end", "", "hi", "end"}, sent)

		require.Empty(t, room.members)
		require.Error(t, r.out.CaptureFrame(t.Context(), agents.Silence(frameTime, 24_000, 1)))
		_, err = r.in.ReadFrame(t.Context())
		require.Error(t, err)
		_, err = r.keys.ReadDTMF(t.Context())
		require.Error(t, err)
		require.NoError(t, r.Close(t.Context()))
		r.text.close()
		require.NoError(t, r.text.Capture(t.Context(), "after"), "it is thrown away")
		r.text.Flush()
		require.Len(t, sent, 5)
	})
}
