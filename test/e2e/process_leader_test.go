//go:build linux

package e2e

import (
	"flag"
	"testing"
	"time"
)

var leaderKills = flag.Int("leader-kills", 0, "how often each TestKilledLeaderIsReplaced kills the leader (default 10)")

// slowDisk is how long each write of a slow node takes at least.
const slowDisk = 50 * time.Millisecond

// slowNode has a slow disk.
var slowNode = &alteration{
	name: "node-slow",
	edits: []edit{{
		dir: inReplica, function: "runStorage", line: "if err := r.options.Storage.Save(w); err != nil {", before: "time.Sleep(slowDisk); ",
	}},
	common: `
import "time"

const slowDisk = ` + "50 * time.Millisecond\n",
}

func TestKilledLeaderIsReplaced(t *testing.T) { testLeaderKills(t, "all disks as they are") }

func TestKilledLeaderIsReplacedBesideASlowDisk(t *testing.T) {
	testLeaderKills(t, "one disk slow, "+slowDisk.String()+" a write", slowNode)
}

// testLeaderKills kills the leader time after time and tells how long clients had
// none. The last members run the altered programs.
func testLeaderKills(t *testing.T, what string, altered ...*alteration) {
	kills := *leaderKills
	if kills == 0 {
		kills = 10
		if testing.Short() {
			t.Skip("kills leaders; runs without -short, or with -leader-kills")
		}
	}
	c := newCluster(t, 3)
	for i, a := range altered {
		c.nodes[len(c.nodes)-1-i].program = alteredNode(t, a)
	}
	c.start()
	c.awaitReady()
	l := &load{t: t, cluster: c, record: newRecord(), timeout: requestTimeout}
	var moments []time.Duration
	for range kills {
		// A ledger of its own for each trial: histories of keys stay short.
		book := startLedger(l)
		l.awaitWrites(20)
		leader := c.awaitLeader(c.nodes)
		leader.kill()
		moments = append(moments, l.record.now())
		l.awaitWrites(20)
		book.end()
		leader.start()
		leader.awaitReady()
		c.awaitAgreement() // The next leader is not busy with this one.
	}
	l.finish(t)
	t.Logf("EVIDENCE leader killed, election timeout 150-300 ms, %s: from the kill to the next acknowledged write: %s",
		what, l.record.gaps(moments))
}
