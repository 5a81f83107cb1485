package replica

import (
	"github.com/conclave-dev/conclave/pkg/raft"
)

// orders tracks changes of the membership and transfers until they are answered.
// They are not sent on to another leader: who gives them knows whom to ask.
type orders struct {
	byID map[raft.RequestID]*order
	// changing is the change that waits for its entries to be applied; the core
	// allows one at a time.
	changing *order
}

type order struct {
	id    raft.RequestID
	index raft.Index
	term  raft.Term
}

func (l *Loop) askChange(e ChangeAsked) {
	l.orders.byID[e.ID] = &order{id: e.ID}
	l.core.ChangeMembership(e.ID, e.Change)
}

func (l *Loop) askTransfer(e TransferAsked) {
	l.orders.byID[e.ID] = &order{id: e.ID}
	l.core.TransferLeadership(e.ID, e.To)
}

// resolveOrder takes the core's answer to an order, and tells whether it was one.
func (l *Loop) resolveOrder(r raft.ProposalResult) bool {
	o := l.orders.byID[r.ID]
	if o == nil {
		return false
	}
	switch {
	case r.Reason != raft.ReasonNone:
		l.finishOrder(o, Answer{Err: &RefusedError{Reason: r.Reason}})
	case r.Index == 0:
		l.finishOrder(o, Answer{})
	default:
		o.index, o.term = r.Index, r.Term
		if old := l.orders.changing; old != nil {
			// The core began another change, so the old one's entry is gone or
			// has been completed by another leader.
			l.finishOrder(old, Answer{Err: ErrOutcomeUnknown})
		}
		l.orders.changing = o
	}
	return true
}

// settleChange answers a change once the configuration that completes it is
// applied: its own entry, or the one that ended its joint configuration.
func (l *Loop) settleChange(entries []raft.Entry) {
	for i := range entries {
		e, o := &entries[i], l.orders.changing
		switch {
		case o == nil || e.Index < o.index:
		case e.Index == o.index && e.Term != o.term:
			l.finishOrder(o, Answer{Err: &RefusedError{Reason: raft.ReasonNotLeader}})
		case e.Membership != nil && !e.Membership.IsJoint():
			l.finishOrder(o, Answer{Index: e.Index})
		}
	}
}

// settleRestoredChange answers a change whose entry a restored snapshot has passed:
// whether it stood there is not known.
func (l *Loop) settleRestoredChange(meta *raft.SnapshotMeta) {
	if o := l.orders.changing; o != nil && o.index <= meta.Index {
		l.finishOrder(o, Answer{Err: ErrOutcomeUnknown})
	}
}

// cancelOrder answers an order whose caller waits no longer. It may still be
// carried out.
func (l *Loop) cancelOrder(o *order) {
	l.finishOrder(o, Answer{Err: ErrOutcomeUnknown})
}

func (l *Loop) finishOrder(o *order, a Answer) {
	if l.orders.changing == o {
		l.orders.changing = nil
	}
	delete(l.orders.byID, o.id)
	a.ID = o.id
	l.answer(a)
}
