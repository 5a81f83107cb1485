package sim

import (
	"fmt"
	"io"
	"math/rand/v2"
	"time"

	"github.com/conclave-dev/conclave/pkg/config"
	"github.com/conclave-dev/conclave/pkg/raft"
	"github.com/conclave-dev/conclave/pkg/raft/rafttest"
	"github.com/conclave-dev/conclave/pkg/raft/replica"
)

// idsPerGeneration separates the IDs that one place in the cluster has one after
// the other: a wiped disk is a new member.
const idsPerGeneration = 16

// node is one place in the cluster: a disk, and a process while it runs.
type node struct {
	w    *world
	slot int
	id   raft.MemberID
	disk *rafttest.MemoryDisk
	// life counts the starts and ends of the process; events of an earlier life
	// don't reach a later one.
	life int

	// loop is nil while the process is down.
	loop    *replica.Loop
	storage rafttest.OpenedStorage
	machine *config.State
	store   *config.Store
	boot    uint64
	// writing is the write that the storage has and has not reported.
	writing *raft.Write
	works   []work
	// working and gathering tell that an event of that kind is under way.
	working   bool
	gathering bool
	// paused processes take no events in; held are those that wait.
	paused bool
	held   []func()

	// tick is the length of a tick by this node's clock, wall what its wall clock
	// is ahead, and told the time that the loop knows. A stalled disk finishes
	// nothing before stalledUntil, and diskSlow and applySlow are added to what
	// each step takes.
	tick         time.Duration
	wall         time.Duration
	told         uint64
	stalledUntil time.Duration
	diskSlow     time.Duration
	applySlow    time.Duration
	// space is how much room the disk has, and base where its log begins.
	space raft.Space
	base  raft.Index
	// delivered is the revision up to which watches were told, and delivering tells
	// that they will be told more.
	delivered  uint64
	delivering bool
	// tampering is set until the state is made wrong, tampered while it is. hashes are
	// those that the loop has not heard of. cause is why the node was parked when it acted
	// last, marked tells that it started so, shown is the last index whose state it served,
	// and parkedReign counts ticks of a reign.
	tampering   bool
	tampered    bool
	hashes      []raft.StateHash
	cause       raft.ParkCause
	marked      bool
	shown       raft.Index
	parkedReign int
	// pending are the requests that wait for an answer. It is only looked up.
	pending map[raft.RequestID]func(replica.Answer)
}

// work is one step of the state machine; view asks for a frozen view.
type work struct {
	replica.ApplyWork
	view bool
}

func newNode(w *world, slot int) *node {
	n := &node{w: w, slot: slot, tick: w.options.Tick}
	n.wipe()
	return n
}

// wipe gives a node that is down an empty disk, and with it a new ID.
func (n *node) wipe() {
	n.disk = rafttest.NewMemoryDisk()
	if n.id == raft.NoMember {
		n.id = raft.MemberID(n.slot + 1)
	} else {
		n.id += idsPerGeneration
	}
	n.space = raft.SpacePlenty
	n.w.oracle.newDisk(n.id)
}

// String names the node and its member.
func (n *node) String() string {
	if n == nil {
		return "nobody"
	}
	if generation := n.id / idsPerGeneration; generation > 0 {
		return fmt.Sprintf("n%d.%d", n.slot+1, generation)
	}
	return fmt.Sprintf("n%d", n.slot+1)
}

// member is how the node stands in a membership.
func (n *node) member() raft.Member {
	return raft.Member{ID: n.id, Name: fmt.Sprintf("n%d", n.slot+1), Address: fmt.Sprintf("n%d:8401", n.slot+1)}
}

// must ends the run when the simulated hardware itself fails.
func (n *node) must(err error) {
	if err != nil {
		n.w.fail("%v: %v", n, err)
	}
}

// format makes a first write before the node ever runs.
func (n *node) format(w *raft.Write) {
	var err error
	n.storage, err = n.disk.Open()
	n.must(err)
	n.must(n.storage.Save(w))
	n.must(n.storage.Close())
	n.w.oracle.saved(n, w)
}

// start runs the process on what the disk holds.
func (n *node) start() {
	w := n.w
	if w.chance(0.3) {
		n.must(n.disk.Keep())
		w.oracle.disks[n.id].kept = w.oracle.disks[n.id].clone()
	}
	var err error
	n.storage, err = n.disk.Open()
	n.must(err)
	w.oracle.opened(n, &n.storage.State)
	n.base = n.storage.State.Base
	n.life++
	w.boots++
	n.boot = w.boots
	core := w.options.core()
	core.ID, core.Log = n.id, n.storage.Storage
	core.Random = rand.New(rand.NewPCG(w.random.Uint64(), 1))
	n.loop, err = replica.NewLoop(replica.LoopOptions{
		Core: core, State: n.storage.State, Boot: n.boot,
		SnapshotEntries: w.options.SnapshotEntries, SnapshotBytes: 1 << 40,
		MaxProposals: w.options.MaxProposals, MaxReads: w.options.MaxReads,
	})
	n.must(err)
	n.machine = config.NewState()
	n.cause, n.marked = raft.ParkNone, n.storage.State.HardState.Parked
	n.store, n.delivered, n.delivering = newStore(n), 0, false
	n.pending = map[raft.RequestID]func(replica.Answer){}
	if n.storage.State.Snapshot.Index > 0 {
		n.restore(n.storage.State.Snapshot)
	}
	w.trace.note(traceStarted, n, uint64(n.storage.State.HardState.Term), uint64(n.storage.State.Last), 0)
	n.setClock()
	life := n.life
	var next func()
	next = func() {
		n.tickOnce()
		if n.life == life {
			n.after(n.tick, next)
		}
	}
	n.after(w.upTo(n.tick), next)
	n.loop.Handle(replica.SpaceMeasured{Space: n.space})
	n.turn()
}

func (n *node) tickOnce() {
	n.watchParking()
	n.handle(replica.Tick{})
}

// setClock draws how fast the node's clock goes, and what its wall clock shows.
func (n *node) setClock() {
	n.tick = n.w.options.Tick
	if skew := n.w.options.Skew; skew > 0 && !n.w.healed {
		n.tick = time.Duration(float64(n.tick) * (1 + skew*(2*n.w.random.Float64()-1)))
	}
	n.wall = n.w.upTo(time.Hour)
}

// crash ends the process. A write under way is on the disk or it is not; one that
// was not reported may be there all the same.
func (n *node) crash() {
	if n.writing != nil && !n.blocked(n.writing) && n.w.chance(0.5) {
		n.w.count(CrashesAfterWrite)
		n.persist(n.writing)
	} else if n.writing != nil {
		n.w.count(CrashesBeforeWrite)
	}
	n.w.trace.note(traceCrashed, n, 0, 0, 0)
	n.end()
	n.must(n.disk.Crash())
}

// stop ends the process in good order.
func (n *node) stop() {
	if n.writing != nil && !n.blocked(n.writing) {
		n.persist(n.writing)
	}
	n.answer(n.loop.Abandon())
	if last := n.loop.LastWord(); last != nil {
		n.w.oracle.planned(n, n.w.oracle.disks[n.id], last)
		n.persist(last)
	}
	n.w.trace.note(traceStopped, n, 0, 0, 0)
	n.end()
	n.must(n.storage.Close())
}

func (n *node) end() {
	n.life++
	n.loop, n.writing, n.works = nil, nil, nil
	n.working, n.gathering, n.paused, n.held = false, false, false, nil
	n.tampering, n.tampered, n.hashes, n.shown = false, false, nil, 0
	n.w.dropRequests(n)
	n.pending = nil
	n.w.oracle.ended(n)
}

// after runs a function in this life of the node.
func (n *node) after(d time.Duration, run func()) {
	n.w.queue.push(event{at: n.w.now + d, node: n, life: n.life, run: run})
}

// resume ends a pause: what has gathered arrives at once.
func (n *node) resume() {
	if n.loop == nil || !n.paused {
		return
	}
	n.w.trace.note(traceResumed, n, uint64(len(n.held)), 0, 0)
	n.paused = false
	held, life := n.held, n.life
	n.held = nil
	for _, run := range held {
		if n.life == life {
			run()
		}
	}
}

// receive takes a message in.
func (n *node) receive(m *raft.Message) {
	n.w.count(MessagesDelivered)
	n.w.trace.message(traceReceived, n, m)
	n.handle(replica.Received{Message: *m})
}

// handle takes an event in, and acts at once or after some more.
func (n *node) handle(e replica.Event) {
	if now := uint64(n.w.now / time.Millisecond); now != n.told {
		n.told = now
		n.loop.Handle(replica.TimeIs{WallMillis: now + uint64(n.wall/time.Millisecond), MonotonicMillis: now})
	}
	n.loop.Handle(e)
	if n.gathering {
		return
	}
	if n.w.options.Gather > 0 && n.w.chance(n.w.options.Gather) {
		n.gathering = true
		n.after(n.w.upTo(n.w.options.Delay/4), func() {
			n.gathering = false
			n.turn()
		})
		return
	}
	n.turn()
}

// turn does what the loop wants done.
func (n *node) turn() {
	effects, err := n.loop.Effects()
	if err != nil {
		n.w.fail("%v can't go on: %v", n, err)
	}
	if effects.Write != nil {
		n.writing = effects.Write
	}
	n.w.oracle.acted(n, &effects)
	for i := range effects.Send {
		n.w.send(n, &effects.Send[i])
	}
	for _, m := range effects.Stream {
		n.w.stream(n, m)
	}
	if effects.Write != nil {
		n.write(effects.Write)
	}
	for _, step := range effects.Apply {
		n.works = append(n.works, work{ApplyWork: step})
	}
	if effects.TakeSnapshot {
		n.works = append(n.works, work{view: true})
	}
	if effects.SaveSnapshot != nil {
		n.saveSnapshot(effects.SaveSnapshot)
	}
	n.workOn()
	n.answer(effects.Answers)
}

// answer hands answers to who asked.
func (n *node) answer(answers []replica.Answer) {
	for _, a := range answers {
		if take := n.pending[a.ID]; take != nil {
			delete(n.pending, a.ID)
			take(a)
		}
	}
}

// ask hands a request to the loop; take gets the answer, unless the process ends
// before.
func (n *node) ask(make func(id raft.RequestID) replica.Event, take func(replica.Answer)) raft.RequestID {
	n.w.sequence++
	id := raft.RequestID{Boot: n.boot, Sequence: 1<<63 | n.w.sequence}
	n.pending[id] = take
	n.handle(make(id))
	return id
}

// restore brings the state machine to the newest snapshot.
func (n *node) restore(want raft.SnapshotMeta) {
	meta, file, err := n.storage.OpenSnapshot()
	n.must(err)
	if meta.Index != want.Index || meta.Term != want.Term {
		n.w.fail("%v is to restore a snapshot at %d of term %d, the newest is at %d of term %d",
			n, want.Index, want.Term, meta.Index, meta.Term)
	}
	n.must(n.machine.Restore(file))
	n.tampered, n.hashes = false, nil
	n.w.oracle.restored(n, meta.Index)
}

// freeze returns the writer of a frozen view of the state machine.
func (n *node) freeze() func(io.Writer) error {
	snapshot := n.machine.Snapshot()
	return func(out io.Writer) error {
		_, err := snapshot.WriteTo(out)
		return err
	}
}
