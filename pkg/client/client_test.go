package client_test

import (
	"context"
	"encoding/json"
	"errors"
	"net"
	"net/http"
	"net/http/httptest"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/conclave-dev/conclave/pkg/client"
)

func TestWhatIsPutIsGot(t *testing.T) {
	_, c := start(t)
	for key, value := range map[string]string{
		"db/url":            "postgres://x",
		"empty":             "",
		"bytes":             "\xff\x00\xfe",
		"a b/ü+&?#%2F;=/日本": "any name",
	} {
		revision, err := c.Put(t.Context(), "pay", key, []byte(value), client.PutOptions{Type: "text/x-test"})
		if err != nil {
			t.Fatal(err)
		}
		got, err := c.Get(t.Context(), "pay", key, client.ReadOptions{})
		if err != nil {
			t.Fatal(err)
		}
		want := &client.Entry{Namespace: "pay", Key: key, Revision: revision, CreateRevision: revision,
			Version: 1, Type: "text/x-test", Value: []byte(value)}
		if !reflect.DeepEqual(got, want) {
			t.Errorf("Get = %+v, want %+v", got, want)
		}
		var again client.Entry
		if text, err := json.Marshal(got); err != nil {
			t.Error(err)
		} else if err := json.Unmarshal(text, &again); err != nil || !reflect.DeepEqual(again, *want) {
			t.Errorf("%s decodes to %+v, %v, want %+v", text, again, err, want)
		}
	}
}

func TestConditionsGuardWrites(t *testing.T) {
	ctx := t.Context()
	_, c := start(t)
	first, err := c.Put(ctx, "pay", "k", []byte("1"), client.PutOptions{IfAbsent: true})
	if err != nil {
		t.Fatal(err)
	}
	second, err := c.Put(ctx, "pay", "k", []byte("2"), client.PutOptions{IfRevision: first})
	if err != nil {
		t.Fatal(err)
	}
	for name, write := range map[string]func() (uint64, error){
		"create what exists": func() (uint64, error) {
			return c.Put(ctx, "pay", "k", nil, client.PutOptions{IfAbsent: true})
		},
		"put on an old revision": func() (uint64, error) {
			return c.Put(ctx, "pay", "k", nil, client.PutOptions{IfRevision: first})
		},
		"delete on an old revision": func() (uint64, error) {
			return c.Delete(ctx, "pay", "k", client.DeleteOptions{IfRevision: first})
		},
	} {
		_, err := write()
		var refusal *client.Error
		if !errors.Is(err, client.ErrChanged) || !errors.As(err, &refusal) {
			t.Errorf("%s: %v, want ErrChanged", name, err)
			continue
		}
		if refusal.CurrentRevision != second || refusal.Outcome != client.Rejected || refusal.RequestID != "r-1" {
			t.Errorf("%s: %+v, want it rejected with revision %d", name, refusal, second)
		}
	}
	if _, err := c.Delete(ctx, "pay", "k", client.DeleteOptions{IfRevision: second}); err != nil {
		t.Error(err)
	}
	if _, err := c.Get(ctx, "pay", "k", client.ReadOptions{}); !errors.Is(err, client.ErrNotFound) {
		t.Errorf("Get after Delete = %v, want ErrNotFound", err)
	}
	if _, err := c.Delete(ctx, "pay", "k", client.DeleteOptions{}); !errors.Is(err, client.ErrNotFound) {
		t.Errorf("second Delete = %v, want ErrNotFound", err)
	}
}

func TestPagesWalkTheWholeListing(t *testing.T) {
	_, c := start(t)
	for _, key := range []string{"a", "b/1", "b/2", "b/3", "c"} {
		if _, err := c.Put(t.Context(), "pay", key, []byte("v"), client.PutOptions{}); err != nil {
			t.Fatal(err)
		}
	}
	var pages [][]string
	for page, err := range c.Pages(t.Context(), "pay", client.ListOptions{Prefix: "b/", Limit: 2}) {
		if err != nil {
			t.Fatal(err)
		}
		var keys []string
		for _, e := range page.Entries {
			keys = append(keys, e.Key)
			if e.Value != nil {
				t.Errorf("%s came with a value that nobody asked for", e.Key)
			}
		}
		pages = append(pages, keys)
	}
	if want := [][]string{{"b/1", "b/2"}, {"b/3"}}; !reflect.DeepEqual(pages, want) {
		t.Errorf("pages = %q, want %q", pages, want)
	}
	page, err := c.List(t.Context(), "pay", client.ListOptions{Prefix: "c", Values: true})
	if err != nil {
		t.Fatal(err)
	}
	if len(page.Entries) != 1 || string(page.Entries[0].Value) != "v" || page.Revision != 5 {
		t.Errorf("List with values = %+v, want c with its value at revision 5", page)
	}
}

func TestAListingThatDoesNotAdvanceEnds(t *testing.T) {
	requests := 0
	c := connect(t, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		requests++
		w.Header().Set("Content-Type", "application/json")
		_, _ = w.Write([]byte(`{"entries":[],"next":"same"}`))
	}))
	var last error
	for _, err := range c.Pages(t.Context(), "pay", client.ListOptions{}) {
		last = err
	}
	if last == nil || requests != 2 {
		t.Errorf("the listing ended with %v after %d requests, want an error after 2", last, requests)
	}
}

func TestRefusalsTellWhatBecameOfTheWrite(t *testing.T) {
	for name, c := range map[string]struct {
		answer  http.HandlerFunc
		outcome client.Outcome
		retry   bool
		after   time.Duration
		says    string
	}{
		"rejected for now": {func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Retry-After", "3")
			problem(w, 503, `"code":"no_leader","title":"No leader is known","outcome":"rejected","retryable":true`)
		}, client.Rejected, true, 3 * time.Second, "HTTP 503: no_leader: No leader is known"},
		"unknown": {func(w http.ResponseWriter, _ *http.Request) {
			problem(w, 504, `"code":"outcome_unknown","title":"Not known","outcome":"unknown","retryable":false`)
		}, client.Unknown, false, 0, "it may have been applied all the same"},
		"a node that doesn't say": {func(w http.ResponseWriter, _ *http.Request) {
			problem(w, 500, `"code":"internal","title":"Broken"`)
		}, client.Unknown, false, 0, "may have been applied"},
		"another node's path": {func(w http.ResponseWriter, _ *http.Request) {
			problem(w, 404, `"code":"no_such_endpoint","title":"Nothing is served at this path","outcome":"rejected"`)
		}, client.Rejected, false, 0, "HTTP 404: no_such_endpoint"},
		"something between": {func(w http.ResponseWriter, _ *http.Request) {
			http.Error(w, "bad gateway", 502)
		}, client.Unknown, false, 0, "is this the client port of a node?"},
		"a redirect": {func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, "http://127.0.0.1:1/", http.StatusTemporaryRedirect)
		}, client.Unknown, false, 0, "HTTP 307"},
		"a success without a revision": {func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(201)
		}, client.Unknown, false, 0, "Conclave-Revision"},
		"a connection that breaks": {func(http.ResponseWriter, *http.Request) {
			panic(http.ErrAbortHandler)
		}, client.Unknown, false, 0, "EOF"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := connect(t, c.answer).Put(t.Context(), "pay", "k", []byte("hush"), client.PutOptions{})
			var refusal *client.Error
			if !errors.As(err, &refusal) {
				t.Fatalf("Put = %v, want an *Error", err)
			}
			if errors.Is(err, client.ErrNotFound) {
				t.Errorf("%v is called a missing key", err)
			}
			if refusal.Outcome != c.outcome || refusal.Retryable != c.retry || refusal.RetryAfter != c.after {
				t.Errorf("%+v, want outcome %s, retryable %v after %v", refusal, c.outcome, c.retry, c.after)
			}
			if text := err.Error(); !strings.Contains(text, c.says) || !strings.Contains(text, "PUT /v1/kv/pay/k") || strings.Contains(text, "hush") {
				t.Errorf("error %q: want %q, the request, and not the value", text, c.says)
			}
		})
	}
}

func TestAWriteThatNobodyGotIsRejected(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	listener.Close() // nobody listens there now
	c, err := client.New(client.Options{Endpoints: []string{"http://" + listener.Addr().String()}, Attempts: 1})
	if err != nil {
		t.Fatal(err)
	}
	_, err = c.Put(t.Context(), "pay", "k", nil, client.PutOptions{})
	var refusal *client.Error
	if !errors.As(err, &refusal) || refusal.Outcome != client.Rejected || !refusal.Retryable {
		t.Errorf("Put = %+v, want it rejected and retryable", err)
	}
}

func TestAWriteAbandonedUnderWayIsUnknownAndAReadIsNot(t *testing.T) {
	for _, write := range []bool{true, false} {
		ctx, cancel := context.WithCancel(t.Context())
		c := connect(t, http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
			cancel()
			<-r.Context().Done()
		}))
		var err error
		want := client.Rejected
		if write {
			_, err = c.Put(ctx, "pay", "k", nil, client.PutOptions{})
			want = client.Unknown
		} else {
			_, err = c.Get(ctx, "pay", "k", client.ReadOptions{})
		}
		var refusal *client.Error
		if !errors.As(err, &refusal) || !errors.Is(err, context.Canceled) || refusal.Outcome != want {
			t.Errorf("write %v: %+v, want context.Canceled with outcome %s", write, err, want)
		}
	}
}

func TestRepliesThatCannotBeReadAreErrors(t *testing.T) {
	for name, c := range map[string]struct{ mediaType, body, says string }{
		"not JSON":           {"text/html", "<p>", "not JSON but text/html"},
		"broken JSON":        {"application/json", "{", "decode the reply"},
		"two values at once": {"application/json", `{"text":"a","base64":"YQ=="}`, "both text and base64"},
		"without end":        {"application/json", strings.Repeat(" ", 16<<20+1), "longer than 16777216 bytes"},
	} {
		t.Run(name, func(t *testing.T) {
			store := connect(t, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				w.Header().Set("Content-Type", c.mediaType)
				_, _ = w.Write([]byte(c.body)) // the client may leave before the end
			}))
			if entry, err := store.Get(t.Context(), "pay", "k", client.ReadOptions{}); err == nil || !strings.Contains(err.Error(), c.says) {
				t.Errorf("Get = %+v, %v, want an error that says %q", entry, err, c.says)
			}
		})
	}
}

func TestReadOptionsAreSent(t *testing.T) {
	var asked []string
	c := connect(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked = append(asked, r.URL.String())
		w.Header().Set("Content-Type", "application/json")
		_, _ = w.Write([]byte("{}"))
	}))
	ctx := t.Context()
	_, err1 := c.Get(ctx, "pay", "k", client.ReadOptions{Consistency: client.Local})
	_, err2 := c.List(ctx, "pay", client.ListOptions{Prefix: "a&b", Delimiter: "/", Limit: 5, Cursor: "c", Values: true})
	_, err3 := c.Cluster(ctx)
	if err := errors.Join(err1, err2, err3); err != nil {
		t.Fatal(err)
	}
	want := []string{
		"/v1/kv/pay/k?consistency=local",
		"/v1/keys/pay?cursor=c&delimiter=%2F&limit=5&prefix=a%26b&values=1",
		"/v1/cluster",
	}
	if !slices.Equal(asked, want) {
		t.Errorf("asked %q, want %q", asked, want)
	}
}

func TestRequestsThatCannotBeMeantAreNotSent(t *testing.T) {
	c := connect(t, http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { t.Errorf("sent %s", r.URL) }))
	for _, key := range []string{"", "/", "a//b", "../x", "a/./b", "a/"} {
		if _, err := c.Put(t.Context(), "pay", key, nil, client.PutOptions{}); err == nil {
			t.Errorf("key %q was accepted", key)
		}
	}
	if _, err := c.Get(t.Context(), "", "k", client.ReadOptions{}); err == nil {
		t.Error("an empty namespace was accepted")
	}
	if _, err := c.List(t.Context(), "", client.ListOptions{}); err == nil {
		t.Error("an empty namespace was accepted")
	}
}

func TestEndpointsOfAnotherFormAreRefused(t *testing.T) {
	for _, endpoint := range []string{"", "localhost:8400", "ftp://a", "http://", "http://a/v1", "http://u@a", "http://a?q", "http://a\x7f"} {
		if _, err := client.New(client.Options{Endpoints: []string{endpoint}}); err == nil {
			t.Errorf("New accepted the endpoint %q", endpoint)
		}
	}
	server := httptest.NewServer(http.NotFoundHandler())
	defer server.Close()
	if _, err := client.New(client.Options{Endpoints: []string{server.URL + "/"}}); err != nil {
		t.Errorf("a slash at the end: %v", err)
	}
}
