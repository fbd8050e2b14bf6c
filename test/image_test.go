package test

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"google.golang.org/genproto/googleapis/api/annotations"
	"google.golang.org/grpc"
	"google.golang.org/grpc/reflection"
	"google.golang.org/grpc/reflection/grpc_reflection_v1"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protodesc"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"
	"google.golang.org/protobuf/types/descriptorpb"
	"google.golang.org/protobuf/types/known/wrapperspb"

	policyv1 "github.com/cardea-gateway/cardea/gen/go/cardea/policy/v1"
)

const echoService = "echo.v1.EchoService"

// echoFile is a contract that no binary is linked with: a service whose one method answers with what it gets, declared
// public, at GET /v1/echo/{value}.
func echoFile() *descriptorpb.FileDescriptorProto {
	options := &descriptorpb.MethodOptions{}
	proto.SetExtension(options, annotations.E_Http, &annotations.HttpRule{Pattern: &annotations.HttpRule_Get{Get: "/v1/echo/{value}"}})
	proto.SetExtension(options, policyv1.E_Method, &policyv1.Policy{Auth: &policyv1.Auth{Public: true}})
	message := func(name string) *descriptorpb.DescriptorProto {
		return &descriptorpb.DescriptorProto{Name: new(name), Field: []*descriptorpb.FieldDescriptorProto{{
			Name: new("value"), Number: new(int32(1)), JsonName: new("value"),
			Type: descriptorpb.FieldDescriptorProto_TYPE_STRING.Enum(), Label: descriptorpb.FieldDescriptorProto_LABEL_OPTIONAL.Enum(),
		}}}
	}
	return &descriptorpb.FileDescriptorProto{
		Name: new("echo/v1/echo.proto"), Package: new("echo.v1"), Syntax: new("proto3"),
		Dependency:  []string{annotations.File_google_api_annotations_proto.Path(), policyv1.File_cardea_policy_v1_policy_proto.Path()},
		MessageType: []*descriptorpb.DescriptorProto{message("EchoRequest"), message("EchoResponse")},
		Service: []*descriptorpb.ServiceDescriptorProto{{Name: new("EchoService"), Method: []*descriptorpb.MethodDescriptorProto{{
			Name: new("Echo"), InputType: new(".echo.v1.EchoRequest"), OutputType: new(".echo.v1.EchoResponse"),
			Options: options,
		}}}},
	}
}

// echoSet is a descriptor set of the echo service with all that it imports.
func echoSet() *descriptorpb.FileDescriptorSet {
	set := &descriptorpb.FileDescriptorSet{}
	seen := map[string]bool{}
	var add func(protoreflect.FileDescriptor)
	add = func(f protoreflect.FileDescriptor) {
		if seen[f.Path()] {
			return
		}
		seen[f.Path()] = true
		for i := range f.Imports().Len() {
			add(f.Imports().Get(i).FileDescriptor)
		}
		set.File = append(set.File, protodesc.ToFileDescriptorProto(f))
	}
	add(annotations.File_google_api_annotations_proto)
	add(policyv1.File_cardea_policy_v1_policy_proto)
	set.File = append(set.File, echoFile())
	return set
}

func echoFiles(t *testing.T) *protoregistry.Files {
	t.Helper()
	files, err := protodesc.NewFiles(echoSet())
	if err != nil {
		t.Fatal(err)
	}
	return files
}

// writeImage writes a descriptor image of the echo service, and returns its path.
func writeImage(t *testing.T) string {
	t.Helper()
	data, err := proto.Marshal(echoSet())
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "image.binpb")
	if err := os.WriteFile(path, data, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// startEcho serves echoService in this process, and tells its contract by server reflection. A StringValue has the wire format
// of both of its messages.
func startEcho(t *testing.T) (address string) {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	server := grpc.NewServer()
	server.RegisterService(&grpc.ServiceDesc{ServiceName: echoService, HandlerType: (*any)(nil), Methods: []grpc.MethodDesc{{
		MethodName: "Echo",
		Handler: func(_ any, _ context.Context, decode func(any) error, _ grpc.UnaryServerInterceptor) (any, error) {
			text := &wrapperspb.StringValue{}
			return text, decode(text)
		},
	}}}, struct{}{})
	grpc_reflection_v1.RegisterServerReflectionServer(server, reflection.NewServerV1(reflection.ServerOptions{
		Services: server, DescriptorResolver: echoFiles(t),
	}))
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = server.Serve(listener)
	}()
	t.Cleanup(func() {
		server.Stop()
		<-done
	})
	return listener.Addr().String()
}

// TestContract puts a gateway in front of a service that is no part of the binary: it knows it from descriptors alone.
func TestContract(t *testing.T) {
	for source, tt := range map[string]struct{ backend, descriptors string }{
		"image image.binpb":               {", services: [" + echoService + "]", "descriptors: {images: [" + writeImage(t) + "]}\n"},
		"image image.binpb, in a folder":  {", services: [" + echoService + "]", "descriptors: {directories: [" + filepath.Dir(writeImage(t)) + "]}\n"},
		"reflection of backend echo (v1)": {", reflection: {}", ""},
	} {
		t.Run(source, func(t *testing.T) {
			gw := serve(t, fmt.Sprintf(`listeners: [{address: "127.0.0.1:0"}]
admin: {address: "127.0.0.1:0"}
backends: [{name: echo, target: "static:///%s"%s}]
reflection: {enabled: true}
%s`, startEcho(t), tt.backend, tt.descriptors))
			checkEcho(t, gw)
			a := restTo(t, gw.admin).do(t, http.MethodGet, "/v1/routes", "")
			from, _, _ := strings.Cut(source, ",")
			if !strings.Contains(a.body, `"source":"`+from+`"`) {
				t.Errorf("the contract is from somewhere else: %s", a.body)
			}
		})
	}
}

// checkEcho calls the echo service in every way, and asks the gateway what it knows of it.
func checkEcho(t *testing.T, gw *gateway) {
	t.Helper()
	conn := dial(t, gw.address)

	t.Run("gRPC", func(t *testing.T) {
		got := &wrapperspb.StringValue{}
		if err := conn.Invoke(t.Context(), "/"+echoService+"/Echo", wrapperspb.String("hinge"), got); err != nil || got.GetValue() != "hinge" {
			t.Errorf("%v %v", got, err)
		}
	})
	t.Run("REST", func(t *testing.T) {
		a := restTo(t, gw.address).do(t, http.MethodGet, "/v1/echo/hinge", "")
		if a.StatusCode != http.StatusOK || a.body != `{"value":"hinge"}` {
			t.Errorf("%s %s", a.Status, a.body)
		}
	})
	t.Run("reflection", func(t *testing.T) {
		want := []string{echoService, "grpc.health.v1.Health", "grpc.reflection.v1.ServerReflection", "grpc.reflection.v1alpha.ServerReflection"}
		if got := listServices(t, conn); !slices.Equal(got, want) {
			t.Errorf("services %v", got)
		}
		if got := fileOf(t, conn, echoService); !proto.Equal(got, echoFile()) {
			t.Errorf("the contract is another one: %v", got)
		}
	})
}

// reflect asks for one thing by server reflection.
func reflect(t *testing.T, conn *grpc.ClientConn, request *grpc_reflection_v1.ServerReflectionRequest) *grpc_reflection_v1.ServerReflectionResponse {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	stream, err := grpc_reflection_v1.NewServerReflectionClient(conn).ServerReflectionInfo(ctx)
	if err != nil {
		t.Fatal(err)
	}
	if err := stream.Send(request); err != nil {
		t.Fatal(err)
	}
	response, err := stream.Recv()
	if err != nil {
		t.Fatal(err)
	}
	return response
}

// listServices returns the names of all services, sorted.
func listServices(t *testing.T, conn *grpc.ClientConn) []string {
	t.Helper()
	var names []string
	for _, service := range reflect(t, conn, &grpc_reflection_v1.ServerReflectionRequest{
		MessageRequest: &grpc_reflection_v1.ServerReflectionRequest_ListServices{},
	}).GetListServicesResponse().GetService() {
		names = append(names, service.GetName())
	}
	slices.Sort(names)
	return names
}

// fileOf returns the file that defines a symbol.
func fileOf(t *testing.T, conn *grpc.ClientConn, symbol string) *descriptorpb.FileDescriptorProto {
	t.Helper()
	response := reflect(t, conn, &grpc_reflection_v1.ServerReflectionRequest{
		MessageRequest: &grpc_reflection_v1.ServerReflectionRequest_FileContainingSymbol{FileContainingSymbol: symbol},
	})
	files := response.GetFileDescriptorResponse().GetFileDescriptorProto()
	if len(files) == 0 {
		t.Fatalf("%s: %v", symbol, response)
	}
	file := &descriptorpb.FileDescriptorProto{}
	if err := proto.Unmarshal(files[0], file); err != nil {
		t.Fatal(err)
	}
	return file
}
