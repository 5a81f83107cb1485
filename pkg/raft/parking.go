package raft

import "slices"

// A member whose state is not that of the majority, or whose state machine can't follow
// the log any further, is parked. Its log is as good as any, so it goes on to store,
// acknowledge and vote. But nothing that comes from its state may reach anybody:
//
//   - it applies nothing, and its driver serves nothing;
//   - it takes and sends no snapshot;
//   - it never stands for election, not even when its leader asks it to. A leader hands
//     over to a member that is not parked, or steps down;
//   - while it is parked for its state, it asks its leader for a snapshot.
//
// The request goes with the answers to heartbeats. It names the first index since the
// member parked at which it has seen a majority agree, and the newest such with the hash
// there. A leader that has another hash there doesn't answer. Any other takes a snapshot
// at or beyond the first index, unless its newest is, and sends it beside the entries:
// the newest moves on while a snapshot is being written. If the receiver's log holds the
// snapshot's last entry it keeps its log: the snapshot is adopted in the place of its own
// ones, and the log after it applied anew. The member stays parked until it has applied
// again all that it ever had, so that what it serves never goes back in time.
//
// That a state differs is remembered on disk (HardState.Parked), for a snapshot of the
// wrong state may be there. The Write that adopts the right one takes the mark away. A
// state machine that can't follow the log is no such case: a program that can may start
// from the same disk.
//
// For elections a parked member counts as one that has failed: while it alone of those
// that run holds the end of the log, nobody is elected. That lasts until another one
// that holds it comes back. The alternative, to let it lead for a moment, would need a
// leader that must not say what it has applied.

// parking is why and how far a member is parked.
type parking struct {
	// differs: the state is not that of the majority. stuck: the state machine can't
	// follow the log.
	differs bool
	stuck   bool
	// proof is the newest hash that a majority is known to agree on, and least the index
	// of the first such since the member parked: a snapshot from there on is right.
	proof StateHash
	least Index
	// until, unless 0, is what must be applied after a restored snapshot before this
	// member is as good as any again.
	until Index
}

// held tells whether nothing may be applied.
func (p *parking) held() bool { return p.differs || p.stuck }

// parked tells whether nothing may be served.
func (p *parking) parked() bool { return p.held() || p.until != 0 }

// ParkCause tells why a member is parked.
type ParkCause uint8

const (
	// ParkNone: it is not parked.
	ParkNone ParkCause = 0
	// ParkDiffers: its state differs from that of the majority.
	ParkDiffers ParkCause = 1
	// ParkStuck: its state machine can't follow the log any further.
	ParkStuck ParkCause = 2
	// ParkRestoring: a right state was put in the place of the wrong one, and the log
	// behind it is being applied.
	ParkRestoring ParkCause = 3
)

// String returns the cause in words that complete "parked: ...".
func (c ParkCause) String() string {
	if int(c) < len(parkCauseTexts) {
		return parkCauseTexts[c]
	}
	return "unknown"
}

var parkCauseTexts = [...]string{
	ParkNone:      "not parked",
	ParkDiffers:   "its state differs from that of the majority",
	ParkStuck:     "its state can't follow the log any further",
	ParkRestoring: "the log behind the snapshot of another member is being applied",
}

// Parked tells why this member is parked. It costs nothing.
func (r *Raft) Parked() ParkCause {
	switch {
	case r.park.differs:
		return ParkDiffers
	case r.park.stuck:
		return ParkStuck
	case r.park.until != 0:
		return ParkRestoring
	default:
		return ParkNone
	}
}

// StateStuck tells that the state machine can't follow the log any further.
func (r *Raft) StateStuck() {
	if r.park.stuck {
		return
	}
	r.park.stuck = true
	r.giveWay()
}

// parkDiffering parks a member whose state is not what a majority agrees on.
func (r *Raft) parkDiffering(right StateHash) {
	r.park.differs, r.park.proof, r.park.least = true, right, right.Index
	r.giveWay()
}

// giveWay ends a candidacy or a reign.
func (r *Raft) giveWay() {
	r.counts.Parked++
	switch {
	case r.role == Leader && r.transfer != nil:
		// Its end, one way or the other, is the end of this reign.
	case r.role == Leader:
		to := r.bestSuccessor()
		if to == NoMember {
			r.becomeFollower(r.term, NoMember)
			return
		}
		r.transfer = &transfer{target: to}
		r.sendAppends(r.follower(to))
		r.continueTransfer()
	case r.role != Follower:
		r.withdraw()
		r.becomeFollower(r.term, NoMember)
	}
}

// withdraw takes back the requests for votes that were not sent.
func (r *Raft) withdraw() {
	asks := func(m Message) bool { return m.Kind == KindPreVote || m.Kind == KindRequestVote }
	r.out.messages = slices.DeleteFunc(r.out.messages, asks)
	r.out.messagesAfter = slices.DeleteFunc(r.out.messagesAfter, asks)
}

// wantedSnapshot returns the least index of a snapshot that would heal this member, 0
// when it needs none or does not know.
func (r *Raft) wantedSnapshot() Index {
	if !r.park.differs || r.park.proof.Index == 0 || r.out.adopt != nil {
		return 0
	}
	return max(r.park.least, r.log.base)
}

// tellParked adds to an answer that this member is parked, and what would heal it.
func (r *Raft) tellParked(reply *Message) {
	reply.Parked = r.park.parked()
	if wanted := r.wantedSnapshot(); wanted != 0 {
		reply.LogIndex, reply.State = wanted, r.park.proof
	}
}

// heals tells whether a snapshot that lies in the log is to replace the state.
func (r *Raft) heals(meta *SnapshotMeta) bool {
	t, ok := r.log.term(meta.Index)
	return ok && t == meta.Term && r.wantedSnapshot() != 0 && meta.Index >= r.wantedSnapshot()
}

// adopt plans to put a received snapshot in the place of the own ones. It waits until
// the log holds its last entry on disk.
func (r *Raft) adopt(meta *SnapshotMeta) {
	r.commitTo(meta.Index)
	r.out.adopt = meta
}

// adoptDue tells whether the next Write adopts a snapshot.
func (r *Raft) adoptDue() bool {
	return r.out.adopt != nil && r.out.install == nil && r.log.truncateFrom == 0 && r.log.durable >= r.out.adopt.Index
}

// adopted goes on from a snapshot that is about to be adopted: what was applied after it
// is applied anew.
func (r *Raft) adopted(meta *SnapshotMeta) {
	reached := max(r.log.applying, meta.Index, r.park.until)
	r.log.applying, r.log.applied = meta.Index, meta.Index
	r.out.applying = nil
	r.snapshot = *meta
	r.compactLog(meta.Index)
	r.restoring(reached)
}

// restoring notes that the state is being replaced, and is right once the log up to an
// index is applied.
func (r *Raft) restoring(until Index) {
	r.agreement.own = nil
	if r.park.parked() {
		r.park = parking{until: until}
	}
}

// endParking makes a healed member one like the others.
func (r *Raft) endParking(applied Index) {
	if r.park.until != 0 && applied >= r.park.until {
		r.park.until = 0
	}
}

// healPauseTimeouts is how many of the longest election timeouts a leader waits after it
// sent a snapshot to a parked member before it sends another.
const healPauseTimeouts = 4

// noteParked takes what a follower says of its state.
func (p *progress) noteParked(m *Message) {
	p.parked = m.Parked
	p.wants, p.proof = 0, StateHash{}
	if m.Parked {
		p.wants, p.proof = m.LogIndex, m.State
	}
}

// healable tells whether a follower asks for a snapshot and this leader's state is right
// as far as the follower's proof goes. One that has no hash of that index any more, since
// it began from a later snapshot, can't tell; its next hash will.
func (r *Raft) healable(p *progress) bool {
	if p.wants == 0 || r.park.parked() || r.log.applied < max(p.wants, p.proof.Index) {
		return false
	}
	own, known := r.hashAt(r.id, p.proof.Index)
	return !known || own == p.proof
}

// heal sends a parked follower the newest snapshot, beside whatever else it is sent, if
// that is one for it.
func (r *Raft) heal(p *progress) {
	if p.healing || p.healPause > 0 || p.state == stateSnapshot || !r.healable(p) || r.snapshot.Index < p.wants {
		return
	}
	meta := r.snapshot
	r.send(Message{Kind: KindInstallSnapshot, To: p.id, Session: p.session, Snapshot: &meta})
	p.healing = true
}

// SnapshotWanted tells that a parked member waits for a snapshot that is newer than any
// that this leader has.
func (r *Raft) SnapshotWanted() bool {
	for i := range r.followers {
		if p := &r.followers[i]; r.role == Leader && r.healable(p) && p.wants > r.snapshot.Index {
			return true
		}
	}
	return false
}

// soundMajority tells whether a majority of voters is not parked, as far as this leader
// knows. The others could agree on nothing that would heal them.
func (r *Raft) soundMajority(voters []MemberID) bool {
	return majorityTally(voters, func(id MemberID) ballot {
		if p := r.follower(id); id == r.id && r.park.parked() || p != nil && p.parked {
			return ballotRefused
		}
		return ballotGranted
	}) == outcomeWon
}
