package sim

import (
	"slices"

	"github.com/conclave-dev/conclave/pkg/raft"
)

// The rules here protect the progress of a cluster, or guard what other rules
// protect as well, so nothing false need come of breaking one. They are promised
// all the same.

// maxPromotionLag is how much of the log a learner may lack when it is made a voter.
const maxPromotionLag = 256

// reshaped judges a configuration that a leader has just added to its log.
func (o *oracle) reshaped(n *node, disk *shadow, e *raft.Entry) {
	s := n.loop.Status()
	if s.Role != raft.Leader || s.Term != e.Term {
		return
	}
	r := o.byTerm[e.Term]
	if r == nil {
		r = &reign{term: e.Term, leader: n.id}
	}
	if t, ok := o.leaderTerm(r, disk, s.Committed); ok && t != e.Term {
		o.w.fail("%v changes the membership by entry %s, and has committed no entry of its term", n, at(e.Index, e.Term))
	}
	if !e.Membership.IsJoint() {
		return
	}
	for _, id := range e.Membership.Voters {
		if slices.Contains(e.Membership.Outgoing, id) {
			continue
		}
		// With nothing at all it can't have agreed with the leader on anything.
		if held := o.disks[id].longest(); held == 0 || held+maxPromotionLag < e.Index-1 {
			o.w.fail("%v makes %s a voter by entry %s, whose log ends with %d", n, memberText(id), at(e.Index, e.Term), held)
		}
	}
}

// longest is the end of the log, or of what the disk held before it lost some.
func (s *shadow) longest() raft.Index {
	longest := s.last()
	for former := s.former; former != nil; former = former.former {
		longest = max(longest, former.last())
	}
	return longest
}

// standing judges a candidate: it must have a vote in some configuration that it
// knows of, or be a learner that refused its vote to another for a log behind its own
// and has answered no leader since.
func (o *oracle) standing(n *node, disk *shadow) {
	for i := range disk.memberships {
		if disk.memberships[i].Membership.IsVoter(n.id) {
			return
		}
	}
	told := n.loop.Membership()
	if !told.Membership.IsVoter(n.id) && (!disk.outranks || !slices.Contains(told.Membership.Learners, n.id)) {
		o.w.fail("%v stands for election, and has a vote in no configuration of its log", n)
	}
}

// handingOver judges the order to stand for election: whoever gets it must have the
// leader's whole log, as far as the leader had written or sent it when it acted last.
func (o *oracle) handingOver(n *node, disk *shadow, m *raft.Message) {
	if to := o.disks[m.To]; disk.actedTerm == m.Term && to.longest() < disk.actedLast {
		o.w.fail("%v hands over to %s, whose log ends with %d, its own with %d", n, memberText(m.To), to.longest(), disk.actedLast)
	}
}

// hasActed notes what a node has said and planned by now.
func (o *oracle) hasActed(n *node, disk *shadow) {
	disk.acted = n.loop.Membership()
	disk.actedLast, disk.actedTerm = disk.lastPlanned(), 0
	if r := o.lastReign(n.id); r != nil {
		disk.actedTerm = r.term
		disk.actedLast = max(disk.actedLast, raft.Index(len(r.log)))
	}
}
