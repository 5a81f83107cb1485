package pki

import (
	"bytes"
	"crypto/x509"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func TestAnAuthorityThatCanNotBeReadIsNeverSkipped(t *testing.T) {
	good, bad := newAuthority(t).Pair.Certificate, newAuthority(t).Pair.Certificate
	garbled := bytes.Clone(bad)
	garbled[len(garbled)/2] = '!'
	for name, text := range map[string][]byte{
		"cut off behind another":   append(bytes.Clone(good), bad[:len(bad)/2]...),
		"without its last line":    append(bytes.Clone(good), bytes.TrimSuffix(bad, []byte("-----END CERTIFICATE-----\n"))...),
		"garbled before another":   append(bytes.Clone(garbled), good...),
		"cut off ahead of another": append(bytes.Clone(bad[:len(bad)/2]), append([]byte("\n"), good...)...),
	} {
		if _, err := ReadAuthorities(text); err == nil {
			t.Errorf("%s: it was skipped", name)
		}
	}
	commented := append([]byte("# the old one\n"), append(bytes.Clone(good), append([]byte("\n# the new one\n"), bad...)...)...)
	if _, err := ReadAuthorities(commented); err != nil {
		t.Errorf("with comments: %v", err)
	}
}

// TestACertificateForTheWrongUseLeavesTheOldOneInUse renews a certificate by one that
// its authority issued for servers alone, as many do.
func TestACertificateForTheWrongUseLeavesTheOldOneInUse(t *testing.T) {
	a, dir := newAuthority(t), t.TempDir()
	put(t, dir, a.issue(t, nodeOf("c1", "a")), a)
	clock := newClock()
	both := []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth}
	s, err := Open(Options{Dir: dir, Authorities: true, Usages: both, Now: clock.now})
	if err != nil {
		t.Fatal(err)
	}
	before := s.Current()
	serving, err := issue(&x509.Certificate{
		URIs:      before.Certificate.Leaf.URIs,
		NotBefore: dawn, NotAfter: dawn.Add(50 * time.Hour),
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: both[:1],
	}, a.certificate, a.signer)
	if err != nil {
		t.Fatal(err)
	}
	put(t, dir, serving, a)
	if s.Reload(); s.Current() != before || !s.Failing() {
		t.Errorf("in use: another, %v; failing: %v", s.Current() != before, s.Failing())
	}
	_, err = Open(Options{Dir: dir, Authorities: true, Usages: both, Now: clock.now})
	if err == nil || !strings.Contains(err.Error(), "may not be used by a client") {
		t.Errorf("Open: %v, want an error that tells of clients", err)
	}
	if _, err := Open(Options{Dir: dir, Authorities: true, Usages: both[:1], Now: clock.now}); err != nil {
		t.Errorf("Open for a server: %v", err)
	}
	if err := os.Remove(filepath.Join(dir, FileAuthorities)); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(Options{Dir: dir, Usages: both[1:], Now: clock.now}); err == nil {
		t.Error("without authorities, it was opened for a client")
	}
}
