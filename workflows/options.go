package workflows

import (
	"context"
	"slices"
	"strings"

	"github.com/parley-voice/agents"
)

// NoPersona, as Options.Persona, leaves out the part of the instructions that says who the agent is.
const NoPersona = "\x00none"

// Options are what all tasks of this package have in common. The zero value is the default.
type Options struct {
	// Persona takes the place of the first part of the instructions, which says what the agent is there for. See also
	// [NoPersona].
	Persona string
	// ExtraInstructions are added to the task's own.
	ExtraInstructions string
	// Instructions, if set, take the place of all of the task's instructions; Persona and ExtraInstructions are then
	// not used. They should say when to call the task's tools. [NewCreditCard], which asks for one thing after
	// another, does not use them.
	Instructions *agents.Instructions

	// ChatContext is what the task knows of the conversation at first: nothing by default. If the value is in there,
	// the task takes it from there rather than ask; see RequireExplicitAsk.
	ChatContext *agents.ChatContext
	// Tools are offered before the task's own.
	Tools []agents.Tool

	// Models that differ from the session's; see [agents.Agent].
	LLM          agents.LLM
	STT          agents.STT
	TTS          agents.TTS
	VAD          agents.VAD
	TurnDetector agents.TurnDetector
	// AllowInterruptions overrides the session's setting while the task has the floor.
	AllowInterruptions agents.Toggle

	// RequireConfirmation says whether the user has to confirm the value before the task completes. By default that is
	// so for a value that came in by voice and not for one that came in as text. [NewDTMF] has another default.
	RequireConfirmation agents.Toggle
	// RequireExplicitAsk has the task ask the user in any case, even if its ChatContext has an answer already.
	RequireExplicitAsk bool
}

// confirms reports whether a value that came in by this modality has to be confirmed.
func (o *Options) confirms(m agents.Modality) bool {
	if o.RequireConfirmation == agents.Default {
		return m == agents.ModalityAudio
	}
	return o.RequireConfirmation == agents.On
}

// wording is what is told to the model in one kind of task. All of it are whole paragraphs.
type wording struct {
	persona string // what the agent is there for
	rules   string // how to go about it
	audio   string // what else there is to know about spoken turns
	text    string // and about written ones
	confirm string // how the value is confirmed
	ask     string // what to do on entering, in one sentence
}

// instructions returns the task's instructions. They tell of a confirmation where there may be one.
func (o *Options) instructions(w wording) *agents.Instructions {
	if o.Instructions != nil {
		return o.Instructions
	}
	persona := w.persona
	switch o.Persona {
	case "":
	case NoPersona:
		persona = ""
	default:
		persona = o.Persona
	}
	in := &agents.Instructions{
		Common: paragraphs(persona, w.rules, o.ExtraInstructions),
		Audio:  w.audio,
		Text:   w.text,
	}
	if o.confirms(agents.ModalityAudio) {
		in.Audio = paragraphs(in.Audio, w.confirm)
	}
	if o.confirms(agents.ModalityText) {
		in.Text = paragraphs(in.Text, w.confirm)
	}
	return in
}

func paragraphs(list ...string) string {
	return strings.Join(slices.DeleteFunc(list, func(p string) bool { return p == "" }), "\n\n")
}

// newTask returns a task with these options, which asks on entering.
func newTask[R any](id string, o *Options, w wording) *agents.AgentTask[R] {
	t := &agents.AgentTask[R]{}
	t.ID = id
	t.InstructionsFor = o.instructions(w)
	t.ChatContext = o.ChatContext
	t.Tools = slices.Clone(o.Tools)
	t.LLM, t.STT, t.TTS, t.VAD, t.TurnDetector = o.LLM, o.STT, o.TTS, o.VAD, o.TurnDetector
	if o.AllowInterruptions != agents.Default {
		t.Turn = &agents.TurnOptions{AllowInterruptions: o.AllowInterruptions}
	}
	ask := w.ask
	if !o.RequireExplicitAsk {
		ask += " If the conversation has the answer already, use that instead of asking."
	}
	t.OnEnter = func(ctx context.Context, s *agents.AgentSession) error {
		return s.GenerateReply(agents.Reply{Instructions: ask}).Wait(ctx)
	}
	return t
}
