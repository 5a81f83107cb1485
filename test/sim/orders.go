package sim

import (
	"errors"

	"github.com/conclave-dev/conclave/pkg/raft"
	"github.com/conclave-dev/conclave/pkg/raft/replica"
)

// planOrder gives the next order about the membership or the leadership in a
// while. It goes mostly to the leader, and asks for what makes sense as far as
// that one knows.
func (w *world) planOrder() {
	if w.options.ChangeEvery == 0 {
		return
	}
	w.after(w.about(w.options.ChangeEvery), func() {
		if w.healed {
			return
		}
		w.order()
		w.planOrder()
	})
}

// order gives one order.
func (w *world) order() {
	n := w.leader()
	if n == nil || w.random.IntN(8) == 0 {
		n = w.running()
	}
	if n == nil || n.paused || w.ailing() {
		// Whoever changes a membership looks first whether all its members are
		// whole: a smaller one could leave them without a majority.
		return
	}
	active := n.loop.Membership().Membership
	if len(active.Voters) > 1 && w.chance(0.2) {
		to := active.Voters[w.random.IntN(len(active.Voters))]
		if w.chance(0.2) {
			to = raft.NoMember
		}
		w.trace.tell(traceFault, n, "order: hand over to %s", memberText(to))
		n.ask(func(id raft.RequestID) replica.Event { return replica.TransferAsked{ID: id, To: to} },
			func(a replica.Answer) { w.ordered(n, a, TransfersDone) })
		return
	}
	change, ok := w.drawChange(&active)
	if !ok {
		return
	}
	w.trace.tell(traceFault, n, "order: change %d of %s", change.Kind, memberText(change.Member.ID))
	n.ask(func(id raft.RequestID) replica.Event { return replica.ChangeAsked{ID: id, Change: change} },
		func(a replica.Answer) { w.ordered(n, a, OrdersDone) })
	w.plot.ordered(n)
}

// drawChange chooses a change that makes sense in a configuration. It lets
// clusters shrink to a single voter now and then, and grow again.
func (w *world) drawChange(active *raft.Membership) (raft.Change, bool) {
	about := w.nodes[w.random.IntN(len(w.nodes))]
	_, known := active.Member(about.id)
	switch {
	case !known:
		return raft.Change{Kind: raft.AddLearner, Member: about.member()}, true
	case w.options.Scenario == scenarioAudience:
		// Those who listen stay.
		return raft.Change{}, false
	case !active.IsVoter(about.id) && w.chance(0.8):
		return raft.Change{Kind: raft.Promote, Member: about.member()}, true
	case !active.IsVoter(about.id):
		return raft.Change{Kind: raft.Remove, Member: about.member()}, true
	case len(active.Voters) > 2 && w.chance(0.6), w.chance(0.1):
		return raft.Change{Kind: raft.Remove, Member: about.member()}, true
	default:
		return raft.Change{}, false
	}
}

// ordered takes the answer to an order.
func (w *world) ordered(n *node, a replica.Answer, done Counter) {
	var refused *replica.RefusedError
	switch {
	case a.Err == nil:
		w.count(done)
	case errors.As(a.Err, &refused):
		w.count(OrdersRefused)
		w.trace.tell(traceFault, n, "order %v", a.Err)
	default:
		w.count(OrdersUnknown)
	}
}
