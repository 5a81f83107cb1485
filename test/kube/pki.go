package main

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/hex"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"os"
	"time"
)

// validity of every certificate. A cluster lives for minutes, but a machine may be put to sleep.
const validity = 365 * 24 * time.Hour

// makeKeys writes the cluster's certificates and keys and the administrator's kubeconfig. There is one
// administrator token, and all parts of the cluster use it: the cluster guards nothing.
func (c *cluster) makeKeys() error {
	if err := os.MkdirAll(c.path("pki"), 0o700); err != nil {
		return err
	}
	ca, caKey, err := newAuthority()
	if err != nil {
		return err
	}
	server, serverKey, err := newServerCertificate(ca, caKey)
	if err != nil {
		return err
	}
	// RSA, because RS256 is the one algorithm that every reader of service account tokens knows.
	accountKey, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		return err
	}
	caPEM := encodePEM("CERTIFICATE", ca.Raw)
	files := map[string][]byte{"ca.crt": caPEM, "api.crt": encodePEM("CERTIFICATE", server.Raw)}
	for name, key := range map[string]crypto.Signer{"ca.key": caKey, "api.key": serverKey, "sa.key": accountKey} {
		if files[name], err = encodeKey(key); err != nil {
			return err
		}
	}
	public, err := x509.MarshalPKIXPublicKey(accountKey.Public())
	if err != nil {
		return err
	}
	files["sa.pub"] = encodePEM("PUBLIC KEY", public)
	token, err := newToken()
	if err != nil {
		return err
	}
	files["token"] = []byte(token)
	files["tokens.csv"] = []byte(token + `,admin,admin,"system:masters"` + "\n")
	for name, data := range files {
		if err := os.WriteFile(c.path("pki", name), data, 0o600); err != nil {
			return err
		}
	}
	return os.WriteFile(c.kubeconfig(), kubeconfig(c.name, caPEM, token), 0o600)
}

// newAuthority makes the certificate that all others are checked against.
func newAuthority() (*x509.Certificate, crypto.Signer, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, nil, err
	}
	template := newTemplate("conclave-kube-ca")
	template.IsCA = true
	template.BasicConstraintsValid = true
	template.KeyUsage = x509.KeyUsageCertSign | x509.KeyUsageCRLSign
	certificate, err := sign(template, template, key.Public(), key)
	return certificate, key, err
}

// newServerCertificate makes the API server's certificate. Its names are all those that a client may
// use: from a pod, from a node and from the control plane.
func newServerCertificate(ca *x509.Certificate, caKey crypto.Signer) (*x509.Certificate, crypto.Signer, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, nil, err
	}
	template := newTemplate("kube-apiserver")
	template.KeyUsage = x509.KeyUsageDigitalSignature
	template.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}
	template.DNSNames = []string{
		"localhost", "kubernetes", "kubernetes.default", "kubernetes.default.svc",
		"kubernetes.default.svc." + clusterDomain,
	}
	for _, address := range []string{"127.0.0.1", kubernetesIP, controlPlaneIP} {
		template.IPAddresses = append(template.IPAddresses, net.ParseIP(address))
	}
	certificate, err := sign(template, ca, key.Public(), caKey)
	return certificate, key, err
}

// newTemplate starts an hour ago, so that a clock that is set back a little does no harm.
func newTemplate(commonName string) *x509.Certificate {
	now := time.Now()
	return &x509.Certificate{
		SerialNumber: big.NewInt(now.UnixNano()),
		Subject:      pkix.Name{CommonName: commonName},
		NotBefore:    now.Add(-time.Hour),
		NotAfter:     now.Add(validity),
	}
}

func sign(template, parent *x509.Certificate, public crypto.PublicKey, key crypto.Signer) (*x509.Certificate, error) {
	der, err := x509.CreateCertificate(rand.Reader, template, parent, public, key)
	if err != nil {
		return nil, fmt.Errorf("certificate of %s: %w", template.Subject.CommonName, err)
	}
	return x509.ParseCertificate(der)
}

func encodeKey(key crypto.Signer) ([]byte, error) {
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return nil, err
	}
	return encodePEM("PRIVATE KEY", der), nil
}

func encodePEM(kind string, der []byte) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der})
}

func newToken() (string, error) {
	var secret [16]byte
	if _, err := rand.Read(secret[:]); err != nil {
		return "", err
	}
	return hex.EncodeToString(secret[:]), nil
}

// kubeconfig is the file by which every client finds the API server and is its administrator.
func kubeconfig(name string, caPEM []byte, token string) []byte {
	return fmt.Appendf(nil, `apiVersion: v1
kind: Config
clusters:
- name: %[1]s
  cluster:
    server: https://%[2]s
    certificate-authority-data: %[3]s
users:
- name: admin
  user:
    token: %[4]s
contexts:
- name: %[1]s
  context:
    cluster: %[1]s
    user: admin
current-context: %[1]s
`, name, apiAddress, base64.StdEncoding.EncodeToString(caPEM), token)
}
