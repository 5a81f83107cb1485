package main

import (
	"slices"
	"strings"
	"testing"
)

func TestClusterNames(t *testing.T) {
	for _, name := range []string{"ccl", "a", "abcdefg1"} {
		if _, err := newCluster(name); err != nil {
			t.Error(err)
		}
	}
	for _, name := range []string{"", "1a", "A", "a-b", "../a", "abcdefgh9"} {
		if _, err := newCluster(name); err == nil {
			t.Errorf("%q is accepted", name)
		}
	}
}

func TestNodesDoNotCollide(t *testing.T) {
	c := &cluster{name: "abcdefgh", settings: settings{Nodes: maxNodes}}
	seen := map[string]bool{controlPlaneIP: true, c.controlPlaneNetns(): true}
	for _, n := range c.nodes() {
		for _, thing := range []string{n.hostname(), n.netns(), n.ip(), n.podRange(), n.cable(), n.group(), n.file()} {
			if seen[thing] {
				t.Errorf("%s belongs to two", thing)
			}
			seen[thing] = true
		}
		// The kernel's limits: 107 bytes for the path of a socket, 15 for the name of an interface.
		if len(n.containerdSocket()) > 107 || len(n.cable()) > 15 {
			t.Errorf("%s or %s is too long", n.containerdSocket(), n.cable())
		}
	}
}

func TestNodeNumbers(t *testing.T) {
	c := &cluster{name: "ccl", settings: settings{Nodes: 3}}
	if n, err := c.node("3"); err != nil || n.hostname() != "node3" {
		t.Errorf("3: %v, %v", n.hostname(), err)
	}
	for _, number := range []string{"", "0", "4", "-1", "node1"} {
		if _, err := c.node(number); err == nil {
			t.Errorf("%q is accepted", number)
		}
	}
}

// The first objects are applied as they stand, so they repeat constants of the program.
func TestFirstObjectsAgreeWithConstants(t *testing.T) {
	manifest, err := files.ReadFile("files/base.yaml")
	if err != nil {
		t.Fatal(err)
	}
	for _, line := range []string{"clusterIP: " + dnsIP, "image: " + coreDNSImage, clusterDomain + ":53 "} {
		if !strings.Contains(string(manifest), line) {
			t.Errorf("files/base.yaml lacks %q", line)
		}
	}
}

func TestNodeFilesAreFilledIn(t *testing.T) {
	c := &cluster{name: "ccl", settings: settings{Nodes: 3, Bin: "/cache/bin", Runc: "/usr/sbin/runc"}}
	for file, lines := range map[string][]string{
		"containerd.toml": {`root = "` + stateRoot + `/ccl/node2/root"`, `bin_dirs = ["/cache/bin/cni"]`, `BinaryName = "/usr/sbin/runc"`},
		"cni.conflist":    {`"ranges": [[{"subnet": "10.244.2.0/24"}]]`},
		"kubelet.yaml":    {"cgroupRoot: /ccl/node2\n", `clusterDNS: ["10.96.0.10"]`},
	} {
		text, err := c.nodes()[1].render(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, line := range lines {
			if !strings.Contains(string(text), line) {
				t.Errorf("%s lacks %q:\n%s", file, line, text)
			}
		}
	}
}

func TestParseHierarchies(t *testing.T) {
	const mounts = `proc /proc proc rw 0 0
tmpfs /sys/fs/cgroup tmpfs rw 0 0
cgroup /sys/fs/cgroup/cpu,cpuacct cgroup rw,cpu,cpuacct 0 0
cgroup /sys/fs/cgroup/pids cgroup rw,pids 0 0
cgroup /sys/fs/cgroup/pids cgroup rw,pids 0 0
cgroup2 /sys/fs/cgroup/unified cgroup2 rw 0 0
`
	want := []string{"/sys/fs/cgroup/cpu,cpuacct", "/sys/fs/cgroup/pids", "/sys/fs/cgroup/unified"}
	if got := parseHierarchies(mounts); !slices.Equal(got, want) {
		t.Errorf("hierarchies %v, want %v", got, want)
	}
}
