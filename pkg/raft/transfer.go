package raft

// transfer is a leader's hand-over under way (thesis, section 3.10). Proposals
// are refused meanwhile, so that the target can reach the end of the log.
type transfer struct {
	// id is zero when nobody asked for it.
	id     RequestID
	target MemberID
	ticks  int
	sent   bool
}

// TransferLeadership asks the leader to hand over to a voter, or with NoMember
// to the one that is best prepared. The answer comes in a later Ready's Results:
// ReasonNone once the leader has made way for a newer term, or the reason why it
// leads on. An attempt ends after the maximum election timeout.
func (r *Raft) TransferLeadership(id RequestID, to MemberID) {
	if to == NoMember && r.role == Leader {
		to = r.bestSuccessor()
	}
	if reason := r.judgeTransfer(to); reason != ReasonNone {
		r.out.results = append(r.out.results, ProposalResult{ID: id, Reason: reason})
		return
	}
	r.transfer = &transfer{id: id, target: to}
	r.sendAppends(r.follower(to))
	r.continueTransfer()
}

func (r *Raft) judgeTransfer(to MemberID) Reason {
	switch p := r.follower(to); {
	case r.role != Leader:
		return ReasonNotLeader
	case r.transfer != nil:
		return ReasonTransferring
	case to == NoMember:
		return ReasonNoContact
	case to == r.id:
		return ReasonInvalid
	case p == nil || !r.membership().IsVoter(to):
		return ReasonNotMember
	case p.contactTicks >= r.config.ElectionTicksMin:
		return ReasonNoContact
	case p.diskFull:
		return ReasonDiskFull
	case p.parked:
		return ReasonParked
	default:
		return ReasonNone
	}
}

// bestSuccessor returns the voter in contact, with room on its disk and not parked, whose
// log reaches furthest.
func (r *Raft) bestSuccessor() MemberID {
	best, match := NoMember, Index(0)
	for i := range r.followers {
		p := &r.followers[i]
		if p.id == r.id || !r.membership().IsVoter(p.id) || p.contactTicks >= r.config.ElectionTicksMin || p.diskFull || p.parked {
			continue
		}
		if best == NoMember || p.match > match {
			best, match = p.id, p.match
		}
	}
	return best
}

// continueTransfer tells the target to stand for election once it has the whole
// log.
func (r *Raft) continueTransfer() {
	if r.transfer == nil || r.transfer.sent {
		return
	}
	p := r.follower(r.transfer.target)
	if p != nil && p.match == r.log.last {
		r.transfer.sent = true
		r.send(Message{Kind: KindTimeoutNow, To: p.id, Session: p.session})
	}
}

// tickTransfer gives up on a target that does not take over.
func (r *Raft) tickTransfer() {
	if r.transfer == nil {
		return
	}
	r.transfer.ticks++
	if r.transfer.ticks >= r.config.ElectionTicksMax {
		r.endTransfer(false)
		if r.park.parked() {
			r.becomeFollower(r.term, NoMember)
		}
	}
}

// endTransfer answers who asked for the transfer.
func (r *Raft) endTransfer(done bool) {
	if r.transfer == nil {
		return
	}
	result := ProposalResult{ID: r.transfer.id, Term: r.term}
	if done {
		r.counts.Transfers++
	} else {
		r.counts.TransfersFailed++
		result.Reason = ReasonTransferFailed
	}
	if r.transfer.id != (RequestID{}) {
		r.out.results = append(r.out.results, result)
	}
	r.transfer = nil
}

// handleTimeoutNow stands for election because the leader of this very term
// asked for it; a late request of an earlier one was answered before. A leader may
// ask a member whose disk has filled up since it last told of it; nothing would be won.
func (r *Raft) handleTimeoutNow(m *Message) {
	if r.role == Follower && r.leader == m.From && r.mayCampaign() && r.space != SpaceFull {
		r.startElection(true)
	}
}
