package config

import (
	"fmt"
	"strings"
)

// followSteps is how many changes one Next looks at before it comes back.
const followSteps = 20_000

// Follower tells what happens to the keys of a namespace under a prefix: each
// revision that changes any of them, in order and once, with all its changes
// there and no others. It holds a cursor and nothing else; the revisions are read
// from the journal of the newest View when they are asked for. So one that is
// slow costs nothing and holds up nobody, until history is pruned beyond its
// cursor. One goroutine at a time uses it.
//
// The pattern of use is: call Next until it returns nil, wait for Changed, begin
// again.
type Follower struct {
	store *Store
	scope Scope
	// cursor is the last revision that needs no telling.
	cursor uint64
	// topic is what wakes the follower, nil before the first Next.
	topic *topic
	// atEnd: the journal was read to its end, while topic was held.
	atEnd bool
}

// Follow returns a follower of a namespace's keys under a prefix, which may be
// empty. It tells the revisions after from, which need not be reached yet. Any
// cursor of this store will do, of whatever member. A follower counts as a watch.
// Errors: ErrInvalid, ErrTooManyWatches.
func (s *Store) Follow(namespace, prefix string, from uint64) (*Follower, error) {
	if err := CheckNamespace(namespace); err != nil {
		return nil, err
	}
	if err := CheckPrefix(prefix); err != nil {
		return nil, err
	}
	if from > maxRevision {
		return nil, invalid("revision", "%d is beyond the last possible one", from)
	}
	if err := s.takeWatch(); err != nil {
		return nil, fmt.Errorf("follow %s/%s: %w", namespace, prefix, err)
	}
	return &Follower{store: s, scope: WatchPrefix(namespace, prefix), cursor: from}, nil
}

// Cursor returns the last revision up to which everything was told: a follower
// that begins there continues this one without loss. It moves on past revisions
// that change nothing in scope too, each time that Next finds no more.
func (f *Follower) Cursor() uint64 { return f.cursor }

// Next returns the next revision, with its changes in scope. whole tells that
// these are all that it changes in the namespace, so whoever follows the namespace
// sees the same. A nil revision means that there is none for now, and Changed
// tells when to ask again. It never waits. Its error is a PrunedError, when what
// followed the cursor is no longer known, or ErrParked.
func (f *Follower) Next() (r *Revision, whole bool, err error) {
	hub := &f.store.state.hub
	// Loaded before the look at the topic, which fires first.
	delivered := hub.delivered.Load()
	switch {
	case f.topic == nil:
		f.topic = hub.subscribe(f.scope)
	case f.topic.fired():
		f.topic = hub.renew(f.scope, f.topic)
	case f.atEnd:
		f.cursor = max(f.cursor, delivered)
	}
	f.atEnd = false
	view := f.store.state.View()
	if err := f.store.refusal(view); err != nil {
		return nil, false, err
	}
	return f.read(view)
}

// read is Next in a view that is newer than the subscription.
func (f *Follower) read(view *View) (found *Revision, whole bool, err error) {
	revisions, err := view.Revisions(min(f.cursor, view.Revision))
	if err != nil {
		return nil, false, err
	}
	steps := 0
	for r := range revisions {
		if steps >= followSteps {
			return nil, false, nil
		}
		f.cursor = r.Number
		if found, whole = r.within(f.scope.namespace, f.scope.name); found != nil {
			return found, whole, nil
		}
		steps += max(1, len(r.Changes))
	}
	f.cursor = max(f.cursor, view.Revision)
	f.atEnd = true
	return nil, false, nil
}

// alwaysChanged is the channel of a follower that has more to read.
var alwaysChanged = func() chan struct{} {
	c := make(chan struct{})
	close(c)
	return c
}()

// Changed is closed when Next may find more than it did when it last returned nil.
// Delivery needs Store.Run. The channel is another one after each Next.
func (f *Follower) Changed() <-chan struct{} {
	if !f.atEnd {
		return alwaysChanged
	}
	return f.topic.changed
}

// Close gives the follower back. It must be called exactly once.
func (f *Follower) Close() {
	if f.topic != nil {
		f.store.state.hub.release(f.scope, f.topic)
		f.topic = nil
	}
	f.store.state.hub.watches.Add(-1)
}

// within returns the revision with only those of its changes that are in a
// namespace under a prefix: itself if all are, nil if none is. whole tells that
// none of the namespace is left out.
func (r *Revision) within(namespace, prefix string) (part *Revision, whole bool) {
	inside, elsewhere := 0, 0
	for _, c := range r.Changes {
		switch {
		case c.Namespace != namespace:
			elsewhere++
		case strings.HasPrefix(c.Entry.Key, prefix):
			inside++
		}
	}
	if inside == 0 {
		return nil, false
	}
	whole = inside+elsewhere == len(r.Changes)
	if inside == len(r.Changes) {
		return r, whole
	}
	cut := *r
	cut.Changes = make([]Change, 0, inside)
	for _, c := range r.Changes {
		if c.Namespace == namespace && strings.HasPrefix(c.Entry.Key, prefix) {
			cut.Changes = append(cut.Changes, c)
		}
	}
	return &cut, whole
}
