package client

import (
	"cmp"
	"context"
	"maps"
	"slices"
	"sync"
	"time"
)

// Cache is a copy of the keys of a namespace under a prefix, kept up by a watch. It
// answers at once and without a network, and goes on answering when no node can be
// reached: what it says is then as old as Age tells. It is safe for concurrent use.
//
// It is no linear read. It changes from revision to revision, never to an older one,
// but another program may have seen a revision that isn't here yet.
type Cache struct {
	client    *Client
	namespace string
	options   WatchOptions

	mu sync.RWMutex
	// entries are what is told, and coming the state that is being told anew,
	// which replaces it at once.
	entries, coming map[string]*Entry
	revision        uint64
	// heard is when entries were last known to be all up to revision.
	heard time.Time
	// changed is closed when entries change next; ready when they are first told.
	changed, ready chan struct{}
	told           sync.Once
}

// NewCache returns a cache, which is empty until Run feeds it.
func (c *Client) NewCache(namespace, prefix string) *Cache {
	return &Cache{client: c, namespace: namespace, options: WatchOptions{Prefix: prefix, Initial: true},
		coming: map[string]*Entry{}, changed: make(chan struct{}), ready: make(chan struct{})}
}

// Run feeds the cache until ctx ends or the watch is refused for good, and returns
// why. What the cache holds stays. Run it once.
func (k *Cache) Run(ctx context.Context) error {
	for event, err := range k.client.Watch(ctx, k.namespace, k.options) {
		if err != nil {
			return err
		}
		k.take(event)
	}
	return nil
}

// take does what an event tells.
func (k *Cache) take(event *Event) {
	k.mu.Lock()
	defer k.mu.Unlock()
	switch event.Kind {
	case EventResync:
		k.coming = map[string]*Entry{}
		return
	case EventSync:
		if k.coming != nil {
			k.entries, k.coming = k.coming, nil
		}
		k.told.Do(func() { close(k.ready) })
	case EventChange:
		into := k.entries
		if k.coming != nil {
			into = k.coming
		}
		for i := range event.Changes {
			change := event.Changes[i] // a copy, for one entry must not keep all values of its revision
			if change.Deleted {
				delete(into, change.Entry.Key)
			} else {
				into[change.Entry.Key] = &change.Entry
			}
		}
		if k.coming != nil {
			return
		}
	}
	// A state that comes anew says nothing of the entries that are told meanwhile.
	k.heard = time.Now()
	k.revision = max(k.revision, event.Revision)
	if event.Kind != EventBookmark {
		close(k.changed)
		k.changed = make(chan struct{})
	}
}

// Ready waits until the cache was told the state once, or ctx ends.
func (k *Cache) Ready(ctx context.Context) error {
	select {
	case <-k.ready:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// Get returns a key's entry, which nobody may write to, or false without one.
func (k *Cache) Get(key string) (*Entry, bool) {
	k.mu.RLock()
	defer k.mu.RUnlock()
	entry, ok := k.entries[key]
	return entry, ok
}

// Entries returns all entries as of one revision, in byte order of their keys. Nobody
// may write to them.
func (k *Cache) Entries() (entries []*Entry, revision uint64) {
	k.mu.RLock()
	defer k.mu.RUnlock()
	entries = slices.SortedFunc(maps.Values(k.entries), func(a, b *Entry) int { return cmp.Compare(a.Key, b.Key) })
	return entries, k.revision
}

// Revision is the store's revision that the cache has got to, 0 before it is ready.
func (k *Cache) Revision() uint64 {
	k.mu.RLock()
	defer k.mu.RUnlock()
	return k.revision
}

// Age is how long ago a node last told that what is here is all up to Revision, and
// Unproven before the first time. While nodes can be reached it stays below about ten
// seconds, but grows while the state is told anew after history was lost. The node that
// tells may itself be behind the cluster, so this is the least that the copy may be old.
func (k *Cache) Age() time.Duration {
	k.mu.RLock()
	defer k.mu.RUnlock()
	if k.heard.IsZero() {
		return Unproven
	}
	return time.Since(k.heard)
}

// Changed returns a channel that is closed when the entries next change. Take it
// before reading them, and nothing is missed.
func (k *Cache) Changed() <-chan struct{} {
	k.mu.RLock()
	defer k.mu.RUnlock()
	return k.changed
}
