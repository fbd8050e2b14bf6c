// Package gateway is Cardea as a library: an API gateway for gRPC services, with REST, in a process of your own.
//
//	gw, err := gateway.Open("cardea.yaml",
//		gateway.WithREST("food.geo.v1.GeoService", geov1.NewGeoServiceClient, geov1.RegisterGeoServiceHandlerClient))
//	...
//	err = gw.Serve(ctx)
//
// The order of the files is the way of a call:
//
//   - gateway.go: Open, New, Serve; options.go: what they take
//   - server.go: listeners, admin address, graceful stop
//   - pipeline.go: what a call meets, in order: the table of contents of the product
//   - snapshot.go: configuration and contracts compiled into plans and routes; routes.go shows them
package gateway
