package openai_test

import (
	"encoding/base64"
	"strconv"
	"strings"
	"testing"

	"github.com/parley-voice/agents"
	"github.com/parley-voice/agents/agenttest"
	"github.com/parley-voice/agents/plugins/openai"
	"github.com/parley-voice/agents/plugins/openai/openaitest"
)

func TestConformance(t *testing.T) {
	agenttest.TestLLM(t, agenttest.LLMUnderTest{
		New: func(t *testing.T, answers ...agenttest.Answer) (agents.LLM, agenttest.LLMFake) {
			srv := openaitest.NewServer()
			t.Cleanup(srv.Close)
			for _, a := range answers {
				srv.Add(replyOf(srv, a))
			}
			llm, err := openai.NewLLM(openai.LLMOptions{BaseURL: srv.URL(), APIKey: srv.Key(), HTTPClient: srv.Client()})
			if err != nil {
				t.Fatal(err)
			}
			return llm, fake{srv}
		},
		Secret: "sk-test-openaitest",
	})
}

func replyOf(srv *openaitest.Server, a agenttest.Answer) openaitest.Reply {
	r := openaitest.Reply{Status: a.Status, Dribble: a.Dribble, After: openaitest.AtEnd}
	if a.Status != 0 {
		r.Error = &openaitest.APIError{Message: "Refused to " + srv.Key() + ".", Type: "some_error"}
		if a.RetryAfter > 0 {
			r.RetryAfter = strconv.Itoa(int(a.RetryAfter.Seconds()))
		}
	}
	for _, p := range a.Parts {
		if p.Call == nil {
			r.Text = append(r.Text, p.Text)
			continue
		}
		r.Calls = append(r.Calls, openaitest.Call{ID: p.Call.ID, Name: p.Call.Name, Pieces: append([]string{}, p.Call.Arguments...)})
	}
	if a.Usage != nil {
		r.Usage = &openaitest.Usage{Prompt: a.Usage.PromptTokens, Completion: a.Usage.CompletionTokens}
	}
	switch a.End {
	case agenttest.Hang:
		r.Fault = openaitest.Stall
	case agenttest.Cut:
		r.Fault = openaitest.Cut
	case agenttest.Broken:
		r.Fault = openaitest.ErrorEvent
	}
	return r
}

// fake tells what a server received in the kit's terms.
type fake struct{ srv *openaitest.Server }

func (f fake) Received() []agenttest.ReceivedRequest {
	var out []agenttest.ReceivedRequest
	for _, req := range f.srv.Chats() {
		r := agenttest.ReceivedRequest{Temperature: req.Chat.Temperature, Schema: req.Chat.ResponseSchema}
		for _, m := range req.Chat.Messages {
			if m.Text != "" {
				r.Texts = append(r.Texts, m.Text)
			}
			for _, url := range m.Images {
				r.Images = append(r.Images, imageOf(url))
			}
		}
		for _, tool := range req.Chat.Tools {
			r.Tools = append(r.Tools, tool.Name)
		}
		switch choice := req.Chat.ToolChoice; choice {
		case "", "auto", "required", "none":
			r.ToolChoice = choice
		default:
			r.ToolChoice = "function " + choice
		}
		out = append(out, r)
	}
	return out
}

func imageOf(url string) agents.Image {
	rest, ok := strings.CutPrefix(url, "data:")
	if !ok {
		return agents.Image{URL: url}
	}
	mimeType, encoded, _ := strings.Cut(rest, ";base64,")
	data, _ := base64.StdEncoding.DecodeString(encoded)
	return agents.Image{Data: data, MIMEType: mimeType}
}
