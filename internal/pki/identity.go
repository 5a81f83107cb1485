package pki

import (
	"crypto/x509"
	"fmt"
	"net/url"
	"strings"
)

// scheme is that of the URIs that name who holds a certificate.
const scheme = "conclave"

// Role is what the holder of a certificate is to a cluster.
type Role string

const (
	// RoleNode is a node, named.
	RoleNode Role = "node"
	// RoleAdmin is a person, named.
	RoleAdmin Role = "admin"
	// RoleOperator is the operator that runs the cluster; it has no name.
	RoleOperator Role = "operator"
)

// Identity is who a certificate is made out to.
type Identity struct {
	// Cluster is the ID of the cluster.
	Cluster string
	Role    Role
	// Name is the node's or the person's.
	Name string
}

// URI returns the identity as it stands in certificates.
func (id Identity) URI() *url.URL {
	u := &url.URL{Scheme: scheme, Host: id.Cluster, Path: "/" + string(id.Role)}
	if id.Name != "" {
		u.Path += "/" + id.Name
	}
	return u
}

// String returns the URI.
func (id Identity) String() string { return id.URI().String() }

// Identities returns all that a certificate is made out to. URIs that are none
// of ours, or not formed as ours are, are left out.
func Identities(certificate *x509.Certificate) []Identity {
	var found []Identity
	for _, u := range certificate.URIs {
		if id, ok := parse(u); ok {
			found = append(found, id)
		}
	}
	return found
}

// parse reads a URI, and takes only the form in which it would be written. Clusters
// and names are made of characters that need no escape, so there is one form.
func parse(u *url.URL) (Identity, bool) {
	if u.Scheme != scheme || !isWord(u.Host) {
		return Identity{}, false
	}
	role, name, named := strings.Cut(strings.TrimPrefix(u.Path, "/"), "/")
	id := Identity{Cluster: u.Host, Role: Role(role), Name: name}
	switch id.Role {
	case RoleNode, RoleAdmin:
		if !named || !isWord(name) {
			return Identity{}, false
		}
	case RoleOperator:
		if named {
			return Identity{}, false
		}
	default:
		return Identity{}, false
	}
	return id, id.String() == u.String()
}

// isWord tells whether s may stand for a cluster or a name.
func isWord(s string) bool {
	const marks = "-._"
	for _, c := range s {
		if (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') && (c < '0' || c > '9') && !strings.ContainsRune(marks, c) {
			return false
		}
	}
	return s != ""
}

// Names returns an error unless the certificate is made out to id. The error
// tells whom it is made out to instead.
func Names(certificate *x509.Certificate, id Identity) error {
	for _, one := range Identities(certificate) {
		if one == id {
			return nil
		}
	}
	return fmt.Errorf("the certificate is made out to %s, and has to be to %s", describe(certificate), id)
}

// CheckNames returns a check for Options: that a certificate is made out to id.
func CheckNames(id Identity) func(*x509.Certificate) error {
	return func(certificate *x509.Certificate) error { return Names(certificate, id) }
}

// describe tells whom a certificate is made out to: its identities here, or what else
// it says of its subject.
func describe(certificate *x509.Certificate) string {
	var names []string
	for _, id := range Identities(certificate) {
		names = append(names, id.String())
	}
	if len(names) == 0 {
		return fmt.Sprintf("%q", certificate.Subject.String())
	}
	return strings.Join(names, " and ")
}

// Holder returns who holds a certificate in a cluster: the first of its identities
// there that has one of the roles.
func Holder(certificate *x509.Certificate, cluster string, roles ...Role) (Identity, bool) {
	for _, id := range Identities(certificate) {
		for _, role := range roles {
			if id.Cluster == cluster && id.Role == role {
				return id, true
			}
		}
	}
	return Identity{}, false
}
