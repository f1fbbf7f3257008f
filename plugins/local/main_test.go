package local_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"
)

// noChildren fails the test if a process of this one is left, running or dead. Where there is no /proc it sees nothing.
// What a test gave up may take a moment to be gone.
func noChildren(t testing.TB) {
	t.Helper()
	var left []string
	if eventually(func() bool { left = children(); return len(left) == 0 }) {
		return
	}
	t.Errorf("processes are left: %q", left)
}

// eventually waits for what another process does, which nothing tells, and reports whether it came within some seconds.
func eventually(condition func() bool) bool {
	for end := time.Now().Add(10 * time.Second); time.Now().Before(end); <-time.After(5 * time.Millisecond) {
		if condition() {
			return true
		}
	}
	return condition()
}

// children returns the processes whose parent is this one.
func children() (left []string) {
	stats, _ := filepath.Glob("/proc/[0-9]*/stat")
	for _, name := range stats {
		b, err := os.ReadFile(name)
		if err != nil {
			continue // it has ended
		}
		// PID (NAME) STATE PARENT
		s := string(b)
		fields := strings.Fields(s[strings.LastIndexByte(s, ')')+1:])
		if len(fields) > 1 && fields[1] == strconv.Itoa(os.Getpid()) {
			left = append(left, fmt.Sprint(s[:strings.LastIndexByte(s, ')')+1], " ", fields[0]))
		}
	}
	return left
}
