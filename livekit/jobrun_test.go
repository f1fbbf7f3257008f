package livekit

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	pb "github.com/livekit/protocol/livekit"
	lksdk "github.com/livekit/server-sdk-go/v2"
	"github.com/stretchr/testify/require"

	"github.com/parley-voice/agents"
)

// jobs makes an entrypoint that hands its jobs out, by id.
func jobs(into map[string]*Job, f func(context.Context, *Job) error) func(context.Context, *Job) error {
	return func(ctx context.Context, j *Job) error {
		into[j.ID()] = j
		return f(ctx, j)
	}
}

var _ JobSession = (*agents.AgentSession)(nil)

type closer func() error

func (f closer) Close() error { return f() }

// The end of a job has its order: entrypoint, session, OnSessionEnd, BeforeLeave, status, room, OnShutdown, directory.
func TestShutdownOrder(t *testing.T) {
	var order []string
	got := map[string]*Job{}
	var dir string
	o := workerOptions(jobs(got, func(ctx context.Context, j *Job) error {
		require.NoError(t, j.Connect(ctx, ConnectOptions{}))
		dir, _ = j.Directory()
		_ = j.OnShutdown(func(_ context.Context, reason string) error {
			_, err := os.Stat(dir)
			require.NoError(t, err)
			order = append(order, "OnShutdown: "+reason)
			return nil
		})
		_ = j.BeforeLeave(func(context.Context, string) error { order = append(order, "BeforeLeave"); return nil })
		<-j.Done()
		require.NoError(t, ctx.Err())
		order = append(order, "entrypoint")
		return nil
	}))
	o.OnSessionEnd = func(context.Context, *Job) error { order = append(order, "OnSessionEnd"); return nil }
	inBubble(t, o, func(t *testing.T, rig *workerRig) {
		rig.dispatch("AJ_one")
		rig.room("room-AJ_one").onLeave = func() {
			order = append(order, "leave, "+rig.server.Status("AJ_one").String())
		}
		got["AJ_one"].Shutdown("done here")
		synctest.Wait()
		require.Equal(t, []string{"entrypoint", "OnSessionEnd", "BeforeLeave", "leave, JS_SUCCESS", "OnShutdown: done here"}, order)
		_, err := os.Stat(dir)
		require.ErrorIs(t, err, os.ErrNotExist)
		require.ErrorIs(t, got["AJ_one"].Connect(t.Context(), ConnectOptions{}), ErrJobEnded)
		require.ErrorIs(t, got["AJ_one"].OnShutdown(nil), ErrJobEnded)
	})
}

// worker 48: what the server hears of a job's end, before the agent leaves; afterwards it would take the job for failed.
func TestFinalStatusBeforeLeaving(t *testing.T) {
	for name, c := range map[string]struct {
		end    func(*workerRig, *Job)
		status pb.JobStatus
		text   string
		reason EndReason
	}{
		"requested":    {func(_ *workerRig, j *Job) { j.Shutdown("") }, pb.JobStatus_JS_SUCCESS, "", EndRequested},
		"terminated":   {func(r *workerRig, _ *Job) { _ = r.server.Terminate("AJ_one") }, pb.JobStatus_JS_SUCCESS, "", EndTerminated},
		"worker":       {func(r *workerRig, _ *Job) { _ = r.w.Close() }, pb.JobStatus_JS_SUCCESS, "", EndWorkerClosed},
		"room closed":  {func(r *workerRig, _ *Job) { r.room("room-AJ_one").callback.OnDisconnectedWithReason(lksdk.RoomClosed) }, pb.JobStatus_JS_SUCCESS, "", EndRoomDisconnected},
		"room lost":    {func(r *workerRig, _ *Job) { r.room("room-AJ_one").callback.OnDisconnectedWithReason(lksdk.Failed) }, pb.JobStatus_JS_FAILED, "connection to room failed", EndRoomLost},
		"error":        {func(_ *workerRig, j *Job) { j.crash(errors.New("no model")) }, pb.JobStatus_JS_FAILED, "no model", EndCrashed},
		"panic":        {func(_ *workerRig, j *Job) { j.Go(func(context.Context) error { panic("boom") }) }, pb.JobStatus_JS_FAILED, "boom", EndCrashed},
		"in callbacks": {func(r *workerRig, _ *Job) { r.room("room-AJ_one").callback.OnReconnecting() }, pb.JobStatus_JS_FAILED, "OnReconnecting", EndCrashed},
	} {
		t.Run(name, func(t *testing.T) {
			got := map[string]*Job{}
			o := workerOptions(jobs(got, func(ctx context.Context, j *Job) error {
				defer func() { <-j.Done() }()
				return j.Connect(ctx, ConnectOptions{Callback: &lksdk.RoomCallback{OnReconnecting: func() { panic("no") }}})
			}))
			inBubble(t, o, func(t *testing.T, rig *workerRig) {
				rig.dispatch("AJ_one")
				atLeave := pb.JobStatus_JS_PENDING
				rig.room("room-AJ_one").onLeave = func() {
					atLeave = rig.server.Status("AJ_one")
					rig.server.AgentLeft("AJ_one")
				}
				c.end(rig, got["AJ_one"])
				synctest.Wait()
				require.Equal(t, c.status, atLeave)
				require.Equal(t, c.status, rig.server.Status("AJ_one"))
				require.Contains(t, rig.server.Failure("AJ_one"), c.text)
				reason, _ := got["AJ_one"].EndReason()
				require.Equal(t, c.reason, reason)
				got["AJ_one"].Shutdown("later")
				again, _ := got["AJ_one"].EndReason()
				require.Equal(t, reason, again, "the first reason stays")
			})
		})
	}
}

// An entrypoint that fails ends its job as failed; one that returns nil does not, while the room lives.
func TestEntrypointReturns(t *testing.T) {
	o := workerOptions(func(ctx context.Context, j *Job) error {
		switch j.ID() {
		case "AJ_fails":
			return errors.New("cannot start")
		case "AJ_unconnected":
			return nil
		}
		return j.Connect(ctx, ConnectOptions{})
	})
	inBubble(t, o, func(t *testing.T, rig *workerRig) {
		for _, id := range []string{"AJ_fails", "AJ_unconnected", "AJ_connected"} {
			rig.dispatch(id)
		}
		require.Equal(t, pb.JobStatus_JS_FAILED, rig.server.Status("AJ_fails"))
		require.Equal(t, "cannot start", rig.server.Failure("AJ_fails"))
		require.Equal(t, []string{"AJ_connected", "AJ_unconnected"}, rig.running())
		time.Sleep(time.Hour)
		synctest.Wait()
		require.Equal(t, []string{"AJ_connected"}, rig.running(), "a job that nothing can end gives its place back")
		require.Contains(t, rig.logs.String(), "returned without joining")
	})
}

// An entrypoint that neither connects nor ends the job is worth a warning after ten seconds.
func TestUnconnectedEntrypointIsWarnedOf(t *testing.T) {
	o := workerOptions(func(ctx context.Context, _ *Job) error { <-ctx.Done(); return nil })
	inBubble(t, o, func(t *testing.T, rig *workerRig) {
		rig.dispatch("AJ_one")
		time.Sleep(9999 * time.Millisecond)
		require.NotContains(t, rig.logs.String(), "not joined yet")
		time.Sleep(time.Millisecond)
		synctest.Wait()
		require.Contains(t, rig.logs.String(), "not joined yet")
	})
}

// worker 15 and 16: OnShutdown runs once, though the session never closes, and though the entrypoint fails at the end.
func TestShutdownCallbacksAlwaysRunOnce(t *testing.T) {
	got, calls := map[string]*Job{}, 0
	var hang chan struct{}
	o := workerOptions(jobs(got, func(ctx context.Context, j *Job) error {
		_ = j.AddSession(closer(func() error { <-hang; return nil }))
		_ = j.OnShutdown(func(context.Context, string) error { calls++; return errors.New("of no consequence") })
		_ = j.Connect(ctx, ConnectOptions{})
		<-j.Done()
		return errors.New("late failure")
	}))
	inBubble(t, o, func(t *testing.T, rig *workerRig) {
		hang = make(chan struct{})
		defer close(hang)
		rig.dispatch("AJ_one")
		start := time.Now()
		got["AJ_one"].Shutdown("")
		<-got["AJ_one"].over
		require.Equal(t, 1, calls)
		require.Equal(t, 65*time.Second, time.Since(start), "60 s for the session and 5 s until it is abandoned")
		require.Equal(t, "1", rig.metric("lk_agents_job_abandoned_total"))
		synctest.Wait()
		rig.dispatch("AJ_two")
	})
}

// worker 14: a callback that hangs while the worker closes has ten seconds, and half of five to heed its context.
func TestHungShutdownCallbackDoesNotHoldClose(t *testing.T) {
	var hang chan struct{}
	o := workerOptions(func(ctx context.Context, j *Job) error {
		_ = j.OnShutdown(func(context.Context, string) error { <-hang; return nil })
		return untilShutdown(ctx, j)
	})
	inBubble(t, o, func(t *testing.T, rig *workerRig) {
		hang = make(chan struct{})
		defer close(hang)
		rig.dispatch("AJ_one")
		start := time.Now()
		require.NoError(t, rig.w.Close())
		require.Equal(t, 12500*time.Millisecond, time.Since(start))
		require.Equal(t, pb.JobStatus_JS_SUCCESS, rig.server.Status("AJ_one"), "the status was sent before")
		require.Contains(t, rig.logs.String(), "jobrun_test.go", "the log says where it hangs")
	})
}

// worker 13: closing a worker without jobs runs no callbacks and takes no time.
func TestCloseWithoutJobs(t *testing.T) {
	o := workerOptions(untilShutdown)
	o.OnSessionEnd = func(context.Context, *Job) error { t.Error("no job ran"); return nil }
	inBubble(t, o, func(t *testing.T, rig *workerRig) {
		start := time.Now()
		require.NoError(t, rig.w.Close())
		require.NoError(t, <-rig.ran)
		require.Equal(t, start, time.Now())
	})
}

// worker 47: jobs that panic, fail, block for ever, end their goroutine or leave goroutines behind do so alone: the others
// go on, what happened is reported and counted, and the worker takes further jobs.
func TestBadJobsHurtNobodyElse(t *testing.T) {
	var hang chan struct{}
	got := map[string]*Job{}
	o := workerOptions(jobs(got, func(ctx context.Context, j *Job) error {
		switch j.ID() {
		case "AJ_panics":
			panic("at once")
		case "AJ_blocks":
			<-hang
			return nil
		case "AJ_leaks":
			go func() { <-hang }()
			go func() { <-hang }()
		case "AJ_nil":
			var p *Job
			_ = p.id
		}
		return untilShutdown(ctx, j)
	}))
	inBubble(t, o, func(t *testing.T, rig *workerRig) {
		hang = make(chan struct{})
		defer close(hang)
		for _, id := range []string{"AJ_good", "AJ_panics", "AJ_blocks", "AJ_leaks", "AJ_nil"} {
			rig.dispatch(id)
		}
		require.Equal(t, []string{"AJ_blocks", "AJ_good", "AJ_leaks"}, rig.running())
		require.Equal(t, pb.JobStatus_JS_FAILED, rig.server.Status("AJ_panics"))
		require.Contains(t, rig.server.Failure("AJ_panics"), "at once")
		require.Equal(t, pb.JobStatus_JS_FAILED, rig.server.Status("AJ_nil"))
		require.Equal(t, "2", rig.metric("lk_agents_job_panics_total"))

		start := time.Now()
		got["AJ_blocks"].Shutdown("")
		got["AJ_leaks"].Shutdown("")
		<-got["AJ_blocks"].over
		require.Equal(t, 20*time.Second, time.Since(start), "15 s of grace and 5 s to heed the context")
		synctest.Wait()
		require.Equal(t, pb.JobStatus_JS_FAILED, rig.server.Status("AJ_blocks"))
		require.Contains(t, rig.server.Failure("AJ_blocks"), "did not end")
		require.Equal(t, pb.JobStatus_JS_SUCCESS, rig.server.Status("AJ_leaks"))
		require.Equal(t, "1", rig.metric("lk_agents_job_abandoned_total"))
		time.Sleep(30 * time.Second)
		synctest.Wait()
		require.Equal(t, "3", rig.metric("lk_agents_job_leaked_goroutines_total"), "two of one job, and the one that blocks")
		require.Contains(t, rig.logs.String(), "left goroutines behind")

		require.Equal(t, pb.JobStatus_JS_RUNNING, rig.server.Status("AJ_good"))
		rig.dispatch("AJ_more")
		require.Equal(t, []string{"AJ_good", "AJ_more"}, rig.running())
	})
}

// Participants are greeted once each, whenever they come, and again when they come again, of which the SDK says nothing if
// it had not let go of them yet; a second entrypoint of the same name is an error.
func TestParticipantEntrypoints(t *testing.T) {
	got := map[string]*Job{}
	var greeted []string
	o := workerOptions(jobs(got, func(ctx context.Context, j *Job) error {
		greet := func(_ context.Context, _ *Job, p *lksdk.RemoteParticipant) error {
			greeted = append(greeted, p.Identity())
			return errors.New("only logged")
		}
		require.NoError(t, j.AddParticipantEntrypoint("greet", greet))
		require.Error(t, j.AddParticipantEntrypoint("greet", greet))
		return untilShutdown(ctx, j)
	}))
	inBubble(t, o, func(t *testing.T, rig *workerRig) {
		rig.dispatch("AJ_one")
		room := got["AJ_one"].Room()
		for _, p := range []*pb.ParticipantInfo{
			{Sid: "PA_1", Identity: "ann"}, {Sid: "PA_1", Identity: "ann", Metadata: "changed"},
			{Sid: "PA_2", Identity: "bot", Kind: pb.ParticipantInfo_AGENT},
		} {
			room.OnParticipantUpdate([]*pb.ParticipantInfo{p})
			synctest.Wait()
		}
		require.Equal(t, []string{"ann"}, greeted)
		room.OnParticipantUpdate([]*pb.ParticipantInfo{{Sid: "PA_3", Identity: "ann", Tracks: []*pb.TrackInfo{{Sid: "TR_1"}}}})
		synctest.Wait()
		require.Equal(t, []string{"ann", "ann"}, greeted)
		room.OnParticipantUpdate([]*pb.ParticipantInfo{{Sid: "PA_4", Identity: "ann"}})
		room.OnConnectionQuality([]*pb.ConnectionQualityInfo{{ParticipantSid: "PA_4"}})
		synctest.Wait()
		require.Equal(t, []string{"ann", "ann", "ann"}, greeted)
		require.Contains(t, rig.logs.String(), "only logged")
		require.Len(t, rig.running(), 1, "an error there is no crash")
	})
}

// worker 21: waiting finds who is there, who comes, only whom it is for, and ends with the room.
func TestWaitForParticipant(t *testing.T) {
	got := map[string]*Job{}
	inBubble(t, workerOptions(jobs(got, untilShutdown)), func(t *testing.T, rig *workerRig) {
		rig.dispatch("AJ_one")
		j := got["AJ_one"]
		join := func(p *pb.ParticipantInfo) { j.Room().OnParticipantUpdate([]*pb.ParticipantInfo{p}) }
		join(&pb.ParticipantInfo{Sid: "PA_0", Identity: "recorder", Kind: pb.ParticipantInfo_EGRESS})
		go func() {
			time.Sleep(time.Second)
			join(&pb.ParticipantInfo{Sid: "PA_1", Identity: "ann"})
			time.Sleep(time.Second)
			join(&pb.ParticipantInfo{Sid: "PA_2", Identity: "tel", Kind: pb.ParticipantInfo_SIP})
		}()
		start := time.Now()
		p, err := j.WaitForParticipant(t.Context(), WaitOptions{})
		require.NoError(t, err)
		require.Equal(t, "ann", p.Identity())
		require.Equal(t, time.Second, time.Since(start))
		p, err = j.WaitForParticipant(t.Context(), WaitOptions{Kinds: []lksdk.ParticipantKind{lksdk.ParticipantSIP}})
		require.NoError(t, err)
		require.Equal(t, "tel", p.Identity())
		require.Equal(t, 2*time.Second, time.Since(start))
		p, err = j.WaitForParticipant(t.Context(), WaitOptions{Identity: "ann"})
		require.NoError(t, err, "already there")
		require.Equal(t, "ann", p.Identity())
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		_, err = j.WaitForParticipant(ctx, WaitOptions{Identity: "nobody"})
		require.ErrorIs(t, err, context.DeadlineExceeded)
		time.AfterFunc(time.Second, func() { rig.room("room-AJ_one").callback.OnDisconnectedWithReason(lksdk.RoomClosed) })
		_, err = j.WaitForParticipant(t.Context(), WaitOptions{Identity: "nobody"})
		require.ErrorIs(t, err, ErrRoomDisconnected)
	})
}

// worker 22: waiting finds an agent by its name, a participant by what they have become, and a track, also one that was
// there; and whoever is waited for may leave.
func TestWaitForTracksAndAttributes(t *testing.T) {
	got := map[string]*Job{}
	inBubble(t, workerOptions(jobs(got, untilShutdown)), func(t *testing.T, rig *workerRig) {
		rig.dispatch("AJ_one")
		j := got["AJ_one"]
		is := func(p *pb.ParticipantInfo) { j.Room().OnParticipantUpdate([]*pb.ParticipantInfo{p}) }
		after := func(f func()) { time.AfterFunc(time.Second, f) }
		is(&pb.ParticipantInfo{Sid: "PA_0", Identity: "eva", Kind: pb.ParticipantInfo_AGENT})
		after(func() {
			is(&pb.ParticipantInfo{Sid: "PA_0", Identity: "eva", Kind: pb.ParticipantInfo_AGENT, Attributes: map[string]string{"lk.agent.name": "support"}})
		})
		start := time.Now()
		p, err := j.WaitForParticipant(t.Context(), WaitOptions{Agent: "support"})
		require.NoError(t, err)
		require.Equal(t, "eva", p.Identity())
		require.Equal(t, time.Second, time.Since(start))

		is(&pb.ParticipantInfo{Sid: "PA_1", Identity: "ann", Attributes: map[string]string{"mood": "bad"}})
		after(func() {
			is(&pb.ParticipantInfo{Sid: "PA_1", Identity: "ann", Attributes: map[string]string{"mood": "good"}})
		})
		p, err = j.WaitForParticipant(t.Context(), WaitOptions{Attributes: map[string]string{"mood": "good"}})
		require.NoError(t, err)
		require.Equal(t, "ann", p.Identity())
		require.Equal(t, 2*time.Second, time.Since(start))

		after(func() {
			is(&pb.ParticipantInfo{Sid: "PA_2", Identity: "ben", Tracks: []*pb.TrackInfo{{Sid: "TR_2", Type: pb.TrackType_AUDIO}}})
			is(&pb.ParticipantInfo{Sid: "PA_1", Identity: "ann", Tracks: []*pb.TrackInfo{{Sid: "TR_1", Type: pb.TrackType_AUDIO}}})
		})
		track, err := j.WaitForTrack(t.Context(), TrackWaitOptions{Identity: "ann"})
		require.NoError(t, err)
		require.Equal(t, "TR_1", track.SID())
		require.Equal(t, 3*time.Second, time.Since(start))
		track, err = j.WaitForTrack(t.Context(), TrackWaitOptions{Kind: lksdk.TrackKindAudio, Identity: "ben"})
		require.NoError(t, err, "already there")
		require.Equal(t, "TR_2", track.SID())

		after(func() { is(&pb.ParticipantInfo{Sid: "PA_2", Identity: "ben", State: pb.ParticipantInfo_DISCONNECTED}) })
		_, err = j.WaitForTrack(t.Context(), TrackWaitOptions{Kind: lksdk.TrackKindVideo, Identity: "ben"})
		require.ErrorIs(t, err, ErrParticipantLeft)
		require.Equal(t, 4*time.Second, time.Since(start))
		after(func() { j.Shutdown("") })
		_, err = j.WaitForTrack(t.Context(), TrackWaitOptions{Subscribed: true})
		require.ErrorIs(t, err, ErrJobEnded)
		require.Equal(t, 5*time.Second, time.Since(start))
	})
}

// What is said of a worker, or of its options, never shows its keys, however it is printed.
func TestWorkersPrintNoKeys(t *testing.T) {
	o := workerOptions(untilShutdown)
	o.WorkerToken, o.URL = "canary-token", "ws://livekit.test/?token=canary"
	w, err := NewWorker(o)
	require.NoError(t, err)
	var logs logBuffer
	slog.New(slog.NewJSONHandler(&logs, nil)).Info("both", "options", o, "worker", w)
	for _, v := range []any{o, &o, w, []any{w}} {
		require.NotContains(t, fmt.Sprintf("%v %+v %#v %s", v, v, v, v), "canary")
	}
	require.Contains(t, logs.String(), "WorkerOptions(unnamed)")
	require.NotContains(t, logs.String(), "canary")
}

// What is said of a job never shows its token, however it is printed.
func TestJobPrintsItselfOnly(t *testing.T) {
	j := &Job{id: "AJ_x", token: "canary"}
	for _, text := range []string{j.String(), j.GoString(), j.LogValue().String()} {
		require.False(t, strings.Contains(text, "canary"))
	}
}
