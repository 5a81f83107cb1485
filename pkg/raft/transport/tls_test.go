package transport_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"math/big"
	"testing"
	"time"

	"github.com/conclave-dev/conclave/pkg/raft"
	"github.com/conclave-dev/conclave/pkg/raft/transport"
)

// authority issues certificates.
type authority struct {
	certificate *x509.Certificate
	key         *ecdsa.PrivateKey
	pool        *x509.CertPool
}

func newAuthority(t *testing.T) *authority {
	t.Helper()
	a := &authority{pool: x509.NewCertPool()}
	a.certificate, a.key = issue(t, "authority", nil)
	a.pool.AddCert(a.certificate)
	return a
}

// issue makes a certificate for name, signed by the authority or by itself.
func issue(t *testing.T, name string, by *authority) (*x509.Certificate, *ecdsa.PrivateKey) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(time.Now().UnixNano()),
		Subject:      pkix.Name{CommonName: name},
		DNSNames:     []string{name},
		NotBefore:    time.Now().Add(-time.Hour),
		NotAfter:     time.Now().Add(time.Hour),
		ExtKeyUsage:  []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	}
	parent, signer := template, key
	if by != nil {
		parent, signer = by.certificate, by.key
	} else {
		template.IsCA, template.BasicConstraintsValid = true, true
		template.KeyUsage = x509.KeyUsageCertSign
	}
	der, err := x509.CreateCertificate(rand.Reader, template, parent, &key.PublicKey, signer)
	if err != nil {
		t.Fatal(err)
	}
	certificate, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return certificate, key
}

// options gives a node a certificate made out to name.
func (a *authority) options(t *testing.T, name string) func(*transport.Options) {
	t.Helper()
	certificate, key := issue(t, name, a)
	pair := []tls.Certificate{{Certificate: [][]byte{certificate.Raw}, PrivateKey: key}}
	return func(o *transport.Options) {
		o.ServerTLS = &tls.Config{Certificates: pair, ClientCAs: a.pool, ClientAuth: tls.RequireAndVerifyClientCert}
		o.ClientTLS = &tls.Config{Certificates: pair, RootCAs: a.pool}
	}
}

func TestMessagesGoOverTLS(t *testing.T) {
	d := newDirectory()
	ca := newAuthority(t)
	w := newWarehouse()
	secured := ca.options(t, "node-2")
	a := start(t, d, 1, ca.options(t, "node-1"))
	b := start(t, d, 2, func(o *transport.Options) { secured(o); w.options(o) })
	deliver(t, a, b)
	deliver(t, b, a)
	s := ship(a, b, readerOf(content(1<<20)))
	if err := await(t, s.done); err != nil {
		t.Error(err)
	}
}

func TestTLSPeersMustBeWhoTheySay(t *testing.T) {
	ca, other := newAuthority(t), newAuthority(t)
	for _, test := range []struct {
		name   string
		a, b   func(*transport.Options)
		logged string
	}{
		{"server with another's certificate", ca.options(t, "node-1"), ca.options(t, "node-3"), "node-3"},
		{"client with another's certificate", ca.options(t, "node-3"), ca.options(t, "node-2"), "not the member it should be"},
		{"client of another authority", other.options(t, "node-1"), ca.options(t, "node-2"), "unknown authority"},
		{"client without TLS", nil, ca.options(t, "node-2"), "TLS"},
		{"server without TLS", ca.options(t, "node-1"), nil, "not the peer protocol"},
	} {
		t.Run(test.name, func(t *testing.T) {
			d := newDirectory()
			a, b := start(t, d, 1, test.a), start(t, d, 2, test.b)
			a.Send([]raft.Message{heartbeat(a, b, 1)})
			eventually(t, "the message is given up", func() bool { return a.peer(2).DroppedUnreachable > 0 })
			eventually(t, "the reason is logged", func() bool { return a.log.count(test.logged)+b.log.count(test.logged) > 0 })
			if len(b.inbox) > 0 {
				t.Error("the message was delivered")
			}
		})
	}
}
