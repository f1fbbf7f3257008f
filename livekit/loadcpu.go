package livekit

import (
	"bytes"
	"io/fs"
	"runtime"
	"strconv"
	"strings"
	"time"
)

// A cpuMeter measures the use of the processors that the process may use: those of its control group, of version 2 or
// 1, else those of the machine, else its own.
type cpuMeter struct {
	fsys  fs.FS
	count float64
	busy  func() (time.Duration, bool) // processor time used so far

	last     time.Duration
	lastTime time.Time
}

const (
	cgroup2Stat   = "sys/fs/cgroup/cpu.stat"
	cgroup2Max    = "sys/fs/cgroup/cpu.max"
	cgroup1Quota  = "sys/fs/cgroup/cpu/cpu.cfs_quota_us"
	cgroup1Period = "sys/fs/cgroup/cpu/cpu.cfs_period_us"
	cgroup1Usage  = "sys/fs/cgroup/cpuacct/cpuacct.usage"
	hostStat      = "proc/stat"
	// hostTick is the unit of the times in /proc/stat, on every machine that Go runs on.
	hostTick = 10 * time.Millisecond
)

// newCPUMeter finds out how to measure; a count other than 0 overrides what the files say.
func newCPUMeter(fsys fs.FS, count float64) *cpuMeter {
	m := &cpuMeter{fsys: fsys, count: float64(runtime.NumCPU())}
	exists := func(name string) bool { _, err := fs.Stat(fsys, name); return err == nil }
	switch {
	case exists(cgroup2Stat):
		m.busy = m.cgroup2
		if fields := strings.Fields(m.text(cgroup2Max)); len(fields) > 0 {
			period := 100000.0
			if len(fields) > 1 {
				if p, err := strconv.ParseFloat(fields[1], 64); err == nil && p > 0 {
					period = p
				}
			}
			if quota, err := strconv.ParseFloat(fields[0], 64); err == nil && quota > 0 {
				m.count = quota / period
			}
		}
	case exists(cgroup1Quota), exists(cgroup1Period), exists(cgroup1Usage):
		m.busy, m.count = m.cgroup1, 2
		quota, err1 := strconv.ParseFloat(m.text(cgroup1Quota), 64)
		period, err2 := strconv.ParseFloat(m.text(cgroup1Period), 64)
		if err1 == nil && err2 == nil && quota >= 0 && period > 0 {
			m.count = max(quota/period, 1)
		}
	case exists(hostStat):
		m.busy = m.host
	default:
		m.busy = processTime
	}
	if _, ok := m.busy(); !ok {
		m.busy = processTime
	}
	if count > 0 {
		m.count = count
	}
	return m
}

// usage is the share of the processors that was in use since the last call, by the time that has really passed.
func (m *cpuMeter) usage(now time.Time) (float64, bool) {
	busy, ok := m.busy()
	if !ok {
		return 0, false
	}
	used, elapsed, first := busy-m.last, now.Sub(m.lastTime), m.lastTime.IsZero()
	m.last, m.lastTime = busy, now
	if first || elapsed <= 0 {
		return 0, false
	}
	return min(max(used.Seconds()/(elapsed.Seconds()*m.count), 0), 1), true
}

func (m *cpuMeter) text(name string) string {
	data, _ := fs.ReadFile(m.fsys, name)
	return string(bytes.TrimSpace(data))
}

func (m *cpuMeter) cgroup2() (time.Duration, bool) {
	for line := range strings.Lines(m.text(cgroup2Stat)) {
		if value, ok := strings.CutPrefix(line, "usage_usec "); ok {
			us, err := strconv.ParseInt(strings.TrimSpace(value), 10, 64)
			return time.Duration(us) * time.Microsecond, err == nil
		}
	}
	return 0, false
}

func (m *cpuMeter) cgroup1() (time.Duration, bool) {
	ns, err := strconv.ParseInt(m.text(cgroup1Usage), 10, 64)
	return time.Duration(ns), err == nil
}

// host sums up all processors' time but the idle one: "cpu user nice system idle iowait irq softirq steal …".
func (m *cpuMeter) host() (time.Duration, bool) {
	line, _, _ := strings.Cut(m.text(hostStat), "\n")
	fields := strings.Fields(line)
	if len(fields) < 5 || fields[0] != "cpu" {
		return 0, false
	}
	var ticks int64
	for i, field := range fields[1:min(len(fields), 9)] {
		n, err := strconv.ParseInt(field, 10, 64)
		if err != nil {
			return 0, false
		}
		if i != 3 && i != 4 {
			ticks += n
		}
	}
	return time.Duration(ticks) * hostTick, true
}
