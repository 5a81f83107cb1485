package replica

import (
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
	// entries and bytes were applied since.
	entries int
	bytes   int64
	// busy from the order of a view to the storage's word.
	busy   bool
	viewed *Viewed
	// pauseTicks keeps a failed one from being tried again at once.
	pauseTicks int
}

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

// restored forgets a view that a received snapshot has overtaken.
func (s *snapshots) restored(index raft.Index) {
	s.index, s.entries, s.bytes = index, 0, 0
}

// due tells whether the log has grown enough to be worth a snapshot.
func (s *snapshots) due(o *LoopOptions) bool {
	return !s.busy && s.pauseTicks == 0 && s.bytes >= s.sizeBytes &&
		(s.entries >= o.SnapshotEntries || s.bytes >= o.SnapshotBytes)
}

// planSnapshot orders the next step.
func (l *Loop) planSnapshot() {
	s := &l.snapshots
	if s.due(&l.options) && l.restoring == nil {
		s.busy = true
		l.effects.TakeSnapshot = true
	}
	if s.viewed == nil {
		return
	}
	if s.viewed.Index <= l.core.SnapshotIndex() {
		// A received snapshot has overtaken it.
		s.viewed, s.busy = nil, false
		return
	}
	if s.viewed.Index > l.core.Durable() {
		return
	}
	l.effects.SaveSnapshot = &SaveSnapshot{Meta: l.core.SnapshotMeta(s.viewed.Index), Write: s.viewed.Write}
	s.viewed = nil
	// What is applied from here on counts towards the next one.
	s.entries, s.bytes = 0, 0
}

// snapshotSaved takes the word of the storage.
func (l *Loop) snapshotSaved(e SnapshotSaved) {
	s := &l.snapshots
	s.busy = false
	if e.Err != nil {
		s.pauseTicks = retrySnapshotTicks
		s.entries = l.options.SnapshotEntries
		return
	}
	if e.Meta.Index > s.index {
		s.index, s.sizeBytes = e.Meta.Index, e.SizeBytes
	}
	l.core.SnapshotSaved(e.Meta, e.Base)
}
