package replica

import (
	"slices"

	"github.com/conclave-dev/conclave/pkg/raft"
)

// proposals tracks what became of each proposal until it is answered. One is
// queued while it is with this loop, sent once the core has it, placed once its
// index and term are known, and answered when that index is applied.
type proposals struct {
	byID map[raft.RequestID]*proposal
	// byAttempt finds a sent proposal by the ID under which the core got it. Each
	// time it is offered it gets a new one, so that a repeated refusal of an
	// earlier attempt can't be taken for that of a later one.
	byAttempt map[raft.RequestID]*proposal
	// queued wait for the next call of the core, refused for the next tick: they
	// were certainly not appended, so they may be offered again.
	queued  []*proposal
	refused []*proposal
	// sent lists proposals whose place is not known, in order; those that have
	// moved on are skipped.
	sent []*proposal
	// placed finds a proposal by the index of its entry.
	placed map[raft.Index]*proposal
	bytes  int

	// results keeps the latest applied entries' results while proposals are sent:
	// a forwarded one may be applied here before the leader's word arrives of
	// where it was placed.
	results     map[raft.Index]appliedResult
	resultsFrom raft.Index
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
	// attempt is the ID under which the core got it last.
	attempt raft.RequestID
	// leader and sentTerm tell whom the core gave it to.
	leader   raft.MemberID
	sentTerm raft.Term
	index    raft.Index
	term     raft.Term
}

type appliedResult struct {
	term   raft.Term
	result any
}

// maxKeptResults bounds proposals.results.
const maxKeptResults = 16384

func newProposals() proposals {
	return proposals{
		byID:      map[raft.RequestID]*proposal{},
		byAttempt: map[raft.RequestID]*proposal{},
		placed:    map[raft.Index]*proposal{},
		results:   map[raft.Index]appliedResult{},
	}
}

// propose takes a new proposal, or refuses it.
func (l *Loop) propose(e Proposed) {
	p := &l.proposals
	if len(e.Data) > l.maxCommandBytes {
		l.answer(Answer{ID: e.ID, Err: ErrTooLarge})
		return
	}
	if len(p.byID) >= l.options.MaxProposals || p.bytes+len(e.Data) > l.options.MaxProposalBytes {
		l.answer(Answer{ID: e.ID, Err: ErrOverloaded})
		return
	}
	one := &proposal{id: e.ID, data: e.Data, frees: e.FreesSpace}
	p.byID[e.ID] = one
	p.bytes += len(e.Data)
	p.queued = append(p.queued, one)
}

// flushProposals hands the queued proposals to the core once a leader is known.
func (l *Loop) flushProposals() {
	leader, term := l.core.Leader()
	if leader == raft.NoMember || len(l.proposals.queued) == 0 {
		return
	}
	batch := make([]raft.Proposal, 0, len(l.proposals.queued))
	for _, p := range l.proposals.queued {
		if p.state == proposalDone {
			continue
		}
		p.state, p.leader, p.sentTerm, p.attempt = proposalSent, leader, term, l.newID()
		l.proposals.byAttempt[p.attempt] = p
		l.proposals.sent = append(l.proposals.sent, p)
		batch = append(batch, raft.Proposal{ID: p.attempt, Data: p.data, FreesSpace: p.frees})
	}
	l.proposals.queued = nil
	l.core.Propose(batch...)
}

// retryRefused queues what was refused before the last tick.
func (l *Loop) retryRefused() {
	l.proposals.queued = append(l.proposals.queued, l.proposals.refused...)
	l.proposals.refused = nil
}

// place notes where the core, or the leader, put a proposal.
func (l *Loop) place(r raft.ProposalResult) {
	p := l.proposals.byAttempt[r.ID]
	if p == nil {
		return
	}
	delete(l.proposals.byAttempt, r.ID)
	switch r.Reason {
	case raft.ReasonNone:
	case raft.ReasonOverloaded:
		l.finish(p, Answer{Err: ErrOverloaded})
		return
	case raft.ReasonDiskFull:
		l.finish(p, Answer{Err: ErrDiskFull})
		return
	case raft.ReasonTooLarge:
		l.finish(p, Answer{Err: ErrTooLarge})
		return
	default:
		p.state = proposalQueued
		l.proposals.refused = append(l.proposals.refused, p)
		return
	}
	p.state, p.index, p.term = proposalPlaced, r.Index, r.Term
	if r.Index > l.applied {
		if other := l.proposals.placed[r.Index]; other != nil && other != p {
			// Of two proposals placed at one index, in different terms, the
			// older was overwritten or will be; which one stays is not known
			// yet, so the older is let go.
			l.settleOlder(other, p)
			return
		}
		l.proposals.placed[r.Index] = p
		return
	}
	kept, ok := l.proposals.results[r.Index]
	l.settle(p, kept.term, kept.result, ok)
}

// settleOlder resolves a clash of two proposals at one index.
func (l *Loop) settleOlder(a, b *proposal) {
	if a.term > b.term {
		a, b = b, a
	}
	l.proposals.placed[b.index] = b
	l.finish(a, Answer{Err: ErrOutcomeUnknown})
}

// settle answers a proposal whose index has been applied. Another term at that
// index means that its entry was overwritten and can never take effect, so it is
// offered again.
func (l *Loop) settle(p *proposal, term raft.Term, result any, known bool) {
	switch {
	case !known:
		l.finish(p, Answer{Err: ErrOutcomeUnknown})
	case term == p.term:
		l.finish(p, Answer{Index: p.index, Result: result})
	default:
		p.state = proposalQueued
		l.proposals.refused = append(l.proposals.refused, p)
	}
}

// settleApplied answers the proposals among applied entries.
func (l *Loop) settleApplied(entries []raft.Entry, results []any) {
	p := &l.proposals
	keep := p.hasSent()
	if !keep && len(p.results) > 0 {
		clear(p.results)
	}
	for i := range entries {
		e := &entries[i]
		if one := p.placed[e.Index]; one != nil {
			delete(p.placed, e.Index)
			l.settle(one, e.Term, results[i], true)
		}
		if !keep {
			continue
		}
		if len(p.results) == 0 {
			p.resultsFrom = e.Index
		}
		p.results[e.Index] = appliedResult{term: e.Term, result: results[i]}
		for len(p.results) > maxKeptResults {
			delete(p.results, p.resultsFrom)
			p.resultsFrom++
		}
	}
}

// settleRestored gives up on what a restored snapshot has passed over: whether
// those entries took effect can't be told any more.
func (l *Loop) settleRestored(upTo raft.Index) {
	var passed []raft.Index
	for index := range l.proposals.placed {
		if index <= upTo {
			passed = append(passed, index)
		}
	}
	slices.Sort(passed)
	for _, index := range passed {
		one := l.proposals.placed[index]
		delete(l.proposals.placed, index)
		l.finish(one, Answer{Err: ErrOutcomeUnknown})
	}
	clear(l.proposals.results)
}

// hasSent tells whether any proposal's place is not known, and forgets those
// that have moved on.
func (p *proposals) hasSent() bool {
	for len(p.sent) > 0 && p.sent[0].state != proposalSent {
		p.sent = p.sent[1:]
	}
	return len(p.sent) > 0
}

// dropLost answers proposals that were sent to a leader which this member no
// longer follows: they may have arrived, and are never sent again.
func (l *Loop) dropLost() {
	leader, term := l.core.Leader()
	if !l.proposals.hasSent() {
		l.proposals.sent = nil
		return
	}
	var still []*proposal
	for _, p := range l.proposals.sent {
		switch {
		case p.state != proposalSent:
		case p.leader == leader && p.sentTerm == term:
			still = append(still, p)
		default:
			l.finish(p, Answer{Err: ErrOutcomeUnknown})
		}
	}
	l.proposals.sent = still
}

// cancelProposal answers a proposal whose caller waits no longer.
func (l *Loop) cancelProposal(p *proposal) {
	if p.state == proposalQueued {
		l.finish(p, Answer{Err: ErrNoLeader})
		return
	}
	l.finish(p, Answer{Err: ErrOutcomeUnknown})
}

// finish answers a proposal and forgets it.
func (l *Loop) finish(p *proposal, a Answer) {
	if p.state == proposalPlaced && l.proposals.placed[p.index] == p {
		delete(l.proposals.placed, p.index)
	}
	delete(l.proposals.byAttempt, p.attempt)
	p.state = proposalDone
	l.proposals.bytes -= len(p.data)
	p.data = nil
	delete(l.proposals.byID, p.id)
	a.ID = p.id
	l.answer(a)
}
