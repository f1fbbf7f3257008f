package e2e

import (
	"bytes"
	"context"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	pb "github.com/livekit/protocol/livekit"
	lksdk "github.com/livekit/server-sdk-go/v2"
	"github.com/livekit/server-sdk-go/v2/e2ee"
	"github.com/stretchr/testify/require"

	agents "github.com/parley-voice/agents"
	"github.com/parley-voice/agents/livekit"
	"github.com/parley-voice/agents/playground/internal/liveserver"
)

// goodbye is how long it may take until the server knows that somebody has left: the SDK may close its connection before its
// goodbye is out, and then the server waits for it to come back.
const goodbye = 40 * time.Second

// closeReason waits until the session has closed.
func closeReason(t *testing.T, s *agents.AgentSession) func() agents.CloseReason {
	events := s.Events(within(t, goodbye+5*time.Second))
	reason := make(chan agents.CloseReason, 1)
	go func() {
		defer close(reason)
		for e := range events {
			if c, ok := e.(*agents.Closed); ok {
				reason <- c.Reason
			}
		}
	}()
	return func() agents.CloseReason { t.Helper(); return <-reason }
}

// The caller hangs up, and the session closes.
func TestTheSessionClosesWhenTheCallerLeaves(t *testing.T) {
	t.Parallel()
	room := newRoom()
	agent := begin(t, room, livekit.RoomOptions{}, "a short answer")
	reason := closeReason(t, agent.session)
	c := call(t, server, room, "caller")
	c.publish()
	agent.linked(t, "caller")
	c.room.Disconnect()
	require.Equal(t, agents.CloseParticipantDisconnected, reason())
}

// A caller whose connection breaks, who is put out, or for whom the session is told to stay may come again.
func TestTheSessionStaysForACallerWhoMayComeAgain(t *testing.T) {
	t.Parallel()
	room := newRoom()
	agent := begin(t, room, livekit.RoomOptions{CloseOnDisconnect: agents.Off}, "a short answer")
	for range 2 {
		c := call(t, server, room, "caller")
		c.publish()
		agent.linked(t, "caller")
		converse(t, agent, c)
		c.room.Disconnect()
		eventually(t, "nobody is linked", goodbye, func() bool { return agent.io.Participant() == nil })
	}
	ben := call(t, server, room, "ben")
	ben.publish()
	agent.linked(t, "ben")
	converse(t, agent, ben)
}

// The same participant joins again while their first connection still stands; the session goes on with the second.
func TestAQuickRejoinIsSeen(t *testing.T) {
	t.Parallel()
	room := newRoom()
	agent := begin(t, room, livekit.RoomOptions{}, "a short answer")
	first := call(t, server, room, "caller")
	first.publish()
	agent.linked(t, "caller")
	converse(t, agent, first)
	sid := agent.io.Participant().SID()
	again := call(t, server, room, "caller")
	again.publish()
	eventually(t, "the second connection is linked", 8*time.Second, func() bool {
		p := agent.io.Participant()
		return p != nil && p.SID() != sid
	})
	converse(t, agent, again)
}

// Participants that are not acceptable are passed over: other agents, and helpers of the agent's own.
func TestAgentsAndHelpersAreNotLinked(t *testing.T) {
	t.Parallel()
	room := newRoom()
	agent := begin(t, room, livekit.RoomOptions{}, "a short answer")
	call(t, server, room, "another agent", callerOptions{kind: pb.ParticipantInfo_AGENT}).publish()
	call(t, server, room, "an avatar", callerOptions{attributes: map[string]string{"lk.publish_on_behalf": "agent"}}).publish()
	c := call(t, server, room, "the caller")
	c.publish()
	agent.linked(t, "the caller")
	converse(t, agent, c)
}

// A caller by telephone is acceptable.
func TestATelephoneIsLinked(t *testing.T) {
	t.Parallel()
	room := newRoom()
	agent := begin(t, room, livekit.RoomOptions{}, "")
	call(t, server, room, "phone", callerOptions{kind: pb.ParticipantInfo_SIP}).publish()
	agent.linked(t, "phone")
}

// The room is deleted once when the session closes.
func TestTheRoomIsDeletedWithTheSession(t *testing.T) {
	t.Parallel()
	room := newRoom()
	client := lksdk.NewRoomServiceClient(server.HTTP(), liveserver.APIKey, liveserver.APISecret)
	var mu sync.Mutex
	var deleted []string
	agent := begin(t, room, livekit.RoomOptions{DeleteRoom: func(ctx context.Context, name string) error {
		mu.Lock()
		deleted = append(deleted, name)
		mu.Unlock()
		_, err := client.DeleteRoom(ctx, &pb.DeleteRoomRequest{Room: name})
		return err
	}}, "")
	gone := make(chan struct{})
	c := call(t, server, room, "caller", callerOptions{callback: &lksdk.RoomCallback{OnDisconnected: func() { close(gone) }}})
	c.publish()
	agent.linked(t, "caller")
	require.NoError(t, agent.session.Close())
	select {
	case <-gone:
	case <-within(t, 5*time.Second).Done():
		t.Fatal("the caller is still in the room")
	}
	require.NoError(t, agent.io.Close(within(t, 5*time.Second)))
	mu.Lock()
	defer mu.Unlock()
	require.Equal(t, []string{room}, deleted)
}

// The server ends, and the session closes.
func TestTheSessionClosesWithItsRoom(t *testing.T) {
	t.Parallel()
	room := newRoom()
	client := lksdk.NewRoomServiceClient(server.HTTP(), liveserver.APIKey, liveserver.APISecret)
	agent := begin(t, room, livekit.RoomOptions{}, "")
	reason := closeReason(t, agent.session)
	call(t, server, room, "caller").publish()
	agent.linked(t, "caller")
	_, err := client.DeleteRoom(within(t, 5*time.Second), &pb.DeleteRoomRequest{Room: room})
	require.NoError(t, err)
	require.Equal(t, agents.CloseParticipantDisconnected, reason())
}

// Pitfall 19, worker 23. Whatever way the agent's connection breaks, afterwards it hears and is heard, on one track; on the
// very same if only the signalling broke.
func TestTheConversationGoesOnAfterAReconnect(t *testing.T) {
	for name, scenario := range map[string]lksdk.SimulateScenario{
		"signalling":  lksdk.SimulateSignalReconnect,
		"node failed": lksdk.SimulateNodeFailure,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			room := newRoom()
			again := make(chan struct{}, 4)
			r := livekit.NewRoom(&lksdk.RoomCallback{OnReconnected: func() { again <- struct{}{} }})
			io, err := livekit.NewRoomIO(r, livekit.RoomOptions{})
			require.NoError(t, err)
			agent := start(t, io, "a short answer", agentTone)
			require.NoError(t, r.JoinWithToken(server.URL, agentToken(room, "agent"), lksdk.WithLogger(quiet)))
			t.Cleanup(r.Disconnect)
			c := call(t, server, room, "caller")
			c.publish()
			agent.linked(t, "caller")
			converse(t, agent, c)
			tracks := func() (ids []string) {
				if p := c.room.GetParticipantByIdentity("agent"); p != nil {
					for _, track := range p.TrackPublications() {
						ids = append(ids, track.SID())
					}
				}
				return ids
			}
			before := tracks()
			require.Len(t, before, 1)
			r.Simulate(scenario)
			select {
			case <-again:
			case <-within(t, 15*time.Second).Done():
				t.Fatal("no reconnect")
			}
			agent.linked(t, "caller")
			converse(t, agent, c)
			eventually(t, "the caller sees the state", 5*time.Second, func() bool {
				p := c.room.GetParticipantByIdentity("agent")
				return p != nil && p.Attributes()["lk.agent.state"] == "listening"
			})
			after := tracks()
			require.Len(t, after, 1)
			require.Equal(t, scenario == lksdk.SimulateSignalReconnect, slices.Equal(before, after))
			require.Empty(t, again, "it reconnected once")
		})
	}
}

// What the agent says while its connection is broken waits, so that all of it is heard.
func TestSpeechWaitsForABrokenConnection(t *testing.T) {
	t.Parallel()
	room := newRoom()
	r := livekit.NewRoom(nil)
	io, err := livekit.NewRoomIO(r, livekit.RoomOptions{})
	require.NoError(t, err)
	agent := start(t, io, "a short answer", agentTone)
	require.NoError(t, r.JoinWithToken(server.URL, agentToken(room, "agent"), lksdk.WithLogger(quiet)))
	t.Cleanup(r.Disconnect)
	c := call(t, server, room, "caller")
	c.publish()
	agent.linked(t, "caller")
	h := agent.session.Say(strings.Repeat("x", 60)) // 3 s
	eventually(t, "the agent speaks", 5*time.Second, func() bool { return c.loudness("roomio_audio", agentTone) > 300*time.Millisecond })
	r.Simulate(lksdk.SimulateNodeFailure)
	require.NoError(t, h.Wait(within(t, 15*time.Second)))
	eventually(t, "nearly all was heard", 5*time.Second, func() bool {
		return c.loudness("roomio_audio", agentTone) >= 2700*time.Millisecond
	})
}

// Audio that is encrypted from end to end is heard by those who have the key.
func TestEncryptedAudioIsHeard(t *testing.T) {
	t.Parallel()
	keys := e2ee.NewExternalKeyProvider()
	require.NoError(t, keys.SetKeyFromPassphrase("a passphrase", 0))
	room := newRoom()
	agent := begin(t, room, livekit.RoomOptions{Encryption: keys}, "a short answer")
	c := call(t, server, room, "caller")
	enc, err := lksdk.NewFrameEncryptor(keys, lksdk.CodecOpus)
	require.NoError(t, err)
	mic := c.publishWith(enc)
	agent.linked(t, "caller")
	mic.speak(500 * time.Millisecond)
	eventually(t, "the agent heard", 5*time.Second, func() bool { return len(agent.llm.questions()) > 0 })
	eventually(t, "the caller gets the answer", 5*time.Second, func() bool {
		c.mu.Lock()
		defer c.mu.Unlock()
		return c.packets > 20
	})
	require.Less(t, c.loudness("roomio_audio", agentTone), 200*time.Millisecond, "it is noise without the key")
}

// A token is in no log and in no error.
func TestNoTokenIsLogged(t *testing.T) {
	t.Parallel()
	var mu sync.Mutex
	var out bytes.Buffer
	log := slog.New(slog.NewTextHandler(lockedWriter{&mu, &out}, &slog.HandlerOptions{Level: slog.LevelDebug}))
	room := newRoom()
	token := agentToken(room, "agent")
	io, err := livekit.Join(within(t, 10*time.Second), server.URL, token, livekit.RoomOptions{Logger: log})
	require.NoError(t, err)
	io.Room().Simulate(lksdk.SimulateNodeFailure)
	eventually(t, "the SDK has logged", 10*time.Second, func() bool {
		mu.Lock()
		defer mu.Unlock()
		return strings.Contains(out.String(), "restarting connection")
	})
	require.NoError(t, io.Close(within(t, 10*time.Second)))
	_, err = livekit.Join(within(t, 10*time.Second), "ws://127.0.0.1:1", token, livekit.RoomOptions{Logger: log})
	require.Error(t, err)
	mu.Lock()
	defer mu.Unlock()
	for _, part := range strings.Split(token, ".") {
		require.NotContains(t, out.String(), part)
		require.NotContains(t, err.Error(), part)
	}
}

type lockedWriter struct {
	mu *sync.Mutex
	w  *bytes.Buffer
}

func (l lockedWriter) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.w.Write(p)
}
