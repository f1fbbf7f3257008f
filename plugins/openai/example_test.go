package openai_test

import (
	"context"
	"fmt"
	"time"

	"github.com/parley-voice/agents"
	"github.com/parley-voice/agents/plugins/openai"
	"github.com/parley-voice/agents/plugins/openai/openaitest"
)

// A model behind any server that speaks the protocol; here it is the one for tests.
func ExampleNewLLM() {
	srv := openaitest.NewServer(openaitest.Reply{Text: []string{"Good", " morning!"}})
	defer srv.Close()

	llm, err := openai.NewLLM(openai.LLMOptions{
		Model:      "gpt-4.1-mini",
		BaseURL:    srv.URL(), // leave these three out for OpenAI's service and the key in OPENAI_API_KEY
		APIKey:     srv.Key(),
		HTTPClient: srv.Client(),
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	chat := agents.NewChatContext()
	chat.AddMessage(agents.RoleUser, "Greet me.")
	for chunk, err := range llm.Chat(context.Background(), agents.ChatRequest{Context: chat}) {
		if err != nil {
			fmt.Println(err)
			return
		}
		fmt.Print(chunk.Text)
	}
	fmt.Println()
	// Output: Good morning!
}

// A recogniser, which hears one utterance. A session does that by itself.
func ExampleNewSTT() {
	srv := openaitest.NewServer()
	defer srv.Close()
	srv.AddTranscripts(openaitest.TranscriptReply{Text: "Good morning!"})

	stt, err := openai.NewSTT(openai.STTOptions{
		Language:   "en",
		BaseURL:    srv.URL(), // leave these three out for OpenAI's service and the key in OPENAI_API_KEY
		APIKey:     srv.Key(),
		HTTPClient: srv.Client(),
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	utterance := agents.Silence(time.Second, 16000, 1)
	ev, err := stt.Recognize(context.Background(), utterance, agents.STTOptions{Keyterms: []string{"Parley"}})
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(ev.Transcript.Text)
	// Output: Good morning!
}

// A voice, which speaks one text. A session does that by itself.
func ExampleNewTTS() {
	srv := openaitest.NewServer()
	defer srv.Close()
	srv.AddSpeech(openaitest.SpeechReply{Audio: openaitest.Tone(800 * time.Millisecond)})

	tts, err := openai.NewTTS(openai.TTSOptions{
		Voice:        "coral",
		Instructions: "Speak cheerfully.",
		BaseURL:      srv.URL(), // leave these three out for OpenAI's service and the key in OPENAI_API_KEY
		APIKey:       srv.Key(),
		HTTPClient:   srv.Client(),
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	samples := 0
	for chunk, err := range tts.Synthesize(context.Background(), "Good morning!", agents.TTSOptions{}) {
		if err != nil {
			fmt.Println(err)
			return
		}
		samples += chunk.Frame.Len()
	}
	fmt.Println(agents.SampleDuration(int64(samples), tts.Capabilities().SampleRate))
	// Output: 800ms
}
