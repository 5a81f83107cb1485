package main

import (
	"crypto/x509"
	"strings"
	"testing"
)

func TestServerCertificate(t *testing.T) {
	ca, caKey, err := newAuthority()
	if err != nil {
		t.Fatal(err)
	}
	server, _, err := newServerCertificate(ca, caKey)
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AddCert(ca)
	for _, name := range []string{
		"localhost", "127.0.0.1", controlPlaneIP, kubernetesIP,
		"kubernetes", "kubernetes.default", "kubernetes.default.svc", "kubernetes.default.svc.cluster.local",
	} {
		if _, err := server.Verify(x509.VerifyOptions{Roots: roots, DNSName: name}); err != nil {
			t.Errorf("a client that dials %s: %v", name, err)
		}
	}
	if _, err := server.Verify(x509.VerifyOptions{Roots: roots, DNSName: "elsewhere"}); err == nil {
		t.Error("the certificate holds for any name")
	}
}

func TestKubeconfigNamesServerAndToken(t *testing.T) {
	text := string(kubeconfig("ccl", []byte("certificate"), "secret"))
	for _, want := range []string{"server: https://" + apiAddress, "token: secret", "Y2VydGlmaWNhdGU=", "current-context: ccl"} {
		if !strings.Contains(text, want) {
			t.Errorf("kubeconfig lacks %q:\n%s", want, text)
		}
	}
}
