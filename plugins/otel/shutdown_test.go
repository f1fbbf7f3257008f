package otel_test

import (
	"context"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/otel/sdk/metric"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"

	"github.com/parley-voice/agents/agenttest"
	"github.com/parley-voice/agents/plugins/otel"
)

// deafCollector is an exporter whose collector takes no answer.
type deafCollector struct{ asked atomic.Int32 }

func (d *deafCollector) ExportSpans(ctx context.Context, _ []sdktrace.ReadOnlySpan) error {
	d.asked.Add(1)
	<-ctx.Done()
	return ctx.Err()
}

func (d *deafCollector) Shutdown(context.Context) error { return nil }

// Worker §5.4: the providers are shut down at the same time, 10 s in all, whatever the collectors do.
func TestShutdownIsBounded(t *testing.T) {
	agenttest.Run(t, func(t *testing.T) {
		var deaf [3]deafCollector
		var providers []otel.Provider
		for i := range deaf {
			tracers := sdktrace.NewTracerProvider(sdktrace.WithBatcher(&deaf[i], sdktrace.WithExportTimeout(time.Minute)))
			_, span := tracers.Tracer("test").Start(t.Context(), "left")
			span.End()
			providers = append(providers, tracers)
		}
		meters := metric.NewMeterProvider(metric.WithReader(metric.NewManualReader()))
		begin := time.Now()
		err := otel.Shutdown(context.Background(), append(providers, meters)...)
		require.ErrorIs(t, err, context.DeadlineExceeded)
		require.Equal(t, otel.FlushTimeout, time.Since(begin))
		for i := range deaf {
			require.EqualValues(t, 1, deaf[i].asked.Load())
		}

		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		slow := slowProvider{}
		begin = time.Now()
		require.ErrorIs(t, otel.Shutdown(ctx, slow), context.DeadlineExceeded)
		require.Equal(t, time.Second, time.Since(begin))
		require.NoError(t, otel.Shutdown(context.Background()))
		time.Sleep(time.Minute) // the SDK's own goroutines end with the export's time-out
	})
}

type slowProvider struct{}

func (slowProvider) Shutdown(ctx context.Context) error { <-ctx.Done(); return ctx.Err() }
