//go:build linux

package e2e

import (
	"context"
	"fmt"
	"maps"
	"math/rand/v2"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// keyedClients is how many clients a keyedLoad has.
const keyedClients = 8

// A keyedLoad is clients that give each write an idempotency key and send it,
// mostly with too little patience, to one member after the other until they know
// its answer, and then again. So all that happens to the store is known exactly:
// each revision is one of their writes.
type keyedLoad struct {
	t       testing.TB
	cluster *cluster
	// base is the store's revision before the first write.
	base uint64
	stop context.CancelFunc
	all  sync.WaitGroup

	mu sync.Mutex
	// commits are the writes that changed something, by revision.
	commits map[uint64]keyedWrite
	// faults are answers that a write which is done once doesn't get.
	faults []string
	// writes counts all that were answered, refused those of them that found
	// their key otherwise than they wanted it, sent the requests, repeated those of
	// them that were not the first of their write, and unheard those of them that
	// followed one whose outcome the client wasn't told.
	writes, refused, sent, repeated, unheard int
}

// A keyedWrite is a write of one key.
type keyedWrite struct {
	request
	// wanted are the statuses that it can be answered with.
	wanted []int
}

// startKeyedLoad starts the clients on a cluster that holds nothing, and that
// nobody else writes to.
func startKeyedLoad(t testing.TB, c *cluster) *keyedLoad {
	t.Helper()
	c.awaitAgreement()
	view, err := c.view(c.random())
	if err != nil {
		t.Fatal(err)
	}
	l := &keyedLoad{t: t, cluster: c, base: view.Revision, commits: map[uint64]keyedWrite{}}
	ctx, stop := context.WithCancel(context.Background())
	l.stop = stop
	for i := range keyedClients {
		l.all.Go(func() { l.work(ctx, i) })
	}
	t.Cleanup(l.end)
	return l
}

// end lets the clients finish what they are at, and waits for them. It may be
// called again.
func (l *keyedLoad) end() {
	l.stop()
	l.all.Wait()
}

// work is one client's life.
func (l *keyedLoad) work(ctx context.Context, client int) {
	var chain uint64 // the revision of the key that it alone swaps
	for sequence := 0; ctx.Err() == nil; sequence++ {
		w := l.choose(client, sequence, chain)
		w.idempotency = fmt.Sprintf("client %d, write %d", client, sequence)
		if w.method == http.MethodPut {
			w.value = w.idempotency
		}
		a, ok := l.insist(w)
		if !ok {
			return
		}
		if strings.HasPrefix(w.key, "chain/") {
			chain = a.revision
		}
		time.Sleep(rand.N(10 * time.Millisecond)) // leave the members some of the processor
	}
}

// choose returns a client's next write. What it wants is such that a second
// execution would be answered otherwise than the first.
func (l *keyedLoad) choose(client, sequence int, chain uint64) keyedWrite {
	own := func(sequence int) string { return fmt.Sprintf("own/%d/%d", client, sequence) }
	switch sequence % 6 {
	case 0:
		return keyedWrite{request{method: http.MethodPut, key: own(sequence)}, []int{http.StatusCreated}}
	case 1: // what was made just before
		return keyedWrite{request{method: http.MethodDelete, key: own(sequence - 1)}, []int{http.StatusNoContent}}
	case 2:
		return keyedWrite{request{method: http.MethodPut, key: own(sequence), ifAbsent: true}, []int{http.StatusCreated}}
	case 3:
		key := fmt.Sprintf("shared/%d", rand.N(3))
		return keyedWrite{request{method: http.MethodPut, key: key}, []int{http.StatusCreated, http.StatusOK}}
	case 4: // which all clients want to make
		key := fmt.Sprintf("contested/%d", sequence)
		return keyedWrite{request{method: http.MethodPut, key: key, ifAbsent: true}, []int{http.StatusCreated, http.StatusPreconditionFailed}}
	default:
		r := request{method: http.MethodPut, key: fmt.Sprintf("chain/%d", client), ifMatch: chain, ifAbsent: chain == 0}
		if chain == 0 {
			return keyedWrite{r, []int{http.StatusCreated}}
		}
		return keyedWrite{r, []int{http.StatusOK}}
	}
}

// insist sends a write until it is answered, and then up to twice more, and
// notes what came of it. It returns the answer, unless there is none.
func (l *keyedLoad) insist(w keyedWrite) (first answer, ok bool) {
	again := 0 // how often it is to be sent once it was answered
	unknown := false
	for attempt, deadline := 0, time.Now().Add(patience); time.Now().Before(deadline); attempt++ {
		// The later, the more patient: it has to end even on a machine that is slow.
		w.timeout = 2*time.Millisecond + rand.N(30*time.Millisecond)*time.Duration(1+attempt)
		n := l.cluster.random()
		a := l.cluster.do(n, w.request)
		l.count(attempt, unknown)
		unknown = a.status == 0 && !a.undelivered || a.problem != nil && a.problem.Outcome == "unknown"
		switch fault := w.judge(a, first); {
		case fault != "":
			l.fault("%s %s, key %q, attempt %d at node %s: %s: %v; before: %v", w.method, w.key, w.idempotency, attempt, n.name, fault, a, first)
			return a, false
		case a.status == 0 || unanswered(a):
			time.Sleep(rand.N(5 * time.Millisecond))
			continue
		case first.status == 0:
			first, again = a, 1+rand.N(3)
			l.note(w, a)
		}
		if again--; again == 0 {
			return first, true
		}
	}
	if first.status != 0 { // The repetitions alone took too long, on a cluster that is down.
		return first, true
	}
	l.fault("%s %s, key %q: not answered within %v", w.method, w.key, w.idempotency, patience)
	return first, false
}

// unanswered tells whether the answer says nothing of what became of the write.
func unanswered(a answer) bool {
	return a.status == http.StatusServiceUnavailable || a.status == http.StatusGatewayTimeout
}

// judge tells what is wrong with an answer to the write; first is the one that
// it got before, if any.
func (w keyedWrite) judge(a, first answer) (fault string) {
	switch {
	case a.status == 0 || unanswered(a):
		return ""
	case a.err != nil:
		return "an answer that can't be read"
	case !slices.Contains(w.wanted, a.status):
		return "an answer that nobody expects"
	case first.status != 0 && !repeats(a, first):
		return "another answer than before"
	}
	return ""
}

// repeats tells whether an answer to a write is what the first one was. A refusal
// names the revision that it was decided at in its text; in its header is that of
// the store at the moment.
func repeats(a, first answer) bool {
	if a.problem != nil && first.problem != nil {
		return a.status == first.status && a.etag == first.etag && *a.problem == *first.problem
	}
	return a.problem == first.problem && a.status == first.status && a.etag == first.etag && a.revision == first.revision
}

// lastWrite writes a key under a prefix that no client does.
func lastWrite(prefix string) keyedWrite {
	key := prefix + "last"
	return keyedWrite{request{method: http.MethodPut, key: key, value: "the last", idempotency: "the last of " + key}, []int{http.StatusCreated}}
}

func (l *keyedLoad) count(attempt int, unknown bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.sent++
	if attempt > 0 {
		l.repeated++
	}
	if unknown {
		l.unheard++
	}
}

func (l *keyedLoad) fault(format string, args ...any) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.faults = append(l.faults, fmt.Sprintf(format, args...))
}

// note takes down what a write came to.
func (l *keyedLoad) note(w keyedWrite, a answer) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.writes++
	if a.status == http.StatusPreconditionFailed {
		l.refused++
		return
	}
	if other, twice := l.commits[a.revision]; twice {
		l.faults = append(l.faults, fmt.Sprintf("two writes have revision %d: %s and %s", a.revision, other.idempotency, w.idempotency))
	}
	l.commits[a.revision] = w
}

// repetitions returns how many requests were not the first of their write.
func (l *keyedLoad) repetitions() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.repeated
}

// awaitRepetitions waits until this many more requests were not the first of
// their write, and some more writes were answered.
func (l *keyedLoad) awaitRepetitions(more int) {
	l.t.Helper()
	target := l.repetitions() + more
	await(l.t, fmt.Sprintf("%d more requests are repeated", more), func() error {
		l.showFaults()
		if count := l.repetitions(); count < target {
			return fmt.Errorf("%d are missing", target-count)
		}
		return nil
	})
}

// showFaults ends the test if there are any.
func (l *keyedLoad) showFaults() {
	l.t.Helper()
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.faults) > 0 {
		l.t.Fatalf("%d answers that a write which is done once doesn't get, the first of them:\n%s",
			len(l.faults), strings.Join(l.faults[:min(len(l.faults), faultsShown)], "\n"))
	}
}

// finish ends the clients and fails the test unless each write was done once:
// every revision of the store is one of them, and each member tells all of them
// as they were acknowledged.
func (l *keyedLoad) finish(t *testing.T) {
	t.Helper()
	l.end()
	l.showFaults()
	l.cluster.awaitAgreement()
	view, err := l.cluster.view(l.cluster.random())
	if err != nil {
		t.Fatal(err)
	}
	if made := view.Revision - l.base; made != uint64(len(l.commits)) {
		t.Errorf("%d writes made %d revisions", len(l.commits), made)
	}
	for revision := l.base + 1; revision <= view.Revision; revision++ {
		if _, known := l.commits[revision]; !known {
			t.Errorf("revision %d is not the answer to any write", revision)
		}
	}
	for _, n := range l.cluster.nodes {
		w := &watcher{cluster: l.cluster, nodes: []*node{n}, from: l.base}
		w.finishAt(view.Revision)
		w.run()
		w.check(t, l)
	}
}

// events returns what a watch after the base has to tell.
func (l *keyedLoad) events() []watchEvent {
	l.mu.Lock()
	defer l.mu.Unlock()
	live := map[string]watchChange{}
	var events []watchEvent
	for _, revision := range slices.Sorted(maps.Keys(l.commits)) {
		w := l.commits[revision]
		c := watchChange{Op: "delete", Key: w.key, Revision: revision}
		if w.method == http.MethodPut {
			before, existed := live[w.key]
			c.Op, c.Text, c.CreateRevision, c.Version = "put", w.value, revision, 1
			if existed {
				c.CreateRevision, c.Version = before.CreateRevision, before.Version+1
			}
			live[w.key] = c
		} else {
			delete(live, w.key)
		}
		events = append(events, watchEvent{revision: revision, changes: []watchChange{c}})
	}
	return events
}

// figures tells what happened in one line.
func (l *keyedLoad) figures() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return fmt.Sprintf("%d writes in %d requests, %d of them repeated, %d of those after an attempt of unknown outcome; "+
		"%d revisions and %d refused compares, each once; all answers to a key equal",
		l.writes, l.sent, l.repeated, l.unheard, len(l.commits), l.refused)
}
