package httpapi_test

import (
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/conclave-dev/conclave/internal/httpapi"
	"github.com/conclave-dev/conclave/pkg/config"
)

// documented is one status that the API may answer with, and how to get it.
type documented struct {
	name  string
	fault func(*fakeReplicator)
	request
	status int
	// code is that of the problem, empty for a success.
	code    string
	outcome string
	// retry says whether the problem is called retryable.
	retry bool
}

func successes() []documented {
	at := func(method, target string, header ...string) request {
		return request{method: method, target: target, header: header, body: map[string]string{"PUT": "v"}[method]}
	}
	return []documented{
		{name: "read", request: at("GET", "/v1/kv/pay/a"), status: 200},
		{name: "head", request: at("HEAD", "/v1/kv/pay/a"), status: 200},
		{name: "bounded read", request: at("GET", "/v1/kv/pay/a?consistency=bounded&max-staleness=1h"), status: 200},
		{name: "list", request: at("GET", "/v1/keys/pay"), status: 200},
		{name: "cluster", request: at("GET", "/v1/cluster"), status: 200},
		{name: "overwrite", request: at("PUT", "/v1/kv/pay/a", `If-Match: "1"`), status: 200},
		{name: "create", request: at("PUT", "/v1/kv/pay/new", "If-None-Match: *"), status: 201},
		{name: "delete", request: at("DELETE", "/v1/kv/pay/a"), status: 204},
		{name: "unchanged", request: at("GET", "/v1/kv/pay/a", `If-None-Match: "1"`), status: 304},
	}
}

func refusals() []documented {
	var list []documented
	add := func(status int, code string, requests ...request) {
		for _, q := range requests {
			list = append(list, documented{
				name: fmt.Sprintf("%s %.60s %.60s", q.method, q.target, q.header), request: q,
				status: status, code: code, outcome: "rejected",
			})
		}
	}
	at := func(method, target string, header ...string) request {
		return request{method: method, target: target, header: header}
	}
	add(400, "invalid_namespace", at("GET", "/v1/kv/Pay/a"), at("PUT", "/v1/kv/-pay/a"), at("GET", "/v1/kv/"), at("GET", "/v1/keys/pay/a"))
	add(400, "invalid_key", at("GET", "/v1/kv/pay"), at("GET", "/v1/kv/pay/"), at("GET", "/v1/kv/pay/a//b"), at("PUT", "/v1/kv/pay/../b"),
		at("GET", "/v1/kv/pay/a%2F%2E%2E"), at("GET", "/v1/kv/pay/%00"), at("GET", "/v1/kv/pay/%FF"), at("PUT", "/v1/kv/pay/"+strings.Repeat("k", 513)))
	add(400, "invalid_media_type", at("PUT", "/v1/kv/pay/a", "Content-Type: text"))
	add(400, "invalid_prefix", at("GET", "/v1/keys/pay?prefix=/a"))
	add(400, "invalid_delimiter", at("GET", "/v1/keys/pay?delimiter=."))
	add(400, "invalid_limit", at("GET", "/v1/keys/pay?limit=1001"))
	add(400, "invalid_cursor", at("GET", "/v1/keys/pay?cursor=!"), at("GET", "/v1/keys/pay?cursor=abcd"))
	add(400, "malformed", at("GET", "/v1/kv/pay/a", "If-None-Match: 42"), at("PUT", "/v1/kv/pay/a", `If-Match: "1`),
		at("PUT", "/v1/kv/pay/a", `If-Match: "1"`, "If-None-Match: *"), at("GET", "/v1/kv/pay/a?meta=2"),
		at("GET", "/v1/kv/pay/a?wait=60s"), at("GET", "/v1/kv/pay/a?wait=soon", `If-None-Match: "1"`),
		at("GET", "/v1/kv/pay/a?consistency=session"), at("GET", "/v1/kv/pay/a?min-revision=1"), at("GET", "/v1/kv/pay/a?meta=1&meta=1"),
		at("GET", "/v1/kv/pay/a?consistency=bounded"), at("GET", "/v1/kv/pay/a?max-staleness=1s"),
		at("GET", "/v1/kv/pay/a?consistency=bounded&max-staleness=2"), at("GET", "/v1/kv/pay/a?consistency=bounded&max-staleness=-2s"),
		at("GET", "/v1/kv/pay/a?consistency=session&min-revision=x"), at("GET", "/v1/keys/pay?limit=0"), at("GET", "/v1/kv/pay/a?%zz=1"))
	add(400, "unsupported", at("GET", "/v1/kv/pay/a?consistency=eventual"), at("GET", "/v1/kv/pay/a?revision=1"),
		at("PUT", "/v1/kv/pay/a?dry-run=1"), at("PUT", "/v1/kv/pay/a", "Idempotency-Key: x"), at("DELETE", "/v1/kv/pay/a", "Idempotency-Key: x"),
		at("GET", "/v1/kv/pay/a", `If-Match: "1"`), at("PUT", "/v1/kv/pay/a", `If-Match: "1", "2"`), at("PUT", "/v1/kv/pay/a", `If-None-Match: "1"`),
		at("PUT", "/v1/kv/pay/a", "Content-Range: bytes 0-0/1"), request{method: "DELETE", target: "/v1/kv/pay/a", body: "x"}, request{method: "GET", target: "/v1/kv/pay/a", body: "x"},
		at("GET", "/v1/kv/pay/a?wait=11m", `If-None-Match: "1"`), at("GET", "/v1/keys/pay", `If-None-Match: "1"`), at("GET", "/v1/cluster?x=1"),
		at("GET", "/v1/cluster", `If-Match: "1"`))
	add(403, "cross_origin", at("PUT", "/v1/kv/pay/a", "Sec-Fetch-Site: cross-site"), at("DELETE", "/v1/kv/pay/a", "Origin: http://evil.example"))
	add(404, "key_not_found", at("GET", "/v1/kv/pay/none"), at("DELETE", "/v1/kv/pay/none"))
	add(404, "no_such_endpoint", at("GET", "/"), at("GET", "/v1/kv"), at("GET", "/v2/kv/pay/a"), at("GET", "/v1/cluster/"), at("GET", "//v1/kv/pay/a"))
	add(405, "method_not_allowed", at("POST", "/v1/kv/pay/a"), at("PATCH", "/v1/kv/pay/a"), at("OPTIONS", "/v1/kv/pay/a"), request{method: "POST", target: "/v1/kv/pay/a", body: "x"}, at("PUT", "/v1/keys/pay"), at("DELETE", "/v1/cluster"))
	add(412, "revision_mismatch", at("PUT", "/v1/kv/pay/a", `If-Match: "9"`), at("PUT", "/v1/kv/pay/a", "If-None-Match: *"),
		at("DELETE", "/v1/kv/pay/a", `If-Match: "9"`), at("DELETE", "/v1/kv/pay/none", "If-Match: *"),
		at("PUT", "/v1/kv/pay/a", `If-Match: W/"1"`), at("PUT", "/v1/kv/pay/a", `If-Match: "01"`))
	add(413, "too_large", request{method: "PUT", target: "/v1/kv/pay/a", body: strings.Repeat("v", config.MaxValueBytes+1)})
	add(413, "too_large", request{method: "PUT", target: "/v1/kv/pay/a", body: strings.Repeat("v", 2*config.MaxValueBytes)})
	add(404, "no_such_endpoint", request{method: "PUT", target: "/v1/kw/pay/a", body: strings.Repeat("v", 2*config.MaxValueBytes)})
	add(415, "unsupported_encoding", at("PUT", "/v1/kv/pay/a", "Content-Encoding: gzip"))
	add(421, "unknown_host", at("GET", "/v1/kv/pay/a", "Host: evil.example"), at("PUT", "/v1/kv/pay/a", "Host: cfg.prod.svcx"))
	return list
}

func failures() []documented {
	put := request{method: "PUT", target: "/v1/kv/pay/a", body: "v"}
	get := request{method: "GET", target: "/v1/kv/pay/a"}
	full := func(f *fakeReplicator) { f.full = true }
	refuse := func(err error) func(*fakeReplicator) { return func(f *fakeReplicator) { f.refusal = err } }
	barrier := func(err error) func(*fakeReplicator) { return func(f *fakeReplicator) { f.barrier = err } }
	lose := func(err error) func(*fakeReplicator) { return func(f *fakeReplicator) { f.loss = err } }
	return []documented{
		{"put without a leader", refuse(config.ErrNoLeader), put, 503, "no_leader", "rejected", true},
		{"put under overload", refuse(config.ErrOverloaded), put, 503, "overloaded", "rejected", true},
		{"put while stopping", refuse(config.ErrStopping), put, 503, "stopping", "rejected", true},
		{"put that replication finds too large", refuse(config.ErrTooLarge), put, 413, "too_large", "rejected", false},
		{"put with an error that replication may not return", refuse(config.ErrQuota), put, 504, "outcome_unknown", "unknown", false},
		{"put whose answer is lost", lose(config.ErrOutcomeUnknown), put, 504, "outcome_unknown", "unknown", false},
		{"put with an error nobody knows", lose(errBroken), put, 504, "outcome_unknown", "unknown", false},
		{"put that nobody answers", func(f *fakeReplicator) { f.silence = true }, put, 504, "outcome_unknown", "unknown", false},
		{"put on a full disk", full, put, 507, "disk_full", "rejected", false},
		{"get without a leader", barrier(config.ErrNoLeader), get, 503, "no_leader", "rejected", true},
		{"get under overload", barrier(config.ErrOverloaded), get, 503, "overloaded", "rejected", true},
		{"get behind", barrier(config.ErrNotCaughtUp), get, 504, "not_caught_up", "rejected", true},
		{"get with an error nobody knows", barrier(errBroken), get, 500, "internal", "rejected", false},
		{"bounded get without a leader", barrier(config.ErrNoLeader), request{method: "GET", target: "/v1/kv/pay/a?consistency=bounded&max-staleness=1h"}, 503, "too_stale", "rejected", true},
		{"get of a session that is ahead", nil, request{method: "GET", target: "/v1/kv/pay/a?consistency=session&min-revision=99"}, 504, "not_caught_up", "rejected", true},
	}
}

func TestEveryStatusIsAnsweredAsDocumented(t *testing.T) {
	for _, group := range [][]documented{successes(), refusals(), failures()} {
		for _, c := range group {
			t.Run(c.name, func(t *testing.T) {
				a := newAPI(t, func(_ *config.StoreOptions, o *httpapi.Options) {
					o.WriteTimeout, o.ReadTimeout = 50*time.Millisecond, 50*time.Millisecond
				})
				a.put("a", "value-that-nobody-else-may-see")
				if c.fault != nil {
					a.fake.set(c.fault)
				}
				got := send(t, a.serve(), c.request)
				if got.status != c.status {
					t.Fatalf("status %d, want %d; body %.300q", got.status, c.status, got.body)
				}
				checkEveryReply(t, got)
				if c.code != "" {
					checkProblem(t, c, got)
				}
				if log := a.log.String(); strings.Contains(log, "value-that") {
					t.Errorf("a value is in the log: %s", log)
				}
			})
		}
	}
}

// checkEveryReply checks what every reply carries.
func checkEveryReply(t *testing.T, got reply) {
	t.Helper()
	got.wantHeader(t, map[string]string{
		"X-Content-Type-Options": "nosniff", "Content-Security-Policy": "sandbox", "Cache-Control": "private, no-cache",
		"Conclave-Leader": "known",
	})
	if _, err := strconv.ParseUint(got.header.Get("Conclave-Revision"), 10, 64); err != nil {
		t.Errorf("Conclave-Revision: %v", err)
	}
	switch level := got.header.Get("Conclave-Consistency"); level {
	case "local", "bounded":
		if got.header.Get("Conclave-Staleness-Ms") == "" {
			t.Error("the answer doesn't tell its staleness")
		}
	case "linear", "session":
	default:
		t.Errorf("Conclave-Consistency = %q", level)
	}
}

func checkProblem(t *testing.T, c documented, got reply) {
	t.Helper()
	if c.method == http.MethodHead {
		return
	}
	p := got.problem(t)
	if p.Code != c.code || p.Status != c.status || p.Outcome != c.outcome || p.Retryable != c.retry {
		t.Errorf("problem %+v, want code %s, status %d, outcome %s, retryable %v", p, c.code, c.status, c.outcome, c.retry)
	}
	if p.RequestID == "" || p.Title == "" || p.Type != "/problems/"+strings.ReplaceAll(c.code, "_", "-") {
		t.Errorf("problem %+v lacks a request ID, a title or its type", p)
	}
	if strings.Contains(got.body, "value-that") || strings.Contains(got.body, errBroken.Error()) && c.status == 500 {
		t.Errorf("problem %s tells too much", got.body)
	}
	after, _ := strconv.Atoi(got.header.Get("Retry-After"))
	if wanted := c.status == 503 || c.status == 429; wanted != (after >= 1 && after <= 3) {
		t.Errorf("Retry-After = %q for status %d", got.header.Get("Retry-After"), c.status)
	}
	if allow := got.header.Get("Allow"); (allow != "") != (c.status == 405) {
		t.Errorf("Allow = %q for status %d", allow, c.status)
	}
}

func TestAFailedPreconditionTellsTheCurrentETag(t *testing.T) {
	a := newAPI(t, nil)
	a.put("b", "1")
	revision := a.put("a", "1")
	base := a.serve()
	for target, want := range map[string]string{"/v1/kv/pay/a": quoted(revision), "/v1/kv/pay/none": `"0"`} {
		p := send(t, base, request{method: "PUT", target: target, header: []string{`If-Match: "77"`}}).problem(t)
		if p.CurrentETag != want || p.Revision != revision {
			t.Errorf("%s: problem %+v, want current ETag %s at revision %d", target, p, want, revision)
		}
	}
}

func TestAQuotaThatIsFullIs507AndDeletesGoOn(t *testing.T) {
	a := newAPI(t, nil)
	value := strings.Repeat("v", config.MaxValueBytes)
	for i := range 127 {
		a.put(fmt.Sprintf("big/%d", i), value)
	}
	base := a.serve()
	got := send(t, base, request{method: "PUT", target: "/v1/kv/pay/one-more", body: value})
	got.wantProblem(t, 507, "quota_exceeded")
	send(t, base, request{method: "PUT", target: "/v1/kv/pay/small", body: "v"}).want(t, 201, "")
	send(t, base, request{method: "DELETE", target: "/v1/kv/pay/big/0"}).want(t, 204, "")
	send(t, base, request{method: "PUT", target: "/v1/kv/pay/one-more", body: value}).want(t, 201, "")
}

func TestAMemberThatMeetsAnUnknownCommandServesNothing(t *testing.T) {
	a := newAPI(t, nil)
	a.put("a", "1")
	a.fake.set(func(f *fakeReplicator) {
		f.index++
		f.state.Apply(f.index, config.Stamp{}, config.Origin{}, []byte{200, 1, 0x90})
		f.state.Publish()
	})
	base := a.serve()
	for _, q := range []request{
		{method: "GET", target: "/v1/kv/pay/a"}, {method: "GET", target: "/v1/kv/pay/a?consistency=local"},
		{method: "GET", target: "/v1/keys/pay"}, {method: "PUT", target: "/v1/kv/pay/a", body: "2"},
	} {
		send(t, base, q).wantProblem(t, 503, "parked")
	}
}
