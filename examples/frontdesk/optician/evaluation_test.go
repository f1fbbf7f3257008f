package optician

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/parley-voice/agents"
	"github.com/parley-voice/agents/agenttest"
)

// verdict is the answer of the judge whose instructions contain text.
func verdict(text string, v agenttest.Verdict, why string) agenttest.Step {
	return agenttest.OnInstructions(text).Call("submit_verdict", `{"verdict":"`+string(v)+`","reasoning":"`+why+`"}`)
}

// A call is judged as a whole once it is over. With a real model as the judges' LLM this is how calls are evaluated;
// here the judges are scripted too.
func TestCallIsJudged(t *testing.T) {
	agenttest.Run(t, func(t *testing.T) {
		s, d, _ := atEmail(t, smallCalendar(atTen, atTwo, atFour),
			agenttest.OnUser("theo@example.com").Call("update_email_address", `{"email":"theo@example.com"}`),
			agenttest.OnOutput("schedule_appointment").Say("You are booked for tomorrow at 2 PM."))
		s.User("theo@example.com")
		require.NoError(t, s.Close())
		ok, _ := d.outcome()
		require.True(t, ok)

		judges := agenttest.NewLLM(t,
			verdict("The instructions of the assistant", agenttest.Pass, "the appointment was made"),
			verdict("offers a time that is not free", agenttest.Pass, "all three were"),
			agenttest.Any().Call("submit_verdict", `{"verdict":"pass","reasoning":"fine"}`).Times(6),
			agenttest.Any().Call("submit_verdict", `{"verdict":"maybe","reasoning":"hard to say"}`))
		group := agenttest.JudgeGroup{LLM: judges, Judges: []agenttest.Judge{
			agenttest.TaskCompletionJudge(nil), agenttest.AccuracyJudge(nil), agenttest.ToolUseJudge(nil), agenttest.HandoffJudge(nil),
			agenttest.SafetyJudge(nil), agenttest.RelevancyJudge(nil), agenttest.CoherenceJudge(nil), agenttest.ConcisenessJudge(nil),
			agenttest.NewJudge("offers", nil, "Fail it if the assistant offers a time that is not free."),
		}}
		result := group.Evaluate(t.Context(), s.History(), nil)
		require.NoError(t, result.Err)
		require.True(t, result.NoneFailed())
		require.True(t, result.MajorityPassed())
		require.Len(t, result.Judgments, 9)
		require.Equal(t, agenttest.Judgment{Judge: "offers", Verdict: agenttest.Pass, Reasoning: "all three were",
			Instructions: "Fail it if the assistant offers a time that is not free."}, result.Judgments[8])

		// Every judge reads the whole call.
		for _, r := range judges.Requests() {
			seen := r.Context.At(-1).(*agents.ChatMessage).Text()
			require.Contains(t, seen, "schedule_appointment")
			require.Contains(t, seen, "theo@example.com")
			require.Contains(t, seen, "You are booked for tomorrow at 2 PM.")
		}
	})
}
