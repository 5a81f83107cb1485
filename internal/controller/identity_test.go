package controller

import (
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	v1 "github.com/conclave-dev/conclave/api/v1"
)

func TestRetainedClaimsOfAWholeClusterAreTakenUpAgain(t *testing.T) {
	w := settledWorld(t, 3)
	w.forget()
	w.run()
	config := w.ConfigMap()
	if config.Annotations[v1.AnnotationClusterID] != testClusterID {
		t.Errorf("the new resource has cluster ID %s, want that of the claims, %s", config.Annotations[v1.AnnotationClusterID], testClusterID)
	}
	if w.steps[1] != "apply ServiceAccount cfg" || strings.Count(strings.Join(w.steps, ","), "ConfigMap") != 1 {
		t.Errorf("the members were told to form a cluster first: %q", w.steps)
	}
}

// Each test makes a resource where claims already are.
func TestClaimsOfUnknownOwnersStopANewResource(t *testing.T) {
	stamped := func(w *world, ordinal int32, id string) {
		metav1.SetMetaDataAnnotation(&w.addClaim(ordinal).ObjectMeta, v1.AnnotationClusterID, id)
	}
	for name, test := range map[string]struct {
		claims  func(w *world)
		reason  string
		stalled bool
		naming  string
	}{
		"never stamped": {func(w *world) { w.addClaim(0) }, v1.ReasonVolumeOwnershipUnknown, true, "data-cfg-0"},
		"one missing":   {func(w *world) { stamped(w, 0, "a"); stamped(w, 2, "a") }, v1.ReasonVolumeOwnershipUnknown, true, "data-cfg-2"},
		"only what a removed member left": {func(w *world) {
			stamped(w, 1, "a")
			metav1.SetMetaDataAnnotation(&w.addClaim(1).ObjectMeta, v1.AnnotationRemovedMember, "b")
		}, v1.ReasonVolumeOwnershipUnknown, true, "data-cfg-1"},
		"gap":                   {func(w *world) { stamped(w, 0, "a"); stamped(w, 1, "a"); stamped(w, 3, "a") }, v1.ReasonVolumeOwnershipUnknown, true, "data-cfg-3"},
		"two clusters":          {func(w *world) { stamped(w, 0, "a"); stamped(w, 1, "b"); stamped(w, 2, "a") }, v1.ReasonVolumeOwnershipUnknown, true, "data-cfg-1"},
		"one of three unmarked": {func(w *world) { stamped(w, 0, "a"); stamped(w, 1, "a"); w.addClaim(2) }, v1.ReasonVolumeOwnershipUnknown, true, "data-cfg-2"},
		"being deleted": {func(w *world) {
			stamped(w, 0, "a")
			w.addClaim(0).DeletionTimestamp = &metav1.Time{Time: time.Unix(1, 0)}
		}, v1.ReasonWaitingForDeletion, false, "data-cfg-0"},
		"about to be collected": {func(w *world) {
			for ordinal := range int32(3) {
				stamped(w, ordinal, "a")
				w.addClaim(ordinal).OwnerReferences = []metav1.OwnerReference{{APIVersion: "apps/v1", Kind: "StatefulSet", Name: "cfg", UID: "gone"}}
			}
		}, v1.ReasonWaitingForDeletion, false, "data-cfg-2"},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, 3)
			test.claims(w)
			plan := decide(w.Observed, testImage)
			if plan.Step != nil || plan.Why.Reason != test.reason || plan.Stalled != test.stalled {
				t.Errorf("step %T, %s, stalled %v; want none, %s, %v", plan.Step, plan.Why.Reason, plan.Stalled, test.reason, test.stalled)
			}
			if !strings.Contains(plan.Why.Message, test.naming) {
				t.Errorf("the message doesn't name %s: %s", test.naming, plan.Why.Message)
			}
		})
	}
}

func TestSameResourceGivesTheSameNewClusterID(t *testing.T) {
	a, _ := identify(newWorld(t, 3).Observed)
	b, _ := identify(newWorld(t, 3).Observed)
	if a != b || a.clusterID != testClusterID || a.bootstrapped {
		t.Errorf("two first looks give %+v and %+v", a, b)
	}
}

func TestForeignObjectsDoNotLendTheirIdentity(t *testing.T) {
	w := settledWorld(t, 3)
	w.ConfigMap().OwnerReferences = nil
	w.ConfigMap().Annotations[v1.AnnotationClusterID] = "planted"
	if plan := decide(w.Observed, testImage); plan.Why.Reason != v1.ReasonNameConflict || plan.identity.clusterID != testClusterID {
		t.Errorf("got %v with cluster ID %s", plan.Why, plan.identity.clusterID)
	}
}
