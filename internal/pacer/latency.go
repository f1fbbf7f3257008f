package pacer

import (
	"math/bits"
	"sync/atomic"
	"time"
)

// buckets hold times up to about two hours, with eight to each power of two microseconds.
const buckets = 256

// A Histogram counts times. Quantiles are right to an eighth.
type Histogram struct {
	counts [buckets]int64
}

// Count returns how many times were counted.
func (h Histogram) Count() (n int64) {
	for _, c := range h.counts {
		n += c
	}
	return n
}

// Quantile returns a time that at least that part, from 0 to 1, of what was counted does not exceed; 0 if there is
// nothing.
func (h Histogram) Quantile(q float64) time.Duration {
	total := h.Count()
	if total == 0 {
		return 0
	}
	need := max(int64(q*float64(total)+0.999999), 1)
	seen := int64(0)
	for i, c := range h.counts {
		if seen += c; seen >= need {
			return bound(i)
		}
	}
	return bound(buckets - 1)
}

// Sub returns what was counted since the histogram was old.
func (h Histogram) Sub(old Histogram) Histogram {
	for i := range h.counts {
		h.counts[i] -= old.counts[i]
	}
	return h
}

func bucket(d time.Duration) int {
	v := uint64(max(d, 0) / time.Microsecond)
	if v < 16 {
		return int(v)
	}
	shift := bits.Len64(v) - 4
	return min(shift*8+int(v>>shift), buckets-1)
}

// bound returns the end of a bucket.
func bound(i int) time.Duration {
	if i < 16 {
		return time.Duration(i) * time.Microsecond
	}
	shift := i/8 - 1
	return time.Duration(i-shift*8+1) << shift * time.Microsecond
}

// A recorder is a histogram that one goroutine writes and others read.
type recorder struct {
	counts [buckets]atomic.Int64
}

func (r *recorder) record(d time.Duration) { r.counts[bucket(d)].Add(1) }

func (r *recorder) addTo(h *Histogram) {
	for i := range r.counts {
		h.counts[i] += r.counts[i].Load()
	}
}
