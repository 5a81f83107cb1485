package controller

import (
	corev1 "k8s.io/api/core/v1"

	v1 "github.com/conclave-dev/conclave/api/v1"
	"github.com/conclave-dev/conclave/internal/controller/resources"
)

// podReady tells whether a pod serves and is meant to go on serving.
func podReady(pod *corev1.Pod) bool {
	if pod == nil || pod.DeletionTimestamp != nil {
		return false
	}
	for _, condition := range pod.Status.Conditions {
		if condition.Type == corev1.PodReady {
			return condition.Status == corev1.ConditionTrue
		}
	}
	return false
}

// nodeContainerStatus returns the state of the pod's node, nil before the kubelet
// has told any.
func nodeContainerStatus(pod *corev1.Pod) *corev1.ContainerStatus {
	for i := range pod.Status.ContainerStatuses {
		if pod.Status.ContainerStatuses[i].Name == resources.ContainerName {
			return &pod.Status.ContainerStatuses[i]
		}
	}
	return nil
}

// containerRuns tells whether the kubelet says that the pod's node runs. It says
// so of pods on nodes that are cut off, too, so false is certain and true is not.
func containerRuns(pod *corev1.Pod) bool {
	status := nodeContainerStatus(pod)
	return status != nil && status.State.Running != nil
}

// podImage is the image that a pod was asked to run.
func podImage(pod *corev1.Pod) string {
	for i := range pod.Spec.Containers {
		if pod.Spec.Containers[i].Name == resources.ContainerName {
			return pod.Spec.Containers[i].Image
		}
	}
	return ""
}

// waitingReasons maps what a kubelet says of a container that it can't start.
var waitingReasons = map[string]string{
	"ErrImagePull":               v1.ReasonImagePullFailed,
	"ImagePullBackOff":           v1.ReasonImagePullFailed,
	"InvalidImageName":           v1.ReasonImagePullFailed,
	"ErrImageNeverPull":          v1.ReasonImagePullFailed,
	"ImageInspectError":          v1.ReasonImagePullFailed,
	"RegistryUnavailable":        v1.ReasonImagePullFailed,
	"CreateContainerConfigError": v1.ReasonPodRejected,
	"CreateContainerError":       v1.ReasonPodRejected,
	"RunContainerError":          v1.ReasonPodRejected,
	"CrashLoopBackOff":           v1.ReasonCrashLooping,
}

// podTrouble says why a pod isn't ready: a reason of MembersReady and a sentence.
// Texts that change by themselves, such as back-off times, are left out, or every
// change would be another write of the status.
func podTrouble(pod *corev1.Pod) verdict {
	if status := nodeContainerStatus(pod); status != nil && status.State.Waiting != nil {
		switch reason := waitingReasons[status.State.Waiting.Reason]; reason {
		case v1.ReasonImagePullFailed:
			return verdictf(reason, "pod %s can't get its image %q (%s)", pod.Name, podImage(pod), status.State.Waiting.Reason)
		case v1.ReasonPodRejected:
			return verdictf(reason, "pod %s can't start its container (%s)", pod.Name, status.State.Waiting.Reason)
		case v1.ReasonCrashLooping:
			return verdictf(reason, "pod %s ends again and again%s", pod.Name, lastExit(status))
		}
	}
	for _, condition := range pod.Status.Conditions {
		if condition.Type == corev1.PodScheduled && condition.Status == corev1.ConditionFalse {
			return verdictf(v1.ReasonUnschedulable, "pod %s finds no node: %s", pod.Name, condition.Message)
		}
	}
	if pod.DeletionTimestamp != nil {
		return verdictf(v1.ReasonMemberNotReady, "pod %s is being stopped", pod.Name)
	}
	return verdictf(v1.ReasonMemberNotReady, "pod %s isn't ready", pod.Name)
}

func lastExit(status *corev1.ContainerStatus) string {
	if ended := status.LastTerminationState.Terminated; ended != nil {
		return verdictf("", " (last: %s, exit code %d)", ended.Reason, ended.ExitCode).Message
	}
	return ""
}
