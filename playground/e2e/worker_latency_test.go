package e2e

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	pb "github.com/livekit/protocol/livekit"
	lksdk "github.com/livekit/server-sdk-go/v2"
	"github.com/pion/webrtc/v4"
	"github.com/stretchr/testify/require"

	"github.com/parley-voice/agents/livekit"
)

const (
	// serverShare is what the server itself takes between a dispatch and its question to the worker: it waits for other
	// nodes to offer themselves.
	serverShare = 202 * time.Millisecond
	// joinBudget is what everything else may take until the caller has the agent's track.
	joinBudget = 50 * time.Millisecond
)

// An agent's way into its room, from the dispatch to the caller having its track, alone and with fifty at once. Each part
// is logged; what is asserted is wide, as the machine may be busy with other things, and the budget is logged against.
// Pitfall 11.
func TestHowSoonAnAgentIsThere(t *testing.T) {
	for _, n := range []int{1, 50} {
		t.Run(fmt.Sprint(n), func(t *testing.T) {
			made := make(chan *agentSide, n)
			talk := talking(made, "")
			w := work(t, server, livekit.WorkerOptions{Entrypoint: func(ctx context.Context, job *livekit.Job) error {
				// With fifty at once on a busy machine the ordinary ten seconds may be over.
				if err := job.Connect(ctx, livekit.ConnectOptions{Timeout: 50 * time.Second}); err != nil {
					return err
				}
				return talk(ctx, job)
			}})
			type way struct{ dispatched, subscribed time.Time }
			ways := map[string]*way{}
			var mu sync.Mutex
			var there sync.WaitGroup
			for range n {
				room, it := newRoom(), &way{}
				ways[room] = it
				there.Add(1)
				call(t, server, room, "caller", callerOptions{callback: &lksdk.RoomCallback{ParticipantCallback: lksdk.ParticipantCallback{
					OnTrackSubscribed: func(*webrtc.TrackRemote, *lksdk.RemoteTrackPublication, *lksdk.RemoteParticipant) {
						mu.Lock()
						defer mu.Unlock()
						if it.subscribed.IsZero() {
							it.subscribed = time.Now()
							there.Done()
						}
					},
				}}})
			}
			client := dispatches(server)
			for room, it := range ways {
				it.dispatched = time.Now()
				go func() {
					_, err := client.CreateDispatch(within(t, 30*time.Second), &pb.CreateAgentDispatchRequest{AgentName: w.Info().AgentName, Room: room})
					if err != nil {
						t.Error(err)
					}
				}()
			}
			all := make(chan struct{})
			go func() { there.Wait(); close(all) }()
			select {
			case <-all:
			case <-within(t, 60*time.Second).Done():
				t.Fatal("not every agent came")
			}
			parts := []string{"dispatch → asked", "asked → assigned", "assigned → connected", "connected → subscribed", "in all"}
			took := map[string][]time.Duration{}
			for range n {
				job := w.job()
				it, at := ways[job.RoomName()], job.Times()
				for i, d := range []time.Duration{
					at.Requested.Sub(it.dispatched), at.Assigned.Sub(at.Requested), at.Connected.Sub(at.Assigned),
					it.subscribed.Sub(at.Connected), it.subscribed.Sub(it.dispatched),
				} {
					took[parts[i]] = append(took[parts[i]], d.Round(100*time.Microsecond))
				}
			}
			for _, part := range parts {
				d := took[part]
				slices.Sort(d)
				t.Logf("%2d at once, %-24s p50 %v, p90 %v, most %v", n, part+":", d[n/2], d[n*9/10], d[n-1])
			}
			beyond := took["in all"][n/2] - serverShare
			t.Logf("%2d at once: p50 %v beyond the server's own %v; the budget is %v", n, beyond, serverShare, joinBudget)
			require.Len(t, w.tap.asked(), n)
			require.Equal(t, n, w.Info().ActiveJobs)
			if n == 1 {
				require.Less(t, beyond, 20*joinBudget)
			}
		})
	}
}

// Fifty jobs that end at once are all reported before the worker is closed.
// worker 48. Pitfall 15.
func TestFiftyJobsEndWithTheirWorker(t *testing.T) {
	const n = 50
	w := work(t, server, livekit.WorkerOptions{})
	var all sync.WaitGroup
	for range n {
		room := newRoom()
		all.Go(func() { w.dispatch(room, "") })
	}
	all.Wait()
	jobs := map[string]bool{}
	for range n {
		jobs[w.joined().ID()] = true
	}
	require.Len(t, jobs, n)
	require.NoError(t, w.Close())
	for id := range jobs {
		require.Equal(t, pb.JobStatus_JS_SUCCESS, w.tap.status(id))
	}
}
