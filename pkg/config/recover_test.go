package config_test

import (
	"testing"

	"github.com/conclave-dev/conclave/pkg/config"
)

func TestARecoveryMovesTheRevisionBeyondAllThatMayHaveBeenIssued(t *testing.T) {
	l := newLog(t)
	l.apply(put("a", "1"))
	before := l.state.View()
	for _, c := range []struct{ time, want uint64 }{
		{5, before.Revision + 1_000_000_000},
		{1_700_000_000_000_000, 1_700_000_000_000_000},
		{1_700_000_000_000_001, 1_700_001_000_000_000},
	} {
		result := l.apply(&config.Recover{TimeMicros: c.time})
		if result.Outcome != config.OutcomeApplied || result.Revision != c.want || l.state.View().Revision != c.want {
			t.Errorf("a recovery at %d came to %+v, want revision %d", c.time, result, c.want)
		}
	}
	after := l.state.View()
	if e := after.Get("pay", "a"); e == nil || string(e.Value) != "1" || e.ModRevision != before.Get("pay", "a").ModRevision {
		t.Errorf("the recoveries changed the key to %+v", e)
	}
	if after.Hash == before.Hash {
		t.Error("the hash doesn't cover the recovery")
	}
	if next := l.apply(put("a", "2")); next.Revision != after.Revision+1 {
		t.Errorf("the next write has revision %d after %d", next.Revision, after.Revision)
	}
	for _, time := range []uint64{0, 1 << 60} {
		if _, err := (&config.Recover{TimeMicros: time}).Encode(); err == nil {
			t.Errorf("a recovery at %d was encoded", time)
		}
	}
}
