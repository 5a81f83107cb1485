package replica_test

import (
	"flag"
	"fmt"
	"testing"

	"github.com/conclave-dev/conclave/pkg/raft"
	"github.com/conclave-dev/conclave/pkg/raft/replica"
)

var (
	seeds = flag.Uint64("seeds", 150, "number of random schedules")
	seed  = flag.Uint64("seed", 0, "play only this schedule")
)

// TestRandomSchedulesKeepEveryPromise plays random schedules of messages, disks,
// crashes and partitions, then heals everything and demands progress.
func TestRandomSchedulesKeepEveryPromise(t *testing.T) {
	first, last := uint64(1), *seeds
	if *seed != 0 {
		first, last = *seed, *seed
	}
	for s := first; s <= last; s++ {
		t.Run(fmt.Sprintf("seed=%d", s), func(t *testing.T) {
			w := newWorld(t, s, []int{1, 3, 3, 5}[s%4])
			for range 6000 {
				w.step()
			}
			w.heal()
			w.demandProgress()
			w.checkOutcomes()
		})
	}
}

// step does one random thing.
func (w *world) step() {
	r := w.random
	n := w.nodes[r.IntN(len(w.nodes))]
	if n.loop == nil {
		if r.IntN(30) == 0 {
			w.start(n)
		}
		return
	}
	switch k := r.IntN(1000); {
	case k < 450:
		if len(w.wire) > 0 {
			i := r.IntN(len(w.wire))
			switch r.IntN(20) {
			case 0: // Lost, unless it is a snapshot, whose end is always told.
				w.cutFor(i, func() { w.deliver(i, false) })
			case 1:
				// Proposals are the one kind that the transport never repeats.
				w.deliver(i, w.wire[i].Kind != raft.KindPropose)
			default:
				w.deliver(i, false)
			}
		}
	case k < 650:
		w.save(n)
	case k < 800:
		w.applyOne(n)
	case k < 870:
		n.loop.Handle(replica.Tick{})
	case k < 920:
		w.propose(n)
	case k < 950:
		w.read(n)
	case k < 955:
		w.crash(n)
		return
	case k < 962:
		w.partition()
	case k < 990:
		w.healNetwork()
	default:
		w.cancelOne(n)
	}
	w.act(n)
	for _, other := range w.nodes {
		if other.loop != nil && r.IntN(2) == 0 {
			w.act(other)
		}
	}
}

// cutFor runs f while the link of message i is cut.
func (w *world) cutFor(i int, f func()) {
	link := [2]int{int(w.wire[i].From) - 1, int(w.wire[i].To) - 1}
	was := w.cut[link]
	w.cut[link] = true
	f()
	w.cut[link] = was
}

// cancelOne cancels a random request of a node.
func (w *world) cancelOne(n *member) {
	var oldest *outcome
	for _, o := range w.proposals {
		if o.node == n && !o.told && (oldest == nil || o.id.Sequence < oldest.id.Sequence) {
			oldest = o
		}
	}
	if oldest != nil {
		n.loop.Handle(replica.Cancelled{ID: oldest.id})
	}
}

// cancelAll cancels what nobody has answered, as callers do when their time is
// up.
func (w *world) cancelAll() {
	for _, o := range w.proposals {
		if !o.told {
			o.node.loop.Handle(replica.Cancelled{ID: o.id})
		}
	}
}

// partition cuts a random set of links, in one direction each.
func (w *world) partition() {
	for a := range w.nodes {
		for b := range w.nodes {
			w.cut[[2]int{a, b}] = a != b && w.random.IntN(3) == 0
		}
	}
}

func (w *world) healNetwork() { clear(w.cut) }

func (w *world) heal() {
	w.healNetwork()
	for _, n := range w.nodes {
		if n.loop == nil {
			w.start(n)
		}
	}
}

// settle lets ticks pass while everything works.
func (w *world) settle(ticks int) {
	for range ticks {
		for _, n := range w.nodes {
			n.loop.Handle(replica.Tick{})
		}
		for range 20 {
			for _, n := range w.nodes {
				w.act(n)
				w.save(n)
				w.applyAll(n)
				w.act(n)
			}
			for batch := len(w.wire); batch > 0; batch-- {
				w.deliver(0, false)
			}
		}
	}
}

// demandProgress demands that a healed cluster takes proposals and reads at every
// node, and that all nodes agree.
func (w *world) demandProgress() {
	w.settle(200)
	for _, n := range w.nodes {
		command := w.propose(n)
		id := w.read(n)
		w.settle(40)
		if o := w.proposals[command]; !o.told || o.err != nil {
			w.t.Fatalf("a healed cluster did not take %s at %s: told %v, %v; %+v", command, n.id, o.told, o.err, n.loop.Status())
		}
		if _, waiting := n.reads[id]; waiting {
			w.t.Fatalf("a healed cluster did not answer a read at %s", n.id)
		}
	}
	w.cancelAll()
	w.settle(40)
	for _, n := range w.nodes {
		if n.last != w.nodes[0].last {
			w.t.Fatalf("%s has applied %d, %s has applied %d", n.id, n.last, w.nodes[0].id, w.nodes[0].last)
		}
	}
}

// checkOutcomes compares what callers were told with what happened.
func (w *world) checkOutcomes() {
	in := map[string]bool{}
	for _, command := range w.nodes[0].log {
		in[command] = true
	}
	for command, o := range w.proposals {
		switch {
		case !o.told:
			w.t.Errorf("%s was never answered", command)
		case o.err == nil && !in[command]:
			w.t.Errorf("%s was acknowledged and is lost", command)
		case o.err != nil && o.err != replica.ErrOutcomeUnknown && in[command]:
			w.t.Errorf("%s was refused (%v) and yet applied", command, o.err)
		}
	}
}
