package turn

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// A call on an Endpointing; times are in seconds.
type call func(*Endpointing)

func sec(n float64) time.Time { return t0.Add(time.Duration(n * float64(time.Second))) }

func agentStarts(n float64) call { return func(e *Endpointing) { e.AgentStarts(sec(n)) } }
func agentEnds(n float64) call   { return func(e *Endpointing) { e.AgentEnds(sec(n)) } }
func starts(n float64) call      { return func(e *Endpointing) { e.UserStarts(sec(n), false) } }
func overlaps(n float64) call    { return func(e *Endpointing) { e.UserStarts(sec(n), true) } }
func ends(n float64) call        { return func(e *Endpointing) { e.UserEnds(sec(n), false) } }
func ignored(n float64) call     { return func(e *Endpointing) { e.UserEnds(sec(n), true) } }
func minimum(n float64) call {
	return func(e *Endpointing) { o := e.opts; o.MinDelay = sec(n).Sub(t0); e.Update(o) }
}
func maximum(n float64) call {
	return func(e *Endpointing) { o := e.opts; o.MaxDelay = sec(n).Sub(t0); e.Update(o) }
}
func alpha(n float64) call { return func(e *Endpointing) { o := e.opts; o.Alpha = n; e.Update(o) } }

// T42–T49, T51 and T52: what a pause teaches, and what it does not.
func TestEndpointing(t *testing.T) {
	for name, c := range map[string]struct {
		calls    []call
		min, max float64
	}{
		"nothing learned":                                     {nil, .3, 1},
		"a pause is learned":                                  {[]call{ends(100), starts(100.4), ends(100.5)}, .35, 1},
		"a first utterance teaches nothing":                   {[]call{starts(100), ends(101)}, .3, 1},
		"an early interruption, below the least":              {[]call{ends(100), agentStarts(100.2), overlaps(100.25), ends(100.5)}, .3, 1},
		"an early interruption":                               {[]call{ends(100), agentStarts(100.15), overlaps(100.4), ends(100.5)}, .35, 1},
		"ignored within the grace":                            {[]call{ends(100), agentStarts(100.15), overlaps(100.35), ignored(100.5)}, .325, 1},
		"ignored":                                             {[]call{ends(100), agentStarts(100.2), overlaps(101.5), ignored(102)}, .3, 1},
		"ignored, later agent":                                {[]call{ends(100), agentStarts(100.5), overlaps(101.5), ignored(102)}, .3, 1},
		"a late interruption":                                 {[]call{ends(100), agentStarts(100.9), overlaps(101.8), ends(102)}, .3, 1},
		"the agent spoke":                                     {[]call{ends(100), agentStarts(100.5), agentEnds(101), starts(101.5), ends(102)}, .3, 1},
		"the agent spoke, ignored":                            {[]call{ends(100), agentStarts(100.5), agentEnds(101), starts(101.5), ignored(102)}, .3, 1},
		"to be ignored without overlap":                       {[]call{ends(100), starts(100.4), ignored(100.5)}, .35, 1},
		"learned, then a lower ceiling":                       {[]call{ends(100), starts(101), ends(101.5), maximum(.5)}, .5, .5},
		"the ceiling is lifted again":                         {[]call{ends(100), starts(101), ends(101.5), maximum(.5), maximum(1)}, .65, 1},
		"a least above the ceiling":                           {[]call{minimum(1.5)}, 1, 1},
		"another least forgets":                               {[]call{ends(100), starts(101), ends(101.5), minimum(.4)}, .4, 1},
		"another weight does not":                             {[]call{ends(100), starts(101), ends(101.5), alpha(.9)}, .65, 1},
		"two pauses":                                          {[]call{ends(100), starts(100.8), ends(101), starts(101.8), ends(102)}, .675, 1},
		"ignored after the agent was resumed":                 {[]call{ends(100), agentStarts(100.2), overlaps(100.4), agentEnds(100.6), agentStarts(100.7), ignored(101)}, .3, 1},
		"a pause that an ignored one came in teaches nothing": {[]call{ends(100), agentStarts(100.2), overlaps(101.5), ignored(102), agentEnds(102), starts(102.4), ends(103)}, .3, 1},
	} {
		t.Run(name, func(t *testing.T) {
			e := NewEndpointing(EndpointingOptions{Mode: Dynamic, MinDelay: ms(300), MaxDelay: time.Second, Alpha: .5})
			for _, f := range c.calls {
				f(e)
			}
			require.InDelta(t, c.min, e.MinDelay().Seconds(), 1e-6)
			require.InDelta(t, c.max, e.MaxDelay().Seconds(), 1e-6)
		})
	}
}

// JavaScript's rule: a speech that is resumed under the user's voice overlaps again.
func TestEndpointingOverlapsAgain(t *testing.T) {
	e := NewEndpointing(EndpointingOptions{Mode: Dynamic, MinDelay: ms(300), MaxDelay: time.Second, Alpha: .5})
	for _, f := range []call{ends(100), agentStarts(100.2), overlaps(100.4), agentEnds(100.6)} {
		f(e)
	}
	require.False(t, e.Overlapping())
	agentStarts(100.7)(e)
	require.True(t, e.Overlapping())
}

// T50.
func TestEndpointingPinsTheMissingEnd(t *testing.T) {
	e := NewEndpointing(EndpointingOptions{Mode: Dynamic, MinDelay: ms(60), MaxDelay: time.Second, Alpha: 1})
	for _, f := range []call{ends(99), starts(100), agentStarts(100.2), overlaps(100.25)} {
		f(e)
	}
	require.Equal(t, sec(100.2).Add(-time.Millisecond), e.userEnd)
	ends(100.5)(e)
	require.Equal(t, ms(60), e.MinDelay())
	require.Equal(t, time.Second, e.MaxDelay())
}

// T43 and T46: what was learned of, and what is to be ignored, is forgotten.
func TestEndpointingForgets(t *testing.T) {
	for name, c := range map[string]struct {
		calls []call
		user  bool // of the utterance too
	}{
		"an early interruption": {[]call{ends(100), agentStarts(100.2), overlaps(100.25), ends(100.5)}, false},
		"ignored":               {[]call{ends(100), agentStarts(100.2), overlaps(101.5), ignored(102)}, true},
		"ignored, later agent":  {[]call{ends(100), agentStarts(100.5), overlaps(101.5), ignored(102)}, true},
	} {
		t.Run(name, func(t *testing.T) {
			e := NewEndpointing(EndpointingOptions{Mode: Dynamic, MinDelay: ms(300), MaxDelay: time.Second, Alpha: .5})
			for _, f := range c.calls {
				f(e)
			}
			require.False(t, e.Overlapping())
			if c.user {
				require.Zero(t, e.userStart)
				require.Zero(t, e.userEnd)
				return
			}
			require.Equal(t, sec(100.5), e.userEnd)
			require.Zero(t, e.agentStart)
			require.Zero(t, e.agentEnd)
		})
	}
}

// T52: each pause has its share in what is learned.
func TestEndpointingLearns(t *testing.T) {
	e := NewEndpointing(EndpointingOptions{Mode: Dynamic, MinDelay: 10 * time.Second, MaxDelay: time.Minute, Alpha: .5})
	var learned []time.Duration
	for _, f := range []call{ends(100), starts(120), ends(121), starts(141), ends(142)} {
		f(e)
		learned = append(learned, e.MinDelay())
	}
	require.Equal(t, []time.Duration{ms(10000), ms(10000), ms(15000), ms(15000), ms(17500)}, learned)
}

// T52: what is not dynamic is fixed, and learns nothing.
func TestFixedEndpointing(t *testing.T) {
	e := NewEndpointing(EndpointingOptions{Mode: Fixed, MinDelay: ms(300), MaxDelay: time.Second, Alpha: .5})
	for _, f := range []call{ends(100), starts(100.9), ends(101)} {
		f(e)
	}
	require.Equal(t, ms(300), e.MinDelay())
	overlaps(102)(e)
	require.True(t, e.Overlapping())
	ends(103)(e)
	require.False(t, e.Overlapping())
}

func FuzzEndpointing(f *testing.F) {
	f.Add([]byte{0, 1, 2, 3, 4, 5, 6})
	f.Fuzz(func(t *testing.T, data []byte) {
		e := NewEndpointing(EndpointingOptions{Mode: Dynamic, MinDelay: ms(300), MaxDelay: time.Second, Alpha: .5})
		now := t0
		for _, b := range data {
			now = now.Add(ms(float64(b>>3) * 40))
			switch b & 7 {
			case 0:
				e.AgentStarts(now)
			case 1:
				e.AgentEnds(now)
			case 2, 3:
				e.UserStarts(now, b&1 == 0)
			case 4, 5:
				e.UserEnds(now, b&1 == 0)
				require.False(t, e.Overlapping())
			case 6:
				o := e.opts
				o.MaxDelay = ms(float64(b) * 10)
				e.Update(o)
			}
			require.LessOrEqual(t, e.MinDelay(), e.MaxDelay())
			require.GreaterOrEqual(t, e.MinDelay(), min(ms(300), e.MaxDelay()))
		}
	})
}
