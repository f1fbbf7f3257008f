package e2e

import (
	"testing"
	"time"

	agentpb "github.com/livekit/protocol/livekit/agent"
	lksdk "github.com/livekit/server-sdk-go/v2"
	"github.com/stretchr/testify/require"

	agents "github.com/parley-voice/agents"
	"github.com/parley-voice/agents/livekit"
	"github.com/parley-voice/agents/playground/internal/liveserver"
)

// remoteOf joins a room and returns the session of the agent there.
func remoteOf(t *testing.T, name string) *livekit.RemoteSession {
	t.Helper()
	room := livekit.NewRoom(nil)
	remote, err := livekit.NewRemoteSession(room, "agent")
	require.NoError(t, err)
	t.Cleanup(remote.Close)
	token := liveserver.Token(liveserver.Participant{Room: name, Identity: "watcher"})
	require.NoError(t, room.JoinWithContextAndToken(within(t, 10*time.Second), server.URL, token, lksdk.WithLogger(quiet)))
	t.Cleanup(room.Disconnect)
	return remote
}

// T125, worker 33 and 34 over the network: a session is watched and led from elsewhere in its room, in events that come
// in order and requests that are answered.
func TestASessionIsLedFromElsewhereInTheRoom(t *testing.T) {
	t.Parallel()
	room := newRoom()
	agent := begin(t, room, livekit.RoomOptions{}, "a short answer")
	remote := remoteOf(t, room)
	require.NoError(t, remote.WaitForReady(within(t, 10*time.Second)))
	require.Nil(t, agent.llm.questions())
	for range 3 {
		items, err := remote.RunInput(within(t, 10*time.Second), "how are you")
		require.NoError(t, err)
		require.Equal(t, "a short answer", items[len(items)-1].GetMessage().GetContent()[0].GetText())
	}
	state, err := remote.State(within(t, 10*time.Second))
	require.NoError(t, err)
	require.Equal(t, "agent", state.GetAgentId())
	stats, err := remote.Do(within(t, 10*time.Second), &agentpb.SessionRequest{Request: &agentpb.SessionRequest_GetRtcStats{}})
	require.NoError(t, err)
	require.NotEmpty(t, stats.GetGetRtcStats().GetPublisherStats())

	var said []string
	last := time.Time{}
	for len(said) < 6 {
		e, err := remote.NextEvent(within(t, 10*time.Second))
		require.NoError(t, err)
		if m := e.GetConversationItemAdded().GetItem().GetMessage(); m != nil {
			said = append(said, m.GetRole().String())
		}
		if e.GetUserStateChanged() == nil { // that one may be told late
			require.False(t, e.GetCreatedAt().AsTime().Before(last), "%v after %v", e, last)
			last = e.GetCreatedAt().AsTime()
		}
	}
	require.Equal(t, []string{"USER", "ASSISTANT", "USER", "ASSISTANT", "USER", "ASSISTANT"}, said)
	require.Zero(t, remote.Dropped())
}

// A session that is not to be led from elsewhere does not answer.
func TestASessionMayKeepToItself(t *testing.T) {
	t.Parallel()
	room := newRoom()
	agent := begin(t, room, livekit.RoomOptions{RemoteSession: agents.Off}, "a short answer")
	c := call(t, server, room, "caller")
	c.publish()
	agent.linked(t, "caller")
	require.Error(t, remoteOf(t, room).WaitForReady(within(t, 2*time.Second)))
}
