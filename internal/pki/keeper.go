package pki

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"maps"
	"net"
	"slices"
	"strings"
	"time"
)

// ErrAuthorityLost: there are certificates, and the authority that issued them can't
// be read. Another one would part those who have its certificates from those who
// don't, so that is for people to decide.
var ErrAuthorityLost = errors.New("the authority of the certificates is lost")

// Policy says how long authorities and certificates last. Those who keep the
// certificates of a cluster ask it what to do next.
//
// A certificate is renewed when two thirds of its life are over. So is an authority,
// in steps that are Settle apart, within which all who trust it have to read the
// files again: the new one is trusted, then it issues the certificates, then the old
// one is trusted no more. How far that is follows from the certificates themselves.
type Policy struct {
	// AuthorityLife and LeafLife are the lives. LeafLife and twice Settle together
	// are at most a third of AuthorityLife, so that an authority outlives what it
	// issued; and a third of LeafLife is at least twice Settle, for the renewal and
	// for all to read it.
	AuthorityLife, LeafLife time.Duration
	Settle                  time.Duration
	// Skew is by how much lives begin earlier, since not all clocks agree. It is less
	// than a third of LeafLife.
	Skew time.Duration
}

// DefaultPolicy renews certificates every two months and the authority after six
// years and eight months.
var DefaultPolicy = Policy{
	AuthorityLife: 10 * 365 * 24 * time.Hour,
	LeafLife:      90 * 24 * time.Hour,
	Settle:        24 * time.Hour,
	Skew:          time.Hour,
}

// Validate reports what contradicts itself.
func (p Policy) Validate() error {
	if p.AuthorityLife <= 0 || p.LeafLife <= 0 || p.Settle <= 0 || p.Skew < 0 {
		return errors.New("certificate policy: lives and the time to settle must be positive")
	}
	if 3*(p.LeafLife+2*p.Settle) > p.AuthorityLife || 6*p.Settle > p.LeafLife || 3*p.Skew >= p.LeafLife {
		return fmt.Errorf("certificate policy: %v of an authority leave no room for certificates of %v, or these none for steps of %v or a skew of %v",
			p.AuthorityLife, p.LeafLife, p.Settle, p.Skew)
	}
	return nil
}

// Kept is what is kept for a cluster: the zero value before anything is.
type Kept struct {
	// Authorities are those that are trusted, oldest first, with their keys.
	Authorities []Pair
	// Leaves are the certificates, by the names of their holders.
	Leaves map[string]Pair
}

// Bundle is the text of FileAuthorities: all that are trusted.
func (k Kept) Bundle() []byte {
	var all []byte
	for _, a := range k.Authorities {
		all = append(all, a.Certificate...)
	}
	return all
}

// Next returns what should be kept now in place of what is: the same when nothing is
// due. wanted says which certificates there should be, by name; their lives are the
// policy's affair. A certificate that can't be read, or that says something else than
// is wanted, is issued anew. Next changes nothing that it was given.
//
// Whoever stores the outcome stores the authorities first: what one of them issued is
// of no use without it.
func (p Policy) Next(now time.Time, kept Kept, wanted map[string]Request) (Kept, error) {
	if err := p.Validate(); err != nil {
		return Kept{}, err
	}
	authorities, err := readAuthorities(kept)
	if err != nil {
		return Kept{}, err
	}
	alive := slices.DeleteFunc(authorities, func(a *Authority) bool { return now.After(a.NotAfter()) })
	if len(alive) == 0 || p.worn(now, alive[len(alive)-1].certificate) {
		made, err := NewAuthority("conclave", now.Add(-p.Skew), now.Add(p.AuthorityLife))
		if err != nil {
			return Kept{}, err
		}
		alive = append(alive, made)
	}
	signer := p.signer(now, alive)
	leaves := map[string]Pair{}
	since := now // when the last certificate of an older authority went
	for _, name := range slices.Sorted(maps.Keys(wanted)) {
		leaf := readLeaf(kept.Leaves[name])
		if leaf != nil && !p.worn(now, leaf) && leaf.CheckSignatureFrom(signer.certificate) == nil && says(leaf, wanted[name]) {
			leaves[name] = kept.Leaves[name]
			since = latest(since, p.begun(leaf), len(leaves) == 1)
			continue
		}
		r := wanted[name]
		r.NotBefore, r.NotAfter = now.Add(-p.Skew), now.Add(p.LeafLife)
		if leaves[name], err = signer.Issue(r); err != nil {
			return Kept{}, fmt.Errorf("certificate of %s: %w", name, err)
		}
		since = now
	}
	if now.Sub(since) >= p.Settle {
		alive = slices.DeleteFunc(alive, func(a *Authority) bool { return a.certificate.NotBefore.Before(signer.certificate.NotBefore) })
	}
	next := Kept{Leaves: leaves}
	for _, a := range alive {
		next.Authorities = append(next.Authorities, a.Pair)
	}
	return next, nil
}

// latest returns the later of two times, the second one if it is the first of all.
func latest(before, one time.Time, first bool) time.Time {
	if first || one.After(before) {
		return one
	}
	return before
}

// worn tells whether two thirds of a certificate's life are over.
func (p Policy) worn(now time.Time, c *x509.Certificate) bool {
	begun := p.begun(c)
	return now.After(begun.Add(c.NotAfter.Sub(begun) / 3 * 2))
}

// begun is when a certificate was issued.
func (p Policy) begun(c *x509.Certificate) time.Time { return c.NotBefore.Add(p.Skew) }

// signer is the newest authority that all have come to trust; while none has been
// there for so long, the oldest.
func (p Policy) signer(now time.Time, alive []*Authority) *Authority {
	for _, a := range slices.Backward(alive) {
		if now.Sub(p.begun(a.certificate)) >= p.Settle {
			return a
		}
	}
	return alive[0]
}

// readAuthorities reads those that are kept, oldest first.
func readAuthorities(kept Kept) ([]*Authority, error) {
	if len(kept.Authorities) == 0 && len(kept.Leaves) > 0 {
		return nil, ErrAuthorityLost
	}
	var found []*Authority
	for _, pair := range kept.Authorities {
		a, err := ReadAuthority(pair)
		if err != nil {
			return nil, fmt.Errorf("%w: %w", ErrAuthorityLost, err)
		}
		found = append(found, a)
	}
	slices.SortStableFunc(found, func(a, b *Authority) int { return a.certificate.NotBefore.Compare(b.certificate.NotBefore) })
	return found, nil
}

// readLeaf returns the certificate of a pair, nil if the pair is of no use.
func readLeaf(pair Pair) *x509.Certificate {
	both, err := tls.X509KeyPair(pair.Certificate, pair.Key)
	if err != nil {
		return nil
	}
	return both.Leaf
}

// says tells whether a certificate is made out to all that is wanted, and to nobody
// else.
func says(leaf *x509.Certificate, r Request) bool {
	byText := func(a, b Identity) int { return strings.Compare(a.String(), b.String()) }
	return slices.Equal(slices.SortedFunc(slices.Values(Identities(leaf)), byText), slices.SortedFunc(slices.Values(r.Identities), byText)) &&
		slices.Equal(slices.Sorted(slices.Values(leaf.DNSNames)), slices.Sorted(slices.Values(r.DNSNames))) &&
		slices.EqualFunc(leaf.IPAddresses, r.IPs, net.IP.Equal)
}
