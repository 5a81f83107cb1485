package controller

import (
	"errors"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	v1 "github.com/conclave-dev/conclave/api/v1"
	"github.com/conclave-dev/conclave/internal/admin"
	"github.com/conclave-dev/conclave/internal/controller/resources"
)

// messageBytesMax bounds a condition's message. An API server's refusal can quote
// a whole object.
const messageBytesMax = 1024

// conditionsOf derives all conditions from what was seen and decided.
func conditionsOf(o *Observed, plan Plan) []metav1.Condition {
	keep := func(now metav1.Condition) metav1.Condition { return now }
	if isMomentary(o, plan) {
		keep = func(now metav1.Condition) metav1.Condition { return steady(o, now) }
	}
	available := keep(available(o, plan))
	ready := condition(v1.ConditionMembersReady, membersReady(o, plan.identity), v1.ReasonAllMembersReady)
	updated := condition(v1.ConditionMembersUpdated, plan.rollout.verdict, v1.ReasonAllMembersUpdated)
	if updated.Reason == "" { // the plan ended before it came to the pods
		updated = condition(v1.ConditionMembersUpdated, verdictf(v1.ReasonNotObserved, "the pods were not looked at"), v1.ReasonAllMembersUpdated)
	}
	if updated.Reason == v1.ReasonNotObserved {
		updated.Status = metav1.ConditionUnknown
	}
	stalled, stable := stalledCondition(plan), keep(membershipStable(plan))
	conditions := []metav1.Condition{
		summary(stalled, available, ready, updated, stable),
		available,
		ready,
		updated,
		stable,
		condition(v1.ConditionVolumesReady, volumesReady(o, plan.identity), v1.ReasonAllVolumesBound),
		keep(quorumAtRisk(o, plan)),
		keep(reconcilingCondition(plan)),
		stalled,
		pausedCondition(o),
	}
	for i := range conditions {
		conditions[i].ObservedGeneration = o.Cluster.Generation
		conditions[i].Message = strings.ToValidUTF8(conditions[i].Message[:min(len(conditions[i].Message), messageBytesMax)], "")
	}
	return conditions
}

// condition is True when the verdict's reason is the good one.
func condition(kind string, told verdict, good string) metav1.Condition {
	return withStatus(kind, told, truth(told.Reason == good))
}

func withStatus(kind string, told verdict, status metav1.ConditionStatus) metav1.Condition {
	return metav1.Condition{Type: kind, Status: status, Reason: told.Reason, Message: told.Message}
}

func truth(is bool) metav1.ConditionStatus {
	if is {
		return metav1.ConditionTrue
	}
	return metav1.ConditionFalse
}

// summary is Ready: not stalled, and all parts True. The first part that isn't
// gives the reason.
func summary(stalled metav1.Condition, parts ...metav1.Condition) metav1.Condition {
	if stalled.Status == metav1.ConditionTrue {
		return withStatus(v1.ConditionReady, verdict{stalled.Reason, stalled.Message}, metav1.ConditionFalse)
	}
	for _, part := range parts {
		if part.Status != metav1.ConditionTrue {
			return withStatus(v1.ConditionReady, verdict{part.Reason, part.Message}, part.Status)
		}
	}
	return withStatus(v1.ConditionReady, verdictf(v1.ReasonAllGood, "the cluster is as the spec asks"), metav1.ConditionTrue)
}

// available judges by the members' own words: see [v1.ConditionAvailable].
func available(o *Observed, plan Plan) metav1.Condition {
	told := func(status metav1.ConditionStatus, reason, format string, args ...any) metav1.Condition {
		return withStatus(v1.ConditionAvailable, verdictf(reason, format, args...), status)
	}
	running := slices.ContainsFunc(sortedNames(o.Pods), func(name string) bool { return containerRuns(o.Pods[name]) })
	switch v := plan.view; {
	case v.leader != nil:
		return told(metav1.ConditionTrue, v1.ReasonLeaderHasQuorum, "%s leads with a quorum", v.leader.Name)
	case !plan.identity.bootstrapped:
		return told(metav1.ConditionFalse, v1.ReasonBootstrapping, "no leader of the cluster has been seen yet%s", refusal(o))
	case !running:
		return told(metav1.ConditionFalse, v1.ReasonNoMemberRuns, "no pod of the cluster is running")
	case v.followed != "" && v.followed != v.claimant:
		return told(metav1.ConditionUnknown, v1.ReasonLeaderUnreachable,
			"members follow %s, which doesn't answer the operator as their leader%s", v.followed, refusal(o))
	case v.couldHaveLeader(plan.identity.members):
		return told(metav1.ConditionUnknown, v1.ReasonMembersUnreachable,
			"%d pods run and don't answer the operator; they may have a leader%s", v.silent, refusal(o))
	case v.claimant != "":
		return told(metav1.ConditionFalse, v1.ReasonQuorumLost, "%s leads and has lost touch with a quorum of voters", v.claimant)
	default:
		return told(metav1.ConditionFalse, v1.ReasonNoLeader, "%d members answer and none knows a leader", v.answers)
	}
}

// refusal tells, in words to end a message with, why a member that was asked
// didn't answer, as far as that stays the same while it lasts.
func refusal(o *Observed) string {
	for _, name := range sortedNames(o.Reports) {
		var problem *admin.Problem
		var missing errNoToken
		switch err := o.Reports[name].Err; {
		case errors.As(err, &missing):
			return ": " + missing.Error()
		case errors.As(err, &problem):
			return ": " + verdictf("", "%s refuses the operator: %s (%s)", name, problem.Title, problem.Code).Message
		}
	}
	return ""
}

// troubleOrder is the order in which reasons of MembersReady matter.
var troubleOrder = []string{
	v1.ReasonImagePullFailed, v1.ReasonPodRejected, v1.ReasonCrashLooping, v1.ReasonUnschedulable,
	v1.ReasonAwaitingAdd, v1.ReasonMemberRemoved, v1.ReasonPodMissing, v1.ReasonMemberNotReady,
}

// membersReady gives the reason that matters most and all members' troubles.
func membersReady(o *Observed, id identity) verdict {
	var worst string
	var messages []string
	for ordinal := range id.members {
		name := resources.PodName(o.Cluster.Name, ordinal)
		trouble := memberTrouble(o, name)
		if trouble.Reason == "" {
			continue
		}
		messages = append(messages, trouble.Message)
		if worst == "" || slices.Index(troubleOrder, trouble.Reason) < slices.Index(troubleOrder, worst) {
			worst = trouble.Reason
		}
	}
	if worst == "" {
		return verdictf(v1.ReasonAllMembersReady, "the pods of all %d members are ready", id.members)
	}
	return verdict{worst, strings.Join(messages, "; ")}
}

// memberTrouble says why a member isn't ready, with no reason when it is.
func memberTrouble(o *Observed, name string) verdict {
	pod := o.Pods[name]
	status := o.Reports[name].Status
	switch {
	case pod == nil:
		return verdictf(v1.ReasonPodMissing, "%s has no pod", name)
	case podReady(pod):
		return verdict{}
	}
	trouble := podTrouble(pod)
	if trouble.Reason != v1.ReasonMemberNotReady || status == nil {
		return trouble
	}
	switch {
	case o.isTarget(name) && (status.State == admin.StateAwaitingAdd || status.State == admin.StateRemoved):
		return verdictf(v1.ReasonMemberNotReady, "%s is being added or removed", name)
	// A faulty member may wait with an empty log, too, and was never a newcomer.
	case status.State == admin.StateAwaitingAdd && !status.Faulty:
		return verdictf(v1.ReasonAwaitingAdd, "%s has an empty volume and waits to be added to the cluster", name)
	case status.State == admin.StateRemoved:
		return verdictf(v1.ReasonMemberRemoved, "%s was removed from the cluster and takes no part in it", name)
	case !slices.Contains(knownStates, status.State):
		trouble.Message += verdictf("", ": it is in the state %q, which this operator doesn't know", status.State).Message
	}
	if status.NotReadyReason != "" {
		trouble.Message += ": " + status.NotReadyReason
	}
	return trouble
}

// knownStates are the stages of a member's life that this operator has heard of.
var knownStates = []admin.State{
	admin.StateInitial, admin.StateAwaitingAdd, admin.StateRunning, admin.StateRemoved, admin.StateStopping,
}

func volumesReady(o *Observed, id identity) verdict {
	var pending, missing, lost []string
	for ordinal := range id.members {
		name := resources.ClaimName(o.Cluster.Name, ordinal)
		switch claim := o.Claims[name]; {
		case claim == nil:
			missing = append(missing, name)
		case claim.Status.Phase == corev1.ClaimLost:
			lost = append(lost, name)
		case claim.Status.Phase != corev1.ClaimBound:
			pending = append(pending, name)
		}
	}
	switch {
	case len(lost) > 0:
		return verdictf(v1.ReasonVolumeLost, "the volume is gone of claim %s", strings.Join(lost, ", "))
	case len(missing) > 0:
		return verdictf(v1.ReasonVolumeMissing, "there is no claim %s", strings.Join(missing, ", "))
	case len(pending) > 0:
		return verdictf(v1.ReasonVolumePending, "no volume yet for claim %s%s", strings.Join(pending, ", "), className(o.Cluster))
	}
	return verdictf(v1.ReasonAllVolumesBound, "all %d volume claims are bound", id.members)
}

func className(cluster *v1.RaftCluster) string {
	if class := cluster.Spec.Storage.StorageClassName; class != nil {
		return " of StorageClass \"" + *class + "\""
	}
	return " of the default StorageClass"
}

func quorumAtRisk(o *Observed, plan Plan) metav1.Condition {
	told := func(status metav1.ConditionStatus, reason, format string, args ...any) metav1.Condition {
		return withStatus(v1.ConditionQuorumAtRisk, verdictf(reason, format, args...), status)
	}
	if plan.view.leader == nil {
		if available(o, plan).Status == metav1.ConditionFalse {
			return told(metav1.ConditionTrue, v1.ReasonNoQuorum, "there is no leader with a quorum")
		}
		return told(metav1.ConditionUnknown, v1.ReasonVotersUnknown, "no leader tells how its voters are")
	}
	voters, inTouch := plan.view.voters(), plan.view.votersInTouch("")
	spare := inTouch - resources.Quorum(int32(len(voters)))
	switch {
	case len(voters) == 1:
		return told(metav1.ConditionTrue, v1.ReasonSingleVoter, "a cluster of one voter can't lose any")
	case spare <= 0:
		return told(metav1.ConditionTrue, v1.ReasonOneLossStopsWrites, "the leader can count on %d of %d voters; one fewer stops writes", inTouch, len(voters))
	default:
		return told(metav1.ConditionFalse, v1.ReasonLossTolerated, "the leader can count on %d of %d voters; %d may be lost", inTouch, len(voters), spare)
	}
}

func membershipStable(plan Plan) metav1.Condition {
	told := plan.move.verdict
	if told.Reason == "" { // the plan ended before it came to the members
		told = verdictf(v1.ReasonMembershipUnknown, "the members were not looked at")
	}
	stable := condition(v1.ConditionMembershipStable, told, v1.ReasonMembershipComplete)
	if told.Reason == v1.ReasonMembershipUnknown {
		stable.Status = metav1.ConditionUnknown
	}
	return stable
}

func stalledCondition(plan Plan) metav1.Condition {
	if plan.Stalled {
		return withStatus(v1.ConditionStalled, plan.Why, metav1.ConditionTrue)
	}
	return withStatus(v1.ConditionStalled, verdictf(v1.ReasonNotStalled, "the operator can go on"), metav1.ConditionFalse)
}

func reconcilingCondition(plan Plan) metav1.Condition {
	busy := !plan.Stalled && !plan.Settled && plan.Why.Reason != v1.ReasonPausedBySpec
	return withStatus(v1.ConditionReconciling, plan.Why, truth(busy))
}

func pausedCondition(o *Observed) metav1.Condition {
	if o.Cluster.Spec.ReconcilePolicy == v1.ReconcilePaused {
		return withStatus(v1.ConditionPaused, verdictf(v1.ReasonPausedBySpec, "spec.reconcilePolicy is Paused"), metav1.ConditionTrue)
	}
	return withStatus(v1.ConditionPaused, verdictf(v1.ReasonManaged, "spec.reconcilePolicy is Managed"), metav1.ConditionFalse)
}
