package raft

import (
	"cmp"
	"slices"
)

// ChangeKind says how the membership is to change.
type ChangeKind uint8

const (
	// AddLearner adds a member that receives the log and does not vote.
	AddLearner ChangeKind = 1
	// Promote makes a learner a voter, once it has caught up.
	Promote ChangeKind = 2
	// Remove removes a member, voter or learner.
	Remove ChangeKind = 3
)

// Change is one change of the membership.
type Change struct {
	Kind ChangeKind
	// Member is whom it is about. Promote and Remove look at its ID only.
	Member Member
	// If, unless 0, is the index of the entry whose configuration the change is
	// meant for: when another one is active, it is refused.
	If Index
}

const (
	// maxMembers bounds a configuration.
	maxMembers = 16
	// promoteLagEntries is how much of the log a learner may lack when it
	// becomes a voter: what a moment of load puts under way.
	promoteLagEntries = 256
)

// ChangeMembership asks the leader for a change. The answer comes in a later
// Ready's Results: the place of the entry that begins the change, or the reason
// why it was refused.
//
// Adding and removing learners takes one entry. A change of voters goes through
// joint consensus (section 6): the entry that begins it makes decisions need
// majorities of the old voters and of the new ones, and when it is committed the
// leader appends the entry that ends it. Each is in force once it is in a
// member's log, committed or not, and a truncation takes it back.
func (r *Raft) ChangeMembership(id RequestID, change Change) {
	next, reason := r.planChange(change)
	if reason == ReasonNone && next.IsJoint() && !r.soundMajority(next.Voters) {
		reason = ReasonParked
	}
	result := ProposalResult{ID: id, Reason: reason}
	if reason == ReasonNone {
		e := r.appendEntry(Entry{Kind: EntryMembership, Membership: &next})
		result.Index, result.Term = e.Index, e.Term
		r.out.announceEntries = true
	}
	r.out.results = append(r.out.results, result)
}

// planChange returns the configuration that begins a change, or why there is
// none. One change at a time, and none before the leader has committed an entry
// of its own term: otherwise two leaders could each commit a change that the
// other's majority knows nothing of.
func (r *Raft) planChange(change Change) (Membership, Reason) {
	if r.role != Leader {
		return Membership{}, ReasonNotLeader
	}
	if r.transfer != nil {
		return Membership{}, ReasonTransferring
	}
	if t, _ := r.log.term(r.log.committed); t != r.term {
		return Membership{}, ReasonNotReady
	}
	if !r.hasRoom(true) {
		return Membership{}, ReasonDiskFull
	}
	active := r.memberships[len(r.memberships)-1]
	if active.Membership.IsJoint() || active.Index > r.log.committed {
		return Membership{}, ReasonChangePending
	}
	if change.If != 0 && change.If != active.Index {
		return Membership{}, ReasonMembershipChanged
	}
	switch change.Kind {
	case AddLearner:
		return planAddLearner(&active.Membership, change.Member)
	case Promote:
		return r.planPromote(&active.Membership, change.Member.ID)
	case Remove:
		return planRemove(&active.Membership, change.Member.ID)
	default:
		return Membership{}, ReasonInvalid
	}
}

func planAddLearner(m *Membership, member Member) (Membership, Reason) {
	if member.ID == NoMember || member.Name == "" || member.Address == "" {
		return Membership{}, ReasonInvalid
	}
	if _, ok := m.Member(member.ID); ok {
		return Membership{}, ReasonAlreadyMember
	}
	if len(m.Members) >= maxMembers {
		return Membership{}, ReasonTooManyMembers
	}
	next := m.clone()
	next.Members = append(next.Members, member)
	slices.SortFunc(next.Members, func(a, b Member) int { return cmp.Compare(a.ID, b.ID) })
	next.Learners = with(next.Learners, member.ID)
	return next, ReasonNone
}

func (r *Raft) planPromote(m *Membership, id MemberID) (Membership, Reason) {
	if m.IsVoter(id) {
		return Membership{}, ReasonAlreadyMember
	}
	if !slices.Contains(m.Learners, id) {
		return Membership{}, ReasonNotMember
	}
	if reason := r.judgeLearner(r.follower(id)); reason != ReasonNone {
		return Membership{}, reason
	}
	next := m.clone()
	next.Outgoing = next.Voters
	next.Voters = with(next.Voters, id)
	next.Learners = without(next.Learners, id)
	if next.Validate() != nil {
		// Another voter has its name and must be removed first.
		return Membership{}, ReasonAlreadyMember
	}
	return next, ReasonNone
}

// judgeLearner tells why a learner must not vote yet: it would count in every
// majority from the start, and one that lags behind would hold up commits (thesis,
// 4.2.1, which catches up in rounds; here the lag itself is looked at, and recent
// contact). One that has acknowledged nothing has yet to show that it can.
func (r *Raft) judgeLearner(p *progress) Reason {
	switch {
	case p == nil || p.boot == 0 || p.contactTicks >= r.config.ElectionTicksMin:
		return ReasonNoContact
	case p.diskFull:
		return ReasonDiskFull
	case p.parked:
		return ReasonParked
	case p.state != stateReplicate || p.match == 0 || p.match+promoteLagEntries < r.log.last:
		return ReasonNotCaughtUp
	default:
		return ReasonNone
	}
}

func planRemove(m *Membership, id MemberID) (Membership, Reason) {
	next := m.clone()
	switch {
	case slices.Contains(m.Learners, id):
		next.Learners = without(next.Learners, id)
		next.dropIdle()
	case !m.IsVoter(id):
		return Membership{}, ReasonNotMember
	case len(m.Voters) == 1:
		return Membership{}, ReasonLastVoter
	default:
		next.Outgoing = next.Voters
		next.Voters = without(next.Voters, id)
	}
	return next, ReasonNone
}

// continueChange takes the next step of a change whose last one was committed.
func (r *Raft) continueChange() {
	active := r.memberships[len(r.memberships)-1]
	if active.Index > r.log.committed {
		return
	}
	if active.Membership.IsJoint() {
		next := active.Membership.clone()
		next.Outgoing = nil
		next.dropIdle()
		r.appendEntry(Entry{Kind: EntryMembership, Membership: &next})
		r.out.announceEntries = true
		return
	}
	if !active.Membership.IsVoter(r.id) {
		// It led until its own removal was committed (section 6), and lets the
		// others know before it goes.
		r.announceCommits()
		r.becomeFollower(r.term, NoMember)
	}
}

// clone returns a copy that shares nothing.
func (m *Membership) clone() Membership {
	return Membership{
		Members: slices.Clone(m.Members), Voters: slices.Clone(m.Voters),
		Outgoing: slices.Clone(m.Outgoing), Learners: slices.Clone(m.Learners),
	}
}

// dropIdle removes members that have no role any more.
func (m *Membership) dropIdle() {
	m.Members = slices.DeleteFunc(m.Members, func(member Member) bool {
		return !m.IsVoter(member.ID) && !slices.Contains(m.Learners, member.ID)
	})
}

// with and without return a copy of sorted IDs with or without one.
func with(ids []MemberID, id MemberID) []MemberID {
	all := append(slices.Clone(ids), id)
	slices.Sort(all)
	return all
}

func without(ids []MemberID, id MemberID) []MemberID {
	return slices.DeleteFunc(slices.Clone(ids), func(other MemberID) bool { return other == id })
}
