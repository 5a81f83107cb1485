package httpapi_test

import (
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
)

// FuzzWatch asks for the headers of watches with arbitrary queries, cursors and
// forms: every answer is a documented one, and no place among the watches is lost.
func FuzzWatch(f *testing.F) {
	for _, d := range slices.Concat(watchRefusals(), pastRefusals()) {
		_, query, _ := strings.Cut(d.target, "?")
		f.Add(query, "", "")
	}
	f.Add("prefix=db/&from=3", "7", "application/x-ndjson")
	f.Add("initial=1&consistency=local", "", "text/event-stream;q=0.5, application/x-ndjson;q=0")
	f.Fuzz(func(t *testing.T, query, last, accept string) {
		if strings.Contains(query, "session") {
			return // which may take its time
		}
		a := fuzzAPI(t)
		r := httptest.NewRequest("HEAD", "/v1/watch/pay", nil)
		r.Host, r.URL.RawQuery = "localhost", query
		r.Header.Set("Last-Event-ID", last)
		r.Header.Set("Accept", accept)
		w := httptest.NewRecorder()
		a.handler.ServeHTTP(w, r)
		if !slices.Contains([]int{200, 400, 504}, w.Code) {
			t.Fatalf("%q: status %d: %s", query, w.Code, w.Body)
		}
		if n := a.store.Watching(); n != 0 || a.handler.Serving() != 0 {
			t.Fatalf("%q: %d watches and %d requests are left", query, n, a.handler.Serving())
		}
	})
}
