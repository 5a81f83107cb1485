package replica

import (
	"slices"

	"github.com/conclave-dev/conclave/pkg/raft"
)

// snapshots decides when the state machine's state is written out, so that the
// log can be cut. One at a time is under way, in three steps: a frozen view is
// taken between two applications, it waits until the log up to it is durable,
// and the storage writes it.
type snapshots struct {
	// index and sizeBytes are those of the last snapshot.
	index     raft.Index
	sizeBytes int64
	// entries and bytes were applied since, or since the one that is being written;
	// orderedEntries and orderedBytes before that one.
	entries        int
	bytes          int64
	orderedEntries int
	orderedBytes   int64
	// busy from the order of a view to the storage's word, saving from the order to
	// the storage.
	busy   bool
	saving bool
	viewed *Viewed
	// pauseTicks keeps a failed one from being tried again at once.
	pauseTicks int
	// asked are the callers who want one, oldest first.
	asked []snapshotRequest
	// held are snapshots from a leader that have arrived while the storage wrote one.
	held []raft.Message
}

// snapshotRequest is a caller who wants a snapshot that includes an index.
type snapshotRequest struct {
	id    raft.RequestID
	index raft.Index
}

// maxSnapshotRequests bounds the callers who wait for a snapshot. One snapshot
// serves them all.
const maxSnapshotRequests = 64

// retrySnapshotTicks is the pause after a failed snapshot: 10 s at 10 ms.
const retrySnapshotTicks = 1000

func (s *snapshots) tick() {
	if s.pauseTicks > 0 {
		s.pauseTicks--
	}
}

func (s *snapshots) applied(entries []raft.Entry) {
	s.entries += len(entries)
	for i := range entries {
		s.bytes += int64(entries[i].SizeBytes())
	}
}

// restored forgets a view that a received snapshot has overtaken, and that one of the
// former state failed.
func (s *snapshots) restored(index raft.Index) {
	s.index, s.entries, s.bytes = index, 0, 0
	s.orderedEntries, s.orderedBytes, s.pauseTicks = 0, 0, 0
	if s.viewed != nil {
		s.viewed, s.busy = nil, false
	}
}

// due tells whether somebody wants a snapshot, or the log has grown enough to be
// worth one. Wanted tells that another member does.
func (s *snapshots) due(o *LoopOptions, wanted bool) bool {
	if len(s.asked) > 0 {
		return !s.busy
	}
	if wanted && !s.busy && s.pauseTicks == 0 {
		return true
	}
	return !s.busy && s.pauseTicks == 0 && s.bytes >= s.sizeBytes &&
		(s.entries >= o.SnapshotEntries || s.bytes >= o.SnapshotBytes)
}

// planSnapshot orders the next step.
func (l *Loop) planSnapshot() {
	s := &l.snapshots
	if l.core.Space() == raft.SpaceFull {
		// What is left belongs to the log.
		l.failSnapshots(ErrDiskFull)
		if s.viewed != nil {
			s.viewed, s.busy = nil, false
		}
		return
	}
	if l.parked {
		// A state that may be wrong is written nowhere.
		if s.viewed != nil {
			s.viewed, s.busy = nil, false
		}
		return
	}
	if s.due(&l.options, l.core.SnapshotWanted()) && l.restoring == nil {
		s.busy = true
		l.effects.TakeSnapshot = true
	}
	if s.viewed == nil {
		return
	}
	if s.viewed.Index <= l.core.SnapshotIndex() {
		// A received snapshot has overtaken it.
		s.viewed, s.busy = nil, false
		l.settleSnapshots(l.core.SnapshotIndex())
		return
	}
	if s.viewed.Index > l.core.Durable() {
		return
	}
	l.effects.SaveSnapshot = &SaveSnapshot{Meta: l.core.SnapshotMeta(s.viewed.Index), Write: s.viewed.Write}
	s.viewed, s.saving = nil, true
	// What is applied from here on counts towards the next one, and all of it should
	// this one fail.
	s.orderedEntries, s.orderedBytes = s.entries, s.bytes
	s.entries, s.bytes = 0, 0
}

// snapshotSaved takes the word of the storage.
func (l *Loop) snapshotSaved(e SnapshotSaved) {
	s := &l.snapshots
	s.busy, s.saving = false, false
	defer l.releaseHeld()
	if e.Err != nil {
		s.pauseTicks = retrySnapshotTicks
		s.entries += s.orderedEntries
		s.bytes += s.orderedBytes
		l.failSnapshots(e.Err)
		return
	}
	if e.Meta.Index > s.index {
		s.index, s.sizeBytes = e.Meta.Index, e.SizeBytes
	}
	l.core.SnapshotSaved(e.Meta, e.Base)
	l.settleSnapshots(e.Meta.Index)
}

// askSnapshot takes a caller's wish for a snapshot of what is applied by now.
func (l *Loop) askSnapshot(e SnapshotAsked) {
	s := &l.snapshots
	switch {
	case l.parked:
		l.answer(Answer{ID: e.ID, Err: ErrParked})
	case l.applied <= s.index:
		l.answer(Answer{ID: e.ID, Index: s.index})
	case len(s.asked) >= maxSnapshotRequests:
		l.answer(Answer{ID: e.ID, Err: ErrOverloaded})
	default:
		s.asked = append(s.asked, snapshotRequest{id: e.ID, index: l.applied})
	}
}

// settleSnapshots answers the callers who are served by a snapshot at index.
func (l *Loop) settleSnapshots(index raft.Index) {
	s := &l.snapshots
	for len(s.asked) > 0 && s.asked[0].index <= index {
		l.answer(Answer{ID: s.asked[0].id, Index: index})
		s.asked = s.asked[1:]
	}
}

// failSnapshots answers all callers with an error.
func (l *Loop) failSnapshots(err error) {
	for _, request := range l.snapshots.asked {
		l.answer(Answer{ID: request.id, Err: err})
	}
	l.snapshots.asked = nil
}

// cancelSnapshot answers a caller who waits no longer; the snapshot may still be
// taken.
func (l *Loop) cancelSnapshot(id raft.RequestID) {
	s := &l.snapshots
	n := slices.IndexFunc(s.asked, func(r snapshotRequest) bool { return r.id == id })
	if n >= 0 {
		s.asked = slices.Delete(s.asked, n, n+1)
		l.answer(Answer{ID: id, Err: ErrOutcomeUnknown})
	}
}
