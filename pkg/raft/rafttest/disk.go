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
	// arrived is the state in the last snapshot that a leader sent.
	arrived string
}

func (d *disk) save(w *raft.Write) {
	d.hardState = w.HardState
	if w.Snapshot != nil {
		d.base, d.snapshot, d.value, d.entries = *w.Snapshot, *w.Snapshot, d.arrived, nil
		return
	}
	if w.TruncateFrom != 0 {
		d.entries = slices.Clip(d.entries[:w.TruncateFrom-1-d.base.Index])
	}
	d.entries = append(d.entries, w.Entries...)
}

// take keeps a snapshot of the node's own state and compacts the log up to base.
func (d *disk) take(meta, base raft.SnapshotMeta, value string) {
	d.entries = slices.Clone(d.entries[base.Index-d.base.Index:])
	d.base, d.snapshot, d.value = base, meta, value
}

func (d *disk) last() raft.Index { return d.base.Index + raft.Index(len(d.entries)) }

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
		Terms: []raft.TermRun{{Term: d.base.Term, First: d.base.Index}},
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
