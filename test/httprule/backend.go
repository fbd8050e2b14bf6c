package httprule

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"sync"

	_ "google.golang.org/genproto/googleapis/rpc/errdetails" // Details of errors.
	spb "google.golang.org/genproto/googleapis/rpc/status"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"
	"google.golang.org/protobuf/types/dynamicpb"

	_ "github.com/cardea-gateway/cardea/test/httprule/gen/httprule/v1" // The contract.
)

// contract is the package of the contract.
const contract = "httprule.v1."

// Services are the services of the contract, those first for which handlers of grpc-gateway can be generated.
var Services = []string{contract + "Bindings", contract + "Templates", contract + "More"}

// Backend is the gRPC server behind the transcoder. It serves one case at a time.
type Backend struct {
	listener net.Listener
	server   *grpc.Server
	done     chan struct{}

	mu    sync.Mutex
	plan  *Case
	calls []call
}

// call is what the backend got.
type call struct {
	method   string
	requests []proto.Message
}

// NewBackend starts a backend on loopback.
func NewBackend() (*Backend, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	b := &Backend{listener: listener, done: make(chan struct{})}
	b.server = grpc.NewServer(grpc.UnknownServiceHandler(b.serve))
	go func() {
		defer close(b.done)
		_ = b.server.Serve(listener)
	}()
	return b, nil
}

// Address is where it listens.
func (b *Backend) Address() string { return b.listener.Addr().String() }

// Close stops it.
func (b *Backend) Close() {
	b.server.Stop()
	<-b.done
}

// expect prepares the backend for a case.
func (b *Backend) expect(c *Case) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.plan, b.calls = c, nil
}

// got returns the calls since then.
func (b *Backend) got() []call {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.calls
}

// serve answers any method of the contract.
func (b *Backend) serve(_ any, ss grpc.ServerStream) error {
	name, _ := grpc.MethodFromServerStream(ss)
	md := methodOf(name)
	if md == nil || md.FullName().Parent().Parent() != "httprule.v1" { // Health checks are no part of the suite.
		return status.Error(codes.Unimplemented, name)
	}
	c := call{method: string(md.FullName())}
	if err := c.receive(ss, md); err != nil { // It was broken off before it was a request.
		return err
	}
	b.mu.Lock()
	b.calls = append(b.calls, c)
	plan := b.plan
	b.mu.Unlock()
	if plan.Fail == nil || md.IsStreamingServer() {
		if err := answer(ss, md, plan.Answer); err != nil {
			return err
		}
	}
	return plan.Fail.status()
}

func methodOf(name string) protoreflect.MethodDescriptor {
	service, method, _ := strings.Cut(strings.TrimPrefix(name, "/"), "/")
	found, err := protoregistry.GlobalFiles.FindDescriptorByName(protoreflect.FullName(service + "." + method))
	if err != nil {
		return nil
	}
	md, _ := found.(protoreflect.MethodDescriptor)
	return md
}

func (c *call) receive(ss grpc.ServerStream, md protoreflect.MethodDescriptor) error {
	for {
		m := dynamicpb.NewMessage(md.Input())
		err := ss.RecvMsg(m)
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		c.requests = append(c.requests, m)
		if !md.IsStreamingClient() {
			return nil
		}
	}
}

// answer sends what a case says: one message, or a list of them.
func answer(ss grpc.ServerStream, md protoreflect.MethodDescriptor, planned any) error {
	list, ok := planned.([]any)
	if !md.IsStreamingServer() {
		list, ok = []any{planned}, true
	}
	if !ok && planned != nil {
		return status.Error(codes.Internal, "the answer of a stream is a list")
	}
	for _, each := range list {
		m, err := messageOf(md.Output(), each)
		if err != nil {
			return status.Error(codes.Internal, err.Error())
		}
		if err := ss.SendMsg(m); err != nil {
			return err
		}
	}
	return nil
}

// messageOf makes a message of its JSON form as YAML holds it.
func messageOf(md protoreflect.MessageDescriptor, v any) (proto.Message, error) {
	m := dynamicpb.NewMessage(md)
	if v == nil {
		return m, nil
	}
	data, err := json.Marshal(v)
	if err == nil {
		err = protojson.Unmarshal(data, m)
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %w", md.FullName(), err)
	}
	return m, nil
}

func (f *Failure) status() error {
	if f == nil {
		return nil
	}
	p := &spb.Status{Code: int32(f.Code), Message: f.Message}
	if len(f.Details) > 0 {
		data, err := json.Marshal(map[string]any{"details": f.Details})
		if err == nil {
			details := &spb.Status{}
			err = protojson.Unmarshal(data, details)
			p.Details = details.GetDetails()
		}
		if err != nil {
			return status.Error(codes.Internal, err.Error())
		}
	}
	return status.ErrorProto(p)
}
