package config_test

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"

	"github.com/conclave-dev/conclave/pkg/config"
)

// follow returns a follower that the test closes at its end.
func follow(t testing.TB, store *config.Store, namespace, prefix string, from uint64) *config.Follower {
	t.Helper()
	f, err := store.Follow(namespace, prefix, from)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(f.Close)
	return f
}

// tell writes a revision with its changes as "7: a=1 b-".
func tell(r *config.Revision) string {
	var changes []string
	for _, c := range r.Changes {
		if c.Entry.Deleted() {
			changes = append(changes, c.Entry.Key+"-")
		} else {
			changes = append(changes, fmt.Sprintf("%s=%s", c.Entry.Key, c.Entry.Value))
		}
	}
	return fmt.Sprintf("%d: %s", r.Number, strings.Join(changes, " "))
}

// drain returns what a follower tells until there is no more for now.
func drain(t testing.TB, f *config.Follower) (told []string) {
	t.Helper()
	for {
		r, _, err := f.Next()
		if err != nil {
			t.Fatal(err)
		}
		if r == nil {
			return told
		}
		if f.Cursor() != r.Number {
			t.Fatalf("the cursor is %d after revision %d", f.Cursor(), r.Number)
		}
		told = append(told, tell(r))
	}
}

// randomCommand changes some of a few keys of two namespaces, often several at
// once.
func randomCommand(random *rand.Rand) interface{ Encode() ([]byte, error) } {
	namespace := []string{"pay", "shop"}[random.IntN(2)]
	key := func() string { return []string{"a", "a/b", "a/c", "ab", "b/a", "b/b", "c"}[random.IntN(7)] }
	switch random.IntN(4) {
	case 0:
		return &config.Delete{Namespace: namespace, Key: key()}
	case 1:
		return &config.Put{Namespace: namespace, Key: key(), Value: []byte(fmt.Sprint(random.IntN(100)))}
	default:
		txn := &config.Txn{Namespace: namespace}
		for range 1 + random.IntN(5) {
			o := config.Operation{Kind: config.OperationPut, Key: key(), Value: []byte(fmt.Sprint(random.IntN(100)))}
			if random.IntN(3) == 0 {
				o = config.Operation{Kind: config.OperationDelete, Key: o.Key}
			}
			if !slices.ContainsFunc(txn.Then, func(other config.Operation) bool { return other.Key == o.Key }) {
				txn.Then = append(txn.Then, o)
			}
		}
		return txn
	}
}

// scope is what a follower of a test follows, and from where.
type scope struct {
	namespace, prefix string
	from              uint64
}

// expected is what a follower of the scope must tell, read from the journal.
func (s scope) expected(t testing.TB, view *config.View) (told []string) {
	t.Helper()
	revisions, err := view.Revisions(s.from)
	if err != nil {
		t.Fatal(err)
	}
	for r := range revisions {
		cut := *r
		cut.Changes = nil
		for _, c := range r.Changes {
			if c.Namespace == s.namespace && strings.HasPrefix(c.Entry.Key, s.prefix) {
				cut.Changes = append(cut.Changes, c)
			}
		}
		if len(cut.Changes) > 0 {
			told = append(told, tell(&cut))
		}
	}
	return told
}

// TestAFollowerTellsEachRevisionInScopeOnceInOrderAndWhole lets followers of
// random scopes read beside random commands, stop anywhere, and be continued by
// others from where they had got to.
func TestAFollowerTellsEachRevisionInScopeOnceInOrderAndWhole(t *testing.T) {
	for seed := range uint64(40) {
		t.Run(fmt.Sprint("seed ", seed), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				random := rand.New(rand.NewPCG(seed, 0))
				store, fake := newStore(t, config.StoreOptions{})
				run(t, store)
				type reader struct {
					scope
					follower *config.Follower
					told     []string
				}
				var readers []*reader
				for range 300 {
					switch random.IntN(6) {
					case 0:
						s := scope{[]string{"pay", "shop", "none"}[random.IntN(3)], []string{"", "a", "a/", "b/", "c", "x"}[random.IntN(6)], random.Uint64N(store.Revision() + 3)}
						readers = append(readers, &reader{scope: s, follower: follow(t, store, s.namespace, s.prefix, s.from)})
					case 1, 2:
						fake.apply(randomCommand(random))
					case 3:
						fake.apply(randomCommand(random), randomCommand(random), randomCommand(random))
					case 4:
						synctest.Wait() // all that was published is delivered
					default:
						if len(readers) == 0 {
							continue
						}
						r := readers[random.IntN(len(readers))]
						if random.IntN(3) == 0 {
							r.follower = follow(t, store, r.namespace, r.prefix, r.follower.Cursor())
						}
						for range random.IntN(4) {
							if next, _, err := r.follower.Next(); err != nil {
								t.Fatal(err)
							} else if next != nil {
								r.told = append(r.told, tell(next))
							}
						}
					}
				}
				for _, r := range readers {
					r.told = append(r.told, drain(t, r.follower)...)
					if want := r.expected(t, fake.state.View()); !slices.Equal(r.told, want) {
						t.Errorf("%+v tells\n%q, want\n%q", r.scope, r.told, want)
					}
				}
			})
		})
	}
}

func TestARevisionIsWholeWhenTheNamespaceSeesNoMoreOfIt(t *testing.T) {
	store, fake := newStore(t, config.StoreOptions{})
	fake.apply(&config.Txn{Namespace: "pay", Then: []config.Operation{
		{Kind: config.OperationPut, Key: "a/1"}, {Kind: config.OperationPut, Key: "a/2"}, {Kind: config.OperationPut, Key: "b"},
	}})
	for prefix, want := range map[string]struct {
		changes int
		whole   bool
	}{"": {3, true}, "a/": {2, false}, "b": {1, false}} {
		r, whole, err := follow(t, store, "pay", prefix, 0).Next()
		if err != nil || r == nil || len(r.Changes) != want.changes || whole != want.whole {
			t.Errorf("prefix %q: %+v, whole %v, %v", prefix, r, whole, err)
		}
		if shared := fake.state.View().RevisionAt(1); whole != (r == shared) || len(shared.Changes) != 3 {
			t.Errorf("prefix %q: the journal's revision is told %v, or was changed: %+v", prefix, r == shared, shared)
		}
	}
}

func TestAFollowerSleepsUntilItsScopeChanges(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store, fake := newStore(t, config.StoreOptions{})
		run(t, store)
		f := follow(t, store, "pay", "a/", 0)
		awake := func() bool {
			synctest.Wait()
			select {
			case <-f.Changed():
				return true
			default:
				return false
			}
		}
		if !awake() {
			t.Error("it sleeps before it was asked for anything")
		}
		drain(t, f)
		fake.apply(put("b", "1"))
		if awake() {
			t.Error("a change elsewhere woke it")
		}
		if drain(t, f); f.Cursor() != 1 {
			t.Errorf("the cursor is %d after a change elsewhere, want 1", f.Cursor())
		}
		fake.apply(put("a/b", "1"))
		if !awake() {
			t.Error("a change in scope didn't wake it")
		}
		if told := drain(t, f); !slices.Equal(told, []string{"2: a/b=1"}) {
			t.Errorf("it tells %q", told)
		}
		if awake() {
			t.Error("it is awake with nothing to tell")
		}
	})
}

// TestAnIdleFollowerOutlivesThePruningOfWhatItDoesNotFollow asks now and then, as
// a watch does for its bookmarks.
func TestAnIdleFollowerOutlivesThePruningOfWhatItDoesNotFollow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		state := config.NewStateWithLimits(1<<30, 0, 10, 1<<30)
		fake := &fakeReplicator{log: log{t: t, state: state}}
		store, err := config.NewStore(state, fake, config.StoreOptions{})
		if err != nil {
			t.Fatal(err)
		}
		run(t, store)
		idle, lost := follow(t, store, "pay", "a/", 0), follow(t, store, "pay", "", 0)
		for range 20 {
			drain(t, idle)
			for i := range 8 {
				fake.applyAt(config.Stamp{ElapsedMillis: 1000}, put(fmt.Sprint("b", i), "v"))
			}
			synctest.Wait()
		}
		drain(t, idle)
		fake.apply(put("a/b", "1"))
		if told := drain(t, idle); !slices.Equal(told, []string{"161: a/b=1"}) {
			t.Errorf("the idle one tells %q", told)
		}
		_, _, err = lost.Next()
		if pruned := (*config.PrunedError)(nil); !errors.As(err, &pruned) || pruned.Oldest != state.View().Oldest() {
			t.Errorf("one whose revisions are gone: %v, want the oldest, %d", err, state.View().Oldest())
		}
	})
}

func TestACursorThatIsNotReachedYetWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store, fake := newStore(t, config.StoreOptions{})
		run(t, store)
		f := follow(t, store, "pay", "", 2)
		for i := range 4 {
			if told := drain(t, f); i < 3 && told != nil {
				t.Errorf("it tells %q, which is not after its cursor", told)
			} else if i == 3 && !slices.Equal(told, []string{"3: a=2"}) {
				t.Errorf("it tells %q", told)
			}
			if i < 3 && f.Cursor() != 2 {
				t.Errorf("the cursor fell back or went ahead to %d", f.Cursor())
			}
			fake.apply(put("a", fmt.Sprint(i)))
			synctest.Wait()
		}
	})
}

func TestACursorFromBeforeARecoveryIsPruned(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store, fake := newStore(t, config.StoreOptions{})
		run(t, store)
		fake.apply(put("a", "1"))
		old, ahead := follow(t, store, "pay", "", 1), follow(t, store, "pay", "", 7)
		drain(t, old)
		drain(t, ahead)
		fake.apply(&config.Recover{TimeMicros: 1})
		synctest.Wait()
		for _, f := range []*config.Follower{old, ahead} {
			select {
			case <-f.Changed():
			default:
				t.Error("the recovery doesn't wake a follower")
			}
			if r, _, err := f.Next(); !errors.Is(err, config.ErrPruned) || r != nil {
				t.Errorf("after the recovery: %+v, %v", r, err)
			}
		}
		now := follow(t, store, "pay", "", store.Revision())
		fake.apply(put("a", "2"))
		if told := drain(t, now); len(told) != 1 {
			t.Errorf("from the recovery on it tells %q", told)
		}
	})
}

func TestAFollowerComesBackFromALongWayBehind(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store, fake := newStore(t, config.StoreOptions{})
		run(t, store)
		for i := range config.FollowSteps + 10 {
			fake.apply(put(fmt.Sprint("b", i%7), "v"))
		}
		fake.apply(put("a", "1"))
		f := follow(t, store, "pay", "a", 0)
		if told := drain(t, f); told != nil || f.Cursor() != config.FollowSteps {
			t.Errorf("the first look tells %q and ends at %d, want nothing and %d", told, f.Cursor(), config.FollowSteps)
		}
		<-f.Changed()
		if told := drain(t, f); len(told) != 1 {
			t.Errorf("the second look tells %q", told)
		}
	})
}

func TestFollowersAreCheckedAndLimited(t *testing.T) {
	store, _ := newStore(t, config.StoreOptions{MaxWatches: 1})
	for name, s := range map[string]scope{"namespace": {"Pay", "", 0}, "prefix": {"pay", "/", 0}, "revision": {"pay", "", 1 << 60}} {
		_, err := store.Follow(s.namespace, s.prefix, s.from)
		if invalid := (*config.InvalidError)(nil); !errors.As(err, &invalid) || invalid.What != name {
			t.Errorf("%+v: %v, want an invalid %s", s, err, name)
		}
	}
	for range 2 { // a place is given back
		f, err := store.Follow("pay", "", 0)
		if err != nil {
			t.Fatal(err)
		}
		if _, _, err := f.Next(); err != nil {
			t.Fatal(err)
		}
		if _, err := store.Follow("pay", "", 0); !errors.Is(err, config.ErrTooManyWatches) {
			t.Errorf("one too many: %v", err)
		}
		f.Close()
		if n := store.Topics(); n != 0 {
			t.Errorf("%d topics are left", n)
		}
	}
}

// TestFollowersMissNothingBesideAWriter is the property with real goroutines.
func TestFollowersMissNothingBesideAWriter(t *testing.T) {
	const writes, readers = 3000, 8
	store, fake := newStore(t, config.StoreOptions{})
	run(t, store)
	var following sync.WaitGroup
	for i := range readers {
		f := follow(t, store, "pay", []string{"", "a", "a/b"}[i%3], 0)
		following.Go(func() {
			for next := uint64(1); next <= writes; {
				r, _, err := f.Next()
				switch {
				case err != nil:
					t.Error(err)
					return
				case r == nil:
					<-f.Changed() // a missed change would wait here for ever
				case r.Number != next:
					t.Errorf("revision %d is told, want %d", r.Number, next)
					return
				default:
					next++
				}
			}
		})
	}
	for i := range writes {
		fake.apply(put("a/b", fmt.Sprint(i)))
	}
	following.Wait()
}

func TestAnOwnerWithoutAGoroutineDeliversHimself(t *testing.T) {
	store, fake := newStore(t, config.StoreOptions{})
	inside, err := store.Follow("pay", "a", 0)
	if err != nil {
		t.Fatal(err)
	}
	defer inside.Close()
	outside, err := store.Follow("pay", "b", 0)
	if err != nil {
		t.Fatal(err)
	}
	defer outside.Close()
	woken := func(f *config.Follower) bool {
		select {
		case <-f.Changed():
			return true
		default:
			return false
		}
	}
	for _, f := range []*config.Follower{inside, outside} {
		if told, _, err := f.Next(); told != nil || err != nil || woken(f) {
			t.Fatalf("before any change: %v, %v", told, err)
		}
	}
	fake.apply(put("a", "1"))
	if woken(inside) {
		t.Error("woken before delivery")
	}
	store.Deliver()
	if !woken(inside) || woken(outside) {
		t.Errorf("after delivery the one whose prefix changed is woken: %t, the other: %t", woken(inside), woken(outside))
	}
	if told, whole, err := inside.Next(); err != nil || told == nil || told.Number != 1 || !whole {
		t.Errorf("it is told %+v, %t, %v", told, whole, err)
	}
}
