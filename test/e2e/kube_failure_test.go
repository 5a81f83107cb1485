package e2e

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	v1 "github.com/conclave-dev/conclave/api/v1"
)

// explainedPause is a pause of writes that is longer than an election should take,
// even on a busy machine. It fails nothing, but somebody should look into it.
const explainedPause = 5 * time.Second

// deleteLeaderPod deletes the leader's pod, as anyone may by accident, while a
// writer goes on.
func (s *story) deleteLeaderPod(t *testing.T) {
	s.needWriter(t)
	w := s.startWitness(t, "while-deleting", "")
	leader := s.awaitLeader(t, sampleCluster+"-0", "")
	before := s.pod(t, storyNamespace, leader).UID

	w.mark(t, "deleted")
	s.kubectl(t, "delete", "pod", leader, "--wait=false")
	began := time.Now()
	s.await(t, leader+" to be replaced and ready", settleTimeout, func(ctx context.Context) (bool, any) {
		pods, err := s.pods(ctx, sampleCluster)
		if err != nil {
			return false, err
		}
		at := slices.IndexFunc(pods, func(pod corev1.Pod) bool { return pod.Name == leader })
		return at >= 0 && pods[at].UID != before && podReady(&pods[at]), fmt.Sprintf("%d pods", len(pods))
	})
	s.measured("leader's pod deleted -> its successor ready", time.Since(began))
	s.checkSpread(t)
	s.awaitCondition(t, sampleCluster, v1.ConditionReady, metav1.ConditionTrue)
	w.awaitWrites(t, enoughWrites)

	h := w.stop(t)
	at := h.At("deleted")
	s.measured("leader's pod deleted -> writes again", h.LongestPause(at, h.At("stopped")).Length())
	s.measured("  meanwhile", h.Count(at))
}

// cutLeaderNode pulls the cable of the leader's node while a writer on another
// node goes on. It comes back and catches up.
func (s *story) cutLeaderNode(t *testing.T) {
	s.needCables(t)
	s.needWriter(t)
	leader := s.awaitLeader(t, sampleCluster+"-0", "")
	lost := s.pod(t, storyNamespace, leader).Spec.NodeName
	s.moveOperatorFrom(t, lost)
	survivor, node := s.memberElsewhere(t, lost)
	w := s.startWitness(t, "while-cut", node)
	if now := s.awaitLeader(t, survivor, ""); now != leader {
		t.Fatalf("%s leads instead of %s although nothing happened", now, leader)
	}
	number := strings.TrimPrefix(lost, "node")
	t.Cleanup(func() { _, _ = s.try(context.WithoutCancel(t.Context()), "", "kube", "heal", number) }) // for a step that failed

	w.mark(t, "cut")
	s.run(t, "kube", "cut", number)
	s.goOnWithout(t, w, leader, lost, survivor)
	w.mark(t, "healed")
	s.run(t, "kube", "heal", number)
	s.takeBack(t, leader, survivor)

	h := w.stop(t)
	cut, healed := h.At("cut"), h.At("healed")
	pause := h.LongestPause(cut, healed).Length()
	if pause > explainedPause {
		s.printEvidence(t)
	}
	s.measured("leader's node cut -> writes again", pause)
	s.measured("  meanwhile", h.Count(cut))
	s.measured("leader's node healed -> longest pause of writes", h.LongestPause(healed, h.At("stopped")).Length())
}

// goOnWithout sees the others elect a leader, write on, and the status tell so.
func (s *story) goOnWithout(t *testing.T, w *witness, leader, lost, survivor string) {
	t.Helper()
	next := s.awaitLeader(t, survivor, leader)
	w.awaitWrites(t, enoughWrites)
	t.Logf("%s on %s is cut off; %s leads", leader, lost, next)
	s.awaitNode(t, lost, corev1.ConditionUnknown)
	s.awaitCondition(t, sampleCluster, v1.ConditionQuorumAtRisk, metav1.ConditionTrue)
	s.awaitCondition(t, sampleCluster, v1.ConditionAvailable, metav1.ConditionTrue)
	if cluster, err := s.cluster(t.Context(), sampleCluster); err != nil || cluster.Status.Leader != next {
		t.Errorf("the status doesn't say that %s leads: %+v, %v", next, cluster.Status, err)
	}
	w.mark(t, "known")
	w.awaitWrites(t, enoughWrites)
}

// takeBack sees the member that was away catch up, without an election for its
// sake.
func (s *story) takeBack(t *testing.T, member, survivor string) {
	t.Helper()
	before, err := s.memberStatus(t.Context(), survivor)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.askMember(t.Context(), survivor, "put", "app", "missed", "--value", "while you were out"); err != nil {
		t.Fatal(err)
	}
	began := time.Now()
	s.await(t, member+" to catch up", settleTimeout, func(ctx context.Context) (bool, any) {
		value, err := s.askMember(ctx, member, "get", "app", "missed", "--consistency", "local")
		return value == "while you were out", fmt.Sprint(value, err)
	})
	s.measured("leader's node healed -> its member has caught up", time.Since(began))
	s.awaitCondition(t, sampleCluster, v1.ConditionReady, metav1.ConditionTrue)
	after, err := s.memberStatus(t.Context(), survivor)
	if err != nil {
		t.Fatal(err)
	}
	if after.Leader != before.Leader || after.Term != before.Term {
		t.Errorf("the return of %s made %s in term %d give way to %s in term %d",
			member, before.Leader, before.Term, after.Leader, after.Term)
	}
}

// memberElsewhere returns a member whose pod isn't on a node, and its node.
func (s *story) memberElsewhere(t *testing.T, node string) (pod, elsewhere string) {
	t.Helper()
	pods, err := s.pods(t.Context(), sampleCluster)
	if err != nil {
		t.Fatal(err)
	}
	for _, pod := range pods {
		if pod.Spec.NodeName != node {
			return pod.Name, pod.Spec.NodeName
		}
	}
	t.Fatalf("all of %d pods are on %s", len(pods), node)
	return "", ""
}

// awaitNode waits until Kubernetes says of a node that it is ready, or that it
// doesn't know.
func (s *story) awaitNode(t *testing.T, name string, ready corev1.ConditionStatus) {
	t.Helper()
	s.await(t, fmt.Sprintf("%s to have Ready=%s", name, ready), settleTimeout, func(ctx context.Context) (bool, any) {
		node, err := s.clientset.CoreV1().Nodes().Get(ctx, name, metav1.GetOptions{})
		if err != nil {
			return false, err
		}
		for _, condition := range node.Status.Conditions {
			if condition.Type == corev1.NodeReady {
				return condition.Status == ready, condition.Status
			}
		}
		return false, "no condition Ready"
	})
}

// restartOperator replaces the operator's pod. The new one finds everything as
// it should be and changes nothing.
func (s *story) restartOperator(t *testing.T) {
	before := s.fingerprints(t)
	began := time.Now()
	s.replaceOperator(t)
	s.measured("operator's pod deleted -> the next has looked at the cluster", time.Since(began))
	if after := s.fingerprints(t); maps.Equal(before, after) {
		s.measured("operator restart", fmt.Sprintf("no change in %d objects", len(after)))
	} else {
		for name, was := range before {
			if is := after[name]; is != was {
				t.Errorf("the operator's restart changed %s from %s to %s", name, was, is)
			}
		}
		for name := range after {
			if before[name] == "" {
				t.Errorf("the operator's restart made %s", name)
			}
		}
	}
}

// fingerprints tell, of the resource and every object of its cluster, which one
// it is and in what version. Of a pod, whose status is the kubelet's to write,
// they tell which one it is and how often it was restarted.
func (s *story) fingerprints(t *testing.T) map[string]string {
	t.Helper()
	cluster, err := s.cluster(t.Context(), sampleCluster)
	if err != nil {
		t.Fatal(err)
	}
	prints := map[string]string{v1.KindRaftCluster + "/" + cluster.Name: string(cluster.UID) + " " + cluster.ResourceVersion}
	objects, err := s.objects(t.Context(), sampleCluster, append(ownedKinds, claimKind)...)
	if err != nil {
		t.Fatal(err)
	}
	for _, object := range objects {
		prints[object.Kind+"/"+object.Name] = string(object.UID) + " " + object.ResourceVersion
	}
	pods, err := s.pods(t.Context(), sampleCluster)
	if err != nil {
		t.Fatal(err)
	}
	for _, pod := range pods {
		prints["Pod/"+pod.Name] = fmt.Sprintf("%s restarts=%d", pod.UID, pod.Status.ContainerStatuses[0].RestartCount)
	}
	return prints
}
