package config

// pruneSteps is how many changes each index prunes at most, if it added nothing.
const pruneSteps = 256

// prune drops what history may no longer hold, oldest first. The work of one
// index is bounded: some steps, and more only until as many bytes are freed as
// the index itself added. So history never exceeds its limit by more than what
// one index can add, and no index pays for what others did.
func (s *State) prune() {
	h := &s.history
	for steps, target := 0, h.bytes-s.turn.added; steps < pruneSteps || h.bytes > target; steps++ {
		first := h.journal.first()
		if first == nil {
			return
		}
		if first.Number > h.oldest {
			if !s.overdue(first) {
				return
			}
			h.oldest = first.Number
		}
		if h.pruned < len(first.Changes) {
			s.drop(first.Number, first.Changes[h.pruned])
			h.pruned++
		}
		if h.pruned == len(first.Changes) {
			h.journal.pop()
			h.bytes -= first.chargeBytes()
			h.pruned = 0
		}
	}
}

// overdue tells whether the first revision of the journal is to be pruned.
func (s *State) overdue(first *Revision) bool {
	h := &s.history
	return h.bytes > s.settings.HistoryBytes ||
		uint64(h.journal.length) > s.settings.HistoryRevisions && h.ageMillis-first.ageMillis > s.settings.HistoryAgeMillis
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
	s.release(sp)
}
