package client_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/conclave-dev/conclave/pkg/client"
)

// issued is a certificate with its key.
type issued struct {
	certificate *x509.Certificate
	key         *ecdsa.PrivateKey
}

// issue makes a certificate for hosts that ends at a time, signed by another or by
// itself.
func issue(t *testing.T, by *issued, end time.Time, hosts ...string) *issued {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		Subject: pkix.Name{CommonName: "test"}, NotBefore: time.Now().Add(-time.Hour), NotAfter: end,
		BasicConstraintsValid: true, IsCA: by == nil,
	}
	for _, host := range hosts {
		if ip := net.ParseIP(host); ip != nil {
			template.IPAddresses = append(template.IPAddresses, ip)
		} else {
			template.DNSNames = append(template.DNSNames, host)
		}
	}
	signer := &issued{template, key}
	if by != nil {
		signer = by
	}
	der, err := x509.CreateCertificate(rand.Reader, template, signer.certificate, &key.PublicKey, signer.key)
	if err != nil {
		t.Fatal(err)
	}
	certificate, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return &issued{certificate, key}
}

// write puts certificate and key into files, and returns their names.
func (i *issued) write(t *testing.T, dir, name string) (certificate, key string) {
	t.Helper()
	encoded, err := x509.MarshalPKCS8PrivateKey(i.key)
	if err != nil {
		t.Fatal(err)
	}
	certificate, key = filepath.Join(dir, name+".crt"), filepath.Join(dir, name+".key")
	for path, block := range map[string]*pem.Block{
		certificate: {Type: "CERTIFICATE", Bytes: i.certificate.Raw}, key: {Type: "PRIVATE KEY", Bytes: encoded},
	} {
		if err := os.WriteFile(path, pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return certificate, key
}

// serveTLS answers for a cluster with a certificate, and counts the certificates
// that clients show.
func serveTLS(t *testing.T, shown *issued) (url string, certificates *atomic.Int64) {
	t.Helper()
	certificates = new(atomic.Int64)
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		certificates.Store(int64(len(r.TLS.PeerCertificates)))
		w.Header().Set("Content-Type", "application/json")
		_, _ = w.Write([]byte(`{"name":"cfg-0"}`))
	}))
	server.TLS = &tls.Config{
		ClientAuth:   tls.RequestClientCert,
		Certificates: []tls.Certificate{{Certificate: [][]byte{shown.certificate.Raw}, PrivateKey: shown.key}},
	}
	server.Config.ErrorLog = log.New(io.Discard, "", 0)
	server.StartTLS()
	t.Cleanup(server.Close)
	return server.URL, certificates
}

// ask reads the cluster once.
func ask(t *testing.T, endpoint string, files client.TLSFiles) error {
	t.Helper()
	c, err := client.New(client.Options{Endpoints: []string{endpoint}, Attempts: 1, TLS: files})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	_, err = c.Cluster(t.Context())
	return err
}

func TestNodesBehindTLSMustBeWhoTheyAreTakenFor(t *testing.T) {
	dir := t.TempDir()
	soon := time.Now().Add(time.Hour)
	ca, stranger := issue(t, nil, soon), issue(t, nil, soon)
	trusted, _ := ca.write(t, dir, "ca")
	plain := httptest.NewServer(http.NotFoundHandler())
	defer plain.Close()
	serve := func(i *issued) string { url, _ := serveTLS(t, i); return url }
	good := serve(issue(t, ca, soon, "127.0.0.1"))
	for _, test := range []struct{ name, endpoint, says string }{
		{"a node", good, ""},
		{"a node of another authority", serve(issue(t, stranger, soon, "127.0.0.1")), "of no authority that is trusted here"},
		{"a node of another name", serve(issue(t, ca, soon, "cfg.prod.svc")), "127.0.0.1"},
		{"a node whose certificate has expired", serve(issue(t, ca, time.Now().Add(-time.Second), "127.0.0.1")), "expired"},
		{"a node without TLS", strings.Replace(plain.URL, "http:", "https:", 1), "doesn't speak TLS; is it an http:// one?"},
		{"a node with TLS that is called without", strings.Replace(good, "https:", "http:", 1), "call it by https://"},
	} {
		err := ask(t, test.endpoint, client.TLSFiles{CA: trusted})
		if test.says == "" && err != nil || test.says != "" && (err == nil || !strings.Contains(err.Error(), test.says)) {
			t.Errorf("%s: got %v, want %q", test.name, err, test.says)
		}
	}
}

func TestFilesForTLSAreReadAgainForEachConnection(t *testing.T) {
	dir := t.TempDir()
	soon := time.Now().Add(time.Hour)
	before, after := issue(t, nil, soon), issue(t, nil, soon)
	trusted, _ := before.write(t, dir, "ca")
	first, _ := serveTLS(t, issue(t, before, soon, "127.0.0.1"))
	second, shown := serveTLS(t, issue(t, after, soon, "127.0.0.1"))
	files := client.TLSFiles{CA: trusted}
	files.Certificate, files.Key = issue(t, after, soon).write(t, dir, "person")
	c, err := client.New(client.Options{Endpoints: []string{first}, Attempts: 1, TLS: files})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if _, err := c.Cluster(t.Context()); err != nil {
		t.Error(err)
	}
	if err := ask(t, second, files); err == nil {
		t.Error("a node of an authority that isn't trusted yet was believed")
	}
	after.write(t, dir, "ca")
	if err := ask(t, second, files); err != nil || shown.Load() != 1 {
		t.Errorf("after the change: %v; %d certificates were shown", err, shown.Load())
	}
	if _, err := c.Cluster(t.Context()); err != nil {
		t.Errorf("the connection that stood before was given up: %v", err)
	}
	c.Close()
	if _, err := c.Cluster(t.Context()); err == nil {
		t.Error("a client goes on trusting what its file holds no more")
	}
}

func TestFilesForTLSThatCannotBeUsedAreRefusedAtOnce(t *testing.T) {
	dir := t.TempDir()
	certificate, key := issue(t, nil, time.Now().Add(time.Hour)).write(t, dir, "one")
	_, other := issue(t, nil, time.Now().Add(time.Hour)).write(t, dir, "two")
	for says, files := range map[string]client.TLSFiles{
		"no such file":               {CA: filepath.Join(dir, "none")},
		"one.key holds no":           {CA: key},
		"go together":                {Certificate: certificate},
		"private key does not match": {Certificate: certificate, Key: other},
	} {
		if _, err := client.New(client.Options{Endpoints: []string{"https://a"}, TLS: files}); err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("%+v: got %v, want %q", files, err, says)
		}
	}
	both := client.Options{Endpoints: []string{"https://a"}, HTTPClient: http.DefaultClient, TLS: client.TLSFiles{CA: certificate}}
	if _, err := client.New(both); err == nil || !strings.Contains(err.Error(), "only one can be given") {
		t.Errorf("HTTPClient and TLS: got %v", err)
	}
}
