package controller

import (
	"slices"
	"strings"
	"testing"

	policyv1 "k8s.io/api/policy/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"

	v1 "github.com/conclave-dev/conclave/api/v1"
	"github.com/conclave-dev/conclave/internal/admin"
	"github.com/conclave-dev/conclave/internal/controller/resources"
)

// memberSteps are the steps that changed the membership or what belongs to it.
func (w *world) memberSteps() string {
	steps := slices.DeleteFunc(slices.Clone(w.steps), func(step string) bool {
		return strings.HasPrefix(step, "apply ") || step == "stamp"
	})
	return strings.Join(steps, ", ")
}

// scale changes what the spec asks for, runs, and compares the steps.
func (w *world) scale(replicas int32, want string) {
	w.t.Helper()
	w.steps = nil
	w.Cluster.Spec.Replicas = replicas
	plan := w.run()
	if got := w.memberSteps(); got != want {
		w.t.Errorf("to %d replicas:\n got %s\nwant %s", replicas, got, want)
	}
	w.expectMembers(plan, replicas)
}

// expectMembers compares the end of a change with what the spec asks.
func (w *world) expectMembers(plan Plan, replicas int32) {
	w.t.Helper()
	status := w.Cluster.Status
	if !plan.Settled || status.Voters != replicas || status.Learners != 0 || status.Operation != nil ||
		len(w.Pods) != int(replicas) || len(w.Claims) != int(replicas) || status.Replicas != replicas {
		w.t.Errorf("%d replicas end with %v, %d voters, %d learners, %d pods, %d claims, operation %+v",
			replicas, plan.Why, status.Voters, status.Learners, len(w.Pods), len(w.Claims), status.Operation)
	}
	w.expectCondition(v1.ConditionMembershipStable, metav1.ConditionTrue, v1.ReasonMembershipComplete)
	w.expectCondition(v1.ConditionReady, metav1.ConditionTrue, v1.ReasonAllGood)
	budget, _ := w.Owned["*v1.PodDisruptionBudget/cfg"].(*policyv1.PodDisruptionBudget)
	switch {
	case replicas == 1 && budget != nil:
		w.t.Error("a single voter has a disruption budget")
	case replicas > 1 && (budget == nil || budget.Spec.MinAvailable.IntVal != resources.Quorum(replicas)):
		w.t.Errorf("the budget of %d voters is %+v", replicas, budget)
	}
}

func TestScalingOutAddsOneMemberAfterTheOther(t *testing.T) {
	w := settledWorld(t, 3)
	w.scale(5, "resize to 4, add cfg-3, promote cfg-3, resize to 5, add cfg-4, promote cfg-4")
	w.scale(7, "resize to 6, add cfg-5, promote cfg-5, resize to 7, add cfg-6, promote cfg-6")
}

func TestScalingInRemovesTheMemberBeforeItsPodAndItsVolume(t *testing.T) {
	w := settledWorld(t, 5)
	w.scale(3, "remove cfg-4, resize to 4, delete data-cfg-4, remove cfg-3, resize to 3, delete data-cfg-3")
	w.scale(1, "remove cfg-2, resize to 2, delete data-cfg-2, remove cfg-1, delete PodDisruptionBudget cfg, resize to 1, delete data-cfg-1")
	w.scale(3, "resize to 2, add cfg-1, promote cfg-1, resize to 3, add cfg-2, promote cfg-2")
}

func TestLeaderThatHasToGoHandsOverToOneThatStays(t *testing.T) {
	w := settledWorld(t, 5)
	w.wanted = "cfg-4"
	w.elect()
	w.scale(3, "transfer to cfg-0, remove cfg-4, resize to 4, delete data-cfg-4, remove cfg-3, resize to 3, delete data-cfg-3")
}

func TestScalingChangesNoPodTemplate(t *testing.T) {
	w := settledWorld(t, 1)
	w.Cluster.Spec.Replicas = 7
	w.run()
	w.Cluster.Spec.Replicas = 3
	w.run()
	if len(w.templates) != 1 {
		t.Errorf("%d pod templates on the way, want 1", len(w.templates))
	}
}

// The spec changes its mind after each single step.
func TestScalingConvergesWhenTheSpecChangesItsMindAnywhere(t *testing.T) {
	all := [][3]int32{{3, 5, 3}, {5, 3, 5}, {1, 3, 1}, {3, 1, 5}, {7, 1, 7}}
	if testing.Short() {
		all = all[:3]
	}
	for _, sizes := range all {
		for steps := 0; ; steps++ {
			w := settledWorld(t, sizes[0])
			w.Cluster.Spec.Replicas = sizes[1]
			done := false
			for range steps {
				plan := decide(w.Observed, testImage)
				w.Cluster.Status = statusOf(w.Observed, plan)
				if done = plan.Step == nil; done {
					break
				}
				w.take(plan)
			}
			w.Cluster.Spec.Replicas = sizes[2]
			w.expectMembers(w.run(), sizes[2])
			if done {
				break
			}
		}
	}
}

func TestMemberIsNotRemovedWhileTheOthersAreNoQuorum(t *testing.T) {
	w := settledWorld(t, 5)
	w.unready("cfg-1")
	w.unready("cfg-2")
	w.Cluster.Spec.Replicas = 3
	plan := w.run()
	if got := w.memberSteps(); got != "" {
		t.Errorf("with two of five away: %s", got)
	}
	if plan.Why.Reason != v1.ReasonRemovalUnsafe {
		t.Errorf("waits for %v", plan.Why)
	}
	w.expectCondition(v1.ConditionMembershipStable, metav1.ConditionFalse, v1.ReasonRemovalUnsafe)
	// The spec may still change its mind.
	w.Cluster.Spec.Replicas = 5
	if plan := w.run(); w.Cluster.Status.Operation != nil || w.memberSteps() != "" {
		t.Errorf("after going back: %v, %s", plan.Why, w.memberSteps())
	}
}

func TestMemberThatIsAwayIsRemovedWithoutAsking(t *testing.T) {
	w := settledWorld(t, 5)
	w.unready("cfg-4")
	w.scale(3, "remove cfg-4, resize to 4, delete data-cfg-4, remove cfg-3, resize to 3, delete data-cfg-3")
}

func TestNothingIsChangedWhileTheMembershipIsNotCommitted(t *testing.T) {
	for name, breakIt := range map[string]func(leader *admin.Status){
		"joint":         func(leader *admin.Status) { leader.Joint = true },
		"not committed": func(leader *admin.Status) { leader.MembershipIndex = leader.CommitIndex + 1 },
	} {
		t.Run(name, func(t *testing.T) {
			w := settledWorld(t, 5)
			w.Cluster.Spec.Replicas = 3
			breakIt(w.Reports["cfg-0"].Status)
			if plan := decide(w.Observed, testImage); plan.Step != nil {
				t.Errorf("takes step %T %v", plan.Step, plan.Why)
			}
			w.expectCondition(v1.ConditionMembershipStable, metav1.ConditionUnknown, v1.ReasonMembershipUnknown)
		})
	}
}

func TestLearnerGetsItsVoteOnlyWhenTheLeaderSaysThatItMay(t *testing.T) {
	w := settledWorld(t, 1)
	w.Cluster.Spec.Replicas = 3
	for !strings.Contains(w.memberSteps(), "add cfg-1") {
		plan := decide(w.Observed, testImage)
		w.Cluster.Status = statusOf(w.Observed, plan)
		w.take(plan)
	}
	w.membership[1].Promotable, w.membership[1].NotPromotableReason = false, "not caught up"
	w.elect()
	plan := w.run()
	if strings.Contains(w.memberSteps(), "promote") || plan.Why.Reason != v1.ReasonScalingOut || !strings.Contains(plan.Why.Message, "not caught up") {
		t.Errorf("ends with %v after %s", plan.Why, w.memberSteps())
	}
}

func TestRetainedVolumeIsMarkedAndNeverUsedAgain(t *testing.T) {
	w := settledWorld(t, 3)
	w.Cluster.Spec.Storage.Retention.WhenScaled = v1.RetentionRetain
	gone := memberID("cfg-2")
	w.Cluster.Spec.Replicas = 1
	w.run()
	if claim := w.Claims["data-cfg-2"]; claim == nil || claim.Annotations[v1.AnnotationRemovedMember] != gone {
		t.Fatalf("the claim is %+v, want it marked with %s", claim, gone)
	}
	w.steps = nil
	w.Cluster.Spec.Replicas = 3
	plan := w.run()
	if plan.Why.Reason != v1.ReasonVolumeRetained || !plan.Stalled || !strings.Contains(plan.Why.Message, "data-cfg-1") || w.memberSteps() != "" {
		t.Errorf("scaling out over a retained claim: %v, %s", plan.Why, w.memberSteps())
	}
	delete(w.Claims, "data-cfg-1")
	delete(w.Claims, "data-cfg-2")
	w.expectMembers(w.run(), 3)

	// A resource made again takes up what voted, and leaves the rest.
	w = settledWorld(t, 3)
	w.Cluster.Spec.Storage.Retention.WhenScaled = v1.RetentionRetain
	w.Cluster.Spec.Replicas = 1
	w.run()
	w.forget()
	if id, obstacle := identify(w.Observed); obstacle != nil || id.members != 1 || id.clusterID != testClusterID {
		t.Errorf("the claims make %+v, %+v", id, obstacle)
	}
}

func TestRetainedClaimsOfAnotherNumberAreTakenUpAndScaled(t *testing.T) {
	w := settledWorld(t, 5)
	w.forget()
	w.Cluster.Spec.Replicas = 3
	for w.StatefulSet() == nil {
		w.take(decide(w.Observed, testImage))
	}
	if got := *w.StatefulSet().Spec.Replicas; got != 5 {
		t.Errorf("the StatefulSet starts with %d pods, want as many as there are volumes", got)
	}
	w.expectMembers(w.run(), 3)
}

func TestStatefulSetScaledByHandGoesBackAndItsClaimsAreUsedLater(t *testing.T) {
	w := settledWorld(t, 3)
	*w.StatefulSet().Spec.Replicas = 5
	w.addClaim(3)
	w.addClaim(4)
	w.run()
	if got := *w.StatefulSet().Spec.Replicas; got != 3 {
		t.Errorf("the StatefulSet has %d pods", got)
	}
	w.scale(5, "resize to 4, add cfg-3, promote cfg-3, resize to 5, add cfg-4, promote cfg-4")
}

func TestMemberWhoseVolumeIsLostIsReplaced(t *testing.T) {
	w := settledWorld(t, 3)
	w.loseVolume("cfg-1")
	plan := w.run()
	if got, want := w.memberSteps(), "remove cfg-1, add cfg-1, promote cfg-1"; got != want {
		t.Errorf("steps %s, want %s", got, want)
	}
	w.expectMembers(plan, 3)
}

// loseVolume gives a member's pod a new claim with nothing on it.
func (w *world) loseVolume(name string) {
	ordinal, _ := resources.PodOrdinal("cfg", name)
	delete(w.Claims, resources.ClaimName("cfg", ordinal))
	w.addClaim(ordinal)
	w.startPod(name)
	w.elect()
}

func TestSecondLostVolumeWaitsUntilThereIsAQuorumWithoutIt(t *testing.T) {
	w := settledWorld(t, 5)
	w.loseVolume("cfg-1")
	w.loseVolume("cfg-2")
	plan := w.run()
	if got, want := w.memberSteps(), "remove cfg-1, add cfg-1, promote cfg-1, remove cfg-2, add cfg-2, promote cfg-2"; got != want {
		t.Errorf("steps %s, want %s", got, want)
	}
	w.expectMembers(plan, 5)

	w = settledWorld(t, 3)
	w.loseVolume("cfg-1")
	w.loseVolume("cfg-2")
	if w.run(); w.memberSteps() != "" {
		t.Errorf("without a quorum: %s", w.memberSteps())
	}
}

// silence keeps a member from answering, and says how long the leader has been
// without word from it.
func (w *world) silence(name string, millis int64) {
	w.Reports[name] = Report{Err: errOutdated}
	w.silent = map[string]int64{name: millis}
	w.elect()
}

func TestMemberOfWhomNobodyHasHeardForLongIsReplaced(t *testing.T) {
	w := settledWorld(t, 3)
	w.silence("cfg-2", 600_000)
	lost := w.Claims["data-cfg-2"].UID
	plan := w.run()
	if got, want := w.memberSteps(), "remove cfg-2, delete data-cfg-2, delete cfg-2, add cfg-2, promote cfg-2"; got != want {
		t.Errorf("steps %s, want %s", got, want)
	}
	if w.Claims["data-cfg-2"].UID == lost {
		t.Error("the new member has the old volume")
	}
	w.expectMembers(plan, 3)
}

func TestMemberIsNotReplacedThatMayComeBack(t *testing.T) {
	for name, test := range map[string]struct {
		breakIt func(w *world)
	}{
		"it was heard a little less long ago": {func(w *world) { w.silence("cfg-2", 599_999) }},
		"people are to decide": {func(w *world) {
			w.Cluster.Spec.Recovery.MemberReplacement.Mode = v1.ReplacementManual
			w.silence("cfg-2", 900_000)
		}},
		"its pod is being deleted, on a node that may be cut off": {func(w *world) {
			w.silence("cfg-2", 900_000)
			w.Pods["cfg-2"].DeletionTimestamp = ptr.To(metav1.Now())
		}},
		"its pod answers the operator": {func(w *world) {
			millis := int64(900_000)
			w.Reports["cfg-0"].Status.Members[2].SinceContactMillis = &millis
		}},
		"the others are no quorum": {func(w *world) {
			w.silence("cfg-2", 900_000)
			w.Reports["cfg-0"].Status.Members[1].MatchIndex = 1
		}},
	} {
		t.Run(name, func(t *testing.T) {
			w := settledWorld(t, 3)
			test.breakIt(w)
			for range 5 {
				plan := decide(w.Observed, testImage)
				write, ok := plan.Step.(WriteOperation)
				if !ok {
					break
				}
				w.Cluster.Status.Operation = write.Operation
			}
			if plan := decide(w.Observed, testImage); plan.Step != nil {
				t.Errorf("takes step %T %v", plan.Step, plan.Why)
			}
		})
	}
}

func TestMemberThatWasRemovedDoesNotComeBackWithItsOldVolume(t *testing.T) {
	w := settledWorld(t, 3)
	// Somebody removed it behind the operator's back; its pod knows.
	w.membership = slices.DeleteFunc(w.membership, func(m admin.Member) bool { return m.Name == "cfg-2" })
	w.elect()
	plan := w.run()
	if got, want := w.memberSteps(), "delete data-cfg-2, delete cfg-2, add cfg-2, promote cfg-2"; got != want {
		t.Errorf("steps %s, want %s", got, want)
	}
	for _, member := range w.membership {
		if member.Name == "cfg-2" && member.MemberID == memberID("cfg-2") {
			t.Error("the old member is back")
		}
	}
	w.expectMembers(plan, 3)
}

func TestLearnerThatNobodyKnowsIsRemoved(t *testing.T) {
	w := settledWorld(t, 3)
	w.membership = append(w.membership,
		admin.Member{Name: "cfg-1", MemberID: "00000000000000aa", Role: "Learner"},
		admin.Member{Name: "cfg-6", MemberID: "00000000000000bb", Role: "Learner"})
	w.elect()
	w.expectMembers(w.run(), 3)
	if got, want := w.memberSteps(), "remove cfg-1, remove cfg-6"; got != want {
		t.Errorf("steps %s, want %s", got, want)
	}
}

func TestBadImageIsRepairedInTheMiddleOfScalingOut(t *testing.T) {
	w := settledWorld(t, 3)
	w.Cluster.Spec.Image.Reference = "example.test/no/such:image"
	w.Cluster.Spec.Replicas = 5
	for w.Pods["cfg-3"] == nil {
		plan := decide(w.Observed, testImage)
		w.Cluster.Status = statusOf(w.Observed, plan)
		w.take(plan)
	}
	w.crash("cfg-3", "ErrImagePull")
	if plan := w.run(); plan.Why.Reason != v1.ReasonScalingOut {
		t.Fatalf("with a bad image: %v", plan.Why)
	}
	w.Cluster.Spec.Image.Reference = ""
	w.expectMembers(w.run(), 5)
}

// A pod that is being deleted goes on serving until its node has stopped.
func TestMemberIsNotRemovedWhileThePodOfAnotherIsBeingDeleted(t *testing.T) {
	w := settledWorld(t, 3)
	w.Pods["cfg-1"].DeletionTimestamp = &metav1.Time{}
	w.Cluster.Spec.Replicas = 1
	if plan := w.run(); w.memberSteps() != "" || plan.Why.Reason != v1.ReasonRemovalUnsafe {
		t.Errorf("with one of three about to stop: %s; %v", w.memberSteps(), plan.Why)
	}
	w.Pods["cfg-1"].DeletionTimestamp = nil
	w.scale(1, "remove cfg-2, resize to 2, delete data-cfg-2, remove cfg-1, delete PodDisruptionBudget cfg, resize to 1, delete data-cfg-1")
}

// A member that waits for what may never come holds nothing up that a quorum
// needs.
func TestLostVolumeIsMendedWhileAnotherMemberCannotJoin(t *testing.T) {
	cases := map[string]func(*world){
		"its pod finds no node": func(w *world) { w.crash("cfg-3", "") },
		"it never catches up": func(w *world) {
			w.membership = append(w.membership, admin.Member{MemberID: w.memberOn("cfg-3"), Name: "cfg-3", Role: roleLearner, NotPromotableReason: "behind"})
			w.elect()
		},
	}
	for name, hold := range cases {
		t.Run(name, func(t *testing.T) {
			w := settledWorld(t, 3)
			w.Cluster.Spec.Replicas = 5
			for w.Pods["cfg-3"] == nil {
				plan := decide(w.Observed, testImage)
				w.Cluster.Status = statusOf(w.Observed, plan)
				w.take(plan)
			}
			hold(w)
			if plan := w.run(); w.Cluster.Status.Operation == nil || w.Cluster.Status.Operation.Target != "cfg-3" {
				t.Fatalf("cfg-3 isn't waited for: %v, %+v", plan.Why, w.Cluster.Status.Operation)
			}
			w.steps = nil
			w.loseVolume("cfg-1")
			w.elect()
			w.run()
			if got, want := w.memberSteps(), "remove cfg-1, add cfg-1, promote cfg-1"; got != want {
				t.Errorf("got %s, want %s", got, want)
			}
			if op := w.Cluster.Status.Operation; op == nil || op.Target != "cfg-3" {
				t.Errorf("and goes on with %+v", op)
			}
		})
	}
}
