package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/cardea-gateway/cardea/test/httprule"
)

// envoyConfiguration is a listener with the transcoder, whose options are the defaults.
const envoyConfiguration = `admin: {address: {socket_address: {address: 127.0.0.1, port_value: 0}}}
static_resources:
  listeners:
    - name: suite
      address: {socket_address: {address: 127.0.0.1, port_value: 0}}
      filter_chains:
        - filters:
            - name: envoy.filters.network.http_connection_manager
              typed_config:
                "@type": type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager
                stat_prefix: suite
                route_config:
                  virtual_hosts:
                    - {name: suite, domains: ["*"], routes: [{match: {prefix: /}, route: {cluster: suite}}]}
                http_filters:
                  - name: envoy.filters.http.grpc_json_transcoder
                    typed_config:
                      "@type": type.googleapis.com/envoy.extensions.filters.http.grpc_json_transcoder.v3.GrpcJsonTranscoder
                      proto_descriptor: "IMAGE"
                      services: [SERVICES]
                  - name: envoy.filters.http.router
                    typed_config: {"@type": type.googleapis.com/envoy.extensions.filters.http.router.v3.Router}
  clusters:
    - name: suite
      type: STATIC
      typed_extension_protocol_options:
        envoy.extensions.upstreams.http.v3.HttpProtocolOptions:
          "@type": type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions
          explicit_http_config: {http2_protocol_options: {}}
      load_assignment:
        cluster_name: suite
        endpoints: [{lb_endpoints: [{endpoint: {address: {socket_address: {address: HOST, port_value: PORT}}}}]}]
`

// envoyTimeout is how long Envoy may take to start.
const envoyTimeout = 20 * time.Second

// startEnvoy starts Envoy. It refuses a response_body that is no HttpBody, so it gets a contract without those.
func startEnvoy(ctx context.Context, binary, folder, backend string) (string, func(), error) {
	host, port, err := net.SplitHostPort(backend)
	if err != nil {
		return "", nil, err
	}
	image, err := envoyImage()
	if err != nil {
		return "", nil, err
	}
	imageFile, config := filepath.Join(folder, "envoy.binpb"), filepath.Join(folder, "envoy.yaml")
	admin := filepath.Join(folder, "envoy.admin")
	text := strings.NewReplacer("IMAGE", imageFile, "SERVICES", strings.Join(httprule.Services, ", "), "HOST", host, "PORT", port).
		Replace(envoyConfiguration)
	if err := errors.Join(os.WriteFile(imageFile, image, 0o600), os.WriteFile(config, []byte(text), 0o600)); err != nil {
		return "", nil, err
	}
	var log strings.Builder
	cmd := exec.CommandContext(ctx, binary, "--config-path", config, "--admin-address-path", admin, "--concurrency", "1",
		"--disable-hot-restart", "--log-level", "error")
	cmd.Stderr = &log
	if err := cmd.Start(); err != nil {
		return "", nil, err
	}
	stop := func() {
		_ = cmd.Process.Signal(syscall.SIGTERM)
		_ = cmd.Wait()
	}
	address, err := envoyAddress(ctx, admin)
	if err != nil {
		stop()
		return "", nil, fmt.Errorf("%w: %s", err, log.String())
	}
	return address, stop, nil
}

// envoyAddress asks Envoy where it listens, until it does. Where to ask stands in a file.
func envoyAddress(ctx context.Context, admin string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, envoyTimeout)
	defer cancel()
	again := time.NewTicker(50 * time.Millisecond)
	defer again.Stop()
	for {
		select {
		case <-ctx.Done():
			return "", errors.New("does not start")
		case <-again.C:
		}
		if address, err := askEnvoy(ctx, admin); err == nil {
			return address, nil
		}
	}
}

func askEnvoy(ctx context.Context, admin string) (string, error) {
	address, err := os.ReadFile(admin)
	if err != nil {
		return "", err
	}
	question := "http://" + strings.TrimSpace(string(address)) + "/listeners?format=json"
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, question, http.NoBody)
	if err != nil {
		return "", err
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return "", err
	}
	defer response.Body.Close()
	data, err := io.ReadAll(response.Body)
	if err != nil {
		return "", err
	}
	return listenerOf(data)
}

func listenerOf(data []byte) (string, error) {
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
	if err := json.Unmarshal(data, &answer); err != nil {
		return "", err
	}
	if len(answer.Statuses) != 1 {
		return "", errors.New("has no listener")
	}
	socket := answer.Statuses[0].Local.Socket
	return net.JoinHostPort(socket.Address, strconv.Itoa(socket.Port)), nil
}
