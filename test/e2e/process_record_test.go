//go:build linux

package e2e

import (
	"fmt"
	"maps"
	"net/http"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/conclave-dev/conclave/test/e2e/history"
)

// A record gathers what many clients saw.
type record struct {
	began time.Time

	mu      sync.Mutex
	history history.History
	// faults are answers that the API's contract doesn't know.
	faults []string
	// rejected counts the writes that were certainly not applied, and failed the
	// reads that got no answer. Neither is in the history.
	rejected, failed int
	// acknowledged counts writes.
	acknowledged int
}

func newRecord() *record { return &record{began: time.Now()} }

// now is the time of the record's clock.
func (r *record) now() time.Duration { return time.Since(r.began) }

// sending returns the request that an operation is.
func sending(o history.Operation, timeout time.Duration) request {
	r := request{method: http.MethodGet, key: o.Key, query: freshness(o), timeout: timeout}
	switch o.Kind {
	case history.Txn:
		r = txnRequest(o.Txn)
		r.timeout = timeout
	case history.Put, history.Swap:
		r.method, r.value = http.MethodPut, o.Value
		r.ifMatch, r.ifAbsent = o.Demand, o.Kind == history.Swap && o.Demand == 0
	case history.Delete:
		r.method = http.MethodDelete
	}
	return r
}

// freshness returns what a read says of how fresh it must be.
func freshness(o history.Operation) string {
	query := "consistency=" + string(o.Level)
	switch o.Level {
	case "":
		return ""
	case history.Session:
		query += "&min-revision=" + strconv.FormatUint(o.Demand, 10)
	case history.Bounded:
		query += "&max-staleness=" + o.Bound.String()
	}
	return query
}

// play performs an operation at a node and records what came of it. It returns
// the operation as recorded, and whether it was.
func (r *record) play(c *cluster, n *node, o history.Operation, timeout time.Duration) (history.Operation, bool) {
	o.Start = r.now()
	a := c.do(n, sending(o, timeout))
	o.End = r.now()
	fault := judge(&o, a)
	r.mu.Lock()
	defer r.mu.Unlock()
	switch {
	case fault != "":
		r.faults = append(r.faults, fmt.Sprintf("%v at node %s: %s: %v", o, n.name, fault, a))
		return o, false
	case o.Outcome == history.Rejected && o.Kind == history.Get:
		r.failed++
		return o, false
	case o.Outcome == history.Rejected:
		r.rejected++
		return o, false
	}
	r.history.Operations = append(r.history.Operations, o)
	if o.Acknowledged() {
		r.acknowledged++
	}
	return o, true
}

// judge sets what the answer says of the operation. It returns what is wrong with
// an answer that the contract doesn't allow.
func judge(o *history.Operation, a answer) (fault string) {
	if a.undelivered || o.Kind == history.Get && a.status == 0 {
		o.Outcome = history.Rejected
		return ""
	}
	if a.status == 0 { // sent, and never heard of again
		o.Outcome = history.Unknown
		return ""
	}
	if a.err != nil {
		return fmt.Sprintf("an answer that can't be read: %v", a.err)
	}
	o.Revision = a.revision
	if o.Level != "" {
		o.Age = a.age
	}
	switch {
	case a.status == http.StatusPreconditionFailed && o.Kind == history.Swap:
		o.Outcome, o.Revision = history.Conflict, a.etag
	case a.status == http.StatusPreconditionFailed && o.Kind == history.Txn && len(o.Txn.Else) == 0:
		o.Outcome, o.Revision = history.Conflict, 0
	case a.status == http.StatusOK && o.Kind == history.Txn:
		return judgeTxn(o, a)
	case a.problem != nil && a.problem.Code == "key_not_found" && (o.Kind == history.Get || o.Kind == history.Delete):
		o.Outcome, o.Revision, o.Standing = history.Absent, 0, a.revision
	case a.problem != nil:
		return judgeRefusal(o, a)
	case o.Kind == history.Get && a.status == http.StatusOK:
		o.Outcome, o.Revision, o.Standing, o.Value = history.Done, a.etag, a.revision, a.value
	case o.Kind == history.Txn:
		return "an answer that nobody expects"
	case o.Kind == history.Delete && a.status == http.StatusNoContent:
		o.Outcome = history.Done
	case a.status == http.StatusOK || a.status == http.StatusCreated:
		if o.Outcome = history.Done; a.etag != a.revision {
			return "the write's tag is not its revision"
		}
	default:
		return "an answer that nobody expects"
	}
	return ""
}

// judgeRefusal reads the outcome of a refused operation.
func judgeRefusal(o *history.Operation, a answer) (fault string) {
	o.Revision = 0
	switch {
	case a.status != http.StatusServiceUnavailable && a.status != http.StatusGatewayTimeout && a.problem.Code != "disk_full":
		return "a refusal that nobody expects"
	case a.problem.Outcome == "unknown" && o.Kind == history.Get:
		return "the outcome of a read can't be unknown"
	case a.problem.Outcome == "unknown":
		o.Outcome = history.Unknown
	case a.problem.Outcome == "rejected":
		o.Outcome = history.Rejected
	default:
		return "a refusal without an outcome"
	}
	return ""
}

// check fails the test unless a store with one copy could have given the history.
func (r *record) check(t *testing.T) {
	t.Helper()
	r.mu.Lock()
	defer r.mu.Unlock()
	for i, fault := range r.faults {
		if i == faultsShown {
			t.Errorf("and %d more answers of the kind", len(r.faults)-i)
			break
		}
		t.Error(fault)
	}
	if err := r.history.Check(); err != nil {
		t.Errorf("what the clients saw isn't what one store would do:\n%v", err)
	}
	if t.Failed() {
		r.keep(t)
	}
}

// faultsShown is how many answers that nobody expects a test shows.
const faultsShown = 10

// keep writes the history into files that outlive the test, and tells where.
func (r *record) keep(t *testing.T) {
	dir, err := os.MkdirTemp(os.Getenv(artifactsEnv), strings.ReplaceAll(t.Name(), "/", "-")+"-")
	if err == nil {
		err = r.history.Keep(dir)
	}
	if err != nil {
		t.Errorf("keep the history: %v", err)
	}
	t.Logf("the history is kept in %s", dir)
}

// count returns how many writes have been acknowledged.
func (r *record) count() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.acknowledged
}

// firstWriteAfter returns when the first acknowledged write ended of those that
// began after a moment; 0 when there is none.
func (r *record) firstWriteAfter(moment time.Duration) time.Duration {
	r.mu.Lock()
	defer r.mu.Unlock()
	var first time.Duration
	for _, o := range r.history.Operations {
		if o.Acknowledged() && o.Start >= moment && (first == 0 || o.End < first) {
			first = o.End
		}
	}
	return first
}

// figures tells what happened in one line.
func (r *record) figures() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	var reads, lenient, transactions, open, conflicts int
	for _, o := range r.history.Operations {
		switch {
		case o.Outcome == history.Unknown:
			open++
		case o.Kind == history.Txn && o.Outcome == history.Done:
			transactions++
		case o.Level != "":
			lenient++
		case o.Kind == history.Get:
			reads++
		case o.Outcome != history.Done:
			conflicts++
		}
	}
	return fmt.Sprintf("%d operations: %d acknowledged writes, %d transactions carried out, %d linear reads, %d session, bounded and local ones, "+
		"%d conflicts and vain deletes, %d writes of unknown outcome; besides %d rejected writes and %d failed reads",
		len(r.history.Operations), r.acknowledged, transactions, reads, lenient, conflicts, open, r.rejected, r.failed)
}

// keys returns the keys that were used, sorted.
func (r *record) keys() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	used := map[string]bool{}
	for _, o := range r.history.Operations {
		if o.Kind != history.Txn {
			used[o.Key] = true
			continue
		}
		for _, step := range slices.Concat(o.Txn.Then, o.Txn.Else) {
			used[step.Key] = true
		}
	}
	return slices.Sorted(maps.Keys(used))
}
