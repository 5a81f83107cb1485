package controller

import (
	"reflect"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	v1 "github.com/conclave-dev/conclave/api/v1"
)

func TestNewClusterIsBuiltInOrderAndSettles(t *testing.T) {
	w := newWorld(t, 3)
	plan := w.run()
	w.expectSteps("secrets",
		"apply ServiceAccount cfg", "apply ConfigMap cfg-config", "apply Service cfg-peers", "apply Service cfg", "apply PodDisruptionBudget cfg",
		"apply NetworkPolicy cfg", "apply StatefulSet cfg",
		"apply ConfigMap cfg-config", // a leader was seen
		"apply StatefulSet cfg",
		"stamp")
	if !plan.Settled {
		t.Errorf("not settled: %v", plan.Why)
	}
	for _, kind := range []string{v1.ConditionReady, v1.ConditionAvailable, v1.ConditionMembersReady, v1.ConditionMembersUpdated, v1.ConditionVolumesReady} {
		w.expectStatus(kind, metav1.ConditionTrue)
	}
	for _, kind := range []string{v1.ConditionStalled, v1.ConditionReconciling, v1.ConditionPaused, v1.ConditionQuorumAtRisk} {
		w.expectStatus(kind, metav1.ConditionFalse)
	}
	if status := w.Cluster.Status; status.ClusterID != testClusterID || status.Leader != "cfg-0" || status.Voters != 3 || status.ReadyReplicas != 3 {
		t.Errorf("status is %+v", status)
	}
}

func (w *world) expectStatus(kind string, want metav1.ConditionStatus) {
	w.t.Helper()
	for _, condition := range w.Cluster.Status.Conditions {
		if condition.Type == kind && condition.Status != want {
			w.t.Errorf("%s is %s (%s: %s), want %s", kind, condition.Status, condition.Reason, condition.Message, want)
		}
	}
}

func TestEverySizeSettlesWithoutAChangeOfTheTemplate(t *testing.T) {
	for _, replicas := range []int32{1, 3, 5, 7} {
		w := settledWorld(t, replicas)
		if len(w.templates) != 1 {
			t.Errorf("%d replicas: %d pod templates on the way, want 1", replicas, len(w.templates))
		}
		before := w.Cluster.Status
		w.run()
		if len(w.steps) > 0 || !reflect.DeepEqual(w.Cluster.Status, before) {
			t.Errorf("%d replicas: at rest, and still %q", replicas, w.steps)
		}
	}
}

func TestDecidingTwiceGivesTheSamePlan(t *testing.T) {
	w := settledWorld(t, 3)
	w.Cluster.Spec.Image.Reference = "example.test/conclave:2.0.0"
	if a, b := decide(w.Observed, testImage), decide(w.Observed, testImage); !reflect.DeepEqual(a, b) {
		t.Errorf("two plans of one observation differ:\n%+v\n%+v", a, b)
	}
}

// Each test breaks a settled cluster of three in one way and names the next step.
func TestNextStep(t *testing.T) {
	for name, test := range map[string]struct {
		breakIt func(w *world)
		step    Step
		reason  string
		stalled bool
	}{
		"at rest": {func(*world) {}, nil, v1.ReasonSettled, false},
		"paused changes nothing": {func(w *world) {
			w.Cluster.Spec.ReconcilePolicy = v1.ReconcilePaused
			delete(w.Owned, "*v1.Service/cfg")
		}, nil, v1.ReasonPausedBySpec, false},
		"invalid spec":                 {func(w *world) { w.Cluster.Spec.Replicas = 4 }, nil, v1.ReasonInvalidSpec, true},
		"invalid size":                 {func(w *world) { w.Cluster.Spec.Storage.Size = resource.Quantity{} }, nil, v1.ReasonInvalidSpec, true},
		"more replicas":                {func(w *world) { w.Cluster.Spec.Replicas = 5 }, WriteOperation{}, v1.ReasonScalingOut, false},
		"fewer replicas, budget first": {func(w *world) { w.Cluster.Spec.Replicas = 1 }, ApplyObjects{}, v1.ReasonApplyingObjects, false},
		"object of somebody else": {func(w *world) {
			w.Owned["*v1.Service/cfg"].SetOwnerReferences(nil)
		}, nil, v1.ReasonNameConflict, true},
		"Secret of somebody else": {func(w *world) {
			w.Owned["*v1.Secret/cfg-operator"].SetOwnerReferences(nil)
		}, nil, v1.ReasonNameConflict, true},
		"object of an earlier namesake": {func(w *world) {
			w.Owned["*v1.Service/cfg"].GetOwnerReferences()[0].UID = "earlier"
			owners := w.Owned["*v1.Service/cfg"].GetOwnerReferences()
			owners[0].UID = "earlier"
			w.Owned["*v1.Service/cfg"].SetOwnerReferences(owners)
		}, nil, v1.ReasonWaitingForDeletion, false},
		"object on its way out": {func(w *world) {
			w.Owned["*v1.StatefulSet/cfg"].SetDeletionTimestamp(&metav1.Time{Time: time.Unix(1, 0)})
		}, nil, v1.ReasonWaitingForDeletion, false},
		"Secret deleted":  {func(w *world) { delete(w.Owned, "*v1.Secret/cfg-admin") }, CreateSecrets{}, v1.ReasonCreatingSecrets, false},
		"Service deleted": {func(w *world) { delete(w.Owned, "*v1.Service/cfg-peers") }, ApplyObjects{}, v1.ReasonApplyingObjects, false},
		"Service edited": {func(w *world) {
			w.Owned["*v1.Service/cfg"].(*corev1.Service).Spec.Selector = map[string]string{"app": "other"}
		}, ApplyObjects{}, v1.ReasonApplyingObjects, false},
		"StatefulSet scaled by hand": {func(w *world) { *w.StatefulSet().Spec.Replicas = 1 }, ApplyObjects{}, v1.ReasonApplyingObjects, false},
		"label added by others":      {func(w *world) { w.StatefulSet().Labels["theirs"] = "yes" }, nil, v1.ReasonSettled, false},
		"claim made anew": {func(w *world) {
			delete(w.Claims["data-cfg-1"].Annotations, v1.AnnotationClusterID)
		}, StampClaims{}, v1.ReasonStampingVolumes, false},
		"claim of another cluster": {func(w *world) {
			w.Claims["data-cfg-1"].Annotations[v1.AnnotationClusterID] = "another"
		}, nil, v1.ReasonClusterIDConflict, true},
		"StatefulSet not seen by its controller": {func(w *world) { w.StatefulSet().Generation = 9 }, nil, v1.ReasonWaitingForStatefulSet, false},
		"pod not ready":                          {func(w *world) { w.unready("cfg-2") }, nil, v1.ReasonWaitingForMembers, false},
		"no leader":                              {func(w *world) { w.unready("cfg-1"); w.unready("cfg-2") }, nil, v1.ReasonWaitingForLeader, false},
	} {
		t.Run(name, func(t *testing.T) {
			w := settledWorld(t, 3)
			test.breakIt(w)
			plan := decide(w.Observed, testImage)
			if reflect.TypeOf(plan.Step) != reflect.TypeOf(test.step) || plan.Why.Reason != test.reason || plan.Stalled != test.stalled {
				t.Errorf("step %T, reason %s, stalled %v (%s); want %T, %s, %v",
					plan.Step, plan.Why.Reason, plan.Stalled, plan.Why.Message, test.step, test.reason, test.stalled)
			}
			if plan.LookAgain <= 0 {
				t.Error("the plan never looks again")
			}
		})
	}
}

func TestNothingIsNotedAsTheClustersBeforeALeaderIsSeen(t *testing.T) {
	w := newWorld(t, 3)
	for w.StatefulSet() == nil {
		w.take(decide(w.Observed, testImage))
	}
	clear(w.Reports)
	plan := w.run()
	if plan.Why.Reason != v1.ReasonWaitingForLeader || len(w.Claims) != 3 {
		t.Fatalf("ends with %v and %d claims", plan.Why, len(w.Claims))
	}
	for name, claim := range w.Claims {
		if id, noted := claim.Annotations[v1.AnnotationClusterID]; noted {
			t.Errorf("%s carries cluster ID %s", name, id)
		}
	}
	if file := w.ConfigMap().Data["node.yaml"]; !strings.Contains(file, "initial-state: new") {
		t.Errorf("nodes are told:\n%s", file)
	}
	w.expectCondition(v1.ConditionAvailable, metav1.ConditionFalse, v1.ReasonBootstrapping)
}

func TestLostObjectsComeBackWithTheSameIdentity(t *testing.T) {
	for _, lost := range [][]string{
		{"*v1.ConfigMap/cfg-config"},
		{"*v1.StatefulSet/cfg"},
		{"*v1.ConfigMap/cfg-config", "*v1.StatefulSet/cfg"},
	} {
		t.Run(strings.Join(lost, " "), func(t *testing.T) {
			w := settledWorld(t, 3)
			for _, key := range lost {
				delete(w.Owned, key)
			}
			w.run()
			config := w.ConfigMap()
			if config.Annotations[v1.AnnotationClusterID] != testClusterID || !strings.Contains(config.Data["node.yaml"], "initial-state: existing") {
				t.Errorf("the ConfigMap came back as %v\n%s", config.Annotations, config.Data["node.yaml"])
			}
		})
	}
}

func TestClusterThatHadALeaderNeverFormsAnew(t *testing.T) {
	w := settledWorld(t, 3)
	clear(w.Owned)
	clear(w.Pods)
	clear(w.Claims)
	clear(w.Reports)
	plan := decide(w.Observed, testImage)
	w.take(plan) // Secrets
	w.take(decide(w.Observed, testImage))
	if file := w.ConfigMap().Data["node.yaml"]; !strings.Contains(file, "initial-state: existing") {
		t.Errorf("with everything lost but the resource, members are told to form a new cluster:\n%s", file)
	}
	w.expectCondition(v1.ConditionAvailable, metav1.ConditionFalse, v1.ReasonNoMemberRuns)
}
