package consul

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"time"

	"github.com/hashicorp/consul/api"

	"github.com/cardea-gateway/cardea/internal/pace"
)

const (
	defaultTTL        = 15 * time.Second
	shortestTTL       = time.Second
	defaultDeregister = 10 * time.Minute
	// shortestDeregister is Consul's own: it takes less for this, without a word.
	shortestDeregister = time.Minute

	firstPause  = 100 * time.Millisecond // After a failure.
	farewell    = 2 * time.Second        // For deregistering.
	checkPrefix = "service:"
)

// Registration is one instance of a service as others shall see it. The instance has one check, which says whether it is ready.
type Registration struct {
	// Service is the name of the service.
	Service string
	// ID tells this instance from others at the same agent.
	ID string
	// Address is the host under which it is reached. Empty: that of the agent's node.
	Address string
	// Port is that at which it is reached, from 1 to 65535.
	Port int
	// Tags and Meta are for those who look for it.
	Tags []string
	Meta map[string]string
	// Namespace and Partition are for Consul Enterprise.
	Namespace string
	Partition string
	// Ready says whether the instance should get calls. It is asked three times in each TTL, and must not block. Nil: always.
	Ready func() bool
	// TTL is how long Consul believes what it heard last; then the instance is critical. At least a second. Zero is 15 seconds.
	TTL time.Duration
	// DeregisterAfter is how long the instance may be critical before Consul forgets it, for when it was killed. It also counts
	// while it is not ready; it is then registered again. At least a minute. Zero is ten minutes.
	DeregisterAfter time.Duration
}

// Registrar keeps an instance registered.
type Registrar struct {
	registration Registration
	agents       *agents
	client       *api.Client
	log          *slog.Logger

	left  context.Context // Ends with the handover.
	leave context.CancelFunc
}

// NewRegistrar returns what keeps an instance registered while it runs. It fails where the options or the registration make no
// sense; it does not ask Consul. The log gets a line when the registration begins to fail, and when it is well again; nil is
// nowhere.
func NewRegistrar(o Options, r Registration, log *slog.Logger) (*Registrar, error) {
	r, err := r.complete()
	if err != nil {
		return nil, fmt.Errorf("consul: registration: %w", err)
	}
	a, err := newAgents(o)
	if err != nil {
		return nil, fmt.Errorf("consul: %w", err)
	}
	client, err := a.client(a.options.Address, r.Namespace, r.Partition)
	if err != nil {
		return nil, fmt.Errorf("consul: %w", err)
	}
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	left, leave := context.WithCancel(context.Background()) //nolint:forbidigo // It ends by Handover, not with a caller.
	return &Registrar{registration: r, agents: a, client: client, log: log, left: left, leave: leave}, nil
}

func (r Registration) complete() (Registration, error) {
	if r.TTL == 0 {
		r.TTL = defaultTTL
	}
	if r.DeregisterAfter == 0 {
		r.DeregisterAfter = defaultDeregister
	}
	if r.Ready == nil {
		r.Ready = func() bool { return true }
	}
	switch {
	case r.Port < 1 || r.Port > 65535:
		return r, fmt.Errorf("port %d is not from 1 to 65535", r.Port)
	case r.TTL < shortestTTL:
		return r, fmt.Errorf("TTL is %v; want %v or more", r.TTL, shortestTTL)
	case r.DeregisterAfter < shortestDeregister:
		return r, fmt.Errorf("deregister after is %v; want %v or more", r.DeregisterAfter, shortestDeregister)
	}
	if err := checkName(r.Service); err != nil {
		return r, fmt.Errorf("service %q: %w", r.Service, err)
	}
	if err := checkName(r.ID); err != nil {
		return r, fmt.Errorf("ID %q: %w", r.ID, err)
	}
	return r, nil
}

// Run registers the instance, tells Consul again and again whether it is ready, and registers it anew where the agent has
// forgotten it. It does not give up. When the context ends, it takes the registration back, for which it needs two seconds at
// most; after [Registrar.Handover] it leaves it. Call it once.
func (r *Registrar) Run(ctx context.Context) {
	defer r.agents.transport.CloseIdleConnections()
	work, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(r.left, cancel)()
	r.keep(work)
	if r.left.Err() == nil {
		r.deregister(context.WithoutCancel(ctx))
	}
}

// Handover ends Run at once, and leaves the registration as it is: another process has taken the instance over. It may be
// called at any time, from any goroutine, more than once.
func (r *Registrar) Handover() { r.leave() }

func (r *Registrar) keep(ctx context.Context) {
	var registered, failed bool
	var pause time.Duration
	for ctx.Err() == nil {
		err := r.tell(ctx, registered)
		if ctx.Err() != nil {
			return
		}
		r.note(err, registered, failed)
		// An agent that fails may have forgotten everything: registering twice does no harm.
		registered, failed = err == nil, err != nil
		rest := r.registration.TTL / 3
		if failed {
			pause = min(max(2*pause, firstPause), rest)
			rest = pace.Spread(pause)
		} else {
			pause = 0
		}
		pace.Sleep(ctx, rest)
	}
}

// tell says how the instance is, and who it is where that is not known.
func (r *Registrar) tell(ctx context.Context, registered bool) error {
	ctx, cancel := context.WithTimeout(ctx, grace)
	defer cancel()
	status, words := api.HealthCritical, "not ready"
	if r.registration.Ready() {
		status, words = api.HealthPassing, "ready"
	}
	if !registered {
		if err := r.register(ctx, status); err != nil {
			return err
		}
	}
	query := (&api.QueryOptions{}).WithContext(ctx)
	return r.client.Agent().UpdateTTLOpts(checkPrefix+r.registration.ID, words, status, query)
}

func (r *Registrar) register(ctx context.Context, status string) error {
	g := &r.registration
	return r.client.Agent().ServiceRegisterOpts(&api.AgentServiceRegistration{
		ID: g.ID, Name: g.Service, Address: g.Address, Port: g.Port, Tags: g.Tags, Meta: g.Meta,
		Namespace: g.Namespace, Partition: g.Partition,
		Check: &api.AgentServiceCheck{
			CheckID:                        checkPrefix + g.ID,
			Name:                           "ready",
			TTL:                            g.TTL.String(),
			Status:                         status, // Else a new instance is critical until it has spoken.
			DeregisterCriticalServiceAfter: g.DeregisterAfter.String(),
		},
	}, api.ServiceRegisterOpts{}.WithContext(ctx)) // Other checks stay: one of them may be an operator's maintenance.
}

// note logs what has changed.
func (r *Registrar) note(err error, registered, failed bool) {
	log := r.log.With("service", r.registration.Service, "id", r.registration.ID, "agent", r.agents.options.Address)
	switch {
	case err != nil && !failed:
		log.Warn("the registration fails: it is tried again", "error", explain(err, r.need()).Error())
	case err == nil && !registered:
		log.Info("registered")
	}
}

func (r *Registrar) deregister(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, farewell)
	defer cancel()
	err := r.client.Agent().ServiceDeregisterOpts(r.registration.ID, (&api.QueryOptions{}).WithContext(ctx))
	if status, ok := errors.AsType[api.StatusError](err); ok && status.Code == http.StatusNotFound {
		return // It never was, or is no longer, registered.
	}
	if err != nil {
		r.log.Warn("the registration stays until its TTL ends", "service", r.registration.Service, "id", r.registration.ID,
			"error", explain(err, r.need()).Error())
	}
}

func (r *Registrar) need() string { return fmt.Sprintf("service:write for %q", r.registration.Service) }
