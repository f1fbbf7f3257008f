package openai

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math"
	"net/http"
	"net/url"
	"strings"
	"time"

	openai "github.com/sashabaranov/go-openai"

	"github.com/parley-voice/agents"
	"github.com/parley-voice/agents/audiofile"
)

const (
	defaultSTTModel  = "gpt-4o-mini-transcribe"
	defaultLanguage  = "en"
	recognitionRate  = 16000                  // what the models listen to; more would only take longer to send
	minRecognisable  = 100 * time.Millisecond // the service refuses less
	maxRecognisable  = 25<<20 - 64<<10        // bytes of a file; the service takes 25 MiB with the rest of the form
	maxTranscription = 16 << 20               // bytes of an answer
)

// STTOptions configure an [STT]. The zero value of each field is its default; a parameter that is not set is not sent.
type STTOptions struct {
	// Model is the name of the model, "gpt-4o-mini-transcribe" by default. Of the service's models whisper-1 is the one
	// that times words.
	Model string
	// Language is what is spoken, "en" by default. Of a tag such as "pt-BR" the API knows only the language, "pt".
	Language string
	// DetectLanguage lets the model find out what is spoken. It cannot be set together with Language.
	DetectLanguage bool
	// Prompt is text in the style of what will be said. The keyterms of the session follow it.
	Prompt string
	// Temperature is from 0 to 1.
	Temperature float64
	// Timeout is how long a request may take: 30 s by default, or agents.Never. Usually a session is less patient, see
	// agents.ConnectOptions.
	Timeout agents.Delay

	// APIKey defaults to the environment variable OPENAI_API_KEY, whatever the address. It is needed only for OpenAI's
	// own service. It is never part of an error, and options do not print it.
	APIKey string `json:"-"`
	// BaseURL is the address of the API, without /audio/transcriptions. It defaults to the environment variable
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
func (o STTOptions) Format(f fmt.State, _ rune) {
	fmt.Fprintf(f, "openai.STTOptions{Model: %q}", o.Model)
}

// LogValue implements [slog.LogValuer] as Format does.
func (o STTOptions) LogValue() slog.Value { return slog.StringValue(fmt.Sprint(o)) }

// An STT is a recogniser behind the transcription API, which takes one utterance at a time. It implements [agents.STT],
// [agents.Recognizer], [agents.ModelInfo] and [agents.Prewarmer], and is safe for concurrent use. A session finds the
// utterances with its VAD; elsewhere [agents.NewSTTAdapter] makes it a streaming STT. The audio is never written to
// disk.
type STT struct {
	opts    STTOptions
	timeout time.Duration // 0 for none
	svc     *service
	whisper bool // the model knows the format with timings
}

var (
	_ agents.STT        = (*STT)(nil)
	_ agents.Recognizer = (*STT)(nil)
	_ agents.ModelInfo  = (*STT)(nil)
	_ agents.Prewarmer  = (*STT)(nil)
)

// NewSTT returns a recogniser. It does not connect; a wrong key shows with the first request.
func NewSTT(o STTOptions) (*STT, error) {
	if o.DetectLanguage && o.Language != "" {
		return nil, errors.New("openai: STTOptions.Language and DetectLanguage exclude each other")
	}
	if !(o.Temperature >= 0 && o.Temperature <= 1) {
		return nil, errors.New("openai: STTOptions.Temperature must be from 0 to 1")
	}
	if o.Language != "" && languageCode(o.Language) == "" {
		return nil, fmt.Errorf("openai: STTOptions.Language: %q is no language tag", o.Language)
	}
	o.Model = cmp.Or(o.Model, defaultSTTModel)
	if !o.DetectLanguage {
		o.Language = cmp.Or(o.Language, defaultLanguage)
	}
	svc, err := newService("recognize", "STTOptions", access{
		APIKey: o.APIKey, BaseURL: o.BaseURL, Provider: o.Provider, Organization: o.Organization, Project: o.Project,
		HTTPClient: o.HTTPClient, Header: o.Header, Query: o.Query,
	})
	if err != nil {
		return nil, err
	}
	o.APIKey = ""
	return &STT{opts: o, timeout: timeoutOf(o.Timeout), svc: svc, whisper: strings.Contains(strings.ToLower(o.Model), "whisper")}, nil
}

// Capabilities implements [agents.STT].
func (t *STT) Capabilities() agents.STTCapabilities {
	c := agents.STTCapabilities{Keyterms: true, SampleRate: recognitionRate}
	if t.whisper {
		c.Timing = agents.WordTiming
	}
	return c
}

// Stream implements [agents.STT]. The API takes whole utterances only, so the error is [errors.ErrUnsupported].
func (t *STT) Stream(context.Context, agents.STTOptions) (agents.STTStream, error) {
	return nil, errors.ErrUnsupported
}

// Model implements [agents.ModelInfo].
func (t *STT) Model() string { return t.opts.Model }

// Provider implements [agents.ModelInfo].
func (t *STT) Provider() string { return t.svc.provider }

// String returns the provider and the model.
func (t *STT) String() string { return t.svc.provider + " " + t.opts.Model }

// GoString is String, so that no verb prints the key.
func (t *STT) GoString() string { return t.String() }

// Prewarm implements [agents.Prewarmer]: it opens a connection by asking for the list of models.
func (t *STT) Prewarm(ctx context.Context) { t.svc.prewarm(ctx) }

// Recognize implements [agents.Recognizer]. It takes audio of any format, up to the 25 MiB that the service takes, which
// is 13 minutes at 16 kHz. In less than 0.1 s nothing is said: the transcript is empty, and there is no request. When
// ctx ends, so does the request, with ctx.Err().
func (t *STT) Recognize(ctx context.Context, speech agents.AudioFrame, opts agents.STTOptions) (agents.STTEvent, error) {
	if err := speech.Check(); err != nil {
		return agents.STTEvent{}, t.svc.unsendable(err)
	}
	if speech.Duration() < minRecognisable {
		return agents.STTEvent{Type: agents.STTFinal, Usage: &agents.STTUsage{}}, nil
	}
	if 2*len(speech.Samples) > maxRecognisable {
		return agents.STTEvent{}, t.svc.unsendable(fmt.Errorf("%v of speech are too long", speech.Duration().Round(time.Second)))
	}
	wav := bytes.NewBuffer(make([]byte, 0, 2*len(speech.Samples)+64))
	if err := audiofile.Encode(wav, speech); err != nil {
		return agents.STTEvent{}, t.svc.unsendable(err)
	}
	return t.transcribe(ctx, wav, speech.Duration(), opts)
}

// transcribe asks the service for what is said in a file.
func (t *STT) transcribe(ctx context.Context, wav io.Reader, length time.Duration, opts agents.STTOptions) (agents.STTEvent, error) {
	ctx, patience := newPatience(ctx, t.timeout)
	defer patience.end()
	language := languageCode(cmp.Or(opts.Language, t.opts.Language))
	req := openai.AudioRequest{
		Model:       t.opts.Model,
		FilePath:    "speech.wav", // only a name
		Reader:      wavFile{wav},
		Prompt:      t.prompt(opts.Keyterms),
		Temperature: float32(t.opts.Temperature),
		Language:    language,
		Format:      openai.AudioResponseFormatJSON,
	}
	if t.whisper {
		req.Format = openai.AudioResponseFormatVerboseJSON
		req.TimestampGranularities = []openai.TranscriptionTimestampGranularity{
			openai.TranscriptionTimestampGranularityWord, openai.TranscriptionTimestampGranularitySegment,
		}
	}
	var trace connectionTrace
	var call transcriptionCall
	answer, err := t.svc.library(call.sender(t.svc)).CreateTranscription(trace.traced(ctx), req)
	if err != nil {
		return agents.STTEvent{}, call.failure(ctx, t.svc, err)
	}
	var more transcriptionMore
	if err := json.Unmarshal(call.body, &more); err != nil {
		return agents.STTEvent{}, call.failure(ctx, t.svc, err)
	}
	if more.Text == nil { // it is not an answer, whatever the status says
		e := t.svc.providerError(call.resp)
		if t.svc.describe(e, call.body); e.Message == "" {
			e.Err = fmt.Errorf("%w: an answer without text", agents.ErrConnection)
		}
		return agents.STTEvent{}, e
	}
	said := transcriptOf(&answer)
	said.Language = cmp.Or(said.Language, language)
	return agents.STTEvent{
		Type:       agents.STTFinal,
		RequestID:  answer.Header().Get("X-Request-Id"),
		Transcript: said,
		Usage: &agents.STTUsage{
			Audio: length, InputTokens: more.Usage.InputTokens, OutputTokens: more.Usage.OutputTokens, Connection: trace.result(),
		},
	}, nil
}

// A wavFile is a file in memory that says what it is; the library would ask the system.
type wavFile struct{ io.Reader }

// ContentType is what the library asks for.
func (wavFile) ContentType() string { return "audio/wav" }

// transcriptionMore is what the library's type for an answer does not tell. Whisper counts seconds, and no tokens.
type transcriptionMore struct {
	Text  *string `json:"text"` // nil if there is none, which is another thing than an empty one
	Usage struct {
		InputTokens  int `json:"input_tokens"`
		OutputTokens int `json:"output_tokens"`
	} `json:"usage"`
}

// A transcriptionCall keeps the answer of one call of the library.
type transcriptionCall struct {
	resp *http.Response // nil if there was none with the status 200
	body []byte
}

// sender sends a request and reads the answer to its end, which also leaves the connection to the next request.
func (c *transcriptionCall) sender(s *service) sender {
	return func(req *http.Request) (*http.Response, error) {
		resp, err := s.send(req)
		if err != nil {
			return nil, err
		}
		defer resp.Body.Close()
		body, err := io.ReadAll(io.LimitReader(resp.Body, maxTranscription))
		if err != nil {
			return nil, s.transportError(req.Context(), resp, err)
		}
		c.resp, c.body = resp, body
		resp.Body = io.NopCloser(bytes.NewReader(body))
		return resp, nil
	}
}

// failure is what a failed call becomes: if there is an answer, it is one that cannot be read.
func (c *transcriptionCall) failure(ctx context.Context, s *service, err error) error {
	if c.resp == nil {
		return s.callError(ctx, err)
	}
	if errors.Is(err, io.EOF) {
		err = errCutShort
	}
	return s.transportError(ctx, c.resp, fmt.Errorf("malformed answer: %w", err))
}

// transcriptOf turns an answer into a transcript.
func transcriptOf(a *openai.AudioResponse) agents.Transcript {
	t := agents.Transcript{Text: strings.TrimSpace(a.Text), Language: languageCode(a.Language)}
	for _, w := range a.Words {
		t.Words = append(t.Words, agents.TimedText{Text: w.Word, Start: seconds(w.Start), End: max(seconds(w.Start), seconds(w.End))})
	}
	punctuate(t.Words, t.Text)
	logprob, length := 0.0, 0.0
	for _, s := range a.Segments {
		logprob += s.AvgLogprob * (s.End - s.Start)
		length += s.End - s.Start
	}
	if length > 0 {
		t.Confidence = min(math.Exp(logprob/length), 1)
	}
	switch {
	case len(t.Words) > 0:
		t.Start, t.End = t.Words[0].Start, t.Words[len(t.Words)-1].End
	case len(a.Segments) > 0:
		t.Start, t.End = seconds(a.Segments[0].Start), seconds(a.Segments[len(a.Segments)-1].End)
	}
	return t
}

// punctuate gives words the white space and punctuation that follow them in the text, if all of them are found there.
func punctuate(words []agents.TimedText, text string) {
	ends := make([]int, len(words)) // of the text before each word
	at := 0
	for i, w := range words {
		j := strings.Index(text[at:], w.Text)
		if j < 0 || w.Text == "" {
			return
		}
		ends[i] = at + j
		at += j + len(w.Text)
	}
	for i := range words {
		from, to := ends[i], len(text)
		if i == 0 {
			from = 0
		}
		if i+1 < len(words) {
			to = ends[i+1]
		}
		words[i].Text = text[from:to]
	}
}

func seconds(s float64) time.Duration {
	return max(0, time.Duration(math.Round(s*1e6))*time.Microsecond)
}
