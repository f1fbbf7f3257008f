package livekit

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"

	pb "github.com/livekit/protocol/livekit"
	lksdk "github.com/livekit/server-sdk-go/v2"

	agents "github.com/parley-voice/agents"
)

// roomKeys are the keys of the telephone of the linked participant, and of nobody else, in both directions.
type roomKeys struct {
	io   *RoomIO
	keys chan agents.DTMF
	done chan struct{}
	once sync.Once
}

var (
	_ agents.DTMFInput  = (*roomKeys)(nil)
	_ agents.DTMFOutput = (*roomKeys)(nil)
)

func newRoomKeys(io *RoomIO) *roomKeys {
	return &roomKeys{io: io, keys: make(chan agents.DTMF, 64), done: make(chan struct{})}
}

// keyPressed takes a key that somebody in the room has pressed.
func (r *RoomIO) keyPressed(key *pb.SipDTMF, sender string) {
	if p := r.Participant(); p == nil || p.Identity() != sender {
		return
	}
	digits, err := agents.ParseDTMF(key.GetDigit())
	if err != nil || len(digits) != 1 {
		r.log.Warn("what was pressed is not a key")
		return
	}
	select {
	case r.keys.keys <- digits[0]:
	default:
		r.log.Warn("a key was dropped: the session does not take them")
	}
}

// ReadDTMF implements [agents.DTMFInput].
func (k *roomKeys) ReadDTMF(ctx context.Context) (agents.DTMF, error) {
	if ctx.Err() != nil {
		return 0, context.Cause(ctx)
	}
	select {
	case key := <-k.keys:
		return key, nil
	case <-k.done:
		return 0, io.EOF
	case <-ctx.Done():
		return 0, context.Cause(ctx)
	}
}

var errNobody = errors.New("livekit: no participant is linked")

// SendDTMF implements [agents.DTMFOutput].
func (k *roomKeys) SendDTMF(ctx context.Context, key agents.DTMF) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	if !key.Valid() {
		return fmt.Errorf("livekit: %v is not a key", key)
	}
	p := k.io.Participant()
	if p == nil {
		return errNobody
	}
	err := k.io.room.LocalParticipant.PublishDataPacket(&pb.SipDTMF{Code: uint32(key.Code()), Digit: key.String()},
		lksdk.WithDataPublishReliable(true), lksdk.WithDataPublishDestination([]string{p.Identity()}))
	if err != nil {
		return fmt.Errorf("livekit: sending a key: %w", tokensOnly.err(err))
	}
	return nil
}

func (k *roomKeys) close() { k.once.Do(func() { close(k.done) }) }
