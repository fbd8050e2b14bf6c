// Package reflection asks a backend for the contracts of its services by gRPC server reflection, v1 or v1alpha. It trusts
// the backend with nothing: what it takes has bounds.
package reflection

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	reflectionv1 "google.golang.org/grpc/reflection/grpc_reflection_v1"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protodesc"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"
	"google.golang.org/protobuf/types/descriptorpb"

	"github.com/cardea-gateway/cardea/policies/call"
)

// Backend opens raw streams; *upstream.Backend is one.
type Backend interface {
	Stream(ctx context.Context, desc *grpc.StreamDesc, method string, opts ...grpc.CallOption) (grpc.ClientStream, error)
}

// Answer is what a backend has told.
type Answer struct {
	// Version is that of the protocol: v1 or v1alpha.
	Version string
	// Services are the full names of the services that were asked for, or of all that the backend lists, sorted.
	Services []string
	// Files define them, with all imports, sorted by name.
	Files *descriptorpb.FileDescriptorSet
}

// Bounds of an answer. They are far beyond what real backends have.
const (
	maxServices = 1000
	maxFiles    = 5000
	maxBytes    = 16 << 20
)

// versions of the protocol, the preferred one first. Their messages are the same on the wire.
var versions = []string{"v1", "v1alpha"}

// Ask asks a backend for the contracts of the services, or of all that it lists, but for reflection and health, if none is
// named. It asks once, until the context ends.
func Ask(ctx context.Context, backend Backend, services []string) (*Answer, error) {
	var err error
	for _, version := range versions {
		var answer *Answer
		answer, err = ask(ctx, backend, version, services)
		if err == nil {
			return answer, nil
		}
		if status.Code(err) != codes.Unimplemented {
			return nil, fmt.Errorf("server reflection %s: %w", version, err)
		}
	}
	return nil, fmt.Errorf("the backend has no server reflection, neither v1 nor v1alpha: %w", err)
}

func ask(ctx context.Context, backend Backend, version string, services []string) (*Answer, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	stream, err := backend.Stream(ctx, &grpc.StreamDesc{ClientStreams: true, ServerStreams: true},
		"/grpc.reflection."+version+".ServerReflection/ServerReflectionInfo",
		grpc.MaxCallRecvMsgSize(maxBytes)) // Contracts are no messages of clients: their limit is another one.
	if err != nil {
		return nil, err
	}
	c := &conversation{stream: stream, files: map[string]*descriptorpb.FileDescriptorProto{}, imports: map[string]bool{}}
	listed, err := c.list()
	if err != nil {
		return nil, err
	}
	if len(services) == 0 {
		services = listed
	}
	if len(services) == 0 {
		return nil, errors.New("the backend lists no service but those of grpc")
	}
	for _, service := range services {
		if !slices.Contains(listed, service) {
			return nil, fmt.Errorf("the backend does not list the service %s", service)
		}
		if err := c.define(service); err != nil {
			return nil, fmt.Errorf("service %s: %w", service, err)
		}
	}
	if err := c.complete(); err != nil {
		return nil, err
	}
	if undefined := c.undefined(services); undefined != "" {
		return nil, fmt.Errorf("service %s: no file of the backend's answer defines it", undefined)
	}
	return &Answer{Version: version, Services: slices.Compact(slices.Sorted(slices.Values(services))), Files: c.set()}, nil
}

// conversation is one stream of questions and answers.
type conversation struct {
	stream  grpc.ClientStream
	files   map[string]*descriptorpb.FileDescriptorProto
	imports map[string]bool // Of the files, whether they are here or not.
	bytes   int
}

// errOdd says that an answer is of another kind than the question.
var errOdd = errors.New("the backend's answer does not fit the question")

// ask asks one question.
func (c *conversation) ask(question *reflectionv1.ServerReflectionRequest) (*reflectionv1.ServerReflectionResponse, error) {
	m, err := call.MessageOf(question)
	if err != nil {
		return nil, err
	}
	if err := c.stream.SendMsg(m); err != nil && !errors.Is(err, io.EOF) { // The end: receiving says why.
		m.Free()
		return nil, err
	}
	m = new(call.Message)
	if err := c.stream.RecvMsg(m); err != nil {
		return nil, err
	}
	defer m.Free()
	if c.bytes += m.Len(); c.bytes > maxBytes {
		return nil, fmt.Errorf("the backend's answers are larger than %d bytes", maxBytes)
	}
	answer := &reflectionv1.ServerReflectionResponse{}
	if err := proto.Unmarshal(m.Bytes(), answer); err != nil {
		return nil, errOdd
	}
	if refused := answer.GetErrorResponse(); refused != nil {
		return nil, &refusal{codes.Code(refused.GetErrorCode()), refused.GetErrorMessage()}
	}
	return answer, nil
}

// refusal is an error that the backend gives as an answer.
type refusal struct {
	code    codes.Code
	message string
}

func (r *refusal) Error() string { return fmt.Sprintf("the backend answers %s: %s", r.code, r.message) }

// list returns the services that the backend lists, but for those of tools.
func (c *conversation) list() ([]string, error) {
	answer, err := c.ask(&reflectionv1.ServerReflectionRequest{
		MessageRequest: &reflectionv1.ServerReflectionRequest_ListServices{ListServices: "*"},
	})
	if err != nil {
		return nil, err
	}
	if answer.GetListServicesResponse() == nil {
		return nil, errOdd
	}
	var names []string
	for _, s := range answer.GetListServicesResponse().GetService() {
		if name := s.GetName(); !strings.HasPrefix(name, "grpc.reflection.") && !strings.HasPrefix(name, "grpc.health.") {
			names = append(names, name)
		}
	}
	if len(names) > maxServices {
		return nil, fmt.Errorf("the backend lists more than %d services", maxServices)
	}
	return names, nil
}

// define asks for the files that define a service.
func (c *conversation) define(service string) error {
	answer, err := c.ask(&reflectionv1.ServerReflectionRequest{
		MessageRequest: &reflectionv1.ServerReflectionRequest_FileContainingSymbol{FileContainingSymbol: service},
	})
	if err != nil {
		return err
	}
	return c.take(answer)
}

// take keeps the files of an answer.
func (c *conversation) take(answer *reflectionv1.ServerReflectionResponse) error {
	files := answer.GetFileDescriptorResponse().GetFileDescriptorProto()
	if len(files) == 0 {
		return errOdd
	}
	for _, data := range files {
		file := &descriptorpb.FileDescriptorProto{}
		if err := proto.Unmarshal(data, file); err != nil || file.GetName() == "" {
			return errOdd
		}
		if err := c.add(file); err != nil {
			return err
		}
	}
	return nil
}

// add keeps a file.
func (c *conversation) add(file *descriptorpb.FileDescriptorProto) error {
	file.SourceCodeInfo = nil
	if known := c.files[file.GetName()]; known != nil {
		if !proto.Equal(known, file) {
			return fmt.Errorf("the backend has two files %s that differ", file.GetName())
		}
		return nil
	}
	c.files[file.GetName()] = file
	for _, name := range file.GetDependency() {
		c.imports[name] = true
	}
	if len(c.files) > maxFiles || len(c.imports) > maxFiles {
		return fmt.Errorf("the backend's services need more than %d files", maxFiles)
	}
	return nil
}

// complete asks for imports until there is none that is missing.
func (c *conversation) complete() error {
	for missing := c.missing(); len(missing) > 0; missing = c.missing() {
		for _, name := range missing {
			if err := c.imported(name); err != nil {
				return fmt.Errorf("import %s: %w", name, err)
			}
		}
	}
	return nil
}

// missing returns the imports that are not here, sorted.
func (c *conversation) missing() []string {
	var missing []string
	for name := range c.imports {
		if c.files[name] == nil {
			missing = append(missing, name)
		}
	}
	slices.Sort(missing)
	return missing
}

// undefined returns a service that none of the files defines; empty if there is none.
func (c *conversation) undefined(services []string) string {
	defined := map[string]bool{}
	for _, file := range c.files {
		for _, service := range file.GetService() {
			name := protoreflect.FullName(file.GetPackage()).Append(protoreflect.Name(service.GetName()))
			defined[string(name)] = true
		}
	}
	for _, service := range services {
		if !defined[service] {
			return service
		}
	}
	return ""
}

// imported asks for one file. What protobuf itself defines, some backends don't have at hand.
func (c *conversation) imported(name string) error {
	if c.files[name] != nil { // It came with another one.
		return nil
	}
	answer, err := c.ask(&reflectionv1.ServerReflectionRequest{
		MessageRequest: &reflectionv1.ServerReflectionRequest_FileByFilename{FileByFilename: name},
	})
	if _, refused := errors.AsType[*refusal](err); refused && strings.HasPrefix(name, "google/protobuf/") {
		if file, unknown := protoregistry.GlobalFiles.FindFileByPath(name); unknown == nil {
			return c.add(protodesc.ToFileDescriptorProto(file))
		}
	}
	if err != nil {
		return err
	}
	if err := c.take(answer); err != nil {
		return err
	}
	if c.files[name] == nil {
		return errOdd
	}
	return nil
}

// set returns the files, sorted by name.
func (c *conversation) set() *descriptorpb.FileDescriptorSet {
	set := &descriptorpb.FileDescriptorSet{}
	for _, file := range c.files {
		set.File = append(set.File, file)
	}
	slices.SortFunc(set.GetFile(), func(a, b *descriptorpb.FileDescriptorProto) int { return strings.Compare(a.GetName(), b.GetName()) })
	return set
}

// Equal reports whether two answers say the same.
func (a *Answer) Equal(other *Answer) bool {
	return other != nil && slices.Equal(a.Services, other.Services) && proto.Equal(a.Files, other.Files)
}
