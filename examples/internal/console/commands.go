package console

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/parley-voice/agents"
)

const help = `/history   what was said and done so far
/agent     who has the floor, with its instructions and tools
/usage     what the models were used for
/quit      leave, as does Ctrl-D
Ctrl-C     interrupt whoever is talking; leave when nobody is`

// command does what a line that begins with a slash asks for.
func (t *talk) command(line string) {
	var text string
	switch name, _, _ := strings.Cut(line, " "); name {
	case "/help":
		text = help
	case "/history":
		text = cmp.Or(strings.TrimSpace(t.session.History().Transcript()), "Nothing was said yet.")
	case "/agent":
		text = onFloor(t.session.History())
	case "/usage":
		text = used(t.session.Usage())
	case "/quit", "/exit":
		t.quit = true
		return
	default:
		text = "There is no " + name + "; see /help."
	}
	t.show.with(func(p *page) {
		for l := range strings.Lines(text) {
			p.line("", plain, strings.TrimRight(l, "\n"), dim)
		}
	})
}

// onFloor tells from a history who has the floor, and what that agent was told when it took it.
func onFloor(history *agents.ChatContext) string {
	type brief struct {
		instructions string
		tools        []string
	}
	briefs := map[string]*brief{}
	floor := ""
	for _, it := range history.Items() {
		switch it := it.(type) {
		case *agents.AgentHandoff:
			floor = it.NewAgentID
			if briefs[floor] == nil {
				briefs[floor] = &brief{}
			}
		case *agents.AgentConfigUpdate:
			b := briefs[floor]
			if b == nil {
				continue
			}
			b.instructions = cmp.Or(it.Instructions, b.instructions)
			b.tools = slices.DeleteFunc(b.tools, func(name string) bool { return slices.Contains(it.ToolsRemoved, name) })
			for _, name := range it.ToolsAdded {
				if !slices.Contains(b.tools, name) {
					b.tools = append(b.tools, name)
				}
			}
		}
	}
	if floor == "" {
		return "Nobody has the floor."
	}
	b := briefs[floor]
	return fmt.Sprintf("%s: %s\nTools: %s", floor, cmp.Or(b.instructions, "without instructions"),
		cmp.Or(strings.Join(b.tools, ", "), "none"))
}

func used(usage []agents.ModelUsage) string {
	if len(usage) == 0 {
		return "Nothing was used yet."
	}
	var lines []string
	for _, u := range usage {
		lines = append(lines, fmt.Sprintf("%s %s: %d requests, %d tokens in (%d cached), %d tokens out", u.Provider, u.Model,
			u.Requests, u.LLM.PromptTokens, u.LLM.CachedTokens, u.LLM.CompletionTokens))
	}
	return strings.Join(lines, "\n")
}
