//go:build linux

package e2e

import (
	"errors"
	"flag"
	"fmt"
	"sync"
	"testing"
	"time"
)

var watchRounds = flag.Int("watch-rounds", 0, "how often TestWatchersOfKilledMembersMissNothing does something to the members (default 8, with -short 2)")

// watchRepetitions is how many repeated writes there are at least between two
// things that happen to the members.
const watchRepetitions = 25

func TestWatchersOfKilledMembersMissNothing(t *testing.T) {
	rounds := *watchRounds
	if rounds == 0 {
		rounds = 8
		if testing.Short() {
			rounds = 2
		}
	}
	// Snapshots are taken often, so that members have their journal from them too.
	c := startCluster(t, 3, append(tokenFile(t), "--snapshot-entries", "200")...)
	l := startKeyedLoad(t, c)
	a := startAudience(l)
	var d disturbance
	for round := range rounds {
		if round == rounds/2 {
			a.joinWithTheState()
		}
		d.next(c, func() { l.awaitRepetitions(watchRepetitions) })
	}
	a.finish(t)
	t.Logf("EVIDENCE watches, %v: %s", d, a.figures())
}

// TestWatchersOfCutMembersMissNothing cuts the links of one member after the
// other; its watchers still reach it.
func TestWatchersOfCutMembersMissNothing(t *testing.T) {
	if testing.Short() {
		t.Skip("makes a network of three hosts; runs without -short")
	}
	if !insideOwnNetwork(t) {
		return
	}
	net := newNetwork(t, 3)
	c := startClusterIn(t, net)
	l := startKeyedLoad(t, c)
	a := startAudience(l)
	const cuts = 6
	for round := range cuts {
		l.awaitRepetitions(watchRepetitions)
		if round == cuts/2 {
			a.joinWithTheState()
		}
		victim := c.awaitLeader(c.nodes)
		if round%2 == 1 {
			victim = c.without(victim.name)[0]
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
		await(t, "the others go on", func() error {
			if _, err := c.leaderOf(c.without(victim.name)); err != nil {
				return err
			}
			if a := c.local(victim, "shared/0"); a.leader != "unknown" {
				return errors.New("the member that was cut off still knows a leader")
			}
			return nil
		})
		l.awaitRepetitions(watchRepetitions)
		net.heal(alone, others)
		c.awaitLeader(c.nodes)
	}
	a.finish(t)
	t.Logf("EVIDENCE watches, %d times a member cut off: %s", cuts, a.figures())
}

// An audience is watchers of what a keyedLoad does.
type audience struct {
	load     *keyedLoad
	watchers []*watcher
	all      sync.WaitGroup
}

// prefixes are what an audience watches. Keys lie under several of them, and
// nothing under the last.
var prefixes = []string{"", "own/", "own/1", "own/1/", "shared/", "contested/1", "chain/0", "none/"}

// startAudience starts two watchers of each prefix: one that leaves often, and
// one that stays with a member as long as that lasts.
func startAudience(l *keyedLoad) *audience {
	a := &audience{load: l}
	for i, prefix := range prefixes {
		a.start(&watcher{prefix: prefix, from: l.base, lifetime: time.Second, lines: i%2 == 0})
		a.start(&watcher{prefix: prefix, from: l.base, lines: i%2 == 1})
	}
	l.t.Cleanup(func() { // which a test that has failed is left with
		for _, w := range a.watchers {
			w.finishAt(1)
		}
		a.all.Wait()
	})
	return a
}

// joinWithTheState starts watchers that begin with the state as it is.
func (a *audience) joinWithTheState() {
	for i, prefix := range prefixes {
		a.start(&watcher{prefix: prefix, initial: true, lifetime: time.Second, lines: i%2 == 0})
	}
}

func (a *audience) start(w *watcher) {
	w.cluster = a.load.cluster
	a.watchers = append(a.watchers, w)
	a.all.Go(w.run)
}

// finish ends the clients with a last write under each prefix and fails the test
// unless each watcher was told all that happened under its own.
func (a *audience) finish(t *testing.T) {
	t.Helper()
	l := a.load
	l.end()
	for _, prefix := range prefixes {
		l.insist(lastWrite(prefix))
	}
	l.finish(t)
	events := l.events()
	for _, w := range a.watchers {
		mine := under(events, w.prefix, 0)
		w.finishAt(mine[len(mine)-1].revision)
	}
	a.all.Wait()
	for _, w := range a.watchers {
		w.check(t, l)
	}
}

// figures tells what happened in one line.
func (a *audience) figures() string {
	var events, streams, bookmarks int
	for _, w := range a.watchers {
		events, streams, bookmarks = events+len(w.events), streams+w.streams, bookmarks+w.bookmarks
	}
	return fmt.Sprintf("%d watchers were told %d revisions and %d bookmarks over %d streams: each revision once, in order, whole, and none missing; %s",
		len(a.watchers), events, bookmarks, streams, a.load.figures())
}
