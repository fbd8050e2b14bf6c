package gateway

import (
	"context"
	"strings"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	adminv1 "github.com/cardea-gateway/cardea/gen/go/cardea/admin/v1"
	"github.com/cardea-gateway/cardea/policies/call"
)

// operator is the admin API.
type operator struct {
	adminv1.UnimplementedAdminServiceServer
	*Gateway
}

var _ adminv1.AdminServiceServer = operator{}

// GetStatus returns what the gateway is doing.
func (o operator) GetStatus(context.Context, *adminv1.GetStatusRequest) (*adminv1.Status, error) {
	return o.status(), nil
}

func (o operator) status() *adminv1.Status {
	o.reloading.Lock()
	defer o.reloading.Unlock()
	running := o.running.Load()
	st := &adminv1.Status{
		Version: o.options.version, Ready: o.ready.Load(), Configuration: running.describe(true),
	}
	if started := o.started.Load(); started != nil {
		st.StartTime = timestamppb.New(*started)
	}
	if last := o.lastReload; last != nil {
		st.LastReload = &adminv1.ReloadAttempt{Time: timestamppb.New(last.at), Trigger: string(last.trigger), Succeeded: last.err == nil}
		if last.err != nil {
			st.LastReload.Error = last.err.Error()
		}
	}
	for _, s := range o.retired {
		if s.holders.Load() > 0 {
			st.Retired = append(st.Retired, s.describe(false))
		}
	}
	return st
}

func (s *snapshot) describe(inForce bool) *adminv1.Configuration {
	c := &adminv1.Configuration{
		Generation: s.generation, Digest: s.digest, LoadTime: timestamppb.New(s.loaded), Calls: s.calls(inForce),
	}
	if !inForce {
		c.RetiredFor = durationpb.New(time.Since(s.retired))
	}
	return c
}

// GetConfig returns the configuration in force.
func (o operator) GetConfig(context.Context, *adminv1.GetConfigRequest) (*adminv1.GetConfigResponse, error) {
	file := o.running.Load().file
	if file == nil {
		return nil, call.Refuse(codes.FailedPrecondition, "NO_CONFIGURATION_FILE", "the configuration was built in code")
	}
	response := &adminv1.GetConfigResponse{}
	for _, s := range file.Settings() {
		response.Settings = append(response.Settings, &adminv1.Setting{Path: s.Path, Value: s.Value, Origin: s.Origin})
	}
	return response, nil
}

// ListRoutes returns all ways to call the methods of the backends.
func (o operator) ListRoutes(context.Context, *adminv1.ListRoutesRequest) (*adminv1.ListRoutesResponse, error) {
	response := &adminv1.ListRoutesResponse{}
	for _, r := range o.running.Load().routes {
		response.Routes = append(response.Routes, &adminv1.Route{
			Listener: r.Listener, Host: r.Host, HttpMethod: r.HTTPMethod, Template: r.Template,
			Method: r.Method, Backend: r.Backend, Policy: r.Policy,
		})
	}
	for _, c := range o.running.Load().contracts {
		response.Contracts = append(response.Contracts, &adminv1.Contract{
			Service: c.Service, Backend: c.Backend, Source: c.Source, Digest: c.Digest,
		})
	}
	return response, nil
}

// Reload reads the configuration file again.
func (o operator) Reload(ctx context.Context, _ *adminv1.ReloadRequest) (*adminv1.Status, error) {
	if err := o.Gateway.Reload(ctx, TriggerAPI); err != nil {
		return nil, call.Refuse(codes.FailedPrecondition, "RELOAD_FAILED", strings.TrimSpace(err.Error()))
	}
	return o.status(), nil
}
