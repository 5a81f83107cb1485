package config_test

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/conclave-dev/conclave/pkg/config"
)

func quota(namespace string, bytes int64) *config.PutNamespaceSettings {
	return &config.PutNamespaceSettings{Namespace: namespace, NamespaceSettings: config.NamespaceSettings{QuotaBytes: bytes}}
}

func TestSettingsBeginAsTheirDefaults(t *testing.T) {
	const day = 24 * 60 * 60 * 1000
	want := config.Settings{
		QuotaBytes: 256 << 20, HistoryAgeMillis: 7 * day, HistoryRevisions: 10_000, HistoryBytes: 256 << 20,
		IdempotencyWindowMillis: 10 * 60 * 1000, FeatureLevel: 1,
	}
	l := newLog(t)
	if v := l.state.View(); v.Settings != want || v.SettingsRevision != 0 {
		t.Errorf("%+v at revision %d, want %+v at 0", v.Settings, v.SettingsRevision, want)
	}
	changed := want
	changed.QuotaBytes, changed.HistoryRevisions = 1<<30, 5
	l.apply(put("a", "1"), &config.PutSettings{Settings: changed})
	if v := l.state.View(); v.Settings != changed || v.SettingsRevision != 2 || v.Revision != 2 {
		t.Errorf("%+v at revision %d of %d, want %+v at 2", v.Settings, v.SettingsRevision, v.Revision, changed)
	}
	// What is left out is the default again.
	l.apply(&config.PutSettings{})
	if v := l.state.View(); v.Settings != want || v.SettingsRevision != 3 {
		t.Errorf("%+v at revision %d, want %+v at 3", v.Settings, v.SettingsRevision, want)
	}
}

func TestSettingsOutOfBoundsAreNotEncodedAndNotApplied(t *testing.T) {
	for says, c := range map[string]interface{ Encode() ([]byte, error) }{
		"quota in bytes is 1048575":             &config.PutSettings{Settings: config.Settings{QuotaBytes: 1<<20 - 1}},
		"quota in bytes is -1":                  &config.PutSettings{Settings: config.Settings{QuotaBytes: -1}},
		"quota in bytes is 68719476737":         &config.PutSettings{Settings: config.Settings{QuotaBytes: 64<<30 + 1}},
		"age of history in milliseconds":        &config.PutSettings{Settings: config.Settings{HistoryAgeMillis: 11 * 365 * days}},
		"revisions of history is 10000001":      &config.PutSettings{Settings: config.Settings{HistoryRevisions: 10_000_001}},
		"bytes of history is 1":                 &config.PutSettings{Settings: config.Settings{HistoryBytes: 1}},
		"window in milliseconds is 599999":      &config.PutSettings{Settings: config.Settings{IdempotencyWindowMillis: 599_999}},
		"window in milliseconds is 86400001":    &config.PutSettings{Settings: config.Settings{IdempotencyWindowMillis: days + 1}},
		"feature level 2 is unknown here":       &config.PutSettings{Settings: config.Settings{FeatureLevel: 2}},
		"quota in bytes is 1023":                quota("pay", 1023),
		"invalid namespace":                     quota("Pay", 1<<20),
		"must be 1024 to 68719476736, or 0 for": quota("pay", -5),
	} {
		command, err := c.Encode()
		if command != nil || !errors.Is(err, config.ErrInvalid) || !strings.Contains(err.Error(), says) {
			t.Errorf("%+v: %v, want an error that says %q", c, err, says)
		}
	}
	// The same from a log that another program wrote.
	l := newLog(t)
	good := encode(t, &config.PutSettings{Settings: config.Settings{HistoryAgeMillis: 1}})
	bad := bytes.Replace(good, []byte{0x01, 0xcd, 0x27, 0x10}, []byte{0x00, 0xcd, 0x27, 0x10}, 1)
	if bytes.Equal(good, bad) {
		t.Fatalf("%x has no age of 1", good)
	}
	if got := l.state.Apply(1, config.Stamp{}, config.Origin{}, bad); got.Outcome != config.OutcomeMalformed {
		t.Errorf("an age of 0: %+v", got)
	}
	if got := l.state.Apply(2, config.Stamp{}, config.Origin{}, good); got.Outcome != config.OutcomeApplied {
		t.Errorf("an age of 1: %+v", got)
	}
}

func TestSettingsHaveRevisionsOfTheirOwn(t *testing.T) {
	l := newLog(t)
	l.apply(put("a", "1"))
	with := func(i config.Precondition, bytes int64) *config.PutNamespaceSettings {
		p := quota("pay", bytes)
		p.If = i
		return p
	}
	for i, step := range []struct {
		command interface{ Encode() ([]byte, error) }
		outcome config.Outcome
		current uint64
	}{
		{&config.PutSettings{If: config.IfExists()}, config.OutcomeConflict, 0},
		{&config.PutSettings{If: config.IfAbsent()}, config.OutcomeApplied, 0}, // Revision 2.
		{&config.PutSettings{If: config.IfRevision(1)}, config.OutcomeConflict, 2},
		{put("a", "2"), config.OutcomeApplied, 1},                                 // 3
		{&config.PutSettings{If: config.IfRevision(2)}, config.OutcomeApplied, 2}, // 4
		{quota("pay", 0), config.OutcomeNotFound, 0},
		{quota("pay", 1<<20), config.OutcomeApplied, 0}, // 5
		{with(config.IfRevision(4), 1<<21), config.OutcomeConflict, 5},
		{with(config.IfRevision(5), 0), config.OutcomeApplied, 5}, // 6
		{with(config.IfRevision(5), 1<<21), config.OutcomeConflict, 0},
		{with(config.IfAbsent(), 1<<21), config.OutcomeApplied, 0}, // 7
	} {
		if got := l.apply(step.command); got.Outcome != step.outcome || got.Current != step.current {
			t.Errorf("step %d: %+v, want outcome %d and %d", i, got, step.outcome, step.current)
		}
	}
	// Each took one revision, changed no key, and left no hole in the journal.
	var changes []int
	revisions, err := l.state.View().Revisions(0)
	if err != nil {
		t.Fatal(err)
	}
	for r := range revisions {
		changes = append(changes, len(r.Changes))
	}
	if want := []int{1, 0, 1, 0, 0, 0, 0}; !slices.Equal(changes, want) {
		t.Errorf("the revisions changed %v keys, want %v", changes, want)
	}
}

// TestANamespaceOverItsQuotaIsRefusedNewBytes holds the other namespaces, and the
// quota of the whole store, out of it.
func TestANamespaceOverItsQuotaIsRefusedNewBytes(t *testing.T) {
	store, fake := newStore(t, config.StoreOptions{})
	full := func(namespace, key string, bytes int) error {
		_, err := store.Put(t.Context(), config.Put{Namespace: namespace, Key: key, Value: make([]byte, bytes), MediaType: "a/b"})
		return err
	}
	// A namespace counts 1024, a key 128 and its bytes.
	const charge = 1024 + 128 + 1 + 3 + 1000
	if _, err := store.PutNamespaceSettings(t.Context(), *quota("pay", charge)); err != nil {
		t.Fatal(err)
	}
	if err := full("pay", "a", 1001); !errors.Is(err, config.ErrQuota) || !strings.Contains(err.Error(), "that of the namespace") {
		t.Errorf("one byte too many: %v", err)
	}
	for _, err := range []error{full("pay", "a", 1000), full("pay", "a", 1000), full("other", "a", 5000), full("pay", "a", 999)} {
		if err != nil {
			t.Error(err)
		}
	}
	if err := full("pay", "b", 0); !errors.Is(err, config.ErrQuota) {
		t.Errorf("a key more: %v", err)
	}
	// Far over a quota that was lowered, it may still shrink and delete.
	if _, err := store.PutNamespaceSettings(t.Context(), *quota("pay", 1024)); err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(full("pay", "a", 998), full("other", "b", 10)); err != nil {
		t.Error(err)
	}
	if err := full("pay", "a", 999); !errors.Is(err, config.ErrQuota) {
		t.Errorf("growing over the quota: %v", err)
	}
	if _, err := store.Delete(t.Context(), config.Delete{Namespace: "pay", Key: "a"}); err != nil {
		t.Error(err)
	}
	if got := fake.state.View().Namespace("pay"); got.Bytes != 0 || got.Keys != 0 || got.Settings.QuotaBytes != 1024 {
		t.Errorf("the empty namespace is %+v", got)
	}
	if _, err := store.PutSettings(t.Context(), config.PutSettings{Settings: config.Settings{QuotaBytes: 1 << 20}}); err != nil {
		t.Fatal(err)
	}
	if err := full("other", "c", 1<<20); !errors.Is(err, config.ErrQuota) || !strings.Contains(err.Error(), "that of the whole store") {
		t.Errorf("over the store's quota: %v", err)
	}
}

// TestNamespacesAreCountedExactly compares the running sums with the entries, also
// in a state that was restored.
func TestNamespacesAreCountedExactly(t *testing.T) {
	l := filled(t)
	l.apply(quota("pay", 1<<20), quota("empty", 1<<30), put("b/c", "shorter"))
	restored := config.NewState()
	if err := restored.Restore(bytes.NewReader(snapshot(t, l.state))); err != nil {
		t.Fatal(err)
	}
	for _, view := range []*config.View{l.state.View(), restored.View()} {
		var names []string
		total, keys := int64(0), 0
		for n := range view.Namespaces() {
			names = append(names, n.Name)
			want := config.Namespace{Name: n.Name, Settings: n.Settings, SettingsRevision: n.SettingsRevision}
			entries, err := view.Scan(n.Name, "", view.Revision)
			if err != nil {
				t.Fatal(err)
			}
			for e := range entries {
				want.Keys++
				want.Bytes += int64(len(e.Key)+len(e.Value)+len(e.MediaType)) + 128
			}
			if want.Keys > 0 {
				want.Bytes += 1024
			}
			if n != want {
				t.Errorf("%+v, want %+v", n, want)
			}
			total, keys = total+n.Bytes, keys+n.Keys
		}
		if !slices.Equal(names, []string{"empty", "other", "pay", "planned"}) || total != view.LiveBytes || keys != view.Keys {
			t.Errorf("namespaces %v of %d bytes and %d keys, want those of the view, %d and %d", names, total, keys, view.LiveBytes, view.Keys)
		}
		if got := view.Namespace("empty").Settings.QuotaBytes; got != 1<<30 {
			t.Errorf("a quota of %d, want 1 GiB", got)
		}
	}
}

func TestSettingsThatShrinkHistoryPruneIt(t *testing.T) {
	l := newLog(t)
	for range 100 {
		l.applyAt(config.Stamp{ElapsedMillis: 10}, put("a", "1"))
	}
	if oldest := l.state.View().Oldest(); oldest != 0 {
		t.Fatalf("oldest is %d", oldest)
	}
	l.apply(&config.PutSettings{Settings: config.Settings{HistoryAgeMillis: 1, HistoryRevisions: 10}})
	l.idle(5, config.Stamp{ElapsedMillis: 10})
	// Revisions 92 to 101 are the ten that stay.
	if oldest := l.state.View().Oldest(); oldest != 91 {
		t.Errorf("the revisions up to %d are pruned, want 91", oldest)
	}
}

func TestOnlySoManyNamespacesHaveSettings(t *testing.T) {
	l := newLog(t)
	for i := range config.MaxConfiguredNamespaces {
		l.index++
		l.state.Apply(l.index, config.Stamp{}, config.Origin{}, encode(t, quota(fmt.Sprint("n", i), 1<<20)))
	}
	restored := newLog(t)
	if err := restored.state.Restore(bytes.NewReader(snapshot(t, l.state))); err != nil {
		t.Fatal(err)
	}
	restored.index = l.index
	for _, one := range []*log{l, restored} {
		if got := one.apply(quota("more", 1<<20)); got.Outcome != config.OutcomeTooMany || !errors.Is(got.Err(), config.ErrTooMany) {
			t.Errorf("one too many: %+v", got)
		}
		if got := one.apply(quota("n5", 2<<20), quota("n7", 0), quota("more", 1<<20)); got.Outcome != config.OutcomeApplied {
			t.Errorf("in the place of another: %+v", got)
		}
	}
}

func TestACommandOfAHigherFeatureLevelIsNotProposed(t *testing.T) {
	store, fake := newStore(t, config.StoreOptions{})
	if _, err := store.Put(t.Context(), *put("a", "1")); err != nil {
		t.Fatal(err)
	}
	config.DemandLevel(t, 2)
	if _, err := store.Put(t.Context(), *put("a", "2")); !errors.Is(err, config.ErrFeatureLevel) {
		t.Errorf("%v, want ErrFeatureLevel", err)
	}
	if fake.index != 1 {
		t.Error("it was proposed")
	}
	if _, err := store.Delete(t.Context(), *del("a")); err != nil {
		t.Errorf("another command: %v", err)
	}
}

// TestAFeatureLevelThatIsUnknownHereStopsTheState writes what a newer release
// would: another member goes on, so this one must not.
func TestAFeatureLevelThatIsUnknownHereStopsTheState(t *testing.T) {
	command := encode(t, &config.PutSettings{Settings: config.Settings{FeatureLevel: 1}})
	at := len(command) - 3
	if command[at] != 1 {
		t.Fatalf("%x: the level isn't at byte %d", command, at)
	}
	command[at] = 2
	l := newLog(t)
	if got := l.state.Apply(1, config.Stamp{}, config.Origin{}, command); got.Outcome != config.OutcomeUnknownCommand {
		t.Errorf("%+v", got)
	}
	l.state.Publish()
	if !errors.Is(l.state.Fault(), config.ErrUnknownCommand) || l.state.View().Index != 0 {
		t.Errorf("fault %v at index %d", l.state.Fault(), l.state.View().Index)
	}

	// A snapshot of such a store is refused too, and says what to do.
	all := payloads(snapshot(t, newLog(t).state))
	header := bytes.Clone(all[0])
	level := len(header) - 7
	if header[level] != 1 {
		t.Fatalf("%x: the level isn't at byte %d", header, level)
	}
	header[level] = 2
	all[0] = header
	if err := config.NewState().Restore(bytes.NewReader(frame(all))); !errors.Is(err, config.ErrBadSnapshot) || !strings.Contains(err.Error(), "run a newer program") {
		t.Errorf("Restore = %v", err)
	}
}

func TestAFeatureLevelNeverFalls(t *testing.T) {
	l := newLog(t)
	config.SetLevel(l.state, 2)
	if got := l.apply(&config.PutSettings{Settings: config.Settings{FeatureLevel: 1}}); got.Outcome != config.OutcomeFeatureLevel || !errors.Is(got.Err(), config.ErrFeatureLevel) {
		t.Errorf("%+v", got)
	}
	if v := l.state.View(); v.Settings.FeatureLevel != 2 || v.Revision != 0 {
		t.Errorf("level %d at revision %d", v.Settings.FeatureLevel, v.Revision)
	}
}

// TestAReadWaitsForTheRevisionOfSettings as it does for one that changes keys.
func TestAReadWaitsForTheRevisionOfSettings(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store, fake := newStore(t, config.StoreOptions{})
		run(t, store)
		done := make(chan error)
		go func() {
			_, _, err := store.Get(t.Context(), "pay", "a", config.ReadOptions{Level: config.Session, MinRevision: 1})
			done <- err
		}()
		synctest.Wait()
		fake.apply(&config.PutSettings{})
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
}
