package sentencepacer

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// A step is an event at a time, in seconds, with what must come of it.
type step struct {
	at, audio float64
	event     Kind
	text      string
	send      string
	wake      float64
	done      bool
}

func seconds(s float64) time.Duration { return time.Duration(s * float64(time.Second)) }

func TestPacer(t *testing.T) {
	long := strings.Repeat("a", 200)
	tests := []struct {
		name  string
		opts  Options
		steps []step
	}{
		{"the first sentence goes at once, alone", Options{}, []step{
			{at: 0, text: "One.", send: "One.", wake: 0.5},
			{at: 0, text: "Two.", wake: 0.5},
		}},
		{"nothing goes while audio is being made", Options{}, []step{
			{at: 0, text: "One.", send: "One.", wake: 0.5},
			{at: 0.01, text: "Two.", wake: 0.5},
			{at: 0.5, audio: 0.4, event: Wake, wake: 0.2},
			{at: 0.7, audio: 0.9, event: Wake, wake: 0.2},
			{at: 0.9, audio: 0.9, event: Wake, send: "Two.", wake: 0.5},
		}},
		{"two looks less than a tenth of a second apart tell nothing", Options{}, []step{
			{at: 0, text: "One.", send: "One.", wake: 0.5},
			{at: 0.5, audio: 1, event: Wake, wake: 0.2},
			{at: 0.59, audio: 1, event: Sentence, text: "Two.", wake: 0.2},
			{at: 0.6, audio: 1, event: Wake, send: "Two.", wake: 0.5},
		}},
		{"much audio left", Options{}, []step{
			{at: 0, text: "One.", send: "One.", wake: 0.5},
			{at: 1, audio: 12, event: Wake, wake: 0.2},
			{at: 2, audio: 12, event: Sentence, text: "Two.", wake: 6},
			{at: 8, audio: 12, event: Wake, send: "Two.", wake: 0.5},
		}},
		{"a batch ends with the sentence that fills it", Options{}, []step{
			{at: 0, text: "One.", send: "One.", wake: 0.5},
			{at: 0, text: long, wake: 0.5},
			{at: 0, text: long, wake: 0.5},
			{at: 0, text: "Rest.", wake: 0.5},
			{at: 1, audio: 1, event: Wake, wake: 0.2},
			{at: 2, audio: 1, event: Wake, send: long + " " + long, wake: 0.5},
			{at: 3, audio: 9, event: InputEnded, wake: 0.2},
			{at: 4, audio: 9, event: Wake, wake: 1},
			{at: 5, audio: 9, event: Wake, send: "Rest.", done: true},
		}},
		{"sentences with their white space", Options{RetainFormat: true}, []step{
			{at: 0, text: "One.", send: "One.", wake: 0.5},
			{at: 0, text: " Two.", wake: 0.5},
			{at: 0, text: "\nThree.", wake: 0.5},
			{at: 1, audio: 1, event: Wake, wake: 0.2},
			{at: 2, audio: 1, event: Wake, send: " Two.\nThree.", wake: 0.5},
		}},
		{"the synthesiser says that it is done", Options{}, []step{
			{at: 0, text: "One.", send: "One.", wake: 0.5},
			{at: 0, text: "Two.", wake: 0.5},
			{at: 0.2, audio: 1, event: Rested, send: "Two.", wake: 0.5},
		}},
		{"text that gave no audio", Options{}, []step{
			{at: 0, text: "…", send: "…", wake: 0.5},
			{at: 0, text: "Two.", wake: 0.5},
			{at: 4.9, event: Wake, wake: 0.5},
			{at: 5, event: Wake, send: "Two.", wake: 0.5},
		}},
		{"a pause in the input", Options{}, []step{
			{at: 0, text: "One.", send: "One.", wake: 0.5},
			{at: 1, audio: 2, event: Wake, wake: 0.2},
			{at: 2, audio: 2, event: Wake, wake: 0.5},
			{at: 30, audio: 2, text: "Two.", send: "Two.", wake: 0.5},
		}},
		{"the end with nothing left", Options{}, []step{
			{at: 0, text: "One.", send: "One.", wake: 0.5},
			{at: 0, event: InputEnded, done: true},
			{at: 1, text: "Late.", done: true},
		}},
		{"the end before the beginning", Options{}, []step{{at: 0, event: Wake}, {at: 0, event: InputEnded, done: true}}},
		{"closing discards", Options{}, []step{
			{at: 0, text: "One.", send: "One.", wake: 0.5},
			{at: 0, text: "Two.", wake: 0.5},
			{at: 1, event: Closed, done: true},
			{at: 2, text: "Three.", done: true},
		}},
		{"options", Options{MinRemaining: time.Second, MaxTextLength: 1}, []step{
			{at: 0, text: "One.", send: "One.", wake: 0.5},
			{at: 0, text: "Two.", wake: 0.5},
			{at: 0, text: "Three.", wake: 0.5},
			{at: 1, audio: 4, event: Wake, wake: 0.2},
			{at: 2, audio: 4, event: Wake, wake: 2},
			{at: 4, audio: 4, event: Wake, send: "Two.", wake: 0.5},
		}},
	}
	start := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			p := New(tt.opts)
			for i, s := range tt.steps {
				got := p.Step(Event{Kind: s.event, Text: s.text, Audio: seconds(s.audio)}, start.Add(seconds(s.at)))
				require.Equal(t, Effects{Send: s.send, Wake: seconds(s.wake), Done: s.done}, got, "step %d", i)
			}
		})
	}
}

// Whatever happens, every sentence goes out once and in order, the pacer asks to be woken until it is done, and a
// synthesiser that makes nothing of the text does not stop it.
func FuzzPacer(f *testing.F) {
	f.Add([]byte("\x00\x11\x22\x33\x44\x01\x02"))
	f.Fuzz(func(t *testing.T, script []byte) {
		p := New(Options{MaxTextLength: 5})
		now := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
		var audio time.Duration
		var want, got []string
		take := func(fx Effects) {
			if fx.Send != "" {
				got = append(got, strings.Fields(fx.Send)...)
			}
			require.True(t, fx.Done || fx.Wake > 0 || len(want) == 0)
		}
		for i, b := range script {
			now = now.Add(time.Duration(b>>4) * 50 * time.Millisecond)
			switch b % 4 {
			case 0:
				audio += time.Duration(b>>2) * 100 * time.Millisecond
				fallthrough
			case 1:
				take(p.Step(Event{Kind: Wake, Audio: audio}, now))
			case 2:
				text := strings.Repeat("x", i%7+1)
				want = append(want, text)
				take(p.Step(Event{Text: text, Audio: audio}, now))
			case 3:
				take(p.Step(Event{Kind: Rested, Audio: audio}, now))
			}
		}
		fx := p.Step(Event{Kind: InputEnded, Audio: audio}, now)
		take(fx)
		for i := 0; !fx.Done; i++ {
			require.Less(t, i, 100_000)
			now = now.Add(fx.Wake)
			fx = p.Step(Event{Kind: Wake, Audio: audio}, now)
			take(fx)
		}
		require.Equal(t, want, got)
	})
}
