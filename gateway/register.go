package gateway

import (
	"context"
	"fmt"
	"net"
	"os"
	"strconv"
	"sync"

	"google.golang.org/protobuf/proto"

	"github.com/cardea-gateway/cardea/discovery/consul"
	"github.com/cardea-gateway/cardea/gateway/config"
	"github.com/cardea-gateway/cardea/gateway/internal/upstream"
	configv1 "github.com/cardea-gateway/cardea/gen/go/cardea/config/v1"
)

// registration keeps the gateway registered in Consul, as the configuration in force says. The zero value is not registered. Its
// methods must not be called at a time.
type registration struct {
	cfg       *configv1.Consul // Nil where the gateway is not registered.
	registrar *consul.Registrar
	cancel    context.CancelFunc
	running   sync.WaitGroup
}

// register returns what keeps the gateway registered; nil where the configuration does not ask for it.
func (c *compiler) register() *consul.Registrar {
	r := c.cfg.GetConsul().GetRegister()
	if r == nil {
		return nil
	}
	host, portText, _ := net.SplitHostPort(r.GetAddress()) // The schema wants it so.
	port, _ := strconv.Atoi(portText)                      // What is out of range is refused with the rest.
	registrar, err := consul.NewRegistrar(upstream.ConsulOptions(c.cfg.GetConsul()), consul.Registration{
		Service: r.GetService(), ID: registeredAs(r), Address: host, Port: port, Tags: r.GetTags(),
		Meta: map[string]string{"version": c.options.version}, TTL: r.GetTtl().AsDuration(), Ready: c.ready.Load,
	}, c.options.log)
	c.fail(config.At("consul.register", err))
	return registrar
}

// registeredAs is what tells the gateway from others at its agent.
func registeredAs(r *configv1.ConsulRegistration) string {
	if id := r.GetId(); id != "" {
		return id
	}
	name, _ := os.Hostname() // Without one, the address tells gateways apart.
	_, port, _ := net.SplitHostPort(r.GetAddress())
	return fmt.Sprintf("%s-%s-%s", r.GetService(), name, port)
}

// adopt registers the gateway as a configuration says, if that is not so already.
func (r *registration) adopt(cfg *configv1.Consul, registrar *consul.Registrar) {
	if registrar != nil && r.registrar != nil && proto.Equal(cfg, r.cfg) {
		return
	}
	// What is registered anew under its name replaces what was: it must not be gone in between.
	replaced := registrar != nil && r.cfg.GetAddress() == cfg.GetAddress()
	r.end(replaced && registeredAs(r.cfg.GetRegister()) == registeredAs(cfg.GetRegister()))
	if registrar == nil {
		return
	}
	ctx, cancel := context.WithCancel(context.Background()) //nolint:forbidigo // It ends with the gateway.
	r.cfg, r.registrar, r.cancel = cfg, registrar, cancel
	r.running.Go(func() { registrar.Run(ctx) })
}

// end takes the registration back, or leaves it to the process that has the sockets now.
func (r *registration) end(handedOver bool) {
	if r.registrar == nil {
		return
	}
	if handedOver {
		r.registrar.Handover()
	}
	r.cancel()
	r.running.Wait()
	r.cfg, r.registrar = nil, nil
}
