package frontend

import (
	"bytes"
	"context"
	"errors"
	"io"
	"math"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/mem"
	"google.golang.org/grpc/test/bufconn"

	"github.com/cardea-gateway/cardea/policies/call"
)

func TestParseSeconds(t *testing.T) {
	for text, want := range map[string]time.Duration{
		"0": 0, "1": time.Second, "2.5": 2500 * time.Millisecond, "0.000000001": 1, "0.0000000019": 1, "007": 7 * time.Second,
		"9999999999": math.MaxInt64, "99999999999999999999": math.MaxInt64,
	} {
		if got, ok := parseSeconds(text); !ok || got != want {
			t.Errorf("%q: got %v, %v", text, got, ok)
		}
	}
	for _, text := range []string{"", ".", "1.", ".5", "-1", "+1", "1e3", "1s", " 1", "1_0", "0x1", "1.2.3", "NaN", "111111111111111111111"} {
		if got, ok := parseSeconds(text); ok {
			t.Errorf("%q: got %v", text, got)
		}
	}
}

func FuzzParseSeconds(f *testing.F) {
	f.Add("2.5")
	f.Fuzz(func(t *testing.T, text string) {
		if d, ok := parseSeconds(text); ok && d < 0 {
			t.Errorf("%q gave %v", text, d)
		}
	})
}

// begun begins the life of a call.
func begun(t *testing.T, timeouts Timeouts, m call.Method, rest bool, header ...string) *life {
	t.Helper()
	r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/", http.NoBody)
	for i := 0; i < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	l, err := (&Table{Timeouts: timeouts}).begin(newNetHTTP(httptest.NewRecorder(), r), &Plan{Method: &m}, rest || !m.ClientStreams, rest)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

func TestDeadlines(t *testing.T) {
	unary, stream := call.Method{Backend: "b"}, call.Method{Backend: "b", ServerStreams: true}
	all := Timeouts{Call: 15 * time.Second, MaxCall: time.Minute}
	for name, tc := range map[string]struct {
		timeouts Timeouts
		method   call.Method
		rest     bool
		header   []string
		want     time.Duration // 0 is none.
	}{
		"default":                         {all, unary, false, nil, 15 * time.Second},
		"no default":                      {Timeouts{}, unary, false, nil, 0},
		"streams have none":               {all, stream, false, nil, 0},
		"wished":                          {all, unary, false, []string{"grpc-timeout", "30S"}, 30 * time.Second},
		"wished for a stream":             {all, stream, false, []string{"grpc-timeout", "30S"}, 30 * time.Second},
		"cut down":                        {all, unary, false, []string{"grpc-timeout", "2M"}, time.Minute},
		"cut down for a stream":           {all, stream, false, []string{"grpc-timeout", "2M"}, time.Minute},
		"never cut down":                  {Timeouts{}, unary, false, []string{"grpc-timeout", "2M"}, 2 * time.Minute},
		"seconds":                         {all, unary, true, []string{"x-server-timeout", "2.5"}, 2500 * time.Millisecond},
		"seconds are REST":                {all, unary, false, []string{"x-server-timeout", "2.5"}, 15 * time.Second},
		"the shorter one of both":         {all, unary, true, []string{"x-server-timeout", "9", "grpc-timeout", "8S"}, 8 * time.Second},
		"the shorter one, the other way":  {all, unary, true, []string{"x-server-timeout", "7", "grpc-timeout", "8S"}, 7 * time.Second},
		"seconds beyond what is possible": {all, unary, true, []string{"x-server-timeout", "99999999999"}, time.Minute},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				l := begun(t, tc.timeouts, tc.method, tc.rest, tc.header...)
				defer l.conclude(call.New(&tc.method, nil))
				deadline, ok := l.ctx.Deadline()
				if ok != (tc.want > 0) || ok && time.Until(deadline) != tc.want {
					t.Errorf("got %v, %v", time.Until(deadline), ok)
				}
			})
		})
	}
}

// TestUnsentMessage tells a client whose own deadline has passed from one that was too slow.
func TestUnsentMessage(t *testing.T) {
	for name, tc := range map[string]struct {
		header []string
		want   error
	}{
		"a deadline of its own": {[]string{"grpc-timeout", "1S"}, context.DeadlineExceeded},
		"the default":           {nil, errBodyTimeout},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				l := begun(t, Timeouts{Call: 2 * time.Second}, call.Method{}, false, tc.header...)
				defer l.conclude(call.New(&call.Method{}, nil))
				if got := l.unsent(io.ErrUnexpectedEOF); !errors.Is(got, io.ErrUnexpectedEOF) {
					t.Errorf("in time: %v", got)
				}
				<-l.ctx.Done()
				if got := l.unsent(io.ErrUnexpectedEOF); !errors.Is(got, tc.want) {
					t.Errorf("got %v", got)
				}
			})
		})
	}
}

func TestStreamIdle(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		begin := time.Now()
		m := call.Method{Backend: "b", ServerStreams: true}
		l := begun(t, Timeouts{StreamIdle: time.Minute}, m, false)
		defer l.conclude(call.New(&m, nil))
		timer := time.NewTimer(50 * time.Second)
		for range 10 { // Each of which would be too late without the one before.
			<-timer.C
			l.moved()
			timer.Reset(50 * time.Second)
		}
		<-l.ctx.Done()
		if got := time.Since(begin); got != 10*50*time.Second+time.Minute {
			t.Errorf("it ended after %v", got)
		}
		if got := l.reason(context.Canceled); !errors.Is(got, errStreamIdle) {
			t.Errorf("got %v", got)
		}
	})
}

func TestWhatMayBeQuiet(t *testing.T) {
	for name, m := range map[string]call.Method{
		"a call":               {Backend: "b"},
		"the gateway's stream": {ServerStreams: true},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				l := begun(t, Timeouts{StreamIdle: time.Minute}, m, false)
				time.Sleep(time.Hour) //nolint:forbidigo // The clock is the test's.
				if l.ctx.Err() != nil {
					t.Error(context.Cause(l.ctx))
				}
				l.conclude(call.New(&m, nil))
			})
		})
	}
}

func TestConcludedLifeLeavesNothingBehind(t *testing.T) {
	synctest.Test(t, func(t *testing.T) { // Which fails where a goroutine stays.
		m := call.Method{Backend: "b", ClientStreams: true}
		l := begun(t, Timeouts{StreamIdle: time.Minute, RequestBody: time.Minute}, m, false, "grpc-timeout", "1H")
		l.conclude(call.New(&m, nil))
		if l.ctx.Err() == nil {
			t.Error("it goes on")
		}
	})
}

// serve runs a handler on a real server and returns its address.
func serve(t *testing.T, handler http.Handler) string {
	t.Helper()
	server := &http.Server{Handler: handler, Protocols: new(http.Protocols), ReadHeaderTimeout: time.Minute}
	server.Protocols.SetHTTP1(true)
	server.Protocols.SetUnencryptedHTTP2(true)
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var running sync.WaitGroup
	running.Go(func() { _ = server.Serve(listener) })
	t.Cleanup(func() {
		server.Close()
		running.Wait()
	})
	return listener.Addr().String()
}

// TestLimitWriteEndsAnAnswerThatNobodyTakes is for both versions of HTTP, for a large answer and for one that fits into the
// server's buffers but not into the client's window.
func TestLimitWriteEndsAnAnswerThatNobodyTakes(t *testing.T) {
	for name, tc := range map[string]struct {
		size int
		send func(*testing.T, net.Conn)
	}{
		"HTTP/1.1": {64 << 20, func(t *testing.T, conn net.Conn) {
			t.Helper()
			_, _ = io.WriteString(conn, "GET / HTTP/1.1\r\nHost: h\r\n\r\n")
		}},
		"HTTP/2":              {64 << 10, closedWindow},
		"HTTP/2, a few bytes": {100, closedWindow},
	} {
		t.Run(name, func(t *testing.T) {
			ended := make(chan struct{})
			address := serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				context.AfterFunc(r.Context(), func() { close(ended) }) // Once the server is done with it, too.
				x := newNetHTTP(w, r)
				defer x.limit.stop()
				x.LimitWrite(100 * time.Millisecond)
				_, _ = x.Write(make([]byte, tc.size))
				x.leave()
			}))
			conn, err := net.Dial("tcp", address)
			if err != nil {
				t.Fatal(err)
			}
			defer conn.Close()
			tc.send(t, conn)
			timer := time.NewTimer(5 * time.Second)
			defer timer.Stop()
			select {
			case <-ended:
			case <-timer.C:
				t.Error("the server still waits")
			}
		})
	}
}

// closedWindow asks for a page and lets nothing of it through.
func closedWindow(t *testing.T, conn net.Conn) {
	t.Helper()
	_, _ = io.WriteString(conn, http2.ClientPreface)
	framer := http2.NewFramer(conn, conn)
	_ = framer.WriteSettings(http2.Setting{ID: http2.SettingInitialWindowSize, Val: 0})
	request(t, framer, 1, "GET", "/", true)
}

func request(t *testing.T, framer *http2.Framer, id uint32, method, path string, end bool) {
	t.Helper()
	var block bytes.Buffer
	encoder := hpack.NewEncoder(&block)
	for _, field := range [][2]string{
		{":method", method}, {":scheme", "http"}, {":authority", "h"}, {":path", path}, {"content-type", "application/grpc"},
	} {
		if err := encoder.WriteField(hpack.HeaderField{Name: field[0], Value: field[1]}); err != nil {
			t.Fatal(err)
		}
	}
	if err := framer.WriteHeaders(http2.HeadersFrameParam{StreamID: id, BlockFragment: block.Bytes(), EndHeaders: true, EndStream: end}); err != nil {
		t.Fatal(err)
	}
}

// TestAnswersThatHaveEndedAreLeftAlone makes sure that no limit outlives its call: net/http would keep the call for as long,
// and then reset its stream. Whether it does is a matter of chance, in one of a hundred calls.
func TestAnswersThatHaveEndedAreLeftAlone(t *testing.T) {
	greet := func(_ any, ss grpc.ServerStream) error {
		m := &call.Message{}
		if err := ss.RecvMsg(m); err != nil {
			return err
		}
		m.Reset(mem.BufferSlice{mem.SliceBuffer(make([]byte, 9000))})
		return ss.SendMsg(m)
	}
	front := &Front{
		Tables: one{&Table{Methods: map[string]*Plan{"/s/greet": {Method: &call.Method{FullName: "/s/greet"}, Handler: greet}}}},
		Done:   func(Exchange, *Record) {},
	}
	synctest.Test(t, func(t *testing.T) {
		conn := inMemory(t, front)
		_, _ = io.WriteString(conn, http2.ClientPreface)
		framer := http2.NewFramer(conn, conn)
		_ = framer.WriteSettings()
		_ = framer.WriteWindowUpdate(0, 1<<30)
		const calls = 3000
		open := make(chan struct{}, 16)
		go func() {
			for id := range uint32(calls) {
				open <- struct{}{}
				request(t, framer, 2*id+1, "POST", "/s/greet", false)
				_ = framer.WriteData(2*id+1, true, []byte{0, 0, 0, 0, 0})
			}
		}()
		ended := 0
		time.AfterFunc(2*answerTimeout, func() { conn.Close() })
		for {
			frame, err := framer.ReadFrame()
			if err != nil {
				break
			}
			switch frame := frame.(type) {
			case *http2.HeadersFrame:
				if frame.StreamEnded() {
					ended++
					<-open
				}
			case *http2.RSTStreamFrame:
				t.Errorf("stream %d was reset with %v, %d had ended", frame.StreamID, frame.ErrCode, ended)
			}
		}
		if ended != calls {
			t.Errorf("%d calls have ended, want %d", ended, calls)
		}
	})
}

// inMemory serves HTTP/2 in memory, and returns a connection to it.
func inMemory(t *testing.T, handler http.Handler) net.Conn {
	t.Helper()
	server := &http.Server{Handler: handler, Protocols: new(http.Protocols), ReadHeaderTimeout: time.Minute}
	server.Protocols.SetUnencryptedHTTP2(true)
	listener := bufconn.Listen(64 << 10)
	go func() { _ = server.Serve(listener) }()
	t.Cleanup(func() { server.Close() })
	conn, err := listener.Dial()
	if err != nil {
		t.Fatal(err)
	}
	return conn
}

// one is a table that never changes.
type one struct{ table *Table }

func (o one) Enter(string) *Table { return o.table }
func (o one) Leave(*Table)        {}

// TestRetiredConnection wants a GOAWAY that leaves what is under way alone.
func TestRetiredConnection(t *testing.T) {
	held := make(chan struct{})
	release := sync.OnceFunc(func() { close(held) })
	defer release()
	slow := func(_ any, ss grpc.ServerStream) error {
		<-held
		return call.Refuse(codes.Aborted, "SLOW", "at last")
	}
	quick := func(any, grpc.ServerStream) error { return call.Refuse(codes.Aborted, "QUICK", "at once") }
	front := &Front{
		Tables: one{&Table{Methods: map[string]*Plan{
			"/s/slow":  {Method: &call.Method{FullName: "/s/slow"}, Handler: slow},
			"/s/quick": {Method: &call.Method{FullName: "/s/quick"}, Handler: quick},
		}}},
		Done:   func(Exchange, *Record) {},
		Retire: func(x Exchange) bool { return x.Path() == "/s/quick" },
	}
	conn, err := net.Dial("tcp", serve(t, front))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(10 * time.Second))
	_, _ = io.WriteString(conn, http2.ClientPreface)
	framer := http2.NewFramer(conn, conn)
	framer.ReadMetaHeaders = hpack.NewDecoder(4096, nil)
	_ = framer.WriteSettings()
	request(t, framer, 1, "POST", "/s/slow", true)
	request(t, framer, 3, "POST", "/s/quick", true)
	var order []string
	for {
		frame, err := framer.ReadFrame()
		if err != nil {
			break
		}
		switch frame := frame.(type) {
		case *http2.GoAwayFrame:
			order = append(order, "GOAWAY "+frame.ErrCode.String())
		case *http2.MetaHeadersFrame:
			for _, field := range frame.RegularFields() {
				switch field.Name {
				case "grpc-message":
					order = append(order, field.Value)
				case "connection":
					t.Error("a connection header over HTTP/2")
				}
			}
		}
		if len(order) == 2 { // The slow call ends after both.
			release()
		}
	}
	if len(order) != 3 || order[2] != "at last" {
		t.Fatalf("got %q", order)
	}
	slices.Sort(order[:2]) // GOAWAY and the quick call's answer may come in either order.
	if got := order[0] + ", " + order[1]; got != "GOAWAY NO_ERROR, at once" {
		t.Errorf("got %q", got)
	}
}

func TestRetiredConnectionOverHTTP1(t *testing.T) {
	front := &Front{Tables: one{&Table{}}, Done: func(Exchange, *Record) {}, Retire: func(Exchange) bool { return true }}
	answer, err := http.Get("http://" + serve(t, front) + "/")
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	if !answer.Close {
		t.Error("the connection goes on")
	}
}

// limitedWriter remembers the deadlines that it is given.
type limitedWriter struct {
	http.ResponseWriter
	read, write time.Time
}

func (w *limitedWriter) SetReadDeadline(t time.Time) error  { w.read = t; return nil }
func (w *limitedWriter) SetWriteDeadline(t time.Time) error { w.write = t; return nil }

// TestLeaveBoundsWhatTheServerStillDoes makes sure that neither a body that nobody wants nor an answer that nobody takes
// keeps net/http for long, and that a stream that is over keeps no timer.
func TestLeaveBoundsWhatTheServerStillDoes(t *testing.T) {
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	for name, tc := range map[string]struct {
		ctx         context.Context
		body        io.Reader
		read, write time.Duration
	}{
		"all was read":       {t.Context(), http.NoBody, 0, answerTimeout},
		"a body is left":     {t.Context(), bytes.NewReader([]byte("x")), unreadGrace, answerTimeout},
		"the client is gone": {gone, http.NoBody, 0, 0},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := &limitedWriter{}
				newNetHTTP(w, httptest.NewRequestWithContext(tc.ctx, http.MethodPost, "/", tc.body)).leave()
				for _, c := range []struct {
					name string
					got  time.Time
					want time.Duration
				}{{"read", w.read, tc.read}, {"write", w.write, tc.write}} {
					if c.want == 0 != c.got.IsZero() || c.want > 0 && time.Until(c.got) != c.want {
						t.Errorf("%s: got %v, want %v", c.name, time.Until(c.got), c.want)
					}
				}
			})
		})
	}
}
