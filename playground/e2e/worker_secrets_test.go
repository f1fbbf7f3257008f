package e2e

import (
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/livekit/protocol/auth"
	pb "github.com/livekit/protocol/livekit"
	lksdk "github.com/livekit/server-sdk-go/v2"
	"github.com/stretchr/testify/require"

	agents "github.com/parley-voice/agents"
	"github.com/parley-voice/agents/livekit"
	"github.com/parley-voice/agents/playground/internal/liveserver"
)

// A failingLLM never answers.
type failingLLM struct{}

func (failingLLM) Chat(context.Context, agents.ChatRequest) iter.Seq2[agents.ChatChunk, error] {
	return func(yield func(agents.ChatChunk, error) bool) {
		yield(agents.ChatChunk{}, &agents.ProviderError{Provider: "test", Op: "chat", Status: 400, Err: errors.New("refused")})
	}
}

// Keys, secrets and tokens, wherever they were given, are in nothing that a worker shows: its log at debug, that of the
// SDK included, its endpoints, what the server is told of jobs, errors, events, reports, and what is printed.
func TestSecretsAreNowhereToBeSeen(t *testing.T) {
	const key, secret, wrong = "canary-api-key", "canary-api-secret-canary-api-secret-canary", "canary-wrong-secret-canary-wrong-secret"
	t.Setenv("LIVEKIT_API_KEY", "canary-environment-key")
	t.Setenv("LIVEKIT_API_SECRET", "canary-environment-secret-canary-environment")
	t.Setenv("LIVEKIT_URL", "ws://canary-environment-url:1")
	own, err := liveserver.StartWith(within(t, 20*time.Second), liveserver.Options{Keys: map[string]string{key: secret}})
	require.NoError(t, err)
	t.Cleanup(own.Stop)

	var mu sync.Mutex
	var seen []string // whatever a user may see
	see := func(values ...any) {
		mu.Lock()
		defer mu.Unlock()
		for _, v := range values {
			seen = append(seen, fmt.Sprintf("%v %+v %#v", v, v, v))
		}
	}
	tp := newTap(t, own)
	o := livekit.WorkerOptions{
		URL:    strings.Replace(tp.url, "ws://", "ws://canary-user:canary-password@", 1) + "?access_token=canary-query",
		APIKey: key, APISecret: secret, WorkerToken: "canary-worker-token",
		HealthAddr: "127.0.0.1:0", MetricsAddr: "127.0.0.1:0",
		OnRequest: func(_ context.Context, r *livekit.JobRequest) error {
			see(r)
			if r.Job().Metadata == "refused" {
				return fmt.Errorf("I do not like %s", secret)
			}
			return r.Accept(livekit.AcceptOptions{})
		},
		Entrypoint: func(ctx context.Context, job *livekit.Job) error {
			see(job)
			job.Logger().Info("user code", "job", job, "secret", secret, "error", fmt.Errorf("with %s", key))
			session := agents.NewSession(agents.Options{LLM: failingLLM{}, OnEvent: func(e agents.Event) { see(e) }})
			if err := job.StartSession(ctx, session, &agents.Agent{ID: "agent", Instructions: "Answer."}, livekit.RoomOptions{}); err != nil {
				return err
			}
			_, err := session.Run(ctx, "will you answer?")
			see(err)
			_, err = job.AddSIPParticipant(ctx, livekit.SIPParticipant{CallTo: "+15105550100", TrunkID: "ST_none", Identity: "phone"})
			see(err)
			switch job.Metadata() {
			case "panics":
				panic("with " + secret)
			case "fails":
				return fmt.Errorf("at wss://somewhere/rtc?access_token=canary-%s", job.ID())
			case "reconnects":
				job.Room().Simulate(lksdk.SimulateNodeFailure)
			}
			return nil
		},
		OnSessionEnd: func(_ context.Context, job *livekit.Job) error {
			report, err := job.SessionReport()
			see(string(report), err)
			return errors.New("with " + secret)
		},
	}
	see(o)
	w := work(t, own, o)
	see(w.Worker, w.Info())
	tokens := map[string]bool{}
	for _, metadata := range []string{"good", "panics", "fails", "refused", "reconnects", "put out"} {
		w.dispatch(newRoom(), metadata)
		if metadata == "refused" {
			eventually(t, "refused", 10*time.Second, func() bool { return strings.Contains(w.logs.String(), "I do not like") })
			continue
		}
		job := w.job()
		eventually(t, "the job is assigned", 10*time.Second, func() bool { return tp.assignment(job.ID()) != nil })
		tokens[tp.assignment(job.ID()).Token] = true
		switch metadata {
		case "reconnects":
			eventually(t, "the room is joined again", 20*time.Second, func() bool {
				return strings.Contains(w.logs.String(), "restarting connection")
			})
		case "put out":
			eventually(t, "joined", 10*time.Second, func() bool { return job.Room() != nil })
			_, err := roomsOf(own).RemoveParticipant(within(t, 5*time.Second), &pb.RoomParticipantIdentity{Room: job.RoomName(), Identity: job.Identity()})
			require.NoError(t, err)
			ends(t, "the job", job.Done())
		}
		see(job.EndReason())
	}
	was := w.Info().WorkerID
	tp.cut()
	eventually(t, "registered anew", 10*time.Second, func() bool { i := w.Info(); return i.State == "connected" && i.WorkerID != was })
	endpoints := 0
	for line := range strings.Lines(w.logs.String()) {
		if _, addr, ok := strings.Cut(line, "addr="); ok && strings.Contains(line, "msg=listening") {
			for _, path := range []string{"/", "/worker", "/healthz", "/readyz", "/metrics"} {
				answer, err := http.Get("http://" + strings.TrimSpace(addr) + path)
				require.NoError(t, err)
				text, err := io.ReadAll(answer.Body)
				require.NoError(t, err)
				_ = answer.Body.Close()
				see(string(text), answer.Header)
				endpoints++
			}
		}
	}
	require.Equal(t, 10, endpoints)
	closed := make(chan struct{})
	go func() { _ = w.Close(); close(closed) }()
	ends(t, "the worker", closed)
	see(<-w.stopped)
	for _, u := range said(tp, func(m *pb.WorkerMessage) (*pb.UpdateJobStatus, bool) {
		return m.GetUpdateJob(), m.GetUpdateJob() != nil
	}) {
		see(u.String())
	}

	// One that is refused, and one whose server is not there.
	o.APISecret, o.MaxRetry, o.HealthAddr, o.MetricsAddr = wrong, livekit.NoRetry, livekit.NoListener, livekit.NoListener
	for _, url := range []string{o.URL, "ws://canary-user:canary-password@127.0.0.1:1/?access_token=canary-query"} {
		o.URL = url
		refused, err := livekit.NewWorker(o)
		require.NoError(t, err)
		err = refused.Run(within(t, 10*time.Second))
		require.ErrorContains(t, err, "failed to connect")
		see(err, errors.Unwrap(err))
	}
	_, err = livekit.NewWorker(livekit.WorkerOptions{URL: "canary-scheme://x?canary-query", APISecret: secret, HTTPProxy: "http://canary:canary-proxy\x7f@x"})
	require.Error(t, err)
	see(err)

	all := w.logs.String() + strings.Join(seen, "\n")
	for _, proof := range []string{"panic", "user code", "will you answer?", "refused", "sip not connected", "lk_agents_job_total", "[redacted]", "JS_FAILED"} {
		require.Contains(t, all, proof, "or nothing is proved")
	}
	require.Len(t, tokens, 5)
	for token := range tokens {
		v, err := auth.ParseAPIToken(token)
		require.NoError(t, err)
		require.Equal(t, key, v.APIKey())
		for part := range strings.SplitSeq(token, ".") {
			require.NotContains(t, all, part)
		}
	}
	for line := range strings.Lines(all) {
		require.NotContains(t, line, "canary")
		require.NotContains(t, line, "eyJ")
	}
}
