package food

import (
	"context"
	"fmt"
	"net"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"

	"github.com/cardea-gateway/cardea/examples/food/delivery"
	"github.com/cardea-gateway/cardea/examples/food/geo"
	"github.com/cardea-gateway/cardea/examples/food/inventory"
	"github.com/cardea-gateway/cardea/examples/food/order"
	"github.com/cardea-gateway/cardea/examples/food/payment"
	"github.com/cardea-gateway/cardea/examples/food/store"
	deliveryv1 "github.com/cardea-gateway/cardea/gen/go/food/delivery/v1"
	geov1 "github.com/cardea-gateway/cardea/gen/go/food/geo/v1"
	inventoryv1 "github.com/cardea-gateway/cardea/gen/go/food/inventory/v1"
	orderv1 "github.com/cardea-gateway/cardea/gen/go/food/order/v1"
	paymentv1 "github.com/cardea-gateway/cardea/gen/go/food/payment/v1"
	storev1 "github.com/cardea-gateway/cardea/gen/go/food/store/v1"
)

// Store is the name of the service that keeps the state of the others. It is none of [Names]: no client calls it.
const Store = "store"

// Names returns the services that clients call.
func Names() []string {
	return []string{"order", "inventory", "payment", "delivery", "geo"}
}

// Serve runs one instance of a service (one of [Names], or [Store]) until ctx ends, then lets calls in flight finish for
// at most five seconds, and returns nil. It listens on the address, such as "127.0.0.1:0", and tells ready where that
// is. The state is in the store at storeAddress, or in a store of its own if that is empty. The pace is how long an
// order stays in each status; zero is the default.
//
// Besides the service it has grpc.health.v1 and server reflection, and every answer carries the address of the instance
// in the header food-instance.
func Serve(
	ctx context.Context, service, address, storeAddress string, pace time.Duration, ready func(net.Addr),
) error {
	register, err := registrar(service, pace)
	if err != nil {
		return err
	}
	s, closeStore, err := connect(storeAddress)
	if err != nil {
		return err
	}
	defer closeStore()
	var lc net.ListenConfig
	lis, err := lc.Listen(ctx, "tcp", address)
	if err != nil {
		return fmt.Errorf("food: %w", err)
	}
	instance := newInstance(lis.Addr().String())
	register(instance.server, s)
	ready(lis.Addr())
	return instance.serve(ctx, lis)
}

// registrar returns the function that puts a service on a server.
func registrar(service string, pace time.Duration) (func(grpc.ServiceRegistrar, store.Store), error) {
	switch service {
	case "order":
		return func(r grpc.ServiceRegistrar, s store.Store) {
			orderv1.RegisterOrderServiceServer(r, order.New(s, order.Options{Pace: pace}))
		}, nil
	case "inventory":
		return func(r grpc.ServiceRegistrar, s store.Store) {
			inventoryv1.RegisterInventoryServiceServer(r, inventory.New(s))
		}, nil
	case "payment":
		return func(r grpc.ServiceRegistrar, s store.Store) {
			paymentv1.RegisterPaymentServiceServer(r, payment.New(s))
		}, nil
	case "delivery":
		return func(r grpc.ServiceRegistrar, s store.Store) {
			deliveryv1.RegisterDeliveryServiceServer(r, delivery.New(s, delivery.Options{Pace: pace}))
		}, nil
	case "geo":
		return func(r grpc.ServiceRegistrar, _ store.Store) { geov1.RegisterGeoServiceServer(r, geo.New()) }, nil
	case Store:
		return func(r grpc.ServiceRegistrar, s store.Store) { storev1.RegisterStoreServiceServer(r, store.New(s)) }, nil
	default:
		return nil, fmt.Errorf("food: there is no service %q", service)
	}
}

// connect returns the store at an address, and how to let go of it.
func connect(address string) (s store.Store, release func(), err error) {
	if address == "" {
		return store.NewMemory(), func() {}, nil
	}
	cc, err := grpc.NewClient(address, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		return nil, nil, fmt.Errorf("food: %w", err)
	}
	return store.NewClient(cc), func() { _ = cc.Close() }, nil
}
