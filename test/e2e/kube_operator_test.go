package e2e

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"strconv"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// operatorPods are the operator's pods, those that are going away included.
func (s *story) operatorPods(ctx context.Context) ([]corev1.Pod, error) {
	var list corev1.PodList
	err := s.client.List(ctx, &list, client.InNamespace(operatorNamespace), client.MatchingLabels{"app.kubernetes.io/name": "conclave-operator"})
	return list.Items, err
}

// operatorPod is the operator's one pod.
func (s *story) operatorPod(t *testing.T) *corev1.Pod {
	t.Helper()
	pods, err := s.operatorPods(t.Context())
	if err != nil || len(pods) != 1 {
		t.Fatalf("want one operator: %d, %v", len(pods), err)
	}
	return &pods[0]
}

// replaceOperator deletes the operator's pod and waits until the next one has
// looked at the cluster.
func (s *story) replaceOperator(t *testing.T) {
	t.Helper()
	before := s.operatorPod(t)
	s.run(t, "kubectl", "--namespace", operatorNamespace, "delete", "pod", before.Name)
	s.await(t, "another operator to look at the cluster", settleTimeout, func(ctx context.Context) (bool, any) {
		pods, err := s.operatorPods(ctx)
		if err != nil || len(pods) != 1 || pods[0].UID == before.UID || !podReady(&pods[0]) {
			return false, fmt.Sprintf("%d pods, not ready, %v", len(pods), err)
		}
		passes, err := s.operatorPasses(ctx, pods[0].Name)
		return passes > 0, fmt.Sprintf("%s has made %v passes, %v", pods[0].Name, passes, err)
	})
}

// operatorPasses is how often an operator has looked at a RaftCluster and
// finished, from its metrics.
func (s *story) operatorPasses(ctx context.Context, pod string) (float64, error) {
	metrics, err := s.clientset.CoreV1().Pods(operatorNamespace).ProxyGet("http", pod, "8080", "metrics", nil).DoRaw(ctx)
	if err != nil {
		return 0, err
	}
	var sum float64
	for lines := bufio.NewScanner(bytes.NewReader(metrics)); lines.Scan(); {
		line := lines.Text()
		if !strings.HasPrefix(line, "controller_runtime_reconcile_total{") || strings.Contains(line, `result="error"`) {
			continue
		}
		value, err := strconv.ParseFloat(line[strings.LastIndex(line, " ")+1:], 64)
		if err != nil {
			return 0, fmt.Errorf("metric %q: %w", line, err)
		}
		sum += value
	}
	return sum, nil
}

// moveOperatorFrom makes the operator run on another node than the given one, so
// that it isn't cut off together with a member: the step is about the members,
// and wants to see the status meanwhile.
func (s *story) moveOperatorFrom(t *testing.T, node string) {
	t.Helper()
	if s.operatorPod(t).Spec.NodeName != node {
		return
	}
	s.run(t, "kubectl", "cordon", node)
	t.Cleanup(func() {
		_, _ = s.try(context.WithoutCancel(t.Context()), "", "kubectl", "uncordon", node) // for a step that failed
	})
	s.replaceOperator(t)
	s.run(t, "kubectl", "uncordon", node)
	if s.operatorPod(t).Spec.NodeName == node {
		t.Fatalf("the operator came back to %s", node)
	}
}
