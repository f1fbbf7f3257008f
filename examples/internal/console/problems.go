package console

import (
	"errors"
	"fmt"
	"strings"

	"github.com/parley-voice/agents"
)

// explain says in a sentence what went wrong. Server is the address of the model, if it has one.
func explain(err error, server string) string {
	if panicked, ok := errors.AsType[*agents.PanicError](err); ok {
		return sentence(fmt.Sprintf("%s panicked: %v", panicked.Where, panicked.Value))
	}
	pe, ok := errors.AsType[*agents.ProviderError](err)
	if !ok {
		return sentence(strings.TrimPrefix(err.Error(), "agents: "))
	}
	for inner := pe; ok; inner, ok = errors.AsType[*agents.ProviderError](inner.Err) {
		pe = inner // the one that says how many attempts there were does not say why they failed
	}
	if server == "" {
		server = pe.Provider
	}
	switch {
	case pe.Status == 401 || pe.Status == 403:
		return "The key was not accepted by " + server + "; check OPENAI_API_KEY."
	case pe.Status == 404:
		return sentence("Not found at " + server + "; check the model and OPENAI_BASE_URL" + because(pe.Message))
	case pe.Status == 429:
		return sentence("Too many requests, or no credit left, at " + server + because(pe.Message))
	case errors.Is(err, agents.ErrTimeout):
		return "There was no answer from " + server + " in time."
	case errors.Is(err, agents.ErrConnection):
		return "There is no connection to " + server + "; check the network and OPENAI_BASE_URL."
	case pe.Message != "":
		return sentence(pe.Message)
	default:
		return sentence(pe.Error())
	}
}

func because(message string) string {
	if message == "" {
		return ""
	}
	return ": " + message
}

// sentence ends a text with a full stop, and makes one line of it.
func sentence(s string) string {
	s = strings.Join(strings.Fields(s), " ")
	if s == "" || strings.ContainsAny(s[len(s)-1:], ".!?") {
		return s
	}
	return s + "."
}
