package turn

import "time"

const (
	recentFinal  = 500 * time.Millisecond // how fresh a transcript is enough for a commit
	silenceFrame = 200 * time.Millisecond
)

// commit is the application's wish to end the turn:
//
//	closed  no STT                               answered with nothing
//	closed  a final transcript 500 ms ago or     finished
//	        less, or no time to wait
//	closed  otherwise                            open: the recogniser is flushed, after silence if no audio comes in,
//	                                             and an open decision gives way
//	open    a final transcript, even empty       finished
//	open    the time-out                         finished
//	open    another commit, or the turn cleared  cancelled
//
// To finish is to take the interim that is left for final, to answer, and to open the decision. With a realtime model
// its audio is committed first, the reply comes from there, and the transcript is only recorded.
type commit struct {
	open bool
	id   uint64
	skip bool
}

func (m *Machine) startCommit(e Commit) {
	if m.o.Realtime {
		m.emit(RealtimeCommit{Reply: !e.SkipReply})
		e.SkipReply = true
	}
	if !m.o.STT {
		m.emit(CommitDone{ID: e.ID})
		return
	}
	m.cancelCommit()
	m.commit = commit{open: true, id: e.ID, skip: e.SkipReply}
	recent := !m.user.lastFinal.IsZero() && m.now.Sub(m.user.lastFinal) <= recentFinal
	if recent || e.Timeout <= 0 {
		m.finishCommit()
		return
	}
	m.cancelDecision()
	flush := FlushSTT{Frame: silenceFrame}
	if e.InputOff {
		flush.Frames = int((e.Silence + silenceFrame - 1) / silenceFrame)
	}
	m.emit(flush)
	m.after(FinalTimer, e.Timeout)
}

func (m *Machine) finishCommit() {
	u, c := &m.user, &m.commit
	m.stop(FinalTimer)
	c.open = false
	if u.interim != "" {
		m.emit(Note{Warn: true, Text: "a turn was committed before its transcript was final"})
		m.emit(Transcribed{Final: true, Text: u.interim, Language: u.language, Committed: true})
		u.transcript = join(u.transcript, u.interim)
		u.interim, u.preflight = "", ""
	}
	m.emit(CommitDone{ID: c.id, Transcript: u.transcript})
	u.committed = true
	m.openDecision(FromCommit, c.skip)
}

func (m *Machine) cancelCommit() {
	if m.commit.open {
		m.commit.open = false
		m.stop(FinalTimer)
		m.emit(CommitDone{ID: m.commit.id, Cancelled: true})
	}
}
