package otel

import (
	"encoding/json"
	"slices"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/trace"

	"github.com/parley-voice/agents"
)

// An earlyReport is about a reply that is no turn yet, because it was begun before the user's turn was over; it may
// never become one.
type earlyReport struct {
	speech string
	event  agents.Event
}

// report tells of a request that has come to its end.
func (o *Observer) report(speech string, e agents.Event) {
	t := o.anyTurn(speech)
	if t != nil {
		o.reportOf(t, e)
		return
	}
	if len(o.early) == maxEarly {
		o.reportOf(nil, o.early[0].event)
		o.early = slices.Delete(o.early, 0, 1)
	}
	o.early = append(o.early, earlyReport{speech, e})
}

// reportOf tells of a request of a turn, or of none.
func (o *Observer) reportOf(t *agentTurn, e agents.Event) {
	switch e := e.(type) {
	case *agents.LLMMetrics:
		o.llmRequest(t, e)
	case *agents.TTSMetrics:
		o.ttsRequest(t, e)
	}
}

func (o *Observer) llmRequest(t *agentTurn, e *agents.LLMMetrics) {
	model := modelName{e.Provider, e.Model}
	from := e.At.Add(-e.Duration)
	ctx := o.ctx
	node := []attribute.KeyValue{keySpeechID.String(e.SpeechID)}
	if t != nil {
		ctx = t.ctx
		t.until(e.At)
		t.llm = model
		node = append(node, t.generation()...)
	}
	node = model.append(node)
	request := model.append([]attribute.KeyValue{keyOperation.String("chat")})
	if u := e.Usage; u != (agents.LLMUsage{}) {
		request = append(request, keyInputTokens.Int(u.PromptTokens), keyOutputTokens.Int(u.CompletionTokens))
		if u.CachedTokens > 0 {
			request = append(request, keyCacheReadTokens.Int(u.CachedTokens))
		}
	}
	if e.TTFT >= 0 {
		node = append(node, seconds(keyTTFT, e.TTFT))
		request = append(request, keyCompletionStart.String(from.Add(e.TTFT).UTC().Format(time.RFC3339Nano)))
	}
	if e.Cancelled {
		node = append(node, keyCancelled.Bool(true))
	}
	nodeCtx, span := o.start(ctx, spanLLMNode, from, node...)
	_, inner := o.start(nodeCtx, spanLLMRequest, from, request...)
	if inner.IsRecording() {
		inner.SetAttributes(keyLLMMetrics.String(llmJSON(e)))
	}
	inner.End(trace.WithTimestamp(e.At))
	span.End(trace.WithTimestamp(e.At))
}

func (o *Observer) ttsRequest(t *agentTurn, e *agents.TTSMetrics) {
	model := modelName{e.Provider, e.Model}
	from, to := e.Started.Round(0), e.At
	if from.IsZero() { // no text was sent
		from = e.At
	} else {
		to = from.Add(e.Duration)
	}
	ctx := o.ctx
	if t != nil {
		ctx = t.ctx
		t.until(to)
		t.tts = model
	}
	node := model.append([]attribute.KeyValue{keySpeechID.String(e.SpeechID)})
	if e.TTFB >= 0 {
		node = append(node, seconds(keyTTFB, e.TTFB))
	}
	if e.Cancelled {
		node = append(node, keyCancelled.Bool(true))
	}
	request := model.append([]attribute.KeyValue{keyTTSStreaming.Bool(e.Streamed)})
	if e.RequestID != "" {
		request = append(request, keyRequestIDs.StringSlice([]string{e.RequestID}))
	}
	nodeCtx, span := o.start(ctx, spanTTSNode, from, node...)
	_, inner := o.start(nodeCtx, spanTTSRequest, from, request...)
	if inner.IsRecording() {
		inner.SetAttributes(keyTTSMetrics.String(ttsJSON(e)))
	}
	if e.Failed && !e.Cancelled {
		failSpan(inner)
		failSpan(span)
	}
	inner.End(trace.WithTimestamp(to))
	span.End(trace.WithTimestamp(to))
}

// realtimeUsed tells what a realtime model used. The log does not say for which turn, so it is the session's.
func (o *Observer) realtimeUsed(e *agents.RealtimeMetrics) {
	o.realtime = modelName{e.Provider, e.Model}
	u := e.Usage
	m, model := o.t.meters, o.realtime.attributes()
	used(o.ctx, m.inputAudio, u.InputAudioTokens, model)
	used(o.ctx, m.inputText, u.InputTextTokens, model)
	used(o.ctx, m.outputAudio, u.OutputAudioTokens, model)
	used(o.ctx, m.outputText, u.OutputTextTokens, model)
	lasted(o.ctx, m.sessionTime, u.Session, model)
	attrs := o.realtime.append([]attribute.KeyValue{
		keyInputTokens.Int(u.PromptTokens), keyOutputTokens.Int(u.CompletionTokens),
		keyInputText.Int(u.InputTextTokens), keyInputAudio.Int(u.InputAudioTokens), keyInputCached.Int(u.CachedTokens),
		keyOutputText.Int(u.OutputTextTokens), keyOutputAudio.Int(u.OutputAudioTokens),
	})
	_, span := o.start(o.ctx, spanRealtime, e.At, attrs...)
	if span.IsRecording() {
		span.SetAttributes(keyRealtimeMetrics.String(realtimeJSON(e)))
	}
	span.End(trace.WithTimestamp(e.At))
}

// The reports as LiveKit writes them, with times in seconds.
type (
	metadata struct {
		Model    string `json:"model_name,omitempty"`
		Provider string `json:"model_provider,omitempty"`
	}
	llmReport struct {
		Type            string   `json:"type"`
		Timestamp       float64  `json:"timestamp"`
		Duration        float64  `json:"duration"`
		TTFT            float64  `json:"ttft"`
		Cancelled       bool     `json:"cancelled"`
		Completion      int      `json:"completion_tokens"`
		Prompt          int      `json:"prompt_tokens"`
		Cached          int      `json:"prompt_cached_tokens"`
		CacheCreation   int      `json:"cache_creation_tokens"`
		Total           int      `json:"total_tokens"`
		TokensPerSecond float64  `json:"tokens_per_second"`
		SpeechID        string   `json:"speech_id"`
		Metadata        metadata `json:"metadata"`
	}
	ttsReport struct {
		Type       string   `json:"type"`
		RequestID  string   `json:"request_id"`
		Timestamp  float64  `json:"timestamp"`
		TTFB       float64  `json:"ttfb"`
		Duration   float64  `json:"duration"`
		Audio      float64  `json:"audio_duration"`
		Cancelled  bool     `json:"cancelled"`
		Characters int      `json:"characters_count"`
		Input      int      `json:"input_tokens"`
		Output     int      `json:"output_tokens"`
		Streamed   bool     `json:"streamed"`
		SpeechID   string   `json:"speech_id"`
		Metadata   metadata `json:"metadata"`
	}
	realtimeReport struct {
		Type      string               `json:"type"`
		RequestID string               `json:"request_id"`
		Timestamp float64              `json:"timestamp"`
		Session   float64              `json:"session_duration"`
		Input     int                  `json:"input_tokens"`
		Output    int                  `json:"output_tokens"`
		Total     int                  `json:"total_tokens"`
		InputOf   realtimeInputDetails `json:"input_token_details"`
		OutputOf  realtimeTokenDetails `json:"output_token_details"`
		Metadata  metadata             `json:"metadata"`
	}
	realtimeTokenDetails struct {
		Text  int `json:"text_tokens"`
		Audio int `json:"audio_tokens"`
		Image int `json:"image_tokens"`
	}
	realtimeInputDetails struct {
		realtimeTokenDetails
		Cached   int                  `json:"cached_tokens"`
		CachedOf realtimeTokenDetails `json:"cached_tokens_details"`
	}
)

func (m modelName) metadata() (d metadata) {
	if known(m.model) {
		d.Model = m.model
	}
	if known(m.provider) {
		d.Provider = m.provider
	}
	return d
}

func unix(at time.Time) float64 { return float64(at.UnixMicro()) / 1e6 }

// orNone returns a time in seconds, or -1 for none.
func orNone(d time.Duration) float64 {
	if d < 0 {
		return -1
	}
	return d.Seconds()
}

func llmJSON(e *agents.LLMMetrics) string {
	r := llmReport{
		Type: "llm_metrics", Timestamp: unix(e.At), Duration: e.Duration.Seconds(), TTFT: orNone(e.TTFT), Cancelled: e.Cancelled,
		Completion: e.Usage.CompletionTokens, Prompt: e.Usage.PromptTokens, Cached: e.Usage.CachedTokens,
		CacheCreation: e.Usage.CacheCreationTokens, Total: e.Usage.TotalTokens, SpeechID: e.SpeechID,
		Metadata: modelName{e.Provider, e.Model}.metadata(),
	}
	if e.Duration > 0 {
		r.TokensPerSecond = float64(r.Completion) / e.Duration.Seconds()
	}
	return text(r)
}

func ttsJSON(e *agents.TTSMetrics) string {
	return text(ttsReport{
		Type: "tts_metrics", RequestID: e.RequestID, Timestamp: unix(e.At), TTFB: orNone(e.TTFB), Duration: e.Duration.Seconds(),
		Audio: e.Audio.Seconds(), Cancelled: e.Cancelled, Characters: e.Characters, Input: e.Usage.InputTokens,
		Output: e.Usage.OutputTokens, Streamed: e.Streamed, SpeechID: e.SpeechID, Metadata: modelName{e.Provider, e.Model}.metadata(),
	})
}

func realtimeJSON(e *agents.RealtimeMetrics) string {
	u := e.Usage
	return text(realtimeReport{
		Type: "realtime_model_metrics", RequestID: e.ResponseID, Timestamp: unix(e.At), Session: u.Session.Seconds(),
		Input: u.PromptTokens, Output: u.CompletionTokens, Total: u.TotalTokens,
		InputOf: realtimeInputDetails{
			realtimeTokenDetails: realtimeTokenDetails{u.InputTextTokens, u.InputAudioTokens, u.InputImageTokens},
			Cached:               u.CachedTokens,
			CachedOf:             realtimeTokenDetails{u.CachedTextTokens, u.CachedAudioTokens, u.CachedImageTokens},
		},
		OutputOf: realtimeTokenDetails{u.OutputTextTokens, u.OutputAudioTokens, u.OutputImageTokens},
		Metadata: modelName{e.Provider, e.Model}.metadata(),
	})
}

func text(v any) string {
	b, err := json.Marshal(v)
	if err != nil { // a number that is none
		return ""
	}
	return string(b)
}
