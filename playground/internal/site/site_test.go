package site

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/livekit/protocol/auth"
	"github.com/stretchr/testify/require"

	"github.com/parley-voice/agents/playground/internal/stage"
)

const secret = "a-secret-of-at-least-32-characters"

func testSite(t *testing.T, change func(*Options)) http.Handler {
	t.Helper()
	s, err := stage.New(stage.Models{})
	require.NoError(t, err)
	o := Options{
		Page:  fstest.MapFS{"index.html": {Data: []byte("<html><!--livekit--></html>")}, "app.js": {Data: []byte("//")}},
		Stage: s, URL: "ws://server", APIKey: "key", APISecret: secret, AgentName: "worker",
	}
	if change != nil {
		change(&o)
	}
	h, err := New(o)
	require.NoError(t, err)
	return h
}

func ask(h http.Handler, method, path, body string, header ...string) *http.Response {
	r := httptest.NewRequest(method, path, strings.NewReader(body))
	r.Host = "localhost:8080"
	for i := 0; i < len(header); i += 2 {
		if header[i] == "Host" {
			r.Host = header[i+1]
		}
		r.Header.Set(header[i], header[i+1])
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w.Result()
}

func text(t *testing.T, r *http.Response) string {
	b, err := io.ReadAll(r.Body)
	require.NoError(t, err)
	return string(b)
}

// The client comes from where it is installed, or from the CDN if its hash is right; the policy allows no other script.
func TestThePageLoadsTheClient(t *testing.T) {
	r := ask(testSite(t, nil), "GET", "/", "")
	require.Equal(t, http.StatusOK, r.StatusCode)
	require.Equal(t, `<html><script src="`+ClientCDN+`" integrity="`+ClientIntegrity+`" crossorigin="anonymous"></script></html>`, text(t, r))
	require.Contains(t, r.Header.Get("Content-Security-Policy"), "script-src 'self' "+ClientCDN+";")

	installed := testSite(t, func(o *Options) { o.ClientScript = "client.go" })
	r = ask(installed, "GET", "/", "")
	require.Equal(t, `<html><script src="livekit-client.js"></script></html>`, text(t, r))
	require.Contains(t, r.Header.Get("Content-Security-Policy"), "script-src 'self';")
	r = ask(installed, "GET", "/livekit-client.js", "")
	require.Equal(t, "text/javascript; charset=utf-8", r.Header.Get("Content-Type"))
	require.Contains(t, text(t, r), "package site")
	require.Equal(t, http.StatusNotFound, ask(testSite(t, nil), "GET", "/livekit-client.js", "").StatusCode)
	require.Equal(t, http.StatusOK, ask(installed, "GET", "/app.js", "").StatusCode)
}

// A token is for one new room, in which the agent of the example will be, and for nothing else.
func TestJoining(t *testing.T) {
	rooms := map[string]bool{}
	for range 2 {
		r := ask(testSite(t, nil), "POST", "/api/join", `{"example":"support"}`, "Content-Type", "application/json; charset=utf-8")
		require.Equal(t, http.StatusOK, r.StatusCode)
		require.Equal(t, "no-store", r.Header.Get("Cache-Control"))
		body := text(t, r)
		require.NotContains(t, body, secret)
		var a struct {
			URL, Token string
			Hears      bool
		}
		require.NoError(t, json.Unmarshal([]byte(body), &a))
		require.Equal(t, "ws://server", a.URL)
		require.False(t, a.Hears)
		v, err := auth.ParseAPIToken(a.Token)
		require.NoError(t, err)
		_, claims, err := v.Verify(secret)
		require.NoError(t, err)
		require.True(t, claims.Video.RoomJoin)
		require.False(t, claims.Video.RoomAdmin || claims.Video.RoomCreate || claims.Video.RoomList)
		require.True(t, strings.HasPrefix(claims.Video.Room, "playground-support-"))
		rooms[claims.Video.Room] = true
		config := claims.GetRoomConfiguration()
		require.EqualValues(t, 5, config.DepartureTimeout)
		require.EqualValues(t, 60, config.EmptyTimeout)
		require.Len(t, config.Agents, 1)
		require.Equal(t, "worker", config.Agents[0].AgentName)
		require.Equal(t, stage.Assignment("support"), config.Agents[0].Metadata)
	}
	require.Len(t, rooms, 2)
}

// Whoever may not ask, or asks for what there is not, gets no token.
func TestWhatIsRefused(t *testing.T) {
	const body, kind = `{"example":"support"}`, "application/json"
	for name, tt := range map[string]struct {
		status int
		r      *http.Response
	}{
		"an example that there is not": {404, ask(testSite(t, nil), "POST", "/api/join", `{"example":"x"}`, "Content-Type", kind)},
		"no JSON":                      {400, ask(testSite(t, nil), "POST", "/api/join", `{`, "Content-Type", kind)},
		"a long body":                  {400, ask(testSite(t, nil), "POST", "/api/join", `{"example":"`+strings.Repeat("x", 9000)+`"}`, "Content-Type", kind)},
		"a form":                       {415, ask(testSite(t, nil), "POST", "/api/join", body, "Content-Type", "text/plain")},
		"another method":               {405, ask(testSite(t, nil), "PUT", "/api/join", body, "Content-Type", kind)},
		"another site": {403, ask(testSite(t, nil), "POST", "/api/join", body, "Content-Type", kind,
			"Sec-Fetch-Site", "cross-site", "Origin", "https://elsewhere.example")},
		"another name":    {421, ask(testSite(t, nil), "POST", "/api/join", body, "Content-Type", kind, "Host", "elsewhere.example:8080")},
		"not in the page": {404, ask(testSite(t, nil), "GET", "/main.go", "")},
	} {
		require.Equal(t, tt.status, tt.r.StatusCode, name)
		require.NotContains(t, text(t, tt.r), "token", name)
	}
	for _, host := range []string{"localhost", "127.0.0.1:8080", "[::1]:8080"} {
		require.Equal(t, 200, ask(testSite(t, nil), "GET", "/api/examples", "", "Host", host).StatusCode, host)
	}
	any := testSite(t, func(o *Options) { o.AnyHost = true })
	require.Equal(t, 200, ask(any, "GET", "/api/examples", "", "Host", "box.example").StatusCode)
}
