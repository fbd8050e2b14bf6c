// Command embedded is Cardea as a library, in a process that has the generated REST handlers of one service. It takes the
// command line of the real binary:
//
//	embedded serve --config cardea.yaml
package main

import (
	"context"
	"errors"
	"flag"
	"os"
	"os/signal"
	"syscall"

	"github.com/cardea-gateway/cardea/bench/internal/announce"
	"github.com/cardea-gateway/cardea/gateway"
	orderv1 "github.com/cardea-gateway/cardea/gen/go/food/order/v1"
)

func main() {
	serve := flag.NewFlagSet("serve", flag.ExitOnError)
	file := serve.String("config", "", "configuration file")
	if len(os.Args) < 2 || os.Args[1] != serve.Name() {
		announce.Exit(errors.New("usage: embedded serve --config FILE"))
	}
	_ = serve.Parse(os.Args[2:]) // It exits by itself.
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	if err := run(ctx, *file); err != nil {
		announce.Exit(err)
	}
}

func run(ctx context.Context, file string) error {
	gw, err := gateway.Open(file,
		gateway.WithREST(orderv1.OrderService_ServiceDesc.ServiceName, orderv1.NewOrderServiceClient,
			orderv1.RegisterOrderServiceHandlerClient),
		gateway.WithOnReady(func(a gateway.Addresses) {
			announce.Address(os.Stderr, announce.Serving, a.Listeners[0])
			announce.Address(os.Stderr, announce.Admin, a.Admin)
		}))
	if err != nil {
		return err
	}
	return gw.Serve(ctx)
}
