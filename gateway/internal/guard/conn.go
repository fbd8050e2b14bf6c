package guard

import (
	"bytes"
	"crypto/tls"
	"net"
	"net/http"
	"strconv"
	"strings"
	"sync/atomic"
	"time"
)

// preface begins every HTTP/2 connection.
const preface = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"

// Options bound what a connection may send.
type Options struct {
	// MaxHeaderBytes bounds request line and header fields. 0: 64 KiB.
	MaxHeaderBytes int
	// MaxHeaders bounds the number of header fields, and of trailers. 0: 100.
	MaxHeaders int
	// HTTP2 lets connections pass that begin with the preface of HTTP/2.
	HTTP2 bool
	// OnViolation, if set, hears of each connection that is refused, once. It must not block.
	OnViolation func(*Violation)
}

// conn is a guarded connection. As any net.Conn that net/http serves, it has one reader at a time.
type conn struct {
	net.Conn
	framing framing
	hear    func(*Violation)

	// The first bytes, until it is known which protocol they are of.
	first          [len(preface)]byte
	got, given     int
	sniffing, open bool

	violation *Violation
	stoodIn   bool
	refused   bool
	answering atomic.Bool // Something of the present response was written.
}

// secure is a guarded connection over TLS: net/http takes Request.TLS from a connection that has this method.
type secure struct {
	*conn
	tls *tls.Conn
}

func (s secure) ConnectionState() tls.ConnectionState { return s.tls.ConnectionState() }

// Wrap returns a connection for net/http that refuses malformed HTTP/1. If c is a *tls.Conn, its handshake must be over,
// and another protocol than h2 agreed on.
func Wrap(c net.Conn, o Options) net.Conn {
	g := &conn{Conn: c, hear: o.OnViolation, sniffing: o.HTTP2}
	g.framing.maxBytes, g.framing.maxFields = o.MaxHeaderBytes, o.MaxHeaders
	if g.framing.maxBytes == 0 {
		g.framing.maxBytes = 64 << 10
	}
	if g.framing.maxFields == 0 {
		g.framing.maxFields = 100
	}
	if t, ok := c.(*tls.Conn); ok {
		return secure{g, t}
	}
	return g
}

// NetConn returns the connection that is guarded.
func (c *conn) NetConn() net.Conn { return c.Conn }

// CloseWrite is what net/http calls before it closes a connection on which a client may still be sending.
func (c *conn) CloseWrite() error {
	closeWrite(c.Conn)
	return nil
}

// Read reads and looks. Of bytes that break the rules it passes on none of the request they belong to, or as much of its
// body as was well-formed, and fails the next time.
func (c *conn) Read(p []byte) (int, error) {
	if c.violation != nil {
		return c.fail(p)
	}
	n, err := c.read(p)
	if c.open || n == 0 {
		return n, err
	}
	passed, v := c.framing.feed(p[:n])
	if v == nil {
		return n, err
	}
	c.violation = v
	if c.hear != nil {
		c.hear(v)
	}
	if passed > 0 {
		return passed, nil
	}
	return c.fail(p)
}

// read reads without looking.
func (c *conn) read(p []byte) (int, error) {
	if c.sniffing {
		if err := c.sniff(); err != nil {
			return 0, err
		}
	}
	if c.given < c.got {
		n := copy(p, c.first[c.given:c.got])
		c.given += n
		return n, nil
	}
	return c.Conn.Read(p)
}

// sniff reads until the protocol is known. The bytes are held back: net/http serves "PRI *" as a request if the rest of
// the preface does not follow.
func (c *conn) sniff() error {
	var err error
	for err == nil && c.got < len(preface) && strings.HasPrefix(preface, string(c.first[:c.got])) {
		var n int
		n, err = c.Conn.Read(c.first[c.got:])
		c.got += n
	}
	if c.got > 0 {
		err = nil // It comes again with the next Read.
	}
	c.sniffing, c.open = err != nil, string(c.first[:c.got]) == preface
	return err
}

// fail answers a violation and returns it, in a form that makes net/http close the connection without a word.
func (c *conn) fail(p []byte) (int, error) {
	if c.framing.inHead() {
		// While a handler runs, net/http reads ahead by one byte to see whether the client is still there; an error would
		// cancel the call, which is not at fault, and a response may be half written. The byte is never looked at: the next
		// Read, for the head it seems to belong to, fails.
		if len(p) == 1 && !c.stoodIn {
			c.stoodIn, p[0] = true, 'x'
			return 1, nil
		}
		c.refuse(c.violation)
	}
	return 0, &net.OpError{Op: "read", Net: "tcp", Source: c.LocalAddr(), Addr: c.RemoteAddr(), Err: c.violation}
}

func (c *conn) refuse(v *Violation) {
	if !c.refused {
		c.refused = true
		Reject(c.Conn, v)
	}
}

// Write writes. If net/http refuses a request by itself, it writes the answer in one piece and instead of a response.
func (c *conn) Write(p []byte) (int, error) {
	if c.open || c.answering.Swap(true) {
		return c.Conn.Write(p)
	}
	v := refusal(p)
	if v == nil {
		return c.Conn.Write(p)
	}
	c.refuse(v)
	return len(p), nil
}

// SetWriteDeadline is how net/http ends each response, with the zero time, before it looks for the next request.
func (c *conn) SetWriteDeadline(t time.Time) error {
	if t.IsZero() {
		c.answering.Store(false)
	}
	return c.Conn.SetWriteDeadline(t)
}

// refusal returns what net/http says when it refuses a request, or nil if p is something else: responses of handlers have
// other headers, a Date at least.
func refusal(p []byte) *Violation {
	const status, headers = "HTTP/1.1 400 ", "Content-Type: text/plain; charset=utf-8\r\nConnection: close"
	if len(p) < len(status) || p[9] != '4' && p[9] != '5' || string(p[:9]) != status[:9] {
		return nil
	}
	line, rest, _ := bytes.Cut(p, []byte("\r\n"))
	head, _, found := bytes.Cut(rest, []byte("\r\n\r\n"))
	if !found || string(head) != headers {
		return nil
	}
	for _, code := range []int{http.StatusBadRequest, http.StatusRequestHeaderFieldsTooLarge, http.StatusHTTPVersionNotSupported} {
		reason, ok := strings.CutPrefix(string(line[9:]), strconv.Itoa(code)+" "+http.StatusText(code))
		if !ok {
			continue
		}
		if reason = strings.TrimPrefix(reason, ": "); reason == "" {
			reason = "the request can't be read"
		}
		return &Violation{Status: code, Message: reason}
	}
	return nil
}
