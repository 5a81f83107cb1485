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
