package sim

import (
	"errors"
	"maps"
	"slices"
	"time"

	"github.com/conclave-dev/conclave/pkg/config"
)

// watcher watches a prefix at one node after the other and goes on at each where it
// was at the last. It must be told every revision that changes something under the
// prefix, in order and once, all of that and nothing else.
type watcher struct {
	w      *world
	number int
	prefix string
	// cursor is where it goes on. synced is set once it has the state that it began
	// with, or if it begins before everything.
	cursor uint64
	synced bool
	// follower is what it has of a node, nil while it has none, and waiting is set
	// when that had no more to tell.
	node     *node
	life     int
	follower *config.Follower
	waiting  bool
}

// watchPrefixes are what watchers watch: everything, single keys, and nothing.
var watchPrefixes = []string{"", "", "k", "k1", "k2", "probe", "none"}

func newWatcher(w *world) *watcher {
	one := &watcher{w: w, number: len(w.watchers) + 1, prefix: pick(w.random, watchPrefixes...)}
	one.synced = w.chance(0.5)
	return one
}

// pause lets the watcher look in a while.
func (t *watcher) pause() {
	t.w.after(t.w.about(t.w.options.WatchEvery), func() {
		if !t.w.healed {
			t.step()
			t.pause()
		}
	})
}

// step takes some of what there is to be told, or leaves the node.
func (t *watcher) step() {
	w := t.w
	switch {
	case !t.connected() || w.chance(0.05):
		t.leave()
		if n := w.running(); n != nil && !n.paused {
			t.follow(n)
		}
	case !t.node.paused:
		t.read(1 + w.random.IntN(8))
	}
}

// connected tells whether there is a follower whose node still runs.
func (t *watcher) connected() bool { return t.follower != nil && t.node.life == t.life }

// leave gives the follower up.
func (t *watcher) leave() {
	if t.connected() {
		t.follower.Close()
	}
	t.follower = nil
}

// follow begins at a node: with the state that it shows, or where the watcher was.
func (t *watcher) follow(n *node) {
	w := t.w
	if !t.synced {
		t.sync(n)
	}
	var err error
	t.follower, err = n.store.Follow(namespace, t.prefix, t.cursor)
	n.must(err)
	t.node, t.life, t.waiting = n, n.life, false
	w.count(WatchesFollowed)
	w.trace.tell(traceWatch, n, "watcher %d of %q follows after %d", t.number, t.prefix, t.cursor)
}

// sync takes the state as a node has it: of one revision, with every key.
func (t *watcher) sync(n *node) {
	view, model := n.machine.View(), &t.w.oracle.model
	for _, key := range slices.Sorted(maps.Keys(model.keys)) {
		want, got := model.at(key, view.Revision), view.Get(namespace, key)
		if (got == nil) != (want.version == 0) || got != nil && !want.is(got) {
			t.w.fail("watcher %d begins at %v with revision %d, where %s is %+v; the model has %+v", t.number, n, view.Revision, key, got, want)
		}
	}
	t.cursor, t.synced = view.Revision, true
	t.w.count(WatchesSynced)
}

// read takes up to so many revisions.
func (t *watcher) read(most int) {
	w := t.w
	if t.waiting {
		t.demandWake()
		if !t.woken() && w.chance(0.7) {
			return // It looks all the same now and then, for how far the node is.
		}
	}
	for range most {
		told, _, err := t.follower.Next()
		var pruned *config.PrunedError
		switch {
		case errors.As(err, &pruned):
			t.pruned(pruned)
			return
		case err != nil:
			w.fail("watcher %d is told at %v: %v", t.number, t.node, err)
		case told == nil:
			t.bookmark(t.follower.Cursor())
			t.waiting = true
			return
		}
		t.take(told)
	}
	t.waiting = false
}

// woken tells whether the follower says that there may be more.
func (t *watcher) woken() bool {
	select {
	case <-t.follower.Changed():
		return true
	default:
		return false
	}
}

// demandWake demands that a watcher is woken by what was delivered.
func (t *watcher) demandWake() {
	if missed, changes := t.w.oracle.model.next(t.prefix, t.cursor, t.node.delivered); missed != 0 && !t.woken() {
		t.w.fail("watcher %d of %q sleeps at %v after revision %d, where %d was delivered: %+v", t.number, t.prefix, t.node, t.cursor, missed, changes)
	}
}

// take judges a revision that the watcher is told.
func (t *watcher) take(told *config.Revision) {
	w := t.w
	revision, changes := w.oracle.model.next(t.prefix, t.cursor, w.oracle.model.revision)
	ok := revision == told.Number && len(changes) == len(told.Changes)
	for i := 0; ok && i < len(changes); i++ {
		ok = told.Changes[i].Namespace == namespace && changes[i].is(told.Changes[i].Entry)
	}
	if !ok {
		w.fail("watcher %d of %q is told revision %d after %d by %v with %d changes; what comes is %d with %+v",
			t.number, t.prefix, told.Number, t.cursor, t.node, len(told.Changes), revision, changes)
	}
	t.cursor = revision
	w.count(RevisionsTold)
	w.trace.note(traceTold, t.node, uint64(t.number), revision, uint64(len(changes)))
}

// bookmark judges how far a watcher is said to be.
func (t *watcher) bookmark(cursor uint64) {
	w := t.w
	if missed, changes := w.oracle.model.next(t.prefix, t.cursor, cursor); missed != 0 || cursor < t.cursor {
		w.fail("watcher %d of %q is told by %v to be at revision %d after %d; in between is %d: %+v",
			t.number, t.prefix, t.node, cursor, t.cursor, missed, changes)
	}
	if cursor > t.cursor {
		w.count(Bookmarks)
	}
	t.cursor = cursor
}

// pruned judges the word that history no longer reaches where the watcher was, and
// lets it begin again.
func (t *watcher) pruned(err *config.PrunedError) {
	w, now := t.w, t.node.machine.View().Revision
	kept := w.options.HistoryRevisions
	if kept == 0 || t.cursor+kept >= now || err.Oldest <= t.cursor || err.Oldest+kept > now {
		w.fail("watcher %d after revision %d is told by %v, which is at %d and keeps %d: %v", t.number, t.cursor, t.node, now, kept, err)
	}
	w.count(Resyncs)
	t.leave()
	t.synced = false
}

// demandNothingMissed demands that each watcher is told the rest, wherever it goes.
func (w *world) demandNothingMissed() {
	leader := w.leader()
	for _, t := range w.watchers {
		members := leader.loop.Membership().Membership.Members
		t.leave()
		t.follow(w.node(members[w.random.IntN(len(members))].ID))
		for t.waiting = false; !t.waiting; {
			if t.follower == nil {
				t.follow(leader)
			}
			t.read(100)
		}
		if missed, changes := w.oracle.model.next(t.prefix, t.cursor, w.oracle.model.revision); missed != 0 {
			w.fail("watcher %d of %q has nothing more to be told by %v after revision %d, and misses %d: %+v",
				t.number, t.prefix, t.node, t.cursor, missed, changes)
		}
		t.leave()
	}
}

// deliver tells the watches of a node what was published, in a while.
func (n *node) deliver() {
	if n.delivering || n.store.Watching() == 0 {
		return
	}
	n.delivering = true
	n.after(n.w.upTo(n.w.options.Delay), func() {
		n.delivering = false
		n.store.Deliver()
		n.delivered = n.machine.View().Revision
	})
}

// newStore returns the store over a state as watches need it. It has no
// replicator, which no watch asks, and a clock that stands still.
func newStore(n *node) *config.Store {
	store, err := config.NewStore(n.machine, nil, config.StoreOptions{Now: func() time.Time { return time.Time{} }})
	n.must(err)
	return store
}
