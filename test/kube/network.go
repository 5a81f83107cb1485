package main

import (
	"context"
	"net"
)

// The network of a cluster, here with two nodes:
//
//	namespace NAME-cp                       br0 10.99.0.1/24
//	                                       n1 |          | n2          the cables, veth pairs
//	namespace NAME-node1, NAME-node2    eth0 10.99.0.11   eth0 10.99.0.12
//	namespaces of the pods                10.244.1.0/24    10.244.2.0/24
//
// Every namespace routes a node's pod range by way of that node. Nothing is masqueraded, so pods see
// each other's true addresses, and a cut cable is silence, not a refused connection.

// makeSwitch makes the control plane's namespace with the switch in it. The default route leads
// nowhere; it is there because Kubernetes programs look for one to learn their own address.
func (c *cluster) makeSwitch(ctx context.Context) error {
	if err := addNetns(ctx, c.controlPlaneNetns()); err != nil {
		return err
	}
	return ip(ctx, c.controlPlaneNetns(),
		"link add br0 type bridge",
		"addr add "+controlPlaneIP+"/24 dev br0",
		"link set br0 up",
		"route add default dev br0")
}

// connect makes the node's namespace, its cable to the switch and its routes.
func (n node) connect(ctx context.Context) error {
	if err := addNetns(ctx, n.netns()); err != nil {
		return err
	}
	if err := ip(ctx, n.controlPlaneNetns(),
		"link add "+n.cable()+" type veth peer name eth0 netns "+n.netns(),
		"link set "+n.cable()+" master br0 up",
		"route add "+n.podRange()+" via "+n.ip()); err != nil {
		return err
	}
	commands := []string{
		"addr add " + n.ip() + "/24 dev eth0",
		"link set eth0 up",
		"route add default via " + controlPlaneIP,
	}
	for _, other := range n.nodes() {
		if other.number != n.number {
			commands = append(commands, "route add "+other.podRange()+" via "+other.ip())
		}
	}
	return ip(ctx, n.netns(), commands...)
}

// cut pulls the node's cable, so that nothing reaches it and nothing leaves it.
func (n node) cut(ctx context.Context) error {
	return ip(ctx, n.controlPlaneNetns(), "link set "+n.cable()+" down")
}

// heal plugs the cable in again.
func (n node) heal(ctx context.Context) error {
	return ip(ctx, n.controlPlaneNetns(), "link set "+n.cable()+" up")
}

// part keeps two nodes, and the pods on them, from reaching each other; both still reach everyone else.
func (n node) part(ctx context.Context, other node) error {
	for _, pair := range [][2]node{{n, other}, {other, n}} {
		from, to := pair[0], pair[1]
		if err := ip(ctx, from.netns(),
			"route replace blackhole "+to.podRange(),
			"route replace blackhole "+to.ip()); err != nil {
			return err
		}
	}
	return nil
}

// join undoes part. It may be repeated, hence `replace` first, which makes sure there is a route to
// delete.
func (n node) join(ctx context.Context, other node) error {
	for _, pair := range [][2]node{{n, other}, {other, n}} {
		from, to := pair[0], pair[1]
		if err := ip(ctx, from.netns(),
			"route replace blackhole "+to.ip(),
			"route delete blackhole "+to.ip(),
			"route replace "+to.podRange()+" via "+to.ip()); err != nil {
			return err
		}
	}
	return nil
}

// dropPodCables removes the interfaces that led to the pods of a node that has lost its power.
func (n node) dropPodCables(ctx context.Context) error {
	var links []net.Interface
	if err := inNetns(n.netns(), func() (err error) {
		links, err = net.Interfaces()
		return err
	}); err != nil {
		return err
	}
	for _, link := range links {
		if link.Name == "eth0" || link.Name == "lo" {
			continue
		}
		// One that its pod's namespace takes along just now is gone already: not an error.
		if err := ip(ctx, n.netns(), "link delete "+link.Name); err != nil && n.hasLink(link.Name) {
			return err
		}
	}
	return nil
}

// hasLink tells whether the node's namespace still has an interface of that name.
func (n node) hasLink(name string) bool {
	return inNetns(n.netns(), func() error {
		_, err := net.InterfaceByName(name)
		return err
	}) == nil
}
