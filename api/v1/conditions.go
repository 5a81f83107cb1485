package v1

// Types of conditions. Each is set at the operator's first visit, with the
// status Unknown where it can't tell.
const (
	// ConditionReady sums up: Available, MembersReady, MembersUpdated and
	// MembershipStable are True and Stalled is not. Its reason is that of the first
	// that fails.
	ConditionReady = "Ready"
	// ConditionAvailable is True while a leader says that it heard from a quorum
	// of voters within the election timeout, so that writes are acknowledged.
	// It is Unknown while the operator can't reach the members, and could not for
	// ten seconds: the operator may be the one that is cut off.
	ConditionAvailable = "Available"
	// ConditionMembersReady is True while the pod of every replica is ready.
	ConditionMembersReady = "MembersReady"
	// ConditionMembersUpdated is True once every pod runs what the spec asks.
	ConditionMembersUpdated = "MembersUpdated"
	// ConditionMembershipStable is True while as many members vote as the spec asks
	// for, each in its own pod, and no change of that is under way. It is Unknown
	// while no leader tells who the members are.
	ConditionMembershipStable = "MembershipStable"
	// ConditionVolumesReady is True while every member's volume claim is bound.
	ConditionVolumesReady = "VolumesReady"
	// ConditionQuorumAtRisk is True while the loss of one more voter would stop
	// writes.
	ConditionQuorumAtRisk = "QuorumAtRisk"
	// ConditionReconciling is True while the operator has something to do or
	// waits for something that it has done.
	ConditionReconciling = "Reconciling"
	// ConditionStalled is True while the operator can't go on without help.
	ConditionStalled = "Stalled"
	// ConditionPaused is True while spec.reconcilePolicy keeps the operator from
	// changing anything.
	ConditionPaused = "Paused"
)

// Reasons of Ready beside those of the conditions that it sums up.
const (
	// ReasonAllGood: every part of the sum is as it should be.
	ReasonAllGood = "AllGood"
)

// Reasons of Available.
const (
	// ReasonLeaderHasQuorum: the leader heard from a quorum of voters within the
	// election timeout.
	ReasonLeaderHasQuorum = "LeaderHasQuorum"
	// ReasonBootstrapping: the cluster is new and no leader of it has been seen yet.
	ReasonBootstrapping = "Bootstrapping"
	// ReasonNoLeader: members answer, none of them knows a leader, and those that
	// don't answer are too few to have one.
	ReasonNoLeader = "NoLeader"
	// ReasonQuorumLost: a member calls itself leader but has lost touch with a
	// quorum of voters, and those that don't answer are too few to have another.
	ReasonQuorumLost = "QuorumLost"
	// ReasonNoMemberRuns: no pod of the cluster is running.
	ReasonNoMemberRuns = "NoMemberRuns"
	// ReasonLeaderUnreachable: members follow a leader that doesn't answer the
	// operator.
	ReasonLeaderUnreachable = "LeaderUnreachable"
	// ReasonMembersUnreachable: so many pods run and don't answer the operator
	// that they may have a leader.
	ReasonMembersUnreachable = "MembersUnreachable"
)

// Reasons of MembersReady. When several apply, the one listed first is given.
const (
	// ReasonAllMembersReady: the pod of every replica is ready.
	ReasonAllMembersReady = "AllMembersReady"
	// ReasonImagePullFailed: a pod's image can't be fetched.
	ReasonImagePullFailed = "ImagePullFailed"
	// ReasonPodRejected: a container can't be made from the pod as it is.
	ReasonPodRejected = "PodRejected"
	// ReasonCrashLooping: a pod's program ends again and again.
	ReasonCrashLooping = "CrashLooping"
	// ReasonUnschedulable: no node of the Kubernetes cluster takes a pod.
	ReasonUnschedulable = "Unschedulable"
	// ReasonAwaitingAdd: a member runs with an empty volume in a cluster that
	// doesn't know it.
	ReasonAwaitingAdd = "AwaitingAdd"
	// ReasonMemberRemoved: a pod runs a member that was removed from the cluster.
	ReasonMemberRemoved = "MemberRemoved"
	// ReasonPodMissing: a replica has no pod.
	ReasonPodMissing = "PodMissing"
	// ReasonMemberNotReady: a pod runs and isn't ready.
	ReasonMemberNotReady = "MemberNotReady"
)

// Reasons of MembersUpdated.
const (
	// ReasonAllMembersUpdated: every pod runs what the spec asks.
	ReasonAllMembersUpdated = "AllMembersUpdated"
	// ReasonRollingOut: pods are being replaced, one at a time; the message names
	// the one whose turn it is, or those that have yet to take part again.
	ReasonRollingOut = "RollingOut"
	// ReasonRolloutBlocked: outdated pods are left, and the next may be replaced
	// only when the members named come up, or a leader is there to ask.
	ReasonRolloutBlocked = "RolloutBlocked"
	// ReasonNotObserved: the StatefulSet doesn't exist yet, or its controller
	// hasn't seen the latest change.
	ReasonNotObserved = "NotObserved"
)

// Reasons of MembershipStable, and of Reconciling meanwhile.
const (
	// ReasonMembershipComplete: as many members vote as the spec asks for.
	ReasonMembershipComplete = "MembershipComplete"
	// ReasonScalingOut: a member is being added.
	ReasonScalingOut = "ScalingOut"
	// ReasonScalingIn: a member is being removed.
	ReasonScalingIn = "ScalingIn"
	// ReasonReplacing: a member without a volume of its own is being replaced by
	// a new one of the same name.
	ReasonReplacing = "Replacing"
	// ReasonRemovalUnsafe: a member has to go, and those that would stay are no
	// quorum at the moment.
	ReasonRemovalUnsafe = "RemovalUnsafe"
	// ReasonMembershipUnknown: no leader tells who the members are, or a change
	// of them isn't complete.
	ReasonMembershipUnknown = "MembershipUnknown"
)

// Reasons of VolumesReady.
const (
	// ReasonAllVolumesBound: every member's claim is bound.
	ReasonAllVolumesBound = "AllVolumesBound"
	// ReasonVolumePending: a claim waits for a volume.
	ReasonVolumePending = "VolumePending"
	// ReasonVolumeMissing: a replica has no claim.
	ReasonVolumeMissing = "VolumeMissing"
	// ReasonVolumeLost: a claim's volume is gone.
	ReasonVolumeLost = "VolumeLost"
)

// Reasons of QuorumAtRisk.
const (
	// ReasonLossTolerated: at least one more voter may be lost.
	ReasonLossTolerated = "LossTolerated"
	// ReasonOneLossStopsWrites: with one voter fewer there is no quorum.
	ReasonOneLossStopsWrites = "OneLossStopsWrites"
	// ReasonSingleVoter: a cluster of one has nobody to spare.
	ReasonSingleVoter = "SingleVoter"
	// ReasonNoQuorum: there is no quorum to lose.
	ReasonNoQuorum = "NoQuorum"
	// ReasonVotersUnknown: no leader tells how its voters are.
	ReasonVotersUnknown = "VotersUnknown"
)

// Reasons of Reconciling.
const (
	// ReasonSettled: nothing is left to do.
	ReasonSettled = "Settled"
	// ReasonCreatingSecrets: the tokens of the admin endpoints are being made.
	ReasonCreatingSecrets = "CreatingSecrets"
	// ReasonApplyingObjects: owned objects are being made or corrected.
	ReasonApplyingObjects = "ApplyingObjects"
	// ReasonStampingVolumes: the cluster ID is being noted on volume claims.
	ReasonStampingVolumes = "StampingVolumes"
	// ReasonWaitingForLeader: the members have yet to agree on a leader.
	ReasonWaitingForLeader = "WaitingForLeader"
	// ReasonWaitingForMembers: pods have yet to become ready.
	ReasonWaitingForMembers = "WaitingForMembers"
	// ReasonWaitingForDeletion: objects of an earlier cluster of this name have
	// yet to disappear.
	ReasonWaitingForDeletion = "WaitingForDeletion"
	// ReasonWaitingForStatefulSet: the StatefulSet's controller has yet to see
	// the latest change.
	ReasonWaitingForStatefulSet = "WaitingForStatefulSet"
)

// Reasons of Stalled.
const (
	// ReasonNotStalled: the operator can go on.
	ReasonNotStalled = "NotStalled"
	// ReasonInvalidSpec: the spec breaks a rule of its schema.
	ReasonInvalidSpec = "InvalidSpec"
	// ReasonNameConflict: an object of a name that the cluster needs belongs to
	// somebody else.
	ReasonNameConflict = "NameConflict"
	// ReasonClusterIDConflict: the owned objects and volume claims carry
	// different cluster IDs.
	ReasonClusterIDConflict = "ClusterIDConflict"
	// ReasonVolumeOwnershipUnknown: there are volume claims of this name, and
	// they don't make up one whole cluster.
	ReasonVolumeOwnershipUnknown = "VolumeOwnershipUnknown"
	// ReasonVolumeRetained: the volume claim of a member that was removed earlier
	// is in the way of a new member of that name.
	ReasonVolumeRetained = "VolumeRetained"
	// ReasonRequestRefused: the API server refuses what the operator asks of it.
	ReasonRequestRefused = "RequestRefused"
)

// Reasons of Paused.
const (
	// ReasonPausedBySpec: spec.reconcilePolicy is Paused.
	ReasonPausedBySpec = "PausedBySpec"
	// ReasonManaged: spec.reconcilePolicy is Managed.
	ReasonManaged = "Managed"
)
