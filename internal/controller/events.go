package controller

import (
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	v1 "github.com/conclave-dev/conclave/api/v1"
)

// Reasons of events that aren't a condition's reason.
const (
	eventLeaderChanged = "LeaderChanged"
	eventRestarting    = "RestartingMember"
)

// Actions of events: what the operator was doing.
const (
	actionObserve       = "Observe"
	actionRollOut       = "RollOut"
	actionChangeMembers = "ChangeMembers"
)

// goodStatus is the status that an announced condition should have.
var goodStatus = map[string]metav1.ConditionStatus{
	v1.ConditionAvailable:        metav1.ConditionTrue,
	v1.ConditionMembersReady:     metav1.ConditionTrue,
	v1.ConditionMembersUpdated:   metav1.ConditionTrue,
	v1.ConditionVolumesReady:     metav1.ConditionTrue,
	v1.ConditionMembershipStable: metav1.ConditionTrue,
	v1.ConditionStalled:          metav1.ConditionFalse,
}

// alarming are the reasons that don't pass by themselves. Every reason of Stalled
// is one more. That a pod is missing or not ready belongs to every start and
// restart, so it is told by the conditions alone.
var alarming = map[string]bool{
	v1.ReasonNoLeader:        true,
	v1.ReasonQuorumLost:      true,
	v1.ReasonNoMemberRuns:    true,
	v1.ReasonImagePullFailed: true,
	v1.ReasonPodRejected:     true,
	v1.ReasonCrashLooping:    true,
	v1.ReasonAwaitingAdd:     true,
	v1.ReasonMemberRemoved:   true,
	v1.ReasonVolumeLost:      true,
	v1.ReasonRolloutBlocked:  true,
	v1.ReasonRemovalUnsafe:   true,
}

// announce tells what has changed since the last status. It follows a status that
// was written, so each change is told once.
func (r *Reconciler) announce(cluster *v1.RaftCluster, before, after v1.RaftClusterStatus) {
	for _, now := range after.Conditions {
		good, announced := goodStatus[now.Type]
		if !announced || !isNews(meta.FindStatusCondition(before.Conditions, now.Type), now) {
			continue
		}
		severity := corev1.EventTypeNormal
		if now.Status != good {
			severity = corev1.EventTypeWarning
		}
		r.Events.Eventf(cluster, nil, severity, now.Reason, actionObserve, "%s is %s: %s", now.Type, now.Status, now.Message)
	}
	if after.Leader != before.Leader && after.Leader != "" {
		r.Events.Eventf(cluster, nil, corev1.EventTypeNormal, eventLeaderChanged, actionObserve, "%s leads", after.Leader)
	}
}

// isNews tells whether a condition is worth an event: when it becomes alarming,
// when it is well again after that, when the cluster becomes available or
// unavailable, and when a rollout is done.
func isNews(then *metav1.Condition, now metav1.Condition) bool {
	if isAlarming(now) {
		return then == nil || then.Reason != now.Reason
	}
	if then == nil || then.Status == now.Status {
		return false
	}
	switch now.Type {
	case v1.ConditionAvailable:
		return true
	case v1.ConditionMembersUpdated:
		return now.Status == metav1.ConditionTrue && then.Status == metav1.ConditionFalse
	default:
		return isAlarming(*then) && now.Status == goodStatus[now.Type]
	}
}

func isAlarming(condition metav1.Condition) bool {
	return alarming[condition.Reason] || condition.Type == v1.ConditionStalled && condition.Status == metav1.ConditionTrue
}
