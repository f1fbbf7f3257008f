package workflows_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/parley-voice/agents"
	"github.com/parley-voice/agents/agenttest"
	"github.com/parley-voice/agents/workflows"
)

const allParts = workflows.FirstName | workflows.MiddleName | workflows.LastName

func TestNameHasThePartsThatWereAskedFor(t *testing.T) {
	for _, tt := range []struct {
		name  string
		parts workflows.NameParts
		args  string
		want  workflows.Name
	}{
		{"first by default", 0, `{"first_name":"Ann","last_name":"Lee"}`, workflows.Name{First: "Ann"}},
		{"full", workflows.FullName, `{"first_name":"Ann","middle_name":"B.","last_name":"Lee"}`, workflows.Name{First: "Ann", Last: "Lee"}},
		{"last", workflows.LastName, `{"first_name":"null","last_name":"O'Neil"}`, workflows.Name{Last: "O'Neil"}},
		{"all", allParts, `{"first_name":"Ann","middle_name":"Bea","last_name":"Lee"}`, workflows.Name{First: "Ann", Middle: "Bea", Last: "Lee"}},
		{"trimmed and unquoted", workflows.FullName, `{"first_name":" \"Ann\" ","last_name":"“ Lee ”"}`, workflows.Name{First: "Ann", Last: "Lee"}},
		{"other scripts", workflows.FullName, `{"first_name":"明","last_name":"Мир"}`, workflows.Name{First: "明", Last: "Мир"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			agenttest.Run(t, func(t *testing.T) {
				require.Equal(t, tt.want, typed(t, workflows.NewName(workflows.NameOptions{Parts: tt.parts}), "update_name", tt.args))
			})
		})
	}
}

func TestNameThatLacksPartsIsToldToTheModelInOneError(t *testing.T) {
	for _, tt := range []struct{ args, want string }{
		{`{}`, "the first name is missing, the middle name is missing, the last name is missing"},
		{`{"first_name":"N/A","middle_name":"None","last_name":" unknown "}`, "the first name is missing, the middle name is missing, the last name is missing"},
		{`{"first_name":"null","middle_name":"nil","last_name":"'unspecified'"}`, "the first name is missing, the middle name is missing, the last name is missing"},
		{`{"first_name":"Ann","middle_name":"42","last_name":"\"\""}`, "the middle name has no letter in it, the last name is missing"},
	} {
		t.Run(tt.args, func(t *testing.T) {
			agenttest.Run(t, func(t *testing.T) {
				refused(t, workflows.NewName(workflows.NameOptions{Parts: allParts}), "update_name", tt.args).IsErrorOutput().Contains(tt.want)
			})
		})
	}
}

func TestNameIsReadBackInItsFormat(t *testing.T) {
	agenttest.Run(t, func(t *testing.T) {
		llm := agenttest.NewLLM(t, agenttest.OnInstructions("their last name and first name").Say("Name?"),
			agenttest.OnUser("here").Call("update_name", `{"first_name":"Ann","last_name":"Lee"}`),
			agenttest.OnOutput("update_name").Say("Right?"))
		s := agenttest.Start(t, agents.Options{LLM: llm}, workflows.NewName(workflows.NameOptions{
			Options: workflows.Options{RequireConfirmation: agents.On},
			Parts:   workflows.FullName, Format: "{last_name}, {first_name} {middle_name}", VerifySpelling: true}))
		agenttest.Settle(t)
		s.User("here").ContainsOutput().Contains("now: Lee, Ann\n")
		require.Contains(t, instructions(llm.Requests()[0]), "letter by letter")
		require.Equal(t, "Ann Lee", workflows.Name{First: "Ann", Last: "Lee"}.String())
	})
}
