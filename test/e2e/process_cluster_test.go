//go:build linux

package e2e

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
)

// A cluster is a set of nodes that were told of each other.
type cluster struct {
	t     testing.TB
	nodes []*node
	http  *http.Client
}

// newCluster lays out nodes at addresses of this machine, starts none of them
// and removes whatever runs of them when the test ends. A node has one letter
// for its name, "a" first.
func newCluster(t testing.TB, size int, flags ...string) *cluster {
	t.Helper()
	host := loopback()
	hosts := make([]string, size)
	for i := range hosts {
		hosts[i] = host
	}
	return layOut(t, hosts, flags...)
}

// layOut lays out one node at each of the hosts.
func layOut(t testing.TB, hosts []string, flags ...string) *cluster {
	t.Helper()
	dir := t.TempDir()
	c := &cluster{t: t, http: newHTTPClient()}
	var peers []string
	for i, host := range hosts {
		ports := freePorts(t, host)
		n := &node{
			t: t, name: string(rune('a' + i)),
			http: ports[0], peer: ports[1], ops: ports[2],
		}
		n.dir, n.log = filepath.Join(dir, n.name), filepath.Join(dir, n.name+".log")
		c.nodes = append(c.nodes, n)
		peers = append(peers, n.name+"="+n.peer)
	}
	for _, n := range c.nodes {
		n.args = append([]string{
			"--name", n.name, "--data-dir", n.dir, "--initial-peers", strings.Join(peers, ","),
			"--http", n.http, "--peer", n.peer, "--ops", n.ops,
		}, flags...)
	}
	t.Cleanup(c.tearDown)
	return c
}

// startCluster starts a cluster of this many nodes and waits until all are ready.
func startCluster(t testing.TB, size int, flags ...string) *cluster {
	t.Helper()
	c := newCluster(t, size, flags...)
	c.start()
	c.awaitReady()
	return c
}

func (c *cluster) start() {
	c.t.Helper()
	for _, n := range c.nodes {
		n.start()
	}
}

func (c *cluster) awaitReady() {
	c.t.Helper()
	for _, n := range c.nodes {
		n.awaitReady()
	}
}

// tearDown ends what runs and, after a failure, shows what the nodes said.
func (c *cluster) tearDown() {
	for _, n := range c.nodes {
		n.discard()
	}
	c.http.CloseIdleConnections()
	if c.t.Failed() {
		for _, n := range c.nodes {
			if _, err := os.Stat(n.log); err == nil {
				c.t.Log(n.logTail())
			}
		}
	}
}

// node returns the node of that name.
func (c *cluster) node(name string) *node {
	c.t.Helper()
	for _, n := range c.nodes {
		if n.name == name {
			return n
		}
	}
	c.t.Fatalf("there is no node %q", name)
	return nil
}

// without returns all nodes but those named.
func (c *cluster) without(names ...string) []*node {
	var others []*node
	for _, n := range c.nodes {
		if !strings.Contains(strings.Join(names, " "), n.name) {
			others = append(others, n)
		}
	}
	return others
}

// random returns any node.
func (c *cluster) random() *node { return c.nodes[rand.N(len(c.nodes))] }

// errNoLeaderYet is an answer of leaderOf worth another try.
var errNoLeaderYet = errors.New("no leader that a majority knows")

// leaderOf returns the leader that more than half of the whole cluster, among
// these nodes, follow in one term.
func (c *cluster) leaderOf(nodes []*node) (*node, error) {
	votes := map[string]int{}
	for _, n := range nodes {
		view, err := c.view(n)
		if err != nil || view.Leader == "" {
			continue
		}
		ballot := fmt.Sprint(view.Leader, " in term ", view.Term)
		if votes[ballot]++; 2*votes[ballot] > len(c.nodes) {
			return c.node(view.Leader), nil
		}
	}
	return nil, errNoLeaderYet
}

// awaitLeader waits until these nodes have a leader.
func (c *cluster) awaitLeader(nodes []*node) *node {
	c.t.Helper()
	var leader *node
	await(c.t, "a leader comes up", func() (err error) {
		leader, err = c.leaderOf(nodes)
		return err
	})
	return leader
}

// awaitAgreement waits until all nodes have applied the same.
func (c *cluster) awaitAgreement() {
	c.t.Helper()
	await(c.t, "all members have applied the same", func() error {
		var first clusterView
		for i, n := range c.nodes {
			view, err := c.view(n)
			if err != nil {
				return err
			}
			if i == 0 {
				first = view
			}
			if view.AppliedIndex != view.CommitIndex || view.AppliedIndex != first.AppliedIndex || view.Revision != first.Revision {
				return fmt.Errorf("node %s has applied %d of %d and is at revision %d; node %s has applied %d and is at %d",
					n.name, view.AppliedIndex, view.CommitIndex, view.Revision, c.nodes[0].name, first.AppliedIndex, first.Revision)
			}
		}
		return nil
	})
}

// loopback returns an address of this machine that nobody else is likely to use:
// all of 127.0.0.0/8 is one's own on Linux.
func loopback() string {
	return fmt.Sprintf("127.%d.%d.%d", 10+rand.N(240), rand.N(250), 1+rand.N(250))
}

// The range that freePorts looks in: below the ports that Linux gives to outgoing
// connections, so that a node finds its own free when it comes back.
const (
	portMin = 12_000
	portMax = 32_000
)

// freePorts returns three addresses of a host that nobody listens at. A host that
// this machine doesn't have itself has all its ports free.
func freePorts(t testing.TB, host string) [3]string {
	t.Helper()
	for range 100 {
		base := portMin + rand.N(portMax-portMin)
		var found [3]string
		free := 0
		for i := range found {
			found[i] = net.JoinHostPort(host, fmt.Sprint(base+i))
			if listener, err := net.Listen("tcp", found[i]); err == nil {
				listener.Close()
				free++
			}
		}
		if free == len(found) || !strings.HasPrefix(host, "127.") {
			return found
		}
	}
	t.Fatalf("%s has no three free ports in a row", host)
	return [3]string{}
}

// requestTimeout is how long a client waits for an answer if the test doesn't
// say otherwise.
const requestTimeout = 3 * time.Second

// newHTTPClient returns a client for many requests at a time.
func newHTTPClient() *http.Client {
	return &http.Client{Transport: &http.Transport{
		MaxIdleConnsPerHost: 64,
		DialContext:         (&net.Dialer{Timeout: requestTimeout}).DialContext,
	}}
}

// each runs do for every node at the same time.
func each(nodes []*node, do func(*node)) {
	var all sync.WaitGroup
	for _, n := range nodes {
		all.Go(func() { do(n) })
	}
	all.Wait()
}
