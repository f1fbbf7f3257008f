package backgroundaudio

// A ring is a queue of samples. It grows when more is pushed than it has room for, and does not shrink.
type ring struct {
	buf   []int16
	first int
	n     int
}

func (r *ring) push(samples []int16) {
	if need := r.n + len(samples); need > len(r.buf) {
		buf := make([]int16, max(need, 2*len(r.buf)))
		r.n = r.peek(buf)
		r.buf, r.first = buf, 0
	}
	at := r.first + r.n
	if at >= len(r.buf) {
		at -= len(r.buf)
	}
	k := copy(r.buf[at:], samples)
	copy(r.buf, samples[k:])
	r.n += len(samples)
}

// pop fills as much of dst as there is, and returns how much that is.
func (r *ring) pop(dst []int16) int {
	n := r.peek(dst)
	if r.n -= n; r.n == 0 {
		r.first = 0
		return n
	}
	r.first = (r.first + n) % len(r.buf)
	return n
}

func (r *ring) peek(dst []int16) int {
	n := min(len(dst), r.n)
	k := copy(dst[:n], r.buf[r.first:])
	copy(dst[k:n], r.buf)
	return n
}

func (r *ring) clear() { r.first, r.n = 0, 0 }
