package recording

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/parley-voice/agents"
	"github.com/parley-voice/agents/agenttest"
)

var update = flag.Bool("update", false, "rewrite the golden files")

// keyed is a model as plugins are: with a key in it.
type keyed struct {
	agents.LLM
	APIKey string
}

func (keyed) Model() string    { return "scripted-1" }
func (keyed) Provider() string { return "test" }

// report has a caller ask for something and be handed over, and returns the report.
func report(t *testing.T, opts ReportOptions) []byte {
	type question struct {
		ID string `json:"order_id"`
	}
	specialist := &agents.Agent{ID: "specialist", Instructions: "Solve the secret problem."}
	intake := &agents.Agent{
		ID: "intake", Instructions: "Ask for the secret order.",
		Tools: []agents.Tool{
			agents.ToolFunc("order_status", "Look up an order.", func(_ context.Context, in question) (string, error) {
				if in.ID == "0" {
					return "", errors.New("the secret database is down")
				}
				return "secretly shipped", nil
			}),
			agents.ToolFunc("transfer", "Hand over.", func(context.Context, struct{}) (agents.Handoff, error) {
				return agents.Handoff{To: specialist, Result: "Connecting you to the secret service."}, nil
			}),
		},
	}
	llm := keyed{agenttest.NewLLM(t,
		agenttest.OnUser("Where is my secret order 17?").Call("order_status", `{"order_id":"secret 17"}`).TTFT(200*ms).
			Usage(agents.LLMUsage{PromptTokens: 100, CompletionTokens: 10, TotalTokens: 110}),
		agenttest.OnOutput("order_status").Say("Your secret order was shipped.").TTFT(300*ms).
			Usage(agents.LLMUsage{PromptTokens: 120, CompletionTokens: 7, CachedTokens: 100, TotalTokens: 127}),
		agenttest.OnUser("And secret order 0?").Call("order_status", `{"order_id":"0"}`),
		agenttest.OnOutput("order_status").Say("I cannot tell that secret."),
		agenttest.OnUser("Then somebody else, in secret.").Call("transfer", `{}`),
	), "sk-secret"}
	session := agents.Options{
		LLM: llm, MaxToolSteps: 2, MaxParallelTools: 3, UserAwayTimeout: agents.Never, CloseGrace: time.Second,
		MinConsecutiveSpeechDelay: agents.Delay(100 * ms), Turn: agents.TurnOptions{AllowInterruptions: agents.Off},
	}
	opts.Session = session
	rep := NewReport(opts)
	session.OnEvent = rep.Add
	s := agenttest.Start(t, session, intake)
	for _, text := range []string{"Where is my secret order 17?", "And secret order 0?", "Then somebody else, in secret."} {
		s.User(text)
		time.Sleep(time.Second)
	}
	require.NoError(t, s.Close())
	time.Sleep(time.Second)
	text, err := rep.JSON(s.AgentSession)
	require.NoError(t, err)
	return text
}

func golden(t *testing.T, name string, got []byte) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if *update {
		require.NoError(t, os.MkdirAll("testdata", 0o755))
		require.NoError(t, os.WriteFile(path, got, 0o644))
	}
	want, err := os.ReadFile(path)
	require.NoError(t, err)
	require.Equal(t, string(want), string(got))
}

// fixVersion has reports of this test say a version that does not change.
func fixVersion(t *testing.T) {
	old := sdkVersion
	sdkVersion = func() string { return "v1.2.3" }
	t.Cleanup(func() { sdkVersion = old })
}

// The report of a conversation is the same in every run, byte for byte.
func TestReport(t *testing.T) {
	fixVersion(t)
	for range 20 {
		agenttest.Run(t, func(t *testing.T) {
			got := report(t, ReportOptions{JobID: "J1", RoomID: "R1", Room: "support"})
			golden(t, "report.json", got)
			require.NotContains(t, string(got), "sk-")
		})
	}
}

// A redacted one says who did what and when, and nothing that anybody said.
func TestRedactedReport(t *testing.T) {
	fixVersion(t)
	agenttest.Run(t, func(t *testing.T) {
		got := report(t, ReportOptions{Redact: true})
		golden(t, "redacted.json", got)
		require.NotContains(t, string(got), "secret")
	})
}

// The report says where the recording is, when it began and how long it is.
func TestReportOfARecordedSession(t *testing.T) {
	fixVersion(t)
	agenttest.Run(t, func(t *testing.T) {
		rec, err := New(&shelf{}, Options{})
		require.NoError(t, err)
		defer rec.Close()
		rep := NewReport(ReportOptions{Recorder: rec, AudioPath: "audio.ogg"})
		out := rec.Wrap(agents.IO{AudioOutput: agenttest.NewSpeaker()}).AudioOutput
		s := agenttest.Start(t, agents.Options{OnEvent: rep.Add}, &agents.Agent{})
		begin := time.Now().UTC()
		time.Sleep(100 * ms)
		out.Attach(func(agents.PlaybackEvent) {})
		time.Sleep(2 * time.Second)
		out.Detach()
		require.NoError(t, rec.Close())
		text, err := rep.JSON(s.AgentSession)
		require.NoError(t, err)
		var got struct {
			StartedAt      time.Time `json:"started_at"`
			Timestamp      time.Time `json:"timestamp"`
			Duration       float64   `json:"duration"`
			AudioPath      string    `json:"audio_recording_path"`
			AudioStartedAt time.Time `json:"audio_recording_started_at"`
			AudioDuration  float64   `json:"audio_recording_duration"`
		}
		require.NoError(t, json.Unmarshal(text, &got))
		require.Equal(t, begin, got.StartedAt)
		require.Equal(t, begin.Add(2100*ms), got.Timestamp)
		require.Equal(t, 2.1, got.Duration)
		require.Equal(t, "audio.ogg", got.AudioPath)
		require.Equal(t, begin.Add(100*ms), got.AudioStartedAt)
		require.Equal(t, 2.0, got.AudioDuration)
	})
}

// The events can also be read from the session, as they come; and the history of the report can be read back.
func TestReportFromEvents(t *testing.T) {
	agenttest.Run(t, func(t *testing.T) {
		rep := NewReport(ReportOptions{})
		s := agenttest.Start(t, agents.Options{LLM: agenttest.NewLLM(t, agenttest.Any().Say("Hello."))}, &agents.Agent{ID: "agent"})
		events := s.Events(context.Background())
		done := make(chan struct{})
		go func() {
			defer close(done)
			for e := range events {
				rep.Add(e)
			}
		}()
		s.User("Hi")
		require.NoError(t, s.Close())
		<-done
		text, err := rep.JSON(s.AgentSession)
		require.NoError(t, err)
		var got struct {
			Events []struct{ Type string }
			Chat   agents.ChatContext `json:"chat_history"`
		}
		require.NoError(t, json.Unmarshal(text, &got))
		require.Equal(t, "closed", got.Events[len(got.Events)-1].Type)
		require.Equal(t, s.History().Len(), got.Chat.Len())
		require.Equal(t, s.History().At(-1).Created().UTC(), got.Chat.At(-1).Created())
	})
}

// What is kept of a long conversation has a bound: the last events.
func TestReportIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		rep := NewReport(ReportOptions{MaxBytes: 10_000})
		for i := range uint64(1000) {
			rep.Add(&agents.UserInputTranscribed{EventMeta: agents.EventMeta{Seq: i + 1, At: time.Now()}, Transcript: "Hello"})
			require.LessOrEqual(t, rep.bytes, 10_000)
		}
		require.Equal(t, 1000, len(rep.events)+rep.dropped)
		require.Greater(t, len(rep.events), 90)
		require.Contains(t, string(rep.events[len(rep.events)-1]), `"seq":1000,`)
		rep.Add(&agents.UserInputTranscribed{EventMeta: agents.EventMeta{At: time.Now()}, Transcript: strings.Repeat("x", 10_000)})
		require.Empty(t, rep.events)
		require.Zero(t, rep.bytes)
		require.Equal(t, 1001, rep.dropped)
	})
}

// unknown is an event of which the report knows nothing.
type unknown struct {
	agents.UserStateChanged
	Note        string
	SpeakerID   string
	Probability float64
	Since       time.Time
	Delay       time.Duration
	Inner       struct{ Count int }
	hidden      string
}

func TestEventsInReports(t *testing.T) {
	at := time.Date(2000, 1, 1, 0, 0, 1, 0, time.UTC)
	meta := agents.EventMeta{Seq: 7, At: at}
	call := &agents.FunctionCall{ItemMeta: agents.ItemMeta{ID: "i1"}, CallID: "c1", Name: "f", Arguments: "said"}
	output := &agents.FunctionCallOutput{ItemMeta: agents.ItemMeta{ID: "i2"}, CallID: "c1", Name: "f", Output: "said"}
	const callText = `{"call_id":"c1","id":"i1","name":"f","type":"function_call"}`
	const outputText = `{"call_id":"c1","id":"i2","name":"f","type":"function_call_output"}`
	odd := &unknown{Note: "said", SpeakerID: "s1", Probability: 0.5, Since: at, Delay: 1500 * ms, hidden: "x"}
	odd.EventMeta, odd.Inner.Count = meta, 3
	require.Equal(t, "x", odd.hidden)
	nan := &unknown{Probability: math.NaN()}
	nan.EventMeta = meta
	tests := []struct {
		event agents.Event
		kind  string // empty if it is left out
		want  string // of its fields; SAID is said, or redacted
	}{
		{&agents.UserStateChanged{EventMeta: meta, Old: agents.UserListening, New: agents.UserSpeaking}, `user_state_changed`, `"new":"speaking","old":"listening"`},
		{&agents.UserInputTranscribed{EventMeta: meta, Transcript: "said", Final: true}, `user_input_transcribed`, `"final":true,"transcript":"SAID"`},
		{&agents.ItemAdded{EventMeta: meta, Item: &agents.ChatMessage{ItemMeta: agents.ItemMeta{ID: "i0"}, Role: agents.RoleUser}}, `item_added`, `"item":{"id":"i0","role":"user","type":"message"}`},
		{&agents.ItemAdded{EventMeta: meta, Item: &agents.AgentHandoff{ItemMeta: agents.ItemMeta{ID: "i0"}}}, `item_added`, `"item":{"id":"i0","type":"agent_handoff"}`},
		{&agents.ItemAdded{EventMeta: meta, Item: &agents.AgentConfigUpdate{ItemMeta: agents.ItemMeta{ID: "i0"}}}, `item_added`, `"item":{"id":"i0"}`},
		{&agents.ToolStarted{EventMeta: meta, Call: call}, `tool_started`, `"call":` + callText},
		{&agents.ToolsExecuted{EventMeta: meta, Calls: []*agents.FunctionCall{call}, Outputs: []*agents.FunctionCallOutput{output, nil}, Handoff: "b"}, `tools_executed`, `"calls":[` + callText + `],"handoff":"b","outputs":[` + outputText + `]`},
		{&agents.ToolUpdated{EventMeta: meta, ID: "u1", CallID: "c1", Message: "said"}, `tool_updated`, `"call_id":"c1","id":"u1","message":"SAID"`},
		{&agents.ToolEnded{EventMeta: meta, ID: "u1", CallID: "c1", Name: "f", Message: "said", Status: agents.ToolDone}, `tool_ended`, `"call_id":"c1","id":"u1","message":"SAID","name":"f","status":"done"`},
		{&agents.ToolReplyUpdated{EventMeta: meta, IDs: []string{"u1"}, Status: agents.ToolReplySkipped}, `tool_reply_updated`, `"ids":["u1"],"status":"skipped"`},
		{&agents.TaskEnded{EventMeta: meta, TaskID: "t1", Err: errors.New("said")}, `task_ended`, `"err":"SAID","task_id":"t1"`},
		{&agents.ErrorOccurred{EventMeta: meta, Err: errors.New("said"), Source: "llm", Recoverable: true}, `error_occurred`, `"err":"SAID","recoverable":true,"source":"llm"`},
		{&agents.Gap{EventMeta: meta, Dropped: 3}, `gap`, `"dropped":3`},
		{&agents.Closed{EventMeta: meta, Reason: agents.CloseUserInitiated}, `closed`, `"reason":"user_initiated"`},
		{odd, `unknown`, `"delay":1.5,"inner":{"count":3},"note":"SAID","probability":0.5,"since":"2000-01-01T00:00:01Z","speaker_id":"s1"`},
		{nan, `unknown`, ``},
		{&agents.LLMMetrics{EventMeta: meta}, ``, ``},
		{&agents.UsageUpdated{EventMeta: meta}, ``, ``},
		{&agents.AgentOutput{EventMeta: meta, Text: "said"}, ``, ``},
	}
	for i, tt := range tests {
		t.Run(fmt.Sprintf("%d %T", i, tt.event), func(t *testing.T) {
			for said, opts := range map[string]ReportOptions{"said": {}, redacted: {Redact: true}} {
				got, kept := NewReport(opts).encodeEvent(tt.event)
				if tt.kind == "" {
					require.False(t, kept)
					continue
				}
				require.True(t, kept)
				want := fmt.Sprintf(`{"type":%q,"seq":7,"created_at":"2000-01-01T00:00:01Z"`, tt.kind)
				if tt.want != "" {
					want += "," + strings.ReplaceAll(tt.want, "SAID", said)
				}
				require.Equal(t, want+"}", string(got))
			}
		})
	}
}

// The keys of a telephone may be a PIN or the number of a card.
func TestKeysInReports(t *testing.T) {
	key := &agents.DTMFReceived{EventMeta: agents.EventMeta{Seq: 7, At: time.Date(2000, 1, 1, 0, 0, 1, 0, time.UTC)}, Key: '5'}
	for want, opts := range map[string]ReportOptions{"5": {}, redacted: {Redact: true}} {
		got, kept := NewReport(opts).encodeEvent(key)
		require.True(t, kept)
		require.Equal(t, fmt.Sprintf(`{"type":"dtmf_received","seq":7,"created_at":"2000-01-01T00:00:01Z","key":%q}`, want), string(got))
	}
}

func TestSettingsInReports(t *testing.T) {
	text := func(o agents.Options) string {
		b, err := json.Marshal(settingsOf(o))
		require.NoError(t, err)
		return string(b)
	}
	require.Equal(t, `{}`, text(agents.Options{}))
	require.Equal(t, `{"llm":"recording.bare","allow_interruptions":true,"user_turn_limit_words":9,"user_turn_limit_duration":2.5,`+
		`"max_tool_steps":"none","max_parallel_tools":2,"user_away_timeout":30,"ivr_detection":true,"max_unrecoverable_errors":4,"close_grace":1,"drain_timeout":2}`,
		text(agents.Options{
			LLM: &bare{}, MaxToolSteps: agents.None, MaxParallelTools: 2, MaxUnrecoverableErrors: 4,
			UserAwayTimeout: agents.Delay(30 * time.Second), IVRDetection: true, CloseGrace: time.Second, DrainTimeout: 2 * time.Second,
			Turn: agents.TurnOptions{
				AllowInterruptions: agents.On,
				UserTurnLimit:      agents.UserTurnLimit{Words: 9, Duration: 2500 * ms},
			},
		}))
}

// bare is a model that does not say its name.
type bare struct{ agents.LLM }

func TestVersion(t *testing.T) { require.NotEmpty(t, sdkVersion()) }

func TestNamesInJSON(t *testing.T) {
	for name, want := range map[string]string{
		"SpeechID": "speech_id", "IDs": "ids", "ID": "id", "LLM": "llm", "UserStateChanged": "user_state_changed",
		"TTSFirst": "tts_first", "Old": "old", "ToolReplyUpdated": "tool_reply_updated", "EndOfTurn": "end_of_turn",
	} {
		require.Equal(t, want, snake(name))
	}
}

// A history that JSON cannot express is an error, and not a panic.
func TestReportOfAHistoryThatCannotBeWritten(t *testing.T) {
	agenttest.Run(t, func(t *testing.T) {
		chat := agents.NewChatContext(&agents.ChatMessage{Role: agents.RoleUser, Content: []agents.Content{agents.Text("Hi")},
			Extra: map[string]any{"f": func() {}}})
		s := agenttest.Start(t, agents.Options{LLM: agenttest.NewLLM(t, agenttest.Any().Say("Hello."))}, &agents.Agent{ChatContext: chat})
		reply := s.GenerateReply(agents.Reply{UserMessage: chat.At(0).(*agents.ChatMessage)})
		require.NoError(t, reply.Wait(t.Context()))
		_, err := NewReport(ReportOptions{}).JSON(s.AgentSession)
		require.Error(t, err)
		text, err := NewReport(ReportOptions{Redact: true}).JSON(s.AgentSession)
		require.NoError(t, err)
		require.NotContains(t, string(text), "Hi")
	})
}
