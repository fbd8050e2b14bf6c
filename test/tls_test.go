package test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/peer"

	orderv1 "github.com/cardea-gateway/cardea/gen/go/food/order/v1"
)

// TestTLS speaks to one listener in all ways that ALPN can choose.
func TestTLS(t *testing.T) {
	certificate, trust := selfSigned(t)
	backend := startInstance(t, 0)
	gw := serve(t, strings.Replace(orderConfig("", backend.address), "- address: 127.0.0.1:0", "- address: 127.0.0.1:0\n    tls:\n"+certificate, 1))

	t.Run("gRPC", func(t *testing.T) {
		var from peer.Peer
		orders := orderv1.NewOrderServiceClient(dial(t, gw.address, trust))
		if _, err := orders.GetOrder(t.Context(), &orderv1.GetOrderRequest{Name: "orders/1"}, grpc.Peer(&from)); err != nil {
			t.Fatal(err)
		}
		info, ok := from.AuthInfo.(credentials.TLSInfo)
		if !ok || info.State.NegotiatedProtocol != "h2" || info.State.Version < tls.VersionTLS12 {
			t.Errorf("%+v", from.AuthInfo)
		}
	})
	for name, tc := range map[string]struct {
		protocol func(*http.Protocols, bool)
		proto    string
		alpn     string
	}{
		"REST over HTTP/1.1": {(*http.Protocols).SetHTTP1, "HTTP/1.1", ""},
		"REST over HTTP/2":   {(*http.Protocols).SetHTTP2, "HTTP/2.0", "h2"},
	} {
		t.Run(name, func(t *testing.T) {
			a := newREST(t, "https://"+gw.address, trust, tc.protocol).do(t, http.MethodGet, "/v1/orders/1", "")
			if a.StatusCode != http.StatusOK || a.Proto != tc.proto {
				t.Errorf("%s %s %s", a.Proto, a.Status, a.body)
			}
			if got := a.TLS.NegotiatedProtocol; got != tc.alpn && got != "http/1.1" {
				t.Errorf("ALPN chose %q", got)
			}
		})
	}
	for name, tc := range map[string]struct {
		offers []string
		want   string
	}{
		"both":     {[]string{"h2", "http/1.1"}, "h2"},
		"http/1.1": {[]string{"http/1.1"}, "http/1.1"},
		"nothing":  {nil, ""},
	} {
		t.Run("ALPN offers "+name, func(t *testing.T) {
			own := trust.Clone()
			own.NextProtos = tc.offers
			conn, err := tls.Dial("tcp", gw.address, own)
			if err != nil {
				t.Fatal(err)
			}
			defer conn.Close()
			if got := conn.ConnectionState().NegotiatedProtocol; got != tc.want {
				t.Errorf("got %q", got)
			}
		})
	}
	t.Run("no TLS", func(t *testing.T) {
		if a, err := restTo(t, gw.address).send(t.Context(), http.MethodGet, "/v1/orders/1", ""); err == nil && a.StatusCode != http.StatusBadRequest {
			t.Errorf("%s %s", a.Status, a.body)
		}
	})
	t.Run("TLS 1.1", func(t *testing.T) {
		own := trust.Clone()
		own.MinVersion, own.MaxVersion = tls.VersionTLS10, tls.VersionTLS11
		if conn, err := tls.Dial("tcp", gw.address, own); err == nil {
			conn.Close()
			t.Error("accepted")
		}
	})
}

// selfSigned makes a certificate for 127.0.0.1. It returns the lines of a listener's tls, and the configuration of a
// client that trusts it.
func selfSigned(t *testing.T) (yaml string, trust *tls.Config) {
	t.Helper()
	folder, pool := t.TempDir(), x509.NewCertPool()
	writeCertificate(t, folder, pool)
	yaml = fmt.Sprintf("      certificates:\n        - certificate_file: %s/certificate.pem\n          private_key_file: %s/key.pem", folder, folder)
	return yaml, &tls.Config{RootCAs: pool, MinVersion: tls.VersionTLS12}
}

// writeCertificate puts a new certificate into a folder, and into a pool.
func writeCertificate(t *testing.T, folder string, pool *x509.CertPool) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "cardea test"}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign,
	}
	leaf, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	certificate := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: leaf})
	pool.AppendCertsFromPEM(certificate)
	for name, text := range map[string][]byte{
		"certificate.pem": certificate, "key.pem": pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: private}),
	} {
		if err := os.WriteFile(filepath.Join(folder, name), text, 0o600); err != nil {
			t.Fatal(err)
		}
	}
}
