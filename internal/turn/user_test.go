package turn

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// What is known of the user, by who says so.
func TestUserState(t *testing.T) {
	noVAD := func(_ *Settings, m *Models) { m.VAD = NoVAD }
	for name, c := range map[string]struct {
		o      Options
		script []timed
		want   string
	}{
		"voice":                      {options(), userSays(500, 1000, ""), "550 user speaking 500\n1500 user listening 1000"},
		"the inference takes time":   {options(), []timed{on(600, VADStart{Speech: ms(50), Inference: ms(50)}), on(1600, VADEnd{Silence: ms(500), Inference: ms(100)})}, "600 user speaking 500\n1600 user listening 1000"},
		"the VAD is gone":            {options(), []timed{on(600, VADStart{}), on(900, VADGone{}), on(950, VADGone{})}, "600 user speaking 600\n900 user listening 900"},
		"the VAD is taken away":      {options(), []timed{on(600, VADStart{}), on(900, Configure{options(noVAD)})}, "600 user speaking 600\n900 user listening 900"},
		"the recogniser":             {options(detect(BySTT), noVAD), []timed{on(0, AudioBegins{At: at(100)}), on(600, STT{Type: STTStart, Start: ms(400)}), on(1200, STT{Type: STTEnd})}, "600 user speaking 500\n1200 user listening 1200"},
		"the recogniser, not asked":  {options(), []timed{on(600, STT{Type: STTStart}), on(1200, STT{Type: STTEnd})}, ""},
		"the server":                 {options(noVAD), []timed{on(600, RealtimeSpeech{true}), on(1200, RealtimeSpeech{})}, "600 user speaking 600\n1200 user listening 1200"},
		"the server, but for a VAD":  {options(), []timed{on(600, RealtimeSpeech{true}), on(1200, RealtimeSpeech{})}, ""},
		"input off":                  {options(), []timed{on(600, VADStart{}), on(900, InputOff{})}, "600 user speaking 600\n900 user listening 900"},
		"a claim":                    {options(), []timed{on(500, Claim{true}), on(600, VADStart{}), on(900, VADEnd{Silence: ms(100)}), on(1200, Claim{})}, "500 user speaking 500\n1200 user listening 1200"},
		"a claim ends amid speech":   {options(), []timed{on(500, Claim{true}), on(600, VADStart{}), on(700, Claim{}), on(900, VADEnd{Silence: ms(100)})}, "500 user speaking 500\n900 user listening 800"},
		"the recogniser and the VAD": {options(detect(BySTT)), append(burst(), on(1200, STT{Type: STTEnd})), "550 user speaking 500\n1100 user listening 1000"},
	} {
		t.Run(name, func(t *testing.T) {
			newSim(t, c.o).run(3000, c.script...).only("user").want(c.want)
		})
	}
}

// T73: before it closes, a session commits what is on its way.
func TestCloseWaitsForTheTranscript(t *testing.T) {
	s := newSim(t, options(detect(BySTT)))
	s.run(3000, append(says(50, 200, "", 0, 500), on(150, Commit{ID: 1, Timeout: 2 * time.Second, SkipReply: true}), final(500, "bye"), on(501, Close{}))...).
		only("commit", "end", "dropped").want(`500 commit 1 "bye"
		501 end 1 "bye" manual 50-200 +300 +301 skip`)
}

// What is learned of the user outlives a handoff, unless the new agent wants to wait for longer or shorter.
func TestConfigure(t *testing.T) {
	dynamic := func(s *Settings, _ *Models) { s.Endpointing.Mode = Dynamic; s.Endpointing.Alpha = .5 }
	m := New(options(dynamic))
	m.Step(at(550), VADStart{Speech: ms(50)})
	m.Step(at(1100), VADEnd{Silence: ms(100)})
	m.Step(at(1950), VADStart{Speech: ms(50)})
	m.Step(at(2100), VADEnd{Silence: ms(100)})
	require.Equal(t, ms(700), m.ep.MinDelay())
	m.Step(at(2200), Configure{options(dynamic, detect(ByVAD))})
	require.Equal(t, ms(700), m.ep.MinDelay())
	m.Step(at(2300), Configure{options(dynamic, func(s *Settings, _ *Models) { s.Endpointing.MinDelay = ms(600) })})
	require.Equal(t, ms(600), m.ep.MinDelay())
	m.Step(at(2400), Configure{options()})
	require.Equal(t, ms(500), m.ep.MinDelay())
	require.Equal(t, Automatic, m.Options().Detection)
}

// The transcript so far is there for who asks, and goes with the agent that it was said to into the next one's turn.
func TestTranscriptSurvivesAHandoff(t *testing.T) {
	s := newSim(t, options())
	s.run(2000, append(burst(), final(900, "one"), on(1200, STT{Type: STTInterim, Text: "two"}), on(1250, Configure{options(detect(ByVAD))}))...)
	s.only("end").want(`1500 end 1 "one" vad 500-1000 +0 +500`)
	require.Equal(t, "two", s.m.Transcript())
	require.Equal(t, uint64(2), s.m.Turn())
}

// A timer that was stopped or set anew may still come.
func TestStaleTimers(t *testing.T) {
	s := newSim(t, options())
	s.run(1300, append(burst(), final(1200, "a"))...)
	require.Empty(t, s.m.Step(at(1300), Fired{EndpointTimer}), "it is due at 1500")
	require.Empty(t, s.m.Step(at(1300), Fired{ResumeTimer}))
	require.Empty(t, s.m.Step(at(1300), Fired{timers}))
	require.Equal(t, "unknown", timers.String())
	require.Equal(t, "endpoint", EndpointTimer.String())
}
