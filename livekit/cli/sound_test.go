package cli

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"iter"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/parley-voice/agents"
	"github.com/parley-voice/agents/livekit"
)

// The tests here run shell scripts in the place of programs for sound, in real time.

// soundPrograms puts programs of these names, and what shells need, where programs are looked for, and nothing else.
func soundPrograms(t *testing.T, scripts map[string]string) (dir string) {
	t.Helper()
	dir = t.TempDir()
	for name, script := range scripts {
		require.NoError(t, os.WriteFile(filepath.Join(dir, name), []byte("#!/bin/sh\n"+script+"\n"), 0o755))
	}
	for _, name := range []string{"cat", "sleep"} {
		for _, from := range []string{"/bin/", "/usr/bin/"} {
			if _, err := os.Stat(from + name); err == nil {
				_ = os.Symlink(from+name, filepath.Join(dir, name))
			}
		}
	}
	t.Setenv("PATH", dir)
	return dir
}

const alsaList = `if [ "$1" = -L ]; then printf 'null\n    Discard all\n    and more\ndefault\nhw:CARD=Headset\n    USB Headset, Audio\n'; exit; fi
`

func pcm(samples []int16) []byte {
	var b []byte
	for _, s := range samples {
		b = binary.LittleEndian.AppendUint16(b, uint16(s))
	}
	return b
}

// ramp is sound that can be told from silence, and from itself.
func ramp(n int) []int16 {
	out := make([]int16, n)
	for i := range out {
		out[i] = int16(i%20000 + 1)
	}
	return out
}

func testProcess() *process { return newProcess(App{Name: "agent"}, nil, &output{}, &output{}) }

// Worker 4.6: what the microphone's program says is heard, whole and in order, and when it ends that is the end.
func TestMicrophone(t *testing.T) {
	dir := t.TempDir()
	soundPrograms(t, map[string]string{"arecord": alsaList + `echo "$@" > ` + dir + `/args; cat ` + dir + `/mic.raw`, "aplay": "exec cat >/dev/null"})
	want := ramp(5 * frameSamples)
	require.NoError(t, os.WriteFile(filepath.Join(dir, "mic.raw"), pcm(want), 0o644))
	system, err := findSound()
	require.NoError(t, err)
	require.Equal(t, "ALSA", system.name)
	m, err := openMicrophone(t.Context(), testProcess(), system, "hw:CARD=Headset")
	require.NoError(t, err)
	defer m.close()
	var got []int16
	for range 5 {
		f, err := m.ReadFrame(t.Context())
		require.NoError(t, err)
		require.Equal(t, 20*time.Millisecond, f.Duration())
		got = append(got, f.Samples...)
	}
	require.Equal(t, want, got)
	_, err = m.ReadFrame(t.Context())
	require.EqualError(t, err, "EOF")
	args, err := os.ReadFile(filepath.Join(dir, "args"))
	require.NoError(t, err)
	require.Contains(t, string(args), "-D hw:CARD=Headset -q -t raw -f S16_LE -r 24000 -c 1")
}

// A microphone that nobody reads keeps the last second, and counts what it dropped.
func TestMicrophoneIsBounded(t *testing.T) {
	dir := t.TempDir()
	soundPrograms(t, map[string]string{"arecord": "cat " + dir + "/mic.raw", "aplay": "exec cat >/dev/null"})
	all := ramp(80 * frameSamples)
	require.NoError(t, os.WriteFile(filepath.Join(dir, "mic.raw"), pcm(all), 0o644))
	system, err := findSound()
	require.NoError(t, err)
	m, err := openMicrophone(t.Context(), testProcess(), system, "")
	require.NoError(t, err)
	defer m.close()
	<-m.player.exited
	require.Equal(t, 600*time.Millisecond, m.Dropped())
	f, err := m.ReadFrame(t.Context())
	require.NoError(t, err)
	require.Equal(t, all[30*frameSamples:31*frameSamples], f.Samples)
}

// Worker 4.6: what the agent says reaches the speaker's program whole and in order, with silence before it, and the
// session hears that it was played. The program ends with the speaker.
func TestSpeaker(t *testing.T) {
	dir := t.TempDir()
	soundPrograms(t, map[string]string{"arecord": "true", "aplay": "exec cat > " + dir + "/speaker.raw"})
	system, err := findSound()
	require.NoError(t, err)
	k, err := openSpeaker(t.Context(), testProcess(), system, "")
	require.NoError(t, err)
	events := make(chan agents.PlaybackEvent, 10)
	k.Attach(func(e agents.PlaybackEvent) { events <- e })
	want := ramp(10 * frameSamples)
	require.NoError(t, k.CaptureFrame(t.Context(), agents.AudioFrame{Samples: want, SampleRate: soundRate, Channels: 1}))
	require.ErrorIs(t, k.CaptureFrame(t.Context(), agents.AudioFrame{Samples: want, SampleRate: 16000, Channels: 1}), agents.ErrAudioFormat)
	k.Flush()
	require.Equal(t, agents.PlaybackStarted, (<-events).Type)
	finished := <-events
	require.Equal(t, agents.PlaybackFinished, finished.Type)
	require.Equal(t, 200*time.Millisecond, finished.Position)
	require.False(t, finished.Interrupted)
	played := func() []byte {
		got, err := os.ReadFile(filepath.Join(dir, "speaker.raw"))
		require.NoError(t, err)
		return got
	}
	until(t, "it was played", func() bool { return bytes.Contains(played(), pcm(want)) })
	require.Zero(t, played()[0], "silence came first")
	k.close()
	<-k.player.exited
}

// Worker 4.6: devices are listed, and found by their number, their id and a part of their name.
func TestDevices(t *testing.T) {
	soundPrograms(t, map[string]string{"arecord": alsaList, "aplay": alsaList})
	status, stdout, stderr := result(t, App{}, "console", "--list-devices")
	require.Zero(t, status, stderr)
	require.Contains(t, stdout, "Input devices (ALSA)\n  0  null  (Discard all)\n  1  default\n  2  hw:CARD=Headset  (USB Headset, Audio)\nOutput devices (ALSA)\n  0  null")
	system, err := findSound()
	require.NoError(t, err)
	for want, id := range map[string]string{"": "", "1": "default", "default": "default", "usb head": "hw:CARD=Headset"} {
		got, err := system.resolve(t.Context(), true, want)
		require.NoError(t, err)
		require.Equal(t, id, got, want)
	}
	for _, want := range []string{"7", "-1", "bluetooth"} {
		_, err = system.resolve(t.Context(), true, want)
		require.ErrorContains(t, err, fmt.Sprintf("no input device %q; -list-devices", want))
	}
}

// PipeWire tells of its devices as JSON, among much else.
func TestPipeWireDevices(t *testing.T) {
	soundPrograms(t, map[string]string{"pw-record": "", "pw-play": "", "pw-dump": `cat <<'E'
[{"id": 1, "info": null}, {"id": 2, "info": {"props": {"media.class": "Audio/Source", "node.name": "mic", "node.description": "Built-in", "object.id": 3}}},
 {"id": 4, "info": {"props": {"media.class": "Audio/Sink", "node.name": "loud", "node.description": "Speakers"}}}]
E`})
	system, err := findSound()
	require.NoError(t, err)
	require.Equal(t, "PipeWire", system.name)
	in, err := system.list(t.Context(), true)
	require.NoError(t, err)
	require.Equal(t, []device{{"mic", "Built-in"}}, in)
	got, err := system.resolve(t.Context(), false, "speak")
	require.NoError(t, err)
	require.Equal(t, "loud", got)
}

// Worker 4.4 and 4.6: a device that was asked for and fails is status 1, and the error says how to list devices; without
// being asked for, the conversation goes on by text.
func TestDeviceErrors(t *testing.T) {
	t.Setenv("LIVEKIT_DEV_MODE", "")
	broken := alsaList + "echo 'ALSA lib: noise' >&2; echo 'arecord: audio open error: No such device' >&2; exit 1"
	for _, tt := range []struct {
		name    string
		scripts map[string]string
		args    []string
		want    string
	}{
		{"no programs", nil, []string{"--input-device", "0"}, "there is no program for sound here"},
		{"no programs to list with", nil, []string{"--list-devices"}, "there is no program for sound here"},
		{"no such device", map[string]string{"arecord": alsaList, "aplay": alsaList}, []string{"--output-device", "x"}, `no output device "x"; -list-devices`},
		{"the microphone fails", map[string]string{"arecord": broken, "aplay": alsaList + "exec cat >/dev/null"}, []string{"--input-device", "default"},
			"no microphone: arecord: arecord: audio open error: No such device; -list-devices shows the devices"},
		{"the speaker fails", map[string]string{"arecord": alsaList, "aplay": alsaList + "exit 3"}, []string{"--output-device", "default"},
			"no speaker: aplay: exit status 3; -list-devices"},
		{"text and a device", nil, []string{"--text", "--input-device", "0"}, "-text excludes"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			soundPrograms(t, tt.scripts)
			status, _, stderr := result(t, App{Worker: livekit.WorkerOptions{Entrypoint: nothing}}, append([]string{"console"}, tt.args...)...)
			require.Equal(t, 1, status)
			require.Contains(t, stderr, tt.want)
		})
	}
	soundPrograms(t, map[string]string{"arecord": broken, "aplay": "exit 3"})
	out := &output{}
	s, err := testProcess().openSound(t.Context(), newTranscript(out, false), devices{}, false, true)
	require.NoError(t, err)
	require.Equal(t, agents.IO{}, s.io)
	require.Contains(t, out.String(), "no speaker: aplay: exit status 3")
	require.Contains(t, out.String(), "no microphone: arecord: arecord: audio open error")
	s.close()
}

// A program for sound that ends when it should not is told of.
func TestSoundThatGoes(t *testing.T) {
	dir := soundPrograms(t, map[string]string{"aplay": "exec cat >/dev/null"})
	script := "cat /dev/zero | head -c 9600; while [ -e " + dir + "/arecord ]; do sleep 0.01; done; echo unplugged >&2; exit 1"
	require.NoError(t, os.WriteFile(filepath.Join(dir, "arecord"), []byte("#!/bin/sh\nPATH=/bin:/usr/bin\n"+script), 0o755))
	out := &output{}
	s, err := testProcess().openSound(t.Context(), newTranscript(out, false), devices{}, false, true)
	require.NoError(t, err)
	require.NotNil(t, s.io.AudioInput)
	require.NotNil(t, s.io.AudioOutput)
	require.NotContains(t, out.String(), "is gone")
	require.NoError(t, os.Remove(filepath.Join(dir, "arecord")))
	until(t, "it is told of", func() bool { return strings.Contains(out.String(), "the microphone is gone: arecord: unplugged") })
	s.close()
	require.Equal(t, 1, strings.Count(out.String(), "is gone"), "the speaker was closed")
}

// What programs for sound know of the environment has no keys.
func TestSoundEnvironment(t *testing.T) {
	t.Setenv("LIVEKIT_API_SECRET", "canary")
	t.Setenv("OPENAI_API_KEY", "canary")
	t.Setenv("PULSE_SERVER", "here")
	require.Contains(t, soundEnvironment(), "PULSE_SERVER=here")
	require.NotContains(t, strings.Join(soundEnvironment(), "\n"), "canary")
}

// Worker 4.6: with sound, --record leaves audio.ogg as well; and the agent is heard.
func TestConsoleRecordsSound(t *testing.T) {
	t.Setenv("LIVEKIT_DEV_MODE", "")
	t.Chdir(t.TempDir())
	dir := t.TempDir()
	soundPrograms(t, map[string]string{"arecord": alsaList + "PATH=/bin:/usr/bin; while head -c 960 /dev/zero; do sleep 0.02; done", "aplay": alsaList + "exec cat > " + dir + "/speaker.raw"})
	said := ramp(15 * frameSamples)
	agent := &agents.Agent{OnEnter: func(ctx context.Context, s *agents.AgentSession) error {
		return s.Say("Hello.", agents.SayOptions{Audio: iter.Seq[agents.AudioFrame](func(yield func(agents.AudioFrame) bool) {
			yield(agents.AudioFrame{Samples: said, SampleRate: soundRate, Channels: 1})
		})}).Wait(ctx)
	}}
	entrypoint := func(ctx context.Context, job *livekit.Job) error {
		return job.StartSession(ctx, agents.NewSession(agents.Options{}), agent, livekit.RoomOptions{})
	}
	status, stdout, stderr := consoleHere(t, entrypoint, strings.NewReader(""), "--record", "--input-device", "default")
	require.Zero(t, status, stderr)
	require.Contains(t, stdout, "Hello.")
	files, err := filepath.Glob(recordings + "/session-*/audio.ogg")
	require.NoError(t, err)
	require.Len(t, files, 1)
	ogg, err := os.ReadFile(files[0])
	require.NoError(t, err)
	require.True(t, bytes.HasPrefix(ogg, []byte("OggS")))
	require.Greater(t, len(ogg), 500)
	report, err := os.ReadFile(filepath.Join(filepath.Dir(files[0]), "session_report.json"))
	require.NoError(t, err)
	require.Contains(t, string(report), "audio.ogg")
	played, err := os.ReadFile(filepath.Join(dir, "speaker.raw"))
	require.NoError(t, err)
	require.True(t, bytes.Contains(played, pcm(said[:frameSamples])), "it was heard")
}
