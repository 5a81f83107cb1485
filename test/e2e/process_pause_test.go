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

func TestPausedLeaderServesNothingStale(t *testing.T) {
	rounds := 5
	if testing.Short() {
		rounds = 1
	}
	c := startCluster(t, 3)
	l := startLoad(t, c, pauseTimeout)
	for round := range rounds {
		l.era.Store(int64(round))
		l.awaitWrites(20)
		pauseLeader(t, c, l, round)
	}
	l.awaitWrites(20)
	l.finish(t)
}

// pauseLeader pauses the leader until the others have another one and have
// written through it, and reads at it when it wakes up and still takes itself for
// the leader.
func pauseLeader(t *testing.T, c *cluster, l *load, round int) {
	old := c.awaitLeader(c.nodes)
	key := fmt.Sprintf("paused%d", round)
	before := history.Operation{Worker: clients, Kind: history.Put, Key: key, Value: key + " before"}
	if _, ok := l.record.play(c, old, before, pauseTimeout); !ok {
		t.Fatal("a write before the pause was refused")
	}
	old.signal(syscall.SIGSTOP)
	others := c.without(old.name)
	next := c.awaitLeader(others)
	after := before
	after.Value = key + " after"
	await(t, "a write goes through the next leader", func() error {
		if o, ok := l.record.play(c, next, after, pauseTimeout); !ok || o.Outcome != history.Done {
			after.Value += "+" // No value is written twice.
			return fmt.Errorf("%v", o)
		}
		return nil
	})
	// These reads lie in the sleeper's sockets when it wakes up, and the later
	// ones come while it learns what it missed.
	var readers sync.WaitGroup
	read := func() {
		o, ok := l.record.play(c, old, history.Operation{Worker: clients, Kind: history.Get, Key: key}, pauseTimeout)
		if ok && o.Value != after.Value {
			t.Errorf("round %d: the paused leader served %v after the write of %q", round, o, after.Value)
		}
	}
	for range clients {
		readers.Go(read)
	}
	time.Sleep(20 * time.Millisecond) // Let the requests reach its sockets; nothing depends on it.
	old.signal(syscall.SIGCONT)
	for range clients {
		readers.Go(func() {
			for range 10 {
				read()
			}
		})
	}
	readers.Wait()
}
