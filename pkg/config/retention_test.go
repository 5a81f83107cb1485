package config_test

import (
	"bytes"
	"fmt"
	"strings"
	"testing"

	"github.com/conclave-dev/conclave/pkg/config"
)

const days = 24 * 60 * 60 * 1000

func TestHistoryIsKeptForSevenDaysOrTenThousandRevisions(t *testing.T) {
	l := newLog(t)
	l.applyAt(config.Stamp{ElapsedMillis: 100 * days}, put("a", "1"))
	for range 9_999 {
		l.index++
		l.state.Apply(l.index, config.Stamp{}, config.Origin{}, encode(t, put("a", "2")))
	}
	l.idle(1, config.Stamp{ElapsedMillis: 30 * days})
	if oldest := l.state.View().Oldest(); oldest != 0 {
		t.Errorf("of ten thousand revisions those up to %d are pruned", oldest)
	}
	l.applyAt(config.Stamp{}, put("a", "3"))
	if oldest := l.state.View().Oldest(); oldest != 1 {
		t.Errorf("of ten thousand and one old revisions those up to %d are pruned", oldest)
	}
	for range 2_000 {
		l.index++
		l.state.Apply(l.index, config.Stamp{}, config.Origin{}, encode(t, put("a", "4")))
	}
	l.idle(1, config.Stamp{ElapsedMillis: 7 * days})
	if oldest := l.state.View().Oldest(); oldest != 2_001 {
		t.Errorf("of twelve thousand revisions, two thousand of seven days, those up to %d are pruned", oldest)
	}
}

// TestAWrongWallClockPrunesNothing lets the leader's clock jump by a century.
func TestAWrongWallClockPrunesNothing(t *testing.T) {
	l := newLog(t)
	for i := range 12_000 {
		l.index++
		l.state.Apply(l.index, config.Stamp{TimeMillis: uint64(i%2) * 36_500 * days}, config.Origin{}, encode(t, put("a", "1")))
	}
	l.state.Publish()
	if oldest := l.state.View().Oldest(); oldest != 0 {
		t.Errorf("the revisions up to %d are pruned", oldest)
	}
}

// TestPruningComesInSmallSteps lets very much history become too old at once.
func TestPruningComesInSmallSteps(t *testing.T) {
	l := &log{t: t, state: config.NewStateWithLimits(1<<20, 1000, 10, 1<<30)}
	for i := range 3000 {
		l.index++
		l.state.Apply(l.index, config.Stamp{}, config.Origin{}, encode(t, put(fmt.Sprintf("k%d", i%7), "1")))
	}
	l.idle(1, config.Stamp{ElapsedMillis: 1001})
	for before := uint64(0); l.state.View().Oldest() < 2990; l.idle(1, config.Stamp{}) {
		oldest := l.state.View().Oldest()
		if oldest > before+config.PruneSteps || oldest == before {
			t.Fatalf("one index pruned from %d to %d", before, oldest)
		}
		before = oldest
	}
	l.idle(10, config.Stamp{ElapsedMillis: 1001})
	if oldest := l.state.View().Oldest(); oldest != 2990 {
		t.Errorf("pruned up to %d, want ten left of 3000", oldest)
	}
}

func TestHistoryStaysWithinItsBytesAndStopsNoWrite(t *testing.T) {
	const limit, value = 1 << 20, 100_000
	l := &log{t: t, state: config.NewStateWithLimits(1<<20, 1000, 10, limit)}
	// Many small changes stand before the large ones.
	for i := range 2000 {
		l.apply(put(fmt.Sprintf("k%d", i%50), fmt.Sprint(i)))
	}
	for i := range 100 {
		if got := l.apply(put("large", strings.Repeat("v", value+i))); got.Outcome != config.OutcomeApplied {
			t.Fatalf("write %d: %+v", i, got)
		}
		v := l.state.View()
		if v.HistoryBytes > limit+value+1000 {
			t.Fatalf("write %d: history has %d bytes", i, v.HistoryBytes)
		}
	}
	l.idle(50, config.Stamp{})
	v := l.state.View()
	if v.HistoryBytes > limit || v.Revision-v.Oldest() < 5 {
		t.Errorf("history has %d bytes and reaches from %d to %d", v.HistoryBytes, v.Oldest(), v.Revision)
	}
	if e, err := v.GetAt("pay", "large", v.Oldest()); err != nil || e == nil {
		t.Errorf("at the oldest revision: %+v, %v", e, err)
	}
}

func TestWhatIsGoneFromHistoryTakesNoSpace(t *testing.T) {
	l := &log{t: t, state: config.NewStateWithLimits(1<<20, 1000, 0, 1<<20)}
	empty := snapshot(t, config.NewStateWithLimits(1<<20, 1000, 0, 1<<20))
	for i := range 100 {
		namespace := fmt.Sprintf("n%d", i)
		l.apply(&config.Put{Namespace: namespace, Key: "a"}, &config.Delete{Namespace: namespace, Key: "a"})
	}
	l.idle(2, config.Stamp{ElapsedMillis: 1001})
	v := l.state.View()
	if v.HistoryBytes != 0 || v.LiveBytes != 0 || v.Oldest() != v.Revision {
		t.Errorf("history has %d bytes, the store %d; it reaches from %d to %d", v.HistoryBytes, v.LiveBytes, v.Oldest(), v.Revision)
	}
	if got, want := kindsOf(payloads(snapshot(t, l.state))), kindsOf(payloads(empty)); got != want {
		t.Errorf("its snapshot holds the frames %s, want %s", got, want)
	}
}

// TestASnapshotInTheMidstOfPruningChangesNothing takes one at each index.
func TestASnapshotInTheMidstOfPruningChangesNothing(t *testing.T) {
	l := &log{t: t, state: config.NewStateWithLimits(1<<20, 1000, 10, 1<<20)}
	for i := range 2000 {
		l.index++
		l.state.Apply(l.index, config.Stamp{}, config.Origin{}, encode(t, put(fmt.Sprintf("k%d", i%7), "1")))
	}
	restored := &log{t: t, state: config.NewState()}
	// Revisions of a hundred changes are pruned in parts.
	for i := range 20 {
		var operations []config.Operation
		for k := range 100 {
			operations = append(operations, putOp(fmt.Sprintf("k%d", k), fmt.Sprint(i)))
			if k%3 == i%3 {
				operations[k] = delOp(fmt.Sprintf("k%d", k))
			}
		}
		l.apply(&config.Txn{Namespace: "pay", Then: operations})
	}
	for range 30 {
		if err := restored.state.Restore(bytes.NewReader(snapshot(t, l.state))); err != nil {
			t.Fatal(err)
		}
		restored.index = l.index
		for _, one := range []*log{l, restored} {
			one.idle(1, config.Stamp{ElapsedMillis: 1001})
		}
		if l.state.View().Hash != restored.state.View().Hash || !bytes.Equal(snapshot(t, l.state), snapshot(t, restored.state)) {
			t.Fatalf("index %d: a restored state goes elsewhere", l.index)
		}
	}
}
