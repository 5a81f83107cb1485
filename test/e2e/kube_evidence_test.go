package e2e

import (
	"context"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
)

const (
	// evidenceTimeout bounds the gathering of evidence.
	evidenceTimeout = 30 * time.Second
	// evidenceBytes bounds what each command adds: its end, where the news is.
	evidenceBytes = 12 << 10
)

// printEvidence adds to the output what somebody needs who wants to understand
// why a step failed.
func (s *story) printEvidence(t *testing.T) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(t.Context()), evidenceTimeout)
	defer cancel()
	show := func(arguments ...string) {
		output, err := s.try(ctx, "", "kubectl", arguments...)
		if err != nil {
			output += err.Error()
		}
		if cut := len(output) - evidenceBytes; cut > 0 {
			output = "..." + output[cut:]
		}
		t.Logf("kubectl %v\n%s", arguments, output)
	}
	show("get", "nodes", "--output", "wide")
	show("--namespace", operatorNamespace, "get", "all", "--output", "wide")
	show("--namespace", storyNamespace, "get", "raftcluster,all,persistentvolumeclaim", "--output", "wide")
	show("--namespace", storyNamespace, "get", "raftcluster", "--output", "yaml")
	show("--namespace", storyNamespace, "get", "events", "--sort-by", ".lastTimestamp")
	show("--namespace", operatorNamespace, "logs", "--selector", "app.kubernetes.io/name=conclave-operator", "--tail", "80", "--prefix")
	var pods corev1.PodList
	if err := s.client.List(ctx, &pods); err != nil {
		t.Log(err)
	}
	for _, pod := range pods.Items {
		if pod.Namespace != storyNamespace {
			continue
		}
		show("--namespace", storyNamespace, "logs", pod.Name, "--tail", "60")
		if statuses := pod.Status.ContainerStatuses; len(statuses) > 0 && statuses[0].RestartCount > 0 {
			show("--namespace", storyNamespace, "logs", pod.Name, "--tail", "40", "--previous")
		}
	}
}
