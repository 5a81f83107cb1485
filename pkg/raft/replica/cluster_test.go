package replica_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"math/rand/v2"
	"testing"

	"github.com/conclave-dev/conclave/pkg/raft"
	"github.com/conclave-dev/conclave/pkg/raft/rafttest"
	"github.com/conclave-dev/conclave/pkg/raft/replica"
)

// world is a cluster of loops on one goroutine, with disks in memory and a
// network that a random source plays with. It checks, at every step, what must
// always hold.
type world struct {
	t      *testing.T
	random *rand.Rand
	nodes  []*member
	wire   []raft.Message
	cut    map[[2]int]bool

	// What was seen, for the oracles.
	leaders map[raft.Term]raft.MemberID
	applied map[raft.Index]string
	// acked is the highest index of an acknowledged proposal.
	acked     raft.Index
	proposals map[string]*outcome
	// origins tells which command goes by an origin, without its Answered.
	origins  map[raft.Origin]string
	sequence uint64
	orders   map[raft.RequestID]bool
	changes  orderCount
	// copies counts the entries that repeat an earlier one.
	copies int
	// changing worlds change their membership as they go, forgetful ones have disks
	// that lose their log, and narrow ones disks that fill up.
	changing  bool
	forgetful bool
	narrow    bool
	// lost counts the logs that were lost.
	lost int
}

// outcome is what a caller was told about its proposal, and how often it was
// applied.
type outcome struct {
	id      raft.RequestID
	node    *member
	told    bool
	err     error
	applied map[raft.Index]bool
}

// member is one node: what survives a crash, and what does not.
type member struct {
	index int
	id    raft.MemberID
	disk  *rafttest.MemoryDisk
	boot  uint64
	// starts counts the node's starts, on its disk.
	starts uint64

	loop    *replica.Loop
	storage rafttest.OpenedStorage
	write   *raft.Write
	works   []replica.ApplyWork
	machine machine
	last    raft.Index
	reads   map[raft.RequestID]raft.Index
	// lost disks have lost a part of their log, and not got it back as far as is
	// known; kept ones remember an older log. space is how much room the disk has.
	lost  bool
	kept  bool
	space raft.Space
}

func newWorld(t *testing.T, seed uint64, size int) *world {
	t.Helper()
	w := &world{
		t: t, random: rand.New(rand.NewPCG(seed, 1)), cut: map[[2]int]bool{},
		leaders: map[raft.Term]raft.MemberID{}, applied: map[raft.Index]string{},
		proposals: map[string]*outcome{}, origins: map[raft.Origin]string{}, orders: map[raft.RequestID]bool{},
	}
	var members []raft.Member
	for i := range size + spares {
		id := raft.MemberID(i + 1)
		w.nodes = append(w.nodes, &member{index: i, id: id, disk: rafttest.NewMemoryDisk()})
		if i < size {
			members = append(members, w.nodes[i].member())
		}
	}
	first := raft.NewMembership(members...)
	for i, n := range w.nodes {
		if i >= size {
			w.start(n)
			continue
		}
		w.open(n)
		must(t, n.storage.Save(&raft.Write{Entries: []raft.Entry{{Index: 1, Kind: raft.EntryMembership, Membership: &first}}}))
		must(t, n.disk.Crash())
		w.start(n)
	}
	return w
}

// spares is how many nodes begin outside the cluster, with nothing on disk.
const spares = 2

// member is how a node stands in the membership.
func (n *member) member() raft.Member {
	return raft.Member{ID: n.id, Name: fmt.Sprintf("n%d", n.index), Address: "x:1"}
}

// orders counts what was asked about the membership, for the tests of tests.
type orderCount struct{ asked, done int }

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func (w *world) open(n *member) {
	var err error
	n.storage, err = n.disk.Open()
	must(w.t, err)
}

// start starts a node from its disk.
func (w *world) start(n *member) {
	w.open(n)
	n.starts++
	n.boot = n.starts<<32 | uint64(w.random.Uint32())
	var err error
	n.loop, err = replica.NewLoop(replica.LoopOptions{
		Core: raft.Config{
			ID: n.id, Random: rand.New(rand.NewPCG(w.random.Uint64(), 2)), Log: n.storage.Storage,
			CacheBytes: 600, MaxAppendBytes: 400, MaxWriteBytes: 600, MaxApplyBytes: 600, MaxInflightAppends: 3,
		},
		State: n.storage.State, Boot: n.boot, SnapshotEntries: 12, SnapshotBytes: 1 << 30,
	})
	must(w.t, err)
	n.loop.Handle(replica.SpaceMeasured{Space: n.space})
	n.machine, n.last, n.reads = machine{}, 0, map[raft.RequestID]raft.Index{}
	if n.storage.State.Snapshot.Index > 0 {
		w.restore(n, n.storage.State.Snapshot)
	}
}

// crash stops a node; its unfinished write is lost.
func (w *world) crash(n *member) {
	for _, o := range w.proposals {
		if o.node == n && !o.told {
			o.told, o.err = true, replica.ErrOutcomeUnknown
		}
	}
	must(w.t, n.disk.Crash())
	n.loop, n.write, n.works = nil, nil, nil
}

// act carries out what a node wants done, and leaves what takes time for later.
func (w *world) act(n *member) {
	effects, err := n.loop.Effects()
	must(w.t, err)
	s := n.loop.Status()
	if s.Role == raft.Leader {
		if other, ok := w.leaders[s.Term]; ok && other != n.id {
			w.t.Fatalf("term %d is led by %s and by %s", s.Term, other, n.id)
		}
		w.leaders[s.Term] = n.id
	}
	w.wire = append(w.wire, effects.Send...)
	w.wire = append(w.wire, effects.Stream...)
	if effects.Write != nil {
		if n.space == raft.SpaceFull && needsRoom(effects.Write) {
			w.t.Fatalf("%s writes %d entries to a full disk", n.id, len(effects.Write.Entries))
		}
		n.write = effects.Write
	}
	n.works = append(n.works, effects.Apply...)
	if effects.TakeSnapshot {
		w.applyAll(n)
		frozen, at := n.machine.encode(w.t), n.last
		n.loop.Handle(replica.Viewed{Index: at, Write: func(out io.Writer) error {
			_, err := out.Write(frozen)
			return err
		}})
	}
	if effects.SaveSnapshot != nil {
		first, err := n.storage.SaveSnapshot(effects.SaveSnapshot.Meta, effects.SaveSnapshot.Write)
		n.loop.Handle(replica.SnapshotSaved{Meta: effects.SaveSnapshot.Meta, Base: first - 1, Err: err})
	}
	for _, a := range effects.Answers {
		w.answered(n, a)
	}
}

// answered checks what a caller is told.
func (w *world) answered(n *member, a replica.Answer) {
	if w.orders[a.ID] {
		delete(w.orders, a.ID)
		if a.Err == nil {
			w.changes.done++
		}
		return
	}
	if after, ok := n.reads[a.ID]; ok {
		delete(n.reads, a.ID)
		if a.Err == nil && a.Index < after {
			w.t.Fatalf("a read at %d is answered, but %d was acknowledged before it was asked", a.Index, after)
		}
		return
	}
	for command, o := range w.proposals {
		if o.id != a.ID || o.node != n || o.told {
			continue
		}
		o.told, o.err = true, a.Err
		if a.Err == nil {
			if a.Result != command {
				w.t.Fatalf("%s was answered with the result of %v", command, a.Result)
			}
			w.acked = max(w.acked, a.Index)
		}
	}
}

// save finishes a node's write.
func (w *world) save(n *member) {
	if n.write == nil {
		return
	}
	done := n.write
	n.write = nil
	must(w.t, n.storage.Save(done))
	n.loop.Handle(replica.Saved{ID: done.ID})
}

// applyOne does the next piece of a node's work.
func (w *world) applyOne(n *member) {
	if len(n.works) == 0 {
		return
	}
	work := n.works[0]
	n.works = n.works[1:]
	if work.Restore != nil {
		w.restore(n, *work.Restore)
		n.loop.Handle(replica.Applied{Work: work})
		return
	}
	var results []any
	for i := range work.Entries {
		results = append(results, w.applyEntry(n, &work.Entries[i]))
	}
	n.loop.Handle(replica.Applied{Work: work, Results: results})
}

func (w *world) applyAll(n *member) {
	for len(n.works) > 0 {
		w.applyOne(n)
	}
}

// applyEntry checks that every node applies the same, in order, and each command
// once.
func (w *world) applyEntry(n *member, e *raft.Entry) any {
	if e.Index != n.last+1 {
		w.t.Fatalf("%s applies %d after %d", n.id, e.Index, n.last)
	}
	w.checkAnswered(e)
	result, first := n.machine.apply(e)
	content := fmt.Sprintf("%d %d %s %+v %t", e.Term, e.Kind, e.Data, e.Origin, first)
	if seen, ok := w.applied[e.Index]; ok && seen != content {
		w.t.Fatalf("%s applies %q at %d where another applied %q", n.id, content, e.Index, seen)
	}
	w.applied[e.Index] = content
	n.last = e.Index
	if o := w.proposals[string(e.Data)]; o != nil && first {
		o.applied[e.Index] = true
		if len(o.applied) > 1 {
			w.t.Fatalf("%s was carried out at several indexes: %v", e.Data, o.applied)
		}
	} else if o != nil {
		w.copies++
	}
	return result
}

// checkAnswered checks that nobody waits for what an entry says is answered, and
// that one name stands for one command.
func (w *world) checkAnswered(e *raft.Entry) {
	if e.Kind != raft.EntryCommand {
		return
	}
	name := e.Origin
	name.Answered = 0
	if other, ok := w.origins[name]; ok && other != string(e.Data) {
		w.t.Fatalf("%s and %s are both named %+v", other, e.Data, name)
	}
	w.origins[name] = string(e.Data)
	for sequence := e.Origin.Answered; sequence > 0; sequence-- {
		name.Sequence = sequence
		if command, ok := w.origins[name]; ok && !w.proposals[command].told {
			w.t.Fatalf("entry %d says that %s is answered, which it is not", e.Index, command)
		}
	}
}

func (w *world) restore(n *member, want raft.SnapshotMeta) {
	meta, r, err := n.storage.OpenSnapshot()
	must(w.t, err)
	if meta.Index != want.Index || meta.Term != want.Term {
		w.t.Fatalf("the newest snapshot is %d, want %d", meta.Index, want.Index)
	}
	n.machine = decodeMachine(w.t, r)
	must(w.t, r.Close())
	n.last = meta.Index
	if len(n.machine.Log) != int(meta.Index) {
		w.t.Fatalf("the snapshot at %d holds %d entries", meta.Index, len(n.machine.Log))
	}
}

// deliver hands over message i; a snapshot travels with its file.
func (w *world) deliver(i int, keep bool) {
	m := w.wire[i]
	if !keep {
		w.wire[i] = w.wire[len(w.wire)-1]
		w.wire = w.wire[:len(w.wire)-1]
	}
	from, to := w.nodes[m.From-1], w.nodes[m.To-1]
	lost := to.loop == nil || w.cut[[2]int{from.index, to.index}]
	if m.Kind == raft.KindInstallSnapshot {
		if from.loop == nil {
			return
		}
		if !lost {
			meta, r, err := from.storage.OpenSnapshot()
			must(w.t, err)
			must(w.t, to.storage.ReceiveSnapshot(context.Background(), meta, r))
			must(w.t, r.Close())
			m.Snapshot = &meta
			to.loop.Handle(replica.Received{Message: m})
			from.loop.Handle(replica.SnapshotSent{To: m.To})
			return
		}
		from.loop.Handle(replica.SnapshotSent{To: m.To, Err: io.ErrUnexpectedEOF})
		return
	}
	if !lost {
		to.loop.Handle(replica.Received{Message: m})
	}
}

// order asks a node, mostly a leader, for a random change of the membership that
// is possible as far as it knows, or to hand over.
func (w *world) order(n *member) {
	for _, other := range w.nodes {
		if other.loop != nil && other.loop.Status().Role == raft.Leader && w.random.IntN(5) > 0 {
			n = other
		}
	}
	w.sequence++
	id := raft.RequestID{Boot: n.boot, Sequence: 1<<63 | w.sequence}
	w.orders[id] = true
	w.changes.asked++
	about := w.nodes[w.random.IntN(len(w.nodes))]
	active := n.loop.Membership().Membership
	change := raft.Change{Member: about.member()}
	switch _, known := active.Member(about.id); {
	case !known:
		change.Kind = raft.AddLearner
	case !active.IsVoter(about.id) && w.random.IntN(4) > 0:
		change.Kind = raft.Promote
	case active.IsVoter(about.id) && w.random.IntN(2) > 0:
		n.loop.Handle(replica.TransferAsked{ID: id, To: about.id})
		return
	default:
		change.Kind = raft.Remove
	}
	n.loop.Handle(replica.ChangeAsked{ID: id, Change: change})
}

func (w *world) propose(n *member) string {
	w.sequence++
	id := raft.RequestID{Boot: n.boot, Sequence: 1<<63 | w.sequence}
	command := fmt.Sprintf("command-%d", w.sequence)
	w.proposals[command] = &outcome{id: id, node: n, applied: map[raft.Index]bool{}}
	n.loop.Handle(replica.Proposed{ID: id, Data: []byte(command)})
	return command
}

func (w *world) read(n *member) raft.RequestID {
	w.sequence++
	id := raft.RequestID{Boot: n.boot, Sequence: 1<<63 | w.sequence}
	n.reads[id] = w.acked
	n.loop.Handle(replica.ReadAsked{ID: id})
	return id
}

func writeLog(out io.Writer, log []string) error {
	for _, s := range log {
		if err := binary.Write(out, binary.BigEndian, uint32(len(s))); err != nil {
			return err
		}
		if _, err := io.WriteString(out, s); err != nil {
			return err
		}
	}
	return nil
}

func readLog(r io.Reader) ([]string, error) {
	data, err := io.ReadAll(r)
	if err != nil {
		return nil, err
	}
	var log []string
	for buf := bytes.NewBuffer(data); buf.Len() > 0; {
		var n uint32
		if err := binary.Read(buf, binary.BigEndian, &n); err != nil {
			return nil, err
		}
		log = append(log, string(buf.Next(int(n))))
	}
	return log, nil
}
