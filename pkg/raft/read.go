package raft

// reads holds the read barriers (thesis, section 6.4). A read is linearizable
// once a quorum has answered a heartbeat that was sent after the read was
// registered: no newer leader can have committed anything before that moment.
// The heartbeats of one round stand for all reads registered before it.
type reads struct {
	// round numbers the rounds of this member's reigns. It never goes back.
	round uint64
	// fresh reads have no round yet; the next Ready starts one for them.
	fresh []pendingRead
	// waiting reads were registered before the round that they carry began.
	waiting []pendingRead

	// forward collects this member's reads for its leader until the next Ready.
	forward []RequestID
}

// pendingRead is a group of reads that arrived together.
type pendingRead struct {
	ids []RequestID
	// from is the member that asked.
	from  MemberID
	index Index
	round uint64
}

// ReadIndex asks for a read barrier, which is answered in a later Ready's
// Reads. On a follower its leader is asked; then the answer may be lost, and
// the caller should ask again under another ID.
func (r *Raft) ReadIndex(id RequestID) {
	switch {
	case r.role == Leader:
		r.registerReads([]RequestID{id}, r.id)
	case r.leader == NoMember:
		r.out.reads = append(r.out.reads, ReadResult{ID: id, Reason: ReasonNoLeader})
	default:
		r.reads.forward = append(r.reads.forward, id)
	}
}

// handleReadIndex takes another member's reads.
func (r *Raft) handleReadIndex(m *Message) {
	if r.role != Leader {
		r.answerReads(pendingRead{ids: m.Reads, from: m.From}, ReasonNotLeader)
		return
	}
	r.registerReads(m.Reads, m.From)
}

// registerReads notes the commit index that the reads must see. Before the
// leader has committed an entry of its term it may not know the latest one
// (section 8), a single voter after a restart included.
func (r *Raft) registerReads(ids []RequestID, from MemberID) {
	read := pendingRead{ids: ids, from: from, index: r.log.committed}
	if t, _ := r.log.term(r.log.committed); t != r.term {
		r.answerReads(read, ReasonNotReady)
		return
	}
	r.reads.fresh = append(r.reads.fresh, read)
}

// startReadRound sends the heartbeats that the fresh reads wait for.
func (r *Raft) startReadRound() {
	if len(r.reads.fresh) == 0 {
		return
	}
	r.reads.round++
	for _, read := range r.reads.fresh {
		read.round = r.reads.round
		r.reads.waiting = append(r.reads.waiting, read)
	}
	r.reads.fresh = nil
	r.broadcastHeartbeat()
	r.confirmReads()
}

// confirmReads answers the reads whose round a quorum has confirmed.
func (r *Raft) confirmReads() {
	if len(r.reads.waiting) == 0 {
		return
	}
	confirmed := reached(r.membership(), func(id MemberID) uint64 {
		if id == r.id {
			return r.reads.round
		}
		if p := r.follower(id); p != nil {
			return p.ackedRound
		}
		return 0
	})
	n := 0
	for n < len(r.reads.waiting) && r.reads.waiting[n].round <= confirmed {
		r.answerReads(r.reads.waiting[n], ReasonNone)
		n++
	}
	r.reads.waiting = r.reads.waiting[n:]
	if len(r.reads.waiting) == 0 {
		r.reads.waiting = nil
	}
}

// dropReads refuses all reads when leadership ends.
func (r *Raft) dropReads() {
	for _, read := range r.reads.waiting {
		r.answerReads(read, ReasonNotLeader)
	}
	for _, read := range r.reads.fresh {
		r.answerReads(read, ReasonNotLeader)
	}
	r.reads.waiting, r.reads.fresh = nil, nil
}

// answerReads tells whoever asked.
func (r *Raft) answerReads(read pendingRead, reason Reason) {
	if read.from != r.id {
		r.send(Message{
			Kind: KindReadIndexReply, To: read.from, Reads: read.ids,
			LogIndex: read.index, Reject: reason != ReasonNone, Reason: reason,
		})
		return
	}
	for _, id := range read.ids {
		r.out.reads = append(r.out.reads, ReadResult{ID: id, Index: read.index, Reason: reason})
	}
}

// forwardReads sends this member's collected reads to its leader.
func (r *Raft) forwardReads() {
	ids := r.reads.forward
	r.reads.forward = nil
	if len(ids) == 0 {
		return
	}
	if r.role == Leader {
		r.registerReads(ids, r.id)
		return
	}
	if r.leader == NoMember {
		r.answerReads(pendingRead{ids: ids, from: r.id}, ReasonNoLeader)
		return
	}
	r.send(Message{Kind: KindReadIndex, To: r.leader, Reads: ids})
}
