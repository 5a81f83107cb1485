package node

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/conclave-dev/conclave/internal/pki"
	"github.com/conclave-dev/conclave/pkg/raft/transport"
)

// certificates are those of a node's ports. One without TLS has no store.
type certificates struct {
	// cluster is the ID for which peers and operators have to show a certificate.
	cluster           string
	peer, client, ops certificate
}

// certificate is that of one port.
type certificate struct {
	// port is its name in metrics and errors.
	port string
	*pki.Store
}

// ownName stands for the node's name in the name of a directory, so that all nodes of
// a cluster can be given the same settings.
const ownName = "{name}"

// openCertificates reads the certificates that the options name.
func openCertificates(o *Options) (certificates, error) {
	all := certificates{cluster: o.ClusterInEffect()}
	serving, both := []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}, []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth}
	self := pki.Identity{Cluster: all.cluster, Role: pki.RoleNode, Name: o.Name}
	for _, one := range []struct {
		certificate *certificate
		port, dir   string
		options     pki.Options
	}{
		{&all.peer, "peer", o.PeerTLS, pki.Options{Authorities: true, Usages: both, Check: pki.CheckNames(self)}},
		{&all.client, "client", o.ClientTLS, pki.Options{Usages: serving, Check: servesHosts}},
		{&all.ops, "ops", o.OpsTLS, pki.Options{Usages: serving, Check: servesHosts}},
	} {
		one.certificate.port = one.port
		if one.dir == "" {
			continue
		}
		one.options.Dir = strings.ReplaceAll(one.dir, ownName, o.Name)
		one.options.Logger = o.Logger.With("port", one.port)
		var err error
		if one.certificate.Store, err = pki.Open(one.options); err != nil {
			return certificates{}, fmt.Errorf("%s-tls: %w", one.port, err)
		}
	}
	return all, nil
}

// servesHosts refuses a certificate that no client could check.
func servesHosts(c *x509.Certificate) error {
	if len(c.DNSNames) == 0 && len(c.IPAddresses) == 0 {
		return fmt.Errorf("the certificate of %q has neither a DNS name nor an IP address, by which clients would know the node", c.Subject)
	}
	return nil
}

// present returns the certificates that there are.
func (c *certificates) present() []certificate {
	var found []certificate
	for _, one := range []certificate{c.peer, c.client, c.ops} {
		if one.Store != nil {
			found = append(found, one)
		}
	}
	return found
}

// watch follows changes of the files until ctx ends.
func (c *certificates) watch(ctx context.Context) {
	var watching sync.WaitGroup
	for _, one := range c.present() {
		watching.Go(func() { one.Watch(ctx) })
	}
	watching.Wait()
}

// securePeers has peers prove to each other who they are.
func (c *certificates) securePeers(o *transport.Options) {
	if c.peer.Store == nil {
		return
	}
	o.ServerTLS, o.ClientTLS = c.peer.PeerServerConfig(c.cluster), c.peer.PeerClientConfig()
	o.Authenticate = func(shown *x509.Certificate, name string) error {
		return pki.Names(shown, pki.Identity{Cluster: c.cluster, Role: pki.RoleNode, Name: name})
	}
}

// serverTLS returns the configuration of an HTTP server, nil without TLS.
func (c certificate) serverTLS(clients tls.ClientAuthType) *tls.Config {
	if c.Store == nil {
		return nil
	}
	return c.ServerConfig(clients)
}

var (
	expirySample  = gauge("conclave_certificate_expiry_seconds", "When the certificate in use expires, in seconds since 1970.", "port")
	failingSample = gauge("conclave_certificate_failing", "1 while the files hold a certificate that can't be used, and the one from before stays.", "port")
)

// collect tells how long the certificates last.
func (c *certificates) collect(ch chan<- prometheus.Metric) {
	for _, one := range c.present() {
		expirySample.emit(ch, float64(one.Current().NotAfter().UnixMilli())/float64(time.Second.Milliseconds()), one.port)
		failingSample.emit(ch, boolean(one.Failing()), one.port)
	}
}
