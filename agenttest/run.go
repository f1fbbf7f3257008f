package agenttest

import (
	"context"
	"flag"
	"fmt"
	"os"
	"regexp"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"

	"github.com/parley-voice/agents/internal/order"
)

// seedEnv names the environment variable that does what the flag -agenttest.seed does. Other than a flag, it can be
// set for packages that do not import agenttest.
const seedEnv = "PARLEY_SEED"

var seedFlag string

func init() {
	if testing.Testing() {
		flag.StringVar(&seedFlag, "agenttest.seed", "", "run agenttest.Explore under this `seed` only")
	}
}

// envs holds the arbiter of each bubble by the bubble's test.
var envs sync.Map // testing.TB → *arbiter

// Run runs f in a bubble of its own virtual time, see [synctest.Test], and fixes the order in which the sessions that
// f starts take what happens at the same instant. The event log of a scripted conversation is therefore the same in
// every run.
//
// The test fails if f leaves a goroutine behind. f must use the t it is given; it must not call t.Run, t.Parallel or
// [synctest.Wait], for which there is [Settle].
func Run(t *testing.T, f func(t *testing.T)) {
	t.Helper()
	bubble(t, nil, "", f)
}

// Explore runs f as [Run] does, n times, each time with another order of what happens at the same instant. The order
// is made from a seed, 1 to n. It stops at the first seed under which f fails and says how to run f under that seed
// again: with the flag -agenttest.seed=N, or the environment variable PARLEY_SEED=N. With one of those set, f runs
// under that seed only.
func Explore(t *testing.T, n int, f func(t *testing.T)) {
	t.Helper()
	only, err := chosenSeed(seedFlag, os.Getenv(seedEnv))
	if err != nil {
		t.Fatalf("agenttest: %v", err)
	}
	first, last := uint64(1), uint64(max(n, 0))
	if only != nil {
		first, last = *only, *only
	}
	for seed := first; ; seed++ {
		if only == nil && seed > last {
			return
		}
		bubble(t, &seed, rerunLine(t.Name(), seed), f)
		if seed == last {
			return
		}
	}
}

func chosenSeed(fromFlag, fromEnv string) (*uint64, error) {
	s, name := fromFlag, "the flag -agenttest.seed"
	if s == "" {
		s, name = fromEnv, seedEnv
	}
	if s == "" {
		return nil, nil
	}
	seed, err := strconv.ParseUint(s, 10, 64)
	if err != nil {
		return nil, fmt.Errorf("%s is not a seed: %q", name, s)
	}
	return &seed, nil
}

func rerunLine(name string, seed uint64) string {
	var pattern []string
	for part := range strings.SplitSeq(name, "/") {
		pattern = append(pattern, "^"+regexp.QuoteMeta(part)+"$")
	}
	return fmt.Sprintf("agenttest: failed under seed %[1]d; run it again with: %[2]s=%[1]d go test -run '%[3]s' (or with the flag -agenttest.seed=%[1]d)",
		seed, seedEnv, strings.Join(pattern, "/"))
}

// bubble runs f in a bubble with an arbiter. If the test fails there, however it does, onFailure is logged.
func bubble(t *testing.T, seed *uint64, onFailure string, f func(t *testing.T)) {
	t.Helper()
	passed := false
	defer func() {
		t.Helper()
		// A deadlock of the bubble panics here, a failed test ends this goroutine.
		v := recover()
		if !passed && onFailure != "" {
			t.Log(onFailure)
		}
		switch msg := fmt.Sprint(v); {
		case v == nil:
		case strings.HasPrefix(msg, "deadlock:"):
			t.Fatalf("agenttest: %s\n%s", msg, bubbleStacks())
		default:
			panic(v)
		}
	}()
	synctest.Test(t, func(t *testing.T) {
		a := newArbiter(seed)
		envs.Store(testing.TB(t), a)
		// Registered first, so that it runs last, when what the test started has been closed.
		t.Cleanup(func() {
			if open := a.stop(); len(open) > 0 {
				t.Errorf("agenttest: at the end of the test not closed: session %s", strings.Join(open, ", "))
			}
			envs.Delete(testing.TB(t))
		})
		finished := false
		defer func() {
			if !finished && !t.Failed() && !t.Skipped() && onFailure != "" {
				t.Log(onFailure) // f panicked, and that will end the process
			}
		}()
		f(t)
		finished = true
	})
	passed = true
}

var bubbleHeader = regexp.MustCompile(`^goroutine \d+ .*synctest bubble`)

// bubbleStacks returns the stacks of all goroutines in bubbles.
func bubbleStacks() string {
	buf := make([]byte, 1<<20)
	buf = buf[:runtime.Stack(buf, true)]
	var stacks []string
	for stack := range strings.SplitSeq(string(buf), "\n\n") {
		if bubbleHeader.MatchString(stack) && !strings.Contains(stack, "agenttest.(*arbiter).run") {
			stacks = append(stacks, strings.TrimSpace(stack))
		}
	}
	return strings.Join(stacks, "\n\n")
}

// Context returns a context for tests that start a session by hand: the context of t, which within [Run] and [Explore]
// also has the session take messages in the order decided there. It is done when the test function has returned.
func Context(t testing.TB) context.Context {
	return withOrder(t.Context(), t)
}

func withOrder(ctx context.Context, t testing.TB) context.Context {
	if a := arbiterOf(t); a != nil {
		return order.With(ctx, a)
	}
	return ctx
}

func arbiterOf(t testing.TB) *arbiter {
	if a, ok := envs.Load(t); ok {
		return a.(*arbiter)
	}
	return nil
}

// Settle returns when nothing more happens at this instant: every other goroutine of the bubble waits for time to pass
// or for something from outside, and the sessions have taken all their messages. It takes the place of
// [synctest.Wait] within [Run] and [Explore]; outside, the test fails.
func Settle(t testing.TB) {
	t.Helper()
	a := arbiterOf(t)
	if a == nil {
		t.Fatalf("agenttest: Settle outside of Run and Explore")
	}
	a.settle()
}
