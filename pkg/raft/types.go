package raft

import (
	"fmt"
	"strconv"
)

// Index is a position in the log. The first entry has index 1; 0 is the
// position before it.
type Index uint64

// Term numbers the reigns of leaders (Raft paper, section 5.1). A term has at
// most one leader. 0 is the term before the first election.
type Term uint64

// MemberID names a member for life. It is drawn at random when a data
// directory is formatted, so a wiped disk is a new member. 0 means nobody.
type MemberID uint64

// NoMember is the MemberID that means nobody: no vote, no leader.
const NoMember MemberID = 0

// String returns the ID as 16 hexadecimal digits, the form in which it is
// shown to people.
func (id MemberID) String() string { return fmt.Sprintf("%016x", uint64(id)) }

// ParseMemberID reads the form that String writes.
func ParseMemberID(s string) (MemberID, error) {
	v, err := strconv.ParseUint(s, 16, 64)
	if err != nil || len(s) != 16 || v == 0 {
		return NoMember, fmt.Errorf("member ID %q is not 16 hexadecimal digits other than zero", s)
	}
	return MemberID(v), nil
}

// RequestID names the offer of a proposal, or a read. Boot is the number of the
// start of the member that made the request, greater than that of each earlier
// start, and Sequence counts its requests since, so an answer that arrives after
// a restart can't be taken for another's.
type RequestID struct {
	Boot     uint64
	Sequence uint64
}

// Origin names a proposal for good, however often it is offered and however
// many copies of it get into the log: the state machine carries out the first
// copy and answers the others with its result. The zero Origin names nothing.
type Origin struct {
	// Member took the proposal from its caller. Boot numbers that member's
	// starts: a later start has a greater one.
	Member MemberID
	Boot   uint64
	// Sequence counts the member's proposals since its start, from 1.
	Sequence uint64
	// Answered is a sequence up to which every proposal of this start was
	// answered and is not offered again, so results up to it can be forgotten.
	// It is below Sequence, by MaxUnanswered at most.
	Answered uint64
}

// MaxUnanswered is how many proposals of one member can be under way.
const MaxUnanswered = 8192

// EntryKind says how an entry's data is to be read.
type EntryKind uint8

const (
	// EntryNoOp opens a leader's term (section 8). It carries no data.
	EntryNoOp EntryKind = 1
	// EntryCommand carries a command for the state machine.
	EntryCommand EntryKind = 2
	// EntryMembership carries a Membership, which is active from the moment
	// the entry is appended (section 6).
	EntryMembership EntryKind = 3
)

// Entry is one slot of the replicated log. Entries with the same index and
// term are the same entry on every member (Log Matching, section 5.3).
type Entry struct {
	Index Index
	Term  Term
	Kind  EntryKind
	// Data is the command of an EntryCommand. It is never changed once the
	// entry has been made, so it may be shared.
	Data []byte
	// Membership is set for an EntryMembership only.
	Membership *Membership
	// Origin names the proposal that the entry is a copy of.
	Origin Origin
	// TimeMillis is the leader's wall clock when it made the entry, in
	// milliseconds since 1970, and ElapsedMillis what its monotonic clock
	// counted since its previous entry; 0 for its first. The algorithm reads
	// neither. The first is for people to look at: clocks differ and jump. The
	// second is what a state machine may measure time by.
	TimeMillis    uint64
	ElapsedMillis uint64
}

// entryOverheadBytes is what an entry costs beside its data in the limits
// that count bytes. It is generous, so that those limits bound the number of
// entries too.
const entryOverheadBytes = 144

// memberOverheadBytes is the same for each member of a membership, whose ID may
// stand in it three times.
const memberOverheadBytes = 64

// SizeBytes is the entry's weight in every limit that counts bytes.
func (e *Entry) SizeBytes() int {
	size := len(e.Data) + entryOverheadBytes
	if e.Membership != nil {
		for _, m := range e.Membership.Members {
			size += len(m.Name) + len(m.Address) + memberOverheadBytes
		}
	}
	return size
}

// HardState is what a member must remember across a crash (figure 2,
// "persistent state on all servers").
type HardState struct {
	Term Term
	Vote MemberID
	// Commit is a hint that rides on batches that are written anyway: an
	// index known to be committed, at most the last index of its batch. It
	// is never a reason to write.
	Commit Index
	// Parked tells that the member's state differs from that of the others, and so may
	// its snapshots. See parking.go.
	Parked bool
}

// Member is one place in the Raft configuration.
type Member struct {
	ID MemberID
	// Name is the node's name, unique within a membership.
	Name string
	// Address is host:port of the peer listener. The host is a name that is
	// resolved at each dial.
	Address string
}

// Membership is a Raft configuration (section 6). While Outgoing is not empty
// it is a joint one, and every decision needs a majority of both halves.
type Membership struct {
	// Members holds everyone named below, sorted by ID.
	Members []Member
	// Voters, Outgoing and Learners are sorted. Learners receive the log
	// and count for nothing.
	Voters   []MemberID
	Outgoing []MemberID
	Learners []MemberID
}

// SnapshotMeta describes a snapshot: the state after applying Index.
type SnapshotMeta struct {
	Index Index
	Term  Term
	// Membership is the configuration that was active at Index and
	// MembershipIndex the index of the entry that made it so.
	Membership      Membership
	MembershipIndex Index
	// ChainHash is the log's chain hash at Index. It belongs to the storage;
	// the core only hands it on.
	ChainHash uint64
}

// WriteID numbers writes. IDs only grow; a report that one is durable covers
// all before it.
type WriteID uint64

// Write is what must become durable, in one atomic step and in the order of
// IDs, before its Messages may go.
type Write struct {
	ID WriteID
	// HardState is always complete. HardStateChanged tells whether its term, vote or
	// mark of a parked member differ from the previous Write's.
	HardState        HardState
	HardStateChanged bool
	// TruncateFrom, unless 0, removes all entries from that index on before
	// Entries are appended.
	TruncateFrom Index
	// Entries are contiguous and follow what remains of the log.
	Entries []Entry
	// Snapshot, unless nil, replaces the whole log: the received snapshot
	// with this description becomes the member's state. TruncateFrom and
	// Entries are empty then. With KeepLog it is adopted: it lies in the log, takes the
	// place of all other snapshots, and the log after it stays.
	Snapshot *SnapshotMeta
	KeepLog  bool
	// Messages go out once the write is durable: votes, vote requests and
	// acknowledgements of appends.
	Messages []Message
}

// NeedsDisk tells whether the write holds anything to store. One that does not
// only orders its messages behind the writes before it.
func (w *Write) NeedsDisk() bool {
	return w.HardStateChanged || w.TruncateFrom != 0 || len(w.Entries) > 0 || w.Snapshot != nil
}
