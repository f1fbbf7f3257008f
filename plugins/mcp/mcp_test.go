package mcp_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	sdk "github.com/modelcontextprotocol/go-sdk/mcp"
	"github.com/stretchr/testify/require"

	"github.com/parley-voice/agents"
	"github.com/parley-voice/agents/agenttest"
	"github.com/parley-voice/agents/plugins/mcp"
)

// serveEnv, in the environment of the test binary, makes it an MCP server on its standard input and output.
const serveEnv = "PARLEY_MCP_TEST_SERVER"

func TestMain(m *testing.M) {
	if mode := os.Getenv(serveEnv); mode != "" {
		if mode == "stubborn" {
			signal.Ignore(syscall.SIGTERM)
		}
		newRemote().Server.Run(context.Background(), &sdk.StdioTransport{})
		if mode == "stubborn" {
			select {} // whatever it is told
		}
		return
	}
	os.Exit(m.Run())
}

const weatherSchema = `{"type":"object","properties":{"city":{"type":"string","minLength":2},"days":{"type":"integer","enum":[1,3]}},"required":["city"],"additionalProperties":false}`

// A remote is an MCP server that counts what is asked of it.
type remote struct {
	*sdk.Server
	connections, lists, calls atomic.Int32
	cancelled                 chan string   // of each call that was cancelled
	started                   chan string   // of each call of hang
	release                   chan struct{} // closed to end the calls of hang; some servers do not see a client go
}

func newRemote() *remote {
	r := &remote{cancelled: make(chan string, 8), started: make(chan string, 8), release: make(chan struct{})}
	r.Server = sdk.NewServer(&sdk.Implementation{Name: "remote", Version: "1"}, &sdk.ServerOptions{PageSize: 3})
	r.AddReceivingMiddleware(func(next sdk.MethodHandler) sdk.MethodHandler {
		return func(ctx context.Context, method string, req sdk.Request) (sdk.Result, error) {
			switch method {
			case "tools/list":
				if p, ok := req.GetParams().(*sdk.ListToolsParams); !ok || p == nil || p.Cursor == "" {
					r.lists.Add(1)
				}
			case "tools/call":
				r.calls.Add(1)
			}
			return next(ctx, method, req)
		}
	})
	r.add("get_weather", weatherSchema, func(_ context.Context, req *sdk.CallToolRequest) (*sdk.CallToolResult, error) {
		var in struct{ City string }
		if err := json.Unmarshal(req.Params.Arguments, &in); err != nil {
			return nil, err
		}
		return text("Sunny in " + in.City), nil
	})
	r.add("book_flight", `{"type":"object","properties":{"to":{"type":"string"}}}`, r.bookFlight)
	r.add("fail", `{"type":"object"}`, func(context.Context, *sdk.CallToolRequest) (*sdk.CallToolResult, error) {
		res := text("No seats.", "Try tomorrow.")
		res.IsError = true
		return res, nil
	})
	r.add("hang", `{"type":"object"}`, func(ctx context.Context, req *sdk.CallToolRequest) (*sdk.CallToolResult, error) {
		r.started <- req.Params.Name
		select {
		case <-ctx.Done():
			r.cancelled <- req.Params.Name
			return nil, ctx.Err()
		case <-r.release:
			return nil, errors.New("released")
		}
	})
	r.add("crash", `{"type":"object"}`, func(context.Context, *sdk.CallToolRequest) (*sdk.CallToolResult, error) {
		os.Exit(3)
		return nil, nil
	})
	r.add("environment", `{"type":"object"}`, func(context.Context, *sdk.CallToolRequest) (*sdk.CallToolResult, error) {
		return text(fmt.Sprint(os.Getenv("PARLEY_MCP_TEST_KEY"), "|", os.Getenv("PARLEY_MCP_TEST_GIVEN"))), nil
	})
	return r
}

func (r *remote) add(name, schema string, h sdk.ToolHandler) {
	r.AddTool(&sdk.Tool{Name: name, Description: "Does " + name + ".", InputSchema: json.RawMessage(schema)}, h)
}

// bookFlight takes a minute and says how it is going.
func (r *remote) bookFlight(ctx context.Context, req *sdk.CallToolRequest) (*sdk.CallToolResult, error) {
	var in struct{ To string }
	if err := json.Unmarshal(req.Params.Arguments, &in); err != nil {
		return nil, err
	}
	progress := func(p *sdk.ProgressNotificationParams) {
		if p.ProgressToken = req.Params.GetProgressToken(); p.ProgressToken != nil {
			req.Session.NotifyProgress(ctx, p)
		}
	}
	progress(&sdk.ProgressNotificationParams{Message: "Searching flights", Progress: 1, Total: 3})
	for i := range 2 {
		select {
		case <-ctx.Done():
			r.cancelled <- in.To
			return nil, ctx.Err()
		case <-time.After(30 * time.Second):
		}
		if i == 0 {
			progress(&sdk.ProgressNotificationParams{Progress: 2, Total: 3})
		}
	}
	return text("Booked " + in.To), nil
}

func text(texts ...string) *sdk.CallToolResult {
	res := &sdk.CallToolResult{}
	for _, t := range texts {
		res.Content = append(res.Content, &sdk.TextContent{Text: t})
	}
	return res
}

// inMemory returns a server for toolsets that connects to r within the process.
func (r *remote) inMemory() *mcp.Server {
	return mcp.NewTransport("remote", func(context.Context) (sdk.Transport, error) {
		r.connections.Add(1)
		client, server := sdk.NewInMemoryTransports()
		_, err := r.Connect(context.Background(), server, nil)
		return client, err
	})
}

func names(set *agents.Toolset) []string {
	var names []string
	for _, t := range set.Tools {
		names = append(names, t.(*agents.FunctionTool).Name())
	}
	return names
}

func find(t *testing.T, set *agents.Toolset, name string) *agents.FunctionTool {
	t.Helper()
	for _, tool := range set.Tools {
		if ft := tool.(*agents.FunctionTool); ft.Name() == name {
			return ft
		}
	}
	t.Fatalf("there is no tool %s among %v", name, names(set))
	return nil
}

func setUp(t *testing.T, set *agents.Toolset) {
	t.Helper()
	require.NoError(t, set.Setup(t.Context(), set))
	t.Cleanup(func() { require.NoError(t, set.Close(context.Background())) })
}

// withTools returns an agent with the tools of a toolset.
func withTools(set *agents.Toolset) *agents.Agent {
	return &agents.Agent{ID: "clerk", Instructions: "Help.", Tools: []agents.Tool{set}}
}

// Core 78: the options of a tool are its flags and its policy for duplicates, and a tool that is not listed is plain.
func TestOptionsMapToTools(t *testing.T) {
	agenttest.Run(t, func(t *testing.T) {
		set := mcp.NewToolset(mcp.Options{Server: newRemote().inMemory(), Background: true, Tools: map[string]mcp.ToolOptions{
			"book_flight": {ToolOptions: agents.ToolOptions{Cancellable: true, IgnoreOnEnter: true,
				OnDuplicate: agents.ConfirmDuplicate, DuplicateByArguments: true}, ReportProgress: true},
		}})
		setUp(t, set)
		require.Equal(t, "remote", set.ID)
		require.True(t, set.Background)
		require.Equal(t, agents.ToolOptions{Cancellable: true, IgnoreOnEnter: true,
			OnDuplicate: agents.ConfirmDuplicate, DuplicateByArguments: true}, find(t, set, "book_flight").Options())
		weather := find(t, set, "get_weather")
		require.Zero(t, weather.Options())
		require.True(t, weather.Raw())
		require.Equal(t, "Does get_weather.", weather.Description())
		require.JSONEq(t, weatherSchema, string(weather.Schema()))
		require.Contains(t, string(find(t, set, "book_flight").Schema()), "lk_agents_confirm_duplicate")
	})
}

func TestListIsCachedUntilInvalidated(t *testing.T) {
	agenttest.Run(t, func(t *testing.T) {
		r := newRemote()
		server := r.inMemory()
		keep := mcp.NewToolset(mcp.Options{Server: server})
		setUp(t, keep)
		setUp(t, keep) // a second activity that has it
		before := keep.Tools
		require.Len(t, before, 6, "all pages")
		require.EqualValues(t, 1, r.lists.Load())

		set := mcp.NewToolset(mcp.Options{Server: server})
		again := func() []string {
			require.NoError(t, set.Setup(t.Context(), set))
			require.NoError(t, set.Close(t.Context()))
			return names(set)
		}
		again()
		first := set.Tools
		again()
		require.Same(t, first[0], set.Tools[0], "nothing changed, so the tools are the same")
		require.EqualValues(t, 1, r.lists.Load())

		server.Invalidate()
		again()
		require.EqualValues(t, 2, r.lists.Load())
		require.NotSame(t, first[0], set.Tools[0])

		r.add("extra", `{"type":"object"}`, r.bookFlight) // which the server announces a moment later
		<-time.After(time.Second)
		require.Contains(t, again(), "extra")
		require.EqualValues(t, 3, r.lists.Load())
		require.Equal(t, before, keep.Tools, "tools are not changed behind the back of whoever has them")
		require.EqualValues(t, 1, r.connections.Load())
	})
}

func TestAllowedToolsAndWhatIsWrong(t *testing.T) {
	agenttest.Run(t, func(t *testing.T) {
		r := newRemote()
		r.add("files.read", `{"type":"object"}`, r.bookFlight)
		r.add("files/read", `{"type":"object"}`, r.bookFlight)
		r.add("broken", `{"type":"object","properties":{"a":{"$ref":"#/$defs/none"}}}`, r.bookFlight)
		server := r.inMemory()

		set := mcp.NewToolset(mcp.Options{Server: server, AllowedTools: []string{"get_weather", "files.read"}, Prefix: "web_"})
		setUp(t, set)
		require.Equal(t, []string{"web_files_read", "web_get_weather"}, names(set))

		none := mcp.NewToolset(mcp.Options{Server: server, AllowedTools: []string{}})
		setUp(t, none)
		require.Empty(t, none.Tools)

		set = mcp.NewToolset(mcp.Options{Server: server, Tools: map[string]mcp.ToolOptions{"get_wether": {}}})
		err := set.Setup(t.Context(), set)
		require.ErrorContains(t, err, `there is no tool "get_wether"`)
		require.ErrorContains(t, err, "files_read")
		require.ErrorContains(t, err, `"broken"`)
		require.Contains(t, names(set), "get_weather")
		require.NotContains(t, names(set), "broken")
		require.NoError(t, set.Close(t.Context()))
		require.NoError(t, set.Close(t.Context()))

		require.Panics(t, func() { mcp.NewToolset(mcp.Options{}) })
	})
}

func TestCallsInASession(t *testing.T) {
	agenttest.Run(t, func(t *testing.T) {
		r := newRemote()
		llm := agenttest.NewLLM(t,
			agenttest.OnUser("Weather?").Call("get_weather", `{"city":"Oslo"}`),
			agenttest.OnOutput("get_weather").Say("Sunny."),
			agenttest.OnUser("Bad?").Call("get_weather", `{"city":"O","days":2}`),
			agenttest.OnOutput("get_weather").Say("Sorry."),
			agenttest.OnUser("Fail?").Call("fail", `{}`),
			agenttest.OnOutput("fail").Say("No."),
			agenttest.OnUser("Hang?").Call("hang", `{}`),
			agenttest.OnOutput("hang").Say("It hangs."))
		s := agenttest.Start(t, agents.Options{LLM: llm}, withTools(mcp.NewToolset(mcp.Options{Server: r.inMemory()})))
		res := s.User("Weather?")
		res.Next().IsCall("get_weather")
		res.Next().IsOutput("Sunny in Oslo")
		s.User("Bad?").ContainsErrorOutput().Contains("Error parsing arguments for `get_weather`")
		require.EqualValues(t, 1, r.calls.Load())
		s.User("Fail?").ContainsErrorOutput("No seats.\nTry tomorrow.")
		begin := time.Now()
		s.User("Hang?").ContainsErrorOutput("hang did not answer within 5s, so it is not known whether it did anything.")
		require.Equal(t, 5*time.Second, time.Since(begin))
		require.Equal(t, "hang", <-r.cancelled)
	})
}

// flights starts a session whose booking of flights is the flagship: cancellable, confirmed, and with progress.
func flights(t *testing.T, r *remote, llm agents.LLM) *agenttest.Session {
	set := mcp.NewToolset(mcp.Options{ID: "flights", Server: r.inMemory(), Tools: map[string]mcp.ToolOptions{"book_flight": {
		ToolOptions:    agents.ToolOptions{Cancellable: true, OnDuplicate: agents.ConfirmDuplicate},
		ReportProgress: true,
		Timeout:        agents.Delay(2 * time.Minute),
	}}})
	return agenttest.Start(t, agents.Options{LLM: llm}, withTools(set))
}

func eventsOf[E agents.Event](s *agenttest.Session) []E {
	var list []E
	for _, e := range s.Recorded() {
		if e, ok := e.(E); ok {
			list = append(list, e)
		}
	}
	return list
}

// after waits until the conversation has come to rest, d from now.
func after(t *testing.T, s *agenttest.Session, d time.Duration) {
	t.Helper()
	<-time.After(d)
	require.NoError(t, s.WaitForIdle(t.Context()))
}

func TestProgress(t *testing.T) {
	agenttest.Explore(t, 20, func(t *testing.T) {
		llm := agenttest.NewLLM(t,
			agenttest.OnUser("Book Rome.").Call("book_flight", `{"to":"Rome"}`),
			agenttest.OnOutput("book_flight").Say("I am searching."),
			agenttest.OnUser("And the weather?").Call("get_weather", `{"city":"Rome"}`),
			agenttest.OnOutput("get_weather").Say("Sunny."),
			agenttest.OnOutput("book_flight").Say("Nearly there."),
			agenttest.OnOutput("book_flight").Say("It is booked."))
		s := flights(t, newRemote(), llm)
		res := s.User("Book Rome.")
		res.Next().IsCall("book_flight")
		res.Next().IsOutput().Contains("Searching flights")
		res.Next().IsMessage("assistant").HasText("I am searching.")
		s.User("And the weather?").ContainsMessage("assistant").HasText("Sunny.")
		after(t, s, 2*time.Minute)

		updates := eventsOf[*agents.ToolUpdated](s)
		require.Len(t, updates, 2)
		require.Equal(t, "Searching flights", updates[0].Message)
		require.Equal(t, "Progress: 2 of 3", updates[1].Message)
		var last *agents.ToolEnded
		for _, e := range eventsOf[*agents.ToolEnded](s) {
			if e.Name == "book_flight" {
				last = e
			}
		}
		require.Equal(t, "Booked Rome", last.Message)
		require.Equal(t, agents.ToolDone, last.Status)
		agenttest.ExpectItems(t, s.History().Items()...).At(-1).HasText("It is booked.")
	})
}

func TestCancelInFlight(t *testing.T) {
	agenttest.Run(t, func(t *testing.T) {
		r := newRemote()
		llm := agenttest.NewLLM(t,
			agenttest.OnUser("Book Rome.").Call("book_flight", `{"to":"Rome"}`),
			agenttest.OnOutput("book_flight").Say("I am searching."))
		s := flights(t, r, llm)
		id := s.User("Book Rome.").Next().ChatItem().(*agents.FunctionCall).CallID
		llm.Add(
			agenttest.OnUser("Never mind.").Call(agents.CancelToolName, `{"call_id":"`+id+`"}`),
			agenttest.OnOutput(agents.CancelToolName).Say("Cancelled."))
		s.User("Never mind.").ContainsMessage("assistant").HasText("Cancelled.")
		require.Equal(t, "Rome", <-r.cancelled)
		after(t, s, 2*time.Minute)
		ended := eventsOf[*agents.ToolEnded](s)
		require.Equal(t, agents.ToolCancelled, ended[0].Status, s.Log())
	})
}

func TestDuplicateIsConfirmed(t *testing.T) {
	agenttest.Run(t, func(t *testing.T) {
		r := newRemote()
		llm := agenttest.NewLLM(t,
			agenttest.OnUser("Book Rome.").Call("book_flight", `{"to":"Rome"}`),
			agenttest.OnOutput("book_flight").Say("I am searching."),
			agenttest.OnUser("Book Oslo.").Call("book_flight", `{"to":"Oslo"}`),
			agenttest.OnOutput("book_flight").Say("A second one?"),
			agenttest.OnUser("Yes.").Call("book_flight", `{"to":"Oslo","lk_agents_confirm_duplicate":true}`),
			agenttest.OnOutput("book_flight").Say("Two of them, then."),
			agenttest.OnOutput("book_flight").Say("News.").Always())
		s := flights(t, r, llm)
		s.User("Book Rome.")
		s.User("Book Oslo.").ContainsOutput().Contains("already running")
		require.EqualValues(t, 1, r.calls.Load())
		s.User("Yes.").ContainsOutput().Contains("Searching flights")
		after(t, s, 2*time.Minute)
		require.EqualValues(t, 2, r.calls.Load())
		var booked []string
		for _, e := range eventsOf[*agents.ToolEnded](s) {
			booked = append(booked, e.Message)
		}
		require.Subset(t, booked, []string{"Booked Rome", "Booked Oslo"})
	})
}

// A toolset whose last activity is gone cancels what it still runs.
func TestCloseCancelsCalls(t *testing.T) {
	agenttest.Run(t, func(t *testing.T) {
		r := newRemote()
		set := mcp.NewToolset(mcp.Options{Server: r.inMemory()})
		llm := agenttest.NewLLM(t, agenttest.OnUser("Hang.").Call("hang", `{}`), agenttest.Any().Say("Gone.").Always())
		s := agenttest.Start(t, agents.Options{LLM: llm}, withTools(set))
		closed := make(chan error, 1)
		go func() {
			<-r.started
			closed <- set.Close(context.Background())
		}()
		s.User("Hang.").ContainsErrorOutput().Contains("hang is not available")
		require.NoError(t, <-closed)
		require.Equal(t, "hang", <-r.cancelled)
		failures := eventsOf[*agents.ErrorOccurred](s)
		require.Len(t, failures, 1)
		require.ErrorContains(t, failures[0].Err, "mcp: remote: call hang: closed")
	})
}

func TestServerDownAtStart(t *testing.T) {
	agenttest.Run(t, func(t *testing.T) {
		r, down := newRemote(), true
		server := mcp.NewTransport("remote", func(context.Context) (sdk.Transport, error) {
			if down {
				return nil, errors.New("nobody is there")
			}
			client, server := sdk.NewInMemoryTransports()
			_, err := r.Connect(context.Background(), server, nil)
			return client, err
		})
		llm := agenttest.NewLLM(t, agenttest.Any().Say("Hello.").Always())
		agent := withTools(mcp.NewToolset(mcp.Options{Server: server}))
		s := agenttest.Start(t, agents.Options{LLM: llm}, agent)
		s.User("Hi.").ContainsMessage("assistant").HasText("Hello.")
		failures := eventsOf[*agents.ErrorOccurred](s)
		require.Len(t, failures, 1)
		require.ErrorContains(t, failures[0].Err, "mcp: remote: connect: nobody is there")
		require.Empty(t, agenttest.ToolNames(llm.Requests()[0]))

		down = false // the agent takes the floor again, and now it works
		require.NoError(t, s.UpdateAgent(agent))
		require.NoError(t, s.WaitForIdle(t.Context()))
		s.User("Hi again.")
		require.Contains(t, agenttest.ToolNames(llm.Requests()[1]), "get_weather")
	})
}

// A server that accepts a connection and never says anything does not hold up a session for longer than the timeout.
func TestServerHangsAtStart(t *testing.T) {
	for _, reads := range []bool{false, true} {
		t.Run(fmt.Sprintf("reads=%v", reads), func(t *testing.T) {
			agenttest.Run(t, func(t *testing.T) {
				var ends sync.WaitGroup
				server := mcp.NewTransport("mute", func(context.Context) (sdk.Transport, error) {
					client, server := sdk.NewInMemoryTransports()
					conn, err := server.Connect(context.Background())
					if reads {
						ends.Go(func() {
							for err == nil {
								_, err = conn.Read(context.Background())
							}
							conn.Close()
						})
					} else {
						t.Cleanup(func() { conn.Close() })
					}
					return client, err
				})
				set := mcp.NewToolset(mcp.Options{Server: server})
				begin := time.Now()
				require.ErrorContains(t, set.Setup(t.Context(), set), "mcp: mute: connect: timed out after 5s")
				require.Equal(t, 5*time.Second, time.Since(begin))
				require.NoError(t, set.Close(t.Context()))
				ends.Wait()
			})
		})
	}
}

// Sessions that run at once have a toolset each, and share the connection and the list.
func TestSessionsShareAServer(t *testing.T) {
	agenttest.Run(t, func(t *testing.T) {
		r := newRemote()
		server := r.inMemory()
		var sessions []*agenttest.Session
		llm := agenttest.NewLLM(t,
			agenttest.OnUser("Weather?").Call("get_weather", `{"city":"Oslo"}`).Always(),
			agenttest.OnOutput("get_weather").Say("Sunny.").Always())
		for range 10 {
			sessions = append(sessions, agenttest.Start(t, agents.Options{LLM: llm}, withTools(mcp.NewToolset(mcp.Options{Server: server}))))
		}
		var all sync.WaitGroup
		for i, s := range sessions {
			all.Go(func() {
				if i%2 == 0 {
					s.Run(context.Background(), "Weather?")
				}
				s.Close()
			})
		}
		all.Wait()
		require.EqualValues(t, 5, r.calls.Load())
		require.EqualValues(t, 1, r.connections.Load())
		require.EqualValues(t, 1, r.lists.Load())
		for range r.Sessions() {
			t.Error("the server has a connection left")
		}
	})
}

// An agent and a task that share a toolset keep it until both have ended.
func TestAgentAndTaskShareAToolset(t *testing.T) {
	agenttest.Run(t, func(t *testing.T) {
		r := newRemote()
		set := mcp.NewToolset(mcp.Options{Server: r.inMemory()})
		agent := withTools(set)
		agent.OnEnter = func(ctx context.Context, s *agents.AgentSession) error {
			task := agents.NewTask[string]("Ask.")
			task.Tools = []agents.Tool{set}
			task.OnEnter = func(context.Context, *agents.AgentSession) error { return task.Complete("done") }
			_, err := task.Run(ctx)
			return err
		}
		llm := agenttest.NewLLM(t,
			agenttest.OnUser("Weather?").Call("get_weather", `{"city":"Oslo"}`),
			agenttest.OnOutput("get_weather").Say("Sunny."))
		s, _ := agenttest.StartRun(t, agents.Options{LLM: llm}, agent)
		s.User("Weather?").ContainsOutput("Sunny in Oslo")
		require.EqualValues(t, 1, r.connections.Load())
	})
}

func TestResult(t *testing.T) {
	image := &sdk.ImageContent{Data: []byte("x"), MIMEType: "image/png"}
	for name, c := range map[string]struct {
		res  *sdk.CallToolResult
		want any
		err  string
	}{
		"text":       {text("a < b"), "a < b", ""},
		"several":    {&sdk.CallToolResult{Content: []sdk.Content{&sdk.TextContent{Text: "a"}, image}}, []any{"a", json.RawMessage(`{"type":"image","mimeType":"image/png","data":"eA=="}`)}, ""},
		"image":      {&sdk.CallToolResult{Content: []sdk.Content{image}}, json.RawMessage(`{"type":"image","mimeType":"image/png","data":"eA=="}`), ""},
		"structured": {&sdk.CallToolResult{StructuredContent: map[string]any{"a": 1.0}}, map[string]any{"a": 1.0}, ""},
		"none":       {&sdk.CallToolResult{}, nil, "look completed without a result."},
		"error":      {&sdk.CallToolResult{IsError: true, Content: text("a", "b").Content}, nil, "a\nb"},
		"bare error": {&sdk.CallToolResult{IsError: true}, nil, "look failed."},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := mcp.Result("look", c.res)
			if c.err != "" {
				var told *agents.ToolError
				require.ErrorAs(t, err, &told)
				require.Equal(t, c.err, told.Message)
				return
			}
			require.NoError(t, err)
			require.Equal(t, c.want, got)
		})
	}
}
