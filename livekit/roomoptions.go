package livekit

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"time"

	pb "github.com/livekit/protocol/livekit"
	lksdk "github.com/livekit/server-sdk-go/v2"
	e2ee "github.com/livekit/server-sdk-go/v2/e2ee/types"

	agents "github.com/parley-voice/agents"
	"github.com/parley-voice/agents/internal/opus"
)

// RoomOptions say how a session uses a room. The zero value of each field is its default.
type RoomOptions struct {
	// AudioInput, AudioOutput, TextInput and TextOutput switch off what the session does not use. All are on.
	AudioInput  agents.Toggle
	AudioOutput agents.Toggle
	TextInput   agents.Toggle
	TextOutput  agents.Toggle

	// Participant is the identity of whom the session is with. The default is the first who is acceptable.
	Participant string
	// Kinds are the kinds of participants that are acceptable: standard ones, callers by telephone and those that a
	// connector brings.
	Kinds []lksdk.ParticipantKind

	// InputRate is the sample rate in Hz of the audio that the session gets, in one channel: 16,000. It is decoded
	// straight to 8,000, 12,000, 16,000, 24,000 or 48,000.
	InputRate int
	// InputQueue is how much audio waits for a session that is too slow before the oldest is dropped: 2 s.
	InputQueue time.Duration
	// PreConnect is how long to wait for what the user said before the agent was there, if their client has recorded
	// it: 3 s, or Never.
	PreConnect agents.Delay

	// OutputRate is the sample rate in Hz of the audio that the session gives, in one channel: 24,000. It may be what
	// InputRate may be.
	OutputRate int
	// Bitrate is that of the agent's voice in bits a second: 24,000.
	Bitrate int
	// TrackName is the name of the agent's track: "roomio_audio".
	TrackName string
	// SubscribeTimeout is how long the first word waits for somebody to subscribe to the track: 10 s, or Never to wait
	// as long as it takes.
	SubscribeTimeout agents.Delay
	// Pacer plays the audio in time. The default is one for the whole process.
	Pacer *Pacer

	// OnText is called with what the user writes. The default interrupts the agent and has it reply.
	OnText func(ctx context.Context, session *agents.AgentSession, text RoomText)
	// LegacyTranscription says whether transcripts are also sent in the way that was used before text streams: On.
	LegacyTranscription agents.Toggle

	// CloseOnDisconnect says whether the session closes when its participant leaves for one of CloseReasons: On.
	CloseOnDisconnect agents.Toggle
	// CloseReasons are, by default, that they left of their own accord, that they declined and that the room was deleted.
	CloseReasons []pb.DisconnectReason
	// DeleteRoom, if set, is called once when the session closes, to delete the room.
	DeleteRoom func(ctx context.Context, room string) error

	// Encryption holds the keys of the audio tracks, if they are encrypted from end to end. [Join] uses them for the
	// data as well.
	Encryption e2ee.KeyProvider
	// Connect are options of the SDK for [Join].
	Connect []lksdk.ConnectOption

	// Logger receives what is worth knowing in operation, and what the SDK has to say if the room was made by [Join].
	// The default discards. No token and nothing that is said is logged.
	Logger *slog.Logger
}

// A RoomText is something that the user wrote.
type RoomText struct {
	Text       string
	Sender     string // their identity
	Attributes map[string]string
}

const (
	defaultInputRate  = 16_000
	defaultOutputRate = 24_000
	trackName         = "roomio_audio"
)

// withDefaults fills in what is left out and checks the rest.
func (o RoomOptions) withDefaults() (RoomOptions, error) {
	if o.InputRate == 0 {
		o.InputRate = defaultInputRate
	}
	if o.OutputRate == 0 {
		o.OutputRate = defaultOutputRate
	}
	for _, rate := range []int{o.InputRate, o.OutputRate} {
		if !slices.Contains(opus.Rates(), rate) {
			return o, fmt.Errorf("livekit: a sample rate of %d Hz: it must be one of %v", rate, opus.Rates())
		}
	}
	if o.InputQueue < 0 {
		return o, fmt.Errorf("livekit: an InputQueue of %v", o.InputQueue)
	}
	if o.InputQueue == 0 {
		o.InputQueue = 2 * time.Second
	}
	if o.TrackName == "" {
		o.TrackName = trackName
	}
	if o.Kinds == nil {
		o.Kinds = []lksdk.ParticipantKind{lksdk.ParticipantConnector, lksdk.ParticipantSIP, lksdk.ParticipantStandard}
	}
	if o.CloseReasons == nil {
		o.CloseReasons = []pb.DisconnectReason{
			pb.DisconnectReason_CLIENT_INITIATED, pb.DisconnectReason_ROOM_DELETED, pb.DisconnectReason_USER_REJECTED,
		}
	}
	if o.OnText == nil {
		o.OnText = replyToText
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	return o, nil
}

func on(t agents.Toggle) bool { return t != agents.Off }

// delay returns the duration of a delay, or a negative one for never.
func delay(d agents.Delay, def time.Duration) time.Duration {
	if d == 0 {
		return def
	}
	return time.Duration(d)
}
