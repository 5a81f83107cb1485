package replica

import (
	"cmp"
	"maps"
	"slices"

	"github.com/conclave-dev/conclave/pkg/raft"
)

// The order in which effects happen stands here, and only here:
//
//	send Messages -> enqueue the Write -> once it is Saved, send its Messages
//	-> apply Committed (after Restore) -> report Applied -> answer
//
// While a Write is under way the core is asked for no other: what needs the
// disk gathers meanwhile and forms the next batch. Nor is it asked for one that
// installs a snapshot while the state machine restores another, which must still
// be the newest when it is opened.

// Effects returns everything that follows from the events since the last call.
// An error is the end of this replica.
func (l *Loop) Effects() (Effects, error) {
	l.notePark()
	for {
		l.flushProposals()
		l.flushReads()
		idle := l.writing == nil && !(l.restoreUnderWay && l.core.InstallPending())
		if !l.core.HasReady(idle) {
			break
		}
		ready, err := l.core.Ready(idle)
		if err != nil {
			return Effects{}, err
		}
		l.carry(ready)
	}
	l.releaseWork()
	l.releaseReads()
	l.planSnapshot()
	effects := l.effects
	l.effects = Effects{}
	return effects, nil
}

// carry turns one Ready into effects.
func (l *Loop) carry(ready raft.Ready) {
	l.send(ready.Messages)
	if ready.Write != nil {
		l.writing = ready.Write
		l.effects.Write = ready.Write
	}
	if ready.Restore != nil {
		// What was committed before belongs to a log that is gone; work that
		// was released already is done first, in order.
		l.restoring, l.applying = ready.Restore, nil
	}
	if len(ready.Committed) > 0 {
		l.applying = append(l.applying, ApplyWork{Entries: ready.Committed})
	}
	for _, result := range ready.Results {
		if !l.resolveOrder(result) {
			l.place(result)
		}
	}
	for _, result := range ready.Reads {
		l.resolveRead(result)
	}
}

// send sorts messages: those that announce a snapshot go with its file.
func (l *Loop) send(messages []raft.Message) {
	for _, m := range messages {
		if m.Kind == raft.KindInstallSnapshot {
			l.effects.Stream = append(l.effects.Stream, m)
		} else {
			l.effects.Send = append(l.effects.Send, m)
		}
	}
}

// saved takes the word of the storage that a Write is durable.
func (l *Loop) saved(id raft.WriteID) {
	w := l.writing
	if w == nil || w.ID != id {
		return
	}
	l.writing = nil
	l.core.Saved(id)
	l.send(w.Messages)
}

// releaseWork hands out what may be applied: a restore only once its snapshot
// is in place, and nothing that comes after it before.
func (l *Loop) releaseWork() {
	if l.restoring != nil {
		if l.writing != nil && l.writing.Snapshot != nil {
			return
		}
		l.effects.Apply = append(l.effects.Apply, ApplyWork{Restore: l.restoring})
		l.restoring, l.restoreUnderWay = nil, true
	}
	l.effects.Apply = append(l.effects.Apply, l.applying...)
	l.applying = nil
}

// Abandon answers everything that waits, because the replica ends: what was not
// handed to the core certainly has no effect.
func (l *Loop) Abandon() []Answer {
	for _, id := range inOrder(l.proposals.byID) {
		l.proposals.byID[id].giveUp(l, ErrStopping)
	}
	for _, id := range inOrder(l.readers.byID) {
		l.finishRead(l.readers.byID[id], Answer{Err: ErrStopping})
	}
	for _, id := range inOrder(l.orders.byID) {
		l.finishOrder(l.orders.byID[id], Answer{Err: ErrOutcomeUnknown})
	}
	l.failSnapshots(ErrStopping)
	answers := l.effects.Answers
	l.effects.Answers = nil
	return answers
}

// inOrder returns the requests of a map in the order in which they came.
func inOrder[T any](requests map[raft.RequestID]T) []raft.RequestID {
	return slices.SortedFunc(maps.Keys(requests), func(a, b raft.RequestID) int {
		return cmp.Compare(a.Sequence, b.Sequence)
	})
}
