package node

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	"github.com/conclave-dev/conclave/internal/admin"
	"github.com/conclave-dev/conclave/pkg/raft"
	"github.com/conclave-dev/conclave/pkg/raft/replica"
	"github.com/conclave-dev/conclave/pkg/raft/wire"
)

// removal knows whether this member was removed from the cluster. One that was
// there sees its removal in its own log. One that was away then still finds
// itself in its log and hears from nobody, so it asks the others.
type removal struct {
	// member is set once a configuration held this member.
	member atomic.Bool
	// told is set while the others say that theirs doesn't.
	told atomic.Bool
}

const (
	// removalLook is the time between two looks, and removalPatience how long a
	// member goes without a leader before it asks the others. An election is
	// over long before.
	removalLook     = 500 * time.Millisecond
	removalPatience = 3 * time.Second
)

// sawMembership takes each configuration that was applied.
func (n *node) sawMembership(m *raft.Membership) {
	if _, ok := m.Member(n.self.ID); ok {
		n.removal.member.Store(true)
	}
}

// watchRemoval finds out whether this member was removed, until ctx ends.
func (n *node) watchRemoval(ctx context.Context, running *replica.Replica) {
	led, before := time.Now(), admin.StateRunning
	for {
		at := running.Membership()
		n.sawMembership(&at.Membership)
		if running.Leader() != raft.NoMember {
			led = time.Now()
			n.removal.told.Store(false)
		} else if time.Since(led) >= removalPatience && n.removal.member.Load() {
			n.removal.told.Store(n.othersLack(ctx, &at.Membership))
			led = time.Now()
		}
		stage := n.stage()
		if stage == admin.StateRemoved && before != stage {
			n.options.Logger.Warn("this member was removed from the cluster; it serves nobody any more", "member", n.self.ID.String())
		}
		before = stage
		select {
		case <-time.After(removalLook):
		case <-ctx.Done():
			return
		}
	}
}

// othersLack asks all other members for their membership, and tells whether this
// member is in none of those that they name. Only the word of those counts that
// this member knows and that are members themselves. One that lags behind may
// name an old membership; who is in any of them goes on.
func (n *node) othersLack(ctx context.Context, mine *raft.Membership) bool {
	ctx, cancel := context.WithTimeout(ctx, announceTimeout)
	defer cancel()
	var lacking, having atomic.Bool
	var asking sync.WaitGroup
	for _, m := range mine.Members {
		if m.ID == n.self.ID {
			continue
		}
		asking.Go(func() {
			answer, err := n.peers.Announce(ctx, m.Name, m.Address, n.presentation())
			if err != nil || answer.MemberID != m.ID || !lists(answer.Members, m.ID) {
				return
			}
			if lists(answer.Members, n.self.ID) {
				having.Store(true)
			} else {
				lacking.Store(true)
			}
		})
	}
	asking.Wait()
	return lacking.Load() && !having.Load()
}

func lists(members []raft.Member, id raft.MemberID) bool {
	for _, m := range members {
		if m.ID == id {
			return true
		}
	}
	return false
}

// presentation is what this node says of itself to one that asks. Once it is
// decided how the node begins, the members are those of its active
// configuration: none while it waits to be added.
func (n *node) presentation() wire.Bootstrap {
	b := n.bootstrap.present()
	if !b.Initialized {
		return b
	}
	b.Members = nil
	if running := n.replicator.replica.Load(); running != nil {
		b.Members = running.Membership().Membership.Members
	}
	return b
}
