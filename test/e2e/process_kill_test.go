//go:build linux

package e2e

import (
	"flag"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"
)

var killRounds = flag.Int("kill-rounds", 0, "rounds of TestKilledMembersLoseNothing (default 20, with -short 3)")

// A round kills one member, and every wholeRound-th round all of them at once.
const wholeRound = 5

func TestKilledMembersLoseNothing(t *testing.T) {
	rounds := *killRounds
	if rounds == 0 {
		rounds = 20
		if testing.Short() {
			rounds = 3
		}
	}
	// Snapshots are taken often, so that kills hit them and what they leave behind.
	c := startCluster(t, 3, "--snapshot-entries", "200")
	l := startLoad(t, c, requestTimeout)
	var deposed, extinct []time.Duration // when a leader was killed, and when everyone was
	for round := range rounds {
		l.era.Store(int64(round))
		l.awaitWrites(20)
		time.Sleep(rand.N(100 * time.Millisecond)) // Any moment will do.
		if round%wholeRound == wholeRound-1 || round == rounds-1 {
			extinct = append(extinct, l.record.now())
			each(c.nodes, (*node).kill)
			c.start()
			c.awaitReady()
			continue
		}
		victim := c.random()
		leader, _ := c.leaderOf(c.nodes) // None is fine: the last one may just have gone.
		victim.kill()
		moment := l.record.now()
		l.awaitWrites(1) // The others go on without it.
		if leader == victim {
			deposed = append(deposed, moment)
		}
		victim.start()
		victim.awaitReady()
	}
	l.awaitWrites(20)
	l.finish(t)
	t.Logf("EVIDENCE kill -9 at random moments: %d rounds, each fifth of all members at once; from a leader's death to the next acknowledged write: %s; from everyone's death: %s; %s",
		rounds, l.record.gaps(deposed), l.record.gaps(extinct), l.record.figures())
}

// gaps tells how long it took from each of the moments until a write was
// acknowledged that began later.
func (r *record) gaps(moments []time.Duration) string {
	var gaps []time.Duration
	for _, moment := range moments {
		if first := r.firstWriteAfter(moment); first != 0 {
			gaps = append(gaps, (first - moment).Round(time.Millisecond))
		}
	}
	if len(gaps) == 0 {
		return "none seen"
	}
	slices.Sort(gaps)
	return fmt.Sprintf("median %v, 99th percentile %v, longest %v of %d",
		gaps[len(gaps)/2], gaps[(len(gaps)-1)*99/100], gaps[len(gaps)-1], len(gaps))
}
