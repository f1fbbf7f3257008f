package console

import (
	"bytes"
	"context"
	"io"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/parley-voice/agents"
	"github.com/parley-voice/agents/agenttest"
	"github.com/parley-voice/agents/plugins/openai"
	"github.com/parley-voice/agents/plugins/openai/openaitest"
)

// A screen is what a conversation wrote. It is safe for concurrent use.
type screen struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (s *screen) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.Write(p)
}

func (s *screen) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.String()
}

// serve starts a server in the bubble, and a model behind it.
func serve(t *testing.T, replies ...openaitest.Reply) (*openaitest.Server, agents.LLM) {
	srv := openaitest.NewServer(replies...)
	t.Cleanup(srv.Close)
	llm, err := openai.NewLLM(openai.LLMOptions{BaseURL: srv.URL(), APIKey: srv.Key(), HTTPClient: srv.Client()})
	require.NoError(t, err)
	return srv, llm
}

// piped converses with input that is not a terminal, and returns what was shown from the first line of an agent on.
func piped(t *testing.T, p Program, llm agents.LLM, in io.Reader, interrupts <-chan os.Signal) (string, error) {
	ctx, cancel := context.WithCancel(agenttest.Context(t))
	defer cancel()
	var out screen
	show := newTalkShow(&out, Look{}, "the server")
	show.echo = true
	err := converse(ctx, p, llm, show, newPipe(ctx, in), interrupts)
	_, talk, _ := strings.Cut(out.String(), "clerk takes the call")
	_, talk, _ = strings.Cut(talk, "\n")
	return talk, err
}

func says(text string) openaitest.Reply {
	return openaitest.Reply{Text: strings.SplitAfter(text, " ")}
}

func TestPipedConversation(t *testing.T) {
	agenttest.Run(t, func(t *testing.T) {
		_, llm := serve(t,
			says("Hello."),
			openaitest.Reply{Text: []string{"Let me see."}, Calls: []openaitest.Call{{ID: "c1", Name: "price", Arguments: `{"item":"pen"}`}}},
			says("It is 2.50."))
		got, err := piped(t, shop(), llm, strings.NewReader("What is a pen?\n\n/agent\n/history\n/usage\n/sing\n"), nil)
		require.NoError(t, err)
		require.Equal(t, `clerk       Hello.
caller      What is a pen?
clerk       Let me see.
          → price item: "pen"
          ← price: 2.5
clerk       It is 2.50.
            clerk: You are the clerk.
            Tools: price, sell, burn, fetch_boss
            [handoff] to clerk
            [config] tools added: price, sell, burn, fetch_boss; instructions:
            You are the clerk.
            assistant: Hello.
            user: What is a pen?
            assistant: Let me see.
            [call] price({"item":"pen"})
            [output] price: 2.5
            assistant: It is 2.50.
            openai.test gpt-4.1: 3 requests, 30 tokens in (0 cached), 5 tokens
            out
            There is no /sing; see /help.
── what came of it ─────────────────────────────────────────────────────────────
            nothing sold
`, got)
	})
}

func TestQuitAndHelp(t *testing.T) {
	agenttest.Run(t, func(t *testing.T) {
		_, llm := serve(t, says("Hello."))
		got, err := piped(t, shop(), llm, strings.NewReader("/help\n/quit\nnot said\n"), nil)
		require.NoError(t, err)
		require.Contains(t, got, "            /usage what the models were used for\n")
		require.NotContains(t, got, "not said")
	})
}

func TestProblemsAreSentences(t *testing.T) {
	for _, tt := range []struct {
		name  string
		reply openaitest.Reply
		want  string
	}{
		{"bad key", openaitest.Reply{Status: 401}, "problem     The key was not accepted by the server; check OPENAI_API_KEY.\n"},
		{"no such model", openaitest.Reply{Status: 404, Error: &openaitest.APIError{Message: "The model x does not exist"}},
			"problem     Not found at the server; check the model and OPENAI_BASE_URL: The\n            model x does not exist.\n"},
		{"no credit", openaitest.Reply{Status: 429, Error: &openaitest.APIError{Message: "You exceeded your current quota.", Type: "insufficient_quota"}},
			"problem     Too many requests, or no credit left, at the server: You exceeded\n            your current quota.\n"},
		{"refused request", openaitest.Reply{Status: 400, Error: &openaitest.APIError{Message: "Too long"}}, "problem     Too long.\n"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			agenttest.Run(t, func(t *testing.T) {
				_, llm := serve(t, tt.reply)
				got, err := piped(t, shop(), llm, strings.NewReader("Hi.\n"), nil)
				require.ErrorIs(t, err, errStart)
				require.Equal(t, tt.want, got)
			})
		})
	}
}

func TestNoConnection(t *testing.T) {
	agenttest.Run(t, func(t *testing.T) {
		srv, llm := serve(t)
		srv.SetDown(true)
		got, err := piped(t, shop(), llm, strings.NewReader("Hi.\n"), nil)
		require.ErrorIs(t, err, errStart)
		require.Equal(t, `            (trying again: There is no connection to the server; check the
            network and OPENAI_BASE_URL.)
problem     There is no connection to the server; check the network and
            OPENAI_BASE_URL.
`, got)
	})
}

// A failure in the middle of a conversation is shown, and the conversation goes on.
func TestFailureInTheMiddle(t *testing.T) {
	agenttest.Run(t, func(t *testing.T) {
		_, llm := serve(t, says("Hello."), openaitest.Reply{Status: 400, Error: &openaitest.APIError{Message: "No."}}, says("Again."))
		got, err := piped(t, shop(), llm, strings.NewReader("Hi.\nHo.\n"), nil)
		require.NoError(t, err)
		require.Contains(t, got, "caller      Hi.\nproblem     No.\ncaller      Ho.\nclerk       Again.\n")
	})
}

// slowLines are lines that are typed at their times.
func slowLines(lines ...any) io.Reader {
	r, w := io.Pipe()
	go func() {
		defer w.Close()
		for _, l := range lines {
			switch l := l.(type) {
			case time.Duration:
				time.Sleep(l)
			case string:
				io.WriteString(w, l)
			}
		}
	}()
	return r
}

func TestInterrupt(t *testing.T) {
	agenttest.Run(t, func(t *testing.T) {
		_, llm := serve(t, says("Hello."),
			openaitest.Reply{Text: []string{"One", " two", " three", " four", " five."}, Pause: time.Second}, says("Yes?"))
		interrupts := make(chan os.Signal, 1)
		time.AfterFunc(13500*time.Millisecond, func() { interrupts <- os.Interrupt })
		got, err := piped(t, shop(), llm, slowLines(10*time.Second, "Count.\n", 5*time.Second, "Wait.\n"), interrupts)
		require.NoError(t, err)
		require.Contains(t, got, "caller      Count.\nclerk       One two three\n            (interrupted)\ncaller      Wait.\nclerk       Yes?\n")
	})
}

func TestInterruptWhileNobodyTalksLeaves(t *testing.T) {
	agenttest.Run(t, func(t *testing.T) {
		_, llm := serve(t, says("Hello."))
		interrupts := make(chan os.Signal, 1)
		time.AfterFunc(5*time.Second, func() { interrupts <- os.Interrupt })
		r, w := io.Pipe()
		defer w.Close()
		begin := time.Now()
		_, err := piped(t, shop(), llm, r, interrupts)
		require.NoError(t, err)
		require.Equal(t, 5*time.Second, time.Since(begin))
	})
}

func TestSecondInterruptLeaves(t *testing.T) {
	agenttest.Run(t, func(t *testing.T) {
		_, llm := serve(t, openaitest.Reply{Text: []string{"I", " do", " not", " stop."}, Pause: time.Minute})
		p := shop()
		p.New = func() Conversation {
			c := shop().New()
			c.Options.Turn.AllowInterruptions = agents.Off
			c.Options.LLMConn.Timeout = agents.Never
			return c
		}
		interrupts := make(chan os.Signal, 2)
		time.AfterFunc(90*time.Second, func() { interrupts <- os.Interrupt })
		time.AfterFunc(100*time.Second, func() { interrupts <- os.Interrupt })
		got, err := piped(t, p, llm, strings.NewReader("Hi.\n"), interrupts)
		require.NoError(t, err)
		require.Contains(t, got, "(this cannot be interrupted; Ctrl-C again to leave)")
		require.NotContains(t, got, "stop")
	})
}

// An agent that ends the session ends the program, also while the user is about to type.
func TestSessionEndsByItself(t *testing.T) {
	agenttest.Run(t, func(t *testing.T) {
		_, llm := serve(t, says("Hello."))
		p := shop()
		p.New = func() Conversation {
			c := shop().New()
			c.Beside = func(ctx context.Context, s *agents.AgentSession) {
				if rest(ctx, time.Minute) == nil {
					s.Say("We are closing.").Wait(ctx)
					s.Shutdown(ctx)
				}
			}
			return c
		}
		r, w := io.Pipe()
		defer w.Close()
		got, err := piped(t, p, llm, r, nil)
		require.NoError(t, err)
		require.Contains(t, got, "clerk       We are closing.\n")
	})
}
