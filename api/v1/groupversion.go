package v1

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

// GroupVersion is the API group and version of the types in this package.
var GroupVersion = schema.GroupVersion{Group: "conclave.dev", Version: "v1"}

// KindRaftCluster is the kind of RaftCluster.
const KindRaftCluster = "RaftCluster"

// AddToScheme makes the types of this package known to a scheme.
func AddToScheme(scheme *runtime.Scheme) error {
	scheme.AddKnownTypes(GroupVersion, &RaftCluster{}, &RaftClusterList{})
	metav1.AddToGroupVersion(scheme, GroupVersion)
	return nil
}
