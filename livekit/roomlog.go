package livekit

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"regexp"

	"github.com/go-logr/logr"
	lklogger "github.com/livekit/protocol/logger"
	lksdk "github.com/livekit/server-sdk-go/v2"
)

// sdkLogger has the SDK log to log, at debug level except for warnings and errors, and without the token that it is
// given; to nothing if log is nil.
func sdkLogger(log *slog.Logger) lklogger.Logger {
	if log == nil {
		return lklogger.LogRLogger(logr.Discard())
	}
	return lklogger.LogRLogger(logr.FromSlogHandler(tokenless{log.Handler()}))
}

// tokenless is a handler that hides tokens in whatever is logged: the SDK logs whole structures that hold them.
type tokenless struct{ slog.Handler }

func (h tokenless) Enabled(ctx context.Context, level slog.Level) bool {
	return h.Handler.Enabled(ctx, quieter(level))
}

// quieter makes what the SDK tells of its own accord a matter of debugging.
func quieter(level slog.Level) slog.Level {
	if level < slog.LevelWarn {
		return slog.LevelDebug
	}
	return level
}

func (h tokenless) Handle(ctx context.Context, r slog.Record) error {
	clean := slog.NewRecord(r.Time, quieter(r.Level), hideTokens(r.Message), r.PC)
	r.Attrs(func(a slog.Attr) bool {
		clean.AddAttrs(cleanAttr(a))
		return true
	})
	return h.Handler.Handle(ctx, clean)
}

func (h tokenless) WithAttrs(attrs []slog.Attr) slog.Handler {
	clean := make([]slog.Attr, len(attrs))
	for i, a := range attrs {
		clean[i] = cleanAttr(a)
	}
	return tokenless{h.Handler.WithAttrs(clean)}
}

func (h tokenless) WithGroup(name string) slog.Handler { return tokenless{h.Handler.WithGroup(name)} }

func cleanAttr(a slog.Attr) slog.Attr {
	switch v := a.Value.Resolve(); v.Kind() {
	case slog.KindString, slog.KindAny, slog.KindGroup:
		return slog.String(a.Key, hideTokens(fmt.Sprintf("%+v", v.Any())))
	}
	return a
}

var (
	jwt   = regexp.MustCompile(`eyJ[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]*`)
	query = regexp.MustCompile(`([?&](?:access_token|token|join_request|api_key|api_secret)=)[^&\s"']+`)
)

// hideTokens returns the text without the tokens in it.
func hideTokens(s string) string {
	return query.ReplaceAllString(jwt.ReplaceAllString(s, "…"), "${1}…")
}

// cleanError returns err, or an error that says the same without a token.
func cleanError(err error) error {
	if err == nil {
		return nil
	}
	text := err.Error()
	if clean := hideTokens(text); clean != text {
		return errors.New(clean)
	}
	return err
}

// The SDK has a logger of the whole process for what belongs to no room, such as the library below it, and that one writes
// to standard error. A program that wants to see it sets its own after this package is initialised.
func init() { lksdk.SetLogger(sdkLogger(nil)) }
