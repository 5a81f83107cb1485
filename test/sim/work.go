package sim

import (
	"bytes"
	"io"
	"slices"
	"time"

	"github.com/conclave-dev/conclave/pkg/config"
	"github.com/conclave-dev/conclave/pkg/raft"
	"github.com/conclave-dev/conclave/pkg/raft/replica"
)

// write hands a write to the storage, which reports it when it is durable.
func (n *node) write(w *raft.Write) {
	if !w.NeedsDisk() {
		n.after(1, func() { n.reported(w) })
		return
	}
	d := n.w.upTo(n.w.options.DiskDelay) + n.diskSlow
	d = max(d, n.stalledUntil-n.w.now)
	n.after(d, func() { n.finish(w) })
}

// finish ends a write, once the disk lets it.
func (n *node) finish(w *raft.Write) {
	switch {
	case n.stalledUntil > n.w.now:
		n.after(n.stalledUntil-n.w.now, func() { n.finish(w) })
	case n.blocked(w):
		n.after(100*time.Millisecond, func() { n.finish(w) })
	default:
		n.persist(w)
		n.reported(w)
	}
}

// blocked tells whether a write waits for room on the disk. The no-ops that open terms
// find some.
func (n *node) blocked(w *raft.Write) bool {
	return n.space == raft.SpaceFull && slices.ContainsFunc(w.Entries, func(e raft.Entry) bool { return e.Kind != raft.EntryNoOp })
}

// persist makes a write durable.
func (n *node) persist(w *raft.Write) {
	n.w.count(Writes)
	n.w.trace.write(n, w)
	n.must(n.storage.Save(w))
	if w.Snapshot != nil {
		n.base = w.Snapshot.Index
	}
	n.w.oracle.saved(n, w)
}

func (n *node) reported(w *raft.Write) {
	n.writing = nil
	n.handle(replica.Saved{ID: w.ID})
}

// workOn begins the next step of the state machine, one at a time.
func (n *node) workOn() {
	if n.working || len(n.works) == 0 {
		return
	}
	n.working = true
	n.after(n.w.upTo(n.w.options.ApplyDelay)+n.applySlow, func() {
		n.working = false
		step := n.works[0]
		n.works = n.works[1:]
		n.do(step)
	})
}

// do is one step of the state machine.
func (n *node) do(step work) {
	switch {
	case step.view:
		n.workOn()
		n.handle(replica.Viewed{Index: raft.Index(n.machine.View().Index), Write: n.freeze()})
	case step.Restore != nil:
		n.w.count(Restores)
		n.w.trace.note(traceRestored, n, uint64(step.Restore.Index), 0, 0)
		n.restore(*step.Restore)
		n.workOn()
		n.handle(replica.Applied{Work: step.ApplyWork})
	default:
		results := n.apply(step.Entries)
		n.workOn()
		n.handle(replica.Applied{Work: step.ApplyWork, Results: results, Hashes: n.check()})
	}
}

// apply drives the state machine as a real node does.
func (n *node) apply(entries []raft.Entry) []any {
	results := make([]any, len(entries))
	for i := range entries {
		e := &entries[i]
		result := n.machine.Apply(uint64(e.Index), stamp(e), origin(e), n.commandOf(e))
		results[i] = result
		if !n.tampered {
			n.w.oracle.applied(n, e, result)
		}
		n.hash(e.Index)
	}
	n.machine.Publish()
	n.w.oracle.published(n)
	return results
}

// stamp says in the store's words when the leader took an entry.
func stamp(e *raft.Entry) config.Stamp {
	return config.Stamp{TimeMillis: e.TimeMillis, ElapsedMillis: e.ElapsedMillis}
}

// origin says in the store's words who proposed an entry.
func origin(e *raft.Entry) config.Origin {
	o := &e.Origin
	return config.Origin{Member: uint64(o.Member), Boot: o.Boot, Sequence: o.Sequence, Answered: o.Answered}
}

// saveSnapshot writes a snapshot beside everything else. It may be overtaken by
// one that is installed, and fail for that.
func (n *node) saveSnapshot(order *replica.SaveSnapshot) {
	n.w.oracle.snapshot(n, &order.Meta)
	d := n.w.upTo(n.w.options.DiskDelay)*3 + n.diskSlow
	n.after(max(d, n.stalledUntil-n.w.now), func() {
		var size int64
		first, err := n.storage.SaveSnapshot(order.Meta, func(out io.Writer) error {
			if n.tampered {
				return errTampered
			}
			var whole bytes.Buffer
			if err := order.Write(&whole); err != nil {
				return err
			}
			size = int64(whole.Len())
			_, err := whole.WriteTo(out)
			return err
		})
		done := replica.SnapshotSaved{Meta: order.Meta, SizeBytes: size, Err: err}
		if err == nil {
			done.Base, n.base = first-1, first-1
			n.w.count(Snapshots)
		}
		n.w.trace.note(traceSnapshot, n, uint64(order.Meta.Index), uint64(done.Base), boolean(err == nil))
		n.handle(done)
	})
}

// stall keeps the disk from finishing anything for a while.
func (n *node) stall(d time.Duration) { n.stalledUntil = max(n.stalledUntil, n.w.now+d) }
