package livekit

import (
	"context"
	"encoding/json"
	"iter"
	"strings"
	"sync"
	"testing"
	"time"

	pb "github.com/livekit/protocol/livekit"
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

// sayYes is a model that agrees.
type sayYes struct{}

func (sayYes) Chat(context.Context, agents.ChatRequest) iter.Seq2[agents.ChatChunk, error] {
	return func(yield func(agents.ChatChunk, error) bool) { yield(agents.ChatChunk{Text: "Yes."}, nil) }
}

// OnSessionEnd finds the whole of the first session in its report, the closing included; nothing that was said is there if
// the job forbids it, and the worker's keys never are.
func TestTheSessionsReportIsComplete(t *testing.T) {
	for name, redact := range map[string]bool{"open": false, "redacted": true} {
		t.Run(name, func(t *testing.T) {
			var reports sync.Map
			o := workerOptions(func(ctx context.Context, j *Job) error {
				if j.ID() == "AJ_none" {
					return untilShutdown(ctx, j)
				}
				session := agents.NewSession(agents.Options{LLM: sayYes{}})
				if err := j.AddSession(session); err != nil {
					return err
				}
				second := agents.NewSession(agents.Options{})
				if err := j.AddSession(second); err != nil || j.Session() != session {
					panic("the first session is the job's")
				}
				if err := session.Start(ctx, &agents.Agent{ID: "agent", Instructions: "Answer."}, agents.IO{}); err != nil {
					return err
				}
				if _, err := session.Run(ctx, "what was said, and "+testSecret); err != nil {
					return err
				}
				return untilShutdown(ctx, j)
			})
			o.OnSessionEnd = func(_ context.Context, j *Job) error {
				report, err := j.SessionReport()
				if err != nil {
					reports.Store(j.ID(), err.Error())
					return nil
				}
				reports.Store(j.ID(), string(report))
				return nil
			}
			inBubble(t, o, func(t *testing.T, rig *workerRig) {
				job := testJob("AJ_one")
				job.EnableRedaction = redact
				_, err := rig.server.Dispatch(job)
				require.NoError(t, err)
				rig.dispatch("AJ_none")
				time.Sleep(time.Minute)
				require.NoError(t, rig.w.Close())
				none, _ := reports.Load("AJ_none")
				require.Equal(t, ErrNoSession.Error(), none)
				var report struct {
					JobID    string `json:"job_id"`
					RoomID   string `json:"room_id"`
					Room     string
					Duration float64
					Redacted bool
					Events   []struct {
						Type   string
						Reason string
					}
				}
				one, _ := reports.Load("AJ_one")
				text, _ := one.(string)
				require.NoError(t, json.Unmarshal([]byte(text), &report), text)
				require.Equal(t, []string{"AJ_one", "RM_AJ_one", "room-AJ_one"}, []string{report.JobID, report.RoomID, report.Room})
				require.Equal(t, 60.0, report.Duration)
				require.Equal(t, redact, report.Redacted)
				require.Equal(t, string(agents.CloseJobShutdown), report.Events[len(report.Events)-1].Reason)
				require.Equal(t, !redact, strings.Contains(text, "what was said"))
				require.NotContains(t, text, testSecret)
			})
		})
	}
}

// Pitfall 18: a crash loses the conversation (LKA#242, LKA#3668). What was said before a job crashed is in the report that
// OnSessionEnd still gets, and an agent that is given it goes on from there.
func TestACrashLosesTheConversation(t *testing.T) {
	model := &remembers{}
	var kept []byte
	o := workerOptions(func(ctx context.Context, j *Job) error {
		session := agents.NewSession(agents.Options{LLM: model})
		agent := &agents.Agent{ID: "agent", Instructions: "Answer."}
		if kept != nil {
			var report struct {
				History *agents.ChatContext `json:"chat_history"`
			}
			if err := json.Unmarshal(kept, &report); err != nil {
				return err
			}
			agent.ChatContext = report.History
		}
		if err := j.AddSession(session); err != nil {
			return err
		}
		if err := session.Start(ctx, agent, agents.IO{}); err != nil {
			return err
		}
		if _, err := session.Run(ctx, "said in "+j.ID()); err != nil {
			return err
		}
		panic("after that")
	})
	o.OnSessionEnd = func(_ context.Context, j *Job) (err error) {
		kept, err = j.SessionReport()
		return err
	}
	inBubble(t, o, func(t *testing.T, rig *workerRig) {
		rig.dispatch("AJ_one")
		require.Equal(t, pb.JobStatus_JS_FAILED, rig.server.Status("AJ_one"), rig.logs)
		rig.dispatch("AJ_two")
		require.Equal(t, []string{"said in AJ_one", "said in AJ_one", "Yes.", "said in AJ_two"}, model.heard, rig.logs)
	})
}

// remembers is a model that keeps what it was asked, all of it each time.
type remembers struct {
	sayYes
	heard []string
}

func (m *remembers) Chat(ctx context.Context, r agents.ChatRequest) iter.Seq2[agents.ChatChunk, error] {
	for msg := range r.Context.Messages() {
		if msg.Role == agents.RoleUser || msg.Role == agents.RoleAssistant {
			m.heard = append(m.heard, msg.Text())
		}
	}
	return m.sayYes.Chat(ctx, r)
}
