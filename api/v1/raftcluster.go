package v1

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// RaftCluster is a replicated configuration store.
//
// +kubebuilder:object:root=true
// +kubebuilder:resource:path=raftclusters,singular=raftcluster,shortName=raftc,categories=conclave
// +kubebuilder:subresource:status
// +kubebuilder:subresource:scale:specpath=.spec.replicas,statuspath=.status.replicas,selectorpath=.status.selector
// +kubebuilder:printcolumn:name="Replicas",type=integer,JSONPath=`.spec.replicas`
// +kubebuilder:printcolumn:name="Ready",type=integer,JSONPath=`.status.readyReplicas`
// +kubebuilder:printcolumn:name="Voters",type=integer,JSONPath=`.status.voters`
// +kubebuilder:printcolumn:name="Leader",type=string,JSONPath=`.status.leader`
// +kubebuilder:printcolumn:name="Available",type=string,JSONPath=`.status.conditions[?(@.type=="Available")].status`
// +kubebuilder:printcolumn:name="Status",type=string,JSONPath=`.status.conditions[?(@.type=="Ready")].reason`
// +kubebuilder:printcolumn:name="Age",type=date,JSONPath=`.metadata.creationTimestamp`
// +kubebuilder:printcolumn:name="Cluster ID",type=string,JSONPath=`.status.clusterID`,priority=1
// +kubebuilder:printcolumn:name="Endpoint",type=string,JSONPath=`.status.endpoint`,priority=1
// +kubebuilder:validation:XValidation:rule="self.metadata.name.size() <= 45",message="the name must have at most 45 characters: pods, Services and labels are named after it"
// +kubebuilder:validation:XValidation:rule="self.metadata.name.matches('^[a-z]([-a-z0-9]*[a-z0-9])?$')",message="the name must be a DNS-1035 label: lower case letters, digits and '-', starting with a letter and not ending in '-'"
type RaftCluster struct {
	metav1.TypeMeta `json:",inline"`
	// +optional
	metav1.ObjectMeta `json:"metadata,omitzero"`

	// spec is the cluster that is wanted.
	// +optional
	// +kubebuilder:default={}
	Spec RaftClusterSpec `json:"spec,omitzero"`
	// status is the cluster that was last seen. It is written by the operator
	// only.
	// +optional
	Status RaftClusterStatus `json:"status,omitzero"`
}

// RaftClusterList is a list of RaftClusters.
//
// +kubebuilder:object:root=true
type RaftClusterList struct {
	metav1.TypeMeta `json:",inline"`
	// +optional
	metav1.ListMeta `json:"metadata,omitzero"`
	// items are the clusters.
	Items []RaftCluster `json:"items"`
}

// RaftClusterSpec is the cluster that is wanted.
type RaftClusterSpec struct {
	// replicas is the number of members. It is odd, since an even number
	// survives no more losses than the odd number below it. A change adds or
	// removes one member after the other; the highest numbers go first.
	// +optional
	// +kubebuilder:default=3
	// +kubebuilder:validation:Enum=1;3;5;7
	Replicas int32 `json:"replicas,omitempty"`

	// image is the program that the pods run.
	// +optional
	// +kubebuilder:default={}
	Image ImageSpec `json:"image,omitzero"`

	// reconcilePolicy tells whether the operator may change anything. While it
	// is Paused only the status is kept up to date.
	// +optional
	// +kubebuilder:default=Managed
	ReconcilePolicy ReconcilePolicy `json:"reconcilePolicy,omitempty"`

	// restartedTime restarts the pods one by one when it is changed, with the
	// leader last. The time itself means nothing; that of the request is customary.
	// +optional
	RestartedTime *metav1.Time `json:"restartedTime,omitempty"`

	// recovery tells what the operator does about members that are lost.
	// +optional
	// +kubebuilder:default={}
	Recovery RecoverySpec `json:"recovery,omitzero"`

	// storage is each member's volume.
	// +optional
	// +kubebuilder:default={}
	Storage StorageSpec `json:"storage,omitzero"`

	// raft holds the algorithm's settings. A change restarts the pods one by
	// one.
	// +optional
	// +kubebuilder:default={}
	Raft RaftSpec `json:"raft,omitzero"`

	// client tells how programs reach the store.
	// +optional
	// +kubebuilder:default={}
	Client ClientSpec `json:"client,omitzero"`

	// networkPolicy tells from where the members' ports may be reached.
	// +optional
	// +kubebuilder:default={}
	NetworkPolicy NetworkPolicySpec `json:"networkPolicy,omitzero"`

	// pod holds what is added to the members' pods.
	// +optional
	// +kubebuilder:default={}
	Pod PodSpec `json:"pod,omitzero"`
}

// ReconcilePolicy tells whether the operator may change anything.
// +kubebuilder:validation:Enum=Managed;Paused
type ReconcilePolicy string

const (
	// ReconcileManaged lets the operator make the cluster what the spec asks.
	ReconcileManaged ReconcilePolicy = "Managed"
	// ReconcilePaused keeps the operator from changing anything but the status.
	ReconcilePaused ReconcilePolicy = "Paused"
)
