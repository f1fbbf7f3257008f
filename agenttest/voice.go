package agenttest

import (
	"testing"
	"time"

	"github.com/parley-voice/agents"
)

// A VoiceSession is a [Session] that hears a script and speaks to a speaker. Time counts from the first sample of the
// script, which is when the session starts.
type VoiceSession struct {
	*Session
	Mic     *Mic
	Speaker *Speaker
	Keypad  *Keypad
}

// voiceFrame is short, so that what a script says in tens of milliseconds happens when it says.
const voiceFrame = 10 * time.Millisecond

// StartVoice is [Start] for a session by voice: it hears the script and speaks to a [Speaker]. A VAD and an STT of the
// script are used unless the options, or the agent, have their own; NoVAD and NoSTT mean none. The keys that the script
// presses come from a [Keypad], which also takes those that the agent presses. Setup may replace the speaker, the mic and
// the keypad.
//
// Within [Run], use [VoiceSession.Until] to let time pass, and look at what happened: in the log, the history and what
// the speaker played.
func StartVoice(t testing.TB, opts agents.Options, first agents.Activity, script VoiceScript, setup ...Setup) *VoiceSession {
	t.Helper()
	var with Setup
	if len(setup) > 0 {
		with = setup[0]
	}
	v := &VoiceSession{Mic: NewMic(script), Speaker: NewSpeaker(), Keypad: NewKeypad(script)}
	v.Mic.Frame = voiceFrame
	if with.IO.AudioInput == nil {
		with.IO.AudioInput = v.Mic
	} else if m, ok := with.IO.AudioInput.(*Mic); ok {
		v.Mic = m
	}
	if with.IO.AudioOutput == nil {
		with.IO.AudioOutput = v.Speaker
	} else if s, ok := with.IO.AudioOutput.(*Speaker); ok {
		v.Speaker = s
	}
	if with.IO.DTMFInput == nil {
		with.IO.DTMFInput = v.Keypad
	} else if k, ok := with.IO.DTMFInput.(*Keypad); ok {
		v.Keypad = k
	}
	if with.IO.DTMFOutput == nil {
		with.IO.DTMFOutput = v.Keypad
	}
	if opts.VAD == nil {
		opts.VAD = NewVAD(script)
	}
	if opts.STT == nil {
		opts.STT = NewSTT(t, script)
	}
	v.Session = Start(t, opts, first, with)
	return v
}

// Until returns when the script has come to a time, at once if it has already. It waits for what happens at that very
// moment, too.
func (v *VoiceSession) Until(at time.Duration) {
	v.t.Helper()
	begin := v.log.begin
	if left := time.Until(begin.Add(at)); left > 0 {
		timer := time.NewTimer(left)
		defer timer.Stop()
		<-timer.C
	}
	v.settle()
}

// Since returns where in the script a moment is.
func (v *VoiceSession) Since(at time.Time) time.Duration { return at.Sub(v.log.begin) }

// AgentStates returns the changes of the agent's state so far, as "listening 0s", "thinking 3s" and so on.
func (v *VoiceSession) AgentStates() []string {
	var out []string
	for _, e := range v.Recorded() {
		if e, ok := e.(*agents.AgentStateChanged); ok {
			out = append(out, string(e.New)+" "+v.Since(e.At).String())
		}
	}
	return out
}

// UserStates returns the changes of the user's state so far, as AgentStates does, each with the time since when it is
// so.
func (v *VoiceSession) UserStates() []string {
	var out []string
	for _, e := range v.Recorded() {
		if e, ok := e.(*agents.UserStateChanged); ok {
			at := e.At
			if !e.Since.IsZero() {
				at = e.Since
			}
			out = append(out, string(e.New)+" "+v.Since(at).String())
		}
	}
	return out
}

// Keys returns the keys that the agent pressed so far, as "5 1.2s" and so on.
func (v *VoiceSession) Keys() []string {
	v.settle()
	var out []string
	for _, k := range v.Keypad.Sent() {
		out = append(out, k.Key.String()+" "+v.Since(k.At).String())
	}
	return out
}

// Playouts returns how long each segment was played that has come to its end, as "2s", or "1.5s interrupted".
func (v *VoiceSession) Playouts() []string {
	v.settle()
	var out []string
	for _, p := range v.Speaker.Played() {
		if p.Finished.IsZero() {
			continue
		}
		text := p.Audio.Duration().String()
		if p.Interrupted {
			text += " interrupted"
		}
		out = append(out, text)
	}
	return out
}
