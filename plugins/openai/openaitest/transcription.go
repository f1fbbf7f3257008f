package openaitest

import (
	"bytes"
	"fmt"
	"io"
	"mime"
	"mime/multipart"
	"net/http"
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/parley-voice/agents"
	"github.com/parley-voice/agents/audiofile"
)

const (
	maxUpload      = 25 << 20
	minSpeech      = 100 * time.Millisecond
	maxGPTSpeech   = 1400 * time.Second
	maxFormInPlace = 64 << 20 // so that nothing of a form is written to disk
)

// A TranscriptionRequest is a request for a transcript.
type TranscriptionRequest struct {
	Model          string
	FileName       string
	FileType       string            // the content type of the file
	Audio          agents.AudioFrame // what the file holds, which must be a WAV file
	Language       string
	Prompt         string
	ResponseFormat string // "json" if it was not given
	Temperature    string // as it was given
	Granularities  []string
}

// A TranscriptReply is what the server answers a request for a transcript with, in the format that was asked for.
type TranscriptReply struct {
	Text string
	// Language is what the service heard, in its words: "english". It is "english" by default, and part of verbose_json
	// only.
	Language string
	// Words is when the words were said. By default each takes as long as the others, without a pause.
	Words []Word

	// Delay is how long the answer takes to come.
	Delay time.Duration
	// Fault is what goes wrong: Refuse, Stall, Cut, EndEarly or Garbage. Cut and EndEarly send half the answer.
	Fault Fault
	// After, if not 0, lets Stall come after half the answer, and not before its header.
	After int
	// Body, if not empty, is sent in place of the answer, as JSON.
	Body string
	// Status, RetryAfter and Error are as in Reply.
	Status     int
	RetryAfter string
	Error      *APIError
}

// A Word is when a word was said.
type Word struct {
	Text       string
	Start, End time.Duration
}

var (
	languageCode = regexp.MustCompile(`^[a-z]{2,3}$`)
	fileFormats  = strings.Fields("flac m4a mp3 mp4 mpeg mpga oga ogg wav webm")
)

// parseTranscription checks a request as the service does. With an error comes the status.
func parseTranscription(r *Request) (*TranscriptionRequest, *APIError, int) {
	refuse := func(e *APIError) (*TranscriptionRequest, *APIError, int) { return nil, e, http.StatusBadRequest }
	kind, params, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if err != nil || kind != "multipart/form-data" {
		return nil, invalid("", "", "Unsupported content type: '%s'. This API method only accepts 'multipart/form-data' requests.", kind), http.StatusUnsupportedMediaType
	}
	if len(r.Body) > maxUpload {
		return nil, &APIError{Message: fmt.Sprintf("Maximum content size limit (%d) exceeded (%d bytes read)", maxUpload, len(r.Body)), Type: "server_error"},
			http.StatusRequestEntityTooLarge
	}
	form, err := multipart.NewReader(bytes.NewReader(r.Body), params["boundary"]).ReadForm(maxFormInPlace)
	if err != nil {
		return refuse(invalid("", "", "Could not parse multipart form"))
	}
	value := func(name string) string {
		if v := form.Value[name]; len(v) > 0 {
			return v[0]
		}
		return ""
	}
	t := &TranscriptionRequest{
		Model: value("model"), Language: value("language"), Prompt: value("prompt"), Temperature: value("temperature"),
		ResponseFormat: value("response_format"), Granularities: form.Value["timestamp_granularities[]"],
	}
	if t.ResponseFormat == "" {
		t.ResponseFormat = "json"
	}
	if len(form.File["file"]) == 0 {
		return refuse(invalid("", "", "[{'type': 'missing', 'loc': ('body', 'file'), 'msg': 'Field required', 'input': None}]"))
	}
	if t.Model == "" {
		return refuse(invalid("", "", "you must provide a model parameter"))
	}
	if e := t.checkOptions(); e != nil {
		return refuse(e)
	}
	if e := t.readFile(form.File["file"][0]); e != nil {
		return refuse(e)
	}
	return t, nil, 0
}

// whisper reports whether the model is one that knows the older formats.
func (t *TranscriptionRequest) whisper() bool { return strings.Contains(t.Model, "whisper") }

func (t *TranscriptionRequest) checkOptions() *APIError {
	f := t.ResponseFormat
	temperature, err := strconv.ParseFloat(t.Temperature, 64)
	switch {
	case !slices.Contains([]string{"json", "text", "srt", "verbose_json", "vtt"}, f):
		return invalid("response_format", "invalid_value", "Invalid value: '%s'. Supported values are: 'json', 'text', 'srt', 'verbose_json' and 'vtt'.", f)
	case !t.whisper() && f != "json" && f != "text":
		return invalid("response_format", "unsupported_value", "response_format '%s' is not compatible with model '%s'. Use 'json' or 'text' instead.", f, t.Model)
	case f == "srt" || f == "vtt":
		return invalid("", "", "openaitest: transcripts are not there as %s", f)
	case len(t.Granularities) > 0 && f != "verbose_json":
		return invalid("timestamp_granularities", "invalid_value", "timestamp_granularities needs response_format 'verbose_json', but got '%s' instead.", f)
	case slices.ContainsFunc(t.Granularities, func(g string) bool { return g != "word" && g != "segment" }):
		return invalid("timestamp_granularities", "invalid_value", "Invalid value: '%s'. Supported values are: 'word' and 'segment'.", strings.Join(t.Granularities, ", "))
	case t.Language != "" && !languageCode.MatchString(t.Language):
		return invalid("language", "invalid_language_format", "Invalid language '%s'. Language parameter must be specified in ISO-639-1 format.", t.Language)
	case t.Temperature != "" && (err != nil || !(temperature >= 0 && temperature <= 1)):
		return invalid("temperature", "invalid_value", "Invalid 'temperature': expected a value from 0 to 1, but got %s instead.", t.Temperature)
	}
	return nil
}

func (t *TranscriptionRequest) readFile(h *multipart.FileHeader) *APIError {
	t.FileName, t.FileType = h.Filename, h.Header.Get("Content-Type")
	if !slices.Contains(fileFormats, strings.TrimPrefix(path.Ext(h.Filename), ".")) {
		return invalid("file", "unsupported_format", "Invalid file format. Supported formats: ['%s']", strings.Join(fileFormats, "', '"))
	}
	f, err := h.Open()
	if err == nil {
		defer f.Close()
		t.Audio, err = audiofile.Decode(f)
	}
	if err != nil {
		return invalid("file", "invalid_value", "Audio file might be corrupted or unsupported")
	}
	switch d := t.Audio.Duration(); {
	case d < minSpeech && t.whisper():
		return invalid("file", "audio_too_short", "Audio file is too short. Minimum audio length is 0.1 seconds.")
	case d < minSpeech:
		return invalid("", "invalid_value", "audio duration %v seconds is shorter than 0.1 seconds which is the minimum for this model", d.Seconds())
	case d > maxGPTSpeech && !t.whisper():
		return invalid("", "invalid_value", "audio duration %v seconds is longer than %v seconds which is the maximum for this model", d.Seconds(), maxGPTSpeech.Seconds())
	}
	return nil
}

func (p *player) transcript(r *TranscriptReply) {
	p.reply = &Reply{Delay: r.Delay, Fault: r.Fault, After: r.After, Status: r.Status, RetryAfter: r.RetryAfter, Error: r.Error}
	if !p.begins() {
		return
	}
	kind, body := "application/json", r.Body
	if body == "" {
		kind, body = r.render(p.req.Transcription)
	}
	p.w.Header().Set("Content-Type", kind)
	if r.Fault == NoFault {
		_, _ = io.WriteString(p.w, body)
		return
	}
	p.w.WriteHeader(http.StatusOK)
	p.send(body[:len(body)/2])
	p.fail("")
}

// render returns an answer in the format that was asked for.
func (r *TranscriptReply) render(t *TranscriptionRequest) (kind, body string) {
	seconds := t.Audio.Duration().Seconds()
	answer := map[string]any{"text": r.Text}
	switch t.ResponseFormat {
	case "text":
		return "text/plain; charset=utf-8", r.Text + "\n"
	case "verbose_json":
		language := r.Language
		if language == "" {
			language = "english"
		}
		answer["task"], answer["language"], answer["duration"] = "transcribe", language, seconds
		if len(t.Granularities) == 0 || slices.Contains(t.Granularities, "segment") {
			answer["segments"] = r.segments(t)
		}
		if slices.Contains(t.Granularities, "word") {
			words := []any{}
			for _, w := range r.words(t) {
				words = append(words, map[string]any{"word": w.Text, "start": w.Start.Seconds(), "end": w.End.Seconds()})
			}
			answer["words"] = words
		}
	}
	if t.whisper() {
		answer["usage"] = map[string]any{"type": "duration", "seconds": int(seconds + 0.999)}
	} else {
		in, out := int(10*seconds), len(strings.Fields(r.Text))
		answer["usage"] = map[string]any{
			"type": "tokens", "input_tokens": in, "output_tokens": out, "total_tokens": in + out,
			"input_token_details": map[string]any{"text_tokens": 0, "audio_tokens": in},
		}
	}
	return "application/json", encode(answer)
}

// segments returns one segment with all that was said.
func (r *TranscriptReply) segments(t *TranscriptionRequest) []any {
	words := r.words(t)
	if len(words) == 0 {
		return []any{}
	}
	return []any{map[string]any{
		"id": 0, "seek": 0, "start": words[0].Start.Seconds(), "end": words[len(words)-1].End.Seconds(), "text": " " + r.Text,
		"tokens": []int{50364, 50464}, "temperature": 0, "avg_logprob": -0.25, "compression_ratio": 1.1, "no_speech_prob": 0.01,
	}}
}

func (r *TranscriptReply) words(t *TranscriptionRequest) []Word {
	if r.Words != nil {
		return r.Words
	}
	var words []Word
	said := strings.Fields(r.Text)
	for i, w := range said {
		at := func(i int) time.Duration { return t.Audio.Duration() * time.Duration(i) / time.Duration(len(said)) }
		words = append(words, Word{Text: strings.Trim(w, ".,!?;:"), Start: at(i), End: at(i + 1)})
	}
	return words
}
