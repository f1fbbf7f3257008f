package livekit

import (
	"context"
	"errors"
	"fmt"

	pb "github.com/livekit/protocol/livekit"
	lksdk "github.com/livekit/server-sdk-go/v2"
	"github.com/twitchtv/twirp"
)

// API is a client for the server's APIs, with the worker's keys.
func (j *Job) API() *lksdk.LiveKitAPI {
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.api == nil {
		// It cannot fail: the worker's options have been checked, and the environment is not asked for what is given.
		j.api, _ = lksdk.NewLiveKitAPI(lksdk.WithURL(j.w.server), lksdk.WithAPIKey(j.w.o.APIKey, j.w.o.APISecret))
	}
	return j.api
}

// ask runs a call of the server. The call goes on when ctx ends, and for a while when the job does: a room that is to be
// deleted is deleted.
func ask[T any](ctx context.Context, j *Job, what string, call func(context.Context) (T, error)) (T, error) {
	type answer struct {
		value T
		err   error
	}
	var none T
	if !j.asks.add() {
		return none, ErrJobEnded
	}
	answers := make(chan answer, 1)
	go func() {
		defer j.asks.done()
		var a answer
		if err := j.w.guard(what, func() (err error) { a.value, err = call(j.calls); return err }); err != nil {
			a.err = fmt.Errorf("livekit: %s: %w", what, j.w.secrets.err(err))
			j.Logger().Warn(what+" failed", "error", a.err)
		}
		answers <- a
	}()
	select {
	case a := <-answers:
		return a.value, a.err
	case <-ctx.Done():
		return none, context.Cause(ctx)
	}
}

// DeleteRoom deletes the room, which puts everybody out of it and so ends the job. A room that is gone already is no
// error.
func (j *Job) DeleteRoom(ctx context.Context) error {
	_, err := ask(ctx, j, "deleting the room", func(ctx context.Context) (any, error) {
		_, err := j.API().Room().DeleteRoom(ctx, &pb.DeleteRoomRequest{Room: j.RoomName()})
		var failure twirp.Error
		if errors.As(err, &failure) && failure.Code() == twirp.NotFound {
			return nil, nil
		}
		return nil, err
	})
	return err
}

// SIPParticipant is whom to call by telephone, and as whom to bring them into the room.
type SIPParticipant struct {
	// CallTo is the number and TrunkID the outbound trunk; both are required.
	CallTo, TrunkID string
	// Identity is required; the default name is "SIP-participant".
	Identity, Name string
}

// AddSIPParticipant calls somebody into the room.
func (j *Job) AddSIPParticipant(ctx context.Context, p SIPParticipant) (*pb.SIPParticipantInfo, error) {
	if p.CallTo == "" || p.TrunkID == "" || p.Identity == "" {
		return nil, errors.New("livekit: a SIPParticipant needs CallTo, TrunkID and Identity")
	}
	if p.Name == "" {
		p.Name = "SIP-participant"
	}
	return ask(ctx, j, "adding a SIP participant", func(ctx context.Context) (*pb.SIPParticipantInfo, error) {
		return j.API().SIP().CreateSIPParticipant(ctx, &pb.CreateSIPParticipantRequest{
			RoomName: j.RoomName(), SipTrunkId: p.TrunkID, SipCallTo: p.CallTo,
			ParticipantIdentity: p.Identity, ParticipantName: p.Name,
		})
	})
}

// SIPTransfer is where to transfer a caller.
type SIPTransfer struct {
	// Identity is the caller's and To the destination, such as "tel:+15105550100"; both are required.
	Identity, To string
	// PlayDialtone lets the caller hear it ring.
	PlayDialtone bool
}

// TransferSIPParticipant transfers a caller who came by telephone. If the participant is in the room it must have.
func (j *Job) TransferSIPParticipant(ctx context.Context, t SIPTransfer) error {
	if t.Identity == "" || t.To == "" {
		return errors.New("livekit: a SIPTransfer needs Identity and To")
	}
	if room := j.Room(); room != nil {
		if p := room.GetParticipantByIdentity(t.Identity); p != nil && p.Kind() != lksdk.ParticipantSIP {
			return fmt.Errorf("livekit: participant %q did not come by telephone", t.Identity)
		}
	}
	_, err := ask(ctx, j, "transferring a SIP participant", func(ctx context.Context) (any, error) {
		return j.API().SIP().TransferSIPParticipant(ctx, &pb.TransferSIPParticipantRequest{
			RoomName: j.RoomName(), ParticipantIdentity: t.Identity, TransferTo: t.To, PlayDialtone: t.PlayDialtone,
		})
	})
	return err
}
