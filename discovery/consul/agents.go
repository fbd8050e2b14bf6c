package consul

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"strings"
	"time"

	"github.com/hashicorp/consul/api"
)

const (
	unixPrefix = "unix://"
	// unixHost stands for the socket where HTTP wants a host. No target can name it: there is no port 0.
	unixHost = "localhost:0"

	tokenHeader = "X-Consul-Token" //nolint:gosec // It is where the token stands, not the token.
	// replaced is a token that is never sent. Without one, the client would take that of the environment.
	replaced = "replaced"

	longestAnswer = 64 << 20 // Bytes. Five hundred instances are one or two megabytes.
	longestReason = 200      // Bytes of an agent's error that are repeated.
)

// agents reaches agents: whose they are, with which token and TLS.
type agents struct {
	options   Options
	transport *http.Transport
}

func newAgents(o Options) (*agents, error) {
	o, err := o.complete()
	if err != nil {
		return nil, err
	}
	if o.TLS != nil {
		if _, err := o.TLS.load(); err != nil {
			return nil, err
		}
	}
	a := &agents{options: o}
	a.transport = &http.Transport{
		DialContext:         a.dial,
		DialTLSContext:      a.dialTLS,
		MaxIdleConnsPerHost: 1024, // As many as there are watches: each has one question at a time.
		IdleConnTimeout:     90 * time.Second,
	}
	return a, nil
}

func (a *agents) dial(ctx context.Context, network, address string) (net.Conn, error) {
	var d net.Dialer
	if address == unixHost {
		return d.DialContext(ctx, "unix", strings.TrimPrefix(a.options.Address, unixPrefix))
	}
	return d.DialContext(ctx, network, address)
}

// client returns a client for one agent, namespace and partition. The library takes what it does not find in its configuration
// from the environment: the token, the namespace, the partition, the rest for its own HTTP client. So it gets our HTTP client,
// and there the [tenant] puts right what is left.
func (a *agents) client(address, namespace, partition string) (*api.Client, error) {
	if strings.HasPrefix(address, unixPrefix) {
		address = unixHost
	}
	scheme := "http"
	if a.options.TLS != nil {
		scheme = "https"
	}
	return api.NewClient(&api.Config{
		Address: address,
		Scheme:  scheme,
		Token:   replaced,
		HttpClient: &http.Client{
			Transport: &tenant{next: a.transport, tokenFile: a.options.TokenFile, namespace: namespace, partition: partition},
			// An agent does not redirect. Whoever does would get the token.
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		},
	})
}

// tenant says in whose name a request is made, and bounds what comes back.
type tenant struct {
	next      http.RoundTripper
	tokenFile string
	namespace string
	partition string
}

func (t *tenant) RoundTrip(r *http.Request) (*http.Response, error) {
	token, err := t.token()
	if err != nil {
		if r.Body != nil {
			r.Body.Close()
		}
		return nil, err
	}
	out := r.Clone(r.Context())
	out.Header.Del(tokenHeader)
	if token != "" {
		out.Header.Set(tokenHeader, token)
	}
	query := out.URL.Query()
	replace(query, "ns", t.namespace)
	replace(query, "partition", t.partition)
	out.URL.RawQuery = query.Encode()
	response, err := t.next.RoundTrip(out)
	if err != nil {
		return nil, err
	}
	response.Body = &bounded{ReadCloser: response.Body, left: longestAnswer}
	return response, nil
}

func replace(query url.Values, key, value string) {
	query.Del(key)
	if value != "" {
		query.Set(key, value)
	}
}

// token reads the token as it is now. Asking without one where one should be might get an answer, but not the right one.
func (t *tenant) token() (string, error) {
	if t.tokenFile == "" {
		return "", nil
	}
	content, err := os.ReadFile(t.tokenFile)
	if err != nil {
		return "", fmt.Errorf("token file: %w", err)
	}
	token := strings.TrimSpace(string(content))
	switch {
	case token == "":
		return "", fmt.Errorf("token file %s is empty", t.tokenFile)
	case strings.ContainsFunc(token, func(r rune) bool { return r <= ' ' || r > '~' }):
		return "", fmt.Errorf("token file %s holds something else than one token", t.tokenFile)
	}
	return token, nil
}

// bounded is a body that ends with an error where it should have ended by itself.
type bounded struct {
	io.ReadCloser

	left int
}

func (b *bounded) Read(p []byte) (int, error) {
	if b.left <= 0 {
		return 0, fmt.Errorf("the answer is longer than %d MiB", longestAnswer>>20)
	}
	n, err := b.ReadCloser.Read(p[:min(len(p), b.left)])
	b.left -= n
	return n, err
}

// explain says what went wrong at an agent. need is what a token must be allowed to do.
func explain(err error, need string) error {
	status, ok := errors.AsType[api.StatusError](err)
	switch {
	case !ok:
		return withoutURL(err)
	case status.Code == http.StatusForbidden && strings.Contains(status.Body, "ACL not found"):
		// What the agent says of tokens is not repeated.
		return fmt.Errorf("it does not know the token (ACL not found, status 403); it needs %s", need)
	case status.Code == http.StatusForbidden:
		return fmt.Errorf("permission denied (status 403): the token needs %s", need)
	}
	reason := status.Body[:min(len(status.Body), longestReason)]
	return fmt.Errorf("it answered with status %d, %q", status.Code, reason)
}

// withoutURL drops the URL that net in its messages repeats.
func withoutURL(err error) error {
	if wrapped, ok := errors.AsType[*url.Error](err); ok {
		return wrapped.Err
	}
	return err
}
