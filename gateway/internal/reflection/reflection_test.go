package reflection

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/mem"
	"google.golang.org/grpc/metadata"
	reflectionv1 "google.golang.org/grpc/reflection/grpc_reflection_v1"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/descriptorpb"

	"github.com/cardea-gateway/cardea/policies/call"
)

// backend answers questions as a function says.
type backend struct {
	versions []string // Which it has; nil is v1.
	answer   func(*reflectionv1.ServerReflectionRequest) *reflectionv1.ServerReflectionResponse
	asked    int
}

func (b *backend) Stream(_ context.Context, _ *grpc.StreamDesc, method string, _ ...grpc.CallOption) (grpc.ClientStream, error) {
	versions := b.versions
	if versions == nil {
		versions = []string{"v1"}
	}
	known := slices.ContainsFunc(versions, func(v string) bool { return strings.HasPrefix(method, "/grpc.reflection."+v+".") })
	return &stream{backend: b, known: known}, nil
}

type stream struct {
	*backend

	known bool
	next  *reflectionv1.ServerReflectionResponse
}

func (*stream) Header() (metadata.MD, error) { return nil, nil }
func (*stream) Trailer() metadata.MD         { return nil }
func (*stream) CloseSend() error             { return nil }
func (*stream) Context() context.Context     { return nil }

func (s *stream) SendMsg(m any) error {
	if !s.known {
		return io.EOF
	}
	question := &reflectionv1.ServerReflectionRequest{}
	if err := proto.Unmarshal(m.(*call.Message).Bytes(), question); err != nil {
		return err
	}
	s.asked++
	s.next = s.answer(question)
	return nil
}

func (s *stream) RecvMsg(m any) error {
	if !s.known {
		return status.Error(codes.Unimplemented, "unknown service")
	}
	if s.next == nil {
		return io.EOF
	}
	answer, err := call.MessageOf(s.next)
	if err == nil {
		m.(*call.Message).Reset(answer.Take())
	}
	return err
}

func list(names ...string) *reflectionv1.ServerReflectionResponse {
	l := &reflectionv1.ListServiceResponse{}
	for _, name := range names {
		l.Service = append(l.Service, &reflectionv1.ServiceResponse{Name: name})
	}
	return &reflectionv1.ServerReflectionResponse{MessageResponse: &reflectionv1.ServerReflectionResponse_ListServicesResponse{ListServicesResponse: l}}
}

func files(all ...*descriptorpb.FileDescriptorProto) *reflectionv1.ServerReflectionResponse {
	f := &reflectionv1.FileDescriptorResponse{}
	for _, file := range all {
		data, _ := proto.Marshal(file)
		f.FileDescriptorProto = append(f.FileDescriptorProto, data)
	}
	return &reflectionv1.ServerReflectionResponse{MessageResponse: &reflectionv1.ServerReflectionResponse_FileDescriptorResponse{FileDescriptorResponse: f}}
}

func refuse(code codes.Code) *reflectionv1.ServerReflectionResponse {
	return &reflectionv1.ServerReflectionResponse{MessageResponse: &reflectionv1.ServerReflectionResponse_ErrorResponse{
		ErrorResponse: &reflectionv1.ErrorResponse{ErrorCode: int32(code), ErrorMessage: "why"},
	}}
}

func file(name string, imports ...string) *descriptorpb.FileDescriptorProto {
	return &descriptorpb.FileDescriptorProto{Name: new(name), Dependency: imports, SourceCodeInfo: &descriptorpb.SourceCodeInfo{}}
}

// defines makes a file define a service such as a.A.
func defines(service string, f *descriptorpb.FileDescriptorProto) *descriptorpb.FileDescriptorProto {
	f.Package = new(service[:1])
	f.Service = append(f.Service, &descriptorpb.ServiceDescriptorProto{Name: new(service[2:])})
	return f
}

// shop is a backend with a service a.A in two files.
func shop() *backend {
	return &backend{answer: func(q *reflectionv1.ServerReflectionRequest) *reflectionv1.ServerReflectionResponse {
		switch {
		case q.GetListServices() != "":
			return list("grpc.reflection.v1.ServerReflection", "b.B", "grpc.health.v1.Health", "a.A")
		case q.GetFileContainingSymbol() == "a.A":
			return files(defines("a.A", file("a.proto", "common.proto", "google/protobuf/any.proto")))
		case q.GetFileContainingSymbol() == "b.B":
			return files(defines("b.B", file("b.proto", "common.proto")), file("common.proto"))
		case q.GetFileByFilename() == "common.proto":
			return files(file("common.proto"))
		}
		return refuse(codes.NotFound)
	}}
}

func names(a *Answer) []string {
	var all []string
	for _, f := range a.Files.GetFile() {
		all = append(all, f.GetName())
	}
	return all
}

func TestAsk(t *testing.T) {
	for _, version := range []string{"v1", "v1alpha"} {
		for _, tt := range []struct{ services, wantServices, wantFiles []string }{
			{nil, []string{"a.A", "b.B"}, []string{"a.proto", "b.proto", "common.proto", "google/protobuf/any.proto"}},
			{[]string{"a.A"}, []string{"a.A"}, []string{"a.proto", "common.proto", "google/protobuf/any.proto"}},
			{[]string{"b.B"}, []string{"b.B"}, []string{"b.proto", "common.proto"}},
		} {
			b := shop()
			b.versions = []string{version}
			got, err := Ask(t.Context(), b, tt.services)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tt.wantFiles, names(got)); diff != "" || got.Version != version {
				t.Errorf("%s %s", got.Version, diff)
			}
			if diff := cmp.Diff(tt.wantServices, got.Services); diff != "" {
				t.Error(diff)
			}
			if again, err := Ask(t.Context(), shop(), tt.services); err != nil || !again.Equal(got) || again.Equal(nil) {
				t.Errorf("%v: the same answer is another one", err)
			}
		}
	}
}

// TestAskRefuses has backends that answer nonsense.
func TestAskRefuses(t *testing.T) {
	for want, change := range map[string]func(*reflectionv1.ServerReflectionRequest) *reflectionv1.ServerReflectionResponse{
		"the backend does not list the service a.A": func(q *reflectionv1.ServerReflectionRequest) *reflectionv1.ServerReflectionResponse {
			if q.GetListServices() != "" {
				return list("b.B")
			}
			return nil
		},
		"the backend lists more than": func(q *reflectionv1.ServerReflectionRequest) *reflectionv1.ServerReflectionResponse {
			if q.GetListServices() != "" {
				return list(slices.Repeat([]string{"a.A"}, maxServices+1)...)
			}
			return nil
		},
		"service a.A: no file of the backend's answer defines it": func(q *reflectionv1.ServerReflectionRequest) *reflectionv1.ServerReflectionResponse {
			if q.GetFileContainingSymbol() != "" {
				return files(defines("a.Other", file("a.proto")))
			}
			return shop().answer(q)
		},
		"need more than 5000 files": func(q *reflectionv1.ServerReflectionRequest) *reflectionv1.ServerReflectionResponse {
			if q.GetFileContainingSymbol() != "" {
				return files(file("a.proto", manyNames(maxFiles+1)...))
			}
			return shop().answer(q)
		},
		"EOF": func(*reflectionv1.ServerReflectionRequest) *reflectionv1.ServerReflectionResponse { return nil },
		"does not fit the question": func(*reflectionv1.ServerReflectionRequest) *reflectionv1.ServerReflectionResponse {
			return &reflectionv1.ServerReflectionResponse{}
		},
		"service a.A: the backend's answer does not fit": func(q *reflectionv1.ServerReflectionRequest) *reflectionv1.ServerReflectionResponse {
			if q.GetFileContainingSymbol() != "" {
				return list("x")
			}
			return shop().answer(q)
		},
		"service a.A: the backend answers PermissionDenied: why": func(q *reflectionv1.ServerReflectionRequest) *reflectionv1.ServerReflectionResponse {
			if q.GetFileContainingSymbol() != "" {
				return refuse(codes.PermissionDenied)
			}
			return shop().answer(q)
		},
		"import common.proto: the backend answers NotFound": func(q *reflectionv1.ServerReflectionRequest) *reflectionv1.ServerReflectionResponse {
			if q.GetFileByFilename() != "" {
				return refuse(codes.NotFound)
			}
			return shop().answer(q)
		},
		"import google/protobuf/none.proto: the backend answers NotFound": func(q *reflectionv1.ServerReflectionRequest) *reflectionv1.ServerReflectionResponse {
			if q.GetFileContainingSymbol() != "" {
				return files(file("a.proto", "google/protobuf/none.proto"))
			}
			return shop().answer(q)
		},
		"import common.proto: the backend's answer does not fit": func(q *reflectionv1.ServerReflectionRequest) *reflectionv1.ServerReflectionResponse {
			if q.GetFileByFilename() != "" { // For ever, if anybody believed it.
				return files(file("other.proto"))
			}
			return shop().answer(q)
		},
		"two files a.proto that differ": func(q *reflectionv1.ServerReflectionRequest) *reflectionv1.ServerReflectionResponse {
			if q.GetFileByFilename() != "" {
				return files(file(q.GetFileByFilename()), file("a.proto"))
			}
			return shop().answer(q)
		},
		"need more than": func(q *reflectionv1.ServerReflectionRequest) *reflectionv1.ServerReflectionResponse {
			if name := q.GetFileByFilename(); name != "" { // Each imports another one.
				return files(file(name, name+"x"))
			}
			return shop().answer(q)
		},
		"larger than": func(q *reflectionv1.ServerReflectionRequest) *reflectionv1.ServerReflectionResponse {
			if name := q.GetFileByFilename(); name != "" {
				return files(file(name, fmt.Sprint(name, len(name))), file("big.proto"+strings.Repeat("x", 1<<20)))
			}
			return shop().answer(q)
		},
	} {
		if got, err := Ask(t.Context(), &backend{answer: change}, []string{"a.A"}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, %v, want %s", got, err, want)
		}
	}
	_, err := Ask(t.Context(), &backend{versions: []string{"v2"}}, nil)
	if status.Code(err) != codes.Unimplemented || !strings.Contains(err.Error(), "no server reflection, neither v1 nor v1alpha") {
		t.Errorf("a backend without reflection: %v", err)
	}
}

func manyNames(n int) []string {
	names := make([]string, n)
	for i := range names {
		names[i] = strconv.Itoa(i)
	}
	return names
}

// TestAskTakesAServiceOnce has a backend that lists one twice, and that refuses what protobuf defines in a way of its own.
func TestAskTakesAServiceOnce(t *testing.T) {
	b := shop()
	b.answer = func(q *reflectionv1.ServerReflectionRequest) *reflectionv1.ServerReflectionResponse {
		switch {
		case q.GetListServices() != "":
			return list("a.A", "a.A")
		case strings.HasPrefix(q.GetFileByFilename(), "google/"):
			return refuse(codes.InvalidArgument)
		}
		return shop().answer(q)
	}
	got, err := Ask(t.Context(), b, nil)
	if err != nil || !slices.Equal(got.Services, []string{"a.A"}) {
		t.Errorf("%v %v", got, err)
	}
}

func TestAskABackendThatListsNothing(t *testing.T) {
	b := &backend{answer: func(*reflectionv1.ServerReflectionRequest) *reflectionv1.ServerReflectionResponse {
		return list("grpc.health.v1.Health")
	}}
	if got, err := Ask(t.Context(), b, nil); err == nil || !strings.Contains(err.Error(), "lists no service") {
		t.Errorf("%v %v", got, err)
	}
}

// scripted is a backend that answers with one message after another, whatever it is asked.
type scripted struct {
	stream

	answers [][]byte
}

func (s *scripted) Stream(context.Context, *grpc.StreamDesc, string, ...grpc.CallOption) (grpc.ClientStream, error) {
	return s, nil
}

func (*scripted) SendMsg(m any) error {
	m.(*call.Message).Free()
	return nil
}

func (s *scripted) RecvMsg(m any) error {
	if len(s.answers) == 0 {
		return io.EOF
	}
	m.(*call.Message).Reset(mem.BufferSlice{mem.SliceBuffer(s.answers[0])})
	s.answers = s.answers[1:]
	return nil
}

// FuzzAsk has a backend that says anything: what is taken of it is complete.
func FuzzAsk(f *testing.F) {
	wire := func(m proto.Message) []byte {
		data, err := proto.Marshal(m)
		if err != nil {
			f.Fatal(err)
		}
		return data
	}
	f.Add(wire(list("a.A")), wire(files(defines("a.A", file("a.proto", "common.proto")))), wire(files(file("common.proto"))))
	f.Add(wire(list("a.A")), wire(files(defines("a.A", file("a.proto")), file("a.proto"))), []byte{})
	f.Add(wire(list("a.A")), wire(refuse(codes.NotFound)), []byte("garbage"))
	f.Fuzz(func(t *testing.T, listed, defined, imported []byte) {
		got, err := Ask(t.Context(), &scripted{answers: [][]byte{listed, defined, imported}}, nil)
		if err != nil {
			return
		}
		for _, file := range got.Files.GetFile() {
			for _, name := range file.GetDependency() {
				if !slices.Contains(names(got), name) {
					t.Errorf("%s is not there", name)
				}
			}
		}
	})
}

func TestKeep(t *testing.T) {
	answer, err := Ask(t.Context(), shop(), nil)
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "new", "folder", "shop.json")
	for range 2 { // The second one replaces the first.
		if err := Keep(path, answer); err != nil {
			t.Fatal(err)
		}
	}
	got, written, err := Kept(path)
	if err != nil || !got.Equal(answer) || got.Version != "v1" || written.IsZero() {
		t.Errorf("%+v %v %v", got, written, err)
	}
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%v %v", info.Mode(), err)
	}
	if left, _ := filepath.Glob(filepath.Join(filepath.Dir(path), ".new-*")); left != nil {
		t.Errorf("left behind: %v", left)
	}
	for _, text := range []string{"", "{", "{}", `{"files":"AAAA"}`} {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, _, err := Kept(path); err == nil || !strings.Contains(err.Error(), "delete it") {
			t.Errorf("%q: %v", text, err)
		}
	}
	if _, _, err := Kept(path + ".none"); !errors.Is(err, os.ErrNotExist) {
		t.Error(err)
	}
}
