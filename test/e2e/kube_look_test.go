package e2e

import (
	"context"
	"encoding/json"
	"fmt"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/controller-runtime/pkg/client"

	v1 "github.com/conclave-dev/conclave/api/v1"
	conclave "github.com/conclave-dev/conclave/pkg/client"
)

// settleTimeout bounds the wait for a cluster to become what is asked. It is
// generous: the times that matter are in the figures.
const settleTimeout = 90 * time.Second

// cluster reads a RaftCluster.
func (s *story) cluster(ctx context.Context, name string) (*v1.RaftCluster, error) {
	cluster := new(v1.RaftCluster)
	err := s.client.Get(ctx, client.ObjectKey{Namespace: storyNamespace, Name: name}, cluster)
	return cluster, err
}

// awaitCondition waits until a condition of a RaftCluster's present generation
// has a status, and returns it.
func (s *story) awaitCondition(t *testing.T, name, conditionType string, status metav1.ConditionStatus) metav1.Condition {
	t.Helper()
	var found metav1.Condition
	s.await(t, fmt.Sprintf("%s of %s to be %s", conditionType, name, status), settleTimeout, func(ctx context.Context) (bool, any) {
		cluster, err := s.cluster(ctx, name)
		if err != nil {
			return false, err
		}
		condition := meta.FindStatusCondition(cluster.Status.Conditions, conditionType)
		if condition == nil {
			return false, "no such condition"
		}
		found = *condition
		return condition.Status == status && condition.ObservedGeneration == cluster.Generation, found
	})
	return found
}

// pods are a cluster's pods.
func (s *story) pods(ctx context.Context, cluster string) ([]corev1.Pod, error) {
	var list corev1.PodList
	err := s.client.List(ctx, &list, client.InNamespace(storyNamespace), client.MatchingLabels{v1.LabelCluster: cluster})
	return list.Items, err
}

// pod reads a pod that has to be there.
func (s *story) pod(t *testing.T, namespace, name string) *corev1.Pod {
	t.Helper()
	pod := new(corev1.Pod)
	if err := s.client.Get(t.Context(), client.ObjectKey{Namespace: namespace, Name: name}, pod); err != nil {
		t.Fatal(err)
	}
	return pod
}

// podReady reports whether a pod is ready and isn't going away.
func podReady(pod *corev1.Pod) bool {
	for _, condition := range pod.Status.Conditions {
		if condition.Type == corev1.PodReady {
			return condition.Status == corev1.ConditionTrue && pod.DeletionTimestamp == nil
		}
	}
	return false
}

// askMember runs the command line inside a member's pod, against that member
// alone.
func (s *story) askMember(ctx context.Context, pod string, args ...string) (string, error) {
	command := []string{"--namespace", storyNamespace, "exec", pod, "--container", "node", "--", "/conclave"}
	return s.try(ctx, "", "kubectl", append(command, args...)...)
}

// memberStatus is the cluster as one member sees it.
func (s *story) memberStatus(ctx context.Context, pod string) (*conclave.Cluster, error) {
	output, err := s.askMember(ctx, pod, "status", "--output", "json")
	if err != nil {
		return nil, err
	}
	status := new(conclave.Cluster)
	if err := json.Unmarshal([]byte(output), status); err != nil {
		return nil, fmt.Errorf("%s: status: %w", pod, err)
	}
	return status, nil
}

// awaitLeader waits until a member names a leader other than the one given, and
// returns it.
func (s *story) awaitLeader(t *testing.T, asked, otherThan string) string {
	t.Helper()
	leader := ""
	s.await(t, "a leader", settleTimeout, func(ctx context.Context) (bool, any) {
		status, err := s.memberStatus(ctx, asked)
		if err != nil {
			return false, err
		}
		leader = status.Leader
		return leader != "" && leader != otherThan, fmt.Sprintf("%s follows %q in term %d", asked, leader, status.Term)
	})
	return leader
}

// kinds are those of all objects that a cluster owns, and of its volume claims.
var (
	ownedKinds = []schema.GroupVersionKind{
		{Group: "apps", Version: "v1", Kind: "StatefulSet"},
		{Version: "v1", Kind: "Pod"},
		{Version: "v1", Kind: "Service"},
		{Version: "v1", Kind: "ConfigMap"},
		{Version: "v1", Kind: "Secret"},
		{Version: "v1", Kind: "ServiceAccount"},
		{Group: "policy", Version: "v1", Kind: "PodDisruptionBudget"},
	}
	claimKind = schema.GroupVersionKind{Version: "v1", Kind: "PersistentVolumeClaim"}
)

// objects lists a cluster's objects of some kinds.
func (s *story) objects(ctx context.Context, cluster string, kinds ...schema.GroupVersionKind) ([]metav1.PartialObjectMetadata, error) {
	var objects []metav1.PartialObjectMetadata
	for _, kind := range kinds {
		list := new(metav1.PartialObjectMetadataList)
		list.SetGroupVersionKind(kind)
		err := s.client.List(ctx, list, client.InNamespace(storyNamespace), client.MatchingLabels{v1.LabelCluster: cluster})
		if err != nil {
			return nil, fmt.Errorf("list %s: %w", kind.Kind, err)
		}
		for _, object := range list.Items {
			object.SetGroupVersionKind(kind) // a list leaves it out
			objects = append(objects, object)
		}
	}
	return objects, nil
}

// awaitGone waits until nothing of some kinds is left of a cluster.
func (s *story) awaitGone(t *testing.T, cluster string, kinds ...schema.GroupVersionKind) {
	t.Helper()
	s.await(t, "the objects of "+cluster+" to be gone", settleTimeout, func(ctx context.Context) (bool, any) {
		objects, err := s.objects(ctx, cluster, kinds...)
		if err != nil {
			return false, err
		}
		var left []string
		for _, object := range objects {
			left = append(left, object.Kind+"/"+object.Name)
		}
		return len(left) == 0, left
	})
}
