package main

import (
	"bytes"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/parley-voice/agents/livekit/cli"
	"github.com/parley-voice/agents/plugins/openai/openaitest"
)

// console runs the example in the terminal with these lines.
func console(t *testing.T, lines string) (status int, stdout, stderr string) {
	t.Helper()
	t.Setenv("LIVEKIT_DEV_MODE", "")
	var out, errs bytes.Buffer
	app.Name = "voiceagent"
	status = cli.Run(t.Context(), app, []string{"console", "--text"}, strings.NewReader(lines), &out, &errs)
	return status, out.String(), errs.String()
}

// The agent greets and answers, here by text and with a server that speaks OpenAI's protocol. In real time.
func TestConversation(t *testing.T) {
	srv := openaitest.NewLoopbackServer(openaitest.Reply{Text: []string{"Hello, how", " can I help?"}}, openaitest.Reply{Text: []string{"It is Oslo."}})
	defer srv.Close()
	t.Setenv("OPENAI_BASE_URL", srv.URL())
	t.Setenv("OPENAI_API_KEY", srv.Key())
	status, stdout, stderr := console(t, "What is the capital of Norway?\n")
	require.Zero(t, status, stderr)
	require.Regexp(t, `(?s)^\S+ +Hello, how can I help\?\n.*you +What is the capital of Norway\?\n\S+ +It is Oslo\.\n`, stdout)
	require.Len(t, srv.Chats(), 2)
}

// Without a key it says which one is missing.
func TestWithoutAKey(t *testing.T) {
	t.Setenv("OPENAI_BASE_URL", "")
	t.Setenv("OPENAI_API_KEY", "")
	status, _, stderr := console(t, "Hello?\n")
	require.Equal(t, 1, status)
	require.Contains(t, stderr, "OPENAI_API_KEY")
}
