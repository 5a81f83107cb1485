package transport

import (
	"context"
	"sync"
	"time"

	"github.com/conclave-dev/conclave/pkg/raft"
	"github.com/conclave-dev/conclave/pkg/raft/wire"
)

// queued is a message that waits for its connection. Without a kind it is none:
// then the connection alone is wanted.
type queued struct {
	message raft.Message
	// entries are the message's, shared with messages to other peers. Nil when
	// it has none.
	entries *wire.Entries
	bytes   int
}

// messageOverheadBytes is what a message weighs beside its bulk.
const messageOverheadBytes = 256

// sizeBytes is a message's weight in the limits of queues.
func sizeBytes(m *raft.Message) int {
	size := messageOverheadBytes
	for i := range m.Entries {
		size += m.Entries[i].SizeBytes()
	}
	for i := range m.Proposals {
		size += messageOverheadBytes + len(m.Proposals[i].Data)
	}
	// Results and reads are small and of one size.
	return size + 32*len(m.Results) + 16*len(m.Reads)
}

// overflow says which message a full queue gives up.
type overflow int

const (
	// dropOldest suits heartbeats, votes and reads: each is a statement about
	// now, and a newer one makes those before it pointless.
	dropOldest overflow = iota
	// dropNewest suits appends: each builds upon the one before, so whatever
	// follows a gap would be refused. It suits proposals, too: those that were
	// there first go first.
	dropNewest
)

// queue holds what waits for one connection. Its owner is a goroutine that
// runs only while there is something to do.
type queue struct {
	maxMessages int
	maxBytes    int
	overflow    overflow
	// wake holds a token when something was pushed.
	wake chan struct{}

	mu    sync.Mutex
	items []queued
	spare []queued
	bytes int
	owned bool
}

func newQueue(maxMessages, maxBytes int, o overflow) *queue {
	return &queue{maxMessages: maxMessages, maxBytes: maxBytes, overflow: o, wake: make(chan struct{}, 1)}
}

// push adds item and reports how many messages, item perhaps among them, were
// dropped for it, and whether an owner must be started.
func (q *queue) push(item queued) (dropped int, start bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.full(item.bytes) && q.overflow == dropOldest {
		for len(q.items) > 0 && q.full(item.bytes) {
			q.bytes -= q.items[0].bytes
			dropped += countMessages(q.items[:1])
			q.items[0] = queued{}
			q.items = q.items[1:]
		}
	}
	if q.full(item.bytes) {
		return dropped + 1, false
	}
	q.items = append(q.items, item)
	q.bytes += item.bytes
	select {
	case q.wake <- struct{}{}:
	default:
	}
	start, q.owned = !q.owned, true
	return dropped, start
}

// want asks for the connection without having a message, and reports whether an
// owner must be started. What waits already asks for it, too.
func (q *queue) want() (start bool) {
	if messages, _ := q.waiting(); messages > 0 {
		return false
	}
	_, start = q.push(queued{})
	return start
}

// isMessage tells whether there is something to carry.
func (item *queued) isMessage() bool { return item.message.Kind != 0 }

// countMessages returns how many of items are messages.
func countMessages(items []queued) (n int) {
	for i := range items {
		if items[i].isMessage() {
			n++
		}
	}
	return n
}

// full tells whether a message of the given size would exceed a limit. One
// message is always taken, however large.
func (q *queue) full(bytes int) bool {
	return len(q.items) >= q.maxMessages || len(q.items) > 0 && q.bytes+bytes > q.maxBytes
}

// take waits for messages and returns all that wait. It returns nothing when
// ctx ended or none came for as long as idle. The batch is valid until it is
// recycled.
func (q *queue) take(ctx context.Context, idle time.Duration) []queued {
	timer := time.NewTimer(idle)
	defer timer.Stop()
	for ctx.Err() == nil {
		if batch := q.swap(); len(batch) > 0 {
			return batch
		}
		select {
		case <-q.wake:
		case <-timer.C:
			return q.swap()
		case <-ctx.Done():
		}
	}
	return nil
}

// swap returns what waits.
func (q *queue) swap() []queued {
	q.mu.Lock()
	defer q.mu.Unlock()
	if len(q.items) == 0 {
		return nil
	}
	batch := q.items
	q.items, q.spare, q.bytes = q.spare[:0], nil, 0
	return batch
}

// recycle gives a batch's memory back after use.
func (q *queue) recycle(batch []queued) {
	clear(batch)
	q.mu.Lock()
	defer q.mu.Unlock()
	q.spare = batch[:0]
}

// release ends ownership, unless messages have come that the owner must carry.
func (q *queue) release() bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.owned = len(q.items) > 0
	return !q.owned
}

// isOwned tells whether somebody carries what is pushed.
func (q *queue) isOwned() bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.owned
}

// clear drops what waits and returns how many messages that were.
func (q *queue) clear() int {
	q.mu.Lock()
	defer q.mu.Unlock()
	n := countMessages(q.items)
	clear(q.items)
	q.items, q.bytes = q.items[:0], 0
	return n
}

// waiting returns how much waits.
func (q *queue) waiting() (messages, bytes int) {
	q.mu.Lock()
	defer q.mu.Unlock()
	return countMessages(q.items), q.bytes
}
