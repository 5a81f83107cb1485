package config_test

import (
	"fmt"
	"runtime"
	"slices"
	"testing"
	"weak"

	"github.com/conclave-dev/conclave/pkg/config"
)

// numbers returns those of the revisions that a view holds.
func numbers(t *testing.T, v *config.View) (all []uint64) {
	t.Helper()
	revisions, err := v.Revisions(v.Oldest())
	if err != nil {
		t.Fatal(err)
	}
	for r := range revisions {
		all = append(all, r.Number)
	}
	return all
}

// TestAViewKeepsItsRevisionsWhateverComesAndGoes holds views of a journal that
// grows, is pruned to nothing, grows again and jumps.
func TestAViewKeepsItsRevisionsWhateverComesAndGoes(t *testing.T) {
	l := &log{t: t, state: config.NewStateWithLimits(1<<20, 1000, 300, 1<<20)}
	held := map[*config.View][]uint64{}
	var want []uint64
	step := func(c interface{ Encode() ([]byte, error) }, elapsed uint64) {
		l.applyAt(config.Stamp{ElapsedMillis: elapsed}, c)
		v := l.state.View()
		if _, jump := c.(*config.Recover); !jump {
			want = append(want, v.Revision)
		}
		at, _ := slices.BinarySearch(want, v.Oldest()+1)
		want = slices.Clone(want[at:])
		if got := numbers(t, v); !slices.Equal(got, want) {
			t.Fatalf("index %d: the revisions are %v, want %v", l.index, got, want)
		}
		if l.index%37 == 0 {
			held[v] = want
		}
	}
	for round := range 4 {
		for i := range 700 {
			step(put(fmt.Sprintf("k%d", i%7), "1"), uint64(i%5*round))
		}
		step(&config.Recover{TimeMicros: l.state.View().Revision + uint64(round)*5_000_000_000}, 1001)
		for range 3 * round { // Some rounds begin before all is pruned.
			step(put("a", "1"), 0)
		}
	}
	for v, want := range held {
		if got := numbers(t, v); !slices.Equal(got, want) {
			t.Errorf("the view of index %d has the revisions %v, and had %v", v.Index, got, want)
		}
		for _, number := range want {
			if r := v.RevisionAt(number); r == nil || r.Number != number {
				t.Errorf("the view of index %d has %+v as revision %d", v.Index, r, number)
			}
		}
		if len(want) == 0 {
			continue
		}
		middle := len(want) / 2
		revisions, err := v.Revisions(want[middle])
		if err != nil {
			t.Fatal(err)
		}
		for r := range revisions {
			if r.Number != want[middle+1] {
				t.Errorf("in the view of index %d revision %d comes after %d", v.Index, r.Number, want[middle])
			}
			break
		}
		if r := v.RevisionAt(want[len(want)-1] + 1); r != nil {
			t.Errorf("the view of index %d has a revision of later: %+v", v.Index, r)
		}
	}
}

// TestNothingKeepsAlivePrunedRevisions looks at each revision after it has left.
func TestNothingKeepsAlivePrunedRevisions(t *testing.T) {
	l := &log{t: t, state: config.NewStateWithLimits(1<<20, 1000, 10, 1<<20)}
	var revisions []weak.Pointer[config.Revision]
	for i := range 1000 {
		l.apply(put(fmt.Sprintf("k%d", i%7), "1"))
		revisions = append(revisions, weak.Make(l.state.View().RevisionAt(l.index)))
	}
	for l.state.View().Oldest() < 990 {
		l.idle(1, config.Stamp{ElapsedMillis: 1001})
	}
	runtime.GC()
	for i, r := range revisions {
		if kept := r.Value() != nil; kept != (i >= 990) {
			t.Errorf("revision %d of 1000, of which those up to 990 are pruned, is kept: %t", i+1, kept)
		}
	}
	runtime.KeepAlive(l)
}
