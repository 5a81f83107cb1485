package v1

import (
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
)

// ImageSpec is the program that the pods run.
type ImageSpec struct {
	// reference is the image, by tag or digest. Empty stands for the image
	// that the operator was installed with. A change restarts the pods one by
	// one.
	// +optional
	// +kubebuilder:validation:MaxLength=512
	// +kubebuilder:validation:Pattern=`^\S*$`
	Reference string `json:"reference,omitempty"`

	// pullPolicy tells when a node of the Kubernetes cluster fetches the image.
	// +optional
	// +kubebuilder:default=IfNotPresent
	// +kubebuilder:validation:Enum=Always;IfNotPresent;Never
	PullPolicy corev1.PullPolicy `json:"pullPolicy,omitempty"`

	// pullSecrets name Secrets in the same namespace that hold registry
	// credentials.
	// +optional
	// +listType=map
	// +listMapKey=name
	// +kubebuilder:validation:MaxItems=8
	PullSecrets []PullSecret `json:"pullSecrets,omitempty"`
}

// PullSecret names a Secret in the same namespace.
type PullSecret struct {
	// name is the Secret's name.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	Name string `json:"name"`
}

// StorageSpec is each member's volume.
//
// +kubebuilder:validation:XValidation:rule="has(self.storageClassName) == has(oldSelf.storageClassName) && (!has(self.storageClassName) || self.storageClassName == oldSelf.storageClassName)",message="storageClassName can't be changed, set or removed after creation"
type StorageSpec struct {
	// size of the volume. It can't be changed after creation.
	// +optional
	// +kubebuilder:default="1Gi"
	// +kubebuilder:validation:XValidation:rule="quantity(string(self)).isGreaterThan(quantity('0'))",message="size must be above zero"
	// +kubebuilder:validation:XValidation:rule="quantity(string(self)).compareTo(quantity(string(oldSelf))) == 0",message="size can't be changed after creation"
	Size resource.Quantity `json:"size,omitzero"`

	// storageClassName names the StorageClass of the volume. Absent stands for
	// the cluster's default class, the empty string for none. It can't be
	// changed after creation.
	// +optional
	// +kubebuilder:validation:MaxLength=253
	StorageClassName *string `json:"storageClassName,omitempty"`

	// retention tells what happens to the volumes later.
	// +optional
	// +kubebuilder:default={}
	Retention RetentionSpec `json:"retention,omitzero"`
}

// RetentionSpec tells what happens to volumes that are no longer used.
type RetentionSpec struct {
	// whenDeleted tells what happens to the volumes when the RaftCluster is
	// deleted. Retained volumes are taken up again by a RaftCluster of the same
	// name and size.
	// +optional
	// +kubebuilder:default=Retain
	WhenDeleted RetentionPolicy `json:"whenDeleted,omitempty"`

	// whenScaled tells what happens to the volume of a member that was removed
	// because replicas became smaller, once the removal is committed. A retained
	// volume is never used again by the cluster, and its claim has to be deleted
	// before a member of the same name can be added.
	// +optional
	// +kubebuilder:default=Delete
	WhenScaled RetentionPolicy `json:"whenScaled,omitempty"`
}

// RetentionPolicy tells what happens to a volume that is no longer used.
// +kubebuilder:validation:Enum=Retain;Delete
type RetentionPolicy string

const (
	// RetentionRetain keeps the volume claims and the data in them.
	RetentionRetain RetentionPolicy = "Retain"
	// RetentionDelete deletes the volume claims and the data in them.
	RetentionDelete RetentionPolicy = "Delete"
)

// RecoverySpec tells what the operator does about members that are lost.
type RecoverySpec struct {
	// memberReplacement is about members of whom nobody has heard for long. One
	// whose pod runs with an empty volume is replaced at once, in either mode.
	// +optional
	// +kubebuilder:default={}
	MemberReplacement MemberReplacementSpec `json:"memberReplacement,omitzero"`
}

// MemberReplacementSpec tells when a member counts as lost.
type MemberReplacementSpec struct {
	// mode Automatic gives up a member and its volume once it is lost, as long as
	// the others are a quorum, and puts a new one in its place. Manual waits for
	// it for ever.
	// +optional
	// +kubebuilder:default=Automatic
	Mode ReplacementMode `json:"mode,omitempty"`

	// afterSeconds is how long the leader has to be without word from a member,
	// while its pod answers nobody else either, until the member is lost. A pod
	// that is being deleted is waited for, however long: its node may be cut off.
	// +optional
	// +kubebuilder:default=600
	// +kubebuilder:validation:Minimum=60
	// +kubebuilder:validation:Maximum=604800
	AfterSeconds int32 `json:"afterSeconds,omitempty"`
}

// ReplacementMode tells who replaces a member that is lost.
// +kubebuilder:validation:Enum=Automatic;Manual
type ReplacementMode string

const (
	// ReplacementAutomatic leaves it to the operator.
	ReplacementAutomatic ReplacementMode = "Automatic"
	// ReplacementManual leaves it to people.
	ReplacementManual ReplacementMode = "Manual"
)

// RaftSpec holds the algorithm's settings.
//
// The defaults are wider than a node's own: a CPU limit alone can pause a pod
// for a tenth of a second. The rules look for the fields first only because they
// are also checked against the default of the whole, which is empty.
//
// +kubebuilder:validation:XValidation:rule="!has(self.electionTimeoutMinMilliseconds) || !has(self.heartbeatIntervalMilliseconds) || self.electionTimeoutMinMilliseconds >= 5 * self.heartbeatIntervalMilliseconds",message="electionTimeoutMinMilliseconds must be at least five times heartbeatIntervalMilliseconds"
// +kubebuilder:validation:XValidation:rule="!has(self.electionTimeoutMaxMilliseconds) || !has(self.electionTimeoutMinMilliseconds) || self.electionTimeoutMaxMilliseconds > self.electionTimeoutMinMilliseconds",message="electionTimeoutMaxMilliseconds must be above electionTimeoutMinMilliseconds, or votes keep splitting"
type RaftSpec struct {
	// electionTimeoutMinMilliseconds is the shortest time without a leader
	// after which a member stands for election, in steps of 10.
	// +optional
	// +kubebuilder:default=500
	// +kubebuilder:validation:Minimum=50
	// +kubebuilder:validation:Maximum=60000
	// +kubebuilder:validation:MultipleOf=10
	ElectionTimeoutMinMilliseconds int32 `json:"electionTimeoutMinMilliseconds,omitempty"`

	// electionTimeoutMaxMilliseconds is the longest such time, in steps of 10.
	// Each member draws its own between the two.
	// +optional
	// +kubebuilder:default=1000
	// +kubebuilder:validation:Minimum=60
	// +kubebuilder:validation:Maximum=120000
	// +kubebuilder:validation:MultipleOf=10
	ElectionTimeoutMaxMilliseconds int32 `json:"electionTimeoutMaxMilliseconds,omitempty"`

	// heartbeatIntervalMilliseconds is how often the leader speaks to each
	// member, in steps of 10.
	// +optional
	// +kubebuilder:default=100
	// +kubebuilder:validation:Minimum=10
	// +kubebuilder:validation:Maximum=10000
	// +kubebuilder:validation:MultipleOf=10
	HeartbeatIntervalMilliseconds int32 `json:"heartbeatIntervalMilliseconds,omitempty"`

	// snapshotThresholdEntries is the number of log entries after which a
	// member takes a snapshot and shortens its log.
	// +optional
	// +kubebuilder:default=10000
	// +kubebuilder:validation:Minimum=100
	// +kubebuilder:validation:Maximum=10000000
	SnapshotThresholdEntries int64 `json:"snapshotThresholdEntries,omitempty"`
}

// ClientSpec tells how programs reach the store.
type ClientSpec struct {
	// hosts are further names under which clients reach the store, for example
	// that of an ingress. A request for an unknown name is refused. The names
	// of the Services and pods are known already. A last label `*` stands for
	// any ending. A change restarts the pods one by one.
	// +optional
	// +listType=set
	// +kubebuilder:validation:MaxItems=32
	// +kubebuilder:validation:items:MaxLength=253
	// +kubebuilder:validation:items:Pattern=`^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*(\.\*)?$`
	Hosts []string `json:"hosts,omitempty"`

	// service is the Service that clients use. It has the cluster's name.
	// +optional
	// +kubebuilder:default={}
	Service ServiceSpec `json:"service,omitzero"`
}

// ServiceSpec is the Service that clients use.
type ServiceSpec struct {
	// type of the Service.
	// +optional
	// +kubebuilder:default=ClusterIP
	// +kubebuilder:validation:Enum=ClusterIP;NodePort;LoadBalancer
	Type corev1.ServiceType `json:"type,omitempty"`

	// annotations are added to the Service, for a cloud's load balancer for
	// example.
	// +optional
	// +kubebuilder:validation:MaxProperties=32
	// +kubebuilder:validation:XValidation:rule="self.all(k, !k.startsWith('conclave.dev/'))",message="annotations under conclave.dev/ belong to the operator"
	Annotations map[string]string `json:"annotations,omitempty"`
}
