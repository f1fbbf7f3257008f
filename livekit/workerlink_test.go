package livekit

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	pb "github.com/livekit/protocol/livekit"
	"github.com/stretchr/testify/require"
)

// Each failure makes the wait longer, up to ten seconds; registering makes it start anew; giving up is for failures only.
func TestLink(t *testing.T) {
	start := time.Unix(1000, 0)
	for _, c := range []struct {
		name   string
		retry  int
		random float64
		steps  string // d: an attempt that fails, o: one whose socket opens, c: connected and soon lost, C: and lost later
		want   string
	}{
		{"failing", 16, 0, strings.Repeat("d", 17), "0 2 4 6 8 10 10 10 10 10 10 10 10 10 10 10 failed"},
		{"an open socket is no success", 3, 0, "oooo", "0 2 4 failed"},
		{"no retry", 0, 0, "d", "failed"},
		{"with jitter", 3, 1, "dddd", "1 1.5 3 failed"},
		{"lost after long", 3, 1, "ddCdd", "1 1.5 1 1.5 3"},
		{"lost at once, again and again: slower, but never given up", 3, 0, "ccccccc", "0 2 4 6 8 10 10"},
		{"registering counts from the beginning", 1, 0, "dcdcd", "0 2 4 6 8"},
	} {
		t.Run(c.name, func(t *testing.T) {
			l := link{maxRetry: c.retry}
			var got []string
			for _, step := range c.steps {
				now := start
				l.dial()
				require.Equal(t, linkConnecting, l.state)
				if step != 'd' {
					l.opened()
				}
				if step == 'c' || step == 'C' {
					l.connected(now)
					now = now.Add(map[rune]time.Duration{'c': time.Second, 'C': linkStable}[step])
				}
				delay, failed := l.lost(now, c.random)
				if failed {
					require.Equal(t, linkFailed, l.state)
					got = append(got, "failed")
					continue
				}
				require.Equal(t, linkWaiting, l.state)
				got = append(got, fmt.Sprint(delay.Seconds()))
			}
			require.Equal(t, c.want, strings.Join(got, " "))
		})
	}
}

// A slot is reserved or refused by what runs, what is reserved, the limit and the load with what the reserved will add.
func TestSlots(t *testing.T) {
	for _, c := range []struct {
		name string
		slots
		load      float64
		refusal   string
		effective float64
	}{
		{"free", slots{threshold: 0.7, expected: 4}, 0.5, "", 0.5},
		{"at the threshold", slots{threshold: 0.7, expected: 4}, 0.7, "load", 0.7},
		{"draining", slots{threshold: 0.7, draining: true}, 0, "draining", 0},
		{"the last place", slots{threshold: 0.7, max: 3, running: 2}, 0, "", 0},
		{"all taken", slots{threshold: 0.7, max: 3, running: 3}, 0, "all jobs taken", 0},
		{"the last place is promised", slots{threshold: 0.7, max: 3, running: 2, reserved: 1, expected: 4}, 0, "all jobs taken", 0.175},
		{"promised jobs count as the others", slots{threshold: 0.7, running: 4, reserved: 2}, 0.5, "load", 0.75},
		{"of two jobs' load little can be learnt", slots{threshold: 0.8, running: 2, reserved: 1, expected: 4}, 0.5, "", 0.7},
		{"promised to an idle worker", slots{threshold: 0.8, expected: 4, reserved: 2}, 0.1, "", 0.5},
		{"too many promised by an idle worker", slots{threshold: 0.8, expected: 4, reserved: 4}, 0, "load", 0.8},
		{"no threshold", slots{threshold: math.Inf(1), running: 1, reserved: 9}, 1, "", 1},
		{"no threshold, but a limit", slots{threshold: math.Inf(1), max: 1, running: 1}, 0, "all jobs taken", 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			require.InDelta(t, c.effective, c.slots.effective(c.load), 1e-12)
			require.Equal(t, c.refusal != "", c.slots.full(c.load))
			before := c.slots.reserved
			require.Equal(t, c.refusal, c.slots.reserve(c.load))
			require.Equal(t, c.refusal == "", c.slots.reserved == before+1)
		})
	}
}

// The share of jobs lets the last one be given, to whatever threshold, and not one more.
func TestSlotsShare(t *testing.T) {
	for _, threshold := range []float64{0.3, 0.7, 0.9, math.Inf(1)} {
		s := slots{threshold: threshold, max: 10, expected: 4}
		for range 10 {
			require.Less(t, s.share(), serverTargetLoad, "the server would give no more")
			require.Empty(t, s.reserve(s.share()))
			s.launch()
		}
		require.Equal(t, "all jobs taken", s.reserve(s.share()))
		s.end()
		require.Empty(t, s.reserve(s.share()))
		s.release()
		require.LessOrEqual(t, s.reported(s.share()), serverTargetLoad)
	}
	unlimited := slots{threshold: NoThreshold}
	require.Equal(t, unlimitedLoad, unlimited.reported(0.95), "the server skips a worker at 0.7")
}

// The processors' use is measured by the control group's counters, 2 or 1, the machine's or the process's, over the time
// that has really passed.
func TestCPUMeter(t *testing.T) {
	file := func(s string) *fstest.MapFile { return &fstest.MapFile{Data: []byte(s)} }
	for _, c := range []struct {
		name   string
		before fstest.MapFS
		name2  string
		after  string
		cpus   float64
		count  float64 // 0: the machine's
		want   float64 // × count
	}{
		{"version 2 with a quota", fstest.MapFS{cgroup2Stat: file("usage_usec 1000000\nuser_usec 5\n"), cgroup2Max: file("150000 50000\n")}, cgroup2Stat, "usage_usec 2500000\n", 0, 3, 0.75},
		{"version 2 without a period", fstest.MapFS{cgroup2Stat: file("usage_usec 0\n"), cgroup2Max: file("200000\n")}, cgroup2Stat, "usage_usec 1000000\n", 0, 2, 0.5},
		{"version 2 without a limit", fstest.MapFS{cgroup2Stat: file("usage_usec 0\n"), cgroup2Max: file("max 100000\n")}, cgroup2Stat, "usage_usec 500000\n", 0, 0, 0.25},
		{"given processors", fstest.MapFS{cgroup2Stat: file("usage_usec 0\n"), cgroup2Max: file("max 100000\n")}, cgroup2Stat, "usage_usec 1000000\n", 1, 1, 0.5},
		{"version 1", fstest.MapFS{cgroup1Usage: file("0\n"), cgroup1Quota: file("400000\n"), cgroup1Period: file("100000\n")}, cgroup1Usage, "4000000000\n", 0, 4, 2},
		{"version 1 without a quota", fstest.MapFS{cgroup1Usage: file("0\n"), cgroup1Quota: file("-1\n"), cgroup1Period: file("100000\n")}, cgroup1Usage, "1000000000\n", 0, 2, 0.5},
		{"version 1, less than a processor", fstest.MapFS{cgroup1Usage: file("0\n"), cgroup1Quota: file("50000\n"), cgroup1Period: file("100000\n")}, cgroup1Usage, "500000000\n", 0, 1, 0.25},
		{"the machine", fstest.MapFS{hostStat: file("cpu 100 0 100 5000 7 0 0 0 0 0\ncpu0 1\n")}, hostStat, "cpu 150 0 150 5900 9 0 0 0 0 0\n", 0, 0, 0.5},
	} {
		t.Run(c.name, func(t *testing.T) {
			m := newCPUMeter(c.before, c.cpus)
			if c.count != 0 {
				require.Equal(t, c.count, m.count)
			}
			start := time.Unix(1000, 0)
			_, ok := m.usage(start)
			require.False(t, ok, "one sample says nothing")
			c.before[c.name2] = file(c.after)
			usage, ok := m.usage(start.Add(2 * time.Second)) // a tick that came late
			require.True(t, ok)
			require.InDelta(t, min(c.want/m.count, 1), usage, 1e-9)
		})
	}
	own := newCPUMeter(fstest.MapFS{cgroup2Stat: file("nothing of use")}, 1)
	_, ok := own.busy()
	require.True(t, ok, "the process's own time is what is left")
}

// T19: a warning when over the limit, then at most every two minutes unless it grows by 50 MB.
func TestMemoryWatch(t *testing.T) {
	m := memoryWatch{warnMB: 1000}
	start := time.Unix(1000, 0)
	for _, c := range []struct {
		at   time.Duration
		mb   float64
		warn bool
	}{{0, 1100, true}, {5, 1110, false}, {10, 1120, false}, {121, 1130, true}, {126, 1181, true}, {131, 1200, false}, {300, 900, false}} {
		got := m.sample(start.Add(c.at*time.Second), c.mb)
		require.Equal(t, c.warn, got != nil, "at %v", c.at)
		if got != nil {
			require.Equal(t, c.at != 0, got.compared)
			require.Equal(t, c.at != 0, strings.Contains(fmt.Sprint(got.attrs()...), "growth_mb"))
		}
	}
	_, metric, ok := readMemory(fstest.MapFS{"proc/self/smaps_rollup": {Data: []byte("Rss: 5 kB\nPss:   2048 kB\n")}})
	require.True(t, ok)
	require.Equal(t, "pss", metric)
	_, metric, ok = readMemory(fstest.MapFS{"proc/self/statm": {Data: []byte("100 50 1 1 1 1 1\n")}})
	require.True(t, ok)
	require.Equal(t, "rss", metric)
}

// The outbox keeps the newest, one status a job, and across connections nothing but statuses.
func TestOutbox(t *testing.T) {
	status := func(id string, s pb.JobStatus) *pb.WorkerMessage {
		return &pb.WorkerMessage{Message: &pb.WorkerMessage_UpdateJob{UpdateJob: &pb.UpdateJobStatus{JobId: id, Status: s}}}
	}
	answer := &pb.WorkerMessage{Message: &pb.WorkerMessage_Availability{Availability: &pb.AvailabilityResponse{}}}
	b := newOutbox()
	b.put(status("a", pb.JobStatus_JS_RUNNING))
	b.put(answer)
	b.put(status("b", pb.JobStatus_JS_RUNNING))
	b.put(status("a", pb.JobStatus_JS_SUCCESS))
	b.disconnected()
	require.Len(t, b.queue, 2)
	first, err := b.next(t.Context())
	require.NoError(t, err)
	require.Equal(t, "b", first.msg.GetUpdateJob().JobId)
	second, err := b.next(t.Context())
	require.NoError(t, err)
	require.Equal(t, pb.JobStatus_JS_SUCCESS, second.msg.GetUpdateJob().Status)
	for range outboxLimit + 3 {
		b.put(answer)
	}
	require.Len(t, b.queue, outboxLimit)
	require.Equal(t, 3, b.dropped)
}

// What is secret is taken out of texts, values, errors and groups, in any form; errors still are what they were.
func TestSecrets(t *testing.T) {
	s := newSecrets("canary-secret", "can/ary key")
	token := "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJ4In0.abc-_123"
	for in, want := range map[string]string{
		"a canary-secret b":                           "a [redacted] b",
		"q=can%2Fary+key&x":                           "q=[redacted]&x",
		"Bearer " + token:                             "Bearer [redacted]",
		`Get "wss://u:p@host/agent?worker_token=zz":`: `Get "wss://host/agent":`,
		"nothing": "nothing",
	} {
		require.Equal(t, want, s.clean(in))
	}
	err := s.err(fmt.Errorf("with canary-secret: %w", io.ErrUnexpectedEOF))
	require.ErrorIs(t, err, io.ErrUnexpectedEOF)
	require.Nil(t, errors.Unwrap(err))
	require.NotContains(t, fmt.Sprintf("%v %+v %#v", err, err, err), "canary")
	require.NoError(t, s.err(nil))

	var out logBuffer
	log := s.logger(slog.New(slog.NewTextHandler(&out, nil)))
	log.With("a", "canary-secret").WithGroup("g").Info("m canary-secret", "b", fmt.Errorf("canary-secret"),
		slog.Group("c", "d", "canary-secret"), "e", struct{ S string }{"canary-secret"}, "f", token, "n", 7)
	require.NotContains(t, out.String(), "canary")
	require.NotContains(t, out.String(), "eyJ")
	require.Contains(t, out.String(), "g.n=7")
}
