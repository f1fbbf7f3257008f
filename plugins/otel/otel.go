package otel

import (
	"context"
	"fmt"

	global "go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"
	"go.opentelemetry.io/otel/trace"
)

// scope is the name of the tracer and of the meter, by which dashboards find them.
const scope = "livekit-agents"

// Options configure a [Telemetry]. The zero value of each field is its default.
type Options struct {
	// TracerProvider makes the spans. The default is the global one of go.opentelemetry.io/otel, which does nothing
	// until the application sets it. For none there is package go.opentelemetry.io/otel/trace/noop.
	TracerProvider trace.TracerProvider
	// MeterProvider makes the metrics. The default is the global one, as above.
	MeterProvider metric.MeterProvider
	// Content puts on the spans what was said, the keys of a telephone that were pressed, the arguments and outputs of
	// calls, and the texts of errors. Without it a span says that something happened, when, how long it took and how it
	// ended.
	Content bool
	// Attributes are put on every span.
	Attributes []attribute.KeyValue
}

// A Telemetry reports sessions to OpenTelemetry. It is safe for concurrent use: one serves every session of the process.
type Telemetry struct {
	tracer  trace.Tracer
	meters  *meters
	content bool
	attrs   []attribute.KeyValue
}

// New returns a Telemetry. An error says which instrument the MeterProvider refuses.
func New(o Options) (*Telemetry, error) {
	if o.TracerProvider == nil {
		o.TracerProvider = global.GetTracerProvider()
	}
	if o.MeterProvider == nil {
		o.MeterProvider = global.GetMeterProvider()
	}
	m, err := newMeters(o.MeterProvider.Meter(scope))
	if err != nil {
		return nil, fmt.Errorf("otel: %w", err)
	}
	t := &Telemetry{tracer: o.TracerProvider.Tracer(scope), meters: m, content: o.Content}
	t.attrs = t.allowed(nil, o.Attributes)
	return t, nil
}

// Observe returns an Observer for one session that has not started; each session needs its own, because events do not
// say whose they are. A span in ctx, such as that of the job, becomes the parent of the session's; ctx is used for
// nothing else. The attributes, such as the job's id, are put on every span of the session, after Options.Attributes.
func (t *Telemetry) Observe(ctx context.Context, attrs ...attribute.KeyValue) *Observer {
	return &Observer{
		t:      t,
		parent: trace.ContextWithSpan(context.Background(), trace.SpanFromContext(ctx)),
		attrs:  t.allowed(t.attrs, attrs),
	}
}

// allowed appends those attributes that may be told.
func (t *Telemetry) allowed(to, attrs []attribute.KeyValue) []attribute.KeyValue {
	to = to[:len(to):len(to)]
	for _, kv := range attrs {
		if t.content || !isPersonal(kv.Key) {
			to = append(to, kv)
		}
	}
	return to
}
