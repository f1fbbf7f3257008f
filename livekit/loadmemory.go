package livekit

import (
	"io/fs"
	"os"
	"strconv"
	"strings"
	"time"
)

const (
	memoryInterval = 5 * time.Second
	memoryCooldown = 120 * time.Second
	memoryGrowthMB = 50
)

// A memoryWatch decides when the process's memory is worth a warning: when it is over the limit, at most every two
// minutes, unless it has grown much since the last warning.
type memoryWatch struct {
	warnMB int

	baseline float64 // the first sample
	known    bool
	warned   time.Time
	warnedMB float64
}

// A memoryWarning is what to say.
type memoryWarning struct {
	usageMB, warnMB, baselineMB, growthMB float64
	compared                              bool // with a baseline
}

func (m *memoryWatch) sample(now time.Time, mb float64) *memoryWarning {
	first := !m.known
	if first {
		m.baseline, m.known = mb, true
	}
	if mb < float64(m.warnMB) {
		return nil
	}
	if !m.warned.IsZero() && now.Sub(m.warned) < memoryCooldown && mb-m.warnedMB < memoryGrowthMB {
		return nil
	}
	m.warned, m.warnedMB = now, mb
	return &memoryWarning{mb, float64(m.warnMB), m.baseline, mb - m.baseline, !first}
}

func (w *memoryWarning) attrs() []any {
	attrs := []any{"usage_mb", w.usageMB, "warn_mb", w.warnMB}
	if w.compared {
		attrs = append(attrs, "baseline_mb", w.baselineMB, "growth_mb", w.growthMB)
	}
	return attrs
}

// readMemory reads the process's share of memory, or else what it has in memory, in MB.
func readMemory(fsys fs.FS) (mb float64, metric string, ok bool) {
	if data, err := fs.ReadFile(fsys, "proc/self/smaps_rollup"); err == nil {
		for line := range strings.Lines(string(data)) {
			if fields := strings.Fields(line); len(fields) >= 2 && fields[0] == "Pss:" {
				if kb, err := strconv.ParseFloat(fields[1], 64); err == nil {
					return kb / 1024, "pss", true
				}
			}
		}
	}
	if data, err := fs.ReadFile(fsys, "proc/self/statm"); err == nil {
		if fields := strings.Fields(string(data)); len(fields) >= 2 {
			if pages, err := strconv.ParseFloat(fields[1], 64); err == nil {
				return pages * float64(os.Getpagesize()) / (1 << 20), "rss", true
			}
		}
	}
	return 0, "", false
}
