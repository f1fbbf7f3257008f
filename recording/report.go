package recording

import (
	"encoding/json"
	"runtime/debug"
	"sync"
	"time"

	"github.com/parley-voice/agents"
)

// defaultMaxBytes bounds what a report keeps: hours of an ordinary conversation.
const defaultMaxBytes = 4 << 20

// ReportOptions say what a [Report] holds beside the events.
type ReportOptions struct {
	// Session is what the session was made with. Only the names of its models and its settings are reported, so no key.
	Session agents.Options
	// JobID, RoomID and Room say where the session took place.
	JobID, RoomID, Room string
	// Recorder, if set, is asked when the recording began and how long it is; AudioPath is where it can be found.
	Recorder  *Recorder
	AudioPath string
	// Redact replaces everything that was said or written: messages, transcripts, pressed keys, instructions, errors, and
	// the arguments and outputs of tools. What remains is who did what and when.
	Redact bool
	// MaxBytes bounds the events that are kept, as JSON; 0 means 4 MiB. The oldest are dropped, and counted.
	MaxBytes int
}

// A Report collects what happened in one session. Its methods are safe for concurrent use.
type Report struct {
	opts ReportOptions

	mu      sync.Mutex
	events  []json.RawMessage
	bytes   int // of events
	dropped int
	started time.Time // the first event
	ended   time.Time // the last one, once the session has closed
}

// NewReport returns a report without events.
func NewReport(opts ReportOptions) *Report {
	if opts.MaxBytes == 0 {
		opts.MaxBytes = defaultMaxBytes
	}
	return &Report{opts: opts}
}

// Add takes note of an event of the session, and keeps nothing of it but a text. It does not wait, so that it can be the
// session's Options.OnEvent, or be called by that; otherwise call it for each of [agents.AgentSession.Events]. Metrics,
// and the agent's words as they come, are left out: the sums, and the words, are in the report's other parts.
func (r *Report) Add(e agents.Event) {
	text, kept := r.encodeEvent(e)
	_, closed := e.(*agents.Closed)
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.started.IsZero() {
		r.started = e.Time()
	}
	if closed {
		r.ended = e.Time()
	}
	if !kept {
		return
	}
	r.events = append(r.events, text)
	r.bytes += len(text)
	first := 0
	for ; r.bytes > r.opts.MaxBytes; first++ {
		r.bytes -= len(r.events[first])
		r.events[first] = nil
	}
	r.events = r.events[first:]
	r.dropped += first
}

// reportJSON is a report in JSON. Times are in UTC, durations in seconds.
type reportJSON struct {
	Version        string            `json:"sdk_version"`
	JobID          string            `json:"job_id,omitempty"`
	RoomID         string            `json:"room_id,omitempty"`
	Room           string            `json:"room,omitempty"`
	StartedAt      time.Time         `json:"started_at,omitzero"`
	Timestamp      time.Time         `json:"timestamp"`
	Duration       float64           `json:"duration"`
	AudioPath      string            `json:"audio_recording_path,omitempty"`
	AudioStartedAt time.Time         `json:"audio_recording_started_at,omitzero"`
	AudioDuration  float64           `json:"audio_recording_duration,omitempty"`
	Redacted       bool              `json:"redacted,omitempty"`
	Options        settingsJSON      `json:"options"`
	Usage          []any             `json:"usage"`
	EventsDropped  int               `json:"events_dropped,omitempty"`
	Events         []json.RawMessage `json:"events"`
	ChatHistory    json.RawMessage   `json:"chat_history"`
}

// JSON returns the report of the session as it is now, indented. It belongs at the end, when the session has closed; then
// duration is from the first event to the last, and otherwise to now. An error says that the history has what JSON cannot
// express.
func (r *Report) JSON(s *agents.AgentSession) ([]byte, error) {
	history := s.History()
	if r.opts.Redact {
		history = redactHistory(history)
	}
	chat, err := history.EncodeJSON(agents.ChatJSONOptions{IncludeTimestamps: true})
	if err != nil {
		return nil, err
	}
	doc := reportJSON{
		Version: sdkVersion(), JobID: r.opts.JobID, RoomID: r.opts.RoomID, Room: r.opts.Room,
		Timestamp: time.Now().UTC(), AudioPath: r.opts.AudioPath, Redacted: r.opts.Redact,
		Options: settingsOf(r.opts.Session), Usage: []any{}, Events: []json.RawMessage{}, ChatHistory: chat,
	}
	for _, u := range s.Usage() {
		doc.Usage = append(doc.Usage, r.encodeStruct(u))
	}
	if rec := r.opts.Recorder; rec != nil {
		if began := rec.Began(); !began.IsZero() {
			doc.AudioStartedAt = began.UTC().Round(0)
		}
		doc.AudioDuration = rec.Duration().Seconds()
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	doc.Events, doc.EventsDropped = append(doc.Events, r.events...), r.dropped
	if !r.started.IsZero() {
		end := r.ended
		if end.IsZero() {
			end = doc.Timestamp
		}
		doc.StartedAt, doc.Duration = r.started.UTC(), end.Sub(r.started).Seconds()
	}
	return json.MarshalIndent(doc, "", "  ")
}

// sdkVersion returns the version of this module in the program, "(devel)" if it is built from a checkout. Tests fix it.
var sdkVersion = sync.OnceValue(func() string {
	const module = "github.com/parley-voice/agents"
	if info, ok := debug.ReadBuildInfo(); ok {
		for _, m := range append(info.Deps, &info.Main) {
			if m.Path == module && m.Version != "" {
				return m.Version
			}
		}
	}
	return "(devel)"
})

// redacted stands for what was said.
const redacted = "[redacted]"

// redactHistory returns the history without what was said.
func redactHistory(history *agents.ChatContext) *agents.ChatContext {
	out := agents.NewChatContext()
	for _, it := range history.Items() {
		switch it := it.(type) {
		case *agents.ChatMessage:
			m := *it
			m.Content, m.Extra = []agents.Content{agents.Text(redacted)}, nil
			out.Append(&m)
		case *agents.FunctionCall:
			c := *it
			c.Arguments, c.Extra = redacted, nil
			out.Append(&c)
		case *agents.FunctionCallOutput:
			o := *it
			o.Output = redacted
			out.Append(&o)
		case *agents.AgentConfigUpdate:
			u := *it
			u.Instructions = redacted
			out.Append(&u)
		case *agents.AgentHandoff:
			out.Append(it)
		}
	}
	return out
}
