package config_test

import (
	"bytes"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/conclave-dev/conclave/pkg/config"
)

const window = 10 * 60 * 1000

// keyed returns a put with an idempotency key.
func keyed(idempotency, key, value string) *config.Put {
	p := put(key, value)
	p.Idempotency = idempotency
	return p
}

// TestAWriteThatIsSentAgainReturnsItsFirstResult for each kind of write, and also
// after a restore.
func TestAWriteThatIsSentAgainReturnsItsFirstResult(t *testing.T) {
	txn := &config.Txn{Namespace: "pay", Idempotency: "txn", If: []config.Condition{{Key: "a", Is: config.IfExists()}},
		Then: []config.Operation{putOp("b", "1"), getOp("a")}}
	refused := &config.Txn{Namespace: "pay", Idempotency: "refused", If: []config.Condition{{Key: "none", Is: config.IfExists()}},
		Then: []config.Operation{putOp("b", "2")}}
	conflict := keyed("conflict", "a", "3")
	conflict.If = config.IfAbsent()
	writes := []interface{ Encode() ([]byte, error) }{
		keyed("create", "a", "1"), keyed("change", "a", "2"), conflict, txn, refused,
		&config.Delete{Namespace: "pay", Key: "b", Idempotency: "delete"}, &config.Delete{Namespace: "pay", Key: "none", Idempotency: "none"},
		keyed("too much", "big", strings.Repeat("v", 3000)),
		&config.Rollback{Namespace: "pay", To: 1, Idempotency: "back"}, &config.Rollback{Namespace: "pay", To: 1000, Idempotency: "future"},
	}
	outcomes := []config.Outcome{
		config.OutcomeApplied, config.OutcomeApplied, config.OutcomeConflict, config.OutcomeApplied, config.OutcomeConflict,
		config.OutcomeApplied, config.OutcomeNotFound, config.OutcomeQuota, config.OutcomeApplied, config.OutcomeFutureRevision,
	}
	l := &log{t: t, state: config.NewStateWithQuota(4000)}
	var first []config.Result
	for i, w := range writes {
		first = append(first, l.apply(w))
		if first[i].Outcome != outcomes[i] {
			t.Fatalf("write %d: %+v, want outcome %d", i, first[i], outcomes[i])
		}
	}
	// Nothing is any more as it was, so each would do something else now.
	l.apply(put("a", "other"), put("none", "now there"), &config.PutSettings{})
	restored := &log{t: t, state: config.NewState(), index: l.index}
	if err := restored.state.Restore(bytes.NewReader(snapshot(t, l.state))); err != nil {
		t.Fatal(err)
	}
	for name, one := range map[string]*log{"the state": l, "a restored state": restored} {
		before := one.state.View()
		for i, w := range writes {
			if again := one.apply(w); !reflect.DeepEqual(again, first[i]) {
				t.Errorf("%s: write %d again: %+v, want %+v", name, i, again, first[i])
			}
		}
		if after := one.state.View(); after.Revision != before.Revision || after.LiveBytes != before.LiveBytes {
			t.Errorf("%s: it has changed", name)
		}
	}
	if !bytes.Equal(snapshot(t, l.state), snapshot(t, restored.state)) {
		t.Error("the same log gave other snapshot bytes")
	}
}

func TestAnIdempotencyKeyBelongsToOneWriteOfANamespace(t *testing.T) {
	store, fake := newStore(t, config.StoreOptions{})
	if _, err := store.Put(t.Context(), *keyed("k", "a", "1")); err != nil {
		t.Fatal(err)
	}
	condition := keyed("k", "a", "1")
	condition.If = config.IfExists()
	mediaType := keyed("k", "a", "1")
	mediaType.MediaType = "text/html"
	for name, other := range map[string]*config.Put{
		"another value": keyed("k", "a", "2"), "another key": keyed("k", "b", "1"), "a condition": condition, "another type": mediaType,
	} {
		if _, err := store.Put(t.Context(), *other); !errors.Is(err, config.ErrIdempotencyReused) {
			t.Errorf("%s: %v, want ErrIdempotencyReused", name, err)
		}
	}
	if _, err := store.Delete(t.Context(), config.Delete{Namespace: "pay", Key: "a", Idempotency: "k"}); !errors.Is(err, config.ErrIdempotencyReused) {
		t.Errorf("another kind: %v", err)
	}
	elsewhere := keyed("k", "a", "2")
	elsewhere.Namespace = "other"
	for _, p := range []*config.Put{elsewhere, keyed("K", "a", "2"), keyed("k", "a", "1")} {
		if _, err := store.Put(t.Context(), *p); err != nil {
			t.Errorf("%+v: %v", p, err)
		}
	}
	if v := fake.state.View(); v.Revision != 3 || v.KeptResults != 3 || string(v.Get("pay", "a").Value) != "2" {
		t.Errorf("revision %d, %d results, %+v", v.Revision, v.KeptResults, v.Get("pay", "a"))
	}
}

// TestResultsAreKeptForTheWholeWindow counts what has elapsed, and no wall clock.
func TestResultsAreKeptForTheWholeWindow(t *testing.T) {
	l := newLog(t)
	l.applyAt(config.Stamp{TimeMillis: 1}, keyed("k", "a", "1"))
	again := l.applyAt(config.Stamp{TimeMillis: 1 << 50, ElapsedMillis: window}, keyed("k", "a", "1"))
	if again.Revision != 1 {
		t.Errorf("at the end of the window: %+v", again)
	}
	again = l.applyAt(config.Stamp{ElapsedMillis: 1}, keyed("k", "a", "1"))
	if again.Revision != 2 || again.Created() {
		t.Errorf("after the window: %+v", again)
	}
	// A longer window holds for results that are there.
	l.apply(&config.PutSettings{Settings: config.Settings{IdempotencyWindowMillis: 2 * window}})
	if again = l.applyAt(config.Stamp{ElapsedMillis: 2 * window}, keyed("k", "a", "1")); again.Revision != 2 {
		t.Errorf("within the longer window: %+v", again)
	}
	if again = l.applyAt(config.Stamp{ElapsedMillis: 1}, keyed("k", "a", "1")); again.Revision != 4 {
		t.Errorf("after the longer window: %+v", again)
	}
}

// TestANamespaceWithTooManyKeptResultsRefusesMore and nothing else.
func TestANamespaceWithTooManyKeptResultsRefusesMore(t *testing.T) {
	l := newLog(t)
	one := func(i int) config.Result {
		l.index++
		return l.state.Apply(l.index, config.Stamp{}, config.Origin{}, encode(t, keyed(fmt.Sprint(i), "a", "1")))
	}
	for i := range config.MaxKeptResults {
		if got := one(i); got.Outcome != config.OutcomeApplied {
			t.Fatalf("write %d: %+v", i, got)
		}
	}
	if got := one(-1); got.Outcome != config.OutcomeIdempotencyFull || !errors.Is(got.Err(), config.ErrIdempotencyFull) || got.Revision != config.MaxKeptResults {
		t.Errorf("one too many: %+v", got)
	}
	if got := one(7); got.Outcome != config.OutcomeApplied || got.Revision != 8 {
		t.Errorf("one that is known: %+v", got)
	}
	elsewhere := keyed("-1", "a", "1")
	elsewhere.Namespace = "other"
	if got := l.apply(put("a", "1"), del("a"), elsewhere); got.Outcome != config.OutcomeApplied {
		t.Errorf("other writes: %+v", got)
	}
	restored := &log{t: t, state: config.NewState(), index: l.index}
	if err := restored.state.Restore(bytes.NewReader(snapshot(t, l.state))); err != nil {
		t.Fatal(err)
	}
	for name, l := range map[string]*log{"the state": l, "a restored state": restored} {
		if got := l.apply(keyed("-1", "a", "1")); got.Outcome != config.OutcomeIdempotencyFull {
			t.Errorf("%s: one too many: %+v", name, got)
		}
		// All are too old at once, and yet each index drops only some.
		before := l.state.View().KeptResults
		l.idle(1, config.Stamp{ElapsedMillis: window + 1})
		if dropped := before - l.state.View().KeptResults; dropped == 0 || dropped > 256 {
			t.Errorf("%s: one index dropped %d results", name, dropped)
		}
		if got := l.apply(keyed("-1", "a", "1")); got.Outcome != config.OutcomeApplied {
			t.Errorf("%s: when there is room: %+v", name, got)
		}
		l.idle(300, config.Stamp{})
		if left := l.state.View().KeptResults; left != 1 {
			t.Errorf("%s: %d results are left, want the last", name, left)
		}
	}
}

func TestIdempotencyKeysArePrintableASCII(t *testing.T) {
	for _, good := range []string{"k", "6f1c 47~", strings.Repeat("k", 255)} {
		if _, err := keyed(good, "a", "1").Encode(); err != nil {
			t.Errorf("%q: %v", good, err)
		}
	}
	for _, bad := range []string{strings.Repeat("k", 256), "a\n", "\x7f", "é"} {
		for _, c := range []interface{ Encode() ([]byte, error) }{
			keyed(bad, "a", "1"), &config.Delete{Namespace: "pay", Key: "a", Idempotency: bad}, &config.Rollback{Namespace: "pay", Idempotency: bad},
			&config.Txn{Namespace: "pay", Idempotency: bad, Then: []config.Operation{getOp("a")}},
		} {
			if _, err := c.Encode(); !errors.Is(err, config.ErrInvalid) || !strings.Contains(err.Error(), "idempotency key") {
				t.Errorf("%q: %v", bad, err)
			}
		}
	}
	if err := config.CheckIdempotencyKey(""); !errors.Is(err, config.ErrInvalid) {
		t.Errorf("none: %v", err)
	}
}

// keptOnes returns a state that keeps some results.
func keptOnes(t testing.TB) *log {
	l := newLog(t)
	l.applyAt(config.Stamp{ElapsedMillis: 5}, keyed("one", "a", "1"))
	l.applyAt(config.Stamp{ElapsedMillis: 5}, keyed("two", "a", "2"))
	l.apply(&config.Txn{Namespace: "pay", Idempotency: "txn", Then: []config.Operation{getOp("a")}})
	return l
}

// TestKeptResultsThatContradictThemselvesAreRefused in a snapshot.
func TestKeptResultsThatContradictThemselvesAreRefused(t *testing.T) {
	l := keptOnes(t)
	data := snapshot(t, l.state)
	all := payloads(data)
	if kinds := kindsOf(all); kinds != "HGKKKNEERRZ" || !bytes.Equal(frame(all), data) {
		t.Fatalf("the snapshot holds frames %s, or other bytes when framed again", kinds)
	}
	refuseRearranged(t, all)
	for name, damage := range map[string]func(kept []byte) []byte{
		"an index that is not reached": func(k []byte) []byte { return bytes.Replace(k, []byte("\x9b\x02"), []byte("\x9b\x09"), 1) },
		"an age that is not reached":   func(k []byte) []byte { return bytes.Replace(k, []byte("\x02\x0a"), []byte("\x02\x7f"), 1) },
		"the key of another":           func(k []byte) []byte { return bytes.Replace(k, []byte("two"), []byte("one"), 1) },
		"a key that can't be":          func(k []byte) []byte { return bytes.Replace(k, []byte("two"), []byte("t\x01o"), 1) },
		"a namespace that can't be":    func(k []byte) []byte { return bytes.Replace(k, []byte("pay"), []byte("Pay"), 1) },
		"an outcome that isn't kept":   func(k []byte) []byte { return bytes.Replace(k, []byte("\xcd\x01\x01"), []byte("\xcd\x01\x07"), 1) },
		"a short fingerprint":          func(k []byte) []byte { return bytes.Replace(k, []byte("\xc4\x20"), []byte("\xc4\x1f"), 1) },
	} {
		damaged := damage(bytes.Clone(all[3]))
		if bytes.Equal(damaged, all[3]) {
			t.Errorf("%s: %x holds nothing of the kind", name, all[3])
		}
		chosen := slices.Replace(slices.Clone(all), 3, 4, damaged)
		if err := config.NewState().Restore(bytes.NewReader(frame(chosen))); !errors.Is(err, config.ErrBadSnapshot) {
			t.Errorf("%s: %v, want ErrBadSnapshot", name, err)
		}
	}
}
