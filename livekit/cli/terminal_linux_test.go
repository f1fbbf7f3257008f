package cli

import (
	"context"
	"fmt"
	"io"
	"iter"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"unsafe"

	"github.com/parley-voice/agents"
	"github.com/parley-voice/agents/livekit"
	"github.com/stretchr/testify/require"
)

// An echo is a model that repeats what it was told.
type echo struct{}

func (echo) Chat(_ context.Context, req agents.ChatRequest) iter.Seq2[agents.ChatChunk, error] {
	return func(yield func(agents.ChatChunk, error) bool) {
		items := req.Context.Items()
		if m, ok := items[len(items)-1].(*agents.ChatMessage); ok {
			yield(agents.ChatChunk{Text: "You said " + m.Text() + "."}, nil)
		}
	}
}

func init() {
	talk := func(ctx context.Context, job *livekit.Job) error {
		return job.StartSession(ctx, agents.NewSession(agents.Options{LLM: echo{}}), &agents.Agent{ID: "echo"}, livekit.RoomOptions{})
	}
	programs["echo"] = func() App { return App{Worker: livekit.WorkerOptions{Entrypoint: talk}} }
	programs["clinging"] = func() App { // it never ends by itself
		return App{Worker: livekit.WorkerOptions{Entrypoint: talk, OnSessionEnd: func(context.Context, *livekit.Job) error { select {} }}}
	}
}

// openPTY opens a pair of a terminal and what a person would be.
func openPTY(t *testing.T) (person, terminal *os.File) {
	t.Helper()
	person, err := os.OpenFile("/dev/ptmx", os.O_RDWR, 0)
	if err != nil {
		t.Skipf("there are no terminals here: %v", err)
	}
	t.Cleanup(func() { person.Close() })
	control := func(request uintptr, value *uint32) {
		_, _, failed := syscall.Syscall(syscall.SYS_IOCTL, person.Fd(), request, uintptr(unsafe.Pointer(value)))
		require.Zero(t, failed)
	}
	var number, unlock uint32
	control(syscall.TIOCGPTN, &number)
	control(syscall.TIOCSPTLCK, &unlock)
	terminal, err = os.OpenFile(fmt.Sprintf("/dev/pts/%d", number), os.O_RDWR|syscall.O_NOCTTY, 0)
	require.NoError(t, err)
	t.Cleanup(func() { terminal.Close() })
	return person, terminal
}

// onTerminal runs a program on a terminal of its own, as a shell does.
func onTerminal(t *testing.T, name string, args ...string) (cmd *exec.Cmd, person, terminal *os.File, screen *output) {
	t.Helper()
	person, terminal = openPTY(t)
	cmd = exec.Command(os.Args[0], args...)
	cmd.Env = append(os.Environ(), asProgram+"="+name, "TERM=xterm")
	cmd.Stdin, cmd.Stdout, cmd.Stderr = terminal, terminal, terminal
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: true}
	require.NoError(t, cmd.Start())
	t.Cleanup(func() { _ = cmd.Process.Kill() })
	screen = &output{}
	go func() { _, _ = io.Copy(screen, person) }()
	return cmd, person, terminal, screen
}

func typeIn(t *testing.T, person *os.File, keys string) {
	t.Helper()
	_, err := person.WriteString(keys)
	require.NoError(t, err)
}

// Worker 4.6, on a terminal: the line that is typed stays below what is said, an empty line rings the bell, Ctrl-C ends
// the program with status 0, and the terminal is as it was.
func TestConsoleOnATerminal(t *testing.T) {
	cmd, person, terminal, screen := onTerminal(t, "echo", "console", "--text")
	sees := func(text string) {
		t.Helper()
		until(t, text, func() bool { return strings.Contains(screen.String(), text) })
	}
	sees("Type what you want to say; Ctrl-C leaves.")
	require.False(t, echoes(t, terminal))
	typeIn(t, person, "Good day\r")
	sees("You said Good day.")
	require.Contains(t, screen.String(), "\x1b[1;36mecho\x1b[0m       You said")
	require.NotContains(t, screen.String(), "\x1b[1myou", "what is typed is shown once")
	typeIn(t, person, "\r")
	sees("\a")
	typeIn(t, person, "\x03")
	require.NoError(t, cmd.Wait(), screen)
	require.True(t, echoes(t, terminal), "the terminal echoes again")
}

// echoes says whether the terminal shows what is typed.
func echoes(t *testing.T, terminal *os.File) bool {
	t.Helper()
	var state syscall.Termios
	_, _, failed := syscall.Syscall(syscall.SYS_IOCTL, terminal.Fd(), syscall.TCGETS, uintptr(unsafe.Pointer(&state)))
	require.Zero(t, failed)
	return state.Lflag&syscall.ECHO != 0 && state.Lflag&syscall.ICANON != 0
}

// Worker 4.4: when the program does not end at the first Ctrl-C, or signal, the second ends it with status 1, and the
// terminal is as it was.
func TestConsoleIsLeftByForce(t *testing.T) {
	for _, how := range []string{"keys", "signals"} {
		t.Run(how, func(t *testing.T) {
			cmd, person, terminal, screen := onTerminal(t, "clinging", "console", "--text", "--log-level", "info")
			until(t, "it runs", func() bool { return strings.Contains(screen.String(), "Ctrl-C leaves.") })
			require.False(t, echoes(t, terminal))
			typeIn(t, person, "Hello\r")
			until(t, "it talks", func() bool { return strings.Contains(screen.String(), "You said Hello.") })
			leave := func() {
				if how == "keys" {
					typeIn(t, person, "\x03")
				} else {
					require.NoError(t, cmd.Process.Signal(syscall.SIGTERM))
				}
			}
			leave()
			until(t, "it ends", func() bool { return strings.Contains(screen.String(), "job is ending") })
			require.Equal(t, how == "keys", echoes(t, terminal))
			leave()
			var failed *exec.ExitError
			require.ErrorAs(t, cmd.Wait(), &failed)
			require.Equal(t, 1, failed.ExitCode(), screen)
			require.True(t, echoes(t, terminal))
			require.NotContains(t, screen.String(), "panic")
		})
	}
}

// A signal from elsewhere is not swallowed by a terminal that is raw.
func TestConsoleEndsWithASignal(t *testing.T) {
	cmd, _, terminal, screen := onTerminal(t, "echo", "console", "--text")
	until(t, "it runs", func() bool { return strings.Contains(screen.String(), "Ctrl-C leaves.") })
	require.NoError(t, cmd.Process.Signal(syscall.SIGTERM))
	require.NoError(t, cmd.Wait(), screen)
	require.True(t, echoes(t, terminal))
}
