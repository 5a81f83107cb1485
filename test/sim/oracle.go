package sim

import (
	"bytes"
	"slices"

	"github.com/conclave-dev/conclave/pkg/config"
	"github.com/conclave-dev/conclave/pkg/raft"
	"github.com/conclave-dev/conclave/pkg/raft/replica"
)

// oracle judges every step. What it checks, by the paper's names where it has one
// (figure 3):
//
//   - Election Safety: the messages of a leader in one term come from one member
//     (sent);
//   - Leader Append-Only: a leader never sends two entries for one index (sent);
//   - Log Matching: an index and a term stand for one entry after one other, on
//     every disk and in every message (entry);
//   - Leader Completeness: a new leader's disk holds what earlier terms committed
//     (enthroned);
//   - State Machine Safety: one index is applied as the same entry, in order,
//     with the same result and the same state everywhere (applied, published);
//   - a commit is claimed by a leader first, and then the entry is on the disks of
//     a majority, in both halves of a joint configuration (claimed);
//   - no disk ever removes an entry that it held and that is committed (saved);
//   - one vote a member and term, crashes included, on disk before it is sent, and
//     only for a log that is up to date (voted);
//   - terms and votes on disk never go back (saved), and a storage opens as it was
//     left (opened);
//   - an acknowledgement speaks of what is on disk, and is the leader's (acked);
//   - a snapshot describes the committed log (snapshot);
//   - no change of the membership before a leader has committed in its term, no
//     voter that lacks too much, no candidate without a vote, no handing over to a
//     member that lacks anything (oracle_rule.go);
//   - the store does what its contract says: see model;
//   - a member is parked if its state is wrong, and only then, and does nothing then
//     that it must not (tamper.go);
//   - what clients are told: see operation, and what watches are: see watcher.
type oracle struct {
	w     *world
	disks map[raft.MemberID]*shadow
	// reigns holds the leaders seen, in the order in which they were, and byTerm
	// finds them.
	reigns []*reign
	byTerm map[raft.Term]*reign
	// entries holds all entries seen, by index.
	entries [][]seen
	// committed holds the term of each committed entry, by index.
	committed []raft.Term
	// newMemberships are configurations that the node which acts has made up.
	newMemberships []*raft.Entry
	// memberships are the committed configurations.
	memberships []raft.MembershipAt
	// applications holds what an index did, by index.
	applications []application
	votes        map[ballot]raft.MemberID
	requests     map[ballot]position
	// commands finds the operation that a command belongs to: by the address of
	// its first byte, because nothing in a run copies commands.
	commands map[*byte]*operation
	// starts finds what each start of a member has proposed.
	starts map[life]*start
	// model is what the store must have done.
	model model
}

// seen is an entry that was seen somewhere, and the term of the one before it.
type seen struct {
	entry  raft.Entry
	before raft.Term
}

// application is what applying an index did.
type application struct {
	known  bool
	result config.Result
	// operation is the one whose command the entry holds.
	operation *operation
	// hash is the state's after the index, where a batch ended with it.
	hash    config.Hash
	hasHash bool
}

// reign is a member's time as leader of a term.
type reign struct {
	term   raft.Term
	leader raft.MemberID
	// log holds the term of each entry that the leader has sent, by index, 0 for
	// those it has not.
	log []raft.Term
	// commit is the highest index that it has claimed as committed.
	commit raft.Index
}

// ballot names a vote, or a candidacy.
type ballot struct {
	member raft.MemberID
	term   raft.Term
}

type position struct {
	index raft.Index
	term  raft.Term
}

func (o *oracle) init(w *world) {
	o.w = w
	o.disks = map[raft.MemberID]*shadow{}
	o.byTerm = map[raft.Term]*reign{}
	o.votes = map[ballot]raft.MemberID{}
	o.requests = map[ballot]position{}
	o.commands = map[*byte]*operation{}
	o.starts = map[life]*start{}
	o.model = newModel()
	o.entries = [][]seen{nil}
	o.committed = []raft.Term{0}
}

// begin takes the cluster's first entry as committed.
func (o *oracle) begin(first *raft.Entry) {
	o.entry(nil, first, 0)
	o.committed = append(o.committed, first.Term)
	o.memberships = []raft.MembershipAt{{Index: first.Index, Membership: *first.Membership}}
}

// commit is the highest index that any leader has claimed as committed.
func (o *oracle) commit() raft.Index { return raft.Index(len(o.committed) - 1) }

// entry compares an entry with those seen before.
func (o *oracle) entry(n *node, e *raft.Entry, before raft.Term) {
	for int(e.Index) >= len(o.entries) {
		o.entries = append(o.entries, nil)
	}
	for i := range o.entries[e.Index] {
		known := &o.entries[e.Index][i]
		if known.entry.Term != e.Term {
			continue
		}
		if known.before != before || !sameEntry(&known.entry, e) {
			o.w.fail("Log Matching: %v has another entry %s than was seen before, or another before it: %s after term %d, not %s after term %d",
				n, at(e.Index, e.Term), entryText(e), before, entryText(&known.entry), known.before)
		}
		return
	}
	o.entries[e.Index] = append(o.entries[e.Index], seen{*e, before})
	if e.Kind == raft.EntryMembership && n != nil {
		o.newMemberships = append(o.newMemberships, e)
	}
}

func sameEntry(a, b *raft.Entry) bool {
	if a.Kind != b.Kind || a.Origin != b.Origin || a.TimeMillis != b.TimeMillis || a.ElapsedMillis != b.ElapsedMillis ||
		len(a.Data) != len(b.Data) || (a.Membership == nil) != (b.Membership == nil) {
		return false
	}
	if len(a.Data) > 0 && &a.Data[0] != &b.Data[0] && !bytes.Equal(a.Data, b.Data) {
		return false
	}
	return a.Membership == b.Membership || sameMembership(a.Membership, b.Membership)
}

func sameMembership(a, b *raft.Membership) bool {
	return slices.Equal(a.Members, b.Members) && slices.Equal(a.Voters, b.Voters) &&
		slices.Equal(a.Outgoing, b.Outgoing) && slices.Equal(a.Learners, b.Learners)
}

// find returns the entry of an index and term, nil when it was never seen.
func (o *oracle) find(i raft.Index, t raft.Term) *raft.Entry {
	if int(i) >= len(o.entries) {
		return nil
	}
	for n := range o.entries[i] {
		if o.entries[i][n].entry.Term == t {
			return &o.entries[i][n].entry
		}
	}
	return nil
}

// membershipAt returns the committed configuration at an index.
func (o *oracle) membershipAt(i raft.Index) raft.MembershipAt {
	for n := len(o.memberships) - 1; n > 0; n-- {
		if o.memberships[n].Index <= i {
			return o.memberships[n]
		}
	}
	return o.memberships[0]
}

// acted judges what a node wants done, before any of it is.
func (o *oracle) acted(n *node, effects *replica.Effects) {
	disk := o.disks[n.id]
	if w := effects.Write; w != nil {
		disk.writing = w
		o.planned(n, disk, w)
	}
	for i := range effects.Send {
		o.sent(n, disk, &effects.Send[i])
	}
	for i := range effects.Stream {
		o.sent(n, disk, &effects.Stream[i])
	}
	o.parking(n, effects)
	for i := range effects.Apply {
		o.released(n, disk, &effects.Apply[i])
	}
	for _, e := range o.newMemberships {
		o.reshaped(n, disk, e)
	}
	o.newMemberships = nil
	o.hasActed(n, disk)
}

// sent judges a message.
func (o *oracle) sent(n *node, disk *shadow, m *raft.Message) {
	if m.From != n.id {
		o.w.fail("%v sends a message from %s", n, memberText(m.From))
	}
	switch m.Kind {
	case raft.KindAppendEntries:
		o.leading(n, disk, m)
		r := o.byTerm[m.Term]
		before := m.LogTerm
		for i := range m.Entries {
			e := &m.Entries[i]
			o.entry(n, e, before)
			before = e.Term
			o.leaderEntry(r, e.Index, e.Term)
		}
		o.leaderEntry(r, m.LogIndex, m.LogTerm)
		o.claimed(n, disk, m.Term, m.Commit)
	case raft.KindHeartbeat:
		o.leading(n, disk, m)
		o.claimed(n, disk, m.Term, m.Commit)
	case raft.KindInstallSnapshot:
		o.leading(n, disk, m)
		o.claimed(n, disk, m.Term, m.Snapshot.Index)
	case raft.KindTimeoutNow:
		o.leading(n, disk, m)
		o.handingOver(n, disk, m)
	case raft.KindPreVote:
		if cause := n.loop.Parked(); cause != raft.ParkNone {
			o.w.fail("%v stands for election, and is parked: %v", n, cause)
		}
		o.standing(n, disk)
		disk.stands = m.Term
	case raft.KindPreVoteReply:
		disk.outranks = disk.outranks || m.Reason == raft.ReasonLogBehind
	case raft.KindRequestVote, raft.KindRequestVoteReply:
		disk.outranks = disk.outranks || m.Reason == raft.ReasonLogBehind
		o.voted(n, disk, m)
	case raft.KindHeartbeatReply:
		disk.outranks = disk.outranks && m.Reject
	case raft.KindAppendEntriesReply:
		disk.outranks = disk.outranks && m.Reject && m.Reason == raft.ReasonOldTerm
		o.acked(n, disk, m)
	case raft.KindReadIndexReply:
		if !m.Reject && m.LogIndex > o.commit() {
			o.claimed(n, disk, n.loop.Status().Term, m.LogIndex)
		}
	}
}

// leading takes a message as a sign that a member leads a term.
func (o *oracle) leading(n *node, disk *shadow, m *raft.Message) {
	r := o.byTerm[m.Term]
	if r == nil {
		o.enthroned(n, disk, m.Term)
		return
	}
	if r.leader != n.id {
		o.w.fail("Election Safety: term %d is led by %s and by %v", m.Term, memberText(r.leader), n)
	}
}

// enthroned judges a member that leads a term for the first time.
func (o *oracle) enthroned(n *node, disk *shadow, term raft.Term) *reign {
	r := &reign{term: term, leader: n.id}
	var must raft.Index = 1
	for _, other := range o.reigns {
		// What a later term has committed already, this leader may lack.
		if other.term < term {
			must = max(must, other.commit)
		}
	}
	if have, ok := disk.termAt(o, must); !ok || have != o.committed[must] {
		o.w.fail("Leader Completeness: %v leads term %d without entry %s, which is committed; its disk has a log up to %d and term %d there",
			n, term, at(must, o.committed[must]), disk.last(), have)
	}
	o.byTerm[term] = r
	o.reigns = append(o.reigns, r)
	o.w.count(Elections)
	o.w.plot.enthroned(n)
	return r
}

// leaderEntry notes the place of an entry in a leader's log.
func (o *oracle) leaderEntry(r *reign, i raft.Index, t raft.Term) {
	if i == 0 {
		return
	}
	if i > raft.Index(len(r.log)) {
		r.log = append(r.log, make([]raft.Term, int(i)-len(r.log))...)
	}
	if old := r.log[i-1]; old != 0 && old != t {
		o.w.fail("Leader Append-Only: %s, which leads term %d, sends entry %s and had sent %s",
			memberText(r.leader), r.term, at(i, t), at(i, old))
	}
	r.log[i-1] = t
}

// planned judges a write before it goes to the disk.
func (o *oracle) planned(n *node, disk *shadow, w *raft.Write) {
	for i := range w.Entries {
		e := &w.Entries[i]
		before := raft.Term(0)
		switch {
		case i > 0:
			before = w.Entries[i-1].Term
		case e.Index > 1:
			var ok bool
			if before, ok = disk.termAt(o, e.Index-1); !ok || w.TruncateFrom != 0 && e.Index > w.TruncateFrom {
				o.w.fail("%v writes entry %s after a gap: its log ends with %d, truncated from %d", n, at(e.Index, e.Term), disk.last(), w.TruncateFrom)
			}
		}
		o.entry(n, e, before)
	}
	if w.HardState.Commit > o.commit() {
		o.claimed(n, disk, w.HardState.Term, w.HardState.Commit)
	}
}

// released judges entries that may be applied.
func (o *oracle) released(n *node, disk *shadow, step *replica.ApplyWork) {
	for i := range step.Entries {
		e := &step.Entries[i]
		if e.Index > o.commit() {
			o.claimed(n, disk, n.loop.Status().Term, step.Entries[len(step.Entries)-1].Index)
		}
		if o.committed[e.Index] != e.Term {
			o.w.fail("State Machine Safety: %v is to apply entry %s, committed is %s", n, at(e.Index, e.Term), at(e.Index, o.committed[e.Index]))
		}
		if known := o.find(e.Index, e.Term); known == nil || !sameEntry(known, e) {
			o.w.fail("State Machine Safety: %v is to apply another entry %s than was written", n, at(e.Index, e.Term))
		}
	}
}
