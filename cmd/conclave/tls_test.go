package main

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/conclave-dev/conclave/internal/admin"
)

// writePEM writes one block into a file of dir, and returns the file's name.
func writePEM(t *testing.T, dir, name, kind string, content []byte) string {
	t.Helper()
	path := filepath.Join(dir, name)
	if err := os.WriteFile(path, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: content}), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// person makes a certificate and its key.
func person(t *testing.T, dir string) (certificate, key string) {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{NotAfter: time.Now().Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &private.PublicKey, private)
	if err != nil {
		t.Fatal(err)
	}
	encoded, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	return writePEM(t, dir, "person.crt", "CERTIFICATE", der), writePEM(t, dir, "person.key", "PRIVATE KEY", encoded)
}

func TestACertificateDoesInPlaceOfATokenOverTLS(t *testing.T) {
	node := &opsNode{status: leaderStatus()}
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if len(r.TLS.PeerCertificates) == 0 || r.Header.Get("Authorization") != "" {
			w.Header().Set("Content-Type", admin.ProblemType)
			w.WriteHeader(http.StatusUnauthorized)
			_, _ = w.Write([]byte(`{"title":"The admin endpoints need a valid token or certificate","code":"unauthorized"}`))
			return
		}
		r.Header.Set("Authorization", "Bearer token-0123456789abcdef")
		node.ServeHTTP(w, r)
	}))
	server.TLS = &tls.Config{ClientAuth: tls.RequestClientCert}
	server.Config.ErrorLog = log.New(io.Discard, "", 0)
	server.StartTLS()
	defer server.Close()
	dir := t.TempDir()
	ca := writePEM(t, dir, "ca.crt", "CERTIFICATE", server.Certificate().Raw)
	certificate, key := person(t, dir)
	for _, test := range []struct {
		name   string
		args   []string
		status int
		says   string
	}{
		{"with a certificate", []string{"--ca", ca, "--cert", certificate, "--cert-key", key}, exitOK, "cfg-1"},
		{"with a token that is none", []string{"--ca", ca, "--cert", certificate, "--cert-key", key, "--token", "x"}, exitFailure, "token or certificate"},
		{"without trust", []string{"--cert", certificate, "--cert-key", key}, exitFailure, "of no authority that is trusted here"},
		{"without the key", []string{"--ca", ca, "--cert", certificate}, exitUsage, "go together"},
		{"without anything", []string{"--ca", ca}, exitUsage, "--cert and --cert-key, where they speak TLS"},
		{"with a file that isn't there", []string{"--ca", ca + "x", "--token", "x"}, exitUsage, "--ca, --cert, --cert-key"},
	} {
		var out bytes.Buffer
		p := program{name: "conclave", env: func(string) string { return "" }, out: &out, err: &out}
		status := p.run(t.Context(), append([]string{"members", "list", "--timeout", "5s", "--ops", server.URL}, test.args...))
		if status != test.status || !strings.Contains(out.String(), test.says) {
			t.Errorf("%s: status %d, want %d, and %q in\n%s", test.name, status, test.status, test.says, &out)
		}
	}
}
