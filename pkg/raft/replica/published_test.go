package replica_test

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/conclave-dev/conclave/pkg/raft"
)

// TestReplacedMembershipIsPublished has a new leader replace a configuration by
// another one at the same index, both in one message.
func TestReplacedMembershipIsPublished(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := startCluster(t, 3, nil)
		c.network.setLose(func(*raft.Message) bool { return true })
		first := c.replicas[0].Membership().Membership
		with := func(id raft.MemberID) *raft.Membership {
			m := raft.Membership{Members: append([]raft.Member(nil), first.Members...), Voters: first.Voters, Learners: []raft.MemberID{id}}
			m.Members = append(m.Members, raft.Member{ID: id, Name: "new", Address: "x:1"})
			return &m
		}
		hear := func(leader raft.MemberID, term raft.Term, learner raft.MemberID) {
			c.replicas[0].Receive(raft.Message{
				Kind: raft.KindAppendEntries, From: leader, To: 1, Term: term, LogIndex: 1, Session: 1,
				Entries: []raft.Entry{
					{Index: 2, Term: term, Kind: raft.EntryNoOp},
					{Index: 3, Term: term, Kind: raft.EntryMembership, Membership: with(learner)},
				},
			})
			time.Sleep(time.Millisecond)
			synctest.Wait()
			at := c.replicas[0].Membership()
			if _, ok := at.Membership.Member(learner); at.Index != 3 || !ok {
				t.Errorf("after term %d: the membership published is %+v, want that with %s at 3", term, at, learner)
			}
		}
		hear(2, 1, 8)
		hear(3, 2, 9)
		c.close()
	})
}
