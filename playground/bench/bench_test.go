package main

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// TestMain is the program itself where that starts itself.
func TestMain(m *testing.M) {
	if os.Getenv(role) != "" {
		main()
		return
	}
	os.Exit(m.Run())
}

// A short run gives a table with figures: the agent came, answered and was heard, and both processes cost something.
func TestTheTableHasFigures(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	var out bytes.Buffer
	require.NoError(t, run(ctx, []string{"-sessions", "2", "-turns", "1", "-hold", "1s"}, &out))
	var line []string
	for l := range strings.Lines(out.String()) {
		if f := strings.Fields(l); len(f) == 14 && f[0] == "2" {
			line = f
		}
	}
	require.NotNil(t, line, "%s", out.String())
	figure := func(i int) (v float64) {
		_, err := fmt.Sscan(line[i], &v)
		require.NoError(t, err, "%s", line[i])
		return v
	}
	require.Greater(t, figure(1), 0.0, "the agent came")
	require.Greater(t, figure(3), 0.0, "it answered")
	require.Zero(t, figure(5), "failed turns")
	require.Greater(t, figure(6), 0.0, "memory")
	require.Greater(t, figure(9), 0.0, "no agent was heard while both sides talked")
	require.Greater(t, figure(11), 0.0, "the worker's share")
	require.Greater(t, figure(12), 0.0, "the server's share")
}

// What cannot be measured is an error.
func TestBadArguments(t *testing.T) {
	for _, args := range [][]string{{"-sessions", "0"}, {"-sessions", "two"}, {"-no-such-flag"}} {
		require.Error(t, run(t.Context(), args, &bytes.Buffer{}), "%q", args)
	}
}
