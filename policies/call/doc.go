// Package call is the vocabulary that every policy shares: the call that is passing through, who makes it, its message,
// and how to refuse it. It is a leaf: it imports nothing else of Cardea, so that a policy needs no more than this.
//
// A policy is a [google.golang.org/grpc.StreamServerInterceptor]. It takes the [Call] out of the stream's context, reads
// what it needs through it, and either hands on to the next or returns what [Refuse] gives:
//
//	func Interceptor(opt *policyv1.Teapot) grpc.StreamServerInterceptor {
//		return func(srv any, ss grpc.ServerStream, info *grpc.StreamServerInfo, next grpc.StreamHandler) error {
//			c := call.FromContext(ss.Context())
//			if c.Header().Get("x-wants") == "coffee" {
//				return call.Refuse(codes.FailedPrecondition, "TEAPOT", "this method serves tea only")
//			}
//			return next(srv, ss)
//		}
//	}
//
// The messages that pass through RecvMsg and SendMsg are *[Message]: protobuf wire bytes, decoded only if somebody reads
// a field. Package calltest runs a policy against a call made up by a test.
//
//   - call.go: Call and what is known of its method
//   - reception.go: where the request came from
//   - principal.go: who is calling
//   - message.go: raw messages and their ownership
//   - refuse.go: refusals, and the errors of the gateway told from those of a backend
package call
