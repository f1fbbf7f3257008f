package openai

import (
	"bufio"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"log/slog"
	"mime"
	"net/http"
	"net/url"
	"strings"
	"time"
	"unicode/utf8"

	openai "github.com/sashabaranov/go-openai"

	"github.com/parley-voice/agents"
)

const (
	defaultTTSModel = "gpt-4o-mini-tts"
	defaultVoice    = "ash"
	speechRate      = 24000 // of the format pcm
	// maxSpeechFrame is how long a frame may be, so that what comes fast is still played in small pieces.
	maxSpeechFrame = 200 * time.Millisecond
)

// TTSOptions configure a [TTS]. The zero value of each field is its default; a parameter that is not set is not sent.
type TTSOptions struct {
	// Model is the name of the model, "gpt-4o-mini-tts" by default.
	Model string
	// Voice is who speaks, "ash" by default.
	Voice string
	// Instructions say how to speak: "Speak calmly, with a Scottish accent." The models tts-1 and tts-1-hd take none.
	Instructions string
	// Speed is from 0.25 to 4; the default is the model's, which is 1.
	Speed float64
	// SampleRate is that of the service's format "pcm", 24,000 Hz by default; some compatible servers have another.
	SampleRate int
	// Timeout is how long the service may send nothing: 30 s by default, or agents.Never. Usually a session is less
	// patient, see agents.ConnectOptions.
	Timeout agents.Delay

	// APIKey defaults to the environment variable OPENAI_API_KEY, whatever the address. It is needed only for OpenAI's
	// own service. It is never part of an error, and options do not print it.
	APIKey string `json:"-"`
	// BaseURL is the address of the API, without /audio/speech. It defaults to the environment variable
	// OPENAI_BASE_URL and then to OpenAI's service.
	BaseURL string
	// Provider is what metrics and errors call the service. It defaults to "openai", or to the host of another address.
	Provider string
	// Organization and Project say whom to bill, for keys that have several.
	Organization, Project string
	// HTTPClient makes the requests. The default is one client for all values of this package, which keeps connections.
	HTTPClient *http.Client `json:"-"`
	// Header and Query are added to every request; what they set replaces what would be sent otherwise.
	Header http.Header `json:"-"`
	Query  url.Values  `json:"-"`
}

// Format implements [fmt.Formatter], so that options can be printed without the key.
func (o TTSOptions) Format(f fmt.State, _ rune) {
	fmt.Fprintf(f, "openai.TTSOptions{Model: %q, Voice: %q}", o.Model, o.Voice)
}

// LogValue implements [slog.LogValuer] as Format does.
func (o TTSOptions) LogValue() slog.Value { return slog.StringValue(fmt.Sprint(o)) }

// A TTS is a voice behind the speech API, which speaks one text at a time and sends the audio while it is made. It
// implements [agents.TTS], [agents.Synthesizer], [agents.ModelInfo] and [agents.Prewarmer], and is safe for concurrent
// use. A session gives it sentence by sentence; elsewhere [agents.NewTTSAdapter] makes it a streaming TTS.
//
// The language is that of the text: the API has no parameter for it.
type TTS struct {
	opts    TTSOptions
	timeout time.Duration // 0 for none
	svc     *service
	api     *openai.Client
}

var (
	_ agents.TTS         = (*TTS)(nil)
	_ agents.Synthesizer = (*TTS)(nil)
	_ agents.ModelInfo   = (*TTS)(nil)
	_ agents.Prewarmer   = (*TTS)(nil)
)

// NewTTS returns a voice. It does not connect; a wrong key shows with the first request.
func NewTTS(o TTSOptions) (*TTS, error) {
	o.Model, o.Voice = cmp.Or(o.Model, defaultTTSModel), cmp.Or(o.Voice, defaultVoice)
	o.SampleRate = cmp.Or(o.SampleRate, speechRate)
	if o.Speed != 0 && !(o.Speed >= 0.25 && o.Speed <= 4) {
		return nil, errors.New("openai: TTSOptions.Speed must be from 0.25 to 4")
	}
	if o.SampleRate < 0 {
		return nil, errors.New("openai: negative TTSOptions.SampleRate")
	}
	svc, err := newService("synthesize", "TTSOptions", access{
		APIKey: o.APIKey, BaseURL: o.BaseURL, Provider: o.Provider, Organization: o.Organization, Project: o.Project,
		HTTPClient: o.HTTPClient, Header: o.Header, Query: o.Query,
	})
	if err != nil {
		return nil, err
	}
	o.APIKey = ""
	return &TTS{opts: o, timeout: timeoutOf(o.Timeout), svc: svc, api: svc.library(svc.send)}, nil
}

// Capabilities implements [agents.TTS].
func (t *TTS) Capabilities() agents.TTSCapabilities {
	return agents.TTSCapabilities{SampleRate: t.opts.SampleRate, Channels: 1}
}

// Stream implements [agents.TTS]. The API takes whole texts only, so the error is [errors.ErrUnsupported].
func (t *TTS) Stream(context.Context, agents.TTSOptions) (agents.TTSStream, error) {
	return nil, errors.ErrUnsupported
}

// Model implements [agents.ModelInfo].
func (t *TTS) Model() string { return t.opts.Model }

// Provider implements [agents.ModelInfo].
func (t *TTS) Provider() string { return t.svc.provider }

// String returns the provider and the model.
func (t *TTS) String() string { return t.svc.provider + " " + t.opts.Model }

// GoString is String, so that no verb prints the key.
func (t *TTS) GoString() string { return t.String() }

// Prewarm implements [agents.Prewarmer]: it opens a connection by asking for the list of models.
func (t *TTS) Prewarm(ctx context.Context) { t.svc.prewarm(ctx) }

// Synthesize implements [agents.Synthesizer]. When ctx ends, so do the request and the sequence, with ctx.Err(). For
// blank text there is no request.
func (t *TTS) Synthesize(ctx context.Context, text string, _ agents.TTSOptions) iter.Seq2[agents.TTSChunk, error] {
	return func(yield func(agents.TTSChunk, error) bool) {
		if strings.TrimSpace(text) == "" {
			return
		}
		if err := t.speak(ctx, text, yield); err != nil {
			yield(agents.TTSChunk{}, err)
		}
	}
}

// speak yields the audio of a text, and then what it used.
func (t *TTS) speak(ctx context.Context, text string, yield func(agents.TTSChunk, error) bool) error {
	ctx, patience := newPatience(ctx, t.timeout)
	defer patience.end()
	var trace connectionTrace
	started := time.Now()
	speech, err := t.api.CreateSpeech(trace.traced(ctx), openai.CreateSpeechRequest{
		Model:          openai.SpeechModel(t.opts.Model),
		Input:          text,
		Voice:          openai.SpeechVoice(t.opts.Voice),
		Instructions:   t.opts.Instructions,
		ResponseFormat: openai.SpeechResponseFormatPcm,
		Speed:          t.opts.Speed,
	})
	if err != nil {
		return t.svc.callError(ctx, err)
	}
	defer speech.Close()
	resp := &http.Response{Header: speech.Header()}
	body := bufio.NewReader(speech)
	if err := t.checkAudio(ctx, resp, body); err != nil {
		return err
	}

	buf := make([]byte, 2*agents.SamplesIn(maxSpeechFrame, t.opts.SampleRate))
	half := 0 // how much of a sample is at the start of buf
	chunk := agents.TTSChunk{RequestID: speech.Header().Get("X-Request-Id"), Started: started}
	for {
		patience.wait()
		n, err := body.Read(buf[half:])
		patience.pause()
		samples, rest := agents.AppendSamples(nil, buf[:half+n])
		half = copy(buf, rest)
		if len(samples) > 0 {
			chunk.Frame = agents.AudioFrame{Samples: samples, SampleRate: t.opts.SampleRate, Channels: 1}
			if !yield(chunk, nil) {
				return nil
			}
			chunk.Started = time.Time{}
		}
		if err == io.EOF && half > 0 {
			err = errCutShort // whole samples were sent, so not all of them came
		}
		if err == io.EOF {
			break
		}
		if err != nil {
			return t.svc.transportError(ctx, resp, err)
		}
	}
	chunk.Frame = agents.AudioFrame{}
	chunk.Usage = &agents.TTSUsage{Characters: utf8.RuneCountInString(text), Connection: trace.result()}
	yield(chunk, nil)
	return nil
}

// checkAudio returns the error that an answer is which is not the audio that was asked for: played, it would be noise.
func (t *TTS) checkAudio(ctx context.Context, resp *http.Response, body *bufio.Reader) error {
	kind, _, _ := mime.ParseMediaType(resp.Header.Get("Content-Type"))
	if kind == "application/json" || strings.HasPrefix(kind, "text/") {
		text, err := io.ReadAll(io.LimitReader(body, maxErrorBody))
		if err != nil {
			return t.svc.transportError(ctx, resp, err)
		}
		e := t.svc.providerError(resp)
		t.svc.describe(e, text)
		if e.Message == "" {
			e.Err = fmt.Errorf("%w: %s instead of audio", agents.ErrConnection, kind)
		}
		return e
	}
	head, _ := body.Peek(4) // an error comes again with the next Read
	if format := container(kind, head); format != "" {
		e := t.svc.providerError(resp)
		e.Message = "the service sends " + format + " and not pcm"
		return e
	}
	return nil
}

// container returns the format of audio that begins so, if it is not just samples.
func container(kind string, head []byte) string {
	for magic, format := range map[string]string{"RIFF": "wav", "OggS": "ogg", "fLaC": "flac", "ID3\x03": "mp3", "ID3\x04": "mp3"} {
		if string(head) == magic {
			return format
		}
	}
	// The frames of MP3 and AAC begin like loud samples, so that the header has to agree.
	if len(head) == 4 && head[0] == 0xff && head[1]&0xe0 == 0xe0 && (kind == "audio/mpeg" || kind == "audio/aac") {
		return strings.TrimPrefix(kind, "audio/")
	}
	return ""
}
