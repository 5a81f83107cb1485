package httpapi_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/conclave-dev/conclave/internal/httpapi"
	"github.com/conclave-dev/conclave/pkg/config"
)

func TestMain(m *testing.M) {
	// net/http lets a connection with an unread request linger for half a second.
	goleak.VerifyTestMain(m, goleak.IgnoreAnyFunction("net/http.(*conn).closeWriteAndWait"))
}

// fakeReplicator is a cluster of one that applies what is proposed, unless it
// was told to fail.
type fakeReplicator struct {
	mu    sync.Mutex
	state *config.State
	index uint64

	// refusal is the answer to every proposal, without applying it; loss is
	// the answer to one that is applied; silence answers nothing until the
	// caller gives up.
	refusal error
	// full refuses what adds bytes, as a cluster whose disks run low does.
	full    bool
	loss    error
	silence bool
	// outcome, unless it is 0, is what every proposal comes to.
	outcome config.Outcome
	// delay is how long a proposal takes, unless its caller gives up first.
	delay time.Duration
	// barrier is the answer to every read barrier.
	barrier error
	// leaderless hides the leader.
	leaderless bool
	// proposals counts those that came.
	proposals int
}

func (f *fakeReplicator) Propose(ctx context.Context, command []byte, freesSpace bool) (config.Result, error) {
	f.mu.Lock()
	f.proposals++
	if f.silence {
		f.mu.Unlock()
		<-ctx.Done()
		return config.Result{}, ctx.Err()
	}
	defer f.mu.Unlock()
	if f.refusal != nil {
		return config.Result{}, f.refusal
	}
	if f.outcome != config.OutcomeNothing {
		return config.Result{Outcome: f.outcome}, nil
	}
	if f.full && !freesSpace {
		return config.Result{}, config.ErrDiskFull
	}
	if f.delay > 0 {
		select {
		case <-time.After(f.delay):
		case <-ctx.Done():
			return config.Result{}, ctx.Err()
		}
	}
	f.index++
	result := f.state.Apply(f.index, config.Stamp{}, config.Origin{}, command)
	f.state.Publish()
	return result, f.loss
}

func (f *fakeReplicator) ReadBarrier(context.Context) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.barrier
}

func (f *fakeReplicator) Leader() (string, bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return "node-1", !f.leaderless
}

// set changes the replicator's faults.
func (f *fakeReplicator) set(change func(*fakeReplicator)) {
	f.mu.Lock()
	defer f.mu.Unlock()
	change(f)
}

// fakeStatus is a cluster of one member that has nothing to hide.
type fakeStatus struct{ err error }

func (f fakeStatus) Cluster(context.Context) (httpapi.ClusterStatus, error) {
	return httpapi.ClusterStatus{
		ClusterID: "c0ffee", Name: "node-1", Version: "test", Ready: true, Leader: "node-1", Term: 3,
		CommitIndex: 7, AppliedIndex: 7,
		Members: []httpapi.ClusterMember{{MemberID: "00000000000000aa", Name: "node-1", Role: "Voter"}},
	}, f.err
}

// api is a handler over a store that works.
type api struct {
	t       testing.TB
	fake    *fakeReplicator
	store   *config.Store
	handler *httpapi.Handler
	log     *bytes.Buffer
}

// newAPI makes one; change, unless nil, changes its options first.
func newAPI(t testing.TB, change func(*config.StoreOptions, *httpapi.Options)) *api {
	t.Helper()
	state := config.NewState()
	a := &api{t: t, fake: &fakeReplicator{state: state}, log: &bytes.Buffer{}}
	storeOptions := config.StoreOptions{}
	options := httpapi.Options{
		Cluster: fakeStatus{}, Hosts: []string{"cfg.prod.svc.*"},
		Logger: slog.New(slog.NewTextHandler(&lockedWriter{to: a.log}, &slog.HandlerOptions{Level: slog.LevelDebug})),
	}
	if change != nil {
		change(&storeOptions, &options)
	}
	var err error
	if a.store, err = config.NewStore(state, a.fake, storeOptions); err != nil {
		t.Fatal(err)
	}
	options.Store = a.store
	if a.handler, err = httpapi.New(options); err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() { _ = a.store.Run(ctx) })
	t.Cleanup(func() { stop(); running.Wait() })
	return a
}

type lockedWriter struct {
	mu sync.Mutex
	to io.Writer
}

func (w *lockedWriter) Write(b []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.to.Write(b)
}

// serve runs the API on a real port and returns its address, as a URL.
func (a *api) serve() string { return a.serveWithin(time.Minute) }

// serveWithin is serve with another limit on the time to send a request.
func (a *api) serveWithin(readTimeout time.Duration) string {
	a.t.Helper()
	server := httptest.NewUnstartedServer(a.handler)
	server.Config = httpapi.NewServer(a.handler, nil)
	server.Config.ReadTimeout = readTimeout
	server.Start()
	a.t.Cleanup(server.Close)
	return server.URL
}

// put writes a key past the HTTP API and returns its revision.
func (a *api) put(key, value string) uint64 {
	a.t.Helper()
	result, err := a.store.Put(context.Background(), config.Put{Namespace: "pay", Key: key, Value: []byte(value), MediaType: "text/plain"})
	if err != nil {
		a.t.Fatal(err)
	}
	return result.Revision
}

// request is one request of a test.
type request struct {
	method string
	// target is path and query.
	target string
	// header holds "Name: value" lines.
	header []string
	body   string
}

// reply is what came back.
type reply struct {
	status int
	header http.Header
	body   string
}

// problem returns the reply's body as a problem.
func (r reply) problem(t testing.TB) (p problemBody) {
	t.Helper()
	if got := r.header.Get("Content-Type"); got != "application/problem+json" {
		t.Fatalf("status %d has content type %q, want a problem; body %q", r.status, got, r.body)
	}
	if err := json.Unmarshal([]byte(r.body), &p); err != nil {
		t.Fatalf("body %q: %v", r.body, err)
	}
	return p
}

type problemBody struct {
	Type, Title, Detail, Code, Outcome, CurrentETag, RequestID string
	Status                                                     int
	Retryable                                                  bool
	Revision                                                   uint64
}

// send sends a request to a server at base, and holds request and reply to the
// document that describes the API.
func send(t testing.TB, base string, q request) reply {
	t.Helper()
	got, err := trySend(context.Background(), base, q)
	if err != nil {
		t.Fatal(err)
	}
	theContract(t).check(t, q, got)
	return got
}

func trySend(ctx context.Context, base string, q request) (reply, error) {
	r, err := http.NewRequestWithContext(ctx, q.method, base+q.target, strings.NewReader(q.body))
	if err != nil {
		return reply{}, err
	}
	setHeader(r, q.header)
	transport := &http.Transport{DisableKeepAlives: true, DisableCompression: true}
	response, err := transport.RoundTrip(r)
	if err != nil {
		return reply{}, err
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	return reply{response.StatusCode, response.Header, string(body)}, err
}

func setHeader(r *http.Request, lines []string) {
	for _, line := range lines {
		name, value, _ := strings.Cut(line, ": ")
		if name == "Host" {
			r.Host = value
			continue
		}
		r.Header.Add(name, value)
	}
}

// do handles a request without a network, so that a test can own the clock.
func (a *api) do(q request) reply {
	r := httptest.NewRequest(q.method, q.target, strings.NewReader(q.body))
	r.Host = "localhost"
	setHeader(r, q.header)
	w := httptest.NewRecorder()
	a.handler.ServeHTTP(w, r)
	return reply{w.Code, w.Header(), w.Body.String()}
}

// wantHeader compares headers; an empty value means that there is none.
func (r reply) wantHeader(t testing.TB, want map[string]string) {
	t.Helper()
	for name, value := range maps.All(want) {
		if got := strings.Join(r.header.Values(name), "|"); got != value {
			t.Errorf("header %s = %q, want %q", name, got, value)
		}
	}
}

// want compares status and, unless it is "-", the body.
func (r reply) want(t testing.TB, status int, body string) {
	t.Helper()
	if r.status != status || (body != "-" && r.body != body) {
		t.Errorf("status %d, body %.300q; want %d, %.300q", r.status, r.body, status, body)
	}
}

// wantProblem compares status and code of an error.
func (r reply) wantProblem(t testing.TB, status int, code string) {
	t.Helper()
	if p := r.problem(t); r.status != status || p.Status != status || p.Code != code {
		t.Errorf("status %d, %+v; want %d, %s", r.status, p, status, code)
	}
}

// quoted returns the entity tag of a revision.
func quoted(revision uint64) string { return fmt.Sprintf("%q", fmt.Sprint(revision)) }

// manualClock is a clock that a test moves.
type manualClock struct {
	mu  sync.Mutex
	now time.Time
}

func (c *manualClock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *manualClock) advance(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

var errBroken = errors.New("broken for the test")
