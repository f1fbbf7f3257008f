package e2e

import (
	"context"
	"encoding/json"
	"testing"
	"time"

	pb "github.com/livekit/protocol/livekit"
	"github.com/stretchr/testify/require"

	"github.com/parley-voice/agents/livekit"
)

// A job asks the server's APIs with the worker's keys, and deletes its room, once or twice, which puts everybody out and
// ends the job.
func TestAJobUsesTheServersAPIs(t *testing.T) {
	t.Parallel()
	w := work(t, server, livekit.WorkerOptions{})
	w.dispatch(newRoom(), "")
	job := w.joined()
	c := call(t, server, job.RoomName(), "caller")
	ctx := within(t, 10*time.Second)
	list, err := job.API().Room().ListRooms(ctx, &pb.ListRoomsRequest{Names: []string{job.RoomName()}})
	require.NoError(t, err)
	require.Len(t, list.Rooms, 1)
	require.Equal(t, job.Info().Room.Sid, list.Rooms[0].Sid)
	require.NoError(t, job.DeleteRoom(ctx))
	w.over()
	_, text := job.EndReason()
	require.Contains(t, text, "ROOM_DELETED")
	eventually(t, "the caller is out", 5*time.Second, func() bool { return c.room.ConnectionState() == "disconnected" })
	require.ErrorIs(t, job.DeleteRoom(ctx), livekit.ErrJobEnded)

	w.dispatch(newRoom(), "")
	job = w.joined()
	_, err = roomsOf(server).DeleteRoom(ctx, &pb.DeleteRoomRequest{Room: job.RoomName()})
	require.NoError(t, err)
	if err := job.DeleteRoom(ctx); err != nil { // the job may have ended by now
		require.ErrorIs(t, err, livekit.ErrJobEnded)
	}
}

// The room is deleted although the job ends at the same moment.
func TestARoomIsDeletedAtTheJobsEnd(t *testing.T) {
	t.Parallel()
	w := work(t, server, livekit.WorkerOptions{Entrypoint: func(ctx context.Context, job *livekit.Job) error {
		_ = job.OnShutdown(func(ctx context.Context, _ string) error { return job.DeleteRoom(ctx) })
		return job.Connect(ctx, livekit.ConnectOptions{})
	}})
	w.dispatch(newRoom(), "")
	job := w.joined()
	job.Shutdown("")
	w.over()
	list, err := roomsOf(server).ListRooms(within(t, 5*time.Second), &pb.ListRoomsRequest{Names: []string{job.RoomName()}})
	require.NoError(t, err)
	require.Empty(t, list.Rooms)
}

// A server without telephony refuses calls and transfers. The error says what was tried, where and what the server said,
// and the job goes on.
// Pitfall 40.
func TestCallsByTelephoneAreRefusedClearly(t *testing.T) {
	t.Parallel()
	w := work(t, server, livekit.WorkerOptions{})
	w.dispatch(newRoom(), "")
	job := w.joined()
	ctx := within(t, 10*time.Second)
	_, err := job.AddSIPParticipant(ctx, livekit.SIPParticipant{CallTo: "+15105550100", TrunkID: "ST_none", Identity: "phone"})
	require.ErrorContains(t, err, "adding a SIP participant")
	require.ErrorContains(t, err, "sip not connected")
	c := call(t, server, job.RoomName(), "tel", callerOptions{kind: pb.ParticipantInfo_SIP})
	c.publish()
	err = job.TransferSIPParticipant(ctx, livekit.SIPTransfer{Identity: "tel", To: "tel:+15105550101"})
	require.ErrorContains(t, err, "transferring a SIP participant")
	call(t, server, job.RoomName(), "browser").publish()
	_, err = job.WaitForParticipant(ctx, livekit.WaitOptions{Identity: "browser"})
	require.NoError(t, err)
	err = job.TransferSIPParticipant(ctx, livekit.SIPTransfer{Identity: "browser", To: "tel:+15105550101"})
	require.ErrorContains(t, err, `participant "browser" did not come by telephone`)
	reason, _ := job.EndReason()
	require.Equal(t, livekit.EndNone, reason)
}

// What was said in a call is in the report that OnSessionEnd finds.
func TestACallIsReported(t *testing.T) {
	t.Parallel()
	made, reports := make(chan *agentSide, 1), make(chan []byte, 1)
	w := work(t, server, livekit.WorkerOptions{
		Entrypoint: talking(made, "a short answer"),
		OnSessionEnd: func(_ context.Context, job *livekit.Job) error {
			report, err := job.SessionReport()
			reports <- report
			return err
		},
	})
	w.dispatch(newRoom(), "")
	job, agent := w.joined(), <-made
	require.Same(t, agent.session, job.Session())
	c := call(t, server, job.RoomName(), "caller")
	c.publish()
	agent.linked(t, "caller")
	speakWith(t, agent, c)
	job.Shutdown("")
	w.over()
	var report struct {
		JobID       string `json:"job_id"`
		RoomID      string `json:"room_id"`
		ChatHistory struct {
			Items []struct {
				Role    string
				Content []string
			}
		} `json:"chat_history"`
	}
	require.NoError(t, json.Unmarshal(<-reports, &report))
	require.Equal(t, []string{job.ID(), job.Info().Room.Sid}, []string{report.JobID, report.RoomID})
	words := map[string][]string{}
	for _, item := range report.ChatHistory.Items {
		words[item.Role] = append(words[item.Role], item.Content...)
	}
	require.Contains(t, words["user"], "hello")
	require.Contains(t, words["assistant"], "a short answer")
}
