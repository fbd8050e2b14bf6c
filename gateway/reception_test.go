package gateway_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"runtime"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/net/http2"
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"
	testpb "google.golang.org/grpc/interop/grpc_testing"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/peer"
	"google.golang.org/grpc/stats"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/cardea-gateway/cardea/gateway"
	configv1 "github.com/cardea-gateway/cardea/gen/go/cardea/config/v1"
	orderv1 "github.com/cardea-gateway/cardea/gen/go/food/order/v1"
	"github.com/cardea-gateway/cardea/policies/call"
)

// untouched is a backend that must not get anything.
type untouched struct{ calls atomic.Int64 }

func (u *untouched) TagRPC(ctx context.Context, info *stats.RPCTagInfo) context.Context {
	if info.FullMethodName != healthpb.Health_Check_FullMethodName { // The gateway's own.
		u.calls.Add(1)
	}
	return ctx
}

func (*untouched) HandleRPC(context.Context, stats.RPCStats) {}

func (*untouched) TagConn(ctx context.Context, _ *stats.ConnTagInfo) context.Context { return ctx }
func (*untouched) HandleConn(context.Context, stats.ConnStats)                       {}

// attack puts a gateway in front of both example services, runs an attack, and holds what it cost against bounds: nothing
// reaches a backend, the heap grows by less than a bound while the attack stands, and goroutines end with it.
type attack struct {
	*running

	t       *testing.T
	backend untouched
}

// fast makes everything that waits for a client wait for little.
func fast(c *configv1.Config) {
	c.Timeouts = &configv1.Timeouts{
		RequestHeader: durationpb.New(300 * time.Millisecond),
		RequestBody:   durationpb.New(300 * time.Millisecond),
	}
}

func startAttack(t *testing.T, change ...func(*configv1.Config)) *attack {
	t.Helper()
	a := &attack{t: t}
	interop := backend(t, func(s *grpc.Server) { testpb.RegisterTestServiceServer(s, newTestService()) }, grpc.StatsHandler(&a.backend))
	a.running = startOrders(t, newOrders(), func(c *configv1.Config) {
		test := interopConfig(interop)
		c.Backends, c.Policies = append(c.Backends, test.GetBackends()...), append(c.Policies, test.GetPolicies()...)
		c.Backends[0].Target = "static:///" + backend(t, func(s *grpc.Server) { orderv1.RegisterOrderServiceServer(s, newOrders()) }, grpc.StatsHandler(&a.backend))
		c.AccessLog = &configv1.AccessLog{Disabled: true}
		for _, f := range change {
			f(c)
		}
	})
	return a
}

func heapNow() int64 {
	var m runtime.MemStats
	runtime.GC()
	runtime.GC() // The first one leaves what pools hold.
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}

// costs runs an attack, which returns what ends it.
func (a *attack) costs(heap int64, run func() (end func())) {
	a.t.Helper()
	heapBefore, goroutines := heapNow(), runtime.NumGoroutine()
	end := run()
	if grown := heapNow() - heapBefore; grown > heap {
		a.t.Errorf("the heap grew by %d bytes, more than %d", grown, heap)
	}
	end()
	settled := func() bool { return runtime.NumGoroutine() <= goroutines }
	a.eventually(settled, "goroutines stay")
	if n := a.backend.calls.Load(); n != 0 {
		a.t.Errorf("%d calls reached a backend", n)
	}
}

// eventually waits for a condition.
func (a *attack) eventually(holds func() bool, failure string) {
	a.t.Helper()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for deadline := time.Now().Add(5 * time.Second); !holds(); <-tick.C {
		if time.Now().After(deadline) {
			a.t.Error(failure)
			return
		}
	}
}

func (a *attack) dial() net.Conn {
	a.t.Helper()
	conn, err := net.Dial("tcp", a.address())
	if err != nil {
		a.t.Fatal(err)
	}
	a.t.Cleanup(func() { conn.Close() })
	_ = conn.SetDeadline(time.Now().Add(15 * time.Second))
	return conn
}

// raw sends text over HTTP/1.1 and returns the answer, and whether the connection was closed after it.
func (a *attack) raw(conn net.Conn, text string) (answered, bool) {
	a.t.Helper()
	go func() { _, _ = io.WriteString(conn, text) }() // The gateway may hang up in the middle.
	reader := bufio.NewReader(conn)
	response, err := http.ReadResponse(reader, nil)
	if err != nil {
		return answered{}, true
	}
	body, _ := io.ReadAll(response.Body)
	response.Body.Close()
	if !response.Close {
		return answered{response, string(body)}, false
	}
	_, err = reader.ReadByte()
	return answered{response, string(body)}, err != nil
}

// goneAway reads until the connection ends, and returns the code of a GOAWAY that came before.
func goneAway(h *rawHTTP2) (code http2.ErrCode, closed bool) {
	code = http2.ErrCodeNo
	_ = h.SetReadDeadline(time.Now().Add(5 * time.Second))
	for {
		frame, err := h.ReadFrame()
		if err != nil {
			return code, !errors.Is(err, os.ErrDeadlineExceeded)
		}
		if frame, ok := frame.(*http2.GoAwayFrame); ok {
			code = frame.ErrCode
		}
	}
}

const unaryCall = "/grpc.testing.TestService/UnaryCall"

// TestPathTricks sends what other servers take for a path of the test service (CVE-2026-33186 and its kin).
func TestPathTricks(t *testing.T) {
	a := startAttack(t)
	for name, path := range map[string]string{
		"no leading slash":      "grpc.testing.TestService/UnaryCall",
		"two leading slashes":   "//grpc.testing.TestService/UnaryCall",
		"trailing slash":        unaryCall + "/",
		"empty segment":         "/grpc.testing.TestService//UnaryCall",
		"encoded slash":         "/grpc.testing.TestService%2FUnaryCall",
		"encoded letter":        "/grpc.testing.TestService/%55naryCall",
		"case of the service":   "/Grpc.Testing.TestService/UnaryCall",
		"case of the method":    "/grpc.testing.TestService/unaryCall",
		"query":                 unaryCall + "?x=1",
		"empty query":           unaryCall + "?",
		"fragment":              unaryCall + "#x",
		"parameter":             unaryCall + ";x=1",
		"dot segment":           "/./grpc.testing.TestService/UnaryCall",
		"two dots":              "/x/../grpc.testing.TestService/UnaryCall",
		"encoded dots":          "/x/%2e%2e/grpc.testing.TestService/UnaryCall",
		"NUL":                   unaryCall + "%00",
		"invalid UTF-8":         unaryCall + "\xff",
		"backslash":             `/grpc.testing.TestService\UnaryCall`,
		"space":                 unaryCall + " ",
		"absolute form":         "http://gateway" + unaryCall,
		"a scheme alone":        "x:" + unaryCall,
		"asterisk":              "*",
		"nothing but a slash":   "/",
		"no method":             "/grpc.testing.TestService/",
		"one more segment":      unaryCall + "/x",
		"trailing dot":          "/grpc.testing.TestService./UnaryCall",
		"leading dot":           "/.grpc.testing.TestService/UnaryCall",
		"the wildcard's plan":   "/grpc.testing.TestService/*",
		"the name without path": "grpc.testing.TestService.UnaryCall",
	} {
		t.Run(name, func(t *testing.T) {
			h := dialHTTP2(t, a.address())
			h.call(1, path)
			_ = h.WriteData(1, true, grpcFrame(0, nil)) // A reset may have come before.
			answer := h.answer(t, soon)
			if answer != nil && (answer["grpc-status"] != strconv.Itoa(int(codes.Unimplemented)) || answer["grpc-status-details-bin"] == "") {
				t.Errorf("answered with %v", answer)
			}
			if n := a.backend.calls.Load(); n != 0 {
				t.Errorf("%d calls reached the backend", n)
			}
		})
	}
	h := dialHTTP2(t, a.address())
	h.call(1, unaryCall)
	_ = h.WriteData(1, true, grpcFrame(0, nil))
	if h.answer(t, soon)["grpc-status"] != "" || a.backend.calls.Load() != 1 {
		t.Error("the canonical path does not reach the backend, so this test proves nothing")
	}
}

// TestRESTPathTricks wants dot segments and control characters refused, whichever way they are written.
func TestRESTPathTricks(t *testing.T) {
	a := startAttack(t)
	for name, tc := range map[string]struct {
		target string
		status int
		reason string
	}{
		"two dots":                 {"/v1/x/../orders/1", 400, "MALFORMED_PATH"},
		"one dot":                  {"/v1/./orders/1", 400, "MALFORMED_PATH"},
		"encoded dots":             {"/v1/x/%2e%2e/orders/1", 400, "MALFORMED_PATH"},
		"half encoded dots":        {"/v1/x/.%2E/orders/1", 400, "MALFORMED_PATH"},
		"dots as an id":            {"/v1/orders/..", 400, "MALFORMED_PATH"},
		"dots before a verb":       {"/v1/orders/..:watch", 400, "MALFORMED_PATH"},
		"dots before a parameter":  {"/v1/orders/..;x", 400, "MALFORMED_PATH"},
		"dots and encoded slashes": {"/v1/orders/..%2F..%2Fx", 400, "MALFORMED_PATH"},
		"dots and a backslash":     {"/v1/orders/..%5Cx", 400, "MALFORMED_PATH"},
		"NUL":                      {"/v1/orders/1%00", 400, "MALFORMED_PATH"},
		"line break":               {"/v1/orders/1%0d%0aX-Evil:1", 400, "MALFORMED_PATH"},
		"invalid UTF-8":            {"/v1/orders/%ff", 400, "MALFORMED_PATH"},
		"dots in absolute form":    {"http://gateway/v1/x/../orders/1", 400, "MALFORMED_PATH"},
		"no path":                  {"http://gateway", 404, "ROUTE_NOT_FOUND"},
		"two leading slashes":      {"//v1/orders/1", 404, "ROUTE_NOT_FOUND"},
		"empty segment":            {"/v1//orders/1", 404, "ROUTE_NOT_FOUND"},
		"trailing slash":           {"/v1/orders/1/", 404, "ROUTE_NOT_FOUND"},
		"case":                     {"/V1/orders/1", 404, "ROUTE_NOT_FOUND"},
		"encoded slash":            {"/v1%2Forders/1", 404, "ROUTE_NOT_FOUND"},
	} {
		t.Run(name, func(t *testing.T) {
			answer, _ := a.raw(a.dial(), "GET "+tc.target+" HTTP/1.1\r\nHost: gateway\r\nConnection: close\r\n\r\n")
			if answer.Response == nil || answer.StatusCode != tc.status || !strings.Contains(answer.body, tc.reason) {
				t.Errorf("%v %s", answer.Response, answer.body)
			}
			if n := a.backend.calls.Load(); n != 0 {
				t.Errorf("%d calls reached the backend", n)
			}
		})
	}
	if answer, _ := a.raw(a.dial(), "GET http://gateway/v1/orders/1 HTTP/1.1\r\nHost: gateway\r\nConnection: close\r\n\r\n"); answer.Response == nil || answer.StatusCode != 200 {
		t.Errorf("the absolute form of a good path: %v %s", answer.Response, answer.body)
	}
}

func TestHeaderFloodByCountOverHTTP1(t *testing.T) {
	a := startAttack(t)
	a.costs(1<<20, func() func() {
		answer, _ := a.raw(a.dial(), "GET /v1/orders/1 HTTP/1.1\r\nHost: gateway\r\nConnection: close\r\n"+strings.Repeat("A: b\r\n", 1000)+"\r\n")
		if answer.Response == nil || answer.StatusCode != 431 || !strings.Contains(answer.body, "TOO_MANY_HEADERS") {
			t.Errorf("%v %s", answer.Response, answer.body)
		}
		return func() {}
	})
}

// TestHeaderFloodBySizeOverHTTP1 shows what net/http does: 431 in plain text, and the connection is closed.
func TestHeaderFloodBySizeOverHTTP1(t *testing.T) {
	a := startAttack(t)
	a.costs(1<<20, func() func() {
		answer, closed := a.raw(a.dial(), "GET /v1/orders/1 HTTP/1.1\r\nHost: gateway\r\nA: "+strings.Repeat("b", 1<<20)+"\r\n\r\n")
		if !closed || answer.Response != nil && answer.StatusCode != 431 { // A reset may overtake the answer.
			t.Errorf("closed %v, %v", closed, answer.Response)
		}
		return func() {}
	})
}

func TestHeaderFloodByCountOverHTTP2(t *testing.T) {
	a := startAttack(t)
	a.costs(1<<20, func() func() {
		h := dialHTTP2(t, a.address())
		var many []string
		for range 200 {
			many = append(many, "a", "b")
		}
		h.call(1, unaryCall, many...)
		if got := h.answer(t, soon); got["grpc-status"] != strconv.Itoa(int(codes.ResourceExhausted)) || got["cardea-origin"] != "gateway" {
			t.Errorf("gRPC: %v", got)
		}
		h.Close()
		h = dialHTTP2(t, a.address())
		h.headers(1, true, append([]string{":method", "GET", ":scheme", "http", ":path", "/v1/orders/1", ":authority", "gateway"}, many...)...)
		if got := h.answer(t, soon)[":status"]; got != "431" {
			t.Errorf("REST: %v", got)
		}
		return func() { h.Close() }
	})
}

// TestHeaderFloodBySizeOverHTTP2 shows what net/http does: 431 where the list is a little too long, and a GOAWAY where it is
// far too long. The compressed form, a thousand references to one long field, counts as what it expands to.
func TestHeaderFloodBySizeOverHTTP2(t *testing.T) {
	a := startAttack(t)
	a.costs(2<<20, func() func() {
		h := dialHTTP2(t, a.address())
		bomb := []string{}
		for range 1000 {
			bomb = append(bomb, "x-bomb", strings.Repeat("b", 3000))
		}
		h.call(1, unaryCall, bomb...)
		if got := h.answer(t, soon)[":status"]; got != "431" {
			t.Errorf("status %q", got)
		}
		big := dialHTTP2(t, a.address())
		_ = big.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: bytes.Repeat([]byte{0x80}, 500_000)})
		if code, closed := goneAway(big); !closed {
			t.Errorf("GOAWAY %v, closed %v", code, closed)
		}
		return func() { h.Close() }
	})
}

func TestLongURL(t *testing.T) {
	a := startAttack(t)
	a.costs(1<<20, func() func() {
		answer, _ := a.raw(a.dial(), "GET /v1/orders/1?name="+strings.Repeat("x", 8<<10)+" HTTP/1.1\r\nHost: gateway\r\nConnection: close\r\n\r\n")
		if answer.Response == nil || answer.StatusCode != 414 || !strings.Contains(answer.body, "URL_TOO_LONG") {
			t.Errorf("%v %s", answer.Response, answer.body)
		}
		h := dialHTTP2(t, a.address())
		h.call(1, "/"+strings.Repeat("x", 9000))
		if got := h.answer(t, soon)["grpc-status"]; got != strconv.Itoa(int(codes.ResourceExhausted)) {
			t.Errorf("gRPC: %q", got)
		}
		return func() { h.Close() }
	})
}

// TestContinuationFlood shows what net/http does (CVE-2023-45288): GOAWAY as soon as the list is too long.
func TestContinuationFlood(t *testing.T) {
	a := startAttack(t)
	a.costs(1<<20, func() func() {
		h := dialHTTP2(t, a.address())
		h.block.Reset()
		_ = h.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: []byte{0x83, 0x86, 0x84}})
		field := append([]byte{0x00, 0x01, 'a', 0x7f, 0x81, 0x1e}, bytes.Repeat([]byte{'b'}, 4000)...)
		sent := 0
		for range 10_000 {
			if h.WriteContinuation(1, false, field) != nil {
				break
			}
			sent++
		}
		if _, closed := goneAway(h); !closed {
			t.Errorf("the connection is still open after %d frames", sent)
		}
		return func() {}
	})
}

// TestSlowHeadersOverHTTP1 sends a header that never ends.
func TestSlowHeadersOverHTTP1(t *testing.T) {
	a := startAttack(t, fast)
	a.costs(4<<20, func() func() {
		var conns []net.Conn
		for range 50 {
			conn := a.dial()
			fmt.Fprint(conn, "GET /v1/orders/1 HTTP/1.1\r\nHost: gateway\r\nA: ")
			conns = append(conns, conn)
		}
		for _, conn := range conns {
			if _, err := io.Copy(io.Discard, conn); err != nil && strings.Contains(err.Error(), "timeout") {
				t.Fatal("the connection stays open")
			}
		}
		return func() {}
	})
}

// TestSlowHeadersOverHTTP2 shows what net/http does about a header block that never ends: it starts nothing. The connection
// is closed by the pings that it can't answer, 45 seconds later, for which this test does not wait.
func TestSlowHeadersOverHTTP2(t *testing.T) {
	a := startAttack(t, fast)
	a.costs(8<<20, func() func() {
		var conns []net.Conn
		for range 50 {
			h := dialHTTP2(t, a.address())
			_ = h.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: []byte{0x83, 0x86}})
			conns = append(conns, h)
		}
		return func() {
			for _, conn := range conns {
				conn.Close()
			}
		}
	})
}

func TestSlowBodyOverREST(t *testing.T) {
	a := startAttack(t, fast)
	a.costs(4<<20, func() func() {
		for range 10 {
			answer, closed := a.raw(a.dial(), "POST /v1/orders HTTP/1.1\r\nHost: gateway\r\nContent-Length: 100\r\n\r\n{")
			if answer.Response == nil || answer.StatusCode != 408 || !closed || !strings.Contains(answer.body, "REQUEST_BODY_TIMEOUT") {
				t.Fatalf("closed %v, %v %s", closed, answer.Response, answer.body)
			}
		}
		return func() {}
	})
}

// TestSlowBodyWithinADefaultDeadline is refused for its body: the deadline was not the client's to choose.
func TestSlowBodyWithinADefaultDeadline(t *testing.T) {
	a := startAttack(t, func(c *configv1.Config) {
		c.Timeouts = &configv1.Timeouts{Call: durationpb.New(200 * time.Millisecond)}
	})
	answer, closed := a.raw(a.dial(), "POST /v1/orders HTTP/1.1\r\nHost: gateway\r\nContent-Length: 100\r\n\r\n{")
	if answer.Response == nil || answer.StatusCode != 408 || !closed {
		t.Errorf("closed %v, %v %s", closed, answer.Response, answer.body)
	}
}

// TestSlowBodyOfARefusedCall keeps nobody waiting for a body that nobody wants.
func TestSlowBodyOfARefusedCall(t *testing.T) {
	a := startAttack(t)
	begun := time.Now()
	answer, closed := a.raw(a.dial(), "POST /v1/nowhere HTTP/1.1\r\nHost: gateway\r\nContent-Length: 100\r\n\r\n{")
	if answer.Response == nil || answer.StatusCode != 404 || !closed || time.Since(begun) > soon {
		t.Errorf("closed %v after %v, %v %s", closed, time.Since(begun), answer.Response, answer.body)
	}
}

func TestSlowBodyOverGRPC(t *testing.T) {
	a := startAttack(t, fast)
	a.costs(4<<20, func() func() {
		h := dialHTTP2(t, a.address())
		h.call(1, unaryCall, "grpc-timeout", "100S")
		_ = h.WriteData(1, false, []byte{0, 0, 0, 1})
		if got := h.answer(t, soon); got["grpc-status"] != deadlineExceeded() || !strings.Contains(got["grpc-message"], "in full") {
			t.Errorf("%v", got)
		}
		return func() { h.Close() }
	})
}

// TestSlowReader opens streams and takes nothing of what comes.
func TestSlowReader(t *testing.T) {
	a := startAttack(t, func(c *configv1.Config) {
		c.Timeouts = &configv1.Timeouts{StreamIdle: durationpb.New(200 * time.Millisecond)}
	})
	goroutines := runtime.NumGoroutine()
	h := dialHTTP2(t, a.address(), http2.Setting{ID: http2.SettingInitialWindowSize, Val: 0})
	h.call(1, "/grpc.testing.TestService/StreamingOutputCall")
	_ = h.WriteData(1, true, grpcFrame(0, streamingOutput(t, 50, 100_000)))
	for h.answer(t, soon) != nil { // The header, then the reset.
		continue
	}
	h.Close()
	a.eventually(func() bool { return runtime.NumGoroutine() <= goroutines+20 }, "goroutines stay") // Connections to backends.
}

// TestRapidReset opens and resets streams as fast as it can (CVE-2023-44487): no more run at a time than are allowed.
func TestRapidReset(t *testing.T) {
	a := startAttack(t)
	a.costs(8<<20, func() func() {
		h := dialHTTP2(t, a.address())
		go func() { _, _ = io.Copy(io.Discard, h.Conn) }()
		most, before := 0, runtime.NumGoroutine()
		for i := range uint32(20_000) {
			h.call(2*i+1, unaryCall)
			if h.WriteRSTStream(2*i+1, http2.ErrCodeCancel) != nil {
				break // 400 calls behind those that run, the connection is closed.
			}
			most = max(most, runtime.NumGoroutine()-before)
		}
		if most > 500 {
			t.Errorf("%d goroutines at a time", most)
		}
		return func() { h.Close() }
	})
}

func TestHugeFrame(t *testing.T) {
	a := startAttack(t)
	a.costs(1<<20, func() func() {
		h := dialHTTP2(t, a.address())
		_, _ = h.Write([]byte{0xff, 0xff, 0xff, byte(http2.FrameData), 0, 0, 0, 0, 1})
		if code, closed := goneAway(h); code != http2.ErrCodeFrameSize || !closed {
			t.Errorf("GOAWAY %v, closed %v", code, closed)
		}
		return func() {}
	})
}

// flood writes frames without reading a single answer, until the gateway hangs up or count is reached.
func (a *attack) flood(count int, frame func(*rawHTTP2) error) (h *rawHTTP2, closed bool) {
	h = dialHTTP2(a.t, a.address())
	if tcp, ok := h.Conn.(*net.TCPConn); ok {
		_ = tcp.SetReadBuffer(4 << 10)
	}
	_ = h.SetWriteDeadline(time.Now().Add(5 * time.Second)) // The gateway may stop reading.
	for range count {
		if frame(h) != nil {
			return h, true
		}
	}
	return h, false
}

// TestSettingsFlood shows what net/http does: it answers many settings by one acknowledgment, so that nothing piles up.
func TestSettingsFlood(t *testing.T) {
	a := startAttack(t)
	a.costs(8<<20, func() func() {
		h, _ := a.flood(300_000, func(h *rawHTTP2) error {
			return h.WriteSettings(http2.Setting{ID: http2.SettingInitialWindowSize, Val: 1000})
		})
		return func() { h.Close() }
	})
}

// TestPingFlood shows what net/http does: it hangs up on who makes it queue more than 10,000 answers.
func TestPingFlood(t *testing.T) {
	a := startAttack(t)
	a.costs(8<<20, func() func() {
		h, closed := a.flood(1_000_000, func(h *rawHTTP2) error { return h.WritePing(false, [8]byte{}) })
		if !closed {
			t.Error("a million pings and no end")
		}
		return func() { h.Close() }
	})
}

func TestEmptyDataFlood(t *testing.T) {
	a := startAttack(t, fast)
	a.costs(4<<20, func() func() {
		h := dialHTTP2(t, a.address())
		h.call(1, unaryCall, "grpc-timeout", "100S")
		for range 50_000 {
			if h.WriteData(1, false, nil) != nil {
				break
			}
		}
		if got := h.answer(t, soon)["grpc-status"]; got != deadlineExceeded() {
			t.Errorf("grpc-status %q", got)
		}
		return func() { h.Close() }
	})
}

// streamingOutput asks for answers of a size.
func streamingOutput(t *testing.T, answers, size int) []byte {
	t.Helper()
	request := &testpb.StreamingOutputCallRequest{}
	for range answers {
		request.ResponseParameters = append(request.ResponseParameters, &testpb.ResponseParameters{Size: int32(size)})
	}
	wire, err := proto.Marshal(request)
	if err != nil {
		t.Fatal(err)
	}
	return wire
}

func TestDeadlineThatTheBackendSees(t *testing.T) {
	got := make(chan time.Duration, 1)
	service := newTestService()
	service.unary = func(ctx context.Context, _ *testpb.SimpleRequest) (*testpb.SimpleResponse, error) {
		deadline, ok := ctx.Deadline()
		if !ok {
			deadline = time.Now()
		}
		got <- time.Until(deadline)
		return &testpb.SimpleResponse{}, nil
	}
	address := backend(t, func(s *grpc.Server) { testpb.RegisterTestServiceServer(s, service) })
	cfg := interopConfig(address)
	cfg.Timeouts = &configv1.Timeouts{Call: durationpb.New(20 * time.Second), MaxCall: durationpb.New(40 * time.Second)}
	client := testpb.NewTestServiceClient(dial(t, start(t, cfg).address()))
	for name, tc := range map[string]struct{ wish, want time.Duration }{
		"none": {0, 20 * time.Second}, "short": {10 * time.Second, 10 * time.Second}, "longer than the default": {30 * time.Second, 30 * time.Second},
		"longer than allowed": {time.Hour, 40 * time.Second},
	} {
		ctx, cancel := t.Context(), func() {}
		if tc.wish > 0 {
			ctx, cancel = context.WithTimeout(t.Context(), tc.wish)
		}
		if _, err := client.UnaryCall(ctx, &testpb.SimpleRequest{}); err != nil {
			t.Fatal(err)
		}
		cancel()
		if left := <-got; left > tc.want || left < tc.want-soon {
			t.Errorf("%s: the backend has %v", name, left)
		}
	}
}

func TestDeadlineHeadersOverREST(t *testing.T) {
	o := newOrders()
	o.answer = func(ctx context.Context, _ proto.Message) (*orderv1.Order, error) {
		deadline, _ := ctx.Deadline()
		return &orderv1.Order{Note: strconv.Itoa(int(time.Until(deadline).Seconds() + 0.5))}, nil
	}
	gw := startOrders(t, o)
	for want, header := range map[string][]string{
		"15": nil, "7": {"X-Server-Timeout", "7"}, "2": {"X-Server-Timeout", "2.2", "Grpc-Timeout", "9S"},
		"9": {"X-Server-Timeout", "100", "Grpc-Timeout", "9S"}, "300": {"X-Server-Timeout", "99999999999999"},
	} {
		if a := send(t, gw, "GET", "/v1/orders/1", "", header...); !strings.Contains(a.body, `"note":"`+want+`"`) {
			t.Errorf("%v: %s", header, a.body)
		}
		<-o.calls
		if md := <-o.header; md.Get("x-server-timeout") != nil {
			t.Error("the header reached the backend")
		}
	}
	for _, text := range []string{"-1", "1s", "1e3", ".", "1.", ".5", "NaN", " ", "0x1"} {
		if a := send(t, gw, "GET", "/v1/orders/1", "", "X-Server-Timeout", text); a.StatusCode != 400 && text != " " {
			t.Errorf("%q: %d %s", text, a.StatusCode, a.body)
		}
	}
}

func TestQuietStreamEnds(t *testing.T) {
	address := backend(t, func(s *grpc.Server) { testpb.RegisterTestServiceServer(s, newTestService()) })
	cfg := interopConfig(address)
	cfg.Timeouts = &configv1.Timeouts{StreamIdle: durationpb.New(300 * time.Millisecond)}
	gw := start(t, cfg)
	stream, err := testpb.NewTestServiceClient(dial(t, gw.address())).FullDuplexCall(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for range 6 { // Longer than a quiet stream may last.
		<-tick.C
		if err := stream.Send(&testpb.StreamingOutputCallRequest{ResponseParameters: []*testpb.ResponseParameters{{Size: 1}}}); err != nil {
			t.Fatal(err)
		}
		if _, err := stream.Recv(); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := stream.Recv(); call.Reason(err) != "STREAM_IDLE" || status.Code(err) != codes.DeadlineExceeded {
		t.Errorf("got %v", err)
	}
	if got := stream.Trailer().Get("cardea-origin"); len(got) != 1 || got[0] != "gateway" {
		t.Errorf("origin %q", got)
	}
}

func TestRequestIDAndForwardedReachTheBackend(t *testing.T) {
	o := newOrders()
	gw := startOrders(t, o, func(c *configv1.Config) { c.TrustedProxies = []string{"127.0.0.1"} })
	a := send(t, gw, "GET", "/v1/orders/1", "", "X-Request-Id", "mine-1", "X-Forwarded-For", "1.1.1.1, 203.0.113.9", "X-Forwarded-Proto", "https", "X-Forwarded-Host", "shop.example.com")
	md := <-o.header
	for name, want := range map[string]string{
		"x-request-id": "mine-1", "x-forwarded-for": "203.0.113.9, 127.0.0.1", "x-forwarded-proto": "https", "x-forwarded-host": "shop.example.com",
	} {
		if got := md.Get(name); len(got) != 1 || got[0] != want {
			t.Errorf("%s: %q", name, got)
		}
	}
	if got := a.Header.Values("X-Request-Id"); len(got) != 1 || got[0] != "mine-1" {
		t.Errorf("answer: %q", got)
	}
}

func TestStrangersNameNoRequests(t *testing.T) {
	o := newOrders()
	gw := startOrders(t, o)
	a := send(t, gw, "GET", "/v1/orders/1", "", "X-Request-Id", "mine-1", "X-Forwarded-For", "1.1.1.1", "Forwarded", "for=1.1.1.1")
	md := <-o.header
	id := a.Header.Get("X-Request-Id")
	if got := md.Get("x-request-id"); len(got) != 1 || got[0] != id || id == "mine-1" || len(id) != 32 {
		t.Errorf("the client has %q, the backend %q", id, got)
	}
	if got := md.Get("x-forwarded-for"); len(got) != 1 || got[0] != "127.0.0.1" {
		t.Errorf("x-forwarded-for: %q", got)
	}
	if got := md.Get("x-forwarded-host"); len(got) != 1 || got[0] != gw.address() {
		t.Errorf("x-forwarded-host: %q", got)
	}
}

// TestInterceptorsSeeTheClientBehindAProxy reads what limits by address go by.
func TestInterceptorsSeeTheClientBehindAProxy(t *testing.T) {
	got := make(chan string, 1)
	address := backend(t, func(s *grpc.Server) { testpb.RegisterTestServiceServer(s, newTestService()) })
	cfg := interopConfig(address)
	cfg.TrustedProxies = []string{"127.0.0.0/8"}
	gw := start(t, cfg, gateway.WithInterceptors(
		func(srv any, ss grpc.ServerStream, _ *grpc.StreamServerInfo, next grpc.StreamHandler) error {
			p, _ := peer.FromContext(ss.Context())
			c := call.FromContext(ss.Context())
			md, _ := metadata.FromIncomingContext(ss.Context())
			got <- fmt.Sprint(p.Addr, " ", c.ClientAddr().Addr(), " ", md.Get("x-forwarded-for"), md.Get("forwarded"), len(c.RequestID()))
			return next(srv, ss)
		}))
	ctx := metadata.AppendToOutgoingContext(t.Context(), "x-forwarded-for", "203.0.113.9:80", "forwarded", "for=1.1.1.1")
	if _, err := testpb.NewTestServiceClient(dial(t, gw.address())).EmptyCall(ctx, &testpb.Empty{}); err != nil {
		t.Fatal(err)
	}
	if text := <-got; text != "203.0.113.9:80 203.0.113.9 [203.0.113.9, 127.0.0.1] [] 32" {
		t.Error(text)
	}
}

// forger is a backend that claims to be the gateway.
func forger(ctx context.Context, _ proto.Message) (*orderv1.Order, error) {
	_ = grpc.SetHeader(ctx, metadata.Pairs("cardea-origin", "gateway", "x-request-id", "forged"))
	_ = grpc.SetTrailer(ctx, metadata.Pairs("cardea-origin", "gateway"))
	st, err := status.New(codes.Unavailable, "come back later").WithDetails(
		&errdetails.ErrorInfo{Reason: "BACKEND_UNAVAILABLE", Domain: call.Domain}, &errdetails.RetryInfo{RetryDelay: durationpb.New(1500 * time.Millisecond)})
	if err != nil {
		return nil, err
	}
	return nil, st.Err()
}

func TestOriginOfErrorsOverREST(t *testing.T) {
	o := newOrders()
	o.answer = forger
	gw := startOrders(t, o)
	a := send(t, gw, "GET", "/v1/orders/1", "")
	if a.StatusCode != 503 || a.Header.Get("Cardea-Origin") != "" || a.Header.Get("Retry-After") != "2" || len(a.Header.Values("X-Request-Id")) != 1 {
		t.Errorf("the backend's: %d %v", a.StatusCode, a.Header)
	}
	for path, want := range map[string]int{"/nowhere": 404, "/v1/orders?nope=1": 400} {
		if a := send(t, gw, "GET", path, ""); a.StatusCode != want || a.Header.Get("Cardea-Origin") != "gateway" {
			t.Errorf("%s: %d %v", path, a.StatusCode, a.Header)
		}
	}
}

// TestOriginOfABrokenStream looks at a stream that ran out of time after its first line.
func TestOriginOfABrokenStream(t *testing.T) {
	for origin, end := range map[string]func(answered <-chan struct{}) error{
		"gateway": func(answered <-chan struct{}) error { <-answered; return nil }, // It knows of no deadline.
		"":        func(<-chan struct{}) error { return status.Error(codes.DeadlineExceeded, "mine") },
	} {
		answered := make(chan struct{})
		o := newOrders()
		o.watch = func(_ *orderv1.WatchOrderRequest, ss grpc.ServerStreamingServer[orderv1.WatchOrderResponse]) error {
			ss.SetTrailer(metadata.Pairs("cardea-origin", "gateway"))
			if err := ss.Send(&orderv1.WatchOrderResponse{}); err != nil {
				return err
			}
			return end(answered)
		}
		a := send(t, startOrders(t, o), "GET", "/v1/orders/1:watch", "", "X-Server-Timeout", "0.3", "Te", "trailers")
		close(answered)
		if !strings.Contains(a.body, `{"@status":{"code":4,`) || a.Trailer.Get("Cardea-Origin") != origin {
			t.Errorf("want %q: %s %v", origin, a.body, a.Trailer)
		}
	}
}

func TestOriginOfErrorsOverGRPC(t *testing.T) {
	o := newOrders()
	o.answer = forger
	gw := startOrders(t, o)
	client := orderv1.NewOrderServiceClient(dial(t, gw.address()))
	var header, trailer metadata.MD
	_, err := client.GetOrder(t.Context(), &orderv1.GetOrderRequest{}, grpc.Header(&header), grpc.Trailer(&trailer))
	if status.Code(err) != codes.Unavailable || header.Get("cardea-origin") != nil || trailer.Get("cardea-origin") != nil {
		t.Errorf("the backend's: %v %v %v", err, header, trailer)
	}
	_, err = client.CancelOrder(t.Context(), &orderv1.CancelOrderRequest{}, grpc.Header(&header), grpc.Trailer(&trailer))
	if got := append(header.Get("cardea-origin"), trailer.Get("cardea-origin")...); status.Code(err) != codes.Unauthenticated || len(got) == 0 || got[0] != "gateway" {
		t.Errorf("the gateway's: %v %v %v", err, header, trailer)
	}
}

func TestProblemJSON(t *testing.T) {
	o := newOrders()
	o.answer = forger
	gw := startOrders(t, o)
	for path, want := range map[string]map[string]any{
		"/v1/orders/1": {"status": 503.0, "title": "Service Unavailable", "code": 14.0, "reason": "BACKEND_UNAVAILABLE", "detail": "come back later"},
		"/nowhere":     {"status": 404.0, "title": "Not Found", "code": 5.0, "reason": "ROUTE_NOT_FOUND", "detail": `no route matches the path "/nowhere"`},
	} {
		a := send(t, gw, "GET", path, "", "Accept", "application/problem+json, */*;q=0.1")
		var got map[string]any
		if err := json.Unmarshal([]byte(a.body), &got); err != nil || a.Header.Get("Content-Type") != "application/problem+json" {
			t.Fatalf("%v %v %s", err, a.Header, a.body)
		}
		if got["instance"] != a.Header.Get("X-Request-Id") || got["type"] != "about:blank" || len(got["details"].([]any)) == 0 {
			t.Errorf("%s: %s", path, a.body)
		}
		for name, value := range want {
			if got[name] != value {
				t.Errorf("%s: %s is %v", path, name, got[name])
			}
		}
	}
	if a := send(t, gw, "GET", "/v1/orders/1:cancel", "", "Accept", "*/*"); a.Header.Get("Content-Type") != "application/json" {
		t.Errorf("%v", a.Header)
	}
}

func TestUnauthenticatedNamesAScheme(t *testing.T) {
	gw := startOrders(t, newOrders())
	a := send(t, gw, "POST", "/v1/orders/1:cancel", "{}", "Accept", "application/problem+json")
	if a.StatusCode != 401 || a.Header.Get("WWW-Authenticate") == "" || a.Header.Get("Cardea-Origin") != "gateway" {
		t.Errorf("%d %v", a.StatusCode, a.Header)
	}
}

func TestEveryAnswerCarriesItsRequestID(t *testing.T) {
	log := &lockedBuffer{}
	o := newOrders()
	address := backend(t, func(s *grpc.Server) { orderv1.RegisterOrderServiceServer(s, o) })
	gw := start(t, &configv1.Config{
		Backends: []*configv1.Backend{{Name: "order", Target: "static:///" + address, Services: []string{"food.order.v1.OrderService"}}},
	}, gateway.WithAccessLogger(slog.New(slog.NewTextHandler(log, nil))))
	a := send(t, gw, "GET", "/nowhere", "")
	id := a.Header.Get("X-Request-Id")
	var header, trailer metadata.MD
	_, _ = orderv1.NewOrderServiceClient(dial(t, gw.address())).GetOrder(t.Context(), &orderv1.GetOrderRequest{}, grpc.Header(&header), grpc.Trailer(&trailer))
	second := append(header.Get("x-request-id"), trailer.Get("x-request-id")...)
	if len(second) == 0 {
		t.Fatalf("no id: %v %v", header, trailer)
	}
	if err := gw.stop(); err != nil {
		t.Error(err)
	}
	for _, want := range []string{"request_id=" + id, "request_id=" + second[0], "client=127.0.0.1 ", "origin=gateway"} {
		if !strings.Contains(log.String(), want) {
			t.Errorf("no %s in %s", want, log.String())
		}
	}
}
