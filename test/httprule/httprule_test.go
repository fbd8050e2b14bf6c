package httprule

import (
	"bufio"
	"context"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"testing/fstest"

	"go.uber.org/goleak"

	"github.com/cardea-gateway/cardea/gateway"
	configv1 "github.com/cardea-gateway/cardea/gen/go/cardea/config/v1"
	policyv1 "github.com/cardea-gateway/cardea/gen/go/cardea/policy/v1"
	httprulev1 "github.com/cardea-gateway/cardea/test/httprule/gen/httprule/v1"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// leastCases is how many there are at least: a suite that lost its cases would pass.
const leastCases = 300

func loadAll(t *testing.T) []*Case {
	t.Helper()
	cases, err := Load()
	if err != nil {
		t.Fatal(err)
	}
	if len(cases) < leastCases {
		t.Fatalf("there are %d cases", len(cases))
	}
	return cases
}

func newBackend(t *testing.T) *Backend {
	t.Helper()
	b, err := NewBackend()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(b.Close)
	return b
}

// TestCardea runs the suite against the binary, which knows the contract from its image alone.
func TestCardea(t *testing.T) {
	folder := t.TempDir()
	binary := filepath.Join(folder, "cardea")
	build := exec.CommandContext(t.Context(), "go", "build", "-o", binary, "./cmd/cardea")
	build.Dir = filepath.Join("..", "..")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v %s", err, out)
	}
	b := newBackend(t)
	p, err := StartCardea(context.WithoutCancel(t.Context()), binary, folder, b.Address())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.Stop)
	runAll(t, b, p.Address, nil)
}

// TestCardeaWithGeneratedHandlers runs it against a gateway of a team's own with the handlers that grpc-gateway generates.
// What those can't do stands in generated.txt.
func TestCardeaWithGeneratedHandlers(t *testing.T) {
	b := newBackend(t)
	cfg := &configv1.Config{
		Listeners: []*configv1.Listener{{Address: "127.0.0.1:0"}}, Admin: &configv1.Admin{Address: "127.0.0.1:0"},
		AccessLog: &configv1.AccessLog{Disabled: true},
		Backends:  []*configv1.Backend{{Name: "suite", Target: "static:///" + b.Address(), Services: Services}},
		Policies:  []*configv1.PolicyRule{{Selectors: Methods(), Policy: &policyv1.Policy{Auth: &policyv1.Auth{Public: true}}}},
	}
	ready := make(chan gateway.Addresses, 1)
	gw, err := gateway.New(cfg, gateway.WithOnReady(func(a gateway.Addresses) { ready <- a }),
		gateway.WithREST(Services[0], httprulev1.NewBindingsClient, httprulev1.RegisterBindingsHandlerClient),
		gateway.WithREST(Services[1], httprulev1.NewTemplatesClient, httprulev1.RegisterTemplatesHandlerClient))
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	done := make(chan error, 1)
	go func() { done <- gw.Serve(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	runAll(t, b, (<-ready).Listeners[0].String(), expected(t, "generated.txt"))
}

// expected reads the cases that are known to fail: a line each, topic and name, behind the reason as a comment.
func expected(t *testing.T, file string) map[string]bool {
	t.Helper()
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	known := map[string]bool{}
	for line := range strings.Lines(string(data)) {
		if line = strings.TrimSpace(line); line != "" && line[0] != '#' {
			known[line] = true
		}
	}
	return known
}

// runAll runs all cases. Those that are known to fail have to.
func runAll(t *testing.T, b *Backend, address string, known map[string]bool) {
	t.Helper()
	r := &Runner{Backend: b, Address: address}
	t.Cleanup(r.Close)
	for _, c := range loadAll(t) {
		id := c.Topic() + ": " + c.Name
		t.Run(id, func(t *testing.T) {
			problems := r.Run(t.Context(), c)
			switch {
			case known[id] && len(problems) == 0:
				t.Error("it is known to fail, and passes: take it off the list")
			case known[id]:
			case len(problems) > 0:
				t.Errorf("%s\n%s\n%s\nbecause of %s: %q", c.Request, c.Body, strings.Join(problems, "\n"), c.From(), c.Spec())
			}
		})
		delete(known, id)
	}
	for id := range known {
		t.Errorf("%s is known to fail, and there is no such case", id)
	}
}

// TestSentencesAreWhatTheDocumentsSay looks the sentences up, where the document is part of the repository.
func TestSentencesAreWhatTheDocumentsSay(t *testing.T) {
	documents := map[string]string{}
	checked := 0
	for _, c := range loadAll(t) {
		path := filepath.Join("..", "..", "proto", "third_party", c.From())
		document, ok := documents[path]
		if !ok {
			data, err := os.ReadFile(path)
			if err == nil {
				document = plain(string(data))
			}
			documents[path] = document
		}
		if document == "" {
			continue
		}
		checked++
		if !strings.Contains(document, plain(c.Spec())) {
			t.Errorf("%s does not say: %s", c.From(), c.Spec())
		}
	}
	if checked < 200 {
		t.Errorf("only %d sentences could be looked up", checked)
	}
}

// plain returns text without comment signs and line ends.
func plain(text string) string {
	return strings.Join(strings.Fields(strings.ReplaceAll(text, "//", " ")), " ")
}

func TestMalformedCasesAreRefused(t *testing.T) {
	const group = "topic: t\ngroups:\n- spec: s\n  from: f\n  cases:\n"
	for text, want := range map[string]string{
		"topic: t\n": "needs a topic and groups",
		"topic: t\ngroups: [{spec: s, from: f}]\n":                                                           "needs a sentence, its document, and cases",
		"topic: t\ngroups: [{from: f, cases: [{}]}]\n":                                                       "needs a sentence",
		group + "  - {name: a, request: GET /}\n":                                                            "needs a call, or the status of a refusal",
		group + "  - {name: a, request: /x, status: 400}\n":                                                  "needs a request",
		group + "  - {request: GET /x, status: 400}\n":                                                       "needs a name",
		group + "  - {name: a, request: GET /x, status: 400, got: {}}\n":                                     "not that it is called",
		group + "  - {name: a, request: GET /x, statsu: 400}\n":                                              "field statsu not found",
		group + "  - {name: a, request: GET /x, status: 400}\n  - {name: a, request: GET /y, status: 400}\n": "two cases",
	} {
		_, err := load(fstest.MapFS{"cases/x.yaml": &fstest.MapFile{Data: []byte(text)}})
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", text, err)
		}
	}
}

// TestEachDifferenceIsSeen runs the cases against a server that answers 418, and calls nobody.
func TestEachDifferenceIsSeen(t *testing.T) {
	b := newBackend(t)
	r := &Runner{Backend: b, Address: startTeapot(t)}
	t.Cleanup(r.Close)
	for _, c := range loadAll(t) {
		if problems := r.Run(t.Context(), c); len(problems) == 0 {
			t.Errorf("%s: %s passes whatever comes", c.Topic(), c.Name)
		}
	}
}

// startTeapot runs a server that does not even look at its requests: one that does would refuse some of them.
func startTeapot(t *testing.T) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			_, _ = bufio.NewReader(conn).ReadString('\n')
			_, _ = io.WriteString(conn, "HTTP/1.1 418 I'm a teapot\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
			_ = conn.Close()
		}
	}()
	t.Cleanup(func() {
		_ = listener.Close()
		<-done
	})
	return listener.Addr().String()
}

// TestAnswersAreCompared looks at single differences between what a case wants and what came.
func TestAnswersAreCompared(t *testing.T) {
	text := "x"
	for name, tt := range map[string]struct {
		c    Case
		body string
		want string
	}{
		"status":                   {Case{Status: 404}, "", "the status is 200, want 404"},
		"header":                   {Case{WantHeader: map[string]string{"X-A": "b"}}, "", "the header X-A"},
		"JSON":                     {Case{Want: map[string]any{"a": 1}}, `{"a":2}`, "the body is"},
		"more JSON":                {Case{Want: map[string]any{}}, `{}{}`, "the body is"},
		"null":                     {Case{Want: "null"}, `{}`, "the body is"},
		"text":                     {Case{Text: &text}, "y", "the body is"},
		"a default that is wanted": {Case{Want: map[string]any{"a": 0}}, `{}`, "the body is"},
		"what nobody wants":        {Case{Want: map[string]any{}}, `{"a":1}`, "the body is"},
		"a message too few":        {Case{Messages: []any{1.0, 2.0}}, "1\n", "the messages are"},
		"a message too many":       {Case{Messages: []any{1.0}}, "[1,2]", "the messages are"},
		"another message":          {Case{Messages: []any{1.0}}, `{"result":2}`, "the messages are"},
		"a failure not seen":       {Case{Messages: []any{1.0}, Broken: true}, "1", "looks broken: false"},
		"a failure that is none":   {Case{Messages: []any{1.0}}, `[1,{"@status":{"code":3}}]`, "looks broken: true"},
		"a stream cut off":         {Case{Messages: []any{1.0}}, "[1", "looks broken: true"},
		"an error in a stream":     {Case{Messages: []any{}}, `{"error":{"code":3}}`, "looks broken: true"},
	} {
		got := tt.c.checkAnswer(&received{Response: &http.Response{StatusCode: 200, Header: http.Header{}}, body: []byte(tt.body)})
		if len(got) != 1 || !strings.Contains(got[0], tt.want) {
			t.Errorf("%s: %q", name, got)
		}
	}
}
