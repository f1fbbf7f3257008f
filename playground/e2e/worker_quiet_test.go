package e2e

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"testing"
	"time"

	pb "github.com/livekit/protocol/livekit"
	lksdk "github.com/livekit/server-sdk-go/v2"
	"github.com/stretchr/testify/require"

	"github.com/parley-voice/agents/livekit"
	"github.com/parley-voice/agents/playground/internal/liveserver"
)

type quietWorker struct{ URL, AgentName string }

// workQuietly is a worker without a logger, in a process of its own.
func workQuietly(ctx context.Context, arg string) error {
	var o quietWorker
	if err := json.Unmarshal([]byte(arg), &o); err != nil {
		return err
	}
	registered := make(chan struct{}, 8)
	talk := talking(make(chan *agentSide, 8), "a short answer")
	w, err := livekit.NewWorker(livekit.WorkerOptions{
		URL: o.URL, APIKey: liveserver.APIKey, APISecret: liveserver.APISecret, AgentName: o.AgentName,
		HealthAddr: livekit.NoListener, Load: func() float64 { return 0 },
		OnRegistered: func(string, *pb.ServerInfo) { registered <- struct{}{} },
		Entrypoint: func(ctx context.Context, job *livekit.Job) error {
			switch job.Metadata() {
			case "panics":
				panic("as it must")
			case "calls":
				_, err := job.AddSIPParticipant(ctx, livekit.SIPParticipant{CallTo: "+15105550100", TrunkID: "ST_none", Identity: "phone"})
				return err
			}
			if err := talk(ctx, job); err != nil {
				return err
			}
			if job.Metadata() == "reconnects" {
				job.Room().Simulate(lksdk.SimulateNodeFailure)
			}
			return nil
		},
	})
	if err != nil {
		return err
	}
	ran := make(chan error, 1)
	go func() { ran <- w.Run(context.Background()) }()
	select {
	case <-registered:
	case err := <-ran:
		return errors.Join(errors.New("not registered"), err)
	}
	fmt.Println(childReady)
	<-ctx.Done()
	if err := w.Close(); err != nil {
		return err
	}
	return <-ran
}

// Nothing below a worker that has no logger writes to standard error or output, whatever happens: conversations, panics,
// refusals, lost connections of the worker and of a room, rooms that are deleted.
func TestAWorkerWithoutALoggerIsSilent(t *testing.T) {
	t.Parallel()
	tp := newTap(t, server)
	o := quietWorker{tp.url, agentNames()}
	arg, err := json.Marshal(o)
	require.NoError(t, err)
	worker := startChild(t, "worker", string(arg))
	dispatch := func(metadata string) (room string) {
		room = newRoom()
		_, err := dispatches(server).CreateDispatch(within(t, 10*time.Second), &pb.CreateAgentDispatchRequest{AgentName: o.AgentName, Room: room, Metadata: metadata})
		require.NoError(t, err)
		return room
	}
	ended := func() int {
		return len(said(tp, func(m *pb.WorkerMessage) (any, bool) {
			return nil, m.GetUpdateJob().GetStatus() == pb.JobStatus_JS_FAILED
		}))
	}
	hear := func(room string) *caller {
		c := call(t, server, room, "caller")
		c.publish()
		speakUntil(t, c, "the caller hears an answer", func() bool { return c.loudness("roomio_audio", agentTone) > 100*time.Millisecond })
		return c
	}
	dispatch("panics")
	dispatch("calls")
	eventually(t, "two have failed", 10*time.Second, func() bool { return ended() == 2 })
	good := dispatch("good")
	hear(good).room.Disconnect()
	tp.cut()
	eventually(t, "the worker is back", 10*time.Second, func() bool {
		return len(heard(tp, func(m *pb.ServerMessage) (any, bool) { return nil, m.GetRegister() != nil })) == 2
	})
	hear(dispatch("reconnects"))
	_, err = roomsOf(server).DeleteRoom(within(t, 5*time.Second), &pb.DeleteRoomRequest{Room: good})
	require.NoError(t, err)
	require.Empty(t, worker.end(t))
	require.Empty(t, worker.stderr.String())
}
