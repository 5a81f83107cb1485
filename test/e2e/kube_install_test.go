package e2e

import (
	"cmp"
	"context"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	v1 "github.com/conclave-dev/conclave/api/v1"
)

// crdName is the name of the type that the chart installs.
const crdName = "raftclusters.conclave.dev"

// prepare makes the namespaces of the story, both of which demand the restricted
// Pod Security Standard, and sees to it that nothing of it stays behind. A
// Kubernetes that knows RaftClusters already is in use by somebody, and left
// alone.
func (s *story) prepare(t *testing.T) {
	if _, err := s.crd(t.Context()); !apierrors.IsNotFound(err) {
		t.Fatalf("want a Kubernetes without %s, since the story ends with its removal; reading it: %v", crdName, err)
	}
	t.Cleanup(func() { s.cleanUp(t) })
	for _, name := range []string{operatorNamespace, storyNamespace} {
		namespace := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{
			Name: name, Labels: map[string]string{"pod-security.kubernetes.io/enforce": "restricted"},
		}}
		if err := s.client.Create(t.Context(), namespace); err != nil {
			t.Fatalf("make namespace %s: %v", name, err)
		}
	}
}

// cleanUp removes what the story made, however it ended. What is gone already is
// no error. Clusters go first: their operator should still be there.
func (s *story) cleanUp(t *testing.T) {
	ctx := context.WithoutCancel(t.Context())
	for _, command := range [][]string{
		{"kubectl", "--namespace", storyNamespace, "delete", "raftcluster", "--all", "--ignore-not-found", "--timeout=30s"},
		{"helm", "uninstall", release, "--namespace", operatorNamespace, "--ignore-not-found", "--wait"},
		{"kubectl", "delete", "crd", crdName, "--ignore-not-found", "--timeout=30s"},
		{"kubectl", "delete", "namespace", storyNamespace, operatorNamespace, "--ignore-not-found", "--timeout=60s"},
	} {
		if _, err := s.try(ctx, "", command[0], command[1:]...); err != nil && !strings.Contains(err.Error(), "the server doesn't have a resource type") {
			t.Logf("clean up: %v", err)
		}
	}
}

// crd reads the type without its schema.
func (s *story) crd(ctx context.Context) (*metav1.PartialObjectMetadata, error) {
	crd := new(metav1.PartialObjectMetadata)
	crd.SetGroupVersionKind(apiextensionsv1.SchemeGroupVersion.WithKind("CustomResourceDefinition"))
	err := s.client.Get(ctx, client.ObjectKey{Name: crdName}, crd)
	return crd, err
}

func (s *story) installChart(t *testing.T) {
	name, tag, _ := splitImage(s.image) // newStory has looked at it
	began := time.Now()
	s.run(t, "helm", "install", release, "../../charts/conclave", "--namespace", operatorNamespace,
		"--set-string", "image.repository="+name, "--set-string", "image.tag="+tag, "--wait", "--timeout", "100s")
	s.measured("chart installed, operator ready", time.Since(began))
	if _, err := s.crd(t.Context()); err != nil {
		t.Error(err)
	}
}

// testChart runs the chart's own test, which makes a cluster of one, writes and
// reads, and leaves nothing behind.
func (s *story) testChart(t *testing.T) {
	began := time.Now()
	s.run(t, "helm", "test", release, "--namespace", operatorNamespace, "--timeout", "100s")
	s.measured("helm test, in a cluster of one", time.Since(began))
	s.await(t, "the test's objects to be gone", settleTimeout, func(ctx context.Context) (bool, any) {
		left := new(v1.RaftClusterList)
		err := s.client.List(ctx, left, client.InNamespace(operatorNamespace))
		claims := new(corev1.PersistentVolumeClaimList)
		err = cmp.Or(err, s.client.List(ctx, claims, client.InNamespace(operatorNamespace)))
		return err == nil && len(left.Items)+len(claims.Items) == 0, fmt.Sprint(len(left.Items), " clusters, ", len(claims.Items), " volume claims, ", err)
	})
}

// uninstallChart ends the story: the type outlives the chart, and with it any
// cluster that somebody may still have.
func (s *story) uninstallChart(t *testing.T) {
	s.run(t, "helm", "uninstall", release, "--namespace", operatorNamespace, "--wait", "--timeout", "60s")
	s.await(t, "the operator to be gone", settleTimeout, func(ctx context.Context) (bool, any) {
		pods, err := s.operatorPods(ctx)
		return err == nil && len(pods) == 0, fmt.Sprint(len(pods), " pods, ", err)
	})
	crd, err := s.crd(t.Context())
	if err != nil || crd.DeletionTimestamp != nil {
		t.Errorf("the type went with the chart: %v", err)
	}
}

// applySample applies the first resource that a reader of the documentation
// applies.
func (s *story) applySample(t *testing.T) {
	t.Helper()
	s.kubectl(t, "apply", "--filename", "../../config/samples/raftcluster.yaml")
}

func (s *story) formCluster(t *testing.T) {
	began := time.Now()
	s.applySample(t)
	s.awaitCondition(t, sampleCluster, v1.ConditionAvailable, metav1.ConditionTrue)
	s.measured("apply -> Available", time.Since(began))
	s.awaitCondition(t, sampleCluster, v1.ConditionReady, metav1.ConditionTrue)
	s.measured("apply -> Ready, all members serve", time.Since(began))

	cluster, err := s.cluster(t.Context(), sampleCluster)
	if err != nil {
		t.Fatal(err)
	}
	if status := cluster.Status; status.Voters != 3 || status.ReadyReplicas != 3 || len(status.Members) != 3 || status.Leader == "" {
		t.Errorf("want three voters, all ready, and a leader: %+v", status)
	}
	s.checkSpread(t)
	t.Logf("\n%s", s.kubectl(t, "get", "raftcluster,statefulset,pod,persistentvolumeclaim", "--output", "wide"))
}

// checkSpread sees to it that no two members share a node where there are enough:
// a node that is lost must not take a quorum with it.
func (s *story) checkSpread(t *testing.T) {
	t.Helper()
	if !s.ownKube {
		return // who knows how many nodes there are, and how full
	}
	pods, err := s.pods(t.Context(), sampleCluster)
	if err != nil {
		t.Fatal(err)
	}
	member := make(map[string]string)
	for _, pod := range pods {
		if other := member[pod.Spec.NodeName]; other != "" {
			t.Errorf("%s and %s share %s", other, pod.Name, pod.Spec.NodeName)
		}
		member[pod.Spec.NodeName] = pod.Name
	}
}

func (s *story) useCluster(t *testing.T) {
	value, err := os.ReadFile("../../config/samples/raftcluster.yaml")
	if err != nil {
		t.Fatal(err)
	}
	s.inPod(t, "put", "put", "app", "greeting", "--value", string(value))
	if got := s.inPod(t, "get", "get", "app", "greeting"); got != string(value) {
		t.Errorf("another pod reads %q, want %q", got, value)
	}
}
