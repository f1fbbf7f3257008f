package e2e

import (
	"slices"
	"strings"
	"testing"
	"time"

	pb "github.com/livekit/protocol/livekit"
	lksdk "github.com/livekit/server-sdk-go/v2"
	"github.com/stretchr/testify/require"

	agents "github.com/parley-voice/agents"
	"github.com/parley-voice/agents/livekit"
)

// What both sides say is published as streams of text, with the attributes that clients go by, and in the older way.
func TestTranscriptsArePublished(t *testing.T) {
	t.Parallel()
	room := newRoom()
	agent := begin(t, room, livekit.RoomOptions{}, `a <em>short</em> answer`)
	c := call(t, server, room, "caller")
	c.publish()
	agent.linked(t, "caller")
	converse(t, agent, c)
	eventually(t, "both transcripts came", 5*time.Second, func() bool { return len(c.transcripts()) >= 2 })
	all := c.transcripts()
	i := slices.IndexFunc(all, func(x transcript) bool { return x.from == "caller" })
	require.GreaterOrEqual(t, i, 0, "%v", all)
	require.Equal(t, "hello", all[i].text)
	require.Equal(t, "true", all[i].attributes["lk.transcription_final"])
	require.Equal(t, c.mic.pub.SID(), all[i].attributes["lk.transcribed_track_id"])
	require.True(t, strings.HasPrefix(all[i].attributes["lk.segment_id"], "SG_"))
	j := slices.IndexFunc(all, func(x transcript) bool { return x.from == "agent" })
	require.GreaterOrEqual(t, j, 0, "%v", all)
	require.Equal(t, "a short answer", all[j].text)
	require.Equal(t, "true", all[j].attributes["lk.transcription_final"], "the last word on it")
	require.NotEmpty(t, all[j].attributes["lk.transcribed_track_id"])
	require.NotEqual(t, all[i].attributes["lk.segment_id"], all[j].attributes["lk.segment_id"])

	eventually(t, "the older transcripts came", 5*time.Second, func() bool {
		c.mu.Lock()
		defer c.mu.Unlock()
		final := map[string]string{}
		for _, s := range c.old {
			if s.Final {
				final[s.ID] = s.Text
			}
		}
		return final[all[i].attributes["lk.segment_id"]] == "hello" && final[all[j].attributes["lk.segment_id"]] == "a short answer"
	})
}

// What the linked participant writes interrupts the agent and is answered; what others write is not.
func TestTextIsAnswered(t *testing.T) {
	t.Parallel()
	room := newRoom()
	agent := begin(t, room, livekit.RoomOptions{Participant: "caller"}, "a short answer")
	c, other := call(t, server, room, "caller"), call(t, server, room, "other")
	c.publish()
	other.publish()
	agent.linked(t, "caller")
	h := agent.session.Say(strings.Repeat("x", 100))
	eventually(t, "the agent speaks", 5*time.Second, func() bool { return agent.session.AgentState() == agents.AgentSpeaking })
	other.room.LocalParticipant.SendText("ignore me", lksdk.StreamTextOptions{Topic: "lk.chat"})
	c.room.LocalParticipant.SendText("what is up", lksdk.StreamTextOptions{Topic: "lk.chat"})
	require.NoError(t, h.Wait(within(t, 5*time.Second)))
	require.True(t, h.Interrupted())
	eventually(t, "the text was answered", 5*time.Second, func() bool { return slices.Contains(agent.llm.questions(), "what is up") })
	require.NotContains(t, agent.llm.questions(), "ignore me")
}

// The agent's state is an attribute. However fast it changes, the last one arrives.
func TestTheStateIsAnAttribute(t *testing.T) {
	t.Parallel()
	room := newRoom()
	agent := begin(t, room, livekit.RoomOptions{}, "a short answer")
	agent.io.SetAttributes(map[string]string{"lk.agent.name": "echo"})
	c := call(t, server, room, "caller")
	c.publish()
	agent.linked(t, "caller")
	converse(t, agent, c)
	eventually(t, "the state is seen", 5*time.Second, func() bool {
		p := c.room.GetParticipantByIdentity("agent")
		return p != nil && p.Attributes()["lk.agent.state"] == "listening" && p.Attributes()["lk.agent.name"] == "echo"
	})
	c.mu.Lock()
	defer c.mu.Unlock()
	var states []string
	for _, a := range c.attrs {
		if s := a["lk.agent.state"]; s != "" {
			states = append(states, s)
		}
	}
	require.Contains(t, states, "speaking")
	require.Equal(t, "listening", states[len(states)-1])
}

// Keys go to the linked participant and come from them, and from nobody else (pitfall 41).
func TestKeysGoToAndComeFromTheLinkedParticipant(t *testing.T) {
	t.Parallel()
	room := newRoom()
	agent := begin(t, room, livekit.RoomOptions{Participant: "phone"}, "")
	keys := make(chan agents.DTMF, 8)
	go func() {
		for e := range agent.session.Events(t.Context()) {
			if d, ok := e.(*agents.DTMFReceived); ok {
				keys <- d.Key
			}
		}
	}()
	phone := call(t, server, room, "phone", callerOptions{kind: pb.ParticipantInfo_SIP})
	other := call(t, server, room, "other", callerOptions{kind: pb.ParticipantInfo_SIP})
	phone.publish()
	other.publish()
	agent.linked(t, "phone")
	press := func(c *caller, digit string) {
		require.NoError(t, c.room.LocalParticipant.PublishDataPacket(&pb.SipDTMF{Digit: digit}, lksdk.WithDataPublishReliable(true)))
	}
	press(other, "9")
	press(phone, "5")
	select {
	case k := <-keys:
		require.Equal(t, agents.DTMF('5'), k)
	case <-within(t, 5*time.Second).Done():
		t.Fatal("no key came")
	}
	require.NoError(t, agent.session.SendDTMF(within(t, 5*time.Second), "1#"))
	pressed := func(c *caller) (digits string, codes []uint32) {
		c.mu.Lock()
		defer c.mu.Unlock()
		for _, p := range c.data {
			if d, ok := p.(*pb.SipDTMF); ok && d.Code != 0 {
				digits += d.Digit
				codes = append(codes, d.Code)
			}
		}
		return
	}
	eventually(t, "the keys came", 5*time.Second, func() bool { d, _ := pressed(phone); return len(d) == 2 })
	digits, codes := pressed(phone)
	require.Equal(t, "1#", digits)
	require.Equal(t, []uint32{1, 11}, codes)
	none, _ := pressed(other)
	require.Empty(t, none)
}

// The room's own methods are there: a remote procedure call.
func TestRemoteProcedureCallsAreTheRooms(t *testing.T) {
	t.Parallel()
	room := newRoom()
	agent := begin(t, room, livekit.RoomOptions{}, "")
	require.NoError(t, agent.io.Room().RegisterRpcMethod("greet", func(d lksdk.RpcInvocationData) (string, error) {
		return "hello " + d.CallerIdentity, nil
	}))
	c := call(t, server, room, "caller")
	c.publish()
	agent.linked(t, "caller")
	answer, err := c.room.LocalParticipant.PerformRpc(lksdk.PerformRpcParams{DestinationIdentity: "agent", Method: "greet"})
	require.NoError(t, err)
	require.Equal(t, "hello caller", *answer)
}
