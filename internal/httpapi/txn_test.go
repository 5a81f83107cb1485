package httpapi_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
)

// post sends a body and decodes the JSON answer.
func (a *api) post(target, body string, into any) reply {
	a.t.Helper()
	got := a.do(jsonPost(target, body))
	if got.status != 200 {
		a.t.Fatalf("%s: status %d, %s", target, got.status, got.body)
	}
	if err := json.Unmarshal([]byte(got.body), into); err != nil {
		a.t.Fatal(err)
	}
	return got
}

type txnDone struct {
	Succeeded bool
	Revision  uint64
	Results   []struct {
		Op, Key  string
		Revision uint64
		Entry    *struct{ Text string }
	}
}

func TestATransactionChangesItsKeysAsOneRevision(t *testing.T) {
	a := newAPI(t, nil)
	a.put("a", "1")
	a.put("gone", "1")
	const body = `{"namespace":"pay","if":[{"key":"a","revision":1},{"key":"b","exists":false}],
		"then":[{"op":"put","key":"b","text":"x","type":"text/plain"},{"op":"delete","key":"gone"},{"op":"get","key":"a"},{"op":"get","key":"none"}],
		"else":[{"op":"get","key":"b"}]}`
	var done txnDone
	got := a.post("/v1/txn", body, &done)
	got.wantHeader(t, map[string]string{"Conclave-Revision": "3"})
	if !done.Succeeded || done.Revision != 3 || len(done.Results) != 4 {
		t.Fatalf("it did %+v", done)
	}
	put, deleted, found, none := done.Results[0], done.Results[1], done.Results[2], done.Results[3]
	if put.Op != "put" || put.Key != "b" || put.Revision != 3 || put.Entry != nil || deleted.Revision != 0 ||
		found.Revision != 1 || found.Entry.Text != "1" || none.Revision != 0 || none.Entry != nil {
		t.Errorf("its results are %+v", done.Results)
	}
	a.do(request{method: "GET", target: "/v1/kv/pay/b"}).want(t, 200, "x")
	a.do(request{method: "GET", target: "/v1/kv/pay/gone"}).wantProblem(t, 404, "key_not_found")

	a.post("/v1/txn", body, &done)
	if done.Succeeded || done.Revision != 3 || len(done.Results) != 1 || done.Results[0].Entry.Text != "x" {
		t.Errorf("its else did %+v", done)
	}
}

func TestATransactionIsCarriedOutOncePerIdempotencyKey(t *testing.T) {
	a := newAPI(t, nil)
	q := jsonPost("/v1/txn", `{"namespace":"pay","if":[{"key":"a","exists":false}],"then":[{"op":"put","key":"a","text":"1"}]}`, "Idempotency-Key: once")
	first := a.do(q)
	a.put("b", "between")
	second := a.do(q)
	if first.status != 200 || second.body != first.body || second.header.Get("Conclave-Revision") != "1" {
		t.Errorf("first %d %s, then %d %s", first.status, first.body, second.status, second.body)
	}
}

func TestARollbackShowsWhatItWouldDoAndDoesIt(t *testing.T) {
	a := newAPI(t, nil)
	a.put("db/a", "1")
	a.put("db/b", "1")
	a.put("else", "1")
	a.together(map[string]string{"db/a": "2", "db/b": "", "db/c": "new", "else": "2"})
	const body = `{"to":3,"prefix":"db/","reason":"it was wrong"}`
	var would diffPage
	a.post("/v1/rollback/pay?dry-run=1", body, &would).wantHeader(t, map[string]string{"Conclave-Revision": "4", "Conclave-Dry-Run": "1"})
	const want = "db/a:2>1 db/b:>1 db/c:new>"
	if would.shown() != want || would.From != 4 || would.To != 3 || a.store.Revision() != 4 {
		t.Errorf("it would do %q", would.shown())
	}
	var done struct{ To, Revision, Changed uint64 }
	a.post("/v1/rollback/pay", body, &done).wantHeader(t, map[string]string{"Conclave-Revision": "5", "Conclave-Dry-Run": ""})
	if done.To != 3 || done.Revision != 5 || done.Changed != 3 {
		t.Errorf("it did %+v", done)
	}
	var did diffPage
	a.read("/v1/diff/pay?from=4&to=5", &did)
	if did.shown() != want {
		t.Errorf("it did %q, want %q", did.shown(), want)
	}
	const reason = `"reason":"it was wrong"`
	if page := a.do(request{method: "GET", target: "/v1/diff/pay?from=4&to=5"}).body; strings.Count(page, reason) != 3 {
		t.Errorf("the difference lacks the reason: %s", page)
	}
	for _, key := range []string{"db/a", "db/b", "db/c"} { // of which the last was deleted
		if page := a.do(request{method: "GET", target: "/v1/history/pay/" + key}).body; strings.Count(page, reason) != 1 {
			t.Errorf("the history of %s doesn't show the reason once: %s", key, page)
		}
	}
	a.post("/v1/rollback/pay", body, &done)
	if done.Revision != 5 || done.Changed != 0 {
		t.Errorf("again it did %+v", done)
	}
}

func TestADryRunOfARollbackIsRefusedAsTheRollbackIs(t *testing.T) {
	a := newAPI(t, nil)
	a.putJSON("db/a", `{"port":"1"}`)
	a.putJSON("db/a", `{"port":1}`)
	base := a.serve()
	send(t, base, jsonPut("/v1/schemas/pay/db/", `{"properties":{"port":{"type":"integer"}}}`)).want(t, 201, "")
	for _, query := range []string{"?dry-run=1", ""} {
		got := send(t, base, jsonPost("/v1/rollback/pay"+query, `{"to":1}`))
		got.wantProblem(t, 422, "schema_violation")
		if !strings.Contains(got.body, `"schemaPointer":"/properties/port/type"`) {
			t.Errorf("%q: %s", query, got.body)
		}
	}
	send(t, base, jsonPut("/v1/settings/pay", `{"quotaBytes":3000}`)).want(t, 201, "")
	big := a.put("big", strings.Repeat("v", 1200))
	a.put("big", "")
	a.put("other", strings.Repeat("v", 1000))
	for _, query := range []string{"?dry-run=1", ""} {
		got := send(t, base, jsonPost("/v1/rollback/pay"+query, fmt.Sprintf(`{"prefix":"big","to":%d}`, big)))
		got.wantProblem(t, 507, "quota_exceeded")
	}
}

func TestTheChangesOfARevisionAreInTheOrderOfItsTransaction(t *testing.T) {
	a := newAPI(t, nil)
	base := a.serve()
	send(t, base, jsonPost("/v1/txn", `{"namespace":"pay","then":[{"op":"put","key":"b","text":"1"},{"op":"put","key":"c","text":"1"},{"op":"put","key":"a","text":"1"}]}`)).want(t, 200, "-")
	send(t, base, jsonPost("/v1/txn", `{"namespace":"pay","then":[{"op":"delete","key":"c"},{"op":"put","key":"d","text":"1"},{"op":"put","key":"a","text":"2"}]}`)).want(t, 200, "-")
	send(t, base, jsonPost("/v1/rollback/pay", `{"to":1}`)).want(t, 200, "-")
	a.handler.Drain()
	got := send(t, base, request{method: "GET", target: "/v1/watch/pay?from=0", header: []string{"Accept: application/x-ndjson"}})
	for i, want := range []string{"b c a", "c d a", "a c d"} {
		var line struct{ Changes []struct{ Key string } }
		if err := json.Unmarshal([]byte(strings.Split(got.body, "\n")[i]), &line); err != nil {
			t.Fatal(err)
		}
		var keys []string
		for _, c := range line.Changes {
			keys = append(keys, c.Key)
		}
		if strings.Join(keys, " ") != want {
			t.Errorf("revision %d changes %v, want %s", i+1, keys, want)
		}
	}
}
