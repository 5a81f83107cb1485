package controller

import (
	"testing"

	networkingv1 "k8s.io/api/networking/v1"
	policyv1 "k8s.io/api/policy/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	v1 "github.com/conclave-dev/conclave/api/v1"
	"github.com/conclave-dev/conclave/internal/admin"
	"github.com/conclave-dev/conclave/internal/controller/resources"
)

func (w *world) budget() *policyv1.PodDisruptionBudget {
	budget, _ := w.Owned[ownedKey(&policyv1.PodDisruptionBudget{}, "cfg")].(*policyv1.PodDisruptionBudget)
	return budget
}

// The membership is what the leader says, not what the cluster was made with.
func TestDisruptionBudgetFollowsTheVotersThatTheLeaderTells(t *testing.T) {
	w := settledWorld(t, 5)
	leader := w.Reports["cfg-0"].Status
	for _, test := range []struct {
		name   string
		change func()
		want   int
	}{
		{"five voters", func() {}, 3},
		{"one has become a learner", func() { leader.Members[4].Role = "Learner" }, 4},
		{"the learner is gone", func() { leader.Members = leader.Members[:4] }, 4},
		{"three are left", func() { leader.Members = leader.Members[:3] }, 4},
		{"the leader doesn't answer", func() { w.Reports["cfg-0"] = Report{Err: errOutdated} }, 4},
	} {
		test.change()
		w.react = false
		w.run()
		if got := w.budget().Spec.MinAvailable.IntValue(); got != test.want {
			t.Errorf("%s: minAvailable is %d of 5 pods, want %d", test.name, got, test.want)
		}
	}
}

// The budget is as strict as the voters need before a change of them, and after it
// at once, before the next pass.
func TestDisruptionBudgetHoldsBeforeAndAfterEachChangeOfTheVoters(t *testing.T) {
	w := settledWorld(t, 1)
	changes := 0
	check := func(when string, step Step) {
		t.Helper()
		var voters int32
		for _, member := range w.Reports["cfg-0"].Status.Members {
			if member.Role == roleVoter {
				voters++
			}
		}
		budget := w.budget()
		if voters <= 1 {
			return // a single voter has none, or still the one from when there were two
		}
		if budget == nil {
			t.Fatalf("%s %T %+v: %d voters and no budget", when, step, step, voters)
		}
		if allowed, spare := int32(len(w.Pods))-budget.Spec.MinAvailable.IntVal, voters-resources.Quorum(voters); allowed > spare {
			t.Errorf("%s %T %+v: %d pods may go, and %d of %d voters may be missing", when, step, step, allowed, spare, voters)
		}
	}
	for _, replicas := range []int32{3, 5, 7, 5, 3, 1} {
		w.Cluster.Spec.Replicas = replicas
		for range 200 {
			plan := decide(w.Observed, testImage)
			w.Cluster.Status = statusOf(w.Observed, plan)
			if plan.Step == nil {
				break
			}
			_, isChange := plan.Step.(ChangeMembership)
			if isChange {
				changes++
				check("before", plan.Step)
			}
			w.take(plan)
			if isChange {
				check("after", plan.Step)
			}
		}
	}
	if changes < 18 { // six members added, promoted and removed
		t.Errorf("the voters changed %d times", changes)
	}
}

func TestSingleVoterNeedsNoBudgetAnyMore(t *testing.T) {
	w := settledWorld(t, 3)
	w.Reports["cfg-0"].Status.Members = []admin.Member{w.Reports["cfg-0"].Status.Members[0]}
	w.react = false
	w.run()
	w.expectSteps("delete PodDisruptionBudget cfg")
}

func TestNetworkPolicyComesAndGoesWithItsMode(t *testing.T) {
	w := settledWorld(t, 3)
	w.Cluster.Spec.NetworkPolicy.Mode = v1.NetworkPolicyDisabled
	w.run()
	w.Cluster.Spec.NetworkPolicy.Mode = v1.NetworkPolicyManaged
	w.run()
	w.expectSteps("delete NetworkPolicy cfg", "apply NetworkPolicy cfg")
}

func TestForeignNetworkPolicyIsInTheWayOnlyOfOneOfOurOwn(t *testing.T) {
	w := settledWorld(t, 3)
	w.Owned[ownedKey(&networkingv1.NetworkPolicy{}, "cfg")].SetOwnerReferences(nil)
	if plan := w.run(); plan.Why.Reason != v1.ReasonNameConflict {
		t.Errorf("with a policy of somebody else under its name the plan is %v", plan.Why)
	}
	w.Cluster.Spec.NetworkPolicy.Mode = v1.NetworkPolicyDisabled
	if plan := w.run(); !plan.Settled {
		t.Errorf("wanting none of its own the plan is %v", plan.Why)
	}
	w.expectSteps()
}

func TestNetworkPolicyFollowsTheResource(t *testing.T) {
	e := apiServer(t)
	c := e.create(t, e.namespace(t), v1.RaftClusterSpec{NetworkPolicy: v1.NetworkPolicySpec{
		ClientFrom: []v1.NetworkPeer{
			{NamespaceSelector: &metav1.LabelSelector{}},
			{IPBlock: &v1.IPBlock{CIDR: "2001:db8::/32", Except: []string{"2001:db8:1::/48"}}},
		},
	}})
	policy := awaitObject(c, &networkingv1.NetworkPolicy{}, "cfg", nil)
	if peers := policy.Spec.Ingress[2].From; len(peers) != 3 || peers[1].NamespaceSelector == nil || peers[2].IPBlock.Except[0] != "2001:db8:1::/48" {
		t.Errorf("clients are let in from %+v", peers)
	}
	cluster := c.resource()
	before := cluster.DeepCopy()
	cluster.Spec.NetworkPolicy.Mode = v1.NetworkPolicyDisabled
	c.must(e.admin.Patch(t.Context(), cluster, client.MergeFrom(before)))
	eventually(t, func() string {
		if err := c.get(policy, "cfg"); !apierrors.IsNotFound(err) {
			return "the NetworkPolicy is still there"
		}
		return ""
	})
}
