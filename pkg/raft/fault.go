package raft

// A member whose storage has lost what it had acknowledged is faulty (State.Faulty).
// Its acknowledgements may have committed entries that it holds no more, so it must
// not help to elect a leader that lacks them (Leader Completeness, section 5.4.3).
// The paper assumes that disks keep what was written; the rules here are ours, after
// Alagappan et al., "Protocol-Aware Recovery for Consensus-Based Storage" (FAST 2018):
//
//   - it never stands for election, not even when its leader asks it to;
//   - it judges candidates by the watermark, the end of the log that it once had,
//     unless its present log has grown beyond it;
//   - it acknowledges entries as others do: each acknowledgement vouches only for
//     what was checked against the leader's log;
//   - it is whole again once the last entry on its disk is at least as up to date as
//     the watermark.
//
// The watermark itself stays where it is until then. A truncation doesn't lower it:
// a disk that lost its latest writes may come back with an older log, so what the
// leader overwrites need not be what was lost. Nor does a snapshot that ends below
// it, since what was lost beyond that may be committed. Nothing waits for ever for
// this: the entry that opens the term of a later leader is more up to date than any
// watermark, and the leader of the watermark's own term has everything up to it.
//
// Why the last rule suffices: what a member acknowledged can have been committed
// only together with an entry of the acknowledged leader's own term (section 5.4.2),
// so the watermark is at least of that term. A log that ends with an entry of the
// watermark's term at its index or after holds the watermark's entry and all before
// it (Log Matching); one that ends with a later term was checked against a later
// leader's, which has everything that is committed.
//
// When so many members are faulty that the others can't elect anyone, nobody is
// elected until a disk comes back or an operator gives up what was lost (forced
// recovery). That is on purpose: no one is left who could tell what was committed.

// logEnd is where the log ends in memory.
func (r *Raft) logEnd() LogPosition {
	return LogPosition{Index: r.log.last, Term: r.log.lastTerm()}
}

// upToDate tells whether a candidate's log that ends at the given position holds
// at least what this member has acknowledged (section 5.4.1).
func (r *Raft) upToDate(candidate LogPosition) bool {
	return candidate.UpToDate(r.logEnd()) && (!r.faulty || candidate.UpToDate(r.watermark))
}

// endFault makes a faulty member whole once its disk holds enough again.
func (r *Raft) endFault() {
	if !r.faulty {
		return
	}
	term, ok := r.log.term(r.log.durable)
	if ok && (LogPosition{Index: r.log.durable, Term: term}).UpToDate(r.watermark) {
		r.faulty, r.watermark = false, LogPosition{}
	}
}
