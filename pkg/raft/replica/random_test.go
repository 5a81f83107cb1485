package replica_test

import (
	"flag"
	"fmt"
	"testing"

	"github.com/conclave-dev/conclave/pkg/raft"
	"github.com/conclave-dev/conclave/pkg/raft/replica"
)

var (
	seeds = flag.Uint64("seeds", 0, "number of random schedules; 0 means 100, or 30 with -short")
	seed  = flag.Uint64("seed", 0, "play only this schedule")
)

// TestRandomSchedulesKeepEveryPromise plays random schedules of messages, disks,
// crashes and partitions, then heals everything and demands progress.
func TestRandomSchedulesKeepEveryPromise(t *testing.T) {
	first, last := uint64(1), *seeds
	switch {
	case last == 0 && testing.Short():
		last = 30
	case last == 0:
		last = 100
	}
	if *seed != 0 {
		first, last = *seed, *seed
	}
	asked, done, copies, lost := 0, 0, 0, 0
	for s := first; s <= last; s++ {
		t.Run(fmt.Sprintf("seed=%d", s), func(t *testing.T) {
			w := newWorld(t, s, []int{1, 3, 3, 5}[s%4])
			w.changing = s%3 == 0
			w.forgetful, w.narrow = s%3 == 1 && len(w.nodes) > 1+spares, s%2 == 0
			for range 6000 {
				w.step()
			}
			w.heal()
			w.demandProgress()
			w.checkOutcomes()
			asked += w.changes.asked
			done += w.changes.done
			copies += w.copies
			lost += w.lost
		})
	}
	t.Logf("of %d changes of the membership and transfers %d were made; copies of commands were applied %d times; %d logs were lost",
		asked, done, copies, lost)
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
	case k < 380:
		w.deliverOne()
	case k < 520:
		w.save(n)
	case k < 620:
		w.applyOne(n)
	case k < 880:
		n.loop.Handle(replica.Tick{})
	case k < 930:
		w.propose(n)
	case k < 950:
		w.read(n)
	case k < 960:
		if w.changing {
			w.order(n)
		}
	case k < 965:
		log := n.loop.Status()
		w.crash(n)
		w.lose(n, &log)
		return
	case k < 968:
		if w.narrow {
			w.setSpace(n, raft.Space(w.random.IntN(3)))
		}
	case k < 975:
		w.partition()
	case k < 985:
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

// lose lets the disk of a node that crashed come back without the end of its log, or
// with an older one. It happens to one node at a time, so that the others can always
// elect someone.
func (w *world) lose(n *member, log *raft.Status) {
	if !w.forgetful {
		return
	}
	if w.random.IntN(4) == 0 {
		must(w.t, n.disk.Keep())
		n.kept = true
	}
	for _, other := range w.nodes {
		if other.loop != nil && !other.loop.Status().Faulty {
			other.lost = false
		}
		if other != n && other.lost {
			return
		}
	}
	switch room := int(log.Durable) - int(log.Base); w.random.IntN(4) {
	case 0:
		if n.kept {
			must(w.t, n.disk.Forget())
			n.lost = true
		}
	case 1:
		if room > 0 && n.disk.LoseFrom(log.Base+1+raft.Index(w.random.IntN(room))) == nil {
			n.lost = true
		}
	}
	if n.lost {
		w.lost++
	}
}

func (w *world) setSpace(n *member, space raft.Space) {
	n.space = space
	if n.loop != nil {
		n.loop.Handle(replica.SpaceMeasured{Space: space})
	}
}

// deliverOne hands over a random message, or loses or repeats it.
func (w *world) deliverOne() {
	if len(w.wire) == 0 {
		return
	}
	i := w.random.IntN(len(w.wire))
	switch w.random.IntN(20) {
	case 0:
		w.cutFor(i, func() { w.deliver(i, false) })
	case 1:
		w.deliver(i, true)
	default:
		w.deliver(i, false)
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

// partition cuts the network: one node off, in two parts, or links at random and
// in one direction each.
func (w *world) partition() {
	clear(w.cut)
	kind, alone := w.random.IntN(3), w.random.IntN(len(w.nodes))
	side := w.random.Uint64()
	for a := range w.nodes {
		for b := range w.nodes {
			var cut bool
			switch kind {
			case 0:
				cut = a == alone || b == alone
			case 1:
				cut = side>>a&1 != side>>b&1
			default:
				cut = w.random.IntN(3) == 0
			}
			w.cut[[2]int{a, b}] = cut && a != b
		}
	}
}

func (w *world) healNetwork() { clear(w.cut) }

func (w *world) heal() {
	w.healNetwork()
	for _, n := range w.nodes {
		w.setSpace(n, raft.SpacePlenty)
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

// members returns the nodes that vote in the newest committed configuration.
func (w *world) members() []*member {
	var newest raft.Status
	for _, n := range w.nodes {
		if s := n.loop.Status(); s.Role == raft.Leader && s.Term > newest.Term {
			newest = s
		}
	}
	var members []*member
	for _, id := range newest.Membership.Voters {
		members = append(members, w.nodes[id-1])
	}
	if len(members) == 0 || newest.Membership.IsJoint() {
		for _, n := range w.nodes {
			w.t.Logf("%+v", n.loop.Status())
		}
		w.t.Fatalf("a healed cluster has no leader of a settled membership: %+v", newest)
	}
	return members
}

// demandProgress demands that a healed cluster takes proposals and reads at every
// voter, and that all of them agree.
func (w *world) demandProgress() {
	w.settle(200)
	members := w.members()
	for _, n := range members {
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
	for _, n := range members {
		if n.last != members[0].last {
			w.t.Fatalf("%s has applied %d, %s has applied %d", n.id, n.last, members[0].id, members[0].last)
		}
	}
}

// checkOutcomes compares what callers were told with what happened.
func (w *world) checkOutcomes() {
	in := map[string]bool{}
	for _, command := range w.members()[0].machine.Log {
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
