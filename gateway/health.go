package gateway

import (
	"context"

	"google.golang.org/grpc/codes"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/status"
)

// faceHealth answers for the gateway, and for the services that one table serves: the others are none of its clients'
// business.
type faceHealth struct {
	healthpb.HealthServer

	services map[string]bool
}

func (h faceHealth) knows(service string) bool { return service == "" || h.services[service] }

// Check answers once.
func (h faceHealth) Check(ctx context.Context, r *healthpb.HealthCheckRequest) (*healthpb.HealthCheckResponse, error) {
	if !h.knows(r.GetService()) {
		return nil, status.Error(codes.NotFound, "unknown service")
	}
	return h.HealthServer.Check(ctx, r)
}

// Watch answers whenever something changes. A service that is not known may become so, but not under this configuration.
func (h faceHealth) Watch(r *healthpb.HealthCheckRequest, ss healthpb.Health_WatchServer) error {
	if h.knows(r.GetService()) {
		return h.HealthServer.Watch(r, ss)
	}
	if err := ss.Send(&healthpb.HealthCheckResponse{Status: healthpb.HealthCheckResponse_SERVICE_UNKNOWN}); err != nil {
		return err
	}
	<-ss.Context().Done()
	return status.FromContextError(ss.Context().Err()).Err()
}

// List answers for all of them.
func (h faceHealth) List(ctx context.Context, r *healthpb.HealthListRequest) (*healthpb.HealthListResponse, error) {
	all, err := h.HealthServer.List(ctx, r)
	for service := range all.GetStatuses() {
		if !h.knows(service) {
			delete(all.GetStatuses(), service)
		}
	}
	return all, err
}
