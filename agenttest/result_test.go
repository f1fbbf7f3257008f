package agenttest

import (
	"testing"

	"github.com/parley-voice/agents"
)

func message(role agents.Role, text string) *agents.ChatMessage {
	return &agents.ChatMessage{Role: role, Content: []agents.Content{agents.Text(text)}}
}

// transfer is a run in which a call leads to a handoff.
func transfer() []agents.ChatItem {
	return []agents.ChatItem{
		&agents.FunctionCall{CallID: "c1", Name: "transfer_to_specialist", Arguments: `{"name":"John","category":"billing","n":1.0,"tags":["a",{"b":2}],"big":9007199254740993}`},
		&agents.FunctionCallOutput{CallID: "c1", Name: "transfer_to_specialist", Output: "Connecting you now."},
		&agents.AgentHandoff{OldAgentID: "intake", NewAgentID: "specialist"},
		message(agents.RoleAssistant, "Let's look at that bill, John."),
		&agents.FunctionCall{CallID: "c2", Name: "lookup"},
		&agents.FunctionCallOutput{CallID: "c2", Name: "lookup", Output: "no such bill", IsError: true},
		&agents.ChatMessage{Role: agents.RoleAssistant, Content: []agents.Content{agents.Text("I can't")}, Interrupted: true},
	}
}

const transferList = `[0] function_call name=transfer_to_specialist arguments={"name":"John","category":"billing","n":1.0,"tags":["a",{"b":2}],"big":9007199254740993}`

func result(t tb, items []agents.ChatItem) *Result {
	return &Result{RunResult: &agents.RunResult{}, t: t, items: items}
}

func TestAssertionsThatHold(t *testing.T) {
	r := ExpectItems(t, transfer()...)
	r.Next().IsCall("transfer_to_specialist", Args{"category": "billing", "n": 1, "tags": []any{"a", map[string]int{"b": 2}}, "big": int64(9007199254740993)})
	r.Next().IsOutput("Connecting you now.").Contains("now").HasText("Connecting you now.")
	r.Next().IsHandoff("intake", "specialist")
	r.Next().IsMessage("assistant").Contains("bill")
	r.Next().IsCall("lookup").IsCall("lookup", Args{})
	r.Next().IsErrorOutput().IsErrorOutput("no such bill")
	r.Next().IsMessage("assistant").IsInterrupted()
	r.None()

	r = ExpectItems(t, transfer()...)
	r.NextOutput().IsOutput()
	r.NextHandoff()
	if r.SkipIfHandoff("specialist") || r.SkipIfCall("lookup") || !r.SkipIfMessage("assistant") || !r.SkipIfCall("lookup") {
		t.Error("SkipIf skipped what it should not, or did not what it should")
	}
	if r.SkipIfOutput() || !r.SkipIfErrorOutput("no such bill") {
		t.Error("SkipIfOutput takes an error for an output")
	}
	r.NextMessage().Contains("can't")
	r.None()

	r = ExpectItems(t, transfer()...)
	r.Skip(2)
	r.At(0).IsCall("transfer_to_specialist")
	r.At(-1).IsMessage("assistant").IsInterrupted()
	r.ContainsMessage("assistant").Contains("bill")
	r.ContainsCall("lookup")
	r.ContainsOutput("Connecting you now.")
	r.ContainsErrorOutput()
	r.Range(2, -1).ContainsHandoff("specialist")
	r.NextCall().IsCall("lookup")
	if r.Len() != 7 || len(r.Items()) != 7 {
		t.Errorf("the result has %d items", r.Len())
	}
	Expect(t, nil).None()
}

func TestAssertionsThatFail(t *testing.T) {
	tests := []struct {
		name   string
		do     func(r *Result)
		reason string
		marked string // the line with the mark, or "" for none
	}{
		{"none left", func(r *Result) { r.Skip(7); r.Next() }, "expected another item, but there is none left", "the end"},
		{"none left of the kind", func(r *Result) { r.Skip(3); r.NextHandoff() }, "expected another agent_handoff, but there is none left", "the end"},
		{"wrong kind", func(r *Result) { r.Next().IsMessage("assistant") }, "expected a message, got a function_call", transferList},
		{"wrong role", func(r *Result) { r.At(3).IsMessage("user") }, `expected a message of role "user", got role "assistant"`, `[3] message role=assistant text="Let's look at that bill, John."`},
		{"wrong call", func(r *Result) { r.Next().IsCall("transfer") }, `expected a call of "transfer", got one of "transfer_to_specialist"`, transferList},
		{"wrong argument", func(r *Result) { r.Next().IsCall("transfer_to_specialist", Args{"category": "general"}) }, `expected the argument "category" to be "general", got "billing"`, transferList},
		{"close numbers", func(r *Result) { r.Next().IsCall("transfer_to_specialist", Args{"big": int64(9007199254740992)}) }, `expected the argument "big" to be 9007199254740992, got 9007199254740993`, transferList},
		{"no argument", func(r *Result) { r.Next().IsCall("transfer_to_specialist", Args{"phone": 1}) }, `expected the argument "phone" to be 1, but there is none`, transferList},
		{"wrong output", func(r *Result) { r.At(1).IsOutput("Done.") }, `expected the output "Done.", got "Connecting you now."`, `[1] function_call_output name=transfer_to_specialist output="Connecting you now."`},
		{"an error", func(r *Result) { r.At(5).IsOutput() }, `expected an output, got the error "no such bill"`, `[5] function_call_output name=lookup output="no such bill" is_error`},
		{"no error", func(r *Result) { r.At(1).IsErrorOutput() }, `expected an error, got the output "Connecting you now."`, `[1] function_call_output name=transfer_to_specialist output="Connecting you now."`},
		{"from another agent", func(r *Result) { r.At(2).IsHandoff("a", "specialist") }, `expected a handoff from "a", got one from "intake"`, `[2] agent_handoff old="intake" new="specialist"`},
		{"to another agent", func(r *Result) { r.At(2).IsHandoff("intake", "b") }, `expected a handoff to "b", got one to "specialist"`, `[2] agent_handoff old="intake" new="specialist"`},
		{"not interrupted", func(r *Result) { r.At(3).IsInterrupted() }, "expected the message to be interrupted, but it was completed", `[3] message role=assistant text="Let's look at that bill, John."`},
		{"no text", func(r *Result) { r.At(6).Contains("can not") }, `expected "I can't" to contain "can not"`, `[6] message role=assistant text="I can't" interrupted`},
		{"other text", func(r *Result) { r.At(6).HasText("I") }, `expected the text "I", got "I can't"`, `[6] message role=assistant text="I can't" interrupted`},
		{"too few to skip", func(r *Result) { r.Skip(5); r.Skip(3) }, "tried to skip 3 items, but only 2 are left", `[5] function_call_output name=lookup output="no such bill" is_error`},
		{"out of range", func(r *Result) { r.At(7) }, "index 7 is out of range: there are 7 items", ""},
		{"below range", func(r *Result) { r.At(-8) }, "index -8 is out of range: there are 7 items", ""},
		{"no such range", func(r *Result) { r.Range(5, 3) }, "range 5 to 3 is out of range: there are 7 items", ""},
		{"more items", func(r *Result) { r.Skip(2); r.None() }, "expected no more items, but found an agent_handoff", `[2] agent_handoff old="intake" new="specialist"`},
		{"nothing in range", func(r *Result) { r.Range(1, 3).ContainsMessage("assistant") }, "no item from 1 to before 3 is the one; the last: expected a message, got an agent_handoff", ""},
		{"nothing at all", func(r *Result) { r.ContainsHandoff("b") }, "no item from 0 to before 7 is the one; the last: expected an agent_handoff, got a message", ""},
		{"one in range", func(r *Result) { r.Range(2, 3).ContainsHandoff("b") }, `the only item in the range is not the one: expected a handoff to "b", got one to "specialist"`, `[2] agent_handoff old="intake" new="specialist"`},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			got := failureOf(t, func(fake tb) { test.do(result(fake, transfer())) })
			reason, list := splitLine(got)
			if reason != "agenttest: "+test.reason {
				t.Errorf("the reason is\n%s\nwant\n%s", reason, "agenttest: "+test.reason)
			}
			if marked := markedLine(list); marked != test.marked {
				t.Errorf("marked is\n%s\nwant\n%s", marked, test.marked)
			}
		})
	}
}

func TestFailureText(t *testing.T) {
	got := failureOf(t, func(fake tb) { result(fake, transfer()[1:4]).Next().IsCall("lookup") })
	want := `agenttest: expected a function_call, got a function_call_output
items:
>>> [0] function_call_output name=transfer_to_specialist output="Connecting you now."
    [1] agent_handoff old="intake" new="specialist"
    [2] message role=assistant text="Let's look at that bill, John."`
	if got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
	got = failureOf(t, func(fake tb) { result(fake, nil).Next() })
	want = `agenttest: expected another item, but there is none left
items:
    nothing happened
>>> the end`
	if got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

func TestArgsOnBadJSON(t *testing.T) {
	for args, want := range map[string]string{
		`{"a":`:              "the arguments are not a JSON object: unexpected EOF",
		`{"a":1}`:            "",
		`{"a":1e0,"b":true}`: "",
		`{"a":1.5}`:          `expected the argument "a" to be 1, got 1.5`,
		`{"a":"1"}`:          `expected the argument "a" to be 1, got "1"`,
		``:                   `expected the argument "a" to be 1, but there is none`,
	} {
		if got := (Args{"a": 1}).mismatch(args); got != want {
			t.Errorf("%s: got %q, want %q", args, got, want)
		}
	}
}
