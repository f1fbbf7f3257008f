package openaitest_test

import (
	"bytes"
	"encoding/json"
	"io"
	"mime/multipart"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/parley-voice/agents"
	"github.com/parley-voice/agents/audiofile"
	"github.com/parley-voice/agents/plugins/openai/openaitest"
)

// call sends a request and returns the response, with its body read.
func call(t *testing.T, srv *openaitest.Server, path, contentType, body string) (*http.Response, string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, srv.URL()+path, strings.NewReader(body))
	require.NoError(t, err)
	req.Header.Set("Authorization", "Bearer "+srv.Key())
	req.Header.Set("Content-Type", contentType)
	resp, err := srv.Client().Do(req)
	require.NoError(t, err)
	defer resp.Body.Close()
	got, err := io.ReadAll(resp.Body)
	require.NoError(t, err)
	return resp, string(got)
}

// refusal returns the error of a body.
func refusal(t *testing.T, body string) openaitest.APIError {
	t.Helper()
	var e struct{ Error openaitest.APIError }
	require.NoError(t, json.Unmarshal([]byte(body), &e), body)
	return e.Error
}

func TestSpeechValidation(t *testing.T) {
	const ok = `"model":"tts-1","input":"Hi.","voice":"ash"`
	for name, tt := range map[string]struct{ body, want string }{
		"plain":         {`{` + ok + `,"response_format":"pcm","speed":1.5}`, ""},
		"not JSON":      {`{`, "We could not parse the JSON body of your request."},
		"no model":      {`{"input":"Hi.","voice":"ash","response_format":"pcm"}`, "you must provide a model parameter"},
		"no input":      {`{"model":"tts-1","voice":"ash","response_format":"pcm"}`, "'input'"},
		"no voice":      {`{"model":"tts-1","input":"Hi.","response_format":"pcm"}`, "'voice'"},
		"unknown voice": {`{"model":"tts-1","input":"Hi.","voice":"bob","response_format":"pcm"}`, "Invalid value: 'bob'."},
		"long":          {`{"model":"tts-1","input":"` + strings.Repeat("ä", 4097) + `","voice":"ash","response_format":"pcm"}`, "at most 4096 characters"},
		"fast":          {`{` + ok + `,"response_format":"pcm","speed":5}`, "'speed'"},
		"format":        {`{` + ok + `,"response_format":"midi"}`, "Invalid value: 'midi'."},
		"mp3":           {`{` + ok + `}`, "only there as pcm"},
		"events":        {`{` + ok + `,"response_format":"pcm","stream_format":"sse"}`, "not as events"},
	} {
		synctest.Test(t, func(t *testing.T) {
			srv := openaitest.NewServer()
			defer srv.Close()
			srv.AddSpeech(openaitest.SpeechReply{})
			resp, body := call(t, srv, "/audio/speech", "application/json", tt.body)
			if tt.want == "" {
				require.Equal(t, 200, resp.StatusCode, "%s: %s", name, body)
				require.Equal(t, "audio/pcm", resp.Header.Get("Content-Type"))
				require.Len(t, body, 3*60*24*2) // 60 ms a character
				require.Len(t, srv.Speeches(), 1)
				return
			}
			require.Equal(t, 400, resp.StatusCode, name)
			require.Contains(t, refusal(t, body).Message, tt.want, name)
			require.Equal(t, "invalid_request_error", refusal(t, body).Type)
			require.Empty(t, srv.Speeches())
		})
	}
}

// form returns a form and its content type. A field "file" is a file of that name with the audio.
func form(t *testing.T, audio string, fields ...string) (contentType, body string) {
	t.Helper()
	var b bytes.Buffer
	w := multipart.NewWriter(&b)
	for i := 0; i < len(fields); i += 2 {
		if fields[i] != "file" {
			require.NoError(t, w.WriteField(fields[i], fields[i+1]))
			continue
		}
		part, err := w.CreateFormFile("file", fields[i+1])
		require.NoError(t, err)
		_, err = io.WriteString(part, audio)
		require.NoError(t, err)
	}
	require.NoError(t, w.Close())
	return w.FormDataContentType(), b.String()
}

func wav(t *testing.T, d time.Duration) string {
	t.Helper()
	var b bytes.Buffer
	require.NoError(t, audiofile.Encode(&b, agents.Silence(d, 200, 1)))
	return b.String()
}

func TestTranscriptionValidation(t *testing.T) {
	second := wav(t, time.Second)
	file, model := []string{"file", "a.wav"}, []string{"model", "gpt-4o-transcribe"}
	whisper := []string{"file", "a.wav", "model", "whisper-1"}
	with := func(parts ...[]string) (all []string) {
		for _, p := range parts {
			all = append(all, p...)
		}
		return all
	}
	more := func(s ...string) []string { return s }
	for name, tt := range map[string]struct {
		audio  string
		fields []string
		want   string // part of the message, or empty for none
		code   any
	}{
		"plain":               {second, with(file, model), "", nil},
		"all":                 {second, with(file, model, more("language", "de", "prompt", "p", "temperature", "0.5", "response_format", "text")), "", nil},
		"no file":             {second, model, "('body', 'file'), 'msg': 'Field required'", nil},
		"file as a field":     {second, with(model, more("file2", "x")), "Field required", nil},
		"no model":            {second, file, "you must provide a model parameter", nil},
		"name without ending": {second, with(more("file", "audio"), model), "Invalid file format. Supported formats: ['flac', 'm4a'", "unsupported_format"},
		"not audio":           {"hello", with(file, model), "corrupted or unsupported", "invalid_value"},
		"short":               {wav(t, 90*time.Millisecond), with(file, model), "audio duration 0.09 seconds is shorter than 0.1 seconds which is the minimum for this model", "invalid_value"},
		"short for whisper":   {wav(t, 90*time.Millisecond), whisper, "Audio file is too short. Minimum audio length is 0.1 seconds.", "audio_too_short"},
		"long":                {wav(t, 1401*time.Second), with(file, model), "longer than 1400 seconds", "invalid_value"},
		"long for whisper":    {wav(t, 1401*time.Second), whisper, "", nil},
		"language":            {second, with(file, model, more("language", "en-US")), "Invalid language 'en-US'.", "invalid_language_format"},
		"format":              {second, with(file, model, more("response_format", "xml")), "Invalid value: 'xml'.", "invalid_value"},
		"format of whisper":   {second, with(file, model, more("response_format", "verbose_json")), "response_format 'verbose_json' is not compatible with model 'gpt-4o-transcribe'. Use 'json' or 'text' instead.", "unsupported_value"},
		"subtitles":           {second, with(whisper, more("response_format", "srt")), "not there as srt", nil},
		"granularities":       {second, with(whisper, more("timestamp_granularities[]", "word")), "needs response_format 'verbose_json'", "invalid_value"},
		"granularity":         {second, with(whisper, more("response_format", "verbose_json", "timestamp_granularities[]", "letter")), "Invalid value: 'letter'.", "invalid_value"},
		"temperature":         {second, with(file, model, more("temperature", "warm")), "'temperature'", "invalid_value"},
	} {
		synctest.Test(t, func(t *testing.T) {
			srv := openaitest.NewServer()
			defer srv.Close()
			srv.AddTranscripts(openaitest.TranscriptReply{Text: "Hi."})
			kind, body := form(t, tt.audio, tt.fields...)
			resp, body := call(t, srv, "/audio/transcriptions", kind, body)
			if tt.want == "" {
				require.Equal(t, 200, resp.StatusCode, "%s: %s", name, body)
				require.Len(t, srv.Transcriptions(), 1)
				return
			}
			require.Equal(t, 400, resp.StatusCode, name)
			require.Contains(t, refusal(t, body).Message, tt.want, name)
			require.Equal(t, tt.code, refusal(t, body).Code, name)
			require.Equal(t, "invalid_request_error", refusal(t, body).Type, name)
			require.Empty(t, srv.Transcriptions(), name)
		})
	}
}

func TestTranscriptionUploads(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := openaitest.NewServer()
		defer srv.Close()
		resp, body := call(t, srv, "/audio/transcriptions", "application/json", `{}`)
		require.Equal(t, 415, resp.StatusCode)
		require.Contains(t, refusal(t, body).Message, "multipart/form-data")
		resp, body = call(t, srv, "/audio/transcriptions", "multipart/form-data; boundary=x", "no form")
		require.Equal(t, 400, resp.StatusCode)
		require.Contains(t, refusal(t, body).Message, "Could not parse multipart form")
		kind, big := form(t, strings.Repeat("x", 25<<20), "file", "a.wav", "model", "whisper-1")
		resp, body = call(t, srv, "/audio/transcriptions", kind, big)
		require.Equal(t, 413, resp.StatusCode)
		require.Contains(t, refusal(t, body).Message, "Maximum content size limit (26214400) exceeded")

		srv.SetModels("whisper-1")
		kind, small := form(t, wav(t, time.Second), "file", "a.wav", "model", "gpt-4o-transcribe")
		resp, body = call(t, srv, "/audio/transcriptions", kind, small)
		require.Equal(t, 404, resp.StatusCode)
		require.Equal(t, "model_not_found", refusal(t, body).Code)
		kind, small = form(t, wav(t, time.Second), "file", "a.wav", "model", "whisper-1")
		resp, body = call(t, srv, "/audio/transcriptions", kind, small)
		require.Equal(t, 400, resp.StatusCode)
		require.Contains(t, body, "no reply is left")
	})
}

// The same answer in the formats.
func TestTranscriptFormats(t *testing.T) {
	for _, tt := range []struct{ model, format, kind, want string }{
		{"gpt-4o-transcribe", "", "application/json", `{"text":"Hello, you.","usage":{"type":"tokens","input_tokens":12,"output_tokens":2,"total_tokens":14,"input_token_details":{"text_tokens":0,"audio_tokens":12}}}`},
		{"gpt-4o-transcribe", "text", "text/plain; charset=utf-8", "Hello, you.\n"},
		{"whisper-1", "json", "application/json", `{"text":"Hello, you.","usage":{"type":"duration","seconds":2}}`},
		{"whisper-1", "verbose_json", "application/json", `{"task":"transcribe","language":"english","duration":1.2,"text":"Hello, you.",
			"words":[{"word":"Hello","start":0,"end":0.6},{"word":"you","start":0.6,"end":1.2}],"usage":{"type":"duration","seconds":2}}`},
	} {
		synctest.Test(t, func(t *testing.T) {
			srv := openaitest.NewServer()
			defer srv.Close()
			srv.AddTranscripts(openaitest.TranscriptReply{Text: "Hello, you."})
			fields := []string{"file", "a.wav", "model", tt.model}
			if tt.format != "" {
				fields = append(fields, "response_format", tt.format)
			}
			if tt.format == "verbose_json" {
				fields = append(fields, "timestamp_granularities[]", "word")
			}
			kind, body := form(t, wav(t, 1200*time.Millisecond), fields...)
			resp, body := call(t, srv, "/audio/transcriptions", kind, body)
			require.Equal(t, tt.kind, resp.Header.Get("Content-Type"))
			if tt.format == "text" {
				require.Equal(t, tt.want, body)
			} else {
				require.JSONEq(t, tt.want, body)
			}
		})
	}
}
