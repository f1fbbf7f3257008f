package turn

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func detect(d Detection) func(*Settings, *Models) {
	return func(s *Settings, _ *Models) { s.Detection = d }
}

func final(n float64, text string) timed { return on(n, STT{Type: STTFinal, Text: text}) }

// A user who is heard from 500 to 1000; the VAD notices the end at 1100, the shortest delay ends at 1500.
func burst() []timed {
	return []timed{
		on(550, VADStart{Speech: ms(50)}),
		on(1000, VADInference{Speaking: true, Speech: ms(500), RawSpeech: ms(500)}),
		on(1100, VADEnd{Speech: ms(500), Silence: ms(100)}),
	}
}

// The decision's table, with what ends turns.
func TestDecision(t *testing.T) {
	noSTT := func(_ *Settings, m *Models) { m.STT = false }
	for name, c := range map[string]struct {
		o      Options
		script []timed
		want   string
	}{
		"no transcript":                  {options(), burst(), ""},
		"no STT":                         {options(noSTT), burst(), `1500 end 1 "" vad`},
		"the VAD is last":                {options(), append(burst(), final(900, "a")), `1500 end 1 "a" vad 500-1000 +0 +500`},
		"the STT is last":                {options(), append(burst(), final(1300, "a")), `1500 end 1 "a" stt 500-1000 +300 +500`},
		"the STT is late":                {options(), append(burst(), final(1700, "a")), `1700 end 1 "a" stt 500-1000 +700 +700`},
		"two finals":                     {options(), append(burst(), final(1300, "a"), final(1400, "b")), `1500 end 1 "a b" stt 500-1000 +400 +500`},
		"speech again":                   {options(), append(burst(), final(1300, "a"), on(1450, VADStart{Speech: ms(50)})), ""},
		"cleared":                        {options(), append(burst(), final(1300, "a"), on(1450, Clear{})), `1450 dropped "a" cleared`},
		"closing":                        {options(), append(burst(), final(1300, "a"), on(1350, Close{})), `1350 end 1 "a" stt 500-1000 +300 +350`},
		"closing, nothing open":          {options(), []timed{on(550, VADStart{}), final(700, "a"), on(800, Close{})}, `800 dropped "a" closed`},
		"blocked":                        {options(), append(burst(), final(1300, "a"), on(1400, Scheduling{Blocked: true})), `1500 end 1 "a" stt 500-1000 +300 +500 blocked`},
		"a spike is no speech":           {options(), append(burst(), final(900, "a"), on(1200, VADInference{RawSpeech: ms(100)}), on(1300, VADInference{RawSilence: ms(50)})), `1500 end 1 "a" vad 500-1000 +0 +500`},
		"by the STT":                     {options(detect(BySTT)), append(burst(), final(900, "a"), on(1200, STT{Type: STTEnd})), `1500 end 1 "a" stt 500-1000 +0 +500`},
		"by the STT, not ended":          {options(detect(BySTT)), append(burst(), final(900, "a")), ""},
		"by the STT, amid voice":         {options(detect(BySTT)), []timed{burst()[0], burst()[1], final(1050, "a"), on(1100, STT{Type: STTEnd}), burst()[2]}, "1100 flush vad\n" + `1500 end 1 "a" vad 500-1000 +50 +500`},
		"by the STT, transcript follows": {options(detect(BySTT)), append(burst(), on(1200, STT{Type: STTEnd}), final(1300, "a")), `1500 end 1 "a" stt 500-1000 +300 +500`},
		"by the STT, speech again":       {options(detect(BySTT)), append(burst(), final(900, "a"), on(1200, STT{Type: STTEnd}), on(1300, STT{Type: STTStart})), ""},
		"by the STT alone": {options(detect(BySTT), func(_ *Settings, m *Models) { m.VAD = NoVAD }), []timed{
			on(0, AudioBegins{At: at(100)}), on(600, STT{Type: STTStart, Start: ms(400)}), final(900, "a"), on(1200, STT{Type: STTEnd, End: ms(900)})},
			`1500 end 1 "a" stt 500-1000 +0 +500`},
		"automatic without VAD": {options(func(_ *Settings, m *Models) { m.VAD = NoVAD }), []timed{
			on(0, AudioBegins{At: at(0)}), on(1300, STT{Type: STTFinal, Text: "a", End: ms(1000)})}, `1500 end 1 "a" stt`},
		"a VAD nobody chose": {options(func(_ *Settings, m *Models) { m.VAD = DefaultVAD }), append(burst(),
			on(0, AudioBegins{At: at(0)}), on(1300, STT{Type: STTFinal, Text: "a", End: ms(1200)})), `1700 end 1 "a" stt 500-1200 +100 +500`},
		"positions beyond now": {options(func(_ *Settings, m *Models) { m.VAD = NoVAD }), []timed{
			on(0, AudioBegins{At: at(0)}), on(1300, STT{Type: STTFinal, Text: "a", End: ms(9000)})}, `1800 end 1 "a" stt`},
		"the detection becomes manual": {options(), append(burst(), final(1300, "a"), on(1400, Configure{options(detect(Manual))})), ""},
		"bursts of one turn": {options(), append(burst(), final(1200, "a"), on(1300, VADStart{Speech: ms(50)}), final(1700, "b"),
			on(2000, VADEnd{Speech: ms(500), Silence: ms(100)})), `2400 end 1 "a b" vad 500-1900 +0 +500`},
		"two turns": {options(), append(burst(), final(1200, "a"), on(3050, VADStart{Speech: ms(50)}), on(3600, VADEnd{Silence: ms(100)}), final(3700, "b")),
			`1500 end 1 "a" stt 500-1000 +200 +500` + "\n" + `4000 end 2 "b" stt 3000-3500 +200 +500`},
	} {
		t.Run(name, func(t *testing.T) {
			newSim(t, c.o).run(6000, c.script...).only("end", "kept", "dropped", "flush vad").want(c.want)
		})
	}
}

// T53–T61.
func TestDetectors(t *testing.T) {
	text := func(s *Settings, m *Models) {
		s.Detection = TextDetector
		m.Threshold = func(lang string) (float64, bool) { return .5, lang != "xx" }
	}
	audio := audioOptions(func(s *Settings, _ *Models) { s.Endpointing.MaxDelay = ms(900) })
	ask := on(1200, VADInference{Speaking: true, Speech: ms(500), RawSilence: ms(200)})
	end := on(1250, VADEnd{Speech: ms(500), Silence: ms(250)})
	pause := []timed{burst()[0], burst()[1], ask, end, final(900, "a")}
	for name, c := range map[string]struct {
		o      Options
		script []timed
		want   string
	}{
		"text, likely":        {options(text), append(burst(), final(1200, "a"), on(1250, Prediction{ID: 1, Probability: .5})), "1200 predict 1 a\n1250 predicted 0.5<0.5 after 250\n" + `1500 end 1 "a" stt 500-1000 +200 +500`},
		"text, unlikely":      {options(text), append(burst(), final(1200, "a"), on(1250, Prediction{ID: 1, Probability: .4})), "1200 predict 1 a\n1250 predicted 0.4<0.5 after 250\n" + `7000 end 1 "a" stt 500-1000 +200 +6000`},
		"text, failed":        {options(text), append(burst(), final(1200, "a"), on(1700, PredictionFailed{1})), "1200 predict 1 a\n" + `1700 end 1 "a" stt 500-1000 +200 +700`},
		"text, silent":        {options(text), append(burst(), final(1200, "a")), "1200 predict 1 a\n4200 cancel prediction true\n" + `4200 end 1 "a" stt 500-1000 +200 +3200`},
		"text, speech again":  {options(text), append(burst(), final(1200, "a"), on(1300, VADStart{})), "1200 predict 1 a\n1300 cancel prediction false"},
		"text, asked again":   {options(text), append(burst(), final(1200, "a"), on(1250, Prediction{ID: 1, Probability: .9}), final(1300, "b"), on(1350, Prediction{ID: 2, Probability: .9})), "1200 predict 1 a\n1250 predicted 0.9<0.5 after 250\n1300 predict 2 a b\n1350 predicted 0.9<0.5 after 350\n" + `1500 end 1 "a b" stt 500-1000 +300 +500`},
		"text, old answer":    {options(text), append(burst(), final(1200, "a"), final(1300, "b"), on(1350, Prediction{ID: 1, Probability: .1}), on(1400, Prediction{ID: 2, Probability: .9})), "1200 predict 1 a\n1300 cancel prediction false\n1300 predict 2 a b\n1400 predicted 0.9<0.5 after 400\n" + `1500 end 1 "a b" stt 500-1000 +300 +500`},
		"text, language":      {options(text), append(burst(), on(1200, STT{Type: STTFinal, Text: "a", Language: "xx"})), `1500 end 1 "a" stt 500-1000 +200 +500`},
		"text, no transcript": {options(text, func(_ *Settings, m *Models) { m.STT = false }), burst(), `1500 end 1 "" vad`},

		"audio, likely":           {audio, append(pause, on(1210, Prediction{ID: 1, Probability: .8})), "1200 predict 1\n1250 predicted 0.8<0.5 after 250\n" + `1300 end 1 "a" vad 500-1000 +0 +300` + "\n1300 flush detector"},
		"audio, unlikely":         {audio, append(pause, on(1210, Prediction{ID: 1, Probability: .2})), "1200 predict 1\n1250 predicted 0.2<0.5 after 250\n" + `1900 end 1 "a" vad 500-1000 +0 +900` + "\n1900 flush detector"},
		"audio, its threshold":    {audio, append(pause, on(1210, Prediction{ID: 1, Probability: .2, Threshold: .1})), "1200 predict 1\n1250 predicted 0.2<0.1 after 250\n" + `1300 end 1 "a" vad 500-1000 +0 +300` + "\n1300 flush detector"},
		"audio, late answer":      {audio, append(pause, on(1400, Prediction{ID: 1, Probability: .8})), "1200 predict 1\n1400 predicted 0.8<0.5 after 400\n" + `1400 end 1 "a" vad 500-1000 +0 +400` + "\n1400 flush detector"},
		"audio, silent":           {audio, append(pause, on(2300, Prediction{ID: 1, Probability: .1})), "1200 predict 1\n2250 cancel prediction true\n" + `2250 end 1 "a" vad 500-1000 +0 +1250` + "\n2250 flush detector"},
		"audio, told once":        {audio, append(pause, on(1210, Prediction{ID: 1, Probability: .2}), final(1300, "b")), "1200 predict 1\n1250 predicted 0.2<0.5 after 250\n" + `1900 end 1 "a b" stt 500-1000 +300 +900` + "\n1900 flush detector"},
		"audio, speech again":     {audio, append(pause, on(1210, Prediction{ID: 1, Probability: .2}), on(1300, VADStart{Speech: ms(50)})), "1200 predict 1\n1250 predicted 0.2<0.5 after 250"},
		"audio, language":         {audio, append(pause, on(800, STT{Type: STTFinal, Text: "b", Language: "xx"})), `1300 end 1 "b a" vad 500-1000 +0 +300` + "\n1300 flush detector"},
		"audio, late final":       {audio, append(pause, on(1210, Prediction{ID: 1, Probability: .8}), final(1500, "b")), "1200 predict 1\n1250 predicted 0.8<0.5 after 250\n" + `1300 end 1 "a" vad 500-1000 +0 +300` + "\n1300 flush detector\n" + `1800 end 2 "b" stt` + "\n1800 flush detector"},
		"audio, listening sign":   {audio, append(pause, on(1210, Prediction{ID: 1, Probability: .8, Backchannel: .8, BackchannelThreshold: .5})), "1200 predict 1\n1250 predicted 0.8<0.5 after 250\n1250 listen sign 0.8\n" + `1300 end 1 "a" vad 500-1000 +0 +300` + "\n1300 flush detector"},
		"audio, no such sign":     {audio, append(pause, on(1210, Prediction{ID: 1, Probability: .2, Backchannel: .4, BackchannelThreshold: .7}), on(1300, Clear{})), "1200 predict 1\n1250 predicted 0.2<0.5 after 250\n1300 flush detector"},
		"audio, never asked":      {audio, []timed{burst()[0], burst()[1], end, final(900, "a")}, `1300 end 1 "a" vad 500-1000 +0 +300` + "\n1300 flush detector"},
		"audio, the agent speaks": {audio, append(pause, on(0, Current{Speech: 1}), on(0, AgentIs{State: AgentSpeaking}), on(0, AgentStarts{}), on(1210, Prediction{ID: 1, Probability: .8})), "1200 predict 1\n1250 predicted 0.8<0.5 after 250\n" + `1300 end 1 "a" vad 500-1000 +0 +300` + "\n1300 flush detector"},
		"audio, closing":          {audio, append(pause, on(1400, Close{})), "1200 predict 1\n1400 cancel prediction false\n" + `1400 end 1 "a" vad 500-1000 +0 +400` + "\n1400 flush detector"},
		"audio, the user goes on within the pause": {audio, []timed{burst()[0], ask,
			on(1300, VADInference{Speaking: true, Speech: ms(500), RawSilence: ms(300)}),
			on(1400, VADInference{Speaking: true, Speech: ms(900), RawSpeech: ms(32)}),
			on(1700, VADInference{Speaking: true, Speech: ms(900), RawSilence: ms(200)})}, "1200 predict 1\n1400 cancel prediction false\n1700 predict 2"},
	} {
		t.Run(name, func(t *testing.T) {
			newSim(t, c.o).run(9000, c.script...).only("end", "predict", "cancel", "flush det", "listen").want(c.want)
		})
	}
}

// T59: the first late transcript is a warning, the next ones are not.
func TestLateTranscriptsWarnOnce(t *testing.T) {
	s := newSim(t, audioOptions())
	s.run(1900, userSays(0, 100, "a")...)
	var warned []bool
	for n := range 3 {
		for _, e := range s.m.Step(at(float64(2000+1000*n)), STT{Type: STTFinal, Text: "late"}) {
			if note, ok := e.(Note); ok {
				warned = append(warned, note.Warn)
			}
		}
		s.m.Step(at(float64(2900+1000*n)), Fired{EndpointTimer})
	}
	require.Equal(t, []bool{true, false, false}, warned)
}

// T11.
func TestEndOfTurnMoments(t *testing.T) {
	for name, c := range map[string]struct{ start, stop, final time.Time }{
		"stopped before the start": {at(1000), at(900), at(1200)},
		"no start":                 {time.Time{}, at(900), at(1200)},
		"no stop":                  {at(1000), time.Time{}, at(1200)},
		"no final":                 {at(1000), at(1100), time.Time{}},
	} {
		t.Run(name, func(t *testing.T) {
			m := New(options())
			m.now = at(1400)
			m.decision = decision{turnStart: c.start, lastSpeaking: c.stop, lastFinal: c.final}
			require.True(t, m.endTurn())
			require.Equal(t, `end 1 "" `, show(m.out[0]))
		})
	}
	for _, c := range []struct {
		start, stop, final, now float64
		want                    string
	}{
		{1000, 6000, 6200, 6400, `end 1 ""  1000-6000 +200 +400`},
		{1000, 1000, 1000, 1300, `end 1 ""  1000-1000 +0 +300`}, // stopped as it started
	} {
		m := New(options())
		m.now = at(c.now)
		m.decision = decision{turnStart: at(c.start), lastSpeaking: at(c.stop), lastFinal: at(c.final)}
		m.endTurn()
		require.Equal(t, c.want, show(m.out[0]))
	}
}

// T63.
func TestLanguage(t *testing.T) {
	for name, c := range map[string]struct{ old, heard, text, want string }{
		"not said":       {"en", "multi", "bonjour", "en"},
		"nothing known":  {"", "multi", "bonjour", ""},
		"another":        {"en", "fr", "bonjour", "fr"},
		"too short":      {"en", "fr", "salut", "en"},
		"the first":      {"", "fr", "oui", "fr"},
		"automatic":      {"en", "auto", "bonjour", "en"},
		"without a name": {"en", "", "bonjour", "en"},
	} {
		t.Run(name, func(t *testing.T) {
			m := New(options())
			m.user.language = c.old
			m.hear(STT{Text: c.text, Language: c.heard})
			require.Equal(t, c.want, m.user.language)
		})
	}
}

// The table of commits, and of what comes after one.
func TestCommit(t *testing.T) {
	manual := options(detect(Manual))
	commit := func(n float64, id uint64) timed { return on(n, Commit{ID: id, Timeout: 2 * time.Second}) }
	talk := []timed{on(550, VADStart{Speech: ms(50)}), on(1000, VADInference{Speaking: true, Speech: ms(500), RawSpeech: ms(500)}),
		on(1250, VADEnd{Speech: ms(500), Silence: ms(250)})}
	with := func(script ...timed) []timed { return append(talk[:3:3], script...) }
	for name, c := range map[string]struct {
		o      Options
		script []timed
		want   string
	}{
		"nothing without it":     {manual, with(final(1300, "a")), ""},
		"a fresh final":          {manual, with(final(1300, "a"), commit(1350, 1)), `1350 commit 1 "a"` + "\n" + `1500 end 1 "a" manual 500-1000 +300 +500`},
		"the delay is over":      {manual, with(final(1300, "a"), commit(1700, 1)), `1700 commit 1 "a"` + "\n" + `1700 end 1 "a" manual 500-1000 +300 +700`},
		"an old final":           {manual, with(final(1100, "a"), commit(1650, 1)), "1650 flush stt 0\n" + `3650 commit 1 "a"` + "\n" + `3650 end 1 "a" manual 500-1000 +100 +2650`},
		"a final comes":          {manual, with(commit(1350, 1), final(1600, "a")), "1350 flush stt 0\n" + `1600 commit 1 "a"` + "\n" + `1600 end 1 "a" manual 500-1000 +600 +600`},
		"an empty final comes":   {manual, with(commit(1350, 1), final(1600, "")), "1350 flush stt 0\n" + `1600 commit 1 ""` + "\n" + `1600 end 1 "" manual`},
		"only an interim":        {manual, with(commit(1350, 1), on(1600, STT{Type: STTInterim, Text: "a"})), "1350 flush stt 0\n" + `3350 final "a"` + "\n" + `3350 commit 1 "a"` + "\n" + `3350 end 1 "a" manual`},
		"input off":              {manual, with(on(1350, Commit{ID: 1, Timeout: ms(300), Silence: ms(500), InputOff: true})), "1350 flush stt 3\n" + `1650 commit 1 ""` + "\n" + `1650 end 1 "" manual`},
		"nothing was said":       {manual, []timed{on(100, Commit{ID: 1})}, `100 commit 1 ""` + "\n" + `600 end 1 "" manual`},
		"no time":                {manual, with(on(1350, Commit{ID: 1})), `1350 commit 1 ""` + "\n" + `1500 end 1 "" manual`},
		"no reply":               {manual, with(final(1300, "a"), on(1700, Commit{ID: 1, SkipReply: true})), `1700 commit 1 "a"` + "\n" + `1700 end 1 "a" manual 500-1000 +300 +700 skip`},
		"no reply, a final more": {manual, with(final(1300, "a"), on(1350, Commit{ID: 1, SkipReply: true}), final(1400, "b")), `1350 commit 1 "a"` + "\n" + `1500 end 1 "a b" stt 500-1000 +400 +500 skip`},
		"two commits":            {manual, with(commit(1350, 1), commit(1400, 2), final(1450, "a")), "1350 flush stt 0\n1400 commit 1 cancelled\n1400 flush stt 0\n" + `1450 commit 2 "a"` + "\n" + `1500 end 1 "a" manual 500-1000 +450 +500`},
		"cleared":                {manual, with(final(500, "a"), commit(1350, 1), on(1400, Clear{})), "1350 flush stt 0\n1400 commit 1 cancelled\n" + `1400 dropped "a" cleared` + "\n1400 recreate stt"},
		"closing":                {manual, with(commit(1350, 1), on(1400, Close{})), "1350 flush stt 0\n1400 commit 1 cancelled"},
		"no STT":                 {options(func(_ *Settings, m *Models) { m.STT = false }), []timed{commit(100, 1)}, `100 commit 1 ""`},
		"realtime": {options(detect(Manual), func(_ *Settings, m *Models) { m.STT, m.Realtime, m.LLM = false, true, false }), []timed{commit(100, 1), on(200, Commit{ID: 2, SkipReply: true})},
			"100 realtime commit true\n" + `100 commit 1 ""` + "\n200 realtime commit false\n" + `200 commit 2 ""`},
		"realtime with STT": {options(detect(Manual), func(_ *Settings, m *Models) { m.Realtime, m.LLM = true, false }), with(final(1300, "a"), commit(1700, 1)),
			"1700 realtime commit true\n" + `1700 commit 1 "a"` + "\n" + `1700 end 1 "a" manual 500-1000 +300 +700 skip`},
		"while voice ends turns":             {options(), []timed{talk[0], final(900, "a"), commit(950, 1)}, `950 commit 1 "a"` + "\n" + `1400 end 1 "a" manual 500-900 +0 +500`},
		"while voice ends turns, one answer": {options(), with(commit(1350, 1), final(2000, "a")), "1350 flush stt 0\n" + `2000 commit 1 "a"` + "\n" + `2000 end 1 "a" manual 500-1000 +1000 +1000`},
		"while voice ends turns, it waits": {options(), []timed{talk[0], talk[1], final(600, "a"), on(1200, Commit{ID: 1, Timeout: 2 * time.Second, SkipReply: true}), talk[2], final(1900, "b")},
			"1200 flush stt 0\n" + `1900 commit 1 "a b"` + "\n" + `1900 end 1 "a b" manual 500-1000 +900 +900 skip`},
		"it takes over": {options(), append(burst(), final(600, "a"), on(1200, Commit{ID: 1, Timeout: ms(500), SkipReply: true})),
			"1200 flush stt 0\n" + `1700 commit 1 "a"` + "\n" + `1700 end 1 "a" manual 500-1000 +0 +700 skip`},
		"noise does not take it back": {manual, with(final(1300, "a"), commit(1350, 1), on(1400, VADStart{Speech: ms(50)})), `1350 commit 1 "a"` + "\n" + `1500 end 1 "a" manual 500-1000 +300 +500`},

		"late interims":           {manual, with(final(1300, "a"), commit(1350, 1), on(1400, STT{Type: STTInterim, Text: "b"}), on(1600, STT{Type: STTInterim, Text: "b"})), `1350 commit 1 "a"` + "\n" + `1500 end 1 "a" manual 500-1000 +300 +500`},
		"a late final":            {manual, with(final(1300, "a"), commit(1350, 1), final(1600, "b")), `1350 commit 1 "a"` + "\n" + `1500 end 1 "a" manual 500-1000 +300 +500` + "\n" + `1600 dropped "b" late`},
		"a late final with times": {manual, with(on(0, AudioBegins{At: at(0)}), final(1300, "a"), commit(1350, 1), on(1600, STT{Type: STTFinal, Text: "b", End: ms(1400)}), on(2100, STT{Type: STTFinal, Text: "c", Start: ms(1600), End: ms(1900)}), commit(2200, 2)), `1350 commit 1 "a"` + "\n" + `1500 end 1 "a" manual 500-1000 +300 +500` + "\n" + `1600 dropped "b" late` + "\n" + `2200 commit 2 "c"` + "\n" + `2400 end 2 "c" manual`},
		"the next turn":           {manual, with(final(1300, "a"), commit(1350, 1), on(2000, VADStart{Speech: ms(50)}), on(2500, VADEnd{Silence: ms(250)}), final(2550, "b"), commit(2600, 2)), `1350 commit 1 "a"` + "\n" + `1500 end 1 "a" manual 500-1000 +300 +500` + "\n" + `2600 commit 2 "b"` + "\n" + `2750 end 2 "b" manual 1950-2250 +300 +500`},
		"the next, cleared":       {manual, with(final(1300, "a"), commit(1350, 1), on(2000, Clear{}), final(2550, "b"), commit(2600, 2)), `1350 commit 1 "a"` + "\n" + `1500 end 1 "a" manual 500-1000 +300 +500` + "\n2000 recreate stt\n" + `2600 commit 2 "b"` + "\n" + `3050 end 3 "b" manual`},
	} {
		t.Run(name, func(t *testing.T) {
			s := newSim(t, c.o).run(6000, c.script...)
			if !strings.Contains(c.want, "final") {
				s.only("commit", "end", "flush stt", "dropped", "recreate", "realtime")
			} else {
				s.only("commit", "end", "flush stt", "dropped", "final")
			}
			s.want(c.want)
		})
	}
}

// Scenario B7, and the rules of section 5 that are decided here.
func TestPrepare(t *testing.T) {
	for name, c := range map[string]struct {
		o      Options
		script []timed
		want   string
	}{
		"a final":         {options(), says(500, 2000, "hello you", 100, 500), `2100 prepare 1 "hello you"`},
		"off":             {options(func(s *Settings, _ *Models) { s.Preemptive.Enabled = ToggleOff }), userSays(500, 2000, "hello"), ""},
		"no LLM":          {options(func(_ *Settings, m *Models) { m.LLM = false }), userSays(500, 2000, "hello"), ""},
		"a speech":        {options(), append(userSays(500, 2000, "hello"), on(0, Current{Speech: 1})), ""},
		"it is over":      {options(), append(userSays(500, 2000, "hello"), on(0, Current{Speech: 1, Interrupted: true})), `2200 prepare 1 "hello"`},
		"blocked":         {options(), append(userSays(500, 2000, "hello"), on(0, Scheduling{Blocked: true})), ""},
		"long speech":     {options(), userSays(500, 10500, "hello"), ""},
		"speech of 10 s":  {options(), userSays(500, 10300, "hello"), `10500 prepare 1 "hello"`},
		"a preflight":     {options(), append(burst(), on(700, STT{Type: STTPreflight, Text: "a b"}), final(900, "a b")), `700 prepare 1 "a b"`},
		"it changed":      {options(), append(burst(), on(700, STT{Type: STTPreflight, Text: "a b"}), final(900, "a c")), `700 prepare 1 "a b"` + "\n900 drop prepared\n" + `900 prepare 1 "a c"`},
		"four times":      {options(), append(burst(), final(600, "a"), final(700, "b"), final(800, "c"), final(900, "d")), `600 prepare 1 "a"` + "\n700 drop prepared\n" + `700 prepare 1 "a b"` + "\n800 drop prepared\n" + `800 prepare 1 "a b c"` + "\n900 drop prepared"},
		"manual":          {options(detect(Manual)), append(burst(), on(700, STT{Type: STTPreflight, Text: "a b"}), final(900, "a b")), ""},
		"by the STT":      {options(detect(BySTT)), append(burst(), on(700, STT{Type: STTPreflight, Text: "a"}), final(900, "a b")), `700 prepare 1 "a"`},
		"the next turn":   {options(), append(userSays(500, 1000, "a"), userSays(3000, 3500, "b")...), `1200 prepare 1 "a"` + "\n" + `3700 prepare 2 "b"`},
		"cleared":         {options(), append(burst(), final(900, "a"), on(1200, Clear{})), `900 prepare 1 "a"` + "\n1200 drop prepared"},
		"machine":         {options(), append(burst(), final(900, "a"), on(1200, AnsweringMachine{Answered: true})), `900 prepare 1 "a"` + "\n1500 drop prepared"},
		"blocked at last": {options(), append(burst(), final(900, "a"), on(1200, Scheduling{Blocked: true})), `900 prepare 1 "a"` + "\n1500 drop prepared"},
	} {
		t.Run(name, func(t *testing.T) {
			newSim(t, c.o).run(12000, c.script...).only("prepare", "drop prepared").want(c.want)
		})
	}
}

// A turn names the requests and the language that it came from, and how sure the recogniser was.
func TestTurnNamesItsRequests(t *testing.T) {
	m := New(options())
	m.Step(at(550), VADStart{Speech: ms(50)})
	for _, id := range []string{"r1", "r1", "r2"} {
		m.Step(at(900), STT{Type: STTFinal, Text: "a", RequestID: id, Language: "en", Confidence: .5})
	}
	m.Step(at(1000), STT{Type: STTPreflight})
	require.Equal(t, UserSpeaking, m.UserState())
	for _, e := range m.Step(at(1500), VADEnd{Silence: ms(500)}) {
		if turn, ok := e.(EndTurn); ok {
			require.Equal(t, EndTurn{
				Turn: 1, Transcript: "a a a", Confidence: .5, Language: "en", RequestIDs: []string{"r1", "r2"}, Source: FromVAD,
				StartedSpeaking: at(500), StoppedSpeaking: at(1000), EndOfTurnDelay: ms(500), Delay: ms(500),
			}, turn)
			return
		}
	}
	require.Fail(t, "the turn did not end")
}

// T69.
func TestBurstsOfOneTurn(t *testing.T) {
	m := New(options())
	m.Step(at(550), VADStart{Speech: ms(50)})
	m.Step(at(5500), VADEnd{Speech: ms(4500), Silence: ms(500)})
	m.Step(at(6050), VADStart{Speech: ms(50)})
	require.Equal(t, at(500), m.user.turnStart)
	require.Equal(t, at(6000), m.user.speechStart)
}

func TestWords(t *testing.T) {
	for text, n := range map[string]int{"": 0, " ... ": 0, "Stop! ok, stop!": 3, "don't": 1, "你好吗": 3, "안녕 하세요": 2, "नमस्ते दुनिया": 2} {
		require.Equal(t, n, Words(text), text)
	}
}
