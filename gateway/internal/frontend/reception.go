package frontend

import (
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"math/rand/v2"
	"net"
	"net/http"

	"google.golang.org/grpc/peer"

	"github.com/cardea-gateway/cardea/policies/call"
)

// receive notes who sends a request, and gives it a name.
func (t *Table) receive(x Exchange, r *call.Reception) {
	locate(x, t.TrustedProxies, r)
	r.RequestID = x.Header().Get("x-request-id")
	if r.RequestID == "" || !isRequestID(r.RequestID) || !isTrusted(t.TrustedProxies, x.Remote().Addr()) {
		r.RequestID = newRequestID()
	}
}

// isRequestID tells whether a name is harmless wherever it is written: in headers, logs and shells.
func isRequestID(id string) bool {
	for i := range len(id) {
		c := id[i] | 0x20
		if (c < 'a' || c > 'z') && (id[i] < '0' || id[i] > ':') && id[i] != '.' && id[i] != '_' && id[i] != '-' {
			return false
		}
	}
	return len(id) <= 128
}

// newRequestID returns 128 random bits. They name a request; they are no secret.
func newRequestID() string {
	var id [16]byte
	binary.LittleEndian.PutUint64(id[:], rand.Uint64())  //nolint:gosec // No secret, and ChaCha8 all the same.
	binary.LittleEndian.PutUint64(id[8:], rand.Uint64()) //nolint:gosec // The same.
	return hex.EncodeToString(id[:])
}

// admit refuses a request for its form alone, before anything has looked at what it means.
func (t *Table) admit(x Exchange) error {
	switch {
	case over(len(x.Target()), t.Limits.MaxURLBytes):
		return refuseAs(http.StatusRequestURITooLong, "URL_TOO_LONG",
			fmt.Sprintf("path and query are longer than the limit of %d bytes", t.Limits.MaxURLBytes))
	case over(x.HeaderFields(), t.Limits.MaxHeaders):
		return refuseAs(http.StatusRequestHeaderFieldsTooLarge, "TOO_MANY_HEADERS",
			fmt.Sprintf("the request has more than the limit of %d header fields", t.Limits.MaxHeaders))
	}
	return nil
}

// over tells whether a number is beyond a limit; 0 is none.
func over(n, limit int) bool { return limit > 0 && n > limit }

// peerOf returns the client as a grpc server would show it to interceptors. AuthInfo is that of the connection, so with a
// trusted proxy in between it tells of the proxy.
func peerOf(x Exchange, r *call.Reception) *peer.Peer {
	p := x.Peer()
	if r.Client != x.Remote() {
		p.Addr = net.TCPAddrFromAddrPort(r.Client)
	}
	return p
}
