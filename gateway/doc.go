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
//   - listener.go: addresses, over reloads; server.go: one server on one of them, and how it drains
//   - pipeline.go: what a call meets, in order: the table of contents of the product
//   - snapshot.go: a configuration compiled; table.go: what one listener serves to those who ask for a host; sites.go: hosts
//   - generation.go: snapshots in force and out of it; reload.go: from one to the next
//   - operator.go: the admin API; routes.go: what is served
package gateway
