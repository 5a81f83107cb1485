package node

import (
	"cmp"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"slices"
	"strings"
	"time"

	"github.com/conclave-dev/conclave/internal/discovery"
	"github.com/conclave-dev/conclave/pkg/raft"
)

// InitialState says whether a node may help to form a cluster.
type InitialState string

const (
	// InitialNew: the node looks for its peers and forms a cluster with them.
	InitialNew InitialState = "new"
	// InitialExisting: the cluster exists. A node without data waits to be
	// added to it and never forms one.
	InitialExisting InitialState = "existing"
)

// Options is all that a node is told. The zero value of a field means its
// default.
type Options struct {
	// Name is the node's name, unique in its cluster. Required.
	Name string
	// DataDir is the data directory, made when it does not exist. Required.
	DataDir string

	// ClusterID is the cluster's identity. Default: derived from ClusterName and
	// the names of the initial peers. It is fixed when the data directory is
	// formatted; a later start with another one fails.
	ClusterID string
	// ClusterName tells apart clusters whose nodes have the same names. Default
	// "conclave".
	ClusterName string
	// InitialState defaults to InitialNew. It matters only while the data
	// directory holds no log.
	InitialState InitialState
	// InitialPeers names all nodes that form the cluster, this one included,
	// with the address at which each one's Peer listener is reached. Either
	// this or DiscoveryService is required, unless the cluster exists and both
	// ClusterID and Address are given.
	InitialPeers []Peer
	// DiscoveryService is the name of a headless service whose SRV records name
	// the nodes, and InitialMembers how many of them form the cluster.
	DiscoveryService string
	InitialMembers   int

	// Address is host:port at which the other nodes reach this one's Peer
	// listener. Default: what InitialPeers says of it, or Name.DiscoveryService
	// with the port of Peer.
	Address string

	// HTTP, Peer and Ops are the addresses to listen at, host:port. Defaults
	// ":8400", ":8401" and ":8402". With ClientTLS, HTTP may be Off.
	HTTP string
	Peer string
	Ops  string
	// HTTPS is the address at which clients are served over TLS. It goes with
	// ClientTLS, and defaults to ":8443" then.
	HTTPS string
	// PeerTLS, ClientTLS and OpsTLS are directories with tls.crt, tls.key and
	// ca.crt (see package pki), which are read again when they change; {name} in them
	// stands for the node's name. Each encrypts one port: peers prove to each other,
	// by certificates made out to cluster and node, who they are; clients get HTTPS
	// beside HTTP; and the operations port speaks HTTPS alone and takes certificates
	// as credentials. Empty: no TLS.
	PeerTLS   string
	ClientTLS string
	OpsTLS    string
	// Hosts are the names by which clients may call the node, beside IP
	// addresses and localhost; one that ends in ".*" stands for all that begin
	// like it. Default: this host's name.
	Hosts []string

	// AdminTokenFile and OperatorTokenFile hold the bearer tokens for the admin
	// endpoints. Without any, those endpoints refuse everyone.
	AdminTokenFile    string
	OperatorTokenFile string

	// ElectionTimeoutMin and ElectionTimeoutMax bound the random election
	// timeout; HeartbeatInterval is at most half of the former. All are
	// multiples of 10 ms. Defaults 150 ms, 300 ms and 50 ms.
	ElectionTimeoutMin time.Duration
	ElectionTimeoutMax time.Duration
	HeartbeatInterval  time.Duration
	// SnapshotEntries is how many log entries make a snapshot worth taking.
	// Default 10000.
	SnapshotEntries int
	// DrainPeriod is how long a node that was asked to stop goes on serving,
	// not ready, while load balancers turn away. Default 0.
	DrainPeriod time.Duration

	// Version is the program's version, shown in the status.
	Version string
	// commandOf is what of an entry this node applies. Only tests set it, to make a state
	// that the log doesn't make.
	commandOf func(*raft.Entry) []byte

	// Logger takes what an operator should know. Default slog.Default().
	Logger *slog.Logger
}

// Peer is one node of the initial cluster.
type Peer struct {
	Name string
	// Address is host:port.
	Address string
}

// Off in place of an address to listen at: nothing listens.
const Off = "off"

// tick is the unit in which timeouts are counted.
const tick = 10 * time.Millisecond

func (o Options) withDefaults() Options {
	o.ClusterName = cmp.Or(o.ClusterName, "conclave")
	o.InitialState = cmp.Or(o.InitialState, InitialNew)
	o.HTTP = cmp.Or(o.HTTP, ":8400")
	o.Peer = cmp.Or(o.Peer, ":8401")
	o.Ops = cmp.Or(o.Ops, ":8402")
	if o.ClientTLS != "" {
		o.HTTPS = cmp.Or(o.HTTPS, ":8443")
	}
	o.ElectionTimeoutMin = cmp.Or(o.ElectionTimeoutMin, 150*time.Millisecond)
	o.ElectionTimeoutMax = cmp.Or(o.ElectionTimeoutMax, 300*time.Millisecond)
	o.HeartbeatInterval = cmp.Or(o.HeartbeatInterval, 50*time.Millisecond)
	o.SnapshotEntries = cmp.Or(o.SnapshotEntries, 10_000)
	if o.commandOf == nil {
		o.commandOf = commandOf
	}
	o.Version = cmp.Or(o.Version, "unknown")
	o.Logger = cmp.Or(o.Logger, slog.Default())
	return o
}

// Validate tells everything that is wrong with the options, in the words of the
// flags.
func (o Options) Validate() error {
	o = o.withDefaults()
	var errs []error
	demand := func(ok bool, format string, args ...any) {
		if !ok {
			errs = append(errs, fmt.Errorf(format, args...))
		}
	}
	demand(isName(o.Name), "name: %q is not a name of lower-case letters, digits and inner hyphens, at most 63 long", o.Name)
	demand(o.DataDir != "", "data-dir: is missing")
	demand(o.ClusterID == "" || isClusterID(o.ClusterID), "cluster-id: %q is not 32 hexadecimal digits", o.ClusterID)
	demand(len(o.ClusterName) <= 253, "cluster-name: is longer than 253 bytes")
	demand(o.InitialState == InitialNew || o.InitialState == InitialExisting,
		"initial-state: %q is neither %q nor %q", o.InitialState, InitialNew, InitialExisting)
	demand(o.Address == "" || isPeerAddress(o.Address), "address: %q is not host:port", o.Address)
	errs = append(errs, o.validatePeers()...)
	errs = append(errs, o.validateListeners()...)
	for _, t := range []struct {
		flag  string
		value time.Duration
	}{
		{"election-timeout-min", o.ElectionTimeoutMin}, {"election-timeout-max", o.ElectionTimeoutMax},
		{"heartbeat-interval", o.HeartbeatInterval},
	} {
		demand(t.value > 0 && t.value%tick == 0 && t.value <= time.Minute,
			"%s: %v is not a multiple of %v up to 1m", t.flag, t.value, tick)
	}
	demand(o.ElectionTimeoutMax > o.ElectionTimeoutMin,
		"election-timeout-max: %v is not above election-timeout-min %v", o.ElectionTimeoutMax, o.ElectionTimeoutMin)
	demand(o.ElectionTimeoutMin >= 2*o.HeartbeatInterval,
		"heartbeat-interval: %v is more than half of election-timeout-min %v", o.HeartbeatInterval, o.ElectionTimeoutMin)
	demand(o.SnapshotEntries >= 100 && o.SnapshotEntries <= 10_000_000,
		"snapshot-entries: %d is outside 100 to 10000000", o.SnapshotEntries)
	demand(o.DrainPeriod >= 0 && o.DrainPeriod <= 10*time.Minute, "drain-period: %v is outside 0 to 10m", o.DrainPeriod)
	return errors.Join(errs...)
}

// validateListeners checks where the node listens.
func (o Options) validateListeners() []error {
	var errs []error
	for _, listener := range []struct{ flag, address string }{{"http", o.HTTP}, {"https", o.HTTPS}, {"peer", o.Peer}, {"ops", o.Ops}} {
		if listener.flag == "https" && o.HTTPS == "" || listener.flag == "http" && o.HTTP == Off {
			continue
		}
		if _, _, err := net.SplitHostPort(listener.address); err != nil {
			errs = append(errs, fmt.Errorf("%s: %q is not an address to listen at, host:port", listener.flag, listener.address))
		}
	}
	if o.HTTPS != "" && o.ClientTLS == "" {
		errs = append(errs, errors.New("https: needs client-tls, a directory with a certificate"))
	}
	if o.HTTP == Off && o.ClientTLS == "" {
		errs = append(errs, errors.New("http: can be off only with client-tls, or no client gets in"))
	}
	return errs
}

// validatePeers checks who forms the cluster.
func (o Options) validatePeers() []error {
	var errs []error
	switch exists := o.InitialState == InitialExisting; {
	case len(o.InitialPeers) > 0 && o.DiscoveryService != "", !exists && len(o.InitialPeers) == 0 && o.DiscoveryService == "":
		return []error{errors.New("initial-peers, discovery-service: exactly one of them is needed")}
	case len(o.InitialPeers) == 0 && o.DiscoveryService == "":
		if o.ClusterID == "" {
			errs = append(errs, errors.New("cluster-id: is needed to be added to a cluster whose first nodes aren't named; its nodes tell it in their status"))
		}
		if o.Address == "" {
			errs = append(errs, errors.New("address: is needed when neither initial-peers nor discovery-service tell it"))
		}
		return errs
	}
	if o.DiscoveryService != "" {
		if o.InitialMembers < 1 || o.InitialMembers > discovery.PeersMax {
			errs = append(errs, fmt.Errorf("initial-members: %d is outside 1 to %d", o.InitialMembers, discovery.PeersMax))
		}
		return errs
	}
	if o.InitialMembers != 0 && o.InitialMembers != len(o.InitialPeers) {
		errs = append(errs, fmt.Errorf("initial-members: %d, but initial-peers names %d", o.InitialMembers, len(o.InitialPeers)))
	}
	names := map[string]bool{}
	for _, p := range o.InitialPeers {
		if !isName(p.Name) {
			errs = append(errs, fmt.Errorf("initial-peers: %q is not a name", p.Name))
		}
		if names[p.Name] {
			errs = append(errs, fmt.Errorf("initial-peers: %q is named twice", p.Name))
		}
		names[p.Name] = true
		if !isPeerAddress(p.Address) {
			errs = append(errs, fmt.Errorf("initial-peers: %s: %q is not host:port", p.Name, p.Address))
		}
	}
	if !names[o.Name] && (o.InitialState != InitialExisting || o.Address == "") {
		errs = append(errs, fmt.Errorf("initial-peers: this node, %q, is not among them", o.Name))
	}
	return errs
}

// ParsePeers reads a=host:port,b=host:port.
func ParsePeers(text string) ([]Peer, error) {
	var peers []Peer
	for one := range strings.SplitSeq(text, ",") {
		name, address, ok := strings.Cut(strings.TrimSpace(one), "=")
		if !ok || name == "" || address == "" {
			return nil, fmt.Errorf("%q is not name=host:port", one)
		}
		peers = append(peers, Peer{Name: name, Address: address})
	}
	slices.SortFunc(peers, func(a, b Peer) int { return strings.Compare(a.Name, b.Name) })
	return peers, nil
}

// maxAddressBytes bounds a peer's address.
const maxAddressBytes = 255

// isPeerAddress tells whether s is host:port of another machine's listener.
func isPeerAddress(s string) bool {
	host, port, err := net.SplitHostPort(s)
	return err == nil && host != "" && port != "" && len(s) <= maxAddressBytes
}

// isName tells whether s is a DNS label.
func isName(s string) bool {
	if s == "" || len(s) > 63 || s[0] == '-' || s[len(s)-1] == '-' {
		return false
	}
	for _, c := range []byte(s) {
		if (c < 'a' || c > 'z') && (c < '0' || c > '9') && c != '-' {
			return false
		}
	}
	return true
}

func isClusterID(s string) bool {
	return len(s) == 32 && strings.Trim(s, "0123456789abcdef") == ""
}
