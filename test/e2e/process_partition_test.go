//go:build linux

package e2e

import (
	"errors"
	"fmt"
	"net/http"
	"sync"
	"testing"
	"time"
)

// TestPartitionPlaysScenes20To25 plays the scenes of a partition on five real
// processes: nodes a and b, one of them the leader, are cut off from c, d and e.
func TestPartitionPlaysScenes20To25(t *testing.T) {
	if testing.Short() {
		t.Skip("makes a network of five hosts; runs without -short")
	}
	if !insideOwnNetwork(t) {
		return
	}
	net := newNetwork(t, 5)
	c := startClusterIn(t, net)
	minority, majority := c.nodes[:2], c.nodes[2:]
	deposed := c.awaitLeaderAmong(minority)
	c.awaitPut(deposed, "value", "start")
	c.awaitAgreement()
	began, err := c.view(deposed)
	if err != nil {
		t.Fatal(err)
	}

	for _, n := range minority { // They have looked just now, and know how old what they have is.
		if a := c.do(n, request{method: http.MethodGet, key: "value", timeout: patience}); a.status != http.StatusOK {
			t.Errorf("a linear read before the cut at node %s: %v", n.name, a)
		}
	}

	// Scene 20: the network falls apart. Scene 22 begins at once: client 1 writes
	// 3 to the old leader, which can't reach a majority any more.
	net.cut([]int{0, 1}, []int{2, 3, 4})
	cut := time.Now()
	var client1 answer
	var client sync.WaitGroup
	client.Go(func() {
		client1 = c.do(deposed, request{method: http.MethodPut, key: "value", value: "3", timeout: patience})
	})

	// Scene 21: the others elect a leader of a higher term.
	elected := c.awaitLeader(majority)
	view, err := c.view(elected)
	if err != nil || view.Term <= began.Term {
		t.Errorf("the majority's leader %s is of term %d (%v), after the minority's of term %d", elected.name, view.Term, err, began.Term)
	}
	// Scene 23: client 2 writes 8 to the other side, and it is committed.
	revision := c.put(elected, "value", "8")

	// Scene 22 ends: the minority knows that it is one, and client 1 is never told
	// that it succeeded.
	stepsDown(t, c, minority, cut)
	each(minority, func(n *node) { refuses(t, c, n, cut) })
	client.Wait()
	if client1.problem == nil || client1.status != http.StatusServiceUnavailable && client1.status != http.StatusGatewayTimeout {
		t.Errorf("client 1 wrote to a minority and got %v", client1)
	}
	t.Logf("client 1 was answered: %v", client1)

	// Scenes 24 and 25: the network heals; all follow the new leader, and what the
	// minority had in its log and nowhere else is gone.
	net.heal([]int{0, 1}, []int{2, 3, 4})
	c.awaitLeader(c.nodes)
	c.awaitAgreement()
	for _, n := range c.nodes {
		if a := c.local(n, "value"); a.status != http.StatusOK || a.value != "8" || a.etag != revision {
			t.Errorf("after healing node %s has %v, not 8 at revision %d", n.name, a, revision)
		}
		if a := c.do(n, request{method: http.MethodGet, key: "refused"}); a.status != http.StatusNotFound {
			t.Errorf("after healing node %s has a write that was refused: %v", n.name, a)
		}
		c.awaitPut(n, "healed", "through "+n.name)
	}
}

// stepsDown waits until the minority's members know that they have no leader, and
// expects them to serve what they have all the same, and to say that it is as old
// as the cut at least: nothing has told them since that it is the newest.
func stepsDown(t *testing.T, c *cluster, minority []*node, cut time.Time) {
	t.Helper()
	for _, n := range minority {
		await(t, "node "+n.name+" steps down", func() error {
			least := time.Since(cut)
			a := c.local(n, "value")
			if a.status != http.StatusOK || a.value != "start" {
				t.Fatalf("a local read on the minority got %v, not the last committed value", a)
			}
			if a.age < least {
				t.Fatalf("%v after the cut node %s says that what it has is %v old", least, n.name, a.age)
			}
			if a.leader != "unknown" {
				return fmt.Errorf("it says that its leader is %s", a.leader)
			}
			return nil
		})
	}
}

// refuses expects writes and fresh reads to fail at a node of the minority, and
// the write to be refused with the word that it was certainly not applied.
func refuses(t *testing.T, c *cluster, n *node, cut time.Time) {
	t.Helper()
	var all sync.WaitGroup
	defer all.Wait()
	all.Go(func() {
		write := c.do(n, request{method: http.MethodPut, key: "refused", value: "by " + n.name, timeout: patience})
		if write.status != http.StatusServiceUnavailable || write.problem == nil || write.problem.Outcome != "rejected" {
			t.Errorf("a write on the minority got %v", write)
		}
	})
	all.Go(func() {
		read := c.do(n, request{method: http.MethodGet, key: "value", timeout: patience})
		if read.status != http.StatusServiceUnavailable && read.status != http.StatusGatewayTimeout {
			t.Errorf("a linear read on the minority got %v", read)
		}
	})
	all.Go(func() {
		fresher := "consistency=bounded&max-staleness=" + (time.Since(cut) / 2).String()
		read := c.do(n, request{method: http.MethodGet, key: "value", query: fresher, timeout: patience})
		if read.status != http.StatusServiceUnavailable || read.problem == nil || read.problem.Code != "too_stale" {
			t.Errorf("a read on the minority that must be of after the cut, %s, got %v", fresher, read)
		}
	})
	all.Go(func() {
		if status, text := n.health("/quorumz"); status != http.StatusServiceUnavailable {
			t.Errorf("/quorumz on the minority: %d %s", status, text)
		}
	})
}

// TestCutMembersLoseNothing cuts one member off after the other, and then one
// leader after the other, under load.
func TestCutMembersLoseNothing(t *testing.T) {
	if testing.Short() {
		t.Skip("makes a network of three hosts; runs without -short")
	}
	if !insideOwnNetwork(t) {
		return
	}
	net := newNetwork(t, 3)
	c := startClusterIn(t, net)
	l := startLoad(t, c, 500*time.Millisecond) // A member that is cut off lets its clients wait.
	var cuts []time.Duration
	for round := range 9 {
		l.era.Store(int64(round))
		l.awaitWrites(20)
		victim := c.nodes[round%3]
		if round >= 3 { // the member whose loss is felt most
			victim = c.awaitLeader(c.nodes)
		}
		alone, others := []int{}, []int{}
		for i, n := range c.nodes {
			if n == victim {
				alone = append(alone, i)
			} else {
				others = append(others, i)
			}
		}
		net.cut(alone, others)
		cuts = append(cuts, l.record.now())
		await(t, "the others go on", func() error {
			if _, err := c.leaderOf(c.without(victim.name)); err != nil {
				return err
			}
			if a := c.local(victim, "era0/key0"); a.leader != "unknown" {
				return errors.New("the member that was cut off still knows a leader")
			}
			return nil
		})
		l.awaitWrites(20)
		net.heal(alone, others)
		c.awaitLeader(c.nodes)
	}
	l.finish(t)
	t.Logf("from a cut to the next acknowledged write: %s", l.record.gaps(cuts))
}
