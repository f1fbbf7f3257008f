package local_test

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/parley-voice/agents/plugins/local"
)

// TestMain runs the tests or, under the name of one of the programs, a fake of it.
func TestMain(m *testing.M) {
	switch filepath.Base(os.Args[0]) {
	case "espeak-ng", "flite", "pocketsphinx_continuous":
		exitSoon()
		os.Exit(fakeMain())
	}
	code := m.Run()
	if left := children(); len(left) > 0 {
		fmt.Printf("processes are left: %q\n", left)
		code = 1
	}
	os.Exit(code)
}

// exitSoon starts the fake anew so that it does not wait a second at its exit, as the race detector has programs do.
func exitSoon() {
	const now = "atexit_sleep_ms=0"
	if self, err := os.Executable(); err == nil && os.Getenv("GORACE") != now {
		_ = syscall.Exec(self, os.Args, append(os.Environ(), "GORACE="+now)) // where it fails, the fake is slow
	}
}

// An act is what a fake program does once. It reads its input, writes to its output, and then ends with the status
// Exit or in another way.
type act struct {
	Stderr string
	Audio  time.Duration // as a WAV whose header promises more; -1 for none at all
	Rate   int           // 16000 by default
	Text   string        // written as it is
	Exit   int

	Deaf       bool // does not read its input
	Flood      bool // writes without end
	Crash      bool // kills itself
	Hang       bool // does not end
	Shut       bool // closes its output before that
	IgnoreTerm bool
	Child      bool // has a child that has the output too, and hangs
	Step       bool // waits after its output until a file "go" is there
}

// A fake is a directory with a fake program. The first run follows the first act, and so on.
type fake struct {
	t    testing.TB
	path string
	dir  string
}

func newFake(t testing.TB, name string, acts ...act) *fake {
	t.Helper()
	self, err := os.Executable()
	require.NoError(t, err)
	f := &fake{t, filepath.Join(t.TempDir(), name), ""}
	f.dir = filepath.Dir(f.path)
	require.NoError(t, os.Symlink(self, f.path))
	plan, err := json.Marshal(acts)
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(filepath.Join(f.dir, "plan"), plan, 0o600))
	return f
}

// fakeTTS returns a voice and its fake program, whose acts come after the word that NewTTS has it speak.
func fakeTTS(t testing.TB, o local.TTSOptions, acts ...act) (*local.TTS, *fake) {
	t.Helper()
	if o.Program == "" {
		o.Program = "espeak-ng"
	}
	f := newFake(t, o.Program, slices.Concat([]act{{Audio: 100 * time.Millisecond}}, acts)...)
	o.Program = f.path
	tts, err := local.NewTTS(o)
	require.NoError(t, err)
	return tts, f
}

// fakeSTT returns a recogniser and its fake program.
func fakeSTT(t testing.TB, o local.STTOptions, acts ...act) (*local.STT, *fake) {
	t.Helper()
	f := newFake(t, "pocketsphinx_continuous", acts...)
	o.Program, o.Model = f.path, f.dir
	stt, err := local.NewSTT(o)
	require.NoError(t, err)
	return stt, f
}

// runs returns one kind of what the runs noted, in the order in which they began: "args", "input", "env", "child", or
// "together", which is how many ran at its beginning.
func (f *fake) runs(kind string) (all []string) {
	for n := range f.begun() {
		b, err := os.ReadFile(filepath.Join(f.dir, fmt.Sprintf("%s.%d", kind, n)))
		if !os.IsNotExist(err) {
			require.NoError(f.t, err)
			all = append(all, string(b))
		}
	}
	return all
}

// begun returns how many runs there were.
func (f *fake) begun() int {
	names, err := filepath.Glob(filepath.Join(f.dir, "args.*"))
	require.NoError(f.t, err)
	return len(names)
}

// until waits for a file.
func (f *fake) until(name string) {
	f.t.Helper()
	if eventually(func() bool { _, err := os.Stat(filepath.Join(f.dir, name)); return err == nil }) {
		return
	}
	f.t.Fatalf("there is no %s", name)
}

func (f *fake) touch(name string) {
	require.NoError(f.t, os.WriteFile(filepath.Join(f.dir, name), nil, 0o600))
}

// follow has the next runs follow one act, until it is called again.
func (f *fake) follow(n int) {
	name := filepath.Join(f.dir, "follow")
	require.NoError(f.t, os.WriteFile(name+".new", []byte{byte(n)}, 0o600))
	require.NoError(f.t, os.Rename(name+".new", name))
}

// fakeMain is the fake program.
func fakeMain() int {
	dir := filepath.Dir(os.Args[0])
	if slices.Contains(os.Args, "-lv") {
		fmt.Println("Voices available: kal slt")
		return 0
	}
	if len(os.Args) == 2 && os.Args[1] == "hang" {
		<-time.After(time.Minute)
		return 0
	}
	var acts []act
	plan, err := os.ReadFile(filepath.Join(dir, "plan"))
	if err == nil {
		err = json.Unmarshal(plan, &acts)
	}
	if err != nil {
		panic(err)
	}
	note := func(kind string, n int, b []byte) {
		name := filepath.Join(dir, fmt.Sprintf("%s.%d", kind, n))
		if err := errors.Join(os.WriteFile(name+".part", b, 0o600), os.Rename(name+".part", name)); err != nil { // whole or not at all
			panic(err)
		}
	}
	n := 0 // which run this is
	for ; ; n++ {
		f, err := os.OpenFile(filepath.Join(dir, fmt.Sprintf("args.%d", n)), os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
		if os.IsExist(err) {
			continue
		}
		if err != nil {
			panic(err)
		}
		fmt.Fprint(f, strings.Join(os.Args[1:], " "))
		f.Close()
		break
	}
	which := n
	if b, err := os.ReadFile(filepath.Join(dir, "follow")); err == nil {
		which = int(b[0])
	}
	var a act
	if which < len(acts) {
		a = acts[which]
	}
	live := filepath.Join(dir, fmt.Sprintf("live.%d", n))
	if err := os.WriteFile(live, nil, 0o600); err != nil {
		panic(err)
	}
	defer os.Remove(live)
	together, _ := filepath.Glob(filepath.Join(dir, "live.*"))
	note("together", n, []byte(fmt.Sprint(len(together))))
	note("env", n, []byte(strings.Join(os.Environ(), "\n")))
	if a.IgnoreTerm {
		signal.Ignore(syscall.SIGTERM)
	}
	if !a.Deaf {
		input, err := io.ReadAll(os.Stdin)
		if err != nil {
			panic(err)
		}
		note("input", n, input)
	}
	fmt.Fprint(os.Stderr, a.Stderr)
	if a.Audio > 0 {
		speakFake(a)
	}
	fmt.Print(a.Text)
	note("wrote", n, nil)
	for a.Flood {
		if _, err := os.Stdout.Write(make([]byte, 1<<16)); err != nil {
			return 3
		}
	}
	if a.Step && !eventually(func() bool { _, err := os.Stat(filepath.Join(dir, "go")); return err == nil }) {
		return 5
	}
	if a.Child {
		child := exec.Command(os.Args[0], "hang")
		child.Stdout = os.Stdout
		if err := child.Start(); err != nil {
			panic(err)
		}
		note("child", n, []byte(fmt.Sprint(child.Process.Pid)))
	}
	if a.Shut {
		os.Stdout.Close()
	}
	if a.Hang {
		<-time.After(time.Minute)
	}
	if a.Crash {
		_ = syscall.Kill(os.Getpid(), syscall.SIGKILL)
		select {}
	}
	return a.Exit
}

// speakFake writes a WAV as espeak-ng does; flite promises nothing until it is done, and never gets so far here.
func speakFake(a act) {
	if a.Rate == 0 {
		a.Rate = 16000
	}
	size := uint32(0x7ffff000)
	if filepath.Base(os.Args[0]) == "flite" {
		size = 0
	}
	le := binary.LittleEndian
	b := le.AppendUint32([]byte("RIFF"), size+36)
	b = le.AppendUint32(append(b, "WAVEfmt "...), 16)
	b = le.AppendUint16(le.AppendUint16(b, 1), 1)
	b = le.AppendUint32(le.AppendUint32(b, uint32(a.Rate)), uint32(2*a.Rate))
	b = le.AppendUint16(le.AppendUint16(b, 2), 16)
	b = le.AppendUint32(append(b, "data"...), size)
	b = append(b, make([]byte, 2*int(a.Audio.Seconds()*float64(a.Rate)+0.5))...)
	if _, err := os.Stdout.Write(b); err != nil {
		os.Exit(3)
	}
}

// childDead waits for the children that runs had to be gone.
func (f *fake) childDead() {
	f.t.Helper()
	pids := f.runs("child")
	require.NotEmpty(f.t, pids)
	for _, pid := range pids {
		require.True(f.t, eventually(func() bool {
			b, err := os.ReadFile("/proc/" + pid + "/stat")
			return err != nil || strings.Contains(string(b), ") Z ")
		}), "a child goes on")
	}
}
