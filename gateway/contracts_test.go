package gateway_test

import (
	"bytes"
	"cmp"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	gocmp "github.com/google/go-cmp/cmp"
	"google.golang.org/genproto/googleapis/api/annotations"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/reflection"
	reflectionv1 "google.golang.org/grpc/reflection/grpc_reflection_v1"
	reflectionv1alpha "google.golang.org/grpc/reflection/grpc_reflection_v1alpha"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protodesc"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"
	"google.golang.org/protobuf/types/descriptorpb"

	"github.com/cardea-gateway/cardea/gateway"
	policyv1 "github.com/cardea-gateway/cardea/gen/go/cardea/policy/v1"
)

// liveFile is the contract of a service whose methods echo what they get; more methods are another version of it.
func liveFile(methods ...string) *descriptorpb.FileDescriptorProto {
	text := &descriptorpb.FieldDescriptorProto{
		Name: new("text"), Number: new(int32(1)), Type: descriptorpb.FieldDescriptorProto_TYPE_STRING.Enum(),
		Label: descriptorpb.FieldDescriptorProto_LABEL_OPTIONAL.Enum(),
	}
	file := &descriptorpb.FileDescriptorProto{
		Name: new("live.proto"), Package: new("live"), Syntax: new("proto3"),
		Dependency:  []string{"google/api/annotations.proto", "cardea/policy/v1/policy.proto"},
		MessageType: []*descriptorpb.DescriptorProto{{Name: new("Text"), Field: []*descriptorpb.FieldDescriptorProto{text}}},
		Service:     []*descriptorpb.ServiceDescriptorProto{{Name: new("Live")}},
	}
	for _, name := range methods {
		options := &descriptorpb.MethodOptions{}
		path := "/v1/" + strings.ToLower(name) + "/{text}"
		proto.SetExtension(options, annotations.E_Http, &annotations.HttpRule{Pattern: &annotations.HttpRule_Get{Get: path}})
		proto.SetExtension(options, policyv1.E_Method, &policyv1.Policy{Auth: &policyv1.Auth{Public: true}})
		file.Service[0].Method = append(file.Service[0].Method, &descriptorpb.MethodDescriptorProto{
			Name: new(name), InputType: new(".live.Text"), OutputType: new(".live.Text"), Options: options,
		})
	}
	return file
}

// live is a backend that tells its contract, which may change while it runs.
type live struct {
	files   atomic.Pointer[protoregistry.Files]
	server  *grpc.Server
	service string             // Empty: live.Live.
	hold    chan chan struct{} // Gets what a call with the text "wait" waits for.
}

func (l *live) set(t *testing.T, file *descriptorpb.FileDescriptorProto) {
	t.Helper()
	set := &descriptorpb.FileDescriptorSet{File: []*descriptorpb.FileDescriptorProto{file}}
	for _, path := range closure("google/api/annotations.proto", "cardea/policy/v1/policy.proto") {
		found, err := protoregistry.GlobalFiles.FindFileByPath(path)
		if err != nil {
			t.Fatal(err)
		}
		set.File = append(set.File, protodesc.ToFileDescriptorProto(found))
	}
	files, err := protodesc.NewFiles(set)
	if err != nil {
		t.Fatal(err)
	}
	l.files.Store(files)
}

// closure returns files with all that they import.
func closure(paths ...string) []string {
	seen, all := map[string]bool{}, []string(nil)
	for len(paths) > 0 {
		path := paths[0]
		paths = paths[1:]
		file, err := protoregistry.GlobalFiles.FindFileByPath(path)
		if seen[path] || err != nil {
			continue
		}
		seen[path] = true
		all = append(all, path)
		for i := range file.Imports().Len() {
			paths = append(paths, file.Imports().Get(i).Path())
		}
	}
	return all
}

func (l *live) FindFileByPath(path string) (protoreflect.FileDescriptor, error) {
	return l.files.Load().FindFileByPath(path)
}

func (l *live) FindDescriptorByName(name protoreflect.FullName) (protoreflect.Descriptor, error) {
	return l.files.Load().FindDescriptorByName(name)
}

func (l *live) GetServiceInfo() map[string]grpc.ServiceInfo {
	return map[string]grpc.ServiceInfo{cmp.Or(l.service, "live.Live"): {}, "grpc.reflection.v1.ServerReflection": {}}
}

// mixedCodec leaves the bytes of a service alone, and reads those of reflection.
type mixedCodec struct{ bytesCodec }

func (c mixedCodec) Marshal(v any) ([]byte, error) {
	if m, ok := v.(proto.Message); ok {
		return proto.Marshal(m)
	}
	return c.bytesCodec.Marshal(v)
}

func (c mixedCodec) Unmarshal(b []byte, v any) error {
	if m, ok := v.(proto.Message); ok {
		return proto.Unmarshal(b, m)
	}
	return c.bytesCodec.Unmarshal(b, v)
}

// serve runs the backend on an address, until the test ends or it is stopped.
func (l *live) serve(t *testing.T, address string, alpha bool) string {
	t.Helper()
	listener, err := net.Listen("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	l.server = grpc.NewServer(grpc.ForceServerCodec(mixedCodec{}), grpc.UnknownServiceHandler(func(_ any, ss grpc.ServerStream) error {
		if name, _ := grpc.MethodFromServerStream(ss); !strings.HasPrefix(name, "/live.") {
			return status.Error(codes.Unimplemented, name)
		}
		var m []byte
		if err := ss.RecvMsg(&m); err != nil {
			return err
		}
		if bytes.HasSuffix(m, []byte("wait")) {
			held := make(chan struct{})
			l.hold <- held
			<-held
		}
		return ss.SendMsg(&m)
	}))
	o := reflection.ServerOptions{Services: l, DescriptorResolver: l}
	if alpha {
		reflectionv1alpha.RegisterServerReflectionServer(l.server, reflection.NewServer(o))
	} else {
		reflectionv1.RegisterServerReflectionServer(l.server, reflection.NewServerV1(o))
	}
	server := l.server
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

// liveYAML is a configuration for that backend; more goes to its end.
func liveYAML(target, backend, more string) string {
	return fmt.Sprintf(`listeners: [{address: "127.0.0.1:0"}]
admin: {address: "127.0.0.1:0"}
access_log: {disabled: true}
backends: [{name: live, target: "static:///%s", reflection: {interval: 100ms, timeout: 500ms}%s}]
%s`, target, backend, more)
}

// becomes asks until the answer to a path has a status.
func becomes(t *testing.T, gw *running, path string, want int) {
	t.Helper()
	eventually(t, fmt.Sprintf("%d of %s", want, path), func() bool { return send(t, gw, http.MethodGet, path, "").StatusCode == want })
}

func TestContractByReflection(t *testing.T) {
	for name, alpha := range map[string]bool{"v1": false, "v1alpha": true} {
		t.Run(name, func(t *testing.T) {
			l := &live{}
			l.set(t, liveFile("Echo"))
			gw := openFile(t, liveYAML(l.serve(t, "127.0.0.1:0", alpha), "", ""))
			if a := send(t, gw.running, http.MethodGet, "/v1/echo/hinge", ""); a.StatusCode != 200 || a.body != `{"text":"hinge"}` {
				t.Errorf("%d %s", a.StatusCode, a.body)
			}
			got := gw.Contracts()
			if len(got) != 1 || got[0].Service != "live.Live" || got[0].Backend != "live" || len(got[0].Digest) != 64 ||
				got[0].Source != "reflection of backend live ("+name+")" {
				t.Errorf("%+v", got)
			}
		})
	}
}

// TestContractChangesWhileCallsRun adds a method, then breaks the contract, then mends it, all the while a client calls.
func TestContractChangesWhileCallsRun(t *testing.T) {
	l := &live{}
	l.set(t, liveFile("Echo"))
	gw := openFile(t, liveYAML(l.serve(t, "127.0.0.1:0", false), "", ""))
	stop, calls := make(chan struct{}), make(chan int)
	go func() {
		n := 0
		for ; ; n++ {
			select {
			case <-stop:
				calls <- n
				return
			default:
			}
			if a := send(t, gw.running, http.MethodGet, "/v1/echo/x", ""); a.StatusCode != 200 {
				t.Errorf("a call was lost: %d %s", a.StatusCode, a.body)
			}
		}
	}()
	if a := send(t, gw.running, http.MethodGet, "/v1/shout/x", ""); a.StatusCode != 404 {
		t.Errorf("before: %d", a.StatusCode)
	}
	digest := gw.Contracts()[0].Digest
	l.set(t, liveFile("Echo", "Shout"))
	becomes(t, gw.running, "/v1/shout/x", 200)
	if gw.Contracts()[0].Digest == digest {
		t.Error("the digest is the same for another contract")
	}
	l.set(t, ambiguousFile())
	eventually(t, "a report of the broken contract", func() bool {
		return strings.Contains(gw.log.String(), "live.Live.Echo of backend live and live.Live.Again of backend live are ambiguous")
	})
	if a := send(t, gw.running, http.MethodGet, "/v1/shout/x", ""); a.StatusCode != 200 {
		t.Errorf("the contract in force is gone: %d", a.StatusCode)
	}
	l.set(t, liveFile("Echo", "Whisper"))
	becomes(t, gw.running, "/v1/whisper/x", 200)
	close(stop)
	if n := <-calls; n == 0 {
		t.Error("there were no calls meanwhile")
	}
	if n := strings.Count(gw.log.String(), "are ambiguous"); n != 1 {
		t.Errorf("the broken contract was reported %d times", n)
	}
}

// TestCallOutlivesItsContract takes a method away while a call of it is under way.
func TestCallOutlivesItsContract(t *testing.T) {
	l := &live{hold: make(chan chan struct{})}
	l.set(t, liveFile("Echo", "Gone"))
	gw := openFile(t, liveYAML(l.serve(t, "127.0.0.1:0", false), "", ""))
	done := make(chan answered)
	go func() { done <- send(t, gw.running, http.MethodGet, "/v1/gone/wait", "") }()
	held := <-l.hold
	l.set(t, liveFile("Echo"))
	becomes(t, gw.running, "/v1/gone/y", 404)
	close(held)
	if a := <-done; a.StatusCode != 200 || a.body != `{"text":"wait"}` {
		t.Errorf("%d %s", a.StatusCode, a.body)
	}
}

// TestStartFromTheCache starts a second gateway while the backend is down.
func TestStartFromTheCache(t *testing.T) {
	l := &live{}
	l.set(t, liveFile("Echo"))
	address := l.serve(t, "127.0.0.1:0", false)
	cache := "descriptors: {cache_directory: " + t.TempDir() + "}\n"
	first := openFile(t, liveYAML(address, "", cache))
	if err := first.Reload(t.Context(), gateway.TriggerAPI); err != nil {
		t.Fatal(err)
	}
	l.server.Stop()
	if err := first.Reload(t.Context(), gateway.TriggerAPI); err != nil {
		t.Fatalf("a reload without the backend: %v", err)
	}
	if a := send(t, first.running, http.MethodGet, "/v1/echo/x", ""); a.StatusCode != 503 {
		t.Errorf("the route is gone with the backend: %d %s", a.StatusCode, a.body)
	}
	second := openFile(t, liveYAML(address, "", cache))
	if got := second.Contracts(); len(got) != 1 || !strings.HasPrefix(got[0].Source, "cache of backend live (of 20") {
		t.Errorf("%+v", got)
	}
	if a := send(t, second.running, http.MethodGet, "/v1/echo/x", ""); a.StatusCode != 503 {
		t.Errorf("%d %s", a.StatusCode, a.body)
	}
	l.set(t, liveFile("Echo", "Shout"))
	l.serve(t, address, false)
	becomes(t, second.running, "/v1/shout/x", 200)
	if got := second.Contracts(); got[0].Source != "reflection of backend live (v1)" {
		t.Errorf("%+v", got)
	}
}

// TestBackendComesLater starts without the backend, and without anything known of it.
func TestBackendComesLater(t *testing.T) {
	for name, services := range map[string]string{"services named": ", services: [live.Live]", "services told": ""} {
		t.Run(name, func(t *testing.T) {
			address := freeAddress(t)
			gw := openFile(t, liveYAML(address, services, ""))
			if a := send(t, gw.running, http.MethodGet, "/v1/echo/x", ""); a.StatusCode != 404 {
				t.Errorf("%d %s", a.StatusCode, a.body)
			}
			if !strings.Contains(gw.log.String(), "can't be asked for its contracts") {
				t.Error("nobody is told")
			}
			l := &live{}
			l.set(t, liveFile("Echo"))
			l.serve(t, address, false)
			becomes(t, gw.running, "/v1/echo/x", 200)
		})
	}
}

// writeImage writes a descriptor image of the live service into a folder.
func writeImage(t *testing.T, path string, file *descriptorpb.FileDescriptorProto) {
	t.Helper()
	l := &live{}
	l.set(t, file)
	set := &descriptorpb.FileDescriptorSet{}
	l.files.Load().RangeFiles(func(f protoreflect.FileDescriptor) bool {
		set.File = append(set.File, protodesc.ToFileDescriptorProto(f))
		return true
	})
	data, err := proto.Marshal(set)
	if err == nil {
		err = os.WriteFile(path+".new", data, 0o600)
	}
	if err == nil {
		err = os.Rename(path+".new", path)
	}
	if err != nil {
		t.Fatal(err)
	}
}

func TestContractOfImageAndReflectionConflict(t *testing.T) {
	l := &live{}
	l.set(t, liveFile("Echo"))
	address := l.serve(t, "127.0.0.1:0", false)
	folder := t.TempDir()
	writeImage(t, filepath.Join(folder, "live.binpb"), liveFile("Echo"))
	text := liveYAML(address, "", "descriptors: {directories: ["+folder+"]}\n")
	gw := openFile(t, text)
	if got := gw.Contracts(); got[0].Source != "image live.binpb" {
		t.Errorf("the same contract from two sources: %+v", got)
	}
	writeImage(t, filepath.Join(folder, "live.binpb"), liveFile("Echo", "Shout"))
	err := gw.Reload(t.Context(), gateway.TriggerAPI)
	want := "/live.binpb and reflection of backend live (v1) have different contracts for the service live.Live: they differ in the method Shout of live.Live"
	if err == nil || !strings.Contains(err.Error(), want) {
		t.Errorf("%v", err)
	}
	if a := send(t, gw.running, http.MethodGet, "/v1/echo/x", ""); a.StatusCode != 200 {
		t.Errorf("%d", a.StatusCode)
	}
}

// TestChangeOfATypeThatNoMethodNeeds adds a type that only details of errors hold.
func TestChangeOfATypeThatNoMethodNeeds(t *testing.T) {
	l := &live{}
	l.set(t, liveFile("Echo"))
	gw := openFile(t, liveYAML(l.serve(t, "127.0.0.1:0", false), "", ""))
	digest := gw.Contracts()[0].Digest
	more := liveFile("Echo")
	more.MessageType = append(more.MessageType, &descriptorpb.DescriptorProto{Name: new("Detail")})
	l.set(t, more)
	eventually(t, "a reload", func() bool { return strings.Contains(gw.log.String(), "msg=reloaded trigger=descriptors") })
	if gw.Contracts()[0].Digest != digest {
		t.Error("the contract of the service has not changed, but its digest has")
	}
}

// TestFolderOfImages adds an image to a folder, and takes it away again.
func TestFolderOfImages(t *testing.T) {
	l := &live{}
	l.set(t, liveFile("Echo"))
	folder := t.TempDir()
	gw := openFile(t, fmt.Sprintf(`listeners: [{address: "127.0.0.1:0"}]
admin: {address: "127.0.0.1:0"}
backends: [{name: live, target: "static:///%s", services: [live.Live]}]
descriptors: {directories: [%s]}
`, l.serve(t, "127.0.0.1:0", false), folder))
	if a := send(t, gw.running, http.MethodGet, "/v1/echo/x", ""); a.StatusCode != 404 {
		t.Errorf("%d", a.StatusCode)
	}
	writeImage(t, filepath.Join(folder, "live.binpb"), liveFile("Echo"))
	becomes(t, gw.running, "/v1/echo/x", 200)
	if err := os.Remove(filepath.Join(folder, "live.binpb")); err != nil {
		t.Fatal(err)
	}
	becomes(t, gw.running, "/v1/echo/x", 404)
}

func TestServiceConfiguration(t *testing.T) {
	l := &live{}
	l.set(t, liveFile("Echo"))
	rules := filepath.Join(t.TempDir(), "service.yaml")
	write := func(text string) {
		if err := os.WriteFile(rules, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("type: google.api.Service\nhttp:\n  rules:\n  - selector: live.Live.Echo\n    get: /v2/{text=said/*}\n    response_body: text\n")
	gw := openFile(t, liveYAML(l.serve(t, "127.0.0.1:0", false), "", "descriptors: {service_configs: ["+rules+"]}\n"))
	if a := send(t, gw.running, http.MethodGet, "/v2/said/x", ""); a.StatusCode != 200 || a.body != `"said/x"` {
		t.Errorf("%d %s", a.StatusCode, a.body)
	}
	if a := send(t, gw.running, http.MethodGet, "/v1/echo/x", ""); a.StatusCode != 404 {
		t.Errorf("the method's own rule is in force as well: %d", a.StatusCode)
	}
	for _, tt := range []struct{ rule, want string }{
		{"selector: live.Live.Eko\n    get: /v2/x", "service.yaml:3:15 http.rules[0].selector: the selector live.Live.Eko names no method of a known contract; did you mean live.Live.Echo?"},
		{"selector: live.Live.Echo\n    get: v2", "service.yaml:3:5 http.rules[0]: "},
		{"selector: live.Live.Echo\n    get: /v2/{txt}", "live.Live.Echo: service.yaml:3: GET /v2/{txt}: "},
	} {
		write("http:\n  rules:\n  - " + tt.rule + "\n")
		if err := gw.Reload(t.Context(), gateway.TriggerAPI); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%v, want %s", err, tt.want)
		}
	}
}

// TestConfigurationWaitsForABackend starts without a backend of which policies and rules speak.
func TestConfigurationWaitsForABackend(t *testing.T) {
	rules := filepath.Join(t.TempDir(), "service.yaml")
	text := "type: google.api.Service\nhttp:\n  rules:\n  - selector: live.Live.Echo\n    get: /v2/{text}\n"
	if err := os.WriteFile(rules, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	address := freeAddress(t)
	gw := openFile(t, liveYAML(address, "", `descriptors: {service_configs: [`+rules+`]}
policies: [{selectors: [live.Live.Shout], policy: {auth: {}}}]
`))
	if diff := gocmp.Diff([]gateway.Contract{{Backend: "live"}}, gw.Contracts()); diff != "" {
		t.Error(diff)
	}
	for _, want := range []string{"a rule waits", "service.yaml:4", "matches no method of the services that are known so far"} {
		if !strings.Contains(gw.log.String(), want) {
			t.Errorf("the log does not say %q", want)
		}
	}
	l := &live{}
	l.set(t, liveFile("Echo", "Shout"))
	l.serve(t, address, false)
	becomes(t, gw.running, "/v2/x", 200)
	if a := send(t, gw.running, http.MethodGet, "/v1/shout/x", ""); a.StatusCode == 200 {
		t.Errorf("the policy that closes a method came too late: %d", a.StatusCode)
	}
}

// TestBackendCannotTakeAServiceOfAnother has a backend that lists the service of another one.
func TestBackendCannotTakeAServiceOfAnother(t *testing.T) {
	owner, thief := &live{}, &live{}
	owner.set(t, liveFile("Echo"))
	thief.set(t, liveFile("Echo"))
	const why = "live.Live is also in backend"
	text := fmt.Sprintf(`listeners: [{address: "127.0.0.1:0"}]
admin: {address: "127.0.0.1:0"}
backends:
  - {name: thief, target: "static:///%s", reflection: {interval: 100ms, timeout: 500ms}}
  - {name: owner, target: "static:///%s", services: [live.Live]}
`, freeAddress(t), owner.serve(t, "127.0.0.1:0", false))
	gw := openFile(t, text)
	if got := gw.Routes(); len(got) != 1 || got[0].Backend != "owner" {
		t.Fatalf("%+v", got)
	}
	_, target, _ := strings.Cut(text, "static:///")
	target, _, _ = strings.Cut(target, `"`)
	thief.serve(t, target, false)
	eventually(t, "a refusal", func() bool { return strings.Contains(gw.log.String(), why) })
	if got := gw.Routes(); got[0].Backend != "owner" {
		t.Errorf("%+v", got)
	}
	if _, err := gateway.Open(gw.file); err == nil || !strings.Contains(err.Error(), why) {
		t.Errorf("a start: %v", err)
	}
}

// TestContractsAreNoMessages has a limit for messages that no contract fits into.
func TestContractsAreNoMessages(t *testing.T) {
	l := &live{}
	l.set(t, liveFile("Echo"))
	gw := openFile(t, liveYAML(l.serve(t, "127.0.0.1:0", false), "", "limits: {max_message_bytes: 100}\n"))
	if a := send(t, gw.running, http.MethodGet, "/v1/echo/x", ""); a.StatusCode != 200 {
		t.Errorf("%d %s", a.StatusCode, a.body)
	}
}

// twoYAML is a configuration for two backends with one service, each for a host of its own.
func twoYAML(one, two, more string) string {
	return fmt.Sprintf(`listeners: [{address: "127.0.0.1:0"}]
admin: {address: "127.0.0.1:0"}
access_log: {disabled: true}
backends:
  - {name: one, target: "static:///%s", hosts: [one.example], reflection: {interval: 100ms, timeout: 500ms}}
  - {name: two, target: "static:///%s", hosts: [two.example], reflection: {interval: 100ms, timeout: 500ms}}
%s`, one, two, more)
}

// ambiguousFile is a contract that can't be compiled.
func ambiguousFile() *descriptorpb.FileDescriptorProto {
	file := liveFile("Echo")
	again := proto.CloneOf(file.GetService()[0].GetMethod()[0]) // With the same path.
	again.Name = new("Again")
	file.Service[0].Method = append(file.Service[0].Method, again)
	return file
}

// TestContractOfTwoBackendsChanges rolls out a contract that two backends share: one after the other has another one.
func TestContractOfTwoBackendsChanges(t *testing.T) {
	one, two := &live{}, &live{}
	one.set(t, liveFile("Echo"))
	two.set(t, liveFile("Echo"))
	gw := openFile(t, twoYAML(one.serve(t, "127.0.0.1:0", false), two.serve(t, "127.0.0.1:0", true), ""))
	digest := gw.Contracts()[0].Digest
	one.set(t, liveFile("Echo", "Shout"))
	eventually(t, "a refusal", func() bool { return strings.Contains(gw.log.String(), "have different contracts") })
	two.set(t, liveFile("Echo", "Shout"))
	eventually(t, "the contract of both", func() bool { return gw.Contracts()[0].Digest != digest })
	if got := gw.Contracts(); got[0].Digest != got[1].Digest {
		t.Errorf("%+v", got)
	}
}

// otherFile is a contract beside that of the live service.
func otherFile(methods ...string) *descriptorpb.FileDescriptorProto {
	file := liveFile(methods...)
	file.Service[0].Name = new("Other")
	for _, m := range file.GetService()[0].GetMethod() {
		options := &descriptorpb.MethodOptions{}
		proto.SetExtension(options, annotations.E_Http, &annotations.HttpRule{Pattern: &annotations.HttpRule_Get{Get: "/other/" + m.GetName()}})
		m.Options = options
	}
	return file
}

// TestBrokenContractHoldsUpNobody has a backend whose contract can't be compiled: another one's is put in force all the same,
// and so is a changed configuration.
func TestBrokenContractHoldsUpNobody(t *testing.T) {
	broken, sound := &live{}, &live{service: "live.Other"}
	broken.set(t, liveFile("Echo"))
	sound.set(t, otherFile("Echo"))
	one, two := broken.serve(t, "127.0.0.1:0", false), sound.serve(t, "127.0.0.1:0", false)
	gw := openFile(t, twoYAML(one, two, ""))
	before := gw.Contracts()
	broken.set(t, ambiguousFile())
	eventually(t, "a refusal", func() bool { return strings.Contains(gw.log.String(), "are ambiguous") })
	sound.set(t, otherFile("Echo", "Shout"))
	eventually(t, "the other contract", func() bool { return gw.Contracts()[1].Digest != before[1].Digest })
	gw.reload(t, twoYAML(one, two, "drain_timeout: 1s\n"))
	if got := gw.Contracts(); got[0].Digest != before[0].Digest {
		t.Errorf("%+v", got)
	}
	if !strings.Contains(gw.log.String(), "it stays at what they have told before") {
		t.Error("nobody is told that a contract was left out")
	}
	broken.set(t, liveFile("Echo", "Shout"))
	eventually(t, "the mended contract", func() bool { return gw.Contracts()[0].Digest != before[0].Digest })
}
