package controller

import (
	"errors"
	"testing"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/client-go/tools/events"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	v1 "github.com/conclave-dev/conclave/api/v1"
)

// reconciler makes one whose passes a test calls itself. It reads live.
func (c *fakeCluster) reconciler() *Reconciler {
	return &Reconciler{
		Client:       c.admin,
		Live:         c.admin,
		Members:      c.members,
		Events:       events.NewFakeRecorder(100),
		DefaultImage: testImage,
	}
}

// pause keeps the operator that runs beside the test from acting.
func (c *fakeCluster) pause() {
	c.t.Helper()
	cluster := c.resource()
	before := cluster.DeepCopy()
	cluster.Spec.ReconcilePolicy = v1.ReconcilePaused
	c.must(c.admin.Patch(c.t.Context(), cluster, client.MergeFrom(before)))
}

func TestPodIsNotRestartedOnAnOldView(t *testing.T) {
	e := apiServer(t)
	c := e.ready(t)
	r := c.reconciler()
	key := client.ObjectKeyFromObject(c.resource())
	view, err := r.observe(t.Context(), key)
	c.must(err)
	c.pause()
	// The view says that the pods are outdated and all there.
	set := view.StatefulSet().DeepCopy()
	set.Status.UpdateRevision = "revision-2"
	view.Owned[ownedKey(set, "cfg")] = set
	plan := decide(view, testImage)
	if plan.Step != Step(RestartPod{"cfg-1"}) {
		t.Fatalf("the plan is %T %v", plan.Step, plan.Why)
	}
	// In truth they aren't outdated.
	if err := r.act(t.Context(), view, plan.Step); !errors.Is(err, errOutdated) {
		t.Errorf("acting on a view with another StatefulSet gives %v", err)
	}
	// In truth another one is away already.
	c.roll("revision-2")
	c.must(e.admin.Delete(t.Context(), named(&corev1.Pod{}, c.resource(), "cfg-2")))
	if err := r.act(t.Context(), view, plan.Step); !errors.Is(err, errOutdated) {
		t.Errorf("acting on a view with another set of pods gives %v", err)
	}
	c.must(c.get(&corev1.Pod{}, "cfg-1"))
}

func TestResourceThatIsBeingDeletedIsLeftToTheGarbageCollector(t *testing.T) {
	e := apiServer(t)
	c := e.ready(t)
	cluster := c.resource()
	before := cluster.DeepCopy()
	cluster.Finalizers = []string{"test.example/hold"}
	c.must(e.admin.Patch(t.Context(), cluster, client.MergeFrom(before)))
	c.must(e.admin.Delete(t.Context(), cluster))
	// The operator beside the test may learn of the Service's end before the
	// resource's, and make it once more. The pass made here knows of both.
	eventually(t, func() string {
		c.must(client.IgnoreNotFound(e.admin.Delete(t.Context(), named(&corev1.Service{}, cluster, "cfg"))))
		if _, err := c.reconciler().Reconcile(t.Context(), ctrl.Request{NamespacedName: client.ObjectKeyFromObject(cluster)}); err != nil {
			return err.Error()
		}
		if err := c.get(&corev1.Service{}, "cfg"); !apierrors.IsNotFound(err) {
			return "the Service came back"
		}
		return ""
	})
}
