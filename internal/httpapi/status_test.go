package httpapi_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
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
	// options and prepare, unless nil, change the API before and after it is
	// made.
	options func(*config.StoreOptions, *httpapi.Options)
	prepare func(*api)
	// aim, unless nil, tells the target that depends on what is stored. It is
	// called before prepare.
	aim func(*api) string
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
	return slices.Concat([]documented{
		{name: "read", request: at("GET", "/v1/kv/pay/a"), status: 200},
		{name: "head", request: at("HEAD", "/v1/kv/pay/a"), status: 200},
		{name: "bounded read", request: at("GET", "/v1/kv/pay/a?consistency=bounded&max-staleness=1h"), status: 200},
		{name: "list", request: at("GET", "/v1/keys/pay"), status: 200},
		{name: "stream", request: at("GET", "/v1/keys/pay?values=1", "Accept: application/x-ndjson"), status: 200},
		{name: "watch until a drain", request: at("GET", "/v1/watch/pay?initial=1"), status: 200, prepare: func(a *api) { a.handler.Drain() }},
		{name: "watch until a drain in lines", request: at("GET", "/v1/watch/pay?from=0", "Accept: application/x-ndjson"), status: 200, prepare: func(a *api) { a.handler.Drain() }},
		{name: "watch from what is pruned", request: at("GET", "/v1/watch/pay", "Last-Event-ID: 0"), status: 200, prepare: forget},
		{name: "batch", request: jsonPost("/v1/batch", `{"items":[{"namespace":"pay","key":"a"},{"namespace":"pay","key":"b"},{"namespace":"pay","prefix":""},{"namespace":"no","prefix":"x/"}]}`), status: 200},
		{name: "batch of the past", request: oneKey("?revision=1&consistency=local"), status: 200},
		{name: "render", request: at("GET", "/v1/render/pay"), status: 200},
		{name: "render as YAML", request: at("GET", "/v1/render/pay?format=yaml&consistency=local"), status: 200},
		{name: "render for a shell", request: at("GET", "/v1/render/pay?format=env&revision=1"), status: 200},
		{name: "unchanged render", request: at("GET", "/v1/render/pay", "If-None-Match: *"), status: 304},
		{name: "document", request: at("GET", "/openapi.json"), status: 200},
		{name: "unchanged document", request: at("GET", "/openapi.json", "If-None-Match: *"), status: 304},
		{name: "cluster", request: at("GET", "/v1/cluster"), status: 200},
		{name: "overwrite", request: at("PUT", "/v1/kv/pay/a", `If-Match: "1"`), status: 200},
		{name: "create", request: at("PUT", "/v1/kv/pay/new", "If-None-Match: *"), status: 201},
		{name: "patch", request: patchOf(`{"w":1}`, `If-Match: "1"`), status: 200},
		{name: "patch of whatever it is", request: patchOf(`{"w":1}`, "If-Match: *"), status: 200},
		{name: "delete", request: at("DELETE", "/v1/kv/pay/a"), status: 204},
		{name: "unchanged", request: at("GET", "/v1/kv/pay/a", `If-None-Match: "1"`), status: 304},
	}, pastSuccesses(), txnSuccesses())
}

// jsonPost is a POST as programs send it.
func jsonPost(target, body string, header ...string) request {
	return request{method: "POST", target: target, header: append(header, "Content-Type: application/json"), body: body}
}

// oneKey is a batch of one key, with a query.
func oneKey(query string) request {
	return jsonPost("/v1/batch"+query, `{"items":[{"namespace":"pay","key":"a"}]}`)
}

func refusals() []documented {
	var list []documented
	add := func(status int, code string, requests ...request) {
		list = append(list, refused(status, code, requests...)...)
	}
	at := func(method, target string, header ...string) request {
		return request{method: method, target: target, header: header}
	}
	add(400, "invalid_namespace", at("GET", "/v1/kv/Pay/a"), at("PUT", "/v1/kv/-pay/a"), at("GET", "/v1/kv/"), at("GET", "/v1/keys/pay/a"),
		at("DELETE", "/v1/kv/Pay/a"), jsonPost("/v1/batch", `{"items":[{"namespace":"pay","key":"a"},{"namespace":"","key":"a"}]}`))
	add(400, "invalid_key", at("DELETE", "/v1/kv/pay/a/"), jsonPost("/v1/batch", `{"items":[{"namespace":"pay","key":""}]}`),
		at("GET", "/v1/kv/pay"), at("GET", "/v1/kv/pay/"), at("GET", "/v1/kv/pay/a//b"), at("PUT", "/v1/kv/pay/../b"),
		at("GET", "/v1/kv/pay/a%2F%2E%2E"), at("GET", "/v1/kv/pay/%00"), at("GET", "/v1/kv/pay/%FF"), at("PUT", "/v1/kv/pay/"+strings.Repeat("k", 513)))
	add(400, "invalid_media_type", at("PUT", "/v1/kv/pay/a", "Content-Type: text"))
	add(400, "invalid_prefix", at("GET", "/v1/keys/pay?prefix=/a"), at("GET", "/v1/keys/pay?prefix=/a", "Accept: application/x-ndjson"),
		jsonPost("/v1/batch", `{"items":[{"namespace":"pay","prefix":"/"}]}`))
	add(400, "invalid_delimiter", at("GET", "/v1/keys/pay?delimiter=."))
	add(400, "invalid_limit", at("GET", "/v1/keys/pay?limit=1001"))
	add(400, "invalid_cursor", at("GET", "/v1/keys/pay?cursor=!"), at("GET", "/v1/keys/pay?cursor=abcd"))
	add(400, "malformed", at("GET", "/v1/kv/pay/a", "If-None-Match: 42"), at("PUT", "/v1/kv/pay/a", `If-Match: "1`),
		at("PUT", "/v1/kv/pay/a", `If-Match: "1"`, "If-None-Match: *"), at("GET", "/v1/kv/pay/a?meta=2"),
		at("GET", "/v1/kv/pay/a?wait=60s"), at("GET", "/v1/kv/pay/a?wait=soon", `If-None-Match: "1"`),
		at("GET", "/v1/kv/pay/a?consistency=session"), at("GET", "/v1/kv/pay/a?min-revision=1"), at("GET", "/v1/kv/pay/a?meta=1&meta=1"),
		at("GET", "/v1/kv/pay/a?consistency=bounded"), at("GET", "/v1/kv/pay/a?max-staleness=1s"),
		at("GET", "/v1/kv/pay/a?consistency=bounded&max-staleness=2"), at("GET", "/v1/kv/pay/a?consistency=bounded&max-staleness=-2s"),
		oneKey("?revision=0"), oneKey("?revision=-1"), oneKey("?revision="), at("PUT", "/v1/kv/pay/a?dry-run=yes"),
		at("GET", "/v1/kv/pay/a?consistency=session&min-revision=x"), at("GET", "/v1/keys/pay?limit=0"), at("GET", "/v1/kv/pay/a?%zz=1"))
	add(400, "unsupported", at("GET", "/v1/kv/pay/a?consistency=eventual"),
		at("DELETE", "/v1/kv/pay/a?dry-run=1"), at("GET", "/v1/kv/pay/a", "Idempotency-Key: x"), at("PUT", "/v1/kv/pay/a?dry-run=1", "Idempotency-Key: x"),
		at("GET", "/v1/kv/pay/a", `If-Match: "1"`), at("PUT", "/v1/kv/pay/a", `If-Match: "1", "2"`), at("PUT", "/v1/kv/pay/a", `If-None-Match: "1"`),
		at("PUT", "/v1/kv/pay/a", "Content-Range: bytes 0-0/1"), request{method: "DELETE", target: "/v1/kv/pay/a", body: "x"}, request{method: "GET", target: "/v1/kv/pay/a", body: "x"},
		at("GET", "/v1/kv/pay/a?wait=11m", `If-None-Match: "1"`), at("GET", "/v1/keys/pay", `If-None-Match: "1"`), at("GET", "/v1/cluster?x=1"),
		at("GET", "/v1/cluster", `If-Match: "1"`), at("GET", "/v1/keys/pay?limit=1", "Accept: application/x-ndjson"),
		at("GET", "/v1/keys/pay?delimiter=/", "Accept: application/x-ndjson"), at("GET", "/v1/keys/pay?cursor=x", "Accept: application/x-ndjson"))
	add(403, "cross_origin", at("PUT", "/v1/kv/pay/a", "Sec-Fetch-Site: cross-site"), at("DELETE", "/v1/kv/pay/a", "Origin: http://evil.example"))
	add(404, "key_not_found", at("GET", "/v1/kv/pay/none"), at("DELETE", "/v1/kv/pay/none"))
	add(404, "no_such_endpoint", at("GET", "/"), at("GET", "/v1/kv"), at("GET", "/v2/kv/pay/a"), at("GET", "/v1/cluster/"), at("GET", "//v1/kv/pay/a"))
	add(405, "method_not_allowed", at("POST", "/v1/kv/pay/a"), at("PATCH", "/v1/keys/pay"), at("OPTIONS", "/v1/kv/pay/a"), request{method: "POST", target: "/v1/kv/pay/a", body: "x"}, at("PUT", "/v1/keys/pay"), at("DELETE", "/v1/cluster"))
	add(504, "revision_not_reached", oneKey("?revision=2"))
	list[len(list)-1].retry = true
	add(400, "invalid_revision", oneKey("?revision=10000000000000000"))
	add(412, "revision_mismatch", at("PUT", "/v1/kv/pay/a", `If-Match: "9"`), at("PUT", "/v1/kv/pay/a", "If-None-Match: *"),
		at("DELETE", "/v1/kv/pay/a", `If-Match: "9"`), at("DELETE", "/v1/kv/pay/none", "If-Match: *"),
		at("PUT", "/v1/kv/pay/a", `If-Match: W/"1"`), at("PUT", "/v1/kv/pay/a", `If-Match: "01"`))
	add(413, "too_large", request{method: "PUT", target: "/v1/kv/pay/a", body: strings.Repeat("v", config.MaxValueBytes+1)})
	add(413, "too_large", request{method: "PUT", target: "/v1/kv/pay/a", body: strings.Repeat("v", 2*config.MaxValueBytes)})
	add(404, "no_such_endpoint", request{method: "PUT", target: "/v1/kw/pay/a", body: strings.Repeat("v", 2*config.MaxValueBytes)})
	add(413, "too_large", jsonPost("/v1/batch", strings.Repeat(" ", 1<<20+1)))
	add(415, "unsupported_media_type", request{method: "POST", target: "/v1/batch", header: []string{"Content-Type: text/plain"}, body: `{"items":[]}`},
		request{method: "POST", target: "/v1/batch", body: `{"items":[]}`})
	add(415, "unsupported_encoding", jsonPost("/v1/batch", "x", "Content-Encoding: gzip"), at("PUT", "/v1/kv/pay/a", "Content-Encoding: gzip"))
	add(421, "unknown_host", at("GET", "/v1/kv/pay/a", "Host: evil.example"), at("PUT", "/v1/kv/pay/a", "Host: cfg.prod.svcx"))
	return slices.Concat(list, watchRefusals(), pastRefusals(), txnRefusals(), renderRefusals(), patchRefusals())
}

func failure(name string, fault func(*fakeReplicator), q request, status int, code, outcome string, retry bool) documented {
	return documented{name: name, fault: fault, request: q, status: status, code: code, outcome: outcome, retry: retry}
}

// secondPage returns the target of the second page of a listing.
func secondPage(a *api) string {
	a.put("b", "v")
	var p page
	if err := json.Unmarshal([]byte(a.do(request{method: "GET", target: "/v1/keys/pay?limit=1"}).body), &p); err != nil {
		a.t.Fatal(err)
	}
	return "/v1/keys/pay?limit=1&cursor=" + p.Next
}

func failures() []documented {
	put := request{method: "PUT", target: "/v1/kv/pay/a", body: "v"}
	get := request{method: "GET", target: "/v1/kv/pay/a"}
	trial := request{method: "PUT", target: "/v1/kv/pay/a?dry-run=1", body: "v"}
	full := func(f *fakeReplicator) { f.full = true }
	refuse := func(err error) func(*fakeReplicator) { return func(f *fakeReplicator) { f.refusal = err } }
	barrier := func(err error) func(*fakeReplicator) { return func(f *fakeReplicator) { f.barrier = err } }
	lose := func(err error) func(*fakeReplicator) { return func(f *fakeReplicator) { f.loss = err } }
	return []documented{
		failure("patch that is late", barrier(config.ErrNotCaughtUp), patchOf("{}", `If-Match: "1"`), 504, "not_caught_up", "rejected", true),
		failure("patch whose reading fails", barrier(errBroken), patchOf("{}", `If-Match: "1"`), 500, "internal", "rejected", false),
		failure("patch beyond the quota", func(f *fakeReplicator) { f.outcome = config.OutcomeQuota }, patchOf("{}", `If-Match: "1"`), 507, "quota_exceeded", "rejected", false),
		{
			name: "patch of what isn't JSON", request: elsewhere(patchOf("{}", `If-Match: "2"`), "/v1/kv/pay/text"),
			status: 409, code: "not_patchable", outcome: "rejected", prepare: func(a *api) { a.put("text", "{}") },
		},
		{
			name: "patch with all turns taken", request: patchOf("{}", `If-Match: "1"`), status: 503, code: "overloaded", outcome: "rejected", retry: true,
			prepare: func(a *api) { a.handler.OccupyDocuments(2) },
		},
		failure("put without a leader", refuse(config.ErrNoLeader), put, 503, "no_leader", "rejected", true),
		failure("put under overload", refuse(config.ErrOverloaded), put, 503, "overloaded", "rejected", true),
		failure("put while stopping", refuse(config.ErrStopping), put, 503, "stopping", "rejected", true),
		failure("put that replication finds too large", refuse(config.ErrTooLarge), put, 413, "too_large", "rejected", false),
		failure("put with an error that replication may not return", refuse(config.ErrQuota), put, 504, "outcome_unknown", "unknown", false),
		failure("put whose answer is lost", lose(config.ErrOutcomeUnknown), put, 504, "outcome_unknown", "unknown", false),
		failure("put with an error nobody knows", lose(errBroken), put, 504, "outcome_unknown", "unknown", false),
		failure("put that nobody answers", func(f *fakeReplicator) { f.silence = true }, put, 504, "outcome_unknown", "unknown", false),
		failure("put on a full disk", full, put, 507, "disk_full", "rejected", false),
		failure("get without a leader", barrier(config.ErrNoLeader), get, 503, "no_leader", "rejected", true),
		failure("get under overload", barrier(config.ErrOverloaded), get, 503, "overloaded", "rejected", true),
		failure("get behind", barrier(config.ErrNotCaughtUp), get, 504, "not_caught_up", "rejected", true),
		failure("get with an error nobody knows", barrier(errBroken), get, 500, "internal", "rejected", false),
		failure("trial that is late", barrier(config.ErrNotCaughtUp), trial, 504, "not_caught_up", "rejected", true),
		failure("trial without a leader", barrier(config.ErrNoLeader), trial, 503, "no_leader", "rejected", true),
		failure("trial with an error nobody knows", barrier(errBroken), trial, 500, "internal", "rejected", false),
		failure("put beyond the quota", func(f *fakeReplicator) { f.outcome = config.OutcomeQuota }, put, 507, "quota_exceeded", "rejected", false),
		{
			name: "batch of what is forgotten", request: oneKey("?revision=1"), status: 410, code: "pruned", outcome: "rejected", prepare: forget,
		},
		{
			name: "render of what is forgotten", request: request{method: "GET", target: "/v1/render/pay?revision=1"},
			status: 410, code: "pruned", outcome: "rejected", prepare: forget,
		},
		{
			name: "render of too much", request: request{method: "GET", target: "/v1/render/pay"}, status: 413, code: "reply_too_large", outcome: "rejected",
			prepare: func(a *api) {
				for i := range 9 {
					a.put(fmt.Sprint("big/", i), strings.Repeat("v", config.MaxValueBytes))
				}
			},
		},
		{
			name: "page of what is forgotten", request: request{method: "GET"}, aim: secondPage,
			status: 410, code: "pruned", outcome: "rejected", prepare: forget,
		},
		{
			name: "batch of too much", request: bigBatch, status: 413, code: "reply_too_large", outcome: "rejected",
			prepare: func(a *api) {
				for _, key := range []string{"x", "y"} { // six bytes of JSON for each byte
					a.put(key, strings.Repeat("\x01", config.MaxValueBytes))
				}
			},
		},
		failure("bounded get without a leader", barrier(config.ErrNoLeader), request{method: "GET", target: "/v1/kv/pay/a?consistency=bounded&max-staleness=1h"}, 503, "too_stale", "rejected", true),
		failure("get of a session that is ahead", nil, request{method: "GET", target: "/v1/kv/pay/a?consistency=session&min-revision=99"}, 504, "not_caught_up", "rejected", true),
	}
}

func TestEveryStatusIsAnsweredAsDocumented(t *testing.T) {
	for _, one := range slices.Concat(successes(), refusals(), failures(), schemaAnswers(), settingsAnswers(), faultsEverywhere()) {
		one.run(t)
		if one.method == http.MethodGet {
			one.method, one.name = http.MethodHead, "HEAD: "+one.name
			one.run(t)
		}
	}
	theContract(t).wantAllSeen(t)
}

// run sends the request and holds the answer to what is documented.
func (d documented) run(t *testing.T) {
	t.Run(d.name, func(t *testing.T) {
		a := newAPI(t, func(s *config.StoreOptions, o *httpapi.Options) {
			o.WriteTimeout, o.ReadTimeout = 50*time.Millisecond, 50*time.Millisecond
			if d.options != nil {
				d.options(s, o)
			}
		})
		if _, err := a.store.Put(t.Context(), config.Put{Namespace: "pay", Key: "a", Value: []byte(`{"v":"value-that-nobody-else-may-see"}`), MediaType: "application/json"}); err != nil {
			t.Fatal(err)
		}
		if d.fault != nil {
			a.fake.set(d.fault)
		}
		if d.aim != nil {
			d.target = d.aim(a)
		}
		if d.prepare != nil {
			d.prepare(a)
		}
		got := send(t, a.serve(), d.request)
		if got.status != d.status {
			t.Fatalf("status %d, want %d; body %.300q", got.status, d.status, got.body)
		}
		checkEveryReply(t, got)
		if d.code != "" {
			checkProblem(t, d, got)
		}
		if log := a.log.String(); strings.Contains(log, "value-that") {
			t.Errorf("a value is in the log: %s", log)
		}
	})
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
	send(t, base, request{method: "PUT", target: "/v1/kv/pay/one-more?dry-run=1", body: value}).wantProblem(t, 507, "quota_exceeded")
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
