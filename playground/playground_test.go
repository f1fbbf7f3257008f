package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-logr/logr"
	pb "github.com/livekit/protocol/livekit"
	"github.com/livekit/protocol/logger"
	lksdk "github.com/livekit/server-sdk-go/v2"
	"github.com/stretchr/testify/require"

	"github.com/parley-voice/agents/playground/internal/liveserver"
	"github.com/parley-voice/agents/plugins/openai/openaitest"
)

// A running playground is the whole program, but for its process.
type running struct {
	url         string
	printed     []string     // up to the URL
	end         func() error // as Ctrl-C does
	diagnostics *lockedBuffer
}

type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lockedBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

func noEnvironment(string) string { return "" }

// begin runs the playground, the page on a free port, and waits for its URL.
func begin(t *testing.T) *running {
	t.Helper()
	return beginWith(t, noEnvironment)
}

func beginWith(t *testing.T, getenv func(string) string, args ...string) *running {
	t.Helper()
	args = append([]string{"-addr", "127.0.0.1:0"}, args...)
	ctx, cancel := context.WithCancel(context.Background())
	r, w := io.Pipe()
	p := &running{diagnostics: &lockedBuffer{}}
	var err error
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		err = run(ctx, args, getenv, w, p.diagnostics)
		w.CloseWithError(errors.Join(err, io.EOF))
	}()
	p.end = func() error {
		cancel()
		select {
		case <-ended:
			return err
		case <-time.After(30 * time.Second):
			return errors.New("the playground does not end")
		}
	}
	t.Cleanup(func() {
		if err := p.end(); err != nil {
			t.Error(err)
		}
	})
	lines := bufio.NewScanner(r)
	for lines.Scan() {
		p.printed = append(p.printed, lines.Text())
		if _, after, ok := strings.Cut(lines.Text(), "http://"); ok {
			at, _, _ := strings.Cut(after, " ")
			p.url = "http://" + at
			go io.Copy(io.Discard, r) // until the program has ended
			return p
		}
	}
	require.NoError(t, lines.Err())
	t.Fatal("the playground printed no URL")
	return nil
}

// join asks for a room, as the page does.
func (p *running) join(t *testing.T, example string) (url, token string) {
	t.Helper()
	body, _ := json.Marshal(map[string]string{"example": example})
	answer, err := http.Post(p.url+"/api/join", "application/json", bytes.NewReader(body))
	require.NoError(t, err)
	defer answer.Body.Close()
	require.Equal(t, http.StatusOK, answer.StatusCode)
	var a struct{ URL, Token string }
	require.NoError(t, json.NewDecoder(answer.Body).Decode(&a))
	return a.URL, a.Token
}

// A happening is a message of the topic parley.events.
type happening struct {
	Type, From, To, Call, Name, Args, Source, Message string
	Output                                            *string
	Task, Failed                                      bool
	N                                                 int
}

func (h happening) String() string {
	switch h.Type {
	case "agent":
		return fmt.Sprintf("%s -> %s%s", h.From, h.To, map[bool]string{true: " (task)"}[h.Task])
	case "tool":
		if h.Output == nil {
			return "call " + h.Name + " " + h.Args
		}
		return "output " + h.Name + map[bool]string{true: " failed"}[h.Failed]
	default:
		return h.Type + " " + h.Source + " " + h.Message
	}
}

// A visitor is a participant who types and reads.
type visitor struct {
	room *lksdk.Room
	gone chan struct{}

	mu      sync.Mutex
	early   map[int]happening // whose turn has not come
	next    int
	seen    []string
	changed chan struct{} // closed and replaced when there is more
}

func visit(t *testing.T, p *running, example string) *visitor {
	t.Helper()
	url, token := p.join(t, example)
	v := &visitor{gone: make(chan struct{}), changed: make(chan struct{}), early: map[int]happening{}, next: 1}
	cb := lksdk.NewRoomCallback()
	cb.OnDisconnected = func() { close(v.gone) }
	v.room = lksdk.NewRoom(cb)
	require.NoError(t, v.room.RegisterTextStreamHandler("parley.events", func(r *lksdk.TextStreamReader, _ string) {
		var h happening
		if err := json.Unmarshal([]byte(r.ReadAll()), &h); err != nil {
			h = happening{Type: "broken", Message: err.Error()}
		}
		v.mu.Lock()
		defer v.mu.Unlock()
		v.early[h.N] = h
		for h, ok := v.early[v.next]; ok; h, ok = v.early[v.next] {
			v.seen = append(v.seen, h.String())
			v.next++
		}
		close(v.changed)
		v.changed = make(chan struct{})
	}))
	require.NoError(t, v.room.RegisterTextStreamHandler("lk.transcription", func(r *lksdk.TextStreamReader, _ string) { r.ReadAll() }))
	require.NoError(t, v.room.JoinWithToken(url, token, lksdk.WithLogger(logger.LogRLogger(logr.Discard()))))
	t.Cleanup(v.room.Disconnect)
	return v
}

func (v *visitor) happenings() []string {
	v.mu.Lock()
	defer v.mu.Unlock()
	return append([]string{}, v.seen...)
}

// waits until the visitor has seen n happenings, and returns all.
func (v *visitor) waits(t *testing.T, n int) []string {
	t.Helper()
	limit := time.After(20 * time.Second)
	for {
		v.mu.Lock()
		changed := v.changed
		v.mu.Unlock()
		if seen := v.happenings(); len(seen) >= n {
			return seen
		}
		select {
		case <-changed:
		case <-limit:
			t.Fatalf("not %d in time, only %q", n, v.happenings())
		}
	}
}

// sees waits until the visitor has seen exactly this.
func (v *visitor) sees(t *testing.T, want ...string) {
	t.Helper()
	require.Equal(t, want, v.waits(t, len(want)))
}

func (v *visitor) types(text string) {
	v.room.LocalParticipant.SendText(text, lksdk.StreamTextOptions{Topic: "lk.chat"})
}

// The page's topic has every handoff and every call, in the order in which they happen, from the first on.
func TestTheTopicHasWhatHappensInItsOrder(t *testing.T) {
	p := begin(t)
	v := visit(t, p, "support")
	want := []string{" -> intake", "intake -> consent (task)"}
	v.sees(t, want...)
	for _, turn := range []struct {
		types string
		then  []string
	}{
		{"sure, go ahead", []string{"call consent_given {}", "output consent_given", "consent -> intake"}},
		{"Hi, it's Dana Ortiz. Where is my order A-1009?", []string{`call order_status {"order_id":"A-1009"}`, "output order_status failed"}},
		{"Oh, sorry, it's A-1002. And I was promised it for last week!", []string{
			`call order_status {"order_id":"A-1002"}`, "output order_status",
			`call transfer_to_specialist {"name":"Dana Ortiz","category":"delivery"}`, "output transfer_to_specialist", "intake -> specialist"}},
		{"Yes please have them call me", []string{"call schedule_callback {}", "specialist -> callback (task)"}},
		{"555 0142, any weekday morning", []string{
			`call submit_callback {"phone":"555 0142","when":"any weekday morning"}`, "output submit_callback failed"}},
		{"Plus one, four one five.", []string{
			`call submit_callback {"phone":"+14155550142","when":"any weekday morning"}`, "output submit_callback", "callback -> specialist",
			"output schedule_callback"}},
		{"Honestly, I waited two weeks. I want to speak to your boss.", []string{
			`call escalate {"reason":"two weeks of delay, wants more than a callback"}`, "output escalate", "specialist -> supervisor"}},
		{"That's fair. Thank you, Ruth.", []string{
			`call grant_credit {"order_id":"A-1002","percent":20}`, "output grant_credit", "call end_call {}", "output end_call",
			"note  What came of it:\ncaller: Dana Ortiz\ncategory: delivery\nrecorded: yes\ncallback: +14155550142, any weekday morning\n" +
				"escalated: two weeks of delay, wants more than a callback\nresolution: 20 % credit on the coffee grinder",
			"end  "}},
	} {
		v.types(turn.types)
		want = append(want, turn.then...)
		v.sees(t, want...)
	}
	select {
	case <-v.gone:
	case <-time.After(10 * time.Second):
		t.Fatal("the room is still there after the agent has ended the call")
	}
	require.Empty(t, p.diagnostics.String())
}

// With a key, or the address of a compatible server, its models answer, and the key is seen nowhere.
func TestWithAKeyItsModelsAnswer(t *testing.T) {
	srv := openaitest.NewLoopbackServer(
		openaitest.Reply{Text: []string{"May we ", "record?"}},
		openaitest.Reply{Calls: []openaitest.Call{{Name: "consent_given", Arguments: "{}"}}},
		openaitest.Reply{Text: []string{"Hello."}})
	defer srv.Close()
	srv.RespondSpeech(func(*openaitest.Request) openaitest.SpeechReply { return openaitest.SpeechReply{} })
	p := beginWith(t, func(name string) string {
		return map[string]string{"OPENAI_BASE_URL": srv.URL(), "OPENAI_API_KEY": srv.Key(), "OPENAI_MODEL": "gpt-4.1"}[name]
	})
	v := visit(t, p, "support")
	v.sees(t, " -> intake", "intake -> consent (task)")
	v.types("Of course you may.")
	v.sees(t, " -> intake", "intake -> consent (task)", "call consent_given {}", "output consent_given", "consent -> intake")
	require.NoError(t, p.end())
	require.Contains(t, p.printed[0], "gpt-4.1 of 127.0.0.1 thinks")
	for _, shown := range append(p.printed, p.diagnostics.String(), strings.Join(v.happenings(), "\n")) {
		require.NotContains(t, shown, srv.Key())
	}
}

// A server of one's own takes the place of the one in the process.
func TestAServerOfOnesOwn(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	own, err := liveserver.Start(ctx)
	require.NoError(t, err)
	defer own.Stop()
	p := beginWith(t, func(name string) string {
		return map[string]string{"LIVEKIT_API_KEY": liveserver.APIKey, "LIVEKIT_API_SECRET": liveserver.APISecret}[name]
	}, "-livekit", own.URL)
	url, _ := p.join(t, "triage")
	require.Equal(t, own.URL, url)
	visit(t, p, "triage").sees(t, " -> triage")
	require.NoError(t, p.end())
}

// Every example begins, whatever the page names.
func TestEveryExampleBegins(t *testing.T) {
	p := begin(t)
	for example, first := range map[string]string{
		"support": " -> intake", "restaurant": " -> greeter", "frontdesk": " -> frontdesk", "triage": " -> triage",
		"drivethru": " -> drivethru", "survey": " -> interviewer",
	} {
		t.Run(example, func(t *testing.T) {
			v := visit(t, p, example)
			require.Equal(t, first, v.waits(t, 1)[0])
		})
	}
}

// What a program shows beside the talk is on the page: here the screen of a drive-thru.
func TestWhatAProgramShowsIsSent(t *testing.T) {
	p := begin(t)
	v := visit(t, p, "drivethru")
	v.sees(t, " -> drivethru")
	v.types("Medium.")
	seen := v.waits(t, 4)
	require.Equal(t, []string{" -> drivethru",
		`call order_combo_meal {"meal_id":"combo_classic","drink_id":"cola","drink_size":"M","fries_size":"L","sauce_id":null}`,
		"output order_combo_meal"}, seen[:3])
	require.Contains(t, seen[3], "note  ")
	require.Contains(t, seen[3], "Classic Burger Combo")
}

// A room that its visitor has left is gone soon, and the agent with it. The visitor is put out, as the SDK's own way to leave
// does not always reach the server.
func TestARoomIsGoneSoonAfterItsVisitor(t *testing.T) {
	p := begin(t)
	v := visit(t, p, "support")
	v.sees(t, " -> intake", "intake -> consent (task)")
	url, _ := p.join(t, "support")
	rooms := lksdk.NewRoomServiceClient(strings.Replace(url, "ws:", "http:", 1), liveserver.APIKey, liveserver.APISecret)
	open := func() []*pb.Room {
		answer, err := rooms.ListRooms(t.Context(), &pb.ListRoomsRequest{})
		require.NoError(t, err)
		return answer.Rooms
	}
	require.Len(t, open(), 1)
	_, err := rooms.RemoveParticipant(t.Context(), &pb.RoomParticipantIdentity{
		Room: v.room.Name(), Identity: v.room.LocalParticipant.Identity(),
	})
	require.NoError(t, err)
	limit := time.Now().Add(15 * time.Second)
	for left := open(); len(left) > 0; left = open() {
		if time.Now().After(limit) {
			t.Fatalf("the room is still there: %v", left)
		}
		<-time.After(20 * time.Millisecond) // between requests
	}
	begun := time.Now()
	require.NoError(t, p.end())
	require.Less(t, time.Since(begun), 10*time.Second, "the call had not ended with its room")
}

// Ctrl-C ends everything, calls that run included, and the page's port is free again.
func TestItEndsWithACallRunning(t *testing.T) {
	p := begin(t)
	v := visit(t, p, "support")
	v.sees(t, " -> intake", "intake -> consent (task)")
	require.NoError(t, p.end())
	select {
	case <-v.gone:
	case <-time.After(10 * time.Second):
		t.Fatal("the visitor is still in a room")
	}
	_, err := http.Get(p.url)
	require.Error(t, err)
}

// The default address gives way to a free port; one that was asked for does not.
func TestATakenAddress(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer taken.Close()
	at := taken.Addr().String()

	l, err := listen(at, false)
	require.NoError(t, err)
	require.NotEqual(t, at, l.Addr().String())
	require.NoError(t, l.Close())

	err = run(t.Context(), []string{"-addr", at}, noEnvironment, io.Discard, io.Discard)
	require.ErrorContains(t, err, "address already in use")
}

func TestFlags(t *testing.T) {
	require.ErrorIs(t, run(t.Context(), []string{"-help"}, noEnvironment, io.Discard, io.Discard), flag.ErrHelp)
	require.ErrorIs(t, run(t.Context(), []string{"-port"}, noEnvironment, io.Discard, io.Discard), errUsage)
	require.ErrorIs(t, run(t.Context(), []string{"support"}, noEnvironment, io.Discard, io.Discard), errUsage)
	err := run(t.Context(), []string{"-addr", "127.0.0.1:0", "-livekit", "ws://127.0.0.1:1"}, noEnvironment, io.Discard, io.Discard)
	require.ErrorContains(t, err, "APIKey is missing")
}
