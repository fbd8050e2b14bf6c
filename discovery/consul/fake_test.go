package consul_test

import (
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/cardea-gateway/cardea/discovery"
	"github.com/cardea-gateway/cardea/discovery/consul"
)

const one = `[{"Node":{"Node":"n","Address":"10.0.0.1"},"Service":{"ID":"a","Service":"s","Port":1,"Weights":{"Passing":1,"Warning":1}},"Checks":[]}]`

// reply is one answer of a fake agent. Zero is what a healthy one says, at index 0.
type reply struct {
	status   int
	index    string
	contact  string // Milliseconds.
	leader   string
	filtered bool
	body     string
	cut      bool // The connection ends in the middle of the body.
}

func (r reply) write(w http.ResponseWriter) {
	set := func(key, value, otherwise string) {
		if value == "" {
			value = otherwise
		}
		if value != "-" {
			w.Header().Set(key, value)
		}
	}
	set("X-Consul-Index", r.index, "0")
	set("X-Consul-LastContact", r.contact, "0")
	set("X-Consul-KnownLeader", r.leader, "true")
	if r.filtered {
		w.Header().Set("X-Consul-Results-Filtered-By-ACLs", "true")
	}
	if r.body == "" {
		r.body = one
	}
	if r.status == 0 {
		r.status = http.StatusOK
	}
	if r.status == http.StatusTemporaryRedirect {
		w.Header().Set("Location", "/elsewhere")
	}
	if r.cut {
		w.Header().Set("Content-Length", "100000")
	}
	w.WriteHeader(r.status)
	_, _ = w.Write([]byte(r.body))
	if r.cut {
		w.(http.Flusher).Flush()
		panic(http.ErrAbortHandler)
	}
}

// fake is an agent that says what a real one can't be made to say. It notes what it was asked.
type fake struct {
	mu      sync.Mutex
	replies []reply
	asked   []*http.Request
}

func (f *fake) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	f.mu.Lock()
	f.asked = append(f.asked, r)
	now := reply{status: http.StatusTeapot}
	if len(f.replies) > 0 {
		now, f.replies = f.replies[0], f.replies[1:]
	}
	f.mu.Unlock()
	now.write(w)
}

// questions says of each query at which index it waits, and whether any server may answer it.
func (f *fake) questions() []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	var all []string
	for _, r := range f.asked {
		q := "leader"
		if r.URL.Query().Has("stale") {
			q = "any"
		}
		all = append(all, strings.TrimSpace(q+" "+r.URL.Query().Get("index")))
	}
	return all
}

func faked(t *testing.T, o consul.Options, replies ...reply) (*fake, discovery.Watch) {
	t.Helper()
	f := &fake{replies: replies}
	srv := httptest.NewServer(f)
	t.Cleanup(srv.Close)
	o.Address = srv.Listener.Addr().String()
	return f, open(t, source(t, o), "consul:///s")
}

func TestQuestions(t *testing.T) {
	old := reply{index: "5", contact: "3600000"}
	leaderless := reply{index: "5", leader: "false"}
	down := reply{status: http.StatusInternalServerError, body: "No cluster leader"}
	const fails = "!"
	for name, test := range map[string]struct {
		replies []reply
		answers []string // What an answer's error contains; "" is a set, and fails an error of any kind.
		asked   []string
	}{
		"the index of the last answer is waited for": {
			[]reply{{index: "5"}, {index: "5"}, {index: "7"}, {index: "7"}},
			[]string{"", "", "", ""},
			[]string{"any", "any 5", "any 5", "any 7"},
		},
		"an index that goes backwards starts anew": {
			[]reply{{index: "5"}, {index: "3"}, {index: "3"}, {index: "4"}},
			[]string{"", "", "", ""},
			[]string{"any", "any 5", "any", "any 3"},
		},
		"index 0 is an error": {
			[]reply{{index: "5"}, {index: "0"}, {index: "6"}, {index: "6"}},
			[]string{"", "has no index", "", ""},
			[]string{"any", "any 5", "any", "any 6"},
		},
		"no index is an error": {
			[]reply{{index: "-"}, {index: "6"}}, []string{"has no index", ""}, []string{"any", "any"},
		},
		"an index that is no number is an error": {
			[]reply{{index: "x"}, {index: "-5"}}, []string{"has no index", "has no index"}, []string{"any", "any"},
		},
		"an error starts anew": {
			[]reply{{index: "5"}, {status: 500, body: "oh"}, {index: "5"}},
			[]string{"", `it answered with status 500, "oh"`, ""},
			[]string{"any", "any 5", "any"},
		},
		"a redirect is an error": {
			[]reply{{status: 307}, {index: "5"}}, []string{"it answered with status 307", ""}, []string{"any", "any"},
		},
		"a body that is cut is an error": {
			[]reply{{index: "5"}, {index: "6", body: one[:60], cut: true}, {index: "6"}},
			[]string{"", "unexpected EOF", ""},
			[]string{"any", "any 5", "any"},
		},
		"a body that is no JSON is an error": {
			[]reply{{index: "5", body: "<html>"}}, []string{"invalid character"}, []string{"any"},
		},
		"an instance without a service is an error": {
			[]reply{{index: "5", body: `[{"Node":{}}]`}, {index: "5", body: "[null]"}},
			[]string{"without a node or a service", "without a node or a service"},
			[]string{"any", "any"},
		},
		"an empty answer is a set": {
			[]reply{{index: "5", body: "[]"}, {index: "6"}}, []string{"", ""}, []string{"any", "any 5"},
		},
		"an empty answer that was filtered is an error": {
			[]reply{{index: "5", body: "[]", filtered: true}, {index: "5"}},
			[]string{`the token needs service:read for "s"`, ""},
			[]string{"any", "any"},
		},
		"an answer that was filtered in part is a set": {
			[]reply{{index: "5", filtered: true}}, []string{""}, []string{"any"},
		},
		"a stale answer is confirmed": {
			[]reply{old, {index: "9"}, {index: "9"}}, []string{"", ""}, []string{"any", "leader", "any 9"},
		},
		"a leaderless answer is confirmed": {
			[]reply{leaderless, {index: "9"}, {index: "9"}}, []string{"", ""}, []string{"any", "leader", "any 9"},
		},
		"a missing header is a missing leader": {
			[]reply{{index: "5", leader: "-"}, {index: "9"}, {index: "5", contact: "-"}, {index: "9"}},
			[]string{"", ""},
			[]string{"any", "leader", "any 9", "leader"},
		},
		"a stale answer is better than none, once": {
			[]reply{old, down, old, down},
			[]string{"", "has not heard of its leader for 1h0m0s, and the leader can't be asked: it answered with status 500"},
			[]string{"any", "leader", "any", "leader"},
		},
		"a leaderless answer is no better than what is known": {
			[]reply{{index: "5"}, leaderless, down, {index: "6"}},
			[]string{"", `no leader is known to the server that answered`, ""},
			[]string{"any", "any 5", "leader", "any"},
		},
		"a stale empty answer says nothing": {
			[]reply{{index: "5", leader: "false", body: "[]"}, down}, []string{"no leader is known"}, []string{"any", "leader"},
		},
		"after an empty set, a stale answer is better than none": {
			[]reply{{index: "5", body: "[]"}, old, down}, []string{"", ""}, []string{"any", "any 5", "leader"},
		},
		"denied": {
			[]reply{{status: 403, body: "Permission denied: s3cret"}},
			[]string{`permission denied (status 403): the token needs service:read for "s" and node:read`},
			[]string{"any"},
		},
		"a long reason is cut": {
			[]reply{{status: 500, body: strings.Repeat("x", 1<<20)}}, []string{`xxx"`}, []string{"any"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			f, w := faked(t, consul.Options{Wait: time.Second}, test.replies...)
			for i, want := range test.answers {
				set, err := w.Next(t.Context())
				got := ""
				if err != nil {
					got = fails + err.Error()
				}
				if (want == "") != (got == "") || !strings.Contains(got, want) || len(got) > 500 || strings.Contains(got, "s3cret") {
					t.Errorf("answer %d: got %v and error %q, want one with %q", i+1, set, got, want)
				}
			}
			if diff := cmp.Diff(test.asked, f.questions()); diff != "" {
				t.Errorf("asked: -want +got\n%s", diff)
			}
		})
	}
}

func TestAge(t *testing.T) {
	for name, test := range map[string]struct {
		replies []reply
		age     time.Duration
	}{
		"fresh":     {[]reply{{index: "5"}}, 0},
		"a second":  {[]reply{{index: "5", contact: "1000"}}, time.Second},
		"the best":  {[]reply{{index: "5", contact: "3600000"}, {status: 500}}, time.Hour},
		"confirmed": {[]reply{{index: "5", contact: "3600000"}, {index: "5"}}, 0},
	} {
		t.Run(name, func(t *testing.T) {
			_, w := faked(t, consul.Options{}, test.replies...)
			before := time.Now()
			set := next(t, w)
			if least := before.Add(-test.age); set.AsOf.Before(least) || set.AsOf.After(least.Add(5*time.Second)) {
				t.Errorf("as of %v, want %v or little later", set.AsOf, least)
			}
		})
	}
}

// TestWhatIsAsked expects what the target says, and nothing of the environment.
func TestWhatIsAsked(t *testing.T) {
	for key, value := range map[string]string{
		"CONSUL_HTTP_ADDR": "127.0.0.1:1", "CONSUL_HTTP_TOKEN": "s3cret", "CONSUL_HTTP_TOKEN_FILE": "/nowhere/token", "CONSUL_HTTP_AUTH": "u:s3cret",
		"CONSUL_HTTP_SSL": "true", "CONSUL_CACERT": "/nowhere", "CONSUL_CAPATH": "/nowhere", "CONSUL_CLIENT_CERT": "/nowhere", "CONSUL_CLIENT_KEY": "/nowhere",
		"CONSUL_TLS_SERVER_NAME": "other", "CONSUL_HTTP_SSL_VERIFY": "false", "CONSUL_NAMESPACE": "s3cret", "CONSUL_PARTITION": "s3cret",
	} {
		t.Setenv(key, value)
	}
	f := &fake{replies: []reply{{index: "5"}, {index: "5"}, {index: "5"}}}
	srv := httptest.NewServer(f)
	defer srv.Close()
	s := source(t, consul.Options{Address: srv.Listener.Addr().String(), Wait: 1500 * time.Millisecond})
	plain := open(t, s, "consul:///my%20orders")
	next(t, plain)
	next(t, plain)
	next(t, open(t, s, "consul:///o?tag=v1&tag=eu&dc=dc2&near=n&ns=team&partition=edge&healthy=warning"))
	var got []string
	for _, r := range f.asked {
		got = append(got, r.RequestURI)
		if r.Header.Get("X-Consul-Token") != "" || r.Header.Get("Authorization") != "" {
			t.Errorf("it sends %v", r.Header)
		}
	}
	want := []string{
		"/v1/health/service/my%20orders?near=_agent&stale=&wait=1500ms",
		"/v1/health/service/my%20orders?index=5&near=_agent&stale=&wait=1500ms",
		"/v1/health/service/o?dc=dc2&near=n&ns=team&partition=edge&stale=&tag=v1&tag=eu&wait=1500ms",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("-want +got\n%s", diff)
	}
}

func TestTokenFile(t *testing.T) {
	file := filepath.Join(t.TempDir(), "token")
	f, w := faked(t, consul.Options{TokenFile: file}, reply{index: "5"}, reply{index: "5"}, reply{index: "5"})
	for _, step := range []struct{ content, want, wrong string }{
		{"", "", "is empty"},
		{"\n", "", "is empty"},
		{"s3cret-1\n", "s3cret-1", ""},
		{"  s3cret-2 \r\n", "s3cret-2", ""},
		{"s3cret a", "", "holds something else than one token"},
		{"s3cret\x00", "", "holds something else than one token"},
		{"s3cret-3", "s3cret-3", ""},
	} {
		must(t, os.WriteFile(file, []byte(step.content), 0o600))
		if step.wrong != "" {
			got := refused(t, w)
			if !strings.Contains(got, "token file "+file+" "+step.wrong) || strings.Contains(got, "s3cret") {
				t.Errorf("%q: %s", step.content, got)
			}
			continue
		}
		next(t, w)
		if got := f.asked[len(f.asked)-1].Header.Get("X-Consul-Token"); got != step.want {
			t.Errorf("%q: it sends %q", step.content, got)
		}
	}
	must(t, os.Remove(file))
	if got := refused(t, w); !strings.Contains(got, "token file: open") {
		t.Error(got)
	}
}

func TestEndlessAnswerIsAnError(t *testing.T) {
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("X-Consul-Index", "5")
		piece := []byte(strings.Repeat(" ", 1<<20))
		for {
			if _, err := w.Write(piece); err != nil {
				return
			}
		}
	}))
	defer srv.Close()
	w := open(t, source(t, consul.Options{Address: srv.Listener.Addr().String()}), "consul:///s")
	got := refused(t, w) // A slow machine comes to the end of its patience first.
	if !strings.Contains(got, "longer than 64 MiB") && !strings.Contains(got, "no answer within 5s") {
		t.Error(got)
	}
}

func TestSocket(t *testing.T) {
	path := filepath.Join(t.TempDir(), "s")
	lis, err := net.Listen("unix", path)
	must(t, err)
	srv := &httptest.Server{Listener: lis, Config: &http.Server{Handler: &fake{replies: []reply{{index: "5"}}}}}
	srv.Start()
	defer srv.Close()
	w := open(t, source(t, consul.Options{Address: "unix://" + path}), "consul:///s")
	if set := next(t, w); len(set.Instances) != 1 {
		t.Errorf("got %v", set)
	}
}

func TestWorstCheckIsNamed(t *testing.T) {
	check := func(id, status string) string {
		return `{"CheckID":"` + id + `","Status":"` + status + `","Output":"s3cret"}`
	}
	for want, checks := range map[string][]string{
		"":                              {check("a", "passing"), check("b", "passing"), "null"},
		"check b is warning":            {check("a", "passing"), check("b", "warning"), check("c", "warning")},
		"check a is critical":           {check("b", "critical"), check("a", "critical"), check("0", "warning")},
		"check serfHealth is critical":  {check("a", "passing"), check("serfHealth", "critical")},
		"check a is odd":                {check("a", "odd"), check("b", "warning")},
		"the node is in maintenance":    {check("a", "critical"), check("_node_maintenance", "critical")},
		"the service is in maintenance": {check("_service_maintenance:a", "critical"), check("b", "passing")},
	} {
		body := strings.Replace(one, `"Checks":[]`, `"Checks":[`+strings.Join(checks, ",")+`]`, 1)
		_, w := faked(t, consul.Options{}, reply{index: "5", body: body})
		if got := next(t, w).Instances[0].Unhealthy; got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}
