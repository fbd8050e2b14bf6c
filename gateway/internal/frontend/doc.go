// Package frontend turns the protocols of clients into calls: a front end reads an [Exchange], finds the [Plan] of the
// method that is meant, and runs the plan's chain with a grpc.ServerStream of raw messages. Policies and backends behind
// it can't tell which protocol the client speaks.
//
// Nothing here but nethttp.go knows which HTTP implementation runs below, and nothing but mount.go sees an http.Request
// (made up for the handlers that protoc-gen-grpc-gateway generates).
//
//   - exchange.go: one HTTP request and its answer, as front ends see them; nethttp.go implements it on net/http
//   - table.go: what front ends look calls up in; front.go: which front end an exchange belongs to
//   - reception.go, forwarded.go, path.go: who sends a request, as far as trusted proxies tell; what is refused for its form
//   - grpc.go, frame.go: gRPC over HTTP/2; its 5-byte framing and compression
//   - rest.go, reststream.go: REST with JSON, from a route to an answer; restbuffer.go: bodies into buffers
//   - compiled.go: messages by compiled programs; jsonvalues.go: the values of a client stream
//   - mount.go, generated.go, marshal.go: the generated handlers and their way into the chain
//   - stream.go: what all streams share: context, response metadata
//   - metadata.go: headers to metadata and back
//   - life.go, timeout.go: how long a call may last; the headers by which clients say so
//   - status.go: the only place that maps codes; problem.go: errors as HTTP clients read them
package frontend
