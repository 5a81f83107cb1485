package pki

import (
	"crypto/x509"
	"net/url"
	"testing"
	"time"
)

func TestOnlyTheExactFormOfAnIdentityIsTaken(t *testing.T) {
	for text, want := range map[string]Identity{
		"conclave://c1/node/a":        {"c1", RoleNode, "a"},
		"conclave://c1/admin/ann":     {"c1", RoleAdmin, "ann"},
		"conclave://c1/operator":      {Cluster: "c1", Role: RoleOperator},
		"conclave://c1/operator/":     {},
		"conclave://c1/operator/x":    {},
		"conclave://c1/node":          {},
		"conclave://c1/node/":         {},
		"conclave://c1/node/a/b":      {},
		"conclave://c1/node/a?x":      {},
		"conclave://c1/node/a#x":      {},
		"conclave://c1/node/%61":      {},
		"conclave://u@c1/node/a":      {},
		"conclave:///node/a":          {},
		"conclave://c1/root/a":        {},
		"conclave:c1/node/a":          {},
		"spiffe://c1/node/a":          {},
		"https://c1/node/a":           {},
		"conclave://c1//node/a":       {},
		"conclave://c1/node/a/../b":   {},
		"conclave://c1/operator#x":    {},
		"conclave://c1:1/operator?":   {},
		"conclave://c1/operator%2Fno": {},
	} {
		u, err := url.Parse(text)
		if err != nil {
			t.Fatal(err)
		}
		found := Identities(&x509.Certificate{URIs: []*url.URL{u}})
		switch {
		case want == Identity{} && len(found) > 0:
			t.Errorf("%s is taken for %+v", text, found[0])
		case want != Identity{} && (len(found) != 1 || found[0] != want):
			t.Errorf("%s is taken for %+v, want %+v", text, found, want)
		}
	}
}

func TestACertificateNamesEachIdentityItWasIssuedFor(t *testing.T) {
	a := newAuthority(t)
	two := []Identity{{"c1", RoleNode, "a"}, {"c2", RoleNode, "a"}}
	leaf := a.pair(t, Request{Identities: two}).Leaf
	for _, id := range two {
		if err := Names(leaf, id); err != nil {
			t.Error(err)
		}
	}
	for _, id := range []Identity{{"c3", RoleNode, "a"}, {"c1", RoleNode, "b"}, {"c1", RoleAdmin, "a"}, {Cluster: "c1", Role: RoleOperator}} {
		if err := Names(leaf, id); err == nil {
			t.Errorf("the certificate of %v holds for %v", two, id)
		}
	}
	if id, ok := Holder(leaf, "c2", RoleAdmin, RoleNode); !ok || id != two[1] {
		t.Errorf("its holder in c2 is %v, %v", id, ok)
	}
	if id, ok := Holder(leaf, "c2", RoleAdmin, RoleOperator); ok {
		t.Errorf("a node is taken for %v", id)
	}
}

func TestNobodyIsIssuedANameThatWouldNotBeRead(t *testing.T) {
	a := newAuthority(t)
	for _, id := range []Identity{
		{}, {"c1", RoleNode, ""}, {"", RoleNode, "a"}, {"c1", "root", "a"}, {"c1", RoleOperator, "x"}, {"c1", RoleNode, "a/b"}, {"c 1", RoleNode, "a"},
	} {
		if _, err := a.Issue(Request{Identities: []Identity{id}, NotAfter: time.Now().Add(time.Hour)}); err == nil {
			t.Errorf("a certificate was issued for %+v", id)
		}
	}
}

func TestACertificateEndsWithItsAuthority(t *testing.T) {
	a := newAuthority(t)
	leaf := a.pair(t, Request{NotAfter: a.NotAfter().Add(time.Hour)}).Leaf
	if !leaf.NotAfter.Equal(a.NotAfter()) {
		t.Errorf("it ends at %v, its authority at %v", leaf.NotAfter, a.NotAfter())
	}
	if _, err := ReadAuthority(Pair{Certificate: a.Pair.Certificate}); err == nil {
		t.Error("an authority without a key was read")
	}
	pair, err := a.Issue(Request{NotAfter: a.NotAfter()})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := ReadAuthority(pair); err == nil {
		t.Error("a certificate that may sign nothing was read as an authority")
	}
}
