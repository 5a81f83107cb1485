package controller

import (
	"cmp"
	"slices"

	v1 "github.com/conclave-dev/conclave/api/v1"
	"github.com/conclave-dev/conclave/internal/admin"
	"github.com/conclave-dev/conclave/internal/controller/resources"
)

// participationLagEntries is how far behind the leader's commit index a member
// may be and still count as taking part. A busy leader is always a little ahead
// of what its followers have told it.
const participationLagEntries = 1000

// roleLeader and roleVoter are words of admin.Status.
const (
	roleLeader = "Leader"
	roleVoter  = "Voter"
)

// view is what the members' answers add up to.
type view struct {
	// leader is the answer of the leader, when one answers that heard from a
	// quorum of voters within the election timeout; of several the one with the
	// highest term.
	leader *admin.Status
	// claimant is the name of a member that calls itself leader without having
	// heard from a quorum.
	claimant string
	// followed is the name of the leader that members follow, in the highest
	// term told.
	followed string
	// answers is the number of members that answered as members of this cluster.
	answers int
	// inTouch are the names of the members that the leader heard from in time
	// and that have caught up, the leader included.
	inTouch map[string]bool
}

// look adds up the members' answers. An answer from a node of another cluster
// counts for nothing.
func look(o *Observed, clusterID string) view {
	var v view
	var followedTerm uint64
	limit := int64(o.Cluster.Spec.Raft.ElectionTimeoutMaxMilliseconds)
	for _, name := range sortedNames(o.Reports) {
		status := o.Reports[name].Status
		if status == nil || status.ClusterID != clusterID || status.Name != name {
			continue
		}
		v.answers++
		if status.Leader != "" && status.Term >= followedTerm {
			v.followed, followedTerm = status.Leader, status.Term
		}
		if status.Role != roleLeader || status.State != admin.StateRunning {
			continue
		}
		if !hasQuorum(status, limit) {
			v.claimant = name
		} else if v.leader == nil || status.Term > v.leader.Term {
			v.leader = status
		}
	}
	if v.leader != nil {
		v.inTouch = inTouch(v.leader, limit)
	}
	return v
}

// hasQuorum tells whether a leader heard from a quorum of voters in time, itself
// included.
func hasQuorum(leader *admin.Status, limitMillis int64) bool {
	var voters, heard int32
	for _, member := range leader.Members {
		if member.Role != roleVoter {
			continue
		}
		voters++
		if heardInTime(leader, member, limitMillis) {
			heard++
		}
	}
	return voters > 0 && heard >= resources.Quorum(voters)
}

func heardInTime(leader *admin.Status, member admin.Member, limitMillis int64) bool {
	if member.MemberID == leader.MemberID {
		return true
	}
	return member.SinceContactMillis != nil && *member.SinceContactMillis <= limitMillis
}

func inTouch(leader *admin.Status, limitMillis int64) map[string]bool {
	names := map[string]bool{}
	for _, member := range leader.Members {
		caughtUp := member.MemberID == leader.MemberID || member.MatchIndex+participationLagEntries >= leader.CommitIndex
		if caughtUp && heardInTime(leader, member, limitMillis) {
			names[member.Name] = true
		}
	}
	return names
}

// voters returns the names of the voters as the leader tells them.
func (v view) voters() []string {
	var names []string
	if v.leader == nil {
		return nil
	}
	for _, member := range v.leader.Members {
		if member.Role == roleVoter {
			names = append(names, member.Name)
		}
	}
	return names
}

// takesPart tells whether a member is in touch with the leader and its pod is
// ready: one on whom the quorum and the clients can count.
func (v view) takesPart(o *Observed, name string) bool {
	return v.inTouch[name] && podReady(o.Pods[name])
}

// votersInTouch counts the voters that are in touch with the leader, leaving one
// out.
func (v view) votersInTouch(without string) int32 {
	var count int32
	for _, name := range v.voters() {
		if name != without && v.inTouch[name] {
			count++
		}
	}
	return count
}

// members is the Raft configuration as the leader tells it, or, without a leader,
// as the status last had it. A member that doesn't answer keeps the version that
// it last told, and is as ready as its pod.
func (v view) members(o *Observed) []v1.MemberStatus {
	previous := o.Cluster.Status.Members
	members := slices.Clone(previous)
	if v.leader != nil {
		members = membersOf(v.leader, previous)
	}
	for i := range members {
		member := &members[i]
		member.Ready = podReady(o.Pods[member.Name])
		status := o.Reports[member.Name].Status
		if status == nil {
			continue
		}
		if status.MemberID != member.MemberID {
			member.Ready = false // the pod has lost this member's volume
			continue
		}
		member.Version = status.Version
	}
	slices.SortFunc(members, func(a, b v1.MemberStatus) int {
		return cmp.Or(cmp.Compare(a.Name, b.Name), cmp.Compare(a.MemberID, b.MemberID))
	})
	return members
}

func membersOf(leader *admin.Status, previous []v1.MemberStatus) []v1.MemberStatus {
	members := make([]v1.MemberStatus, 0, len(leader.Members))
	for _, told := range leader.Members {
		member := v1.MemberStatus{MemberID: told.MemberID, Name: told.Name, Role: v1.MemberLearner}
		if told.Role == roleVoter {
			member.Role = v1.MemberVoter
		}
		for _, before := range previous {
			if before.MemberID == member.MemberID {
				member.Version = before.Version
			}
		}
		members = append(members, member)
	}
	return members
}
