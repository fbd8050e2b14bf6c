package pemfile_test

import (
	"bytes"
	"path/filepath"
	"strings"
	"testing"

	"github.com/cardea-gateway/cardea/gateway/internal/pemfile"
	"github.com/cardea-gateway/cardea/gateway/internal/pemfile/pemtest"
)

func TestPair(t *testing.T) {
	dir := t.TempDir()
	cert, key := filepath.Join(dir, "tls.crt"), filepath.Join(dir, "tls.key")
	ca := pemtest.NewAuthority(t, "authority")
	pair := ca.Issue("a.example")
	// A file may hold key and chain together.
	pemtest.Write(t, cert, bytes.Join([][]byte{pair.Key, pair.Certificate, ca.PEM()}, nil))
	pemtest.Write(t, key, pair.Key)
	got, err := pemfile.Pair(cert, key)
	if err != nil {
		t.Fatal(err)
	}
	if got.Leaf.Subject.CommonName != "a.example" || len(got.Certificate) != 2 {
		t.Errorf("%v, a chain of %d", got.Leaf.Subject, len(got.Certificate))
	}
}

func TestPairSaysWhatIsWrong(t *testing.T) {
	ca := pemtest.NewAuthority(t, "authority")
	good, other := ca.Issue("a.example"), ca.Issue("a.example")
	cut := good.Certificate[:len(good.Certificate)/2]
	for name, tc := range map[string]struct {
		certificate, key []byte
		file, want       string
	}{
		"certificate missing":   {nil, good.Key, "tls.crt", "no such file"},
		"key missing":           {good.Certificate, nil, "tls.key", "no such file"},
		"certificate is empty":  {[]byte{}, good.Key, "tls.crt", "no PEM certificate"},
		"certificate is a key":  {good.Key, good.Key, "tls.crt", "no PEM certificate"},
		"certificate is text":   {[]byte("hello"), good.Key, "tls.crt", "no PEM certificate"},
		"certificate is cut":    {cut, good.Key, "tls.crt", "certificate 1 is cut off"},
		"chain is cut":          {append(bytes.Clone(good.Certificate), cut...), good.Key, "tls.crt", "certificate 2 is cut off"},
		"key is a certificate":  {good.Certificate, good.Certificate, "tls.key", "found a certificate rather than a key"},
		"key is text":           {good.Certificate, []byte("hello"), "tls.key", "failed to find any PEM data in key"},
		"key is another's":      {good.Certificate, other.Key, "tls.key", "private key does not match"},
		"certificate is no DER": {[]byte("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"), good.Key, "tls.crt", "certificate 1: x509"},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			cert, key := filepath.Join(dir, "tls.crt"), filepath.Join(dir, "tls.key")
			if tc.certificate != nil {
				pemtest.Write(t, cert, tc.certificate)
			}
			if tc.key != nil {
				pemtest.Write(t, key, tc.key)
			}
			_, err := pemfile.Pair(cert, key)
			if err == nil || !strings.Contains(err.Error(), tc.want) || !strings.Contains(err.Error(), filepath.Join(dir, tc.file)) {
				t.Errorf("%v", err)
			}
		})
	}
}

func TestPoolSaysWhatIsWrong(t *testing.T) {
	file := filepath.Join(t.TempDir(), "ca.crt")
	if _, err := pemfile.Pool(file); err == nil || !strings.Contains(err.Error(), file) {
		t.Errorf("missing: %v", err)
	}
	pemtest.Write(t, file, []byte("hello"))
	if _, err := pemfile.Pool(file); err == nil || !strings.Contains(err.Error(), file+": no PEM certificate") {
		t.Errorf("text: %v", err)
	}
	ca := pemtest.NewAuthority(t, "authority")
	pemtest.Write(t, file, ca.PEM())
	if pool, err := pemfile.Pool(file); err != nil || !pool.Equal(ca.Pool()) {
		t.Errorf("good: %v", err)
	}
}
