package livekit

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"sync"

	"github.com/go-logr/logr"
	lklogger "github.com/livekit/protocol/logger"
	lksdk "github.com/livekit/server-sdk-go/v2"
)

// secrets knows what must not be seen, and takes it out of what is logged and of errors, whoever wrote them: the rooms'
// and the clients' texts hold URLs, and URLs hold tokens. It is safe for concurrent use.
type secrets struct {
	mu     sync.RWMutex
	values []string
}

const redacted = "[redacted]"

// Tokens are recognised by their form, so that those of others are not seen either. Queries of URLs are where they are
// put.
var (
	tokenPattern = regexp.MustCompile(`eyJ[\w-]+\.[\w-]+\.[\w-]*`)
	queryPattern = regexp.MustCompile(`((?:wss?|https?)://[^\s"'?#]*)\?[^\s"']*`)
	userPattern  = regexp.MustCompile(`((?:wss?|https?)://)[^\s"'/@]*@`)
)

// minSecret is the length under which a key is too ordinary a word to be looked for in texts.
const minSecret = 6

func newSecrets(values ...string) *secrets {
	s := &secrets{}
	for _, v := range values {
		s.add(v)
	}
	return s
}

func (s *secrets) add(v string) {
	if len(v) < minSecret || tokenPattern.FindString(v) == v {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, form := range []string{v, url.QueryEscape(v), url.PathEscape(v)} {
		if !slices.Contains(s.values, form) {
			s.values = append(s.values, form)
		}
	}
	slices.SortFunc(s.values, func(a, b string) int { return len(b) - len(a) }) // a longer one may contain a shorter
}

func (s *secrets) clean(text string) string {
	s.mu.RLock()
	for _, v := range s.values {
		text = strings.ReplaceAll(text, v, redacted)
	}
	s.mu.RUnlock()
	if strings.Contains(text, "eyJ") {
		text = tokenPattern.ReplaceAllString(text, redacted)
	}
	if strings.Contains(text, "://") {
		text = userPattern.ReplaceAllString(queryPattern.ReplaceAllString(text, "$1"), "$1")
	}
	return text
}

// err returns an error without secrets, which still is what err is, but cannot be taken apart: the parts have them.
func (s *secrets) err(err error) error {
	if err == nil {
		return nil
	}
	if text := s.clean(err.Error()); text != err.Error() {
		return &cleanError{text, err}
	}
	return err
}

type cleanError struct {
	text string
	err  error
}

func (e *cleanError) Error() string        { return e.text }
func (e *cleanError) Is(target error) bool { return errors.Is(e.err, target) }

// GoString keeps %#v from showing the parts.
func (e *cleanError) GoString() string { return fmt.Sprintf("livekit.cleanError{%q}", e.text) }

// logger returns one that writes to log what is left.
func (s *secrets) logger(log *slog.Logger) *slog.Logger {
	return slog.New(&cleanHandler{log.Handler(), s})
}

// tokensOnly knows no secrets but those that have the form of one.
var tokensOnly = &secrets{}

// sdkLogger is the logger for LiveKit's own packages; a nil log discards. They say at info what is of interest to their
// authors only, and log whole structures that hold tokens.
func sdkLogger(log *slog.Logger) lklogger.Logger {
	if log == nil {
		return lklogger.LogRLogger(logr.Discard())
	}
	return lklogger.LogRLogger(logr.FromSlogHandler(&quietHandler{tokensOnly.logger(log).Handler()}))
}

// The SDK has a logger of the whole process for what belongs to no room, such as the library below it, and that one writes
// to standard error. A program that wants to see it sets its own after this package is initialised.
func init() { lksdk.SetLogger(sdkLogger(nil)) }

type cleanHandler struct {
	slog.Handler
	secrets *secrets
}

func (h *cleanHandler) Handle(ctx context.Context, r slog.Record) error {
	clean := slog.NewRecord(r.Time, r.Level, h.secrets.clean(r.Message), r.PC)
	r.Attrs(func(a slog.Attr) bool {
		clean.AddAttrs(h.attr(a))
		return true
	})
	return h.Handler.Handle(ctx, clean)
}

func (h *cleanHandler) attr(a slog.Attr) slog.Attr {
	v := a.Value.Resolve()
	switch v.Kind() {
	case slog.KindString:
		return slog.String(a.Key, h.secrets.clean(v.String()))
	case slog.KindGroup:
		return slog.Attr{Key: a.Key, Value: slog.GroupValue(h.attrs(v.Group())...)}
	case slog.KindAny:
		if err, ok := v.Any().(error); ok {
			return slog.String(a.Key, h.secrets.clean(err.Error()))
		}
		// A value is only kept as it is if its text has nothing to hide.
		text := fmt.Sprintf("%+v", v.Any())
		if clean := h.secrets.clean(text); clean != text {
			return slog.String(a.Key, clean)
		}
	}
	return slog.Attr{Key: a.Key, Value: v}
}

func (h *cleanHandler) attrs(in []slog.Attr) []slog.Attr {
	out := make([]slog.Attr, len(in))
	for i, a := range in {
		out[i] = h.attr(a)
	}
	return out
}

func (h *cleanHandler) WithAttrs(attrs []slog.Attr) slog.Handler {
	return &cleanHandler{h.Handler.WithAttrs(h.attrs(attrs)), h.secrets}
}

func (h *cleanHandler) WithGroup(name string) slog.Handler {
	return &cleanHandler{h.Handler.WithGroup(name), h.secrets}
}

// A quietHandler takes what is said at info for debug.
type quietHandler struct{ slog.Handler }

func quieter(l slog.Level) slog.Level {
	if l < slog.LevelWarn {
		return min(l, slog.LevelDebug)
	}
	return l
}

func (h *quietHandler) Enabled(ctx context.Context, l slog.Level) bool {
	return h.Handler.Enabled(ctx, quieter(l))
}

func (h *quietHandler) Handle(ctx context.Context, r slog.Record) error {
	r.Level = quieter(r.Level)
	return h.Handler.Handle(ctx, r)
}

func (h *quietHandler) WithAttrs(attrs []slog.Attr) slog.Handler {
	return &quietHandler{h.Handler.WithAttrs(attrs)}
}

func (h *quietHandler) WithGroup(name string) slog.Handler {
	return &quietHandler{h.Handler.WithGroup(name)}
}

// addURL adds what a URL has that is not to be seen: its user and the values of its query.
func (s *secrets) addURL(u *url.URL) {
	if u.User != nil {
		s.add(u.User.Username())
		if password, ok := u.User.Password(); ok {
			s.add(password)
		}
	}
	for _, values := range u.Query() {
		for _, v := range values {
			s.add(v)
		}
	}
}

// forget drops a value that will not be seen any more; its form is still recognised.
func (s *secrets) forget(v string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.values = slices.DeleteFunc(s.values, func(have string) bool {
		return have == v || have == url.QueryEscape(v) || have == url.PathEscape(v)
	})
}
