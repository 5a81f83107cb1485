package rafttest

import (
	"fmt"

	"github.com/conclave-dev/conclave/pkg/raft"
)

// judge watches a Cluster from outside and complains when a promise of the
// algorithm is broken: it believes messages, disks and what was applied, never
// what a core says of itself.
type judge struct {
	leaders map[raft.Term]raft.MemberID
	votes   map[ballotBox]raft.MemberID
	// history holds what was applied anywhere, and values the register after it.
	history map[raft.Index]raft.Entry
	values  map[raft.Index]string
	// complaints are what was found since they were last asked for.
	complaints []string
}

// ballotBox is where a voter's vote of a term lies.
type ballotBox struct {
	term  raft.Term
	voter raft.MemberID
}

func newJudge() judge {
	return judge{
		leaders: map[raft.Term]raft.MemberID{}, votes: map[ballotBox]raft.MemberID{},
		history: map[raft.Index]raft.Entry{}, values: map[raft.Index]string{},
	}
}

func (j *judge) complain(format string, args ...any) {
	j.complaints = append(j.complaints, fmt.Sprintf(format, args...))
}

// led notes who leads a term: at most one does (Election Safety).
func (j *judge) led(n *node, term raft.Term) {
	if other, ok := j.leaders[term]; ok && other != n.id {
		j.complain("%s leads term %d, and so did member %d", n.name, term, other)
	}
	j.leaders[term] = n.id
}

// next wants a node to apply every entry once, in order.
func (j *judge) next(n *node, e *raft.Entry) {
	if e.Index != n.applied+1 {
		j.complain("%s applies entry %d after %d", n.name, e.Index, n.applied)
	}
}

// applied compares an entry with what others applied at its index (State Machine
// Safety), and wants it on the disks of a majority.
func (j *judge) applied(nodes []*node, n *node, e *raft.Entry) {
	known, ok := j.history[e.Index]
	if !ok {
		known = *e
		j.history[e.Index] = known
		j.durable(nodes, n, e)
	}
	value, told := j.values[e.Index]
	if !told && !n.tampered {
		value = n.value
		j.values[e.Index] = value
	}
	if known.Term != e.Term || known.Kind != e.Kind || string(known.Data) != string(e.Data) {
		j.complain("%s applies %s, another applied %s", n.name, entryText(e), entryText(&known))
	}
	if value != n.value && !n.tampered {
		j.complain("%s has the value %q at %d, another had %q", n.name, n.value, e.Index, value)
	}
}

// durable wants a committed entry on the disks of a majority, of both halves in a
// joint configuration.
func (j *judge) durable(nodes []*node, n *node, e *raft.Entry) {
	membership := n.core.ActiveMembership().Membership
	for _, half := range [][]raft.MemberID{membership.Voters, membership.Outgoing} {
		count := 0
		for _, id := range half {
			if nodes[id-1].disk.holds(e.Index, e.Term) {
				count++
			}
		}
		if len(half) > 0 && count < len(half)/2+1 {
			j.complain("%s applies %s, which is on the disks of %d voters of %d", n.name, entryText(e), count, len(half))
		}
	}
}

// holds tells whether an entry lies on the disk, compacted or not, or did before
// the disk lost it.
func (d *disk) holds(i raft.Index, t raft.Term) bool {
	if i <= d.base.Index || d.faulty && i <= d.watermark.Index {
		return true
	}
	return i <= d.last() && d.entries[i-1-d.base.Index].Term == t
}

// sending wants votes and acknowledgements on disk before they go, and one vote a
// term.
func (j *judge) sending(n *node, m *raft.Message) {
	switch {
	case m.Reject:
	case m.Kind == raft.KindAppendEntriesReply:
		if m.LogIndex > n.disk.last() {
			j.complain("%s acknowledges %d, its disk ends at %d", n.name, m.LogIndex, n.disk.last())
		}
	case m.Kind == raft.KindRequestVoteReply:
		j.vote(n, m.Term, m.To)
	case m.Kind == raft.KindRequestVote:
		j.vote(n, m.Term, n.id)
	}
}

func (j *judge) vote(n *node, term raft.Term, candidate raft.MemberID) {
	if hard := n.disk.hardState; hard.Term != term || hard.Vote != candidate {
		j.complain("%s votes in term %d, its disk holds the vote of term %d", n.name, term, hard.Term)
	}
	box := ballotBox{term, n.id}
	if other, ok := j.votes[box]; ok && other != candidate {
		j.complain("%s votes in term %d for members %d and %d", n.name, term, other, candidate)
	}
	j.votes[box] = candidate
}

// saving wants terms to grow only.
func (j *judge) saving(n *node, w *raft.Write) {
	if w.HardState.Term < n.disk.hardState.Term {
		j.complain("%s saves term %d after %d", n.name, w.HardState.Term, n.disk.hardState.Term)
	}
}

// verdict returns the complaints since the last one.
func (j *judge) verdict() error {
	if len(j.complaints) == 0 {
		return nil
	}
	err := fmt.Errorf("%s", j.complaints[0])
	j.complaints = nil
	return err
}
