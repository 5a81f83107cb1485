package sim

import (
	"slices"
	"time"

	"github.com/conclave-dev/conclave/pkg/raft"
)

// faultKind is one way in which something breaks.
type faultKind int

const (
	faultCrash faultKind = iota
	faultRestart
	faultPause
	faultIsolate
	faultSplit
	faultBridge
	faultOneWay
	faultSlowLinks
	faultStall
	faultSlowDisk
	faultSlowApply
	faultBurst
	faultClock
	faultForget
	faultFull
	faultWipe
	// faultTamper is drawn apart from the others, and last here for that.
	faultTamper
	faultKinds
)

var faultNames = [faultKinds]string{
	"crash", "restart", "pause", "isolate", "split", "bridge", "one-way", "slow-links",
	"stall", "slow-disk", "slow-apply", "burst", "clock", "forget", "full", "wipe", "tamper",
}

var faultCounters = [faultKinds]Counter{
	FaultCrash, FaultRestart, FaultPause, FaultIsolate, FaultSplit, FaultBridge, FaultOneWay, FaultSlowLinks,
	FaultStall, FaultSlowDisk, FaultSlowApply, FaultBurst, FaultClock, FaultForget, FaultFull, Wipes, FaultTamper,
}

// String is the fault's name.
func (k faultKind) String() string { return faultNames[k] }

// planFault lets the next fault happen in a while.
func (w *world) planFault() {
	if w.options.FaultEvery == 0 {
		return
	}
	w.after(w.about(w.options.FaultEvery), func() {
		if w.healed {
			return
		}
		w.breakSomething()
		w.planFault()
	})
}

// breakSomething chooses a fault and a node. Leaders are chosen more often than
// by chance, since most depends on them.
func (w *world) breakSomething() {
	total := 0
	for _, weight := range w.options.Faults {
		total += weight
	}
	chosen := w.random.IntN(total)
	kind := faultKind(0)
	for chosen >= w.options.Faults[kind] {
		chosen -= w.options.Faults[kind]
		kind++
	}
	n := w.running()
	if leader := w.leader(); leader != nil && w.chance(0.3) {
		n = leader
	}
	if kind == faultWipe {
		w.wipeSpare()
		return
	}
	if n == nil || n.paused || kind == faultForget && !w.mayForget(n) {
		return
	}
	w.hurt(kind, n, w.about(2*w.options.Timeout()))
}

// hurt does one fault to a running node, for a while.
func (w *world) hurt(kind faultKind, n *node, d time.Duration) {
	w.trace.tell(traceFault, n, "fault: %v for %v", kind, d)
	w.count(faultCounters[kind])
	switch kind {
	case faultCrash:
		w.crash(n, d)
	case faultRestart:
		w.restart(n, d)
	case faultPause:
		w.pause(n, d)
	case faultIsolate:
		w.cutOff(n, d)
	case faultSplit:
		w.split(d)
	case faultBridge:
		w.bridge(n, d)
	case faultOneWay:
		w.oneWay(n, d)
	case faultSlowLinks:
		w.slowLinks(n, d)
	case faultStall:
		n.stall(d)
	case faultSlowDisk:
		w.slowDisk(n, d)
	case faultSlowApply:
		w.slowApply(n, d)
	case faultBurst:
		w.burst(n)
	case faultClock:
		n.setClock()
	case faultForget:
		w.forget(n, d)
	case faultFull:
		w.fill(n, d)
	case faultTamper:
		w.tamper(n)
	}
}

func (w *world) crash(n *node, d time.Duration) {
	n.crash()
	w.startLater(n, d)
}

func (w *world) restart(n *node, d time.Duration) {
	n.stop()
	w.startLater(n, d/8)
}

func (w *world) startLater(n *node, d time.Duration) {
	life := n.life
	w.after(d, func() {
		if n.life == life && n.loop == nil {
			n.start()
		}
	})
}

// pause is SIGSTOP: no tick is counted, and what arrives waits.
func (w *world) pause(n *node, d time.Duration) {
	n.paused = true
	life := n.life
	w.after(d, func() {
		if n.life == life {
			n.resume()
		}
	})
}

// split cuts the nodes in two parts.
func (w *world) split(d time.Duration) {
	side := w.random.Uint64()
	for a, one := range w.nodes {
		for b, other := range w.nodes {
			if side>>a&1 != side>>b&1 {
				w.cutLink(one, other, d)
			}
		}
	}
}

// bridge cuts the nodes in two parts that only one node can talk to both of.
func (w *world) bridge(n *node, d time.Duration) {
	side := w.random.Uint64()
	for a, one := range w.nodes {
		for b, other := range w.nodes {
			if one != n && other != n && side>>a&1 != side>>b&1 {
				w.cutLink(one, other, d)
			}
		}
	}
}

// oneWay cuts links in one direction each.
func (w *world) oneWay(n *node, d time.Duration) {
	inwards := w.chance(0.5)
	for _, other := range w.nodes {
		switch {
		case other == n || w.chance(0.3):
		case inwards:
			w.cutLink(other, n, d)
		default:
			w.cutLink(n, other, d)
		}
	}
}

// slowLinks delays what a node sends.
func (w *world) slowLinks(n *node, d time.Duration) {
	for _, other := range w.nodes {
		l := w.link(n, other)
		l.slow, l.late, l.slowUntil = w.options.Timeout()*2, 0, w.now+d
	}
}

func (w *world) slowDisk(n *node, d time.Duration) {
	n.diskSlow = w.upTo(w.options.Timeout())
	w.after(d, func() { n.diskSlow = 0 })
}

func (w *world) slowApply(n *node, d time.Duration) {
	n.applySlow = w.upTo(w.options.Timeout())
	w.after(d, func() { n.applySlow = 0 })
}

// burst gives a node many ticks at once, as after a pause that its clock has
// counted.
func (w *world) burst(n *node) {
	life := n.life
	for range 1 + w.random.IntN(2*w.options.ElectionTicksMax) {
		if n.life == life {
			n.tickOnce()
		}
	}
}

// wipeSpare gives an empty disk to a node that is no member as far as anyone
// knows, so that nobody counts on what it held.
func (w *world) wipeSpare() {
	first := w.random.IntN(len(w.nodes))
	for i := range w.nodes {
		n := w.nodes[(first+i)%len(w.nodes)]
		if w.counted(n) {
			continue
		}
		w.trace.tell(traceFault, n, "fault: wiped")
		w.count(Wipes)
		if n.loop != nil {
			n.crash()
		}
		n.wipe()
		w.startLater(n, w.about(w.options.Timeout()))
		return
	}
}

// counted tells whether a node is a member in any configuration that may come
// into force, on any disk or in any memory.
func (w *world) counted(n *node) bool {
	newest := w.oracle.memberships[len(w.oracle.memberships)-1]
	counts := func(known raft.MembershipAt) bool {
		_, member := known.Membership.Member(n.id)
		return member && known.Index >= newest.Index
	}
	if counts(newest) {
		return true
	}
	for _, other := range w.nodes {
		if slices.ContainsFunc(w.oracle.disks[other.id].memberships, counts) || other.loop != nil && counts(other.loop.Membership()) {
			return true
		}
	}
	return false
}
