package main

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strconv"

	"github.com/cardea-gateway/cardea/bench/internal/announce"
)

// Names of the ways, as the table shows them.
const (
	direct      = "backend, called directly"
	envoy       = "Envoy"
	grpcGateway = "grpc-gateway"
	vanguard    = "Vanguard"
	grpcProxy   = "grpc-go proxy"
	cardea      = "Cardea"
	embedded    = "Cardea, generated handlers"
)

// kind is a program that calls go through, or the backend itself.
type kind struct {
	key       string // As -ways has it.
	name      string
	protocols []string
	start     func(*setup, context.Context) (*process, string, error) // Returns the address for calls, too.
}

// kinds returns all kinds, in the order of the table.
func kinds() []kind {
	return []kind{
		{"direct", direct, []string{grpcName}, (*setup).itself},
		{"envoy", envoy, []string{rest}, (*setup).startEnvoy},
		{"grpc-gateway", grpcGateway, []string{rest}, peer("grpcgateway")},
		{"vanguard", vanguard, []string{rest}, peer("vanguard")},
		{"grpc-proxy", grpcProxy, []string{grpcName}, peer("grpcproxy")},
		{"cardea", cardea, []string{rest, grpcName}, (*setup).startCardea},
		{"embedded", embedded, []string{rest}, (*setup).startEmbedded},
	}
}

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

// newSetup starts the backend and gateways, and connects to them. It has to be closed, after an error, too.
func newSetup(ctx context.Context, s starter, chosen []kind, protocols []string) (*setup, error) {
	u := &setup{starter: s}
	if err := u.startBackend(ctx); err != nil {
		return u, err
	}
	for _, k := range chosen {
		if err := u.startKind(ctx, k, protocols); err != nil {
			return u, fmt.Errorf("%s: %w", k.name, err)
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

func (u *setup) startBackend(ctx context.Context, flags ...string) error {
	p, address, err := u.launch(ctx, otherCore, "backend", flags...)
	if err != nil {
		return err
	}
	counts, err := p.address(ctx, announce.Counting)
	u.backend, u.counts = address, "http://"+counts
	return err
}

// startKind starts a program if there is anything to ask it.
func (u *setup) startKind(ctx context.Context, k kind, protocols []string) error {
	spoken := slices.DeleteFunc(slices.Clone(k.protocols), func(p string) bool { return !slices.Contains(protocols, p) })
	if len(spoken) == 0 {
		return nil
	}
	p, address, err := k.start(u, ctx)
	if err != nil {
		return err
	}
	for _, protocol := range spoken {
		l, err := dial(ctx, protocol, address)
		if err != nil {
			return err
		}
		u.ways = append(u.ways, way{name: k.name, protocol: protocol, process: p, load: l})
	}
	return nil
}

func dial(ctx context.Context, protocol, address string) (load, error) {
	if protocol == rest {
		return dialREST(ctx, address, restConns)
	}
	return dialGRPC(ctx, address)
}

// itself is the backend, which runs already.
func (u *setup) itself(context.Context) (*process, string, error) {
	return u.processes[0], u.backend, nil
}

// peer starts a program of the folder of that name, which is told where the backend is.
func peer(name string) func(*setup, context.Context) (*process, string, error) {
	return func(u *setup, ctx context.Context) (*process, string, error) {
		return u.launch(ctx, gatewayCore, name, "-backend", u.backend)
	}
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

// answered asks the backend how many calls it has answered.
func (u *setup) answered(ctx context.Context) (int, error) {
	text, err := fetch(ctx, u.counts)
	if err != nil {
		return 0, err
	}
	return strconv.Atoi(string(text))
}

// fetch returns what an HTTP server answers.
func fetch(ctx context.Context, url string) ([]byte, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return nil, err
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return nil, err
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err == nil && response.StatusCode != http.StatusOK {
		err = fmt.Errorf("%s: %s: %.200q", url, response.Status, text)
	}
	return text, err
}

// write puts a file for a program into the folder of the run.
func (s starter) write(name string, content []byte) (file string, err error) {
	file = filepath.Join(s.dir, name)
	return file, os.WriteFile(file, content, 0o600)
}
