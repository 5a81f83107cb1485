package pki

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"net"
	"time"
)

// Pair is a certificate and its private key, both in PEM.
type Pair struct {
	Certificate []byte
	Key         []byte
}

// Authority issues certificates. Its key signs and nothing else.
type Authority struct {
	// Pair is the authority's own; its certificate goes into the ca.crt of all
	// who trust it.
	Pair        Pair
	certificate *x509.Certificate
	signer      crypto.Signer
}

// Request says what a certificate is for.
type Request struct {
	// Identities are whom it is made out to, for peers and the operations port.
	Identities []Identity
	// DNSNames and IPs are what clients call the holder by, when it serves.
	DNSNames []string
	IPs      []net.IP
	// NotBefore and NotAfter bound its life. NotAfter is cut to that of the
	// authority.
	NotBefore, NotAfter time.Time
}

// NewAuthority makes an authority that signs itself.
func NewAuthority(name string, notBefore, notAfter time.Time) (*Authority, error) {
	template := &x509.Certificate{
		Subject:   pkix.Name{CommonName: name},
		NotBefore: notBefore, NotAfter: notAfter,
		IsCA: true, BasicConstraintsValid: true, MaxPathLenZero: true,
		KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageCRLSign,
	}
	pair, err := issue(template, nil, nil)
	if err != nil {
		return nil, fmt.Errorf("make an authority: %w", err)
	}
	return ReadAuthority(pair)
}

// ReadAuthority returns the authority whose pair is given.
func ReadAuthority(pair Pair) (*Authority, error) {
	both, err := tls.X509KeyPair(pair.Certificate, pair.Key)
	if err != nil {
		return nil, fmt.Errorf("read an authority: %w", err)
	}
	signer, ok := both.PrivateKey.(crypto.Signer)
	if !ok || !both.Leaf.IsCA {
		return nil, errors.New("read an authority: the certificate is not one of an authority")
	}
	return &Authority{Pair: pair, certificate: both.Leaf, signer: signer}, nil
}

// NotAfter is when the authority, and all that it issued, ends.
func (a *Authority) NotAfter() time.Time { return a.certificate.NotAfter }

// Issue makes a key and a certificate for it, for use by servers and clients.
func (a *Authority) Issue(r Request) (Pair, error) {
	template := &x509.Certificate{
		NotBefore: r.NotBefore, NotAfter: r.NotAfter,
		DNSNames: r.DNSNames, IPAddresses: r.IPs,
		BasicConstraintsValid: true,
		KeyUsage:              x509.KeyUsageDigitalSignature,
		ExtKeyUsage:           []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	}
	if template.NotAfter.After(a.certificate.NotAfter) {
		template.NotAfter = a.certificate.NotAfter
	}
	template.Subject.CommonName = r.commonName()
	for _, id := range r.Identities {
		u := id.URI()
		if _, ok := parse(u); !ok {
			return Pair{}, fmt.Errorf("issue a certificate: %q is not the name of anybody", u)
		}
		template.URIs = append(template.URIs, u)
	}
	pair, err := issue(template, a.certificate, a.signer)
	if err != nil {
		return Pair{}, fmt.Errorf("issue a certificate: %w", err)
	}
	return pair, nil
}

// commonName is for people alone; X.509 gives it 64 bytes.
func (r *Request) commonName() string {
	name := "conclave"
	switch {
	case len(r.Identities) > 0 && r.Identities[0].Name != "":
		name = r.Identities[0].Name
	case len(r.Identities) > 0:
		name = string(r.Identities[0].Role)
	case len(r.DNSNames) > 0:
		name = r.DNSNames[0]
	}
	return name[:min(len(name), 64)]
}

// issue makes a key and has its certificate signed, by itself if there is no
// parent.
func issue(template, parent *x509.Certificate, signer crypto.Signer) (Pair, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return Pair{}, err
	}
	if parent == nil {
		parent, signer = template, key
	}
	der, err := x509.CreateCertificate(rand.Reader, template, parent, &key.PublicKey, signer)
	if err != nil {
		return Pair{}, err
	}
	encoded, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return Pair{}, err
	}
	return Pair{
		Certificate: pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}),
		Key:         pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: encoded}),
	}, nil
}
