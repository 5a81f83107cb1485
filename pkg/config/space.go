package config

import "github.com/tidwall/btree"

// space is the content of one namespace, in trees whose copies share what they
// have in common.
type space struct {
	name string
	// entries holds what is live, in byte order of the keys.
	entries btree.Map[string, *Entry]
	// older holds the entries that were replaced and the tombstones, as far as
	// history reaches; nil when there are none. It stands apart so that nobody
	// who reads what is live ever walks over it.
	older *versions
	// bytes is what the live entries count, the namespace's own overhead included.
	bytes int64
	// settings are the namespace's own, and settingsRevision the revision that
	// last changed them, 0 while there are none.
	settings         NamespaceSettings
	settingsRevision uint64
	// schemas holds the attached ones in order of their prefixes; the list is
	// replaced when one changes. schemaRevision is the revision that last changed
	// it, 0 while it is empty.
	schemas        []*AttachedSchema
	schemaRevision uint64
}

// versions holds entries by key, and those of one key by ModRevision.
type versions = btree.BTreeG[*Entry]

func newVersions() *versions {
	return btree.NewBTreeGOptions(func(a, b *Entry) bool {
		if a.Key != b.Key {
			return a.Key < b.Key
		}
		return a.ModRevision < b.ModRevision
	}, btree.Options{NoLocks: true})
}

// get returns the live entry of a key, or nil. A nil space is an empty one.
func (s *space) get(key string) *Entry {
	if s == nil {
		return nil
	}
	entry, _ := s.entries.Get(key)
	return entry
}

// before returns the older entry of a key that is the newest up to a revision,
// or nil.
func (s *space) before(key string, revision uint64) (found *Entry) {
	if s.older == nil {
		return nil
	}
	s.older.Descend(&Entry{Key: key, ModRevision: revision}, func(e *Entry) bool {
		if e.Key == key {
			found = e
		}
		return false
	})
	return found
}

// at returns the entry that a key had at a revision, or nil if it was absent.
func (s *space) at(key string, revision uint64) *Entry {
	if s == nil {
		return nil
	}
	if live := s.get(key); live != nil && live.ModRevision <= revision {
		return live
	}
	if e := s.before(key, revision); e != nil && !e.Deleted() {
		return e
	}
	return nil
}

// olderLen returns the number of older entries.
func (s *space) olderLen() int {
	if s.older == nil {
		return 0
	}
	return s.older.Len()
}

// empty tells whether the space holds nothing, live or older, no settings and no
// schemas.
func (s *space) empty() bool {
	return s.entries.Len() == 0 && s.older == nil && s.settingsRevision == 0 && len(s.schemas) == 0
}

// open returns the content of a namespace, made if it has none, to be changed.
func (s *State) open(namespace string) *space {
	sp := s.space(namespace)
	if sp == nil {
		sp = &space{name: namespace}
		s.spaces.Set(sp.name, sp)
	}
	s.touched[sp.name] = struct{}{}
	return sp
}

// release forgets a namespace that holds nothing any more.
func (s *State) release(sp *space) {
	if sp.empty() {
		s.spaces.Delete(sp.name)
	}
}

// freeze returns a view of the space that later changes of it leave alone. It
// costs the same whatever the size; nodes are copied when they are changed.
func (s *space) freeze() *space {
	frozen := &space{
		name: s.name, entries: *s.entries.Copy(), bytes: s.bytes, settings: s.settings, settingsRevision: s.settingsRevision,
		schemas: s.schemas, schemaRevision: s.schemaRevision,
	}
	if s.older != nil {
		frozen.older = s.older.Copy()
	}
	return frozen
}
