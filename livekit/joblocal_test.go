package livekit

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	pb "github.com/livekit/protocol/livekit"
	lksdk "github.com/livekit/server-sdk-go/v2"
	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/proto"

	agents "github.com/parley-voice/agents"
	"github.com/parley-voice/agents/agenttest"
)

// localWorker is a worker without a server.
func localWorker(t *testing.T, entrypoint func(context.Context, *Job) error) (*Worker, *logBuffer) {
	logs := &logBuffer{}
	o := workerOptions(entrypoint)
	o.Logger = slog.New(slog.NewTextHandler(logs, nil))
	w, err := NewWorker(o)
	require.NoError(t, err)
	return w, logs
}

// Worker 2.12: a job without a server has no room and a user all the same; its session gets the IO, and the job ends
// with it in the order of any other.
func TestLocalJob(t *testing.T) {
	agenttest.Run(t, func(t *testing.T) {
		llm := agenttest.NewLLM(t, agenttest.OnUser("Hello?").Say("Hello there."))
		out := &localText{}
		var order []string
		var session *agents.AgentSession
		w, logs := localWorker(t, func(ctx context.Context, j *Job) error {
			require.NoError(t, j.AddParticipantEntrypoint("greet", func(_ context.Context, _ *Job, p *lksdk.RemoteParticipant) error {
				order = append(order, "greeted "+p.Identity())
				return nil
			}))
			require.NoError(t, j.OnShutdown(func(_ context.Context, reason string) error {
				order = append(order, "shutdown: "+reason)
				return nil
			}))
			s := agents.NewSession(agents.Options{LLM: llm})
			require.NoError(t, j.StartSession(ctx, s, &agents.Agent{Instructions: "Be kind."}, RoomOptions{}))
			p, err := j.WaitForParticipant(ctx, WaitOptions{})
			require.NoError(t, err)
			require.Equal(t, "mock_user", p.Identity())
			require.Empty(t, p.TrackPublications())
			require.Nil(t, j.Room())
			require.Nil(t, j.RoomIO())
			require.Equal(t, "console", j.RoomName())
			require.Equal(t, "agent", j.Identity())
			require.True(t, strings.HasPrefix(j.ID(), "job-"), j.ID())
			require.ErrorIs(t, j.StartSession(ctx, agents.NewSession(agents.Options{LLM: llm}), &agents.Agent{}, RoomOptions{}), ErrLocalSession)
			_, err = s.Run(ctx, "Hello?")
			require.NoError(t, err)
			_, err = j.AddSIPParticipant(ctx, SIPParticipant{CallTo: "+1", TrunkID: "ST_1", Identity: "tel"})
			require.NoError(t, err)
			require.NoError(t, j.TransferSIPParticipant(ctx, SIPTransfer{Identity: "tel", To: "tel:+1"}))
			return s.Close()
		})
		start := time.Now()
		require.NoError(t, w.RunJob(t.Context(), LocalJob{
			IO: agents.IO{TextOutput: out}, OnSession: func(_ *Job, s *agents.AgentSession) { session = s },
		}))
		require.Equal(t, []string{"greeted mock_user", "shutdown: the session has ended"}, order)
		require.Equal(t, "Hello there.", out.text)
		require.NotNil(t, session)
		require.NotNil(t, session.Options().LLM)
		require.Less(t, time.Since(start), time.Second, "no server is waited for")
		require.NotContains(t, logs.String(), "did not take note of the job's status", "nobody is told")
		require.Contains(t, logs.String(), "adding a SIP participant")
		require.Contains(t, logs.String(), "transferring a SIP participant")
		require.ErrorIs(t, w.RunJob(t.Context(), LocalJob{}), ErrWorkerClosed)
		require.NoError(t, w.Close())
	})
}

// A localText is a text output that keeps what it shows.
type localText struct{ text string }

func (o *localText) Capture(_ context.Context, text string) error { o.text += text; return nil }
func (o *localText) Flush()                                       {}

// Worker 2.12: what ends a job without a room.
func TestLocalJobEnds(t *testing.T) {
	boom := errors.New("boom")
	for _, tt := range []struct {
		name       string
		entrypoint func(context.Context, *Job) error
		during     func(w *Worker, cancel context.CancelCauseFunc)
		want       error
	}{
		{"it crashes", func(context.Context, *Job) error { return boom }, nil, boom},
		{"it panics", func(context.Context, *Job) error { panic(boom) }, nil, &PanicError{}},
		{"it wants to", func(_ context.Context, j *Job) error { j.Shutdown(""); return nil }, nil, nil},
		{"it deletes the room", func(ctx context.Context, j *Job) error { return j.DeleteRoom(ctx) }, nil, nil},
		{"the context ends", untilShutdown, func(_ *Worker, cancel context.CancelCauseFunc) { cancel(boom) }, boom},
		{"the worker closes", untilShutdown, func(w *Worker, _ context.CancelCauseFunc) { _ = w.Close() }, nil},
		{"nothing keeps it", func(context.Context, *Job) error { return nil }, nil, nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w, _ := localWorker(t, tt.entrypoint)
				shut := 0
				w.o.OnSessionEnd = func(context.Context, *Job) error { shut++; return nil }
				ctx, cancel := context.WithCancelCause(t.Context())
				defer cancel(nil)
				if tt.during != nil {
					go func() {
						time.Sleep(time.Second)
						tt.during(w, cancel)
					}()
				}
				err := w.RunJob(ctx, LocalJob{})
				var p *PanicError
				switch {
				case tt.want == nil:
					require.NoError(t, err)
				case errors.As(tt.want, &p):
					require.ErrorAs(t, err, &p)
				default:
					require.ErrorIs(t, err, tt.want)
				}
				require.Equal(t, 1, shut)
			})
		})
	}
}

// A fakeRoomService is the part of a server that lists and makes rooms.
type fakeRoomService struct {
	rooms []*pb.Room
	made  []string
	auth  []string
}

func (s *fakeRoomService) ServeHTTP(rw http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	s.auth = append(s.auth, r.Header.Get("Authorization"))
	var answer proto.Message
	switch {
	case strings.HasSuffix(r.URL.Path, "/ListRooms"):
		answer = &pb.ListRoomsResponse{Rooms: s.rooms}
	case strings.HasSuffix(r.URL.Path, "/CreateRoom"):
		var m pb.CreateRoomRequest
		_ = proto.Unmarshal(body, &m)
		s.made = append(s.made, m.Name)
		answer = &pb.Room{Name: m.Name, Sid: "RM_new"}
	default:
		http.NotFound(rw, r)
		return
	}
	data, _ := proto.Marshal(answer)
	rw.Header().Set("Content-Type", "application/protobuf")
	_, _ = rw.Write(data)
}

// Worker 4.2, connect: a job that nobody dispatched joins its room, which is made if it is missing, with a token of its
// own; and no endpoint is served.
func TestLocalJobJoins(t *testing.T) {
	for _, tt := range []struct {
		name, identity string
		rooms          []*pb.Room
		sid            string
		made           []string
	}{
		{"a new room", "", nil, "RM_new", []string{"lobby"}},
		{"a room that is there", "helper", []*pb.Room{{Name: "lobby", Sid: "RM_old"}}, "RM_old", nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			service := &fakeRoomService{rooms: tt.rooms}
			server := httptest.NewServer(service)
			defer server.Close()
			var got *Job
			w, _ := localWorker(t, func(ctx context.Context, j *Job) error {
				got = j
				defer j.Shutdown("")
				return j.Connect(ctx, ConnectOptions{})
			})
			w.server = server.URL
			w.o.HealthAddr = "192.0.2.1:1" // which cannot be listened on
			var at string
			left := false
			w.join = func(_ context.Context, url, _ string, cb *lksdk.RoomCallback, _ ...lksdk.ConnectOption) (*Room, func(), error) {
				at = url
				return NewRoom(cb), func() { left = true }, nil
			}
			require.NoError(t, w.RunJob(t.Context(), LocalJob{Room: "lobby", Identity: tt.identity, Join: true}))
			require.Equal(t, server.URL, at)
			require.True(t, left)
			require.Equal(t, tt.made, service.made)
			require.Equal(t, tt.sid, got.Info().GetRoom().GetSid())
			claims, err := got.TokenClaims()
			require.NoError(t, err)
			require.Equal(t, "lobby", claims.Video.Room)
			require.True(t, claims.Video.RoomJoin)
			if tt.identity != "" {
				require.Equal(t, tt.identity, claims.Identity)
			} else {
				require.Regexp(t, "^agent-[0-9a-f]{12}$", claims.Identity)
			}
			for _, header := range service.auth {
				require.True(t, strings.HasPrefix(header, "Bearer "), header)
			}
		})
	}
}

// Worker 4.2, connect: a server that cannot be asked is an error, without its secrets.
func TestLocalJobWithoutAServer(t *testing.T) {
	server := httptest.NewServer(http.NotFoundHandler())
	server.Close()
	w, _ := localWorker(t, untilShutdown)
	w.server = server.URL
	err := w.RunJob(t.Context(), LocalJob{Room: "lobby", Join: true})
	require.ErrorContains(t, err, `room "lobby"`)
	require.NotContains(t, err.Error(), testSecret)
}
