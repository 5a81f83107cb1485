package sim

import (
	"fmt"
	"strings"
	"time"

	"github.com/conclave-dev/conclave/pkg/raft"
	"github.com/conclave-dev/conclave/test/e2e/history"
)

// livenessTimeouts is how many of the longest election timeouts a healed cluster
// may take until everything works. One passes until nobody takes an old leader
// for alive, and one more until every candidate's old term has been answered. Then
// each round of elections takes at most two, and fails when two members time out
// so close to each other that both ask for votes: with timeouts of only two
// lengths for up to seven members that is one round in two or so, and fourteen
// rounds fail together once in ten thousand, if the same members met each time; a
// failed pre-vote costs no more than the rest of a timeout, so mostly it is
// three or four. What the members lack of the log is granted on top, see
// catchUp.
const livenessTimeouts = 30

// heal mends everything that is broken, for good.
func (w *world) heal() {
	w.healed = true
	w.links = [maxNodes][maxNodes]link{}
	o := &w.options
	beat := time.Duration(o.HeartbeatTicks) * o.Tick
	o.Delay, o.DiskDelay, o.ApplyDelay = min(o.Delay, beat/4), min(o.DiskDelay, beat/4), min(o.ApplyDelay, beat/50)
	w.trace.tell(traceHealed, nil, "everything heals")
	for _, n := range w.nodes {
		n.tampering = false
		n.diskSlow, n.applySlow, n.stalledUntil = 0, 0, w.now
		n.setSpace(raft.SpacePlenty)
		n.setClock()
		if n.loop == nil {
			n.start()
		}
		n.resume()
	}
}

// catchUp is what members may need for entries that they lack: at worst each
// takes a message, a write, an answer and an application of its own, a second
// time after a snapshot that came too late.
func (w *world) catchUp() time.Duration {
	o := &w.options
	entries := time.Duration(len(w.oracle.entries))
	return 2 * entries * (2*o.Delay + 2*o.DiskDelay + o.ApplyDelay)
}

// demandProgress demands that the healed cluster takes a write and a read at
// every member and that all of them come to hold the same.
func (w *world) demandProgress() {
	deadline := w.now + (livenessTimeouts+w.options.healTimeouts())*w.options.Timeout() + w.catchUp()
	probes := map[raft.MemberID]*probe{}
	for {
		if w.now >= deadline {
			w.fail("the healed cluster has not come to rest within %d election timeouts and %v:\n%s", livenessTimeouts, w.catchUp(), w.standing(probes))
		}
		w.runUntil(w.now + w.options.Timeout()/2)
		leader := w.leader()
		if leader == nil {
			continue
		}
		w.nudge(leader)
		settled := true
		for _, member := range leader.loop.Membership().Membership.Members {
			p := probes[member.ID]
			if p == nil {
				p = &probe{client: newClient(w), node: w.node(member.ID)}
				w.clients = append(w.clients, p.client)
				probes[member.ID] = p
			}
			settled = p.step() && settled
		}
		if settled && w.settled(leader) {
			return
		}
	}
}

// settled tells whether all members of a settled configuration hold the same.
func (w *world) settled(leader *node) bool {
	s := leader.loop.Status()
	if w.tampered() || w.parked() {
		return false
	}
	if s.Membership.IsJoint() || leader.loop.Membership().Index > s.Committed || s.Committed != s.Last {
		return false
	}
	for _, member := range s.Membership.Members {
		n := w.node(member.ID)
		if n == nil || raft.Index(n.machine.View().Index) != s.Last {
			return false
		}
	}
	return true
}

// probe asks a member for a write and then for a read of every key, until each
// was answered once.
type probe struct {
	client *client
	node   *node
	wrote  bool
	read   int
	// seen is how many of the client's operations were looked at.
	seen int
}

// step tells whether the member has answered everything, and asks for what it has
// not when it has nothing to do.
func (p *probe) step() bool {
	c := p.client
	w := c.w
	if p.node == nil {
		w.fail("a member of the healed cluster is gone for good")
	}
	if c.now == nil && p.seen < len(c.done) {
		p.seen = len(c.done)
		last := c.done[p.seen-1].record
		answered := last.Outcome == history.Done || last.Outcome == history.Absent
		switch {
		case answered && last.Kind == history.Put:
			p.wrote = true
		case answered:
			p.read++
		}
	}
	switch {
	case p.wrote && p.read == w.options.Keys:
		return true
	case c.now != nil:
	case !p.wrote:
		w.sequence++
		c.do(p.node, &request{Operation: history.Operation{Worker: c.number, Kind: history.Put, Key: "probe", Value: fmt.Sprintf("p%d", w.sequence)}})
	default:
		c.do(p.node, &request{Operation: history.Operation{Worker: c.number, Kind: history.Get, Key: fmt.Sprintf("k%d", p.read+1)}})
	}
	return false
}

// standing tells where every node stands.
func (w *world) standing(probes map[raft.MemberID]*probe) string {
	var text strings.Builder
	for _, n := range w.nodes {
		if n.loop == nil {
			fmt.Fprintf(&text, "%v is down\n", n)
			continue
		}
		s := n.loop.Status()
		fmt.Fprintf(&text, "%v: %v of term %d, leader %s, log %d to %d, durable %d, committed %d, applied %d, %s", n,
			s.Role, s.Term, memberText(s.Leader), s.Base, s.Last, s.Durable, s.Committed, s.Applied, membershipText(&s.Membership))
		if p := probes[n.id]; p != nil {
			fmt.Fprintf(&text, "; took a write: %t, reads: %d", p.wrote, p.read)
		}
		for _, f := range s.Followers {
			fmt.Fprintf(&text, "\n    %s: %s, match %d, next %d, heard %d ticks ago", memberText(f.ID), f.State, f.Match, f.Next, f.ContactTicks)
		}
		text.WriteString("\n")
	}
	return text.String()
}
