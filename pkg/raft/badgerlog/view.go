package badgerlog

import (
	"slices"

	"github.com/conclave-dev/conclave/pkg/raft"
)

// view is what readers may rely on: the bounds of the durable log, its terms
// and its snapshots. A view never changes; each batch that became durable
// publishes a new one.
type view struct {
	base raft.Index
	last raft.Index
	// terms covers base to last, both included; the first run begins at base.
	terms []raft.TermRun
	// snapshots are those that count, the oldest first.
	snapshots []raft.SnapshotMeta
}

// term returns the term of an entry from base to last.
func (v *view) term(i raft.Index) raft.Term {
	n, found := slices.BinarySearchFunc(v.terms, i, func(r raft.TermRun, i raft.Index) int {
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
	return v.terms[n].Term
}

// appended returns the view after a Write that keeps the log up to keep and
// appends entries there.
func (v *view) appended(keep raft.Index, entries []raft.Entry) *view {
	next := *v
	next.last = keep
	runs := len(v.terms)
	for runs > 1 && v.terms[runs-1].First > keep {
		runs--
	}
	// Clipped, so that appending leaves the runs of older views alone.
	next.terms = slices.Clip(v.terms[:runs])
	for i := range entries {
		e := &entries[i]
		if e.Term != next.terms[len(next.terms)-1].Term {
			next.terms = append(next.terms, raft.TermRun{Term: e.Term, First: e.Index})
		}
		next.last = e.Index
	}
	return &next
}

// rebased returns the view after a change of the base. The log is compacted to
// it, or replaced by it when it holds nothing after it.
func (v *view) rebased(b base, last raft.Index) *view {
	next := &view{
		base:      b.at.Index,
		last:      last,
		terms:     []raft.TermRun{{Term: b.at.Term, First: b.at.Index}},
		snapshots: b.snapshots,
	}
	if last == b.at.Index {
		return next
	}
	for _, r := range v.terms {
		if r.First > b.at.Index {
			next.terms = append(next.terms, r)
		}
	}
	return next
}
