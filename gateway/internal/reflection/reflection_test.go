package reflection

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
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

func (b *backend) Stream(_ context.Context, _ *grpc.StreamDesc, method string) (grpc.ClientStream, error) {
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

// shop is a backend with a service a.A in two files.
func shop() *backend {
	return &backend{answer: func(q *reflectionv1.ServerReflectionRequest) *reflectionv1.ServerReflectionResponse {
		switch {
		case q.GetListServices() != "":
			return list("grpc.reflection.v1.ServerReflection", "b.B", "grpc.health.v1.Health", "a.A")
		case q.GetFileContainingSymbol() == "a.A":
			return files(file("a.proto", "common.proto", "google/protobuf/any.proto"))
		case q.GetFileContainingSymbol() == "b.B":
			return files(file("b.proto", "common.proto"), file("common.proto"))
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
	if _, err := Ask(t.Context(), &backend{versions: []string{"v2"}}, nil); status.Code(err) != codes.Unimplemented {
		t.Errorf("a backend without reflection: %v", err)
	}
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
