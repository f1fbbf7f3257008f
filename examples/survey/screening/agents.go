package screening

import (
	"context"
	"errors"

	"github.com/parley-voice/agents"
)

// options are those of a session of the survey.
func options(iv *interview) agents.Options { return agents.Options{UserData: iv} }

// newInterviewer is the agent that has the questions asked, evaluates the answers and says goodbye.
func newInterviewer() *agents.Agent {
	a := &agents.Agent{
		ID: "interviewer",
		Instructions: "You have screened a candidate for a job as a software engineer. The screening is over. Answer what the candidate " +
			"still wants to know, without saying how they did; they hear from the company within a week. Then say goodbye and call " +
			"end_screening.",
		Tools: []agents.Tool{endScreening},
		OnExit: func(_ context.Context, s *agents.AgentSession) error {
			iv, err := agents.UserData[*interview](s)
			if err != nil {
				return err
			}
			return iv.save() // also when the candidate left in the middle
		},
	}
	a.OnEnter = func(ctx context.Context, s *agents.AgentSession) error {
		iv, err := agents.UserData[*interview](s)
		if err != nil {
			return err
		}
		screening, err := newScreening(iv).Run(ctx)
		if err != nil {
			return err
		}
		e, err := newEvaluation(screening.Summary).Run(ctx)
		if err == nil {
			iv.evaluated(e)
		}
		return errors.Join(err, s.GenerateReply(agents.Reply{
			Instructions: "Thank the candidate, say that the screening is over, and ask whether they have a question.",
			ToolChoice:   agents.NoTools,
		}).Wait(ctx))
	}
	return a
}

// newScreening is the group of the questions. The results go to the interview as they come.
func newScreening(iv *interview) *agents.TaskGroup {
	g := &agents.TaskGroup{ID: "screening", OnTaskCompleted: func(_ context.Context, e agents.TaskCompleted) error {
		iv.completed(e)
		return nil
	}}
	agents.AddTask(g, "get_name_intro_task", "Collects the name and an introduction", newIntroTask)
	agents.AddTask(g, "get_email_task", "Collects the email address", newEmailTask)
	agents.AddTask(g, "commute_task", "Asks whether and how they can come to the office", newCommuteTask)
	agents.AddTask(g, "experience_task", "Collects years and kind of experience", newExperienceTask)
	agents.AddTask(g, "behavorial_task", "Collects strengths, weaknesses and work style", newBehaviorTask)
	return g
}

// newEvaluation is a task that talks to nobody: the model reads the summary and submits what it thinks.
func newEvaluation(summary string) *agents.AgentTask[evaluation] {
	t := agents.NewTask[evaluation]("You decide whether a candidate for a job as a software engineer is invited to the next round. " +
		"Take the candidate as a whole, and be concise and firm. This is a summary of the screening:\n\n" + summary)
	t.ID = "evaluation"
	t.Submit = &agents.Submit[evaluation]{Name: "submit_evaluation", Description: "Submit what you think of the candidate."}
	t.OnEnter = func(ctx context.Context, s *agents.AgentSession) error {
		err := s.GenerateReply(agents.Reply{ToolChoice: agents.CallTool(t.Submit.Name)}).Wait(ctx)
		if err == nil {
			err = errors.New("the model did not evaluate the candidate")
		}
		t.Fail(err) // unless it did
		return nil
	}
	return t
}
