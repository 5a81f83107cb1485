package main

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"time"

	"github.com/conclave-dev/conclave/internal/pki"
)

const (
	// devPerson is who may administer the cluster of node dev.
	devPerson = "admin"
	// devAuthority is the directory of the authority, beside those of its
	// certificates.
	devAuthority = "authority"
	// devAuthorityLife and devLife are how long the authority and the certificates
	// of one start last.
	devAuthorityLife = 10 * 365 * 24 * time.Hour
	devLife          = 365 * 24 * time.Hour
	// devSkew is how long ago their lives began: not all clocks agree.
	devSkew = time.Hour
)

// certificates is the directory of a holder's certificate.
func (s *devSettings) certificates(holder string) string { return filepath.Join(s.dir, "tls", holder) }

// prepareTLS makes the client that looks at the nodes and, with --tls, certificates
// for the nodes and for a person. The authority stays from one start to the next.
func (s *devSettings) prepareTLS(now time.Time) error {
	s.client = http.DefaultClient
	if !s.tls {
		return nil
	}
	authority, err := s.authority(now)
	if err != nil {
		return fmt.Errorf("tls: %w", err)
	}
	cluster := ""
	for i, name := range devNames {
		cluster = s.options(i).ClusterInEffect()
		if err := s.issue(authority, name, now, pki.Identity{Cluster: cluster, Role: pki.RoleNode, Name: name}); err != nil {
			return fmt.Errorf("tls: %w", err)
		}
	}
	if err := s.issue(authority, devPerson, now, pki.Identity{Cluster: cluster, Role: pki.RoleAdmin, Name: devPerson}); err != nil {
		return fmt.Errorf("tls: %w", err)
	}
	trusted := x509.NewCertPool()
	trusted.AppendCertsFromPEM(authority.Pair.Certificate)
	s.client = &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: trusted}}}
	return nil
}

// authority reads the authority of the directory, or makes it.
func (s *devSettings) authority(now time.Time) (*pki.Authority, error) {
	dir := s.certificates(devAuthority)
	certificate, err := os.ReadFile(filepath.Join(dir, pki.FileCertificate))
	if errors.Is(err, fs.ErrNotExist) {
		made, err := pki.NewAuthority("node dev", now.Add(-devSkew), now.Add(devAuthorityLife))
		if err != nil {
			return nil, err
		}
		return made, writePair(dir, made.Pair, nil)
	}
	if err != nil {
		return nil, err
	}
	key, err := os.ReadFile(filepath.Join(dir, pki.FileKey))
	if err != nil {
		return nil, err
	}
	return pki.ReadAuthority(pki.Pair{Certificate: certificate, Key: key})
}

// issue writes a certificate for a holder on this machine.
func (s *devSettings) issue(authority *pki.Authority, holder string, now time.Time, who pki.Identity) error {
	pair, err := authority.Issue(pki.Request{
		Identities: []pki.Identity{who},
		DNSNames:   []string{"localhost"}, IPs: []net.IP{net.IPv4(127, 0, 0, 1), net.IPv6loopback},
		NotBefore: now.Add(-devSkew), NotAfter: now.Add(devLife),
	})
	if err != nil {
		return err
	}
	return writePair(s.certificates(holder), pair, authority.Pair.Certificate)
}

// writePair writes a directory of certificates. The certificate comes last, since by
// it the authority is known to be complete.
func writePair(dir string, pair pki.Pair, authorities []byte) error {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	if authorities != nil {
		if err := os.WriteFile(filepath.Join(dir, pki.FileAuthorities), authorities, 0o600); err != nil {
			return err
		}
	}
	if err := os.WriteFile(filepath.Join(dir, pki.FileKey), pair.Key, 0o600); err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(dir, pki.FileCertificate), pair.Certificate, 0o600)
}
