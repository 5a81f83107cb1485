package rafttest

import (
	"fmt"
	"slices"

	"github.com/conclave-dev/conclave/pkg/raft"
)

// disk is what a node of a Cluster remembers across a crash.
type disk struct {
	hardState raft.HardState
	// entries is the whole log, from index 1.
	entries []raft.Entry
}

func (d *disk) save(w *raft.Write) {
	d.hardState = w.HardState
	if w.TruncateFrom != 0 {
		d.entries = slices.Clip(d.entries[:w.TruncateFrom-1])
	}
	d.entries = append(d.entries, w.Entries...)
}

// Entries implements raft.LogReader.
func (d *disk) Entries(lo, hi raft.Index, maxBytes int) ([]raft.Entry, error) {
	if lo < 1 || int(hi) > len(d.entries)+1 || lo >= hi {
		return nil, fmt.Errorf("entries [%d,%d) of a log of %d", lo, hi, len(d.entries))
	}
	entries, size := d.entries[lo-1:hi-1], 0
	for i := range entries {
		size += entries[i].SizeBytes()
		if i > 0 && size > maxBytes {
			return entries[:i], nil
		}
	}
	return entries, nil
}

func (d *disk) state() raft.State {
	s := raft.State{HardState: d.hardState, Last: raft.Index(len(d.entries)), Terms: []raft.TermRun{{}}}
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
