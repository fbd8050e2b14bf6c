// Command embed is a team's own gateway: Cardea as a library, the team's REST handlers linked in, and an interceptor of
// its own.
//
//	go run ./examples/embed --config examples/embed/gateway.yaml
package main

import (
	"context"
	"flag"
	"fmt"
	"log/slog"
	"os"
	"os/signal"
	"syscall"

	"google.golang.org/grpc"

	"github.com/cardea-gateway/cardea/gateway"
	geov1 "github.com/cardea-gateway/cardea/gen/go/food/geo/v1"
)

func main() {
	file := flag.String("config", "gateway.yaml", "configuration file")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	err := run(ctx, *file)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "embed:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, file string) error {
	gw, err := gateway.Open(file,
		gateway.WithREST(geov1.GeoService_ServiceDesc.ServiceName, geov1.NewGeoServiceClient, geov1.RegisterGeoServiceHandlerClient),
		gateway.WithInterceptors(logErrors),
		gateway.WithOnReady(func(a gateway.Addresses) { slog.Info("ready", "address", a.Listeners[0]) }),
	)
	if err != nil {
		return err
	}
	return gw.Serve(ctx)
}

// logErrors is any grpc.StreamServerInterceptor.
func logErrors(srv any, ss grpc.ServerStream, info *grpc.StreamServerInfo, next grpc.StreamHandler) error {
	err := next(srv, ss)
	if err != nil {
		slog.Warn("failed", "method", info.FullMethod, "error", err)
	}
	return err
}
