package config

// What is kept of history unless it takes more than its bytes: both the
// revisions of so much time and so many of them.
const (
	defaultHistoryAgeMillis = 7 * 24 * 60 * 60 * 1000
	defaultHistoryRevisions = 10_000
	defaultHistoryBytes     = 256 << 20
)

// limits are the limits that the state keeps to. They are part of it: all
// members have the same.
type limits struct {
	// quotaBytes is what live keys and values may take in all.
	quotaBytes int64
	// historyAgeMillis and historyRevisions: a revision is pruned when it is
	// older than the one and there are more than the other.
	historyAgeMillis uint64
	historyRevisions uint64
	// historyBytes is what history may take. Beyond it the oldest is pruned,
	// whatever its age.
	historyBytes int64
}

// allow tells whether the quota lets so many live bytes grow. What shrinks them
// is always allowed.
func (l *limits) allow(liveBytes, growth int64) bool {
	return growth <= 0 || liveBytes+growth <= l.quotaBytes
}

var defaultLimits = limits{
	quotaBytes: defaultQuotaBytes, historyAgeMillis: defaultHistoryAgeMillis,
	historyRevisions: defaultHistoryRevisions, historyBytes: defaultHistoryBytes,
}

// pruneSteps is how many changes each index prunes at most, if it added nothing.
const pruneSteps = 256

// prune drops what history may no longer hold, oldest first. The work of one
// index is bounded: some steps, and more only until as many bytes are freed as
// the index itself added. So history never exceeds its limit by more than what
// one index can add, and no index pays for what others did.
func (s *State) prune() {
	h := &s.history
	for steps, target := 0, h.bytes-s.turn.added; steps < pruneSteps || h.bytes > target; steps++ {
		number, first, ok := h.journal.Min()
		if !ok {
			return
		}
		if number > h.oldest {
			if !s.overdue(first) {
				return
			}
			h.oldest = number
		}
		s.touchedHistory = true
		if h.pruned < len(first.Changes) {
			s.drop(number, first.Changes[h.pruned])
			h.pruned++
		}
		if h.pruned == len(first.Changes) {
			h.journal.Delete(number)
			h.bytes -= first.chargeBytes()
			h.pruned = 0
		}
	}
}

// overdue tells whether the first revision of the journal is to be pruned.
func (s *State) overdue(first *Revision) bool {
	h := &s.history
	return h.bytes > s.limits.historyBytes ||
		uint64(h.journal.Len()) > s.limits.historyRevisions && h.ageMillis-first.ageMillis > s.limits.historyAgeMillis
}

// drop forgets what a key was before a change, and the change itself where that
// was a deletion: without either the key is absent.
func (s *State) drop(number uint64, c Change) {
	sp := s.space(c.Namespace)
	s.touched[c.Namespace] = struct{}{}
	s.history.bytes -= changeOverheadBytes
	if before := sp.before(c.Entry.Key, number-1); before != nil {
		sp.older.Delete(before)
		s.history.bytes -= before.chargeBytes()
	}
	if c.Entry.Deleted() {
		sp.older.Delete(c.Entry)
		s.history.bytes -= c.Entry.chargeBytes()
	}
	if sp.older != nil && sp.older.Len() == 0 {
		sp.older = nil
		s.history.bytes -= namespaceOverheadBytes
	}
	if sp.empty() {
		s.spaces.Delete(c.Namespace)
	}
}
