//go:build linux

package e2e

import (
	"errors"
	"fmt"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"
)

func TestRollingRestartLosesNothing(t *testing.T) {
	rounds := 3
	if testing.Short() {
		rounds = 1
	}
	c := startCluster(t, 3)
	l := startLoad(t, c, requestTimeout)
	var stops []time.Duration
	for range rounds {
		for _, n := range c.nodes {
			l.era.Add(1)
			l.awaitWrites(20)
			stops = append(stops, l.record.now())
			n.stop()
			l.awaitWrites(1)
			n.start()
			n.awaitReady()
		}
	}
	l.awaitWrites(20)
	l.finish(t)
	t.Logf("from the order to stop to the next acknowledged write: %s", l.record.gaps(stops))
}

// manyElections is time enough for a node that could win an election to do so.
const manyElections = 2 * time.Second

func TestWipedMemberWaitsToBeAddedAndNeverVotes(t *testing.T) {
	c := startCluster(t, 3)
	keeper, helper, wiped := c.nodes[0], c.nodes[1], c.nodes[2]
	c.put(keeper, "kept", "before")
	wiped.stop()
	wiped.wipe()
	wiped.start()
	awaitWaiting(t, wiped)
	c.awaitPut(keeper, "kept", "without it")
	refusesToServe(t, c, wiped)

	// One of two members that have their disks is no majority of three, and the
	// one without must not make it one.
	helper.kill()
	for end := time.Now().Add(manyElections); time.Now().Before(end); {
		a := c.do(keeper, request{method: http.MethodPut, key: "alone", value: "x", timeout: manyElections})
		if a.status == http.StatusOK || a.status == http.StatusCreated {
			t.Fatalf("a member without its disk made a majority: %v", a)
		}
		if view, err := c.view(wiped); err != nil || view.Leader != "" {
			t.Fatalf("the member that waits to be added follows %q: %v", view.Leader, err)
		}
	}
	if voters := wiped.metric(t, "conclave_raft_voters"); voters != 0 {
		t.Errorf("the member that waits to be added counts %v voters", voters)
	}
	helper.start()
	helper.awaitReady()
	c.awaitPut(helper, "kept", "after")
	if a := c.do(keeper, request{method: http.MethodGet, key: "kept"}); a.value != "after" {
		t.Errorf("with two members there is %v", a)
	}
	awaitWaiting(t, wiped)
}

func TestWipedMajorityFormsNoEmptyCluster(t *testing.T) {
	for _, state := range []string{"existing", "new"} {
		t.Run(state, func(t *testing.T) {
			t.Parallel()
			c := startCluster(t, 3)
			keeper, wiped := c.nodes[0], c.nodes[1:]
			c.put(keeper, "kept", "value")
			for _, n := range c.nodes { // What comes after it tells each disk that it is committed.
				c.put(n, "later", "by "+n.name)
			}
			c.awaitAgreement()
			for _, n := range c.nodes {
				n.stop()
			}
			for _, n := range wiped {
				n.wipe()
				n.args = append(n.args, "--initial-state", state)
				n.start()
			}
			if state == "new" { // Two of three nodes have met, and that must not do.
				for _, n := range wiped {
					awaitNotReady(t, n, "2 of 3")
				}
			}
			keeper.start()
			for _, n := range wiped {
				awaitWaiting(t, n)
				refusesToServe(t, c, n)
			}
			await(t, "the member that kept its disk serves what it has", func() error {
				if a := c.local(keeper, "kept"); a.value != "value" {
					return errors.New(a.String())
				}
				return nil
			})
			if a := c.do(keeper, request{method: http.MethodPut, key: "kept", value: "new", timeout: requestTimeout}); a.status == http.StatusOK {
				t.Errorf("one member of three wrote: %v", a)
			}
		})
	}
}

func TestMemberOfAnotherClusterIsRefused(t *testing.T) {
	c := startCluster(t, 3)
	own := c.nodes[2]
	c.put(c.nodes[0], "kept", "value")
	own.stop()
	// Another cluster's member takes the place of one: same name, same addresses.
	stranger := &node{
		t: t, name: own.name, dir: own.dir + "-foreign", log: own.log + "-foreign",
		http: own.http, peer: own.peer, ops: own.ops,
	}
	stranger.args = append(append([]string{}, own.args...), "--data-dir", stranger.dir, "--cluster-name", "another")
	stranger.start()
	defer stranger.discard()
	await(t, "the stranger is told why", func() error {
		text, err := os.ReadFile(stranger.log)
		if err == nil && !strings.Contains(string(text), "another cluster") {
			err = errors.New("its log doesn't speak of another cluster")
		}
		return err
	})
	awaitNotReady(t, stranger, "")
	for i := range 5 {
		c.awaitPut(c.nodes[0], "kept", fmt.Sprint("value ", i))
	}
	refusesToServe(t, c, stranger)
	stranger.kill()
	own.start()
	own.awaitReady()
	if a := c.do(own, request{method: http.MethodGet, key: "kept"}); a.value != "value 4" {
		t.Errorf("the right member came back with %v", a)
	}
}

// awaitWaiting waits until a node says that it waits to be added.
func awaitWaiting(t *testing.T, n *node) {
	t.Helper()
	awaitNotReady(t, n, "waiting to be added")
}

// awaitNotReady waits until a node says that it is not ready, and why.
func awaitNotReady(t *testing.T, n *node, why string) {
	t.Helper()
	await(t, "node "+n.name+" says why it isn't ready", func() error {
		if err := n.alive(); err != nil {
			t.Fatal(err)
		}
		status, text := n.health("/readyz")
		if status == http.StatusOK {
			t.Fatalf("node %s is ready: %s", n.name, text)
		}
		if status != http.StatusServiceUnavailable || !strings.Contains(text, why) {
			return fmt.Errorf("it says %d %s", status, text)
		}
		return nil
	})
}

// refusesToServe expects that a node which is in no cluster neither writes nor
// reads.
func refusesToServe(t *testing.T, c *cluster, n *node) {
	t.Helper()
	for what, r := range map[string]request{
		"write":       {method: http.MethodPut, key: "kept", value: "by a node in no cluster", timeout: patience},
		"linear read": {method: http.MethodGet, key: "kept", timeout: patience},
	} {
		if a := c.do(n, r); a.status != http.StatusServiceUnavailable {
			t.Errorf("a %s at node %s, which is in no cluster, got %v", what, n.name, a)
		}
	}
}
