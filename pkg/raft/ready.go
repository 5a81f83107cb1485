package raft

import "slices"

// Ready is what the core wants done, one batch at a time. The order in which
// it must be done stands in the package comment.
type Ready struct {
	// Messages may go now.
	Messages []Message
	// Write, unless nil, is to be made durable. Writes keep their order.
	Write *Write
	// Restore, unless nil, means: once this Ready's Write is durable, replace
	// the state machine's state by this snapshot, before applying Committed.
	Restore *SnapshotMeta
	// Committed entries are to be applied, in order, then reported by Applied.
	Committed []Entry
	// Reads are read barriers that were resolved.
	Reads []ReadResult
	// Results are proposals of this member that were placed or refused.
	Results []ProposalResult
}

// ReadResult resolves a read barrier: with Reason ReasonNone the read is
// linearizable once Index has been applied, otherwise it was refused.
type ReadResult struct {
	ID     RequestID
	Index  Index
	Reason Reason
}

// outbox gathers what the next Ready will say.
type outbox struct {
	messages      []Message
	messagesAfter []Message
	reads         []ReadResult
	results       []ProposalResult
	// install is a snapshot that is to replace the log, adopt one that is to replace
	// those of this member alone.
	install *SnapshotMeta
	adopt   *SnapshotMeta

	// announceEntries and announceCommit tell that followers may lack entries
	// or the commit index.
	announceEntries bool
	announceCommit  bool

	// saved is the hard state as of the last Write that reached for the disk.
	saved   HardState
	writeID WriteID
	// pending holds the Writes that are not known to be durable.
	pending []pendingWrite
	// applying holds the last index of each batch that was handed out to be
	// applied and not reported back.
	applying []Index
}

// pendingWrite remembers what a Write's durability will mean.
type pendingWrite struct {
	id WriteID
	// last is the last index of the log that will be durable with it.
	last Index
	term Term
	vote MemberID
	// begun is the tick at which it was handed out.
	begun uint64
}

// Ready returns what is to be done now. A driver whose disk is busy passes
// false for write and gets no Write: what needs the disk gathers, and the next
// Write carries all of it, so that batches form by themselves. An error is the
// end of this member: its log could not be read.
func (r *Raft) Ready(write bool) (Ready, error) {
	r.forwardReads()
	r.startReadRound()
	if r.role == Leader {
		if r.out.announceEntries {
			r.broadcastAppend()
		}
		if r.out.announceCommit {
			r.announceCommits()
		}
	}
	r.out.announceEntries, r.out.announceCommit = false, false

	var ready Ready
	if write {
		ready.Write = r.nextWrite()
	}
	if ready.Write != nil && ready.Write.Snapshot != nil {
		ready.Restore = ready.Write.Snapshot
	}
	if r.out.install == nil {
		ready.Committed = r.nextCommitted()
	}
	ready.Messages, r.out.messages = r.out.messages, nil
	ready.Reads, r.out.reads = r.out.reads, nil
	ready.Results, r.out.results = r.out.results, nil
	return ready, r.failure
}

// HasReady tells whether Ready, called with the same argument, would return
// anything.
func (r *Raft) HasReady(write bool) bool {
	o := &r.out
	if write && r.writeDue() {
		return true
	}
	return len(o.messages) > 0 || len(o.reads) > 0 || len(o.results) > 0 ||
		o.announceEntries || o.announceCommit || len(r.reads.fresh) > 0 || len(r.reads.forward) > 0 ||
		o.install == nil && r.log.applying < r.log.committed && !r.applyPaused() || r.failure != nil
}

// writeDue tells whether nextWrite would return something.
func (r *Raft) writeDue() bool {
	o := &r.out
	if o.install != nil || r.adoptDue() || r.log.truncateFrom != 0 || r.hardStateChanged() {
		return true
	}
	if r.unwritable() && len(r.roomFor(r.log.unwritten())) == 0 {
		return slices.ContainsFunc(o.messagesAfter, func(m Message) bool { return m.vouchesFor() <= r.log.written })
	}
	return len(o.messagesAfter) > 0 || r.log.written < r.log.last
}

// InstallPending tells whether the next Write replaces the state by a snapshot.
func (r *Raft) InstallPending() bool { return r.out.install != nil || r.adoptDue() }

// applyPaused tells whether nothing may be handed out to be applied: the state machine
// is a few batches behind, so that what is handed out but not applied stays bounded, or
// the member is parked.
func (r *Raft) applyPaused() bool { return len(r.out.applying) >= maxApplyBatches || r.park.held() }

func (r *Raft) hardStateChanged() bool {
	return r.term != r.out.saved.Term || r.vote != r.out.saved.Vote || r.park.differs != r.out.saved.Parked
}

// HardState returns what must outlive a crash, with what of the log is known to be
// committed up to an index.
func (r *Raft) HardState(last Index) HardState {
	return HardState{Term: r.term, Vote: r.vote, Commit: min(r.log.committed, last), Parked: r.park.differs}
}

// nextWrite gathers what must become durable, nil when there is nothing. A
// Write without anything for the disk still orders its messages.
func (r *Raft) nextWrite() *Write {
	adopt := r.adoptDue()
	if adopt {
		r.adopted(r.out.adopt)
	}
	w := &Write{
		HardStateChanged: r.hardStateChanged(),
		TruncateFrom:     r.log.truncateFrom,
		Snapshot:         r.out.install,
	}
	if adopt {
		w.Snapshot, w.KeepLog, r.out.adopt = r.out.adopt, true, nil
	}
	r.out.install = nil
	r.log.truncateFrom = 0
	if w.Snapshot == nil && r.log.written < r.log.last {
		// Entries that were not written yet are in memory: no error possible.
		entries, _ := r.log.slice(r.log.written+1, r.log.last+1, r.config.MaxWriteBytes)
		w.Entries = r.roomFor(entries)
		r.log.written += Index(len(w.Entries))
	}
	switch {
	case r.log.written == r.log.last:
		// Messages wait for the Write that completes the log they speak of.
		w.Messages, r.out.messagesAfter = r.out.messagesAfter, nil
	case r.unwritable():
		w.Messages = r.vouched(r.log.written)
	}
	if !w.NeedsDisk() && len(w.Messages) == 0 {
		return nil
	}
	r.out.writeID++
	w.ID = r.out.writeID
	w.HardState = r.HardState(r.log.written)
	if w.NeedsDisk() {
		r.out.saved = w.HardState
	}
	r.out.pending = append(r.out.pending, pendingWrite{
		id: w.ID, last: r.log.written, term: r.term, vote: r.vote, begun: r.ticks,
	})
	return w
}

// maxApplyBatches is how many batches of committed entries, each of at most
// Config.MaxApplyBytes, may be handed out and not applied.
const maxApplyBatches = 4

// nextCommitted hands out committed entries that were not handed out yet.
func (r *Raft) nextCommitted() []Entry {
	if r.applyPaused() || r.log.applying == r.log.committed {
		return nil
	}
	entries, err := r.log.slice(r.log.applying+1, r.log.committed+1, r.config.MaxApplyBytes)
	if err != nil {
		r.fail(err)
		return nil
	}
	r.log.applying += Index(len(entries))
	r.out.applying = append(r.out.applying, r.log.applying)
	return entries
}

// Saved tells that all Writes up to an ID are durable.
func (r *Raft) Saved(id WriteID) {
	assert(id <= r.out.writeID, "write %d reported durable, the last one was %d", id, r.out.writeID)
	for len(r.out.pending) > 0 && r.out.pending[0].id <= id {
		w := r.out.pending[0]
		r.out.pending = r.out.pending[1:]
		r.log.durable = max(r.log.durable, w.last)
		if r.role == Candidate && w.term == r.term && w.vote == r.id {
			r.castBallot(r.id, true)
			r.actOnBallots()
		}
	}
	r.endFault()
	if r.role == Leader {
		r.advanceCommit()
	}
	r.log.shrink()
}

// Applied tells that the state machine holds everything up to an index.
func (r *Raft) Applied(index Index) {
	assert(index <= r.log.applying, "index %d applied, only %d handed out", index, r.log.applying)
	r.log.applied = max(r.log.applied, index)
	for len(r.out.applying) > 0 && r.out.applying[0] <= index {
		r.out.applying = r.out.applying[1:]
	}
	r.endParking(index)
	r.log.shrink()
}

// SnapshotSaved tells that the storage holds a snapshot of this member's own
// state and that its log now begins after base.
func (r *Raft) SnapshotSaved(meta SnapshotMeta, base Index) {
	if meta.Index <= r.snapshot.Index {
		return
	}
	r.snapshot = meta
	r.compactLog(min(base, meta.Index))
	if r.out.adopt != nil && r.out.adopt.Index < r.log.base {
		r.out.adopt = nil
	}
}

// compactLog forgets the log up to an index, and the configurations that only it needs.
func (r *Raft) compactLog(base Index) {
	if base <= r.log.base {
		return
	}
	kept := r.membershipAt(base)
	r.log.compact(base)
	n := 0
	for n < len(r.memberships)-1 && r.memberships[n].Index < kept.Index {
		n++
	}
	r.memberships = r.memberships[n:]
}

// SnapshotMeta describes a snapshot that would be taken at an applied index,
// without what only the storage knows.
func (r *Raft) SnapshotMeta(index Index) SnapshotMeta {
	assert(index <= r.log.applied && index >= r.log.base, "snapshot at %d, applied %d, base %d", index, r.log.applied, r.log.base)
	term, _ := r.log.term(index)
	at := r.membershipAt(index)
	return SnapshotMeta{Index: index, Term: term, Membership: at.Membership, MembershipIndex: at.Index}
}

// fail ends this member; the next Ready reports the error.
func (r *Raft) fail(err error) {
	if r.failure == nil {
		r.failure = err
	}
}
