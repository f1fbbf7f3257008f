package agents

import "time"

// A TTSReport says how one stream of a [TTS] went that was given text.
type TTSReport struct {
	Model     string
	Provider  string
	RequestID string // the provider's id of the request, if it has one

	Started  time.Time     // when text first went to the provider
	TTFB     time.Duration // from then to the first audio; negative if there was none
	Duration time.Duration // from then to the end of the stream, which lasts as long as its audio is being taken
	Audio    time.Duration // how much came

	Characters int      // sent to the stream; what the provider counts is in Usage
	Words      bool     // some of the text came back with the audio
	Streamed   bool     // the TTS streams by itself; otherwise a [TTSAdapter] gave it one sentence after another
	Cancelled  bool     // the stream was ended from this side
	Failed     bool     // the stream ended with an error, or without audio
	Usage      TTSUsage // zero if the provider does not say
}

// A ttsMeter counts for a [TTSReport]. Its owner guards it.
type ttsMeter struct {
	report   TTSReport
	format   AudioFrame // of the first frame, without samples
	samples  int64      // of each channel
	measured bool       // Started is what the TTS says, and not when it was sent text
	first    time.Time  // when the first audio came
}

// sending counts text that is about to be sent.
func (m *ttsMeter) sending(characters int) {
	m.report.Characters += characters
	if m.report.Started.IsZero() {
		m.report.Started = time.Now()
	}
}

// refused takes back what sending counted.
func (m *ttsMeter) refused(characters int) {
	m.report.Characters -= characters
	if m.report.Characters == 0 && !m.measured {
		m.report.Started = time.Time{}
	}
}

// take counts a chunk.
func (m *ttsMeter) take(chunk TTSChunk) {
	r := &m.report
	if chunk.RequestID != "" {
		r.RequestID = chunk.RequestID
	}
	if !chunk.Started.IsZero() && !m.measured {
		r.Started, m.measured = chunk.Started, true
	}
	if chunk.Usage != nil {
		r.Usage = *addTTSUsage(&r.Usage, chunk.Usage)
	}
	r.Words = r.Words || len(chunk.Words) > 0
	if len(chunk.Frame.Samples) == 0 {
		return
	}
	if m.first.IsZero() {
		m.first = time.Now()
		m.format = AudioFrame{SampleRate: chunk.Frame.SampleRate, Channels: chunk.Frame.Channels}
	}
	m.samples += int64(chunk.Frame.Len())
}

// audio is how much of it came.
func (m *ttsMeter) audio() time.Duration { return SampleDuration(m.samples, m.format.SampleRate) }

// end returns the report of a stream that ends now.
func (m *ttsMeter) end() TTSReport {
	r := m.report
	r.Audio, r.Duration, r.TTFB = m.audio(), time.Since(r.Started), -1
	if !m.first.IsZero() {
		r.TTFB = m.first.Sub(r.Started)
	}
	return r
}
