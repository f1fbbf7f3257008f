package main

import (
	"bytes"
	"context"
	"crypto/sha512"
	"encoding/base64"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/parley-voice/agents"
	"github.com/parley-voice/agents/audiofile"
	"github.com/parley-voice/agents/plugins/local"

	"github.com/parley-voice/agents/playground/internal/site"
)

// needs returns the path of a program that a test needs.
func needs(t *testing.T, program, what string) string {
	t.Helper()
	path, err := exec.LookPath(program)
	if err != nil {
		t.Skipf("%s is not installed, %s", program, what)
	}
	return path
}

// A person opens the page in a browser, talks, types, sees what the agents do, and hangs up. Where PLAYGROUND_SHOTS names
// a directory, what the page looks like is left there.
func TestAPersonTalksAndTypesInABrowser(t *testing.T) {
	chromium := needs(t, "chromium", "in which the page is opened")
	node := needs(t, "node", "which drives the browser")
	needs(t, "flite", "which is the person's voice")
	needs(t, "pocketsphinx_continuous", "which understands the person")
	if _, err := os.Stat("node_modules/playwright-core"); err != nil {
		t.Skip("what drives the browser is not installed: npm ci")
	}
	shots := os.Getenv("PLAYGROUND_SHOTS")
	if shots == "" {
		shots = t.TempDir()
	}
	p := begin(t)
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, node, "browser.cjs")
	cmd.Env = append(os.Environ(), "PAGE="+p.url, "WAV="+speech(t), "SHOTS="+shots, "CHROMIUM="+chromium)
	cmd.WaitDelay = 5 * time.Second
	out, err := cmd.CombinedOutput()
	require.NoError(t, err, "%s", out)
	require.True(t, bytes.HasSuffix(out, []byte("ok\n")), "%s", out)
	require.Empty(t, p.diagnostics.String())
}

// speech makes a recording of somebody who listens for a while, consents, listens again and asks.
func speech(t *testing.T) (file string) {
	t.Helper()
	voice, err := local.NewTTS(local.TTSOptions{Program: "flite"})
	require.NoError(t, err)
	var all agents.AudioFrame
	silence := func(d time.Duration) {
		all.Samples = append(all.Samples, agents.Silence(d, all.SampleRate, all.Channels).Samples...)
	}
	for _, line := range []struct {
		listens time.Duration
		says    string
	}{
		{7 * time.Second, "Sure, go ahead."},
		{14 * time.Second, "Hi, it's Dana Ortiz. Where is my order A-1009?"},
	} {
		listened := false
		for chunk, err := range voice.Synthesize(t.Context(), line.says, agents.TTSOptions{}) {
			require.NoError(t, err)
			if !listened {
				all.SampleRate, all.Channels = chunk.Frame.SampleRate, chunk.Frame.Channels
				silence(line.listens)
				listened = true
			}
			all.Samples = append(all.Samples, chunk.Frame.Samples...)
		}
	}
	silence(time.Second)
	var wav bytes.Buffer
	require.NoError(t, audiofile.Encode(&wav, all))
	file = filepath.Join(t.TempDir(), "person.wav")
	require.NoError(t, os.WriteFile(file, wav.Bytes(), 0o600))
	return file
}

// The client that the page loads from elsewhere is, byte by byte, the one that the lock has.
func TestTheClientIsThatOfTheLock(t *testing.T) {
	var lock struct {
		Packages map[string]struct{ Version string }
	}
	text, err := os.ReadFile("package-lock.json")
	require.NoError(t, err)
	require.NoError(t, json.Unmarshal(text, &lock))
	require.Equal(t, site.ClientVersion, lock.Packages["node_modules/livekit-client"].Version)
	file := site.InstalledClient("node_modules")
	if file == "" {
		t.Skip("livekit-client is not installed: npm ci")
	}
	script, err := os.ReadFile(file)
	require.NoError(t, err)
	sum := sha512.Sum384(script)
	require.Equal(t, site.ClientIntegrity, "sha384-"+base64.StdEncoding.EncodeToString(sum[:]))
	require.True(t, strings.HasSuffix(site.ClientCDN, "livekit-client.umd.js"))
}
