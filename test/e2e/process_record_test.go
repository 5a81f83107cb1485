//go:build linux

package e2e

import (
	"cmp"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"
)

// verb is what an operation does to a key.
type verb string

const (
	verbGet    verb = "get"
	verbPut    verb = "put"
	verbSwap   verb = "swap" // a put that demands a revision, or that there is no key
	verbDelete verb = "delete"
)

// effect is what a client knows of an operation.
type effect string

const (
	// effectDone: it took effect, or the read was answered.
	effectDone effect = "done"
	// effectAbsent: a read or a delete found no such key.
	effectAbsent effect = "absent"
	// effectConflict: a swap found the key otherwise than it demands.
	effectConflict effect = "conflict"
	// effectUnknown: a write may have taken effect, or may do so at any later time.
	effectUnknown effect = "unknown"
)

// An operation is one use of a key that somebody may have noticed.
type operation struct {
	client int
	verb   verb
	key    string
	// value is what was written or read. No value is written twice.
	value string
	// demand is the revision that a swap demands, 0 for no such key, and demanded
	// is the value that the client had seen with it.
	demand   uint64
	demanded string

	effect effect
	// revision is that of the write, or of what was read, or what a conflict met;
	// 0 stands for no such key.
	revision uint64
	// standing is the revision of the whole store that a read is from.
	standing uint64
	// call and end are when it began and when its answer was here. An operation of
	// unknown effect has not ended.
	call, end time.Duration
}

// String tells the operation in one line.
func (o operation) String() string {
	text := fmt.Sprintf("%12v %12v client %2d  %s %s", o.call, o.end, o.client, o.verb, o.key)
	if o.verb != verbGet {
		text += fmt.Sprintf(" %q", o.value)
	}
	if o.verb == verbSwap {
		text += fmt.Sprintf(" in place of %q at %d", o.demanded, o.demand)
	}
	text += fmt.Sprintf(": %s at %d", o.effect, o.revision)
	if o.verb == verbGet {
		text += fmt.Sprintf(" %q of %d", o.value, o.standing)
	}
	return text
}

// acknowledged tells of a write that the client was told has happened.
func (o operation) acknowledged() bool { return o.verb != verbGet && o.effect == effectDone }

// A record gathers what many clients saw.
type record struct {
	began time.Time

	mu         sync.Mutex
	operations []operation
	// faults are answers that the API's contract doesn't know.
	faults []string
	// rejected counts the writes that were certainly not applied, and failed the
	// reads that got no answer.
	rejected, failed int
	// acknowledged counts writes.
	acknowledged int
}

func newRecord() *record { return &record{began: time.Now()} }

// now is the time of the record's clock.
func (r *record) now() time.Duration { return time.Since(r.began) }

// sent returns the request that an operation is.
func (o operation) request(timeout time.Duration) request {
	r := request{method: http.MethodGet, key: o.key, timeout: timeout}
	switch o.verb {
	case verbPut, verbSwap:
		r.method, r.value = http.MethodPut, o.value
		r.ifMatch, r.ifAbsent = o.demand, o.verb == verbSwap && o.demand == 0
	case verbDelete:
		r.method = http.MethodDelete
	}
	return r
}

// play performs an operation at a node and records what came of it. It returns
// the operation as recorded, and whether it was.
func (r *record) play(c *cluster, n *node, o operation, timeout time.Duration) (operation, bool) {
	o.call = r.now()
	a := c.do(n, o.request(timeout))
	o.end = r.now()
	known := o.judge(a)
	r.mu.Lock()
	defer r.mu.Unlock()
	switch {
	case known == "":
		r.operations = append(r.operations, o)
		if o.acknowledged() {
			r.acknowledged++
		}
		return o, true
	case known == nothing && o.verb == verbGet:
		r.failed++
	case known == nothing:
		r.rejected++
	default:
		r.faults = append(r.faults, fmt.Sprintf("%v at node %s: %s: %v", o, n.name, known, a))
	}
	return o, false
}

// nothing is judge's word for an operation that certainly did nothing.
const nothing = "nothing happened"

// judge sets what the answer says of the operation. It returns nothing when
// nobody can have noticed the operation, and what is wrong with an answer that
// the contract doesn't allow.
func (o *operation) judge(a answer) string {
	if a.undelivered || o.verb == verbGet && a.status == 0 {
		return nothing
	}
	if a.status == 0 { // sent, and never heard of again
		o.effect = effectUnknown
		return ""
	}
	if a.err != nil {
		return fmt.Sprintf("an answer that can't be read: %v", a.err)
	}
	o.revision = a.revision
	switch {
	case a.status == http.StatusPreconditionFailed && o.verb == verbSwap:
		o.effect, o.revision = effectConflict, a.etag
	case a.problem != nil && a.problem.Code == "key_not_found" && (o.verb == verbGet || o.verb == verbDelete):
		o.effect, o.revision, o.standing = effectAbsent, 0, a.revision
	case a.problem != nil:
		return o.judgeRefusal(a)
	case o.verb == verbGet && a.status == http.StatusOK:
		o.effect, o.revision, o.standing, o.value = effectDone, a.etag, a.revision, a.value
	case o.verb == verbDelete && a.status == http.StatusNoContent:
		o.effect = effectDone
	case a.status == http.StatusOK || a.status == http.StatusCreated:
		if o.effect = effectDone; a.etag != a.revision {
			return "the write's tag is not its revision"
		}
	default:
		return "an answer that nobody expects"
	}
	return ""
}

// judgeRefusal reads the outcome of a refused operation.
func (o *operation) judgeRefusal(a answer) string {
	switch {
	case a.status != http.StatusServiceUnavailable && a.status != http.StatusGatewayTimeout:
		return "a refusal that nobody expects"
	case a.problem.Outcome == "unknown" && o.verb == verbGet:
		return "the outcome of a read can't be unknown"
	case a.problem.Outcome == "unknown":
		o.effect, o.revision = effectUnknown, 0
		return ""
	case a.problem.Outcome == "rejected":
		return nothing
	default:
		return "a refusal without an outcome"
	}
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
	for _, o := range r.operations {
		if o.acknowledged() && o.call >= moment && (first == 0 || o.end < first) {
			first = o.end
		}
	}
	return first
}

// figures tells what happened in one line.
func (r *record) figures() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	var reads, open, conflicts int
	for _, o := range r.operations {
		switch {
		case o.effect == effectUnknown:
			open++
		case o.verb == verbGet:
			reads++
		case o.effect != effectDone:
			conflicts++
		}
	}
	return fmt.Sprintf("%d operations: %d acknowledged writes, %d reads, %d conflicts and vain deletes, "+
		"%d writes of unknown outcome; besides %d rejected writes and %d failed reads",
		len(r.operations), r.acknowledged, reads, conflicts, open, r.rejected, r.failed)
}

// keys returns the keys that were used, sorted.
func (r *record) keys() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	used := map[string]bool{}
	var keys []string
	for _, o := range r.operations {
		if !used[o.key] {
			used[o.key] = true
			keys = append(keys, o.key)
		}
	}
	slices.Sort(keys)
	return keys
}

// dump lists the operations in the order in which they began.
func (r *record) dump() string {
	ordered := slices.SortedFunc(slices.Values(r.operations), func(a, b operation) int { return cmp.Compare(a.call, b.call) })
	var text strings.Builder
	for _, o := range ordered {
		fmt.Fprintln(&text, o)
	}
	return text.String()
}
