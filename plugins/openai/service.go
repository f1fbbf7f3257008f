package openai

import (
	"cmp"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"strings"
	"time"

	"github.com/parley-voice/agents"
)

const defaultBaseURL = "https://api.openai.com/v1"

// sharedClient keeps connections for all models that were not given a client.
var sharedClient = &http.Client{Transport: &http.Transport{
	Proxy:               http.ProxyFromEnvironment,
	DialContext:         (&net.Dialer{Timeout: 15 * time.Second, KeepAlive: 15 * time.Second}).DialContext,
	TLSHandshakeTimeout: 10 * time.Second,
	MaxIdleConnsPerHost: 50,
	IdleConnTimeout:     2 * time.Minute,
	DisableCompression:  true, // it would hold events back
	ForceAttemptHTTP2:   true,
	HTTP2:               &http.HTTP2Config{SendPingTimeout: 15 * time.Second, PingTimeout: 5 * time.Second},
}}

// access is the part that the options of all models share, which says how to reach the service.
type access struct {
	APIKey, BaseURL, Provider, Organization, Project string
	HTTPClient                                       *http.Client
	Header                                           http.Header
	Query                                            url.Values
}

// A service is the API as one kind of model uses it: where it is, whose key opens it, and what its failures become.
type service struct {
	op       string // what is asked of it, such as "chat"
	options  string // the name of the options that have the key
	provider string
	base     *url.URL
	key      string
	secrets  []string // what no error may show
	access   access   // without the key
	client   *http.Client
}

func newService(op, options string, a access) (*service, error) {
	base := cmp.Or(a.BaseURL, strings.TrimSpace(os.Getenv("OPENAI_BASE_URL")), defaultBaseURL)
	u, err := url.Parse(base)
	if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
		return nil, errors.New("openai: BaseURL must be an http or https address such as " + defaultBaseURL)
	}
	key := strings.TrimSpace(cmp.Or(a.APIKey, os.Getenv("OPENAI_API_KEY")))
	if key == "" && u.Host == "api.openai.com" {
		return nil, errors.New("openai: no API key: set " + options + ".APIKey or the environment variable OPENAI_API_KEY")
	}
	if a.Provider == "" {
		a.Provider = "openai"
		if u.Host != "api.openai.com" {
			a.Provider = u.Hostname()
		}
	}
	s := &service{op: op, options: options, provider: a.Provider, base: u, key: key, client: cmp.Or(a.HTTPClient, sharedClient)}
	if key != "" {
		s.secrets = append(s.secrets, key)
	}
	for _, name := range []string{"Authorization", "Api-Key", "X-Api-Key"} {
		for _, v := range a.Header.Values(name) {
			if v = strings.TrimPrefix(v, "Bearer "); v != "" {
				s.secrets = append(s.secrets, v)
			}
		}
	}
	a.APIKey = ""
	s.access = a
	return s, nil
}

// endpoint returns the address of a part of the API.
func (s *service) endpoint(path string) string {
	u := s.base.JoinPath(path)
	u.RawQuery = s.query().Encode()
	return u.String()
}

// query returns what follows every address: what the base has, and what the options set.
func (s *service) query() url.Values {
	q := s.base.Query()
	for k, v := range s.access.Query {
		q[k] = v
	}
	return q
}

// authorise sets the headers that every request has.
func (s *service) authorise(h http.Header) {
	if s.key != "" {
		h.Set("Authorization", "Bearer "+s.key)
	}
	if s.access.Organization != "" {
		h.Set("OpenAI-Organization", s.access.Organization)
	}
	if s.access.Project != "" {
		h.Set("OpenAI-Project", s.access.Project)
	}
	for k, v := range s.access.Header {
		h[http.CanonicalHeaderKey(k)] = v
	}
}

// send sends a request and returns the response, which has the status 200.
func (s *service) send(req *http.Request) (*http.Response, error) {
	s.authorise(req.Header)
	resp, err := s.client.Do(req)
	if err != nil {
		return nil, s.transportError(req.Context(), nil, err)
	}
	if resp.StatusCode != http.StatusOK {
		defer resp.Body.Close()
		return nil, s.statusError(req.Context(), resp)
	}
	return resp, nil
}

// prewarm opens a connection by asking for the list of models.
func (s *service) prewarm(ctx context.Context) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, s.endpoint("models"), nil)
	if err != nil {
		return
	}
	s.authorise(req.Header)
	resp, err := s.client.Do(req)
	if err != nil {
		return
	}
	defer resp.Body.Close()
	_, _ = io.CopyN(io.Discard, resp.Body, 1<<20) // read to the end, the connection can be used again
}

// unsendable is what a request becomes that cannot be made.
func (s *service) unsendable(err error) error {
	return &agents.ProviderError{Provider: s.provider, Op: s.op, Message: "request cannot be sent", Err: s.redact(err)}
}
