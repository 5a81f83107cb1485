package node

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/conclave-dev/conclave/internal/discovery"
	"github.com/conclave-dev/conclave/pkg/raft"
	"github.com/conclave-dev/conclave/pkg/raft/wire"
)

// bootstrap forms a cluster, once in its life. The nodes tell each other whom
// they have met. Only when all of them report the same complete set does each
// one write it as the first configuration. A node that meets one that is further
// joins it if the configuration there names this very member, and otherwise
// waits to be added: it never forms a cluster without the others, so that disks
// which were wiped can't make an empty one.
type bootstrap struct {
	self      raft.Member
	clusterID string

	mu sync.Mutex
	// names are the nodes that form the cluster, sorted; none before they are
	// known.
	names []string
	// met holds every peer as it last presented itself, by name.
	met map[string]wire.Bootstrap
	// gone holds the IDs of members whose disks were wiped since: what they said
	// may still arrive.
	gone map[raft.MemberID]bool
	// decided is set once, and first with it when a configuration is known.
	decided bool
	first   *raft.Membership
}

func newBootstrap(self raft.Member, clusterID string) *bootstrap {
	return &bootstrap{self: self, clusterID: clusterID, met: map[string]wire.Bootstrap{}, gone: map[raft.MemberID]bool{}}
}

// knowing returns the bootstrap of a node that has a log. It only answers others:
// first is the configuration that the cluster began with, nil when the log does
// not reach back to it.
func knowing(self raft.Member, clusterID string, first *raft.Membership) *bootstrap {
	return &bootstrap{self: self, clusterID: clusterID, decided: true, first: first}
}

// present returns what this node says of itself.
func (b *bootstrap) present() wire.Bootstrap {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.presentLocked()
}

func (b *bootstrap) presentLocked() wire.Bootstrap {
	return wire.Bootstrap{
		Name: b.self.Name, MemberID: b.self.ID, Address: b.self.Address,
		ClusterID: b.clusterID, Initialized: b.decided,
		Members: b.membersLocked(), FirstMembership: b.first,
	}
}

// membersLocked returns everyone met and this node itself, sorted by name.
func (b *bootstrap) membersLocked() []raft.Member {
	members := []raft.Member{b.self}
	for _, p := range b.met {
		members = append(members, raft.Member{ID: p.MemberID, Name: p.Name, Address: p.Address})
	}
	slices.SortFunc(members, func(a, b raft.Member) int { return strings.Compare(a.Name, b.Name) })
	return members
}

// meet takes what a peer says of itself, and decides if that settles it.
func (b *bootstrap) meet(p wire.Bootstrap) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.decided || p.Name == b.self.Name || p.ClusterID != b.clusterID || !slices.Contains(b.names, p.Name) {
		return
	}
	if p.Initialized {
		b.decided = true
		if p.FirstMembership != nil {
			if _, ok := p.FirstMembership.Member(b.self.ID); ok {
				b.first = p.FirstMembership
			}
		}
		return
	}
	if b.gone[p.MemberID] {
		return
	}
	if old, ok := b.met[p.Name]; ok && old.MemberID != p.MemberID {
		b.gone[old.MemberID] = true
	}
	b.met[p.Name] = p
	b.decideLocked()
}

// expect tells which nodes form the cluster.
func (b *bootstrap) expect(peers []Peer) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, p := range peers {
		b.names = append(b.names, p.Name)
	}
	slices.Sort(b.names)
	b.decideLocked()
}

// decideLocked forms the cluster once everyone has met everyone.
func (b *bootstrap) decideLocked() {
	members := b.membersLocked()
	if len(members) != len(b.names) {
		return
	}
	for _, other := range b.met {
		if !slices.Equal(other.Members, members) {
			return
		}
	}
	first := raft.NewMembership(members...)
	b.decided, b.first = true, &first
}

// outcome returns whether it is decided, and the first configuration if this
// node is in it.
func (b *bootstrap) outcome() (*raft.Membership, bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.first, b.decided
}

// missing names what is still waited for.
func (b *bootstrap) missing() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	members := b.membersLocked()
	names := make([]string, len(members))
	for i, m := range members {
		names[i] = m.Name
	}
	if len(b.names) == 0 {
		return "looking for the nodes of the cluster"
	}
	return fmt.Sprintf("forming the cluster: %d of %d nodes have met (%s)", len(members), len(b.names), strings.Join(names, ", "))
}

// announcer tells one peer and returns what it says.
type announcer func(ctx context.Context, name, address string, b wire.Bootstrap) (wire.Bootstrap, error)

// The pauses between two rounds of announcements, and the time that one may
// take.
const (
	bootstrapPauseMin = 50 * time.Millisecond
	bootstrapPauseMax = 250 * time.Millisecond
	announceTimeout   = 2 * time.Second
)

// run announces this node to its peers until it is decided how it begins.
func (b *bootstrap) run(ctx context.Context, peers []Peer, announce announcer, failed func(Peer, error)) (*raft.Membership, error) {
	b.expect(peers)
	for {
		if first, decided := b.outcome(); decided {
			return first, nil
		}
		var round errgroup.Group
		for _, peer := range peers {
			if peer.Name != b.self.Name {
				round.Go(func() error {
					b.approach(ctx, peer, announce, failed)
					return nil
				})
			}
		}
		_ = round.Wait() // Its functions return no error.
		select {
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		case <-time.After(bootstrapPauseMin + rand.N(bootstrapPauseMax-bootstrapPauseMin)):
		}
	}
}

// approach announces this node to one peer.
func (b *bootstrap) approach(ctx context.Context, peer Peer, announce announcer, failed func(Peer, error)) {
	ctx, cancel := context.WithTimeout(ctx, announceTimeout)
	defer cancel()
	answer, err := announce(ctx, peer.Name, peer.Address, b.present())
	if err != nil {
		failed(peer, err)
		return
	}
	b.meet(answer)
}

// discover finds the peers of the initial cluster.
func discover(ctx context.Context, o *Options, progress func(discovery.Progress)) ([]Peer, error) {
	if len(o.InitialPeers) > 0 {
		return o.InitialPeers, nil
	}
	resolver, err := discovery.New(discovery.Options{
		Service: o.DiscoveryService, Name: o.Name, RetryMin: 100 * time.Millisecond, RetryMax: time.Second, Progress: progress,
	})
	if err != nil {
		return nil, err
	}
	found, err := resolver.Await(ctx, o.InitialMembers)
	if err != nil {
		return nil, err
	}
	peers := make([]Peer, len(found))
	for i, p := range found {
		peers[i] = Peer{Name: p.Name, Address: p.Address}
	}
	return peers, nil
}
