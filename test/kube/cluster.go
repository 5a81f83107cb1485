package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"time"
)

// Addresses are the same in every cluster, since each cluster has network namespaces of its own.
const (
	networkPrefix   = "10.99.0"   // control plane .1, node N .(10+N)
	podPrefix       = "10.244"    // pods of node N: podPrefix.N.0/24
	controlPlaneIP  = "10.99.0.1" // the API server, and the nodes' gateway
	apiAddress      = controlPlaneIP + ":6443"
	serviceRange    = "10.96.0.0/16"
	kubernetesIP    = "10.96.0.1"  // ClusterIP of the service "kubernetes": first of serviceRange
	dnsIP           = "10.96.0.10" // ClusterIP of kube-dns; files/base.yaml says the same
	clusterDomain   = "cluster.local"
	maxNodes        = 20
	stateRoot       = "/var/lib/conclave-kube" // short: the path of a Unix socket ends at 107 bytes
	stateFileName   = "cluster.json"
	toolName        = "kube"
	pauseImage      = "localhost/pause:1"
	coreDNSImage    = "localhost/coredns:1" // files/base.yaml says the same
	snapshotterName = "overlayfs"           // of containerd, for pods and for imports alike
)

// nameForm bounds a cluster's name: with "-node20" behind it, it is part of network interface names and
// socket paths, both of which are short.
var nameForm = regexp.MustCompile(`^[a-z][a-z0-9]{0,7}$`)

// settings are what `up` was told; later commands read them back from the cluster's state file.
type settings struct {
	Nodes      int           `json:"nodes"`      // how many nodes, numbered from 1
	Bin        string        `json:"bin"`        // directory of the built programs
	Runc       string        `json:"runc"`       // path of the OCI runtime
	EvictAfter time.Duration `json:"evictAfter"` // how long a pod tolerates a lost node
}

// cluster is one named cluster: it knows where everything that belongs to it is found.
type cluster struct {
	name string
	settings
}

// newCluster names a cluster that may or may not exist.
func newCluster(name string) (*cluster, error) {
	if !nameForm.MatchString(name) {
		return nil, fmt.Errorf("cluster name %q: want a lower-case letter and at most 7 more letters or digits", name)
	}
	return &cluster{name: name}, nil
}

// openCluster returns the running cluster of that name with the settings it was brought up with.
func openCluster(name string) (*cluster, error) {
	c, err := newCluster(name)
	if err != nil {
		return nil, err
	}
	data, err := os.ReadFile(c.path(stateFileName))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("no cluster named %q is up; run `up` first", name)
	}
	if err != nil {
		return nil, err
	}
	if err := json.Unmarshal(data, &c.settings); err != nil {
		return nil, fmt.Errorf("read %s: %w", c.path(stateFileName), err)
	}
	return c, nil
}

// save writes the settings to the state file, which also marks the directory as the tool's own.
func (c *cluster) save() error {
	data, err := json.MarshalIndent(c.settings, "", "  ")
	if err != nil {
		return err
	}
	return os.WriteFile(c.path(stateFileName), append(data, '\n'), 0o644)
}

// path names a file or folder of the cluster.
func (c *cluster) path(elements ...string) string {
	return filepath.Join(append([]string{stateRoot, c.name}, elements...)...)
}

func (c *cluster) kubeconfig() string   { return c.path("kubeconfig") }
func (c *cluster) tool() string         { return c.path("bin", toolName) }
func (c *cluster) log(of string) string { return c.path("log", of+".log") }

// apiMark is a file that appears when the API server answers. The nodes wait for it, which is cheaper
// than letting kubelets run into a closed port and back off.
func (c *cluster) apiMark() string { return c.path("api-up") }

// controlPlaneNetns is the network namespace of the control plane and the switch.
func (c *cluster) controlPlaneNetns() string { return c.name + "-cp" }

// controlPlaneGroup is the control group of the control plane's processes.
func (c *cluster) controlPlaneGroup() string { return filepath.Join(c.name, "cp", "sys") }

// node is one machine of a cluster.
type node struct {
	*cluster
	number int
}

// nodes lists the cluster's nodes, running or not.
func (c *cluster) nodes() []node {
	all := make([]node, c.Nodes)
	for i := range all {
		all[i] = node{c, i + 1}
	}
	return all
}

// node parses a node's number as a person types it.
func (c *cluster) node(number string) (node, error) {
	i, err := strconv.Atoi(number)
	if err != nil || i < 1 || i > c.Nodes {
		return node{}, fmt.Errorf("node %q: want a number from 1 to %d", number, c.Nodes)
	}
	return node{c, i}, nil
}

func (n node) hostname() string { return fmt.Sprintf("node%d", n.number) }
func (n node) netns() string    { return n.name + "-" + n.hostname() }
func (n node) ip() string       { return fmt.Sprintf("%s.%d", networkPrefix, 10+n.number) }
func (n node) podRange() string { return fmt.Sprintf("%s.%d.0/24", podPrefix, n.number) }

// cable is the switch's end of the node's network cable, an interface in the control plane's namespace.
func (n node) cable() string { return fmt.Sprintf("n%d", n.number) }

// file names a file or folder of the node.
func (n node) file(elements ...string) string {
	return n.path(append([]string{n.hostname()}, elements...)...)
}

// group is the node's control group; the node's own programs are in groupOfPrograms below it and the
// kubelet puts the pods beside them.
func (n node) group() string           { return filepath.Join(n.name, n.hostname()) }
func (n node) groupOfPrograms() string { return filepath.Join(n.group(), "sys") }

// logs is the folder of the node's own logs and those of its pods, /var/log on the node.
func (n node) logs() string { return n.path("log", n.hostname()) }

// containerdSocket is containerd's socket as seen from outside of the node.
func (n node) containerdSocket() string { return n.file("run", "containerd.sock") }

// poweredOn tells whether the node's containerd accepts connections.
func (n node) poweredOn() bool {
	conn, err := net.DialTimeout("unix", n.containerdSocket(), time.Second)
	if err != nil {
		return false
	}
	_ = conn.Close()
	return true
}
