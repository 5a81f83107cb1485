package pki

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"reflect"
	"slices"
	"testing"
	"time"
)

// brisk is a policy under which much happens in a month.
var brisk = Policy{AuthorityLife: 30 * 24 * time.Hour, LeafLife: 6 * 24 * time.Hour, Settle: 24 * time.Hour, Skew: time.Hour}

// wantedNodes asks for certificates of nodes a, b and c, and of the operator.
func wantedNodes() map[string]Request {
	wanted := map[string]Request{"operator": {Identities: []Identity{{Cluster: "c1", Role: RoleOperator}}}}
	for _, name := range []string{"a", "b", "c"} {
		r := nodeOf("c1", name)
		r.DNSNames = []string{name + ".example.org", "example.org"}
		wanted[name] = r
	}
	return wanted
}

// reader is somebody who has read what was kept at some time, and will read it again.
type reader struct {
	name     string
	material *Material
	// due is when it reads again.
	due time.Time
}

// TestAllWhoReadInTimeTrustEachOtherThroughEveryRenewal lets an authority and its
// certificates grow old many times over, among readers who are late by up to the time
// that the policy grants, and has each of them judge each other's certificate whenever
// one has read, and every six hours.
func TestAllWhoReadInTimeTrustEachOtherThroughEveryRenewal(t *testing.T) {
	seeds := uint64(4)
	if testing.Short() {
		seeds = 1
	}
	for seed := range seeds {
		random := rand.New(rand.NewPCG(seed, 1))
		var kept Kept
		var readers []*reader
		wanted := wantedNodes()
		for _, name := range slices.Sorted(maps.Keys(wanted)) {
			readers = append(readers, &reader{name: name, due: dawn})
		}
		authorities, leaves := map[string]bool{}, map[string]bool{}
		keeperDue, together := dawn, 0
		for hour := range 60 * 24 {
			now := dawn.Add(time.Duration(hour) * time.Hour)
			if !keeperDue.After(now) {
				var err error
				if kept, err = brisk.Next(now, kept, wanted); err != nil {
					t.Fatal(err)
				}
				keeperDue = now.Add(time.Duration(1+random.IntN(20)) * time.Hour)
			}
			if len(kept.Authorities) > 1 {
				together++
			}
			for _, a := range kept.Authorities {
				authorities[string(a.Certificate)] = true
			}
			leaves[string(kept.Leaves["a"].Certificate)] = true
			changed := false
			for _, r := range readers {
				if r.due.After(now) {
					continue
				}
				changed = true
				own := kept.Leaves[r.name]
				material, err := parseMaterial("kept", [3][]byte{own.Certificate, own.Key, kept.Bundle()}, now)
				if err != nil {
					t.Fatalf("seed %d, hour %d: %s can't read what is kept: %v", seed, hour, r.name, err)
				}
				r.material = material
				r.due = now.Add(time.Duration(1+random.IntN(22)) * time.Hour)
			}
			if !changed && hour%6 != 0 {
				continue
			}
			for _, from := range readers {
				for _, to := range readers {
					if err := judge(from, to, now); err != nil {
						t.Fatalf("seed %d, hour %d: %s refuses %s: %v", seed, hour, from.name, to.name, err)
					}
				}
			}
		}
		if len(authorities) < 3 || len(leaves) < 12 || together > 5*24*(len(authorities)-1) {
			t.Errorf("seed %d: %d authorities and %d certificates in 60 days, and more than one authority was trusted for %d hours",
				seed, len(authorities), len(leaves), together)
		}
	}
}

// judge has one reader look at the certificate that another one shows.
func judge(from, to *reader, now time.Time) error {
	s := &Store{options: Options{Now: func() time.Time { return now }}}
	s.current.Store(from.material)
	return s.verifyServer(tls.ConnectionState{PeerCertificates: []*x509.Certificate{to.material.Certificate.Leaf}})
}

func TestNothingIsIssuedBeforeItIsDue(t *testing.T) {
	kept, err := DefaultPolicy.Next(dawn, Kept{}, wantedNodes())
	if err != nil {
		t.Fatal(err)
	}
	if len(kept.Authorities) != 1 || len(kept.Leaves) != 4 {
		t.Fatalf("%d authorities and %d certificates are kept", len(kept.Authorities), len(kept.Leaves))
	}
	for day := range 60 {
		next, err := DefaultPolicy.Next(dawn.Add(time.Duration(day)*24*time.Hour), kept, wantedNodes())
		if err != nil {
			t.Fatal(err)
		}
		if !reflect.DeepEqual(next, kept) {
			t.Fatalf("something is issued on day %d", day)
		}
	}
	next, err := DefaultPolicy.Next(dawn.Add(60*24*time.Hour+time.Minute), kept, wantedNodes())
	if err != nil {
		t.Fatal(err)
	}
	for name := range kept.Leaves {
		if bytes.Equal(next.Leaves[name].Certificate, kept.Leaves[name].Certificate) {
			t.Errorf("the certificate of %s isn't renewed after two thirds of its life", name)
		}
	}
	if !reflect.DeepEqual(next.Authorities, kept.Authorities) {
		t.Error("the authority is another one")
	}
}

func TestWhatSaysSomethingElseOrIsBrokenIsIssuedAnewAndAlone(t *testing.T) {
	kept, err := DefaultPolicy.Next(dawn, Kept{}, wantedNodes())
	if err != nil {
		t.Fatal(err)
	}
	stranger := newAuthority(t)
	for name, change := range map[string]func(Kept, map[string]Request){
		"another DNS name": func(_ Kept, w map[string]Request) { r := w["a"]; r.DNSNames = []string{"other"}; w["a"] = r },
		"another identity": func(_ Kept, w map[string]Request) { w["a"] = nodeOf("c2", "a") },
		"half a certificate": func(k Kept, _ map[string]Request) {
			k.Leaves["a"] = Pair{k.Leaves["a"].Certificate[:100], k.Leaves["a"].Key}
		},
		"another's key":        func(k Kept, _ map[string]Request) { k.Leaves["a"] = Pair{k.Leaves["a"].Certificate, k.Leaves["b"].Key} },
		"gone":                 func(k Kept, _ map[string]Request) { delete(k.Leaves, "a") },
		"of another authority": func(k Kept, w map[string]Request) { k.Leaves["a"] = stranger.issue(t, w["a"]) },
	} {
		damaged, wanted := Kept{Authorities: kept.Authorities, Leaves: maps.Clone(kept.Leaves)}, wantedNodes()
		change(damaged, wanted)
		next, err := DefaultPolicy.Next(dawn.Add(time.Hour), damaged, wanted)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		leaf := readLeaf(next.Leaves["a"])
		if leaf == nil || !says(leaf, wanted["a"]) || bytes.Equal(next.Leaves["a"].Certificate, damaged.Leaves["a"].Certificate) {
			t.Errorf("%s: the certificate is not issued anew", name)
		}
		if !reflect.DeepEqual(next.Leaves["b"], kept.Leaves["b"]) || !reflect.DeepEqual(next.Authorities, kept.Authorities) {
			t.Errorf("%s: something else is issued anew", name)
		}
	}
	delete(kept.Leaves, "c")
	fewer := wantedNodes()
	delete(fewer, "c")
	if next, err := DefaultPolicy.Next(dawn.Add(time.Hour), kept, fewer); err != nil || len(next.Leaves) != 3 {
		t.Errorf("without c: %d certificates, %v", len(next.Leaves), err)
	}
}

func TestALostAuthorityIsNotReplacedInSilence(t *testing.T) {
	kept, err := DefaultPolicy.Next(dawn, Kept{}, wantedNodes())
	if err != nil {
		t.Fatal(err)
	}
	for name, authorities := range map[string][]Pair{
		"gone": nil, "without its key": {{Certificate: kept.Authorities[0].Certificate}}, "broken": {{}},
		"a certificate that may not sign": {kept.Leaves["a"]},
	} {
		if _, err := DefaultPolicy.Next(dawn, Kept{Authorities: authorities, Leaves: kept.Leaves}, wantedNodes()); !errors.Is(err, ErrAuthorityLost) {
			t.Errorf("%s: got %v, want ErrAuthorityLost", name, err)
		}
	}
}

func TestAKeeperThatWasAwayForTooLongBeginsAnew(t *testing.T) {
	kept, err := DefaultPolicy.Next(dawn, Kept{}, wantedNodes())
	if err != nil {
		t.Fatal(err)
	}
	now := dawn.Add(11 * 365 * 24 * time.Hour)
	next, err := DefaultPolicy.Next(now, kept, wantedNodes())
	if err != nil {
		t.Fatal(err)
	}
	if len(next.Authorities) != 1 || bytes.Equal(next.Authorities[0].Certificate, kept.Authorities[0].Certificate) {
		t.Fatal("an authority that has expired is still trusted")
	}
	for name, pair := range next.Leaves {
		if _, err := parseMaterial(name, [3][]byte{pair.Certificate, pair.Key, next.Bundle()}, now); err != nil {
			t.Error(err)
		}
	}
}

func TestAPolicyThatContradictsItselfIsRefused(t *testing.T) {
	for i, change := range []func(*Policy){
		func(p *Policy) { p.AuthorityLife = 0 },
		func(p *Policy) { p.LeafLife = -1 },
		func(p *Policy) { p.Settle = 0 },
		func(p *Policy) { p.Skew = -1 },
		func(p *Policy) { p.LeafLife = p.AuthorityLife / 3 },
		func(p *Policy) { p.Skew = p.LeafLife / 3 },
		func(p *Policy) { p.LeafLife = 5 * p.Settle },
	} {
		p := DefaultPolicy
		change(&p)
		if _, err := p.Next(dawn, Kept{}, nil); err == nil {
			t.Error(fmt.Sprint("policy ", i, " is taken"))
		}
	}
	for _, p := range []Policy{DefaultPolicy, brisk} {
		if err := p.Validate(); err != nil {
			t.Error(err)
		}
	}
}
