package resources

import (
	policyv1 "k8s.io/api/policy/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
	"k8s.io/utils/ptr"
)

// PodDisruptionBudget lets as many pods be evicted as voters may be lost:
// minAvailable = pods - (voters - quorum). A pod that isn't a voter therefore
// counts as one that must stay. Where voters have no pod, it is a quorum. A single voter has no budget (nil): one would
// only keep its node from being drained for ever.
func PodDisruptionBudget(in Input) *policyv1.PodDisruptionBudget {
	if in.Voters <= 1 {
		return nil
	}
	tolerated := in.Voters - Quorum(in.Voters)
	return &policyv1.PodDisruptionBudget{
		TypeMeta:   metav1.TypeMeta{APIVersion: "policy/v1", Kind: "PodDisruptionBudget"},
		ObjectMeta: objectMeta(in, in.Cluster.Name),
		Spec: policyv1.PodDisruptionBudgetSpec{
			MinAvailable: ptr.To(intstr.FromInt32(max(Quorum(in.Voters), in.Members-tolerated))),
			Selector:     &metav1.LabelSelector{MatchLabels: SelectorLabels(in.Cluster.Name)},
		},
	}
}

// Quorum is the smallest majority of a number of voters.
func Quorum(voters int32) int32 { return voters/2 + 1 }
