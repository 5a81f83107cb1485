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
	actionObserve = "Observe"
	actionRollOut = "RollOut"
)

// announcedConditions are the conditions whose changes are worth an event, with
// the status that is the good one.
var announcedConditions = map[string]metav1.ConditionStatus{
	v1.ConditionAvailable:      metav1.ConditionTrue,
	v1.ConditionMembersReady:   metav1.ConditionTrue,
	v1.ConditionMembersUpdated: metav1.ConditionTrue,
	v1.ConditionVolumesReady:   metav1.ConditionTrue,
	v1.ConditionStalled:        metav1.ConditionFalse,
}

// announce tells what has changed since the last status. It follows a status that
// was written, so each change is told once.
func (r *Reconciler) announce(cluster *v1.RaftCluster, before, after v1.RaftClusterStatus) {
	for _, now := range after.Conditions {
		good, announced := announcedConditions[now.Type]
		then := meta.FindStatusCondition(before.Conditions, now.Type)
		if !announced || then != nil && then.Status == now.Status && then.Reason == now.Reason {
			continue
		}
		if then == nil && now.Type == v1.ConditionStalled && now.Status == good {
			continue // a new resource that is not stalled is no news
		}
		severity := corev1.EventTypeNormal
		if now.Status != good && then != nil && then.Status == good {
			severity = corev1.EventTypeWarning
		}
		if now.Type == v1.ConditionStalled && now.Status != good {
			severity = corev1.EventTypeWarning
		}
		r.Events.Eventf(cluster, nil, severity, now.Reason, actionObserve, "%s is %s: %s", now.Type, now.Status, now.Message)
	}
	if after.Leader != before.Leader && after.Leader != "" {
		r.Events.Eventf(cluster, nil, corev1.EventTypeNormal, eventLeaderChanged, actionObserve, "%s leads", after.Leader)
	}
}
