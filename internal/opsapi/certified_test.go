package opsapi_test

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/conclave-dev/conclave/internal/opsapi"
)

// certifiedOptions are those of a port of the cluster c1 that knows no tokens.
func certifiedOptions(t *testing.T, node *fakeNode) opsapi.Options {
	t.Helper()
	o := options(t, node)
	o.AdminTokenFile, o.OperatorTokenFile, o.ClusterID = "", "", "c1"
	return o
}

// certified makes a request on a connection whose client has shown a person's
// certificate that ends at a time, of an authority that ends at another.
func certified(method, path string, leafEnd, authorityEnd time.Time) *http.Request {
	leaf := &x509.Certificate{
		URIs:     []*url.URL{{Scheme: "conclave", Host: "c1", Path: "/admin/ann"}},
		NotAfter: leafEnd,
	}
	authority := &x509.Certificate{NotAfter: authorityEnd}
	r := httptest.NewRequest(method, "https://n0.example.org:8402"+path, nil)
	r.TLS = &tls.ConnectionState{
		PeerCertificates: []*x509.Certificate{leaf},
		VerifiedChains:   [][]*x509.Certificate{{leaf, authority}},
	}
	return r
}

func TestACertificateThatExpiresOnAStandingConnectionIsACredentialNoMore(t *testing.T) {
	handler := port(t, certifiedOptions(t, &fakeNode{}))
	soon, past := time.Now().Add(time.Hour), time.Now().Add(-time.Second)
	for _, test := range []struct {
		name            string
		leaf, authority time.Time
		want            int
	}{
		{"both live", soon, soon, http.StatusOK},
		{"the certificate has expired", past, soon, http.StatusUnauthorized},
		{"the authority has expired", soon, past, http.StatusUnauthorized},
	} {
		response, body := send(handler, certified(http.MethodGet, "/admin/v1/status", test.leaf, test.authority))
		if response.StatusCode != test.want {
			t.Errorf("%s: HTTP %d %s, want %d", test.name, response.StatusCode, body, test.want)
		}
	}
}

func TestAPageInABrowserThatHoldsACertificateCanNotUseIt(t *testing.T) {
	soon := time.Now().Add(time.Hour)
	for _, path := range []string{"/admin/v1/members/000000000000000a/promote", "/admin/v1/snapshot", "/admin/v1/verify"} {
		for _, header := range []string{"Sec-Fetch-Site: cross-site", "Sec-Fetch-Site: same-site", "Origin: https://elsewhere.example.org", "Origin: null"} {
			node := &fakeNode{}
			r := certified(http.MethodPost, path, soon, soon)
			name, value, _ := strings.Cut(header, ": ")
			r.Header.Set(name, value)
			response, body := send(port(t, certifiedOptions(t, node)), r)
			if p := problem(t, response, body); p.Status != http.StatusForbidden || p.Code != "cross_origin" {
				t.Errorf("POST %s with %s: %+v, want 403 cross_origin", path, header, p)
			}
			if len(node.calls) > 0 {
				t.Errorf("POST %s with %s: the steward was told %q", path, header, node.calls)
			}
		}
		response, body := send(port(t, certifiedOptions(t, &fakeNode{})), certified(http.MethodPost, path, soon, soon))
		if response.StatusCode != http.StatusOK {
			t.Errorf("POST %s by a program: HTTP %d %s", path, response.StatusCode, body)
		}
	}
}

func TestTheLogTellsWhoseCertificateAChangeWasMadeWith(t *testing.T) {
	var log bytes.Buffer
	o := certifiedOptions(t, &fakeNode{})
	o.Log = slog.New(slog.NewTextHandler(&log, nil)) // at the level that nodes run at
	soon := time.Now().Add(time.Hour)
	send(port(t, o), certified(http.MethodPost, "/admin/v1/snapshot", soon, soon))
	if !strings.Contains(log.String(), "carried out") || !strings.Contains(log.String(), "certificate=conclave://c1/admin/ann role=admin") {
		t.Errorf("logged %s, want that ann did it", &log)
	}
}
