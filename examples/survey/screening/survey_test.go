package screening

import (
	"context"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/parley-voice/agents"
	"github.com/parley-voice/agents/agenttest"
	"github.com/parley-voice/agents/examples/internal/console/consoletest"
	"github.com/parley-voice/agents/workflows"
)

func TestDemo(t *testing.T) { consoletest.Demo(t, Program(new(string))) }

func TestTasksFitTheInterview(t *testing.T) {
	iv := newInterview("")
	require.NoError(t, agents.Check(options(iv), newInterviewer(), newScreening(iv), newIntroTask(), newEmailTask(),
		newCommuteTask(), newExperienceTask(), newBehaviorTask(), newEvaluation("")))
}

// What the model does in a screening in which each question is answered at once.
var (
	asksIntro = agenttest.OnInstructions("Welcome the candidate").Say("Welcome! Who are you?")
	intro     = agenttest.OnUser("I'm Ines.").Call("record_intro", `{"name":"Ines","intro_notes":"builds boats"}`)

	asksEmail = agenttest.OnInstructions("Ask the user for their email address").Say("Your email address?")
	email     = agenttest.OnUser("ines@example.com").Call("update_email_address", `{"email":"ines@example.com"}`)

	asksCommute = agenttest.OnInstructions("Ask whether they can come").Say("Can you come to the office?")
	bus         = agenttest.OnUser("By bus.").Call("record_commute_flexibility", `{"can_commute":true,"commute_method":"bus"}`)

	asksExperience = agenttest.OnInstructions("Ask how many years").Say("Your experience?")
	sixYears       = agenttest.OnUser("Six years.").Call("record_experience", `{"years_of_experience":6,"experience_description":"payments"}`)

	asksBehavior = agenttest.OnInstructions("Ask what they are good at").Say("What are you good at?")
	allThree     = agenttest.OnUser("Bugs, not noes, in teams.").
			Call("record_strengths", `{"strengths":["bugs"]}`).
			Call("record_weaknesses", `{"weaknesses":["saying no"]}`).
			Call("record_work_style", `{"work_style":"team_player"}`)

	wholeScreening = []agenttest.Step{asksIntro, intro, asksEmail, email, asksCommute, bus, asksExperience, sixYears, asksBehavior, allThree}
	sumsUp         = agenttest.OnInstructions("You keep the memory").Say("Ines can do it.")
	evaluates      = agenttest.OnInstructions("Ines can do it.").Call("submit_evaluation", `{"fit":true,"reason":"she can"}`)
	thanks         = agenttest.OnInstructions("Thank the candidate").Say("Thank you! Any question?")
)

var answers = []string{"I'm Ines.", "ines@example.com", "By bus.", "Six years.", "Bugs, not noes, in teams."}

var everything = map[string]any{
	"get_name_intro_task": introduction{Name: "Ines", Notes: "builds boats"},
	"get_email_task":      workflows.Email{Address: "ines@example.com"},
	"commute_task":        commute{CanCommute: true, Method: "bus"},
	"experience_task":     experience{Years: 6, Description: "payments"},
	"behavorial_task":     behavior{Strengths: []string{"bugs"}, Weaknesses: []string{"saying no"}, WorkStyle: "team_player"},
}

// begin starts a session with an activity that asks at once.
func begin(t *testing.T, iv *interview, first agents.Activity, steps ...agenttest.Step) (*agenttest.Session, *agenttest.LLM) {
	llm := agenttest.NewLLM(t, steps...)
	opts := options(iv)
	opts.LLM = llm
	s, _ := agenttest.StartRun(t, opts, first)
	return s, llm
}

// result runs a turn that must complete a task, and returns what it came to.
func result[R any](t *testing.T, s *agenttest.Session, text string) R {
	t.Helper()
	r, err := s.RunWith(t.Context(), agents.RunOptions{Text: text, Output: agents.OutputOf[R]()})
	require.NoError(t, err)
	v, err := agents.FinalOutput[R](r)
	require.NoError(t, err)
	return v
}

func TestIntro(t *testing.T) {
	agenttest.Run(t, func(t *testing.T) {
		s, _ := begin(t, newInterview(""), newIntroTask(), asksIntro, intro)
		require.Equal(t, everything["get_name_intro_task"], result[introduction](t, s, "I'm Ines."))
	})
}

func TestCommute(t *testing.T) {
	agenttest.Run(t, func(t *testing.T) {
		s, _ := begin(t, newInterview(""), newCommuteTask(), asksCommute,
			agenttest.OnUser("I can't.").Call("record_commute_flexibility", `{"can_commute":false,"commute_method":"subway"}`),
			agenttest.OnOutput("record_commute_flexibility").Say("Not even by subway?"),
			agenttest.OnUser("By boat.").Call("record_commute_flexibility", `{"can_commute":true,"commute_method":"boat"}`),
			agenttest.OnOutput("record_commute_flexibility").Say("What else?"),
			agenttest.OnUser("Nothing.").Call("record_commute_flexibility", `{"can_commute":false,"commute_method":"none"}`))
		s.User("I can't.").NextOutput().IsErrorOutput().Contains("those who cannot have none")
		s.User("By boat.").NextOutput().IsErrorOutput().Contains("commute_method")
		require.Equal(t, commute{Method: "none"}, result[commute](t, s, "Nothing."))
	})
}

func TestExperience(t *testing.T) {
	agenttest.Run(t, func(t *testing.T) {
		s, _ := begin(t, newInterview(""), newExperienceTask(), asksExperience, sixYears)
		require.Equal(t, 6, result[experience](t, s, "Six years.").Years)
	})
}

func TestBehaviorIsCompleteWithAllThree(t *testing.T) {
	agenttest.Run(t, func(t *testing.T) {
		s, _ := begin(t, newInterview(""), newBehaviorTask(), asksBehavior,
			agenttest.OnUser("In teams.").Call("record_work_style", `{"work_style":"team_player"}`),
			agenttest.OnOutput("record_work_style").Say("Your strengths?"),
			agenttest.OnUser("Bugs.").Call("record_strengths", `{"strengths":["bugs"]}`),
			agenttest.OnOutput("record_strengths").Say("And weaknesses?"),
			agenttest.OnUser("Saying no.").Call("record_weaknesses", `{"weaknesses":["saying no"]}`))
		for _, text := range []string{"In teams.", "Bugs."} {
			r := s.User(text)
			r.NextOutput().IsOutput("Recorded. Ask for the rest.")
			_, done := r.Output()
			require.False(t, done)
		}
		require.Equal(t, everything["behavorial_task"], result[behavior](t, s, "Saying no."))
	})
}

// Of three calls at once none has the model ask for what another one brings.
func TestBehaviorAtOnce(t *testing.T) {
	agenttest.Explore(t, 30, func(t *testing.T) {
		s, _ := begin(t, newInterview(""), newBehaviorTask(), asksBehavior, allThree)
		require.Equal(t, everything["behavorial_task"], result[behavior](t, s, "Bugs, not noes, in teams."))
	})
}

func TestScreening(t *testing.T) {
	agenttest.Run(t, func(t *testing.T) {
		iv := newInterview("")
		g := newScreening(iv)
		g.Summary = agents.Off
		var order []string
		note := g.OnTaskCompleted
		g.OnTaskCompleted = func(ctx context.Context, e agents.TaskCompleted) error {
			order = append(order, e.ID)
			return note(ctx, e)
		}
		s, _ := begin(t, iv, g, wholeScreening...)
		floor := []string{s.Agent()}
		for _, text := range answers[:4] {
			s.User(text)
			floor = append(floor, s.Agent())
		}
		require.Equal(t, everything, result[*agents.GroupResult](t, s, answers[4]).Results)
		require.Equal(t, []string{"intro", "email", "commute", "experience", "behavior"}, floor)
		require.Equal(t, []string{"get_name_intro_task", "get_email_task", "commute_task", "experience_task", "behavorial_task"}, order)
		require.Equal(t, everything, iv.taskResults())
		require.Equal(t, "Ines", iv.candidate)
	})
}

func TestGoingBack(t *testing.T) {
	agenttest.Run(t, func(t *testing.T) {
		iv := newInterview("")
		g := newScreening(iv)
		g.Summary = agents.Off
		completed := map[string]int{}
		note := g.OnTaskCompleted
		g.OnTaskCompleted = func(ctx context.Context, e agents.TaskCompleted) error {
			completed[e.ID]++
			return note(ctx, e)
		}
		s, llm := begin(t, iv, g, asksIntro, intro, asksEmail, email, asksCommute, bus, asksExperience,
			agenttest.OnUser("Not by bus, and write to duarte@example.com.").Call("out_of_scope", `{"task_ids":["commute_task","get_email_task"]}`),
			asksCommute,
			agenttest.OnUser("I cannot come.").Call("record_commute_flexibility", `{"can_commute":false,"commute_method":"none"}`),
			// The address is in the conversation already.
			agenttest.OnInstructions("Ask the user for their email address").Call("update_email_address", `{"email":"duarte@example.com"}`),
			asksExperience, sixYears, asksBehavior, allThree)
		for _, text := range answers[:3] {
			s.User(text)
		}
		requests := llm.Requests()
		require.NotContains(t, agenttest.ToolNames(requests[0]), "out_of_scope")

		r := s.User("Not by bus, and write to duarte@example.com.")
		r.Next().IsCall("out_of_scope")
		r.Next().IsOutput("")
		r.Next().IsHandoff("experience", "screening")
		r.Next().IsHandoff("screening", "commute")
		r.Next().IsMessage("assistant")
		r.None()

		r = s.User("I cannot come.")
		r.NextHandoff().IsHandoff("commute", "screening")
		r.Next().IsHandoff("screening", "email")
		r.Next().IsCall("update_email_address")
		r.Next().IsOutput("")
		r.NextHandoff().IsHandoff("email", "screening")
		r.Next().IsHandoff("screening", "experience")
		r.Next().IsMessage("assistant")
		r.None()

		s.User("Six years.")
		res := result[*agents.GroupResult](t, s, answers[4]).Results
		require.Equal(t, commute{Method: "none"}, res["commute_task"])
		require.Equal(t, workflows.Email{Address: "duarte@example.com"}, res["get_email_task"])
		require.Equal(t, res, iv.taskResults())
		require.Equal(t, map[string]int{"get_name_intro_task": 1, "get_email_task": 2, "commute_task": 2,
			"experience_task": 1, "behavorial_task": 1}, completed)
	})
}
