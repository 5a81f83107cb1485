package httpapi_test

import (
	"maps"
	"strings"
	"testing"

	"github.com/conclave-dev/conclave/pkg/config"
)

// sameAnswer tells whether two replies say the same about a write.
func sameAnswer(t *testing.T, first, second reply) {
	t.Helper()
	if first.status != second.status || withoutID(first.body) != withoutID(second.body) {
		t.Errorf("first %d %q, and again %d %q", first.status, first.body, second.status, second.body)
	}
	for _, name := range []string{"Etag", "Conclave-Consistency", "Conclave-Revision"} {
		if got, want := second.header.Get(name), first.header.Get(name); got != want {
			t.Errorf("header %s is %q, and was %q", name, got, want)
		}
	}
}

// withoutID returns a problem without what names the one request.
func withoutID(body string) string {
	rest, _, _ := strings.Cut(body, `,"requestId"`)
	return rest
}

func TestAWriteSentAgainWithItsKeyGetsItsFirstAnswer(t *testing.T) {
	write := func(method, key, body string, header ...string) request {
		if method == "PATCH" {
			header = append(header, "Content-Type: application/merge-patch+json")
		}
		return request{method: method, target: "/v1/kv/pay/" + key, body: body, header: append(header, "Idempotency-Key: one")}
	}
	for name, c := range map[string]struct {
		request request
		status  int
	}{
		"create":          {write("PUT", "new", "v"), 201},
		"create only":     {write("PUT", "new", "v", "If-None-Match: *"), 201},
		"overwrite":       {write("PUT", "a", "v", `If-Match: "1"`), 200},
		"patch":           {write("PATCH", "a", `{"x":2,"n":{"y":1}}`, `If-Match: "1"`), 200},
		"delete":          {write("DELETE", "a", ""), 204},
		"delete of one":   {write("DELETE", "a", "", `If-Match: "1"`), 204},
		"refused put":     {write("PUT", "a", "v", "If-None-Match: *"), 412},
		"refused patch":   {write("PATCH", "a", `{}`, `If-Match: "9"`), 412},
		"refused delete":  {write("DELETE", "none", ""), 404},
		"patch of no key": {write("PATCH", "none", `{}`, `If-Match: "0"`), 404},
	} {
		for _, lost := range []bool{false, true} {
			t.Run(strings.ReplaceAll(name, " ", "_"), func(t *testing.T) {
				a := newAPI(t, nil)
				a.putJSON("a", `{"x":1}`)
				base := a.serve()
				if lost {
					a.fake.set(func(f *fakeReplicator) { f.loss = config.ErrOutcomeUnknown })
					send(t, base, c.request)
					a.fake.set(func(f *fakeReplicator) { f.loss = nil })
				}
				first := send(t, base, c.request)
				first.want(t, c.status, "-")
				revision := a.store.Revision()
				// Others write, in a way that the write would now do something else.
				if c.request.method != "PATCH" || c.status < 300 {
					a.putJSON("a", `{"x":3}`)
					a.putJSON("new", `{"x":3}`)
					a.putJSON("none", `{"x":3}`)
					revision += 3
				}
				sameAnswer(t, first, send(t, base, c.request))
				sameAnswer(t, first, send(t, base, c.request))
				if now := a.store.Revision(); now != revision {
					t.Errorf("revision %d became %d", revision, now)
				}
			})
		}
	}
}

func TestAnIdempotencyKeyBelongsToOneWriteOfItsNamespace(t *testing.T) {
	a := newAPI(t, nil)
	a.putJSON("a", `{"x":1}`)
	base := a.serve()
	keyed := func(q request) request {
		q.header = append(q.header, "Idempotency-Key: one")
		return q
	}
	put := request{method: "PUT", target: "/v1/kv/pay/b", body: "v"}
	send(t, base, keyed(put)).want(t, 201, "")
	other := map[string]request{
		"other bytes":     {method: "PUT", target: put.target, body: "w"},
		"other type":      {method: "PUT", target: put.target, body: "v", header: []string{"Content-Type: text/plain"}},
		"other key":       {method: "PUT", target: "/v1/kv/pay/c", body: "v"},
		"other condition": {method: "PUT", target: put.target, body: "v", header: []string{"If-Match: *"}},
		"other method":    {method: "DELETE", target: put.target},
		"a patch":         patchOf(`{"x":2}`, `If-Match: "1"`),
	}
	for name, q := range maps.All(other) {
		t.Run(name, func(t *testing.T) { send(t, base, keyed(q)).wantProblem(t, 422, "idempotency_key_reused") })
	}
	send(t, base, keyed(elsewhere(put, "/v1/kv/shop/b"))).want(t, 201, "")
	send(t, base, elsewhere(put, "/v1/kv/pay/c")).want(t, 201, "") // without the key
}
