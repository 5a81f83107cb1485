package config_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/conclave-dev/conclave/pkg/config"
)

// applyAt applies one command with a stamp and publishes it.
func (l *log) applyAt(stamp config.Stamp, c interface{ Encode() ([]byte, error) }) config.Result {
	l.t.Helper()
	l.index++
	result := l.state.Apply(l.index, stamp, config.Origin{}, encode(l.t, c))
	l.state.Publish()
	return result
}

// idle applies indexes without a command.
func (l *log) idle(indexes int, stamp config.Stamp) {
	for range indexes {
		l.index++
		l.state.Apply(l.index, stamp, config.Origin{}, nil)
	}
	l.state.Publish()
}

// shows returns a history as "revision=value" and "revision-" for deletions.
func shows(v *config.View, key string, upTo uint64) string {
	var out []string
	for e := range v.History("pay", key, upTo) {
		if e.Deleted() {
			out = append(out, fmt.Sprintf("%d-", e.ModRevision))
		} else {
			out = append(out, fmt.Sprintf("%d=%s", e.ModRevision, e.Value))
		}
	}
	return strings.Join(out, " ")
}

func TestHistoryTellsWhatAKeyWasNewestFirst(t *testing.T) {
	l := newLog(t)
	l.apply(put("a", "1"), put("ab", "x"), put("a", "2"), del("a"), put("a", "3"), put("a/b", "y"))
	v := l.state.View()
	for upTo, want := range map[uint64]string{6: "5=3 4- 3=2 1=1", 5: "5=3 4- 3=2 1=1", 4: "4- 3=2 1=1", 3: "3=2 1=1", 2: "1=1", 0: ""} {
		if got := shows(v, "a", upTo); got != want {
			t.Errorf("up to %d: %q, want %q", upTo, got, want)
		}
	}
	for at, want := range map[uint64]string{0: "", 1: "1", 2: "1", 3: "2", 4: "", 5: "3", 6: "3"} {
		e, err := v.GetAt("pay", "a", at)
		if err != nil || (e == nil) != (want == "") || e != nil && string(e.Value) != want {
			t.Errorf("at %d: %+v, %v, want %q", at, e, err, want)
		}
	}
}

func TestARevisionTellsWhenItWasMadeAndWhatItChanged(t *testing.T) {
	l := newLog(t)
	l.applyAt(config.Stamp{TimeMillis: 1700}, put("a", "1"))
	l.applyAt(config.Stamp{TimeMillis: 1600}, del("a"))
	v := l.state.View()
	first, second := v.RevisionAt(1), v.RevisionAt(2)
	if first.Number != 1 || first.TimeMillis != 1700 || len(first.Changes) != 1 || first.Changes[0].Namespace != "pay" || first.Changes[0].Entry.TimeMillis != 1700 {
		t.Errorf("the first revision is %+v", first)
	}
	if e := second.Changes[0].Entry; second.TimeMillis != 1600 || !e.Deleted() || e.Key != "a" || e.ModRevision != 2 || e.TimeMillis != 1600 {
		t.Errorf("the second revision is %+v of %+v", second, e)
	}
	if v.RevisionAt(3) != nil || v.RevisionAt(0) != nil {
		t.Error("there are revisions that nobody made")
	}
}

func TestAnEarlierRevisionIsReadAsItWas(t *testing.T) {
	store, fake := newStore(t, config.StoreOptions{})
	fake.apply(put("a", "1"), put("b/c", "1"), put("b/d", "1"), del("a"), put("b/c", "2"), put("e", "1"), del("b/d"))
	for at, want := range map[uint64]string{
		1: "a=1", 2: "a=1 b/", 3: "a=1 b/", 4: "b/", 6: "b/ e=1", 7: "b/ e=1", 0: "b/ e=1",
	} {
		page, standing, err := store.List(t.Context(), "pay", config.ListOptions{Delimiter: "/"}, config.ReadOptions{At: at})
		if got := listed(page); err != nil || got != want || at != 0 && standing.Revision != at {
			t.Errorf("at %d: %q, %+v, %v, want %q", at, got, standing, err, want)
		}
	}
	page, _, err := store.List(t.Context(), "pay", config.ListOptions{Prefix: "b/"}, config.ReadOptions{At: 4})
	if got := listed(page); err != nil || got != "b/c=1 b/d=1" {
		t.Errorf("under a prefix: %q, %v", got, err)
	}
	e, standing, err := store.Get(t.Context(), "pay", "a", config.ReadOptions{At: 2})
	if err != nil || string(e.Value) != "1" || standing.Revision != 2 {
		t.Errorf("a deleted key: %+v, %+v, %v", e, standing, err)
	}
	if _, _, err := store.Get(t.Context(), "pay", "a", config.ReadOptions{At: 8}); !errors.Is(err, config.ErrFutureRevision) || !strings.Contains(err.Error(), "8 was asked for and 7 is here") {
		t.Errorf("a revision to come: %v", err)
	}
	if _, _, err := store.Get(t.Context(), "pay", "a", config.ReadOptions{At: 1 << 60}); !errors.Is(err, config.ErrInvalid) {
		t.Errorf("an impossible revision: %v", err)
	}
}

// listed returns a page as "key=value" and common prefixes, in order.
func listed(page config.Page) string {
	out := slices.Clone(page.Prefixes)
	for _, e := range page.Entries {
		out = append(out, fmt.Sprintf("%s=%s", e.Key, e.Value))
	}
	slices.Sort(out)
	return strings.Join(out, " ")
}

func TestAllPagesOfAListingAreOfOneRevision(t *testing.T) {
	fake := &fakeReplicator{log: *newLog(t)}
	fake.state = config.NewStateWithLimits(1<<20, 1000, 2, 1<<20)
	store, err := config.NewStore(fake.state, fake, config.StoreOptions{})
	if err != nil {
		t.Fatal(err)
	}
	fake.apply(put("a", "1"), put("b", "1"), put("c", "1"), put("d", "1"))
	first, standing, err := store.List(t.Context(), "pay", config.ListOptions{Limit: 2}, config.ReadOptions{})
	if err != nil || listed(first) != "a=1 b=1" || first.Revision != 4 || standing.Revision != 4 {
		t.Fatal(first, standing, err)
	}
	fake.apply(del("c"), put("d", "2"), put("bb", "1"), put("e", "1"))
	next := config.ListOptions{Limit: 2, Cursor: first.Next}
	second, standing, err := store.List(t.Context(), "pay", next, config.ReadOptions{})
	if err != nil || listed(second) != "c=1 d=1" || second.Next != "" || second.Revision != 4 || standing.Revision != 4 {
		t.Errorf("the second page: %+v, %+v, %v", second, standing, err)
	}
	if _, _, err := store.List(t.Context(), "pay", next, config.ReadOptions{At: 5}); !errors.Is(err, config.ErrInvalid) {
		t.Errorf("a page of another revision: %v", err)
	}
	fake.idle(1, config.Stamp{ElapsedMillis: 2000})
	_, _, err = store.List(t.Context(), "pay", next, config.ReadOptions{})
	var pruned *config.PrunedError
	if !errors.As(err, &pruned) || !errors.Is(err, config.ErrPruned) || *pruned != (config.PrunedError{Revision: 4, Oldest: 6}) {
		t.Errorf("a page of a pruned revision: %v", err)
	}
}

// TestAListingOverManyAbsentKeysComesInPages goes through the keys that were
// deleted before a revision, which cost a reader time and give nothing.
func TestAListingOverManyAbsentKeysComesInPages(t *testing.T) {
	store, fake := newStore(t, config.StoreOptions{})
	for i := range 50_000 {
		fake.index++
		fake.state.Apply(fake.index, config.Stamp{}, config.Origin{}, encode(t, put(fmt.Sprintf("k%06d", i), "")))
	}
	for i := range 50_000 {
		fake.index++
		fake.state.Apply(fake.index, config.Stamp{}, config.Origin{}, encode(t, del(fmt.Sprintf("k%06d", i))))
	}
	fake.apply(put("z", "1"), put("zz", "1"))
	pages, found := 0, ""
	list := config.ListOptions{}
	for more := true; more; more = list.Cursor != "" {
		page, _, err := store.List(context.Background(), "pay", list, config.ReadOptions{At: 100_001})
		if err != nil {
			t.Fatal(err)
		}
		pages, found, list.Cursor = pages+1, found+listed(page), page.Next
	}
	if pages < 3 || found != "z=1" {
		t.Errorf("%d pages with %q, want several with z alone", pages, found)
	}
}

func TestARecoveryEndsHistoryBeforeIt(t *testing.T) {
	l := newLog(t)
	l.apply(put("a", "1"), put("a", "2"), put("b", "1"), del("b"), put("c", "1"))
	before := l.state.View()
	at := l.apply(&config.Recover{TimeMicros: 1}).Revision
	after := l.state.View()
	if after.Oldest() != at {
		t.Errorf("history begins at %d, want the recovery's %d", after.Oldest(), at)
	}
	for _, revision := range []uint64{0, 2, 5, at - 1} {
		if _, err := after.GetAt("pay", "a", revision); !errors.Is(err, config.ErrPruned) {
			t.Errorf("at %d: %v", revision, err)
		}
		if _, err := after.Revisions(revision); !errors.Is(err, config.ErrPruned) {
			t.Errorf("after %d: %v", revision, err)
		}
	}
	if e, err := after.GetAt("pay", "a", at); err != nil || string(e.Value) != "2" || after.RevisionAt(2) != nil {
		t.Errorf("at the recovery: %+v, %v", e, err)
	}
	if a, b := shows(after, "a", at), shows(after, "b", at); a != "2=2" || b != "" {
		t.Errorf("the histories are %q and %q", a, b)
	}
	l.apply(put("a", "3"), put("c", "2"))
	if got := shows(l.state.View(), "a", at+2); got != fmt.Sprintf("%d=3 2=2", at+1) {
		t.Errorf("the history is %q", got)
	}
	if _, err := before.GetAt("pay", "b", 3); err != nil || shows(before, "b", 5) != "4- 3=1" {
		t.Errorf("an earlier view has lost its history: %v", err)
	}
	if v := l.state.View(); v.HistoryBytes != historyBytes(v) {
		t.Errorf("history is charged %d bytes and has %d", v.HistoryBytes, historyBytes(v))
	}
}

// historyBytes sums up what a view of the namespace pay, with the keys a, b and
// c, is charged for its history.
func historyBytes(v *config.View) (bytes int64) {
	older := 0
	for _, key := range []string{"a", "b", "c"} {
		for e := range v.History("pay", key, v.Revision) {
			if e != v.Get("pay", key) {
				bytes += int64(len(e.Key)+len(e.Value)+len(e.MediaType)) + 128
				older++
			}
		}
	}
	if older > 0 {
		bytes += 1024
	}
	revisions, err := v.Revisions(v.Oldest())
	if err != nil {
		return -1
	}
	for r := range revisions {
		bytes += 192 + int64(len(r.Reason)) + 64*int64(len(r.Changes))
	}
	return bytes
}

func TestHistoryComesThroughASnapshot(t *testing.T) {
	l := newLog(t)
	l.applyAt(config.Stamp{TimeMillis: 5, ElapsedMillis: 7}, put("a", "1"))
	l.applyAt(config.Stamp{TimeMillis: 6, ElapsedMillis: 7}, put("a", "2"))
	l.applyAt(config.Stamp{TimeMillis: 7, ElapsedMillis: 7}, del("a"))
	restored := config.NewState()
	if err := restored.Restore(bytes.NewReader(snapshot(t, l.state))); err != nil {
		t.Fatal(err)
	}
	v := restored.View()
	if got := shows(v, "a", 3); got != "3- 2=2 1=1" || v.RevisionAt(2).TimeMillis != 6 || v.RevisionAt(2).Changes[0].Entry.TimeMillis != 6 {
		t.Errorf("history %q, and of the second revision %+v", got, v.RevisionAt(2))
	}
}
