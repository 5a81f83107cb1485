package v1

import (
	corev1 "k8s.io/api/core/v1"
)

// PodSpec holds what is added to the members' pods. It is a choice of fields
// rather than a whole pod template, so that whoever may edit a RaftCluster gains
// no right to run anything else, and pods always meet the restricted Pod
// Security Standard. A change restarts the pods one by one.
type PodSpec struct {
	// labels are added to the pods.
	// +optional
	// +kubebuilder:validation:MaxProperties=32
	// +kubebuilder:validation:XValidation:rule="self.all(k, !k.startsWith('conclave.dev/') && !k.startsWith('app.kubernetes.io/'))",message="labels under conclave.dev/ and app.kubernetes.io/ belong to the operator"
	Labels map[string]string `json:"labels,omitempty"`

	// annotations are added to the pods.
	// +optional
	// +kubebuilder:validation:MaxProperties=32
	// +kubebuilder:validation:XValidation:rule="self.all(k, !k.startsWith('conclave.dev/'))",message="annotations under conclave.dev/ belong to the operator"
	Annotations map[string]string `json:"annotations,omitempty"`

	// resources are what each pod is given and allowed.
	// +optional
	Resources PodResources `json:"resources,omitzero"`

	// affinity replaces the operator's own, which prefers to spread members over
	// zones, and is handed to the scheduler as it is.
	// +optional
	Affinity *corev1.Affinity `json:"affinity,omitempty"`

	// topologySpreadConstraints replace the operator's own spreading, which
	// prefers different zones and different nodes but never keeps a pod from
	// starting. An empty list stands for none. A constraint without a labelSelector counts
	// the members of this cluster.
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=8
	TopologySpreadConstraints []corev1.TopologySpreadConstraint `json:"topologySpreadConstraints,omitempty"`

	// tolerations are handed to the scheduler as they are.
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=32
	Tolerations []corev1.Toleration `json:"tolerations,omitempty"`

	// nodeSelector restricts the pods to nodes with these labels.
	// +optional
	// +kubebuilder:validation:MaxProperties=32
	NodeSelector map[string]string `json:"nodeSelector,omitempty"`

	// priorityClassName names the pods' PriorityClass.
	// +optional
	// +kubebuilder:validation:MaxLength=253
	PriorityClassName string `json:"priorityClassName,omitempty"`

	// terminationGracePeriodSeconds is the time that a member has to hand over
	// its leadership, let its clients go and close its log.
	// +optional
	// +kubebuilder:default=30
	// +kubebuilder:validation:Minimum=10
	// +kubebuilder:validation:Maximum=600
	TerminationGracePeriodSeconds int64 `json:"terminationGracePeriodSeconds,omitempty"`
}

// PodResources are what each pod is given and allowed.
type PodResources struct {
	// requests are set aside for the pod.
	// +optional
	// +kubebuilder:validation:MaxProperties=16
	Requests corev1.ResourceList `json:"requests,omitempty"`

	// limits are what the pod may use at most.
	// +optional
	// +kubebuilder:validation:MaxProperties=16
	Limits corev1.ResourceList `json:"limits,omitempty"`
}
