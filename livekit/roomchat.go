package livekit

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"

	lksdk "github.com/livekit/server-sdk-go/v2"

	agents "github.com/parley-voice/agents"
)

// maxText is how long a text of the user's may be, in bytes. What is longer is dropped.
const maxText = 64 << 10

// registerTopics has the room's streams reach the session that they are meant for.
func (r *Room) registerTopics() error {
	if err := r.RegisterTextStreamHandler(topicChat, r.chat); err != nil {
		return fmt.Errorf("livekit: %w", err)
	}
	return nil
}

// chat takes a text that somebody in the room has written. It goes to the sessions that are with them, or else to those
// that are with nobody.
func (r *Room) chat(stream *lksdk.TextStreamReader, sender string) {
	text, err := readText(stream)
	attributes := stream.Info.Attributes
	r.mu.Lock()
	members := slices.Clone(r.members)
	r.mu.Unlock()
	for _, m := range members {
		if !on(m.o.TextInput) {
			continue
		}
		p := m.Participant()
		switch {
		case p != nil && p.Identity() != sender:
			m.log.Warn("a text of somebody else is ignored", "sender", sender)
		case err != nil:
			m.log.Warn("a text is ignored", "sender", sender, "err", err)
		case text != "":
			m.gotText(RoomText{Text: text, Sender: sender, Attributes: attributes})
		}
	}
}

var errTextTooLong = errors.New("livekit: text too long")

// readText reads a stream to its end, up to a bound.
func readText(stream *lksdk.TextStreamReader) (string, error) {
	var text []byte
	buf := make([]byte, 4096)
	long := false
	for {
		n, err := stream.Read(buf)
		if !long {
			text = append(text, buf[:n]...)
			long = len(text) > maxText
		}
		switch {
		case errors.Is(err, io.EOF) && long:
			return "", errTextTooLong
		case errors.Is(err, io.EOF):
			return string(text), nil
		case err != nil:
			return "", err
		}
	}
}

func (r *RoomIO) gotText(text RoomText) {
	r.mu.Lock()
	session := r.session
	r.mu.Unlock()
	if session == nil {
		r.log.Warn("a text is ignored: there is no session yet", "sender", text.Sender)
		return
	}
	r.spawn(func(ctx context.Context) {
		defer func() {
			if p := recover(); p != nil {
				r.log.Error("OnText panicked", "panic", p)
			}
		}()
		r.o.OnText(ctx, session, text)
	})
}

// replyToText answers the user's text at once, also in the middle of what the agent says.
func replyToText(ctx context.Context, session *agents.AgentSession, text RoomText) {
	if err := session.Interrupt(ctx); err != nil && !errors.Is(err, agents.ErrUninterruptible) {
		return
	}
	session.GenerateReply(agents.Reply{UserInput: text.Text})
}
