package local_test

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/parley-voice/agents"
	"github.com/parley-voice/agents/agenttest"
	"github.com/parley-voice/agents/audiofile"
	"github.com/parley-voice/agents/plugins/local"
)

// hear speaks a text and returns its audio, and how it ended. No process may be left then.
func hear(t testing.TB, ctx context.Context, tts *local.TTS, text string, opts agents.TTSOptions) (audio time.Duration, err error) {
	t.Helper()
	for chunk, e := range tts.Synthesize(ctx, text, opts) {
		audio += chunk.Frame.Duration()
		err = e
	}
	require.Empty(t, children())
	return audio, err
}

// The first audio is there while the program still speaks, also that which flite writes to a file.
func TestFirstAudioBeforeTheProgramEnds(t *testing.T) {
	for _, program := range []string{"espeak-ng", "flite"} {
		agenttest.VerifyNoLeaks(t)
		tts, f := fakeTTS(t, local.TTSOptions{Program: program}, act{Audio: 200 * time.Millisecond, Step: true})
		audio := time.Duration(0)
		for chunk, err := range tts.Synthesize(agenttest.Context(t), "Hello there.", agents.TTSOptions{}) {
			require.NoError(t, err)
			if audio == 0 {
				require.NotEmpty(t, children(), "the program has ended")
				f.touch("go")
			}
			audio += chunk.Frame.Duration()
		}
		require.Equal(t, 200*time.Millisecond, audio)
		require.Empty(t, children())
	}
}

func TestTTSFailures(t *testing.T) {
	for _, test := range []struct {
		name      string
		act       act
		timeout   time.Duration
		says      string
		retryable bool
		is        error
		audio     bool
	}{
		{name: "status 1 with a message", act: act{Stderr: "INFO: on\nError: no such thing\nbye\n", Exit: 1}, says: "espeak-ng: exit status 1: Error: no such thing"},
		{name: "status 1 after audio", act: act{Audio: time.Second, Exit: 1}, says: "exit status 1", audio: true},
		{name: "crash", act: act{Crash: true}, says: "signal: killed", retryable: true},
		{name: "crash after audio", act: act{Audio: time.Second, Crash: true}, says: "signal: killed", retryable: true, audio: true},
		{name: "garbage", act: act{Text: strings.Repeat("garbage ", 20)}, is: audiofile.ErrNotWAV},
		{name: "nothing", act: act{}, is: audiofile.ErrNotWAV},
		{name: "a long complaint", act: act{Stderr: strings.Repeat("x", 1<<20), Exit: 2}, says: "exit status 2: " + strings.Repeat("x", 4096)},
		{name: "another rate", act: act{Audio: time.Second, Rate: 8000}, is: agents.ErrAudioFormat},
		{name: "stalls", act: act{Hang: true}, timeout: 2 * time.Second, is: agents.ErrTimeout, retryable: true},
		{name: "ignores SIGTERM", act: act{IgnoreTerm: true, Hang: true}, timeout: 2 * time.Second, is: agents.ErrTimeout, retryable: true},
		{name: "stalls after audio", act: act{Audio: time.Second, Hang: true}, timeout: 2 * time.Second, is: agents.ErrTimeout, retryable: true, audio: true},
		{name: "closes its output and stays", act: act{Audio: time.Second, Shut: true, Hang: true}, timeout: time.Hour, is: agents.ErrTimeout, retryable: true, audio: true},
		{name: "floods", act: act{Audio: time.Second, Flood: true}, says: "it speaks for more than 10m0s", audio: true},
		{name: "leaves a child with the output", act: act{Audio: time.Second, Child: true}, timeout: 2 * time.Second, is: agents.ErrTimeout, retryable: true, audio: true},
	} {
		t.Run(test.name, func(t *testing.T) {
			agenttest.VerifyNoLeaks(t)
			if test.timeout == 0 {
				test.timeout = 30 * time.Second
			}
			// NewTTS itself needs more time than what stalls is given.
			tts, f := fakeTTS(t, local.TTSOptions{Timeout: test.timeout}, test.act)
			audio, err := hear(t, agenttest.Context(t), tts, "Hello.", agents.TTSOptions{})
			var failure *agents.ProviderError
			require.ErrorAs(t, err, &failure)
			require.Equal(t, "local", failure.Provider)
			require.Equal(t, "synthesize", failure.Op)
			require.Equal(t, test.retryable, failure.Retryable)
			require.ErrorContains(t, err, test.says)
			require.Less(t, len(err.Error()), 5000)
			if test.is != nil {
				require.ErrorIs(t, err, test.is)
			}
			require.Equal(t, test.audio, audio > 0)
			if test.act.Child {
				f.childDead()
			}
		})
	}
}

// The end of the context, and a receiver that wants no more, kill the program and what it started.
func TestTTSGivenUp(t *testing.T) {
	for _, program := range []string{"espeak-ng", "flite"} {
		agenttest.VerifyNoLeaks(t)
		endless := act{Audio: time.Second, Child: true, IgnoreTerm: true, Hang: true}
		tts, f := fakeTTS(t, local.TTSOptions{Program: program, Timeout: time.Minute}, endless, endless)
		cause := errors.New("no more")
		ctx, cancel := context.WithCancelCause(agenttest.Context(t))
		defer cancel(nil)
		audio, last := time.Duration(0), error(nil)
		for chunk, err := range tts.Synthesize(ctx, "Hello.", agents.TTSOptions{}) {
			if audio == 0 {
				f.until("child.1")
				cancel(cause)
			}
			audio += chunk.Frame.Duration()
			last = err
		}
		require.Empty(t, children())
		require.Equal(t, cause, last)
		require.NotZero(t, audio)
		for range tts.Synthesize(agenttest.Context(t), "Hello.", agents.TTSOptions{}) {
			f.until("child.2")
			break
		}
		require.Empty(t, children())
		f.childDead()
		_, err := hear(t, ctx, tts, "Hello.", agents.TTSOptions{})
		require.Equal(t, cause, err)
		require.Equal(t, 3, f.begun(), "a process for a context that is over")
	}
}

// Text goes to the standard input as it is, whatever it looks like, but for what a program would not read as text.
func TestTTSText(t *testing.T) {
	t.Setenv("OPENAI_API_KEY", "secret")
	for _, program := range []string{"espeak-ng", "flite"} {
		texts := []string{"--help", "-w /tmp/x", "$(touch x); `y` 'z' \"", "Grüße\n", strings.Repeat("long ", 40000)}
		acts := make([]act, len(texts)+1)
		for i := range acts {
			acts[i].Audio = 100 * time.Millisecond
		}
		tts, f := fakeTTS(t, local.TTSOptions{Program: program}, acts...)
		for _, text := range texts {
			_, err := hear(t, agenttest.Context(t), tts, text, agents.TTSOptions{})
			require.NoError(t, err)
		}
		_, err := hear(t, agenttest.Context(t), tts, "[[h@l'oU]]\x00\x1b[1m \xff", agents.TTSOptions{})
		require.NoError(t, err)
		audio, err := hear(t, agenttest.Context(t), tts, " \n", agents.TTSOptions{})
		require.NoError(t, err)
		require.Zero(t, audio)
		last := "[[h@l'oU]][1m "
		if program == "espeak-ng" {
			last = "[ [h@l'oU]][1m "
		}
		require.Equal(t, append(texts, last), f.runs("input")[1:])
		for _, args := range f.runs("args") {
			require.Equal(t, f.runs("args")[0], args)
		}
		for _, env := range f.runs("env") {
			require.NotContains(t, env, "secret")
			require.Contains(t, env, "PATH=")
		}
	}
}

func TestTTSArguments(t *testing.T) {
	const flite = "-voice %v --setf duration_stretch=%s --setf f0_shift=%p -f /dev/stdin -o /dev/stdout"
	for _, test := range []struct {
		opts     local.TTSOptions
		language string
		want     string
	}{
		{local.TTSOptions{}, "", "--stdout --stdin -b 1 -v en-us -s 175 -p 50"},
		{local.TTSOptions{Speed: 2, Pitch: 0.5}, "", "--stdout --stdin -b 1 -v en-us -s 350 -p 0"},
		{local.TTSOptions{Pitch: 2}, "", "--stdout --stdin -b 1 -v en-us -s 175 -p 99"},
		{local.TTSOptions{Language: "de"}, "", "--stdout --stdin -b 1 -v de -s 175 -p 50"},
		{local.TTSOptions{Language: "de"}, "pt-BR", "--stdout --stdin -b 1 -v pt-BR -s 175 -p 50"},
		{local.TTSOptions{Voice: "en-us+f3"}, "en", "--stdout --stdin -b 1 -v en-us+f3 -s 175 -p 50"},
		{local.TTSOptions{Voice: "en-us+f3"}, "de", "--stdout --stdin -b 1 -v de+f3 -s 175 -p 50"},
		{local.TTSOptions{Program: "flite"}, "en-GB", strings.NewReplacer("%v", "slt", "%s", "1.0000", "%p", "1.0000").Replace(flite)},
		{local.TTSOptions{Program: "flite", Voice: "kal", Speed: 2, Pitch: 1.5}, "", strings.NewReplacer("%v", "kal", "%s", "0.5000", "%p", "1.5000").Replace(flite)},
	} {
		tts, f := fakeTTS(t, test.opts, act{Audio: 100 * time.Millisecond})
		audio, err := hear(t, agenttest.Context(t), tts, "Hello.", agents.TTSOptions{Language: test.language})
		require.NoError(t, err)
		require.Equal(t, 100*time.Millisecond, audio)
		require.Equal(t, test.want, f.runs("args")[1])
	}
	tts, f := fakeTTS(t, local.TTSOptions{Program: "flite"})
	espeak, g := fakeTTS(t, local.TTSOptions{})
	for _, err := range []error{
		second(hear(t, agenttest.Context(t), tts, "Hallo.", agents.TTSOptions{Language: "de"})),
		second(hear(t, agenttest.Context(t), espeak, "Hallo.", agents.TTSOptions{Language: "--help"})),
	} {
		var failure *agents.ProviderError
		require.ErrorAs(t, err, &failure)
		require.False(t, failure.Retryable)
	}
	require.Equal(t, []int{1, 1}, []int{f.begun(), g.begun()})
}

func second[A any](_ A, err error) error { return err }

func TestNewTTSErrors(t *testing.T) {
	silent, failing := newFake(t, "espeak-ng", act{Audio: 1}), newFake(t, "espeak-ng", act{Exit: 1, Stderr: "Error: The specified espeak-ng voice does not exist.\n"})
	flite := newFake(t, "flite")
	for _, test := range []struct {
		opts local.TTSOptions
		says string
	}{
		{local.TTSOptions{Speed: 3}, "a speed or pitch of 3 is not from 0.5 to 2"},
		{local.TTSOptions{Pitch: -1}, "a speed or pitch of -1 is not from 0.5 to 2"},
		{local.TTSOptions{Timeout: -1}, "negative timeout"},
		{local.TTSOptions{Voice: "-w"}, `"-w" cannot be a voice`},
		{local.TTSOptions{Voice: "../x"}, `"../x" cannot be a voice`},
		{local.TTSOptions{Language: "en us"}, `"en us" cannot be a language`},
		{local.TTSOptions{Program: "say"}, "say is neither espeak-ng nor flite"},
		{local.TTSOptions{Program: silent.path}, "espeak-ng speaks without a sound"},
		{local.TTSOptions{Program: failing.path, Voice: "x"}, "The specified espeak-ng voice does not exist."},
		{local.TTSOptions{Program: flite.path, Voice: "x"}, `flite has no voice "x" but kal, slt`},
		{local.TTSOptions{Program: flite.path, Language: "de"}, `flite does not speak "de"`},
		{local.TTSOptions{Program: "/nowhere/flite"}, "it is in the Debian package flite"},
	} {
		_, err := local.NewTTS(test.opts)
		require.ErrorContains(t, err, test.says)
	}
	require.Empty(t, children())

	t.Setenv("PATH", t.TempDir())
	_, err := local.NewTTS(local.TTSOptions{})
	require.ErrorContains(t, err, "neither espeak-ng nor flite is installed")
	_, err = local.NewTTS(local.TTSOptions{Program: "espeak-ng"})
	require.ErrorContains(t, err, "it is in the Debian package espeak-ng")
	require.ErrorIs(t, err, exec.ErrNotFound)

	t.Setenv("PATH", flite.dir)
	require.NoError(t, os.WriteFile(flite.dir+"/plan", []byte(`[{"Audio":100000000}]`), 0o600))
	tts, err := local.NewTTS(local.TTSOptions{})
	require.NoError(t, err)
	require.Equal(t, "flite", tts.Model())
}
