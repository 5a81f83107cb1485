package node

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"regexp"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/conclave-dev/conclave/internal/admin"
	"github.com/conclave-dev/conclave/internal/pki"
)

// answer sends a request and returns status and body, or the error in place of it.
func answer(t *testing.T, client *http.Client, method, url, body string) (int, string) {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), method, url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	response, err := client.Do(request)
	if err != nil {
		return 0, err.Error()
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		return 0, err.Error()
	}
	return response.StatusCode, string(text)
}

// awaitExpiry waits until node i uses, on both ports, a certificate that ends at a
// time.
func (k *keyring) awaitExpiry(i int, end time.Time) {
	k.t.Helper()
	for _, port := range []string{"peer", "client"} {
		k.await(i, 2, "/metrics", http.StatusOK, fmt.Sprintf("conclave_certificate_expiry_seconds{port=%q} %v\n", port, float64(end.Unix())))
		k.await(i, 2, "/metrics", http.StatusOK, fmt.Sprintf("conclave_certificate_failing{port=%q} 0\n", port))
	}
}

// TestCertificatesAndAuthorityAreRenewedUnderWritesOfWhichNoneFails renews leaf
// certificates, then replaces the authority, on one node after the other, while
// clients write over TLS. Nothing is restarted. At the end the old authority opens
// no door, and a node that starts anew is let in with what it has now.
func TestCertificatesAndAuthorityAreRenewedUnderWritesOfWhichNoneFails(t *testing.T) {
	c := newTrio(t)
	k := newKeyring(c)
	old, next := k.authority, newAuthority(t)
	withCertificates := c.alter
	c.alter = func(i int, o *Options) {
		withCertificates(i, o)
		o.HTTP, o.HTTPS = Off, c.at(i, 0)
	}
	c.formed()
	client := k.caller(nil, old, next)
	ctx, stop := context.WithCancel(t.Context())
	written, wrote := atomic.Int64{}, make(chan string, 1)
	go func() {
		defer close(wrote)
		for i := 0; ctx.Err() == nil; i++ {
			url := fmt.Sprintf("https://%s/v1/kv/test/key-%d", c.at(i%3, 0), i%10)
			if code, body := answer(t, client, http.MethodPut, url, fmt.Sprint(i)); code/100 != 2 {
				wrote <- fmt.Sprintf("write %d: %d %s", i, code, body)
				return
			}
			written.Add(1)
		}
	}()
	for step, issuers := range [][]*pki.Authority{{old}, {old, next}, {next, old}, {next}} {
		end := time.Now().Add(time.Duration(step+2) * time.Hour).Truncate(time.Second)
		for i := range 3 {
			r := k.node(i)
			r.NotAfter = end
			k.put(k.keyDir(i), r, issuers...)
			if !testing.Short() { // otherwise all at about the same time
				k.awaitExpiry(i, end)
			}
		}
		for i := range 3 {
			k.awaitExpiry(i, end)
		}
		for before := written.Load(); written.Load() < before+20 && len(wrote) == 0; {
			time.Sleep(5 * time.Millisecond)
		}
	}
	stop()
	if failure, failed := <-wrote; failed {
		t.Fatal(failure)
	}
	if written.Load() < 80 {
		t.Errorf("only %d writes were made", written.Load())
	}
	if code, body := answer(t, k.caller(nil, old), http.MethodGet, "https://"+c.at(0, 0)+"/v1/cluster", ""); !strings.Contains(body, "unknown authority") {
		t.Errorf("a client that trusts the old authority alone got %d %s", code, body)
	}
	c.stop(2)
	c.start(2)
	c.await(2, 2, "/readyz", http.StatusOK, "")
	for i := range 3 {
		c.stop(i)
	}
}

func TestANodeWithTheCertificateOfAnotherDoesNotStart(t *testing.T) {
	for name, test := range map[string]struct {
		change func(*pki.Identity)
		says   string
	}{
		"another node":    {func(id *pki.Identity) { id.Name = "n1" }, "/node/n1, and has to be to conclave://"},
		"another cluster": {func(id *pki.Identity) { id.Cluster = "elsewhere" }, "made out to conclave://elsewhere/node/n0"},
	} {
		t.Run(name, func(t *testing.T) {
			c := newTrio(t)
			k := newKeyring(c)
			r := k.node(0)
			test.change(&r.Identities[0])
			k.put(k.keyDir(0), r, k.authority)
			err := Run(t.Context(), c.options(0), nil)
			if err == nil || !strings.Contains(err.Error(), "peer-tls: ") || !strings.Contains(err.Error(), test.says) {
				t.Errorf("got %v, want an error with %q", err, test.says)
			}
		})
	}
}

func TestANodeWhoseCertificateExpiredIsLetInOnceItIsRenewed(t *testing.T) {
	c := newTrio(t)
	k := newKeyring(c)
	r := k.node(2)
	r.NotAfter = time.Now().Add(-time.Second)
	k.put(k.keyDir(2), r, k.authority)
	for i := range 3 {
		c.start(i)
	}
	c.await(0, 2, "/readyz", http.StatusServiceUnavailable, "2 of 3 nodes have met (n0, n1)")
	c.await(1, 2, "/metrics", http.StatusOK, "conclave_ready 0")
	k.put(k.keyDir(2), k.node(2), k.authority)
	for i := range 3 {
		c.await(i, 2, "/readyz", http.StatusOK, "")
	}
	for i := range 3 {
		c.stop(i)
	}
}

// TestTheOperationsPortOverTLSTakesCertificatesAsCredentials runs one node whose
// operations port speaks TLS.
func TestTheOperationsPortOverTLSTakesCertificatesAsCredentials(t *testing.T) {
	c := newTrio(t)
	k := newKeyring(c)
	c.alter = func(i int, o *Options) {
		o.InitialPeers = o.InitialPeers[:1]
		o.OpsTLS, o.AdminTokenFile = k.keyDir(i), ""
	}
	k.cluster = c.options(0).ClusterInEffect()
	c.start(0)
	url := "https://" + c.at(0, 2)
	probe := k.caller(nil, k.authority)
	for range 600 {
		if code, _ := answer(t, probe, http.MethodGet, url+"/readyz", ""); code == http.StatusOK {
			break
		}
		time.Sleep(50 * time.Millisecond)
	}
	stranger := newAuthority(t)
	id := func(cluster string, role pki.Role, name string) *pki.Request {
		r := k.request(pki.Identity{Cluster: cluster, Role: role, Name: name})
		return &r
	}
	late := id(k.cluster, pki.RoleAdmin, "ann")
	late.NotAfter = time.Now().Add(-time.Second)
	for _, test := range []struct {
		name   string
		client *http.Client
		path   string
		code   int
		says   string
	}{
		{"a probe without a certificate", probe, "/readyz", 200, "ok"},
		{"nobody", probe, "/admin/v1/status", 401, "conclave://" + k.cluster + "/admin/NAME"},
		{"the operator", k.caller(id(k.cluster, pki.RoleOperator, ""), k.authority), "/admin/v1/status", 200, `"name":"n0"`},
		{"a person", k.caller(id(k.cluster, pki.RoleAdmin, "ann"), k.authority), "/admin/v1/status", 200, `"name":"n0"`},
		{"a node", k.caller(id(k.cluster, pki.RoleNode, "n1"), k.authority), "/admin/v1/status", 401, "unauthorized"},
		{"a person of another cluster", k.caller(id("elsewhere", pki.RoleAdmin, "ann"), k.authority), "/admin/v1/status", 401, "unauthorized"},
		{"a person of another authority", k.caller(id(k.cluster, pki.RoleAdmin, "ann"), stranger, k.authority), "/admin/v1/status", 0, "unknown certificate authority"},
		{"a person whose certificate has expired", k.caller(late, k.authority), "/readyz", 0, "expired certificate"},
	} {
		if code, body := answer(t, test.client, http.MethodGet, url+test.path, ""); code != test.code || !strings.Contains(body, test.says) {
			t.Errorf("%s: %d %s, want %d with %q", test.name, code, body, test.code, test.says)
		}
	}
	plain := strings.Replace(url, "https", "http", 1)
	if code, body := answer(t, probe, http.MethodGet, plain+"/readyz", ""); code != 400 || !strings.Contains(body, "HTTPS") {
		t.Errorf("without TLS: %d %s, want 400 that tells of HTTPS", code, body)
	}
	c.stop(0)
}

func TestANodeThatComesLaterJoinsOverTLSUnderItsOwnNameOnly(t *testing.T) {
	c := newTrio(t)
	k := newKeyring(c)
	c.formed()
	for i := range 20 {
		c.put(0, fmt.Sprint("key-", i), "before")
	}
	k.put(k.keyDir(3), k.node(3), k.authority)
	late := c.grow()
	member := c.newMember(late)

	other := member
	other.Name = "n9"
	c.change(admin.AddLearner, other)
	// What the leader has to say to n9 is given up, since n3 is there.
	dropped := regexp.MustCompile(`conclave_peer_dropped_total{member="` + member.MemberID + `",peer="n9",reason="unreachable"} [1-9]`)
	refused := false
	for range 600 {
		if _, scrape := ask(t, http.MethodGet, "http://"+c.at(c.leader(), 2)+"/metrics", ""); dropped.MatchString(scrape) {
			refused = true
			break
		}
		time.Sleep(50 * time.Millisecond)
	}
	if !refused {
		t.Error("nothing for n9 was given up")
	}
	c.await(late, 2, "/readyz", http.StatusServiceUnavailable, "waiting to be added")
	c.change(admin.Remove, other)

	c.change(admin.AddLearner, member)
	c.await(late, 0, "/v1/kv/test/key-19", http.StatusOK, "before")
	c.change(admin.Promote, member)
	for i := range 4 {
		c.stop(i)
	}
}
