package agents_test

import (
	"encoding/json"
	"fmt"

	"github.com/parley-voice/agents"
)

func ExampleChatContext() {
	chat := agents.NewChatContext()
	chat.AddMessage(agents.RoleSystem, "You answer the phone of a bakery.")
	chat.AddMessage(agents.RoleUser, "Do you have rye bread?")

	// A copy costs nothing until one of the two changes, and neither sees what becomes of the other.
	aside := chat.Copy()
	aside.AddMessage(agents.RoleAssistant, "We do.")
	fmt.Println(chat.Len(), aside.Len())

	lean := aside.CopyWith(agents.CopyOptions{ExcludeInstructions: true})
	fmt.Print(lean.Transcript())
	// Output:
	// 2 3
	// user: Do you have rye bread?
	// assistant: We do.
}

func ExampleChatContext_FormatOpenAI() {
	chat := agents.NewChatContext()
	chat.AddMessage(agents.RoleUser, "Where is order 7?")
	chat.Append(
		&agents.FunctionCall{CallID: "call_1", Name: "order_status", Arguments: `{"id":7}`},
		&agents.FunctionCallOutput{CallID: "call_1", Name: "order_status", Output: "shipped"},
	)
	for _, m := range chat.FormatOpenAI() {
		b, _ := json.Marshal(m)
		fmt.Println(string(b))
	}
	// Output:
	// {"role":"user","content":"Where is order 7?"}
	// {"role":"assistant","tool_calls":[{"id":"call_1","type":"function","function":{"name":"order_status","arguments":"{\"id\":7}"}}]}
	// {"role":"tool","content":"shipped","tool_call_id":"call_1"}
}

func ExampleExpandInstructions() {
	in, _ := agents.ExpandInstructions("Ask for the {what}. {how}", map[string]agents.Instructions{
		"what": {Common: "email address"},
		"how":  {Audio: "Spell it back letter by letter.", Text: "Repeat it."},
	})
	fmt.Println(in.For(agents.ModalityAudio))
	fmt.Println(in.For(agents.ModalityText))
	// Output:
	// Ask for the email address. Spell it back letter by letter.
	// Ask for the email address. Repeat it.
}
