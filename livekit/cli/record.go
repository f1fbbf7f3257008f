package cli

import (
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"time"

	"github.com/parley-voice/agents"
	"github.com/parley-voice/agents/livekit"
	"github.com/parley-voice/agents/recording"
)

// recordings is where recordings go, in the working directory.
const recordings = "console-recordings"

// A tape is the recording of a console's session: audio.ogg, if there is sound, and session_report.json.
type tape struct {
	dir      string
	file     *os.File
	recorder *recording.Recorder
	report   *recording.Report
}

// newRecording makes the directory, and has the recorder between the session and its sound.
func newRecording(io *agents.IO, log *slog.Logger) (*tape, error) {
	t := &tape{dir: filepath.Join(recordings, "session-"+time.Now().Format("01-02-150405"))}
	if err := os.MkdirAll(recordings, 0o755); err != nil {
		return nil, err
	}
	base := t.dir
	for n := 2; ; n++ {
		err := os.Mkdir(t.dir, 0o755)
		if err == nil {
			break
		}
		if !errors.Is(err, fs.ErrExist) {
			return nil, err
		}
		t.dir = fmt.Sprintf("%s-%d", base, n)
	}
	if io.AudioInput == nil && io.AudioOutput == nil {
		return t, nil
	}
	var err error
	if t.file, err = os.Create(filepath.Join(t.dir, "audio.ogg")); err != nil {
		return nil, err
	}
	if t.recorder, err = recording.New(t.file, recording.Options{Logger: log}); err != nil {
		t.file.Close()
		return nil, err
	}
	*io = t.recorder.Wrap(*io)
	return t, nil
}

// begin begins the report; events can be added from here on.
func (t *tape) begin(job *livekit.Job, s *agents.AgentSession) {
	o := recording.ReportOptions{Session: s.Options(), JobID: job.ID(), Room: job.RoomName(), Recorder: t.recorder}
	if t.recorder != nil {
		o.AudioPath = "audio.ogg"
	}
	t.report = recording.NewReport(o)
}

// finish completes the files and says where they are. s is nil if there was no session.
func (t *tape) finish(s *agents.AgentSession) (dir string, err error) {
	if t.recorder != nil {
		err = errors.Join(t.recorder.Close(), t.file.Close())
	}
	if s != nil {
		text, failed := t.report.JSON(s)
		if failed == nil {
			failed = os.WriteFile(filepath.Join(t.dir, "session_report.json"), text, 0o644)
		}
		err = errors.Join(err, failed)
	}
	if err != nil {
		err = fmt.Errorf("the recording: %w", err)
	}
	return t.dir, err
}
