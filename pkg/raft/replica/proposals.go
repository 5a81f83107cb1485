package replica

import (
	"github.com/conclave-dev/conclave/pkg/raft"
)

// proposals tracks what became of each proposal until it is answered. One is
// queued while it waits for a leader, sent once it was offered to one, placed
// once that leader has said that it appended it, and answered when the first copy
// of it is applied here. It is offered again, under the same origin, whenever its
// last offer has come to nothing or may have.
type proposals struct {
	// member and boot are those of every origin.
	member raft.MemberID
	boot   uint64

	byID map[raft.RequestID]*proposal
	// byAttempt finds a sent proposal by the ID under which the core got it. Each
	// time it is offered it gets a new one, so that a repeated refusal of an
	// earlier attempt can't be taken for that of a later one.
	byAttempt map[raft.RequestID]*proposal
	// queued wait for the next call of the core, refused for the end of their pause.
	queued  []*proposal
	refused []*proposal
	// open lists what was offered by sequence: the first has sequence answered+1,
	// and all up to answered are done.
	open     []*proposal
	answered uint64
	bytes    int

	// ticks counts ticks, and appliedTerm is the term of the last applied entry.
	ticks       uint64
	appliedTerm raft.Term
}

type proposalState uint8

const (
	proposalQueued proposalState = 0
	proposalSent   proposalState = 1
	proposalPlaced proposalState = 2
	proposalDone   proposalState = 3
)

type proposal struct {
	id    raft.RequestID
	data  []byte
	frees bool
	state proposalState
	// sequence is that of its origin, 0 before it is offered for the first time.
	sequence uint64
	// attempt is the ID under which the core got it last, in which term, and at
	// which tick.
	attempt     raft.RequestID
	term        raft.Term
	offeredTick uint64
	// index is where it was placed.
	index raft.Index
	// pause is how many ticks after its last offer it may be offered to the same
	// leader again, which refused it.
	pause uint64
	// doubt is the last term in which an earlier offer may have got it into the
	// log, 0 when none did; passed tells that a snapshot was restored that may hold
	// it.
	doubt  raft.Term
	passed bool
}

// doubtful tells that a refusal of the last offer proves nothing.
func (one *proposal) doubtful() bool { return one.passed || one.doubt != 0 }

// resendTicks is when a proposal is offered again to the same leader, because it
// has not said a word of it: the message or the answer may be lost. A leader
// answers at once, and a connection that broke is noticed no sooner.
const resendTicks = 100

// minPauseTicks is the pause before a proposal is offered again to a leader that had
// no room for it. It doubles each time, up to maxPauseTicks: each offer carries the
// data.
const (
	minPauseTicks = 20
	maxPauseTicks = 100
)

func newProposals(o *LoopOptions) proposals {
	return proposals{
		member: o.Core.ID, boot: o.Boot, appliedTerm: o.State.Snapshot.Term,
		byID:      map[raft.RequestID]*proposal{},
		byAttempt: map[raft.RequestID]*proposal{},
	}
}

// propose takes a new proposal, or refuses it.
func (l *Loop) propose(e Proposed) {
	p := &l.proposals
	if len(e.Data) > l.maxCommandBytes {
		l.answer(Answer{ID: e.ID, Err: ErrTooLarge})
		return
	}
	if l.parked {
		l.answer(Answer{ID: e.ID, Err: ErrParked})
		return
	}
	if len(p.byID) >= l.options.MaxProposals || p.bytes+len(e.Data) > l.options.MaxProposalBytes {
		l.answer(Answer{ID: e.ID, Err: ErrOverloaded})
		return
	}
	one := &proposal{id: e.ID, data: e.Data, frees: e.FreesSpace}
	p.byID[e.ID] = one
	p.bytes += len(e.Data)
	p.queue(one)
}

// queue adds a proposal behind those that wait for a leader. Callers that gave up
// leave theirs behind; they are cleared away when they are the greater part.
func (p *proposals) queue(one *proposal) {
	if len(p.queued) > 2*len(p.byID)+64 {
		waiting := p.queued[:0]
		for _, other := range p.queued {
			if other.state == proposalQueued {
				waiting = append(waiting, other)
			}
		}
		clear(p.queued[len(waiting):])
		p.queued = waiting
	}
	p.queued = append(p.queued, one)
}

// requeue puts proposals before all others that wait for a leader: those that
// have a sequence never wait for one that has none.
func (p *proposals) requeue(again []*proposal) {
	if len(again) > 0 {
		p.queued = append(again, p.queued...)
	}
}

// flushProposals hands the queued proposals to the core once a leader is known, as
// many as may be under way.
func (l *Loop) flushProposals() {
	p := &l.proposals
	leader, term := l.core.Leader()
	if leader == raft.NoMember || len(p.queued) == 0 {
		return
	}
	batch := make([]raft.Proposal, 0, len(p.queued))
	n := 0
	for ; n < len(p.queued); n++ {
		one := p.queued[n]
		if one.state == proposalDone {
			continue
		}
		if one.sequence == 0 {
			if len(p.open) == raft.MaxUnanswered {
				break
			}
			p.open = append(p.open, one)
			one.sequence = p.answered + uint64(len(p.open))
		}
		one.state, one.term, one.offeredTick, one.attempt = proposalSent, term, p.ticks, l.newID()
		p.byAttempt[one.attempt] = one
		batch = append(batch, raft.Proposal{
			ID: one.attempt, Data: one.data, FreesSpace: one.frees,
			Origin: raft.Origin{Member: p.member, Boot: p.boot, Sequence: one.sequence, Answered: p.answered},
		})
	}
	p.queued = p.queued[n:]
	if len(p.queued) == 0 {
		p.queued = nil
	}
	if len(batch) > 0 {
		l.core.Propose(batch...)
	}
}

// tickProposals queues what was refused and has paused, or can be offered to another
// leader, and what a leader has not said a word of.
func (l *Loop) tickProposals() {
	p := &l.proposals
	p.ticks++
	_, term := l.core.Leader()
	var again []*proposal
	paused := p.refused[:0]
	for _, one := range p.refused {
		switch {
		case one.state == proposalDone:
		case one.term != term || p.ticks-one.offeredTick >= one.pause:
			again = append(again, one)
		default:
			paused = append(paused, one)
		}
	}
	clear(p.refused[len(paused):])
	p.refused = paused
	if p.ticks%(resendTicks/10) == 0 {
		for _, one := range p.open {
			if one.state == proposalSent && p.ticks-one.offeredTick >= resendTicks {
				one.doubt = one.term
				again = append(again, p.takeBack(one))
			}
		}
	}
	p.requeue(again)
}

// takeBack makes a proposal wait for a leader again.
func (p *proposals) takeBack(one *proposal) *proposal {
	delete(p.byAttempt, one.attempt)
	one.state = proposalQueued
	return one
}

// place notes that the core, or the leader, appended a proposal, or deals with its
// refusal. A refusal is final for the attempt, save by a member that doesn't lead any
// more; unless an attempt is in doubt, the proposal was certainly not appended.
func (l *Loop) place(r raft.ProposalResult) {
	one := l.proposals.byAttempt[r.ID]
	if one == nil {
		return
	}
	if r.Reason == raft.ReasonNone {
		delete(l.proposals.byAttempt, r.ID)
		one.state, one.index = proposalPlaced, r.Index
		return
	}
	var err error
	switch r.Reason {
	case raft.ReasonOverloaded:
		err = ErrOverloaded
	case raft.ReasonDiskFull:
		err = ErrDiskFull
	case raft.ReasonTooLarge:
		err = ErrTooLarge
	case raft.ReasonNotLeader:
		one.doubt = one.term
	}
	if err != nil && !one.doubtful() {
		l.finish(one, Answer{Err: err})
		return
	}
	one.pause = one.nextPause(err != nil)
	l.proposals.refused = append(l.proposals.refused, l.proposals.takeBack(one))
}

// nextPause returns the pause after a refusal: none to speak of, unless there was no
// room.
func (one *proposal) nextPause(noRoom bool) uint64 {
	if !noRoom {
		return 0
	}
	return min(max(2*one.pause, minPauseTicks), maxPauseTicks)
}

// settleApplied answers the proposals among applied entries, and offers again those
// that can't follow any more: a proposal gets into the log in the term in which it
// was offered or not at all, and the terms of a log only grow.
func (l *Loop) settleApplied(entries []raft.Entry, results []any) {
	p := &l.proposals
	for i := range entries {
		e := &entries[i]
		if e.Origin.Member != p.member || e.Origin.Boot != p.boot {
			continue
		}
		if at := e.Origin.Sequence - p.answered - 1; at < uint64(len(p.open)) && p.open[at].state != proposalDone {
			l.finish(p.open[at], Answer{Index: e.Index, Result: results[i], ifParked: ErrOutcomeUnknown})
		}
	}
	term := entries[len(entries)-1].Term
	if term == p.appliedTerm {
		return
	}
	p.appliedTerm = term
	var again []*proposal
	for _, one := range p.open {
		if one.state == proposalDone {
			continue
		}
		if one.doubt < term {
			one.doubt = 0
		}
		if one.state != proposalQueued && one.term < term {
			again = append(again, p.takeBack(one))
		}
	}
	p.requeue(again)
}

// settleRestored offers again what a restored snapshot may hold: the state machine
// knows the result. What was placed behind the snapshot, in an earlier term than that
// of its end, is offered again too: the terms of a log only grow, so it is gone.
func (l *Loop) settleRestored(meta *raft.SnapshotMeta) {
	p := &l.proposals
	p.appliedTerm = meta.Term
	var again []*proposal
	for _, one := range p.open {
		switch {
		case one.state == proposalDone:
		case one.state == proposalPlaced && one.index > meta.Index && !one.doubtful():
			if one.term < meta.Term {
				again = append(again, p.takeBack(one))
			}
		case one.state == proposalQueued && !one.doubtful():
		default:
			one.passed = true
			if one.state != proposalQueued {
				again = append(again, p.takeBack(one))
			}
		}
	}
	p.requeue(again)
}

// giveUp answers a proposal that is offered no more: with err when it certainly
// never gets into the log.
func (one *proposal) giveUp(l *Loop, err error) {
	if one.state != proposalQueued || one.doubtful() {
		err = ErrOutcomeUnknown
	}
	l.finish(one, Answer{Err: err})
}

// finish answers a proposal and forgets it.
func (l *Loop) finish(one *proposal, a Answer) {
	p := &l.proposals
	delete(p.byAttempt, one.attempt)
	delete(p.byID, one.id)
	one.state = proposalDone
	p.bytes -= len(one.data)
	one.data = nil
	for len(p.open) > 0 && p.open[0].state == proposalDone {
		p.open[0] = nil
		p.open = p.open[1:]
		p.answered++
	}
	a.ID = one.id
	l.answer(a)
}
