package screening

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/parley-voice/agents/agenttest"
)

const (
	headings = "name,introduction,email,commute,years,experience,strengths,weaknesses,work style,fit,evaluation,disqualified\n"
	row      = "Ines,builds boats,ines@example.com,bus,6,payments,bugs,saying no,team_player,yes,she can,\n"
)

func read(t *testing.T, file string) string {
	b, err := os.ReadFile(file)
	require.NoError(t, err)
	return string(b)
}

func TestWholeInterview(t *testing.T) {
	agenttest.Run(t, func(t *testing.T) {
		iv := newInterview(filepath.Join(t.TempDir(), "answers.csv"))
		s, llm := begin(t, iv, newInterviewer(), append(wholeScreening, sumsUp, evaluates, thanks,
			agenttest.OnUser("No, thanks.").Say("Goodbye!").Call("end_screening", `{}`))...)
		for _, text := range answers[:4] {
			s.User(text)
		}
		r := s.User(answers[4])
		r.NextHandoff().IsHandoff("behavior", "screening")
		r.Next().IsHandoff("screening", "interviewer")
		r.Next().IsHandoff("interviewer", "evaluation")
		r.Next().IsCall("submit_evaluation")
		r.Next().IsOutput("")
		r.Next().IsHandoff("evaluation", "interviewer")
		r.Next().IsMessage("assistant").HasText("Thank you! Any question?")
		r.None()

		// The model that evaluates reads the summary, and the one that talks on does not know the evaluation.
		requests := llm.Requests()
		n := len(requests)
		require.Equal(t, "submit_evaluation", requests[n-2].ToolChoice.Name())
		require.Contains(t, requests[n-1].Context.Transcript(), "Ines can do it.")
		require.NotContains(t, requests[n-1].Context.Transcript(), "she can")
		require.NoFileExists(t, iv.file)

		s.User("No, thanks.")
		require.NoError(t, s.Wait())
		require.Equal(t, headings+row, read(t, iv.file))
		require.Contains(t, iv.String(), "evaluation: she can\nadded to ")
	})
}

func TestWithoutAnEvaluation(t *testing.T) {
	agenttest.Run(t, func(t *testing.T) {
		iv := newInterview("")
		s, _ := begin(t, iv, newInterviewer(), append(wholeScreening, sumsUp,
			agenttest.OnInstructions("Ines can do it.").Empty(), thanks)...)
		for _, text := range answers[:4] {
			s.User(text)
		}
		s.User(answers[4]).At(-1).HasText("Thank you! Any question?")
		require.Equal(t, "Ines,builds boats,ines@example.com,bus,6,payments,bugs,saying no,team_player,,,\n", string(iv.csv(false)))
	})
}

func TestDisqualified(t *testing.T) {
	for _, tt := range []struct {
		name  string
		steps []agenttest.Step
		says  []string
		row   string
	}{
		{"at the first question", []agenttest.Step{asksIntro}, nil, ",,,,,,,,,,,does not say\n"},
		{"at a ready-made task", []agenttest.Step{asksIntro, intro, asksEmail}, answers[:1], "Ines,builds boats,,,,,,,,,,does not say\n"},
		{"later", []agenttest.Step{asksIntro, intro, asksEmail, email, asksCommute}, answers[:2],
			"Ines,builds boats,ines@example.com,,,,,,,,,does not say\n"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			agenttest.Run(t, func(t *testing.T) {
				iv := newInterview(filepath.Join(t.TempDir(), "answers.csv"))
				s, _ := begin(t, iv, newInterviewer(), append(tt.steps,
					agenttest.OnUser("None of your business.").Call("disqualify", `{"reason":"does not say"}`),
					agenttest.OnInstructions("the screening ends here, because: does not say").Say("Then we stop here. Goodbye."))...)
				for _, text := range tt.says {
					s.User(text)
				}
				r := s.User("None of your business.")
				r.Next().IsCall("disqualify")
				r.ContainsMessage("assistant").HasText("Then we stop here. Goodbye.")
				require.NoError(t, s.Wait())
				require.Equal(t, headings+tt.row, read(t, iv.file))
			})
		})
	}
}

// What is known of a candidate who leaves in the middle is kept, and a file may have many candidates.
func TestRows(t *testing.T) {
	file := filepath.Join(t.TempDir(), "answers.csv")
	for range 2 {
		agenttest.Run(t, func(t *testing.T) {
			s, _ := begin(t, newInterview(file), newInterviewer(), asksIntro, intro, asksEmail)
			s.User("I'm Ines.")
			require.NoError(t, s.Close())
		})
	}
	require.Equal(t, headings+"Ines,builds boats,,,,,,,,,,\nInes,builds boats,,,,,,,,,,\n", read(t, file))
}

func TestRowsThatCannotBeSaved(t *testing.T) {
	iv := newInterview(filepath.Join(t.TempDir(), "no", "answers.csv"))
	require.ErrorIs(t, iv.save(), os.ErrNotExist)
	require.Contains(t, iv.String(), "not saved: ")
}
