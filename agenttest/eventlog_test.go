package agenttest

import (
	"errors"
	"testing"
	"time"

	"github.com/parley-voice/agents"
)

func TestEventLogHasNoIDsOfItsRun(t *testing.T) {
	l := newEventLog()
	at := func(n uint64, d time.Duration) agents.EventMeta {
		return agents.EventMeta{Seq: n, At: l.begin.Add(d)}
	}
	call := &agents.FunctionCall{ItemMeta: agents.ItemMeta{ID: "item_4711"}, CallID: "c_9f", Name: "lookup", Arguments: `{"n":1}`}
	for _, e := range []agents.Event{
		&agents.AgentStateChanged{EventMeta: at(1, 0), Old: agents.AgentListening, New: agents.AgentThinking},
		&agents.AgentOutput{EventMeta: at(2, 1500*time.Millisecond), SpeechID: "sp_b2", Text: "Hm."},
		&agents.AgentOutput{EventMeta: at(3, 1500*time.Millisecond), SpeechID: "sp_a1", Final: true},
		&agents.ToolStarted{EventMeta: at(4, 2*time.Second), Call: call},
		&agents.ToolUpdated{EventMeta: at(5, 3*time.Second), ID: "c_9f_update_1", CallID: "c_9f", Message: "still on it"},
		&agents.ToolsExecuted{EventMeta: at(6, time.Hour), Calls: []*agents.FunctionCall{call, {CallID: "x", Name: "b"}},
			Outputs: []*agents.FunctionCallOutput{{CallID: "c_9f", Output: "one"}, {CallID: "x", Output: "bad", IsError: true}}, Reply: true},
		&agents.ToolReplyUpdated{EventMeta: at(7, time.Hour), IDs: []string{"c_9f", "c_9f_final"}, Status: agents.ToolReplyScheduled, SpeechID: "sp_b2"},
		&agents.ItemAdded{EventMeta: at(8, time.Hour), Item: message(agents.RoleUser, "so?")},
		&agents.LLMMetrics{EventMeta: at(9, time.Hour), TTFT: 300 * time.Millisecond, Usage: agents.LLMUsage{PromptTokens: 3, TotalTokens: 4}},
		&agents.UsageUpdated{EventMeta: at(10, time.Hour), Usage: []agents.ModelUsage{{Kind: "llm", Requests: 1}, {Kind: "llm", Requests: 2}}},
		&agents.ErrorOccurred{EventMeta: at(11, time.Hour), Err: errors.New("no \"way\""), Source: "OnEnter"},
		&agents.Gap{EventMeta: at(12, time.Hour), Dropped: 3},
	} {
		l.add(e)
	}
	want := `  1    0.000s AgentStateChanged Old=listening New=thinking
  2    1.500s AgentOutput SpeechID=speech#1 Text="Hm."
  3    1.500s AgentOutput SpeechID=speech#2 Final
  4    2.000s ToolStarted Call=call#1:lookup({"n":1})
  5    3.000s ToolUpdated ID=call#1_update_1 CallID=call#1 Message="still on it"
  6 3600.000s ToolsExecuted Calls=call#1:lookup({"n":1}),call#2:b() Outputs=call#1:"one",call#2:error:"bad" Reply
  7 3600.000s ToolReplyUpdated IDs=call#1,call#1_final Status=scheduled SpeechID=speech#1
  8 3600.000s ItemAdded Item=message role=user text="so?"
  9 3600.000s LLMMetrics TTFT=300ms Usage={PromptTokens=3,TotalTokens=4}
 10 3600.000s UsageUpdated Usage={Kind=llm,Requests=1},{Kind=llm,Requests=2}
 11 3600.000s ErrorOccurred Err="no \"way\"" Source=OnEnter
 12 3600.000s Gap Dropped=3
`
	if got := l.text(); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}
