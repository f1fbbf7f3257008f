package e2e

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	pb "github.com/livekit/protocol/livekit"
	lksdk "github.com/livekit/server-sdk-go/v2"
	"github.com/stretchr/testify/require"

	agents "github.com/parley-voice/agents"
	"github.com/parley-voice/agents/livekit"
	"github.com/parley-voice/agents/playground/internal/liveserver"
)

// talking is the entrypoint of a job whose agent answers whatever it hears. What there is of it is sent to made.
func talking(made chan<- *agentSide, reply string) func(context.Context, *livekit.Job) error {
	return func(ctx context.Context, job *livekit.Job) error {
		o, llm, stt := answers(reply, agentTone)
		side := &agentSide{session: agents.NewSession(o), llm: llm, stt: stt}
		err := job.StartSession(ctx, side.session, &agents.Agent{ID: "agent", Instructions: "Answer."}, livekit.RoomOptions{})
		if err != nil {
			return err
		}
		side.io = job.RoomIO()
		made <- side
		return nil
	}
}

// speakUntil has the caller speak until something is so: again after a while, as the agent of a busy machine may not listen
// yet when the caller first speaks.
func speakUntil(t *testing.T, c *caller, what string, so func() bool) {
	t.Helper()
	var spoke time.Time
	eventually(t, what, 30*time.Second, func() bool {
		if so() {
			return true
		}
		if time.Since(spoke) > 4*time.Second {
			spoke = time.Now()
			c.mic.speak(500 * time.Millisecond)
		}
		return false
	})
}

// speakWith has the caller and the agent hear each other.
func speakWith(t *testing.T, a *agentSide, c *caller) {
	t.Helper()
	asked, heard := len(a.llm.questions()), c.loudness("roomio_audio", agentTone)
	speakUntil(t, c, "the agent hears the caller, who hears the answer", func() bool {
		return len(a.llm.questions()) > asked && c.loudness("roomio_audio", agentTone) >= heard+300*time.Millisecond
	})
	eventually(t, "the agent has finished", 10*time.Second, func() bool { return a.session.AgentState() == agents.AgentListening })
}

// A worker that drains takes no further job and keeps the call that it has, in which both still hear each other, until
// that ends by itself.
// worker 5. Pitfall 15.
func TestADrainKeepsTheCall(t *testing.T) {
	t.Parallel()
	room := newRoom()
	made := make(chan *agentSide, 1)
	w := work(t, server, livekit.WorkerOptions{Entrypoint: talking(made, "a short answer")})
	w.dispatch(room, "")
	job := w.joined()
	agent := <-made
	c := call(t, server, room, "caller")
	c.publish()
	agent.linked(t, "caller")

	drained := make(chan error, 1)
	go func() { drained <- w.Drain(within(t, 60*time.Second)) }()
	eventually(t, "the server knows", 5*time.Second, func() bool {
		return slices.Contains(said(w.tap, func(m *pb.WorkerMessage) (pb.WorkerStatus, bool) {
			return m.GetUpdateWorker().GetStatus(), m.GetUpdateWorker() != nil
		}), pb.WorkerStatus_WS_FULL)
	})
	asked := len(w.tap.asked())
	w.dispatch(newRoom(), "for nobody")
	speakWith(t, agent, c)
	require.Len(t, w.tap.asked(), asked, "the server does not even ask")
	select {
	case err := <-drained:
		t.Fatal("drained with a call", err)
	default:
	}
	require.Equal(t, pb.JobStatus_JS_RUNNING, w.tap.status(job.ID()))
	job.Shutdown("")
	require.NoError(t, <-drained)
	require.Equal(t, pb.JobStatus_JS_SUCCESS, w.tap.status(job.ID()))
	require.Equal(t, "connected", w.Info().State, "until it is closed")
	require.Empty(t, w.jobs)
}

// A drain that does not end in its time says so, and the worker can then be closed, which ends the call in good order.
// worker 6.
func TestADrainTimesOutWithACall(t *testing.T) {
	t.Parallel()
	w := work(t, server, livekit.WorkerOptions{})
	w.dispatch(newRoom(), "")
	job := w.joined()
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	require.ErrorIs(t, w.Drain(ctx), context.DeadlineExceeded)
	require.NoError(t, w.Close())
	require.NoError(t, <-w.stopped)
	require.Equal(t, pb.JobStatus_JS_SUCCESS, w.tap.status(job.ID()))
	reason, _ := job.EndReason()
	require.Equal(t, livekit.EndWorkerClosed, reason)
	eventually(t, "the server sees it leave", goodbye, func() bool { return len(participants(t, server, job.RoomName())) == 0 })
}

// The server dies under a running worker and comes back at the same address: the worker registers again, says which jobs
// it has, and takes new ones; the call that it had goes on, too, with both in a room again.
// worker 45. Pitfall 13.
func TestTheServerIsKilledAndComesBack(t *testing.T) {
	t.Parallel()
	ports, err := liveserver.FreePorts()
	require.NoError(t, err)
	process, on := startServerProcess(t, ports)
	w := work(t, on, livekit.WorkerOptions{})
	w.dispatch(newRoom(), "before")
	running := w.joined()

	process.kill()
	eventually(t, "the worker knows", 10*time.Second, func() bool { return w.Info().State != "connected" })
	_, on = startServerProcess(t, ports)
	w.on = on
	w.registered()
	w.dispatch(newRoom(), "after")
	require.Equal(t, "after", w.joined().Metadata())

	require.Equal(t, []string{running.ID()}, slices.Concat(said(w.tap, func(m *pb.WorkerMessage) ([]string, bool) {
		return m.GetMigrateJob().GetJobIds(), m.GetMigrateJob() != nil
	})...))
	eventually(t, "the call goes on", 20*time.Second, func() bool {
		list, err := roomsOf(on).ListParticipants(within(t, 5*time.Second), &pb.ListParticipantsRequest{Room: running.RoomName()})
		return err == nil && len(list.Participants) == 1 && list.Participants[0].Identity == running.Identity()
	})
	reason, _ := running.EndReason()
	require.Equal(t, livekit.EndNone, reason)
}

// The worker's connection is cut while a call runs: the call does not notice, and the worker comes back for more.
// worker 45.
func TestTheWorkersConnectionIsCut(t *testing.T) {
	t.Parallel()
	room := newRoom()
	made := make(chan *agentSide, 2)
	w := work(t, server, livekit.WorkerOptions{Entrypoint: talking(made, "a short answer")})
	w.dispatch(room, "")
	job, agent := w.joined(), <-made
	c := call(t, server, room, "caller")
	c.publish()
	agent.linked(t, "caller")
	was := w.Info().WorkerID
	w.tap.cut()
	speakWith(t, agent, c)
	eventually(t, "the worker is registered anew", 10*time.Second, func() bool {
		i := w.Info()
		return i.State == "connected" && i.WorkerID != was
	})
	w.dispatch(newRoom(), "")
	require.NotEqual(t, room, w.joined().RoomName())
	speakWith(t, agent, c)
	reason, _ := job.EndReason()
	require.Equal(t, livekit.EndNone, reason)
	require.Equal(t, []*pb.UpdateJobStatus{w.tap.statuses(job.ID())[0]}, w.tap.statuses(job.ID()), "nothing of it was said twice")
}

// The agent joins with the token of its assignment and, when the connection to the room breaks, again with the one that
// the server has given it since; the job goes on.
// Pitfall 19.
func TestTheRoomIsJoinedAgainUnderAJob(t *testing.T) {
	t.Parallel()
	again := make(chan struct{}, 1)
	w := work(t, server, livekit.WorkerOptions{Entrypoint: func(ctx context.Context, job *livekit.Job) error {
		return job.Connect(ctx, livekit.ConnectOptions{Callback: &lksdk.RoomCallback{OnReconnected: func() { again <- struct{}{} }}})
	}})
	w.dispatch(newRoom(), "")
	job := w.joined()
	claims, err := job.TokenClaims()
	require.NoError(t, err)
	require.Equal(t, verified(t, w.tap.assignment(job.ID()).Token).Identity, claims.Identity)
	sid := participants(t, server, job.RoomName())[0].Sid
	job.Room().Simulate(lksdk.SimulateNodeFailure)
	select {
	case <-again:
	case <-within(t, 20*time.Second).Done():
		t.Fatal("the room was not joined again")
	}
	eventually(t, "the agent is there anew", 10*time.Second, func() bool {
		list := participants(t, server, job.RoomName())
		return len(list) == 1 && list[0].Sid != sid && list[0].Identity == job.Identity()
	})
	reason, _ := job.EndReason()
	require.Equal(t, livekit.EndNone, reason)
	require.Empty(t, w.tap.terminations())
}

// A participant who drops and returns is met again, and the job goes on.
func TestAParticipantDropsAndReturns(t *testing.T) {
	t.Parallel()
	room := newRoom()
	met := make(chan string, 4)
	w := work(t, server, livekit.WorkerOptions{Entrypoint: func(ctx context.Context, job *livekit.Job) error {
		if err := job.AddParticipantEntrypoint("meet", func(_ context.Context, _ *livekit.Job, p *lksdk.RemoteParticipant) error {
			met <- p.SID()
			return nil
		}); err != nil {
			return err
		}
		return job.Connect(ctx, livekit.ConnectOptions{})
	}})
	w.dispatch(room, "")
	job := w.joined()
	var sids []string
	for range 2 {
		c := call(t, server, room, "caller")
		c.publish()
		select {
		case sid := <-met:
			sids = append(sids, sid)
		case <-within(t, 10*time.Second).Done():
			t.Fatal("the caller was not met")
		}
		c.room.Disconnect()
		eventually(t, "the caller is gone", goodbye, func() bool { return len(job.Room().GetRemoteParticipants()) == 0 })
	}
	require.NotEqual(t, sids[0], sids[1])
	reason, _ := job.EndReason()
	require.Equal(t, livekit.EndNone, reason)
}

// Waiting for a participant finds who comes, who is there, whom it is for, other agents if they are asked for, and ends
// with the room; waiting for a track, what can be read.
// worker 21 and 22.
func TestWaitingForParticipantsInARoom(t *testing.T) {
	t.Parallel()
	room := newRoom()
	w := work(t, server, livekit.WorkerOptions{})
	w.dispatch(room, "")
	job := w.joined()
	wait := func(o livekit.WaitOptions) (string, error) {
		p, err := job.WaitForParticipant(within(t, 10*time.Second), o)
		if err != nil {
			return "", err
		}
		return p.Identity(), nil
	}
	waiting := func(o livekit.WaitOptions) chan string {
		found := make(chan string, 1)
		go func() {
			name, err := wait(o)
			found <- fmt.Sprint(name, err)
		}()
		return found
	}
	first := waiting(livekit.WaitOptions{})
	// Agents are not waited for unless that is said, and others are met in the order in which they come.
	call(t, server, room, "bot", callerOptions{kind: pb.ParticipantInfo_AGENT}).publish()
	name, err := wait(livekit.WaitOptions{Kinds: []lksdk.ParticipantKind{lksdk.ParticipantAgent}})
	require.NoError(t, err)
	require.Equal(t, "bot", name)
	require.Empty(t, first)
	call(t, server, room, "ann").publish()
	require.Equal(t, "ann<nil>", <-first)
	name, err = wait(livekit.WaitOptions{})
	require.NoError(t, err)
	require.Equal(t, "ann", name, "is there already")
	track, err := job.WaitForTrack(within(t, 10*time.Second), livekit.TrackWaitOptions{Identity: "ann", Subscribed: true})
	require.NoError(t, err)
	_, _, err = track.TrackRemote().ReadRTP()
	require.NoError(t, err)
	second := waiting(livekit.WaitOptions{Identity: "tel"})
	call(t, server, room, "tel", callerOptions{kind: pb.ParticipantInfo_SIP}).publish()
	require.Equal(t, "tel<nil>", <-second)

	nobody := waiting(livekit.WaitOptions{Identity: "nobody"})
	deleted := time.Now()
	require.NoError(t, job.DeleteRoom(within(t, 5*time.Second)))
	require.Equal(t, livekit.ErrRoomDisconnected.Error(), <-nobody)
	require.Less(t, time.Since(deleted), 5*time.Second)
}

// Jobs that panic, fail, do not end, or panic where the room calls them hurt nobody: the call beside them goes on, the
// server is told of each how it went, and the worker takes further jobs.
// worker 47 and 48. Pitfall 7.
func TestBadJobsInRealRooms(t *testing.T) {
	t.Parallel()
	hang := make(chan struct{})
	made := make(chan *agentSide, 1)
	good := talking(made, "a short answer")
	w := work(t, server, livekit.WorkerOptions{
		EntrypointGrace: 100 * time.Millisecond, AbandonAfter: 200 * time.Millisecond,
		Entrypoint: func(ctx context.Context, job *livekit.Job) error {
			switch job.Metadata() {
			case "good":
				return good(ctx, job)
			case "callback":
				return job.Connect(ctx, livekit.ConnectOptions{Callback: &lksdk.RoomCallback{
					OnParticipantConnected: func(*lksdk.RemoteParticipant) { panic("in a callback") },
				}})
			}
			if err := job.Connect(ctx, livekit.ConnectOptions{}); err != nil {
				return err
			}
			switch job.Metadata() {
			case "panics":
				panic("in the entrypoint")
			case "fails":
				return errors.New("has no model")
			case "hangs":
				<-hang
			}
			return nil
		},
	})
	t.Cleanup(func() { close(hang) })
	room := newRoom()
	w.dispatch(room, "good")
	w.joined()
	agent := <-made
	c := call(t, server, room, "caller")
	c.publish()
	agent.linked(t, "caller")
	for metadata, want := range map[string]struct {
		status pb.JobStatus
		text   string
		end    func(*livekit.Job)
	}{
		"panics":   {pb.JobStatus_JS_FAILED, "in the entrypoint", func(*livekit.Job) {}},
		"fails":    {pb.JobStatus_JS_FAILED, "has no model", func(*livekit.Job) {}},
		"hangs":    {pb.JobStatus_JS_FAILED, "entrypoint did not end", func(j *livekit.Job) { j.Shutdown("") }},
		"callback": {pb.JobStatus_JS_FAILED, "in a callback", func(j *livekit.Job) { call(t, server, j.RoomName(), "somebody").publish() }},
		"ends":     {pb.JobStatus_JS_SUCCESS, "", func(j *livekit.Job) { j.Shutdown("") }},
	} {
		w.dispatch(newRoom(), metadata)
		job := w.job()
		eventually(t, metadata+" has joined", 10*time.Second, func() bool { return !job.Times().Connected.IsZero() })
		want.end(job)
		eventually(t, metadata+" is reported", 10*time.Second, func() bool { return w.tap.status(job.ID()) >= pb.JobStatus_JS_SUCCESS })
		all := w.tap.statuses(job.ID())
		require.Equal(t, want.status, all[len(all)-1].Status, metadata)
		require.Contains(t, all[len(all)-1].Error, want.text)
		require.Len(t, all, 2, "running, and the end")
		eventually(t, metadata+" has left", goodbye, func() bool {
			return !slices.ContainsFunc(participants(t, server, job.RoomName()), func(p *pb.ParticipantInfo) bool { return p.Identity == job.Identity() })
		})
	}
	speakWith(t, agent, c)
	eventually(t, "only the good one is left", 5*time.Second, func() bool { return w.Info().ActiveJobs == 1 })
}

// A callback that never returns, in which the SDK may hold its locks, does not keep its job from ending.
// Pitfall 16.
func TestACallbackThatHangs(t *testing.T) {
	t.Parallel()
	hang, hangs := make(chan struct{}), make(chan struct{}, 8)
	w := work(t, server, livekit.WorkerOptions{
		EntrypointGrace: 100 * time.Millisecond, AbandonAfter: 200 * time.Millisecond, LeaveTimeout: time.Second,
		Entrypoint: func(ctx context.Context, job *livekit.Job) error {
			greet := func(context.Context, *livekit.Job, *lksdk.RemoteParticipant) error { return nil }
			return errors.Join(job.AddParticipantEntrypoint("greet", greet), job.Connect(ctx, livekit.ConnectOptions{
				Callback: &lksdk.RoomCallback{ParticipantCallback: lksdk.ParticipantCallback{
					OnAttributesChanged: func(changed map[string]string, _ lksdk.Participant) {
						if changed["mood"] != "" {
							hangs <- struct{}{}
							<-hang
						}
					},
				}},
			}))
		},
	})
	t.Cleanup(func() { close(hang) })
	room := newRoom()
	w.dispatch(room, "")
	job := w.joined()
	c := call(t, server, room, "caller")
	c.room.LocalParticipant.SetAttributes(map[string]string{"mood": "good"})
	select {
	case <-hangs:
	case <-within(t, 10*time.Second).Done():
		t.Fatal("the callback was not called")
	}
	c.publish()
	job.Shutdown("")
	w.over()
}

// The job ends in its order: the session is closed, OnSessionEnd and BeforeLeave run while the agent is still in the room,
// the server takes note of the success, and only then does the agent leave, so that no termination comes for a job that
// the server would else believe to have failed.
// worker 48. Pitfall 17.
func TestTheEndsOfSessionAndJobAreInOrder(t *testing.T) {
	t.Parallel()
	room := newRoom()
	made := make(chan *agentSide, 1)
	talk := talking(made, "an answer that is so long that it is never heard to its end, as the job ends before it does")
	var mu sync.Mutex
	var order []string
	note := func(what string) {
		mu.Lock()
		defer mu.Unlock()
		order = append(order, what)
	}
	closed := make(chan func() agents.CloseReason, 1)
	inRoom := func() int { // not participants, which may end the test's goroutine only
		list, err := roomsOf(server).ListParticipants(context.Background(), &pb.ListParticipantsRequest{Room: room})
		if err != nil {
			t.Error(err)
		}
		return len(list.GetParticipants())
	}
	w := work(t, server, livekit.WorkerOptions{
		Entrypoint: func(ctx context.Context, job *livekit.Job) error {
			_ = job.BeforeLeave(func(context.Context, string) error {
				note(fmt.Sprint("BeforeLeave, in the room ", inRoom()))
				return nil
			})
			_ = job.OnShutdown(func(_ context.Context, reason string) error { note("OnShutdown, " + reason); return nil })
			return talk(ctx, job)
		},
		OnSessionEnd: func(context.Context, *livekit.Job) error {
			note("closed, " + string((<-closed)()))
			note(fmt.Sprint("OnSessionEnd, in the room ", inRoom()))
			return nil
		},
	})
	w.dispatch(room, "")
	job, agent := w.joined(), <-made
	closed <- closeReason(t, agent.session)
	left := make(chan time.Time, 1)
	c := call(t, server, room, "caller", callerOptions{callback: &lksdk.RoomCallback{
		OnParticipantDisconnected: func(*lksdk.RemoteParticipant) { left <- time.Now() },
	}})
	c.publish()
	agent.linked(t, "caller")
	speakUntil(t, c, "the caller hears the agent", func() bool { return c.loudness("roomio_audio", agentTone) > 200*time.Millisecond })
	const slow = 300 * time.Millisecond // that the server is busy; less than the worker waits for it
	w.tap.holdEnds(slow)
	job.Shutdown("enough said")
	w.over()
	mu.Lock()
	require.Equal(t, []string{"closed, job_shutdown", "OnSessionEnd, in the room 2", "BeforeLeave, in the room 2", "OnShutdown, enough said"}, order)
	mu.Unlock()
	require.GreaterOrEqual(t, (<-left).Sub(w.tap.endReported(job.ID())), slow, "the agent stays until the server has taken note")
	require.Equal(t, pb.JobStatus_JS_SUCCESS, w.tap.status(job.ID()))
	require.Empty(t, w.tap.terminations())
}

// The caller hangs up, the session closes, and the job that waited for that ends.
func TestTheJobEndsWithItsSession(t *testing.T) {
	t.Parallel()
	room := newRoom()
	made := make(chan *agentSide, 1)
	talk := talking(made, "a short answer")
	w := work(t, server, livekit.WorkerOptions{Entrypoint: func(ctx context.Context, job *livekit.Job) error {
		if err := talk(ctx, job); err != nil {
			return err
		}
		side := <-made
		made <- side
		defer job.Shutdown("the caller has gone")
		return side.session.Wait()
	}})
	w.dispatch(room, "")
	job := w.joined()
	c := call(t, server, room, "caller")
	c.publish()
	eventually(t, "the caller is linked", 10*time.Second, func() bool { return job.RoomIO() != nil && job.RoomIO().Participant() != nil })
	c.room.Disconnect()
	w.over()
	_, text := job.EndReason()
	require.Equal(t, "the caller has gone", text)
	require.Equal(t, pb.JobStatus_JS_SUCCESS, w.tap.status(job.ID()))
}

// Whoever deletes the dispatch ends its job; whoever deletes the room, too. Both are no failures.
func TestAJobIsEndedByTheServer(t *testing.T) {
	for name, c := range map[string]struct {
		end    func(*livekit.Job) error
		reason livekit.EndReason
	}{
		"dispatch deleted": {func(j *livekit.Job) error {
			_, err := dispatches(server).DeleteDispatch(context.Background(), &pb.DeleteAgentDispatchRequest{DispatchId: j.Info().DispatchId, Room: j.RoomName()})
			return err
		}, livekit.EndTerminated},
		"room deleted": {func(j *livekit.Job) error {
			_, err := roomsOf(server).DeleteRoom(context.Background(), &pb.DeleteRoomRequest{Room: j.RoomName()})
			return err
		}, livekit.EndRoomDisconnected},
		"put out of the room": {func(j *livekit.Job) error {
			_, err := roomsOf(server).RemoveParticipant(context.Background(), &pb.RoomParticipantIdentity{Room: j.RoomName(), Identity: j.Identity()})
			return err
		}, livekit.EndRoomDisconnected},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := work(t, server, livekit.WorkerOptions{})
			w.dispatch(newRoom(), "")
			job := w.joined()
			require.NoError(t, c.end(job))
			w.over()
			reason, text := job.EndReason()
			require.Equal(t, c.reason, reason, text)
			require.Equal(t, pb.JobStatus_JS_SUCCESS, w.tap.status(job.ID()))
		})
	}
}
