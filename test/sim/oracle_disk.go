package sim

import (
	"slices"

	"github.com/conclave-dev/conclave/pkg/raft"
)

// shadow is what a member's disk holds, by the writes that reached it. It
// outlives the member.
type shadow struct {
	id   raft.MemberID
	hard raft.HardState
	// terms holds those of the entries after base. Compaction takes nothing away
	// here; an installed snapshot does.
	base  raft.Index
	terms []raft.Term
	// memberships are the configurations in the log, the oldest one that of base.
	memberships []raft.MembershipAt
	// writing is the write under way, acted the configuration in force when the
	// member acted last, and actedLast the end of its log then, as far as it had
	// written or sent it; actedTerm is the last term that it has led.
	writing   *raft.Write
	acted     raft.MembershipAt
	actedLast raft.Index
	actedTerm raft.Term
	// outranks tells that the member refused its vote for a log behind its own, and
	// has answered no leader since. stands is the last term that it has asked about.
	outranks bool
	stands   raft.Term
	// logAsVoted tells that the log is still the one that the last vote saw.
	logAsVoted bool
	// former is what the disk held before it lost some of it, until it holds at
	// least as much again. What it had acknowledged then still counts.
	former *shadow
	// kept is what it goes back to when it forgets all that came since.
	kept *shadow
}

func (o *oracle) newDisk(id raft.MemberID) { o.disks[id] = &shadow{id: id} }

func (s *shadow) last() raft.Index { return s.base + raft.Index(len(s.terms)) }

// lastPlanned is the end of the log once the write under way is done.
func (s *shadow) lastPlanned() raft.Index {
	if w := s.writing; w != nil && len(w.Entries) > 0 {
		return w.Entries[len(w.Entries)-1].Index
	}
	return s.last()
}

// termAt returns the term of an entry. What a snapshot stands for is committed.
func (s *shadow) termAt(o *oracle, i raft.Index) (raft.Term, bool) {
	switch {
	case i == 0:
		return 0, true
	case i > s.last():
		return 0, false
	case i <= s.base:
		return o.committed[i], true
	default:
		return s.terms[i-s.base-1], true
	}
}

func (s *shadow) holds(o *oracle, i raft.Index, t raft.Term) bool {
	have, ok := s.termAt(o, i)
	return ok && have == t
}

// held tells whether the disk holds an entry, or did before it lost something.
func (s *shadow) held(o *oracle, i raft.Index, t raft.Term) bool {
	for ; s != nil; s = s.former {
		if s.holds(o, i, t) {
			return true
		}
	}
	return false
}

// clone returns a copy of the log alone.
func (s *shadow) clone() *shadow {
	return &shadow{id: s.id, base: s.base, terms: slices.Clone(s.terms), memberships: slices.Clone(s.memberships)}
}

// cut takes away all entries from an index on.
func (s *shadow) cut(from raft.Index) {
	s.terms = slices.Clone(s.terms[:min(int(from-s.base)-1, len(s.terms))])
	for len(s.memberships) > 0 && s.memberships[len(s.memberships)-1].Index >= from {
		s.memberships = s.memberships[:len(s.memberships)-1]
	}
}

// end returns the place of the last entry.
func (s *shadow) end(o *oracle) (raft.Index, raft.Term) {
	t, _ := s.termAt(o, s.last())
	return s.last(), t
}

// membership returns the newest configuration in the log.
func (s *shadow) membership() raft.MembershipAt {
	if len(s.memberships) == 0 {
		return raft.MembershipAt{}
	}
	return s.memberships[len(s.memberships)-1]
}

func (s *shadow) membershipBefore(i raft.Index) raft.MembershipAt {
	for n := len(s.memberships) - 1; n >= 0; n-- {
		if s.memberships[n].Index < i {
			return s.memberships[n]
		}
	}
	return raft.MembershipAt{}
}

// saved judges a write that has become durable, and remembers it.
func (o *oracle) saved(n *node, w *raft.Write) {
	s := o.disks[n.id]
	s.writing = nil
	if !w.NeedsDisk() {
		return
	}
	if w.HardState.Term < s.hard.Term || w.HardState.Term == s.hard.Term && s.hard.Vote != raft.NoMember && w.HardState.Vote != s.hard.Vote {
		o.w.fail("%v goes back from term %d and vote %s to term %d and vote %s", n,
			s.hard.Term, memberText(s.hard.Vote), w.HardState.Term, memberText(w.HardState.Vote))
	}
	if w.HardState.Vote != raft.NoMember && (w.HardState.Vote != s.hard.Vote || w.HardState.Term != s.hard.Term) {
		s.logAsVoted = true
	}
	s.hard = w.HardState
	switch {
	case w.Snapshot != nil && w.KeepLog:
		o.adopted(n, s, w.Snapshot)
	case w.Snapshot != nil:
		o.installed(n, s, w.Snapshot)
	}
	if w.TruncateFrom != 0 {
		o.truncated(n, s, w)
	}
	for i := range w.Entries {
		e := &w.Entries[i]
		s.terms = append(s.terms, e.Term)
		s.logAsVoted = false
		if e.Kind == raft.EntryMembership {
			s.memberships = append(s.memberships, raft.MembershipAt{Index: e.Index, Membership: *e.Membership})
		}
	}
	o.mended(s)
}

func (o *oracle) truncated(n *node, s *shadow, w *raft.Write) {
	from := w.TruncateFrom
	if from <= o.commit() && from <= s.last() && s.holds(o, from, o.committed[from]) && !o.ofEarlierLeader(w) {
		o.w.fail("%v removes entry %s, which is committed", n, at(from, o.committed[from]))
	}
	if from <= s.base {
		o.w.fail("%v removes entries from %d on, its log begins after %d", n, from, s.base)
	}
	s.logAsVoted = false
	o.w.count(Truncations)
	s.cut(from)
}

// forgot puts another log in the place of the one that a disk held.
func (o *oracle) forgot(n *node, rest *shadow) {
	s := o.disks[n.id]
	former := s.clone()
	former.former = s.former
	s.base, s.terms, s.memberships = rest.base, slices.Clone(rest.terms), slices.Clone(rest.memberships)
	s.former, s.logAsVoted = former, false
	o.mended(s)
	last, term := s.end(o)
	o.w.trace.tell(traceFault, n, "the disk comes back with a log up to %s", at(last, term))
}

// mended forgets what a disk held before once it holds at least as much again.
func (o *oracle) mended(s *shadow) {
	index, term := s.end(o)
	for former := s.former; former != nil; former = former.former {
		i, t := former.end(o)
		if t > term || t == term && i > index {
			return
		}
	}
	if s.former != nil {
		s.former = nil
		o.w.count(Mended)
	}
}

func (o *oracle) installed(n *node, s *shadow, meta *raft.SnapshotMeta) {
	o.w.count(Installs)
	o.snapshot(n, meta)
	if last := s.last(); meta.Index < last {
		for i := last; i > meta.Index && i > s.base; i-- {
			if i <= o.commit() && s.holds(o, i, o.committed[i]) {
				o.w.fail("%v installs a snapshot at %d over entry %s, which is committed", n, meta.Index, at(i, o.committed[i]))
			}
		}
	}
	s.base, s.terms, s.logAsVoted = meta.Index, nil, false
	s.memberships = []raft.MembershipAt{{Index: meta.MembershipIndex, Membership: meta.Membership}}
}

// ofEarlierLeader tells whether a truncation follows a leader of before the term in
// which the entry was committed. That leader may not have had it, and a member that
// hears of it late, and of no later one yet, is not among those that made the commit.
func (o *oracle) ofEarlierLeader(w *raft.Write) bool {
	in := o.committedIn(w.TruncateFrom)
	if w.HardState.Term < in {
		return true
	}
	// The member may have met the later term before it could write.
	return len(w.Entries) > 0 && w.Entries[0].Term != o.committed[w.TruncateFrom] && w.Entries[0].Term < in
}

// snapshot judges the description of a snapshot.
func (o *oracle) snapshot(n *node, meta *raft.SnapshotMeta) {
	if meta.Index > o.commit() || o.committed[meta.Index] != meta.Term {
		o.w.fail("%v has a snapshot at %s, which is not committed", n, at(meta.Index, meta.Term))
	}
	want := o.membershipAt(meta.Index)
	if meta.MembershipIndex != want.Index || !sameMembership(&meta.Membership, &want.Membership) {
		o.w.fail("%v has a snapshot at %d with the configuration of %d, %s, that of %d is %s", n, meta.Index,
			meta.MembershipIndex, membershipText(&meta.Membership), want.Index, membershipText(&want.Membership))
	}
}

// opened compares what a storage says with what was written to it.
func (o *oracle) opened(n *node, state *raft.State) {
	s := o.disks[n.id]
	s.writing, s.acted = nil, raft.MembershipAt{}
	term, _ := s.termAt(o, s.last())
	if state.Last != s.last() || state.HardState.Term != s.hard.Term || state.HardState.Vote != s.hard.Vote ||
		len(state.Terms) > 0 && state.Terms[len(state.Terms)-1].Term != term {
		o.w.fail("%v opens its disk with term %d, vote %s and a log up to %d, what it wrote is term %d, vote %s and a log up to %s", n,
			state.HardState.Term, memberText(state.HardState.Vote), state.Last, s.hard.Term, memberText(s.hard.Vote), at(s.last(), term))
	}
}

// ended forgets a write that a crash has stopped.
func (o *oracle) ended(n *node) { o.disks[n.id].writing = nil }
