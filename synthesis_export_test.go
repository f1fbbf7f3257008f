package agents

import (
	"context"
	"iter"
)

// SynthesisOptions are synthesisOptions for tests with package agenttest, which cannot be in this package.
type SynthesisOptions struct {
	TTS        TTS
	Opts       TTSOptions
	Conn       ConnectOptions
	Transforms []TextFilter
	Node       func(ctx context.Context, text iter.Seq[string], next TTSNodeFunc) iter.Seq2[TTSChunk, error]
	Retry      func(err error, attempt int)
	Report     func(TTSReport)
}

// SynthesisGrace is synthesisGrace.
const SynthesisGrace = synthesisGrace

// Synthesize is synthesize.
func Synthesize(ctx context.Context, text iter.Seq[string], o SynthesisOptions) iter.Seq2[TTSChunk, error] {
	return synthesize(ctx, text, synthesisOptions{
		tts: o.TTS, opts: o.Opts, conn: o.Conn, transforms: o.Transforms, node: o.Node, retry: o.Retry, report: o.Report,
	})
}
