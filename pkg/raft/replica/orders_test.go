package replica_test

import (
	"context"
	"errors"
	"io"
	"testing"
	"testing/synctest"
	"time"

	"github.com/conclave-dev/conclave/pkg/raft"
	"github.com/conclave-dev/conclave/pkg/raft/replica"
)

func TestASnapshotThatWasAskedForHoldsAllThatWasApplied(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := startCluster(t, 1, nil)
		member := c.replicas[0]
		_, index, err := member.Propose(t.Context(), []byte("one"))
		must(t, err)
		at, err := member.TakeSnapshot(t.Context())
		if err != nil || at < index {
			t.Fatalf("TakeSnapshot = %d, %v; the write was at %d", at, err, index)
		}
		if again, err := member.TakeSnapshot(t.Context()); err != nil || again != at {
			t.Errorf("TakeSnapshot with nothing new = %d, %v; want the one at %d", again, err, at)
		}
		_, index, err = member.Propose(t.Context(), []byte("two"))
		must(t, err)
		if next, err := member.TakeSnapshot(t.Context()); err != nil || next < index {
			t.Errorf("TakeSnapshot = %d, %v; the second write was at %d", next, err, index)
		}
		status, err := member.Status(t.Context())
		must(t, err)
		if status.SnapshotIndex < index {
			t.Errorf("the newest snapshot is at %d, the second write was at %d", status.SnapshotIndex, index)
		}
		c.close()
		must(t, c.disks[0].Crash())
		opened, err := c.disks[0].Open()
		must(t, err)
		if opened.State.Snapshot.Index < index {
			t.Errorf("the disk's snapshot is at %d, the second write was at %d", opened.State.Snapshot.Index, index)
		}
	})
}

// stuckSnapshots is a storage that writes no snapshot before it is released.
type stuckSnapshots struct {
	replica.Storage
	release chan error
}

func (s *stuckSnapshots) SaveSnapshot(raft.SnapshotMeta, func(io.Writer) error) (raft.Index, error) {
	return 0, <-s.release
}

func TestASnapshotThatFailsOrTakesTooLongSaysSo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		storage := &stuckSnapshots{release: make(chan error)}
		c := startCluster(t, 1, func(o *replica.Options) {
			storage.Storage = o.Storage
			o.Storage = storage
		})
		member := c.replicas[0]
		_, _, err := member.Propose(t.Context(), []byte("one"))
		must(t, err)
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if at, err := member.TakeSnapshot(ctx); !errors.Is(err, replica.ErrOutcomeUnknown) {
			t.Errorf("TakeSnapshot that nobody waits for = %d, %v; want %v", at, err, replica.ErrOutcomeUnknown)
		}
		full := errors.New("the disk is full")
		go func() {
			time.Sleep(time.Second)
			storage.release <- full
		}()
		if at, err := member.TakeSnapshot(t.Context()); !errors.Is(err, full) {
			t.Errorf("TakeSnapshot on a full disk = %d, %v; want %v", at, err, full)
		}
		go func() {
			time.Sleep(time.Second)
			c.stop()
			time.Sleep(time.Second)
			storage.release <- nil // The file is finished, too late for the caller.
		}()
		if at, err := member.TakeSnapshot(t.Context()); !errors.Is(err, replica.ErrStopping) {
			t.Errorf("TakeSnapshot of a replica that stops = %d, %v; want %v", at, err, replica.ErrStopping)
		}
		c.close()
	})
}

func TestAChangeMeantForAnotherMembershipIsRefused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := startCluster(t, 3, nil)
		leader := c.replicas[c.leader()]
		must(t, awaitTerm(t, leader))
		before := leader.Membership()
		add := func(id raft.MemberID, condition raft.Index) error {
			return leader.ChangeMembership(t.Context(), raft.Change{
				Kind: raft.AddLearner, Member: raft.Member{ID: id, Name: "late", Address: "x:1"}, If: condition,
			})
		}
		var refused *replica.RefusedError
		if err := add(7, before.Index+1); !errors.As(err, &refused) || refused.Reason != raft.ReasonMembershipChanged {
			t.Fatalf("a change for index %d of a membership at %d: %v", before.Index+1, before.Index, err)
		}
		if now := leader.Membership(); now.Index != before.Index {
			t.Fatalf("the refused change moved the membership from %d to %d", before.Index, now.Index)
		}
		must(t, add(7, before.Index))
		if err := add(8, before.Index); !errors.As(err, &refused) || refused.Reason != raft.ReasonMembershipChanged {
			t.Errorf("a second change for index %d: %v", before.Index, err)
		}
		status, err := leader.Status(t.Context())
		must(t, err)
		if status.MembershipIndex != leader.Membership().Index || status.MembershipIndex <= before.Index {
			t.Errorf("the status has the membership of index %d, the member that of %d", status.MembershipIndex, leader.Membership().Index)
		}
		for _, f := range status.Followers {
			want := raft.ReasonNone
			if f.ID == 7 {
				want = raft.ReasonNoContact // Nobody runs it.
			}
			if f.Promotion != want {
				t.Errorf("member %v: promotion %v, want %v", f.ID, f.Promotion, want)
			}
		}
		c.close()
	})
}

// awaitTerm waits until a leader may change the membership: it has committed an
// entry of its term.
func awaitTerm(t *testing.T, leader *replica.Replica) error {
	t.Helper()
	_, err := leader.ReadBarrier(t.Context())
	return err
}

func TestElectionsTransfersAndQueuesAreCounted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := startCluster(t, 3, nil)
		old := c.leader()
		must(t, awaitTerm(t, c.replicas[old]))
		must(t, c.replicas[old].TransferLeadership(t.Context(), raft.NoMember))
		time.Sleep(time.Second)
		next := c.leader()
		for i, r := range c.replicas {
			status, err := r.Status(t.Context())
			must(t, err)
			want := raft.Counts{}
			switch i {
			case old:
				want = raft.Counts{PreVotes: status.Counts.PreVotes, Elections: status.Counts.Elections, Won: 1, Transfers: 1}
			case next:
				want = raft.Counts{PreVotes: status.Counts.PreVotes, Elections: status.Counts.Elections, Won: 1}
			default:
				want = raft.Counts{PreVotes: status.Counts.PreVotes, Elections: status.Counts.Elections}
			}
			if status.Counts != want || (i == old || i == next) && want.Elections == 0 {
				t.Errorf("member %d counts %+v, want %+v", i, status.Counts, want)
			}
			if changes := r.LeaderChanges(); changes != 2 {
				t.Errorf("member %d has followed %d leaders, want 2", i, changes)
			}
		}

		// Nobody answers a leader that is cut off, so what it takes waits.
		c.network.setLose(func(*raft.Message) bool { return true })
		ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
		defer cancel()
		go func() {
			_, _, _ = c.replicas[next].Propose(ctx, []byte("waits")) // Its end is another test's subject.
		}()
		synctest.Wait()
		for _, q := range c.replicas[next].Queues() {
			want := map[string]int{"proposals": 1, "proposal_bytes": 5}[q.Name]
			if q.Length != want || q.Capacity <= want {
				t.Errorf("queue %s holds %d of %d, want %d", q.Name, q.Length, q.Capacity, want)
			}
		}
		c.close()
	})
}

// TestChangeThatASnapshotPassedIsNotTakenForAnothers lets a leader lose its place, and
// its change, to one that sends a snapshot from beyond and makes a change of its own.
func TestChangeThatASnapshotPassedIsNotTakenForAnothers(t *testing.T) {
	n := newLone(t)
	term := n.lead()
	before := n.loop.Membership().Membership
	id := raft.RequestID{Boot: 1, Sequence: 1 << 63}
	n.loop.Handle(replica.ChangeAsked{ID: id, Change: raft.Change{Kind: raft.AddLearner, Member: raft.Member{ID: 77, Name: "x", Address: "x:1"}}})
	if _, answers := n.work(); len(answers) > 0 {
		t.Fatalf("a change that nobody heard of is answered: %+v", answers)
	}
	n.hear(raft.Message{Kind: raft.KindInstallSnapshot, From: 3, Term: term + 1, Snapshot: &raft.SnapshotMeta{
		Index: 15, Term: term + 1, Membership: before, MembershipIndex: 1,
	}})
	_, answers := n.work()
	other := before
	other.Members = append(append([]raft.Member(nil), before.Members...), raft.Member{ID: 88, Name: "y", Address: "y:1"})
	other.Learners = []raft.MemberID{88}
	n.hear(raft.Message{
		Kind: raft.KindAppendEntries, From: 3, Term: term + 1, LogIndex: 15, LogTerm: term + 1, Commit: 16,
		Entries: []raft.Entry{{Index: 16, Term: term + 1, Kind: raft.EntryMembership, Membership: &other}},
	})
	_, later := n.work()
	if at := n.loop.Membership().Index; at != 16 {
		t.Fatalf("the membership is that of entry %d, want 16", at)
	}
	answers = append(answers, later...)
	if len(answers) != 1 || answers[0].ID != id || !errors.Is(answers[0].Err, replica.ErrOutcomeUnknown) {
		t.Errorf("the change that is lost is answered by %+v, want %v", answers, replica.ErrOutcomeUnknown)
	}
}
