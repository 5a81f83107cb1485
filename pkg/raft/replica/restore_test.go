package replica_test

import (
	"testing"

	"github.com/conclave-dev/conclave/pkg/raft"
	"github.com/conclave-dev/conclave/pkg/raft/replica"
)

// TestSnapshotWaitsWhileAnotherIsRestored brings a second snapshot before the state
// machine has opened the first, which would be gone then.
func TestSnapshotWaitsWhileAnotherIsRestored(t *testing.T) {
	w := newWorld(t, 0, 3)
	n := w.nodes[0]
	effects := func() replica.Effects {
		e, err := n.loop.Effects()
		must(t, err)
		return e
	}
	install := func(index raft.Index) {
		at := n.loop.Membership()
		n.loop.Handle(replica.Received{Message: raft.Message{
			Kind: raft.KindInstallSnapshot, From: 2, To: n.id, Term: 5,
			Snapshot: &raft.SnapshotMeta{Index: index, Term: 5, Membership: at.Membership, MembershipIndex: 1},
		}})
	}
	install(10)
	first := effects()
	if first.Write == nil || first.Write.Snapshot == nil || len(first.Apply) > 0 {
		t.Fatalf("a snapshot that arrived leads to %+v", first)
	}
	n.loop.Handle(replica.Saved{ID: first.Write.ID})
	restore := effects().Apply
	if len(restore) != 1 || restore[0].Restore == nil || restore[0].Restore.Index != 10 {
		t.Fatalf("a snapshot that was installed leads to %+v", restore)
	}
	install(20)
	if early := effects(); early.Write != nil || len(early.Apply) > 0 {
		t.Errorf("while a snapshot is restored the next one leads to %+v", early)
	}
	n.loop.Handle(replica.Applied{Work: restore[0]})
	second := effects()
	if second.Write == nil || second.Write.Snapshot == nil || second.Write.Snapshot.Index != 20 {
		t.Fatalf("after the restore the next snapshot leads to %+v", second)
	}
	n.loop.Handle(replica.Saved{ID: second.Write.ID})
	if after := effects().Apply; len(after) != 1 || after[0].Restore == nil || after[0].Restore.Index != 20 {
		t.Errorf("the second snapshot is followed by %+v", after)
	}
}

// TestOfTheSnapshotsForAParkedMemberTheLastOnesWait lets snapshots arrive for a parked
// member while its storage writes one of its own. The storage keeps only those that
// arrived last, so one of them must be adopted.
func TestOfTheSnapshotsForAParkedMemberTheLastOnesWait(t *testing.T) {
	w := newWorld(t, 0, 3)
	n := w.nodes[0]
	// storageKeeps is how many received snapshots badgerlog keeps.
	const storageKeeps, arrive, last = 4, 6, 20
	step := func(m raft.Message) {
		m.To, m.Term = n.id, 5
		n.loop.Handle(replica.Received{Message: m})
	}
	var entries []raft.Entry
	for i := raft.Index(2); i <= last; i++ {
		entries = append(entries, raft.Entry{Index: i, Term: 5, Kind: raft.EntryCommand})
	}
	// settle does what the loop wants, and returns what it orders of the storage.
	settle := func() (installs []raft.Index, save *replica.SaveSnapshot) {
		for range 20 {
			effects, err := n.loop.Effects()
			must(t, err)
			if write := effects.Write; write != nil {
				if write.Snapshot != nil {
					installs = append(installs, write.Snapshot.Index)
				} else {
					must(t, n.storage.Save(write))
				}
				n.loop.Handle(replica.Saved{ID: write.ID})
			}
			for _, work := range effects.Apply {
				n.loop.Handle(replica.Applied{Work: work, Results: make([]any, len(work.Entries))})
			}
			if effects.TakeSnapshot {
				n.loop.Handle(replica.Viewed{Index: n.loop.Applied()})
			}
			if effects.SaveSnapshot != nil {
				save = effects.SaveSnapshot
			}
		}
		return installs, save
	}
	step(raft.Message{Kind: raft.KindAppendEntries, From: 2, LogIndex: 1, Entries: entries, Commit: last})
	_, own := settle()
	if own == nil {
		t.Fatalf("no snapshot was ordered, with %d applied", n.loop.Applied())
	}
	at := raft.Index(8)
	n.loop.Handle(replica.Applied{
		Work:    replica.ApplyWork{Entries: entries[len(entries)-1:]},
		Results: []any{nil}, Hashes: []raft.StateHash{{Index: at, Sum: [32]byte{9}}},
	})
	for from := raft.MemberID(2); from <= 3; from++ {
		step(raft.Message{Kind: raft.KindStateHash, From: from, State: raft.StateHash{Index: at, Sum: [32]byte{1}}})
	}
	if n.loop.Parked() != raft.ParkDiffers {
		t.Fatalf("parked for %q", n.loop.Parked())
	}
	membership := n.loop.Membership()
	for i := range raft.Index(arrive) {
		step(raft.Message{Kind: raft.KindInstallSnapshot, From: 2, Snapshot: &raft.SnapshotMeta{
			Index: at + i, Term: 5, Membership: membership.Membership, MembershipIndex: 1}})
	}
	if early, _ := settle(); len(early) > 0 {
		t.Fatalf("beside its own snapshot those at %d are adopted", early)
	}
	n.loop.Handle(replica.SnapshotSaved{Meta: own.Meta})
	if adopted, _ := settle(); len(adopted) != 1 || adopted[0] < at+arrive-storageKeeps {
		t.Errorf("those at %d are adopted, while the storage has those from %d on", adopted, at+arrive-storageKeeps)
	}
}
