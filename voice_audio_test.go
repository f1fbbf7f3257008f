package agents_test

import (
	"context"
	"iter"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/parley-voice/agents"
	"github.com/parley-voice/agents/agenttest"
)

// T107: what a voice gives is played, to the sample and however it is cut: each segment of a reply comes to its end once,
// and its words are those that came with the audio, in their order. Here there is no mark on the last piece of a segment,
// and nothing is added to it.
func TestAudioOfAnyLength(t *testing.T) {
	const rate = 24000
	for _, c := range []struct {
		name     string
		pieces   []time.Duration // of each segment
		segments int
		played   string
		states   string
	}{
		{"half a second", []time.Duration{100 * ms, 100 * ms, 100 * ms, 100 * ms, 100 * ms}, 1, "500ms", "listening 0s, thinking 3s, speaking 3s, listening 3.5s"},
		{"in one piece", []time.Duration{500 * ms}, 1, "500ms", "listening 0s, thinking 3s, speaking 3s, listening 3.5s"},
		{"in odd pieces", []time.Duration{time.Millisecond, 0, 333 * ms, 0, 166 * ms}, 1, "500ms", "listening 0s, thinking 3s, speaking 3s, listening 3.5s"},
		{"next to nothing", []time.Duration{5 * ms}, 1, "5ms", "listening 0s, thinking 3s, speaking 3s, listening 3.005s"},
		{"three segments", []time.Duration{60 * ms, 40 * ms}, 3, "100ms, 100ms, 100ms", "listening 0s, thinking 3s, speaking 3s, listening 3.3s"},
	} {
		t.Run(c.name, func(t *testing.T) {
			agenttest.Run(t, func(t *testing.T) {
				sentences := []string{"One and two. ", "Three and four. ", "Five."}[:c.segments]
				var given [][]int16
				a := &agents.Agent{
					LLMNode: func(context.Context, *agents.ChatRequest, agents.LLMNodeFunc) iter.Seq2[agents.ChatChunk, error] {
						return func(yield func(agents.ChatChunk, error) bool) {
							for _, sentence := range sentences {
								if !yield(agents.ChatChunk{Text: sentence}, nil) || !yield(agents.ChatChunk{Flush: true}, nil) {
									return
								}
							}
						}
					},
					TTSNode: func(_ context.Context, text iter.Seq[string], _ agents.TTSNodeFunc) iter.Seq2[agents.TTSChunk, error] {
						return func(yield func(agents.TTSChunk, error) bool) {
							var b strings.Builder
							for piece := range text {
								b.WriteString(piece)
							}
							said := b.String()
							var all []int16
							at := time.Duration(0)
							for i, d := range c.pieces {
								frame := agents.AudioFrame{Samples: make([]int16, agents.SamplesIn(d, rate)), SampleRate: rate, Channels: 1}
								for n := range frame.Samples {
									frame.Samples[n] = int16(len(all) + n + 1)
								}
								all = append(all, frame.Samples...)
								word := said[i*len(said)/len(c.pieces) : (i+1)*len(said)/len(c.pieces)]
								chunk := agents.TTSChunk{Frame: frame, Words: []agents.TimedText{{Text: word, Start: at, End: at + d}}}
								at += d
								if !yield(chunk, nil) {
									return
								}
							}
							given = append(given, all)
						}
					},
				}
				opts := voiceOptions(agenttest.NewLLM(t), agenttest.NewTTS(t))
				opts.TTSTranscript = agents.On
				v := conversation(t, opts, a, 8, speaks(0.5, 2.5, howAreYou))
				wantPlayed(t, v, c.played)
				wantStates(t, v, c.states)
				for i, p := range v.Speaker.Played() {
					require.Equal(t, given[i], p.Audio.Samples)
				}
				require.Equal(t, "user: "+howAreYou+"\nassistant: "+strings.Join(sentences, "")+"\n", transcript(v.History()), v.Log())
			})
		})
	}
}
