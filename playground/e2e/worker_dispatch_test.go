package e2e

import (
	"context"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	pb "github.com/livekit/protocol/livekit"
	lksdk "github.com/livekit/server-sdk-go/v2"
	"github.com/stretchr/testify/require"

	"github.com/parley-voice/agents/livekit"
	"github.com/parley-voice/agents/playground/internal/liveserver"
)

// A job that was asked for by the agent's name comes with what was given to it, and its agent is in the room as one,
// with the token that the server made.
// worker 41.
func TestAJobIsDispatchedByName(t *testing.T) {
	t.Parallel()
	room := newRoom()
	w := work(t, server, livekit.WorkerOptions{})
	d := w.dispatch(room, `{"order": 7}`)
	job := w.joined()
	require.Equal(t, `{"order": 7}`, job.Metadata())
	require.Equal(t, room, job.RoomName())
	require.Equal(t, d.Id, job.Info().DispatchId)
	require.Equal(t, pb.JobType_JT_ROOM, job.Info().Type)
	require.Equal(t, "agent-"+job.ID(), job.Identity())

	a := w.tap.assignment(job.ID())
	require.NotNil(t, a, "it is the job that the server assigned")
	claims := verified(t, a.Token)
	require.Equal(t, job.Identity(), claims.Identity)
	require.Equal(t, room, claims.Video.Room)
	require.True(t, claims.Video.Agent)

	others := participants(t, server, room)
	require.Len(t, others, 1)
	require.Equal(t, pb.ParticipantInfo_AGENT, others[0].Kind)
	require.Equal(t, job.Identity(), others[0].Identity)
	require.Equal(t, w.Info().AgentName, others[0].Attributes["lk.agent.name"])
	require.Equal(t, w.Info().AgentName, others[0].Attributes["lk.agent_name"], "the server's own")
}

// A worker without a name gets a job in every room that is made, and one with a name does not.
func TestAutomaticDispatch(t *testing.T) {
	t.Parallel()
	own := ownServer(t)
	w := workUnnamed(t, own, livekit.WorkerOptions{})
	named := work(t, own, livekit.WorkerOptions{})
	for range 2 {
		room := newRoom()
		call(t, own, room, "caller").publish()
		require.Equal(t, room, w.joined().RoomName())
	}
	require.Empty(t, named.tap.asked())
}

// Whoever makes the room can bring agents with their token.
func TestATokenDispatchesAgents(t *testing.T) {
	t.Parallel()
	room := newRoom()
	w := work(t, server, livekit.WorkerOptions{})
	token := liveserver.Token(liveserver.Participant{Room: room, Identity: "caller", Agents: []*pb.RoomAgentDispatch{
		{AgentName: w.Info().AgentName, Metadata: "from the token"},
	}})
	caller := lksdk.NewRoom(nil)
	require.NoError(t, caller.JoinWithToken(server.URL, token, lksdk.WithLogger(quiet)))
	t.Cleanup(caller.Disconnect)
	job := w.joined()
	require.Equal(t, room, job.RoomName())
	require.Equal(t, "from the token", job.Metadata())
}

// Two agents that were asked for by name work in the same room.
func TestTwoAgentsShareARoomByName(t *testing.T) {
	t.Parallel()
	room := newRoom()
	first, second := work(t, server, livekit.WorkerOptions{}), work(t, server, livekit.WorkerOptions{})
	first.dispatch(room, "first")
	second.dispatch(room, "second")
	a, b := first.joined(), second.joined()
	require.Equal(t, "first", a.Metadata())
	require.Equal(t, "second", b.Metadata())
	eventually(t, "both are in the room", 5*time.Second, func() bool { return len(participants(t, server, room)) == 2 })
}

// The same agent twice in one room is two dispatches: the worker refuses a second job of the same one only.
// Pitfall 12.
func TestTwoDispatchesAreTwoAgents(t *testing.T) {
	t.Parallel()
	room := newRoom()
	w := work(t, server, livekit.WorkerOptions{})
	one, two := w.dispatch(room, "one"), w.dispatch(room, "two")
	got := []string{w.joined().Info().DispatchId, w.joined().Info().DispatchId}
	require.ElementsMatch(t, []string{one.Id, two.Id}, got)
	require.NotEqual(t, got[0], got[1])
}

// A worker for participants gets a job for each that comes, and one for publishers for each who publishes.
func TestJobsForParticipantsAndPublishers(t *testing.T) {
	for name, kind := range map[string]pb.JobType{"participants": pb.JobType_JT_PARTICIPANT, "publishers": pb.JobType_JT_PUBLISHER} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			room := newRoom()
			w := work(t, server, livekit.WorkerOptions{Type: kind, Entrypoint: func(ctx context.Context, job *livekit.Job) error {
				_, err := job.WaitForParticipant(ctx, livekit.WaitOptions{Identity: job.Participant().GetIdentity()})
				return err
			}})
			w.dispatch(room, "")
			callers := map[string]*caller{"ann": call(t, server, room, "ann"), "ben": call(t, server, room, "ben")}
			if kind == pb.JobType_JT_PUBLISHER {
				callers["ann"].publish()
				delete(callers, "ben")
			}
			got := map[string]bool{}
			for range callers {
				job := w.joined()
				require.Equal(t, kind, job.Info().Type)
				got[job.Participant().GetIdentity()] = true
			}
			require.ElementsMatch(t, slices.Collect(maps.Keys(callers)), slices.Collect(maps.Keys(got)))
			require.Len(t, w.tap.asked(), len(callers))
		})
	}
}

// Who accepts a job says as whom, and everybody in the room sees it.
func TestAJobIsAcceptedAsSomebody(t *testing.T) {
	t.Parallel()
	room := newRoom()
	answered := make(chan error, 1)
	w := work(t, server, livekit.WorkerOptions{OnRequest: func(_ context.Context, r *livekit.JobRequest) error {
		err := r.Accept(livekit.AcceptOptions{Name: "Eva", Identity: "eva", Metadata: "about eva", Attributes: map[string]string{"mood": "good"}})
		answered <- err
		return err
	}})
	w.dispatch(room, "")
	job := w.joined()
	require.NoError(t, <-answered, "accepting returns when the job has started")
	require.Equal(t, "eva", job.Identity())
	require.Equal(t, "eva", job.Room().LocalParticipant.Identity())
	me := participants(t, server, room)[0]
	require.Equal(t, []string{"Eva", "eva", "about eva", "good"}, []string{me.Name, me.Identity, me.Metadata, me.Attributes["mood"]})
	require.Equal(t, w.Info().AgentName, me.Attributes["lk.agent.name"])
}

// A job that is refused goes to nobody, or, if that is said, to another worker.
func TestARefusedJob(t *testing.T) {
	for name, c := range map[string]struct {
		reject livekit.RejectOptions
		asked  int
	}{"to nobody": {livekit.RejectOptions{}, 1}, "to others": {livekit.RejectOptions{OfferToOthers: true}, 2}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var mu sync.Mutex
			refused := 0
			o := livekit.WorkerOptions{AgentName: agentNames(), OnRequest: func(_ context.Context, r *livekit.JobRequest) error {
				mu.Lock()
				defer mu.Unlock()
				if refused++; refused < 2 {
					return r.Reject(c.reject)
				}
				return r.Accept(livekit.AcceptOptions{})
			}}
			one, two := work(t, server, o), work(t, server, o)
			room := newRoom()
			one.dispatch(room, "")
			asked := func() int { return len(one.tap.asked()) + len(two.tap.asked()) }
			if c.asked == 1 {
				// The next job of the same workers comes after all that is done about the first.
				eventually(t, "one was asked", 5*time.Second, func() bool { return asked() == 1 })
				one.dispatch(newRoom(), "")
			}
			select {
			case job := <-one.jobs:
				require.NotEqual(t, c.asked == 1, job.RoomName() == room)
			case job := <-two.jobs:
				require.NotEqual(t, c.asked == 1, job.RoomName() == room)
			case <-within(t, 10*time.Second).Done():
				t.Fatal("no worker took it")
			}
			require.Equal(t, 2, asked())
		})
	}
}

// The server forgets a request after 2.8 s, so one that nobody answered is warned of after one second and refused after
// two and a half; and whoever accepts when the server does not wait any more is told so.
// worker 43.
func TestASlowAnswerToTheServer(t *testing.T) {
	t.Parallel()
	late := make(chan error, 1)
	slow := func(_ context.Context, r *livekit.JobRequest) error {
		<-time.After(3 * time.Second) // longer than the server waits
		late <- r.Accept(livekit.AcceptOptions{})
		return nil
	}
	t.Run("refused in time", func(t *testing.T) {
		w := work(t, server, livekit.WorkerOptions{OnRequest: slow})
		w.dispatch(newRoom(), "")
		require.ErrorIs(t, <-late, livekit.ErrRequestOver)
		answers := said(w.tap, func(m *pb.WorkerMessage) (bool, bool) {
			return m.GetAvailability().GetAvailable(), m.GetAvailability() != nil
		})
		require.Equal(t, []bool{false}, answers)
		require.Contains(t, w.logs.String(), "still unanswered")
		require.Empty(t, w.jobs)
	})
	t.Run("accepted too late", func(t *testing.T) {
		w := work(t, server, livekit.WorkerOptions{OnRequest: slow, RequestTimeout: livekit.NoLimit, AssignmentTimeout: time.Second})
		w.dispatch(newRoom(), "")
		require.ErrorIs(t, <-late, livekit.ErrAssignmentTimeout)
		require.Empty(t, w.jobs)
		require.Zero(t, w.Info().ActiveJobs)
	})
}

// Two jobs at once for a worker with one place: it takes one.
// worker 44.
func TestTwoDispatchesForOnePlace(t *testing.T) {
	t.Parallel()
	w := work(t, server, livekit.WorkerOptions{MaxJobs: 1, OnRequest: func(_ context.Context, r *livekit.JobRequest) error {
		<-time.After(300 * time.Millisecond) // so that both are open at the same time
		return r.Accept(livekit.AcceptOptions{})
	}})
	var both sync.WaitGroup
	for range 2 {
		both.Go(func() { w.dispatch(newRoom(), "") })
	}
	both.Wait()
	w.joined()
	answers := func() []bool {
		return said(w.tap, func(m *pb.WorkerMessage) (bool, bool) {
			return m.GetAvailability().GetAvailable(), m.GetAvailability() != nil
		})
	}
	eventually(t, "both are answered", 5*time.Second, func() bool { return len(answers()) == 2 })
	require.ElementsMatch(t, []bool{true, false}, answers())
	require.Equal(t, 1, w.Info().ActiveJobs)
}

// Jobs go to the worker that has the time, and a connection that the server closes because of a broken message is made
// again.
// worker 42.
func TestABusyWorkerGetsNoJobs(t *testing.T) {
	t.Parallel()
	name := agentNames()
	busy := work(t, server, livekit.WorkerOptions{AgentName: name, Load: func() float64 { return 0.9 }})
	idle := work(t, server, livekit.WorkerOptions{AgentName: name})
	eventually(t, "the server knows the load", 10*time.Second, func() bool {
		return len(said(busy.tap, func(m *pb.WorkerMessage) (float32, bool) {
			return m.GetUpdateWorker().GetLoad(), m.GetUpdateWorker().GetLoad() > 0.8
		})) > 0
	})
	for range 6 {
		idle.dispatch(newRoom(), "")
		idle.job()
	}
	require.Empty(t, busy.tap.asked())

	was := idle.Info().WorkerID
	idle.tap.toServer(t, &pb.WorkerMessage{})
	eventually(t, "the worker is registered anew", 10*time.Second, func() bool {
		i := idle.Info()
		return i.State == "connected" && i.WorkerID != was
	})
	require.Equal(t, 2, strings.Count(idle.logs.String(), "registered worker"))
}
