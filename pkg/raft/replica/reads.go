package replica

import (
	"slices"

	"github.com/conclave-dev/conclave/pkg/raft"
)

// readers tracks the read barriers. Callers that ask between two calls of the
// core share one barrier.
type readers struct {
	// byID finds the callers that were not answered yet.
	byID map[raft.RequestID]*reader
	// queued wait for the next call of the core, refused for the next tick.
	queued  []*reader
	refused []*reader
	// groups are the barriers that the core was asked for, oldest first.
	groups []readGroup
	// waiting know their index and wait for it to be applied, by index.
	waiting []readGroup
	// retryTicks is when a barrier is asked for again.
	retryTicks int
}

type reader struct {
	id        raft.RequestID
	confirmed bool
	done      bool
}

type readGroup struct {
	id      raft.RequestID
	readers []*reader
	// ticks counts since the core was asked.
	ticks int
	index raft.Index
}

// minRetryTicks is when an unanswered barrier is asked for again, unless the least
// election timeout, within which every answer should come, is longer: a reply may be
// lost. Reads may be repeated at will.
const minRetryTicks = 15

func newReaders(o *LoopOptions) readers {
	return readers{byID: map[raft.RequestID]*reader{}, retryTicks: max(o.Core.ElectionTicksMin, minRetryTicks)}
}

// askRead takes a caller.
func (l *Loop) askRead(e ReadAsked) {
	if l.parked {
		l.answer(Answer{ID: e.ID, Err: ErrParked})
		return
	}
	if len(l.readers.byID) >= l.options.MaxReads {
		l.answer(Answer{ID: e.ID, Err: ErrOverloaded})
		return
	}
	one := &reader{id: e.ID}
	l.readers.byID[e.ID] = one
	l.readers.queued = append(l.readers.queued, one)
}

// flushReads asks the core for one barrier for all queued callers.
func (l *Loop) flushReads() {
	leader, _ := l.core.Leader()
	if leader == raft.NoMember || len(l.readers.queued) == 0 {
		return
	}
	group := readGroup{id: l.newID(), readers: l.readers.queued}
	l.readers.queued = nil
	l.readers.groups = append(l.readers.groups, group)
	l.core.ReadIndex(group.id)
}

// tickReads queues again what was refused or not answered for a while, and forgets
// callers that gave up. A member that gets no entries may learn of indexes for as
// long as that lasts, and apply none.
func (l *Loop) tickReads() {
	r := &l.readers
	r.queued = append(r.queued, r.refused...)
	r.refused = nil
	for i := range r.groups {
		r.groups[i].ticks++
	}
	for len(r.groups) > 0 && r.groups[0].ticks > r.retryTicks {
		r.queued = append(r.queued, r.groups[0].readers...)
		r.groups = r.groups[1:]
	}
	r.queued = withoutDone(r.queued)
	for i := range r.waiting {
		r.waiting[i].readers = withoutDone(r.waiting[i].readers)
	}
	r.waiting = slices.DeleteFunc(r.waiting, func(g readGroup) bool { return len(g.readers) == 0 })
}

// withoutDone removes the callers that were answered.
func withoutDone(readers []*reader) []*reader {
	return slices.DeleteFunc(readers, func(one *reader) bool { return one.done })
}

// resolveRead takes the core's answer to a barrier.
func (l *Loop) resolveRead(result raft.ReadResult) {
	r := &l.readers
	i := slices.IndexFunc(r.groups, func(g readGroup) bool { return g.id == result.ID })
	if i < 0 {
		return
	}
	group := r.groups[i]
	r.groups = slices.Delete(r.groups, i, i+1)
	if result.Reason != raft.ReasonNone {
		r.refused = append(r.refused, group.readers...)
		return
	}
	group.index = result.Index
	for _, one := range group.readers {
		one.confirmed = true
	}
	at, _ := slices.BinarySearchFunc(r.waiting, group.index, func(g readGroup, index raft.Index) int {
		if g.index <= index {
			return -1
		}
		return 1
	})
	r.waiting = slices.Insert(r.waiting, at, group)
}

// releaseReads answers the callers whose index has been applied.
func (l *Loop) releaseReads() {
	r := &l.readers
	n := 0
	for n < len(r.waiting) && r.waiting[n].index <= l.applied {
		for _, one := range r.waiting[n].readers {
			l.finishRead(one, Answer{Index: l.applied, ifParked: ErrParked})
		}
		n++
	}
	r.waiting = slices.Delete(r.waiting, 0, n)
}

// cancelRead answers a caller that waits no longer.
func (l *Loop) cancelRead(one *reader) {
	if one.confirmed {
		l.finishRead(one, Answer{Err: ErrNotCaughtUp})
		return
	}
	l.finishRead(one, Answer{Err: ErrNoLeader})
}

func (l *Loop) finishRead(one *reader, a Answer) {
	if one.done {
		return
	}
	one.done = true
	delete(l.readers.byID, one.id)
	a.ID = one.id
	l.answer(a)
}
