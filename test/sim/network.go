package sim

import (
	"context"
	"errors"
	"time"

	"github.com/conclave-dev/conclave/pkg/raft"
	"github.com/conclave-dev/conclave/pkg/raft/replica"
)

// link is one direction between two nodes.
type link struct {
	// cutUntil is when messages pass again.
	cutUntil time.Duration
	// slowUntil is when messages stop being delayed more than usual: by up to
	// slow, and by late.
	slowUntil time.Duration
	slow      time.Duration
	late      time.Duration
	// last is when the last message will arrive, for links that keep order.
	last time.Duration
}

func (w *world) link(from, to *node) *link { return &w.links[from.slot][to.slot] }

// cut tells whether nothing passes from one node to another.
func (w *world) cut(from, to *node) bool { return w.link(from, to).cutUntil > w.now }

// cutOff cuts all links between a node and the others for a while.
func (w *world) cutOff(n *node, d time.Duration) {
	for _, other := range w.nodes {
		if other != n {
			w.cutLink(n, other, d)
			w.cutLink(other, n, d)
		}
	}
}

// cutLink cuts one direction for a while.
func (w *world) cutLink(from, to *node, d time.Duration) {
	l := w.link(from, to)
	l.cutUntil = max(l.cutUntil, w.now+d)
}

// delay draws how long a message takes.
func (w *world) delay(l *link) time.Duration {
	d := w.upTo(w.options.Delay)
	if l.slowUntil > w.now {
		d += l.late + w.upTo(l.slow)
	}
	if w.chance(w.options.TailChance) && !w.healed {
		d += w.upTo(w.options.TailDelay)
	}
	if w.options.InOrder {
		d = max(d, l.last+1-w.now)
		l.last = w.now + d
	}
	return d
}

// send puts a message on its way, or loses it, or sends it twice. A Propose is
// the one kind that transports never repeat.
func (w *world) send(from *node, m *raft.Message) {
	to := w.node(m.To)
	w.trace.message(traceSent, from, m)
	if to == nil {
		return
	}
	l := w.link(from, to)
	copies := 1
	switch {
	case w.cut(from, to):
		w.count(MessagesCut)
		return
	case w.healed:
	case w.chance(w.options.Drop):
		w.count(MessagesDropped)
		return
	case m.Kind != raft.KindPropose && w.chance(w.options.Repeat):
		w.count(MessagesRepeated)
		copies = 2
	}
	for range copies {
		w.queue.push(event{at: w.now + w.delay(l), message: w.shorten(m)})
	}
}

// shorten takes entries from the end of an append, now and then. A leader may
// always send fewer than it has, though ours mostly sends all, and what follows
// looks as if it had overtaken the rest.
func (w *world) shorten(m *raft.Message) *raft.Message {
	if m.Kind != raft.KindAppendEntries || len(m.Entries) == 0 || w.healed || !w.chance(w.options.Shorten) {
		return m
	}
	w.count(MessagesShortened)
	short := *m
	short.Entries = m.Entries[:w.random.IntN(len(m.Entries))]
	return &short
}

// deliver hands a message to its receiver, if it is still there.
func (w *world) deliver(m *raft.Message) {
	from, to := w.node(m.From), w.node(m.To)
	if from == nil || to == nil || to.loop == nil || w.cut(from, to) {
		w.trace.message(traceLost, to, m)
		return
	}
	if to.paused {
		if len(to.held) < maxHeld {
			life := to.life
			to.held = append(to.held, func() {
				if to.life == life {
					to.receive(m)
				}
			})
		}
		return
	}
	to.receive(m)
}

// maxHeld bounds what waits for a paused node, as a replica's queue does.
const maxHeld = 4096

var errStreamBroken = errors.New("the stream broke")

// stream carries a snapshot to its receiver, which takes a while and may fail
// halfway, and the message after it.
func (w *world) stream(from *node, m raft.Message) {
	w.count(Streams)
	w.trace.message(traceSent, from, &m)
	meta, file, err := from.storage.OpenSnapshot()
	if err != nil {
		w.fail("%v announces a snapshot and has none: %v", from, err)
	}
	m.Snapshot = &meta
	to, toLife := w.node(m.To), 0
	if to != nil {
		toLife = to.life
	}
	ended := func(err error) {
		if err != nil {
			w.count(StreamsFailed)
		}
		from.handle(replica.SnapshotSent{To: m.To, Err: err})
	}
	takes := w.upTo(w.options.Delay) * 4
	arrive := func() error {
		if w.node(m.To) != to || to.life != toLife || to.paused || to.space == raft.SpaceFull || w.cut(from, to) {
			return errStreamBroken
		}
		if err := to.storage.ReceiveSnapshot(context.Background(), meta, file); err != nil {
			w.fail("%v can't store a snapshot that arrived whole: %v", to, err)
		}
		to.receive(&m)
		return nil
	}
	switch {
	case to == nil || to.loop == nil || w.cut(from, to):
		from.after(takes, func() { ended(errStreamBroken) })
	case w.healed || !w.chance(w.options.FailStream):
		from.after(takes, func() { ended(arrive()) })
	default:
		from.after(takes, func() { ended(errStreamBroken) })
		if w.chance(0.5) {
			// The sender has given up on what the receiver works off later.
			to.after(takes+w.upTo(4*w.options.Timeout()), func() {
				if arrive() == nil {
					w.count(StreamsLate)
				}
			})
		}
	}
}
