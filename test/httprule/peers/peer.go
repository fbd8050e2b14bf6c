package main

import (
	"bufio"
	"context"
	"fmt"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"os"
	"os/exec"
	"strings"
	"time"

	"connectrpc.com/vanguard"
	"github.com/grpc-ecosystem/grpc-gateway/v2/runtime"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"

	"github.com/cardea-gateway/cardea/test/httprule"
	httprulev1 "github.com/cardea-gateway/cardea/test/httprule/gen/httprule/v1"
)

// peer is a transcoder, as its defaults have it.
type peer struct {
	name  string
	start func(ctx context.Context, backend string) (address string, stop func(), err error)
}

// peers returns Cardea, and then the others.
func peers(cardea, envoy, folder string) []peer {
	return []peer{
		{"Cardea", func(ctx context.Context, backend string) (string, func(), error) {
			p, err := httprule.StartCardea(ctx, cardea, folder, backend)
			if err != nil {
				return "", nil, err
			}
			return p.Address, p.Stop, nil
		}},
		{"grpc-gateway", startGRPCGateway},
		{"Vanguard", startVanguard},
		{"Envoy", func(ctx context.Context, backend string) (string, func(), error) {
			return startEnvoy(ctx, envoy, folder, backend)
		}},
	}
}

// startGRPCGateway runs the generated handlers on a mux without options. Its generator refuses a path variable that is a
// field mask, so the service with one has no handlers.
func startGRPCGateway(ctx context.Context, backend string) (string, func(), error) {
	conn, err := grpc.NewClient("passthrough:///"+backend, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		return "", nil, err
	}
	mux := runtime.NewServeMux()
	if err := httprulev1.RegisterBindingsHandler(ctx, mux, conn); err != nil {
		return "", nil, err
	}
	if err := httprulev1.RegisterTemplatesHandler(ctx, mux, conn); err != nil {
		return "", nil, err
	}
	address, stop, err := serve(mux)
	return address, func() { stop(); _ = conn.Close() }, err
}

// startVanguard runs Vanguard in a process of its own, since there are requests that end it.
func startVanguard(ctx context.Context, backend string) (string, func(), error) {
	self, err := os.Executable()
	if err != nil {
		return "", nil, err
	}
	cmd := exec.CommandContext(ctx, self, "-vanguard", backend)
	output, err := cmd.StdoutPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		return "", nil, err
	}
	stop := func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	}
	address, err := bufio.NewReader(output).ReadString('\n')
	if err != nil {
		stop()
		return "", nil, err
	}
	return strings.TrimSpace(address), stop, nil
}

// beVanguard serves by a transcoder in front of a reverse proxy, as its documentation shows, and prints its address. It
// refuses a service with a body that is a nested field.
func beVanguard(backend string) error {
	transport := &http.Transport{Protocols: new(http.Protocols)}
	transport.Protocols.SetUnencryptedHTTP2(true)
	target := &url.URL{Scheme: "http", Host: backend}
	proxy := &httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) { r.SetURL(target) }, Transport: transport}
	var services []*vanguard.Service
	for _, name := range httprule.Services[:2] {
		services = append(services, vanguard.NewService(name, proxy,
			vanguard.WithTargetProtocols(vanguard.ProtocolGRPC), vanguard.WithTargetCodecs(vanguard.CodecProto)))
	}
	transcoder, err := vanguard.NewTranscoder(services)
	if err != nil {
		return err
	}
	address, _, err := serve(transcoder)
	if err != nil {
		return err
	}
	fmt.Fprintln(os.Stdout, address)
	select {} // Until it is killed.
}

// serve serves a handler on loopback.
func serve(handler http.Handler) (string, func(), error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", nil, err
	}
	server := &http.Server{Handler: handler, ReadHeaderTimeout: 10 * time.Second}
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = server.Serve(listener)
	}()
	return listener.Addr().String(), func() { _ = server.Close(); <-done }, nil
}
