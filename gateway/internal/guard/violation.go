package guard

import (
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"time"
)

// Bounds on telling a client why it is refused.
const (
	writeTimeout = time.Second
	lingerTime   = 500 * time.Millisecond
	lingerBytes  = 256 << 10
)

// Violation is why a connection is refused. It is immutable.
type Violation struct {
	// Status is the HTTP status that the client gets.
	Status int
	// Reason is that of the google.rpc.ErrorInfo; empty is MALFORMED_HTTP.
	Reason string
	// Message says what is wrong; it holds nothing that the client sent.
	Message string
}

func (v *Violation) Error() string { return "malformed HTTP: " + v.Message }

const reasonMalformed = "MALFORMED_HTTP"

func refuseAs(status int, reason, message string) *Violation {
	return &Violation{status, reason, message}
}

func malformed(message string) *Violation {
	return refuseAs(http.StatusBadRequest, reasonMalformed, message)
}

var (
	errRequestLine = malformed("the request line is not a method, a target and a version with one space in between")
	errTarget      = malformed("the target holds a character that must be percent-encoded")
	errVersion     = refuseAs(http.StatusHTTPVersionNotSupported, reasonMalformed, "only HTTP/1.0, HTTP/1.1 and HTTP/2 are spoken here")
	errLineEnd     = malformed("a line does not end with CR LF")
	errFold        = malformed("a header line begins with whitespace")
	errName        = malformed("a header name holds a character that it must not hold, or no colon follows it")
	errControl     = malformed("a header value holds a control character")
	errUnderscore  = malformed("a header looks like one that frames the request")
	errRepeated    = malformed("Host, Content-Length and Transfer-Encoding may stand once")
	errLength      = malformed("Content-Length is not a plain decimal number")
	errEncoding    = malformed("Transfer-Encoding is not chunked")
	errBoth        = malformed("Content-Length and Transfer-Encoding exclude each other")
	errOldChunked  = malformed("HTTP/1.0 has no Transfer-Encoding")
	errHost        = malformed("Host is missing")
	errChunkSize   = malformed("a chunk size is not a plain hexadecimal number of up to 8 digits")
	errChunkEnd    = malformed("a chunk is not as long as it says")
	errExtension   = malformed("chunk extensions are not accepted")
	errTrailer     = malformed("a trailer frames the request")
	errHeadBytes   = refuseAs(http.StatusRequestHeaderFieldsTooLarge, "HEADERS_TOO_LARGE", "the header is too large")
	errHeadFields  = refuseAs(http.StatusRequestHeaderFieldsTooLarge, "TOO_MANY_HEADERS", "the header has too many fields")
)

// Reject answers a violation on a connection and lingers. The caller closes the connection.
func Reject(conn net.Conn, v *Violation) {
	_ = conn.SetDeadline(time.Now().Add(writeTimeout))
	if _, err := conn.Write(v.answer(time.Now())); err == nil {
		Linger(conn)
	}
}

// Linger ends what is sent on a connection and waits for a moment until the client has it all, or has gone: closing a
// connection with unread bytes would reset it, and the last words would be lost. The caller closes the connection.
func Linger(conn net.Conn) {
	closeWrite(conn)
	_ = conn.SetDeadline(time.Now().Add(lingerTime))
	_, _ = io.CopyN(io.Discard, conn, lingerBytes)
}

func closeWrite(conn net.Conn) {
	if half, ok := conn.(interface{ CloseWrite() error }); ok {
		_ = half.CloseWrite()
	}
}

// answer is the whole HTTP response.
func (v *Violation) answer(now time.Time) []byte {
	message, _ := json.Marshal(v.Message) //nolint:errchkjson // A string always has a JSON form.
	code := 3                             // INVALID_ARGUMENT
	if v.Status == http.StatusRequestHeaderFieldsTooLarge {
		code = 8 // RESOURCE_EXHAUSTED
	}
	body := fmt.Appendf(nil, `{"code":%d,"message":%s,"details":[{"@type":"type.googleapis.com/google.rpc.ErrorInfo",`+
		`"reason":"%s","domain":"cardea"}]}`, code, message, cmp.Or(v.Reason, reasonMalformed))
	return fmt.Appendf(nil, "HTTP/1.1 %d %s\r\ncontent-type: application/json\r\ncontent-length: %d\r\ncardea-origin: gateway\r\n"+
		"Date: %s\r\nConnection: close\r\n\r\n%s",
		v.Status, http.StatusText(v.Status), len(body), now.UTC().Format(http.TimeFormat), body)
}
