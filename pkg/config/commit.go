package config

import "unique"

// write replaces the entry of one key.
type write struct {
	// old is the live entry, nil when the key is absent.
	old *Entry
	// next is of the revision that is being made; a tombstone deletes the key.
	next *Entry
}

// successor returns the entry that a put makes of a key with the next revision;
// old is the live one, nil when the key is absent.
func (s *State) successor(old *Entry, key string, value []byte, mediaType string) *Entry {
	next := &Entry{
		Key: key, Value: value,
		// A store holds few media types, many times each.
		MediaType:      unique.Make(mediaType).Value(),
		CreateRevision: s.revision + 1, ModRevision: s.revision + 1, Version: 1,
		TimeMillis: s.turn.stamp.TimeMillis,
	}
	if old != nil {
		next.Key, next.CreateRevision, next.Version = old.Key, old.CreateRevision, old.Version+1
	}
	return next
}

// tombstone returns the entry that deletes a key with the next revision.
func (s *State) tombstone(old *Entry) *Entry {
	return &Entry{Key: old.Key, ModRevision: s.revision + 1, TimeMillis: s.turn.stamp.TimeMillis}
}

// growth is what writes of different keys add to the live bytes of a space. A
// nil space is an empty one.
func (s *space) growth(writes ...write) (bytes int64) {
	before := 0
	if s != nil {
		before = s.entries.Len()
	}
	after := before
	for _, w := range writes {
		if w.old != nil {
			bytes -= w.old.chargeBytes()
			after--
		}
		if !w.next.Deleted() {
			bytes += w.next.chargeBytes()
			after++
		}
	}
	if before == 0 && after > 0 {
		bytes += namespaceOverheadBytes
	}
	if before > 0 && after == 0 {
		bytes -= namespaceOverheadBytes
	}
	return bytes
}

// offer commits writes of different keys of a namespace, unless their values
// were validated by other schemas or the quotas don't allow what they add. No
// writes make no revision.
func (s *State) offer(namespace, reason string, writes ...write) Outcome {
	if len(writes) == 0 {
		return OutcomeApplied
	}
	sp := s.space(namespace)
	if !s.validated(sp, writes) {
		return OutcomeSchemaRace
	}
	growth := sp.growth(writes...)
	if refusal := s.settings.admit(sp, s.bytes, growth); refusal != OutcomeApplied {
		return refusal
	}
	s.commit(namespace, reason, growth, writes...)
	return OutcomeApplied
}

// commit carries out writes of different keys of a namespace as one revision.
// Whatever changes keys comes through here, and nothing is refused any more:
// growth is what the writes were found to add.
func (s *State) commit(namespace, reason string, growth int64, writes ...write) {
	s.revision++
	sp := s.open(namespace)
	s.bytes += growth
	sp.bytes += growth
	s.keys -= sp.entries.Len()
	revision := newRevision(s.revision, len(writes))
	revision.TimeMillis, revision.Reason = s.turn.stamp.TimeMillis, reason
	revision.ageMillis = s.history.ageMillis
	for i, w := range writes {
		revision.Changes[i] = Change{Namespace: sp.name, Entry: w.next}
		s.changes.add(sp.name, w.next.Key)
		if w.old != nil {
			s.retire(sp, w.old)
		}
		if w.next.Deleted() {
			sp.entries.Delete(w.next.Key)
			s.retire(sp, w.next)
		} else {
			sp.entries.Set(w.next.Key, w.next)
		}
	}
	s.keys += sp.entries.Len()
	s.record(revision)
}
