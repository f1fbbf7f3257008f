package screening

import (
	"context"

	"github.com/parley-voice/agents"
)

// disqualify is for every task. It ends the screening: the session closes once the candidate was told why.
var disqualify = agents.NewTool("disqualify",
	"End the screening, because the candidate refuses to answer, answers improperly or cannot do the job.",
	func(ctx context.Context, run *agents.RunContext[*interview], in struct {
		Reason string `json:"reason" jsonschema:"why, in a few words"`
	}) (any, error) {
		run.UserData.disqualify(in.Reason)
		s := run.Session()
		s.GenerateReply(agents.Reply{Instructions: "Tell the candidate, in a kind way, that the screening ends here, because: " + in.Reason})
		return nil, s.Shutdown(ctx)
	}, agents.ToolOptions{IgnoreOnEnter: true})

// endScreening is for the end. The session closes once the farewell was said.
var endScreening = agents.NewTool("end_screening", "End the conversation, after saying goodbye.",
	func(ctx context.Context, run *agents.RunContext[*interview], _ struct{}) (any, error) {
		return nil, run.Session().Shutdown(ctx)
	})
