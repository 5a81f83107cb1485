package rafttest

import (
	"fmt"
	"slices"

	"github.com/conclave-dev/conclave/pkg/raft"
)

// disk is what a node of a Cluster remembers across a crash.
type disk struct {
	hardState raft.HardState
	// base is the end of what was compacted away, entries the log behind it.
	base    raft.SnapshotMeta
	entries []raft.Entry
	// snapshot describes the newest snapshot, value is the state in it.
	snapshot raft.SnapshotMeta
	value    string
	// tampered tells that it is not what the log makes of it.
	tampered bool
	// arrived is the state in the last snapshot that a leader sent.
	arrived string
	// faulty disks have lost what they held up to the watermark.
	faulty    bool
	watermark raft.LogPosition
	// kept is the disk as it was when a script said so.
	kept *disk
	// space is how much room it has.
	space raft.Space
}

func (d *disk) save(w *raft.Write) {
	d.hardState = w.HardState
	defer func() {
		if d.faulty && (len(w.Entries) > 0 || w.Snapshot != nil) && d.end().UpToDate(d.watermark) {
			d.faulty, d.watermark = false, raft.LogPosition{}
		}
	}()
	if w.Snapshot != nil {
		var rest []raft.Entry
		if w.KeepLog {
			rest = slices.Clone(d.entries[w.Snapshot.Index-d.base.Index:])
		}
		d.base, d.snapshot, d.value, d.tampered, d.entries = *w.Snapshot, *w.Snapshot, d.arrived, false, rest
		return
	}
	if w.TruncateFrom != 0 {
		d.entries = slices.Clip(d.entries[:w.TruncateFrom-1-d.base.Index])
	}
	d.entries = append(d.entries, w.Entries...)
}

// take keeps a snapshot of the node's own state and compacts the log up to base.
func (d *disk) take(meta, base raft.SnapshotMeta, value string, tampered bool) {
	d.tampered = tampered
	d.entries = slices.Clone(d.entries[base.Index-d.base.Index:])
	d.base, d.snapshot, d.value = base, meta, value
}

func (d *disk) last() raft.Index { return d.base.Index + raft.Index(len(d.entries)) }

// end is the place of the last entry.
func (d *disk) end() raft.LogPosition {
	if len(d.entries) == 0 {
		return raft.LogPosition{Index: d.base.Index, Term: d.base.Term}
	}
	e := d.entries[len(d.entries)-1]
	return raft.LogPosition{Index: e.Index, Term: e.Term}
}

// lose puts another log in the place of the one that the disk holds. Term and vote
// are kept apart from it, and so is the watermark.
func (d *disk) lose(rest disk) {
	was := d.end()
	if d.faulty {
		was = d.watermark
	}
	rest.hardState, rest.kept, rest.space = d.hardState, d.kept, d.space
	*d = rest
	d.faulty = !d.end().UpToDate(was)
	if d.faulty {
		d.watermark = was
	}
}

// Entries implements raft.LogReader.
func (d *disk) Entries(lo, hi raft.Index, maxBytes int) ([]raft.Entry, error) {
	if lo <= d.base.Index || hi > d.last()+1 || lo >= hi {
		return nil, fmt.Errorf("entries [%d,%d) of a log (%d,%d]", lo, hi, d.base.Index, d.last())
	}
	entries, size := d.entries[lo-1-d.base.Index:hi-1-d.base.Index], 0
	for i := range entries {
		size += entries[i].SizeBytes()
		if i > 0 && size > maxBytes {
			return entries[:i], nil
		}
	}
	return entries, nil
}

func (d *disk) state() raft.State {
	s := raft.State{
		HardState: d.hardState, Snapshot: d.snapshot, Base: d.base.Index, Last: d.last(),
		Terms:  []raft.TermRun{{Term: d.base.Term, First: d.base.Index}},
		Faulty: d.faulty, Watermark: d.watermark,
	}
	if d.base.Index > 0 {
		s.Memberships = append(s.Memberships, raft.MembershipAt{Index: d.base.MembershipIndex, Membership: d.base.Membership})
	}
	for _, e := range d.entries {
		if e.Term != s.Terms[len(s.Terms)-1].Term {
			s.Terms = append(s.Terms, raft.TermRun{Term: e.Term, First: e.Index})
		}
		if e.Kind == raft.EntryMembership {
			s.Memberships = append(s.Memberships, raft.MembershipAt{Index: e.Index, Membership: *e.Membership})
		}
	}
	return s
}
