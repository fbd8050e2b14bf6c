package instances

import (
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"sync/atomic"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/balancer"
	"google.golang.org/grpc/resolver"
	"google.golang.org/grpc/serviceconfig"
)

// Options say how a set chooses, and when an instance is out.
type Options struct {
	// Balancer is the name of the balancer inside, as it is registered with grpc, and Config its configuration as JSON.
	Balancer string
	Config   json.RawMessage
	// HashHeader is the metadata key under which the balancer inside finds the hash key of a call (see [Call]). Empty: it needs none.
	HashHeader string

	// Ejection says when calls that fare badly eject an instance.
	Ejection Ejection
	// Check says how instances are asked for their health.
	Check Check
	// PanicPercent is the part of the instances that must be fit, in percent; if less are, all are used. 0: never.
	PanicPercent uint32

	// MaxStreams is how many calls one connection carries at a time before another one is opened. 0: 100, which is what many
	// servers allow.
	MaxStreams int
	// MaxConnections is how many connections there are to one instance at most. 0: 1.
	MaxConnections int

	// Log gets what becomes of instances. Nil: nowhere.
	Log *slog.Logger
}

// Ejection says when calls that fare badly eject an instance. The zero value never does.
type Ejection struct {
	// Failures in a row that eject an instance, provided that most others don't fare likewise. 0: never.
	Failures int
	// Percent of the calls of the last ten seconds that eject an instance, provided that there were at least MinCalls and that
	// others fare much better. 0: never.
	Percent, MinCalls int
	// SlowCall is the least time after which a call that is not a stream counts as failed, whether it was answered or not; it is
	// more for methods that take long on the quickest instances: SlowFactor times as long. 0: calls are never too slow.
	SlowCall time.Duration
	// SlowFactor is how many times as long as usual a call may take. 0: 5.
	SlowFactor float64
	// Sticky says that calls of one client go to one instance. Then what the application answers with, INTERNAL, UNKNOWN or
	// DATA_LOSS, does not count: a client whose calls crash would put out one instance after the other.
	Sticky bool
	// Time is how long an instance is out the first time; it doubles with each time that follows, up to MaxTime.
	Time, MaxTime time.Duration
}

// Check says how instances are asked for their health. The zero value does not ask.
type Check struct {
	// Interval between two questions to one instance. Where a backend has more than two hundred instances it grows, so that no
	// more than two hundred are asked in that time.
	Interval time.Duration
	// Timeout of one question.
	Timeout time.Duration
	// Failures in a row after which an instance is out. An instance that answers NOT_SERVING is out at once.
	Failures int
	// Service is whose health is asked for. Empty: the server's.
	Service string
}

// Set is the instances of one connection. It is safe for concurrent use.
type Set struct {
	options Options
	config  serviceconfig.LoadBalancingConfig // Of the balancer inside.
	builder balancer.Builder                  // Of the balancer inside.
	log     *slog.Logger

	balancer atomic.Pointer[wrapper] // Nil until grpc has built it.
	counts   counts
}

// New returns a set. It fails if the balancer inside is not known, or does not understand its configuration.
func New(o Options) (*Set, error) {
	s := &Set{options: o, log: o.Log, builder: balancer.Get(o.Balancer)}
	if s.log == nil {
		s.log = slog.New(slog.DiscardHandler)
	}
	if s.options.MaxStreams == 0 {
		s.options.MaxStreams = defaultMaxStreams
	}
	if s.options.Ejection.SlowFactor == 0 {
		s.options.Ejection.SlowFactor = defaultSlowFactor
	}
	if s.builder == nil {
		return nil, fmt.Errorf("instances: no balancer is named %q", o.Balancer)
	}
	if parser, ok := s.builder.(balancer.ConfigParser); ok {
		config := o.Config
		if config == nil {
			config = json.RawMessage("{}")
		}
		var err error
		if s.config, err = parser.ParseConfig(config); err != nil {
			return nil, fmt.Errorf("instances: %s: %w", o.Balancer, err)
		}
	}
	return s, nil
}

const (
	defaultMaxStreams = 100
	defaultSlowFactor = 5
)

// DialOptions make a connection use the set, with the instances that a resolver finds. The connection must have no other service
// config, and must not become idle: an idle connection gives up its balancer.
func (s *Set) DialOptions(finding resolver.Builder) []grpc.DialOption {
	return []grpc.DialOption{
		grpc.WithResolvers(introducer{finding, s}),
		grpc.WithDisableServiceConfig(),
		grpc.WithDefaultServiceConfig(`{"loadBalancingConfig":[{"` + name + `":{}}]}`),
		grpc.WithIdleTimeout(0),
	}
}

// introducer is a resolver that tells the balancer whose it is: grpc makes balancers by name, from a table that all connections
// share, and what the resolver finds is the first thing that one hears of its connection.
type introducer struct {
	resolver.Builder

	set *Set
}

type setKey struct{}

// Build hands the resolver a connection that adds the set to what is found.
func (i introducer) Build(target resolver.Target, cc resolver.ClientConn, o resolver.BuildOptions) (resolver.Resolver, error) {
	return i.Builder.Build(target, introduced{cc, i.set}, o)
}

// OverrideAuthority is the one of the resolver.
func (i introducer) OverrideAuthority(target resolver.Target) string {
	if o, ok := i.Builder.(resolver.AuthorityOverrider); ok {
		return o.OverrideAuthority(target)
	}
	return target.Endpoint()
}

type introduced struct {
	resolver.ClientConn

	set *Set
}

// UpdateState adds the set.
func (i introduced) UpdateState(state resolver.State) error {
	state.Attributes = state.Attributes.WithValue(setKey{}, i.set)
	return i.ClientConn.UpdateState(state)
}

// errNoSet is what becomes of a connection without a set.
var errNoSet = errors.New("instances: the connection was not made with the options of a set")
