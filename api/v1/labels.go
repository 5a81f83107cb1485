package v1

// LabelCluster is the label that every object of a cluster carries, with the
// RaftCluster's name. It is the selector of the StatefulSet and the Services.
const LabelCluster = "conclave.dev/cluster"

const (
	// AnnotationClusterID holds the cluster ID on the ConfigMap, the
	// StatefulSet and each volume claim of a cluster that has had a leader. A
	// claim that carries it may hold acknowledged writes.
	AnnotationClusterID = "conclave.dev/cluster-id"
	// AnnotationBootstrapped is "true" on the ConfigMap and the StatefulSet once
	// the cluster has had a leader. From then on no member may form a cluster by
	// itself.
	AnnotationBootstrapped = "conclave.dev/bootstrapped"
	// AnnotationMembers, on the ConfigMap and the StatefulSet, is the number of
	// pods that the operator lets the StatefulSet run. The StatefulSet's counts.
	AnnotationMembers = "conclave.dev/members"
	// AnnotationRemovedMember, on a volume claim that was retained when its member
	// was removed from the cluster, is that member's ID. Nothing on such a volume
	// counts any more.
	AnnotationRemovedMember = "conclave.dev/removed-member"
	// AnnotationConfigHash, on the pod template, is a hash of the settings that
	// a node reads only at its start, so that a change restarts the pods.
	AnnotationConfigHash = "conclave.dev/config-hash"
	// AnnotationRestartedTime, on the pod template, repeats spec.restartedTime.
	AnnotationRestartedTime = "conclave.dev/restarted-time"
	// AnnotationAppliedHash, on every owned object, is a hash of the object as
	// the operator last applied it. It tells a field that the operator no longer
	// wants from one that somebody else has added.
	AnnotationAppliedHash = "conclave.dev/applied-hash"
)
