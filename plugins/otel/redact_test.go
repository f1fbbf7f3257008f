package otel

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/otel/attribute"
)

// harmless are the attributes that hold no content, whoever talks about what.
var harmless = strings.Fields(`
	exception.message exception.stacktrace exception.type
	gen_ai.operation.name gen_ai.provider.name gen_ai.request.model
	gen_ai.usage.cache_read.input_tokens gen_ai.usage.input_audio_tokens gen_ai.usage.input_cached_tokens
	gen_ai.usage.input_text_tokens gen_ai.usage.input_tokens gen_ai.usage.output_audio_tokens
	gen_ai.usage.output_text_tokens gen_ai.usage.output_tokens
	langfuse.observation.completion_start_time
	lk.agent_label lk.e2e_latency lk.end_of_turn_delay
	lk.eou.detection_delay lk.eou.endpointing_delay lk.eou.language lk.eou.probability lk.eou.source lk.eou.unlikely_threshold
	lk.function_tool.id lk.function_tool.is_error lk.function_tool.name
	lk.generation_id lk.interrupted lk.interruption.detection_delay lk.interruption.probability lk.is_interruption
	lk.llm_metrics lk.parent_generation_id lk.provider_request_ids lk.realtime_model_metrics
	lk.response.ttfb lk.response.ttft lk.speech_id lk.transcript_confidence lk.transcription_delay
	lk.tts.streaming lk.tts_metrics
	model_name model_provider connection_reused
	parley.cancelled parley.close_reason parley.dropped_events
	parley.error.operation parley.error.provider parley.error.recoverable parley.error.source parley.error.status
	parley.handoff_from parley.incomplete
	parley.latency.endpointing parley.latency.llm parley.latency.playout parley.latency.text parley.latency.tools
	parley.latency.transcription parley.latency.tts parley.latency.turn_completed parley.latency.waiting
	parley.probability parley.reason parley.resumed parley.speech_source parley.swapped parley.task_id parley.tool_status`)

// bearing are the names that collectors know to hold content.
var bearing = regexp.MustCompile(`(^|\.)(arguments|chat_ctx|interim_transcript|progress_message|raw_arguments|repaired|transcript)$`)

// keyLike is what an attribute's key looks like; the names of metrics are none.
var keyLike = regexp.MustCompile(`^(lk|gen_ai|parley|langfuse|exception)(\.\w+)+$`)

// worker 32: every attribute is known to be harmless, or is marked as personal, never both.
func TestEveryAttributeIsHarmlessOrMarked(t *testing.T) {
	keys := attributeKeys(t)
	require.Greater(t, len(keys), 60)
	known := make(map[string]bool)
	for _, key := range harmless {
		require.False(t, known[key], "%s is listed twice", key)
		known[key] = true
		require.False(t, isPersonal(attribute.Key(key)), "%s is both", key)
		require.NotRegexp(t, bearing, key)
		require.True(t, keys[key], "%s is no attribute", key)
	}
	for key := range keys {
		require.True(t, known[key] || isPersonal(attribute.Key(key)), "%s is neither harmless nor marked by a segment pii", key)
	}
}

// attributeKeys returns the keys in the package's files: the texts that look like one, which all constants of type
// attribute.Key do, and what is passed to a function of package attribute.
func attributeKeys(t *testing.T) map[string]bool {
	keys := make(map[string]bool)
	files, err := fs.Glob(os.DirFS("."), "*.go")
	require.NoError(t, err)
	for _, name := range files {
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		f, err := parser.ParseFile(token.NewFileSet(), name, nil, parser.SkipObjectResolution)
		require.NoError(t, err)
		ast.Inspect(f, func(n ast.Node) bool {
			switch n := n.(type) {
			case *ast.BasicLit:
				if s := literal(n); keyLike.MatchString(s) {
					keys[s] = true
				}
			case *ast.ValueSpec:
				if isSelector(n.Type, "attribute", "Key") {
					for _, v := range n.Values {
						require.Regexp(t, keyLike, literal(v), "the constants %v", n.Names)
					}
				}
			case *ast.CallExpr:
				if f, ok := n.Fun.(*ast.SelectorExpr); ok && isSelector(f, "attribute", f.Sel.Name) && f.Sel.Name != "NewSet" {
					s := literal(n.Args[0])
					require.NotEmpty(t, s, "attribute.%s of what is no text", f.Sel.Name)
					keys[s] = true
				}
			}
			return true
		})
	}
	return keys
}

func isSelector(e ast.Expr, pkg, name string) bool {
	s, ok := e.(*ast.SelectorExpr)
	if !ok || s.Sel.Name != name {
		return false
	}
	x, ok := s.X.(*ast.Ident)
	return ok && x.Name == pkg
}

func literal(e ast.Expr) string {
	if l, ok := e.(*ast.BasicLit); ok && l.Kind == token.STRING {
		s, _ := strconv.Unquote(l.Value)
		return s
	}
	return ""
}

// A segment counts whole, in any case.
func TestPersonalKeys(t *testing.T) {
	for key, want := range map[attribute.Key]bool{
		"lk.pii.user_input": true, "pii": true, "a.PII": true, "Pii.a": true,
		"lk.piii.x": false, "lk.user_pii": false, "": false, "lk.pi.i": false,
	} {
		require.Equal(t, want, isPersonal(key), string(key))
	}
}
