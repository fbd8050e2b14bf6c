package main

import (
	"context"

	"github.com/grpc-ecosystem/grpc-gateway/v2/runtime"
	"google.golang.org/grpc"

	"github.com/cardea-gateway/cardea/gateway"
	deliveryv1 "github.com/cardea-gateway/cardea/gen/go/food/delivery/v1"
	geov1 "github.com/cardea-gateway/cardea/gen/go/food/geo/v1"
	inventoryv1 "github.com/cardea-gateway/cardea/gen/go/food/inventory/v1"
	orderv1 "github.com/cardea-gateway/cardea/gen/go/food/order/v1"
	paymentv1 "github.com/cardea-gateway/cardea/gen/go/food/payment/v1"
)

// linked are the services whose generated REST handlers are part of this binary.
func linked() []gateway.Option {
	return []gateway.Option{
		gateway.WithVersion(version),
		rest(orderv1.OrderService_ServiceDesc, orderv1.NewOrderServiceClient, orderv1.RegisterOrderServiceHandlerClient),
		rest(inventoryv1.InventoryService_ServiceDesc, inventoryv1.NewInventoryServiceClient,
			inventoryv1.RegisterInventoryServiceHandlerClient),
		rest(paymentv1.PaymentService_ServiceDesc, paymentv1.NewPaymentServiceClient, paymentv1.RegisterPaymentServiceHandlerClient),
		rest(deliveryv1.DeliveryService_ServiceDesc, deliveryv1.NewDeliveryServiceClient,
			deliveryv1.RegisterDeliveryServiceHandlerClient),
		rest(geov1.GeoService_ServiceDesc, geov1.NewGeoServiceClient, geov1.RegisterGeoServiceHandlerClient),
	}
}

func rest[C any](
	desc grpc.ServiceDesc, newClient func(grpc.ClientConnInterface) C, register func(context.Context, *runtime.ServeMux, C) error,
) gateway.Option {
	return gateway.WithREST(desc.ServiceName, newClient, register)
}
