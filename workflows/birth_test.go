package workflows_test

import (
	"encoding/json"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/parley-voice/agents"
	"github.com/parley-voice/agents/agenttest"
	"github.com/parley-voice/agents/workflows"
)

// at sets the clock of the bubble to noon of a day.
func at(year int, month time.Month, day int) {
	time.Sleep(time.Until(time.Date(year, month, day, 12, 0, 0, 0, time.Local)))
}

// Core 86, on 15 June 2026.
func TestDateOfBirth(t *testing.T) {
	for _, tt := range []struct {
		year, month, day int
		want             string
	}{
		{90, 5, 4, "1990-05-04"},
		{5, 5, 4, "2005-05-04"},
		{0, 1, 1, "2000-01-01"},
		{26, 6, 14, "2026-06-14"},
		{27, 1, 1, "1927-01-01"},
		{99, 12, 31, "1999-12-31"},
		{1990, 5, 4, "1990-05-04"},
		{2005, 5, 4, "2005-05-04"},
		{1905, 5, 4, "1905-05-04"},
		{2024, 2, 29, "2024-02-29"},
		{2026, 6, 15, "2026-06-15"}, // today
	} {
		t.Run(fmt.Sprint(tt.year, tt.month, tt.day), func(t *testing.T) {
			agenttest.Run(t, func(t *testing.T) {
				at(2026, time.June, 15)
				got := typed(t, workflows.NewDateOfBirth(workflows.DateOfBirthOptions{}), "update_dob",
					fmt.Sprintf(`{"year":%d,"month":%d,"day":%d}`, tt.year, tt.month, tt.day))
				require.Equal(t, tt.want, got.String())
			})
		})
	}
}

func TestDateOfBirthThatCannotBeIsToldToTheModel(t *testing.T) {
	for _, tt := range []struct{ year, month, day int }{
		{2026, 6, 16}, {26, 6, 16}, {26, 12, 1}, {2027, 1, 1}, // in the future
		{2023, 2, 29}, {1990, 4, 31}, {1990, 0, 1}, {1990, 13, 1}, {1990, 1, 0}, {1990, 1, 32}, {1990, -1, 5}, // no such date
		{199, 1, 1}, {-5, 1, 1}, {100, 1, 1}, // no such year
	} {
		t.Run(fmt.Sprint(tt.year, tt.month, tt.day), func(t *testing.T) {
			agenttest.Run(t, func(t *testing.T) {
				at(2026, time.June, 15)
				refused(t, workflows.NewDateOfBirth(workflows.DateOfBirthOptions{}), "update_dob",
					fmt.Sprintf(`{"year":%d,"month":%d,"day":%d}`, tt.year, tt.month, tt.day)).IsErrorOutput()
			})
		})
	}
}

func withTime(o workflows.Options) *agents.AgentTask[workflows.DateOfBirth] {
	return workflows.NewDateOfBirth(workflows.DateOfBirthOptions{Options: o, IncludeTime: true})
}

const born = `{"year":1990,"month":5,"day":4}`

func TestTimeOfBirthIsAskedForOnlyIfWanted(t *testing.T) {
	agenttest.Run(t, func(t *testing.T) {
		llm := agenttest.NewLLM(t, asks().Times(2))
		agenttest.Start(t, agents.Options{LLM: llm}, workflows.NewDateOfBirth(workflows.DateOfBirthOptions{}))
		agenttest.Settle(t)
		agenttest.Start(t, agents.Options{LLM: llm}, withTime(workflows.Options{}))
		agenttest.Settle(t)
		require.NotContains(t, agenttest.ToolNames(llm.Requests()[0]), "update_time")
		require.Contains(t, agenttest.ToolNames(llm.Requests()[1]), "update_time")
	})
}

// Date and time come in either order, or at once; the task completes with the one that comes last.
func TestDateAndTimeOfBirth(t *testing.T) {
	for _, tt := range []struct {
		name         string
		first, other agenttest.Step // the first is empty if both come at once
		asked        string
		want         string
	}{
		{"time first", agenttest.OnUser("1").Call("update_time", `{"hour":16,"minute":5}`), agenttest.OnUser("2").Call("update_dob", born),
			"The date of birth is not known yet", "1990-05-04 16:05"},
		{"date first", agenttest.OnUser("1").Call("update_dob", born), agenttest.OnUser("2").Call("update_time", `{"hour":0,"minute":0}`),
			"Ask the user for the time of birth", "1990-05-04 00:00"},
		{"time not known", agenttest.OnUser("1").Call("update_dob", born), agenttest.OnUser("2").Call("update_time", `{"hour":null,"minute":null}`),
			"Ask the user for the time of birth", "1990-05-04"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			agenttest.Run(t, func(t *testing.T) {
				s := agenttest.Start(t, agents.Options{LLM: agenttest.NewLLM(t, asks(), tt.first,
					agenttest.When(func(r agents.ChatRequest) bool {
						_, ok := r.Context.Items()[len(r.Context.Items())-1].(*agents.FunctionCallOutput)
						return ok
					}).Say("And?"), tt.other)}, withTime(workflows.Options{}))
				agenttest.Settle(t)
				r := s.User("1")
				r.ContainsOutput().Contains(tt.asked)
				require.Equal(t, tt.want, get[workflows.DateOfBirth](t, s, agents.ModalityText, "2").String())
			})
		})
	}
}

func TestDateAndTimeOfBirthAtOnce(t *testing.T) {
	agenttest.Explore(t, 20, func(t *testing.T) {
		s := agenttest.Start(t, agents.Options{LLM: agenttest.NewLLM(t, asks(),
			agenttest.OnUser("both").Call("update_dob", born).Call("update_time", `{"hour":16,"minute":5}`))}, withTime(workflows.Options{}))
		agenttest.Settle(t)
		require.Equal(t, "1990-05-04 16:05", get[workflows.DateOfBirth](t, s, agents.ModalityText, "both").String())
	})
}

func TestSpokenDateAndTimeOfBirthAreConfirmedTogether(t *testing.T) {
	agenttest.Run(t, func(t *testing.T) {
		s := agenttest.Start(t, agents.Options{LLM: agenttest.NewLLM(t, asks(),
			agenttest.OnUser("1").Call("update_time", `{"hour":16,"minute":5}`),
			agenttest.OnUser("Yes").Call("confirm_dob", `{}`).Times(2),
			agenttest.OnOutput("confirm_dob").Say("And the date?"),
			agenttest.OnUser("2").Call("update_dob", born),
			agenttest.When(func(agents.ChatRequest) bool { return true }).Say("Hm?").Times(2))}, withTime(workflows.Options{}))
		agenttest.Settle(t)
		for _, text := range []string{"1", "Yes", "2"} {
			r, err := say(t, s, agents.ModalityAudio, text)
			require.NoError(t, err)
			_, done := r.Output()
			require.False(t, done, text)
			if text == "2" {
				agenttest.Expect(t, r).ContainsOutput().Contains("May 4, 1990, at 16:05")
			}
		}
		got := get[workflows.DateOfBirth](t, s, agents.ModalityAudio, "Yes")
		require.Equal(t, workflows.DateOfBirth{Year: 1990, Month: time.May, Day: 4,
			Time: workflows.TimeOfDay{Hour: 16, Minute: 5, Known: true}}, got)
	})
}

func TestTimeOfBirthThatCannotBeIsToldToTheModel(t *testing.T) {
	for _, args := range []string{`{"hour":24,"minute":0}`, `{"hour":-1,"minute":0}`, `{"hour":1,"minute":60}`, `{"hour":1}`, `{"minute":1}`} {
		t.Run(args, func(t *testing.T) {
			agenttest.Run(t, func(t *testing.T) {
				refused(t, withTime(workflows.Options{}), "update_time", args).IsErrorOutput()
			})
		})
	}
}

func TestDateOfBirthAsJSON(t *testing.T) {
	for _, tt := range []struct {
		d    workflows.DateOfBirth
		want string
	}{
		{workflows.DateOfBirth{Year: 1990, Month: time.May, Day: 4}, `{"year":1990,"month":5,"day":4}`},
		{workflows.DateOfBirth{Year: 1990, Month: time.May, Day: 4, Time: workflows.TimeOfDay{Known: true}},
			`{"year":1990,"month":5,"day":4,"time":"00:00"}`},
	} {
		b, err := json.Marshal(tt.d)
		require.NoError(t, err)
		require.Equal(t, tt.want, string(b))
		var back workflows.DateOfBirth
		require.NoError(t, json.Unmarshal(b, &back))
		require.Equal(t, tt.d, back)
	}
	var at workflows.TimeOfDay
	require.Error(t, at.UnmarshalText([]byte("25:00")))
}
