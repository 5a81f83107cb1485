package replica_test

import (
	"errors"
	"testing"

	"github.com/conclave-dev/conclave/pkg/raft"
	"github.com/conclave-dev/conclave/pkg/raft/replica"
)

// TestProposalPlacedBehindALaterTermsSnapshotIsOfferedAgain restores a snapshot that
// ends before the place of a proposal, in a later term: it can't stand there.
func TestProposalPlacedBehindALaterTermsSnapshotIsOfferedAgain(t *testing.T) {
	n := newLone(t)
	n.hear(raft.Message{Kind: raft.KindHeartbeat, From: 2, Term: 5})
	id := n.propose(1, []byte("x"))
	sent, _ := n.work()
	first := offers(sent)
	if len(first) != 1 {
		t.Fatalf("a proposal is sent on as %+v", first)
	}
	n.hear(raft.Message{Kind: raft.KindProposeReply, From: 2, Term: 5, Results: []raft.ProposalResult{{ID: first[0].ID, Index: 20, Term: 5}}})
	n.work()
	n.hear(raft.Message{Kind: raft.KindInstallSnapshot, From: 3, Term: 6, Snapshot: &raft.SnapshotMeta{
		Index: 15, Term: 6, Membership: n.loop.Membership().Membership, MembershipIndex: 1,
	}})
	sent, _ = n.work()
	again := offers(sent)
	if len(again) != 1 || again[0].Origin != first[0].Origin {
		t.Fatalf("after the snapshot it is offered as %+v, want %+v again", again, first[0].Origin)
	}
	n.hear(raft.Message{
		Kind: raft.KindAppendEntries, From: 3, Term: 6, LogIndex: 15, LogTerm: 6, Commit: 16,
		Entries: []raft.Entry{{Index: 16, Term: 6, Kind: raft.EntryCommand, Data: again[0].Data, Origin: again[0].Origin}},
	})
	if err := n.onlyAnswer(id); err != nil {
		t.Errorf("its answer is %v", err)
	}
	n.propose(2, []byte("y"))
	sent, _ = n.work()
	if next := offers(sent); len(next) != 1 || next[0].Origin.Answered != again[0].Origin.Sequence {
		t.Errorf("the next proposal is offered as %+v, want all up to %d answered", next, again[0].Origin.Sequence)
	}
}

// TestDoubtfulProposalsThatAreRefusedWait loses an offer, so that no refusal of a
// later one is the last word, and refuses all that follow.
func TestDoubtfulProposalsThatAreRefusedWait(t *testing.T) {
	for _, reason := range []raft.Reason{raft.ReasonDiskFull, raft.ReasonOverloaded, raft.ReasonTooLarge} {
		n := newLone(t)
		n.hear(raft.Message{Kind: raft.KindHeartbeat, From: 2, Term: 5})
		id := n.propose(1, []byte("x"))
		n.work() // Lost on the way.
		leader, term, offered, last := raft.MemberID(2), raft.Term(5), 0, 0
		run := func(ticks int) {
			for i := range ticks {
				n.loop.Handle(replica.Tick{})
				n.hear(raft.Message{Kind: raft.KindHeartbeat, From: leader, Term: term})
				sent, answers := n.work()
				if len(answers) > 0 {
					t.Fatalf("%s: a refusal in doubt is answered: %+v", reason, answers)
				}
				for _, p := range offers(sent) {
					offered, last = offered+1, i
					n.hear(raft.Message{Kind: raft.KindProposeReply, From: leader, Term: term, Results: []raft.ProposalResult{{ID: p.ID, Reason: reason}}})
				}
			}
		}
		run(1000)
		if offered < 5 || offered > 15 || last < 850 {
			t.Errorf("%s: within 1000 ticks it is offered again %d times, the last time at %d; want 5 to 15 times up to the end", reason, offered, last)
		}
		offered = 0
		leader, term = 3, 6
		run(10)
		if offered != 1 {
			t.Errorf("%s: in its first 10 ticks another leader is offered it %d times, want once", reason, offered)
		}
		n.loop.Handle(replica.Cancelled{ID: id})
		if err := n.onlyAnswer(id); !errors.Is(err, replica.ErrOutcomeUnknown) {
			t.Errorf("%s: when its caller gives up the answer is %v, want %v", reason, err, replica.ErrOutcomeUnknown)
		}
	}
}

// TestRefusalByAFormerLeaderIsNoProof refuses a proposal as a member does that has
// appended it, stepped down, and gets the same message once more.
func TestRefusalByAFormerLeaderIsNoProof(t *testing.T) {
	refused := func(t *testing.T) (lone, raft.RequestID) {
		n := newLone(t)
		n.hear(raft.Message{Kind: raft.KindHeartbeat, From: 2, Term: 5})
		id := n.propose(1, []byte("x"))
		sent, _ := n.work()
		n.hear(raft.Message{Kind: raft.KindProposeReply, From: 2, Term: 6, Results: []raft.ProposalResult{
			{ID: offers(sent)[0].ID, Reason: raft.ReasonNotLeader},
		}})
		n.work()
		return n, id
	}
	t.Run("while it may be in the log", func(t *testing.T) {
		n, id := refused(t)
		n.loop.Handle(replica.Cancelled{ID: id})
		if err := n.onlyAnswer(id); !errors.Is(err, replica.ErrOutcomeUnknown) {
			t.Errorf("the answer is %v, want %v", err, replica.ErrOutcomeUnknown)
		}
	})
	t.Run("until a later term shows that it is not", func(t *testing.T) {
		n, id := refused(t)
		n.hear(raft.Message{Kind: raft.KindHeartbeat, From: 3, Term: 6})
		sent, _ := n.work()
		n.loop.Handle(replica.Tick{})
		more, _ := n.work()
		again := offers(append(sent, more...))
		if len(again) != 1 {
			t.Fatalf("the next leader is offered %+v", again)
		}
		n.hear(raft.Message{
			Kind: raft.KindAppendEntries, From: 3, Term: 6, LogIndex: 1, Commit: 2,
			Entries: []raft.Entry{{Index: 2, Term: 6, Kind: raft.EntryNoOp}},
		})
		n.work()
		n.hear(raft.Message{Kind: raft.KindProposeReply, From: 3, Term: 6, Results: []raft.ProposalResult{
			{ID: again[0].ID, Reason: raft.ReasonOverloaded},
		}})
		if err := n.onlyAnswer(id); !errors.Is(err, replica.ErrOverloaded) {
			t.Errorf("the answer is %v, want %v", err, replica.ErrOverloaded)
		}
	})
}
