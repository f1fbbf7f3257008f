package openai_test

import (
	"context"
	"errors"
	"net/http"
	"os"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/parley-voice/agents"
	"github.com/parley-voice/agents/plugins/openai"
	"github.com/parley-voice/agents/plugins/openai/openaitest"
)

// newSTT returns a recogniser that talks to a server.
func newSTT(t *testing.T, srv *openaitest.Server, o openai.STTOptions) *openai.STT {
	t.Helper()
	o.BaseURL, o.HTTPClient = srv.URL(), srv.Client()
	if o.APIKey == "" {
		o.APIKey = srv.Key()
	}
	stt, err := openai.NewSTT(o)
	require.NoError(t, err)
	return stt
}

// serveSTT returns a server in memory and a recogniser that talks to it.
func serveSTT(t *testing.T, o openai.STTOptions, replies ...openaitest.TranscriptReply) (*openaitest.Server, *openai.STT) {
	t.Helper()
	srv := openaitest.NewServer()
	t.Cleanup(srv.Close)
	srv.AddTranscripts(replies...)
	return srv, newSTT(t, srv, o)
}

// utterance returns audio of which each sample is another.
func utterance(d time.Duration) agents.AudioFrame {
	f := agents.Silence(d, 16000, 1)
	for i := range f.Samples {
		f.Samples[i] = int16(i)
	}
	return f
}

func TestTranscription(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv, stt := serveSTT(t, openai.STTOptions{}, openaitest.TranscriptReply{Text: "Hello there.", Delay: 300 * ms})
		start := time.Now()
		ev, err := stt.Recognize(t.Context(), utterance(1500*ms), agents.STTOptions{})
		require.NoError(t, err)
		require.Equal(t, 300*ms, time.Since(start))
		require.Equal(t, agents.STTEvent{
			Type:       agents.STTFinal,
			RequestID:  "req_1",
			Transcript: agents.Transcript{Text: "Hello there.", Language: "en"},
			Usage:      &agents.STTUsage{Audio: 1500 * ms, InputTokens: 15, OutputTokens: 2, Connection: &agents.ConnectionInfo{}},
		}, ev)
		require.Equal(t, &openaitest.TranscriptionRequest{
			Model: "gpt-4o-mini-transcribe", FileName: "speech.wav", FileType: "audio/wav", Audio: utterance(1500 * ms),
			Language: "en", ResponseFormat: "json",
		}, srv.Requests()[0].Transcription)
		require.Equal(t, "/v1/audio/transcriptions", srv.Requests()[0].Path)
		require.Equal(t, "Bearer "+srv.Key(), srv.Requests()[0].Header.Get("Authorization"))

		require.Equal(t, agents.STTCapabilities{Keyterms: true, SampleRate: 16000}, stt.Capabilities())
		require.Equal(t, "gpt-4o-mini-transcribe", stt.Model())
		require.Equal(t, "openai.test", stt.Provider())
		_, err = stt.Stream(t.Context(), agents.STTOptions{})
		require.ErrorIs(t, err, errors.ErrUnsupported)
	})
}

// Whisper says when words were said, without their punctuation, and names languages in English.
func TestTranscriptionWithTimes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv, stt := serveSTT(t, openai.STTOptions{Model: "whisper-1", DetectLanguage: true}, openaitest.TranscriptReply{
			Text: "Ja, das stimmt!", Language: "german",
			Words: []openaitest.Word{{Text: "Ja", Start: 120 * ms, End: 400 * ms}, {Text: "das", Start: 500 * ms, End: 700 * ms}, {Text: "stimmt", Start: 700 * ms, End: 1100 * ms}},
		}, openaitest.TranscriptReply{
			Text:  "Two, 3",
			Words: []openaitest.Word{{Text: "two", Start: 0, End: 400 * ms}, {Text: "three", Start: 500 * ms, End: 300 * ms}},
		}, openaitest.TranscriptReply{Body: `{"text":" Hi. ","language":"klingon","segments":[{"start":0.5,"end":1},{"start":1,"end":1.5}]}`})
		ev, err := stt.Recognize(t.Context(), utterance(1500*ms), agents.STTOptions{})
		require.NoError(t, err)
		require.InDelta(t, 0.7788, ev.Transcript.Confidence, 0.0001)
		ev.Transcript.Confidence = 0
		require.Equal(t, agents.Transcript{
			Text: "Ja, das stimmt!", Language: "de", Start: 120 * ms, End: 1100 * ms,
			Words: []agents.TimedText{{Text: "Ja, ", Start: 120 * ms, End: 400 * ms}, {Text: "das ", Start: 500 * ms, End: 700 * ms}, {Text: "stimmt!", Start: 700 * ms, End: 1100 * ms}},
		}, ev.Transcript)
		require.Equal(t, 1500*ms, ev.Usage.Audio)
		r := srv.Requests()[0].Transcription
		require.Equal(t, "verbose_json", r.ResponseFormat)
		require.Equal(t, []string{"word", "segment"}, r.Granularities)
		require.Empty(t, r.Language)
		require.Equal(t, agents.WordTiming, stt.Capabilities().Timing)

		// Words that are not in the text stay as they are, and none ends before it starts.
		ev, err = stt.Recognize(t.Context(), utterance(time.Second), agents.STTOptions{})
		require.NoError(t, err)
		require.Equal(t, []agents.TimedText{{Text: "two", End: 400 * ms}, {Text: "three", Start: 500 * ms, End: 500 * ms}}, ev.Transcript.Words)

		ev, err = stt.Recognize(t.Context(), utterance(2*time.Second), agents.STTOptions{})
		require.NoError(t, err)
		require.Equal(t, agents.Transcript{Text: "Hi.", Start: 500 * ms, End: 1500 * ms, Confidence: 1}, ev.Transcript)
	})
}

func TestTranscriptionRequests(t *testing.T) {
	many := strings.Split(strings.Repeat("Antananarivo,", 400), ",")
	tests := map[string]struct {
		o        openai.STTOptions
		opts     agents.STTOptions
		language string
		prompt   string
		length   int // of a long prompt, in its place
	}{
		"plain":              {language: "en"},
		"region":             {o: openai.STTOptions{Language: "pt-BR"}, language: "pt"},
		"of the session":     {o: openai.STTOptions{Language: "fr"}, opts: agents.STTOptions{Language: "de_AT"}, language: "de"},
		"detected":           {o: openai.STTOptions{DetectLanguage: true}},
		"not detected":       {o: openai.STTOptions{DetectLanguage: true}, opts: agents.STTOptions{Language: "it"}, language: "it"},
		"prompt":             {o: openai.STTOptions{Prompt: "A call to a bank. "}, language: "en", prompt: "A call to a bank."},
		"terms":              {opts: agents.STTOptions{Keyterms: []string{"Parley", " ", "Aimee\nShawn"}}, language: "en", prompt: "Glossary: Parley, Aimee Shawn."},
		"prompt and terms":   {o: openai.STTOptions{Prompt: "A call."}, opts: agents.STTOptions{Keyterms: []string{"IBAN"}}, language: "en", prompt: "A call.\nGlossary: IBAN."},
		"many terms":         {opts: agents.STTOptions{Keyterms: many}, language: "en", length: len("Glossary: ") + 285*14 - 1},
		"many for whisper":   {o: openai.STTOptions{Model: "whisper-1"}, opts: agents.STTOptions{Keyterms: many}, language: "en", length: len("Glossary: ") + 42*14 - 1},
		"with a temperature": {o: openai.STTOptions{Temperature: 0.4}, language: "en"},
	}
	for name, tt := range tests {
		synctest.Test(t, func(t *testing.T) {
			srv, stt := serveSTT(t, tt.o, openaitest.TranscriptReply{Text: "Hi."})
			ev, err := stt.Recognize(t.Context(), utterance(time.Second), tt.opts)
			require.NoError(t, err, name)
			r := srv.Requests()[0].Transcription
			require.Equal(t, tt.language, r.Language, name)
			if tt.length > 0 {
				require.Len(t, r.Prompt, tt.length, name)
			} else {
				require.Equal(t, tt.prompt, r.Prompt, name)
			}
			if tt.o.Temperature != 0 {
				require.Equal(t, "0.40", r.Temperature)
			}
			if tt.o.Model == "" {
				require.Equal(t, tt.language, ev.Transcript.Language, name)
			}
		})
	}
}

// The service refuses less than 0.1 s and more than 25 MiB; neither is sent.
func TestTranscriptionOfImpossibleAudio(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv, stt := serveSTT(t, openai.STTOptions{}, openaitest.TranscriptReply{Text: "Hi."}, openaitest.TranscriptReply{Text: "Hi."})
		ev, err := stt.Recognize(t.Context(), utterance(99*ms), agents.STTOptions{})
		require.NoError(t, err)
		require.Equal(t, agents.STTEvent{Type: agents.STTFinal, Usage: &agents.STTUsage{}}, ev)
		_, err = stt.Recognize(t.Context(), agents.AudioFrame{SampleRate: 16000, Channels: 1}, agents.STTOptions{})
		require.NoError(t, err)

		_, err = stt.Recognize(t.Context(), agents.AudioFrame{Samples: make([]int16, 3), SampleRate: 16000, Channels: 2}, agents.STTOptions{})
		require.ErrorIs(t, err, agents.ErrAudioFormat)
		require.False(t, providerError(t, err).Retryable)
		_, err = stt.Recognize(t.Context(), agents.Silence(14*time.Minute, 16000, 1), agents.STTOptions{})
		require.EqualError(t, err, "openai.test: recognize: request cannot be sent: 14m0s of speech are too long")
		require.False(t, providerError(t, err).Retryable)
		require.Empty(t, srv.Requests())

		for _, f := range []agents.AudioFrame{utterance(100 * ms), agents.Silence(500*ms, 44100, 2)} {
			ev, err = stt.Recognize(t.Context(), f, agents.STTOptions{})
			require.NoError(t, err)
			require.Equal(t, "Hi.", ev.Transcript.Text)
		}
		require.Equal(t, agents.Silence(500*ms, 44100, 2), srv.Requests()[1].Transcription.Audio)
	})
}

// The longest speech that is sent is not too long for the service, with its form.
func TestTranscriptionOfLongAudio(t *testing.T) {
	sent := int64(0)
	client := &http.Client{Transport: transport(func(r *http.Request) (*http.Response, error) {
		sent = r.ContentLength
		return answer(200, `{"text":"Hi."}`).Transport.RoundTrip(r)
	})}
	stt, err := openai.NewSTT(openai.STTOptions{BaseURL: "http://x/v1", HTTPClient: client, Prompt: strings.Repeat("word ", 2000)})
	require.NoError(t, err)
	f := agents.AudioFrame{Samples: make([]int16, (25<<20-64<<10)/2), SampleRate: 16000, Channels: 1}
	_, err = stt.Recognize(t.Context(), f, agents.STTOptions{})
	require.NoError(t, err)
	require.Greater(t, sent, int64(24<<20))
	require.LessOrEqual(t, sent, int64(25<<20))
	f.Samples = append(f.Samples, 0)
	_, err = stt.Recognize(t.Context(), f, agents.STTOptions{})
	require.ErrorContains(t, err, "too long")
}

// Audio is never written to disk, not even for a moment: there is no place for it.
func TestTranscriptionNeedsNoDisk(t *testing.T) {
	t.Setenv("TMPDIR", "/nowhere")
	_, err := os.CreateTemp("", "")
	require.Error(t, err)
	synctest.Test(t, func(t *testing.T) {
		_, stt := serveSTT(t, openai.STTOptions{}, openaitest.TranscriptReply{Text: "Hi."})
		_, err := stt.Recognize(t.Context(), utterance(30*time.Second), agents.STTOptions{})
		require.NoError(t, err)
	})
}

func TestTranscriptionReusesTheConnection(t *testing.T) {
	for _, model := range []string{"", "whisper-1"} {
		synctest.Test(t, func(t *testing.T) {
			srv, stt := serveSTT(t, openai.STTOptions{Model: model})
			srv.RespondTranscripts(func(*openaitest.Request) openaitest.TranscriptReply {
				return openaitest.TranscriptReply{Text: "Hello."}
			})
			stt.Prewarm(t.Context())
			for range 4 {
				ev, err := stt.Recognize(t.Context(), utterance(time.Second), agents.STTOptions{})
				require.NoError(t, err)
				require.True(t, ev.Usage.Connection.Reused)
			}
			require.Equal(t, 1, srv.Dials())
		})
	}
}

func TestTranscriptionStatuses(t *testing.T) {
	tests := []struct {
		reply     openaitest.TranscriptReply
		text      string
		retryable bool
		after     time.Duration
	}{
		{openaitest.TranscriptReply{Status: 401}, "openai.test: recognize: Incorrect API key provided: sk-***. You can find your API key at https://platform.openai.com/account/api-keys. Check STTOptions.APIKey or OPENAI_API_KEY. (401 Unauthorized)", false, 0},
		{openaitest.TranscriptReply{Status: 400}, "openai.test: recognize: The request was refused. (400 Bad Request)", false, 0},
		{openaitest.TranscriptReply{Status: 429, RetryAfter: "0.5"}, "openai.test: recognize: Rate limit reached for requests. (429 Too Many Requests)", true, 500 * ms},
		{openaitest.TranscriptReply{Status: 500}, "openai.test: recognize: The server had an error while processing your request. Sorry about that! (500 Internal Server Error)", true, 0},
	}
	for _, tt := range tests {
		synctest.Test(t, func(t *testing.T) {
			srv, stt := serveSTT(t, openai.STTOptions{}, tt.reply)
			_, err := stt.Recognize(t.Context(), utterance(time.Second), agents.STTOptions{})
			require.EqualError(t, err, tt.text)
			pe := providerError(t, err)
			require.Equal(t, tt.reply.Status, pe.Status)
			require.Equal(t, "req_1", pe.RequestID)
			require.Equal(t, tt.retryable, pe.Retryable, tt.text)
			require.Equal(t, tt.after, pe.RetryAfter, tt.text)
			require.Len(t, srv.Requests(), 1, "the session retries, not the plugin")
		})
	}
}

func TestTranscriptionFaults(t *testing.T) {
	body := func(s string) openaitest.TranscriptReply { return openaitest.TranscriptReply{Body: s} }
	hi := func(f openaitest.Fault) openaitest.TranscriptReply {
		return openaitest.TranscriptReply{Text: "Hi.", Fault: f}
	}
	tests := map[string]struct {
		reply     openaitest.TranscriptReply
		err       string
		is        error
		retryable bool
	}{
		"refused":         {hi(openaitest.Refuse), "connection failed", agents.ErrConnection, true},
		"cut":             {hi(openaitest.Cut), "unexpected EOF", agents.ErrConnection, true},
		"ends early":      {hi(openaitest.EndEarly), "malformed answer", agents.ErrConnection, true},
		"page of a proxy": {hi(openaitest.Garbage), "malformed answer: invalid character '<'", agents.ErrConnection, true},
		"empty":           {body(" "), "malformed answer: stream ended early", agents.ErrConnection, true},
		"other JSON":      {body(`{"text":5}`), "malformed answer", agents.ErrConnection, true},
		"no text":         {body(`{"language":"en"}`), "an answer without text", agents.ErrConnection, true},
		"null":            {body(`null`), "an answer without text", agents.ErrConnection, true},
		"more than JSON":  {body(`{"text":"Hi."} {}`), "malformed answer", agents.ErrConnection, true},
		"error with 200":  {body(`{"error":{"message":"model is gone","type":"invalid_request_error"}}`), "openai.test: recognize: model is gone", nil, false},
		"overloaded":      {body(`{"error":{"message":"later","code":503}}`), "openai.test: recognize: later (503 Service Unavailable)", nil, true},
	}
	for name, tt := range tests {
		synctest.Test(t, func(t *testing.T) {
			_, stt := serveSTT(t, openai.STTOptions{}, tt.reply)
			ev, err := stt.Recognize(t.Context(), utterance(time.Second), agents.STTOptions{})
			require.ErrorContains(t, err, tt.err, name)
			require.Zero(t, ev)
			pe := providerError(t, err)
			require.Equal(t, tt.retryable, pe.Retryable, name)
			if tt.is != nil {
				require.ErrorIs(t, err, tt.is, name)
			}
			if name != "refused" {
				require.Equal(t, "req_1", pe.RequestID, name)
			}
		})
	}
}

// Nothing understood is not a failure.
func TestTranscriptionOfNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, stt := serveSTT(t, openai.STTOptions{}, openaitest.TranscriptReply{})
		ev, err := stt.Recognize(t.Context(), utterance(time.Second), agents.STTOptions{})
		require.NoError(t, err)
		require.Empty(t, ev.Transcript.Text)
	})
}

func TestTranscriptionStalls(t *testing.T) {
	for _, tt := range []struct {
		timeout agents.Delay
		after   int
		ends    time.Duration
	}{{0, 0, 30 * time.Second}, {agents.Delay(time.Second), 0, time.Second}, {agents.Delay(time.Second), 1, time.Second}} {
		synctest.Test(t, func(t *testing.T) {
			srv, stt := serveSTT(t, openai.STTOptions{Timeout: tt.timeout}, openaitest.TranscriptReply{Text: "Hi.", Fault: openaitest.Stall, After: tt.after})
			start := time.Now()
			_, err := stt.Recognize(t.Context(), utterance(time.Second), agents.STTOptions{})
			require.EqualError(t, err, "openai.test: recognize: timed out: nothing came for "+tt.ends.String())
			require.ErrorIs(t, err, agents.ErrTimeout)
			require.True(t, providerError(t, err).Retryable)
			require.Equal(t, tt.ends, time.Since(start))
			synctest.Wait()
			require.Equal(t, time.Now(), srv.Requests()[0].Aborted())
		})
	}
}

func TestTranscriptionCancelled(t *testing.T) {
	for _, after := range []int{0, 1} {
		synctest.Test(t, func(t *testing.T) {
			srv, stt := serveSTT(t, openai.STTOptions{}, openaitest.TranscriptReply{Text: "Hi.", Fault: openaitest.Stall, After: after})
			ctx, cancel := context.WithCancel(t.Context())
			time.AfterFunc(700*ms, cancel)
			start := time.Now()
			_, err := stt.Recognize(ctx, utterance(time.Second), agents.STTOptions{})
			require.Equal(t, context.Canceled, err)
			require.Equal(t, 700*ms, time.Since(start))
			synctest.Wait()
			require.Equal(t, start.Add(700*ms), srv.Requests()[0].Aborted())
		})
	}
}

func TestSTTOptions(t *testing.T) {
	t.Setenv("OPENAI_API_KEY", "")
	for want, o := range map[string]openai.STTOptions{
		"openai: no API key: set STTOptions.APIKey or the environment variable OPENAI_API_KEY": {},
		"openai: STTOptions.Language and DetectLanguage exclude each other":                    {APIKey: "x", Language: "en", DetectLanguage: true},
		"openai: STTOptions.Temperature must be from 0 to 1":                                   {APIKey: "x", Temperature: 1.1},
		`openai: STTOptions.Language: "elvish" is no language tag`:                             {APIKey: "x", Language: "elvish"},
		"openai: BaseURL must be an http or https address such as https://api.openai.com/v1":   {BaseURL: "localhost"},
	} {
		_, err := openai.NewSTT(o)
		require.EqualError(t, err, want)
	}
	stt, err := openai.NewSTT(openai.STTOptions{APIKey: "x", Language: "German"})
	require.NoError(t, err)
	require.Equal(t, "openai gpt-4o-mini-transcribe", stt.String())
}

// No error and no print of a value shows the key.
func TestTranscriptionKeepsSecrets(t *testing.T) {
	const canary = "sk-canary-4f9a"
	for name, client := range map[string]*http.Client{
		"status":    answer(401, `{"error":{"message":"key `+canary+` is wrong"}}`),
		"error":     answer(200, `{"error":{"message":"no `+canary+`"}}`),
		"text":      answer(500, "your key "+canary+" failed"),
		"garbage":   answer(200, canary),
		"transport": {Transport: transport(func(*http.Request) (*http.Response, error) { return nil, errors.New("cannot send Bearer " + canary) })},
	} {
		o := openai.STTOptions{APIKey: canary, BaseURL: "http://user:" + canary + "@127.0.0.1:1/v1", HTTPClient: client, Query: map[string][]string{"key": {canary}}}
		stt, err := openai.NewSTT(o)
		require.NoError(t, err)
		_, err = stt.Recognize(t.Context(), utterance(time.Second), agents.STTOptions{})
		require.Error(t, err, name)
		require.NotContains(t, printed(err, stt, o), canary, name)
	}
}
