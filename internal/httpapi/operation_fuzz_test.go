package httpapi_test

import (
	"bufio"
	"context"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/conclave-dev/conclave/internal/httpapi"
)

// secret is a value that only its readers may see.
const secret = "value-that-nobody-else-may-see"

// operation is a method of a row of the table of what is served.
type operation struct {
	method string
	httpapi.Route
}

// allOperations are those of the table, in its order.
func allOperations() (list []operation) {
	for _, row := range httpapi.Routes() {
		for _, method := range row.Methods {
			list = append(list, operation{method, row})
		}
	}
	return list
}

// aim returns the path of the operation for a namespace and a second name.
func (o operation) aim(namespace, name string) string {
	names := strings.NewReplacer("{namespace}", url.PathEscape(namespace), "{key}", url.PathEscape(name), "{prefix}", url.PathEscape(name))
	return names.Replace(o.Path)
}

// FuzzOperation sends each operation arbitrary names, queries, headers and bodies.
// It must get an answer that is documented for that operation, in the form of one,
// which quotes no value unless it was granted, changes nothing if it says so, and
// leaves nothing behind.
func FuzzOperation(f *testing.F) {
	operations := allOperations()
	for _, d := range slices.Concat(successes(), refusals(), schemaAnswers(), settingsAnswers(), watchRefusals()) {
		where, err := url.Parse(d.target)
		if err != nil {
			continue
		}
		path, names := httpapi.PathOf(where.Path)
		for i, o := range operations {
			if o.Path == path && o.method == d.method {
				namespace, name := names["namespace"], names["key"]+names["prefix"] // of which it has one
				f.Add(uint8(i), namespace, name, where.RawQuery, strings.Join(d.header, "\r\n"), d.body[:min(len(d.body), 500)])
			}
		}
	}
	c := theContract(f)
	f.Fuzz(func(t *testing.T, which uint8, namespace, name, query, header, body string) {
		o := operations[int(which)%len(operations)]
		if strings.ContainsAny(query, " \r\n\t\x00#") || strings.Contains(header, "\r\n\r\n") {
			return // which is another request
		}
		head := o.method + " " + o.aim(namespace, name) + "?" + query + " HTTP/1.1\r\nHost: localhost\r\n" + strings.Trim(header, "\r\n") + "\r\n\r\n"
		r, err := http.ReadRequest(bufio.NewReader(strings.NewReader(strings.Replace(head, "\r\n\r\n\r\n", "\r\n\r\n", 1))))
		if err != nil {
			return // net/http refuses it
		}
		r = inHaste(r)
		bytes := httptest.NewRequest(http.MethodPost, "/", strings.NewReader(body))
		r.Body, r.ContentLength = bytes.Body, bytes.ContentLength
		a := fuzzAPI(t)
		a.put("db/secret", secret)
		before := a.store.Revision()
		w := httptest.NewRecorder()
		a.handler.ServeHTTP(w, r)
		checkOperation(t, c, a, r, w, before)
	})
}

// inHaste makes a request that may wait one of a client that has left, so that it
// doesn't.
func inHaste(r *http.Request) *http.Request {
	query := r.URL.Query()
	if !strings.HasPrefix(r.URL.Path, "/v1/watch/") && !query.Has("wait") && !query.Has("min-revision") && r.Header.Get("Prefer") == "" {
		return r
	}
	gone, leave := context.WithCancel(context.Background())
	leave()
	return r.WithContext(gone)
}

// checkOperation holds an answer to what FuzzOperation says.
func checkOperation(t *testing.T, c *contract, a *api, r *http.Request, w *httptest.ResponseRecorder, before uint64) {
	t.Helper()
	path, _ := httpapi.PathOf(r.URL.Path)
	operation := c.route(path, r.Method).Operation
	documented := operation.Responses.Status(w.Code)
	if documented == nil {
		t.Fatalf("%s %s: status %d isn't documented: %s", r.Method, r.URL, w.Code, w.Body)
	}
	got := reply{w.Code, w.Header(), w.Body.String()}
	checkEveryReply(t, got)
	if w.Code >= 400 && w.Code != http.StatusGatewayTimeout || w.Code < 400 && (r.Method == http.MethodGet || r.Method == http.MethodHead) {
		if now := a.store.Revision(); now != before {
			t.Errorf("%s %s: status %d, and revision %d became %d", r.Method, r.URL, w.Code, before, now)
		}
	}
	if w.Code >= 400 {
		p := got.problem(t)
		if codes := problemCodes(documented.Value); p.Status != w.Code || p.Title == "" || p.RequestID == "" || p.Outcome != "rejected" && p.Outcome != "unknown" ||
			!slices.Contains(codes, p.Code) && !httpapi.IsInvalid(p.Code) {
			t.Errorf("%s %s: %+v, and the codes of status %d are %v", r.Method, r.URL, p, w.Code, codes)
		}
		if strings.Contains(got.body, secret) {
			t.Errorf("%s %s: %s", r.Method, r.URL, got.body)
		}
	}
	if length := w.Header().Get("Content-Length"); length != "" && r.Method != http.MethodHead && length != strconv.Itoa(w.Body.Len()) {
		t.Errorf("%s %s: %d bytes are said to be %s", r.Method, r.URL, w.Body.Len(), length)
	}
	if l, n := a.handler.Load(), a.store.Watching(); l.Requests != 0 || l.Streams != 0 || n != 0 {
		t.Errorf("%s %s: %+v and %d watches are left", r.Method, r.URL, l, n)
	}
}
