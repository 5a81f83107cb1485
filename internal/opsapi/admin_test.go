package opsapi_test

import (
	"bytes"
	"errors"
	"log/slog"
	"net/http/httptest"
	"os"
	"reflect"
	"strings"
	"testing"

	"github.com/conclave-dev/conclave/internal/admin"
	"github.com/conclave-dev/conclave/internal/opsapi"
)

// status asks for the node's status with the value of an Authorization header,
// and returns the HTTP status.
func status(t *testing.T, o opsapi.Options, authorization string) int {
	t.Helper()
	response, _ := ask(port(t, o), "GET", "/admin/v1/status", "Authorization: "+authorization)
	return response.StatusCode
}

func TestTheClientOfPackageAdminReadsTheStatus(t *testing.T) {
	want := admin.Status{Name: "cfg-0", Managed: true, State: admin.StateRunning, Role: "Follower", Leader: "cfg-1", Term: 3,
		Members: []admin.Member{{MemberID: "000000000000000a", Name: "cfg-0", Role: "Voter"}}}
	server := httptest.NewServer(port(t, options(t, &fakeNode{status: want})))
	defer server.Close()
	for _, token := range []string{adminToken, operatorToken} {
		client := &admin.Client{BaseURL: server.URL, Token: token, HTTPClient: server.Client()}
		got, err := client.Status(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if !reflect.DeepEqual(*got, want) {
			t.Errorf("Status = %+v, want %+v", *got, want)
		}
	}
	stranger := &admin.Client{BaseURL: server.URL, Token: "stranger-0123456789abcdef", HTTPClient: server.Client()}
	_, err := stranger.Status(t.Context())
	var refusal *admin.Problem
	if !errors.As(err, &refusal) || refusal.Code != "unauthorized" || refusal.Retryable {
		t.Errorf("a stranger's Status = %v, want the problem unauthorized", err)
	}
}

func TestAdminNeedsOneOfTheTokens(t *testing.T) {
	o := options(t, &fakeNode{})
	for authorization, want := range map[string]int{
		"":                            401,
		"Bearer":                      401,
		"Bearer ":                     401,
		adminToken:                    401,
		"Basic " + adminToken:         401,
		"Bearer " + adminToken + "x":  401,
		"Bearer " + adminToken[:20]:   401,
		"Bearer  " + adminToken:       401,
		"Bearer " + adminToken + "\n": 401,
		"Bearer " + adminToken:        200,
		"bearer " + adminToken:        200,
		"Bearer " + operatorToken:     200,
	} {
		if got := status(t, o, authorization); got != want {
			t.Errorf("Authorization %q: HTTP %d, want %d", authorization, got, want)
		}
	}
}

func TestWithoutTokenFilesAdminRefusesEverybody(t *testing.T) {
	o := options(t, &fakeNode{})
	o.AdminTokenFile, o.OperatorTokenFile = "", ""
	for _, authorization := range []string{"", "Bearer", "Bearer ", "Bearer " + adminToken} {
		if got := status(t, o, authorization); got != 401 {
			t.Errorf("Authorization %q: HTTP %d, want 401", authorization, got)
		}
	}
}

func TestWhatDoesNotExistIsHiddenFromStrangers(t *testing.T) {
	response, body := ask(port(t, options(t, &fakeNode{})), "GET", "/admin/v1/unknown")
	if p := problem(t, response, body); p.Code != "unauthorized" {
		t.Errorf("problem = %+v, want unauthorized", p)
	}
	if got := response.Header.Get("WWW-Authenticate"); got != `Bearer realm="conclave"` {
		t.Errorf("WWW-Authenticate = %q, want the scheme that is asked for", got)
	}
}

func TestATokenIsChangedByChangingItsFile(t *testing.T) {
	o := options(t, &fakeNode{})
	handler := port(t, o)
	const next = "Bearer next-0123456789abcdef"
	expect := func(when, authorization string, want int) {
		t.Helper()
		if response, _ := ask(handler, "GET", "/admin/v1/status", "Authorization: "+authorization); response.StatusCode != want {
			t.Errorf("%s: HTTP %d, want %d", when, response.StatusCode, want)
		}
	}
	rewrite := func(content string) {
		t.Helper()
		if err := os.WriteFile(o.AdminTokenFile, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	expect("new token before", next, 401)
	rewrite(adminToken + "\n\nnext-0123456789abcdef\r\n")
	expect("old token while both are listed", "Bearer "+adminToken, 200)
	expect("new token while both are listed", next, 200)
	rewrite("next-0123456789abcdef")
	expect("old token after", "Bearer "+adminToken, 401)
	expect("new token after", next, 200)
	rewrite("")
	expect("while the file is empty", next, 503)
	expect("another file's token while this one is empty", "Bearer "+operatorToken, 200)
	rewrite(adminToken)
	expect("after it was mended", "Bearer "+adminToken, 200)
}

func TestTokensAreNeitherLoggedNorShown(t *testing.T) {
	var log bytes.Buffer
	o := options(t, &fakeNode{})
	o.Log = slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	handler := port(t, o)
	const guess = "guess-0123456789abcdef"
	for _, token := range []string{adminToken, operatorToken, guess} {
		response, body := ask(handler, "GET", "/admin/v1/status", "Authorization: Bearer "+token)
		log.WriteString(body)
		for name, values := range response.Header {
			log.WriteString(name + strings.Join(values, ""))
		}
	}
	for _, token := range []string{adminToken, operatorToken, guess} {
		if strings.Contains(log.String(), token) {
			t.Errorf("token %q was shown in:\n%s", token, log.String())
		}
	}
	for _, wanted := range []string{"role=admin", "role=operator", "no valid token"} {
		if !strings.Contains(log.String(), wanted) {
			t.Errorf("the log lacks %q:\n%s", wanted, log.String())
		}
	}
}

func TestAPortThatCannotWorkDoesNotStart(t *testing.T) {
	const secret = "hush-0123456789abcdef"
	for says, change := range map[string]func(o *opsapi.Options){
		"the node is missing":       func(o *opsapi.Options) { o.Node = nil },
		"the steward is missing":    func(o *opsapi.Options) { o.Steward = nil },
		"the metrics are missing":   func(o *opsapi.Options) { o.Metrics = nil },
		"timeout is negative":       func(o *opsapi.Options) { o.ProbeTimeout = -1 },
		"no such file":              func(o *opsapi.Options) { o.AdminTokenFile += ".gone" },
		"holds no token":            func(o *opsapi.Options) { o.AdminTokenFile = tokenFile(t, "f", " \n\n") },
		"line 2: a token has 16":    func(o *opsapi.Options) { o.AdminTokenFile = tokenFile(t, "f", secret+"\nshort") },
		"visible ASCII":             func(o *opsapi.Options) { o.AdminTokenFile = tokenFile(t, "f", secret+" "+secret) },
		"holds 17 tokens":           func(o *opsapi.Options) { o.AdminTokenFile = tokenFile(t, "f", strings.Repeat(secret+"\n", 17)) },
		"it is longer than 16416":   func(o *opsapi.Options) { o.AdminTokenFile = tokenFile(t, "f", strings.Repeat(secret, 2000)) },
		"the role admin as well":    func(o *opsapi.Options) { o.OperatorTokenFile = tokenFile(t, "f", adminToken) },
		"is a directory":            func(o *opsapi.Options) { o.AdminTokenFile = t.TempDir() },
		"a token has 16 to 1024 by": func(o *opsapi.Options) { o.AdminTokenFile = tokenFile(t, "f", strings.Repeat("x", 1025)) },
	} {
		o := options(t, &fakeNode{})
		change(&o)
		_, err := opsapi.New(o)
		if err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("New = %v, want an error that says %q", err, says)
		} else if strings.Contains(err.Error(), secret) {
			t.Errorf("error %q shows a token", err)
		}
	}
}
