package agenttest

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/parley-voice/agents"
)

// voiceRate is the sample rate of a caller's audio.
const voiceRate = 16000

// A VoiceScript is what a caller does, on the time line of their audio, which counts samples from the first one. A
// [Mic] plays it, and a [VAD] and an [STT] know from it what they hear. Make one with [Voice] or [ParseVoice]. It does
// not change, and may be used by any number of goroutines.
//
// What no part covers is silence: a floor of noise that no detector takes for more. It is different at each position,
// so that a fake that is given audio from the middle, as after a reconnection, finds its place.
type VoiceScript struct{ parts []VoicePart }

// A VoicePart is a stretch of a [VoiceScript]. Make one with [Speech], [Silence], [Noise] or [DTMF].
type VoicePart struct {
	kind     voiceKind
	from, to time.Duration
	text     string
	delay    time.Duration // before the final transcript; 0 is the default
	noFinal  bool
}

type voiceKind byte

// The kinds, by their letter in the compact form.
const (
	speechKind  voiceKind = 'v'
	silenceKind voiceKind = 's'
	noiseKind   voiceKind = 'n'
	dtmfKind    voiceKind = 'd'
)

// Speech returns a part in which the caller says the text. Without text it is a sound that a VAD takes for speech and
// an STT does not.
func Speech(from, to time.Duration, text string) VoicePart {
	return VoicePart{kind: speechKind, from: from, to: to, text: text}
}

// Silence returns a silent part, which is needed only at the end, to make the script longer.
func Silence(from, to time.Duration) VoicePart {
	return VoicePart{kind: silenceKind, from: from, to: to}
}

// Noise returns a part of noise that is not speech.
func Noise(from, to time.Duration) VoicePart { return VoicePart{kind: noiseKind, from: from, to: to} }

// The length of a key's tones and of the pause after them.
const (
	keyTone  = 100 * time.Millisecond
	keyPause = 100 * time.Millisecond
)

// DTMF returns a part in which the caller presses keys, of 0 to 9, A to D, * and #. Each takes 200 ms, of which the
// tones are the first half. They are in the audio, where nothing listens to them, and a [Keypad] presses them.
func DTMF(from time.Duration, keys string) VoicePart {
	return VoicePart{kind: dtmfKind, from: from, to: from + time.Duration(len(keys))*(keyTone+keyPause), text: keys}
}

// Delay sets how long after the end of this speech its final transcript comes, by default 200 ms.
func (p VoicePart) Delay(d time.Duration) VoicePart { p.delay = d; return p }

// NoFinal makes an STT send only the interim transcript of this speech.
func (p VoicePart) NoFinal() VoicePart { p.noFinal = true; return p }

// Voice returns a script of the parts, in any order. It panics if one is impossible or two overlap.
func Voice(parts ...VoicePart) VoiceScript {
	s, err := newVoice(parts)
	if err != nil {
		panic(err)
	}
	return s
}

// ParseVoice returns the script that a text describes, and fails the test if there is none. The text is a list of parts,
// one after the other, each a letter and how many milliseconds it takes: s for silence, n for noise, v for speech, which
// what is said may follow in quotes as in Go, and d with the keys that are pressed:
//
//	s500 v800"I need help." s1200 n300 d12#
func ParseVoice(t testing.TB, text string) VoiceScript {
	t.Helper()
	s, err := parseVoice(text)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// maxVoice is how long a script may be.
const maxVoice = 24 * time.Hour

func newVoice(parts []VoicePart) (VoiceScript, error) {
	s := VoiceScript{slices.Clone(parts)}
	slices.SortStableFunc(s.parts, func(a, b VoicePart) int { return cmp.Compare(a.from, b.from) })
	end := time.Duration(0)
	for _, p := range s.parts {
		switch {
		case p.kind == 0:
			return VoiceScript{}, fmt.Errorf("agenttest: an empty VoicePart; use Speech, Silence, Noise or DTMF")
		case p.from < 0 || p.to <= p.from || p.to > maxVoice:
			return VoiceScript{}, fmt.Errorf("agenttest: the part %v takes from %v to %v", p, p.from, p.to)
		case p.from < end:
			return VoiceScript{}, fmt.Errorf("agenttest: the part %v at %v begins before the end of another at %v", p, p.from, end)
		case p.delay < 0:
			return VoiceScript{}, fmt.Errorf("agenttest: the part %v has a delay of %v", p, p.delay)
		case p.kind == dtmfKind && strings.Trim(p.text, dtmfKeys) != "":
			return VoiceScript{}, fmt.Errorf("agenttest: %q are not all keys of a telephone", p.text)
		}
		end = p.to
	}
	return s, nil
}

func parseVoice(text string) (VoiceScript, error) {
	var parts []VoicePart
	at := time.Duration(0)
	for rest := strings.TrimSpace(text); rest != ""; rest = strings.TrimSpace(rest) {
		kind := voiceKind(rest[0])
		word := rest[1:]
		if i := strings.IndexAny(word, " \t\r\n\""); i >= 0 {
			word = word[:i]
		}
		rest = rest[1+len(word):]
		p := VoicePart{kind: kind, from: at}
		switch kind {
		case dtmfKind:
			p = DTMF(at, word)
		case speechKind, silenceKind, noiseKind:
			ms, err := strconv.ParseUint(word, 10, 32)
			if err != nil {
				return VoiceScript{}, fmt.Errorf("agenttest: %q is not a number of milliseconds", word)
			}
			p.to = at + time.Duration(ms)*time.Millisecond
		default:
			return VoiceScript{}, fmt.Errorf("agenttest: parts of a script begin with s, v, n or d, not %q", kind)
		}
		if kind == speechKind && strings.HasPrefix(rest, `"`) {
			quoted, err := strconv.QuotedPrefix(rest)
			if err == nil {
				p.text, err = strconv.Unquote(quoted)
			}
			if err != nil {
				return VoiceScript{}, fmt.Errorf("agenttest: what is said at %v has no end: %s", at, rest)
			}
			rest = rest[len(quoted):]
		}
		if rest != "" && !strings.ContainsRune(" \t\r\n", rune(rest[0])) {
			return VoiceScript{}, fmt.Errorf("agenttest: no space before %s", rest)
		}
		parts = append(parts, p)
		at = p.to
	}
	return newVoice(parts)
}

// String returns the part in the compact form of [ParseVoice].
func (p VoicePart) String() string {
	switch p.kind {
	case 0:
		return "nothing"
	case dtmfKind:
		return "d" + p.text
	}
	text := string(rune(p.kind)) + strconv.FormatInt((p.to-p.from).Milliseconds(), 10)
	if p.text != "" {
		text += strconv.Quote(p.text)
	}
	return text
}

// String returns the script in the compact form of [ParseVoice].
func (s VoiceScript) String() string {
	var out []string
	at := time.Duration(0)
	for _, p := range s.parts {
		if p.from > at {
			out = append(out, Silence(at, p.from).String())
		}
		out = append(out, p.String())
		at = p.to
	}
	return strings.Join(out, " ")
}

// Duration returns where the last part ends.
func (s VoiceScript) Duration() time.Duration {
	if len(s.parts) == 0 {
		return 0
	}
	return s.parts[len(s.parts)-1].to
}

// Audio returns the script as audio, as a [Mic] plays it: 16 kHz in one channel.
func (s VoiceScript) Audio() agents.AudioFrame {
	f := agents.Silence(s.Duration(), voiceRate, 1)
	s.render(f.Samples, 0)
	return f
}

// speeches returns the parts with speech.
func (s VoiceScript) speeches() []VoicePart {
	return slices.DeleteFunc(slices.Clone(s.parts), func(p VoicePart) bool { return p.kind != speechKind })
}

// render sets dst to the audio from a sample on.
func (s VoiceScript) render(dst []int16, from int64) {
	i, _ := slices.BinarySearchFunc(s.parts, from, func(p VoicePart, at int64) int {
		return cmp.Compare(agents.SamplesIn(p.to, voiceRate), at+1)
	})
	noiseFloor(dst, from)
	for _, p := range s.parts[i:] {
		begin, end := agents.SamplesIn(p.from, voiceRate), agents.SamplesIn(p.to, voiceRate)
		if begin >= from+int64(len(dst)) {
			break
		}
		p.add(dst[max(begin-from, 0):min(end-from, int64(len(dst)))], max(from-begin, 0))
	}
}

// noiseFloor sets dst to noise from -3 to 3, from its n-th sample on. It never repeats, so that it tells frames apart.
func noiseFloor(dst []int16, n int64) {
	noise := scramble(uint64(n)/8) >> (8 * (n % 8)) // is good for eight samples
	for len(dst) > 0 {
		eight := dst[:min(8-n%8, int64(len(dst)))]
		for i := range eight {
			eight[i] = int16(noise&0xff*7>>8) - 3
			noise >>= 8
		}
		dst, n = dst[len(eight):], n+int64(len(eight))
		noise = scramble(uint64(n) / 8)
	}
}

// add adds a part's samples from the n-th on to dst.
func (p VoicePart) add(dst []int16, n int64) {
	if p.kind != speechKind {
		for i := range dst {
			dst[i] += p.sample(n + int64(i))
		}
		return
	}
	for len(dst) > 0 { // a syllable, or what is left of it, and a pause
		at := n % syllableAndPause
		if at < syllable {
			wave := syllables()[n/syllableAndPause%5][at:]
			wave = wave[:min(len(wave), len(dst))]
			for i, v := range wave {
				dst[i] += v
			}
		}
		step := min(syllableAndPause-at, int64(len(dst)))
		dst, n = dst[step:], n+step
	}
}

// sample returns a sample of a part that is not speech.
func (p VoicePart) sample(n int64) int16 {
	switch p.kind {
	case noiseKind:
		return int16(scramble(uint64(n)+1<<40)%4001) - 2000
	case dtmfKind:
		tone, cycle := agents.SamplesIn(keyTone, voiceRate), agents.SamplesIn(keyTone+keyPause, voiceRate)
		if n%cycle >= tone || n/cycle >= int64(len(p.text)) {
			return 0
		}
		key := strings.IndexByte(dtmfKeys, p.text[n/cycle])
		return int16(5000*sine(dtmfRows[key/4], n) + 5000*sine(dtmfColumns[key%4], n))
	}
	return 0
}

// Speech is syllables of 160 ms with 40 ms between them, at the pitch of a voice: how many samples a syllable has, and
// one with the pause after it.
const (
	syllable         = 160 * voiceRate / 1000
	syllableAndPause = 200 * voiceRate / 1000
)

// syllables are the five that speech is made of, each of another pitch.
var syllables = sync.OnceValue(func() *[5][syllable]int16 {
	all := new([5][syllable]int16)
	for i := range all {
		hz := int64(120 + 10*i)
		for n := range all[i] {
			n := int64(n)
			all[i][n] = int16(5000*sine(hz, n) + 2500*sine(4*hz, n) + 1200*sine(9*hz, n))
		}
	}
	return all
})

const dtmfKeys = "123A456B789C*0#D"

var (
	dtmfRows    = [4]int64{697, 770, 852, 941}
	dtmfColumns = [4]int64{1209, 1336, 1477, 1633}
)

// sines is one period of a sine, which has a sample for each that can occur.
var sines = sync.OnceValue(func() *[voiceRate]float64 {
	var table [voiceRate]float64
	for i := range table {
		table[i] = math.Sin(2 * math.Pi * float64(i) / voiceRate)
	}
	return &table
})

func sine(hz, n int64) float64 { return sines()[hz*n%voiceRate] }

// scramble is the output function of SplitMix64.
func scramble(x uint64) uint64 {
	x += 0x9e3779b97f4a7c15
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x ^ x>>31
}

// What it takes to find a place: so many samples of a frame, and not further beyond the end of the script.
const (
	locateLen  = 64
	locateTail = time.Minute
)

// locate returns where in the script a frame begins, which is 0 if that cannot be told.
func (s VoiceScript) locate(f agents.AudioFrame) time.Duration {
	if f.SampleRate != voiceRate || f.Channels != 1 || len(f.Samples) < locateLen {
		return 0
	}
	want := f.Samples[:locateLen]
	last := agents.SamplesIn(s.Duration()+locateTail, voiceRate)
	const block = 4096
	var buf [block + locateLen]int16
	for from := int64(0); from < last; from += block {
		s.render(buf[:], from)
		for i := range block {
			if buf[i] == want[0] && slices.Equal(buf[i:i+locateLen], want) {
				return agents.SampleDuration(from+int64(i), voiceRate)
			}
		}
	}
	return 0
}
