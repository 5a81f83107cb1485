package raft

import (
	"fmt"
	"slices"
)

// Role is the part that a member plays in its term (figure 4). A PreCandidate
// asks whether it could win before it disturbs anyone (thesis, section 9.6).
type Role uint8

// The roles.
const (
	Follower     Role = 0
	PreCandidate Role = 1
	Candidate    Role = 2
	Leader       Role = 3
)

func (r Role) String() string {
	return [...]string{"Follower", "PreCandidate", "Candidate", "Leader"}[r]
}

// Raft is one member's side of the algorithm: a value that is fed inputs and
// asked for what is to be done. It is not safe for concurrent use.
type Raft struct {
	config Config
	id     MemberID

	term   Term
	vote   MemberID
	role   Role
	leader MemberID
	log    raftLog

	// faulty and watermark: see fault.go.
	faulty    bool
	watermark LogPosition
	// space is how much room the disk has left. See disk.go.
	space    Space
	handOver handOver
	// agreement and park: see agreement.go and parking.go.
	agreement agreement
	park      parking
	// ticks counts ticks since the start.
	ticks uint64

	snapshot SnapshotMeta
	// memberships is the history of configurations from the one active at the
	// log's base; the last is active. A truncation takes some back.
	memberships []MembershipAt

	// electionTicks counts since the last sign of a leader; timeoutTicks is
	// this period's random limit.
	electionTicks  int
	timeoutTicks   int
	heartbeatTicks int

	// outranks tells that a candidate asked in vain for this member's vote, for a log
	// behind its own, since it last heard a leader, and vainTimeouts counts the election
	// timeouts since then. See mustStand.
	outranks     bool
	vainTimeouts int
	// ballots holds the answers to a candidate, in the order of members.
	ballots []ballot
	// followers holds a leader's view of all members, itself included, in the
	// order of members.
	followers []progress
	// termStart is the index of the entry that opened a leader's term, and
	// uncommittedBytes the size of the entries from there on that are not
	// committed.
	termStart        Index
	uncommittedBytes int
	reads            reads
	transfer         *transfer
	clock            clock
	forwarders       []forwarder
	// sessions counts the leader's acquaintances with members: answers of an
	// earlier one don't count, be it that the member was removed and added
	// again since, or that it has restarted and may have lost its log.
	sessions uint64
	counts   Counts

	out outbox
	// failure is the error that ended this member.
	failure error
}

// New returns a member that continues from what its storage holds. It starts
// as a follower.
func New(config Config, state State) (*Raft, error) {
	config = config.withDefaults()
	if err := config.Validate(); err != nil {
		return nil, err
	}
	if err := state.validate(); err != nil {
		return nil, fmt.Errorf("raft state: %w", err)
	}
	r := &Raft{
		config:      config,
		id:          config.ID,
		term:        state.HardState.Term,
		vote:        state.HardState.Vote,
		log:         newLog(config.Log, config.CacheBytes, state),
		faulty:      state.Faulty,
		watermark:   state.Watermark,
		snapshot:    state.Snapshot,
		park:        parking{differs: state.HardState.Parked},
		memberships: slices.Clone(state.Memberships),
	}
	r.out.saved = state.HardState
	if r.log.base == 0 && r.log.last > 0 && r.log.committed == 0 {
		// The first configuration is entry 1 of term 0, the same on every
		// member that ever had one, so it is committed from the start.
		if t, _ := r.log.term(1); t == 0 {
			r.log.committed = 1
		}
	}
	r.resetElectionTimer()
	return r, nil
}

// Tick tells that one tick of time has passed.
func (r *Raft) Tick() {
	r.ticks++
	r.handOver.tick()
	r.tickAgreement()
	if r.role == Leader {
		r.tickLeader()
		return
	}
	r.electionTicks++
	if r.electionTicks >= r.timeoutTicks {
		r.resetElectionTimer()
		r.vainTimeouts++
		// One that can't stand for election must forget its leader all the same,
		// or it would go on refusing its vote to others.
		r.leader = NoMember
		if r.mayCampaign() {
			r.startPreVote()
		}
	}
}

// Step takes a message from another member. What is not for this member, or can't
// come from one that follows the algorithm, is dropped.
func (r *Raft) Step(m Message) {
	if m.To != r.id || m.From == r.id || m.From == NoMember || !m.wellFormed() {
		return
	}
	if isClientKind(m.Kind) {
		r.stepClient(&m)
		return
	}
	if m.Term < r.term {
		r.answerOldTerm(&m)
		return
	}
	if m.Term > r.term && !r.meetNewerTerm(&m) {
		return
	}
	switch m.Kind {
	case KindPreVote:
		r.handlePreVote(&m)
	case KindPreVoteReply, KindRequestVoteReply:
		r.handleVoteReply(&m)
	case KindRequestVote:
		r.handleRequestVote(&m)
	case KindAppendEntries, KindHeartbeat, KindInstallSnapshot:
		r.stepFromLeader(&m)
	case KindAppendEntriesReply, KindHeartbeatReply:
		r.stepFromFollower(&m)
	case KindTimeoutNow:
		r.handleTimeoutNow(&m)
	}
}

// isClientKind tells whether a message carries a client's request or its
// answer, or the hash of a state. Those stand outside the rules for terms: who leads is
// checked when they are handled, and the others stay true whatever the term is by then.
func isClientKind(k MessageKind) bool {
	switch k {
	case KindPropose, KindProposeReply, KindReadIndex, KindReadIndexReply, KindStateHash:
		return true
	default:
		return false
	}
}

func (r *Raft) stepClient(m *Message) {
	switch m.Kind {
	case KindPropose:
		r.handlePropose(m)
	case KindProposeReply:
		r.out.results = append(r.out.results, m.Results...)
	case KindReadIndex:
		r.handleReadIndex(m)
	case KindReadIndexReply:
		for _, id := range m.Reads {
			r.out.reads = append(r.out.reads, ReadResult{ID: id, Index: m.LogIndex, Reason: m.Reason})
		}
	case KindStateHash:
		r.handleStateHash(m)
	}
}

// answerOldTerm tells the sender of a message from a past term which term it
// is (section 5.1). This also frees a candidate whose term ran ahead of a
// leader that it can't depose: its answer makes that leader step down.
func (r *Raft) answerOldTerm(m *Message) {
	reply := Message{To: m.From, Reject: true, Reason: ReasonOldTerm, Session: m.Session, Boot: r.config.Boot}
	switch m.Kind {
	case KindPreVote:
		reply.Kind = KindPreVoteReply
	case KindRequestVote:
		reply.Kind = KindRequestVoteReply
	case KindAppendEntries, KindInstallSnapshot:
		reply.Kind = KindAppendEntriesReply
	case KindHeartbeat:
		reply.Kind = KindHeartbeatReply
	default:
		return
	}
	r.sendWhenDurable(reply)
}

// meetNewerTerm applies the rule for a term above one's own (section 5.1) and
// tells whether the message is to be handled further.
func (r *Raft) meetNewerTerm(m *Message) bool {
	switch m.Kind {
	case KindPreVote:
		// It asks about a term that nobody is in yet.
		return true
	case KindPreVoteReply:
		if !m.Reject {
			// It repeats the term that was asked about.
			return m.Term == r.term+1
		}
		r.becomeFollower(m.Term, NoMember)
	case KindRequestVote:
		if r.leaderAlive() && !m.Transfer {
			r.send(Message{Kind: KindRequestVoteReply, To: m.From, Reject: true, Reason: ReasonLeaderAlive})
			return false
		}
		r.becomeFollower(m.Term, NoMember)
	case KindAppendEntries, KindHeartbeat, KindInstallSnapshot:
		r.becomeFollower(m.Term, m.From)
	default:
		r.becomeFollower(m.Term, NoMember)
	}
	return true
}

// stepFromLeader handles what only the leader of the current term sends.
func (r *Raft) stepFromLeader(m *Message) {
	assert(r.role != Leader, "two leaders in term %d: %s and %s", r.term, r.id, m.From)
	if r.role != Follower || r.leader != m.From {
		assert(r.leader == NoMember || r.leader == m.From, "term %d led by %s and by %s", r.term, r.leader, m.From)
		r.becomeFollower(m.Term, m.From)
	}
	r.electionTicks, r.outranks, r.vainTimeouts = 0, false, 0
	switch m.Kind {
	case KindAppendEntries:
		r.handleAppendEntries(m)
	case KindHeartbeat:
		r.handleHeartbeat(m)
	case KindInstallSnapshot:
		r.handleInstallSnapshot(m)
	}
}

// becomeFollower enters a term, or stays in it, without leading it.
func (r *Raft) becomeFollower(term Term, leader MemberID) {
	before := r.term
	assert(term >= before, "term goes back from %d to %d", before, term)
	if term > r.term {
		r.term = term
		r.vote = NoMember
	}
	if r.role == Leader {
		r.dropReads()
		r.endTransfer(term > before)
	}
	r.role = Follower
	r.leader = leader
	r.ballots, r.followers = nil, nil
	r.resetElectionTimer()
}

// membership returns the active configuration.
func (r *Raft) membership() *Membership {
	if len(r.memberships) == 0 {
		return &Membership{}
	}
	return &r.memberships[len(r.memberships)-1].Membership
}

// membershipAt returns the configuration that was active at an index.
func (r *Raft) membershipAt(i Index) MembershipAt {
	for n := len(r.memberships) - 1; n >= 0; n-- {
		if r.memberships[n].Index <= i {
			return r.memberships[n]
		}
	}
	return MembershipAt{}
}

// send queues a message that may go at once.
func (r *Raft) send(m Message) {
	m.From = r.id
	if m.Term == 0 {
		m.Term = r.term
	}
	r.out.messages = append(r.out.messages, m)
}

// maxMessagesAfter bounds the messages that wait for a disk that hangs. More than a
// disk at work ever lets gather; the oldest are lost, which any message may be.
const maxMessagesAfter = 4096

// sendWhenDurable queues a message that must not go before everything that the
// core has decided so far is on disk.
func (r *Raft) sendWhenDurable(m Message) {
	if len(r.out.messagesAfter) >= maxMessagesAfter {
		r.out.messagesAfter = r.out.messagesAfter[1:]
	}
	m.From = r.id
	if m.Term == 0 {
		m.Term = r.term
	}
	r.out.messagesAfter = append(r.out.messagesAfter, m)
}
