// Package pemfile reads certificates and keys, so that whoever serves or dials TLS reports the same errors: each names the
// file at fault and what is wrong with it.
package pemfile

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"os"
)

// Pair reads a certificate chain, leaf first, and the private key of the leaf. Leaf is set in what it returns. Dates are
// not looked at.
func Pair(certificateFile, privateKeyFile string) (*tls.Certificate, error) {
	chain, err := os.ReadFile(certificateFile)
	if err != nil {
		return nil, fmt.Errorf("certificate file: %w", err)
	}
	if _, err := certificates(chain); err != nil {
		return nil, fmt.Errorf("certificate file %s: %w", certificateFile, err)
	}
	key, err := os.ReadFile(privateKeyFile)
	if err != nil {
		return nil, fmt.Errorf("private key file: %w", err)
	}
	pair, err := tls.X509KeyPair(chain, key)
	if err != nil {
		return nil, fmt.Errorf("private key file %s, for certificate file %s: %w", privateKeyFile, certificateFile, err)
	}
	return &pair, nil
}

// Pool reads the certificates of authorities. Unlike x509.CertPool it skips none that does not parse.
func Pool(file string) (*x509.CertPool, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, fmt.Errorf("ca file: %w", err)
	}
	authorities, err := certificates(text)
	if err != nil {
		return nil, fmt.Errorf("ca file %s: %w", file, err)
	}
	pool := x509.NewCertPool()
	for _, authority := range authorities {
		pool.AddCert(authority)
	}
	return pool, nil
}

// certificates parses all certificates of a text; there is at least one.
func certificates(text []byte) (list []*x509.Certificate, err error) {
	for {
		var block *pem.Block
		if block, text = pem.Decode(text); block == nil {
			break
		}
		if block.Type != "CERTIFICATE" {
			continue // Keys often share a file with their certificate.
		}
		certificate, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			return nil, fmt.Errorf("certificate %d: %w", len(list)+1, err)
		}
		list = append(list, certificate)
	}
	switch {
	case bytes.Contains(text, []byte("-----BEGIN")):
		return nil, fmt.Errorf("certificate %d is cut off or not PEM", len(list)+1)
	case len(list) == 0:
		return nil, errors.New("no PEM certificate in it")
	}
	return list, nil
}
