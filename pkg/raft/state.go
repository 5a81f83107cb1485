package raft

import (
	"errors"
	"fmt"
)

// State is what a member's storage holds when the member starts. The storage
// fills it in from what it verified while opening; New takes it as it is.
type State struct {
	HardState HardState
	// Snapshot describes the newest snapshot; its Index is 0 when there is
	// none.
	Snapshot SnapshotMeta
	// Base is the index of the last entry that was compacted away, 0 when the
	// log is complete. The log holds the entries after Base up to Last; Last
	// equals Base when it is empty.
	Base Index
	Last Index
	// Terms tells the term of every index from Base to Last, Base included.
	Terms []TermRun
	// Memberships are the configurations that lie in the log, oldest first. The
	// first is the one that was active at Base; there is none when Base is 0.
	Memberships []MembershipAt
	// Faulty tells that the storage has lost entries that it had acknowledged.
	// Watermark is then the last entry that it is known to have held; a sound
	// storage leaves it zero. The log above may be the beginning of the one that
	// was lost, or an older one altogether. See fault.go for what follows.
	Faulty    bool
	Watermark LogPosition
}

// validate tells what can't be true of a member that follows the algorithm.
func (s *State) validate() error {
	for _, m := range s.Memberships {
		if err := m.Membership.Validate(); err != nil {
			return fmt.Errorf("configuration at index %d: %w", m.Index, err)
		}
	}
	var last Term
	if n := len(s.Terms); n > 0 {
		last = s.Terms[n-1].Term
	}
	switch {
	case s.Base > s.Last:
		return fmt.Errorf("the log begins after %d and ends at %d", s.Base, s.Last)
	case s.Snapshot.Index < s.Base || s.Snapshot.Index > s.Last:
		return fmt.Errorf("the newest snapshot is at %d, the log begins after %d and ends at %d", s.Snapshot.Index, s.Base, s.Last)
	case last > s.HardState.Term:
		return fmt.Errorf("the log ends with term %d, the member is in term %d", last, s.HardState.Term)
	case s.Faulty && s.Watermark.Term > s.HardState.Term:
		return fmt.Errorf("the watermark is of term %d, the member is in term %d", s.Watermark.Term, s.HardState.Term)
	default:
		return nil
	}
}

// LogPosition is where a log ends: its last entry's index and term.
type LogPosition struct {
	Index Index
	Term  Term
}

// UpToDate tells whether a log that ends at p is at least as up to date as one
// that ends at q (section 5.4.1): the later last term wins, and in equal terms
// the longer log.
func (p LogPosition) UpToDate(q LogPosition) bool {
	return p.Term > q.Term || p.Term == q.Term && p.Index >= q.Index
}

// TermRun says that the entries from First on, up to the next run, are of Term.
type TermRun struct {
	Term  Term
	First Index
}

// MembershipAt is a configuration and the index of the entry that holds it.
type MembershipAt struct {
	Index      Index
	Membership Membership
}

// ErrCompacted is wrapped by the error of a LogReader that has no entry lo any
// more: a snapshot was saved and the log cut behind lo, and SnapshotSaved, which
// tells the core of it, is still to come.
var ErrCompacted = errors.New("the log was compacted beyond that")

// LogReader reads entries that have left the core's memory. They are durable,
// and the core never asks for an index that a pending Write may still change.
type LogReader interface {
	// Entries returns the entries from lo up to, not including, hi: at least
	// the first, then more while their sizes together stay within maxBytes.
	// The core treats any error as the end of this member, save ErrCompacted.
	Entries(lo, hi Index, maxBytes int) ([]Entry, error)
}
