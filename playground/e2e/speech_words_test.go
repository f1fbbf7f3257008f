package e2e

import (
	"context"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	agents "github.com/parley-voice/agents"
	"github.com/parley-voice/agents/agenttest"
	"github.com/parley-voice/agents/livekit"
	"github.com/parley-voice/agents/plugins/local"
	"github.com/parley-voice/agents/plugins/openai"
	"github.com/parley-voice/agents/plugins/openai/openaitest"
)

// realSpeech returns a voice and a recogniser that understands it, by programs of the system.
func realSpeech(t *testing.T) (*local.TTS, *local.STT) {
	t.Helper()
	for _, program := range []string{"flite", "pocketsphinx_continuous"} {
		if _, err := exec.LookPath(program); err != nil {
			t.Skipf("%s is not installed: it is in a Debian package, flite or pocketsphinx", program)
		}
	}
	tts, err := local.NewTTS(local.TTSOptions{Program: "flite", Voice: "slt"})
	require.NoError(t, err)
	stt, err := local.NewSTT(local.STTOptions{})
	if err != nil && strings.Contains(err.Error(), "pocketsphinx-en-us") {
		t.Skip(err)
	}
	require.NoError(t, err)
	return tts, stt
}

// spoken returns what a text sounds like, at hearRate.
func spoken(t *testing.T, tts *local.TTS, text string) []int16 {
	t.Helper()
	require.Equal(t, hearRate, tts.Capabilities().SampleRate)
	var all []int16
	for chunk, err := range tts.Synthesize(within(t, 20*time.Second), text, agents.TTSOptions{}) {
		require.NoError(t, err)
		all = append(all, chunk.Frame.Samples...)
	}
	return all
}

// voiced is how long a track was loud enough to be a voice.
func (c *caller) voiced(track string) time.Duration {
	c.mu.Lock()
	defer c.mu.Unlock()
	var d time.Duration
	for _, f := range c.heard[track] {
		if amplitude(f.samples) > 200 {
			d += time.Duration(len(f.samples)) * time.Second / hearRate
		}
	}
	return d
}

// sound is everything that was heard on a track since a frame, and how many frames there are.
func (c *caller) sound(track string, from int) ([]int16, int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	var all []int16
	for _, f := range c.heard[track][from:] {
		all = append(all, f.samples...)
	}
	return all, len(c.heard[track])
}

// settled waits until the agent listens and the caller has heard it out.
func (c *caller) settled(t *testing.T, s *agents.AgentSession, track string) {
	t.Helper()
	eventually(t, "the agent has finished", 20*time.Second, func() bool { return s.AgentState() == agents.AgentListening })
	last, since := -1, time.Now()
	eventually(t, "the caller has heard it out", 5*time.Second, func() bool {
		if _, n := c.sound(track, 0); n != last {
			last, since = n, time.Now()
		}
		return time.Since(since) > 300*time.Millisecond
	})
}

// A conversation in real speech, all the way: a voice over the network, the built-in VAD, a recogniser, a tool, a handoff,
// and a voice back, which the caller's own recogniser understands. It has the machine to itself, as a recogniser takes all
// of a processor.
func TestAConversationInRealSpeech(t *testing.T) {
	tts, stt := realSpeech(t)
	vad, err := agents.NewVAD(agents.VADOptions{})
	require.NoError(t, err)
	var names []string
	desk := &agents.Agent{ID: "desk", Instructions: "Be kind.", OnEnter: func(ctx context.Context, s *agents.AgentSession) error {
		return s.GenerateReply(agents.Reply{}).Wait(ctx)
	}}
	type person struct {
		Name string `json:"name"`
	}
	first := &agents.Agent{ID: "first", Instructions: "Learn the name.", Tools: []agents.Tool{
		agents.ToolFunc("remember", "Remember a name.", func(_ context.Context, p person) (string, error) {
			names = append(names, p.Name)
			return "remembered", nil
		}),
		agents.ToolFunc("pass_on", "Pass the caller on.", func(context.Context, struct{}) (agents.Handoff, error) {
			return agents.Handoff{To: desk, Result: "passed on"}, nil
		}),
	}}
	llm := agenttest.NewLLM(t,
		agenttest.OnUser("my name is john").Call("remember", `{"name":"john"}`),
		agenttest.OnOutput("remember").Say("thank you very much"),
		agenttest.OnUser("the weather is nice today").Call("pass_on", `{}`),
		agenttest.Any().Say("we are happy to help you"))
	session := agents.NewSession(agents.Options{VAD: vad, STT: stt, LLM: llm, TTS: tts, AECWarmup: agents.Never,
		Turn: agents.TurnOptions{Preemptive: agents.Preemptive{Enabled: agents.Off}}})
	room := newRoom()
	io, err := livekit.Join(within(t, 20*time.Second), server.URL, agentToken(room, "agent"), livekit.RoomOptions{OutputRate: 16_000})
	require.NoError(t, err)
	tap := &outputTap{AudioOutput: io.IO().AudioOutput}
	startWith(t, io, session, first, tap)

	c := call(t, server, room, "caller")
	mic := c.publish()
	eventually(t, "the caller is linked", 5*time.Second, func() bool { return io.Participant() != nil })
	understood := func(question, answer string, from int) int {
		t.Helper()
		want := len(llm.Requests()) + 1
		mic.say(spoken(t, tts, question))
		eventually(t, question, 60*time.Second, func() bool { return len(llm.Requests()) > want-1 })
		before := c.voiced("roomio_audio")
		eventually(t, answer, 20*time.Second, func() bool { return c.voiced("roomio_audio") > before+500*time.Millisecond })
		c.settled(t, session, "roomio_audio")
		heard, n := c.sound("roomio_audio", from)
		ev, err := stt.Recognize(within(t, 20*time.Second), agents.AudioFrame{Samples: heard, SampleRate: hearRate, Channels: 1}, agents.STTOptions{})
		require.NoError(t, err)
		require.Equal(t, answer, ev.Transcript.Text)
		// The position is what was played: the words and the pauses about them.
		said := time.Duration(len(spoken(t, tts, answer))) * time.Second / hearRate
		require.InDelta(t, said.Seconds(), tap.last().Position.Seconds(), 0.05)
		require.False(t, tap.last().Interrupted)
		return n
	}
	n := understood("my name is john", "thank you very much", 0)
	require.Equal(t, []string{"john"}, names)
	understood("the weather is nice today", "we are happy to help you", n)
	require.Equal(t, "desk", session.CurrentActivity().(*agents.Agent).ID)

	var turns []string
	for m := range session.History().Messages() {
		if m.Role != agents.RoleSystem {
			turns = append(turns, string(m.Role)+": "+m.Text())
		}
	}
	require.Equal(t, []string{
		"user: my name is john", "assistant: thank you very much",
		"user: the weather is nice today", "assistant: we are happy to help you",
	}, turns)
	eventually(t, "the captions came", 5*time.Second, func() bool {
		final := 0
		for _, x := range c.transcripts() {
			if x.attributes["lk.transcription_final"] == "true" && slices.ContainsFunc(turns, func(s string) bool { return strings.HasSuffix(s, ": "+x.text) }) {
				final++
			}
		}
		return final == 4
	})
}

// An outputTap keeps what an output reports.
type outputTap struct {
	agents.AudioOutput

	mu     sync.Mutex
	events []agents.PlaybackEvent
	times  []time.Time
}

func (o *outputTap) Attach(notify func(agents.PlaybackEvent)) {
	o.AudioOutput.Attach(func(e agents.PlaybackEvent) {
		o.mu.Lock()
		o.events = append(o.events, e)
		o.times = append(o.times, time.Now())
		o.mu.Unlock()
		notify(e)
	})
}

// last is the end of the last segment.
func (o *outputTap) last() (end agents.PlaybackEvent) {
	o.mu.Lock()
	defer o.mu.Unlock()
	for _, e := range o.events {
		if e.Type == agents.PlaybackFinished {
			end = e
		}
	}
	return end
}

// startWith starts a session in a room and closes both in the end.
func startWith(t *testing.T, io *livekit.RoomIO, session *agents.AgentSession, first agents.Activity, out ...agents.AudioOutput) {
	t.Helper()
	io.Attach(session)
	parts := io.IO()
	if len(out) > 0 {
		parts.AudioOutput = out[0]
	}
	require.NoError(t, session.Start(t.Context(), first, parts))
	t.Cleanup(func() {
		_ = session.Close()
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		require.NoError(t, io.Close(ctx))
	})
}

// The models are behind a wire, as OpenAI's are: what was said goes out as a file, and text and audio come back.
func TestAConversationWithModelsBehindAWire(t *testing.T) {
	t.Parallel()
	models := openaitest.NewLoopbackServer(openaitest.Reply{Text: []string{"good ", "morning"}})
	t.Cleanup(models.Close)
	models.AddTranscripts(openaitest.TranscriptReply{Text: "hello there"})
	models.AddSpeech(openaitest.SpeechReply{Audio: voice(agentTone, voiceRate, voiceRate, 0)})
	stt, err := openai.NewSTT(openai.STTOptions{APIKey: models.Key(), BaseURL: models.URL(), HTTPClient: models.Client()})
	require.NoError(t, err)
	llm, err := openai.NewLLM(openai.LLMOptions{APIKey: models.Key(), BaseURL: models.URL(), HTTPClient: models.Client()})
	require.NoError(t, err)
	tts, err := openai.NewTTS(openai.TTSOptions{APIKey: models.Key(), BaseURL: models.URL(), HTTPClient: models.Client()})
	require.NoError(t, err)
	session := agents.NewSession(agents.Options{VAD: toneVAD{}, STT: stt, LLM: llm, TTS: tts, AECWarmup: agents.Never})
	room := newRoom()
	io, err := livekit.Join(within(t, 20*time.Second), server.URL, agentToken(room, "agent"), livekit.RoomOptions{})
	require.NoError(t, err)
	startWith(t, io, session, &agents.Agent{ID: "agent", Instructions: "Answer."})
	c := call(t, server, room, "caller")
	mic := c.publish()
	eventually(t, "the caller is linked", 5*time.Second, func() bool { return io.Participant() != nil })
	mic.speak(700 * time.Millisecond)
	eventually(t, "the caller heard the answer", 15*time.Second, func() bool {
		return c.loudness("roomio_audio", agentTone) >= 900*time.Millisecond
	})
	require.Len(t, models.Transcriptions(), 1)
	sent := models.Transcriptions()[0].Transcription.Audio
	require.GreaterOrEqual(t, sent.Duration(), 700*time.Millisecond)
	require.Greater(t, strength(sent.Samples, callerTone, sent.SampleRate), loud/10.0)
	require.Contains(t, models.Chats()[0].Chat.Messages[1].Text, "hello there")
	eventually(t, "the captions came", 5*time.Second, func() bool {
		return slices.ContainsFunc(c.transcripts(), func(x transcript) bool { return x.from == "caller" && x.text == "hello there" }) &&
			slices.ContainsFunc(c.transcripts(), func(x transcript) bool { return x.from == "agent" && x.text == "good morning" })
	})
}
