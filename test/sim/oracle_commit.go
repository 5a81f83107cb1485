package sim

import (
	"github.com/conclave-dev/conclave/pkg/raft"
)

// claimed judges a member's claim that everything up to an index is committed.
func (o *oracle) claimed(n *node, disk *shadow, term raft.Term, index raft.Index) {
	r := o.byTerm[term]
	if index <= o.commit() {
		if r != nil && r.leader == n.id {
			r.commit = max(r.commit, index)
			if t, ok := o.leaderTerm(r, disk, index); ok && t != o.committed[index] {
				o.w.fail("%v, which leads term %d, calls entry %s committed, but committed is %s", n, term, at(index, t), at(index, o.committed[index]))
			}
		}
		return
	}
	switch {
	case r == nil && n.loop.Leader() == n.id:
		// A leader without others to tell is only seen by what it commits.
		r = o.enthroned(n, disk, term)
	case r == nil || r.leader != n.id:
		// One that was deposed before it acted has nothing but this to say of what
		// it committed last.
		r = o.lastReign(n.id)
	}
	if r == nil {
		o.w.fail("%v takes index %d for committed in term %d, no leader has claimed more than %d", n, index, term, o.commit())
	}
	t, ok := o.leaderTerm(r, disk, index)
	if !ok {
		o.w.fail("%v commits index %d in term %d, where nobody has an entry of it", n, index, term)
	}
	holder := o.demandQuorum(n, o.activeMemberships(n, disk), index, t)
	for i := o.commit() + 1; i <= index; i++ {
		t, _ := holder.termAt(o, i)
		o.committed = append(o.committed, t)
		if e := o.find(i, t); e != nil && e.Kind == raft.EntryMembership {
			o.memberships = append(o.memberships, raft.MembershipAt{Index: i, Membership: *e.Membership})
			o.w.count(MembershipChanges)
		}
	}
	if r.commit == 0 {
		o.w.plot.committed(n)
	}
	r.commit = max(r.commit, index)
	o.w.trace.note(traceCommitted, n, uint64(index), uint64(term), 0)
}

// lastReign returns the last term that a member has led, nil when there is none.
func (o *oracle) lastReign(id raft.MemberID) *reign {
	for i := len(o.reigns) - 1; i >= 0; i-- {
		if o.reigns[i].leader == id {
			return o.reigns[i]
		}
	}
	return nil
}

// leaderTerm returns the term of an entry in a leader's log, as far as it was
// written or sent.
func (o *oracle) leaderTerm(r *reign, disk *shadow, i raft.Index) (raft.Term, bool) {
	if w := disk.writing; w != nil {
		if len(w.Entries) > 0 && i >= w.Entries[0].Index && i <= w.Entries[len(w.Entries)-1].Index {
			return w.Entries[i-w.Entries[0].Index].Term, true
		}
	}
	if i <= raft.Index(len(r.log)) && i > 0 && r.log[i-1] != 0 {
		return r.log[i-1], true
	}
	return disk.termAt(o, i)
}

// committedIn returns the first term whose leader called an entry committed.
func (o *oracle) committedIn(i raft.Index) raft.Term {
	var first raft.Term
	for _, r := range o.reigns {
		if r.commit >= i && (first == 0 || r.term < first) {
			first = r.term
		}
	}
	return first
}

// activeMemberships returns the configurations that a member may have decided by
// since it acted last: the one in force now, which must be the newest in its log
// unless that is only in memory, and the one of then.
func (o *oracle) activeMemberships(n *node, disk *shadow) []*raft.Membership {
	newest := disk.membership()
	if w := disk.writing; w != nil {
		if w.TruncateFrom != 0 && newest.Index >= w.TruncateFrom {
			newest = disk.membershipBefore(w.TruncateFrom)
		}
		for i := range w.Entries {
			if w.Entries[i].Kind == raft.EntryMembership {
				newest = raft.MembershipAt{Index: w.Entries[i].Index, Membership: *w.Entries[i].Membership}
			}
		}
	}
	told := n.loop.Membership()
	inMemory := told.Index > newest.Index && told.Index > disk.lastPlanned()
	// One that follows may have taken the newest back, which the disk does not know yet.
	before := disk.membershipBefore(newest.Index)
	takenBack := told.Index == before.Index && n.loop.Status().Role == raft.Follower && sameMembership(&told.Membership, &before.Membership)
	if !inMemory && !takenBack && (told.Index != newest.Index || !sameMembership(&told.Membership, &newest.Membership)) {
		o.w.fail("%v acts on the configuration of entry %d, %s, the newest in its log is that of %d, %s",
			n, told.Index, membershipText(&told.Membership), newest.Index, membershipText(&newest.Membership))
	}
	return []*raft.Membership{&told.Membership, &disk.acted.Membership}
}

// demandQuorum demands that an entry is on the disks of a majority of every half
// of one of the configurations, and returns one of them.
func (o *oracle) demandQuorum(n *node, memberships []*raft.Membership, index raft.Index, term raft.Term) *shadow {
	for _, m := range memberships {
		if holder := o.quorum(m, index, term); holder != nil {
			return holder
		}
	}
	m := memberships[0]
	var have []raft.MemberID
	for _, member := range m.Members {
		if o.disks[member.ID].held(o, index, term) {
			have = append(have, member.ID)
		}
	}
	o.w.fail("%v commits entry %s, which only [%s] have on disk, of %s", n, at(index, term), membersText(have), membershipText(m))
	return nil
}

// quorum returns one of a majority of every half that has an entry on disk, nil
// when there is none.
func (o *oracle) quorum(m *raft.Membership, index raft.Index, term raft.Term) *shadow {
	var holder *shadow
	for _, half := range [][]raft.MemberID{m.Voters, m.Outgoing} {
		have := 0
		for _, id := range half {
			if disk := o.disks[id]; disk.held(o, index, term) {
				have++
				for holder = disk; !holder.holds(o, index, term); {
					holder = holder.former
				}
			}
		}
		if len(half) > 0 && 2*have <= len(half) {
			return nil
		}
	}
	return holder
}

// voted judges a vote or the request for one.
func (o *oracle) voted(n *node, disk *shadow, m *raft.Message) {
	if m.Reject {
		return
	}
	to := m.To
	if m.Kind == raft.KindRequestVote {
		to = n.id
		o.w.count(Campaigns)
		if m.Term != disk.stands {
			o.standing(n, disk)
		}
		if disk.former != nil {
			o.w.fail("%v stands for election, and its disk has lost what it had acknowledged", n)
		}
		o.requests[ballot{n.id, m.Term}] = position{m.LogIndex, m.LogTerm}
		if disk.hard.Term == m.Term && disk.logAsVoted && !disk.holds(o, m.LogIndex, m.LogTerm) {
			index, term := disk.end(o)
			o.w.fail("%v stands for election with a log up to %s, its disk has it up to %s", n, at(m.LogIndex, m.LogTerm), at(index, term))
		}
	} else {
		o.w.count(Votes)
	}
	if disk.hard.Term < m.Term || disk.hard.Term == m.Term && disk.hard.Vote != to {
		o.w.fail("%v votes for %s in term %d, its disk has term %d and vote %s", n, memberText(to), m.Term, disk.hard.Term, memberText(disk.hard.Vote))
	}
	vote := ballot{n.id, m.Term}
	if old, ok := o.votes[vote]; ok && old != to {
		o.w.fail("%v votes for %s in term %d and has voted for %s", n, memberText(to), m.Term, memberText(old))
	}
	o.votes[vote] = to
	if m.Kind == raft.KindRequestVoteReply {
		o.judgeElected(n, disk, m)
	}
}

// judgeElected demands that a candidate's log is up to date (section 5.4.1). The
// voter's log is compared as of the write that holds the vote, unless that write
// has changed the log too: then it is not known what the voter saw. One that has
// lost something judges by what it had.
func (o *oracle) judgeElected(n *node, disk *shadow, m *raft.Message) {
	asked, ok := o.requests[ballot{m.To, m.Term}]
	if !ok {
		o.w.fail("%v votes for %s in term %d, which has not asked", n, memberText(m.To), m.Term)
	}
	if disk.hard.Term != m.Term || !disk.logAsVoted {
		return
	}
	for ; disk != nil; disk = disk.former {
		index, term := disk.end(o)
		if term > asked.term || term == asked.term && index > asked.index {
			o.w.fail("%v, whose log ends or ended with %s, votes for %s, whose log ends with %s", n, at(index, term), memberText(m.To), at(asked.index, asked.term))
		}
	}
}

// acked judges the acknowledgement of an append. In a term that is over for its
// sender it can't count any more.
func (o *oracle) acked(n *node, disk *shadow, m *raft.Message) {
	if m.Reject || disk.hard.Term > m.Term {
		return
	}
	o.w.count(Acknowledgements)
	if disk.hard.Term < m.Term {
		o.w.fail("%v acknowledges entries in term %d, its disk has term %d", n, m.Term, disk.hard.Term)
	}
	t, ok := disk.termAt(o, m.LogIndex)
	if !ok {
		o.w.fail("%v acknowledges index %d, its disk has a log up to %d", n, m.LogIndex, disk.last())
	}
	if r := o.byTerm[m.Term]; r != nil && m.LogIndex > 0 && m.LogIndex <= raft.Index(len(r.log)) {
		if want := r.log[m.LogIndex-1]; want != 0 && want != t {
			o.w.fail("%v acknowledges index %d, where it has %s and its leader %s", n, m.LogIndex, at(m.LogIndex, t), at(m.LogIndex, want))
		}
	}
}
