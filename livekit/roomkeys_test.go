package livekit

import (
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"context"

	pb "github.com/livekit/protocol/livekit"
	"github.com/stretchr/testify/require"

	agents "github.com/parley-voice/agents"
)

// Keys come as their character, with the code or without, or as the code alone.
func TestKeysComeAsCharactersOrCodes(t *testing.T) {
	for _, c := range []struct {
		code  uint32
		digit string
		key   agents.DTMF // 0 for none
	}{
		{5, "5", '5'}, {0, "5", '5'}, {11, "#", '#'}, {0, "d", 'D'}, {0, "0", '0'},
		{7, "", '7'}, {10, "", '*'}, {15, "", 'D'},
		{16, "", 0}, {1, "12", 0}, {1, "x", 0}, {1, "é", 0},
	} {
		key, ok := parseKey(&pb.SipDTMF{Code: c.code, Digit: c.digit})
		require.Equal(t, c.key != 0, ok, "%+v", c)
		require.Equal(t, c.key, key, "%+v", c)
	}
}

// Nothing is sent while nobody is linked, and no more is read once the room is closed or the context done.
func TestKeysNeedSomebodyWhoIsLinked(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, err := NewRoomIO(NewRoom(nil), RoomOptions{})
		require.NoError(t, err)
		require.ErrorIs(t, r.keys.SendDTMF(t.Context(), '1'), errNobody)
		require.Error(t, r.keys.SendDTMF(t.Context(), 'x'))
		why := errors.New("why")
		ctx, cancel := context.WithCancelCause(t.Context())
		time.AfterFunc(time.Second, func() { cancel(why) })
		_, err = r.keys.ReadDTMF(ctx)
		require.Equal(t, why, err)
		require.Equal(t, why, r.keys.SendDTMF(ctx, '1'))
		r.keyPressed(&pb.SipDTMF{Digit: "1"}, "somebody")
		require.Empty(t, r.keys.keys)
		require.NoError(t, r.Close(t.Context()))
	})
}
