package turn

import (
	"testing"
	"time"
)

// audioOptions has a detector that listens, whose answer waits for the longest delay, as in scenarios T32–T37.
func audioOptions(change ...func(*Settings, *Models)) Options {
	return options(append([]func(*Settings, *Models){func(s *Settings, m *Models) {
		s.Detection = AudioDetector
		s.Endpointing.MaxDelay = ms(500)
		s.Interruption.FalseTimeout = ms(300)
		m.Threshold = func(lang string) (float64, bool) { return .5, lang != "xx" }
	}}, change...)...)
}

// realtimeOptions are the same with a realtime model and no STT, where a sign of listening is no turn.
func realtimeOptions(change ...func(*Settings, *Models)) Options {
	return audioOptions(append([]func(*Settings, *Models){func(s *Settings, m *Models) {
		s.Interruption.Mode = InterruptAdaptively
		s.Interruption.Boundary = [2]time.Duration{Off, Off}
		m.STT, m.LLM, m.Realtime, m.RealtimeTurns, m.RealtimeYields, m.AdaptiveReady = false, false, true, true, true, true
	}}, change...)...)
}

// pausedAt has speech 1 paused at 950, with the user speaking from 400.
func pausedAt(s *sim) *sim {
	s.step(t0, Output{Audio: true, Pausable: true})
	s.step(t0, Current{Speech: 1, Interruptible: true})
	s.step(t0, AgentIs{State: AgentSpeaking})
	s.step(t0, AgentStarts{})
	s.run(950, on(450, VADStart{Speech: ms(50)}), on(940, Verdict{Interruption: true, Start: at(400)}),
		on(950, VADInference{Speaking: true, Speech: ms(500), RawSpeech: ms(500)}))
	s.log = nil
	return s
}

// silence is a pause from 1000 in which the detector answers 0.1, until the VAD notices the end of speech at 1250.
func silence() []timed {
	return []timed{
		on(1000, VADInference{Speaking: true, Speech: ms(600), RawSpeech: ms(600)}),
		on(1200, VADInference{Speaking: true, Speech: ms(600), RawSilence: ms(200)}),
		on(1210, Prediction{ID: 1, Probability: .1}),
		on(1250, VADEnd{Speech: ms(600), Silence: ms(250)}),
	}
}

// T32–T37 and B5, core 63 and 64. The user is silent from 1000, the timer is due at 1550, and the
// decision is open until 1500, or as long as the longest delay says.
func TestResumeAndDecision(t *testing.T) {
	long := func(s *Settings, _ *Models) { s.Endpointing.MaxDelay = 800 * time.Millisecond }
	for name, c := range map[string]struct {
		o      Options
		script []timed
		want   string
	}{
		"the turn is a sign of listening": {realtimeOptions(long), append(silence(), on(1205, Verdict{Start: at(400)})),
			`1800 kept ""
			1800 agent speaking
			1800 unpause 1
			1800 false interruption 1 true`},
		"the turn ends": {realtimeOptions(long), append(silence(), on(2500, Close{})),
			`1800 end 1 "" vad
			2500 unpause 1`},
		"the turn ends, and nothing comes of it": {realtimeOptions(long), append(silence(), on(2000, TurnSettled{})),
			`1800 end 1 "" vad
			2300 agent speaking
			2300 unpause 1
			2300 false interruption 1 true`},
		"closed while the decision is open": {realtimeOptions(long), append(silence(), on(1700, Close{})),
			`1700 end 1 "" vad
			1700 unpause 1`},
		"a machine answered: no reply": {realtimeOptions(), append(silence(), on(0, AnsweringMachine{Answered: true}), on(1510, TurnSettled{})),
			`1500 end 1 "" vad skip
			1550 agent speaking
			1550 unpause 1
			1550 false interruption 1 true`},
		"a machine answered, after the timer": {realtimeOptions(long), append(silence(), on(0, AnsweringMachine{Answered: true})),
			`1800 end 1 "" vad skip
			1800 agent speaking
			1800 unpause 1
			1800 false interruption 1 true`},
		"no decision": {audioOptions(), silence(),
			`1550 agent speaking
			1550 unpause 1
			1550 false interruption 1 true`},
		"the user goes on": {realtimeOptions(long), append(silence(), on(1600, VADStart{Speech: ms(50)}), on(2000, VADEnd{Speech: ms(100), Silence: ms(250)}), on(2100, TurnSettled{})),
			`2050 end 1 "" vad
			2400 agent speaking
			2400 unpause 1
			2400 false interruption 1 true`},
		"cleared while pending": {realtimeOptions(long), append(silence(), on(1700, Clear{})),
			`1700 agent speaking
			1700 unpause 1
			1700 false interruption 1 true`},
		"to manual while pending": {realtimeOptions(long), append(silence(), on(1700, Configure{realtimeOptions(func(s *Settings, _ *Models) { s.Detection = Manual })})),
			`1700 agent speaking
			1700 unpause 1
			1700 false interruption 1 true`},
		"a final transcript": {audioOptions(), append(silence(), on(1400, STT{Type: STTFinal, Text: "No"})),
			`1400 interrupt 1
			1400 unpause 1
			1500 end 1 "No" stt 400-1000 +400 +500`},
	} {
		t.Run(name, func(t *testing.T) {
			pausedAt(newSim(t, c.o)).run(2400, c.script...).run(5000).
				only("end", "kept", "agent s", "agent l", "unpause", "false", "pause", "interrupt").want(c.want)
		})
	}
}

// T38–T40, core 65, and the rest of the pause's table.
func TestPause(t *testing.T) {
	off := func(s *Settings, _ *Models) { s.Interruption.Resume = ToggleOff }
	for name, c := range map[string]struct {
		script []timed
		want   string
	}{
		"cleared with interruption":  {[]timed{on(1000, ClearPause{Interrupt: true})}, "1000 interrupt 1\n1000 unpause 1"},
		"cleared":                    {[]timed{on(1000, ClearPause{}), on(1100, ClearPause{Interrupt: true})}, "1000 unpause 1"},
		"kept before a segment":      {[]timed{on(1000, FirstFrame{Speech: 1})}, ""},
		"protected before a segment": {[]timed{on(1000, Current{Speech: 1}), on(1100, FirstFrame{Speech: 1}), on(1200, ClearPause{Interrupt: true})}, "1100 unpause 1"},
		"interrupted":                {[]timed{on(1000, Current{Speech: 1, Interruptible: true, Interrupted: true})}, "1000 unpause 1"},
		"another speech":             {[]timed{on(1000, Current{Speech: 2, Interruptible: true}), on(1100, FirstFrame{Speech: 2})}, "1000 unpause 1\n1100 pause 2"},
		"no speech":                  {[]timed{on(1000, Current{})}, "1000 unpause 1"},
		"the option is off":          {[]timed{on(1000, Configure{audioOptions(off)}), on(1100, FirstFrame{Speech: 1})}, "1100 unpause 1"},
		"no audio output":            {[]timed{on(1000, Output{}), on(1100, FirstFrame{Speech: 1})}, "1100 unpause 1"},
		"interrupted again":          {[]timed{on(1000, VADInference{Speaking: true, Speech: ms(600), RawSpeech: ms(600)})}, ""},
		"the user starts again": {append(silence(), on(1400, VADStart{Speech: ms(50)}), on(1700, VADEnd{Speech: ms(50), Silence: ms(250)})),
			"2000 agent speaking\n2000 unpause 1\n2000 false interruption 1 true"},
		"the VAD is gone":  {[]timed{on(1000, VADGone{})}, "1300 agent speaking\n1300 unpause 1\n1300 false interruption 1 true"},
		"the session ends": {[]timed{on(1000, Close{})}, "1000 unpause 1"},
	} {
		t.Run(name, func(t *testing.T) {
			pausedAt(newSim(t, audioOptions())).run(4000, c.script...).only("agent s", "unpause", "false", "pause", "interrupt").want(c.want)
		})
	}
}

// What pauses, interrupts or does neither.
func TestInterruptOrPause(t *testing.T) {
	speech := func(n float64) timed { return on(500, VADInference{Speaking: true, Speech: ms(n), RawSpeech: ms(n)}) }
	final := on(500, STT{Type: STTFinal, Text: "stop it"})
	interim := on(500, STT{Type: STTInterim, Text: "stop it"})
	noVAD := func(_ *Settings, m *Models) { m.VAD = NoVAD }
	words := func(s *Settings, _ *Models) { s.Interruption.MinWords = 2 }
	detect := func(d Detection) func(*Settings, *Models) { return func(s *Settings, _ *Models) { s.Detection = d } }
	for name, c := range map[string]struct {
		o        Options
		script   []timed
		want     string
		pausable string // "" if the same
	}{
		"short speech":             {options(), []timed{speech(499)}, "", ""},
		"speech":                   {options(), []timed{speech(500)}, "500 interrupt 1", "500 pause 1\n2500 unpause 1"},
		"a final":                  {options(), []timed{final}, "500 interrupt 1", "500 pause 1\n500 interrupt 1\n500 unpause 1"},
		"an interim":               {options(), []timed{interim}, "", ""},
		"an interim without VAD":   {options(noVAD), []timed{interim}, "500 interrupt 1", "500 pause 1\n2500 unpause 1"},
		"words, none yet":          {options(words), []timed{speech(900)}, "", ""},
		"words, enough":            {options(words), []timed{on(400, STT{Type: STTInterim, Text: "stop it"}), speech(900)}, "500 interrupt 1", "500 pause 1\n2500 unpause 1"},
		"words, one":               {options(words), []timed{on(400, STT{Type: STTFinal, Text: "stop"}), speech(900)}, "", ""},
		"manual":                   {options(detect(Manual)), []timed{speech(900), final}, "", ""},
		"protected":                {options(), []timed{on(100, Current{Speech: 1}), speech(900), final}, "", ""},
		"interrupted":              {options(), []timed{on(100, Current{Speech: 1, Interruptible: true, Interrupted: true}), speech(900), final}, "", ""},
		"no speech":                {options(), []timed{on(100, Current{}), speech(900), final}, "", ""},
		"by the STT, ended":        {options(detect(BySTT)), []timed{on(300, STT{Type: STTEnd}), on(500, VADInference{Speaking: true, Speech: ms(900), RawSilence: ms(1)})}, "", ""},
		"by the STT, ended, sound": {options(detect(BySTT)), []timed{on(300, STT{Type: STTEnd}), speech(900)}, "500 interrupt 1", "500 pause 1\n2500 unpause 1"},
		"the server's":             {options(), []timed{on(500, RealtimeSpeech{Speaking: true})}, "500 interrupt 1", ""},
		"the server's, protected":  {options(), []timed{on(100, Current{Speech: 1}), on(500, RealtimeSpeech{Speaking: true})}, "", ""},
	} {
		t.Run(name, func(t *testing.T) {
			for _, pausable := range []bool{false, true} {
				s := newSim(t, c.o)
				s.step(t0, Output{Audio: true, Pausable: pausable})
				s.step(t0, Current{Speech: 1, Interruptible: true})
				s.step(t0, AgentIs{State: AgentSpeaking})
				s.step(t0, AgentStarts{})
				want := c.want
				if pausable && c.pausable != "" {
					want = c.pausable
				}
				s.run(5000, c.script...)
				s.only("interrupt", "pause", "unpause").want(want)
			}
		})
	}
}

// Replies wait while the user speaks, and for half of the shortest delay.
func TestHoldReplies(t *testing.T) {
	s := newSim(t, options())
	s.skip = nil
	s.run(2000, userSays(500, 1000, "")...).only("hold").want("550 hold true\n1300 hold false")
}

// T36: where a server detects turns, their end leaves the resume alone.
func TestServerTurnsResume(t *testing.T) {
	s := pausable(newSim(t, options(func(_ *Settings, m *Models) {
		m.STT, m.LLM, m.Realtime, m.RealtimeTurns = false, false, true, true
	})))
	s.run(4000, append(silence(), on(100, Current{Speech: 1, Interruptible: true}), on(100, AgentIs{State: AgentThinking}), on(450, VADStart{Speech: ms(50)}))...).
		only("pause", "unpause", "false", "end", "interrupt").want(`
		450 pause 1
		1500 end 1 "" vad
		1500 unpause 1
		1500 false interruption 1 true`)
}
