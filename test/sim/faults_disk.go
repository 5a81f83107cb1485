package sim

import (
	"slices"
	"time"

	"github.com/conclave-dev/conclave/pkg/raft"
	"github.com/conclave-dev/conclave/pkg/raft/replica"
)

// mayForget tells whether a disk may lose what it had acknowledged. In every
// configuration that may come into force the members that have lost something must
// stay a minority of each half: beyond that nobody could tell what was committed,
// and a cluster rightly stands still.
func (w *world) mayForget(n *node) bool {
	for _, m := range w.memberships() {
		for _, half := range [][]raft.MemberID{m.Voters, m.Outgoing} {
			faulty := 0
			for _, id := range half {
				if id == n.id || w.oracle.disks[id].former != nil {
					faulty++
				}
			}
			if slices.Contains(half, n.id) && 2*faulty >= len(half) {
				return false
			}
		}
	}
	return true
}

// memberships returns the configurations that may be in force now or come into
// force: the newest committed one, and what lies or lay on a disk or in a memory
// after it.
func (w *world) memberships() []*raft.Membership {
	newest := &w.oracle.memberships[len(w.oracle.memberships)-1]
	all := []*raft.Membership{&newest.Membership}
	add := func(known *raft.MembershipAt) {
		if known.Index > newest.Index {
			all = append(all, &known.Membership)
		}
	}
	for _, n := range w.nodes {
		for disk := w.oracle.disks[n.id]; disk != nil; disk = disk.former {
			for i := range disk.memberships {
				add(&disk.memberships[i])
			}
		}
		if n.loop != nil {
			told := n.loop.Membership()
			add(&told)
		}
	}
	return all
}

// ailing tells whether any disk has lost something that it has not got back.
func (w *world) ailing() bool {
	return slices.ContainsFunc(w.nodes, func(n *node) bool { return w.oracle.disks[n.id].former != nil })
}

// forget crashes a node, and its disk comes back without the end of its log, or
// with the log of an earlier day.
func (w *world) forget(n *node, d time.Duration) {
	n.crash()
	o, disk := &w.oracle, w.oracle.disks[n.id]
	if disk.kept != nil && w.chance(0.3) {
		n.must(n.disk.Forget())
		o.forgot(n, disk.kept)
	} else if last := disk.last(); last > n.base {
		from := max(n.base+1, last-min(raft.Index(w.random.IntN(12)), last-n.base-1))
		n.must(n.disk.LoseFrom(from))
		rest := disk.clone()
		rest.cut(from)
		o.forgot(n, rest)
	}
	w.startLater(n, d)
}

// fill fills a node's disk up, to one of the marks.
func (w *world) fill(n *node, d time.Duration) {
	n.setSpace(pick(w.random, raft.SpaceLow, raft.SpaceFull, raft.SpaceFull))
	disk := n.disk
	w.after(d, func() {
		if n.disk == disk {
			n.setSpace(raft.SpacePlenty)
		}
	})
}

// setSpace changes how much room the disk has. The storage finds out by itself,
// whatever the process is doing.
func (n *node) setSpace(space raft.Space) {
	if n.space == space {
		return
	}
	n.space = space
	if n.loop != nil {
		n.after(n.w.upTo(100*time.Millisecond), func() { n.handle(replica.SpaceMeasured{Space: n.space}) })
	}
}
