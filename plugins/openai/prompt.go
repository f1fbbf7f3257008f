package openai

import "strings"

// How much of the keyterms is sent, in bytes. Whisper reads the last 224 tokens of a prompt, so that more terms would
// push out the first ones, which matter most.
const (
	maxWhisperTerms = 600
	maxTerms        = 4000
)

// prompt returns the prompt with the words to expect at its end. The API has no other place for them.
func (t *STT) prompt(terms []string) string {
	limit := maxTerms
	if t.whisper {
		limit = maxWhisperTerms
	}
	var list []string
	for _, term := range terms {
		term = strings.Join(strings.Fields(term), " ")
		if term == "" {
			continue
		}
		if limit -= len(term) + len(", "); limit < 0 {
			break
		}
		list = append(list, term)
	}
	prompt := strings.TrimSpace(t.opts.Prompt)
	if len(list) == 0 {
		return prompt
	}
	return strings.TrimSpace(prompt + "\nGlossary: " + strings.Join(list, ", ") + ".")
}
