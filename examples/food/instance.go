package food

import (
	"context"
	"errors"
	"fmt"
	"net"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/health"
	healthgrpc "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/reflection"

	"github.com/cardea-gateway/cardea/examples/food/internal/contract"
)

// drainTime is how long calls in flight may take to finish when an instance stops.
const drainTime = 5 * time.Second

// instanceHeader tells which instance answered.
const instanceHeader = "food-instance"

// instance is a gRPC server with what every service has: validation, health, reflection and a name tag.
type instance struct {
	server *grpc.Server
	health *health.Server
}

func newInstance(address string) *instance {
	tag := metadata.Pairs(instanceHeader, address)
	i := &instance{
		health: health.NewServer(),
		server: grpc.NewServer(
			grpc.ChainUnaryInterceptor(tagUnary(tag), contract.Unary),
			grpc.ChainStreamInterceptor(tagStream(tag), contract.Stream),
		),
	}
	healthgrpc.RegisterHealthServer(i.server, i.health)
	reflection.Register(i.server)
	return i
}

// serve answers calls until ctx ends, then stops: gracefully at first.
func (i *instance) serve(ctx context.Context, lis net.Listener) error {
	for name := range i.server.GetServiceInfo() {
		i.health.SetServingStatus(name, healthgrpc.HealthCheckResponse_SERVING)
	}
	stopped := make(chan struct{})
	stop := context.AfterFunc(ctx, func() {
		defer close(stopped)
		i.drain()
	})
	// If ctx ended so early that the server was stopped before it served, it stopped as asked all the same.
	if err := i.server.Serve(lis); err != nil && !errors.Is(err, grpc.ErrServerStopped) {
		stop()
		return fmt.Errorf("food: %w", err)
	}
	// Serve returns as soon as the listener is closed; the calls in flight are drained by now or about to be.
	<-stopped
	return nil
}

// drain tells health watchers first, so that clients go elsewhere.
func (i *instance) drain() {
	i.health.Shutdown()
	force := time.AfterFunc(drainTime, i.server.Stop)
	defer force.Stop()
	i.server.GracefulStop()
}

func tagUnary(tag metadata.MD) grpc.UnaryServerInterceptor {
	return func(ctx context.Context, req any, _ *grpc.UnaryServerInfo, next grpc.UnaryHandler) (any, error) {
		if err := grpc.SetHeader(ctx, tag); err != nil {
			return nil, err
		}
		return next(ctx, req)
	}
}

func tagStream(tag metadata.MD) grpc.StreamServerInterceptor {
	return func(srv any, stream grpc.ServerStream, _ *grpc.StreamServerInfo, next grpc.StreamHandler) error {
		if err := stream.SetHeader(tag); err != nil {
			return err
		}
		return next(srv, stream)
	}
}
