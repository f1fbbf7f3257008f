package agents

import "sync"

// An audioLog holds the latest audio of a stream, in blocks, so that it grows and shrinks without being copied. Positions
// count values, of all channels, since the beginning. Once warm it does not allocate.
type audioLog struct {
	block  int           // values in a block
	blocks []*audioBlock // full but for the last
	first  int64         // the position of the first block
	start  int64         // the first value that is held
	end    int64         // the position after the last
}

type audioBlock struct{ values []int16 }

// freeBlocks are those that no log needs: what one session has had recognised, another may use for what it hears.
var freeBlocks sync.Pool

func (l *audioLog) append(values []int16) {
	for len(values) > 0 {
		n := len(l.blocks)
		if n == 0 || len(l.blocks[n-1].values) == l.block {
			if n == 0 {
				l.first = l.end
			}
			l.blocks = append(l.blocks, newAudioBlock(l.block))
			n++
		}
		last := l.blocks[n-1]
		take := min(l.block-len(last.values), len(values))
		last.values = append(last.values, values[:take]...)
		values = values[take:]
		l.end += int64(take)
	}
}

func newAudioBlock(size int) *audioBlock {
	b, _ := freeBlocks.Get().(*audioBlock)
	if b == nil || cap(b.values) < size {
		return &audioBlock{make([]int16, 0, size)}
	}
	b.values = b.values[:0]
	return b
}

// at returns values from a position on that is held, as many as lie together, and not more than n.
func (l *audioLog) at(position int64, n int) []int16 {
	i := int(position - l.first)
	b := l.blocks[i/l.block].values[i%l.block:]
	return b[:min(len(b), n)]
}

// drop forgets what is before a position.
func (l *audioLog) drop(before int64) {
	l.start = max(l.start, min(before, l.end))
	gone := 0
	for gone < len(l.blocks) && l.first+int64(l.block) <= l.start {
		freeBlocks.Put(l.blocks[gone])
		l.first += int64(l.block)
		gone++
	}
	if gone > 0 {
		rest := copy(l.blocks, l.blocks[gone:])
		clear(l.blocks[rest:])
		l.blocks = l.blocks[:rest]
	}
}
