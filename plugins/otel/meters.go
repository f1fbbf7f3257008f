package otel

import (
	"context"
	"errors"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"

	"github.com/parley-voice/agents"
)

// The bounds of the histograms, in seconds: those that the SDKs begin with are meant for milliseconds.
var bounds = []float64{0.025, 0.05, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.75, 1, 1.5, 2, 3, 5, 10, 30}

// meters are the instruments.
type meters struct {
	e2e, ttft, ttfb, transcription, endOfTurn, turnCompleted, acquire metric.Float64Histogram

	input, cached, output, inputAudio, inputText, outputAudio, outputText, characters metric.Int64Counter
	sessionTime, ttsAudio, sttAudio                                                   metric.Float64Counter
}

func newMeters(m metric.Meter) (*meters, error) {
	var errs []error
	histogram := func(name, description string) metric.Float64Histogram {
		h, err := m.Float64Histogram("lk.agents."+name, metric.WithUnit("s"), metric.WithDescription(description),
			metric.WithExplicitBucketBoundaries(bounds...))
		errs = append(errs, err)
		return h
	}
	count := func(name, unit, description string) metric.Int64Counter {
		c, err := m.Int64Counter("lk.agents.usage."+name, metric.WithUnit(unit), metric.WithDescription(description))
		errs = append(errs, err)
		return c
	}
	duration := func(name, description string) metric.Float64Counter {
		c, err := m.Float64Counter("lk.agents.usage."+name, metric.WithUnit("s"), metric.WithDescription(description))
		errs = append(errs, err)
		return c
	}
	all := &meters{
		e2e:           histogram("turn.e2e_latency", "From when the user stopped speaking to the first sample of the reply."),
		ttft:          histogram("turn.llm_ttft", "From a request to the LLM to its first token."),
		ttfb:          histogram("turn.tts_ttfb", "From the first text at the TTS to its first audio."),
		transcription: histogram("turn.transcription_delay", "From when the user stopped speaking to the final transcript."),
		endOfTurn:     histogram("turn.end_of_turn_delay", "From when the user stopped speaking to the end of their turn."),
		turnCompleted: histogram("turn.on_user_turn_completed_delay", "Time spent in OnUserTurnCompleted."),
		acquire:       histogram("connection.acquire_time", "Time that it took to get a connection to a provider."),

		input:       count("llm_input_tokens", "{token}", "Tokens that LLMs read."),
		cached:      count("llm_input_cached_tokens", "{token}", "Tokens that LLMs read from a cache."),
		output:      count("llm_output_tokens", "{token}", "Tokens that LLMs wrote."),
		inputAudio:  count("llm_input_audio_tokens", "{token}", "Tokens of audio that realtime models read."),
		inputText:   count("llm_input_text_tokens", "{token}", "Tokens of text that realtime models read."),
		outputAudio: count("llm_output_audio_tokens", "{token}", "Tokens of audio that realtime models wrote."),
		outputText:  count("llm_output_text_tokens", "{token}", "Tokens of text that realtime models wrote."),
		characters:  count("tts_characters", "{character}", "Characters that were sent to TTSs."),
		sessionTime: duration("llm_session_duration", "Time that realtime models charge for."),
		ttsAudio:    duration("tts_audio_duration", "Audio that TTSs made."),
		sttAudio:    duration("stt_audio_duration", "Audio that STTs recognised."),
	}
	return all, errors.Join(errs...)
}

// attributes say which model a value is about.
func (m modelName) attributes() metric.MeasurementOption {
	var attrs []attribute.KeyValue
	if known(m.model) {
		attrs = append(attrs, attribute.String("model_name", m.model))
	}
	if known(m.provider) {
		attrs = append(attrs, attribute.String("model_provider", m.provider))
	}
	return metric.WithAttributeSet(attribute.NewSet(attrs...))
}

func took(ctx context.Context, h metric.Float64Histogram, d time.Duration, m modelName) {
	if d > 0 {
		h.Record(ctx, d.Seconds(), m.attributes())
	}
}

func used(ctx context.Context, c metric.Int64Counter, n int, o metric.MeasurementOption) {
	if n > 0 {
		c.Add(ctx, int64(n), o)
	}
}

func lasted(ctx context.Context, c metric.Float64Counter, d time.Duration, o metric.MeasurementOption) {
	if d > 0 {
		c.Add(ctx, d.Seconds(), o)
	}
}

// acquired books how a stream got its connection.
func (m *meters) acquired(ctx context.Context, c *agents.ConnectionInfo, model modelName) {
	if c == nil || c.Acquire <= 0 {
		return
	}
	reused := "false"
	if c.Reused {
		reused = "true"
	}
	m.acquire.Record(ctx, c.Acquire.Seconds(), model.attributes(), metric.WithAttributes(attribute.String("connection_reused", reused)))
}

// usage books what was used since the totals before. Totals are counted rather than the reports of single requests,
// because they miss nothing: not a request that failed, nor a report that was dropped for a receiver that was too slow.
func (o *Observer) usage(totals []agents.ModelUsage) {
	m := o.t.meters
	for i := range totals {
		now := &totals[i]
		var last agents.ModelUsage
		at := -1
		for j := range o.totals {
			if l := &o.totals[j]; l.Kind == now.Kind && l.Provider == now.Provider && l.Model == now.Model {
				last, at = *l, j
				break
			}
		}
		if at < 0 {
			o.totals = append(o.totals, *now)
		} else if last == *now {
			continue
		} else {
			o.totals[at] = *now
		}
		model := modelName{now.Provider, now.Model}.attributes()
		used(o.ctx, m.input, now.LLM.PromptTokens-last.LLM.PromptTokens, model)
		used(o.ctx, m.cached, now.LLM.CachedTokens-last.LLM.CachedTokens, model)
		used(o.ctx, m.output, now.LLM.CompletionTokens-last.LLM.CompletionTokens, model)
		used(o.ctx, m.characters, now.TTS.Characters-last.TTS.Characters, model)
		lasted(o.ctx, m.ttsAudio, now.Audio-last.Audio, model)
		lasted(o.ctx, m.sttAudio, now.STT.Audio-last.STT.Audio, model)
	}
}
