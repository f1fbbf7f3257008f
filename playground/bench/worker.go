package main

import (
	"context"
	"fmt"
	"time"

	pb "github.com/livekit/protocol/livekit"

	agents "github.com/parley-voice/agents"
	"github.com/parley-voice/agents/livekit"
)

// The stages of a session, each with all of those before it.
const (
	stageJoin  = "join"  // the agent is in the room
	stageHear  = "hear"  // and hears: RTP, Opus, the session's pipeline
	stageVAD   = "vad"   // and tells voice from noise
	stageSpeak = "speak" // and speaks: the pacer, Opus, RTP
)

var stages = []string{stageJoin, stageHear, stageVAD, stageSpeak}

// runWorker takes jobs until ctx ends.
func runWorker(ctx context.Context, server, key, secret, stage string) error {
	var vad agents.VAD
	if stage == stageVAD || stage == stageSpeak {
		var err error
		if vad, err = agents.NewVAD(agents.VADOptions{}); err != nil {
			return err
		}
	}
	w, err := livekit.NewWorker(livekit.WorkerOptions{
		URL: server, APIKey: key, APISecret: secret, AgentName: agentName,
		LoadThreshold: livekit.NoThreshold, // the server is to give it whatever there is
		HealthAddr:    livekit.NoListener,
		OnRegistered:  func(string, *pb.ServerInfo) { fmt.Println("REGISTERED") },
		Entrypoint: func(ctx context.Context, job *livekit.Job) error {
			o := agents.Options{
				STT: promptSTT{}, LLM: promptLLM{}, VAD: vad,
				AECWarmup: agents.Never,
				Turn: agents.TurnOptions{
					Detection:          agents.TurnBySTT,
					Endpointing:        agents.Endpointing{MinDelay: time.Nanosecond, MaxDelay: time.Nanosecond},
					AllowInterruptions: agents.Off,
				},
			}
			room := livekit.RoomOptions{}
			switch stage {
			case stageJoin:
				o.STT, room.AudioInput, room.AudioOutput = nil, agents.Off, agents.Off
			case stageSpeak:
				o.TTS = promptTTS{}
			default:
				room.AudioOutput = agents.Off
			}
			return job.StartSession(ctx, agents.NewSession(o), &agents.Agent{ID: "bench", Instructions: "Answer."}, room)
		},
	})
	if err != nil {
		return err
	}
	err = w.Run(ctx)
	if ctx.Err() != nil {
		return nil
	}
	return err
}
