package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"go.uber.org/goleak"
)

// A connection to a server that has closed goes away a moment after the test.
func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m, goleak.IgnoreAnyFunction("net/http.(*persistConn).readLoop"),
		goleak.IgnoreAnyFunction("net/http.(*persistConn).writeLoop"))
}

// outcome is all that one run leaves behind.
type outcome struct {
	status   int
	out, err string
}

// conclave runs one command line against a server that answers with handle.
func conclave(t *testing.T, handle http.HandlerFunc, in string, args ...string) outcome {
	t.Helper()
	server := httptest.NewServer(handle)
	defer server.Close()
	var out, err bytes.Buffer
	p := program{name: "conclave", env: environment(server.URL), in: strings.NewReader(in), out: &out, err: &err}
	status := p.run(t.Context(), args)
	return outcome{status, out.String(), strings.ReplaceAll(err.String(), server.URL, "ENDPOINT")}
}

// environment names a server as the cluster's endpoint.
func environment(url string) func(string) string {
	return func(name string) string {
		return map[string]string{
			"CONCLAVE_ENDPOINT": url, "CONCLAVE_OPS": url, "CONCLAVE_ADMIN_TOKEN": "token-0123456789abcdef",
		}[name]
	}
}

// answer returns a handler that wants one request, as "METHOD URL", and replies
// with JSON.
func answer(t *testing.T, want, body string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if got := r.Method + " " + r.URL.String(); got != want {
			t.Errorf("asked %q, want %q", got, want)
		}
		w.Header().Set("Content-Type", "application/json")
		w.Header().Set("Conclave-Revision", "48")
		_, _ = io.WriteString(w, body)
	}
}

// refuse returns a handler that refuses everything with these members.
func refuse(status int, members string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/problem+json")
		w.WriteHeader(status)
		fmt.Fprintf(w, "{%s}", members)
	}
}

func TestGetPrintsTheValueAndNothingElse(t *testing.T) {
	got := conclave(t, answer(t, "GET /v1/kv/pay/db/url", `{"key":"db/url","base64":"AP8K"}`), "", "get", "pay", "db/url")
	if want := (outcome{0, "\x00\xff\n", ""}); got != want {
		t.Errorf("got %+v, want %+v", got, want)
	}
	got = conclave(t, answer(t, "GET /v1/kv/pay/k?consistency=local", `{"key":"k","text":"v","revision":5}`), "",
		"get", "pay", "k", "--consistency", "local", "-o", "json")
	if want := (outcome{0, `{"namespace":"","key":"k","revision":5,"text":"v"}` + "\n", ""}); got != want {
		t.Errorf("got %+v, want %+v", got, want)
	}
}

func TestPutTakesItsValueFromOnePlace(t *testing.T) {
	file := filepath.Join(t.TempDir(), "app.json")
	if err := os.WriteFile(file, []byte(`{"a":1}`), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		in, args              string
		wantBody, wantHeaders string
	}{
		"flag":      {"", "--value v", "v", "Content-Type: text/plain; charset=utf-8"},
		"no bytes":  {"", "--value=", "", "Content-Type: text/plain; charset=utf-8"},
		"input":     {"from input\n", "- --if-absent", "from input\n", "Content-Type: application/octet-stream|If-None-Match: *"},
		"file":      {"", file, `{"a":1}`, "Content-Type: application/json"},
		"condition": {"", file + " --if-match 42 --type text/x", `{"a":1}`, `Content-Type: text/x|If-Match: "42"`},
	} {
		t.Run(name, func(t *testing.T) {
			got := conclave(t, func(w http.ResponseWriter, r *http.Request) {
				body, err := io.ReadAll(r.Body)
				if err != nil {
					t.Error(err)
				}
				if string(body) != c.wantBody || r.Method != "PUT" || r.URL.String() != "/v1/kv/pay/k" {
					t.Errorf("got %s %s with %q, want PUT of %q", r.Method, r.URL, body, c.wantBody)
				}
				for _, header := range strings.Split(c.wantHeaders, "|") {
					name, value, _ := strings.Cut(header, ": ")
					if r.Header.Get(name) != value {
						t.Errorf("%s = %q, want %q", name, r.Header.Get(name), value)
					}
				}
				w.Header().Set("Conclave-Revision", "48")
				w.WriteHeader(http.StatusCreated)
			}, c.in, append([]string{"put", "pay", "k"}, strings.Fields(c.args)...)...)
			if want := (outcome{0, "48\n", ""}); got != want {
				t.Errorf("got %+v, want %+v", got, want)
			}
		})
	}
}

func TestDeletePrintsTheRevision(t *testing.T) {
	got := conclave(t, func(w http.ResponseWriter, r *http.Request) {
		if r.Method != "DELETE" || r.Header.Get("If-Match") != `"42"` {
			t.Errorf("got %s with If-Match %s, want DELETE on 42", r.Method, r.Header.Get("If-Match"))
		}
		w.Header().Set("Conclave-Revision", "49")
		w.WriteHeader(http.StatusNoContent)
	}, "", "delete", "pay", "k", "--if-match", "42")
	if want := (outcome{0, "49\n", ""}); got != want {
		t.Errorf("got %+v, want %+v", got, want)
	}
}

func TestListPrintsEveryEntry(t *testing.T) {
	lines := func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/x-ndjson")
		_, _ = io.WriteString(w, `{"key":"a","revision":3,"version":2,"type":"text/plain"}`+"\n"+
			`{"key":"b/long-name","revision":12345,"version":1,"type":"x/y"}`+"\n"+`{"end":true,"revision":12345,"entries":2}`+"\n")
	}
	for args, want := range map[string]string{
		"--names": "a\nb/long-name\n",
		"-o json": `{"namespace":"","key":"a","revision":3,"version":2,"type":"text/plain"}` + "\n" +
			`{"namespace":"","key":"b/long-name","revision":12345,"version":1,"type":"x/y"}` + "\n",
		"-o yaml": "namespace: \"\"\nkey: a\nrevision: 3\nversion: 2\ntype: text/plain\n---\n" +
			"namespace: \"\"\nkey: b/long-name\nrevision: 12345\nversion: 1\ntype: x/y\n",
		"": "KEY           REVISION   VERSION   TYPE\n" +
			"a             3          2         text/plain\n" +
			"b/long-name   12345      1         x/y\n",
	} {
		got := conclave(t, lines, "", append([]string{"list", "pay", "--prefix", ""}, strings.Fields(args)...)...)
		if want := (outcome{0, want, ""}); got != want {
			t.Errorf("%s: got %+v, want %+v", args, got, want)
		}
	}
}

func TestStatusShowsLeaderAndMembers(t *testing.T) {
	got := conclave(t, answer(t, "GET /v1/cluster", `{"clusterID":"3f0c","name":"cfg-0","version":"1.4.2","leader":"cfg-1","term":7,
		"revision":60,"commitIndex":90,"appliedIndex":89,"ready":false,"notReadyReason":"catching up","members":[
		{"memberID":"000000000000000a","name":"cfg-0","role":"Voter","sinceContactMillis":12},{"memberID":"000000000000000b","name":"cfg-1","role":"Voter"}]}`), "", "status")
	want := `Cluster:       3f0c
Leader:        cfg-1, term 7
Revision:      60
Answered by:   cfg-0, version 1.4.2, applied 89 of 90 committed, not ready: catching up

MEMBER   ROLE            ID                 HEARD FROM
cfg-0    Voter           000000000000000a   12 ms ago
cfg-1    Voter, leader   000000000000000b   -
`
	if want := (outcome{0, want, ""}); got != want {
		t.Errorf("got\n%s%s want\n%s", got.out, got.err, want.out)
	}
}

func TestErrorsSayWhatToDoNext(t *testing.T) {
	for name, c := range map[string]struct {
		handle http.HandlerFunc
		args   string
		status int
		says   string
	}{
		"no such key": {refuse(404, `"code":"key_not_found"`), "get pay k", 3, "conclave list NAMESPACE"},
		"changed": {refuse(412, `"code":"revision_mismatch","outcome":"rejected","currentETag":"\"47\""`),
			"put pay k --value x --if-match 42", 4, "--if-match 47"},
		"unknown outcome": {refuse(504, `"code":"outcome_unknown","outcome":"unknown"`),
			"put pay k --value x", 5, "Read the key before you write again."},
		"no leader": {func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Retry-After", "2")
			refuse(503, `"code":"no_leader","outcome":"rejected","retryable":true`)(w, r)
		}, "get pay k --timeout 1s", 1, "Try again in 2s."},
		"another server": {func(w http.ResponseWriter, r *http.Request) { http.NotFound(w, r) }, "get pay k", 1, "is this the client port"},
		"nobody there":   {nil, "get pay k --endpoint http://127.0.0.1:1 --timeout 300ms", 1, "Does a node serve clients at http://127.0.0.1:1?"},
		"too slow": {func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() },
			"get pay k --timeout 20ms", 1, "Wait longer with --timeout"},
		"bad endpoint":      {nil, "get pay k --endpoint localhost", 2, "want scheme, host and port"},
		"bad timeout":       {nil, "get pay k --timeout 0s", 2, "want a time to wait"},
		"bad output":        {nil, "list pay -o xml", 2, "want text, json or yaml"},
		"no value":          {nil, "put pay k", 2, "give the value once"},
		"two values":        {nil, "put pay k - --value x", 2, "give the value once"},
		"no such file":      {nil, "put pay k missing.json", 2, "missing.json"},
		"void condition":    {nil, "delete pay k --if-match 0", 2, "no key has this revision"},
		"unknown command":   {nil, "fetch", 2, "conclave --help"},
		"unknown flag":      {nil, "get pay k --fresh", 2, "conclave get --help"},
		"too few arguments": {nil, "get pay", 2, "conclave get --help"},
		"two conditions":    {nil, "put pay k - --if-absent --if-match 1", 2, "if-absent"},
	} {
		t.Run(name, func(t *testing.T) {
			handle := c.handle
			if handle == nil {
				handle = func(_ http.ResponseWriter, r *http.Request) { t.Errorf("asked %s", r.URL) }
			}
			got := conclave(t, handle, "", strings.Fields(c.args)...)
			if got.status != c.status || got.out != "" || !strings.Contains(got.err, c.says) {
				t.Errorf("got %+v, want status %d and advice %q", got, c.status, c.says)
			}
		})
	}
}

func TestAValueThatIsTooLongIsNotSent(t *testing.T) {
	got := conclave(t, func(_ http.ResponseWriter, r *http.Request) { t.Errorf("asked %s", r.URL) },
		strings.Repeat("x", valueBytesMax+1), "put", "pay", "k", "-")
	if got.status != exitUsage || !strings.Contains(got.err, "standard input is longer than a value may be") {
		t.Errorf("got %+v, want a refusal", got)
	}
}

// brokenPipe is an output that nobody reads.
type brokenPipe struct{}

func (brokenPipe) Write([]byte) (int, error) { return 0, errors.New("broken pipe") }

func TestOutputThatCannotBeWrittenIsAFailure(t *testing.T) {
	server := httptest.NewServer(answer(t, "GET /v1/kv/pay/k", `{"text":"v"}`))
	defer server.Close()
	p := program{name: "conclave", env: environment(server.URL), out: brokenPipe{}, err: io.Discard}
	if status := p.run(t.Context(), []string{"get", "pay", "k"}); status != exitFailure {
		t.Errorf("status %d, want %d", status, exitFailure)
	}
}

func TestHelpSpeaksTheNameThatItWasCalledBy(t *testing.T) {
	for name, want := range map[string]string{"conclave": "conclave [command]", "kubectl-conclave": "kubectl conclave [command]"} {
		var out bytes.Buffer
		p := program{name: name, env: environment(""), out: &out, err: io.Discard}
		if status := p.run(t.Context(), []string{"--help"}); status != exitOK || !strings.Contains(out.String(), want) {
			t.Errorf("%s --help = %d:\n%s\nwant %q", name, status, out.String(), want)
		}
	}
}

func TestACommandWaitsForANodeThatStarts(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := l.Addr().String()
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	refused, say := io.Pipe()
	p := program{name: "conclave", env: environment("http://" + address), out: &out, err: say}
	served := make(chan *http.Server, 1)
	go func() {
		// The first refusal is told; only then does the node come.
		_, _ = refused.Read(make([]byte, 1000)) // The test fails below if nothing is told.
		go func() { _, _ = io.Copy(io.Discard, refused) }()
		server := &http.Server{Handler: answer(t, "GET /v1/kv/pay/k", `{"text":"v"}`)}
		served <- server
		if l, err := net.Listen("tcp", address); err == nil {
			_ = server.Serve(l) // It ends by Close.
		}
	}()
	status := p.run(t.Context(), []string{"get", "pay", "k", "--timeout", "30s"})
	if status != exitOK || out.String() != "v" {
		t.Errorf("status %d with %q, want the value", status, out.String())
	}
	_ = (<-served).Close() // The test is over.
	_ = say.Close()        // It never fails.
}

func TestAWriteThatReachedNobodyIsNoUnknownOutcome(t *testing.T) {
	got := conclave(t, func(_ http.ResponseWriter, r *http.Request) { t.Errorf("asked %s", r.URL) }, "",
		"put", "pay", "k", "--value", "v", "--endpoint", "http://127.0.0.1:1", "--timeout", "500ms")
	if got.status != exitFailure || !strings.Contains(got.err, "refused") || !strings.Contains(got.err, "trying for 500ms") {
		t.Errorf("got %+v, want status %d and the refusal", got, exitFailure)
	}
}
