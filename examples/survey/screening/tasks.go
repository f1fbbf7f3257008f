package screening

import (
	"context"
	"sync"

	"github.com/parley-voice/agents"
	"github.com/parley-voice/agents/workflows"
)

// persona is how every task begins.
const persona = "You screen candidates for a job as a software engineer, in a friendly conversation of a few minutes. Speak in " +
	"one or two short sentences. You are at one question of several; leave the others for later. "

// newTask makes a task that asks when it takes the floor, unless the answer is known.
func newTask[R any](id, instructions, ask string) *agents.AgentTask[R] {
	t := agents.NewTask[R](persona + instructions)
	t.ID = id
	t.Tools = []agents.Tool{disqualify}
	t.OnEnter = func(ctx context.Context, s *agents.AgentSession) error {
		return s.GenerateReply(agents.Reply{Instructions: ask + " If they have just said so, record it instead of asking."}).Wait(ctx)
	}
	return t
}

func newIntroTask() *agents.AgentTask[introduction] {
	t := newTask[introduction]("intro", "Learn the candidate's name and a little about them.",
		"Welcome the candidate, and ask them for their name and to introduce themselves.")
	t.Submit = &agents.Submit[introduction]{Name: "record_intro", Description: "Record the name and the introduction."}
	return t
}

func newEmailTask() *agents.AgentTask[workflows.Email] {
	return workflows.NewEmail(workflows.EmailOptions{Options: workflows.Options{
		Persona: persona + "Get the candidate's email address.",
		Tools:   []agents.Tool{disqualify},
	}})
}

func newCommuteTask() *agents.AgentTask[commute] {
	t := newTask[commute]("commute", "The job is in the office three days a week. Learn whether and how the candidate can come.",
		"Ask whether they can come to the office three days a week, and how they would.")
	t.Submit = &agents.Submit[commute]{
		Name:        "record_commute_flexibility",
		Description: "Record whether and how the candidate can come to the office.",
		Validate: func(_ context.Context, c commute) error {
			if c.CanCommute == (c.Method == "none") {
				return agents.Errorf("Those who can come need a way to, and those who cannot have none. Ask the candidate.")
			}
			return nil
		},
	}
	return t
}

func newExperienceTask() *agents.AgentTask[experience] {
	t := newTask[experience]("experience", "Learn how long the candidate has worked as a software engineer, and on what.",
		"Ask how many years of experience they have, and what they worked on.")
	t.Submit = &agents.Submit[experience]{Name: "record_experience", Description: "Record the candidate's experience."}
	return t
}

// newBehaviorTask is completed by three tools, which may be called in any order, at once or again.
func newBehaviorTask() *agents.AgentTask[behavior] {
	t := newTask[behavior]("behavior", "Learn the candidate's strengths, their weaknesses, and whether they rather work "+
		"on their own or in a team. Record each as soon as you know it, and ask for what is missing.",
		"Ask what they are good at, as a first question.")
	var mu sync.Mutex
	var b behavior
	note := func(run *agents.RunContext[*interview], change func()) (any, error) {
		mu.Lock()
		change()
		mu.Unlock()
		// Calls that the model makes at once run at once. After a round trip to the session each has noted its part, and
		// none asks for a part that another one has.
		run.Session().AgentState()
		mu.Lock()
		known := b
		mu.Unlock()
		if known.Strengths == nil || known.Weaknesses == nil || known.WorkStyle == "" {
			return "Recorded. Ask for the rest.", nil
		}
		t.Complete(known) // unless another call was first
		return nil, nil
	}
	t.Tools = append(t.Tools,
		agents.NewTool("record_strengths", "Record what the candidate is good at.",
			func(_ context.Context, run *agents.RunContext[*interview], in struct {
				Strengths []string `json:"strengths" jsonschema:"each in a few words"`
			}) (any, error) {
				return note(run, func() { b.Strengths = in.Strengths })
			}),
		agents.NewTool("record_weaknesses", "Record what the candidate is not so good at.",
			func(_ context.Context, run *agents.RunContext[*interview], in struct {
				Weaknesses []string `json:"weaknesses" jsonschema:"each in a few words"`
			}) (any, error) {
				return note(run, func() { b.Weaknesses = in.Weaknesses })
			}),
		agents.NewTool("record_work_style", "Record how the candidate likes to work.",
			func(_ context.Context, run *agents.RunContext[*interview], in struct {
				WorkStyle string `json:"work_style" enum:"independent,team_player"`
			}) (any, error) {
				return note(run, func() { b.WorkStyle = in.WorkStyle })
			}))
	return t
}
