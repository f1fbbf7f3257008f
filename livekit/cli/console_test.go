package cli

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/parley-voice/agents"
	"github.com/parley-voice/agents/agenttest"
	"github.com/parley-voice/agents/livekit"
)

var update = flag.Bool("update", false, "write the golden files")

// golden compares with a file of testdata.
func golden(t *testing.T, name, got string) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if *update {
		require.NoError(t, os.MkdirAll("testdata", 0o755))
		require.NoError(t, os.WriteFile(path, []byte(got), 0o644))
	}
	want, err := os.ReadFile(path)
	require.NoError(t, err)
	require.Equal(t, string(want), got)
}

// consoleBubble runs the console in virtual time with these lines from a pipe.
func consoleBubble(t *testing.T, entrypoint func(context.Context, *livekit.Job) error, input string, args ...string) (status int, stdout, stderr string) {
	t.Helper()
	t.Setenv("LIVEKIT_DEV_MODE", "")
	synctest.Test(t, func(t *testing.T) {
		status, stdout, stderr = consoleHere(t, entrypoint, strings.NewReader(input), args...)
	})
	return status, stdout, stderr
}

func consoleHere(t *testing.T, entrypoint func(context.Context, *livekit.Job) error, input io.Reader, args ...string) (int, string, string) {
	out, errs := &output{}, &output{}
	app := App{Name: "agent", Worker: livekit.WorkerOptions{Entrypoint: entrypoint, LeakCheckAfter: livekit.NoLimit}}
	status := Run(t.Context(), app, append([]string{"console"}, args...), input, out, errs)
	return status, out.String(), errs.String()
}

type order struct {
	ID string `json:"order_id"`
}

// shop is an agent with tools, another one to hand over to, and a model that goes by a script.
func shop(t *testing.T) func(context.Context, *livekit.Job) error {
	boss := &agents.Agent{ID: "boss", Instructions: "Be the boss.", OnEnter: func(ctx context.Context, s *agents.AgentSession) error {
		return s.GenerateReply(agents.Reply{Instructions: "Say who you are."}).Wait(ctx)
	}}
	clerk := &agents.Agent{ID: "clerk", Instructions: "Sell.", OnEnter: func(ctx context.Context, s *agents.AgentSession) error {
		return s.GenerateReply(agents.Reply{Instructions: "Greet."}).Wait(ctx)
	}, Tools: []agents.Tool{
		agents.ToolFunc("order_status", "Look up an order.", func(_ context.Context, in order) (any, error) {
			time.Sleep(10 * time.Millisecond) // what happens at the same instant has no order
			if in.ID != "7" {
				time.Sleep(10 * time.Millisecond)
				return nil, &agents.ToolError{Message: "there is no order " + in.ID}
			}
			return map[string]any{"a": "shipped", "b": 2, "c": []int{1, 2}, "d": "left out", "e": nil}, nil
		}),
		agents.ToolFunc("boss", "Fetch the boss.", func(context.Context, struct{}) (agents.Handoff, error) {
			return agents.Handoff{To: boss, Result: "Here they come."}, nil
		}),
	}}
	llm := agenttest.NewLLM(t,
		agenttest.OnInstructions("Greet.").Say("Hello, this is the shop.").TTFT(250*time.Millisecond),
		agenttest.OnUser("Where are my orders?").Say("Let me see.").Call("order_status", `{"order_id":"7"}`).Call("order_status", `{"order_id":"8"}`).TTFT(300*time.Millisecond),
		agenttest.OnOutput("order_status").Say("The first was shipped.\nThe second\x1b[2J does not exist.").TTFT(1200*time.Millisecond),
		agenttest.OnUser("Your boss, please!").Call("boss", `{}`),
		agenttest.OnInstructions("Say who you are.").Say("I am the boss."))
	return func(ctx context.Context, job *livekit.Job) error {
		return job.StartSession(ctx, agents.NewSession(agents.Options{LLM: llm}), clerk, livekit.RoomOptions{})
	}
}

// Worker 4.6: a conversation in a pipe, with what the user said, what the agent said, calls and their results, a handoff,
// and how long the model took; the end of the input ends the program.
func TestConsoleInAPipe(t *testing.T) {
	status, stdout, stderr := consoleBubble(t, shop(t), "Where are my orders?\n\n  Your boss, please!  \n", "--text")
	require.Zero(t, status, stderr)
	require.Empty(t, stderr)
	golden(t, "console.txt", stdout)
	require.Equal(t, "1", os.Getenv("LIVEKIT_DEV_MODE"))
	// A pipe has no microphone unless it asks for one.
	status, again, _ := consoleBubble(t, shop(t), "Where are my orders?\n\n  Your boss, please!  \n")
	require.Zero(t, status)
	require.Equal(t, stdout, again)
}

// The console ends with the session, with the job, and when it is told to; what goes wrong is status 1.
func TestConsoleEnds(t *testing.T) {
	for _, tt := range []struct {
		name       string
		entrypoint func(t *testing.T) func(context.Context, *livekit.Job) error
		status     int
		stderr     string
		stdout     string
	}{
		{"the agent hangs up", func(t *testing.T) func(context.Context, *livekit.Job) error {
			llm := agenttest.NewLLM(t, agenttest.OnUser("Hello?").Call("hang_up", `{}`))
			agent := &agents.Agent{Tools: []agents.Tool{agents.ToolFunc("hang_up", "Hang up.", func(ctx context.Context, _ struct{}) (any, error) {
				return nil, livekit.FromContext(ctx).DeleteRoom(ctx)
			})}}
			return func(ctx context.Context, job *livekit.Job) error {
				return job.StartSession(ctx, agents.NewSession(agents.Options{LLM: llm}), agent, livekit.RoomOptions{})
			}
		}, 0, "", "→ hang_up"},
		{"the entrypoint fails", func(*testing.T) func(context.Context, *livekit.Job) error {
			return func(context.Context, *livekit.Job) error { return errors.New("no model") }
		}, 1, "agent console: no model\n", `"room":"console","error":"no model"}`},
		{"the session does not start", func(*testing.T) func(context.Context, *livekit.Job) error {
			return func(ctx context.Context, job *livekit.Job) error {
				return job.StartSession(ctx, agents.NewSession(agents.Options{MaxToolSteps: -7}), &agents.Agent{}, livekit.RoomOptions{})
			}
		}, 1, "starting the session", ""},
		{"the model fails for good", func(t *testing.T) func(context.Context, *livekit.Job) error {
			llm := agenttest.NewLLM(t, agenttest.Any().Fail(agenttest.StatusError(401)).Always())
			return func(ctx context.Context, job *livekit.Job) error {
				s := agents.NewSession(agents.Options{LLM: llm, MaxUnrecoverableErrors: agents.None})
				return job.StartSession(ctx, s, &agents.Agent{}, livekit.RoomOptions{})
			}
		}, 1, "401", "! llm: "},
	} {
		t.Run(tt.name, func(t *testing.T) {
			// The input does not end by itself.
			t.Setenv("LIVEKIT_DEV_MODE", "")
			synctest.Test(t, func(t *testing.T) {
				in, typing := io.Pipe()
				go func() { _, _ = io.WriteString(typing, "Hello?\n") }()
				status, stdout, stderr := consoleHere(t, tt.entrypoint(t), in, "--text")
				require.NoError(t, typing.Close())
				require.Equal(t, tt.status, status, "%s\n%s", stdout, stderr)
				require.Contains(t, stderr, tt.stderr)
				require.Contains(t, stdout, tt.stdout)
				_ = in.Close()
			})
		})
	}
}

// Worker 4.6: --record leaves a report of the session, also when it was by text only.
func TestConsoleRecordsAReport(t *testing.T) {
	t.Chdir(t.TempDir())
	for range 2 { // in the same second
		status, stdout, stderr := consoleBubble(t, shop(t), "Where are my orders?\nYour boss, please!\n", "--text", "--record")
		require.Zero(t, status, stderr)
		require.Contains(t, stdout, "recorded in "+recordings)
	}
	reports, err := filepath.Glob(recordings + "/session-??-??-??????*/session_report.json")
	require.NoError(t, err)
	require.Len(t, reports, 2)
	text, err := os.ReadFile(reports[0])
	require.NoError(t, err)
	var report struct {
		JobID  string            `json:"job_id"`
		Room   string            `json:"room"`
		Events []json.RawMessage `json:"events"`
	}
	require.NoError(t, json.Unmarshal(text, &report))
	require.Equal(t, "console", report.Room)
	require.True(t, strings.HasPrefix(report.JobID, "job-"))
	require.NotEmpty(t, report.Events)
	require.Contains(t, string(text), "I am the boss.")
}

// What is shown of tools' arguments and results.
func TestFields(t *testing.T) {
	long := strings.Repeat("x", 300)
	for _, tt := range []struct {
		text  string
		limit int
		want  string
	}{
		{`{"a": 1, "b": {"c": [1, 2]}, "d": "x", "e": null, "f": 5}`, 3, `a: 1, b: {"c":[1,2]}, d: "x", … 2 more`},
		{`{"a": 1, "b": 2, "c": 3, "d": 4}`, -1, `a: 1, b: 2, c: 3, d: 4`},
		{`{}`, 3, ""},
		{`[1, 2]`, 3, "[1, 2]"},
		{"It was shipped.", 3, "It was shipped."},
		{`{"a": nonsense`, 3, `{"a": nonsense`},
		{long, 3, long[:199] + "…"},
	} {
		require.Equal(t, tt.want, fields(tt.text, tt.limit))
	}
}

// Worker 4.6: the line about latency has the five figures, and is red when the answer took a second.
func TestLatencyLine(t *testing.T) {
	ms := time.Millisecond
	for _, e2e := range []time.Duration{999 * ms, time.Second} {
		out := &output{}
		show := newTranscript(out, true)
		show.event(&agents.ItemAdded{Item: &agents.ChatMessage{Role: agents.RoleUser, Content: []agents.Content{agents.Text("Hi.")},
			Metrics: agents.MessageMetrics{EndOfTurnDelay: 510 * ms, TurnCompletedDelay: 2 * ms}}})
		show.event(&agents.ItemAdded{Item: &agents.ChatMessage{Role: agents.RoleAssistant, Interrupted: true,
			Metrics: agents.MessageMetrics{LLMTTFT: 300 * ms, TTSTTFB: 100 * ms, E2ELatency: e2e}}})
		want := "end_of_turn 510ms · turn_completed_cb 2ms · llm_ttft 300ms · tts_ttfb 100ms · e2e "
		color := "90"
		if e2e == time.Second {
			color = "31"
		}
		require.Contains(t, out.String(), "\x1b["+color+"m"+want)
		require.Contains(t, out.String(), "(interrupted)")
	}
}
