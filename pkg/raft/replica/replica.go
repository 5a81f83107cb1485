package replica

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/conclave-dev/conclave/pkg/raft"
)

// Replica is one running member. Its methods are safe for concurrent use.
type Replica struct {
	options Options
	loop    *Loop
	boot    uint64
	// sequence numbers the requests of callers.
	sequence atomic.Uint64

	received chan raft.Message
	requests chan request
	feedback chan Event
	statuses chan chan raft.Status
	writes   chan *raft.Write
	works    chan work
	// done is closed when Run has ended and every request is answered.
	done    chan struct{}
	waiters map[raft.RequestID]chan<- Answer

	// What others may read at any time.
	membership atomic.Pointer[raft.MembershipAt]
	leader     atomic.Uint64
	applied    atomic.Uint64
	dropped    atomic.Uint64
	lastWakeUp atomic.Int64
	changes    atomic.Uint64
	parked     atomic.Uint32
	load       struct{ proposals, proposalBytes, reads atomic.Int64 }
	// followed is the leader that was followed last, and disagreement where states were
	// last seen to differ; both belong to publish.
	followed     raft.MemberID
	disagreement raft.Index
	started      time.Time
	// clockStart is what Options.Now said when the replica was made.
	clockStart time.Time
}

// request is a caller's event and, unless it is a cancellation, where its answer
// goes.
type request struct {
	id    raft.RequestID
	event Event
	reply chan<- Answer
}

// New returns a replica that does nothing until Run is called.
func New(o Options) (*Replica, error) {
	o = o.withDefaults()
	if err := o.Validate(); err != nil {
		return nil, err
	}
	loop, err := NewLoop(o.LoopOptions)
	if err != nil {
		return nil, err
	}
	r := &Replica{
		options:  o,
		loop:     loop,
		boot:     o.Boot,
		received: make(chan raft.Message, o.MaxReceived),
		requests: make(chan request, 1024),
		feedback: make(chan Event, 64),
		statuses: make(chan chan raft.Status),
		writes:   make(chan *raft.Write, 1),
		works:    make(chan work, maxWorks),
		done:     make(chan struct{}),
		waiters:  map[raft.RequestID]chan<- Answer{},
		started:  time.Now(),

		clockStart: o.Now(),
	}
	r.publish()
	return r, nil
}

// Run drives the member until parent ends or something fails, and returns when
// all of its goroutines have. The error is nil when parent ended first.
func (r *Replica) Run(parent context.Context) error {
	defer close(r.done)
	g, ctx := errgroup.WithContext(parent)
	if err := r.restoreAtStart(); err != nil {
		r.abandon()
		return err
	}
	g.Go(func() error { return r.runStorage(ctx) })
	g.Go(func() error { return r.runStateMachine(ctx) })
	g.Go(func() error { return r.runLoop(ctx, g) })
	err := g.Wait()
	r.abandon()
	if parent.Err() == nil || !errors.Is(err, context.Cause(parent)) {
		return err
	}
	if w := r.loop.LastWord(); w != nil {
		if err := r.options.Storage.Save(w); err != nil {
			return fmt.Errorf("replica: writing the commit index: %w", err)
		}
	}
	return nil
}

// restoreAtStart brings the state machine to the newest snapshot, from which the
// loop goes on.
func (r *Replica) restoreAtStart() error {
	if r.options.State.Snapshot.Index == 0 {
		return nil
	}
	return r.restore(r.options.State.Snapshot)
}

// abandon answers all requests that wait when the replica has ended.
func (r *Replica) abandon() {
	for {
		select {
		case q := <-r.requests:
			if q.reply != nil {
				q.reply <- Answer{ID: q.id, Err: ErrStopping}
			}
			continue
		default:
		}
		break
	}
	r.deliver(r.loop.Abandon())
}

// Propose replicates a command and returns the state machine's result for it at
// this member. Errors are those of this package; ErrOutcomeUnknown, also when
// ctx ends, means that the command may still take effect.
func (r *Replica) Propose(ctx context.Context, command []byte) (result any, index raft.Index, err error) {
	return r.propose(ctx, Proposed{Data: command})
}

// ProposeFreeing is Propose for a command that adds no bytes to the state, such as a
// delete. It is accepted while disks run low.
func (r *Replica) ProposeFreeing(ctx context.Context, command []byte) (result any, index raft.Index, err error) {
	return r.propose(ctx, Proposed{Data: command, FreesSpace: true})
}

func (r *Replica) propose(ctx context.Context, p Proposed) (result any, index raft.Index, err error) {
	p.ID = r.nextID()
	a := r.ask(ctx, p.ID, p, ErrOverloaded)
	return a.Result, a.Index, a.Err
}

// ReadBarrier returns once this member's state machine holds everything that was
// acknowledged anywhere before the call. It returns the index applied by then.
func (r *Replica) ReadBarrier(ctx context.Context) (raft.Index, error) {
	id := r.nextID()
	a := r.ask(ctx, id, ReadAsked{ID: id}, ErrOverloaded)
	return a.Index, a.Err
}

// ChangeMembership changes the membership through this leader, and returns when
// the change is complete. A *RefusedError tells that nothing has changed, and why.
func (r *Replica) ChangeMembership(ctx context.Context, change raft.Change) error {
	id := r.nextID()
	return r.ask(ctx, id, ChangeAsked{ID: id, Change: change}, ErrOverloaded).Err
}

// TransferLeadership makes this leader hand over to a voter, or with
// raft.NoMember to the one that is best prepared, and returns once it has made
// way. A *RefusedError tells why it leads on.
func (r *Replica) TransferLeadership(ctx context.Context, to raft.MemberID) error {
	id := r.nextID()
	return r.ask(ctx, id, TransferAsked{ID: id, To: to}, ErrOverloaded).Err
}

// TakeSnapshot returns once a snapshot that holds everything applied before the
// call is on disk, and the index of that snapshot. An error of the storage means
// that none was written; ErrOutcomeUnknown, when ctx ends, that it may yet be.
func (r *Replica) TakeSnapshot(ctx context.Context) (raft.Index, error) {
	id := r.nextID()
	a := r.ask(ctx, id, SnapshotAsked{ID: id}, ErrOverloaded)
	return a.Index, a.Err
}

func (r *Replica) nextID() raft.RequestID {
	// The loop numbers what it asks of the core from 1; callers are far above.
	return raft.RequestID{Boot: r.boot, Sequence: 1<<63 | r.sequence.Add(1)}
}

// ask hands an event to the loop and waits for its answer. When ctx ends first
// the loop is told, and says what that means.
func (r *Replica) ask(ctx context.Context, id raft.RequestID, event Event, full error) Answer {
	reply := make(chan Answer, 1)
	select {
	case r.requests <- request{id: id, event: event, reply: reply}:
	case <-r.done:
		return Answer{Err: ErrStopping}
	case <-ctx.Done():
		return Answer{Err: full}
	}
	select {
	case a := <-reply:
		return a
	case <-r.done:
		return lastAnswer(reply)
	case <-ctx.Done():
	}
	select {
	case r.requests <- request{id: id, event: Cancelled{ID: id}}:
	case a := <-reply:
		return a
	case <-r.done:
		return lastAnswer(reply)
	}
	select {
	case a := <-reply:
		return a
	case <-r.done:
		return lastAnswer(reply)
	}
}

// lastAnswer takes the answer that was given before the replica ended. A request
// that slipped in afterwards was never looked at.
func lastAnswer(reply <-chan Answer) Answer {
	select {
	case a := <-reply:
		return a
	default:
		return Answer{Err: ErrStopping}
	}
}

// Receive takes a message from another member. It never blocks: when too many
// wait, the message is dropped, which the algorithm allows.
func (r *Replica) Receive(m raft.Message) {
	select {
	case r.received <- m:
	default:
		r.dropped.Add(1)
	}
}

// Status returns what the member says of itself.
func (r *Replica) Status(ctx context.Context) (raft.Status, error) {
	reply := make(chan raft.Status, 1)
	select {
	case r.statuses <- reply:
		return <-reply, nil
	case <-r.done:
		return raft.Status{}, ErrStopping
	case <-ctx.Done():
		return raft.Status{}, fmt.Errorf("replica: the loop does not answer: %w", ctx.Err())
	}
}

// Leader returns the leader that the member follows, itself included, or
// raft.NoMember. It costs nothing.
func (r *Replica) Leader() raft.MemberID { return raft.MemberID(r.leader.Load()) }

// Applied returns the index that the state machine has reached.
func (r *Replica) Applied() raft.Index { return raft.Index(r.applied.Load()) }

// Dropped returns how many received messages were dropped because too many
// waited.
func (r *Replica) Dropped() uint64 { return r.dropped.Load() }

// SinceWakeUp returns how long ago the loop last ran. It runs at every tick, so
// anything much longer means that it is stuck.
func (r *Replica) SinceWakeUp() time.Duration {
	return time.Since(r.started) - time.Duration(r.lastWakeUp.Load())
}

// Membership returns the active configuration; it has no members before the log
// holds one. It is shared, not to be changed.
func (r *Replica) Membership() raft.MembershipAt { return *r.membership.Load() }

// publish lets others see where the loop stands.
func (r *Replica) publish() {
	// Another leader may have put another configuration at the same index.
	at, last := r.loop.Membership(), r.membership.Load()
	if last == nil || last.Index != at.Index || !last.Membership.Equal(&at.Membership) {
		r.membership.Store(&at)
	}
	leader := r.loop.Leader()
	r.leader.Store(uint64(leader))
	if leader != raft.NoMember && leader != r.followed {
		r.followed = leader
		r.changes.Add(1)
		_, term := r.loop.core.Leader()
		r.options.Logger.Info("a leader is known", "leader", leader.String(), "term", uint64(term))
	}
	r.publishParking()
	load := r.loop.Load()
	r.load.proposals.Store(int64(load.Proposals))
	r.load.proposalBytes.Store(int64(load.ProposalBytes))
	r.load.reads.Store(int64(load.Reads))
	r.applied.Store(uint64(r.loop.Applied()))
	r.lastWakeUp.Store(int64(time.Since(r.started)))
}
