package raft

import "fmt"

// MessageKind says which rule a message belongs to. Names are those of the
// Raft paper where it has one.
type MessageKind uint8

const (
	// KindPreVote asks whether a vote request would be granted; it changes
	// nobody's term (thesis, section 9.6). Fields: Term (the term that the
	// sender would campaign in), LogIndex and LogTerm of its last entry.
	KindPreVote MessageKind = 1
	// KindPreVoteReply answers it: Reject, Reason. A granted one carries the
	// term that was asked about, a rejected one the answering member's.
	KindPreVoteReply MessageKind = 2
	// KindRequestVote is the paper's RequestVote RPC (section 5.2): LogIndex,
	// LogTerm. Transfer is set when a leader handed over.
	KindRequestVote MessageKind = 3
	// KindRequestVoteReply answers it: Reject, Reason.
	KindRequestVoteReply MessageKind = 4
	// KindAppendEntries is the paper's AppendEntries RPC (section 5.3):
	// LogIndex and LogTerm of the entry before Entries, Commit.
	KindAppendEntries MessageKind = 5
	// KindAppendEntriesReply answers it. LogIndex is the last index known to
	// match; on Reject, LogIndex and LogTerm are the hint where the logs may
	// still agree and RejectedIndex repeats the request's LogIndex.
	KindAppendEntriesReply MessageKind = 6
	// KindHeartbeat is the AppendEntries without entries that a leader sends
	// at each heartbeat interval. Commit never exceeds what the receiver is
	// known to hold; Round numbers the read barrier.
	KindHeartbeat MessageKind = 7
	// KindHeartbeatReply answers it and repeats Round. Parked tells that the
	// member is parked; LogIndex is then the least index of a snapshot that would heal
	// it and State the hash that proves it, both zero when it asks for none.
	KindHeartbeatReply MessageKind = 8
	// KindInstallSnapshot announces a snapshot to a member whose next entry
	// is compacted away (section 7). The driver streams the file; the
	// receiving core sees the message once the file has arrived whole.
	KindInstallSnapshot MessageKind = 9
	// KindPropose forwards proposals to the leader of Term, and of no other. Their
	// IDs grow, from one message to the next too.
	KindPropose MessageKind = 10
	// KindProposeReply tells where each was appended, or why it was not.
	KindProposeReply MessageKind = 11
	// KindReadIndex asks the leader for a read barrier for Reads.
	KindReadIndex MessageKind = 12
	// KindReadIndexReply answers: LogIndex is the index to be applied before
	// reading, or Reject with Reason.
	KindReadIndexReply MessageKind = 13
	// KindTimeoutNow asks a member to stand for election at once, because its
	// leader hands over (thesis, section 3.10).
	KindTimeoutNow MessageKind = 14
	// KindStateHash tells all other members the hash of the sender's state: State.
	KindStateHash MessageKind = 15
)

// Message is what members say to each other. Which fields are used depends on
// Kind; the others are zero. A message may be lost, repeated, delayed or
// overtaken without harm.
type Message struct {
	Kind MessageKind
	From MemberID
	To   MemberID
	Term Term

	LogIndex      Index
	LogTerm       Term
	RejectedIndex Index
	Commit        Index
	Entries       []Entry
	Round         uint64

	Reject   bool
	Reason   Reason
	Transfer bool

	Snapshot  *SnapshotMeta
	Proposals []Proposal
	Results   []ProposalResult
	Reads     []RequestID

	// Session numbers, on messages of a leader, its acquaintance with the
	// receiver, and Boot, on the answers, the answering member's start. An
	// answer repeats the Session. See sessions.
	Session uint64
	Boot    uint64

	State  StateHash
	Parked bool
}

// Proposal is a command on its way to the leader. ID names this offer of it,
// Origin the command itself.
type Proposal struct {
	ID     RequestID
	Data   []byte
	Origin Origin
	// FreesSpace marks a command that adds no bytes to the state, such as a delete:
	// it is accepted while disks run low (SpaceLow).
	FreesSpace bool
}

// ProposalResult tells what became of a proposal: with Reason ReasonNone it
// was appended to the log at Index in Term, which says nothing yet about its
// commitment; otherwise it was certainly not appended. ReasonNotLeader alone leaves
// that open until an entry of a later term is applied: the member that was asked may
// have appended it while it led, and see a copy of the message now.
type ProposalResult struct {
	ID     RequestID
	Index  Index
	Term   Term
	Reason Reason
}

// Reason says why a request was refused.
type Reason uint8

const (
	// ReasonNone means not refused.
	ReasonNone Reason = 0
	// ReasonNoLeader: the member knows of no leader to ask.
	ReasonNoLeader Reason = 1
	// ReasonNotLeader: the member that was asked does not lead any more.
	ReasonNotLeader Reason = 2
	// ReasonNotReady: the leader has not committed an entry of its term yet,
	// so it may not answer reads (section 8).
	ReasonNotReady Reason = 3
	// ReasonOverloaded: the uncommitted part of the log is at its limit, or what the
	// leader's own disk has yet to write.
	ReasonOverloaded Reason = 4
	// ReasonTooLarge: the command exceeds the limit of one entry.
	ReasonTooLarge Reason = 5
	// ReasonLeaderAlive: a vote is refused while a leader is heard (thesis,
	// section 4.2.3).
	ReasonLeaderAlive Reason = 6
	// ReasonLogBehind: the candidate's log is not up to date (section 5.4.1).
	ReasonLogBehind Reason = 7
	// ReasonVoted: the vote of this term went to another candidate.
	ReasonVoted Reason = 8
	// ReasonOldTerm: the sender's term is over.
	ReasonOldTerm Reason = 9
	// ReasonNotMember: the member is not part of the configuration, or has no
	// vote in it.
	ReasonNotMember Reason = 10
	// ReasonTransferring: the leader is handing over.
	ReasonTransferring Reason = 11
	// ReasonChangePending: a change of the membership is under way.
	ReasonChangePending Reason = 12
	// ReasonNotCaughtUp: the member lacks too much of the log.
	ReasonNotCaughtUp Reason = 13
	// ReasonNoContact: the member has not been heard lately.
	ReasonNoContact Reason = 14
	// ReasonAlreadyMember: the member is part of the configuration, or votes,
	// already.
	ReasonAlreadyMember Reason = 15
	// ReasonLastVoter: without the member nobody would vote.
	ReasonLastVoter Reason = 16
	// ReasonTooManyMembers: the configuration is at its limit.
	ReasonTooManyMembers Reason = 17
	// ReasonTransferFailed: the member did not take over in time.
	ReasonTransferFailed Reason = 18
	// ReasonInvalid: the request itself is wrong.
	ReasonInvalid Reason = 19
	// ReasonDiskFull: there is no room on the disk, or on too many members' disks.
	ReasonDiskFull Reason = 20
	// ReasonMembershipChanged: the configuration is another one than the change
	// was meant for.
	ReasonMembershipChanged Reason = 21
	// ReasonParked: the member is parked.
	ReasonParked Reason = 22
)

var reasonTexts = [...]string{
	ReasonNone:           "ok",
	ReasonNoLeader:       "no leader is known",
	ReasonNotLeader:      "not the leader",
	ReasonNotReady:       "the leader's term has no committed entry yet",
	ReasonOverloaded:     "overloaded",
	ReasonTooLarge:       "too large",
	ReasonLeaderAlive:    "a leader is alive",
	ReasonLogBehind:      "its log is behind",
	ReasonVoted:          "the vote is given",
	ReasonOldTerm:        "its term is over",
	ReasonNotMember:      "not a member",
	ReasonTransferring:   "the leader is handing over",
	ReasonChangePending:  "a change of the membership is under way",
	ReasonNotCaughtUp:    "the member lacks too much of the log",
	ReasonNoContact:      "the member has not been heard lately",
	ReasonAlreadyMember:  "a member already",
	ReasonLastVoter:      "nobody would be left to vote",
	ReasonTooManyMembers: "too many members",
	ReasonTransferFailed: "the member did not take over in time",
	ReasonInvalid:        "the request is invalid",
	ReasonDiskFull:       "the disk is full",

	ReasonMembershipChanged: "the membership is another one by now",
	ReasonParked:            "the member is parked",
}

// String returns the reason in words that complete "refused: ...".
func (r Reason) String() string {
	if int(r) < len(reasonTexts) {
		return reasonTexts[r]
	}
	return fmt.Sprintf("reason %d", uint8(r))
}

// wellFormed tells whether a message can come from a member that follows the
// algorithm. Others are dropped, whatever sent them.
func (m *Message) wellFormed() bool {
	switch m.Kind {
	case KindAppendEntries:
		if !wellFormedEntries(m) {
			return false
		}
	case KindInstallSnapshot:
		if s := m.Snapshot; s == nil || s.Index == 0 || s.Term > m.Term || s.Membership.Validate() != nil {
			return false
		}
	case KindStateHash:
		if m.State.Index == 0 {
			return false
		}
	}
	return m.Term > 0 || isClientKind(m.Kind) || m.Reject
}

// wellFormedEntries tells whether a message's entries follow its LogIndex
// without a gap, in terms that only grow up to the sender's.
func wellFormedEntries(m *Message) bool {
	index, term := m.LogIndex, m.LogTerm
	for i := range m.Entries {
		e := &m.Entries[i]
		switch {
		case e.Index != index+1 || e.Term < term:
			return false
		case (e.Kind == EntryMembership) != (e.Membership != nil):
			return false
		case e.Membership != nil && e.Membership.Validate() != nil:
			return false
		case e.Kind != EntryNoOp && e.Kind != EntryCommand && e.Kind != EntryMembership:
			return false
		}
		index, term = e.Index, e.Term
	}
	return term <= m.Term
}
