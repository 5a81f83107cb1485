package e2e

import (
	"context"
	"fmt"
	"slices"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// storyEndpoint is the address of the sample cluster for a pod in its namespace.
const storyEndpoint = "http://" + sampleCluster + ":8400"

// startPod starts a pod that uses the sample cluster: its command gets the
// address in --endpoint. An empty node leaves the choice to the scheduler. The
// pod meets the restricted Pod Security Standard, as its namespace demands.
func (s *story) startPod(t *testing.T, name, image, node string, restart corev1.RestartPolicy, command ...string) {
	t.Helper()
	pod := &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Namespace: storyNamespace, Name: name, Labels: map[string]string{"app.kubernetes.io/name": "e2e"}},
		Spec: corev1.PodSpec{
			NodeName:                     node,
			RestartPolicy:                restart,
			AutomountServiceAccountToken: ptr.To(false),
			SecurityContext: &corev1.PodSecurityContext{
				RunAsNonRoot:   ptr.To(true),
				RunAsUser:      ptr.To[int64](65532),
				SeccompProfile: &corev1.SeccompProfile{Type: corev1.SeccompProfileTypeRuntimeDefault},
			},
			Containers: []corev1.Container{{
				Name:            "main",
				Image:           image,
				ImagePullPolicy: corev1.PullIfNotPresent,
				Command:         slices.Insert(command, 1, "--endpoint="+storyEndpoint),
				SecurityContext: &corev1.SecurityContext{
					AllowPrivilegeEscalation: ptr.To(false),
					ReadOnlyRootFilesystem:   ptr.To(true),
					Capabilities:             &corev1.Capabilities{Drop: []corev1.Capability{"ALL"}},
				},
			}},
		},
	}
	if err := s.client.Create(t.Context(), pod); err != nil {
		t.Fatalf("start pod %s: %v", name, err)
	}
	t.Cleanup(func() {
		// The test's own context has ended by now.
		_ = s.client.Delete(context.WithoutCancel(t.Context()), pod, client.GracePeriodSeconds(0))
	})
}

// awaitPhase waits until a pod is in a phase.
func (s *story) awaitPhase(t *testing.T, name string, phase corev1.PodPhase) {
	t.Helper()
	s.await(t, fmt.Sprintf("pod %s to be %s", name, phase), settleTimeout, func(ctx context.Context) (bool, any) {
		pod := new(corev1.Pod)
		err := s.client.Get(ctx, client.ObjectKey{Namespace: storyNamespace, Name: name}, pod)
		if err == nil && pod.Status.Phase == corev1.PodFailed {
			t.Fatalf("pod %s failed: %s", name, s.kubectl(t, "logs", name))
		}
		return err == nil && pod.Status.Phase == phase, fmt.Sprint(pod.Status.Phase, err)
	})
}

// inPod runs the command line in a pod of its own, as an application that
// reaches the cluster through its Service, and returns what it prints. It starts
// again when it fails, since a node learns of new endpoints a moment later than
// the status.
func (s *story) inPod(t *testing.T, name string, args ...string) string {
	t.Helper()
	s.startPod(t, name, s.image, "", corev1.RestartPolicyOnFailure, append([]string{"/conclave"}, args...)...)
	s.awaitPhase(t, name, corev1.PodSucceeded)
	return s.kubectl(t, "logs", name)
}
