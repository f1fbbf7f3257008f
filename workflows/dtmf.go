package workflows

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/parley-voice/agents"
)

// DTMFOptions are the options of [NewDTMF]. Options.RequireConfirmation is Off by default, in whatever way the digits come
// in, and Options.RequireExplicitAsk is not used: the user is asked in any case.
type DTMFOptions struct {
	Options
	// NumDigits is how many keys are to be pressed, the StopDigit not counted. It must be set.
	NumDigits int
	// InputTimeout is how long after the last key, when nobody speaks, the entry counts as complete: 4 s by default, or
	// Never.
	InputTimeout agents.Delay
	// StopDigit is the key that completes the entry at once: # by default, or NoStopDigit.
	StopDigit agents.DTMF
}

// NoStopDigit, as DTMFOptions.StopDigit, means that every key is part of the entry.
const NoStopDigit agents.DTMF = 0xff

// A DTMF is the result of [NewDTMF].
type DTMF struct {
	// UserInput is the keys with a space between them, as in "1 2 3".
	UserInput string `json:"user_input"`
}

// String returns the keys.
func (d DTMF) String() string { return d.UserInput }

var dtmfWording = wording{
	persona: "Your only job right now is to get %d digits from the user, who can press them on the keypad of their telephone or say them. Leave every other topic for later.",
	rules:   "Never make up digits. If some are missing, ask for them. Do not mention tools to the user.",
	audio:   `The digits are spoken, and the transcript of them is rough: "oh" is 0, "double five" is 5 and 5, "forty two" is 4 and 2, "pound" and "hash" are #, "star" is *.`,
	text:    "The digits are typed. Spaces and hyphens in them do not matter.",
	confirm: "However the digits come in, read them back, one by one, and ask whether they are right. Call confirm_inputs, with one entry for each key, when the user has said so, and only then.",
	ask:     "Ask the user to enter the %d digits on the keypad of their telephone, or to say them, in one short sentence.",
}

const (
	dtmfRecordRules = "When the user says or writes the digits, call record_inputs, with one entry for each key."
	dtmfTimeout     = 4 * time.Second
)

// NewDTMF returns a task that gets digits which the user presses on their telephone, or says. What is pressed is complete
// with the StopDigit, or when the user has pressed nothing more for InputTimeout while nobody spoke; the first key
// interrupts what the agent is saying. If it is not NumDigits keys then, the error of Run is a *agents.ToolError that says
// so. Digits that are said are for the model to judge.
//
// With Options.RequireConfirmation the agent reads the digits back and the task completes when the user has said that they
// are right. Keys that are pressed while it reads are ignored.
//
// NewDTMF panics if NumDigits is not positive, or StopDigit is not a key.
func NewDTMF(o DTMFOptions) *agents.AgentTask[DTMF] {
	if o.NumDigits <= 0 {
		panic(fmt.Sprintf("workflows: DTMFOptions.NumDigits is %d", o.NumDigits))
	}
	if o.StopDigit == 0 {
		o.StopDigit = '#'
	}
	if o.StopDigit != NoStopDigit && !o.StopDigit.Valid() {
		panic(fmt.Sprintf("workflows: DTMFOptions.StopDigit is %v", o.StopDigit))
	}
	if o.RequireConfirmation == agents.Default {
		o.RequireConfirmation = agents.Off
	}
	o.RequireExplicitAsk = true
	w := dtmfWording
	w.persona, w.ask = fmt.Sprintf(w.persona, o.NumDigits), fmt.Sprintf(w.ask, o.NumDigits)
	tool, description := "confirm_inputs", "Call this once the user has said that the digits you read back are right, and not before."
	if o.RequireConfirmation == agents.Off {
		tool, description = "record_inputs", "Note the digits that the user has said or written."
		w.rules = paragraphs(w.rules, dtmfRecordRules)
	}

	task := newTask[DTMF]("dtmf", &o.Options, w)
	d := &dialled{task: task, opts: o, timeout: dtmfTimeout}
	if o.InputTimeout != 0 {
		d.timeout = time.Duration(o.InputTimeout)
	}
	type args struct {
		Inputs []string `json:"inputs" jsonschema:"the keys in order, one in each entry" enum:"0,1,2,3,4,5,6,7,8,9,*,#,A,B,C,D"`
	}
	task.Tools = append(task.Tools, agents.ToolFunc(tool, description, func(_ context.Context, in args) (any, error) {
		if len(in.Inputs) == 0 {
			return nil, agents.Errorf("There are no digits. Ask the user for them.")
		}
		task.Complete(DTMF{UserInput: strings.Join(in.Inputs, " ")}) // unless it has ended already
		return nil, nil
	}))
	task.OnEnter = func(ctx context.Context, s *agents.AgentSession) error {
		d.begin.Do(func() { d.watch(ctx, s) })
		return s.GenerateReply(agents.Reply{Instructions: w.ask, ToolChoice: agents.NoTools}).Wait(ctx)
	}
	task.OnDTMF = func(ctx context.Context, s *agents.AgentSession, key agents.DTMF) error {
		d.begin.Do(func() { d.watch(ctx, s) })
		d.press(ctx, s, key)
		return nil
	}
	return task
}

// dialled is the keys that the user has pressed, and when they are complete:
//
//	a key                       the timer is set anew, unless somebody speaks
//	somebody speaks or thinks   it is stopped
//	nobody does any more        it is set, if keys are there
//	the timer, or StopDigit     the entry is complete
//	until it is dealt with      keys are ignored
type dialled struct {
	task    *agents.AgentTask[DTMF]
	opts    DTMFOptions
	timeout time.Duration // negative for never
	begin   sync.Once

	mu          sync.Mutex
	keys        []agents.DTMF
	user, agent bool // who speaks
	handling    bool // the entry is complete, and being dealt with
	timer       *time.Timer
	set         uint64 // the number of the timer that counts; those before were set in vain
	submit      func() // what the timer does
}

// watch follows who speaks, for as long as the task has the floor.
func (d *dialled) watch(ctx context.Context, s *agents.AgentSession) {
	events := s.Events(ctx) // from before the states are looked at, so that no change is missed
	d.spoke(&d.user, s.UserState() == agents.UserSpeaking)
	d.spoke(&d.agent, busy(s.AgentState()))
	go func() {
		for e := range events {
			switch e := e.(type) {
			case *agents.UserStateChanged:
				d.spoke(&d.user, e.New == agents.UserSpeaking)
			case *agents.AgentStateChanged:
				d.spoke(&d.agent, busy(e.New))
			}
		}
		d.mu.Lock()
		defer d.mu.Unlock()
		d.disarm()
	}()
}

func busy(s agents.AgentState) bool { return s == agents.AgentThinking || s == agents.AgentSpeaking }

// spoke notes whether d.user, or d.agent, speaks.
func (d *dialled) spoke(who *bool, speaks bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	before := d.user || d.agent
	*who = speaks
	if now := d.user || d.agent; now != before {
		d.arm()
	}
}

// press takes a key.
func (d *dialled) press(ctx context.Context, s *agents.AgentSession, key agents.DTMF) {
	d.mu.Lock()
	if d.handling || d.task.Done() {
		d.mu.Unlock()
		return
	}
	d.submit = func() { d.handle(ctx, s) }
	if key == d.opts.StopDigit {
		d.handling = true
		d.disarm()
		d.mu.Unlock()
		go d.submit() // so that keys that come meanwhile are seen, and ignored
		return
	}
	d.keys = append(d.keys, key)
	first := len(d.keys) == 1
	d.arm()
	d.mu.Unlock()
	if first {
		_ = s.Interrupt(ctx) // what must not be interrupted is said to its end
	}
}

// arm sets the timer anew, or stops it when it is not the time to wait for a key. It is called with mu held.
func (d *dialled) arm() {
	d.disarm()
	if len(d.keys) == 0 || d.handling || d.user || d.agent || d.timeout < 0 {
		return
	}
	n := d.set
	d.timer = time.AfterFunc(d.timeout, func() {
		d.mu.Lock()
		due := n == d.set && !d.handling
		if due {
			d.handling = true
		}
		submit := d.submit
		d.mu.Unlock()
		if due {
			submit()
		}
	})
}

// disarm stops the timer. It is called with mu held.
func (d *dialled) disarm() {
	d.set++
	if d.timer != nil {
		d.timer.Stop()
		d.timer = nil
	}
}

// handle deals with the entry.
func (d *dialled) handle(ctx context.Context, s *agents.AgentSession) {
	if d.task.Done() {
		return
	}
	_ = s.Interrupt(ctx)
	d.mu.Lock()
	keys := make([]string, len(d.keys))
	for i, k := range d.keys {
		keys[i] = k.String()
	}
	d.mu.Unlock()
	input := strings.Join(keys, " ")
	switch {
	case len(keys) != d.opts.NumDigits:
		d.task.Fail(agents.Errorf("The user was to enter %d digits on the keypad, and entered %d.", d.opts.NumDigits, len(keys)))
		return
	case d.opts.RequireConfirmation != agents.On:
		d.task.Complete(DTMF{UserInput: input})
		return
	}
	// When that fails, the user can enter the digits once more.
	_ = s.GenerateReply(agents.Reply{
		UserInput: "These are the digits that I entered on the keypad: " + input + "\nRead them back to me and ask me whether they are right.",
		Modality:  agents.ModalityAudio,
	}).Wait(ctx)
	d.mu.Lock()
	defer d.mu.Unlock()
	d.keys, d.handling = nil, false
}
