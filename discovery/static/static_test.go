package static_test

import (
	"context"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/health"
	healthv1 "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/peer"

	"github.com/cardea-gateway/cardea/discovery/static"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestParse(t *testing.T) {
	for target, want := range map[string][]string{
		"static:///127.0.0.1:50051":                 {"127.0.0.1:50051"},
		"static:///127.0.0.1:50052,127.0.0.1:50051": {"127.0.0.1:50052", "127.0.0.1:50051"},
		"static:///orders.internal:1":               {"orders.internal:1"},
		"static:///my_host-1:65535":                 {"my_host-1:65535"},
		"static:///[::1]:50051,127.0.0.1:50051":     {"[::1]:50051", "127.0.0.1:50051"},
	} {
		got, err := static.Parse(target)
		if err != nil {
			t.Errorf("Parse(%q): %v", target, err)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("Parse(%q): -want +got\n%s", target, diff)
		}
	}
}

func TestParseRefuses(t *testing.T) {
	for target, want := range map[string]string{
		"":                               `target "": want static:///`,
		"dns:///a:1":                     `target "dns:///a:1": want static:///`,
		"static://a:1":                   `want static:///`,
		"static://host/a:1":              `want static:///`,
		"static:///":                     `entry 1, "": empty address`,
		"static:///a:1,,b:2":             `entry 2, "": empty address`,
		"static:///a:1,":                 `entry 2, "": empty address`,
		"static:///a:1, b:2":             `entry 2, " b:2": host " b" is neither a name nor an IP address`,
		"static:///a":                    `entry 1, "a": missing port in address`,
		"static:///a:1,:2":               `entry 2, ":2": missing host`,
		"static:///a:":                   `entry 1, "a:": port "" is not a number from 1 to 65535`,
		"static:///a:http":               `port "http" is not a number`,
		"static:///a:0":                  `port "0" is not a number from 1 to 65535`,
		"static:///a:65536":              `port "65536" is not a number from 1 to 65535`,
		"static:///a:-1":                 `port "-1" is not a number from 1 to 65535`,
		"static:///::1:50051":            `too many colons in address`,
		"static:///[::1:50051":           `missing ']' in address`,
		"static:///[fe80::1%25eth0]:1":   `is neither a name nor an IP address`,
		"static:///a:1?x=y":              `port "1?x=y" is not a number`,
		"static:///a:1/b":                `port "1/b" is not a number`,
		"static:///a:1,b:2,a:1":          `entry 3, "a:1": the same address as entry 1`,
		"static:///A.b:1,a.B:01":         `entry 2, "a.B:01": the same address as entry 1`,
		"static:///[::1]:1,[0:0::1]:1":   `entry 2, "[0:0::1]:1": the same address as entry 1`,
		"static:///127.0.0.1:1,exa mple": `entry 2, "exa mple": missing port in address`,
	} {
		_, err := static.Parse(target)
		if err == nil || !strings.Contains(err.Error(), want) || !strings.HasPrefix(err.Error(), "static: target ") {
			t.Errorf("Parse(%q): got error %v, want one with %q", target, err, want)
		}
	}
}

// serve starts a health server on loopback and returns its address.
func serve(t *testing.T) string {
	t.Helper()
	lis, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	srv := grpc.NewServer(grpc.UnaryInterceptor(echoAuthority))
	healthv1.RegisterHealthServer(srv, health.NewServer())
	done := make(chan error, 1)
	go func() { done <- srv.Serve(lis) }()
	t.Cleanup(func() {
		srv.Stop()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	return lis.Addr().String()
}

func connect(t *testing.T, target, config string) healthv1.HealthClient {
	t.Helper()
	conn, err := grpc.NewClient(target, grpc.WithResolvers(static.NewBuilder()),
		grpc.WithTransportCredentials(insecure.NewCredentials()), grpc.WithDefaultServiceConfig(config))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := conn.Close(); err != nil {
			t.Error(err)
		}
	})
	return healthv1.NewHealthClient(conn)
}

// check makes one call and returns which instance answered, and under which authority it was called.
func check(t *testing.T, client healthv1.HealthClient) (addr, authority string) {
	t.Helper()
	var p peer.Peer
	var header metadata.MD
	_, err := client.Check(t.Context(), &healthv1.HealthCheckRequest{},
		grpc.Peer(&p), grpc.Header(&header), grpc.WaitForReady(true))
	if err != nil {
		t.Fatal(err)
	}
	return p.Addr.String(), strings.Join(header["seen-authority"], ",")
}

// echoAuthority sends the caller's :authority back as a header.
func echoAuthority(ctx context.Context, req any, _ *grpc.UnaryServerInfo, next grpc.UnaryHandler) (any, error) {
	in, _ := metadata.FromIncomingContext(ctx)
	if err := grpc.SetHeader(ctx, metadata.MD{"seen-authority": in[":authority"]}); err != nil {
		return nil, err
	}
	return next(ctx, req)
}

const roundRobin = `{"loadBalancingConfig":[{"round_robin":{}}]}`

// TestRoundRobin expects every instance to be called, and the same number of times once all are connected.
func TestRoundRobin(t *testing.T) {
	a, b, c := serve(t), serve(t), serve(t)
	client := connect(t, "static:///"+a+","+b+","+c, roundRobin)
	seen := map[string]bool{}
	for deadline := time.Now().Add(10 * time.Second); len(seen) < 3; {
		if time.Now().After(deadline) {
			t.Fatalf("only %v were called", seen)
		}
		addr, _ := check(t, client)
		seen[addr] = true
	}
	got := map[string]int{}
	for range 30 {
		addr, _ := check(t, client)
		got[addr]++
	}
	if diff := cmp.Diff(map[string]int{a: 10, b: 10, c: 10}, got); diff != "" {
		t.Errorf("calls by instance: -want +got\n%s", diff)
	}
}

func TestPickFirst(t *testing.T) {
	a, b := serve(t), serve(t)
	client := connect(t, "static:///"+a+","+b, `{"loadBalancingConfig":[{"pick_first":{}}]}`)
	for range 3 {
		if addr, _ := check(t, client); addr != a {
			t.Errorf("called %s, want %s", addr, a)
		}
	}
}

// TestDeadInstance expects that an instance that refuses connections costs no call.
func TestDeadInstance(t *testing.T) {
	lis, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	dead := lis.Addr().String()
	if err := lis.Close(); err != nil {
		t.Fatal(err)
	}
	alive := serve(t)
	client := connect(t, "static:///"+dead+","+alive, roundRobin)
	for range 10 {
		if addr, _ := check(t, client); addr != alive {
			t.Errorf("called %s, want %s", addr, alive)
		}
	}
}

func TestAuthorityIsFirstAddress(t *testing.T) {
	a, b := serve(t), serve(t)
	client := connect(t, "static:///"+a+","+b, roundRobin)
	for range 4 {
		if _, authority := check(t, client); authority != a {
			t.Errorf(":authority is %q, want %q", authority, a)
		}
	}
}

func TestBadTargetFailsCalls(t *testing.T) {
	for target, want := range map[string]string{
		"static:///a:1,a:1":   "the same address as entry 1",
		"static:///a:1?q=b:2": `entry 1, "a:1?q=b:2": too many colons`,
		"static://x/a:1":      "want static:///host:port",
	} {
		client := connect(t, target, roundRobin)
		_, err := client.Check(t.Context(), &healthv1.HealthCheckRequest{})
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("call to %q: got error %v, want one with %q", target, err, want)
		}
	}
}
