package raft

import "slices"

// The rules for a disk that is full or slow are ours; the paper has none. A member
// with such a disk still hears, votes and serves reads, so nobody else would notice
// and take its place: it has to give way by itself.

// Space is how much room a member's disk has left, by the storage's own marks.
type Space uint8

const (
	// SpacePlenty: nothing is held back.
	SpacePlenty Space = 0
	// SpaceLow: a leader refuses proposals that add bytes. Those that free some,
	// and changes of the membership, go on.
	SpaceLow Space = 1
	// SpaceFull: no entry is written but those that open a term (see openings), only
	// term and vote, a truncation, or the mark that installs a snapshot whose file
	// is there already. A follower refuses other entries, and its leader sends none
	// until it has room again. A leader refuses all proposals and hands over.
	SpaceFull Space = 2
)

// String returns the space in a word.
func (s Space) String() string {
	if int(s) < len(spaceTexts) {
		return spaceTexts[s]
	}
	return "unknown"
}

var spaceTexts = [...]string{SpacePlenty: "plenty", SpaceLow: "low", SpaceFull: "full"}

// SetSpace tells how much room the disk has left. Plenty is assumed at the start.
func (r *Raft) SetSpace(space Space) { r.space = space }

// Space returns how much room the disk was last said to have.
func (r *Raft) Space() Space { return r.space }

// hasRoom tells whether a leader may append what it is asked to: there must be room
// on its own disk, and on enough others for a commit. What frees space may go on a
// little longer than the rest.
func (r *Raft) hasRoom(freesSpace bool) bool {
	return (r.space == SpacePlenty || r.space == SpaceLow && freesSpace) && r.quorumHasRoom()
}

// quorumHasRoom tells whether those that are heard and have room can commit. When no
// disk is full it is not asked who is heard: that is the check of the quorum's.
func (r *Raft) quorumHasRoom() bool {
	if !slices.ContainsFunc(r.followers, func(p progress) bool { return p.diskFull }) {
		return true
	}
	return r.quorumWithRoom(r.space != SpaceFull)
}

// quorumWithRoom counts the voters that are heard and have room, and this member or
// not.
func (r *Raft) quorumWithRoom(self bool) bool {
	return tally(r.membership(), func(id MemberID) ballot {
		p := r.follower(id)
		if id == r.id && self || id != r.id && p != nil && !p.diskFull && p.contactTicks < r.config.ElectionTicksMax {
			return ballotGranted
		}
		return ballotRefused
	}) == outcomeWon
}

// openings returns those of the entries, from the first on, that a full disk takes
// as well: the no-ops that open leaders' terms. Without its own on a majority of disks
// a new leader can serve no read (section 8), so reads would end with the first
// election on full disks. A no-op carries nothing and takes about as much room as the
// term and the vote that were written for the same election; a term has one at most.
func openings(entries []Entry) []Entry {
	n := 0
	for n < len(entries) && entries[n].Kind == EntryNoOp && len(entries[n].Data) == 0 {
		n++
	}
	return entries[:n:n]
}

// roomFor returns those of the entries, from the first on, that the disk has room for.
func (r *Raft) roomFor(entries []Entry) []Entry {
	if r.space == SpaceFull {
		return openings(entries)
	}
	return entries
}

// unwritable tells whether the log ends with entries that a full disk keeps out.
func (r *Raft) unwritable() bool {
	unwritten := r.log.unwritten()
	return len(r.roomFor(unwritten)) < len(unwritten)
}

// takes returns those of a leader's entries, from the first on, that this member takes:
// nothing goes behind what a full disk keeps out.
func (r *Raft) takes(entries []Entry) []Entry {
	if r.unwritable() {
		return nil
	}
	return r.roomFor(entries)
}

// wants tells whether there is something to send to a follower: a probe, or entries
// for which it may have room.
func (r *Raft) wants(p *progress) bool {
	if p.next > r.log.last {
		return p.state == stateProbe
	}
	return !p.diskFull || r.log.opensTerm(p.next)
}

// vouchesFor returns the index up to which a message says that its sender's log is
// on disk, 0 when it says no such thing.
func (m *Message) vouchesFor() Index {
	if m.Kind == KindAppendEntriesReply && !m.Reject || m.Kind == KindRequestVote {
		return m.LogIndex
	}
	return 0
}

// vouched takes those messages that go once the log is on disk up to an index, and
// leaves the others.
func (r *Raft) vouched(upTo Index) (messages []Message) {
	var rest []Message
	for _, m := range r.out.messagesAfter {
		if m.vouchesFor() <= upTo {
			messages = append(messages, m)
		} else {
			rest = append(rest, m)
		}
	}
	r.out.messagesAfter = rest
	return messages
}

// stalled tells whether the disk has been busy with one Write for longer than the
// stall budget.
func (r *Raft) stalled() bool { return r.writeTicks() > r.config.StallTicks }

// writeTicks is the age of the oldest Write that is not durable.
func (r *Raft) writeTicks() int {
	if len(r.out.pending) == 0 {
		return 0
	}
	return int(r.ticks - r.out.pending[0].begun)
}

// handOver is the memory of a leader that gives way because of its disk.
type handOver struct {
	// fullPause and stallPause count down the ticks before the next attempt.
	fullPause  int
	stallPause int
}

func (h *handOver) tick() {
	h.fullPause = max(h.fullPause-1, 0)
	h.stallPause = max(h.stallPause-1, 0)
}

// handOverIfUnfit makes a leader whose disk is full or stalled hand over, if there
// is someone fitter and a majority could commit without this disk. Otherwise nothing
// would be won, and reads lost: a new leader serves them only once it has committed.
// For that it needs a majority with the whole log, and the other disks may fill up
// unseen: so a leader with a full one first commits what it has.
// It doesn't try again for a while: leadership must not go round and round.
func (r *Raft) handOverIfUnfit() {
	full := r.space == SpaceFull && r.handOver.fullPause == 0 && r.log.committed == r.log.last
	stalled := r.stalled() && r.handOver.stallPause == 0
	if r.transfer != nil || !full && !stalled {
		return
	}
	to := r.fittestSuccessor()
	if to == NoMember || !r.quorumWithRoom(false) {
		return
	}
	if full {
		r.handOver.fullPause = r.config.FullPauseTicks
	}
	if stalled {
		r.handOver.stallPause = r.config.StallPauseTicks
	}
	r.transfer = &transfer{target: to}
	r.continueTransfer()
}

// fittestSuccessor returns the voter in contact, not parked, with a healthy disk and nearly
// the whole log, whose log reaches furthest. A disk is healthy when it is not full and
// keeps pace: a follower that was sent something and has acknowledged nothing since
// the last heartbeat is not in stateReplicate.
func (r *Raft) fittestSuccessor() MemberID {
	best, match := NoMember, Index(0)
	for i := range r.followers {
		p := &r.followers[i]
		fit := p.id != r.id && r.membership().IsVoter(p.id) && p.contactTicks < r.config.ElectionTicksMin &&
			!p.diskFull && !p.parked && p.state == stateReplicate && p.match+promoteLagEntries >= r.log.last
		if fit && (best == NoMember || p.match > match) {
			best, match = p.id, p.match
		}
	}
	return best
}
