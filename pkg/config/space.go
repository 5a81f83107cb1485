package config

import "github.com/tidwall/btree"

// space is the live content of one namespace: its entries in byte order of
// their keys, in a tree whose copies share what they have in common.
type space struct {
	entries btree.Map[string, *Entry]
}

// get returns the entry of a key, or nil. A nil space is an empty one.
func (s *space) get(key string) *Entry {
	if s == nil {
		return nil
	}
	entry, _ := s.entries.Get(key)
	return entry
}

// freeze returns a view of the space that later changes of it leave alone. It
// costs the same whatever the size; nodes are copied when they are changed.
func (s *space) freeze() *space {
	return &space{entries: *s.entries.Copy()}
}
