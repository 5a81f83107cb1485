package resources

import (
	"fmt"
	"strings"

	v1 "github.com/conclave-dev/conclave/api/v1"
)

// Ports of a node.
const (
	PortClient = 8400
	PortPeer   = 8401
	PortOps    = 8402
)

// InitialState tells a node with an empty volume what it may do.
type InitialState string

const (
	// StateInitial: form the cluster's first configuration together with the
	// other members.
	StateInitial InitialState = "new"
	// StateExisting: the cluster has had a leader, so wait to be added.
	StateExisting InitialState = "existing"
)

// Input is all that the objects of a cluster depend on.
type Input struct {
	// Cluster is the resource, valid and with its defaults filled in.
	Cluster *v1.RaftCluster
	// ClusterID is 32 hexadecimal digits.
	ClusterID string
	// InitialState is what the nodes are told.
	InitialState InitialState
	// Members is the number of pods that the StatefulSet runs.
	Members int32
	// Voters is the number of voters that the disruption budget protects: those of
	// the membership as it is, which may be more or fewer than the pods.
	Voters int32
	// DefaultImage is used where the resource names no image.
	DefaultImage string
	// Operator is where the operator's own pods are.
	Operator OperatorPods
}

// OperatorPods tells the operator's own pods from all others. The zero value
// stands for an operator that runs outside the Kubernetes cluster, or doesn't know
// where it is.
type OperatorPods struct {
	Namespace string
	Labels    map[string]string
}

// Image is the image that the pods run.
func (in Input) Image() string {
	if in.Cluster.Spec.Image.Reference != "" {
		return in.Cluster.Spec.Image.Reference
	}
	return in.DefaultImage
}

// claimTemplateName is the volume's name in the pod and the first part of each
// claim's name.
const claimTemplateName = "data"

// PeersServiceName is the name of the headless Service of a cluster.
func PeersServiceName(cluster string) string { return cluster + "-peers" }

// ConfigMapName is the name of the ConfigMap with the nodes' configuration file.
func ConfigMapName(cluster string) string { return cluster + "-config" }

// AdminSecretName is the name of the Secret with the token of people.
func AdminSecretName(cluster string) string { return cluster + "-admin" }

// OperatorSecretName is the name of the Secret with the operator's token.
func OperatorSecretName(cluster string) string { return cluster + "-operator" }

// PodName is the name of the pod, and of the member, with an ordinal.
func PodName(cluster string, ordinal int32) string { return fmt.Sprintf("%s-%d", cluster, ordinal) }

// ClaimName is the name of the volume claim of the member with an ordinal.
func ClaimName(cluster string, ordinal int32) string {
	return claimTemplateName + "-" + PodName(cluster, ordinal)
}

// ClaimOrdinal is the inverse of ClaimName. It tells false for a name that isn't
// a claim's.
func ClaimOrdinal(cluster, claim string) (int32, bool) {
	return PodOrdinal(cluster, strings.TrimPrefix(claim, claimTemplateName+"-"))
}

// PodOrdinal is the inverse of PodName. It tells false for a name that isn't a
// member's.
func PodOrdinal(cluster, pod string) (int32, bool) {
	for ordinal := range int32(v1.MaxReplicas) {
		if pod == PodName(cluster, ordinal) {
			return ordinal, true
		}
	}
	return 0, false
}

// PodHost is the name under which a member is reached, without a cluster domain.
func PodHost(cluster, namespace, pod string) string {
	return fmt.Sprintf("%s.%s.%s.svc", pod, PeersServiceName(cluster), namespace)
}

// OpsURL is the base of a member's operations endpoints.
func OpsURL(cluster, namespace, pod string) string {
	return fmt.Sprintf("http://%s:%d", PodHost(cluster, namespace, pod), PortOps)
}

// ClientURL is the address for clients inside the Kubernetes cluster.
func ClientURL(cluster, namespace string) string {
	return fmt.Sprintf("http://%s.%s.svc:%d", cluster, namespace, PortClient)
}
