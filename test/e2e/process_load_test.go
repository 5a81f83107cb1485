//go:build linux

package e2e

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/conclave-dev/conclave/test/e2e/history"
)

// clients is how many clients use a cluster at the same time.
const clients = 16

// hotKeys is how many keys they share, so that they get into each other's way.
const hotKeys = 5

// A load is sixteen clients that use a cluster until they are told to stop, each
// one thing at a time at any member.
type load struct {
	t       testing.TB
	cluster *cluster
	record  *record
	// timeout is how long a client waits for an answer.
	timeout time.Duration
	// era is a part of the keys' names. A key that no longer gets operations keeps
	// what it holds, and its history short enough to be judged.
	era atomic.Int64
	// used, unless nil, are the members that clients use, and no others.
	used atomic.Pointer[[]*node]

	stop context.CancelFunc
	all  sync.WaitGroup
}

// startLoad starts the clients.
func startLoad(t testing.TB, c *cluster, timeout time.Duration) *load {
	l := &load{t: t, cluster: c, record: newRecord(), timeout: timeout}
	l.start()
	return l
}

// again starts clients that know nothing, after those of this load have ended.
// They use other keys and go on with the record.
func (l *load) again() *load {
	next := &load{t: l.t, cluster: l.cluster, record: l.record, timeout: l.timeout}
	next.era.Store(l.era.Load() + 1)
	next.start()
	return next
}

func (l *load) start() {
	ctx, stop := context.WithCancel(context.Background())
	l.stop = stop
	// Values tell the clients of one load from those of the next.
	life := fmt.Sprint(lives.Add(1))
	for i := range clients {
		l.all.Go(func() { l.work(ctx, i, life) })
	}
	l.t.Cleanup(l.end)
}

// lives numbers the loads.
var lives atomic.Int64

// end stops the clients and waits for them. It may be called again, and without
// a start.
func (l *load) end() {
	if l.stop != nil {
		l.stop()
	}
	l.all.Wait()
}

// A worker is one client of a load.
type worker struct {
	client int
	// life tells its values from those of other loads, and sequence from each other.
	life     string
	sequence int
	// seen is what it last saw of each key, and newest the highest revision that it
	// was told.
	seen   map[string]history.Operation
	newest uint64
}

// work is one client's life.
func (l *load) work(ctx context.Context, client int, life string) {
	w := &worker{client: client, life: life, seen: map[string]history.Operation{}}
	for ctx.Err() == nil {
		if o, ok := l.record.play(l.cluster, l.somewhere(), w.choose(l.era.Load()), l.timeout); ok && o.Outcome != history.Unknown {
			w.learn(o)
		}
		select {
		case <-ctx.Done():
		case <-time.After(rand.N(10 * time.Millisecond)): // leave the members some of the processor
		}
	}
}

// choose returns what to do next in an era.
func (w *worker) choose(era int64) history.Operation {
	key := func(i int) string { return fmt.Sprintf("era%d/key%d", era, i) }
	keys := rand.Perm(hotKeys)
	o := history.Operation{Kind: history.Get}
	switch dice := rand.N(100); {
	case dice < 12:
		o = w.together(key(keys[0]), key(keys[1]), key(keys[2]))
	case dice < 28:
		o = w.leniently()
		o.Key = key(keys[0])
	default:
		o = choose(w.seen[key(keys[0])])
		o.Key = key(keys[0])
	}
	o.Worker = w.client
	if o.Kind == history.Put || o.Kind == history.Swap {
		o.Value = w.value()
	}
	return o
}

// value returns one that nobody has written.
func (w *worker) value() string {
	w.sequence++
	return fmt.Sprintf("%s.%d.%d", w.life, w.client, w.sequence)
}

// leniently returns a read that need not see the newest.
func (w *worker) leniently() history.Operation {
	o := history.Operation{Kind: history.Get}
	switch rand.N(3) {
	case 0:
		o.Level, o.Demand = history.Session, w.newest
	case 1:
		o.Level, o.Bound = history.Bounded, rand.N(500*time.Millisecond)
	default:
		o.Level = history.Local
	}
	return o
}

// together returns a transaction of keys, under the condition that some are as the
// worker saw them.
func (w *worker) together(a, b, c string) history.Operation {
	t := &history.Transaction{Then: []history.Step{
		{Kind: history.Put, Key: a, Value: w.value()}, {Kind: history.Get, Key: c}, {Kind: history.Delete, Key: b},
	}}
	if rand.N(3) > 0 {
		t.Then[2].Kind, t.Then[2].Value = history.Put, w.value()
	}
	for _, key := range []string{a, b, c}[rand.N(3):] {
		if rand.N(2) == 0 {
			t.If = append(t.If, history.Condition{Key: key, Revision: demandable(w.seen[key])})
		}
	}
	if rand.N(3) > 0 {
		t.Else = []history.Step{{Kind: history.Get, Key: a}, {Kind: history.Get, Key: b}}
	}
	return history.Operation{Kind: history.Txn, Txn: t}
}

// learn takes in what an operation that was answered tells.
func (w *worker) learn(o history.Operation) {
	w.newest = max(w.newest, o.Revision, o.Standing)
	switch {
	case o.Kind != history.Txn:
		w.seen[o.Key] = o
	case o.Outcome == history.Done:
		for i, step := range o.Txn.Branch() {
			now := history.Operation{Kind: step.Kind, Outcome: history.Done, Revision: o.Revision, Value: step.Value}
			if step.Kind == history.Get {
				now.Revision, now.Value = o.Txn.Saw[i].Revision, o.Txn.Saw[i].Value
			}
			w.seen[step.Key] = now
		}
	}
}

// demandable returns the revision that a key had when it was last seen, 0 if there
// was no such key.
func demandable(last history.Operation) uint64 {
	if last.Outcome == history.Done && last.Kind != history.Delete {
		return last.Revision
	}
	return 0
}

// use makes the clients use these members only.
func (l *load) use(nodes []*node) { l.used.Store(&nodes) }

// somewhere returns any member that the clients use.
func (l *load) somewhere() *node {
	if used := l.used.Load(); used != nil {
		return (*used)[rand.N(len(*used))]
	}
	return l.cluster.random()
}

// choose returns what to do next with a key of which last was seen.
func choose(last history.Operation) history.Operation {
	switch dice := rand.N(100); {
	case dice < 35:
		return history.Operation{Kind: history.Get}
	case dice < 65:
		return history.Operation{Kind: history.Put}
	case dice < 75:
		return history.Operation{Kind: history.Delete}
	case demandable(last) != 0:
		return history.Operation{Kind: history.Swap, Demand: last.Revision, Demanded: last.Value}
	default:
		return history.Operation{Kind: history.Swap}
	}
}

// awaitWrites waits until this many more writes have been acknowledged.
func (l *load) awaitWrites(more int) {
	l.t.Helper()
	target := l.record.count() + more
	await(l.t, fmt.Sprintf("%d more writes are acknowledged", more), func() error {
		for _, n := range l.cluster.nodes {
			if n.process() != nil {
				if err := n.alive(); err != nil {
					l.t.Fatal(err)
				}
			}
		}
		if count := l.record.count(); count < target {
			return fmt.Errorf("%d are missing", target-count)
		}
		return nil
	})
}

// finish ends the load, waits until the members agree, compares what each of them
// holds, key by key, and judges the history with these last reads in it.
func (l *load) finish(t *testing.T) {
	t.Helper()
	l.end()
	c := l.cluster
	for _, n := range c.nodes {
		c.awaitPut(n, "finish", "by "+n.name) // The member takes part, and has no write under way.
	}
	c.awaitAgreement()
	for _, key := range l.record.keys() {
		read, ok := l.record.play(c, c.random(), history.Operation{Worker: clients, Kind: history.Get, Key: key}, patience)
		if !ok {
			t.Errorf("the last read of %s was not answered", key)
		}
		for _, n := range c.nodes {
			a := c.local(n, key)
			if held := a.etag; a.status != 200 && a.status != 404 || held != read.Revision || a.status == 200 && a.value != read.Value {
				t.Errorf("node %s differs: it has %v, and a linear read has %v", n.name, a, read)
			}
		}
	}
	t.Log(l.record.figures())
	l.record.check(t)
}
