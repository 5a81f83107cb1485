package v1

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// Operation is a change of the membership that is under way.
type Operation struct {
	// type of the operation.
	Type OperationType `json:"type"`

	// step that is being taken or waited for.
	Step OperationStep `json:"step"`

	// target is the name of the member that is added, removed or replaced, which
	// is also its pod's.
	// +kubebuilder:validation:MaxLength=63
	Target string `json:"target"`

	// targetMemberID is the ID of the member that the step is about, empty while
	// it isn't known.
	// +optional
	// +kubebuilder:validation:MaxLength=16
	TargetMemberID string `json:"targetMemberID,omitempty"`

	// podUID is the pod that the step is about, and pvcUID its volume claim: what
	// bears the same name later is something else. Empty when there was none.
	// +optional
	// +kubebuilder:validation:MaxLength=128
	PodUID string `json:"podUID,omitempty"`
	// +optional
	// +kubebuilder:validation:MaxLength=128
	PVCUID string `json:"pvcUID,omitempty"`

	// startedTime is when the operation began.
	// +optional
	StartedTime metav1.Time `json:"startedTime,omitzero"`
}

// OperationType is a kind of operation.
// +kubebuilder:validation:Enum=ScaleOut;ScaleIn;Replace
type OperationType string

const (
	// OperationScaleOut adds a member: AddPod, AddLearner, Promote.
	OperationScaleOut OperationType = "ScaleOut"
	// OperationScaleIn removes a member: TransferLeadership if it leads,
	// RemoveMember, RemovePod, DeleteClaim.
	OperationScaleIn OperationType = "ScaleIn"
	// OperationReplace gives a pod a new member: RemoveMember, DeleteClaim and
	// DeletePod if the pod doesn't run with an empty volume yet, AddLearner,
	// Promote.
	OperationReplace OperationType = "Replace"
)

// OperationStep is one step of an operation.
// +kubebuilder:validation:Enum=AddPod;AddLearner;Promote;TransferLeadership;RemoveMember;RemovePod;DeleteClaim;DeletePod
type OperationStep string

const (
	// StepAddPod lets the StatefulSet run one pod more.
	StepAddPod OperationStep = "AddPod"
	// StepAddLearner waits until the pod tells its member ID, and adds it without
	// a vote.
	StepAddLearner OperationStep = "AddLearner"
	// StepPromote waits until the learner has caught up, and lets it vote.
	StepPromote OperationStep = "Promote"
	// StepTransferLeadership makes a member lead that stays.
	StepTransferLeadership OperationStep = "TransferLeadership"
	// StepRemoveMember removes the member from the Raft configuration, and waits
	// until that is committed.
	StepRemoveMember OperationStep = "RemoveMember"
	// StepRemovePod lets the StatefulSet run one pod fewer, and waits until it is
	// gone.
	StepRemovePod OperationStep = "RemovePod"
	// StepDeleteClaim deletes the volume claim, or notes on it that nothing in it
	// counts any more, and waits until that is done.
	StepDeleteClaim OperationStep = "DeleteClaim"
	// StepDeletePod deletes the pod, for the StatefulSet to make it anew.
	StepDeletePod OperationStep = "DeletePod"
)
