package discovery

import (
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"strconv"
	"strings"
	"time"
)

// PeersMax is how many records of one answer are believed. The largest cluster
// has seven nodes, so more than twice that is not our service.
const PeersMax = 16

// Peer is one node that the service publishes.
type Peer struct {
	// Name is the node's name, the first label of its host name: cfg-0.
	Name string
	// Address is name, service and port: cfg-0.cfg-peers.prod.svc:8401. It is
	// to be resolved at each dial.
	Address string
}

// Options say where to look. Only Service is required.
type Options struct {
	// Service is the name of the headless service, as the nodes can resolve it:
	// cfg-peers.prod.svc.
	Service string
	// Name is that of the node that asks: cfg-1. A StatefulSet gives its pods
	// names that differ in their number alone, so if this one ends in one, Await
	// takes only such names for peers, with the numbers that the cluster begins
	// with: whoever labels a pod like the service's own gets it published beside
	// them. Default: whoever the service publishes.
	Name string
	// PortName is the name of the port for peers in the service; default "peer".
	PortName string
	// DNS asks the name servers; default net.DefaultResolver.
	DNS *net.Resolver
	// LookupTimeout limits one lookup, whatever number of name servers it asks;
	// default 5 s.
	LookupTimeout time.Duration
	// RetryMin and RetryMax bound the pause of Await between two lookups, which
	// doubles from one to the other; defaults 200 ms and 5 s.
	RetryMin, RetryMax time.Duration
	// Progress, if set, is called by Await after each lookup that did not find
	// enough peers, in the goroutine of Await's caller.
	Progress func(Progress)
}

// Validate reports the first option that can't be used.
func (o Options) Validate() error {
	switch {
	case o.Service == "":
		return errors.New("discovery: the name of the service is missing")
	case strings.Trim(o.Service, ".") != o.Service:
		return fmt.Errorf("discovery: service %q: want a name without a dot at either end", o.Service)
	case o.LookupTimeout < 0 || o.RetryMin < 0 || o.RetryMax < 0:
		return errors.New("discovery: a duration is negative")
	case o.withDefaults().RetryMin > o.withDefaults().RetryMax:
		return fmt.Errorf("discovery: the shortest pause, %v, is longer than the longest, %v",
			o.withDefaults().RetryMin, o.withDefaults().RetryMax)
	}
	return nil
}

// withDefaults fills in what was left out.
func (o Options) withDefaults() Options {
	if o.PortName == "" {
		o.PortName = "peer"
	}
	if o.DNS == nil {
		o.DNS = net.DefaultResolver
	}
	if o.LookupTimeout == 0 {
		o.LookupTimeout = 5 * time.Second
	}
	if o.RetryMin == 0 {
		o.RetryMin = 200 * time.Millisecond
	}
	if o.RetryMax == 0 {
		o.RetryMax = 5 * time.Second
	}
	return o
}

// A Resolver finds the peers of one service. It is safe for concurrent use.
type Resolver struct {
	options Options
}

// New returns a Resolver, or the error of Options.Validate.
func New(o Options) (*Resolver, error) {
	if err := o.Validate(); err != nil {
		return nil, err
	}
	return &Resolver{options: o.withDefaults()}, nil
}

// Peers asks once for the peers that the service publishes now, sorted by name
// and each of them once. An answer that can't be right as a whole is an error, and
// so is one without records.
func (r *Resolver) Peers(ctx context.Context) ([]Peer, error) {
	ctx, cancel := context.WithTimeout(ctx, r.options.LookupTimeout)
	defer cancel()
	_, records, err := r.options.DNS.LookupSRV(ctx, r.options.PortName, "tcp", r.options.Service)
	if err != nil {
		return nil, fmt.Errorf("discovery: look up %s: %w", r.record(), err)
	}
	peers, err := r.read(records)
	if err != nil {
		return nil, fmt.Errorf("discovery: answer to %s: %w", r.record(), err)
	}
	return peers, nil
}

// record describes what is looked up, for errors.
func (r *Resolver) record() string {
	return fmt.Sprintf("SRV _%s._tcp.%s", r.options.PortName, r.options.Service)
}

// read turns the records of one answer into peers.
func (r *Resolver) read(records []*net.SRV) ([]Peer, error) {
	if len(records) == 0 {
		return nil, errors.New("it has no records")
	}
	if len(records) > PeersMax {
		return nil, fmt.Errorf("it has %d records, and at most %d are believed", len(records), PeersMax)
	}
	peers := make([]Peer, 0, len(records))
	for _, record := range records {
		peer, err := r.peer(record)
		if err != nil {
			return nil, err
		}
		peers = append(peers, peer)
	}
	slices.SortFunc(peers, func(a, b Peer) int {
		return strings.Compare(a.Name+" "+a.Address, b.Name+" "+b.Address)
	})
	peers = slices.Compact(peers)
	for i := 1; i < len(peers); i++ {
		if peers[i].Name == peers[i-1].Name {
			return nil, fmt.Errorf("it gives %s two ports: %s and %s", peers[i].Name, peers[i-1].Address, peers[i].Address)
		}
	}
	return peers, nil
}

// peer reads one record. The target is the pod's full name,
// cfg-0.cfg-peers.prod.svc.cluster.local.; a target elsewhere would make an
// address that nobody published.
func (r *Resolver) peer(record *net.SRV) (Peer, error) {
	target := strings.ToLower(strings.TrimSuffix(record.Target, "."))
	name, parent, _ := strings.Cut(target, ".")
	service := strings.ToLower(r.options.Service)
	if name == "" || parent != service && !strings.HasPrefix(parent, service+".") {
		return Peer{}, fmt.Errorf("its target %q is not a name directly below %s", record.Target, r.options.Service)
	}
	if record.Port == 0 {
		return Peer{}, fmt.Errorf("it gives %s port 0", record.Target)
	}
	host := name + "." + r.options.Service
	return Peer{Name: name, Address: net.JoinHostPort(host, strconv.Itoa(int(record.Port)))}, nil
}
