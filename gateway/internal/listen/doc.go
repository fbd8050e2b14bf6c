// Package listen is what stands between a socket and net/http: who may connect, as whom, and over what.
//
// A [Listener] takes connections off a net.Listener and brings each to the point where a request can be read from it, in a
// goroutine of its own, so that a slow client holds up nobody else:
//
//	accept ► limit of all connections ► PROXY protocol, from trusted networks ► limit of the client's connections
//	  ► TLS handshake ► guard of HTTP/1 framing
//
// What net/http gets is a *tls.Conn where HTTP/2 was agreed on, since it speaks HTTP/2 over TLS on no other type, and a
// guarded connection everywhere else. [Listener.ConnContext] puts the [Facts] of a connection into the context of its
// requests.
//
// [TLS] holds a listener's certificates. It reads them anew when they change, and goes on with those that it has as long
// as the new ones can't be used.
//
//   - listener.go: accepting, the steps above, closing and handing over
//   - conn.go: one connection, and what is known of it
//   - census.go: how many connections there are
//   - tls.go: certificates and their choice
//   - watch.go: changed files
package listen
