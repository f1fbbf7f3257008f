package openaitest

import (
	"encoding/json"
	"math"
	"net/http"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/parley-voice/agents"
)

// SpeechRate is the sample rate of speech.
const SpeechRate = 24000

const (
	maxSpeechInput  = 4096 // characters
	speechPace      = 60 * time.Millisecond
	speechChunkSize = SpeechRate / 10 * 2 // 100 ms
)

// A SpeechRequest is a request for speech.
type SpeechRequest struct {
	Model          string   `json:"model"`
	Input          string   `json:"input"`
	Voice          string   `json:"voice"`
	Instructions   string   `json:"instructions"`
	ResponseFormat string   `json:"response_format"`
	StreamFormat   string   `json:"stream_format"`
	Speed          *float64 `json:"speed"`
}

// A SpeechReply is what the server answers a request for speech with, in chunks. The zero value is a tone of 60 ms a
// character.
type SpeechReply struct {
	// Audio is the speech, in one channel of SpeechRate.
	Audio []int16
	// Body, if not nil, is sent in place of it, whatever it is, and ContentType is what it is called.
	Body        []byte
	ContentType string
	// ChunkSize is how many bytes are sent at a time: 4,800 by default, which play for 100 ms.
	ChunkSize int
	// Delay is how long the answer takes to begin, and Pause how long each further chunk takes.
	Delay, Pause time.Duration

	// Fault is what goes wrong: Refuse, Stall, Cut, EndEarly or Garbage.
	Fault Fault
	// After is how many chunks are sent before Stall, Cut and EndEarly, or AtEnd. With 0, Stall does not even send the
	// header.
	After int
	// Status, RetryAfter and Error are as in Reply.
	Status     int
	RetryAfter string
	Error      *APIError
}

var speechVoices = strings.Fields("alloy ash ballad coral echo fable nova onyx sage shimmer verse marin cedar")

// parseSpeech checks a request as the service does, and that the server can play it.
func parseSpeech(body []byte) (*SpeechRequest, *APIError) {
	var r SpeechRequest
	if err := json.Unmarshal(body, &r); err != nil {
		return nil, invalid("", "", "We could not parse the JSON body of your request. (%v)", err)
	}
	switch {
	case r.Model == "":
		return nil, invalid("", "", "you must provide a model parameter")
	case r.Input == "":
		return nil, invalid("input", "missing_required_parameter", "Missing required parameter: 'input'.")
	case utf8.RuneCountInString(r.Input) > maxSpeechInput:
		return nil, invalid("", "", "[{'type': 'string_too_long', 'loc': ('body', 'input'), 'msg': 'String should have at most %d characters', 'input': '%s', 'ctx': {'max_length': %[1]d}}]", maxSpeechInput, r.Input)
	case r.Voice == "":
		return nil, invalid("voice", "missing_required_parameter", "Missing required parameter: 'voice'.")
	case !slices.Contains(speechVoices, r.Voice):
		return nil, invalid("voice", "invalid_value", "Invalid value: '%s'. Supported values are: '%s'.", r.Voice, strings.Join(speechVoices, "', '"))
	case r.Speed != nil && !(*r.Speed >= 0.25 && *r.Speed <= 4):
		return nil, invalid("speed", "invalid_value", "Invalid 'speed': expected a value from 0.25 to 4.0, but got %v instead.", *r.Speed)
	case !slices.Contains([]string{"", "mp3", "opus", "aac", "flac", "wav", "pcm"}, r.ResponseFormat):
		return nil, invalid("response_format", "invalid_value", "Invalid value: '%s'. Supported values are: 'mp3', 'opus', 'aac', 'flac', 'wav' and 'pcm'.", r.ResponseFormat)
	case r.ResponseFormat != "pcm" || r.StreamFormat == "sse":
		return nil, invalid("", "", "openaitest: speech is only there as pcm, and not as events")
	}
	return &r, nil
}

func (p *player) speech(r *SpeechReply) {
	p.reply = &Reply{Delay: r.Delay, Fault: r.Fault, After: r.After, Status: r.Status, RetryAfter: r.RetryAfter, Error: r.Error}
	if !p.begins() {
		return
	}
	body, kind, size := r.Body, "audio/pcm", r.ChunkSize
	if body == nil {
		audio := r.Audio
		if audio == nil {
			audio = Tone(time.Duration(utf8.RuneCountInString(p.req.Speech.Input)) * speechPace)
		}
		body = agents.AudioFrame{Samples: audio}.AppendPCM(nil)
	}
	if r.ContentType != "" {
		kind = r.ContentType
	}
	if size == 0 {
		size = speechChunkSize
	}
	p.w.Header().Set("Content-Type", kind)
	p.w.WriteHeader(http.StatusOK)
	p.flush()
	chunks := slices.Collect(slices.Chunk(body, size))
	failAt := r.After
	if failAt == AtEnd {
		failAt = len(chunks)
	}
	for i := range len(chunks) + 1 {
		if i > 0 && i < len(chunks) && !p.sleep(r.Pause) {
			return
		}
		if i == failAt && p.fail("") {
			return
		}
		if i < len(chunks) {
			p.send(string(chunks[i]))
		}
	}
}

// Tone returns a tone that can be heard, for SpeechReply.Audio.
func Tone(d time.Duration) []int16 {
	samples := make([]int16, agents.SamplesIn(d, SpeechRate))
	for i := range samples {
		samples[i] = int16(8000 * math.Sin(2*math.Pi*440*float64(i)/SpeechRate))
	}
	return samples
}
