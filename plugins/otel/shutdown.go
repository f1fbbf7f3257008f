package otel

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"
)

// FlushTimeout is how long [Shutdown] takes at most.
const FlushTimeout = 10 * time.Second

// A Provider is what the application sets up and shuts down: the TracerProviders and MeterProviders of the OpenTelemetry
// SDK are some.
type Provider interface {
	// Shutdown sends what is left, and returns early when ctx is done.
	Shutdown(ctx context.Context) error
}

// Shutdown shuts the providers down, all at the same time, and returns when they are; they have until ctx is done, and
// [FlushTimeout] in all, so that a collector that does not answer holds up no exit. What is not sent by then is lost, and
// the error says whose it was. Call it when the sessions are over and their Observers have ended.
func Shutdown(ctx context.Context, providers ...Provider) error {
	ctx, cancel := context.WithTimeout(ctx, FlushTimeout)
	defer cancel()
	errs := make([]error, len(providers))
	var all sync.WaitGroup
	for i, p := range providers {
		all.Go(func() {
			if err := p.Shutdown(ctx); err != nil {
				errs[i] = fmt.Errorf("otel: shutting down %T: %w", p, err)
			}
		})
	}
	all.Wait()
	return errors.Join(errs...)
}
