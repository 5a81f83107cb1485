package pki

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
)

// protocol is what is spoken within TLS on the HTTP ports (RFC 7301). HTTP/2 isn't
// offered: it lets one connection ask for much at once, and limits are on connections.
const protocol = "http/1.1"

// ServerConfig returns the configuration of an HTTP server that shows the store's
// certificate. With tls.VerifyClientCertIfGiven, clients that show one are held to
// the store's authorities; without authorities none is asked for.
func (s *Store) ServerConfig(clients tls.ClientAuthType) *tls.Config {
	return s.follow(&tls.Config{MinVersion: tls.VersionTLS12, ClientAuth: clients, NextProtos: []string{protocol}})
}

// PeerServerConfig returns the configuration of a server that only speaks to nodes of
// the cluster: the store's authorities know them, and they are made out to it.
func (s *Store) PeerServerConfig(cluster string) *tls.Config {
	return s.follow(&tls.Config{
		MinVersion: tls.VersionTLS13, ClientAuth: tls.RequireAndVerifyClientCert,
		VerifyConnection: func(state tls.ConnectionState) error {
			if _, ok := Holder(state.PeerCertificates[0], cluster, RoleNode); !ok {
				return fmt.Errorf("certificate %s is not of a node of cluster %s", describe(state.PeerCertificates[0]), cluster)
			}
			return nil
		},
	})
}

// follow completes a server's configuration, so that each handshake uses what is
// current then. No session is resumed, since that would skip the look at a
// certificate that has expired or whose authority is trusted no more.
func (s *Store) follow(base *tls.Config) *tls.Config {
	base.Time, base.SessionTicketsDisabled = s.options.Now, true
	outer := base.Clone()
	outer.GetConfigForClient = func(*tls.ClientHelloInfo) (*tls.Config, error) {
		m, config := s.Current(), base.Clone()
		config.Certificates, config.ClientCAs = []tls.Certificate{m.Certificate}, m.Authorities
		if m.Authorities == nil { // which would mean those of the system
			config.ClientCAs = x509.NewCertPool()
			if config.ClientAuth == tls.VerifyClientCertIfGiven {
				config.ClientAuth = tls.NoClientCert
			}
		}
		return config, nil
	}
	return outer
}

// PeerClientConfig returns the configuration of one who dials such a server, and
// shows the store's certificate too. It holds the server to the store's authorities
// but to no host name: who the server is has to be asked of its certificate
// afterwards, with Names.
func (s *Store) PeerClientConfig() *tls.Config {
	return &tls.Config{
		MinVersion: tls.VersionTLS13,
		GetClientCertificate: func(*tls.CertificateRequestInfo) (*tls.Certificate, error) {
			return &s.Current().Certificate, nil
		},
		Time:               s.options.Now,
		InsecureSkipVerify: true, // VerifyConnection does it, with the authorities of the moment.
		VerifyConnection:   s.verifyServer,
	}
}

// verifyServer holds a server's certificate to the store's authorities.
func (s *Store) verifyServer(state tls.ConnectionState) error {
	if len(state.PeerCertificates) == 0 {
		return errors.New("the peer shows no certificate")
	}
	intermediates := x509.NewCertPool()
	for _, certificate := range state.PeerCertificates[1:] {
		intermediates.AddCert(certificate)
	}
	leaf := state.PeerCertificates[0]
	_, err := leaf.Verify(x509.VerifyOptions{
		Roots: s.Current().Authorities, Intermediates: intermediates, CurrentTime: s.options.Now(),
		KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	})
	if err != nil {
		return fmt.Errorf("certificate %s: %w", describe(leaf), err)
	}
	return nil
}
