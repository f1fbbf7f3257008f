package e2e

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	agents "github.com/parley-voice/agents"
	"github.com/parley-voice/agents/livekit"
	"github.com/parley-voice/agents/playground/internal/liveserver"
)

// Worker 4.2, connect: a job that nobody dispatched makes its room and joins it under the name it was given; a caller
// there is heard and hears the answer; and the end of the room is that of the job.
func TestAJobThatNobodyDispatched(t *testing.T) {
	t.Parallel()
	room := newRoom()
	opts, llm, stt := answers("a short answer", agentTone)
	session := agents.NewSession(opts)
	jobs, ran := make(chan *livekit.Job, 1), make(chan error, 1)
	w, err := livekit.NewWorker(livekit.WorkerOptions{
		URL: server.URL, APIKey: liveserver.APIKey, APISecret: liveserver.APISecret,
		Entrypoint: func(ctx context.Context, job *livekit.Job) error {
			if err := job.StartSession(ctx, session, &agents.Agent{}, livekit.RoomOptions{}); err != nil {
				return err
			}
			jobs <- job
			return nil
		},
	})
	require.NoError(t, err)
	ctx := within(t, 30*time.Second)
	go func() { ran <- w.RunJob(ctx, livekit.LocalJob{Room: room, Identity: "helper", Join: true}) }()
	t.Cleanup(func() { require.NoError(t, w.Close()) })
	var job *livekit.Job
	select {
	case job = <-jobs:
	case err := <-ran:
		t.Fatalf("it did not begin: %v", err)
	}
	require.Equal(t, "helper", job.Room().LocalParticipant.Identity())
	require.NotEmpty(t, job.Info().GetRoom().GetSid())
	c := call(t, server, room, "caller")
	c.publish()
	agent := &agentSide{io: job.RoomIO(), session: session, llm: llm, stt: stt}
	agent.linked(t, "caller")
	converse(t, agent, c)
	require.NoError(t, job.DeleteRoom(within(t, 10*time.Second)))
	require.NoError(t, <-ran)
	require.NoError(t, ctx.Err(), "it ended by itself")
}
