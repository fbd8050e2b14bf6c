package httprule

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"reflect"
	"strconv"
	"strings"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/testing/protocmp"
)

// patience bounds a request.
const patience = 10 * time.Second

// Runner runs cases against a transcoder at an address.
type Runner struct {
	Backend *Backend
	// Address of the transcoder.
	Address string

	transport http.Transport
}

// Close gives up connections.
func (r *Runner) Close() { r.transport.CloseIdleConnections() }

// Run runs a case, and returns what is wrong with what became of it.
func (r *Runner) Run(ctx context.Context, c *Case) []string {
	r.Backend.expect(c)
	a, err := r.send(ctx, c)
	if err != nil {
		return []string{"the request failed: " + err.Error()}
	}
	problems := r.checkCall(c)
	return append(problems, c.checkAnswer(a)...)
}

// received is an HTTP answer.
type received struct {
	*http.Response
	body []byte
	cut  error // Why the body ended before its end.
}

func (r *Runner) send(ctx context.Context, c *Case) (*received, error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	method, path, _ := strings.Cut(c.Request, " ")
	request, err := http.NewRequestWithContext(ctx, method, "http://"+r.Address, strings.NewReader(c.body()))
	if err != nil {
		return nil, err
	}
	before, query, _ := strings.Cut(path, "?")
	request.URL = &url.URL{ // As it is written.
		Scheme: "http", Host: r.Address, Opaque: "//" + r.Address + before, RawQuery: query, ForceQuery: strings.HasSuffix(path, "?"),
	}
	if c.Body != "" {
		request.Header.Set("Content-Type", "application/json")
	}
	for name, value := range c.Header {
		request.Header.Set(name, value)
	}
	r.transport.DisableCompression, r.transport.DisableKeepAlives = true, true // What one case leaves behind is not the next one's fault.
	response, err := r.transport.RoundTrip(request)
	if err != nil {
		return nil, err
	}
	defer response.Body.Close()
	body, cut := io.ReadAll(response.Body)
	return &received{response, body, cut}, nil
}

// body returns the body of the request; in quotes it has escapes.
func (c *Case) body() string {
	if unquoted, err := strconv.Unquote(c.Body); err == nil && strings.Contains(c.Body, `\x`) {
		return unquoted
	}
	return c.Body
}

// checkCall looks at what the backend got.
func (r *Runner) checkCall(c *Case) []string {
	calls := r.Backend.got()
	if c.Call == "" {
		if len(calls) > 0 {
			return []string{fmt.Sprintf("the backend was called: %s %v", calls[0].method, calls[0].requests)}
		}
		return nil
	}
	if len(calls) != 1 {
		return []string{fmt.Sprintf("the backend was called %d times", len(calls))}
	}
	if want := contract + c.Call; calls[0].method != want {
		return []string{fmt.Sprintf("%s was called, want %s", calls[0].method, want)}
	}
	if c.Got == nil {
		return nil
	}
	return c.checkRequests(calls[0].requests)
}

func (c *Case) checkRequests(got []proto.Message) []string {
	service, method, _ := strings.Cut(c.Call, ".")
	md := methodOf("/" + contract + service + "/" + method)
	list, ok := c.Got.([]any)
	if !ok {
		list = []any{c.Got}
	}
	var want []proto.Message
	for _, each := range list {
		m, err := messageOf(md.Input(), each)
		if err != nil {
			return []string{"the case is wrong: " + err.Error()}
		}
		want = append(want, m)
	}
	if diff := cmp.Diff(want, got, protocmp.Transform(), cmpopts.EquateNaNs()); diff != "" {
		return []string{"the backend got something else (-want +got):\n" + diff}
	}
	return nil
}

// checkAnswer looks at what the client got.
func (c *Case) checkAnswer(a *received) []string {
	var problems []string
	want := max(c.Status, http.StatusOK)
	if a.StatusCode != want {
		problems = append(problems, fmt.Sprintf("the status is %d, want %d: %s", a.StatusCode, want, a.body))
	}
	for name, value := range c.WantHeader {
		if got := a.Header.Get(name); got != value {
			problems = append(problems, fmt.Sprintf("the header %s is %q, want %q", name, got, value))
		}
	}
	if c.Want != nil {
		problems = append(problems, c.checkJSON(a.body)...)
	}
	if c.Text != nil && string(a.body) != *c.Text {
		problems = append(problems, fmt.Sprintf("the body is %q, want %q", a.body, *c.Text))
	}
	if c.Messages != nil || c.Broken {
		problems = append(problems, c.checkStream(a)...)
	}
	return problems
}

// checkJSON compares JSON by its meaning.
func (c *Case) checkJSON(body []byte) []string {
	want, err := text(c.Want)
	if err != nil {
		return []string{"the case is wrong: " + err.Error()}
	}
	if c.Want == "null" {
		want = "null"
	}
	got, wanted, err := values(body, []byte(want))
	if err != nil || !same(wanted, got) {
		return []string{fmt.Sprintf("the body is %s, want %s", body, want)}
	}
	return nil
}

func values(a, b []byte) (x, y any, err error) {
	if x, err = value(a); err == nil {
		y, err = value(b)
	}
	return x, y, err
}

// same compares JSON. What has the default value may be left out, or not: transcoders have options for that.
func same(want, got any) bool {
	switch want := want.(type) {
	case map[string]any:
		object, ok := got.(map[string]any)
		for name, v := range object {
			if wanted, named := want[name]; ok && (named && !same(wanted, v) || !named && !isDefault(v)) {
				return false
			}
		}
		for name := range want {
			if _, named := object[name]; !named {
				return false
			}
		}
		return ok
	case []any:
		list, ok := got.([]any)
		if !ok || len(list) != len(want) {
			return false
		}
		for i := range want {
			if !same(want[i], list[i]) {
				return false
			}
		}
		return true
	default:
		return reflect.DeepEqual(want, got)
	}
}

// isDefault tells whether a value is one that a field has when it is not set.
func isDefault(v any) bool {
	switch v := v.(type) {
	case string:
		return v == "" || v == "0" || v == "COLOR_UNSPECIFIED"
	case []any:
		return len(v) == 0
	case map[string]any:
		return len(v) == 0
	case bool:
		return !v
	default:
		return v == nil || v == 0.0
	}
}

// value reads JSON, of which there must be no more than one.
func value(data []byte) (v any, err error) {
	decoder := json.NewDecoder(bytes.NewReader(data))
	if err := decoder.Decode(&v); err != nil {
		return nil, err
	}
	if _, err := decoder.Token(); !errors.Is(err, io.EOF) {
		return nil, fmt.Errorf("more than one value in %q", data)
	}
	return v, nil
}
