package livekit

import (
	"context"
	"fmt"

	lksdk "github.com/livekit/server-sdk-go/v2"

	agents "github.com/parley-voice/agents"
)

// StartSession runs the session in the job's room, with first holding the floor: it joins the room, if need be, makes a
// [RoomIO] with these options, and starts the session with that. It returns when the session has started; the session is
// closed when the job ends, and ctx ends it as well. The session's end is not the job's, which lasts as long as the room:
// a job that is to end with its session calls Shutdown when [agents.AgentSession.Wait] returns.
//
//	Entrypoint: func(ctx context.Context, job *livekit.Job) error {
//		session := agents.NewSession(agents.Options{VAD: vad, STT: stt, LLM: llm, TTS: tts})
//		return job.StartSession(ctx, session, agent, livekit.RoomOptions{})
//	},
//
// In a job without a room, of [Worker.RunJob], the session gets what that was given instead.
func (j *Job) StartSession(ctx context.Context, session *agents.AgentSession, first agents.Activity, o RoomOptions) error {
	if o.Logger == nil {
		o.Logger = j.Logger()
	}
	connect := ConnectOptions{SDK: o.Connect}
	if o.Encryption != nil {
		connect.Encryption = &lksdk.EncryptionOptions{KeyProvider: o.Encryption}
	}
	if err := j.Connect(ctx, connect); err != nil {
		return err
	}
	room, err := NewRoomIO(j.Room(), o)
	if err != nil {
		return err
	}
	running := &roomSession{session, room}
	if err := j.AddSession(running); err != nil { // first, so that it is closed whatever happens next
		_ = running.Close()
		return err
	}
	j.mu.Lock()
	if j.place == nil {
		j.place = room
	}
	j.mu.Unlock()
	room.Attach(session)
	if err := session.Start(ctx, first, room.IO()); err != nil {
		return fmt.Errorf("livekit: starting the session: %w", err)
	}
	return nil
}

// RoomIO is where the first session that StartSession started hears and speaks, or nil: it says who the session is with,
// and can have it be with somebody else.
func (j *Job) RoomIO() *RoomIO {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.place
}

// A roomSession is a session and its place in a room.
type roomSession struct {
	session *agents.AgentSession
	room    *RoomIO
}

func (s *roomSession) Close() error {
	err := s.session.Close()
	_ = s.room.Close(context.Background()) // it is bounded
	return err
}
