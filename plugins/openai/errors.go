package openai

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/parley-voice/agents"
)

const (
	maxErrorBody    = 64 << 10
	maxErrorMessage = 500
)

// An eventError is an error that a server reports in a stream that began well.
type eventError struct{ body []byte }

func (*eventError) Error() string { return "error event" }

// transportError is what a failure to reach the server, or to read from it, becomes. When the caller is the reason, it
// is just the caller's.
func (s *service) transportError(ctx context.Context, resp *http.Response, err error) error {
	if silence, ok := errors.AsType[*silenceError](context.Cause(ctx)); ok {
		e := s.providerError(resp)
		e.Retryable = true
		e.Err = fmt.Errorf("%w: %w", agents.ErrTimeout, silence)
		return e
	}
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if ue, ok := errors.AsType[*url.Error](err); ok {
		err = ue.Err // the URL may hold a secret
	}
	kind := agents.ErrConnection
	if ne, ok := errors.AsType[net.Error](err); ok && ne.Timeout() || errors.Is(err, context.DeadlineExceeded) {
		kind = agents.ErrTimeout
	}
	e := s.providerError(resp)
	e.Retryable = true
	e.Err = fmt.Errorf("%w: %w", kind, s.redact(err))
	return e
}

// streamError is what a failure in the middle of a stream becomes.
func (s *service) streamError(ctx context.Context, resp *http.Response, err error) error {
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if ee, ok := errors.AsType[*eventError](err); ok {
		e := s.providerError(resp)
		s.describe(e, ee.body)
		return e
	}
	if err == errWithheld {
		e := s.providerError(resp)
		e.Err = err
		return e
	}
	return s.transportError(ctx, resp, err)
}

// callError is what a failed call of the library becomes.
func (s *service) callError(ctx context.Context, err error) error {
	if _, ok := errors.AsType[*agents.ProviderError](err); ok || ctx.Err() != nil && err == ctx.Err() {
		return err // of send
	}
	return s.unsendable(err)
}

// statusError is what a response with an error status becomes.
func (s *service) statusError(ctx context.Context, resp *http.Response) error {
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxErrorBody))
	if err != nil && ctx.Err() != nil {
		return s.transportError(ctx, resp, err)
	}
	e := s.providerError(resp)
	e.Status = resp.StatusCode
	e.RetryAfter = retryAfter(resp.Header)
	s.describe(e, body)
	if e.Status == http.StatusUnauthorized {
		e.Message = strings.TrimSpace(e.Message + " Check " + s.options + ".APIKey or OPENAI_API_KEY.")
	}
	return e
}

func (s *service) providerError(resp *http.Response) *agents.ProviderError {
	e := &agents.ProviderError{Provider: s.provider, Op: s.op}
	if resp != nil {
		e.RequestID = resp.Header.Get("X-Request-Id")
	}
	return e
}

// describe takes message, status and kind of an error from the body that reports it: OpenAI's {"error": {…}} or what is
// in it, the {"error": "…"}, {"message": "…"} and {"detail": "…"} of imitations, or text.
func (s *service) describe(e *agents.ProviderError, body []byte) {
	var b errorBody
	if json.Unmarshal(body, &b) == nil {
		if len(b.Error) > 0 {
			inner := errorBody{Message: b.Error}
			if json.Unmarshal(b.Error, &inner) == nil {
				b = inner
			} else {
				b.Message = b.Error
			}
		}
		e.Message = cmpText(b.Message, b.Detail)
	} else if s := strings.TrimSpace(string(body)); !strings.HasPrefix(s, "<") {
		e.Message, _, _ = strings.Cut(s, "\n")
		if quoted := ""; json.Unmarshal(body, &quoted) == nil {
			e.Message = quoted
		}
	}
	e.Message = s.clean(e.Message)
	code := text(b.Code)
	if n, err := strconv.Atoi(code); err == nil && e.Status == 0 && n >= 400 && n <= 599 {
		e.Status = n
	}
	switch {
	case code == "insufficient_quota" || b.Type == "insufficient_quota":
		e.Retryable = false // a 429, but no waiting helps
	case e.Status != 0:
		e.Retryable = agents.RetryableStatus(e.Status)
	default:
		switch b.Type {
		case "invalid_request_error", "authentication_error", "permission_error", "not_found_error":
		default:
			e.Retryable = true
		}
	}
}

type errorBody struct {
	Error   json.RawMessage `json:"error"`
	Message json.RawMessage `json:"message"`
	Detail  json.RawMessage `json:"detail"`
	Code    json.RawMessage `json:"code"`
	Type    string          `json:"type"`
}

func cmpText(raws ...json.RawMessage) string {
	for _, raw := range raws {
		if s := text(raw); s != "" {
			return s
		}
	}
	return ""
}

// text returns a JSON value as text: a string without its quotes, and nothing for null.
func text(raw json.RawMessage) string {
	var s string
	if json.Unmarshal(raw, &s) == nil {
		return s
	}
	return string(raw)
}

// clean makes a server's words fit for an error: short, on one line, and without the key and what was sent.
func (s *service) clean(words string) string {
	words = strings.Join(strings.Fields(words), " ")
	for _, quote := range []string{`'input':`, `"input":`} { // validators of Python repeat what they refuse
		if before, _, ok := strings.Cut(words, quote); ok {
			words = before + "…"
		}
	}
	for _, secret := range s.secrets {
		words = strings.ReplaceAll(words, secret, "[key]")
	}
	if len(words) > maxErrorMessage {
		words = words[:maxErrorMessage]
		for !utf8.ValidString(words) {
			words = words[:len(words)-1]
		}
		words += "…"
	}
	return words
}

// redact returns an error that does not show the key: the error itself, or one that has its text.
func (s *service) redact(err error) error {
	for _, secret := range s.secrets {
		if strings.Contains(err.Error(), secret) {
			return errors.New(s.clean(err.Error()))
		}
	}
	return err
}

// retryAfter returns what the server asked for: milliseconds, seconds or a date.
func retryAfter(h http.Header) time.Duration {
	if ms, err := strconv.ParseFloat(h.Get("Retry-After-Ms"), 64); err == nil && ms > 0 && ms < 1e12 {
		return time.Duration(ms * float64(time.Millisecond))
	}
	v := h.Get("Retry-After")
	if s, err := strconv.ParseFloat(v, 64); err == nil && s > 0 && s < 1e9 {
		return time.Duration(s * float64(time.Second))
	}
	if t, err := http.ParseTime(v); err == nil {
		return max(0, time.Until(t))
	}
	return 0
}
