package config

import (
	"context"
	"sync"
	"sync/atomic"
)

// hub tells watches of changes. Between Apply and those who wait stands one
// goroutine (run), so however many there are, Apply only notes which keys
// changed.
type hub struct {
	// watches counts the open ones. Nothing is noted while there are none.
	watches atomic.Int64
	// wake holds a token while there is something to deliver.
	wake chan struct{}
	// batch is what deliver works on, and empty otherwise.
	batch changeList
	// delivered is the revision up to which every watch that was open was told.
	delivered atomic.Uint64

	pendingMu sync.Mutex
	pending   changeList
	// pendingUpTo is the revision of the last of them.
	pendingUpTo uint64

	topicsMu sync.Mutex
	keys     map[change]*topic
	prefixes map[string]*prefixTopics // by namespace
	all      *topic
}

// change names a key that was put or deleted.
type change struct{ namespace, key string }

// changeListMax is how many changes a list names before it only says that
// there were many.
const changeListMax = 4096

// changeList collects changes within bounds.
type changeList struct {
	changes []change
	// many means that every key may have changed.
	many bool
}

func (l *changeList) add(namespace, key string) {
	if l.many {
		return
	}
	if len(l.changes) == changeListMax {
		l.setMany()
		return
	}
	l.changes = append(l.changes, change{namespace, key})
}

func (l *changeList) setMany() { l.changes, l.many = l.changes[:0], true }

func (l *changeList) empty() bool { return len(l.changes) == 0 && !l.many }

// moveTo appends the list to another and empties it.
func (l *changeList) moveTo(other *changeList) {
	if l.many {
		other.setMany()
	}
	for _, c := range l.changes {
		other.add(c.namespace, c.key)
	}
	l.reset()
}

func (l *changeList) reset() {
	clear(l.changes) // names must not be kept alive by an idle list
	l.changes, l.many = l.changes[:0], false
}

// topic is what watches of one scope share: a channel that is closed at the
// first change. One close wakes them all; who waits on subscribes again.
type topic struct {
	changed chan struct{}
	// refs counts the watches that hold the topic, under topicsMu.
	refs int
}

// fired tells whether the topic's first change has come.
func (t *topic) fired() bool {
	select {
	case <-t.changed:
		return true
	default:
		return false
	}
}

func newTopic() *topic { return &topic{changed: make(chan struct{})} }

// prefixTopics are the watched prefixes of one namespace.
type prefixTopics struct {
	topics map[string]*topic
	// lengths counts the topics by the length of their prefix, so that a
	// changed key is looked up once for each length in use.
	lengths map[int]int
}

func (h *hub) init() {
	h.wake = make(chan struct{}, 1)
	h.keys = map[change]*topic{}
	h.prefixes = map[string]*prefixTopics{}
}

// announce takes the changes of one publication, which ends at a revision. It is called after the view
// was published; a watch is counted before it reads the view. So either the
// watch sees the new view or announce sees the watch.
func (h *hub) announce(changes *changeList, upTo uint64) {
	if changes.empty() {
		return
	}
	if h.watches.Load() == 0 {
		changes.reset()
		return
	}
	h.pendingMu.Lock()
	changes.moveTo(&h.pending)
	h.pendingUpTo = upTo
	h.pendingMu.Unlock()
	select {
	case h.wake <- struct{}{}:
	default: // run will come round anyway
	}
}

// run delivers until ctx ends.
func (h *hub) run(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-h.wake:
			h.deliver()
		}
	}
}

// deliver wakes those whose keys changed. One goroutine at a time does.
func (h *hub) deliver() {
	h.pendingMu.Lock()
	h.batch, h.pending = h.pending, h.batch
	upTo := h.pendingUpTo
	h.pendingMu.Unlock()
	for _, t := range h.detach(&h.batch) {
		close(t.changed)
	}
	h.delivered.Store(upTo)
	h.batch.reset()
}

// detach takes the topics that a batch of changes concerns out of the tables.
func (h *hub) detach(batch *changeList) []*topic {
	h.topicsMu.Lock()
	defer h.topicsMu.Unlock()
	var hit []*topic
	if h.all != nil {
		hit = append(hit, h.all)
		h.all = nil
	}
	if batch.many {
		return append(hit, h.detachEverything()...)
	}
	for _, c := range batch.changes {
		if t := h.keys[c]; t != nil {
			hit = append(hit, t)
			delete(h.keys, c)
		}
		if p := h.prefixes[c.namespace]; p != nil {
			hit = append(hit, p.detach(c.key)...)
			h.dropIfEmpty(c.namespace, p)
		}
	}
	return hit
}

func (h *hub) detachEverything() []*topic {
	var hit []*topic
	for _, t := range h.keys {
		hit = append(hit, t)
	}
	for _, p := range h.prefixes {
		for _, t := range p.topics {
			hit = append(hit, t)
		}
	}
	clear(h.keys)
	clear(h.prefixes)
	return hit
}

// detach takes out the topics of all prefixes of key.
func (p *prefixTopics) detach(key string) []*topic {
	var hit []*topic
	for length := range p.lengths {
		if length > len(key) {
			continue
		}
		if t := p.topics[key[:length]]; t != nil {
			hit = append(hit, t)
			p.remove(key[:length])
		}
	}
	return hit
}

func (p *prefixTopics) remove(prefix string) {
	delete(p.topics, prefix)
	if p.lengths[len(prefix)]--; p.lengths[len(prefix)] == 0 {
		delete(p.lengths, len(prefix))
	}
}

func (h *hub) dropIfEmpty(namespace string, p *prefixTopics) {
	if len(p.topics) == 0 {
		delete(h.prefixes, namespace)
	}
}

// subscribe returns the topic of a scope, made when nobody had it.
func (h *hub) subscribe(scope Scope) *topic {
	h.topicsMu.Lock()
	defer h.topicsMu.Unlock()
	return h.subscribeLocked(scope)
}

func (h *hub) subscribeLocked(scope Scope) *topic {
	t := h.lookUp(scope)
	t.refs++
	return t
}

// renew is release and subscribe in one, for a topic that has fired and so is in
// no table any more.
func (h *hub) renew(scope Scope, fired *topic) *topic {
	h.topicsMu.Lock()
	defer h.topicsMu.Unlock()
	fired.refs--
	return h.subscribeLocked(scope)
}

func (h *hub) lookUp(scope Scope) *topic {
	switch scope.kind {
	case scopeAll:
		if h.all == nil {
			h.all = newTopic()
		}
		return h.all
	case scopeKey:
		at := change{scope.namespace, scope.name}
		t := h.keys[at]
		if t == nil {
			t = newTopic()
			h.keys[at] = t
		}
		return t
	default:
		return h.lookUpPrefix(scope.namespace, scope.name)
	}
}

func (h *hub) lookUpPrefix(namespace, prefix string) *topic {
	p := h.prefixes[namespace]
	if p == nil {
		p = &prefixTopics{topics: map[string]*topic{}, lengths: map[int]int{}}
		h.prefixes[namespace] = p
	}
	t := p.topics[prefix]
	if t == nil {
		t = newTopic()
		p.topics[prefix] = t
		p.lengths[len(prefix)]++
	}
	return t
}

// release gives a subscription back. The last one takes the topic out of the
// tables, unless a change did that before.
func (h *hub) release(scope Scope, t *topic) {
	h.topicsMu.Lock()
	defer h.topicsMu.Unlock()
	if t.refs--; t.refs > 0 {
		return
	}
	switch scope.kind {
	case scopeAll:
		if h.all == t {
			h.all = nil
		}
	case scopeKey:
		at := change{scope.namespace, scope.name}
		if h.keys[at] == t {
			delete(h.keys, at)
		}
	default:
		p := h.prefixes[scope.namespace]
		if p != nil && p.topics[scope.name] == t {
			p.remove(scope.name)
			h.dropIfEmpty(scope.namespace, p)
		}
	}
}
