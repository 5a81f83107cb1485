//go:build linux

package e2e

import (
	"context"
	"flag"
	"fmt"
	"testing"
)

var retries = flag.Int("retries", 0, "how many requests of TestRetriesPastKilledLeadersAreDoneOnce are repeated at least (default 500, with -short 150)")

// retriesPerRound is how many requests are repeated while nothing else happens to
// the members.
const retriesPerRound = 25

func TestRetriesPastKilledLeadersAreDoneOnce(t *testing.T) {
	wanted := *retries
	if wanted == 0 {
		wanted = 500
		if testing.Short() {
			wanted = 150
		}
	}
	// Snapshots are taken often, so that members know answers from them too.
	c := startCluster(t, 3, append(tokenFile(t), "--snapshot-entries", "200")...)
	l := startKeyedLoad(t, c)
	var d disturbance
	for l.repetitions() < wanted {
		d.next(c, func() { l.awaitRepetitions(retriesPerRound) })
	}
	l.finish(t)
	t.Logf("EVIDENCE retries with an idempotency key, %v: %s", d, l.figures())
}

// A disturbance is what happens to the members of a cluster, in turns: the leader
// is killed, the leadership is transferred, any member is killed, all are.
type disturbance struct{ leaders, transfers, others, everyone int }

// next does the next thing; meanwhile is called before it, and while a killed
// member is away.
func (d *disturbance) next(c *cluster, meanwhile func()) {
	c.t.Helper()
	meanwhile()
	switch (d.leaders + d.transfers + d.others + d.everyone) % 4 {
	case 0:
		d.leaders++
		c.replace(c.awaitLeader(c.nodes), meanwhile)
	case 1:
		d.transfers++
		c.transfer()
	case 2:
		d.others++
		c.replace(c.random(), meanwhile)
	default:
		d.everyone++
		each(c.nodes, (*node).kill)
		c.start()
		c.awaitReady()
	}
}

func (d disturbance) String() string {
	return fmt.Sprintf("%d times the leader, %d times any member and %d times all killed with -9, %d leaderships transferred",
		d.leaders, d.others, d.everyone, d.transfers)
}

// replace kills a member and starts it again after a while.
func (c *cluster) replace(victim *node, meanwhile func()) {
	c.t.Helper()
	victim.kill()
	meanwhile()
	victim.start()
	victim.awaitReady()
}

// transfer makes the leader hand over.
func (c *cluster) transfer() {
	c.t.Helper()
	await(c.t, "the leadership is transferred", func() error {
		leader, err := c.leaderOf(c.nodes)
		if err != nil {
			return err
		}
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		_, err = leader.admin().TransferLeadership(ctx, "")
		return err
	})
}
