package otel_test

import (
	"context"
	"fmt"
	"iter"
	"net/http"
	"net/http/httptest"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracehttp"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"

	"github.com/parley-voice/agents"
	"github.com/parley-voice/agents/plugins/otel"
)

// The traces of sessions go to a collector by OTLP.
func Example() {
	collector := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		fmt.Println(r.Method, r.URL.Path)
	}))
	defer collector.Close()

	ctx := context.Background()
	exporter, err := otlptracehttp.New(ctx, otlptracehttp.WithEndpointURL(collector.URL+"/v1/traces"))
	if err != nil {
		fmt.Println(err)
		return
	}
	tracers := sdktrace.NewTracerProvider(sdktrace.WithBatcher(exporter))
	defer func() { // sends what is left, in 10 s at most
		if err := otel.Shutdown(ctx, tracers); err != nil {
			fmt.Println(err)
		}
	}()

	tel, err := otel.New(otel.Options{TracerProvider: tracers})
	if err != nil {
		fmt.Println(err)
		return
	}

	// For each session:
	watch := tel.Observe(ctx, attribute.String("lk.job_id", "AJ_1"))
	session := agents.NewSession(agents.Options{
		LLM: polite{},
		OnEvent: func(e agents.Event) {
			watch.OnEvent(e)
			if e, ok := e.(*agents.Closed); ok {
				fmt.Println("closed:", e.Reason)
			}
		},
	})
	if err := session.Start(ctx, &agents.Agent{ID: "host"}, agents.IO{}); err != nil {
		fmt.Println(err)
		return
	}
	if _, err := session.Run(ctx, "Hello."); err != nil {
		fmt.Println(err)
	}
	session.Close()
	session.Wait()
	watch.End()
	// Output:
	// closed: user_initiated
	// POST /v1/traces
}

// polite is a model that needs no key.
type polite struct{}

func (polite) Chat(context.Context, agents.ChatRequest) iter.Seq2[agents.ChatChunk, error] {
	return func(yield func(agents.ChatChunk, error) bool) { yield(agents.ChatChunk{Text: "Good morning."}, nil) }
}
