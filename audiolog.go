package agents

// An audioLog holds the latest audio of a stream, in blocks, so that it grows and shrinks without being copied. Positions
// count values, of all channels, since the beginning. Once warm it does not allocate.
type audioLog struct {
	block  int       // values in a block
	blocks [][]int16 // full but for the last
	spare  [][]int16
	first  int64 // the position of the first block
	start  int64 // the first value that is held
	end    int64 // the position after the last
}

// spareBlocks is how many blocks are kept for later.
const spareBlocks = 2

func (l *audioLog) append(values []int16) {
	for len(values) > 0 {
		n := len(l.blocks)
		if n == 0 || len(l.blocks[n-1]) == l.block {
			if n == 0 {
				l.first = l.end
			}
			l.blocks = append(l.blocks, l.newBlock())
			n++
		}
		last := l.blocks[n-1]
		take := min(l.block-len(last), len(values))
		l.blocks[n-1] = append(last, values[:take]...)
		values = values[take:]
		l.end += int64(take)
	}
}

func (l *audioLog) newBlock() []int16 {
	if n := len(l.spare); n > 0 {
		b := l.spare[n-1]
		l.spare = l.spare[:n-1]
		return b[:0]
	}
	return make([]int16, 0, l.block)
}

// at returns values from a position on that is held, as many as lie together, and not more than n.
func (l *audioLog) at(position int64, n int) []int16 {
	i := int(position - l.first)
	b := l.blocks[i/l.block][i%l.block:]
	return b[:min(len(b), n)]
}

// drop forgets what is before a position.
func (l *audioLog) drop(before int64) {
	l.start = max(l.start, min(before, l.end))
	gone := 0
	for gone < len(l.blocks) && l.first+int64(l.block) <= l.start {
		if len(l.spare) < spareBlocks {
			l.spare = append(l.spare, l.blocks[gone])
		}
		l.first += int64(l.block)
		gone++
	}
	if gone > 0 {
		rest := copy(l.blocks, l.blocks[gone:])
		clear(l.blocks[rest:])
		l.blocks = l.blocks[:rest]
	}
}
