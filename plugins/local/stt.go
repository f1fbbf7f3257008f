package local

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"strconv"
	"strings"
	"time"

	"github.com/parley-voice/agents"
)

const (
	sphinxName = "pocketsphinx_continuous"
	sphinxRate = 16000
	// sphinxModel is where Debian has the model that the program uses unless it is told otherwise.
	sphinxModel = "/usr/share/pocketsphinx/model/en-us/en-us"

	defaultHearingTimeout = 30 * time.Second
	// maxOutput is how much text a program may give.
	maxOutput = 1 << 20
)

// STTOptions configure an [STT]. The zero value understands American English.
type STTOptions struct {
	// Program is pocketsphinx_continuous, which is the default, or its path.
	Program string
	// Model is the directory of an acoustic model, Dictionary and LanguageModel are files. By default they are those of
	// the Debian package pocketsphinx-en-us.
	Model, Dictionary, LanguageModel string
	// Language is that of the model, by default "en-US".
	Language string
	// MaxConcurrent is how many recognitions run at once: by default as many as there are CPUs. One takes about 100 MB.
	MaxConcurrent int
	// Timeout is how long a recognition may take, without the time that it waits for others: 30 seconds by default.
	Timeout time.Duration
}

// An STT recognises speech by pocketsphinx. It is an [agents.Recognizer]: each utterance is a process of its own. It is
// safe for concurrent use.
type STT struct {
	opts  STTOptions
	path  string
	args  []string
	slots chan struct{} // holds what runs
}

var (
	_ agents.STT        = (*STT)(nil)
	_ agents.Recognizer = (*STT)(nil)
	_ agents.ModelInfo  = (*STT)(nil)
)

// NewSTT looks for the program and the files.
func NewSTT(o STTOptions) (*STT, error) {
	if o.Program == "" {
		o.Program = sphinxName
	}
	if o.Language == "" {
		o.Language = "en-US"
	}
	if o.MaxConcurrent == 0 {
		o.MaxConcurrent = runtime.NumCPU()
	}
	if o.Timeout == 0 {
		o.Timeout = defaultHearingTimeout
	}
	switch {
	case o.MaxConcurrent < 0:
		return nil, errors.New("local: a negative number of recognitions")
	case o.Timeout < 0:
		return nil, errors.New("local: negative timeout")
	case !languagePattern.MatchString(o.Language):
		return nil, fmt.Errorf("local: %q cannot be a language", o.Language)
	case filepath.Base(o.Program) != sphinxName:
		return nil, fmt.Errorf("local: %s is not %s", o.Program, sphinxName)
	}
	path, err := find(o.Program, "pocketsphinx")
	if err != nil {
		return nil, err
	}
	if _, err := os.Stat(sphinxModel); err != nil && o.Model == "" {
		return nil, fmt.Errorf("local: pocketsphinx has no model; one is in the Debian package pocketsphinx-en-us: %w", err)
	}
	s := &STT{opts: o, path: path, slots: make(chan struct{}, o.MaxConcurrent)}
	s.args = []string{"-infile", "/dev/stdin", "-time", "yes"}
	for _, f := range []struct{ option, name string }{{"-hmm", o.Model}, {"-dict", o.Dictionary}, {"-lm", o.LanguageModel}} {
		if f.name == "" {
			continue
		}
		name, err := filepath.Abs(f.name) // begins with no hyphen
		if err == nil {
			_, err = os.Stat(name)
		}
		if err != nil {
			return nil, fmt.Errorf("local: %w", err)
		}
		s.args = append(s.args, f.option, name)
	}
	return s, nil
}

// Model implements [agents.ModelInfo].
func (s *STT) Model() string { return "pocketsphinx" }

// Provider implements [agents.ModelInfo].
func (s *STT) Provider() string { return provider }

// Capabilities implements [agents.STT].
func (s *STT) Capabilities() agents.STTCapabilities {
	return agents.STTCapabilities{Timing: agents.WordTiming, SampleRate: sphinxRate}
}

// Stream implements [agents.STT]: the session recognises what its VAD cuts out, as [agents.STTAdapter] does.
func (s *STT) Stream(context.Context, agents.STTOptions) (agents.STTStream, error) {
	return nil, errors.ErrUnsupported
}

// Recognize implements [agents.Recognizer]. The speech has one channel at 16 kHz.
func (s *STT) Recognize(ctx context.Context, speech agents.AudioFrame, opts agents.STTOptions) (agents.STTEvent, error) {
	err := speech.Check()
	if err == nil && (speech.SampleRate != sphinxRate || speech.Channels != 1) {
		err = fmt.Errorf("%w: %d Hz in %d channels", agents.ErrAudioFormat, speech.SampleRate, speech.Channels)
	}
	if err == nil && opts.Language != "" && base(opts.Language) != base(s.opts.Language) {
		err = fmt.Errorf("the model is for %s, not %q", s.opts.Language, opts.Language)
	}
	if err != nil {
		return agents.STTEvent{}, &agents.ProviderError{Provider: provider, Op: "recognize", Err: err}
	}
	select {
	case s.slots <- struct{}{}:
		defer func() { <-s.slots }()
	case <-ctx.Done():
		return agents.STTEvent{}, context.Cause(ctx)
	}
	pcm := make([]byte, 0, 2*len(speech.Samples))
	for _, v := range speech.Samples {
		pcm = binary.LittleEndian.AppendUint16(pcm, uint16(v))
	}
	var text []byte
	err = job{path: s.path, op: "recognize", args: s.args, input: pcm, limit: s.opts.Timeout, read: func(out io.Reader, _ *watch) (err error) {
		text, err = readAll(out)
		return err
	}}.run(ctx)
	if err != nil {
		return agents.STTEvent{}, err
	}
	return agents.STTEvent{Type: agents.STTFinal, Transcript: s.transcript(string(text), speech.Duration())}, nil
}

func base(language string) string {
	b, _, _ := strings.Cut(strings.ToLower(language), "-")
	return b
}

// readAll reads the output of a program, which is bounded.
func readAll(out io.Reader) ([]byte, error) {
	b, err := io.ReadAll(io.LimitReader(out, maxOutput))
	if err == nil && len(b) == maxOutput {
		err = fmt.Errorf("more than %d bytes of output", maxOutput)
	}
	return b, err
}

// A line with a word says where it begins and ends, in seconds, and how likely it is.
var wordLine = regexp.MustCompile(`^(\S+) (\d{1,6}\.\d+) (\d{1,6}\.\d+) (\d{1,6}\.\d+)$`)

// pronunciation is how a word is marked that is not pronounced in the first way of the dictionary.
var pronunciation = regexp.MustCompile(`\(\d+\)$`)

// transcript reads the output: for each phrase a line with its words, and then one for each word and each noise.
func (s *STT) transcript(out string, length time.Duration) agents.Transcript {
	t := agents.Transcript{Language: s.opts.Language}
	var phrases []string
	sum := 0.0
	for line := range strings.Lines(out) {
		line = strings.TrimSpace(strings.ToValidUTF8(line, ""))
		m := wordLine.FindStringSubmatch(line)
		if m == nil {
			if line != "" {
				phrases = append(phrases, line)
			}
			continue
		}
		if strings.ContainsAny(m[1][:1], "<[+") {
			continue // silence, or a noise
		}
		start, end := min(seconds(m[2]), length), min(seconds(m[3]), length)
		confidence, _ := strconv.ParseFloat(m[4], 64) // the pattern has only numbers
		confidence = min(confidence, 1)
		sum += confidence
		t.Words = append(t.Words, agents.TimedText{Text: pronunciation.ReplaceAllString(m[1], ""), Start: start, End: max(start, end), Confidence: confidence})
	}
	t.Text = strings.Join(phrases, " ")
	if n := len(t.Words); n > 0 {
		for i := range n - 1 {
			t.Words[i].Text += " "
		}
		t.Start, t.End, t.Confidence = t.Words[0].Start, t.Words[n-1].End, sum/float64(n)
	}
	return t
}

func seconds(s string) time.Duration {
	f, _ := strconv.ParseFloat(s, 64)
	return time.Duration(f * float64(time.Second)).Round(time.Millisecond)
}
