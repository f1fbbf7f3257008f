package openai_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/parley-voice/agents"
	"github.com/parley-voice/agents/agenttest"
	"github.com/parley-voice/agents/plugins/openai"
	"github.com/parley-voice/agents/plugins/openai/openaitest"
)

// startCall starts a voice session whose three models are all on one server, which understands the script.
func startCall(t *testing.T, script agenttest.VoiceScript) (*openaitest.Server, *agenttest.VoiceSession) {
	t.Helper()
	srv := openaitest.NewServer()
	t.Cleanup(srv.Close)
	ear := newScriptedEar(t, script)
	srv.RespondTranscripts(func(r *openaitest.Request) openaitest.TranscriptReply {
		return openaitest.TranscriptReply{Text: ear.understand(r.Transcription.Audio), Delay: 150 * ms}
	})
	vad, err := agents.NewVAD(agents.VADOptions{})
	require.NoError(t, err)
	v := agenttest.StartVoice(t, agents.Options{
		VAD: vad, STT: newSTT(t, srv, openai.STTOptions{}), LLM: newLLM(t, srv, openai.LLMOptions{}), TTS: newTTS(t, srv, openai.TTSOptions{}),
		TurnDetector: agents.NoTurnDetector, AECWarmup: agents.Never, UserAwayTimeout: agents.Never,
		Turn: agents.TurnOptions{Endpointing: agents.Endpointing{MinDelay: 500 * ms, MaxDelay: 6 * time.Second}},
	}, &agents.Agent{Instructions: "Be brief."}, script)
	return srv, v
}

// messages returns who said what, as far as it was heard.
func messages(v *agenttest.VoiceSession) (out []string) {
	for _, item := range v.History().Items() {
		if m, ok := item.(*agents.ChatMessage); ok && m.Role != agents.RoleSystem {
			out = append(out, string(m.Role)+": "+m.Text())
		}
	}
	return out
}

// A spoken turn is answered with speech, and all that went over the wire is what it should be. The voice is heard to
// end at 2.664 s, the transcript is there 406 ms later, and the turn is over 500 ms after the voice. The words are there
// at 3.18 s, and complete at 3.21 s, as their sentence is, which takes 120 ms to be spoken.
func TestVoiceSession(t *testing.T) {
	agenttest.Run(t, func(t *testing.T) {
		script := agenttest.Voice(agenttest.Speech(500*ms, 2500*ms, "What is the capital of Norway?"))
		srv, v := startCall(t, script)
		srv.Add(openaitest.Reply{Text: []string{"The capital of Norway", " is Oslo."}, Delay: 100 * ms, Pause: 10 * ms})
		srv.AddSpeech(openaitest.SpeechReply{Audio: openaitest.Tone(1500 * ms), Delay: 120 * ms, Pause: 20 * ms})
		v.Until(8 * time.Second)

		require.Equal(t, []string{"user: What is the capital of Norway?", "assistant: The capital of Norway is Oslo."}, messages(v), v.Log())
		require.Equal(t, []string{"1.5s"}, v.Playouts())
		require.Equal(t, openaitest.Tone(1500*ms), v.Speaker.Played()[0].Audio.Samples)
		require.Equal(t, []string{"listening 0s", "thinking 3.164s", "speaking 3.33s", "listening 4.83s"}, v.AgentStates(), v.Log())

		require.Len(t, srv.Transcriptions(), 1)
		require.Len(t, srv.Chats(), 1)
		require.Len(t, srv.Speeches(), 1)
		require.Equal(t, "What is the capital of Norway?", srv.Chats()[0].Chat.Messages[1].Text)
		require.Equal(t, "The capital of Norway is Oslo.", srv.Speeches()[0].Speech.Input)
	})
}

// Who interrupts the agent ends the request for its speech. The agent pauses after 0.5 s, and gives up once there is a
// transcript of what was said.
func TestVoiceSessionInterrupted(t *testing.T) {
	agenttest.Run(t, func(t *testing.T) {
		script := agenttest.Voice(agenttest.Speech(500*ms, 2500*ms, "Tell me a story."), agenttest.Speech(5*time.Second, 6*time.Second, "Stop, please."))
		srv, v := startCall(t, script)
		srv.Add(openaitest.Reply{Text: []string{"Once upon a time there was a king."}}, openaitest.Reply{Text: []string{"All right."}})
		srv.AddSpeech(openaitest.SpeechReply{Audio: openaitest.Tone(time.Minute), Pause: 90 * ms}, openaitest.SpeechReply{Audio: openaitest.Tone(700 * ms)})
		v.Until(10 * time.Second)

		require.Equal(t, []string{"2.346s interrupted", "700ms"}, v.Playouts(), v.Log())
		require.Equal(t, 6620*ms, v.Since(srv.Speeches()[0].Aborted()))
		require.Zero(t, srv.Speeches()[1].Aborted())
		require.Equal(t, "All right.", srv.Speeches()[1].Speech.Input)
	})
}

// A service that has too much to do is asked again when it says.
func TestVoiceSessionRetries(t *testing.T) {
	agenttest.Run(t, func(t *testing.T) {
		script := agenttest.Voice(agenttest.Speech(500*ms, 2500*ms, "Hello?"))
		srv, v := startCall(t, script)
		srv.AddTranscripts(openaitest.TranscriptReply{Status: 429, RetryAfter: "1.5"})
		srv.Add(openaitest.Reply{Text: []string{"Hello!"}})
		srv.AddSpeech(openaitest.SpeechReply{Status: 503, RetryAfter: "0.5"}, openaitest.SpeechReply{Audio: openaitest.Tone(700 * ms)})
		v.Until(10 * time.Second)

		require.Equal(t, []string{"user: Hello?", "assistant: Hello!"}, messages(v), v.Log())
		require.Equal(t, []string{"700ms"}, v.Playouts())
		heard, spoke := srv.Transcriptions(), srv.Speeches()
		require.Len(t, heard, 2)
		require.Equal(t, 1500*ms, heard[1].Time.Sub(heard[0].Time))
		require.Equal(t, heard[0].Transcription.Audio, heard[1].Transcription.Audio)
		require.Len(t, spoke, 2)
		require.Equal(t, 500*ms, spoke[1].Time.Sub(spoke[0].Time))
	})
}
