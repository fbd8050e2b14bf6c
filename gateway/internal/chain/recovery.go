package chain

import (
	"context"
	"log/slog"
	"runtime/debug"

	"github.com/grpc-ecosystem/go-grpc-middleware/v2/interceptors/recovery"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"

	"github.com/cardea-gateway/cardea/policies/call"
)

// Recover turns a panic below it into an INTERNAL error: one call fails, the process goes on, and the log has the stack.
func Recover(log *slog.Logger) grpc.StreamServerInterceptor {
	return recovery.StreamServerInterceptor(recovery.WithRecoveryHandlerContext(func(ctx context.Context, v any) error {
		log.Error("a call panicked", "method", call.FromContext(ctx).Method().FullName, "panic", v, "stack", string(debug.Stack()))
		return call.Refuse(codes.Internal, "GATEWAY_FAILURE", "the gateway failed to handle the call")
	}))
}
