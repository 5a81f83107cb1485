package controller

import (
	"slices"
	"strings"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	v1 "github.com/conclave-dev/conclave/api/v1"
	"github.com/conclave-dev/conclave/internal/controller/resources"
)

// rollout says how far the pods are from the current pod template.
type rollout struct {
	// verdict is the condition MembersUpdated, True when done.
	verdict
	done bool
	// next is the pod to delete now, nil while none may be.
	next *corev1.Pod
}

// planRollout picks the pod that may be replaced next.
//
// Pods whose program doesn't run go first and at once: they hold nothing up, and
// a bad image could otherwise block its own repair. Then, one at a time and only
// while everything that has been replaced takes part again and the others are a
// quorum without it: members that don't take part, then followers, and the
// leader last.
func planRollout(o *Observed, id identity, v view) rollout {
	set := o.StatefulSet()
	if set == nil || set.Status.ObservedGeneration != set.Generation || set.Status.UpdateRevision == "" {
		return rollout{verdict: verdictf(v1.ReasonNotObserved, "the StatefulSet's controller has yet to see the latest pod template")}
	}
	outdated := outdatedPods(o, id, set)
	if len(outdated) == 0 {
		if missing := missingPods(o, id); len(missing) > 0 {
			return rollout{verdict: verdictf(v1.ReasonRollingOut, "waiting for the pods of %s", strings.Join(missing, ", "))}
		}
		return rollout{done: true, verdict: verdictf(v1.ReasonAllMembersUpdated, "every pod runs what the spec asks")}
	}
	for _, pod := range outdated {
		if pod.DeletionTimestamp == nil && !containerRuns(pod) {
			return rolling(pod, outdated)
		}
	}
	left := verdictf(v1.ReasonRolloutBlocked, "%d of %d pods are outdated", len(outdated), id.members)
	if blockers := rolloutBlockers(o, id, v, outdated); len(blockers) > 0 {
		left.Message += "; the next waits for " + strings.Join(blockers, ", ") + " to take part"
		if !slices.ContainsFunc(blockers, func(name string) bool { return alarming[memberTrouble(o, name).Reason] }) {
			left.Reason = v1.ReasonRollingOut
		}
		return rollout{verdict: left}
	}
	if id.members == 1 {
		return rolling(outdated[0], outdated)
	}
	if v.leader == nil {
		left.Message += "; the next waits for a leader with a quorum"
		return rollout{verdict: left}
	}
	if why := v.unclear(); why != "" {
		left.Message += "; the next waits, since " + why
		return rollout{verdict: left}
	}
	for _, pod := range restartOrder(o, v, outdated) {
		if v.votersInTouch(pod.Name) >= resources.Quorum(int32(len(v.voters()))) {
			return rolling(pod, outdated)
		}
	}
	left.Message += "; without any of them the others would be no quorum"
	return rollout{verdict: left}
}

func rolling(next *corev1.Pod, outdated []*corev1.Pod) rollout {
	return rollout{next: next, verdict: verdictf(v1.ReasonRollingOut, "outdated pods: %d; replacing %s", len(outdated), next.Name)}
}

// outdatedPods are the members' pods of an older template, by name. What bears a
// member's name and doesn't belong to the StatefulSet isn't ours to delete, and
// what is beyond the number of members the StatefulSet deletes itself.
func outdatedPods(o *Observed, id identity, set *appsv1.StatefulSet) []*corev1.Pod {
	var pods []*corev1.Pod
	for ordinal := range id.members {
		pod := o.Pods[resources.PodName(o.Cluster.Name, ordinal)]
		if pod != nil && metav1.IsControlledBy(pod, set) &&
			pod.Labels[appsv1.ControllerRevisionHashLabelKey] != set.Status.UpdateRevision {
			pods = append(pods, pod)
		}
	}
	return pods
}

func missingPods(o *Observed, id identity) []string {
	var names []string
	for ordinal := range id.members {
		if name := resources.PodName(o.Cluster.Name, ordinal); o.Pods[name] == nil {
			names = append(names, name)
		}
	}
	return names
}

// rolloutBlockers are the members that must take part before another pod goes:
// those whose pod is away or on its way, and those that have been replaced and
// don't take part yet.
func rolloutBlockers(o *Observed, id identity, v view, outdated []*corev1.Pod) []string {
	var names []string
	for ordinal := range id.members {
		name := resources.PodName(o.Cluster.Name, ordinal)
		pod := o.Pods[name]
		replaced := pod != nil && !slices.Contains(outdated, pod)
		if pod == nil || pod.DeletionTimestamp != nil || replaced && !v.takesPart(o, name) {
			names = append(names, name)
		}
	}
	return names
}

// restartOrder sorts outdated pods: members that don't take part, followers, the
// leader.
func restartOrder(o *Observed, v view, outdated []*corev1.Pod) []*corev1.Pod {
	rank := func(pod *corev1.Pod) int {
		switch {
		case pod.Name == v.leader.Name:
			return 2
		case v.takesPart(o, pod.Name):
			return 1
		default:
			return 0
		}
	}
	order := slices.Clone(outdated)
	slices.SortStableFunc(order, func(a, b *corev1.Pod) int { return rank(a) - rank(b) })
	return order
}
