package config

import (
	"iter"
	"strings"
)

// Oldest returns the oldest revision that can still be read at. History after
// it is complete.
func (v *View) Oldest() uint64 { return v.oldest }

// CheckRevision returns nil when the view can be read at a revision, and
// otherwise a PrunedError or an ErrFutureRevision.
func (v *View) CheckRevision(revision uint64) error {
	if revision < v.oldest {
		return &PrunedError{Revision: revision, Oldest: v.oldest}
	}
	if revision > v.Revision {
		return futureRevision(revision, v.Revision)
	}
	return nil
}

// GetAt returns the entry that a key had at a revision, or nil when it was
// absent. Its errors are those of CheckRevision.
func (v *View) GetAt(namespace, key string, revision uint64) (*Entry, error) {
	if err := v.CheckRevision(revision); err != nil {
		return nil, err
	}
	return v.space(namespace).at(key, revision), nil
}

// Scan walks over the entries that a namespace had at a revision under a prefix,
// in byte order of their keys. Its errors are those of CheckRevision.
func (v *View) Scan(namespace, prefix string, revision uint64) (iter.Seq[*Entry], error) {
	if err := v.CheckRevision(revision); err != nil {
		return nil, err
	}
	return func(yield func(*Entry) bool) {
		v.ascend(namespace, prefix, revision, func(key string, e *Entry) bool {
			return strings.HasPrefix(key, prefix) && (e == nil || yield(e))
		})
	}, nil
}

// Revisions walks over the revisions after one, oldest first. Its errors are
// those of CheckRevision: of a revision that was pruned nobody can tell any more
// what came right after it.
func (v *View) Revisions(after uint64) (iter.Seq[*Revision], error) {
	if err := v.CheckRevision(after); err != nil {
		return nil, err
	}
	return v.journal.from(after + 1), nil
}

// RevisionAt returns a revision by its number, or nil when none has it or it is
// pruned.
func (v *View) RevisionAt(number uint64) *Revision {
	if number <= v.oldest {
		return nil
	}
	return v.journal.get(number)
}

// History walks over what a key was up to a revision, newest first, deletions
// included. It ends with what the key was at Oldest.
func (v *View) History(namespace, key string, upTo uint64) iter.Seq[*Entry] {
	return func(yield func(*Entry) bool) {
		sp := v.space(namespace)
		if sp == nil {
			return
		}
		if live := sp.get(key); live != nil && live.ModRevision <= upTo {
			if !yield(live) || live.ModRevision <= v.oldest {
				return
			}
		}
		if sp.older == nil {
			return
		}
		sp.older.Descend(&Entry{Key: key, ModRevision: upTo}, func(e *Entry) bool {
			if e.Key != key || e.Deleted() && e.ModRevision <= v.oldest {
				return false
			}
			return yield(e) && e.ModRevision > v.oldest
		})
	}
}

// ascend visits the keys of a namespace from one on, each with the entry that it
// had at a revision. At an earlier revision than the view's it also visits, with
// a nil entry, keys that were absent then, so that the visitor can count them.
func (v *View) ascend(namespace, from string, revision uint64, visit func(key string, e *Entry) bool) {
	sp := v.space(namespace)
	if sp == nil {
		return
	}
	if revision == v.Revision {
		sp.entries.Ascend(from, visit)
		return
	}
	for key := range sp.keys(from) {
		if !visit(key, sp.at(key, revision)) {
			return
		}
	}
}

// keys walks, in byte order, over the keys from one on that have a live entry or
// an older one.
func (s *space) keys(from string) iter.Seq[string] {
	return func(yield func(string) bool) {
		live := s.entries.Iter()
		more := live.Seek(from)
		older := olderKeys{space: s}
		older.seek(from)
		for more || older.more {
			var key string
			if more && (!older.more || live.Key() <= older.key) {
				key = live.Key()
			} else {
				key = older.key
			}
			if !yield(key) {
				return
			}
			if more && live.Key() == key {
				more = live.Next()
			}
			if older.more && older.key == key {
				older.seek(after(key))
			}
		}
	}
}

// olderKeys walks over the keys that have older entries.
type olderKeys struct {
	space *space
	key   string
	more  bool
}

// seek goes to the first such key from one on.
func (o *olderKeys) seek(from string) {
	o.more = false
	if o.space.older == nil {
		return
	}
	o.space.older.Ascend(&Entry{Key: from}, func(e *Entry) bool {
		o.key, o.more = e.Key, true
		return false
	})
}
