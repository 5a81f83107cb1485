package badgerlog

import (
	"fmt"
	"path/filepath"
	"slices"
	"time"

	"github.com/conclave-dev/conclave/pkg/raft"
)

// settle compares the log with the watermark, decides on the hard state and on
// whether the member is faulty, and makes the outcome durable. found tells
// whether the log had records.
func (l *Log) settle(found bool) error {
	w := l.mark.get()
	if err := l.verifyWatermark(w.end); err != nil {
		return err
	}
	hard, twice := l.hardState(w)
	// The head vouches for entries too: those that a power cut did not leave the
	// watermark time to count.
	acknowledged := w.end
	if found && l.promised.covers(acknowledged) {
		acknowledged = l.promised
	}
	end := l.head.end
	l.faulty = twice || !end.covers(acknowledged)
	next := watermark{end: end, term: hard.Term, vote: hard.Vote}
	if l.faulty {
		next.end = acknowledged
		l.state.Faulty = true
		l.state.Watermark = acknowledged.seen()
		l.options.Logger.Error("the log lost what was acknowledged; the member is faulty until it has got it back",
			"last", end.index, "last_term", end.term, "watermark", acknowledged.index, "watermark_term", acknowledged.term)
	}
	if err := l.mark.write(next); err != nil {
		return err
	}
	if err := l.mark.sync(); err != nil {
		return err
	}
	settled := head{hard: hard, end: end}
	if found && settled == l.head && end == l.promised || !found && next == (watermark{}) {
		return nil
	}
	return l.rebase(l.base, settled)
}

// verifyWatermark compares the log with the watermark where it holds that entry.
// The same term there with another hash is the work of no leader: then no entry
// can be trusted. Another term is: the log is one that this member had at
// another time, and how far it goes decides what it is worth.
func (l *Log) verifyWatermark(mark position) error {
	v := l.view.Load()
	if mark.index < v.base || mark.index > v.last || v.term(mark.index) != mark.term {
		return nil
	}
	chain, err := l.chainAt(mark.index)
	if err != nil || chain == mark.chain {
		return err
	}
	return damaged("entry %d is not the one that was acknowledged: the chain hash differs", mark.index)
}

// hardState returns the higher term of head and watermark, and in equal terms
// the vote that there is. Two votes in one term can't both be true, so none is
// left to give: the member counts as having voted for itself, and twice tells it.
func (l *Log) hardState(w watermark) (hard raft.HardState, twice bool) {
	hard = l.head.hard
	switch {
	case w.term > hard.Term:
		hard.Term, hard.Vote = w.term, w.vote
	case w.term < hard.Term || w.vote == raft.NoMember || w.vote == hard.Vote:
	case hard.Vote == raft.NoMember:
		hard.Vote = w.vote
	default:
		hard.Vote, twice = l.identity.Member, true
	}
	hard.Commit = min(hard.Commit, l.head.end.index)
	return hard, twice
}

// beginEmpty begins a log of which no record is left, or which never had one.
// It begins at the newest whole snapshot file that the watermark vouches for: a
// snapshot holds committed entries only, and one at or below what this member
// had acknowledged is one that it had in its log or installed. One above was
// received and may not have been installed, so it is ignored.
func (l *Log) beginEmpty() error {
	dir := filepath.Join(l.dir, snapshotDirectory)
	names, err := namesIn(dir, "*"+snapshotSuffix)
	if err != nil {
		return err
	}
	// The names are made of numbers of fixed width, and sort by them.
	for _, name := range slices.Backward(names) {
		path := filepath.Join(dir, name)
		meta, _, err := verifySnapshot(path, l.identity.ClusterID)
		if err != nil || path != l.snapshotPath(meta, snapshotSuffix) || !l.mark.get().vouchesFor(meta) {
			l.options.Logger.Warn("a snapshot is not used to begin the log", "file", path, "error", err)
			continue
		}
		l.base = base{at: meta, snapshots: []raft.SnapshotMeta{meta}}
		l.state.Memberships = []raft.MembershipAt{{Index: meta.MembershipIndex, Membership: meta.Membership}}
		break
	}
	at := l.base.position()
	l.head = head{hard: raft.HardState{Commit: at.index}, end: at}
	l.publish(&view{base: at.index, last: at.index, snapshots: l.base.snapshots,
		terms: []raft.TermRun{{Term: at.term, First: at.index}}})
	return nil
}

// vouchesFor tells whether the member had acknowledged a snapshot's last entry.
func (w watermark) vouchesFor(meta raft.SnapshotMeta) bool {
	at := position{index: meta.Index, term: meta.Term, chain: meta.ChainHash}
	if at.index == w.end.index {
		return at == w.end
	}
	return at.index < w.end.index && at.term <= w.end.term
}

// lowerWatermark makes it durable that the log may be cut behind keep, before it
// is. That of a faulty member stays: what is cut now need not be what was lost.
func (l *Log) lowerWatermark(keep position) error {
	w := l.mark.get()
	if l.faulty || keep.index >= w.end.index {
		return nil
	}
	w.end = keep
	if err := l.mark.write(w); err != nil {
		return err
	}
	return l.mark.sync()
}

// raiseWatermark follows the head once it is durable. The watermark of a faulty
// member waits until the log has caught up with it. A new term or vote is synced
// at once, the rest in the background.
func (l *Log) raiseWatermark() error {
	old := l.mark.get()
	next := watermark{end: l.head.end, term: l.head.hard.Term, vote: l.head.hard.Vote}
	if l.faulty && !next.end.covers(old.end) {
		next.end = old.end
	} else if l.faulty {
		l.faulty = false
		l.options.Logger.Info("the log has caught up with what was acknowledged; the member is whole again", "last", next.end.index)
	}
	if err := l.mark.write(next); err != nil {
		return err
	}
	if next.term == old.term && next.vote == old.vote {
		return nil
	}
	return l.mark.sync()
}

// keepWatermark syncs the watermark until the log is closed or has failed.
func (l *Log) keepWatermark() {
	ticks := l.options.watermarkTicks
	if ticks == nil {
		ticker := time.NewTicker(watermarkSyncInterval)
		defer ticker.Stop()
		ticks = ticker.C
	}
	for {
		select {
		case <-l.closing:
			return
		case <-l.failure.done:
			return
		case <-ticks:
		}
		if err := l.mark.sync(); err != nil {
			_ = l.failure.set(fmt.Errorf("save: %w", err))
			return
		}
	}
}
