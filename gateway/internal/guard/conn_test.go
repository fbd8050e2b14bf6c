package guard

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"
	"golang.org/x/net/http2"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// guarded is a net.Listener whose connections are guarded.
type guarded struct {
	net.Listener
	options Options
}

func (g guarded) Accept() (net.Conn, error) {
	c, err := g.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return Wrap(c, g.options), nil
}

// site is a server behind the guard.
type site struct {
	address    string
	calls      atomic.Int64
	broken     atomic.Int64 // Calls whose body did not end well.
	violations atomic.Int64
}

// serve starts a server whose handler reads the body and answers with its length.
func serve(t *testing.T, handlers ...http.HandlerFunc) *site {
	t.Helper()
	s := new(site)
	handler := func(w http.ResponseWriter, r *http.Request) {
		n, err := io.Copy(io.Discard, r.Body)
		if err != nil {
			s.broken.Add(1)
			if _, ok := errors.AsType[*Violation](err); !ok && !strings.Contains(err.Error(), "trailer") { // net/http has errors of its own there.
				t.Errorf("reading a body failed by %v", err)
			}
			http.Error(w, "broken", http.StatusBadRequest)
			return
		}
		fmt.Fprintf(w, "%s %s %d", r.Method, r.RequestURI, n)
	}
	if len(handlers) > 0 {
		handler = handlers[0]
	}
	lis, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	server := &http.Server{
		Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			s.calls.Add(1)
			handler(w, r)
		}),
		ReadHeaderTimeout: 10 * time.Second, MaxHeaderBytes: 8192, Protocols: new(http.Protocols),
		ErrorLog: slog.NewLogLogger(slog.DiscardHandler, slog.LevelDebug),
	}
	server.Protocols.SetHTTP1(true)
	server.Protocols.SetUnencryptedHTTP2(true)
	s.address = lis.Addr().String()
	options := Options{MaxHeaderBytes: 8192, MaxHeaders: 20, HTTP2: true, OnViolation: func(*Violation) { s.violations.Add(1) }}
	var running sync.WaitGroup
	running.Go(func() { _ = server.Serve(guarded{lis, options}) })
	t.Cleanup(func() {
		server.Close()
		running.Wait()
	})
	return s
}

func dial(t *testing.T, s *site) (net.Conn, *bufio.Reader) {
	t.Helper()
	c, err := net.Dial("tcp", s.address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	_ = c.SetDeadline(time.Now().Add(10 * time.Second))
	return c, bufio.NewReader(c)
}

// answer reads one response.
func answer(t *testing.T, r *bufio.Reader, method string) (*http.Response, string) {
	t.Helper()
	res, err := http.ReadResponse(r, &http.Request{Method: method})
	if err != nil {
		t.Fatal(err)
	}
	body, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return res, string(body)
}

func wantClosed(t *testing.T, r io.Reader) {
	t.Helper()
	if rest, err := io.ReadAll(r); err != nil || len(rest) > 0 {
		t.Errorf("the connection does not just end: %q %v", rest, err)
	}
}

// wantRefusal reads an answer of the guard and the end of the connection.
func wantRefusal(t *testing.T, r *bufio.Reader, status int) {
	t.Helper()
	res, body := answer(t, r, "GET")
	if res.StatusCode != status || !res.Close {
		t.Errorf("%s, close: %v", res.Status, res.Close)
	}
	if res.Header.Get("Content-Type") != "application/json" || res.Header.Get("Cardea-Origin") != "gateway" {
		t.Errorf("headers %v", res.Header)
	}
	var got struct {
		Code    int
		Message string
		Details []map[string]string
	}
	code, reasons := 3, []string{"MALFORMED_HTTP"}
	if status == http.StatusRequestHeaderFieldsTooLarge {
		code, reasons = 8, []string{"HEADERS_TOO_LARGE", "TOO_MANY_HEADERS"}
	}
	if err := json.Unmarshal([]byte(body), &got); err != nil || got.Code != code || got.Message == "" || len(got.Details) != 1 {
		t.Fatalf("%s: %v", body, err)
	}
	if reason := got.Details[0]["reason"]; !slices.Contains(reasons, reason) {
		t.Errorf("reason %s", reason)
	}
	want := []map[string]string{{
		"@type": "type.googleapis.com/google.rpc.ErrorInfo", "reason": got.Details[0]["reason"], "domain": "cardea",
	}}
	if diff := cmp.Diff(want, got.Details); diff != "" {
		t.Errorf("details: -want +got\n%s", diff)
	}
	wantClosed(t, r)
}

// TestAttackReachesNoHandler sends each attack, as a whole and with what follows it: another request that must never be.
func TestAttackReachesNoHandler(t *testing.T) {
	for name, tc := range attacks {
		if strings.Contains(name, "cut") || strings.Contains(name, "chunk") || strings.Contains(name, "trailer") || name == "second request" || name == "empty line between" {
			continue // Below.
		}
		t.Run(name, func(t *testing.T) {
			s := serve(t)
			c, r := dial(t, s)
			fmt.Fprint(c, tc.stream+crlf("GET /smuggled HTTP/1.1", "Host: a"))
			wantRefusal(t, r, tc.want.Status)
			if s.calls.Load() != 0 || s.violations.Load() != 1 {
				t.Errorf("%d calls, %d violations", s.calls.Load(), s.violations.Load())
			}
		})
	}
}

// TestAttackBehindARequest lets the legitimate request be, and nothing else.
func TestAttackBehindARequest(t *testing.T) {
	for name, tc := range attacks {
		if strings.Contains(name, "chunk") || strings.Contains(name, "trailer") || strings.Contains(name, "preface") {
			continue
		}
		stream := strings.TrimPrefix(tc.stream, crlf("GET / HTTP/1.1", "Host: a"))
		t.Run(name, func(t *testing.T) {
			s := serve(t)
			c, r := dial(t, s)
			fmt.Fprint(c, crlf("GET /first HTTP/1.1", "Host: a")+stream+crlf("GET /smuggled HTTP/1.1", "Host: a"))
			if res, body := answer(t, r, "GET"); res.StatusCode != 200 || body != "GET /first 0" {
				t.Errorf("first: %s %s", res.Status, body)
			}
			wantRefusal(t, r, tc.want.Status)
			if s.calls.Load() != 1 {
				t.Errorf("%d calls", s.calls.Load())
			}
		})
	}
}

// TestAttackInABody is noticed when the request is under way: its body fails, and nothing follows it.
func TestAttackInABody(t *testing.T) {
	for name, tc := range attacks {
		if !strings.Contains(name, "chunk ") && !strings.Contains(name, "last chunk") && !strings.Contains(name, "trailer") {
			continue
		}
		t.Run(name, func(t *testing.T) {
			s := serve(t)
			c, r := dial(t, s)
			fmt.Fprint(c, tc.stream+crlf("GET /smuggled HTTP/1.1", "Host: a"))
			if res, body := answer(t, r, "POST"); res.StatusCode != 400 || body != "broken\n" || !res.Close {
				t.Errorf("%s %s, close: %v", res.Status, body, res.Close)
			}
			wantClosed(t, r)
			if s.calls.Load() != 1 || s.broken.Load() != 1 {
				t.Errorf("%d calls, %d broken", s.calls.Load(), s.broken.Load())
			}
		})
	}
}

func TestPrefaceThatIsCutIsNoRequest(t *testing.T) {
	for name, pieces := range map[string][]string{
		"at once":   {"PRI * HTTP/2.0\r\n\r\nGET / HTTP/1.1\r\n"},
		"in pieces": {"PRI * HTTP/2.0", "\r\n\r\n", "GET / HTTP/1.1\r\n"},
		"ended":     {"PRI * HTTP/2.0\r\n\r\n", ""},
	} {
		t.Run(name, func(t *testing.T) {
			s := serve(t)
			c, r := dial(t, s)
			for _, piece := range pieces {
				if _, err := io.WriteString(c, piece); err != nil {
					t.Fatal(err)
				}
			}
			if pieces[len(pieces)-1] == "" {
				_ = c.(*net.TCPConn).CloseWrite()
			}
			wantRefusal(t, r, http.StatusHTTPVersionNotSupported)
			if s.calls.Load() != 0 {
				t.Errorf("%d calls", s.calls.Load())
			}
		})
	}
}

// TestGarbageWhileAHandlerRuns sends what is malformed while net/http reads ahead: the call goes on.
func TestGarbageWhileAHandlerRuns(t *testing.T) {
	for name, garbage := range map[string]string{"first byte": "\n\n", "NUL": "\x00", "a head": crlf("GET / HTTP/1.1", "X : y")} {
		t.Run(name, func(t *testing.T) {
			begun, goOn := make(chan struct{}), make(chan struct{})
			s := serve(t, func(w http.ResponseWriter, r *http.Request) {
				close(begun)
				<-goOn
				if err := r.Context().Err(); err != nil {
					t.Error("the call was canceled")
				}
				fmt.Fprint(w, "well")
			})
			c, r := dial(t, s)
			fmt.Fprint(c, crlf("GET / HTTP/1.1", "Host: a"))
			<-begun
			fmt.Fprint(c, garbage)
			for deadline := time.Now().Add(10 * time.Second); s.violations.Load() == 0 && len(garbage) < 4; {
				if time.Now().After(deadline) {
					t.Fatal("nobody reads ahead")
				}
			}
			close(goOn)
			if _, body := answer(t, r, "GET"); body != "well" {
				t.Errorf("%s", body)
			}
			wantRefusal(t, r, http.StatusBadRequest)
		})
	}
}

func TestClientThatLeavesIsNoticed(t *testing.T) {
	begun, left := make(chan struct{}), make(chan struct{})
	s := serve(t, func(_ http.ResponseWriter, r *http.Request) {
		close(begun)
		<-r.Context().Done()
		close(left)
	})
	c, _ := dial(t, s)
	fmt.Fprint(c, crlf("GET / HTTP/1.1", "Host: a"))
	<-begun
	c.Close()
	<-left
}

// TestRefusalsOfNetHTTPHaveTheSameForm sends what the guard leaves to net/http, alone and behind other requests.
func TestRefusalsOfNetHTTPHaveTheSameForm(t *testing.T) {
	for name, request := range map[string]string{
		"target":  crlf("GET no-slash HTTP/1.1", "Host: a"),
		"escape":  crlf("GET http://[ HTTP/1.1", "Host: a"),
		"host":    crlf("GET / HTTP/1.1", "Host: a/b"),
		"trailer": crlf("POST / HTTP/1.1", "Host: a", "Trailer: Content-Length", "Transfer-Encoding: chunked"),
	} {
		for before := range 3 {
			t.Run(fmt.Sprint(name, before), func(t *testing.T) {
				s := serve(t)
				c, r := dial(t, s)
				fmt.Fprint(c, strings.Repeat(crlf("GET /first HTTP/1.1", "Host: a"), before)+request)
				for range before {
					answer(t, r, "GET")
				}
				wantRefusal(t, r, http.StatusBadRequest)
				if int(s.calls.Load()) != before {
					t.Errorf("%d calls", s.calls.Load())
				}
			})
		}
	}
}

// TestContentIsNotTakenForARefusal answers with the very words of net/http.
func TestContentIsNotTakenForARefusal(t *testing.T) {
	const words = "HTTP/1.1 400 Bad Request\r\nContent-Type: text/plain; charset=utf-8\r\nConnection: close\r\n\r\n400 Bad Request"
	s := serve(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Length", strconv.Itoa(len(words)))
		_ = http.NewResponseController(w).Flush()
		fmt.Fprint(w, words)
	})
	c, r := dial(t, s)
	for range 2 {
		fmt.Fprint(c, crlf("GET / HTTP/1.1", "Host: a"))
		if res, body := answer(t, r, "GET"); res.StatusCode != 200 || body != words {
			t.Errorf("%s %q", res.Status, body)
		}
	}
}

// recorded is a connection that notes what is done with it.
type recorded struct {
	net.Conn
	steps  []string
	unread int
}

func (r *recorded) note(step string) {
	if n := len(r.steps); n == 0 || r.steps[n-1] != step {
		r.steps = append(r.steps, step)
	}
}

func (r *recorded) SetDeadline(time.Time) error { r.note("deadline"); return nil }
func (r *recorded) CloseWrite() error           { r.note("close write"); return nil }

func (r *recorded) Write(p []byte) (int, error) {
	r.note("write")
	return len(p), nil
}

func (r *recorded) Read(p []byte) (int, error) {
	r.note("read")
	n := min(len(p), r.unread)
	r.unread -= n
	if n == 0 {
		return 0, io.EOF
	}
	return n, nil
}

// TestRefusalComesBeforeTheReset reads what the client goes on sending: closing the connection with unread bytes resets it.
func TestRefusalComesBeforeTheReset(t *testing.T) {
	r := &recorded{unread: 100_000}
	Reject(r, errHost)
	if diff := cmp.Diff([]string{"deadline", "write", "close write", "deadline", "read"}, r.steps); diff != "" || r.unread > 0 {
		t.Errorf("%d bytes are unread; steps: -want +got\n%s", r.unread, diff)
	}
}

func TestRefusalInAFlood(t *testing.T) {
	s := serve(t)
	c, r := dial(t, s)
	go fmt.Fprint(c, "GET /\x00"+strings.Repeat("x", 200_000))
	wantRefusal(t, r, http.StatusBadRequest)
}

func TestThousandRequestsOnOneConnection(t *testing.T) {
	s := serve(t)
	c, r := dial(t, s)
	for i := range 1000 {
		body := strings.Repeat("x", i%7)
		fmt.Fprintf(c, "POST /%d HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n%s", i, len(body), body)
		if _, got := answer(t, r, "POST"); got != fmt.Sprintf("POST /%d %d", i, len(body)) {
			t.Fatalf("request %d: %s", i, got)
		}
	}
}

func TestPipelining(t *testing.T) {
	s := serve(t)
	c, r := dial(t, s)
	var all strings.Builder
	for i := range 200 {
		switch i % 3 {
		case 0:
			fmt.Fprintf(&all, "GET /%d HTTP/1.1\r\nHost: a\r\n\r\n", i)
		case 1:
			fmt.Fprintf(&all, "POST /%d HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\nGET ", i)
		case 2:
			fmt.Fprintf(&all, "PUT /%d HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nGET \r\n0\r\n\r\n", i)
		}
	}
	go fmt.Fprint(c, all.String())
	for i := range 200 {
		method, n := []string{"GET", "POST", "PUT"}[i%3], []int{0, 4, 4}[i%3]
		if _, got := answer(t, r, method); got != fmt.Sprintf("%s /%d %d", method, i, n) {
			t.Fatalf("request %d: %s", i, got)
		}
	}
}

func TestContinue(t *testing.T) {
	s := serve(t)
	c, r := dial(t, s)
	for range 2 {
		fmt.Fprint(c, crlf("POST / HTTP/1.1", "Host: a", "Expect: 100-continue", "Content-Length: 3"))
		if line, err := r.ReadString('\n'); err != nil || line != "HTTP/1.1 100 Continue\r\n" {
			t.Fatalf("%q %v", line, err)
		}
		_, _ = r.ReadString('\n')
		fmt.Fprint(c, "abc")
		if _, got := answer(t, r, "POST"); got != "POST / 3" {
			t.Errorf("%s", got)
		}
	}
}

func TestHead(t *testing.T) {
	s := serve(t)
	c, r := dial(t, s)
	for range 2 {
		fmt.Fprint(c, crlf("HEAD / HTTP/1.1", "Host: a"))
		if res, body := answer(t, r, "HEAD"); res.StatusCode != 200 || body != "" {
			t.Errorf("%s %s", res.Status, body)
		}
	}
}

// TestBodyThatNobodyReads is followed by another request all the same.
func TestBodyThatNobodyReads(t *testing.T) {
	s := serve(t, func(w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, r.RequestURI) })
	c, r := dial(t, s)
	fmt.Fprint(c, crlf("POST /1 HTTP/1.1", "Host: a", "Content-Length: 1000")+strings.Repeat("\n", 1000)+crlf("GET /2 HTTP/1.1", "Host: a"))
	for _, want := range []string{"/1", "/2"} {
		if _, got := answer(t, r, "GET"); got != want {
			t.Errorf("%s", got)
		}
	}
}

func TestLargeBodies(t *testing.T) {
	const size = 1 << 20
	s := serve(t)
	for name, body := range map[string]io.Reader{
		"length": bytes.NewReader(make([]byte, size)),
		"chunks": io.MultiReader(bytes.NewReader(make([]byte, size))),
	} {
		res, err := http.Post("http://"+s.address+"/up", "", body)
		if err != nil {
			t.Fatal(err)
		}
		got, _ := io.ReadAll(res.Body)
		res.Body.Close()
		if string(got) != fmt.Sprint("POST /up ", size) {
			t.Errorf("%s: %s", name, got)
		}
	}
	http.DefaultClient.CloseIdleConnections()
}

func TestChunksOfOddSizes(t *testing.T) {
	s := serve(t)
	c, r := dial(t, s)
	for _, sizes := range [][]int{{1}, {1, 1, 1}, {15, 16, 17}, {4095, 4096, 4097}, {3, 70_001, 1}, {}} {
		w, sum := bufio.NewWriterSize(c, 333), 0
		fmt.Fprint(w, crlf("POST / HTTP/1.1", "Host: a", "Transfer-Encoding: chunked"))
		for _, size := range sizes {
			fmt.Fprintf(w, "%X\r\n%s\r\n", size, strings.Repeat("\r", size))
			sum += size
		}
		fmt.Fprint(w, "0\r\nChecksum: none\r\n\r\n")
		go w.Flush()
		if _, got := answer(t, r, "POST"); got != fmt.Sprint("POST / ", sum) {
			t.Errorf("%v: %s", sizes, got)
		}
	}
}

func TestHTTP2PassesUntouched(t *testing.T) {
	s := serve(t)
	client := &http.Transport{Protocols: new(http.Protocols)}
	defer client.CloseIdleConnections()
	client.Protocols.SetUnencryptedHTTP2(true)
	req, err := http.NewRequest("POST", "http://"+s.address+"/h2", strings.NewReader("abc"))
	if err != nil {
		t.Fatal(err)
	}
	res, err := client.RoundTrip(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	if body, _ := io.ReadAll(res.Body); res.ProtoMajor != 2 || string(body) != "POST /h2 3" {
		t.Errorf("%s %s", res.Proto, body)
	}
}

// TestPrefaceByteByByte sends the slowest of all prefaces.
func TestPrefaceByteByByte(t *testing.T) {
	s := serve(t)
	c, _ := dial(t, s)
	for i := range preface {
		if _, err := io.WriteString(c, preface[i:i+1]); err != nil {
			t.Fatal(err)
		}
	}
	framer := http2.NewFramer(c, c)
	if err := framer.WriteSettings(); err != nil {
		t.Fatal(err)
	}
	if frame, err := framer.ReadFrame(); err != nil || frame.Header().Type != http2.FrameSettings {
		t.Errorf("%v %v", frame, err)
	}
}

func TestUpgradeToHTTP2IsNoUpgrade(t *testing.T) {
	s := serve(t)
	c, r := dial(t, s)
	fmt.Fprint(c, crlf("GET / HTTP/1.1", "Host: a", "Connection: Upgrade, HTTP2-Settings", "Upgrade: h2c", "HTTP2-Settings: AAMAAABkAAQAAP__"))
	if res, body := answer(t, r, "GET"); res.StatusCode != 200 || body != "GET / 0" {
		t.Errorf("%s %s", res.Status, body)
	}
}

// endless is a connection without a peer on which the same request comes again and again.
type endless struct {
	net.Conn
	stream []byte
}

func (e endless) Read(p []byte) (int, error) { return copy(p, e.stream), nil }

func BenchmarkRead(b *testing.B) {
	for _, on := range []bool{false, true} {
		b.Run(fmt.Sprint("guard=", on), func(b *testing.B) {
			var c net.Conn = endless{nil, []byte(typical)}
			if on {
				c = Wrap(c, Options{})
			}
			buf := make([]byte, 4096)
			b.ReportAllocs()
			for b.Loop() {
				if _, err := c.Read(buf); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
