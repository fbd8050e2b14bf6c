package chain

import (
	"slices"

	"google.golang.org/grpc"
)

// Fold makes one handler of a list of interceptors, in the order in which a call meets them, and the end of the chain.
// It is done once for each method, when the configuration is loaded; nil interceptors are left out.
func Fold(info *grpc.StreamServerInfo, end grpc.StreamHandler, interceptors ...grpc.StreamServerInterceptor) grpc.StreamHandler {
	for _, interceptor := range slices.Backward(interceptors) {
		next := end
		if interceptor == nil {
			continue
		}
		end = func(srv any, ss grpc.ServerStream) error { return interceptor(srv, ss, info, next) }
	}
	return end
}
