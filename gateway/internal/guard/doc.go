// Package guard stands between a connection and net/http and refuses what different servers read differently: whoever
// stands in front of the gateway and net/http must agree where a request ends, or one client's bytes become another
// client's request (request smuggling).
//
// [Wrap] gives a net.Conn that parses what net/http reads, in place and as it comes. It follows keep-alive and pipelining,
// since it knows the length of each body, and keeps nothing but a few counters. A byte that breaks the rules fails the
// Read before net/http can have seen a whole head, so that no handler runs; the client gets 400, 431 or 505 with a
// google.rpc.Status as JSON, and the connection ends. Where a body breaks the rules its request is under way: reading the
// body fails with a [Violation], or with an error of net/http's own in trailers, and whoever answers the request says so.
// What net/http itself refuses gets the same form.
//
// The rules are those of RFC 9112, without what it merely tolerates: every line ends with CRLF, one space separates the
// parts of the request line, targets are ASCII without a fragment, a field is a token, a colon and a value without control
// characters, on one line. Exactly one of Content-Length, in digits, and Transfer-Encoding, which is chunked, may stand
// once. HTTP/1.1 asks for one Host. Chunks carry no extensions; trailers carry no framing.
//
//   - framing.go: where each request begins and ends, byte by byte; the hot path
//   - conn.go: the connection
//   - violation.go: what is refused, and the answer
//
// A connection of HTTP/2 by prior knowledge begins with a preface; it is recognized and left alone.
package guard
