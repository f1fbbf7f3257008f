package openai_test

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"log/slog"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/parley-voice/agents"
	"github.com/parley-voice/agents/plugins/openai"
	"github.com/parley-voice/agents/plugins/openai/openaitest"
)

const ms = time.Millisecond

// newTTS returns a voice that talks to a server.
func newTTS(t *testing.T, srv *openaitest.Server, o openai.TTSOptions) *openai.TTS {
	t.Helper()
	o.BaseURL, o.HTTPClient = srv.URL(), srv.Client()
	if o.APIKey == "" {
		o.APIKey = srv.Key()
	}
	tts, err := openai.NewTTS(o)
	require.NoError(t, err)
	return tts
}

// serveTTS returns a server in memory and a voice that talks to it.
func serveTTS(t *testing.T, o openai.TTSOptions, replies ...openaitest.SpeechReply) (*openaitest.Server, *openai.TTS) {
	t.Helper()
	srv := openaitest.NewServer()
	t.Cleanup(srv.Close)
	srv.AddSpeech(replies...)
	return srv, newTTS(t, srv, o)
}

// spoken is all that came of a text.
type spoken struct {
	samples []int16
	frames  []time.Duration // when each came
	longest time.Duration
	started time.Time
	id      string
	usage   *agents.TTSUsage
	err     error
}

func hear(seq iter.Seq2[agents.TTSChunk, error]) spoken {
	var s spoken
	begin := time.Now()
	for c, err := range seq {
		if err != nil {
			s.err = err
			continue // what comes after an error is a fault
		}
		if s.err != nil || s.usage != nil {
			panic("a chunk after the end")
		}
		s.id = c.RequestID
		s.usage = c.Usage
		if !c.Started.IsZero() {
			s.started = c.Started
		}
		if len(c.Frame.Samples) > 0 {
			if c.Frame.Check() != nil || c.Frame.Channels != 1 {
				panic("an impossible frame")
			}
			s.samples = append(s.samples, c.Frame.Samples...)
			s.frames = append(s.frames, time.Since(begin))
			s.longest = max(s.longest, c.Frame.Duration())
		}
	}
	return s
}

// The first audio is there when the first bytes are, and the rest as it comes.
func TestSpeech(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		audio := openaitest.Tone(300 * ms)
		srv, tts := serveTTS(t, openai.TTSOptions{}, openaitest.SpeechReply{Audio: audio, Delay: 250 * ms, Pause: 40 * ms})
		start := time.Now()
		s := hear(tts.Synthesize(t.Context(), "Grüße aus Köln.", agents.TTSOptions{}))
		require.NoError(t, s.err)
		require.Equal(t, audio, s.samples)
		require.Equal(t, 250*ms, s.frames[0])
		require.Equal(t, 330*ms, s.frames[len(s.frames)-1])
		require.Equal(t, start, s.started)
		require.Equal(t, "req_1", s.id)
		require.Equal(t, &agents.TTSUsage{Characters: 15, Connection: &agents.ConnectionInfo{}}, s.usage)

		require.Equal(t, agents.TTSCapabilities{SampleRate: 24000, Channels: 1}, tts.Capabilities())
		require.Equal(t, "gpt-4o-mini-tts", tts.Model())
		require.Equal(t, "openai.test", tts.Provider())
		_, err := tts.Stream(t.Context(), agents.TTSOptions{})
		require.ErrorIs(t, err, errors.ErrUnsupported)
		require.Equal(t, "Bearer "+srv.Key(), srv.Requests()[0].Header.Get("Authorization"))
	})
}

func TestSpeechRequests(t *testing.T) {
	for want, o := range map[string]openai.TTSOptions{
		`{"model":"gpt-4o-mini-tts","input":"Hi.","voice":"ash","response_format":"pcm"}`: {},
		`{"model":"tts-1","input":"Hi.","voice":"nova","instructions":"Whisper.","response_format":"pcm","speed":1.5}`: {
			Model: "tts-1", Voice: "nova", Instructions: "Whisper.", Speed: 1.5,
		},
	} {
		synctest.Test(t, func(t *testing.T) {
			o.Organization, o.Project = "org", "project"
			o.Header, o.Query = http.Header{"x-more": {"1"}}, map[string][]string{"api-version": {"2"}}
			srv, tts := serveTTS(t, o, openaitest.SpeechReply{})
			require.NoError(t, hear(tts.Synthesize(t.Context(), "Hi.", agents.TTSOptions{Language: "en"})).err)
			r := srv.Requests()[0]
			require.JSONEq(t, want, string(r.Body))
			require.Equal(t, "/v1/audio/speech", r.Path)
			require.Equal(t, []string{"org", "project", "1", "application/json"},
				[]string{r.Header.Get("OpenAI-Organization"), r.Header.Get("OpenAI-Project"), r.Header.Get("X-More"), r.Header.Get("Content-Type")})
		})
	}
}

// The address may have a path and a query of its own.
func TestSpeechAddress(t *testing.T) {
	got := ""
	client := &http.Client{Transport: transport(func(r *http.Request) (*http.Response, error) { got = r.URL.String(); return nil, errors.New("no") })}
	tts, err := openai.NewTTS(openai.TTSOptions{BaseURL: "http://host/deep/v1/?a=b", HTTPClient: client, Query: map[string][]string{"c": {"d"}}})
	require.NoError(t, err)
	require.Error(t, hear(tts.Synthesize(t.Context(), "Hi.", agents.TTSOptions{})).err)
	require.Equal(t, "http://host/deep/v1/audio/speech?a=b&c=d", got)
}

// Chunks end anywhere, also in the middle of a sample.
func TestSpeechInOddPieces(t *testing.T) {
	audio := openaitest.Tone(50 * ms)
	for _, size := range []int{1, 3, 333, 2399, 4801} {
		synctest.Test(t, func(t *testing.T) {
			_, tts := serveTTS(t, openai.TTSOptions{}, openaitest.SpeechReply{Audio: audio, ChunkSize: size})
			s := hear(tts.Synthesize(t.Context(), "Hi.", agents.TTSOptions{}))
			require.NoError(t, s.err)
			require.Equal(t, audio, s.samples)
		})
	}
}

// What comes at once still comes in short frames.
func TestSpeechInShortFrames(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		audio := openaitest.Tone(3 * time.Second)
		_, tts := serveTTS(t, openai.TTSOptions{SampleRate: 16000}, openaitest.SpeechReply{Audio: audio, ChunkSize: 1 << 20})
		s := hear(tts.Synthesize(t.Context(), "Hi.", agents.TTSOptions{}))
		require.NoError(t, s.err)
		require.Equal(t, audio, s.samples)
		require.LessOrEqual(t, s.longest, 200*ms)
	})
}

func TestSpeechOfBlankText(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv, tts := serveTTS(t, openai.TTSOptions{})
		require.Equal(t, spoken{}, hear(tts.Synthesize(t.Context(), " \n", agents.TTSOptions{})))
		require.Empty(t, srv.Requests())
	})
}

func TestSpeechReusesTheConnection(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv, tts := serveTTS(t, openai.TTSOptions{})
		srv.RespondSpeech(func(*openaitest.Request) openaitest.SpeechReply { return openaitest.SpeechReply{} })
		tts.Prewarm(t.Context())
		for range 4 {
			s := hear(tts.Synthesize(t.Context(), "Hello there.", agents.TTSOptions{}))
			require.NoError(t, s.err)
			require.True(t, s.usage.Connection.Reused)
		}
		require.Equal(t, 1, srv.Dials())
		require.Equal(t, "/v1/models", srv.Requests()[0].Path)
	})
}

func TestSpeechStatuses(t *testing.T) {
	tests := []struct {
		reply     openaitest.SpeechReply
		text      string
		retryable bool
		after     time.Duration
	}{
		{openaitest.SpeechReply{Status: 401}, "openai.test: synthesize: Incorrect API key provided: sk-***. You can find your API key at https://platform.openai.com/account/api-keys. Check TTSOptions.APIKey or OPENAI_API_KEY. (401 Unauthorized)", false, 0},
		{openaitest.SpeechReply{Status: 404}, "openai.test: synthesize: The request was refused. (404 Not Found)", false, 0},
		{openaitest.SpeechReply{Status: 429, RetryAfter: "2"}, "openai.test: synthesize: Rate limit reached for requests. (429 Too Many Requests)", true, 2 * time.Second},
		{openaitest.SpeechReply{Status: 429, Error: &openaitest.APIError{Message: "You exceeded your current quota.", Code: "insufficient_quota"}},
			"openai.test: synthesize: You exceeded your current quota. (429 Too Many Requests)", false, 0},
		{openaitest.SpeechReply{Status: 500}, "openai.test: synthesize: The server had an error while processing your request. Sorry about that! (500 Internal Server Error)", true, 0},
	}
	for _, tt := range tests {
		synctest.Test(t, func(t *testing.T) {
			srv, tts := serveTTS(t, openai.TTSOptions{}, tt.reply)
			s := hear(tts.Synthesize(t.Context(), "Hi.", agents.TTSOptions{}))
			require.EqualError(t, s.err, tt.text)
			pe := providerError(t, s.err)
			require.Equal(t, tt.reply.Status, pe.Status)
			require.Equal(t, "req_1", pe.RequestID)
			require.Equal(t, tt.retryable, pe.Retryable, tt.text)
			require.Equal(t, tt.after, pe.RetryAfter, tt.text)
			require.Len(t, srv.Requests(), 1, "the session retries, not the plugin")
		})
	}
}

func TestSpeechFaults(t *testing.T) {
	audio := openaitest.Tone(300 * ms)
	body := func(kind, s string) openaitest.SpeechReply {
		return openaitest.SpeechReply{Body: []byte(s), ContentType: kind}
	}
	tests := map[string]struct {
		reply     openaitest.SpeechReply
		samples   int
		err       string
		is        error
		retryable bool
	}{
		"refused":             {reply: openaitest.SpeechReply{Fault: openaitest.Refuse}, err: "connection failed", is: agents.ErrConnection, retryable: true},
		"cut at once":         {reply: openaitest.SpeechReply{Audio: audio, Fault: openaitest.Cut}, err: "unexpected EOF", is: agents.ErrConnection, retryable: true},
		"cut":                 {reply: openaitest.SpeechReply{Audio: audio, Fault: openaitest.Cut, After: 2}, samples: 4800, err: "unexpected EOF", is: agents.ErrConnection, retryable: true},
		"cut in a sample":     {reply: openaitest.SpeechReply{Audio: audio, ChunkSize: 4801, Fault: openaitest.Cut, After: 1}, samples: 2400, err: "unexpected EOF", is: agents.ErrConnection, retryable: true},
		"cut at the end":      {reply: openaitest.SpeechReply{Audio: audio, Fault: openaitest.Cut, After: openaitest.AtEnd}, samples: 7200, err: "unexpected EOF", is: agents.ErrConnection, retryable: true},
		"ends in a sample":    {reply: openaitest.SpeechReply{Audio: audio, ChunkSize: 4801, Fault: openaitest.EndEarly, After: 1}, samples: 2400, err: "stream ended early", is: agents.ErrConnection, retryable: true},
		"one byte":            {reply: body("audio/pcm", "x"), err: "stream ended early", is: agents.ErrConnection, retryable: true},
		"page of a proxy":     {reply: openaitest.SpeechReply{Fault: openaitest.Garbage}, err: "text/html instead of audio", is: agents.ErrConnection, retryable: true},
		"error with 200":      {reply: body("application/json", `{"error":{"message":"voice is gone","type":"invalid_request_error"}}`), err: "openai.test: synthesize: voice is gone"},
		"wav":                 {reply: body("", "RIFF\xff\xff\xff\xffWAVEfmt "), err: "openai.test: synthesize: the service sends wav and not pcm"},
		"mp3":                 {reply: body("audio/mpeg", "\xff\xf3\xe4\xc4abcd"), err: "openai.test: synthesize: the service sends mpeg and not pcm"},
		"mp3 with tags":       {reply: body("", "ID3\x04\x00"), err: "openai.test: synthesize: the service sends mp3 and not pcm"},
		"loud, and no mp3":    {reply: body("audio/pcm", "\xff\xf3\xe4\xc4abcd"), samples: 4},
		"pcm called anything": {reply: body("application/octet-stream", "abcd"), samples: 2},
	}
	for name, tt := range tests {
		synctest.Test(t, func(t *testing.T) {
			_, tts := serveTTS(t, openai.TTSOptions{}, tt.reply)
			s := hear(tts.Synthesize(t.Context(), "Hi.", agents.TTSOptions{}))
			require.Len(t, s.samples, tt.samples, name)
			if tt.err == "" {
				require.NoError(t, s.err, name)
				return
			}
			require.ErrorContains(t, s.err, tt.err, name)
			require.Nil(t, s.usage)
			pe := providerError(t, s.err)
			require.Equal(t, tt.retryable, pe.Retryable, name)
			require.Zero(t, pe.Status)
			if tt.is != nil {
				require.ErrorIs(t, s.err, tt.is, name)
			}
			if name != "refused" {
				require.Equal(t, "req_1", pe.RequestID, name)
			}
		})
	}
}

// A service that sends nothing any more is given up. What counts is its silence, and not how long the audio takes to
// be played.
func TestSpeechStalls(t *testing.T) {
	stall := func(after int) openaitest.SpeechReply {
		return openaitest.SpeechReply{Audio: openaitest.Tone(time.Second), Fault: openaitest.Stall, After: after, Pause: 900 * ms}
	}
	for _, tt := range []struct {
		timeout agents.Delay
		after   int
		ends    time.Duration
		text    string
	}{
		{0, 0, 30 * time.Second, "openai.test: synthesize: timed out: nothing came for 30s"},
		{agents.Delay(time.Second), 0, time.Second, "openai.test: synthesize: timed out: nothing came for 1s"},
		{agents.Delay(time.Second), 3, 2800 * ms, "openai.test: synthesize: timed out: nothing came for 1s"},
	} {
		synctest.Test(t, func(t *testing.T) {
			srv, tts := serveTTS(t, openai.TTSOptions{Timeout: tt.timeout}, stall(tt.after))
			start := time.Now()
			s := hear(tts.Synthesize(t.Context(), "Hi.", agents.TTSOptions{}))
			require.EqualError(t, s.err, tt.text)
			require.ErrorIs(t, s.err, agents.ErrTimeout)
			require.True(t, providerError(t, s.err).Retryable)
			require.Equal(t, tt.ends, time.Since(start))
			require.Len(t, s.samples, tt.after*2400)
			synctest.Wait()
			require.Equal(t, time.Now(), srv.Requests()[0].Aborted())
		})
	}
	synctest.Test(t, func(t *testing.T) { // a slow listener
		_, tts := serveTTS(t, openai.TTSOptions{Timeout: agents.Delay(time.Second)}, openaitest.SpeechReply{Audio: openaitest.Tone(time.Second)})
		samples := 0
		for c, err := range tts.Synthesize(t.Context(), "Hi.", agents.TTSOptions{}) {
			require.NoError(t, err)
			samples += len(c.Frame.Samples)
			time.Sleep(5 * time.Second)
		}
		require.Equal(t, 24000, samples)
	})
	synctest.Test(t, func(t *testing.T) { // no limit
		_, tts := serveTTS(t, openai.TTSOptions{Timeout: agents.Never}, openaitest.SpeechReply{Audio: openaitest.Tone(100 * ms), Delay: time.Hour})
		require.NoError(t, hear(tts.Synthesize(t.Context(), "Hi.", agents.TTSOptions{})).err)
	})
}

// A silentBody reads nothing until its request ends.
type silentBody struct{ ctx context.Context }

func (b silentBody) Read([]byte) (int, error) { <-b.ctx.Done(); return 0, b.ctx.Err() }
func (silentBody) Close() error               { return nil }

// A failure whose text does not come is given up too.
func TestSpeechStallsInAFailure(t *testing.T) {
	for _, kind := range []string{"", "text/html"} {
		synctest.Test(t, func(t *testing.T) {
			client := &http.Client{Transport: transport(func(r *http.Request) (*http.Response, error) {
				status := map[string]int{"": 500, "text/html": 200}[kind]
				return &http.Response{StatusCode: status, Header: http.Header{"Content-Type": {kind}}, Body: silentBody{r.Context()}, Request: r}, nil
			})}
			tts, err := openai.NewTTS(openai.TTSOptions{BaseURL: "http://x/v1", HTTPClient: client, Timeout: agents.Delay(time.Second)})
			require.NoError(t, err)
			start := time.Now()
			s := hear(tts.Synthesize(t.Context(), "Hi.", agents.TTSOptions{}))
			require.ErrorIs(t, s.err, agents.ErrTimeout)
			require.Equal(t, time.Second, time.Since(start))
		})
	}
}

// The end of the context ends the request at once, before its answer and in the middle of it; so does a listener who
// has heard enough.
func TestSpeechCancelled(t *testing.T) {
	for _, after := range []int{0, 2} {
		synctest.Test(t, func(t *testing.T) {
			srv, tts := serveTTS(t, openai.TTSOptions{}, openaitest.SpeechReply{Audio: openaitest.Tone(time.Second), Fault: openaitest.Stall, After: after})
			ctx, cancel := context.WithCancel(t.Context())
			time.AfterFunc(700*ms, cancel)
			start := time.Now()
			s := hear(tts.Synthesize(ctx, "Hi.", agents.TTSOptions{}))
			require.Equal(t, context.Canceled, s.err)
			require.Equal(t, 700*ms, time.Since(start))
			synctest.Wait()
			require.Equal(t, start.Add(700*ms), srv.Requests()[0].Aborted())
		})
	}
	synctest.Test(t, func(t *testing.T) {
		srv, tts := serveTTS(t, openai.TTSOptions{}, openaitest.SpeechReply{Audio: openaitest.Tone(time.Second), Pause: 100 * ms})
		for range tts.Synthesize(t.Context(), "Hi.", agents.TTSOptions{}) {
			break
		}
		synctest.Wait()
		require.Equal(t, time.Now(), srv.Requests()[0].Aborted())
	})
	synctest.Test(t, func(t *testing.T) {
		_, tts := serveTTS(t, openai.TTSOptions{}, openaitest.SpeechReply{Fault: openaitest.Stall})
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		require.Equal(t, context.DeadlineExceeded, hear(tts.Synthesize(ctx, "Hi.", agents.TTSOptions{})).err)
	})
}

func TestTTSOptions(t *testing.T) {
	t.Setenv("OPENAI_API_KEY", "")
	_, err := openai.NewTTS(openai.TTSOptions{})
	require.EqualError(t, err, "openai: no API key: set TTSOptions.APIKey or the environment variable OPENAI_API_KEY")
	for _, speed := range []float64{-1, 0.2, 4.1} {
		_, err = openai.NewTTS(openai.TTSOptions{APIKey: "x", Speed: speed})
		require.EqualError(t, err, "openai: TTSOptions.Speed must be from 0.25 to 4")
	}
	_, err = openai.NewTTS(openai.TTSOptions{APIKey: "x", SampleRate: -1})
	require.ErrorContains(t, err, "SampleRate")
	_, err = openai.NewTTS(openai.TTSOptions{BaseURL: "localhost:8880"})
	require.ErrorContains(t, err, "BaseURL")

	t.Setenv("OPENAI_API_KEY", " sk-env ")
	tts, err := openai.NewTTS(openai.TTSOptions{})
	require.NoError(t, err)
	require.Equal(t, "openai gpt-4o-mini-tts", tts.String())
	t.Setenv("OPENAI_BASE_URL", "http://voices.example/v1")
	tts, err = openai.NewTTS(openai.TTSOptions{})
	require.NoError(t, err)
	require.Equal(t, "voices.example", tts.Provider())
}

// No error and no print of a value shows the key, or the text that was to be spoken.
func TestSpeechKeepsSecrets(t *testing.T) {
	const canary, secretText = "sk-canary-4f9a", "My pin is 4711."
	for name, client := range map[string]*http.Client{
		"status":    answer(401, `{"error":{"message":"key `+canary+` is wrong"}}`),
		"page":      answer(200, `<html>`+canary),
		"json":      answer(500, "your key "+canary+" failed"),
		"python":    answer(400, `{"error":{"message":"[{'type': 'string_too_long', 'loc': ('body', 'input'), 'input': '`+secretText+`'}]"}}`),
		"fastapi":   answer(422, `{"detail":[{"type":"string_too_long","input":"`+secretText+`"}]}`),
		"transport": {Transport: transport(func(*http.Request) (*http.Response, error) { return nil, errors.New("cannot send Bearer " + canary) })},
	} {
		o := openai.TTSOptions{APIKey: canary, BaseURL: "http://user:" + canary + "@127.0.0.1:1/v1", HTTPClient: client, Query: map[string][]string{"key": {canary}}}
		tts, err := openai.NewTTS(o)
		require.NoError(t, err)
		s := hear(tts.Synthesize(t.Context(), secretText, agents.TTSOptions{}))
		if name != "page" {
			require.Error(t, s.err, name)
		}
		shown := printed(s.err, tts, o)
		require.NotContains(t, shown, canary, name)
		require.NotContains(t, shown, "4711", name)
	}
}

// printed is what logs and formats make of an error, a model and its options.
func printed(err error, model, options any) string {
	var b strings.Builder
	slog.New(slog.NewTextHandler(&b, nil)).Error("x", "err", err, "model", model, "options", options)
	slog.New(slog.NewJSONHandler(&b, nil)).Error("x", "err", err, "options", options)
	for _, verb := range []string{"%v", "%+v", "%#v", "%s"} {
		fmt.Fprintf(&b, verb+verb+verb, err, model, options)
	}
	for ; err != nil; err = errors.Unwrap(err) {
		b.WriteString(err.Error())
	}
	return b.String()
}
