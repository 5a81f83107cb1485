package transport

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"sync/atomic"
	"time"

	"github.com/conclave-dev/conclave/pkg/raft"
	"github.com/conclave-dev/conclave/pkg/raft/wire"
)

// link carries messages to one peer over one connection. One goroutine owns
// it while there is something to carry; it dials, writes and gives up.
type link struct {
	transport *Transport
	peer      *peer
	purpose   wire.Purpose
	queue     *queue

	// up tells whether the connection stands. roundTrip is in nanoseconds.
	up        atomic.Bool
	roundTrip atomic.Int64

	// nudged holds a token when the peer was heard from otherwise, so that
	// there is no point in waiting any longer before dialling it.
	nudged chan struct{}
	// oversize keeps a message that is tried again and again from filling the
	// log.
	oversize occasional

	sent               atomic.Uint64
	droppedFull        atomic.Uint64
	droppedUnreachable atomic.Uint64
	droppedTooLarge    atomic.Uint64
	connects           atomic.Uint64

	// What follows belongs to the owning goroutine.
	outbound *outbound
	failures int
	nextDial time.Time
	// reported is the state that was last logged.
	reported linkState
}

type linkState int

const (
	linkUnknown linkState = iota
	linkUp
	linkDown
)

func newLink(t *Transport, p *peer, purpose wire.Purpose, o overflow) *link {
	return &link{
		transport: t,
		peer:      p,
		purpose:   purpose,
		queue:     newQueue(t.options.QueueMessages, t.options.QueueBytes, o),
		nudged:    make(chan struct{}, 1),
	}
}

// push queues a message and sees to it that somebody carries it.
func (l *link) push(item queued) {
	dropped, start := l.queue.push(item)
	l.droppedFull.Add(uint64(dropped))
	if start && !l.transport.start(l.run) {
		l.abandon()
	}
}

// keepOpen sees to it that the connection stands.
func (l *link) keepOpen() {
	if l.queue.want() && !l.transport.start(l.run) {
		l.abandon()
	}
}

// unused tells whether the link has neither a connection nor a message.
func (l *link) unused() bool { return !l.queue.isOwned() }

// run carries messages until none has come for the idle time. What waits when
// connecting fails is dropped: after a pause the peer is better served by what
// is new.
func (l *link) run() {
	ctx := l.transport.ctx
	for {
		batch := l.queue.take(ctx, l.transport.options.IdleTimeout)
		if len(batch) == 0 {
			l.disconnect(nil)
			if ctx.Err() != nil {
				l.abandon()
				return
			}
			if l.queue.release() {
				return
			}
			continue
		}
		if err := l.connect(ctx); err != nil {
			l.droppedUnreachable.Add(uint64(countMessages(batch) + l.queue.clear()))
			l.report(linkDown, err)
		} else if written, err := l.write(batch); err != nil {
			l.droppedUnreachable.Add(uint64(countMessages(batch) - written))
			l.disconnect(err)
		}
		l.queue.recycle(batch)
	}
}

// abandon drops what waits, because the transport is closed.
func (l *link) abandon() {
	for {
		l.droppedUnreachable.Add(uint64(l.queue.clear()))
		if l.queue.release() {
			return
		}
	}
}

// connect makes sure that there is a connection. It waits out the pause since
// the last attempt.
func (l *link) connect(ctx context.Context) error {
	if l.outbound != nil {
		err := l.outbound.failure()
		if err == nil {
			return nil
		}
		l.disconnect(err)
	}
	if err := l.awaitTurn(ctx); err != nil {
		return err
	}
	s, err := l.dial(ctx)
	if err != nil {
		l.failures++
		l.nextDial = time.Now().Add(l.pause())
		return err
	}
	l.failures = 0
	l.nextDial = time.Now().Add(l.pause())
	l.outbound = newOutbound(s, l)
	if !l.transport.start(l.outbound.watch) {
		l.disconnect(ErrClosed)
		return ErrClosed
	}
	l.connects.Add(1)
	l.up.Store(true)
	l.report(linkUp, nil)
	return nil
}

// awaitTurn waits out the pause since the last attempt. It ends early when the
// peer was heard from: a member that is back is dialled at once, however long
// it was away.
func (l *link) awaitTurn(ctx context.Context) error {
	d := time.Until(l.nextDial)
	if d <= 0 {
		return nil
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-l.nudged:
		l.failures = 0
		return nil
	case <-ctx.Done():
		return fmt.Errorf("waiting to dial: %w", context.Cause(ctx))
	}
}

// nudge tells that the peer was heard from.
func (l *link) nudge() {
	select {
	case l.nudged <- struct{}{}:
	default:
	}
}

func (l *link) dial(ctx context.Context) (*session, error) {
	to, err := l.transport.destination(l.peer)
	if err != nil {
		return nil, err
	}
	s, _, err := l.transport.dial(ctx, to, l.purpose)
	if err != nil {
		return nil, err
	}
	if err := s.admit(&l.peer.traffic, wire.MaxHelloBytes, 0, l.transport.options.WriteTimeout); err != nil {
		s.close()
		return nil, err
	}
	return s, nil
}

// pause returns how long to wait before the next attempt to connect.
func (l *link) pause() time.Duration {
	o := &l.transport.options
	d := o.BackoffMin
	for range l.failures {
		if d = min(2*d, o.BackoffMax); d == o.BackoffMax {
			break
		}
	}
	return d/2 + rand.N(d/2+1)
}

// write hands a batch to the connection, in one piece as far as it fits in the
// buffer, and returns how many messages that were.
func (l *link) write(batch []queued) (written int, err error) {
	s := l.outbound.session
	if err := l.outbound.ping(); err != nil {
		return 0, err
	}
	for i := range batch {
		if !batch[i].isMessage() {
			continue
		}
		err := s.writer.WriteMessage(&batch[i].message, batch[i].entries)
		if errors.Is(err, wire.ErrTooLarge) {
			l.droppedTooLarge.Add(1)
			if suppressed, ok := l.oversize.allow(); ok {
				l.logger().Error("message dropped", "kind", batch[i].message.Kind, "error", err, "suppressed", suppressed)
			}
			continue
		}
		if err != nil {
			return written, err
		}
		written++
	}
	if err := s.buffered.Flush(); err != nil {
		return 0, err
	}
	l.sent.Add(uint64(written))
	return written, nil
}

// disconnect closes the connection, if there is one. A nil cause means that it
// was in order.
func (l *link) disconnect(cause error) {
	if l.outbound == nil {
		return
	}
	if failure := l.outbound.failure(); failure != nil {
		cause = failure
	}
	l.outbound.fail(ErrClosed)
	l.outbound = nil
	l.up.Store(false)
	if cause != nil {
		l.report(linkDown, cause)
	}
}

// report logs a change of state once.
func (l *link) report(state linkState, cause error) {
	if l.reported == state || l.transport.ctx.Err() != nil {
		return
	}
	l.reported = state
	if state == linkUp {
		l.logger().Info("peer connected")
		return
	}
	l.logger().Warn("peer unreachable, trying again", "error", cause)
}

func (l *link) logger() *slog.Logger {
	name := ""
	if d, err := l.transport.destination(l.peer); err == nil {
		name = d.name
	}
	return l.transport.options.Logger.With("peer", name, "member", l.peer.id, "connection", l.purpose)
}

// share returns the entries of m in a form that is encoded once for all
// messages that carry the same ones.
func share(shared *[]*wire.Entries, m *raft.Message) *wire.Entries {
	if len(m.Entries) == 0 {
		return nil
	}
	for _, e := range *shared {
		if e.Same(m.Entries) {
			return e
		}
	}
	e := wire.NewEntries(m.Entries)
	*shared = append(*shared, e)
	return e
}
