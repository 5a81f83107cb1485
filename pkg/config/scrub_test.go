package config_test

import (
	"bytes"
	"fmt"
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

// TestTheScrubGoesOnWhereItWas through a snapshot at each slice.
func TestTheScrubGoesOnWhereItWas(t *testing.T) {
	l := stocked(t)
	restored := &log{t: t, state: config.NewState()}
	for range 10 {
		restoreInto(t, restored.state, l.state)
		restored.index = l.index
		l.slices(1)
		restored.slices(1)
		if l.state.View().Hash != restored.state.View().Hash {
			t.Fatalf("a restored state has another hash at index %d", l.index)
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
