package resources

import (
	"maps"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
	"k8s.io/utils/ptr"
)

// PeersService is the headless Service through which members and the operator
// find each pod by name. It publishes pods that aren't ready: a member must be
// found before it can become ready.
func PeersService(in Input) *corev1.Service {
	return &corev1.Service{
		TypeMeta:   metav1.TypeMeta{APIVersion: "v1", Kind: "Service"},
		ObjectMeta: objectMeta(in, PeersServiceName(in.Cluster.Name)),
		Spec: corev1.ServiceSpec{
			Type:                     corev1.ServiceTypeClusterIP,
			ClusterIP:                corev1.ClusterIPNone,
			PublishNotReadyAddresses: true,
			Selector:                 SelectorLabels(in.Cluster.Name),
			Ports: []corev1.ServicePort{
				{Name: "peer", Port: PortPeer, TargetPort: intstr.FromString("peer"), Protocol: corev1.ProtocolTCP},
				{Name: "ops", Port: PortOps, TargetPort: intstr.FromString("ops"), Protocol: corev1.ProtocolTCP, AppProtocol: ptr.To("http")},
			},
		},
	}
}

// ClientService is the Service for clients. It has ready members only.
func ClientService(in Input) *corev1.Service {
	meta := objectMeta(in, in.Cluster.Name)
	meta.Annotations = maps.Clone(in.Cluster.Spec.Client.Service.Annotations)
	return &corev1.Service{
		TypeMeta:   metav1.TypeMeta{APIVersion: "v1", Kind: "Service"},
		ObjectMeta: meta,
		Spec: corev1.ServiceSpec{
			Type:     in.Cluster.Spec.Client.Service.Type,
			Selector: SelectorLabels(in.Cluster.Name),
			Ports: []corev1.ServicePort{
				{Name: "http", Port: PortClient, TargetPort: intstr.FromString("http"), Protocol: corev1.ProtocolTCP, AppProtocol: ptr.To("http")},
			},
		},
	}
}
