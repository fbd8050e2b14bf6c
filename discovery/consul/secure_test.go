package consul_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/hashicorp/consul/api"

	"github.com/cardea-gateway/cardea/discovery/consul"
)

const (
	root  = "11111111-1111-1111-1111-111111111111"
	wrong = "22222222-2222-2222-2222-222222222222"
)

// TestACL asks an agent that tells nothing to those it does not know.
func TestACL(t *testing.T) {
	a := newAgent(t, `acl {
		enabled = true
		default_policy = "deny"
		tokens { initial_management = "`+root+`" agent = "`+root+`" }
	}`)
	a.token = root
	a.run(t)
	client := operator(t, a.address(), root)
	put(t, client, api.AgentServiceRegistration{ID: "acl-1", Name: "acl"})
	made := 0
	token := func(rules string) string {
		made++
		policy, _, err := client.ACL().PolicyCreate(&api.ACLPolicy{Name: strconv.Itoa(made), Rules: rules}, nil)
		must(t, err)
		token, _, err := client.ACL().TokenCreate(&api.ACLToken{Policies: []*api.ACLTokenPolicyLink{{ID: policy.ID}}}, nil)
		must(t, err)
		return token.SecretID
	}

	if got := refused(t, open(t, source(t, consul.Options{Address: a.address()}), "consul:///acl")); !strings.Contains(
		got, `set a token file; the token needs service:read for "acl" and node:read for its nodes`) {
		t.Errorf("no token: %s", got)
	}

	file := filepath.Join(t.TempDir(), "token")
	write := func(token string) { must(t, os.WriteFile(file, []byte(token+"\n"), 0o600)) }
	w := open(t, source(t, consul.Options{Address: a.address(), TokenFile: file, Wait: 300 * time.Millisecond}), "consul:///acl")
	write(wrong)
	if got := refused(t, w); !strings.Contains(got, "ACL not found") || !strings.Contains(got, "service:read") || strings.Contains(got, wrong) {
		t.Errorf("wrong token: %s", got)
	}
	write(token(`service "acl" { policy = "read" }`))
	if got := refused(t, w); !strings.Contains(got, "it knows instances that the token may not see") {
		t.Errorf("a token that may see no nodes: %s", got)
	}
	reader := token(`service "acl" { policy = "read" } node_prefix "" { policy = "read" }`)
	write(reader)
	if set := next(t, w); len(set.Instances) != 1 {
		t.Errorf("the right token: %v", set)
	}
	write(wrong)
	if got := refused(t, w); !strings.Contains(got, "ACL not found") {
		t.Errorf("the wrong token again: %s", got)
	}

	write(reader) // It may not write.
	log, text := logger()
	r, err := consul.NewRegistrar(consul.Options{Address: a.address(), TokenFile: file}, consul.Registration{Service: "gw", ID: "gw-1", Port: 1}, log)
	must(t, err)
	stop := running(t, r)
	eventually(t, "a warning", func() bool { return strings.Contains(text(), `the token needs service:write for \"gw\"`) })
	write(token(`service "gw" { policy = "write" } node_prefix "" { policy = "read" }`))
	eventually(t, "it is registered", func() bool { return statusOf(client, "gw-1") == api.HealthPassing })
	stop()
	if got := text(); strings.Contains(got, reader) {
		t.Errorf("the log tells the token: %s", got)
	}
	if got := statusOf(client, "gw-1"); got != "" {
		t.Errorf("after the end it is %s", got)
	}
}

// authority signs certificates.
type authority struct {
	key  *ecdsa.PrivateKey
	cert *x509.Certificate
	pem  []byte
}

func newAuthority(t *testing.T) authority {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	must(t, err)
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "CA"}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	must(t, err)
	cert, err := x509.ParseCertificate(der)
	must(t, err)
	return authority{key, cert, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})}
}

// sign writes a certificate and its key for a name.
func (a authority) sign(t *testing.T, dir, name string) (certificate, privateKey string) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	must(t, err)
	template := &x509.Certificate{
		SerialNumber: big.NewInt(2), Subject: pkix.Name{CommonName: name}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		DNSNames: []string{name}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, a.cert, &key.PublicKey, a.key)
	must(t, err)
	secret, err := x509.MarshalPKCS8PrivateKey(key)
	must(t, err)
	certificate, privateKey = filepath.Join(dir, name+".pem"), filepath.Join(dir, name+".key")
	must(t, os.WriteFile(certificate, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), 0o600))
	must(t, os.WriteFile(privateKey, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: secret}), 0o600))
	return certificate, privateKey
}

// TestTLS asks an agent that wants a certificate, and changes the files while the source is in use.
func TestTLS(t *testing.T) {
	dir := t.TempDir()
	good, bad := newAuthority(t), newAuthority(t)
	trusted := filepath.Join(dir, "ca.pem")
	must(t, os.WriteFile(trusted, good.pem, 0o600))
	certificate, key := good.sign(t, dir, "agent.test")
	own, ownKey := good.sign(t, dir, "gateway.test")
	https := ports(t, 1)[0]
	a := newAgent(t, fmt.Sprintf(`tls { https { ca_file = %q cert_file = %q key_file = %q verify_incoming = true } }`, trusted, certificate, key),
		"-https-port", strconv.Itoa(https)).run(t)
	put(t, operator(t, a.address(), ""), api.AgentServiceRegistration{ID: "tls-1", Name: "tls"})

	file := filepath.Join(dir, "rotated.pem")
	o := consul.Options{Address: "127.0.0.1:" + strconv.Itoa(https), Wait: 300 * time.Millisecond}
	full := consul.TLS{CAFile: file, CertificateFile: own, PrivateKeyFile: ownKey, ServerName: "agent.test"}
	with := func(change func(*consul.TLS)) consul.Options {
		o, changed := o, full
		change(&changed)
		o.TLS = &changed
		return o
	}
	must(t, os.WriteFile(file, good.pem, 0o600))
	for name, test := range map[string]struct {
		options consul.Options
		want    string
	}{
		"plain HTTP":                {o, "status 400"},
		"authorities of the system": {with(func(c *consul.TLS) { c.CAFile = "" }), "unknown authority"},
		"another name":              {with(func(c *consul.TLS) { c.ServerName = "other.test" }), "not other.test"},
		"no certificate":            {with(func(c *consul.TLS) { c.CertificateFile, c.PrivateKeyFile = "", "" }), "certificate required"},
	} {
		if got := refused(t, open(t, source(t, test.options), "consul:///tls")); !strings.Contains(got, test.want) {
			t.Errorf("%s: got %s, want an error with %q", name, got, test.want)
		}
	}

	must(t, os.WriteFile(file, bad.pem, 0o600))
	s := source(t, with(func(*consul.TLS) {}))
	w := open(t, s, "consul:///tls")
	if got := refused(t, w); !strings.Contains(got, "unknown authority") {
		t.Errorf("a wrong authority: %s", got)
	}
	must(t, os.WriteFile(file, good.pem, 0o600))
	if set := next(t, w); len(set.Instances) != 1 {
		t.Errorf("got %v", set)
	}
	must(t, os.WriteFile(file, nil, 0o600))
	if set := next(t, w); len(set.Instances) != 1 {
		t.Errorf("a connection that exists: %v", set)
	}
	must(t, s.Close())
	if got := refused(t, w); !strings.Contains(got, "holds no certificate") {
		t.Errorf("a file that is being written: %s", got)
	}
}

// TestClientAgentIsNotDoubted asks an agent that is no server. It would answer from a stream that knows no leader, and each
// answer would have to be confirmed.
func TestClientAgentIsNotDoubted(t *testing.T) {
	srv := server(t)
	p := ports(t, 2)
	member := &agent{http: p[0], serf: p[1], rpc: 1, args: []string{
		"-data-dir", t.TempDir(), "-node", "member", "-retry-join", "127.0.0.1:" + strconv.Itoa(srv.serf), "-retry-interval", "1s",
	}}
	member.configure(t, "")
	member.run(t)
	client := operator(t, member.address(), "")
	put(t, client, api.AgentServiceRegistration{ID: "member-1", Name: "member"})

	var mu sync.Mutex
	var asked []string
	proxy := httputil.NewSingleHostReverseProxy(&url.URL{Scheme: "http", Host: member.address()})
	proxy.Transport = &http.Transport{DisableKeepAlives: true}
	front := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		asked = append(asked, strconv.FormatBool(r.URL.Query().Has("stale")))
		mu.Unlock()
		proxy.ServeHTTP(w, r)
	}))
	defer front.Close()
	s := source(t, consul.Options{Address: front.Listener.Addr().String(), Wait: 300 * time.Millisecond})
	defer s.Close()
	w := open(t, s, "consul:///member")
	follow(t, w, "registered", has("member-1"))
	mu.Lock()
	asked = nil
	mu.Unlock()
	next(t, w)
	next(t, w)
	mu.Lock()
	defer mu.Unlock()
	if diff := cmp.Diff([]string{"true", "true"}, asked); diff != "" {
		t.Errorf("whether any server may answer: -want +got\n%s", diff)
	}
}
