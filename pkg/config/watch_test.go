package config_test

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/conclave-dev/conclave/pkg/config"
)

// open opens a watch that the test closes at its end.
func open(t *testing.T, store *config.Store, scope config.Scope) *config.Watch {
	t.Helper()
	w, err := store.Watch(scope)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(w.Close)
	return w
}

// fired tells whether a watch has fired, once everything has come to rest.
func fired(w *config.Watch) bool {
	synctest.Wait()
	select {
	case <-w.Changed():
		return true
	default:
		return false
	}
}

func TestAWatchFiresForItsScopeAlone(t *testing.T) {
	scopes := map[string]config.Scope{
		"all": config.WatchAll(), "key": config.WatchKey("pay", "db/url"), "absent key": config.WatchKey("pay", "db/url/new"),
		"namesake": config.WatchKey("other", "db/url"), "prefix": config.WatchPrefix("pay", "db/"), "half a segment": config.WatchPrefix("pay", "db/u"),
		"namespace": config.WatchPrefix("pay", ""), "other prefix": config.WatchPrefix("pay", "app/"), "prefix elsewhere": config.WatchPrefix("other", "db/"),
	}
	for name, c := range map[string]struct {
		change interface{ Encode() ([]byte, error) }
		want   []string
	}{
		"put":        {put("db/url", "2"), []string{"all", "half a segment", "key", "namespace", "prefix"}},
		"delete":     {del("db/url"), []string{"all", "half a segment", "key", "namespace", "prefix"}},
		"create":     {put("db/url/new", "1"), []string{"absent key", "all", "half a segment", "namespace", "prefix"}},
		"refused":    {&config.Put{Namespace: "pay", Key: "db/url", If: config.IfAbsent()}, nil},
		"not there":  {del("db/none"), nil},
		"other keys": {put("d", "1"), []string{"all", "namespace"}},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				store, fake := newStore(t, config.StoreOptions{})
				run(t, store)
				fake.apply(put("db/url", "1"))
				synctest.Wait()
				watches := map[string]*config.Watch{}
				for name, scope := range scopes {
					watches[name] = open(t, store, scope)
				}
				fake.apply(c.change)
				var got []string
				for name, w := range watches {
					if fired(w) {
						got = append(got, name)
					}
				}
				slices.Sort(got)
				if !slices.Equal(got, c.want) {
					t.Errorf("fired: %q, want %q", got, c.want)
				}
			})
		})
	}
}

func TestMoreChangesThanAreToldApartWakeEverybody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store, fake := newStore(t, config.StoreOptions{})
		run(t, store)
		key, prefix := open(t, store, config.WatchKey("pay", "x")), open(t, store, config.WatchPrefix("other", "y"))
		var batch []interface{ Encode() ([]byte, error) }
		for i := range config.ChangeListMax {
			batch = append(batch, put(fmt.Sprintf("k%d", i), "v"))
		}
		fake.apply(batch...)
		if fired(key) || fired(prefix) {
			t.Error("changes elsewhere woke a watch although all were told apart")
		}
		fake.apply(append(batch, put("one-more", "v"))...)
		if !fired(key) || !fired(prefix) {
			t.Error("a change may have been missed")
		}
	})
}

func TestARestoreWakesEverybody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store, fake := newStore(t, config.StoreOptions{})
		run(t, store)
		snapshot := snapshot(t, filled(t).state)
		watches := []*config.Watch{
			open(t, store, config.WatchAll()), open(t, store, config.WatchKey("pay", "b/c")), open(t, store, config.WatchPrefix("none", "")),
		}
		if err := fake.state.Restore(bytes.NewReader(snapshot)); err != nil {
			t.Fatal(err)
		}
		for i, w := range watches {
			if !fired(w) {
				t.Errorf("watch %d sleeps on", i)
			}
		}
	})
}

func TestWatchesAreLimitedAndLeaveNothingBehind(t *testing.T) {
	store, fake := newStore(t, config.StoreOptions{MaxWatches: 3})
	run(t, store)
	scopes := []config.Scope{config.WatchAll(), config.WatchKey("pay", "a"), config.WatchPrefix("pay", "a")}
	for range 3 {
		var watches []*config.Watch
		for _, scope := range scopes {
			w, err := store.Watch(scope)
			if err != nil {
				t.Fatal(err)
			}
			watches = append(watches, w)
		}
		if _, err := store.Watch(scopes[0]); !errors.Is(err, config.ErrTooManyWatches) {
			t.Errorf("one too many: %v", err)
		}
		if n := store.Topics(); n != len(scopes) {
			t.Errorf("%d topics, want %d", n, len(scopes))
		}
		for _, w := range watches {
			w.Close()
		}
		if n := store.Topics(); n != 0 {
			t.Errorf("%d topics are left", n)
		}
	}
	// A watch that has fired is closed without harm to one opened since.
	old, err := store.Watch(scopes[1])
	if err != nil {
		t.Fatal(err)
	}
	fake.apply(put("a", "1"))
	<-old.Changed()
	since, err := store.Watch(scopes[1])
	if err != nil {
		t.Fatal(err)
	}
	old.Close()
	fake.apply(put("a", "2"))
	<-since.Changed()
	since.Close()
}

// TestNoChangeIsEverMissed lets readers follow a key as the pattern of use
// says, beside a writer: each must reach the last revision.
func TestNoChangeIsEverMissed(t *testing.T) {
	const writes, readers = 3000, 8
	store, fake := newStore(t, config.StoreOptions{})
	run(t, store)
	var following sync.WaitGroup
	for i := range readers {
		scope := []config.Scope{config.WatchKey("pay", "a"), config.WatchPrefix("pay", "a"), config.WatchAll()}[i%3]
		following.Go(func() {
			for known := uint64(0); known < writes; {
				w, err := store.Watch(scope)
				if err != nil {
					t.Error(err)
					return
				}
				if now := store.Revision(); now == known {
					<-w.Changed()
				} else {
					known = now
				}
				w.Close()
			}
		})
	}
	for i := range writes {
		fake.apply(put("a", fmt.Sprint(i)))
	}
	following.Wait() // a missed change would wait here for ever
	if n := store.Topics(); n != 0 {
		t.Errorf("%d topics are left", n)
	}
}

// TestAWriterDoesNotWaitForDelivery applies while nothing delivers at all.
func TestAWriterDoesNotWaitForDelivery(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store, fake := newStore(t, config.StoreOptions{})
		watches := make([]*config.Watch, 0, 1000)
		for range cap(watches) {
			watches = append(watches, open(t, store, config.WatchKey("pay", "a")))
		}
		for i := range 10_000 {
			fake.apply(put("a", fmt.Sprint(i)))
		}
		if fired(watches[0]) {
			t.Error("something was delivered although nothing runs")
		}
		run(t, store)
		began := time.Now()
		for _, w := range watches {
			<-w.Changed()
		}
		if time.Since(began) != 0 {
			t.Error("delivery waited for time to pass")
		}
	})
}
