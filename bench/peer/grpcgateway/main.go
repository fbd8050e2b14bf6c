// Command grpcgateway is grpc-gateway as its users run it: the generated handlers on a ServeMux, net/http in front, a
// grpc.ClientConn behind.
package main

import (
	"context"
	"flag"
	"net/http"

	"github.com/grpc-ecosystem/grpc-gateway/v2/runtime"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"

	"github.com/cardea-gateway/cardea/bench/internal/announce"
	orderv1 "github.com/cardea-gateway/cardea/gen/go/food/order/v1"
)

func main() {
	backend := flag.String("backend", "", "address of the backend")
	flag.Parse()
	announce.Exit(run(context.Background(), *backend))
}

func run(ctx context.Context, backend string) error {
	conn, err := grpc.NewClient(backend, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		return err
	}
	mux := runtime.NewServeMux()
	if err := orderv1.RegisterOrderServiceHandler(ctx, mux, conn); err != nil {
		return err
	}
	listener, err := announce.Listen(announce.Serving)
	if err != nil {
		return err
	}
	return http.Serve(listener, mux)
}
