package otel_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracehttp"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"

	"github.com/parley-voice/agents"
	"github.com/parley-voice/agents/agenttest"
	"github.com/parley-voice/agents/plugins/otel"
)

const secret = "xyzzy" // is in everything that is said, written, called and thrown

// A secretive conversation, with everything that may hold what was said.
func secretive(t *testing.T, o otel.Options) *telemetry {
	tel := newTelemetry(t, o)
	task := func() *agents.AgentTask[bool] {
		task := agents.NewTask[bool]("Ask for " + secret)
		task.ID = "ask"
		task.OnEnter = func(context.Context, *agents.AgentSession) error { task.Fail(errors.New("no " + secret)); return nil }
		return task
	}
	agent := &agents.Agent{ID: "a", Instructions: secret, Tools: []agents.Tool{
		agents.ToolFunc("look", "Looks.", func(context.Context, struct{ What string }) (string, error) { return secret, nil }),
		agents.ToolFunc("fail", "Fails.", func(context.Context, noArgs) (string, error) { return "", errors.New(secret) }),
		agents.ToolFunc("refuse", "Refuses.", func(context.Context, noArgs) (string, error) { return "", agents.Errorf("%s", secret) }),
		agents.ToolFunc("panic", "Panics.", func(context.Context, noArgs) (string, error) { panic(secret) }),
		agents.ToolFunc("ask", "Asks.", func(ctx context.Context, _ noArgs) (string, error) {
			_, err := task().Run(ctx)
			return "", err
		}),
		agents.NewTool("wait", "Waits.", func(ctx context.Context, run *agents.RunContext[any], _ noArgs) (string, error) {
			err := run.Update(ctx, secret)
			return secret, err
		}),
	}}
	script := agenttest.Voice(
		agenttest.Speech(500*ms, 2500*ms, "Say "+secret+"."),
		agenttest.Speech(8000*ms, 9000*ms, "Fail with "+secret+"."))
	llm := agenttest.NewLLM(t,
		agenttest.OnUser("Say "+secret+".").Say(secret+". ").Call("look", `{"What":"`+secret+`"}`).Call("fail", `{}`).Call("refuse", `{}`).
			Call("panic", `{}`).Call("ask", `{}`).Call("wait", `{}`).Call("call_"+secret, `{}`),
		agenttest.OnOutput("wait").Say(secret+"."),
		agenttest.OnOutput("ask").Say(secret+"."),
		agenttest.OnUser("Fail with "+secret+".").Fail(errors.New(secret)))
	opts := agents.Options{LLM: llm, TTS: agenttest.NewTTS(t), AECWarmup: agents.Never, MaxUnrecoverableErrors: agents.None}
	opts.LLMConn.MaxRetries = agents.None
	v := agenttest.StartVoice(t, tel.observed(opts), agent, script)
	v.Until(20 * time.Second)
	v.Close()
	v.Wait()
	tel.sound()
	return tel
}

// worker 31: without content an error is its type and a constant message, without a stack, and nothing of what was said
// is in the OTLP that goes to a collector; with content everything is there.
func TestNothingSecretIsTold(t *testing.T) {
	for name, content := range map[string]bool{"redacted": false, "with content": true} {
		t.Run(name, func(t *testing.T) {
			var spans []sdktrace.ReadOnlySpan
			agenttest.Run(t, func(t *testing.T) {
				tel := secretive(t, otel.Options{Content: content})
				spans = tel.spans.Ended()
				require.NotContains(t, tel.metrics(), secret, "metrics hold no content")
			})
			otlp := encoded(t, spans)
			require.Equal(t, content, bytes.Contains(otlp, []byte(secret)))
			require.Contains(t, string(otlp), "agent_session")
			exceptions, stacks, personal := 0, 0, 0
			for _, s := range spans {
				for _, kv := range s.Attributes() {
					if strings.Contains(string(kv.Key), ".pii.") {
						personal++
					}
				}
				for _, e := range s.Events() {
					if e.Name != "exception" && e.Name != "task_failed" {
						continue
					}
					exceptions++
					for _, kv := range e.Attributes {
						switch kv.Key {
						case "exception.type":
							require.NotEmpty(t, kv.Value.AsString())
						case "exception.message":
							require.Equal(t, !content, kv.Value.AsString() == "exception details redacted", kv.Value.AsString())
						case "exception.stacktrace":
							stacks++
						}
					}
				}
			}
			require.GreaterOrEqual(t, exceptions, 4)
			require.Equal(t, content, stacks > 0)
			require.Equal(t, content, personal > 0)
		})
	}
}

// encoded returns what a collector gets.
func encoded(t *testing.T, spans []sdktrace.ReadOnlySpan) []byte {
	var body []byte
	collector := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		body, _ = io.ReadAll(r.Body)
	}))
	defer collector.Close()
	exporter, err := otlptracehttp.New(t.Context(), otlptracehttp.WithEndpointURL(collector.URL+"/v1/traces"),
		otlptracehttp.WithCompression(otlptracehttp.NoCompression))
	require.NoError(t, err)
	require.NoError(t, exporter.ExportSpans(t.Context(), spans))
	require.NoError(t, exporter.Shutdown(t.Context()))
	return body
}

// The keys of a telephone may be a number that is nobody's business.
func TestKeysAreContent(t *testing.T) {
	for _, content := range []bool{false, true} {
		agenttest.Run(t, func(t *testing.T) {
			tel := newTelemetry(t, otel.Options{Content: content})
			watch := tel.Observe(t.Context())
			watch.OnEvent(&agents.DTMFReceived{EventMeta: agents.EventMeta{Seq: 1, At: time.Now()}, Key: agents.DTMF('7')})
			watch.End()
			events := tel.named("agent_session")[0].Events()
			require.Len(t, events, 1)
			require.Equal(t, "dtmf_received", events[0].Name)
			require.Equal(t, content, len(events[0].Attributes) == 1)
		})
	}
}
