package badgerlog

import (
	"slices"

	"github.com/conclave-dev/conclave/pkg/raft"
)

// span is a range of indexes from first to last, both included.
type span struct {
	first raft.Index
	last  raft.Index
}

// graves knows which entries still have records in Badger though they are
// outside the log: before its base after a compaction, behind its end after a
// truncation. Their values are never read. Each batch deletes some of them, so
// that neither a compaction nor a truncation has to wait for deletions.
type graves struct {
	// spans are disjoint and ascending.
	spans []span
	// parts holds, for every entry with more than one record, dead or not,
	// how many it has.
	parts map[raft.Index]int
}

func newGraves() *graves { return &graves{parts: make(map[raft.Index]int)} }

// bury adds the entries from first to last, none of which is dead yet.
func (g *graves) bury(first, last raft.Index) {
	if first > last {
		return
	}
	at, _ := slices.BinarySearchFunc(g.spans, first, func(s span, i raft.Index) int {
		if s.first < i {
			return -1
		}
		return 1
	})
	g.spans = slices.Insert(g.spans, at, span{first, last})
	if next := at + 1; next < len(g.spans) && g.spans[next].first == last+1 {
		g.spans[at].last = g.spans[next].last
		g.spans = slices.Delete(g.spans, next, next+1)
	}
	if at > 0 && g.spans[at-1].last+1 == first {
		g.spans[at-1].last = g.spans[at].last
		g.spans = slices.Delete(g.spans, at, at+1)
	}
}

// replace notes that entry i is about to be written with the given number of
// records. It returns the number that it had, from which those beyond the new
// number must be deleted.
func (g *graves) replace(i raft.Index, parts int) (old int) {
	old = g.parts[i]
	delete(g.parts, i)
	if parts > 1 {
		g.parts[i] = parts
	}
	for n, s := range g.spans {
		if i < s.first || i > s.last {
			continue
		}
		before, after := span{s.first, i - 1}, span{i + 1, s.last}
		rest := slices.DeleteFunc([]span{before, after}, func(s span) bool { return s.first > s.last })
		g.spans = slices.Replace(g.spans, n, n+1, rest...)
		break
	}
	return old
}

// next returns the lowest dead entry and how many records it has.
func (g *graves) next() (i raft.Index, parts int, ok bool) {
	if len(g.spans) == 0 {
		return 0, 0, false
	}
	i = g.spans[0].first
	return i, max(1, g.parts[i]), true
}

// drop forgets the entry that next returned, whose records are being deleted.
func (g *graves) drop() {
	s := &g.spans[0]
	delete(g.parts, s.first)
	s.first++
	if s.first > s.last {
		g.spans = g.spans[1:]
	}
}

// count returns the number of dead entries.
func (g *graves) count() uint64 {
	var n uint64
	for _, s := range g.spans {
		n += uint64(s.last - s.first + 1)
	}
	return n
}
