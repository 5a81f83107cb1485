package replica

import (
	"context"
	"fmt"
	"io"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/conclave-dev/conclave/pkg/raft"
)

// work is one order for the state machine's goroutine.
type work struct {
	apply    ApplyWork
	snapshot bool
}

// maxWorks is more than the loop ever has under way: the core hands out a few
// batches at most before it hears that one was applied, then one restore and one
// view can follow. So the loop never blocks on it.
const maxWorks = 64

// maxDrain bounds the events of one wake-up, so that ticks and answers are never
// far away.
const maxDrain = 4096

// runLoop is the only goroutine that touches the loop. Each wake-up takes
// everything that waits, so batches form by themselves.
func (r *Replica) runLoop(ctx context.Context, g *errgroup.Group) error {
	ticker := time.NewTicker(r.options.TickInterval)
	defer ticker.Stop()
	for {
		if err := r.carryOut(ctx, g); err != nil {
			return err
		}
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-ticker.C:
			r.tellTime()
			r.loop.Handle(Tick{})
		case m := <-r.received:
			r.tellTime()
			r.loop.Handle(Received{Message: m})
		case q := <-r.requests:
			r.tellTime()
			r.take(q)
		case e := <-r.feedback:
			r.tellTime()
			r.loop.Handle(e)
		case reply := <-r.statuses:
			reply <- r.loop.Status()
			continue
		}
		r.drain()
	}
}

// tellTime comes before whatever else the loop is told in one wake-up.
func (r *Replica) tellTime() {
	now := r.options.Now()
	r.loop.Handle(TimeIs{
		WallMillis:      uint64(max(now.UnixMilli(), 0)),
		MonotonicMillis: uint64(max(now.Sub(r.clockStart).Milliseconds(), 0)),
	})
}

// drain takes what else waits, without blocking.
func (r *Replica) drain() {
	for range maxDrain {
		select {
		case e := <-r.feedback:
			r.loop.Handle(e)
		case m := <-r.received:
			r.loop.Handle(Received{Message: m})
		case q := <-r.requests:
			r.take(q)
		default:
			return
		}
	}
}

// take registers a caller and hands its event to the loop.
func (r *Replica) take(q request) {
	if q.reply != nil {
		r.waiters[q.id] = q.reply
	}
	r.loop.Handle(q.event)
}

// carryOut does what the loop wants done. Nothing in it blocks.
func (r *Replica) carryOut(ctx context.Context, g *errgroup.Group) error {
	effects, err := r.loop.Effects()
	if err != nil {
		return fmt.Errorf("replica: reading the log: %w", err)
	}
	// Before anybody gets an answer: who looks after that must not find it serving.
	r.publishParking()
	if len(effects.Send) > 0 {
		r.options.Sender.Send(effects.Send)
	}
	for _, m := range effects.Stream {
		r.options.Sender.SendSnapshot(m, r.options.Storage.OpenSnapshot, func(err error) {
			r.report(ctx, SnapshotSent{To: m.To, Err: err})
		})
	}
	if effects.Write != nil {
		r.writes <- effects.Write
	}
	for _, apply := range effects.Apply {
		r.works <- work{apply: apply}
	}
	if effects.TakeSnapshot {
		r.works <- work{snapshot: true}
	}
	if effects.SaveSnapshot != nil {
		order := *effects.SaveSnapshot
		g.Go(func() error { r.saveSnapshot(ctx, order); return nil })
	}
	r.deliver(effects.Answers)
	r.publish()
	return nil
}

// deliver hands answers to their callers, each of which has room for one.
func (r *Replica) deliver(answers []Answer) {
	for _, a := range answers {
		if reply, ok := r.waiters[a.ID]; ok {
			delete(r.waiters, a.ID)
			reply <- a
		}
	}
}

// report brings an event back to the loop.
func (r *Replica) report(ctx context.Context, e Event) {
	select {
	case r.feedback <- e:
	case <-ctx.Done():
	}
}

// spaceInterval is how often the storage is asked how much room its disk has.
const spaceInterval = 100 * time.Millisecond

// runStorage makes Writes durable, one after the other. Its first error ends the
// replica: a sync that failed may have lost what it claims to hold.
func (r *Replica) runStorage(ctx context.Context) error {
	ticker := time.NewTicker(spaceInterval)
	defer ticker.Stop()
	space := raft.SpacePlenty
	for {
		r.measureSpace(ctx, &space)
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-ticker.C:
			continue
		case w := <-r.writes:
			// The disk may have filled up since the core was told that it had room.
			// This one Write still goes, or term and vote would wait behind it; the
			// room that storages hold back is many times its size. The loop hears of
			// a full disk before it hears that the Write is durable, and then hands
			// out no other with entries.
			if w.NeedsDisk() {
				if err := r.options.Storage.Save(w); err != nil {
					return fmt.Errorf("replica: writing the log: %w", err)
				}
			}
			r.measureSpace(ctx, &space)
			r.report(ctx, Saved{ID: w.ID})
		}
	}
}

// measureSpace asks the storage how much room its disk has, and tells the loop when
// that is not what it was. A storage that can't tell has plenty.
func (r *Replica) measureSpace(ctx context.Context, last *raft.Space) {
	gauge, ok := r.options.Storage.(SpaceGauge)
	if !ok {
		return
	}
	if now := gauge.Space(); now != *last {
		*last = now
		r.options.Logger.Warn("room on disk has changed", "space", now.String())
		r.report(ctx, SpaceMeasured{Space: now})
	}
}

// runStateMachine applies what is committed, in order.
func (r *Replica) runStateMachine(ctx context.Context) error {
	applied := r.options.State.Snapshot.Index
	for {
		var next work
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case next = <-r.works:
		}
		switch {
		case next.snapshot:
			r.report(ctx, Viewed{Index: applied, Write: r.options.StateMachine.Snapshot()})
		case next.apply.Restore != nil:
			if err := r.restore(*next.apply.Restore); err != nil {
				return err
			}
			applied = next.apply.Restore.Index
			r.report(ctx, Applied{Work: next.apply})
		default:
			results := r.options.StateMachine.Apply(next.apply.Entries)
			applied = next.apply.Entries[len(next.apply.Entries)-1].Index
			hashes, stuck := r.check()
			r.report(ctx, Applied{Work: next.apply, Results: results, Hashes: hashes, Stuck: stuck})
		}
	}
}

// check asks the state machine what it says of itself.
func (r *Replica) check() (hashes []raft.StateHash, stuck bool) {
	if checked, ok := r.options.StateMachine.(SelfCheck); ok {
		return checked.Check()
	}
	return nil, false
}

// restore replaces the state by the newest snapshot, which must be the one that
// the core speaks of.
func (r *Replica) restore(want raft.SnapshotMeta) error {
	meta, file, err := r.options.Storage.OpenSnapshot()
	if err != nil {
		return fmt.Errorf("replica: opening the snapshot at %d: %w", want.Index, err)
	}
	defer file.Close()
	if meta.Index != want.Index || meta.Term != want.Term {
		return fmt.Errorf("replica: the newest snapshot is %d of term %d, want %d of term %d",
			meta.Index, meta.Term, want.Index, want.Term)
	}
	if err := r.options.StateMachine.Restore(file); err != nil {
		return fmt.Errorf("replica: restoring the snapshot at %d: %w", want.Index, err)
	}
	return nil
}

// saveSnapshot writes a view of the state beside everything else that goes on.
// Failing is no harm but a longer log: it is tried again later.
func (r *Replica) saveSnapshot(ctx context.Context, order SaveSnapshot) {
	var size int64
	first, err := r.options.Storage.SaveSnapshot(order.Meta, func(w io.Writer) error {
		counted := &countingWriter{to: w}
		err := order.Write(counted)
		size = counted.bytes
		return err
	})
	result := SnapshotSaved{Meta: order.Meta, SizeBytes: size, Err: err}
	if err != nil {
		r.options.Logger.Error("snapshot failed; it will be tried again", "index", order.Meta.Index, "error", err)
	} else {
		result.Base = first - 1
		r.options.Logger.Info("snapshot taken", "index", order.Meta.Index, "bytes", size, "first", first)
	}
	r.report(ctx, result)
}

// countingWriter counts what passes through it.
type countingWriter struct {
	to    io.Writer
	bytes int64
}

func (c *countingWriter) Write(p []byte) (int, error) {
	n, err := c.to.Write(p)
	c.bytes += int64(n)
	return n, err
}
