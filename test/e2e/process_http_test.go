//go:build linux

package e2e

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"
)

// A request is one use of a key.
type request struct {
	method string
	key    string
	query  string
	// ifMatch is the revision that a write demands; ifAbsent demands that there
	// is no such key.
	ifMatch  uint64
	ifAbsent bool
	value    string
	// idempotency is the key of a write that may be sent again, empty for none.
	idempotency string
	// txn: it is a transaction, and value its body.
	txn bool
	// timeout is how long to wait for the answer; requestTimeout when it is 0.
	timeout time.Duration
}

// An answer is what came of a request.
type answer struct {
	// status is 0 when no answer was received, and err says why.
	status int
	err    error
	value  string
	// etag is the revision in the ETag, revision that in Conclave-Revision.
	etag, revision uint64
	leader         string
	// age is what the answer says of its age, -1 where it says nothing of it.
	age time.Duration
	// problem is set with a refusal.
	problem *problem
	// undelivered is set when the request certainly reached nobody.
	undelivered bool
}

// problem is the body of a refusal.
type problem struct {
	Code, Detail, Outcome, CurrentETag string
}

// namespace is where all tests write.
const namespace = "e2e"

// do sends a request to a node.
func (c *cluster) do(n *node, r request) answer {
	if r.timeout == 0 {
		r.timeout = requestTimeout
	}
	ctx, cancel := context.WithTimeout(context.Background(), r.timeout)
	defer cancel()
	url := "http://" + n.http + "/v1/kv/" + namespace + "/" + r.key
	if r.query != "" {
		url += "?" + r.query
	}
	if r.txn {
		url = "http://" + n.http + "/v1/txn"
	}
	sent, err := http.NewRequestWithContext(ctx, r.method, url, strings.NewReader(r.value))
	if err != nil {
		panic(err) // The test itself is wrong.
	}
	if r.txn {
		sent.Header.Set("Content-Type", "application/json")
	}
	if r.ifMatch != 0 {
		sent.Header.Set("If-Match", fmt.Sprintf("%q", strconv.FormatUint(r.ifMatch, 10)))
	}
	if r.ifAbsent {
		sent.Header.Set("If-None-Match", "*")
	}
	if r.idempotency != "" {
		sent.Header.Set("Idempotency-Key", r.idempotency)
	}
	reply, err := c.http.Do(sent)
	if err != nil {
		dial := (*net.OpError)(nil)
		return answer{err: err, undelivered: errors.As(err, &dial) && dial.Op == "dial"}
	}
	defer reply.Body.Close()
	body, err := io.ReadAll(reply.Body)
	if err != nil {
		return answer{err: err}
	}
	return readAnswer(reply, body)
}

// readAnswer understands an answer that was received as a whole.
func readAnswer(reply *http.Response, body []byte) answer {
	a := answer{status: reply.StatusCode, leader: reply.Header.Get("Conclave-Leader")}
	a.revision, a.err = strconv.ParseUint(reply.Header.Get("Conclave-Revision"), 10, 64)
	a.age = -1
	if told := reply.Header.Get("Conclave-Staleness-Ms"); told != "" && told != "unknown" {
		millis, err := strconv.ParseUint(told, 10, 32)
		a.age, a.err = time.Duration(millis)*time.Millisecond, errors.Join(a.err, err)
	}
	if reply.Header.Get("Content-Type") == "application/problem+json" {
		a.problem = &problem{}
		a.err = errors.Join(a.err, json.Unmarshal(body, a.problem))
		if a.status == http.StatusPreconditionFailed {
			a.etag, a.err = readETag(a.problem.CurrentETag)
		}
		return a
	}
	a.value = string(body)
	if tag := reply.Header.Get("ETag"); tag != "" && a.err == nil {
		a.etag, a.err = readETag(tag)
	}
	return a
}

// readETag returns the revision that a tag quotes.
func readETag(tag string) (uint64, error) {
	digits, err := strconv.Unquote(tag)
	if err != nil {
		return 0, fmt.Errorf("entity tag %q: %w", tag, err)
	}
	return strconv.ParseUint(digits, 10, 64)
}

// String tells an answer for messages.
func (a answer) String() string {
	switch {
	case a.status == 0:
		return fmt.Sprintf("no answer: %v", a.err)
	case a.problem != nil:
		return fmt.Sprintf("%d %s, outcome %s: %s (revision %d, leader %s)",
			a.status, a.problem.Code, a.problem.Outcome, a.problem.Detail, a.revision, a.leader)
	default:
		return fmt.Sprintf("%d %q, tag %d (revision %d, leader %s)", a.status, a.value, a.etag, a.revision, a.leader)
	}
}

// put writes a key and returns its revision, through a node that has to do it.
func (c *cluster) put(n *node, key, value string) uint64 {
	c.t.Helper()
	a := c.do(n, request{method: http.MethodPut, key: key, value: value, timeout: patience})
	if a.status != http.StatusOK && a.status != http.StatusCreated {
		c.t.Fatalf("put %s=%s at node %s: %v", key, value, n.name, a)
	}
	return a.revision
}

// awaitPut writes a key, as often as it is certainly not applied.
func (c *cluster) awaitPut(n *node, key, value string) uint64 {
	c.t.Helper()
	var revision uint64
	await(c.t, "put "+key+" at node "+n.name, func() error {
		a := c.do(n, request{method: http.MethodPut, key: key, value: value})
		if a.status != http.StatusOK && a.status != http.StatusCreated {
			return errors.New(a.String())
		}
		revision = a.revision
		return nil
	})
	return revision
}

// local reads a key as the node has it.
func (c *cluster) local(n *node, key string) answer {
	return c.do(n, request{method: http.MethodGet, key: key, query: "consistency=local"})
}

// clusterView is a part of what GET /v1/cluster tells.
type clusterView struct {
	Leader                              string
	Term                                uint64
	Revision, CommitIndex, AppliedIndex uint64
	Ready                               bool
	NotReadyReason                      string
	Members                             []struct{ Name, Role string }
}

// view asks a node what it sees of its cluster.
func (c *cluster) view(n *node) (clusterView, error) {
	var view clusterView
	status, body, err := get("http://" + n.http + "/v1/cluster")
	if err == nil && status != http.StatusOK {
		err = fmt.Errorf("node %s: GET /v1/cluster: %d %s", n.name, status, body)
	}
	if err == nil {
		err = json.Unmarshal([]byte(body), &view)
	}
	return view, err
}

// health asks a node's operations port; status is 0 when there was no answer.
func (n *node) health(path string) (status int, text string) {
	status, text, err := get("http://" + n.ops + path)
	if err != nil {
		return 0, err.Error()
	}
	return status, strings.TrimSpace(text)
}

// metric returns the value of a gauge or counter without labels.
func (n *node) metric(t testing.TB, name string) float64 {
	t.Helper()
	status, text := n.health("/metrics")
	for line := range strings.Lines(text) {
		if value, ok := strings.CutPrefix(line, name+" "); ok {
			number, err := strconv.ParseFloat(strings.TrimSpace(value), 64)
			if err != nil {
				t.Fatalf("node %s: metric %s: %v", n.name, name, err)
			}
			return number
		}
	}
	t.Fatalf("node %s shows no metric %s (status %d)", n.name, name, status)
	return 0
}

// observer asks about nodes; it keeps no connection, since whom it asks may be
// about to be killed.
var observer = &http.Client{Timeout: requestTimeout, Transport: &http.Transport{DisableKeepAlives: true}}

// get returns status and body.
func get(url string) (status int, body string, err error) {
	reply, err := observer.Get(url)
	if err != nil {
		return 0, "", err
	}
	defer reply.Body.Close()
	text, err := io.ReadAll(reply.Body)
	return reply.StatusCode, string(text), err
}
