package livekit

import (
	"slices"
	"time"
)

const (
	// jitterWait is how long a packet is waited for once later ones are there: as long as it takes to be sent again.
	jitterWait = 60 * time.Millisecond
	// jitterHold is how many packets are held meanwhile.
	jitterHold = 6
	// jitterLeap is how far sequence numbers leap before it means that the sender has begun anew.
	jitterLeap = 500
	// concealable is how many packets in a row can be made up for.
	concealable = 6
)

// A jitter puts the packets of a stream in order. A packet that comes in order, as nearly all do, is passed on at once
// and costs no delay; one that comes early is held until those before it have come or are given up. It counts sequence
// numbers only, and is not safe for concurrent use.
type jitter struct {
	next    uint16
	started bool
	held    []heldPacket // by sequence number
	spare   [][]byte
}

type heldPacket struct {
	seq     uint16
	payload []byte
	at      time.Time
}

// push takes a packet, which is lent. play is called for each packet whose turn it is, with how many are missing before
// it.
func (j *jitter) push(seq uint16, payload []byte, now time.Time, play func(lost int, payload []byte)) {
	ahead := int(int16(seq - j.next))
	switch {
	case !j.started || ahead > jitterLeap || ahead < -jitterLeap:
		j.flush(play)
		j.started, j.next = true, seq+1
		play(0, payload)
	case ahead < 0: // it was given up, or came twice
		return
	case ahead == 0:
		j.next++
		play(0, payload)
		j.release(play)
	default:
		i, found := slices.BinarySearchFunc(j.held, ahead, func(h heldPacket, ahead int) int { return int(int16(h.seq-j.next)) - ahead })
		if found {
			return
		}
		var buf []byte
		if n := len(j.spare); n > 0 {
			buf, j.spare = j.spare[n-1], j.spare[:n-1]
		}
		j.held = slices.Insert(j.held, i, heldPacket{seq, append(buf[:0], payload...), now})
	}
	j.expire(now, play)
}

// release plays the held packets that are next.
func (j *jitter) release(play func(lost int, payload []byte)) {
	for len(j.held) > 0 && j.held[0].seq == j.next {
		j.playHeld(0, play)
	}
}

func (j *jitter) playHeld(lost int, play func(lost int, payload []byte)) {
	h := j.held[0]
	j.held = slices.Delete(j.held, 0, 1)
	j.next = h.seq + 1
	play(lost, h.payload)
	j.spare = append(j.spare, h.payload)
}

// expire gives up what was waited for long enough.
func (j *jitter) expire(now time.Time, play func(lost int, payload []byte)) {
	for len(j.held) > 0 && (len(j.held) > jitterHold || !now.Before(j.due())) {
		j.playHeld(int(j.held[0].seq-j.next), play)
		j.release(play)
	}
}

// due is when to call expire, or zero.
func (j *jitter) due() time.Time {
	var first time.Time
	for _, h := range j.held {
		if first.IsZero() || h.at.Before(first) {
			first = h.at
		}
	}
	if first.IsZero() {
		return first
	}
	return first.Add(jitterWait)
}

// flush plays what is held, and begins anew.
func (j *jitter) flush(play func(lost int, payload []byte)) {
	for len(j.held) > 0 {
		j.playHeld(int(j.held[0].seq-j.next), play)
	}
	j.started = false
}
