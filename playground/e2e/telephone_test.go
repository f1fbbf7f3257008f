package e2e

import (
	"testing"
	"time"

	pb "github.com/livekit/protocol/livekit"
	"github.com/stretchr/testify/require"

	agents "github.com/parley-voice/agents"
	"github.com/parley-voice/agents/livekit"
)

// Pitfall 42. While it rings no time of the detection runs, although the callee's track is there.
func TestDetectionWaitsUntilTheCallIsAnswered(t *testing.T) {
	t.Parallel()
	room := newRoom()
	agent := begin(t, room, livekit.RoomOptions{}, "a short answer")
	c := call(t, server, room, "callee", callerOptions{
		kind: pb.ParticipantInfo_SIP, attributes: map[string]string{"sip.callStatus": "ringing"},
	})
	c.publish()
	agent.linked(t, "callee")

	verdict, failure := make(chan agents.AMDResult, 1), make(chan error, 1)
	go func() {
		r, err := agent.session.DetectAnsweringMachine(t.Context(), agents.AMDOptions{
			Answered: agent.io.Answered(), NoSpeech: 200 * time.Millisecond,
		})
		verdict <- r
		failure <- err
	}()
	ringing := time.NewTimer(600 * time.Millisecond)
	defer ringing.Stop()
	select {
	case r := <-verdict:
		t.Fatalf("it was decided while it rang: %+v, %v", r, <-failure)
	case <-agent.io.Answered():
		t.Fatal("nobody has answered")
	case <-ringing.C:
	}

	answered := time.Now()
	c.room.LocalParticipant.SetAttributes(map[string]string{"sip.callStatus": "active"})
	select {
	case r := <-verdict:
		require.NoError(t, <-failure)
		require.Equal(t, agents.AMDNoSpeech, r.Reason)
		require.GreaterOrEqual(t, time.Since(answered), 200*time.Millisecond)
	case <-within(t, 5*time.Second).Done():
		t.Fatal("nothing was decided")
	}
}

// A participant who did not come by telephone need not pick up.
func TestWhoIsNotCalledHasAnswered(t *testing.T) {
	t.Parallel()
	room := newRoom()
	agent := begin(t, room, livekit.RoomOptions{}, "a short answer")
	call(t, server, room, "caller")
	select {
	case <-agent.io.Answered():
	case <-within(t, 5*time.Second).Done():
		t.Fatal("a participant who is there counts as called")
	}
}
