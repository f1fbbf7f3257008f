package ivr

import (
	"testing"

	"github.com/stretchr/testify/require"
)

// q and n say that it is quiet, or not; f that the timer is due. What follows is what is done: a timer is set or stopped,
// or the agent is asked to say something.
func TestSilence(t *testing.T) {
	for name, tt := range map[string]struct{ events, want string }{
		"silence":                           {"qf", "set, fire"},
		"somebody speaks before":            {"qn", "set, stop"},
		"and is silent again":               {"qnqf", "set, stop, set, fire"},
		"still quiet is nothing new":        {"qqqf", "set, -, -, fire"},
		"still not quiet neither":           {"nnq", "-, -, set"},
		"once for each silence":             {"qfqf", "set, fire, -, -"},
		"and again after the agent spoke":   {"qfnqf", "set, fire, -, set, fire"},
		"a timer that was stopped too late": {"qnf", "set, stop, -"},
	} {
		t.Run(name, func(t *testing.T) {
			var s Silence
			got := ""
			for i, e := range tt.events {
				if i > 0 {
					got += ", "
				}
				if e == 'f' {
					got += map[bool]string{true: "fire", false: "-"}[s.Fired()]
				} else {
					got += map[Timer]string{Keep: "-", Set: "set", Stop: "stop"}[s.Now(e == 'q')]
				}
			}
			require.Equal(t, tt.want, got)
		})
	}
}
