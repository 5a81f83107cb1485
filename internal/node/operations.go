package node

import (
	"context"
	"fmt"
	"time"

	"github.com/conclave-dev/conclave/internal/admin"
	"github.com/conclave-dev/conclave/pkg/raft"
)

// operations answers the operations port for a node.
type operations struct{ *node }

// statusTimeout bounds the wait for the loop's own word.
const statusTimeout = 2 * time.Second

// stuckAfter is when a loop that wakes up at every tick counts as stuck.
const stuckAfter = 10 * time.Second

// Status implements opsapi.Node.
func (o operations) Status() admin.Status {
	n := o.node
	s := admin.Status{
		Name: n.identity.Name, ClusterID: n.identity.ClusterID, MemberID: n.identity.Member.String(),
		Address: n.self.Address, Version: n.options.Version, State: n.stage(), Members: []admin.Member{},
		ElectionTimeoutMaxMillis: n.options.ElectionTimeoutMax.Milliseconds(),
	}
	s.Ready, s.NotReadyReason = o.Ready()
	s.LogsSetAside = n.log.SetAside()
	running := n.replicator.replica.Load()
	if running == nil {
		return s
	}
	ctx, cancel := context.WithTimeout(context.Background(), statusTimeout)
	defer cancel()
	core, err := running.Status(ctx)
	if err != nil {
		s.NotReadyReason = err.Error()
		return s
	}
	s.Role, s.Term = core.Role.String(), uint64(core.Term)
	s.CommitIndex, s.AppliedIndex = uint64(core.Committed), uint64(running.Applied())
	s.FirstIndex, s.LastIndex, s.SnapshotIndex = uint64(core.Base)+1, uint64(core.Last), uint64(core.SnapshotIndex)
	if core.Leader != raft.NoMember {
		s.LeaderID = core.Leader.String()
		member, _ := core.Membership.Member(core.Leader)
		s.Leader = member.Name
	}
	s.Space, s.Stalled, s.Faulty = core.Space.String(), core.Stalled, core.Faulty
	if core.Faulty {
		s.MissingIndex = uint64(core.Watermark.Index)
	}
	s.DisagreementIndex = uint64(core.Disagreement)
	if core.Parked != raft.ParkNone {
		s.Parked = core.Parked.String()
	}
	s.MembershipIndex, s.Joint = uint64(core.MembershipIndex), core.Membership.IsJoint()
	for _, m := range core.Membership.Members {
		s.Members = append(s.Members, memberStatus(&core, m))
	}
	s.StateHashes = n.stateHashes()
	return s
}

// memberOf tells what the membership says of one member.
func memberOf(membership *raft.Membership, m raft.Member) admin.Member {
	one := admin.Member{MemberID: m.ID.String(), Name: m.Name, Address: m.Address, Role: "Learner"}
	if membership.IsVoter(m.ID) {
		one.Role = "Voter"
	}
	return one
}

// memberStatus tells what the membership and, on a leader, the contact say of
// one member.
func memberStatus(core *raft.Status, m raft.Member) admin.Member {
	one := memberOf(&core.Membership, m)
	for _, f := range core.Followers {
		if f.ID != m.ID {
			continue
		}
		since, lag := int64(f.ContactTicks)*tick.Milliseconds(), uint64(core.Last-min(f.Match, core.Last))
		one.MatchIndex, one.SinceContactMillis = uint64(f.Match), &since
		one.Progress, one.LagEntries, one.DiskFull, one.Parked = f.State, &lag, f.DiskFull, f.Parked
		if one.Role == "Learner" {
			one.Promotable = f.Promotion == raft.ReasonNone
			if !one.Promotable {
				one.NotPromotableReason = f.Promotion.String()
			}
		}
	}
	if core.Role == raft.Leader && m.ID == core.ID {
		none := int64(0)
		one.MatchIndex, one.SinceContactMillis = uint64(core.Durable), &none
	}
	return one
}

// Alive implements opsapi.Node.
func (o operations) Alive() error {
	running := o.replicator.replica.Load()
	if running == nil {
		return nil
	}
	if since := running.SinceWakeUp(); since > stuckAfter {
		return fmt.Errorf("the replica's loop has not run for %v", since.Round(time.Millisecond))
	}
	return nil
}

// Ready implements opsapi.Node.
func (o operations) Ready() (ready bool, reason string) {
	n := o.node
	switch stage := n.stage(); {
	case stage == admin.StateStopping:
		return false, "stopping"
	case stage == admin.StateInitial:
		return false, n.bootstrap.missing()
	case stage == admin.StateAwaitingAdd && n.log.State().Faulty:
		return false, "the disk lost the log that this member had acknowledged; waiting for a leader to send it again"
	case stage == admin.StateAwaitingAdd:
		return false, "the cluster exists without this member; waiting to be added"
	case stage == admin.StateRemoved:
		return false, "this member was removed from the cluster; stop the node, and empty its data directory before it is used again"
	case n.state.Fault() != nil:
		return false, fmt.Sprintf("parked: %v", n.state.Fault())
	case n.parked() != nil:
		return false, n.parked().Error()
	case !n.ready.caughtUp.Load():
		return false, "catching up with the leader"
	}
	return true, ""
}

// LeaderKnown implements opsapi.Node.
func (o operations) LeaderKnown() bool { return o.store.LeaderKnown() }

// Probe implements opsapi.Node.
func (o operations) Probe(ctx context.Context) error { return o.replicator.ReadBarrier(ctx) }
