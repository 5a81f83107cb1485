package sim

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/conclave-dev/conclave/pkg/config"
	"github.com/conclave-dev/conclave/pkg/raft"
	"github.com/conclave-dev/conclave/pkg/raft/replica"
	"github.com/conclave-dev/conclave/test/e2e/history"
)

// A state that is tampered with is one that the log doesn't make: a node applies
// another command than the log holds, once, as if its memory had failed. Until it
// parks it may tell anything, so nobody believes it: what its clients hear is of
// unknown outcome. Parked it may tell nothing, must not stand for election, lead for
// longer than an election timeout, nor be given anything to apply; it must not serve an
// older state afterwards than before; and once nothing fails any more it must come to hold
// what the others do. A node whose state was left
// alone must never take it for a wrong one.
//
// One node at a time is tampered with, in a membership that doesn't change, and its
// wrong state gets into no snapshot: it could reach a member that lags, and then the
// majority would be wrong.

// drawComparison draws whether members compare their states and whether one of them is
// tampered with, apart from all else, which stays what it was.
func (o *Options) drawComparison() {
	r := rand.New(rand.NewPCG(o.Seed, 0x5ca1e))
	switch r.IntN(6) {
	case 0:
		o.HashEvery = pick[raft.Index](r, 1, 4, 16)
	case 1:
		o.HashEvery = pick[raft.Index](r, 1, 4, 16)
		o.Voters, o.Spares = pick(r, 3, 3, 5), 0
		o.ChangeEvery, o.Watchers = 0, 0
		o.Faults[faultForget], o.Faults[faultWipe] = 0, 0
		o.Faults[faultTamper] = 1 + r.IntN(8)
		if o.FaultEvery == 0 {
			o.FaultEvery = 4 * o.Timeout()
		}
	}
}

// tampered tells whether a node's state is wrong.
func (w *world) tampered() bool {
	return slices.ContainsFunc(w.nodes, func(n *node) bool { return n.tampering || n.tampered })
}

// parked tells whether a node serves nothing, or will not once it runs.
func (w *world) parked() bool {
	return slices.ContainsFunc(w.nodes, func(n *node) bool {
		return w.oracle.disks[n.id].hard.Parked || n.loop != nil && n.loop.Parked() != raft.ParkNone
	})
}

// tamper makes a node's state wrong with the next command that it applies, unless
// another one's is.
func (w *world) tamper(n *node) {
	if !w.tampered() && !w.parked() {
		n.tampering = true
	}
}

// commandOf returns the command of an entry, or another one in its place.
func (n *node) commandOf(e *raft.Entry) []byte {
	if e.Kind != raft.EntryCommand {
		return nil
	}
	if !n.tampering {
		return e.Data
	}
	n.tampering, n.tampered = false, true
	n.w.count(StatesTampered)
	n.w.trace.tell(traceFault, n, "applies another command than that of %s", at(e.Index, e.Term))
	n.w.sequence++
	command := config.Put{Namespace: namespace, Key: "k1", Value: fmt.Appendf(nil, "wrong %d", n.w.sequence)}
	data, err := command.Encode()
	n.must(err)
	return data
}

// hash notes the state's hash where members compare theirs.
func (n *node) hash(index raft.Index) {
	if every := n.w.options.HashEvery; every == 0 || index%every != 0 {
		return
	}
	n.machine.Publish()
	n.hashes = append(n.hashes, raft.StateHash{Index: index, Sum: n.machine.View().Hash})
}

// check returns the hashes that were noted since the last call.
func (n *node) check() []raft.StateHash {
	hashes := n.hashes
	n.hashes = nil
	return hashes
}

var errTampered = errors.New("a state that was tampered with is written nowhere")

// watchParking counts how long a parked member leads. It may for as long as handing over
// takes.
func (n *node) watchParking() {
	s := n.loop.Status()
	if s.Parked == raft.ParkNone || s.Role != raft.Leader {
		n.parkedReign = 0
		return
	}
	if n.parkedReign++; n.parkedReign > n.w.options.ElectionTicksMax+1 {
		n.w.fail("%v is parked and has led on for %d ticks", n, n.parkedReign)
	}
}

// parking judges whether a node is parked rightly, and gets nothing to apply then.
func (o *oracle) parking(n *node, effects *replica.Effects) {
	cause := n.loop.Parked()
	if cause != n.cause {
		if cause == raft.ParkDiffers {
			o.w.count(Parkings)
		}
		o.w.trace.tell(traceFault, n, "parked: %v", cause)
		n.cause = cause
	}
	if cause == raft.ParkNone {
		n.marked = false
		index := raft.Index(n.machine.View().Index)
		if index < n.shown {
			o.w.fail("%v serves the state at %d, and has served that at %d", n, index, n.shown)
		}
		n.shown = index
	}
	if cause != raft.ParkDiffers {
		return
	}
	if !n.tampered && !n.marked {
		o.w.fail("%v is parked, and its state was left alone", n)
	}
	for i := range effects.Apply {
		if len(effects.Apply[i].Entries) > 0 {
			o.w.fail("%v is parked, and is to apply entries from %d on", n, effects.Apply[i].Entries[0].Index)
		}
	}
}

// adopted judges a snapshot that took the place of the own ones.
func (o *oracle) adopted(n *node, s *shadow, meta *raft.SnapshotMeta) {
	o.w.count(Adoptions)
	o.snapshot(n, meta)
	if !s.holds(o, meta.Index, meta.Term) {
		o.w.fail("%v adopts a snapshot at %s, which its log does not hold", n, at(meta.Index, meta.Term))
	}
}

// doubted ends an operation whose answer comes from a state that was tampered with, and
// tells whether it was one. A parked member must not answer at all.
func (op *operation) doubted(a replica.Answer) bool {
	n := op.node
	if a.Err != nil {
		return false
	}
	if cause := n.loop.Parked(); cause != raft.ParkNone {
		op.client.w.fail("client %d gets an answer from %v, which is parked: %v", op.client.number, n, cause)
	}
	if n.tampered {
		op.finish(history.Unknown, "the node's state was tampered with")
	}
	return n.tampered
}

// nudge writes while a member is to be healed: members compare where the log goes on.
func (w *world) nudge(leader *node) {
	if !w.tampered() && !w.parked() {
		return
	}
	if w.nudger == nil {
		w.nudger = newClient(w)
		w.clients = append(w.clients, w.nudger)
	}
	if w.nudger.now == nil {
		w.sequence++
		w.nudger.do(leader, &request{Operation: history.Operation{
			Worker: w.nudger.number, Kind: history.Put, Key: "probe", Value: fmt.Sprintf("p%d", w.sequence),
		}})
	}
}

// healTimeouts is how many of the longest election timeouts are granted on top where a
// state may be wrong: as many writes as there are between two compared indexes, two in
// each, some in which leaders hand over, and those between two hashes and two snapshots.
func (o *Options) healTimeouts() time.Duration {
	if o.Faults[faultTamper] == 0 {
		return 0
	}
	return time.Duration(o.HashEvery) + 20
}
