package controller

import (
	"cmp"

	corev1 "k8s.io/api/core/v1"

	v1 "github.com/conclave-dev/conclave/api/v1"
	"github.com/conclave-dev/conclave/internal/admin"
	"github.com/conclave-dev/conclave/internal/controller/resources"
)

// move is what the membership needs next.
type move struct {
	// verdict is the condition MembershipStable, True when stable.
	verdict
	stable bool
	// stalled means that people have to do something first.
	stalled bool
	// operation is what the journal has to say before the step is taken, nil when
	// no operation is under way.
	operation *v1.Operation
	// step is nil when there is nothing to do but wait.
	step Step
	// leaving is the number of voters that the step removes.
	leaving int32
}

// take returns what a pass has to do: it either writes the journal or takes the
// step that the journal tells of, never both.
func (m move) take(journal *v1.Operation) Step {
	if !sameOperation(m.operation, journal) {
		return WriteOperation{m.operation}
	}
	return m.step
}

// membershipPlanner decides on the next move. Every operation can be given up
// between two steps: what it leaves behind is a state like any other, from which
// begin finds the way.
type membershipPlanner struct {
	o  *Observed
	id identity
	v  view
	// want is how many members the spec asks for.
	want int32
}

// planMembership finds the one next step of making the membership what the spec
// asks. It relies on nothing but the committed configuration, as the leader tells
// it, what the pods say of themselves, and the journal.
func planMembership(o *Observed, id identity, v view) move {
	p := membershipPlanner{o: o, id: id, v: v, want: o.Cluster.Spec.Replicas}
	operation := o.Cluster.Status.Operation
	if why := v.unsettled(); why != "" {
		return move{verdict: verdictf(v1.ReasonMembershipUnknown, "%s", why), operation: operation}
	}
	next := p.next(operation)
	if change, ok := next.step.(ChangeMembership); ok && change.Kind == admin.Remove && v.isVoter(change.Member.MemberID) {
		next.leaving = 1
	}
	return next
}

// next goes on with the operation of the journal, or begins one.
func (p membershipPlanner) next(operation *v1.Operation) move {
	if operation == nil {
		return p.begin()
	}
	op := *operation
	ordinal, ok := resources.PodOrdinal(p.o.Cluster.Name, op.Target)
	switch {
	case !ok || op.Type != v1.OperationScaleIn && ordinal >= p.want:
		return p.begin() // the spec has changed its mind
	case op.Type == v1.OperationReplace && op.Step != v1.StepRemoveMember && ordinal >= p.id.members:
		return p.begin() // there is no pod any more whose member could be replaced
	}
	if _, _, lost := p.firstLost(); lost && yieldsToLost(op) {
		return p.begin()
	}
	switch op.Step {
	case v1.StepAddPod:
		return p.addPod(op, ordinal)
	case v1.StepAddLearner, v1.StepPromote:
		return p.join(op)
	case v1.StepTransferLeadership, v1.StepRemoveMember, v1.StepRemovePod:
		// A request of long ago may have made it a member again meanwhile.
		return p.removeMember(op, ordinal)
	case v1.StepDeleteClaim:
		return p.deleteClaim(op)
	case v1.StepDeletePod:
		return p.deletePod(op)
	default:
		return move{verdict: verdictf(v1.ReasonMembershipUnknown, "the operation on %s is at the step %q, which this operator doesn't know", op.Target, op.Step),
			operation: operation, stalled: true}
	}
}

// yieldsToLost tells whether an operation makes way for the replacement of a lost
// member: one that removes a member, since without the lost one more may go, and one
// that adds a member to the others, whose pod or log may never come that far.
func yieldsToLost(op v1.Operation) bool {
	switch op.Step {
	case v1.StepRemoveMember:
		return op.Type == v1.OperationScaleIn
	case v1.StepAddPod, v1.StepAddLearner, v1.StepPromote:
		return op.Type == v1.OperationScaleOut
	default:
		return false
	}
}

// begin looks for what isn't as the spec asks. Members that are lost come first,
// since they count against every quorum; then members that have to go, those that
// are wanted, and new pods.
func (p membershipPlanner) begin() move {
	if lost, ordinal, ok := p.firstLost(); ok {
		op := p.operation(v1.OperationReplace, lost.Name)
		op.TargetMemberID = lost.MemberID
		return p.removeMember(op, ordinal)
	}
	if top := p.top(); top >= p.want {
		name := resources.PodName(p.o.Cluster.Name, top)
		return p.removeMember(p.operation(v1.OperationScaleIn, name), top)
	}
	if next, ok := p.unjoined(); ok {
		return next
	}
	if p.id.members < p.want {
		return p.addPod(p.operation(v1.OperationScaleOut, resources.PodName(p.o.Cluster.Name, p.id.members)), p.id.members)
	}
	return move{stable: true, verdict: verdictf(v1.ReasonMembershipComplete, "%d members vote", p.want)}
}

// unjoined is the move that goes on with the first pod whose member has no vote
// and should.
func (p membershipPlanner) unjoined() (move, bool) {
	for ordinal := range min(p.id.members, p.want) {
		name := resources.PodName(p.o.Cluster.Name, ordinal)
		if member, ok := p.member(name); !ok || member.Role != roleVoter {
			op := p.operation(v1.OperationReplace, name)
			op.Step, op.TargetMemberID = v1.StepAddLearner, member.MemberID
			return p.join(op), true
		}
	}
	return move{}, false
}

// top is the highest ordinal that a pod or a member has, or a volume claim that
// was left behind.
func (p membershipPlanner) top() int32 {
	top := p.id.members - 1
	for _, member := range p.v.leader.Members {
		if ordinal, ok := resources.PodOrdinal(p.o.Cluster.Name, member.Name); ok {
			top = max(top, ordinal)
		}
	}
	for name, claim := range p.o.Claims {
		if ordinal, ok := resources.ClaimOrdinal(p.o.Cluster.Name, name); ok && wasMembers(claim) {
			top = max(top, ordinal)
		}
	}
	return top
}

// wasMembers tells whether a claim may hold what a member had, and isn't kept for
// people to look at.
func wasMembers(claim *corev1.PersistentVolumeClaim) bool {
	return claim.Annotations[v1.AnnotationClusterID] != "" && !isLeftOver(claim)
}

// operation is a new one on a member, with the pod and the claim as they are.
func (p membershipPlanner) operation(kind v1.OperationType, target string) v1.Operation {
	return p.withUIDs(v1.Operation{Type: kind, Target: target})
}

// withUIDs notes the pod and the claim that are there now.
func (p membershipPlanner) withUIDs(op v1.Operation) v1.Operation {
	op.PodUID, op.PVCUID = "", ""
	if pod := p.o.Pods[op.Target]; pod != nil {
		op.PodUID = string(pod.UID)
	}
	if claim := p.o.claimOf(op.Target); claim != nil {
		op.PVCUID = string(claim.UID)
	}
	return op
}

// member returns the member of a name; of two, the one that its pod runs as or,
// failing that, the voter.
func (p membershipPlanner) member(name string) (admin.Member, bool) {
	var found admin.Member
	runs := p.o.Reports[name].Status
	for _, member := range p.v.leader.Members {
		if member.Name != name {
			continue
		}
		if runs != nil && runs.MemberID == member.MemberID {
			return member, true
		}
		if found.MemberID == "" || member.Role == roleVoter {
			found = member
		}
	}
	return found, found.MemberID != ""
}

// newcomer returns the answer of a pod whose node has an empty volume and waits
// to be added.
func (p membershipPlanner) newcomer(name string) (*admin.Status, bool) {
	status, pod := p.o.Reports[name].Status, p.o.Pods[name]
	waits := status != nil && pod != nil && pod.DeletionTimestamp == nil && status.ClusterID == p.id.clusterID &&
		status.Name == name && status.State == admin.StateAwaitingAdd && !status.Faulty && !p.v.isMember(status.MemberID)
	return status, waits
}

// lost returns a member that is gone for good: the pod of its name runs as
// another one, which has an empty volume or is a member itself, or nobody has
// heard from it for as long as the spec says.
func (p membershipPlanner) lost(name string) (admin.Member, bool) {
	status, waits := p.newcomer(name)
	replaced := waits || status != nil && status.Name == name && p.v.isMember(status.MemberID)
	for _, member := range p.v.leader.Members {
		if member.Name != name || status != nil && status.MemberID == member.MemberID {
			continue
		}
		if replaced || p.silent(member) {
			return member, true
		}
	}
	return admin.Member{}, false
}

// silent tells whether the leader, and nobody but the leader can know, has been
// without word from a member for long enough. While its pod is being deleted, its
// node may be cut off and it may be well.
func (p membershipPlanner) silent(member admin.Member) bool {
	replacement := p.o.Cluster.Spec.Recovery.MemberReplacement
	pod := p.o.Pods[member.Name]
	return replacement.Mode == v1.ReplacementAutomatic && member.MemberID != p.v.leader.MemberID &&
		member.SinceContactMillis != nil && *member.SinceContactMillis >= int64(replacement.AfterSeconds)*1000 &&
		(pod == nil || pod.DeletionTimestamp == nil)
}

// firstLost returns the lost member of the lowest ordinal.
func (p membershipPlanner) firstLost() (member admin.Member, ordinal int32, ok bool) {
	for ordinal := range int32(v1.MaxReplicas) {
		if member, ok := p.lost(resources.PodName(p.o.Cluster.Name, ordinal)); ok {
			return member, ordinal, true
		}
	}
	return admin.Member{}, 0, false
}

// wait is a move that changes nothing.
func (p membershipPlanner) wait(op v1.Operation, format string, args ...any) move {
	return move{operation: &op, verdict: verdictf(operationReasons[op.Type], format, args...)}
}

// do is a move that takes a step.
func (p membershipPlanner) do(op v1.Operation, step Step, format string, args ...any) move {
	next := p.wait(op, format, args...)
	next.step = step
	return next
}

// unsafe is a move that has to wait until more members are well. One that is to
// stay and has no vote yet may be what is missing.
func (p membershipPlanner) unsafe(op v1.Operation, format string, args ...any) move {
	if next, ok := p.unjoined(); ok && op.Type == v1.OperationScaleIn {
		return next
	}
	return move{operation: &op, verdict: verdictf(v1.ReasonRemovalUnsafe, format, args...)}
}

// operationReasons are the reasons of MembershipStable while an operation is
// under way.
var operationReasons = map[v1.OperationType]string{
	v1.OperationScaleOut: v1.ReasonScalingOut,
	v1.OperationScaleIn:  v1.ReasonScalingIn,
	v1.OperationReplace:  v1.ReasonReplacing,
}

// change is a change of the membership as it is now, and of no other.
func (p membershipPlanner) change(kind admin.ChangeKind, member admin.NewMember) ChangeMembership {
	return ChangeMembership{p.v.leader.Name, admin.Change{Kind: kind, Member: member, IfIndex: p.v.leader.MembershipIndex}}
}

// successor is the voter that is to lead instead of the one that has to go: the
// one that has most of the log among those that stay, or among all others.
func (p membershipPlanner) successor(leaving string) (admin.Member, bool) {
	best, found := admin.Member{}, false
	better := func(a, b admin.Member) bool {
		stays := func(m admin.Member) int {
			if ordinal, ok := resources.PodOrdinal(p.o.Cluster.Name, m.Name); ok && ordinal < p.want {
				return 1
			}
			return 0
		}
		return cmp.Or(cmp.Compare(stays(a), stays(b)), cmp.Compare(a.MatchIndex, b.MatchIndex), cmp.Compare(b.Name, a.Name)) > 0
	}
	for _, voter := range p.v.voters() {
		if voter.MemberID != leaving && p.v.inTouch[voter.MemberID] && (!found || better(voter, best)) {
			best, found = voter, true
		}
	}
	return best, found
}

// safeWithout tells whether the voters that the leader can count on are a quorum
// of those that are left when one goes.
func (p membershipPlanner) safeWithout(leaving string) bool {
	voters := p.v.voters()
	var healthy int32
	for _, voter := range voters {
		if voter.MemberID != leaving && p.v.inTouch[voter.MemberID] {
			healthy++
		}
	}
	return len(voters) > 1 && healthy >= resources.Quorum(int32(len(voters))-1)
}

// sameOperation tells whether the journal says what it should, whenever it was
// begun.
func sameOperation(a, b *v1.Operation) bool {
	if a == nil || b == nil {
		return a == b
	}
	x, y := *a, *b
	x.StartedTime, y.StartedTime = v1.Operation{}.StartedTime, v1.Operation{}.StartedTime
	return x == y
}

// isTarget tells whether an operation on the member is under way.
func (o *Observed) isTarget(name string) bool {
	op := o.Cluster.Status.Operation
	return op != nil && op.Target == name
}
