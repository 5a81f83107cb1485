package httpapi_test

import (
	"bufio"
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"github.com/conclave-dev/conclave/internal/httpapi"
	"github.com/conclave-dev/conclave/pkg/config"
)

// documentedStatuses are all that the API may answer with, whatever it is sent.
var documentedStatuses = []int{200, 201, 204, 304, 400, 403, 404, 405, 409, 412, 413, 415, 421, 422, 428, 429, 503, 504, 507}

// FuzzRequest sends arbitrary bytes as the head of a request. Whatever net/http
// takes for a request must get a documented answer, and a key that was written
// must be there to read under the same path.
func FuzzRequest(f *testing.F) {
	for _, c := range slices.Concat(successes(), refusals(), schemaAnswers(), settingsAnswers()) {
		f.Add(c.method+" "+c.target+" HTTP/1.1\r\nHost: localhost\r\n"+strings.Join(c.header, "\r\n"), c.body[:min(len(c.body), 100)])
	}
	f.Add("PUT http://localhost/v1/kv/pay/a HTTP/1.1\r\nHost: x", "v")
	f.Add("OPTIONS * HTTP/1.1\r\nHost: localhost", "")
	f.Add("CONNECT localhost:80 HTTP/1.1\r\nHost: localhost", "")
	f.Fuzz(func(t *testing.T, head, body string) {
		r, err := http.ReadRequest(bufio.NewReader(strings.NewReader(strings.TrimRight(head, "\r\n") + "\r\n\r\n")))
		if err != nil {
			return // not a request
		}
		r = inHaste(r)
		fresh := httptest.NewRequest(http.MethodGet, "/", strings.NewReader(body))
		r.Body, r.ContentLength = fresh.Body, fresh.ContentLength
		a := fuzzAPI(t)
		w := httptest.NewRecorder()
		a.handler.ServeHTTP(w, r)
		if !slices.Contains(documentedStatuses, w.Code) {
			t.Fatalf("%q: undocumented status %d: %s", head, w.Code, w.Body)
		}
		if w.Code >= 400 && (!json.Valid(w.Body.Bytes()) || w.Header().Get("Content-Type") != "application/problem+json") {
			t.Fatalf("%q: status %d without a problem: %q", head, w.Code, w.Body)
		}
		if r.Method == http.MethodPut && w.Code < 300 && strings.HasPrefix(r.URL.Path, "/v1/kv/") {
			again := r.Clone(context.Background())
			again.Method, again.URL.RawQuery, again.Header, again.Body, again.ContentLength = http.MethodGet, "", nil, http.NoBody, 0
			read := httptest.NewRecorder()
			a.handler.ServeHTTP(read, again)
			if read.Code != 200 || read.Body.String() != body || read.Header().Get("Etag") != w.Header().Get("Etag") {
				t.Fatalf("%q: %q was written and %d %q is read", head, body, read.Code, read.Body)
			}
		}
	})
}

// FuzzBatch sends arbitrary bytes as the body of a batch. What is granted must be
// granted by the document, and have an answer to each item; the rest is told to
// be malformed or to name what can't be.
func FuzzBatch(f *testing.F) {
	c := theContract(f)
	for _, seed := range []string{
		`{"items":[{"namespace":"pay","key":"a"},{"namespace":"pay","prefix":""}]}`, `{"items":[{"namespace":"pay","key":"\ud83d\ude00"}]}`,
		`{"items":[{"namespace":"pay","key":"a","key":"b"}]}`, `{"Items":[{"namespace":"pay","key":"\ud800"}]}`, `{"items":[{"key":1.5e9}]}`, `[[[[{}]]]]`, "",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, body string) {
		q := jsonPost("/v1/batch", body)
		got := fuzzAPI(t).do(q)
		switch got.status {
		case 200:
			c.check(t, q, got)
			var asked struct{ Items []any }
			var answered struct{ Results []any }
			if json.Unmarshal([]byte(body), &asked) != nil || json.Unmarshal([]byte(got.body), &answered) != nil || len(asked.Items) != len(answered.Results) {
				t.Errorf("%q is answered with %q", body, got.body)
			}
		case 400:
			c.check(t, q, got)
		case 413:
			if len(body) <= 1<<20 {
				t.Errorf("%d bytes are too many", len(body))
			}
		default:
			t.Errorf("%q: status %d", body, got.status)
		}
	})
}

// FuzzRead sends arbitrary queries and headers of a read. What is granted must
// be granted by the document.
func FuzzRead(f *testing.F) {
	c := theContract(f)
	for _, query := range []string{"consistency=bounded&max-staleness=2s", "meta=1", "values=1&limit=3&prefix=a", "consistency=session&min-revision=1", "max-staleness=1h1.5m", "format=env&prefix=a"} {
		f.Add(query, "application/x-ndjson")
		f.Add(query, "application/vnd.conclave.entry+json;q=0.3")
	}
	f.Fuzz(func(t *testing.T, query, accept string) {
		if strings.ContainsFunc(query, func(r rune) bool { return r <= ' ' || r > '~' || r == '#' }) {
			return // no query
		}
		for _, path := range []string{"/v1/kv/pay/a", "/v1/keys/pay", "/v1/render/pay"} {
			q := request{method: "GET", target: path + "?" + query, header: []string{"Accept: " + accept}}
			if strings.Contains(query, "session") {
				return // it may take its time
			}
			got := fuzzAPI(t).do(q)
			refused := got.status == 400 || path == "/v1/render/pay" && got.status == 409
			if got.status != 200 && !refused {
				t.Errorf("%q: status %d", q.target, got.status)
			}
			c.check(t, q, got)
		}
	})
}

// FuzzPatch sends arbitrary bytes as a merge patch. Applied twice it does what it
// does once, and what it leaves is JSON.
func FuzzPatch(f *testing.F) {
	c := theContract(f)
	for _, seed := range []string{`{"a":null,"b":{"c":[1]}}`, `[1e400]`, `{"a":{"a":{"x":1.50}},"a":1}`, `null`, `"\ud800"`, ``, ` {} `} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, patch string) {
		a := fuzzAPI(t)
		if _, err := a.store.Put(t.Context(), config.Put{Namespace: "pay", Key: "a", Value: []byte(`{"a":{"a":1},"b":[2]}`), MediaType: "application/json"}); err != nil {
			t.Fatal(err)
		}
		var values []string
		for range 2 {
			q := patchOf(patch, "If-Match: *")
			got := a.do(q)
			c.check(t, q, got)
			if got.status == 400 && len(values) == 0 {
				return
			}
			got.want(t, 200, "")
			values = append(values, a.do(request{method: "GET", target: "/v1/kv/pay/a"}).body)
		}
		if values[0] != values[1] || !json.Valid([]byte(values[0])) {
			t.Errorf("%q leaves %q and then %q", patch, values[0], values[1])
		}
	})
}

// fuzzAPI returns an API whose store has one key. It delivers no changes, so
// nothing has to be stopped.
func fuzzAPI(t *testing.T) *api {
	state := config.NewState()
	a := &api{t: t, fake: &fakeReplicator{state: state}}
	var err error
	if a.store, err = config.NewStore(state, a.fake, config.StoreOptions{}); err != nil {
		t.Fatal(err)
	}
	if a.handler, err = httpapi.New(httpapi.Options{Store: a.store, Cluster: fakeStatus{}}); err != nil {
		t.Fatal(err)
	}
	a.put("a", "1")
	return a
}
