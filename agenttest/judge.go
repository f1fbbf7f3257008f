package agenttest

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/parley-voice/agents"
)

// judgeTimeout is how long one judgement may take.
const judgeTimeout = 90 * time.Second

// Judge asserts that the item is a message that fulfils the intent, in the judgement of llm; see [JudgeMessage].
func (it *Item) Judge(llm agents.LLM, intent string) *Item {
	it.r.t.Helper()
	m, ok := it.ChatItem().(*agents.ChatMessage)
	if !ok {
		it.r.fail(it.i, "%s", wrongKind("message", it.ChatItem()))
		return it
	}
	if err := JudgeMessage(it.r.t.Context(), llm, m.Text(), intent); err != nil {
		it.r.fail(it.i, "%v", err)
	}
	return it
}

// An IntentError says that a message does not fulfil an intent.
type IntentError struct {
	Intent string // as given to [JudgeMessage]
	Reason string // why, in the words of the model
}

func (e *IntentError) Error() string {
	return fmt.Sprintf("the message does not fulfil the intent %q: %s", e.Intent, e.Reason)
}

const intentInstructions = `You check one message of a conversation against an intent that it is meant to fulfil.
Judge strictly and by the message alone: it passes only if it does all that the intent asks for. Other words, tone or
order are fine; a missing, contradicting or merely implied point is not.
Report your judgement by calling check_intent, with the reason in one or two sentences.`

type intentVerdict struct {
	Success bool   `json:"success" jsonschema:"whether the message fulfils the intent"`
	Reason  string `json:"reason" jsonschema:"why, in one or two sentences"`
}

// JudgeMessage has a model judge whether a message fulfils an intent, such as "asks for the caller's name". The error
// is an *[IntentError] if it does not, and another one if there is no judgement: the message or the intent is empty,
// or the model failed. It makes one request, which takes 90 seconds at most.
func JudgeMessage(ctx context.Context, llm agents.LLM, message, intent string) error {
	switch {
	case strings.TrimSpace(message) == "":
		return errors.New("agenttest: the message to judge is empty")
	case strings.TrimSpace(intent) == "":
		return errors.New("agenttest: there is no intent to judge the message by")
	}
	var verdict intentVerdict
	question := fmt.Sprintf("The intent:\n%s\n\nThe message:\n%s", intent, message)
	err := askByTool(ctx, llm, intentInstructions, question, "check_intent", "Report whether the message fulfils the intent.", &verdict)
	if err != nil {
		return fmt.Errorf("agenttest: no judgement: %w", err)
	}
	if !verdict.Success {
		return &IntentError{Intent: intent, Reason: verdict.Reason}
	}
	return nil
}

// askByTool asks a model a question that it has to answer by calling a tool, whose parameters are a T.
func askByTool[T any](ctx context.Context, llm agents.LLM, instructions, question, tool, description string, answer *T) error {
	ctx, cancel := context.WithTimeout(ctx, judgeTimeout)
	defer cancel()
	chat := &agents.ChatContext{}
	chat.AddMessage(agents.RoleSystem, instructions)
	chat.AddMessage(agents.RoleUser, question)
	req := agents.ChatRequest{
		Context: chat,
		Tools: []agents.Tool{
			// The call is the answer; nobody runs the tool.
			agents.ToolFunc(tool, description, func(context.Context, T) (any, error) { return nil, nil }),
		},
		ToolChoice: agents.Required,
	}
	if takesTemperature(llm) {
		req.Temperature = new(float64)
	}
	var calls []agents.ToolCall
	for chunk, err := range llm.Chat(ctx, req) {
		if err != nil {
			return err
		}
		calls = append(calls, chunk.Calls...)
	}
	if len(calls) == 0 || calls[0].Name != tool || strings.TrimSpace(calls[0].Arguments) == "" {
		return fmt.Errorf("the model did not call %s with arguments", tool)
	}
	if err := json.Unmarshal([]byte(calls[0].Arguments), answer); err != nil {
		return fmt.Errorf("the arguments of %s: %w", tool, err)
	}
	return nil
}

// takesTemperature reports whether the model can be asked for temperature 0.
func takesTemperature(llm agents.LLM) bool {
	info, ok := llm.(agents.ModelInfo)
	return !ok || !strings.Contains(info.Model(), "gpt-5")
}
