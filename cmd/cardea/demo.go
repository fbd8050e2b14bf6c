package main

import (
	"bytes"
	"context"
	_ "embed"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"strings"
	"text/template"
	"time"

	"github.com/cardea-gateway/cardea/examples/food"
	"github.com/cardea-gateway/cardea/examples/food/cluster"
	"github.com/cardea-gateway/cardea/gateway"
	"github.com/cardea-gateway/cardea/gateway/config"
	configv1 "github.com/cardea-gateway/cardea/gen/go/cardea/config/v1"
)

//go:embed demo.yaml
var demoYAML string

// demoCommand runs the gateway in front of the example services, each of which has processes of its own.
type demoCommand struct {
	Listen    string        `default:"127.0.0.1:8080" help:"Address of the gateway."`
	Admin     string        `default:"127.0.0.1:9901" help:"Address for operators."`
	Instances int           `default:"2" help:"Instances of each service."`
	Pace      time.Duration `default:"3s" help:"Time between two states of an order."`
	AccessLog bool          `help:"Log each request to standard error."`
	Consul    string        `help:"Consul agent, such as 127.0.0.1:8500: the services register there, and the gateway finds them."`
}

// Run starts the services, then the gateway; when it is told to stop, the gateway finishes its calls before the services
// end.
func (d *demoCommand) Run(c *console) error {
	log := slog.New(slog.NewTextHandler(c.err, nil))
	exe, err := os.Executable()
	if err != nil {
		return err
	}
	services, err := cluster.Start(c.ctx, exe, d.childArgs, d.Instances, log)
	if err != nil {
		return err
	}
	defer services.Stop()
	if d.Consul != "" {
		forget, err := services.Register(c.ctx, d.Consul)
		if err != nil {
			return err
		}
		defer func() { _ = forget(context.WithoutCancel(c.ctx)) }() // An agent that is gone has forgotten them already.
	}
	cfg, err := d.config(services)
	if err != nil {
		return err
	}
	gw, err := gateway.New(cfg, gateway.WithVersion(version), gateway.WithLogger(log), gateway.WithOnReady(func(a gateway.Addresses) {
		d.welcome(c.out, a, services)
	}))
	if err != nil {
		return err
	}
	if err := gw.Serve(c.ctx); err != nil {
		return fmt.Errorf("%w (--listen and --admin choose other addresses)", err)
	}
	return nil
}

func (d *demoCommand) childArgs(service, store string) []string {
	return []string{"child", service, "--store", store, "--pace", d.Pace.String()}
}

// demoBackend is a backend in the demo's configuration.
type demoBackend struct{ Name, Service, Target string }

func (d *demoCommand) config(services *cluster.Cluster) (*configv1.Config, error) {
	values := struct {
		*demoCommand
		Backends []demoBackend
	}{demoCommand: d}
	for _, name := range food.Names() {
		target := "static:///" + strings.Join(services.Addresses(name), ",")
		if d.Consul != "" {
			target = "consul:///" + cluster.Registered(name)
		}
		values.Backends = append(values.Backends, demoBackend{Name: name, Service: serviceName(name), Target: target})
	}
	var text bytes.Buffer
	if err := template.Must(template.New("demo.yaml").Parse(demoYAML)).Execute(&text, values); err != nil {
		return nil, err
	}
	file, err := config.Parse("demo.yaml", text.Bytes())
	if err != nil {
		return nil, err
	}
	return file.Config(), nil
}

// serviceName returns the full name of an example service: food.order.v1.OrderService for order.
func serviceName(name string) string {
	return fmt.Sprintf("food.%s.v1.%s%sService", name, strings.ToUpper(name[:1]), name[1:])
}

//go:embed welcome.txt
var welcomeText string

func (d *demoCommand) welcome(out io.Writer, a gateway.Addresses, services *cluster.Cluster) {
	listener := reachable(a.Listeners[0])
	fmt.Fprint(out, strings.NewReplacer("GATEWAY", listener, "ADMIN", reachable(a.Admin)).Replace(welcomeText))
	fmt.Fprintln(out, "\nThe services, a process each; kill one with the kill command and go on calling:")
	for _, p := range services.Processes() {
		fmt.Fprintf(out, "  %-10s %-16s kill -9 %d\n", p.Service, p.Address, p.PID)
	}
	fmt.Fprintln(out, "\nCtrl-C ends all of it.")
}

// reachable returns an address that a client on this machine can use, for a listener on all interfaces too.
func reachable(address net.Addr) string {
	host, port, err := net.SplitHostPort(address.String())
	if ip := net.ParseIP(host); err == nil && ip != nil && ip.IsUnspecified() {
		return net.JoinHostPort("127.0.0.1", port)
	}
	return address.String()
}
