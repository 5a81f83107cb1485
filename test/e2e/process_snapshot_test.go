//go:build linux

package e2e

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"
)

func TestLaggingFollowerCatchesUpBySnapshot(t *testing.T) {
	if testing.Short() {
		t.Skip("writes over a thousand times; runs without -short")
	}
	c := startCluster(t, 3, "--snapshot-entries", "100")
	l := startLoad(t, c, requestTimeout)
	l.awaitWrites(20)
	leader := c.awaitLeader(c.nodes)
	follower := c.without(leader.name)[0]
	held := follower.metric(t, "conclave_raft_last_index")
	follower.stop()
	l.era.Add(1)
	l.awaitWrites(1001)
	others := c.without(follower.name)
	oldest := map[*node]float64{}
	for _, n := range others {
		await(t, "node "+n.name+" drops what the follower lacks", func() error {
			if oldest[n] = n.metric(t, "conclave_raft_first_index"); oldest[n] <= held+2 {
				return fmt.Errorf("its log begins at %v, the follower's ended near %v", oldest[n], held)
			}
			return nil
		})
	}
	// Killed while it catches up, it starts over.
	for range 3 {
		follower.start()
		time.Sleep(50*time.Millisecond + rand.N(300*time.Millisecond)) // Any moment will do.
		follower.kill()
	}
	follower.start()
	follower.awaitReady()
	for _, n := range others {
		if got := follower.metric(t, "conclave_raft_snapshot_index"); got < min(oldest[others[0]], oldest[others[1]])-1 {
			t.Errorf("the follower's snapshot is of %v, though node %s had nothing before %v", got, n.name, oldest[n])
		}
	}
	if first, snapshot := follower.metric(t, "conclave_raft_first_index"), follower.metric(t, "conclave_raft_snapshot_index"); first > snapshot+1 {
		t.Errorf("the follower's log begins at %v, and its snapshot ends at %v", first, snapshot)
	}
	l.awaitWrites(300) // Snapshots go on being taken.
	l.finish(t)
}
