package agents

import "github.com/parley-voice/agents/internal/ivr"

// ivrWatch keeps an agent going that talks to an automated system; see Options.IVRDetection. The loop owns it.
type ivrWatch struct {
	c       *core               // nil without
	late    bool                // it began after the session
	extend  func([]Tool) []Tool // withIVR, which refers to a tool that refers to everything
	loop    ivr.Loop
	looped  bool // which the agent is still to be told
	silence ivr.Silence
	timer   *timer
}

const (
	ivrLoopInstructions = "The system on the other side repeats itself: you have heard the same lines several times, so " +
		"what you did does not lead on. Try something else, such as another choice of the menu, or asking for a person."
	ivrSilenceInstructions = "Nobody has said anything for some seconds. The other side may be waiting for you: go on with " +
		"your task, by speaking or with a tool."
)

// withIVR adds what an agent needs to get through the menus of an automated system.
func withIVR(tools []Tool) []Tool {
	if flat, _ := flattenTools(tools); findTool(flat, sendDTMFTool.name) != nil {
		return tools // the application has its own
	}
	return append(tools, sendDTMFTool)
}

// begin begins to watch, if that was not asked for before, with what was heard of the system so far.
func (w *ivrWatch) begin(c *core, heard string) {
	if w.c != nil {
		return
	}
	w.c, w.late = c, true
	for _, f := range c.stack {
		if f.offer == nil || f.phase >= phaseFinish {
			continue
		}
		if err := f.offerAnew(); err != nil {
			c.reportError("IVR detection", err, false)
		}
	}
	w.heard(heard)
}

// tools adds, to those of an agent, what it needs that it was not given from the start.
func (w *ivrWatch) tools(tools []Tool) []Tool {
	if !w.late {
		return tools
	}
	return w.extend(tools)
}

// heard takes a final transcript.
func (w *ivrWatch) heard(text string) {
	if w.c != nil && w.loop.Heard(text) {
		w.looped = true
		w.c.touch()
	}
}

// step tells the agent of a loop, and watches who is silent.
func (w *ivrWatch) step() {
	c := w.c
	if c == nil {
		return
	}
	if w.looped && c.closing == nil && !c.floorMoves() {
		w.looped = false
		w.reply(Reply{Instructions: ivrLoopInstructions, AllowInterruptions: Off})
	}
	switch w.silence.Now(w.quiet()) {
	case ivr.Set:
		w.timer = c.after(ivr.Patience, func() {
			if w.silence.Fired() {
				w.reply(Reply{Instructions: ivrSilenceInstructions})
			}
		})
	case ivr.Stop:
		c.unset(w.timer)
	}
}

// quiet reports whether nobody speaks, or is about to: what the other side has said is being answered.
func (w *ivrWatch) quiet() bool {
	return w.c.closing == nil && w.c.agentState == AgentListening && w.c.silent()
}

func (w *ivrWatch) reply(r Reply) {
	r.Modality = ModalityAudio
	if h := w.c.createSpeech(nil, func(sp *speech) error { return sp.prepareReply(r) }); h.sp == nil {
		w.c.reportError("IVR detection", h.err, false)
	}
}
