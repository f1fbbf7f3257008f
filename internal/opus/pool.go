package opus

import "sync"

// format is what a codec is made for and cannot change.
type format struct{ sampleRate, channels int }

// A decoderPool keeps decoders that are not in use, up to a bound; what is over is left to the garbage collector. It
// never waits. Encoders are not pooled: see [encoder.Reset].
type decoderPool struct {
	mu    sync.Mutex
	idle  map[format][]*decoderCodec
	count int
}

// maxIdle bounds the pool. 16 decoders of some 300 kB serve the coming and going of hundreds of sessions; keeping more
// would cost memory to save a fraction of a millisecond each.
const maxIdle = 16

// get takes the decoder that was put last, whose memory is likeliest in cache, or returns nil.
func (p *decoderPool) get(f format) *decoderCodec {
	p.mu.Lock()
	defer p.mu.Unlock()
	list := p.idle[f]
	if len(list) == 0 {
		return nil
	}
	last := len(list) - 1
	codec := list[last]
	list[last] = nil
	p.idle[f] = list[:last]
	p.count--
	return codec
}

func (p *decoderPool) put(f format, codec *decoderCodec) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.count >= maxIdle {
		return
	}
	if p.idle == nil {
		p.idle = make(map[format][]*decoderCodec)
	}
	p.idle[f] = append(p.idle[f], codec)
	p.count++
}
