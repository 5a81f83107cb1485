package httpapi_test

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/conclave-dev/conclave/internal/httpapi"
	"github.com/conclave-dev/conclave/pkg/config"
)

// raw sends bytes to a server and returns the status of the reply.
func raw(t *testing.T, base, text string) int {
	t.Helper()
	connection, err := net.Dial("tcp", strings.TrimPrefix(base, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	defer connection.Close()
	if _, err := io.WriteString(connection, text); err != nil {
		t.Fatal(err)
	}
	response, err := http.ReadResponse(bufio.NewReader(connection), nil)
	if err != nil {
		t.Fatal(err)
	}
	response.Body.Close()
	return response.StatusCode
}

func TestBodiesAreLimitedInSizeAndTime(t *testing.T) {
	a := newAPI(t, nil)
	patient, impatient := a.serve(), a.serveWithin(50*time.Millisecond)
	const head = "PUT /v1/kv/pay/a HTTP/1.1\r\nHost: localhost\r\n"
	for name, c := range map[string]struct {
		text   string
		status int
		// late is set where the rest never comes.
		late bool
	}{
		"announced too long": {head + fmt.Sprintf("Content-Length: %d\r\n\r\n", config.MaxValueBytes+1), 413, true},
		"chunked too long":   {head + "Transfer-Encoding: chunked\r\n\r\n" + fmt.Sprintf("%x\r\n%s\r\n0\r\n\r\n", config.MaxValueBytes+1, strings.Repeat("v", config.MaxValueBytes+1)), 413, false},
		"chunked":            {head + "Transfer-Encoding: chunked\r\n\r\n1\r\nv\r\n0\r\n\r\n", 201, false},
		"never sent":         {head + "Content-Length: 5\r\n\r\nv", 400, true},
		"never ended":        {head + "Transfer-Encoding: chunked\r\n\r\n1\r\nv\r\n", 400, true},
		"refused unread":     {strings.Replace(head, "/a ", "/ ", 1) + "Content-Length: 5\r\n\r\nv", 400, true},
		"header too long":    {head + "X-Long: " + strings.Repeat("x", 64<<10) + "\r\n\r\n", 431, false},
	} {
		t.Run(name, func(t *testing.T) {
			base := patient
			if c.late {
				base = impatient
			}
			if got := raw(t, base, c.text); got != c.status {
				t.Errorf("status %d, want %d", got, c.status)
			}
		})
	}
}

func TestTheTimeToSendARequestCutsNothingElseShort(t *testing.T) {
	a := newAPI(t, nil)
	a.put("waiting", "1")
	a.fake.set(func(f *fakeReplicator) { f.delay = 200 * time.Millisecond })
	base := a.serveWithin(50 * time.Millisecond)
	const put = "PUT /v1/kv/pay/a HTTP/1.1\r\nHost: localhost\r\n"
	for text, status := range map[string]int{
		put + "Content-Length: 1\r\n\r\nv":                                                              201,
		put + "Transfer-Encoding: chunked\r\n\r\n1\r\nv\r\n0\r\n\r\n":                                   201,
		"GET /v1/kv/pay/waiting?wait=200ms HTTP/1.1\r\nHost: localhost\r\nIf-None-Match: \"1\"\r\n\r\n": 304,
	} {
		if got := raw(t, base, text); got != status && got != 200 {
			t.Errorf("%q: status %d, want %d", text, got, status)
		}
	}
}

func TestRequestsAtATimeAreLimited(t *testing.T) {
	a := newAPI(t, func(_ *config.StoreOptions, o *httpapi.Options) {
		o.MaxRequests, o.WriteTimeout = 1, time.Minute
	})
	base := a.serve()
	stuck, release := a.stuckPut(base, "v")
	defer stuck()
	send(t, base, request{method: "GET", target: "/v1/kv/pay/a"}).wantProblem(t, 503, "overloaded")
	release()
	send(t, base, request{method: "GET", target: "/v1/kv/pay/a"}).wantProblem(t, 404, "key_not_found")
}

func TestBodiesInMemoryAreLimitedTogether(t *testing.T) {
	a := newAPI(t, func(_ *config.StoreOptions, o *httpapi.Options) {
		o.MaxBodyBytes, o.WriteTimeout = config.MaxValueBytes, time.Minute
	})
	base := a.serve()
	stuck, release := a.stuckPut(base, strings.Repeat("v", config.MaxValueBytes))
	defer stuck()
	send(t, base, request{method: "PUT", target: "/v1/kv/pay/a", body: "v"}).wantProblem(t, 503, "overloaded")
	send(t, base, request{method: "GET", target: "/v1/kv/pay/a"}).wantProblem(t, 404, "key_not_found")
	release()
	send(t, base, request{method: "PUT", target: "/v1/kv/pay/a", body: "v"}).want(t, 201, "")
}

// stuckPut begins a put that isn't answered until release is called; stop does
// the same when the test ends early.
func (a *api) stuckPut(base, body string) (stop, release func()) {
	a.t.Helper()
	a.fake.set(func(f *fakeReplicator) { f.silence = true })
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		_, _ = trySend(ctx, base, request{method: "PUT", target: "/v1/kv/pay/stuck", body: body})
	}()
	for proposed := false; !proposed; {
		a.fake.set(func(f *fakeReplicator) { proposed = f.proposals > 0 })
		time.Sleep(time.Millisecond)
	}
	release = func() {
		a.fake.set(func(f *fakeReplicator) { f.silence = false })
		cancel()
		<-done
		// The handler notices a moment after its client has left.
		for a.handler.Serving() > 0 {
			time.Sleep(time.Millisecond)
		}
	}
	return func() { cancel(); <-done }, release
}

func TestHostNamesAreMatchedWithoutCasePortOrFinalDot(t *testing.T) {
	a := newAPI(t, func(_ *config.StoreOptions, o *httpapi.Options) {
		o.Hosts = []string{"cfg", "Cfg.prod.svc.*", "api.example.com."}
	})
	a.put("a", "1")
	for host, allowed := range map[string]bool{
		"localhost": true, "localhost:8400": true, "LOCALHOST": true, "127.0.0.1:8400": true, "[::1]:8400": true, "::1": true, "10.1.2.3": true,
		"cfg": true, "CFG:8400": true, "cfg.": true, "cfg.prod.svc.cluster.local": true, "cfg.prod.svc.cluster.local.:8400": true, "api.example.com": true,
		"": false, "cfg.prod.svc": false, "cfg.prod.svc.": false, "cfg.prod.svc..": false, "cfgx": false, "x.cfg": false, "evil.example": false,
		"localhost.evil.example": false, "127.0.0.1.evil.example": false, "cfg.prod.svcevil.example": false, "a:b:c": false,
	} {
		status := 421
		if allowed {
			status = 200
		}
		got := a.do(request{method: "GET", target: "/v1/kv/pay/a", header: []string{"Host: " + host}})
		if got.status != status {
			t.Errorf("host %q: status %d, want %d", host, got.status, status)
		}
	}
}

func TestOptionsThatCannotBeUsedAreNamed(t *testing.T) {
	for says, change := range map[string]func(*httpapi.Options){
		"no Store":        func(o *httpapi.Options) { o.Store = nil },
		"no Cluster":      func(o *httpapi.Options) { o.Cluster = nil },
		"negative":        func(o *httpapi.Options) { o.WriteTimeout = -1 },
		"MaxRequests":     func(o *httpapi.Options) { o.MaxRequests = -1 },
		"MaxBodyBytes":    func(o *httpapi.Options) { o.MaxBodyBytes = 1 },
		"MaxDocuments":    func(o *httpapi.Options) { o.MaxDocuments = -1 },
		"MaxRendered":     func(o *httpapi.Options) { o.MaxRenderedBytes = 1 },
		`"cfg:8400"`:      func(o *httpapi.Options) { o.Hosts = []string{"cfg:8400"} },
		`"*"`:             func(o *httpapi.Options) { o.Hosts = []string{"*"} },
		`"http://a"`:      func(o *httpapi.Options) { o.Hosts = []string{"http://a"} },
		`host ""`:         func(o *httpapi.Options) { o.Hosts = []string{""} },
		`"cfg.*.example"`: func(o *httpapi.Options) { o.Hosts = []string{"cfg.*.example"} },
	} {
		o := httpapi.Options{Store: newAPI(t, nil).store, Cluster: fakeStatus{}}
		change(&o)
		if _, err := httpapi.New(o); err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("New = %v, want an error that says %s", err, says)
		}
	}
}

func TestAFailureOfOurOwnIsLoggedAndNotShown(t *testing.T) {
	a := newAPI(t, func(_ *config.StoreOptions, o *httpapi.Options) { o.Cluster = fakeStatus{err: errBroken} })
	got := a.do(request{method: "GET", target: "/v1/cluster"})
	got.wantProblem(t, 500, "internal")
	if id := got.problem(t).RequestID; !strings.Contains(a.log.String(), "level=ERROR") ||
		!strings.Contains(a.log.String(), errBroken.Error()) || !strings.Contains(a.log.String(), id) {
		t.Errorf("the log lacks the error or its request ID %s: %s", id, a.log)
	}
	if strings.Contains(got.body, errBroken.Error()) {
		t.Errorf("the client sees %s", got.body)
	}
}
