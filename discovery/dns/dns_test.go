package dns_test

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"
	"golang.org/x/net/dns/dnsmessage"

	"github.com/cardea-gateway/cardea/discovery"
	"github.com/cardea-gateway/cardea/discovery/dns"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// server is a DNS server over UDP and TCP. It knows what its zone holds, and answers NXDOMAIN for the rest.
type server struct {
	address string

	mu        sync.Mutex
	zone      map[string][]dnsmessage.Resource // By name and type, such as "a. A".
	rcode     dnsmessage.RCode                 // Of every answer, if it is not success.
	lost      string                           // A name that it fails for.
	truncated bool                             // Over UDP.
	together  int                              // How many answers about hosts are sent at a time, over UDP.
	silent    bool
}

func serve(t *testing.T) *server {
	t.Helper()
	s := &server{zone: map[string][]dnsmessage.Resource{}}
	var udp net.PacketConn
	var tcp net.Listener
	for range 10 { // Until a port is free for both.
		var err error
		if udp, err = net.ListenPacket("udp", "127.0.0.1:0"); err != nil {
			t.Fatal(err)
		}
		if tcp, err = net.Listen("tcp", udp.LocalAddr().String()); err == nil {
			break
		}
		udp.Close()
	}
	if tcp == nil {
		t.Fatal("no port is free")
	}
	s.address = udp.LocalAddr().String()
	var running sync.WaitGroup
	running.Go(func() {
		buffer := make([]byte, 1500)
		var held []func()
		for {
			n, from, err := udp.ReadFrom(buffer)
			if err != nil {
				return
			}
			reply, wait := s.answer(buffer[:n], true)
			if reply != nil {
				held = append(held, func() { _, _ = udp.WriteTo(reply, from) })
			}
			if len(held) < wait {
				continue
			}
			for _, send := range held {
				send()
			}
			held = nil
		}
	})
	running.Go(func() {
		for {
			conn, err := tcp.Accept()
			if err != nil {
				return
			}
			running.Go(func() { s.stream(conn) })
		}
	})
	t.Cleanup(func() {
		udp.Close()
		tcp.Close()
		running.Wait()
	})
	return s
}

// stream answers one question over TCP.
func (s *server) stream(conn net.Conn) {
	defer conn.Close()
	var size [2]byte
	if _, err := io.ReadFull(conn, size[:]); err != nil {
		return
	}
	query := make([]byte, binary.BigEndian.Uint16(size[:]))
	if _, err := io.ReadFull(conn, query); err != nil {
		return
	}
	reply, _ := s.answer(query, false)
	_, _ = conn.Write(append(binary.BigEndian.AppendUint16(nil, uint16(len(reply))), reply...))
}

// answer returns a reply, and how many there have to be before they are sent over UDP.
func (s *server) answer(query []byte, udp bool) (reply []byte, wait int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	var m dnsmessage.Message
	if err := m.Unpack(query); err != nil || s.silent {
		return nil, 0
	}
	q := m.Questions[0]
	found, known := s.zone[q.Name.String()+" "+strings.TrimPrefix(q.Type.String(), "Type")], false
	for key := range s.zone {
		known = known || strings.HasPrefix(key, q.Name.String()+" ")
	}
	said := dnsmessage.Message{
		Header:    dnsmessage.Header{ID: m.ID, Response: true, Authoritative: true, RecursionAvailable: true, RCode: s.rcode},
		Questions: m.Questions,
	}
	switch {
	case s.rcode != dnsmessage.RCodeSuccess:
	case q.Name.String() == s.lost:
		said.RCode = dnsmessage.RCodeServerFailure
	case !known:
		said.RCode = dnsmessage.RCodeNameError
	case udp && s.truncated:
		said.Truncated = true
	default:
		said.Answers = found
	}
	reply, err := said.Pack()
	if err != nil {
		return nil, 0
	}
	if q.Type != dnsmessage.TypeSRV {
		wait = s.together
	}
	return reply, wait
}

// does changes the server.
func (s *server) does(change func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	change()
}

func (s *server) has(name string, addresses ...string) {
	s.does(func() {
		delete(s.zone, name+" A")
		delete(s.zone, name+" AAAA")
		for _, address := range addresses {
			header := dnsmessage.ResourceHeader{Name: dnsmessage.MustNewName(name), Class: dnsmessage.ClassINET, TTL: 1}
			if ip := net.ParseIP(address).To4(); ip != nil {
				s.zone[name+" A"] = append(s.zone[name+" A"], dnsmessage.Resource{Header: header, Body: &dnsmessage.AResource{A: [4]byte(ip)}})
				continue
			}
			ip := net.ParseIP(address)
			s.zone[name+" AAAA"] = append(s.zone[name+" AAAA"], dnsmessage.Resource{Header: header, Body: &dnsmessage.AAAAResource{AAAA: [16]byte(ip)}})
		}
	})
}

func (s *server) record(name string, priority, weight, port uint16, target string) {
	s.does(func() {
		s.zone[name+" SRV"] = append(s.zone[name+" SRV"], dnsmessage.Resource{
			Header: dnsmessage.ResourceHeader{Name: dnsmessage.MustNewName(name), Class: dnsmessage.ClassINET, TTL: 1},
			Body:   &dnsmessage.SRVResource{Priority: priority, Weight: weight, Port: port, Target: dnsmessage.MustNewName(target)},
		})
	})
}

func open(t *testing.T, source discovery.Source, target string) discovery.Watch {
	t.Helper()
	u, err := url.Parse(target)
	if err != nil {
		t.Fatal(err)
	}
	w, err := source.Open(u)
	if err != nil {
		t.Fatal(err)
	}
	return w
}

// next returns the addresses that are found, in order.
func next(t *testing.T, w discovery.Watch) (string, error) {
	t.Helper()
	set, err := w.Next(t.Context())
	var all []string
	for _, i := range set.Instances {
		all = append(all, i.Address)
	}
	slices.Sort(all)
	return strings.Join(all, " "), err
}

func TestAddresses(t *testing.T) {
	s := serve(t)
	w := open(t, dns.NewSource(), "dns://"+s.address+"/orders.test.:50051?interval=7s")
	if _, err := next(t, w); err == nil || !strings.Contains(err.Error(), s.address) {
		t.Errorf("a name that is not there: got %v, want an error that names the server", err)
	}
	s.has("orders.test.", "10.0.0.2", "10.0.0.1", "2001:db8::1")
	if got, err := next(t, w); got != "10.0.0.1:50051 10.0.0.2:50051 [2001:db8::1]:50051" || err != nil {
		t.Errorf("got %s, %v", got, err)
	}
	s.has("orders.test.", "10.0.0.3")
	if got, err := next(t, w); got != "10.0.0.3:50051" || err != nil {
		t.Errorf("after a change: %s, %v", got, err)
	}
	set, err := w.Next(t.Context())
	if err != nil || set.After != 7*time.Second || set.Instances[0].Weight != 1 {
		t.Errorf("looked at again after %s: %v", set.After, err)
	}
	s.does(func() { s.rcode = dnsmessage.RCodeServerFailure })
	if got, err := next(t, w); err == nil {
		t.Errorf("a server that fails knows %q", got)
	}
	s.does(func() { s.rcode, s.truncated = dnsmessage.RCodeSuccess, true })
	if got, err := next(t, w); got != "10.0.0.3:50051" || err != nil {
		t.Errorf("an answer that needs TCP: %s, %v", got, err)
	}
	s.has("orders.test.")
	if got, err := next(t, w); err == nil {
		t.Errorf("a name without addresses has %q", got)
	}
	literal := open(t, dns.NewSource(), "dns://"+s.address+"/10.0.0.9:1")
	if got, err := next(t, literal); got != "10.0.0.9:1" || err != nil {
		t.Errorf("an address for a name: %s, %v", got, err)
	}
}

func TestServerIsSilent(t *testing.T) {
	s := serve(t)
	s.does(func() { s.silent = true })
	w := open(t, dns.NewSource(), "dns://"+s.address+"/orders.test.:1")
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	before := time.Now()
	if _, err := w.Next(ctx); err == nil || time.Since(before) > 3*time.Second {
		t.Errorf("%v after %s, though the context was over", err, time.Since(before))
	}
}

func TestRecords(t *testing.T) {
	s := serve(t)
	w := open(t, dns.NewSRVSource(), "srv://"+s.address+"/_grpc._tcp.orders.test.")
	s.has("a.test.", "10.0.0.1")
	s.has("b.test.", "10.0.0.2", "10.0.0.3")
	s.has("far.test.", "10.9.9.9")
	s.record("_grpc._tcp.orders.test.", 10, 70, 1001, "a.test.")
	s.record("_grpc._tcp.orders.test.", 10, 0, 1002, "b.test.")
	s.record("_grpc._tcp.orders.test.", 10, 5, 1003, "gone.test.")
	s.record("_grpc._tcp.orders.test.", 20, 5, 1004, "far.test.")
	set, err := w.Next(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	slices.SortFunc(set.Instances, func(a, b discovery.Instance) int { return strings.Compare(a.Address, b.Address) })
	if diff := cmp.Diff([]discovery.Instance{
		{Address: "10.0.0.1:1001", ID: "a.test", Weight: 70},
		{Address: "10.0.0.2:1002", ID: "b.test", Weight: 1},
		{Address: "10.0.0.3:1002", ID: "b.test", Weight: 1},
	}, set.Instances); diff != "" {
		t.Errorf("-want +got\n%s", diff)
	}
	s.has("a.test.")
	s.has("b.test.")
	if got, err := next(t, w); err == nil {
		t.Errorf("no target can be found, and %q is", got)
	}
	s.does(func() { clear(s.zone) })
	if got, err := next(t, w); err == nil {
		t.Errorf("there are no records, and %q is found", got)
	}
}

// TestManyRecords has a server that is slow to answer: it waits until eight targets have been asked for.
func TestManyRecords(t *testing.T) {
	const targets = 16
	s := serve(t)
	w := open(t, dns.NewSRVSource(), "srv://"+s.address+"/_grpc._tcp.orders.test.")
	for i := range targets {
		name := fmt.Sprintf("t%d.test.", i)
		s.has(name, fmt.Sprintf("10.0.0.%d", i))
		s.record("_grpc._tcp.orders.test.", 10, 1, 1001, name)
	}
	s.record("_grpc._tcp.orders.test.", 10, 1, 1002, "t0.test.") // It is asked for once.
	s.does(func() { s.together = 2 * 8 })                        // A and AAAA of each.
	set, err := w.Next(t.Context())
	if err != nil || len(set.Instances) != targets+1 {
		t.Errorf("%d instances, %v", len(set.Instances), err)
	}
}

// TestRecordsKeepHosts has the server fail for one of the targets.
func TestRecordsKeepHosts(t *testing.T) {
	s := serve(t)
	w := open(t, dns.NewSRVSource(), "srv://"+s.address+"/_grpc._tcp.orders.test.")
	s.has("a.test.", "10.0.0.1")
	s.has("b.test.", "10.0.0.2")
	s.record("_grpc._tcp.orders.test.", 10, 1, 1001, "a.test.")
	s.record("_grpc._tcp.orders.test.", 10, 1, 1002, "b.test.")
	for _, step := range []struct {
		what   string
		change func()
		want   string
	}{
		{"at first", func() { s.lost = "b.test." }, "10.0.0.1:1001"},
		{"in order", func() { s.lost = "" }, "10.0.0.1:1001 10.0.0.2:1002"},
		{"for a while", func() { s.lost = "b.test." }, "10.0.0.1:1001 10.0.0.2:1002"},
		{"for longer", func() {}, "10.0.0.1:1001 10.0.0.2:1002"},
		{"until it does not exist", func() { s.lost = ""; delete(s.zone, "b.test. A") }, "10.0.0.1:1001"},
	} {
		s.does(step.change)
		if got, err := next(t, w); got != step.want || err != nil {
			t.Errorf("%s: %q, %v; want %q", step.what, got, err, step.want)
		}
	}
}

func TestTargets(t *testing.T) {
	for target, want := range map[string]string{
		"dns:///orders.internal:50051":               "",
		"dns:///orders:50051?interval=1h":            "",
		"dns://8.8.8.8:53/orders:50051":              "",
		"dns://[::1]:53/[::1]:50051":                 "",
		"srv:///_grpc._tcp.orders.internal":          "",
		"srv://127.0.0.1:8600/orders.service.consul": "",
		"dns:///orders":                              `"orders" is not host:port`,
		"dns:///orders:":                             `port "" is not a number`,
		"dns:///orders:0":                            `port "0" is not a number`,
		"dns:///:50051":                              `"" is no name`,
		"dns:///a b:1":                               `"a b" is no name`,
		"dns:///a/b:1":                               "want dns:///host:port",
		"dns:///":                                    "want dns:///host:port",
		"dns:orders:1":                               "want dns:///host:port",
		"dns://8.8.8.8/orders:1":                     "",
		"dns://8.8.8.8:0/orders:1":                   `server: port "0" is not`,
		"dns://[::1]/orders:1":                       "",
		"dns:///orders:1?interval=0.5s":              "is no duration from 1s to 1h",
		"dns:///orders:1?interval=2h":                "is no duration from 1s to 1h",
		"dns:///orders:1?interval=soon":              "is no duration",
		"dns:///orders:1?interval=5s&interval=6s":    `parameter "interval" is not known, or stands twice`,
		"dns:///orders:1?intervall=5s":               `parameter "intervall" is not known`,
		"srv:///orders:1":                            "SRV records hold the ports",
		"srv:///":                                    "want srv:///name",
		"static:///a:1":                              `scheme "static"`,
		"dns:///%zz":                                 "not a URL",
	} {
		err := dns.Parse(target)
		if want == "" && err == nil {
			continue
		}
		if err == nil || want == "" || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got %v, want %q", target, err, want)
		}
	}
}

// FuzzParse expects every target to be refused, or to open.
func FuzzParse(f *testing.F) {
	f.Add("dns:///orders.internal:50051?interval=5s")
	f.Add("srv://127.0.0.1:8600/_a._b.c")
	f.Add("dns://[::1]:53/x:1")
	f.Fuzz(func(t *testing.T, target string) {
		if dns.Parse(target) != nil {
			return
		}
		u, err := url.Parse(target)
		if err != nil {
			t.Fatal(err)
		}
		source := map[string]discovery.Source{"dns": dns.NewSource(), "srv": dns.NewSRVSource()}[u.Scheme]
		w, err := source.Open(u)
		if err != nil || errors.Join(w.Close()) != nil {
			t.Errorf("%q: %v", target, err)
		}
	})
}
