package node

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/conclave-dev/conclave/internal/pki"
)

// keyring issues certificates to the nodes of a trio, and to those who call them.
type keyring struct {
	*trio
	authority *pki.Authority
	// cluster is the ID that the trio has before it has formed.
	cluster string
}

// newKeyring gives the trio certificates for its peers, and for clients beside
// HTTP.
func newKeyring(c *trio) *keyring {
	c.t.Helper()
	k := &keyring{trio: c, authority: newAuthority(c.t), cluster: c.options(0).ClusterInEffect()}
	for i := range 3 {
		k.put(k.keyDir(i), k.node(i), k.authority)
	}
	c.alter = func(i int, o *Options) {
		o.PeerTLS, o.ClientTLS, o.HTTPS = k.keyDir(i), filepath.Join(c.base, "tls-{name}"), "127.0.0.1:0"
	}
	return k
}

// keyDir is where the certificate of node i lies.
func (k *keyring) keyDir(i int) string { return filepath.Join(k.base, "tls-"+nodeName(i)) }

func nodeName(i int) string { return fmt.Sprintf("n%d", i) }

func newAuthority(t *testing.T) *pki.Authority {
	t.Helper()
	a, err := pki.NewAuthority("test", time.Now().Add(-time.Hour), time.Now().Add(24*time.Hour))
	if err != nil {
		t.Fatal(err)
	}
	return a
}

// node asks for the certificate of node i.
func (k *keyring) node(i int) pki.Request {
	return k.request(pki.Identity{Cluster: k.cluster, Role: pki.RoleNode, Name: nodeName(i)})
}

// request asks for a certificate that holds for this machine, too, and for a time
// that no other has.
func (k *keyring) request(identities ...pki.Identity) pki.Request {
	return pki.Request{
		Identities: identities, DNSNames: []string{"localhost"}, IPs: []net.IP{net.IPv4(127, 0, 0, 1)},
		NotBefore: time.Now().Add(-time.Minute), NotAfter: time.Now().Add(time.Hour),
	}
}

// put writes a certificate of the first authority, trusting all of them, into a
// directory, file by file.
func (k *keyring) put(dir string, r pki.Request, authorities ...*pki.Authority) {
	k.t.Helper()
	pair, err := authorities[0].Issue(r)
	if err != nil {
		k.t.Fatal(err)
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		k.t.Fatal(err)
	}
	for name, content := range map[string][]byte{
		pki.FileCertificate: pair.Certificate, pki.FileKey: pair.Key, pki.FileAuthorities: bundle(authorities),
	} {
		next := filepath.Join(dir, "next")
		if err := os.WriteFile(next, content, 0o600); err != nil {
			k.t.Fatal(err)
		}
		if err := os.Rename(next, filepath.Join(dir, name)); err != nil {
			k.t.Fatal(err)
		}
	}
}

func bundle(authorities []*pki.Authority) []byte {
	var all []byte
	for _, a := range authorities {
		all = append(all, a.Pair.Certificate...)
	}
	return all
}

// caller returns a client that trusts the authorities, shows a certificate unless
// r is nil, and connects anew for each request.
func (k *keyring) caller(r *pki.Request, authorities ...*pki.Authority) *http.Client {
	k.t.Helper()
	config := &tls.Config{RootCAs: x509.NewCertPool()}
	config.RootCAs.AppendCertsFromPEM(bundle(authorities))
	if r != nil {
		pair, err := authorities[0].Issue(*r)
		if err != nil {
			k.t.Fatal(err)
		}
		both, err := tls.X509KeyPair(pair.Certificate, pair.Key)
		if err != nil {
			k.t.Fatal(err)
		}
		config.Certificates = []tls.Certificate{both}
	}
	return &http.Client{Transport: &http.Transport{TLSClientConfig: config, DisableKeepAlives: true}, Timeout: 20 * time.Second}
}
