package otel_test

import (
	"context"
	"testing"

	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/otel/metric/noop"
	"go.opentelemetry.io/otel/sdk/metric"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"

	"github.com/parley-voice/agents"
	"github.com/parley-voice/agents/plugins/otel"
)

// discard is a span processor that takes the spans and does nothing.
type discard struct{}

func (discard) OnStart(context.Context, sdktrace.ReadWriteSpan) {}
func (discard) OnEnd(sdktrace.ReadOnlySpan)                     {}
func (discard) Shutdown(context.Context) error                  { return nil }
func (discard) ForceFlush(context.Context) error                { return nil }

// BenchmarkTurn is what a turn by text costs without an observer, with one whose traces are not sampled, and with one
// that records everything. A session is closed after 20 turns, and its start and stop count.
func BenchmarkTurn(b *testing.B) {
	tracers := sdktrace.NewTracerProvider(sdktrace.WithSpanProcessor(discard{}))
	unsampled := sdktrace.NewTracerProvider(sdktrace.WithSampler(sdktrace.NeverSample()), sdktrace.WithSpanProcessor(discard{}))
	meters := metric.NewMeterProvider(metric.WithReader(metric.NewManualReader()))
	for _, c := range []struct {
		name string
		opts *otel.Options
	}{
		{"without", nil},
		{"unsampled", &otel.Options{TracerProvider: unsampled, MeterProvider: noop.NewMeterProvider()}},
		{"recording", &otel.Options{TracerProvider: tracers, MeterProvider: meters}},
		{"content", &otel.Options{TracerProvider: tracers, MeterProvider: meters, Content: true}},
	} {
		b.Run(c.name, func(b *testing.B) {
			var tel *otel.Telemetry
			if c.opts != nil {
				var err error
				tel, err = otel.New(*c.opts)
				require.NoError(b, err)
			}
			b.ReportAllocs()
			ctx := b.Context()
			for done := 0; done < b.N; {
				opts := agents.Options{LLM: polite{}}
				if tel != nil {
					opts.OnEvent = tel.Observe(ctx).OnEvent
				}
				s := agents.NewSession(opts)
				require.NoError(b, s.Start(ctx, &agents.Agent{}, agents.IO{}))
				for range min(20, b.N-done) {
					_, err := s.Run(ctx, "hi")
					require.NoError(b, err)
					done++
				}
				s.Close()
				s.Wait()
			}
		})
	}
}
