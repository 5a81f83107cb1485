package raft

import (
	"cmp"
	"errors"
	"slices"
)

// appendEntry adds an entry of the leader's own to its log.
func (r *Raft) appendEntry(e Entry) Entry {
	e.Index, e.Term = r.log.last+1, r.term
	e.TimeMillis, e.ElapsedMillis = r.clock.stamp()
	r.appendToLog(e)
	r.uncommittedBytes += e.SizeBytes()
	return e
}

// appendToLog adds entries to the log. A configuration among them is active
// from here on (section 6).
func (r *Raft) appendToLog(entries ...Entry) {
	r.log.append(entries...)
	for _, e := range entries {
		if e.Kind != EntryMembership {
			continue
		}
		assert(e.Membership != nil, "entry %d is a configuration without one", e.Index)
		r.memberships = append(r.memberships, MembershipAt{Index: e.Index, Membership: *e.Membership})
		if r.role == Leader {
			r.trackMembers()
			// Reads may have waited for a voter that has gone.
			r.confirmReads()
		}
	}
}

// truncateLog removes entries that contradict the leader's, and with them the
// configurations that they brought.
func (r *Raft) truncateLog(from Index) {
	assert(r.role != Leader, "the leader of term %d truncates its log from %d", r.term, from)
	r.log.truncate(from)
	for w := range r.out.pending {
		r.out.pending[w].last = min(r.out.pending[w].last, from-1)
	}
	for n := len(r.memberships); n > 0 && r.memberships[n-1].Index >= from; n-- {
		r.memberships = r.memberships[:n-1]
	}
	// Nor is it acknowledged any more, as far as that was not sent.
	r.out.messagesAfter = slices.DeleteFunc(r.out.messagesAfter, func(m Message) bool { return m.vouchesFor() >= from })
	assert(len(r.memberships) > 0 || r.log.last == 0, "truncation from %d left no configuration", from)
}

// trackMembers makes the leader's view of followers match the active
// configuration. Members that stay keep their progress, and those that have gone
// are told of it for a while.
func (r *Raft) trackMembers() {
	old := r.followers
	membership := r.membership()
	r.followers = make([]progress, 0, len(membership.Members))
	for _, member := range membership.Members {
		i := slices.IndexFunc(old, func(p progress) bool { return p.id == member.ID && p.leavingTicks == 0 })
		if i >= 0 {
			r.followers = append(r.followers, old[i])
			continue
		}
		// A new follower counts as just heard, so that it has time to answer.
		r.sessions++
		r.followers = append(r.followers, progress{id: member.ID, session: r.sessions, next: r.log.last + 1})
	}
	for _, p := range old {
		if _, stays := membership.Member(p.id); !stays {
			if p.leavingTicks == 0 {
				p.leavingTicks = 2 * r.config.ElectionTicksMax
			}
			r.followers = append(r.followers, p)
		}
	}
	slices.SortFunc(r.followers, func(a, b progress) int { return cmp.Compare(a.id, b.id) })
}

// dropLeavers stops telling removed members of it once they know, or after a
// while.
func (r *Raft) dropLeavers() {
	removedAt := r.memberships[len(r.memberships)-1].Index
	r.followers = slices.DeleteFunc(r.followers, func(p progress) bool {
		if p.leavingTicks == 0 {
			return false
		}
		return p.leavingTicks == 1 || p.match >= removedAt && p.toldCommit >= removedAt
	})
	for i := range r.followers {
		if r.followers[i].leavingTicks > 0 {
			r.followers[i].leavingTicks--
		}
	}
}

// newSession begins a leader's acquaintance with a member anew: nothing that
// was known of its log holds any more.
func (r *Raft) newSession(p *progress, boot uint64) {
	r.sessions++
	p.session, p.boot = r.sessions, boot
	p.match, p.ackedRound, p.toldCommit = 0, 0, 0
	p.diskFull = false
	p.noteParked(&Message{})
	p.probe()
	p.next = r.log.last + 1
}

// follower returns the leader's progress of a member, nil for an unknown one.
func (r *Raft) follower(id MemberID) *progress {
	for i := range r.followers {
		if r.followers[i].id == id {
			return &r.followers[i]
		}
	}
	return nil
}

// broadcastAppend sends every follower what it lacks.
func (r *Raft) broadcastAppend() {
	for i := range r.followers {
		if r.followers[i].id != r.id {
			r.sendAppends(&r.followers[i])
		}
	}
}

// sendAppends sends a follower what it lacks, as far as its limits allow.
func (r *Raft) sendAppends(p *progress) {
	for !p.paused(&r.config) && r.wants(p) {
		if !r.sendAppend(p) {
			return
		}
	}
}

// sendAppend sends one AppendEntries, or starts a snapshot when the entries
// are compacted away. It tells whether more may follow.
func (r *Raft) sendAppend(p *progress) bool {
	prev := p.next - 1
	prevTerm, ok := r.log.term(prev)
	if !ok {
		r.sendSnapshot(p)
		return false
	}
	entries, err := r.log.slice(p.next, r.log.last+1, r.config.MaxAppendBytes)
	if errors.Is(err, ErrCompacted) {
		// The next reply finds the log cut here, too, and starts a snapshot.
		return false
	}
	if err != nil {
		r.fail(err)
		return false
	}
	if p.diskFull && len(entries) > 0 {
		if entries = openings(entries); len(entries) == 0 {
			return false
		}
	}
	bytes, last := 0, prev
	for i := range entries {
		bytes += entries[i].SizeBytes()
		last = entries[i].Index
	}
	r.send(Message{
		Kind: KindAppendEntries, To: p.id, Session: p.session,
		LogIndex: prev, LogTerm: prevTerm, Entries: entries, Commit: r.log.committed,
	})
	p.sent(last, bytes)
	p.toldCommit = r.log.committed
	return true
}

// announceCommits tells followers that were sent everything else of a commit index
// that they have not heard of, so that they need not wait for a heartbeat. The
// others hear of it with what they still lack.
func (r *Raft) announceCommits() {
	for i := range r.followers {
		p := &r.followers[i]
		if p.id != r.id && p.state == stateReplicate && !p.diskFull && p.next > r.log.last && p.toldCommit < r.log.committed {
			r.sendAppend(p)
		}
	}
}

// broadcastHeartbeat sends a heartbeat to every other member. It carries no
// more commit index than the member is known to hold, the start of the member of
// which that is known, and the number of the current read round.
func (r *Raft) broadcastHeartbeat() {
	r.heartbeatTicks = 0
	for i := range r.followers {
		p := &r.followers[i]
		if p.id == r.id {
			continue
		}
		r.send(Message{
			Kind: KindHeartbeat, To: p.id, Session: p.session, Boot: p.boot,
			Commit: min(p.match, r.log.committed), Round: r.reads.round,
		})
	}
}

// handleAppendEntries is the receiver's side of AppendEntries (figure 2).
func (r *Raft) handleAppendEntries(m *Message) {
	if m.LogIndex < r.log.committed {
		// What is committed here is what the leader has, so it matches.
		r.acknowledge(m, r.log.committed)
		return
	}
	if t, ok := r.log.term(m.LogIndex); !ok || t != m.LogTerm {
		index, term := r.log.agreement(m.LogIndex, m.LogTerm)
		r.sendWhenDurable(Message{
			Kind: KindAppendEntriesReply, To: m.From, Session: m.Session, Boot: r.config.Boot, Reject: true,
			RejectedIndex: m.LogIndex, LogIndex: index, LogTerm: term,
		})
		return
	}
	last := m.LogIndex + Index(len(m.Entries))
	for i := range m.Entries {
		e := &m.Entries[i]
		if t, ok := r.log.term(e.Index); ok && t == e.Term {
			continue
		}
		taken := r.takes(m.Entries[i:])
		if len(taken) < len(m.Entries)-i {
			last = e.Index - 1 + Index(len(taken))
			r.refuseEntries(m)
		}
		if len(taken) == 0 {
			r.commitTo(min(m.Commit, last))
			return
		}
		if e.Index <= r.log.last {
			r.truncateLog(e.Index)
		}
		r.appendToLog(taken...)
		break
	}
	// Not beyond what this message has verified: a longer tail may still be
	// another leader's.
	r.commitTo(min(m.Commit, last))
	r.acknowledge(m, last)
}

// refuseEntries tells the leader that there is no room for what it sent.
func (r *Raft) refuseEntries(m *Message) {
	r.send(Message{
		Kind: KindAppendEntriesReply, To: m.From, Session: m.Session, Boot: r.config.Boot, Reject: true,
		Reason: ReasonDiskFull, RejectedIndex: m.LogIndex, LogIndex: m.LogIndex, LogTerm: m.LogTerm,
	})
}

// acknowledge tells the leader, once the log is durable, that it matches up to
// an index. One answer speaks for all that were asked for while the disk was busy.
func (r *Raft) acknowledge(m *Message, match Index) {
	if n := len(r.out.messagesAfter); n > 0 && r.space != SpaceFull {
		last := &r.out.messagesAfter[n-1]
		if last.Kind == KindAppendEntriesReply && !last.Reject &&
			last.To == m.From && last.Term == r.term && last.Session == m.Session {
			last.LogIndex = max(last.LogIndex, match)
			return
		}
	}
	r.sendWhenDurable(Message{
		Kind: KindAppendEntriesReply, To: m.From, Session: m.Session, Boot: r.config.Boot, LogIndex: match,
	})
}

// handleHeartbeat takes the commit index and answers at once: the answer
// vouches for the term, not for the log, and tells whether the disk is full. What
// the leader says to be committed here rests on what this member acknowledged, so it
// counts only if that was since its start: its disk may have lost it, and hold an
// older log.
func (r *Raft) handleHeartbeat(m *Message) {
	if m.Boot == r.config.Boot {
		r.commitTo(min(m.Commit, r.log.last))
	}
	reply := Message{Kind: KindHeartbeatReply, To: m.From, Session: m.Session, Boot: r.config.Boot, Round: m.Round}
	if r.space == SpaceFull {
		reply.Reason = ReasonDiskFull
	}
	r.tellParked(&reply)
	r.send(reply)
}

// handleInstallSnapshot replaces the log by a snapshot that has arrived
// (section 7), unless the log has it all anyway. A parked member takes its state then.
func (r *Raft) handleInstallSnapshot(m *Message) {
	meta := m.Snapshot
	if r.heals(meta) {
		r.adopt(meta)
		r.acknowledge(m, meta.Index)
		return
	}
	if meta.Index <= r.log.committed {
		r.acknowledge(m, r.log.committed)
		return
	}
	if t, ok := r.log.term(meta.Index); ok && t == meta.Term {
		r.commitTo(meta.Index)
		r.acknowledge(m, meta.Index)
		return
	}
	r.log.reset(meta.Index, meta.Term)
	r.restoring(meta.Index)
	r.snapshot = *meta
	r.memberships = []MembershipAt{{Index: meta.MembershipIndex, Membership: meta.Membership}}
	for w := range r.out.pending {
		// Nothing of the old log counts as durable any more.
		r.out.pending[w].last = 0
	}
	r.out.messagesAfter = slices.DeleteFunc(r.out.messagesAfter, func(m Message) bool { return m.vouchesFor() > 0 })
	r.out.install, r.out.adopt, r.out.applying = meta, nil, nil
	r.acknowledge(m, meta.Index)
}

// stepFromFollower handles a follower's answers on the leader.
func (r *Raft) stepFromFollower(m *Message) {
	p := r.follower(m.From)
	if r.role != Leader || p == nil || m.Session != p.session {
		return
	}
	p.contactTicks = 0
	if p.boot != m.Boot && p.boot != 0 {
		r.newSession(p, m.Boot)
		r.sendAppends(p)
		return
	}
	p.boot = m.Boot
	switch {
	case m.Kind == KindHeartbeatReply:
		r.handleHeartbeatReply(p, m)
	case m.Reject && m.Reason == ReasonDiskFull:
		// The logs agree where the refused entries would have followed. Nothing is
		// sent before the next heartbeat is answered.
		p.diskFull = true
		p.probe()
		p.waiting = true
		p.next = max(p.next, min(m.LogIndex, r.log.last)+1)
	case m.Reject:
		r.handleRejectedAppend(p, m)
	default:
		r.handleAcknowledgement(p, m)
	}
}

func (r *Raft) handleHeartbeatReply(p *progress, m *Message) {
	if m.Round <= r.reads.round {
		p.ackedRound = max(p.ackedRound, m.Round)
	}
	r.confirmReads()
	p.diskFull = m.Reason == ReasonDiskFull
	p.noteParked(m)
	p.lookForLosses(&r.config)
	if p.match < r.log.last {
		r.sendAppends(p)
	}
	r.heal(p)
}

// handleRejectedAppend moves next back to where the logs may agree, skipping
// whole terms (end of section 5.3).
func (r *Raft) handleRejectedAppend(p *progress, m *Message) {
	stale := m.RejectedIndex <= p.match ||
		p.state == stateProbe && m.RejectedIndex != p.next-1 ||
		p.state == stateSnapshot
	if stale {
		return
	}
	index := Index(0)
	if m.LogIndex >= r.log.base {
		index, _ = r.log.agreement(m.LogIndex, m.LogTerm)
	}
	p.probe()
	p.next = max(min(index, m.RejectedIndex-1)+1, p.match+1)
	r.sendAppends(p)
}

func (r *Raft) handleAcknowledgement(p *progress, m *Message) {
	if m.LogIndex > r.log.last {
		// No member's log matches beyond the leader's own end.
		return
	}
	before := p.match
	p.acknowledged(m.LogIndex)
	switch {
	case p.state == stateProbe:
		p.replicate()
	case p.state == stateSnapshot && p.match >= p.snapshotIndex:
		p.replicate()
	}
	if p.match > before {
		r.advanceCommit()
	}
	// A commit may have ended this reign, or changed the members and with them
	// what is known of each.
	if p = r.follower(m.From); p == nil {
		return
	}
	r.sendAppends(p)
	r.continueTransfer()
}

// advanceCommit commits what a majority has durable, but only through an entry
// of the current term (section 5.4.2, figure 8).
func (r *Raft) advanceCommit() {
	index := reached(r.membership(), func(id MemberID) Index {
		if id == r.id {
			return r.log.durable
		}
		if p := r.follower(id); p != nil {
			return p.match
		}
		return 0
	})
	if index <= r.log.committed {
		return
	}
	if t, _ := r.log.term(index); t != r.term {
		return
	}
	r.commitTo(index)
	r.out.announceCommit = true
	r.continueChange()
}

// commitTo marks the log as committed up to an index.
func (r *Raft) commitTo(index Index) {
	if index <= r.log.committed {
		return
	}
	assert(index <= r.log.last, "commit index %d beyond the last index %d", index, r.log.last)
	if r.role == Leader {
		for i := max(r.log.committed+1, r.termStart); i <= index; i++ {
			r.uncommittedBytes -= r.log.tail[i-r.log.tailFirst].SizeBytes()
		}
	}
	r.log.committed = index
}

// Propose asks for commands to be appended to the replicated log. Each one is
// answered in a later Ready's Results: with its place, or with the reason why
// it was not appended (see ProposalResult). A follower sends them on to its
// leader; then the answer may be lost. Only in the current term can they get into
// the log: once an entry of a later term has been applied and they were not, they
// never will be. IDs grow from one call to the next.
func (r *Raft) Propose(proposals ...Proposal) {
	if r.role == Leader {
		r.out.results = append(r.out.results, r.appendProposals(proposals)...)
		return
	}
	if r.leader == NoMember {
		for _, p := range proposals {
			r.out.results = append(r.out.results, ProposalResult{ID: p.ID, Reason: ReasonNoLeader})
		}
		return
	}
	for len(proposals) > 0 {
		n, bytes := 0, 0
		for n < len(proposals) {
			bytes += len(proposals[n].Data) + entryOverheadBytes
			if n > 0 && bytes > r.config.MaxAppendBytes {
				break
			}
			n++
		}
		r.send(Message{Kind: KindPropose, To: r.leader, Proposals: slices.Clone(proposals[:n])})
		proposals = proposals[n:]
	}
}

// appendProposals appends commands on the leader and says where each went.
func (r *Raft) appendProposals(proposals []Proposal) []ProposalResult {
	results := make([]ProposalResult, len(proposals))
	for i, p := range proposals {
		results[i] = ProposalResult{ID: p.ID}
		switch {
		case r.role != Leader:
			results[i].Reason = ReasonNotLeader
		case r.transfer != nil:
			results[i].Reason = ReasonTransferring
		case len(p.Data) > r.config.MaxCommandBytes:
			results[i].Reason = ReasonTooLarge
		case !r.hasRoom(p.FreesSpace):
			results[i].Reason = ReasonDiskFull
		case r.uncommittedBytes > 0 && r.uncommittedBytes+len(p.Data) > r.config.MaxUncommittedBytes,
			r.log.exceedsCache(r.config.MaxUncommittedBytes):
			// The others commit what this member's own disk may be slow to write; until
			// then it is in memory.
			results[i].Reason = ReasonOverloaded
		default:
			e := r.appendEntry(Entry{Kind: EntryCommand, Data: p.Data, Origin: p.Origin})
			results[i].Index, results[i].Term = e.Index, e.Term
			r.out.announceEntries = true
		}
	}
	return results
}
