package turn

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// The table of what ends a turn.
func TestDetection(t *testing.T) {
	plain := Models{VAD: GivenVAD, STT: true, LLM: true}
	server := Models{VAD: GivenVAD, STT: true, Realtime: true, RealtimeTurns: true, RealtimeYields: true}
	client := Models{VAD: GivenVAD, STT: true, Realtime: true}
	without := func(m Models, f func(*Models)) Models { f(&m); return m }
	for name, c := range map[string]struct {
		asked Detection
		m     Models
		want  Detection
		warns int
	}{
		"default":                         {NotGiven, plain, Automatic, 0},
		"the default detector":            {NotGiven, without(plain, func(m *Models) { m.DefaultDetector = AudioDetector }), AudioDetector, 0},
		"opted out of it":                 {Automatic, without(plain, func(m *Models) { m.DefaultDetector = AudioDetector }), Automatic, 0},
		"audio, no VAD":                   {AudioDetector, without(plain, func(m *Models) { m.VAD = NoVAD }), Automatic, 1},
		"audio, the server pinned":        {AudioDetector, without(server, func(m *Models) { m.RealtimeYields = false }), Automatic, 1},
		"default audio, the server":       {NotGiven, without(server, func(m *Models) { m.DefaultDetector = AudioDetector }), Automatic, 0},
		"vad":                             {ByVAD, plain, ByVAD, 0},
		"vad without":                     {ByVAD, without(plain, func(m *Models) { m.VAD = NoVAD }), Automatic, 1},
		"stt without":                     {BySTT, without(plain, func(m *Models) { m.STT = false }), Automatic, 1},
		"realtime, the client":            {Realtime, client, Automatic, 1},
		"realtime, the server":            {Realtime, server, Realtime, 0},
		"realtime model, stt":             {BySTT, server, Automatic, 1},
		"realtime model, vad, pinned":     {ByVAD, without(server, func(m *Models) { m.RealtimeYields = false }), Automatic, 1},
		"realtime model, nothing":         {NotGiven, client, ByVAD, 0},
		"realtime model, default VAD":     {NotGiven, without(client, func(m *Models) { m.VAD = DefaultVAD }), Automatic, 0},
		"realtime model, manual":          {Manual, server, Manual, 0},
		"plain model, realtime":           {Realtime, plain, Automatic, 1},
		"text":                            {TextDetector, plain, TextDetector, 0},
		"manual":                          {Manual, plain, Manual, 0},
		"audio, the server told to leave": {AudioDetector, server, AudioDetector, 0},
	} {
		t.Run(name, func(t *testing.T) {
			o, warnings, err := Resolve(Settings{Detection: c.asked}, Settings{}, c.m)
			require.NoError(t, err)
			require.Equal(t, c.want, o.Detection)
			require.Len(t, warnings, c.warns)
		})
	}
}

// T85.
func TestWhoDetectsTurns(t *testing.T) {
	model := Models{VAD: GivenVAD, Realtime: true, RealtimeTurns: true, RealtimeYields: true, STT: true}
	change := func(f func(*Models)) Models { m := model; f(&m); return m }
	noVAD := func(m *Models) { m.VAD = NoVAD }
	adaptive := Settings{}
	adaptive.Interruption.Mode = InterruptByVAD
	for name, c := range map[string]struct {
		session, agent Settings
		m              Models
		want           bool
	}{
		"a detector that listens":    {Settings{Detection: AudioDetector}, Settings{}, model, false},
		"vad":                        {Settings{Detection: ByVAD}, Settings{}, model, false},
		"an agent's vad":             {Settings{}, Settings{Detection: ByVAD}, model, false},
		"a session's interruptions":  {adaptive, Settings{}, model, false},
		"an agent's interruptions":   {Settings{}, adaptive, model, false},
		"manual without VAD":         {Settings{Detection: Manual}, Settings{}, change(noVAD), false},
		"stt":                        {Settings{Detection: BySTT}, Settings{}, model, true},
		"nothing":                    {Settings{}, Settings{}, model, true},
		"the default detector":       {Settings{}, Settings{}, change(func(m *Models) { m.DefaultDetector = AudioDetector }), true},
		"realtime":                   {Settings{Detection: Realtime}, Settings{}, model, true},
		"vad without VAD":            {Settings{Detection: ByVAD}, Settings{}, change(noVAD), true},
		"vad, but it cannot be told": {Settings{Detection: ByVAD}, Settings{}, change(func(m *Models) { m.RealtimeYields = false }), true},
		"the model does not":         {Settings{}, Settings{}, change(func(m *Models) { m.RealtimeTurns = false }), false},
		"a plain model":              {Settings{}, Settings{}, Models{VAD: GivenVAD, LLM: true}, false},
	} {
		t.Run(name, func(t *testing.T) {
			o, _, err := Resolve(c.session, c.agent, c.m)
			require.NoError(t, err)
			require.Equal(t, c.want, o.RealtimeTurns)
		})
	}
	o, _, _ := Resolve(Settings{}, Settings{}, change(func(m *Models) { m.VAD = DefaultVAD }))
	require.Equal(t, NoVAD, o.VAD, "the default VAD is not used beside a server")
}

// Core 30.
func TestEndpointingOptions(t *testing.T) {
	listens := Models{VAD: DefaultVAD, STT: true, LLM: true, DefaultDetector: AudioDetector}
	var given, agent Settings
	given.Endpointing.MinDelay = ms(400)
	agent.Endpointing.MaxDelay = ms(900)
	agent.Endpointing.Mode = Dynamic
	for name, c := range map[string]struct {
		session, agent Settings
		min, max       time.Duration
	}{
		"default":              {Settings{}, Settings{}, ms(300), ms(2500)},
		"vad":                  {Settings{Detection: ByVAD}, Settings{}, ms(500), ms(3000)},
		"a least":              {given, Settings{}, ms(400), ms(2500)},
		"an agent's vad":       {Settings{}, Settings{Detection: ByVAD}, ms(500), ms(3000)},
		"a least and an agent": {given, Settings{Detection: ByVAD}, ms(400), ms(3000)},
		"an agent's own":       {given, agent, ms(400), ms(900)},
	} {
		t.Run(name, func(t *testing.T) {
			o, _, err := Resolve(c.session, c.agent, listens)
			require.NoError(t, err)
			require.Equal(t, c.min, o.Endpointing.MinDelay)
			require.Equal(t, c.max, o.Endpointing.MaxDelay)
			require.Equal(t, .9, o.Endpointing.Alpha)
		})
	}
	var off Settings
	off.Endpointing.MinDelay = Off
	o, _, _ := Resolve(off, Settings{}, listens)
	require.Zero(t, o.Endpointing.MinDelay)
}

// The defaults of the package comment.
func TestDefaults(t *testing.T) {
	o, warnings, err := Resolve(Settings{}, Settings{}, Models{VAD: DefaultVAD, STT: true, LLM: true})
	require.NoError(t, err)
	require.Empty(t, warnings)
	require.Equal(t, Options{
		Detection: Automatic, VAD: DefaultVAD, STT: true, LLM: true,
		Endpointing:   EndpointingOptions{Mode: Fixed, MinDelay: ms(500), MaxDelay: ms(3000), Alpha: .9},
		Interruptions: true, DiscardAudio: true, MinDuration: ms(500), Resume: true, FalseTimeout: ms(2000),
		Boundary:   [2]time.Duration{time.Second, time.Second},
		Preemptive: true, PreemptiveSpeech: ms(10000), PreemptiveRetries: 3,
		PredictionTimeout: time.Second, AECWarmup: ms(3000), AwayTimeout: ms(15000),
	}, o)
}

func TestMerge(t *testing.T) {
	var session, agent Settings
	session.Preemptive.Enabled = ToggleOff
	session.Preemptive.MaxRetries = 7
	agent.Preemptive.Enabled = ToggleOn
	agent.Interruption.Enabled = ToggleOff
	agent.Interruption.MinWords = 5 // of the session only
	o, _, err := Resolve(session, agent, Models{STT: true, LLM: true})
	require.NoError(t, err)
	require.True(t, o.Preemptive)
	require.Equal(t, 7, o.PreemptiveRetries)
	require.False(t, o.Interruptions)
	require.Zero(t, o.MinWords)
}

// T62 and T86.
func TestRefused(t *testing.T) {
	m := Models{VAD: GivenVAD, VADMinSilence: ms(100), STT: true, LLM: true}
	_, _, err := Resolve(Settings{Detection: AudioDetector}, Settings{}, m)
	require.ErrorContains(t, err, "250ms")
	for _, fine := range []struct {
		d       Detection
		silence float64
	}{{AudioDetector, 500}, {AudioDetector, 250}, {AudioDetector, 0}, {TextDetector, 100}, {Automatic, 100}} {
		m.VADMinSilence = ms(fine.silence)
		_, _, err = Resolve(Settings{Detection: fine.d}, Settings{}, m)
		require.NoError(t, err)
	}

	var off Settings
	off.Interruption.Enabled = ToggleOff
	rt := Models{Realtime: true, RealtimeTurns: true, RealtimeYields: true, VAD: GivenVAD}
	_, _, err = Resolve(off, Settings{}, rt)
	require.ErrorContains(t, err, "interruptions")
	_, _, err = Resolve(Settings{}, off, rt)
	require.Error(t, err)
	off.Detection = ByVAD
	_, _, err = Resolve(off, Settings{}, rt)
	require.NoError(t, err)

	off = Settings{}
	off.Endpointing.Alpha = 1.1
	_, _, err = Resolve(off, Settings{}, m)
	require.ErrorContains(t, err, "alpha")
}

// T84, and when a detector judges interruptions.
func TestAdaptiveOptions(t *testing.T) {
	full := Models{VAD: GivenVAD, STT: true, STTAligned: true, LLM: true, AdaptiveReady: true}
	rt := Models{VAD: GivenVAD, Realtime: true, RealtimeTurns: true, RealtimeYields: true, AdaptiveReady: true}
	change := func(m Models, f func(*Models)) Models { f(&m); return m }
	for name, c := range map[string]struct {
		mode  InterruptionMode
		d     Detection
		m     Models
		want  bool
		warns int
	}{
		"asked for":            {InterruptAdaptively, NotGiven, full, true, 0},
		"not asked for":        {"", NotGiven, full, false, 0},
		"hosted":               {"", NotGiven, change(full, func(m *Models) { m.Hosted = true }), true, 0},
		"by voice":             {InterruptByVAD, NotGiven, change(full, func(m *Models) { m.Hosted = true }), false, 0},
		"no credentials":       {InterruptAdaptively, NotGiven, change(full, func(m *Models) { m.AdaptiveReady = false }), false, 1},
		"no positions":         {InterruptAdaptively, NotGiven, change(full, func(m *Models) { m.STTAligned = false }), false, 1},
		"no VAD":               {InterruptAdaptively, NotGiven, change(full, func(m *Models) { m.VAD = NoVAD }), false, 1},
		"no STT":               {InterruptAdaptively, NotGiven, change(full, func(m *Models) { m.STT = false }), false, 1},
		"manual":               {InterruptAdaptively, Manual, full, false, 1},
		"realtime, the client": {InterruptAdaptively, NotGiven, rt, true, 0},
		"realtime, the server": {InterruptAdaptively, Realtime, rt, false, 1},
		"hosted, not possible": {"", Manual, change(full, func(m *Models) { m.Hosted = true }), false, 0},
	} {
		t.Run(name, func(t *testing.T) {
			s := Settings{Detection: c.d}
			s.Interruption.Mode = c.mode
			o, warnings, err := Resolve(s, Settings{}, c.m)
			require.NoError(t, err)
			require.Equal(t, c.want, o.Adaptive)
			require.Len(t, warnings, c.warns)
		})
	}
}
