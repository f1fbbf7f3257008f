package otel

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/trace"

	"github.com/parley-voice/agents"
)

// The spans.
const (
	spanSession      = "agent_session"
	spanStart        = "start_agent_activity"
	spanPause        = "pause_agent_activity"
	spanResume       = "resume_agent_activity"
	spanDrain        = "drain_agent_activity"
	spanUserTurn     = "user_turn"
	spanEOU          = "eou_detection"
	spanUserSpeaks   = "user_speaking"
	spanAgentSpeaks  = "agent_speaking"
	spanAgentTurn    = "agent_turn"
	spanLLMNode      = "llm_node"
	spanLLMRequest   = "llm_request"
	spanTTSNode      = "tts_node"
	spanTTSRequest   = "tts_request"
	spanFunctionTool = "function_tool"
	spanRealtime     = "realtime_metrics"
)

// The attributes. Those with a pii segment hold content, which collectors know to strip; without Options.Content they
// are not made at all.
const (
	keyAgentLabel         attribute.Key = "lk.agent_label"
	keySpeechID           attribute.Key = "lk.speech_id"
	keyGenerationID       attribute.Key = "lk.generation_id"
	keyParentGenerationID attribute.Key = "lk.parent_generation_id"
	keyInterrupted        attribute.Key = "lk.interrupted"
	keyE2ELatency         attribute.Key = "lk.e2e_latency"
	keyUserInput          attribute.Key = "lk.pii.user_input"
	keyResponseText       attribute.Key = "lk.pii.response.text"
	keyTTFT               attribute.Key = "lk.response.ttft"
	keyTTFB               attribute.Key = "lk.response.ttfb"

	keyUserTranscript       attribute.Key = "lk.pii.user_transcript"
	keyTranscriptConfidence attribute.Key = "lk.transcript_confidence"
	keyTranscriptionDelay   attribute.Key = "lk.transcription_delay"
	keyEndOfTurnDelay       attribute.Key = "lk.end_of_turn_delay"
	keyRequestIDs           attribute.Key = "lk.provider_request_ids"

	keyEOUDelay          attribute.Key = "lk.eou.endpointing_delay"
	keyEOULanguage       attribute.Key = "lk.eou.language"
	keyEOUSource         attribute.Key = "lk.eou.source"
	keyEOUProbability    attribute.Key = "lk.eou.probability"
	keyEOUThreshold      attribute.Key = "lk.eou.unlikely_threshold"
	keyEOUDetectionDelay attribute.Key = "lk.eou.detection_delay"

	keyIsInterruption          attribute.Key = "lk.is_interruption"
	keyInterruptionProbability attribute.Key = "lk.interruption.probability"
	keyInterruptionDelay       attribute.Key = "lk.interruption.detection_delay"

	keyToolID        attribute.Key = "lk.function_tool.id"
	keyToolName      attribute.Key = "lk.function_tool.name"
	keyToolIsError   attribute.Key = "lk.function_tool.is_error"
	keyToolArguments attribute.Key = "lk.pii.function_tool.arguments"
	keyToolOutput    attribute.Key = "lk.pii.function_tool.output"

	keyTTSStreaming    attribute.Key = "lk.tts.streaming"
	keyLLMMetrics      attribute.Key = "lk.llm_metrics"
	keyTTSMetrics      attribute.Key = "lk.tts_metrics"
	keyRealtimeMetrics attribute.Key = "lk.realtime_model_metrics"

	keyOperation       attribute.Key = "gen_ai.operation.name"
	keyRequestModel    attribute.Key = "gen_ai.request.model"
	keyProviderName    attribute.Key = "gen_ai.provider.name"
	keyInputTokens     attribute.Key = "gen_ai.usage.input_tokens"
	keyOutputTokens    attribute.Key = "gen_ai.usage.output_tokens"
	keyCacheReadTokens attribute.Key = "gen_ai.usage.cache_read.input_tokens"
	keyInputText       attribute.Key = "gen_ai.usage.input_text_tokens"
	keyInputAudio      attribute.Key = "gen_ai.usage.input_audio_tokens"
	keyInputCached     attribute.Key = "gen_ai.usage.input_cached_tokens"
	keyOutputText      attribute.Key = "gen_ai.usage.output_text_tokens"
	keyOutputAudio     attribute.Key = "gen_ai.usage.output_audio_tokens"
	keyCompletionStart attribute.Key = "langfuse.observation.completion_start_time"

	keyExceptionType    attribute.Key = "exception.type"
	keyExceptionMessage attribute.Key = "exception.message"
	keyExceptionStack   attribute.Key = "exception.stacktrace"

	// What LiveKit has no name for.
	keySpeechSource   attribute.Key = "parley.speech_source"
	keyCancelled      attribute.Key = "parley.cancelled"
	keyToolStatus     attribute.Key = "parley.tool_status"
	keyHandoffFrom    attribute.Key = "parley.handoff_from"
	keyTaskID         attribute.Key = "parley.task_id"
	keyCloseReason    attribute.Key = "parley.close_reason"
	keyIncomplete     attribute.Key = "parley.incomplete"
	keyDropped        attribute.Key = "parley.dropped_events"
	keyReason         attribute.Key = "parley.reason"
	keyResumed        attribute.Key = "parley.resumed"
	keySwapped        attribute.Key = "parley.swapped"
	keyProbability    attribute.Key = "parley.probability"
	keyMessage        attribute.Key = "parley.pii.message"
	keyDTMF           attribute.Key = "parley.pii.dtmf_key"
	keyErrorSource    attribute.Key = "parley.error.source"
	keyErrorRetried   attribute.Key = "parley.error.recoverable"
	keyErrorProvider  attribute.Key = "parley.error.provider"
	keyErrorOperation attribute.Key = "parley.error.operation"
	keyErrorStatus    attribute.Key = "parley.error.status"
)

const redacted = "exception details redacted"

// isPersonal reports whether an attribute is one that collectors strip: its key has a segment pii.
func isPersonal(key attribute.Key) bool {
	for part := range strings.SplitSeq(string(key), ".") {
		if strings.EqualFold(part, "pii") {
			return true
		}
	}
	return false
}

func seconds(key attribute.Key, d time.Duration) attribute.KeyValue { return key.Float64(d.Seconds()) }

// known reports whether a model or provider has a name. The session calls one that has none unknown.
func known(name string) bool { return name != "" && name != "unknown" }

// model appends who a model is.
func (m modelName) append(to []attribute.KeyValue) []attribute.KeyValue {
	if known(m.model) {
		to = append(to, keyRequestModel.String(m.model))
	}
	if known(m.provider) {
		to = append(to, keyProviderName.String(m.provider))
	}
	return to
}

type modelName struct{ provider, model string }

// exception describes an error, as far as it may be told.
func (t *Telemetry) exception(err error) []attribute.KeyValue {
	attrs := []attribute.KeyValue{keyExceptionType.String(fmt.Sprintf("%T", err))}
	if !t.content {
		attrs = append(attrs, keyExceptionMessage.String(redacted))
	} else {
		attrs = append(attrs, keyExceptionMessage.String(err.Error()))
		if p, ok := errors.AsType[*agents.PanicError](err); ok {
			attrs = append(attrs, keyExceptionStack.String(string(p.Stack)))
		}
	}
	// What a provider's failure was is not content.
	if p, ok := errors.AsType[*agents.ProviderError](err); ok {
		attrs = append(attrs, keyErrorProvider.String(p.Provider), keyErrorOperation.String(p.Op))
		if p.Status != 0 {
			attrs = append(attrs, keyErrorStatus.Int(p.Status))
		}
	}
	return attrs
}

// fail marks a span as failed.
func (t *Telemetry) fail(span trace.Span, err error, at time.Time) {
	attrs := t.exception(err)
	span.AddEvent("exception", trace.WithTimestamp(at), trace.WithAttributes(attrs...))
	span.SetAttributes(attrs...)
	span.SetStatus(codes.Error, attrs[1].Value.AsString())
}
