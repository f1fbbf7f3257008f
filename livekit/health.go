package livekit

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"time"
)

// HealthHandler serves what HealthAddr serves, for those who have a server of their own:
//
//	/         200, or 503 once the worker has given up on the server; reconnecting is no illness
//	/worker   what the worker is and does, as JSON
//	/healthz  as /
//	/readyz   200 while the worker is registered and not draining, else 503
func (w *Worker) HealthHandler() http.Handler {
	mux := http.NewServeMux()
	alive := func(rw http.ResponseWriter, _ *http.Request) {
		w.mu.Lock()
		failed := w.link.state == linkFailed
		w.mu.Unlock()
		answer(rw, !failed, "failed to connect to the server")
	}
	mux.HandleFunc("GET /{$}", alive)
	mux.HandleFunc("GET /healthz", alive)
	mux.HandleFunc("GET /readyz", func(rw http.ResponseWriter, _ *http.Request) {
		w.mu.Lock()
		state, draining := w.link.state, w.slots.draining
		w.mu.Unlock()
		if draining {
			answer(rw, false, "draining")
			return
		}
		answer(rw, state == linkConnected, state.String())
	})
	mux.HandleFunc("GET /worker", func(rw http.ResponseWriter, _ *http.Request) {
		rw.Header().Set("Content-Type", "application/json")
		_ = json.NewEncoder(rw).Encode(w.Info())
	})
	return mux
}

func answer(rw http.ResponseWriter, ok bool, otherwise string) {
	if !ok {
		http.Error(rw, otherwise, http.StatusServiceUnavailable)
		return
	}
	fmt.Fprint(rw, "OK")
}

// WorkerInfo is what a worker says of itself.
type WorkerInfo struct {
	WorkerType      string  `json:"worker_type"`
	AgentName       string  `json:"agent_name"`
	Deployment      string  `json:"deployment"`
	ActiveJobs      int     `json:"active_jobs"`
	SDKVersion      string  `json:"sdk_version"`
	WorkerLoad      float64 `json:"worker_load"`
	ProtocolVersion int     `json:"protocol_version"`
	ProjectType     string  `json:"project_type"`
	// State is where the connection stands: idle, connecting, registering, connected, waiting, failed or closed.
	State string `json:"state"`
	// WorkerID is the one of the present registration.
	WorkerID string `json:"worker_id"`
	Draining bool   `json:"draining"`
}

// Info says what the worker is and does.
func (w *Worker) Info() WorkerInfo {
	w.mu.Lock()
	defer w.mu.Unlock()
	return WorkerInfo{
		WorkerType: w.o.Type.String(), AgentName: w.o.AgentName, Deployment: w.o.Deployment, ActiveJobs: len(w.jobs),
		SDKVersion: Version, WorkerLoad: w.load, ProtocolVersion: 1, ProjectType: "go",
		State: w.link.state.String(), WorkerID: w.workerID, Draining: w.slots.draining,
	}
}

// serveHealth listens where the options say.
func (w *Worker) serveHealth() (stop func(), err error) {
	var servers []*http.Server
	stop = func() {
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		for _, s := range servers {
			if s.Shutdown(ctx) != nil {
				_ = s.Close()
			}
		}
	}
	for _, at := range []struct {
		addr, what string
		handler    http.Handler
	}{{w.o.HealthAddr, "health", w.HealthHandler()}, {w.o.MetricsAddr, "metrics", w.MetricsHandler()}} {
		if at.addr == NoListener {
			continue
		}
		l, err := net.Listen("tcp", at.addr)
		if err != nil {
			stop()
			return nil, fmt.Errorf("livekit: %s endpoint: %w", at.what, err)
		}
		s := &http.Server{Handler: at.handler, ReadHeaderTimeout: 5 * time.Second}
		servers = append(servers, s)
		w.log.Info("listening", "for", at.what, "addr", l.Addr().String())
		go func() {
			if err := s.Serve(l); err != nil && !errors.Is(err, http.ErrServerClosed) {
				w.log.Error("endpoint failed", "for", at.what, "error", err)
			}
		}()
	}
	return stop, nil
}
