package recording

import (
	"encoding/json"
	"fmt"
	"maps"
	"reflect"
	"strings"
	"time"
	"unicode"

	"github.com/parley-voice/agents"
)

// encodeEvent returns an event as a JSON object of its type, number, time and fields that are not zero. Events are
// described by their fields, so that a new one is in the report before anybody thinks of it, and redacted as far as it is
// text.
func (r *Report) encodeEvent(e agents.Event) (text json.RawMessage, kept bool) {
	v := reflect.Indirect(reflect.ValueOf(e))
	switch name := v.Type().Name(); {
	case strings.HasSuffix(name, "Metrics"), name == "UsageUpdated", name == "TurnLatency", name == "AgentOutput":
		return nil, false
	default:
		head, err := json.Marshal(eventHead{snake(name), e.Number(), e.Time().UTC()})
		if err != nil {
			return nil, false
		}
		fields, err := json.Marshal(r.encodeStruct(v.Interface()))
		if err != nil { // a float that is no number, at worst
			return head, true
		}
		if len(fields) > len("{}") {
			head[len(head)-1] = ','
			head = append(head, fields[1:]...)
		}
		return head, true
	}
}

// eventHead is what all events share in JSON.
type eventHead struct {
	Type      string    `json:"type"`
	Seq       uint64    `json:"seq"`
	CreatedAt time.Time `json:"created_at"`
}

// encodeStruct returns the fields of a struct that are not zero.
func (r *Report) encodeStruct(s any) map[string]any {
	v := reflect.ValueOf(s)
	fields := make(map[string]any)
	for i := range v.NumField() {
		f := v.Type().Field(i)
		if !f.IsExported() || f.Type == reflect.TypeFor[agents.EventMeta]() || v.Field(i).IsZero() {
			continue
		}
		if f.Anonymous && f.Type.Kind() == reflect.Struct {
			maps.Copy(fields, r.encodeStruct(v.Field(i).Interface()))
			continue
		}
		if value := r.encodeField(f.Name, v.Field(i)); value != nil {
			fields[snake(f.Name)] = value
		}
	}
	return fields
}

// encodeField returns what stands for a value, or nil.
func (r *Report) encodeField(name string, v reflect.Value) any {
	if v.Kind() == reflect.Pointer && v.IsNil() {
		return nil
	}
	switch value := v.Interface().(type) {
	case agents.ChatItem:
		return encodeReference(value)
	case *agents.SpeechHandle:
		return value.ID()
	case error:
		return r.text(value.Error())
	case agents.DTMF:
		return r.text(value.String())
	case time.Time:
		return value.UTC()
	case time.Duration:
		return value.Seconds()
	case string:
		if isName(name) {
			return value
		}
		return r.text(value)
	}
	switch v.Kind() {
	case reflect.Slice:
		list := []any{}
		for i := range v.Len() {
			if value := r.encodeField(name, v.Index(i)); value != nil {
				list = append(list, value)
			}
		}
		return list
	case reflect.Struct:
		return r.encodeStruct(v.Interface())
	case reflect.String: // of a type that lists its values
		return v.String()
	case reflect.Bool, reflect.Int, reflect.Int64, reflect.Uint8, reflect.Uint64, reflect.Float64:
		return v.Interface()
	}
	return nil
}

func (r *Report) text(s string) string {
	if r.opts.Redact {
		return redacted
	}
	return s
}

// isName reports whether a field names something, other than text that somebody may have said.
func isName(field string) bool {
	switch field {
	case "Name", "Source", "Handoff", "Kind", "Provider", "Model", "Language":
		return true
	}
	return strings.HasSuffix(field, "ID") || strings.HasSuffix(field, "IDs")
}

// encodeReference says which item of the history is meant.
func encodeReference(it agents.ChatItem) any {
	switch it := it.(type) {
	case *agents.ChatMessage:
		return map[string]any{"type": "message", "id": it.ID, "role": it.Role}
	case *agents.FunctionCall:
		return map[string]any{"type": "function_call", "id": it.ID, "call_id": it.CallID, "name": it.Name}
	case *agents.FunctionCallOutput:
		return map[string]any{"type": "function_call_output", "id": it.ID, "call_id": it.CallID, "name": it.Name}
	case *agents.AgentHandoff:
		return map[string]any{"type": "agent_handoff", "id": it.ID}
	}
	return map[string]any{"id": it.ItemID()}
}

// snake turns a Go name into one of JSON: SpeechID into speech_id.
func snake(name string) string {
	name = strings.ReplaceAll(name, "IDs", "Ids")
	var b strings.Builder
	runes := []rune(name)
	for i, c := range runes {
		if unicode.IsUpper(c) && i > 0 {
			inWord := unicode.IsUpper(runes[i-1]) && (i+1 == len(runes) || unicode.IsUpper(runes[i+1]))
			if !inWord {
				b.WriteByte('_')
			}
		}
		b.WriteRune(unicode.ToLower(c))
	}
	return b.String()
}

// settingsJSON are the options of a session. What is left to its default is left out.
type settingsJSON struct {
	LLM                       string  `json:"llm,omitempty"`
	STT                       string  `json:"stt,omitempty"`
	TTS                       string  `json:"tts,omitempty"`
	VAD                       string  `json:"vad,omitempty"`
	Realtime                  string  `json:"realtime,omitempty"`
	TurnDetector              string  `json:"turn_detector,omitempty"`
	AllowInterruptions        *bool   `json:"allow_interruptions,omitempty"`
	UserTurnLimitWords        int     `json:"user_turn_limit_words,omitempty"`
	UserTurnLimitDuration     float64 `json:"user_turn_limit_duration,omitempty"`
	TurnDetection             string  `json:"turn_detection,omitempty"`
	MinEndpointingDelay       float64 `json:"min_endpointing_delay,omitempty"`
	MaxEndpointingDelay       float64 `json:"max_endpointing_delay,omitempty"`
	MinInterruptionDuration   any     `json:"min_interruption_duration,omitempty"`
	MinInterruptionWords      int     `json:"min_interruption_words,omitempty"`
	FalseInterruptionTimeout  any     `json:"false_interruption_timeout,omitempty"`
	AECWarmup                 any     `json:"aec_warmup,omitempty"`
	TranscriptionTimeout      any     `json:"transcription_timeout,omitempty"`
	MaxToolSteps              any     `json:"max_tool_steps,omitempty"`
	MaxParallelTools          int     `json:"max_parallel_tools,omitempty"`
	MinConsecutiveSpeechDelay any     `json:"min_consecutive_speech_delay,omitempty"`
	UserAwayTimeout           any     `json:"user_away_timeout,omitempty"`
	IVRDetection              bool    `json:"ivr_detection,omitempty"`
	MaxUnrecoverableErrors    any     `json:"max_unrecoverable_errors,omitempty"`
	CloseGrace                float64 `json:"close_grace,omitempty"`
	DrainTimeout              float64 `json:"drain_timeout,omitempty"`
}

func settingsOf(o agents.Options) settingsJSON {
	s := settingsJSON{
		LLM: modelName(o.LLM), STT: modelName(o.STT), TTS: modelName(o.TTS), VAD: modelName(o.VAD),
		Realtime: modelName(o.Realtime), TurnDetector: modelName(o.TurnDetector),
		UserTurnLimitWords:        o.Turn.UserTurnLimit.Words,
		UserTurnLimitDuration:     o.Turn.UserTurnLimit.Duration.Seconds(),
		TurnDetection:             string(o.Turn.Detection),
		MinEndpointingDelay:       o.Turn.Endpointing.MinDelay.Seconds(),
		MaxEndpointingDelay:       o.Turn.Endpointing.MaxDelay.Seconds(),
		MinInterruptionDuration:   delay(o.Turn.Interruption.MinDuration),
		MinInterruptionWords:      o.Turn.Interruption.MinWords,
		FalseInterruptionTimeout:  delay(o.Turn.Interruption.FalseTimeout),
		AECWarmup:                 delay(o.AECWarmup),
		TranscriptionTimeout:      delay(o.TranscriptionTimeout),
		MaxToolSteps:              count(o.MaxToolSteps),
		MaxParallelTools:          o.MaxParallelTools,
		MinConsecutiveSpeechDelay: delay(o.MinConsecutiveSpeechDelay),
		UserAwayTimeout:           delay(o.UserAwayTimeout),
		IVRDetection:              o.IVRDetection,
		MaxUnrecoverableErrors:    count(o.MaxUnrecoverableErrors),
		CloseGrace:                o.CloseGrace.Seconds(),
		DrainTimeout:              o.DrainTimeout.Seconds(),
	}
	if t := o.Turn.AllowInterruptions; t != agents.Default {
		on := t == agents.On
		s.AllowInterruptions = &on
	}
	return s
}

// modelName returns what a model calls itself, or its type.
func modelName(model any) string {
	switch m := model.(type) {
	case nil:
		return ""
	case agents.ModelInfo:
		return m.Provider() + "/" + m.Model()
	}
	return strings.TrimPrefix(fmt.Sprintf("%T", model), "*")
}

// count returns a count setting: nil for the default.
func count(n int) any {
	switch {
	case n == 0:
		return nil
	case n < 0:
		return "none"
	}
	return n
}

// delay returns a delay setting in seconds: nil for the default.
func delay(d agents.Delay) any {
	switch {
	case d == 0:
		return nil
	case d < 0:
		return "never"
	}
	return time.Duration(d).Seconds()
}
