package turn

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func adaptiveOptions(change ...func(*Settings, *Models)) Options {
	return options(append([]func(*Settings, *Models){func(s *Settings, m *Models) {
		s.Interruption.Mode = InterruptAdaptively
		m.STTAligned, m.AdaptiveReady = true, true
	}}, change...)...)
}

func boundary(start, end time.Duration) func(*Settings, *Models) {
	return func(s *Settings, _ *Models) { s.Interruption.Boundary = [2]time.Duration{start, end} }
}

// The table of the adaptive detector, with scenarios T80, T82 and T83.
func TestAdaptive(t *testing.T) {
	agent := func(n float64) []timed {
		return []timed{on(n, Current{Speech: 1, Interruptible: true}), on(n, AgentIs{State: AgentSpeaking}), on(n, AgentStarts{})}
	}
	start := func(n float64) timed { return on(n, VADStart{Speech: ms(50)}) }
	long := func(n float64) timed { return on(n, VADInference{Speaking: true, Speech: ms(900), RawSpeech: ms(900)}) }
	end := func(n float64) timed { return on(n, VADEnd{Speech: ms(500), Silence: ms(250)}) }
	noBoundary := boundary(Off, Off)
	for name, c := range map[string]struct {
		o      Options
		script []timed
		want   string
	}{
		"within the boundary voice interrupts": {adaptiveOptions(), append(agent(1000), start(1500), long(1900)),
			"1000 audible true\n1500 overlap 1450 50\n1900 interrupt 1"},
		"beyond it the detector decides": {adaptiveOptions(), append(agent(1000), start(1950), long(2001), long(2400)),
			"1000 audible true\n1950 overlap 1900 50"},
		"without boundary it always does": {adaptiveOptions(noBoundary), append(agent(1000), start(1500), long(1900), end(2500)),
			"1000 audible true\n1500 overlap 1450 50\n2500 overlap ends 2250 false"},
		"an interruption": {adaptiveOptions(noBoundary), append(agent(1000), start(1500), on(1700, Verdict{Interruption: true, Start: at(1450)}), end(2500)),
			"1000 audible true\n1500 overlap 1450 50\n1700 interrupt 1"},
		"after which voice interrupts": {adaptiveOptions(noBoundary), append(agent(1000), start(1500), on(1700, Verdict{Interruption: true}), on(1800, Current{Speech: 2, Interruptible: true}), long(1900)),
			"1000 audible true\n1500 overlap 1450 50\n1700 interrupt 1\n1900 interrupt 2"},
		"the agent ends": {adaptiveOptions(noBoundary), append(agent(1000), start(1500), on(2000, AgentEnds{}), end(2500)),
			"1000 audible true\n1500 overlap 1450 50\n2000 overlap ends 2000 true\n2000 audible false"},
		"the user speaks first": {adaptiveOptions(noBoundary), append(agent(1000), start(500)),
			"1000 audible true\n1000 overlap 1000 0"},
		"one overlap at a time": {adaptiveOptions(noBoundary), append(agent(1000), start(1500), start(1600), end(2500), start(3000)),
			"1000 audible true\n1500 overlap 1450 50\n2500 overlap ends 2250 false\n3000 overlap 2950 50"},
		"paused and resumed": {adaptiveOptions(noBoundary), append(agent(1000), on(0, Output{Audio: true, Pausable: true}), start(1500),
			on(1700, Verdict{Interruption: true, Start: at(1450)}), end(2500), start(6000), long(6500)),
			`1000 audible true
			1500 overlap 1450 50
			1700 pause 1
			1700 audible false
			4500 audible true
			4500 unpause 1
			6000 overlap 5950 50`},
	} {
		t.Run(name, func(t *testing.T) {
			newSim(t, c.o).run(8000, c.script...).only("interrupt", "pause", "unpause", "overlap", "audible").want(c.want)
		})
	}
}

// T80.
func TestBackchannelWithinTheBoundary(t *testing.T) {
	s := newSim(t, adaptiveOptions(boundary(ms(50), Off)))
	s.run(200, on(0, Current{Speech: 1, Interruptible: true}), on(0, AgentIs{State: AgentSpeaking}), on(0, AgentStarts{}), on(1, VADStart{}),
		on(10, Verdict{}), on(20, Verdict{Interruption: true}), on(30, Current{Speech: 2, Interruptible: true}),
		on(110, Verdict{}), on(120, Verdict{Interruption: true})).only("interrupt").want("20 interrupt 1\n120 interrupt 2")
}

// T83 and T84.
func TestBackchannelTurns(t *testing.T) {
	verdict := func(n float64, v Verdict) timed { return on(n, v) }
	over := func(script ...timed) []timed {
		return append([]timed{on(0, Current{Speech: 1, Interruptible: true}), on(0, AgentIs{State: AgentSpeaking}), on(0, AgentStarts{}),
			on(500, VADStart{Speech: ms(50)}), on(1250, VADEnd{Speech: ms(550), Silence: ms(250)})}, script...)
	}
	for name, c := range map[string]struct {
		script []timed
		want   string
	}{
		"unjudged":               {over(), `1500 end 1 "" vad`},
		"a sign, amid speech":    {over(verdict(800, Verdict{})), "1500 clear\n" + `1500 kept ""`},
		"a sign, in silence":     {over(verdict(1300, Verdict{})), "1300 clear\n1500 clear\n" + `1500 kept ""`},
		"the agent ended":        {over(verdict(800, Verdict{AgentEnded: true})), `1500 end 1 "" vad`},
		"a sign, then the end":   {over(verdict(800, Verdict{}), on(900, AgentEnds{}), verdict(950, Verdict{AgentEnded: true})), "1500 clear\n" + `1500 kept ""`},
		"a sign, then speech":    {over(verdict(800, Verdict{}), verdict(900, Verdict{Interruption: true})), `1500 end 1 "" vad`},
		"a sign, a new start":    {over(verdict(800, Verdict{}), on(1300, VADStart{}), on(2000, VADEnd{Silence: ms(250)})), `2250 end 1 "" vad`},
		"without any overlap":    {[]timed{on(100, Verdict{}), on(550, VADStart{}), on(1250, VADEnd{Silence: ms(250)})}, `1500 end 1 "" vad`},
		"the next turn is anew":  {over(verdict(800, Verdict{}), on(1600, AgentEnds{}), on(3000, VADStart{}), on(4000, VADEnd{Silence: ms(250)})), "1500 clear\n" + `1500 kept ""` + "\n" + `4250 end 1 "" vad`},
		"the detector is broken": {over(verdict(800, Verdict{}), on(900, VerdictsFail{})), `1500 end 1 "" vad`},
	} {
		t.Run(name, func(t *testing.T) {
			o := realtimeOptions(func(s *Settings, _ *Models) { s.Detection = ByVAD; s.Endpointing.MinDelay = ms(500) })
			require.True(t, o.Adaptive)
			s := newSim(t, o)
			s.run(5000, c.script...)
			for i, line := range s.log {
				if len(line) > 5 && line[5:] == "realtimeclear" {
					s.log[i] = line[:5] + "clear"
				}
			}
			s.only("end", "kept", "clear").want(c.want)
		})
	}
}

// T78 and T79, and the table of what is held. The audio begins at 0, the agent is heard from 5000 to 10000.
func TestHold(t *testing.T) {
	window := func(until, boundary float64) *hold {
		return &hold{agentStart: at(5000), until: at(until), boundary: ms(boundary)}
	}
	heard := func(start float64) STT {
		return STT{Type: STTFinal, Text: "a", Start: ms(start), End: ms(start + 100)}
	}
	for name, c := range map[string]struct {
		h     *hold
		now   float64
		heard bool
		e     STT
		want  bool
	}{
		"while the agent is heard": {window(0, 0), 6000, true, heard(1), true},
		"amid the agent's speech":  {window(10000, 0), 11000, false, heard(7000), true},
		"before it":                {window(10000, 0), 11000, false, heard(2000), false},
		"after it":                 {window(10000, 0), 16000, false, heard(15000), false},
		"in the future":            {window(10000, 0), 6500, false, heard(7000), false},
		"early in it":              {window(10000, 0), 11000, false, heard(6000), true},
		"late in it":               {window(10000, 0), 11000, false, heard(8000), true},
		"just before its end":      {window(10000, 500), 11000, false, heard(9750), false},
		"before its end":           {window(10000, 500), 11000, false, heard(9250), true},
		"without positions":        {window(10000, 0), 11000, false, STT{Type: STTFinal, Text: "a"}, false},
		"an end":                   {window(10000, 0), 11000, false, STT{Type: STTEnd}, true},
		"a start":                  {window(10000, 0), 11000, false, STT{Type: STTStart}, false},
		"no window":                {&hold{}, 11000, false, heard(7000), false},
		"an end, no window":        {&hold{}, 11000, false, STT{Type: STTEnd}, false},
	} {
		t.Run(name, func(t *testing.T) {
			require.Equal(t, c.want, c.h.holds(at(c.now), at(0), c.heard, c.e))
		})
	}
}

// What is let go, and what is dropped, when the agent ends.
func TestFlushHeld(t *testing.T) {
	heard := func(n float64, text string, start, end float64) timed {
		return on(n, STT{Type: STTFinal, Text: text, Start: ms(start), End: ms(end)})
	}
	script := func(more ...timed) []timed {
		return append([]timed{on(0, AudioBegins{At: at(0)}), on(5000, Current{Speech: 1, Interruptible: true}),
			on(5000, AgentIs{State: AgentSpeaking}), on(5000, AgentStarts{}), on(10000, AgentEnds{}), on(10000, Current{})}, more...)
	}
	sign := "a sign of listening"
	for name, c := range map[string]struct {
		o      Options
		script []timed
		want   string
	}{
		"all within":       {adaptiveOptions(), script(heard(7000, "uh", 6000, 6500), heard(8000, "hm", 7000, 7500)), `10000 dropped "uh" ` + sign + "\n" + `10000 dropped "hm" ` + sign},
		"the last outside": {adaptiveOptions(), script(heard(7000, "uh", 6000, 6500), heard(9900, "wait", 9300, 9800)), `10000 dropped "uh" ` + sign + "\n" + `10000 final "wait"`},
		"and what follows": {adaptiveOptions(), script(heard(9700, "wait", 9100, 9600), heard(9900, "uh", 7000, 7500)), `10000 final "wait"` + "\n" + `10000 final "uh"`},
		"no positions":     {adaptiveOptions(), script(final(7000, "uh")), `10000 dropped "uh" ` + sign},
		"later":            {adaptiveOptions(), script(heard(10500, "uh", 8000, 8500), heard(11000, "yes", 10200, 10900)), `11000 dropped "uh" ` + sign + "\n" + `11000 final "yes"`},
		"cleared":          {adaptiveOptions(), script(heard(7000, "uh", 6000, 6500), on(8000, Clear{})), `8000 dropped "uh" cleared`},
		"closed":           {adaptiveOptions(), script(heard(7000, "uh", 6000, 6500), on(8000, Close{})), `8000 dropped "uh" closed`},
		"no detector more": {adaptiveOptions(), script(heard(7000, "uh", 6000, 6500), on(8000, VerdictsFail{})), `8000 final "uh"`},
		"another agent":    {adaptiveOptions(), script(heard(7000, "uh", 6000, 6500), on(8000, Configure{options()})), `8000 final "uh"`},
		"not adaptive":     {options(), script(heard(7000, "uh", 6000, 6500)), `7000 final "uh"`},
		"an interruption":  {adaptiveOptions(), script(on(0, Output{Audio: true, Pausable: true}), on(7000, VADStart{}), heard(7700, "uh", 5100, 5200), heard(7800, "stop", 7000, 7500), on(8000, Verdict{Interruption: true, Start: at(7000)})), `8000 dropped "uh" ` + sign + "\n" + `8000 final "stop"`},
	} {
		t.Run(name, func(t *testing.T) {
			newSim(t, c.o).run(12000, c.script...).only("dropped", "final").want(c.want)
		})
	}
}

// What is held is judged in order.
func TestJudgeHeld(t *testing.T) {
	in := STT{Type: STTFinal, Text: "uh", Start: ms(6000), End: ms(6500)}
	out := STT{Type: STTFinal, Text: "stop", Start: ms(9000), End: ms(10500)}
	untimed := STT{Type: STTFinal, Text: "hm"}
	start, end := STT{Type: STTStart}, STT{Type: STTEnd}
	for name, c := range map[string]struct {
		events []STT
		first  int
	}{
		"nothing":                  {nil, 0},
		"outside":                  {[]STT{out}, 0},
		"within":                   {[]STT{in, in}, 2},
		"one outside":              {[]STT{in, out, in}, 1},
		"with the start before it": {[]STT{in, start, out, end}, 1},
		"not the start of another": {[]STT{start, in, end, start, out}, 2},
		"untimed":                  {[]STT{start, untimed, out}, 3},
		"only starts and ends":     {[]STT{start, end}, 2},
	} {
		t.Run(name, func(t *testing.T) {
			h := &hold{events: c.events, agentStart: at(5000), until: at(10000)}
			require.Equal(t, c.first, h.judge(at(0)))
		})
	}
}

// A held transcript is one all the same: the user was understood.
func TestHeldTranscriptIsHeard(t *testing.T) {
	s := newSim(t, adaptiveOptions(func(s *Settings, _ *Models) { s.TranscriptionTimeout = 2 * time.Second }))
	s.run(9000, append(userSays(500, 2500, ""), on(0, AgentStarts{}), final(2800, "uh"))...).only("unheard").want("")
}

// What is held is bounded.
func TestHoldIsBounded(t *testing.T) {
	m := New(adaptiveOptions())
	m.Step(at(0), AgentStarts{})
	for range 10 * maxHeld {
		m.Step(at(1), STT{Type: STTFinal, Text: "uh"})
	}
	require.LessOrEqual(t, len(m.hold.events), maxHeld)
}
