package main

import (
	"context"
	"encoding/json"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// envoyConfiguration is what Envoy's own advice on benchmarks asks for: no circuit breaking, no request ids, no statistics,
// no access log. Buffers hold a body of 1 MB, which the defaults refuse.
const envoyConfiguration = `admin: {address: {socket_address: {address: 127.0.0.1, port_value: 0}}}
stats_config: {stats_matcher: {reject_all: true}}
static_resources:
  listeners:
    - name: bench
      address: {socket_address: {address: 127.0.0.1, port_value: 0}}
      per_connection_buffer_limit_bytes: 4194304
      filter_chains:
        - filters:
            - name: envoy.filters.network.http_connection_manager
              typed_config:
                "@type": type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager
                stat_prefix: bench
                generate_request_id: false
                route_config:
                  virtual_hosts:
                    - {name: bench, domains: ["*"], routes: [{match: {prefix: /}, route: {cluster: order, timeout: 60s}}]}
                http_filters:
                  - name: envoy.filters.http.grpc_json_transcoder
                    typed_config:
                      "@type": type.googleapis.com/envoy.extensions.filters.http.grpc_json_transcoder.v3.GrpcJsonTranscoder
                      proto_descriptor: "IMAGE"
                      services: [food.order.v1.OrderService]
                      max_request_body_size: 4194304
                      max_response_body_size: 4194304
                  - name: envoy.filters.http.router
                    typed_config:
                      "@type": type.googleapis.com/envoy.extensions.filters.http.router.v3.Router
                      dynamic_stats: false
  clusters:
    - name: order
      type: STATIC
      per_connection_buffer_limit_bytes: 4194304
      circuit_breakers:
        thresholds:
          - {max_connections: 1000000000, max_pending_requests: 1000000000, max_requests: 1000000000, max_retries: 1000000000}
      typed_extension_protocol_options:
        envoy.extensions.upstreams.http.v3.HttpProtocolOptions:
          "@type": type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions
          explicit_http_config: {http2_protocol_options: {}}
      load_assignment:
        cluster_name: order
        endpoints:
          - lb_endpoints:
              - endpoint: {address: {socket_address: {address: HOST, port_value: PORT}}}
`

// startEnvoy starts Envoy with one worker.
func (u *setup) startEnvoy(ctx context.Context) (*process, string, error) {
	file, err := u.envoyFile()
	if err != nil {
		return nil, "", err
	}
	adminFile := filepath.Join(u.dir, "envoy.admin")
	if err := os.RemoveAll(adminFile); err != nil { // Of an Envoy before this one.
		return nil, "", err
	}
	p, err := u.start(ctx, gatewayCore, "envoy", "--config-path", file, "--admin-address-path", adminFile,
		"--concurrency", "1", "--disable-hot-restart", "--log-level", "error")
	if err != nil {
		return nil, "", err
	}
	u.processes = append(u.processes, p)
	address, err := p.poll(ctx, func(ctx context.Context) (string, error) { return envoyAddress(ctx, adminFile) })
	return p, address, err
}

func (u *setup) envoyFile() (string, error) {
	host, port, err := net.SplitHostPort(u.backend)
	if err != nil {
		return "", err
	}
	image, err := u.image()
	if err != nil {
		return "", err
	}
	text := strings.NewReplacer("IMAGE", image, "HOST", host, "PORT", port).Replace(envoyConfiguration)
	return u.write("envoy.yaml", []byte(text))
}

// envoyAddress asks an Envoy for its listener, which it has when it serves. Where to ask stands in a file.
func envoyAddress(ctx context.Context, adminFile string) (string, error) {
	admin, err := os.ReadFile(adminFile)
	if err != nil {
		return "", err
	}
	text, err := fetch(ctx, "http://"+strings.TrimSpace(string(admin))+"/listeners?format=json")
	if err != nil {
		return "", err
	}
	return parseListeners(text)
}

func parseListeners(text []byte) (string, error) {
	var answer struct {
		Statuses []struct {
			Local struct {
				Socket struct {
					Address string `json:"address"`
					Port    int    `json:"port_value"`
				} `json:"socket_address"`
			} `json:"local_address"`
		} `json:"listener_statuses"`
	}
	if err := json.Unmarshal(text, &answer); err != nil {
		return "", err
	}
	if len(answer.Statuses) != 1 {
		return "", fmt.Errorf("%d listeners instead of one", len(answer.Statuses))
	}
	socket := answer.Statuses[0].Local.Socket
	return net.JoinHostPort(socket.Address, strconv.Itoa(socket.Port)), nil
}

// poll asks for an address until there is one, for programs that do not announce it.
func (p *process) poll(ctx context.Context, ask func(context.Context) (string, error)) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	again := time.NewTicker(20 * time.Millisecond)
	defer again.Stop()
	var failure error
	for {
		select {
		case <-p.announced: // Never a line of such a program: it has ended.
			return "", fmt.Errorf("%s has ended: %s", p.name, p.last)
		case <-ctx.Done():
			return "", fmt.Errorf("%s is not ready: %w (%w)", p.name, ctx.Err(), failure)
		case <-again.C:
		}
		var address string
		if address, failure = ask(ctx); failure == nil {
			return address, nil
		}
	}
}
