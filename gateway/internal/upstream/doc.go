// Package upstream is the far side of the gateway: a [Backend] opens raw streams on one of its instances. It is the seam
// below which another data plane can stand; grpc-go is the first. Above it, an attempt chain of
// grpc.StreamClientInterceptor is shared by whatever sends calls.
//
//   - backend.go: a backend, its resolver and its balancer
//   - pool.go: connections shared by backends, and kept over reloads
//   - attempt.go: the attempt chain, and what is noted of one attempt
//   - codec.go: messages as raw bytes
//   - tls.go: TLS to instances, with files that change
package upstream
