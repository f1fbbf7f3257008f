package local

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"iter"
	"math"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/parley-voice/agents"
	"github.com/parley-voice/agents/audiofile"
)

const (
	provider = "local"

	espeakName = "espeak-ng"
	fliteName  = "flite"

	defaultSpeechTimeout = 10 * time.Second
	// maxSpeech is how much audio a program may give for a text.
	maxSpeech = 10 * time.Minute
	// frameSamples are those of a chunk at most.
	frameSamples = 1024
)

// TTSOptions configure a [TTS]. The zero value speaks American English.
type TTSOptions struct {
	// Program is espeak-ng or flite, or the path of one. By default it is whichever is installed, espeak-ng first.
	Program string
	// Voice is a voice of the program. For espeak-ng it is a voice such as "en-us" or "de", with a variant if one is
	// wanted, as in "en-us+f3"; for flite one of those that flite -lv lists, by default slt.
	Voice string
	// Language is what to speak if neither Voice nor the segment says: by default "en-us". Flite speaks English only.
	Language string
	// Speed and Pitch are factors from 0.5 to 2, by default 1. Some voices of flite keep their pitch.
	Speed, Pitch float64
	// Timeout is how long the program may take for a text, without the time that the receiver takes: 10 seconds by
	// default.
	Timeout time.Duration
}

// A TTS speaks by espeak-ng or flite. It is an [agents.Synthesizer]: each text is a process of its own, which ends
// with the iteration. It is safe for concurrent use.
type TTS struct {
	opts TTSOptions
	path string
	rate int
}

var (
	_ agents.TTS         = (*TTS)(nil)
	_ agents.Synthesizer = (*TTS)(nil)
	_ agents.ModelInfo   = (*TTS)(nil)
)

var (
	voicePattern    = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9_/-]*(\+[A-Za-z0-9_-]+)?$`)
	languagePattern = regexp.MustCompile(`^[A-Za-z]{2,3}(-[A-Za-z0-9]{2,8})*$`)
)

// NewTTS looks for the program and has it speak a word, which tells its sample rate, and that the voice exists.
func NewTTS(o TTSOptions) (*TTS, error) {
	for _, f := range []*float64{&o.Speed, &o.Pitch} {
		if *f == 0 {
			*f = 1
		}
		if !(*f >= 0.5 && *f <= 2) {
			return nil, fmt.Errorf("local: a speed or pitch of %v is not from 0.5 to 2", *f)
		}
	}
	switch {
	case o.Timeout < 0:
		return nil, errors.New("local: negative timeout")
	case o.Voice != "" && !voicePattern.MatchString(o.Voice):
		return nil, fmt.Errorf("local: %q cannot be a voice", o.Voice)
	case o.Language != "" && !languagePattern.MatchString(o.Language):
		return nil, fmt.Errorf("local: %q cannot be a language", o.Language)
	}
	if o.Timeout == 0 {
		o.Timeout = defaultSpeechTimeout
	}
	path, err := speaker(o.Program)
	if err != nil {
		return nil, err
	}
	t := &TTS{opts: o, path: path}
	if t.flite() {
		err = t.checkFlite()
	} else if t.opts.Language == "" {
		t.opts.Language = "en-us"
	}
	if err != nil {
		return nil, err
	}
	heard := 0
	for chunk, err := range t.Synthesize(context.Background(), "Hello.", agents.TTSOptions{}) {
		if err != nil {
			return nil, fmt.Errorf("local: %s cannot speak: %w", t.Model(), err)
		}
		heard += chunk.Frame.Len()
		if heard > 0 {
			t.rate = max(t.rate, chunk.Frame.SampleRate)
		}
	}
	if heard == 0 {
		return nil, fmt.Errorf("local: %s speaks without a sound", t.Model())
	}
	return t, nil
}

// speaker returns the path of a program that speaks.
func speaker(name string) (string, error) {
	switch filepath.Base(name) {
	case espeakName:
		return find(name, "espeak-ng")
	case fliteName:
		return find(name, "flite")
	case ".": // no name
		if path, err := find(espeakName, "espeak-ng"); err == nil {
			return path, nil
		}
		if path, err := find(fliteName, "flite"); err == nil {
			return path, nil
		}
		return "", errors.New("local: neither espeak-ng nor flite is installed; they are in the Debian packages of the same names")
	}
	return "", fmt.Errorf("local: %s is neither espeak-ng nor flite", name)
}

func (t *TTS) flite() bool { return filepath.Base(t.path) == fliteName }

// checkFlite looks whether flite has the voice: it speaks with another one if it has not.
func (t *TTS) checkFlite() error {
	if !english(t.opts.Language) {
		return fmt.Errorf("local: flite does not speak %q", t.opts.Language)
	}
	if t.opts.Voice == "" {
		t.opts.Voice = "slt"
	}
	var list []byte
	err := job{path: t.path, op: "list voices", args: []string{"-lv"}, limit: t.opts.Timeout, read: func(out io.Reader, _ *watch) (err error) {
		list, err = readAll(out)
		return err
	}}.run(context.Background())
	if err != nil {
		return err
	}
	_, voices, _ := strings.Cut(string(list), ":")
	if names := strings.Fields(voices); !slices.Contains(names, t.opts.Voice) {
		return fmt.Errorf("local: flite has no voice %q but %s", t.opts.Voice, strings.Join(names, ", "))
	}
	return nil
}

func english(language string) bool {
	base, _, _ := strings.Cut(strings.ToLower(language), "-")
	return base == "" || base == "en"
}

// Model implements [agents.ModelInfo] with the name of the program.
func (t *TTS) Model() string { return filepath.Base(t.path) }

// Provider implements [agents.ModelInfo].
func (t *TTS) Provider() string { return provider }

// Capabilities implements [agents.TTS].
func (t *TTS) Capabilities() agents.TTSCapabilities {
	return agents.TTSCapabilities{SampleRate: t.rate, Channels: 1}
}

// Stream implements [agents.TTS]: the session speaks a sentence at a time, as [agents.TTSAdapter] does.
func (t *TTS) Stream(context.Context, agents.TTSOptions) (agents.TTSStream, error) {
	return nil, errors.ErrUnsupported
}

// errStopped says that the receiver wants no more.
var errStopped = errors.New("stopped")

// Synthesize implements [agents.Synthesizer].
func (t *TTS) Synthesize(ctx context.Context, text string, opts agents.TTSOptions) iter.Seq2[agents.TTSChunk, error] {
	return func(yield func(agents.TTSChunk, error) bool) {
		args, err := t.args(opts.Language)
		text := t.clean(text)
		if err == nil && strings.TrimSpace(text) == "" {
			return
		}
		if err == nil {
			started := time.Now()
			err = job{path: t.path, op: "synthesize", args: args, input: []byte(text), limit: t.opts.Timeout, toFile: t.flite(),
				read: func(out io.Reader, watch *watch) error {
					return t.speak(out, func(f agents.AudioFrame) bool {
						chunk := agents.TTSChunk{Frame: f, Started: started}
						return watch.pause(func() bool { return yield(chunk, nil) })
					})
				}}.run(ctx)
		}
		switch {
		case errors.Is(err, errStopped):
		case err != nil:
			yield(agents.TTSChunk{}, err)
		default:
			yield(agents.TTSChunk{Usage: &agents.TTSUsage{Characters: utf8.RuneCountInString(text)}}, nil)
		}
	}
}

// speak reads what a program says.
func (t *TTS) speak(out io.Reader, yield func(agents.AudioFrame) bool) error {
	wav, err := audiofile.NewReader(endless(out))
	if err != nil {
		return err
	}
	format := wav.Format()
	if format.Channels != 1 || t.rate != 0 && format.SampleRate != t.rate {
		return fmt.Errorf("%w: %d Hz in %d channels", agents.ErrAudioFormat, format.SampleRate, format.Channels)
	}
	for left := agents.SamplesIn(maxSpeech, format.SampleRate); ; {
		samples := make([]int16, frameSamples)
		n, err := wav.Read(samples)
		switch {
		case err == io.EOF:
			_, err = io.Copy(io.Discard, io.LimitReader(out, maxOutput)) // an end that the header promised
			return err
		case err != nil:
			return err
		}
		if left -= int64(n); left < 0 {
			return fmt.Errorf("it speaks for more than %v", maxSpeech)
		}
		if !yield(agents.AudioFrame{Samples: samples[:n], SampleRate: format.SampleRate, Channels: 1}) {
			return errStopped
		}
	}
}

// endless returns the output of a program with a header that promises no size: programs that speak as they go do not
// know it, and flite writes it at the end.
func endless(out io.Reader) io.Reader {
	head := make([]byte, 44)
	n, _ := io.ReadFull(out, head)
	head = head[:n]
	if n == cap(head) && string(head[36:40]) == "data" {
		binary.LittleEndian.PutUint32(head[40:], math.MaxUint32)
	}
	return io.MultiReader(bytes.NewReader(head), out)
}

// args returns the arguments for a text in a language, or in that of the options.
func (t *TTS) args(language string) ([]string, error) {
	if language != "" && (!languagePattern.MatchString(language) || t.flite() && !english(language)) {
		return nil, &agents.ProviderError{Provider: provider, Op: "synthesize", Message: fmt.Sprintf("%s does not speak %q", t.Model(), language)}
	}
	if t.flite() {
		return []string{"-voice", t.opts.Voice,
			"--setf", "duration_stretch=" + number(1/t.opts.Speed), "--setf", "f0_shift=" + number(t.opts.Pitch),
			"-f", "/dev/stdin", "-o", "/dev/stdout"}, nil
	}
	voice := t.opts.Voice
	switch {
	case voice == "":
		if voice = t.opts.Language; language != "" {
			voice = language
		}
	case language != "" && !sameLanguage(voice, language):
		_, variant, ok := strings.Cut(voice, "+")
		if voice = language; ok {
			voice += "+" + variant
		}
	}
	// Its pitch goes from 0 for half of what is usual to 99 for nearly twice.
	pitch := min(int(math.Round(50+50*math.Log2(t.opts.Pitch))), 99)
	return []string{"--stdout", "--stdin", "-b", "1", "-v", voice,
		"-s", strconv.Itoa(int(math.Round(175 * t.opts.Speed))), "-p", strconv.Itoa(pitch)}, nil
}

// sameLanguage reports whether a voice of espeak-ng, such as "en-us+f3", speaks a language, such as "en".
func sameLanguage(voice, language string) bool {
	voice, _, _ = strings.Cut(strings.ToLower(voice), "+")
	language = strings.ToLower(language)
	return voice == language || strings.HasPrefix(voice, language+"-")
}

func number(f float64) string { return strconv.FormatFloat(f, 'f', 4, 64) }

// clean removes what a program would take for more than text.
func (t *TTS) clean(text string) string {
	text = strings.Map(func(r rune) rune {
		if unicode.IsControl(r) && !unicode.IsSpace(r) {
			return -1
		}
		return r
	}, strings.ToValidUTF8(text, ""))
	if !t.flite() {
		text = strings.ReplaceAll(text, "[[", "[ [") // begins phonemes
	}
	return text
}
