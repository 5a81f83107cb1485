package replica

import (
	"slices"

	"github.com/conclave-dev/conclave/pkg/raft"
)

// A parked member (raft.ParkCause) serves nothing: whoever waits is told so, and so is
// whoever comes. The state machine goes on with what was handed out before, which nobody
// gets to see, until a snapshot of another member replaces its state.

// check passes on what the state machine says of itself.
func (l *Loop) check(e Applied) {
	for _, s := range e.Hashes {
		l.core.StateHashed(s)
	}
	if e.Stuck {
		l.core.StateStuck()
	}
	l.notePark()
}

// notePark tells everybody who waits when the member parks. It comes before any result
// of a state that is known to be wrong by then.
func (l *Loop) notePark() {
	parked := l.core.Parked() != raft.ParkNone
	if parked && !l.parked {
		for i, a := range l.effects.Answers {
			if a.Err == nil && a.ifParked != nil {
				l.effects.Answers[i] = Answer{ID: a.ID, Err: a.ifParked}
			}
		}
		for _, id := range inOrder(l.proposals.byID) {
			l.proposals.byID[id].giveUp(l, ErrParked)
		}
		for _, id := range inOrder(l.readers.byID) {
			l.finishRead(l.readers.byID[id], Answer{Err: ErrParked})
		}
		if o := l.orders.changing; o != nil {
			l.finishOrder(o, Answer{Err: ErrOutcomeUnknown})
		}
		l.failSnapshots(ErrParked)
	}
	l.parked = parked
}

// maxHeldSnapshots bounds the snapshots that wait for one that is being written. It is
// the last ones that do, for those are what the storage keeps of all that have arrived.
const maxHeldSnapshots = 2

// receive hands a message to the core. A snapshot for a parked member waits while the
// storage writes one of its own, which would count as newer.
func (l *Loop) receive(m raft.Message) {
	if m.Kind == raft.KindInstallSnapshot && l.snapshots.saving && l.core.Parked() != raft.ParkNone {
		if len(l.snapshots.held) == maxHeldSnapshots {
			l.snapshots.held = slices.Delete(l.snapshots.held, 0, 1)
		}
		l.snapshots.held = append(l.snapshots.held, m)
		return
	}
	l.core.Step(m)
}

// releaseHeld hands over what has waited for the storage.
func (l *Loop) releaseHeld() {
	held := l.snapshots.held
	l.snapshots.held = nil
	for _, m := range held {
		l.core.Step(m)
	}
}

// Parked tells why the member serves nothing, raft.ParkNone while it does.
func (l *Loop) Parked() raft.ParkCause { return l.core.Parked() }

// Parked tells why the member serves nothing, raft.ParkNone while it does. It costs
// nothing.
func (r *Replica) Parked() raft.ParkCause { return raft.ParkCause(r.parked.Load()) }

// publishParking lets others see whether the member is parked, and tells the log what an
// operator must know.
func (r *Replica) publishParking() {
	if at := r.loop.core.Disagreement(); at != r.disagreement {
		if at > r.disagreement {
			r.options.Logger.Error("the states of members differ", "index", uint64(at))
		}
		r.disagreement = at
	}
	now, before := r.loop.Parked(), r.Parked()
	if now == before {
		return
	}
	r.parked.Store(uint32(now))
	switch now {
	case raft.ParkNone:
		r.options.Logger.Info("the member serves again; it was parked", "applied", uint64(r.loop.Applied()))
	default:
		r.options.Logger.Error("the member is parked and serves nothing", "reason", now.String(), "applied", uint64(r.loop.Applied()))
	}
}
