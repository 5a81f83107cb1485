//go:build linux

package e2e

import (
	"context"
	"errors"
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
	// answers are of all writes, in order.
	answers []answered
	// faults are answers that a write which is done once doesn't get.
	faults []string
	// refused counts the writes that found a key otherwise than they wanted it,
	// transactions those that succeeded, sent the requests, repeated those of
	// them that were not the first of their write, and unheard those of them that
	// followed one whose outcome the client wasn't told.
	refused, transactions, sent, repeated, unheard int
}

// A keyedWrite is a write of one key, or a transaction.
type keyedWrite struct {
	request
	// wanted are the statuses that it can be answered with.
	wanted []int
	// changes are what it does to keys when it succeeds: Op, Key and Text.
	changes []watchChange
}

// answered is a write and its answer.
type answered struct {
	keyedWrite
	answer answer
	at     time.Time
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
	name := fmt.Sprintf("client %d, write %d", client, sequence)
	own := func(sequence int) string { return fmt.Sprintf("own/%d/%d", client, sequence) }
	put := func(key string) watchChange { return watchChange{Op: "put", Key: key, Text: name} }
	shared := fmt.Sprintf("shared/%d", rand.N(3))
	contested := fmt.Sprintf("contested/%d", sequence) // which all clients want to make
	switch sequence % 8 {
	case 0:
		return single(name, put(own(sequence)), request{}, http.StatusCreated)
	case 1: // what was made just before
		return single(name, watchChange{Op: "delete", Key: own(sequence - 1)}, request{}, http.StatusNoContent)
	case 2:
		return single(name, put(own(sequence)), request{ifAbsent: true}, http.StatusCreated)
	case 3:
		return single(name, put(shared), request{}, http.StatusCreated, http.StatusOK)
	case 4:
		return single(name, put(contested), request{ifAbsent: true}, http.StatusCreated, http.StatusPreconditionFailed)
	case 5:
		key := fmt.Sprintf("chain/%d", client)
		if chain == 0 {
			return single(name, put(key), request{ifAbsent: true}, http.StatusCreated)
		}
		return single(name, put(key), request{ifMatch: chain}, http.StatusOK)
	case 6: // of keys under several prefixes, one of which was made above
		return together(name, own(sequence), false, put(own(sequence)), watchChange{Op: "delete", Key: own(sequence - 4)}, put(shared))
	default:
		return together(name, contested, true, put(contested), put(own(sequence)))
	}
}

// single returns a write of one key, with the conditions of r.
func single(name string, c watchChange, r request, wanted ...int) keyedWrite {
	r.method, r.key, r.value, r.idempotency = http.MethodPut, c.Key, c.Text, name
	if c.Op == "delete" {
		r.method = http.MethodDelete
	}
	return keyedWrite{r, wanted, []watchChange{c}}
}

// together returns a transaction that makes changes when a key is absent. If not,
// it reads the key if orElse is set, and is refused otherwise.
func together(name, absent string, orElse bool, changes ...watchChange) keyedWrite {
	body := txnBody{Namespace: namespace, If: []map[string]any{{"key": absent, "exists": false}}}
	for _, c := range changes {
		step := txnStep{Op: c.Op, Key: c.Key}
		if c.Op == "put" {
			step.Text = &c.Text
		}
		body.Then = append(body.Then, step)
	}
	if orElse {
		body.Else = []txnStep{{Op: "get", Key: absent}}
	}
	r := request{method: http.MethodPost, txn: true, key: absent, value: body.text(), idempotency: name}
	return keyedWrite{r, []int{http.StatusOK}, changes}
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
	return a.problem == first.problem && a.status == first.status && a.etag == first.etag && a.revision == first.revision && a.value == first.value
}

// lastWrite writes a key under a prefix that no client does.
func lastWrite(prefix string) keyedWrite {
	c := watchChange{Op: "put", Key: prefix + "last", Text: "the last"}
	return single("the last under "+prefix, c, request{}, http.StatusCreated)
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
	l.answers = append(l.answers, answered{w, a, time.Now()})
	if a.status == http.StatusPreconditionFailed || w.txn && strings.HasPrefix(a.value, `{"succeeded":false,`) {
		l.refused++
		return
	}
	if w.txn {
		l.transactions++
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
	l.askAgain()
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

// Answers are kept for ten minutes at least; some of those of the last
// askedAfter are asked for again at the end.
const (
	askedAgain = 100
	askedAfter = 5 * time.Minute
)

// askAgain sends some of the writes once more, long after they were answered, to
// members most of which have been started anew since.
func (l *keyedLoad) askAgain() {
	l.t.Helper()
	recent := slices.DeleteFunc(slices.Clone(l.answers), func(a answered) bool { return time.Since(a.at) > askedAfter })
	rand.Shuffle(len(recent), func(i, j int) { recent[i], recent[j] = recent[j], recent[i] })
	for _, one := range recent[:min(len(recent), askedAgain)] {
		await(l.t, "an answer is given again", func() error {
			one.timeout = requestTimeout
			n := l.cluster.random()
			a := l.cluster.do(n, one.request)
			l.count(1, false)
			if fault := one.judge(a, one.answer); fault != "" {
				l.fault("%s %s, key %q, asked at node %s in the end: %s: %v; before: %v", one.method, one.key, one.idempotency, n.name, fault, a, one.answer)
			} else if a.status == 0 || unanswered(a) {
				return errors.New(a.String())
			}
			return nil
		})
	}
}

// events returns what a watch after the base has to tell; of a transaction, in
// the order of its operations.
func (l *keyedLoad) events() []watchEvent {
	l.mu.Lock()
	defer l.mu.Unlock()
	live := map[string]watchChange{}
	var events []watchEvent
	for _, revision := range slices.Sorted(maps.Keys(l.commits)) {
		var changes []watchChange
		for _, c := range l.commits[revision].changes {
			c.Revision = revision
			if before, existed := live[c.Key]; c.Op == "put" {
				c.CreateRevision, c.Version = revision, 1
				if existed {
					c.CreateRevision, c.Version = before.CreateRevision, before.Version+1
				}
				live[c.Key] = c
			} else {
				delete(live, c.Key)
			}
			changes = append(changes, c)
		}
		events = append(events, watchEvent{revision: revision, changes: changes})
	}
	return events
}

// figures tells what happened in one line.
func (l *keyedLoad) figures() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return fmt.Sprintf("%d writes in %d requests, %d of them repeated, %d of those after an attempt of unknown outcome; "+
		"%d revisions, of which %d of several keys, and %d failed conditions, each once; all answers to a key equal",
		len(l.answers), l.sent, l.repeated, l.unheard, len(l.commits), l.transactions, l.refused)
}
