package opsapi_test

import (
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/goleak"

	"github.com/conclave-dev/conclave/internal/admin"
	"github.com/conclave-dev/conclave/internal/opsapi"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const (
	adminToken    = "admin-0123456789abcdef"
	operatorToken = "operator-0123456789abcdef"
)

// fakeNode is a node whose condition the test sets.
type fakeNode struct {
	mu      sync.Mutex
	status  admin.Status
	dead    error
	unready string
	leader  bool
	// hung, unless nil, is what the status waits for.
	hung chan struct{}
	// probe answers a probe; nil means that it goes through.
	probe func(ctx context.Context) error
	// probes counts them.
	probes int
	steward
}

func (n *fakeNode) LeaderKnown() bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.leader
}

func (n *fakeNode) Status() admin.Status {
	if n.hung != nil {
		<-n.hung
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.status
}

func (n *fakeNode) Alive() error {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.dead
}

func (n *fakeNode) Ready() (bool, string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.unready == "", n.unready
}

func (n *fakeNode) Probe(ctx context.Context) error {
	n.mu.Lock()
	n.probes++
	probe := n.probe
	n.mu.Unlock()
	if probe == nil {
		return ctx.Err()
	}
	return probe(ctx)
}

// options returns the options of a port with one admin and one operator token.
func options(t *testing.T, node *fakeNode) opsapi.Options {
	t.Helper()
	return opsapi.Options{
		Node:              node,
		Steward:           &node.steward,
		Metrics:           prometheus.NewRegistry(),
		AdminTokenFile:    tokenFile(t, "admin", adminToken+"\n"),
		OperatorTokenFile: tokenFile(t, "operator", operatorToken),
		Log:               slog.New(slog.DiscardHandler),
	}
}

// tokenFile writes a token file and returns its name.
func tokenFile(t *testing.T, name, content string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// port returns the handler of a port.
func port(t *testing.T, o opsapi.Options) http.Handler {
	t.Helper()
	handler, err := opsapi.New(o)
	if err != nil {
		t.Fatal(err)
	}
	return handler
}

// ask sends one request, with headers given as "Name: value", and returns the
// whole answer.
func ask(handler http.Handler, method, path string, headers ...string) (*http.Response, string) {
	request := httptest.NewRequest(method, path, nil)
	for _, header := range headers {
		name, value, _ := strings.Cut(header, ": ")
		request.Header.Set(name, value)
	}
	return send(handler, request)
}

func send(handler http.Handler, request *http.Request) (*http.Response, string) {
	recorder := httptest.NewRecorder()
	handler.ServeHTTP(recorder, request)
	response := recorder.Result()
	body, _ := io.ReadAll(response.Body) // the recorder's body is in memory
	return response, string(body)
}

// problem decodes a refusal and checks that its parts agree.
func problem(t *testing.T, response *http.Response, body string) admin.Problem {
	t.Helper()
	if got := response.Header.Get("Content-Type"); got != admin.ProblemType {
		t.Fatalf("HTTP %d of type %q: %s; want a problem", response.StatusCode, got, body)
	}
	var p admin.Problem
	if err := json.Unmarshal([]byte(body), &p); err != nil {
		t.Fatal(err)
	}
	if p.Status != response.StatusCode || p.Type != "/problems/"+strings.ReplaceAll(p.Code, "_", "-") || p.Title == "" {
		t.Errorf("HTTP %d with problem %+v: its parts disagree", response.StatusCode, p)
	}
	return p
}

func TestUnknownPathsAndMethodsAreProblems(t *testing.T) {
	handler := port(t, options(t, &fakeNode{}))
	for _, c := range []struct {
		method, path string
		status       int
		code, allow  string
	}{
		{"GET", "/", 404, "not_found", ""},
		{"GET", "/v1/kv/pay/db", 404, "not_found", ""},
		{"GET", "/livez/deeper", 404, "not_found", ""},
		{"GET", "/admin/v1/unknown", 404, "not_found", ""},
		{"POST", "/livez", 405, "method_not_allowed", "GET, HEAD"},
		{"DELETE", "/readyz", 405, "method_not_allowed", "GET, HEAD"},
		{"PUT", "/quorumz", 405, "method_not_allowed", "GET, HEAD"},
		{"POST", "/metrics", 405, "method_not_allowed", "GET, HEAD"},
		{"POST", "/admin/v1/status", 405, "method_not_allowed", "GET, HEAD"},
		{"GET", "/admin/v1/verify", 405, "method_not_allowed", "POST"},
	} {
		response, body := ask(handler, c.method, c.path, "Authorization: Bearer "+adminToken)
		p := problem(t, response, body)
		if p.Status != c.status || p.Code != c.code || response.Header.Get("Allow") != c.allow {
			t.Errorf("%s %s = %+v, Allow %q; want %d %s, Allow %q",
				c.method, c.path, p, response.Header.Get("Allow"), c.status, c.code, c.allow)
		}
	}
}

func TestEveryAnswerIsKeptOutOfCachesAndBrowsers(t *testing.T) {
	handler := port(t, options(t, &fakeNode{}))
	for _, path := range []string{"/livez", "/metrics", "/admin/v1/status", "/nowhere"} {
		response, _ := ask(handler, "GET", path)
		for name, want := range map[string]string{
			"Cache-Control":           "no-store",
			"Content-Security-Policy": "sandbox",
			"X-Content-Type-Options":  "nosniff",
		} {
			if got := response.Header.Get(name); got != want {
				t.Errorf("%s: %s = %q, want %q", path, name, got, want)
			}
		}
	}
}

func TestMetricsShowTheRegistryThatWasHandedIn(t *testing.T) {
	registry := prometheus.NewRegistry()
	gauge := prometheus.NewGauge(prometheus.GaugeOpts{Name: "conclave_test_gauge", Help: "A gauge."})
	gauge.Set(42)
	registry.MustRegister(gauge)
	o := options(t, &fakeNode{})
	o.Metrics = registry
	response, body := ask(port(t, o), "GET", "/metrics")
	if response.StatusCode != 200 || !strings.Contains(body, "conclave_test_gauge 42\n") {
		t.Errorf("GET /metrics = %d %q, want the gauge with its value", response.StatusCode, body)
	}
}
