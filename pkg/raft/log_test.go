package raft

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
)

// sliceReader is a log on a disk that never fails.
type sliceReader struct{ entries *[]Entry }

func (s sliceReader) Entries(lo, hi Index, maxBytes int) ([]Entry, error) {
	if lo < 1 || lo >= hi || int(hi) > len(*s.entries)+1 {
		return nil, fmt.Errorf("entries [%d,%d) of %d", lo, hi, len(*s.entries))
	}
	entries, size := (*s.entries)[lo-1:hi-1], 0
	for i := range entries {
		if size += entries[i].SizeBytes(); i > 0 && size > maxBytes {
			return slices.Clone(entries[:i]), nil
		}
	}
	return slices.Clone(entries), nil
}

// TestLogEqualsASliceWhateverIsInMemory plays random appends, truncations, saves,
// applications, compactions and evictions against a plain slice.
func TestLogEqualsASliceWhateverIsInMemory(t *testing.T) {
	r := rand.New(rand.NewPCG(5, 6))
	for round := range 300 {
		var disk, want []Entry
		l := newLog(sliceReader{&disk}, 300, State{})
		for range 400 {
			switch r.IntN(8) {
			case 0, 1, 2:
				term := l.lastTerm() + Term(r.IntN(5)/4)
				e := Entry{Index: l.last + 1, Term: term, Kind: EntryCommand, Data: make([]byte, r.IntN(60))}
				l.append(e)
				want = append(want, e)
			case 3:
				if l.last > l.committed {
					from := l.committed + 1 + Index(r.IntN(int(l.last-l.committed)))
					l.truncate(from)
					want = want[:from-1]
					disk = disk[:min(len(disk), int(from-1))]
				}
			case 4: // A Write, durable at once.
				entries, err := l.slice(l.written+1, l.last+1, 200)
				if err != nil {
					t.Fatal(err)
				}
				disk = append(disk, entries...)
				l.written += Index(len(entries))
				l.durable, l.truncateFrom = l.written, 0
			case 5:
				l.committed = max(l.committed, min(l.durable, l.committed+Index(r.IntN(4))))
				l.applying, l.applied = l.committed, l.committed
				l.shrink()
			case 6:
				if l.applied > l.base {
					l.compact(l.base + Index(r.IntN(int(l.applied-l.base))))
				}
			}
			checkLog(t, round, &l, want)
		}
	}
}

// checkLog compares everything that can be asked of a log.
func checkLog(t *testing.T, round int, l *raftLog, want []Entry) {
	t.Helper()
	if int(l.last) != len(want) {
		t.Fatalf("round %d: last is %d, want %d", round, l.last, len(want))
	}
	size := 0
	for i := range l.tail {
		size += l.tail[i].SizeBytes()
	}
	if size != l.tailBytes {
		t.Fatalf("round %d: the tail weighs %d, counted as %d", round, size, l.tailBytes)
	}
	for i := l.base + 1; i <= l.last; i++ {
		if term, ok := l.term(i); !ok || term != want[i-1].Term {
			t.Fatalf("round %d: the term of %d is %d, want %d", round, i, term, want[i-1].Term)
		}
	}
	for lo := l.base + 1; lo <= l.last; {
		entries, err := l.slice(lo, l.last+1, 150)
		if err != nil || len(entries) == 0 {
			t.Fatalf("round %d: nothing at %d: %v", round, lo, err)
		}
		for _, e := range entries {
			if w := want[lo-1]; e.Index != w.Index || e.Term != w.Term || len(e.Data) != len(w.Data) {
				t.Fatalf("round %d: entry %d is %+v, want %+v", round, lo, e, w)
			}
			lo++
		}
	}
}

// TestAgreementSkipsWholeTerms finds the place where logs like those of figure 7
// may still agree, in one step for each term.
func TestAgreementSkipsWholeTerms(t *testing.T) {
	var disk []Entry
	l := newLog(sliceReader{&disk}, 1<<20, State{})
	for i, term := range []Term{1, 1, 1, 4, 4, 5, 5, 6, 6, 6} {
		l.append(Entry{Index: Index(i + 1), Term: term, Kind: EntryNoOp})
	}
	for _, c := range []struct {
		limit Index
		term  Term
		want  Index
	}{
		{9, 6, 9}, {10, 5, 7}, {10, 4, 5}, {7, 3, 3}, {10, 3, 3}, {20, 6, 10}, {4, 1, 3}, {10, 0, 0},
	} {
		if got, _ := l.agreement(c.limit, c.term); got != c.want {
			t.Errorf("agreement up to %d with term %d is %d, want %d", c.limit, c.term, got, c.want)
		}
	}
}
