package gateway_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"google.golang.org/genproto/googleapis/api/annotations"
	"google.golang.org/genproto/googleapis/api/httpbody"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/encoding/prototext"
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protodesc"
	"google.golang.org/protobuf/types/descriptorpb"
	"google.golang.org/protobuf/types/known/anypb"

	configv1 "github.com/cardea-gateway/cardea/gen/go/cardea/config/v1"
)

// attacked is the contract of a service with every kind of body.
const attacked = `
name: "attack.proto" package: "attack" syntax: "proto3"
dependency: ["google/api/annotations.proto", "google/api/httpbody.proto"]
message_type {
  name: "Msg"
  field { name: "name" number: 1 label: LABEL_OPTIONAL type: TYPE_STRING json_name: "name" }
  field { name: "inner" number: 2 label: LABEL_OPTIONAL type: TYPE_MESSAGE type_name: ".attack.Msg" json_name: "inner" }
  field { name: "nums" number: 3 label: LABEL_REPEATED type: TYPE_DOUBLE json_name: "nums" }
  field { name: "note" number: 4 label: LABEL_OPTIONAL type: TYPE_STRING json_name: "note" }
  field { name: "labels" number: 5 label: LABEL_REPEATED type: TYPE_MESSAGE type_name: ".attack.Msg.LabelsEntry" json_name: "labels" }
  nested_type {
    name: "LabelsEntry" options { map_entry: true }
    field { name: "key" number: 1 label: LABEL_OPTIONAL type: TYPE_STRING json_name: "key" }
    field { name: "value" number: 2 label: LABEL_OPTIONAL type: TYPE_INT32 json_name: "value" }
  }
}
service {
  name: "Attacked"
  method { name: "Get" input_type: ".attack.Msg" output_type: ".attack.Msg" options { [google.api.http] { get: "/get/{name}" } } }
  method { name: "Post" input_type: ".attack.Msg" output_type: ".attack.Msg" options { [google.api.http] { post: "/post/{name}" body: "*" } } }
  method { name: "Watch" input_type: ".attack.Msg" output_type: ".attack.Msg" server_streaming: true options { [google.api.http] { get: "/watch" } } }
  method { name: "Collect" input_type: ".attack.Msg" output_type: ".attack.Msg" client_streaming: true options { [google.api.http] { post: "/collect/{name}" body: "inner" } } }
  method { name: "Raw" input_type: ".google.api.HttpBody" output_type: ".google.api.HttpBody" options { [google.api.http] { post: "/raw" body: "*" } } }
  method { name: "Up" input_type: ".google.api.HttpBody" output_type: ".attack.Msg" client_streaming: true options { [google.api.http] { post: "/up" body: "*" } } }
  method { name: "Down" input_type: ".attack.Msg" output_type: ".google.api.HttpBody" server_streaming: true options { [google.api.http] { get: "/down" } } }
}`

const attackedService = "attack.Attacked"

// startAttacked serves the contract with a backend that does what a test says with the wire.
func startAttacked(t *testing.T, serve grpc.StreamHandler, change ...func(*configv1.Config)) *running {
	t.Helper()
	file := &descriptorpb.FileDescriptorProto{}
	if err := prototext.Unmarshal([]byte(attacked), file); err != nil {
		t.Fatal(err)
	}
	set := &descriptorpb.FileDescriptorSet{}
	set.File = append(set.File,
		protodesc.ToFileDescriptorProto(descriptorpb.File_google_protobuf_descriptor_proto),
		protodesc.ToFileDescriptorProto(anypb.File_google_protobuf_any_proto),
		protodesc.ToFileDescriptorProto(annotations.File_google_api_http_proto),
		protodesc.ToFileDescriptorProto(annotations.File_google_api_annotations_proto),
		protodesc.ToFileDescriptorProto(httpbody.File_google_api_httpbody_proto), file)
	data, err := proto.Marshal(set)
	if err != nil {
		t.Fatal(err)
	}
	image := filepath.Join(t.TempDir(), "attack.binpb")
	if err := os.WriteFile(image, data, 0o600); err != nil {
		t.Fatal(err)
	}
	address := backend(t, func(*grpc.Server) {}, grpc.UnknownServiceHandler(serve), grpc.ForceServerCodec(bytesCodec{}))
	cfg := &configv1.Config{
		Descriptors: &configv1.Descriptors{Images: []string{image}},
		Backends:    []*configv1.Backend{{Name: "attacked", Target: "static:///" + address, Services: []string{attackedService}, HealthCheck: &configv1.HealthCheck{Disabled: true}}},
		Policies:    public(attackedService+".Get", attackedService+".Post", attackedService+".Watch", attackedService+".Collect", attackedService+".Raw", attackedService+".Up", attackedService+".Down"),
	}
	for _, f := range change {
		f(cfg)
	}
	return start(t, cfg)
}

// answering is a backend that reads one message and says something.
func answering(answer func(ss grpc.ServerStream) error) grpc.StreamHandler {
	return func(_ any, ss grpc.ServerStream) error {
		var request []byte
		if err := ss.RecvMsg(&request); err != nil && !errors.Is(err, io.EOF) {
			return err
		}
		return answer(ss)
	}
}

// keeping is a backend that keeps the message it reads.
func keeping(got *[]byte) grpc.StreamHandler {
	return func(_ any, ss grpc.ServerStream) error {
		if err := ss.RecvMsg(got); err != nil {
			return err
		}
		return say(ss)
	}
}

func say(ss grpc.ServerStream, wire ...byte) error { return ss.SendMsg(&wire) }

// TestAttackTypeOfARawBody sends a content type that no proto string can hold.
func TestAttackTypeOfARawBody(t *testing.T) {
	var got []byte
	gw := startAttacked(t, keeping(&got))
	a := send(t, gw, "POST", "/raw", "hello", "Content-Type", "image/\xff\xfe")
	if a.StatusCode != http.StatusUnsupportedMediaType || !strings.Contains(a.body, "printable ASCII") {
		t.Errorf("%d %s", a.StatusCode, a.body)
	}
	if err := proto.Unmarshal(got, &httpbody.HttpBody{}); err != nil {
		t.Errorf("%d %s: the backend gets %q: %v", a.StatusCode, a.body, got, err)
	}
}

// TestAttackEmptyStreamOfBytes ends a stream of bytes before the first one.
func TestAttackEmptyStreamOfBytes(t *testing.T) {
	gw := startAttacked(t, answering(func(ss grpc.ServerStream) error { return ss.SendHeader(metadata.Pairs("x-note", "kept")) }))
	if a := send(t, gw, "GET", "/down", ""); a.StatusCode != 200 || a.Header.Get("X-Note") != "kept" {
		t.Errorf("%d %v", a.StatusCode, a.Header)
	}
}

// TestAttackDetailThatBreaksItsReader has an error whose detail makes a dynamic message panic.
func TestAttackDetailThatBreaksItsReader(t *testing.T) {
	for name, value := range map[string][]byte{
		"key of another wire type": {0x2a, 4, 0x0a, 0, 0x08, 1},
		"other order":              {0x2a, 4, 0x08, 1, 0x0a, 0},
		"value of another type":    {0x2a, 5, 0x0a, 0, 0x12, 1, 'x'},
		"value of both types":      {0x2a, 7, 0x0a, 0, 0x10, 1, 0x12, 1, 'x'},
		"not utf-8":                {0x0a, 1, 0xff},
		"cut off":                  {0x0a, 5},
	} {
		for _, path := range []string{"/get/x", "/watch", "/down"} {
			t.Run(name+path, func(t *testing.T) {
				gw := startAttacked(t, answering(func(ss grpc.ServerStream) error {
					st, err := status.New(codes.NotFound, "no").WithDetails()
					if err != nil {
						return err
					}
					p := st.Proto()
					p.Details = []*anypb.Any{{TypeUrl: "x/attack.Msg", Value: value}}
					return status.FromProto(p).Err()
				}))
				if a := send(t, gw, "GET", path, ""); a.StatusCode != 404 {
					t.Errorf("%d %s", a.StatusCode, a.body)
				}
			})
		}
	}
}

// TestAttackHeadersOfABackend names headers that are the gateway's.
func TestAttackHeadersOfABackend(t *testing.T) {
	gw := startAttacked(t, answering(func(ss grpc.ServerStream) error {
		_ = ss.SetHeader(metadata.Pairs("content-length", "3", "transfer-encoding", "chunked", "connection", "close", "cardea-origin", "gateway",
			"x-request-id", "evil", "content-type", "text/html", "content-encoding", "gzip", "trailer", "x", "vary", "x", "date", "never",
			"content_length", "9", "upgrade", "h2c", "location", "http://evil", "alt-svc", "h3=\":1\"", "x-bin-bin", "\r\nx"))
		ss.SetTrailer(metadata.Pairs("content-length", "7", "cardea-origin", "gateway", "x-request-id", "evil"))
		return say(ss, 0x0a, 1, 'x')
	}))
	for _, te := range []string{"", "trailers"} {
		var header []string
		if te != "" {
			header = []string{"Te", te}
		}
		a := send(t, gw, "GET", "/get/x", "", header...)
		if a.StatusCode != 200 || a.body != `{"name":"x"}` || len(a.Header["X-Request-Id"]) != 1 || a.Header.Get("Cardea-Origin") != "" ||
			len(a.Header["Content-Type"]) != 1 || a.Header.Get("Content-Encoding") != "" || a.Trailer.Get("Cardea-Origin") != "" || a.Trailer.Get("X-Request-Id") != "" {
			t.Errorf("%d %q %v %v", a.StatusCode, a.body, a.Header, a.Trailer)
		}
		t.Log(a.Header, a.Trailer)
	}
}

// TestAttackAnswersCutOff fails streams in their middle: no reader may take them for whole.
func TestAttackAnswersCutOff(t *testing.T) {
	lost := status.Error(codes.DataLoss, "lost")
	gw := startAttacked(t, answering(func(ss grpc.ServerStream) error {
		_ = say(ss)
		return lost
	}))
	for _, protocol := range []string{"1", "2"} {
		transport := &http.Transport{Protocols: new(http.Protocols)}
		transport.Protocols.SetHTTP1(protocol == "1")
		transport.Protocols.SetUnencryptedHTTP2(protocol == "2")
		for _, tt := range [][2]string{{"/watch", ""}, {"/watch", "application/json"}, {"/down", ""}, {"/down", "application/json"}} {
			r, _ := http.NewRequestWithContext(t.Context(), "GET", "http://"+gw.address()+tt[0], http.NoBody)
			r.Header.Set("Accept", tt[1])
			a, err := transport.RoundTrip(r)
			if err != nil {
				t.Logf("%s %s: %v", protocol, tt, err)
				continue
			}
			body, err := io.ReadAll(a.Body)
			a.Body.Close()
			if err == nil && !strings.Contains(string(body), `"code":15`) {
				t.Errorf("HTTP/%s %s: %q", protocol, tt, body)
			}
		}
		transport.CloseIdleConnections()
	}
}

// TestAttackBackendEndsAClientStreamEarly answers before the client has sent all, over both versions of HTTP.
func TestAttackBackendEndsAClientStreamEarly(t *testing.T) {
	for _, path := range []string{"/collect/x", "/up"} {
		for _, protocol := range []string{"1", "2"} {
			for _, fail := range []bool{false, true} {
				t.Run(fmt.Sprint(path, protocol, fail), func(t *testing.T) {
					gw := startAttacked(t, answering(func(ss grpc.ServerStream) error {
						if fail {
							return status.Error(codes.NotFound, "enough")
						}
						return say(ss, 0x0a, 1, 'x')
					}))
					transport := &http.Transport{Protocols: new(http.Protocols)}
					transport.Protocols.SetHTTP1(protocol == "1")
					transport.Protocols.SetUnencryptedHTTP2(protocol == "2")
					defer transport.CloseIdleConnections()
					reader, writer := io.Pipe()
					go func() {
						for n := 0; protocol == "2" || n == 0; n++ { // Over HTTP/1.1 a client that still writes may find the connection reset.
							if _, err := writer.Write([]byte(strings.Repeat(`{"note":"a"}`+"\n", 10_000))); err != nil {
								return
							}
						}
					}()
					defer reader.Close()
					r, _ := http.NewRequestWithContext(t.Context(), "POST", "http://"+gw.address()+path, reader)
					r.Header.Set("Content-Type", "application/json")
					a, err := transport.RoundTrip(r)
					if err != nil {
						t.Fatal(err)
					}
					defer a.Body.Close()
					body, err := io.ReadAll(a.Body)
					if want := map[bool]int{false: 200, true: 404}[fail]; a.StatusCode != want || err != nil {
						t.Errorf("%d %s %v", a.StatusCode, body, err)
					}
				})
			}
		}
	}
}

// TestAttackRacingClientStreams ends many client streams at any time.
func TestAttackRacingClientStreams(t *testing.T) {
	gw := startAttacked(t, func(_ any, ss grpc.ServerStream) error {
		for range 3 {
			var request []byte
			if err := ss.RecvMsg(&request); err != nil {
				break
			}
			if want := "\x12\x06\x22\x04note\x0a\x04name"; string(request) != want {
				return status.Errorf(codes.Internal, "mixed up: %q", request)
			}
		}
		return say(ss, 0x0a, 1, 'x')
	})
	transport := &http.Transport{Protocols: new(http.Protocols)}
	transport.Protocols.SetUnencryptedHTTP2(true)
	defer transport.CloseIdleConnections()
	done := make(chan error, 8)
	for range cap(done) {
		go func() {
			for i := range 150 {
				ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
				if i%3 == 0 {
					ctx, cancel = context.WithTimeout(t.Context(), time.Duration(i)*20*time.Microsecond)
				}
				r, _ := http.NewRequestWithContext(ctx, "POST", "http://"+gw.address()+"/collect/name", io.LimitReader(endless(`{"note":"note"} `), int64(16*(i%7))))
				a, err := transport.RoundTrip(r)
				if err == nil {
					body, _ := io.ReadAll(a.Body)
					a.Body.Close()
					if strings.Contains(string(body), "mixed") {
						err = errors.New(string(body))
						cancel()
						done <- err
						return
					}
				}
				cancel()
			}
			done <- nil
		}()
	}
	for range cap(done) {
		if err := <-done; err != nil {
			t.Error(err)
		}
	}
}

type endless string

func (e endless) Read(p []byte) (int, error) {
	n := 0
	for len(p)-n >= len(e) {
		n += copy(p[n:], e)
	}
	if n == 0 {
		n = copy(p, e)
	}
	return n, nil
}

// TestAttackKeepAlive sends one request behind another that was refused before its body was read, on one connection.
func TestAttackKeepAlive(t *testing.T) {
	gw := startAttacked(t, answering(func(ss grpc.ServerStream) error { return say(ss, 0x0a, 1, 'x') }))
	smuggled := "GET /get/smuggled HTTP/1.1\r\nHost: x\r\n\r\n"
	for _, first := range []string{
		"POST /nowhere HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n%s",
		"POST /post/x HTTP/1.1\r\nHost: x\r\nContent-Type: text/html\r\nContent-Length: %d\r\n\r\n%s",
		"POST /post/x?bad=1 HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n%s",
		"GET /get/x?bad=1 HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n%s",
		"GET /get/x HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n%s",
		"HEAD /get/x HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n%s",
		"HEAD /watch HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n%s",
		"HEAD /down HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n%s",
		"HEAD /nowhere HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n%s",
		"POST /collect/x HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n%s",
		"POST /up HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n%s",
	} {
		conn, err := net.Dial("tcp", gw.address())
		if err != nil {
			t.Fatal(err)
		}
		_ = conn.SetDeadline(time.Now().Add(soon))
		fmt.Fprintf(conn, first+"GET /get/second HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", len(smuggled), smuggled)
		reader := bufio.NewReader(conn)
		method, _, _ := strings.Cut(first, " ")
		a, err := http.ReadResponse(reader, &http.Request{Method: method})
		if err != nil {
			t.Fatalf("%s: %v", first, err)
		}
		body, err := io.ReadAll(a.Body)
		line, _, _ := strings.Cut(first, "\r")
		if err != nil || method == "HEAD" && len(body) > 0 {
			t.Errorf("%s: %q %v", line, body, err)
		}
		rest, err := io.ReadAll(reader)
		t.Logf("%s: %d %v %q, then %.30q %v", line, a.StatusCode, a.ContentLength, body, rest, err)
		if strings.Count(string(rest), "HTTP/1.1 ") > 1 {
			t.Errorf("%s: %q", line, rest)
		}
		conn.Close()
	}
}

// TestAttackHeadSaysTheSame compares the headers of HEAD and GET.
func TestAttackHeadSaysTheSame(t *testing.T) {
	gw := startAttacked(t, answering(func(ss grpc.ServerStream) error { return say(ss, 0x0a, 1, 'x') }))
	for _, path := range []string{"/get/x", "/nowhere", "/watch", "/down", "/get/x?y=1"} {
		get, head := send(t, gw, "GET", path, ""), send(t, gw, "HEAD", path, "")
		for _, name := range []string{"Content-Type", "Content-Length", "Cardea-Origin", "Allow"} {
			if get.StatusCode != head.StatusCode || get.Header.Get(name) != head.Header.Get(name) {
				t.Errorf("%s: GET %d %v, HEAD %d %v", path, get.StatusCode, get.Header, head.StatusCode, head.Header)
			}
		}
	}
}

// TestAttackStatusCodes sends what must be refused.
func TestAttackStatusCodes(t *testing.T) {
	gw := startAttacked(t, answering(func(ss grpc.ServerStream) error { return say(ss, 0x0a, 1, 'x') }), func(c *configv1.Config) {
		c.Limits = &configv1.Limits{MaxBodyBytes: 1000, MaxMessageBytes: 1000}
	})
	long := `{"note":"` + strings.Repeat("a", 2000) + `"}`
	for _, tt := range []struct {
		method, path, body, contentType string
		want                            int
	}{
		{"POST", "/post/x", long, "application/json", 413},
		{"POST", "/raw", long, "text/plain", 413},
		{"POST", "/collect/x", long, "application/json", 413},
		{"GET", "/get/x", long, "", 413},
		{"POST", "/post/x", "{}", "text/plain", 415},
		{"POST", "/post/x", "{}", "application/json; charset=latin1", 415},
		{"POST", "/post/x", "{}", "application/json; charset=UTF-8", 200},
		{"POST", "/post/x", "{} {}", "application/json", 400},
		{"POST", "/post/x", "{\"note\":\"\xff\"}", "application/json", 400},
		{"POST", "/post/x", "\xef\xbb\xbf{}", "application/json", 400},
		{"POST", "/post/%ff", "{}", "application/json", 400},
		{"POST", "/post/", "{}", "application/json", 404},
		{"POST", "/get/x", "{}", "application/json", 405},
		{"POST", "/collect/x", "{} {}", "application/x-ndjson", 200},
		{"POST", "/collect/x", "[{}", "application/json", 400},
		{"POST", "/collect/x", "", "application/json", 200},
	} {
		a := send(t, gw, tt.method, tt.path, tt.body, "Content-Type", tt.contentType)
		if a.StatusCode != tt.want {
			t.Errorf("%s %s %.20q %s: %d %s", tt.method, tt.path, tt.body, tt.contentType, a.StatusCode, a.body)
		}
	}
}

// TestAttackHostileAnswers are messages that are none, to every kind of method.
func TestAttackHostileAnswers(t *testing.T) {
	for name, wire := range map[string][]byte{
		"cut off": {0x0a, 5}, "not utf-8": {0x0a, 1, 0xff}, "group": {0x0b}, "end": {0x0c}, "field 0": {0x02, 0}, "long varint": []byte("\x18\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff"),
		"deep": deep(200), "map": {0x2a, 4, 0x0a, 0, 0x08, 1},
	} {
		for _, path := range []string{"/get/x", "/watch", "/down"} {
			t.Run(name+path, func(t *testing.T) {
				gw := startAttacked(t, answering(func(ss grpc.ServerStream) error { return say(ss, wire...) }))
				a := send(t, gw, "GET", path, "")
				t.Logf("%d %v %.100q", a.StatusCode, a.Header["Content-Type"], a.body)
				if strings.Contains(a.body, "127.0.0.1") {
					t.Error(a.body)
				}
			})
		}
	}
}

func deep(n int) []byte {
	var wire []byte
	for range n {
		wire = protowire.AppendBytes(protowire.AppendTag(nil, 2, protowire.BytesType), wire)
	}
	return wire
}

// TestAttackDotsInAVariable hides segments of dots behind encoded slashes.
func TestAttackDotsInAVariable(t *testing.T) {
	var got []byte
	gw := startAttacked(t, keeping(&got))
	for _, path := range []string{
		"/get/..", "/get/%2e%2e", "/get/.%2E", "/get/..%2Fx", "/get/x%2F..%2Fy", "/get/x%2F.", "/get/%2E%2E%2f..", "/get/..%5Cx", "/get/x%00", "/get/x%0a", "/get/x%7f",
		"/get/%252e%252e", "/get/x;y", "/get/x%3By", "//get/x", "/get//x", "/get/x/", "/GET/x", "/get/x%2F%2E%2E", "/get/\u202e",
	} {
		got = nil
		a := send(t, gw, "GET", path, "")
		t.Logf("%s: %d %q", path, a.StatusCode, got)
		if strings.Contains(string(got), "../") || strings.HasSuffix(string(got), "/..") {
			t.Errorf("%s reaches the backend as %q", path, got)
		}
	}
}

// TestAttackCodesOfABackend are status codes that do not exist.
func TestAttackCodesOfABackend(t *testing.T) {
	for _, code := range []codes.Code{17, 99, 1 << 31, 1<<32 - 1} {
		for _, path := range []string{"/get/x", "/watch", "/down"} {
			gw := startAttacked(t, answering(func(grpc.ServerStream) error { return status.Error(code, "\x00\u2028<script>\"") }))
			if a := send(t, gw, "GET", path, ""); a.StatusCode != 500 || !json.Valid([]byte(a.body)) {
				t.Errorf("%d %s: %d %q", code, path, a.StatusCode, a.body)
			}
		}
	}
}

// TestAttackBuffersUsedAgain sends messages of many sizes by all ways at once: none may hold bytes of another one.
func TestAttackBuffersUsedAgain(t *testing.T) {
	gw := startAttacked(t, func(_ any, ss grpc.ServerStream) error {
		for {
			var request []byte
			if err := ss.RecvMsg(&request); err != nil {
				break
			}
			text := request[max(0, len(request)-200):]
			if i := bytes.LastIndexByte(request, '#'); i >= 0 {
				text = request[i-100 : i]
			}
			for _, c := range text {
				if c != text[0] {
					return status.Errorf(codes.DataLoss, "mixed up: %q", text)
				}
			}
			name, _ := grpc.MethodFromServerStream(ss)
			if !strings.HasSuffix(name, "Collect") && !strings.HasSuffix(name, "Up") {
				break
			}
		}
		return say(ss)
	})
	transport := &http.Transport{}
	defer transport.CloseIdleConnections()
	done := make(chan string, 6)
	for worker := range cap(done) {
		go func() {
			for i := range 60 {
				c := string(rune('a' + (worker*7+i)%26))
				text := strings.Repeat(c, 101+(i*977+worker*5003)%20_000) + "#"
				for path, body := range map[string]string{
					"/post/x": `{"note":"` + text + `"}`, "/raw": text,
					"/collect/x": `{"note":"` + text + `"}` + "\n" + `{"note":"` + strings.Repeat(c, 5000) + `#"}`,
				} {
					r, _ := http.NewRequestWithContext(t.Context(), "POST", "http://"+gw.address()+path, strings.NewReader(body))
					r.Header.Set("Content-Type", "application/json")
					a, err := transport.RoundTrip(r)
					if err != nil {
						done <- err.Error()
						return
					}
					said, _ := io.ReadAll(a.Body)
					a.Body.Close()
					if a.StatusCode != 200 {
						done <- path + string(said)
						return
					}
				}
			}
			done <- ""
		}()
	}
	for range cap(done) {
		if failure := <-done; failure != "" {
			t.Error(failure)
		}
	}
}

// TestAttackNumbersThatGrow sends numbers whose wire is several times as large as their JSON, and larger than a message may be.
func TestAttackNumbersThatGrow(t *testing.T) {
	gw := startAttacked(t, answering(func(ss grpc.ServerStream) error { return say(ss) }))
	body := `{"nums":[` + strings.Repeat("1,", 2_000_000) + `1]}`
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	a := send(t, gw, "POST", "/post/x", body, "Content-Type", "application/json")
	runtime.ReadMemStats(&after)
	t.Logf("%d %s: %d bytes of JSON, %d MiB allocated", a.StatusCode, a.body, len(body), (after.TotalAlloc-before.TotalAlloc)>>20)
	if a.StatusCode != http.StatusTooManyRequests {
		t.Error("accepted")
	}
}

// TestAttackReadersThatGoAway leaves streams of every kind in their middle: nothing may stay behind.
func TestAttackReadersThatGoAway(t *testing.T) {
	gw := startAttacked(t, answering(func(ss grpc.ServerStream) error {
		for ss.Context().Err() == nil {
			if err := say(ss, append([]byte{0x12, 0x80, 0x20}, make([]byte, 4096)...)...); err != nil {
				return err
			}
		}
		return ss.Context().Err()
	}))
	settle := func() int {
		for deadline := time.Now().Add(soon); ; {
			n := runtime.NumGoroutine()
			if n < 60 || time.Now().After(deadline) {
				return n
			}
			runtime.Gosched()
		}
	}
	for i := range 60 {
		conn, err := net.Dial("tcp", gw.address())
		if err != nil {
			t.Fatal(err)
		}
		switch i % 3 {
		case 0:
			fmt.Fprint(conn, "GET /down HTTP/1.1\r\nHost: x\r\n\r\n")
		case 1:
			fmt.Fprint(conn, "POST /up HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000\r\n\r\nxx")
		case 2:
			fmt.Fprint(conn, "POST /collect/x HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n[{},{\r\n")
		}
		if i%6 == 0 { // Only there an answer comes.
			_, _ = conn.Read(make([]byte, 1))
		}
		conn.Close()
	}
	if n := settle(); n >= 60 {
		t.Errorf("%d goroutines are left", n)
	}
}
