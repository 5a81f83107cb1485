package controller

import (
	"cmp"
	"fmt"
	"slices"

	v1 "github.com/conclave-dev/conclave/api/v1"
	"github.com/conclave-dev/conclave/internal/admin"
	"github.com/conclave-dev/conclave/internal/controller/resources"
)

// participationLagEntries is how far behind the leader's commit index a member
// may be and still count as taking part. A busy leader is always a little ahead
// of what its followers have told it.
const participationLagEntries = 1000

// Words of admin.Status.
const (
	roleLeader  = "Leader"
	roleVoter   = "Voter"
	roleLearner = "Learner"
	spaceFull   = "full"
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
	// answers is the number of nodes that answered as this cluster's, silent that
	// of those that run and didn't.
	answers, silent int
	// inTouch are the IDs of the members that the leader heard from in time and
	// that have caught up, the leader included, apart from those that can't store
	// what they are sent or know themselves to lack something.
	inTouch map[string]bool
}

// look adds up the members' answers. An answer from a node of another cluster
// counts for nothing.
func look(o *Observed, clusterID string) view {
	var v view
	var followedTerm uint64
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
		if !hasQuorum(status, contactLimit(o, status)) {
			v.claimant = name
		} else if v.leader == nil || status.Term > v.leader.Term {
			v.leader = status
		}
	}
	for _, pod := range o.Pods {
		if containerRuns(pod) {
			v.silent++
		}
	}
	v.silent = max(0, v.silent-v.answers)
	if v.leader != nil {
		v.inTouch = inTouch(o, v.leader, contactLimit(o, v.leader))
	}
	return v
}

// contactLimit is how many milliseconds a leader counts on a member that it
// doesn't hear from: the election timeout that it runs with. What the spec asks
// may be another one until its pod is replaced, and judging by that could keep all
// pods from being replaced. It stands in for a node that doesn't say.
func contactLimit(o *Observed, leader *admin.Status) int64 {
	if leader.ElectionTimeoutMaxMillis > 0 {
		return leader.ElectionTimeoutMaxMillis
	}
	return int64(o.Cluster.Spec.Raft.ElectionTimeoutMaxMilliseconds)
}

// couldHaveLeader tells whether the members that run and don't answer the
// operator could be a quorum by themselves: the operator may be the one that is
// cut off.
func (v view) couldHaveLeader(members int32) bool {
	return int32(v.silent) >= resources.Quorum(members)
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

func inTouch(o *Observed, leader *admin.Status, limitMillis int64) map[string]bool {
	ids := map[string]bool{}
	for _, member := range leader.Members {
		// A leader that was elected a moment ago has yet to hear from anybody.
		caughtUp := member.MemberID == leader.MemberID ||
			member.MatchIndex > 0 && member.MatchIndex+participationLagEntries >= leader.CommitIndex
		if caughtUp && heardInTime(leader, member, limitMillis) && !member.DiskFull && !hampered(o, member) {
			ids[member.MemberID] = true
		}
	}
	return ids
}

// hampered tells whether a member can't be counted on, though the leader hears from
// it: its pod is being deleted, or the member itself says that it is another one,
// isn't at work, lacks what it had acknowledged, can't write, or is parked and never
// stands for election. One that doesn't answer the operator is judged by the leader
// alone.
func hampered(o *Observed, member admin.Member) bool {
	if pod := o.Pods[member.Name]; pod != nil && pod.DeletionTimestamp != nil {
		return true // it goes on serving until its node has stopped
	}
	status := o.Reports[member.Name].Status
	return status != nil && (status.MemberID != member.MemberID || status.State != admin.StateRunning ||
		status.Faulty || status.Stalled || status.Parked != "" || status.Space == spaceFull)
}

// unclear says why the quorum can't be told from the membership that the leader
// tells, and is empty when it can.
func (v view) unclear() string {
	if v.leader == nil {
		return ""
	}
	if v.leader.Joint {
		return "the membership is being changed"
	}
	for _, member := range v.leader.Members {
		if member.Role != roleVoter && member.Role != roleLearner {
			return fmt.Sprintf("%s has the role %q, which this operator doesn't know", member.Name, member.Role)
		}
	}
	return ""
}

// unsettled says why the membership can't be relied on, and is empty when a
// leader tells a committed one.
func (v view) unsettled() string {
	switch {
	case v.leader == nil:
		return "no leader with a quorum tells who the members are"
	case v.leader.MembershipIndex > v.leader.CommitIndex:
		return "the membership is being changed"
	}
	return v.unclear()
}

// isMember and isVoter tell whether the leader counts an ID among the members,
// or the voters.
func (v view) isMember(memberID string) bool {
	return v.leader != nil && slices.ContainsFunc(v.leader.Members, func(member admin.Member) bool { return member.MemberID == memberID })
}

func (v view) isVoter(memberID string) bool {
	return slices.ContainsFunc(v.voters(), func(member admin.Member) bool { return member.MemberID == memberID })
}

// voters returns the voters as the leader tells them. While a member is being
// replaced, two of them may bear one name.
func (v view) voters() []admin.Member {
	var voters []admin.Member
	if v.leader == nil {
		return nil
	}
	for _, member := range v.leader.Members {
		if member.Role == roleVoter {
			voters = append(voters, member)
		}
	}
	return voters
}

// takesPart tells whether a member is in touch with the leader and its pod is
// ready: one on whom the quorum and the clients can count.
func (v view) takesPart(o *Observed, name string) bool {
	if v.leader == nil || !podReady(o.Pods[name]) {
		return false
	}
	return slices.ContainsFunc(v.leader.Members, func(member admin.Member) bool {
		return member.Name == name && v.inTouch[member.MemberID]
	})
}

// votersInTouch counts the voters that are in touch with the leader, leaving out
// those of one name.
func (v view) votersInTouch(without string) int32 {
	var count int32
	for _, member := range v.voters() {
		if member.Name != without && v.inTouch[member.MemberID] {
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
