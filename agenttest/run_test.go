package agenttest

import (
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"
)

// failing holds tests that fail. They run in a process of their own.
var failing = map[string]func(t *testing.T){
	"error":    func(t *testing.T) { Explore(t, 9, failAtThree(func(t *testing.T) { t.Error("on purpose") })) },
	"fatal":    func(t *testing.T) { Explore(t, 9, failAtThree(func(t *testing.T) { t.Fatal("on purpose") })) },
	"left":     func(t *testing.T) { Explore(t, 9, failAtThree(func(*testing.T) { go neverEnds() })) },
	"deadlock": func(t *testing.T) { Explore(t, 9, failAtThree(func(*testing.T) { neverEnds() })) },
	"panic":    func(t *testing.T) { Explore(t, 9, failAtThree(func(*testing.T) { panic("on purpose") })) },
	"open": func(t *testing.T) {
		Run(t, func(t *testing.T) {
			var log []string
			newLooper(t, &log)
		})
	},
	"settle": func(t *testing.T) { Settle(t) },
}

// failAtThree returns a test that runs f in its third run.
func failAtThree(f func(t *testing.T)) func(t *testing.T) {
	runs := 0
	return func(t *testing.T) {
		runs++
		t.Logf("run %d", runs)
		if runs == 3 || seedFlag != "" {
			f(t)
		}
	}
}

func neverEnds() { select {} }

func TestFailing(t *testing.T) {
	name := os.Getenv("AGENTTEST_FAILING")
	if name == "" {
		t.Skip("this is run by TestFailures")
	}
	failing[name](t)
}

func TestFailures(t *testing.T) {
	const rerun = "agenttest: failed under seed 3; run it again with: PARLEY_SEED=3 go test -run '^TestFailing$' (or with the flag -agenttest.seed=3)"
	tests := []struct {
		name string
		flag string
		want []string
	}{
		{"error", "", []string{"run 3", "on purpose", rerun}},
		{"fatal", "", []string{"run 3", "on purpose", rerun}},
		{"fatal", "-agenttest.seed=7", []string{"run 1", "on purpose", "failed under seed 7;"}},
		{"left", "", []string{"run 3", "deadlock: main bubble goroutine has exited", "agenttest.neverEnds", rerun}},
		{"deadlock", "", []string{"run 3", "deadlock: all goroutines in bubble are blocked", "agenttest.neverEnds", rerun}},
		{"panic", "", []string{"run 3", "panic: on purpose", rerun}},
		{"open", "", []string{"agenttest: at the end of the test not closed: session s1"}},
		{"settle", "", []string{"agenttest: Settle outside of Run and Explore"}},
	}
	for _, test := range tests {
		t.Run(test.name+test.flag, func(t *testing.T) {
			t.Parallel()
			cmd := exec.Command(os.Args[0], "-test.run=^TestFailing$", "-test.v")
			if test.flag != "" {
				cmd.Args = append(cmd.Args, test.flag)
			}
			cmd.Env = append(os.Environ(), "AGENTTEST_FAILING="+test.name)
			out, err := cmd.CombinedOutput()
			if err == nil {
				t.Errorf("the test passed")
			}
			for _, want := range test.want {
				if !strings.Contains(string(out), want) {
					t.Errorf("the output has no %q:\n%s", want, out)
				}
			}
			if strings.Contains(string(out), "run 4") {
				t.Errorf("it went on after the failure:\n%s", out)
			}
		})
	}
}

func TestExploreRunsEachSeed(t *testing.T) {
	runs := 0
	Explore(t, 5, func(t *testing.T) {
		runs++
		begin := time.Now()
		time.Sleep(time.Hour)
		if d := time.Since(begin); d != time.Hour {
			t.Errorf("an hour took %v", d)
		}
	})
	if runs != 5 {
		t.Errorf("ran %d times", runs)
	}
	Explore(t, 0, func(t *testing.T) { t.Error("ran") })
}

func TestChosenSeed(t *testing.T) {
	for _, test := range []struct{ flag, env, want string }{
		{"", "", "none"},
		{"7", "8", "7"},
		{"", "8", "8"},
		{"x", "", `the flag -agenttest.seed is not a seed: "x"`},
		{"", "-1", `PARLEY_SEED is not a seed: "-1"`},
	} {
		got := "none"
		seed, err := chosenSeed(test.flag, test.env)
		if err != nil {
			got = err.Error()
		} else if seed != nil {
			got = strings.TrimSpace(strings.Fields(rerunLine("T", *seed))[4])
			got = strings.TrimSuffix(got, ";")
		}
		if got != test.want {
			t.Errorf("flag %q, environment %q: got %s, want %s", test.flag, test.env, got, test.want)
		}
	}
}

func TestContextOutsideOfABubble(t *testing.T) {
	if Context(t) != t.Context() {
		t.Error("there is an order outside of Run")
	}
}
