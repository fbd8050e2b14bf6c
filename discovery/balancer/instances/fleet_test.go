package instances_test

import (
	"context"
	"errors"
	"maps"
	"net"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"
	"google.golang.org/grpc"
	"google.golang.org/grpc/backoff"
	_ "google.golang.org/grpc/balancer/leastrequest"
	_ "google.golang.org/grpc/balancer/ringhash"
	_ "google.golang.org/grpc/balancer/weightedroundrobin"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/resolver"
	"google.golang.org/grpc/resolver/manual"
	"google.golang.org/grpc/stats"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/emptypb"

	"github.com/cardea-gateway/cardea/discovery"
	"github.com/cardea-gateway/cardea/discovery/balancer/instances"
	"github.com/cardea-gateway/cardea/discovery/balancer/internal/pipetest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// defaults are what the gateway uses.
func defaults() instances.Options {
	return instances.Options{
		Balancer: "round_robin",
		Ejection: instances.Ejection{
			Failures: 5, Percent: 50, MinCalls: 20, SlowCall: time.Second, Time: 5 * time.Second, MaxTime: 5 * time.Minute,
		},
		Check:          instances.Check{Interval: time.Second, Timeout: time.Second, Failures: 2},
		PanicPercent:   50,
		MaxConnections: 1,
	}
}

// server is an instance: it does as it is told.
type server struct {
	address string
	calls   atomic.Int64
	checks  atomic.Int64

	mu     sync.Mutex
	answer func(context.Context) error                   // Nil answers at once.
	health func() (*healthpb.HealthCheckResponse, error) // Nil serves.
	frozen chan struct{}                                 // Not nil while it answers nobody.
	grpc   *grpc.Server
	lis    *pipetest.Listener
	done   chan struct{}
}

func (s *server) do(answer func(context.Context) error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.answer = answer
}

func (s *server) say(health func() (*healthpb.HealthCheckResponse, error)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.health = health
}

// freeze makes it answer nobody, until it is thawed.
func (s *server) freeze() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.frozen = make(chan struct{})
}

func (s *server) thaw() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.frozen != nil {
		close(s.frozen)
		s.frozen = nil
	}
}

// await waits while it is frozen: like a frozen process, it does not even notice that nobody waits for the answer.
func (s *server) await() {
	s.mu.Lock()
	frozen := s.frozen
	s.mu.Unlock()
	if frozen != nil {
		<-frozen
	}
}

func (s *server) handle(_ any, stream grpc.ServerStream) error {
	method, _ := grpc.MethodFromServerStream(stream)
	if method == "/grpc.health.v1.Health/Check" {
		return s.check(stream)
	}
	s.calls.Add(1)
	if err := stream.RecvMsg(&emptypb.Empty{}); err != nil {
		return err
	}
	s.await()
	s.mu.Lock()
	answer := s.answer
	s.mu.Unlock()
	if answer != nil {
		if err := answer(stream.Context()); err != nil {
			return err
		}
	}
	return stream.SendMsg(&emptypb.Empty{})
}

func (s *server) check(stream grpc.ServerStream) error {
	s.checks.Add(1)
	if err := stream.RecvMsg(&healthpb.HealthCheckRequest{}); err != nil {
		return err
	}
	s.await()
	s.mu.Lock()
	health := s.health
	s.mu.Unlock()
	if health == nil {
		return stream.SendMsg(&healthpb.HealthCheckResponse{Status: healthpb.HealthCheckResponse_SERVING})
	}
	response, err := health()
	if err != nil {
		return err
	}
	return stream.SendMsg(response)
}

// fleet is servers and a connection to them, all in one process and, within a synctest bubble, in fake time.
type fleet struct {
	t       *testing.T
	servers map[string]*server
	found   *manual.Resolver
	set     *instances.Set
	conn    *grpc.ClientConn
	options []grpc.ServerOption

	mu sync.Mutex
	by dialer
}

// dialer reaches a server.
type dialer func(ctx context.Context, address string) (net.Conn, error)

// through puts something in the way of connections.
func (f *fleet) through(way func(dialer) dialer) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.by = way(f.by)
}

// start starts servers named a, b, c and so on, and connects to them.
func start(t *testing.T, n int, o instances.Options, options ...grpc.ServerOption) *fleet {
	t.Helper()
	f := &fleet{t: t, servers: map[string]*server{}, found: manual.NewBuilderWithScheme("test"), options: options}
	f.by = f.reach
	for i := range n {
		f.serve(string(rune('a'+i)) + ":1")
	}
	var err error
	if f.set, err = instances.New(o); err != nil {
		t.Fatal(err)
	}
	f.found.InitialState(f.state(f.all()...))
	f.conn, err = grpc.NewClient("test:///fleet", append(f.set.DialOptions(f.found),
		grpc.WithTransportCredentials(insecure.NewCredentials()), grpc.WithDisableRetry(), grpc.WithNoProxy(),
		grpc.WithContextDialer(f.dial), grpc.WithStatsHandler(observer{}),
		grpc.WithConnectParams(grpc.ConnectParams{
			Backoff: backoff.Config{BaseDelay: 100 * time.Millisecond, Multiplier: 1.6, MaxDelay: time.Second}, MinConnectTimeout: time.Second,
		}))...)
	if err != nil {
		t.Fatal(err)
	}
	f.conn.Connect()
	return f
}

func (f *fleet) stop() {
	f.conn.Close()
	for _, s := range f.servers {
		s.thaw()
	}
	for _, name := range slices.Sorted(maps.Keys(f.servers)) {
		if s := f.servers[name]; s.grpc != nil {
			f.kill(name)
		}
	}
}

// serve starts the server with an address, anew if it was there before.
func (f *fleet) serve(address string) *server {
	s := f.servers[address]
	if s == nil {
		s = &server{address: address}
	}
	lis, g := pipetest.Listen(), grpc.NewServer(append(f.options, grpc.UnknownServiceHandler(s.handle))...)
	f.mu.Lock()
	s.lis, s.grpc, s.done = lis, g, make(chan struct{})
	f.servers[address] = s
	f.mu.Unlock()
	done := s.done
	go func() {
		defer close(done)
		_ = g.Serve(lis)
	}()
	return s
}

// kill ends a server with all its connections.
func (f *fleet) kill(address string) {
	f.mu.Lock()
	s := f.servers[address]
	g, done := s.grpc, s.done
	s.grpc, s.lis = nil, nil
	f.mu.Unlock()
	g.Stop()
	<-done
}

func (f *fleet) dial(ctx context.Context, address string) (net.Conn, error) {
	f.mu.Lock()
	by := f.by
	f.mu.Unlock()
	return by(ctx, address)
}

func (f *fleet) reach(ctx context.Context, address string) (net.Conn, error) {
	f.mu.Lock()
	s := f.servers[address]
	var lis *pipetest.Listener
	if s != nil {
		lis = s.lis
	}
	f.mu.Unlock()
	if lis == nil {
		return nil, errors.New("connection refused")
	}
	return lis.DialContext(ctx)
}

// all returns the instances of the fleet as a registry tells them.
func (f *fleet) all() []discovery.Instance {
	var all []discovery.Instance
	for _, address := range slices.Sorted(maps.Keys(f.servers)) {
		all = append(all, discovery.Instance{Address: address, Weight: 1})
	}
	return all
}

func (f *fleet) state(all ...discovery.Instance) resolver.State {
	var s resolver.State
	for _, i := range all {
		s.Endpoints = append(s.Endpoints, discovery.Endpoint(i))
	}
	return s
}

// tell makes the registry tell another set.
func (f *fleet) tell(all ...discovery.Instance) { f.found.UpdateState(f.state(all...)) }

// one is a call with one message in each direction.
type one struct {
	avoid  []string
	key    string
	stream bool

	mu       sync.Mutex
	picked   string
	answered time.Time
}

// Answered is what the trailer's arrival says; see observer.
func (o *one) Answered() time.Time {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.answered
}

// observer tells calls that they are answered.
type observer struct{}

func (observer) TagRPC(ctx context.Context, _ *stats.RPCTagInfo) context.Context   { return ctx }
func (observer) TagConn(ctx context.Context, _ *stats.ConnTagInfo) context.Context { return ctx }
func (observer) HandleConn(context.Context, stats.ConnStats)                       {}

func (observer) HandleRPC(ctx context.Context, event stats.RPCStats) {
	o, ok := instances.CallOf(ctx).(*one)
	if _, trailer := event.(*stats.InTrailer); ok && trailer {
		o.mu.Lock()
		defer o.mu.Unlock()
		o.answered = time.Now()
	}
}

func (o *one) Unary() bool                { return !o.stream }
func (o *one) Avoids(address string) bool { return slices.Contains(o.avoid, address) }
func (o *one) HashKey() string            { return o.key }
func (o *one) Picked(address string) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.picked = address
}

// call makes one call and returns who was chosen.
func (f *fleet) call(o *one, timeout time.Duration) (string, error) {
	ctx, cancel := context.WithTimeout(instances.WithCall(f.t.Context(), o), timeout)
	defer cancel()
	err := f.conn.Invoke(ctx, "/test.Service/Get", &emptypb.Empty{}, &emptypb.Empty{})
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.picked, err
}

// load is calls that begin at a constant rate, whether earlier ones were answered or not.
type load struct {
	stopped chan struct{}
	running sync.WaitGroup

	mu     sync.Mutex
	errors map[codes.Code]int
}

func (f *fleet) load(every, timeout time.Duration) *load {
	l := &load{stopped: make(chan struct{}), errors: map[codes.Code]int{}}
	l.running.Go(func() {
		ticker := time.NewTicker(every)
		defer ticker.Stop()
		for {
			select {
			case <-l.stopped:
				return
			case <-ticker.C:
				l.running.Go(func() { l.note(f.call(&one{}, timeout)) })
			}
		}
	})
	return l
}

func (l *load) note(_ string, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if err != nil {
		l.errors[status.Code(err)]++
	}
}

func (l *load) stop() {
	close(l.stopped)
	l.running.Wait()
}

// wait lets fake time pass.
func wait(d time.Duration) { <-time.NewTimer(d).C }

// spent counts the calls that a server gets in a time.
func (s *server) spent(d time.Duration) int64 {
	before := s.calls.Load()
	wait(d)
	return s.calls.Load() - before
}

// out returns why an instance is out.
func (f *fleet) out(address string) string {
	for _, i := range f.set.Status().Instances {
		if i.Address == address {
			return i.Out
		}
	}
	return "no such instance"
}

func takes(d time.Duration) func(context.Context) error {
	return func(ctx context.Context) error {
		timer := time.NewTimer(d)
		defer timer.Stop()
		select {
		case <-timer.C:
			return nil
		case <-ctx.Done():
			return status.FromContextError(ctx.Err()).Err()
		}
	}
}

func answers(code codes.Code) func(context.Context) error {
	return func(context.Context) error { return status.Error(code, "as told") }
}
