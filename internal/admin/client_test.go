package admin_test

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"reflect"
	"strings"
	"testing"

	"go.uber.org/goleak"

	"github.com/conclave-dev/conclave/internal/admin"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// node starts a server that answers each request with handle, and returns a
// client for it.
func node(t *testing.T, handle http.HandlerFunc) *admin.Client {
	t.Helper()
	server := httptest.NewServer(handle)
	t.Cleanup(server.Close)
	return &admin.Client{BaseURL: server.URL, Token: "secret-of-the-operator", HTTPClient: server.Client()}
}

// reply writes status, type and body.
func reply(w http.ResponseWriter, status int, mediaType, body string) {
	w.Header().Set("Content-Type", mediaType)
	w.WriteHeader(status)
	_, _ = w.Write([]byte(body)) // a client that left is not this test's subject
}

func TestStatusIsAskedForWithTheTokenAndDecoded(t *testing.T) {
	contact := int64(12)
	want := &admin.Status{
		Name: "cfg-1", ClusterID: "c1", MemberID: "000000000000000b", Version: "1.2.3",
		State: admin.StateRunning, Role: "Leader", Term: 7, CommitIndex: 40, Ready: true,
		Members: []admin.Member{{MemberID: "000000000000000a", Name: "cfg-0", Role: "Voter", SinceContactMillis: &contact}},
	}
	client := node(t, func(w http.ResponseWriter, r *http.Request) {
		if got := r.Method + " " + r.URL.Path; got != "GET /admin/v1/status" {
			t.Errorf("request = %s, want GET /admin/v1/status", got)
		}
		if got := r.Header.Get("Authorization"); got != "Bearer secret-of-the-operator" {
			t.Errorf("Authorization = %q, want the bearer token", got)
		}
		body, err := json.Marshal(want)
		if err != nil {
			t.Error(err)
		}
		reply(w, 200, "application/json; charset=utf-8", string(body))
	})
	got, err := client.Status(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("Status = %+v, want %+v", got, want)
	}
}

func TestFieldsOfANewerNodeAreIgnored(t *testing.T) {
	client := node(t, func(w http.ResponseWriter, _ *http.Request) {
		reply(w, 200, "application/json", `{"name":"cfg-0","invention":{"of":"tomorrow"}}`)
	})
	if status, err := client.Status(t.Context()); err != nil || status.Name != "cfg-0" {
		t.Errorf("Status = %+v, %v, want the node cfg-0", status, err)
	}
}

func TestARefusalIsAProblem(t *testing.T) {
	client := node(t, func(w http.ResponseWriter, _ *http.Request) {
		reply(w, 401, admin.ProblemType, `{"title":"Not known here","code":"unauthorized","detail":"wrong token","status":200}`)
	})
	_, err := client.Status(t.Context())
	var problem *admin.Problem
	if !errors.As(err, &problem) {
		t.Fatalf("Status = %v, want a *Problem", err)
	}
	want := admin.Problem{Title: "Not known here", Code: "unauthorized", Detail: "wrong token", Status: 401}
	if *problem != want {
		t.Errorf("problem = %+v, want %+v", *problem, want)
	}
	if text := problem.Error(); text != "Not known here: wrong token (HTTP 401 unauthorized)" {
		t.Errorf("Error = %q", text)
	}
}

func TestRepliesThatNoNodeWouldGiveAreErrors(t *testing.T) {
	for name, c := range map[string]struct {
		status          int
		mediaType, body string
		says            string
	}{
		"another server's page":    {200, "text/html", "<p>hello</p>", "not the operations port"},
		"another server's refusal": {404, "text/plain", "not found", "HTTP 404 without a problem"},
		"a broken problem":         {500, admin.ProblemType, "{", "HTTP 500 with a problem that can't be read"},
		"broken JSON":              {200, "application/json", `{"term":"many"}`, "decode the reply"},
		"a reply without end":      {200, "application/json", `"` + strings.Repeat("x", 1<<20) + `"`, "longer than 1048576 bytes"},
	} {
		t.Run(name, func(t *testing.T) {
			client := node(t, func(w http.ResponseWriter, _ *http.Request) { reply(w, c.status, c.mediaType, c.body) })
			status, err := client.Status(t.Context())
			if err == nil {
				t.Fatalf("Status = %+v, want an error", status)
			}
			if !strings.Contains(err.Error(), c.says) || !strings.Contains(err.Error(), client.BaseURL) {
				t.Errorf("error %q does not say %q and whom it asked", err, c.says)
			}
		})
	}
}

func TestTheTokenIsNotCarriedToAnotherServer(t *testing.T) {
	other := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
		t.Error("the client followed a redirect")
	}))
	defer other.Close()
	client := node(t, func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, other.URL, http.StatusFound) })
	if _, err := client.Status(t.Context()); err == nil {
		t.Error("a redirect was taken for an answer")
	}
}

func TestStatusEndsWithItsContext(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	client := node(t, func(_ http.ResponseWriter, r *http.Request) {
		cancel()
		<-r.Context().Done()
	})
	if _, err := client.Status(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("Status = %v, want context.Canceled", err)
	}
}

func TestBaseURLsOfAnotherFormAreRefused(t *testing.T) {
	for _, base := range []string{"", "127.0.0.1:8402", "ftp://a", "http://", "http://a:8402/deep", "http://user@a", "http://a?x=1", "http://a\n"} {
		client := &admin.Client{BaseURL: base, Token: "t"}
		if _, err := client.Status(t.Context()); err == nil {
			t.Errorf("a client for %q asked somebody", base)
		}
	}
}
