package e2e

import (
	"testing"
	"time"

	lksdk "github.com/livekit/server-sdk-go/v2"
	"github.com/stretchr/testify/require"

	agents "github.com/parley-voice/agents"
	"github.com/parley-voice/agents/livekit"
)

// converse has the caller speak and waits until they have heard an answer.
func converse(t *testing.T, a *agentSide, c *caller) {
	t.Helper()
	asked, heard := len(a.llm.questions()), c.loudness("roomio_audio", agentTone)
	var said time.Time
	eventually(t, "the agent heard the caller", 15*time.Second, func() bool {
		if time.Since(said) > 4*time.Second { // the server lets nothing through for up to a second after a reconnect
			c.mic.speak(500 * time.Millisecond)
			said = time.Now()
		}
		return len(a.llm.questions()) > asked
	})
	eventually(t, "the caller heard the answer", 10*time.Second, func() bool {
		return c.loudness("roomio_audio", agentTone) >= heard+300*time.Millisecond
	})
	eventually(t, "the agent has finished", 10*time.Second, func() bool { return a.session.AgentState() == agents.AgentListening })
}

// linked waits until somebody is linked, and their microphone, if they have one, is heard.
func (a *agentSide) linked(t *testing.T, name string) {
	t.Helper()
	eventually(t, name+" is linked", 5*time.Second, func() bool {
		p := a.io.Participant()
		if p == nil || p.Identity() != name {
			return false
		}
		for _, pub := range p.TrackPublications() {
			if pub.(*lksdk.RemoteTrackPublication).TrackRemote() == nil {
				return false
			}
		}
		return true
	})
}

// The agent speaks before there is anybody. Nothing of what it says is lost to who comes.
func TestTheFirstWordsAreHeardInFull(t *testing.T) {
	t.Parallel()
	room := newRoom()
	agent := begin(t, room, livekit.RoomOptions{}, "")
	h := agent.session.Say("twenty characters !!") // a second
	c := call(t, server, room, "caller")
	c.publish()
	require.NoError(t, h.Wait(within(t, 10*time.Second)))
	eventually(t, "all was heard", 3*time.Second, func() bool {
		return c.loudness("roomio_audio", agentTone) >= 960*time.Millisecond // the encoder's delay
	})
}

// When nobody subscribes the agent speaks to nobody, after the time that is set.
func TestSpeechDoesNotWaitForASubscriberForEver(t *testing.T) {
	t.Parallel()
	agent := begin(t, newRoom(), livekit.RoomOptions{SubscribeTimeout: agents.Delay(300 * time.Millisecond)}, "")
	require.NoError(t, agent.session.Say("hello").Wait(within(t, 5*time.Second)))
}

// The caller speaks while the agent does: the agent stops, and what is remembered is what was heard.
func TestTheCallerInterruptsTheAgent(t *testing.T) {
	t.Parallel()
	room := newRoom()
	agent := begin(t, room, livekit.RoomOptions{}, "yes")
	c := call(t, server, room, "caller")
	mic := c.publish()
	agent.linked(t, "caller")
	h := agent.session.Say("one two three four five six seven eight nine ten eleven twelve thirteen fourteen") // 4 s
	eventually(t, "the agent speaks", 5*time.Second, func() bool { return c.loudness("roomio_audio", agentTone) > 800*time.Millisecond })
	mic.speak(800 * time.Millisecond)
	require.NoError(t, h.Wait(within(t, 5*time.Second)))
	require.True(t, h.Interrupted())
	require.Less(t, c.loudness("roomio_audio", agentTone), 3*time.Second)
	var said string
	for m := range agent.session.History().Messages() {
		if m.Role == agents.RoleAssistant {
			said = m.Text()
			break
		}
	}
	require.Contains(t, said, "one two")
	require.NotContains(t, said, "fourteen")
}

// A client that mutes right after speaking sends nothing any more. The agent hears that speech has ended.
func TestATurnEndsThoughTheCallerIsMuted(t *testing.T) {
	t.Parallel()
	room := newRoom()
	agent := begin(t, room, livekit.RoomOptions{}, "a short answer")
	c := call(t, server, room, "caller")
	mic := c.publish()
	agent.linked(t, "caller")
	mic.speak(10 * time.Second)
	eventually(t, "the agent hears", 5*time.Second, func() bool { return agent.session.UserState() == agents.UserSpeaking })
	mic.set(func(m *microphone) { m.still = true })
	mic.pub.SetMuted(true)
	eventually(t, "the agent answered", 5*time.Second, func() bool { return len(agent.llm.questions()) > 0 })
	mic.speak(0)
	mic.set(func(m *microphone) { m.still = false })
	mic.pub.SetMuted(false)
	converse(t, agent, c)
}

// The microphone is unpublished amid speech, and another one is published.
func TestAMicrophoneIsExchanged(t *testing.T) {
	t.Parallel()
	room := newRoom()
	agent := begin(t, room, livekit.RoomOptions{}, "a short answer")
	c := call(t, server, room, "caller")
	mic := c.publish()
	agent.linked(t, "caller")
	mic.speak(10 * time.Second)
	eventually(t, "the agent hears", 5*time.Second, func() bool { return agent.session.UserState() == agents.UserSpeaking })
	require.NoError(t, c.room.LocalParticipant.UnpublishTrack(mic.pub.SID()))
	mic.end()
	eventually(t, "the agent answered", 5*time.Second, func() bool { return len(agent.llm.questions()) > 0 })
	c.publish()
	converse(t, agent, c)
}

// One packet of seven is lost.
func TestSpeechIsHeardWithPacketsLost(t *testing.T) {
	t.Parallel()
	room := newRoom()
	agent := begin(t, room, livekit.RoomOptions{}, "a short answer")
	c := call(t, server, room, "caller")
	mic := c.publish()
	agent.linked(t, "caller")
	mic.set(func(m *microphone) { m.lose = 7 })
	mic.speak(time.Second)
	eventually(t, "the agent heard", 5*time.Second, func() bool { return len(agent.llm.questions()) > 0 })
	agent.stt.mu.Lock()
	defer agent.stt.mu.Unlock()
	require.Len(t, agent.stt.heard, 1, "one utterance, not cut where packets are missing")
	require.InDelta(t, 1.1+vadSilence.Seconds(), agent.stt.heard[0].Seconds(), 0.35)
}

// Two sessions share a room, each with a participant of its own.
func TestTwoSessionsShareARoom(t *testing.T) {
	t.Parallel()
	name := newRoom()
	room := livekit.NewRoom(nil)
	var sides []*agentSide
	tones := []float64{1000, 1500}
	for i, who := range []string{"anna", "ben"} {
		io, err := livekit.NewRoomIO(room, livekit.RoomOptions{Participant: who, TrackName: "for " + who})
		require.NoError(t, err)
		sides = append(sides, start(t, io, "a short answer", tones[i]))
	}
	require.NoError(t, room.JoinWithToken(server.URL, agentToken(name, "agent"), lksdk.WithLogger(quiet)))
	t.Cleanup(room.Disconnect)
	anna, ben := call(t, server, name, "anna"), call(t, server, name, "ben")
	anna.publish()
	ben.publish()
	sides[0].linked(t, "anna")
	sides[1].linked(t, "ben")

	anna.mic.speak(500 * time.Millisecond)
	eventually(t, "anna heard her agent", 8*time.Second, func() bool { return anna.loudness("for anna", tones[0]) > 500*time.Millisecond })
	require.Empty(t, sides[1].llm.questions())
	require.Zero(t, anna.loudness("for ben", tones[1]))
	eventually(t, "anna's agent has finished", 8*time.Second, func() bool { return sides[0].session.AgentState() == agents.AgentListening })
	asked := sides[0].llm.questions()
	ben.mic.speak(500 * time.Millisecond)
	eventually(t, "ben heard his agent", 8*time.Second, func() bool { return ben.loudness("for ben", tones[1]) > 500*time.Millisecond })
	require.Equal(t, asked, sides[0].llm.questions(), "anna's agent did not hear ben")
}

// A session goes over to another participant when it is told to.
func TestTheParticipantIsChanged(t *testing.T) {
	t.Parallel()
	room := newRoom()
	agent := begin(t, room, livekit.RoomOptions{Participant: "anna"}, "a short answer")
	anna, ben := call(t, server, room, "anna"), call(t, server, room, "ben")
	anna.publish()
	ben.publish()
	agent.linked(t, "anna")
	agent.io.SetParticipant("ben")
	agent.linked(t, "ben")
	converse(t, agent, ben)
	agent.io.Unlink()
	eventually(t, "nobody is linked", 5*time.Second, func() bool { return agent.io.Participant() == nil })
	agent.io.SetParticipant("anna")
	agent.linked(t, "anna")
	converse(t, agent, anna)
}
