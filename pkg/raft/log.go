package raft

import "slices"

// raftLog is the core's view of the log: a tail of entries in memory over an
// older part that only the storage holds. The positions in it always keep
//
//	base <= applied <= applying <= committed <= last
//	durable <= last, written <= last
//
// Whatever is not durable or might still be truncated by a pending Write is in
// memory, so the storage is only read where nothing moves.
type raftLog struct {
	reader     LogReader
	cacheBytes int

	// base is the last compacted index; terms covers base to last.
	base  Index
	last  Index
	terms []TermRun

	// tail holds the entries from tailFirst to last.
	tail      []Entry
	tailFirst Index
	tailBytes int

	committed Index
	// applying is the last index handed out to be applied, applied the last
	// one reported as done.
	applying Index
	applied  Index

	// written is the last index put into a Write, durable the last one known
	// to be on this member's disk.
	written Index
	durable Index
	// truncateFrom, unless 0, is the lowest written index that was replaced
	// since the last Write.
	truncateFrom Index
}

func newLog(reader LogReader, cacheBytes int, s State) raftLog {
	l := raftLog{
		reader:     reader,
		cacheBytes: cacheBytes,
		base:       s.Base,
		last:       s.Last,
		terms:      slices.Clone(s.Terms),
		tailFirst:  s.Last + 1,
		written:    s.Last,
		durable:    s.Last,
	}
	if len(l.terms) == 0 {
		l.terms = []TermRun{{Term: 0, First: s.Base}}
	}
	assert(l.terms[0].First <= l.base, "terms start at %d, after the base %d", l.terms[0].First, l.base)
	l.committed = max(s.Snapshot.Index, s.Base)
	if !s.Faulty {
		// Else the hint may be younger than the log, and speak of other entries.
		l.committed = min(max(l.committed, s.HardState.Commit), s.Last)
	}
	l.applying, l.applied = s.Snapshot.Index, s.Snapshot.Index
	return l
}

// term returns the term of an entry. It is known for base to last.
func (l *raftLog) term(i Index) (Term, bool) {
	if i < l.base || i > l.last {
		return 0, false
	}
	return l.terms[l.run(i)].Term, true
}

// run returns the position of the run that holds index i.
func (l *raftLog) run(i Index) int {
	n, found := slices.BinarySearchFunc(l.terms, i, func(r TermRun, i Index) int {
		switch {
		case r.First < i:
			return -1
		case r.First > i:
			return 1
		default:
			return 0
		}
	})
	if !found {
		n--
	}
	return n
}

// opensTerm tells whether an entry after base is the first of its term.
func (l *raftLog) opensTerm(i Index) bool { return i > l.base && l.terms[l.run(i)].First == i }

// unwritten returns the entries that were put into no Write yet.
func (l *raftLog) unwritten() []Entry { return l.tail[l.written+1-l.tailFirst:] }

func (l *raftLog) lastTerm() Term {
	t, _ := l.term(l.last)
	return t
}

// agreement returns the highest index, at most limit, whose term is at most
// the given one: above it two logs can't match if the other has that term
// there. Whole terms are skipped in one step (end of section 5.3).
func (l *raftLog) agreement(limit Index, term Term) (Index, Term) {
	limit = max(min(limit, l.last), l.base)
	for n := l.run(limit); n >= 0; n-- {
		if l.terms[n].Term <= term {
			return limit, l.terms[n].Term
		}
		if l.terms[n].First <= l.base {
			break
		}
		limit = l.terms[n].First - 1
	}
	return l.base, l.terms[0].Term
}

// append adds entries right after last.
func (l *raftLog) append(entries ...Entry) {
	for _, e := range entries {
		assert(e.Index == l.last+1, "entry %d appended after %d", e.Index, l.last)
		assert(e.Term >= l.lastTerm(), "entry %d of term %d after term %d", e.Index, e.Term, l.lastTerm())
		if e.Term != l.lastTerm() {
			l.terms = append(l.terms, TermRun{Term: e.Term, First: e.Index})
		}
		l.tail = append(l.tail, e)
		l.tailBytes += e.SizeBytes()
		l.last = e.Index
	}
}

// truncate removes the entries from index i on.
func (l *raftLog) truncate(i Index) {
	assert(i > l.committed, "truncation from %d at or below the commit index %d", i, l.committed)
	if i > l.last {
		return
	}
	if i < l.tailFirst {
		// Uncommitted entries from before a restart, which are not in memory.
		l.tail, l.tailFirst, l.tailBytes = nil, i, 0
	}
	keep := int(i - l.tailFirst)
	for _, e := range l.tail[keep:] {
		l.tailBytes -= e.SizeBytes()
	}
	// Clipped, so that what is appended now can't write into memory that an
	// earlier Write still holds.
	l.tail = slices.Clip(l.tail[:keep])
	l.last = i - 1
	for len(l.terms) > 1 && l.terms[len(l.terms)-1].First > l.last {
		l.terms = l.terms[:len(l.terms)-1]
	}
	if i <= l.written {
		if l.truncateFrom == 0 || i < l.truncateFrom {
			l.truncateFrom = i
		}
		l.written = i - 1
	}
	l.durable = min(l.durable, l.last)
}

// reset replaces the whole log by a snapshot.
func (l *raftLog) reset(index Index, term Term) {
	l.base, l.last = index, index
	l.terms = []TermRun{{Term: term, First: index}}
	l.tail, l.tailFirst, l.tailBytes = nil, index+1, 0
	l.committed, l.applying, l.applied = index, index, index
	// Not durable before the Write with the snapshot is.
	l.written, l.durable, l.truncateFrom = index, 0, 0
}

// slice returns entries from lo up to, not including, hi: at least the first,
// more while they fit into maxBytes.
func (l *raftLog) slice(lo, hi Index, maxBytes int) ([]Entry, error) {
	assert(lo > l.base && hi <= l.last+1, "slice [%d,%d) of a log (%d,%d]", lo, hi, l.base, l.last)
	if lo >= hi {
		return nil, nil
	}
	if lo < l.tailFirst {
		return l.reader.Entries(lo, min(hi, l.tailFirst), maxBytes)
	}
	entries := l.tail[lo-l.tailFirst : hi-l.tailFirst]
	size := 0
	for i := range entries {
		size += entries[i].SizeBytes()
		if i > 0 && size > maxBytes {
			return entries[:i:i], nil
		}
	}
	return entries[:len(entries):len(entries)], nil
}

// compact forgets the entries up to base.
func (l *raftLog) compact(base Index) {
	assert(base <= l.applied && base <= l.durable, "compaction to %d beyond applied %d or durable %d", base, l.applied, l.durable)
	if base <= l.base {
		return
	}
	l.terms = slices.Clone(l.terms[l.run(base):])
	l.base = base
	l.evict(base + 1)
}

// shrink lets go of committed and durable entries beyond the cache's limit. Those
// that a slow state machine has yet to apply are read again. It acts when a quarter
// too much has gathered, so the copy is paid rarely.
func (l *raftLog) shrink() {
	if !l.exceedsCache(0) {
		return
	}
	first, size := l.tailFirst, l.tailBytes
	limit := min(l.committed, l.durable, l.written)
	for first <= limit && size > l.cacheBytes {
		size -= l.tail[first-l.tailFirst].SizeBytes()
		first++
	}
	l.evict(first)
}

// exceedsCache tells whether more of the log is in memory than the cache's limit, a
// quarter of it, and some bytes.
func (l *raftLog) exceedsCache(by int) bool { return l.tailBytes > l.cacheBytes+l.cacheBytes/4+by }

// evict drops the entries before first from memory.
func (l *raftLog) evict(first Index) {
	if first <= l.tailFirst {
		return
	}
	n := min(int(first-l.tailFirst), len(l.tail))
	for _, e := range l.tail[:n] {
		l.tailBytes -= e.SizeBytes()
	}
	l.tail = slices.Clone(l.tail[n:])
	l.tailFirst = l.last + 1 - Index(len(l.tail))
}
