package main

import (
	deliveryv1 "github.com/cardea-gateway/cardea/gen/go/food/delivery/v1"
	geov1 "github.com/cardea-gateway/cardea/gen/go/food/geo/v1"
	inventoryv1 "github.com/cardea-gateway/cardea/gen/go/food/inventory/v1"
	orderv1 "github.com/cardea-gateway/cardea/gen/go/food/order/v1"
	paymentv1 "github.com/cardea-gateway/cardea/gen/go/food/payment/v1"
	"github.com/cardea-gateway/cardea/gateway"
)

// linked are the services whose generated REST handlers are part of this binary.
func linked() []gateway.Option {
	return []gateway.Option{
		gateway.WithVersion(version),
		gateway.WithREST(orderv1.OrderService_ServiceDesc.ServiceName, orderv1.NewOrderServiceClient, orderv1.RegisterOrderServiceHandlerClient),
		gateway.WithREST(inventoryv1.InventoryService_ServiceDesc.ServiceName, inventoryv1.NewInventoryServiceClient, inventoryv1.RegisterInventoryServiceHandlerClient),
		gateway.WithREST(paymentv1.PaymentService_ServiceDesc.ServiceName, paymentv1.NewPaymentServiceClient, paymentv1.RegisterPaymentServiceHandlerClient),
		gateway.WithREST(deliveryv1.DeliveryService_ServiceDesc.ServiceName, deliveryv1.NewDeliveryServiceClient, deliveryv1.RegisterDeliveryServiceHandlerClient),
		gateway.WithREST(geov1.GeoService_ServiceDesc.ServiceName, geov1.NewGeoServiceClient, geov1.RegisterGeoServiceHandlerClient),
	}
}
