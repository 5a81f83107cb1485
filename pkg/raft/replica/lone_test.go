package replica_test

import (
	"testing"

	"github.com/conclave-dev/conclave/pkg/raft"
	"github.com/conclave-dev/conclave/pkg/raft/replica"
)

// lone is member 1 of three, whose disk and state machine are at once done with
// what they get. The test speaks for the other two.
type lone struct {
	*member
	t *testing.T
}

func newLone(t *testing.T) lone { return lone{newWorld(t, 0, 3).nodes[0], t} }

// hear hands over a message.
func (n lone) hear(m raft.Message) {
	m.To = n.id
	n.loop.Handle(replica.Received{Message: m})
}

// propose asks for a command and returns the request's ID.
func (n lone) propose(sequence uint64, data []byte) raft.RequestID {
	id := raft.RequestID{Boot: 1, Sequence: 1<<63 + sequence}
	n.loop.Handle(replica.Proposed{ID: id, Data: data})
	return id
}

// work does all that is to be done, and returns what was sent and answered.
func (n lone) work() (sent []raft.Message, answers []replica.Answer) {
	n.t.Helper()
	for {
		e, err := n.loop.Effects()
		must(n.t, err)
		sent, answers = append(sent, e.Send...), append(answers, e.Answers...)
		if e.Write == nil && len(e.Apply) == 0 {
			return sent, answers
		}
		for _, work := range e.Apply {
			n.loop.Handle(replica.Applied{Work: work, Results: make([]any, len(work.Entries))})
		}
		if e.Write != nil {
			n.loop.Handle(replica.Saved{ID: e.Write.ID})
		}
	}
}

// offers returns what was sent on to a leader.
func offers(sent []raft.Message) (proposals []raft.Proposal) {
	for i := range sent {
		if sent[i].Kind == raft.KindPropose {
			proposals = append(proposals, sent[i].Proposals...)
		}
	}
	return proposals
}

// onlyAnswer returns the error of the only answer, which must be that to id.
func (n lone) onlyAnswer(id raft.RequestID) error {
	n.t.Helper()
	_, answers := n.work()
	if len(answers) != 1 || answers[0].ID != id {
		n.t.Fatalf("the answers are %+v, want one to %+v", answers, id)
	}
	return answers[0].Err
}

// lead makes the member leader of its next term, in which the others acknowledge
// all that it has.
func (n lone) lead() (term raft.Term) {
	n.t.Helper()
	for tick := 0; n.loop.Leader() != n.id; {
		sent, _ := n.work()
		for i := range sent {
			switch m := &sent[i]; m.Kind {
			case raft.KindPreVote:
				n.hear(raft.Message{Kind: raft.KindPreVoteReply, From: m.To, Term: m.Term})
			case raft.KindRequestVote:
				n.hear(raft.Message{Kind: raft.KindRequestVoteReply, From: m.To, Term: m.Term})
			}
		}
		if len(sent) == 0 {
			if tick++; tick > 1000 {
				n.t.Fatal("the member is not elected")
			}
			n.loop.Handle(replica.Tick{})
		}
	}
	sent, _ := n.work()
	for i := range sent {
		if m := &sent[i]; m.Kind == raft.KindAppendEntries {
			n.hear(raft.Message{
				Kind: raft.KindAppendEntriesReply, From: m.To, Term: m.Term, Session: m.Session, Boot: uint64(m.To),
				LogIndex: n.loop.Status().Last,
			})
		}
	}
	n.work()
	s := n.loop.Status()
	if s.Committed != s.Last {
		n.t.Fatalf("the leader has committed %d of %d entries", s.Committed, s.Last)
	}
	return s.Term
}
