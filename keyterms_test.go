package agents

import (
	"context"
	"errors"
	"iter"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/parley-voice/agents/internal/keyterms"
)

// records calls record_keyterms.
func records(args string) chatScript {
	return func(_ context.Context, yield func(ChatChunk, error) bool) {
		if yield(ChatChunk{Text: "Let me see. "}, nil) && yield(ChatChunk{Calls: []ToolCall{{Name: "record_keyterms", Arguments: args}}}, nil) {
			yield(ChatChunk{Usage: &LLMUsage{TotalTokens: 9}}, nil)
		}
	}
}

// requestLLM keeps the requests.
type requestLLM struct {
	*replayLLM
	requests []ChatRequest
}

func (l *requestLLM) Chat(ctx context.Context, req ChatRequest) iter.Seq2[ChatChunk, error] {
	l.requests = append(l.requests, req)
	return l.replayLLM.Chat(ctx, req)
}

func newTracker(t *testing.T, o KeytermOptions) *keytermTracker {
	t.Helper()
	k, err := newKeytermTracker(o)
	require.NoError(t, err)
	return k
}

func TestKeytermOptions(t *testing.T) {
	for name, d := range map[string]KeytermDetection{
		"interval": {TurnInterval: -1}, "terms": {MaxTerms: -1}, "timeout": {Timeout: -1},
	} {
		_, err := newKeytermTracker(KeytermOptions{Detect: d})
		require.Error(t, err, name)
	}
	for _, llm := range []LLM{nil, NoLLM} {
		k := newTracker(t, KeytermOptions{Terms: []string{"Parley", "parley", " "}, Detect: KeytermDetection{LLM: llm}})
		require.Nil(t, k.userMessage("hello", NewChatContext()))
		require.Equal(t, []string{"Parley"}, k.terms())
		require.False(t, k.setTerms([]string{"Parley"}))
		require.True(t, k.setTerms([]string{"Acme"}))
		require.Equal(t, []string{"Acme"}, k.terms())
	}
}

func TestKeytermPass(t *testing.T) {
	for _, tt := range []struct {
		name   string
		script chatScript
		want   keyterms.Answer
		err    string
		is     error
		took   time.Duration
	}{
		{name: "all lists", script: records(`{"pending":["a"],"confirm":["b"],"remove":["c"]}`),
			want: keyterms.Answer{Pending: []string{"a"}, Confirm: []string{"b"}, Remove: []string{"c"}}},
		{name: "nothing new", script: records(`{}`)},
		{name: "nulls", script: records(`{"pending":null,"confirm":["b"]}`), want: keyterms.Answer{Confirm: []string{"b"}}},
		{name: "an answer and a failure", script: then(records(`{"confirm":["b"]}`), fails(status(503))),
			want: keyterms.Answer{Confirm: []string{"b"}}},
		{name: "two answers", script: then(records(`{"confirm":["b"]}`), records(`{"confirm":["c"]}`)),
			want: keyterms.Answer{Confirm: []string{"b"}}},
		{name: "no call", script: says(0, "I will not"), err: "agents: keyterm detection: the model did not call record_keyterms"},
		{name: "what was said is not in the error", script: records(`{"confirm":"secret"}`),
			err: "agents: keyterm detection: the model called record_keyterms with bad arguments"},
		{name: "no JSON", script: records(`secret`),
			err: "agents: keyterm detection: the model called record_keyterms with bad arguments"},
		{name: "a failure", script: fails(status(503)), err: "agents: keyterm detection: fake: chat: Service Unavailable (503)"},
		{name: "too slow", script: hangs, err: "agents: keyterm detection: timed out", is: ErrTimeout, took: 10 * time.Second},
		{name: "too slow, without an error", script: func(ctx context.Context, _ func(ChatChunk, error) bool) { <-ctx.Done() },
			err: "agents: keyterm detection: timed out", is: ErrTimeout, took: 10 * time.Second},
		{name: "a panic", script: func(context.Context, func(ChatChunk, error) bool) { panic("chat") }, err: "agents: panic in LLM: chat"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				k := newTracker(t, KeytermOptions{Detect: KeytermDetection{LLM: replay("a", tt.script)}})
				start := time.Now()
				p := k.userMessage("hello", NewChatContext())(t.Context())
				require.Equal(t, tt.took, time.Since(start))
				if tt.err != "" {
					require.EqualError(t, p.err, tt.err)
					require.True(t, tt.is == nil || errors.Is(p.err, tt.is))
					require.False(t, k.done(p))
					require.NotNil(t, k.userMessage("and now?", NewChatContext()), "the next message has its pass")
					return
				}
				require.NoError(t, p.err)
				require.Equal(t, tt.want, p.answer)
				require.Equal(t, 9, p.usage.TotalTokens)
				require.Equal(t, len(tt.want.Confirm) > 0, k.done(p))
				require.Equal(t, tt.want.Confirm, k.terms())
			})
		})
	}
}

// The session that closes ends the request, which says why.
func TestKeytermPassEndsWithItsContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := newTracker(t, KeytermOptions{Detect: KeytermDetection{LLM: replay("a", hangs), Timeout: time.Minute}})
		cause := errors.New("the session closes")
		ctx, cancel := context.WithCancelCause(t.Context())
		time.AfterFunc(time.Second, func() { cancel(cause) })
		start := time.Now()
		p := k.userMessage("hello", NewChatContext())(ctx)
		require.ErrorIs(t, p.err, cause)
		require.Equal(t, time.Second, time.Since(start))
	})
}

// One request at a time, each told what the ones before it found, about the last twelve messages.
func TestKeytermConversation(t *testing.T) {
	llm := &requestLLM{replayLLM: replay("a", records(`{"pending":["Meyer"],"confirm":["Acme"]}`), records(`{"confirm":["Maier"],"remove":["Meyer"]}`))}
	k := newTracker(t, KeytermOptions{Terms: []string{"Parley"}, Detect: KeytermDetection{LLM: llm, TurnInterval: 2}})
	history := NewChatContext()
	history.AddMessage(RoleSystem, "You are a receptionist.")
	say := func(role Role, text string) func(context.Context) keytermPass {
		history.AddMessage(role, text)
		history.Append(&FunctionCall{CallID: text, Name: "lookup"}, &FunctionCallOutput{CallID: text, Name: "lookup", Output: "found"})
		if role != RoleUser {
			return nil
		}
		return k.userMessage(text, history)
	}
	for range 6 {
		say(RoleAssistant, "Long ago.")
	}
	require.Nil(t, say(RoleUser, "I am with Acme."))
	say(RoleAssistant, " ")
	say(RoleAssistant, "Your name?")
	pass := say(RoleUser, "Meyer.")
	require.NotNil(t, pass)
	require.Nil(t, say(RoleUser, "Hello?"))
	require.Nil(t, say(RoleUser, "Hello?"), "one at a time")
	require.True(t, k.done(pass(t.Context())))
	require.Equal(t, []string{"Parley", "Acme"}, k.terms())

	require.Nil(t, say(RoleUser, "M A I"))
	say(RoleAssistant, "Go on.")
	pass = say(RoleUser, "E R")
	say(RoleAssistant, "too late for this request")
	require.True(t, k.done(pass(t.Context())))
	require.Equal(t, []string{"Parley", "Acme", "Maier"}, k.terms())

	require.Len(t, llm.requests, 2)
	req := llm.requests[1]
	require.Equal(t, "record_keyterms", req.ToolChoice.Name())
	require.Len(t, req.Tools, 1)
	require.False(t, *req.ParallelToolCalls)
	require.Equal(t, 2, req.Context.Len())
	require.Equal(t, RoleSystem, req.Context.At(0).(*ChatMessage).Role)
	require.Equal(t, "<fixed>\nParley\n</fixed>\n<confirmed>\nAcme\n</confirmed>\n<pending>\nMeyer\n</pending>\n<conversation>\n"+
		"<assistant>\nLong ago.\n</assistant>\n<assistant>\nLong ago.\n</assistant>\n<assistant>\nLong ago.\n</assistant>\n"+
		"<assistant>\nLong ago.\n</assistant>\n"+
		"<user>\nI am with Acme.\n</user>\n<assistant>\nYour name?\n</assistant>\n<user>\nMeyer.\n</user>\n"+
		"<user>\nHello?\n</user>\n<user>\nHello?\n</user>\n<user>\nM A I\n</user>\n<assistant>\nGo on.\n</assistant>\n"+
		"<user>\nE R\n</user>\n</conversation>", req.Context.At(1).(*ChatMessage).Text())
}
