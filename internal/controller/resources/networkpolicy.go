package resources

import (
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
	"k8s.io/utils/ptr"

	v1 "github.com/conclave-dev/conclave/api/v1"
)

// NetworkPolicy lets in, on the port of the peers, the cluster's own pods; on that
// of operations the operator and who watches over it; on that of clients the pods
// of the namespace and who else is named. What members send isn't restricted.
// Probes aren't either: a node always reaches the pods on it. It is nil where the
// resource wants none.
//
// An operator that doesn't know where its pods are can't let itself in by name, so
// the operations port then stays open; its admin endpoints want a token as ever.
func NetworkPolicy(in Input) *networkingv1.NetworkPolicy {
	spec := in.Cluster.Spec.NetworkPolicy
	if spec.Mode == v1.NetworkPolicyDisabled {
		return nil
	}
	members := metav1.LabelSelector{MatchLabels: SelectorLabels(in.Cluster.Name)}
	namespace := []networkingv1.NetworkPolicyPeer{{PodSelector: &metav1.LabelSelector{}}}
	return &networkingv1.NetworkPolicy{
		TypeMeta:   metav1.TypeMeta{APIVersion: "networking.k8s.io/v1", Kind: "NetworkPolicy"},
		ObjectMeta: objectMeta(in, in.Cluster.Name),
		Spec: networkingv1.NetworkPolicySpec{
			PodSelector: members,
			PolicyTypes: []networkingv1.PolicyType{networkingv1.PolicyTypeIngress},
			Ingress: []networkingv1.NetworkPolicyIngressRule{
				ingress(PortPeer, []networkingv1.NetworkPolicyPeer{{PodSelector: &members}}),
				ingress(PortOps, operationsPeers(in)),
				ingress(PortClient, append(namespace, networkPeers(spec.ClientFrom)...)),
			},
		},
	}
}

// operationsPeers are who may reach the operations port; empty means everyone.
func operationsPeers(in Input) []networkingv1.NetworkPolicyPeer {
	if in.Operator.Namespace == "" {
		return nil
	}
	operator := networkingv1.NetworkPolicyPeer{
		NamespaceSelector: &metav1.LabelSelector{MatchLabels: map[string]string{corev1.LabelMetadataName: in.Operator.Namespace}},
		PodSelector:       &metav1.LabelSelector{MatchLabels: in.Operator.Labels},
	}
	return append([]networkingv1.NetworkPolicyPeer{operator}, networkPeers(in.Cluster.Spec.NetworkPolicy.MonitoringFrom)...)
}

func ingress(port int32, from []networkingv1.NetworkPolicyPeer) networkingv1.NetworkPolicyIngressRule {
	return networkingv1.NetworkPolicyIngressRule{
		Ports: []networkingv1.NetworkPolicyPort{{Port: ptr.To(intstr.FromInt32(port)), Protocol: ptr.To(corev1.ProtocolTCP)}},
		From:  from,
	}
}

func networkPeers(named []v1.NetworkPeer) []networkingv1.NetworkPolicyPeer {
	peers := make([]networkingv1.NetworkPolicyPeer, len(named))
	for i, peer := range named {
		peers[i] = networkingv1.NetworkPolicyPeer{PodSelector: peer.PodSelector, NamespaceSelector: peer.NamespaceSelector}
		if peer.IPBlock != nil {
			peers[i].IPBlock = &networkingv1.IPBlock{CIDR: peer.IPBlock.CIDR, Except: peer.IPBlock.Except}
		}
	}
	return peers
}
