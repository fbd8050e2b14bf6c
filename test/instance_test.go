package test

import (
	"context"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/stats"
	"google.golang.org/grpc/status"

	orderv1 "github.com/cardea-gateway/cardea/gen/go/food/order/v1"
)

// These variables make the test binary a backend instance.
const (
	journalVariable = "CARDEA_TEST_JOURNAL" // The path of its journal.
	delayVariable   = "CARDEA_TEST_DELAY"   // How long each call takes.
)

// What an instance notes of a call.
const (
	began    = "began"
	finished = "finished"
	canceled = "canceled"
)

// slowOrders is an order service whose GetOrder takes its time. It notes each event of each call at once, in a file that
// outlives a killed process.
type slowOrders struct {
	orderv1.UnimplementedOrderServiceServer
	journal *os.File
	delay   time.Duration
}

// note writes a line in one system call, so that lines are whole or not there.
func (s *slowOrders) note(event, name string) {
	if _, err := fmt.Fprintf(s.journal, "%s %s %d\n", event, name, time.Now().UnixNano()); err != nil {
		fail(err)
	}
}

// GetOrder answers with an empty order of the name that was asked for.
func (s *slowOrders) GetOrder(ctx context.Context, request *orderv1.GetOrderRequest) (*orderv1.Order, error) {
	s.note(began, request.GetName())
	*ctx.Value(nameKey{}).(*string) = request.GetName()
	timer := time.NewTimer(s.delay)
	defer timer.Stop()
	select {
	case <-timer.C:
		return &orderv1.Order{Name: request.GetName()}, nil
	case <-ctx.Done():
		s.note(canceled, request.GetName())
		return nil, status.FromContextError(ctx.Err()).Err()
	}
}

// CreateOrder answers with the order after the same time.
func (s *slowOrders) CreateOrder(ctx context.Context, request *orderv1.CreateOrderRequest) (*orderv1.Order, error) {
	return s.GetOrder(ctx, &orderv1.GetOrderRequest{Name: request.GetOrder().GetName()})
}

// ListOrders answers with nothing after the same time.
func (s *slowOrders) ListOrders(ctx context.Context, _ *orderv1.ListOrdersRequest) (*orderv1.ListOrdersResponse, error) {
	_, err := s.GetOrder(ctx, &orderv1.GetOrderRequest{Name: "orders/all"})
	return &orderv1.ListOrdersResponse{}, err
}

// WatchOrder sends the order, a change of its status after some time, and ends after some more.
func (s *slowOrders) WatchOrder(request *orderv1.WatchOrderRequest, ss grpc.ServerStreamingServer[orderv1.WatchOrderResponse]) error {
	order, err := s.GetOrder(ss.Context(), &orderv1.GetOrderRequest{Name: request.GetName()})
	if err != nil {
		return err
	}
	if err := ss.Send(&orderv1.WatchOrderResponse{Update: &orderv1.WatchOrderResponse_Order{Order: order}}); err != nil {
		return err
	}
	timer := time.NewTimer(s.delay)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ss.Context().Done():
		return status.FromContextError(ss.Context().Err()).Err()
	}
	change := &orderv1.StatusChange{Status: orderv1.Order_STATUS_DELIVERED}
	return ss.Send(&orderv1.WatchOrderResponse{Update: &orderv1.WatchOrderResponse_StatusChange{StatusChange: change}})
}

type nameKey struct{}

// TagRPC makes slowOrders a stats.Handler: it leaves room for the name of the order that a call asks for.
func (s *slowOrders) TagRPC(ctx context.Context, _ *stats.RPCTagInfo) context.Context {
	return context.WithValue(ctx, nameKey{}, new(string))
}

// HandleRPC notes that a call has finished once its answer is on the way, not when its handler returns.
func (s *slowOrders) HandleRPC(ctx context.Context, event stats.RPCStats) {
	if end, ok := event.(*stats.End); ok && end.Error == nil {
		s.note(finished, *ctx.Value(nameKey{}).(*string))
	}
}

// TagConn and HandleConn belong to a stats.Handler.
func (s *slowOrders) TagConn(ctx context.Context, _ *stats.ConnTagInfo) context.Context { return ctx }

// HandleConn does nothing.
func (s *slowOrders) HandleConn(context.Context, stats.ConnStats) {}

// instanceMain is an instance: it prints its address and serves until its standard input ends, with the test at the latest.
func instanceMain(path string) int {
	journal, err := os.OpenFile(path, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		fail(err)
	}
	delay, err := time.ParseDuration(os.Getenv(delayVariable))
	if err != nil {
		fail(err)
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		fail(err)
	}
	orders := &slowOrders{journal: journal, delay: delay}
	server := grpc.NewServer(grpc.StatsHandler(orders))
	orderv1.RegisterOrderServiceServer(server, orders)
	go func() {
		_, _ = io.Copy(io.Discard, os.Stdin)
		server.Stop()
	}()
	fmt.Fprintln(os.Stdout, listener.Addr())
	if err := server.Serve(listener); err != nil {
		fail(err)
	}
	return 0
}

// instance is an instance as its test sees it.
type instance struct {
	*process
	address, journal string
}

// startInstance starts an instance, which ends with the test.
func startInstance(t *testing.T, delay time.Duration) *instance {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	i := &instance{journal: filepath.Join(t.TempDir(), "journal")}
	cmd := exec.Command(self)
	cmd.Env = append(os.Environ(), journalVariable+"="+i.journal, delayVariable+"="+delay.String())
	stdin, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	i.process = start(t, cmd)
	t.Cleanup(func() { stdin.Close() })
	i.waitFor(t, "the address of an instance", func() bool {
		var ok bool
		i.address, _, ok = strings.Cut(i.stdout.String(), "\n")
		return ok
	})
	return i
}

// record is when things happened to calls, by event and name.
type record map[string]map[string]time.Time

// read reads the journal.
func (i *instance) read(t *testing.T) record {
	t.Helper()
	r := record{began: {}, finished: {}, canceled: {}}
	text, err := os.ReadFile(i.journal)
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(text)) {
		var event, name string
		var nanos int64
		if _, err := fmt.Sscanln(line, &event, &name, &nanos); err != nil {
			t.Fatalf("journal: %v in %q", err, line)
		}
		r[event][name] = time.Unix(0, nanos)
	}
	return r
}

// knows tells whether an event happened to a call.
func (r record) knows(event, name string) bool {
	_, ok := r[event][name]
	return ok
}
