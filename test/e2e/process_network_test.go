//go:build linux

package e2e

import (
	"errors"
	"fmt"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"
)

// A network is a router, this process's namespace, and hosts, each a namespace at
// the end of a cable. The test reaches every host; hosts reach each other through
// the router, as long as it lets them.
type network struct {
	t     *testing.T
	hosts []string
}

// newNetwork makes the hosts.
func newNetwork(t *testing.T, size int) *network {
	t.Helper()
	net := &network{t: t}
	// The names of namespaces are files; they are to be seen in here alone.
	if err := os.MkdirAll("/run/netns", 0o755); err != nil {
		t.Fatal(err)
	}
	net.run("mount", "-t", "tmpfs", "tmpfs", "/run/netns")
	net.run("ip", "link", "set", "lo", "up")
	if err := os.WriteFile("/proc/sys/net/ipv4/ip_forward", []byte("1"), 0o644); err != nil {
		t.Skipf("this machine lets nobody route: %v", err)
	}
	for i := range size {
		net.addHost(i)
	}
	return net
}

// addHost makes host i with its cable.
func (net *network) addHost(i int) {
	net.t.Helper()
	name, cable := hostName(i), cableName(i)
	router, host := fmt.Sprintf("10.77.%d.1", i), fmt.Sprintf("10.77.%d.2", i)
	for _, line := range []string{
		"netns add " + name,
		"link add " + cable + " type veth peer name eth0 netns " + name,
		"addr add " + router + "/24 dev " + cable,
		"link set " + cable + " up",
		"-n " + name + " addr add " + host + "/24 dev eth0",
		"-n " + name + " link set lo up",
		"-n " + name + " link set eth0 up",
		"-n " + name + " route add default via " + router,
	} {
		net.run("ip", strings.Fields(line)...)
	}
	net.hosts = append(net.hosts, host)
}

func hostName(i int) string  { return fmt.Sprintf("host%d", i) }
func cableName(i int) string { return fmt.Sprintf("cable%d", i) }

// cut stops everything between two sets of hosts, silently and at once.
func (net *network) cut(left, right []int) { net.between(left, right, "add") }

// heal lets everything between them pass again.
func (net *network) heal(left, right []int) { net.between(left, right, "del") }

func (net *network) between(left, right []int, change string) {
	net.t.Helper()
	for _, l := range left {
		for _, r := range right {
			for _, way := range [][2]int{{l, r}, {r, l}} {
				net.run("ip", "rule", change, "iif", cableName(way[0]), "to", net.hosts[way[1]], "blackhole")
			}
		}
	}
}

func (net *network) run(name string, args ...string) {
	net.t.Helper()
	run(net.t, name, args...)
}

// startClusterIn starts one node on each host of the network.
func startClusterIn(t *testing.T, net *network, flags ...string) *cluster {
	t.Helper()
	c := layOut(t, net.hosts, flags...)
	for i, n := range c.nodes {
		n.wrap = []string{"nsenter", "--net=/run/netns/" + hostName(i), "--"}
	}
	c.start()
	c.awaitReady()
	return c
}

// awaitLeaderAmong waits until one of these nodes leads them all. It shifts the
// leadership as long as another has it, by pausing that one for a while.
func (c *cluster) awaitLeaderAmong(wanted []*node) *node {
	c.t.Helper()
	var leader *node
	await(c.t, "one of the wanted nodes leads", func() error {
		leader = c.awaitLeader(c.nodes)
		for _, n := range wanted {
			if n == leader {
				return nil
			}
		}
		leader.signal(syscall.SIGSTOP)
		defer leader.signal(syscall.SIGCONT)
		for deadline := time.Now().Add(requestTimeout); time.Now().Before(deadline); time.Sleep(pollPause) {
			if _, err := c.leaderOf(c.without(leader.name)); err == nil {
				break
			}
		}
		return errors.New("node " + leader.name + " led")
	})
	return leader
}
