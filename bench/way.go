package main

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/cardea-gateway/cardea/bench/internal/announce"
)

// Names of the ways, as the table shows them.
const (
	direct      = "backend, called directly"
	grpcGateway = "grpc-gateway"
	grpcProxy   = "grpc-go proxy"
	cardea      = "Cardea"
)

// way is a way to call the backend.
type way struct {
	name     string
	protocol string
	process  *process // Whose CPU time is counted.
	load     load
}

// setup is everything that runs: the backend, the gateways, and a load generator for each way.
type setup struct {
	starter

	processes []*process
	ways      []way
	backend   string // Address.
	counts    string // URL.
}

// newSetup starts everything. It has to be closed, after an error, too.
func newSetup(ctx context.Context, s starter) (*setup, error) {
	u := &setup{starter: s}
	for _, start := range []func(context.Context) error{u.startBackend, u.startGRPCGateway, u.startGRPCProxy, u.startCardea} {
		if err := start(ctx); err != nil {
			return u, err
		}
	}
	return u, nil
}

func (u *setup) close() {
	for _, w := range u.ways {
		w.load.close()
	}
	for _, p := range u.processes {
		p.stop()
	}
}

func (u *setup) startBackend(ctx context.Context) error {
	p, address, err := u.launch(ctx, otherCore, "backend")
	if err != nil {
		return err
	}
	counts, err := p.address(ctx, announce.Counting)
	if err != nil {
		return err
	}
	u.backend, u.counts = address, "http://"+counts
	return u.add(ctx, way{name: direct, protocol: grpcName, process: p}, address)
}

func (u *setup) startGRPCGateway(ctx context.Context) error {
	p, address, err := u.launch(ctx, gatewayCore, "grpcgateway", "-backend", u.backend)
	if err != nil {
		return err
	}
	return u.add(ctx, way{name: grpcGateway, protocol: rest, process: p}, address)
}

func (u *setup) startGRPCProxy(ctx context.Context) error {
	p, address, err := u.launch(ctx, gatewayCore, "grpcproxy", "-backend", u.backend)
	if err != nil {
		return err
	}
	return u.add(ctx, way{name: grpcProxy, protocol: grpcName, process: p}, address)
}

// configuration is Cardea's, for the backend's address.
const configuration = `listeners: [{address: "127.0.0.1:0"}]
admin: {address: "127.0.0.1:0"}
backends: [{name: order, target: "static:///BACKEND", services: [food.order.v1.OrderService]}]
policies:
  - selectors:
      - food.order.v1.OrderService.GetOrder
      - food.order.v1.OrderService.ListOrders
      - food.order.v1.OrderService.CreateOrder
    policy: {auth: {public: true}}
access_log: {disabled: true}
`

func (u *setup) startCardea(ctx context.Context) error {
	file := filepath.Join(u.dir, "cardea.yaml")
	if err := os.WriteFile(file, []byte(strings.Replace(configuration, "BACKEND", u.backend, 1)), 0o600); err != nil {
		return err
	}
	p, address, err := u.launch(ctx, gatewayCore, "cardea", "serve", "--config", file)
	if err != nil {
		return err
	}
	if err := u.add(ctx, way{name: cardea, protocol: rest, process: p}, address); err != nil {
		return err
	}
	return u.add(ctx, way{name: cardea, protocol: grpcName, process: p}, address)
}

// launch starts a process and waits until it serves.
func (u *setup) launch(ctx context.Context, core, name string, args ...string) (*process, string, error) {
	p, err := u.start(ctx, core, name, args...)
	if err != nil {
		return nil, "", err
	}
	u.processes = append(u.processes, p)
	address, err := p.address(ctx, announce.Serving)
	return p, address, err
}

// add opens the connections of a way.
func (u *setup) add(ctx context.Context, w way, address string) (err error) {
	dial := dialGRPC
	if w.protocol == rest {
		dial = dialREST
	}
	if w.load, err = dial(ctx, address); err != nil {
		return fmt.Errorf("%s: %w", w.name, err)
	}
	u.ways = append(u.ways, w)
	return nil
}

// answered asks the backend how many calls it has answered.
func (u *setup) answered(ctx context.Context) (int, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, u.counts, nil)
	if err != nil {
		return 0, err
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return 0, err
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		return 0, err
	}
	return strconv.Atoi(string(text))
}
