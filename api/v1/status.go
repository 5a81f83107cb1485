package v1

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// RaftClusterStatus is the cluster that was last seen. Everything in it but the
// operation can be computed again from the objects and the members.
type RaftClusterStatus struct {
	// observedGeneration is the generation of the spec that this status speaks
	// of.
	// +optional
	ObservedGeneration int64 `json:"observedGeneration,omitempty"`

	// clusterID tells this cluster from every other, 32 hexadecimal digits. The
	// owned ConfigMap and the volume claims hold it too, and they count.
	// +optional
	// +kubebuilder:validation:MaxLength=32
	ClusterID string `json:"clusterID,omitempty"`

	// replicas is the number of pods that the StatefulSet runs.
	// +optional
	Replicas int32 `json:"replicas"`

	// readyReplicas is the number of pods that are ready.
	// +optional
	ReadyReplicas int32 `json:"readyReplicas"`

	// voters is the number of voting members in the Raft configuration, as the
	// leader holds it.
	// +optional
	Voters int32 `json:"voters"`

	// learners is the number of members that receive the log without a vote.
	// +optional
	Learners int32 `json:"learners"`

	// selector matches the members' pods.
	// +optional
	// +kubebuilder:validation:MaxLength=256
	Selector string `json:"selector,omitempty"`

	// leader is the name of the leading member, empty when there is none or the
	// operator can't tell.
	// +optional
	// +kubebuilder:validation:MaxLength=63
	Leader string `json:"leader,omitempty"`

	// endpoint is the address for clients inside the Kubernetes cluster.
	// +optional
	// +kubebuilder:validation:MaxLength=256
	Endpoint string `json:"endpoint,omitempty"`

	// members is the Raft configuration as the leader last told it, sorted by
	// name.
	// +optional
	// +listType=map
	// +listMapKey=memberID
	// +kubebuilder:validation:MaxItems=16
	Members []MemberStatus `json:"members,omitempty"`

	// operation is the change of the membership that is under way. It is written
	// before each step and removed after the last, so that whatever ends the
	// operator, the next one goes on from there.
	// +optional
	Operation *Operation `json:"operation,omitempty"`

	// conditions tell how the cluster is. Their types and reasons are constants
	// of this package.
	// +optional
	// +listType=map
	// +listMapKey=type
	// +kubebuilder:validation:MaxItems=16
	Conditions []metav1.Condition `json:"conditions,omitempty"`
}

// MemberStatus is one member of the Raft configuration.
type MemberStatus struct {
	// memberID names the member for life, 16 hexadecimal digits. A member that
	// lost its volume comes back with another one.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=16
	MemberID string `json:"memberID"`

	// name of the member, which is also its pod's.
	// +kubebuilder:validation:MaxLength=63
	Name string `json:"name"`

	// role in the Raft configuration.
	Role MemberRole `json:"role"`

	// ready tells whether the member serves clients.
	// +optional
	Ready bool `json:"ready"`

	// version of the program that the member last said it runs. Empty when it
	// doesn't answer.
	// +optional
	// +kubebuilder:validation:MaxLength=128
	Version string `json:"version,omitempty"`
}

// MemberRole is a member's role in the Raft configuration.
// +kubebuilder:validation:Enum=Voter;Learner
type MemberRole string

const (
	// MemberVoter takes part in elections and in the quorum.
	MemberVoter MemberRole = "Voter"
	// MemberLearner receives the log and counts for nothing.
	MemberLearner MemberRole = "Learner"
)
