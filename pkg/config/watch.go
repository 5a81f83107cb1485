package config

// Scope is what a watch looks at.
type Scope struct {
	kind      scopeKind
	namespace string
	name      string // key or prefix
}

type scopeKind uint8

const (
	scopeAll scopeKind = iota
	scopeKey
	scopePrefix
)

// WatchAll looks at every key of every namespace. It is the zero Scope.
func WatchAll() Scope { return Scope{} }

// WatchKey looks at one key, which need not exist.
func WatchKey(namespace, key string) Scope { return Scope{scopeKey, namespace, key} }

// WatchPrefix looks at all keys of a namespace that begin with prefix; the
// empty prefix takes in all of them.
func WatchPrefix(namespace, prefix string) Scope { return Scope{scopePrefix, namespace, prefix} }

// Watch tells once that something in its scope changed. The pattern of use is:
// open a watch, read, and wait on Changed only if what was read is what is
// already known; after a change, close it and begin again. A change published
// after the watch was opened is never missed. Changed may also fire without
// one, so a reader always looks for itself.
type Watch struct {
	store *Store
	scope Scope
	topic *topic
}

// Changed is closed when something in the scope may have changed since the
// watch was opened. Delivery needs Store.Run.
func (w *Watch) Changed() <-chan struct{} { return w.topic.changed }

// Close gives the watch back. It must be called exactly once.
func (w *Watch) Close() {
	w.store.state.hub.release(w.scope, w.topic)
	w.store.state.hub.watches.Add(-1)
	w.topic = nil
}

// Watching returns how many watches are open, followers and waiting reads
// included.
func (s *Store) Watching() int64 { return s.state.hub.watches.Load() }
