package config

import (
	"iter"

	"github.com/tidwall/btree"
)

// Hash stands for everything that was applied up to an index: the commands and
// what each did. Members with an equal index have an equal hash, or one of
// them has gone wrong.
type Hash [32]byte

// View is the state as it was after one index of the log. It never changes and
// may be read by any number of goroutines for as long as anybody holds it.
type View struct {
	// Index is the last index of the log that the view includes.
	Index uint64
	// Revision is the last revision that was given to a change, 0 before the
	// first.
	Revision uint64
	// Hash is the chained hash at Index.
	Hash Hash
	// LiveBytes is what all keys and values are charged against the quota.
	LiveBytes int64
	// Keys is the number of live keys.
	Keys int
	// HistoryBytes is what older entries and the journal are charged against the
	// limit of history.
	HistoryBytes int64
	// Settings are what the store keeps to, and SettingsRevision is the revision
	// that last changed them, 0 before the first.
	Settings         Settings
	SettingsRevision uint64
	// KeptResults is the number of results that are kept for idempotency keys.
	KeptResults int

	spaces  *btree.Map[string, *space]
	journal journal
	oldest  uint64
	// fault is why the state stands still, nil while it doesn't.
	fault error
	// setBacks is how often the state was replaced by an earlier one.
	setBacks uint64
}

// Get returns the entry of a key, or nil when the key is absent.
func (v *View) Get(namespace, key string) *Entry {
	return v.space(namespace).get(key)
}

// space returns the content of a namespace, nil when it has none.
func (v *View) space(namespace string) *space {
	s, _ := v.spaces.Get(namespace)
	return s
}

// Namespace tells what a namespace has.
type Namespace struct {
	Name string
	// Keys is the number of live keys, and Bytes what they are charged against
	// the quotas.
	Keys  int
	Bytes int64
	// Settings are the namespace's own, and SettingsRevision is the revision that
	// last changed them, 0 while there are none.
	Settings         NamespaceSettings
	SettingsRevision uint64
	// Schemas is the number of attached schemas.
	Schemas int
}

// Namespace returns what a namespace has; only the name of one that has nothing.
func (v *View) Namespace(name string) Namespace {
	sp := v.space(name)
	if sp == nil {
		return Namespace{Name: name}
	}
	return Namespace{
		Name: name, Keys: sp.entries.Len(), Bytes: sp.bytes, Settings: sp.settings, SettingsRevision: sp.settingsRevision,
		Schemas: len(sp.schemas),
	}
}

// Namespaces walks over the namespaces that have anything, now or within
// history, in the order of their names.
func (v *View) Namespaces() iter.Seq[Namespace] {
	return func(yield func(Namespace) bool) {
		v.spaces.Scan(func(name string, _ *space) bool { return yield(v.Namespace(name)) })
	}
}

// Schemas returns the schemas that are attached in a namespace, in byte order of
// their prefixes. Nobody may write to them.
func (v *View) Schemas(namespace string) []*AttachedSchema {
	if sp := v.space(namespace); sp != nil {
		return sp.schemas
	}
	return nil
}

// Schema returns the schema that is attached to just this prefix, or nil.
func (v *View) Schema(namespace, prefix string) *AttachedSchema {
	_, attached := v.space(namespace).schema(prefix)
	return attached
}
