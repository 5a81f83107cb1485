package controller

import (
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"

	v1 "github.com/conclave-dev/conclave/api/v1"
	"github.com/conclave-dev/conclave/internal/admin"
	"github.com/conclave-dev/conclave/internal/controller/resources"
)

// outdate changes the pod template without replacing any pod.
func (w *world) outdate() {
	w.Cluster.Spec.Image.Reference = "example.test/conclave:2.0.0"
	plan := decide(w.Observed, testImage)
	w.take(plan)
	w.steps = nil
}

func TestRolloutRestartsFollowersThenTheLeader(t *testing.T) {
	w := settledWorld(t, 5)
	w.Cluster.Spec.Image.Reference = "example.test/conclave:2.0.0"
	if plan := w.run(); !plan.Settled {
		t.Errorf("not settled: %v", plan.Why)
	}
	w.expectSteps("apply StatefulSet cfg", "restart cfg-1", "restart cfg-2", "restart cfg-3", "restart cfg-4", "restart cfg-0")
}

func TestSettingsReadAtStartAreRolledOut(t *testing.T) {
	w := settledWorld(t, 3)
	w.Cluster.Spec.Raft.ElectionTimeoutMaxMilliseconds = 3000
	w.run()
	w.expectSteps("apply ConfigMap cfg-config", "apply StatefulSet cfg", "restart cfg-1", "restart cfg-2", "restart cfg-0")
}

func TestChangeOfRestartedTimeRestartsThePodsInOrder(t *testing.T) {
	w := settledWorld(t, 3)
	w.Cluster.Spec.RestartedTime = ptr.To(metav1.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC))
	w.run()
	w.expectSteps("apply StatefulSet cfg", "restart cfg-1", "restart cfg-2", "restart cfg-0")
	w.steps = nil
	w.Cluster.Spec.RestartedTime = ptr.To(metav1.Date(2026, 3, 1, 12, 0, 0, 0, time.FixedZone("", 3600)))
	w.run()
	w.expectSteps("apply StatefulSet cfg", "restart cfg-1", "restart cfg-2", "restart cfg-0")
}

func TestRolloutWaits(t *testing.T) {
	for name, test := range map[string]struct {
		breakIt        func(w *world)
		naming, reason string
	}{
		"for a member that was replaced and isn't ready": {func(w *world) {
			w.take(decide(w.Observed, testImage))
			w.unready("cfg-1")
		}, "cfg-1", v1.ReasonRollingOut},
		"for a member that was replaced and lags behind": {func(w *world) {
			w.take(decide(w.Observed, testImage))
			w.Reports["cfg-0"].Status.Members[1].MatchIndex = 1
		}, "cfg-1", v1.ReasonRollingOut},
		"for a member that was replaced and out of touch": {func(w *world) {
			w.take(decide(w.Observed, testImage))
			w.Reports["cfg-0"].Status.Members[1].SinceContactMillis = ptr.To[int64](60_000)
		}, "cfg-1", v1.ReasonRollingOut},
		"for a pod that is missing": {func(w *world) {
			delete(w.Pods, "cfg-2")
			w.unreport("cfg-2")
		}, "cfg-2", v1.ReasonRollingOut},
		"for a pod that is being stopped": {func(w *world) { w.Pods["cfg-2"].DeletionTimestamp = ptr.To(metav1.Now()) }, "cfg-2", v1.ReasonRollingOut},
		"for a leader":                    {func(w *world) { w.unready("cfg-1"); w.unready("cfg-2") }, "leader", v1.ReasonRolloutBlocked},
	} {
		t.Run(name, func(t *testing.T) {
			w := settledWorld(t, 3)
			w.outdate()
			test.breakIt(w)
			if plan := decide(w.Observed, testImage); plan.Step != nil {
				t.Errorf("takes step %T %v", plan.Step, plan.Why)
			}
			w.expectCondition(v1.ConditionMembersUpdated, metav1.ConditionFalse, test.reason)
			if rollout := decide(w.Observed, testImage).rollout; !strings.Contains(rollout.Message, test.naming) {
				t.Errorf("the message doesn't name %s: %s", test.naming, rollout.Message)
			}
		})
	}
}

func (w *world) unreport(name string) {
	delete(w.Reports, name)
	w.elect()
}

func TestRolloutReplacesTheMemberThatDoesNotTakePartFirst(t *testing.T) {
	w := settledWorld(t, 3)
	w.outdate()
	w.unready("cfg-2")
	w.run()
	w.expectSteps("restart cfg-2", "restart cfg-1", "restart cfg-0")
}

func TestRolloutReplacesWhatIsOutOfTouchAndThenWaits(t *testing.T) {
	w := settledWorld(t, 5)
	w.outdate()
	// Two of five are gone for the leader, whatever their pods look like.
	w.Reports["cfg-0"].Status.Members[3].SinceContactMillis = nil
	w.Reports["cfg-0"].Status.Members[4].SinceContactMillis = nil
	if plan := decide(w.Observed, testImage); plan.Step != Step(RestartPod{"cfg-3"}) {
		t.Fatalf("next step is %v, want a restart of cfg-3", plan.Step)
	}
	o := w.copied()
	updated := o.Pods["cfg-3"].DeepCopy()
	updated.Labels = map[string]string{"controller-revision-hash": w.StatefulSet().Status.UpdateRevision}
	o.Pods["cfg-3"] = updated
	if plan := decide(o, testImage); plan.Step != nil {
		t.Errorf("with cfg-3 still away the next step is %v", plan.Step)
	}
}

func TestRolloutCountsVotersWithoutAPod(t *testing.T) {
	w := settledWorld(t, 3)
	w.outdate()
	// Two more voters that nobody hears from: three of five are left, and none
	// of them can be spared.
	w.membership = append(w.membership,
		admin.Member{Name: "cfg-3", MemberID: memberID("cfg-3"), Role: "Voter"},
		admin.Member{Name: "cfg-4", MemberID: memberID("cfg-4"), Role: "Voter"})
	w.elect()
	plan := decide(w.Observed, testImage)
	if plan.rollout.next != nil {
		t.Errorf("would restart %s", plan.rollout.next.Name)
	}
	w.take(plan)
	w.expectSteps("apply PodDisruptionBudget cfg")
	if got := w.budget().Spec.MinAvailable.IntValue(); got != 3 {
		t.Errorf("the disruption budget is %d, want 3", got)
	}
	w.expectCondition(v1.ConditionMembersUpdated, metav1.ConditionFalse, v1.ReasonRolloutBlocked)
}

func TestBadImageIsRepairedByAnotherOne(t *testing.T) {
	w := settledWorld(t, 3)
	w.outdate()
	w.take(decide(w.Observed, testImage)) // cfg-1 gets the bad image
	w.crash("cfg-1", "ImagePullBackOff")
	w.elect()
	w.expectCondition(v1.ConditionMembersReady, metav1.ConditionFalse, v1.ReasonImagePullFailed)
	w.expectCondition(v1.ConditionMembersUpdated, metav1.ConditionFalse, v1.ReasonRolloutBlocked)
	w.expectCondition(v1.ConditionAvailable, metav1.ConditionTrue, v1.ReasonLeaderHasQuorum)
	w.steps = nil

	w.Cluster.Spec.Image.Reference = ""
	if plan := w.run(); !plan.Settled {
		t.Errorf("not settled after going back: %v", plan.Why)
	}
	w.expectSteps("apply StatefulSet cfg", "restart cfg-1")
}

func TestImageThatWasBadFromTheStartIsRepaired(t *testing.T) {
	w := newWorld(t, 3)
	w.Cluster.Spec.Image.Reference = "example.test/no/such:image"
	for w.StatefulSet() == nil {
		w.take(decide(w.Observed, testImage))
	}
	for _, name := range sortedNames(w.Pods) {
		w.crash(name, "ErrImagePull")
	}
	w.expectCondition(v1.ConditionMembersReady, metav1.ConditionFalse, v1.ReasonImagePullFailed)
	w.steps = nil
	w.Cluster.Spec.Image.Reference = ""
	if plan := w.run(); !plan.Settled {
		t.Errorf("not settled: %v", plan.Why)
	}
	// Nobody led, so nobody could be asked who takes part.
	if got := strings.Join(w.steps, ", "); !strings.HasPrefix(got, "apply StatefulSet cfg, restart cfg-0, restart cfg-1") {
		t.Errorf("steps taken: %q", w.steps)
	}
}

func TestSingleMemberIsRestartedWithoutAQuorumToSpare(t *testing.T) {
	w := settledWorld(t, 1)
	w.outdate()
	w.run()
	w.expectSteps("restart cfg-0")
}

// Whatever single pod is in whatever state, a rollout never deletes a pod that the
// quorum needs, and always ends.
func TestRolloutFromEveryStateOfOnePodKeepsTheQuorumAndEnds(t *testing.T) {
	for _, replicas := range []int32{3, 5, 7} {
		for ordinal := range replicas {
			for state, breakIt := range map[string]func(*world, string){
				"unready":  (*world).unready,
				"crashing": func(w *world, name string) { w.crash(name, "CrashLoopBackOff"); w.elect() },
			} {
				w := settledWorld(t, replicas)
				w.outdate()
				breakIt(w, resources.PodName("cfg", ordinal))
				for range 20 {
					plan := decide(w.Observed, testImage)
					restart, ok := plan.Step.(RestartPod)
					if !ok {
						break
					}
					v := look(w.Observed, testClusterID)
					if left := v.votersInTouch(restart.Name); left < resources.Quorum(replicas) {
						t.Fatalf("%d replicas, %d %s: %s goes and leaves %d", replicas, ordinal, state, restart.Name, left)
					}
					w.take(plan)
				}
				if plan := w.run(); !plan.Settled {
					t.Errorf("%d replicas, %d %s: ends with %v", replicas, ordinal, state, plan.Why)
				}
			}
		}
	}
}
