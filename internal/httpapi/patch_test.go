package httpapi_test

import (
	"fmt"
	"strings"
	"sync"
	"testing"

	"github.com/conclave-dev/conclave/pkg/config"
)

// putJSON writes a JSON value past the HTTP API and returns its revision.
func (a *api) putJSON(key, value string) uint64 {
	a.t.Helper()
	result, err := a.store.Put(a.t.Context(), config.Put{
		Namespace: "pay", Key: key, Value: []byte(value), MediaType: "application/vnd.x+json; v=1",
	})
	if err != nil {
		a.t.Fatal(err)
	}
	return result.Revision
}

func TestAPatchChangesAPartOfAValueAndKeepsItsType(t *testing.T) {
	a := newAPI(t, nil)
	revision := a.putJSON("a", `{"pool": {"max": 8, "min": 1.50}, "old": [1], "big": 12345678901234567890}`)
	base := a.serve()
	got := send(t, base, patchOf(`{"pool":{"max":16},"old":null,"new":"x"}`, "If-Match: "+quoted(revision)))
	got.want(t, 200, "")
	got.wantHeader(t, map[string]string{"Etag": `"2"`, "Conclave-Revision": "2", "Conclave-Consistency": "linear"})
	value := send(t, base, request{method: "GET", target: "/v1/kv/pay/a"})
	value.want(t, 200, `{"big":12345678901234567890,"new":"x","pool":{"max":16,"min":1.50}}`)
	value.wantHeader(t, map[string]string{"Content-Type": "application/vnd.x+json; v=1", "Etag": `"2"`})
}

func TestOfTwoPatchesOfOneValueOneWins(t *testing.T) {
	a := newAPI(t, nil)
	tag := quoted(a.putJSON("a", `{}`))
	base := a.serve()
	send(t, base, patchOf(`{"x":1}`, "If-Match: "+strings.TrimSuffix(tag, `"`)+`.meta"`)).want(t, 200, "")
	late := send(t, base, patchOf(`{"y":1}`, "If-Match: "+tag))
	late.wantProblem(t, 412, "revision_mismatch")
	if p := late.problem(t); p.CurrentETag != `"2"` || p.Revision != 2 {
		t.Errorf("problem %+v, want the current ETag", p)
	}
	a.remove("a")
	gone := send(t, base, patchOf(`{"y":1}`, `If-Match: "2"`))
	gone.wantProblem(t, 412, "revision_mismatch")
	if p := gone.problem(t); p.CurrentETag != `"0"` {
		t.Errorf("problem %+v, want that the key is absent", p)
	}
}

func TestPatchesOfWhateverTheValueIsDoNotUndoEachOther(t *testing.T) {
	a := newAPI(t, nil)
	a.putJSON("a", `{}`)
	base := a.serve()
	const writers = 6
	var all sync.WaitGroup
	for i := range writers {
		all.Go(func() {
			got, err := trySend(t.Context(), base, patchOf(fmt.Sprintf(`{"%d":true}`, i), "If-Match: *"))
			if err != nil || got.status != 200 {
				t.Errorf("%v, %+v", err, got)
			}
		})
	}
	all.Wait()
	send(t, base, request{method: "GET", target: "/v1/kv/pay/a"}).want(t, 200, `{"0":true,"1":true,"2":true,"3":true,"4":true,"5":true}`)
}

func TestADryRunOfAPatchWritesNothing(t *testing.T) {
	a := newAPI(t, nil)
	a.putJSON("a", `{"x":1}`)
	base := a.serve()
	dry := func(patch, tag string) reply {
		return send(t, base, elsewhere(patchOf(patch, "If-Match: "+tag), "/v1/kv/pay/a?dry-run=1"))
	}
	got := dry(`{"x":2}`, `"1"`)
	got.want(t, 200, "")
	got.wantHeader(t, map[string]string{"Conclave-Dry-Run": "1", "Etag": "", "Conclave-Revision": "1"})
	dry(`{"x":2}`, `"9"`).wantProblem(t, 412, "revision_mismatch")
	dry(`{"x":`, `"1"`).wantProblem(t, 400, "invalid_merge_patch")
	send(t, base, request{method: "GET", target: "/v1/kv/pay/a"}).want(t, 200, `{"x":1}`)
}

func TestARefusedPatchTellsWhyAndQuotesNothing(t *testing.T) {
	a := newAPI(t, nil)
	a.put("text", `{"a":"secret"}`)
	a.putJSON("broken", `{"a":"secret"`)
	a.putJSON("deep", strings.Repeat("[", 100)+`"secret"`+strings.Repeat("]", 100))
	a.putJSON("a", `{}`)
	base := a.serve()
	for key, says := range map[string]string{"text": `"text/plain"`, "broken": "byte 13", "deep": "nested deeper than 64"} {
		got := send(t, base, elsewhere(patchOf(`{}`, "If-Match: *"), "/v1/kv/pay/"+key))
		got.wantProblem(t, 409, "not_patchable")
		if detail := got.problem(t).Detail; !strings.Contains(detail, says) || strings.Contains(got.body, "secret") {
			t.Errorf("%s: detail %q, want it to say %s and no value", key, detail, says)
		}
	}
	got := send(t, base, patchOf(`{"a":"secret",}`, "If-Match: *"))
	got.wantProblem(t, 400, "invalid_merge_patch")
	if strings.Contains(got.body, "secret") {
		t.Errorf("the patch is quoted: %s", got.body)
	}
	got = send(t, base, request{method: "PATCH", target: "/v1/kv/pay/a", header: []string{"If-Match: *", "Content-Type: application/json-patch+json"}, body: "[]"})
	got.wantProblem(t, 415, "unsupported_media_type")
	got.wantHeader(t, map[string]string{"Accept-Patch": "application/merge-patch+json"})
	send(t, base, patchOf(`{"x":"`+strings.Repeat("v", config.MaxValueBytes-8)+`"}`, "If-Match: *")).want(t, 200, "")
	send(t, base, patchOf(`{"y":"v"}`, "If-Match: *")).wantProblem(t, 413, "too_large")
}

// patchOf is a patch of the key that is there.
func patchOf(body string, header ...string) request {
	return request{method: "PATCH", target: "/v1/kv/pay/a", header: append(header, "Content-Type: application/merge-patch+json"), body: body}
}

// elsewhere is the request with another target.
func elsewhere(q request, target string) request {
	q.target = target
	return q
}

// patchRefusals are what patches, and writes with an idempotency key, are refused
// for.
func patchRefusals() (list []documented) {
	add := func(status int, code string, requests ...request) {
		list = append(list, refused(status, code, requests...)...)
	}
	at := func(method, target string, header ...string) request {
		return request{method: method, target: target, header: header}
	}
	add(400, "invalid_idempotency_key", at("PUT", "/v1/kv/pay/a", "Idempotency-Key: "), at("DELETE", "/v1/kv/pay/a", "Idempotency-Key: \xc3\xa9"),
		patchOf("{}", `If-Match: "1"`, "Idempotency-Key: "+strings.Repeat("k", 256)))
	add(400, "malformed", at("PUT", "/v1/kv/pay/a", "Idempotency-Key: x", "Idempotency-Key: y"), patchOf("{}", "If-Match: 1"), patchOf("{}", `If-Match: "1"`, "If-Match: x"))
	add(400, "unsupported", patchOf("{}", "If-Match: *", "Idempotency-Key: x"), patchOf("{}", `If-Match: "1", "2"`), patchOf("{}", `If-Match: "1"`, "If-None-Match: *"))
	add(400, "invalid_merge_patch", patchOf(`{"w":`, `If-Match: "1"`), patchOf("", `If-Match: "1"`), patchOf(`{"w":1,"w":2}`, `If-Match: "1"`))
	add(404, "key_not_found", elsewhere(patchOf("{}", `If-Match: "0"`), "/v1/kv/pay/none"))
	add(412, "revision_mismatch", patchOf("{}", `If-Match: "0"`), patchOf("{}", `If-Match: W/"1"`), patchOf("{}", `If-Match: "2"`),
		elsewhere(patchOf("{}", "If-Match: *"), "/v1/kv/pay/none"))
	add(400, "invalid_namespace", elsewhere(patchOf("{}", "If-Match: *"), "/v1/kv/Pay/a"))
	add(400, "invalid_key", elsewhere(patchOf("{}", "If-Match: *"), "/v1/kv/pay/a/"))
	add(413, "too_large", patchOf(strings.Repeat(" ", config.MaxValueBytes+1), `If-Match: "1"`))
	add(415, "unsupported_media_type", at("PATCH", "/v1/kv/pay/a", `If-Match: "1"`, "Content-Type: application/json"), at("PATCH", "/v1/kv/pay/a"))
	add(415, "unsupported_encoding", patchOf("{}", `If-Match: "1"`, "Content-Encoding: gzip"))
	add(428, "precondition_required", patchOf("{}"), patchOf("{}", "Idempotency-Key: x"))
	return list
}
