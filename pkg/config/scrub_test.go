package config_test

import (
	"bytes"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/conclave-dev/conclave/pkg/config"
)

// stocked returns a state with several slices' worth of entries.
func stocked(t *testing.T) *log {
	l := newLog(t)
	for i := range 12_000 {
		l.index++
		p := &config.Put{Namespace: fmt.Sprintf("n%d", i%5), Key: fmt.Sprintf("k%05d", i), Value: []byte("value")}
		if i%4000 == 0 {
			p.Value = bytes.Repeat([]byte("v"), config.MaxValueBytes)
		}
		l.state.Apply(l.index, config.Stamp{}, config.Origin{}, encode(t, p))
	}
	l.state.Publish()
	return l
}

// slices applies as many indexes as bring about so many slices.
func (l *log) slices(n int) {
	l.idle(n*config.ScrubInterval, config.Stamp{})
}

// TestABitThatFlipsInMemoryChangesTheHash within one round over the contents.
func TestABitThatFlipsInMemoryChangesTheHash(t *testing.T) {
	stock := stocked(t)
	for _, i := range []int{0, 7777, 11_999} {
		sound, faulty := &log{t: t, state: config.NewState(), index: stock.index}, &log{t: t, state: config.NewState(), index: stock.index}
		restoreInto(t, sound.state, stock.state)
		restoreInto(t, faulty.state, stock.state)
		e := faulty.state.View().Get(fmt.Sprintf("n%d", i%5), fmt.Sprintf("k%05d", i))
		e.Value[len(e.Value)-1] ^= 0x10
		if sound.state.View().Hash != faulty.state.View().Hash {
			t.Fatal("the states differ too early")
		}
		sound.slices(8)
		faulty.slices(8)
		if sound.state.View().Hash == faulty.state.View().Hash {
			t.Errorf("a flipped bit of entry %d isn't found in a round", i)
		}
	}
}

// furnished returns a state that has something of everything, and several slices'
// worth of history.
func furnished(t *testing.T) *log {
	l := newLog(t)
	l.apply(quota("pay", 1<<30), quota("other", 1<<30), attach("b", anObject), attach("", "true"), attach("b/", "true"), &config.PutSettings{})
	for i := range 9000 {
		l.index++
		l.state.Apply(l.index, config.Stamp{}, config.Origin{}, encode(t, &config.Put{Namespace: "other", Key: fmt.Sprintf("k%04d", i%3000), Value: []byte("value")}))
	}
	l.apply(&config.Delete{Namespace: "other", Key: "k0007"}, &config.Put{Namespace: "other", Key: "a", Idempotency: "first"})
	return l
}

// TestDamageToWhateverTheStoreHoldsChangesTheHash within one round, be it history,
// schemas, settings or what is kept for idempotency keys.
func TestDamageToWhateverTheStoreHoldsChangesTheHash(t *testing.T) {
	txn := &config.Txn{Namespace: "other", Idempotency: "txn", Then: []config.Operation{getOp("a")}}
	damages := map[string]func(s *config.State, kept config.Result){
		"none": func(*config.State, config.Result) {},
		"an older entry": func(s *config.State, _ config.Result) {
			e, err := s.View().GetAt("other", "k2999", 3100)
			if err != nil {
				t.Fatal(err)
			}
			e.Value[0] ^= 1
		},
		"a tombstone":            func(s *config.State, _ config.Result) { tombstone(t, s.View()).TimeMillis ^= 1 },
		"a schema":               func(s *config.State, _ config.Result) { s.View().Schema("pay", "b/").Document[0] ^= 1 },
		"a revision":             func(s *config.State, _ config.Result) { s.View().RevisionAt(5000).TimeMillis ^= 1 },
		"a change":               func(s *config.State, _ config.Result) { s.View().RevisionAt(8999).Changes[0].Namespace = "pay" },
		"a kept result":          func(_ *config.State, kept config.Result) { kept.Txn.Operations[0].Revision ^= 1 },
		"the settings":           func(s *config.State, _ config.Result) { config.DamageSettings(s) },
		"a namespace's settings": func(s *config.State, _ config.Result) { config.DamageNamespace(s, "pay") },
	}
	sound := config.Hash{}
	for _, name := range slices.Insert(slices.Sorted(maps.Keys(damages)), 0, "none") {
		l := furnished(t)
		kept := l.apply(txn)
		damages[name](l.state, kept)
		l.slices(8)
		hash := l.state.View().Hash
		if name == "none" {
			if sound != (config.Hash{}) && hash != sound {
				t.Fatal("the same contents have two hashes")
			}
			sound = hash
		} else if hash == sound {
			t.Errorf("damage to %s isn't found in a round", name)
		}
	}
}

// tombstone returns the one that history has.
func tombstone(t *testing.T, v *config.View) *config.Entry {
	t.Helper()
	for e := range v.History("other", "k0007", v.Revision) {
		if e.Deleted() {
			return e
		}
	}
	t.Fatal("there is none")
	return nil
}

// TestTheScrubGoesOnWhereItWas through a snapshot at each slice.
func TestTheScrubGoesOnWhereItWas(t *testing.T) {
	for name, l := range map[string]*log{"entries": stocked(t), "everything": furnished(t)} {
		restored := &log{t: t, state: config.NewState()}
		for range 20 {
			restoreInto(t, restored.state, l.state)
			restored.index = l.index
			l.slices(1)
			restored.slices(1)
			if l.state.View().Hash != restored.state.View().Hash {
				t.Fatalf("%s: a restored state has another hash at index %d", name, l.index)
			}
		}
	}
}

// TestTheScrubComesThroughChanges that take away what it has reached.
func TestTheScrubComesThroughChanges(t *testing.T) {
	l := newLog(t)
	l.slices(1)
	for round := range 3 {
		for n := range 3 {
			namespace := strings.Repeat("n", n+1)
			l.apply(&config.Put{Namespace: namespace, Key: "a"}, &config.Put{Namespace: namespace, Key: "b"})
			l.slices(1)
			l.apply(&config.Delete{Namespace: namespace, Key: "a"}, &config.Delete{Namespace: namespace, Key: "b"})
			l.slices(1)
		}
		other := &log{t: t, state: config.NewState(), index: l.index}
		restoreInto(t, other.state, l.state)
		l.slices(2)
		other.slices(2)
		if l.state.View().Hash != other.state.View().Hash {
			t.Errorf("round %d: a restored state has another hash", round)
		}
	}
}
