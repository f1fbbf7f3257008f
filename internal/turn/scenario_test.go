package turn

import (
	"slices"
	"testing"
	"time"
)

func pausable(s *sim) *sim {
	s.step(t0, Output{Audio: true, Pausable: true})
	s.log = nil
	return s
}

func unpausable(s *sim) *sim {
	s.step(t0, Output{Audio: true})
	s.log = nil
	return s
}

func join2(scripts ...[]timed) []timed { return slices.Concat(scripts...) }

// T1, B1.
func TestPlainTurn(t *testing.T) {
	s := newSim(t, options())
	s.agent(500, 2000)
	unpausable(s)
	s.run(10000, userSays(500, 2500, "Hello, how are you?")...).want(`
		550 user speaking 500
		2600 interim "Hello, how"
		2700 final "Hello, how are you?"
		2700 prepare 1 "Hello, how are you?"
		3000 user listening 2500
		3000 end 1 "Hello, how are you?" vad 500-2500 +200 +500
		3000 agent thinking
		3500 agent speaking
		5500 played 2000
		5500 agent listening`)
}

// T15, core 8, B2: the option to resume makes no difference if the output cannot pause.
func TestInterruptionWithoutPause(t *testing.T) {
	for _, resume := range []Toggle{ToggleOn, ToggleOff} {
		s := newSim(t, options(func(o *Settings, _ *Models) { o.Interruption.Resume = resume }))
		s.agent(500, 10000)
		unpausable(s)
		s.run(12000, join2(userSays(500, 2500, "Tell me a story"), userSays(5000, 6000, "Stop!"))...).
			only("interrupt", "cut", "agent", "end", "played").want(`
			3000 end 1 "Tell me a story" vad 500-2500 +200 +500
			3000 agent thinking
			3500 agent speaking
			5500 interrupt 1
			5500 cut at 2000
			5500 agent listening
			6500 end 2 "Stop!" vad 5000-6000 +200 +500`)
	}
}

// T16, core 9, B3: the words of what was kept count.
func TestTooFewWordsToInterrupt(t *testing.T) {
	s := newSim(t, options(func(o *Settings, _ *Models) { o.Interruption.MinWords = 3 }))
	s.agent(500, 5000)
	unpausable(s)
	s.run(12000, join2(userSays(500, 2500, "Tell me a story"), userSays(5000, 6000, "Stop!"), says(6500, 7500, "ok, stop!", 0, 500))...).
		only("interrupt", "cut", "end", "kept", "played").want(`
		3000 end 1 "Tell me a story" vad 500-2500 +200 +500
		6500 kept "Stop!"
		7500 interrupt 1
		7500 cut at 4000
		8000 end 2 "Stop! ok, stop!" vad 5000-7500 +0 +500`)
}

// T17, core 10.
func TestInterruptionsOff(t *testing.T) {
	s := newSim(t, options())
	s.world = nil
	w := s.agent(500, 5000)
	unpausable(s)
	s.post(at(3001), worldEvent(func() { w.post(Current{Speech: 1}) }))
	s.run(12000, join2(userSays(500, 2500, "Tell me a story"), userSays(5000, 6000, "Stop!"))...).
		only("interrupt", "cut", "played", "pause", "silence").want(`
		3001 silence true
		8500 played 5000
		8500 silence false`)
}

// T19, core 12.
func TestSpeechWhileThinking(t *testing.T) {
	s := newSim(t, options())
	s.agent(1200, 5000)
	unpausable(s)
	s.run(12000, join2(userSays(500, 2500, "Tell me a story"), userSays(3000, 4000, "Stop!"))...).
		only("interrupt", "cut", "agent", "end", "played").want(`
		3000 end 1 "Tell me a story" vad 500-2500 +200 +500
		3000 agent thinking
		3500 interrupt 1
		3500 cut at 0
		3500 agent listening
		4500 end 2 "Stop!" vad 3000-4000 +200 +500`)
}

// T20, core 13: with an output that can pause, the stale reply is never heard.
func TestSpeechWhileThinkingPausable(t *testing.T) {
	s := newSim(t, options())
	s.agent(1200, 5000)
	pausable(s)
	s.run(12000, join2(userSays(500, 2500, "Tell me a story"), userSays(3000, 4000, "Stop!"))...).
		only("interrupt", "cut", "agent", "end", "played", "pause", "unpause").want(`
		3000 end 1 "Tell me a story" vad 500-2500 +200 +500
		3000 agent thinking
		3050 pause 1
		3500 agent listening
		4200 interrupt 1
		4200 cut at 0
		4200 agent listening
		4200 unpause 1
		4500 end 2 "Stop!" vad 3000-4000 +200 +500`)
}

// T21, core 14, B4.
func TestNoiseWhileThinking(t *testing.T) {
	s := newSim(t, options())
	s.agent(400, 5000)
	pausable(s)
	s.run(12000, join2(userSays(500, 2500, "Tell me a story"), userSays(3000, 3300, ""))...).
		only("interrupt", "cut", "agent", "end", "played", "pause", "unpause", "false").want(`
		3000 end 1 "Tell me a story" vad 500-2500 +200 +500
		3000 agent thinking
		3050 pause 1
		3800 unpause 1
		3800 agent speaking
		3800 false interruption 1 true
		8800 played 5000
		8800 agent listening`)
}

// A false interruption amid speech: the agent goes on where it was.
func TestFalseInterruptionResumes(t *testing.T) {
	s := newSim(t, options())
	s.agent(500, 5000)
	pausable(s)
	s.run(15000, join2(userSays(500, 2500, "Tell me a story"), userSays(5000, 6000, ""))...).
		only("interrupt", "cut", "agent", "end", "played", "pause", "unpause", "false").want(`
		3000 end 1 "Tell me a story" vad 500-2500 +200 +500
		3000 agent thinking
		3500 agent speaking
		5500 pause 1
		5500 agent listening
		8500 agent speaking
		8500 unpause 1
		8500 false interruption 1 true
		11500 played 5000
		11500 agent listening`)
}

// T29, core 29: what the pause began with comes back.
func TestResumeRestoresTheState(t *testing.T) {
	s := pausable(newSim(t, options(func(o *Settings, _ *Models) { o.Interruption.FalseTimeout = ms(200) })))
	s.run(4000, join2([]timed{on(0, Current{Speech: 1, Interruptible: true}), on(0, AgentIs{State: AgentSpeaking}), on(0, AgentStarts{})},
		userSays(850, 2000, ""))...).only("agent", "false", "pause", "unpause").want(`
		1350 pause 1
		1350 agent listening
		2700 agent speaking
		2700 unpause 1
		2700 false interruption 1 true`)
}

// T22, core 18, B6: while the echo canceller warms up only the end of the turn interrupts. The same
// without warm-up is 1 s earlier.
func TestWarmUp(t *testing.T) {
	script := join2(userSays(500, 2500, "Tell me a story"), userSays(4000, 5000, "Stop!"))
	s := newSim(t, options(func(o *Settings, _ *Models) { o.AECWarmup = 0 }))
	s.agent(500, 15000)
	unpausable(s)
	s.run(20000, script...).only("interrupt", "cut", "silence").want(`
		3500 silence true
		5500 cut at 2000
		5500 silence false`)

	s = newSim(t, options())
	s.agent(500, 15000)
	unpausable(s)
	s.run(20000, script...).only("interrupt", "cut", "silence").want(`
		4500 interrupt 1
		4500 cut at 1000`)
}

// T24, core 19. Only calls to the user by telephone are outbound; a call from one, and a browser, are not.
func TestWarmUpOnTheTelephone(t *testing.T) {
	script := []timed{on(0, Output{Audio: true}), on(1000, AgentIs{State: AgentSpeaking})}
	for name, c := range map[string]struct {
		warmup time.Duration
		link   float64
		out    bool
		want   string
	}{
		"default":                  {0, 0, false, "1000 set warmup 4000\n1000 silence true"},
		"outbound":                 {0, 0, true, ""},
		"outbound, while it runs":  {0, 2000, true, "1000 set warmup 4000\n1000 silence true\n2000 stop warmup\n2000 silence false"},
		"outbound, but asked for":  {ms(1500), 0, true, "1000 set warmup 2500\n1000 silence true"},
		"asked for":                {ms(1500), 0, false, "1000 set warmup 2500\n1000 silence true"},
		"asked for, while it runs": {ms(3000), 2000, true, "1000 set warmup 4000\n1000 silence true"},
		"asked for none":           {Off, 0, false, ""},
		"outbound, asked for none": {Off, 0, true, ""},
	} {
		t.Run(name, func(t *testing.T) {
			s := newSim(t, options(func(o *Settings, _ *Models) { o.AECWarmup = c.warmup }))
			s.skip = nil
			s.run(2400, append(script, on(c.link, Linked{Outbound: c.out}))...).only("set warmup", "stop", "silence").want(c.want)
		})
	}
}

// T31, and a detector that fails.
func TestVADAfterTheAdaptiveDetectorFailed(t *testing.T) {
	s := unpausable(newSim(t, adaptiveOptions()))
	s.run(2000,
		on(0, Current{Speech: 1, Interruptible: true}), on(0, AgentIs{State: AgentSpeaking}), on(0, AgentStarts{}),
		on(1500, VADStart{Speech: ms(50)}),
		on(1600, VADInference{Speaking: true, Speech: ms(900), RawSpeech: ms(900)}),
		on(1700, VerdictsFail{}),
		on(1800, VADInference{Speaking: true, Speech: ms(490), RawSpeech: ms(490)}),
		on(1900, VADInference{Speaking: true, Speech: ms(500), RawSpeech: ms(500)})).
		only("interrupt").want(`1900 interrupt 1`)
}

// T89–T92.
func TestTurnLimit(t *testing.T) {
	words := func(n int) func(*Settings, *Models) { return func(o *Settings, _ *Models) { o.MaxTurnWords = n } }
	turns := func() []timed {
		return join2(userSays(500, 2000, "one two three"), userSays(4000, 5000, "four five six"))
	}

	s := newSim(t, options(words(5)))
	s.agent(500)
	s.run(5000, userSays(500, 2500, "a b c d e f g h i j")...).only("too").want(
		`3000 too long "a b c d e f g h i j" of "a b c d e f g h i j" 10`)

	s = newSim(t, options(func(o *Settings, _ *Models) { o.MaxTurnDuration = time.Second }))
	s.agent(500)
	s.run(6000, userSays(500, 3500, "a b")...).only("too").want(`4000 too long "a b" of "a b" 2`)

	s = newSim(t, options())
	s.agent(500)
	s.run(5000, userSays(500, 2500, "a b c d e f g h i j")...).only("too").want("")

	s = newSim(t, options(words(5)))
	s.agent(500, 1000, 1000)
	unpausable(s)
	s.run(9000, turns()...).only("too", "agent s").want("3000 agent speaking\n6000 agent speaking")

	s = newSim(t, options(words(5)))
	s.agent(500)
	s.run(9000, turns()...).only("too", "end").want(`
		2500 end 1 "one two three" vad 500-2000 +200 +500
		5500 end 2 "four five six" vad 4000-5000 +200 +500
		5500 too long "four five six" of "one two three four five six" 6`)

	s = newSim(t, options(words(5)))
	s.agent(500)
	s.run(9000, append(turns(), on(3000, Clear{}))...).only("too").want("")

	// The floor changes hands before, and while, the session becomes idle.
	for _, when := range []float64{5100, 5300} {
		s = newSim(t, options(words(5)))
		s.agent(500)
		s.run(9000, append(turns(), on(when, Scheduling{Blocked: true}), on(6000, Scheduling{}))...).only("too").want("")
	}

	// The hook runs once at a time, and again later.
	s = newSim(t, options(words(3)))
	s.agent(500)
	s.run(9000, append(turns(), on(8000, TurnLimitHandled{}))...).only("too").want(
		`2500 too long "one two three" of "one two three" 3`)
	s.run(12000, userSays(9500, 10000, "seven")...).only("too").want(
		`10500 too long "seven" of "one two three four five six seven" 7`)
}

// Core 22, and the away timer's table.
func TestAway(t *testing.T) {
	final := STT{Type: STTFinal, Text: "hm"}
	begin := []timed{on(0, Linked{}), on(0, AgentIs{State: AgentListening})}
	for name, c := range map[string]struct {
		script []timed
		want   string
	}{
		"both listen":     {nil, "15000 user away 15000"},
		"nobody is there": {[]timed{on(0, Configure{options()})}, ""},
		"a final":         {[]timed{on(5000, final)}, "20000 user away 20000"},
		"an interim":      {[]timed{on(5000, STT{Type: STTInterim, Text: "hm"})}, "15000 user away 15000"},
		"text":            {[]timed{on(5000, UserWrote{})}, "20000 user away 20000"},
		"the user speaks": {[]timed{on(5000, VADStart{Speech: ms(50)}), on(5500, final), on(8000, VADEnd{Speech: ms(2000), Silence: ms(500)})},
			"5000 user speaking 4950\n8000 user listening 7500\n23000 user away 23000"},
		"the agent thinks": {[]timed{on(5000, AgentIs{State: AgentThinking}), on(9000, AgentIs{State: AgentListening})}, "24000 user away 24000"},
		"a tool runs":      {[]timed{on(5000, Tools{Running: 2}), on(9000, Tools{Running: 1}), on(12000, Tools{})}, "27000 user away 27000"},
		"back by speech":   {[]timed{on(16000, VADStart{Speech: ms(50)}), on(17000, VADEnd{Silence: ms(500)})}, "15000 user away 15000\n16000 user speaking 15950\n17000 user listening 16500"},
		"back by a final":  {[]timed{on(16000, final)}, "15000 user away 15000\n16000 user listening 16000"},
		"back by text":     {[]timed{on(16000, UserWrote{})}, "15000 user away 15000\n16000 user listening 16000"},
	} {
		t.Run(name, func(t *testing.T) {
			o := options(func(o *Settings, _ *Models) { o.AwayTimeout = 0 })
			s := newSim(t, o)
			s.run(30000, append(begin, c.script...)...).only("user").want(c.want)
		})
	}
	s := newSim(t, options(func(o *Settings, _ *Models) { o.AwayTimeout = 0 }))
	s.run(30000, on(0, AgentIs{State: AgentListening})).want("")
}

// T70–T72, core 23 and 66.
func TestTranscriptionTimeout(t *testing.T) {
	timeout := func(o *Settings, _ *Models) { o.TranscriptionTimeout = 2 * time.Second }
	noSTT := func(_ *Settings, m *Models) { m.STT = false }
	for name, c := range map[string]struct {
		o      Options
		script []timed
		want   string
	}{
		"untranscribed":           {options(timeout), userSays(500, 2500, ""), "4500 unheard 2000 since 500"},
		"transcribed":             {options(timeout), userSays(500, 2500, "Hello"), ""},
		"interim only":            {options(timeout), append(userSays(500, 2500, ""), on(2600, STT{Type: STTInterim, Text: "Hel"})), "4500 unheard 2000 since 500"},
		"preflight only":          {options(timeout), append(userSays(500, 2500, ""), on(2600, STT{Type: STTPreflight, Text: "Hel"})), "4500 unheard 2000 since 500"},
		"off":                     {options(), userSays(500, 2500, ""), ""},
		"no STT":                  {options(timeout, noSTT), userSays(500, 2500, ""), ""},
		"during protected speech": {options(timeout), append(userSays(500, 1500, ""), on(0, Current{Speech: 1})), "3500 unheard 1000 since 500"},
		"two bursts, close":       {options(timeout), join2(userSays(500, 1500, ""), userSays(2000, 3000, "")), "5000 unheard 2000 since 500"},
		"two bursts, apart":       {options(timeout), join2(userSays(500, 1500, ""), userSays(5000, 6000, "")), "3500 unheard 1000 since 500\n8000 unheard 2000 since 500"},
		"cleared":                 {options(timeout), append(userSays(500, 2500, ""), on(3500, Clear{})), ""},
		"a late end of speech":    {options(timeout), append(userSays(500, 2500, "Hello"), on(3100, VADEnd{Speech: ms(500), Silence: ms(500)})), ""},
		"inference takes time":    {options(timeout), []timed{on(500, VADStart{}), on(1000, VADEnd{Speech: ms(250), Silence: ms(500), Inference: ms(250)})}, "2250 unheard 250 since 500"},
	} {
		t.Run(name, func(t *testing.T) {
			newSim(t, c.o).run(10000, c.script...).only("unheard").want(c.want)
		})
	}
}
