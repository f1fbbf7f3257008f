package livekit

import (
	"context"
	"errors"
	"time"

	agents "github.com/parley-voice/agents"
	"github.com/parley-voice/agents/recording"
)

// ErrNoSession is what [Job.SessionReport] returns for a job that has had no session.
var ErrNoSession = errors.New("livekit: the job has no session")

// A jobReport follows the first session of a job.
type jobReport struct {
	session *agents.AgentSession
	report  *recording.Report
	done    chan struct{} // closed when the session's events have come to their end
}

// newReport returns a report of the session that s is, or holds, or nil.
func (j *Job) newReport(s JobSession) *jobReport {
	var session *agents.AgentSession
	switch s := s.(type) {
	case *agents.AgentSession:
		session = s
	case *roomSession:
		session = s.session
	}
	if session == nil {
		return nil
	}
	return &jobReport{session, recording.NewReport(recording.ReportOptions{
		Session: session.Options(), JobID: j.id, RoomID: j.info.GetRoom().GetSid(), Room: j.RoomName(),
		Redact: j.info.GetEnableRedaction(),
	}), make(chan struct{})}
}

// follow takes note of the session's events, until it has closed or ctx ends.
func (r *jobReport) follow(ctx context.Context) {
	events := r.session.Events(ctx)
	go func() {
		defer close(r.done)
		for e := range events {
			r.report.Add(e)
		}
	}()
}

// reportWait is what the last events of a session that has closed may take to be in the report.
const reportWait = time.Second

// reported waits for the report to be complete.
func (j *Job) reported() {
	j.mu.Lock()
	r := j.report
	j.mu.Unlock()
	if r == nil {
		return
	}
	select {
	case <-r.done:
	case <-time.After(reportWait): // the session did not close
	}
}

// Session is the job's first session, of StartSession or AddSession, or nil.
func (j *Job) Session() *agents.AgentSession {
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.report == nil {
		return nil
	}
	return j.report.session
}

// SessionReport is what happened in the job's first session, as JSON: its events, history, options and use of models, as
// [recording.Report] has them. It is complete in OnSessionEnd, and may be asked for at any time. If the job says that what
// is said is to be redacted, it is. Without a session there is [ErrNoSession].
func (j *Job) SessionReport() ([]byte, error) {
	j.mu.Lock()
	r := j.report
	j.mu.Unlock()
	if r == nil {
		return nil, ErrNoSession
	}
	text, err := r.report.JSON(r.session)
	if err != nil {
		return nil, err
	}
	return []byte(j.w.secrets.hide(string(text))), nil
}
