package otel_test

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
	"go.opentelemetry.io/otel/trace"

	"github.com/parley-voice/agents"
	"github.com/parley-voice/agents/plugins/otel"
)

const ms = time.Millisecond

// telemetry is a Telemetry and what came of it.
type telemetry struct {
	*otel.Telemetry
	t     testing.TB
	begin time.Time
	spans *tracetest.SpanRecorder
	meter *metric.ManualReader
}

func newTelemetry(t testing.TB, o otel.Options) *telemetry {
	tel := &telemetry{t: t, begin: time.Now(), spans: tracetest.NewSpanRecorder(), meter: metric.NewManualReader()}
	o.TracerProvider = sdktrace.NewTracerProvider(sdktrace.WithSpanProcessor(tel.spans))
	o.MeterProvider = metric.NewMeterProvider(metric.WithReader(tel.meter))
	var err error
	tel.Telemetry, err = otel.New(o)
	require.NoError(t, err)
	return tel
}

// observed returns the options with an observer.
func (tel *telemetry) observed(opts agents.Options) agents.Options {
	opts.OnEvent = tel.Observe(context.Background()).OnEvent
	return opts
}

// named returns the ended spans of a name, by their start.
func (tel *telemetry) named(name string) []sdktrace.ReadOnlySpan {
	all := slices.DeleteFunc(tel.spans.Ended(), func(s sdktrace.ReadOnlySpan) bool { return s.Name() != name })
	slices.SortStableFunc(all, func(a, b sdktrace.ReadOnlySpan) int { return a.StartTime().Compare(b.StartTime()) })
	return all
}

// attr returns an attribute of a span, or nil.
func attr(s sdktrace.ReadOnlySpan, key string) any {
	for _, kv := range s.Attributes() {
		if string(kv.Key) == key {
			return kv.Value.AsInterface()
		}
	}
	return nil
}

// at returns when a span was, in seconds of the test.
func (tel *telemetry) at(s sdktrace.ReadOnlySpan) string {
	return fmt.Sprintf("%v to %v", s.StartTime().Sub(tel.begin), s.EndTime().Sub(tel.begin))
}

// tree writes the spans down, each below its parent, siblings by their start.
func (tel *telemetry) tree() string {
	children := make(map[trace.SpanID][]sdktrace.ReadOnlySpan)
	for _, s := range tel.spans.Ended() {
		children[s.Parent().SpanID()] = append(children[s.Parent().SpanID()], s)
	}
	var b strings.Builder
	var write func(id trace.SpanID, indent string)
	write = func(id trace.SpanID, indent string) {
		slices.SortStableFunc(children[id], func(a, b sdktrace.ReadOnlySpan) int { return a.StartTime().Compare(b.StartTime()) })
		for _, s := range children[id] {
			fmt.Fprintf(&b, "%s%s %s", indent, s.Name(), tel.at(s))
			if st := s.Status(); st.Code != codes.Unset {
				fmt.Fprintf(&b, " %v %q", st.Code, st.Description)
			}
			b.WriteString("\n")
			for _, kv := range s.Attributes() {
				fmt.Fprintf(&b, "%s  · %s\n", indent, pair(kv))
			}
			for _, e := range s.Events() {
				fmt.Fprintf(&b, "%s  * %v %s", indent, e.Time.Sub(tel.begin), e.Name)
				for _, kv := range e.Attributes {
					b.WriteString(" " + pair(kv))
				}
				b.WriteString("\n")
			}
			write(s.SpanContext().SpanID(), indent+"    ")
		}
	}
	write(trace.SpanID{}, "")
	return b.String()
}

func pair(kv attribute.KeyValue) string {
	if kv.Value.Type() == attribute.STRING {
		if s := kv.Value.AsString(); strings.HasPrefix(s, "{") {
			return fmt.Sprintf("%s=%s", kv.Key, s)
		}
		return fmt.Sprintf("%s=%q", kv.Key, kv.Value.AsString())
	}
	return fmt.Sprintf("%s=%s", kv.Key, kv.Value.String())
}

// metrics returns the metrics, one a line: the sum of a counter, how many values a histogram has and their sum.
func (tel *telemetry) metrics() string {
	var rm metricdata.ResourceMetrics
	require.NoError(tel.t, tel.meter.Collect(context.Background(), &rm))
	var lines []string
	line := func(m metricdata.Metrics, attrs attribute.Set, value string) {
		text := m.Name
		for _, kv := range attrs.ToSlice() {
			text += " " + pair(kv)
		}
		lines = append(lines, text+": "+value+" "+m.Unit)
	}
	for _, scope := range rm.ScopeMetrics {
		require.Equal(tel.t, "livekit-agents", scope.Scope.Name)
		for _, m := range scope.Metrics {
			switch data := m.Data.(type) {
			case metricdata.Histogram[float64]:
				for _, p := range data.DataPoints {
					line(m, p.Attributes, fmt.Sprintf("%d values, %.4g", p.Count, p.Sum))
				}
			case metricdata.Sum[int64]:
				for _, p := range data.DataPoints {
					line(m, p.Attributes, fmt.Sprint(p.Value))
				}
			case metricdata.Sum[float64]:
				for _, p := range data.DataPoints {
					line(m, p.Attributes, fmt.Sprintf("%.4g", p.Value))
				}
			default:
				tel.t.Errorf("%s is a %T", m.Name, m.Data)
			}
		}
	}
	slices.Sort(lines)
	return strings.Join(lines, "\n") + "\n"
}

// golden compares the spans and metrics with a file, or writes it with -agenttest.update.
func (tel *telemetry) golden(file string) {
	tel.t.Helper()
	tel.sound()
	got := tel.tree() + "\n" + tel.metrics()
	if f := flag.Lookup("agenttest.update"); f != nil && f.Value.String() == "true" {
		require.NoError(tel.t, os.MkdirAll(filepath.Dir(file), 0o755))
		require.NoError(tel.t, os.WriteFile(file, []byte(got), 0o644))
		return
	}
	want, err := os.ReadFile(file)
	if errors.Is(err, fs.ErrNotExist) {
		tel.t.Fatalf("there is no %s yet; run the test with -agenttest.update to write it. It would be:\n%s", file, got)
	}
	require.NoError(tel.t, err)
	require.Equal(tel.t, string(want), got)
}

// sound checks what is true of the spans of any sessions that are over: each has ended once, and not before it began;
// each is in the trace of its parent, which exists; and there is one agent_session for each trace.
func (tel *telemetry) sound() {
	tel.t.Helper()
	ids := make(map[trace.SpanID]sdktrace.ReadOnlySpan)
	for _, s := range tel.spans.Ended() {
		require.NotContains(tel.t, ids, s.SpanContext().SpanID(), "%s ended twice", s.Name())
		ids[s.SpanContext().SpanID()] = s
	}
	require.Len(tel.t, tel.spans.Started(), len(ids), "every span ends")
	for _, s := range ids {
		require.False(tel.t, s.EndTime().Before(s.StartTime()), "%s %s", s.Name(), tel.at(s))
		require.Zero(tel.t, s.DroppedAttributes(), s.Name())
		if s.Name() == "agent_session" {
			continue
		}
		parent := ids[s.Parent().SpanID()]
		require.NotNil(tel.t, parent, "%s has no parent", s.Name())
		require.Equal(tel.t, parent.SpanContext().TraceID(), s.SpanContext().TraceID())
		require.Contains(tel.t, parents[s.Name()], parent.Name(), s.Name())
	}
}

// parents are the spans that a span may be below.
var parents = map[string][]string{
	"start_agent_activity":  {"agent_session"},
	"pause_agent_activity":  {"agent_session"},
	"resume_agent_activity": {"agent_session"},
	"drain_agent_activity":  {"agent_session"},
	"user_turn":             {"agent_session"},
	"user_speaking":         {"agent_session"},
	"agent_turn":            {"agent_session"},
	"realtime_metrics":      {"agent_session"},
	"eou_detection":         {"user_turn", "agent_session"},
	"agent_speaking":        {"agent_turn"},
	"function_tool":         {"agent_turn"},
	"llm_node":              {"agent_turn", "agent_session"}, // of a reply that was prepared and not used
	"tts_node":              {"agent_turn", "agent_session"},
	"llm_request":           {"llm_node"},
	"tts_request":           {"tts_node"},
}
