package raft

import "slices"

// resetElectionTimer starts a new period of a random length (section 5.2).
func (r *Raft) resetElectionTimer() {
	r.electionTicks = 0
	lo, hi := r.config.ElectionTicksMin, r.config.ElectionTicksMax
	r.timeoutTicks = lo + r.config.Random.IntN(hi-lo+1)
}

// mayCampaign tells whether the member may stand for election: it must have a
// vote, or be the learner that is needed to end an election. One that has lost what
// it acknowledged, or whose disk hangs or keeps out the end of its log, may not: it
// could not vouch for its log. Nor may one that is parked: it has no state to serve.
func (r *Raft) mayCampaign() bool {
	if r.faulty || r.park.parked() || r.stalled() || r.unwritable() {
		return false
	}
	return r.hasVote() || r.mustStand()
}

// learnerPatience is how many election timeouts without a leader a learner leaves to
// the voters.
const learnerPatience = 3

// mustStand tells whether the member is the learner that is needed to end an
// election. A candidate whose configuration makes a voter of it may have no majority
// without it, and got none for a log behind its own (outranks). If it is a learner by
// its own log, and no voter has that log any more, there would be no leader ever
// again. Its election is as safe as another's, for it takes a majority without it; it
// leads until an entry of its term is committed, and then makes way like a leader that
// was removed.
func (r *Raft) mustStand() bool {
	return r.outranks && r.vainTimeouts >= learnerPatience && slices.Contains(r.membership().Learners, r.id)
}

// hasVote tells whether the member votes in the active configuration, or in a
// former one that may still count because what came after it is not known to be
// committed. A leader that appended its own removal and lost its office may hold
// the only complete log (thesis, 4.2.2).
func (r *Raft) hasVote() bool {
	for n := len(r.memberships) - 1; n >= 0; n-- {
		if r.memberships[n].Membership.IsVoter(r.id) {
			return true
		}
		if r.memberships[n].Index <= r.log.committed {
			return false
		}
	}
	return false
}

// judgeLog tells whether a candidate's log is up to date (section 5.4.1).
func (r *Raft) judgeLog(m *Message) Reason {
	if r.upToDate(LogPosition{Index: m.LogIndex, Term: m.LogTerm}) {
		return ReasonNone
	}
	r.outranks = true
	return ReasonLogBehind
}

// leaderAlive tells whether a leader was heard within the minimum election
// timeout. While it is, votes are refused, so a member that was cut off can't
// depose it (section 6, thesis 4.2.3). A leader counts as alive until its own
// check of the quorum fails.
func (r *Raft) leaderAlive() bool {
	return r.role == Leader || r.leader != NoMember && r.electionTicks < r.config.ElectionTicksMin
}

// startPreVote asks the others whether they would elect this member, without
// touching anybody's term (thesis, section 9.6).
func (r *Raft) startPreVote() {
	r.role = PreCandidate
	r.leader = NoMember
	r.counts.PreVotes++
	r.ballots = make([]ballot, len(r.membership().Members))
	r.castBallot(r.id, true)
	if r.countBallots() != outcomeWon {
		r.askForVotes(KindPreVote, r.term+1, false)
		return
	}
	r.startElection(false)
}

// startElection enters the next term as a candidate (section 5.2). The vote
// for itself counts once it is on disk, and the requests go out only then:
// they vouch for a log that must survive a crash, or a late grant could elect
// the member after it has lost the log's end. A handed-over election says so,
// which lets it pass while the old leader is alive.
func (r *Raft) startElection(handedOver bool) {
	r.counts.Elections++
	r.term++
	r.vote = r.id
	r.role = Candidate
	r.leader = NoMember
	r.resetElectionTimer()
	r.ballots = make([]ballot, len(r.membership().Members))
	r.askForVotes(KindRequestVote, r.term, handedOver)
}

// askForVotes sends a vote request to every other voter.
func (r *Raft) askForVotes(kind MessageKind, term Term, handedOver bool) {
	membership := r.membership()
	for _, member := range membership.Members {
		if member.ID == r.id || !membership.IsVoter(member.ID) {
			continue
		}
		m := Message{
			Kind: kind, To: member.ID, Term: term, Transfer: handedOver,
			LogIndex: r.log.last, LogTerm: r.log.lastTerm(),
		}
		if kind == KindPreVote {
			r.send(m)
		} else {
			r.sendWhenDurable(m)
		}
	}
}

// handlePreVote answers whether this member would vote for the sender.
func (r *Raft) handlePreVote(m *Message) {
	var reason Reason
	switch {
	case r.leaderAlive():
		reason = ReasonLeaderAlive
	case m.Term <= r.term:
		// The vote of the current term may be taken, and a real request would
		// ask about a later term anyway.
		reason = ReasonOldTerm
	default:
		reason = r.judgeLog(m)
	}
	reply := Message{Kind: KindPreVoteReply, To: m.From, Term: m.Term}
	if reason != ReasonNone {
		reply.Term, reply.Reject, reply.Reason = r.term, true, reason
	}
	r.send(reply)
}

// handleRequestVote grants at most one vote a term, and only to a candidate
// whose log is up to date (sections 5.2 and 5.4.1). The check of the log is
// made for a repeated request too. The answer waits for the disk.
func (r *Raft) handleRequestVote(m *Message) {
	var reason Reason
	switch {
	case r.vote != NoMember && r.vote != m.From:
		reason = ReasonVoted
	case r.vote == NoMember && r.leader != NoMember:
		reason = ReasonLeaderAlive
	default:
		reason = r.judgeLog(m)
	}
	if reason == ReasonNone {
		r.vote = m.From
		r.resetElectionTimer()
	}
	r.sendWhenDurable(Message{
		Kind: KindRequestVoteReply, To: m.From,
		Reject: reason != ReasonNone, Reason: reason,
	})
}

// handleVoteReply counts an answer to a pre-vote or to a vote request.
func (r *Raft) handleVoteReply(m *Message) {
	switch {
	case m.Kind == KindPreVoteReply && r.role == PreCandidate:
		if !m.Reject && m.Term != r.term+1 {
			return
		}
	case m.Kind == KindRequestVoteReply && r.role == Candidate:
		if m.Term != r.term {
			return
		}
	default:
		return
	}
	r.castBallot(m.From, !m.Reject)
	r.actOnBallots()
}

// castBallot notes a member's answer; the first one counts.
func (r *Raft) castBallot(from MemberID, granted bool) {
	for i, member := range r.membership().Members {
		if member.ID != from || r.ballots[i] != ballotPending {
			continue
		}
		r.ballots[i] = ballotRefused
		if granted {
			r.ballots[i] = ballotGranted
		}
	}
}

func (r *Raft) countBallots() outcome {
	membership := r.membership()
	return tally(membership, func(id MemberID) ballot {
		for i, member := range membership.Members {
			if member.ID == id {
				return r.ballots[i]
			}
		}
		return ballotPending
	})
}

// actOnBallots moves a candidate on when its election is decided.
func (r *Raft) actOnBallots() {
	switch r.countBallots() {
	case outcomeLost:
		r.becomeFollower(r.term, NoMember)
	case outcomeWon:
		if r.role == PreCandidate {
			r.startElection(false)
		} else {
			r.becomeLeader()
		}
	}
}

// becomeLeader takes over the term (section 5.3) and opens it with an entry of
// its own, without which nothing earlier could be committed (section 8).
func (r *Raft) becomeLeader() {
	r.counts.Won++
	r.role = Leader
	r.leader = r.id
	r.heartbeatTicks = 0
	r.ballots = nil
	r.outranks, r.vainTimeouts = false, 0
	r.reads = reads{round: r.reads.round}
	r.followers = nil
	r.trackMembers()
	r.uncommittedBytes, r.termStart = 0, r.log.last+1
	r.clock.restart()
	r.forwarders = nil
	r.appendEntry(Entry{Kind: EntryNoOp})
	r.broadcastAppend()
}

// tickLeader sends heartbeats, and makes a leader that no quorum answers step
// down (thesis, section 6.2).
func (r *Raft) tickLeader() {
	for i := range r.followers {
		r.followers[i].contactTicks++
		r.followers[i].lookTicks++
		r.followers[i].healPause = max(r.followers[i].healPause-1, 0)
	}
	r.dropLeavers()
	r.tickTransfer()
	if !r.quorumHeard() {
		r.becomeFollower(r.term, NoMember)
		return
	}
	r.handOverIfUnfit()
	r.heartbeatTicks++
	if r.heartbeatTicks >= r.config.HeartbeatTicks {
		r.broadcastHeartbeat()
	}
}

// quorumHeard tells whether a quorum was heard within the maximum election
// timeout.
func (r *Raft) quorumHeard() bool {
	return tally(r.membership(), func(id MemberID) ballot {
		p := r.follower(id)
		if id == r.id || p != nil && p.contactTicks < r.config.ElectionTicksMax {
			return ballotGranted
		}
		return ballotRefused
	}) == outcomeWon
}
