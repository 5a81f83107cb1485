package pki

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// dawn is when the certificates here begin; clocks stand an hour later.
var dawn = time.Date(2030, 1, 1, 0, 0, 0, 0, time.UTC)

// clock is a time that a test sets.
type clock struct{ nanos atomic.Int64 }

func newClock() *clock {
	c := new(clock)
	c.set(dawn.Add(time.Hour))
	return c
}

func (c *clock) set(t time.Time) { c.nanos.Store(t.UnixNano()) }
func (c *clock) now() time.Time  { return time.Unix(0, c.nanos.Load()).UTC() }

// ca is an authority of a test.
type ca struct{ *Authority }

func newAuthority(t *testing.T) ca {
	t.Helper()
	a, err := NewAuthority("test", dawn, dawn.Add(1000*time.Hour))
	if err != nil {
		t.Fatal(err)
	}
	return ca{a}
}

// issue makes a certificate of a hundred hours unless r says otherwise.
func (a ca) issue(t *testing.T, r Request) Pair {
	t.Helper()
	if r.NotAfter.IsZero() {
		r.NotAfter = dawn.Add(100 * time.Hour)
	}
	if r.NotBefore.IsZero() {
		r.NotBefore = dawn
	}
	pair, err := a.Issue(r)
	if err != nil {
		t.Fatal(err)
	}
	return pair
}

func (a ca) pair(t *testing.T, r Request) tls.Certificate {
	t.Helper()
	pair := a.issue(t, r)
	both, err := tls.X509KeyPair(pair.Certificate, pair.Key)
	if err != nil {
		t.Fatal(err)
	}
	return both
}

// nodeOf asks for the certificate of a node.
func nodeOf(cluster, name string) Request {
	return Request{Identities: []Identity{{cluster, RoleNode, name}}}
}

// put writes what a directory holds; authorities may be several.
func put(t *testing.T, dir string, pair Pair, authorities ...ca) {
	t.Helper()
	var bundle []byte
	for _, a := range authorities {
		bundle = append(bundle, a.Pair.Certificate...)
	}
	for name, content := range map[string][]byte{FileCertificate: pair.Certificate, FileKey: pair.Key, FileAuthorities: bundle} {
		if err := os.WriteFile(filepath.Join(dir, name), content, 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

// opened is a store with its clock and its log.
type opened struct {
	*Store
	dir   string
	clock *clock
	log   bytes.Buffer
}

// open opens a store on a directory that put has filled.
func open(t *testing.T, dir string, id *Identity) *opened {
	t.Helper()
	o := &opened{dir: dir, clock: newClock()}
	options := Options{Dir: dir, Authorities: true, Now: o.clock.now, Logger: slog.New(slog.NewTextHandler(&o.log, nil))}
	if id != nil {
		options.Check = CheckNames(*id)
	}
	var err error
	if o.Store, err = Open(options); err != nil {
		t.Fatal(err)
	}
	return o
}

func TestBrokenFilesLeaveTheOldCertificateInUse(t *testing.T) {
	a, stranger := newAuthority(t), newAuthority(t)
	self := Identity{"c1", RoleNode, "a"}
	first, second := a.issue(t, nodeOf("c1", "a")), a.issue(t, nodeOf("c1", "a"))
	for name, test := range map[string]struct {
		pair Pair
		says string
	}{
		"key of another certificate": {Pair{second.Certificate, first.Key}, "private key does not match"},
		"half a file":                {Pair{second.Certificate[:len(second.Certificate)/2], second.Key}, "tls.crt"},
		"nothing":                    {Pair{}, "tls.crt"},
		"another authority":          {stranger.issue(t, nodeOf("c1", "a")), "unknown authority"},
		"another node":               {a.issue(t, nodeOf("c1", "b")), "made out to conclave://c1/node/b, and has to be to conclave://c1/node/a"},
		"another cluster":            {a.issue(t, nodeOf("c2", "a")), "conclave://c2/node/a"},
		"nobody":                     {a.issue(t, Request{DNSNames: []string{"a"}}), "CN=a"},
		"expired": {a.issue(t, Request{Identities: []Identity{self}, NotAfter: dawn.Add(time.Minute)}),
			"valid from 2030-01-01T00:00:00Z to 2030-01-01T00:01:00Z"},
		"too large": {Pair{bytes.Repeat([]byte("x"), fileBytesMax+1), second.Key}, "longer than"},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			put(t, dir, first, a)
			s := open(t, dir, &self)
			before := s.Current()
			put(t, dir, test.pair, a)
			s.Reload()
			s.Reload()
			if s.Current() != before || !s.Failing() {
				t.Errorf("in use: another, %v; failing: %v", s.Current() != before, s.Failing())
			}
			if n := strings.Count(s.log.String(), "level=ERROR"); n != 1 || !strings.Contains(s.log.String(), test.says) {
				t.Errorf("logged %d errors, want one that says %q:\n%s", n, test.says, &s.log)
			}
			if strings.Contains(s.log.String(), "PRIVATE KEY") {
				t.Error("the log holds a key")
			}
			put(t, dir, second, a)
			s.Reload()
			if s.Current() == before || s.Failing() {
				t.Errorf("after it was mended: the old one in use, %v; failing: %v\n%s", s.Current() == before, s.Failing(), &s.log)
			}
		})
	}
}

func TestNoStoreOpensOnWhatCannotBeUsed(t *testing.T) {
	a := newAuthority(t)
	good := a.issue(t, nodeOf("c1", "a"))
	for name, spoil := range map[string]func(dir string) error{
		"no certificate": func(dir string) error { return os.Remove(filepath.Join(dir, FileCertificate)) },
		"no authorities": func(dir string) error { return os.Remove(filepath.Join(dir, FileAuthorities)) },
		"authorities that are none": func(dir string) error {
			return os.WriteFile(filepath.Join(dir, FileAuthorities), []byte("none"), 0o600)
		},
		"a key among the authorities": func(dir string) error {
			return os.WriteFile(filepath.Join(dir, FileAuthorities), append(bytes.Clone(a.Pair.Certificate), good.Key...), 0o600)
		},
	} {
		dir := t.TempDir()
		put(t, dir, good, a)
		if err := spoil(dir); err != nil {
			t.Fatal(err)
		}
		_, err := Open(Options{Dir: dir, Authorities: true, Now: newClock().now})
		if err == nil || !strings.Contains(err.Error(), dir) {
			t.Errorf("%s: got %v, want an error that names the file", name, err)
		}
	}
}

func TestAnExpiredCertificateOpensAndIsReplaced(t *testing.T) {
	a := newAuthority(t)
	dir := t.TempDir()
	put(t, dir, a.issue(t, Request{NotAfter: dawn.Add(time.Minute)}), a)
	s := open(t, dir, nil)
	if !strings.Contains(s.log.String(), "has expired") {
		t.Errorf("the log doesn't tell: %s", &s.log)
	}
	put(t, dir, a.issue(t, Request{}), a)
	s.Reload()
	if end := s.Current().NotAfter(); !end.Equal(dawn.Add(100 * time.Hour)) {
		t.Errorf("the certificate in use ends at %v", end)
	}
}

func TestTheEndOfACertificateIsToldOnceBeforeAndOnceAfter(t *testing.T) {
	a := newAuthority(t)
	dir := t.TempDir()
	put(t, dir, a.issue(t, Request{}), a)
	s := open(t, dir, nil)
	for hours := range 200 {
		s.clock.set(dawn.Add(time.Duration(hours) * time.Hour))
		s.Reload()
		soon, over := strings.Count(s.log.String(), "expires soon"), strings.Count(s.log.String(), "has expired")
		if wantSoon, wantOver := min(hours/91, 1), min(hours/101, 1); soon != wantSoon || over != wantOver {
			t.Fatalf("after %d of 100 hours, told %d times that it ends soon and %d times that it has:\n%s", hours, soon, over, &s.log)
		}
	}
	put(t, dir, a.issue(t, Request{NotAfter: dawn.Add(900 * time.Hour)}), a)
	s.Reload()
	s.clock.set(dawn.Add(880 * time.Hour))
	s.Reload()
	if n := strings.Count(s.log.String(), "expires soon"); n != 2 {
		t.Errorf("the end of the next one was told %d times, want once", n-1)
	}
}

// TestADirectoryIsSwappedAsKubernetesDoes follows a link ..data that is replaced by
// another in one step.
func TestADirectoryIsSwappedAsKubernetesDoes(t *testing.T) {
	a := newAuthority(t)
	dir := t.TempDir()
	swap := func(version string, pair Pair) {
		t.Helper()
		if err := os.Mkdir(filepath.Join(dir, version), 0o700); err != nil {
			t.Fatal(err)
		}
		put(t, filepath.Join(dir, version), pair, a)
		next := filepath.Join(dir, "..next")
		if err := errors.Join(os.Symlink(version, next), os.Rename(next, filepath.Join(dir, "..data"))); err != nil {
			t.Fatal(err)
		}
	}
	swap("..1", a.issue(t, nodeOf("c1", "a")))
	for _, name := range []string{FileCertificate, FileKey, FileAuthorities} {
		if err := os.Symlink(filepath.Join("..data", name), filepath.Join(dir, name)); err != nil {
			t.Fatal(err)
		}
	}
	s := open(t, dir, nil)
	s.options.Interval = time.Millisecond
	before := s.Current()
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan struct{})
	go func() { s.Watch(ctx); close(ended) }()
	swap("..2", a.issue(t, nodeOf("c1", "a")))
	for deadline := time.Now().Add(20 * time.Second); s.Current() == before && time.Now().Before(deadline); {
		time.Sleep(time.Millisecond)
	}
	stop()
	<-ended
	if s.Current() == before {
		t.Errorf("the new certificate isn't in use:\n%s", &s.log)
	}
}

// greet connects two and sends one byte each way, and returns what either side says.
func greet(t *testing.T, server, client *tls.Config) (serverErr, clientErr error) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	done := make(chan error, 1)
	go func() {
		conn, err := l.Accept()
		if err == nil {
			defer conn.Close()
			_ = conn.SetDeadline(time.Now().Add(20 * time.Second))
			err = echo(tls.Server(conn, server))
		}
		done <- err
	}()
	conn, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(20 * time.Second))
	secured := tls.Client(conn, client)
	if _, clientErr = secured.Write([]byte{7}); clientErr == nil {
		_, clientErr = io.ReadFull(secured, make([]byte, 1))
	}
	_ = conn.Close()
	return <-done, clientErr
}

func echo(conn *tls.Conn) error {
	one := make([]byte, 1)
	if _, err := io.ReadFull(conn, one); err != nil {
		return err
	}
	_, err := conn.Write(one)
	return err
}

func TestPeersMeetOnlyPeersOfTheirCluster(t *testing.T) {
	a, stranger := newAuthority(t), newAuthority(t)
	store := func(pair Pair, authorities ...ca) *opened {
		dir := t.TempDir()
		put(t, dir, pair, authorities...)
		return open(t, dir, nil)
	}
	server := store(a.issue(t, nodeOf("c1", "a")), a)
	brief := func(r Request) Request { r.NotAfter = dawn.Add(2 * time.Hour); return r }
	late := store(a.issue(t, brief(nodeOf("c1", "b"))), a)
	for _, test := range []struct {
		name           string
		server, client *opened
		when           time.Duration
		server1        string // what the server says, empty for success
		client1        string
	}{
		{"a peer", server, store(a.issue(t, nodeOf("c1", "b")), a), time.Hour, "", ""},
		{"a peer of another cluster under the same authority", server, store(a.issue(t, nodeOf("c2", "b")), a), time.Hour,
			"conclave://c2/node/b is not of a node of cluster c1", "bad certificate"},
		{"the operator", server, store(a.issue(t, Request{Identities: []Identity{{Cluster: "c1", Role: RoleOperator}}}), a), time.Hour,
			"not of a node", "bad certificate"},
		{"a peer of another authority that trusts this one", server, store(stranger.issue(t, nodeOf("c1", "b")), stranger, a), time.Hour,
			"unknown authority", "unknown certificate authority"},
		{"a peer that doesn't trust this authority", server, store(stranger.issue(t, nodeOf("c1", "b")), stranger), time.Hour,
			"bad certificate", "unknown authority"},
		{"a peer just before its certificate ends", server, late, 2 * time.Hour, "", ""},
		{"a peer whose certificate has ended", server, late, 2*time.Hour + time.Second, "expired", "expired certificate"},
		{"a server whose certificate has ended", late, server, 2*time.Hour + time.Second, "bad certificate", "expired"},
	} {
		t.Run(test.name, func(t *testing.T) {
			for _, s := range []*opened{test.server, test.client} {
				s.clock.set(dawn.Add(test.when))
			}
			serverErr, clientErr := greet(t, test.server.PeerServerConfig("c1"), test.client.PeerClientConfig())
			for side, got := range map[string][2]string{"server": {fmt.Sprint(serverErr), test.server1}, "client": {fmt.Sprint(clientErr), test.client1}} {
				if got[1] == "" && got[0] != "<nil>" || !strings.Contains(got[0], got[1]) {
					t.Errorf("the %s says %q, want %q", side, got[0], got[1])
				}
			}
		})
	}
}

// TestAnAuthorityIsReplacedWithoutAnyPairBeingParted goes through the steps of a
// replacement, one node after the other, and has all pairs meet after each.
func TestAnAuthorityIsReplacedWithoutAnyPairBeingParted(t *testing.T) {
	before, after := newAuthority(t), newAuthority(t)
	var nodes []*opened
	for _, name := range []string{"a", "b", "c"} {
		dir := t.TempDir()
		put(t, dir, before.issue(t, nodeOf("c1", name)), before)
		nodes = append(nodes, open(t, dir, &Identity{"c1", RoleNode, name}))
	}
	for step, change := range []func(name string) (Pair, []ca){
		func(name string) (Pair, []ca) { return before.issue(t, nodeOf("c1", name)), []ca{before, after} },
		func(name string) (Pair, []ca) { return after.issue(t, nodeOf("c1", name)), []ca{before, after} },
		func(name string) (Pair, []ca) { return after.issue(t, nodeOf("c1", name)), []ca{after} },
	} {
		for i, n := range nodes {
			pair, authorities := change(string(rune('a' + i)))
			put(t, n.dir, pair, authorities...)
			n.Reload()
			if n.Failing() {
				t.Fatalf("step %d, node %d: %s", step, i, &n.log)
			}
			for from := range nodes {
				for to := range nodes {
					if server, client := greet(t, nodes[to].PeerServerConfig("c1"), nodes[from].PeerClientConfig()); server != nil || client != nil {
						t.Fatalf("step %d, after node %d changed: %d can't reach %d: %v, %v", step, i, from, to, client, server)
					}
				}
			}
		}
	}
	dir := t.TempDir()
	put(t, dir, before.issue(t, nodeOf("c1", "d")), before, after)
	if server, client := greet(t, nodes[0].PeerServerConfig("c1"), open(t, dir, nil).PeerClientConfig()); server == nil || client == nil {
		t.Error("a node with a certificate of the old authority still gets in")
	}
}
