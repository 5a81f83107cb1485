package node

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/conclave-dev/conclave/pkg/raft"
	"github.com/conclave-dev/conclave/pkg/raft/badgerlog"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// trio is a cluster of three real nodes in this process, on loopback.
type trio struct {
	t     *testing.T
	base  string
	ports [][3]int
	stops []context.CancelFunc
	ended []chan error
	// clusterID is told to nodes that come later.
	clusterID string
	// alter, if not nil, changes the options of node i.
	alter func(i int, o *Options)
}

func newTrio(t *testing.T) *trio {
	t.Helper()
	c := &trio{t: t, base: t.TempDir(), stops: make([]context.CancelFunc, 3), ended: make([]chan error, 3)}
	for range 3 {
		c.ports = append(c.ports, [3]int{freePort(t), freePort(t), freePort(t)})
	}
	if err := os.WriteFile(c.tokenFile(), []byte(adminToken), 0o600); err != nil {
		t.Fatal(err)
	}
	return c
}

// adminToken is the bearer token of every node here.
const adminToken = "admin-0123456789abcdef"

func (c *trio) tokenFile() string { return filepath.Join(c.base, "token") }

// freePort returns a port that nobody listens at. It is below those that the
// system gives to connections, and below those of test/e2e, which runs beside this
// package: nobody else gets it before the node does.
func freePort(t *testing.T) int {
	t.Helper()
	for range 1000 {
		l, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", 3_000+rand.IntN(9_000)))
		if err == nil {
			defer l.Close()
			return l.Addr().(*net.TCPAddr).Port
		}
	}
	t.Fatal("no port is free")
	return 0
}

func (c *trio) at(i, port int) string { return fmt.Sprintf("127.0.0.1:%d", c.ports[i][port]) }
func (c *trio) dir(i int) string      { return filepath.Join(c.base, fmt.Sprintf("n%d", i)) }

// options returns those of node i.
func (c *trio) options(i int) Options {
	o := c.plainOptions(i)
	if c.alter != nil {
		c.alter(i, &o)
	}
	return o
}

func (c *trio) plainOptions(i int) Options {
	o := Options{
		Name: fmt.Sprintf("n%d", i), DataDir: c.dir(i),
		HTTP: c.at(i, 0), Peer: c.at(i, 1), Ops: c.at(i, 2), Logger: slog.New(slog.DiscardHandler),
		AdminTokenFile: c.tokenFile(),
	}
	if i >= 3 { // It came later.
		o.InitialState, o.ClusterID, o.Address = InitialExisting, c.clusterID, c.at(i, 1)
		return o
	}
	for j := range 3 {
		o.InitialPeers = append(o.InitialPeers, Peer{Name: fmt.Sprintf("n%d", j), Address: c.at(j, 1)})
	}
	return o
}

func (c *trio) start(i int) {
	ctx, stop := context.WithCancel(c.t.Context())
	ended := make(chan error, 1)
	c.stops[i], c.ended[i] = stop, ended
	go func() {
		err := Run(ctx, c.options(i), nil)
		if err != nil && ctx.Err() == nil {
			c.t.Logf("node %d ends: %v", i, err)
		}
		ended <- err
	}()
}

func (c *trio) stop(i int) {
	c.t.Helper()
	c.stops[i]()
	if err := <-c.ended[i]; err != nil {
		c.t.Errorf("node %d ended with %v", i, err)
	}
}

// ask sends a request and returns status and body; a node that is down gives 0.
func ask(t *testing.T, method, url, body string) (int, string) {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), method, url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	request.Close = true
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return 0, err.Error()
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		return 0, err.Error()
	}
	return response.StatusCode, string(text)
}

// await asks until the answer has a status and holds a text.
func (c *trio) await(i, port int, path string, status int, text string) {
	c.t.Helper()
	last := ""
	for range 600 {
		code, body := ask(c.t, http.MethodGet, "http://"+c.at(i, port)+path, "")
		if code == status && strings.Contains(body, text) {
			return
		}
		last = fmt.Sprintf("%d %s", code, body)
		time.Sleep(50 * time.Millisecond)
	}
	c.t.Fatalf("node %d: %s did not answer %d with %q; the last answer was %s", i, path, status, text, last)
}

func TestThreeNodesFormAClusterThatOutlivesRestartAndLosesNothing(t *testing.T) {
	c := newTrio(t)
	c.start(0)
	c.await(0, 2, "/readyz", http.StatusServiceUnavailable, "1 of 3 nodes have met")
	c.start(1)
	c.start(2)
	for i := range 3 {
		c.await(i, 2, "/readyz", http.StatusOK, "")
	}
	for i := range 3 {
		url := fmt.Sprintf("http://%s/v1/kv/test/key-%d", c.at(i, 0), i)
		if code, body := ask(t, http.MethodPut, url, fmt.Sprint("value ", i)); code != http.StatusCreated {
			t.Fatalf("PUT at node %d: %d %s", i, code, body)
		}
	}
	for i := range 3 {
		c.stop(i)
	}
	for i := range 3 {
		c.start(i)
	}
	for i := range 3 {
		c.await(i, 0, fmt.Sprintf("/v1/kv/test/key-%d", (i+1)%3), http.StatusOK, fmt.Sprint("value ", (i+1)%3))
	}
	for i := range 3 {
		c.stop(i)
	}
}

func TestLocalReadsStayYoungWithoutAnybodyAskingForLinearOnes(t *testing.T) {
	c := newTrio(t)
	for i := range 3 {
		c.start(i)
	}
	for i := range 3 {
		c.await(i, 2, "/readyz", http.StatusOK, "")
	}
	for i := range 3 {
		for renewed, before := 0, 0; renewed < 2; time.Sleep(20 * time.Millisecond) {
			age := c.localAge(i)
			if age < before {
				renewed++
			}
			before = age
		}
	}
	for i := range 3 {
		c.stop(i)
	}
}

func TestABoundedReadIsServedWithinItsBoundAndNoLongerWithoutAQuorum(t *testing.T) {
	if testing.Short() {
		t.Skip("waits for a read to run out of its time")
	}
	c := newTrio(t)
	for i := range 3 {
		c.start(i)
	}
	c.await(0, 2, "/readyz", http.StatusOK, "")
	if code, body := ask(t, http.MethodPut, "http://"+c.at(0, 0)+"/v1/kv/test/key", "v"); code != http.StatusCreated {
		t.Fatalf("PUT: %d %s", code, body)
	}
	const young, old = "/v1/kv/test/key?consistency=bounded&max-staleness=0s", "/v1/kv/test/key?consistency=bounded&max-staleness=1h"
	for i := range 3 {
		c.await(i, 0, young, http.StatusOK, "v")
		c.await(i, 0, old, http.StatusOK, "v")
	}
	c.stop(0)
	c.stop(1)
	c.await(2, 0, young, http.StatusServiceUnavailable, "too_stale")
	c.await(2, 0, old, http.StatusOK, "v")
	c.stop(2)
}

// localAge returns how old a local read at node i says that it may be, in
// milliseconds.
func (c *trio) localAge(i int) int {
	c.t.Helper()
	response, err := http.Get("http://" + c.at(i, 0) + "/v1/keys/test?consistency=local")
	if err != nil {
		c.t.Fatal(err)
	}
	defer response.Body.Close()
	age, err := strconv.Atoi(response.Header.Get("Conclave-Staleness-Ms"))
	if err != nil || response.StatusCode != http.StatusOK {
		c.t.Fatalf("node %d answers %s, age %v", i, response.Status, err)
	}
	return age
}

func TestWipedNodeWaitsToBeAddedAndTheOthersGoOn(t *testing.T) {
	c := newTrio(t)
	for i := range 3 {
		c.start(i)
	}
	for i := range 3 {
		c.await(i, 2, "/readyz", http.StatusOK, "")
	}
	c.stop(2)
	if err := os.RemoveAll(c.dir(2)); err != nil {
		t.Fatal(err)
	}
	c.start(2)
	c.await(2, 2, "/readyz", http.StatusServiceUnavailable, "waiting to be added")
	if code, body := ask(t, http.MethodPut, "http://"+c.at(0, 0)+"/v1/kv/test/key", "v"); code != http.StatusCreated {
		t.Errorf("PUT at the others: %d %s", code, body)
	}
	for i := range 3 {
		c.stop(i)
	}
}

func TestOptionsSayWhatIsWrongInTheWordsOfTheFlags(t *testing.T) {
	good := func() Options {
		return Options{Name: "a", DataDir: "/x", InitialPeers: []Peer{{"a", "h:1"}}}
	}
	if err := good().Validate(); err != nil {
		t.Fatalf("the good ones are refused: %v", err)
	}
	for want, damage := range map[string]func(*Options){
		"name:":                           func(o *Options) { o.Name = "Not a name" },
		"data-dir:":                       func(o *Options) { o.DataDir = "" },
		"cluster-id:":                     func(o *Options) { o.ClusterID = "short" },
		"initial-state:":                  func(o *Options) { o.InitialState = "old" },
		"initial-peers, discovery":        func(o *Options) { o.InitialPeers = nil },
		"is not among them":               func(o *Options) { o.InitialPeers[0].Name = "b" },
		"address: \"h\" is not host:port": func(o *Options) { o.Address = "h" },
		"cluster-id: is needed":           func(o *Options) { o.InitialState, o.InitialPeers = InitialExisting, nil },
		"address: is needed":              func(o *Options) { o.InitialState, o.InitialPeers = InitialExisting, nil },
		"is not host:port":                func(o *Options) { o.InitialPeers[0].Address = "h" },
		"is named twice":                  func(o *Options) { o.InitialPeers = append(o.InitialPeers, o.InitialPeers[0]) },
		"initial-members: 0":              func(o *Options) { o.InitialPeers, o.DiscoveryService = nil, "s" },
		"https:":                          func(o *Options) { o.HTTPS, o.ClientTLS = "8443", "/x" },
		"https: needs client-tls":         func(o *Options) { o.HTTPS = ":8443" },
		"http: can be off only":           func(o *Options) { o.HTTP = Off },
		"http:":                           func(o *Options) { o.HTTP = "8400" },
		"election-timeout-max: 100ms":     func(o *Options) { o.ElectionTimeoutMax = 100 * time.Millisecond },
		"heartbeat-interval: 100ms":       func(o *Options) { o.HeartbeatInterval = 100 * time.Millisecond },
		"election-timeout-min: 155ms":     func(o *Options) { o.ElectionTimeoutMin = 155 * time.Millisecond },
		"snapshot-entries: 1 is outside":  func(o *Options) { o.SnapshotEntries = 1 },
		"drain-period: -1ns is outside 0": func(o *Options) { o.DrainPeriod = -1 },
	} {
		o := good()
		damage(&o)
		if err := o.Validate(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("want an error with %q, got %v", want, err)
		}
	}
}

func TestAMemberThatVotedBeforeItHadAnEntryBegins(t *testing.T) {
	c := newTrio(t)
	o := c.options(0).withDefaults()
	o.InitialPeers = o.InitialPeers[:1]
	identity, err := o.identity()
	if err != nil {
		t.Fatal(err)
	}
	log, err := badgerlog.Open(o.DataDir, badgerlog.Options{Logger: o.Logger})
	if err != nil {
		t.Fatal(err)
	}
	voted := raft.HardState{Term: 5, Vote: identity.Member + 1}
	if err := errors.Join(log.Save(&raft.Write{HardState: voted, HardStateChanged: true}), log.Close()); err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() {
		defer stop()
		ended <- Run(ctx, o, nil)
	}()
	for ready := false; !ready && ctx.Err() == nil; time.Sleep(10 * time.Millisecond) {
		code, _ := ask(t, http.MethodGet, "http://"+o.Ops+"/readyz", "")
		ready = code == http.StatusOK
	}
	stop()
	if err := <-ended; err != nil {
		t.Fatal(err)
	}
	if log, err = badgerlog.Open(o.DataDir, badgerlog.Options{Logger: o.Logger}); err != nil {
		t.Fatal(err)
	}
	if state := log.State(); state.Last == 0 || state.HardState.Term <= voted.Term {
		t.Errorf("it has %+v", state)
	}
	if err := log.Close(); err != nil {
		t.Error(err)
	}
}

func TestNodesThatStopTogetherDoNotWarnOfEachOther(t *testing.T) {
	c := newTrio(t)
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 3)
	warnings := make([]bytes.Buffer, 3)
	level := new(slog.LevelVar) // before they stop, those that don't listen yet are missed
	level.Set(slog.LevelError)
	for i := range 3 {
		o := c.options(i)
		// The handler makes one call to Write at a time.
		o.Logger = slog.New(slog.NewTextHandler(&warnings[i], &slog.HandlerOptions{Level: level}))
		go func() { ended <- Run(ctx, o, nil) }()
	}
	for i := range 3 {
		c.await(i, 2, "/readyz", http.StatusOK, "")
	}
	level.Set(slog.LevelWarn)
	stop()
	for range 3 {
		if err := <-ended; err != nil {
			t.Error(err)
		}
	}
	for i := range warnings {
		if text := warnings[i].String(); strings.Contains(text, "unreachable") {
			t.Errorf("node %d warns:\n%s", i, text)
		}
	}
}
