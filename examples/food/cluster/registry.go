package cluster

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"time"

	"github.com/cardea-gateway/cardea/examples/food"
)

// Registered is the name under which a service is known in Consul.
func Registered(service string) string { return "food-" + service }

// Register makes the instances known to the Consul agent at an address such as 127.0.0.1:8500. The agent asks each of them for its
// health every second; it forgets one that has been dead for a minute. The returned function makes the agent forget all of them.
func (c *Cluster) Register(ctx context.Context, agent string) (forget func(context.Context) error, err error) {
	forget = func(ctx context.Context) error { return c.deregister(ctx, agent) }
	for _, p := range c.Processes() {
		if p.Service == food.Store { // No business of callers.
			continue
		}
		if err := put(ctx, agent, "/v1/agent/service/register", registration(p)); err != nil {
			return nil, errors.Join(fmt.Errorf("cluster: consul at %s: %w", agent, err), forget(ctx))
		}
	}
	return forget, nil
}

func (c *Cluster) deregister(ctx context.Context, agent string) error {
	var failures []error
	for _, p := range c.Processes() {
		if p.Service != food.Store {
			failures = append(failures, put(ctx, agent, "/v1/agent/service/deregister/"+instanceID(p), nil))
		}
	}
	return errors.Join(failures...)
}

func instanceID(p Process) string { return Registered(p.Service) + "-" + strconv.Itoa(p.PID) }

// registration is what Consul's API takes: https://developer.hashicorp.com/consul/api-docs/agent/service#register-service.
func registration(p Process) map[string]any {
	host, text, _ := net.SplitHostPort(p.Address) // It is the instance's own word.
	port, _ := strconv.Atoi(text)
	return map[string]any{
		"ID": instanceID(p), "Name": Registered(p.Service), "Address": host, "Port": port,
		"Check": map[string]any{
			"GRPC": p.Address, "Interval": "1s", "Timeout": "1s", "Status": "passing", "DeregisterCriticalServiceAfter": "1m",
		},
	}
}

// put sends a request to the agent that must be answered with 200.
func put(ctx context.Context, agent, path string, body any) error {
	text, err := json.Marshal(body)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodPut, "http://"+agent+path, bytes.NewReader(text))
	if err != nil {
		return err
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	if response.StatusCode == http.StatusOK {
		return nil
	}
	said, _ := io.ReadAll(io.LimitReader(response.Body, 1<<10))
	return fmt.Errorf("%s: %s", response.Status, bytes.TrimSpace(said))
}
