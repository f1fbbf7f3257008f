package cli

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"os"
	"slices"
	"sync"
	"time"

	"golang.org/x/term"
)

// A field is one of a line's, its key with those of its groups before it.
type field struct {
	key   string
	value slog.Value
}

// A logHandler writes a line for each record. Handlers made of one another share the writer's lock.
type logHandler struct {
	level  slog.Leveler
	write  func(b *bytes.Buffer, r slog.Record, fields []field)
	out    io.Writer
	mu     *sync.Mutex
	fields []field
	prefix string
}

// newJSONLog writes lines of JSON: the message, the level, what else there is, and the time last, in UTC.
func newJSONLog(w io.Writer, level slog.Leveler) slog.Handler {
	return &logHandler{level: level, out: w, mu: &sync.Mutex{}, write: func(b *bytes.Buffer, r slog.Record, fields []field) {
		b.WriteString(`{"message":`)
		writeJSON(b, slog.StringValue(r.Message))
		b.WriteString(`,"level":`)
		writeJSON(b, slog.StringValue(levelName(r.Level)))
		writeFields(b, fields, true)
		if !r.Time.IsZero() {
			b.WriteString(`,"timestamp":"` + r.Time.UTC().Format("2006-01-02T15:04:05.000000Z07:00") + `"`)
		}
		b.WriteString("}\n")
	}}
}

// newTextLog writes lines for people: the time, the level, the message, and what else there is as JSON.
func newTextLog(w io.Writer, level slog.Leveler, color bool) slog.Handler {
	paint := func(b *bytes.Buffer, code, text string) {
		if color && code != "" {
			text = "\x1b[" + code + "m" + text + "\x1b[0m"
		}
		b.WriteString(text)
	}
	return &logHandler{level: level, out: w, mu: &sync.Mutex{}, write: func(b *bytes.Buffer, r slog.Record, fields []field) {
		if !r.Time.IsZero() {
			paint(b, "2", r.Time.Format("15:04:05.000"))
			b.WriteByte(' ')
		}
		paint(b, levelColor(r.Level), fmt.Sprintf("%-5s", levelName(r.Level)))
		b.WriteString(" " + r.Message)
		if len(fields) > 0 {
			var extras bytes.Buffer
			extras.WriteByte('{')
			writeFields(&extras, fields, false)
			extras.WriteByte('}')
			b.WriteByte(' ')
			paint(b, "90", extras.String())
		}
		b.WriteByte('\n')
	}}
}

// Enabled implements [slog.Handler].
func (h *logHandler) Enabled(_ context.Context, l slog.Level) bool { return l >= h.level.Level() }

// Handle implements [slog.Handler].
func (h *logHandler) Handle(_ context.Context, r slog.Record) error {
	fields := slices.Clip(h.fields)
	r.Attrs(func(a slog.Attr) bool {
		fields = appendField(fields, h.prefix, a)
		return true
	})
	var b bytes.Buffer
	h.write(&b, r, fields)
	h.mu.Lock()
	defer h.mu.Unlock()
	_, err := h.out.Write(b.Bytes())
	return err
}

// WithAttrs implements [slog.Handler].
func (h *logHandler) WithAttrs(attrs []slog.Attr) slog.Handler {
	with := *h
	with.fields = slices.Clip(h.fields)
	for _, a := range attrs {
		with.fields = appendField(with.fields, h.prefix, a)
	}
	return &with
}

// WithGroup implements [slog.Handler].
func (h *logHandler) WithGroup(name string) slog.Handler {
	if name == "" {
		return h
	}
	with := *h
	with.prefix += name + "."
	return &with
}

// appendField adds an attribute; a group's are flattened.
func appendField(to []field, prefix string, a slog.Attr) []field {
	v := a.Value.Resolve()
	if v.Kind() != slog.KindGroup {
		if a.Equal(slog.Attr{}) {
			return to
		}
		return append(to, field{prefix + a.Key, v})
	}
	if a.Key != "" {
		prefix += a.Key + "."
	}
	for _, member := range v.Group() {
		to = appendField(to, prefix, member)
	}
	return to
}

func writeFields(b *bytes.Buffer, fields []field, comma bool) {
	for _, f := range fields {
		if comma {
			b.WriteByte(',')
		}
		comma = true
		writeJSON(b, slog.StringValue(f.key))
		b.WriteByte(':')
		writeJSON(b, f.value)
	}
}

// writeJSON writes a value; one that JSON cannot express becomes text.
func writeJSON(b *bytes.Buffer, v slog.Value) {
	value := v.Any()
	switch x := value.(type) {
	case time.Duration:
		value = x.String()
	case error:
		value = x.Error()
	}
	enc := json.NewEncoder(b)
	enc.SetEscapeHTML(false)
	n := b.Len()
	if err := enc.Encode(value); err != nil {
		b.Truncate(n)
		_ = enc.Encode(fmt.Sprintf("%+v", value)) // a string can always be encoded
	}
	b.Truncate(b.Len() - 1) // its new line
}

func levelName(l slog.Level) string {
	switch {
	case l < slog.LevelDebug:
		return "TRACE"
	case l < slog.LevelInfo:
		return "DEBUG"
	case l < slog.LevelWarn:
		return "INFO"
	case l < slog.LevelError:
		return "WARN"
	case l < levelCritical:
		return "ERROR"
	}
	return "CRITICAL"
}

func levelColor(l slog.Level) string {
	switch {
	case l < slog.LevelInfo:
		return "36"
	case l < slog.LevelWarn:
		return "32"
	case l < slog.LevelError:
		return "33"
	}
	return "31"
}

// hasColor says whether what is written to w may be coloured.
func hasColor(w io.Writer) bool {
	f, ok := w.(*os.File)
	return ok && term.IsTerminal(int(f.Fd())) && os.Getenv("NO_COLOR") == "" && os.Getenv("TERM") != "dumb"
}
