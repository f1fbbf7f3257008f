package livekit

import (
	"context"
	"testing"

	"github.com/stretchr/testify/require"

	agents "github.com/parley-voice/agents"
)

// A session that a job was given closes with the job, and says that this was why.
func TestASessionClosesForItsJobsEnd(t *testing.T) {
	got := map[string]*Job{}
	var session *agents.AgentSession
	inBubble(t, workerOptions(jobs(got, func(ctx context.Context, j *Job) error {
		session = agents.NewSession(agents.Options{})
		_ = session.Start(ctx, &agents.Agent{ID: "agent", Instructions: "Answer."}, agents.IO{})
		_ = j.AddSession(session)
		return untilShutdown(ctx, j)
	})), func(t *testing.T, rig *workerRig) {
		rig.dispatch("AJ_one")
		events := session.Events(t.Context())
		got["AJ_one"].Shutdown("")
		var reason agents.CloseReason
		for e := range events {
			if c, ok := e.(*agents.Closed); ok {
				reason = c.Reason
			}
		}
		require.Equal(t, agents.CloseJobShutdown, reason)
	})
}
