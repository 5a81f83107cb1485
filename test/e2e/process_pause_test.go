//go:build linux

package e2e

import (
	"fmt"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/conclave-dev/conclave/test/e2e/history"
)

// pauseTimeout is how long clients wait for a member that is paused: longer than
// it is.
const pauseTimeout = 20 * time.Second

// pauseMin is how long a member is paused at least: longer than its election
// timeout, which it finds to have passed when it wakes up.
const pauseMin = 500 * time.Millisecond

func TestPausedLeaderServesNothingStale(t *testing.T) {
	testPauses(t, func(c *cluster) *node { return c.awaitLeader(c.nodes) })
}

func TestPausedFollowerServesNothingStale(t *testing.T) {
	testPauses(t, func(c *cluster) *node { return c.without(c.awaitLeader(c.nodes).name)[0] })
}

func testPauses(t *testing.T, choose func(*cluster) *node) {
	rounds := 5
	if testing.Short() {
		rounds = 1
	}
	c := startCluster(t, 3)
	l := startLoad(t, c, pauseTimeout)
	for round := range rounds {
		l.era.Store(int64(round))
		l.awaitWrites(20)
		pause(t, c, l, choose(c), round)
	}
	l.awaitWrites(20)
	l.finish(t)
}

// pause pauses a member for longer than an election takes and until the others
// have written without it, and reads at it when it wakes up: a leader still takes
// itself for one then, and a follower doesn't know what it missed.
func pause(t *testing.T, c *cluster, l *load, paused *node, round int) {
	key := fmt.Sprintf("paused%d", round)
	before := history.Operation{Worker: clients, Kind: history.Put, Key: key, Value: key + " before"}
	if _, ok := l.record.play(c, paused, before, pauseTimeout); !ok {
		t.Fatal("a write before the pause was refused")
	}
	paused.signal(syscall.SIGSTOP)
	stopped := time.Now()
	next := c.awaitLeader(c.without(paused.name))
	after := before
	after.Value = key + " after"
	await(t, "a write goes through the next leader", func() error {
		if o, ok := l.record.play(c, next, after, pauseTimeout); !ok || o.Outcome != history.Done {
			after.Value += "+" // No value is written twice.
			return fmt.Errorf("%v", o)
		}
		return nil
	})
	time.Sleep(pauseMin - time.Since(stopped))
	// These reads lie in the sleeper's sockets when it wakes up, and the later
	// ones come while it learns what it missed.
	var readers sync.WaitGroup
	read := func() {
		o, ok := l.record.play(c, paused, history.Operation{Worker: clients, Kind: history.Get, Key: key}, pauseTimeout)
		if ok && o.Value != after.Value {
			t.Errorf("round %d: the paused member served %v after the write of %q", round, o, after.Value)
		}
	}
	for range clients {
		readers.Go(read)
	}
	time.Sleep(20 * time.Millisecond) // Let the requests reach its sockets; nothing depends on it.
	paused.signal(syscall.SIGCONT)
	for range clients {
		readers.Go(func() {
			for range 10 {
				read()
			}
		})
	}
	readers.Wait()
}
