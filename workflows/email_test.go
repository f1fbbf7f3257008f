package workflows_test

import (
	"context"
	"encoding/json"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/parley-voice/agents"
	"github.com/parley-voice/agents/agenttest"
	"github.com/parley-voice/agents/workflows"
)

func emailArgs(t testing.TB, s string) string {
	b, err := json.Marshal(map[string]string{"email": s})
	require.NoError(t, err)
	return string(b)
}

// Core 83: the result has the type that the run asks for, and the address is normalised.
func TestEmailIsTrimmed(t *testing.T) {
	for _, tt := range []struct{ given, want string }{
		{"theo@example.com", "theo@example.com"},
		{"  theo@example.com\n", "theo@example.com"},
		{"a.b_c%d+e-f@mail.example.co.uk", "a.b_c%d+e-f@mail.example.co.uk"},
		{"0@1.io", "0@1.io"},
		{"Theo@Example.COM", "Theo@Example.COM"},
		{"x@a-b--c.museum", "x@a-b--c.museum"},
	} {
		t.Run(tt.given, func(t *testing.T) {
			agenttest.Run(t, func(t *testing.T) {
				task := workflows.NewEmail(workflows.EmailOptions{})
				require.Equal(t, workflows.Email{Address: tt.want}, typed(t, task, "update_email_address", emailArgs(t, tt.given)))
			})
		})
	}
}

func TestEmailOfTheWrongFormIsToldToTheModel(t *testing.T) {
	for _, given := range []string{
		"", " ", "theo", "theo@", "@example.com", "theo@example", "theo@example.c", "theo@example.c0m", "theo@@example.com",
		".theo@example.com", "+t@example.com", "th eo@example.com", "theo@exa mple.com", "theo@-example.com",
		"theo@example-.com", "theo@example..com", "theo@.com", "theo@example.com.", "theo@example_a.com",
		"théo@example.com", "theo@example.com\nbcc@example.com", "Theo <theo@example.com>", "theo at example dot com",
	} {
		t.Run(given, func(t *testing.T) {
			agenttest.Run(t, func(t *testing.T) {
				task := workflows.NewEmail(workflows.EmailOptions{})
				refused(t, task, "update_email_address", emailArgs(t, given)).IsErrorOutput()
			})
		})
	}
}

// Core 83 and 84 as an agent uses the task: its tool runs it and has the address in the end.
func TestToolRunsTheEmailTask(t *testing.T) {
	agenttest.Run(t, func(t *testing.T) {
		desk := &agents.Agent{ID: "desk", Tools: []agents.Tool{
			agents.NewTool("newsletter", "Subscribe.", func(ctx context.Context, run *agents.RunContext[any], _ struct{}) (any, error) {
				return workflows.NewEmail(workflows.EmailOptions{Options: workflows.Options{ChatContext: run.ChatContext()}}).Run(ctx)
			})}}
		s := agenttest.Start(t, agents.Options{LLM: agenttest.NewLLM(t,
			agenttest.OnUser("Subscribe me").Call("newsletter", `{}`),
			asks(),
			agenttest.OnUser("theo@example.com").Call("update_email_address", `{"email":"theo@example.com"}`),
			agenttest.OnOutput("newsletter").Say("Done."))}, desk)
		r := s.User("Subscribe me")
		r.Next().IsCall("newsletter")
		r.Next().IsHandoff("desk", "email")
		r.Next().IsMessage(agents.RoleAssistant)
		r.None()
		r = s.User("theo@example.com")
		r.Next().IsCall("update_email_address")
		r.Next().IsOutput("")
		r.Next().IsHandoff("email", "desk")
		r.Next().IsOutput(`{"email_address":"theo@example.com"}`)
		r.Next().IsMessage(agents.RoleAssistant).HasText("Done.")
		r.None()
	})
}

func TestRefusalInATaskIsToldToTheAgentThatRanIt(t *testing.T) {
	agenttest.Run(t, func(t *testing.T) {
		desk := &agents.Agent{ID: "desk", Tools: []agents.Tool{
			agents.ToolFunc("newsletter", "Subscribe.", func(ctx context.Context, _ struct{}) (any, error) {
				return workflows.NewEmail(workflows.EmailOptions{}).Run(ctx)
			})}}
		s := agenttest.Start(t, agents.Options{LLM: agenttest.NewLLM(t,
			agenttest.OnUser("Subscribe me").Call("newsletter", `{}`),
			asks(),
			agenttest.OnUser("No").Call("decline_email_capture", `{"reason":"has none"}`),
			agenttest.OnOutput("newsletter").Say("Never mind."))}, desk)
		s.User("Subscribe me")
		r := s.User("No")
		r.NextHandoff().IsHandoff("email", "desk")
		r.Next().IsErrorOutput("could not get the email address: has none")
		r.Next().IsMessage(agents.RoleAssistant).HasText("Never mind.")
		r.None()
	})
}

// What is accepted has one @, no space in it, a domain of at least two labels, and is what was given.
func FuzzParseEmail(f *testing.F) {
	for _, s := range []string{"a@b.cc", " a@b.cc ", "a@b", "a@b..cc", "a@-b.cc", "é@b.cc", "a@b.cc\n", "a b@c.dd"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		got, err := workflows.ParseEmail(s)
		if err != nil {
			return
		}
		require.Equal(t, strings.TrimSpace(s), got)
		local, domain, found := strings.Cut(got, "@")
		require.True(t, found)
		require.NotEmpty(t, local)
		require.NotContains(t, domain, "@")
		labels := strings.Split(domain, ".")
		require.GreaterOrEqual(t, len(labels), 2)
		for _, l := range labels {
			require.NotEmpty(t, l)
			require.False(t, strings.HasPrefix(l, "-") || strings.HasSuffix(l, "-"), l)
		}
		require.GreaterOrEqual(t, len(labels[len(labels)-1]), 2)
		require.Equal(t, -1, strings.IndexFunc(got, func(r rune) bool { return r <= ' ' || r >= 0x7f }))
		again, err := workflows.ParseEmail(got)
		require.NoError(t, err)
		require.Equal(t, got, again)
	})
}
