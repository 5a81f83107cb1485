package raft

import "math"

// Status is what a member says of itself.
type Status struct {
	ID     MemberID
	Term   Term
	Role   Role
	Vote   MemberID
	Leader MemberID

	Base          Index
	Last          Index
	Durable       Index
	Committed     Index
	Applied       Index
	SnapshotIndex Index

	// Faulty tells that the storage lost what it had acknowledged up to Watermark,
	// and has not got it back from the others yet.
	Faulty    bool
	Watermark LogPosition
	// Space is how much room the disk has left. Stalled tells that one Write has
	// taken longer than the stall budget, WriteTicks how long the oldest has taken.
	Space      Space
	Stalled    bool
	WriteTicks int
	// Parked tells why the member is parked, if it is. Disagreement is the last index
	// at which two members' states differed, 0 once all voters' agree at a later one.
	Parked       ParkCause
	Disagreement Index

	// Membership is the active configuration and MembershipIndex the index of
	// the entry that holds it. It is shared, not to be changed.
	Membership      Membership
	MembershipIndex Index
	// Followers is a leader's view of the other members, sorted by ID.
	Followers []FollowerStatus
	// TimeoutTicks is the length of the present election period.
	TimeoutTicks int
	// Counts are those since the start.
	Counts Counts
}

// Counts is how often this member did what elections are made of, since its
// start.
type Counts struct {
	// PreVotes and Elections count the times that it asked for votes, first
	// without and then with a new term; Won those that made it leader.
	PreVotes, Elections, Won uint64
	// Transfers counts those of its hand-overs that made way for another leader,
	// TransfersFailed those after which it led on.
	Transfers, TransfersFailed uint64
	// Parked counts the times that it parked, Disagreements the indexes at which it has
	// seen members' states differ.
	Parked, Disagreements uint64
}

// FollowerStatus is what a leader knows of another member.
type FollowerStatus struct {
	ID MemberID
	// State is probe, replicate or snapshot.
	State string
	Match Index
	Next  Index
	// ContactTicks is the number of ticks since its last message.
	ContactTicks int
	// DiskFull tells that it takes no entries for want of room.
	DiskFull bool
	// Parked tells that it is parked.
	Parked bool
	// Promotion tells why a learner can't become a voter yet; ReasonNone when
	// it can, and for voters.
	Promotion Reason
}

// Leads tells whether this member leads, and in which term. It costs nothing.
func (r *Raft) Leads() (Term, bool) { return r.term, r.role == Leader }

// Leader returns the leader that this member follows, itself included, or
// NoMember, and the term.
func (r *Raft) Leader() (MemberID, Term) { return r.leader, r.term }

// ActiveMembership returns the active configuration and the index of the entry
// that holds it. It is shared, not to be changed.
func (r *Raft) ActiveMembership() MembershipAt {
	return MembershipAt{Index: r.membershipAt(r.log.last).Index, Membership: *r.membership()}
}

// Durable returns the last index that is on this member's disk.
func (r *Raft) Durable() Index { return r.log.durable }

// SnapshotIndex returns the index of the newest snapshot, 0 when there is none.
func (r *Raft) SnapshotIndex() Index { return r.snapshot.Index }

// SavedCommit returns the commit index that the last Write carried to the disk.
func (r *Raft) SavedCommit() Index { return r.out.saved.Commit }

// Status returns what the member says of itself.
func (r *Raft) Status() Status {
	s := Status{
		ID: r.id, Term: r.term, Role: r.role, Vote: r.vote, Leader: r.leader,
		Base: r.log.base, Last: r.log.last, Durable: r.log.durable,
		Committed: r.log.committed, Applied: r.log.applied,
		SnapshotIndex: r.snapshot.Index,
		Faulty:        r.faulty, Watermark: r.watermark,
		Space: r.space, Stalled: r.stalled(), WriteTicks: r.writeTicks(),
		Parked: r.Parked(), Disagreement: r.agreement.disagreement,
		TimeoutTicks: r.timeoutTicks, Counts: r.counts,
	}
	at := r.ActiveMembership()
	s.Membership, s.MembershipIndex = at.Membership, at.Index
	for i := range r.followers {
		p := &r.followers[i]
		if p.id == r.id {
			continue
		}
		f := FollowerStatus{ID: p.id, State: p.state.String(), Match: p.match, Next: p.next, ContactTicks: p.contactTicks, DiskFull: p.diskFull, Parked: p.parked}
		if !s.Membership.IsVoter(p.id) {
			f.Promotion = r.judgeLearner(p)
		}
		s.Followers = append(s.Followers, f)
	}
	return s
}

// Entries returns the log from lo up to, not including, hi, for people to look
// at.
func (r *Raft) Entries(lo, hi Index) ([]Entry, error) {
	var all []Entry
	for lo < hi {
		entries, err := r.log.slice(lo, hi, math.MaxInt)
		if err != nil {
			return nil, err
		}
		all = append(all, entries...)
		lo += Index(len(entries))
	}
	return all, nil
}
