package mcp_test

import (
	"context"
	"net"
	"os"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/parley-voice/agents"
	"github.com/parley-voice/agents/agenttest"
	"github.com/parley-voice/agents/plugins/mcp"
)

func listen(t *testing.T, address string) net.Listener {
	t.Helper()
	l, err := net.Listen("tcp", address)
	require.NoError(t, err)
	return l
}

// command returns a server that is this test binary.
func command(t *testing.T, path, mode string) *mcp.Server {
	t.Helper()
	s, err := mcp.NewCommand(mcp.CommandOptions{Path: path, Env: []string{serveEnv + "=" + mode, "PARLEY_MCP_TEST_GIVEN=given"}, Timeout: agents.Never})
	require.NoError(t, err)
	return s
}

// In real time: a server that is a process, which crashes in the middle of a call. The next call starts another.
func TestCommand(t *testing.T) {
	agenttest.VerifyNoLeaks(t)
	t.Setenv("PARLEY_MCP_TEST_KEY", "secret")
	path, err := os.Executable()
	require.NoError(t, err)
	llm := agenttest.NewLLM(t,
		agenttest.OnUser("Environment?").Call("environment", `{}`),
		agenttest.OnOutput("environment").Say("Fine."),
		agenttest.OnUser("Crash.").Call("crash", `{}`),
		agenttest.OnOutput("crash").Say("It crashed."),
		agenttest.OnUser("Weather?").Call("get_weather", `{"city":"Oslo"}`),
		agenttest.OnOutput("get_weather").Say("Sunny."))
	s := agenttest.Start(t, agents.Options{LLM: llm}, withTools(mcp.NewToolset(mcp.Options{Server: command(t, path, "serve")})))
	s.User("Environment?").NextOutput().HasText("|given")
	s.User("Crash.").NextOutput().IsErrorOutput("crash is not available: the service behind it cannot be reached.")
	s.User("Weather?").NextOutput().HasText("Sunny in Oslo")
}

// A process that ignores all requests to end is killed, at once when there is no time left.
func TestCommandThatDoesNotEnd(t *testing.T) {
	agenttest.VerifyNoLeaks(t)
	path, err := os.Executable()
	require.NoError(t, err)
	set := mcp.NewToolset(mcp.Options{Server: command(t, path, "stubborn")})
	require.NoError(t, set.Setup(t.Context(), set))
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	begin := time.Now()
	require.NoError(t, set.Close(ctx))
	require.Less(t, time.Since(begin), 2*time.Second)
}

func TestCommandThatIsNotThere(t *testing.T) {
	agenttest.VerifyNoLeaks(t)
	set := mcp.NewToolset(mcp.Options{Server: command(t, "/no/such/program", "serve")})
	require.ErrorContains(t, set.Setup(t.Context(), set), "mcp: program: connect: ")
	require.NoError(t, set.Close(t.Context()))

	_, err := mcp.NewCommand(mcp.CommandOptions{})
	require.Error(t, err)
}
