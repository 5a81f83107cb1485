package resources

import (
	"maps"
	"strconv"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"

	v1 "github.com/conclave-dev/conclave/api/v1"
)

// ManagedBy is the label that every object of the operator carries, and the
// value of that label. The operator's cache holds nothing else.
const (
	LabelManagedBy = "app.kubernetes.io/managed-by"
	ManagedBy      = "conclave-operator"
)

// SelectorLabels match the pods of a cluster. They can't change in the life of a
// StatefulSet, so there is only one.
func SelectorLabels(cluster string) map[string]string {
	return map[string]string{v1.LabelCluster: cluster}
}

// Labels are on every object of a cluster.
func Labels(cluster string) map[string]string {
	labels := map[string]string{
		"app.kubernetes.io/name":      "conclave",
		"app.kubernetes.io/instance":  cluster,
		"app.kubernetes.io/component": "node",
		"app.kubernetes.io/part-of":   "conclave",
		LabelManagedBy:                ManagedBy,
	}
	maps.Copy(labels, SelectorLabels(cluster))
	return labels
}

// objectMeta is the metadata of an owned object.
func objectMeta(in Input, name string) metav1.ObjectMeta {
	return metav1.ObjectMeta{
		Name:            name,
		Namespace:       in.Cluster.Namespace,
		Labels:          Labels(in.Cluster.Name),
		OwnerReferences: []metav1.OwnerReference{ownerReference(in.Cluster)},
	}
}

// identityAnnotations note who the cluster is on the objects that hold it
// together, so that each can be made again from the others.
func identityAnnotations(in Input) map[string]string {
	annotations := map[string]string{
		v1.AnnotationClusterID: in.ClusterID,
		v1.AnnotationMembers:   strconv.Itoa(int(in.Members)),
	}
	if in.InitialState == StateExisting {
		annotations[v1.AnnotationBootstrapped] = "true"
	}
	return annotations
}

func ownerReference(cluster *v1.RaftCluster) metav1.OwnerReference {
	return metav1.OwnerReference{
		APIVersion:         v1.GroupVersion.String(),
		Kind:               v1.KindRaftCluster,
		Name:               cluster.Name,
		UID:                cluster.UID,
		Controller:         ptr.To(true),
		BlockOwnerDeletion: ptr.To(true),
	}
}
