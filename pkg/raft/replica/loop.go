package replica

import (
	"github.com/conclave-dev/conclave/pkg/raft"
)

// Loop is the deciding half of a replica: a core and the requests that wait for
// it. Handle takes events, Effects says what follows from them. It is not safe
// for concurrent use.
type Loop struct {
	options         LoopOptions
	maxCommandBytes int
	core            *raft.Raft

	proposals proposals
	readers   readers
	orders    orders
	snapshots snapshots

	// sequence numbers what the loop asks of the core.
	sequence uint64
	// applied is the index that the state machine has reached.
	applied raft.Index
	// writing is the Write under way, nil when the storage is idle.
	writing *raft.Write
	// restoring is the restore that waits for its Write, and applying the
	// work behind it; both are released in order.
	restoring *raft.SnapshotMeta
	// restoreUnderWay from its release to the state machine's word.
	restoreUnderWay bool
	applying        []ApplyWork
	// parked tells that everybody who waits was told so.
	parked bool

	effects Effects
}

// NewLoop returns a loop that continues from what the storage held.
func NewLoop(o LoopOptions) (*Loop, error) {
	o = o.withDefaults()
	o.Core.Boot = o.Boot
	core, err := raft.New(o.Core, o.State)
	if err != nil {
		return nil, err
	}
	maxCommandBytes := o.Core.MaxCommandBytes
	if maxCommandBytes == 0 {
		maxCommandBytes = raft.DefaultMaxCommandBytes
	}
	return &Loop{
		options:         o,
		maxCommandBytes: maxCommandBytes,
		core:            core,
		proposals:       newProposals(&o),
		readers:         newReaders(&o),
		orders:          orders{byID: map[raft.RequestID]*order{}},
		snapshots:       snapshots{index: o.State.Snapshot.Index},
		applied:         o.State.Snapshot.Index,
		parked:          core.Parked() != raft.ParkNone,
	}, nil
}

// Handle takes one event.
func (l *Loop) Handle(event Event) {
	switch e := event.(type) {
	case Tick:
		l.core.Tick()
		l.tickProposals()
		l.tickReads()
		l.snapshots.tick()
	case TimeIs:
		l.core.SetTime(e.WallMillis, e.MonotonicMillis)
	case Received:
		l.receive(e.Message)
	case Proposed:
		l.propose(e)
	case ReadAsked:
		l.askRead(e)
	case ChangeAsked:
		l.askChange(e)
	case TransferAsked:
		l.askTransfer(e)
	case SnapshotAsked:
		l.askSnapshot(e)
	case Cancelled:
		l.cancel(e.ID)
	case Saved:
		l.saved(e.ID)
	case SpaceMeasured:
		l.core.SetSpace(e.Space)
	case Applied:
		l.appliedWork(e)
	case Viewed:
		l.snapshots.viewed = &e
	case SnapshotSaved:
		l.snapshotSaved(e)
	case SnapshotSent:
		l.core.SnapshotSent(e.To, e.Err == nil)
	}
}

func (l *Loop) cancel(id raft.RequestID) {
	if p := l.proposals.byID[id]; p != nil {
		p.giveUp(l, ErrNoLeader)
	}
	if one := l.readers.byID[id]; one != nil {
		l.cancelRead(one)
	}
	if o := l.orders.byID[id]; o != nil {
		l.cancelOrder(o)
	}
	l.cancelSnapshot(id)
}

// appliedWork takes the word of the state machine that a step is done.
func (l *Loop) appliedWork(e Applied) {
	if e.Work.Restore != nil {
		l.restoreUnderWay = false
		l.applied = e.Work.Restore.Index
		l.snapshots.restored(l.applied)
		l.settleSnapshots(l.applied)
		l.settleRestored(e.Work.Restore)
		l.settleRestoredChange(e.Work.Restore)
	} else if n := len(e.Work.Entries); n > 0 {
		overtaken := l.restoring != nil || l.restoreUnderWay
		if !overtaken {
			l.check(e)
		}
		l.applied = e.Work.Entries[n-1].Index
		l.snapshots.applied(e.Work.Entries)
		l.settleApplied(e.Work.Entries, e.Results)
		l.settleChange(e.Work.Entries)
		if overtaken {
			// The core goes on from the snapshot that is restored after this.
			return
		}
	}
	l.core.Applied(l.applied)
	l.notePark()
	l.releaseReads()
}

// newID names something that the loop asks of the core.
func (l *Loop) newID() raft.RequestID {
	l.sequence++
	return raft.RequestID{Boot: l.options.Boot, Sequence: l.sequence}
}

func (l *Loop) answer(a Answer) {
	l.effects.Answers = append(l.effects.Answers, a)
}

// LastWord returns a Write that only renews the commit index on disk, for the end
// of a replica that stops in good order: started alone, it then knows what it may
// apply. It is nil when that would say nothing new, and on a full disk.
func (l *Loop) LastWord() *raft.Write {
	hard := l.core.HardState(l.core.Durable())
	installing := l.writing != nil && l.writing.Snapshot != nil
	if installing || hard.Commit <= l.core.SavedCommit() || l.core.Space() == raft.SpaceFull {
		return nil
	}
	return &raft.Write{HardState: hard, HardStateChanged: true}
}

// Status returns what the core says of itself.
func (l *Loop) Status() raft.Status { return l.core.Status() }

// Leader returns the leader that this member follows, or raft.NoMember.
func (l *Loop) Leader() raft.MemberID {
	leader, _ := l.core.Leader()
	return leader
}

// Applied returns the index that the state machine has reached.
func (l *Loop) Applied() raft.Index { return l.applied }

// Membership returns the active configuration and its index. It is shared, not
// to be changed.
func (l *Loop) Membership() raft.MembershipAt { return l.core.ActiveMembership() }
