package controller

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	v1 "github.com/conclave-dev/conclave/api/v1"
	"github.com/conclave-dev/conclave/internal/controller/resources"
)

// identity says which cluster the resource stands for.
type identity struct {
	// clusterID is 32 hexadecimal digits.
	clusterID string
	// bootstrapped is true once the cluster has had a leader. Nothing makes it
	// false again.
	bootstrapped bool
	// members is the number of pods that the StatefulSet has to run, by its own
	// record: as many as the cluster was made with, and one more or fewer for each
	// that an operation has added or removed since.
	members int32
}

// obstacle keeps a pass from going on: either the operator waits, or it needs
// help.
type obstacle struct {
	verdict
	stalled bool
}

func stalled(reason, format string, args ...any) *obstacle {
	return &obstacle{verdict: verdictf(reason, format, args...), stalled: true}
}

func waiting(reason, format string, args ...any) *obstacle {
	return &obstacle{verdict: verdictf(reason, format, args...)}
}

// checkOwners makes sure that every object under one of the cluster's names is
// this resource's own and here to stay.
func checkOwners(o *Observed) *obstacle {
	var foreign, leaving []string
	for _, key := range sortedNames(o.Owned) {
		object := o.Owned[key]
		if _, policy := object.(*networkingv1.NetworkPolicy); policy && o.Cluster.Spec.NetworkPolicy.Mode == v1.NetworkPolicyDisabled {
			continue // whoever wants none of ours may well have one of this name
		}
		switch controller := metav1.GetControllerOf(object); {
		case controller != nil && controller.UID == o.Cluster.UID && object.GetDeletionTimestamp() == nil:
		case controller != nil && controller.UID == o.Cluster.UID, isNamesake(controller, o.Cluster):
			leaving = append(leaving, describe(object))
		default:
			foreign = append(foreign, describe(object))
		}
	}
	if len(foreign) > 0 {
		return stalled(v1.ReasonNameConflict, "%s belongs to somebody else: delete it, or give this RaftCluster another name",
			strings.Join(foreign, ", "))
	}
	if len(leaving) > 0 {
		return waiting(v1.ReasonWaitingForDeletion, "%s is being deleted", strings.Join(leaving, ", "))
	}
	return nil
}

// isNamesake tells whether an owner is an earlier RaftCluster of the same name,
// whose objects the garbage collector is about to delete.
func isNamesake(owner *metav1.OwnerReference, cluster *v1.RaftCluster) bool {
	return owner != nil && owner.Kind == v1.KindRaftCluster && owner.Name == cluster.Name &&
		strings.HasPrefix(owner.APIVersion, v1.GroupVersion.Group+"/")
}

// describe names an object for people: kind and name.
func describe(object client.Object) string {
	kind := fmt.Sprintf("%T", object)
	return kind[strings.LastIndex(kind, ".")+1:] + " " + object.GetName()
}

// identify finds out which cluster the resource stands for. What the objects and
// the volume claims say counts; a new identity is made only where nothing is left
// that could have one.
//
// A new cluster ID is the resource's UID, so that two passes that both believe
// themselves first come to the same answer.
func identify(o *Observed) (identity, *obstacle) {
	if len(holders(o)) == 0 {
		if blocked := checkRetained(o); blocked != nil {
			return identity{}, blocked
		}
	}
	told := collectIDs(o)
	if len(told) > 1 {
		return identity{}, stalled(v1.ReasonClusterIDConflict, "the cluster's parts don't belong together: %s", describeIDs(told))
	}
	id := identity{clusterID: strings.ReplaceAll(string(o.Cluster.UID), "-", ""), members: impliedMembers(o)}
	for known := range told {
		id.clusterID = known
	}
	if len(told) == 0 && o.Cluster.Status.ClusterID != "" {
		id.clusterID = o.Cluster.Status.ClusterID
	}
	id.bootstrapped = wasBootstrapped(o)
	if members, ok := recordedMembers(o); ok {
		id.members = members
	}
	return id, nil
}

// collectIDs returns the cluster IDs that objects and claims carry, each with
// the carriers' names.
func collectIDs(o *Observed) map[string][]string {
	told := map[string][]string{}
	note := func(object client.Object) {
		if id := object.GetAnnotations()[v1.AnnotationClusterID]; id != "" {
			told[id] = append(told[id], describe(object))
		}
	}
	for _, object := range holders(o) {
		note(object)
	}
	for _, name := range sortedNames(o.Claims) {
		if !isLeftOver(o.Claims[name]) {
			note(o.Claims[name])
		}
	}
	return told
}

func describeIDs(told map[string][]string) string {
	var parts []string
	for _, id := range slices.Sorted(maps.Keys(told)) {
		parts = append(parts, fmt.Sprintf("cluster ID %s on %s", id, strings.Join(told[id], ", ")))
	}
	return strings.Join(parts, "; ")
}

// holders are the resource's own objects that hold its identity, as far as they
// exist.
func holders(o *Observed) []client.Object {
	var objects []client.Object
	if config := o.ConfigMap(); config != nil && metav1.IsControlledBy(config, o.Cluster) {
		objects = append(objects, config)
	}
	if set := o.StatefulSet(); set != nil && metav1.IsControlledBy(set, o.Cluster) {
		objects = append(objects, set)
	}
	return objects
}

// wasBootstrapped tells whether any trace is left of the cluster having had a
// leader. Claims are stamped only after that, and the status has no members
// before it.
func wasBootstrapped(o *Observed) bool {
	for _, object := range holders(o) {
		if object.GetAnnotations()[v1.AnnotationBootstrapped] == "true" {
			return true
		}
	}
	for _, claim := range o.Claims {
		if claim.Annotations[v1.AnnotationClusterID] != "" && !isLeftOver(claim) {
			return true
		}
	}
	return len(o.Cluster.Status.Members) > 0
}

// recordedMembers returns the number of pods on record. It is changed on the
// StatefulSet first, so that counts.
func recordedMembers(o *Observed) (int32, bool) {
	objects := holders(o)
	slices.Reverse(objects)
	for _, object := range objects {
		members, err := strconv.ParseInt(object.GetAnnotations()[v1.AnnotationMembers], 10, 32)
		if err == nil && members > 0 && members <= v1.MaxReplicas {
			return int32(members), true
		}
	}
	return 0, false
}

// impliedMembers is the number of pods where none is on record: enough for every
// claim that carries a cluster ID and for every member that the status names, or
// what the resource asks for.
func impliedMembers(o *Observed) int32 {
	var members int32
	for name, claim := range o.Claims {
		if ordinal, ok := resources.ClaimOrdinal(o.Cluster.Name, name); ok && claim.Annotations[v1.AnnotationClusterID] != "" && !isLeftOver(claim) {
			members = max(members, ordinal+1)
		}
	}
	for _, member := range o.Cluster.Status.Members {
		if ordinal, ok := resources.PodOrdinal(o.Cluster.Name, member.Name); ok {
			members = max(members, ordinal+1)
		}
	}
	return cmp.Or(members, o.Cluster.Spec.Replicas)
}

// isLeftOver tells whether a claim was retained when its member was removed.
func isLeftOver(claim *corev1.PersistentVolumeClaim) bool {
	return claim.Annotations[v1.AnnotationRemovedMember] != ""
}

// checkRetained looks at volume claims that are there before anything else is. A
// whole set of one cluster is taken up again. Anything less is left for people to
// judge: a cluster formed on it could forget what it has acknowledged.
func checkRetained(o *Observed) *obstacle {
	if len(o.Claims) == 0 {
		return nil
	}
	names := sortedNames(o.Claims)
	var leaving, unknown, leftOver []string
	ids := map[string][]string{}
	for _, name := range names {
		claim := o.Claims[name]
		id := claim.Annotations[v1.AnnotationClusterID]
		_, numbered := resources.ClaimOrdinal(o.Cluster.Name, name)
		switch {
		case isLeftOver(claim):
			leftOver = append(leftOver, name)
		case claim.DeletionTimestamp != nil || ownedByStatefulSet(claim):
			leaving = append(leaving, name)
		case id == "" || !numbered:
			unknown = append(unknown, name)
		default:
			ids[id] = append(ids[id], describe(claim))
		}
	}
	ours := o.Cluster.Status.ClusterID
	if len(ids) == 0 {
		unknown = append(unknown, leftOver...) // of a cluster that is gone
	}
	switch {
	case len(leaving) > 0:
		return waiting(v1.ReasonWaitingForDeletion, "volume claims of an earlier cluster are being deleted: %s", strings.Join(leaving, ", "))
	case len(unknown) > 0 && ours == "":
		return stalled(v1.ReasonVolumeOwnershipUnknown,
			"volume claims of this name exist, and nothing tells which cluster they belong to: %s; delete them, or give this RaftCluster another name",
			strings.Join(unknown, ", "))
	case len(ids) > 1:
		return stalled(v1.ReasonVolumeOwnershipUnknown, "volume claims of this name belong to different clusters: %s", describeIDs(ids))
	case ours == "" && !wholeSet(o):
		return stalled(v1.ReasonVolumeOwnershipUnknown,
			"volume claims of an earlier cluster of this name exist, and they aren't those of members 0 to N-1: %s; delete them to start anew, or bring back what is missing",
			strings.Join(names, ", "))
	}
	return nil
}

// ownedByStatefulSet tells whether a claim belongs to a StatefulSet. Where there
// is no StatefulSet any more, the garbage collector is about to delete it.
func ownedByStatefulSet(claim *corev1.PersistentVolumeClaim) bool {
	return slices.ContainsFunc(claim.OwnerReferences, func(owner metav1.OwnerReference) bool {
		return owner.Kind == "StatefulSet" && owner.APIVersion == appsv1.SchemeGroupVersion.String()
	})
}

// wholeSet tells whether the claims are those of members 0 to N-1.
func wholeSet(o *Observed) bool {
	for ordinal := range impliedMembers(o) {
		if claim := o.Claims[resources.ClaimName(o.Cluster.Name, ordinal)]; claim == nil || isLeftOver(claim) {
			return false
		}
	}
	return true
}
