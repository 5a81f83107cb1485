package replica_test

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/conclave-dev/conclave/pkg/raft"
	"github.com/conclave-dev/conclave/pkg/raft/rafttest"
	"github.com/conclave-dev/conclave/pkg/raft/replica"
)

// onceMachine runs a machine that carries out each command once.
type onceMachine struct {
	echo
	machine machine
}

// Apply implements replica.StateMachine.
func (o *onceMachine) Apply(entries []raft.Entry) []any {
	o.mu.Lock()
	defer o.mu.Unlock()
	results := make([]any, len(entries))
	for i := range entries {
		results[i], _ = o.machine.apply(&entries[i])
	}
	return results
}

// count tells how often a command was carried out.
func (o *onceMachine) count(command string) (n int) {
	o.mu.Lock()
	defer o.mu.Unlock()
	for _, did := range o.machine.Log {
		if did == command {
			n++
		}
	}
	return n
}

// startOnce starts a cluster of such machines.
func startOnce(t *testing.T, size int, adjust func(*replica.Options)) (*running, []*onceMachine) {
	t.Helper()
	var machines []*onceMachine
	c := startCluster(t, size, func(o *replica.Options) {
		machines = append(machines, &onceMachine{})
		o.StateMachine = machines[len(machines)-1]
		if adjust != nil {
			adjust(o)
		}
	})
	return c, machines
}

// TestForwardedProposalOutlivesTheLossOfMessages loses, for a while, what stands
// between a follower and the answer to its proposal.
func TestForwardedProposalOutlivesTheLossOfMessages(t *testing.T) {
	for name, lost := range map[string]func(m *raft.Message, leader raft.MemberID) bool{
		"the proposal":           func(m *raft.Message, _ raft.MemberID) bool { return m.Kind == raft.KindPropose },
		"the leader's word":      func(m *raft.Message, _ raft.MemberID) bool { return m.Kind == raft.KindProposeReply },
		"all that comes from it": func(m *raft.Message, leader raft.MemberID) bool { return m.From == leader },
		"all that goes to it":    func(m *raft.Message, leader raft.MemberID) bool { return m.To == leader },
		"both":                   func(m *raft.Message, leader raft.MemberID) bool { return m.From == leader || m.To == leader },
		"its word and what it appended": func(m *raft.Message, leader raft.MemberID) bool {
			return m.From == leader && m.Kind != raft.KindHeartbeat
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c, machines := startOnce(t, 3, nil)
				leader := c.leader()
				follower := (leader + 1) % 3
				c.network.setLose(func(m *raft.Message) bool { return lost(m, raft.MemberID(leader+1)) })
				go func() {
					time.Sleep(2500 * time.Millisecond)
					c.network.setLose(nil)
				}()
				result, index, err := c.replicas[follower].Propose(t.Context(), []byte("x"))
				if err != nil || result != "x" || index == 0 {
					t.Errorf("Propose: %v at %d, %v", result, index, err)
				}
				time.Sleep(5 * time.Second) // Whatever else is under way arrives.
				for i, m := range machines {
					if n := m.count("x"); n != 1 {
						t.Errorf("replica %d carried it out %d times", i, n)
					}
				}
				c.close()
			})
		})
	}
}

func TestProposalsOutliveHandOvers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, machines := startOnce(t, 3, nil)
		c.leader()
		const proposals = 60
		errs := make(chan error, proposals)
		for i := range proposals {
			go func() {
				time.Sleep(time.Duration(i) * 20 * time.Millisecond)
				_, _, err := c.replicas[i%3].Propose(t.Context(), fmt.Appendf(nil, "command-%d", i))
				errs <- err
			}()
		}
		for range 6 {
			time.Sleep(200 * time.Millisecond)
			if err := c.replicas[c.leader()].TransferLeadership(t.Context(), raft.NoMember); err != nil {
				t.Errorf("the leader does not hand over: %v", err)
			}
		}
		for range proposals {
			if err := <-errs; err != nil {
				t.Errorf("Propose: %v", err)
			}
		}
		time.Sleep(time.Second)
		for i := range proposals {
			for n, m := range machines {
				if times := m.count(fmt.Sprintf("command-%d", i)); times != 1 {
					t.Errorf("replica %d carried out command %d %d times", n, i, times)
				}
			}
		}
		c.close()
	})
}

// TestNoMoreIsUnderWayThanTheStateMachineRemembers lets a disk hang while more
// proposals come than may be under way.
func TestNoMoreIsUnderWayThanTheStateMachineRemembers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const asked = raft.MaxUnanswered + 500
		seen := &recorder{}
		c := startCluster(t, 1, func(o *replica.Options) { o.StateMachine, o.MaxProposals = seen, asked })
		r := c.replicas[c.leader()]
		_, first, err := r.Propose(t.Context(), []byte("x"))
		must(t, err)
		stall, release := rafttest.StallSave()
		c.disks[0].SetFaults(rafttest.StorageFaults{BeforeSave: stall})
		errs := make(chan error, asked)
		for range asked {
			go func() {
				_, _, err := r.Propose(t.Context(), []byte("x"))
				errs <- err
			}()
		}
		synctest.Wait()
		status, err := r.Status(t.Context())
		must(t, err)
		if under := status.Last - first; under != raft.MaxUnanswered {
			t.Errorf("%d proposals are under way, want %d", under, raft.MaxUnanswered)
		}
		release()
		for range asked {
			must(t, <-errs)
		}
		c.close()
		for i := range seen.entries {
			e := &seen.entries[i]
			if o := e.Origin; e.Kind == raft.EntryCommand && (o.Sequence <= o.Answered || o.Sequence-o.Answered > raft.MaxUnanswered) {
				t.Fatalf("entry %d is named %+v", e.Index, o)
			}
		}
	})
}

// TestRefusalOfASecondOfferIsNoProof lets a proposal get into the leader's log, where
// it fills the uncommitted part, while nobody hears of it.
func TestRefusalOfASecondOfferIsNoProof(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, machines := startOnce(t, 3, func(o *replica.Options) { o.Core.MaxUncommittedBytes = 100 })
		leader := raft.MemberID(c.leader() + 1)
		var told, refused int
		c.network.setLose(func(m *raft.Message) bool {
			if m.Kind == raft.KindProposeReply {
				told++
				for _, r := range m.Results {
					if r.Reason == raft.ReasonOverloaded {
						refused++
					}
				}
				return told == 1
			}
			return m.From == leader && m.Kind == raft.KindAppendEntries
		})
		go func() {
			time.Sleep(2500 * time.Millisecond)
			c.network.setLose(nil)
		}()
		if _, _, err := c.replicas[leader%3].Propose(t.Context(), []byte("x")); err != nil {
			t.Errorf("Propose: %v", err)
		}
		if refused == 0 {
			t.Error("no second offer was refused")
		}
		time.Sleep(time.Second)
		if n := machines[0].count("x"); n != 1 {
			t.Errorf("it was carried out %d times", n)
		}
		c.close()
	})
}

// TestProposalInARestoredSnapshotIsAnswered lets a follower hear of the entry that
// holds its proposal only as part of a snapshot.
func TestProposalInARestoredSnapshotIsAnswered(t *testing.T) {
	for name, placed := range map[string]bool{"whose place it knows": true, "whose place it doesn't know": false} {
		w := newWorld(t, 3, 3)
		w.settle(200)
		var leader, follower *member
		for _, n := range w.members() {
			if n.loop.Status().Role == raft.Leader {
				leader = n
			} else {
				follower = n
			}
		}
		for _, n := range w.nodes {
			// Nothing but the leader's word of the place comes through.
			w.cut[[2]int{n.index, follower.index}] = true
		}
		command := w.propose(follower)
		w.act(follower)
		for len(w.wire) > 0 {
			w.deliver(0, false)
		}
		w.act(leader)
		for i := range w.wire {
			if w.wire[i].Kind == raft.KindProposeReply && placed {
				follower.loop.Handle(replica.Received{Message: w.wire[i]})
			}
		}
		term := leader.loop.Status().Term
		for range 40 {
			w.propose(leader)
			w.settle(1)
		}
		if leader.loop.Status().Base < 20 || w.proposals[command].told {
			t.Fatalf("%s: the leader's log begins after %d, and the follower was told %t", name, leader.loop.Status().Base, w.proposals[command].told)
		}
		w.healNetwork()
		w.settle(30)
		if o := w.proposals[command]; !o.told || o.err != nil || len(o.applied) != 1 {
			t.Errorf("%s: told %t, %v; carried out at %v", name, o.told, o.err, o.applied)
		}
		if now := leader.loop.Status(); now.Term != term || follower.loop.Status().SnapshotIndex == 0 {
			t.Fatalf("%s: the term went from %d to %d, and the follower's snapshot is %d", name, term, now.Term, follower.loop.Status().SnapshotIndex)
		}
	}
}
