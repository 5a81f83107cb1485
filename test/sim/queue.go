package sim

import (
	"time"

	"github.com/conclave-dev/conclave/pkg/raft"
)

// event is something that will happen at a moment of virtual time: to one life
// of a node, or to the world when node is nil. It either delivers a message or
// runs a function.
type event struct {
	at       time.Duration
	sequence uint64
	node     *node
	life     int
	message  *raft.Message
	run      func()
}

// queue is a binary heap of events by time, and in the order of their making for
// those of one moment.
type queue struct {
	events []event
	made   uint64
}

func (q *queue) less(a, b int) bool {
	x, y := &q.events[a], &q.events[b]
	return x.at < y.at || x.at == y.at && x.sequence < y.sequence
}

func (q *queue) push(e event) {
	q.made++
	e.sequence = q.made
	q.events = append(q.events, e)
	for child := len(q.events) - 1; child > 0; {
		parent := (child - 1) / 2
		if !q.less(child, parent) {
			return
		}
		q.events[child], q.events[parent] = q.events[parent], q.events[child]
		child = parent
	}
}

// pop takes the next event out. There must be one.
func (q *queue) pop() event {
	first, last := q.events[0], len(q.events)-1
	q.events[0] = q.events[last]
	q.events[last] = event{}
	q.events = q.events[:last]
	for parent := 0; ; {
		child := 2*parent + 1
		if child >= last {
			return first
		}
		if child+1 < last && q.less(child+1, child) {
			child++
		}
		if !q.less(child, parent) {
			return first
		}
		q.events[child], q.events[parent] = q.events[parent], q.events[child]
		parent = child
	}
}
