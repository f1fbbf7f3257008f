// Package e2e holds tests of sessions in real rooms, on a LiveKit server in the process. They run in real time, so they
// wait for conditions and assert no more than bounds.
package e2e

import (
	"context"
	"fmt"
	"os"
	"sync/atomic"
	"testing"
	"time"

	"github.com/go-logr/logr"
	pb "github.com/livekit/protocol/livekit"
	"github.com/livekit/protocol/logger"
	"github.com/stretchr/testify/require"

	agents "github.com/parley-voice/agents"
	"github.com/parley-voice/agents/livekit"
	"github.com/parley-voice/agents/playground/internal/liveserver"
)

var (
	quiet  = logger.LogRLogger(logr.Discard())
	server *liveserver.Server
	rooms  atomic.Int64
)

func TestMain(m *testing.M) {
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	var err error
	if server, err = liveserver.Start(ctx); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	code := m.Run()
	server.Stop()
	os.Exit(code)
}

// newRoom returns the name of a room that nobody uses.
func newRoom() string { return fmt.Sprintf("room-%d", rooms.Add(1)) }

func agentToken(room, identity string) string {
	return liveserver.Token(liveserver.Participant{Room: room, Identity: identity, Kind: pb.ParticipantInfo_AGENT})
}

// within limits a test.
func within(t *testing.T, d time.Duration) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), d)
	t.Cleanup(cancel)
	return ctx
}

// An agentSide is a session in a room.
type agentSide struct {
	io      *livekit.RoomIO
	session *agents.AgentSession
	llm     *echoLLM
	stt     *toneSTT
}

// answers is what sessions are made of: an agent that says reply to whatever it hears.
func answers(reply string, freq float64) (agents.Options, *echoLLM, *toneSTT) {
	llm, stt := &echoLLM{reply: reply}, &toneSTT{}
	return agents.Options{
		VAD: toneVAD{}, STT: stt, LLM: llm, TTS: toneTTS{freq},
		AECWarmup: agents.Never,
		Turn:      agents.TurnOptions{Endpointing: agents.Endpointing{MinDelay: 50 * time.Millisecond}},
	}, llm, stt
}

// begin joins a room and starts a session there.
func begin(t *testing.T, room string, o livekit.RoomOptions, reply string) *agentSide {
	t.Helper()
	ctx := within(t, 20*time.Second)
	io, err := livekit.Join(ctx, server.URL, agentToken(room, "agent"), o)
	require.NoError(t, err)
	return start(t, io, reply, agentTone)
}

func start(t *testing.T, io *livekit.RoomIO, reply string, freq float64) *agentSide {
	t.Helper()
	opts, llm, stt := answers(reply, freq)
	s := agents.NewSession(opts)
	io.Attach(s)
	require.NoError(t, s.Start(t.Context(), &agents.Agent{ID: "agent", Instructions: "Answer."}, io.IO()))
	t.Cleanup(func() {
		_ = s.Close()
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		require.NoError(t, io.Close(ctx))
	})
	return &agentSide{io, s, llm, stt}
}

// A caller speaks, the agent hears it and answers, and the caller hears the answer.
func TestACallerIsHeardAndHearsTheAnswer(t *testing.T) {
	t.Parallel()
	room := newRoom()
	agent := begin(t, room, livekit.RoomOptions{}, "a short answer")
	c := call(t, server, room, "caller")
	mic := c.publish()
	eventually(t, "the caller is linked", 5*time.Second, func() bool { return agent.io.Participant() != nil })
	mic.speak(600 * time.Millisecond)
	eventually(t, "the agent heard the caller", 5*time.Second, func() bool { return len(agent.llm.questions()) > 0 })
	require.Equal(t, []string{"hello"}, agent.llm.questions())
	eventually(t, "the caller heard the answer", 5*time.Second, func() bool {
		return c.loudness("roomio_audio", agentTone) >= 600*time.Millisecond
	})
}
