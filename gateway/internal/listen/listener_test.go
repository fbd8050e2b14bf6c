package listen_test

import (
	"bufio"
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/pires/go-proxyproto"
	"go.uber.org/goleak"

	"github.com/cardea-gateway/cardea/gateway/internal/listen"
	"github.com/cardea-gateway/cardea/gateway/internal/pemfile/pemtest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// seen is what a handler tells of its request.
type seen struct {
	Proto, RemoteAddr, Client, Peer string
	TLS, Accepted                   bool
}

// site is a server behind a Listener.
type site struct {
	*listen.Listener
	socket  net.Listener
	address string
	refused chan listen.Reason
	server  *http.Server
	t       *testing.T
}

func serve(t *testing.T, o listen.Options) *site {
	t.Helper()
	socket, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := &site{socket: socket, address: socket.Addr().String(), refused: make(chan listen.Reason, 1000), t: t}
	o.OnRefused = func(r listen.Reason) { s.refused <- r }
	s.Listener = listen.New(socket, o)
	s.server = &http.Server{
		Handler: http.HandlerFunc(tell), ConnContext: s.ConnContext, ReadHeaderTimeout: 10 * time.Second,
		Protocols: new(http.Protocols), ErrorLog: slog.NewLogLogger(slog.DiscardHandler, slog.LevelDebug),
	}
	s.server.Protocols.SetHTTP1(true)
	s.server.Protocols.SetHTTP2(true)
	s.server.Protocols.SetUnencryptedHTTP2(true)
	var running sync.WaitGroup
	running.Go(func() { _ = s.server.Serve(s.Listener) })
	t.Cleanup(func() {
		s.server.Close()
		running.Wait()
		socket.Close()
	})
	return s
}

func tell(w http.ResponseWriter, r *http.Request) {
	facts, ok := listen.FromContext(r.Context())
	if !ok {
		http.Error(w, "no facts", http.StatusInternalServerError)
		return
	}
	if r.TLS != nil && len(r.TLS.PeerCertificates) > 0 {
		w.Header().Set("Subject", r.TLS.PeerCertificates[0].Subject.CommonName)
	}
	_ = json.NewEncoder(w).Encode(seen{
		Proto: r.Proto, RemoteAddr: r.RemoteAddr, Client: facts.Client.String(), Peer: facts.Peer.Addr().String(),
		TLS: r.TLS != nil && facts.TLS != nil, Accepted: !facts.AcceptedAt.IsZero(),
	})
}

// client is an HTTP client whose connections end with the test.
func (s *site) client(config *tls.Config) *http.Client {
	transport := &http.Transport{TLSClientConfig: config}
	s.t.Cleanup(transport.CloseIdleConnections)
	return &http.Client{Transport: transport, Timeout: 20 * time.Second}
}

func (s *site) get(t *testing.T, client *http.Client) *http.Response {
	t.Helper()
	res, err := client.Get("https://" + s.address + "/")
	if err != nil {
		t.Fatal(err)
	}
	_, _ = io.Copy(io.Discard, res.Body)
	res.Body.Close()
	return res
}

// soon is for what takes milliseconds on a quiet machine.
func soon(t *testing.T) <-chan struct{} {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	t.Cleanup(cancel)
	return ctx.Done()
}

func (s *site) wantRefused(t *testing.T, want listen.Reason) {
	t.Helper()
	select {
	case got := <-s.refused:
		if got != want {
			t.Errorf("refused for %s, want %s", got, want)
		}
	case <-soon(t):
		t.Errorf("nothing was refused, want %s", want)
	}
}

// dial opens a connection from one of the addresses of the loopback network.
func (s *site) dial(t *testing.T, from string) net.Conn {
	t.Helper()
	dialer := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(from)}}
	c, err := dialer.Dial("tcp", s.address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	_ = c.SetDeadline(time.Now().Add(10 * time.Second))
	return c
}

const request = "GET / HTTP/1.1\r\nHost: a\r\n\r\n"

// exchange sends some bytes and returns what a handler tells.
func exchange(t *testing.T, c net.Conn, bytes string) (int, seen) {
	t.Helper()
	if _, err := io.WriteString(c, bytes); err != nil {
		t.Fatal(err)
	}
	res, err := http.ReadResponse(bufio.NewReader(c), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	var got seen
	_ = json.NewDecoder(res.Body).Decode(&got)
	return res.StatusCode, got
}

// wantClosed sends a request and expects that nobody answers.
func wantClosed(t *testing.T, c net.Conn) {
	t.Helper()
	_, _ = io.WriteString(c, request)
	if n, err := c.Read(make([]byte, 1)); n > 0 {
		t.Error("the connection is served")
	} else if late, ok := errors.AsType[net.Error](err); ok && late.Timeout() {
		t.Error("the connection is open")
	}
}

func networks(t *testing.T, list ...string) []netip.Prefix {
	t.Helper()
	n, err := listen.Networks(list)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

func TestFactsOfEveryKindOfConnection(t *testing.T) {
	f, ca := folder(t.TempDir()), pemtest.NewAuthority(t, "authority")
	f.write(t, "a", ca.Issue("127.0.0.1"))
	secure, cleartext := serve(t, listen.Options{TLS: newTLS(t, f.config("a"))}), serve(t, listen.Options{})
	for name, tc := range map[string]struct {
		url, proto string
		http2, tls bool
	}{
		"cleartext HTTP/1": {url: "http://" + cleartext.address, proto: "HTTP/1.1"},
		"cleartext HTTP/2": {url: "http://" + cleartext.address, proto: "HTTP/2.0", http2: true},
		"TLS HTTP/1":       {url: "https://" + secure.address, proto: "HTTP/1.1", tls: true},
		"TLS HTTP/2":       {url: "https://" + secure.address, proto: "HTTP/2.0", http2: true, tls: true},
	} {
		t.Run(name, func(t *testing.T) {
			transport := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: ca.Pool()}, Protocols: new(http.Protocols)}
			defer transport.CloseIdleConnections()
			transport.Protocols.SetHTTP1(!tc.http2)
			transport.Protocols.SetHTTP2(tc.http2)
			transport.Protocols.SetUnencryptedHTTP2(tc.http2)
			res, err := (&http.Client{Transport: transport}).Get(tc.url)
			if err != nil {
				t.Fatal(err)
			}
			defer res.Body.Close()
			var got seen
			if err := json.NewDecoder(res.Body).Decode(&got); err != nil {
				t.Fatal(err)
			}
			if got.Proto != tc.proto || got.TLS != tc.tls || got.Client != got.RemoteAddr || got.Peer != "127.0.0.1" || !got.Accepted {
				t.Errorf("%+v", got)
			}
		})
	}
}

// v2 is a PROXY protocol header of version 2.
func v2(t *testing.T, source net.Addr, command proxyproto.ProtocolVersionAndCommand, protocol proxyproto.AddressFamilyAndProtocol) string {
	t.Helper()
	h := &proxyproto.Header{Version: 2, Command: command, TransportProtocol: protocol, SourceAddr: source, DestinationAddr: source}
	text, err := h.Format()
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func TestProxyProtocol(t *testing.T) {
	const v1 = "PROXY TCP4 192.0.2.7 192.0.2.8 4711 443\r\n"
	tcp4 := &net.TCPAddr{IP: net.ParseIP("192.0.2.7").To4(), Port: 4711}
	tcp6 := &net.TCPAddr{IP: net.ParseIP("2001:db8::7"), Port: 4711}
	for name, tc := range map[string]struct {
		header, client string // "self" is the address of the connection, "" is a refusal.
	}{
		"none":       {"", "self"},
		"v1":         {v1, "192.0.2.7:4711"},
		"v1 v6":      {"PROXY TCP6 2001:db8::7 2001:db8::8 4711 443\r\n", "[2001:db8::7]:4711"},
		"v1 unknown": {"PROXY UNKNOWN\r\n", "self"},
		"v2":         {v2(t, tcp4, proxyproto.PROXY, proxyproto.TCPv4), "192.0.2.7:4711"},
		"v2 v6":      {v2(t, tcp6, proxyproto.PROXY, proxyproto.TCPv6), "[2001:db8::7]:4711"},
		"v2 local":   {v2(t, tcp4, proxyproto.LOCAL, proxyproto.UNSPEC), "self"},
		"v1 broken":  {"PROXY TCP4 192.0.2.7\r\n", ""},
		"v2 UDP":     {v2(t, &net.UDPAddr{IP: tcp4.IP, Port: 1}, proxyproto.PROXY, proxyproto.UDPv4), ""},
		"twice":      {v1 + v1, "malformed"},
	} {
		t.Run(name, func(t *testing.T) {
			s := serve(t, listen.Options{TrustedNetworks: networks(t, "127.0.0.2", "10.0.0.0/8")})
			trusted := s.dial(t, "127.0.0.2")
			switch tc.client {
			case "":
				_, _ = io.WriteString(trusted, tc.header)
				wantClosed(t, trusted)
				s.wantRefused(t, listen.BadProxyHeader)
				return
			case "malformed":
				if status, _ := exchange(t, trusted, tc.header+request); status != http.StatusBadRequest {
					t.Errorf("status %d", status)
				}
				return
			case "self":
				tc.client = trusted.LocalAddr().String()
			}
			status, got := exchange(t, trusted, tc.header+request)
			if status != 200 || got.Client != tc.client || got.RemoteAddr != tc.client || got.Peer != "127.0.0.2" {
				t.Errorf("%d %+v", status, got)
			}
			if tc.header == "" {
				return
			}
			// From anybody else it is no request.
			if status, _ := exchange(t, s.dial(t, "127.0.0.3"), tc.header+request); status != http.StatusBadRequest {
				t.Errorf("untrusted: status %d", status)
			}
			s.wantRefused(t, listen.MalformedHTTP)
		})
	}
}

func TestProxyProtocolBeforeTLS(t *testing.T) {
	f, ca := folder(t.TempDir()), pemtest.NewAuthority(t, "authority")
	f.write(t, "a", ca.Issue("a.example"))
	s := serve(t, listen.Options{TLS: newTLS(t, f.config("a")), TrustedNetworks: networks(t, "127.0.0.2/32")})
	for from, trusted := range map[string]bool{"127.0.0.2": true, "127.0.0.3": false} {
		for _, protocol := range []string{"h2", "http/1.1"} {
			raw := s.dial(t, from)
			if _, err := io.WriteString(raw, "PROXY TCP4 192.0.2.7 192.0.2.8 4711 443\r\n"); err != nil {
				t.Fatal(err)
			}
			c := tls.Client(raw, &tls.Config{RootCAs: ca.Pool(), ServerName: "a.example", NextProtos: []string{protocol}})
			if err := c.Handshake(); (err == nil) != trusted {
				t.Errorf("%s, %s: %v", from, protocol, err)
			}
			if trusted && protocol == "http/1.1" {
				if _, got := exchange(t, c, request); got.Client != "192.0.2.7:4711" || !got.TLS {
					t.Errorf("%+v", got)
				}
			}
		}
	}
}

func TestNetworksSaysWhatIsWrong(t *testing.T) {
	for _, bad := range []string{"", "10.0.0.0/33", "example.com", "10.0.0.0/8/8"} {
		if _, err := listen.Networks([]string{bad}); err == nil {
			t.Errorf("%q is a network", bad)
		}
	}
	if got := networks(t, "10.1.2.3/8", "::ffff:10.0.0.1", "2001:db8::/32"); fmt.Sprint(got) != "[10.0.0.0/8 10.0.0.1/32 2001:db8::/32]" {
		t.Errorf("%v", got)
	}
}

// await waits until the listener counts so many connections.
func (s *site) await(t *testing.T, open int) {
	t.Helper()
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for deadline := time.Now().Add(10 * time.Second); s.Open() != open; <-tick.C {
		if time.Now().After(deadline) {
			t.Fatalf("%d connections are open, want %d", s.Open(), open)
		}
	}
}

func TestLimitOfConnections(t *testing.T) {
	s := serve(t, listen.Options{MaxConnections: 3})
	var open []net.Conn
	for range 3 {
		c := s.dial(t, "127.0.0.1")
		exchange(t, c, request)
		open = append(open, c)
	}
	wantClosed(t, s.dial(t, "127.0.0.1"))
	s.wantRefused(t, listen.TooManyConnections)
	open[0].Close()
	s.await(t, 2)
	exchange(t, s.dial(t, "127.0.0.1"), request)
	if s.Total() != 5 {
		t.Errorf("%d connections in total", s.Total())
	}
}

func TestLimitOfOneClientsConnections(t *testing.T) {
	s := serve(t, listen.Options{MaxConnectionsPerClient: 2, TrustedNetworks: networks(t, "127.0.0.9")})
	one := s.dial(t, "127.0.0.1")
	exchange(t, one, request)
	exchange(t, s.dial(t, "127.0.0.1"), request)
	wantClosed(t, s.dial(t, "127.0.0.1"))
	s.wantRefused(t, listen.TooManyClientConnections)
	exchange(t, s.dial(t, "127.0.0.2"), request)
	// The real address counts, not that of the load balancer.
	proxied := func(client string) string { return "PROXY TCP4 " + client + " 192.0.2.8 4711 443\r\n" + request }
	for _, client := range []string{"192.0.2.1", "192.0.2.2", "192.0.2.3", "192.0.2.1"} {
		exchange(t, s.dial(t, "127.0.0.9"), proxied(client))
	}
	wantClosed(t, func() net.Conn {
		c := s.dial(t, "127.0.0.9")
		_, _ = io.WriteString(c, "PROXY TCP4 192.0.2.1 192.0.2.8 4711 443\r\n")
		return c
	}())
	s.wantRefused(t, listen.TooManyClientConnections)
	open := s.Open()
	one.Close()
	s.await(t, open-1)
	exchange(t, s.dial(t, "127.0.0.1"), request)
}

// TestSlowClientHoldsUpNobody leaves connections open that say nothing, or half of what they should.
func TestSlowClientHoldsUpNobody(t *testing.T) {
	f, ca := folder(t.TempDir()), pemtest.NewAuthority(t, "authority")
	f.write(t, "a", ca.Issue("a.example"))
	s := serve(t, listen.Options{TLS: newTLS(t, f.config("a")), TrustedNetworks: networks(t, "127.0.0.2")})
	for _, half := range []string{"", "\x16\x03\x01", "PROXY "} {
		for range 5 {
			_, _ = io.WriteString(s.dial(t, "127.0.0.2"), half)
		}
	}
	client := s.client(&tls.Config{RootCAs: ca.Pool(), ServerName: "a.example"})
	s.get(t, client)
}

func TestSlowHandshakeEnds(t *testing.T) {
	f, ca := folder(t.TempDir()), pemtest.NewAuthority(t, "authority")
	f.write(t, "a", ca.Issue("a.example"))
	s := serve(t, listen.Options{TLS: newTLS(t, f.config("a")), TrustedNetworks: networks(t, "127.0.0.2"), HeaderTimeout: 50 * time.Millisecond})
	for from, want := range map[string]listen.Reason{"127.0.0.1": listen.FailedHandshake, "127.0.0.2": listen.BadProxyHeader} {
		c := s.dial(t, from)
		if _, err := c.Read(make([]byte, 1)); err == nil {
			t.Error("the server speaks first")
		} else if late, ok := errors.AsType[net.Error](err); ok && late.Timeout() {
			t.Error("the connection stays")
		}
		s.wantRefused(t, want)
	}
	s.await(t, 0)
}

// TestHandshakeLeavesNoDeadline has a request come later than a handshake may take.
func TestHandshakeLeavesNoDeadline(t *testing.T) {
	const timeout = 200 * time.Millisecond
	f, ca := folder(t.TempDir()), pemtest.NewAuthority(t, "authority")
	f.write(t, "a", ca.Issue("a.example"))
	s := serve(t, listen.Options{TLS: newTLS(t, f.config("a")), HeaderTimeout: timeout})
	c := tls.Client(s.dial(t, "127.0.0.1"), &tls.Config{RootCAs: ca.Pool(), ServerName: "a.example"})
	if err := c.Handshake(); err != nil {
		t.Fatal(err)
	}
	_ = c.SetReadDeadline(time.Now().Add(timeout + timeout/2))
	_, err := c.Read(make([]byte, 1))
	if late, ok := errors.AsType[net.Error](err); !ok || !late.Timeout() {
		t.Fatalf("a silent connection ends: %v", err)
	}
	_ = c.SetReadDeadline(time.Now().Add(10 * time.Second))
	exchange(t, c, request)
}

func TestCloseEndsConnectionsOnTheWay(t *testing.T) {
	f, ca := folder(t.TempDir()), pemtest.NewAuthority(t, "authority")
	f.write(t, "a", ca.Issue("a.example"))
	s := serve(t, listen.Options{TLS: newTLS(t, f.config("a")), TrustedNetworks: networks(t, "127.0.0.2"), HeaderTimeout: time.Hour})
	slow, proxied := s.dial(t, "127.0.0.1"), s.dial(t, "127.0.0.2")
	s.await(t, 2)
	if err := errors.Join(s.Close(), s.Close()); err != nil {
		t.Error(err)
	}
	for _, c := range []net.Conn{slow, proxied} {
		if _, err := c.Read(make([]byte, 1)); err == nil {
			t.Error("the server speaks first")
		}
	}
	s.await(t, 0)
	if len(s.refused) > 0 {
		t.Errorf("counted as refused: %s", <-s.refused)
	}
	if _, err := s.Accept(); !errors.Is(err, net.ErrClosed) {
		t.Errorf("Accept: %v", err)
	}
	if c, err := net.Dial("tcp", s.address); err == nil {
		c.Close()
		t.Error("the socket is open")
	}
}

// TestDetachHandsTheSocketOver serves a socket by one server, then by another, and loses no connection.
func TestDetachHandsTheSocketOver(t *testing.T) {
	s := serve(t, listen.Options{})
	kept := s.dial(t, "127.0.0.1")
	exchange(t, kept, request)
	if err := s.Detach(); err != nil {
		t.Fatal(err)
	}
	waiting := s.dial(t, "127.0.0.1") // Nobody accepts at the moment.
	exchange(t, kept, request)
	next := listen.New(s.socket, listen.Options{})
	server := &http.Server{Handler: http.HandlerFunc(tell), ConnContext: next.ConnContext, ReadHeaderTimeout: time.Minute}
	var running sync.WaitGroup
	running.Go(func() { _ = server.Serve(next) })
	defer running.Wait()
	defer server.Close()
	exchange(t, waiting, request)
	kept.Close()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	if err := s.server.Shutdown(ctx); err != nil {
		t.Error(err)
	}
	exchange(t, s.dial(t, "127.0.0.1"), request)
}

// TestDetachedTwiceLeavesTheNextAlone detaches a listener again after another one has taken its socket over.
func TestDetachedTwiceLeavesTheNextAlone(t *testing.T) {
	socket, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer socket.Close()
	for range 50 {
		first := listen.New(socket, listen.Options{})
		if err := first.Detach(); err != nil {
			t.Fatal(err)
		}
		second := listen.New(socket, listen.Options{})
		var racing sync.WaitGroup
		racing.Go(func() { _ = first.Detach() })
		racing.Go(func() { _ = second.Detach() })
		racing.Wait()
		_, _ = first.Close(), second.Close()
	}
}

// closedOnly is a listener without deadlines.
type closedOnly struct{ net.Listener }

func TestDetachNeedsDeadlines(t *testing.T) {
	socket, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	l := listen.New(closedOnly{socket}, listen.Options{})
	if err := l.Detach(); err == nil || !strings.Contains(err.Error(), "can't stop without being closed") {
		t.Errorf("%v", err)
	}
	if err := l.Close(); err != nil {
		t.Error(err)
	}
}

// failing is a listener whose Accept fails a few times, as for lack of file descriptors.
type failing struct {
	net.Listener
	failures chan error
}

func (f failing) Accept() (net.Conn, error) {
	select {
	case err := <-f.failures:
		return nil, err
	default:
		return f.Listener.Accept()
	}
}

func TestErrorsOfAcceptReachTheServer(t *testing.T) {
	socket, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	full := errors.New("too many open files")
	failures := make(chan error, 2)
	failures <- full
	failures <- full
	l := listen.New(failing{socket, failures}, listen.Options{})
	defer l.Close()
	for range 2 {
		if _, err := l.Accept(); !errors.Is(err, full) {
			t.Errorf("Accept: %v", err)
		}
	}
	c, err := net.Dial("tcp", socket.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	got, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	got.Close()
	socket.Close()
	if _, err := l.Accept(); !errors.Is(err, net.ErrClosed) {
		t.Errorf("Accept of a closed socket: %v", err)
	}
}
