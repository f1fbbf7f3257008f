package e2e

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	pb "github.com/livekit/protocol/livekit"
	lksdk "github.com/livekit/server-sdk-go/v2"
	"github.com/stretchr/testify/require"

	agents "github.com/parley-voice/agents"
	"github.com/parley-voice/agents/livekit"
	"github.com/parley-voice/agents/playground/internal/liveserver"
)

// joinedLater starts a session in a room whose reconnects are told, and returns the room.
func joinedLater(t *testing.T, name, token string) (*agentSide, *livekit.Room, <-chan struct{}) {
	t.Helper()
	again := make(chan struct{}, 4)
	r := livekit.NewRoom(&lksdk.RoomCallback{OnReconnected: func() { again <- struct{}{} }})
	io, err := livekit.NewRoomIO(r, livekit.RoomOptions{})
	require.NoError(t, err)
	agent := start(t, io, "a short answer", agentTone)
	require.NoError(t, r.JoinWithContextAndToken(within(t, 10*time.Second), server.URL, token, lksdk.WithLogger(quiet)))
	t.Cleanup(r.Disconnect)
	return agent, r, again
}

func reconnect(t *testing.T, r *livekit.Room, again <-chan struct{}) {
	t.Helper()
	r.Simulate(lksdk.SimulateNodeFailure)
	select {
	case <-again:
	case <-within(t, 15*time.Second).Done():
		t.Fatal("no reconnect")
	}
}

// lastHeard is when a tone was last heard.
func (c *caller) lastHeard(track string, freq float64) (at time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, f := range c.heard[track] {
		if strength(f.samples, freq, hearRate) > loud/3 {
			at = f.at
		}
	}
	return at
}

// The caller speaks up, and 200 ms after that counts as an interruption they hear nothing more of the agent. What the
// session takes for heard is what they heard.
func TestTheVoiceStopsSoonAfterAnInterruption(t *testing.T) {
	room := newRoom() // not in parallel: it measures
	const counts = 200 * time.Millisecond
	opts, _, _ := answers("yes", agentTone)
	opts.Turn.Interruption = agents.Interruption{MinDuration: agents.Delay(counts), Resume: agents.Off}
	session := agents.NewSession(opts)
	io, err := livekit.Join(within(t, 20*time.Second), server.URL, agentToken(room, "agent"), livekit.RoomOptions{})
	require.NoError(t, err)
	tap := &outputTap{AudioOutput: io.IO().AudioOutput}
	startWith(t, io, session, &agents.Agent{ID: "agent"}, tap)
	c := call(t, server, room, "caller")
	mic := c.publish()
	eventually(t, "the caller is linked", 5*time.Second, func() bool { return io.Participant() != nil })
	h := session.Say(strings.Repeat("x", 100)) // 5 s
	eventually(t, "the agent speaks", 5*time.Second, func() bool { return c.loudness("roomio_audio", agentTone) > 600*time.Millisecond })
	began := time.Now()
	mic.speak(400 * time.Millisecond)
	require.NoError(t, h.Wait(within(t, 5*time.Second)))
	require.True(t, h.Interrupted())
	heard, last := c.loudness("roomio_audio", agentTone), c.lastHeard("roomio_audio", agentTone)
	require.Less(t, last.Sub(began), counts+200*time.Millisecond)
	require.InDelta(t, heard.Seconds(), tap.last().Position.Seconds(), 0.1)
	require.True(t, tap.last().Interrupted)
}

// A caller whose connection breaks comes back, without a word of it to the session; and one who is put out may join anew.
func TestACallerDropsAndReturns(t *testing.T) {
	t.Parallel()
	room := newRoom()
	agent := begin(t, room, livekit.RoomOptions{}, "a short answer")
	again := make(chan struct{}, 1)
	c := call(t, server, room, "caller", callerOptions{callback: &lksdk.RoomCallback{OnReconnected: func() { again <- struct{}{} }}})
	c.publish()
	agent.linked(t, "caller")
	converse(t, agent, c)
	c.room.Simulate(lksdk.SimulateNodeFailure)
	select {
	case <-again:
	case <-within(t, 15*time.Second).Done():
		t.Fatal("the caller is not back")
	}
	agent.linked(t, "caller")
	converse(t, agent, c)

	client := lksdk.NewRoomServiceClient(server.HTTP(), liveserver.APIKey, liveserver.APISecret)
	_, err := client.RemoveParticipant(within(t, 5*time.Second), &pb.RoomParticipantIdentity{Room: room, Identity: "caller"})
	require.NoError(t, err)
	eventually(t, "nobody is linked", 5*time.Second, func() bool { return agent.io.Participant() == nil })
	c = call(t, server, room, "caller")
	c.publish()
	agent.linked(t, "caller")
	converse(t, agent, c)
}

// expiring returns a token as good as another one, but for when it expires.
func expiring(t *testing.T, token string, at time.Time) string {
	t.Helper()
	parts := strings.Split(token, ".")
	body, err := base64.RawURLEncoding.DecodeString(parts[1])
	require.NoError(t, err)
	var claims map[string]any
	require.NoError(t, json.Unmarshal(body, &claims))
	claims["exp"] = at.Unix()
	delete(claims, "nbf")
	body, err = json.Marshal(claims)
	require.NoError(t, err)
	signed := parts[0] + "." + base64.RawURLEncoding.EncodeToString(body)
	mac := hmac.New(sha256.New, []byte(liveserver.APISecret))
	mac.Write([]byte(signed))
	return signed + "." + base64.RawURLEncoding.EncodeToString(mac.Sum(nil))
}

// The token with which the agent joined expires. The server has given it others since, so that the session survives a
// reconnect; to join with the old one is an error that says why, and has no token in it (pitfall 19).
func TestASessionOutlivesItsToken(t *testing.T) {
	t.Parallel()
	const leeway = time.Minute // that the server allows
	room := newRoom()
	expires := time.Now().Add(3 * time.Second).Truncate(time.Second)
	token := expiring(t, agentToken(room, "agent"), expires.Add(-leeway))
	agent, r, again := joinedLater(t, room, token)
	c := call(t, server, room, "caller")
	c.publish()
	agent.linked(t, "caller")
	converse(t, agent, c)
	eventually(t, "the token has expired", 5*time.Second, func() bool { return time.Now().After(expires.Add(time.Second)) })
	_, err := livekit.Join(within(t, 10*time.Second), server.URL, token, livekit.RoomOptions{})
	require.ErrorContains(t, err, "expired")
	for _, part := range strings.Split(token, ".") {
		require.NotContains(t, err.Error(), part)
	}
	reconnect(t, r, again)
	agent.linked(t, "caller")
	converse(t, agent, c)
}

// Two agents, each a participant of its own, are with the same caller. Neither hears the other (pitfall 12).
func TestTwoAgentsInOneRoomDoNotHearEachOther(t *testing.T) {
	t.Parallel()
	room := newRoom()
	const otherTone = 1700
	one := begin(t, room, livekit.RoomOptions{}, "a short answer")
	io, err := livekit.Join(within(t, 20*time.Second), server.URL, agentToken(room, "agent two"), livekit.RoomOptions{TrackName: "two"})
	require.NoError(t, err)
	two := start(t, io, "a rather long answer", otherTone)
	c := call(t, server, room, "caller")
	c.publish()
	one.linked(t, "caller")
	two.linked(t, "caller")
	c.mic.speak(500 * time.Millisecond)
	eventually(t, "both answered", 10*time.Second, func() bool {
		return c.loudness("roomio_audio", agentTone) >= 600*time.Millisecond && c.loudness("two", otherTone) >= 900*time.Millisecond
	})
	for _, a := range []*agentSide{one, two} {
		eventually(t, "they listen", 10*time.Second, func() bool { return a.session.AgentState() == agents.AgentListening })
		require.Equal(t, "caller", a.io.Participant().Identity())
	}
	heard := append(one.utterances(), two.utterances()...)
	converse(t, one, c)
	require.Greater(t, len(append(one.utterances(), two.utterances()...)), len(heard))
	for _, d := range append(one.utterances(), two.utterances()...) {
		require.Less(t, d, 1100*time.Millisecond, "the caller's half second and silence about it, and not the other's answer")
	}
}

func (a *agentSide) utterances() []time.Duration {
	a.stt.mu.Lock()
	defer a.stt.mu.Unlock()
	return slices.Clone(a.stt.heard)
}

// After a reconnect the signalling says that all is well and the microphone brings nothing. That no audio flows is found
// out and mended (pitfall 19).
func TestAMicrophoneThatBringsNothingAfterAReconnectIsHeardAgain(t *testing.T) {
	t.Parallel()
	room := newRoom()
	agent, r, again := joinedLater(t, room, agentToken(room, "agent"))
	c := call(t, server, room, "caller")
	mic := c.publish()
	agent.linked(t, "caller")
	converse(t, agent, c)
	reconnect(t, r, again)
	agent.linked(t, "caller")
	converse(t, agent, c)
	client := lksdk.NewRoomServiceClient(server.HTTP(), liveserver.APIKey, liveserver.APISecret)
	_, err := client.UpdateSubscriptions(within(t, 5*time.Second), &pb.UpdateSubscriptionsRequest{
		Room: room, Identity: "agent", TrackSids: []string{mic.pub.SID()}, Subscribe: false,
	})
	require.NoError(t, err)
	asked, next := len(agent.llm.questions()), time.Time{}
	eventually(t, "the caller is heard again", 20*time.Second, func() bool {
		if now := time.Now(); now.After(next) {
			mic.speak(500 * time.Millisecond)
			next = now.Add(2 * time.Second)
		}
		return len(agent.llm.questions()) > asked
	})
	require.Equal(t, lksdk.ConnectionStateConnected, r.ConnectionState())
}

// T116 over the network. The processor of the options lasts from track to track, and one of a selector as long as its
// track, of which it is told.
func TestProcessorsFollowTheTracks(t *testing.T) {
	t.Parallel()
	for name, direct := range map[string]bool{"direct": true, "selected": false} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var all []*countingProcessor
			made := make(chan *countingProcessor, 4)
			var o livekit.RoomOptions
			if direct {
				p := &countingProcessor{}
				all, o.Processor = append(all, p), p
			} else {
				o.SelectProcessor = func(p *lksdk.RemoteParticipant, pub *lksdk.RemoteTrackPublication) livekit.FrameProcessor {
					c := &countingProcessor{track: p.Identity() + " " + pub.SID()}
					made <- c
					return c
				}
			}
			room := newRoom()
			agent := begin(t, room, o, "a short answer")
			c := call(t, server, room, "caller")
			for i := range 2 {
				mic := c.publish()
				agent.linked(t, "caller")
				if !direct {
					p := <-made
					require.Equal(t, "caller "+mic.pub.SID(), p.track)
					all = append(all, p)
				}
				p := all[len(all)-1]
				before := p.frames.Load()
				converse(t, agent, c)
				require.Greater(t, p.frames.Load(), before)
				require.NoError(t, c.room.LocalParticipant.UnpublishTrack(mic.pub.SID()))
				mic.end()
				if !direct {
					eventually(t, "the processor ended with its track", 5*time.Second, func() bool { return p.closed.Load() == 1 })
				}
				require.Len(t, all, map[bool]int{true: 1, false: i + 1}[direct])
			}
			if direct {
				require.Zero(t, all[0].closed.Load())
			}
			ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
			defer cancel()
			require.NoError(t, agent.session.Close())
			require.NoError(t, agent.io.Close(ctx))
			for _, p := range all {
				require.EqualValues(t, 1, p.closed.Load())
			}
		})
	}
}

// A countingProcessor changes nothing.
type countingProcessor struct {
	track          string
	frames, closed atomic.Int64
}

func (p *countingProcessor) Process([]int16, int) { p.frames.Add(1) }
func (p *countingProcessor) Close() error         { p.closed.Add(1); return nil }
