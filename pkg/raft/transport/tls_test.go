package transport_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"math/big"
	"net"
	"os"
	"sync/atomic"
	"testing"
	"time"

	"github.com/conclave-dev/conclave/pkg/raft"
	"github.com/conclave-dev/conclave/pkg/raft/transport"
	"github.com/conclave-dev/conclave/pkg/raft/wire"
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
		o.ClientTLS = &tls.Config{Certificates: pair, InsecureSkipVerify: true, VerifyConnection: a.verify}
		o.Authenticate = func(c *x509.Certificate, name string) error { return c.VerifyHostname(name) }
	}
}

// verify holds a server to the authority.
func (a *authority) verify(s tls.ConnectionState) error {
	_, err := s.PeerCertificates[0].Verify(x509.VerifyOptions{Roots: a.pool})
	return err
}

// renamed has a node call itself otherwise than the directory does.
func renamed(secured func(*transport.Options), name string) func(*transport.Options) {
	return func(o *transport.Options) { secured(o); o.Name = name }
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
		{"server of another authority", ca.options(t, "node-1"), other.options(t, "node-2"), "unknown authority"},
		{"client with another's name and its certificate", renamed(ca.options(t, "node-3"), "node-3"), ca.options(t, "node-2"), `node \"node-3\" calls itself`},
		{"client without TLS", nil, ca.options(t, "node-2"), "the peer doesn't speak TLS"},
		{"server without TLS", ca.options(t, "node-1"), nil, "the peer speaks TLS, and this node doesn't"},
		{"server without TLS is suspected", ca.options(t, "node-1"), nil, "does it speak TLS?"},
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

func TestANodeThatAnnouncesItselfMeetsTheOneItMeantOrNobody(t *testing.T) {
	d := newDirectory()
	ca := newAuthority(t)
	secured := ca.options(t, "node-2")
	a := start(t, d, 1, ca.options(t, "node-1"))
	b := start(t, d, 2, func(o *transport.Options) {
		secured(o)
		o.Bootstrap = func(context.Context, wire.Bootstrap) wire.Bootstrap { return introduction(2) }
	})
	if _, err := a.Announce(t.Context(), "node-2", b.Address().String(), introduction(1)); err != nil {
		t.Error(err)
	}
	if _, err := a.Announce(t.Context(), "node-3", b.Address().String(), introduction(1)); !errors.Is(err, transport.ErrWrongMember) {
		t.Errorf("node-3 was meant and node-2 answered: got %v, want ErrWrongMember", err)
	}
}

// clogging is a connection on which writing fails from some time on.
type clogging struct {
	net.Conn
	clogged *atomic.Bool
	// failed counts the writes that have failed, closed the ends.
	failed, closed *atomic.Int64
}

func (c clogging) Write(p []byte) (int, error) {
	if c.clogged.Load() {
		c.failed.Add(1)
		return 0, os.ErrDeadlineExceeded
	}
	return c.Conn.Write(p)
}

func (c clogging) Close() error {
	c.closed.Add(1)
	return c.Conn.Close()
}

func TestAConnectionThatTakesNothingIsClosedWithoutTheFarewellOfTLS(t *testing.T) {
	d := newDirectory()
	ca := newAuthority(t)
	secured := ca.options(t, "node-1")
	clogged, failed, closed := new(atomic.Bool), new(atomic.Int64), new(atomic.Int64)
	a := start(t, d, 1, func(o *transport.Options) {
		secured(o)
		o.Dial = func(ctx context.Context, network, address string) (net.Conn, error) {
			if clogged.Load() {
				return nil, errors.New("no route")
			}
			conn, err := new(net.Dialer).DialContext(ctx, network, address)
			return clogging{conn, clogged, failed, closed}, err
		}
	})
	b := start(t, d, 2, ca.options(t, "node-2"))
	deliver(t, a, b)
	clogged.Store(true)
	a.Send([]raft.Message{heartbeat(a, b, 1)})
	eventually(t, "the connection is closed", func() bool { return closed.Load() > 0 })
	if n := failed.Load(); n != 1 {
		t.Errorf("%d writes were tried, want that of the message alone", n)
	}
}

func TestOverTLSANodeSpeaksOnlyForTheNameInItsCertificate(t *testing.T) {
	d := newDirectory()
	ca := newAuthority(t)
	secured := ca.options(t, "node-2")
	var asked atomic.Int64
	a := start(t, d, 1, ca.options(t, "node-1"))
	b := start(t, d, 2, func(o *transport.Options) {
		secured(o)
		o.Bootstrap = func(context.Context, wire.Bootstrap) wire.Bootstrap {
			asked.Add(1)
			lie := introduction(2)
			lie.Name = "node-3"
			return lie
		}
	})
	lie := introduction(1)
	lie.Name = "node-3"
	if _, err := a.Announce(t.Context(), "node-2", b.Address().String(), lie); err == nil || asked.Load() > 0 {
		t.Errorf("node-1 introduced node-3: got %v, and it was handed on %d times", err, asked.Load())
	}
	eventually(t, "the reason is logged", func() bool { return b.log.count(`node \"node-1\" speaks for \"node-3\"`) > 0 })
	if _, err := a.Announce(t.Context(), "node-2", b.Address().String(), introduction(1)); !errors.Is(err, transport.ErrWrongMember) {
		t.Errorf("node-2 answered for node-3: got %v, want ErrWrongMember", err)
	}
}
