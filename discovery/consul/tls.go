package consul

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"os"
)

// TLS is how to speak to an agent over HTTPS. Its files are read for every new connection, so that they may be changed at any
// time; a connection that exists goes on as it was.
type TLS struct {
	// CAFile holds the certificates of those who may have signed the agent's. Empty: those that the system trusts.
	CAFile string
	// CertificateFile and PrivateKeyFile are what the gateway shows to the agent. Both empty: nothing.
	CertificateFile string
	PrivateKeyFile  string
	// ServerName is the name that the agent's certificate must have. Empty: the host of the address.
	ServerName string
}

func (t *TLS) load() (*tls.Config, error) {
	config := &tls.Config{MinVersion: tls.VersionTLS12, ServerName: t.ServerName}
	if t.CAFile != "" {
		pem, err := os.ReadFile(t.CAFile)
		if err != nil {
			return nil, fmt.Errorf("tls: CA file: %w", err)
		}
		config.RootCAs = x509.NewCertPool()
		if !config.RootCAs.AppendCertsFromPEM(pem) {
			return nil, fmt.Errorf("tls: CA file %s holds no certificate in PEM form", t.CAFile)
		}
	}
	if (t.CertificateFile == "") != (t.PrivateKeyFile == "") {
		return nil, errors.New("tls: a certificate file and a private key file need each other")
	}
	if t.CertificateFile != "" {
		pair, err := tls.LoadX509KeyPair(t.CertificateFile, t.PrivateKeyFile)
		if err != nil {
			return nil, fmt.Errorf("tls: certificate file %s, private key file %s: %w", t.CertificateFile, t.PrivateKeyFile, err)
		}
		config.Certificates = []tls.Certificate{pair}
	}
	return config, nil
}

func (a *agents) dialTLS(ctx context.Context, network, address string) (net.Conn, error) {
	config, err := a.options.TLS.load()
	if err != nil {
		return nil, err
	}
	return (&tls.Dialer{Config: config}).DialContext(ctx, network, address)
}
