// Command vanguard is Vanguard in front of a reverse proxy, which is how its examples make it a gateway: one service that
// speaks gRPC with protobuf and no compression, one HTTP/2 connection to the backend without TLS, and copies through
// pooled buffers. The messages are generated types, which are faster than those of a descriptor.
package main

import (
	"flag"
	"net/http"
	"net/http/httputil"
	"net/url"
	"sync"

	"connectrpc.com/vanguard"

	"github.com/cardea-gateway/cardea/bench/internal/announce"
	orderv1 "github.com/cardea-gateway/cardea/gen/go/food/order/v1"
)

func main() {
	backend := flag.String("backend", "", "address of the backend")
	flag.Parse()
	announce.Exit(run(*backend))
}

func run(backend string) error {
	service := vanguard.NewService(orderv1.OrderService_ServiceDesc.ServiceName, proxy(backend),
		vanguard.WithTargetProtocols(vanguard.ProtocolGRPC), vanguard.WithTargetCodecs(vanguard.CodecProto),
		vanguard.WithNoTargetCompression())
	transcoder, err := vanguard.NewTranscoder([]*vanguard.Service{service})
	if err != nil {
		return err
	}
	listener, err := announce.Listen(announce.Serving)
	if err != nil {
		return err
	}
	return http.Serve(listener, transcoder)
}

func proxy(backend string) http.Handler {
	transport := &http.Transport{DisableCompression: true, Protocols: new(http.Protocols)}
	transport.Protocols.SetUnencryptedHTTP2(true)
	target := &url.URL{Scheme: "http", Host: backend}
	return &httputil.ReverseProxy{
		Rewrite:    func(r *httputil.ProxyRequest) { r.SetURL(target) },
		Transport:  transport,
		BufferPool: new(buffers),
	}
}

// buffers are for copying answers.
type buffers struct{ pool sync.Pool }

// Get implements httputil.BufferPool.
func (b *buffers) Get() []byte {
	if buffer, ok := b.pool.Get().(*[]byte); ok {
		return *buffer
	}
	return make([]byte, 32<<10)
}

// Put implements httputil.BufferPool.
func (b *buffers) Put(buffer []byte) { b.pool.Put(&buffer) }
