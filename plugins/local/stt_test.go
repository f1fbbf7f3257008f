package local_test

import (
	"context"
	"errors"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/parley-voice/agents"
	"github.com/parley-voice/agents/agenttest"
	"github.com/parley-voice/agents/plugins/local"
)

const ms = time.Millisecond

var utterance = agents.Silence(2*time.Second, 16000, 1)

// What pocketsphinx_continuous writes for two phrases, with its noises and second pronunciations.
const sphinxOutput = `hello world
<s> 0.080 0.150 0.999900
hello(2) 0.160 0.590 0.999900
[NOISE] 0.590 0.600 0.500000
world 0.600 1.220 0.500100
</s> 2.210 2.350 1.000000
yes
<s> 1.300 1.350 0.999900
yes 1.360 2.900 1.200000
++SMACK++ 1.900 1.950 0.100000
`

func TestSTT(t *testing.T) {
	agenttest.VerifyNoLeaks(t)
	stt, f := fakeSTT(t, local.STTOptions{}, act{Text: sphinxOutput, Stderr: "INFO: much to say\n"}, act{}, act{Text: "no times\n"})
	speech := utterance.Clone()
	speech.Samples[0], speech.Samples[1] = 0x1234, -2
	ev, err := stt.Recognize(agenttest.Context(t), speech, agents.STTOptions{Language: "en"})
	require.NoError(t, err)
	require.Empty(t, children())
	require.InDelta(t, (0.9999+0.5001+1)/3, ev.Transcript.Confidence, 1e-9)
	ev.Transcript.Confidence = 0
	require.Equal(t, agents.STTEvent{Type: agents.STTFinal, Transcript: agents.Transcript{
		Text: "hello world yes", Language: "en-US", Start: 160 * ms, End: 2 * time.Second, // and not beyond the speech
		Words: []agents.TimedText{
			{Text: "hello ", Start: 160 * ms, End: 590 * ms, Confidence: 0.9999},
			{Text: "world ", Start: 600 * ms, End: 1220 * ms, Confidence: 0.5001},
			{Text: "yes", Start: 1360 * ms, End: 2 * time.Second, Confidence: 1},
		},
	}}, ev)
	ev, err = stt.Recognize(agenttest.Context(t), utterance, agents.STTOptions{})
	require.NoError(t, err)
	require.Equal(t, agents.STTEvent{Type: agents.STTFinal, Transcript: agents.Transcript{Language: "en-US"}}, ev)
	ev, err = stt.Recognize(agenttest.Context(t), utterance, agents.STTOptions{})
	require.NoError(t, err)
	require.Equal(t, "no times", ev.Transcript.Text)

	got := f.runs("input")[0]
	require.Len(t, got, 2*len(speech.Samples))
	require.Equal(t, "\x34\x12\xfe\xff\x00\x00", got[:6])
	require.Equal(t, "-infile /dev/stdin -time yes -hmm "+f.dir, f.runs("args")[0])
}

func TestSTTFailures(t *testing.T) {
	for _, test := range []struct {
		name      string
		act       act
		timeout   time.Duration
		says      string
		retryable bool
		is        error
	}{
		{name: "status 1 with a message amid a log", act: act{Stderr: "INFO: a\nERROR: \"acmod.c\", line 78: no mdef\nINFO: b\n", Exit: 1},
			says: `pocketsphinx_continuous: exit status 1: ERROR: "acmod.c", line 78: no mdef`},
		{name: "crash", act: act{Text: "hello\n", Crash: true}, says: "signal: killed", retryable: true},
		{name: "floods", act: act{Flood: true}, says: "more than 1048576 bytes of output"},
		{name: "stalls", act: act{Hang: true, IgnoreTerm: true}, timeout: time.Second, is: agents.ErrTimeout, retryable: true},
		{name: "stalls without reading", act: act{Hang: true, Deaf: true}, timeout: time.Second, is: agents.ErrTimeout, retryable: true},
		{name: "closes its output and stays", act: act{Shut: true, Hang: true}, timeout: time.Hour, is: agents.ErrTimeout, retryable: true},
		{name: "ends without reading", act: act{Deaf: true, Exit: 4}, says: "exit status 4"},
	} {
		t.Run(test.name, func(t *testing.T) {
			agenttest.VerifyNoLeaks(t)
			stt, _ := fakeSTT(t, local.STTOptions{Timeout: test.timeout}, test.act)
			_, err := stt.Recognize(agenttest.Context(t), utterance, agents.STTOptions{})
			require.Empty(t, children())
			var failure *agents.ProviderError
			require.ErrorAs(t, err, &failure)
			require.Equal(t, "recognize", failure.Op)
			require.Equal(t, test.retryable, failure.Retryable)
			require.ErrorContains(t, err, test.says)
			if test.is != nil {
				require.ErrorIs(t, err, test.is)
			}
		})
	}
}

// The end of the context ends a recognition, and one that waits for others to end.
func TestSTTGivenUp(t *testing.T) {
	agenttest.VerifyNoLeaks(t)
	stt, f := fakeSTT(t, local.STTOptions{MaxConcurrent: 1}, act{Hang: true, IgnoreTerm: true, Child: true}, act{Text: "yes\n"})
	running, stop := context.WithCancelCause(agenttest.Context(t))
	waiting, leave := context.WithCancelCause(agenttest.Context(t))
	first, next := make(chan error, 1), make(chan error, 1)
	go func() { first <- second(stt.Recognize(running, utterance, agents.STTOptions{})) }()
	f.until("child.0")
	go func() { next <- second(stt.Recognize(waiting, utterance, agents.STTOptions{})) }()
	gone, over := errors.New("gone"), errors.New("over")
	leave(gone)
	require.Equal(t, gone, <-next)
	require.Equal(t, 1, f.begun())
	stop(over)
	require.Equal(t, over, <-first)
	f.childDead()
	ev, err := stt.Recognize(agenttest.Context(t), utterance, agents.STTOptions{})
	require.NoError(t, err)
	require.Equal(t, "yes", ev.Transcript.Text)
	require.Empty(t, children())
}

// No more recognitions run at once than MaxConcurrent says.
func TestSTTLimit(t *testing.T) {
	agenttest.VerifyNoLeaks(t)
	step := act{Text: "yes\n", Step: true}
	stt, f := fakeSTT(t, local.STTOptions{MaxConcurrent: 2}, step, step, step, step)
	results := make(chan error, 4)
	for range 4 {
		go func() { results <- second(stt.Recognize(agenttest.Context(t), utterance, agents.STTOptions{})) }()
	}
	f.until("wrote.0")
	f.until("wrote.1")
	require.Equal(t, 2, f.begun())
	f.touch("go")
	for range 4 {
		require.NoError(t, <-results)
	}
	require.Equal(t, 4, f.begun())
	for _, n := range f.runs("together") {
		require.LessOrEqual(t, n, "2")
	}
	require.Empty(t, children())
}

func TestSTTRefuses(t *testing.T) {
	stt, f := fakeSTT(t, local.STTOptions{})
	for _, test := range []struct {
		speech agents.AudioFrame
		opts   agents.STTOptions
		says   string
	}{
		{agents.Silence(time.Second, 8000, 1), agents.STTOptions{}, "8000 Hz in 1 channels"},
		{agents.Silence(time.Second, 16000, 2), agents.STTOptions{}, "16000 Hz in 2 channels"},
		{agents.AudioFrame{}, agents.STTOptions{}, "audio format"},
		{utterance, agents.STTOptions{Language: "de"}, `the model is for en-US, not "de"`},
	} {
		_, err := stt.Recognize(agenttest.Context(t), test.speech, test.opts)
		var failure *agents.ProviderError
		require.ErrorAs(t, err, &failure)
		require.False(t, failure.Retryable)
		require.ErrorContains(t, err, test.says)
	}
	require.Zero(t, f.begun())
}

func TestNewSTTErrors(t *testing.T) {
	f := newFake(t, "pocketsphinx_continuous")
	for _, test := range []struct {
		opts local.STTOptions
		says string
	}{
		{local.STTOptions{Timeout: -1}, "negative timeout"},
		{local.STTOptions{MaxConcurrent: -1}, "negative number"},
		{local.STTOptions{Language: "-x"}, `"-x" cannot be a language`},
		{local.STTOptions{Program: "sphinx"}, "sphinx is not pocketsphinx_continuous"},
		{local.STTOptions{Program: f.path, Model: "/nowhere"}, "/nowhere"},
		{local.STTOptions{Program: f.path, Model: f.dir, Dictionary: "/nowhere"}, "/nowhere"},
	} {
		_, err := local.NewSTT(test.opts)
		require.ErrorContains(t, err, test.says)
	}
	t.Setenv("PATH", t.TempDir())
	_, err := local.NewSTT(local.STTOptions{})
	require.ErrorContains(t, err, "it is in the Debian package pocketsphinx")
	require.ErrorIs(t, err, exec.ErrNotFound)
}

// Whatever a program writes, a transcript is what the session can use.
func FuzzTranscript(f *testing.F) {
	f.Add(sphinxOutput)
	f.Add("hello 1.0 0.5 9.9\nhello")
	f.Add("(2) 999999.9 0.1 0.1\n\xff\n")
	f.Fuzz(func(t *testing.T, out string) {
		tr := local.ParseTranscript(out, time.Second)
		if tr.Start > tr.End || tr.Confidence < 0 || tr.Confidence > 1 || strings.ContainsAny(tr.Text, "\n") {
			t.Errorf("%+v", tr)
		}
		for _, w := range tr.Words {
			if w.Start < 0 || w.Start > w.End || w.End > time.Second || w.Confidence < 0 || w.Confidence > 1 {
				t.Errorf("%+v", w)
			}
		}
	})
}
