// Package site serves the page and what it asks for: the examples, and a token for a room in which one runs.
package site

import (
	"crypto/rand"
	"encoding/json"
	"io/fs"
	"mime"
	"net"
	"net/http"
	"strings"
	"time"

	"github.com/livekit/protocol/auth"
	pb "github.com/livekit/protocol/livekit"

	"github.com/parley-voice/agents/playground/internal/stage"
)

// Options say what a site serves.
type Options struct {
	Page  fs.FS // index.html and what it needs
	Stage *stage.Stage
	// ClientScript is the file with livekit-client. If it is empty, the page loads it from CDN.
	ClientScript string
	// URL, APIKey and APISecret are those of the LiveKit server, AgentName is the worker's.
	URL, APIKey, APISecret, AgentName string
	// AnyHost answers requests under whatever name they reach the site. By default those are refused that come under a
	// name that is not of this machine's loopback interface: a page elsewhere could give itself such a name.
	AnyHost bool
}

// How long the server keeps a room that nobody came to, or that all but the agent have left, in seconds. An agent is not
// told of somebody who was there for a moment only.
const (
	emptyFor    = 60
	departedFor = 5
)

// tokenValidFor is how long a token can be used to join. A room that was joined lasts longer.
const tokenValidFor = 10 * time.Minute

// New returns the handler of a site.
func New(o Options) (http.Handler, error) {
	page, err := fs.ReadFile(o.Page, "index.html")
	if err != nil {
		return nil, err
	}
	index := strings.Replace(string(page), "<!--livekit-->", clientTag(o.ClientScript != ""), 1)
	mux := http.NewServeMux()
	mux.HandleFunc("GET /{$}", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		_, _ = w.Write([]byte(index))
	})
	mux.Handle("GET /", http.FileServerFS(o.Page))
	if o.ClientScript != "" {
		mux.HandleFunc("GET /livekit-client.js", func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Type", "text/javascript; charset=utf-8")
			http.ServeFile(w, r, o.ClientScript)
		})
	}
	mux.HandleFunc("GET /api/examples", func(w http.ResponseWriter, _ *http.Request) { answer(w, o.Stage.Examples()) })
	mux.HandleFunc("POST /api/join", o.join)
	return o.guard(http.NewCrossOriginProtection().Handler(mux)), nil
}

// clientTag is the script tag of livekit-client.
func clientTag(local bool) string {
	if local {
		return `<script src="livekit-client.js"></script>`
	}
	return `<script src="` + ClientCDN + `" integrity="` + ClientIntegrity + `" crossorigin="anonymous"></script>`
}

// guard sets what keeps the page to itself, and refuses foreign names.
func (o Options) guard(next http.Handler) http.Handler {
	scripts := "'self'"
	if o.ClientScript == "" {
		scripts += " " + ClientCDN
	}
	policy := "default-src 'self'; script-src " + scripts + "; img-src 'self' data:; media-src 'self' blob:; worker-src 'self' blob:; " +
		"connect-src 'self' ws: wss: http: https:; frame-ancestors 'none'; base-uri 'none'; form-action 'none'"
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !o.AnyHost && !loopback(r.Host) {
			http.Error(w, "this name is not of this machine", http.StatusMisdirectedRequest)
			return
		}
		h := w.Header()
		h.Set("Content-Security-Policy", policy)
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("Referrer-Policy", "no-referrer")
		h.Set("Cache-Control", "no-cache")
		next.ServeHTTP(w, r)
	})
}

func loopback(host string) bool {
	if name, _, err := net.SplitHostPort(host); err == nil {
		host = name
	}
	ip := net.ParseIP(strings.Trim(host, "[]"))
	return host == "localhost" || ip != nil && ip.IsLoopback()
}

// join answers with a token for a new room, to which the server will send an agent with the example.
func (o Options) join(w http.ResponseWriter, r *http.Request) {
	if t, _, err := mime.ParseMediaType(r.Header.Get("Content-Type")); err != nil || t != "application/json" {
		http.Error(w, "the body must be JSON", http.StatusUnsupportedMediaType)
		return
	}
	var ask struct {
		Example string `json:"example"`
	}
	if err := json.NewDecoder(http.MaxBytesReader(w, r.Body, 4<<10)).Decode(&ask); err != nil {
		http.Error(w, "the body is not the JSON of a request", http.StatusBadRequest)
		return
	}
	if !o.Stage.Has(ask.Example) {
		http.Error(w, "there is no such example", http.StatusNotFound)
		return
	}
	id := strings.ToLower(rand.Text()[:8])
	token, err := auth.NewAccessToken(o.APIKey, o.APISecret).
		SetIdentity("you-" + id).SetName("You").SetValidFor(tokenValidFor).
		SetVideoGrant(&auth.VideoGrant{RoomJoin: true, Room: "playground-" + ask.Example + "-" + id}).
		SetRoomConfig(&pb.RoomConfiguration{EmptyTimeout: emptyFor, DepartureTimeout: departedFor, Agents: []*pb.RoomAgentDispatch{{
			AgentName: o.AgentName, Metadata: stage.Assignment(ask.Example),
		}}}).ToJWT()
	if err != nil {
		http.Error(w, "no token could be made", http.StatusInternalServerError)
		return
	}
	answer(w, struct {
		URL   string `json:"url"`
		Token string `json:"token"`
		Hears bool   `json:"hears"`
	}{o.URL, token, o.Stage.Hears()})
}

func answer(w http.ResponseWriter, v any) {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	_ = json.NewEncoder(w).Encode(v)
}
