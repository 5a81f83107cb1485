package httpapi_test

import (
	"encoding/json"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
)

// FuzzTxn sends arbitrary bodies as transactions and rollbacks. Whatever they say,
// the answer is a documented one, and a refusal changes nothing.
func FuzzTxn(f *testing.F) {
	for _, d := range slices.Concat(txnSuccesses(), txnRefusals()) {
		f.Add(d.body[:min(len(d.body), 1000)])
	}
	f.Fuzz(func(t *testing.T, body string) {
		for _, target := range []string{"/v1/txn", "/v1/rollback/pay", "/v1/rollback/pay?dry-run=1"} {
			a := fuzzAPI(t)
			before := a.store.Revision()
			r := httptest.NewRequest("POST", target, strings.NewReader(body))
			r.Host = "localhost"
			r.Header.Set("Content-Type", "application/json")
			w := httptest.NewRecorder()
			a.handler.ServeHTTP(w, r)
			if !slices.Contains(documentedStatuses, w.Code) || !json.Valid(w.Body.Bytes()) {
				t.Fatalf("%s %q: status %d: %s", target, body, w.Code, w.Body)
			}
			if (w.Code >= 400 || strings.Contains(target, "dry-run")) && a.store.Revision() != before {
				t.Fatalf("%s %q: status %d, and something changed", target, body, w.Code)
			}
		}
	})
}
