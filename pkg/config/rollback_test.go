package config_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/conclave-dev/conclave/pkg/config"
)

func TestARollbackWritesWhatWasAsANewRevision(t *testing.T) {
	store, fake := newStore(t, config.StoreOptions{})
	fake.apply(put("a/1", "old"), put("a/2", "gone"), put("a/3", "same"), put("b", "old"))
	fake.apply(put("a/1", "new"), del("a/2"), put("a/4", "added"), put("b", "new"), put("a/3", "other"), put("a/3", "same"))
	got, err := store.Rollback(t.Context(), config.Rollback{Namespace: "pay", Prefix: "a/", To: 4, Reason: "it broke"})
	if err != nil || got.Revision != 11 || got.Changes != 3 {
		t.Fatalf("%+v, %v", got, err)
	}
	page, _, err := store.List(t.Context(), "pay", config.ListOptions{}, config.ReadOptions{})
	if err != nil || listed(page) != "a/1=old a/2=gone a/3=same b=new" {
		t.Errorf("the store holds %q, %v", listed(page), err)
	}
	v := fake.state.View()
	r := v.RevisionAt(11)
	if r.Reason != "it broke" || len(r.Changes) != 3 || !r.Changes[2].Entry.Deleted() {
		t.Errorf("the revision is %+v", r)
	}
	if e := v.Get("pay", "a/1"); e.Version != 3 || e.CreateRevision != 1 || e.ModRevision != 11 {
		t.Errorf("what was changed is %+v", e)
	}
	if e := v.Get("pay", "a/2"); e.Version != 1 || e.CreateRevision != 11 {
		t.Errorf("what was deleted is %+v", e)
	}
	if e := v.Get("pay", "a/3"); e.ModRevision != 10 {
		t.Errorf("what reads the same was written again: %+v", e)
	}
	got, err = store.Rollback(t.Context(), config.Rollback{Namespace: "pay", Prefix: "a/", To: 4})
	if err != nil || got.Revision != 11 || got.Changes != 0 {
		t.Errorf("a second time: %+v, %v", got, err)
	}
	// A rollback is undone by another.
	if _, err := store.Rollback(t.Context(), config.Rollback{Namespace: "pay", To: 10}); err != nil {
		t.Error(err)
	}
	if page, _, _ := store.List(t.Context(), "pay", config.ListOptions{}, config.ReadOptions{}); listed(page) != "a/1=new a/3=same a/4=added b=new" {
		t.Errorf("after its undoing: %q", listed(page))
	}
}

func TestARollbackThatCannotBeIsRefused(t *testing.T) {
	fake := &fakeReplicator{log: *newLog(t)}
	fake.state = config.NewStateWithLimits(5000, 1000, 2, 1<<20)
	store, err := config.NewStore(fake.state, fake, config.StoreOptions{})
	if err != nil {
		t.Fatal(err)
	}
	fake.apply(put("a", strings.Repeat("v", 3000)), del("a"), put("b", strings.Repeat("v", 3000)))
	rollback := func(to uint64) error {
		_, err := store.Rollback(t.Context(), config.Rollback{Namespace: "pay", Prefix: "a", To: to})
		return err
	}
	if err := rollback(1); !errors.Is(err, config.ErrQuota) {
		t.Errorf("beyond the quota: %v", err)
	}
	if err := rollback(4); !errors.Is(err, config.ErrFutureRevision) {
		t.Errorf("to a revision to come: %v", err)
	}
	fake.idle(1, config.Stamp{ElapsedMillis: 2000})
	var pruned *config.PrunedError
	if err := rollback(0); !errors.As(err, &pruned) || pruned.Oldest != 1 {
		t.Errorf("to a pruned revision: %v", err)
	}
	for _, r := range []config.Rollback{
		{Namespace: "P"}, {Namespace: "pay", Prefix: "/"}, {Namespace: "pay", To: 1 << 60},
		{Namespace: "pay", Reason: "a\nb"}, {Namespace: "pay", Reason: strings.Repeat("r", config.MaxReasonBytes+1)},
	} {
		if _, err := store.Rollback(t.Context(), r); !errors.Is(err, config.ErrInvalid) {
			t.Errorf("%+v: %v", r, err)
		}
	}
	if v := fake.state.View(); v.Revision != 3 {
		t.Errorf("a refused rollback made revision %d", v.Revision)
	}
}

func TestARollbackOfTooMuchIsRefusedAsAWhole(t *testing.T) {
	l := newLog(t)
	for i := range config.MaxRevisionChanges + 1 {
		l.index++
		l.state.Apply(l.index, config.Stamp{}, config.Origin{}, encode(t, put(fmt.Sprint("k", i), "")))
	}
	for to, want := range map[uint64]config.Outcome{0: config.OutcomeTooLarge, 1: config.OutcomeApplied} {
		other := &log{t: t, state: config.NewState(), index: l.index}
		restoreInto(t, other.state, l.state)
		before := other.state.View().Revision
		got := other.apply(&config.Rollback{Namespace: "pay", To: to})
		if got.Outcome != want || (want == config.OutcomeApplied) != (got.Revision == before+1) {
			t.Errorf("to %d: %+v", to, got)
		}
		if want == config.OutcomeTooLarge && !errors.Is(got.Err(), config.ErrTooLarge) {
			t.Errorf("to %d: %v", to, got.Err())
		}
	}
	large := newLog(t)
	for i := range 5 {
		large.apply(put(fmt.Sprint("k", i), strings.Repeat("v", config.MaxValueBytes)))
	}
	for i := range 5 {
		large.apply(del(fmt.Sprint("k", i)))
	}
	if got := large.apply(&config.Rollback{Namespace: "pay", To: 5}); got.Outcome != config.OutcomeTooLarge {
		t.Errorf("ten MiB: %+v", got)
	}
}

// TestALongHistoryKeepsRollbacksAndDifferencesShort has more changes than are
// looked through, of other keys and of those that are asked for.
func TestALongHistoryKeepsRollbacksAndDifferencesShort(t *testing.T) {
	const many = config.MaxChangeSteps + 1
	l := newLog(t)
	l.apply(put("a/1", "old"), put("a/2", "gone"), put("a/3", "same"))
	rewrite := func() {
		for i := 0; i < many; {
			var operations []config.Operation
			for ; len(operations) < config.MaxTxnOperations && i < many; i++ {
				operations = append(operations, putOp(fmt.Sprintf("b/%05d", i), "b"))
			}
			l.apply(&config.Txn{Namespace: "pay", Then: operations})
		}
	}
	rewrite()
	first := l.state.View().Revision
	l.apply(put("a/1", "new"), del("a/2"), put("a/4", "added"), put("a/3", "same"))
	rewrite()
	for _, prefix := range []string{"", "a/", "b/", "c"} {
		got, pages := "", 0
		o := config.DiffOptions{Prefix: prefix, From: first, To: l.state.View().Revision}
		for more := true; more; more = o.After != "" {
			page, err := l.state.View().Diff("pay", o)
			if err != nil {
				t.Fatal(err)
			}
			for _, d := range page.Differences {
				got += fmt.Sprintf("%s %s>%s, ", d.Key, valueOf(d.Before), valueOf(d.After))
			}
			o.After = page.Next
			pages++
		}
		want, most := "", 1
		if prefix == "" || prefix == "a/" {
			want = "a/1 old>new, a/2 gone>, a/4 >added, "
		}
		if prefix == "" || prefix == "b/" {
			most = many/config.MaxPageSteps + 1
		}
		if got != want || pages != most {
			t.Errorf("under %q differs %q in %d pages, want %q in %d", prefix, got, pages, want, most)
		}
	}
	for _, c := range []struct {
		rollback config.Rollback
		want     config.Outcome
		changes  uint32
	}{
		{config.Rollback{Namespace: "pay", To: first}, config.OutcomeTooLarge, 0},
		{config.Rollback{Namespace: "pay", Prefix: "b/", To: first}, config.OutcomeTooLarge, 0},
		{config.Rollback{Namespace: "pay", Prefix: "b/0", To: first}, config.OutcomeApplied, 0},
		{config.Rollback{Namespace: "none", To: first}, config.OutcomeApplied, 0},
		{config.Rollback{Namespace: "pay", Prefix: "a/", To: first}, config.OutcomeApplied, 3},
		// Of what is new the journal tells at once.
		{config.Rollback{Namespace: "pay", To: l.state.View().Revision}, config.OutcomeApplied, 3},
	} {
		if got := l.apply(&c.rollback); got.Outcome != c.want || got.Changes != c.changes {
			t.Errorf("%+v: %+v", c.rollback, got)
		}
	}
}

func TestADifferenceIsWhatReadsDifferently(t *testing.T) {
	l := newLog(t)
	l.apply(put("a", "1"), put("b", "1"), put("c", "1"), put("d", "1"))
	l.apply(put("a", "2"), del("b"), put("e", "1"), put("c", "9"), put("c", "1"), put("f", "1"), del("f"), del("d"), put("d", "1"))
	l.apply(&config.Put{Namespace: "other", Key: "a", Value: []byte("1")})
	v := l.state.View()
	for _, c := range []struct {
		o    config.DiffOptions
		want string
	}{
		{config.DiffOptions{From: 4, To: v.Revision}, "a 1>2, b 1>, e >1, "},
		{config.DiffOptions{From: v.Revision, To: 4}, "a 2>1, b >1, e 1>, "},
		{config.DiffOptions{From: 4, To: 8}, "a 1>2, b 1>, c 1>9, e >1, "},
		{config.DiffOptions{From: 4, To: v.Revision, Prefix: "b"}, "b 1>, "},
		{config.DiffOptions{From: 4, To: 4}, ""},
	} {
		for _, limit := range []int{0, 1, 2} {
			got, pages := "", 0
			c.o.Limit, c.o.After = limit, ""
			for more := true; more; more = c.o.After != "" {
				page, err := v.Diff("pay", c.o)
				if err != nil || limit > 0 && len(page.Differences) > limit {
					t.Fatal(page, err)
				}
				for _, d := range page.Differences {
					got += fmt.Sprintf("%s %s>%s, ", d.Key, valueOf(d.Before), valueOf(d.After))
				}
				c.o.After = page.Next
				pages++
			}
			if got != c.want || pages > 6 {
				t.Errorf("%+v: %q in %d pages, want %q", c.o, got, pages, c.want)
			}
		}
	}
	for name, o := range map[string]config.DiffOptions{"limit": {Limit: -1}, "prefix": {Prefix: "/"}} {
		if _, err := v.Diff("pay", o); !errors.Is(err, config.ErrInvalid) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := v.Diff("pay", config.DiffOptions{To: 99}); !errors.Is(err, config.ErrFutureRevision) {
		t.Errorf("a revision to come: %v", err)
	}
}

func valueOf(e *config.Entry) string {
	if e == nil {
		return ""
	}
	return string(e.Value)
}

// restoreInto makes one state what another is.
func restoreInto(t testing.TB, to, from *config.State) {
	t.Helper()
	if err := to.Restore(strings.NewReader(string(snapshot(t, from)))); err != nil {
		t.Fatal(err)
	}
}
