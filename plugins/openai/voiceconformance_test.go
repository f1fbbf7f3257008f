package openai_test

import (
	"context"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/stretchr/testify/require"

	"github.com/parley-voice/agents"
	"github.com/parley-voice/agents/agenttest"
	"github.com/parley-voice/agents/plugins/openai"
	"github.com/parley-voice/agents/plugins/openai/openaitest"
)

// once makes one attempt, as the kit wants to see its outcome.
var once = agents.ConnectOptions{MaxRetries: agents.None}

func TestTTSConformance(t *testing.T) {
	agenttest.TestTTS(t, agenttest.TTSUnderTest{
		New: func(t *testing.T, streams ...agenttest.Synthesis) (agents.TTS, agenttest.TTSFake) {
			srv := openaitest.NewServer()
			t.Cleanup(srv.Close)
			f := &ttsFake{srv: srv, streams: streams, spoken: make([]int, len(streams))}
			srv.RespondSpeech(f.reply)
			tts, err := openai.NewTTS(openai.TTSOptions{BaseURL: srv.URL(), APIKey: srv.Key(), HTTPClient: &http.Client{Transport: numberedRequests{srv.Client().Transport}}})
			require.NoError(t, err)
			adapter, err := agents.NewTTSAdapter(tts, agents.TTSAdapterOptions{Conn: once})
			require.NoError(t, err)
			return &numberedTTS{TTSAdapter: adapter}, f
		},
		Secret: "sk-test-openaitest",
	})
}

// A stream makes several requests, and one that is closed at once may make none, so that requests say whose they are.
type (
	streamNumber struct{}
	numberedTTS  struct {
		*agents.TTSAdapter
		n int
	}
	numberedRequests struct{ http.RoundTripper }
)

const streamHeader = "X-Stream"

func (n *numberedTTS) Stream(ctx context.Context, opts agents.TTSOptions) (agents.TTSStream, error) {
	ctx = context.WithValue(ctx, streamNumber{}, strconv.Itoa(n.n))
	n.n++
	return n.TTSAdapter.Stream(ctx, opts)
}

func (n numberedRequests) RoundTrip(r *http.Request) (*http.Response, error) {
	r = r.Clone(r.Context())
	r.Header.Set(streamHeader, r.Context().Value(streamNumber{}).(string))
	return n.RoundTripper.RoundTrip(r)
}

// A ttsFake speaks each stream's text in the time that the kit sets, a sentence for its share of the characters.
type ttsFake struct {
	srv     *openaitest.Server
	streams []agenttest.Synthesis

	mu     sync.Mutex
	spoken []int // characters of each stream
}

// conformanceLength is how many characters the kit's text has without its white space.
var conformanceLength = letters("Grüße, how are you? Let us begin.")

func letters(text string) int {
	return utf8.RuneCountInString(strings.Join(strings.Fields(text), ""))
}

func (f *ttsFake) reply(req *openaitest.Request) openaitest.SpeechReply {
	n, _ := strconv.Atoi(req.Header.Get(streamHeader))
	s := f.streams[n]
	audio := openaitest.Tone(s.Audio)
	switch {
	case s.Status != 0:
		return openaitest.SpeechReply{Status: s.Status, Error: &openaitest.APIError{Message: "Refused to " + f.srv.Key() + ".", Type: "some_error"}}
	case s.End == agenttest.Hang:
		return openaitest.SpeechReply{Audio: audio, Fault: openaitest.Stall, After: openaitest.AtEnd}
	case s.End == agenttest.Cut:
		return openaitest.SpeechReply{Audio: audio, Fault: openaitest.Cut, After: openaitest.AtEnd}
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	from := len(audio) * f.spoken[n] / conformanceLength
	f.spoken[n] += letters(req.Speech.Input)
	return openaitest.SpeechReply{Audio: audio[from : len(audio)*f.spoken[n]/conformanceLength], ChunkSize: 777}
}

func (f *ttsFake) Texts() (texts []string) {
	for _, r := range f.srv.Speeches() {
		texts = append(texts, r.Speech.Input)
	}
	return texts
}

func TestSTTConformance(t *testing.T) {
	for _, model := range []string{"gpt-4o-mini-transcribe", "whisper-1"} {
		t.Run(model, func(t *testing.T) {
			agenttest.TestSTT(t, agenttest.STTUnderTest{
				New: func(t *testing.T, streams ...agenttest.Recognition) (agents.STT, agenttest.STTFake) {
					srv := openaitest.NewServer()
					t.Cleanup(srv.Close)
					f := &sttFake{srv: srv, recognition: streams[0], ear: newScriptedEar(t, streams[0].Script)}
					srv.RespondTranscripts(f.reply)
					vad := agenttest.NewVAD(streams[0].Script)
					vad.MinSilence = 200 * ms
					adapter, err := agents.NewSTTAdapter(newSTT(t, srv, openai.STTOptions{Model: model}), wholeVAD{vad}, once)
					require.NoError(t, err)
					return &sttUnderTest{adapter, streams[0]}, f
				},
				Secret: "sk-test-openaitest",
			})
		})
	}
}

// A scriptedEar understands audio of a script, by which it tells what was said.
type scriptedEar struct{ stt *agenttest.STT }

func newScriptedEar(t *testing.T, script agenttest.VoiceScript) *scriptedEar {
	return &scriptedEar{agenttest.NewSTT(t, script)}
}

func (e *scriptedEar) understand(audio agents.AudioFrame) string {
	stream, err := e.stt.Stream(context.Background(), agents.STTOptions{})
	if err != nil {
		return err.Error()
	}
	defer stream.Close()
	for at := time.Duration(0); at < audio.Duration(); at += time.Second { // it takes 10 s at once
		if err := stream.Send(audio.Slice(at, at+time.Second)); err != nil {
			return err.Error()
		}
	}
	_ = stream.CloseSend()
	var said []string
	for {
		ev, err := stream.Recv()
		if err != nil {
			return strings.Join(said, " ")
		}
		if ev.Type == agents.STTFinal {
			said = append(said, ev.Transcript.Text)
		}
	}
}

type sttFake struct {
	srv         *openaitest.Server
	recognition agenttest.Recognition
	ear         *scriptedEar
}

func (f *sttFake) reply(req *openaitest.Request) openaitest.TranscriptReply {
	r := f.recognition
	if r.Status != 0 {
		return openaitest.TranscriptReply{Status: r.Status, Error: &openaitest.APIError{Message: "Refused to " + f.srv.Key() + ".", Type: "some_error"}}
	}
	reply := openaitest.TranscriptReply{Text: f.ear.understand(req.Transcription.Audio)}
	if r.End == agenttest.Cut && f.Audio() > r.EndAt { // the audio of this request counts already
		reply.Fault = openaitest.Cut
	}
	return reply
}

func (f *sttFake) Audio() (sum time.Duration) {
	for _, r := range f.srv.Transcriptions() {
		sum += r.Transcription.Audio.Duration()
	}
	return sum
}

// An sttUnderTest is the adapter. A recogniser refuses only what it is given, so that a stream which is to be refused
// gets some audio.
type sttUnderTest struct {
	*agents.STTAdapter
	recognition agenttest.Recognition
}

func (s *sttUnderTest) Stream(ctx context.Context, opts agents.STTOptions) (agents.STTStream, error) {
	stream, err := s.STTAdapter.Stream(ctx, opts)
	if err != nil || s.recognition.Status == 0 {
		return stream, err
	}
	_ = stream.Send(agents.Silence(200*ms, 16000, 1))
	_ = stream.CloseSend()
	return refusedStream{stream}, nil
}

type refusedStream struct{ agents.STTStream }

func (s refusedStream) Recv() (agents.STTEvent, error) {
	for {
		if ev, err := s.STTStream.Recv(); err != nil {
			return ev, err
		}
	}
}

// A wholeVAD takes everything for speech, and cuts it after what another one finds: the kit wants all audio to arrive.
type wholeVAD struct{ agents.VAD }

func (v wholeVAD) Stream() agents.VADStream { return &wholeVADStream{VADStream: v.VAD.Stream()} }

type wholeVADStream struct {
	agents.VADStream
	begun bool
}

func (s *wholeVADStream) Push(f agents.AudioFrame) ([]agents.VADEvent, error) {
	events, err := s.VADStream.Push(f)
	if err != nil {
		return nil, err
	}
	var out []agents.VADEvent
	if !s.begun {
		s.begun = true
		out = append(out, agents.VADEvent{Type: agents.VADStartOfSpeech, Speaking: true})
	}
	for _, ev := range events {
		if ev.Type == agents.VADEndOfSpeech {
			out = append(out, ev, agents.VADEvent{Type: agents.VADStartOfSpeech, Position: ev.Position, Start: ev.Position, Speaking: true})
		}
	}
	return out, nil
}

func (s *wholeVADStream) Reset() {
	s.VADStream.Reset()
	s.begun = false
}
