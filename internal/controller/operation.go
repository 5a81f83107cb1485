package controller

import (
	"cmp"

	corev1 "k8s.io/api/core/v1"

	v1 "github.com/conclave-dev/conclave/api/v1"
	"github.com/conclave-dev/conclave/internal/admin"
)

// This file holds the steps of operations, in the order in which they are taken.
// Each gives the move at its step, or goes on to the next step when the world is
// as the step would make it.

// addPod makes room for one member more. A claim that an earlier member has left
// there is in the way: what is on it counts for nothing, and its node would know.
// One that was never a member's is as good as a new one.
func (p membershipPlanner) addPod(op v1.Operation, ordinal int32) move {
	op.Step = v1.StepAddPod
	if p.id.members > ordinal {
		return p.join(op)
	}
	if p.id.members != ordinal {
		return p.begin() // pods are added from the lowest number
	}
	claim := p.o.claimOf(op.Target)
	_, known := p.member(op.Target)
	switch {
	case claim == nil || known:
	case claim.DeletionTimestamp != nil:
		return p.wait(op, "%s waits until the earlier volume claim %s is gone", op.Target, claim.Name)
	case wasMembers(claim): // an operation was given up before it came to the claim
		return p.deleteClaim(p.operation(v1.OperationScaleIn, op.Target))
	case isLeftOver(claim):
		blocked := p.wait(op, "volume claim %s of a member that was removed is in the way of a new %s: delete the claim", claim.Name, op.Target)
		blocked.Reason, blocked.stalled, blocked.operation = v1.ReasonVolumeRetained, true, nil
		return blocked
	}
	return p.do(op, Resize{ordinal + 1}, "adding the pod of %s", op.Target)
}

// join makes the node of a pod a member: first a learner, and a voter once it has
// caught up.
func (p membershipPlanner) join(op v1.Operation) move {
	if _, ok := p.lost(op.Target); ok {
		return p.begin()
	}
	status, waits := p.newcomer(op.Target)
	member, known := p.member(op.Target)
	switch {
	case known && member.Role == roleVoter:
		return p.begin() // done
	case known:
		return p.promote(op, member)
	case waits && isGoing(p.o.claimOf(op.Target)):
		return p.deleteClaim(p.operation(v1.OperationReplace, op.Target)) // it would lose that volume
	case waits:
		op = p.withUIDs(op)
		op.Step, op.TargetMemberID = v1.StepAddLearner, status.MemberID
		newMember := admin.NewMember{MemberID: status.MemberID, Name: status.Name, Address: status.Address}
		return p.do(op, p.change(admin.AddLearner, newMember), "adding %s as a learner", op.Target)
	case status != nil && status.State == admin.StateRemoved && p.o.Pods[op.Target] != nil:
		op = p.operation(v1.OperationReplace, op.Target)
		return p.deleteClaim(op) // a removed member never comes back
	}
	op.Step, op.TargetMemberID, op.PodUID, op.PVCUID = v1.StepAddLearner, "", "", ""
	return p.wait(op, "waiting for %s to start with an empty volume", op.Target)
}

func (p membershipPlanner) promote(op v1.Operation, learner admin.Member) move {
	op.Step, op.TargetMemberID = v1.StepPromote, learner.MemberID
	if !learner.Promotable {
		return p.wait(op, "learner %s can't vote yet: %s", op.Target, learner.NotPromotableReason)
	}
	return p.do(op, p.change(admin.Promote, admin.NewMember{MemberID: learner.MemberID}), "giving %s a vote", op.Target)
}

// removeMember takes a member out of the Raft configuration: one ID when it is
// replaced, whoever bears the name when the cluster shrinks.
func (p membershipPlanner) removeMember(op v1.Operation, ordinal int32) move {
	var leaving admin.Member
	for _, member := range p.v.leader.Members {
		if member.Name == op.Target && (op.Type == v1.OperationScaleIn || member.MemberID == op.TargetMemberID) {
			leaving = member
			break
		}
	}
	if leaving.MemberID == "" {
		if op.Type == v1.OperationScaleIn {
			return p.removePod(op, ordinal)
		}
		return p.afterRemoval(op, ordinal)
	}
	if op.Type == v1.OperationScaleIn && ordinal < p.want {
		return p.begin() // the spec has changed its mind
	}
	if lost, ok := p.lost(op.Target); op.Type == v1.OperationReplace && (!ok || lost.MemberID != leaving.MemberID) {
		return p.begin() // it is back
	}
	op.TargetMemberID = leaving.MemberID
	if leaving.MemberID == p.v.leader.MemberID {
		return p.transfer(op)
	}
	op.Step = v1.StepRemoveMember
	if leaving.Role == roleVoter && !p.safeWithout(leaving.MemberID) {
		return p.unsafe(op, "%s stays until the others are a quorum without it", op.Target)
	}
	return p.do(op, p.change(admin.Remove, admin.NewMember{MemberID: leaving.MemberID}), "removing %s from the cluster", op.Target)
}

// transfer makes another member lead: a leader could be removed, and the others
// would need an election.
func (p membershipPlanner) transfer(op v1.Operation) move {
	op.Step = v1.StepTransferLeadership
	successor, ok := p.successor(op.TargetMemberID)
	if !ok {
		return p.unsafe(op, "%s leads, and no other voter has caught up", op.Target)
	}
	return p.do(op, TransferLeadership{p.v.leader.Name, successor.MemberID}, "handing the leadership of %s to %s", op.Target, successor.Name)
}

// removePod lets the StatefulSet delete the pod of a member that is gone.
func (p membershipPlanner) removePod(op v1.Operation, ordinal int32) move {
	op.Step = v1.StepRemovePod
	switch set := p.o.StatefulSet(); {
	case p.id.members == ordinal+1 && ordinal < p.want:
		return p.begin() // the pod is wanted again; what its volume holds isn't
	case p.id.members == ordinal+1:
		return p.do(op, Resize{ordinal}, "removing the pod of %s", op.Target)
	case p.id.members > ordinal:
		return p.begin() // pods are removed from the highest number
	case p.o.Pods[op.Target] != nil || set == nil || set.Status.ObservedGeneration != set.Generation:
		return p.wait(op, "waiting for the pod of %s to stop", op.Target)
	}
	return p.deleteClaim(p.withUIDs(op))
}

// isGoing tells whether a claim isn't there to stay.
func isGoing(claim *corev1.PersistentVolumeClaim) bool {
	return claim == nil || claim.DeletionTimestamp != nil
}

// afterRemoval prepares a pod whose member was removed for another one.
func (p membershipPlanner) afterRemoval(op v1.Operation, ordinal int32) move {
	if ordinal >= p.id.members {
		return p.begin()
	}
	if _, waits := p.newcomer(op.Target); waits {
		return p.join(op)
	}
	return p.deleteClaim(op)
}

// deleteClaim gets rid of the one volume claim that the journal names: its member
// is gone, and its pod too or about to be.
func (p membershipPlanner) deleteClaim(op v1.Operation) move {
	op.Step = v1.StepDeleteClaim
	if _, known := p.member(op.Target); known {
		return p.begin() // somebody is a member by that name: whose claim it is can't be told
	}
	claim := p.o.claimOf(op.Target)
	gone := claim == nil || string(claim.UID) != op.PVCUID
	retain := op.Type == v1.OperationScaleIn && p.o.Cluster.Spec.Storage.Retention.WhenScaled == v1.RetentionRetain
	switch {
	case op.Type == v1.OperationReplace && (gone || isGoing(claim)):
		return p.deletePod(op)
	case gone, retain && claim.Annotations[v1.AnnotationRemovedMember] != "":
		return p.begin() // done
	case claim.DeletionTimestamp != nil:
		return p.wait(op, "waiting for volume claim %s to be gone", claim.Name)
	case retain:
		return p.do(op, MarkClaim{claim.Name, op.PVCUID, cmp.Or(op.TargetMemberID, "unknown")}, "keeping volume claim %s of a member that was removed", claim.Name)
	}
	return p.do(op, DeleteClaim{claim.Name, op.PVCUID}, "deleting volume claim %s", claim.Name)
}

// deletePod makes the StatefulSet give a pod a new volume.
func (p membershipPlanner) deletePod(op v1.Operation) move {
	op.Step = v1.StepDeletePod
	_, known := p.member(op.Target)
	pod := p.o.Pods[op.Target]
	switch {
	case known, pod == nil || string(pod.UID) != op.PodUID:
		return p.join(op)
	case pod.DeletionTimestamp != nil:
		return p.wait(op, "waiting for the pod of %s to stop", op.Target)
	}
	return p.do(op, DeletePod{pod.Name, op.PodUID}, "deleting pod %s, which gets a new volume", op.Target)
}
